//! A clock that does not go back.
//!
//! Attack or accident: a clock that is set back prolongs everything that has an end, and a credential that was dead lives
//! again. So the latest time that was believed, the *mark*, is kept in memory and in the store, and the present is never before
//! it. A little behind it, time stands still until the wall clock has caught up; further behind, somebody has to look, and
//! nothing is issued meanwhile ([`crate::gate`]).
//!
//! The mark follows the clock ahead, for what was judged dead by a later time must stay so. There is one exception: a clock that
//! jumps by more than a day is wrong and not late, and a mark that followed it would stop the service for as long once the clock
//! is right again. Such a step is followed by the present at once, and by the mark only after it has lasted.

use super::{Clock, SignedDuration, Timestamp};
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// How far behind its mark a clock may be while something is issued: as far as vendors let clocks differ.
pub const BEHIND: SignedDuration = SignedDuration::from_mins(5);

/// How far a clock may jump ahead of what has passed and be believed at once: further than any machine's clock drifts or any
/// network of time is set right by.
pub const AHEAD: SignedDuration = SignedDuration::from_hours(24);

/// From which jump ahead on somebody is told.
pub const JUMP: SignedDuration = SignedDuration::from_mins(5);

/// How long a larger step ahead must last before the mark follows it: long enough for whoever keeps the clock to set it right.
pub const BELIEVED_AFTER: SignedDuration = SignedDuration::from_mins(10);

/// The wall clock, held to its mark.
pub struct Steady {
    wall: Arc<dyn Clock>,
    /// In milliseconds; the least number where there is none yet.
    mark: AtomicI64,
    watch: Mutex<Watch>,
}

/// What was seen at the last look.
#[derive(Default)]
struct Watch {
    /// What had passed then, in milliseconds since some moment.
    passed: Option<i64>,
    /// What had passed when the clock was first seen ahead, and whether it was seen to jump.
    ahead: Option<(i64, bool)>,
}

impl Steady {
    /// A clock without a mark, until it is told of one or looks for the first time.
    pub fn new(wall: Arc<dyn Clock>) -> Self {
        Self { wall, mark: AtomicI64::new(i64::MIN), watch: Mutex::default() }
    }

    /// The latest time that is believed, none before the first look.
    pub fn mark(&self) -> Option<Timestamp> {
        let mark = self.mark.load(Ordering::Relaxed);
        Timestamp::from_millisecond(mark).ok().filter(|_| mark != i64::MIN)
    }

    /// A mark that a store has kept: this clock does not go behind it either.
    pub fn learn(&self, kept: Timestamp) {
        if self.wall.is_played_with() {
            return;
        }
        self.mark.fetch_max(kept.as_millisecond(), Ordering::Relaxed);
    }

    /// Takes this for the mark, though it is an earlier one: an operator has said that the later one was wrong.
    pub fn accept(&self, mark: Timestamp) {
        self.mark.store(mark.as_millisecond(), Ordering::Relaxed);
    }

    /// How far the wall clock is behind the mark; nothing where it is not.
    pub fn behind(&self) -> SignedDuration {
        let behind = self.mark.load(Ordering::Relaxed).saturating_sub(self.wall.now().as_millisecond());
        SignedDuration::from_millis(behind.max(0))
    }

    /// Whether the wall clock is so far behind that nothing may be issued.
    pub fn stands(&self) -> bool {
        self.behind() > BEHIND
    }

    /// How far the clock has jumped ahead while it was watched, if it has and is not believed yet.
    pub fn jumped(&self) -> Option<SignedDuration> {
        let (_, jumped) = self.watch.lock().ahead?;
        let ahead = self.wall.now().as_millisecond().saturating_sub(self.mark.load(Ordering::Relaxed));
        jumped.then(|| SignedDuration::from_millis(ahead.max(0)))
    }

    /// Looks at the wall clock and moves the mark. `passed` is how much time has passed since some moment, by a clock that nobody
    /// sets and that does not stand still while the machine sleeps. It is called every few seconds, and says by how much the clock
    /// has jumped ahead since the last time, if that is more than [`JUMP`].
    pub fn look(&self, passed: SignedDuration) -> Option<SignedDuration> {
        if self.wall.is_played_with() {
            return None;
        }
        let (mut watch, wall) = (self.watch.lock(), self.wall.now().as_millisecond());
        let passed = i64::try_from(passed.as_millis()).unwrap_or(i64::MAX);
        let before = watch.passed.replace(passed);
        let mark = self.mark.load(Ordering::Relaxed);
        if mark == i64::MIN {
            self.mark.fetch_max(wall, Ordering::Relaxed);
            return None;
        }
        // At the first look nobody knows how long no process was there to look.
        let due = mark.saturating_add(before.map_or(0, |before| passed.saturating_sub(before).max(0)));
        let jump = SignedDuration::from_millis(wall.saturating_sub(due));
        let told = Some(jump).filter(|jump| before.is_some() && watch.ahead.is_none() && *jump > JUMP);
        if jump <= AHEAD {
            watch.ahead = None;
            self.mark.fetch_max(wall, Ordering::Relaxed);
            return told;
        }
        let (since, _) = *watch.ahead.get_or_insert((passed, before.is_some()));
        if passed.saturating_sub(since) >= millis(BELIEVED_AFTER) {
            watch.ahead = None;
            self.mark.fetch_max(wall, Ordering::Relaxed);
        } else {
            self.mark.fetch_max(due, Ordering::Relaxed);
        }
        told
    }
}

impl Clock for Steady {
    fn now(&self) -> Timestamp {
        let (wall, mark) = (self.wall.now(), self.mark.load(Ordering::Relaxed));
        if wall.as_millisecond() >= mark { wall } else { Timestamp::from_millisecond(mark).unwrap_or(wall) }
    }
}

fn millis(duration: SignedDuration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{FixedClock, START};
    use proptest::prelude::*;

    const MINUTE: i64 = 60_000;

    fn steady() -> (Arc<FixedClock>, Steady) {
        let wall = Arc::new(FixedClock::new(START));
        (wall.clone(), Steady::new(wall))
    }

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millisecond(START.as_millisecond() + millis).unwrap()
    }

    const DAYS: i64 = 50 * 60 * 24;

    fn look(steady: &Steady, minutes: i64) -> Option<i64> {
        steady.look(SignedDuration::from_millis(minutes * MINUTE)).map(|jump| jump.as_mins())
    }

    #[test]
    fn what_was_over_by_a_clock_that_was_set_forward_stays_over() {
        let (wall, steady) = steady();
        assert_eq!(look(&steady, 0), None);
        wall.set(at(4 * MINUTE));
        assert_eq!(look(&steady, 0), None, "too little to tell");
        wall.set(at(120 * MINUTE));
        assert_eq!((look(&steady, 0), look(&steady, 0)), (Some(116), None));
        wall.set(at(0));
        assert_eq!(steady.now(), at(120 * MINUTE));
        assert!(steady.stands());
        wall.set(at(120 * MINUTE - 1));
        assert!(!steady.stands());
    }

    #[test]
    fn a_date_that_is_played_with_goes_to_and_fro() {
        struct Played(FixedClock);
        impl Clock for Played {
            fn now(&self) -> Timestamp {
                self.0.now()
            }
            fn is_played_with(&self) -> bool {
                true
            }
        }
        let wall = Arc::new(Played(FixedClock::new(START)));
        let steady = Steady::new(wall.clone());
        steady.learn(at(600 * MINUTE));
        wall.0.set(at(60 * MINUTE));
        assert_eq!(look(&steady, 1), None);
        wall.0.set(at(0));
        assert_eq!((steady.now(), steady.mark(), steady.stands()), (at(0), None, false));
    }

    #[test]
    fn the_present_stands_still_until_the_clock_has_caught_up() {
        let (wall, steady) = steady();
        look(&steady, 0);
        wall.set(at(2 * MINUTE));
        look(&steady, 2);
        assert_eq!((steady.now(), steady.mark()), (at(2 * MINUTE), Some(at(2 * MINUTE))));
        wall.set(at(MINUTE));
        assert_eq!(steady.now(), at(2 * MINUTE));
        assert!(!steady.stands());
        assert_eq!(steady.behind(), SignedDuration::from_mins(1));
        wall.set(at(2 * MINUTE + 1));
        assert_eq!((steady.now(), steady.behind()), (at(2 * MINUTE + 1), SignedDuration::ZERO));
    }

    #[test]
    fn an_earlier_mark_of_a_store_is_no_news() {
        let (_, steady) = steady();
        steady.learn(at(6 * MINUTE));
        steady.learn(at(MINUTE));
        assert_eq!(steady.mark(), Some(at(6 * MINUTE)));
    }

    #[test]
    fn far_behind_the_mark_it_stands_until_somebody_accepts_the_time() {
        let (wall, steady) = steady();
        steady.learn(at(6 * MINUTE));
        wall.set(at(MINUTE));
        assert!(!steady.stands(), "five minutes are allowed");
        wall.set(at(MINUTE - 1));
        assert!(steady.stands());
        look(&steady, 0);
        assert!(steady.stands(), "and looking mends nothing");
        steady.accept(at(MINUTE));
        assert!(!steady.stands());
        assert_eq!(steady.now(), at(MINUTE));
    }

    #[test]
    fn a_jump_of_days_that_is_taken_back_leaves_no_mark() {
        let (wall, steady) = steady();
        look(&steady, 0);
        wall.set(at(DAYS * MINUTE));
        assert_eq!(look(&steady, 1), Some(DAYS - 1));
        assert_eq!(steady.now(), at(DAYS * MINUTE), "nobody knows better");
        assert_eq!(steady.jumped(), Some(SignedDuration::from_mins(DAYS - 1)));
        for minute in 2..10 {
            wall.set(at((DAYS + minute) * MINUTE));
            assert_eq!(look(&steady, minute), None, "told once");
        }
        wall.set(at(10 * MINUTE));
        assert_eq!((steady.now(), steady.stands()), (at(10 * MINUTE), false));
        look(&steady, 10);
        assert_eq!((steady.jumped(), steady.mark()), (None, Some(at(10 * MINUTE))));
    }

    #[test]
    fn a_jump_of_days_that_lasts_is_believed() {
        let (wall, steady) = steady();
        look(&steady, 0);
        for minute in 1..=11 {
            wall.set(at((DAYS + minute) * MINUTE));
            look(&steady, minute);
            assert_eq!(steady.jumped().is_some(), minute < 11, "minute {minute}");
        }
        assert_eq!(steady.mark(), Some(at((DAYS + 11) * MINUTE)));
    }

    #[test]
    fn a_node_that_was_off_for_days_is_no_jump_and_its_mark_waits() {
        let (wall, steady) = steady();
        steady.learn(START);
        wall.set(at(DAYS * MINUTE));
        assert_eq!((look(&steady, 0), steady.jumped(), steady.mark()), (None, None, Some(START)));
        wall.set(at((DAYS + 10) * MINUTE));
        look(&steady, 10);
        assert_eq!(steady.mark(), Some(at((DAYS + 10) * MINUTE)));
    }

    #[test]
    fn a_machine_that_slept_has_not_jumped() {
        let (wall, steady) = steady();
        look(&steady, 0);
        wall.set(at(800 * MINUTE));
        look(&steady, 800);
        assert_eq!((steady.jumped(), steady.mark()), (None, Some(at(800 * MINUTE))));
    }

    proptest! {
        /// Whatever the wall clock does: what was once the mark is never undone, and the present is never before it.
        #[test]
        fn the_present_is_never_before_the_mark(steps in prop::collection::vec((-40_000_000_i64..40_000_000, 0_i64..900_000), 1..60)) {
            let (wall, steady) = steady();
            let (mut passed, mut mark) = (0, None);
            for (to, more) in steps {
                passed += more;
                wall.set(at(to));
                steady.look(SignedDuration::from_millis(passed));
                prop_assert!(steady.mark() >= mark);
                mark = steady.mark();
                prop_assert!(Some(steady.now()) >= mark);
                prop_assert!(steady.now() >= wall.now());
            }
        }
    }
}
