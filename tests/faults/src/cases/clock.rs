//! The clock jumps.

use crate::case::{Case, Means, Outcome};
use anyhow::{Context as _, ensure};
use daypass_faults::ask::{Asker, Dialect, Line, once, text_at};
use daypass_faults::installation::{CHEAP, Installation};
use daypass_faults::ledger::Ledger;
use daypass_faults::load::{DEADLINE, Load};
use daypass_faults::node::Node;
use daypass_faults::shim::{Knob, Shim};
use daypass_faults::time;
use rustix::process::Signal;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

pub(crate) const CASES: &[Case] = &[
    Case {
        name: "clock-forward",
        fault: "the clock is set forward by two hours while the service runs, and back again",
        must: "what has run out by the later time counts no more, and does not come to life when the clock goes back, nor after \
               a restart",
        work: forward,
    },
    Case {
        name: "clock-behind",
        fault: "the service is started with a clock that is ten years behind what its store has seen",
        must: "nothing is granted, and the log or the readiness says why; with the right clock the service starts as ever",
        work: behind,
    },
    Case {
        name: "clock-suspended",
        fault: "the machine sleeps for an hour: the process stands still, and when it goes on the clock is an hour later",
        must: "what ran out meanwhile is refused from the first request on, and credentials are granted within 5 s",
        work: suspended,
    },
];

const HOUR: i64 = 3600;

/// A service whose clock can be set.
struct Scene {
    folder: TempDir,
    installation: Installation,
    shim: Shim,
    asker: Asker,
}

/// A temporary credential of Tencent's.
struct Temporary {
    id: String,
    secret: String,
    token: String,
}

impl Scene {
    fn new(means: &Means) -> anyhow::Result<Self> {
        let (folder, installation) = means.install()?;
        let shim = Shim::make(folder.path(), "daypass.db")?;
        let asker = Asker::new(installation.address, installation.clients()?).of(CHEAP);
        Ok(Self { folder, installation, shim, asker })
    }

    fn start(&self) -> anyhow::Result<Node> {
        let mut command = self.installation.serve();
        self.shim.attach(&mut command);
        Node::start(command, self.installation.address, &self.folder.path().join("node.log"))
    }

    /// Sets the clock of the service, and of the clients with it.
    fn set(&mut self, seconds: i64) -> anyhow::Result<()> {
        self.asker.ahead = seconds;
        self.shim.set(Knob::ClockSeconds, seconds)
    }

    fn obtain(&self) -> anyhow::Result<Temporary> {
        let answer = once(self.installation.address, &self.asker.request(Dialect::Tencent), DEADLINE)?;
        let body: Value = serde_json::from_str(&answer.body)?;
        let text = |name: &str| {
            let value = text_at(&body, &format!("/Response/Credentials/{name}"));
            value.with_context(|| format!("no credential: {}", answer.body))
        };
        Ok(Temporary { id: text("TmpSecretId")?, secret: text("TmpSecretKey")?, token: text("Token")? })
    }

    /// Asks who the holder is. Whether the credential counts, and the code where it does not.
    fn counts(&self, held: &Temporary) -> anyhow::Result<Result<(), String>> {
        let key = Some((&*held.id, &*held.secret, &*held.token));
        let request = self.asker.tencent("GetCallerIdentity", b"{}", key);
        let answer = once(self.installation.address, &request, DEADLINE)?;
        let body: Value = serde_json::from_str(&answer.body)?;
        Ok(text_at(&body, "/Response/Error/Code").map_or(Ok(()), Err))
    }
}

fn forward(means: &Means) -> anyhow::Result<Outcome> {
    let mut scene = Scene::new(means)?;
    let node = scene.start()?;
    if !scene.shim.works()? {
        return Ok(Outcome::Skipped(
            "the program does not notice the shim (is it linked statically?)".into(),
        ));
    }
    let held = scene.obtain()?;
    ensure!(scene.counts(&held)?.is_ok(), "a new credential does not count");
    scene.set(2 * HOUR)?;
    // A node that may have slept looks at its store first: something may have been taken back meanwhile.
    time::until(DEADLINE, || node.is_ready()).context("two hours later the node is not ready")?;
    let later = scene.counts(&held)?;
    ensure!(later.is_err(), "a credential of 15 minutes counts after two hours");
    let fresh = scene.obtain().context("two hours later nothing is granted")?;
    ensure!(scene.counts(&fresh)?.is_ok(), "a new credential of the later time does not count");
    // Whatever is kept of the time is kept within a minute.
    time::pause(Duration::from_secs(3));
    scene.set(0)?;
    ensure!(scene.counts(&held)?.is_err(), "a credential that had run out is alive again");
    ensure!(scene.obtain().is_err(), "something is granted by a clock that was set back by two hours");
    node.stop()?;
    // It serves, but says that it is not ready: its clock is behind.
    let mut command = scene.installation.serve();
    scene.shim.attach(&mut command);
    let node = Node::begin(command, scene.installation.address, &scene.folder.path().join("node.log"))?;
    time::until(DEADLINE, || node.is_live()).context("the node does not start")?;
    ensure!(scene.counts(&held)?.is_err(), "a credential that had run out is alive again after a restart");
    ensure!(!node.is_ready(), "the node says that it is ready by a clock that is behind");
    node.kill()?;
    let code = later.err().unwrap_or_default();
    Ok(Outcome::Held(format!("dead at +2 h ({code}), and dead again at +0 h and after a restart")))
}

fn behind(means: &Means) -> anyhow::Result<Outcome> {
    let mut scene = Scene::new(means)?;
    let node = scene.start()?;
    if !scene.shim.works()? {
        return Ok(Outcome::Skipped(
            "the program does not notice the shim (is it linked statically?)".into(),
        ));
    }
    scene.obtain()?;
    node.stop()?;
    scene.set(-10 * 365 * 24 * HOUR)?;
    let mut command = scene.installation.serve();
    scene.shim.attach(&mut command);
    let mut node = Node::begin(command, scene.installation.address, &scene.folder.path().join("behind.log"))?;
    time::until(DEADLINE, || node.log().contains("clock"));
    let granted = node.is_running() && scene.obtain().is_ok();
    let (ready, said) = (node.is_ready(), node.log());
    node.kill()?;
    ensure!(!granted, "a credential is granted by a clock that is ten years behind");
    ensure!(!ready, "the node says that it is ready");
    ensure!(said.contains("clock"), "nobody is told that the clock is wrong: {said}");
    scene.set(0)?;
    let node = scene.start()?;
    scene.obtain().context("with the right clock nothing is granted")?;
    node.stop()?;
    Ok(Outcome::Held("refused while the clock was behind, and said so".into()))
}

fn suspended(means: &Means) -> anyhow::Result<Outcome> {
    let mut scene = Scene::new(means)?;
    let node = scene.start()?;
    if !scene.shim.works()? {
        return Ok(Outcome::Skipped(
            "the program does not notice the shim (is it linked statically?)".into(),
        ));
    }
    let held = scene.obtain()?;
    let mut line = Line::open(scene.installation.address, DEADLINE)?;
    node.signal(Signal::STOP)?;
    time::pause(Duration::from_secs(3));
    scene.set(HOUR)?;
    let key = Some((&*held.id, &*held.secret, &*held.token));
    let request = scene.asker.tencent("GetCallerIdentity", b"{}", key);
    node.signal(Signal::CONT)?;
    // On a connection that was there before: this is the first request that is read.
    let first = line.ask(&request)?;
    ensure!(
        first.body.contains("\"Error\""),
        "what ran out while the machine slept still counts: {}",
        first.body
    );
    let ledger = Arc::new(Ledger::default());
    let load = Load::start(scene.installation.address, &scene.asker, &Dialect::ALL, 4, &ledger);
    let begin = time::now();
    let goes_on = load.goes_on(20, DEADLINE);
    let took = begin.elapsed();
    load.stop();
    ledger.settle(&scene.installation)?;
    node.stop()?;
    ensure!(goes_on, "nothing is granted after the sleep");
    Ok(Outcome::Held(format!(
        "refused at once what had run out; granting again after {} ms",
        took.as_millis()
    )))
}
