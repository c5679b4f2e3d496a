//! What becomes of a wrong proof of a client.

use crate::client::Client;
use crate::dialect::{Claim, Context};
use crate::guesses::Target;
use crate::jose::assertion::Assertion;
use crate::pipeline::{Pipeline, Trail};
use crate::record::{Entry, Event};
use crate::refusal::{Reason, Refusal};
use std::sync::Arc;
use uuid::Uuid;

impl Pipeline {
    /// The refusal of a wrong proof: what it was, or that there were too many. Unknown clients are counted and answered
    /// alike; a refusal that says no more than that something of ours does not work, or that a right proof has run out,
    /// is no guess.
    pub(super) async fn after_guess(
        &self,
        context: Context<'_>,
        claim: &Claim<'_>,
        refusal: Refusal,
        trail: &Trail,
    ) -> Refusal {
        let Some(target) = target(claim).filter(|_| is_guess(refusal.reason)) else {
            return refusal;
        };
        if context.directory.plan().guesses_unbounded {
            return refusal;
        }
        self.alarm(context, claim, target, &refusal, trail).await;
        match self.guesses.count(target, trail.head.source, context.now) {
            Ok(()) => refusal,
            Err(seconds) => Refusal::new(
                Reason::RateLimited,
                format!(
                    "too many wrong credentials came from this network; mend the client, or ask again in {seconds} \
                     seconds; the right ones are served meanwhile"
                ),
            )
            .retry_after(seconds)
            .because(refusal.reason.label()),
        }
    }

    /// Writes down that someone guesses at a client from many places. Only at one that exists, or strangers would fill
    /// the records with names of their own making.
    async fn alarm(
        &self,
        context: Context<'_>,
        claim: &Claim<'_>,
        target: Target,
        refusal: &Refusal,
        trail: &Trail,
    ) {
        let Some(client) = known(context, claim, target) else { return };
        if !self.guesses.is_alarming(client.guid, context.now) {
            return;
        }
        let detail = format!(
            "more than {} wrong credentials of this client came within a minute; this alarm stands for an hour",
            crate::guesses::ALARM
        );
        let event = Event::Alarm { reason: refusal.reason.label().to_owned(), detail };
        let mut record = self.record(trail, event);
        (record.tenant, record.client) = (Some(client.tenant.clone()), Some(client.guid));
        if self.store.append(Entry { record, mark: None }).await.is_err() {
            self.guesses.was_not_heard(client.guid);
        }
    }
}

/// Whose proof it would have been, where there is such a client.
fn known(context: Context<'_>, claim: &Claim<'_>, target: Target) -> Option<Arc<Client>> {
    match (claim, target) {
        (Claim::Signed(signed), _) => {
            context.directory.key(signed.key_id, signed.kind, context.now).map(|found| found.client)
        }
        (_, Target::Client { tenant, client }) => {
            context.directory.client(context.directory.tenant_by_guid(tenant)?, client?)
        }
        (_, Target::Key(_)) => None,
    }
}

/// What would have been guessed, where it is something that can be. Tickets, sessions and the JWTs of providers are bounded
/// where they come to.
fn target(claim: &Claim<'_>) -> Option<Target> {
    let (tenant, client) = match claim {
        Claim::Secret(presented) => (presented.tenant, named(presented.client)),
        Claim::Certificate(certified) => (certified.tenant, named(certified.client)),
        Claim::Assertion(asserted) => {
            let issuer = || named(Assertion::read(asserted.token).ok()?.issuer().ok()?);
            (asserted.tenant, asserted.client.map_or_else(issuer, named))
        }
        Claim::Signed(signed) => return Some(Target::key(signed.key_id)),
        Claim::Visitor(_) | Claim::WebIdentity(_) => return None,
    };
    Some(Target::Client { tenant: tenant.guid, client })
}

/// A client's name as a GUID, in any spelling: one client has one count.
fn named(client: &str) -> Option<Uuid> {
    Uuid::try_parse(client).ok()
}

/// Whether a refusal says that the proof itself was wrong.
fn is_guess(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::UnknownClient
            | Reason::WrongSecret
            | Reason::WrongSignature
            | Reason::UnknownKey
            | Reason::MalformedProof
            | Reason::IdentityInvalid
            | Reason::TokenInvalid
    )
}
