//! Credentials of a cloud, kept and shared under a contract of freshness:
//!
//! 1. nothing is handed out with less than the role's `min_remaining` of life;
//! 2. for one thing there is one question at a time, on all nodes together, whatever the number of askers;
//! 3. those who wait are bounded and share the error, and nobody storms a cloud that failed: pauses with jitter, the cloud's
//!    `Retry-After`, a budget of calls for each root key;
//! 4. the next one is asked for ahead of need; a valid one is handed out while the cloud fails; a late old answer never
//!    replaces a newer one;
//! 5. two subjects never share a credential unless the role says so, and then the record says so.
//!
//! What is one thing says `place`; what is kept of it, `sheet`; who waits for whom, `flight` on this node and `errand` among
//! all.

mod budget;
mod errand;
mod flight;
mod memory;
mod pause;
mod place;
mod question;
mod retries;
mod sheet;
#[cfg(test)]
mod tests;

pub use budget::Budgets;

use crate::cloud::Cloud;
use crate::fault::{Fault, FaultKind};
use crate::tally::{HandedOut, Tally};
use async_trait::async_trait;
use budget::Call;
use daypass_core::caller::Confirmation;
use daypass_core::clock::{Clock, Timestamp, after};
use daypass_core::credential::Brokered;
use daypass_core::directory::Directory;
use daypass_core::id::{Draw, Entropy};
use daypass_core::issuer::{Issued, Issuer};
use daypass_core::policy::Authorized;
use daypass_core::refusal::{Reason, Refusal};
use daypass_core::store::Store;
use daypass_core::upstream::RootKey;
use errand::Errand;
use flight::{Ended, Flights};
use memory::{Kept, Memory, Trouble};
use question::{Question, Verdict};
use retries::Retries;
use sheet::Sheet;
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

/// How often a request looks again when what others were given is not for it: after one look, the question is its own.
const ATTEMPTS: usize = 3;

/// Where a new token kills the old one, what another node got counts here within this many milliseconds.
const SURE: i64 = 500;

/// The issuer of one cloud's credentials.
pub struct Cached(Arc<Shop>);

/// What requests and the questions on their behalf share.
struct Shop {
    cloud: Arc<dyn Cloud>,
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    node: Uuid,
    tally: Arc<Tally>,
    budgets: Budgets,
    memory: Memory,
    flights: Flights,
    retries: Retries,
}

/// What is handed out, and how it came.
struct Handed {
    sheet: Box<Sheet>,
    kept: Kept,
    way: HandedOut,
}

impl Cached {
    /// An issuer of what this cloud gives. `node` tells this process from all others that use the store, and is another one
    /// after each start; `tally` counts what happens, for whoever shows it.
    pub fn new(
        cloud: Arc<dyn Cloud>,
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        node: Uuid,
        tally: Arc<Tally>,
    ) -> Self {
        Self::sharing(Budgets::default(), cloud, store, clock, entropy, node, tally)
    }

    /// The same, with budgets that other issuers of the same root keys draw on as well.
    pub fn sharing(
        budgets: Budgets,
        cloud: Arc<dyn Cloud>,
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        node: Uuid,
        tally: Arc<Tally>,
    ) -> Self {
        Self(Arc::new(Shop {
            cloud,
            store,
            clock,
            entropy,
            node,
            tally,
            budgets,
            memory: Memory::default(),
            flights: Flights::default(),
            retries: Retries::default(),
        }))
    }

    /// What is counted.
    pub fn tally(&self) -> &Arc<Tally> {
        &self.0.tally
    }
}

#[async_trait]
impl Issuer for Cached {
    async fn issue(
        &self,
        directory: &Directory,
        authorized: &Authorized,
        draw: &Draw,
    ) -> Result<Issued, Refusal> {
        let shop = &self.0;
        cannot_be_bound(authorized)?;
        let question = Question::of(directory, shop.cloud.upstream(), authorized)?;
        let request = draw.repeats().then(|| draw.bytes::<16>("brokered"));
        let known = request.and_then(|request| shop.again(&question, &request));
        let handed = if let Some(handed) = known {
            handed
        } else {
            let handed = shop.find(&question).await?;
            if let Some(request) = request {
                let fresh = handed.way == HandedOut::Fresh;
                shop.retries.keep(request, handed.kept.clone(), fresh, shop.clock.now());
            }
            handed
        };
        shop.tally.hand_out(handed.way);
        shop.issued(handed, authorized, draw)
    }
}

/// A token of another service is bound to no key of the asker's, and must not be given as one that is.
fn cannot_be_bound(authorized: &Authorized) -> Result<(), Refusal> {
    match authorized.confirmation() {
        Some(Confirmation::Key(_)) => Err(Refusal::new(
            Reason::DpopInvalid,
            "another service makes this token, and cannot bind it to a key; ask without a DPoP proof",
        )),
        _ => Ok(()),
    }
}

impl Shop {
    /// What the same request was given a moment ago.
    fn again(&self, question: &Question<'_>, request: &retries::Request) -> Option<Handed> {
        let now = self.clock.now();
        let (kept, fresh) = self.retries.find(request, now)?;
        match question.judge(&kept, now) {
            Verdict::Good(sheet) => {
                let way = if fresh { HandedOut::Fresh } else { HandedOut::Kept };
                Some(Handed { sheet, kept, way })
            }
            Verdict::Over | Verdict::Unwanted { .. } => None,
        }
    }

    /// What this request is to have: what is kept, what others wait for, or what the cloud gives.
    async fn find(self: &Arc<Self>, question: &Question<'_>) -> Result<Handed, Refusal> {
        for _ in 0..ATTEMPTS {
            let now = self.clock.now();
            let (kept, trouble) = self.memory.look(&question.place);
            let mut unwanted = (0, 0);
            if let Some(kept) = kept {
                match question.judge(&kept, now) {
                    Verdict::Good(sheet) if self.is_sure(&kept, now) => {
                        self.ask_ahead(question, &sheet, trouble.as_ref(), now);
                        let troubled = trouble.is_some_and(|trouble| trouble.count > 0);
                        let way = if troubled { HandedOut::Stale } else { HandedOut::Kept };
                        return Ok(Handed { sheet, kept, way });
                    }
                    Verdict::Unwanted { doubted } => unwanted = (kept.turn, doubted),
                    Verdict::Good(_) | Verdict::Over => (),
                }
            }
            // Where only the store was to be asked, what is kept there is good in spite of a pause.
            if let Some(trouble) = trouble.filter(|trouble| trouble.lasts(now))
                && !place::one_live(self.cloud.upstream())
            {
                return Err(self.told(&trouble, now));
            }
            if let Some(handed) = self.wait(question, unwanted).await? {
                return Ok(handed);
            }
        }
        let fault = Fault::new(FaultKind::Wrong, "what the cloud gives is taken back as soon as it comes");
        Err(fault.refusal(&self.cloud.upstream().name, 1))
    }

    /// Waits for the question that is under way, or asks. None if what came is not for this request.
    async fn wait(
        self: &Arc<Self>,
        question: &Question<'_>,
        unwanted: (u64, u8),
    ) -> Result<Option<Handed>, Refusal> {
        let (waiter, begun) = if let Some(waiter) = self.flights.join(&question.place) {
            (waiter?, false)
        } else {
            let errand = self.errand(question, unwanted, None)?;
            self.flights.start(question.place, errand.run())?
        };
        let ended = waiter.answer().await?;
        let now = self.clock.now();
        match ended {
            Ended::Got { kept, asked } => Ok(match question.judge(&kept, now) {
                Verdict::Good(sheet) => {
                    let (_, trouble) = self.memory.look(&question.place);
                    self.ask_ahead(question, &sheet, trouble.as_ref(), now);
                    let way = way_of(begun, asked, trouble.is_some_and(|trouble| trouble.count > 0));
                    Some(Handed { sheet, kept, way })
                }
                Verdict::Over | Verdict::Unwanted { .. } => None,
            }),
            Ended::Failed(trouble) => Err(self.told(&trouble, now)),
            Ended::NoStore(error) => Err(Refusal::unavailable(error)),
        }
    }

    /// Asks for the next one while this one still lasts. Nobody waits for it, so it takes no turn in a pause and none
    /// beyond the budget.
    fn ask_ahead(
        self: &Arc<Self>,
        question: &Question<'_>,
        sheet: &Sheet,
        trouble: Option<&Trouble>,
        now: Timestamp,
    ) {
        if !sheet.ages(question.least, now)
            || trouble.is_some_and(|trouble| trouble.lasts(now))
            || self.flights.flies(&question.place)
        {
            return;
        }
        // A root key that does not open, or an ask that has become too long for the cloud, is told to whoever asks when the
        // kept one has run out.
        let Ok(key) = self.root_key(question.directory) else { return };
        let budget = self.cloud.upstream().budget;
        let Ok((call, _)) = self.budgets.take(&key.id, budget, Duration::ZERO, now) else { return };
        if let Ok(errand) = self.errand(question, (sheet.turn, 0), Some(call)) {
            // As many questions as may be are under way: the next request tries again.
            let _ = self.flights.start(question.place, errand.run());
        }
    }

    /// Everything that a question to the cloud needs. What is not wanted any more is named by its turn, and with how many
    /// in a row were found refused.
    fn errand(
        self: &Arc<Self>,
        question: &Question<'_>,
        (beyond, doubted): (u64, u8),
        call: Option<Call>,
    ) -> Result<Errand, Refusal> {
        let authorized = question.authorized;
        Ok(Errand {
            shop: self.clone(),
            place: question.place,
            ring: question.directory.ring().clone(),
            wanted: self.cloud.wanted(authorized)?,
            key: self.root_key(question.directory)?,
            least: question.least,
            beyond,
            doubted,
            client_key: authorized.key().map(str::to_owned),
            endpoint: authorized.endpoint().to_owned(),
            call,
        })
    }

    fn root_key(&self, directory: &Directory) -> Result<Arc<RootKey>, Refusal> {
        let upstream = self.cloud.upstream();
        let why = match directory.root_key(upstream) {
            Ok(Some(key)) => return Ok(key),
            Ok(None) => "the store has no active root key for it".to_owned(),
            Err(fault) => format!("its root key: {fault}"),
        };
        self.tally.not_called(FaultKind::NoKey);
        Err(Fault::new(FaultKind::NoKey, why).refusal(&upstream.name, 1))
    }

    /// Whether what this node remembers is what all nodes have, near enough. Only a token that dies with the next one must
    /// be.
    fn is_sure(&self, kept: &Kept, now: Timestamp) -> bool {
        let age = now.as_millisecond().saturating_sub(kept.seen.as_millisecond());
        !place::one_live(self.cloud.upstream()) || (0..=SURE).contains(&age)
    }

    fn told(&self, trouble: &Trouble, now: Timestamp) -> Refusal {
        trouble.fault.refusal(&self.cloud.upstream().name, trouble.again(now))
    }

    fn issued(&self, handed: Handed, authorized: &Authorized, draw: &Draw) -> Result<Issued, Refusal> {
        let Handed { mut sheet, way, .. } = handed;
        let upstream = self.cloud.upstream();
        // What everybody has may live longer than this role gives. It was asked for at whatever lifetime is the cloud's own.
        let longest =
            if place::one_live(upstream) { after(draw.at(), authorized.lifetime()) } else { sheet.expires };
        let (issued, expires) = (sheet.issued, sheet.expires.min(longest));
        let brokered = Brokered {
            issuer: upstream.name.clone(),
            key: std::mem::take(&mut sheet.root),
            obtained: sheet.obtained,
            request: sheet.request.take(),
            kept: way != HandedOut::Fresh,
            shared: place::shared(upstream, authorized),
        };
        let (policy, answer) = (sheet.policy.take(), std::mem::take(&mut sheet.answer));
        let other = || Refusal::internal("a credential of another form was kept");
        let credential = sheet.credential(authorized.form()).ok_or_else(other)?;
        Ok(Issued { credential, issued, expires, brokered: Some(brokered), policy, answer })
    }
}

/// How what a question came to is handed out: whoever had it asked, and got an answer of the cloud's, has a fresh one.
fn way_of(begun: bool, asked: bool, troubled: bool) -> HandedOut {
    match (begun, asked) {
        (true, true) => HandedOut::Fresh,
        (_, false) if troubled => HandedOut::Stale,
        (true, false) => HandedOut::Kept,
        (false, _) => HandedOut::Waited,
    }
}
