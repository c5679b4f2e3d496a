//! What the guide says of reloads and of many nodes, done.

use super::{between, read};
use crate::process::daypass;
use crate::serve::Serve;
use std::path::Path;
use std::process::{Command, Output};

const GUIDES: [&str; 2] = ["docs/run-in-production.md", "docs/run-in-production.zh-CN.md"];

/// The block of a guide under this mark.
fn block(guide: &str, mark: &str) -> String {
    between(&read(guide), &format!("<!-- {mark} -->\n```sh\n"), "```").to_owned()
}

/// Runs a block, with the program and the folder of this test in the places of the installed ones.
fn shell(folder: &Path, text: &str) -> Output {
    let program = env!("CARGO_BIN_EXE_daypass");
    let text = text.replace("/etc/daypass/", &format!("{}/daypass/", folder.display()));
    let lines = text.lines().map(|line| match line.strip_prefix("daypass ") {
        Some(rest) => format!("{program} {rest}"),
        None => line.to_owned(),
    });
    let text = lines.collect::<Vec<_>>().join("\n");
    let mut command = Command::new("sh");
    command
        .args(["-eu", "-c", &text])
        .current_dir(folder)
        .env("CREDENTIALS_DIRECTORY", folder.join("daypass"));
    command.env("DAYPASS__SERVER__LISTEN", "127.0.0.1:0").output().unwrap()
}

fn made() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let (config, data) = (folder.path().join("daypass"), folder.path().join("data"));
    let made =
        daypass().arg("init").arg(config).arg("--data").arg(data).arg("--as-credential").output().unwrap();
    assert!(made.status.success(), "{made:?}");
    folder
}

#[test]
fn a_changed_configuration_is_taken_up_by_the_commands_of_the_guide() {
    let [english, chinese] = GUIDES.map(|guide| block(guide, "reload"));
    assert_eq!(english, chinese);
    let folder = made();
    let file = folder.path().join("daypass/daypass.toml");
    let mut command = daypass();
    command
        .args(["serve", "--config"])
        .arg(&file)
        .env("CREDENTIALS_DIRECTORY", folder.path().join("daypass"));
    command.env("DAYPASS__SERVER__LISTEN", "127.0.0.1:0");
    let server = Serve::start(&mut command);
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("#log = \"info\"", "log = \"debug\"")).unwrap();
    let done = shell(folder.path(), &english);
    let said = String::from_utf8(done.stdout.clone()).unwrap();
    assert!(done.status.success() && said.contains(": no errors"), "{done:?}");
    assert!(said.contains("\nreloaded: ") && said.contains("daypass.toml is in force, sha256 "), "{said}");
    let probe = shell(folder.path(), "daypass probe --ready --config /etc/daypass/daypass.toml");
    assert!(probe.status.success(), "{probe:?}");
    server.stop();
}

#[test]
fn the_edit_for_many_nodes_names_a_database_and_its_password() {
    let [english, chinese] = GUIDES.map(|guide| block(guide, "nodes"));
    assert_eq!(english, chinese);
    let folder = made();
    let done = shell(folder.path(), &english);
    assert!(done.status.success(), "{done:?}");
    let file = folder.path().join("daypass/daypass.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let store = "\nurl = \"postgres://daypass@database/daypass?sslmode=disable\"\n\
                 password = { credential = \"db-password\" }\n";
    assert!(text.contains(store), "{text}");
    assert!(text.contains("\nproxy_protocol = [\"172.30.50.0/24\"]\n"), "{text}");
    // The edit before that one names where clients reach it.
    std::fs::write(&file, text.replace("#public_url = ", "public_url = ")).unwrap();
    assert!(read("deploy/docker/compose.nodes.yaml").contains("secrets: [seal.key, db-password]"));
    std::fs::write(folder.path().join("daypass/db-password"), "secret\n").unwrap();
    let checked = shell(folder.path(), "daypass check --config /etc/daypass/daypass.toml");
    assert!(checked.status.success(), "{checked:?}");
}
