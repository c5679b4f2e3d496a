use super::super::{SealRole, wrap_again};
use super::*;
use crate::testing::{self, START, SeededEntropy, ring_rows};

fn next_kek() -> Kek {
    Kek::new(&[43; 32]).unwrap().with(SealRole::Previous, &[42; 32]).unwrap()
}

/// The test ring with one more key, and its purpose's first one in another state.
fn rotated(purpose: Purpose, kek: &Kek) -> Vec<RingRow> {
    let mut rows = ring_rows();
    let new = Ring::generate_one(kek, &SeededEntropy::new(3), START, purpose, 2, RingState::Active).unwrap();
    rows.iter_mut().find(|row| row.purpose == purpose).unwrap().state = RingState::Retiring;
    rows.push(new);
    rows
}

#[test]
fn what_opens_is_taken() {
    let rows = rotated(Purpose::Ticket, &testing::kek());
    let next = testing::ring().follow(&rows, &testing::kek());
    assert_eq!((next.active(Purpose::Ticket), next.unopened()), (2, [].as_slice()));
    let whole = Ring::open(&rows, &testing::kek()).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(next.stages(), whole.stages());
}

#[test]
fn a_key_of_another_seal_key_leaves_its_purpose_as_it_was_and_no_other() {
    let mut rows = rotated(Purpose::Triple, &next_kek());
    let ticket =
        rotated(Purpose::Ticket, &testing::kek()).into_iter().filter(|row| row.purpose == Purpose::Ticket);
    rows.retain(|row| row.purpose != Purpose::Ticket);
    rows.extend(ticket);
    let next = testing::ring().follow(&rows, &testing::kek());
    assert_eq!((next.active(Purpose::Triple), next.active(Purpose::Ticket)), (1, 2));
    assert!(next.mac(Purpose::Triple, 1).is_some() && next.mac(Purpose::Triple, 2).is_none());
    assert_eq!(next.active_at(Purpose::Triple, START), 1);
    let names: Vec<_> = next.unopened().iter().map(Stage::name).collect();
    assert_eq!(names, ["triple/2"]);
    assert!(next.is_behind(Purpose::Triple) && !next.is_behind(Purpose::Ticket));
    // With the seal key it catches up.
    let both = testing::kek().with(SealRole::Next, &[43; 32]).unwrap();
    let caught = next.follow(&rows, &both);
    assert_eq!((caught.active(Purpose::Triple), caught.unopened().len()), (2, 0));
}

#[test]
fn a_ring_that_was_wrapped_again_by_an_unknown_seal_key_works_on() {
    let said = testing::kek().row(START).unwrap();
    let both = next_kek().fit(Some(&said), &ring_rows()).unwrap();
    let wrapped =
        wrap_again(&both, Some(&said), &ring_rows(), &SeededEntropy::new(1), START).unwrap().unwrap();
    let before = testing::ring();
    let next = before.follow(&wrapped.new, &testing::kek());
    assert_eq!(next.unopened().len(), ring_rows().len());
    for &purpose in Purpose::ALL {
        assert_eq!(next.active(purpose), 1, "{purpose:?}");
    }
    assert_eq!(next.stages(), before.stages());
    assert!(next.seal(Purpose::Rest, 1).is_some() && next.checkpoint_signer().is_some());
}

#[test]
fn a_key_that_is_destroyed_is_not_kept() {
    let mut rows = rotated(Purpose::JwtEs256, &next_kek());
    let old = rows.iter_mut().find(|row| row.purpose == Purpose::JwtEs256 && row.version == 1).unwrap();
    (old.state, old.sealed) = (RingState::Gone, Vec::new());
    let next = testing::ring().follow(&rows, &testing::kek());
    assert_eq!(next.active(Purpose::JwtEs256), 0);
    assert!(
        next.signer(crate::role::Algorithm::Es256).is_none(),
        "nothing is signed that nobody else believes"
    );
    assert!(next.signer(crate::role::Algorithm::Rs256).is_some());
}

#[test]
fn two_active_keys_or_none_are_not_believed() {
    let mut rows = rotated(Purpose::Pepper, &testing::kek());
    for row in &mut rows {
        row.state = RingState::Active;
    }
    let next = testing::ring().follow(&rows, &testing::kek());
    assert!(next.is_behind(Purpose::Pepper) && next.active(Purpose::Pepper) == 1);
    rows.retain(|row| row.purpose != Purpose::Pepper);
    let next = testing::ring().follow(&rows, &testing::kek());
    assert_eq!((next.active(Purpose::Pepper), next.mac(Purpose::Pepper, 1).is_none()), (0, true));
}
