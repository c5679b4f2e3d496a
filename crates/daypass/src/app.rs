//! The parts put together: store, ring, directory, issuers and pipeline.

mod counted;
mod health;
mod idle;
mod issuers;
mod opened;
mod prune;
mod readiness;
mod records;
mod reloads;
mod roots;
mod setup;
mod upkeep;
mod view;

pub(crate) use opened::Opened;
pub(crate) use reloads::Reloads;
pub(crate) use setup::{Prepared, Settings, Setup, View};

use crate::identity::Outbound;
use crate::metrics::Counts;
use crate::records::Keeper;
use crate::rotation;
use crate::server::{Balancers, Gate};
use crate::system::{self, KeyEntropy, RequestEntropy, SystemClock};
use arc_swap::ArcSwap;
use daypass_core::clock::{Clock, Timestamp, rfc3339};
use daypass_core::contents::Contents;
use daypass_core::directory::{Directory, Plan};
use daypass_core::expiry;
use daypass_core::id::{Entropy, uuid_v7};
use daypass_core::pipeline::Pipeline;
use daypass_core::record::{Entry, Record};
use daypass_core::replay::Mark;
use daypass_core::reseal;
use daypass_core::ring::{Age, Kek, Purpose, Ring, Stage};
use daypass_core::store::{Spent, StoreError};
pub(crate) use health::Health;
use issuers::Issuers;
use parking_lot::Mutex;
pub(crate) use readiness::{Check, Report, State};
use roots::Roots;
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::time::Duration;
use upkeep::Upkeep;
use uuid::Uuid;

/// How often the store is asked whether something changed. A change made by another process is in force after
/// at most this plus the time of one reload.
const REFRESH: Duration = Duration::from_millis(100);
/// How often refused strangers are written down.
const STRANGERS: Duration = Duration::from_secs(1);
/// How often it is asked whether a key of ours takes its next step. Verifiers are told when that will be, to the second.
const ROTATE: Duration = Duration::from_secs(1);
/// How long to wait after a step that failed.
const ROTATE_AGAIN: Duration = Duration::from_secs(30);
/// Seconds between two warnings about one old key.
const DAY: i64 = 86_400;
/// How long the store may be silent before this node is not ready any more, in seconds. A node that cannot hear
/// of a revocation must not go on for long.
const STALE: i64 = 30;
/// How often the last uses of keys are written, where there is something to write.
const USES: Duration = Duration::from_secs(1);
/// How often it is looked whether a client's key ends soon.
const LOOK_AHEAD: Duration = Duration::from_hours(1);

/// What a record of an end that comes near is called.
const KEY_EXPIRES: &str = "key.expires";

/// The present to the millisecond, which is what the store keeps.
pub(crate) fn now() -> Timestamp {
    let now = SystemClock.now();
    Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now)
}

/// The record of a change made here and now.
pub(crate) fn change(tenant: Option<&str>, action: &str, object: &str) -> Record {
    change_at(now(), tenant, action, object)
}

/// The record of a change made at this time.
pub(crate) fn change_at(now: Timestamp, tenant: Option<&str>, action: &str, object: &str) -> Record {
    Record::change(record_id(now), now, tenant.map(str::to_owned), action, object)
}

/// The record of something that needs an operator, found by a command.
pub(crate) fn trouble(warning: &str, object: &str, detail: &str) -> Record {
    let now = now();
    Record::trouble(record_id(now), now, warning, object, detail)
}

fn record_id(now: Timestamp) -> Uuid {
    let mut random = [0; 10];
    RequestEntropy.fill(&mut random);
    uuid_v7(now, random)
}

/// Time and randomness, handed in so that a test can choose them.
pub(crate) struct Ambient {
    /// The present.
    pub(crate) clock: Arc<dyn Clock>,
    /// What requests draw from.
    pub(crate) entropy: Arc<dyn Entropy>,
}

impl Ambient {
    /// The real ones.
    pub(crate) fn system() -> Self {
        Self { clock: Arc::new(SystemClock), entropy: Arc::new(RequestEntropy) }
    }
}

/// Everything that answers requests.
pub(crate) struct App {
    /// What requests see now. It is replaced whole, by whoever holds `reading`.
    view: ArcSwap<View>,
    pub(crate) ambient: Ambient,
    /// How many requests ended in which way.
    pub(crate) counts: Counts,
    /// What became of reloads of the configuration.
    pub(crate) reloads: Reloads,
    /// What is known of our root keys at those clouds.
    roots: Roots,
    /// How many requests are worked on at one time, and whose.
    pub(crate) gate: Arc<Gate>,
    /// What goes wrong with balancers in front.
    pub(crate) balancers: Arc<Balancers>,
    /// What this process is called where nodes count together.
    node: Uuid,
    opened: Opened,
    health: Health,
    upkeep: Upkeep,
    keeper: Keeper,
    /// Held while the next view is made: an older state must never take the place of a newer one.
    reading: tokio::sync::Mutex<()>,
    /// When the store was last heard, in seconds of two clocks: the one that everything goes by, and one that nobody sets. The
    /// first stands still while the machine's clock is behind its mark, and by it alone no silence would be noticed then.
    heard: AtomicI64,
    heard_passed: AtomicI64,
    warned: AtomicI64,
    /// How many keys of clients end within [`expiry::URGENT`] days.
    ending: AtomicUsize,
    /// The announcements that this process knows to be made, by it or by another: it does not ask the store again.
    announced: Mutex<HashSet<Mark>>,
}

impl App {
    /// Puts the parts together.
    pub(crate) async fn build(
        opened: Opened,
        settings: impl Into<Settings>,
        ambient: Ambient,
    ) -> anyhow::Result<Arc<Self>> {
        let Settings { plan, proxies, records, digest } = settings.into();
        let health = Health::begin(ambient.clock, &*opened.store).await?;
        let ambient = Ambient { clock: health.clock().clone(), entropy: ambient.entropy };
        let issuers = Issuers::of(&plan, &opened.store, &ambient)?;
        let Ambient { clock, entropy } = &ambient;
        let identity = Arc::new(Outbound::new(&plan, clock, &KeyEntropy)?);
        let (all, store) = (issuers.all.clone(), opened.store.clone());
        let pipeline = Pipeline::new(clock.clone(), entropy.clone(), store, all, identity.clone());
        let directory = Arc::new(first(&opened, Arc::new(plan)).await?);
        let node = daypass_core::id::random_uuid(&KeyEntropy);
        counted::begin(&opened, &pipeline, node, ambient.clock.now()).await?;
        idle::point_out(&directory);
        health.judge_clock(&pipeline);
        let setup = Arc::new(Setup { pipeline, proxies, records, digest, issuers, identity });
        let now = ambient.clock.now();
        Ok(Arc::new(Self {
            view: ArcSwap::from_pointee(View { setup, directory }),
            reading: tokio::sync::Mutex::default(),
            heard: AtomicI64::new(now.as_second()),
            heard_passed: AtomicI64::new(system::passed().as_secs()),
            warned: AtomicI64::new(i64::MIN),
            ending: AtomicUsize::new(0),
            announced: Mutex::default(),
            ambient,
            counts: Counts::default(),
            reloads: Reloads::begun(now),
            roots: Roots::new(&KeyEntropy),
            gate: Arc::default(),
            balancers: Arc::default(),
            node,
            upkeep: Upkeep::new(&opened.ring),
            keeper: Keeper::new(),
            opened,
            health,
        }))
    }

    /// Whether this node hears the store.
    pub(crate) fn ready(&self) -> Result<(), &'static str> {
        if self.silence() <= STALE { Ok(()) } else { Err("the store is silent") }
    }

    /// What is known of the node itself.
    pub(crate) fn health(&self) -> &Health {
        &self.health
    }

    /// For how many seconds this node has not heard the store.
    pub(crate) fn silence(&self) -> i64 {
        let since = |now: i64, heard: &AtomicI64| now.saturating_sub(heard.load(Ordering::Relaxed));
        since(self.ambient.clock.now().as_second(), &self.heard)
            .max(since(system::passed().as_secs(), &self.heard_passed))
    }

    /// Counts the keys of clients that end soon. Not when somebody asks: there may be many keys, and the asking costs
    /// nothing.
    fn count_ending(&self) {
        let (directory, now) = (self.directory(), self.now());
        let ending = directory
            .ending_keys()
            .filter(|(client, key)| expiry::ends_within(client, key, expiry::URGENT, now))
            .count();
        self.ending.store(ending, Ordering::Relaxed);
    }

    /// Follows the store's changes, writes down refused strangers and uses of keys, rotates our keys, announces the ends
    /// of others', tries root keys and forgets old cut-offs, for as long as the process lives. Side by side: a store that
    /// takes no records must not keep us from hearing of a revocation.
    pub(crate) async fn background(self: Arc<Self>) {
        let _alive = self.health.alive();
        tokio::join!(
            self.look_after(),
            self.follow(),
            self.count(),
            self.note(),
            self.count_days(),
            self.rotate(),
            self.upkeep(),
            self.look_ahead(),
            self.prune(),
            self.canaries(),
            self.keeper.run(&self)
        );
    }

    async fn follow(&self) {
        let mut refresh = tokio::time::interval(REFRESH);
        refresh.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            refresh.tick().await;
            if let Err(error) = self.refresh().await {
                tracing::warn!(error = format!("{error:#}"), "cannot follow the store; trying again");
            }
        }
    }

    async fn count(&self) {
        let mut strangers = tokio::time::interval(STRANGERS);
        strangers.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            strangers.tick().await;
            self.setup().pipeline.record_strangers().await;
        }
    }

    async fn note(&self) {
        let mut turn = tokio::time::interval(USES);
        turn.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            turn.tick().await;
            self.note_uses(self.setup().pipeline.uses().due()).await;
        }
    }

    /// Writes when keys were last used. What is not written stays due.
    pub(crate) async fn note_uses(&self, uses: Vec<(String, Timestamp)>) {
        if uses.is_empty() {
            return;
        }
        match self.opened.store.note_uses(uses.clone()).await {
            Ok(()) => self.setup().pipeline.uses().stored(&uses),
            // Whoever asks for something is told that the store does not answer; this can wait.
            Err(error) => tracing::debug!(%error, "the last uses of keys are not written; trying again"),
        }
    }

    async fn look_ahead(&self) {
        let mut turn = tokio::time::interval(LOOK_AHEAD);
        turn.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            turn.tick().await;
            self.count_ending();
            for announced in [self.announce_ends().await, self.announce_root_ends().await] {
                if let Err(error) = announced {
                    tracing::error!(%error, "a key that ends soon cannot be written down; trying again in an hour");
                }
            }
        }
    }

    /// Announces the ends of clients' keys whose time has come and that no node has announced, in the log and in the
    /// records. Gives how many there were.
    pub(crate) async fn announce_ends(&self) -> Result<usize, StoreError> {
        let (directory, now) = (self.directory(), self.now());
        let mut announced = 0;
        for (client, key) in directory.ending_keys() {
            let Some(warning) = expiry::due(&client, &key, now) else { continue };
            let mark = warning.mark();
            if self.announced.lock().contains(&mark) {
                continue;
            }
            let spent = self.opened.store.spend(mark, warning.ends).await?;
            self.announced.lock().insert(mark);
            if spent == Spent::Before {
                continue;
            }
            announced += 1;
            let (tenant, name, ends) = (&*client.tenant, &*client.name, rfc3339(warning.ends));
            let days = warning.days;
            tracing::warn!(
                tenant,
                client = name,
                key = key.id,
                ends,
                "a client's key ends within {days} days"
            );
            let record =
                Record::warning(record_id(now), now, Some(client.tenant.clone()), KEY_EXPIRES, &key.id, days);
            let record = Record { client: Some(client.guid), key: Some(key.id.clone()), ..record };
            self.opened.store.append(Entry { record, mark: None }).await?;
        }
        Ok(announced)
    }

    /// The present, as the store keeps it.
    pub(crate) fn now(&self) -> Timestamp {
        let now = self.ambient.clock.now();
        Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now)
    }

    async fn rotate(&self) {
        let mut turn = tokio::time::interval(ROTATE);
        turn.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            turn.tick().await;
            self.point_out_old_keys();
            if let Err(error) = self.rotate_once().await {
                tracing::error!(
                    error = format!("{error:#}"),
                    "a key of ours cannot take its next step; trying again"
                );
                tokio::time::sleep(ROTATE_AGAIN).await;
            }
        }
    }

    /// Takes the step that is due the longest, if one is and no other node has taken it.
    pub(crate) async fn rotate_once(&self) -> anyhow::Result<Option<Stage>> {
        let directory = self.directory();
        let left = self.left().await?;
        let stage = rotation::next(&self.opened, &directory, &left, self.now()).await?;
        if stage.is_some() {
            // At once, so that what this node says of its keys is right without waiting for the next look.
            self.refresh().await?;
        }
        Ok(stage)
    }

    /// Says once a day which keys have worked for too long. They go on working: an old key is better than none.
    fn point_out_old_keys(&self) {
        let now = self.ambient.clock.now();
        if now.as_second().saturating_sub(self.warned.load(Ordering::Relaxed)) < DAY {
            return;
        }
        self.warned.store(now.as_second(), Ordering::Relaxed);
        for age in self.key_ages().iter().filter(|age| age.overdue) {
            let (key, days) = (age.stage.name(), age.seconds / 86_400);
            tracing::warn!(key, days, "a key has worked longer than it should; see `daypass ring list`");
        }
    }

    /// Looks at the store now, as a node does every hundred milliseconds.
    #[cfg(test)]
    pub(crate) async fn hear(&self) -> anyhow::Result<()> {
        self.refresh().await
    }

    /// How old each of our keys is now: what a gauge of key ages shows.
    pub(crate) fn key_ages(&self) -> Vec<Age> {
        let directory = self.directory();
        directory.rules().ages(directory.ring().stages(), self.ambient.clock.now())
    }

    /// Reads what the store has changed, if it has. When it returns, every change is in force here that was made before it
    /// was called.
    pub(crate) async fn refresh(&self) -> anyhow::Result<()> {
        let _reading = self.reading.lock().await;
        let version = self.opened.store.version().await?;
        self.heard.store(self.ambient.clock.now().as_second(), Ordering::Relaxed);
        self.heard_passed.store(system::passed().as_secs(), Ordering::Relaxed);
        let View { setup, directory: before } = &*self.view();
        if before.contents().version == version {
            return Ok(());
        }
        let contents = self.opened.store.contents(before.contents()).await?;
        let (kek, earlier) = (self.opened.kek.clone(), before.clone());
        // Beside the workers: what is much to read is much to put together.
        let put_together = move || -> anyhow::Result<Directory> {
            let same = contents.ring.is(&earlier.contents().ring);
            let ring = if same {
                earlier.ring().clone()
            } else {
                Arc::new(earlier.ring().follow(contents.ring.held(), &kek))
            };
            let contents = if ring.is_behind(Purpose::Rest) {
                reseal::keep_what_opens(&ring, earlier.contents(), contents)?
            } else {
                contents
            };
            Ok(earlier.next(ring, contents)?)
        };
        let directory = Arc::new(tokio::task::spawn_blocking(put_together).await??);
        self.view.store(Arc::new(View { setup: setup.clone(), directory: directory.clone() }));
        Self::point_out_unopened(before, &directory);
        if !directory.has_people_of(before) {
            self.count_ending();
        }
        let version = directory.contents().version;
        tracing::info!(version, "the store has changed; the change is in force");
        Ok(())
    }

    /// Writes what is pending and closes the store.
    pub(crate) async fn close(&self) {
        self.leave_mark().await;
        self.setup().pipeline.record_strangers().await;
        self.note_uses(self.setup().pipeline.uses().rest()).await;
        self.note_counts().await;
        self.keeper.finish(self).await;
        if let Err(error) = self.opened.store.close().await {
            tracing::error!(%error, "the store did not close cleanly");
        }
    }
}

fn open(contents: &Contents, kek: &Kek) -> anyhow::Result<Arc<Ring>> {
    Ok(Arc::new(Ring::open(contents.ring.held(), kek)?))
}

/// The first snapshot. However much there is to read, it is read: a node that gave up would never start.
async fn first(opened: &Opened, plan: Arc<Plan>) -> anyhow::Result<Directory> {
    let contents = opened.store.contents(&Contents::default()).await?;
    // Another node may have wrapped the ring again since the store was opened, by a seal key that this one was not given: the
    // operator is told which.
    let kek = opened.kek.fit(opened.store.seal().await?.as_ref(), contents.ring.held())?;
    // Not the ring that the store was opened with: another node may have rotated it meanwhile.
    let put_together =
        move || -> anyhow::Result<Directory> { Ok(Directory::of(plan, open(&contents, &kek)?, contents)?) };
    tokio::task::spawn_blocking(put_together).await?
}

#[cfg(test)]
mod tests;
