//! Queries. Everything read is checked against its sum before it is given away.

use super::change::{RingColumns, freeze_digest};
use super::fault::{Fault, damaged};
use super::sums::{Digest, cutoff_digest, digest, short, toggle};
use daypass_core::clock::Timestamp;
use daypass_core::cutoff::{Cutoff, Scope};
use daypass_core::freeze::Freeze;
use daypass_core::record::{ChainHead, Link, Record};
use daypass_core::ring::{Purpose, RingRow};
use daypass_core::store::{RecordQuery, StoreError, Stored};
use rusqlite::{Connection, OptionalExtension, Row, ToSql, params};
use serde::de::DeserializeOwned;
use uuid::Uuid;

/// The number of changes so far.
pub(super) fn changes(connection: &Connection) -> Result<i64, Fault> {
    Ok(connection.prepare_cached("SELECT changes FROM meta")?.query_row([], |row| row.get(0))?)
}

/// Every client, every key, or every root key.
pub(super) fn documents<T: DeserializeOwned>(
    snapshot: &Connection,
    table: &'static str,
) -> Result<Vec<T>, Fault> {
    whole_table(snapshot, table, &format!("SELECT document FROM {table}"), |row| {
        let document: Vec<u8> = row.get(0)?;
        Ok((serde_json::from_slice(&document).map_err(damaged)?, digest(&[&document])))
    })
}

/// Gives every document of a table away as it is read. It compares nothing: whoever takes them does.
pub(super) fn each_document(
    snapshot: &Connection,
    table: &'static str,
    mut take: impl FnMut(&[u8]) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let mut statement = snapshot.prepare_cached(&format!("SELECT document FROM {table}"))?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        take(row.get_ref(0)?.as_blob().map_err(damaged)?)?;
    }
    Ok(())
}

/// Every ring key of a purpose that this program knows: a newer one beside it may have more.
pub(super) fn ring(snapshot: &Connection) -> Result<Vec<RingRow>, Fault> {
    let mut all = Vec::new();
    each_row(snapshot, "ring", RingColumns::SELECT, |row| {
        let columns = RingColumns::read(row)?;
        let digest = columns.digest();
        let Some(purpose) = Purpose::named(&columns.purpose) else { return Ok(digest) };
        all.push(RingRow {
            purpose,
            version: columns.version,
            state: serde_json::from_value(columns.state.into()).map_err(damaged)?,
            created: columns.created.parse().map_err(damaged)?,
            since: columns.since.unwrap_or(columns.created).parse().map_err(damaged)?,
            sealed: columns.sealed,
        });
        Ok(digest)
    })?;
    Ok(all)
}

/// Every cut-off.
pub(super) fn cutoffs(snapshot: &Connection) -> Result<Vec<Cutoff>, Fault> {
    let mut all = Vec::new();
    each_cutoff(snapshot, |scope, before| {
        all.push(Cutoff { scope, before: Timestamp::from_millisecond(before).map_err(damaged)? });
        Ok(())
    })?;
    Ok(all)
}

/// The instant of one scope's cut-off.
pub(super) fn cutoff(connection: &Connection, scope: &Scope) -> Result<Option<Timestamp>, Fault> {
    let scope = serde_json::to_string(scope).map_err(damaged)?;
    let before: Option<i64> = connection
        .prepare_cached("SELECT before FROM cutoffs WHERE scope = ?")?
        .query_row([scope], |row| row.get(0))
        .optional()?;
    before.map(Timestamp::from_millisecond).transpose().map_err(damaged)
}

/// Gives every cut-off away as it is read, with its instant in milliseconds. If it ends with a fault, what was given is not
/// what was written.
pub(super) fn each_cutoff(
    snapshot: &Connection,
    mut take: impl FnMut(Scope, i64) -> Result<(), Fault>,
) -> Result<(), Fault> {
    each_row(snapshot, "cutoffs", "SELECT scope, before FROM cutoffs", |row| {
        let scope = row.get_ref(0)?.as_str().map_err(damaged)?;
        let before: i64 = row.get(1)?;
        take(serde_json::from_str(scope).map_err(damaged)?, before)?;
        Ok(cutoff_digest(scope, before))
    })
}

/// Every place where nothing is issued.
pub(super) fn freezes(snapshot: &Connection) -> Result<Vec<Freeze>, Fault> {
    whole_table(snapshot, "freezes", "SELECT place, since FROM freezes", |row| {
        let (place, since): (String, i64) = (row.get(0)?, row.get(1)?);
        let digest = freeze_digest(&place, since);
        let place = serde_json::from_str(&place).map_err(damaged)?;
        Ok((Freeze { place, since: Timestamp::from_millisecond(since).map_err(damaged)? }, digest))
    })
}

/// When each key was last used.
pub(super) fn uses(connection: &Connection) -> Result<Vec<(String, Timestamp)>, Fault> {
    let mut statement = connection.prepare_cached("SELECT key, at FROM uses")?;
    let mut rows = statement.query([])?;
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        all.push((row.get(0)?, Timestamp::from_millisecond(row.get(1)?).map_err(damaged)?));
    }
    Ok(all)
}

/// Every row of a table.
fn whole_table<T>(
    snapshot: &Connection,
    table: &'static str,
    select: &str,
    mut read: impl FnMut(&Row<'_>) -> Result<(T, Digest), Fault>,
) -> Result<Vec<T>, Fault> {
    let mut all = Vec::new();
    each_row(snapshot, table, select, |row| {
        let (value, digest) = read(row)?;
        all.push(value);
        Ok(digest)
    })?;
    Ok(all)
}

/// Reads every row of a table and the table's digest, which must be of one state of the file, and compares.
pub(super) fn each_row(
    snapshot: &Connection,
    table: &'static str,
    select: &str,
    mut read: impl FnMut(&Row<'_>) -> Result<Digest, Fault>,
) -> Result<(), Fault> {
    let expected: Digest = snapshot.query_row(&format!("SELECT {table} FROM meta"), [], |row| row.get(0))?;
    let mut total = [0; 32];
    let mut statement = snapshot.prepare_cached(select)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        toggle(&mut total, &read(row)?);
    }
    if total == expected {
        Ok(())
    } else {
        Err(damaged(format_args!("the table `{table}` is not what was written to it")))
    }
}

/// The head of every chain. Like links, they carry no sum: whoever asks for them checks the chains, and is to be
/// told which one is at fault.
pub(super) fn heads(connection: &Connection) -> Result<Vec<ChainHead>, Fault> {
    let mut statement = connection.prepare_cached(
        "SELECT number, guid, key_version, seq, mac, tip, base, signed, based FROM writers ORDER BY number",
    )?;
    let mut rows = statement.query([])?;
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        // Writers are numbered from 1 and never removed.
        let number: i64 = row.get(0)?;
        if usize::try_from(number) != Ok(all.len() + 1) {
            return Err(damaged(format_args!("the writer before number {number} is missing")));
        }
        all.push(ChainHead {
            writer: row.get(1)?,
            key_version: row.get(2)?,
            seq: u64::try_from(row.get::<_, i64>(3)?).map_err(damaged)?,
            mac: row.get(4)?,
            tip: super::proofs::point(row, 5)?,
            base: super::proofs::point(row, 6)?,
            signed: u64::try_from(row.get::<_, i64>(7)?).map_err(damaged)?,
            based: u64::try_from(row.get::<_, i64>(8)?).map_err(damaged)?,
        });
    }
    // Whoever removes the last writer would otherwise hide its records from every check of the chains.
    let last: Option<i64> =
        connection.prepare_cached("SELECT max(writer) FROM records")?.query_row([], |row| row.get(0))?;
    match last {
        Some(number) if usize::try_from(number).is_ok_and(|number| number > all.len()) => {
            Err(damaged(format_args!("the writer number {number} of some records is missing")))
        }
        _ => Ok(all),
    }
}

/// Links of one chain, as they stand.
pub(super) fn links(
    connection: &Connection,
    writer: Uuid,
    after: u64,
    limit: usize,
) -> Result<Vec<Link>, Fault> {
    let after = i64::try_from(after).unwrap_or(i64::MAX);
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut statement = connection.prepare_cached(
        "SELECT seq, document, mac FROM records
         WHERE writer = (SELECT number FROM writers WHERE guid = ?) AND seq > ? ORDER BY seq LIMIT ?",
    )?;
    let mut rows = statement.query(params![writer, after, limit])?;
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        let seq = u64::try_from(row.get::<_, i64>(0)?).map_err(damaged)?;
        all.push(Link { writer, seq, blob: row.get(1)?, mac: row.get(2)? });
    }
    Ok(all)
}

/// A record as its row holds it.
pub(super) struct RecordRow<'a> {
    pub(super) position: i64,
    pub(super) writer: i64,
    pub(super) seq: i64,
    pub(super) at: i64,
    pub(super) latest: i64,
    pub(super) mark: Option<&'a [u8]>,
    pub(super) mac: &'a [u8],
    pub(super) tenant: Option<&'a str>,
    pub(super) document: &'a [u8],
}

impl<'a> RecordRow<'a> {
    pub(super) const COLUMNS: &'static str =
        "position, writer, seq, at, latest, mark, mac, tenant, document, sum";
    /// Takes the row's fields and the sum, in the order of [`Self::COLUMNS`].
    pub(super) const INSERT: &'static str =
        "INSERT INTO records (position, writer, seq, at, latest, mark, mac, tenant, document, sum)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";

    pub(super) fn params(&'a self, sum: &'a i64) -> [&'a dyn ToSql; 10] {
        [
            &self.position,
            &self.writer,
            &self.seq,
            &self.at,
            &self.latest,
            &self.mark,
            &self.mac,
            &self.tenant,
            &self.document,
            sum,
        ]
    }

    pub(super) fn read(row: &'a Row<'_>) -> Result<Self, Fault> {
        let found =
            Self { tenant: row.get_ref(7)?.as_str_or_null().map_err(damaged)?, ..Self::untitled(row)? };
        if found.is_as_written(row)? {
            Ok(found)
        } else {
            Err(damaged(format_args!("the record at position {} is not what was written", found.position)))
        }
    }

    /// All but the tenant, whose bytes need not be a text, and no sum compared.
    pub(super) fn untitled(row: &'a Row<'_>) -> Result<Self, Fault> {
        Ok(Self {
            position: row.get(0)?,
            writer: row.get(1)?,
            seq: row.get(2)?,
            at: row.get(3)?,
            latest: row.get(4)?,
            mark: row.get_ref(5)?.as_blob_or_null().map_err(damaged)?,
            mac: row.get_ref(6)?.as_blob().map_err(damaged)?,
            tenant: None,
            document: row.get_ref(8)?.as_blob().map_err(damaged)?,
        })
    }

    /// Whether its columns are those that the sum beside them was made of.
    pub(super) fn is_as_written(&self, row: &Row<'_>) -> Result<bool, Fault> {
        Ok(self.sum() == row.get::<_, i64>(9)?)
    }

    /// The sum of the row's columns.
    pub(super) fn sum(&self) -> i64 {
        let numbers = [self.position, self.writer, self.seq, self.at, self.latest];
        let [position, writer, seq, at, latest] = numbers.map(i64::to_be_bytes);
        let (mark, tenant) = (self.mark.unwrap_or_default(), self.tenant.unwrap_or_default().as_bytes());
        short(&[&position, &writer, &seq, &at, &latest, mark, self.mac, tenant, self.document])
    }
}

/// Records, oldest first.
pub(super) fn records(connection: &mut Connection, query: &RecordQuery) -> Result<Vec<Stored>, Fault> {
    let snapshot = connection.transaction()?;
    let first = match query.since {
        Some(since) => first_since(&snapshot, since.as_millisecond())?,
        None => i64::MIN,
    };
    let first = first.max(query.after.map_or(i64::MIN, |after| after.saturating_add(1)));
    let newest_first = query.after.is_none();

    let order = if newest_first { "DESC" } else { "ASC" };
    // Named, because without statistics SQLite may walk the whole table for a tenant that is rare.
    let index = if query.tenant.is_some() { "INDEXED BY records_tenant" } else { "" };
    let of_tenant = if query.tenant.is_some() { "AND tenant = ?" } else { "" };
    let columns = RecordRow::COLUMNS;
    let mut statement = snapshot.prepare_cached(&format!(
        "SELECT {columns} FROM records {index} WHERE position >= ? {of_tenant} ORDER BY position {order}"
    ))?;
    let mut rows = match &query.tenant {
        Some(tenant) => statement.query(params![first, tenant])?,
        None => statement.query([first])?,
    };

    let mut found: Vec<Stored> = Vec::new();
    let mut previous = None;
    while found.len() < query.limit
        && let Some(row) = rows.next()?
    {
        let row = RecordRow::read(row)?;
        let step = previous.replace(row.position).map_or(1, |before| row.position.abs_diff(before));
        if query.tenant.is_none() && step != 1 {
            return Err(damaged(format_args!("records beside position {} are missing", row.position)));
        }
        let record: Record = serde_json::from_slice(row.document).map_err(damaged)?;
        if query.since.is_none_or(|since| record.at >= since) {
            found.push(Stored { position: row.position, record });
        }
    }
    if newest_first {
        found.reverse();
    }
    Ok(found)
}

/// The first position whose `latest` is at or after this time (one behind the last if there is none): no record
/// before it can be as late. By bisection, because positions have no gaps and `latest` never falls. What stands beside a record
/// that is damaged or missing is not believed: it may begin before, and whoever writes or starts is not kept from it.
pub(super) fn first_since(connection: &Connection, since: i64) -> Result<i64, Fault> {
    let (mut low, mut high): (i64, i64) = connection
        .prepare_cached("SELECT coalesce(min(position), 1), coalesce(max(position), 0) FROM records")?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let columns = RecordRow::COLUMNS;
    let mut select =
        connection.prepare_cached(&format!("SELECT {columns} FROM records WHERE position = ?"))?;
    while low <= high {
        let middle = low + (high - low) / 2;
        let latest =
            select.query_row([middle], |row| Ok(RecordRow::read(row).map(|row| row.latest))).optional()?;
        let earlier = match latest {
            Some(Ok(latest)) => latest < since,
            None | Some(Err(Fault { error: StoreError::Damaged(_), .. })) => false,
            Some(Err(fault)) => return Err(fault),
        };
        if earlier {
            low = middle + 1;
        } else {
            high = middle - 1;
        }
    }
    Ok(low)
}
