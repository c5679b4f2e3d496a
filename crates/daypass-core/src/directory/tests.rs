//! What is found, what is bound to its place, and what snapshots share.

use super::*;
use crate::cutoff::Scope;
use crate::freeze::Place as Frozen;
use crate::record::Record;
use crate::store::{Change, Store};
use crate::testing::{MemoryStore, START, World, kek, later, ring, ring_rows};

#[test]
fn an_id_of_another_tenant_is_not_found() {
    let world = World::new();
    let directory = world.directory();
    let (acme, other) = (directory.tenant("acme").unwrap(), directory.tenant("other").unwrap());
    let client = world.client.guid;
    assert!(directory.client(acme, client).is_some());
    assert!(directory.client(other, client).is_none());
}

#[test]
fn a_key_of_another_kind_is_not_found() {
    let world = World::new();
    let directory = world.directory();
    let now = START;
    assert!(directory.key("AKIDworld", KeyKind::Tencent, now).is_some());
    assert!(directory.key("AKIDworld", KeyKind::Top, now).is_none());
    assert!(directory.key("AKIDnobody", KeyKind::Tencent, now).is_none());
}

#[test]
fn sealed_keys_and_hashed_secrets_are_bound_to_their_rows() {
    let mut world = World::new();
    let stolen = Key { id: "AKIDother".into(), ..world.keys[0].clone() };
    world.keys.push(stolen.clone());
    let opened = world.directory().signing_secret(Some(&stolen)).err();
    assert_eq!(opened, Some(SealFault::DoesNotOpen), "copied to another row");

    let ours = ring();
    let hash = |client| hash_secret(&ours, 1, Uuid::from_u128(client), b"secret").unwrap();
    assert_eq!(hash(1), hash(1));
    assert_ne!(hash(1), hash(2), "one client's hash recognises nothing of another's");
}

#[test]
fn a_stand_in_opens_like_a_key() {
    let world = World::new();
    let directory = world.directory();
    assert_eq!(directory.signing_secret(None).unwrap().expose(), [0; 32]);
    let found = directory.key("AKIDworld", KeyKind::Tencent, START).unwrap();
    assert_eq!(directory.signing_secret(Some(&found.key)).unwrap().expose(), b"secret of AKIDworld");
}

#[tokio::test]
async fn what_has_not_changed_is_shared_with_the_next_snapshot() {
    let world = World::new();
    let store = MemoryStore::new();
    let record =
        |number| Record::change(Uuid::from_u128(number), START, None, "test.change", &number.to_string());
    let keys = world.keys.iter().cloned().map(Change::PutKey);
    let mut changes = vec![Change::PutClient(world.client.clone()), Change::PutRing(ring_rows())];
    changes.extend(keys);
    store.change(changes, record(1)).await.unwrap();
    let contents = store.contents(&Contents::default()).await.unwrap();
    let ours = ring();
    let first = Directory::of(Arc::new(world.plan.clone()), ours.clone(), contents).unwrap();

    let cut = Change::Cut(Cutoff { scope: Scope::All, before: START });
    store.change(vec![cut], record(2)).await.unwrap();
    let contents = store.contents(first.contents()).await.unwrap();
    let second = first.next(ours.clone(), contents).unwrap();
    assert!(second.has_people_of(&first) && Arc::ptr_eq(&second.stand_ins, &first.stand_ins));
    assert!(second.cutoffs().cut(START, &Scope::All) && !first.cutoffs().cut(START, &Scope::All));
    assert_eq!((first.board().1, second.board().1), (0, 1));
    assert!(std::ptr::eq(first.board().0, second.board().0), "what was published is remembered");

    let disabled = Client { enabled: false, ..world.client.clone() };
    store.change(vec![Change::PutClient(disabled)], record(3)).await.unwrap();
    let freeze = Freeze { place: Frozen::All, since: later(1) };
    store.change(vec![Change::Freeze(freeze)], record(4)).await.unwrap();
    let contents = store.contents(second.contents()).await.unwrap();
    let opened = Arc::new(Ring::open(&ring_rows(), &kek()).unwrap());
    let third = second.next(opened, contents).unwrap();
    assert!(!third.has_people_of(&second) && !Arc::ptr_eq(&third.stand_ins, &second.stand_ins));
    let tenant = third.tenant("acme").unwrap();
    let enabled = |of: &Directory| of.client(tenant, world.client.guid).unwrap().enabled;
    assert_eq!((enabled(&second), enabled(&third)), (true, false));
    assert_eq!((second.freezes().len(), third.freezes().len()), (0, 1));
    assert!(third.contents().cutoffs.is(&second.contents().cutoffs));
    assert!(third.key("AKIDworld", KeyKind::Tencent, START).is_some());
}

#[test]
fn another_configuration_comes_with_all_that_the_store_held() {
    let world = World::new();
    let first = world.directory();
    let mut plan = world.plan.clone();
    plan.public_url = "https://other.example.com".to_owned();
    plan.roles.retain(|role| role.name != "devcenter");
    let second = first.planned(Arc::new(plan));
    assert_eq!((first.board().1, second.board().1), (0, 1), "what is published is made anew");
    assert!(std::ptr::eq(first.board().0, second.board().0) && second.has_people_of(&first));
    let seen = |of: &Directory| (of.plan().public_url.clone(), of.role("acme", "devcenter").is_some());
    assert_eq!(seen(&first), (world.plan.public_url.clone(), true));
    assert_eq!(seen(&second), ("https://other.example.com".to_owned(), false));

    // What is frozen from now on holds for a request that began with the first configuration as well.
    let frozen = second.frozen(vec![Freeze { place: Frozen::All, since: START }]);
    let begun = frozen.under(&first);
    assert_eq!(seen(&begun), seen(&first));
    assert_eq!((begun.freezes().len(), begun.board().1), (1, 0));
}
