//! Two operators who do the same at once, or change the same client: one is told, and what was said to be done is done.

use super::{Dev, Load, On, Site, is_away, root_keys, soon};
use daypass_faults::ask::Dialect;
use serde_json::Value;
use std::process::Output;

/// Both commands at once.
fn at_once(site: &Site, commands: [&[&str]; 2]) -> [Output; 2] {
    commands.map(|args| site.spawn(args)).map(|child| child.wait_with_output().unwrap())
}

/// What a command said that was refused.
fn refusal(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let said: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {output:?}"));
    said["message"].as_str().unwrap().to_owned()
}

fn is_refused(output: &Output) -> bool {
    output.status.code() == Some(1)
}

/// The same command twice at once: it is done once.
fn once(site: &Site, args: &[&str]) {
    let both = at_once(site, [args, args]);
    if both.iter().any(is_away) {
        // Who was first cannot be told then. It is done once all the same: a third one is refused.
        soon("it is done", || is_refused(&site.cli(args)));
        return;
    }
    let (done, refused): (Vec<_>, Vec<_>) = both.iter().partition(|output| output.status.success());
    assert_eq!((done.len(), refused.len()), (1, 1), "{args:?}: {both:?}");
    assert!(!refusal(refused[0]).is_empty());
}

/// Every rotation that an operator makes by hand, by two of them at once.
fn raced(on: On) {
    let cloud = Dev::start();
    let Some((mut site, _)) = root_keys::site(on, &cloud) else { return };
    site.start();
    let load = Load::start(&site, &[Dialect::Tencent, Dialect::Entra, Dialect::Top]);
    load.goes_on(5);
    for _ in 0..2 {
        let (_, file) = root_keys::second(&cloud, &site);
        once(&site, &["root-key", "stage", "main", "--from", file.to_str().unwrap()]);
        once(&site, &["root-key", "promote", "main"]);
        once(&site, &["root-key", "drop", "main", "--slot", standby(&site)]);
        let live = cloud.cli(&["client", "show", "gateway", "--json"]);
        let shown: Value = serde_json::from_slice(&live.stdout).unwrap();
        let active = site.done(&["root-key", "list"])["keys"][0]["key"].clone();
        let keys = shown["keys"].as_array().unwrap().iter();
        for key in keys.filter(|key| key["state"] == "live" && key["id"] != active) {
            let ended = cloud.cli(&["client", "retire", "gateway", key["id"].as_str().unwrap(), "--force"]);
            assert!(ended.status.success(), "{ended:?}");
        }
    }
    for purpose in ["rest", "record", "pepper"] {
        once(&site, &["ring", "prepare", purpose]);
        once(&site, &["ring", "activate", purpose, "--force"]);
    }
    // A third live key of a kind is nobody's.
    site.done(&["client", "add", "other", "--kind", "tencent", "--kind", "ticket", "--role", "cheap"]);
    for kind in ["tencent", "ticket"] {
        once(&site, &["client", "rotate", "other", "--kind", kind]);
        let shown = site.done(&["client", "show", "other"]);
        let live = shown["keys"].as_array().unwrap().iter();
        assert_eq!(live.filter(|key| key["kind"] == kind && key["state"] == "live").count(), 2);
    }
    load.goes_on(5);
    load.settle(&site);
}

/// The slot of the key that stands by.
fn standby(site: &Site) -> &'static str {
    let listed = site.done(&["root-key", "list"]);
    let keys = listed["keys"].as_array().unwrap();
    let key = keys.iter().find(|key| key["state"] == "standby").unwrap();
    if key["slot"] == "a" { "a" } else { "b" }
}

#[test]
fn of_two_operators_who_rotate_at_once_one_is_told() {
    raced(On::Sqlite);
}

#[test]
fn of_two_operators_who_rotate_at_once_on_postgresql_one_is_told() {
    raced(On::Postgres);
}

/// Two operators change one client at once, again and again: whoever was told that it is done, finds it done.
fn changed(on: On) {
    let Some(site) = Site::new(on, str::to_owned) else { return };
    site.done(&["client", "add", "other", "--kind", "tencent", "--role", "soe"]);
    for round in 0..8_u64 {
        let daily = (100 + round).to_string();
        let role = ["cheap", "dear"][usize::try_from(round % 2).unwrap()];
        let verb = ["grant", "ungrant"][usize::try_from(round / 2 % 2).unwrap()];
        let one = ["client", "limit", "other", "--daily", &daily];
        let two = ["client", verb, "other", "--role", role];
        let both = at_once(&site, [&one, &two]);
        let done = both.iter().any(|output| output.status.success() || is_away(output));
        assert!(done, "nobody has done anything: {both:?}");
        let client = &site.shown(&["client", "show", "other"])["client"];
        if both[0].status.success() {
            assert_eq!(client["limit"]["daily"].as_u64(), Some(100 + round), "{client}");
        }
        if both[1].status.success() {
            let grants = client["grants"].as_array().unwrap();
            let has = grants.iter().any(|grant| grant["role"] == role);
            assert_eq!(has, verb == "grant", "{verb} {role}: {client}");
        }
        for output in both.iter().filter(|output| !output.status.success() && !is_away(output)) {
            let why = refusal(output);
            assert!(
                why.contains("has changed meanwhile") && why.contains("daypass client show other"),
                "{why}"
            );
        }
    }
    site.installation.done(&["audit", "verify"]).unwrap();
}

#[test]
fn of_two_who_change_a_client_at_once_none_undoes_what_the_other_did() {
    changed(On::Sqlite);
}

#[test]
fn of_two_who_change_a_client_at_once_on_postgresql_none_undoes_what_the_other_did() {
    changed(On::Postgres);
}
