//! The suite, and what a file can suffer: processes that die, disks that fill up, bits that flip.

mod crash;
mod damage;
mod moved;
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
