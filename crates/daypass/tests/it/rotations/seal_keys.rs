//! Two nodes that are started with the next seal key at once.

use super::{HANGS, Load, On, Site, Value, soon};
use daypass_faults::ask::{Dialect, once};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// Makes a seal key as an operator does. Gives its file and its id.
fn made(site: &Site, name: &str) -> (PathBuf, String) {
    let file = site.folder.path().join(name);
    let mut command = site.installation.command();
    let made = command.args(["ring", "seal-key", "--json"]).arg(&file).output().unwrap();
    let made: Value = serde_json::from_slice(&made.stdout).unwrap();
    (file, made["seal_key"].as_str().unwrap().to_owned())
}

/// The configuration of a node that wraps by one key what was wrapped by the other.
fn turned(site: &Site, text: &str, key: &Path, previous: Option<&Path>) -> String {
    let old = format!("key = {{ file = \"{}\" }}", site.folder.path().join("seal.key").display());
    assert!(text.contains(&old), "{text}");
    let previous = previous.map(|path| format!("\nprevious = {{ file = \"{}\" }}", path.display()));
    text.replace(&old, &format!("key = {{ file = \"{}\" }}{}", key.display(), previous.unwrap_or_default()))
}

/// By which seal keys the ring is wrapped, as one who has this configuration sees it; none where it cannot be opened.
fn wrapped_by(site: &Site, number: usize) -> Option<Vec<String>> {
    let mut command = site.installation.command();
    let output =
        command.args(["ring", "list", "--json", "--config"]).arg(&site.files[number]).output().unwrap();
    if output.status.code() == Some(2) {
        return None;
    }
    assert!(output.status.success(), "{output:?}");
    let rows: Value = serde_json::from_slice(&output.stdout).unwrap();
    let kept = rows.as_array().unwrap().iter().filter(|row| row["state"] != "gone");
    let mut ids: Vec<_> = kept.map(|row| row["seal_key"].as_str().unwrap_or_default().to_owned()).collect();
    ids.sort();
    ids.dedup();
    Some(ids)
}

fn readiness(address: SocketAddr) -> String {
    let answer = once(address, b"GET /readyz HTTP/1.1\r\nhost: here\r\nconnection: close\r\n\r\n", HANGS);
    answer.map(|answer| answer.body).unwrap_or_default()
}

/// Both are given the same next key and started at once: one wraps, and both serve.
fn raced(on: On) {
    let Some(mut site) = Site::new(on, str::to_owned) else { return };
    let first = site.folder.path().join("seal.key");
    site.start();
    let load = Load::start(&site, &[Dialect::Tencent, Dialect::Entra]);
    load.goes_on(5);
    load.settle(&site);
    let mut key = first;
    for generation in 1..=3 {
        let (new, id) = made(&site, &format!("seal-{generation}.key"));
        for number in 0..2 {
            site.nodes[number].take().unwrap().stop().unwrap();
            site.configure(number, |text| turned(&site, text, &new, Some(&key)));
        }
        site.start();
        let of_both = |site: &Site| (0..2).all(|number| wrapped_by(site, number) == Some(vec![id.clone()]));
        soon("the ring is wrapped by the new key", || of_both(&site));
        key = new;
        for number in 0..2 {
            soon("nobody lacks a seal key", || !readiness(site.addresses[number]).contains("seal key"));
        }
    }
    // The operator's own place has the newest key as well.
    std::fs::copy(&key, site.folder.path().join("seal.key")).unwrap();
    let load = Load::start(&site, &[Dialect::Tencent, Dialect::Entra]);
    load.goes_on(10);
    load.settle(&site);
    let changes = site.changes("ring.wrap");
    assert_eq!(changes.get("ring.wrap"), Some(&3), "once for each key, whoever was first: {changes:?}");
}

#[test]
fn of_two_nodes_that_wrap_at_once_one_does_it_and_both_serve() {
    raced(On::Sqlite);
}

#[test]
fn of_two_nodes_that_wrap_at_once_on_postgresql_one_does_it_and_both_serve() {
    raced(On::Postgres);
}

/// Two operators who do not know of each other have made a key each. One is first; the other's node can open nothing, and says so or
/// is refused its start. Nothing is wrapped by both.
fn disagreed(on: On) {
    let Some(mut site) = Site::new(on, str::to_owned) else { return };
    let first = site.folder.path().join("seal.key");
    let keys = [made(&site, "one.key"), made(&site, "other.key")];
    for (number, (key, _)) in keys.iter().enumerate() {
        site.configure(number, |text| turned(&site, text, key, Some(&first)));
    }
    (0..2).for_each(|number| site.begin(number));
    let seen = |site: &Site| [wrapped_by(site, 0), wrapped_by(site, 1)];
    let won = |seen: &[Option<Vec<String>>; 2]| (0..2).find(|n| seen[*n] == Some(vec![keys[*n].1.clone()]));
    soon("one of them is first", || won(&seen(&site)).is_some());
    let winner = won(&seen(&site)).unwrap();
    let loser = 1 - winner;
    site.ready(winner);
    let address = site.addresses[loser];
    soon("the other is told", || {
        let node = site.nodes[loser].as_mut().unwrap();
        let said = if node.is_running() { readiness(address) } else { node.log() };
        let wanted = ["has not the seal key for", &format!("needs the seal key {}", keys[winner].1)];
        wanted.iter().any(|words| said.contains(words))
    });
    assert_eq!(wrapped_by(&site, loser), None, "a command with its configuration is refused");
    // Nothing was lost: given the winner's key as well, it serves.
    drop(site.nodes[loser].take());
    site.configure(loser, |text| turned(&site, text, &keys[winner].0, Some(&keys[loser].0)));
    site.begin(loser);
    site.ready(loser);
    std::fs::copy(&keys[winner].0, &first).unwrap();
    let load = Load::start(&site, &[Dialect::Tencent, Dialect::Entra]);
    load.goes_on(10);
    load.settle(&site);
    assert_eq!(site.changes("ring.wrap").get("ring.wrap"), Some(&1));
}

#[test]
fn of_two_seal_keys_at_once_one_counts_and_the_other_node_is_told() {
    disagreed(On::Sqlite);
}

#[test]
fn of_two_seal_keys_at_once_on_postgresql_one_counts_and_the_other_node_is_told() {
    disagreed(On::Postgres);
}
