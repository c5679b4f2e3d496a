//! Following clients and keys by their changes, in a file that is not as it was left.

use super::open;
use crate::conformance::{chain, client, put};
use crate::sqlite::edits::EDITS;
use crate::sqlite::sums::{digest, toggle};
use daypass_core::client::{Client, Key, Material};
use daypass_core::contents::Contents;
use daypass_core::store::{Change, Store, StoreError};
use daypass_core::testing::World;
use rusqlite::Connection;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use uuid::Uuid;

/// More than is read by one thread.
const MANY: u128 = 600;

fn of(number: u128) -> Client {
    client(number, "acme", &format!("client-{number}"))
}

fn disabled(number: u128) -> Client {
    Client { enabled: false, ..of(number) }
}

fn key_of(number: u128) -> Key {
    let key = World::new().keys.swap_remove(0);
    let material = Material::Hashed { pepper: 1, hash: vec![7; 32] };
    Key { id: format!("AKID{number}"), client: of(number).guid, material, ..key }
}

/// A store with clients and keys that have been read, and of each one change that has not.
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
    put(&store, 1, (1..=MANY).map(of).map(Change::PutClient).collect()).await.unwrap();
    put(&store, 2, (1..=MANY).map(key_of).map(Change::PutKey).collect()).await.unwrap();
    let known = store.contents(&Contents::default()).await.unwrap();
    let ended = Key { enabled: false, ..key_of(9) };
    put(&store, 3, vec![Change::PutClient(disabled(7)), Change::PutKey(ended)]).await.unwrap();
    Site { _folder: folder, path, store, known }
}

fn by_hand(path: &Path, sql: &str) -> usize {
    Connection::open(path).unwrap().execute(sql, []).unwrap()
}

fn enabled(contents: &Contents, number: u128) -> (bool, bool) {
    let client = contents.clients.held().get(of(number).guid).unwrap();
    (client.enabled, contents.keys.held().get(&format!("AKID{number}")).unwrap().enabled)
}

/// Whoever has read notes that are lost, or another story of them, reads the table, which has its own proof.
#[tokio::test]
async fn notes_that_do_not_lead_to_the_table_are_not_followed() {
    let last = 2 * MANY + 2;
    for accident in [
        format!("DELETE FROM edits WHERE number = {last}"),
        format!("DELETE FROM edits WHERE number = {}", last - 1),
        "DELETE FROM edits".to_owned(),
        format!("UPDATE edits SET was = NULL WHERE number >= {}", last - 1),
        format!("UPDATE edits SET id = 'AKID3' WHERE number = {last}"),
        format!("UPDATE edits SET id = '{}' WHERE number = {}", Uuid::from_u128(3), last - 1),
        format!("UPDATE edits SET id = '{}' WHERE number = {}", Uuid::max(), last - 1),
        format!("UPDATE edits SET id = 'nobody' WHERE number = {}", last - 1),
        format!("UPDATE edits SET part = 'others' WHERE number >= {}", last - 1),
        "UPDATE meta SET edited = 3".to_owned(),
        "UPDATE meta SET edited = -1".to_owned(),
    ] {
        let site = site().await;
        assert!(by_hand(&site.path, &accident) > 0, "{accident}");
        let now = site.store.contents(&site.known).await.unwrap();
        let held = (now.clients.held().len(), now.keys.held().len());
        assert_eq!(held, (600, 600), "{accident}");
        assert_eq!((enabled(&now, 7), enabled(&now, 9)), ((false, true), (true, false)), "{accident}");
        assert_eq!(enabled(&now, 3), (true, true), "{accident}");
    }
}

/// What the table itself has lost is damage to who reads it, and to who needs that row; who has it needs not read it.
#[tokio::test]
async fn only_the_rows_that_have_changed_are_read_again() {
    let site = site().await;
    let lost = "UPDATE clients SET document = CAST(replace(CAST(document AS TEXT), 'acme', 'else') AS BLOB) WHERE name = 'client-3'";
    assert_eq!(by_hand(&site.path, lost), 1);
    let followed = site.store.contents(&site.known).await.unwrap();
    assert_eq!((enabled(&followed, 7), enabled(&followed, 3)), ((false, true), (true, true)));
    assert_eq!(enabled(&site.known, 7), (true, true), "what was read before is as it was");
    let lost = "UPDATE clients SET document = CAST(replace(CAST(document AS TEXT), 'acme', 'else') AS BLOB) WHERE name = 'client-7'";
    assert_eq!(by_hand(&site.path, lost), 1);
    for known in [&site.known, &Contents::default()] {
        let refused = site.store.contents(known).await;
        assert!(
            matches!(&refused, Err(StoreError::Damaged(text)) if text.contains("`clients`")),
            "{refused:?}"
        );
    }
}

/// While one node is brought up to date, the others still write as they used to, and what they change counts.
#[tokio::test]
async fn what_an_older_version_changes_is_seen() {
    let site = site().await;
    let known = site.store.contents(&site.known).await.unwrap();
    let documents = [&of(5), &disabled(5)].map(|client| serde_json::to_vec(client).unwrap());
    let mut total = known.clients.stamp().unwrap().digest;
    for document in &documents {
        toggle(&mut total, &digest(&[document]));
    }
    let file = Connection::open(&site.path).unwrap();
    file.execute("UPDATE clients SET document = ? WHERE name = 'client-5'", [&documents[1]]).unwrap();
    file.execute("UPDATE meta SET changes = changes + 1, clients = ?", [total]).unwrap();
    let now = site.store.contents(&known).await.unwrap();
    assert_eq!((enabled(&now, 5), enabled(&now, 7)), ((false, true), (false, true)));
    assert!(now.keys.is(&known.keys) && !now.clients.is(&known.clients));
    // And from there on by notes again.
    put(&site.store, 4, vec![Change::PutClient(of(5))]).await.unwrap();
    assert_eq!(enabled(&site.store.contents(&now).await.unwrap(), 5), (true, true));
}

/// The notes are kept for those who look often, and take no more room than that.
#[tokio::test]
async fn only_the_last_notes_are_kept() {
    let site = site().await;
    let count = || -> i64 {
        let file = Connection::open(&site.path).unwrap();
        file.query_row("SELECT count(*) FROM edits", [], |row| row.get(0)).unwrap()
    };
    assert_eq!(count(), 1_202);
    assert_eq!(by_hand(&site.path, &format!("UPDATE meta SET edited = {}", EDITS + 1_200)), 1);
    put(&site.store, 4, vec![Change::PutClient(of(7)), Change::PutClient(disabled(8))]).await.unwrap();
    assert_eq!(count(), 2, "all of the old ones went, two have come");
    let now = site.store.contents(&site.known).await.unwrap();
    assert_eq!((enabled(&now, 7), enabled(&now, 8)), ((true, true), (false, true)));
}
