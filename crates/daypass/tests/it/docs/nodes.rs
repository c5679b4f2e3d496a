//! The page about many nodes: its configuration is one, and its commands run beside nodes on a PostgreSQL.

use super::{blocks, commands, daypass, read};
use daypass_faults::cluster::Cluster;
use daypass_faults::postgres::Server;
use std::path::Path;
use std::process::Command;

#[test]
fn the_commands_about_many_nodes_run() {
    let Some(server) = Server::start() else { return };
    let program = env!("CARGO_BIN_EXE_daypass");
    let cluster = Cluster::start(Path::new(program), server, 2, str::to_owned).unwrap();
    let lines = commands(&read("docs/many-nodes.md"));
    assert_eq!(lines.len(), 5, "{lines:?}");
    for line in lines {
        let line = line.replace("daypass.toml", cluster.installation.config().to_str().unwrap());
        let line = format!("{program} {}", line.strip_prefix("daypass ").unwrap());
        let output = Command::new("sh").args(["-c", &line]).output().unwrap();
        assert!(output.status.success(), "{line}\n{output:?}");
    }
}

#[test]
fn the_configuration_of_many_nodes_is_understood() {
    let page = read("docs/many-nodes.md");
    let (.., text) = blocks(&page).into_iter().find(|(_, language, _)| *language == "toml").unwrap();
    let folder = tempfile::tempdir().unwrap();
    assert!(daypass().arg("init").arg(folder.path()).output().unwrap().status.success());
    let file = folder.path().join("daypass.toml");
    let password = folder.path().join("db-password");
    std::fs::write(&password, "secret\n").unwrap();
    let text = text.replace("[server]\n", "[server]\nlisten = \"127.0.0.1:5050\"\n");
    let text = text.replace("/etc/daypass/db-password", password.to_str().unwrap());
    std::fs::write(&file, format!("{text}\n[seal]\nkey = {{ file = \"seal.key\" }}\n")).unwrap();
    let output = daypass().args(["check", "--config"]).arg(&file).output().unwrap();
    assert!(output.status.success(), "{output:?}");
}
