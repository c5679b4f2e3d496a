//! How many requests are worked on at one time, and whose.
//!
//! Beyond a bound, one more request makes all the others wait, until the answers come after those who asked have given up:
//! then much is done and nothing achieved. So whoever comes above it is turned away, before anything is verified; below
//! it nobody is. Each tenant keeps its part ([`daypass_core::parts`]).

use super::bodies::{Bodies, Body};
use daypass_core::parts::{Group, Part, Parts};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::time::sleep;

/// How many refusals for want of room there are in a second at the most: whoever is turned away waits for it so long that
/// no more come.
///
/// Attack, or clients that know no better: they ask again at once, for ever. A refusal costs little, but thousands of
/// clients that get nothing else would have us busy with it; while they wait they ask nothing, and cost a timer each.
const REFUSALS: usize = 1000;

/// How long somebody waits to be turned away at the most. It is no longer than what refusals say in `Retry-After`.
const LONGEST: Duration = Duration::from_secs(1);

/// How many wait so at the most; further ones are told at once. One connection of HTTP/2 has a hundred requests.
const PAUSED: usize = 10_000;

/// The count of what is under way.
#[derive(Default)]
pub(crate) struct Gate {
    parts: Arc<Parts>,
    paused: AtomicUsize,
    bodies: Arc<Bodies>,
    turned_away: AtomicU64,
    /// What of that the log knows.
    told: AtomicU64,
}

impl Gate {
    /// Whether it is worth while to read what this one sends.
    pub(super) fn admits(&self, group: Group, most: Option<u32>) -> bool {
        most.is_none_or(|most| self.parts.admits(group, places(most)))
    }

    /// Begins to work on a request, if there is room.
    pub(super) fn enter(&self, group: Group, most: Option<u32>) -> Option<Part> {
        self.parts.enter(group, most.map_or(usize::MAX, places))
    }

    /// Counts somebody who is turned away, and lets him wait for it.
    pub(super) async fn turn_away(&self) {
        self.turned_away.fetch_add(1, Ordering::Relaxed);
        self.pause().await;
    }

    /// Lets somebody wait who is told to ask again later, so that he does not do so at once.
    pub(super) async fn pause(&self) {
        let paused = Paused::enter(&self.paused);
        if paused.before < PAUSED {
            // So long that with so many who wait, no more than the rate are let go in a second.
            let millis =
                u64::try_from((paused.before + 1).saturating_mul(1000) / REFUSALS).unwrap_or(u64::MAX);
            sleep(Duration::from_millis(millis).min(LONGEST)).await;
        }
    }

    /// Begins to read a body from there.
    pub(super) fn body(&self, source: IpAddr) -> Body {
        self.bodies.begin(source)
    }

    /// How many requests are under way.
    pub(crate) fn under_way(&self) -> usize {
        self.parts.taken()
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

/// Somebody who waits to be turned away.
struct Paused<'a> {
    count: &'a AtomicUsize,
    before: usize,
}

impl<'a> Paused<'a> {
    fn enter(count: &'a AtomicUsize) -> Self {
        Self { count, before: count.fetch_add(1, Ordering::Relaxed) }
    }
}

impl Drop for Paused<'_> {
    fn drop(&mut self) {
        self.count.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::Instant;

    #[test]
    fn without_a_bound_nobody_is_turned_away() {
        let gate = Gate::default();
        let all: Vec<_> = (0..10_000).filter_map(|_| gate.enter(None, None)).collect();
        assert_eq!((all.len(), gate.under_way()), (10_000, 10_000));
        assert!(
            gate.admits(None, None) && !gate.admits(None, Some(16)) && gate.enter(None, Some(16)).is_none()
        );
        drop(all);
        assert!(gate.admits(None, Some(16)));
    }

    #[tokio::test(start_paused = true)]
    async fn the_more_are_turned_away_the_longer_they_wait() {
        let gate = Arc::new(Gate::default());
        let wait = async |others: usize| {
            gate.paused.store(others, Ordering::Relaxed);
            let began = Instant::now();
            gate.turn_away().await;
            assert_eq!(gate.paused.load(Ordering::Relaxed), others);
            began.elapsed()
        };
        assert_eq!(wait(0).await, Duration::from_millis(1));
        assert_eq!(wait(499).await, Duration::from_millis(500));
        assert_eq!(wait(5000).await, LONGEST);
        assert_eq!(wait(PAUSED).await, Duration::ZERO, "too many wait already");
        assert_eq!((gate.news(), gate.news()), (4, 0));
    }

    /// A closed loop of many who ask again at once gets no more refusals than the rate, and some.
    #[tokio::test(start_paused = true)]
    async fn a_flood_gets_so_many_refusals_a_second() {
        let gate = Arc::new(Gate::default());
        let end = Instant::now() + Duration::from_secs(5);
        let loops = (0..900).map(|_| {
            let gate = gate.clone();
            tokio::spawn(async move {
                while Instant::now() < end {
                    gate.turn_away().await;
                }
            })
        });
        for one in loops.collect::<Vec<_>>() {
            one.await.unwrap();
        }
        let all = gate.news();
        assert!((3000..9000).contains(&all), "{all} in five seconds");
    }
}
