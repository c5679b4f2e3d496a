//! The store in one file: SQLite with a log, one writer thread with group commit, a few reading connections.
//!
//! `docs/decisions/0003-one-sqlite-database.md` says why.

mod answers;
mod change;
mod checkpoint;
mod clock;
mod contents;
mod counted;
mod edits;
mod fault;
mod gather;
mod held;
mod others;
mod pool;
mod proofs;
mod read;
mod reseal;
mod reserve;
mod same;
mod schema;
mod session;
mod stands;
mod transfer;
mod whole;
mod writer;

use crate::Schema;
use crate::pipe::pipe;
use crate::sums;
use crate::waiting::{Pending, Ticket, Write, wait};
use answers::Answers;
use async_trait::async_trait;
use daypass_core::client::{Client, Key};
use daypass_core::clock::Timestamp;
use daypass_core::contents::Contents;
use daypass_core::cutoff::{Cutoff, Scope};
use daypass_core::freeze::Freeze;
use daypass_core::held::{Held, Turn, TurnEnd, Wish};
use daypass_core::ration::Due;
use daypass_core::record::checkpoint::Kept;
use daypass_core::record::{Chain, ChainHead, DEADLINE, Entry, Link, Placed, Record};
use daypass_core::replay::Mark;
use daypass_core::ring::{RingRow, SealRow};
use daypass_core::room::Room;
use daypass_core::root::RootRow;
use daypass_core::store::{Appended, Change, Proof, RecordQuery, Spent, Store, StoreError, Stored};
use daypass_core::transfer::Pages;
use fault::Fault;
use pool::{Pool, Watch, closed, late};
use reserve::Reserve;
use same::Same;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use tracing::Instrument as _;
use uuid::Uuid;
pub(crate) use whole::SqliteWhole;
use writer::{Command, QUEUE, Writer};

/// A handle on the file. Dropping it ends its thread once what waits has been written.
pub(crate) struct SqliteStore {
    commands: mpsc::Sender<Command>,
    thread: Mutex<Option<JoinHandle<()>>>,
    pool: Pool,
    watch: Watch,
    answers: Answers,
    reserve: Reserve,
}

impl SqliteStore {
    /// Opens the file at this path, as it stands behind `sqlite:`.
    pub(crate) fn open(path: &str) -> Result<Self, StoreError> {
        let path = schema::path(path)?;
        let reserve = Reserve::beside(&path);
        reserve.make_way_to_open();
        let connection = schema::prepare(&path).map_err(|fault| fault.error)?;
        whole::standing(&connection).map_err(|fault| fault.error)?.in_service()?;
        let same = Same::of(&path).map_err(|fault| fault.error)?;
        let watch = Watch::new(&path, &same).map_err(|fault| fault.error)?;
        let pool = Pool::new(&path, &same);
        let (commands, queue) = mpsc::channel(QUEUE);
        let answers = Answers::default();
        let writer = Writer::new(path, connection, queue, answers.clone(), reserve.clone(), same);
        let thread = std::thread::Builder::new()
            .name("daypass-writer".into())
            .spawn(|| writer.run())
            .map_err(|e| StoreError::Unavailable(format!("no thread can be started: {e}")))?;
        Ok(Self { commands, thread: Mutex::new(Some(thread)), pool, watch, answers, reserve })
    }

    /// Whether the file at this path is there.
    pub(crate) fn exists(path: &str) -> Result<bool, StoreError> {
        Ok(schema::path(path)?.exists())
    }

    /// How far the tables of the file at this path are.
    pub(crate) fn schema(path: &str) -> Result<Schema, StoreError> {
        schema::look(&schema::path(path)?).map_err(|fault| fault.error)
    }

    /// Hands the writer a command and waits for its answer, not longer than the deadline. What is not answered in
    /// time may still be written, but whoever asked acts as if it had not been.
    async fn ask<T>(&self, command: impl FnOnce(Ticket<T>) -> Command) -> Result<T, StoreError> {
        self.answers.start();
        answered(self.send(command)?).instrument(wait()).await
    }

    async fn write<T>(&self, write: impl FnOnce(Pending<T>) -> Write) -> Result<T, StoreError> {
        self.ask(|ticket| Command::Write(write(Pending::new(ticket)))).await
    }

    /// Looks at the disk or writes the reserve, on a thread that may block. A disk that stands still is not waited for.
    async fn on_disk<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Reserve) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, StoreError> {
        let reserve = self.reserve.clone();
        match timeout(DEADLINE, tokio::task::spawn_blocking(move || work(&reserve))).await {
            Ok(Ok(answer)) => answer.map_err(|fault| fault.error),
            Ok(Err(_)) => Err(StoreError::Unavailable("a look at the disk was broken off".into())),
            Err(_) => Err(late()),
        }
    }

    fn send<T>(
        &self,
        command: impl FnOnce(Ticket<T>) -> Command,
    ) -> Result<oneshot::Receiver<Result<T, StoreError>>, StoreError> {
        let (ticket, answer) = oneshot::channel();
        match self.commands.try_send(command(ticket)) {
            Ok(()) => Ok(answer),
            Err(mpsc::error::TrySendError::Closed(_)) => Err(closed()),
            Err(mpsc::error::TrySendError::Full(_)) => {
                Err(StoreError::Unavailable(format!("{QUEUE} requests already wait for the disk")))
            }
        }
    }
}

/// Waits for an answer, not longer than the deadline.
async fn answered<T>(answer: oneshot::Receiver<Result<T, StoreError>>) -> Result<T, StoreError> {
    match timeout(DEADLINE, answer).await {
        Ok(answer) => answer.unwrap_or_else(|_| Err(closed())),
        Err(_) => Err(late()),
    }
}

#[async_trait]
impl Store for SqliteStore {
    /// Start-up work, and not bound by the deadline: it loads the marks of the last window, a million of them in
    /// about a second.
    async fn begin(&self, chain: Chain) -> Result<(), StoreError> {
        self.send(|ticket| Command::Begin(Box::new(chain), ticket))?.await.unwrap_or_else(|_| Err(closed()))
    }

    async fn clients(&self) -> Result<Vec<Client>, StoreError> {
        self.pool.snapshot(|snapshot| read::documents(snapshot, "clients")).await
    }

    async fn keys(&self) -> Result<Vec<Key>, StoreError> {
        self.pool.snapshot(|snapshot| read::documents(snapshot, "keys")).await
    }

    async fn ring(&self) -> Result<Vec<RingRow>, StoreError> {
        self.pool.snapshot(read::ring).await
    }

    async fn seal(&self) -> Result<Option<SealRow>, StoreError> {
        self.pool.read(|connection| reseal::seal(connection)).await
    }

    async fn cutoffs(&self) -> Result<Vec<Cutoff>, StoreError> {
        self.pool.snapshot_whole(read::cutoffs).await
    }

    async fn cutoff(&self, scope: Scope) -> Result<Option<Timestamp>, StoreError> {
        self.pool.read(move |connection| read::cutoff(connection, &scope)).await
    }

    async fn freezes(&self) -> Result<Vec<Freeze>, StoreError> {
        self.pool.snapshot(read::freezes).await
    }

    async fn roots(&self) -> Result<Vec<RootRow>, StoreError> {
        self.pool.snapshot(|snapshot| read::documents(snapshot, "roots")).await
    }

    async fn contents(&self, known: &Contents) -> Result<Contents, StoreError> {
        let known = known.clone();
        self.pool.read_whole(move |connection| contents::contents(connection, &known)).await
    }

    async fn version(&self) -> Result<u64, StoreError> {
        self.watch.version().await
    }

    async fn change(&self, changes: Vec<Change>, record: Record) -> Result<(), StoreError> {
        self.write(|pending| Write::Change(changes, Box::new(record), pending)).await
    }

    // By hand, because every request waits here: the record is on its way before there is a future to carry it.
    fn append<'a, 'f>(
        &'a self,
        entry: Entry,
    ) -> Pin<Box<dyn Future<Output = Result<Appended, StoreError>> + Send + 'f>>
    where
        'a: 'f,
        Self: 'f,
    {
        self.answers.start();
        let sent = self.send(|ticket| Command::Write(Write::Append(Box::new(entry), Pending::new(ticket))));
        Box::pin(async move { answered(sent?).instrument(wait()).await })
    }

    async fn uses(&self) -> Result<Vec<(String, Timestamp)>, StoreError> {
        self.pool.read(|connection| read::uses(connection)).await
    }

    async fn note_uses(&self, uses: Vec<(String, Timestamp)>) -> Result<(), StoreError> {
        self.write(|pending| Write::Uses(uses, pending)).await
    }

    async fn clock(&self) -> Result<Option<Timestamp>, StoreError> {
        self.pool.read(|connection| clock::read(connection)).await
    }

    async fn note_clock(&self, now: Timestamp) -> Result<Timestamp, StoreError> {
        self.write(|pending| Write::Clock(now, pending)).await
    }

    async fn room(&self) -> Result<Option<Room>, StoreError> {
        self.on_disk(|reserve| reserve.room().map(Some)).await
    }

    async fn keep_free(&self, bytes: Option<u64>) -> Result<u64, StoreError> {
        self.on_disk(move |reserve| reserve.keep(bytes)).await
    }

    async fn note_counts(&self, node: Uuid, due: Due) -> Result<Vec<(Mark, u64)>, StoreError> {
        self.write(|pending| Write::Counts(node, due, pending)).await
    }

    async fn counts(&self, day: i64, but: Uuid) -> Result<Vec<(Mark, u64)>, StoreError> {
        self.pool.read_whole(move |connection| counted::counts(connection, day, but)).await
    }

    async fn spend(&self, mark: Mark, until: Timestamp) -> Result<Spent, StoreError> {
        self.write(|pending| Write::Spend(mark, until, pending)).await
    }

    async fn held(&self, place: Mark) -> Result<Option<Held>, StoreError> {
        self.pool.read(move |connection| held::read(connection, &place)).await
    }

    async fn take_turn(&self, wish: Wish) -> Result<Turn, StoreError> {
        self.write(|pending| Write::TakeTurn(wish, pending)).await
    }

    async fn end_turn(&self, end: TurnEnd) -> Result<bool, StoreError> {
        self.write(|pending| Write::EndTurn(end, pending)).await
    }

    async fn records(&self, query: RecordQuery) -> Result<Vec<Stored>, StoreError> {
        self.pool.read(move |connection| read::records(connection, &query)).await
    }

    async fn heads(&self) -> Result<Vec<ChainHead>, StoreError> {
        self.pool.read(|connection| read::heads(connection)).await
    }

    async fn links(&self, writer: Uuid, after: u64, limit: usize) -> Result<Vec<Link>, StoreError> {
        self.pool.read(move |connection| read::links(connection, writer, after, limit)).await
    }

    async fn placed(&self, after: i64, limit: usize) -> Result<Vec<Placed>, StoreError> {
        self.pool.read(move |connection| proofs::placed(connection, after, limit)).await
    }

    async fn checkpoints(&self, after: u64, limit: usize) -> Result<Vec<Kept>, StoreError> {
        self.pool.read(move |connection| proofs::checkpoints(connection, after, limit)).await
    }

    async fn last_checkpoint(&self) -> Result<Option<Kept>, StoreError> {
        self.pool.read(|connection| proofs::last_checkpoint(connection)).await
    }

    async fn delivered(&self) -> Result<Vec<(String, u64)>, StoreError> {
        self.pool.read(|connection| proofs::delivered(connection)).await
    }

    async fn prove(&self, proof: Proof) -> Result<bool, StoreError> {
        self.write(|pending| Write::Prove(Box::new(proof), pending)).await
    }

    async fn snapshot(&self) -> Result<Box<dyn Pages>, StoreError> {
        let (mut pager, piped) = pipe();
        let pool = self.pool.clone();
        tokio::spawn(async move {
            let job = pool.read_whole(|connection| {
                let read = transfer::rows(&*connection.transaction()?, &mut pager);
                Ok((pager, read.map_err(|fault| fault.error)))
            });
            if let Ok((pager, read)) = job.await {
                pager.finish(read).await;
            }
        });
        Ok(Box::new(piped))
    }

    /// Reading ends first, so that the writer's connection is the last and SQLite merges the log into the file.
    async fn close(&self) -> Result<(), StoreError> {
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(thread) = thread else { return Err(closed()) };
        let done = async {
            self.pool.close().await;
            self.watch.close();
            // The queue may be full; what is in it is written first in any case.
            let _ = self.commands.send(Command::Close).await;
            tokio::task::spawn_blocking(|| thread.join()).await
        };
        match timeout(DEADLINE, done).await {
            Ok(Ok(Ok(()))) => Ok(()),
            Ok(_) => Err(StoreError::Unavailable("the writer had ended before".into())),
            Err(_) => Err(late()),
        }
    }
}

#[cfg(test)]
mod tests;
