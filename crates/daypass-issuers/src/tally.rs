//! What is counted of each cloud behind Daypass, for whoever shows it.

use crate::fault::FaultKind;
use daypass_core::clock::Timestamp;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

/// The label of a call that gave a credential. The others are those of [`FaultKind`].
pub const OK: &str = "ok";

/// Upper bounds of the histogram of calls, in seconds. A cloud answers in tens of milliseconds to some seconds.
pub const BOUNDS: [f64; 10] = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// Results of a call: [`OK`] and every fault.
const RESULTS: usize = 1 + FaultKind::ALL.len();

/// How a credential came to whoever asked for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HandedOut {
    /// The cloud was asked for it on behalf of this request.
    Fresh,
    /// It had been kept.
    Kept,
    /// The cloud was being asked already on behalf of another request.
    Waited,
    /// It had been kept, and the cloud does not give a newer one at present.
    Stale,
}

impl HandedOut {
    /// Every way, in the order of their numbers.
    pub const ALL: [Self; 4] = [Self::Fresh, Self::Kept, Self::Waited, Self::Stale];

    /// The label.
    pub fn label(self) -> &'static str {
        match self {
            Self::Fresh => "fresh",
            Self::Kept => "kept",
            Self::Waited => "waited",
            Self::Stale => "stale",
        }
    }
}

/// The counters of one issuer, from the start of the process.
pub struct Tally {
    issuer: String,
    calls: [AtomicU64; RESULTS],
    handed_out: [AtomicU64; HandedOut::ALL.len()],
    /// Calls by how long they took: up to each bound, and beyond the last.
    buckets: [AtomicU64; BOUNDS.len() + 1],
    millis: AtomicU64,
    /// Milliseconds since the Unix epoch; 0 for never.
    succeeded: AtomicI64,
}

/// How long calls took.
#[derive(Clone, Debug, PartialEq)]
pub struct Seconds {
    /// For each of [`BOUNDS`], how many took that long or less.
    pub buckets: Vec<(f64, u64)>,
    /// How many there were.
    pub count: u64,
    /// How long they took together, in seconds.
    pub sum: f64,
}

impl Tally {
    /// For the issuer of this name.
    pub fn new(issuer: impl Into<String>) -> Self {
        let zero = |_| AtomicU64::new(0);
        Self {
            issuer: issuer.into(),
            calls: std::array::from_fn(zero),
            handed_out: std::array::from_fn(zero),
            buckets: std::array::from_fn(zero),
            millis: AtomicU64::new(0),
            succeeded: AtomicI64::new(0),
        }
    }

    /// The issuer's name.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// How many calls ended in which way, by [`OK`] and the labels of [`FaultKind`]. `budget` and `no_key` count calls that
    /// were not made.
    pub fn calls(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let labels = std::iter::once(OK).chain(FaultKind::ALL.iter().map(|kind| kind.label()));
        labels.zip(self.calls.iter().map(|count| count.load(Ordering::Relaxed)))
    }

    /// How many credentials were handed out in which way.
    pub fn handed_out(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let labels = HandedOut::ALL.iter().map(|way| way.label());
        labels.zip(self.handed_out.iter().map(|count| count.load(Ordering::Relaxed)))
    }

    /// How long the calls took.
    pub fn seconds(&self) -> Seconds {
        let mut so_far = 0;
        let mut counts = self.buckets.iter().map(|bucket| {
            so_far += bucket.load(Ordering::Relaxed);
            so_far
        });
        let buckets = BOUNDS.iter().copied().zip(&mut counts).collect();
        let count = counts.last().unwrap_or_default();
        let millis = self.millis.load(Ordering::Relaxed);
        Seconds { buckets, count, sum: seconds_of(millis) }
    }

    /// When a call last gave a credential.
    pub fn last_success(&self) -> Option<Timestamp> {
        let millis = self.succeeded.load(Ordering::Relaxed);
        if millis == 0 { None } else { Timestamp::from_millisecond(millis).ok() }
    }

    /// A call was made at one time and over at another.
    pub(crate) fn called(&self, result: Result<(), FaultKind>, from: Timestamp, to: Timestamp) {
        let millis = to.as_millisecond().saturating_sub(from.as_millisecond());
        // A clock that was set back during the call.
        let millis = u64::try_from(millis).unwrap_or_default();
        let place = BOUNDS.iter().position(|bound| seconds_of(millis) <= *bound).unwrap_or(BOUNDS.len());
        add(&self.buckets, place, 1);
        self.millis.fetch_add(millis, Ordering::Relaxed);
        match result {
            Ok(()) => {
                add(&self.calls, 0, 1);
                self.succeeded.store(to.as_millisecond(), Ordering::Relaxed);
            }
            Err(kind) => self.not_called(kind),
        }
    }

    /// A call was not made, or failed.
    pub(crate) fn not_called(&self, kind: FaultKind) {
        // A kind's number is its place in `FaultKind::ALL`.
        add(&self.calls, 1 + kind as usize, 1);
    }

    /// A credential was handed out.
    pub(crate) fn hand_out(&self, way: HandedOut) {
        add(&self.handed_out, way as usize, 1);
    }
}

fn add(counters: &[AtomicU64], place: usize, n: u64) {
    if let Some(counter) = counters.get(place) {
        counter.fetch_add(n, Ordering::Relaxed);
    }
}

/// Milliseconds as seconds: exact up to 49 days.
fn seconds_of(millis: u64) -> f64 {
    f64::from(u32::try_from(millis % 4_000_000_000).unwrap_or(u32::MAX)) / 1000.0
        + f64::from(u32::try_from(millis / 4_000_000_000).unwrap_or(u32::MAX)) * 4_000_000.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use daypass_core::testing::START;
    use std::collections::BTreeMap;

    fn later(millis: i64) -> Timestamp {
        Timestamp::from_millisecond(START.as_millisecond() + millis).unwrap()
    }

    #[test]
    fn a_kinds_number_is_its_place() {
        for (place, kind) in FaultKind::ALL.iter().enumerate() {
            assert_eq!(*kind as usize, place);
        }
        for (place, way) in HandedOut::ALL.iter().enumerate() {
            assert_eq!(*way as usize, place);
        }
    }

    #[test]
    fn every_call_counts_once_by_its_result() {
        let tally = Tally::new("main");
        assert_eq!(tally.last_success(), None);
        tally.called(Ok(()), START, later(20));
        tally.called(Ok(()), START, later(30));
        tally.called(Err(FaultKind::NoKey), START, later(40));
        tally.not_called(FaultKind::Unreached);
        let calls: BTreeMap<_, _> = tally.calls().filter(|(_, n)| *n > 0).collect();
        assert_eq!(calls, [("ok", 2), ("no_key", 1), ("unreached", 1)].into());
        assert_eq!(tally.calls().count(), FaultKind::ALL.len() + 1);
        assert_eq!(tally.last_success(), Some(later(30)), "a failure is no success");
        assert_eq!(tally.issuer(), "main");
    }

    #[test]
    fn the_histogram_is_cumulative_and_takes_what_is_beyond_it() {
        let tally = Tally::new("main");
        for millis in [10, 11, 10_001, -5] {
            tally.called(Ok(()), START, later(millis));
        }
        let seconds = tally.seconds();
        assert_eq!(seconds.buckets.len(), BOUNDS.len());
        assert_eq!(
            seconds.buckets[0],
            (0.01, 2),
            "the bound belongs to it, and a clock set back counts as none"
        );
        assert_eq!(seconds.buckets[1], (0.025, 3));
        assert_eq!(seconds.buckets[9], (10.0, 3));
        assert_eq!(seconds.count, 4);
        assert!((seconds.sum - 10.022).abs() < 1e-9, "{}", seconds.sum);
    }

    #[test]
    fn what_is_handed_out_counts_by_how_it_came() {
        let tally = Tally::new("main");
        for way in [HandedOut::Stale, HandedOut::Kept, HandedOut::Kept, HandedOut::Waited, HandedOut::Fresh] {
            tally.hand_out(way);
        }
        let counts: Vec<_> = tally.handed_out().collect();
        assert_eq!(counts, [("fresh", 1), ("kept", 2), ("waited", 1), ("stale", 1)]);
    }
}
