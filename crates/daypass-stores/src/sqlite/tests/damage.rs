//! Files that are not what was written. Each is refused or reads as it was; none is served changed.

use super::open;
use crate::conformance::{at, chain, client, entry, put, verify};
use crate::sqlite::fault::{Fault, damaged};
use crate::sqlite::read;
use crate::sqlite::schema::{self, Use, log_path};
use daypass_core::client::{Client, Key};
use daypass_core::cutoff::{Cutoff, Scope};
use daypass_core::id::Entropy;
use daypass_core::record::{Checker, Entry, Link};
use daypass_core::ring::RingRow;
use daypass_core::store::{Change, RecordQuery, Store, StoreError};
use daypass_core::testing::{START, SeededEntropy, World, ring, ring_rows};
use rusqlite::Connection;
use std::path::Path;
use std::sync::Arc;

/// Some of everything, by two writers.
async fn fill(path: &Path) {
    let world = World::new();
    let mut changes = vec![Change::PutClient(world.client.clone()), Change::PutRing(ring_rows())];
    changes.extend(world.keys.iter().cloned().map(Change::PutKey));
    changes.extend((0..30).map(|n| Change::PutClient(client(n, "other", &format!("client-{n}")))));
    changes.push(Change::Cut(Cutoff { scope: Scope::Key("AKID1".into()), before: START }));
    for writer in [1, 2] {
        let store = open(path);
        store.begin(chain(writer)).await.unwrap();
        put(&store, writer, std::mem::take(&mut changes)).await.unwrap();
        for n in 0..80_u8 {
            let mark = Some([n + 80 * u8::try_from(writer).unwrap(); 16]);
            store.append(Entry { mark, ..entry(u128::from(n)) }).await.unwrap();
        }
        store.close().await.unwrap();
    }
    assert!(!log_path(path).exists(), "closed, and one file");
}

/// Everything that the store would serve.
#[derive(Debug, PartialEq)]
struct Contents {
    clients: Vec<Client>,
    keys: Vec<Key>,
    ring: Vec<RingRow>,
    cutoffs: Vec<Cutoff>,
    records: Vec<(i64, String)>,
    links: Vec<Link>,
    since: Vec<i64>,
    searched: Option<Vec<i64>>,
}

fn contents(connection: &mut Connection, search: bool) -> Result<Contents, Fault> {
    let every = RecordQuery { limit: usize::MAX, ..RecordQuery::default() };
    let of_tenant = RecordQuery { tenant: Some("acme".into()), ..every.clone() };
    let records = read::records(connection, &every)?;
    let mut links = Vec::new();
    let ring = ring();
    for head in read::heads(connection)? {
        let chain = read::links(connection, head.writer, 0, usize::MAX)?;
        let mut checker = Checker::new(&ring, &head);
        for link in &chain {
            checker.take(link);
        }
        if let Some(fault) = checker.finish().first() {
            return Err(damaged(fault));
        }
        links.extend(chain);
    }
    let mut positions = |query: RecordQuery| -> Result<Vec<i64>, Fault> {
        Ok(read::records(connection, &query)?.iter().map(|stored| stored.position).collect())
    };
    let since = positions(RecordQuery { since: Some(at(20)), ..every })?;
    let searched = if search { Some(positions(of_tenant)?) } else { None };
    Ok(Contents {
        clients: read::documents(connection, "clients")?,
        keys: read::documents(connection, "keys")?,
        ring: read::ring(connection)?,
        cutoffs: read::cutoffs(connection)?,
        records: records.iter().map(|s| (s.position, serde_json::to_string(&s.record).unwrap())).collect(),
        links,
        since,
        searched,
    })
}

/// A number below `below`.
fn draw(entropy: &SeededEntropy, below: usize) -> usize {
    let mut bytes = [0; 8];
    entropy.fill(&mut bytes);
    usize::try_from(u64::from_le_bytes(bytes) % below as u64).unwrap()
}

/// One accident. Says what was done.
fn mutate(bytes: &mut Vec<u8>, seed: u64) -> String {
    let entropy = SeededEntropy::new(seed);
    let at = draw(&entropy, bytes.len());
    let page = at / 4096 * 4096;
    match seed % 8 {
        0..=3 => {
            bytes[at] ^= 1 << draw(&entropy, 8);
            format!("a bit flipped at {at}")
        }
        4 => {
            bytes.truncate(at);
            format!("cut off at {at}")
        }
        5 => {
            bytes[page..page + 4096].fill(0);
            format!("the page at {page} zeroed")
        }
        6 => {
            let end = bytes.len().min(at + 1 + draw(&entropy, 64));
            entropy.fill(&mut bytes[at..end]);
            format!("{at} to {end} overwritten")
        }
        _ => {
            let other = draw(&entropy, bytes.len()) / 4096 * 4096;
            let copy = bytes[other..other + 4096].to_vec();
            bytes[page..page + 4096].copy_from_slice(&copy);
            format!("the page at {other} copied over the one at {page}")
        }
    }
}

/// Seeds are in the message, so that a failure can be repeated.
#[tokio::test]
async fn two_hundred_damaged_copies_are_refused_or_read_as_they_were() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    fill(&path).await;
    let good = std::fs::read(&path).unwrap();
    let expected = contents(&mut schema::prepare(&path).unwrap(), true).unwrap();
    assert_eq!(expected.searched.as_ref().map(Vec::len), Some(160));

    let mut refused = [0, 0];
    for seed in 0..200 {
        let copy = folder.path().join(format!("{seed}.db"));
        let mut bytes = good.clone();
        let what = mutate(&mut bytes, seed);
        // As it is opened, and as it would be if it were too large to be checked whole: then only the search
        // through the tenants' index is not proved complete.
        for (whole, refused) in [true, false].into_iter().zip(&mut refused) {
            std::fs::write(&copy, &bytes).unwrap();
            let opened = if whole { schema::prepare(&copy) } else { schema::connect(&copy, Use::Read) };
            match opened.and_then(|mut connection| contents(&mut connection, whole)) {
                Ok(mut found) => {
                    found.searched = found.searched.or_else(|| expected.searched.clone());
                    assert!(found == expected, "seed {seed}: {what} was served (checked whole: {whole})");
                }
                Err(fault) => {
                    let told = matches!(fault.error, StoreError::Damaged(_) | StoreError::Newer { .. });
                    assert!(told, "seed {seed}: {what}: {:?}", fault.error);
                    *refused += 1;
                }
            }
            let _ = std::fs::remove_file(log_path(&copy));
            let _ = std::fs::remove_file(copy.with_extension("db-shm"));
        }
    }
    assert!(
        refused[0] > 100 && refused[1] > 80,
        "{refused:?}: the accidents are too harmless to show anything"
    );
}

#[tokio::test]
async fn a_flipped_bit_in_a_document_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    fill(&path).await;
    let mut bytes = std::fs::read(&path).unwrap();
    // Everywhere: pages that were split keep a dead copy of what moved out of them.
    let mut flip = |what: &[u8], at: usize| {
        let starts: Vec<_> =
            (0..bytes.len() - what.len()).filter(|n| bytes[*n..].starts_with(what)).collect();
        assert!(!starts.is_empty());
        for start in starts {
            bytes[start + at] ^= 1;
        }
    };
    flip(br#""name":"client-7""#, 9);
    flip(br#""action":"test""#, 12);
    std::fs::write(&path, bytes).unwrap();
    let store = open(&path);
    let refused = store.clients().await;
    assert!(matches!(&refused, Err(StoreError::Damaged(text)) if text.contains("`clients`")), "{refused:?}");
    let query = RecordQuery { limit: usize::MAX, ..RecordQuery::default() };
    let refused = store.records(query).await;
    assert!(matches!(&refused, Err(StoreError::Damaged(text)) if text.contains("position")), "{refused:?}");
    assert!(store.keys().await.is_ok(), "what is whole is served");
}

/// Whoever freezes, revokes or makes a backup of what is left must be able to write it down.
#[tokio::test]
async fn records_that_are_damaged_or_missing_keep_nobody_from_writing() {
    for harm in [
        "UPDATE records SET document = x'00'",
        "UPDATE records SET latest = 0 WHERE position % 2 = 0",
        "DELETE FROM records WHERE position BETWEEN 20 AND 140",
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        fill(&path).await;
        let file = Connection::open(&path).unwrap();
        assert!(file.execute(harm, []).unwrap() > 0);
        drop(file);
        let store = open(&path);
        store.begin(chain(3)).await.unwrap_or_else(|fault| panic!("{harm}: {fault}"));
        put(&store, 999, vec![]).await.unwrap();
        store.close().await.unwrap();
    }
}

/// Without its head a chain would be checked by nobody.
#[tokio::test]
async fn a_removed_writer_is_missed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    fill(&path).await;
    let file = Connection::open(&path).unwrap();
    file.execute("DELETE FROM writers WHERE number = (SELECT max(writer) FROM records)", []).unwrap();
    drop(file);
    let refused = open(&path).heads().await;
    assert!(
        matches!(&refused, Err(StoreError::Damaged(text)) if text.contains("writer number")),
        "{refused:?}"
    );
}

/// A process that ended without closing leaves a log, and without it the file is an older state.
#[tokio::test]
async fn a_file_without_its_log_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (path, copy) = (folder.path().join("a.db"), folder.path().join("b.db"));
    let store = open(&path);
    store.begin(chain(1)).await.unwrap();
    put(&store, 1, vec![Change::PutClient(client(1, "acme", "app"))]).await.unwrap();

    std::fs::copy(&path, &copy).unwrap();
    let refused = |path: &Path| schema::prepare(path).err().map(|fault| fault.error);
    let error = refused(&copy);
    assert!(
        matches!(&error, Some(StoreError::Damaged(text)) if text.contains("b.db-wal") && text.contains("UPDATE meta")),
        "{error:?}"
    );
    assert_eq!(refused(&copy), error, "and stays so");
    std::fs::write(log_path(&copy), b"").unwrap();
    assert_eq!(refused(&copy), error, "an empty log is none");

    // With its log it is complete; looking at it does not merge the two.
    std::fs::copy(log_path(&path), log_path(&copy)).unwrap();
    for _ in 0..2 {
        let store: Arc<dyn Store> = open(&copy);
        assert_eq!(store.clients().await.unwrap().len(), 1);
        store.close().await.unwrap();
        assert!(log_path(&copy).exists());
    }
    // What the message recommends, for a log that another program has merged.
    Connection::open(&copy).unwrap().execute("UPDATE meta SET closed = 1", []).unwrap();
    assert!(!log_path(&copy).exists());
    assert_eq!(verify(&open(&copy)).await, 1);

    store.close().await.unwrap();
    assert!(!log_path(&path).exists(), "closed in order, it is one file");
    assert_eq!(verify(&open(&path)).await, 1);
}

/// Another process that closes cannot make a store in use look closed.
#[tokio::test]
async fn a_command_that_closes_leaves_the_server_its_log() {
    let folder = tempfile::tempdir().unwrap();
    let (path, copy) = (folder.path().join("a.db"), folder.path().join("b.db"));
    let server = open(&path);
    server.begin(chain(1)).await.unwrap();
    let command = open(&path);
    command.begin(chain(2)).await.unwrap();
    put(&command, 1, vec![Change::PutClient(client(1, "acme", "app"))]).await.unwrap();
    command.close().await.unwrap();
    server.append(entry(2)).await.unwrap();

    let closed: bool =
        Connection::open(&path).unwrap().query_row("SELECT closed FROM meta", [], |row| row.get(0)).unwrap();
    assert!(!closed);
    std::fs::copy(&path, &copy).unwrap();
    assert!(schema::prepare(&copy).is_err());
    server.close().await.unwrap();
    assert_eq!(verify(&open(&path)).await, 2);
}
