//! How often a root key may be used: a bucket of calls for each, on each node.

use daypass_core::clock::{SignedDuration, Timestamp};
use daypass_core::held::LONGEST;
use daypass_core::upstream::Budget;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// The most root keys of which something is remembered. There are two for each issuer.
const KEYS: usize = 1_000;
/// Nobody waits longer than this for a call, in microseconds. A state that says so is of a clock that was set back since.
const MOST_PATIENT: i64 = 2_000_000;
/// Nor does a cloud want to be left alone for longer than this, as far as it is believed.
const LONGEST_REST: i64 = LONGEST as i64 * 1_000_000;

/// What is left to each root key. Issuers that use one root key share it, or the cloud counts them together and we do not.
#[derive(Clone, Default)]
pub struct Budgets(Arc<Mutex<HashMap<String, Left>>>);

/// What is known of one root key, in microseconds since the Unix epoch.
#[derive(Clone, Copy)]
struct Left {
    /// When the bucket is full again.
    full: i64,
    /// Until when the cloud wants to be left alone.
    rests: i64,
}

/// The right to make one call. It is given back if it is dropped unused.
pub(super) struct Call {
    budgets: Budgets,
    key: String,
    interval: i64,
    used: bool,
}

/// There is none, and there will be none for this long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Spent(pub(super) Duration);

impl Budgets {
    /// A call with this key, and how long to wait before it is made; none where that is longer than the patience.
    pub(super) fn take(
        &self,
        key: &str,
        budget: Budget,
        patience: Duration,
        now: Timestamp,
    ) -> Result<(Call, Duration), Spent> {
        let now = now.as_microsecond();
        let interval = 1_000_000 / i64::from(budget.per_second.max(1));
        let burst = interval * i64::from(budget.burst.max(1) - 1);
        let mut keys = self.0.lock();
        if keys.len() >= KEYS && !keys.contains_key(key) {
            keys.retain(|_, left| now < left.full.max(left.rests));
        }
        let left = keys.get(key).copied().unwrap_or(Left { full: now, rests: i64::MIN });
        let sane = |at: i64, most: i64| if at <= now + most { at.max(now) } else { now };
        let full = sane(left.full, burst + interval + MOST_PATIENT);
        let rests = sane(left.rests, LONGEST_REST);
        let wait = (full - burst).max(rests) - now;
        let wait = Duration::from_micros(u64::try_from(wait).unwrap_or_default());
        if wait > patience {
            return Err(Spent(wait));
        }
        keys.insert(key.to_owned(), Left { full: full + interval, rests: left.rests });
        Ok((Call { budgets: self.clone(), key: key.to_owned(), interval, used: false }, wait))
    }

    /// The cloud has said that this key asks too often: nobody here uses it before then.
    pub(super) fn rest(&self, key: &str, until: Timestamp) {
        let until = until.as_microsecond();
        let mut keys = self.0.lock();
        let left = keys.entry(key.to_owned()).or_insert(Left { full: i64::MIN, rests: until });
        left.rests = left.rests.max(until);
    }
}

impl Call {
    /// The call is made.
    pub(super) fn spend(mut self) {
        self.used = true;
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if !self.used
            && let Some(left) = self.budgets.0.lock().get_mut(&self.key)
        {
            left.full -= self.interval;
        }
    }
}

/// A wait as whole seconds, for `Retry-After`.
pub(super) fn whole_seconds(wait: Duration) -> u32 {
    u32::try_from(wait.as_millis().div_ceil(1000)).unwrap_or(u32::MAX)
}

/// The time that is so far ahead.
pub(super) fn from_now(now: Timestamp, wait: Duration) -> Timestamp {
    let wait = SignedDuration::try_from(wait).unwrap_or(SignedDuration::MAX);
    now.checked_add(wait).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use daypass_core::testing::START;

    const BUDGET: Budget = Budget { per_second: 10, burst: 3 };
    const SECOND: Duration = Duration::from_secs(1);

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millisecond(START.as_millisecond() + millis).unwrap()
    }

    fn take(budgets: &Budgets, patience: Duration, millis: i64) -> Result<u128, Spent> {
        let (call, wait) = budgets.take("AKIDroot", BUDGET, patience, at(millis))?;
        call.spend();
        Ok(wait.as_millis())
    }

    #[test]
    fn a_burst_is_free_and_then_calls_are_spread_out() {
        let budgets = Budgets::default();
        let waits: Vec<_> = (0..6).map(|_| take(&budgets, SECOND, 0)).collect();
        assert_eq!(waits, [Ok(0), Ok(0), Ok(0), Ok(100), Ok(200), Ok(300)]);
        assert_eq!(take(&budgets, Duration::ZERO, 0), Err(Spent(Duration::from_millis(400))));
        assert_eq!(take(&budgets, Duration::ZERO, 399), Err(Spent(Duration::from_millis(1))));
        assert_eq!(take(&budgets, Duration::ZERO, 400), Ok(0));
        assert_eq!(take(&budgets, SECOND, 60_000), Ok(0), "it fills up again");
        let waits: Vec<_> = (0..3).map(|_| take(&budgets, SECOND, 60_000)).collect();
        assert_eq!(waits, [Ok(0), Ok(0), Ok(100)], "and not beyond its burst");
    }

    #[test]
    fn a_second_of_patience_is_ten_calls_and_no_more() {
        let budgets = Budgets::default();
        let granted = (0..100).filter(|_| take(&budgets, SECOND, 0).is_ok()).count();
        assert_eq!(granted, 3 + 10);
    }

    #[test]
    fn keys_do_not_share_and_copies_do() {
        let budgets = Budgets::default();
        for _ in 0..3 {
            take(&budgets.clone(), Duration::ZERO, 0).unwrap();
        }
        assert!(take(&budgets, Duration::ZERO, 0).is_err());
        assert!(budgets.take("AKIDother", BUDGET, Duration::ZERO, at(0)).is_ok());
    }

    #[test]
    fn what_is_not_used_is_given_back() {
        let budgets = Budgets::default();
        for _ in 0..20 {
            drop(budgets.take("AKIDroot", BUDGET, Duration::ZERO, at(0)).unwrap());
        }
        let waits: Vec<_> = (0..4).map(|_| take(&budgets, SECOND, 0)).collect();
        assert_eq!(waits, [Ok(0), Ok(0), Ok(0), Ok(100)]);
    }

    #[test]
    fn a_key_that_asks_too_often_rests() {
        let budgets = Budgets::default();
        budgets.rest("AKIDroot", at(2_000));
        budgets.rest("AKIDroot", at(1_000));
        assert_eq!(take(&budgets, SECOND, 0), Err(Spent(Duration::from_secs(2))));
        assert_eq!(take(&budgets, SECOND, 1_500), Ok(500));
        assert!(budgets.take("AKIDother", BUDGET, Duration::ZERO, at(0)).is_ok());
    }

    #[test]
    fn a_clock_that_was_set_back_stops_nobody() {
        let budgets = Budgets::default();
        for _ in 0..13 {
            take(&budgets, SECOND, 3_000).unwrap();
        }
        assert_eq!(take(&budgets, SECOND, 0), Ok(0), "three seconds are more than anybody waits for");
        budgets.rest("AKIDroot", at(601_000));
        assert_eq!(take(&budgets, SECOND, 0), Ok(0), "and ten minutes more than any cloud is believed");
        assert!(take(&budgets, SECOND, 1_000).is_err());
    }

    #[test]
    fn a_budget_of_nothing_is_one_call_a_second() {
        let budgets = Budgets::default();
        let nothing = Budget { per_second: 0, burst: 0 };
        budgets.take("k", nothing, Duration::ZERO, at(0)).unwrap().0.spend();
        assert_eq!(budgets.take("k", nothing, Duration::ZERO, at(0)).err(), Some(Spent(SECOND)));
    }

    #[test]
    fn waits_are_told_in_whole_seconds() {
        assert_eq!([0, 1, 1000, 1001].map(|ms| whole_seconds(Duration::from_millis(ms))), [0, 1, 1, 2]);
        assert_eq!(from_now(at(0), SECOND), at(1_000));
    }
}
