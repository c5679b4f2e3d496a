//! A store that moves, with what may happen on the way.

use super::{Served, Site, Temporary, kill_after};
use daypass_faults::postgres::Server;
use std::process::Stdio;
use std::time::Instant;

/// The same seal key and clients, on another store.
fn on(site: &Site, url: &str) -> Site {
    site.empty(Some(url.to_owned()))
}

#[test]
fn a_store_moves_into_postgresql_and_back() {
    let Some(server) = Server::start() else { return };
    let served = Served::start(Site::on(None));
    served.grants(300);
    let kept = Temporary::ask(&served.site.installation, &served.asker);
    let (file, database) = (served.site.url(), server.url(&server.database()));
    let there = on(&served.site, &database);

    let said = served.site.refused(1, &["migrate", &file, &database]);
    assert!(said.contains("another process has this store open"), "{said}");
    let Served { site, node, clients, ledger, .. } = served;
    node.stop().unwrap();
    let said = site.done(&["migrate", &file, &database, "--reason", "three nodes"]);
    assert!(said.contains("both sides say:") && said.contains("chains of records verify there"), "{said}");

    // The one refuses, the other serves as if nothing had happened.
    let said = site.refused(2, &["audit", "tail"]);
    assert!(said.contains("has moved to") && said.contains("migrate --undo"), "{said}");
    assert!(site.installation.start().is_err(), "nor does a server start on it");
    let node = there.installation.start().unwrap();
    assert!(kept.counts(&there.installation, &clients), "credentials go on counting");
    ledger.settle(&there.installation).unwrap();
    let said = site.refused(1, &["migrate", &database, &file]);
    assert!(said.contains("the database is in use"), "{said}");
    node.stop().unwrap();

    // Back, into a file that does not exist: the old one is not empty.
    let said = there.refused(2, &["migrate", &database, &file]);
    assert!(said.contains("has moved to"), "{said}");
    let new = format!("sqlite:{}", there.path("back.db").display());
    there.done(&["migrate", &database, &new]);
    let back = on(&site, &new);
    ledger.settle(&back.installation).unwrap();
    let said = back.done(&["audit", "tail", "-n", "9"]);
    assert!(said.contains("changed store.migrate") && said.contains("why=three nodes"), "{said}");

    // The way back without what was written since.
    let said = site.done(&["migrate", "--undo", &file, "--reason", "it was a test"]);
    assert!(said.contains("is in service again"), "{said}");
    assert!(site.refused(1, &["migrate", "--undo", &file]).contains("nothing to undo"));
    ledger.settle(&site.installation).unwrap();
    let node = site.installation.start().unwrap();
    assert!(kept.counts(&site.installation, &clients));
    node.stop().unwrap();
}

#[test]
fn a_move_that_cannot_be_is_refused_before_anything_is_written() {
    let site = Site::on(None);
    let nowhere = format!("sqlite:{}", site.path("nowhere.db").display());
    let file = site.url();
    assert!(site.refused(2, &["migrate", &nowhere, &file]).contains("there is no store at"));
    let served = Served::start(site);
    served.grants(5);
    let Served { site, node, .. } = served;
    node.stop().unwrap();
    assert!(site.refused(2, &["migrate", &file, &file]).contains("one store, and not two"));
    assert!(site.refused(2, &["migrate", &file, "mysql://root:hunter2@db/x"]).contains("`mysql:`"));
    // Another installation's seal key.
    let stranger = Site::on(None);
    let said = stranger.refused(1, &["migrate", &file, &nowhere]);
    assert!(said.contains("needs the seal key") && said.contains("nothing has changed"), "{said}");
    // A store with a record that was changed: what cannot be proved here cannot be proved there.
    let sql = "UPDATE writers SET mac = zeroblob(32) WHERE number = 1";
    let changed = std::process::Command::new("sqlite3").arg(site.installation.database()).arg(sql).output();
    if changed.is_ok_and(|done| done.status.success()) {
        let said = site.refused(1, &["migrate", &file, &nowhere]);
        assert!(said.contains("is not proved"), "{said}");
    }
    site.done(&["client", "list"]);
}

/// Whether somebody could serve from this store: it opens, and holds something.
fn serves(url: &str) -> bool {
    let Ok(store) = daypass_stores::open(url) else { return false };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let ring = store.ring().await.unwrap();
        store.close().await.unwrap();
        !ring.is_empty()
    })
}

/// A move that is killed at any moment leaves the source as it was, or is brought to its end by the same command. Never are both
/// in service.
fn killed(to: impl Fn() -> String) {
    let served = Served::start(Site::on(None));
    served.grants(1500);
    let Served { site, node, ledger, .. } = served;
    node.stop().unwrap();
    let mut file = to();
    let began = Instant::now();
    site.done(&["migrate", &site.url(), &file]);
    let mut took = began.elapsed();
    let mut broken_off = 0;
    for step in 1..=10 {
        let target = to();
        let mut command = site.installation.command();
        command.args(["migrate", &file, &target, "--config"]).arg(site.installation.config());
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        // More of them near the end, where the one goes out of service and the other comes in.
        took = kill_after(child, took * (10 + step) / 20).unwrap_or(took);
        assert!(!(serves(&file) && serves(&target)), "at {step} of 10 both are in service");
        let again = site.installation.cli(&["migrate", &file, &target]).unwrap();
        let said = String::from_utf8_lossy(&again.stderr).into_owned();
        assert!(again.status.success() || said.contains("has moved to"), "at {step} of 10: {said}");
        broken_off += u32::from(again.status.success());
        let there = on(&site, &target);
        ledger.settle(&there.installation).unwrap_or_else(|error| panic!("at {step} of 10: {error:#}"));
        file = target;
    }
    assert!(broken_off >= 1, "it was killed in the middle {broken_off} times of 10");
}

#[test]
fn a_move_that_is_killed_is_brought_to_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let count = std::cell::Cell::new(0);
    killed(|| {
        count.set(count.get() + 1);
        format!("sqlite:{}", folder.path().join(format!("{}.db", count.get())).display())
    });
}

#[test]
fn a_move_into_postgresql_that_is_killed_is_brought_to_its_end() {
    let Some(server) = Server::start() else { return };
    killed(|| server.url(&server.database()));
}
