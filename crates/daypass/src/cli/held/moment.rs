//! When something was received, so that its age can be told even where the wall clock was changed in between.

use crate::system::SystemClock;
use daypass_core::clock::{Clock as _, unix};
use rustix::time::{ClockId, clock_gettime};

/// An instant by two clocks: the wall's, which people and programs change, and the one that counts from the machine's
/// start and cannot be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moment {
    /// Seconds since the Unix epoch.
    pub(super) wall: i64,
    /// Seconds since the machine started, its sleep included.
    pub(super) up: i64,
}

/// Linux counts sleep in a clock of its own; elsewhere the nearest there is.
#[cfg(target_os = "linux")]
const SINCE_START: ClockId = ClockId::Boottime;
#[cfg(not(target_os = "linux"))]
const SINCE_START: ClockId = ClockId::Monotonic;

impl Moment {
    /// The present.
    pub(super) fn now() -> Self {
        Self { wall: unix(SystemClock.now()), up: clock_gettime(SINCE_START).tv_sec }
    }

    /// Seconds from `earlier` to this moment: the longer of what the two clocks say, so that a clock which was set back
    /// makes nothing younger. Nothing where the wall clock lies before `earlier`: its age is then not known.
    pub(super) fn since(self, earlier: Self) -> Option<i64> {
        // Time servers correct a clock by less than this; people set it back by more.
        const STEP: i64 = 5;
        let wall = self.wall.saturating_sub(earlier.wall);
        // After a restart of the machine the second clock may be anywhere; it can then only make things older.
        let up = self.up.saturating_sub(earlier.up);
        (wall >= -STEP).then_some(wall.max(up).max(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(wall: i64, up: i64) -> Moment {
        Moment { wall, up }
    }

    #[test]
    fn age_is_the_longer_of_two() {
        let made = at(1_000_000, 500);
        for (now, age) in [
            (at(1_000_060, 560), Some(60)),
            // Set back by fifty seconds: still a minute old.
            (at(1_000_010, 560), Some(60)),
            // Set forward: old, which costs a question and is never wrong.
            (at(1_009_000, 560), Some(9000)),
            // A restart: the second clock begins anew.
            (at(1_000_060, 3), Some(60)),
            (at(999_998, 500), Some(0)),
            (at(999_000, 560), None),
        ] {
            assert_eq!(now.since(made), age, "{now:?}");
        }
    }

    #[test]
    fn the_present_does_not_run_backwards() {
        let (first, second) = (Moment::now(), Moment::now());
        assert!(matches!(second.since(first), Some(0..=5)));
        assert!(first.up > 0);
    }
}
