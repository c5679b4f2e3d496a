use super::*;
use crate::testing::{self, START};

fn chain_of(n: u64) -> (Vec<Link>, ChainHead) {
    let mut chain = Chain::begin(&testing::ring(), Uuid::from_u128(7)).unwrap();
    let links = (0..n)
        .map(|i| Record::change(Uuid::from_u128(i.into()), START, None, "client.add", &i.to_string()))
        .map(|record| chain.link(&record).unwrap())
        .collect();
    (links, chain.head())
}

fn check(links: &[Link], head: &ChainHead) -> Vec<ChainFault> {
    let ring = testing::ring();
    let mut checker = Checker::new(&ring, head);
    for link in links {
        checker.take(link);
    }
    checker.finish()
}

#[test]
fn an_untouched_chain_is_clean() {
    for n in [0, 1, 5] {
        let (links, head) = chain_of(n);
        assert_eq!(check(&links, &head), []);
    }
}

#[test]
fn every_kind_of_tampering_shows() {
    let writer = Uuid::from_u128(7);
    let (links, head) = chain_of(5);

    let mut changed = links.clone();
    changed[2].blob[10] ^= 1;
    assert_eq!(check(&changed, &head), [ChainFault::Changed { writer, seq: 3 }]);

    let mut removed = links.clone();
    removed.remove(2);
    assert_eq!(check(&removed, &head), [ChainFault::Missing { writer, from: 3, to: 3 }]);

    assert_eq!(check(&links[..3], &head), [ChainFault::Missing { writer, from: 4, to: 5 }]);

    let mut swapped = links.clone();
    swapped.swap(1, 2);
    assert!(!check(&swapped, &head).is_empty());

    let cut_head = ChainHead { seq: 3, ..head.clone() };
    assert_eq!(check(&links[..3], &cut_head), [ChainFault::Head { writer }], "a head cannot be made up");

    let mut forged = links.clone();
    forged.push(Link { seq: 6, ..links[4].clone() });
    assert!(!check(&forged, &head).is_empty(), "nor a record");
}

#[test]
fn a_head_proves_its_tree_without_its_records() {
    let ring = testing::ring();
    for n in [0, 1, 2, 7] {
        let (links, head) = chain_of(n);
        let mut naive = Frontier::new();
        for link in &links {
            naive.append(tree::leaf(&link.blob));
        }
        assert_eq!(head.proved(&ring), Some(&naive), "{n}");
    }
    let (_, head) = chain_of(5);
    let (_, other) = chain_of(4);
    let forged = ChainHead { tip: other.tip.clone(), ..head.clone() };
    assert_eq!(forged.proved(&ring), None, "an earlier tree is no proof of the end");
    let rolled = ChainHead { seq: 4, mac: other.mac, ..head.clone() };
    assert_eq!(rolled.proved(&ring), None);
    for bit in [0, 40, 64, 80] {
        let mut bytes = head.tip.as_ref().unwrap().to_bytes();
        bytes[bit] ^= 1;
        let tip = Point::from_bytes(&bytes);
        assert_eq!(ChainHead { tip, ..head.clone() }.proved(&ring), None, "byte {bit}");
    }
    let tip = head.tip.clone().unwrap();
    assert_eq!(Point::from_bytes(&tip.to_bytes()), Some(tip.clone()));
    for short in 0..72 {
        assert_eq!(Point::from_bytes(&tip.to_bytes()[..short]), None);
    }
}

#[test]
fn a_tree_that_is_not_that_of_the_records_shows() {
    let writer = Uuid::from_u128(7);
    let (links, head) = chain_of(5);
    let (_, other) = chain_of(4);
    let forged = ChainHead { tip: other.tip, ..head.clone() };
    assert_eq!(check(&links, &forged), [], "of a version before the tree, records may follow");
    let mut tip = head.tip.clone().unwrap();
    tip.frontier.append([1; 32]);
    assert_eq!(check(&links, &ChainHead { tip: Some(tip), ..head.clone() }), [ChainFault::Head { writer }]);
    let mut tip = head.tip.clone().unwrap();
    tip.proof[0] ^= 1;
    assert_eq!(check(&links, &ChainHead { tip: Some(tip), ..head }), [ChainFault::Head { writer }]);
}

/// What a version before the tree left behind: a head without one.
#[test]
fn a_chain_of_an_earlier_version_gets_its_tree_from_its_links() {
    let ring = testing::ring();
    let (links, head) = chain_of(6);
    let (_, earlier) = chain_of(4);
    for tip in [None, earlier.tip] {
        let old = ChainHead { tip, ..head.clone() };
        assert_eq!(old.proved(&ring), None);
        assert_eq!(check(&links, &old), []);
        let mut checker = Checker::from_tip(&ring, &old);
        let from = usize::try_from(checker.seq()).unwrap();
        assert_eq!(checker.tip(), None, "not at its end yet");
        links[from..].iter().for_each(|link| checker.take(link));
        assert_eq!(checker.tip(), head.tip, "from {from}");
        assert_eq!(ChainHead { tip: checker.tip(), ..old.clone() }.proved(&ring), head.proved(&ring));

        let mut changed = links.clone();
        changed[5].blob[3] ^= 1;
        let mut checker = Checker::from_tip(&ring, &old);
        changed[from..].iter().for_each(|link| checker.take(link));
        assert_eq!(checker.tip(), None, "nothing is proved that does not verify");
    }
}

#[test]
fn what_is_kept_begins_at_a_proved_base() {
    let ring = testing::ring();
    let writer = Uuid::from_u128(7);
    let (links, head) = chain_of(6);
    let cut = |n: usize, head: &ChainHead| {
        let mut checker = Checker::new(&ring, head);
        let from = usize::try_from(checker.seq()).unwrap();
        links[from..n].iter().for_each(|link| checker.take(link));
        checker.base()
    };
    let base = cut(2, &head);
    let kept = ChainHead { base: base.clone(), ..head.clone() };
    assert_eq!((kept.first(), head.first()), (3, 1));
    assert_eq!(check(&links[2..], &kept), []);
    let again = ChainHead { base: cut(4, &kept), ..head.clone() };
    assert_eq!(check(&links[4..], &again), []);
    let whole = ChainHead { base: cut(6, &again), ..head.clone() };
    assert_eq!(check(&[], &whole), [], "a chain may shrink to its base");
    assert_eq!(whole.proved(&ring), head.proved(&ring), "and can still be signed");

    // More is gone than was removed, less is gone, the base is put back, or made up.
    let missing = |from, to| [ChainFault::Missing { writer, from, to }];
    assert_eq!(check(&links[3..], &kept), missing(3, 3));
    assert_eq!(check(&links[4..], &kept), missing(3, 4));
    assert_eq!(check(&[], &kept), missing(3, 6));
    assert_eq!(check(&links[2..], &head), missing(1, 2));
    let end_as_base = ChainHead { base: head.tip.clone(), ..head.clone() };
    assert!(check(&[], &end_as_base).contains(&ChainFault::Base { writer }));
    let mut bytes = base.unwrap().to_bytes();
    bytes[70] ^= 1;
    let forged = ChainHead { base: Point::from_bytes(&bytes), ..head.clone() };
    assert!(!check(&links[2..], &forged).is_empty());
    // Of another writer.
    let mut chain = Chain::begin(&ring, Uuid::from_u128(8)).unwrap();
    for i in 0..6 {
        let record = Record::change(Uuid::from_u128(i), START, None, "client.add", &i.to_string());
        chain.link(&record).unwrap();
    }
    let moved = ChainHead { base: kept.base, ..chain.head() };
    assert!(check(&[], &moved).contains(&ChainFault::Base { writer: Uuid::from_u128(8) }));
    // What does not verify is not removed.
    let mut checker = Checker::new(&ring, &head);
    checker.take(&Link { blob: b"{}".to_vec(), ..links[0].clone() });
    assert_eq!(checker.base(), None);
}
