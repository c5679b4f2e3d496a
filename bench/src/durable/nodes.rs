//! One node and two on one PostgreSQL, and one on a file: the same callers, the same number of connections in all.

use super::place::{Postgres, sqlite};
use super::site::{Callers, Site};
use super::{Plan, Section, middle, over, spread};
use crate::loader::{Closed, Loader, histogram};
use crate::process::Server;
use crate::response::Shape;
use crate::statistics::{micros, number};
use anyhow::{Context as _, ensure};
use hdrhistogram::Histogram;
use serde_json::json;
use std::time::Duration;

/// Connections, shared evenly between the nodes.
const CONNECTIONS: usize = 128;
/// What a node is taken to manage before it was measured.
const GUESS: usize = 8_000;

/// A node with what asks it.
struct Node {
    server: Server,
    loader: Loader,
    callers: Callers,
    shape: Shape,
    rate: usize,
}

impl Node {
    fn start(site: &Site) -> anyhow::Result<Self> {
        let server = site.serve()?;
        let mut callers = Callers::new(server.address, vec![site.client.clone()]);
        let shape = callers.learn(server.address)?;
        let loader = Loader::connect(server.address, 0)?;
        Ok(Self { server, loader, callers, shape, rate: GUESS })
    }

    fn ask(&mut self, connections: usize, length: Duration) -> anyhow::Result<Closed> {
        let wanted = self.rate + self.rate / 2;
        let count = wanted * usize::try_from(length.as_millis())? / 1000 + 4 * connections;
        let mut requests = self.callers.requests(count);
        // Ours are closed after thirty seconds of rest.
        self.loader = Loader::connect(self.server.address, connections)?;
        let server = &self.server;
        let slice = self.loader.closed(&|| server.cpu(), &mut requests, &self.shape, connections, length)?;
        ensure!(
            slice.faults.count == 0,
            "{}",
            slice.faults.first.as_deref().unwrap_or("a request went wrong")
        );
        self.rate =
            usize::try_from(u128::from(slice.answers) * 1_000_000 / slice.elapsed.as_micros().max(1))?;
        Ok(slice)
    }
}

/// Nodes on one store.
struct Setup {
    name: &'static str,
    nodes: Vec<Node>,
    per_second: Vec<f64>,
    cpu: Vec<f64>,
    latency: Histogram<u64>,
}

impl Setup {
    fn start(name: &'static str, site: &Site, nodes: usize) -> anyhow::Result<Self> {
        let nodes = (0..nodes).map(|_| Node::start(site)).collect::<anyhow::Result<_>>()?;
        Ok(Self { name, nodes, per_second: Vec::new(), cpu: Vec::new(), latency: histogram()? })
    }

    /// All nodes at once, each asked by a thread of its own.
    fn run(&mut self, length: Duration) -> anyhow::Result<()> {
        let connections = CONNECTIONS / self.nodes.len().max(1);
        let slices: Vec<anyhow::Result<Closed>> = std::thread::scope(|scope| {
            let asked = self.nodes.iter_mut().map(|node| scope.spawn(move || node.ask(connections, length)));
            let asked: Vec<_> = asked.collect();
            let ended = asked.into_iter().map(|thread| thread.join().ok().context("a loader failed")?);
            ended.collect()
        });
        let (mut rate, mut used, mut answers) = (0.0, Duration::ZERO, 0);
        for slice in slices {
            let slice = slice.with_context(|| self.name)?;
            rate += number(slice.answers) / slice.elapsed.as_secs_f64();
            used += slice.used.time;
            answers += slice.answers;
            self.latency.add(&slice.latency)?;
        }
        self.per_second.push(rate);
        self.cpu.push(micros(used) / number(answers));
        Ok(())
    }

    fn quantile(&self, quantile: f64) -> String {
        format!("{:.1}", number(self.latency.value_at_quantile(quantile)) / 1e6)
    }
}

pub(super) fn measure(plan: &Plan, postgres: Option<&Postgres>) -> anyhow::Result<Vec<Section>> {
    let file = Site::prepare(plan, "one-file", sqlite(&plan.folder.join("one-file"))?)?;
    let mut setups = vec![Setup::start("one node, SQLite", &file, 1)?];
    if let Some(postgres) = postgres {
        let one = Site::prepare(plan, "one-node", postgres.database().url())?;
        let two = Site::prepare(plan, "two-nodes", postgres.database().url())?;
        setups.push(Setup::start("one node, PostgreSQL", &one, 1)?);
        setups.push(Setup::start("two nodes, PostgreSQL", &two, 2)?);
    }
    let order: Vec<usize> = (0..setups.len()).collect();
    plan.rounds(&order, |_, index| setups.get_mut(index).context("no such setup")?.run(plan.slice))?;
    let mut section = Section::new(
        "GetFederationToken (TC3), each recorded durably before its answer, over 128 connections in all",
        ["what", "answers/s", "over one on PostgreSQL", "CPU of the nodes µs", "p50 ms", "p99 ms"],
    );
    let one = setups.get(1).map(|setup| setup.per_second.clone()).unwrap_or_default();
    for setup in &setups {
        let (p50, p99) = (setup.quantile(0.5), setup.quantile(0.99));
        let ratio = over(&setup.per_second, &one);
        section.row([setup.name.to_owned(), spread(&setup.per_second), ratio, middle(&setup.cpu), p50, p99]);
    }
    section.notes.push(
        "On a machine with as many cores as processes here this would say more: nodes, PostgreSQL and what asks them share the \
         cores there are, so a second node can only take what the first one leaves."
            .to_owned(),
    );
    let rounds = setups
        .iter()
        .map(|setup| json!({"what": setup.name, "per_second": setup.per_second, "cpu_us": setup.cpu}));
    section.rounds = rounds.collect();
    Ok(vec![section])
}
