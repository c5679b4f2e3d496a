//! Endpoints whose callers carry no signature: pages, apps, and SDKs that fetch a URL.
//!
//! Everything about the credential stands in the endpoint's configuration; a request says who its user is and nothing
//! else. A query's `ticket` is read, the rest of it is ignored. Where the endpoint knows its callers by tickets,
//! `POST <path>/ticket` makes them for the page's backend.
//!
//! All of this is the same for every vendor. What a vendor's SDKs read, and what they must be told when they are
//! refused, is a [`Vendor`].
//!
//! | file | says |
//! |---|---|
//! | `evidence` | what a visitor shows of itself |
//! | `fetch` | what a browser says about a request |
//! | `cors` | which page may read an answer |
//! | `desk` | where tickets are made |
//! | `answer`, `wire` | what is said |

mod answer;
mod cors;
mod desk;
mod evidence;
mod fetch;
#[cfg(test)]
pub(crate) mod fixture;
mod wire;

use cors::Origin;
use daypass_core::credential::Granted;
use daypass_core::dialect::{
    self, Ask, Claim, Context, Dialect, Evidence, Form, Issue, Outcome, RoleChoice, Visit,
};
use daypass_core::endpoint::{DialectName, Endpoint, Shape, Whence};
use daypass_core::pipeline::Verified;
use daypass_core::refusal::{Reason, Refusal};
use daypass_core::request::{Head, Request, Response};
use daypass_core::triple::TripleKind;
use desk::DeskCall;
use http::{Method, StatusCode};
use std::borrow::Cow;
use std::marker::PhantomData;
use std::sync::Arc;

/// What stands behind an endpoint's path where its tickets are made.
pub const DESK: &str = "/ticket";

/// What a vendor's SDKs read.
pub trait Vendor: Send + Sync + 'static {
    /// The dialect.
    const DIALECT: DialectName;
    /// Whose credentials are handed out.
    const TRIPLE: TripleKind;

    /// A credential in this shape; none where the shape is another vendor's, or what was granted is no triple.
    fn issued(shape: Shape, granted: &Granted, request_id: &str) -> Option<Response>;

    /// The status and the code of a refusal.
    fn fault(reason: Reason) -> (StatusCode, &'static str);

    /// What people are told of a refusal.
    fn message(refusal: &Refusal) -> Cow<'static, str>;

    /// A refusal for the SDKs that read this shape.
    fn failed(shape: Shape, failure: &Failure<'_>) -> Response;

    /// A refusal for a backend that wants a ticket: it has an HTTP library of its own, and no SDK.
    fn failed_at_desk(failure: &Failure<'_>) -> Response;
}

/// A refusal on its way to whoever asked.
pub struct Failure<'a> {
    /// What HTTP calls it.
    pub status: StatusCode,
    /// What the vendor calls it.
    pub code: &'static str,
    /// A sentence for people.
    pub message: &'a str,
    /// Our id of the request.
    pub request_id: &'a str,
}

/// The endpoint at one configured path.
pub struct Visited<V> {
    endpoint: Arc<Endpoint>,
    vendor: PhantomData<V>,
}

impl<V: Vendor> Visited<V> {
    /// Serves this endpoint.
    pub fn new(endpoint: Arc<Endpoint>) -> Self {
        Self { endpoint, vendor: PhantomData }
    }

    fn place(&self, head: &Head) -> Place {
        match head.path.strip_prefix(self.endpoint.path.as_str()) {
            Some(DESK) => Place::Desk,
            _ => Place::Page,
        }
    }

    fn visit(&self, context: Context<'_>, head: &Head, sent: &Origin) -> Result<PageCall, Refusal> {
        if head.method != Method::GET {
            return Err(Refusal::new(Reason::MethodNotAllowed, "this address answers to GET alone"));
        }
        let origin = fetch::origin(head, sent, &context.directory.plan().public_url)?;
        let evidence = evidence::read(head, &self.endpoint)?;
        // Who serves anyone from anywhere may be looked at in the address bar.
        let open = self.endpoint.anonymous() == Some(&Whence::Anywhere);
        if evidence.is_some() || !open || !fetch::is_typed(head) {
            fetch::check(head)?;
        }
        Ok(PageCall { endpoint: self.endpoint.clone(), evidence, origin })
    }
}

/// Which of the endpoint's two addresses was called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// The visitors'.
    Page,
    /// The backend's, where tickets are made.
    Desk,
}

/// How an answer is given.
pub struct Manner {
    request_id: String,
    place: Place,
    origin: Origin,
}

/// A request that is not believed yet.
pub struct Call(Called);

enum Called {
    Page(PageCall),
    Desk(DeskCall),
}

/// A visitor's request.
struct PageCall {
    endpoint: Arc<Endpoint>,
    evidence: Option<Evidence>,
    origin: Option<String>,
}

impl dialect::Call for Call {
    fn claim(&self) -> Claim<'_> {
        match &self.0 {
            Called::Page(PageCall { endpoint, evidence, origin }) => {
                Claim::Visitor(Visit { endpoint, evidence: evidence.as_ref(), origin: origin.as_deref() })
            }
            Called::Desk(call) => call.claim(),
        }
    }
}

impl<V: Vendor> Dialect for Visited<V> {
    type Manner = Manner;
    type Call = Call;

    fn name(&self) -> DialectName {
        V::DIALECT
    }

    fn manner(&self, head: &Head) -> Manner {
        let place = self.place(head);
        let origin = match place {
            Place::Page => Origin::of(head, &self.endpoint.origins),
            // No page may read what is answered there.
            Place::Desk => Origin::None,
        };
        Manner { request_id: head.request_id.to_string(), place, origin }
    }

    fn open(&self, context: Context<'_>, head: &Head) -> Option<Response> {
        if head.method != Method::OPTIONS || self.place(head) == Place::Desk {
            return None;
        }
        let manner = self.manner(head);
        let public_url = &context.directory.plan().public_url;
        if manner.origin == Origin::Refused && !fetch::is_own(head, public_url) {
            return Some(self.render(&manner, Outcome::Refused(fetch::not_listed())));
        }
        Some(answer::preflight(&self.endpoint, &manner.origin, head))
    }

    /// A browser that gets no answer to its question before the request tells its page nothing of the refusal, not even that
    /// it is to ask again later.
    fn open_is_light(&self, head: &Head) -> bool {
        head.method == Method::OPTIONS
    }

    fn read(&self, context: Context<'_>, request: Request, manner: &mut Manner) -> Result<Call, Refusal> {
        match manner.place {
            Place::Page => self.visit(context, &request.head, &manner.origin).map(Called::Page),
            Place::Desk => DeskCall::read(&self.endpoint, context, request).map(Called::Desk),
        }
        .map(Call)
    }

    fn ask(&self, context: Context<'_>, verified: &Verified<Call>) -> Result<Ask, Refusal> {
        match &verified.call().0 {
            Called::Page(_) => {
                Ok(Ask::Issue(Box::new(Issue::new(RoleChoice::Endpoint, Form::Triple(V::TRIPLE)))))
            }
            Called::Desk(call) => call.ask(&context.directory.plan().public_url),
        }
    }

    fn render(&self, manner: &Manner, outcome: Outcome) -> Response {
        answer::render::<V>(&self.endpoint, manner, outcome)
    }
}
