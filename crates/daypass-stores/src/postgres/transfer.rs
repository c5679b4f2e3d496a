//! All of the tables row by row, out of them and into them.

use super::change::{Meta, RingColumns, freeze_digest};
use super::fault::{Fault, bytes, column, damaged};
use super::read;
use crate::pipe::{Pager, TABLES};
use crate::sums::{cutoff_digest, digest, toggle};
use daypass_core::client::{Client, Key};
use daypass_core::root::RootRow;
use daypass_core::transfer::{Blob, HeldPlace, RecordRow, RingKey, Row, Writer};
use deadpool_postgres::GenericClient;
use serde::de::DeserializeOwned;
use std::pin::pin;
use tokio_postgres::Row as Columns;
use tokio_postgres::types::ToSql;

/// Every row of one state of the database, in the order of their parts and keys.
///
/// Texts are put in order byte by byte, whatever language the database was made for: two stores are compared by it.
pub(super) async fn rows(client: &impl GenericClient, to: &mut Pager) -> Result<(), Fault> {
    let ring = format!(r#"{} ORDER BY purpose COLLATE "C", version"#, RingColumns::SELECT);
    each(client, Some("ring"), &ring, to, |row| {
        let columns = RingColumns::read(row)?;
        let digest = columns.digest();
        let RingColumns { purpose, version, state, created, since, sealed } = columns;
        let (version, sealed) = (u32::try_from(version).map_err(damaged)?, Blob(sealed));
        Ok((Row::Ring(RingKey { purpose, version, state, created, since, sealed }), digest))
    })
    .await?;
    each(client, None, "SELECT id, checked, since FROM seal", to, |row| {
        let id = u32::try_from(column::<i64>(row, 0)?).map_err(damaged)?;
        Ok((Row::Seal { id, checked: blob(row, 1)?, since: column(row, 2)? }, [0; 32]))
    })
    .await?;
    documents(client, "clients", "guid", Row::Client, to).await?;
    documents(client, "keys", r#"id COLLATE "C""#, Row::Key, to).await?;
    documents(client, "roots", r#"issuer COLLATE "C", slot COLLATE "C""#, Row::Root, to).await?;
    let cutoffs = r#"SELECT scope, before FROM cutoffs ORDER BY scope COLLATE "C""#;
    each(client, Some("cutoffs"), cutoffs, to, |row| {
        let (scope, before): (String, i64) = (column(row, 0)?, column(row, 1)?);
        let digest = cutoff_digest(&scope, before);
        Ok((Row::Cutoff { scope, before }, digest))
    })
    .await?;
    let freezes = r#"SELECT place, since FROM freezes ORDER BY place COLLATE "C""#;
    each(client, Some("freezes"), freezes, to, |row| {
        let (place, since): (String, i64) = (column(row, 0)?, column(row, 1)?);
        let digest = freeze_digest(&place, since);
        Ok((Row::Freeze { place, since }, digest))
    })
    .await?;
    rest(client, to).await
}

/// The tables that have no digest.
async fn rest(client: &impl GenericClient, to: &mut Pager) -> Result<(), Fault> {
    let plain = |row: Row| Ok((row, [0; 32]));
    let uses = r#"SELECT key, at FROM uses ORDER BY key COLLATE "C""#;
    each(client, None, uses, to, |row| plain(Row::Use { key: column(row, 0)?, at: column(row, 1)? })).await?;
    let spent = "SELECT mark, until FROM spent ORDER BY mark";
    each(client, None, spent, to, |row| plain(Row::Spent { mark: blob(row, 0)?, until: column(row, 1)? }))
        .await?;
    let held = "SELECT place, turn, holder, until, sealed, keep FROM held ORDER BY place";
    each(client, None, held, to, |row| {
        plain(Row::Held(HeldPlace {
            place: blob(row, 0)?,
            turn: column(row, 1)?,
            holder: column(row, 2)?,
            until: column(row, 3)?,
            sealed: column::<Option<Vec<u8>>>(row, 4)?.map(Blob),
            keep: column(row, 5)?,
        }))
    })
    .await?;
    each(client, None, "SELECT mark FROM clock", to, |row| plain(Row::Clock { mark: column(row, 0)? }))
        .await?;
    let checkpoints = "SELECT number, document FROM checkpoints ORDER BY number";
    each(client, None, checkpoints, to, |row| {
        plain(Row::Checkpoint { number: column(row, 0)?, document: column(row, 1)? })
    })
    .await?;
    let delivered = r#"SELECT place, number FROM delivered ORDER BY place COLLATE "C""#;
    each(client, None, delivered, to, |row| {
        plain(Row::Delivered { place: column(row, 0)?, number: column(row, 1)? })
    })
    .await?;
    let writers =
        "SELECT number, guid, key_version, seq, mac, tip, base, signed, based FROM writers ORDER BY number";
    each(client, None, writers, to, |row| {
        plain(Row::Writer(Writer {
            number: column(row, 0)?,
            guid: column(row, 1)?,
            key_version: u32::try_from(column::<i64>(row, 2)?).map_err(damaged)?,
            seq: column(row, 3)?,
            mac: blob(row, 4)?,
            tip: column::<Option<Vec<u8>>>(row, 5)?.map(Blob),
            base: column::<Option<Vec<u8>>>(row, 6)?.map(Blob),
            signed: column(row, 7)?,
            based: column(row, 8)?,
        }))
    })
    .await?;
    let records = "SELECT position, writer, seq, at, latest, mark, mac, tenant, document FROM records ORDER BY position";
    each(client, None, records, to, |row| {
        plain(Row::Record(Box::new(RecordRow {
            position: column(row, 0)?,
            writer: column(row, 1)?,
            seq: column(row, 2)?,
            at: column(row, 3)?,
            latest: column(row, 4)?,
            mark: column::<Option<Vec<u8>>>(row, 5)?.map(Blob),
            mac: blob(row, 6)?,
            tenant: column(row, 7)?,
            document: column::<Vec<u8>>(row, 8)?.into(),
            // Its pages carry sums, and a row none.
            damaged: false,
        })))
    })
    .await
}

fn blob(row: &Columns, at: usize) -> Result<Blob, Fault> {
    column(row, at).map(Blob)
}

fn text(row: &Columns, at: usize) -> Result<String, Fault> {
    String::from_utf8(column(row, at)?).map_err(damaged)
}

/// Rows of a table as they are read, and of one that has a digest, whether it is still what was written to it.
async fn each(
    client: &impl GenericClient,
    digested: Option<&str>,
    select: &str,
    to: &mut Pager,
    read: impl Fn(&Columns) -> Result<(Row, [u8; 32]), Fault> + Send + Sync,
) -> Result<(), Fault> {
    let none: [&(dyn ToSql + Sync); 0] = [];
    let mut total = [0; 32];
    let mut rows = pin!(client.query_raw(select, none).await?);
    while let Some(row) = read::next(&mut rows).await? {
        let (row, digest) = read(&row)?;
        toggle(&mut total, &digest);
        to.send(row).await?;
    }
    let Some(table) = digested else { return Ok(()) };
    let meta = client.query_one(&format!("SELECT {table} FROM meta"), &[]).await?;
    if bytes(&meta, 0)? == total { Ok(()) } else { Err(read::changed(table)) }
}

async fn documents(
    client: &impl GenericClient,
    table: &str,
    by: &str,
    of: fn(String) -> Row,
    to: &mut Pager,
) -> Result<(), Fault> {
    let select = format!("SELECT document FROM {table} ORDER BY {by}");
    each(client, Some(table), &select, to, |row| {
        let document = text(row, 0)?;
        let digest = digest(&[document.as_bytes()]);
        Ok((of(document), digest))
    })
    .await
}

/// Whether the database holds nothing.
pub(super) async fn is_empty(client: &impl GenericClient) -> Result<bool, Fault> {
    for table in TABLES {
        let any = client.query_one(&format!("SELECT EXISTS (SELECT 1 FROM {table})"), &[]).await?;
        if column(&any, 0)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Takes everything away.
pub(super) async fn empty(client: &impl GenericClient, meta: &mut Meta) -> Result<(), Fault> {
    for table in TABLES {
        client.execute(&format!("DELETE FROM {table}"), &[]).await?;
    }
    meta.forget();
    Ok(())
}

/// Columns of rows that are to be added, one array each.
struct Put<'a> {
    rows: &'a [Row],
}

impl<'a> Put<'a> {
    /// One column. Rows of another part than the others' are not there.
    fn column<T>(&self, of: impl Fn(&'a Row) -> Option<T>) -> Vec<T> {
        self.rows.iter().filter_map(of).collect()
    }
}

/// One column of rows that are all of one part.
macro_rules! array {
    ($rows:expr, $part:pat => $value:expr) => {
        Put { rows: $rows }.column(|row| match row {
            $part => Some($value),
            _ => None,
        })
    };
}

/// Adds rows, which are all of one part and not there yet.
pub(super) async fn put(client: &impl GenericClient, meta: &mut Meta, rows: &[Row]) -> Result<(), Fault> {
    match rows.first() {
        None => Ok(()),
        Some(Row::Ring(_)) => put_ring(client, meta, rows).await,
        Some(Row::Seal { .. }) => {
            let sql = "INSERT INTO seal (one, id, checked, since) SELECT 1, * FROM unnest($1::bigint[], $2::bytea[], $3::bigint[])";
            let ids = array!(rows, Row::Seal { id, .. } => i64::from(*id));
            let checks = array!(rows, Row::Seal { checked, .. } => checked.0.as_slice());
            insert(client, sql, &[&ids, &checks, &array!(rows, Row::Seal { since, .. } => *since)]).await
        }
        Some(Row::Client(_) | Row::Key(_) | Row::Root(_)) => put_documents(client, meta, rows).await,
        Some(Row::Cutoff { .. }) => {
            let scopes = array!(rows, Row::Cutoff { scope, .. } => scope.as_str());
            let befores = array!(rows, Row::Cutoff { before, .. } => *before);
            for (scope, before) in scopes.iter().zip(&befores) {
                toggle(&mut meta.cutoffs, &cutoff_digest(scope, *before));
            }
            let sql = "INSERT INTO cutoffs (scope, before) SELECT * FROM unnest($1::text[], $2::bigint[])";
            insert(client, sql, &[&scopes, &befores]).await
        }
        Some(Row::Freeze { .. }) => {
            let places = array!(rows, Row::Freeze { place, .. } => place.as_str());
            let since = array!(rows, Row::Freeze { since, .. } => *since);
            for (place, since) in places.iter().zip(&since) {
                toggle(&mut meta.freezes, &freeze_digest(place, *since));
            }
            let sql = "INSERT INTO freezes (place, since) SELECT * FROM unnest($1::text[], $2::bigint[])";
            insert(client, sql, &[&places, &since]).await
        }
        Some(Row::Use { .. }) => {
            let keys = array!(rows, Row::Use { key, .. } => key.as_str());
            let sql = "INSERT INTO uses (key, at) SELECT * FROM unnest($1::text[], $2::bigint[])";
            insert(client, sql, &[&keys, &array!(rows, Row::Use { at, .. } => *at)]).await
        }
        Some(Row::Spent { .. }) => {
            let marks = array!(rows, Row::Spent { mark, .. } => mark.0.as_slice());
            let sql = "INSERT INTO spent (mark, until) SELECT * FROM unnest($1::bytea[], $2::bigint[])";
            insert(client, sql, &[&marks, &array!(rows, Row::Spent { until, .. } => *until)]).await
        }
        Some(Row::Held(_)) => put_held(client, rows).await,
        Some(Row::Clock { .. }) => {
            let sql = "INSERT INTO clock (one, mark) SELECT 1, * FROM unnest($1::bigint[])";
            insert(client, sql, &[&array!(rows, Row::Clock { mark } => *mark)]).await
        }
        Some(Row::Checkpoint { .. }) => {
            let documents = array!(rows, Row::Checkpoint { document, .. } => document.as_str());
            let sql =
                "INSERT INTO checkpoints (number, document) SELECT * FROM unnest($1::bigint[], $2::text[])";
            insert(client, sql, &[&array!(rows, Row::Checkpoint { number, .. } => *number), &documents]).await
        }
        Some(Row::Delivered { .. }) => {
            let places = array!(rows, Row::Delivered { place, .. } => place.as_str());
            let sql = "INSERT INTO delivered (place, number) SELECT * FROM unnest($1::text[], $2::bigint[])";
            insert(client, sql, &[&places, &array!(rows, Row::Delivered { number, .. } => *number)]).await
        }
        Some(Row::Writer(_)) => put_writers(client, rows).await,
        Some(Row::Record(_)) => put_records(client, rows).await,
    }
}

async fn insert(client: &impl GenericClient, sql: &str, arrays: &[&(dyn ToSql + Sync)]) -> Result<(), Fault> {
    client.execute(&client.prepare_cached(sql).await?, arrays).await?;
    Ok(())
}

async fn put_ring(client: &impl GenericClient, meta: &mut Meta, rows: &[Row]) -> Result<(), Fault> {
    let keys = array!(rows, Row::Ring(key) => RingColumns {
        purpose: key.purpose.clone(),
        version: key.version.into(),
        state: key.state.clone(),
        created: key.created.clone(),
        since: key.since.clone(),
        sealed: key.sealed.0.clone(),
    });
    for key in &keys {
        toggle(&mut meta.ring, &key.digest());
    }
    let texts = |of: fn(&RingColumns) -> &str| keys.iter().map(of).collect::<Vec<_>>();
    let versions: Vec<_> = keys.iter().map(|key| key.version).collect();
    let sealed: Vec<_> = keys.iter().map(|key| key.sealed.as_slice()).collect();
    insert(
        client,
        "INSERT INTO ring (purpose, version, state, created, since, sealed)
         SELECT * FROM unnest($1::text[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::bytea[])",
        &[
            &texts(|key| &key.purpose),
            &versions,
            &texts(|key| &key.state),
            &texts(|key| &key.created),
            &texts(|key| &key.since),
            &sealed,
        ],
    )
    .await
}

fn parsed<T: DeserializeOwned>(documents: &[&[u8]]) -> Result<Vec<T>, Fault> {
    documents.iter().map(|document| serde_json::from_slice(document).map_err(damaged)).collect()
}

async fn put_documents(client: &impl GenericClient, meta: &mut Meta, rows: &[Row]) -> Result<(), Fault> {
    let clients = array!(rows, Row::Client(document) => document.as_bytes());
    let keys = array!(rows, Row::Key(document) => document.as_bytes());
    let roots = array!(rows, Row::Root(document) => document.as_bytes());
    for document in &clients {
        toggle(&mut meta.clients, &digest(&[document]));
    }
    for document in &keys {
        toggle(&mut meta.keys, &digest(&[document]));
    }
    for document in &roots {
        toggle(&mut meta.roots, &digest(&[document]));
    }
    let all: Vec<Client> = parsed(&clients)?;
    let guids: Vec<_> = all.iter().map(|client| client.guid).collect();
    let tenants: Vec<_> = all.iter().map(|client| client.tenant.as_str()).collect();
    let names: Vec<_> = all.iter().map(|client| client.name.as_str()).collect();
    let sql = "INSERT INTO clients (guid, tenant, name, document)
         SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::bytea[])";
    insert(client, sql, &[&guids, &tenants, &names, &clients]).await?;
    let all: Vec<Key> = parsed(&keys)?;
    let ids: Vec<_> = all.iter().map(|key| key.id.as_str()).collect();
    let owners: Vec<_> = all.iter().map(|key| key.client).collect();
    let sql =
        "INSERT INTO keys (id, client, document) SELECT * FROM unnest($1::text[], $2::uuid[], $3::bytea[])";
    insert(client, sql, &[&ids, &owners, &keys]).await?;
    let all: Vec<RootRow> = parsed(&roots)?;
    let issuers: Vec<_> = all.iter().map(|root| root.issuer.as_str()).collect();
    let slots: Vec<_> = all.iter().map(|root| root.slot.name()).collect();
    let sql = "INSERT INTO roots (issuer, slot, document) SELECT * FROM unnest($1::text[], $2::text[], $3::bytea[])";
    insert(client, sql, &[&issuers, &slots, &roots]).await
}

async fn put_held(client: &impl GenericClient, rows: &[Row]) -> Result<(), Fault> {
    let numbers = |of: fn(&HeldPlace) -> i64| array!(rows, Row::Held(held) => of(held));
    let places = array!(rows, Row::Held(held) => held.place.0.as_slice());
    let holders = array!(rows, Row::Held(held) => held.holder);
    let sealed = array!(rows, Row::Held(held) => held.sealed.as_ref().map(|sealed| sealed.0.as_slice()));
    insert(
        client,
        "INSERT INTO held (place, turn, holder, until, sealed, keep)
         SELECT * FROM unnest($1::bytea[], $2::bigint[], $3::uuid[], $4::bigint[], $5::bytea[], $6::bigint[])",
        &[
            &places,
            &numbers(|held| held.turn),
            &holders,
            &numbers(|held| held.until),
            &sealed,
            &numbers(|held| held.keep),
        ],
    )
    .await
}

async fn put_writers(client: &impl GenericClient, rows: &[Row]) -> Result<(), Fault> {
    let numbers = |of: fn(&Writer) -> i64| array!(rows, Row::Writer(writer) => of(writer));
    let guids = array!(rows, Row::Writer(writer) => writer.guid);
    let macs = array!(rows, Row::Writer(writer) => writer.mac.0.as_slice());
    let tips = array!(rows, Row::Writer(writer) => writer.tip.as_ref().map(|tip| tip.0.as_slice()));
    let bases = array!(rows, Row::Writer(writer) => writer.base.as_ref().map(|base| base.0.as_slice()));
    insert(
        client,
        "INSERT INTO writers (number, guid, key_version, seq, mac, tip, base, signed, based)
         SELECT * FROM unnest($1::bigint[], $2::uuid[], $3::bigint[], $4::bigint[], $5::bytea[], $6::bytea[], $7::bytea[],
             $8::bigint[], $9::bigint[])",
        &[
            &numbers(|writer| writer.number),
            &guids,
            &numbers(|writer| writer.key_version.into()),
            &numbers(|writer| writer.seq),
            &macs,
            &tips,
            &bases,
            &numbers(|writer| writer.signed),
            &numbers(|writer| writer.based),
        ],
    )
    .await
}

async fn put_records(client: &impl GenericClient, rows: &[Row]) -> Result<(), Fault> {
    let numbers = |of: fn(&RecordRow) -> i64| array!(rows, Row::Record(record) => of(record));
    let marks = array!(rows, Row::Record(record) => record.mark.as_ref().map(|mark| mark.0.as_slice()));
    let macs = array!(rows, Row::Record(record) => record.mac.0.as_slice());
    let tenants = array!(rows, Row::Record(record) => record.tenant.as_deref());
    let documents = array!(rows, Row::Record(record) => record.document.bytes());
    insert(
        client,
        "INSERT INTO records (position, writer, seq, at, latest, mark, mac, tenant, document)
         SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bytea[], $7::bytea[],
             $8::text[], $9::bytea[])",
        &[
            &numbers(|record| record.position),
            &numbers(|record| record.writer),
            &numbers(|record| record.seq),
            &numbers(|record| record.at),
            &numbers(|record| record.latest),
            &marks,
            &macs,
            &tenants,
            &documents,
        ],
    )
    .await
}
