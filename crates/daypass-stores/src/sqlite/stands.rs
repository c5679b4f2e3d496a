//! Whether clients and keys are still what was decided on.

use super::fault::Fault;
use crate::stands::{same_client, same_keys};
use daypass_core::client::{Client, Key};
use rusqlite::{Connection, OptionalExtension};
use uuid::Uuid;

/// Refuses a client that is not there as it was read.
pub(super) fn expect_client(connection: &Connection, old: &Client, new: &Client) -> Result<(), Fault> {
    let there: Option<Vec<u8>> = connection
        .query_row("SELECT document FROM clients WHERE guid = ?", [old.guid], |row| row.get(0))
        .optional()?;
    Ok(same_client(there.as_deref(), old, new)?)
}

/// Refuses where a client has other keys than these.
pub(super) fn expect_keys(connection: &Connection, client: Uuid, keys: &[Key]) -> Result<(), Fault> {
    let mut find = connection.prepare_cached("SELECT document FROM keys WHERE client = ?")?;
    let there = find.query_map([client], |row| row.get(0))?.collect::<Result<Vec<Vec<u8>>, _>>()?;
    Ok(same_keys(&there, keys)?)
}
