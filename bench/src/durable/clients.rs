//! From ten clients to a million: what they cost in start, memory and time.

use super::place::sqlite;
use super::site::{Callers, Site};
use super::{Plan, Section, middle, over};
use crate::api::Pair;
use crate::clock;
use crate::loader::{Loader, histogram};
use crate::process::Server;
use crate::response::Shape;
use crate::statistics::{micros, number};
use anyhow::{Context as _, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use daypass_core::client::{Client, Key, Material};
use daypass_core::directory::seal_material;
use daypass_core::id::uuid_v7;
use daypass_core::record::Record;
use daypass_core::ring::Ring;
use daypass_core::store::{Change, Store};
use hdrhistogram::Histogram;
use serde_json::json;
use std::fs;
use std::thread::sleep;
use std::time::Duration;
use uuid::Uuid;

/// How many there are.
const COUNTS: [usize; 4] = [10, 1_000, 100_000, 1_000_000];
/// How many of them ask, spread over all.
const ASKING: usize = 1_000;
/// How many are written at once: what a store takes within its deadline, with room to spare.
const BATCH: usize = 1_000;
/// Connections of the loop that CPU is measured in.
const CONNECTIONS: usize = 32;
/// What a node is taken to manage.
const GUESS: usize = 25_000;
/// How long a server rests before its memory is read.
const REST: Duration = Duration::from_millis(500);

/// A server with so many clients.
struct Crowded {
    count: usize,
    server: Server,
    callers: Callers,
    shape: Shape,
    start: Duration,
    resident: u64,
    file: u64,
    cpu: Vec<f64>,
    alone: Vec<f64>,
    latency: Histogram<u64>,
}

pub(super) fn measure(plan: &Plan) -> anyhow::Result<Vec<Section>> {
    let (mut all, mut skipped) = (Vec::new(), Vec::new());
    for (index, count) in COUNTS.into_iter().enumerate() {
        let count = if count > 1000 { plan.scaled(count) } else { count };
        eprintln!("making {count} clients");
        // That so many cannot be held is a finding, and the rest is measured.
        match Crowded::start(plan, &format!("clients-{index}"), count) {
            Ok(crowded) => all.push(crowded),
            Err(error) => skipped.push(format!("SKIPPED {count} clients: {error:#}")),
        }
    }
    let order: Vec<usize> = (0..all.len()).collect();
    plan.rounds(&order, |_, index| all.get_mut(index).context("no such server")?.run(plan.slice))?;
    let mut section = Section::new(
        "Clients in the store; GetFederationToken (TC3) by a thousand of them in turn (by all where there are fewer)",
        [
            "clients",
            "start to first answer ms",
            "resident MB",
            "bytes each, beyond ten",
            "file MB",
            "CPU µs",
            "CPU over ten clients",
            "p50 ms, one caller",
        ],
    );
    let (few, least) = all.first().map(|first| (first.cpu.clone(), first.resident)).unwrap_or_default();
    for crowded in &all {
        let each = number(crowded.resident.saturating_sub(least) * 1024) / number(crowded.count as u64);
        section.row([
            crowded.count.to_string(),
            format!("{:.0}", crowded.start.as_secs_f64() * 1e3),
            format!("{:.0}", number(crowded.resident) / 1024.0),
            format!("{each:.0}"),
            format!("{:.1}", number(crowded.file) / 1e6),
            middle(&crowded.cpu),
            over(&crowded.cpu, &few),
            middle(&crowded.alone),
        ]);
    }
    let rounds = all
        .iter()
        .map(|crowded| json!({"clients": crowded.count, "cpu_us": crowded.cpu, "p50_ms": crowded.alone}));
    section.notes = skipped;
    section.rounds = rounds.collect();
    Ok(vec![section])
}

impl Crowded {
    fn start(plan: &Plan, name: &str, count: usize) -> anyhow::Result<Self> {
        let site = Site::prepare(plan, name, sqlite(&plan.folder.join(name))?)?;
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let asking = runtime.block_on(fill(&site, count))?;
        let begin = clock::now();
        let server = site.serve()?;
        let mut callers = Callers::new(server.address, asking);
        callers.wake(server.address)?;
        let start = begin.elapsed();
        let shape = callers.learn(server.address)?;
        sleep(REST);
        let resident = server.resident()?;
        let file = fs::metadata(site.folder.join("daypass.db"))?.len();
        let (cpu, alone, latency) = (Vec::new(), Vec::new(), histogram()?);
        Ok(Self { count, server, callers, shape, start, resident, file, cpu, alone, latency })
    }

    fn run(&mut self, length: Duration) -> anyhow::Result<()> {
        let slice = self.slice(CONNECTIONS, length)?;
        self.cpu.push(micros(slice.used.time) / number(slice.answers));
        self.latency.add(&slice.latency)?;
        let alone = self.slice(1, length / 2)?;
        self.alone.push(number(alone.latency.value_at_quantile(0.5)) / 1e6);
        Ok(())
    }

    fn slice(&mut self, connections: usize, length: Duration) -> anyhow::Result<crate::loader::Closed> {
        let count = GUESS * usize::try_from(length.as_millis())? / 1000 + 4 * connections;
        let mut requests = self.callers.requests(count);
        let mut loader = Loader::connect(self.server.address, connections)?;
        let server = &self.server;
        let slice = loader.closed(&|| server.cpu(), &mut requests, &self.shape, connections, length)?;
        ensure!(
            slice.faults.count == 0,
            "{}",
            slice.faults.first.as_deref().unwrap_or("a request went wrong")
        );
        Ok(slice)
    }
}

/// Adds clients like the one that is there until there are so many. Gives those that ask.
async fn fill(site: &Site, count: usize) -> anyhow::Result<Vec<Pair>> {
    let (store, ring) = site.open().await?;
    let client = store.clients().await?.pop().context("no client")?;
    let key = store.keys().await?.pop().context("no key")?;
    let mut asking = vec![site.client.clone()];
    let step = (count / ASKING).max(1);
    for first in (1..count).step_by(BATCH) {
        let mut changes = Vec::new();
        for number in first..count.min(first + BATCH) {
            let (client, key, pair) = copy(&ring, &client, &key, number)?;
            changes.push(Change::PutClient(client));
            changes.push(Change::PutKey(key));
            if number % step == 0 {
                asking.push(pair);
            }
        }
        change(&*store, changes).await?;
    }
    store.close().await?;
    Ok(asking)
}

/// Another client with a key of its own.
fn copy(ring: &Ring, client: &Client, key: &Key, number: usize) -> anyhow::Result<(Client, Key, Pair)> {
    let guid = Uuid::from_u128(rand::random());
    let id = format!("AKID{number:032}");
    let secret = URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>());
    let sealed = seal_material(ring, &id, secret.as_bytes(), rand::random())?;
    let object = Uuid::from_u128(rand::random());
    let client = Client { guid, object, name: format!("bench-{number}"), ..client.clone() };
    let key = Key { id: id.clone(), client: guid, material: Material::Sealed(sealed), ..key.clone() };
    Ok((client, key, Pair { id, secret }))
}

async fn change(store: &dyn Store, changes: Vec<Change>) -> anyhow::Result<()> {
    let now = clock::wall();
    let record =
        Record::change(uuid_v7(now, rand::random()), now, Some("demo".into()), "bench.clients", "some");
    Ok(store.change(changes, record).await?)
}
