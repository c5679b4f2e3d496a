//! What nodes have counted of a day, inside a transaction that is already open.

use super::fault::{Fault, damaged};
use daypass_core::ration::Due;
use daypass_core::replay::Mark;
use rusqlite::{Connection, params};
use uuid::Uuid;

/// How many days are kept behind the one that is written: another node's clock may be behind ours.
const KEPT: i64 = 1;

/// Writes a node's own counts, and gives what all others have counted of the same.
pub(super) fn note(connection: &Connection, node: Uuid, due: &Due) -> Result<Vec<(Mark, u64)>, Fault> {
    let mut put = connection.prepare_cached(
        "INSERT INTO counted (day, place, node, count) VALUES (?, ?, ?, ?)
         ON CONFLICT (day, place, node) DO UPDATE SET count = max(count, excluded.count)",
    )?;
    let mut sum = connection.prepare_cached(
        "SELECT coalesce(sum(count), 0) FROM counted WHERE day = ? AND place = ? AND node <> ?",
    )?;
    let mut others = Vec::with_capacity(due.counts.len());
    for (place, count) in &due.counts {
        put.execute(params![due.day, place, node, i64::try_from(*count).unwrap_or(i64::MAX)])?;
        let counted: i64 = sum.query_row(params![due.day, place, node], |row| row.get(0))?;
        others.push((*place, u64::try_from(counted).map_err(damaged)?));
    }
    connection
        .prepare_cached("DELETE FROM counted WHERE day < ?")?
        .execute([due.day.saturating_sub(KEPT)])?;
    Ok(others)
}

/// What all nodes but this one have counted of a day.
pub(super) fn counts(connection: &Connection, day: i64, but: Uuid) -> Result<Vec<(Mark, u64)>, Fault> {
    let mut select = connection
        .prepare_cached("SELECT place, sum(count) FROM counted WHERE day = ? AND node <> ? GROUP BY place")?;
    let mut rows = select.query(params![day, but])?;
    let mut counts = Vec::new();
    while let Some(row) = rows.next()? {
        let (place, count): (Mark, i64) = (row.get(0)?, row.get(1)?);
        counts.push((place, u64::try_from(count).map_err(damaged)?));
    }
    Ok(counts)
}
