//! Writes what was decided on a client and its keys, while these are what was read; otherwise the operator is told.
//!
//! Two who change one client at once, each at a node of their own, have both read it before either has written. The later one did
//! not see what the first has done: a role that was taken from a stolen client would be there again, and nobody would know.

use super::{Client, Key, key_of};
use crate::app;
use crate::cli::output::Failure;
use crate::cli::place::Place;
use daypass_core::record::Record;
use daypass_core::store::{Change, StoreError};

/// How often one key is looked at again because only the way in which it is kept has changed. It is sealed or hashed anew once for
/// each key of the ring that is replaced, so that twice in a row is rare, and this often does not happen.
const AGAIN: u32 = 5;

/// Makes changes that stand on what was read of a client.
pub(super) async fn change(
    place: &Place,
    client: &Client,
    changes: Vec<Change>,
    record: Record,
) -> Result<(), Failure> {
    place.opened.store.change(changes, record).await.map_err(|fault| meanwhile(client, fault))
}

/// What becomes of a key.
pub(super) struct Said {
    /// What the record calls it.
    pub(super) action: &'static str,
    /// Whether it works from now on.
    pub(super) enabled: bool,
}

/// Enables or disables a key that was read, with what else belongs to it, and gives it as it is then. That it was sealed or hashed
/// anew meanwhile is nobody's decision, and it is read again.
pub(super) async fn swap(
    place: &Place,
    client: &Client,
    mut was: Key,
    said: &Said,
    beside: &[Change],
) -> Result<Key, Failure> {
    let object = format!("{} {}", client.name, was.id);
    let mut again = AGAIN;
    loop {
        let key = Key { enabled: said.enabled, ..was.clone() };
        let swapped = Change::SwapKeys { old: vec![was.clone()], new: vec![key.clone()] };
        let changes = beside.iter().cloned().chain([swapped]).collect();
        let record = app::change(Some(&client.tenant), said.action, &object);
        let Err(fault) = place.opened.store.change(changes, record).await else { return Ok(key) };
        let now = key_of(place, client, &was.id).await?;
        let anew = matches!(fault, StoreError::Conflict(_)) && now != was && now.is_as(&was);
        if !anew || again == 0 {
            return Err(meanwhile(client, fault));
        }
        (was, again) = (now, again - 1);
    }
}

/// A conflict in words that say what to do.
fn meanwhile(client: &Client, fault: StoreError) -> Failure {
    match fault {
        StoreError::Conflict(why) => Failure::Refused(format!(
            "{why}: somebody else was first, and nothing of this was done; `daypass client show {}` shows what it is now, so say it \
             again if it is still wanted",
            client.name
        )),
        other => other.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::put;
    use super::*;
    use crate::app::Opened;
    use crate::config;
    use daypass_core::client::Material;
    use daypass_core::cutoff::{Cutoff, Scope};
    use daypass_core::store::Store as _;
    use daypass_core::testing::{MemoryStore, START, World, kek, ring};
    use std::sync::Arc;

    /// A store with the world's client and its keys, and a command that has opened it.
    async fn place() -> (Place, Arc<MemoryStore>, World) {
        let (store, world) = (Arc::new(MemoryStore::new()), World::new());
        let mut changes = vec![Change::PutClient(world.client.clone())];
        changes.extend(world.keys.iter().cloned().map(Change::PutKey));
        store.change(changes, app::change(None, "test", "world")).await.unwrap();
        let opened = Opened::for_test(store.clone(), ring(), kek());
        (Place { config: config::demo().unwrap(), opened }, store, world)
    }

    async fn elsewhere(store: &MemoryStore, change: Change) {
        store.change(vec![change], app::change(None, "test", "elsewhere")).await.unwrap();
    }

    fn refused(outcome: Result<impl Sized, Failure>) -> String {
        match outcome.err().unwrap() {
            Failure::Refused(text) => text,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn what_another_operator_has_changed_meanwhile_is_not_undone() {
        let (place, store, World { client: read, .. }) = place().await;
        let theirs = Client { enabled: false, ..read.clone() };
        elsewhere(&store, Change::PutClient(theirs.clone())).await;
        let ours = Client { default_role: None, ..read.clone() };
        let why = refused(put(&place, &read, &ours, "client.grant", "x").await);
        assert!(why.starts_with("the client has changed meanwhile: somebody else was first"), "{why}");
        assert!(why.contains(&format!("`daypass client show {}`", read.name)), "{why}");
        assert_eq!(store.clients().await.unwrap(), std::slice::from_ref(&theirs));
        // Said again, it stands on what is there now.
        let again = Client { default_role: None, ..theirs.clone() };
        put(&place, &theirs, &again, "client.grant", "x").await.unwrap();
        assert_eq!(store.clients().await.unwrap(), [again]);
        store.go_down();
        let away = put(&place, &read, &ours, "client.grant", "x").await;
        assert!(matches!(away, Err(Failure::Unreachable(_))), "{away:?}");
    }

    fn said() -> Said {
        Said { action: "key.disable", enabled: false }
    }

    #[tokio::test]
    async fn a_key_that_was_only_sealed_anew_meanwhile_is_disabled_as_it_is_now() {
        let (place, store, world) = place().await;
        let was = world.keys[0].clone();
        let anew = Key { material: Material::Sealed(vec![7; 40]), ..was.clone() };
        elsewhere(&store, Change::PutKey(anew.clone())).await;
        let cut = Change::Cut(Cutoff { scope: Scope::Key(was.id.clone()), before: START });
        let key = swap(&place, &world.client, was, &said(), &[cut]).await.unwrap();
        assert_eq!(key, Key { enabled: false, ..anew });
        assert!(store.keys().await.unwrap().contains(&key));
        assert_eq!(store.cutoffs().await.unwrap().len(), 1);
    }

    #[tokio::test]
    async fn a_key_that_another_operator_has_changed_meanwhile_is_left_alone() {
        let (place, store, world) = place().await;
        let was = world.keys[0].clone();
        let theirs = Key { expires: Some(START), ..was.clone() };
        elsewhere(&store, Change::PutKey(theirs.clone())).await;
        let why = refused(swap(&place, &world.client, was, &said(), &[]).await);
        assert!(why.contains("somebody else was first"), "{why}");
        assert!(store.keys().await.unwrap().contains(&theirs));
        // What stands beside it counts as well: the client's keys are not what they were.
        let expected = Change::ExpectKeys { client: world.client.guid, keys: vec![theirs.clone()] };
        let why = refused(swap(&place, &world.client, theirs.clone(), &said(), &[expected]).await);
        assert!(why.starts_with("the client's keys have changed meanwhile"), "{why}");
        assert!(store.keys().await.unwrap().contains(&theirs));
    }
}
