//! The replay marks that other writers recorded.
//!
//! A mark has no index. What a process recorded itself, its pipeline remembers; what others recorded within the
//! window is loaded once when the process begins to write, and from then on each transaction looks only at rows
//! that others have added since. With one server that is never any, and looking costs nothing.

use super::fault::Fault;
use super::read::first_since;
use daypass_core::replay::{Mark, WINDOW};
use rusqlite::Connection;
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
    pub(super) fn cover(&mut self, connection: &Connection, at: i64) -> Result<(), Fault> {
        let from = at.saturating_sub(WINDOW_MILLIS);
        if from < self.from {
            self.load(connection, first_since(connection, from)?)?;
            self.from = from;
        }
        Ok(())
    }

    /// Takes up what others recorded from this position on.
    pub(super) fn load(&mut self, connection: &Connection, position: i64) -> Result<(), Fault> {
        let mut statement = connection.prepare_cached(
            "SELECT mark, at FROM records WHERE position >= ? AND writer <> ? AND mark IS NOT NULL",
        )?;
        let mut rows = statement.query([position, self.number])?;
        while let Some(row) = rows.next()? {
            let (mark, at): (Mark, i64) = (row.get(0)?, row.get(1)?);
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
