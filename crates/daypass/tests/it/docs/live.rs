//! The guide to real clouds: each configuration that it shows is taken, its rehearsal runs as it stands between two processes,
//! and its table of faults has every one that there is.

use super::{blocks, read};
use crate::process::daypass;
use crate::serve::Served;
use daypass_faults::port::free_address;
use daypass_issuers::fault::{Fault, FaultKind};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const GUIDE: &str = "docs/going-live.md";
/// How long a server may take to answer for the first time.
const PATIENCE: Duration = Duration::from_mins(1);

/// A folder with two processes: the cloud, and what stands in front of it.
struct Stage {
    place: TempDir,
    front: u16,
    cloud: u16,
    running: Vec<Served>,
}

impl Stage {
    fn new() -> Self {
        Self {
            place: tempfile::tempdir().unwrap(),
            front: free_address().unwrap().port(),
            cloud: free_address().unwrap().port(),
            running: Vec::new(),
        }
    }

    /// What the guide says, with this stage's own ports.
    fn here(&self, text: &str) -> String {
        let text = text.replace("127.0.0.1:5050", &format!("127.0.0.1:{}", self.front));
        text.replace("127.0.0.1:5060", &format!("127.0.0.1:{}", self.cloud))
    }

    fn shell(&self, script: &str) -> Command {
        let program = Path::new(env!("CARGO_BIN_EXE_daypass")).parent().unwrap();
        let others = std::env::var_os("PATH").unwrap();
        let paths = [program.to_owned()].into_iter().chain(std::env::split_paths(&others));
        let mut shell = Command::new("sh");
        shell.args(["-euc", &self.here(script)]).current_dir(self.place.path());
        shell
            .env("PATH", std::env::join_paths(paths).unwrap())
            .env_remove("XDG_RUNTIME_DIR")
            .env_remove("HOME");
        shell
    }

    fn run(&self, script: &str) -> Output {
        self.shell(script).output().unwrap()
    }

    /// Lets a command run on, and waits until it answers at this port.
    fn serve(&mut self, command: &str, port: u16) {
        let child =
            self.shell(&format!("exec {command}")).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        self.running.push(Served(child.unwrap()));
        let late = Instant::now() + PATIENCE;
        let asks = format!("curl -sS --fail http://127.0.0.1:{port}/livez");
        while !self.run(&asks).status.success() {
            assert!(Instant::now() < late, "{command} does not answer");
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

#[test]
fn the_rehearsal_of_the_guide_runs_as_it_stands() {
    let page = read(GUIDE);
    let mut stage = Stage::new();
    let (mut ran, mut failed) = (0, 0);
    for (before, language, body) in blocks(&page) {
        match (before, language) {
            ("<!-- config -->", _) => {
                std::fs::write(stage.place.path().join("daypass.toml"), stage.here(body)).unwrap();
            }
            ("<!-- cloud -->", _) => stage.serve(body.trim(), stage.cloud),
            ("<!-- server -->", _) => stage.serve(body.trim(), stage.front),
            (_, "sh") => {
                let exit = before.strip_prefix("<!-- exit: ").and_then(|rest| rest.strip_suffix(" -->"));
                let exit = exit.map_or(0, |code| code.parse().unwrap());
                let output = stage.run(body);
                assert_eq!(output.status.code(), Some(exit), "{body}\n{output:?}");
                failed += usize::from(exit != 0);
                ran += 1;
            }
            _ => {}
        }
    }
    assert!(ran >= 9 && failed == 1, "{ran} blocks ran, {failed} failed as they should");
    // What it leaves behind: one key, the second one, and records of every step; no secret in any of them.
    let listed = stage.run("daypass root-key list");
    let text = String::from_utf8(listed.stdout).unwrap();
    assert!(text.lines().count() == 2 && text.contains(" b     active "), "{text}");
    let records = String::from_utf8(stage.run("daypass audit tail -n 1000").stdout).unwrap();
    for step in ["root.stage", "root.promote", "root.rollback", "root.drop", "root.prove"] {
        assert!(records.contains(step), "{step}");
    }
    let counted = stage.run("daypass revoke --role soe --json | jq -e '.upstream_count == 1'");
    assert!(counted.status.success(), "{counted:?}");
}

/// The base that stands around the configurations of single clouds.
const BASE: &str = r#"
[server]
listen = "127.0.0.1:5050"
public_url = "http://127.0.0.1:5050"
[store]
url = "sqlite:daypass.db"
[seal]
key = { file = "seal.key" }
"#;
const TENANT: &str = r#"
[[tenant]]
name = "acme"
guid = "0b8a6a54-1f0f-4d8e-9d3c-6a0f3f2f7a11"
account = "200000000002"
"#;

#[test]
fn each_cloud_of_the_guide_is_taken_by_check() {
    let page = read(GUIDE);
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("seal.key"), "5e".repeat(32)).unwrap();
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(folder.path().join("seal.key"), private).unwrap();
    let mut kinds = Vec::new();
    for (_, _, body) in blocks(&page).into_iter().filter(|(before, ..)| *before == "<!-- issuer -->") {
        let (issuer, role) = body.split_once("[[tenant.role]]").unwrap();
        let whole = format!("{BASE}{issuer}{TENANT}\n[[tenant.role]]{role}");
        std::fs::write(folder.path().join("daypass.toml"), &whole).unwrap();
        let output = daypass()
            .args(["check", "--config", "daypass.toml"])
            .current_dir(folder.path())
            .output()
            .unwrap();
        assert!(output.status.success(), "{whole}\n{output:?}");
        let kind = issuer.lines().find_map(|line| line.strip_prefix("kind")).unwrap();
        kinds.push(kind.split('"').nth(1).unwrap().to_owned());
    }
    kinds.sort();
    assert_eq!(kinds, ["alibaba", "entra", "oauth", "tencent", "top"]);
}

#[test]
fn every_fault_of_a_cloud_is_in_the_table_with_what_the_record_says() {
    for guide in [GUIDE, "docs/going-live.zh-CN.md"] {
        let page = read(guide);
        for kind in FaultKind::ALL {
            let label = format!("`{}`", kind.label());
            let row = page.lines().find(|line| {
                line.starts_with("| `") && line.split(" | ").next().is_some_and(|cell| cell.contains(&label))
            });
            let row = row.unwrap_or_else(|| panic!("{guide} says nothing of {label}"));
            let reason = Fault::new(*kind, "a test").refusal("main", 1).reason.label();
            assert!(row.contains(&format!("`{reason}`")), "{guide}: {row}");
        }
    }
}
