//! Reading a whole table of documents on all cores.
//!
//! Of a million rows, SQLite gives one in less time than it takes to sum it up and to understand it. So rows are handed on as they
//! are, some hundred at a time, to threads that do the rest; a table of a few rows is read without any.

use super::fault::{Fault, damaged};
use super::read::each_document;
use super::sums::{Digest, digest, toggle};
use daypass_core::people::Gather;
use rusqlite::Connection;
use serde::de::DeserializeOwned;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{Scope, ScopedJoinHandle, available_parallelism};

/// How many rows are handed on at once.
const BATCH: usize = 512;
/// How many batches wait for one thread, so that what waits is small.
const WAITING: usize = 4;
/// The most threads. More than these wait for SQLite.
const THREADS: usize = 4;

/// Everything in a table, which must be what its digest says.
pub(super) fn whole<G: Gather<One: DeserializeOwned>>(
    snapshot: &Connection,
    table: &'static str,
) -> Result<G::All, Fault> {
    let expected: Digest = snapshot.query_row(&format!("SELECT {table} FROM meta"), [], |row| row.get(0))?;
    let first = Heap::<G>::default();
    let (first, others) = std::thread::scope(|scope| {
        let mut others: Vec<Worker<'_, G>> = Vec::new();
        let (mut batch, mut turn) = (Batch::default(), 0);
        each_document(snapshot, table, |document| {
            batch.push(document);
            if batch.ends.len() == BATCH {
                let full = std::mem::take(&mut batch);
                if others.is_empty() {
                    others = (0..threads()).map(|_| Worker::start(scope, first.beside())).collect();
                }
                turn = (turn + 1) % others.len().max(1);
                others.get(turn).map_or(Ok(()), |worker| worker.take(full))?;
            }
            Ok(())
        })?;
        let mut first = first;
        first.take(&batch)?;
        Ok::<_, Fault>((first, others.into_iter().map(Worker::finish).collect::<Result<Vec<_>, _>>()?))
    })?;
    let mut total = first.digest;
    for other in &others {
        toggle(&mut total, &other.digest);
    }
    if total != expected {
        return Err(damaged(format_args!("the table `{table}` is not what was written to it")));
    }
    first.gathered.finish(others.into_iter().map(|other| other.gathered).collect()).map_err(damaged)
}

fn threads() -> usize {
    available_parallelism().map_or(1, usize::from).min(THREADS)
}

/// Some documents, one after another.
#[derive(Default)]
struct Batch {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Batch {
    fn push(&mut self, document: &[u8]) {
        self.bytes.extend_from_slice(document);
        self.ends.push(self.bytes.len());
    }

    fn documents(&self) -> impl Iterator<Item = &[u8]> {
        let mut start = 0;
        self.ends.iter().filter_map(move |end| self.bytes.get(std::mem::replace(&mut start, *end)..*end))
    }
}

/// What one thread has gathered, and its part of the digest.
#[derive(Default)]
struct Heap<G> {
    gathered: G,
    digest: Digest,
}

impl<G: Gather<One: DeserializeOwned>> Heap<G> {
    fn beside(&self) -> Self {
        Self { gathered: self.gathered.beside(), digest: Digest::default() }
    }

    fn take(&mut self, batch: &Batch) -> Result<(), Fault> {
        for document in batch.documents() {
            self.gathered.add(&serde_json::from_slice(document).map_err(damaged)?).map_err(damaged)?;
            toggle(&mut self.digest, &digest(&[document]));
        }
        Ok(())
    }
}

/// A thread that understands rows.
struct Worker<'scope, G> {
    batches: SyncSender<Batch>,
    thread: ScopedJoinHandle<'scope, Result<Heap<G>, Fault>>,
}

impl<'scope, G: Gather<One: DeserializeOwned> + 'scope> Worker<'scope, G> {
    fn start(scope: &'scope Scope<'scope, '_>, mut heap: Heap<G>) -> Self {
        let (batches, waiting): (_, Receiver<Batch>) = sync_channel(WAITING);
        let work = move || {
            waiting.iter().try_for_each(|batch| heap.take(&batch))?;
            Ok(heap)
        };
        Self { batches, thread: scope.spawn(work) }
    }

    fn take(&self, batch: Batch) -> Result<(), Fault> {
        // It takes no more where it has found a fault, which it tells at the end; another message is as good until then.
        self.batches.send(batch).map_err(|_| damaged("a row cannot be read"))
    }

    fn finish(self) -> Result<Heap<G>, Fault> {
        drop(self.batches);
        self.thread.join().map_err(|_| damaged("a row cannot be read"))?
    }
}
