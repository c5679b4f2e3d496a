//! Servers that end, stand still and come back, and commits of which no answer came.

use crate::conformance::{chain, client, entry, everything, put, read, verify};
use daypass_core::record::DEADLINE;
use daypass_core::store::{Change, Spent, Store, StoreError};
use daypass_core::testing::later;
use daypass_faults::postgres::Server;
use daypass_faults::proxy::Proxy;
use std::collections::BTreeSet;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

/// More than the deadline: on a busy machine a test's own threads are late. What is not answered at all is found all the same.
const BOUND: Duration = DEADLINE.saturating_add(Duration::from_secs(15));

/// How long what has to come is waited for.
const PATIENCE: Duration = Duration::from_mins(1);

/// An answer, which must come in time.
async fn in_time<T>(answer: impl Future<Output = T>) -> T {
    timeout(BOUND, answer).await.expect("no answer within the deadline")
}

fn unavailable<T: std::fmt::Debug>(answer: &Result<T, StoreError>) {
    assert!(matches!(answer, Err(StoreError::Unavailable(_))), "{answer:?}");
}

/// Asks until it is answered again.
pub(super) async fn recover(store: &Arc<dyn Store>, number: u128) {
    let began = Instant::now();
    while in_time(store.append(entry(number))).await.is_err() {
        assert!(began.elapsed() < PATIENCE, "it does not come back");
        sleep(Duration::from_millis(50)).await;
    }
    while store.version().await.is_err() {
        assert!(began.elapsed() < PATIENCE, "changes are not followed again");
        sleep(Duration::from_millis(50)).await;
    }
}

async fn refuses(store: &Arc<dyn Store>) {
    unavailable(&in_time(store.append(entry(100))).await);
    unavailable(&in_time(put(store, 101, vec![])).await);
    unavailable(&in_time(store.spend([9; 16], later(60))).await);
    unavailable(&in_time(store.clients()).await);
    unavailable(&in_time(store.held([1; 16])).await);
    unavailable(&in_time(store.records(everything())).await);
    let began = Instant::now();
    while store.version().await.is_ok() {
        assert!(began.elapsed() < PATIENCE, "an old number is still an answer");
        sleep(Duration::from_millis(50)).await;
    }
}

/// Ended and started again, and stopped in its tracks: each time everybody is told in time, and everything works again by
/// itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_goes_away_and_comes_back() {
    let Some(mut server) = Server::start() else { return };
    let database = server.database();
    for (writer, url) in [(1, server.url(&database)), (2, server.tcp(&database))] {
        let store = crate::open(&url).unwrap();
        store.begin(chain(writer)).await.unwrap();
        let number = |n: u128| writer * 1000 + n;
        store.append(entry(number(1))).await.unwrap();
        assert_eq!(store.spend([u8::try_from(writer).unwrap(); 16], later(60)).await, Ok(Spent::Now));
        server.down();
        refuses(&store).await;
        server.up().unwrap();
        recover(&store, number(2)).await;
        assert_eq!(store.spend([u8::try_from(writer).unwrap(); 16], later(60)).await, Ok(Spent::Before));

        server.signal("STOP").unwrap();
        refuses(&store).await;
        server.signal("CONT").unwrap();
        recover(&store, number(3)).await;
        let stored = read(&store, everything()).await;
        for n in 1..=3 {
            assert!(stored.contains(&number(n)), "{n}");
        }
        assert_eq!(verify(&store).await, u64::try_from(stored.len()).unwrap());
        store.close().await.unwrap();
    }
}

/// Two nodes write while the server is ended at once, again and again. What was acknowledged is there; what was not may be; no
/// chain has a gap, a fork or a double.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_was_acknowledged_survives_the_servers_end() {
    let Some(mut server) = Server::start() else { return };
    let url = server.url(&server.database());
    let stores = [crate::open(&url).unwrap(), crate::open(&url).unwrap()];
    let (mut tasks, over) = (Vec::new(), Arc::new(AtomicBool::new(false)));
    for (node, store) in (0_u128..).zip(&stores) {
        store.begin(chain(node + 1)).await.unwrap();
        for task in 0..4_u128 {
            let (store, over) = (store.clone(), over.clone());
            tasks.push(tokio::spawn(async move {
                let (mut acknowledged, mut refused) = (Vec::new(), 0);
                // After the last start too, each until it has written something.
                for n in 0..1_000_000 {
                    if over.load(Ordering::SeqCst) && acknowledged.len() > 100 {
                        break;
                    }
                    let number = (node * 4 + task) * 1_000_000 + n;
                    match store.append(entry(number)).await {
                        Ok(_) => acknowledged.push(number),
                        Err(StoreError::Unavailable(_)) => {
                            refused += 1;
                            sleep(Duration::from_millis(20)).await;
                        }
                        Err(other) => panic!("{other:?}"),
                    }
                }
                (acknowledged, refused)
            }));
        }
    }
    for _ in 0..5 {
        sleep(Duration::from_millis(150)).await;
        server.down();
        server.up().unwrap();
    }
    over.store(true, Ordering::SeqCst);
    let (mut acknowledged, mut refused) = (BTreeSet::new(), 0);
    for task in tasks {
        let (all, failed) = task.await.unwrap();
        acknowledged.extend(all);
        refused += failed;
    }
    recover(&stores[0], 90_000_001).await;
    recover(&stores[1], 90_000_002).await;
    let stored = read(&stores[0], everything()).await;
    let set = stored.iter().copied().collect::<BTreeSet<_>>();
    let lost: Vec<_> = acknowledged.difference(&set).collect();
    assert!(lost.is_empty(), "acknowledged and lost: {lost:?}");
    assert!(refused > 0 && acknowledged.len() > 500, "{refused} refused, {} written", acknowledged.len());
    assert_eq!(verify(&stores[1]).await, u64::try_from(stored.len()).unwrap());
}

/// A node that stands still in the middle of a transaction holds the lock; the others wait for it no longer than a request does,
/// and when the server has ended it, they go on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_that_is_held_stops_nobody_for_long() {
    let Some(server) = Server::start() else { return };
    let url = server.url(&server.database());
    let store = crate::open(&url).unwrap();
    store.begin(chain(1)).await.unwrap();
    let address = super::super::address::Address::parse(&url).unwrap();
    let (other, _driver) = address.dial(None).await.unwrap();
    other.batch_execute("BEGIN; SELECT * FROM tail FOR UPDATE").await.unwrap();
    unavailable(&in_time(store.append(entry(1))).await);
    store.clients().await.unwrap();
    recover(&store, 2).await;
    assert!(other.batch_execute("COMMIT").await.is_err(), "its session was ended");
    assert_eq!(verify(&store).await, u64::try_from(read(&store, everything()).await.len()).unwrap());
}

/// The commit happens, and its answer is lost with the connection: the chain goes on from there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_was_not_answered_is_found_to_have_happened() {
    let Some(server) = Server::start() else { return };
    let database = server.database();
    let store = crate::open(&server.url(&database)).unwrap();
    store.begin(chain(1)).await.unwrap();
    store.append(entry(1)).await.unwrap();
    // Checked when the transaction commits: it takes longer than anybody waits, and then succeeds.
    server
        .psql(
            &database,
            "CREATE FUNCTION daypass.slow() RETURNS trigger LANGUAGE plpgsql AS $$
             BEGIN SET LOCAL statement_timeout TO 0; PERFORM pg_sleep(1.9); RETURN NULL; END $$;
             CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON daypass.records DEFERRABLE INITIALLY DEFERRED
             FOR EACH ROW EXECUTE FUNCTION daypass.slow()",
        )
        .unwrap();
    let both = [entry(2), entry(3)].map(|entry| {
        let store = store.clone();
        tokio::spawn(async move { store.append(entry).await })
    });
    for one in both {
        // The first may be alone in its commit, and the second is then behind it.
        let _ = in_time(one).await.unwrap();
    }
    server.psql(&database, "SET lock_timeout TO '20s'; DROP TRIGGER slow ON daypass.records").unwrap();
    recover(&store, 4).await;
    put(&store, 5, vec![Change::PutClient(client(1, "acme", "app"))]).await.unwrap();
    let stored = read(&store, everything()).await;
    assert!(stored.starts_with(&[1]) && stored.ends_with(&[4, 5]), "{stored:?}");
    assert_eq!(verify(&store).await, u64::try_from(stored.len()).unwrap());
}

/// The session that listens is ended again and again, and a server of another make refuses to listen at all: what was changed at
/// one node is known at the other all the same, by looking.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_are_seen_where_no_notification_comes() {
    let Some(server) = Server::start() else { return };
    let database = server.database();
    let deaf = Proxy::start(&[server.address()]).unwrap();
    deaf.replace(b"LISTEN daypass", b"LISTEX daypass");
    let one = crate::open(&server.url(&database)).unwrap();
    one.begin(chain(1)).await.unwrap();
    let others = [server.url(&database), Server::through(deaf.address, &database)];
    for (url, is_ended) in others.iter().zip([true, false]) {
        let other = crate::open(url).unwrap();
        for number in 1..=10 {
            let before = other.version().await.unwrap();
            if is_ended {
                assert!(server.terminate("SELECT changes").unwrap() > 0);
            }
            put(&one, number, vec![Change::PutClient(client(number, "acme", &number.to_string()))])
                .await
                .unwrap();
            let began = Instant::now();
            while other.version().await != Ok(before + 1) {
                // Two seconds, and what a busy machine makes of them.
                assert!(began.elapsed() < Duration::from_secs(20), "a change is not known everywhere");
                sleep(Duration::from_millis(10)).await;
            }
        }
        assert_eq!(deaf.has_replaced(), !is_ended);
    }
}

/// However many ask while nobody lets us in, the server is asked a few times a second; and when it lets us in, it is soon noticed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_away_is_not_stormed() {
    let Some(server) = Server::start() else { return };
    let database = server.database();
    let (way, door) = (Proxy::start(&[server.address()]).unwrap(), TcpListener::bind("127.0.0.1:0").unwrap());
    let knocks = Arc::new(AtomicUsize::new(0));
    let (counted, closed) = (knocks.clone(), door.local_addr().unwrap());
    std::thread::spawn(move || door.incoming().for_each(|_| _ = counted.fetch_add(1, Ordering::SeqCst)));
    let store = crate::open(&Server::through(way.address, &database)).unwrap();
    store.begin(chain(1)).await.unwrap();
    store.append(entry(1)).await.unwrap();
    way.aim(&[closed]);
    way.cut();
    let (began, mut refused) = (Instant::now(), 0);
    while began.elapsed() < Duration::from_secs(3) {
        unavailable(&in_time(store.append(entry(2))).await);
        refused += 1;
    }
    let (knocks, seconds) =
        (knocks.load(Ordering::SeqCst), usize::try_from(began.elapsed().as_secs()).unwrap());
    assert!((2..20 * (seconds + 1)).contains(&knocks), "{knocks} times for {refused} requests");
    assert!(refused > 10 * knocks, "and whoever asked was told at once: {refused}, {knocks} times");
    way.aim(&[server.address()]);
    recover(&store, 3).await;
}
