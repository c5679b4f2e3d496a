//! Records that can be proved, on the running program: checkpoints, their copies, what was tampered with, and what has gone.

mod forged;
mod places;
mod postgres;
mod rollback;
mod tampering;
mod web;

use crate::patience::{PATIENCE, soon};
use crate::process::{daypass, json_of, send};
use crate::serve::Serve;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const TENANT: &str = r#"
[[tenant]]
name = "main"
guid = "387c56a8-cf86-45de-b9f5-b4de88cac054"
account = "100000000001"
[[tenant.role]]
name = "soe"
lifetime = { default = "10m", max = "15m" }
policy = { cam = '{"version":"2.0","statement":{"effect":"allow","action":["soe:TransmitOralProcessWithInit"],"resource":"*"}}' }
wildcard_reason = "SOE has no resource-level rights"
[[endpoint]]
dialect = "tencent.getAuthorization"
path = "/getAuthorization"
tenant = "main"
role = "soe"
origins = ["https://lesson.example.com"]
quota = { address = 1000000, endpoint = 1000000 }
caller = { anonymous = { reason = "a test" } }
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
        self.serve_with(&[])
    }

    /// With these variables in its environment.
    fn serve_with(&self, variables: &[(&str, PathBuf)]) -> Running {
        let mut command = daypass();
        command.args(["serve", "--config"]).arg(self.config()).envs(variables.iter().cloned());
        Running(Serve::start(&mut command))
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
struct Running(Serve);

impl Running {
    fn grant(&self) -> String {
        let answer = send(&self.0.host, "GET", "/getAuthorization", &[ORIGIN], b"");
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()["Credentials"]["TmpSecretId"].as_str().unwrap().to_owned()
    }

    fn ready(&self) -> String {
        send(&self.0.host, "GET", "/readyz", &[], b"").body
    }

    /// The value of a metric, of the line that begins so.
    fn metric(&self, line: &str) -> Option<f64> {
        self.0.metric(line)
    }

    /// By SIGTERM; gives what was logged.
    fn stop(self) -> Vec<String> {
        self.0.stop().lines().map(str::to_owned).collect()
    }

    /// As a power cut would.
    fn kill(self) {
        self.0.kill();
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
    // Beside a server that signs and hands out, nothing seems to be lost.
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(5) {
        running.grant();
        let copies = place.file("copies");
        let more = copies.exists().then(|| copies.to_str().unwrap().to_owned());
        place.verified(&more.iter().flat_map(|file| ["--checkpoints", file]).collect::<Vec<_>>());
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

/// Makes a store that began three days ago, and nobody has opened since.
fn make_old(place: &Place, count: u128) {
    use daypass_core::clock::{SignedDuration, Timestamp};
    use daypass_core::record::{Chain, Entry, Record};
    use daypass_core::ring::{Kek, Ring};
    use daypass_core::store::Change;
    let hex = std::fs::read_to_string(place.file("seal.key")).unwrap();
    let byte = |n: usize| u8::from_str_radix(&hex[2 * n..2 * n + 2], 16).unwrap();
    let kek = Kek::new(&std::array::from_fn(byte)).unwrap();
    let then = Timestamp::now() - SignedDuration::from_hours(72);
    let record = |number: u128| {
        Record::change(uuid::Uuid::from_u128(number), then, Some("main".into()), "test", "old")
    };
    let rows = Ring::generate(&kek, &daypass_core::testing::SeededEntropy::new(1), then).unwrap();
    let chain = Chain::begin(&Ring::open(&rows, &kek).unwrap(), uuid::Uuid::from_u128(7)).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let store = daypass_stores::open(&format!("sqlite:{}", place.file("daypass.db").display())).unwrap();
        store.begin(chain).await.unwrap();
        store.change(vec![Change::AddRing(rows)], record(0)).await.unwrap();
        let mut all = tokio::task::JoinSet::new();
        for number in 1..count {
            let (store, record) = (store.clone(), record(number));
            all.spawn(async move { store.append(Entry { record, mark: None }).await.unwrap() });
        }
        all.join_all().await;
        store.close().await.unwrap();
    });
}

/// Records leave in pieces, only once their checkpoint is everywhere, and the rest is proved as before.
#[test]
fn old_records_go_and_what_is_left_is_proved() {
    let place = Place::new(
        "sqlite:daypass.db",
        "checkpoints_to = [{ file = \"away/copies\" }]\ncheckpoint_every = \"1s\"\nkeep = \"2d\"",
    );
    make_old(&place, 1200);
    let running = place.serve();
    let first = running.grant();
    soon("signed", || place.verify(&[]).1["unsigned"] == 0);
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(place.verified(&[])["removed"], 0, "a second place does not have the checkpoint");
    std::fs::create_dir(place.file("away")).unwrap();
    let begun = Instant::now();
    while place.verified(&[])["removed"] != 1200 {
        assert!(begun.elapsed() < 2 * PATIENCE, "{}", place.verified(&[]));
        std::thread::sleep(Duration::from_millis(100));
    }
    let again = running.grant();
    soon("the cut is signed", || place.verify(&[]).1["unsigned"] == 0);
    assert_eq!(running.metric("daypass_records_removed_total"), Some(1200.0));
    assert!(!running.ready().contains("do not verify"));
    running.stop();
    let said = place.verified(&["--checkpoints", place.file("away/copies").to_str().unwrap()]);
    assert_eq!((said["removed"].as_u64(), &said["copies"]), (Some(1200), &said["checkpoints"]));
    let (records, text) = (place.records(), serde_json::to_string(&place.records()).unwrap());
    assert!(text.contains(&first) && text.contains(&again));
    let told = records.iter().filter(|record| record["event"]["action"] == "records.remove").count();
    assert_eq!(told, 3, "one record for five hundred");
    assert_eq!(
        place.one("SELECT count(*) FROM records WHERE writer = 1"),
        0,
        "a chain that has ended shrinks to its base"
    );
    // What is left is guarded as before, and the base as well.
    for sql in [
        "DELETE FROM records WHERE position = (SELECT min(position) FROM records)",
        "UPDATE writers SET base = NULL WHERE number = 1",
        "UPDATE writers SET base = (SELECT tip FROM writers WHERE number = 2) WHERE number = 1",
    ] {
        copy(&place.file("daypass.db"), &place.file("kept.db"));
        place.sql(sql);
        assert_eq!(place.verify(&[]).0, 1, "{sql}");
        copy(&place.file("kept.db"), &place.file("daypass.db"));
    }
    // Records that do not verify are evidence, and stay.
    let place = Place::new("sqlite:daypass.db", "checkpoint_every = \"1s\"\nkeep = \"2d\"");
    make_old(&place, 300);
    assert!(place.cli(&["audit", "checkpoint"]).status.success());
    place.sql("UPDATE records SET mac = randomblob(32) WHERE seq = 100");
    let running = place.serve();
    std::thread::sleep(Duration::from_secs(4));
    drop(running);
    assert_eq!(place.one("SELECT count(*) FROM records WHERE writer = 1"), 300);
}
