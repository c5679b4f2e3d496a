//! One call for any number of nodes, and what each of them knows from it.

use super::{AGAIN, SOONER};
use crate::app::roots::Roots;
use crate::app::{Ambient, App, Opened, change_at};
use crate::roots::tests::{Fake, key, upstream};
use daypass_core::clock::{Timestamp, after};
use daypass_core::record::Event;
use daypass_core::root::{RootRow, RootState, Slot};
use daypass_core::store::{Change, Store as _};
use daypass_core::testing::{FixedClock, MemoryStore, START, SeededEntropy, World, kek, ring, ring_rows};
use daypass_core::upstream::{RootSource, Upstream};
use daypass_issuers::fault::FaultKind;
use std::sync::Arc;

fn texts(app: &App) -> Vec<String> {
    app.concerns().into_iter().map(|concern| concern.text).collect()
}

struct Site {
    store: Arc<MemoryStore>,
    clock: Arc<FixedClock>,
    cloud: Arc<Fake>,
}

impl Site {
    async fn new() -> Self {
        let store = Arc::new(MemoryStore::new());
        let record = change_at(START, None, "test.begin", "ring");
        store.change(vec![Change::PutRing(ring_rows())], record).await.unwrap();
        Self { store, clock: Arc::new(FixedClock::new(START)), cloud: Fake::new(upstream()) }
    }

    async fn node(&self, seed: u64) -> App {
        self.node_of(seed, upstream(), &self.cloud).await
    }

    async fn node_of(&self, seed: u64, upstream: Upstream, cloud: &Arc<Fake>) -> App {
        let opened = Opened::for_test(self.store.clone(), ring(), kek());
        let entropy = Arc::new(SeededEntropy::new(seed));
        let ambient = Ambient { clock: self.clock.clone(), entropy: entropy.clone() };
        let mut plan = World::new().plan;
        plan.upstreams = vec![Arc::new(upstream)];
        let app = App::build(opened, plan, ambient).await.unwrap();
        let mut app = Arc::into_inner(app).unwrap();
        app.roots = Roots::new(&*entropy);
        app.put_clouds(vec![cloud.clone()]);
        app
    }

    /// Puts this key where calls are made from.
    async fn put(&self, id: &str, expires: Option<Timestamp>) {
        let row = RootRow::stage(&ring(), &SeededEntropy::new(9), "main", Slot::A, &key(id), expires, START);
        let row = RootRow { state: RootState::Active, ..row.unwrap() };
        let old = self.store.roots().await.unwrap();
        let change = Change::SwapRoots { old, new: vec![row] };
        self.store.change(vec![change], change_at(START, None, "test.put", id)).await.unwrap();
    }

    fn pass(&self, seconds: i64) {
        self.clock.advance(seconds * 1000);
    }

    fn warnings(&self) -> Vec<String> {
        let one = |event| match event {
            Event::Warning { warning, object, days, detail } => {
                Some(format!("{warning} {object} {days} {}", detail.unwrap_or_default()))
            }
            _ => None,
        };
        self.store.all().into_iter().filter_map(|record| one(record.event)).collect()
    }
}

fn taken(app: &App) -> Option<bool> {
    app.roots_taken().first().map(|(_, taken)| *taken)
}

#[tokio::test]
async fn of_many_nodes_one_asks_and_all_know() {
    let site = Site::new().await;
    site.put("AKIDone", None).await;
    let nodes = [site.node(1).await, site.node(2).await, site.node(3).await];
    for _ in 0..3 {
        for node in &nodes {
            node.try_roots().await.unwrap();
        }
    }
    assert_eq!(site.cloud.asked(), ["AKIDone:s3cret-AKIDone"]);
    assert_eq!(nodes.iter().map(taken).collect::<Vec<_>>(), [Some(true); 3]);
    site.pass(AGAIN - 1);
    nodes[1].try_roots().await.unwrap();
    assert!(site.cloud.asked().is_empty());
    site.pass(1);
    for node in &nodes {
        node.try_roots().await.unwrap();
    }
    assert_eq!(site.cloud.asked().len(), 1, "once a day");
    let late = site.node(4).await;
    late.try_roots().await.unwrap();
    assert!(site.cloud.asked().is_empty(), "a restart asks nothing that is known");
    assert_eq!(taken(&late), Some(true));
}

#[tokio::test]
async fn a_key_that_is_not_taken_is_said_everywhere_and_tried_again_soon() {
    let site = Site::new().await;
    site.put("AKIDone", None).await;
    let (one, other) = (site.node(1).await, site.node(2).await);
    site.cloud.says([FaultKind::KeyRefused, FaultKind::Late]);
    for app in [&one, &other] {
        app.try_roots().await.unwrap();
        assert_eq!(taken(app), Some(false));
        let concern = "clouds behind it that have no root key of ours, or do not answer it: 1";
        assert_eq!(texts(app), [concern]);
    }
    assert_eq!(site.warnings(), ["root.refused main AKIDone 0 key_refused: as a test wants"]);
    site.pass(SOONER);
    one.try_roots().await.unwrap();
    assert_eq!(taken(&one), Some(false));
    assert_eq!(site.warnings().len(), 1, "one record for a trouble that goes on");
    site.pass(SOONER);
    other.try_roots().await.unwrap();
    one.try_roots().await.unwrap();
    assert_eq!(site.cloud.asked().len(), 3);
    assert_eq!((taken(&one), taken(&other)), (Some(true), Some(true)), "no restart is needed");
    assert!(one.concerns().is_empty());
    // The next trouble is another one.
    site.pass(AGAIN);
    site.cloud.says([FaultKind::Unreached]);
    one.try_roots().await.unwrap();
    assert_eq!(site.warnings().len(), 2);
}

#[tokio::test]
async fn another_key_is_tried_as_soon_as_it_counts() {
    let site = Site::new().await;
    let app = site.node(1).await;
    app.try_roots().await.unwrap();
    assert_eq!(taken(&app), Some(false), "there is none");
    assert_eq!(app.concerns().len(), 1);
    for id in ["AKIDone", "AKIDtwo"] {
        site.put(id, None).await;
        app.hear().await.unwrap();
        app.try_roots().await.unwrap();
        assert_eq!(site.cloud.asked(), [format!("{id}:s3cret-{id}")]);
        assert_eq!(taken(&app), Some(true));
    }
}

/// An Entra client keeps its id when its secret is changed.
#[tokio::test]
async fn another_secret_under_one_id_is_another_key() {
    let site = Site::new().await;
    let configured = |secret: &str| {
        let mut key = key("client");
        key.proof =
            daypass_core::upstream::RootProof::Secret(Arc::new(daypass_core::secret::Secret::new(secret)));
        Upstream { root: RootSource::Configured(Arc::new(key)), ..upstream() }
    };
    for (seed, secret) in [(1, "old"), (2, "old"), (3, "new")] {
        let cloud = Fake::new(configured(secret));
        let app = site.node_of(seed, configured(secret), &cloud).await;
        app.try_roots().await.unwrap();
        assert_eq!(taken(&app), Some(true));
        assert_eq!(cloud.asked().len(), usize::from(seed != 2), "{seed}");
    }
}

#[tokio::test]
async fn while_the_store_is_away_no_cloud_is_asked() {
    let site = Site::new().await;
    site.put("AKIDone", None).await;
    let app = site.node(1).await;
    site.store.go_down();
    assert!(app.try_roots().await.is_err());
    assert!(site.cloud.asked().is_empty());
    site.store.come_back();
    app.try_roots().await.unwrap();
    assert_eq!(taken(&app), Some(true));
}

/// Whoever can write to the store can make a key look untried, and no more.
#[tokio::test]
async fn a_word_is_believed_in_its_place_alone() {
    use super::Word;
    let word = Word { at: START, fault: None, noted: None };
    let sealed = word.seal(&ring(), &SeededEntropy::new(4), &[1; 16]).unwrap();
    assert_eq!(Word::open(&ring(), &[1; 16], &sealed), Some(word));
    assert_eq!(Word::open(&ring(), &[2; 16], &sealed), None);
    let mut changed = sealed.to_vec();
    *changed.last_mut().unwrap() ^= 1;
    assert_eq!(Word::open(&ring(), &[1; 16], &changed), None);
}

#[tokio::test]
async fn the_end_of_a_root_key_is_announced_once_by_all_nodes() {
    const DAY: u32 = 86_400;
    let site = Site::new().await;
    site.put("AKIDone", Some(after(START, 40 * DAY))).await;
    let (one, other) = (site.node(1).await, site.node(2).await);
    let mut said = 0;
    for day in 0..41 {
        site.clock.set(after(START, day * DAY));
        said += one.announce_root_ends().await.unwrap() + other.announce_root_ends().await.unwrap();
    }
    let expected = [30, 14, 7, 1].map(|days| format!("root.expires main a AKIDone {days} "));
    assert_eq!(site.warnings(), expected);
    assert_eq!(said, 4);
    assert_eq!(texts(&one), ["root keys that end within 7 days: 1"]);
}
