//! What nodes count together of a day.

use super::{Open, entry, put, writer};
use daypass_core::ration::Due;
use daypass_core::replay::Mark;
use daypass_core::store::{Appended, Store};
use std::sync::Arc;
use uuid::Uuid;

const ANN: Mark = [1; 16];
const BOB: Mark = [2; 16];

fn node(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

async fn note(store: &Arc<dyn Store>, number: u128, day: i64, counts: &[(Mark, u64)]) -> Vec<(Mark, u64)> {
    let mut others = store.note_counts(node(number), Due { day, counts: counts.to_vec() }).await.unwrap();
    // One that nobody else has counted may be there with nothing, or not.
    others.retain(|(_, sum)| *sum > 0);
    others.sort_unstable();
    others
}

async fn counts(store: &Arc<dyn Store>, day: i64, but: u128) -> Vec<(Mark, u64)> {
    let mut counts = store.counts(day, node(but)).await.unwrap();
    counts.sort_unstable();
    counts
}

/// Each hears of the others what it asks about, whichever handle they write by.
pub async fn nodes_hear_what_others_have_counted(open: &Open) {
    let (one, two) = (writer(open, 1).await, writer(open, 2).await);
    assert_eq!(counts(&one, 7, 0).await, []);
    assert_eq!(note(&one, 1, 7, &[(ANN, 3), (BOB, 1)]).await, []);
    assert_eq!(note(&two, 2, 7, &[(ANN, 4)]).await, [(ANN, 3)]);
    assert_eq!(note(&one, 1, 7, &[(ANN, 5)]).await, [(ANN, 4)]);
    assert_eq!(note(&two, 3, 7, &[(ANN, 1), (BOB, 1)]).await, [(ANN, 9), (BOB, 1)]);
    assert_eq!(counts(&one, 7, 0).await, [(ANN, 10), (BOB, 2)]);
    assert_eq!(counts(&two, 7, 1).await, [(ANN, 5), (BOB, 1)]);
    assert_eq!(note(&one, 1, 7, &[]).await, []);
}

/// What is written twice, or late, counts once: a node says all that it has counted, and not what has come since.
pub async fn a_count_is_written_again_without_harm(open: &Open) {
    let store = writer(open, 1).await;
    for _ in 0..3 {
        assert_eq!(note(&store, 1, 7, &[(ANN, 5)]).await, []);
    }
    note(&store, 1, 7, &[(ANN, 4)]).await;
    assert_eq!(counts(&store, 7, 0).await, [(ANN, 5)]);
    store.close().await.unwrap();
    assert_eq!(counts(&open(), 7, 0).await, [(ANN, 5)]);
}

/// Each day by itself; yesterday's stays for a node whose clock is behind, and what is older goes.
pub async fn a_day_that_is_over_is_forgotten(open: &Open) {
    let store = writer(open, 1).await;
    for day in [7, 8, 9] {
        assert_eq!(note(&store, 1, day, &[(ANN, 1)]).await, []);
    }
    assert_eq!(note(&store, 2, 8, &[(ANN, 1)]).await, [(ANN, 1)]);
    let mut days = Vec::new();
    for day in [6, 7, 8, 9, 10] {
        days.push(counts(&store, day, 0).await);
    }
    assert_eq!(days, [vec![], vec![], vec![(ANN, 2)], vec![(ANN, 1)], vec![]]);
}

/// Else every count would make every node read everything again. What shares the commit with it stays whole.
pub async fn counts_are_no_change(open: &Open) {
    let store = writer(open, 1).await;
    put(&store, 1, vec![]).await.unwrap();
    let version = store.version().await.unwrap();
    let mut waiting = Vec::new();
    for number in 2..50_u8 {
        let (noting, appending) = (store.clone(), store.clone());
        waiting.push(tokio::spawn(async move {
            note(&noting, number.into(), 7, &[(ANN, 1), ([number + 100; 16], 2)]).await;
        }));
        waiting.push(tokio::spawn(async move {
            assert_eq!(appending.append(entry(number.into())).await, Ok(Appended::Appended));
        }));
    }
    for one in waiting {
        one.await.unwrap();
    }
    assert_eq!(store.version().await, Ok(version));
    let all = counts(&store, 7, 0).await;
    assert_eq!((all.len(), all.iter().map(|(_, sum)| sum).sum::<u64>()), (49, 48 * 3));
    assert_eq!(all.iter().find(|(place, _)| *place == ANN), Some(&(ANN, 48)));
}
