//! The guide to the records: its commands run in order, its configuration is taken, its checker is what the tests run.

use super::{blocks, read};
use crate::export::python;
use crate::process::{Dev, daypass, json_of, token};
use std::path::Path;
use std::process::Command;

const GUIDE: &str = "docs/records.md";

#[test]
fn the_commands_of_the_guide_to_records_run_in_order() {
    let dev = Dev::start();
    json_of(&token(&["tencent"], &dev.file()));
    let folder = dev.folder.path();
    // Where a command looks for the data of a `daypass dev`.
    std::os::unix::fs::symlink(dev.data(), folder.join(".daypass")).unwrap();
    let program = Path::new(env!("CARGO_BIN_EXE_daypass")).parent().unwrap();
    let others = std::env::var_os("PATH").unwrap();
    let paths = std::env::join_paths([program.to_owned()].into_iter().chain(std::env::split_paths(&others)));
    let paths = paths.unwrap();
    let page = read(GUIDE);
    let (mut ran, mut skipped) = (0, 0);
    for (before, language, body) in blocks(&page) {
        if language == "python" {
            std::fs::write(folder.join("check_export.py"), body).unwrap();
        }
        if language != "sh" || before == "<!-- records: not run -->" {
            continue;
        }
        if body.starts_with("python3") && python().is_none() {
            skipped += 1;
            continue;
        }
        let body = body.replace("python3", python().unwrap_or("python3"));
        let mut shell = Command::new("sh");
        let shell =
            shell.args(["-euc", &body]).current_dir(folder).env("PATH", &paths).env_remove("XDG_RUNTIME_DIR");
        let output = shell.output().unwrap();
        assert!(output.status.success(), "{body}\n{output:?}");
        let text = String::from_utf8(output.stdout).unwrap();
        if body.contains("search") {
            assert!(text.contains("granted ") && text.contains("\"role\":\"soe\""), "{text}");
        }
        if body.contains("audit check ") {
            assert!(text.contains("nothing that was kept is left out"), "{text}");
        }
        ran += 1;
    }
    assert_eq!(ran + skipped, 5);
}

#[test]
fn the_configuration_of_the_guide_to_records_is_taken() {
    let page = read(GUIDE);
    let (.., body) =
        blocks(&page).into_iter().find(|(before, ..)| *before == "<!-- records: configuration -->").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let init = daypass().arg("init").current_dir(folder.path()).output().unwrap();
    assert!(init.status.success(), "{init:?}");
    let file = folder.path().join("daypass.toml");
    let whole = format!("{}\n{body}", std::fs::read_to_string(&file).unwrap());
    std::fs::write(&file, whole).unwrap();
    let check = daypass().args(["check", "--config"]).arg(&file).output().unwrap();
    assert!(check.status.success(), "{check:?}");
}
