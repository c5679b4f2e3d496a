use super::super::{Ambient, Opened};
use super::*;
use crate::config::SealKeys;
use daypass_core::client::{Client, Material};
use daypass_core::ring::{Order, Rules, Stage, Step};
use daypass_core::root::{RootRow, Slot};
use daypass_core::seal;
use daypass_core::secret::Secret;
use daypass_core::testing::{FixedClock, SeededEntropy, World};
use daypass_core::upstream::{RootKey, RootProof};
use tempfile::TempDir;

const OLD: [u8; 32] = [7; 32];
const NEW: [u8; 32] = [8; 32];

struct Place {
    folder: TempDir,
    world: World,
}

impl Place {
    /// A store with a world's client, whose signing keys are sealed by the ring that is in it.
    async fn new(keys: usize) -> Self {
        let place = Self { folder: tempfile::tempdir().unwrap(), world: World::new() };
        let opened = place.open(SealKeys::alone(OLD)).await;
        opened.begin().await.unwrap();
        let mut changes = vec![Change::PutClient(place.client().clone())];
        for number in 0..keys {
            let (ring, entropy) = (&opened.ring, SeededEntropy::new(number as u64));
            let span = daypass_core::keys::Span::from(place.client().created);
            let kind = daypass_core::keys::SecretKind::Tencent;
            let made = daypass_core::keys::make(ring, kind, place.client().guid, &entropy, span).unwrap();
            changes.push(Change::PutKey(made.key));
        }
        let key =
            RootKey { id: "AKIDroot".into(), proof: RootProof::Secret(Arc::new(Secret::new("s3cret"))) };
        let entropy = SeededEntropy::new(9);
        let now = place.client().created;
        let root = RootRow::stage(&opened.ring, &entropy, "main", Slot::A, &key, None, now).unwrap();
        changes.push(Change::SwapRoots { old: vec![], new: vec![root] });
        opened.store.change(changes, change_at(now, None, "test.begin", "place")).await.unwrap();
        opened.store.close().await.unwrap();
        place
    }

    fn client(&self) -> &Client {
        &self.world.client
    }

    async fn open(&self, keys: SealKeys) -> Opened {
        let url = format!("sqlite:{}", self.folder.path().join("a.db").display());
        Opened::open(&url, &keys).await.unwrap_or_else(|error| panic!("{error:#}"))
    }

    /// A node of today.
    async fn node(&self, keys: SealKeys) -> Arc<App> {
        let opened = self.open(keys).await;
        opened.begin().await.unwrap();
        let begun = opened.store.ring().await.unwrap()[0].created;
        let ambient =
            Ambient { clock: Arc::new(FixedClock::new(begun)), entropy: Arc::new(SeededEntropy::new(1)) };
        App::build(opened, self.world.plan.clone(), ambient).await.unwrap()
    }
}

async fn turn(app: &App, purpose: Purpose) {
    for step in [Step::Prepare, Step::Activate] {
        let order = Order { purpose, version: None, step, force: true };
        let rules = Rules::of(app.directory().plan());
        crate::rotation::take(&app.opened, order, &rules, app.now()).await.unwrap();
        app.hear().await.unwrap();
    }
}

async fn actions(app: &App, action: &str) -> Vec<String> {
    use daypass_core::record::Event;
    let query = daypass_core::store::RecordQuery { limit: 10_000, ..Default::default() };
    let records = app.opened.store.records(query).await.unwrap();
    let object = |event| match event {
        Event::Change { action: found, object } if found == action => Some(object),
        _ => None,
    };
    records.into_iter().filter_map(|stored| object(stored.record.event)).collect()
}

fn sealed_by(app: &App, version: u32) -> usize {
    let directory = app.directory();
    let keys = directory.contents().keys.held();
    let of = |key: &Key| match &key.material {
        Material::Sealed(sealed) => seal::version_of(sealed) == Some(version),
        _ => false,
    };
    keys.iter().filter(of).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_and_root_keys_are_sealed_anew_in_pieces_and_counted() {
    let place = Place::new(1200).await;
    let app = place.node(SealKeys::alone(OLD)).await;
    turn(&app, Purpose::Rest).await;
    let left = app.left().await.unwrap();
    assert_eq!(left.under(Purpose::Rest, 1), 1201);
    app.keep_up().await.unwrap();
    assert_eq!((sealed_by(&app, 1), sealed_by(&app, 2)), (0, 1200));
    assert_eq!(app.left().await.unwrap().under(Purpose::Rest, 1), 0);
    assert_eq!(app.left_lately(), [(Purpose::Rest, 1, 0)]);
    let pieces = actions(&app, "ring.reseal").await;
    assert_eq!(pieces, ["rest/2 500", "rest/2 500", "rest/2 200"]);
    assert_eq!(actions(&app, "ring.reseal-roots").await, ["rest/2 1"]);
    let done: Vec<_> = app.done_anew().map(|(what, count)| (what.name(), count)).collect();
    assert_eq!(done, [("wrapped", 0), ("client-keys", 1200), ("root-keys", 1), ("secrets", 0)]);
    let key = app.directory().contents().keys.held().iter().next().unwrap();
    app.directory().signing_secret(Some(&key)).unwrap();
    assert!(app.directory().roots()[0].open(app.directory().ring()).is_ok());
    app.keep_up().await.unwrap();
    assert_eq!(actions(&app, "ring.reseal").await.len(), 3, "once is enough");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_and_an_operator_at_once_lose_nothing() {
    let place = Place::new(1500).await;
    let (one, two) = (place.node(SealKeys::alone(OLD)).await, place.node(SealKeys::alone(OLD)).await);
    turn(&one, Purpose::Rest).await;
    two.hear().await.unwrap();
    let victim = one.directory().contents().keys.held().iter().nth(1400).unwrap();
    let disabled = Key { enabled: false, ..victim.clone() };
    let record = change_at(one.now(), None, "key.disable", &victim.id);
    let disable = two.opened.store.change(vec![Change::PutKey(disabled)], record);
    let (first, second, third) = tokio::join!(one.keep_up(), two.keep_up(), disable);
    first.unwrap();
    second.unwrap();
    third.unwrap();
    for node in [&one, &two] {
        node.hear().await.unwrap();
        node.keep_up().await.unwrap();
        assert_eq!((sealed_by(node, 1), sealed_by(node, 2)), (0, 1500));
        let held = node.directory();
        let held = held.contents().keys.held().get(&victim.id).unwrap();
        assert!(!held.enabled, "what the operator did was not undone");
    }
}

#[tokio::test]
async fn a_key_that_was_changed_in_the_store_keeps_the_old_one_there() {
    let place = Place::new(3).await;
    let app = place.node(SealKeys::alone(OLD)).await;
    let mut broken = app.directory().contents().keys.held().iter().nth(1).unwrap();
    let Material::Sealed(sealed) = &mut broken.material else { panic!() };
    *sealed.last_mut().unwrap() ^= 1;
    let record = change_at(app.now(), None, "test.break", "key");
    app.opened.store.change(vec![Change::PutKey(broken)], record).await.unwrap();
    app.hear().await.unwrap();
    turn(&app, Purpose::Rest).await;
    app.keep_up().await.unwrap();
    assert_eq!((sealed_by(&app, 1), sealed_by(&app, 2)), (1, 2));
    let order = Order { purpose: Purpose::Rest, version: None, step: Step::Retire, force: false };
    let mut rules = app.directory().plan().clone();
    rules.rotation.keep = 0;
    let later = daypass_core::clock::after(app.now(), 9999);
    let refused = crate::rotation::take(&app.opened, order, &Rules::of(&rules), later).await.unwrap_err();
    assert!(refused.to_string().starts_with("`rest/1` is still needed: 1 keys"), "{refused}");
}

#[tokio::test]
async fn the_ring_is_wrapped_again_once_and_the_old_seal_key_can_go() {
    let place = Place::new(1).await;
    let (one, two) = {
        let keys = || SealKeys::alone(NEW).with(SealRole::Previous, OLD);
        (place.node(keys()).await, place.node(keys()).await)
    };
    let count = one.opened.store.ring().await.unwrap().len();
    let (first, second) = tokio::join!(one.keep_up(), two.keep_up());
    first.unwrap();
    second.unwrap();
    let (old, new) = (ring::Kek::new(&OLD).unwrap().id(), ring::Kek::new(&NEW).unwrap().id());
    assert_eq!(actions(&one, "ring.wrap").await, [format!("{new} {count}")], "by one of them");
    one.hear().await.unwrap();
    let wrapped = one.wrapped_by();
    assert_eq!(wrapped, [(new, Some(SealRole::Key), count), (old, Some(SealRole::Previous), 0)]);
    // A new key of the ring is under the new one, and nothing is left for another turn.
    turn(&one, Purpose::Ticket).await;
    one.keep_up().await.unwrap();
    assert_eq!(actions(&one, "ring.wrap").await.len(), 1);
    place.open(SealKeys::alone(NEW)).await;
}

#[tokio::test]
async fn a_node_whose_seal_key_is_behind_goes_on_and_says_so() {
    let place = Place::new(2).await;
    let behind = place.node(SealKeys::alone(OLD)).await;
    let ahead = place.node(SealKeys::alone(NEW).with(SealRole::Previous, OLD)).await;
    ahead.keep_up().await.unwrap();
    behind.hear().await.unwrap();
    assert_eq!(behind.unopened(), behind.opened.store.ring().await.unwrap().len());
    assert!(behind.ready().is_ok());
    // New keys that it cannot have do not stop it: it goes on with those before.
    for purpose in [Purpose::Rest, Purpose::Triple] {
        turn(&ahead, purpose).await;
    }
    ahead.keep_up().await.unwrap();
    assert_eq!(sealed_by(&ahead, 2), 2);
    behind.hear().await.unwrap();
    behind.keep_up().await.unwrap();
    let directory = behind.directory();
    assert_eq!((directory.ring().active(Purpose::Rest), directory.ring().active(Purpose::Triple)), (1, 1));
    for key in directory.contents().keys.held().iter() {
        let shown = ahead.directory().contents().keys.held().get(&key.id).unwrap();
        let secret =
            |app: &App, key: &Key| app.directory().signing_secret(Some(key)).unwrap().expose().to_vec();
        assert_eq!(secret(&behind, &key), secret(&ahead, &shown));
    }
    assert!(directory.roots()[0].open(directory.ring()).is_ok());
    let text = format!("{:?}", behind.concerns());
    assert!(text.contains("seal_key") && text.contains("has not the seal key for"), "{text}");
    assert!(!format!("{:?}", ahead.concerns()).contains("seal_key"));
    // It does hear of everything else, and takes no step for keys that it cannot see.
    let victim = directory.contents().keys.held().iter().next().unwrap().id;
    let cut = daypass_core::cutoff::Cutoff {
        scope: daypass_core::cutoff::Scope::Key(victim.clone()),
        before: ahead.now(),
    };
    let record = change_at(ahead.now(), None, "revoke", &victim);
    ahead.opened.store.change(vec![Change::Cut(cut)], record).await.unwrap();
    behind.hear().await.unwrap();
    assert_eq!(behind.directory().cutoffs().iter().count(), 1);
    assert!(behind.rotate_once().await.unwrap().is_none());
    // And it could not be started again.
    let url = format!("sqlite:{}", place.folder.path().join("a.db").display());
    let refused = Opened::open(&url, &SealKeys::alone(OLD)).await.err().unwrap();
    assert!(refused.to_string().contains("nothing was changed"), "{refused}");
}

#[tokio::test]
async fn a_node_with_the_key_to_come_is_not_behind() {
    let place = Place::new(1).await;
    let early = place.node(SealKeys::alone(OLD).with(SealRole::Next, NEW)).await;
    let late = place.node(SealKeys::alone(NEW).with(SealRole::Previous, OLD)).await;
    late.keep_up().await.unwrap();
    early.hear().await.unwrap();
    early.keep_up().await.unwrap();
    assert_eq!((early.unopened(), actions(&early, "ring.wrap").await.len()), (0, 1));
    // What it adds is wrapped as the others wrap it.
    turn(&early, Purpose::Ticket).await;
    late.hear().await.unwrap();
    late.keep_up().await.unwrap();
    assert_eq!((late.unopened(), actions(&late, "ring.wrap").await.len()), (0, 1));
}

#[tokio::test]
async fn a_new_record_key_begins_a_new_chain_and_the_old_one_stays_while_records_do() {
    let place = Place::new(1).await;
    let app = place.node(SealKeys::alone(OLD)).await;
    for version in [2, 3] {
        turn(&app, Purpose::Record).await;
        app.keep_up().await.unwrap();
        let record = change_at(app.now(), None, "test.mark", &version.to_string());
        app.opened.store.append(daypass_core::record::Entry { record, mark: None }).await.unwrap();
        let heads = app.opened.store.heads().await.unwrap();
        let last = heads.iter().map(|head| head.key_version).max();
        assert_eq!(last, Some(version));
        app.keep_up().await.unwrap();
        assert_eq!(app.opened.store.heads().await.unwrap().len(), heads.len(), "one chain for each key");
    }
    assert!(app.left().await.unwrap().under(Purpose::Record, 1) > 0);
    assert!(app.rotate_once().await.unwrap().is_none());
}

fn names(stages: &[Stage]) -> Vec<String> {
    stages.iter().map(Stage::name).collect()
}

#[tokio::test]
async fn a_ring_that_was_tampered_with_does_not_stop_a_running_node() {
    let place = Place::new(1).await;
    let app = place.node(SealKeys::alone(OLD)).await;
    let mut row = app.opened.store.ring().await.unwrap().remove(0);
    let name = row.stage().name();
    *row.sealed.last_mut().unwrap() ^= 1;
    let record = change_at(app.now(), None, "test.break", "ring");
    app.opened.store.change(vec![Change::PutRing(vec![row])], record).await.unwrap();
    app.hear().await.unwrap();
    assert_eq!(names(app.directory().ring().unopened()), [name]);
}

/// A store that an older version has made says nothing of its seal key until a newer one has opened its ring.
#[tokio::test]
async fn a_store_of_an_older_version_opens_is_told_its_seal_key_and_moves_on() {
    let place = Place::new(1).await;
    let forget = || {
        let file = rusqlite::Connection::open(place.folder.path().join("a.db")).unwrap();
        assert_eq!(file.execute("DELETE FROM seal", []).unwrap(), 1);
        // SQLite's shell and others merge the log when they close; the store wants to know.
        file.execute("UPDATE meta SET closed = 1", []).unwrap();
    };
    forget();
    let url = format!("sqlite:{}", place.folder.path().join("a.db").display());
    let refused = Opened::open(&url, &SealKeys::alone(NEW)).await.err().unwrap();
    assert!(refused.to_string().contains("does not open the key `"), "{refused}");
    let app = place.node(SealKeys::alone(OLD)).await;
    assert_eq!(app.opened.store.seal().await.unwrap(), None, "nothing is written by looking");
    app.keep_up().await.unwrap();
    let old = ring::Kek::new(&OLD).unwrap().id();
    assert_eq!(app.opened.store.seal().await.unwrap().unwrap().id, old);
    assert_eq!(actions(&app, "ring.wrap").await, [format!("{old} 0")]);
    app.close().await;
    forget();
    // Also where the operator replaces it in the same breath.
    let app = place.node(SealKeys::alone(NEW).with(SealRole::Previous, OLD)).await;
    app.keep_up().await.unwrap();
    let new = ring::Kek::new(&NEW).unwrap().id();
    let kept = app.wrapped_by();
    assert_eq!((kept[0].0, kept[1].2), (new, 0), "{kept:?}");
    place.open(SealKeys::alone(NEW)).await;
}
