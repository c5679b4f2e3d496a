//! Changes of clients and keys, noted for those who have read the tables before, so that one of them among a million costs what
//! one costs.
//!
//! A note says which row it was, and the row's digest before and after. Programs that know nothing of notes write none; what they
//! have changed then shows in the table's digest, and the table is read whole.

use super::fault::{Fault, damaged};
use super::gather;
use super::sums::{Digest, digest, toggle};
use daypass_core::contents::{Part, Stamp};
use daypass_core::people::{Gather, GatheredClients, GatheredKeys};
use rusqlite::{Connection, OptionalExtension, ToSql, params};
use serde::de::DeserializeOwned;
use std::collections::HashMap;
use std::fmt::Display;
use std::str::FromStr;

/// How many notes are kept. A node looks ten times a second, and takes in more than this in less time by reading the whole table.
pub(super) const EDITS: i64 = 100_000;

/// A table whose changes are noted.
pub(super) trait Noted: Gather<One: DeserializeOwned, Id: FromStr<Err: Display> + ToSql> {
    /// Its name, and that of its digest.
    const TABLE: &'static str;
    /// One row's document by its key.
    const FIND: &'static str;
}

impl Noted for GatheredClients {
    const TABLE: &'static str = "clients";
    const FIND: &'static str = "SELECT document FROM clients WHERE guid = ?";
}

impl Noted for GatheredKeys {
    const TABLE: &'static str = "keys";
    const FIND: &'static str = "SELECT document FROM keys WHERE id = ?";
}

/// A change that is noted.
pub(super) struct Edit<'a> {
    /// The table.
    pub(super) table: &'static str,
    /// The row's key, as text.
    pub(super) id: &'a str,
    /// The row's digest before, where it was there.
    pub(super) was: Option<Digest>,
    /// And after.
    pub(super) becomes: Digest,
}

/// Notes a change under this number.
pub(super) fn note(connection: &Connection, number: i64, edit: &Edit<'_>) -> Result<(), Fault> {
    connection
        .prepare_cached("INSERT INTO edits (number, part, id, was, becomes) VALUES (?, ?, ?, ?, ?)")?
        .execute(params![number, edit.table, edit.id, edit.was, edit.becomes])?;
    connection
        .prepare_cached("DELETE FROM edits WHERE number <= ?")?
        .execute([number.saturating_sub(EDITS)])?;
    Ok(())
}

/// The part as it is now: what the reader has with what has changed since; or the whole, where that does not lead to what is in
/// the table.
pub(super) fn part<G: Noted>(
    snapshot: &Connection,
    known: &Part<G::All>,
    now: Stamp,
) -> Result<Part<G::All>, Fault> {
    let Some(before) = known.stamp() else {
        return Ok(Part::new(now, gather::whole::<G>(snapshot, G::TABLE)?));
    };
    if before.digest == now.digest {
        return Ok(known.stamped(now));
    }
    match followed::<G>(snapshot, known.held(), before, now)? {
        Some(followed) => Ok(Part::new(now, followed)),
        None => Ok(Part::new(now, gather::whole::<G>(snapshot, G::TABLE)?)),
    }
}

/// None where the changes since are not all noted, or do not lead to the table's digest: the file was put back to an earlier state,
/// or a program that notes no changes has written to it.
fn followed<G: Noted>(
    snapshot: &Connection,
    known: &G::All,
    before: Stamp,
    now: Stamp,
) -> Result<Option<G::All>, Fault> {
    let mut total = before.digest;
    let mut latest: HashMap<String, Digest> = HashMap::new();
    let mut statement = snapshot
        .prepare_cached("SELECT id, was, becomes FROM edits WHERE number > ? AND part = ? ORDER BY number")?;
    let mut rows = statement.query(params![before.number.cast_signed(), G::TABLE])?;
    while let Some(row) = rows.next()? {
        let (id, was, becomes): (String, Option<Digest>, Digest) = (row.get(0)?, row.get(1)?, row.get(2)?);
        was.iter().chain([&becomes]).for_each(|row| toggle(&mut total, row));
        latest.insert(id, becomes);
    }
    if total != now.digest {
        return Ok(None);
    }
    let mut changes = Vec::with_capacity(latest.len());
    let mut find = snapshot.prepare_cached(G::FIND)?;
    for (id, becomes) in latest {
        // What the digests do not cover is no reason to stay behind for ever either.
        let Ok(id) = id.parse::<G::Id>() else { return Ok(None) };
        // The digest of the table says that this is what the note says it is. A row that is another is damaged, and the whole
        // table says so.
        let document: Option<Vec<u8>> = find.query_row([&id], |row| row.get(0)).optional()?;
        let Some(document) = document.filter(|document| digest(&[document]) == becomes) else {
            return Ok(None);
        };
        changes.push((id, Some(serde_json::from_slice(&document).map_err(damaged)?)));
    }
    G::with(known, changes).map(Some).map_err(damaged)
}
