//! The contents as one state, and following them by what has changed.

use super::held::root;
use super::{Open, at, client, entry, put, writer};
use daypass_core::client::{Client, Key, KeyKind};
use daypass_core::contents::Contents;
use daypass_core::cutoff::{Cutoff, Scope};
use daypass_core::freeze::{Freeze, Place};
use daypass_core::root::Slot;
use daypass_core::store::{Change, Store};
use daypass_core::testing::{START, World, ring_rows};
use std::collections::BTreeMap;
use std::sync::Arc;
use uuid::Uuid;

fn credential(number: i64) -> Scope {
    // Of the kinds that a store meets: tokens' and temporary keys'.
    if number % 2 == 0 {
        Scope::Credential(Uuid::from_u128(number.unsigned_abs().into()).to_string())
    } else {
        Scope::Credential(format!("AKID{number}"))
    }
}

fn cutoff(number: i64, millis: i64) -> Cutoff {
    Cutoff { scope: credential(number), before: at(millis) }
}

/// Holds what a follower has against what reading everything gives, by this and by the other methods.
async fn check(store: &Arc<dyn Store>, followed: &Contents) {
    let fresh = store.contents(&Contents::default()).await.unwrap();
    let cutoffs = |contents: &Contents| -> BTreeMap<String, i64> {
        let all = contents.cutoffs.held().iter();
        all.map(|(scope, before)| (scope.to_string(), before.as_millisecond())).collect()
    };
    let listed = store.cutoffs().await.unwrap().into_iter();
    let listed: BTreeMap<_, _> =
        listed.map(|cutoff| (cutoff.scope.to_string(), cutoff.before.as_millisecond())).collect();
    assert_eq!((cutoffs(followed), cutoffs(&fresh)), (listed.clone(), listed.clone()));
    assert_eq!((followed.cutoffs.held().len(), fresh.cutoffs.held().len()), (listed.len(), listed.len()));
    for contents in [followed, &fresh] {
        assert_eq!(contents.version, store.version().await.unwrap());
        let (mut clients, mut keys) = (store.clients().await.unwrap(), store.keys().await.unwrap());
        clients.sort_by_key(|client| client.guid);
        keys.sort_by(|one, other| one.id.cmp(&other.id));
        let mut held: Vec<_> = contents.clients.held().iter().collect();
        held.sort_by_key(|client| client.guid);
        assert_eq!(held, clients);
        let mut held: Vec<_> = contents.keys.held().iter().collect();
        held.sort_by(|one, other| one.id.cmp(&other.id));
        assert_eq!(held, keys);
        assert_eq!(**contents.ring.held(), store.ring().await.unwrap());
        assert_eq!(**contents.freezes.held(), store.freezes().await.unwrap());
        assert_eq!(**contents.roots.held(), store.roots().await.unwrap());
    }
}

/// Which parts are the same in memory.
fn shared(one: &Contents, other: &Contents) -> [bool; 6] {
    [
        one.clients.is(&other.clients),
        one.keys.is(&other.keys),
        one.ring.is(&other.ring),
        one.cutoffs.is(&other.cutoffs),
        one.freezes.is(&other.freezes),
        one.roots.is(&other.roots),
    ]
}

/// A part that has not changed is not read again, and stays where it is.
pub async fn only_what_has_changed_is_read_again(open: &Open) {
    let (store, follower) = (writer(open, 1).await, open());
    let world = World::new();
    let mut seen = follower.contents(&Contents::default()).await.unwrap();
    check(&follower, &seen).await;
    let root = root("main", Slot::A, "AKIDa");
    let steps: [(Vec<Change>, [bool; 6]); 7] = [
        (vec![Change::PutClient(world.client.clone())], [false, true, true, true, true, true]),
        (vec![Change::PutKey(world.keys[0].clone())], [true, false, true, true, true, true]),
        (vec![Change::PutRing(ring_rows())], [true, true, false, true, true, true]),
        (vec![Change::Cut(cutoff(1, 1))], [true, true, true, false, true, true]),
        (
            vec![Change::Freeze(Freeze { place: Place::All, since: START })],
            [true, true, true, true, false, true],
        ),
        (vec![Change::SwapRoots { old: vec![], new: vec![root] }], [true, true, true, true, true, false]),
        (
            vec![Change::PutClient(client(7, "acme", "seven")), Change::Uncut(vec![cutoff(1, 1)])],
            [false, true, true, false, true, true],
        ),
    ];
    for (number, (changes, expected)) in (1..).zip(steps) {
        put(&store, number, changes.clone()).await.unwrap();
        store.append(entry(100 + number)).await.unwrap();
        let now = follower.contents(&seen).await.unwrap();
        assert_eq!(shared(&seen, &now), expected, "{changes:?}");
        check(&follower, &now).await;
        assert_eq!(shared(&now, &follower.contents(&now).await.unwrap()), [true; 6], "nothing has changed");
        seen = now;
    }
}

/// Moved on, taken away and made again, by two writers, between any two looks.
pub async fn cut_offs_are_followed_by_what_changed(open: &Open) {
    let (one, two, follower) = (writer(open, 1).await, writer(open, 2).await, open());
    let many = (0..500).map(|number| Change::Cut(cutoff(number, 1)));
    put(&one, 1, many.collect()).await.unwrap();
    let first = follower.contents(&Contents::default()).await.unwrap();
    let mut seen = vec![Contents::default(), first];
    for round in 2..30_i64 {
        let store = if round % 2 == 0 { &one } else { &two };
        let mut changes = vec![
            Change::Cut(cutoff(round * 7, round)),
            // Nothing is taken back by an earlier one.
            Change::Cut(cutoff(round * 7, 0)),
            Change::Cut(cutoff(1000 + round, round)),
            Change::Cut(cutoff(3, round)),
        ];
        if round > 2 {
            changes.push(Change::Uncut(vec![cutoff(999 + round, round - 1)]));
        }
        put(store, round.unsigned_abs().into(), changes).await.unwrap();
        if round % 5 == 0 {
            // Gone and there again within one change.
            let changes = vec![Change::Uncut(vec![cutoff(3, round)]), Change::Cut(cutoff(3, 1))];
            put(store, 100 + u128::from(round.unsigned_abs()), changes).await.unwrap();
        }
        if round % 3 == 0 {
            let now = follower.contents(seen.last().unwrap()).await.unwrap();
            check(&follower, &now).await;
            seen.push(now);
        }
    }
    for known in &seen {
        check(&follower, &follower.contents(known).await.unwrap()).await;
    }
    let known = seen.last().unwrap();
    one.close().await.unwrap();
    let again = open();
    check(&again, &again.contents(known).await.unwrap()).await;
}

/// Added, changed, changed back and sealed anew, by two writers, between any two looks, and refused.
pub async fn clients_and_keys_are_followed_by_what_changed(open: &Open) {
    let (one, two, follower) = (writer(open, 1).await, writer(open, 2).await, open());
    let of = |number: u128| client(number, "acme", &format!("client-{number}"));
    let key = |number: u128| {
        let id = Uuid::from_u128(number).to_string();
        Key {
            id,
            client: of(number % 40 + 1).guid,
            kind: KeyKind::ClientSecret,
            ..World::new().keys[0].clone()
        }
    };
    put(&one, 1, (1..=80).map(|number| Change::PutClient(of(number))).collect()).await.unwrap();
    put(&one, 400, (1..=80).map(|number| Change::PutKey(key(number))).collect()).await.unwrap();
    let mut seen = vec![Contents::default(), follower.contents(&Contents::default()).await.unwrap()];
    for round in 2..20_u128 {
        let store = if round % 2 == 0 { &one } else { &two };
        let disabled = Client { enabled: false, ..of(round) };
        let moved = Client { object: Uuid::from_u128(round << 32), ..of(round + 50) };
        let old = key(round);
        let sealed = Key { hint: format!("{round:04}"), ..old.clone() };
        let changes = vec![
            Change::PutClient(disabled.clone()),
            Change::PutClient(moved),
            Change::PutClient(of(1_000 + round)),
            Change::PutKey(key(2_000 + round)),
            Change::SwapKeys { old: vec![old], new: vec![sealed] },
        ];
        put(store, round, changes).await.unwrap();
        if round % 5 == 0 {
            // Nothing is different, and as it was before.
            put(store, 100 + round, vec![Change::PutClient(disabled)]).await.unwrap();
            put(store, 200 + round, vec![Change::PutClient(of(round))]).await.unwrap();
            let refused = vec![
                Change::PutClient(of(5_000)),
                Change::SwapKeys { old: vec![key(9_999)], new: vec![key(9_999)] },
            ];
            put(store, 300 + round, refused).await.unwrap_err();
        }
        if round % 3 == 0 {
            let now = follower.contents(seen.last().unwrap()).await.unwrap();
            check(&follower, &now).await;
            assert!(now.clients.held().of_object(Uuid::from_u128(round << 32)).is_some());
            assert!(now.clients.held().get(of(5_000).guid).is_none());
            seen.push(now);
        }
    }
    for known in &seen {
        check(&follower, &follower.contents(known).await.unwrap()).await;
    }
    one.close().await.unwrap();
    let again = open();
    check(&again, &again.contents(seen.last().unwrap()).await.unwrap()).await;
}

/// Nothing of it is there, and nothing of it is told.
pub async fn a_refused_change_of_cut_offs_is_not_followed(open: &Open) {
    let store = writer(open, 1).await;
    put(&store, 1, vec![Change::Cut(cutoff(1, 1))]).await.unwrap();
    let before = store.contents(&Contents::default()).await.unwrap();
    let changes = vec![Change::Cut(cutoff(2, 1)), Change::Uncut(vec![cutoff(3, 1)])];
    put(&store, 2, changes).await.unwrap_err();
    let after = store.contents(&before).await.unwrap();
    assert_eq!(shared(&before, &after), [true; 6]);
    check(&store, &after).await;
}
