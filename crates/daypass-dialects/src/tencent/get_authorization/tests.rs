//! What pages and their backends are told, in every case.

use super::GetAuthorization;
use crate::visit::DESK;
use crate::visit::fixture::endpoint;
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
        handed_out: issued,
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
        confirmation: None,
        exchanged: None,
        brokered: None,
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
    assert_eq!(text(&response), r#"{"ticket":"dpt_abc","expires":"2023-11-14T22:15:20Z","expires_in":120}"#);
    assert_eq!(response.headers()["cache-control"], "no-store");
    assert!(!response.headers().contains_key("access-control-allow-origin"));
}
