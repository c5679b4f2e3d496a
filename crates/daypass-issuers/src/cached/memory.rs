//! What this process remembers of each place: the credential, sealed, and the last failure.

use crate::fault::Fault;
use daypass_core::clock::{Timestamp, after};
use daypass_core::held::LONGEST;
use daypass_core::replay::Mark;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;

/// The most places that are remembered: some 40 MB at four kilobytes each. The store has them all.
///
/// Attack: a backend, or an outside provider, can name as many subjects as it likes, and each has a place of its own.
pub(super) const PLACES: usize = 10_000;

/// A credential as it is kept.
#[derive(Clone)]
pub(super) struct Kept {
    /// The turn in which it was asked for.
    pub(super) turn: u64,
    /// When it runs out.
    pub(super) expires: Timestamp,
    /// When the store was last known to have no other.
    pub(super) seen: Timestamp,
    /// The sheet, sealed.
    pub(super) sealed: Arc<[u8]>,
}

/// A failure, and the pause that is kept after it.
#[derive(Clone)]
pub(super) struct Trouble {
    /// What everyone is told who asks meanwhile.
    pub(super) fault: Arc<Fault>,
    /// Until when the cloud is left alone.
    pub(super) until: Timestamp,
    /// How many there were in a row. None where another node failed, or nothing was asked at all.
    pub(super) count: u32,
}

impl Trouble {
    /// Whether the pause is still kept. One that seems absurdly long is of a clock that was set back.
    pub(super) fn lasts(&self, now: Timestamp) -> bool {
        now < self.until && self.until <= after(now, LONGEST)
    }

    /// Seconds until asking again makes sense.
    pub(super) fn again(&self, now: Timestamp) -> u32 {
        let millis = self.until.as_millisecond().saturating_sub(now.as_millisecond());
        u32::try_from(u64::try_from(millis).unwrap_or_default().div_ceil(1000)).unwrap_or(u32::MAX)
    }
}

/// The places of one issuer.
#[derive(Default)]
pub(super) struct Memory(Mutex<HashMap<Mark, Remembered>>);

#[derive(Clone, Default)]
struct Remembered {
    kept: Option<Kept>,
    trouble: Option<Trouble>,
}

impl Remembered {
    /// After this time it means nothing. A failure is remembered past its pause, so that the next pause is longer.
    fn over(&self) -> Timestamp {
        let trouble = self.trouble.as_ref().map(|trouble| after(trouble.until, LONGEST));
        self.kept.as_ref().map(|kept| kept.expires).max(trouble).unwrap_or(Timestamp::MIN)
    }
}

impl Memory {
    /// What is remembered of a place.
    pub(super) fn look(&self, place: &Mark) -> (Option<Kept>, Option<Trouble>) {
        let remembered = self.0.lock().get(place).cloned().unwrap_or_default();
        (remembered.kept, remembered.trouble)
    }

    /// Keeps what was found in the store, in place of whatever was there. Where it is newer, the cloud has answered another
    /// node since we failed.
    pub(super) fn found(&self, place: Mark, kept: Kept, now: Timestamp) {
        self.change(place, now, |remembered| {
            if remembered.kept.as_ref().is_none_or(|old| old.turn < kept.turn) {
                remembered.trouble = None;
            }
            remembered.kept = Some(kept);
        });
    }

    /// Keeps what the cloud has just given: it answers again.
    pub(super) fn obtained(&self, place: Mark, kept: Kept, now: Timestamp) {
        self.change(place, now, |remembered| *remembered = Remembered { kept: Some(kept), trouble: None });
    }

    /// The cloud did not give it. What was kept stays.
    pub(super) fn failed(&self, place: Mark, trouble: Trouble, now: Timestamp) {
        self.change(place, now, |remembered| remembered.trouble = Some(trouble));
    }

    fn change(&self, place: Mark, now: Timestamp, change: impl FnOnce(&mut Remembered)) {
        let mut places = self.0.lock();
        if places.len() >= PLACES && !places.contains_key(&place) {
            make_room(&mut places, now);
        }
        change(places.entry(place).or_default());
    }
}

/// Forgets what is over, and if that is not enough, the quarter that ends first: a pass over all is paid for by many that
/// need none.
fn make_room(places: &mut HashMap<Mark, Remembered>, now: Timestamp) {
    places.retain(|_, remembered| now < remembered.over());
    let room = PLACES / 4;
    if places.len() <= PLACES - room {
        return;
    }
    let mut ends: Vec<_> = places.iter().map(|(place, remembered)| (remembered.over(), *place)).collect();
    ends.select_nth_unstable(room);
    for (_, place) in ends.iter().take(room) {
        places.remove(place);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::FaultKind;
    use daypass_core::testing::{START, later};

    fn mark(number: usize) -> Mark {
        let mut mark = [0; 16];
        mark[..8].copy_from_slice(&number.to_be_bytes());
        mark
    }

    fn kept(turn: u64, expires: Timestamp) -> Kept {
        Kept { turn, expires, seen: START, sealed: Arc::from([1_u8]) }
    }

    fn trouble(until: Timestamp) -> Trouble {
        Trouble { fault: Arc::new(Fault::new(FaultKind::Down, "x")), until, count: 1 }
    }

    #[test]
    fn a_failure_leaves_what_was_kept_and_a_success_ends_it() {
        let memory = Memory::default();
        memory.obtained(mark(1), kept(1, later(60)), START);
        memory.failed(mark(1), trouble(later(5)), START);
        let (there, failure) = memory.look(&mark(1));
        assert_eq!((there.unwrap().turn, failure.unwrap().until), (1, later(5)));
        memory.found(mark(1), kept(1, later(60)), START);
        assert!(memory.look(&mark(1)).1.is_some(), "the same one says nothing of the cloud");
        memory.found(mark(1), kept(2, later(60)), START);
        let (there, failure) = memory.look(&mark(1));
        assert_eq!(there.unwrap().turn, 2);
        assert!(failure.is_none(), "it has answered another node since");
        memory.failed(mark(1), trouble(later(5)), START);
        memory.obtained(mark(1), kept(3, later(60)), START);
        assert!(memory.look(&mark(1)).1.is_none());
        assert!(memory.look(&mark(2)).0.is_none());
    }

    #[test]
    fn a_pause_lasts_until_its_end_and_never_absurdly_long() {
        let pause = trouble(later(5));
        assert!(pause.lasts(START) && !pause.lasts(later(5)));
        assert_eq!((pause.again(START), pause.again(later(5)), pause.again(later(6))), (5, 0, 0));
        let fraction = Timestamp::from_millisecond(START.as_millisecond() - 1).unwrap();
        assert_eq!(pause.again(fraction), 6, "rounded up");
        assert!(trouble(later(LONGEST)).lasts(START));
        assert!(!trouble(later(LONGEST + 1)).lasts(START));
    }

    #[test]
    fn a_full_memory_forgets_what_is_over_then_what_ends_first() {
        let memory = Memory::default();
        for number in 0..PLACES {
            let life = u32::try_from(number).unwrap() + 1;
            memory.obtained(mark(number), kept(1, later(life)), START);
        }
        memory.obtained(mark(PLACES), kept(1, later(1)), START);
        assert_eq!(memory.0.lock().len(), PLACES - PLACES / 4 + 1);
        assert!(memory.look(&mark(PLACES - 1)).0.is_some(), "the one that lasts longest is there");
        assert!(memory.look(&mark(0)).0.is_none());
        let mut places = memory.0.lock();
        make_room(&mut places, later(9_000));
        assert_eq!(places.len(), 1_000, "only those that still mean something");
    }
}
