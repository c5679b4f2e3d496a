//! The latest time that was believed, in its table of one row.

use super::fault::{Fault, damaged};
use daypass_core::clock::Timestamp;
use rusqlite::{Connection, OptionalExtension};

/// What is noted, if anything is.
pub(super) fn read(connection: &Connection) -> Result<Option<Timestamp>, Fault> {
    let mark: Option<i64> =
        connection.prepare_cached("SELECT mark FROM clock")?.query_row([], |row| row.get(0)).optional()?;
    mark.map(time).transpose()
}

/// Notes this time unless a later one is there, and gives the one that is there then.
pub(super) fn note(connection: &Connection, now: Timestamp) -> Result<Timestamp, Fault> {
    let sql = "INSERT INTO clock (one, mark) VALUES (1, ?)
               ON CONFLICT (one) DO UPDATE SET mark = max(mark, excluded.mark) RETURNING mark";
    time(connection.prepare_cached(sql)?.query_row([now.as_millisecond()], |row| row.get(0))?)
}

/// Takes this time, whatever is there.
pub(super) fn set(connection: &Connection, to: Timestamp) -> Result<(), Fault> {
    let sql = "INSERT OR REPLACE INTO clock (one, mark) VALUES (1, ?)";
    connection.prepare_cached(sql)?.execute([to.as_millisecond()])?;
    Ok(())
}

fn time(mark: i64) -> Result<Timestamp, Fault> {
    Timestamp::from_millisecond(mark).map_err(damaged)
}
