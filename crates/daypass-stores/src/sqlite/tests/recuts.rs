//! Following cut-offs by their changes, in a file that is not as it was left.

use super::open;
use crate::conformance::{at, chain, put};
use crate::sqlite::change::RECUTS;
use crate::sqlite::pool::Pool;
use crate::sqlite::same::Same;
use crate::sqlite::sums::{cutoff_digest, toggle};
use daypass_core::contents::Contents;
use daypass_core::cutoff::{Cutoff, Scope};
use daypass_core::record::DEADLINE;
use daypass_core::store::{Change, Store, StoreError};
use daypass_core::testing::START;
use rusqlite::Connection;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

fn of(number: u32) -> Cutoff {
    Cutoff { scope: Scope::Credential(format!("AKID{number}")), before: START }
}

/// A store with nine cut-offs that have been read, and a tenth that has not.
struct Site {
    _folder: tempfile::TempDir,
    path: PathBuf,
    store: Arc<dyn Store>,
    known: Contents,
}

async fn site() -> Site {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let store = open(&path);
    store.begin(chain(1)).await.unwrap();
    put(&store, 1, (0..9).map(of).map(Change::Cut).collect()).await.unwrap();
    let known = store.contents(&Contents::default()).await.unwrap();
    put(&store, 2, vec![Change::Cut(of(9))]).await.unwrap();
    Site { _folder: folder, path, store, known }
}

fn by_hand(path: &Path, sql: &str) -> usize {
    Connection::open(path).unwrap().execute(sql, []).unwrap()
}

/// Whoever has read changes that are lost, or another story of them, reads the table, which has its own proof.
#[tokio::test]
async fn changes_that_do_not_lead_to_the_table_are_not_followed() {
    for accident in [
        "DELETE FROM recuts WHERE number = 10",
        "DELETE FROM recuts",
        "UPDATE recuts SET before = before + 1 WHERE number = 10",
        "UPDATE recuts SET before = NULL WHERE number = 10",
        "UPDATE recuts SET scope = '{\"credential\":\"AKIDother\"}' WHERE number = 10",
        "INSERT INTO recuts (number, scope, before) VALUES (11, '\"all\"', 5)",
        "UPDATE meta SET recut = 9",
        "UPDATE meta SET recut = 3",
        "UPDATE meta SET recut = -1",
    ] {
        let site = site().await;
        assert_eq!(by_hand(&site.path, accident), if accident == "DELETE FROM recuts" { 10 } else { 1 });
        let now = site.store.contents(&site.known).await.unwrap();
        let cutoffs = now.cutoffs.held();
        assert_eq!(cutoffs.len(), 10, "{accident}");
        assert!((0..10).all(|number| cutoffs.before(&of(number).scope) == Some(START)), "{accident}");
    }
}

/// What the table itself has lost is damage, read by either way.
#[tokio::test]
async fn a_table_that_is_not_what_was_written_is_told_to_who_reads_it() {
    let site = site().await;
    let row = "{\"credential\":\"AKID3\"}";
    assert_eq!(by_hand(&site.path, &format!("DELETE FROM cutoffs WHERE scope = '{row}'")), 1);
    let followed = site.store.contents(&site.known).await.unwrap();
    assert_eq!(followed.cutoffs.held().len(), 10, "who has it needs not read it");
    let refused = site.store.contents(&Contents::default()).await;
    assert!(matches!(&refused, Err(StoreError::Damaged(text)) if text.contains("`cutoffs`")), "{refused:?}");
}

/// While one node is brought up to date, the others still write as they used to, and what they take back counts.
#[tokio::test]
async fn what_an_older_version_takes_back_is_seen() {
    let site = site().await;
    let known = site.store.contents(&site.known).await.unwrap();
    let scope = "{\"credential\":\"AKIDold\"}";
    let mut digest = known.cutoffs.stamp().unwrap().digest;
    toggle(&mut digest, &cutoff_digest(scope, START.as_millisecond()));
    let file = Connection::open(&site.path).unwrap();
    file.execute("INSERT INTO cutoffs VALUES (?, ?)", (scope, START.as_millisecond())).unwrap();
    file.execute("UPDATE meta SET changes = changes + 1, cutoffs = ?", [digest]).unwrap();
    let now = site.store.contents(&known).await.unwrap();
    assert_eq!(now.version, known.version + 1);
    assert!(now.cutoffs.held().cut(START, &Scope::Credential("AKIDold".into())));
    assert_eq!(now.cutoffs.held().len(), 11);
}

/// The changes are kept for those who look often, and take no more room than that.
#[tokio::test]
async fn only_the_last_changes_are_kept() {
    let site = site().await;
    let count = || -> i64 {
        let file = Connection::open(&site.path).unwrap();
        file.query_row("SELECT count(*) FROM recuts", [], |row| row.get(0)).unwrap()
    };
    let one = |millis| Change::Cut(Cutoff { scope: Scope::All, before: at(millis) });
    assert_eq!(by_hand(&site.path, &format!("UPDATE meta SET recut = {}", RECUTS + 5)), 1);
    assert_eq!(count(), 10);
    put(&site.store, 3, vec![one(1), one(2)]).await.unwrap();
    assert_eq!(count(), 5, "7 of the old ones went, 2 have come");
    let now = site.store.contents(&site.known).await.unwrap();
    assert_eq!(now.cutoffs.held().len(), 11);
}

/// The deadline of a request is none of a reading that a node cannot do without.
#[tokio::test]
async fn a_long_reading_is_waited_for() {
    let site = site().await;
    let pool = Pool::new(&site.path, &Same::of(&site.path).unwrap());
    let slow = |_: &mut Connection| {
        std::thread::sleep(DEADLINE + Duration::from_millis(200));
        Ok(())
    };
    let (patient, hasty) = tokio::join!(pool.read_whole(slow), pool.read(slow));
    assert_eq!(patient, Ok(()));
    assert!(matches!(hasty, Err(StoreError::Unavailable(_))), "{hasty:?}");
}
