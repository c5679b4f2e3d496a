//! What is sealed or hashed anew behind everyone's back: clients' keys, and which seal key wraps the ring.

use super::change::Meta;
use super::edits::Edit;
use super::fault::{Fault, damaged};
use super::sums::digest;
use daypass_core::client::Key;
use daypass_core::clock::Timestamp;
use daypass_core::ring::{SealId, SealRow};
use daypass_core::store::StoreError;
use rusqlite::{Connection, OptionalExtension, params};

fn conflict(text: String) -> Fault {
    StoreError::Conflict(text).into()
}

/// Replaces keys that must be what is given, each by the one of its id.
pub(super) fn swap_keys(
    connection: &Connection,
    meta: &mut Meta,
    old: &[Key],
    new: &[Key],
) -> Result<(), Fault> {
    let mut find = connection.prepare_cached("SELECT document FROM keys WHERE id = ?")?;
    let mut update = connection.prepare_cached("UPDATE keys SET document = ? WHERE id = ?")?;
    if old.len() != new.len() {
        return Err(conflict("as many keys as are replaced must come in their places".to_owned()));
    }
    for (old, new) in old.iter().zip(new) {
        let meanwhile = || conflict(format!("the key `{}` has changed meanwhile; look again", old.id));
        let there: Option<Vec<u8>> = find.query_row([&old.id], |row| row.get(0)).optional()?;
        let there = there.ok_or_else(meanwhile)?;
        let same = serde_json::from_slice::<Key>(&there).map_err(damaged)? == *old;
        if !same || (&old.id, old.client) != (&new.id, new.client) {
            return Err(meanwhile());
        }
        let document = serde_json::to_vec(new).map_err(damaged)?;
        update.execute(params![document, new.id])?;
        let (was, becomes) = (Some(digest(&[&there])), digest(&[&document]));
        meta.edit(connection, &Edit { table: "keys", id: &new.id, was, becomes })?;
    }
    Ok(())
}

/// What is said of the seal key.
pub(super) fn seal(connection: &Connection) -> Result<Option<SealRow>, Fault> {
    let row: Option<(u32, Vec<u8>, i64)> = connection
        .query_row("SELECT id, checked, since FROM seal", [], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })
        .optional()?;
    let Some((id, check, since)) = row else { return Ok(None) };
    let check =
        check.try_into().map_err(|_| damaged("the check value of the seal key has another length"))?;
    let since = Timestamp::from_millisecond(since).map_err(damaged)?;
    Ok(Some(SealRow { id: SealId::new(id), check, since }))
}

/// Says something else of it, where the old is what was said.
pub(super) fn swap_seal(connection: &Connection, old: Option<&SealRow>, new: &SealRow) -> Result<(), Fault> {
    if seal(connection)?.as_ref() != old {
        return Err(conflict("another process has replaced the seal key meanwhile; look again".to_owned()));
    }
    let (id, check) = (new.id.number(), new.check.as_slice());
    connection.execute(
        "INSERT OR REPLACE INTO seal (one, id, checked, since) VALUES (1, ?, ?, ?)",
        params![id, check, new.since.as_millisecond()],
    )?;
    Ok(())
}
