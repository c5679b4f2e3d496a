//! A file that a version before the trees has made, down to its tables and its heads.

use super::open;
use crate::conformance::{at, chain, entry, everything, read, record, verify};
use daypass_core::record::checkpoint::Checkpoint;
use daypass_core::record::{Chain, Checker, Link};
use daypass_core::store::Proof;
use daypass_core::testing::{START, ring};
use rusqlite::{Connection, params};
use std::path::Path;

/// The steps that version took.
const STEPS: [&str; 6] = [
    include_str!("../migrations/0001_first.sql"),
    include_str!("../migrations/0002_ring_since.sql"),
    include_str!("../migrations/0003_uses.sql"),
    include_str!("../migrations/0004_freezes.sql"),
    include_str!("../migrations/0005_brokered.sql"),
    include_str!("../migrations/0006_recuts.sql"),
];

/// Writes such a file, with so many records of one writer.
fn make(path: &Path, records: u128) {
    let connection = Connection::open(path).unwrap();
    connection.pragma_update(None, "journal_mode", "WAL").unwrap();
    for step in STEPS {
        connection.execute_batch(step).unwrap();
    }
    connection.pragma_update(None, "application_id", 0x4461_7970).unwrap();
    connection.pragma_update(None, "user_version", 6).unwrap();
    let mut chain: Chain = chain(1);
    for number in 1..=records {
        let millis = i64::try_from(number).unwrap();
        let link = chain.link(&record(number, at(millis), Some("acme"))).unwrap();
        let row = Row { position: millis, link: &link, at: at(millis).as_millisecond() };
        row.insert(&connection);
    }
    let head = chain.head();
    connection
        .execute(
            "INSERT INTO writers (number, guid, key_version, seq, mac) VALUES (1, ?, ?, ?, ?)",
            params![head.writer, head.key_version, i64::try_from(head.seq).unwrap(), head.mac],
        )
        .unwrap();
}

struct Row<'a> {
    position: i64,
    at: i64,
    link: &'a Link,
}

impl Row<'_> {
    fn insert(&self, connection: &Connection) {
        let seq = i64::try_from(self.link.seq).unwrap();
        let row = super::super::read::RecordRow {
            position: self.position,
            writer: 1,
            seq,
            at: self.at,
            latest: self.at,
            mark: None,
            mac: &self.link.mac,
            tenant: Some("acme"),
            document: &self.link.blob,
        };
        let sum = row.sum();
        connection.execute(super::super::read::RecordRow::INSERT, row.params(&sum)).unwrap();
    }
}

#[tokio::test]
async fn it_opens_verifies_goes_on_and_is_signed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    make(&path, 30);
    let store = open(&path);
    assert_eq!(verify(&store).await, 30);
    let head = store.heads().await.unwrap().remove(0);
    assert_eq!((head.tip.as_ref(), head.base.as_ref(), head.signed, head.based), (None, None, 0, 0));
    assert_eq!(head.proved(&ring()), None);

    // Its tree is found from its links, once.
    let ring = ring();
    let mut checker = Checker::from_tip(&ring, &head);
    store.links(head.writer, 0, 99).await.unwrap().iter().for_each(|link| checker.take(link));
    let tip = checker.tip().unwrap();
    assert_eq!(store.prove(Proof::Tip { writer: head.writer, tip }).await, Ok(true));
    let heads = store.heads().await.unwrap();
    assert_eq!(heads[0].proved(&ring).unwrap().size(), 30);
    let made = Checkpoint::next(None, &heads, &ring, START, None).unwrap().checkpoint;
    assert_eq!((made.chains, made.records), (1, 30));

    // And it goes on, under a chain of the new kind.
    store.begin(chain(2)).await.unwrap();
    store.append(entry(31)).await.unwrap();
    assert_eq!(verify(&store).await, 31);
    assert_eq!(read(&store, everything()).await, (1..=31).collect::<Vec<_>>());
}
