//! When the requests of an open loop are due.
//!
//! A closed loop sends its next request when the last one is answered, so a server that stalls is asked less and
//! its stall is seen by one request a connection. Users do not wait for each other: an open loop sends on a fixed
//! schedule, and counts latency from the moment a request *should* have been sent. What could not be sent in time,
//! because every connection was waiting, stays due.

use std::time::Duration;

/// A fixed schedule: so many requests a second, for so long.
#[derive(Clone, Debug)]
pub(crate) struct Schedule {
    per_second: u64,
    total: u64,
    next: u64,
}

impl Schedule {
    /// A schedule of `per_second` requests a second for `length`. At least one request is due.
    pub(crate) fn new(per_second: u64, length: Duration) -> Self {
        let per_second = per_second.max(1);
        let total = u128::from(per_second) * length.as_nanos() / 1_000_000_000;
        Self { per_second, total: u64::try_from(total).unwrap_or(u64::MAX).max(1), next: 0 }
    }

    /// How many requests it has.
    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    /// The next request if it is due: when it should have been sent, from the start. Each is given once, in order;
    /// one that is late is given with the time it was due at.
    pub(crate) fn take(&mut self, now: Duration) -> Option<Duration> {
        let due = self.due(self.next);
        if self.next == self.total || due > now {
            return None;
        }
        self.next += 1;
        Some(due)
    }

    /// Whether every request was given out.
    pub(crate) fn is_over(&self) -> bool {
        self.next == self.total
    }

    /// Calculated from the start for each request, so that no rounding adds up.
    fn due(&self, index: u64) -> Duration {
        let nanos = u128::from(index) * 1_000_000_000 / u128::from(self.per_second);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn requests_are_due_at_fixed_times() {
        let mut schedule = Schedule::new(1_000, 3 * MS);
        assert_eq!(schedule.total(), 3);
        assert_eq!(schedule.take(Duration::ZERO), Some(Duration::ZERO));
        assert_eq!(schedule.take(Duration::ZERO), None, "the second is not due yet");
        assert_eq!(schedule.take(MS), Some(MS));
        assert_eq!(schedule.take(2 * MS), Some(2 * MS));
        assert!(schedule.is_over());
        assert_eq!(schedule.take(100 * MS), None);
    }

    #[test]
    fn what_could_not_be_sent_in_time_stays_due_since_then() {
        let mut schedule = Schedule::new(1_000, 100 * MS);
        assert_eq!(schedule.take(Duration::ZERO), Some(Duration::ZERO));
        // Every connection was busy for 60 ms: sixty requests are late, each by its own time.
        let late: Vec<_> = std::iter::from_fn(|| schedule.take(60 * MS)).collect();
        assert_eq!(late, (1..=60).map(|ms| ms * MS).collect::<Vec<_>>());
        assert!(!schedule.is_over());
    }

    #[test]
    fn nothing_is_rounded_away() {
        let mut schedule = Schedule::new(3, Duration::from_secs(10));
        assert_eq!(schedule.total(), 30);
        let all: Vec<_> = std::iter::from_fn(|| schedule.take(Duration::from_secs(10))).collect();
        assert_eq!(all.len(), 30);
        assert_eq!(all[27], Duration::from_secs(9), "a third of a second does not add up to less");
    }

    #[test]
    fn there_is_always_a_request() {
        assert_eq!(Schedule::new(0, Duration::ZERO).total(), 1);
    }

    proptest! {
        #[test]
        fn every_request_is_given_once_in_order_and_not_early(
            rate in 1_u64..100_000,
            length in 0_u64..200,
            steps in prop::collection::vec(0_u64..20, 1..40),
        ) {
            let mut schedule = Schedule::new(rate, Duration::from_millis(length));
            let mut now = Duration::ZERO;
            let mut given = Vec::new();
            for step in steps {
                now += Duration::from_millis(step);
                while let Some(due) = schedule.take(now) {
                    prop_assert!(due <= now);
                    given.push(due);
                }
            }
            prop_assert!(given.is_sorted());
            prop_assert!(u64::try_from(given.len()).unwrap() <= schedule.total());
            prop_assert_eq!(schedule.is_over(), u64::try_from(given.len()).unwrap() == schedule.total());
        }
    }
}
