//! The present, of which a measurement is made. The one place of this crate that reads it.

use daypass_core::clock::Timestamp;
use std::time::{Duration, Instant};

/// The monotonic clock.
#[expect(clippy::disallowed_methods, reason = "a bench measures real time")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// The wall clock, which requests are stamped with.
#[expect(clippy::disallowed_methods, reason = "requests are signed with the real time, as a client does")]
pub(crate) fn wall() -> Timestamp {
    Timestamp::now()
}

/// The CPU time that this thread has used.
pub(crate) fn thread_cpu() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    let (seconds, nanos) = (u64::try_from(time.tv_sec), u32::try_from(time.tv_nsec));
    Duration::new(seconds.unwrap_or_default(), nanos.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_do_not_go_backwards() {
        let (real, cpu) = (now(), thread_cpu());
        let mut sum = 0_u64;
        while thread_cpu() == cpu {
            sum = std::hint::black_box(sum.wrapping_add(1));
        }
        assert!(thread_cpu() > cpu && now() >= real);
        assert!(wall() > Timestamp::UNIX_EPOCH);
    }
}
