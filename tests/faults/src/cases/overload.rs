//! More is asked than can be answered.

use crate::case::{Case, Means, Outcome};
use anyhow::ensure;
use daypass_faults::ask::{Asker, Dialect};
use daypass_faults::flood::{Offer, flood};
use daypass_faults::installation::{DEAR, Installation};
use daypass_faults::node::Node;
use daypass_faults::time;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

pub(crate) const CASES: &[Case] = &[Case {
    name: "overload",
    fault: "ten times as many tokens are asked for as one core can sign, from two thousand connections, by the clock",
    must: "as many are granted as at least 80 % of the peak, probes are answered within 2 s, an operator's commands work, memory \
           is bounded, and every token has its record",
    work: overload,
}];

/// How many times the capacity is offered.
const TIMES: f64 = 10.0;
/// What must be left of the peak.
const LEFT: f64 = 0.8;

fn overload(means: &Means) -> anyhow::Result<Outcome> {
    let Some((ours, theirs)) = cores()? else {
        return Ok(Outcome::Skipped("there are no two cores to keep the server and the flood apart".into()));
    };
    let (_folder, installation) = means.install()?;
    let clients = installation.clients()?;
    let asker = Asker::new(installation.address, clients).of(DEAR);
    let node = start_on(&installation, theirs)?;
    pin(ours)?;
    let request = asker.request(Dialect::Entra);
    let span = Duration::from_secs(if means.quick { 3 } else { 8 });
    let offer = Offer {
        address: node.address,
        request: &request,
        sign: b"\"access_token\"",
        rate: None,
        connections: 64,
        span: Duration::from_secs(3),
    };
    flood(Offer { span: Duration::from_secs(1), ..offer })?;
    let peak = flood(offer)?.goodput().max(flood(Offer { connections: 16, ..offer })?.goodput());
    let before = node.resident()?;
    let stop = AtomicBool::new(false);
    let (taken, probes) = std::thread::scope(|scope| {
        let probes = scope.spawn(|| probe(&node, &installation, &stop));
        let taken = flood(Offer { rate: Some(peak * TIMES), connections: 2000, span, ..offer });
        stop.store(true, Ordering::Relaxed);
        (taken, probes.join().unwrap_or_default())
    });
    let taken = taken?;
    let during = node.resident()?;
    let after = flood(Offer { span: Duration::from_secs(2), ..offer })?;
    installation.done(&["audit", "verify"])?;
    node.stop()?;
    let (goodput, figures) = (taken.goodput() / peak, format!("{taken:?}"));
    ensure!(goodput >= LEFT, "goodput is {:.0} % of a peak of {peak:.0}/s: {figures}", goodput * 100.0);
    ensure!(probes.asked > 0 && probes.slowest < Duration::from_secs(2), "probes: {probes:?}");
    ensure!(probes.failed == 0, "probes: {probes:?}");
    ensure!(during < before + 128 * 1024, "memory grew from {before} to {during} kB");
    ensure!(after.goodput() >= peak * LEFT, "afterwards {:.0}/s of {peak:.0}/s", after.goodput());
    Ok(Outcome::Held(format!(
        "peak {peak:.0}/s; offered {:.0}/s ({:.0} % could be sent): goodput {:.0} %, {} refused; slowest probe {} ms, command {} \
         ms; {} MB",
        taken.offered(),
        percent(taken.sent, taken.sent + taken.held_back),
        goodput * 100.0,
        taken.refused,
        probes.slowest.as_millis(),
        probes.command.as_millis(),
        during / 1024
    )))
}

#[expect(clippy::cast_precision_loss, reason = "counts of one run are far below 2^52")]
fn percent(part: u64, whole: u64) -> f64 {
    100.0 * part as f64 / whole.max(1) as f64
}

/// How probes and an operator fared.
#[derive(Debug, Default)]
struct Probes {
    asked: u32,
    failed: u32,
    slowest: Duration,
    command: Duration,
}

fn probe(node: &Node, installation: &Installation, stop: &AtomicBool) -> Probes {
    let mut probes = Probes::default();
    time::pause(Duration::from_secs(1));
    while !stop.load(Ordering::Relaxed) {
        for answered in [Node::is_live, Node::is_ready] {
            let begin = time::now();
            probes.asked += 1;
            probes.failed += u32::from(!answered(node));
            probes.slowest = probes.slowest.max(begin.elapsed());
        }
        let begin = time::now();
        probes.failed += u32::from(installation.done(&["client", "list"]).is_err());
        probes.command = probes.command.max(begin.elapsed());
        time::pause(Duration::from_millis(200));
    }
    probes
}

/// A core for the flood and one for the server.
fn cores() -> anyhow::Result<Option<(usize, usize)>> {
    let allowed = sched_getaffinity(None)?;
    let mut cores = (0..CpuSet::MAX_CPU).filter(|&core| allowed.is_set(core));
    Ok(cores.next().zip(cores.next()))
}

fn pin(core: usize) -> anyhow::Result<()> {
    let mut set = CpuSet::new();
    set.set(core);
    Ok(sched_setaffinity(None, &set)?)
}

/// Starts the node on a core of its own.
fn start_on(installation: &Installation, core: usize) -> anyhow::Result<Node> {
    let inner = installation.serve();
    let mut command = Command::new("taskset");
    command.args(["-c", &core.to_string()]).arg(inner.get_program()).args(inner.get_args());
    Node::start(command, installation.address, &installation.folder().join("node.log"))
}
