//! Our own access tokens, shown to us again: asked about, taken back, or exchanged.

use super::{Pipeline, Success, Trail};
use crate::client::{Client, Tenant};
use crate::clock::Timestamp;
use crate::cutoff::{Cutoff, Scope};
use crate::dialect::{Context, Dialect, Outcome, Shown};
use crate::directory::Directory;
use crate::inspect::{Inspection, NotLive, OwnToken};
use crate::jose::compact::date;
use crate::pipeline::Verified;
use crate::record::Event;
use crate::refusal::{Reason, Refusal};
use crate::standing::{Fallen, standing_of_token};
use crate::store::Change;
use serde_json::{Map, Value};

impl Pipeline {
    /// One of our own tokens, if it counts in this tenant now.
    pub(super) fn own_token<D: Dialect>(
        &self,
        dialect: &D,
        context: Context<'_>,
        tenant: &Tenant,
        shown: &Shown,
    ) -> Result<Inspection, NotLive> {
        let found = self.authentic(dialect, context, tenant, shown)?;
        standing_of_token(context.directory, &found.token, context.now)?;
        Ok(found)
    }

    /// A token that we have made for this tenant and whose time it is, whatever became of what it was made on.
    pub(super) fn authentic<D: Dialect>(
        &self,
        dialect: &D,
        context: Context<'_>,
        tenant: &Tenant,
        shown: &Shown,
    ) -> Result<Inspection, NotLive> {
        let claims = self.own.claims(context.directory.ring(), shown.token()).map_err(NotLive::NotOurs)?;
        let token = dialect
            .own_token(context, &claims)
            .filter(|token| token.tenant == tenant.name)
            .ok_or(NotLive::NotOurs("the issuer and the claims of its access tokens"))?;
        if token.expires <= context.now {
            return Err(NotLive::Fallen(Fallen::Expired));
        }
        if !has_begun(&claims, context.now) {
            return Err(NotLive::NotYet);
        }
        Ok(Inspection { token, claims })
    }

    /// Says what a token is to whoever it was made for, or was made by.
    pub(super) fn inspect<D: Dialect>(
        &self,
        dialect: &D,
        context: Context<'_>,
        verified: &Verified<D::Call>,
        shown: &Shown,
    ) -> (Success, Outcome) {
        let caller = verified.caller();
        let found = self.own_token(dialect, context, caller.tenant(), shown).ok();
        let may_see = |found: &Inspection| {
            caller.client().is_some_and(|client| concerns(context.directory, client, &found.token))
        };
        (Success::Facts, Outcome::Inspected(found.filter(may_see).map(Box::new)))
    }

    /// Takes a token back: a cut-off of that one credential, with its record. Nothing is written for what is no token of
    /// ours, has run out or was taken back before (RFC 7009 §2.2).
    pub(super) async fn revoke<D: Dialect>(
        &self,
        dialect: &D,
        context: Context<'_>,
        verified: &Verified<D::Call>,
        shown: &Shown,
        trail: &mut Trail,
    ) -> Result<(Success, Outcome), Refusal> {
        let (directory, caller) = (context.directory, verified.caller());
        let nothing = Ok((Success::Facts, Outcome::Revoked));
        let Ok(Inspection { token, .. }) = self.authentic(dialect, context, caller.tenant(), shown) else {
            return nothing;
        };
        if caller.client().is_none_or(|client| client.guid != token.client) {
            // Whoever has another's token learns no more than from introspection by its owner: that it counts.
            return match standing_of_token(directory, &token, context.now) {
                Ok(()) => Err(not_yours()),
                Err(_) => nothing,
            };
        }
        // Its own cut-off alone counts: a token that does not stand for another reason may do so again.
        let scope = Scope::Credential(token.id.to_string());
        if directory.cutoffs().cut(token.issued, &scope) {
            return nothing;
        }
        let event = Event::Change { action: REVOKED.to_owned(), object: token.id.to_string() };
        // The node that made it may have a clock that is ahead of ours.
        let cutoff = Cutoff { scope, before: context.now.max(token.issued) };
        let record = self.record(trail, event);
        self.store.change(vec![Change::Cut(cutoff)], record).await.map_err(not_taken_back)?;
        Ok((Success::Changed, Outcome::Revoked))
    }
}

/// The action in the record of a token that its client took back.
const REVOKED: &str = "token.revoke";

/// Whether the time of a token has begun; one that says nothing counts at once.
fn has_begun(claims: &Map<String, Value>, now: Timestamp) -> bool {
    claims.get("nbf").is_none_or(|nbf| date(nbf).is_some_and(|nbf| nbf <= now))
}

/// Whether a client may know what a token says: it asked for it, or is the API that it is for.
fn concerns(directory: &Directory, client: &Client, token: &OwnToken) -> bool {
    token.client == client.guid || is_audience(directory, client, token)
}

/// Whether a client is the API that a token is for.
pub(super) fn is_audience(directory: &Directory, client: &Client, token: &OwnToken) -> bool {
    let is_token_s = |audience: &String| {
        let mut roles = directory.roles_of(&token.tenant, audience);
        audience.eq_ignore_ascii_case(&token.audience)
            || roles.any(|role| role.audience.as_deref() == Some(token.audience.as_str()))
    };
    client.audiences.iter().any(is_token_s)
}

fn not_yours() -> Refusal {
    Refusal::new(
        Reason::NotYours,
        "this token was issued to another application, and only that one can take it back",
    )
}

fn not_taken_back(cause: impl std::fmt::Display) -> Refusal {
    Refusal::new(
        Reason::Unavailable,
        "the token cannot be taken back now and may still count; ask again soon",
    )
    .retry_after(1)
    .because(cause)
}
