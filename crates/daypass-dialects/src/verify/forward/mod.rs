//! Questions of reverse proxies: nginx's `auth_request`, Caddy's `forward_auth`, Traefik's `ForwardAuth` and Envoy's
//! `ext_authz` over HTTP.
//!
//! A proxy shows the head of a request and asks what `/v1/verify` is asked: who sent it, and may they? What they must be
//! allowed is said by the rules of the configuration, not by the question. Status 200 lets the request through, with who it
//! is in headers; 401 and 403 are about its sender; anything else is about the question, and lets nothing through
//! (decision 0032).
//!
//! | file | says |
//! |---|---|
//! | `passed` | where the request stands in the question, and which ones have two readings |
//! | `identity` | the headers for the API |
//! | `fault` | the status of what is refused |

mod fault;
mod identity;
mod passed;

pub use identity::IDENTITY;
pub use passed::API;

use super::bearing::Held;
use super::facts::Facts;
use super::scheme::Scheme;
use crate::answer::json;
use crate::basic::{self, Credentials};
use crate::entra::elsewhere::own_token;
use bytes::Bytes;
use daypass_core::caller::How;
use daypass_core::client::Tenant;
use daypass_core::dialect::{Ask, Call, Claim, Context, Dialect, Outcome, Presented};
use daypass_core::endpoint::DialectName;
use daypass_core::forward::{ForwardAuth, Shows};
use daypass_core::inspect::OwnToken;
use daypass_core::pipeline::Verified;
use daypass_core::refusal::{Reason, Refusal};
use daypass_core::request::{Head, Request, Response};
use daypass_core::verification::{self, Foreign, Question, Recognized};
use http::header::{CACHE_CONTROL, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{Method, StatusCode};
use passed::Passed;
use serde::Serialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::sync::Arc;
use uuid::Uuid;

/// The dialect, at one configured path.
#[derive(Clone, Debug)]
pub struct Forward(Arc<ForwardAuth>);

impl Forward {
    /// For the questions that are asked there.
    pub fn new(forward: Arc<ForwardAuth>) -> Self {
        Self(forward)
    }
}

/// How to answer.
pub struct Manner {
    request_id: Uuid,
}

/// A question that is not believed yet.
pub struct ForwardCall {
    tenant: Arc<Tenant>,
    api: Credentials,
    /// The request that it is about; or why that cannot be told.
    passed: Result<Passed, Refusal>,
}

impl Call for ForwardCall {
    fn claim(&self) -> Claim<'_> {
        let Self { tenant, api: Credentials { client, secrets }, .. } = self;
        Claim::Secret(Presented { tenant, client, secrets, how: How::ClientSecretBasic })
    }
}

impl Dialect for Forward {
    type Manner = Manner;
    type Call = ForwardCall;

    fn name(&self) -> DialectName {
        DialectName::ForwardAuth
    }

    fn manner(&self, head: &Head) -> Manner {
        Manner { request_id: head.request_id }
    }

    fn read(&self, context: Context<'_>, request: Request, _: &mut Manner) -> Result<ForwardCall, Refusal> {
        let forward = &*self.0;
        // Envoy asks with the method of the request itself.
        if !forward.proxy.appends_path() && request.head.method != Method::GET {
            return Err(Refusal::new(Reason::MethodNotAllowed, "this proxy asks with GET"));
        }
        let tenant = context.directory.tenant(&forward.tenant);
        Ok(ForwardCall {
            tenant: tenant
                .cloned()
                .ok_or_else(|| Refusal::internal("the tenant of this path is not there"))?,
            api: api(&request.head)?,
            passed: Passed::read(forward, &request.head),
        })
    }

    fn ask(&self, context: Context<'_>, verified: &Verified<ForwardCall>) -> Result<Ask, Refusal> {
        // Judged only now, so that a stranger finds out no rule. Whatever is wrong with a request is an answer and no
        // refusal, so that nobody fills the records by sending odd ones.
        let judged = verified.call().passed.as_ref().map_err(Refusal::clone).and_then(|passed| {
            let wanted = self.0.wanted(&passed.method, &passed.target)?;
            Ok((self.shown(context, passed)?, wanted.clone()))
        });
        let (shown, wanted) = match judged {
            Ok((shown, wanted)) => (Ok(shown), Some(wanted)),
            Err(refusal) => (Err(refusal), None),
        };
        // The time is known. The address is not: what a proxy says of it is not always its sender's.
        let facts = verification::Facts::new(Facts::of(&BTreeMap::new(), &[], context.now)?);
        Ok(Ask::Verify(Box::new(Question { facts, ..Question::new(shown, wanted) })))
    }

    fn own_token(&self, context: Context<'_>, claims: &Map<String, Value>) -> Option<OwnToken> {
        own_token(context, claims)
    }

    fn render(&self, manner: &Manner, outcome: Outcome) -> Response {
        match outcome {
            Outcome::Verified(Ok(found)) => self.known(manner, &found),
            Outcome::Verified(Err(refusal)) => {
                self.refused(manner, fault::of_request(refusal.reason), &refusal)
            }
            Outcome::Refused(refusal) => self.refused(manner, fault::of_question(refusal.reason), &refusal),
            Outcome::Granted(_)
            | Outcome::Ticket(_)
            | Outcome::Facts(_)
            | Outcome::Inspected(_)
            | Outcome::Revoked
            | Outcome::Explained(_) => {
                let refusal = Refusal::internal("nothing here asks for that");
                self.refused(manner, fault::of_question(refusal.reason), &refusal)
            }
        }
    }
}

impl Forward {
    fn scheme(&self) -> Scheme {
        match self.0.shows {
            Shows::AccessToken => Scheme::Bearer,
            Shows::SoeSignature => Scheme::Soe,
        }
    }

    /// The proof that a request carries, read by the code that reads those of `/v1/verify`.
    fn shown(&self, context: Context<'_>, passed: &Passed) -> Result<Foreign, Refusal> {
        let scheme = Scheme::of(&passed.essence, None)?;
        if scheme != self.scheme() {
            let detail = "the request carries a proof of another form than the one that is taken here";
            return Err(Refusal::new(Reason::MissingProof, detail));
        }
        // The host is one of the configuration's, so that a proof for another API is one for another URL.
        let held = Held::read(Some(passed.url.clone()), None)?;
        // Services concern signatures that name one, and none of those is read here.
        scheme.read(context, &passed.essence, &[], &held)
    }

    fn known(&self, manner: &Manner, found: &Recognized) -> Response {
        let allowed = found.decision.as_ref().is_some_and(|decision| decision.why.allows());
        if allowed {
            let mut response = Response::new(Bytes::new());
            identity::write(response.headers_mut(), found, self.0.shows, manner.request_id);
            response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
            return response;
        }
        let mut response = failed(manner, StatusCode::FORBIDDEN, "insufficient_scope", "this is not allowed");
        self.challenge(&mut response, Some("insufficient_scope"));
        response
    }

    fn refused(&self, manner: &Manner, status: StatusCode, refusal: &Refusal) -> Response {
        let us = "this request cannot be judged now";
        let (error, description) = match status {
            StatusCode::UNAUTHORIZED => ("invalid_token", &*refusal.detail),
            StatusCode::FORBIDDEN => ("access_denied", &*refusal.detail),
            // Some proxies hand this on to whoever sent the request, whom the proxy's own secret does not concern.
            StatusCode::SERVICE_UNAVAILABLE => ("temporarily_unavailable", us),
            _ => ("server_error", us),
        };
        let mut response = failed(manner, status, error, description);
        if status == StatusCode::UNAUTHORIZED {
            // RFC 6750 (3.1): a code is for those who have shown something.
            self.challenge(&mut response, (refusal.reason != Reason::MissingProof).then_some(error));
        }
        if let Some(seconds) = refusal.retry_after.filter(|_| status == StatusCode::SERVICE_UNAVAILABLE) {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }

    /// What the request must show. There is no name for signatures.
    fn challenge(&self, response: &mut Response, error: Option<&'static str>) {
        let value = match (self.0.shows, error) {
            (Shows::SoeSignature, _) => return,
            (Shows::AccessToken, Some("insufficient_scope")) => "Bearer error=\"insufficient_scope\"",
            (Shows::AccessToken, Some(_)) => "Bearer error=\"invalid_token\"",
            (Shows::AccessToken, None) => "Bearer",
        };
        response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static(value));
    }
}

/// The proof of the proxy's API: HTTP Basic in a header of its own, since `Authorization` is the request's.
///
/// There is no other way. Attack: with an address as the proof, any program on the same machine or network could try out what
/// tokens open.
fn api(head: &Head) -> Result<Credentials, Refusal> {
    let mut values = head.headers.get_all(API).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => {
            let bytes = value
                .as_bytes()
                .split_at_checked(6)
                .filter(|(scheme, _)| scheme.eq_ignore_ascii_case(b"basic "));
            let (_, pair) = bytes.ok_or_else(|| {
                Refusal::new(
                    Reason::MalformedProof,
                    "X-Daypass-Api is the word Basic and the API's credentials in Base64",
                )
            })?;
            basic::read(pair.trim_ascii())
        }
        (None, _) => Err(Refusal::new(Reason::MissingProof, "the proxy must send X-Daypass-Api")),
        (Some(_), Some(_)) => {
            Err(Refusal::new(Reason::SeveralProofs, "the header X-Daypass-Api stands twice"))
        }
    }
}

/// Why a request is not let through.
#[derive(Serialize)]
struct Failed<'a> {
    error: &'static str,
    error_description: &'a str,
    request_id: Uuid,
}

fn failed(manner: &Manner, status: StatusCode, error: &'static str, error_description: &str) -> Response {
    let mut response = json(&Failed { error, error_description, request_id: manner.request_id });
    *response.status_mut() = status;
    response
}
