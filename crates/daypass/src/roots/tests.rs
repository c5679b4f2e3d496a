//! Each step with a cloud that answers as a test wants, and what the store and the records have afterwards.

use super::{Desk, NotTaken, drop_key};
use crate::app::{Ambient, Opened, change_at};
use async_trait::async_trait;
use daypass_core::clock::{Timestamp, after};
use daypass_core::policy::Authorized;
use daypass_core::record::Event;
use daypass_core::refusal::Refusal;
use daypass_core::root::{RootRow, RootState, Slot};
use daypass_core::secret::Secret;
use daypass_core::store::{Change, Store as _};
use daypass_core::testing::{FixedClock, MemoryStore, START, SeededEntropy, kek, ring, ring_rows};
use daypass_core::upstream::{
    Budget, Cloud as Kind, RootKey, RootProof, RootSource, TokenCall, TokenCarrier, Upstream,
};
use daypass_issuers::cloud::{Cloud, Fetched, Wanted};
use daypass_issuers::fault::{Fault, FaultKind};
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;

/// An issuer whose keys the store keeps.
pub(crate) fn upstream() -> Upstream {
    Upstream {
        name: "main".into(),
        cloud: Kind::Tencent { region: "ap-guangzhou".into(), unsigned_payload: false },
        url: "http://127.0.0.1:9".into(),
        ca: None,
        timeout_ms: 1_000,
        budget: Budget { per_second: 10, burst: 10 },
        account: None,
        root: RootSource::Stored,
    }
}

/// A cloud that answers canaries as it was told, and otherwise well.
pub(crate) struct Fake {
    upstream: Upstream,
    answers: Mutex<VecDeque<Fault>>,
    asked: Mutex<Vec<String>>,
}

impl Fake {
    pub(crate) fn new(upstream: Upstream) -> Arc<Self> {
        Arc::new(Self { upstream, answers: Mutex::default(), asked: Mutex::default() })
    }

    /// What it says to the next questions; `None` is well.
    pub(crate) fn says(&self, faults: impl IntoIterator<Item = FaultKind>) {
        self.answers.lock().extend(faults.into_iter().map(|kind| Fault::new(kind, "as a test wants")));
    }

    /// With which keys it was asked since this was last looked at: id and secret.
    pub(crate) fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.asked.lock())
    }
}

#[async_trait]
impl Cloud for Fake {
    fn upstream(&self) -> &Upstream {
        &self.upstream
    }

    fn wanted(&self, _: &Authorized) -> Result<Wanted, Refusal> {
        panic!("nothing is issued here")
    }

    async fn fetch(&self, _: &Wanted, _: &RootKey, _: Timestamp, _: [u8; 16]) -> Result<Fetched, Fault> {
        panic!("nothing is issued here")
    }

    async fn canary(&self, key: &RootKey, _: Timestamp, _: [u8; 16]) -> Result<Option<String>, Fault> {
        let RootProof::Secret(secret) = &key.proof else { panic!("a secret") };
        self.asked.lock().push(format!("{}:{}", key.id, secret.expose_str()));
        match self.answers.lock().pop_front() {
            Some(fault) if fault.kind == FaultKind::Budget => Ok(None),
            Some(fault) => Err(fault),
            None => Ok(Some("100000000001".into())),
        }
    }
}

/// A well answer among faults: no canary is refused for our own budget.
const WELL: FaultKind = FaultKind::Budget;

struct Site {
    store: Arc<MemoryStore>,
    opened: Opened,
    clock: Arc<FixedClock>,
    ambient: Ambient,
    cloud: Arc<Fake>,
}

impl Site {
    async fn new(upstream: Upstream) -> Self {
        let store = Arc::new(MemoryStore::new());
        let record = change_at(START, None, "test.begin", "ring");
        store.change(vec![Change::PutRing(ring_rows())], record).await.unwrap();
        let clock = Arc::new(FixedClock::new(START));
        Self {
            opened: Opened::for_test(store.clone(), ring(), kek()),
            store,
            ambient: Ambient { clock: clock.clone(), entropy: Arc::new(SeededEntropy::new(1)) },
            clock,
            cloud: Fake::new(upstream),
        }
    }

    fn desk(&self) -> Desk<'_> {
        Desk { opened: &self.opened, cloud: self.cloud.clone(), ambient: &self.ambient }
    }

    /// `a active AKIDone`, …
    async fn slots(&self) -> Vec<String> {
        let mut rows = self.store.roots().await.unwrap();
        rows.sort_by_key(|row| row.slot);
        let one = |row: RootRow| format!("{} {} {}", row.slot.name(), row.state.name(), row.id);
        rows.into_iter().map(one).collect()
    }

    /// What the records say was done, with why.
    fn done(&self) -> Vec<String> {
        let one = |record: daypass_core::record::Record| match record.event {
            Event::Change { action, object } if action.starts_with("root.") => Some(format!(
                "{action} {object}{}",
                record.why.map(|why| format!(": {why}")).unwrap_or_default()
            )),
            _ => None,
        };
        self.store.all().into_iter().filter_map(one).collect()
    }

    /// With a key in slot a that works and one in slot b that waits.
    async fn ready(upstream: Upstream) -> Self {
        let site = Self::new(upstream).await;
        site.desk().stage(&key("AKIDone"), None).await.unwrap();
        site.desk().promote().await.unwrap();
        site.desk().stage(&key("AKIDtwo"), None).await.unwrap();
        assert_eq!(site.slots().await, ["a active AKIDone", "b staged AKIDtwo"]);
        site.cloud.asked();
        site
    }
}

/// A key whose secret tells which it is.
pub(crate) fn key(id: &str) -> RootKey {
    RootKey { id: id.into(), proof: RootProof::Secret(Arc::new(Secret::new(format!("s3cret-{id}")))) }
}

fn refused(result: Result<impl Sized, NotTaken>) -> String {
    match result.err().unwrap() {
        NotTaken::Refused(why) => why,
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn a_rotation_has_no_gap_and_leaves_its_records() {
    let site = Site::ready(upstream()).await;
    let taken = site.desk().promote().await.unwrap();
    assert_eq!(site.slots().await, ["a standby AKIDone", "b active AKIDtwo"]);
    assert_eq!((taken.row.state, taken.row.proved), (RootState::Active, Some(START)));
    assert_eq!(taken.account.as_deref(), Some("100000000001"));
    assert_eq!(taken.before.unwrap().id, "AKIDone");
    assert_eq!(site.cloud.asked(), ["AKIDtwo:s3cret-AKIDtwo"; 2], "before and after");
    let back = site.desk().rollback(false).await.unwrap();
    assert_eq!(back.row.id, "AKIDone");
    assert_eq!(site.slots().await, ["a active AKIDone", "b standby AKIDtwo"]);
    assert_eq!(site.cloud.asked(), ["AKIDone:s3cret-AKIDone"]);
    drop_key(&*site.store, "main", None, false, START).await.unwrap();
    assert_eq!(site.slots().await, ["a active AKIDone"]);
    let done = site.done();
    assert_eq!(
        done,
        [
            "root.stage main a AKIDone",
            "root.promote main a AKIDone",
            "root.stage main b AKIDtwo",
            "root.promote main b AKIDtwo",
            "root.rollback main a AKIDone",
            "root.drop main b AKIDtwo",
        ]
    );
    let all = serde_json::to_string(&site.store.all()).unwrap();
    assert!(!all.contains("s3cret"), "no secret is recorded");
}

#[tokio::test]
async fn a_key_that_the_cloud_refuses_is_not_promoted() {
    let site = Site::ready(upstream()).await;
    for kind in [FaultKind::KeyRefused, FaultKind::Wrong, FaultKind::Unreached] {
        site.cloud.says([kind]);
        let fault = site.desk().promote().await.err().unwrap();
        assert!(matches!(&fault, NotTaken::Cloud(_, fault) if fault.kind == kind), "{fault}");
        assert_eq!(site.slots().await, ["a active AKIDone", "b staged AKIDtwo"], "{kind:?}");
    }
    assert_eq!(site.done().len(), 3, "what was not done is not recorded as done");
}

#[tokio::test]
async fn a_key_that_is_refused_once_it_counts_is_rolled_back_with_the_reason() {
    let site = Site::ready(upstream()).await;
    site.cloud.says([WELL, FaultKind::KeyRefused]);
    let fault = site.desk().promote().await.err().unwrap();
    assert!(matches!(&fault, NotTaken::RolledBack(fault) if fault.kind == FaultKind::KeyRefused), "{fault}");
    assert_eq!(site.slots().await, ["a active AKIDone", "b staged AKIDtwo"]);
    let rows = site.store.roots().await.unwrap();
    let two = rows.iter().find(|row| row.id == "AKIDtwo").unwrap();
    assert_eq!(two.proved, None, "what was proved of it is void");
    assert_eq!(
        site.done().last().unwrap(),
        "root.rollback main b AKIDtwo: key_refused: as a test wants",
        "the record says why"
    );
    site.desk().promote().await.unwrap();
    assert_eq!(site.slots().await, ["a standby AKIDone", "b active AKIDtwo"], "and it can be tried again");
}

#[tokio::test]
async fn the_first_key_that_is_refused_leaves_the_issuer_without_one() {
    let site = Site::new(upstream()).await;
    assert!(site.desk().is_first().await.unwrap());
    site.desk().stage(&key("AKIDone"), None).await.unwrap();
    assert!(!site.desk().is_first().await.unwrap());
    site.cloud.says([WELL, FaultKind::Down]);
    assert!(matches!(site.desk().promote().await, Err(NotTaken::RolledBack(_))));
    assert_eq!(site.slots().await, ["a staged AKIDone"]);
}

#[tokio::test]
async fn what_cannot_be_is_refused_with_the_way_out() {
    let site = Site::new(upstream()).await;
    assert_eq!(
        refused(site.desk().promote().await),
        "no root key of `main` is staged: daypass root-key stage main --from FILE"
    );
    assert_eq!(refused(site.desk().prove(None).await), "the store has no root key of `main`");
    assert_eq!(refused(site.desk().prove(Some(Slot::B)).await), "slot b of `main` is empty");
    assert!(refused(site.desk().rollback(false).await).contains("stands by"));
    let past = site.desk().stage(&key("AKIDold"), Some(START)).await;
    assert_eq!(refused(past), "the end of the key is in the past");
    let site = Site::ready(upstream()).await;
    let full = refused(site.desk().stage(&key("AKIDthree"), None).await);
    assert_eq!(
        full,
        "both slots of `main` are taken: slot a has `AKIDone` (active), slot b has `AKIDtwo` (staged); first: daypass \
         root-key drop main"
    );
    let active = drop_key(&*site.store, "main", Some(Slot::A), false, START).await;
    assert!(refused(active).contains("makes the calls"));
    assert_eq!(site.slots().await.len(), 2);
    drop_key(&*site.store, "main", None, false, START).await.unwrap();
    assert!(refused(drop_key(&*site.store, "main", None, false, START).await).contains("--force"));
    drop_key(&*site.store, "main", None, true, START).await.unwrap();
    assert!(site.slots().await.is_empty());
    assert!(refused(drop_key(&*site.store, "main", None, true, START).await).contains("no root key"));
}

/// The first key of an issuer is staged and promoted by one command, which may be killed between the two.
#[tokio::test]
async fn of_two_staged_keys_nobody_could_say_which_is_meant() {
    let site = Site::new(upstream()).await;
    site.desk().stage(&key("AKIDone"), None).await.unwrap();
    let second = refused(site.desk().stage(&key("AKIDtwo"), None).await);
    assert_eq!(
        second,
        "`AKIDone` is staged in slot a of `main` already: daypass root-key promote main, or, if it is not the right one, \
         daypass root-key drop main"
    );
    assert_eq!(site.slots().await, ["a staged AKIDone"]);
    drop_key(&*site.store, "main", None, false, START).await.unwrap();
    site.desk().stage(&key("AKIDtwo"), None).await.unwrap();
    site.desk().promote().await.unwrap();
    assert_eq!(site.slots().await, ["a active AKIDtwo"]);
}

#[tokio::test]
async fn an_ended_key_is_not_promoted_and_a_proof_is_noted() {
    let site = Site::ready(upstream()).await;
    site.clock.set(after(START, 60));
    let proved = site.desk().prove(None).await.unwrap();
    assert_eq!((&*proved.row.id, proved.row.proved), ("AKIDtwo", Some(after(START, 60))));
    assert_eq!(site.store.roots().await.unwrap().iter().filter(|row| row.proved.is_some()).count(), 2);
    assert_eq!(site.desk().prove(Some(Slot::A)).await.unwrap().row.id, "AKIDone");
    drop_key(&*site.store, "main", None, false, START).await.unwrap();
    site.desk().stage(&key("AKIDshort"), Some(after(START, 90))).await.unwrap();
    site.clock.set(after(START, 90));
    assert!(refused(site.desk().promote().await).starts_with("the staged key has ended on "));
}

/// Going back is for emergencies: it can be done while the cloud is away.
#[tokio::test]
async fn going_back_asks_unless_it_is_told_not_to() {
    let site = Site::ready(upstream()).await;
    site.desk().promote().await.unwrap();
    site.cloud.asked();
    site.cloud.says([FaultKind::Late]);
    assert!(matches!(site.desk().rollback(false).await, Err(NotTaken::Cloud(..))));
    assert_eq!(site.slots().await, ["a standby AKIDone", "b active AKIDtwo"]);
    site.cloud.asked();
    site.desk().rollback(true).await.unwrap();
    assert_eq!(site.slots().await, ["a active AKIDone", "b standby AKIDtwo"]);
    assert!(site.cloud.asked().is_empty());
}

/// Asking would end the token that everyone uses.
#[tokio::test]
async fn a_cloud_with_one_live_token_is_never_asked() {
    let call = TokenCall {
        carrier: TokenCarrier::Query,
        id: "appid".into(),
        secret: "secret".into(),
        parameters: [].into(),
        one_live: true,
    };
    let site = Site::ready(Upstream { cloud: Kind::OAuth(call), ..upstream() }).await;
    let taken = site.desk().promote().await.unwrap();
    assert_eq!((&*taken.row.id, taken.row.proved), ("AKIDtwo", None));
    site.desk().rollback(false).await.unwrap();
    assert!(site.cloud.asked().is_empty());
}

/// Of two operators at once, the second decided on what is not there any more.
#[tokio::test]
async fn a_step_that_was_decided_on_older_slots_is_a_conflict() {
    let site = Site::ready(upstream()).await;
    let stale: Vec<_> = site.store.roots().await.unwrap();
    site.desk().promote().await.unwrap();
    let record = change_at(START, None, "root.drop", "main");
    let late = site.store.change(vec![Change::SwapRoots { old: stale, new: vec![] }], record).await;
    assert!(matches!(late, Err(daypass_core::store::StoreError::Conflict(_))), "{late:?}");
    assert_eq!(site.slots().await.len(), 2);
}
