//! Questions of callers about decisions of their own: `GET /v1/explain/{request id}`.
//!
//! Whoever was given or refused something may ask with the id of that answer why. It proves itself as it did then: with
//! the key that signed, by TC3 or ACS3 over this very request, or as the OAuth client that it is. It is told of records of
//! its own client alone, and of those what concerns it (decision 0033).
//!
//! | file | says |
//! |---|---|
//! | `ask` | which answer is meant, and who says so |
//! | [`wire`] | what is told |

mod ask;
#[cfg(test)]
mod tests;
pub mod wire;

use crate::answer::json;
use crate::entra::elsewhere::ClientProof;
use crate::verify::fault;
use daypass_core::dialect::{Ask, Call, Claim, Context, Dialect, Outcome};
use daypass_core::endpoint::DialectName;
use daypass_core::explained::Lookup;
use daypass_core::pipeline::Verified;
use daypass_core::refusal::{Reason, Refusal};
use daypass_core::request::{Head, Request, Response};
use daypass_core::secret::{SigningKey, Witness};
use daypass_core::verification::ForeignCall;
use http::StatusCode;
use http::header::{ALLOW, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use uuid::Uuid;
use wire::{Failed, Told};

/// The dialect.
#[derive(Clone, Copy, Debug, Default)]
pub struct Explain;

/// A question that is not believed yet.
pub struct ExplainCall {
    proof: Proof,
    wanted: Lookup,
}

/// How whoever asks proves who it is.
enum Proof {
    /// As an OAuth client.
    Client(Box<ClientProof>),
    /// It has signed the question.
    Signed(ForeignCall),
}

impl Call for ExplainCall {
    fn claim(&self) -> Claim<'_> {
        match &self.proof {
            Proof::Client(proof) => proof.claim(),
            Proof::Signed(call) => call.claim(),
        }
    }

    fn verify(&self, key: &SigningKey<'_>) -> Option<Witness> {
        match &self.proof {
            Proof::Client(_) => None,
            Proof::Signed(call) => call.verify(key),
        }
    }
}

impl Dialect for Explain {
    /// The id of the question itself.
    type Manner = Uuid;
    type Call = ExplainCall;

    fn name(&self) -> DialectName {
        DialectName::Explain
    }

    fn manner(&self, head: &Head) -> Uuid {
        head.request_id
    }

    fn read(&self, context: Context<'_>, request: Request, _: &mut Uuid) -> Result<ExplainCall, Refusal> {
        let wanted = ask::wanted(&request.head)?;
        Ok(ExplainCall { proof: ask::proof(context, &request)?, wanted })
    }

    fn ask(&self, _: Context<'_>, verified: &Verified<ExplainCall>) -> Result<Ask, Refusal> {
        Ok(Ask::Explain(verified.call().wanted))
    }

    fn render(&self, question: &Uuid, outcome: Outcome) -> Response {
        match outcome {
            Outcome::Explained(Some(own)) => json(&Told::of(own.record())),
            Outcome::Explained(None) => failed(
                StatusCode::NOT_FOUND,
                &Failed {
                    error: "not_found",
                    error_description: "no decision about this client has this id; answers to questions and a credential \
                                        that was handed out a second time have none",
                    request_id: *question,
                },
            ),
            Outcome::Refused(refusal) => refused(*question, &refusal),
            Outcome::Granted(_)
            | Outcome::Ticket(_)
            | Outcome::Facts(_)
            | Outcome::Inspected(_)
            | Outcome::Revoked
            | Outcome::Verified(_) => refused(*question, &Refusal::internal("nothing here asks for that")),
        }
    }
}

fn refused(request_id: Uuid, refusal: &Refusal) -> Response {
    let (status, error) = fault::of(refusal.reason);
    // Whether a client or a key exists is not for those who have none of its secrets.
    let error_description = match refusal.reason {
        Reason::UnknownClient | Reason::WrongSecret => "there is no such client, or its secret is not right",
        Reason::UnknownKey | Reason::WrongSignature => {
            "there is no such key, or the signature is not the one that it makes over this request"
        }
        _ => &refusal.detail,
    };
    let mut response = failed(status, &Failed { error, error_description, request_id });
    if let Some(seconds) = refusal.retry_after {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

fn failed(status: StatusCode, document: &Failed<'_>) -> Response {
    let mut response = json(document);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    match status {
        StatusCode::UNAUTHORIZED => {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"daypass\""));
        }
        StatusCode::METHOD_NOT_ALLOWED => {
            headers.insert(ALLOW, HeaderValue::from_static("GET, POST"));
        }
        _ => {}
    }
    response
}
