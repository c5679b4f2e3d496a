//! The replay marks that other writers recorded.
//!
//! A mark has no index. What a process recorded itself, its pipeline remembers; what others recorded within the window is
//! loaded once when the process begins to write, and from then on each transaction looks only at rows that others have added
//! since. That none is missed follows from the lock that every writer takes: what it finds behind its last position is all
//! there is.

use super::fault::{Fault, bytes, column};
use super::read::first_since;
use daypass_core::replay::{Mark, WINDOW};
use deadpool_postgres::GenericClient;
use std::collections::HashMap;

const WINDOW_MILLIS: i64 = WINDOW as i64 * 1000;

/// How often marks that have left the window are thrown out, in milliseconds of the records' time.
const SWEEP: i64 = WINDOW_MILLIS / 4;

/// Marks of other writers, with the time each was first recorded.
pub(super) struct Others {
    number: i64,
    first: HashMap<Mark, i64>,
    /// Every record at or after this time has been looked at.
    from: i64,
    swept: i64,
}

impl Others {
    /// The others than the writer of this number; nothing is loaded yet.
    pub(super) fn than(number: i64) -> Self {
        Self { number, first: HashMap::new(), from: i64::MAX, swept: i64::MIN }
    }

    /// Makes sure that every mark within the window before `at` is known. Costs nothing unless the time goes back.
    pub(super) async fn cover(&mut self, client: &impl GenericClient, at: i64) -> Result<(), Fault> {
        let from = at.saturating_sub(WINDOW_MILLIS);
        if from < self.from {
            let first = first_since(client, from).await?;
            self.load(client, first).await?;
            self.from = from;
        }
        Ok(())
    }

    /// Takes up what others recorded from this position on.
    pub(super) async fn load(&mut self, client: &impl GenericClient, position: i64) -> Result<(), Fault> {
        let select = client
            .prepare_cached(
                "SELECT mark, at FROM records WHERE position >= $1 AND writer <> $2 AND mark IS NOT NULL",
            )
            .await?;
        for row in client.query(&select, &[&position, &self.number]).await? {
            let (mark, at): (Mark, i64) = (bytes(&row, 0)?, column(&row, 1)?);
            self.first.entry(mark).and_modify(|first| *first = at.min(*first)).or_insert(at);
        }
        Ok(())
    }

    /// When another writer first recorded this mark, if that was within the window before `at`.
    pub(super) fn seen(&mut self, mark: &Mark, at: i64) -> Option<i64> {
        if self.first.is_empty() {
            return None;
        }
        let end = at.saturating_sub(WINDOW_MILLIS);
        if at.saturating_sub(SWEEP) > self.swept {
            self.first.retain(|_, first| *first >= end);
            self.from = self.from.max(end);
            self.swept = at;
        }
        self.first.get(mark).copied().filter(|first| *first >= end)
    }
}
