//! Keys that sign, seal and mark are replaced under load, with kills at each step.

use super::{Kills, Load, On, Site};
use daypass_faults::ask::Dialect;

/// Those that the clients' requests use, and those of the records.
const PURPOSES: [&str; 7] = ["jwt-eddsa", "token-seal", "triple", "replay", "checkpoint", "record", "rest"];

/// The versions of a purpose that work. One does, whatever was killed.
fn active(site: &Site, purpose: &str) -> u64 {
    let rows = site.shown(&["ring", "list"]);
    let rows = rows.as_array().unwrap().iter();
    let of = rows.filter(|row| row["purpose"] == purpose && row["state"] == "active");
    let versions: Vec<_> = of.map(|row| row["version"].as_u64().unwrap()).collect();
    assert_eq!(versions.len(), 1, "{purpose}: {versions:?}");
    versions[0]
}

fn is_prepared(site: &Site, purpose: &str) -> bool {
    let rows = site.shown(&["ring", "list"]);
    rows.as_array().unwrap().iter().any(|row| row["purpose"] == purpose && row["state"] == "prepared")
}

fn rotated(on: On) {
    let Some(mut site) = Site::new(on, str::to_owned) else { return };
    site.start();
    let load = Load::start(&site, &[Dialect::Tencent, Dialect::Entra, Dialect::Top]);
    load.goes_on(5);
    let mut kills = Kills::default();
    for purpose in PURPOSES {
        // The nodes prepare the next one of most by themselves, maybe in this very moment.
        if !is_prepared(&site, purpose) {
            let prepare = ["ring", "prepare", purpose];
            if ["rest", "record"].contains(&purpose) {
                site.interrupted(&prepare, |site| is_prepared(site, purpose), &true, &mut kills);
            } else {
                site.cli(&prepare);
            }
        }
        assert!(is_prepared(&site, purpose), "{purpose}");
        let activate = ["ring", "activate", purpose, "--force"];
        site.interrupted(&activate, |site| active(site, purpose), &2, &mut kills);
        load.goes_on(6);
    }
    load.settle(&site);
    let changes = site.changes("ring.activate");
    assert_eq!(changes.values().sum::<usize>(), PURPOSES.len(), "{changes:?}");
    assert!(kills.early + kills.late >= PURPOSES.len());
}

#[test]
fn signing_keys_are_replaced_at_two_nodes_across_kills_without_a_failed_request() {
    rotated(On::Sqlite);
}

#[test]
fn signing_keys_are_replaced_on_postgresql_across_kills_without_a_failed_request() {
    rotated(On::Postgres);
}
