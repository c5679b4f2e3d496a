//! The policy guide: its commands run in their order in a folder with its configuration, each answer that it shows is the
//! one that comes, and its table of decisions is what the rules decide.

use super::{blocks, lines, read};
use crate::process::daypass;
use daypass_core::dialect::{Excess, Form, Issue, RoleChoice};
use daypass_core::policy::{
    Access, Effect, Language, Part, Pattern, Policy, Template, Verdict, rehearse, verdict,
};
use daypass_core::refusal::Reason;
use daypass_core::role::Role;
use daypass_core::testing::{World, allow};
use daypass_core::triple::TripleKind;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;

const GUIDE: &str = "docs/policy-guide.md";
/// How long the server may take to answer for the first time.
const PATIENCE: Duration = Duration::from_mins(1);

/// A folder with the guide's configuration, and its server once a command needs it.
struct Folder {
    place: TempDir,
    port: u16,
    server: Option<Child>,
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Some(server) = &mut self.server {
            let _ = server.kill();
            let _ = server.wait();
        }
    }
}

impl Folder {
    fn new(config: &str) -> Self {
        let port = daypass_faults::port::free_address().unwrap().port();
        let folder = Self { place: tempfile::tempdir().unwrap(), port, server: None };
        folder.write("daypass.toml", config);
        folder
    }

    fn at(&self, name: &str) -> std::path::PathBuf {
        self.place.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.at(name), text.replace("127.0.0.1:5050", &format!("127.0.0.1:{}", self.port)))
            .unwrap();
    }

    /// A block of shell, in which `daypass` is this program.
    fn run(&self, script: &str) -> Output {
        let program = Path::new(env!("CARGO_BIN_EXE_daypass")).parent().unwrap();
        let others = std::env::var_os("PATH").unwrap();
        let paths = [program.to_owned()].into_iter().chain(std::env::split_paths(&others));
        Command::new("sh")
            .args(["-euc", &script.replace("127.0.0.1:5050", &format!("127.0.0.1:{}", self.port))])
            .current_dir(self.place.path())
            .env("PATH", std::env::join_paths(paths).unwrap())
            .output()
            .unwrap()
    }

    fn serve(&mut self) {
        let log = std::fs::File::create(self.at("log")).unwrap();
        let mut command = daypass();
        command.args(["serve", "--config"]).arg(self.at("daypass.toml")).current_dir(self.place.path());
        self.server = Some(command.stdout(Stdio::null()).stderr(log).spawn().unwrap());
        let late = Instant::now() + PATIENCE;
        while !self.run("curl -sS --fail http://127.0.0.1:5050/livez").status.success() {
            assert!(Instant::now() < late, "{}", std::fs::read_to_string(self.at("log")).unwrap());
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

/// Whether an output has these lines in their order. `…` stands for any lines; without one between them, they follow each
/// other.
fn has(output: &str, shown: &str) -> bool {
    let output: Vec<_> = output.lines().map(str::trim_end).collect();
    let mut rest = &output[..];
    for part in shown.split("…\n") {
        let part: Vec<_> = part.lines().map(str::trim_end).collect();
        let Some(at) = (0..=rest.len().saturating_sub(part.len())).find(|n| rest[*n..].starts_with(&part))
        else {
            return false;
        };
        rest = &rest[at + part.len()..];
    }
    true
}

#[test]
fn the_commands_of_the_policy_guide_run_as_they_stand() {
    let page = read(GUIDE);
    let all = blocks(&page);
    let (_, _, config) = all.iter().find(|(before, ..)| *before == "<!-- config -->").unwrap();
    let mut folder = Folder::new(config);
    let (mut ran, mut compared) = (0, 0);
    for (n, (before, language, body)) in all.iter().enumerate() {
        if let Some(name) = before.strip_prefix("<!-- file: ").and_then(|rest| rest.strip_suffix(" -->")) {
            folder.write(name, body);
        }
        if *language != "sh" {
            continue;
        }
        if *before == "<!-- server -->" {
            folder.serve();
        }
        let exit = before.strip_prefix("<!-- exit: ").and_then(|rest| rest.strip_suffix(" -->"));
        let exit = exit.map_or(0, |code| code.parse().unwrap());
        let output = folder.run(body);
        assert_eq!(output.status.code(), Some(exit), "{body}\n{output:?}");
        ran += lines(body).len();
        let shown = all
            .get(n + 1)
            .filter(|(before, language, _)| (*before, *language) == ("<!-- output -->", "console"));
        if let Some((.., shown)) = shown {
            let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
            assert!(has(&said, shown), "{body}\n{said}\nis not\n{shown}");
            compared += 1;
        }
    }
    assert!(ran >= 14 && compared >= 7, "{ran} lines were run, {compared} answers compared");
}

#[test]
fn an_output_that_differs_is_noticed() {
    let output = "a\nb  \nc\nd\n";
    for (shown, good) in [
        ("a\nb\n", true),
        ("b\n…\nd\n", true),
        ("…\nc\n", true),
        ("a\nc\n", false),
        ("d\n…\na\n", false),
        ("e\n", false),
        ("a\nb\nc\nd\ne\n", false),
    ] {
        assert_eq!(has(output, shown), good, "{shown}");
    }
}

/// A document that says this of uploading, and allows something else, so that it is never empty.
fn document(word: &str) -> Option<Policy> {
    let mut policy = allow(Language::Ram, "oss:GetObject", "*");
    match word {
        "-" => return None,
        "absent" => {}
        "allow" | "deny" => {
            let mut statement = allow(Language::Ram, "oss:PutObject", "*").statements.remove(0);
            if word == "deny" {
                statement.effect = Effect::Deny;
                // It is denied where it would be allowed otherwise, too.
                policy.statements.push(allow(Language::Ram, "oss:Put*", "*").statements.remove(0));
            }
            policy.statements.push(statement);
        }
        other => panic!("what is {other}?"),
    }
    Some(policy)
}

/// An ask denies what it does not want, and asks for nothing that it denies.
fn asked(word: &str) -> Option<Policy> {
    let mut policy = document(word)?;
    policy.statements.retain(|statement| {
        statement.effect == Effect::Deny || statement.actions.iter().all(Pattern::is_literal)
    });
    Some(policy)
}

/// What comes of these documents: `allowed`, `denied` or `refused`.
fn decided(role: &str, boundary: &str, ask: &str, excess: Excess) -> &'static str {
    let mut world = World::new();
    for one in world.plan.roles.iter_mut().filter(|one| one.name == "store-upload") {
        let template = Template::new(document(role).unwrap(), &BTreeMap::new()).unwrap();
        *one = Arc::new(Role { policy: Some(template), variables: BTreeMap::new(), ..Role::clone(one) });
    }
    Arc::make_mut(&mut world.plan.tenants[0]).boundary = document(boundary);
    let issue = Issue {
        policy: asked(ask),
        excess,
        ..Issue::new(RoleChoice::Named("store-upload".into()), Form::Triple(TripleKind::Alibaba))
    };
    let part = Part::Client(Arc::new(world.client.clone()));
    match rehearse(&world.directory(), &world.plan.tenants[0], &part, "/", &issue) {
        Err(refusal) => {
            assert_eq!(refusal.reason, Reason::PolicyTooWide, "{role} {boundary} {ask}");
            "refused"
        }
        Ok(given) => {
            let access = Access { action: "oss:PutObject", resource: "acs:oss:r:1:b/1" };
            match verdict(given.policy().unwrap(), access) {
                Verdict::Allowed(_) => "allowed",
                Verdict::Denied(_) => "denied",
                Verdict::Depends(_) => panic!("there are no conditions"),
            }
        }
    }
}

/// The rows of the table of decisions, without its head.
fn rows(page: &str) -> Vec<Vec<&str>> {
    let (_, table) = page.split_once("<!-- decisions -->\n").unwrap();
    let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    rows.map(|row| row.trim_matches('|').split('|').map(str::trim).collect()).collect()
}

#[test]
fn the_table_of_decisions_is_what_is_decided() {
    let page = read(GUIDE);
    let rows = rows(&page);
    assert_eq!(rows.len(), 12);
    for row in &rows {
        let [role, boundary, results @ ..] = row.as_slice() else { panic!("{row:?}") };
        for (ask, result) in ["-", "allow", "deny", "absent"].into_iter().zip(results) {
            assert_eq!(decided(role, boundary, ask, Excess::Refused), *result, "{row:?} {ask}");
            // Alibaba Cloud's AssumeRole cuts where others refuse.
            let cut = if *result == "refused" { "denied" } else { result };
            assert_eq!(decided(role, boundary, ask, Excess::CutOff), cut, "{row:?} {ask}");
        }
    }
    let kinds: std::collections::BTreeSet<_> = rows.iter().map(|row| (row[0], row[1])).collect();
    assert_eq!(kinds.len(), 12, "each combination once");
    let chinese = read("docs/policy-guide.zh-CN.md");
    assert_eq!(self::rows(&chinese), rows);
}
