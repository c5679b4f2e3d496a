//! What runs beside requests: the ends of clients' keys are announced once, whoever runs and however often.

use super::{Ambient, App, KEY_EXPIRES, Opened};
use daypass_core::client::{Key, KeyKind};
use daypass_core::clock::after;
use daypass_core::record::Event;
use daypass_core::store::{Change, RecordQuery, Store};
use daypass_core::testing::{
    ACME, FixedClock, MemoryStore, RESOURCE, START, SeededEntropy, World, kek, request, ring, ring_rows,
};
use daypass_dialects::entra::Entra;
use std::sync::Arc;
use std::sync::atomic::Ordering;

const DAY: u32 = 24 * 60 * 60;
const DAY_MILLIS: i64 = 24 * 60 * 60 * 1000;

async fn node(opened: Opened, world: &World, clock: &Arc<FixedClock>, seed: u64) -> Arc<App> {
    let ambient = Ambient { clock: clock.clone(), entropy: Arc::new(SeededEntropy::new(seed)) };
    App::build(opened, world.plan.clone(), ambient).await.unwrap()
}

async fn open(folder: &tempfile::TempDir) -> Opened {
    let url = format!("sqlite:{}", folder.path().join("a.db").display());
    let opened = Opened::open(&url, &crate::config::SealKeys::alone([7; 32])).await.unwrap();
    opened.begin().await.unwrap();
    opened
}

async fn fill(store: &dyn Store, world: &World) {
    let mut changes = vec![Change::PutClient(world.client.clone())];
    changes.extend(world.keys.iter().cloned().map(Change::PutKey));
    store.change(changes, super::change_at(START, None, "test.begin", "world")).await.unwrap();
}

/// One key that ends in a hundred days, one in twenty, and others that do not end.
fn world() -> World {
    let mut world = World::new();
    world.keys[0].expires = Some(after(START, 100 * DAY));
    world.keys[1].expires = Some(after(START, 20 * DAY));
    world
}

/// The key and the days of each announcement, in order.
async fn announced(store: &dyn Store) -> Vec<(String, u32)> {
    let records = store.records(RecordQuery { limit: 1000, ..RecordQuery::default() }).await.unwrap();
    let one = |record: daypass_core::record::Record| match record.event {
        Event::Warning { warning, object, days, .. } => {
            assert_eq!((warning.as_str(), record.key.as_deref()), (KEY_EXPIRES, Some(&*object)));
            assert_eq!(
                (record.tenant.as_deref(), record.client),
                (Some("acme"), Some(World::new().client.guid))
            );
            Some((object, days))
        }
        _ => None,
    };
    records.into_iter().filter_map(|stored| one(stored.record)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_end_is_announced_once_by_all_nodes_and_over_a_restart() {
    let (folder, world, clock) = (tempfile::tempdir().unwrap(), world(), Arc::new(FixedClock::new(START)));
    let first = open(&folder).await;
    fill(&*first.store, &world).await;
    let store = first.store.clone();
    let nodes = [node(first, &world, &clock, 1).await, node(open(&folder).await, &world, &clock, 2).await];
    for _ in 0..101 {
        let (one, other) = tokio::join!(nodes[0].announce_ends(), nodes[1].announce_ends());
        assert!(one.unwrap() + other.unwrap() <= 1);
        // As after a restart: it remembers nothing, and finds what was announced.
        let again = node(open(&folder).await, &world, &clock, 3).await;
        assert_eq!(again.announce_ends().await, Ok(0));
        again.close().await;
        clock.advance(DAY_MILLIS);
    }
    let (one, other) = (&world.keys[0].id, &world.keys[1].id);
    let expected = [(other, 14), (other, 7), (other, 1), (one, 30), (one, 14), (one, 7), (one, 1)];
    assert_eq!(announced(&*store).await, expected.map(|(key, days)| (key.clone(), days)));
}

#[tokio::test]
async fn a_moved_end_is_announced_again_and_a_disabled_key_is_not() {
    let (mut world, clock, store) = (world(), Arc::new(FixedClock::new(START)), Arc::new(MemoryStore::new()));
    fill(&*store, &world).await;
    let record = || super::change_at(START, None, "test.change", "key");
    store.change(vec![Change::PutRing(ring_rows())], record()).await.unwrap();
    let app = node(Opened::for_test(store.clone(), ring(), kek()), &world, &clock, 1).await;
    clock.advance(19 * DAY_MILLIS);
    assert_eq!((app.announce_ends().await, app.announce_ends().await), (Ok(1), Ok(0)));
    let moved = Key { expires: Some(after(START, 25 * DAY)), ..world.keys.remove(1) };
    store.change(vec![Change::PutKey(moved.clone())], record()).await.unwrap();
    app.hear().await.unwrap();
    assert_eq!(app.announce_ends().await, Ok(1));
    let disabled = Key { enabled: false, ..moved.clone() };
    store.change(vec![Change::PutKey(disabled)], record()).await.unwrap();
    app.hear().await.unwrap();
    clock.advance(5 * DAY_MILLIS);
    assert_eq!(app.announce_ends().await, Ok(0));
    let key = moved.id;
    assert_eq!(announced(&*store).await, [(key.clone(), 1), (key, 7)]);
    store.go_down();
    clock.advance(46 * DAY_MILLIS);
    assert!(app.announce_ends().await.is_err(), "nothing is announced that cannot be written");
    store.come_back();
    assert_eq!(app.announce_ends().await, Ok(1));
}

/// A clock that was set back stands still until it has caught up; a store that falls silent meanwhile is noticed all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silence_is_noticed_though_the_clock_stands() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(FixedClock::new(START));
    let app = node(open(&folder).await, &world(), &clock, 1).await;
    assert!(app.ready().is_ok());
    app.heard_passed.fetch_sub(super::STALE + 1, Ordering::Relaxed);
    assert!(app.ready().is_err() && app.report().fault().is_some());
    app.hear().await.unwrap();
    assert!(app.ready().is_ok());
    clock.set(after(START, u32::try_from(super::STALE).unwrap() + 1));
    assert!(app.ready().is_err(), "and by the clock that everything goes by");
}

#[tokio::test]
async fn readiness_says_how_many_keys_need_someone_and_not_whose() {
    let (world, clock, store) = (world(), Arc::new(FixedClock::new(START)), Arc::new(MemoryStore::new()));
    fill(&*store, &world).await;
    let record = super::change_at(START, None, "test.ring", "ring");
    store.change(vec![Change::PutRing(ring_rows())], record).await.unwrap();
    let app = node(Opened::for_test(store.clone(), ring(), kek()), &world, &clock, 1).await;
    let after_days = |days: i64| {
        clock.set(after(START, u32::try_from(days).unwrap() * DAY));
        app.count_ending();
        app.concerns().into_iter().map(|concern| concern.text).collect::<Vec<_>>()
    };
    assert_eq!(after_days(12), [] as [String; 0]);
    assert_eq!(after_days(13), ["keys of clients that end within 7 days: 1"]);
    assert_eq!(after_days(20), [] as [String; 0], "it has ended, and its client has noticed");
    let [ours] = &after_days(800)[..] else { panic!("{:?}", app.concerns()) };
    assert!(ours.starts_with("keys of Daypass's own that have worked for too long: "), "{ours}");
}

/// A use is kept until the store has it, and the next process begins with what it has.
#[tokio::test]
async fn a_use_that_is_not_written_stays_due() {
    let (world, clock, store) = (world(), Arc::new(FixedClock::new(START)), Arc::new(MemoryStore::new()));
    fill(&*store, &world).await;
    let record = super::change_at(START, None, "test.ring", "ring");
    store.change(vec![Change::PutRing(ring_rows())], record).await.unwrap();
    let app = node(Opened::for_test(store.clone(), ring(), kek()), &world, &clock, 1).await;
    let key = world.keys.iter().find(|key| key.kind == KeyKind::ClientSecret).unwrap().id.clone();
    let body = format!(
        "grant_type=client_credentials&client_id={}&client_secret=secret+of+{key}&scope={RESOURCE}%2F.default",
        world.client.guid
    );
    let form = ("content-type", "application/x-www-form-urlencoded");
    let target = format!("/{ACME}/oauth2/v2.0/token");
    let directory = app.directory();
    let asked = request("POST", &target, &[("host", "t"), form], body.as_bytes());
    let answer = app.setup().pipeline.answer(&Entra, &directory, asked).await;
    assert!(answer.summary.result.is_ok(), "{:?}", answer.summary);

    let pipeline = app.setup().pipeline.clone();
    let due = || pipeline.uses().due();
    assert_eq!(due(), [(key.clone(), START)]);
    store.go_down();
    app.note_uses(due()).await;
    assert_eq!(due().len(), 1, "the store has not got it");
    store.come_back();
    app.note_uses(due()).await;
    assert_eq!((due(), store.uses().await.unwrap()), (vec![], vec![(key, START)]));
}
