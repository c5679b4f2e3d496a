//! The disk is full, fails, or takes its time.

use crate::case::{Case, Means, Outcome, SmallDisk};
use anyhow::{Context as _, ensure};
use daypass_faults::ask::{Asker, Dialect};
use daypass_faults::installation::{CHEAP, Installation};
use daypass_faults::ledger::Ledger;
use daypass_faults::load::{DEADLINE, Load};
use daypass_faults::node::Node;
use daypass_faults::shim::{EIO, Knob, Shim};
use daypass_faults::time;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

pub(crate) const CASES: &[Case] = &[
    Case {
        name: "disk-full",
        fault: "another program fills the file system (a small tmpfs) that the database is on, and later makes room",
        must: "requests are refused in their dialects' own envelopes within their deadline; an operator can still freeze, take \
               back and export; health answers; with room again the service returns by itself; nothing acknowledged is lost",
        work: full,
    },
    Case {
        name: "fsync-fails",
        fault: "fsync says EIO from a random one on",
        must: "nothing is granted after a failed fsync until the store was opened anew and found whole; nothing acknowledged \
               is lost",
        work: sync_fails,
    },
    Case {
        name: "fsync-slow",
        fault: "every fsync takes 5 s",
        must: "requests are refused when their record's deadline is over, and do not pile up; health answers; afterwards the \
               service returns by itself",
        work: sync_slow,
    },
];

/// How long the service may take to return by itself.
const RETURNS: Duration = Duration::from_secs(10);
/// The deadline of a record, and as much again for a machine that is busy with this suite.
const ANSWERS: Duration = Duration::from_secs(4);

/// How long a slow disk takes.
const SLOW: Duration = Duration::from_secs(5);

/// How large the small disk is, and how much of it is left when it is full, in mebibytes.
const SIZE: u32 = 64;

fn full(means: &Means) -> anyhow::Result<Outcome> {
    let folder = tempfile::tempdir()?;
    let Some(disk) = SmallDisk::mount(&folder.path().join("data"), SIZE)? else {
        return Ok(Outcome::Skipped("only root may mount a file system".into()));
    };
    let installation = Installation::new(&means.daypass, folder.path(), disk.path())?;
    let asker = Asker::new(installation.address, installation.clients()?).of(CHEAP);
    let node = installation.start()?;
    let ledger = Arc::new(Ledger::default());
    let load = Load::start(installation.address, &asker, &Dialect::ALL, 4, &ledger);
    ensure!(load.goes_on(200, DEADLINE), "nothing is granted to begin with");
    let filler = disk.path().join("filler");
    fill(&filler)?;
    // What was under way ends, and then nothing more is granted.
    let quiet = time::until(means.room(RETURNS), || !load.goes_on(1, Duration::from_millis(500)));
    let refused = ledger.sum().refused;
    let live = node.is_live();
    let frozen = installation.cli(&["freeze", "--tenant", "demo", "--reason", "the disk is full"])?;
    let revoked = installation.cli(&["revoke", "--client", "asker", "--reason", "the disk is full"])?;
    let exported = installation.cli(&["audit", "tail", "-n", "5"])?;
    std::fs::remove_file(&filler)?;
    let thawed = installation.cli(&["thaw", "--tenant", "demo", "--reason", "there is room"])?;
    let begin = time::now();
    let returns = load.goes_on(50, means.room(RETURNS));
    let took = begin.elapsed();
    load.stop();
    let sum = ledger.settle(&installation)?;
    node.stop()?;
    quiet.context("credentials are granted although the disk is full")?;
    ensure!(live, "/livez does not answer while the disk is full");
    for (what, output) in
        [("freeze", frozen), ("revoke", revoked), ("read the records", exported), ("thaw", thawed)]
    {
        ensure!(
            output.status.success(),
            "an operator cannot {what}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    ensure!(!refused.is_empty(), "nobody was told that nothing is granted");
    ensure!(returns, "with room again, nothing is granted");
    ensure!(sum.slowest < means.room(ANSWERS), "an answer took {:?}", sum.slowest);
    Ok(Outcome::Held(format!(
        "refused {refused:?}; froze and took back on the full disk; back after {} ms; {} credentials, all there",
        took.as_millis(),
        sum.credentials
    )))
}

/// Writes until nothing more fits.
fn fill(path: &Path) -> anyhow::Result<()> {
    let mut file = File::create(path)?;
    let block = vec![0; 64 * 1024];
    while file.write_all(&block).is_ok() {}
    Ok(())
}

fn sync_fails(means: &Means) -> anyhow::Result<Outcome> {
    let (folder, installation) = means.install()?;
    let shim = Shim::make(folder.path(), "daypass.db")?;
    let asker = Asker::new(installation.address, installation.clients()?).of(CHEAP);
    let log = folder.path().join("node.log");
    let ledger = Arc::new(Ledger::default());
    let load = Load::start(installation.address, &asker, &Dialect::ALL, 4, &ledger);
    let rounds = means.times(20);
    for round in 0..rounds {
        let mut command = installation.serve();
        shim.attach(&mut command);
        let mut node = Node::start(command, installation.address, &log)?;
        ensure!(load.goes_on(20, DEADLINE), "round {round}: nothing is granted to begin with");
        if !shim.works()? {
            load.stop();
            return Ok(Outcome::Skipped(
                "the program does not notice the shim (is it linked statically?)".into(),
            ));
        }
        shim.set(Knob::SyncLeft, i64::from(round % 7))?;
        shim.set(Knob::SyncErrno, EIO)?;
        ensure!(
            time::until(means.room(RETURNS), || !load.goes_on(1, Duration::from_millis(300))).is_some(),
            "round {round}: credentials are granted although no fsync succeeds"
        );
        shim.set(Knob::SyncErrno, 0)?;
        // Either it has ended, so that whoever watches it starts it anew, or it opens its store anew by itself.
        if node.is_running() {
            ensure!(
                load.goes_on(5, means.room(RETURNS)),
                "round {round}: the service does not return: {}",
                node.last_words()
            );
        }
        node.kill()?;
    }
    let node = installation.start()?;
    ensure!(load.goes_on(20, DEADLINE), "nothing is granted at the end");
    load.stop();
    let sum = ledger.settle(&installation)?;
    node.stop()?;
    Ok(Outcome::Held(format!(
        "{rounds} disks failed, {} credentials acknowledged, all there",
        sum.credentials
    )))
}

fn sync_slow(means: &Means) -> anyhow::Result<Outcome> {
    let (folder, installation) = means.install()?;
    let shim = Shim::make(folder.path(), "daypass.db")?;
    let asker = Asker::new(installation.address, installation.clients()?).of(CHEAP);
    let mut command = installation.serve();
    shim.attach(&mut command);
    let node = Node::start(command, installation.address, &folder.path().join("node.log"))?;
    let ledger = Arc::new(Ledger::default());
    let load = Load::start(installation.address, &asker, &Dialect::ALL, 16, &ledger);
    ensure!(load.goes_on(50, DEADLINE), "nothing is granted to begin with");
    if !shim.works()? {
        load.stop();
        return Ok(Outcome::Skipped(
            "the program does not notice the shim (is it linked statically?)".into(),
        ));
    }
    let before = node.resident()?;
    // Beyond what is asserted of the answers, so that none that waited for the disk passes.
    shim.set(Knob::SyncMillis, i64::try_from(means.room(SLOW).as_millis())?)?;
    time::pause(Duration::from_secs(9));
    let (live, refused, after) = (node.is_live(), ledger.sum().refused, node.resident()?);
    shim.set(Knob::SyncMillis, 0)?;
    let returns = load.goes_on(50, means.room(RETURNS));
    load.stop();
    let sum = ledger.settle(&installation)?;
    node.stop()?;
    ensure!(live, "/livez does not answer while the disk is slow");
    ensure!(!refused.is_empty(), "nobody was refused, although no record can be durable in time");
    ensure!(sum.slowest < means.room(ANSWERS), "an answer took {:?}", sum.slowest);
    ensure!(returns, "the service does not return");
    ensure!(after < before + 32 * 1024, "memory grew from {before} to {after} kB");
    Ok(Outcome::Held(format!(
        "refused {refused:?}; slowest answer {} ms; {} credentials, all there",
        sum.slowest.as_millis(),
        sum.credentials
    )))
}
