//! How much may be asked for and made: rates, daily quotas, and whom they are of.
//!
//! A *rate* counts what is asked for, given or refused, because every ask costs a decision and a record. A *daily quota*
//! counts the credentials that were made. Questions (who am I, introspection, verification) count in neither: they cost
//! no record, and what protects the service from too many of them is that it sheds what it cannot serve.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// The largest number in a rate: more than this is no bound any more, and its steps would be shorter than the clock's.
pub const LARGEST: u32 = 1_000_000;

/// The largest daily quota; below it, no sum over nodes overflows.
pub const LARGEST_DAILY: u64 = 1_000_000_000_000;

/// So many in a time on the long run, and so many at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct Rate {
    count: u32,
    per: Per,
    burst: u32,
}

/// The time of a rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Per {
    /// A second.
    Second,
    /// A minute.
    Minute,
    /// An hour.
    Hour,
}

impl Per {
    /// How long it is.
    pub fn duration(self) -> Duration {
        match self {
            Self::Second => Duration::from_secs(1),
            Self::Minute => Duration::from_mins(1),
            Self::Hour => Duration::from_hours(1),
        }
    }

    fn letter(self) -> &'static str {
        match self {
            Self::Second => "s",
            Self::Minute => "m",
            Self::Hour => "h",
        }
    }
}

/// A rate as it stands in a client's document.
#[derive(Serialize, Deserialize)]
struct Written {
    count: u32,
    per: Per,
    burst: u32,
}

impl From<Rate> for Written {
    fn from(Rate { count, per, burst }: Rate) -> Self {
        Self { count, per, burst }
    }
}

impl TryFrom<Written> for Rate {
    type Error = BadRate;

    fn try_from(Written { count, per, burst }: Written) -> Result<Self, BadRate> {
        Self::new(count, per, Some(burst))
    }
}

/// What is not a rate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadRate {
    /// It has another form.
    #[error(
        "a rate is a number for each second, or one with a time behind it: 50, `50/s`, `600/m`, `1000/h`"
    )]
    Form,
    /// Its number is none or too large.
    #[error("the number of a rate is 1 to {LARGEST}")]
    Count,
    /// Its burst is none or too large.
    #[error("a burst is 1 to {LARGEST}")]
    Burst,
}

impl Rate {
    /// So many in this time. At once go as many as in one such time, unless `burst` says otherwise.
    pub fn new(count: u32, per: Per, burst: Option<u32>) -> Result<Self, BadRate> {
        let burst = burst.unwrap_or(count);
        match (1..=LARGEST).contains(&count) {
            false => Err(BadRate::Count),
            true if !(1..=LARGEST).contains(&burst) => Err(BadRate::Burst),
            true => Ok(Self { count, per, burst }),
        }
    }

    /// So many in a minute, and as many at once.
    pub fn per_minute(count: u32) -> Self {
        let count = count.clamp(1, LARGEST);
        Self { count, per: Per::Minute, burst: count }
    }

    /// Reads `50`, `50/s`, `600/m` or `1000/h`.
    pub fn parse(text: &str, burst: Option<u32>) -> Result<Self, BadRate> {
        let (count, per) = match text.split_once('/') {
            None => (text, Per::Second),
            Some((count, "s")) => (count, Per::Second),
            Some((count, "m")) => (count, Per::Minute),
            Some((count, "h")) => (count, Per::Hour),
            Some(_) => return Err(BadRate::Form),
        };
        if count.is_empty() || !count.bytes().all(|digit| digit.is_ascii_digit()) {
            return Err(BadRate::Form);
        }
        Self::new(count.parse().map_err(|_| BadRate::Count)?, per, burst)
    }

    /// How many go at once.
    pub fn burst(self) -> u32 {
        self.burst
    }

    /// How many in a second, on the long run.
    pub fn per_second(self) -> f64 {
        f64::from(self.count) / self.per.duration().as_secs_f64()
    }

    /// The time in which one more becomes free, in nanoseconds; at least a thousand.
    pub(crate) fn interval(self) -> i64 {
        let nanos = self.per.duration().as_nanos() / u128::from(self.count);
        i64::try_from(nanos).unwrap_or(i64::MAX)
    }

    /// The time in which all that go at once become free again, in nanoseconds.
    pub(crate) fn tolerance(self) -> i64 {
        self.interval().saturating_mul(i64::from(self.burst))
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.count, self.per.letter())?;
        if self.burst == self.count { Ok(()) } else { write!(f, " and {} at once", self.burst) }
    }
}

/// What one of whomever it is of may have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limit {
    /// How fast may be asked; none for no bound.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<Rate>,
    /// How many credentials are made in a UTC day; none for no bound.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub daily: Option<u64>,
}

impl Limit {
    /// Whether it bounds nothing.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// This one, and where it says nothing, that of someone less near.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self { rate: self.rate.or(other.rate), daily: self.daily.or(other.daily) }
    }

    /// A rate alone, of so many a minute.
    pub(crate) fn per_minute(count: Option<u32>) -> Self {
        Self { rate: count.map(Rate::per_minute), daily: None }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.rate, self.daily) {
            (None, None) => f.write_str("no limit"),
            (Some(rate), None) => write!(f, "{rate}"),
            (None, Some(daily)) => write!(f, "{daily} a day"),
            (Some(rate), Some(daily)) => write!(f, "{rate}, {daily} a day"),
        }
    }
}

/// What each of a kind may have, as one place of the configuration says: the service for all, a tenant for those in it,
/// an endpoint for those who come to it. The nearest one that says something counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bounds {
    /// A tenant, all its clients and endpoints together.
    pub tenant: Limit,
    /// A client.
    pub client: Limit,
    /// A subject at an endpoint, or of an outside provider.
    pub subject: Limit,
    /// A source network (/24 of IPv4, /48 of IPv6): at an endpoint of visitors, or with all clients of a tenant.
    pub network: Limit,
    /// An endpoint.
    pub endpoint: Limit,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_reads_back_as_it_is_shown() {
        for (text, burst, shown, nanos) in [
            ("50", None, "50/s", 20_000_000),
            ("50/s", Some(100), "50/s and 100 at once", 20_000_000),
            ("600/m", None, "600/m", 100_000_000),
            ("1/h", Some(3), "1/h and 3 at once", 3_600_000_000_000),
            ("1000000", None, "1000000/s", 1000),
        ] {
            let rate = Rate::parse(text, burst).unwrap();
            assert_eq!((rate.to_string().as_str(), rate.interval()), (shown, nanos));
            assert_eq!(rate.tolerance(), nanos * i64::from(rate.burst()));
            let document = serde_json::to_string(&rate).unwrap();
            assert_eq!(serde_json::from_str::<Rate>(&document).unwrap(), rate, "{document}");
        }
    }

    #[test]
    fn what_is_no_rate_is_refused() {
        for (text, burst, fault) in [
            ("", None, BadRate::Form),
            ("/s", None, BadRate::Form),
            ("-1", None, BadRate::Form),
            ("+1", None, BadRate::Form),
            ("1.5", None, BadRate::Form),
            ("5/d", None, BadRate::Form),
            ("5/s/m", None, BadRate::Form),
            ("0", None, BadRate::Count),
            ("1000001", None, BadRate::Count),
            ("99999999999999999999", None, BadRate::Count),
            ("5", Some(0), BadRate::Burst),
            ("5", Some(1_000_001), BadRate::Burst),
        ] {
            assert_eq!(Rate::parse(text, burst), Err(fault), "{text} {burst:?}");
        }
        for document in [
            r#"{"count":0,"per":"second","burst":1}"#,
            r#"{"count":1,"per":"second","burst":0}"#,
            r#"{"count":1,"per":"day","burst":1}"#,
        ] {
            assert!(serde_json::from_str::<Rate>(document).is_err(), "{document}");
        }
    }

    #[test]
    fn the_nearest_says_each_part_by_itself() {
        let near = Limit { rate: Some(Rate::per_minute(5)), daily: None };
        let far = Limit { rate: Some(Rate::per_minute(9)), daily: Some(100) };
        assert_eq!(near.or(far), Limit { daily: Some(100), ..near });
        assert_eq!(Limit::default().or(far), far);
        assert_eq!(near.or(far).to_string(), "5/m, 100 a day");
        assert_eq!(Limit { rate: None, ..far }.to_string(), "100 a day");
        assert!(Limit::default().is_none() && Limit::per_minute(None).is_none());
        assert_eq!(serde_json::to_string(&Limit::default()).unwrap(), "{}");
    }
}
