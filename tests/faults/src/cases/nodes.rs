//! Several nodes on one PostgreSQL: nodes, network and database fail, one by one and at random.

use crate::case::{Case, Means, Outcome};
use anyhow::{Context as _, ensure};
use daypass_faults::ask::{self, Dialect};
use daypass_faults::cluster::Cluster;
use daypass_faults::ledger::Ledger;
use daypass_faults::load::{DEADLINE, Load};
use daypass_faults::postgres::{Server, programs};
use daypass_faults::proxy::Mood;
use daypass_faults::time;
use rand::RngExt as _;
use rustix::process::Signal;
use serde_json::Value;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Within this the service has to be back.
const BACK: Duration = Duration::from_secs(5);
/// Within this what was taken back counts nowhere.
const PROMISE: Duration = Duration::from_secs(2);

pub(crate) const CASES: &[Case] = &[
    Case {
        name: "database-restart",
        fault: "PostgreSQL is ended at once and started, 20 times, under load on three nodes",
        must: "every credential has its record, no answer is late, and the service is back within five seconds of the start",
        work: restart,
    },
    Case {
        name: "database-failover",
        fault: "PostgreSQL is ended for good and a synchronous copy takes its place; then the old one comes back for one node",
        must: "every credential has its record on the copy, the service is back within five seconds, and nothing is granted on \
               the strength of the old one",
        work: failover,
    },
    Case {
        name: "database-commits",
        fault: "the network cuts a node from PostgreSQL behind a COMMIT that it has passed on, 60 times under load",
        must: "whoever was told no has no credential, every chain goes on, and no credential has two records",
        work: commits,
    },
    Case {
        name: "nodes-at-random",
        fault: "of three nodes and their networks, and of the database's sessions, one at a time dies, stands still, is cut off, \
                swallows or hears nothing, 40 times at random under load",
        must: "every credential has its record, the others serve meanwhile, and everybody serves within five seconds after it",
        work: random,
    },
    Case {
        name: "revocation",
        fault: "credentials are revoked while the sessions by which nodes hear of it are ended, and while nodes die",
        must: "two seconds after the operator was told, no node takes them",
        work: revocation,
    },
    Case {
        name: "upgrade-postgres",
        fault: "two nodes of an older version on PostgreSQL are replaced one by one by this version, and one goes back",
        must: "both versions serve side by side, no request is refused, and every credential has its record",
        work: upgrade,
    },
];

/// So many nodes on a database server of their own; none where there is no PostgreSQL.
fn cluster(daypass: &Path, nodes: usize) -> anyhow::Result<Option<Cluster>> {
    let Some(programs) = programs() else { return Ok(None) };
    let server = Server::make(programs, &[])?;
    Ok(Some(Cluster::start(daypass, server, nodes, str::to_owned)?))
}

fn none() -> Outcome {
    Outcome::Skipped("there is no PostgreSQL (Debian's `postgresql`, or DAYPASS_POSTGRES)".into())
}

/// Waits until credentials are given again; how long it took.
fn served(means: &Means, load: &Load, after: &str) -> anyhow::Result<Duration> {
    let (begin, back) = (time::now(), means.room(BACK));
    ensure!(load.goes_on(30, back), "nothing is granted within {back:?} after {after}");
    Ok(begin.elapsed())
}

/// What the clients saw agrees with the records.
fn settled(cluster: &Cluster, load: Load, ledger: &Ledger, worst: Duration) -> anyhow::Result<Outcome> {
    load.stop();
    let sum = ledger.settle(&cluster.installation)?;
    ensure!(sum.slowest < DEADLINE, "an answer took {:?}", sum.slowest);
    Ok(Outcome::Held(format!(
        "{} credentials, all recorded once; {} refused, {} cut off; slowest answer {} ms; back after {} ms at worst",
        sum.credentials,
        sum.refused.values().sum::<u64>(),
        sum.cut_off,
        sum.slowest.as_millis(),
        worst.as_millis()
    )))
}

fn restart(means: &Means) -> anyhow::Result<Outcome> {
    let Some(mut cluster) = cluster(&means.daypass, 3)? else { return Ok(none()) };
    let (load, ledger) = cluster.load(8);
    let mut worst = served(means, &load, "the start")?;
    for _ in 0..means.times(20) {
        cluster.server.down();
        cluster.server.up()?;
        worst = worst.max(served(means, &load, "a restart of the database")?);
        time::pause(Duration::from_millis(500));
    }
    settled(&cluster, load, &ledger, worst)
}

fn failover(means: &Means) -> anyhow::Result<Outcome> {
    let Some(mut cluster) = cluster(&means.daypass, 3)? else { return Ok(none()) };
    let copy = cluster.server.standby()?;
    let (load, ledger) = cluster.load(8);
    served(means, &load, "the start")?;
    cluster.server.down();
    copy.promote()?;
    cluster.move_database(copy.address());
    let back = served(means, &load, "the copy took its place")?;
    served(means, &load, "that")?;

    // The old one comes back as if nothing had been, and one node is led to it.
    let mut old = std::mem::replace(&mut cluster.server, copy);
    cluster.installation.repoint(cluster.server.url(&cluster.database))?;
    old.up()?;
    old.set("synchronous_standby_names", "")?;
    let wall = cluster.wall(0)?;
    wall.aim(&[old.address()]);
    wall.cut();
    let node = cluster.addresses().first().copied().context("no node")?;
    let granted = |_| {
        time::pause(Duration::from_millis(50));
        let answer = ask::once(node, &cluster.asker().request(Dialect::Entra), DEADLINE)?;
        Ok(matches!(ask::read(Dialect::Entra, &answer)?, ask::Got::Credential(_)))
    };
    let granted: Vec<bool> = (0..40).map(granted).collect::<anyhow::Result<_>>()?;
    // What the copy had not answered yet when the network was cut may still be granted by it.
    ensure!(!granted.iter().skip(2).any(|granted| *granted), "granted on the strength of the old server");
    wall.aim(&[cluster.server.address()]);
    wall.cut();
    served(means, &load, "the old server was left alone")?;
    settled(&cluster, load, &ledger, back)
}

fn commits(means: &Means) -> anyhow::Result<Outcome> {
    let Some(cluster) = cluster(&means.daypass, 3)? else { return Ok(none()) };
    let (load, ledger) = cluster.load(8);
    let mut worst = served(means, &load, "the start")?;
    for round in 0..means.times(60) {
        let wall = cluster.wall(usize::try_from(round)? % cluster.count())?;
        wall.cut_after(b"COMMIT");
        time::until(means.room(BACK), || wall.has_cut()).context("nothing was committed")?;
        worst = worst.max(served(means, &load, "a commit whose answer was lost")?);
    }
    settled(&cluster, load, &ledger, worst)
}

fn random(means: &Means) -> anyhow::Result<Outcome> {
    let Some(mut cluster) = cluster(&means.daypass, 3)? else { return Ok(none()) };
    let mut chance = means.chance();
    let (load, ledger) = cluster.load(8);
    let mut worst = served(means, &load, "the start")?;
    for _ in 0..means.times(40) {
        let number = chance.random_range(0..cluster.count());
        let lasts = Duration::from_millis(chance.random_range(50..3_500));
        // A balancer that looks after its nodes; what they hold does not hang on it.
        let own = *cluster.addresses().get(number).context("no node")?;
        let others: Vec<_> = cluster.addresses().into_iter().filter(|node| *node != own).collect();
        let what = chance.random_range(0..6);
        match what {
            0 => {
                cluster.kill(number)?;
                worst = worst.max(served(means, &load, "a node died")?);
                cluster.begin(number)?;
            }
            1 => {
                cluster.node(number)?.signal(Signal::STOP)?;
                cluster.balancer.aim(&others);
                time::pause(lasts);
                cluster.node(number)?.signal(Signal::CONT)?;
            }
            2..=4 => {
                let mood = [Mood::Silent, Mood::HalfOpen, Mood::Cut];
                cluster.wall(number)?.be(mood.get(what - 2).copied().unwrap_or(Mood::Cut));
                // It says that it is not ready; a balancer that looks leaves it out.
                cluster.balancer.aim(&others);
                cluster.balancer.cut();
                worst = worst.max(served(means, &load, "a node lost the database")?);
                time::pause(lasts);
                cluster.wall(number)?.be(Mood::Well);
            }
            _ => {
                cluster.server.signal_sessions("STOP")?;
                time::pause(lasts);
                cluster.server.signal("CONT")?;
            }
        }
        cluster.balancer.aim(&cluster.addresses());
        let granted = || {
            let answer = ask::once(own, &cluster.asker().request(Dialect::Entra), DEADLINE);
            answer
                .is_ok_and(|answer| matches!(ask::read(Dialect::Entra, &answer), Ok(ask::Got::Credential(_))))
        };
        let back = time::until(means.room(BACK), granted)
            .context("the node that was hurt does not serve in time")?;
        worst = worst.max(back);
    }
    settled(&cluster, load, &ledger, worst)
}

fn revocation(means: &Means) -> anyhow::Result<Outcome> {
    let Some(mut cluster) = cluster(&means.daypass, 3)? else { return Ok(none()) };
    let mut worst = Duration::ZERO;
    let rounds = means.times(30);
    for round in 0..rounds {
        let asker = cluster.asker();
        let nodes = cluster.addresses();
        let made_by = *nodes.get(usize::try_from(round)? % nodes.len()).context("no node")?;
        let answer = ask::once(made_by, &asker.request(Dialect::Tencent), DEADLINE)?;
        let answer: Value = serde_json::from_str(&answer.body)?;
        let part = |name: &str| {
            let found = answer.pointer(&format!("/Response/Credentials/{name}"));
            found.and_then(Value::as_str).map(str::to_owned)
        };
        let (id, secret, token) = (part("TmpSecretId"), part("TmpSecretKey"), part("Token"));
        let (id, secret, token) =
            (id.context("no key")?, secret.context("no secret")?, token.context("no token")?);
        let counts = |node: SocketAddr| -> anyhow::Result<bool> {
            let request = asker.tencent("GetCallerIdentity", b"{}", Some((&id, &secret, &token)));
            Ok(!ask::once(node, &request, DEADLINE)?.body.contains("\"Error\""))
        };
        for node in &nodes {
            ensure!(counts(*node)?, "a credential does not count before it is revoked");
        }
        cluster.installation.done(&["revoke", "--credential", &id, "--reason", "a fault"])?;
        let told = time::now();
        if round % 3 == 0 {
            cluster.server.terminate("SELECT changes")?;
        } else if round % 3 == 1 {
            let number = usize::try_from(round)? % nodes.len();
            cluster.kill(number)?;
            cluster.begin(number)?;
        }
        for node in &nodes {
            let mut fallen = false;
            while !fallen && told.elapsed() < means.room(PROMISE) {
                fallen = !counts(*node)?;
            }
            // Starting a process may have taken longer than that; then it has to be so at once.
            fallen = fallen || !counts(*node)?;
            ensure!(fallen, "a revoked credential counts after {:?}", told.elapsed());
        }
        worst = worst.max(told.elapsed());
    }
    Ok(Outcome::Held(format!(
        "{rounds} credentials, fallen everywhere after {} ms at worst",
        worst.as_millis()
    )))
}

fn upgrade(means: &Means) -> anyhow::Result<Outcome> {
    let Some(older) = &means.older else {
        return Ok(Outcome::Skipped("no older version was given (--older)".into()));
    };
    let Some(mut cluster) = cluster(older, 2)? else { return Ok(none()) };
    let (load, ledger): (Load, Arc<Ledger>) = cluster.load(8);
    served(means, &load, "the start of the older version")?;
    for (number, program, now) in [
        (0, &means.daypass, "one node is of this version"),
        (1, &means.daypass, "both nodes are of this version"),
        (0, older, "one node has gone back"),
        (0, &means.daypass, "it has come forward again"),
    ] {
        let left: Vec<_> = cluster.addresses().into_iter().skip(1 - number).take(1).collect();
        cluster.balancer.aim(&left);
        cluster.stop(number)?;
        cluster.seat_program(number, program)?;
        cluster.begin(number).with_context(|| format!("before {now}"))?;
        cluster.balancer.aim(&cluster.addresses());
        served(means, &load, now)?;
    }
    load.stop();
    cluster.installation.take_over(&means.daypass);
    let sum = ledger.settle(&cluster.installation)?;
    ensure!(sum.refused.is_empty(), "requests were refused: {:?}", sum.refused);
    Ok(Outcome::Held(format!(
        "{} credentials by both versions, all there; {} requests cut off",
        sum.credentials, sum.cut_off
    )))
}
