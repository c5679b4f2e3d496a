//! The file with everybody else kept out, in one transaction from beginning to end.
//!
//! What keeps them out is SQLite's own lock: whoever has the file open holds a share of it, and this takes all of it. So a server
//! that runs is noticed however idle it is, one that was killed is not in the way, and nobody can open the file before this ends.

use super::change::Meta;
use super::fault::Fault;
use super::schema;
use super::transfer;
use crate::pipe::pipe;
use crate::steps;
use async_trait::async_trait;
use daypass_core::store::StoreError;
use daypass_core::transfer::{Pages, Row, Standing, Whole};
use rusqlite::{Connection, OptionalExtension};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::task::spawn_blocking;

/// The file, in a transaction.
struct Alone {
    connection: Connection,
    meta: Meta,
}

/// A handle on it.
pub(crate) struct SqliteWhole {
    alone: Arc<Mutex<Alone>>,
    standing: Standing,
}

/// What the file says of itself.
pub(super) fn standing(connection: &Connection) -> Result<Standing, Fault> {
    let said: Option<String> =
        connection.query_row("SELECT document FROM standing", [], |row| row.get(0)).optional()?;
    said.map_or(Ok(Standing::Open), |said| serde_json::from_str(&said).map_err(super::fault::damaged))
}

impl SqliteWhole {
    /// Takes the file at this path, and makes it if there is none.
    pub(crate) fn open(path: &str) -> Result<Self, StoreError> {
        let path = schema::path(path)?;
        drop(schema::prepare(&path).map_err(|fault| fault.error)?);
        let connection = schema::connect_alone(&path).map_err(|fault| fault.error)?.ok_or_else(in_use)?;
        let alone = Alone::begin(connection).map_err(|fault| fault.error)?;
        let standing = standing(&alone.connection).map_err(|fault| fault.error)?;
        Ok(Self { alone: Arc::new(Mutex::new(alone)), standing })
    }

    async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Alone) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, StoreError> {
        let alone = self.alone.clone();
        let job = spawn_blocking(move || work(&mut alone.lock().unwrap_or_else(PoisonError::into_inner)));
        let done = job.await.map_err(|_| StoreError::Unavailable("the work was broken off".into()))?;
        done.map_err(|fault| fault.error)
    }
}

fn in_use() -> StoreError {
    StoreError::Conflict(
        "another process has this store open, such as a `daypass serve`; stop it first".into(),
    )
}

impl Alone {
    /// From now on nobody else opens it. In the file itself, first, that it is in use: what is written stays in its log until the
    /// end.
    fn begin(connection: Connection) -> Result<Self, Fault> {
        connection.execute("UPDATE meta SET closed = 0", [])?;
        connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))?;
        connection.execute_batch("BEGIN IMMEDIATE")?;
        let meta = Meta::load(&connection)?;
        Ok(Self { connection, meta })
    }
}

impl Drop for Alone {
    fn drop(&mut self) {
        let broken_off = !self.connection.is_autocommit();
        if broken_off && self.connection.execute_batch("ROLLBACK").is_err() {
            return;
        }
        // What cannot be written down here is found out at the next start.
        let _ = schema::release(&self.connection, broken_off);
    }
}

#[async_trait]
impl Whole for SqliteWhole {
    fn standing(&self) -> &Standing {
        &self.standing
    }

    async fn rows(&mut self) -> Result<Box<dyn Pages>, StoreError> {
        let (mut pager, piped) = pipe();
        let alone = self.alone.clone();
        tokio::spawn(async move {
            let job = spawn_blocking(move || {
                let alone = alone.lock().unwrap_or_else(PoisonError::into_inner);
                let read = transfer::rows(&alone.connection, &mut pager).map_err(|fault| fault.error);
                (pager, read)
            });
            if let Ok((pager, read)) = job.await {
                pager.finish(read).await;
            }
        });
        Ok(Box::new(piped))
    }

    async fn clear(&mut self) -> Result<(), StoreError> {
        let left = matches!(self.standing, Standing::Arriving { .. });
        self.with(move |alone| {
            if left {
                return transfer::empty(&alone.connection, &mut alone.meta);
            }
            if transfer::is_empty(&alone.connection)? { Ok(()) } else { Err(not_empty().into()) }
        })
        .await
    }

    async fn put(&mut self, rows: Vec<Row>) -> Result<(), StoreError> {
        self.with(move |Alone { connection, meta }| {
            rows.iter().try_for_each(|row| transfer::put(connection, meta, row))
        })
        .await
    }

    async fn commit(self: Box<Self>, standing: Standing) -> Result<(), StoreError> {
        self.with(move |Alone { connection, meta }| {
            meta.save(connection)?;
            let oldest = match standing {
                Standing::Open | Standing::Arriving { .. } => schema::known(),
                Standing::Moved { .. } => steps::NOBODY,
            };
            connection.execute("UPDATE meta SET oldest = ?", [oldest])?;
            connection.execute("DELETE FROM standing", [])?;
            if standing != Standing::Open {
                let document = serde_json::to_string(&standing).map_err(super::fault::damaged)?;
                connection.execute("INSERT INTO standing (one, document) VALUES (1, ?)", [document])?;
            }
            // With all of it, so that there is no moment at which the file misses a log that has been merged into it.
            connection.execute("UPDATE meta SET closed = 1", [])?;
            connection.execute_batch("COMMIT")?;
            // The file says all of it by itself, without its log.
            connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
            Ok(())
        })
        .await
    }
}

fn not_empty() -> StoreError {
    StoreError::Conflict("the store is not empty; name one that does not exist yet".into())
}
