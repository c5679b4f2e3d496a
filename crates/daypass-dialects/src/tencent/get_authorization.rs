//! `GET /getAuthorization`: where a page of the SOE or COS browser SDK fetches its temporary key.
//!
//! The page's own code calls it (the seed uses axios) and hands some members of the answer to the SDK. An HTTP
//! library in a page rejects on the status alone, so refusals have real statuses here, unlike in the STS API.
//! Everything about the credential stands in the endpoint's configuration; a request says who its page's user is
//! and nothing else. A query's `ticket` is read, the rest of it is ignored.
//!
//! Where the endpoint knows its callers by tickets, `POST <path>/ticket` makes them for the page's backend.

mod answer;
mod desk;
mod evidence;
#[cfg(test)]
pub(super) mod fixture;
mod wire;

use super::cors::Origin;
use super::fetch;
use daypass_core::dialect::{
    self, Ask, Claim, Context, Dialect, Evidence, Form, Issue, Outcome, RoleChoice, Visit,
};
use daypass_core::endpoint::{CallerRule, DialectName, Endpoint};
use daypass_core::pipeline::Verified;
use daypass_core::refusal::{Reason, Refusal};
use daypass_core::request::{Head, Request, Response};
use daypass_core::triple::TripleKind;
use desk::DeskCall;
use http::Method;
use std::sync::Arc;

/// What stands behind an endpoint's path where its tickets are made.
pub const DESK: &str = "/ticket";

/// The endpoint at one configured path.
pub struct GetAuthorization {
    endpoint: Arc<Endpoint>,
}

impl GetAuthorization {
    /// Serves this endpoint.
    pub fn new(endpoint: Arc<Endpoint>) -> Self {
        Self { endpoint }
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
        // Who serves anyone, even without a page, may be looked at in the address bar.
        if evidence.is_some() || !serves_without_page(&self.endpoint) || !fetch::is_typed(head) {
            fetch::check(head)?;
        }
        Ok(PageCall { endpoint: self.endpoint.clone(), evidence, origin })
    }
}

/// Which of the endpoint's two addresses was called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// The pages'.
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

/// A page's request.
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

impl Dialect for GetAuthorization {
    type Manner = Manner;
    type Call = Call;

    fn name(&self) -> DialectName {
        DialectName::TencentGetAuthorization
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
                let issue = Issue::new(RoleChoice::Endpoint, Form::Triple(TripleKind::Tencent));
                Ok(Ask::Issue(Box::new(issue)))
            }
            Called::Desk(call) => call.ask(&context.directory.plan().public_url),
        }
    }

    fn render(&self, manner: &Manner, outcome: Outcome) -> Response {
        answer::render(&self.endpoint, manner, outcome)
    }
}

fn serves_without_page(endpoint: &Endpoint) -> bool {
    endpoint.callers.iter().any(|rule| matches!(rule, CallerRule::Anonymous { originless: true, .. }))
}
