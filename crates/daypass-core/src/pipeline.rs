//! The one order of things: read → authenticate → authorize → issue → record → render.
//!
//! Everything here but the ports (store, issuer) is plain synchronous code. A dialect cannot leave a phase out,
//! because it never calls one: it only fills the hooks that [`Pipeline::answer`] calls.

mod authenticate;
mod copies;
mod dpop;
mod exchange;
mod explain;
mod nearby;
mod ration;
mod recording;
mod refused;
#[cfg(test)]
mod tests;
mod tokens;
mod verify;
mod visit;

use crate::asked::Asked;
use crate::caller::Caller;
use crate::client::Tenant;
use crate::clock::{Clock, Timestamp};
use crate::credential::{Exchanged, Granted};
use crate::dialect::{Ask, Call, Context, Delivery, Dialect, Facts, Issue, Outcome};
use crate::directory::Directory;
use crate::endpoint::DialectName;
use crate::familiar::Familiar;
use crate::freeze;
use crate::gate::Gate;
use crate::guesses::Guesses;
use crate::id::{Draw, Entropy};
use crate::identity::Identity;
use crate::issuer::{Issued, Issuer};
use crate::jose::Signatures;
use crate::jose::own::OwnSignatures;
use crate::policy::{Authorized, Whose, authorize};
use crate::ration::Rations;
use crate::record::{self, Entry};
use crate::refusal::{Kind, Refusal};
use crate::replay::{self, Mark, Window};
use crate::request::{Head, Request, Response};
use crate::reseal::Rehash;
use crate::shelf::Shelf;
use crate::store::Store;
use crate::strangers::Strangers;
use crate::uses::Uses;
use authenticate::Proved;
use copies::{Sighted, replayed};
use std::collections::HashMap;
use std::sync::Arc;
use std::task::Poll;
use uuid::Uuid;

/// A call whose sender was proved. An ask exists on this and on nothing else.
///
/// ```compile_fail
/// // A dialect cannot skip the proof: only the pipeline makes a `Verified`.
/// fn trust<C>(call: C, caller: daypass_core::caller::Caller) -> daypass_core::pipeline::Verified<C> {
///     daypass_core::pipeline::Verified { call, caller }
/// }
/// ```
pub struct Verified<C> {
    call: C,
    caller: Caller,
}

impl<C> Verified<C> {
    /// The call, which may now be believed.
    pub fn call(&self) -> &C {
        &self.call
    }
    /// Who sent it.
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    /// A verified call for tests of a dialect's `ask`.
    #[cfg(any(test, feature = "testing"))]
    pub fn for_test(call: C, caller: Caller) -> Self {
        Self { call, caller }
    }
}

/// The phases and what they remember between requests. A copy shares that memory.
#[derive(Clone)]
pub struct Pipeline {
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    store: Arc<dyn Store>,
    issuers: HashMap<String, Arc<dyn Issuer>>,
    identity: Arc<dyn Identity>,
    window: Arc<Window>,
    rations: Arc<Rations>,
    shelf: Arc<Shelf>,
    signatures: Arc<Signatures>,
    own: Arc<OwnSignatures>,
    strangers: Arc<Strangers>,
    guesses: Arc<Guesses>,
    familiar: Arc<Familiar>,
    uses: Arc<Uses>,
    rehash: Arc<Rehash>,
    gate: Arc<Gate>,
}

/// An answer with what the log says about it.
pub struct Answer {
    /// What goes back to the caller.
    pub response: Response,
    /// What happened.
    pub summary: Summary,
}

/// What happened to a request, in words for the log and for metrics. It holds no secret.
#[derive(Clone, Debug)]
pub struct Summary {
    /// Which protocol.
    pub dialect: DialectName,
    /// What became of it.
    pub result: Result<Success, Refusal>,
    /// The client, where one was proved.
    pub client: Option<Uuid>,
    /// The tenant, where a caller was proved.
    pub tenant: Option<Arc<Tenant>>,
    /// The role, once it was found that the caller may have it.
    pub role: Option<String>,
    /// Whose rules, of those that are only tried, would have done something to what was granted.
    pub warned: Vec<Whose>,
}

impl Summary {
    /// Of a request of which no client is known, and nothing else.
    pub fn of(dialect: DialectName, result: Result<Success, Refusal>) -> Self {
        Self { dialect, result, client: None, tenant: None, role: None, warned: Vec::new() }
    }
}

/// What a request was answered with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Success {
    /// A credential.
    Granted,
    /// The identical credential again, for a client's retry.
    Repeated,
    /// The credential that the subject already had.
    Reused,
    /// A one-time ticket.
    Ticket,
    /// An answer to a question.
    Facts,
    /// Something that was handed out before counts no more.
    Changed,
    /// Something that needs no proof.
    Open,
}

/// What is known of a request as it goes through the phases, for its record.
struct Trail {
    dialect: DialectName,
    head: Arc<Head>,
    now: Timestamp,
    caller: Option<Caller>,
    role: Option<String>,
    session: Option<String>,
    /// What was asked for, once it was refused for that.
    asked: Option<Box<Asked>>,
    first_sight: Option<Mark>,
    /// What was taken from rations and is given back if nothing is made.
    taken: ration::Taken,
    /// Whose rules, of those that are only tried, would have done something to what was granted.
    warned: Vec<Whose>,
}

impl Trail {
    /// Keeps what was asked for, so that the record of the refusal says it.
    fn note_ask(&mut self, caller: &Caller, issue: &Issue, exchange: bool) {
        let asked = Asked::of_refusal(caller, issue, &self.head.path);
        self.asked = Some(Box::new(Asked { exchange, ..asked }));
    }
}

impl Pipeline {
    /// Puts the ports together. `issuers` are by the name that roles use; `local` must be among them. `identity` is
    /// asked about sessions and outside providers.
    pub fn new(
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        store: Arc<dyn Store>,
        issuers: HashMap<String, Arc<dyn Issuer>>,
        identity: Arc<dyn Identity>,
    ) -> Self {
        Self {
            clock,
            entropy,
            store,
            issuers,
            identity,
            window: Arc::default(),
            rations: Arc::default(),
            shelf: Arc::default(),
            signatures: Arc::default(),
            own: Arc::default(),
            strangers: Arc::default(),
            guesses: Arc::default(),
            familiar: Arc::default(),
            uses: Arc::default(),
            rehash: Arc::default(),
            gate: Arc::default(),
        }
    }

    /// The same with other ports to ask, and with all that this one remembers: for when the configuration has changed.
    #[must_use]
    pub fn with(&self, issuers: HashMap<String, Arc<dyn Issuer>>, identity: Arc<dyn Identity>) -> Self {
        // What a cloud made is not handed out again as if another one had made it.
        let same = |(name, issuer): (&String, &Arc<dyn Issuer>)| {
            self.issuers.get(name).is_some_and(|before| Arc::ptr_eq(before, issuer))
        };
        let shelf = if issuers.iter().all(same) { self.shelf.clone() } else { Arc::default() };
        Self { issuers, identity, shelf, ..self.clone() }
    }

    /// Answers one request.
    pub async fn answer<D: Dialect>(&self, dialect: &D, directory: &Directory, request: Request) -> Answer {
        let now = self.now();
        let context = Context { directory, now };
        if let Some(response) = dialect.open(context, &request.head) {
            return Answer { response, summary: Summary::of(dialect.name(), Ok(Success::Open)) };
        }
        let mut manner = dialect.manner(&request.head);
        let mut trail = Trail {
            dialect: dialect.name(),
            head: request.head.clone(),
            now,
            caller: None,
            role: None,
            session: None,
            asked: None,
            first_sight: None,
            taken: ration::Taken::default(),
            warned: Vec::new(),
        };
        let result = self.run(dialect, context, request, &mut manner, &mut trail).await;
        self.finish(dialect, &manner, trail, result).await
    }

    /// Secrets that are to be kept under a newer pepper.
    pub fn rehash(&self) -> &Rehash {
        &self.rehash
    }

    /// When each key was last used.
    pub fn uses(&self) -> &Uses {
        &self.uses
    }

    /// Whether this node may issue, for whoever watches its clock and its disk.
    pub fn gate(&self) -> &Gate {
        &self.gate
    }

    /// What was taken of every rate and daily quota.
    pub fn rations(&self) -> &Rations {
        &self.rations
    }

    /// Writes what strangers were refused since the last call. The server calls it once a second.
    pub async fn record_strangers(&self) {
        let records = self.strangers.collect(self.now(), &*self.entropy);
        // All at once, so that a flood costs one commit and not one for each row.
        let append = |record| self.store.append(Entry { record, mark: None });
        let mut pending: Vec<_> = records.into_iter().map(append).collect();
        std::future::poll_fn(|context| {
            // Nobody waits for these rows; a store that does not take them is reported by every other request.
            pending.retain_mut(|one| one.as_mut().poll(context).is_pending());
            if pending.is_empty() { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    /// To the millisecond, because that is what the store keeps and a retry must be computed from.
    fn now(&self) -> Timestamp {
        let now = self.clock.now();
        Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now)
    }

    async fn run<D: Dialect>(
        &self,
        dialect: &D,
        context: Context<'_>,
        request: Request,
        manner: &mut D::Manner,
        trail: &mut Trail,
    ) -> Result<(Success, Outcome), Refusal> {
        let call = dialect.read(context, request, manner)?;
        let Proved { caller, objection } = self.authenticate(context, &call, trail).await?;
        trail.caller = Some(caller.clone());
        self.uses.note(&caller, trail.now);
        if let Some(refusal) = objection {
            return Err(refusal);
        }
        let caller = match call.dpop() {
            Some(dpop) => Box::pin(self.bound(context, &dpop, caller)).await?,
            None => caller,
        };
        trail.caller = Some(caller.clone());
        let verified = Verified { call, caller };
        let sight = self.sight(context, &verified.call)?;
        trail.first_sight = sight.filter(|s| !s.repeat).map(|s| s.mark);
        self.after_proof(dialect, context, verified, sight, trail).await
    }

    async fn after_proof<D: Dialect>(
        &self,
        dialect: &D,
        context: Context<'_>,
        verified: Verified<D::Call>,
        sight: Option<Sighted>,
        trail: &mut Trail,
    ) -> Result<(Success, Outcome), Refusal> {
        let ask = dialect.ask(context, &verified)?;
        if matches!(ask, Ask::Issue(_) | Ask::Ticket(_) | Ask::Exchange(_)) {
            self.gate.check()?;
            let tenant = verified.caller.tenant();
            freeze::check(context.directory, tenant, dialect.name(), &trail.head.path)?;
            self.admit(context.directory, &verified.caller, trail)?;
        }
        match ask {
            Ask::WhoAmI => Ok((Success::Facts, Outcome::Facts(Facts::of(&verified.caller)))),
            Ask::Issue(issue) => self.grant(context.directory, &verified, &issue, sight, trail).await,
            Ask::Ticket(ask) => self.ticket(context.directory, &verified.caller, &ask, trail).await,
            Ask::Inspect(shown) => Ok(self.inspect(dialect, context, &verified, &shown)),
            Ask::Verify(question) => self.verify(dialect, context, &verified, &question),
            Ask::Explain(wanted) => Box::pin(self.explain(context, &verified, &wanted)).await,
            // Boxed, so that the common asks do not carry the space that these need.
            Ask::Revoke(shown) => Box::pin(self.revoke(dialect, context, &verified, &shown, trail)).await,
            Ask::Exchange(ask) => Box::pin(self.exchange(dialect, context, &verified, &ask, trail)).await,
        }
    }

    async fn grant<C: Call>(
        &self,
        directory: &Directory,
        verified: &Verified<C>,
        issue: &Issue,
        mut sight: Option<Sighted>,
        trail: &mut Trail,
    ) -> Result<(Success, Outcome), Refusal> {
        trail.session.clone_from(&issue.session);
        let authorized = authorize(directory, &verified.caller, &trail.head.path, issue)
            .inspect_err(|_| trail.note_ask(&verified.caller, issue, false))?;
        trail.role = Some(authorized.role().to_owned());
        let refresh = self.refresh(directory, &verified.caller, trail.now)?;
        if let Some(kept) = self.kept(directory, &authorized, &verified.caller, trail)? {
            return Ok((Success::Reused, Outcome::Granted(Delivery::new(kept, refresh))));
        }
        if sight.is_none_or(|sight| !sight.repeat) {
            self.count_day(directory, &verified.caller, trail)?;
        }
        let mut elsewhere = None;
        // At most twice: another node may have seen these bytes first, and then its time counts.
        for _ in 0..2 {
            let draw = self.draw(directory, &verified.call, issue, sight.map(|s| s.first), trail.now)?;
            let granted = self.issue(directory, &authorized, &draw).await?;
            if let Some((mark, first)) = elsewhere {
                self.is_its_repeat(&authorized.tenant().name, &verified.call, &granted, first).await?;
                self.window.settle(mark, first);
            }
            let repeat = sight.is_some_and(|s| s.repeat);
            let mark = sight.filter(|s| !s.settled).map(|s| s.mark);
            let entry =
                Entry { record: self.grant_record(trail, issue, &authorized, &granted, repeat), mark };
            match (record::commit(&*self.store, entry, granted).await?, sight) {
                (record::Outcome::Recorded(recorded), _) => {
                    if let Some(unsettled) = sight.filter(|s| !s.settled) {
                        self.window.settle(unsettled.mark, unsettled.first);
                    }
                    trail.warned = authorized.warned().iter().map(|warned| warned.whose).collect();
                    let success = if repeat { Success::Repeated } else { Success::Granted };
                    let granted = Arc::new(recorded);
                    self.shelf.keep(&authorized, &granted, trail.now);
                    return Ok((success, Outcome::Granted(Delivery::new(granted, refresh))));
                }
                (record::Outcome::Seen(first), Some(Sighted { mark, .. })) => {
                    if !replay::is_retry(first, trail.now) {
                        self.window.settle(mark, first);
                        return Err(replayed());
                    }
                    // Settled only when it is known to be a repeat: until then every copy has to be looked at.
                    elsewhere = Some((mark, first));
                    // It was counted where it was seen first.
                    self.uncount_day(trail);
                    sight = Some(Sighted { mark, first, repeat: true, settled: true });
                }
                (record::Outcome::Seen(_), None) => break,
            }
        }
        Err(Refusal::internal("a repeat without a mark was taken for a replay"))
    }

    async fn issue(
        &self,
        directory: &Directory,
        authorized: &Authorized,
        draw: &Draw,
    ) -> Result<Granted, Refusal> {
        let issuer = self
            .issuers
            .get(authorized.issuer())
            .ok_or_else(|| Refusal::internal(format!("no issuer `{}`", authorized.issuer())))?;
        let Issued { credential, issued, expires, brokered, policy, answer } =
            issuer.issue(directory, authorized, draw).await?;
        let confirmation = authorized.confirmation().filter(|_| brokered.is_none());
        // Whoever counts the seconds that are left counts from here: the time for which a cloud was waited for is over.
        let obtained = brokered.as_ref().map_or(draw.at(), |brokered| brokered.obtained);
        let mut fields = authorized.answer().clone();
        fields.extend(answer);
        Ok(Granted {
            credential,
            issued,
            handed_out: draw.at().max(obtained),
            expires,
            brokered,
            account: authorized.tenant().account.clone(),
            role: authorized.role().to_owned(),
            policy: policy.or_else(|| authorized.shared_policy()),
            answer: fields,
            variables: authorized.variables().clone(),
            product: authorized.product().cloned(),
            correlation: authorized.correlation().map(str::to_owned),
            tenant: authorized.tenant().guid,
            session: authorized.session().map(str::to_owned),
            subject: authorized.subject().map(str::to_owned),
            source_identity: authorized.source_identity().map(str::to_owned),
            // No cloud binds what it gives to a key of ours to check: nobody may believe that this one is.
            confirmation: confirmation.cloned(),
            exchanged: authorized.behalf().map(|_| Exchanged {
                resource: authorized.resource().map(str::to_owned),
                app_roles: authorized.app_roles().to_vec(),
            }),
        })
    }

    async fn finish<D: Dialect>(
        &self,
        dialect: &D,
        manner: &D::Manner,
        mut trail: Trail,
        result: Result<(Success, Outcome), Refusal>,
    ) -> Answer {
        let client = trail.caller.as_ref().and_then(Caller::client).map(|client| client.guid);
        let tenant = trail.caller.as_ref().map(Caller::shared_tenant);
        let (result, outcome) = match result {
            Ok((success, outcome)) => (Ok(success), outcome),
            Err(refusal) => {
                self.uncount_day(&mut trail);
                let refusal = self.record_refusal(&trail, refusal).await;
                // Our own failure must not turn the client's retry into a replay.
                if let Some(mark) = trail.first_sight.filter(|_| refusal.reason.kind() == Kind::Us) {
                    self.window.forget(&mark);
                }
                (Err(refusal.clone()), Outcome::Refused(refusal))
            }
        };
        Answer {
            response: dialect.render(manner, outcome),
            summary: Summary {
                client,
                tenant,
                role: trail.role,
                warned: trail.warned,
                ..Summary::of(dialect.name(), result)
            },
        }
    }
}
