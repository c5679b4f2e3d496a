//! The page about limits: its configuration is one, and its commands run.

use super::{blocks, commands, read};
use crate::process::{Dev, daypass};
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

#[test]
fn the_configuration_of_the_limits_holds_together() {
    let page = read("docs/limits.md");
    let (.., text) =
        blocks(&page).into_iter().find(|(before, ..)| *before == "<!-- config: limits -->").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (key, file) = (folder.path().join("seal.key"), folder.path().join("daypass.toml"));
    std::fs::write(&key, "00".repeat(32)).unwrap();
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    let head = "[server]\nlisten = \"127.0.0.1:5050\"\n[store]\nurl = \"sqlite:daypass.db\"\n[seal]\nkey = { file = \"seal.key\" }\n";
    std::fs::write(&file, format!("{head}{text}")).unwrap();
    let output = daypass().args(["check", "--config"]).arg(&file).output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn the_commands_about_limits_run() {
    let dev = Dev::start();
    let lines = commands(&read("docs/limits.md"));
    assert_eq!(lines.len(), 3, "{lines:?}");
    let program = format!("{} client", env!("CARGO_BIN_EXE_daypass"));
    for (line, said) in lines.iter().zip(["is limited to 50/s", "got 0 credentials today", "has no limit"]) {
        let line = format!("{} --data {}", line.replace("daypass client", &program), dev.data().display());
        let output = Command::new("sh").args(["-c", &line]).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && text.contains(said), "{line}\n{output:?}");
    }
}
