//! Reading connections: a few, opened when needed and kept.

use super::fault::Fault;
use super::read;
use super::same::Same;
use super::schema::{self, Use};
use daypass_core::record::DEADLINE;
use daypass_core::store::StoreError;
use rusqlite::Connection;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

/// How many reads run at a time. What serves requests reads nothing; these are start-up, changes and commands.
const READERS: u32 = 2;

/// Runs queries on threads that may block.
#[derive(Clone)]
pub(super) struct Pool {
    path: Arc<Path>,
    same: Same,
    permits: Arc<Semaphore>,
    /// Those that nobody uses, each with the generation of the file that it has open.
    idle: Arc<Mutex<Vec<(u64, Connection)>>>,
}

impl Pool {
    pub(super) fn new(path: &Path, same: &Same) -> Self {
        let permits = Arc::new(Semaphore::new(READERS as usize));
        Self { path: path.into(), same: same.clone(), permits, idle: Arc::default() }
    }

    /// Runs one query within the deadline. Whoever stops waiting loses the answer and nothing else: the query ends on its
    /// own, and keeps its place among the readers until then.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        query: impl FnOnce(&mut Connection) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, StoreError> {
        timeout(DEADLINE, self.read_whole(query)).await.unwrap_or_else(|_| Err(late()))
    }

    /// Runs one query for as long as it takes: for what no request waits for, and what has to be read in the end.
    pub(super) async fn read_whole<T: Send + 'static>(
        &self,
        query: impl FnOnce(&mut Connection) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, StoreError> {
        let pool = self.clone();
        let permit = pool.permits.clone().acquire_owned().await.map_err(|_| closed())?;
        let job = spawn_blocking(move || pool.run(permit, query));
        job.await.map_err(|_| StoreError::Unavailable("a query was broken off".into()))?
    }

    /// Reads one state of the file within the deadline.
    pub(super) async fn snapshot<T: Send + 'static>(
        &self,
        query: impl FnOnce(&Connection) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.read(|connection| query(&*connection.transaction()?)).await
    }

    /// Reads one state of the file for as long as it takes.
    pub(super) async fn snapshot_whole<T: Send + 'static>(
        &self,
        query: impl FnOnce(&Connection) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.read_whole(|connection| query(&*connection.transaction()?)).await
    }

    fn run<T>(
        &self,
        permit: OwnedSemaphorePermit,
        query: impl FnOnce(&mut Connection) -> Result<T, Fault>,
    ) -> Result<T, StoreError> {
        let idle = || self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let generation = self.same.check().map_err(|fault| fault.error)?;
        let kept = idle().pop().filter(|(of, _)| *of == generation).map(|(_, connection)| connection);
        let connection = kept.map_or_else(|| schema::connect(&self.path, Use::Read), Ok);
        let mut connection = connection.map_err(|fault| fault.error)?;
        // One that failed may have seen a file that is no longer there; the next query opens it anew.
        let answer = query(&mut connection).map_err(|fault| fault.error)?;
        idle().push((generation, connection));
        drop(permit);
        Ok(answer)
    }

    /// Waits for what is being read, and lets nothing more begin.
    pub(super) async fn close(&self) {
        let all = self.permits.acquire_many(READERS).await;
        self.permits.close();
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
        drop(all);
    }
}

/// Notices changes. A connection of its own, because SQLite tells each one separately whether the file has
/// changed, and because the answer must not wait behind a long query.
#[derive(Clone)]
pub(super) struct Watch(Arc<Mutex<Option<Watching>>>);

struct Watching {
    path: PathBuf,
    same: Same,
    /// The generation of the file that the connection has open.
    generation: u64,
    connection: Connection,
    /// SQLite's count of others' commits when the number of changes was read, and that number.
    seen: Option<(i64, u64)>,
}

impl Watch {
    pub(super) fn new(path: &Path, same: &Same) -> Result<Self, Fault> {
        let (same, generation) = (same.clone(), same.check()?);
        let connection = schema::connect(path, Use::Read)?;
        let watching = Watching { path: path.to_owned(), same, generation, connection, seen: None };
        Ok(Self(Arc::new(Mutex::new(Some(watching)))))
    }

    /// The number of changes so far, read only if anything was committed since the last call.
    pub(super) async fn version(&self) -> Result<u64, StoreError> {
        let watch = self.clone();
        let job = spawn_blocking(move || {
            let mut guard = watch.0.lock().unwrap_or_else(PoisonError::into_inner);
            guard.as_mut().ok_or_else(closed)?.version().map_err(|fault| fault.error)
        });
        match timeout(DEADLINE, job).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(StoreError::Unavailable("a query was broken off".into())),
            Err(_) => Err(late()),
        }
    }

    pub(super) fn close(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

impl Watching {
    fn version(&mut self) -> Result<u64, Fault> {
        let generation = self.same.check()?;
        if generation != self.generation {
            self.connection = schema::connect(&self.path, Use::Read)?;
            (self.generation, self.seen) = (generation, None);
        }
        let commits: i64 =
            self.connection.prepare_cached("PRAGMA data_version")?.query_row([], |row| row.get(0))?;
        if let Some((seen, changes)) = self.seen
            && seen == commits
        {
            return Ok(changes);
        }
        // A node that cannot write any more is not ready either.
        schema::may_write(&self.connection)?;
        let changes = read::changes(&self.connection)?.cast_unsigned();
        self.seen = Some((commits, changes));
        Ok(changes)
    }
}

pub(super) fn closed() -> StoreError {
    StoreError::Unavailable("it is closed".into())
}

pub(super) fn late() -> StoreError {
    StoreError::Unavailable(format!("no answer within {} s", DEADLINE.as_secs()))
}
