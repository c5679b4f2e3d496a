//! `GET /getAuthorization`: where a page of the SOE or COS browser SDK fetches its temporary key.
//!
//! The page's own code calls it (the seed uses axios) and hands four members of the answer to the SDK. An HTTP
//! library in a page rejects on the status alone, so refusals have real statuses here, unlike in the STS API.
//! The request carries no parameter: everything about the credential stands in the endpoint's configuration, and
//! whatever a query says is ignored.

use super::cors::{self, Origin};
use super::fault;
use super::wire::{self, Failed, Fault, Issued};
use daypass_core::dialect::{Ask, Call, Claim, Context, Dialect, Form, Issue, Outcome, RoleChoice};
use daypass_core::endpoint::{DialectName, Endpoint};
use daypass_core::pipeline::Verified;
use daypass_core::refusal::{Reason, Refusal};
use daypass_core::request::{Head, Request, Response};
use daypass_core::triple::TripleKind;
use http::header::{ALLOW, HeaderValue, RETRY_AFTER};
use http::{Method, StatusCode};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The endpoint at one configured path.
pub struct GetAuthorization {
    endpoint: Arc<Endpoint>,
}

impl GetAuthorization {
    /// Serves this endpoint.
    pub fn new(endpoint: Arc<Endpoint>) -> Self {
        Self { endpoint }
    }

    /// `OPTIONS`: a preflight carries no proof by its nature, so it is answered before any is looked for.
    fn preflight(&self, head: &Head) -> Response {
        let manner = self.manner(head);
        if manner.origin == Origin::Refused {
            return refused(&manner, &not_listed());
        }
        let mut response = Response::default();
        *response.status_mut() = StatusCode::NO_CONTENT;
        response.headers_mut().insert(ALLOW, HeaderValue::from_static(METHODS));
        manner.origin.mark(&mut response);
        if matches!(manner.origin, Origin::Listed(_)) {
            cors::grant(head, &mut response);
        }
        response
    }
}

/// What the endpoint answers to.
const METHODS: &str = "GET, OPTIONS";

/// How an answer is given.
pub struct Manner {
    request_id: String,
    origin: Origin,
}

/// A request that asks for nothing but what the endpoint is there for.
pub struct Visit {
    endpoint: Arc<Endpoint>,
}

impl Call for Visit {
    fn claim(&self) -> Claim<'_> {
        Claim::Anonymous(&self.endpoint)
    }
}

impl Dialect for GetAuthorization {
    type Manner = Manner;
    type Call = Visit;

    fn name(&self) -> DialectName {
        DialectName::TencentGetAuthorization
    }

    fn manner(&self, head: &Head) -> Manner {
        Manner { request_id: head.request_id.to_string(), origin: Origin::of(head, &self.endpoint.origins) }
    }

    fn open(&self, _: Context<'_>, head: &Head) -> Option<Response> {
        (head.method == Method::OPTIONS).then(|| self.preflight(head))
    }

    fn read(&self, _: Context<'_>, request: Request, manner: &mut Manner) -> Result<Visit, Refusal> {
        if request.head.method != Method::GET {
            return Err(Refusal::new(Reason::MethodNotAllowed, "this address answers to GET alone"));
        }
        if manner.origin == Origin::Refused {
            return Err(not_listed());
        }
        Ok(Visit { endpoint: self.endpoint.clone() })
    }

    fn ask(&self, _: Context<'_>, _: &Verified<Visit>) -> Result<Ask, Refusal> {
        Ok(Ask::Issue(Box::new(Issue {
            role: RoleChoice::Endpoint,
            form: Form::Triple(TripleKind::Tencent),
            variables: BTreeMap::new(),
            lifetime: None,
            policy: None,
            session: None,
            correlation: None,
            permanent_only: false,
        })))
    }

    fn render(&self, manner: &Manner, outcome: Outcome) -> Response {
        let id = &manner.request_id;
        match outcome {
            Outcome::Granted(recorded) => match Issued::of(recorded.get(), id) {
                Some(document) => {
                    let mut response = wire::answer(&document);
                    manner.origin.mark(&mut response);
                    response
                }
                None => refused(manner, &Refusal::internal("an access token was issued for a triple")),
            },
            Outcome::Facts(_) => refused(manner, &Refusal::internal("nothing here asks for facts")),
            Outcome::Refused(refusal) => refused(manner, &refusal),
        }
    }
}

fn not_listed() -> Refusal {
    Refusal::new(
        Reason::OriginNotAllowed,
        "this page's origin is not one that the endpoint serves; its operator can add it to the list of origins",
    )
}

fn refused(manner: &Manner, refusal: &Refusal) -> Response {
    let (status, code) = fault::get_authorization(refusal.reason);
    let mut response = wire::answer(&Failed {
        error: Fault { code, message: &fault::message(refusal) },
        request_id: &manner.request_id,
    });
    *response.status_mut() = status;
    manner.origin.mark(&mut response);
    let headers = response.headers_mut();
    if status == StatusCode::METHOD_NOT_ALLOWED {
        headers.insert(ALLOW, HeaderValue::from_static(METHODS));
    }
    if let Some(seconds) = refusal.retry_after {
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}
