//! Time as an argument.

mod steady;

pub use steady::{AHEAD, BEHIND, BELIEVED_AFTER, JUMP, Steady};

pub use jiff::{SignedDuration, Timestamp};

/// Where the present comes from. The server passes the wall clock, a test passes a fixed one.
pub trait Clock: Send + Sync {
    /// The present instant.
    fn now(&self) -> Timestamp;

    /// Whether somebody moves it to and fro on purpose, as the date of a fake cloud: then it is not held to the latest time that
    /// it has shown. No clock of a service that gives away anything real says so.
    fn is_played_with(&self) -> bool {
        false
    }
}

/// Seconds since the Unix epoch, the unit of every vendor's `ExpiredTime`.
pub fn unix(at: Timestamp) -> i64 {
    at.as_second()
}

/// UTC to the second with `Z`: `2026-11-22T06:04:25Z`.
///
/// No fraction: the official Alibaba credential library and the Tencent Go provider parse this form only.
pub fn rfc3339(at: Timestamp) -> String {
    Timestamp::from_second(at.as_second()).unwrap_or(at).to_string()
}

/// The instant `seconds` later, saturating at the end of time.
pub fn after(at: Timestamp, seconds: u32) -> Timestamp {
    at.checked_add(SignedDuration::from_secs(i64::from(seconds))).unwrap_or(Timestamp::MAX)
}

/// So many seconds earlier, or the beginning of time.
pub fn before(at: Timestamp, seconds: u32) -> Timestamp {
    at.checked_sub(SignedDuration::from_secs(i64::from(seconds))).unwrap_or(Timestamp::MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_written_to_the_second() {
        let at: Timestamp = "2026-11-22T06:04:25.999Z".parse().unwrap();
        assert_eq!(rfc3339(at), "2026-11-22T06:04:25Z");
        assert_eq!(unix(at), 1_795_327_465);
        assert_eq!(rfc3339(after(at, 60)), "2026-11-22T06:05:25Z");
    }
}
