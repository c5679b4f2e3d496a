//! Reading the replay marks that other writers recorded. With one server there is never any, and looking costs nothing.

use super::fault::Fault;
use super::read::first_since;
use crate::others::Others;
use rusqlite::Connection;

/// Makes sure that every mark within the window before `at` is known. Costs nothing unless the time goes back.
pub(super) fn cover(connection: &Connection, others: &mut Others, at: i64) -> Result<(), Fault> {
    if let Some(from) = others.uncovered(at) {
        load(connection, others, first_since(connection, from)?)?;
        others.covered(from);
    }
    Ok(())
}

/// Takes up what others recorded from this position on.
pub(super) fn load(connection: &Connection, others: &mut Others, position: i64) -> Result<(), Fault> {
    let mut statement = connection.prepare_cached(
        "SELECT mark, at FROM records WHERE position >= ? AND writer <> ? AND mark IS NOT NULL",
    )?;
    let mut rows = statement.query([position, others.number()])?;
    while let Some(row) = rows.next()? {
        others.add(row.get(0)?, row.get(1)?);
    }
    Ok(())
}
