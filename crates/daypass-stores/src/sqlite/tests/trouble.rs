//! A store that is full, locked, or loaded beyond what it takes.

use crate::conformance::{chain, client, entry, everything, put, read, verify};
use crate::sqlite::SqliteStore;
use crate::sqlite::schema;
use crate::sqlite::session::Session;
use crate::sqlite::writer::{Command, QUEUE};
use daypass_core::record::DEADLINE;
use daypass_core::store::{Appended, Change, Store, StoreError};
use rusqlite::{Connection, TransactionBehavior};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::timeout;

fn sqlite(path: &Path) -> Arc<SqliteStore> {
    Arc::new(SqliteStore::open(path.to_str().unwrap()).unwrap())
}

/// Allows the writer's connection no more pages than the file has; what it had stays, until it is opened anew.
async fn fill_up(store: &SqliteStore) {
    let limit = |connection: &Connection| {
        connection.pragma_update_and_check(None, "max_page_count", 1, |_| Ok(())).unwrap();
    };
    store.commands.send(Command::Try(Box::new(limit))).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_and_is_taken_up_again() {
    let folder = tempfile::tempdir().unwrap();
    let concrete = sqlite(&folder.path().join("a.db"));
    let store: Arc<dyn Store> = concrete.clone();
    store.begin(chain(1)).await.unwrap();
    let mut written = 0;
    for round in 0..5 {
        fill_up(&concrete).await;
        let refused = loop {
            match store.append(entry(written)).await {
                Ok(Appended::Appended) => written += 1,
                other => break other,
            }
            assert!(written < 10_000, "it never fills up");
        };
        assert!(matches!(&refused, Err(StoreError::Unavailable(t)) if t.contains("full")), "{refused:?}");
        assert_eq!(read(&store, everything()).await.len(), usize::try_from(written).unwrap());
        assert_eq!(store.append(entry(written)).await, Ok(Appended::Appended), "round {round}");
        written += 1;
        put(&store, 1, vec![Change::PutClient(client(1, "acme", "app"))]).await.unwrap();
        written += 1;
        assert_eq!(verify(&store).await, u64::try_from(written).unwrap());
    }
    store.close().await.unwrap();
}

/// Everyone in a batch is told, and each batch is whole or not there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_that_fails_is_told_to_all_who_wait() {
    let folder = tempfile::tempdir().unwrap();
    let concrete = sqlite(&folder.path().join("a.db"));
    let store: Arc<dyn Store> = concrete.clone();
    store.begin(chain(1)).await.unwrap();
    let (mut written, mut refused) = (0, 0);
    for round in 0..10 {
        fill_up(&concrete).await;
        let mut tasks = JoinSet::new();
        for n in 0..100 {
            let store = store.clone();
            tasks.spawn(async move { store.append(entry(round * 100 + n)).await });
        }
        while let Some(done) = tasks.join_next().await {
            match done.unwrap() {
                Ok(_) => written += 1,
                Err(StoreError::Unavailable(_)) => refused += 1,
                Err(other) => panic!("{other:?}"),
            }
        }
    }
    assert!(written > 0 && refused > 0, "{written} written, {refused} refused");
    assert_eq!(verify(&store).await, written);
}

/// Another program holds the lock: an answer within the deadline, and at once when too many wait already.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_locked_store_answers_in_time_and_takes_no_more_than_its_queue() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let store = sqlite(&path);
    store.begin(chain(1)).await.unwrap();
    let mut blocker = Connection::open(&path).unwrap();
    let lock = blocker.transaction_with_behavior(TransactionBehavior::Immediate).unwrap();

    // On a busy machine whoever waits is woken late.
    let slack = Duration::from_secs(20);
    let refused = timeout(DEADLINE + slack, store.append(entry(0))).await.unwrap();
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");

    let mut tasks = JoinSet::new();
    for n in 0..3 * QUEUE {
        let store = store.clone();
        tasks.spawn(async move { store.append(entry(n as u128)).await });
    }
    let mut full = 0;
    let all = async {
        while let Some(done) = tasks.join_next().await {
            match done.unwrap() {
                Err(StoreError::Unavailable(text)) => full += usize::from(text.contains("already wait")),
                other => panic!("{other:?}"),
            }
        }
    };
    timeout(DEADLINE + slack, all).await.unwrap();
    assert!(full >= QUEUE / 2, "{full} were turned away");
    assert!(timeout(DEADLINE + slack, store.version()).await.unwrap().is_ok(), "reading goes on");

    lock.rollback().unwrap();
    let mut tries = 0;
    while store.append(entry(1)).await.is_err() {
        tries += 1;
        assert!(tries < 10, "it does not come back");
    }
    let store: Arc<dyn Store> = store;
    let stored = read(&store, everything()).await;
    assert_eq!(stored.last(), Some(&1), "{stored:?}");
    assert_eq!(verify(&store).await, u64::try_from(stored.len()).unwrap());
}

/// A handle that is dropped without being closed ends its thread, and still writes what it was given.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dropped_handle_ends_its_thread() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let store = sqlite(&path);
    store.begin(chain(1)).await.unwrap();
    store.append(entry(1)).await.unwrap();
    let thread = store.thread.lock().unwrap().take().unwrap();
    drop(store);
    tokio::task::spawn_blocking(|| thread.join().unwrap()).await.unwrap();
    assert_eq!(verify(&super::open(&path)).await, 1);
}

/// The three ends that a failed commit can have, as `settle` finds them.
#[test]
fn after_a_failure_the_chain_goes_on_from_what_the_store_has() {
    let folder = tempfile::tempdir().unwrap();
    let mut connection = schema::prepare(&folder.path().join("a.db")).unwrap();
    let mut session = Session::begin(&mut connection, chain(1)).unwrap();
    let batch = |connection: &Connection, session: &mut Session, number, end: &str| {
        let before = session.place();
        connection.execute_batch("BEGIN IMMEDIATE").unwrap();
        session.catch_up(connection).unwrap();
        session.append(connection, &entry(number).record, None).unwrap();
        session.store_head(connection).unwrap();
        connection.execute_batch(end).unwrap();
        before
    };
    batch(&connection, &mut session, 1, "COMMIT");

    let before = batch(&connection, &mut session, 2, "ROLLBACK");
    session.go_back(before);
    session.settle(&connection).unwrap();
    batch(&connection, &mut session, 3, "COMMIT");

    // Reported as failed, and durable all the same.
    let before = batch(&connection, &mut session, 4, "COMMIT");
    session.go_back(before);
    session.settle(&connection).unwrap();
    batch(&connection, &mut session, 5, "COMMIT");
    let seqs: Vec<i64> = connection
        .prepare("SELECT seq FROM records ORDER BY position")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(seqs, [1, 2, 3, 4]);

    // Neither of the two: somebody else wrote under our name.
    let before = session.place();
    batch(&connection, &mut session, 6, "COMMIT");
    session.go_back(before.clone());
    session.settle(&connection).unwrap();
    session.go_back(before.clone());
    session.go_back(before);
    for _ in 0..2 {
        assert!(matches!(session.settle(&connection).unwrap_err().error, StoreError::Damaged(_)));
    }
}

/// Another process of a newer version changes the tables while this one runs: its next commit is refused, and it is not ready.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newer_version_may_keep_a_running_one_from_writing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let store: Arc<dyn Store> = sqlite(&path);
    store.begin(chain(1)).await.unwrap();
    store.append(entry(1)).await.unwrap();
    let newer = Connection::open(&path).unwrap();
    newer.execute_batch("ALTER TABLE clients ADD COLUMN note TEXT; PRAGMA user_version = 1000").unwrap();
    store.append(entry(2)).await.unwrap();
    assert!(store.version().await.is_ok(), "it was only added to");
    newer.execute("UPDATE meta SET oldest = 1000", []).unwrap();
    let refused = store.append(entry(3)).await;
    assert!(matches!(refused, Err(StoreError::Newer { found: 1000, .. })), "{refused:?}");
    assert!(matches!(put(&store, 4, vec![]).await, Err(StoreError::Newer { .. })));
    assert!(matches!(store.version().await, Err(StoreError::Newer { .. })));
    assert_eq!(read(&store, everything()).await, [1, 2]);
    assert!(matches!(SqliteStore::open(path.to_str().unwrap()).err(), Some(StoreError::Newer { .. })));
}
