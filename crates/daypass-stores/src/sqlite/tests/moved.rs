//! The files of a store are taken away from under it, or others are put in their place.

use super::open;
use crate::conformance::{chain, client, entry, everything, put, read, verify};
use daypass_core::store::{Appended, Change, Store, StoreError};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The names behind the store's own.
const BESIDE: [&str; 3] = ["", "-wal", "-shm"];

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn each(from: &Path, to: &Path, what: impl Fn(&Path, &Path)) {
    for suffix in BESIDE {
        what(&beside(from, suffix), &beside(to, suffix));
    }
}

fn rename(from: &Path, to: &Path) {
    each(from, to, |from, to| std::fs::rename(from, to).unwrap());
}

fn copy(from: &Path, to: &Path) {
    each(from, to, |from, to| {
        std::fs::copy(from, to).unwrap();
    });
}

/// Nothing is answered as if the store were there: no record, no change, no reading, no number of changes.
async fn refuses_everything(store: &Arc<dyn Store>, number: u128) {
    let unavailable = |error: StoreError| {
        assert!(matches!(error, StoreError::Unavailable(_) | StoreError::Damaged(_)), "{error:?}");
    };
    for _ in 0..3 {
        unavailable(store.append(entry(number)).await.unwrap_err());
        unavailable(store.version().await.unwrap_err());
        unavailable(store.records(everything()).await.unwrap_err());
        unavailable(store.clients().await.unwrap_err());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_was_moved_away_refuses_until_it_is_back() {
    let folder = tempfile::tempdir().unwrap();
    let (path, aside) = (folder.path().join("a.db"), folder.path().join("aside.db"));
    let store = open(&path);
    store.begin(chain(1)).await.unwrap();
    put(&store, 1, vec![Change::PutClient(client(1, "acme", "app"))]).await.unwrap();
    assert_eq!(store.append(entry(1)).await, Ok(Appended::Appended));
    let (before, version) = (read(&store, everything()).await.len(), store.version().await.unwrap());
    rename(&path, &aside);
    refuses_everything(&store, 2).await;
    rename(&aside, &path);
    assert_eq!(store.append(entry(3)).await, Ok(Appended::Appended), "by itself");
    assert_eq!(store.version().await, Ok(version));
    let records = read(&store, everything()).await.len();
    assert!(
        (before + 1..=before + 4).contains(&records),
        "the first refused one may be there, and nothing is lost"
    );
    verify(&store).await;
    store.close().await.unwrap();
    assert_eq!(read(&open(&path), everything()).await.len(), records);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_was_deleted_refuses_and_none_is_made_in_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let store = open(&path);
    store.begin(chain(1)).await.unwrap();
    each(&path, &path, |file, _| std::fs::remove_file(file).unwrap());
    refuses_everything(&store, 1).await;
    assert!(!path.exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_was_deleted_is_missed_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let store = open(&path);
    store.begin(chain(1)).await.unwrap();
    assert_eq!(store.append(entry(1)).await, Ok(Appended::Appended));
    std::fs::remove_file(beside(&path, "-wal")).unwrap();
    let refused = store.append(entry(2)).await;
    assert!(matches!(&refused, Err(StoreError::Unavailable(text)) if text.contains("-wal")), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_copy_in_its_place_is_neither_written_nor_read() {
    let folder = tempfile::tempdir().unwrap();
    let (path, older) = (folder.path().join("a.db"), folder.path().join("older.db"));
    let store = open(&path);
    store.begin(chain(1)).await.unwrap();
    assert_eq!(store.append(entry(1)).await, Ok(Appended::Appended));
    copy(&path, &older);
    assert_eq!(store.append(entry(2)).await, Ok(Appended::Appended));
    let now = folder.path().join("now.db");
    rename(&path, &now);
    rename(&older, &path);
    refuses_everything(&store, 3).await;
    // What it had acknowledged is where it was.
    rename(&path, &older);
    rename(&now, &path);
    assert_eq!(store.append(entry(4)).await, Ok(Appended::Appended));
    assert!(verify(&store).await >= 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_whole_copy_in_its_place_is_taken_up() {
    let folder = tempfile::tempdir().unwrap();
    let (path, whole) = (folder.path().join("a.db"), folder.path().join("whole.db"));
    let store = open(&path);
    store.begin(chain(1)).await.unwrap();
    assert_eq!(store.append(entry(1)).await, Ok(Appended::Appended));
    copy(&path, &whole);
    // As when a folder is moved to another disk while the service stands still.
    rename(&whole, &path);
    assert!(store.append(entry(2)).await.is_err(), "it is noticed");
    assert_eq!(store.append(entry(3)).await, Ok(Appended::Appended), "and it is proved to hold everything");
    assert_eq!(store.version().await.map(drop), Ok(()));
    assert_eq!(verify(&store).await, 2);
    store.close().await.unwrap();
    assert_eq!(read(&open(&path), everything()).await.len(), 2);
}
