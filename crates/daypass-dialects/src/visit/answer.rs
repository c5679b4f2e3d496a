//! How an answer is written: a credential in the endpoint's shape, a ticket, and refusals.

use super::cors::Origin;
use super::wire::{REFRESH, TicketIssued};
use super::{DESK, Failure, Manner, Place, Vendor};
use crate::answer;
use daypass_core::dialect::{Delivery, Outcome};
use daypass_core::endpoint::Endpoint;
use daypass_core::refusal::{Reason, Refusal};
use daypass_core::request::{Head, Response};
use http::StatusCode;
use http::header::{ALLOW, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};

/// What the visitors' address answers to.
const PAGE_METHODS: &str = "GET, OPTIONS";
/// What the ticket desk answers to.
const DESK_METHODS: &str = "POST";

/// Writes whatever the pipeline came to.
pub(super) fn render<V: Vendor>(endpoint: &Endpoint, manner: &Manner, outcome: Outcome) -> Response {
    let written = match outcome {
        Outcome::Granted(delivery) => delivered::<V>(endpoint, &delivery, &manner.request_id)
            .ok_or_else(|| Refusal::internal("what was issued does not have the shape of the endpoint")),
        Outcome::Ticket(recorded) => Ok(answer::json(&TicketIssued::of(recorded.get()))),
        Outcome::Facts(_)
        | Outcome::Inspected(_)
        | Outcome::Revoked
        | Outcome::Verified(_)
        | Outcome::Explained(_) => Err(Refusal::internal("nothing here asks for facts")),
        Outcome::Refused(refusal) => Err(refusal),
    };
    let mut response = written.unwrap_or_else(|refusal| refused::<V>(endpoint, manner, &refusal));
    manner.origin.mark(endpoint, &mut response);
    response
}

/// The answer to `OPTIONS`: a preflight carries no proof by its nature, so that it is answered before any is
/// looked for.
pub(super) fn preflight(endpoint: &Endpoint, origin: &Origin, head: &Head) -> Response {
    let mut response = Response::default();
    *response.status_mut() = StatusCode::NO_CONTENT;
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(PAGE_METHODS));
    origin.grant(endpoint, head, &mut response);
    response
}

fn delivered<V: Vendor>(endpoint: &Endpoint, delivery: &Delivery, request_id: &str) -> Option<Response> {
    let mut response = V::issued(endpoint.shape, delivery.get(), request_id)?;
    if let Some(refresh) = delivery.refresh()
        && let Ok(mut value) = HeaderValue::from_bytes(refresh.expose())
    {
        value.set_sensitive(true);
        response.headers_mut().insert(REFRESH, value);
    }
    Some(response)
}

fn refused<V: Vendor>(endpoint: &Endpoint, manner: &Manner, refusal: &Refusal) -> Response {
    let (status, code) = V::fault(refusal.reason);
    let message = match (manner.place, refusal.reason) {
        // Whether a client exists is not for those who have none of its secrets.
        (Place::Desk, Reason::UnknownClient | Reason::WrongSecret) => {
            "the client id or its secret is not right".into()
        }
        _ => V::message(refusal),
    };
    let failure = Failure { status, code, message: &message, request_id: &manner.request_id };
    let mut response = match manner.place {
        Place::Page => V::failed(endpoint.shape, &failure),
        Place::Desk => V::failed_at_desk(&failure),
    };
    // What HTTP has to say beside a status goes with that status alone, and some SDKs must be given another one.
    let status = response.status();
    let headers = response.headers_mut();
    if status == StatusCode::METHOD_NOT_ALLOWED {
        let methods = match manner.place {
            Place::Page => PAGE_METHODS,
            Place::Desk => DESK_METHODS,
        };
        headers.insert(ALLOW, HeaderValue::from_static(methods));
    }
    if status == StatusCode::UNAUTHORIZED {
        for challenge in challenges(endpoint, manner.place, refusal.reason) {
            if let Ok(value) = HeaderValue::try_from(challenge) {
                headers.append(WWW_AUTHENTICATE, value);
            }
        }
    }
    if status != StatusCode::OK
        && let Some(seconds) = refusal.retry_after
    {
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// What a 401 asks for (RFC 9110 §15.5.2). No scheme that browsers know of stands at a page's address: they would
/// open a dialogue.
fn challenges(endpoint: &Endpoint, place: Place, reason: Reason) -> Vec<String> {
    let path = &endpoint.path;
    if place == Place::Desk {
        return vec![format!("Basic realm=\"{path}{}\", charset=\"UTF-8\"", DESK)];
    }
    // RFC 6750 §3.1 has a code for a token that was shown and is not right.
    let error = if reason == Reason::IdentityInvalid { ", error=\"invalid_token\"" } else { "" };
    let ticket = endpoint.ticket().map(|_| format!("Ticket realm=\"{path}\""));
    let bearer = endpoint.jwt().map(|_| format!("Bearer realm=\"{path}\"{error}"));
    // Not a registered scheme, but a 401 must name one: a page can tell that its user has to log in again.
    let session = endpoint.session().map(|_| format!("Session realm=\"{path}\""));
    [ticket, bearer, session].into_iter().flatten().collect()
}
