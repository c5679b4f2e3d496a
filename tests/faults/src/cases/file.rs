//! The database file is taken away from under the program.

use crate::case::{Case, Means, Outcome};
use anyhow::{Context as _, ensure};
use daypass_faults::ask::{Asker, Dialect};
use daypass_faults::installation::{CHEAP, Installation};
use daypass_faults::ledger::Ledger;
use daypass_faults::load::{DEADLINE, Load};
use daypass_faults::node::Node;
use daypass_faults::time;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

pub(crate) const CASES: &[Case] = &[
    Case {
        name: "file-deleted",
        fault: "the database and its log are deleted while the service runs",
        must: "soon nothing more is granted, because its record would be gone with the process; the node says that it is not \
               ready; a start beside the seal key makes no new ring in silence over what was there",
        work: deleted,
    },
    Case {
        name: "file-renamed",
        fault: "the database and its log are renamed while the service runs, and put back",
        must: "soon nothing more is granted; with the file back, a new start serves, and nothing acknowledged is lost",
        work: renamed,
    },
    Case {
        name: "file-replaced",
        fault: "the database is replaced by an older copy of itself while the service runs",
        must: "soon nothing more is granted on the file that is not the service's any more",
        work: replaced,
    },
    Case {
        name: "file-damaged",
        fault: "bytes of the database are flipped, zeroed or cut off, at 60 random places of a copy",
        must: "the damage is named at the start, or found by `audit verify`, or is in what nobody reads; no start makes anything \
               up, and no process panics",
        work: damaged,
    },
];

/// How soon a node must notice that its file is gone.
const NOTICED: Duration = Duration::from_secs(3);

/// The three files of a database.
const FILES: [&str; 3] = ["daypass.db", "daypass.db-wal", "daypass.db-shm"];

/// A service under load with records in its store, the clients that ask, and what they were told.
struct Scene {
    _folder: tempfile::TempDir,
    installation: Installation,
    node: Node,
    ledger: Arc<Ledger>,
    load: Load,
}

fn scene(means: &Means) -> anyhow::Result<Scene> {
    let (folder, installation) = means.install()?;
    let asker = Asker::new(installation.address, installation.clients()?).of(CHEAP);
    let node = installation.start()?;
    let ledger = Arc::new(Ledger::default());
    let load = Load::start(installation.address, &asker, &Dialect::ALL, 4, &ledger);
    ensure!(load.goes_on(100, DEADLINE), "nothing is granted to begin with");
    Ok(Scene { _folder: folder, installation, node, ledger, load })
}

/// Waits until nothing more is granted. Gives how many credentials were received meanwhile.
fn granting_ends(load: &Load, noticed: Duration) -> anyhow::Result<u64> {
    let before = load.granted();
    let ends = time::until(noticed, || !load.goes_on(1, Duration::from_secs(1)));
    ends.with_context(|| format!("credentials are still granted {noticed:?} later"))?;
    Ok(load.granted() - before)
}

/// Whether the node soon says that it cannot serve, or has ended.
fn says_so(node: &mut Node) -> bool {
    time::until(DEADLINE, || !node.is_running() || !node.is_ready()).is_some()
}

/// Moves the files of the database from one folder to another.
fn move_files(from: &Path, to: &Path) -> anyhow::Result<()> {
    for name in FILES {
        let (from, to) = (from.join(name), to.join(name));
        if from.exists() {
            std::fs::rename(&from, &to).with_context(|| format!("cannot move `{}`", from.display()))?;
        }
    }
    Ok(())
}

fn deleted(means: &Means) -> anyhow::Result<Outcome> {
    let Scene { installation, mut node, load, .. } = scene(means)?;
    for name in FILES {
        let _ = std::fs::remove_file(installation.data().join(name));
    }
    let more = granting_ends(&load, means.room(NOTICED));
    load.stop();
    let more = more?;
    ensure!(says_so(&mut node), "the node says that it is ready without its store");
    ensure!(!installation.database().exists(), "the node has made another store in its place");
    Ok(Outcome::Held(format!("{more} credentials after the deletion, then none")))
}

fn renamed(means: &Means) -> anyhow::Result<Outcome> {
    let Scene { _folder: folder, installation, mut node, ledger, load } = scene(means)?;
    let aside = folder.path().join("aside");
    std::fs::create_dir(&aside)?;
    move_files(installation.data(), &aside)?;
    let more = granting_ends(&load, means.room(NOTICED))?;
    ensure!(says_so(&mut node), "the node says that it is ready without its store");
    node.kill()?;
    move_files(&aside, installation.data())?;
    let node = installation.start()?;
    let goes_on = load.goes_on(20, DEADLINE);
    load.stop();
    let sum = ledger.settle(&installation)?;
    node.stop()?;
    ensure!(goes_on, "nothing is granted after the file is back");
    Ok(Outcome::Held(format!(
        "{more} credentials before it was noticed; {} in all, all there",
        sum.credentials
    )))
}

fn replaced(means: &Means) -> anyhow::Result<Outcome> {
    let Scene { _folder: folder, installation, mut node, load, .. } = scene(means)?;
    let copy = folder.path().join("copy");
    std::fs::create_dir(&copy)?;
    // As a careless restore does: the files are copied while the service runs, and later moved over those that it has open.
    for name in FILES {
        std::fs::copy(installation.data().join(name), copy.join(name))?;
    }
    ensure!(load.goes_on(50, DEADLINE), "nothing is granted after the copy");
    move_files(&copy, installation.data())?;
    let more = granting_ends(&load, means.room(NOTICED));
    load.stop();
    let more = more?;
    ensure!(says_so(&mut node), "the node says that it is ready on a store that is not its own");
    Ok(Outcome::Held(format!("{more} credentials after that, then none")))
}

fn damaged(means: &Means) -> anyhow::Result<Outcome> {
    use rand::RngExt as _;
    let Scene { _folder: folder, installation, node, ledger, load } = scene(means)?;
    load.goes_on(400, DEADLINE);
    load.stop();
    node.stop()?;
    ledger.settle(&installation)?;
    let good = std::fs::read(installation.database())?;
    let (mut chance, rounds) = (means.chance(), means.times(60));
    let (mut at_start, mut by_audit, mut harmless) = (0, 0, 0);
    for round in 0..rounds {
        let mut bytes = good.clone();
        let at = chance.random_range(0..bytes.len());
        match round % 3 {
            0 => {
                bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1 << chance.random_range(0..8_u8));
            }
            1 => bytes.iter_mut().skip(at / 4096 * 4096).take(4096).for_each(|byte| *byte = 0),
            _ => bytes.truncate(at),
        }
        for name in FILES {
            let _ = std::fs::remove_file(installation.data().join(name));
        }
        std::fs::write(installation.database(), &bytes)?;
        let log = folder.path().join(format!("node-{round}.log"));
        let started = Node::start(installation.serve(), installation.address, &log);
        let verified = installation.cli(&["audit", "verify"])?;
        let said = std::fs::read_to_string(&log)? + &String::from_utf8_lossy(&verified.stderr);
        ensure!(!said.contains("panicked"), "round {round}: a process panicked: {said}");
        match (started, verified.status.success()) {
            (Err(_), _) => {
                ensure!(!said.trim().is_empty(), "round {round}: the start fails and says nothing");
                at_start += 1;
            }
            (Ok(node), whole) => {
                node.kill()?;
                by_audit += u32::from(!whole);
                harmless += u32::from(whole);
            }
        }
    }
    ensure!(at_start + by_audit > 0, "no damage was found at all");
    Ok(Outcome::Held(format!(
        "{rounds} damages: {at_start} named at the start, {by_audit} by the audit, {harmless} harmless"
    )))
}
