//! Changes of clients, keys, the ring and cut-offs, inside a transaction that is already open.

use super::edits::{self, Edit};
use super::fault::{Fault, damaged};
use super::reseal;
use super::stands;
use super::sums::{Digest, cutoff_digest, digest, toggle};
use daypass_core::client::{Client, Key};
use daypass_core::cutoff::Cutoff;
use daypass_core::freeze::{Freeze, Place};
use daypass_core::ring::RingRow;
use daypass_core::root::RootRow;
use daypass_core::store::{Change, StoreError};
use rusqlite::{Connection, OptionalExtension, params};
use uuid::Uuid;

/// Applies changes in order. A conflict leaves those before it applied: the caller rolls back.
pub(super) fn apply(connection: &Connection, changes: &[Change]) -> Result<(), Fault> {
    let mut meta = Meta::load(connection)?;
    for change in changes {
        match change {
            Change::PutClient(client) => put_client(connection, &mut meta, client)?,
            Change::SwapClient { old, new } => {
                stands::expect_client(connection, old, new)?;
                put_client(connection, &mut meta, new)?;
            }
            Change::PutKey(key) => put_key(connection, &mut meta, key)?,
            Change::ExpectKeys { client, keys } => stands::expect_keys(connection, *client, keys)?,
            Change::SwapKeys { old, new } => reseal::swap_keys(connection, &mut meta, old, new)?,
            Change::SwapSeal { old, new } => reseal::swap_seal(connection, old.as_ref(), new)?,
            Change::AddRing(rows) => {
                rows.iter().try_for_each(|row| put_ring(connection, &mut meta.ring, row, Old::Conflicts))?;
            }
            Change::PutRing(rows) => {
                rows.iter().try_for_each(|row| put_ring(connection, &mut meta.ring, row, Old::Goes))?;
            }
            Change::SwapRing { old, new } => {
                old.iter().try_for_each(|row| take_ring(connection, &mut meta.ring, row))?;
                new.iter().try_for_each(|row| put_ring(connection, &mut meta.ring, row, Old::Goes))?;
            }
            Change::SetClock(to) => super::clock::set(connection, *to)?,
            Change::CutRecords { through, cuts } => super::proofs::cut(connection, *through, cuts)?,
            Change::Cut(cutoff) => cut(connection, &mut meta, cutoff)?,
            Change::Uncut(gone) => {
                gone.iter().try_for_each(|cutoff| uncut(connection, &mut meta, cutoff))?;
            }
            Change::Freeze(new) => freeze(connection, &mut meta.freezes, new)?,
            Change::Thaw(place) => thaw(connection, &mut meta.freezes, place)?,
            Change::SwapRoots { old, new } => {
                old.iter().try_for_each(|row| take_root(connection, &mut meta.roots, row))?;
                new.iter().try_for_each(|row| put_root(connection, &mut meta.roots, row))?;
            }
        }
    }
    meta.save(connection)
}

/// How many changes of cut-offs are kept for those who have read the table before. A node looks ten times a second, and
/// takes in more than this in less time by reading the whole table.
pub(super) const RECUTS: i64 = 100_000;

/// The digests of the tables, and the number of changes.
#[derive(Clone)]
pub(super) struct Meta {
    changes: i64,
    pub(super) clients: Digest,
    pub(super) keys: Digest,
    pub(super) ring: Digest,
    pub(super) cutoffs: Digest,
    pub(super) freezes: Digest,
    pub(super) roots: Digest,
    /// The number of the last change of a cut-off.
    recut: i64,
    /// The number of the last change of a client or a key.
    edited: i64,
}

impl Meta {
    pub(super) fn load(connection: &Connection) -> Result<Self, Fault> {
        Ok(connection.query_row(
            "SELECT changes, clients, keys, ring, cutoffs, freezes, roots, recut, edited FROM meta",
            [],
            |row| {
                Ok(Self {
                    changes: row.get(0)?,
                    clients: row.get(1)?,
                    keys: row.get(2)?,
                    ring: row.get(3)?,
                    cutoffs: row.get(4)?,
                    freezes: row.get(5)?,
                    roots: row.get(6)?,
                    recut: row.get(7)?,
                    edited: row.get(8)?,
                })
            },
        )?)
    }

    /// Makes no row count: every table is empty.
    pub(super) fn forget(&mut self) {
        for digest in [
            &mut self.clients,
            &mut self.keys,
            &mut self.ring,
            &mut self.cutoffs,
            &mut self.freezes,
            &mut self.roots,
        ] {
            *digest = Digest::default();
        }
    }

    pub(super) fn save(&self, connection: &Connection) -> Result<(), Fault> {
        connection.execute(
            "UPDATE meta
             SET changes = ?, clients = ?, keys = ?, ring = ?, cutoffs = ?, freezes = ?, roots = ?, recut = ?,
                 edited = ?",
            params![
                self.changes.wrapping_add(1),
                self.clients,
                self.keys,
                self.ring,
                self.cutoffs,
                self.freezes,
                self.roots,
                self.recut,
                self.edited
            ],
        )?;
        Ok(())
    }

    /// Takes a change of a client or a key into the table's digest, and notes it for those who have read the table before.
    pub(super) fn edit(&mut self, connection: &Connection, edit: &Edit<'_>) -> Result<(), Fault> {
        let total = if edit.table == "clients" { &mut self.clients } else { &mut self.keys };
        replace(total, edit.was, &edit.becomes);
        self.edited = self.edited.saturating_add(1);
        edits::note(connection, self.edited, edit)
    }

    /// Notes that a cut-off has this instant now, or is gone, for those who have read the table before.
    fn note(&mut self, connection: &Connection, scope: &str, before: Option<i64>) -> Result<(), Fault> {
        self.recut = self.recut.saturating_add(1);
        connection
            .prepare_cached("INSERT INTO recuts (number, scope, before) VALUES (?, ?, ?)")?
            .execute(params![self.recut, scope, before])?;
        connection
            .prepare_cached("DELETE FROM recuts WHERE number <= ?")?
            .execute([self.recut.saturating_sub(RECUTS)])?;
        Ok(())
    }
}

fn document(value: &impl serde::Serialize) -> Result<Vec<u8>, Fault> {
    serde_json::to_vec(value).map_err(damaged)
}

fn conflict(text: String) -> Fault {
    StoreError::Conflict(text).into()
}

fn put_client(connection: &Connection, meta: &mut Meta, client: &Client) -> Result<(), Fault> {
    let Client { guid, tenant, name, .. } = client;
    let taken = connection
        .query_row("SELECT guid FROM clients WHERE tenant = ? AND name = ?", [tenant, name], |row| {
            row.get::<_, Uuid>(0)
        })
        .optional()?;
    if taken.is_some_and(|other| other != *guid) {
        return Err(conflict(format!(
            "the tenant `{tenant}` already has a client named `{name}`; choose another name, or change that one"
        )));
    }
    let old: Option<Vec<u8>> = connection
        .query_row("SELECT document FROM clients WHERE guid = ?", [guid], |row| row.get(0))
        .optional()?;
    let new = document(client)?;
    connection.execute(
        "INSERT INTO clients (guid, tenant, name, document) VALUES (?, ?, ?, ?) ON CONFLICT (guid)
         DO UPDATE SET tenant = excluded.tenant, name = excluded.name, document = excluded.document",
        params![guid, tenant, name, new],
    )?;
    let (was, becomes) = (old.map(|old| digest(&[&old])), digest(&[&new]));
    meta.edit(connection, &Edit { table: "clients", id: &guid.to_string(), was, becomes })
}

fn put_key(connection: &Connection, meta: &mut Meta, key: &Key) -> Result<(), Fault> {
    let Key { id, client, .. } = key;
    let owner =
        connection.query_row("SELECT 1 FROM clients WHERE guid = ?", [client], |_| Ok(())).optional()?;
    if owner.is_none() {
        return Err(conflict(format!("the key `{id}` is for the client {client}, which does not exist")));
    }
    let old: Option<(Uuid, Vec<u8>)> = connection
        .query_row("SELECT client, document FROM keys WHERE id = ?", [id], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .optional()?;
    // Ids are drawn at random, TOP's from eight digits: two can be the same, and the first owner must not lose
    // its key to the second.
    if old.as_ref().is_some_and(|(owner, _)| owner != client) {
        return Err(conflict(format!("the key id `{id}` is in use by another client; take another one")));
    }
    let new = document(key)?;
    connection.execute(
        "INSERT INTO keys (id, client, document) VALUES (?, ?, ?) ON CONFLICT (id)
         DO UPDATE SET document = excluded.document",
        params![id, client, new],
    )?;
    let (was, becomes) = (old.map(|(_, old)| digest(&[&old])), digest(&[&new]));
    meta.edit(connection, &Edit { table: "keys", id, was, becomes })
}

/// A ring key as its row holds it. The sealed key is stored as it comes, outside any document.
pub(super) struct RingColumns {
    pub(super) purpose: String,
    pub(super) version: u32,
    pub(super) state: String,
    pub(super) created: String,
    /// None in a row that was written before the column was there.
    pub(super) since: Option<String>,
    pub(super) sealed: Vec<u8>,
}

impl RingColumns {
    pub(super) const SELECT: &str = "SELECT purpose, version, state, created, since, sealed FROM ring";

    pub(super) fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            purpose: row.get(0)?,
            version: row.get(1)?,
            state: row.get(2)?,
            created: row.get(3)?,
            since: row.get(4)?,
            sealed: row.get(5)?,
        })
    }

    fn of(row: &RingRow) -> Result<Self, Fault> {
        let state = serde_json::to_value(row.state).map_err(damaged)?;
        Ok(Self {
            purpose: row.purpose.name().to_owned(),
            version: row.version,
            state: state.as_str().unwrap_or_default().to_owned(),
            created: row.created.to_string(),
            since: Some(row.since.to_string()),
            sealed: row.sealed.clone(),
        })
    }

    /// Reads the row of the same purpose and version.
    fn stored(&self, connection: &Connection) -> Result<Option<Self>, Fault> {
        let sql = format!("{} WHERE purpose = ? AND version = ?", Self::SELECT);
        Ok(connection.query_row(&sql, params![self.purpose, self.version], Self::read).optional()?)
    }

    /// Whether both say the same. A row without `since` says by that what it was made with.
    fn says(&self, other: &Self) -> bool {
        let all = |row: &Self| {
            let since = row.since.as_ref().unwrap_or(&row.created).clone();
            (row.state.clone(), row.created.clone(), since, row.sealed.clone())
        };
        all(self) == all(other)
    }

    pub(super) fn digest(&self) -> Digest {
        let version = self.version.to_be_bytes();
        let mut parts =
            vec![self.purpose.as_bytes(), &version, self.state.as_bytes(), self.created.as_bytes()];
        parts.extend(self.since.as_ref().map(String::as_bytes));
        parts.push(&self.sealed);
        digest(&parts)
    }
}

/// What becomes of a row that is there already.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Old {
    Goes,
    Conflicts,
}

fn put_ring(connection: &Connection, total: &mut Digest, row: &RingRow, policy: Old) -> Result<(), Fault> {
    let new = RingColumns::of(row)?;
    let old = new.stored(connection)?;
    if old.is_some() && policy == Old::Conflicts {
        return Err(conflict(format!("the ring has a key {}/{} already", new.purpose, new.version)));
    }
    connection.execute(
        "INSERT OR REPLACE INTO ring (purpose, version, state, created, since, sealed) VALUES (?, ?, ?, ?, ?, ?)",
        params![new.purpose, new.version, new.state, new.created, new.since, new.sealed],
    )?;
    replace(total, old.map(|old| old.digest()), &new.digest());
    Ok(())
}

/// Removes a row that must be what is given.
fn take_ring(connection: &Connection, total: &mut Digest, row: &RingRow) -> Result<(), Fault> {
    let given = RingColumns::of(row)?;
    let Some(found) = given.stored(connection)?.filter(|found| found.says(&given)) else {
        let key = format!("{}/{}", given.purpose, given.version);
        return Err(conflict(format!("the ring's key {key} has changed meanwhile; look again")));
    };
    connection.execute(
        "DELETE FROM ring WHERE purpose = ? AND version = ?",
        params![found.purpose, found.version],
    )?;
    toggle(total, &found.digest());
    Ok(())
}

fn cut(connection: &Connection, meta: &mut Meta, cutoff: &Cutoff) -> Result<(), Fault> {
    let scope = serde_json::to_string(&cutoff.scope).map_err(damaged)?;
    let old: Option<i64> = connection
        .prepare_cached("SELECT before FROM cutoffs WHERE scope = ?")?
        .query_row([&scope], |row| row.get(0))
        .optional()?;
    let new = cutoff.before.as_millisecond();
    if old.is_some_and(|old| old >= new) {
        return Ok(());
    }
    connection
        .prepare_cached("INSERT OR REPLACE INTO cutoffs (scope, before) VALUES (?, ?)")?
        .execute(params![scope, new])?;
    replace(&mut meta.cutoffs, old.map(|old| cutoff_digest(&scope, old)), &cutoff_digest(&scope, new));
    meta.note(connection, &scope, Some(new))
}

/// Removes a cut-off that must be what is given.
fn uncut(connection: &Connection, meta: &mut Meta, cutoff: &Cutoff) -> Result<(), Fault> {
    let scope = serde_json::to_string(&cutoff.scope).map_err(damaged)?;
    let before = cutoff.before.as_millisecond();
    let mut delete = connection.prepare_cached("DELETE FROM cutoffs WHERE scope = ? AND before = ?")?;
    if delete.execute(params![scope, before])? != 1 {
        return Err(conflict(format!("the cut-off of {} has changed meanwhile; look again", cutoff.scope)));
    }
    toggle(&mut meta.cutoffs, &cutoff_digest(&scope, before));
    meta.note(connection, &scope, None)
}

/// The digest of a frozen place's row.
pub(super) fn freeze_digest(place: &str, since: i64) -> Digest {
    digest(&[place.as_bytes(), &since.to_be_bytes()])
}

fn freeze(connection: &Connection, total: &mut Digest, freeze: &Freeze) -> Result<(), Fault> {
    let place = serde_json::to_string(&freeze.place).map_err(damaged)?;
    let since = freeze.since.as_millisecond();
    let new = connection
        .execute("INSERT OR IGNORE INTO freezes (place, since) VALUES (?, ?)", params![place, since])?;
    if new == 1 {
        toggle(total, &freeze_digest(&place, since));
    }
    Ok(())
}

fn thaw(connection: &Connection, total: &mut Digest, place: &Place) -> Result<(), Fault> {
    let key = serde_json::to_string(place).map_err(damaged)?;
    let since: Option<i64> = connection
        .query_row("DELETE FROM freezes WHERE place = ? RETURNING since", [&key], |row| row.get(0))
        .optional()?;
    let since = since.ok_or_else(|| conflict(format!("{place} is not frozen")))?;
    toggle(total, &freeze_digest(&key, since));
    Ok(())
}

/// Empties a slot that must hold what is given.
fn take_root(connection: &Connection, total: &mut Digest, row: &RootRow) -> Result<(), Fault> {
    let slot = [row.issuer.as_str(), row.slot.name()];
    let there: Option<Vec<u8>> = connection
        .query_row("DELETE FROM roots WHERE issuer = ? AND slot = ? RETURNING document", slot, |row| {
            row.get(0)
        })
        .optional()?;
    let read = |document: &Vec<u8>| serde_json::from_slice::<RootRow>(document).map_err(damaged);
    match there {
        Some(document) if read(&document)? == *row => {
            toggle(total, &digest(&[&document]));
            Ok(())
        }
        _ => Err(conflict(format!("the root keys of `{}` have changed meanwhile; look again", row.issuer))),
    }
}

/// Fills an empty slot.
fn put_root(connection: &Connection, total: &mut Digest, row: &RootRow) -> Result<(), Fault> {
    let document = document(row)?;
    let new = connection.execute(
        "INSERT OR IGNORE INTO roots (issuer, slot, document) VALUES (?, ?, ?)",
        params![row.issuer, row.slot.name(), document],
    )?;
    if new != 1 {
        return Err(conflict(format!("slot {} of `{}` holds another root key", row.slot.name(), row.issuer)));
    }
    toggle(total, &digest(&[&document]));
    Ok(())
}

fn replace(total: &mut Digest, old: Option<Digest>, new: &Digest) {
    if let Some(old) = old {
        toggle(total, &old);
    }
    toggle(total, new);
}
