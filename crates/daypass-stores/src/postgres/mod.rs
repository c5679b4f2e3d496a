//! The store for any number of nodes: PostgreSQL, one writer with group commit, a few reading connections.
//!
//! `docs/decisions/0039-postgresql.md` says why it is as it is. The connections live on threads of their own, so that a handle
//! may be asked from any runtime, and what was asked is written even where the asker's runtime ends.

mod address;
mod backoff;
mod change;
mod clock;
mod contents;
mod counted;
mod cutoffs;
mod edits;
mod fault;
mod held;
mod others;
mod proofs;
mod read;
mod reseal;
mod schema;
mod session;
mod stands;
mod traffic;
mod transactions;
mod transfer;
mod watch;
mod whole;
mod writer;

use crate::Schema;
use crate::pipe::pipe;
use crate::waiting::{Pending, Ticket, Write, wait};
use address::Address;
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
use daypass_core::root::RootRow;
use daypass_core::store::{Appended, Change, Proof, RecordQuery, Spent, Store, StoreError, Stored};
use daypass_core::transfer::Pages;
use deadpool_postgres::{
    Manager, ManagerConfig, Object, Pool, RecyclingMethod, Runtime, Timeouts, Transaction,
};
use fault::{Fault, closed, column, late};
use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;
use tokio::runtime::{Builder, Handle};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use tokio_postgres::IsolationLevel;
use tracing::Instrument as _;
pub use traffic::Traffic;
pub(crate) use traffic::traffic;
pub(crate) use transactions::done_again;
use uuid::Uuid;
use watch::Watch;
pub(crate) use whole::PostgresWhole;
use writer::{Command, QUEUE, Writer};

/// Whether this is an address, without asking anybody.
pub(crate) fn understand(url: &str) -> Result<(), StoreError> {
    Address::parse(url).map(|_| ())
}

/// A handle on the database. Dropping it ends its threads once what waits has been written.
pub(crate) struct PostgresStore {
    commands: mpsc::Sender<Command>,
    thread: Mutex<Option<JoinHandle<()>>>,
    reads: Reads,
    watch: Watch,
}

/// What the thread hands out when the database is ready.
type Ready = (mpsc::Sender<Command>, Reads, Watch);

impl PostgresStore {
    /// Opens the database at this address, and makes the tables if there are none.
    pub(crate) fn open(url: &str) -> Result<Self, StoreError> {
        let address = Address::parse(url)?;
        let (ready, waiting) = std::sync::mpsc::sync_channel(1);
        let thread = on_a_thread(move |runtime| runtime.block_on(serve(address, &ready)))?;
        let (commands, reads, watch) = waiting.recv().map_err(|_| closed())??;
        Ok(Self { commands, thread: Mutex::new(Some(thread)), reads, watch })
    }

    /// Whether somebody has made a store in the database.
    pub(crate) fn exists(url: &str) -> Result<bool, StoreError> {
        look(url, async |client| schema::exists(&client).await)
    }

    /// How far the tables are.
    pub(crate) fn schema(url: &str) -> Result<Schema, StoreError> {
        look(url, async |client| schema::look(&client).await)
    }

    /// Hands the writer a command and waits for its answer, not longer than the deadline. What is not answered in time may still
    /// be written, but whoever asked acts as if it had not been.
    async fn write<T>(&self, write: impl FnOnce(Pending<T>) -> Write) -> Result<T, StoreError> {
        let answer = self.send(|ticket| Command::Write(write(Pending::new(ticket))))?;
        match timeout(DEADLINE, answer).instrument(wait()).await {
            Ok(answer) => answer.unwrap_or_else(|_| Err(closed())),
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
                Err(StoreError::Unavailable(format!("{QUEUE} requests already wait for the database")))
            }
        }
    }
}

/// Asks the database something over a connection of its own, which ends with the answer.
fn look<T: Send + 'static, F>(
    url: &str,
    question: impl FnOnce(Object) -> F + Send + 'static,
) -> Result<T, StoreError>
where
    F: Future<Output = Result<T, Fault>>,
{
    let address = Address::parse(url)?;
    let (answer, waiting) = std::sync::mpsc::sync_channel(1);
    on_a_thread(move |runtime| {
        let found =
            runtime.block_on(async { question(traffic::connection(&pool(&address, 1)?).await?).await });
        let _ = answer.send(found.map_err(|fault: Fault| fault.error));
    })?;
    waiting.recv().map_err(|_| closed())?
}

/// Runs something on a thread with a runtime of its own, which ends with it.
fn on_a_thread(
    work: impl FnOnce(tokio::runtime::Runtime) + Send + 'static,
) -> Result<JoinHandle<()>, StoreError> {
    let cannot =
        |error: std::io::Error| StoreError::Unavailable(format!("no thread can be started: {error}"));
    let runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("daypass-postgres")
        .enable_all()
        .build()
        .map_err(cannot)?;
    std::thread::Builder::new().name("daypass-writer".into()).spawn(|| work(runtime)).map_err(cannot)
}

/// The life of a handle, as its thread lives it.
async fn serve(address: Address, ready: &std::sync::mpsc::SyncSender<Result<Ready, StoreError>>) {
    let (commands, queue) = mpsc::channel(QUEUE);
    match prepare(&address).await {
        Err(fault) => _ = ready.send(Err(fault.error)),
        Ok((writing, reads, watch)) => {
            tokio::spawn(watch.clone().follow(address));
            let writer = Writer::new(writing, queue, watch.clone());
            if ready.send(Ok((commands, reads, watch))).is_ok() {
                writer.run().await;
            }
        }
    }
}

async fn prepare(address: &Address) -> Result<(Pool, Reads, Watch), Fault> {
    let writing = pool(address, 1)?;
    let client = traffic::connection(&writing).await?;
    schema::prepare(&client).await?;
    whole::standing(&client).await?.in_service()?;
    let changes = client.query_one("SELECT changes FROM meta", &[]).await?;
    let reads = Reads { pool: pool(address, address.readers())?, runtime: Handle::current() };
    Ok((writing, reads, Watch::new(column(&changes, 0)?)))
}

fn pool(address: &Address, most: usize) -> Result<Pool, Fault> {
    let settings = ManagerConfig { recycling_method: RecyclingMethod::Fast };
    let manager = Manager::from_connect(address.config(), address.clone(), settings);
    let waits = Timeouts { wait: Some(DEADLINE), create: Some(DEADLINE), recycle: Some(DEADLINE) };
    let built = Pool::builder(manager).max_size(most).timeouts(waits).runtime(Runtime::Tokio1).build();
    Ok(built.map_err(|error| StoreError::Unavailable(error.to_string()))?)
}

/// The reading connections.
#[derive(Clone)]
struct Reads {
    pool: Pool,
    runtime: Handle,
}

impl Reads {
    /// Runs one query within the deadline. Whoever stops waiting loses the answer and nothing else: the query ends on its own,
    /// and keeps its place among the readers until then.
    async fn read<T: Send + 'static, F>(
        &self,
        query: impl FnOnce(Object) -> F + Send + 'static,
    ) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, Fault>> + Send,
    {
        timeout(DEADLINE, self.read_whole(query)).await.unwrap_or_else(|_| Err(late()))
    }

    /// Runs one query for as long as it takes: for what no request waits for, and what has to be read in the end.
    async fn read_whole<T: Send + 'static, F>(
        &self,
        query: impl FnOnce(Object) -> F + Send + 'static,
    ) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, Fault>> + Send,
    {
        let pool = self.pool.clone();
        let job = self.runtime.spawn(async move { query(traffic::connection(&pool).await?).await });
        match job.await {
            Ok(answer) => answer.map_err(|fault| fault.error),
            Err(_) => Err(closed()),
        }
    }
}

/// How long the statements of a transaction may take.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Patience {
    /// As long as the session's settings say.
    Usual,
    /// As long as they take. That the other end still lives is the kernel's to notice.
    Endless,
}

/// Whoever takes the rows may take his time as well: to put a million in order between two questions can take longer than a
/// transaction may do nothing.
const ENDLESS: &str = "SET LOCAL statement_timeout TO 0;
    SET LOCAL idle_in_transaction_session_timeout TO 0";

/// A view of one state of the database.
async fn snapshot(client: &mut Object, patience: Patience) -> Result<Transaction<'_>, Fault> {
    let transaction = client
        .build_transaction()
        .isolation_level(IsolationLevel::RepeatableRead)
        .read_only(true)
        .start()
        .await?;
    if patience == Patience::Endless {
        transaction.batch_execute(ENDLESS).await?;
    }
    Ok(transaction)
}

#[async_trait]
impl Store for PostgresStore {
    /// Start-up work, and not bound by the deadline: it loads the marks of the last window.
    async fn begin(&self, chain: Chain) -> Result<(), StoreError> {
        self.send(|ticket| Command::Begin(Box::new(chain), ticket))?.await.unwrap_or_else(|_| Err(closed()))
    }

    async fn clients(&self) -> Result<Vec<Client>, StoreError> {
        self.reads
            .read(async |mut client| {
                read::documents(&snapshot(&mut client, Patience::Usual).await?, "clients", "guid").await
            })
            .await
    }

    async fn keys(&self) -> Result<Vec<Key>, StoreError> {
        self.reads
            .read(async |mut client| {
                read::documents(&snapshot(&mut client, Patience::Usual).await?, "keys", "id").await
            })
            .await
    }

    async fn ring(&self) -> Result<Vec<RingRow>, StoreError> {
        self.reads
            .read(async |mut client| read::ring(&snapshot(&mut client, Patience::Usual).await?).await)
            .await
    }

    async fn seal(&self) -> Result<Option<SealRow>, StoreError> {
        self.reads.read(async |client| reseal::seal(&client).await).await
    }

    async fn cutoffs(&self) -> Result<Vec<Cutoff>, StoreError> {
        self.reads
            .read_whole(async |mut client| {
                read::cutoffs(&snapshot(&mut client, Patience::Endless).await?).await
            })
            .await
    }

    async fn cutoff(&self, scope: Scope) -> Result<Option<Timestamp>, StoreError> {
        self.reads.read(async move |client| read::cutoff(&client, &scope).await).await
    }

    async fn freezes(&self) -> Result<Vec<Freeze>, StoreError> {
        self.reads
            .read(async |mut client| read::freezes(&snapshot(&mut client, Patience::Usual).await?).await)
            .await
    }

    async fn roots(&self) -> Result<Vec<RootRow>, StoreError> {
        self.reads
            .read(async |mut client| {
                read::documents(&snapshot(&mut client, Patience::Usual).await?, "roots", "issuer, slot").await
            })
            .await
    }

    async fn contents(&self, known: &Contents) -> Result<Contents, StoreError> {
        let (known, before) = (known.clone(), self.watch.before());
        let contents = self
            .reads
            .read_whole(async move |mut client| {
                contents::contents(&snapshot(&mut client, Patience::Endless).await?, &known).await
            })
            .await?;
        // Whoever has read this much must not be told of less.
        self.watch.seen(before, contents.version.cast_signed());
        Ok(contents)
    }

    async fn version(&self) -> Result<u64, StoreError> {
        self.watch.version()
    }

    async fn change(&self, changes: Vec<Change>, record: Record) -> Result<(), StoreError> {
        self.write(|pending| Write::Change(changes, Box::new(record), pending)).await
    }

    async fn append(&self, entry: Entry) -> Result<Appended, StoreError> {
        self.write(|pending| Write::Append(Box::new(entry), pending)).await
    }

    async fn uses(&self) -> Result<Vec<(String, Timestamp)>, StoreError> {
        self.reads.read(async |client| read::uses(&client).await).await
    }

    async fn note_uses(&self, uses: Vec<(String, Timestamp)>) -> Result<(), StoreError> {
        self.write(|pending| Write::Uses(uses, pending)).await
    }

    async fn clock(&self) -> Result<Option<Timestamp>, StoreError> {
        self.reads.read(async |client| clock::read(&client).await).await
    }

    async fn note_clock(&self, now: Timestamp) -> Result<Timestamp, StoreError> {
        self.write(|pending| Write::Clock(now, pending)).await
    }

    async fn note_counts(&self, node: Uuid, due: Due) -> Result<Vec<(Mark, u64)>, StoreError> {
        self.write(|pending| Write::Counts(node, due, pending)).await
    }

    async fn counts(&self, day: i64, but: Uuid) -> Result<Vec<(Mark, u64)>, StoreError> {
        self.reads.read_whole(async move |client| counted::counts(&client, day, but).await).await
    }

    async fn spend(&self, mark: Mark, until: Timestamp) -> Result<Spent, StoreError> {
        self.write(|pending| Write::Spend(mark, until, pending)).await
    }

    async fn held(&self, place: Mark) -> Result<Option<Held>, StoreError> {
        self.reads.read(async move |client| held::read(&client, &place).await).await
    }

    async fn take_turn(&self, wish: Wish) -> Result<Turn, StoreError> {
        self.write(|pending| Write::TakeTurn(wish, pending)).await
    }

    async fn end_turn(&self, end: TurnEnd) -> Result<bool, StoreError> {
        self.write(|pending| Write::EndTurn(end, pending)).await
    }

    async fn records(&self, query: RecordQuery) -> Result<Vec<Stored>, StoreError> {
        self.reads
            .read(async move |mut client| {
                read::records(&snapshot(&mut client, Patience::Usual).await?, &query).await
            })
            .await
    }

    async fn heads(&self) -> Result<Vec<ChainHead>, StoreError> {
        self.reads
            .read(async |mut client| read::heads(&snapshot(&mut client, Patience::Usual).await?).await)
            .await
    }

    async fn links(&self, writer: Uuid, after: u64, limit: usize) -> Result<Vec<Link>, StoreError> {
        self.reads.read(async move |client| read::links(&client, writer, after, limit).await).await
    }

    async fn placed(&self, after: i64, limit: usize) -> Result<Vec<Placed>, StoreError> {
        self.reads.read(async move |client| proofs::placed(&client, after, limit).await).await
    }

    async fn checkpoints(&self, after: u64, limit: usize) -> Result<Vec<Kept>, StoreError> {
        self.reads.read(async move |client| proofs::checkpoints(&client, after, limit).await).await
    }

    async fn last_checkpoint(&self) -> Result<Option<Kept>, StoreError> {
        self.reads.read(async |client| proofs::last_checkpoint(&client).await).await
    }

    async fn delivered(&self) -> Result<Vec<(String, u64)>, StoreError> {
        self.reads.read(async |client| proofs::delivered(&client).await).await
    }

    async fn prove(&self, proof: Proof) -> Result<bool, StoreError> {
        self.write(|pending| Write::Prove(Box::new(proof), pending)).await
    }

    async fn snapshot(&self) -> Result<Box<dyn Pages>, StoreError> {
        let (mut pager, piped) = pipe();
        let reads = self.reads.clone();
        tokio::spawn(async move {
            let job = reads.read_whole(async move |mut client| {
                let transaction = snapshot(&mut client, Patience::Endless).await?;
                let read = transfer::rows(&transaction, &mut pager).await;
                Ok((pager, read.map_err(|fault| fault.error)))
            });
            if let Ok((pager, read)) = job.await {
                pager.finish(read).await;
            }
        });
        Ok(Box::new(piped))
    }

    async fn close(&self) -> Result<(), StoreError> {
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(thread) = thread else { return Err(closed()) };
        let done = async {
            self.reads.pool.close();
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
