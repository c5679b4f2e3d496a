//! The keeper on a running application, with a store in memory.

use super::file::{Copy, copies};
use super::*;
use crate::app::{Ambient, App, Opened, Settings as AppSettings};
use daypass_core::clock::after;
use daypass_core::record::checkpoint::{Checkpoint, Fork, Kept};
use daypass_core::record::{Entry, Event, Record};
use daypass_core::store::{Change, Proof, RecordQuery, Store};
use daypass_core::testing::{self, FixedClock, MemoryStore, START, SeededEntropy, World};
use std::path::{Path as FilePath, PathBuf};
use uuid::Uuid;

struct Node {
    app: Arc<App>,
    store: Arc<MemoryStore>,
    clock: Arc<FixedClock>,
}

async fn node_on(store: Arc<MemoryStore>, clock: Arc<FixedClock>, records: Settings) -> Node {
    let opened = Opened::for_test(store.clone(), testing::ring(), testing::kek());
    let ambient = Ambient { clock: clock.clone(), entropy: Arc::new(SeededEntropy::new(1)) };
    let settings = AppSettings { records, ..World::new().plan.into() };
    Node { app: App::build(opened, settings, ambient).await.unwrap(), store, clock }
}

async fn node(records: Settings) -> Node {
    let (store, clock) = (Arc::new(MemoryStore::new()), Arc::new(FixedClock::new(START)));
    let first = Record::change(Uuid::from_u128(1), START, None, "test.begin", "world");
    store.change(vec![Change::PutRing(testing::ring_rows())], first).await.unwrap();
    node_on(store, clock, records).await
}

fn to_file(path: &FilePath) -> Settings {
    Settings { places: vec![Arc::new(Place::File(path.to_owned()))], ..Settings::default() }
}

impl Node {
    async fn write(&self, count: u128) {
        for number in 0..count {
            let now = self.app.now();
            let record = Record::change(Uuid::from_u128(number), now, None, "test", &number.to_string());
            self.store.append(Entry { record, mark: None }).await.unwrap();
        }
    }

    async fn turn(&self) {
        self.app.keeper().sign(&self.app).await;
        self.app.keeper().hand_out(&self.app).await;
    }

    /// Writes a record and signs it, so many times.
    async fn grow(&self, times: u32) {
        for _ in 0..times {
            self.write(1).await;
            self.turn().await;
        }
    }

    async fn kept(&self) -> Vec<Kept> {
        self.store.checkpoints(0, usize::MAX).await.unwrap()
    }

    async fn last(&self) -> Checkpoint {
        self.kept().await.pop().unwrap().open(testing::ring().checkpoint_keys()).unwrap()
    }

    fn concerns(&self) -> Vec<&'static str> {
        self.app
            .proofs()
            .concerns(self.app.now())
            .into_iter()
            .filter(|(_, n, _)| *n > 0)
            .map(|(name, ..)| name)
            .collect()
    }

    fn alarms(&self) -> Vec<String> {
        let alarm = |record: Record| match record.event {
            Event::Alarm { reason, detail } if reason == rollback::ROLLED_BACK => Some(detail),
            _ => None,
        };
        self.store.all().into_iter().filter_map(alarm).collect()
    }
}

fn held(path: &FilePath) -> Vec<Kept> {
    let mut all = Vec::new();
    copies(path, |copy| match copy {
        Copy::Kept(kept) => all.push(kept),
        Copy::Unreadable(line) => panic!("line {line}"),
    })
    .unwrap();
    all
}

/// A place that was not reached is tried again.
async fn a_minute_later() {
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(61)).await;
    tokio::time::resume();
}

/// A node whose store is as it was when it had one checkpoint, and what its file holds: three.
async fn put_back(path: &FilePath) -> (Node, Vec<Kept>) {
    node(to_file(path)).await.grow(3).await;
    let node = node(to_file(path)).await;
    node.app.keeper().sign(&node.app).await;
    (node, held(path))
}

fn folder() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("checkpoints");
    (folder, path)
}

#[tokio::test]
async fn what_grows_is_signed_and_what_does_not_is_not() {
    let node = node(Settings::default()).await;
    node.turn().await;
    assert_eq!(node.kept().await.len(), 1);
    node.turn().await;
    assert_eq!(node.kept().await.len(), 1);
    node.write(3).await;
    node.turn().await;
    let last = node.last().await;
    assert_eq!((last.number, last.records), (2, 4));
    assert_eq!(node.app.proofs().number, 2);
    assert!(node.concerns().is_empty());
}

#[tokio::test]
async fn a_file_gets_each_in_order_and_goes_on_where_it_was() {
    let (folder, path) = folder();
    let node = node(to_file(&path)).await;
    node.grow(3).await;
    assert_eq!(held(&path), node.kept().await);
    assert_eq!(node.store.delivered().await.unwrap(), [(format!("file:{}", path.display()), 3)]);

    // The medium is away for a while.
    let away = folder.path().join("away");
    std::fs::rename(&path, &away).unwrap();
    std::fs::create_dir(&path).unwrap();
    node.write(1).await;
    node.turn().await;
    node.write(1).await;
    node.turn().await;
    let standing = node.app.proofs().places.into_values().next().unwrap();
    assert_eq!(standing.kind, "file");
    assert!(node.concerns().is_empty(), "not yet");
    std::fs::remove_dir(&path).unwrap();
    std::fs::rename(&away, &path).unwrap();
    a_minute_later().await;
    node.turn().await;
    assert_eq!(held(&path), node.kept().await);
    assert_eq!(node.kept().await.len(), 5);

    // A new file gets the whole history.
    std::fs::remove_file(&path).unwrap();
    node.turn().await;
    assert_eq!(held(&path), node.kept().await);
}

#[tokio::test]
async fn a_place_that_misses_for_too_long_is_told() {
    let nowhere = "udp://127.0.0.1:1";
    let (folder, _) = folder();
    let gone = folder.path().join("gone/checkpoints");
    let node = node(to_file(&gone)).await;
    node.write(1).await;
    node.turn().await;
    assert!(node.concerns().is_empty(), "{nowhere}");
    node.clock.advance(1000 * (i64::try_from(standing::LATE).unwrap() + 1));
    node.app.keeper().hand_out(&node.app).await;
    assert_eq!(node.concerns(), ["second_places"]);
    let text = node.app.concerns().into_iter().find(|concern| concern.name == "second_places").unwrap().text;
    assert!(!text.contains("gone"), "no names: {text}");
    // It comes back.
    std::fs::create_dir(gone.parent().unwrap()).unwrap();
    a_minute_later().await;
    node.app.keeper().hand_out(&node.app).await;
    assert!(node.concerns().is_empty());
    assert_eq!(held(&gone).len(), 1);
}

/// Of two nodes that share a store, each has its own file, and both are whole.
#[tokio::test]
async fn two_nodes_sign_one_sequence() {
    let ((_one, first), (_two, second)) = (folder(), folder());
    let one = node(to_file(&first)).await;
    let two = node_on(one.store.clone(), one.clock.clone(), to_file(&second)).await;
    for round in 0..10 {
        one.write(round).await;
        tokio::join!(one.turn(), two.turn());
    }
    one.turn().await;
    two.turn().await;
    let kept = one.kept().await;
    assert_eq!(
        kept.iter().map(|kept| kept.number).collect::<Vec<_>>(),
        (1..=kept.len() as u64).collect::<Vec<_>>()
    );
    assert_eq!(held(&first), kept);
    assert_eq!(held(&second), kept);
}

#[tokio::test]
async fn a_store_that_was_put_back_is_noticed_at_the_start_until_it_is_accepted() {
    let (_folder, path) = folder();
    let (node, copies) = put_back(&path).await;
    node.app.keeper().hand_out(&node.app).await;
    assert_eq!(node.alarms().len(), 1, "{:?}", node.alarms());
    assert!(node.alarms()[0].contains("holds checkpoint 3"), "{:?}", node.alarms());
    assert_eq!(node.concerns(), ["rollback"]);
    node.write(2).await;
    node.turn().await;
    assert_eq!(held(&path), copies, "the evidence stays as it is");
    assert_eq!(node.alarms().len(), 1, "once is enough");

    let found = behind(&*node.store, &testing::ring(), &path).await.unwrap().unwrap();
    assert_eq!(found.fork.number, 3);
    sign(&*node.store, &testing::ring(), after(START, 9), Some(found.fork)).await.unwrap();
    node.turn().await;
    assert!(node.concerns().is_empty());
    assert_eq!(behind(&*node.store, &testing::ring(), &path).await.unwrap(), None);
    node.turn().await;
    assert!(
        held(&path).len() > copies.len() && held(&path).ends_with(&node.kept().await[1..]),
        "{:?}",
        held(&path).len()
    );

    // The next start finds nothing to complain of.
    let again = node_on(node.store.clone(), node.clock.clone(), to_file(&path)).await;
    again.turn().await;
    assert_eq!((again.alarms().len(), again.concerns().len()), (1, 0));
}

#[tokio::test]
async fn old_records_go_only_where_they_are_signed_and_every_place_has_that() {
    const DAY: u32 = 86_400;
    let (folder, path) = folder();
    let gone = folder.path().join("gone/checkpoints");
    let mut settings = Settings { keep: Some(10 * DAY), ..to_file(&path) };
    settings.places.push(Arc::new(Place::File(gone.clone())));
    let node = node(settings).await;
    node.write(1200).await;
    node.clock.set(after(START, 20 * DAY));
    node.write(5).await;
    let count = async || {
        node.store
            .records(RecordQuery { limit: 9999, after: Some(0), ..RecordQuery::default() })
            .await
            .unwrap()
            .len()
    };
    assert_eq!(count().await, 1206);
    node.app.keeper().remove(&node.app).await;
    assert_eq!(count().await, 1206, "nothing is signed");
    node.turn().await;
    node.app.keeper().remove(&node.app).await;
    assert_eq!(count().await, 1206, "a place does not have it");
    std::fs::create_dir(gone.parent().unwrap()).unwrap();
    a_minute_later().await;
    node.turn().await;
    node.app.keeper().remove(&node.app).await;
    assert_eq!(count().await, 5 + 3, "and three that say what went");
    assert_eq!(node.app.proofs().removed, 1201);
    let told: Vec<_> = node
        .store
        .all()
        .into_iter()
        .filter_map(|record| match record.event {
            Event::Change { action, object } if action == "records.remove" => Some(object),
            _ => None,
        })
        .collect();
    assert_eq!(told.len(), 3);
    assert!(
        told[0].starts_with("500 records up to 2023-11-24") && told[0].contains(" 1-500 of "),
        "{told:?}"
    );
    assert!(told[2].contains(" 1001-1201 of "), "{told:?}");
    node.app.keeper().remove(&node.app).await;
    assert_eq!(count().await, 8, "nothing more is old enough");
    node.turn().await;
    let last = node.last().await;
    assert_eq!(last.cut.iter().map(|span| span.size).collect::<Vec<_>>(), [1201]);
}

#[tokio::test]
async fn a_clean_stop_signs_what_was_written_last() {
    let (_folder, path) = folder();
    let node = node(to_file(&path)).await;
    node.write(2).await;
    node.app.close().await;
    assert_eq!(node.kept().await.len(), 1);
    assert_eq!(held(&path), node.kept().await);
}

/// By whoever can write to the store: a chain that is said to be signed for ever would never be signed again, and could be cut off.
#[tokio::test]
async fn what_the_store_says_to_be_signed_is_not_believed() {
    let node = node(Settings::default()).await;
    node.write(3).await;
    node.turn().await;
    for told in [1_000_000, 1, 0] {
        node.store.say_signed(told);
        node.write(2).await;
        let signed = sign(&*node.store, &testing::ring(), node.app.now(), None).await.unwrap();
        assert_eq!((signed.made, signed.unproved.len()), (1, 0), "{told}");
        let heads = node.store.heads().await.unwrap();
        assert!(heads.iter().all(|head| head.signed == head.seq), "it is put right: {heads:?}");
        let last = node.last().await;
        assert_eq!(last.records, heads.iter().map(|head| head.seq).sum::<u64>());
        assert!(node.concerns().is_empty());
    }
    // Once nothing has grown there is nothing to sign, whatever is said.
    node.store.say_signed(0);
    let signed = sign(&*node.store, &testing::ring(), node.app.now(), None).await.unwrap();
    assert_eq!((signed.made, signed.unproved.len()), (0, 0));
}

/// The time beside a record is proved by nothing: what only looks old stays, and is told.
#[tokio::test]
async fn what_is_not_old_itself_does_not_go() {
    const DAY: u32 = 86_400;
    let (_folder, path) = folder();
    let node = node(Settings { keep: Some(10 * DAY), ..to_file(&path) }).await;
    node.write(20).await;
    node.turn().await;
    let before = node.store.all().len();
    node.store.look_old();
    node.app.keeper().remove(&node.app).await;
    assert_eq!(node.store.all().len(), before);
    assert_eq!(node.concerns(), ["retention"]);
}

/// Who put the store back can write a checkpoint into it that accepts this, and has no key to sign it with.
#[tokio::test]
async fn only_what_was_signed_accepts_anything() {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let (_folder, path) = folder();
    let (node, copies) = put_back(&path).await;
    let last = node.kept().await.pop().unwrap();
    let fork = Fork { number: 3, digest: copies[2].digest() };
    let payload = last.open(testing::ring().checkpoint_keys()).unwrap();
    let accepts = Checkpoint { number: 2, accepts: Some(fork), ..payload };
    let forged = URL_SAFE_NO_PAD.encode(serde_json::to_vec(&accepts).unwrap());
    let mut parts: Vec<_> = last.jws.split('.').collect();
    parts[1] = &forged;
    let kept = Kept { number: 2, jws: parts.join(".") };
    let proof = Proof::Checkpoint { kept, grown: vec![], cut: vec![] };
    assert!(node.store.prove(proof).await.unwrap());
    node.turn().await;
    assert_eq!(node.concerns(), ["rollback", "checkpoints"]);
    assert_eq!(held(&path), copies);
    // Nor does it go to a place that knows nothing yet.
    let (_other, elsewhere) = folder();
    let other = node_on(node.store.clone(), node.clock.clone(), to_file(&elsewhere)).await;
    other.turn().await;
    assert_eq!(held(&elsewhere), node.kept().await[..1]);
    assert!(
        sign(&*node.store, &testing::ring(), START, None).await.unwrap_err().to_string().contains("forged")
    );
}

/// Not only at the start: a running service finds that its file holds what the store has no more.
#[tokio::test]
async fn a_store_that_is_put_back_under_a_running_service_is_noticed() {
    let (_folder, path) = folder();
    let node = node(to_file(&path)).await;
    node.grow(3).await;
    assert_eq!((node.alarms().len(), node.concerns().len()), (0, 0));
    let copies = held(&path);
    node.store.forget_checkpoints(1);
    node.turn().await;
    node.turn().await;
    assert_eq!((node.alarms().len(), node.concerns()), (1, vec!["rollback"]));
    assert_eq!(held(&path), copies, "the evidence stays as it is");
    assert!(node.kept().await.len() > 1, "what was signed and forgotten is signed again");
}
