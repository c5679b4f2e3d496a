//! The documents: their links lead somewhere, their commands run, and both languages show the same ones.

mod backup;
mod limits;
mod live;
mod nodes;
mod oauth;
mod policy;
mod records;
mod rotation;

use crate::process::{Dev, daypass};
use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(name: &str) -> String {
    std::fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The guides, each in both languages, with the number of blocks of code that each has at least.
const GUIDES: [(&str, usize); 25] = [
    ("docs/replace-the-sample", 5),
    ("docs/use-as-an-sts", 5),
    ("docs/use-as-an-oauth-server", 50),
    ("docs/protect-your-api", 15),
    ("docs/use-in-programs", 11),
    ("docs/going-live", 20),
    ("docs/policy-guide", 15),
    ("docs/emulate", 6),
    ("docs/run-in-production", 14),
    ("docs/check", 1),
    ("docs/backup", 8),
    ("docs/rotation", 9),
    ("docs/records", 7),
    ("docs/limits", 2),
    ("docs/many-nodes", 2),
    ("docs/metrics", 3),
    ("docs/logging", 2),
    ("docs/alibaba/README", 5),
    ("docs/alibaba/java", 3),
    ("docs/alibaba/dotnet", 1),
    ("docs/alibaba/php", 2),
    ("docs/alibaba/curl", 1),
    ("docs/alibaba/python", 4),
    ("docs/alibaba/c", 2),
    ("docs/alibaba/node", 3),
];

/// All fenced blocks: what stands on the line before the fence, the language, and the text.
fn blocks(text: &str) -> Vec<(&str, &str, &str)> {
    let mut parts = text.split("```");
    let mut before = parts.next().unwrap_or_default();
    let mut blocks = Vec::new();
    while let (Some(block), Some(after)) = (parts.next(), parts.next()) {
        let (language, body) = block.split_once('\n').unwrap();
        blocks.push((before.trim_end().lines().last().unwrap_or_default(), language, body));
        before = after;
    }
    blocks
}

/// The commands of a block of shell, each in one line.
fn lines(body: &str) -> Vec<String> {
    let joined = body.replace("\\\n", " ");
    joined.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

#[test]
fn both_languages_of_a_guide_show_the_same_code() {
    for (guide, least) in GUIDES {
        let (english, chinese) = (read(&format!("{guide}.md")), read(&format!("{guide}.zh-CN.md")));
        // Plain text blocks explain, in the language of their page.
        let code = |text: &'static str| -> Vec<_> {
            blocks(text).into_iter().filter(|(_, language, _)| *language != "text").collect()
        };
        let (english, chinese) = (code(english.leak()), code(chinese.leak()));
        assert!(english.len() >= least, "{guide}");
        let only = |blocks: &[(&str, &'static str, &'static str)]| -> Vec<_> {
            blocks.iter().map(|(_, language, body)| (*language, *body)).collect()
        };
        assert_eq!(only(&english), only(&chinese), "{guide}");
    }
}

/// What a guide shows is what the tests with real clients run.
#[test]
fn code_of_a_guide_stands_in_the_snippet_that_it_names() {
    let mut checked = 0;
    for (guide, _) in GUIDES {
        for (before, _, body) in blocks(&read(&format!("{guide}.md"))) {
            let Some(name) = before.strip_prefix("<!-- from ").and_then(|rest| rest.strip_suffix(" -->"))
            else {
                continue;
            };
            assert!(read(name).contains(body), "{guide}: {name} does not hold\n{body}");
            checked += 1;
        }
    }
    assert!(checked >= 24, "{checked} snippets were found");
}

/// The configuration of the guide, with each of the callers that it shows, is taken by `check`.
#[test]
fn the_configuration_of_the_guide_holds_together() {
    let page = read("docs/replace-the-sample.md");
    let blocks = blocks(&page);
    let marked = |name: &str| {
        let mark = format!("<!-- config: {name} -->");
        blocks.iter().find(|(before, ..)| *before == mark).map(|(_, _, body)| (*body).to_owned()).unwrap()
    };
    let whole = marked("session");
    let caller = whole.lines().find(|line| line.starts_with("caller")).unwrap().to_owned();
    let others =
        blocks.iter().filter(|(_, language, body)| *language == "toml" && body.contains("caller = {"));
    let mut variants = vec![whole.clone()];
    variants.extend(others.map(|(_, _, body)| whole.replace(&caller, body)));
    // The provider belongs to the tenant, in front of the endpoint; who is unknown has no folder of its own.
    let provider = format!("{}\n[[endpoint]]", marked("jwt"));
    for variant in &mut variants {
        *variant = variant.replacen("[[endpoint]]", &provider, 1);
        if variant.contains("anonymous") {
            *variant = variant.replace("variables = { subject = \"slug\" }\n", "").replace("{subject}/", "");
            *variant = variant.replace("30m", "15m");
        }
    }
    assert_eq!(variants.len(), 4);
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("seal.key");
    std::fs::write(&key, "00".repeat(32)).unwrap();
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    for variant in variants {
        let file = folder.path().join("daypass.toml");
        std::fs::write(&file, &variant).unwrap();
        let output = daypass().args(["check", "--config"]).arg(&file).output().unwrap();
        assert!(output.status.success(), "{variant}\n{output:?}");
    }
    std::fs::write(folder.path().join("daypass.toml"), &whole).unwrap();
    let lines = commands(&page);
    assert_eq!(lines.len(), 1, "{lines:?}");
    for line in lines {
        let line = line.replace("daypass client", &format!("{} client", env!("CARGO_BIN_EXE_daypass")));
        let output = Command::new("sh").args(["-c", &line]).current_dir(folder.path()).output().unwrap();
        assert!(output.status.success(), "{line}\n{output:?}");
    }
}

/// The lines of all shell blocks, without comments.
fn commands(text: &str) -> Vec<String> {
    let blocks = text.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let lines = blocks.flat_map(str::lines).map(|line| line.split(" #").next().unwrap().trim().to_owned());
    lines.filter(|line| !line.is_empty()).collect()
}

/// What a link to this heading ends with, as the usual hosts of Markdown have it.
fn anchored(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = text.chars().filter(|c| c.is_alphanumeric() || "-_ ".contains(*c));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

/// Whoever writes an API behind a proxy reads there which headers it can go by.
#[test]
fn the_guide_names_every_header_that_an_api_behind_a_proxy_gets() {
    for page in ["docs/protect-your-api.md", "docs/protect-your-api.zh-CN.md"] {
        let text = read(page).to_ascii_lowercase();
        for name in daypass_dialects::verify::forward::IDENTITY {
            assert!(text.contains(&format!("`{name}`")), "{page} says nothing of {name}");
        }
    }
}

#[test]
fn links_lead_to_files_that_exist() {
    let decisions = std::fs::read_dir(root().join("docs/decisions")).unwrap();
    let decisions = decisions.map(|entry| format!("docs/decisions/{}", entry.unwrap().file_name().display()));
    let pages =
        ["README.md", "README.zh-CN.md", "ARCHITECTURE.md", "SECURITY.md", "CONTRIBUTING.md", "CHANGELOG.md"];
    let guides = GUIDES.iter().flat_map(|(name, _)| [format!("{name}.md"), format!("{name}.zh-CN.md")]);
    let pages: Vec<_> = pages.into_iter().map(str::to_owned).chain(decisions).chain(guides).collect();
    let mut checked = 0;
    for page in &pages {
        let text = read(page);
        for link in text.split("](").skip(1).map(|rest| rest.split(')').next().unwrap()) {
            if link.starts_with("http") {
                continue;
            }
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = match file {
                "" => root().join(page),
                file => root().join(page).parent().unwrap().join(file),
            };
            assert!(target.exists(), "{page} links to {link}, which does not exist");
            if !anchor.is_empty() {
                let text = std::fs::read_to_string(&target).unwrap();
                let headings = text.lines().filter(|line| line.starts_with('#'));
                assert!(
                    headings.map(anchored).any(|name| name == anchor),
                    "{page} links to {link}, which has none"
                );
            }
            checked += 1;
        }
    }
    assert!(checked > 20, "the links were found");
}

#[test]
fn every_decision_is_in_the_index() {
    let index = read("docs/decisions/README.md");
    let pages = std::fs::read_dir(root().join("docs/decisions")).unwrap();
    let pages: Vec<_> = pages.map(|page| page.unwrap().file_name().into_string().unwrap()).collect();
    for page in pages.iter().filter(|page| *page != "README.md") {
        assert!(index.contains(&format!("({page})")), "{page}");
    }
    assert!(pages.len() > 20, "{pages:?}");
}

/// All sources below a folder, in one text.
fn sources(folder: &Path) -> String {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.fold(String::new(), |text, path| match path.extension() {
        None if path.is_dir() => text + &sources(&path),
        Some(kind) if kind == "rs" => text + &std::fs::read_to_string(&path).unwrap(),
        _ => text,
    })
}

/// A rule whose test was renamed or removed looks held, and is not.
#[test]
fn the_tests_that_hold_what_is_defended_exist() {
    let page = read("SECURITY.md");
    let section = |heading: &str| {
        let (_, section) = page.split_once(&format!("\n## {heading}\n")).unwrap();
        section.split("\n## ").next().unwrap()
    };
    let sections = [
        "OAuth clients and their tokens",
        "Credentials in programs",
        "Clouds behind it",
        "Questions of other people's APIs",
        "Floods",
    ]
    .map(section);
    let all = sources(&root().join("crates"));
    let rows = sections
        .into_iter()
        .flat_map(str::lines)
        .filter(|line| line.starts_with("| ") && !line.starts_with("| against "));
    let mut named = 0;
    for row in rows {
        let (_, tests) = row.trim_end_matches(" |").rsplit_once(" | ").unwrap();
        for test in tests.split(", ") {
            let name = test.trim_matches('`');
            assert!(all.contains(&format!("fn {name}(")), "{row}\n{name}");
            named += 1;
        }
    }
    assert!(named >= 50, "{named} tests are named");
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
    let pages = ["README.md", "docs/use-as-an-sts.md", "docs/use-in-programs.md", "docs/alibaba/README.md"];
    for line in pages.iter().flat_map(|page| commands(&read(page))) {
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
        // What the commands keep from one to the next goes with the test.
        let mut shell = Command::new("sh");
        let output = shell.args(["-c", &line]).env("XDG_RUNTIME_DIR", scratch.path()).output().unwrap();
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
    assert!(asked >= 8 && kept >= 3, "{asked} asked the server, {kept} kept the installation");
}

/// The verbs below this one, as the help of the program lists them.
fn verbs(of: &[&str]) -> Vec<String> {
    let help = daypass().args(of).arg("--help").output().unwrap();
    assert!(help.status.success(), "{of:?}: {help:?}");
    let help = String::from_utf8(help.stdout).unwrap();
    let listed = help.split_once("\nCommands:\n").map_or("", |(_, rest)| rest).lines();
    listed
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.strip_prefix("  ")?.split(' ').next())
        .filter(|verb| !verb.is_empty() && *verb != "help")
        .map(str::to_owned)
        .collect()
}

/// The verbs that the table of a page names. One that stands behind `client add` may be a verb of `client`.
fn named(page: &str) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for row in page.lines().filter(|line| line.starts_with("| `")) {
        let mut above = "";
        for name in row.split('`').skip(1).step_by(2) {
            match name.split_once(' ') {
                Some((verb, _)) => above = verb,
                None => _ = all.insert(format!("{above} {name}")),
            }
            all.insert(name.to_owned());
        }
    }
    all
}

/// Every verb that the program has stands in the table of both pages; and every option that they name of `dev` exists.
#[test]
fn the_verbs_of_the_program_are_those_of_the_readme() {
    let pages = ["README.md", "README.zh-CN.md"].map(|name| (name, named(&read(name))));
    let above = verbs(&[]);
    assert!(above.len() > 25, "{above:?}");
    for verb in &above {
        // The vendors, which stand under `token`; and the list of what is frozen has two names.
        let other = ["env", "exec", "credential-process", "agent", "thaw"].contains(&verb.as_str());
        let below = if other { Vec::new() } else { verbs(&[verb]) };
        for verb in below.iter().map(|name| format!("{verb} {name}")).chain([verb.clone()]) {
            for (page, named) in &pages {
                let known =
                    named.contains(&verb) || named.iter().any(|name| name.starts_with(&format!("{verb} ")));
                assert!(known, "`{verb}` is not in {page}");
            }
        }
    }
    let page = read("README.md");
    let dev = String::from_utf8(daypass().args(["dev", "--help"]).output().unwrap().stdout).unwrap();
    for option in ["--listen", "--data", "--credentials", "--reset", "--public-url"] {
        assert!(page.contains(option) && dev.contains(option), "{option}");
    }
}
