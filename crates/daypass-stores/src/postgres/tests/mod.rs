//! The suite, and what a database can suffer: servers that end, commits that are not answered, other transactions' rules.
//!
//! [`server`] says where the server comes from.

mod outage;
mod server;
mod tables;

use crate::conformance::{self, Open};
use server::Server;

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
