//! Records that are not what was written: nothing carries them unasked, and whoever asks for it carries just what was there.

use super::{Served, Site};
use daypass_faults::postgres::Server;
use serde_json::Value;
use std::collections::BTreeSet;

/// What is done to the file of a store that nobody has open: a bit of a document, so that it is no text any more; a MAC; and what
/// only the file's own sum tells, the tenant's name beside a record.
const HARM: &str = "
    UPDATE records SET document = CAST(x'ff' || substr(document, 2) AS BLOB) WHERE position = 7;
    UPDATE records SET mac = zeroblob(32) WHERE position = 11;
    UPDATE records SET tenant = 'somebody' WHERE position = 13;
";

/// A store with damaged records, which nobody has open.
fn damaged() -> Site {
    let served = Served::start(Site::on(None));
    served.grants(30);
    let Served { site, node, .. } = served;
    node.stop().unwrap();
    let file = rusqlite::Connection::open(site.installation.database()).unwrap();
    file.execute_batch(HARM).unwrap();
    file.close().unwrap();
    site
}

/// What `audit verify` says of the chains.
fn faults(site: &Site) -> BTreeSet<String> {
    let output = site.installation.cli(&["audit", "verify", "--json"]).unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    let all = said["faults"].as_array().unwrap().iter();
    all.filter(|fault| fault["fault"] == "changed").map(ToString::to_string).collect()
}

/// Runs a command that is refused for the damage, and then the same with the word that carries it.
fn despite(site: &Site, args: &[&str]) {
    let said = site.refused(1, args);
    assert!(said.contains("--despite-damage") && said.contains("of writer"), "{said}");
    let output = site.installation.cli(&[args, &["--despite-damage"]].concat()).unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{args:?}: {said}");
    // At least these: what follows a changed record does not follow it any more.
    for told in [
        "faults in the records are carried",
        "position 7 is not what its sum says",
        "position 13 is not what its sum",
    ] {
        assert!(said.contains(told), "{told}: {said}");
    }
}

fn warned(site: &Site, of: &str) {
    let said = site.done(&["audit", "search", "--event", "records.damaged"]);
    assert!(said.contains("WARNING records.damaged") && said.contains(of), "{said}");
    assert!(said.contains("position 13 is not what its sum says"), "{said}");
}

#[test]
fn damaged_records_are_backed_up_and_restored_as_they_are_when_somebody_says_so() {
    let site = damaged();
    let before = faults(&site);
    assert!(before.len() >= 2, "{before:?}");
    let (key, recipient) = site.key("backup.key");
    let file = site.path("store.backup").display().to_string();
    let make = ["backup", "--to", &recipient, "--out", &file];
    site.refused(1, &make);
    assert!(!site.path("store.backup").exists(), "nothing is left of what was refused");
    despite(&site, &make);
    let stood = site.installation.cli(&["audit", "tail", "-n", "2", "--json"]).unwrap();
    let stood = String::from_utf8_lossy(&stood.stdout).into_owned();
    assert!(stood.contains("store.backup") && stood.contains("records.damaged"), "{stood}");

    despite(&site, &["backup", "verify", &file, "--identity", &key]);

    let empty = site.empty(None);
    empty.refused(1, &["restore", &file, "--identity", &key]);
    assert!(!empty.installation.database().exists(), "nothing was written");
    despite(&empty, &["restore", &file, "--identity", &key]);
    assert_eq!(faults(&empty), before, "the same damage, and no other");
    warned(&empty, "position 7");
    // It is served from like any other.
    empty.installation.start().unwrap().stop().unwrap();
    assert_eq!(faults(&empty), before);
}

#[test]
fn a_store_with_damaged_records_moves_with_them_when_somebody_says_so() {
    let Some(server) = Server::start() else { return };
    let site = damaged();
    let before = faults(&site);
    let (file, database) = (site.url(), server.url(&server.database()));
    despite(&site, &["migrate", &file, &database]);
    let there = site.empty(Some(database.clone()));
    assert_eq!(faults(&there), before);
    warned(&there, "position 7");
    // And back: what the file's sums told has become what stands there.
    let back = format!("sqlite:{}", there.path("back.db").display());
    let said = there.refused(1, &["migrate", &database, &back]);
    assert!(said.contains("--despite-damage"), "{said}");
    there.done(&["migrate", &database, &back, "--despite-damage"]);
    let back = site.empty(Some(back));
    assert_eq!(faults(&back), before);
}
