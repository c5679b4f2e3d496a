//! What a store could do if it did nothing else: the same documents, in the same columns under the same indexes, by one writer in
//! batches of a fixed size, each durable before the next begins.

use super::place::Database;
use super::records::{GRANT, Maker};
use crate::clock;
use anyhow::Context as _;
use rusqlite::{Connection, params};
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;
use tokio_postgres::{Client, NoTls};

/// How long so many records took.
#[derive(Clone, Copy, Debug)]
pub(super) struct Took {
    pub(super) records: u64,
    pub(super) time: Duration,
}

impl Took {
    pub(super) fn per_second(self) -> f64 {
        crate::statistics::number(self.records) / self.time.as_secs_f64()
    }
}

/// Documents that are all different, made before the clock runs.
struct Documents(Maker);

/// One row, without its place.
struct Row {
    at: i64,
    mark: Vec<u8>,
    mac: Vec<u8>,
    document: Vec<u8>,
}

impl Documents {
    fn new() -> anyhow::Result<Self> {
        Ok(Self(Maker::of(GRANT)?))
    }

    fn batch(&self, size: usize) -> anyhow::Result<Vec<Row>> {
        let row = || {
            let entry = self.0.entry();
            let (mark, mac): ([u8; 16], [u8; 32]) = (rand::random(), rand::random());
            let document = serde_json::to_vec(&entry.record)?;
            Ok(Row { at: entry.record.at.as_millisecond(), mark: mark.into(), mac: mac.into(), document })
        };
        (0..size).map(|_| row()).collect()
    }
}

/// Writes batches until the time is over. Only the writing is timed.
fn batches(
    size: usize,
    length: Duration,
    mut write: impl FnMut(Vec<Row>) -> anyhow::Result<()>,
) -> anyhow::Result<Took> {
    let documents = Documents::new()?;
    let mut took = Took { records: 0, time: Duration::ZERO };
    while took.time < length {
        let rows = documents.batch(size)?;
        let begin = clock::now();
        write(rows)?;
        took.time += begin.elapsed();
        took.records += size as u64;
    }
    Ok(took)
}

/// A file to which nothing but documents is appended, and `fdatasync`.
pub(super) fn append(folder: &Path, size: usize, length: Duration) -> anyhow::Result<Took> {
    let mut file = tempfile::tempfile_in(folder).context("cannot write to the data folder")?;
    batches(size, length, |rows| {
        let bytes: Vec<u8> = rows.into_iter().flat_map(|row| row.document).collect();
        file.write_all(&bytes)?;
        Ok(file.sync_data()?)
    })
}

/// SQLite itself.
pub(super) struct Sqlite {
    connection: Connection,
    position: i64,
}

impl Sqlite {
    /// A new file with one table. As our store has it: a log, flushed at each commit.
    pub(super) fn create(folder: &Path) -> anyhow::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let connection = Connection::open(folder.join("raw.db"))?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.execute_batch(
            "CREATE TABLE records (position INTEGER PRIMARY KEY, writer INTEGER NOT NULL, seq INTEGER NOT NULL,
                 at INTEGER NOT NULL, latest INTEGER NOT NULL, mark BLOB, mac BLOB NOT NULL, sum INTEGER NOT NULL,
                 tenant TEXT, document BLOB NOT NULL) STRICT;
             CREATE UNIQUE INDEX records_chain ON records (writer, seq);
             CREATE INDEX records_tenant ON records (tenant) WHERE tenant IS NOT NULL;",
        )?;
        Ok(Self { connection, position: 0 })
    }

    pub(super) fn write(&mut self, size: usize, length: Duration) -> anyhow::Result<Took> {
        let Self { connection, position } = self;
        batches(size, length, |rows| {
            let transaction = connection.transaction()?;
            {
                let mut insert = transaction.prepare_cached(
                    "INSERT INTO records VALUES (?1, 1, ?1, ?2, ?2, ?3, ?4, 0, 'demo', ?5)",
                )?;
                for row in rows {
                    *position += 1;
                    insert.execute(params![*position, row.at, row.mark, row.mac, row.document])?;
                }
            }
            Ok(transaction.commit()?)
        })
    }
}

/// PostgreSQL itself, over one connection, one statement for each batch.
pub(super) struct Postgres {
    runtime: tokio::runtime::Runtime,
    client: Client,
    position: i64,
}

impl Postgres {
    pub(super) fn create(database: &Database<'_>) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let client = runtime.block_on(async {
            let (client, connection) = tokio_postgres::connect(&database.url(), NoTls).await?;
            tokio::spawn(connection);
            client
                .batch_execute(
                    "CREATE TABLE records (position bigint PRIMARY KEY, writer bigint NOT NULL, seq bigint NOT NULL,
                         at bigint NOT NULL, latest bigint NOT NULL, mark bytea, mac bytea NOT NULL, tenant text,
                         document bytea NOT NULL);
                     CREATE UNIQUE INDEX records_chain ON records (writer, seq);
                     CREATE INDEX records_tenant ON records (tenant, position) WHERE tenant IS NOT NULL;",
                )
                .await?;
            Ok::<_, tokio_postgres::Error>(client)
        })?;
        Ok(Self { runtime, client, position: 0 })
    }

    pub(super) fn write(&mut self, size: usize, length: Duration) -> anyhow::Result<Took> {
        let Self { runtime, client, position } = self;
        let insert = runtime.block_on(client.prepare(
            "INSERT INTO records (position, writer, seq, at, latest, mark, mac, tenant, document)
             SELECT position, 1, position, at, at, mark, mac, 'demo', document
             FROM UNNEST($1::bigint[], $2::bigint[], $3::bytea[], $4::bytea[], $5::bytea[])
                 AS new (position, at, mark, mac, document)",
        ))?;
        batches(size, length, |rows| {
            let positions: Vec<i64> = (*position + 1..).take(rows.len()).collect();
            *position += i64::try_from(rows.len())?;
            let times: Vec<i64> = rows.iter().map(|row| row.at).collect();
            let column = |of: fn(&Row) -> &[u8]| rows.iter().map(of).collect::<Vec<_>>();
            let (marks, macs) = (column(|row| &row.mark), column(|row| &row.mac));
            let documents = column(|row| &row.document);
            runtime.block_on(client.execute(&insert, &[&positions, &times, &marks, &macs, &documents]))?;
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let mut sqlite = Sqlite::create(folder.path()).unwrap();
        let took = sqlite.write(7, Duration::from_millis(5)).unwrap();
        let there: i64 = sqlite
            .connection
            .query_row("SELECT count(*) FROM records", [], |row| row.get::<_, i64>(0))
            .unwrap();
        assert_eq!((took.records % 7, took.records), (0, there.unsigned_abs()));
        assert!(took.time >= Duration::from_millis(5) && took.per_second() > 0.0);
        assert!(append(folder.path(), 3, Duration::from_millis(2)).unwrap().records >= 3);
    }
}
