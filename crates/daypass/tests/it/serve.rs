//! `daypass serve` as a process: an installation of the test's own, and what runs from it.

use crate::process::{daypass, json_of, send, signal};
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::str::FromStr;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A process that does not outlive its test.
pub(crate) struct Served(pub(crate) Child);

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Reads a log up to where the server is ready: that line, and everything up to its end.
pub(crate) fn until_ready(log: &mut impl BufRead) -> (Value, String) {
    let mut said = String::new();
    loop {
        let begin = said.len();
        assert!(log.read_line(&mut said).unwrap() > 0, "it did not start: {said}");
        let line: Value = serde_json::from_str(&said[begin..]).unwrap_or_default();
        if line["message"] == "ready" {
            return (line, said);
        }
    }
}

/// What `daypass init` makes, with a configuration of the test's own.
pub(crate) struct Installation {
    pub(crate) folder: TempDir,
}

impl Installation {
    pub(crate) fn new(config: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        assert!(daypass().arg("init").arg(folder.path()).output().unwrap().status.success());
        let installation = Self { folder };
        std::fs::write(installation.config(), config).unwrap();
        installation
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.file("daypass.toml")
    }

    /// The operator runs a command.
    pub(crate) fn cli(&self, args: &[&str]) -> Output {
        daypass().args(args).arg("--config").arg(self.config()).output().unwrap()
    }

    /// Adds a client by these arguments: what the command says, with its keys.
    pub(crate) fn add(&self, args: &[&str]) -> Value {
        json_of(&self.cli(&[&["client", "add", "--json"], args].concat()))
    }

    pub(crate) fn serve(&self) -> Serve {
        Serve::start(daypass().args(["serve", "--config"]).arg(self.config()))
    }
}

/// A running `daypass serve`.
pub(crate) struct Serve {
    process: Served,
    /// `host:port`.
    pub(crate) host: String,
    /// The same of its metrics; empty where it has no listener for them.
    pub(crate) metrics: String,
    log: Arc<Mutex<String>>,
    /// Reads on, so that the log is whole and its pipe never full.
    reader: JoinHandle<()>,
}

impl Serve {
    /// Starts this command, and waits until it is ready.
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut process = Served(command.stderr(Stdio::piped()).spawn().unwrap());
        let mut stderr = BufReader::new(process.0.stderr.take().unwrap());
        let (ready, said) = until_ready(&mut stderr);
        let log = Arc::new(Mutex::new(said));
        let rest = log.clone();
        let reader = std::thread::spawn(move || {
            let mut line = String::new();
            while stderr.read_line(&mut line).is_ok_and(|length| length > 0) {
                rest.lock().unwrap().push_str(&std::mem::take(&mut line));
            }
        });
        let address = |name: &str| ready[name].as_str().unwrap_or_default().to_owned();
        Self { process, host: address("address"), metrics: address("metrics"), log, reader }
    }

    /// Sends it a signal, by its name without `SIG`.
    pub(crate) fn signal(&self, name: &str) {
        signal(self.process.0.id(), name);
    }

    /// What it has logged so far.
    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Waits until it has logged this. A line is written beside the answer that it is about, and may come after it.
    pub(crate) fn logs(&self, text: &str) {
        let begun = Instant::now();
        while !self.log().contains(text) {
            assert!(begun.elapsed() < Duration::from_mins(1), "no `{text}` in {}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The value of a metric, named with its labels as it is shown.
    pub(crate) fn metric<T: FromStr>(&self, sample: &str) -> Option<T> {
        let text = send(&self.metrics, "GET", "/metrics", &[], b"").body;
        text.lines().find_map(|line| line.strip_prefix(sample)?.strip_prefix(' ')?.parse().ok())
    }

    /// Ends it as an operator does; gives all that it logged.
    pub(crate) fn stop(mut self) -> String {
        self.signal("TERM");
        assert!(self.process.0.wait().unwrap().success());
        self.reader.join().unwrap();
        std::mem::take(&mut self.log.lock().unwrap())
    }

    /// Ends it as a power cut would.
    pub(crate) fn kill(mut self) {
        self.process.0.kill().unwrap();
        self.process.0.wait().unwrap();
    }
}
