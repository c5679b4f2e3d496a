//! Queries. What is read whole is checked against its digest before it is given away.

use super::change::{RingColumns, freeze_digest};
use super::fault::{Fault, bytes, column, damaged};
use crate::sums::{Digest, cutoff_digest, digest, toggle};
use daypass_core::clock::Timestamp;
use daypass_core::cutoff::{Cutoff, Scope};
use daypass_core::freeze::Freeze;
use daypass_core::record::{ChainHead, Link, Record};
use daypass_core::ring::{Purpose, RingRow};
use daypass_core::store::{RecordQuery, Stored};
use deadpool_postgres::GenericClient;
use serde::de::DeserializeOwned;
use std::pin::pin;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

/// How many records one query reads: those of a year are not held in memory at once.
const PAGE: usize = 1000;

/// Every client, every key, or every root key, in the order of `by`.
pub(super) async fn documents<T: DeserializeOwned + Send>(
    client: &impl GenericClient,
    table: &'static str,
    by: &'static str,
) -> Result<Vec<T>, Fault> {
    let select = format!("SELECT document FROM {table} ORDER BY {by}");
    whole_table(client, table, &select, |row| {
        let document: &[u8] = column(row, 0)?;
        Ok((serde_json::from_slice(document).map_err(damaged)?, digest(&[document])))
    })
    .await
}

/// Gives every document of a table away as it is read. If it ends with a fault, what was given is not what was written.
pub(super) async fn each_document(
    client: &impl GenericClient,
    table: &'static str,
    mut take: impl FnMut(&[u8]) -> Result<(), Fault> + Send,
) -> Result<(), Fault> {
    each_row(client, table, &format!("SELECT document FROM {table}"), |row| {
        let document = column(row, 0)?;
        take(document)?;
        Ok(digest(&[document]))
    })
    .await
}

/// Every ring key of a purpose that this program knows: a newer one beside it may have more.
pub(super) async fn ring(client: &impl GenericClient) -> Result<Vec<RingRow>, Fault> {
    let select = format!("{} ORDER BY purpose, version", RingColumns::SELECT);
    let mut all = Vec::new();
    each_row(client, "ring", &select, |row| {
        let columns = RingColumns::read(row)?;
        let digest = columns.digest();
        let Some(purpose) = Purpose::named(&columns.purpose) else { return Ok(digest) };
        all.push(RingRow {
            purpose,
            version: u32::try_from(columns.version).map_err(damaged)?,
            state: serde_json::from_value(columns.state.into()).map_err(damaged)?,
            created: columns.created.parse().map_err(damaged)?,
            since: columns.since.parse().map_err(damaged)?,
            sealed: columns.sealed,
        });
        Ok(digest)
    })
    .await?;
    Ok(all)
}

/// Every cut-off.
pub(super) async fn cutoffs(client: &impl GenericClient) -> Result<Vec<Cutoff>, Fault> {
    let mut all = Vec::new();
    each_cutoff(client, |scope, before| {
        all.push(Cutoff { scope, before: Timestamp::from_millisecond(before).map_err(damaged)? });
        Ok(())
    })
    .await?;
    Ok(all)
}

/// The instant of one scope's cut-off.
pub(super) async fn cutoff(client: &impl GenericClient, scope: &Scope) -> Result<Option<Timestamp>, Fault> {
    let scope = serde_json::to_string(scope).map_err(damaged)?;
    let select = client.prepare_cached("SELECT before FROM cutoffs WHERE scope = $1").await?;
    let Some(row) = client.query_opt(&select, &[&scope]).await? else { return Ok(None) };
    Timestamp::from_millisecond(column(&row, 0)?).map(Some).map_err(damaged)
}

/// Gives every cut-off away as it is read, with its instant in milliseconds. If it ends with a fault, what was given is not
/// what was written.
pub(super) async fn each_cutoff(
    client: &impl GenericClient,
    mut take: impl FnMut(Scope, i64) -> Result<(), Fault> + Send,
) -> Result<(), Fault> {
    each_row(client, "cutoffs", "SELECT scope, before FROM cutoffs", |row| {
        let (scope, before): (&str, i64) = (column(row, 0)?, column(row, 1)?);
        take(serde_json::from_str(scope).map_err(damaged)?, before)?;
        Ok(cutoff_digest(scope, before))
    })
    .await
}

/// Every place where nothing is issued.
pub(super) async fn freezes(client: &impl GenericClient) -> Result<Vec<Freeze>, Fault> {
    whole_table(client, "freezes", "SELECT place, since FROM freezes ORDER BY place", |row| {
        let (place, since): (&str, i64) = (column(row, 0)?, column(row, 1)?);
        let digest = freeze_digest(place, since);
        let place = serde_json::from_str(place).map_err(damaged)?;
        Ok((Freeze { place, since: Timestamp::from_millisecond(since).map_err(damaged)? }, digest))
    })
    .await
}

/// When each key was last used.
pub(super) async fn uses(client: &impl GenericClient) -> Result<Vec<(String, Timestamp)>, Fault> {
    let rows = client.query("SELECT key, at FROM uses", &[]).await?;
    let one =
        |row: &Row| Ok((column(row, 0)?, Timestamp::from_millisecond(column(row, 1)?).map_err(damaged)?));
    rows.iter().map(one).collect()
}

/// Every row of a table.
async fn whole_table<T: Send>(
    client: &impl GenericClient,
    table: &'static str,
    select: &str,
    read: impl Fn(&Row) -> Result<(T, Digest), Fault> + Send + Sync,
) -> Result<Vec<T>, Fault> {
    let mut all = Vec::new();
    each_row(client, table, select, |row| {
        let (value, digest) = read(row)?;
        all.push(value);
        Ok(digest)
    })
    .await?;
    Ok(all)
}

/// Reads every row of a table and the table's digest, which must be of one state of the database, and compares.
async fn each_row(
    client: &impl GenericClient,
    table: &'static str,
    select: &str,
    mut read: impl FnMut(&Row) -> Result<Digest, Fault> + Send,
) -> Result<(), Fault> {
    let meta =
        client.query_one(&client.prepare_cached(&format!("SELECT {table} FROM meta")).await?, &[]).await?;
    let expected: Digest = bytes(&meta, 0)?;
    let mut total = [0; 32];
    let select = client.prepare_cached(select).await?;
    let none: [&(dyn ToSql + Sync); 0] = [];
    let mut rows = pin!(client.query_raw(&select, none).await?);
    while let Some(row) = next(&mut rows).await? {
        toggle(&mut total, &read(&row)?);
    }
    if total == expected { Ok(()) } else { Err(changed(table)) }
}

/// What a table holds does not have the table's digest.
pub(super) fn changed(table: &str) -> Fault {
    damaged(format_args!("the table `{table}` is not what was written to it"))
}

/// The next row of those that are being read.
pub(super) async fn next(
    rows: &mut std::pin::Pin<&mut tokio_postgres::RowStream>,
) -> Result<Option<Row>, Fault> {
    Ok(futures_util::TryStreamExt::try_next(rows).await?)
}

/// The head of every chain. Like links, they carry no sum: whoever asks for them checks the chains, and is to be told which one
/// is at fault.
pub(super) async fn heads(client: &impl GenericClient) -> Result<Vec<ChainHead>, Fault> {
    let mut all = Vec::new();
    let sql =
        "SELECT number, guid, key_version, seq, mac, tip, base, signed, based FROM writers ORDER BY number";
    for row in client.query(sql, &[]).await? {
        // Writers are numbered from 1 and never removed.
        let number: i64 = column(&row, 0)?;
        if usize::try_from(number) != Ok(all.len() + 1) {
            return Err(damaged(format_args!("the writer before number {number} is missing")));
        }
        all.push(ChainHead {
            writer: column(&row, 1)?,
            key_version: u32::try_from(column::<i64>(&row, 2)?).map_err(damaged)?,
            seq: u64::try_from(column::<i64>(&row, 3)?).map_err(damaged)?,
            mac: bytes(&row, 4)?,
            tip: super::proofs::point(&row, 5)?,
            base: super::proofs::point(&row, 6)?,
            signed: u64::try_from(column::<i64>(&row, 7)?).map_err(damaged)?,
            based: u64::try_from(column::<i64>(&row, 8)?).map_err(damaged)?,
        });
    }
    // Whoever removes the last writer would otherwise hide its records from every check of the chains.
    let last: Option<i64> = column(&client.query_one("SELECT max(writer) FROM records", &[]).await?, 0)?;
    match last {
        Some(number) if usize::try_from(number).is_ok_and(|number| number > all.len()) => {
            Err(damaged(format_args!("the writer number {number} of some records is missing")))
        }
        _ => Ok(all),
    }
}

/// Links of one chain, as they stand.
pub(super) async fn links(
    client: &impl GenericClient,
    writer: Uuid,
    after: u64,
    limit: usize,
) -> Result<Vec<Link>, Fault> {
    let after = i64::try_from(after).unwrap_or(i64::MAX);
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let select = client
        .prepare_cached(
            "SELECT seq, document, mac FROM records
             WHERE writer = (SELECT number FROM writers WHERE guid = $1) AND seq > $2 ORDER BY seq LIMIT $3",
        )
        .await?;
    let rows = client.query(&select, &[&writer, &after, &limit]).await?;
    let link = |row: &Row| {
        let seq = u64::try_from(column::<i64>(row, 0)?).map_err(damaged)?;
        Ok(Link { writer, seq, blob: column(row, 1)?, mac: bytes(row, 2)? })
    };
    rows.iter().map(link).collect()
}

/// Records, oldest first.
pub(super) async fn records(client: &impl GenericClient, query: &RecordQuery) -> Result<Vec<Stored>, Fault> {
    let first = match query.since {
        Some(since) => first_since(client, since.as_millisecond()).await?,
        None => i64::MIN,
    };
    let newest_first = query.after.is_none();
    let (order, of_tenant) = (
        if newest_first { "DESC" } else { "ASC" },
        if query.tenant.is_some() { "tenant = $4" } else { "$4::text IS NULL" },
    );
    let select = client
        .prepare_cached(&format!(
            "SELECT position, document FROM records
             WHERE position >= $1 AND position < $2 AND {of_tenant} ORDER BY position {order} LIMIT $3"
        ))
        .await?;

    let mut from = first.max(query.after.map_or(i64::MIN, |after| after.saturating_add(1)));
    let mut to = i64::MAX;
    let mut found: Vec<Stored> = Vec::new();
    let mut previous: Option<i64> = None;
    while found.len() < query.limit {
        let page = (query.limit - found.len()).min(PAGE);
        let limit = i64::try_from(page).map_err(damaged)?;
        let rows = client.query(&select, &[&from, &to, &limit, &query.tenant]).await?;
        for row in &rows {
            let position: i64 = column(row, 0)?;
            let step = previous.replace(position).map_or(1, |before| position.abs_diff(before));
            if query.tenant.is_none() && step != 1 {
                return Err(damaged(format_args!("records beside position {position} are missing")));
            }
            let record: Record = serde_json::from_slice(column(row, 1)?).map_err(damaged)?;
            if query.since.is_none_or(|since| record.at >= since) {
                found.push(Stored { position, record });
            }
        }
        match previous {
            Some(last) if rows.len() == page && newest_first => to = last,
            Some(last) if rows.len() == page => from = last.saturating_add(1),
            _ => break,
        }
    }
    if newest_first {
        found.reverse();
    }
    Ok(found)
}

/// The first position whose `latest` is at or after this time (one behind the last if there is none): no record before it can
/// be as late. By bisection, because positions have no gaps and `latest` never falls. Where one is missing all the same it may
/// begin before, and whoever writes or starts is not kept from it.
pub(super) async fn first_since(client: &impl GenericClient, since: i64) -> Result<i64, Fault> {
    let ends = "SELECT coalesce(min(position), 1), coalesce(max(position), 0) FROM records";
    let ends = client.query_one(&client.prepare_cached(ends).await?, &[]).await?;
    let (mut low, mut high): (i64, i64) = (column(&ends, 0)?, column(&ends, 1)?);
    let select = client.prepare_cached("SELECT latest FROM records WHERE position = $1").await?;
    while low <= high {
        let middle = low + (high - low) / 2;
        let row = client.query_opt(&select, &[&middle]).await?;
        let latest: Option<i64> = row.map(|row| column(&row, 0)).transpose()?;
        if latest.is_some_and(|latest| latest < since) {
            low = middle + 1;
        } else {
            high = middle - 1;
        }
    }
    Ok(low)
}
