//! OAuth 2.0 client credentials in the shape of Microsoft Entra.
//!
//! One request hands out a token, `POST /{tenant}/oauth2/v2.0/token`; everything else is a public document. The
//! order of checks is part of the contract, because it decides what a stranger learns: tenant, shape (grant type,
//! client id, one proof), client, secret, scope, and last the grant on the resource. A request without a usable
//! proof is refused before the client is looked up, so it learns nothing about clients.
//!
//! Sources: RFC 6749, RFC 8414, OpenID Connect Discovery 1.0, and Microsoft's "Microsoft identity platform and the
//! OAuth 2.0 client credentials flow" with its list of AADSTS codes.

mod call;
mod dpop;
pub(crate) mod elsewhere;
mod exchange;
mod explain;
mod fault;
mod form;
mod inspection;
mod metadata;
mod own;
mod place;
mod proof;
mod render;
mod revocations;
mod scope;
pub mod sign;
pub mod wire;

#[cfg(test)]
mod tests;

use daypass_core::clock::Timestamp;
use daypass_core::dialect::{Ask, Context, Dialect, Outcome};
use daypass_core::directory::Directory;
use daypass_core::endpoint::DialectName;
use daypass_core::inspect::OwnToken;
use daypass_core::pipeline::Verified;
use daypass_core::refusal::{Reason, Refusal};
use daypass_core::request::{Head, Request, Response};
use http::Method;
use http::header::CONTENT_TYPE;
use place::Place;
use serde_json::{Map, Value};
use uuid::Uuid;

pub use call::Call;

/// The dialect.
#[derive(Clone, Copy, Debug)]
pub struct Entra;

/// How to answer.
#[derive(Clone, Debug)]
pub struct Manner {
    /// Our id of the request: `trace_id`, and `x-ms-request-id`.
    request_id: Uuid,
    /// When the request came.
    at: Timestamp,
    /// The caller's own id of it, `client-request-id`. Only a GUID is taken: it goes into a header and a text.
    correlation: Option<Uuid>,
    /// The caller wants its id back as a header too.
    return_correlation: bool,
    /// What an exchange is to give; none where nothing is exchanged.
    exchange: Option<exchange::Wanted>,
    /// HTTP Basic was tried.
    basic: bool,
    /// A public document was asked for, not a token.
    document: bool,
    /// Where `error_uri` points. Empty for a request that never came to be read, which makes it a relative
    /// reference.
    public_url: String,
}

impl Manner {
    /// The id both sides can find the request by.
    fn correlation(&self) -> Uuid {
        self.correlation.unwrap_or(self.request_id)
    }
}

impl Dialect for Entra {
    type Manner = Manner;
    type Call = Call;

    fn name(&self) -> DialectName {
        DialectName::Entra
    }

    fn manner(&self, head: &Head) -> Manner {
        let in_query = || {
            form_urlencoded::parse(head.query.as_bytes()).find_map(|(name, value)| {
                (name == "client-request-id").then(|| place::guid(&value)).flatten()
            })
        };
        Manner {
            request_id: head.request_id,
            at: head.received,
            correlation: head.header("client-request-id").and_then(place::guid).or_else(in_query),
            return_correlation: head
                .header("return-client-request-id")
                .is_some_and(|value| value.eq_ignore_ascii_case("true")),
            exchange: None,
            basic: proof::is_basic(&head.headers),
            document: Place::of(&head.path).is_document(),
            public_url: String::new(),
        }
    }

    /// Answers the public documents. One that is refused is left to [`Entra::read`], so that the refusal is
    /// counted like any other.
    fn open(&self, context: Context<'_>, head: &Head) -> Option<Response> {
        let place = Place::of(&head.path);
        if matches!(place, Place::Explanation) && matches!(head.method, Method::GET | Method::HEAD) {
            return Some(explain::page(head));
        }
        let found =
            place.is_document().then(|| metadata::document(context.directory, place, head).ok()).flatten();
        found.map(|document| render::document(document, head))
    }

    /// All but the feed of revocations, which may be long.
    fn open_is_light(&self, head: &Head) -> bool {
        let place = Place::of(&head.path);
        place.is_document() && !matches!(place, Place::Revocations(_))
    }

    fn read(&self, context: Context<'_>, request: Request, manner: &mut Manner) -> Result<Call, Refusal> {
        let directory = context.directory;
        manner.public_url.clone_from(&directory.plan().public_url);
        let place = Place::of(&request.head.path);
        match place {
            Place::Token(tenant) | Place::Introspect(tenant) | Place::Revoke(tenant) => {
                Call::read(directory, place, tenant, &request, manner)
            }
            Place::Authorize(tenant) => Err(no_sign_in(directory, tenant)),
            Place::Metadata(..) | Place::Keys(_) | Place::Instance | Place::Revocations(_) => {
                let refused = metadata::document(directory, place, &request.head).err();
                Err(refused.unwrap_or_else(|| Refusal::internal("a document was read as a token request")))
            }
            Place::Explanation | Place::Nowhere => Err(nothing_here()),
        }
    }

    fn ask(&self, _: Context<'_>, verified: &Verified<Call>) -> Result<Ask, Refusal> {
        verified.call().ask()
    }

    fn own_token(&self, context: Context<'_>, claims: &Map<String, Value>) -> Option<OwnToken> {
        own::token(context, claims)
    }

    fn render(&self, manner: &Manner, outcome: Outcome) -> Response {
        match outcome {
            Outcome::Granted(recorded) => render::granted(manner, recorded.get()),
            Outcome::Refused(refusal) => render::refused(manner, &refusal),
            Outcome::Inspected(found) => render::inspected(manner, found.as_deref()),
            Outcome::Revoked => render::revoked(manner),
            Outcome::Facts(_) | Outcome::Ticket(_) | Outcome::Verified(_) | Outcome::Explained(_) => {
                render::refused(manner, &Refusal::internal("facts were found and nobody asked for any"))
            }
        }
    }
}

/// Exactly one content type, in any case, whatever charset it names: authlib, MSAL for Node and openid-client
/// add one, and the text is UTF-8 all the same.
fn is_form(head: &Head) -> bool {
    let essence = head.header(CONTENT_TYPE.as_str()).and_then(|value| value.split(';').next());
    essence.is_some_and(|essence| essence.trim().eq_ignore_ascii_case("application/x-www-form-urlencoded"))
}

fn missing(name: &'static str) -> Refusal {
    Refusal::new(
        Reason::MissingParameter,
        format!("the request body must contain the parameter '{name}', with a value"),
    )
    .parameter(name)
}

fn unsupported_grant(detail: &'static str) -> Refusal {
    Refusal::new(Reason::UnsupportedGrant, detail).parameter("grant_type")
}

fn no_sign_in(directory: &Directory, tenant: &str) -> Refusal {
    match place::tenant(directory, tenant) {
        Ok(_) => unsupported_grant(
            "nobody can sign in here; applications POST grant_type=client_credentials to the token endpoint",
        ),
        Err(refusal) => refusal,
    }
}

fn nothing_here() -> Refusal {
    Refusal::new(
        Reason::UnknownAction,
        "there is nothing at this path; tokens are handed out at /{tenant}/oauth2/v2.0/token",
    )
}
