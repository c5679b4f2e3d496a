//! Clients, keys, the ring, cut-offs, single-use marks, and the life of a handle.

use super::{Open, at, chain, client, entry, everything, put, read, told, verify, writer};
use daypass_core::client::{Client, Key, KeyKind};
use daypass_core::clock::Timestamp;
use daypass_core::contents::Contents;
use daypass_core::cutoff::{Cutoff, Scope};
use daypass_core::freeze::{Freeze, Place};
use daypass_core::ration::Due;
use daypass_core::ring::{RingRow, RingState};
use daypass_core::store::{Appended, Change, RecordQuery, Spent, Store, StoreError};
use daypass_core::testing::{START, World, ring_rows, secret_key, signing_key};
use std::collections::HashSet;
use std::sync::Arc;
use uuid::Uuid;

/// Everything but the records, in an order of our own.
async fn contents(store: &Arc<dyn Store>) -> (Vec<Client>, Vec<Key>, Vec<RingRow>, Vec<Cutoff>) {
    let mut clients = store.clients().await.unwrap();
    let mut keys = store.keys().await.unwrap();
    let mut ring = store.ring().await.unwrap();
    let mut cutoffs = store.cutoffs().await.unwrap();
    clients.sort_by_key(|client| client.guid);
    keys.sort_by(|a, b| a.id.cmp(&b.id));
    ring.sort_by_key(|row| (row.purpose, row.version));
    cutoffs.sort_by_key(|cutoff| format!("{:?}", cutoff.scope));
    (clients, keys, ring, cutoffs)
}

fn cutoff(key: &str, millis: i64) -> Cutoff {
    Cutoff { scope: Scope::Key(key.into()), before: at(millis) }
}

/// Opening makes a store without a client, a key, a record or a writer.
pub async fn an_empty_store_holds_nothing(open: &Open) {
    let store = open();
    assert_eq!(contents(&store).await, (vec![], vec![], vec![], vec![]));
    assert!(store.records(everything()).await.unwrap().is_empty());
    assert_eq!(store.heads().await.unwrap(), []);
    assert_eq!(store.links(Uuid::from_u128(1), 0, 10).await.unwrap(), []);
}

/// Nothing is lost or altered on the way: not through another handle, and not through a restart.
pub async fn what_was_put_reads_back_equal(open: &Open) {
    let store = writer(open, 1).await;
    let world = World::new();
    let mut keys = world.keys.clone();
    keys.push(Key {
        expires: Some(at(1)),
        enabled: false,
        ..signing_key("AKIDold", KeyKind::Tencent, world.client.guid)
    });
    let scopes = [
        Scope::All,
        Scope::Tenant("acme".into()),
        Scope::Client(world.client.guid),
        Scope::Key("AKIDold".into()),
        Scope::Role { tenant: "acme".into(), role: "soe".into() },
        Scope::Subject { tenant: "acme".into(), subject: "user-1".into() },
        Scope::Credential("AKIDtemp".into()),
    ];
    let mut cutoffs: Vec<_> = scopes.map(|scope| Cutoff { scope, before: at(5) }).into();
    cutoffs.sort_by_key(|cutoff| format!("{:?}", cutoff.scope));

    let mut changes = vec![Change::PutClient(world.client.clone()), Change::PutRing(ring_rows())];
    changes.extend(keys.iter().cloned().map(Change::PutKey));
    changes.extend(cutoffs.iter().cloned().map(Change::Cut));
    put(&store, 1, changes).await.unwrap();

    keys.sort_by(|a, b| a.id.cmp(&b.id));
    let mut ring = ring_rows();
    ring.sort_by_key(|row| (row.purpose, row.version));
    let expected = (vec![world.client], keys, ring, cutoffs);
    assert_eq!(contents(&store).await, expected);
    assert_eq!(contents(&open()).await, expected);
    store.close().await.unwrap();
    assert_eq!(contents(&open()).await, expected);
}

/// A client by its guid, a key by its id, a ring key by purpose and version.
pub async fn putting_again_replaces(open: &Open) {
    let store = writer(open, 1).await;
    let world = World::new();
    let (key, mut rows) = (world.keys[0].clone(), ring_rows());
    let changes = vec![
        Change::PutClient(world.client.clone()),
        Change::PutKey(key.clone()),
        Change::PutRing(rows.clone()),
    ];
    put(&store, 1, changes).await.unwrap();

    let client = Client { enabled: false, name: "renamed".into(), tenant: "other".into(), ..world.client };
    let key = Key { enabled: false, ..key };
    rows[0].state = RingState::Retiring;
    rows[0].sealed = vec![1, 2, 3];
    let changes = vec![
        Change::PutClient(client.clone()),
        Change::PutKey(key.clone()),
        Change::PutRing(vec![rows[0].clone()]),
    ];
    put(&store, 2, changes).await.unwrap();
    rows.sort_by_key(|row| (row.purpose, row.version));
    assert_eq!(contents(&store).await, (vec![client], vec![key], rows, vec![]));
}

/// Of two processes that give one store its first keys, the second is told, and nothing of its own is written.
pub async fn an_added_ring_key_replaces_nothing(open: &Open) {
    let store = writer(open, 1).await;
    let mut rows = ring_rows();
    let last = rows.pop().unwrap();
    put(&store, 1, vec![Change::AddRing(rows.clone())]).await.unwrap();
    let mut other = vec![last.clone(), rows[0].clone()];
    other[1].sealed = vec![1, 2, 3];
    let refused = put(&store, 2, vec![Change::AddRing(other)]).await;
    assert!(matches!(refused, Err(StoreError::Conflict(_))), "{refused:?}");
    rows.sort_by_key(|row| (row.purpose, row.version));
    assert_eq!(contents(&store).await.2, rows);
    put(&store, 3, vec![Change::AddRing(vec![last.clone()])]).await.unwrap();
    assert!(contents(&store).await.2.contains(&last));
}

/// Of two processes that rotate at once, the second is told, and nothing of its own is written.
pub async fn a_ring_key_is_swapped_as_it_was_seen(open: &Open) {
    let store = writer(open, 1).await;
    let mut rows = ring_rows();
    rows.sort_by_key(|row| (row.purpose, row.version));
    put(&store, 1, vec![Change::PutRing(rows.clone())]).await.unwrap();
    let next = |state, sealed: u8| RingRow { state, since: at(7), sealed: vec![sealed], ..rows[0].clone() };
    let swap = |from: &RingRow, to: &RingRow| Change::SwapRing {
        old: vec![rows[1].clone(), from.clone()],
        new: vec![rows[1].clone(), to.clone()],
    };
    let (retiring, gone) = (next(RingState::Retiring, 1), next(RingState::Gone, 2));
    put(&store, 2, vec![swap(&rows[0], &retiring)]).await.unwrap();
    let mut expected = rows.clone();
    expected[0] = retiring.clone();
    assert_eq!(contents(&open()).await.2, expected);

    let version = store.version().await.unwrap();
    let stale = [
        rows[0].clone(),
        RingRow { state: RingState::Active, ..retiring.clone() },
        RingRow { since: at(8), ..retiring.clone() },
        RingRow { sealed: vec![2], ..retiring.clone() },
        RingRow { version: 9, ..retiring.clone() },
    ];
    for stale in &stale {
        let refused = put(&store, 3, vec![swap(stale, &gone)]).await;
        assert!(matches!(refused, Err(StoreError::Conflict(_))), "{stale:?}: {refused:?}");
    }
    assert_eq!(contents(&store).await.2, expected);
    assert_eq!(store.version().await.unwrap(), version, "nothing was changed");
    put(&store, 3, vec![swap(&retiring, &gone)]).await.unwrap();
    expected[0] = gone;
    assert_eq!(contents(&open()).await.2, expected);
}

/// An earlier one that arrives later takes nothing back.
pub async fn of_two_cut_offs_the_later_counts(open: &Open) {
    let store = writer(open, 1).await;
    for (number, millis) in [(1, 20), (2, 10), (3, 30)] {
        put(&store, number, vec![Change::Cut(cutoff("AKID1", millis))]).await.unwrap();
    }
    put(&store, 4, vec![Change::Cut(cutoff("AKID2", 5)), Change::Cut(cutoff("AKID2", 4))]).await.unwrap();
    assert_eq!(contents(&store).await.3, [cutoff("AKID1", 30), cutoff("AKID2", 5)]);
    let one = async |key: &str| store.cutoff(cutoff(key, 0).scope).await.unwrap();
    assert_eq!(
        [one("AKID1").await, one("AKID2").await, one("AKID").await],
        [Some(at(30)), Some(at(5)), None]
    );
}

/// Whoever clears up has looked some time ago: what was cut off again since, or is gone, is a conflict, and nothing of
/// that change is made.
pub async fn a_cut_off_is_removed_as_it_was_seen(open: &Open) {
    let store = writer(open, 1).await;
    let all = [cutoff("AKID1", 10), cutoff("AKID2", 20), cutoff("AKID3", 30)];
    put(&store, 1, all.clone().map(Change::Cut).into()).await.unwrap();
    let [first, second, third] = all.clone();
    for stale in [cutoff("AKID2", 19), cutoff("AKID2", 21), cutoff("AKID4", 20)] {
        let refused = put(&store, 2, vec![Change::Uncut(vec![first.clone(), stale.clone()])]).await;
        assert!(matches!(refused, Err(StoreError::Conflict(_))), "{stale:?}: {refused:?}");
        assert_eq!(contents(&store).await.3, all, "nothing was changed");
    }
    put(&store, 3, vec![Change::Uncut(vec![first.clone(), third])]).await.unwrap();
    assert_eq!(contents(&store).await.3, std::slice::from_ref(&second));
    let again = put(&store, 4, vec![Change::Uncut(vec![first.clone()])]).await;
    assert!(matches!(again, Err(StoreError::Conflict(_))), "{again:?}");
    put(&store, 5, vec![Change::Cut(first.clone())]).await.unwrap();
    assert_eq!(contents(&open()).await.3, [first, second], "a scope can be cut off again");
    assert_eq!(verify(&store).await, 3);
}

/// Freezing twice changes nothing, and thawing what is not frozen is a conflict that leaves everything as it was.
pub async fn a_place_is_frozen_until_it_is_thawed(open: &Open) {
    let store = writer(open, 1).await;
    let places = [Place::All, Place::Tenant("acme".into()), Place::Endpoint("/router/rest".into())];
    let freeze = |place: &Place, millis| Freeze { place: place.clone(), since: at(millis) };
    let frozen = async |store: &Arc<dyn Store>| {
        let mut all = store.freezes().await.unwrap();
        all.sort_by_key(|freeze| freeze.since);
        all
    };
    let all = [freeze(&places[0], 1), freeze(&places[1], 2), freeze(&places[2], 3)];
    put(&store, 1, all.clone().map(Change::Freeze).into()).await.unwrap();
    put(&store, 2, vec![Change::Freeze(freeze(&places[1], 9))]).await.unwrap();
    assert_eq!(frozen(&store).await, all);
    assert_eq!(frozen(&open()).await, all);

    put(&store, 3, vec![Change::Thaw(places[1].clone())]).await.unwrap();
    let left = [all[0].clone(), all[2].clone()];
    assert_eq!(frozen(&open()).await, left);
    let version = store.version().await.unwrap();
    for place in [&places[1], &Place::Tenant("router".into()), &Place::Endpoint("acme".into())] {
        let refused =
            put(&store, 4, vec![Change::Thaw(places[0].clone()), Change::Thaw(place.clone())]).await;
        assert!(matches!(refused, Err(StoreError::Conflict(_))), "{place}: {refused:?}");
    }
    assert_eq!(frozen(&store).await, left);
    assert_eq!(store.version().await.unwrap(), version, "nothing was changed");
    put(&store, 5, vec![Change::Freeze(all[1].clone())]).await.unwrap();
    store.close().await.unwrap();
    assert_eq!(frozen(&open()).await, all, "after a restart too");
    assert_eq!(verify(&open()).await, 4);
}

/// A name is unique in its tenant, and may be used again in another one or once it is free.
pub async fn a_second_client_of_a_name_is_refused(open: &Open) {
    let store = writer(open, 1).await;
    put(&store, 1, vec![Change::PutClient(client(1, "acme", "app"))]).await.unwrap();
    let version = store.version().await.unwrap();

    let refused = put(&store, 2, vec![Change::PutClient(client(2, "acme", "app"))]).await;
    assert!(
        matches!(&refused, Err(StoreError::Conflict(text)) if text.contains("`app`") && text.contains("`acme`")),
        "{refused:?}"
    );
    assert_eq!(store.clients().await.unwrap(), [client(1, "acme", "app")]);
    assert_eq!(store.version().await.unwrap(), version, "nothing was changed");
    assert_eq!(read(&store, everything()).await, [1], "and nothing recorded");

    put(&store, 3, vec![Change::PutClient(client(2, "other", "app"))]).await.unwrap();
    put(&store, 4, vec![Change::PutClient(client(1, "acme", "old-app"))]).await.unwrap();
    put(&store, 5, vec![Change::PutClient(client(3, "acme", "app"))]).await.unwrap();
    assert_eq!(store.clients().await.unwrap().len(), 3);
    assert_eq!(verify(&store).await, 4);
}

/// A key belongs to a client that exists, and an id that is drawn twice is not taken away from its owner.
pub async fn a_key_stays_with_its_client(open: &Open) {
    let store = writer(open, 1).await;
    let key = |client| signing_key("12345678", KeyKind::Top, Uuid::from_u128(client));
    let refused = put(&store, 1, vec![Change::PutKey(key(1))]).await;
    assert!(matches!(&refused, Err(StoreError::Conflict(text)) if text.contains("12345678")), "{refused:?}");

    let clients = [client(1, "acme", "one"), client(2, "acme", "two")];
    put(&store, 2, clients.map(Change::PutClient).into()).await.unwrap();
    put(&store, 3, vec![Change::PutKey(key(1))]).await.unwrap();
    let refused = put(&store, 4, vec![Change::PutKey(key(2))]).await;
    assert!(matches!(&refused, Err(StoreError::Conflict(text)) if text.contains("12345678")), "{refused:?}");
    assert_eq!(store.keys().await.unwrap(), [key(1)]);
}

/// What stands before the part that is refused is not applied either.
pub async fn a_change_is_all_or_nothing(open: &Open) {
    let store = writer(open, 1).await;
    put(&store, 1, vec![Change::PutClient(client(1, "acme", "app"))]).await.unwrap();
    let before = contents(&store).await;
    let changes = vec![
        Change::PutClient(client(2, "acme", "second")),
        Change::PutKey(secret_key(Uuid::from_u128(9), Uuid::from_u128(2))),
        Change::PutRing(ring_rows()),
        Change::Cut(cutoff("AKID1", 1)),
        Change::PutClient(client(3, "acme", "app")),
    ];
    assert!(matches!(put(&store, 2, changes).await, Err(StoreError::Conflict(_))));
    assert_eq!(contents(&store).await, before);
    assert_eq!(verify(&store).await, 1);
}

/// Other processes' changes move it, and records do not.
pub async fn the_version_counts_every_change_and_no_append(open: &Open) {
    let (one, two) = (writer(open, 1).await, writer(open, 2).await);
    let mut last = one.version().await.unwrap();
    let mut seen = HashSet::from([last]);
    for number in 1..=6 {
        let (store, other) = if number % 2 == 0 { (&one, &two) } else { (&two, &one) };
        put(store, number, vec![Change::Cut(cutoff("AKID1", 1))]).await.unwrap();
        let version = store.version().await.unwrap();
        assert!(seen.insert(version), "change {number} is not seen where it was made");
        assert_eq!(told(other, last).await, version);
        last = version;

        let before = one.version().await.unwrap();
        store.append(entry(100 + number)).await.unwrap();
        store.spend([u8::try_from(number).unwrap(); 16], at(1)).await.unwrap();
        assert_eq!(one.version().await.unwrap(), before, "an append is no change");
        assert_eq!(two.version().await.unwrap(), before);
    }
}

/// What one has written, the other reads at once.
pub async fn two_handles_see_each_other(open: &Open) {
    let (one, two) = (writer(open, 1).await, writer(open, 2).await);
    put(&one, 1, vec![Change::PutClient(client(1, "acme", "one"))]).await.unwrap();
    assert_eq!(contents(&two).await, contents(&one).await);
    put(&two, 2, vec![Change::PutClient(client(2, "acme", "two"))]).await.unwrap();
    assert_eq!(contents(&one).await.0, [client(1, "acme", "one"), client(2, "acme", "two")]);
    assert_eq!(read(&one, everything()).await, [1, 2]);
    assert_eq!(one.heads().await.unwrap(), two.heads().await.unwrap());
}

/// A record outside a chain would prove nothing, so there is none.
pub async fn nothing_is_written_before_begin(open: &Open) {
    let store = open();
    assert!(matches!(store.append(entry(1)).await, Err(StoreError::Conflict(_))));
    assert!(matches!(put(&store, 2, vec![Change::PutRing(ring_rows())]).await, Err(StoreError::Conflict(_))));
    assert!(store.ring().await.unwrap().is_empty());
    store.begin(chain(1)).await.unwrap();
    assert_eq!(store.append(entry(3)).await, Ok(Appended::Appended));
    assert_eq!(read(&store, everything()).await, [3]);
}

/// Two histories under one name could not be told from tampering.
pub async fn a_writer_id_is_used_once(open: &Open) {
    let (one, two) = (writer(open, 1).await, open());
    assert!(matches!(two.begin(chain(1)).await, Err(StoreError::Conflict(_))));
    one.close().await.unwrap();
    assert!(matches!(two.begin(chain(1)).await, Err(StoreError::Conflict(_))), "nor after it has ended");
    two.begin(chain(2)).await.unwrap();
    two.append(entry(1)).await.unwrap();
    assert_eq!(verify(&two).await, 1);
}

/// Of all who try at once, on whatever handle, one succeeds.
pub async fn a_single_use_mark_is_spent_once(open: &Open) {
    let stores = [writer(open, 1).await, writer(open, 2).await];
    for mark in 0..5 {
        let tasks: Vec<_> = (0..8)
            .map(|n| {
                let store = stores[n % 2].clone();
                tokio::spawn(async move { store.spend([mark; 16], at(60_000)).await.unwrap() })
            })
            .collect();
        let mut first = 0;
        for task in tasks {
            first += usize::from(task.await.unwrap() == Spent::Now);
        }
        assert_eq!(first, 1, "mark {mark}");
    }
}

/// And it stays spent after a restart, however many others ran out meanwhile.
pub async fn a_single_use_mark_outlives_its_handle(open: &Open) {
    let store = writer(open, 1).await;
    assert_eq!(store.spend([1; 16], at(3_600_000)).await, Ok(Spent::Now));
    store.append(entry(1_800_000)).await.unwrap();
    for n in 2..50 {
        assert_eq!(store.spend([n; 16], at(i64::from(n))).await, Ok(Spent::Now));
    }
    store.close().await.unwrap();
    let store = writer(open, 2).await;
    assert_eq!(store.spend([1; 16], at(3_600_000)).await, Ok(Spent::Before));
}

async fn uses(store: &Arc<dyn Store>) -> Vec<(String, Timestamp)> {
    let mut uses = store.uses().await.unwrap();
    uses.sort();
    uses
}

/// From whatever process it comes, in whatever order, and over a restart.
pub async fn of_two_uses_of_a_key_the_later_counts(open: &Open) {
    let (one, two) = (writer(open, 1).await, writer(open, 2).await);
    assert_eq!(uses(&one).await, []);
    let used = |key: &str, millis| (key.to_owned(), at(millis));
    one.note_uses(vec![used("a", 20), used("b", 5), used("b", 7), used("b", 6)]).await.unwrap();
    two.note_uses(vec![used("a", 10), used("c", 1)]).await.unwrap();
    two.note_uses(vec![used("b", 9)]).await.unwrap();
    one.note_uses(vec![]).await.unwrap();
    let expected = [used("a", 20), used("b", 9), used("c", 1)];
    assert_eq!((uses(&one).await, uses(&two).await), (expected.to_vec(), expected.to_vec()));
    one.close().await.unwrap();
    two.close().await.unwrap();
    assert_eq!(uses(&open()).await, expected);
}

/// Else every use of a key would make every node read everything again. Nor is it a record, and what shares the commit
/// with it stays whole.
pub async fn uses_are_no_change(open: &Open) {
    let store = writer(open, 1).await;
    put(&store, 1, vec![Change::PutClient(client(1, "acme", "app"))]).await.unwrap();
    let (version, before) = (store.version().await.unwrap(), contents(&store).await);
    let mut waiting = Vec::new();
    for number in 2..50_u32 {
        let (noting, appending) = (store.clone(), store.clone());
        let noted = vec![(number.to_string(), at(number.into()))];
        waiting.push(tokio::spawn(async move { noting.note_uses(noted).await.unwrap() }));
        let appended = async move { appending.append(entry(number.into())).await.unwrap() };
        waiting.push(tokio::spawn(async move { assert_eq!(appended.await, Appended::Appended) }));
    }
    for one in waiting {
        one.await.unwrap();
    }
    assert_eq!((store.version().await.unwrap(), contents(&store).await), (version, before));
    assert_eq!((uses(&store).await.len(), verify(&store).await), (48, 49));
}

fn refused<T: std::fmt::Debug>(what: &str, answer: &Result<T, StoreError>) {
    assert!(matches!(answer, Err(StoreError::Unavailable(_))), "{what}: {answer:?}");
}

/// With an answer, at once, by every method.
pub async fn a_closed_store_refuses_everything(open: &Open) {
    let store = writer(open, 1).await;
    store.append(entry(1)).await.unwrap();
    store.close().await.unwrap();
    refused("begin", &store.begin(chain(2)).await);
    refused("clients", &store.clients().await);
    refused("keys", &store.keys().await);
    refused("ring", &store.ring().await);
    refused("cutoffs", &store.cutoffs().await);
    refused("cutoff", &store.cutoff(Scope::All).await);
    refused("freezes", &store.freezes().await);
    refused("contents", &store.contents(&Contents::default()).await);
    refused("version", &store.version().await);
    refused("change", &put(&store, 2, vec![]).await);
    refused("append", &store.append(entry(2)).await);
    refused("spend", &store.spend([1; 16], START).await);
    refused("uses", &store.uses().await);
    refused("note_uses", &store.note_uses(vec![]).await);
    refused("note_counts", &store.note_counts(Uuid::nil(), Due { day: 1, counts: vec![] }).await);
    refused("counts", &store.counts(1, Uuid::nil()).await);
    refused("roots", &store.roots().await);
    refused("held", &store.held([1; 16]).await);
    refused("records", &store.records(everything()).await);
    refused("heads", &store.heads().await);
    refused("links", &store.links(Uuid::from_u128(1), 0, 1).await);
    refused("close", &store.close().await);
    assert_eq!(read(&open(), everything()).await, [1]);
}

/// A command that closes does not disturb the server.
pub async fn closing_one_handle_leaves_the_other(open: &Open) {
    let (server, command) = (writer(open, 1).await, writer(open, 2).await);
    put(&command, 1, vec![Change::PutClient(client(1, "acme", "app"))]).await.unwrap();
    command.close().await.unwrap();
    server.append(entry(2)).await.unwrap();
    assert_eq!(server.clients().await.unwrap().len(), 1);
    server.close().await.unwrap();
    let store = open();
    assert_eq!(read(&store, RecordQuery { limit: 10, ..RecordQuery::default() }).await, [1, 2]);
    assert_eq!(verify(&store).await, 2);
}
