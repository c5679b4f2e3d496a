use super::*;
use aws_lc_rs::digest;
use daypass_core::ring::{SealMisfit, SealRole};
use std::path::Path;
use tempfile::TempDir;

const OLD: [u8; 32] = [7; 32];
const NEW: [u8; 32] = [8; 32];

fn url(folder: &TempDir) -> String {
    format!("sqlite:{}", folder.path().join("a.db").display())
}

fn alone(bytes: [u8; 32]) -> SealKeys {
    SealKeys::alone(bytes)
}

/// Every file of the store, with a digest of what is in it.
fn files(folder: &Path) -> Vec<(String, String)> {
    let mut all: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| {
            let text = std::fs::read(&path).unwrap();
            (path.display().to_string(), format!("{:?}", digest::digest(&digest::SHA256, &text)))
        })
        .collect();
    all.sort();
    all
}

#[tokio::test]
async fn a_new_store_says_which_its_seal_key_is() {
    let folder = tempfile::tempdir().unwrap();
    let opened = Opened::open(&url(&folder), &alone(OLD)).await.unwrap();
    let said = opened.store.seal().await.unwrap().unwrap();
    assert_eq!(said.id, Kek::new(&OLD).unwrap().id());
    for row in opened.store.ring().await.unwrap() {
        assert_eq!(opened.kek.wraps(&row), Some(said.id), "{}", row.stage().name());
    }
    opened.store.close().await.unwrap();
}

#[tokio::test]
async fn a_wrong_seal_key_is_refused_with_a_sentence_and_the_store_is_untouched() {
    let folder = tempfile::tempdir().unwrap();
    let opened = Opened::open(&url(&folder), &alone(OLD)).await.unwrap();
    opened.store.close().await.unwrap();
    drop(opened);
    let before = files(folder.path());
    for keys in
        [alone(NEW), alone(NEW).with(SealRole::Previous, [9; 32]), alone(NEW).with(SealRole::Next, [9; 32])]
    {
        let refused = Opened::open(&url(&folder), &keys).await.err().unwrap();
        assert!(matches!(refused.downcast_ref(), Some(SealMisfit::Wrong { .. })), "{refused:#}");
        let id = Kek::new(&OLD).unwrap().id().to_string();
        assert!(refused.to_string().contains(&format!("the store needs the seal key {id}")), "{refused}");
    }
    assert_eq!(files(folder.path()), before);
    Opened::open(&url(&folder), &alone(OLD)).await.unwrap();
}

#[tokio::test]
async fn any_of_the_seal_keys_may_be_the_one_that_the_store_has() {
    let folder = tempfile::tempdir().unwrap();
    let opened = Opened::open(&url(&folder), &alone(OLD)).await.unwrap();
    opened.store.close().await.unwrap();
    for keys in [alone(NEW).with(SealRole::Previous, OLD), alone(NEW).with(SealRole::Next, OLD)] {
        let opened = Opened::open(&url(&folder), &keys).await.unwrap();
        opened.store.close().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_that_start_on_an_empty_store_with_different_seal_keys_one_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let url = url(&folder);
    let (old, new) = (alone(OLD), alone(NEW));
    let both = tokio::join!(Opened::open(&url, &old), Opened::open(&url, &new));
    let opened: Vec<_> = [both.0, both.1].into_iter().filter_map(Result::ok).collect();
    assert_eq!(opened.len(), 1);
    let said = opened[0].store.seal().await.unwrap().unwrap();
    assert_eq!(said.id, opened[0].kek.id());
}

/// By whoever can write to the store: with a new ring it would look as if nothing had ever been.
#[tokio::test]
async fn a_store_without_its_ring_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let opened = Opened::open(&url(&folder), &alone(OLD)).await.unwrap();
    opened.store.close().await.unwrap();
    drop(opened);
    for sql in ["DELETE FROM ring; UPDATE meta SET ring = zeroblob(32)", "DELETE FROM seal"] {
        let file = rusqlite::Connection::open(folder.path().join("a.db")).unwrap();
        file.execute_batch(sql).unwrap();
        drop(file);
        let before = files(folder.path());
        let refused = Opened::open(&url(&folder), &alone(OLD)).await.err().unwrap();
        assert!(refused.to_string().contains("no ring"), "{refused:#}");
        assert_eq!(files(folder.path()), before);
    }
}

/// Whoever makes the ring begins its chain first, and may be killed there.
#[tokio::test]
async fn a_store_in_which_only_a_chain_was_begun_is_completed() {
    let folder = tempfile::tempdir().unwrap();
    let store = daypass_stores::open(&url(&folder)).unwrap();
    store.begin(new_chain(&daypass_core::testing::ring()).unwrap()).await.unwrap();
    store.close().await.unwrap();
    drop(store);
    Opened::open(&url(&folder), &alone(OLD)).await.unwrap();
}
