//! Merging the log into the file, so that neither the log nor the next start grows without bound.
//!
//! The writer does it between two commits, after everyone in the last batch has been answered. A thread of its own
//! measured no better: its syncs share the disk with the commits', and since the log grows while it works, the
//! writer has to finish what it began. A longer log means fewer merges, each of which holds up the requests behind
//! it for longer. Figures are in `docs/decisions/0003-one-sqlite-database.md`.

use super::fault::Fault;
use rusqlite::Connection;

/// The log is merged when it is longer, in pages of 4 KiB.
const LOG: i64 = 1000;

/// How many commits pass between two looks at the log's length; one commit adds a few hundred pages at most.
const LOOK_EVERY: u32 = 16;

/// Past this length something keeps the log from being merged, and it is time to tell.
const TOO_LONG: i64 = 64 * LOG;

/// Knows when to merge.
#[derive(Default)]
pub(super) struct Checkpoints {
    commits: u32,
    told: bool,
}

impl Checkpoints {
    /// Merges the log if it has grown long.
    pub(super) fn after_commit(&mut self, connection: &Connection) -> Result<(), Fault> {
        self.commits = self.commits.wrapping_add(1);
        if !self.commits.is_multiple_of(LOOK_EVERY)
            || length(connection, "PRAGMA wal_checkpoint(NOOP)")? < LOG
        {
            return Ok(());
        }
        // PASSIVE waits for nobody. When it has merged everything, the next commit begins the log anew.
        let length = length(connection, "PRAGMA wal_checkpoint(PASSIVE)")?;
        if length > TOO_LONG && !self.told {
            tracing::warn!(
                pages = length,
                "the log grows: another program holds an old state of the store open"
            );
        }
        self.told = length > TOO_LONG;
        Ok(())
    }
}

/// The log's length in pages, after this statement has done what it does.
fn length(connection: &Connection, pragma: &str) -> Result<i64, Fault> {
    Ok(connection.prepare_cached(pragma)?.query_row([], |row| row.get(1))?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::schema::{log_path, prepare};

    #[test]
    fn the_log_stays_bounded_however_much_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let connection = prepare(&path).unwrap();
        connection.pragma_update(None, "synchronous", "OFF").unwrap();
        let mut checkpoints = Checkpoints::default();
        let mut written = 0;
        for n in 0..3_000_u32 {
            let sql = "INSERT INTO spent (mark, until) VALUES (randomblob(4000), ?)";
            connection.prepare_cached(sql).unwrap().execute([n]).unwrap();
            checkpoints.after_commit(&connection).unwrap();
            written += 1;
        }
        let log = std::fs::metadata(log_path(&path)).unwrap().len();
        assert!(
            log > 1 << 20 && log < 8 << 20,
            "{written} pages and more were written, the log has {log} bytes"
        );
    }
}
