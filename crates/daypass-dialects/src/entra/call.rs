//! A request that is not believed yet: who sends it, and what for.

use super::form::Form;
use super::place::{self, Place};
use super::proof::{self, Shown as Proof};
use super::wire::{issuer, token_path};
use super::{Manner, dpop, exchange, is_form, missing, scope, unsupported_grant};
use daypass_core::client::Tenant;
use daypass_core::dialect::{
    self, Ask, Claim, Dpop, Exchange, Form as CredentialForm, Issue, RoleChoice, Shown,
};
use daypass_core::directory::{Directory, Plan};
use daypass_core::peer::Peer;
use daypass_core::refusal::{Reason, Refusal};
use daypass_core::request::{Head, Request};
use daypass_core::role::TokenVersion;
use http::Method;
use std::sync::Arc;
use uuid::Uuid;

/// A request that is not believed yet.
pub struct Call {
    tenant: Arc<Tenant>,
    proof: Proof,
    peer: Option<Arc<Peer>>,
    dpop: Option<dpop::Shown>,
    /// What an assertion may call us.
    names: Vec<String>,
    what: What,
    correlation: Option<Uuid>,
}

/// What is asked for, as far as it was read.
enum What {
    /// A token for a resource, and which one was refused.
    Token { scope: Option<String>, refused: Option<String> },
    /// A credential in exchange for a token.
    Exchange(exchange::Parameters),
    /// What a token is.
    Introspect(Shown),
    /// That a token counts no more.
    Revoke(Shown),
}

impl Call {
    /// Reads a request for the place that it came to.
    pub(super) fn read(
        directory: &Directory,
        place: Place<'_>,
        tenant: &str,
        request: &Request,
        manner: &mut Manner,
    ) -> Result<Self, Refusal> {
        let tenant = place::tenant(directory, tenant)?;
        let head = &request.head;
        let mut form = body(request)?;
        manner.correlation = manner.correlation.or_else(|| form.correlation.as_deref().and_then(place::guid));
        let what = what(place, &mut form)?;
        if let What::Exchange(parameters) = &what {
            manner.exchange = Some(parameters.wanted);
        }
        let peer = head.peer.clone();
        let proof = proof::credentials(&head.headers, &mut form, peer.as_deref())
            .map_err(|refusal| unauthenticated(place, refusal))?;
        let plan = directory.plan();
        Ok(Self {
            dpop: if matches!(place, Place::Token(_)) { dpop::read(plan, tenant, head)? } else { None },
            names: if matches!(proof, Proof::Assertion { .. }) { names(plan, tenant, head) } else { vec![] },
            proof,
            tenant: tenant.clone(),
            peer,
            what,
            correlation: manner.correlation,
        })
    }

    /// What it asks for.
    pub(super) fn ask(&self) -> Result<Ask, Refusal> {
        Ok(match &self.what {
            What::Token { scope, refused } => {
                Ask::Issue(Box::new(Issue { refused: refused.clone(), ..self.issue(scope.as_deref())? }))
            }
            What::Exchange(parameters) => Ask::Exchange(Box::new(Exchange {
                subject: parameters.subject.clone(),
                issue: Issue { correlation: self.correlation(), ..parameters.issue()? },
            })),
            What::Introspect(token) => Ask::Inspect(token.clone()),
            What::Revoke(token) => Ask::Revoke(token.clone()),
        })
    }

    fn issue(&self, scope: Option<&str>) -> Result<Issue, Refusal> {
        let role = RoleChoice::Resource(scope::resource(scope.ok_or_else(|| missing("scope"))?)?);
        Ok(Issue { correlation: self.correlation(), ..Issue::new(role, CredentialForm::Bearer) })
    }

    fn correlation(&self) -> Option<String> {
        self.correlation.map(|id| id.to_string())
    }
}

impl dialect::Call for Call {
    fn claim(&self) -> Claim<'_> {
        self.proof.claim(&self.tenant, self.peer.as_deref(), &self.names)
    }

    fn dpop(&self) -> Option<Dpop<'_>> {
        self.dpop.as_ref().map(dpop::Shown::about)
    }
}

/// The form of a request, which is a POST without a credential in its URL.
fn body(request: &Request) -> Result<Form, Refusal> {
    let Request { head, body } = request;
    if head.method != Method::POST {
        return Err(Refusal::new(Reason::MethodNotAllowed, "this endpoint only accepts POST requests"));
    }
    proof::refuse_in_query(&head.query)?;
    if !body.is_empty() && !is_form(head) {
        return Err(Refusal::new(
            Reason::UnsupportedMediaType,
            "the body must be a form; send it as Content-Type: application/x-www-form-urlencoded",
        ));
    }
    Form::read(body)
}

fn what(place: Place<'_>, form: &mut Form) -> Result<What, Refusal> {
    let token = |form: &mut Form| form.token.take().map(Shown::new).ok_or_else(|| missing("token"));
    match place {
        Place::Introspect(_) => return Ok(What::Introspect(token(form)?)),
        Place::Revoke(_) => return Ok(What::Revoke(token(form)?)),
        _ => {}
    }
    match form.grant_type.as_deref() {
        Some("client_credentials") => {
            Ok(What::Token { scope: form.scope.take(), refused: form.refused_token_sha256.take() })
        }
        Some(exchange::GRANT) => exchange::Parameters::read(form).map(What::Exchange),
        Some(_) => Err(unsupported_grant("the grant types here are client_credentials and token-exchange")),
        None => Err(missing("grant_type")),
    }
}

/// Who does not even say which client it is has not authenticated, which is 401 where RFC 7662 (2.1) and RFC 7009 (2.1)
/// speak. At the token endpoint the parameter is missing first, as at Entra's.
fn unauthenticated(place: Place<'_>, refusal: Refusal) -> Refusal {
    let nameless =
        refusal.reason == Reason::MissingParameter && refusal.parameter.as_deref() == Some("client_id");
    if !nameless || matches!(place, Place::Token(_)) {
        return refusal;
    }
    let detail = "the request does not authenticate a client; send client_id with client_secret or client_assertion in the \
                  body, or use HTTP Basic";
    Refusal::new(Reason::MissingProof, detail).parameter("client_id")
}

/// What an assertion may call us: the token endpoint, the endpoint that it is sent to, or either issuer. MSAL takes the
/// token endpoint, openid-client the issuer, and who shows a certificate as well may call us by the address for that.
pub(super) fn names(plan: &Plan, tenant: &Tenant, head: &Head) -> Vec<String> {
    let base = &plan.public_url;
    let mut names = vec![format!("{base}{}", token_path(tenant.guid))];
    let called = format!("{base}{}", head.path);
    if !names.contains(&called) {
        names.push(called);
    }
    names.extend([TokenVersion::V2, TokenVersion::V1].map(|version| issuer(base, tenant.guid, version)));
    names.extend(plan.mutual_tls_url.iter().map(|base| format!("{base}{}", head.path)));
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entra::Entra;
    use daypass_core::dialect::{Context, Dialect};
    use daypass_core::testing::{ACME, START, World, request};

    fn issue(extra: &str) -> Issue {
        let directory = World::new().directory();
        let form =
            format!("grant_type=client_credentials&client_id=a&client_secret=b&scope=r%2F.default{extra}");
        let kind = [("content-type", "application/x-www-form-urlencoded")];
        let request = request("POST", &token_path(ACME), &kind, form.as_bytes());
        let mut manner = Entra.manner(&request.head);
        let context = Context { directory: &directory, now: START };
        let call = Entra.read(context, request, &mut manner).unwrap_or_else(|r| panic!("{r:?}"));
        let Ok(Ask::Issue(issue)) = call.ask() else { panic!("an ask for a token") };
        *issue
    }

    #[test]
    fn which_token_was_refused_reaches_whoever_makes_the_next() {
        const HASH: &str = "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU";
        assert_eq!(issue("").refused, None);
        let named = issue(&format!("&refused_token_sha256={HASH}"));
        assert_eq!(named.refused.as_deref(), Some(HASH));
        assert_eq!(named.role, RoleChoice::Resource("r".into()));
    }
}
