//! Marks of signed requests, across writers.

use super::{Open, at, everything, read, record, verify, writer};
use daypass_core::record::Entry;
use daypass_core::replay::{Mark, WINDOW};
use daypass_core::store::{Appended, Store};
use std::sync::Arc;

async fn append(store: &Arc<dyn Store>, number: u128, mark: Mark, millis: i64) -> Appended {
    let record = record(number, at(millis), Some("acme"));
    store.append(Entry { record, mark: Some(mark) }).await.unwrap()
}

/// With the time of the first record, to the millisecond; and nothing is written.
pub async fn another_writers_mark_is_seen(open: &Open) {
    let (one, two) = (writer(open, 1).await, writer(open, 2).await);
    assert_eq!(append(&one, 1, [1; 16], 123).await, Appended::Appended);
    assert_eq!(append(&two, 2, [1; 16], 4_000).await, Appended::Seen(at(123)));
    assert_eq!(append(&two, 3, [1; 16], 9_000).await, Appended::Seen(at(123)), "asking does not renew it");
    assert_eq!(append(&two, 4, [2; 16], 4_000).await, Appended::Appended);
    assert_eq!(append(&one, 5, [2; 16], 4_001).await, Appended::Seen(at(4_000)));
    assert_eq!(read(&one, everything()).await, [1, 4]);
    assert_eq!(verify(&two).await, 2);

    // A third one that begins when there are marks already, and a clock that is behind theirs.
    let three = writer(open, 3).await;
    assert_eq!(append(&three, 6, [1; 16], -1_000).await, Appended::Seen(at(123)));
    assert_eq!(append(&three, 7, [3; 16], -1_000).await, Appended::Appended);
}

/// The pipeline knows those itself, and a request whose answer failed must be able to come again.
pub async fn a_writers_own_mark_is_not(open: &Open) {
    let store = writer(open, 1).await;
    assert_eq!(append(&store, 1, [1; 16], 0).await, Appended::Appended);
    assert_eq!(append(&store, 2, [1; 16], 1).await, Appended::Appended);
    let other = writer(open, 2).await;
    assert_eq!(append(&other, 3, [1; 16], 2).await, Appended::Seen(at(0)), "to another, the first counts");
}

/// A restarted server is another writer.
pub async fn a_mark_is_seen_after_a_restart(open: &Open) {
    let store = writer(open, 1).await;
    assert_eq!(append(&store, 1, [1; 16], 0).await, Appended::Appended);
    store.close().await.unwrap();
    let store = writer(open, 2).await;
    assert_eq!(append(&store, 2, [1; 16], 1_000).await, Appended::Seen(at(0)));
    assert_eq!(append(&store, 3, [2; 16], 1_000).await, Appended::Appended);
}

/// Neither at the edge of the window nor when a clock jumps is a mark known too short a time.
pub async fn a_mark_is_forgotten_after_the_window(open: &Open) {
    let window = i64::from(WINDOW) * 1000;
    let (one, two) = (writer(open, 1).await, writer(open, 2).await);
    assert_eq!(append(&one, 1, [1; 16], 0).await, Appended::Appended);
    assert_eq!(append(&one, 2, [2; 16], 10).await, Appended::Appended);
    assert_eq!(append(&two, 3, [1; 16], window).await, Appended::Seen(at(0)));
    assert_eq!(append(&two, 4, [1; 16], window + 1).await, Appended::Appended);
    // Far ahead, so that everything is forgotten, and back.
    assert_eq!(append(&two, 5, [3; 16], 10 * window).await, Appended::Appended);
    assert_eq!(append(&two, 6, [2; 16], window).await, Appended::Seen(at(10)));
    let three = writer(open, 3).await;
    assert_eq!(append(&three, 7, [2; 16], window).await, Appended::Seen(at(10)));
    assert_eq!(append(&three, 8, [2; 16], window + 11).await, Appended::Appended);
}

/// The same request sent to two nodes at the same moment.
pub async fn of_two_writers_at_once_one_is_first(open: &Open) {
    let stores = [writer(open, 1).await, writer(open, 2).await];
    for round in 0..20_u8 {
        let tasks = stores.clone().map(|store| {
            tokio::spawn(
                async move { append(&store, u128::from(round), [round; 16], i64::from(round)).await },
            )
        });
        let mut first = 0;
        for task in tasks {
            match task.await.unwrap() {
                Appended::Appended => first += 1,
                Appended::Seen(seen) => assert_eq!(seen, at(i64::from(round))),
            }
        }
        assert_eq!(first, 1, "round {round}");
    }
    assert_eq!(verify(&stores[0]).await, 20);
}
