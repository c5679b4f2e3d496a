//! Changes of clients and keys, noted for those who have read the tables before, so that one of them among a million costs what
//! one costs.
//!
//! A note says which row it was, and the row's digest before and after. Programs that know nothing of notes write none; what they
//! have changed then shows in the table's digest, and the table is read whole.

use super::fault::{Fault, bytes, column, damaged};
use super::read;
use crate::sums::{Digest, digest, toggle};
use daypass_core::contents::{Part, Stamp};
use daypass_core::people::{Gather, GatheredClients, GatheredKeys};
use deadpool_postgres::{GenericClient, Transaction};
use serde::de::DeserializeOwned;
use std::collections::HashMap;
use std::fmt::Display;
use std::str::FromStr;

/// How many notes are kept. A node looks ten times a second, and takes in more than this in less time by reading the whole table.
pub(super) const EDITS: i64 = 100_000;

/// A table whose changes are noted.
pub(super) trait Noted: Gather<One: DeserializeOwned, Id: FromStr<Err: Display>> {
    /// Its name, and that of its digest.
    const TABLE: &'static str;
    /// Some rows by their keys as texts: the key, and the document.
    const FIND: &'static str;
}

impl Noted for GatheredClients {
    const TABLE: &'static str = "clients";
    const FIND: &'static str =
        "SELECT guid::text, document FROM clients WHERE guid = ANY($1::text[]::uuid[])";
}

impl Noted for GatheredKeys {
    const TABLE: &'static str = "keys";
    const FIND: &'static str = "SELECT id, document FROM keys WHERE id = ANY($1::text[])";
}

/// A change that is noted.
#[derive(Clone)]
pub(super) struct Edit {
    /// The table.
    pub(super) table: &'static str,
    /// The row's key, as text.
    pub(super) id: String,
    /// The row's digest before, where it was there.
    pub(super) was: Option<Digest>,
    /// And after.
    pub(super) becomes: Digest,
}

/// Notes changes behind those up to this number. Gives the number of the last one.
pub(super) async fn note(client: &impl GenericClient, edited: i64, edits: &[Edit]) -> Result<i64, Fault> {
    if edits.is_empty() {
        return Ok(edited);
    }
    let parts: Vec<&str> = edits.iter().map(|edit| edit.table).collect();
    let ids: Vec<&str> = edits.iter().map(|edit| edit.id.as_str()).collect();
    let was: Vec<Option<&[u8]>> =
        edits.iter().map(|edit| edit.was.as_ref().map(<[u8; 32]>::as_slice)).collect();
    let becomes: Vec<&[u8]> = edits.iter().map(|edit| edit.becomes.as_slice()).collect();
    let insert = client
        .prepare_cached(
            "INSERT INTO edits (number, part, id, was, becomes)
             SELECT $1 + number, part, id, was, becomes
             FROM unnest($2::text[], $3::text[], $4::bytea[], $5::bytea[])
                  WITH ORDINALITY AS new (part, id, was, becomes, number)",
        )
        .await?;
    client.execute(&insert, &[&edited, &parts, &ids, &was, &becomes]).await?;
    let last = edited.saturating_add(i64::try_from(edits.len()).map_err(damaged)?);
    let forget = client.prepare_cached("DELETE FROM edits WHERE number <= $1").await?;
    client.execute(&forget, &[&last.saturating_sub(EDITS)]).await?;
    Ok(last)
}

/// The part as it is now: what the reader has with what has changed since; or the whole, where that does not lead to what is in
/// the table.
pub(super) async fn part<G: Noted>(
    snapshot: &Transaction<'_>,
    known: &Part<G::All>,
    now: Stamp,
) -> Result<Part<G::All>, Fault> {
    if let Some(before) = known.stamp() {
        if before.digest == now.digest {
            return Ok(known.stamped(now));
        }
        if let Some(followed) = followed::<G>(snapshot, known.held(), before, now).await? {
            return Ok(Part::new(now, followed));
        }
    }
    let mut gathered = G::default();
    read::each_document(snapshot, G::TABLE, |document| {
        gathered.add(&serde_json::from_slice(document).map_err(damaged)?).map_err(damaged)
    })
    .await?;
    Ok(Part::new(now, gathered.finish(Vec::new()).map_err(damaged)?))
}

/// None where the changes since are not all noted, or do not lead to the table's digest: the database was put back to an earlier
/// state, or a program that notes no changes has written to it.
async fn followed<G: Noted>(
    snapshot: &Transaction<'_>,
    known: &G::All,
    before: Stamp,
    now: Stamp,
) -> Result<Option<G::All>, Fault> {
    let (mut total, mut latest) = (before.digest, HashMap::new());
    let select = "SELECT id, was, becomes FROM edits WHERE number > $1 AND part = $2 ORDER BY number";
    let select = snapshot.prepare_cached(select).await?;
    for row in snapshot.query(&select, &[&before.number.cast_signed(), &G::TABLE]).await? {
        let was = column::<Option<&[u8]>>(&row, 1)?.map(|_| bytes(&row, 1)).transpose()?;
        let becomes: Digest = bytes(&row, 2)?;
        was.iter().chain([&becomes]).for_each(|row| toggle(&mut total, row));
        latest.insert(column::<String>(&row, 0)?, becomes);
    }
    if total != now.digest {
        return Ok(None);
    }
    // What the digests do not cover is no reason to stay behind for ever either.
    if latest.keys().any(|id| id.parse::<G::Id>().is_err()) {
        return Ok(None);
    }
    let ids: Vec<&str> = latest.keys().map(String::as_str).collect();
    let mut changes = Vec::with_capacity(latest.len());
    let find = snapshot.prepare_cached(G::FIND).await?;
    for row in snapshot.query(&find, &[&ids]).await? {
        let (id, document): (&str, &[u8]) = (column(&row, 0)?, column(&row, 1)?);
        // A row that is not what its note says is damaged, and the whole table says so.
        if latest.get(id) != Some(&digest(&[document])) {
            return Ok(None);
        }
        let one: G::One = serde_json::from_slice(document).map_err(damaged)?;
        changes.push((id.parse().map_err(damaged)?, Some(one)));
    }
    if changes.len() < latest.len() { Ok(None) } else { G::with(known, changes).map(Some).map_err(damaged) }
}
