//! Changes of clients, keys, the ring, cut-offs and root keys, inside a transaction that has the lock on `tail`.

use super::cutoffs;
use super::edits::{self, Edit};
use super::fault::{Fault, bytes, column, damaged};
use super::reseal;
use super::stands;
use crate::sums::{Digest, digest, toggle};
use daypass_core::client::{Client, Key};
use daypass_core::freeze::{Freeze, Place};
use daypass_core::ring::RingRow;
use daypass_core::root::RootRow;
use daypass_core::store::{Change, StoreError};
use deadpool_postgres::GenericClient;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

/// How many changes of cut-offs are kept for those who have read the table before. A node looks ten times a second, and takes
/// in more than this in less time by reading the whole table.
pub(super) const RECUTS: i64 = 100_000;

type Params<'a> = &'a [&'a (dyn ToSql + Sync)];

/// Applies changes in order, and gives the number of changes so far. A conflict leaves those before it applied: the caller
/// rolls back.
pub(super) async fn apply(client: &impl GenericClient, changes: &[Change]) -> Result<i64, Fault> {
    let mut meta = Meta::load(client).await?;
    // Neighbours of the kind that comes in great numbers go in one statement.
    for run in changes.chunk_by(|one, next| matches!((one, next), (Change::Cut(_), Change::Cut(_)))) {
        match cutoffs::all(run) {
            Some(cutoffs) => cutoffs::cut(client, &mut meta, cutoffs).await?,
            None => apply_each(client, &mut meta, run).await?,
        }
    }
    meta.save(client).await
}

async fn apply_each(client: &impl GenericClient, meta: &mut Meta, changes: &[Change]) -> Result<(), Fault> {
    for change in changes {
        match change {
            Change::PutClient(new) => put_client(client, meta, new).await?,
            Change::SwapClient { old, new } => {
                stands::expect_client(client, old, new).await?;
                put_client(client, meta, new).await?;
            }
            Change::PutKey(key) => put_key(client, meta, key).await?,
            Change::ExpectKeys { client: owner, keys } => stands::expect_keys(client, *owner, keys).await?,
            Change::SwapKeys { old, new } => reseal::swap_keys(client, meta, old, new).await?,
            Change::SwapSeal { old, new } => reseal::swap_seal(client, old.as_ref(), new).await?,
            Change::AddRing(rows) => {
                for row in rows {
                    put_ring(client, &mut meta.ring, row, Old::Conflicts).await?;
                }
            }
            Change::PutRing(rows) => {
                for row in rows {
                    put_ring(client, &mut meta.ring, row, Old::Goes).await?;
                }
            }
            Change::SwapRing { old, new } => {
                for row in old {
                    take_ring(client, &mut meta.ring, row).await?;
                }
                for row in new {
                    put_ring(client, &mut meta.ring, row, Old::Goes).await?;
                }
            }
            Change::SetClock(to) => super::clock::set(client, *to).await?,
            Change::CutRecords { through, cuts } => super::proofs::cut(client, *through, cuts).await?,
            Change::Cut(cutoff) => cutoffs::cut(client, meta, [cutoff]).await?,
            Change::Uncut(gone) => cutoffs::uncut(client, meta, gone).await?,
            Change::Freeze(new) => freeze(client, &mut meta.freezes, new).await?,
            Change::Thaw(place) => thaw(client, &mut meta.freezes, place).await?,
            Change::SwapRoots { old, new } => {
                for row in old {
                    take_root(client, &mut meta.roots, row).await?;
                }
                for row in new {
                    put_root(client, &mut meta.roots, row).await?;
                }
            }
        }
    }
    Ok(())
}

async fn execute(client: &impl GenericClient, sql: &'static str, params: Params<'_>) -> Result<u64, Fault> {
    Ok(client.execute(&client.prepare_cached(sql).await?, params).await?)
}

async fn row(client: &impl GenericClient, sql: &str, params: Params<'_>) -> Result<Option<Row>, Fault> {
    Ok(client.query_opt(&client.prepare_cached(sql).await?, params).await?)
}

/// The digests of the tables, and the numbers of changes.
#[derive(Clone)]
pub(super) struct Meta {
    changes: i64,
    /// The number of the last change of a cut-off.
    recut: i64,
    /// The number of the last change of a client or a key.
    edited: i64,
    pub(super) clients: Digest,
    pub(super) keys: Digest,
    pub(super) ring: Digest,
    pub(super) cutoffs: Digest,
    pub(super) freezes: Digest,
    pub(super) roots: Digest,
    /// Changes of cut-offs that are to be noted.
    pub(super) recuts: Vec<(String, Option<i64>)>,
    /// Changes of clients and keys that are to be noted.
    edits: Vec<Edit>,
}

impl Meta {
    pub(super) async fn load(client: &impl GenericClient) -> Result<Self, Fault> {
        let sql = "SELECT changes, recut, clients, keys, ring, cutoffs, freezes, roots, edited FROM meta";
        let row = row(client, sql, &[]).await?.ok_or_else(|| damaged("the table `meta` is empty"))?;
        Ok(Self {
            changes: column(&row, 0)?,
            recut: column(&row, 1)?,
            clients: bytes(&row, 2)?,
            keys: bytes(&row, 3)?,
            ring: bytes(&row, 4)?,
            cutoffs: bytes(&row, 5)?,
            freezes: bytes(&row, 6)?,
            roots: bytes(&row, 7)?,
            edited: column(&row, 8)?,
            recuts: Vec::new(),
            edits: Vec::new(),
        })
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

    /// Takes a change of a client or a key into the table's digest. Those who have read the table before are told by
    /// [`Self::save`].
    pub(super) fn edit(&mut self, edit: Edit) {
        let total = if edit.table == "clients" { &mut self.clients } else { &mut self.keys };
        replace(total, edit.was, &edit.becomes);
        self.edits.push(edit);
    }

    /// Gives the number of changes so far.
    pub(super) async fn save(self, client: &impl GenericClient) -> Result<i64, Fault> {
        let changes = self.changes.wrapping_add(1);
        let recut = self.note(client).await?;
        let edited = edits::note(client, self.edited, &self.edits).await?;
        let digests = [&self.clients, &self.keys, &self.ring, &self.cutoffs, &self.freezes, &self.roots];
        let [clients, keys, ring, cutoffs, freezes, roots] = digests.map(<[u8; 32]>::as_slice);
        execute(
            client,
            "UPDATE meta SET changes = $1, recut = $2,
                 clients = $3, keys = $4, ring = $5, cutoffs = $6, freezes = $7, roots = $8, edited = $9",
            &[&changes, &recut, &clients, &keys, &ring, &cutoffs, &freezes, &roots, &edited],
        )
        .await?;
        Ok(changes)
    }

    /// Notes which cut-offs have which instant now, or are gone, for those who have read the table before. Gives the number
    /// of the last one.
    async fn note(&self, client: &impl GenericClient) -> Result<i64, Fault> {
        if self.recuts.is_empty() {
            return Ok(self.recut);
        }
        let (scopes, befores): (Vec<&str>, Vec<Option<i64>>) =
            self.recuts.iter().map(|(scope, before)| (scope.as_str(), *before)).unzip();
        execute(
            client,
            "INSERT INTO recuts (number, scope, before)
             SELECT $1 + number, scope, before
             FROM unnest($2::text[], $3::bigint[]) WITH ORDINALITY AS new (scope, before, number)",
            &[&self.recut, &scopes, &befores],
        )
        .await?;
        let last = self.recut.saturating_add(i64::try_from(self.recuts.len()).map_err(damaged)?);
        execute(client, "DELETE FROM recuts WHERE number <= $1", &[&last.saturating_sub(RECUTS)]).await?;
        Ok(last)
    }
}

fn document(value: &impl serde::Serialize) -> Result<Vec<u8>, Fault> {
    serde_json::to_vec(value).map_err(damaged)
}

pub(super) fn conflict(text: String) -> Fault {
    StoreError::Conflict(text).into()
}

async fn put_client(client: &impl GenericClient, meta: &mut Meta, new: &Client) -> Result<(), Fault> {
    let Client { guid, tenant, name, .. } = new;
    let sql = "SELECT guid FROM clients WHERE tenant = $1 AND name = $2";
    let taken = row(client, sql, &[tenant, name]).await?.map(|row| column::<Uuid>(&row, 0)).transpose()?;
    if taken.is_some_and(|other| other != *guid) {
        return Err(conflict(format!(
            "the tenant `{tenant}` already has a client named `{name}`; choose another name, or change that one"
        )));
    }
    let old = row(client, "SELECT document FROM clients WHERE guid = $1", &[guid]).await?;
    let old: Option<Vec<u8>> = old.map(|row| column(&row, 0)).transpose()?;
    let new = document(new)?;
    execute(
        client,
        "INSERT INTO clients (guid, tenant, name, document) VALUES ($1, $2, $3, $4) ON CONFLICT (guid)
         DO UPDATE SET tenant = excluded.tenant, name = excluded.name, document = excluded.document",
        &[guid, tenant, name, &new],
    )
    .await?;
    let (was, becomes) = (old.map(|old| digest(&[&old])), digest(&[&new]));
    meta.edit(Edit { table: "clients", id: guid.to_string(), was, becomes });
    Ok(())
}

async fn put_key(client: &impl GenericClient, meta: &mut Meta, key: &Key) -> Result<(), Fault> {
    let Key { id, client: owner, .. } = key;
    if row(client, "SELECT 1 FROM clients WHERE guid = $1", &[owner]).await?.is_none() {
        return Err(conflict(format!("the key `{id}` is for the client {owner}, which does not exist")));
    }
    let old = row(client, "SELECT client, document FROM keys WHERE id = $1", &[id]).await?;
    let old =
        old.map(|row| Ok::<_, Fault>((column::<Uuid>(&row, 0)?, column::<Vec<u8>>(&row, 1)?))).transpose()?;
    // Ids are drawn at random, TOP's from eight digits: two can be the same, and the first owner must not lose its key to
    // the second.
    if old.as_ref().is_some_and(|(first, _)| first != owner) {
        return Err(conflict(format!("the key id `{id}` is in use by another client; take another one")));
    }
    let new = document(key)?;
    execute(
        client,
        "INSERT INTO keys (id, client, document) VALUES ($1, $2, $3) ON CONFLICT (id)
         DO UPDATE SET document = excluded.document",
        &[id, owner, &new],
    )
    .await?;
    let (was, becomes) = (old.map(|(_, old)| digest(&[&old])), digest(&[&new]));
    meta.edit(Edit { table: "keys", id: id.clone(), was, becomes });
    Ok(())
}

/// A ring key as its row holds it. The sealed key is stored as it comes, outside any document.
#[derive(PartialEq, Eq)]
pub(super) struct RingColumns {
    pub(super) purpose: String,
    pub(super) version: i64,
    pub(super) state: String,
    pub(super) created: String,
    pub(super) since: String,
    pub(super) sealed: Vec<u8>,
}

impl RingColumns {
    pub(super) const SELECT: &str = "SELECT purpose, version, state, created, since, sealed FROM ring";

    pub(super) fn read(row: &Row) -> Result<Self, Fault> {
        Ok(Self {
            purpose: column(row, 0)?,
            version: column(row, 1)?,
            state: column(row, 2)?,
            created: column(row, 3)?,
            since: column(row, 4)?,
            sealed: column(row, 5)?,
        })
    }

    fn of(row: &RingRow) -> Result<Self, Fault> {
        let state = serde_json::to_value(row.state).map_err(damaged)?;
        Ok(Self {
            purpose: row.purpose.name().to_owned(),
            version: row.version.into(),
            state: state.as_str().unwrap_or_default().to_owned(),
            created: row.created.to_string(),
            since: row.since.to_string(),
            sealed: row.sealed.clone(),
        })
    }

    /// Reads the row of the same purpose and version.
    async fn stored(&self, client: &impl GenericClient) -> Result<Option<Self>, Fault> {
        let sql = format!("{} WHERE purpose = $1 AND version = $2", Self::SELECT);
        let found = row(client, &sql, &[&self.purpose, &self.version]).await?;
        found.map(|row| Self::read(&row)).transpose()
    }

    pub(super) fn digest(&self) -> Digest {
        let version = self.version.to_be_bytes();
        let text = [&self.purpose, &self.state, &self.created, &self.since].map(String::as_bytes);
        let [purpose, state, created, since] = text;
        digest(&[purpose, &version, state, created, since, &self.sealed])
    }
}

/// What becomes of a row that is there already.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Old {
    Goes,
    Conflicts,
}

async fn put_ring(
    client: &impl GenericClient,
    total: &mut Digest,
    row: &RingRow,
    policy: Old,
) -> Result<(), Fault> {
    let new = RingColumns::of(row)?;
    let old = new.stored(client).await?;
    if old.is_some() && policy == Old::Conflicts {
        return Err(conflict(format!("the ring has a key {}/{} already", new.purpose, new.version)));
    }
    execute(
        client,
        "INSERT INTO ring (purpose, version, state, created, since, sealed) VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (purpose, version) DO UPDATE
         SET state = excluded.state, created = excluded.created, since = excluded.since, sealed = excluded.sealed",
        &[&new.purpose, &new.version, &new.state, &new.created, &new.since, &new.sealed],
    )
    .await?;
    replace(total, old.map(|old| old.digest()), &new.digest());
    Ok(())
}

/// Removes a row that must be what is given.
async fn take_ring(client: &impl GenericClient, total: &mut Digest, row: &RingRow) -> Result<(), Fault> {
    let given = RingColumns::of(row)?;
    if given.stored(client).await?.as_ref() != Some(&given) {
        let key = format!("{}/{}", given.purpose, given.version);
        return Err(conflict(format!("the ring's key {key} has changed meanwhile; look again")));
    }
    let sql = "DELETE FROM ring WHERE purpose = $1 AND version = $2";
    execute(client, sql, &[&given.purpose, &given.version]).await?;
    toggle(total, &given.digest());
    Ok(())
}

/// The digest of a frozen place's row.
pub(super) fn freeze_digest(place: &str, since: i64) -> Digest {
    digest(&[place.as_bytes(), &since.to_be_bytes()])
}

async fn freeze(client: &impl GenericClient, total: &mut Digest, freeze: &Freeze) -> Result<(), Fault> {
    let place = serde_json::to_string(&freeze.place).map_err(damaged)?;
    let since = freeze.since.as_millisecond();
    let sql = "INSERT INTO freezes (place, since) VALUES ($1, $2) ON CONFLICT DO NOTHING";
    if execute(client, sql, &[&place, &since]).await? == 1 {
        toggle(total, &freeze_digest(&place, since));
    }
    Ok(())
}

async fn thaw(client: &impl GenericClient, total: &mut Digest, place: &Place) -> Result<(), Fault> {
    let key = serde_json::to_string(place).map_err(damaged)?;
    let gone = row(client, "DELETE FROM freezes WHERE place = $1 RETURNING since", &[&key]).await?;
    let since = column(&gone.ok_or_else(|| conflict(format!("{place} is not frozen")))?, 0)?;
    toggle(total, &freeze_digest(&key, since));
    Ok(())
}

/// Empties a slot that must hold what is given.
async fn take_root(client: &impl GenericClient, total: &mut Digest, root: &RootRow) -> Result<(), Fault> {
    let sql = "DELETE FROM roots WHERE issuer = $1 AND slot = $2 RETURNING document";
    if let Some(gone) = row(client, sql, &[&root.issuer, &root.slot.name()]).await? {
        let document: Vec<u8> = column(&gone, 0)?;
        if serde_json::from_slice::<RootRow>(&document).map_err(damaged)? == *root {
            toggle(total, &digest(&[&document]));
            return Ok(());
        }
    }
    Err(conflict(format!("the root keys of `{}` have changed meanwhile; look again", root.issuer)))
}

/// Fills an empty slot.
async fn put_root(client: &impl GenericClient, total: &mut Digest, root: &RootRow) -> Result<(), Fault> {
    let document = document(root)?;
    let sql = "INSERT INTO roots (issuer, slot, document) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
    if execute(client, sql, &[&root.issuer, &root.slot.name(), &document]).await? != 1 {
        return Err(conflict(format!(
            "slot {} of `{}` holds another root key",
            root.slot.name(),
            root.issuer
        )));
    }
    toggle(total, &digest(&[&document]));
    Ok(())
}

pub(super) fn replace(total: &mut Digest, old: Option<Digest>, new: &Digest) {
    if let Some(old) = old {
        toggle(total, &old);
    }
    toggle(total, new);
}
