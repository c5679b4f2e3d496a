//! What it costs that many credentials were taken back and could still be alive.

use super::Apis;
use crate::clock;
use crate::process::{Cores, Server};
use crate::work::Held;
use anyhow::{Context as _, ensure};
use daypass_core::cutoff::{Cutoff, Scope};
use daypass_core::id::uuid_v7;
use daypass_core::record::{Chain, Record};
use daypass_core::ring::{Kek, Ring};
use daypass_core::store::{Change, Store};
use std::path::Path;
use std::sync::Arc;
use std::thread::sleep;
use std::time::Duration;

/// How many cut-offs are written at once: what the store takes within its deadline, with room to spare.
const BATCH: usize = 5_000;
/// How often it is asked whether a cut-off is in force.
const PROBE: Duration = Duration::from_millis(2);
/// When a cut-off must be in force.
const PATIENCE: Duration = Duration::from_mins(1);

/// What so many cut-offs cost beside the time of a request.
pub(crate) struct Weight {
    /// How many.
    pub(crate) held: Held,
    /// From spawn until the server has given a key and a token.
    pub(crate) start: Duration,
    /// Resident memory once it has answered, in kilobytes.
    pub(crate) resident: u64,
    /// From when one more was written into the store, by another process, until the server refuses what it is about.
    pub(crate) in_force: Duration,
}

/// Fills the store in this folder, starts a server on it, and looks.
pub(super) fn start(
    apis: &Apis,
    cores: Cores,
    folder: &Path,
    held: Held,
) -> anyhow::Result<(Server, Weight)> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (store, mut number) = (runtime.block_on(open(apis, folder))?, 0_u64);
    let mut left = held.count();
    while left > 0 {
        let batch = left.min(BATCH);
        let ids = (0..batch).map(|_| {
            number += 1;
            format!("AKIDnobody{number:022}")
        });
        runtime.block_on(cut(&*store, ids.collect()))?;
        left -= batch;
    }
    let begin = clock::now();
    let server = apis.serve(cores, folder)?;
    let mut questions =
        apis.questions(&server).context("the server does not answer; it reads them all at its start")?;
    let start = begin.elapsed();
    let doomed = questions.triple()?;
    ensure!(questions.counts(&doomed)?, "a new key does not count");
    let resident = server.resident()?;
    runtime.block_on(cut(&*store, vec![doomed.id.clone()]))?;
    let written = clock::now();
    while questions.counts(&doomed)? {
        ensure!(written.elapsed() < PATIENCE, "a cut-off is not in force after {PATIENCE:?}");
        sleep(PROBE);
    }
    let in_force = written.elapsed();
    runtime.block_on(store.close())?;
    Ok((server, Weight { held, start, resident, in_force }))
}

async fn open(apis: &Apis, folder: &Path) -> anyhow::Result<Arc<dyn Store>> {
    let store = daypass_stores::open(&format!("sqlite:{}", folder.join("daypass.db").display()))?;
    let ring = Ring::open(&store.ring().await?, &Kek::new(&apis.seal_key)?)?;
    store
        .begin(Chain::begin(&ring, uuid_v7(clock::wall(), rand::random())).context("no record key")?)
        .await?;
    Ok(store)
}

/// Takes back the credentials of these ids.
async fn cut(store: &dyn Store, ids: Vec<String>) -> anyhow::Result<()> {
    let now = clock::wall();
    let before = daypass_core::clock::Timestamp::from_millisecond(now.as_millisecond())?;
    let changes = ids.into_iter().map(|id| Change::Cut(Cutoff { scope: Scope::Credential(id), before }));
    let record = Record::change(uuid_v7(now, rand::random()), now, None, "bench.revoke", "credentials");
    Ok(store.change(changes.collect(), record).await?)
}
