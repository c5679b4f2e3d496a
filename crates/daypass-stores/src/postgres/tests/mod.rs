//! The suite, and what a database can suffer: servers that end, commits that are not answered, other transactions' rules.
//!
//! `daypass_faults::postgres` says where the server comes from.

mod login;
mod outage;
mod tables;

use crate::conformance::{self, Open};
use daypass_faults::postgres::Server;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_store_suite_passes() {
    let Some(server) = Server::start() else { return };
    let count = std::cell::Cell::new(0);
    conformance::run_all(|| -> Open {
        count.set(count.get() + 1);
        let url = server.url(&server.database());
        Box::new(move || crate::open(&url).unwrap())
    })
    .await;
    assert!(count.get() > 20);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_is_taken_whole() {
    let Some(server) = Server::start() else { return };
    let url = || server.url(&server.database());
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| format!("sqlite:{}", folder.path().join(name).display());
    conformance::a_store_moves_whole(&url(), &url()).await;
    conformance::a_store_moves_whole(&file("from.db"), &url()).await;
    conformance::a_store_moves_whole(&url(), &file("to.db")).await;
    conformance::a_store_in_use_is_not_taken(&url()).await;
    conformance::a_snapshot_is_one_state(&url()).await;
}
