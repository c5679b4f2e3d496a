//! The suite, and what a file can suffer: processes that die, disks that fill up, bits that flip.

mod crash;
mod damage;
mod earlier;
mod edits;
mod moved;
mod quota;
mod recuts;
mod reserve;
mod trouble;

use crate::conformance::{self, Open};
use daypass_core::store::Store;
use std::path::Path;
use std::sync::Arc;

fn open(path: &Path) -> Arc<dyn Store> {
    crate::open(&format!("sqlite:{}", path.display())).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_store_suite_passes() {
    let folder = tempfile::tempdir().unwrap();
    let count = std::cell::Cell::new(0);
    conformance::run_all(|| -> Open {
        count.set(count.get() + 1);
        let path = folder.path().join(format!("{}.db", count.get()));
        Box::new(move || open(&path))
    })
    .await;
    assert!(count.get() > 20);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_is_taken_whole() {
    let folder = tempfile::tempdir().unwrap();
    let url = |name: &str| format!("sqlite:{}", folder.path().join(name).display());
    conformance::a_store_moves_whole(&url("from.db"), &url("to.db")).await;
    conformance::a_store_in_use_is_not_taken(&url("used.db")).await;
    conformance::a_snapshot_is_one_state(&url("snapshot.db")).await;
}
