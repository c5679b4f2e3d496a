//! The writer: the one task that writes, one commit for everything that waits.
//!
//! The batch is whatever arrived while the last commit was under way. There is no timer: a fixed window makes a quiet store slow
//! and a busy one no faster, while this adapts to the disk and the network by itself.
//!
//! Every transaction begins by locking the row `tail`, which the other nodes' transactions do as well. So they come one after the
//! other in one order, in which positions have no gaps, a mark is recorded once and a turn is taken by one.
//!
//! # After a failure
//!
//! Everyone in the batch is told that nothing was written, and the connection is dropped, since what is left of a transaction
//! ends with it. A commit that was sent and not answered may have happened, or may happen yet. [`super::session`] keeps that in
//! mind, and finds out under the lock of the next transaction.

use super::backoff::Backoff;
use super::change;
use super::clock;
use super::counted;
use super::fault::{Fault, late};
use super::held;
use super::proofs;
use super::session::{Place, Session, Tail};
use super::traffic;
use super::transactions::{Name, again, transact};
use super::watch::{CHANNEL, Watch};
use crate::waiting::{Ticket, Write};
use daypass_core::record::{Chain, DEADLINE, Record};
use daypass_core::store::{Change, Spent, StoreError};
use deadpool_postgres::{GenericClient, Object, Pool};
use std::collections::{HashMap, HashSet};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_postgres::error::SqlState;

/// How many requests may wait for the writer. A commit takes 0.2 to 20 ms and serves all of them; more than this waiting means
/// that the database stands still, and then the next one is better told at once.
pub(super) const QUEUE: usize = 8192;

/// The most records of one commit, so that its length stays bounded.
const BATCH: usize = 2048;

/// How many expired single-use marks each new one takes away: more than one, so that the table shrinks.
const EXPIRED: i64 = 4;

/// How long a single-use mark is kept after it has run out, in milliseconds: other nodes' clocks may be behind ours, and to them
/// it still means something.
const SPENT_SLACK: i64 = 600_000;

/// What the writer is asked.
pub(super) enum Command {
    Begin(Box<Chain>, Ticket<()>),
    Write(Write),
    Close,
}

/// The task's state.
pub(super) struct Writer {
    /// Of one connection, which is made anew when it is needed.
    pool: Pool,
    commands: mpsc::Receiver<Command>,
    session: Option<Session>,
    watch: Watch,
    /// The server knows notifications, as far as we know.
    notifies: bool,
    backoff: Backoff,
}

impl Writer {
    pub(super) fn new(pool: Pool, commands: mpsc::Receiver<Command>, watch: Watch) -> Self {
        Self { pool, commands, session: None, watch, notifies: true, backoff: Backoff::default() }
    }

    /// Works until every handle is gone or one of them closes the store.
    pub(super) async fn run(mut self) {
        let mut commands = Vec::new();
        let mut batch = Vec::new();
        while self.commands.recv_many(&mut commands, BATCH).await > 0 {
            for command in commands.drain(..) {
                match command {
                    Command::Write(write) => batch.push(write),
                    Command::Begin(chain, ticket) => {
                        self.commit(&mut batch).await;
                        let _ = ticket.send(self.begin(*chain).await.map_err(|fault| fault.error));
                    }
                    // What is in the queue is still taken, nothing more is let in.
                    Command::Close => self.commands.close(),
                }
            }
            self.commit(&mut batch).await;
        }
    }

    async fn begin(&mut self, chain: Chain) -> Result<(), Fault> {
        let client = traffic::connection(&self.pool).await?;
        let begin = async |client: &Object| Session::begin(client, chain.clone()).await;
        self.session = Some(transact(Name::Begin, &client, begin).await?);
        Ok(())
    }

    /// One transaction for the whole batch; then everyone is told.
    async fn commit(&mut self, batch: &mut Vec<Write>) {
        if batch.is_empty() {
            return;
        }
        let failed = match self.backoff.open() {
            Ok(()) => self.transact(batch).await.err(),
            // Said when it failed, and not for everyone who asks meanwhile.
            Err(error) => Some(error),
        };
        batch.drain(..).for_each(|write| write.send(failed.as_ref()));
    }

    async fn transact(&mut self, batch: &mut [Write]) -> Result<(), StoreError> {
        let done = self.write(batch).await;
        if let Err(error) = &done {
            tracing::error!(%error, waiting = batch.len(), "a commit failed, nothing of it is answered");
        }
        done
    }

    async fn write(&mut self, batch: &mut [Write]) -> Result<(), StoreError> {
        let client = match timeout(DEADLINE, traffic::connection(&self.pool)).await {
            Ok(Ok(client)) => client,
            failed => {
                let error =
                    failed.map_or_else(|_| late(), |fault| fault.map_or_else(|f| f.error, |_| late()));
                self.backoff.failed(&error);
                return Err(error);
            }
        };
        let mut times = 0;
        loop {
            let (mut began, mut sent) = (None, false);
            let before = self.watch.before();
            let all = write_all(&client, self.session.as_mut(), batch, self.notifies, &mut began, &mut sent);
            // Whoever waits has given up by then.
            let done = timeout(DEADLINE, all).await.unwrap_or_else(|_| Err(late().into()));
            let fault = match done {
                Ok(changes) => {
                    if self.backoff.well() {
                        self.watch.wake();
                    }
                    self.session.iter_mut().for_each(Session::committed);
                    if let Some(changes) = changes {
                        self.watch.seen(before, changes);
                    }
                    return Ok(());
                }
                Err(Failed::Notify) => {
                    self.notifies = false;
                    tracing::info!("the server knows no notifications; other nodes look twice a second");
                    self.back(began, false);
                    client.batch_execute("ROLLBACK").await.map_err(|error| Fault::from(error).error)?;
                    continue;
                }
                Err(Failed::Fault(fault)) => fault,
            };
            // What the server itself took back has not happened.
            self.back(began, sent && !fault.again);
            if again(Name::Batch, &fault, times) && client.batch_execute("ROLLBACK").await.is_ok() {
                times += 1;
                continue;
            }
            drop(Object::take(client));
            return Err(fault.error);
        }
    }

    fn back(&mut self, began: Option<Place>, in_doubt: bool) {
        if let (Some(session), Some(began)) = (&mut self.session, began) {
            session.go_back(began, in_doubt);
        }
    }
}

/// Why a transaction came to nothing.
enum Failed {
    /// The server knows no notifications.
    Notify,
    Fault(Fault),
}

impl<E: Into<Fault>> From<E> for Failed {
    fn from(error: E) -> Self {
        Self::Fault(error.into())
    }
}

/// Writes the batch and commits it. Gives the number of changes so far, if there was one. `began` is where a failure takes the
/// session back to: only what is settled before is settled for good. `sent` says whether the commit may have reached the server.
async fn write_all(
    client: &Object,
    mut session: Option<&mut Session>,
    batch: &mut [Write],
    notifies: bool,
    began: &mut Option<Place>,
    sent: &mut bool,
) -> Result<Option<i64>, Failed> {
    // Sent together, so that the lock costs one way there and back.
    let (begun, tail) = tokio::join!(biased; client.batch_execute("BEGIN"), Tail::lock(client));
    begun?;
    let tail = tail?;
    if let Some(session) = &mut session {
        session.catch_up(client, tail).await?;
        *began = Some(session.place());
    }
    let changes = write_each(client, &mut session, batch).await?;
    spend(client, session.as_deref(), batch).await?;
    note_uses(client, batch).await?;
    if changes.is_some() && notifies {
        notify(client).await?;
    }
    match (session, began) {
        (Some(session), Some(began)) if session.grown() => {
            let ready = Session::ready(client).await?;
            *sent = true;
            // Together as well: a commit behind a statement that failed is a rollback.
            let (written, committed) =
                tokio::join!(biased; session.write(client, &ready, &*began), client.batch_execute("COMMIT"));
            written?;
            committed?;
        }
        _ => client.batch_execute("COMMIT").await?,
    }
    Ok(changes)
}

/// Everything of a batch but marks and uses, in order.
async fn write_each(
    client: &Object,
    session: &mut Option<&mut Session>,
    batch: &mut [Write],
) -> Result<Option<i64>, Fault> {
    let mut changes = None;
    for write in batch {
        match write {
            Write::Append(_, pending) if pending.abandoned() => (),
            Write::Append(entry, pending) => {
                pending.result = Some(match session {
                    Some(session) => Ok(session.append(client, &entry.record, entry.mark.as_ref()).await?),
                    None => Err(nobody_began()),
                });
            }
            Write::Change(_, _, pending) if pending.abandoned() => (),
            Write::Change(what, record, pending) => {
                let made = match session {
                    Some(session) => change_all(client, session, what, record).await?,
                    None => Err(nobody_began()),
                };
                changes = made.as_ref().ok().copied().or(changes);
                pending.result = Some(made.map(|_| ()));
            }
            // A turn that nobody waits for would keep the others waiting until it is taken for dead.
            Write::TakeTurn(_, pending) if pending.abandoned() => (),
            Write::TakeTurn(wish, pending) => pending.result = Some(Ok(held::take(client, wish).await?)),
            Write::EndTurn(end, pending) => pending.result = Some(Ok(held::end(client, end).await?)),
            Write::Prove(proof, pending) => pending.result = Some(Ok(proofs::keep(client, proof).await?)),
            Write::Clock(now, pending) => pending.result = Some(Ok(clock::note(client, *now).await?)),
            Write::Counts(node, due, pending) => {
                pending.result = Some(Ok(counted::note(client, *node, due).await?));
            }
            Write::Spend(..) | Write::Uses(..) => (),
        }
    }
    Ok(changes)
}

fn nobody_began() -> StoreError {
    StoreError::Conflict("nobody began to write: `begin` comes first".into())
}

/// A conflict takes back this change alone, and none of the batch it shares a commit with.
async fn change_all(
    client: &Object,
    session: &mut Session,
    changes: &[Change],
    record: &Record,
) -> Result<Result<i64, StoreError>, Fault> {
    client.batch_execute("SAVEPOINT change").await?;
    match change::apply(client, changes).await {
        Ok(number) => {
            client.batch_execute("RELEASE change").await?;
            session.append(client, record, None).await?;
            Ok(Ok(number))
        }
        Err(Fault { error: error @ StoreError::Conflict(_), .. }) => {
            client.batch_execute("ROLLBACK TO change; RELEASE change").await?;
            Ok(Err(error))
        }
        Err(fault) => Err(fault),
    }
}

/// Tells the other nodes when the transaction commits.
async fn notify(client: &Object) -> Result<(), Failed> {
    match client.execute("SELECT pg_notify($1, '')", &[&CHANNEL]).await {
        Ok(_) => Ok(()),
        Err(error) if matches!(error.code(), Some(code) if unknown(code)) => Err(Failed::Notify),
        Err(error) => Err(error.into()),
    }
}

fn unknown(code: &SqlState) -> bool {
    [SqlState::UNDEFINED_FUNCTION, SqlState::FEATURE_NOT_SUPPORTED].contains(code)
}

/// Uses up all marks of the batch in one statement. `now` is the time of this process's last record: nobody else's clock decides
/// when a mark may be forgotten.
async fn spend(client: &Object, session: Option<&Session>, batch: &mut [Write]) -> Result<(), Fault> {
    let mut wanted: Vec<(&[u8], i64)> = Vec::new();
    let mut known = HashSet::new();
    for write in &*batch {
        // Of two in one batch the first one's time counts.
        if let Write::Spend(mark, until, _) = write
            && known.insert(mark)
        {
            wanted.push((mark, until.as_millisecond()));
        }
    }
    if wanted.is_empty() {
        return Ok(());
    }
    let (marks, untils): (Vec<&[u8]>, Vec<i64>) = wanted.into_iter().unzip();
    let insert = client
        .prepare_cached(
            "INSERT INTO spent (mark, until) SELECT mark, until FROM unnest($1::bytea[], $2::bigint[]) AS new (mark, until)
             ON CONFLICT (mark) DO NOTHING RETURNING mark",
        )
        .await?;
    let mut new = HashSet::new();
    for row in client.query(&insert, &[&marks, &untils]).await? {
        new.insert(super::fault::bytes::<16>(&row, 0)?);
    }
    let sweep = client
        .prepare_cached(
            "DELETE FROM spent WHERE mark IN (SELECT mark FROM spent WHERE until < $1 ORDER BY until LIMIT $2)",
        )
        .await?;
    let over = session.map_or(i64::MIN, Session::own_time).saturating_sub(SPENT_SLACK);
    let most = EXPIRED.saturating_mul(i64::try_from(marks.len()).unwrap_or(i64::MAX));
    client.execute(&sweep, &[&over, &most]).await?;
    for write in batch {
        if let Write::Spend(mark, _, pending) = write {
            pending.result = Some(Ok(if new.remove(mark) { Spent::Now } else { Spent::Before }));
        }
    }
    Ok(())
}

/// Of two processes that used one key, the later use counts, whichever is written last.
async fn note_uses(client: &Object, batch: &mut [Write]) -> Result<(), Fault> {
    let mut latest: HashMap<&str, i64> = HashMap::new();
    for write in &*batch {
        if let Write::Uses(uses, _) = write {
            for (key, at) in uses {
                let at = at.as_millisecond();
                latest.entry(key).and_modify(|there| *there = at.max(*there)).or_insert(at);
            }
        }
    }
    if !latest.is_empty() {
        let (keys, times): (Vec<&str>, Vec<i64>) = latest.into_iter().unzip();
        let note = client
            .prepare_cached(
                "INSERT INTO uses AS there (key, at) SELECT key, at FROM unnest($1::text[], $2::bigint[]) AS new (key, at)
                 ON CONFLICT (key) DO UPDATE SET at = excluded.at WHERE there.at < excluded.at",
            )
            .await?;
        client.execute(&note, &[&keys, &times]).await?;
    }
    for write in batch {
        if let Write::Uses(_, pending) = write {
            pending.result = Some(Ok(()));
        }
    }
    Ok(())
}
