use super::super::{Purpose, Ring};
use super::*;
use crate::testing::{self, START, SeededEntropy, later, ring_rows};
use proptest::prelude::*;

const OLD: [u8; 32] = [42; 32];
const NEW: [u8; 32] = [43; 32];
const OTHER: [u8; 32] = [44; 32];

fn alone(bytes: &[u8; 32]) -> Kek {
    Kek::new(bytes).unwrap()
}

fn turning(key: &[u8; 32], role: SealRole, other: &[u8; 32]) -> Kek {
    alone(key).with(role, other).unwrap()
}

/// The new one in the old one's place, as a process has them that starts on the test ring.
fn over() -> Kek {
    let both = turning(&NEW, SealRole::Previous, &OLD);
    both.fit(Some(&alone(&OLD).row(START).unwrap()), &ring_rows()).unwrap()
}

fn entropy() -> SeededEntropy {
    SeededEntropy::new(7)
}

/// The test ring as a version without ids has wrapped it.
fn unnamed_rows() -> Vec<RingRow> {
    let key = SealKey::new(UNNAMED, &OLD).unwrap();
    let mut rows = ring_rows();
    for row in &mut rows {
        let plain = row.open(&testing::kek()).unwrap();
        row.sealed = row.at(|place| key.seal_at(place, [1; 12], plain.expose())).unwrap();
    }
    rows
}

fn apply(rows: &[RingRow], wrapped: &Wrapped) -> Vec<RingRow> {
    let kept = rows.iter().filter(|row| !wrapped.old.contains(row)).cloned();
    kept.chain(wrapped.new.iter().cloned()).collect()
}

#[test]
fn an_id_names_a_key_and_shows_nothing_of_it() {
    let (old, new) = (alone(&OLD), alone(&NEW));
    assert_ne!(old.id(), new.id());
    assert_eq!(old.id(), alone(&OLD).id());
    assert_eq!(old.id().to_string().len(), 8);
    assert_eq!(SealId::new(old.id().number()), old.id());
    let (row, other) = (old.row(START).unwrap(), new.row(START).unwrap());
    assert_ne!(row.check, other.check);
    assert_ne!(row.check, OLD);
    assert!(old.keys[0].is_of(&row) && !new.keys[0].is_of(&row));
    // The id alone is no proof.
    assert!(!old.keys[0].is_of(&SealRow { check: other.check, ..row }));
}

#[test]
fn what_is_wrapped_names_its_seal_key_once_there_are_two() {
    let kek = testing::kek();
    for row in ring_rows() {
        // Programs of before seal keys had ids can read it.
        assert_eq!(seal::version_of(&row.sealed), Some(UNNAMED));
        assert_eq!(kek.wraps(&row), Some(kek.id()));
        assert!(row.open(&alone(&NEW)).is_err());
    }
    let two = turning(&NEW, SealRole::Previous, &OLD);
    for kek in [&two, &turning(&NEW, SealRole::Next, &OLD)] {
        let (state, purpose) = (RingState::Active, Purpose::Ticket);
        let row = Ring::generate_one(kek, &entropy(), START, purpose, 2, state).unwrap();
        assert_eq!(seal::version_of(&row.sealed), Some(alone(&NEW).id().number()));
        // And then for good.
        let later = alone(&NEW).beside(std::slice::from_ref(&row));
        let row = Ring::generate_one(&later, &entropy(), START, purpose, 3, state).unwrap();
        assert_eq!(seal::version_of(&row.sealed), Some(alone(&NEW).id().number()));
    }
}

#[test]
fn a_key_that_was_added_while_the_others_were_wrapped_is_wrapped_after_them() {
    let (rows, said) = (ring_rows(), alone(&OLD).row(START).unwrap());
    let both = over();
    let wrapped = wrap_again(&both, Some(&said), &rows, &entropy(), START).unwrap().unwrap();
    let late = Ring::generate_one(&alone(&OLD), &entropy(), START, Purpose::Ticket, 2, RingState::Prepared);
    let mut after = apply(&rows, &wrapped);
    after.push(late.unwrap());
    let (running, started) =
        (both.fit(Some(&said), &rows).unwrap(), both.fit(Some(&wrapped.seal), &after).unwrap());
    for kek in [running, started] {
        let rest = wrap_again(&kek, Some(&wrapped.seal), &after, &entropy(), START).unwrap().unwrap();
        assert_eq!((rest.new.len(), rest.new[0].stage().name().as_str()), (1, "ticket/2"));
        Ring::open(&apply(&after, &rest), &kek).unwrap_or_else(|e| panic!("{e}"));
    }
}

#[test]
fn a_wrong_seal_key_is_told_by_the_check_value_alone() {
    let (said, rows) = (alone(&OLD).row(START).unwrap(), ring_rows());
    assert!(alone(&OLD).fit(Some(&said), &rows).is_ok());
    let refused = turning(&NEW, SealRole::Previous, &OTHER).fit(Some(&said), &rows).err().unwrap();
    let ids = [&NEW, &OTHER].map(|bytes| alone(bytes).id());
    let given = format!("{} as `key`, {} as `previous`", ids[0], ids[1]);
    assert_eq!(refused, SealMisfit::Wrong { wanted: said.id, given });
    let told = refused.to_string();
    assert!(told.contains("nothing was changed") && told.contains("copy it from one that runs"), "{told}");
    // Also where the ring holds nothing that could be tried.
    assert!(alone(&NEW).fit(Some(&said), &[]).is_err());
}

#[test]
fn a_seal_key_that_something_still_needs_does_not_go() {
    let said = alone(&OLD).row(START).unwrap();
    let first = wrap_again(&over(), Some(&said), &ring_rows(), &entropy(), START).unwrap().unwrap();
    let mut rows = apply(&ring_rows(), &first);
    let both = turning(&OTHER, SealRole::Previous, &NEW).fit(Some(&first.seal), &rows).unwrap();
    let second = wrap_again(&both, Some(&first.seal), &rows, &entropy(), START).unwrap().unwrap();
    let last = rows.pop().unwrap();
    let mut rest: Vec<_> = second.new.into_iter().filter(|row| row.stage() != last.stage()).collect();
    assert!(alone(&OTHER).fit(Some(&second.seal), &rest).is_ok());
    let name = last.stage().name();
    rest.push(last);
    let refused = alone(&OTHER).fit(Some(&second.seal), &rest).err().unwrap();
    assert!(matches!(&refused, SealMisfit::Missing { key, .. } if *key == name), "{refused}");
}

#[test]
fn everything_is_wrapped_again_at_once_and_no_key_changes() {
    let (rows, said) = (ring_rows(), alone(&OLD).row(START).unwrap());
    let both = turning(&NEW, SealRole::Previous, &OLD).fit(Some(&said), &rows).unwrap();
    assert_eq!(wrapped_by(&both, &rows), [(alone(&NEW).id(), 0), (alone(&OLD).id(), rows.len())]);
    let wrapped = wrap_again(&both, Some(&said), &rows, &entropy(), later(9)).unwrap().unwrap();
    assert_eq!((wrapped.old.len(), wrapped.new.len()), (rows.len(), rows.len()));
    assert_eq!(wrapped.seal, alone(&NEW).row(later(9)).unwrap());
    let after = apply(&rows, &wrapped);
    assert_eq!(wrapped_by(&both, &after), [(alone(&NEW).id(), after.len()), (alone(&OLD).id(), 0)]);
    assert!(wrap_again(&both, Some(&wrapped.seal), &after, &entropy(), START).unwrap().is_none());
    // The new one alone is enough, and the old one alone is refused.
    assert!(alone(&OLD).fit(Some(&wrapped.seal), &after).is_err());
    let alone = alone(&NEW).fit(Some(&wrapped.seal), &after).unwrap();
    let (before, ring) = (testing::ring(), Ring::open(&after, &alone).unwrap_or_else(|e| panic!("{e}")));
    let kids = |ring: &Ring| ring.published().map(|(key, _)| key.kid().to_owned()).collect::<Vec<_>>();
    assert_eq!(kids(&ring), kids(&before));
    for row in &wrapped.new {
        assert_eq!(row.open(&alone).unwrap().expose(), row_plain(&rows, row).expose());
    }
}

fn row_plain(rows: &[RingRow], like: &RingRow) -> Secret {
    rows.iter().find(|row| row.stage() == like.stage()).unwrap().open(&testing::kek()).unwrap()
}

#[test]
fn a_node_that_only_knows_the_key_to_come_leaves_everything_as_it_is() {
    let (rows, said) = (ring_rows(), alone(&OLD).row(START).unwrap());
    let early = turning(&OLD, SealRole::Next, &NEW);
    assert!(wrap_again(&early, Some(&said), &rows, &entropy(), START).unwrap().is_none());
    let late = over();
    let wrapped = wrap_again(&late, Some(&said), &rows, &entropy(), START).unwrap().unwrap();
    let after = apply(&rows, &wrapped);
    // It opens what the other has wrapped, does not undo it, and wraps what it adds by the same key.
    let early = early.fit(Some(&wrapped.seal), &after).unwrap();
    assert!(wrap_again(&early, Some(&wrapped.seal), &after, &entropy(), START).unwrap().is_none());
    assert_eq!((early.id(), early.role(early.id())), (alone(&NEW).id(), Some(SealRole::Next)));
    Ring::open(&after, &early).unwrap_or_else(|e| panic!("{e}"));
    // And before anything is moved, by its own.
    let before = turning(&OLD, SealRole::Next, &NEW).fit(Some(&said), &rows).unwrap();
    assert_eq!(before.id(), alone(&OLD).id());
}

#[test]
fn a_rotation_can_be_taken_back() {
    let (rows, said) = (ring_rows(), alone(&OLD).row(START).unwrap());
    let there = over();
    let forth = wrap_again(&there, Some(&said), &rows, &entropy(), START).unwrap().unwrap();
    let back = turning(&OLD, SealRole::Previous, &NEW);
    let rows = apply(&rows, &forth);
    let undone = wrap_again(&back, Some(&forth.seal), &rows, &entropy(), START).unwrap().unwrap();
    assert_eq!(undone.seal, said);
    Ring::open(&apply(&rows, &undone), &alone(&OLD)).unwrap_or_else(|e| panic!("{e}"));
}

#[test]
fn a_store_of_an_older_version_opens_and_moves_on() {
    let rows = unnamed_rows();
    let strange = alone(&NEW).fit(None, &rows).err().unwrap();
    assert_eq!(strange, SealMisfit::Strange("token-seal/1".into()));
    let kek = alone(&OLD).fit(None, &rows).unwrap();
    Ring::open(&rows, &kek).unwrap_or_else(|e| panic!("{e}"));
    // It says from then on which key it is; the keys themselves stay as they are.
    let noted = wrap_again(&kek, None, &rows, &entropy(), START).unwrap().unwrap();
    assert_eq!((noted.new.len(), &noted.seal), (0, &alone(&OLD).row(START).unwrap()));
    assert_eq!(wrapped_by(&kek, &rows), [(alone(&OLD).id(), rows.len())]);
    // A seal key that is replaced in the same breath is found out as well.
    for said in [None, Some(&noted.seal)] {
        let both = turning(&NEW, SealRole::Previous, &OLD).fit(said, &rows).unwrap();
        let wrapped = wrap_again(&both, said, &rows, &entropy(), START).unwrap().unwrap();
        assert_eq!(wrapped.new.len(), rows.len());
        Ring::open(&wrapped.new, &alone(&NEW)).unwrap_or_else(|e| panic!("{e}"));
        assert!(alone(&NEW).fit(said, &rows).is_err(), "the old one is needed until then");
    }
}

#[test]
fn a_row_that_was_changed_stops_the_wrapping_and_nothing_is_lost() {
    let mut rows = ring_rows();
    let last = rows[3].sealed.len() - 1;
    rows[3].sealed[last] ^= 1;
    let both = over();
    assert!(wrap_again(&both, Some(&alone(&OLD).row(START).unwrap()), &rows, &entropy(), START).is_err());
}

#[test]
fn what_is_destroyed_is_under_no_seal_key() {
    let mut rows = ring_rows();
    let at = rows.iter().position(|row| row.purpose == Purpose::Ticket).unwrap();
    (rows[at].state, rows[at].sealed) = (RingState::Gone, Vec::new());
    assert_eq!(wrapped_by(&testing::kek(), &rows), [(testing::kek().id(), rows.len() - 1)]);
    assert!(alone(&OLD).fit(Some(&alone(&OLD).row(START).unwrap()), &rows).is_ok());
}

proptest! {
    #[test]
    fn ids_and_check_values_differ(one: [u8; 32], other: [u8; 32]) {
        prop_assume!(one != other);
        let (a, b) = (alone(&one).row(START).unwrap(), alone(&other).row(START).unwrap());
        prop_assert_ne!(a.check, b.check);
        prop_assert_ne!(a.id.number(), UNNAMED);
    }
}
