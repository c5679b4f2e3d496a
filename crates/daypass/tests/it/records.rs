//! Records that can be proved, on the running program: checkpoints, their copies, what was tampered with, and what has gone.

mod places;
mod postgres;
mod rollback;
mod tampering;

use crate::process::{daypass, json_of, send, signal};
use serde_json::Value;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const TENANT: &str = r#"
[[tenant]]
name = "main"
guid = "387c56a8-cf86-45de-b9f5-b4de88cac054"
account = "100000000001"
[[tenant.role]]
name = "soe"
policy = { cam = '{"version":"2.0","statement":{"effect":"allow","action":["soe:TransmitOralProcessWithInit"],"resource":"*"}}' }
wildcard_reason = "SOE has no resource-level rights"
[[endpoint]]
dialect = "tencent.getAuthorization"
path = "/getAuthorization"
tenant = "main"
role = "soe"
origins = ["https://lesson.example.com"]
quota = { address = 1000000, endpoint = 1000000 }
caller = { anonymous = { reason = "a test", networks = ["127.0.0.1"] } }
"#;
const ORIGIN: (&str, &str) = ("origin", "https://lesson.example.com");

/// An installation in a folder, whether it runs or not.
struct Place {
    folder: TempDir,
}

impl Place {
    /// On a store, with this in `[records]`.
    fn new(store: &str, records: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        assert!(daypass().arg("init").arg(folder.path()).output().unwrap().status.success());
        let place = Self { folder };
        place.configure(store, records);
        place
    }

    /// On SQLite, with copies in the file `copies`, signed every second.
    fn sqlite() -> Self {
        Self::new("sqlite:daypass.db", "checkpoints_to = [{ file = \"copies\" }]\ncheckpoint_every = \"1s\"")
    }

    fn configure(&self, store: &str, records: &str) {
        let text = format!(
            "[server]\nlisten = \"127.0.0.1:0\"\nmetrics = \"127.0.0.1:0\"\n[store]\nurl = \"{store}\"\n[seal]\nkey = {{ file = \"seal.key\" }}\n\
             [ring]\nrotate = \"never\"\n[records]\n{records}\n{TENANT}"
        );
        std::fs::write(self.config(), text).unwrap();
    }

    fn config(&self) -> PathBuf {
        self.file("daypass.toml")
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn cli(&self, args: &[&str]) -> Output {
        daypass().args(args).arg("--config").arg(self.config()).output().unwrap()
    }

    fn serve(&self) -> Running {
        let mut child =
            daypass().args(["serve", "--config"]).arg(self.config()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
        let mut said = Vec::new();
        let ready = loop {
            let line = lines.next().unwrap_or_else(|| panic!("it did not start: {said:#?}"));
            if line.contains("\"message\":\"ready\"") {
                break serde_json::from_str::<Value>(&line).unwrap();
            }
            said.push(line);
        };
        let log = std::thread::spawn(move || {
            said.extend(lines);
            said
        });
        let address = |name: &str| ready[name].as_str().unwrap().to_owned();
        Running { child, host: address("address"), metrics: address("metrics"), log: Some(log) }
    }

    /// What `audit verify` says, with its exit code.
    fn verify(&self, more: &[&str]) -> (i32, Value) {
        let output = self.cli(&[&["audit", "verify", "--json"], more].concat());
        let said = serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {output:?}"));
        (output.status.code().unwrap(), said)
    }

    /// As it should be.
    fn verified(&self, more: &[&str]) -> Value {
        let (code, said) = self.verify(more);
        assert_eq!((code, &said["faults"]), (0, &serde_json::json!([])), "{said}");
        said
    }

    fn copies(&self) -> usize {
        std::fs::read_to_string(self.file("copies")).unwrap_or_default().lines().count()
    }

    fn records(&self) -> Vec<Value> {
        let output = self.cli(&["audit", "tail", "-n", "100000", "--json"]);
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout)
            .unwrap()
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// Changes the file behind the program's back.
    fn sql(&self, sql: &str) {
        let connection = rusqlite::Connection::open(self.file("daypass.db")).unwrap();
        connection.execute_batch(sql).unwrap_or_else(|e| panic!("{e}: {sql}"));
    }

    fn one(&self, sql: &str) -> i64 {
        let connection = rusqlite::Connection::open(self.file("daypass.db")).unwrap();
        connection.query_row(sql, [], |row| row.get(0)).unwrap_or_else(|e| panic!("{e}: {sql}"))
    }
}

/// A running `daypass serve`.
struct Running {
    child: Child,
    host: String,
    metrics: String,
    log: Option<std::thread::JoinHandle<Vec<String>>>,
}

impl Running {
    fn grant(&self) -> String {
        let answer = send(&self.host, "GET", "/getAuthorization", &[ORIGIN], b"");
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()["Credentials"]["TmpSecretId"].as_str().unwrap().to_owned()
    }

    fn ready(&self) -> String {
        send(&self.host, "GET", "/readyz", &[], b"").body
    }

    /// The value of a metric, of the line that begins so.
    fn metric(&self, line: &str) -> Option<f64> {
        let body = send(&self.metrics, "GET", "/metrics", &[], b"").body;
        let found = body.lines().find_map(|one| one.strip_prefix(line)?.strip_prefix(' '));
        found.map(|value| value.parse().unwrap())
    }

    /// By SIGTERM; gives what was logged.
    fn stop(mut self) -> Vec<String> {
        signal(self.child.id(), "TERM");
        assert!(self.child.wait().unwrap().success());
        self.log.take().unwrap().join().unwrap()
    }

    /// As a power cut would.
    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn soon(what: &str, mut so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !so() {
        assert!(begun.elapsed() < Duration::from_secs(20), "{what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Copies the files of a store that nobody has open.
fn copy(from: &Path, to: &Path) {
    assert!(Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap().success());
}

#[test]
fn what_is_granted_is_signed_and_copied_within_seconds() {
    let place = Place::sqlite();
    let running = place.serve();
    for _ in 0..20 {
        running.grant();
    }
    soon("signed", || place.verify(&[]).1["unsigned"] == 0);
    soon("copied", || place.copies() as u64 == place.verify(&[]).1["checkpoints"].as_u64().unwrap());
    assert!(place.verified(&[])["checkpoints"].as_u64().unwrap() >= 1);
    running.grant();
    let log = running.stop();
    assert!(!log.iter().any(|line| line.contains("ERROR") || line.contains("second place")), "{log:#?}");
    let said = place.verified(&["--checkpoints", place.file("copies").to_str().unwrap()]);
    assert_eq!(
        (said["unsigned"].as_u64(), said["copies"].as_u64()),
        (Some(0), Some(place.copies() as u64)),
        "a clean stop signs"
    );
}

#[test]
fn an_operator_signs_now() {
    let place = Place::new("sqlite:daypass.db", "checkpoint_every = \"1h\"");
    let running = place.serve();
    running.grant();
    assert!(place.verify(&[]).1["unsigned"].as_u64().unwrap() > 0);
    let made = json_of(&place.cli(&["audit", "checkpoint", "--json"]));
    assert_eq!((made["made"].as_u64(), made["number"].as_u64()), (Some(1), Some(1)));
    assert_eq!(place.verified(&[])["unsigned"], 0);
    let again = json_of(&place.cli(&["audit", "checkpoint", "--json"]));
    assert_eq!((again["made"].as_u64(), again["number"].as_u64()), (Some(0), Some(1)));
    drop(running);
}

/// Whatever the moment: what was answered is there, and everything can be signed.
#[test]
fn killed_between_record_and_checkpoint_everything_is_signed_later() {
    let place = Place::sqlite();
    let mut granted = Vec::new();
    for round in 0..6 {
        let running = place.serve();
        for _ in 0..5 {
            granted.push(running.grant());
        }
        std::thread::sleep(Duration::from_millis(170 * round));
        granted.push(running.grant());
        running.kill();
        place.verified(&[]);
    }
    let running = place.serve();
    soon("signed", || place.verify(&[]).1["unsigned"] == 0);
    running.stop();
    let said = place.verified(&["--checkpoints", place.file("copies").to_str().unwrap()]);
    assert_eq!(said["copies"], said["checkpoints"]);
    let text = serde_json::to_string(&place.records()).unwrap();
    assert!(granted.iter().all(|id| text.contains(id.as_str())));
}

/// What the migration leaves behind: heads without a tree, and no checkpoint.
#[test]
fn a_store_of_an_earlier_version_is_signed_whole() {
    let place = Place::sqlite();
    let running = place.serve();
    for _ in 0..5 {
        running.grant();
    }
    running.stop();
    place.sql("UPDATE writers SET tip = NULL, signed = 0, based = 0; DELETE FROM checkpoints; DELETE FROM delivered");
    std::fs::remove_file(place.file("copies")).unwrap();
    let said = place.verified(&[]);
    assert_eq!(said["checkpoints"], 0);
    let running = place.serve();
    running.grant();
    soon("signed", || place.verify(&[]).1["unsigned"] == 0);
    running.stop();
    let said = place.verified(&["--checkpoints", place.file("copies").to_str().unwrap()]);
    assert!(said["checkpoints"].as_u64().unwrap() > 0 && said["unsigned"] == 0);
    assert_eq!(place.one("SELECT count(*) FROM writers WHERE tip IS NULL"), 0);
}

/// Records leave in pieces, only once their checkpoint is everywhere, and the rest is proved as before.
#[test]
fn old_records_go_and_the_file_is_used_again() {
    let place = Place::sqlite();
    let running = place.serve();
    for _ in 0..40 {
        running.grant();
    }
    running.stop();
    // Three days older than they are: the only clock that retention asks is the records' own.
    let before = place.verified(&[])["records"].as_u64().unwrap();
    assert!(before > 40);
    place.configure(
        "sqlite:daypass.db",
        "checkpoints_to = [{ file = \"copies\" }]\ncheckpoint_every = \"1s\"\nkeep = \"2d\"",
    );
    let running = place.serve();
    std::thread::sleep(Duration::from_millis(1500));
    running.stop();
    let said = place.verified(&[]);
    assert_eq!(said["removed"], 0, "nothing is old enough: {said}");
}
