//! A request that was sent to somebody else's API, judged for it.

use super::authenticate::{Proved, shown_to_another};
use super::tokens::is_audience;
use super::{Pipeline, Success};
use crate::caller::{Confirmation, Proof};
use crate::client::{Client, Tenant};
use crate::clock::Timestamp;
use crate::dialect::{Claim, Context, Dialect, Dpop, Outcome};
use crate::endpoint::Endpoint;
use crate::inspect::{Inspection, NotLive, OwnToken};
use crate::jose::dpop::{expected, verify_with};
use crate::pipeline::Verified;
use crate::policy::Language;
use crate::refusal::{Reason, Refusal};
use crate::standing::{Fallen, standing_of_token};
use crate::verification::{
    Bearing, Facts, Foreign, ForeignCall, Judgement, KeyProof, Kind, Question, Recognized, Verdict, Wanted,
    language_of, service_of,
};
use std::sync::Arc;

impl Pipeline {
    /// Answers an API. It is refused what is none of its business; whatever is wrong with the request that it shows is an
    /// answer.
    pub(super) fn verify<D: Dialect>(
        &self,
        dialect: &D,
        context: Context<'_>,
        verified: &Verified<D::Call>,
        question: &Question,
    ) -> Result<(Success, Outcome), Refusal> {
        let caller = verified.caller();
        let api =
            caller.client().ok_or_else(|| Refusal::internal("only a client asks about others' requests"))?;
        let (access, facts) = (question.access.as_ref(), &question.facts);
        let asking = Asking { context, api, tenant: caller.tenant(), access, facts };
        asking.of_an_api()?;
        let verdict = match &question.shown {
            Err(refusal) => Err(refusal.clone()),
            Ok(Foreign::Signed(call)) => self.signed(&asking, call)?,
            Ok(Foreign::Token(token)) => {
                asking.of_own_resource()?;
                self.bearer(dialect, &asking, token)
            }
        };
        Ok((Success::Facts, Outcome::Verified(verdict)))
    }

    fn signed(&self, asking: &Asking<'_>, call: &ForeignCall) -> Result<Verdict, Refusal> {
        let Claim::Signed(signed) = call.call().claim() else {
            return Err(Refusal::internal("a request without a signature was shown as one with it"));
        };
        let (language, prefix) =
            language_of(signed.kind).ok_or_else(|| Refusal::internal("a key that signs no request"))?;
        asking.of_own_service(language, prefix)?;
        Ok(self.signer(asking, call))
    }

    fn signer(&self, asking: &Asking<'_>, call: &ForeignCall) -> Verdict {
        let Asking { context, tenant, access, facts, .. } = *asking;
        let Proved { caller, objection } = shown_to_another(context, call.call(), tenant)?;
        if let Some(refusal) = objection {
            return Err(refusal);
        }
        self.uses.note(&caller, context.now);
        let found = match caller.proof() {
            Proof::Temporary { claims, id, client, .. } => {
                let of_client = client.as_ref().and_then(|client| client.boundary.as_ref());
                let came_by = |endpoint: &&Arc<Endpoint>| {
                    endpoint.path == claims.endpoint && endpoint.tenant == tenant.name
                };
                let endpoint = context.directory.plan().endpoints.iter().find(came_by);
                let of_endpoint = endpoint.and_then(|endpoint| endpoint.boundary.as_ref());
                let boundaries = || [of_client, of_endpoint, tenant.boundary.as_ref()].into_iter().flatten();
                Recognized {
                    decision: access
                        .map(|wanted| Judgement::of_policy(&claims.policy, boundaries(), wanted, facts)),
                    ..Recognized::temporary(tenant, claims, id)
                }
            }
            Proof::Key { client, key, .. } => {
                let expires = context.directory.key_end(key);
                Recognized {
                    decision: access.map(|_| Judgement::of_permanent_key()),
                    ..Recognized::permanent(tenant, client.guid, key, expires)
                }
            }
            Proof::Visitor(_) | Proof::Outside(_) => return Err(Refusal::internal("nobody signs so")),
        };
        Ok(Box::new(Recognized { weak: caller.weak(), ..found }))
    }

    fn bearer<D: Dialect>(&self, dialect: &D, asking: &Asking<'_>, shown: &Bearing) -> Verdict {
        let Asking { context, api, tenant, access, .. } = *asking;
        let invalid = |detail: &'static str| Refusal::new(Reason::TokenInvalid, detail);
        let found =
            self.authentic(dialect, context, tenant, &shown.token).map_err(|not_live| match not_live {
                NotLive::NotOurs(expected) => invalid("this is no access token of this tenant")
                    .because(format!("expected was {expected}")),
                NotLive::NotYet => invalid("the time of this access token has not begun"),
                NotLive::Fallen(_) => Refusal::new(Reason::TokenExpired, "this access token has run out"),
            })?;
        let Inspection { token, .. } = found;
        // Before its standing: whether a token of another API still counts is not this one's business.
        if !is_audience(context.directory, api, &token) {
            return Err(Refusal::new(Reason::WrongAudience, "this access token was made for another API"));
        }
        standing_of_token(context.directory, &token, context.now).map_err(|fallen| match fallen {
            Fallen::Expired => Refusal::new(Reason::TokenExpired, "this access token has run out"),
            fallen => Refusal::new(
                Reason::TokenRevoked,
                "this access token, or what it was issued from, was taken back",
            )
            .because(fallen),
        })?;
        check_holder(&token, shown, context.now)?;
        Ok(Box::new(Recognized {
            tenant: tenant.name.clone(),
            account: tenant.account.clone(),
            client: Some(token.client),
            key: token.id.to_string(),
            role: None,
            session: None,
            subject: token.subject.map(|subject| subject.to_string()),
            kind: Kind::AccessToken,
            expires: Some(token.expires),
            decision: access.map(|wanted| Judgement::of_app_roles(&token.app_roles, wanted)),
            app_roles: token.app_roles,
            weak: None,
            bound: token.confirmation,
        }))
    }
}

/// Whether a token was sent by the holder of the key that it is bound to.
///
/// The `jti` of a proof is not spent: a question is no use of what is shown.
fn check_holder(token: &OwnToken, shown: &Bearing, now: Timestamp) -> Result<(), Refusal> {
    let invalid = |detail: &'static str| Err(Refusal::new(Reason::TokenInvalid, detail));
    match (&token.confirmation, &shown.proof) {
        (None, None) => Ok(()),
        // Attack: a token that was stolen from the holder of the key is shown without the key, as a plain one
        // (RFC 9449, section 7.2).
        (Some(Confirmation::Key(_)), None) => invalid(
            "this access token is bound to a key; it must be sent as `Authorization: DPoP`, with a proof in the header DPoP",
        ),
        (Some(Confirmation::Key(thumbprint)), Some(KeyProof { jwt, method, url })) => {
            let dpop = Dpop { proof: jwt.token(), method, urls: std::slice::from_ref(url) };
            let proof = verify_with(&dpop, shown.token.token(), now)?;
            if proof.thumbprint == *thumbprint {
                return Ok(());
            }
            Err(expected("a proof of the key that the access token is bound to"))
        }
        (Some(Confirmation::Certificate(_)) | None, Some(_)) => {
            invalid("this access token was sent with a proof of a key, and it is bound to none")
        }
        (Some(Confirmation::Certificate(thumbprint)), None) => match &shown.certificate {
            Some(certificate) if certificate == thumbprint => Ok(()),
            Some(_) => {
                invalid("this access token is bound to another certificate than the connection has shown")
            }
            None => invalid(
                "this access token is bound to a certificate, and none is told of; send certificate_sha256 of the \
                 connection that it came by",
            ),
        },
    }
}

/// Who asks, and what for.
#[derive(Clone, Copy)]
struct Asking<'a> {
    context: Context<'a>,
    api: &'a Client,
    tenant: &'a Tenant,
    access: Option<&'a Wanted>,
    facts: &'a Facts,
}

impl Asking<'_> {
    /// Attack: a client that is the API of nothing is told by the answer whether what it has found is a good credential.
    fn of_an_api(&self) -> Result<(), Refusal> {
        if !self.api.audiences.is_empty() {
            return Ok(());
        }
        Err(Refusal::new(
            Reason::NotYours,
            "this client is the API of nothing; its operator gives it an audience, of the form cam:service or ram:service, or \
             an OAuth resource",
        ))
    }

    /// The same for access tokens, which are for OAuth resources alone.
    fn of_own_resource(&self) -> Result<(), Refusal> {
        if self.api.audiences.iter().any(|audience| service_of(audience).is_none()) {
            return Ok(());
        }
        Err(Refusal::new(
            Reason::NotYours,
            "this client is the API of no OAuth resource, and so no access token is made for it; its operator gives it the \
             resource as an audience",
        ))
    }

    /// An API asks about its own services alone. Attack: with the right to ask about everything, any one API could try
    /// out what the keys that it is shown open elsewhere.
    fn of_own_service(&self, language: Language, prefix: &str) -> Result<(), Refusal> {
        let own: Vec<_> = self
            .api
            .audiences
            .iter()
            .filter_map(|audience| service_of(audience))
            .filter(|(of, _)| *of == language)
            .map(|(_, service)| service)
            .collect();
        let not_yours = |detail: String| Err(Refusal::new(Reason::NotYours, detail));
        if own.is_empty() {
            return not_yours(format!(
                "this client is the API of no service whose requests are signed so; its operator gives it an audience \
                 of the form {prefix}service"
            ));
        }
        let Some(wanted) = self.access else { return Ok(()) };
        match wanted.service() {
            None => {
                let detail = "an action is service:Name, without wildcards";
                Err(Refusal::new(Reason::InvalidParameter, detail).parameter("action"))
            }
            Some(service) if own.contains(&service) => Ok(()),
            Some(_) => not_yours(format!(
                "the action is one of another service; this client is the API of {prefix}{}",
                own.join(&format!(", {prefix}"))
            )),
        }
    }
}
