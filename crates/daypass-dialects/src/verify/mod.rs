//! Questions of APIs about the requests that they get: `POST /v1/verify`.
//!
//! An API that is not ours accepts the credentials that Daypass hands out. It shows the essence of a request, whichever
//! vendor's way that was signed in, and is told who sent it and whether an action on a resource is allowed. The API is an
//! OAuth client, and asks about what it is registered as the API of, and about nothing else (decision 0024).
//!
//! | file | says |
//! |---|---|
//! | `ask` | the question, as JSON |
//! | `essence` | the request that was received |
//! | `bearing` | an access token, and what shows that its sender holds its key |
//! | `facts` | what the API states for conditions |
//! | `scheme` | how it proves its sender, and who reads that |
//! | [`wire`] | the answers |
//! | `fault` | the status of a question that is refused |
//! | [`forward`] | the same question, as reverse proxies ask it |

mod ask;
mod bearing;
pub(crate) mod essence;
mod facts;
pub(crate) mod fault;
pub mod forward;
mod scheme;
#[cfg(test)]
mod tests;
pub mod wire;

use crate::answer::json;
use crate::condition::Context as Conditions;
use crate::entra::elsewhere::{ClientProof, own_token};
use ask::Asked;
use bearing::Held;
use daypass_core::dialect::{Ask, Call, Claim, Context, Dialect, Outcome};
use daypass_core::endpoint::DialectName;
use daypass_core::inspect::OwnToken;
use daypass_core::pipeline::Verified;
use daypass_core::policy::Language;
use daypass_core::refusal::{Reason, Refusal};
use daypass_core::request::{Head, Request, Response};
use daypass_core::verification::{self, Question, Wanted, service_of};
use essence::Essence;
use facts::Facts;
use http::header::{ALLOW, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{Method, StatusCode};
use scheme::Scheme;
use serde_json::{Map, Value};
use uuid::Uuid;
use wire::{Failed, Nobody, Sender};

/// The dialect.
#[derive(Clone, Copy, Debug, Default)]
pub struct Verify;

/// How to answer.
pub struct Manner {
    request_id: Uuid,
    /// The way of the request that was shown, once it is known.
    scheme: Option<Scheme>,
}

/// A question that is not believed yet.
pub struct VerifyCall {
    proof: ClientProof,
    essence: Essence,
    /// The way of the request that is shown; or why it has none.
    scheme: Result<Scheme, Refusal>,
    access: Option<Wanted>,
    held: Held,
    stated: Conditions,
}

impl Call for VerifyCall {
    fn claim(&self) -> Claim<'_> {
        self.proof.claim()
    }
}

impl Dialect for Verify {
    type Manner = Manner;
    type Call = VerifyCall;

    fn name(&self) -> DialectName {
        DialectName::Verify
    }

    fn manner(&self, head: &Head) -> Manner {
        Manner { request_id: head.request_id, scheme: None }
    }

    fn read(
        &self,
        context: Context<'_>,
        request: Request,
        manner: &mut Manner,
    ) -> Result<VerifyCall, Refusal> {
        if request.head.method != Method::POST {
            return Err(Refusal::new(Reason::MethodNotAllowed, "questions are asked with POST"));
        }
        let Asked { members, essence, scheme, access, held, stated } = Asked::read(&request)?;
        let proof = ClientProof::read(context, &request.head, members)?;
        let scheme = Scheme::of(&essence, scheme);
        manner.scheme = scheme.as_ref().ok().copied();
        Ok(VerifyCall { proof, essence, scheme, access, held, stated })
    }

    fn ask(&self, context: Context<'_>, verified: &Verified<VerifyCall>) -> Result<Ask, Refusal> {
        let VerifyCall { essence, scheme, access, held, stated, .. } = verified.call();
        if scheme.as_ref().is_ok_and(|scheme| scheme.lacks_body(essence)) {
            return Err(Refusal::new(
                Reason::MissingParameter,
                "what is signed here are the parameters in the body; send body, in Base64, in place of its hash",
            )
            .parameter("body"));
        }
        if held.lacks_url(essence) {
            return Err(Refusal::new(
                Reason::MissingParameter,
                "a proof of a key is about the URL that its request was sent to; send url as clients see it",
            )
            .parameter("url"));
        }
        // Read now, so that a stranger makes nobody parse anything.
        let audiences =
            verified.caller().client().map(|client| client.audiences.as_slice()).unwrap_or_default();
        let services: Vec<_> = audiences.iter().filter_map(|audience| service_of(audience)).collect();
        let facts = Facts::of(stated, &services, context.now)?;
        let services: Vec<_> =
            services.into_iter().filter(|(of, _)| *of == Language::Cam).map(|(_, service)| service).collect();
        let shown = scheme.clone().and_then(|scheme| scheme.read(context, essence, &services, held));
        let facts = verification::Facts::new(facts);
        Ok(Ask::Verify(Box::new(Question { facts, ..Question::new(shown, access.clone()) })))
    }

    fn own_token(&self, context: Context<'_>, claims: &Map<String, Value>) -> Option<OwnToken> {
        own_token(context, claims)
    }

    fn render(&self, manner: &Manner, outcome: Outcome) -> Response {
        match outcome {
            Outcome::Verified(Ok(found)) => json(&Sender::new(&found, manner.scheme)),
            Outcome::Verified(Err(refusal)) => json(&Nobody::new(&refusal, manner.scheme)),
            Outcome::Granted(_)
            | Outcome::Ticket(_)
            | Outcome::Facts(_)
            | Outcome::Inspected(_)
            | Outcome::Revoked
            | Outcome::Explained(_) => refused(manner, &Refusal::internal("nothing here asks for that")),
            Outcome::Refused(refusal) => refused(manner, &refusal),
        }
    }
}

fn refused(manner: &Manner, refusal: &Refusal) -> Response {
    let (status, error) = fault::of(refusal.reason);
    // Whether a client exists is not for those who have none of its secrets.
    let error_description = match refusal.reason {
        Reason::UnknownClient | Reason::WrongSecret => "there is no such client, or its secret is not right",
        _ => &refusal.detail,
    };
    let mut response = json(&Failed { error, error_description, request_id: manner.request_id });
    *response.status_mut() = status;
    let headers = response.headers_mut();
    match status {
        StatusCode::UNAUTHORIZED => {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"daypass\""));
        }
        StatusCode::METHOD_NOT_ALLOWED => {
            headers.insert(ALLOW, HeaderValue::from_static("POST"));
        }
        _ => {}
    }
    if let Some(seconds) = refusal.retry_after {
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}
