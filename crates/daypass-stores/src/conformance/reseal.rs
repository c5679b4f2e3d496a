//! What is sealed or hashed anew, and which seal key wraps the ring.

use super::{Open, at, put, told, writer};
use daypass_core::client::{Key, Material};
use daypass_core::contents::Contents;
use daypass_core::ring::{SealId, SealRow};
use daypass_core::store::{Change, Store, StoreError};
use daypass_core::testing::World;
use std::sync::Arc;

async fn sorted(store: &Arc<dyn Store>) -> Vec<Key> {
    let mut keys = store.keys().await.unwrap();
    keys.sort_by(|a, b| a.id.cmp(&b.id));
    keys
}

fn anew(key: &Key) -> Key {
    Key { material: Material::Sealed(vec![7; 40]), ..key.clone() }
}

/// The keys of the world, in the store.
async fn filled(store: &Arc<dyn Store>) -> Vec<Key> {
    let world = World::new();
    let mut changes = vec![Change::PutClient(world.client)];
    changes.extend(world.keys.into_iter().map(Change::PutKey));
    put(store, 1, changes).await.unwrap();
    sorted(store).await
}

/// Clients' keys are swapped as they were seen, whoever follows reads them again, and what they hold is proved.
pub async fn keys_are_swapped_as_they_were_seen(open: &Open) {
    let (store, reader) = (writer(open, 1).await, open());
    let keys = filled(&store).await;
    let before = reader.contents(&Contents::default()).await.unwrap();
    let version = reader.version().await.unwrap();
    let new: Vec<_> = keys.iter().map(anew).collect();
    put(&store, 2, vec![Change::SwapKeys { old: keys, new: new.clone() }]).await.unwrap();
    assert_eq!(sorted(&store).await, new);
    told(&reader, version).await;
    let after = reader.contents(&before).await.unwrap();
    assert!(!after.keys.is(&before.keys) && after.clients.is(&before.clients));
    let mut held: Vec<_> = after.keys.held().iter().collect();
    held.sort_by(|a, b| a.id.cmp(&b.id));
    assert_eq!(held, new);
}

/// A key that an operator has changed meanwhile stays changed, and so does everything that came with it.
pub async fn a_key_that_was_changed_meanwhile_stays_changed(open: &Open) {
    let store = writer(open, 1).await;
    let keys = filled(&store).await;
    let disabled = Key { enabled: false, ..keys[1].clone() };
    put(&store, 2, vec![Change::PutKey(disabled.clone())]).await.unwrap();
    let new: Vec<_> = keys.iter().map(anew).collect();
    let swap = |old: &[Key], new: &[Key]| vec![Change::SwapKeys { old: old.to_vec(), new: new.to_vec() }];
    let refused = put(&store, 3, swap(&keys, &new)).await;
    assert!(matches!(refused, Err(StoreError::Conflict(_))), "{refused:?}");
    let mut expected = keys.clone();
    expected[1] = disabled;
    assert_eq!(sorted(&store).await, expected);
    // Nor does it come back once it is gone, nor change its owner, nor appear from nowhere.
    let unknown = Key { id: "AKIDnowhere".into(), ..keys[0].clone() };
    let others = Key { client: uuid::Uuid::from_u128(9), ..new[0].clone() };
    for (old, new) in [
        (vec![unknown.clone()], vec![anew(&unknown)]),
        (vec![keys[0].clone()], vec![others]),
        (vec![keys[0].clone()], vec![unknown]),
        (vec![keys[0].clone()], vec![]),
        (vec![], vec![new[0].clone()]),
    ] {
        let refused = put(&store, 4, swap(&old, &new)).await;
        assert!(matches!(refused, Err(StoreError::Conflict(_))), "{refused:?}");
    }
    assert_eq!(sorted(&store).await, expected);
}

/// A thousand at once are as good as one.
pub async fn many_keys_are_swapped_at_once(open: &Open) {
    let store = writer(open, 1).await;
    let first = filled(&store).await.remove(0);
    let many = |material: u8| -> Vec<Key> {
        let one = |n: u32| Key {
            id: format!("AKIDmany{n:05}"),
            material: Material::Sealed(vec![material; 60]),
            ..first.clone()
        };
        (0..1000).map(one).collect()
    };
    put(&store, 2, many(1).into_iter().map(Change::PutKey).collect()).await.unwrap();
    put(&store, 3, vec![Change::SwapKeys { old: many(1), new: many(2) }]).await.unwrap();
    let there: Vec<_> =
        sorted(&store).await.into_iter().filter(|key| key.id.starts_with("AKIDmany")).collect();
    assert_eq!(there, many(2));
    store.contents(&Contents::default()).await.unwrap();
}

/// A store says nothing of its seal key until somebody does, and of two that do so at once, one.
pub async fn of_two_seal_keys_at_once_one_is_said(open: &Open) {
    let (one, other) = (writer(open, 1).await, writer(open, 2).await);
    assert_eq!(one.seal().await.unwrap(), None);
    let row = |id: u32| SealRow { id: SealId::new(id), check: [9; 32], since: at(5) };
    let swap = |old: Option<&SealRow>, new: u32| vec![Change::SwapSeal { old: old.cloned(), new: row(new) }];
    // A number that needs all of its bits.
    put(&one, 1, swap(None, u32::MAX)).await.unwrap();
    let refused = put(&other, 2, swap(None, 2)).await;
    assert!(matches!(refused, Err(StoreError::Conflict(_))), "{refused:?}");
    assert_eq!(other.seal().await.unwrap(), Some(row(u32::MAX)));
    let almost = SealRow { check: [8; 32], ..row(u32::MAX) };
    assert!(put(&other, 2, swap(Some(&almost), 2)).await.is_err());
    put(&other, 2, swap(Some(&row(u32::MAX)), 2)).await.unwrap();
    one.close().await.unwrap();
    assert_eq!(open().seal().await.unwrap(), Some(row(2)));
}

/// A process that begins once more has ended its chain, and both verify.
pub async fn a_writer_may_begin_anew(open: &Open) {
    use super::{chain, entry, verify};
    let store = writer(open, 1).await;
    store.append(entry(1)).await.unwrap();
    store.begin(chain(2)).await.unwrap();
    store.append(entry(2)).await.unwrap();
    store.append(entry(3)).await.unwrap();
    assert_eq!(verify(&store).await, 3);
    let mut ends: Vec<_> =
        store.heads().await.unwrap().iter().map(|head| (head.writer.as_u128(), head.seq)).collect();
    ends.sort_unstable();
    assert_eq!(ends, [(1, 1), (2, 2)]);
    assert!(store.begin(chain(1)).await.is_err(), "an id is used once");
    store.append(entry(4)).await.unwrap();
    assert_eq!(verify(&store).await, 4);
}
