//! The latest time that was believed, and what is left of the disk.

use super::{Open, at, entry, put, told, writer};
use daypass_core::store::{Appended, Change};

/// Of all that was noted the latest is there, for every handle and after a restart, and it is no change.
pub async fn the_latest_time_is_kept_and_only_an_operator_puts_it_back(open: &Open) {
    let reader = open();
    assert_eq!(reader.clock().await, Ok(None));
    assert_eq!(reader.note_clock(at(1)).await, Ok(at(1)), "it needs no chain");
    let (one, other) = (writer(open, 1).await, writer(open, 2).await);
    let version = one.version().await.unwrap();
    assert_eq!(one.note_clock(at(5000)).await, Ok(at(5000)));
    assert_eq!(other.note_clock(at(4999)).await, Ok(at(5000)));
    assert_eq!(other.clock().await, Ok(Some(at(5000))));
    assert_eq!(one.version().await, Ok(version));
    assert_eq!(open().clock().await, Ok(Some(at(5000))));

    put(&one, 1, vec![Change::SetClock(at(300))]).await.unwrap();
    assert_ne!(told(&other, version).await, version);
    assert_eq!(other.clock().await, Ok(Some(at(300))));
    assert_eq!(other.note_clock(at(301)).await, Ok(at(301)));
}

/// A handle that was not told to keep anything refuses nothing for want of room.
pub async fn a_node_that_keeps_nothing_free_has_room(open: &Open) {
    let store = writer(open, 1).await;
    let room = store.room().await.unwrap();
    assert!(room.is_none_or(|room| !room.low() && !room.scarce()), "{room:?}");
    assert_eq!(store.append(entry(1)).await, Ok(Appended::Appended));
    assert_eq!(store.keep_free(Some(0)).await, Ok(0));
    assert_eq!(store.append(entry(2)).await, Ok(Appended::Appended));
}
