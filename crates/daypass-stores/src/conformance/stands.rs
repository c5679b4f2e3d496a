//! What was decided on a client, or on its keys, counts only while they are what was read.

use super::{Open, client, put, told, writer};
use daypass_core::client::{Client, Key, KeyKind, Material};
use daypass_core::contents::Contents;
use daypass_core::store::{Change, StoreError};
use daypass_core::testing::signing_key;
use uuid::Uuid;

fn swap(old: &Client, new: &Client) -> Change {
    Change::SwapClient { old: Box::new(old.clone()), new: Box::new(new.clone()) }
}

fn is_conflict(outcome: &Result<(), StoreError>) -> bool {
    matches!(outcome, Err(StoreError::Conflict(_)))
}

/// A swap replaces, is heard of, and reads back; one that stands on something else changes nothing, nor does what comes with it.
pub async fn a_client_is_swapped_as_it_was_seen(open: &Open) {
    let (store, reader) = (writer(open, 1).await, open());
    let first = client(1, "acme", "app");
    put(&store, 1, vec![Change::PutClient(first.clone())]).await.unwrap();
    let before = reader.contents(&Contents::default()).await.unwrap();
    let version = reader.version().await.unwrap();
    let second = Client { enabled: false, name: "renamed".into(), ..first.clone() };
    put(&store, 2, vec![swap(&first, &second)]).await.unwrap();
    assert_eq!(store.clients().await.unwrap(), std::slice::from_ref(&second));
    let version = told(&reader, version).await;
    assert!(!reader.contents(&before).await.unwrap().clients.is(&before.clients));

    // What it was decided on is gone, was never there, or is somebody else.
    let third = Client { default_role: Some("soe".into()), ..second.clone() };
    let stranger = client(2, "acme", "stranger");
    for refused in [swap(&first, &third), swap(&stranger, &stranger), swap(&second, &stranger)] {
        let added = Change::PutClient(client(3, "acme", "beside"));
        let outcome = put(&store, 3, vec![added, refused]).await;
        assert!(is_conflict(&outcome), "{outcome:?}");
    }
    assert_eq!(store.clients().await.unwrap(), std::slice::from_ref(&second));
    assert_eq!(reader.version().await.unwrap(), version);
    // A name that another has is refused as ever.
    put(&store, 4, vec![Change::PutClient(stranger)]).await.unwrap();
    let outcome =
        put(&store, 5, vec![swap(&second, &Client { name: "stranger".into(), ..second.clone() })]).await;
    assert!(is_conflict(&outcome), "{outcome:?}");
    put(&store, 6, vec![swap(&second, &third)]).await.unwrap();
    assert!(reader.clients().await.unwrap().contains(&third));
    store.contents(&Contents::default()).await.unwrap();
}

/// Two handles read one state and decide on it: what one has done is never undone by the other.
pub async fn of_two_who_change_a_client_at_once_one_is_told(open: &Open) {
    let stores = [writer(open, 1).await, writer(open, 2).await];
    let mut now = client(1, "acme", "app");
    put(&stores[0], 1, vec![Change::PutClient(now.clone())]).await.unwrap();
    for round in 0..6_u128 {
        // Both have read it before either writes.
        let wishes = [
            Client { default_role: Some(format!("role-{round}")), ..now.clone() },
            Client { audiences: vec![format!("api-{round}")], ..now.clone() },
        ];
        let winner = usize::from(round % 2 == 1);
        put(&stores[winner], 10 + 2 * round, vec![swap(&now, &wishes[winner])]).await.unwrap();
        let later = 1 - winner;
        let outcome = put(&stores[later], 11 + 2 * round, vec![swap(&now, &wishes[later])]).await;
        assert!(is_conflict(&outcome), "{outcome:?}");
        now = wishes[winner].clone();
        assert_eq!(stores[1 - winner].clients().await.unwrap(), [now.clone()]);
    }
}

/// A program of before there was this writes a client whole, and whoever stands on what was there before is told.
pub async fn an_older_programs_change_is_noticed(open: &Open) {
    let (store, older) = (writer(open, 1).await, writer(open, 2).await);
    let read = client(1, "acme", "app");
    put(&store, 1, vec![Change::PutClient(read.clone())]).await.unwrap();
    let theirs = Client { enabled: false, ..read.clone() };
    put(&older, 2, vec![Change::PutClient(theirs.clone())]).await.unwrap();
    let ours = Client { default_role: Some("soe".into()), ..read.clone() };
    let outcome = put(&store, 3, vec![swap(&read, &ours)]).await;
    assert!(is_conflict(&outcome), "{outcome:?}");
    assert_eq!(store.clients().await.unwrap(), std::slice::from_ref(&theirs));
    // The same again is no change, and stands on nothing that was lost.
    put(&older, 4, vec![Change::PutClient(theirs.clone())]).await.unwrap();
    put(&store, 5, vec![swap(&theirs, &read)]).await.unwrap();
}

/// Keys are expected in whatever order and however they are sealed, and nothing else is; what comes with a wrong expectation does
/// not happen.
pub async fn keys_are_expected_as_they_were_seen(open: &Open) {
    let store = writer(open, 1).await;
    let owners = [client(1, "acme", "app"), client(2, "acme", "other")];
    let key = |id: &str, owner: &Client| signing_key(id, KeyKind::Tencent, owner.guid);
    let keys = [key("AKIDa", &owners[0]), key("AKIDb", &owners[0])];
    let mut changes: Vec<_> = owners.iter().cloned().map(Change::PutClient).collect();
    changes.extend(keys.iter().cloned().map(Change::PutKey));
    changes.push(Change::PutKey(key("AKIDother", &owners[1])));
    put(&store, 1, changes).await.unwrap();
    let version = store.version().await.unwrap();

    let expect =
        |client: &Client, keys: &[Key]| Change::ExpectKeys { client: client.guid, keys: keys.to_vec() };
    let new = |id: &str| Change::PutKey(key(id, &owners[0]));
    let [a, b] = keys.clone();
    let disabled = Key { enabled: false, ..b.clone() };
    let nobody = Client { guid: Uuid::from_u128(77), ..owners[0].clone() };
    for (number, refused) in [
        expect(&owners[0], std::slice::from_ref(&a)),
        expect(&owners[0], &[]),
        expect(&owners[0], &[a.clone(), disabled.clone()]),
        expect(&owners[0], &[a.clone(), b.clone(), key("AKIDnew", &owners[0])]),
        expect(&owners[1], &keys),
        expect(&nobody, &keys),
    ]
    .into_iter()
    .enumerate()
    {
        let outcome = put(&store, 2, vec![refused, new("AKIDnew")]).await;
        assert!(is_conflict(&outcome), "{number}: {outcome:?}");
    }
    assert_eq!(store.keys().await.unwrap().len(), 3);
    assert_eq!(store.version().await.unwrap(), version);

    let anew = Key { material: Material::Sealed(vec![9; 40]), ..a };
    put(&store, 3, vec![expect(&owners[0], &[b.clone(), anew]), new("AKIDnew")]).await.unwrap();
    let outcome = put(&store, 4, vec![expect(&owners[0], &keys), new("AKIDlate")]).await;
    assert!(is_conflict(&outcome), "the second of two who saw the same two keys: {outcome:?}");
    put(&store, 5, vec![expect(&nobody, &[])]).await.unwrap();
    // Within one change it sees what came before it.
    let three = [keys[0].clone(), b, key("AKIDnew", &owners[0])];
    put(
        &store,
        6,
        vec![
            Change::PutKey(disabled.clone()),
            expect(&owners[0], &[three[0].clone(), disabled, three[2].clone()]),
        ],
    )
    .await
    .unwrap();
}
