//! One question to a cloud, from the wish to ask it to what everyone is told.
//!
//! Nodes agree through the store: whoever has the turn asks, the others look what came of it. A turn ends by itself when
//! its holder has died, and a late answer is recognised by its number.

use super::Shop;
use super::budget::{self, Call, whole_seconds};
use super::flight::Ended;
use super::memory::{Kept, Trouble};
use super::pause;
use super::sheet::Sheet;
use crate::cloud::{Fetched, Parts, Wanted};
use crate::fault::{Fault, FaultKind};
use daypass_core::clock::{Timestamp, after};
use daypass_core::dialect::Form;
use daypass_core::held::{Held, Turn, TurnEnd, Wish};
use daypass_core::replay::Mark;
use daypass_core::ring::Ring;
use daypass_core::root::{RootRow, RootState};
use daypass_core::upstream::{RootKey, RootSource};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

/// A holder that has not ended its turn this long after the cloud's own deadline, in milliseconds, is taken for dead.
const DEAD: u32 = 2_000;
/// A cloud that does not keep to its own deadline is given up this long after it.
const GRACE: Duration = Duration::from_millis(500);
/// How often a node looks what came of another one's turn. Those who wait get it within 50 ms of its coming, and a look
/// costs one read of one row.
const LOOK: Duration = Duration::from_millis(30);
/// Where the cloud takes longer than most, looks become rarer, up to this.
const LOOK_SELDOM: Duration = Duration::from_millis(250);
/// This many looks are made before they become rarer.
const LOOKS: u32 = 60;
/// How long a cold question waits for the root key's budget.
pub(super) const PATIENCE: Duration = Duration::from_secs(1);
/// How much longer than the credential its row is kept, in seconds: to a node whose clock is behind it still counts.
const SLACK: u32 = 60;

/// What is needed to ask, owned: it outlives the request that was first to need it.
pub(super) struct Errand {
    pub(super) shop: Arc<Shop>,
    pub(super) place: Mark,
    pub(super) ring: Arc<Ring>,
    pub(super) key: Arc<RootKey>,
    pub(super) wanted: Wanted,
    /// Seconds of life that it must have left.
    pub(super) least: u32,
    /// Only one of a later turn will do: that of this one is not wanted any more.
    pub(super) beyond: u64,
    /// How many in a row were given up because a caller found them refused.
    pub(super) doubted: u8,
    /// The key of the client that asks.
    pub(super) client_key: Option<String>,
    /// The path that it asks at.
    pub(super) endpoint: String,
    /// The right to make the call, where it was taken already.
    pub(super) call: Option<Call>,
}

/// Whose turn it is.
enum Way {
    /// Another node has had it, and this is what came of it.
    Found(Kept),
    /// Ours.
    Ask(OurTurn),
}

/// A turn that is ours.
struct OurTurn {
    number: u64,
    until: Timestamp,
    /// Until when the row is to be kept for what it holds already.
    keep: Timestamp,
    call: Call,
}

impl Errand {
    /// Runs it. Whatever it comes to is in memory when it returns.
    pub(super) async fn run(mut self) -> Ended {
        match self.way().await {
            Ok(Way::Found(kept)) => {
                self.shop.memory.found(self.place, kept.clone(), self.shop.clock.now());
                Ended::Got { kept, asked: false }
            }
            Ok(Way::Ask(turn)) => self.ask(turn).await,
            Err(ended) => ended,
        }
    }

    /// Waits for another node's answer, or for our turn.
    async fn way(&mut self) -> Result<Way, Ended> {
        let patience = self.timeout() + Duration::from_millis(u64::from(DEAD)) + PATIENCE;
        let deadline = Instant::now() + patience;
        let mut looks = 0;
        loop {
            let now = self.shop.clock.now();
            let row = self.shop.store.held(self.place).await.map_err(Ended::NoStore)?;
            if let Some(kept) = row.as_ref().and_then(|row| self.good(row, now)) {
                return Ok(Way::Found(kept));
            }
            if Instant::now() >= deadline {
                return Err(self.later(FaultKind::Late, "other nodes have asked for too long", 1));
            }
            match row {
                Some(row) if row.blocks(now) && row.holder.is_none() => return Err(self.others_pause(&row)),
                Some(row) if row.blocks(now) && row.holder != Some(self.shop.node) => {
                    looks += 1;
                    sleep(if looks < LOOKS { LOOK } else { (LOOK * (looks - LOOKS + 1)).min(LOOK_SELDOM) })
                        .await;
                }
                row => {
                    if let Some(turn) = self.take(row.as_ref(), now).await? {
                        return Ok(Way::Ask(turn));
                    }
                }
            }
        }
    }

    /// Takes the next turn, with the right to make a call. None if there is something to look at first.
    async fn take(&mut self, row: Option<&Held>, now: Timestamp) -> Result<Option<OurTurn>, Ended> {
        let Some(call) = self.call.take() else {
            self.call = Some(self.pay(now).await?);
            return Ok(None);
        };
        let budget_ms = self.shop.cloud.upstream().timeout_ms.saturating_add(DEAD);
        let until = budget::from_now(now, Duration::from_millis(u64::from(budget_ms)));
        let seen = row.map_or(0, |row| row.turn);
        let wish = Wish { place: self.place, seen, holder: self.shop.node, now, until };
        match self.shop.store.take_turn(wish).await.map_err(Ended::NoStore)? {
            Turn::Mine(number) => {
                let keep = row.map_or(until, |row| row.keep);
                Ok(Some(OurTurn { number, until, keep, call }))
            }
            Turn::Busy(_) | Turn::Moved(_) => {
                self.call = Some(call);
                Ok(None)
            }
        }
    }

    /// Waits for the root key's budget, not for long.
    async fn pay(&self, now: Timestamp) -> Result<Call, Ended> {
        let budget = self.shop.cloud.upstream().budget;
        match self.shop.budgets.take(&self.key.id, budget, PATIENCE, now) {
            Ok((call, wait)) => {
                if !wait.is_zero() {
                    sleep(wait).await;
                }
                Ok(call)
            }
            Err(spent) => {
                self.shop.tally.not_called(FaultKind::Budget);
                let why = "the root key's calls are used up for now";
                Err(self.later(FaultKind::Budget, why, whole_seconds(spent.0)))
            }
        }
    }

    /// The row's credential, if it is one that will do.
    fn good(&self, row: &Held, now: Timestamp) -> Option<Kept> {
        let sealed = row.sealed.as_ref()?;
        // What does not open is of a ring key that is gone, or that we do not know yet: then there is none.
        let sheet = Sheet::open(&self.ring, &self.place, sealed).ok()?;
        let fits = self.beyond < sheet.turn && sheet.lasts(self.least, now);
        fits.then(|| Kept { turn: sheet.turn, expires: sheet.expires, seen: now, sealed: sealed.clone() })
    }

    /// Asks, and ends the turn.
    async fn ask(&mut self, turn: OurTurn) -> Ended {
        let OurTurn { number, until, keep, call } = turn;
        let (mut result, mut came) = self.call(call, number, self.timeout() + GRACE).await;
        let refused = matches!(&result, Err(fault) if fault.kind == FaultKind::KeyRefused);
        if refused && let Some((call, left)) = self.take_up_successor(until).await {
            (result, came) = self.call(call, number, left).await;
        }
        match result {
            Ok(kept) => self.succeed(kept, until, came).await,
            Err(fault) => self.fail(fault, number, keep, came).await,
        }
    }

    /// One call with the key that we have, and when its answer came.
    async fn call(&self, call: Call, turn: u64, patience: Duration) -> (Result<Kept, Fault>, Timestamp) {
        call.spend();
        let asked = self.shop.clock.now();
        let mut once = [0; 16];
        self.shop.entropy.fill(&mut once);
        let fetch = self.shop.cloud.fetch(&self.wanted, &self.key, asked, once);
        let fetched = match timeout(patience, fetch).await {
            Ok(fetched) => fetched,
            Err(_) => Err(Fault::new(FaultKind::Late, "no whole answer in time")),
        };
        let came = self.shop.clock.now();
        let result = fetched.and_then(|fetched| self.checked(fetched, turn, asked, came));
        self.shop.tally.called(result.as_ref().map(|_| ()).map_err(|fault| fault.kind), asked, came);
        (result, came)
    }

    /// Takes up the root key that makes the calls by now, if the cloud has refused one that does not any more: with the right to
    /// use it once, and what is left of the turn.
    ///
    /// Whoever replaces a root key ends the old one at the cloud as soon as the nodes have the new one. A question that was under
    /// way then, and one of a node that hears of it late, would have its callers refused for that.
    async fn take_up_successor(&mut self, until: Timestamp) -> Option<(Call, Duration)> {
        let upstream = self.shop.cloud.upstream();
        if !matches!(upstream.root, RootSource::Stored) {
            return None;
        }
        let rows = self.shop.store.roots().await.ok()?;
        let active = |row: &&RootRow| row.issuer == upstream.name && row.state == RootState::Active;
        let key = rows.iter().find(active)?.open(&self.ring).ok()?;
        if key.is(&self.key) {
            return None;
        }
        let now = self.shop.clock.now();
        let left = Duration::try_from(until.duration_since(now)).ok()?;
        let (call, _) = self.shop.budgets.take(&key.id, upstream.budget, Duration::ZERO, now).ok()?;
        tracing::info!(
            issuer = self.issuer(),
            refused = self.key.id,
            key = key.id,
            "a root key was replaced meanwhile"
        );
        self.key = Arc::new(key);
        Some((call, left.min(self.timeout() + GRACE)))
    }

    /// What came, sealed, if it is what was wanted.
    fn checked(
        &self,
        fetched: Fetched,
        turn: u64,
        issued: Timestamp,
        obtained: Timestamp,
    ) -> Result<Kept, Fault> {
        let Fetched { parts, expires, request, policy, answer } = fetched;
        let wrong = |why: String| Fault { request: request.clone(), ..Fault::new(FaultKind::Wrong, why) };
        match (&parts, self.wanted.form) {
            (Parts::Triple { .. }, Form::Triple(_)) | (Parts::Bearer(_), Form::Bearer) => (),
            _ => return Err(wrong("a credential of another form".into())),
        }
        let sheet = Sheet {
            turn,
            parts,
            issued,
            obtained,
            expires,
            request: request.clone(),
            root: self.key.id.clone(),
            policy: policy.map(Arc::new),
            answer,
            doubted: self.doubted,
            key: self.client_key.clone(),
            endpoint: self.endpoint.clone(),
        };
        if !sheet.lasts(self.least, obtained) {
            return Err(wrong(format!(
                "it ends at {expires}, and {} seconds must be left of it",
                self.least
            )));
        }
        let sealed = sheet
            .seal(&self.ring, &*self.shop.entropy, &self.place)
            .map_err(|fault| wrong(format!("it cannot be sealed: {fault}")))?;
        Ok(Kept { turn, expires, seen: obtained, sealed })
    }

    /// Gives it to all nodes, unless another has begun anew meanwhile: then what that one got, or gets, counts.
    async fn succeed(&self, kept: Kept, until: Timestamp, came: Timestamp) -> Ended {
        let end = TurnEnd {
            place: self.place,
            turn: kept.turn,
            holder: self.shop.node,
            sealed: Some(kept.sealed.clone()),
            until: came,
            keep: after(kept.expires, SLACK),
        };
        match self.shop.store.end_turn(end).await {
            Ok(true) => (),
            Ok(false) => return self.overtaken().await,
            // Nobody can have begun anew while the turn lasts, so that it is the newest all the same.
            Err(error) if self.shop.clock.now() < until => {
                tracing::warn!(issuer = self.issuer(), %error, "a credential is kept by this node alone");
            }
            Err(error) => return Ended::NoStore(error),
        }
        self.shop.memory.obtained(self.place, kept.clone(), came);
        Ended::Got { kept, asked: true }
    }

    /// Our answer came too late. It is thrown away: where a new token kills the old one, it may be dead already.
    async fn overtaken(&self) -> Ended {
        tracing::warn!(issuer = self.issuer(), "an answer came too late and is thrown away");
        let now = self.shop.clock.now();
        match self.shop.store.held(self.place).await {
            Ok(row) => match row.and_then(|row| self.good(&row, now)) {
                Some(kept) => {
                    self.shop.memory.found(self.place, kept.clone(), now);
                    Ended::Got { kept, asked: false }
                }
                None => self.later(FaultKind::Late, "the answer came after another node had asked anew", 1),
            },
            Err(error) => Ended::NoStore(error),
        }
    }

    /// Begins the pause, for all nodes. If the store does not take it, this node keeps it all the same.
    async fn fail(&self, fault: Fault, turn: u64, keep: Timestamp, came: Timestamp) -> Ended {
        let before = self.shop.memory.look(&self.place).1.map_or(0, |trouble| trouble.count);
        let count = before.saturating_add(1);
        let pause = pause::after_failures(count, fault.retry_after, &*self.shop.entropy);
        let until = came.checked_add(pause).unwrap_or(Timestamp::MAX);
        tracing::warn!(
            issuer = self.issuer(),
            result = fault.kind.label(),
            code = fault.code.as_deref(),
            cloud_request = fault.request.as_deref(),
            failures = count,
            pause = %pause,
            "the cloud gave no credential: {fault}"
        );
        if fault.kind == FaultKind::Busy && fault.retry_after.is_some() {
            self.shop.budgets.rest(&self.key.id, until);
        }
        let end = TurnEnd {
            place: self.place,
            turn,
            holder: self.shop.node,
            sealed: None,
            until,
            keep: keep.max(until),
        };
        match self.shop.store.end_turn(end).await {
            Ok(true) => (),
            // Another node has asked meanwhile, and what it got counts.
            Ok(false) => return self.overtaken().await,
            Err(error) => {
                tracing::warn!(issuer = self.issuer(), %error, "the pause is kept by this node alone");
            }
        }
        let trouble = Trouble { fault: Arc::new(fault), until, count };
        self.shop.memory.failed(self.place, trouble.clone(), came);
        Ended::Failed(trouble)
    }

    /// Another node has failed, and everyone leaves the cloud alone for a while.
    fn others_pause(&self, row: &Held) -> Ended {
        let (_, trouble) = self.shop.memory.look(&self.place);
        let count = trouble.as_ref().map_or(0, |trouble| trouble.count);
        let told = || Arc::new(Fault::new(FaultKind::Down, "another node has failed, and a pause is kept"));
        let fault = trouble.map_or_else(told, |trouble| trouble.fault);
        let trouble = Trouble { fault, until: row.until, count };
        self.shop.memory.failed(self.place, trouble.clone(), self.shop.clock.now());
        Ended::Failed(trouble)
    }

    /// Nothing was asked, and nothing is remembered of it.
    fn later(&self, kind: FaultKind, why: &str, seconds: u32) -> Ended {
        let until = after(self.shop.clock.now(), seconds);
        Ended::Failed(Trouble { fault: Arc::new(Fault::new(kind, why)), until, count: 0 })
    }

    fn timeout(&self) -> Duration {
        Duration::from_millis(u64::from(self.shop.cloud.upstream().timeout_ms))
    }

    fn issuer(&self) -> &str {
        &self.shop.cloud.upstream().name
    }
}
