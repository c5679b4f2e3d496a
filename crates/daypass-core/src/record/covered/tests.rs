use super::*;
use crate::record::checkpoint::is_counted;
use crate::record::{Chain, Record};
use crate::testing::{self, START};

/// Two chains that grew by turns, with a checkpoint after each turn.
struct Store {
    links: Vec<Link>,
    heads: Vec<ChainHead>,
    kept: Vec<Kept>,
}

fn writer(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

fn store(turns: u64) -> Store {
    let ring = testing::ring();
    let mut chains = [1, 2].map(|number| Chain::begin(&ring, writer(number)).unwrap());
    let mut store = Store { links: Vec::new(), heads: Vec::new(), kept: Vec::new() };
    let mut signed = [0, 0];
    for turn in 0..turns {
        let which = usize::try_from(turn % 2).unwrap();
        for n in 0..=turn {
            let record = Record::change(Uuid::from_u128(n.into()), START, None, "a", &turn.to_string());
            store.links.push(chains[which].link(&record).unwrap());
        }
        store.heads =
            chains.iter().zip(signed).map(|(chain, signed)| ChainHead { signed, ..chain.head() }).collect();
        let next = Checkpoint::next(store.kept.last(), &store.heads, &ring, START, None).unwrap();
        signed = [store.heads[0].seq, store.heads[1].seq];
        store.kept.push(next.checkpoint.sign(&ring).unwrap());
    }
    store
}

impl Store {
    fn gather(&self) -> Covered {
        let ring = testing::ring();
        let mut covered = Covered::default();
        self.kept.iter().for_each(|kept| covered.take(kept, ring.checkpoint_keys()));
        covered
    }

    fn check(&self) -> (Vec<ChainFault>, Vec<CheckpointFault>) {
        let (ring, covered) = (testing::ring(), self.gather());
        let (mut chains, mut checkpoints) = (Vec::new(), Vec::new());
        for head in &self.heads {
            let mut witness = covered.witness(&ring, head);
            let mine =
                self.links.iter().filter(|link| link.writer == head.writer && link.seq >= head.first());
            mine.for_each(|link| witness.take(link));
            let (one, two) = witness.finish();
            chains.extend(one);
            checkpoints.extend(two);
        }
        checkpoints.extend(covered.finish(&self.heads));
        (chains, checkpoints)
    }

    fn drop_links(&mut self, wanted: impl Fn(&Link) -> bool) {
        self.links.retain(|link| !wanted(link));
    }
}

#[test]
fn an_untouched_store_is_clean() {
    for turns in 0..6 {
        let store = store(turns);
        assert_eq!(store.check(), (vec![], vec![]), "{turns}");
        assert_eq!(store.gather().number(), turns);
    }
}

#[test]
fn a_removed_chain_shows() {
    let mut store = store(4);
    store.heads.retain(|head| head.writer == writer(1));
    store.drop_links(|link| link.writer == writer(2));
    let (_, faults) = store.check();
    assert_eq!(faults, [CheckpointFault::ChainGone { writer: writer(2), size: 6, number: 4 }]);
}

#[test]
fn a_chain_put_back_to_an_earlier_end_shows() {
    let (earlier, mut now) = (store(2), store(4));
    now.heads[1] = earlier.heads[1].clone();
    now.drop_links(|link| link.writer == writer(2) && link.seq > 2);
    let (chains, faults) = now.check();
    assert_eq!(chains, [], "its own MACs hold");
    assert_eq!(faults, [CheckpointFault::Truncated { writer: writer(2), ends: 2, size: 6, number: 4 }]);
}

/// By someone who has the ring's record key, or has written under a stolen chain: the MACs hold, the records are others.
#[test]
fn a_chain_that_was_written_anew_shows() {
    let mut now = store(4);
    let mut anew = Chain::begin(&testing::ring(), writer(1)).unwrap();
    now.drop_links(|link| link.writer == writer(1));
    for n in 0..now.heads[0].seq {
        let record = Record::change(Uuid::from_u128(n.into()), START, None, "a", "other");
        now.links.push(anew.link(&record).unwrap());
    }
    now.heads[0] = anew.head();
    let (chains, faults) = now.check();
    assert_eq!(chains, []);
    let other = |size, number| CheckpointFault::OtherRecords { writer: writer(1), size, number };
    assert_eq!(faults, [other(1, 1), other(4, 3)]);
}

#[test]
fn a_changed_record_is_told_once_by_its_chain() {
    let mut now = store(4);
    now.links[0].blob[3] ^= 1;
    assert_eq!(now.check(), (vec![ChainFault::Changed { writer: writer(1), seq: 1 }], vec![]));
}

#[test]
fn forged_missing_and_moved_checkpoints_show() {
    let mut missing = store(5);
    missing.kept.remove(2);
    assert_eq!(missing.check().1, [CheckpointFault::Gap { from: 3, to: 3 }]);
    let mut missing = store(5);
    missing.kept.drain(..2);
    assert_eq!(missing.check().1, [CheckpointFault::Gap { from: 1, to: 2 }]);

    let mut forged = store(5);
    let at = forged.kept[2].jws.len() / 2;
    forged.kept[2].jws.replace_range(at..=at, "-");
    let faults = forged.check().1;
    assert!(
        matches!(
            faults[..],
            [CheckpointFault::Forged { number: 3, .. }, CheckpointFault::Unlinked { number: 4 }]
        ),
        "{faults:?}"
    );

    let mut swapped = store(5);
    swapped.kept.swap(1, 2);
    (swapped.kept[1].number, swapped.kept[2].number) = (2, 3);
    let faults = swapped.check().1;
    assert!(
        faults.iter().filter(|fault| matches!(fault, CheckpointFault::Forged { .. })).count() == 2,
        "{faults:?}"
    );
}

/// Signed by us, of the same number, and of another history: put in the place of one that was removed.
#[test]
fn a_checkpoint_of_another_history_shows() {
    let (mut now, ring) = (store(4), testing::ring());
    let last = now.kept[1].clone();
    let mut chain = Chain::begin(&ring, writer(9)).unwrap();
    chain.link(&Record::change(writer(1), START, None, "a", "b")).unwrap();
    let alone = Checkpoint::next(Some(&last), &[chain.head()], &ring, START, None).unwrap().checkpoint;
    now.kept[2] = alone.sign(&ring).unwrap();
    let faults = now.check().1;
    assert!(faults.contains(&CheckpointFault::Contradiction { number: 3 }), "{faults:?}");
    assert!(faults.contains(&CheckpointFault::Unlinked { number: 4 }), "{faults:?}");
    assert!(
        faults.contains(&CheckpointFault::ChainGone { writer: writer(9), size: 1, number: 3 }),
        "{faults:?}"
    );
}

#[test]
fn a_store_that_was_put_back_contradicts_its_copies() {
    let copies = store(5).kept;
    let mut same = store(5).gather();
    assert_eq!(same.compare(&copies), 5);
    assert_eq!(same.finish(&store(5).heads), []);

    // Put back, and nothing written since.
    let back = store(3);
    let mut covered = back.gather();
    assert_eq!(covered.compare(&copies), 3);
    assert_eq!(covered.finish(&back.heads), [CheckpointFault::RolledBack { number: 5, last: 3 }]);

    // Put back, and gone on for longer than the history that was given up.
    let ring = testing::ring();
    let mut anew = store(3);
    for _ in 0..3 {
        let mut chain = Chain::begin(&ring, Uuid::from_u128(anew.kept.len() as u128 + 50)).unwrap();
        anew.links.push(chain.link(&Record::change(writer(1), START, None, "a", "b")).unwrap());
        anew.heads.iter_mut().for_each(|head| head.signed = head.seq);
        anew.heads.push(chain.head());
        let next = Checkpoint::next(anew.kept.last(), &anew.heads, &ring, START, None).unwrap();
        anew.kept.push(next.checkpoint.sign(&ring).unwrap());
    }
    assert_eq!(anew.check(), (vec![], vec![]), "alone it is whole");
    let mut covered = anew.gather();
    assert_eq!(covered.compare(&copies), 3);
    assert_eq!(
        covered.finish(&anew.heads),
        [CheckpointFault::OtherHistory { number: 4 }, CheckpointFault::OtherHistory { number: 5 }]
    );

    // Until an operator says that it was meant.
    let last = copies.last().unwrap();
    let fork = Fork { number: last.number, digest: last.digest() };
    anew.heads.iter_mut().for_each(|head| head.signed = head.seq);
    let accepts = Checkpoint::next(anew.kept.last(), &anew.heads, &ring, START, Some(fork)).unwrap();
    anew.kept.push(accepts.checkpoint.sign(&ring).unwrap());
    let mut covered = anew.gather();
    assert_eq!(covered.compare(&copies), 3);
    assert_eq!(covered.finish(&anew.heads), []);
}

#[test]
fn a_store_that_has_handed_out_more_than_it_has_lost_some() {
    let now = store(3);
    let mut covered = now.gather();
    covered.handed_out(&[("file:a".into(), 3), ("http:b".into(), 4)]);
    let lost = CheckpointFault::Lost { place: "http:b".into(), number: 4, last: 3 };
    assert_eq!(covered.finish(&now.heads), [lost]);
}

#[test]
fn what_was_removed_is_covered_and_the_rest_is_still_compared() {
    let ring = testing::ring();
    let mut now = store(4);
    let mut checker = Checker::new(&ring, &now.heads[1]);
    let mine: Vec<_> = now.links.iter().filter(|link| link.writer == writer(2)).cloned().collect();
    mine[..3].iter().for_each(|link| checker.take(link));
    let base = checker.base();
    let signed = now.heads.iter().map(|head| head.seq).collect::<Vec<_>>();
    for (head, signed) in now.heads.iter_mut().zip(signed) {
        head.signed = signed;
    }
    now.heads[1].base = base;
    now.drop_links(|link| link.writer == writer(2) && link.seq <= 3);
    assert_eq!(now.check(), (vec![], vec![]), "before a checkpoint says so");
    let next = Checkpoint::next(now.kept.last(), &now.heads, &ring, START, None).unwrap().checkpoint;
    assert_eq!(next.cut.iter().map(|span| (span.writer, span.size)).collect::<Vec<_>>(), [(writer(2), 3)]);
    now.kept.push(next.sign(&ring).unwrap());
    assert_eq!(now.check(), (vec![], vec![]), "and after");
    now.drop_links(|link| link.writer == writer(2) && link.seq == 4);
    assert_eq!(now.check().0, [ChainFault::Missing { writer: writer(2), from: 4, to: 4 }]);
}

/// The first accepted fork ends at 5; what was written since and put back again is not it, although its numbers are smaller.
#[test]
fn what_was_accepted_once_is_no_excuse_for_the_next_time() {
    let (ring, copies) = (testing::ring(), store(5).kept);
    let mut anew = store(2);
    let last = copies.last().unwrap();
    let fork = Fork { number: last.number, digest: last.digest() };
    let mut chain = Chain::begin(&ring, writer(9)).unwrap();
    for accepts in [Some(fork), None] {
        anew.heads.iter_mut().for_each(|head| head.signed = head.seq);
        chain.link(&Record::change(writer(1), START, None, "a", "b")).unwrap();
        anew.heads.truncate(2);
        let signed = u64::from(accepts.is_none());
        anew.heads.push(ChainHead { signed, ..chain.head() });
        let next = Checkpoint::next(anew.kept.last(), &anew.heads, &ring, START, accepts).unwrap();
        anew.kept.push(next.checkpoint.sign(&ring).unwrap());
    }
    let all: Vec<_> = copies.iter().chain(&anew.kept[2..]).cloned().collect();
    let mut covered = anew.gather();
    assert_eq!(covered.compare(&all), 4);
    assert_eq!(covered.faults, []);
    // Put back once more, to where it was accepted.
    anew.kept.truncate(3);
    let mut covered = anew.gather();
    assert_eq!(covered.compare(&all), 3);
    assert_eq!(covered.faults, [CheckpointFault::RolledBack { number: 4, last: 3 }]);
    // A gap in the copies hides what stands before it: told rather than excused.
    let mut covered = anew.gather();
    covered.compare(copies.iter().filter(|copy| copy.number != 4).collect::<Vec<_>>());
    assert_eq!(covered.faults, [CheckpointFault::OtherHistory { number: 3 }]);
}

#[test]
fn what_a_head_says_to_be_signed_is_compared() {
    let mut now = store(4);
    let last = now.gather();
    assert_eq!((last.signed(writer(1)), last.signed(writer(2)), last.signed(writer(3))), (4, 6, 0));
    now.heads.iter_mut().for_each(|head| head.signed = head.seq);
    let mut covered = now.gather();
    covered.counted(&now.heads);
    assert_eq!(covered.faults, []);
    let last = now.kept[3].open(testing::ring().checkpoint_keys()).unwrap();
    assert!(is_counted(Some(&last), &now.heads) && !is_counted(None, &now.heads) && is_counted(None, &[]));
    for told in [0, 3, 5, u64::MAX] {
        now.heads[0].signed = told;
        let mut covered = now.gather();
        covered.counted(&now.heads);
        assert_eq!(covered.faults, [CheckpointFault::Miscounted { writer: writer(1), told, size: 4 }]);
        assert!(!is_counted(Some(&last), &now.heads), "{told}");
    }
}

/// A whole chain whose head says that nothing was ever written, as it did once.
#[test]
fn a_chain_that_is_said_to_be_empty_shows() {
    let mut now = store(4);
    now.heads[1] = Chain::begin(&testing::ring(), writer(2)).unwrap().head();
    now.drop_links(|link| link.writer == writer(2));
    let (chains, faults) = now.check();
    assert_eq!(chains, [], "its own MACs hold");
    assert_eq!(faults, [CheckpointFault::Truncated { writer: writer(2), ends: 0, size: 6, number: 4 }]);
}

impl Store {
    /// Signs this as the next checkpoint.
    fn say(&mut self, grown: Vec<Span>, cut: Vec<Span>) {
        let last = self.kept.last().unwrap();
        let said = last.open(testing::ring().checkpoint_keys()).unwrap();
        let (number, previous) = (last.number + 1, Some(last.digest()));
        let said = Checkpoint { number, previous, grown, cut, ..said };
        self.kept.push(said.sign(&testing::ring()).unwrap());
    }
}

/// Signed, in its place, with the right totals: a chain that did not grow, or a beginning that did not move, is none.
#[test]
fn a_checkpoint_that_says_again_what_was_said_shows() {
    let mut now = store(4);
    let claim = now.gather().chains[&writer(1)][1];
    now.say(vec![Span { writer: writer(1), size: claim.size, root: claim.root }], vec![]);
    assert_eq!(now.check().1, [CheckpointFault::Contradiction { number: 5 }]);

    let mut now = store(4);
    let (ring, head) = (testing::ring(), now.heads[1].clone());
    let mut checker = Checker::new(&ring, &head);
    now.links.iter().filter(|link| link.writer == writer(2)).take(3).for_each(|link| checker.take(link));
    let root = checker.frontier().root();
    let cut = Span { writer: writer(2), size: 3, root };
    now.say(vec![], vec![cut]);
    now.heads[1].base = checker.base();
    now.drop_links(|link| link.writer == writer(2) && link.seq <= 3);
    assert_eq!(now.check(), (vec![], vec![]));
    let mut again = store(0);
    (again.links, again.heads, again.kept) = (now.links.clone(), now.heads.clone(), now.kept.clone());
    again.say(vec![], vec![cut]);
    assert_eq!(again.check().1, [CheckpointFault::Contradiction { number: 6 }]);
    // Another tree than that of what was removed.
    now.kept.pop();
    now.say(vec![], vec![Span { root: [7; 32], ..cut }]);
    assert_eq!(now.check().1, [CheckpointFault::OtherRecords { writer: writer(2), size: 3, number: 5 }]);
}
