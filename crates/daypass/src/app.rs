//! The parts put together: store, ring, directory, issuers and pipeline.

use crate::identity::Outbound;
use crate::system::{KeyEntropy, RequestEntropy, SystemClock};
use anyhow::{Context as _, bail};
use arc_swap::ArcSwap;
use daypass_core::clock::{Clock, Timestamp};
use daypass_core::directory::{Directory, Plan};
use daypass_core::id::{Entropy, random_uuid, uuid_v7};
use daypass_core::issuer::Issuer;
use daypass_core::pipeline::Pipeline;
use daypass_core::record::{Chain, Record};
use daypass_core::ring::{Kek, Purpose, Ring, RingRow, RingState};
use daypass_core::store::{Change, Store, StoreError};
use daypass_issuers::local::Local;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use uuid::Uuid;

/// How often the store is asked whether something changed. A change made by another process is in force after
/// at most this plus the time of one reload.
const REFRESH: Duration = Duration::from_millis(100);
/// How often refused strangers are written down.
const STRANGERS: Duration = Duration::from_secs(1);
/// How long the store may be silent before this node is not ready any more, in seconds. A node that cannot hear
/// of a revocation must not go on for long.
const STALE: i64 = 30;

/// A store that was opened with its seal key, ready to be read and written.
pub(crate) struct Opened {
    /// Clients, keys, records.
    pub(crate) store: Arc<dyn Store>,
    /// Daypass's own keys.
    pub(crate) ring: Arc<Ring>,
    kek: Kek,
}

impl Opened {
    /// Opens a store to read. An empty one gets its ring here; one with data and another seal key is refused.
    pub(crate) async fn open(url: &str, seal_key: &[u8; 32]) -> anyhow::Result<Self> {
        let store = daypass_stores::open(url).with_context(|| format!("cannot open the store `{url}`"))?;
        let kek = Kek::new(seal_key)?;
        let mut rows = store.ring().await?;
        let missing: Vec<_> = Ring::missing(&rows).collect();
        if !missing.is_empty() {
            rows = complete(&*store, rows, &missing, &kek).await?;
        }
        let ring = Arc::new(Ring::open(&rows, &kek)?);
        Ok(Self { store, ring, kek })
    }

    /// Begins to write: this process's records have a chain of their own.
    pub(crate) async fn begin(&self) -> anyhow::Result<()> {
        Ok(self.store.begin(new_chain(&self.ring)?).await?)
    }
}

/// Makes the ring keys that are not there: all of them in an empty store, and in one that an older version has made,
/// those of newer purposes.
async fn complete(
    store: &dyn Store,
    mut rows: Vec<RingRow>,
    missing: &[Purpose],
    kek: &Kek,
) -> anyhow::Result<Vec<RingRow>> {
    let now = now();
    let one = |purpose: &Purpose| Ring::generate_one(kek, &KeyEntropy, now, *purpose, 1, RingState::Active);
    let made = missing.iter().map(one).collect::<Result<Vec<_>, _>>()?;
    rows.extend(made.iter().cloned());
    store.begin(new_chain(&Ring::open(&rows, kek)?)?).await?;
    let names: Vec<_> = missing.iter().map(|purpose| purpose.name()).collect();
    let record = change(None, "ring.generate", &names.join(" "));
    match store.change(vec![Change::AddRing(made)], record).await {
        // Another process has just done the same, and its keys are the ones that count.
        Ok(()) | Err(StoreError::Conflict(_)) => Ok(store.ring().await?),
        Err(fault) => Err(fault.into()),
    }
}

#[cfg(test)]
impl Opened {
    /// A store that a test has filled.
    pub(crate) fn for_test(store: Arc<dyn Store>, ring: Arc<Ring>, kek: Kek) -> Self {
        Self { store, ring, kek }
    }
}

fn new_chain(ring: &Ring) -> anyhow::Result<Chain> {
    Chain::begin(ring, random_uuid(&KeyEntropy)).context("the ring has no record key")
}

/// The present to the millisecond, which is what the store keeps.
pub(crate) fn now() -> Timestamp {
    let now = SystemClock.now();
    Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now)
}

/// The record of a change made here and now.
pub(crate) fn change(tenant: Option<&str>, action: &str, object: &str) -> Record {
    let now = now();
    let mut random = [0; 10];
    RequestEntropy.fill(&mut random);
    let id: Uuid = uuid_v7(now, random);
    Record::change(id, now, tenant.map(str::to_owned), action, object)
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
    pub(crate) pipeline: Pipeline,
    pub(crate) directory: ArcSwap<Directory>,
    pub(crate) ambient: Ambient,
    plan: Arc<Plan>,
    opened: Opened,
    heard: AtomicI64,
}

impl App {
    /// Puts the parts together.
    pub(crate) async fn build(opened: Opened, plan: Plan, ambient: Ambient) -> anyhow::Result<Arc<Self>> {
        let mut issuers: HashMap<String, Arc<dyn Issuer>> = HashMap::new();
        issuers.insert("local".to_owned(), Arc::new(Local::new()));
        if let Some(role) = plan.roles.iter().find(|role| !issuers.contains_key(&role.issuer)) {
            bail!("the role `{}` names the issuer `{}`, which does not exist", role.name, role.issuer);
        }
        let Ambient { clock, entropy } = &ambient;
        let identity = Arc::new(Outbound::new(&plan, clock, &KeyEntropy)?);
        let pipeline = Pipeline::new(clock.clone(), entropy.clone(), opened.store.clone(), issuers, identity);
        let plan = Arc::new(plan);
        let directory = read_directory(&*opened.store, opened.ring.clone(), plan.clone()).await?;
        Ok(Arc::new(Self {
            pipeline,
            directory: ArcSwap::from_pointee(directory),
            heard: AtomicI64::new(ambient.clock.now().as_second()),
            ambient,
            plan,
            opened,
        }))
    }

    /// Whether this node hears the store.
    pub(crate) fn ready(&self) -> Result<(), &'static str> {
        let silence = self.ambient.clock.now().as_second() - self.heard.load(Ordering::Relaxed);
        if silence <= STALE { Ok(()) } else { Err("the store is silent") }
    }

    /// Follows the store's changes and writes down refused strangers, for as long as the process lives. Side by side:
    /// a store that takes no records must not keep us from hearing of a revocation.
    pub(crate) async fn background(self: Arc<Self>) {
        tokio::join!(self.follow(), self.count());
    }

    async fn follow(&self) {
        let mut version = None;
        let mut refresh = tokio::time::interval(REFRESH);
        refresh.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            refresh.tick().await;
            match self.refresh(version).await {
                Ok(now) => version = now,
                Err(error) => {
                    tracing::warn!(error = format!("{error:#}"), "cannot follow the store; trying again");
                }
            }
        }
    }

    async fn count(&self) {
        let mut strangers = tokio::time::interval(STRANGERS);
        strangers.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            strangers.tick().await;
            self.pipeline.record_strangers().await;
        }
    }

    async fn refresh(&self, known: Option<u64>) -> anyhow::Result<Option<u64>> {
        // Read before the content, so that a change in between is seen at the next turn.
        let version = self.opened.store.version().await?;
        self.heard.store(self.ambient.clock.now().as_second(), Ordering::Relaxed);
        if known == Some(version) {
            return Ok(known);
        }
        let ring = Arc::new(Ring::open(&self.opened.store.ring().await?, &self.opened.kek)?);
        let directory = read_directory(&*self.opened.store, ring, self.plan.clone()).await?;
        self.directory.store(Arc::new(directory));
        if known.is_some() {
            tracing::info!(version, "the store has changed; the change is in force");
        }
        Ok(Some(version))
    }

    /// Writes what is pending and closes the store.
    pub(crate) async fn close(&self) {
        self.pipeline.record_strangers().await;
        if let Err(error) = self.opened.store.close().await {
            tracing::error!(%error, "the store did not close cleanly");
        }
    }
}

async fn read_directory(store: &dyn Store, ring: Arc<Ring>, plan: Arc<Plan>) -> anyhow::Result<Directory> {
    let (clients, keys, cutoffs) = (store.clients().await?, store.keys().await?, store.cutoffs().await?);
    Ok(Directory::new(plan, ring, clients, keys, cutoffs)?)
}
