//! All of the file row by row, out of it and into it.

use super::change::{Meta, RingColumns, freeze_digest};
use super::fault::{Fault, damaged};
use super::read::{self, RecordRow};
use super::sums::{cutoff_digest, digest, toggle};
use crate::pipe::{Pager, TABLES};
use daypass_core::client::{Client, Key};
use daypass_core::root::RootRow;
use daypass_core::transfer::{self, Blob, HeldPlace, RingKey, Row, Writer};
use rusqlite::Connection;
use rusqlite::types::ValueRef;
use serde::de::DeserializeOwned;

/// Every row of one state of the file, in the order of their parts and keys.
pub(super) fn rows(snapshot: &Connection, to: &mut Pager) -> Result<(), Fault> {
    let ring = format!("{} ORDER BY purpose, version", RingColumns::SELECT);
    read::each_row(snapshot, "ring", &ring, |row| {
        let columns = RingColumns::read(row)?;
        let digest = columns.digest();
        let RingColumns { purpose, version, state, created, since, sealed } = columns;
        let since = since.unwrap_or_else(|| created.clone());
        to.push(Row::Ring(RingKey { purpose, version, state, created, since, sealed: Blob(sealed) }))?;
        Ok(digest)
    })?;
    each(snapshot, "SELECT id, checked, since FROM seal", to, |row| {
        Ok(Row::Seal { id: row.get(0)?, checked: Blob(row.get(1)?), since: row.get(2)? })
    })?;
    documents(snapshot, "clients", "guid", Row::Client, to)?;
    documents(snapshot, "keys", "id", Row::Key, to)?;
    documents(snapshot, "roots", "issuer, slot", Row::Root, to)?;
    read::each_row(snapshot, "cutoffs", "SELECT scope, before FROM cutoffs ORDER BY scope", |row| {
        let (scope, before): (String, i64) = (row.get(0)?, row.get(1)?);
        let digest = cutoff_digest(&scope, before);
        to.push(Row::Cutoff { scope, before })?;
        Ok(digest)
    })?;
    read::each_row(snapshot, "freezes", "SELECT place, since FROM freezes ORDER BY place", |row| {
        let (place, since): (String, i64) = (row.get(0)?, row.get(1)?);
        let digest = freeze_digest(&place, since);
        to.push(Row::Freeze { place, since })?;
        Ok(digest)
    })?;
    each(snapshot, "SELECT key, at FROM uses ORDER BY key", to, |row| {
        Ok(Row::Use { key: row.get(0)?, at: row.get(1)? })
    })?;
    each(snapshot, "SELECT mark, until FROM spent ORDER BY mark", to, |row| {
        Ok(Row::Spent { mark: Blob(row.get(0)?), until: row.get(1)? })
    })?;
    each(snapshot, "SELECT place, turn, holder, until, sealed, keep FROM held ORDER BY place", to, |row| {
        Ok(Row::Held(HeldPlace {
            place: Blob(row.get(0)?),
            turn: row.get(1)?,
            holder: row.get(2)?,
            until: row.get(3)?,
            sealed: row.get::<_, Option<Vec<u8>>>(4)?.map(Blob),
            keep: row.get(5)?,
        }))
    })?;
    each(snapshot, "SELECT mark FROM clock", to, |row| Ok(Row::Clock { mark: row.get(0)? }))?;
    each(snapshot, "SELECT number, document FROM checkpoints ORDER BY number", to, |row| {
        Ok(Row::Checkpoint { number: row.get(0)?, document: row.get(1)? })
    })?;
    each(snapshot, "SELECT place, number FROM delivered ORDER BY place", to, |row| {
        Ok(Row::Delivered { place: row.get(0)?, number: row.get(1)? })
    })?;
    let writers =
        "SELECT number, guid, key_version, seq, mac, tip, base, signed, based FROM writers ORDER BY number";
    each(snapshot, writers, to, |row| {
        Ok(Row::Writer(Writer {
            number: row.get(0)?,
            guid: row.get(1)?,
            key_version: row.get(2)?,
            seq: row.get(3)?,
            mac: Blob(row.get(4)?),
            tip: row.get::<_, Option<Vec<u8>>>(5)?.map(Blob),
            base: row.get::<_, Option<Vec<u8>>>(6)?.map(Blob),
            signed: row.get(7)?,
            based: row.get(8)?,
        }))
    })?;
    records(snapshot, to)
}

/// Rows of a table that has no digest.
fn each(
    snapshot: &Connection,
    select: &str,
    to: &mut Pager,
    read: impl Fn(&rusqlite::Row<'_>) -> rusqlite::Result<Row>,
) -> Result<(), Fault> {
    let mut statement = snapshot.prepare(select)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        to.push(read(row)?)?;
    }
    Ok(())
}

fn documents(
    snapshot: &Connection,
    table: &'static str,
    by: &str,
    of: fn(String) -> Row,
    to: &mut Pager,
) -> Result<(), Fault> {
    read::each_row(snapshot, table, &format!("SELECT document FROM {table} ORDER BY {by}"), |row| {
        let document: Vec<u8> = row.get(0)?;
        let digest = digest(&[&document]);
        to.push(of(String::from_utf8(document).map_err(damaged)?))?;
        Ok(digest)
    })
}

/// The records as they stand, the damaged ones too: whoever carries them tells what is wrong with them. What SQLite cannot read as
/// a row is not carried.
fn records(snapshot: &Connection, to: &mut Pager) -> Result<(), Fault> {
    let select = format!("SELECT {} FROM records ORDER BY position", RecordRow::COLUMNS);
    let mut statement = snapshot.prepare(&select)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let mut found = RecordRow::untitled(row)?;
        let tenant = match row.get_ref(7)? {
            ValueRef::Null => None,
            ValueRef::Text(name) => Some(name),
            other => return Err(damaged(format_args!("a tenant's name is {:?}", other.data_type()))),
        };
        // The document says it again, under the chain's MAC. Elsewhere a text holds neither of what is replaced.
        let name = tenant.map(|name| String::from_utf8_lossy(name).replace('\0', "\u{fffd}"));
        found.tenant = name.as_deref();
        let damaged = name.as_deref().map(str::as_bytes) != tenant || !found.is_as_written(row)?;
        to.push(Row::Record(Box::new(transfer::RecordRow {
            position: found.position,
            writer: found.writer,
            seq: found.seq,
            at: found.at,
            latest: found.latest,
            mark: found.mark.map(Blob::from),
            mac: Blob::from(found.mac),
            tenant: found.tenant.map(str::to_owned),
            document: found.document.into(),
            damaged,
        })))?;
    }
    Ok(())
}

/// Whether the file holds nothing.
pub(super) fn is_empty(connection: &Connection) -> Result<bool, Fault> {
    for table in TABLES {
        let any = format!("SELECT EXISTS (SELECT 1 FROM {table})");
        if connection.query_row(&any, [], |row| row.get::<_, bool>(0))? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Takes everything away.
pub(super) fn empty(connection: &Connection, meta: &mut Meta) -> Result<(), Fault> {
    for table in TABLES {
        connection.execute(&format!("DELETE FROM {table}"), [])?;
    }
    meta.forget();
    Ok(())
}

/// Adds a row, which is not there yet.
pub(super) fn put(connection: &Connection, meta: &mut Meta, row: &Row) -> Result<(), Fault> {
    let insert = |sql: &str, params: &[&dyn rusqlite::ToSql]| -> Result<(), Fault> {
        connection.prepare_cached(sql)?.execute(params)?;
        Ok(())
    };
    match row {
        Row::Ring(RingKey { purpose, version, state, created, since, sealed }) => {
            let columns = RingColumns {
                purpose: purpose.clone(),
                version: *version,
                state: state.clone(),
                created: created.clone(),
                since: Some(since.clone()),
                sealed: sealed.0.clone(),
            };
            toggle(&mut meta.ring, &columns.digest());
            insert(
                "INSERT INTO ring (purpose, version, state, created, since, sealed) VALUES (?, ?, ?, ?, ?, ?)",
                &[purpose, version, state, created, since, &sealed.0],
            )
        }
        Row::Client(document) => {
            let Client { guid, tenant, name, .. } = parsed(document)?;
            toggle(&mut meta.clients, &digest(&[document.as_bytes()]));
            insert(
                "INSERT INTO clients (guid, tenant, name, document) VALUES (?, ?, ?, ?)",
                &[&guid, &tenant, &name, &document.as_bytes()],
            )
        }
        Row::Key(document) => {
            let Key { id, client, .. } = parsed(document)?;
            toggle(&mut meta.keys, &digest(&[document.as_bytes()]));
            insert(
                "INSERT INTO keys (id, client, document) VALUES (?, ?, ?)",
                &[&id, &client, &document.as_bytes()],
            )
        }
        Row::Root(document) => {
            let RootRow { issuer, slot, .. } = parsed(document)?;
            toggle(&mut meta.roots, &digest(&[document.as_bytes()]));
            insert(
                "INSERT INTO roots (issuer, slot, document) VALUES (?, ?, ?)",
                &[&issuer, &slot.name(), &document.as_bytes()],
            )
        }
        Row::Cutoff { scope, before } => {
            toggle(&mut meta.cutoffs, &cutoff_digest(scope, *before));
            insert("INSERT INTO cutoffs (scope, before) VALUES (?, ?)", &[scope, before])
        }
        Row::Freeze { place, since } => {
            toggle(&mut meta.freezes, &freeze_digest(place, *since));
            insert("INSERT INTO freezes (place, since) VALUES (?, ?)", &[place, since])
        }
        Row::Use { key, at } => insert("INSERT INTO uses (key, at) VALUES (?, ?)", &[key, at]),
        Row::Spent { mark, until } => {
            insert("INSERT INTO spent (mark, until) VALUES (?, ?)", &[&mark.0, until])
        }
        Row::Held(HeldPlace { place, turn, holder, until, sealed, keep }) => insert(
            "INSERT INTO held (place, turn, holder, until, sealed, keep) VALUES (?, ?, ?, ?, ?, ?)",
            &[&place.0, turn, holder, until, &sealed.as_ref().map(|sealed| &sealed.0), keep],
        ),
        Row::Clock { mark } => insert("INSERT INTO clock (one, mark) VALUES (1, ?)", &[mark]),
        Row::Seal { id, checked, since } => {
            insert("INSERT INTO seal (one, id, checked, since) VALUES (1, ?, ?, ?)", &[id, &checked.0, since])
        }
        Row::Checkpoint { number, document } => {
            insert("INSERT INTO checkpoints (number, document) VALUES (?, ?)", &[number, document])
        }
        Row::Delivered { place, number } => {
            insert("INSERT INTO delivered (place, number) VALUES (?, ?)", &[place, number])
        }
        Row::Writer(Writer { number, guid, key_version, seq, mac, tip, base, signed, based }) => {
            let [tip, base] = [tip, base].map(|point| point.as_ref().map(|point| &point.0));
            insert(
                "INSERT INTO writers (number, guid, key_version, seq, mac, tip, base, signed, based)
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                &[number, guid, key_version, seq, &mac.0, &tip, &base, signed, based],
            )
        }
        Row::Record(record) => {
            let row = RecordRow {
                position: record.position,
                writer: record.writer,
                seq: record.seq,
                at: record.at,
                latest: record.latest,
                mark: record.mark.as_ref().map(|mark| mark.0.as_slice()),
                mac: &record.mac.0,
                tenant: record.tenant.as_deref(),
                document: record.document.bytes(),
            };
            connection.prepare_cached(RecordRow::INSERT)?.execute(row.params(&row.sum()))?;
            Ok(())
        }
    }
}

fn parsed<T: DeserializeOwned>(document: &str) -> Result<T, Fault> {
    serde_json::from_str(document).map_err(damaged)
}
