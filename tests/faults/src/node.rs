//! A process that serves: started, watched, and ended in every way that a process ends.

use crate::ask;
use crate::time;
use anyhow::{Context as _, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use std::fs::{File, OpenOptions};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

/// How long a node is waited for until it is ready, after a crash too. How long it took is [`Node::started_in`].
pub const START: Duration = Duration::from_mins(1);
/// How long a node is waited for until it has stopped.
const STOP: Duration = Duration::from_mins(1);

/// A node that runs. Dropping it kills it.
pub struct Node {
    child: Child,
    log: PathBuf,
    /// Where it listens.
    pub address: SocketAddr,
    /// How long it took until it was ready.
    pub started_in: Duration,
}

impl Node {
    /// Starts a node and waits until it says that it is ready. What it logs is added to this file.
    pub fn start(command: Command, address: SocketAddr, log: &Path) -> anyhow::Result<Self> {
        let mut node = Self::begin(command, address, log)?;
        let begin = time::now();
        loop {
            if node.is_ready() {
                node.started_in = begin.elapsed();
                return Ok(node);
            }
            if let Some(status) = node.child.try_wait()? {
                bail!("the node did not start ({status}): {}", node.last_words());
            }
            ensure!(begin.elapsed() < START, "the node is not ready after {START:?}: {}", node.last_words());
            time::pause(Duration::from_millis(5));
        }
    }

    /// Starts a node and does not wait.
    pub fn begin(mut command: Command, address: SocketAddr, log: &Path) -> anyhow::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(log)?;
        command.stdin(Stdio::null()).stdout(File::options().append(true).open(log)?).stderr(file);
        let child =
            command.spawn().with_context(|| format!("cannot start {}", command.get_program().display()))?;
        Ok(Self { child, log: log.to_owned(), address, started_in: Duration::ZERO })
    }

    /// Its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether it says that it can serve.
    pub fn is_ready(&self) -> bool {
        self.status_of("/readyz") == Some(200)
    }

    /// Whether it says that it lives.
    pub fn is_live(&self) -> bool {
        self.status_of("/livez") == Some(200)
    }

    fn status_of(&self, path: &str) -> Option<u16> {
        let request = format!("GET {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n", self.address);
        ask::once(self.address, request.as_bytes(), Duration::from_secs(10)).ok().map(|answer| answer.status)
    }

    /// Whether the process is there.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        Ok(kill_process(Pid::from_child(&self.child), signal)?)
    }

    /// Ends it as a power cut would.
    pub fn kill(mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Asks it to stop, and waits until it has.
    pub fn stop(mut self) -> anyhow::Result<ExitStatus> {
        self.signal(Signal::TERM)?;
        self.wait(STOP)?.context("the node does not stop")
    }

    /// Waits until it has ended, for so long at most.
    pub fn wait(&mut self, patience: Duration) -> anyhow::Result<Option<ExitStatus>> {
        let mut status = None;
        time::until(patience, || {
            status = self.child.try_wait().ok().flatten();
            status.is_some()
        });
        Ok(status)
    }

    /// The end of its log.
    pub fn last_words(&self) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<_> = text.lines().rev().take(5).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }

    /// Everything it has logged, and those before it with the same log.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Its resident memory, in kilobytes.
    pub fn resident(&self) -> anyhow::Result<u64> {
        self.status("VmRSS:")
    }

    /// How many threads it has.
    pub fn threads(&self) -> anyhow::Result<u64> {
        self.status("Threads:")
    }

    /// How many file descriptors it holds.
    pub fn descriptors(&self) -> anyhow::Result<u64> {
        Ok(u64::try_from(std::fs::read_dir(format!("/proc/{}/fd", self.id()))?.count())?)
    }

    /// The CPU time it has used.
    pub fn cpu(&self) -> anyhow::Result<Duration> {
        let text = std::fs::read_to_string(format!("/proc/{}/stat", self.id()))?;
        // The name in parentheses may hold blanks; utime and stime are the 12th and 13th fields behind it.
        let (_, rest) = text.rsplit_once(')').context("`stat` is not what it was")?;
        let ticks: u64 = rest.split_whitespace().skip(11).take(2).filter_map(|n| n.parse::<u64>().ok()).sum();
        Ok(Duration::from_millis(ticks * 1000 / rustix::param::clock_ticks_per_second().max(1)))
    }

    fn status(&self, name: &str) -> anyhow::Result<u64> {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.id()))?;
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
        number.with_context(|| format!("`status` has no {name}"))
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // Both fail only for a process that has ended, which is what is wanted. One that stands still is woken by this.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
