//! The writer thread: the one place that writes, one commit for everything that waits.
//!
//! The batch is whatever arrived while the last commit was under way. There is no timer: a fixed window makes a
//! quiet store slow and a busy one no faster, while this adapts to the disk by itself.
//!
//! # After a failed commit
//!
//! Linux reports a failed write-back once, to one `fsync`, and then counts the pages as clean: a second `fsync` on
//! the same descriptor succeeds with data that never reached the disk ("fsyncgate"). So a failure is never retried
//! on the connection it happened on. Everyone in the batch is told that nothing was written; the connection is
//! dropped; and before anything else is accepted
//!
//! 1. the file and its log are opened anew,
//! 2. if the disk itself failed, a full checkpoint must succeed: every page that only the log held is written to the
//!    file again, which is what makes the next sync mean something, and the log begins afresh over whatever the
//!    failed commit left in it,
//! 3. the store is asked where this process's chain ends: before the failed batch, or, if the commit is found to
//!    have happened, behind it. Anything else is damage, and stays an error.

use super::answers::Answers;
use super::change;
use super::checkpoint::Checkpoints;
use super::clock;
use super::counted;
use super::fault::Fault;
use super::held;
use super::proofs;
use super::reserve::{self, Reserve};
use super::same::Same;
use super::schema::{self, Use};
use super::session::Session;
use crate::waiting::{Ticket, Write};
use daypass_core::clock::Timestamp;
use daypass_core::record::{Chain, Record};
use daypass_core::replay::Mark;
use daypass_core::store::{Change, Spent, StoreError};
use rusqlite::{Connection, params};
use std::path::PathBuf;
use tokio::sync::mpsc;

/// How many requests may wait for the writer. A commit takes 0.1 to 20 ms and serves all of them; more than this
/// waiting means that the disk stands still, and then the next one is better told at once.
pub(super) const QUEUE: usize = 8192;

/// The most records of one commit, so that its length stays bounded.
const BATCH: usize = 2048;

/// How often the writer steps aside for those who are about to ask, before it commits what it has.
const YIELDS: usize = 4;

/// How many expired single-use marks each new one takes away: more than one, so that the table shrinks.
const EXPIRED: i64 = 4;

/// How long a single-use mark is kept after it has run out, in milliseconds: other processes' clocks may be
/// behind ours, and to them it still means something.
const SPENT_SLACK: i64 = 600_000;

/// What the writer thread is asked.
pub(super) enum Command {
    Begin(Box<Chain>, Ticket<()>),
    Write(Write),
    Close,
    #[cfg(test)]
    Try(Box<dyn Fn(&Connection) + Send>),
}

/// The thread's state.
pub(super) struct Writer {
    path: PathBuf,
    commands: mpsc::Receiver<Command>,
    /// None after a failure, until it has been opened and proved anew.
    connection: Option<Connection>,
    session: Option<Session>,
    checkpoints: Checkpoints,
    /// The disk failed, and nothing is believed until a full checkpoint has succeeded.
    disk_failed: bool,
    answers: Answers,
    reserve: Reserve,
    same: Same,
}

impl Writer {
    pub(super) fn new(
        path: PathBuf,
        connection: Connection,
        commands: mpsc::Receiver<Command>,
        answers: Answers,
        reserve: Reserve,
        same: Same,
    ) -> Self {
        let (connection, checkpoints) = (Some(connection), Checkpoints::default());
        Self {
            path,
            commands,
            connection,
            session: None,
            checkpoints,
            disk_failed: false,
            answers,
            reserve,
            same,
        }
    }

    /// Works until every handle is gone or one of them closes the store.
    pub(super) fn run(mut self) {
        let mut commands = Vec::new();
        let mut batch = Vec::new();
        while self.commands.blocking_recv_many(&mut commands, BATCH) > 0 {
            self.let_others_ask(&mut commands);
            for command in commands.drain(..) {
                match command {
                    Command::Write(write) => batch.push(write),
                    Command::Begin(chain, ticket) => {
                        self.commit(&mut batch);
                        let _ = ticket.send(self.begin(*chain));
                    }
                    // What is in the queue is still taken, nothing more is let in.
                    Command::Close => self.commands.close(),
                    #[cfg(test)]
                    Command::Try(what) => {
                        self.commit(&mut batch);
                        self.connection.iter().for_each(what);
                    }
                }
            }
            self.commit(&mut batch);
        }
        self.finish();
    }

    /// Gives the processor away while that brings more to write.
    ///
    /// A thread that is woken by the first request of many would otherwise push the threads aside that are about
    /// to ask, and pay for a sync of its own for each handful. This waits for nobody: where nothing else is ready
    /// to run, it costs a microsecond.
    fn let_others_ask(&mut self, commands: &mut Vec<Command>) {
        for _ in 0..YIELDS {
            let before = commands.len();
            std::thread::yield_now();
            while commands.len() < BATCH
                && let Ok(command) = self.commands.try_recv()
            {
                commands.push(command);
            }
            if commands.len() == before {
                return;
            }
        }
    }

    fn begin(&mut self, chain: Chain) -> Result<(), StoreError> {
        self.reserve.make_way();
        self.ready()?;
        let Some(connection) = &mut self.connection else { return Err(closed()) };
        match Session::begin(connection, chain) {
            Ok(session) => self.session = Some(session),
            Err(fault) => {
                let fault = self.reserve.judge(fault);
                self.distrust(fault.disk);
                return Err(fault.error);
            }
        }
        Ok(())
    }

    /// One transaction for the whole batch; then everyone is told.
    fn commit(&mut self, batch: &mut Vec<Write>) {
        if batch.is_empty() {
            return;
        }
        self.keep_room(batch);
        if batch.is_empty() {
            return;
        }
        let failed = self.transact_or_make_way(batch).err();
        self.answers.give(std::mem::take(batch), failed);
        let Some(connection) = &self.connection else { return };
        if let Err(fault) = self.checkpoints.after_commit(connection) {
            let fault = self.reserve.judge(fault);
            // The log still has everything. A full disk may take the next commit; a failed one must prove itself.
            tracing::error!(error = %fault.error, "the log could not be merged into the file");
            self.distrust(fault.disk);
        }
    }

    /// If the disk itself failed, what this connection holds is not believed any more.
    fn distrust(&mut self, disk: bool) {
        self.disk_failed |= disk;
        self.connection.take_if(|_| disk);
    }

    /// Where room is left for operators alone, what requests would add is refused before it is tried.
    fn keep_room(&mut self, batch: &mut Vec<Write>) {
        if batch.iter().any(Write::stands_back) && self.reserve.low() {
            let (back, rest) = std::mem::take(batch).into_iter().partition(Write::stands_back);
            *batch = rest;
            self.answers.give(back, Some(reserve::full()));
        }
        if batch.iter().any(Write::worth_the_reserve) {
            self.reserve.make_way();
        }
    }

    /// A change that meets a full disk takes the reserve and tries once more.
    fn transact_or_make_way(&mut self, batch: &mut [Write]) -> Result<(), StoreError> {
        match self.transact(batch) {
            Err(Fault { full: true, .. })
                if batch.iter().any(Write::worth_the_reserve) && self.reserve.give_up() =>
            {
                self.transact(batch).map_err(|fault| fault.error)
            }
            done => done.map_err(|fault| fault.error),
        }
    }

    fn transact(&mut self, batch: &mut [Write]) -> Result<(), Fault> {
        self.ready()?;
        let Some(connection) = &self.connection else { return Err(closed().into()) };
        let before = self.session.as_ref().map(Session::place);
        let written = write_all(connection, self.session.as_mut(), batch);
        // In another file than the one that will be there tomorrow it is not durable.
        let Err(fault) = written.and_then(|()| self.same.check().map(drop)) else { return Ok(()) };
        let fault = self.reserve.judge(fault);
        self.connection = None;
        self.disk_failed |= fault.disk;
        if let (Some(session), Some(before)) = (&mut self.session, before) {
            session.go_back(before);
        }
        tracing::error!(error = %fault.error, waiting = batch.len(), "a commit failed, nothing of it is answered");
        Err(fault)
    }

    /// A connection that is known to be good, as the head of this module says.
    fn ready(&mut self) -> Result<(), StoreError> {
        if self.connection.is_some() {
            return Ok(());
        }
        self.connection = Some(self.reopen().map_err(|fault| fault.error)?);
        self.disk_failed = false;
        tracing::info!("the store is writable again");
        Ok(())
    }

    fn reopen(&mut self) -> Result<Connection, Fault> {
        let connection = schema::connect(&self.path, Use::Write)?;
        if self.disk_failed {
            let busy: bool = connection.query_row("PRAGMA wal_checkpoint(RESTART)", [], |row| row.get(0))?;
            if busy {
                return Err(StoreError::Unavailable("the disk failed, and the log is in use".into()).into());
            }
        }
        match &mut self.session {
            Some(session) => {
                session.settle(&connection)?;
                self.same.take()?;
            }
            // Nothing here can tell one store from another.
            None => drop(self.same.check()?),
        }
        Ok(connection)
    }

    fn finish(self) {
        let Some(connection) = self.connection else { return };
        if let Err(fault) = schema::release(&connection, self.session.is_some()) {
            tracing::warn!(error = %fault.error, "the store stays marked as open");
        }
    }
}

fn closed() -> StoreError {
    StoreError::Unavailable("it is closed".into())
}

fn write_all(
    connection: &Connection,
    mut session: Option<&mut Session>,
    batch: &mut [Write],
) -> Result<(), Fault> {
    connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
    schema::may_write(connection)?;
    if let Some(session) = &mut session {
        session.catch_up(connection)?;
    }
    for write in batch.iter_mut() {
        match write {
            Write::Append(_, pending) if pending.abandoned() => (),
            Write::Append(entry, pending) => {
                pending.result = Some(match &mut session {
                    Some(session) => Ok(session.append(connection, &entry.record, entry.mark.as_ref())?),
                    None => Err(nobody_began()),
                });
            }
            Write::Change(_, _, pending) if pending.abandoned() => (),
            Write::Change(changes, record, pending) => {
                pending.result = Some(match &mut session {
                    Some(session) => change_all(connection, session, changes, record)?,
                    None => Err(nobody_began()),
                });
            }
            Write::Spend(mark, until, pending) => {
                let now = session.as_ref().map_or(i64::MIN, |session| session.own_time());
                pending.result = Some(Ok(spend(connection, mark, *until, now)?));
            }
            // A turn that nobody waits for would keep the others waiting until it is taken for dead.
            Write::TakeTurn(_, pending) if pending.abandoned() => (),
            Write::TakeTurn(wish, pending) => pending.result = Some(Ok(held::take(connection, wish)?)),
            Write::EndTurn(end, pending) => pending.result = Some(Ok(held::end(connection, end)?)),
            Write::Prove(proof, pending) => pending.result = Some(Ok(proofs::keep(connection, proof)?)),
            Write::Clock(now, pending) => pending.result = Some(Ok(clock::note(connection, *now)?)),
            Write::Counts(node, due, pending) => {
                pending.result = Some(Ok(counted::note(connection, *node, due)?));
            }
            Write::Uses(uses, pending) => pending.result = Some(Ok(note_uses(connection, uses)?)),
        }
    }
    if let Some(session) = session {
        session.store_head(connection)?;
    }
    connection.prepare_cached("COMMIT")?.execute([])?;
    Ok(())
}

fn nobody_began() -> StoreError {
    StoreError::Conflict("nobody began to write: `begin` comes first".into())
}

/// A conflict takes back this change alone, and none of the batch it shares a commit with.
fn change_all(
    connection: &Connection,
    session: &mut Session,
    changes: &[Change],
    record: &Record,
) -> Result<Result<(), StoreError>, Fault> {
    connection.execute_batch("SAVEPOINT change")?;
    match change::apply(connection, changes) {
        Ok(()) => {
            connection.execute_batch("RELEASE change")?;
            session.append(connection, record, None)?;
            Ok(Ok(()))
        }
        Err(Fault { error: error @ StoreError::Conflict(_), .. }) => {
            connection.execute_batch("ROLLBACK TO change; RELEASE change")?;
            Ok(Err(error))
        }
        Err(fault) => Err(fault),
    }
}

/// Of two processes that used one key, the later use counts, whichever is written last.
fn note_uses(connection: &Connection, uses: &[(String, Timestamp)]) -> Result<(), Fault> {
    let mut note = connection.prepare_cached(
        "INSERT INTO uses (key, at) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET at = max(at, excluded.at)",
    )?;
    for (key, at) in uses {
        note.execute(params![key, at.as_millisecond()])?;
    }
    Ok(())
}

/// `now` is the time of this process's last record: nobody else's clock decides when a mark may be forgotten.
fn spend(connection: &Connection, mark: &Mark, until: Timestamp, now: i64) -> Result<Spent, Fault> {
    let new = connection
        .prepare_cached("INSERT INTO spent (mark, until) VALUES (?, ?) ON CONFLICT (mark) DO NOTHING")?
        .execute(params![mark, until.as_millisecond()])?;
    connection
        .prepare_cached(
            "DELETE FROM spent WHERE mark IN (SELECT mark FROM spent WHERE until < ? ORDER BY until LIMIT ?)",
        )?
        .execute([now.saturating_sub(SPENT_SLACK), EXPIRED])?;
    Ok(if new == 0 { Spent::Before } else { Spent::Now })
}
