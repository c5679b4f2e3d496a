//! What proves the chains beside their links, and what is removed from their beginnings.

use super::records::append;
use super::{Open, at, entry, everything, put, read, record, verify, writer};
use daypass_core::record::checkpoint::{Checkpoint, Kept};
use daypass_core::record::{ChainHead, Checker, Entry, Placed};
use daypass_core::replay::Mark;
use daypass_core::store::{Appended, Change, Cut, Proof, RecordQuery, Store, StoreError};
use daypass_core::testing::{START, ring};
use std::collections::BTreeMap;
use std::sync::Arc;
use uuid::Uuid;

/// What signs the next checkpoint of a store.
async fn next(store: &Arc<dyn Store>) -> Option<Proof> {
    let last = store.last_checkpoint().await.unwrap();
    let heads = store.heads().await.unwrap();
    let made = Checkpoint::next(last.as_ref(), &heads, &ring(), START, None)?.checkpoint;
    let kept = made.sign(&ring()).unwrap();
    let sizes = |spans: &[daypass_core::record::checkpoint::Span]| {
        spans.iter().map(|span| (span.writer, span.size)).collect()
    };
    Some(Proof::Checkpoint { kept, grown: sizes(&made.grown), cut: sizes(&made.cut) })
}

async fn kept(store: &Arc<dyn Store>) -> Vec<Kept> {
    store.checkpoints(0, usize::MAX).await.unwrap()
}

/// What removes everything up to a position, decided on what is there now.
async fn removal(store: &Arc<dyn Store>, through: i64) -> Change {
    let (heads, ring) = (store.heads().await.unwrap(), ring());
    let mut checkers: BTreeMap<Uuid, Checker<'_>> = BTreeMap::new();
    for Placed { position, link, .. } in store.placed(i64::MIN, usize::MAX).await.unwrap() {
        if position <= through {
            let head = heads.iter().find(|head| head.writer == link.writer).unwrap();
            checkers.entry(link.writer).or_insert_with(|| Checker::new(&ring, head)).take(&link);
        }
    }
    let cut = |(writer, checker): (&Uuid, &Checker<'_>)| {
        let head = heads.iter().find(|head| head.writer == *writer).unwrap();
        Cut { writer: *writer, before: head.first() - 1, base: checker.base().unwrap() }
    };
    Change::CutRecords { through, cuts: checkers.iter().map(cut).collect() }
}

/// Whoever has the ring can sign for every chain without reading its records, those of others and of the dead included.
pub async fn every_head_proves_its_tree(open: &Open) {
    let (one, two) = (writer(open, 1).await, writer(open, 2).await);
    let store = open();
    let sizes = async || {
        let heads = store.heads().await.unwrap();
        heads
            .iter()
            .map(|head| head.proved(&ring()).map(daypass_core::record::tree::Frontier::size))
            .collect::<Vec<_>>()
    };
    assert_eq!(sizes().await, [Some(0), Some(0)]);
    for number in 0..5 {
        one.append(entry(number)).await.unwrap();
    }
    put(&two, 9, vec![]).await.unwrap();
    one.close().await.unwrap();
    assert_eq!(sizes().await, [Some(5), Some(1)]);
    assert_eq!(verify(&store).await, 6);
}

/// In one order, without gaps, and of two that sign the same number one is kept.
pub async fn checkpoints_are_counted(open: &Open) {
    let (store, other) = (writer(open, 1).await, open());
    assert_eq!(store.last_checkpoint().await, Ok(None));
    assert!(next(&store).await.is_none(), "nothing to sign");
    append(&store, 1, 0, None).await;
    let (mine, late) = (next(&store).await.unwrap(), next(&other).await.unwrap());
    assert_eq!(other.prove(mine).await, Ok(true));
    assert_eq!(store.prove(late).await, Ok(false), "the number is taken");
    assert!(next(&store).await.is_none(), "and covers everything");
    let Proof::Checkpoint { kept: first, .. } = ({
        append(&store, 2, 0, None).await;
        next(&store).await.unwrap()
    }) else {
        return;
    };
    let ahead = Proof::Checkpoint { kept: Kept { number: 3, ..first }, grown: vec![], cut: vec![] };
    assert_eq!(store.prove(ahead).await, Ok(false), "no number is left out");
    assert_eq!(store.prove(next(&store).await.unwrap()).await, Ok(true));
    let all = kept(&other).await;
    assert_eq!(all.iter().map(|kept| kept.number).collect::<Vec<_>>(), [1, 2]);
    for kept in &all {
        assert!(kept.open(ring().checkpoint_keys()).is_ok());
    }
    assert_eq!(other.last_checkpoint().await, Ok(all.last().cloned()));
    assert_eq!(store.checkpoints(1, 9).await.unwrap(), all[1..]);
    assert_eq!(store.checkpoints(0, 1).await.unwrap(), all[..1]);
    let signed: Vec<_> = store.heads().await.unwrap().iter().map(|head| head.signed).collect();
    assert_eq!(signed, [2]);
}

/// Of each place the furthest that anybody has said.
pub async fn what_places_have_got_only_grows(open: &Open) {
    let (one, two) = (open(), open());
    assert_eq!(one.delivered().await, Ok(vec![]));
    let reached = |place: &str, number| Proof::Delivered { place: place.into(), number };
    for (place, number) in [("file:b", 3), ("file:a", 2), ("file:b", 2)] {
        one.prove(reached(place, number)).await.unwrap();
    }
    two.prove(reached("file:b", 5)).await.unwrap();
    assert_eq!(one.delivered().await, Ok(vec![("file:a".into(), 2), ("file:b".into(), 5)]));
}

/// What a version before the tree has left out is put in once, and not over what has grown since.
pub async fn a_tip_is_put_where_the_chain_still_ends(open: &Open) {
    let (store, other) = (writer(open, 1).await, open());
    append(&store, 1, 0, None).await;
    let before = other.heads().await.unwrap().remove(0);
    let tip = before.tip.clone().unwrap();
    assert_eq!(other.prove(Proof::Tip { writer: before.writer, tip: tip.clone() }).await, Ok(true));
    append(&store, 2, 0, None).await;
    assert_eq!(other.prove(Proof::Tip { writer: before.writer, tip }).await, Ok(false));
    assert_eq!(other.heads().await.unwrap()[0].proved(&ring()).unwrap().size(), 2);
}

/// None of it is a change that other nodes have to read again.
pub async fn proofs_are_no_change(open: &Open) {
    let (store, other) = (writer(open, 1).await, open());
    append(&store, 1, 0, None).await;
    let before = other.version().await.unwrap();
    store.prove(next(&store).await.unwrap()).await.unwrap();
    store.prove(Proof::Delivered { place: "file:a".into(), number: 1 }).await.unwrap();
    assert_eq!(other.version().await.unwrap(), before);
    store.close().await.unwrap();
    assert!(store.prove(Proof::Delivered { place: "a".into(), number: 1 }).await.is_err());
}

/// Positions have no gaps whoever wrote between, so an export can follow them.
pub async fn all_links_are_read_by_position(open: &Open) {
    let stores = [writer(open, 1).await, writer(open, 2).await];
    for number in 0..9 {
        append(
            &stores[usize::from(number % 3 == 0)],
            number,
            [5, 9, 7][usize::try_from(number % 3).unwrap()],
            None,
        )
        .await;
    }
    let (mut all, mut after) = (Vec::new(), i64::MIN);
    loop {
        let page = stores[0].placed(after, 4).await.unwrap();
        let Some(last) = page.last() else { break };
        assert!(page.len() <= 4);
        after = last.position;
        all.extend(page);
    }
    assert_eq!(all.len(), 9);
    assert!(
        all.windows(2).all(|two| two[1].position == two[0].position + 1 && two[1].latest >= two[0].latest)
    );
    assert_eq!(all.last().unwrap().latest, at(9).as_millisecond());
    for head in stores[0].heads().await.unwrap() {
        let mine: Vec<_> = all
            .iter()
            .map(|placed| &placed.link)
            .filter(|link| link.writer == head.writer)
            .cloned()
            .collect();
        assert_eq!(stores[1].links(head.writer, 0, 99).await.unwrap(), mine);
    }
}

/// The oldest records go, whoever wrote them; the chains are proved from where they begin now, and go on.
pub async fn the_oldest_records_are_removed(open: &Open) {
    let stores = [writer(open, 1).await, writer(open, 2).await];
    for number in 1..=10 {
        append(&stores[usize::from(number % 3 == 0)], number, i64::try_from(number).unwrap(), Some("acme"))
            .await;
    }
    let store = &stores[0];
    let wanted = removal(store, 4).await;
    put(store, 11, vec![wanted.clone()]).await.unwrap();
    assert_eq!(read(store, everything()).await, [5, 6, 7, 8, 9, 10, 11]);
    let firsts = |heads: Vec<ChainHead>| heads.iter().map(ChainHead::first).collect::<Vec<_>>();
    assert_eq!(firsts(open().heads().await.unwrap()), [4, 2]);
    assert_eq!(checked(store).await, 7);
    // A second node that decided on the same.
    let too_late = put(&stores[1], 12, vec![wanted]).await;
    assert!(matches!(too_late, Err(StoreError::Conflict(_))), "{too_late:?}");
    assert_eq!(checked(store).await, 7);

    // By time, by tenant and by page as before.
    let query = RecordQuery { since: Some(at(9)), ..everything() };
    assert_eq!(read(store, query).await, [9, 10]);
    let query = RecordQuery { tenant: Some("acme".into()), limit: 2, ..RecordQuery::default() };
    assert_eq!(read(store, query).await, [9, 10]);
    let query = RecordQuery { after: Some(0), limit: 2, ..RecordQuery::default() };
    assert_eq!(read(store, query).await, [5, 6]);

    // Every record, a chain that is dead whole; and the next one is behind them all.
    stores[1].close().await.unwrap();
    let last = store.placed(i64::MIN, 99).await.unwrap().last().unwrap().position;
    put(store, 13, vec![removal(store, last).await]).await.unwrap();
    assert_eq!(read(store, everything()).await, [13]);
    append(store, 14, 99, None).await;
    let positions: Vec<_> =
        store.placed(i64::MIN, 99).await.unwrap().iter().map(|placed| placed.position).collect();
    assert_eq!(positions, [last + 1, last + 2]);
    assert_eq!(checked(store).await, 2);
    let late = writer(open, 3).await;
    append(&late, 15, 100, None).await;
    assert_eq!(read(&late, everything()).await, [13, 14, 15]);
    assert_eq!(checked(&late).await, 3);
}

/// Every chain from where it begins; gives how many records there are.
async fn checked(store: &Arc<dyn Store>) -> usize {
    let (ring, mut records) = (ring(), 0);
    for head in store.heads().await.unwrap() {
        let mut checker = Checker::new(&ring, &head);
        for link in store.links(head.writer, 0, usize::MAX).await.unwrap() {
            checker.take(&link);
            records += 1;
        }
        assert_eq!(checker.finish(), [], "the chain of writer {}", head.writer);
    }
    records
}

/// More than was decided, less, or of a chain that was left out: nothing is changed.
pub async fn a_removal_that_was_not_decided_changes_nothing(open: &Open) {
    let stores = [writer(open, 1).await, writer(open, 2).await];
    for number in 1..=8 {
        append(&stores[usize::from(number % 2 == 0)], number, 0, None).await;
    }
    let store = &stores[0];
    let Change::CutRecords { through, cuts } = removal(store, 4).await else { return };
    let moved: Vec<Cut> = cuts.iter().map(|cut| Cut { before: 1, ..cut.clone() }).collect();
    for (through, cuts) in [
        (through + 1, cuts.clone()),
        (through - 1, cuts.clone()),
        (through, cuts[..1].to_vec()),
        (through, Vec::new()),
        (through, moved),
        (through, vec![Cut { writer: Uuid::from_u128(99), ..cuts[0].clone() }]),
    ] {
        let refused = put(store, 20, vec![Change::CutRecords { through, cuts }]).await;
        assert!(matches!(refused, Err(StoreError::Conflict(_))), "{refused:?}");
    }
    assert_eq!(read(store, everything()).await, (1..=8).collect::<Vec<_>>());
    assert_eq!(verify(store).await, 8);
    put(store, 21, vec![Change::CutRecords { through, cuts }]).await.unwrap();
    assert_eq!(checked(store).await, 5);
}

/// A mark inside its window is seen by another writer as long as its record is there, whatever was removed before it.
pub async fn marks_survive_what_is_removed_before_them(open: &Open) {
    let store = writer(open, 1).await;
    let mark: Mark = [7; 16];
    append(&store, 1, 0, None).await;
    let marked = Entry { record: record(2, at(1000), None), mark: Some(mark) };
    assert_eq!(store.append(marked).await, Ok(Appended::Appended));
    put(&store, 3, vec![removal(&store, 1).await]).await.unwrap();
    let other = writer(open, 2).await;
    let again = Entry { record: record(4, at(2000), None), mark: Some(mark) };
    assert_eq!(other.append(again).await, Ok(Appended::Seen(at(1000))));
}

/// What nobody of us has signed goes from the end, and nothing else: whoever decided on another end is refused.
pub async fn forged_checkpoints_are_taken_away(open: &Open) {
    let store = writer(open, 1).await;
    append(&store, 1, 0, None).await;
    assert_eq!(store.prove(next(&store).await.unwrap()).await, Ok(true));
    let ours = kept(&store).await;
    let forge = |number| Kept { number, jws: format!("forged {number}") };
    for number in [2, 3] {
        let forged = Proof::Checkpoint { kept: forge(number), grown: vec![], cut: vec![] };
        assert_eq!(store.prove(forged).await, Ok(true));
    }
    // A place got the second one of ours, which somebody has written over.
    for (place, number) in [("http:all", 3), ("http:first", 1), ("http:none", 0)] {
        store.prove(Proof::Delivered { place: place.into(), number }).await.unwrap();
    }
    let got = async || {
        let all = store.delivered().await.unwrap();
        all.into_iter().map(|(_, number)| number).collect::<Vec<_>>()
    };
    let discard = async |forged: Vec<Kept>| store.prove(Proof::Discard { forged }).await;
    for other in [
        vec![],
        vec![forge(2)],
        vec![forge(3), forge(2)],
        vec![forge(2), Kept { jws: "another".into(), ..forge(3) }],
        vec![forge(2), forge(3), forge(4)],
        vec![forge(4)],
    ] {
        assert_eq!(discard(other.clone()).await, Ok(false), "{other:?}");
        assert_eq!(kept(&store).await.len(), 3);
        assert_eq!(got().await, [3, 1, 0]);
    }
    assert_eq!(discard(vec![forge(2), forge(3)]).await, Ok(true));
    assert_eq!(kept(&store).await, ours);
    assert_eq!(got().await, [1, 1, 0], "what takes these numbers now, nobody has got");
    append(&store, 2, 0, None).await;
    assert_eq!(store.prove(next(&store).await.unwrap()).await, Ok(true));
    assert_eq!(kept(&store).await.iter().map(|kept| kept.number).collect::<Vec<_>>(), [1, 2]);
}
