//! Durable records a second through our own stores, beside what the store behind them and the disk can do, in the same rounds.

use super::place::{Backend, Postgres, sqlite};
use super::raw::{self, Took};
use super::records::{GRANT, Maker, chain};
use super::{Plan, Section, middle, over, spread};
use crate::clock;
use crate::loader::histogram;
use crate::statistics::number;
use anyhow::Context as _;
use daypass_core::store::{Appended, Store};
use hdrhistogram::Histogram;
use serde_json::json;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::LocalSet;

/// How many requests wait at once for their records; a raw batch has as many rows.
const WAITERS: [usize; 3] = [1, 32, 256];
/// So many processes' worth of writers that share one PostgreSQL, each with as many waiters.
const WRITERS: [usize; 3] = [1, 2, 3];

/// One thing to measure in a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Task {
    /// Our store: backend, writers, waiters at each.
    Ours(Backend, usize, usize),
    /// The store itself, with rows in a batch.
    Raw(Backend, usize),
    /// A file.
    Append(usize),
}

/// What the rounds gave for one of them.
#[derive(Default)]
struct Found {
    per_second: Vec<f64>,
    /// Milliseconds, of every record.
    latency: Option<Histogram<u64>>,
}

pub(super) fn measure(plan: &Plan, postgres: Option<&Postgres>) -> anyhow::Result<Vec<Section>> {
    let backends: Vec<_> =
        [Some(Backend::Sqlite), postgres.map(|_| Backend::Postgres)].into_iter().flatten().collect();
    let mut tasks: Vec<Task> = WAITERS.map(Task::Append).to_vec();
    for backend in &backends {
        tasks.extend(WAITERS.map(|waiters| Task::Ours(*backend, 1, waiters)));
        tasks.extend(WAITERS.map(|rows| Task::Raw(*backend, rows)));
    }
    if postgres.is_some() {
        let several = WRITERS.into_iter().filter(|writers| *writers > 1);
        tasks.extend(several.map(|writers| Task::Ours(Backend::Postgres, writers, 256)));
    }
    let mut world = World::open(plan, postgres)?;
    let mut found: Vec<Found> = tasks.iter().map(|_| Found::default()).collect();
    plan.rounds(&tasks, |index, task| {
        let found = found.get_mut(index).context("a task without a place")?;
        world.run(plan, task, found)
    })?;
    let of = |task: Task| {
        let place = tasks.iter().position(|other| *other == task);
        place.and_then(|index| found.get(index)).context("a task that was not run")
    };
    let mut sections = vec![against_limits(&backends, &of)?];
    if postgres.is_some() {
        sections.push(writers(&of)?);
    }
    if let Some(first) = sections.first_mut() {
        let rounds = tasks.iter().zip(&found);
        first.rounds = rounds
            .map(|(task, found)| json!({"task": format!("{task:?}"), "per_second": found.per_second}))
            .collect();
    }
    Ok(sections)
}

fn against_limits<'f>(
    backends: &[Backend],
    of: &impl Fn(Task) -> anyhow::Result<&'f Found>,
) -> anyhow::Result<Section> {
    let mut section = Section::new(
        "Durable records a second, one writer (records of a TC3 grant; ratios are formed inside a round)",
        [
            "store",
            "waiting at once",
            "records/s",
            "p50 ms",
            "p99 ms",
            "the store itself, rows/s",
            "ours / itself",
            "ours / append + fdatasync",
        ],
    );
    for backend in backends {
        for waiters in WAITERS {
            let (ours, raw) = (of(Task::Ours(*backend, 1, waiters))?, of(Task::Raw(*backend, waiters))?);
            let append = of(Task::Append(waiters))?;
            section.row([
                backend.to_string(),
                waiters.to_string(),
                middle(&ours.per_second),
                quantile(ours, 0.5),
                quantile(ours, 0.99),
                middle(&raw.per_second),
                over(&ours.per_second, &raw.per_second),
                over(&ours.per_second, &append.per_second),
            ]);
        }
    }
    section.notes.push(
        "\"Itself\" writes the same documents in batches of as many rows as requests wait here, and nothing waits for each: \
         no MAC chain, no tree, no marks, no hand-over between threads. Ours forms its batches of what has arrived meanwhile."
            .to_owned(),
    );
    Ok(section)
}

fn writers<'f>(of: &impl Fn(Task) -> anyhow::Result<&'f Found>) -> anyhow::Result<Section> {
    let mut section = Section::new(
        "Several writers on one PostgreSQL, 256 waiting at each",
        ["writers", "records/s", "over one", "p99 ms"],
    );
    let one = of(Task::Ours(Backend::Postgres, 1, 256))?;
    for writers in WRITERS {
        let found = of(Task::Ours(Backend::Postgres, writers, 256))?;
        let ratio = over(&found.per_second, &one.per_second);
        section.row([writers.to_string(), spread(&found.per_second), ratio, quantile(found, 0.99)]);
    }
    section.notes.push(
        "All in this one process: writers, what asks them, and PostgreSQL share the machine.".to_owned(),
    );
    Ok(section)
}

fn quantile(found: &Found, quantile: f64) -> String {
    let value = found.latency.as_ref().map(|latency| latency.value_at_quantile(quantile));
    value.map_or_else(|| "-".to_owned(), |nanos| format!("{:.2}", number(nanos) / 1e6))
}

/// The stores, open.
struct World {
    runtime: tokio::runtime::Runtime,
    sqlite: Arc<dyn Store>,
    postgres: Vec<Arc<dyn Store>>,
    raw_sqlite: raw::Sqlite,
    raw_postgres: Option<raw::Postgres>,
}

impl World {
    fn open(plan: &Plan, postgres: Option<&Postgres>) -> anyhow::Result<Self> {
        // What waits here is one thread, as a node's worker is; the stores bring their own.
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let url = sqlite(&plan.folder.join("ours"))?;
        let sqlite = runtime.block_on(open(&url))?;
        let mut stores = Vec::new();
        let mut raw_postgres = None;
        if let Some(postgres) = postgres {
            let url = postgres.database().url();
            for _ in 0..*WRITERS.last().unwrap_or(&1) {
                stores.push(runtime.block_on(open(&url))?);
            }
            raw_postgres = Some(raw::Postgres::create(&postgres.database())?);
        }
        let raw_sqlite = raw::Sqlite::create(&plan.folder.join("raw"))?;
        Ok(Self { runtime, sqlite, postgres: stores, raw_sqlite, raw_postgres })
    }

    fn run(&mut self, plan: &Plan, task: Task, found: &mut Found) -> anyhow::Result<()> {
        let took = match task {
            Task::Append(rows) => raw::append(&plan.folder, rows, plan.slice)?,
            Task::Raw(Backend::Sqlite, rows) => self.raw_sqlite.write(rows, plan.slice)?,
            Task::Raw(Backend::Postgres, rows) => {
                self.raw_postgres.as_mut().context("no PostgreSQL")?.write(rows, plan.slice)?
            }
            Task::Ours(backend, writers, waiters) => {
                let stores = match backend {
                    Backend::Sqlite => std::slice::from_ref(&self.sqlite),
                    Backend::Postgres => self.postgres.get(..writers).context("too few writers")?,
                };
                let (took, latency) = self.runtime.block_on(appends(stores, waiters, plan.slice))?;
                found.latency.get_or_insert(histogram()?).add(latency)?;
                took
            }
        };
        found.per_second.push(took.per_second());
        Ok(())
    }
}

/// Opens a store to write to.
async fn open(url: &str) -> anyhow::Result<Arc<dyn Store>> {
    let url = url.to_owned();
    let store = tokio::task::spawn_blocking(move || daypass_stores::open(&url)).await??;
    store.begin(chain()?).await?;
    Ok(store)
}

/// Lets so many wait at each store, each for one record after the other.
async fn appends(
    stores: &[Arc<dyn Store>],
    waiters: usize,
    length: Duration,
) -> anyhow::Result<(Took, Histogram<u64>)> {
    let maker = Rc::new(Maker::of(GRANT)?);
    let local = LocalSet::new();
    let begin = clock::now();
    let tasks: Vec<_> = stores
        .iter()
        .flat_map(|store| (0..waiters).map(|_| store.clone()))
        .map(|store| {
            let maker = maker.clone();
            local.spawn_local(async move {
                let mut latency = histogram()?;
                while begin.elapsed() < length {
                    let entry = maker.entry();
                    let asked = clock::now();
                    anyhow::ensure!(
                        store.append(entry).await? == Appended::Appended,
                        "a mark was there before"
                    );
                    latency.saturating_record(u64::try_from(asked.elapsed().as_nanos())?);
                }
                Ok::<_, anyhow::Error>(latency)
            })
        })
        .collect();
    local.await;
    let time = begin.elapsed();
    let mut all = histogram()?;
    for task in tasks {
        all.add(task.await??)?;
    }
    Ok((Took { records: all.len(), time }, all))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_record_that_was_waited_for_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let store = open(&sqlite(folder.path()).unwrap()).await.unwrap();
            let stores = [store.clone()];
            let (took, latency) = appends(&stores, 3, Duration::from_millis(20)).await.unwrap();
            assert_eq!(took.records, latency.len());
            let heads = store.heads().await.unwrap();
            assert_eq!(heads.iter().map(|head| head.seq).sum::<u64>(), took.records);
            store.close().await.unwrap();
        });
    }
}
