//! The process ends in the middle of something.

use crate::case::{Case, Means, Outcome};
use anyhow::{Context as _, ensure};
use daypass_faults::ask::{Asker, Dialect};
use daypass_faults::installation::{CHEAP, Installation};
use daypass_faults::ledger::Ledger;
use daypass_faults::load::{DEADLINE, Load};
use daypass_faults::node::Node;
use daypass_faults::shim::{Knob, Shim};
use daypass_faults::time;
use rand::RngExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

pub(crate) const CASES: &[Case] = &[
    Case {
        name: "kill",
        fault: "kill -9 at 200 random points while eight clients ask in four dialects and an operator adds clients",
        must: "every credential that a client received has its record, every acknowledged change is there, every chain of \
               records is whole, and the service is ready again within 2 s without anybody's help",
        work: kill,
    },
    Case {
        name: "torn-write",
        fault: "the process ends after half of a write to the database or its log, at 40 different writes",
        must: "the store opens again by itself; nothing acknowledged is lost and nothing is there by half",
        work: torn_write,
    },
];

/// How long a restart may take until the service is ready.
const READY: Duration = Duration::from_secs(2);

fn kill(means: &Means) -> anyhow::Result<Outcome> {
    let (_folder, installation) = means.install()?;
    let asker = Asker::new(installation.address, installation.clients()?).of(CHEAP);
    let (ledger, points) = (Arc::new(Ledger::default()), means.times(200));
    let load = Load::start(installation.address, &asker, &Dialect::ALL, 8, &ledger);
    let stop = AtomicBool::new(false);
    let mut chance = means.chance();
    let mut slowest = Duration::ZERO;
    let killed = std::thread::scope(|scope| {
        scope.spawn(|| operator(&installation, &ledger, &stop));
        let killed = (0..points).try_for_each(|_| {
            let node = installation.start()?;
            slowest = slowest.max(node.started_in);
            time::pause(Duration::from_millis(chance.random_range(5..150)));
            node.kill()
        });
        stop.store(true, Ordering::Relaxed);
        killed
    });
    let node = killed.and_then(|()| installation.start());
    let goes_on = load.goes_on(20, DEADLINE);
    load.stop();
    let sum = ledger.settle(&installation)?;
    node?.stop()?;
    ensure!(goes_on, "nothing is granted after the last start");
    ensure!(slowest < means.room(READY), "a start took {slowest:?}");
    ensure!(sum.credentials > points as usize, "only {} credentials were received", sum.credentials);
    Ok(Outcome::Held(format!(
        "{points} kills, {} credentials and {} changes acknowledged, all there; slowest start {} ms",
        sum.credentials,
        sum.changes,
        slowest.as_millis()
    )))
}

/// Adds clients for as long as the case runs, and writes down those that it was told are there.
fn operator(installation: &Installation, ledger: &Ledger, stop: &AtomicBool) {
    let mut number = 0;
    while !stop.load(Ordering::Relaxed) {
        number += 1;
        let name = format!("op-{number}");
        if installation.done(&["client", "add", &name, "--kind", "client-secret", "--role", "cheap"]).is_ok()
        {
            ledger.client(name);
        }
    }
}

fn torn_write(means: &Means) -> anyhow::Result<Outcome> {
    let (folder, installation) = means.install()?;
    let shim = Shim::make(folder.path(), "daypass.db")?;
    let asker = Asker::new(installation.address, installation.clients()?).of(CHEAP);
    let (ledger, rounds) = (Arc::new(Ledger::default()), means.times(40));
    let load = Load::start(installation.address, &asker, &Dialect::ALL, 4, &ledger);
    let mut chance = means.chance();
    let mut torn = 0;
    let done = (0..rounds).try_for_each(|round| {
        shim.set(Knob::TornLeft, i64::from(round) * 3 + chance.random_range(0..3))?;
        let mut command = installation.serve();
        shim.attach(&mut command);
        let mut node = Node::begin(command, installation.address, &folder.path().join("node.log"))?;
        let status = node.wait(DEADLINE)?.context("no write was torn")?;
        torn += u32::from(status.code() == Some(137));
        shim.set(Knob::TornLeft, -1)
    });
    let node = done.and_then(|()| installation.start());
    let goes_on = load.goes_on(20, DEADLINE);
    load.stop();
    let sum = ledger.settle(&installation)?;
    node?.stop()?;
    if torn == 0 {
        return Ok(Outcome::Skipped(
            "the program does not notice the shim (is it linked statically?)".into(),
        ));
    }
    ensure!(goes_on, "nothing is granted after the last start");
    ensure!(torn == rounds, "of {rounds} writes only {torn} were torn");
    Ok(Outcome::Held(format!("{torn} torn writes, {} credentials acknowledged, all there", sum.credentials)))
}
