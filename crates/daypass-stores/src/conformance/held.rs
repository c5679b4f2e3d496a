//! Root keys, and what nodes hold together of brokered credentials.

use super::{Open, at, put, told, writer};
use daypass_core::clock::Timestamp;
use daypass_core::held::{Held, LONGEST, Turn, TurnEnd, Wish};
use daypass_core::replay::Mark;
use daypass_core::root::{RootRow, RootState, Slot};
use daypass_core::secret::Secret;
use daypass_core::store::{Change, Store, StoreError};
use daypass_core::testing::{START, SeededEntropy, ring};
use daypass_core::upstream::{RootKey, RootProof};
use std::sync::Arc;
use uuid::Uuid;

const PLACE: Mark = [7; 16];

fn node(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

/// A wish of this node at this time, of seven seconds.
fn wish(holder: u128, seen: u64, millis: i64) -> Wish {
    Wish { place: PLACE, seen, holder: node(holder), now: at(millis), until: at(millis + 7_000) }
}

/// The end of a turn of this node, with what came.
fn end(holder: u128, turn: u64, came: Option<&str>, until: i64) -> TurnEnd {
    TurnEnd {
        place: PLACE,
        turn,
        holder: node(holder),
        sealed: came.map(|text| Arc::from(text.as_bytes())),
        until: at(until),
        keep: at(3_600_000),
    }
}

async fn held(store: &Arc<dyn Store>) -> Held {
    store.held(PLACE).await.unwrap().unwrap()
}

fn text(held: &Held) -> Option<&str> {
    held.sealed.as_deref().map(|sealed| std::str::from_utf8(sealed).unwrap())
}

pub(super) fn root(issuer: &str, slot: Slot, id: &str) -> RootRow {
    let proof = RootProof::Secret(Arc::new(Secret::new(format!("secret of {id}"))));
    let key = RootKey { id: id.into(), proof };
    RootRow::stage(&ring(), &SeededEntropy::new(3), issuer, slot, &key, Some(at(9)), START).unwrap()
}

async fn roots(store: &Arc<dyn Store>) -> Vec<RootRow> {
    let mut roots = store.roots().await.unwrap();
    roots.sort_by(|a, b| (&a.issuer, a.slot).cmp(&(&b.issuer, b.slot)));
    roots
}

fn swap(old: &[&RootRow], new: &[&RootRow]) -> Vec<Change> {
    let owned = |rows: &[&RootRow]| rows.iter().map(|row| (*row).clone()).collect();
    vec![Change::SwapRoots { old: owned(old), new: owned(new) }]
}

/// Each issuer has two slots; nothing of a row is lost on the way, not through another handle and not through a restart.
pub async fn root_keys_are_swapped_as_they_were_seen(open: &Open) {
    let store = writer(open, 1).await;
    assert_eq!(roots(&store).await, []);
    let (a, b) = (root("main", Slot::A, "AKIDa"), root("main", Slot::B, "AKIDb"));
    let other = root("other", Slot::A, "AKIDa");
    put(&store, 1, swap(&[], &[&b, &other, &a])).await.unwrap();
    let everything = [a.clone(), b.clone(), other.clone()];
    assert_eq!((roots(&store).await, roots(&open()).await), (everything.to_vec(), everything.to_vec()));

    // A promotion: both change places in one step.
    let since = |row: &RootRow, state| RootRow { state, since: at(5), proved: Some(at(4)), ..row.clone() };
    let (active, standby) = (since(&b, RootState::Active), since(&a, RootState::Standby));
    put(&store, 2, swap(&[&a, &b], &[&active, &standby])).await.unwrap();
    assert_eq!(roots(&store).await, [standby.clone(), active.clone(), other.clone()]);

    // And a key is dropped.
    put(&store, 3, swap(&[&standby], &[])).await.unwrap();
    assert_eq!(roots(&store).await, [active.clone(), other.clone()]);
    store.close().await.unwrap();
    assert_eq!(roots(&open()).await, [active, other]);
}

/// Of two operators at once, the second did not decide on what is there, and changes nothing at all.
pub async fn a_swap_of_root_keys_that_comes_too_late_changes_nothing(open: &Open) {
    let (store, second) = (writer(open, 1).await, writer(open, 2).await);
    let (a, b) = (root("main", Slot::A, "AKIDa"), root("main", Slot::B, "AKIDb"));
    put(&store, 1, swap(&[], &[&a])).await.unwrap();
    let changed = RootRow { proved: Some(at(1)), ..a.clone() };
    put(&store, 2, swap(&[&a], &[&changed])).await.unwrap();
    let taken = root("main", Slot::A, "AKIDnew");
    let late = [
        swap(&[&a], &[&b]),
        swap(&[&a], &[]),
        swap(&[&b], &[]),
        swap(&[], &[&taken]),
        swap(&[&changed, &b], &[&taken]),
        swap(&[&changed, &changed], &[]),
    ];
    let version = store.version().await.unwrap();
    for (number, changes) in (3..).zip(late) {
        let refused = put(&second, number, changes).await;
        assert!(matches!(refused, Err(StoreError::Conflict(_))), "{number}: {refused:?}");
        assert_eq!(roots(&store).await, std::slice::from_ref(&changed), "{number}");
    }
    assert_eq!(store.version().await.unwrap(), version);
    put(&second, 20, swap(&[&changed], &[&taken])).await.unwrap();
    assert_eq!(roots(&store).await, [taken]);
    told(&store, version).await;
}

/// Whoever has the turn asks; the others see that, wherever they are, and then see what came.
pub async fn a_turn_is_taken_by_one_and_its_end_is_seen_by_all(open: &Open) {
    let (one, two) = (writer(open, 1).await, writer(open, 2).await);
    assert_eq!(one.held(PLACE).await.unwrap(), None);
    assert_eq!(one.take_turn(wish(1, 0, 0)).await, Ok(Turn::Mine(1)));
    let asking = Held { turn: 1, holder: Some(node(1)), until: at(7_000), sealed: None, keep: at(7_000) };
    assert_eq!(two.held(PLACE).await, Ok(Some(asking.clone())));
    for seen in [0, 1, 9] {
        assert_eq!(two.take_turn(wish(2, seen, 6_999)).await, Ok(Turn::Busy(asking.clone())));
    }
    assert_eq!(one.end_turn(end(1, 1, Some("first"), 100)).await, Ok(true));
    let ended = held(&two).await;
    assert_eq!((ended.turn, ended.holder, text(&ended)), (1, None, Some("first")));
    assert_eq!((ended.until, ended.keep), (at(100), at(3_600_000)));
    assert_eq!(two.held([8; 16]).await, Ok(None), "another place is another row");
    // Who did not know of it looks first; who did takes the next.
    assert_eq!(two.take_turn(wish(2, 0, 200)).await, Ok(Turn::Moved(ended.clone())));
    assert_eq!(two.take_turn(wish(2, 1, 200)).await, Ok(Turn::Mine(2)));
    let next = held(&one).await;
    assert_eq!((next.turn, next.holder, text(&next)), (2, Some(node(2)), Some("first")));
    assert_eq!(next.keep, at(3_600_000), "what is there is kept while the next is asked for");
}

/// The pause that it begins is everybody's.
pub async fn a_turn_that_failed_leaves_what_was_there_and_a_pause(open: &Open) {
    let (one, two) = (writer(open, 1).await, writer(open, 2).await);
    one.take_turn(wish(1, 0, 0)).await.unwrap();
    one.end_turn(end(1, 1, Some("first"), 10)).await.unwrap();
    one.take_turn(wish(1, 1, 20)).await.unwrap();
    assert_eq!(one.end_turn(end(1, 2, None, 5_000)).await, Ok(true));
    let failed = held(&two).await;
    assert_eq!(
        (failed.turn, failed.holder, text(&failed), failed.until),
        (2, None, Some("first"), at(5_000))
    );
    for (store, holder) in [(&two, 2), (&one, 1)] {
        assert_eq!(store.take_turn(wish(holder, 2, 4_999)).await, Ok(Turn::Busy(failed.clone())));
    }
    assert_eq!(two.take_turn(wish(2, 2, 5_000)).await, Ok(Turn::Mine(3)));
}

/// A holder that has died is waited for until its time, and what it says later does not count: in either order of its late
/// end and the end of the turn that followed.
pub async fn a_late_end_changes_nothing(open: &Open) {
    for late_first in [true, false] {
        let (one, two) = (open(), open());
        let place = [u8::from(late_first); 16];
        let (wish, end) = (
            |holder, seen, millis| Wish { place, ..wish(holder, seen, millis) },
            |holder, turn, came| TurnEnd { place, ..end(holder, turn, Some(came), 8_000) },
        );
        assert_eq!(one.take_turn(wish(1, 0, 0)).await, Ok(Turn::Mine(1)));
        assert!(matches!(two.take_turn(wish(2, 0, 6_999)).await, Ok(Turn::Busy(_))));
        let seen = two.held(place).await.unwrap().unwrap().turn;
        assert_eq!(two.take_turn(wish(2, seen, 7_000)).await, Ok(Turn::Mine(2)));
        if late_first {
            assert_eq!(one.end_turn(end(1, 1, "late")).await, Ok(false));
            assert_eq!(two.end_turn(end(2, 2, "new")).await, Ok(true));
        } else {
            assert_eq!(two.end_turn(end(2, 2, "new")).await, Ok(true));
            assert_eq!(one.end_turn(end(1, 1, "late")).await, Ok(false));
        }
        assert_eq!(two.end_turn(end(2, 2, "again")).await, Ok(false), "a turn ends once");
        assert_eq!(one.end_turn(end(1, 2, "another's")).await, Ok(false), "and by its holder");
        let row = one.held(place).await.unwrap().unwrap();
        assert_eq!((row.turn, text(&row)), (2, Some("new")));
        one.close().await.unwrap();
        two.close().await.unwrap();
    }
}

/// A turn outlives the handle that took it: its holder may yet answer. The same node may take it again at once.
pub async fn a_turn_outlives_its_handle(open: &Open) {
    let store = writer(open, 1).await;
    store.take_turn(wish(1, 0, 0)).await.unwrap();
    store.close().await.unwrap();
    let (one, two) = (writer(open, 2).await, writer(open, 3).await);
    assert!(matches!(two.take_turn(wish(2, 1, 1_000)).await, Ok(Turn::Busy(_))));
    assert!(matches!(one.take_turn(wish(1, 0, 1_000)).await, Ok(Turn::Moved(_))));
    assert_eq!(one.take_turn(wish(1, 1, 1_000)).await, Ok(Turn::Mine(2)));
    assert_eq!(one.end_turn(end(1, 1, Some("late"), 0)).await, Ok(false));
    assert_eq!(one.end_turn(end(1, 2, Some("new"), 0)).await, Ok(true));
}

/// A clock that ran ahead must not stop all other nodes until theirs have come that far.
pub async fn a_row_of_a_clock_that_ran_ahead_stops_nobody(open: &Open) {
    let store = writer(open, 1).await;
    let longest = i64::from(LONGEST) * 1000;
    for (round, (until, free)) in [(longest, false), (longest + 1, true)].into_iter().enumerate() {
        let place = [u8::try_from(round).unwrap(); 16];
        let ahead = Wish { place, until: at(until), ..wish(1, 0, 0) };
        store.take_turn(ahead).await.unwrap();
        let turn = store.take_turn(Wish { place, ..wish(2, 1, 0) }).await.unwrap();
        assert_eq!(turn == Turn::Mine(2), free, "{until}: {turn:?}");
    }
}

/// Two handles, many tasks, one place: no turn is given twice, and numbers grow by one.
pub async fn of_many_at_once_one_has_the_turn(open: &Open) {
    let stores = [writer(open, 1).await, writer(open, 2).await];
    for round in 0..10_u64 {
        let tasks: Vec<_> = (0..8_u128)
            .map(|n| {
                let store = stores[usize::from(n % 2 == 1)].clone();
                tokio::spawn(async move { (n, store.take_turn(wish(n, round, 0)).await.unwrap()) })
            })
            .collect();
        let mut holder = None;
        for task in tasks {
            let (n, turn) = task.await.unwrap();
            assert!(!matches!(turn, Turn::Moved(_)), "round {round}, node {n}: {turn:?}");
            match turn {
                Turn::Mine(turn) => {
                    assert_eq!((turn, holder.replace(n)), (round + 1, None), "round {round}");
                }
                Turn::Busy(row) | Turn::Moved(row) => assert_eq!(row.turn, round + 1),
            }
        }
        let holder = holder.unwrap();
        assert!(stores[0].end_turn(end(holder, round + 1, Some("x"), 0)).await.unwrap());
    }
}

/// Rows that mean nothing any more go, a few with each turn; those that do stay.
pub async fn rows_are_kept_as_long_as_they_mean_something(open: &Open) {
    let store = writer(open, 1).await;
    let place = |n: u8| [n; 16];
    let keep = |n: u8| if n.is_multiple_of(2) { at(10_000) } else { at(60_000) };
    for n in 0..20 {
        store.take_turn(Wish { place: place(n), ..wish(1, 0, 0) }).await.unwrap();
        let ended = TurnEnd { place: place(n), keep: keep(n), ..end(1, 1, Some("x"), 0) };
        assert!(store.end_turn(ended).await.unwrap());
    }
    let left = async |now: Timestamp| {
        for n in 100..120 {
            let new = Wish { place: place(n), until: at(90_000), now, ..wish(1, 0, 0) };
            store.take_turn(new).await.unwrap();
        }
        let mut left = Vec::new();
        for n in 0..20 {
            if store.held(place(n)).await.unwrap().is_some() {
                left.push(n);
            }
        }
        left
    };
    assert_eq!(left(at(10_000)).await.len(), 20, "to its last instant");
    let odd: Vec<_> = (0..20).filter(|n| n % 2 == 1).collect();
    assert_eq!(left(at(10_001)).await, odd);
    assert_eq!(left(at(60_001)).await, [0_u8; 0]);
    let anew = Wish { place: place(1), ..wish(1, 1, 60_001) };
    assert_eq!(store.take_turn(anew).await, Ok(Turn::Mine(1)), "the place begins anew");
}

/// Else every refresh would make every node read everything again. Nor are they records.
pub async fn turns_are_no_change(open: &Open) {
    let store = writer(open, 1).await;
    put(&store, 1, swap(&[], &[&root("main", Slot::A, "AKIDa")])).await.unwrap();
    let version = store.version().await.unwrap();
    store.take_turn(wish(1, 0, 0)).await.unwrap();
    store.end_turn(end(1, 1, Some("first"), 0)).await.unwrap();
    store.take_turn(wish(1, 1, 1)).await.unwrap();
    store.end_turn(end(1, 2, None, 0)).await.unwrap();
    assert_eq!(store.version().await.unwrap(), version);
    assert_eq!(super::verify(&store).await, 1, "the change alone");
}

/// Turns need no chain of records: a node that has not begun to write can look and ask.
pub async fn turns_need_no_writer_and_an_open_store(open: &Open) {
    let store = open();
    assert_eq!(store.take_turn(wish(1, 0, 0)).await, Ok(Turn::Mine(1)));
    assert_eq!(store.end_turn(end(1, 1, Some("first"), 0)).await, Ok(true));
    store.close().await.unwrap();
    assert!(store.take_turn(wish(1, 1, 0)).await.is_err());
    assert!(store.end_turn(end(1, 1, None, 0)).await.is_err());
    assert_eq!(held(&open()).await.turn, 1);
}
