//! All of a store, out of it and into another, whichever backends they are. Unlike the other cases these need addresses: a store is
//! taken whole by nobody but whoever names it.

use super::held::root;
use super::{at, chain, client, entry, everything, put, read, record, verify};
use daypass_core::contents::Contents;
use daypass_core::cutoff::{Cutoff, Scope};
use daypass_core::freeze::{Freeze, Place};
use daypass_core::held::Wish;
use daypass_core::record::Entry;
use daypass_core::record::checkpoint::Checkpoint;
use daypass_core::ring::{Ring, RingRow, SealId, SealRow};
use daypass_core::root::Slot;
use daypass_core::store::{Change, Proof, Spent, Store, StoreError};
use daypass_core::testing::{START, World, kek, ring, ring_rows};
use daypass_core::transfer::{Census, Count, Pages, Part, Row, Standing, Whole, prove};
use std::collections::BTreeMap;
use std::sync::Arc;
use uuid::Uuid;

/// Something in every table.
async fn fill(url: &str) {
    let store = crate::open(url).unwrap();
    store.begin(chain(1)).await.unwrap();
    let world = World::new();
    let mut changes = vec![Change::AddRing(ring_rows()), Change::PutClient(world.client.clone())];
    changes.extend(world.keys.iter().cloned().map(Change::PutKey));
    // Names that a language would put in another order than their bytes.
    for (number, name) in ["Zebra", "apfel", "Äpfel", "_", "été"].into_iter().enumerate() {
        changes.push(Change::PutClient(client(number as u128 + 100, "acme", name)));
        let subject = Scope::Subject { tenant: "acme".into(), subject: name.into() };
        changes.push(Change::Cut(Cutoff { scope: subject, before: at(-5) }));
        changes.push(Change::Freeze(Freeze { place: Place::Tenant(name.into()), since: at(3) }));
    }
    changes.push(Change::SwapRoots { old: vec![], new: vec![root("tencent", Slot::A, "AKIDroot")] });
    changes.push(Change::SwapSeal {
        old: None,
        new: SealRow { id: SealId::new(7), check: [7; 32], since: START },
    });
    put(&store, 1000, changes).await.unwrap();
    store.note_uses(vec![("AKIDworld".into(), at(1)), ("12345678".into(), at(2))]).await.unwrap();
    for mark in 0..3 {
        assert_eq!(store.spend([mark; 16], at(9_999_999)).await, Ok(Spent::Now));
    }
    store.note_clock(at(77)).await.unwrap();
    let wish = Wish { place: [9; 16], seen: 0, holder: Uuid::from_u128(5), now: at(0), until: at(7_000) };
    store.take_turn(wish).await.unwrap();
    for number in 1..1500_u128 {
        let mark = u8::try_from(number).ok().map(|number| [number; 16]);
        let tenant = (number % 3 > 0).then_some("acme");
        let time = at(i64::try_from(number % 7).unwrap());
        store.append(Entry { record: record(number, time, tenant), mark }).await.unwrap();
    }
    let other = crate::open(url).unwrap();
    other.begin(chain(2)).await.unwrap();
    other.append(entry(2000)).await.unwrap();
    let heads = store.heads().await.unwrap();
    let made = Checkpoint::next(None, &heads, &ring(), START, None).unwrap().checkpoint;
    let kept = made.sign(&ring()).unwrap();
    store.prove(Proof::Checkpoint { kept, grown: vec![], cut: vec![] }).await.unwrap();
    store.prove(Proof::Delivered { place: "file:a".into(), number: 1 }).await.unwrap();
    other.close().await.unwrap();
    store.close().await.unwrap();
}

async fn all(pages: &mut dyn Pages) -> Vec<Row> {
    let mut all = Vec::new();
    while let Some(page) = pages.next().await.unwrap() {
        assert!(!page.is_empty() && page.iter().all(|row| row.part() == page[0].part()));
        all.extend(page);
    }
    all
}

async fn whole(url: &str) -> Box<dyn Whole> {
    crate::whole(url).await.unwrap()
}

async fn rows(whole: &mut Box<dyn Whole>) -> Vec<Row> {
    let mut pages = whole.rows().await.unwrap();
    all(&mut *pages).await
}

fn census(rows: &[Row]) -> BTreeMap<Part, Count> {
    let mut census = Census::default();
    census.take_all(rows).unwrap();
    census.finish()
}

async fn copy(from: &[Row], to: &mut Box<dyn Whole>) {
    to.clear().await.unwrap();
    for part in from.chunk_by(|a, b| a.part() == b.part()) {
        for page in part.chunks(700) {
            to.put(page.to_vec()).await.unwrap();
        }
    }
}

/// Fills the one, and moves what it holds into the other, which does not exist yet.
pub async fn a_store_moves_whole(from: &str, to: &str) {
    fill(from).await;
    let id = Uuid::from_u128(42);

    let mut source = whole(from).await;
    assert_eq!(*source.standing(), Standing::Open);
    let moved = rows(&mut source).await;
    let parts: Vec<Part> = census(&moved).into_keys().collect();
    assert_eq!(parts, Part::ALL, "something in every table");
    assert!(moved.is_sorted_by_key(Row::part));

    // A first try that is broken off leaves nothing.
    let mut target = whole(to).await;
    copy(&moved[..moved.len() / 2], &mut target).await;
    drop(target);
    let mut target = whole(to).await;
    assert_eq!(rows(&mut target).await, []);

    // A second one comes to its end without a third, which begins anew.
    for _ in 0..2 {
        copy(&moved, &mut target).await;
        target.commit(Standing::Arriving { id }).await.unwrap();
        assert!(
            matches!(crate::open(to).err(), Some(StoreError::OutOfService(text)) if text.contains("has not come"))
        );
        target = whole(to).await;
        assert_eq!(*target.standing(), Standing::Arriving { id });
    }
    assert_eq!(census(&rows(&mut target).await), census(&moved));

    let gone = Standing::Moved { id, to: to.to_owned(), at: START };
    source.commit(gone.clone()).await.unwrap();
    assert!(
        matches!(crate::open(from).err(), Some(StoreError::OutOfService(text)) if text.contains("has moved to"))
    );
    target.commit(Standing::Open).await.unwrap();
    serves(to).await;

    // And back, though it has moved.
    let source = whole(from).await;
    assert_eq!(*source.standing(), gone);
    source.commit(Standing::Open).await.unwrap();
    serves(from).await;
}

/// What was moved is a store like any other.
async fn serves(url: &str) {
    let store = crate::open(url).unwrap();
    let contents = store.contents(&Contents::default()).await.unwrap();
    assert_eq!((contents.clients.held().len(), contents.cutoffs.held().iter().count()), (6, 5));
    assert_eq!(contents.ring.held().len(), ring_rows().len());
    assert!(Ring::open(contents.ring.held(), &kek()).is_ok());
    assert_eq!(store.seal().await.unwrap().map(|row| row.check), Some([7; 32]));
    assert_eq!(store.clock().await, Ok(Some(at(77))));
    assert_eq!(store.last_checkpoint().await.unwrap().map(|kept| kept.number), Some(1));
    let records = read(&store, everything()).await.len();
    assert_eq!(verify(&store).await, records as u64);
    assert_eq!(store.spend([1; 16], at(9_999_999)).await, Ok(Spent::Before));
    // It takes records behind those that came, and knows their marks.
    let writer = Uuid::from_u128(90_000 + records as u128).as_u128();
    store.begin(chain(writer)).await.unwrap();
    let seen = store.append(Entry { record: record(writer, at(5), None), mark: Some([3; 16]) }).await;
    assert!(matches!(seen, Ok(daypass_core::store::Appended::Seen(_))), "{seen:?}");
    store.append(entry(3000)).await.unwrap();
    assert_eq!(verify(&store).await, records as u64 + 1);
    put(&store, 3001, vec![Change::PutClient(client(500, "acme", "later"))]).await.unwrap();
    assert_eq!(store.clients().await.unwrap().len(), 7);
    put(&store, 3002, vec![Change::Uncut(vec![])]).await.unwrap();
    store.close().await.unwrap();
    let mut whole = whole(url).await;
    let mut pages = whole.rows().await.unwrap();
    let open =
        |rows: &[RingRow], _: Option<&SealRow>| Ring::open(rows, &kek()).map_err(|fault| fault.to_string());
    let proved = prove(&mut *pages, Some(&open)).await.unwrap();
    assert_eq!(proved.census[&Part::Record].rows, records as u64 + 3);
}

/// Whoever has the store open keeps others from taking it, and the other way round.
pub async fn a_store_in_use_is_not_taken(url: &str) {
    let store = crate::open(url).unwrap();
    store.begin(chain(1)).await.unwrap();
    store.append(entry(1)).await.unwrap();
    let refused = crate::whole(url).await.err();
    assert!(
        matches!(&refused, Some(StoreError::Conflict(text)) if text.contains("stop it first")),
        "{refused:?}"
    );
    store.append(entry(2)).await.unwrap();
    store.close().await.unwrap();
    drop(store);
    let first = whole(url).await;
    assert!(crate::whole(url).await.is_err(), "nor by two");
    drop(first);
    let mut again = whole(url).await;
    assert!(matches!(again.clear().await, Err(StoreError::Conflict(text)) if text.contains("not empty")));
    drop(again);
    let store = crate::open(url).unwrap();
    assert_eq!(verify(&store).await, 2);
}

/// A snapshot is one state, whatever is written while it is read.
pub async fn a_snapshot_is_one_state(url: &str) {
    fill(url).await;
    let store = crate::open(url).unwrap();
    store.begin(chain(9)).await.unwrap();
    let mut pages = store.snapshot().await.unwrap();
    let first = pages.next().await.unwrap().unwrap();
    let writing = {
        let store: Arc<dyn Store> = store.clone();
        tokio::spawn(async move {
            for number in 5000..5050_u128 {
                store.append(entry(number)).await.unwrap();
                put(
                    &store,
                    number * 10,
                    vec![Change::PutClient(client(number, "acme", &number.to_string()))],
                )
                .await
                .unwrap();
            }
        })
    };
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    let mut rows = first;
    rows.extend(all(&mut *pages).await);
    writing.await.unwrap();
    let mut pages = daypass_core::testing::Rows::new(&rows);
    let open =
        |rows: &[RingRow], _: Option<&SealRow>| Ring::open(rows, &kek()).map_err(|fault| fault.to_string());
    let proved = prove(&mut pages, Some(&open)).await.unwrap();
    assert_eq!((proved.census[&Part::Client].rows, proved.census[&Part::Record].rows), (6, 1501));
    let mut pages = store.snapshot().await.unwrap();
    assert_eq!(census(&all(&mut *pages).await)[&Part::Client].rows, 56);
}
