//! The documents: their links lead somewhere, their commands run, and both languages show the same ones.

use crate::process::{Dev, daypass};
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(name: &str) -> String {
    std::fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The lines of all shell blocks, without comments.
fn commands(text: &str) -> Vec<String> {
    let blocks = text.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let lines = blocks.flat_map(str::lines).map(|line| line.split(" #").next().unwrap().trim().to_owned());
    lines.filter(|line| !line.is_empty()).collect()
}

#[test]
fn links_lead_to_files_that_exist() {
    let decisions = std::fs::read_dir(root().join("docs/decisions")).unwrap();
    let decisions = decisions.map(|entry| format!("docs/decisions/{}", entry.unwrap().file_name().display()));
    let pages =
        ["README.md", "README.zh-CN.md", "ARCHITECTURE.md", "SECURITY.md", "CONTRIBUTING.md", "CHANGELOG.md"];
    let pages: Vec<_> = pages.into_iter().map(str::to_owned).chain(decisions).collect();
    let mut checked = 0;
    for page in &pages {
        let text = read(page);
        for link in text.split("](").skip(1).map(|rest| rest.split(')').next().unwrap()) {
            if link.starts_with("http") || link.starts_with('#') {
                continue;
            }
            let target = root().join(page).parent().unwrap().join(link.split('#').next().unwrap());
            assert!(target.exists(), "{page} links to {link}, which does not exist");
            checked += 1;
        }
    }
    assert!(checked > 20, "the links were found");
}

#[test]
fn both_readmes_show_the_same_commands() {
    let (english, chinese) = (commands(&read("README.md")), commands(&read("README.zh-CN.md")));
    assert!(english.len() > 8, "{english:?}");
    assert_eq!(english, chinese);
}

#[test]
fn the_commands_of_the_readme_run() {
    let dev = Dev::start();
    let scratch = tempfile::tempdir().unwrap();
    let installed = scratch.path().join("daypass");
    let (mut asked, mut kept) = (0, 0);
    for line in commands(&read("README.md")) {
        // These two are what runs this test, or would run it again.
        if line == "./test" || line.starts_with("cargo run") {
            continue;
        }
        // The service itself runs until it is stopped; that it starts is shown elsewhere.
        if line.starts_with("daypass serve") {
            continue;
        }
        let program = env!("CARGO_BIN_EXE_daypass");
        let line = line
            .replace("http://127.0.0.1:5050", &format!("http://{}", dev.host()))
            .replace("target/release/daypass", program)
            .replace(".daypass/credentials.json", dev.file().to_str().unwrap())
            .replace("/etc/daypass", installed.to_str().unwrap());
        let line = line.strip_prefix("daypass ").map_or(line.clone(), |rest| format!("{program} {rest}"));
        let output = Command::new("sh").args(["-c", &line]).output().unwrap();
        assert!(output.status.success(), "{line}\n{output:?}");
        if line.contains(&dev.host()) || line.contains("token ") {
            // A refusal of Tencent's or TOP's comes as 200, so `curl` itself would not notice it.
            let text = String::from_utf8(output.stdout).unwrap().to_lowercase();
            assert!(!text.is_empty() && !text.contains("error"), "{line}\n{text}");
            asked += 1;
        } else {
            kept += 1;
        }
    }
    assert!(asked >= 5 && kept >= 3, "{asked} asked the server, {kept} kept the installation");
}

/// Every verb and option that the English page names exists.
#[test]
fn the_verbs_of_the_readme_exist() {
    let page = read("README.md");
    for verb in ["dev", "init", "check", "serve", "client", "ring", "audit", "token"] {
        assert!(page.contains(&format!("`{verb}")), "{verb} is in the table");
        let help = daypass().args([verb, "--help"]).output().unwrap();
        assert!(help.status.success(), "{verb}");
    }
    let dev = String::from_utf8(daypass().args(["dev", "--help"]).output().unwrap().stdout).unwrap();
    for option in ["--listen", "--data", "--credentials", "--reset", "--public-url"] {
        assert!(page.contains(option) && dev.contains(option), "{option}");
    }
}
