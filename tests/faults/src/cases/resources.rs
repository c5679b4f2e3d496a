//! File descriptors and memory run out.

use crate::case::{Case, Means, Outcome};
use anyhow::{Context as _, ensure};
use daypass_faults::ask::{Asker, Dialect};
use daypass_faults::installation::CHEAP;
use daypass_faults::ledger::Ledger;
use daypass_faults::load::{DEADLINE, Load};
use daypass_faults::node::Node;
use daypass_faults::time;
use std::io::Write as _;
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

pub(crate) const CASES: &[Case] = &[
    Case {
        name: "descriptors",
        fault: "the process may open 64 files, and 200 connections stand open",
        must: "no busy loop (under a fifth of a core), whoever is connected is served, and all are again when the crowd has gone",
        work: descriptors,
    },
    Case {
        name: "memory",
        fault: "the process may have 64 MiB more than it needs, and 400 clients send the largest bodies, wide and deep, and slowly",
        must: "it is not killed, rightful clients are served, and what it took is given back or does not grow",
        work: memory,
    },
];

/// The command in another program's hands, such as `prlimit`.
fn under(program: &str, args: &[&str], command: &Command) -> Command {
    let mut outer = Command::new(program);
    outer.args(args).arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => outer.env(name, value),
            None => outer.env_remove(name),
        };
    }
    outer
}

fn descriptors(means: &Means) -> anyhow::Result<Outcome> {
    let (_folder, installation) = means.install()?;
    let asker = Asker::new(installation.address, installation.clients()?).of(CHEAP);
    let command = under("prlimit", &["--nofile=64:64"], &installation.serve());
    let node = Node::start(command, installation.address, &installation.folder().join("node.log"))?;
    let ledger = Arc::new(Ledger::default());
    let load = Load::start(installation.address, &asker, &Dialect::ALL, 4, &ledger);
    ensure!(load.goes_on(50, DEADLINE), "nothing is granted to begin with");
    let hurry = Duration::from_millis(200);
    let crowd: Vec<_> =
        (0..200).filter_map(|_| TcpStream::connect_timeout(&installation.address, hurry).ok()).collect();
    time::pause(Duration::from_secs(1));
    ensure!(load.goes_on(50, DEADLINE), "who is connected is not served");
    load.stop();
    // Nobody asks now; what is left is the crowd that cannot be let in.
    let (before, span) = (node.cpu()?, Duration::from_secs(3));
    time::pause(span);
    let used = node.cpu()?.saturating_sub(before);
    drop(crowd);
    let load = Load::start(installation.address, &asker, &Dialect::ALL, 4, &ledger);
    let begin = time::now();
    let returns = load.goes_on(50, DEADLINE);
    let took = begin.elapsed();
    load.stop();
    let sum = ledger.settle(&installation)?;
    node.stop()?;
    ensure!(used < span / 5, "{used:?} of CPU in {span:?} while descriptors are used up");
    ensure!(returns, "new clients are not served when the crowd has gone");
    Ok(Outcome::Held(format!(
        "{} ms of CPU in {} s; back after {} ms; {} credentials, all there",
        used.as_millis(),
        span.as_secs(),
        took.as_millis(),
        sum.credentials
    )))
}

/// A group of processes whose memory is bounded. Dropping it takes it away.
struct Bounded(PathBuf);

impl Bounded {
    /// Makes one, if this machine's kernel and user allow it.
    fn make() -> Option<Self> {
        let old = PathBuf::from("/sys/fs/cgroup/memory");
        let root = if old.is_dir() { old } else { PathBuf::from("/sys/fs/cgroup") };
        let folder = root.join(format!("daypass-faults-{}", std::process::id()));
        std::fs::create_dir(&folder).ok()?;
        let made = Self(folder);
        made.knob().map(|_| ()).and(Some(made))
    }

    fn knob(&self) -> Option<PathBuf> {
        let names = ["memory.limit_in_bytes", "memory.max"];
        names.iter().map(|name| self.0.join(name)).find(|path| path.exists())
    }

    fn bound(&self, process: u32, bytes: u64) -> anyhow::Result<()> {
        std::fs::write(self.knob().context("no bound of memory")?, bytes.to_string())?;
        Ok(std::fs::write(self.0.join("cgroup.procs"), process.to_string())?)
    }
}

impl Drop for Bounded {
    fn drop(&mut self) {
        // It is empty once the process has ended.
        time::until(Duration::from_secs(2), || std::fs::remove_dir(&self.0).is_ok());
    }
}

fn memory(means: &Means) -> anyhow::Result<Outcome> {
    let Some(bounded) = Bounded::make() else {
        return Ok(Outcome::Skipped("groups with bounded memory cannot be made here".into()));
    };
    let (_folder, installation) = means.install()?;
    let asker = Asker::new(installation.address, installation.clients()?).of(CHEAP);
    let mut node = installation.start()?;
    let ledger = Arc::new(Ledger::default());
    let load = Load::start(installation.address, &asker, &Dialect::ALL, 4, &ledger);
    ensure!(load.goes_on(200, DEADLINE), "nothing is granted to begin with");
    let base = node.resident()?;
    bounded.bound(node.id(), (base + 64 * 1024) * 1024)?;
    let hostile: Vec<_> = (0..400)
        .map(|n| {
            let address = installation.address;
            std::thread::spawn(move || glutton(address, n))
        })
        .collect();
    let served = load.goes_on(200, means.room(Duration::from_secs(20)));
    let peak = node.resident().unwrap_or(0);
    for thread in hostile {
        let _ = thread.join();
    }
    let alive = node.is_running();
    let returns = alive && load.goes_on(100, DEADLINE);
    load.stop();
    ensure!(alive, "the process was killed for its memory (base {base} kB)");
    let after = node.resident()?;
    let sum = ledger.settle(&installation)?;
    node.stop()?;
    ensure!(served && returns, "rightful clients are not served");
    Ok(Outcome::Held(format!(
        "{} MB at first, {} MB under attack, {} MB after; {} credentials, all there",
        base / 1024,
        peak / 1024,
        after / 1024,
        sum.credentials
    )))
}

/// Sends the largest bodies that are taken: wide, deep, and one that never ends.
fn glutton(address: std::net::SocketAddr, number: usize) {
    const LARGEST: usize = 256 * 1024;
    let body = match number % 3 {
        0 => format!("{{\"Name\":\"{}\"}}", "a".repeat(LARGEST - 64)),
        1 => format!("{{\"Policy\":{}1{}}}", "[".repeat(LARGEST / 2 - 32), "]".repeat(LARGEST / 2 - 32)),
        _ => format!("a{}", "&a=b".repeat(LARGEST / 4 - 16)),
    };
    for _ in 0..3 {
        let Ok(mut stream) = TcpStream::connect(address) else { continue };
        let head = format!(
            "POST / HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\ncontent-length: {LARGEST}\r\n\r\n"
        );
        let _ = stream.write_all(head.as_bytes());
        for piece in body.as_bytes().chunks(16 * 1024) {
            if stream.write_all(piece).is_err() {
                break;
            }
            time::pause(Duration::from_millis(20));
        }
        time::pause(Duration::from_millis(200));
    }
}
