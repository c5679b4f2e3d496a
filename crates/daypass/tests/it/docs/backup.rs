//! The guide to backups: its commands run in order, on a store that is then lost.

use super::{blocks, read};
use crate::process::daypass;
use daypass_faults::postgres::Server;
use std::path::Path;
use std::process::Command;

const GUIDE: &str = "docs/backup.md";
/// What the guide calls the database.
const DATABASE: &str = "postgres://daypass@db.example.com/daypass";

#[test]
fn the_commands_of_the_guide_to_backups_run_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let run = |args: &[&str]| {
        let output = daypass().args(args).current_dir(folder).output().unwrap();
        assert!(output.status.success(), "{args:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    run(&["init"]);
    run(&["client", "add", "edge", "--kind", "tencent", "--role", "soe"]);
    let program = Path::new(env!("CARGO_BIN_EXE_daypass")).parent().unwrap();
    let others = std::env::var_os("PATH").unwrap();
    let paths = std::env::join_paths([program.to_owned()].into_iter().chain(std::env::split_paths(&others)));
    let paths = paths.unwrap();
    let server = Server::start();
    let (mut ran, mut left) = (0, 0);
    let page = read(GUIDE);
    for (before, language, body) in blocks(&page) {
        if language != "sh" {
            continue;
        }
        let mut body = body.to_owned();
        match before {
            // Tried with the tool where there is one (`backup::files`).
            "<!-- backup: the standard tool -->" => {
                left += 1;
                continue;
            }
            // Of records that are damaged (`backup::damage`).
            "<!-- backup: not run -->" => continue,
            "<!-- backup: the machine is lost -->" => {
                std::fs::remove_dir_all(folder.join("data")).unwrap();
                std::fs::create_dir(folder.join("data")).unwrap();
            }
            "<!-- backup: move -->" => {
                let Some(server) = &server else {
                    left += 1;
                    continue;
                };
                assert!(body.contains(DATABASE));
                body = body.replace(DATABASE, &format!("'{}'", server.url(&server.database())));
            }
            _ => (),
        }
        let mut shell = Command::new("sh");
        let shell = shell.args(["-euc", &body]).current_dir(folder).env("PATH", &paths);
        let output = shell.env_remove("XDG_RUNTIME_DIR").output().unwrap();
        assert!(output.status.success(), "{body}\n{output:?}");
        let text = String::from_utf8(output.stdout).unwrap();
        if body.contains("restore") {
            assert!(text.contains("nothing that was issued until"), "{text}");
            assert!(run(&["client", "list"]).contains("edge"));
        }
        ran += 1;
    }
    assert_eq!(ran + left, 8);
}
