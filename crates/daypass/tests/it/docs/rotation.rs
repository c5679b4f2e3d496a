//! The guide to replacing keys: its commands run in order beside a service that is started again with each configuration.

use super::{blocks, lines, read};
use crate::patience::{PATIENCE, soon};
use crate::process::{daypass, json_of, send};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const GUIDE: &str = "docs/rotation.md";

/// A service that runs on the guide's folder.
struct Service {
    child: Child,
    host: String,
}

impl Service {
    fn start(folder: &Path, host: &str) -> Self {
        let child = daypass()
            .args(["serve", "--log", "off"])
            .current_dir(folder)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let service = Self { child, host: host.to_owned() };
        let begun = Instant::now();
        while std::net::TcpStream::connect(&service.host).is_err() {
            assert!(begun.elapsed() < PATIENCE, "it does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
        service
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A service prepares what replaces itself, one key a second.
fn wait_until_prepared(folder: &Path, purpose: &str) {
    let begun = Instant::now();
    loop {
        let output = daypass().args(["ring", "list", "--json"]).current_dir(folder).output().unwrap();
        let rows = json_of(&output);
        let ready = |row: &serde_json::Value| row["purpose"] == purpose && row["state"] == "prepared";
        if rows.as_array().unwrap().iter().any(ready) {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "{purpose} is not prepared: {rows}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// The configuration with another section `[seal]`.
fn resealed(config: &str, section: &str) -> String {
    let (before, rest) = config.split_once("[seal]").unwrap();
    let after = rest.find("\n[").map_or("", |at| &rest[at..]);
    format!("{before}{section}{after}")
}

#[test]
fn the_commands_of_the_guide_to_keys_run_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    assert!(daypass().arg("init").current_dir(folder).output().unwrap().status.success());
    let host = daypass_faults::port::free_address().unwrap().to_string();
    let file = folder.join("daypass.toml");
    let config = std::fs::read_to_string(&file).unwrap().replace("127.0.0.1:5050", &host);
    std::fs::write(&file, &config).unwrap();
    let mut service = Service::start(folder, &host);
    let program = Path::new(env!("CARGO_BIN_EXE_daypass")).parent().unwrap();
    let others = std::env::var_os("PATH").unwrap();
    let paths = std::env::join_paths([program.to_owned()].into_iter().chain(std::env::split_paths(&others)));
    let paths = paths.unwrap();
    let (mut ran, mut sections) = (0, 0);
    for (_, language, body) in blocks(&read(GUIDE)) {
        if language == "toml" {
            std::fs::write(&file, resealed(&config, body)).unwrap();
            drop(service);
            service = Service::start(folder, &host);
            sections += 1;
            // What is to be wrapped again is by the first turn.
            std::thread::sleep(Duration::from_millis(500));
            continue;
        }
        if language != "sh" {
            continue;
        }
        for line in lines(body) {
            // A minute, or a day, is not waited for.
            let early = line.starts_with("daypass ring activate") || line.starts_with("daypass ring retire");
            let line = if early && !line.contains("--force") { format!("{line} --force") } else { line };
            if line.contains("activate jwt-rs256") {
                wait_until_prepared(folder, "jwt-rs256");
            }
            let run = || {
                let mut shell = Command::new("sh");
                let shell = shell.args(["-euc", &line]).current_dir(folder).env("PATH", &paths);
                let output = shell.env_remove("XDG_RUNTIME_DIR").output().unwrap();
                assert!(output.status.success(), "{line}\n{output:?}");
                String::from_utf8_lossy(&output.stdout).into_owned()
            };
            let said = run();
            if line.ends_with("ring list") && sections == 2 {
                let dropped = |said: &str| said.contains("(previous): wraps 0 of them; it can be dropped");
                soon("the old key wraps nothing", || dropped(&said) || dropped(&run()));
            }
            ran += 1;
        }
    }
    assert_eq!((ran, sections), (10, 3));
    assert_eq!(send(&service.host, "GET", "/readyz", &[], b"").status, 200);
}
