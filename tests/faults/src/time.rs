//! The present, and waiting: the one place of this crate that reads a clock.

use daypass_core::clock::Timestamp;
use std::time::{Duration, Instant};

/// How often something that is waited for is looked at.
const LOOK: Duration = Duration::from_millis(10);

/// The monotonic clock.
#[expect(clippy::disallowed_methods, reason = "faults happen in real time")]
pub fn now() -> Instant {
    Instant::now()
}

/// The wall clock, which requests are stamped with.
#[expect(clippy::disallowed_methods, reason = "requests are signed with the real time, as a client does")]
pub fn wall() -> Timestamp {
    Timestamp::now()
}

/// Sleeps.
pub fn pause(time: Duration) {
    std::thread::sleep(time);
}

/// Waits until something holds, for so long at most. Gives how long it took, or none where it did not come.
pub fn until(patience: Duration, mut holds: impl FnMut() -> bool) -> Option<Duration> {
    let begin = now();
    loop {
        if holds() {
            return Some(begin.elapsed());
        }
        if begin.elapsed() >= patience {
            return None;
        }
        pause(LOOK);
    }
}
