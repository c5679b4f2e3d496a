//! How an answer is written: the page's in the endpoint's shape, the backend's at the ticket desk, and refusals.

use super::super::cors::Origin;
use super::super::fault;
use super::super::wire::{self, Failed, Fault, Issued};
use super::wire::{CosIssued, REFRESH, TicketIssued};
use super::{Manner, Place};
use daypass_core::dialect::{Delivery, Outcome};
use daypass_core::endpoint::{Endpoint, Shape};
use daypass_core::refusal::{Reason, Refusal};
use daypass_core::request::{Head, Response};
use http::StatusCode;
use http::header::{ALLOW, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};

/// What a page's address answers to.
const PAGE_METHODS: &str = "GET, OPTIONS";
/// What the ticket desk answers to.
const DESK_METHODS: &str = "POST";

/// Writes whatever the pipeline came to.
pub(super) fn render(endpoint: &Endpoint, manner: &Manner, outcome: Outcome) -> Response {
    let id = &manner.request_id;
    let written = match outcome {
        Outcome::Granted(delivery) => delivered(endpoint, &delivery, id)
            .ok_or_else(|| Refusal::internal("an access token was issued for a triple")),
        Outcome::Ticket(recorded) => Ok(wire::answer(&TicketIssued::of(recorded.get()))),
        Outcome::Facts(_) => Err(Refusal::internal("nothing here asks for facts")),
        Outcome::Refused(refusal) => Err(refusal),
    };
    let mut response = written.unwrap_or_else(|refusal| refused(endpoint, manner, &refusal));
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

fn delivered(endpoint: &Endpoint, delivery: &Delivery, request_id: &str) -> Option<Response> {
    let granted = delivery.get();
    let mut response = match endpoint.shape {
        Shape::Tencent => wire::answer(&Issued::of(granted, request_id)?),
        Shape::Cos => wire::answer(&CosIssued::of(granted, request_id)?),
    };
    if let Some(refresh) = delivery.refresh()
        && let Ok(mut value) = HeaderValue::from_bytes(refresh.expose())
    {
        value.set_sensitive(true);
        response.headers_mut().insert(REFRESH, value);
    }
    Some(response)
}

fn refused(endpoint: &Endpoint, manner: &Manner, refusal: &Refusal) -> Response {
    let (status, code) = fault::get_authorization(refusal.reason);
    let message = match (manner.place, refusal.reason) {
        // Whether a client exists is not for those who have none of its secrets.
        (Place::Desk, Reason::UnknownClient | Reason::WrongSecret) => {
            "the client id or its secret is not right".to_owned()
        }
        _ => fault::message(refusal),
    };
    let mut response =
        wire::answer(&Failed { error: Fault { code, message: &message }, request_id: &manner.request_id });
    *response.status_mut() = status;
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
    if let Some(seconds) = refusal.retry_after {
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// What a 401 asks for (RFC 9110 §15.5.2). No scheme that browsers know of stands at a page's address: they would
/// open a dialogue.
fn challenges(endpoint: &Endpoint, place: Place, reason: Reason) -> Vec<String> {
    let path = &endpoint.path;
    if place == Place::Desk {
        return vec![format!("Basic realm=\"{path}{}\", charset=\"UTF-8\"", super::DESK)];
    }
    // RFC 6750 §3.1 has a code for a token that was shown and is not right.
    let error = if reason == Reason::IdentityInvalid { ", error=\"invalid_token\"" } else { "" };
    let ticket = endpoint.ticket().map(|_| format!("Ticket realm=\"{path}\""));
    let bearer = endpoint.jwt().map(|_| format!("Bearer realm=\"{path}\"{error}"));
    // Not a registered scheme, but a 401 must name one: a page can tell that its user has to log in again.
    let session = endpoint.session().map(|_| format!("Session realm=\"{path}\""));
    [ticket, bearer, session].into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::super::fixture::endpoint;
    use super::super::{DESK, GetAuthorization};
    use daypass_core::clock::{SignedDuration, Timestamp};
    use daypass_core::credential::{Credential, Granted};
    use daypass_core::dialect::{Delivery, Dialect, Outcome};
    use daypass_core::endpoint::{Endpoint, Shape};
    use daypass_core::record::Recorded;
    use daypass_core::refusal::{Reason, Refusal};
    use daypass_core::request::Response;
    use daypass_core::secret::Secret;
    use daypass_core::testing::{START, request};
    use daypass_core::ticket::IssuedTicket;
    use daypass_core::triple::{Triple, TripleKind};
    use std::fmt::Write as _;
    use std::sync::Arc;

    fn render(endpoint: &Endpoint, path: &str, outcome: Outcome) -> Response {
        let dialect = GetAuthorization::new(Arc::new(endpoint.clone()));
        let head = request("GET", path, &[("origin", "http://127.0.0.1:88")], b"").head;
        dialect.render(&dialect.manner(&head), outcome)
    }

    /// Everything but what stands in every answer.
    fn shown(response: &Response) -> String {
        let mut text = response.status().as_u16().to_string();
        for name in ["allow", "retry-after", "www-authenticate"] {
            for value in response.headers().get_all(name) {
                write!(text, " | {name}: {}", value.to_str().unwrap()).unwrap();
            }
        }
        text
    }

    #[test]
    fn every_refusal_at_both_addresses() {
        let endpoint = endpoint("cookie ticket jwt");
        let mut table = String::new();
        for reason in Reason::ALL {
            writeln!(table, "{}", reason.label()).unwrap();
            for path in ["/getAuthorization", "/getAuthorization/ticket"] {
                let refusal = Refusal::new(*reason, "why").retry_after(7);
                let response = render(&endpoint, path, Outcome::Refused(refusal));
                let body: serde_json::Value = serde_json::from_slice(response.body()).unwrap();
                let (code, message) = (&body["Error"]["Code"], &body["Error"]["Message"]);
                let place = if path.ends_with(DESK) { "desk" } else { "page" };
                let (code, message) = (code.as_str().unwrap(), message.as_str().unwrap());
                writeln!(table, "  {place} {} | {code}: {message}", shown(&response)).unwrap();
                assert_eq!(response.headers()["content-type"], "application/json");
                assert_eq!(response.headers()["cache-control"], "no-store");
                assert_eq!(response.headers()["x-content-type-options"], "nosniff");
                assert_eq!(response.headers()["vary"], "Origin");
                assert_eq!(response.headers().contains_key("access-control-allow-origin"), place == "page");
            }
        }
        insta::assert_snapshot!("every_refusal", table);
    }

    #[test]
    fn a_401_names_the_ways_of_the_endpoint() {
        for (ways, expected) in [
            ("ticket", &["Ticket realm=\"/getAuthorization\""][..]),
            ("jwt", &["Bearer realm=\"/getAuthorization\""]),
            ("header", &["Session realm=\"/getAuthorization\""]),
            ("anonymous", &[]),
        ] {
            let refusal = Refusal::new(Reason::MissingProof, "why");
            let response = render(&endpoint(ways), "/getAuthorization", Outcome::Refused(refusal));
            let challenges: Vec<_> = response.headers().get_all("www-authenticate").iter().collect();
            assert_eq!(challenges, expected, "{ways}");
        }
    }

    fn granted(issued: Timestamp) -> Granted {
        Granted {
            credential: Credential::Triple(Triple {
                kind: TripleKind::Tencent,
                id: "AKIDid".into(),
                secret: Secret::new("the secret"),
                token: "the token".into(),
            }),
            issued,
            expires: "2023-11-14T22:43:20Z".parse().unwrap(),
            account: "100000000001".into(),
            role: "soe".into(),
            policy: None,
            answer: [].into(),
            variables: [].into(),
            product: None,
            correlation: None,
            tenant: uuid::Uuid::nil(),
            session: None,
            subject: None,
            source_identity: None,
        }
    }

    fn text(response: &Response) -> String {
        assert_eq!(response.status(), 200);
        String::from_utf8(response.body().to_vec()).unwrap()
    }

    #[test]
    fn a_credential_has_the_shape_of_the_endpoint() {
        let issued = START - SignedDuration::from_secs(60);
        let write = |shape| {
            let endpoint = Endpoint { shape, ..endpoint("ticket") };
            let delivery = Delivery::for_test(granted(issued), None);
            let response = render(&endpoint, "/getAuthorization", Outcome::Granted(delivery));
            assert!(!response.headers().contains_key("daypass-refresh"));
            text(&response)
        };
        insta::assert_snapshot!(write(Shape::Tencent), @r#"{"Credentials":{"Token":"the token","TmpSecretId":"AKIDid","TmpSecretKey":"the secret"},"Expiration":"2023-11-14T22:43:20Z","ExpiredTime":1700001800,"RequestId":"59a5e07e-4147-4d2e-a808-dca76ac5b3fd"}"#);
        insta::assert_snapshot!(write(Shape::Cos), @r#"{"credentials":{"tmpSecretId":"AKIDid","tmpSecretKey":"the secret","sessionToken":"the token"},"startTime":1699999940,"expiredTime":1700001800,"expiration":"2023-11-14T22:43:20Z","requestId":"59a5e07e-4147-4d2e-a808-dca76ac5b3fd"}"#);
    }

    #[test]
    fn what_follows_a_ticket_stands_in_a_header_that_the_page_may_read() {
        for shape in [Shape::Tencent, Shape::Cos] {
            let endpoint = Endpoint { shape, ..endpoint("ticket") };
            let delivery = Delivery::for_test(granted(START), Some(Secret::new("dpt_next")));
            let response = render(&endpoint, "/getAuthorization", Outcome::Granted(delivery));
            let header = &response.headers()["daypass-refresh"];
            assert_eq!(header, "dpt_next");
            assert!(header.is_sensitive(), "no log of headers shows it");
            let exposed = response.headers()["access-control-expose-headers"].to_str().unwrap();
            assert!(exposed.split(", ").any(|name| name == "daypass-refresh"));
            assert!(!text(&response).contains("dpt_next"));
        }
    }

    #[test]
    fn a_ticket_is_answered_without_cors() {
        let expires = START + SignedDuration::from_secs(120);
        let issued = IssuedTicket { ticket: Secret::new("dpt_abc"), expires };
        let outcome = Outcome::Ticket(Box::new(Recorded::for_test(issued)));
        let response = render(&endpoint("ticket"), "/getAuthorization/ticket", outcome);
        assert_eq!(
            text(&response),
            r#"{"ticket":"dpt_abc","expires":"2023-11-14T22:15:20Z","expires_in":120}"#
        );
        assert_eq!(response.headers()["cache-control"], "no-store");
        assert!(!response.headers().contains_key("access-control-allow-origin"));
    }
}
