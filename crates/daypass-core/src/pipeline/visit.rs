//! Those who come without a signature: visitors of an endpoint, and subjects of outside providers.

use super::authenticate::Proved;
use super::nearby;
use super::{Pipeline, Success, Trail, ration};
use crate::caller::{Caller, Outside, Proof, Visitor, Way};
use crate::client::Tenant;
use crate::clock::Timestamp;
use crate::credential::Granted;
use crate::dialect::{Context, Evidence, Outcome, TicketAsk, Visit, WebIdentity};
use crate::directory::Directory;
use crate::endpoint::{CallerRule, Endpoint, SessionRule, Whence};
use crate::freeze;
use crate::identity::Subject;
use crate::jose;
use crate::policy::{Authorized, authorize_ticket};
use crate::provider::Provider;
use crate::quota::Limit;
use crate::ration::Place;
use crate::record::{self, Entry, Event, Recorded};
use crate::refusal::{Reason, Refusal};
use crate::request::Head;
use crate::secret::Secret;
use crate::store::Spent;
use crate::ticket;
use std::sync::Arc;

/// The longest name of a subject, in characters. It stands in records and in every credential.
const NAME: usize = 128;

impl Pipeline {
    /// Finds out who a visitor is, in one of the endpoint's ways. Who shows nothing and is not served uses up nobody's
    /// ration: a page in a browser must not use up that of its host.
    pub(super) async fn visitor(
        &self,
        context: Context<'_>,
        visit: &Visit<'_>,
        trail: &mut Trail,
    ) -> Result<Proved, Refusal> {
        let endpoint = visit.endpoint;
        let tenant = context
            .directory
            .tenant(&endpoint.tenant)
            .ok_or_else(|| Refusal::internal(format!("no tenant `{}`", endpoint.tenant)))?;
        // Nobody is asked, no ticket is spent and no ration used where nothing can come of it.
        freeze::check(context.directory, tenant, trail.dialect, &endpoint.path)?;
        if visit.evidence.is_none() {
            admit(endpoint, visit.origin, &trail.head, &context.directory.plan().public_url)?;
        }
        let near = || ration::at_endpoint(context.directory, tenant, endpoint);
        let known =
            |way, subject| Visitor { endpoint: endpoint.clone(), way, subject: Some(subject), ticket: None };
        let visitor = match visit.evidence {
            None => {
                self.admit_network(near(), trail)?;
                Visitor { endpoint: endpoint.clone(), way: Way::Anonymous, subject: None, ticket: None }
            }
            Some(Evidence::Session(session)) => {
                let rule = endpoint.session().ok_or_else(|| not_in_this_way(endpoint))?;
                let subject = self.of_session(context, rule, session, near(), trail).await?;
                self.admit_network(near(), trail)?;
                known(Way::Session, subject)
            }
            Some(Evidence::Jwt(token)) => {
                let rule = endpoint.jwt().ok_or_else(|| not_in_this_way(endpoint))?;
                let provider = context
                    .directory
                    .provider(&tenant.name, &rule.provider)
                    .ok_or_else(|| Refusal::internal(format!("no provider `{}`", rule.provider)))?;
                let subject = match self.vouched(provider, token, context.now).await {
                    Ok(subject) => subject,
                    Err(refusal) => return Err(self.wrong(refusal, near(), trail)),
                };
                self.admit_network(near(), trail)?;
                known(Way::Jwt, subject)
            }
            Some(Evidence::Ticket(shown)) => {
                return self.ticket_holder(context, visit, shown, tenant, trail).await;
            }
        };
        Ok(Caller::new(tenant.clone(), Proof::Visitor(Box::new(visitor))).into())
    }

    /// Whose session it is. Whoever guesses at sessions must not make the application behind us work for each, so that
    /// the wrong ones of a network are bounded before it is asked; and must not shut out those who are at work there, so
    /// that a session which it knew lately is asked about whatever strangers do.
    async fn of_session(
        &self,
        context: Context<'_>,
        rule: &SessionRule,
        session: &Secret,
        near: (Place, Limit),
        trail: &mut Trail,
    ) -> Result<Subject, Refusal> {
        let ring = context.directory.ring();
        let familiar = self.familiar.knows(ring, rule, session, context.now);
        let taken = if familiar { None } else { self.admit_wrong(near, trail)? };
        let subject = named(self.identity.session(rule, session).await?)?;
        self.was_right(taken);
        self.familiar.note(ring, rule, session, context.now);
        Ok(subject)
    }

    /// The refusal of a proof that was looked at: what it was, or that the network has shown too many wrong ones. The right
    /// one is always served, because it is looked at first: that costs us some microseconds and nobody else anything.
    fn wrong(&self, refusal: Refusal, near: (Place, Limit), trail: &mut Trail) -> Refusal {
        if !matches!(refusal.reason, Reason::IdentityInvalid | Reason::TicketInvalid) {
            return refusal;
        }
        match self.admit_wrong(near, trail) {
            Ok(_) => refusal,
            Err(limited) => limited.because(refusal.reason.label()),
        }
    }

    /// A ticket is spent as soon as it was found authentic, and before anything is decided: of two who show it, one
    /// gets something at the most.
    async fn ticket_holder(
        &self,
        context: Context<'_>,
        visit: &Visit<'_>,
        shown: &Secret,
        tenant: &Arc<Tenant>,
        trail: &mut Trail,
    ) -> Result<Proved, Refusal> {
        if visit.endpoint.ticket().is_none() {
            return Err(not_in_this_way(visit.endpoint));
        }
        let directory = context.directory;
        let near = ration::at_endpoint(directory, tenant, visit.endpoint);
        let read = ticket::read(directory, visit.endpoint, visit.origin, shown, context.now);
        let ticket::Shown { pass, client, objection } = match read {
            Ok(shown) => shown,
            Err(refusal) => return Err(self.wrong(refusal, near, trail)),
        };
        // Attack: an old ticket out of a log proves that someone has read the log, and would write a record for each
        // time that it is shown. It is a stranger's.
        if pass.expires <= context.now {
            let ended = || Refusal::new(Reason::TicketInvalid, "this ticket ended");
            return Err(self.wrong(objection.unwrap_or_else(ended), near, trail));
        }
        // Before it is spent: whoever is told to come again must be able to.
        self.admit_network(near, trail)?;
        let objection = match objection {
            Some(objection) => Some(objection),
            None => self.spend(&pass).await?,
        };
        let visitor = Visitor {
            endpoint: visit.endpoint.clone(),
            way: Way::Ticket,
            subject: Some(pass.subject.clone()),
            ticket: Some((pass, client)),
        };
        let caller = Caller::new(tenant.clone(), Proof::Visitor(Box::new(visitor)));
        Ok(Proved { caller, objection })
    }

    async fn spend(&self, pass: &ticket::Pass) -> Result<Option<Refusal>, Refusal> {
        let mark = ticket::mark(pass).ok_or_else(|| Refusal::internal("no mark of a ticket"))?;
        match self.store.spend(mark, pass.expires).await {
            Ok(Spent::Now) => Ok(None),
            Ok(Spent::Before) => Ok(Some(Refusal::new(
                Reason::TicketSpent,
                "this ticket was used before; each is good once, so that it was copied or sent twice",
            ))),
            Err(fault) => Err(Refusal::unavailable(fault)),
        }
    }

    /// Whom an outside provider vouches for.
    pub(super) async fn outside(
        &self,
        context: Context<'_>,
        shown: &WebIdentity<'_>,
        trail: &mut Trail,
    ) -> Result<Caller, Refusal> {
        let found = shown
            .tenant
            .and_then(|tenant| Some((tenant, context.directory.provider(&tenant.name, shown.provider)?)));
        let (tenant, provider) = found.ok_or_else(|| {
            let detail = "there is no such identity provider in the account of the role";
            Refusal::new(Reason::IdentityInvalid, detail).parameter("ProviderId")
        })?;
        let near = || ration::by_provider(context.directory, tenant, provider);
        let subject = match self.vouched(provider, shown.token, context.now).await {
            Ok(subject) => subject,
            Err(refusal) => return Err(self.wrong(refusal, near(), trail)),
        };
        self.admit_network(near(), trail)?;
        let outside = Outside { provider: provider.clone(), subject };
        Ok(Caller::new(tenant.clone(), Proof::Outside(Box::new(outside))))
    }

    /// Whom a provider's JWT names, if it is right.
    pub(super) async fn vouched(
        &self,
        provider: &Provider,
        token: &Secret,
        now: Timestamp,
    ) -> Result<Subject, Refusal> {
        let kid = jose::kid_of(token);
        let keys = self.identity.keys(provider, kid.as_deref()).await?;
        named(self.signatures.verify_outside(provider, &keys, token, now)?)
    }

    /// The credential that a subject already has, if it may have it again. A new one is taken from its rates; those whom a
    /// provider vouches for always get a new one.
    pub(super) fn kept(
        &self,
        directory: &Directory,
        authorized: &Authorized,
        caller: &Caller,
        trail: &mut Trail,
    ) -> Result<Option<Arc<Recorded<Granted>>>, Refusal> {
        match caller.proof() {
            Proof::Key { .. } | Proof::Temporary { .. } => return Ok(None),
            Proof::Outside(_) => {}
            Proof::Visitor(_) => {
                if let Some(kept) = self.shelf.find(authorized, directory.cutoffs(), trail.now) {
                    self.give_back(trail);
                    return Ok(Some(kept));
                }
            }
        }
        // Here and not before. Attack: strangers from many networks use up what belongs to everyone, with nothing to show.
        self.admit_known(directory, caller, trail)?;
        Ok(None)
    }

    /// What the holder of a ticket shows the next time.
    pub(super) fn refresh(
        &self,
        directory: &Directory,
        caller: &Caller,
        now: Timestamp,
    ) -> Result<Option<Secret>, Refusal> {
        let Proof::Visitor(visitor) = caller.proof() else { return Ok(None) };
        let Some(((pass, _), rule)) = visitor.ticket.as_ref().zip(visitor.endpoint.ticket()) else {
            return Ok(None);
        };
        ticket::next(directory.ring(), rule, pass, now, &*self.entropy)
    }

    /// Makes a ticket for a client's page. What a ticket fetches, its maker must be allowed.
    pub(super) async fn ticket(
        &self,
        directory: &Directory,
        caller: &Caller,
        ask: &TicketAsk,
        trail: &mut Trail,
    ) -> Result<(Success, Outcome), Refusal> {
        let Proof::Key { client, key, .. } = caller.proof() else {
            return Err(Refusal::new(Reason::TemporaryNotAllowed, "only a client's own key makes tickets"));
        };
        let endpoint = authorize_ticket(directory, caller, ask)?;
        trail.role.clone_from(&endpoint.role);
        let subject = named(ask.subject.clone())?;
        let ask = TicketAsk { subject, ..ask.clone() };
        let (id, made) = ticket::issue(directory.ring(), &ask, client.guid, key, trail.now, &*self.entropy)?;
        let event = Event::Ticket { ticket: id, origin: ask.origin.clone(), expires: made.expires };
        let mut record = self.record(trail, event);
        record.subject = Some(ask.subject.name);
        match record::commit(&*self.store, Entry { record, mark: None }, made).await? {
            record::Outcome::Recorded(recorded) => Ok((Success::Ticket, Outcome::Ticket(Box::new(recorded)))),
            record::Outcome::Seen(_) => Err(Refusal::internal("a ticket has no mark to be seen by")),
        }
    }
}

/// Whether the endpoint serves a visitor of whom nothing is known.
fn admit(endpoint: &Endpoint, origin: Option<&str>, head: &Head, public_url: &str) -> Result<(), Refusal> {
    match endpoint.anonymous().ok_or_else(|| not_in_this_way(endpoint))? {
        Whence::Anywhere => Ok(()),
        Whence::Pages if origin.is_some() => Ok(()),
        // Attack: without an origin to check, anyone's script fetches credentials as if it were the page.
        Whence::Pages => Err(Refusal::new(
            Reason::OriginNotAllowed,
            "this endpoint serves the pages of its own list of origins, and the request names no origin",
        )),
        Whence::Networks(networks) => nearby::check(networks, head, public_url),
    }
}

/// Says which ways there are.
fn not_in_this_way(endpoint: &Endpoint) -> Refusal {
    let ways = endpoint.callers.iter().map(|rule| match rule {
        CallerRule::Session(_) => "the session of a logged-in user",
        CallerRule::Ticket(_) => "a ticket (Authorization: Ticket, or ?ticket=)",
        CallerRule::Jwt(_) => "a token (Authorization: Bearer)",
        CallerRule::Anonymous { .. } => "nothing at all",
    });
    let ways: Vec<_> = ways.collect();
    Refusal::new(Reason::MissingProof, format!("this endpoint asks for {}", ways.join(", or ")))
}

/// A subject whose name can stand in a record and in a credential.
fn named(subject: Subject) -> Result<Subject, Refusal> {
    let fits =
        (1..=NAME).contains(&subject.name.chars().count()) && !subject.name.chars().any(char::is_control);
    if fits {
        return Ok(subject);
    }
    Err(Refusal::new(
        Reason::VariableRefused,
        format!("the name of the subject must have 1 to {NAME} characters and no control characters"),
    )
    .parameter("subject"))
}
