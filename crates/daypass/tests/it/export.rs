//! Records found, exported and checked by somebody who has nothing but a public key.

use crate::process::{Dev, daypass, json_of, token};
use serde_json::Value;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

/// The checker of the guide, for whoever trusts no program of ours.
const CHECKER: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../conformance/snippets/records/check_export.py");

fn text(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn noted(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// A Python that has the checker's one package; without one, only our own program is asked. The tests with the vendors' clients
/// always have one.
pub(crate) fn python() -> Option<&'static str> {
    let has = |python: &&str| {
        let asked = Command::new(python).args(["-c", "import cryptography"]).output();
        asked.is_ok_and(|output| output.status.success())
    };
    let found = ["python3", "/usr/bin/python3"].into_iter().find(has);
    if found.is_none() {
        let test = std::thread::current();
        let test = test.name().unwrap_or_default();
        // Past the test harness, which keeps what a test that passes prints.
        let said = writeln!(
            std::io::stderr().lock(),
            "SKIPPED {test}: its checker in Python needs python3-cryptography"
        );
        said.unwrap();
    }
    found
}

/// A machine that has an export and a public key.
struct Stranger {
    folder: TempDir,
    key: String,
    python: Option<&'static str>,
}

impl Stranger {
    fn new(dev: &Dev) -> Self {
        let key = text(&dev.cli(&["audit", "key"])).trim().to_owned();
        assert_eq!(key.len(), 43, "{key}");
        Self { folder: tempfile::tempdir().unwrap(), key, python: python() }
    }

    /// Whether our program believes it; the other one must say the same.
    fn believes(&self, lines: &[Vec<u8>]) -> bool {
        let file = self.folder.path().join("export.jsonl");
        std::fs::write(&file, lines.concat()).unwrap();
        let output = self.ours(&file);
        let believes = output.status.success();
        assert!(believes || output.status.code() == Some(1), "{output:?}");
        if let Some(python) = self.python {
            let theirs = Command::new(python).arg(CHECKER).arg(&file).arg(&self.key).output().unwrap();
            assert_eq!(theirs.status.success(), believes, "{theirs:?}\n{output:?}");
            assert!(text(&theirs).contains(" records, "), "it came to an end: {theirs:?}");
        }
        believes
    }

    fn ours(&self, file: &Path) -> Output {
        let mut command = daypass();
        command
            .current_dir(self.folder.path())
            .args(["audit", "check", "--json", "--key", &self.key])
            .arg(file);
        command.output().unwrap()
    }
}

fn export(dev: &Dev, name: &str, args: &[&str]) -> (Output, PathBuf) {
    let file = dev.folder.path().join(name);
    let args = [&["audit", "export", "--json", "--out", file.to_str().unwrap()], args].concat();
    (dev.cli(&args), file)
}

fn lines(file: &Path) -> Vec<Vec<u8>> {
    let bytes = std::fs::read(file).unwrap();
    bytes.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect()
}

/// A service that has granted something to two clients.
fn busy() -> Dev {
    let dev = Dev::start();
    for kind in ["tencent", "entra", "alibaba", "tencent", "entra"] {
        json_of(&token(&[kind, "--no-cache"], &dev.file()));
    }
    dev
}

#[test]
fn a_stranger_proves_an_export_with_the_public_key_alone() {
    let dev = busy();
    let stranger = Stranger::new(&dev);
    let (made, whole) = export(&dev, "whole.jsonl", &[]);
    let made = json_of(&made);
    assert_eq!((&made["whole"], &made["faults"]), (&Value::Bool(true), &serde_json::json!([])), "{made}");
    assert_eq!(made["records"], made["looked_at"]);
    assert!(stranger.believes(&lines(&whole)));
    let report = json_of(&stranger.ours(&whole));
    assert_eq!((&report["whole"], &report["proved"]), (&Value::Bool(true), &made["records"]), "{report}");

    let (made, part) = export(&dev, "part.jsonl", &["--event", "grant", "--client", "soe-server"]);
    assert_eq!(json_of(&made)["records"], 2);
    assert!(stranger.believes(&lines(&part)));
    let report = json_of(&stranger.ours(&part));
    assert_eq!((&report["whole"], &report["proved"]), (&Value::Bool(false), &Value::from(2)), "{report}");
    assert_eq!(report["filter"]["client"]["name"], "soe-server");

    let (again, _) = export(&dev, "part.jsonl", &[]);
    assert_eq!(again.status.code(), Some(2), "{again:?}");
    assert!(text(&again).contains("cannot create"), "what is there is not written over: {again:?}");
    assert_eq!(lines(&part).len(), 1 + 1 + 2 + 1, "nor changed");
}

#[test]
fn no_change_of_an_export_is_believed() {
    let dev = busy();
    let stranger = Stranger::new(&dev);
    let (made, file) = export(&dev, "whole.jsonl", &[]);
    assert!(made.status.success(), "{made:?}");
    let whole = lines(&file);
    assert!(stranger.believes(&whole));
    let with = |line: usize, old: &str, new: &str| {
        let mut lines = whole.clone();
        let text = String::from_utf8(lines[line].clone()).unwrap();
        assert!(text.contains(old), "{text}");
        lines[line] = text.replacen(old, new, 1).into_bytes();
        lines
    };
    let (record, end) = (whole.len() - 2, whole.len() - 1);
    assert!(
        !stranger.believes(&with(record, "\"tenant\":\"demo\"", "\"tenant\":\"else\"")),
        "another record"
    );
    assert!(!stranger.believes(&with(record, "\"number\":", "\"number\":1")), "another number");
    assert!(!stranger.believes(&with(record, "\"writer\":\"", "\"writer\":\"0")), "another chain");
    assert!(
        !stranger.believes(&with(record, ",\"record\":", ",\"record\": ")),
        "other bytes that mean the same"
    );
    assert!(
        !stranger.believes(&with(0, "\"filter\":{}", "\"filter\":{\"tenant\":\"x\"}")),
        "another question"
    );
    assert!(
        !stranger.believes(&with(1, "{\"checkpoint\":\"ey", "{\"checkpoint\":\"eY")),
        "another checkpoint"
    );
    assert!(!stranger.believes(&with(end, "\"whole\":true", "\"whole\":false")), "another end");
    for at in [0, 1, record, end] {
        let mut fewer = whole.clone();
        let line = fewer.remove(at);
        assert!(!stranger.believes(&fewer), "without line {at}");
        fewer.insert(at.saturating_sub(1), line);
        assert!(!stranger.believes(&fewer) || at == 0, "with line {at} elsewhere");
        let mut twice = whole.clone();
        twice.insert(at, whole[at].clone());
        assert!(!stranger.believes(&twice), "with line {at} twice");
    }
    assert!(!stranger.believes(&whole[..end]), "cut");

    // An export of another service, whole and right, under the key of this one.
    let other = busy();
    let (_, file) = export(&other, "whole.jsonl", &[]);
    assert!(!stranger.believes(&lines(&file)));
    assert!(Stranger::new(&other).believes(&lines(&file)));
}

#[test]
fn what_was_changed_in_the_store_is_not_exported_and_the_rest_is() {
    let dev = busy();
    let stranger = Stranger::new(&dev);
    let (_, before) = export(&dev, "before.jsonl", &[]);
    let before = lines(&before);
    let (folder, _) = dev.stop();
    // As somebody does who has the disk, and knows the file's form.
    let database = folder.path().join("data/daypass.db");
    let mut bytes = std::fs::read(&database).unwrap();
    let needle = b"\"action\":\"client.add\",\"object\":\"store-box\"";
    // A page that was split may still hold a copy that nobody reads.
    let places: Vec<_> =
        bytes.windows(needle.len()).enumerate().filter(|(_, window)| window == needle).collect();
    let places: Vec<usize> = places.into_iter().map(|(at, _)| at + needle.len() - 2).collect();
    assert!(!places.is_empty());
    for at in places {
        bytes[at] = b'y';
    }
    std::fs::write(&database, bytes).unwrap();

    let dev = Dev::start_in(folder, &[]);
    let (made, after) = export(&dev, "after.jsonl", &[]);
    assert_eq!(made.status.code(), Some(1), "{made:?}");
    let said: Value = serde_json::from_str(text(&made).lines().next().unwrap()).unwrap();
    assert_eq!(
        (&said["whole"], said["faults"].as_array().unwrap().len()),
        (&Value::Bool(false), 1),
        "{said}"
    );
    assert!(
        noted(&made).contains("are not those that checkpoint") && noted(&made).contains("audit verify"),
        "{made:?}"
    );
    let after = lines(&after);
    assert!(after.len() < before.len(), "the chain with the changed record is left out");
    assert!(stranger.believes(&after), "and what is there is proved");
    assert_eq!(dev.cli(&["audit", "verify"]).status.code(), Some(1));
}

#[test]
fn an_export_is_proved_across_a_change_of_the_key_that_signs() {
    let dev = busy();
    let old = Stranger::new(&dev);
    assert!(dev.cli(&["audit", "checkpoint"]).status.success());
    for step in [&["prepare", "checkpoint"][..], &["activate", "checkpoint", "--force"]] {
        let done = dev.cli(&[&["ring"], step].concat());
        assert!(done.status.success(), "{done:?}");
    }
    let keys = text(&dev.cli(&["audit", "key"]));
    let keys: Vec<_> = keys.lines().collect();
    assert!(keys.len() == 2 && keys[0] == old.key, "{keys:?}");
    let set = json_of(&dev.cli(&["audit", "key", "--json"]));
    assert_eq!(set["keys"][1]["x"], keys[1]);
    // The server that was started before signs with the old key until it has heard; this command does with the new one.
    assert!(dev.cli(&["client", "disable", "store-box"]).status.success());
    let (made, file) = export(&dev, "both.jsonl", &[]);
    assert!(made.status.success(), "{made:?}");
    let file = file.to_str().unwrap();
    let check = |keys: &[&str]| {
        let keys = keys.iter().flat_map(|key| ["--key", key]);
        daypass().args(["audit", "check", file]).args(keys).output().unwrap()
    };
    assert!(check(&keys).status.success());
    for key in &keys {
        let one = check(&[key]);
        assert_eq!(one.status.code(), Some(1), "{one:?}");
        assert!(text(&one).contains("a `kid` of one of the keys for it"), "{one:?}");
    }
}

#[test]
fn records_in_a_postgresql_are_found_and_proved_as_well() {
    let Some(server) = daypass_faults::postgres::Server::start() else { return };
    let folder = tempfile::tempdir().unwrap();
    let run = |args: &[&str]| daypass().args(args).current_dir(folder.path()).output().unwrap();
    assert!(run(&["init"]).status.success());
    let file = folder.path().join("daypass.toml");
    let config = std::fs::read_to_string(&file).unwrap();
    let line = config.lines().find(|line| line.starts_with("url = \"sqlite:")).unwrap();
    let url = format!("url = \"{}\"", server.url(&server.database()));
    std::fs::write(&file, config.replacen(line, &url, 1)).unwrap();
    for name in ["one", "two", "three"] {
        let added = run(&["client", "add", name, "--kind", "tencent", "--role", "soe"]);
        assert!(added.status.success(), "{added:?}");
    }
    let found = run(&["audit", "search", "--client", "two", "--json"]);
    assert_eq!(json_of(&found)["event"]["object"], "two");
    let key = text(&run(&["audit", "key"])).trim().to_owned();
    let made = json_of(&run(&["audit", "export", "--out", "all.jsonl", "--json"]));
    assert_eq!((&made["whole"], &made["records"]), (&Value::Bool(true), &Value::from(4)), "{made}");
    let checked = json_of(&run(&["audit", "check", "all.jsonl", "--key", &key, "--json"]));
    assert_eq!((&checked["whole"], &checked["proved"]), (&Value::Bool(true), &Value::from(4)), "{checked}");
}

#[test]
fn records_are_found_by_what_is_known_of_them() {
    let dev = busy();
    let search = |args: &[&str]| -> (Vec<Value>, String) {
        let output = dev.cli(&[&["audit", "search", "--json"], args].concat());
        assert!(output.status.success(), "{output:?}");
        let found = text(&output).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        (found, noted(&output))
    };
    let (grants, noted) = search(&["--event", "grant"]);
    assert_eq!(grants.len(), 5);
    assert!(noted.starts_with("5 found, ") && noted.trim().ends_with(" looked at"), "{noted}");
    assert!(grants.is_sorted_by_key(|record| record["at"].as_str().unwrap().to_owned()), "the newest last");
    let one = &grants[0];
    let of = |name: &str| one[name].as_str().unwrap().to_owned();
    for (option, value, least, most) in [
        ("--credential", one["event"]["credential"].as_str().unwrap().to_owned(), 1, 2),
        ("--request", of("request"), 1, 1),
        ("--request", of("id"), 1, 1),
        ("--key", of("key"), 2, 3),
        ("--role", of("role"), 2, 2),
        ("--tenant", "demo".to_owned(), 8, 20),
        ("--tenant", "dem".to_owned(), 0, 0),
        ("--client", of("client"), 3, 3),
        ("--client", "soe-server".to_owned(), 3, 3),
        ("--subject", "nobody".to_owned(), 0, 0),
        ("--event", "client.add".to_owned(), 3, 3),
        ("--since", "2020-01-01".to_owned(), 8, 20),
        ("--since", "2100-01-01".to_owned(), 0, 0),
        ("--until", "2020-01-01".to_owned(), 0, 0),
        ("--until", "2100-01-01".to_owned(), 8, 20),
    ] {
        let (found, noted) = search(&[option, &value]);
        assert!((least..=most).contains(&found.len()), "{option} {value}: {found:?}");
        assert!(noted.contains(&format!("{} found", found.len())), "{noted}");
    }
    let (newest, noted) = search(&["--event", "grant", "-n", "2"]);
    assert_eq!(newest, grants[3..]);
    assert!(noted.contains("there may be older ones"), "{noted}");
    let (all, _) = search(&["--event", "grant", "-n", "0"]);
    assert_eq!(all, grants);

    let unknown = dev.cli(&["audit", "search", "--client", "nobody"]);
    assert_eq!(unknown.status.code(), Some(1), "{unknown:?}");
    let gone = dev.cli(&["audit", "search", "--client", "00000000-0000-0000-0000-000000000001"]);
    assert!(
        gone.status.success() && text(&gone).is_empty(),
        "one that is gone is found by its guid: {gone:?}"
    );
}
