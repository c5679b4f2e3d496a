use super::*;
use crate::client::KeyKind;
use crate::contents::Stamp;
use crate::people::Keys;
use crate::record::Chain;
use crate::ring::{Order, Rules, Situation, Step};
use crate::root::Slot;
use crate::secret::Secret;
use crate::testing::{self, START, SeededEntropy, World, later, ring_rows, secret_key, signing_key};
use crate::upstream::{RootKey, RootProof};
use uuid::Uuid;

/// The test ring after so many turns of one purpose's key.
fn turned(purpose: Purpose, times: u32) -> Ring {
    let (mut rows, rules) = (ring_rows(), Rules::of(&World::new().plan));
    for turn in 0..times {
        for step in [Step::Prepare, Step::Activate] {
            let left = Left::default();
            let situation = Situation { rows: &rows, left: &left, rules: &rules, now: later(turn * 10_000) };
            let order = Order { purpose, version: None, step, force: true };
            let taken = order.take(&situation, &testing::kek(), &SeededEntropy::new(turn.into())).unwrap();
            match taken.change {
                crate::store::Change::AddRing(new) => rows.extend(new),
                crate::store::Change::SwapRing { old, new } => {
                    rows.retain(|row| !old.contains(row));
                    rows.extend(new);
                }
                other => panic!("{other:?}"),
            }
        }
    }
    Ring::open(&rows, &testing::kek()).unwrap_or_else(|fault| panic!("{fault}"))
}

fn keys_of(world: &World) -> Vec<Key> {
    world.keys.clone()
}

fn entropy() -> SeededEntropy {
    SeededEntropy::new(5)
}

fn secret_of(ring: &Ring, key: &Key) -> Secret {
    let Material::Sealed(sealed) = &key.material else { panic!("a signing key") };
    open_material(ring, &key.id, sealed).unwrap()
}

fn root(ring: &Ring) -> RootRow {
    let key = RootKey { id: "AKIDroot".into(), proof: RootProof::Secret(Arc::new(Secret::new("s3cret"))) };
    RootRow::stage(ring, &entropy(), "main", Slot::A, &key, None, START).unwrap()
}

#[test]
fn signing_keys_are_sealed_anew_a_piece_at_a_time_and_stay_the_same() {
    let (world, mut ring) = (World::new(), testing::ring());
    let mut all = keys_of(&world);
    for generation in 1..=3 {
        let before = std::mem::replace(&mut ring, Arc::new(turned(Purpose::Rest, generation)));
        let signing = all.iter().filter(|key| matches!(key.material, Material::Sealed(_))).count();
        let left = || Left::of(&ring, &all, &[], START).under(Purpose::Rest, generation);
        assert!(signing > 2 && left() == signing);
        let mut rounds = 0;
        loop {
            let piece = keys(&ring, &all, 2, &entropy()).unwrap();
            assert!(piece.new.len() <= 2 && piece.closed == 0);
            if piece.new.is_empty() {
                break;
            }
            rounds += 1;
            for (old, new) in piece.old.iter().zip(&piece.new) {
                assert_eq!((&old.id, old.enabled, old.expires), (&new.id, new.enabled, new.expires));
                assert_eq!(secret_of(&before, old).expose(), secret_of(&ring, new).expose());
                *all.iter_mut().find(|key| *key == old).unwrap() = new.clone();
            }
        }
        assert_eq!(rounds, signing.div_ceil(2));
        assert_eq!(Left::of(&ring, &all, &[], START).under(Purpose::Rest, generation), 0);
    }
}

#[test]
fn a_node_that_is_behind_takes_no_work_back() {
    let (old, new) = (testing::ring(), turned(Purpose::Rest, 1));
    let piece = keys(&new, keys_of(&World::new()), usize::MAX, &entropy()).unwrap();
    assert!(!piece.new.is_empty());
    assert!(keys(&old, &piece.new, usize::MAX, &entropy()).unwrap().new.is_empty());
    let rows = roots(&new, &[root(&old)], &entropy()).unwrap().new;
    assert!(roots(&old, &rows, &entropy()).unwrap().new.is_empty());
}

#[test]
fn what_was_changed_in_the_store_stays_as_it_is_and_is_counted() {
    let new = turned(Purpose::Rest, 1);
    let mut all = keys_of(&World::new());
    let broken = all.iter_mut().find(|key| matches!(key.material, Material::Sealed(_))).unwrap();
    let Material::Sealed(sealed) = &mut broken.material else { panic!() };
    *sealed.last_mut().unwrap() ^= 1;
    let id = broken.id.clone();
    let piece = keys(&new, &all, usize::MAX, &entropy()).unwrap();
    assert_eq!(piece.closed, 1);
    assert!(!piece.new.is_empty() && piece.new.iter().all(|key| key.id != id));
    assert!(Left::of(&new, &all, &[], START).under(Purpose::Rest, 1) > 0, "the old key must not go");
    let moved = RootRow { issuer: "other".into(), ..root(&testing::ring()) };
    assert_eq!(roots(&new, &[moved], &entropy()).unwrap().closed, 1);
}

#[test]
fn a_root_key_opens_as_before() {
    let (old, new) = (testing::ring(), turned(Purpose::Rest, 1));
    let row = root(&old);
    assert_eq!(Left::of(&new, &[], std::slice::from_ref(&row), START).under(Purpose::Rest, 1), 1);
    let piece = roots(&new, std::slice::from_ref(&row), &entropy()).unwrap();
    assert_eq!(piece.old, std::slice::from_ref(&row));
    assert_eq!(seal::version_of(&piece.new[0].sealed), Some(2));
    let RootProof::Secret(secret) = piece.new[0].open(&new).unwrap().proof else { panic!("a secret") };
    assert_eq!(secret.expose(), b"s3cret");
    assert_eq!(RootRow { sealed: row.sealed.clone(), ..piece.new[0].clone() }, row);
}

#[test]
fn what_is_left_is_counted_under_retiring_keys_alone() {
    let world = World::new();
    let all = keys_of(&world);
    assert_eq!(Left::of(&testing::ring(), &all, &[root(&testing::ring())], START), Left::default());
    let hashed = Left::of(&turned(Purpose::Pepper, 1), &all, &[], START);
    assert_eq!(hashed.all().collect::<Vec<_>>(), [(Purpose::Pepper, 1, 1)]);
    let ended: Vec<_> = all.iter().map(|key| Key { expires: Some(START), ..key.clone() }).collect();
    assert_eq!(Left::of(&turned(Purpose::Pepper, 1), &ended, &[], START).under(Purpose::Pepper, 1), 0);
    assert!(Left::of(&turned(Purpose::Rest, 1), &ended, &[], START).under(Purpose::Rest, 1) > 0);
    let ring = turned(Purpose::Record, 1);
    let heads = [&testing::ring(), &ring].map(|ring| Chain::begin(ring, Uuid::from_u128(1)).unwrap().head());
    let chains = Left::of(&ring, &all, &[], START).with_chains(&heads);
    assert_eq!(chains.all().collect::<Vec<_>>(), [(Purpose::Record, 1, 1)]);
}

#[test]
fn a_node_that_cannot_open_the_new_form_goes_on_with_the_old_one() {
    let (old, new, world) = (testing::ring(), turned(Purpose::Rest, 1), World::new());
    let part =
        |keys: &[Key], number| Part::new(Stamp { number, ..Stamp::default() }, Keys::of(keys).unwrap());
    let before = Contents {
        keys: part(&world.keys, 1),
        roots: Part::unstamped(vec![root(&old)]),
        ..Contents::default()
    };
    let mut after = keys(&new, &world.keys, usize::MAX, &entropy()).unwrap().new;
    after[0].enabled = false;
    let unknown = Key { id: "AKIDunknown".into(), ..after[1].clone() };
    after.push(unknown.clone());
    let now = Contents {
        keys: part(&after, 2),
        roots: Part::unstamped(roots(&new, &[root(&old)], &entropy()).unwrap().new),
        ..Contents::default()
    };
    let kept = keep_what_opens(&old, &before, now.clone()).unwrap();
    assert_eq!(kept.keys.stamp(), None, "the whole is read again at the next change");
    for key in kept.keys.held().iter().filter(|key| key.id != unknown.id) {
        let was = world.keys.iter().find(|was| was.id == key.id).unwrap();
        assert_eq!(key.material, was.material);
        assert_eq!(secret_of(&old, &key).expose(), secret_of(&old, was).expose());
    }
    assert!(!kept.keys.held().get(&after[0].id).unwrap().enabled, "what an operator has done counts");
    assert_eq!(*kept.keys.held().get(&unknown.id).unwrap(), unknown);
    assert!(kept.roots.held()[0].open(&old).is_ok());
    // With the key, nothing is held on to.
    let opened = keep_what_opens(&new, &before, now.clone()).unwrap();
    assert!(opened.keys.is(&now.keys) && opened.roots.held() == now.roots.held());
}

#[test]
fn secrets_wait_once_and_not_without_end() {
    let (rehash, client) = (Rehash::default(), Uuid::from_u128(1));
    let key = Arc::new(secret_key(Uuid::from_u128(7), client));
    rehash.note(&key, 2, vec![1; 32]);
    rehash.note(&key, 2, vec![1; 32]);
    let piece = rehash.take();
    assert_eq!(piece.old, [(*key).clone()]);
    assert_eq!(piece.new[0].material, Material::Hashed { pepper: 2, hash: vec![1; 32] });
    assert!(rehash.take().old.is_empty());
    for number in 0..WAITING + 10 {
        let key = Key { id: number.to_string(), ..signing_key("x", KeyKind::Tencent, client) };
        rehash.note(&Arc::new(key), 2, Vec::new());
    }
    assert_eq!(rehash.take().old.len(), WAITING);
}
