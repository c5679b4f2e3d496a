//! A node that finds out that its clock, its disk or its store is not as it should be.

use super::FAILED;
use crate::app::{Ambient, App, Opened, State, change_at};
use daypass_core::clock::{Clock as _, SignedDuration, Timestamp, after, before};
use daypass_core::gate::Shut;
use daypass_core::refusal::Reason;
use daypass_core::room::Room;
use daypass_core::store::{Change, Store as _};
use daypass_core::testing::{
    ACME, FixedClock, MemoryStore, RESOURCE, START, SeededEntropy, World, kek, request, ring, ring_rows,
};
use daypass_dialects::entra::Entra;
use std::sync::Arc;

const MIB: u64 = 1 << 20;
const YEAR: u32 = 365 * 24 * 60 * 60;

struct Site {
    world: World,
    store: Arc<MemoryStore>,
    clock: Arc<FixedClock>,
}

impl Site {
    async fn new() -> Self {
        let (world, store) = (World::new(), Arc::new(MemoryStore::new()));
        let mut changes = vec![Change::PutRing(ring_rows()), Change::PutClient(world.client.clone())];
        changes.extend(world.keys.iter().cloned().map(Change::PutKey));
        store.change(changes, change_at(START, None, "test.begin", "world")).await.unwrap();
        Self { world, store, clock: Arc::new(FixedClock::new(START)) }
    }

    async fn node(&self) -> Arc<App> {
        let opened = Opened::for_test(self.store.clone(), ring(), kek());
        let ambient = Ambient { clock: self.clock.clone(), entropy: Arc::new(SeededEntropy::new(1)) };
        App::build(opened, self.world.plan.clone(), ambient).await.unwrap()
    }

    /// Asks for a token, and gives the reason of a refusal.
    async fn ask(&self, app: &App) -> Option<Reason> {
        let key = &self
            .world
            .keys
            .iter()
            .find(|key| key.kind == daypass_core::client::KeyKind::ClientSecret)
            .unwrap()
            .id;
        let body = format!(
            "grant_type=client_credentials&client_id={}&client_secret=secret+of+{key}&scope={RESOURCE}%2F.default",
            self.world.client.guid
        );
        let form = ("content-type", "application/x-www-form-urlencoded");
        let target = format!("/{ACME}/oauth2/v2.0/token");
        let asked = request("POST", &target, &[("host", "t"), form], body.as_bytes());
        let view = app.view();
        let answer = view.setup.pipeline.answer(&Entra, &view.directory, asked).await;
        answer.summary.result.err().map(|refusal| refusal.reason)
    }
}

async fn look(app: &App, seconds: i64) {
    app.look(SignedDuration::from_secs(seconds)).await;
}

fn state(app: &App, name: &str) -> State {
    app.report().states().into_iter().find(|(of, _)| *of == name).unwrap_or_else(|| panic!("no {name}")).1
}

fn ready(app: &App) -> bool {
    app.report().fault().is_none()
}

#[tokio::test]
async fn a_node_that_starts_behind_the_recorded_time_issues_nothing_until_the_time_is_right() {
    let site = Site::new().await;
    let first = site.node().await;
    look(&first, 0).await;
    assert_eq!((site.ask(&first).await, state(&first, "clock")), (None, State::Ok));
    assert_eq!(site.store.clock().await, Ok(Some(START)));

    site.clock.set(before(START, 10 * YEAR));
    let second = site.node().await;
    assert_eq!(site.ask(&second).await, Some(Reason::Unavailable), "from the first moment on");
    assert!(!ready(&second) && state(&second, "clock") == State::Fault);
    let records = site.store.all().len();
    look(&second, 1).await;
    assert_eq!(site.ask(&second).await, Some(Reason::Unavailable));
    assert_eq!(site.store.all().len(), records, "and what is refused for it is not recorded");
    assert_eq!(site.store.clock().await, Ok(Some(START)), "nor does the mark go back by itself");

    site.clock.set(after(START, 60));
    look(&second, 2).await;
    second.hear().await.unwrap();
    assert_eq!((site.ask(&second).await, ready(&second)), (None, true));
}

#[tokio::test]
async fn an_operator_can_say_that_the_recorded_time_was_wrong() {
    let site = Site::new().await;
    site.clock.set(after(START, 10 * YEAR));
    let app = site.node().await;
    look(&app, 0).await;
    site.clock.set(START);
    look(&app, 5).await;
    assert_eq!(site.ask(&app).await, Some(Reason::Unavailable));

    let accepted = after(START, 7);
    let record = change_at(START, None, "clock.accept", "test");
    site.store.change(vec![Change::SetClock(accepted)], record).await.unwrap();
    look(&app, 10).await;
    assert_eq!((site.ask(&app).await, ready(&app)), (None, true));
    assert_eq!(site.store.clock().await, Ok(Some(accepted)), "and it is not put forward again");
    assert_eq!(app.health().clock().now(), accepted);
}

#[tokio::test]
async fn what_was_over_stays_over_when_the_clock_goes_back_a_little() {
    let site = Site::new().await;
    let app = site.node().await;
    look(&app, 0).await;
    site.clock.set(after(START, 200));
    look(&app, 200).await;
    site.clock.set(START);
    assert_eq!(app.health().clock().now(), after(START, 200));
    assert_eq!((site.ask(&app).await, state(&app, "clock")), (None, State::Warning));
}

#[tokio::test]
async fn another_nodes_clock_that_runs_ahead_is_pointed_out_and_stops_nobody() {
    let site = Site::new().await;
    let app = site.node().await;
    look(&app, 0).await;
    site.store.note_clock(after(START, 3600)).await.unwrap();
    look(&app, 5).await;
    assert_eq!((site.ask(&app).await, state(&app, "clock")), (None, State::Warning));
    assert_eq!(app.health().clock().now(), START);
}

#[tokio::test]
async fn a_jump_ahead_is_pointed_out_and_not_written_down_until_it_lasts() {
    let site = Site::new().await;
    let app = site.node().await;
    look(&app, 0).await;
    site.clock.set(after(START, YEAR));
    look(&app, 5).await;
    assert_eq!(state(&app, "clock"), State::Warning);
    assert_eq!(site.store.clock().await, Ok(Some(after(START, 5))));
    look(&app, 700).await;
    assert_eq!(state(&app, "clock"), State::Ok);
    assert_eq!(site.store.clock().await, Ok(Some(after(START, YEAR))));
}

#[tokio::test]
async fn a_store_that_takes_nothing_is_noticed_though_nobody_asks_for_anything() {
    let site = Site::new().await;
    let app = site.node().await;
    look(&app, 0).await;
    assert_eq!(state(&app, "records"), State::Ok);
    site.store.go_down();
    for turn in 1..=FAILED {
        assert_eq!(state(&app, "records"), State::Ok, "before turn {turn}");
        look(&app, i64::from(turn) * 5).await;
    }
    assert!(!ready(&app) && state(&app, "records") == State::Fault);
    site.store.come_back();
    look(&app, 60).await;
    assert!(ready(&app));
}

#[tokio::test]
async fn while_the_disk_is_almost_full_nothing_is_issued_and_questions_are_answered() {
    let site = Site::new().await;
    let app = site.node().await;
    let room = |free| Some(Room { free: free * MIB, reserve: 16 * MIB, wanted: 16 * MIB });
    site.store.set_room(room(7));
    look(&app, 0).await;
    assert_eq!(site.ask(&app).await, Some(Reason::Unavailable));
    assert!(!ready(&app) && state(&app, "disk") == State::Fault);
    assert_eq!(app.setup().pipeline.gate().shut(), Some(Shut::Disk));
    site.store.set_room(room(20));
    look(&app, 5).await;
    assert_eq!((site.ask(&app).await, state(&app, "disk")), (None, State::Warning));
    site.store.set_room(room(200));
    look(&app, 10).await;
    assert_eq!(state(&app, "disk"), State::Ok);
}

#[tokio::test]
async fn what_runs_beside_requests_is_missed_when_it_ends() {
    let site = Site::new().await;
    let app = site.node().await;
    let background = tokio::spawn(app.clone().background());
    while app.health().found().descriptors.is_none() {
        tokio::task::yield_now().await;
    }
    assert!(app.health().live() && state(&app, "background") == State::Ok);
    background.abort();
    let _ = background.await;
    assert!(!app.health().live() && !ready(&app));
}

#[tokio::test]
async fn the_latest_time_is_left_for_the_next_process() {
    let site = Site::new().await;
    let app = site.node().await;
    look(&app, 0).await;
    site.clock.set(after(START, 3));
    look(&app, 3).await;
    app.close().await;
    let kept: Timestamp = site.store.clock().await.unwrap().unwrap();
    assert_eq!(kept, after(START, 3));
}
