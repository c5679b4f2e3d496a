use super::*;
use crate::client::{CertificateRule, Grant, Material, PublicKey, Refuses};
use crate::clock::Timestamp;
use crate::policy::{Effect, Language, Pattern, Policy, Statement};
use crate::quota::Limit;
use crate::testing::{START, World};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::OnceLock;

fn world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(World::new)
}

fn client(number: u128) -> Client {
    Client {
        guid: Uuid::from_u128(number),
        object: Uuid::from_u128(number << 64),
        name: format!("client-{number}"),
        ..world().client.clone()
    }
}

fn key(number: u128, kind: KeyKind) -> Key {
    Key {
        id: format!("key-{number}"),
        client: Uuid::from_u128(number / 3),
        kind,
        expires: None,
        material: Material::Hashed { pepper: 1, hash: vec![7; 32] },
        ..world().keys[0].clone()
    }
}

fn kind(number: u128) -> KeyKind {
    *KeyKind::ALL.iter().cycle().nth(usize::try_from(number).unwrap()).unwrap()
}

fn sorted(clients: &Clients) -> Vec<Client> {
    let mut all: Vec<_> = clients.iter().collect();
    all.sort_by_key(|client| client.guid);
    all
}

/// As many as lie in one shard, in a few, and in more than there are heaps to gather in.
const COUNTS: [u128; 4] = [0, 10, 3_000, 20_000];

#[test]
fn each_is_found_by_each_of_its_ids_and_nobody_else_is() {
    for count in COUNTS {
        let all: Vec<_> = (1..=count).map(client).collect();
        let clients = Clients::of(&all).unwrap();
        assert_eq!((clients.len(), clients.is_empty()), (all.len(), count == 0));
        for client in all.iter().step_by(37) {
            assert_eq!(*clients.get(client.guid).unwrap(), *client);
            assert_eq!(*clients.of_object(client.object).unwrap(), *client);
            assert!(clients.get(client.object).is_none() && clients.of_object(client.guid).is_none());
        }
        assert!(clients.get(Uuid::from_u128(count + 1)).is_none());
        assert_eq!(sorted(&clients), all);
    }
}

#[test]
fn keys_are_found_by_id_by_client_and_by_print() {
    for count in COUNTS {
        let all: Vec<_> = (0..count).map(|number| key(number, kind(number))).collect();
        let keys = Keys::of(&all).unwrap();
        assert_eq!(keys.len(), all.len());
        for key in all.iter().step_by(37) {
            assert_eq!(*keys.get(&key.id).unwrap(), *key);
            let of: Vec<_> =
                all.iter().filter(|other| other.client == key.client && other.kind.is_oauth()).collect();
            let mut found: Vec<_> = keys.of_client(key.client).map(|held| held.key.clone()).collect();
            found.sort_by_key(|key| key.id.trim_start_matches("key-").parse::<u32>().unwrap());
            assert_eq!(found.iter().map(|key| &**key).collect::<Vec<_>>(), of);
            assert_eq!(keys.of_print(&key_print(&key.id)).is_some(), key.kind.is_oauth());
            let same = keys.of_kind(key.client, key.kind);
            assert_eq!(same.iter().any(|other| other.id == key.id), key.kind.is_oauth());
        }
        assert!(keys.get("key-").is_none() && keys.of_print("").is_none());
        assert!(keys.of_client(Uuid::max()).next().is_none());
    }
}

#[test]
fn what_threads_have_gathered_side_by_side_is_one() {
    let all: Vec<_> = (1..=5_000).map(client).collect();
    let mut first = GatheredClients::default();
    let mut others = vec![first.beside(), first.beside()];
    for (number, client) in all.iter().enumerate() {
        match number % 3 {
            0 => first.add(client).unwrap(),
            turn => others[turn - 1].add(client).unwrap(),
        }
    }
    let clients = first.finish(others).unwrap();
    assert_eq!(sorted(&clients), all);
    assert!(all.iter().all(|client| clients.of_object(client.object).is_some()));
}

#[test]
fn of_two_of_one_id_the_later_counts() {
    let later = Client { name: "later".into(), ..client(5) };
    let clients = Clients::of(&[client(4), client(5), later.clone()]).unwrap();
    assert_eq!((clients.len(), &*clients.get(later.guid).unwrap()), (2, &later));
}

#[test]
fn a_change_shares_what_stays_and_is_not_seen_by_those_before() {
    let all: Vec<_> = (1..=5_000).map(client).collect();
    let before = Clients::of(&all).unwrap();
    assert!(before.get(all[9].guid).is_some_and(|client| client.enabled), "it is held as a value now");
    let disabled = Client { enabled: false, object: Uuid::max(), ..all[9].clone() };
    let after = before.with(vec![(disabled.guid, Some(disabled.clone())), (all[3].guid, None)]).unwrap();
    assert_eq!(*after.get(disabled.guid).unwrap(), disabled);
    assert_eq!(*after.of_object(Uuid::max()).unwrap(), disabled);
    assert!(after.of_object(all[9].object).is_none() && after.of_object(all[3].object).is_none());
    assert!(after.get(all[3].guid).is_none());
    assert_eq!((before.len(), after.len()), (5_000, 4_999));
    assert_eq!((&*before.get(all[9].guid).unwrap(), &*before.get(all[3].guid).unwrap()), (&all[9], &all[3]));
    assert!(before.of_object(all[9].object).is_some() && before.of_object(Uuid::max()).is_none());
}

/// From a store without anybody, one by one, over more than one growth of the table.
#[test]
fn a_table_grows_with_what_it_holds() {
    let mut clients = Clients::default();
    let all: Vec<_> = (1..=3_000).map(client).collect();
    for some in all.chunks(250) {
        clients =
            clients.with(some.iter().map(|client| (client.guid, Some(client.clone()))).collect()).unwrap();
    }
    assert_eq!(sorted(&clients), all);
    assert!(all.iter().all(|client| clients.of_object(client.object).is_some_and(|found| *found == *client)));
    clients = clients.with(all.iter().map(|client| (client.guid, None)).collect()).unwrap();
    assert!(clients.is_empty() && sorted(&clients).is_empty());
    assert!(all.iter().all(|client| clients.of_object(client.object).is_none()));
}

#[test]
fn keys_change_in_every_way_in_which_they_are_found() {
    let keys = Keys::of((0..2_000).map(|number| key(number, KeyKind::ClientSecret))).unwrap();
    let (ended, gone) =
        (Key { expires: Some(START), ..key(7, KeyKind::ClientSecret) }, key(6, KeyKind::ClientSecret));
    let after = keys.with(vec![(ended.id.clone(), Some(ended.clone())), (gone.id.clone(), None)]).unwrap();
    let ids = |keys: &Keys| keys.of_client(ended.client).map(|held| held.key.id.clone()).collect::<Vec<_>>();
    assert_eq!((ids(&keys).len(), ids(&after).len()), (3, 2));
    assert!(keys.of_print(&key_print(&gone.id)).is_some() && after.of_print(&key_print(&gone.id)).is_none());
    assert_eq!((keys.ending().count(), after.ending().collect::<Vec<_>>()), (0, vec![ended]));
}

#[test]
fn those_under_older_keys_of_ours_are_found_among_all() {
    let sealed = |number, version: u32| {
        let material = Material::Sealed([&[1][..], &version.to_be_bytes(), &[0; 40]].concat());
        Key { material, ..key(number, KeyKind::Tencent) }
    };
    let version = |key: &Key| match &key.material {
        Material::Sealed(sealed) => crate::seal::version_of(sealed),
        _ => None,
    };
    let (old, new) = (sealed(1, 1), sealed(2, 2));
    assert_ne!(version(&old), version(&new));
    let hashed =
        |number, pepper| Key { material: Material::Hashed { pepper, hash: vec![] }, ..key(number, kind(3)) };
    let public = Key {
        material: Material::Federated { provider: "p".into(), subject: "s".into() },
        ..key(9, kind(7))
    };
    let keys = Keys::of(&[old.clone(), new.clone(), hashed(3, 1), hashed(4, 2), public]).unwrap();
    let mut found: Vec<_> = keys.not_under(version(&new).unwrap(), 2).map(|key| key.id).collect();
    found.sort();
    assert_eq!(found, [old.id, "key-3".to_owned()]);
}

fn policy() -> impl Strategy<Value = Policy> {
    ("[a-z:*]{1,20}", any::<bool>()).prop_map(|(action, allows)| Policy {
        language: Language::Cam,
        statements: vec![Statement {
            effect: if allows { Effect::Allow } else { Effect::Deny },
            actions: vec![Pattern::parse(&action)],
            resources: vec![Pattern::parse("*")],
            conditions: vec![],
        }],
    })
}

fn instant() -> impl Strategy<Value = Timestamp> {
    (-1_000_000_000_000..4_000_000_000_000_i64, 0..1_000_000_i64).prop_map(|(millis, nanos)| {
        Timestamp::from_nanosecond(i128::from(millis) * 1_000_000 + i128::from(nanos)).unwrap()
    })
}

fn grant() -> impl Strategy<Value = Grant> {
    let bind = prop::collection::btree_map("[a-z_]{1,8}", prop::collection::vec(".{0,8}", 0..3), 0..3);
    (".{0,12}", bind, any::<Option<u32>>()).prop_map(|(role, bind, lifetime): (_, BTreeMap<_, _>, _)| Grant {
        role,
        bind,
        lifetime,
    })
}

prop_compose! {
    fn any_client()(
        guid in any::<u128>(), object in any::<u128>(), tenant in ".{0,12}", name in ".{0,40}", enabled in any::<bool>(),
        default_role in prop::option::of(".{0,12}"), grants in prop::collection::vec(grant(), 0..4),
        audiences in prop::collection::vec(".{0,12}", 0..2), boundary in prop::option::of(policy()),
        boundary_warn in prop::option::of(policy()), daily in any::<Option<u64>>(), md5 in any::<bool>(),
        created in instant(),
    ) -> Client {
        Client {
            guid: Uuid::from_u128(guid),
            object: Uuid::from_u128(object),
            tenant,
            name,
            enabled,
            default_role,
            grants,
            audiences,
            boundary,
            boundary_warn,
            limit: Limit { daily, rate: None },
            refuses: Refuses { md5, ..Refuses::default() },
            created,
        }
    }
}

fn material() -> impl Strategy<Value = Material> {
    let bytes = || prop::collection::vec(any::<u8>(), 0..80);
    prop_oneof![
        (any::<u32>(), bytes()).prop_map(|(pepper, hash)| Material::Hashed { pepper, hash }),
        bytes().prop_map(Material::Sealed),
        ".{0,9}".prop_map(|n| Material::Public(PublicKey {
            jwk: serde_json::json!({"kty": "RSA", "n": n, "key_ops": ["verify"]}),
            x5t: Some(n),
            x5t_s256: None,
        })),
        ".{0,9}".prop_map(|x5t_s256| Material::Certificate(CertificateRule::Pinned { x5t_s256 })),
        (".{0,9}", ".{0,9}").prop_map(|(provider, subject)| Material::Federated { provider, subject }),
    ]
}

prop_compose! {
    fn any_key()(
        id in ".{0,40}", client in any::<u128>(), kind in 0..KeyKind::ALL.len(), enabled in any::<bool>(), created in instant(),
        starts in prop::option::of(instant()), expires in prop::option::of(instant()), hint in ".{0,4}",
        material in material(),
    ) -> Key {
        let kind = KeyKind::ALL[kind];
        Key { id, client: Uuid::from_u128(client), kind, enabled, created, starts, expires, hint, material }
    }
}

proptest! {
    #[test]
    fn what_is_packed_comes_out_as_it_was(clients in prop::collection::vec(any_client(), 1..6), key in any_key()) {
        let packed = Clients::of(&clients).unwrap();
        for client in &clients {
            // The later of two counts.
            let last = clients.iter().rfind(|other| other.guid == client.guid).unwrap();
            prop_assert_eq!(&*packed.get(client.guid).unwrap(), last);
        }
        let packed = Keys::of([&key]).unwrap();
        prop_assert_eq!(&*packed.get(&key.id).unwrap(), &key);
        prop_assert_eq!(packed.iter().collect::<Vec<_>>(), vec![key.clone()]);
        prop_assert_eq!(packed.ending().count(), usize::from(key.enabled && key.expires.is_some()));
    }

    /// Against a map, whatever becomes of whom.
    #[test]
    fn changes_one_after_another_are_those_of_a_map(
        steps in prop::collection::vec(prop::collection::vec((0..60_u128, any::<Option<bool>>()), 0..12), 0..12)
    ) {
        let (mut map, mut clients) = (BTreeMap::new(), Clients::default());
        for step in steps {
            let changed = |(number, to): (u128, Option<bool>)| {
                let client = to.map(|enabled| Client { enabled, ..client(number) });
                (Uuid::from_u128(number), client)
            };
            let changes: Vec<_> = step.into_iter().collect::<BTreeMap<_, _>>().into_iter().map(changed).collect();
            clients = clients.with(changes.clone()).unwrap();
            for (guid, client) in changes {
                match client {
                    Some(client) => drop(map.insert(guid, client)),
                    None => drop(map.remove(&guid)),
                }
            }
            prop_assert_eq!(clients.len(), map.len());
            prop_assert_eq!(sorted(&clients), map.values().cloned().collect::<Vec<_>>());
            for number in 0..60 {
                let object = client(number).object;
                prop_assert_eq!(clients.of_object(object).is_some(), map.contains_key(&Uuid::from_u128(number)));
            }
        }
    }
}
