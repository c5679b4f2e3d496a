//! The servers under measurement: started on a core of their own, watched through `/proc`, stopped at the end.

use anyhow::{Context as _, bail, ensure};
use daypass_faults::port::free_address;
use rustix::process::{Pid, Signal, kill_process};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use std::collections::HashMap;
use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use crate::clock;

/// How long a server may take to start or to stop.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often a server that starts is asked whether it listens.
const PROBE: Duration = Duration::from_micros(200);

/// The cores that the loader and the servers run on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cores {
    /// The loader's and the servers' core, or none where there is only one and nothing is pinned.
    pair: Option<(usize, usize)>,
}

/// One of them.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Core {
    /// Where what is measured runs.
    Servers,
    /// Where what asks and what is asked by a server run: neither takes anything from what is measured.
    Loader,
}

impl Cores {
    /// The first two cores that this process may run on.
    pub(crate) fn choose() -> anyhow::Result<Self> {
        let allowed = sched_getaffinity(None)?;
        let mut cores = (0..CpuSet::MAX_CPU).filter(|&core| allowed.is_set(core));
        Ok(Self { pair: cores.next().zip(cores.next()) })
    }

    /// Nothing is kept apart.
    pub(crate) fn loose() -> Self {
        Self { pair: None }
    }

    /// Whether loader and servers are kept apart.
    pub(crate) fn are_pinned(self) -> bool {
        self.pair.is_some()
    }

    /// Starts a process on one of the two.
    fn spawn(self, core: Core, command: &mut Command) -> anyhow::Result<std::io::Result<Child>> {
        match core {
            Core::Servers => self.as_a_server(|| command.spawn()),
            // This thread is on it already, and a child inherits that.
            Core::Loader => Ok(command.spawn()),
        }
    }

    /// Moves this thread to the loader's core.
    pub(crate) fn be_the_loader(self) -> anyhow::Result<()> {
        self.pair.map_or(Ok(()), |(loader, _)| pin(loader))
    }

    /// Runs something on the servers' core: a child process inherits it, a calculation is compared on it.
    pub(crate) fn as_a_server<T>(self, work: impl FnOnce() -> T) -> anyhow::Result<T> {
        if let Some((_, server)) = self.pair {
            pin(server)?;
        }
        let result = work();
        self.be_the_loader()?;
        Ok(result)
    }
}

fn pin(core: usize) -> anyhow::Result<()> {
    let mut set = CpuSet::new();
    set.set(core);
    sched_setaffinity(None, &set).with_context(|| format!("cannot move to core {core}"))
}

/// A running server. Dropping it kills it.
pub(crate) struct Server {
    child: Child,
    /// Where it listens.
    pub(crate) address: SocketAddr,
}

impl Server {
    /// Starts a server and waits until it accepts connections. `command` gets the address.
    pub(crate) fn start(
        cores: Cores,
        core: Core,
        command: impl FnOnce(SocketAddr) -> Command,
    ) -> anyhow::Result<Self> {
        let address = free_address()?;
        let mut command = command(address);
        // A log that is read by nobody would have to be kept somewhere; writing it is part of what is measured.
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let program = command.get_program().to_owned();
        let child = cores.spawn(core, &mut command)?;
        let mut server =
            Self { child: child.with_context(|| format!("cannot start {}", program.display()))?, address };
        let begin = clock::now();
        while TcpStream::connect(address).is_err() {
            if let Some(status) = server.child.try_wait()? {
                bail!("{} did not start: {status}", program.display());
            }
            ensure!(begin.elapsed() < PATIENCE, "{} does not listen on {address}", program.display());
            sleep(PROBE);
        }
        Ok(server)
    }

    /// Asks it to stop, as an operator does, and waits until it has.
    pub(crate) fn stop(mut self) -> anyhow::Result<()> {
        kill_process(Pid::from_child(&self.child), Signal::TERM)?;
        let begin = clock::now();
        while self.child.try_wait()?.is_none() {
            ensure!(begin.elapsed() < PATIENCE, "the server does not stop");
            sleep(PROBE);
        }
        Ok(())
    }

    /// What each of its threads has used so far.
    pub(crate) fn cpu(&self) -> anyhow::Result<Cpu> {
        let mut threads = HashMap::new();
        for entry in fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            let path = entry?.path();
            // A thread may end between being listed and being read.
            let Ok(text) = fs::read_to_string(path.join("schedstat")) else { continue };
            threads.insert(file_name(&path), Thread::read(&text).context("`schedstat` is not what it was")?);
        }
        ensure!(!threads.is_empty(), "the server is gone");
        Ok(Cpu(threads))
    }

    /// Its resident memory in kilobytes.
    pub(crate) fn resident(&self) -> anyhow::Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        kilobytes(&status, "VmRSS").context("`status` has no VmRSS")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail only for a process that has ended, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// What each thread of a process has used so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cpu(HashMap<String, Thread>);

/// What one thread has used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Thread {
    /// Nanoseconds on a CPU.
    nanos: u64,
    /// How often it was put on one.
    turns: u64,
}

/// What a process used in a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Used {
    /// CPU time.
    pub(crate) time: Duration,
    /// How often one of its threads was put on a CPU: a hand-over between two threads is one.
    pub(crate) turns: u64,
}

impl Cpu {
    /// What was used since `earlier`. A thread that has started since counts wholly; one that has ended takes what
    /// it used in between with it.
    pub(crate) fn since(&self, earlier: &Self) -> Used {
        let mut used = Thread::default();
        for (name, now) in &self.0 {
            let before = earlier.0.get(name).copied().unwrap_or_default();
            used.nanos += now.nanos.saturating_sub(before.nanos);
            used.turns += now.turns.saturating_sub(before.turns);
        }
        Used { time: Duration::from_nanos(used.nanos), turns: used.turns }
    }
}

impl Thread {
    /// Reads a `schedstat` file: nanoseconds on a CPU, nanoseconds waiting for one, turns.
    fn read(schedstat: &str) -> Option<Self> {
        let mut fields = schedstat.split_ascii_whitespace();
        let nanos = fields.next()?.parse().ok()?;
        Some(Self { nanos, turns: fields.nth(1)?.parse().ok()? })
    }
}

/// The most memory that a process had so far, in kilobytes; none where it has ended.
pub(crate) fn peak_of(process: u32) -> Option<u64> {
    kilobytes(&fs::read_to_string(format!("/proc/{process}/status")).ok()?, "VmHWM")
}

/// One line of `/proc/PID/status`.
fn kilobytes(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    line.trim().strip_suffix(" kB")?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proc_files_are_read() {
        assert_eq!(Thread::read("123456 789 12\n"), Some(Thread { nanos: 123_456, turns: 12 }));
        assert_eq!(Thread::read("123456"), None);
        assert_eq!(Thread::read(""), None);
        let status = "Name:\tx\nVmHWM:\t    900 kB\nVmRSS:\t    812 kB\nThreads:\t4\n";
        assert_eq!(kilobytes(status, "VmRSS"), Some(812));
        assert_eq!(kilobytes(status, "VmHWM"), Some(900));
        assert_eq!(kilobytes(status, "Vm"), None);
        assert_eq!(kilobytes(status, "Threads"), None);
    }

    #[test]
    fn threads_that_start_and_end_are_counted() {
        let cpu = |threads: &[(&str, u64, u64)]| {
            let thread = |(name, nanos, turns): &(&str, u64, u64)| {
                ((*name).to_owned(), Thread { nanos: *nanos, turns: *turns })
            };
            Cpu(threads.iter().map(thread).collect())
        };
        let before = cpu(&[("1", 100, 7), ("2", 50, 1)]);
        let after = cpu(&[("1", 175, 9), ("3", 20, 1)]);
        assert_eq!(after.since(&before), Used { time: Duration::from_nanos(95), turns: 3 });
    }

    #[test]
    fn this_very_process_can_be_watched() {
        // `sleep` listens nowhere, so it is put together by hand.
        let child = Command::new("sleep").arg("30").spawn().unwrap();
        let server = Server { child, address: free_address().unwrap() };
        assert!(server.resident().unwrap() > 0);
        let first = server.cpu().unwrap();
        assert!(server.cpu().unwrap().since(&first).time < PATIENCE);
        server.stop().unwrap();
    }

    #[test]
    fn a_program_that_ends_at_once_is_reported() {
        let cores = Cores { pair: None };
        let error = Server::start(cores, Core::Servers, |_| Command::new("false")).err().unwrap().to_string();
        assert!(error.contains("did not start"), "{error}");
        let error = Server::start(cores, Core::Servers, |_| Command::new("/no/such/program"))
            .err()
            .unwrap()
            .to_string();
        assert!(error.contains("cannot start"), "{error}");
    }
}
