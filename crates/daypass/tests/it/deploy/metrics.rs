//! The dashboard and the rules ask for metrics, labels and results that exist, as the page of metrics lists them and as a
//! server of the guide's configuration tells them; and the file of a stopped node is the whole of it.

use super::{PORTS, between, read, root};
use crate::process::{daypass, send};
use crate::serve::Serve;
use crate::tls::{get, pair};
use daypass_core::refusal::{Kind, Reason};
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

const GUIDE: &str = "docs/run-in-production.md";
const RULES: &str = "deploy/prometheus/daypass.rules.yml";

/// The metrics of the page by the names of their series, each with its labels.
fn series() -> BTreeMap<String, Vec<String>> {
    let page = read("docs/metrics.md");
    let mut found = BTreeMap::new();
    for line in page.lines().filter_map(|line| line.strip_prefix("| `daypass_")) {
        let mut cells = line.split('|').map(|cell| cell.trim().trim_matches('`'));
        let (name, kind, labels) = (cells.next().unwrap(), cells.next().unwrap(), cells.next().unwrap());
        let labels: Vec<_> = labels.split(", ").map(|label| label.trim_matches('`').to_owned()).collect();
        let ends: &[&str] = match kind {
            "counter" => &["_total"],
            "info" => &["_info"],
            "histogram" => &["_bucket", "_count", "_sum"],
            _ => &[""],
        };
        found.extend(ends.iter().map(|end| (format!("daypass_{name}{end}"), labels.clone())));
    }
    assert!(found.len() >= 15, "{found:?}");
    found
}

/// The expressions of the rules, those over several lines included.
fn rules() -> Vec<String> {
    let text = read(RULES);
    let mut found: Vec<String> = Vec::new();
    let mut open = false;
    for line in text.lines() {
        if let Some(expression) = line.strip_prefix("        expr: ") {
            open = expression == ">-";
            found.push(if open { String::new() } else { expression.to_owned() });
        } else if let Some(more) = line.strip_prefix("          ").filter(|_| open) {
            found.last_mut().unwrap().push_str(more);
        } else {
            open = false;
        }
    }
    assert_eq!(found.len(), text.matches("- alert: ").count());
    assert!(found.len() > 10 && found.iter().all(|expression| !expression.is_empty()));
    found
}

/// The expressions of the dashboard's panels, and what its lists are made of.
fn panels() -> Vec<String> {
    let board: serde_json::Value = serde_json::from_str(&read("deploy/grafana/daypass.json")).unwrap();
    let targets = board["panels"].as_array().unwrap().iter().filter_map(|panel| panel["targets"].as_array());
    let mut found: Vec<_> =
        targets.flatten().map(|target| target["expr"].as_str().unwrap().to_owned()).collect();
    let lists = board["templating"]["list"].as_array().unwrap().iter();
    found.extend(lists.filter_map(|list| list["definition"].as_str().map(str::to_owned)));
    assert!(found.len() > 15);
    found
}

/// The names of our series in an expression, each with the labels that are matched behind it.
fn names(expression: &str) -> Vec<(String, Vec<String>)> {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let starts = expression.match_indices("daypass_").map(|(at, _)| &expression[at..]);
    starts
        .map(|rest| {
            let name: String = rest.chars().take_while(|c| word(*c)).collect();
            let matchers =
                rest[name.len()..].strip_prefix('{').map_or("", |rest| rest.split('}').next().unwrap());
            // A comma may stand in a value too; what then comes in front of no `=` is no label.
            let labels =
                matchers.split(',').filter_map(|matcher| Some(matcher.split_once(['=', '!'])?.0.trim()));
            (name, labels.map(str::to_owned).collect())
        })
        .collect()
}

#[test]
fn dashboard_and_rules_ask_for_what_the_page_lists() {
    let series = series();
    let mut seen = BTreeSet::new();
    for expression in rules().into_iter().chain(panels()) {
        for (name, labels) in names(&expression) {
            let known =
                series.get(&name).unwrap_or_else(|| panic!("no metric is called {name}: {expression}"));
            for label in labels {
                let own = known.contains(&label) || label == "instance" || label == "job";
                assert!(own, "{name} has no label {label}: {expression}");
            }
            seen.insert(name);
        }
    }
    // Whatever is measured is shown: of a histogram one of its series, of grants and calls the sums.
    let idle: Vec<_> = series.keys().filter(|name| !seen.contains(*name)).collect();
    assert_eq!(idle, ["daypass_upstream_call_seconds_count", "daypass_upstream_call_seconds_sum"]);
}

/// A result that no request ends with would be an alert that never comes.
#[test]
fn the_results_that_wake_somebody_are_our_own_faults() {
    let ours: BTreeSet<_> =
        Reason::ALL.iter().filter(|reason| reason.kind() == Kind::Us).map(|reason| reason.label()).collect();
    let rules = rules();
    let asked: BTreeSet<_> = rules
        .iter()
        .filter_map(|rule| rule.split_once("result=~\""))
        .flat_map(|(_, rest)| between(rest, "", "\"").split('|'))
        .collect();
    assert!(asked.is_subset(&ours), "{asked:?}");
    // Clouds have alerts of their own, and so has a flood.
    let others: Vec<_> = ours.difference(&asked).copied().collect();
    assert_eq!(others, ["overloaded", "upstream_refused", "upstream_unavailable"]);
    // On the dashboard all of them are.
    let shown = panels().into_iter().find(|panel| panel.contains("vector(0)")).unwrap();
    let shown: BTreeSet<_> = between(&shown, "result=~\"", "\"").split('|').collect();
    assert_eq!(shown, ours);
}

/// The block of the guide under this mark.
fn block(mark: &str) -> String {
    let guide = read(GUIDE);
    between(&guide, &format!("<!-- {mark} -->\n```sh\n"), "```").to_owned()
}

fn shell(folder: &Path, text: &str) {
    let done = Command::new("sh").args(["-eu", "-c", text]).current_dir(folder).output().unwrap();
    assert!(done.status.success(), "{text}\n{done:?}");
}

/// An installation as the guide makes one for a container, with its paths and ports moved into a folder.
fn installed(folder: &Path, pair: &(String, String)) {
    let config = folder.join("daypass");
    let made = daypass()
        .arg("init")
        .arg(&config)
        .arg("--data")
        .arg(folder.join("data"))
        .arg("--as-credential")
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    shell(folder, &block("edit"));
    let file = config.join("daypass.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let [_, _, metrics] = PORTS;
    for line in ["\npublic_url = \"https://pass.example.com\"\n", "\ntls = { ", "\nmetrics_reason = \""] {
        assert!(text.contains(line), "the guide's edit did not set {line}");
    }
    let moved = text
        .replace("/etc/daypass/tls/", &format!("{}/", config.display()))
        .replace(&format!("metrics = \"0.0.0.0:{metrics}\""), "metrics = \"127.0.0.1:0\"");
    assert_ne!(moved, text);
    std::fs::write(&file, moved).unwrap();
    std::fs::write(config.join("tls.crt"), &pair.0).unwrap();
    std::fs::write(config.join("tls.key"), &pair.1).unwrap();
    // As Kubernetes mounts it: for the owner and the group.
    std::fs::set_permissions(config.join("tls.key"), std::fs::Permissions::from_mode(0o440)).unwrap();
}

/// A command of the installation, as it is given in the container.
fn command(folder: &Path, args: &[&str]) -> Command {
    let mut command = daypass();
    command.args(args).arg("--config").arg(folder.join("daypass/daypass.toml"));
    command
        .env("CREDENTIALS_DIRECTORY", folder.join("daypass"))
        .env("DAYPASS__SERVER__LISTEN", "127.0.0.1:0");
    command
}

#[test]
fn the_installation_of_the_guide_is_probed_measured_and_put_back() {
    let folder = tempfile::tempdir().unwrap();
    let pair = pair(&["localhost", "pass.example.com"], 2000, 2100);
    installed(folder.path(), &pair);
    let server = Serve::start(&mut command(folder.path(), &["serve"]));
    let (address, metrics) = (&*server.host, &*server.metrics);
    for probe in ["/livez", "/readyz"] {
        assert!(get(address, probe, &pair.0).unwrap().starts_with("HTTP/1.1 200"), "{probe}");
    }
    let add = ["client", "add", "edge", "--kind", "client-secret", "--role", "orders-reader"];
    assert!(command(folder.path(), &add).output().unwrap().status.success());

    let told: BTreeSet<_> = send(metrics, "GET", "/metrics", &[], b"")
        .body
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next().map(str::to_owned))
        .collect();
    for name in rules().iter().chain(&panels()).flat_map(|expression| names(expression)).map(|(name, _)| name)
    {
        let ends = ["", "_total", "_info", "_bucket"];
        let known = ends.iter().any(|end| name.strip_suffix(end).is_some_and(|name| told.contains(name)));
        assert!(known, "the server tells nothing of {name}");
    }

    server.stop();
    let data = folder.path().join("data");
    let left: Vec<_> = std::fs::read_dir(&data).unwrap().map(|file| file.unwrap().file_name()).collect();
    let left: Vec<_> = left.into_iter().filter(|name| name != "daypass.db-reserve").collect();
    assert_eq!(left, ["daypass.db"], "one file is the whole of a stopped node");
    let stopped = folder.path().join("stopped.db");
    std::fs::copy(data.join("daypass.db"), &stopped).unwrap();
    let url = format!("sqlite:{}", stopped.display());
    let run = |args: &[&str]| {
        let done = command(folder.path(), args).env("DAYPASS__STORE__URL", &url).output().unwrap();
        assert!(done.status.success(), "{done:?}");
        String::from_utf8(done.stdout).unwrap()
    };
    assert!(run(&["audit", "verify"]).contains(" 0 faults"), "{url}");
    assert!(run(&["client", "list"]).contains("edge"), "{url}");
}

#[test]
fn the_page_of_metrics_names_the_files() {
    let page = read("docs/metrics.md");
    for file in ["deploy/prometheus/daypass.rules.yml", "deploy/grafana/daypass.json"] {
        assert!(page.contains(&format!("](../{file})")), "{file}");
        assert!(root().join(file).is_file(), "{file}");
    }
}
