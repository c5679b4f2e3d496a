//! What time it is.

use serde_json::Value;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Where the time comes from. Tests bring their own, so that none of them waits.
pub trait Clock: Send + Sync {
    /// The time now.
    fn now(&self) -> SystemTime;
}

/// The machine's own clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the clock that everything else takes as an argument"
    )]
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }
}

/// The end of the year 9999, in seconds since 1970. What lies beyond is no date but an attempt at an overflow.
const LAST: u64 = 253_402_300_799;

/// Time since 1970; a clock before that is at 1970.
pub(crate) fn since_epoch(time: SystemTime) -> Duration {
    time.duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// A `NumericDate` (RFC 7519, section 2): seconds since 1970, whole or with a fraction. None for anything else, a
/// number in a string included.
pub(crate) fn numeric_date(value: &Value) -> Option<Duration> {
    let Value::Number(number) = value else { return None };
    let since = match number.as_u64() {
        Some(seconds) => Duration::from_secs(seconds),
        None => Duration::try_from_secs_f64(number.as_f64()?).ok()?,
    };
    (since.as_secs() <= LAST).then_some(since)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn dates_are_numbers_between_1970_and_9999() {
        assert_eq!(numeric_date(&json!(0)), Some(Duration::ZERO));
        assert_eq!(numeric_date(&json!(1.5)), Some(Duration::from_millis(1500)));
        assert_eq!(numeric_date(&json!(LAST)), Some(Duration::from_secs(LAST)));
        for wrong in
            [json!(LAST + 1), json!(-1), json!(-0.5), json!(1e300), json!("1"), json!(null), json!([1])]
        {
            assert_eq!(numeric_date(&wrong), None, "{wrong}");
        }
    }

    #[test]
    fn the_system_clock_moves_on() {
        let first = SystemClock.now();
        assert!(since_epoch(first) > Duration::from_secs(1_700_000_000));
        assert!(SystemClock.now() >= first);
        assert_eq!(since_epoch(UNIX_EPOCH - Duration::from_secs(1)), Duration::ZERO);
    }
}
