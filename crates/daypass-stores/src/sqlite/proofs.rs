//! What proves the chains beside their links: checkpoints, the trees at their ends, and what was removed from their beginnings.

use super::fault::{Fault, damaged};
use super::read::RecordRow;
use daypass_core::record::checkpoint::Kept;
use daypass_core::record::{Link, Placed, Point};
use daypass_core::store::{Cut, Proof, StoreError};
use rusqlite::{Connection, OptionalExtension, Row, params};
use uuid::Uuid;

/// The number of the step that brought `base`. A program that does not know it would say of a cut chain that records are
/// missing, so from the first cut on it must not write any more.
const STEP: i64 = 10;

/// A place in a chain as its column holds it. Whatever else stands there is as good as nothing: it proves nothing, and the
/// check of the chain says so.
pub(super) fn point(row: &Row<'_>, at: usize) -> Result<Option<Point>, Fault> {
    Ok(row.get_ref(at)?.as_blob_or_null().ok().flatten().and_then(Point::from_bytes))
}

/// Links of all chains, in the order of their positions.
pub(super) fn placed(connection: &Connection, after: i64, limit: usize) -> Result<Vec<Placed>, Fault> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let columns =
        RecordRow::COLUMNS.split(", ").map(|column| format!("records.{column}")).collect::<Vec<_>>();
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {}, writers.guid FROM records LEFT JOIN writers ON writers.number = records.writer
         WHERE position > ? ORDER BY position LIMIT ?",
        columns.join(", ")
    ))?;
    let mut rows = statement.query([after, limit])?;
    let mut all: Vec<Placed> = Vec::new();
    while let Some(row) = rows.next()? {
        let found = RecordRow::read(row)?;
        let writer: Option<Uuid> = row.get("guid")?;
        let writer =
            writer.ok_or_else(|| damaged(format_args!("the writer number {} is missing", found.writer)))?;
        if all.last().is_some_and(|last| last.position.saturating_add(1) != found.position) {
            return Err(damaged(format_args!("records beside position {} are missing", found.position)));
        }
        let (seq, mac) = (u64::try_from(found.seq).map_err(damaged)?, found.mac.try_into().map_err(damaged)?);
        let link = Link { writer, seq, blob: found.document.to_vec(), mac };
        all.push(Placed { position: found.position, latest: found.latest, link });
    }
    Ok(all)
}

/// Checkpoints, oldest first.
pub(super) fn checkpoints(connection: &Connection, after: u64, limit: usize) -> Result<Vec<Kept>, Fault> {
    let (after, limit) = (i64::try_from(after).unwrap_or(i64::MAX), i64::try_from(limit).unwrap_or(i64::MAX));
    let mut statement = connection.prepare_cached(
        "SELECT number, document FROM checkpoints WHERE number > ? ORDER BY number LIMIT ?",
    )?;
    let mut rows = statement.query([after, limit])?;
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        all.push(kept(row)?);
    }
    Ok(all)
}

/// The newest checkpoint.
pub(super) fn last_checkpoint(connection: &Connection) -> Result<Option<Kept>, Fault> {
    let mut statement =
        connection.prepare_cached("SELECT number, document FROM checkpoints ORDER BY number DESC LIMIT 1")?;
    let mut rows = statement.query([])?;
    rows.next()?.map(kept).transpose()
}

/// Bytes that are no text are none of our signatures either.
///
/// Attack: one such row would keep `verify` from every other one, and whoever takes forged checkpoints away from this one.
fn kept(row: &Row<'_>) -> Result<Kept, Fault> {
    let number = u64::try_from(row.get::<_, i64>(0)?).map_err(damaged)?;
    let document = row.get_ref(1)?.as_bytes().map_err(damaged)?;
    Ok(Kept { number, jws: String::from_utf8_lossy(document).into_owned() })
}

/// Which second place has got all up to which.
pub(super) fn delivered(connection: &Connection) -> Result<Vec<(String, u64)>, Fault> {
    let mut statement = connection.prepare_cached("SELECT place, number FROM delivered ORDER BY place")?;
    let mut rows = statement.query([])?;
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        all.push((row.get(0)?, u64::try_from(row.get::<_, i64>(1)?).map_err(damaged)?));
    }
    Ok(all)
}

/// Keeps a proof, inside a transaction that is already open; says false where it comes too late.
pub(super) fn keep(connection: &Connection, proof: &Proof) -> Result<bool, Fault> {
    match proof {
        Proof::Checkpoint { kept, grown, cut } => {
            let last: i64 = connection
                .prepare_cached("SELECT coalesce(max(number), 0) FROM checkpoints")?
                .query_row([], |row| row.get(0))?;
            let number = number(kept.number)?;
            if last.checked_add(1) != Some(number) {
                return Ok(false);
            }
            connection
                .prepare_cached("INSERT INTO checkpoints (number, document) VALUES (?, ?)")?
                .execute(params![number, kept.jws])?;
            let mut signed = connection.prepare_cached("UPDATE writers SET signed = ? WHERE guid = ?")?;
            for (writer, size) in grown {
                signed.execute(params![self::number(*size)?, writer])?;
            }
            let mut based = connection.prepare_cached("UPDATE writers SET based = ? WHERE guid = ?")?;
            for (writer, size) in cut {
                based.execute(params![self::number(*size)?, writer])?;
            }
            Ok(true)
        }
        Proof::Tip { writer, tip } => Ok(connection
            .prepare_cached("UPDATE writers SET tip = ? WHERE guid = ? AND seq = ?")?
            .execute(params![tip.to_bytes(), writer, number(tip.seq())?])?
            == 1),
        Proof::Delivered { place, number: reached } => {
            connection
                .prepare_cached(
                    "INSERT INTO delivered (place, number) VALUES (?, ?)
                     ON CONFLICT (place) DO UPDATE SET number = max(number, excluded.number)",
                )?
                .execute(params![place, number(*reached)?])?;
            Ok(true)
        }
        Proof::Discard { forged } => {
            let Some(first) = forged.first() else { return Ok(false) };
            if checkpoints(connection, first.number.saturating_sub(1), usize::MAX)? != *forged {
                return Ok(false);
            }
            connection
                .prepare_cached("DELETE FROM checkpoints WHERE number >= ?")?
                .execute([number(first.number)?])?;
            connection
                .prepare_cached("UPDATE delivered SET number = ?1 WHERE number > ?1")?
                .execute([number(first.number.saturating_sub(1))?])?;
            Ok(true)
        }
    }
}

/// Removes the oldest records, and moves the beginnings of their chains.
pub(super) fn cut(connection: &Connection, through: i64, cuts: &[Cut]) -> Result<(), Fault> {
    let changed =
        || Fault::from(StoreError::Conflict("the oldest records have changed meanwhile; look again".into()));
    let mut going: u64 = 0;
    for Cut { writer, before, base } in cuts {
        let there = connection
            .prepare_cached("SELECT base FROM writers WHERE guid = ?")?
            .query_row([writer], |row| Ok(point(row, 0)))
            .optional()?;
        let there = there.ok_or_else(changed)??;
        if there.as_ref().map_or(0, Point::seq) != *before || base.seq() <= *before {
            return Err(changed());
        }
        going = going.saturating_add(base.seq() - *before);
        connection
            .prepare_cached("UPDATE writers SET base = ? WHERE guid = ?")?
            .execute(params![base.to_bytes(), writer])?;
    }
    let gone = connection.prepare_cached("DELETE FROM records WHERE position <= ?")?.execute([through])?;
    if u64::try_from(gone) != Ok(going) {
        return Err(changed());
    }
    // Positions follow the numbers of each chain, so what is left of one begins right behind what went.
    let mut first = connection.prepare_cached(
        "SELECT seq FROM records WHERE writer = (SELECT number FROM writers WHERE guid = ?) ORDER BY seq LIMIT 1",
    )?;
    for Cut { writer, base, .. } in cuts {
        let first: Option<i64> = first.query_row([writer], |row| row.get(0)).optional()?;
        if first.is_some_and(|first| u64::try_from(first) != Ok(base.seq() + 1)) {
            return Err(changed());
        }
    }
    connection.prepare_cached("UPDATE meta SET oldest = max(oldest, ?)")?.execute([STEP])?;
    Ok(())
}

fn number(number: u64) -> Result<i64, Fault> {
    i64::try_from(number).map_err(damaged)
}
