//! Not asking a server over and over that has just not let us in.
//!
//! Thousands of requests a second come to a writer whose database has gone away, and each would try to connect. A server that is
//! starting then has more to do with refusing than with starting; and all nodes would come at the same moment.

use daypass_core::store::StoreError;
use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;
use tokio::time::Instant;

/// How long after the first failure it is tried again; after each further one twice as long.
const FIRST: Duration = Duration::from_millis(20);

/// The longest, so that the service is back soon after the server.
const LONGEST: Duration = Duration::from_millis(400);

/// When it is tried again, and what is said until then.
#[derive(Default)]
pub(super) struct Backoff {
    failures: u32,
    until: Option<(Instant, StoreError)>,
    /// Each process waits a little longer or shorter than the others.
    chance: RandomState,
}

impl Backoff {
    /// Whether it may be tried; if not, why it failed last.
    pub(super) fn open(&self) -> Result<(), StoreError> {
        match &self.until {
            Some((until, error)) if Instant::now() < *until => Err(error.clone()),
            _ => Ok(()),
        }
    }

    /// It was tried, and failed.
    pub(super) fn failed(&mut self, error: &StoreError) {
        let doubled = FIRST.saturating_mul(1 << self.failures.min(8));
        // Between half of it and all of it.
        let half = doubled.min(LONGEST) / 2;
        let part = u32::try_from(self.chance.hash_one(self.failures) % 1000).unwrap_or_default();
        self.failures = self.failures.saturating_add(1);
        self.until = Some((Instant::now() + half + half * part / 1000, error.clone()));
    }

    /// It was tried, and did not fail. Says whether it had before.
    pub(super) fn well(&mut self) -> bool {
        self.until = None;
        std::mem::take(&mut self.failures) > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_is_tried_less_and_less_often_but_often_enough() {
        let error = StoreError::Unavailable("connection refused".into());
        let mut backoff = Backoff::default();
        assert_eq!(backoff.open(), Ok(()));
        let (mut tries, mut gaps) = (0, Vec::new());
        let begun = Instant::now();
        let mut last = begun;
        while begun.elapsed() < Duration::from_secs(10) {
            if backoff.open().is_ok() {
                backoff.failed(&error);
                tries += 1;
                gaps.push(last.elapsed());
                last = Instant::now();
                assert_eq!(backoff.open(), Err(error.clone()));
            }
            tokio::time::advance(Duration::from_millis(1)).await;
        }
        assert!((25..=60).contains(&tries), "{tries}");
        assert!(gaps.iter().all(|gap| *gap <= LONGEST + Duration::from_millis(1)), "{gaps:?}");
        assert!(backoff.well() && !backoff.well());
        assert_eq!(backoff.open(), Ok(()));
    }
}
