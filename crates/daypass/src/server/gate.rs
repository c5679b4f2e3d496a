//! How many requests are worked on at one time, and whose.
//!
//! Beyond a bound, one more request makes all the others wait, until the answers come after those who asked have given up:
//! then much is done and nothing achieved. So whoever comes above it is turned away, before the body is read or anything is
//! verified. Below it nobody is. At it, each tenant that asks keeps an equal part: a flood of one tenant's fills what the
//! others leave, and takes nothing from one that asks for less than its part.

use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::sleep;
use uuid::Uuid;

/// How long somebody who is turned away waits for that.
///
/// Attack, or a client that knows no better: it asks again at once, for ever. A refusal costs little, but a thousand
/// clients that get nothing else would have us busy with it; while they wait they ask nothing and cost a timer each.
const PAUSE: Duration = Duration::from_millis(100);

/// How many wait so at the most; further ones are told at once. One connection of HTTP/2 has a hundred requests.
const PAUSED: usize = 10_000;

/// Who shares a part: a tenant, by its guid, or all those of whom it is not known yet.
pub(super) type Group = Option<Uuid>;

/// The count of what is under way.
#[derive(Default)]
pub(crate) struct Gate {
    state: Mutex<State>,
    turned_away: AtomicU64,
    /// What of that the log knows.
    told: AtomicU64,
}

#[derive(Default)]
struct State {
    total: usize,
    /// Only of those who have something under way.
    parts: HashMap<Group, usize>,
    paused: usize,
}

/// A request that is worked on; it counts until this is dropped.
pub(super) struct Under {
    gate: Arc<Gate>,
    group: Group,
}

/// Somebody who waits to be turned away.
struct Paused<'a>(&'a Gate);

impl State {
    /// Whether one more of this group may be worked on.
    fn admits(&self, group: Group, most: usize) -> bool {
        if self.total < most {
            return true;
        }
        let own = self.parts.get(&group).copied();
        let groups = self.parts.len() + usize::from(own.is_none());
        // All parts together are `most`; so never more than twice that is under way.
        own.unwrap_or_default() < (most / groups.max(1)).max(1)
    }
}

impl Gate {
    /// Whether it is worth while to read what this one sends.
    pub(super) fn admits(&self, group: Group, most: Option<u32>) -> bool {
        most.is_none_or(|most| self.state.lock().admits(group, places(most)))
    }

    /// Begins to work on a request, if there is room.
    pub(super) fn enter(self: &Arc<Self>, group: Group, most: Option<u32>) -> Option<Under> {
        let mut state = self.state.lock();
        if most.is_some_and(|most| !state.admits(group, places(most))) {
            return None;
        }
        state.total += 1;
        *state.parts.entry(group).or_default() += 1;
        Some(Under { gate: self.clone(), group })
    }

    /// Counts somebody who is turned away, and lets him wait for it.
    pub(super) async fn turn_away(&self) {
        self.turned_away.fetch_add(1, Ordering::Relaxed);
        let paused = {
            let mut state = self.state.lock();
            let room = state.paused < PAUSED;
            state.paused += usize::from(room);
            room.then(|| Paused(self))
        };
        if paused.is_some() {
            sleep(PAUSE).await;
        }
    }

    /// How many requests are under way.
    pub(crate) fn under_way(&self) -> usize {
        self.state.lock().total
    }

    /// How many were turned away since this was last asked: for the log, which has one line for all of them.
    pub(crate) fn news(&self) -> u64 {
        let all = self.turned_away.load(Ordering::Relaxed);
        all.saturating_sub(self.told.swap(all, Ordering::Relaxed))
    }
}

fn places(most: u32) -> usize {
    usize::try_from(most).unwrap_or(usize::MAX)
}

impl Drop for Under {
    fn drop(&mut self) {
        let mut state = self.gate.state.lock();
        state.total = state.total.saturating_sub(1);
        if let Some(part) = state.parts.get_mut(&self.group) {
            *part = part.saturating_sub(1);
            if *part == 0 {
                state.parts.remove(&self.group);
            }
        }
    }
}

impl Drop for Paused<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        state.paused = state.paused.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const A: Group = Some(Uuid::from_u128(1));
    const B: Group = Some(Uuid::from_u128(2));

    fn fill(gate: &Arc<Gate>, group: Group, most: u32) -> Vec<Under> {
        std::iter::from_fn(|| gate.enter(group, Some(most))).collect()
    }

    #[test]
    fn one_alone_has_everything_and_leaves_the_others_their_part() {
        let gate = Arc::new(Gate::default());
        let a = fill(&gate, A, 10);
        assert_eq!(a.len(), 10);
        let b = fill(&gate, B, 10);
        assert_eq!(b.len(), 5, "half, although all is taken");
        let nobody = fill(&gate, None, 10);
        assert_eq!(nobody.len(), 3);
        assert!(!gate.admits(A, Some(10)) && !gate.admits(B, Some(10)) && !gate.admits(None, Some(10)));
        assert_eq!(gate.under_way(), 18);
        drop(a);
        assert_eq!(fill(&gate, B, 10).len(), 2, "up to the whole again");
        drop((b, nobody));
        assert_eq!(gate.under_way(), 0);
        assert!(gate.state.lock().parts.is_empty(), "nothing is kept of who was here");
    }

    #[test]
    fn without_a_bound_nobody_is_turned_away() {
        let gate = Arc::new(Gate::default());
        let all: Vec<_> = (0..10_000).filter_map(|_| gate.enter(A, None)).collect();
        assert_eq!(all.len(), 10_000);
        assert!(gate.admits(A, None) && !gate.admits(A, Some(16)));
        assert!(gate.admits(B, Some(1)), "each has one at least");
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_is_turned_away_waits_and_is_counted() {
        let gate = Gate::default();
        let began = tokio::time::Instant::now();
        gate.turn_away().await;
        assert_eq!(began.elapsed(), PAUSE);
        let waiting = async { (0..3).map(|_| gate.turn_away()).collect::<Vec<_>>() }.await;
        for one in waiting {
            drop(one);
        }
        assert_eq!(gate.state.lock().paused, 0);
        gate.state.lock().paused = PAUSED;
        let began = tokio::time::Instant::now();
        gate.turn_away().await;
        assert_eq!(began.elapsed(), Duration::ZERO, "too many wait already");
        assert_eq!((gate.news(), gate.news()), (2, 0));
    }

    proptest! {
        /// Whoever comes and goes: a group below its part is never turned away, and the whole stays bounded.
        #[test]
        fn a_part_is_never_refused(
            most in 1..40_u32,
            steps in prop::collection::vec((0..5_u128, prop::bool::weighted(0.7), any::<prop::sample::Index>()), 1..400),
        ) {
            let gate = Arc::new(Gate::default());
            let mut under: Vec<(u128, Under)> = Vec::new();
            for (group, comes, which) in steps {
                if comes {
                    let own = under.iter().filter(|(of, _)| *of == group).count();
                    let mut groups: Vec<_> = under.iter().map(|(of, _)| *of).chain([group]).collect();
                    groups.sort_unstable();
                    groups.dedup();
                    let entered = gate.enter(Some(Uuid::from_u128(group)), Some(most));
                    if own < places(most) / groups.len() || under.len() < places(most) {
                        prop_assert!(entered.is_some());
                    }
                    under.extend(entered.map(|one| (group, one)));
                } else if !under.is_empty() {
                    let at = which.index(under.len());
                    under.swap_remove(at);
                }
                prop_assert_eq!(gate.under_way(), under.len());
                prop_assert!(under.len() < 2 * places(most) + 5);
            }
        }
    }
}
