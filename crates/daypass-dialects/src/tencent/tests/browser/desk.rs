//! `POST /getAuthorization/ticket` as a backend sees it, and what a page does with the ticket.

use super::{PAGE, Service, endpoint, get, header, json, refused, serving};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use daypass_core::record::Event;
use daypass_core::request::{Request, Response};
use daypass_core::testing::{World, request};
use serde_json::{Value, json as document};

pub(super) const ASK: &str = r#"{"subject":"ada","origin":"http://127.0.0.1:88"}"#;
const JSON: (&str, &str) = ("content-type", "application/json");

fn basic(pair: &str) -> String {
    format!("Basic {}", STANDARD.encode(pair))
}

/// The world's client and its secret, form-encoded as libraries do it.
fn proof() -> String {
    let world = World::new();
    basic(&format!("{}:{}", world.client.guid, format!("secret of {}", world.keys[2].id).replace(' ', "+")))
}

fn ask(headers: &[(&str, &str)], body: &str) -> Request {
    request("POST", "/getAuthorization/ticket", headers, body.as_bytes())
}

pub(super) async fn ticket(service: &Service, body: &str) -> Response {
    service.browse(ask(&[("authorization", &proof()), JSON], body)).await.response
}

#[track_caller]
pub(super) fn ticket_of(response: &Response) -> String {
    let body = json(response);
    body["ticket"].as_str().unwrap_or_else(|| panic!("{body}")).to_owned()
}

#[tokio::test]
async fn a_backend_gets_a_ticket_and_its_page_a_key() {
    let service = serving(endpoint("ticket"));
    let response = ticket(&service, ASK).await;
    assert_eq!(response.status(), 200);
    let body = json(&response);
    let names: Vec<_> = body.as_object().unwrap().keys().collect();
    assert_eq!(names, ["expires", "expires_in", "ticket"]);
    assert_eq!((&body["expires"], &body["expires_in"]), (&"2023-11-14T22:15:20Z".into(), &120.into()));
    assert!(body["ticket"].as_str().unwrap().starts_with("dpt_"));

    let show = format!("Ticket {}", ticket_of(&response));
    let key = service.browse(get(&[PAGE, ("authorization", &show)])).await.response;
    assert_eq!(key.status(), 200, "{:?}", key.body());
    let refresh = header(&key, "daypass-refresh").unwrap().to_owned();
    let again = service.browse(get(&[PAGE, ("authorization", &show)])).await.response;
    assert_eq!(refused(&again), (401, "AuthFailure.TokenFailure".into()));
    let target = format!("/getAuthorization?ticket={refresh}");
    let next = service.browse(request("GET", &target, &[PAGE], b"")).await.response;
    assert_eq!(next.status(), 200);
    assert_ne!(header(&next, "daypass-refresh"), Some(refresh.as_str()));

    let records = service.store.all();
    assert!(matches!(&records[0].event, Event::Ticket { origin, .. } if origin == PAGE.1));
    assert!(matches!(&records[1].event, Event::Grant { .. }));
    assert!(records.iter().any(|record| matches!(record.event, Event::Alarm { .. })), "{records:?}");
    let printed = format!("{records:?}");
    assert!(!printed.contains("dpt_"), "no record holds a ticket");
}

#[tokio::test]
async fn a_ticket_is_for_its_very_origin() {
    let service = serving(endpoint("ticket"));
    let own = ASK.replace(":88", ":5050");
    let same_origin = ("sec-fetch-site", "same-origin");
    for (body, about, status) in [
        (ASK, &[PAGE][..], 200),
        (ASK, &[], 401),
        (ASK, &[same_origin], 401),
        (&own, &[PAGE], 401),
        (&own, &[same_origin], 200),
        (&own, &[], 401),
    ] {
        let show = format!("Ticket {}", ticket_of(&ticket(&service, body).await));
        let headers: Vec<_> = about.iter().copied().chain([("authorization", show.as_str())]).collect();
        let response = service.browse(get(&headers)).await.response;
        assert_eq!(response.status().as_u16(), status, "{body} {about:?}");
    }
}

#[tokio::test]
async fn a_page_has_no_place_here() {
    let service = serving(endpoint("ticket cookie"));
    let proof = proof();
    for about in [
        PAGE,
        ("origin", "http://127.0.0.1:5050"),
        ("sec-fetch-site", "same-origin"),
        ("sec-fetch-site", "none"),
    ] {
        let response = service.browse(ask(&[("authorization", &proof), JSON, about], ASK)).await.response;
        assert_eq!(refused(&response), (403, "UnauthorizedOperation".into()), "{about:?}");
        assert_eq!(header(&response, "access-control-allow-origin"), None);
    }
    let preflight = [PAGE, ("access-control-request-method", "POST")];
    let response =
        service.browse(request("OPTIONS", "/getAuthorization/ticket", &preflight, b"")).await.response;
    assert_eq!(refused(&response), (405, "UnsupportedProtocol".into()));
    assert_eq!(
        (header(&response, "allow"), header(&response, "access-control-allow-origin")),
        (Some("POST"), None)
    );
    let node = [("authorization", proof.as_str()), JSON, ("sec-fetch-mode", "cors")];
    assert_eq!(service.browse(ask(&node, ASK)).await.response.status(), 200, "Node's fetch is a server's");
}

#[tokio::test]
async fn who_asks_must_prove_it() {
    let service = serving(endpoint("ticket"));
    let world = World::new();
    let (guid, good) = (world.client.guid, proof());
    let wrong = basic(&format!("{guid}:wrong"));
    let unknown = basic("0d1f6f0e-6f0b-4f43-9d1c-000000000000:wrong");
    let mut messages = Vec::new();
    for (headers, status) in [
        (vec![], 401),
        (vec![wrong.as_str()], 401),
        (vec![&unknown], 401),
        (vec![&good, &good], 401),
        (vec!["Basic ?"], 401),
        (vec!["Bearer a.b.c"], 401),
        (vec!["Ticket a"], 401),
    ] {
        let mut all: Vec<_> = headers.iter().map(|value| ("authorization", *value)).collect();
        all.push(JSON);
        let response = service.browse(ask(&all, ASK)).await.response;
        assert_eq!(refused(&response), (status, "AuthFailure".into()), "{headers:?}");
        let challenge = Some("Basic realm=\"/getAuthorization/ticket\", charset=\"UTF-8\"");
        assert_eq!(header(&response, "www-authenticate"), challenge);
        messages.push(json(&response)["Error"]["Message"].as_str().unwrap().to_owned());
    }
    assert_eq!(messages[1], messages[2], "whether a client exists is not told");
    assert!(service.store.all().is_empty());
}

#[tokio::test]
async fn a_client_of_another_tenant_does_not_exist() {
    let mut service = serving(endpoint("ticket"));
    service.world.client.tenant = "other".into();
    assert_eq!(refused(&ticket(&service, ASK).await), (401, "AuthFailure".into()));
}

#[tokio::test]
async fn a_client_may_make_tickets_for_what_it_may_have() {
    let mut service = serving(endpoint("ticket"));
    service.world.client.grants.clear();
    assert_eq!(refused(&ticket(&service, ASK).await), (403, "UnauthorizedOperation".into()));
    service.world.client.enabled = false;
    assert_eq!(refused(&ticket(&service, ASK).await), (403, "UnauthorizedOperation".into()));
    assert_eq!(service.store.all().len(), 2, "the refusals of a known caller are recorded");
}

#[tokio::test]
async fn the_document_is_checked() {
    let with = |name: &str, value: Value| {
        let mut body: Value = serde_json::from_str(ASK).unwrap();
        body[name] = value;
        body.to_string()
    };
    let long = with("subject", "s".repeat(4096).into());
    for (body, status, about) in [
        (with("variables", document!({"class": "7b"})), 200, ""),
        (with("variables", document!({})), 200, ""),
        (with("origin", "http://127.0.0.1:5050".into()), 200, ""),
        (with("subject", "课".repeat(128).into()), 200, ""),
        (with("subject", "课".repeat(129).into()), 403, "subject"),
        (with("subject", "a\nb".into()), 403, "subject"),
        (with("subject", "".into()), 400, "subject"),
        (with("subject", 7.into()), 400, "subject"),
        (with("subject", Value::Null), 400, "subject"),
        (with("origin", "https://evil.example".into()), 400, "origin"),
        (with("origin", "http://127.0.0.1:88/".into()), 400, "origin"),
        (with("origin", "null".into()), 400, "origin"),
        (with("origin", "*".into()), 400, "origin"),
        (with("origin", document!(["http://127.0.0.1:88"])), 400, "origin"),
        (with("variables", document!(["a"])), 400, "variables"),
        (with("variables", Value::Null), 400, "variables"),
        (with("variables", document!({"class": 7})), 400, "class"),
        (with("variables", document!({"subject": "root"})), 400, "subject"),
        (with("lifetime", 86_400.into()), 400, "lifetime"),
        (with("role", "root".into()), 400, "role"),
        (r#"{"subject":"ada","subject":"root","origin":"http://127.0.0.1:88"}"#.into(), 400, "twice"),
        (r#"{"subject":"ada"}"#.into(), 400, "origin"),
        (r#"{"origin":"http://127.0.0.1:88"}"#.into(), 400, "subject"),
        ("[]".into(), 400, "object"),
        (String::new(), 400, "JSON"),
        ("subject=ada".into(), 400, "JSON"),
        (format!("{ASK}{ASK}"), 400, "JSON"),
        (long, 413, "4096"),
    ] {
        let service = serving(endpoint("ticket"));
        let response = ticket(&service, &body).await;
        assert_eq!(response.status().as_u16(), status, "{body} {:?}", response.body());
        if status != 200 {
            let message = json(&response)["Error"]["Message"].as_str().unwrap().to_owned();
            assert!(message.contains(about), "{body}: {message}");
            assert!(!service.store.all().iter().any(|record| matches!(record.event, Event::Ticket { .. })));
        }
    }
}

#[tokio::test]
async fn the_document_is_json_and_says_so() {
    let service = serving(endpoint("ticket"));
    let proof = proof();
    for (kind, status) in [
        ("application/json", 200),
        ("Application/JSON; charset=UTF-8", 200),
        ("application/json;charset=latin1", 415),
        ("text/plain", 415),
        ("application/x-www-form-urlencoded", 415),
        ("application/json, text/plain", 415),
        ("application/jsonp", 415),
        ("", 415),
    ] {
        let response =
            service.browse(ask(&[("authorization", &proof), ("content-type", kind)], ASK)).await.response;
        assert_eq!(response.status().as_u16(), status, "{kind}");
    }
    let none = service.browse(ask(&[("authorization", &proof)], ASK)).await.response;
    assert_eq!(refused(&none), (415, "InvalidRequest".into()));
    let twice = [("authorization", proof.as_str()), JSON, JSON];
    assert_eq!(service.browse(ask(&twice, ASK)).await.response.status(), 415);
}

#[tokio::test]
async fn only_posts_are_taken() {
    let service = serving(endpoint("ticket"));
    let proof = proof();
    for method in ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"] {
        let headers = [("authorization", proof.as_str()), JSON];
        let request = request(method, "/getAuthorization/ticket", &headers, ASK.as_bytes());
        let response = service.browse(request).await.response;
        assert_eq!((response.status().as_u16(), header(&response, "allow")), (405, Some("POST")), "{method}");
    }
}

#[tokio::test]
async fn without_a_record_there_is_no_ticket() {
    let service = serving(endpoint("ticket"));
    service.store.go_down();
    let response = ticket(&service, ASK).await;
    assert_eq!(refused(&response), (503, "ServiceUnavailable".into()));
    assert_eq!(header(&response, "retry-after"), Some("1"));
}
