//! `GET /getAuthorization` as a page sees it.

mod captures;
mod desk;
mod matrix;
mod properties;
mod ways;

use super::{Asking, Service, Triple};
use crate::visit::fixture::{Outside, endpoint, jwt, provider};
use daypass_core::endpoint::{Endpoint, Quota};
use daypass_core::record::Event;
use daypass_core::refusal::{Reason, Refusal};
use daypass_core::request::{Request, Response};
use daypass_core::testing::{World, request};
use serde_json::Value;
use std::sync::Arc;

const PAGE: (&str, &str) = ("origin", "http://127.0.0.1:88");

fn get(headers: &[(&str, &str)]) -> Request {
    request("GET", "/getAuthorization", headers, b"")
}

fn json(response: &Response) -> Value {
    assert_eq!(response.headers()["content-type"], "application/json");
    assert_eq!(response.headers()["cache-control"], "no-store");
    assert_eq!(response.headers()["x-content-type-options"], "nosniff");
    serde_json::from_slice(response.body()).unwrap()
}

/// The status and code of a refusal, whose document is checked.
#[track_caller]
fn refused(response: &Response) -> (u16, String) {
    let body = json(response);
    let names: Vec<_> = body.as_object().unwrap().keys().collect();
    assert_eq!(names, ["Error", "RequestId"]);
    assert!(body["Error"]["Message"].as_str().is_some_and(|m| !m.is_empty()));
    (response.status().as_u16(), body["Error"]["Code"].as_str().unwrap().to_owned())
}

fn header<'a>(response: &'a Response, name: &str) -> Option<&'a str> {
    response.headers().get(name).map(|value| value.to_str().unwrap())
}

/// A service whose endpoint is this one.
fn serving(endpoint: Endpoint) -> Service {
    let mut world = World::new();
    world.plan.endpoints[0] = Arc::new(endpoint);
    world.plan.providers = vec![provider()];
    Service::knowing(world, Arc::new(Outside))
}

#[tokio::test]
async fn the_answer_is_the_seeds_document() {
    let service = Service::new();
    let response = service.browse(get(&[PAGE])).await.response;
    assert_eq!(response.status(), 200);
    let body = json(&response);
    let names = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&body), ["Credentials", "Expiration", "ExpiredTime", "RequestId"]);
    assert_eq!(names(&body["Credentials"]).len(), 3);
    assert_eq!(body["Expiration"], "2023-11-14T22:43:20Z");
    assert_eq!(body["ExpiredTime"], 1_700_001_800);
    assert_eq!(body["RequestId"], "59a5e07e-4147-4d2e-a808-dca76ac5b3fd");
    assert_eq!(header(&response, "access-control-allow-origin"), Some(PAGE.1));
    assert_eq!(header(&response, "vary"), Some("Origin"));
    assert_eq!(
        header(&response, "access-control-expose-headers"),
        Some("date, retry-after, daypass-refresh")
    );
    assert_eq!(header(&response, "access-control-allow-credentials"), None);
}

#[tokio::test]
async fn the_key_works() {
    let service = Service::new();
    let triple = Triple::of(&json(&service.browse(get(&[])).await.response));
    let body = service.sts(Asking::who().with(&triple).sent()).await;
    assert_eq!(body["Arn"], "qcs::sts:100000000001:federated-user/100000000001");
    service.clock.advance(1_800_000);
    let late = Asking::who().with(&triple).at(daypass_core::testing::later(1800)).sent();
    assert_eq!(service.code(late).await, "AuthFailure.TokenFailure");
}

#[tokio::test]
async fn a_page_that_is_not_listed_gets_nothing() {
    let service = Service::new();
    for other in ["http://127.0.0.1:8888", "null", "http://127.0.0.1:88/", "HTTP://127.0.0.1:88"] {
        let response = service.browse(get(&[("origin", other)])).await.response;
        assert_eq!(refused(&response), (403, "UnauthorizedOperation".into()), "{other}");
        assert_eq!(header(&response, "access-control-allow-origin"), None);
        assert_eq!(header(&response, "vary"), Some("Origin"));
    }
    let two = service.browse(get(&[PAGE, PAGE])).await.response;
    assert_eq!(refused(&two).0, 403);
    assert!(service.store.all().is_empty(), "nothing was granted");
}

#[tokio::test]
async fn a_request_without_an_origin_is_up_to_the_endpoint() {
    let response = serving(endpoint("originless")).browse(get(&[])).await.response;
    assert_eq!(response.status(), 200);
    assert_eq!(header(&response, "access-control-allow-origin"), None);
    assert_eq!(header(&response, "cross-origin-resource-policy"), Some("same-origin"));
    let response = serving(endpoint("anonymous")).browse(get(&[])).await.response;
    assert_eq!(refused(&response), (403, "UnauthorizedOperation".into()));
    for headers in [&[][..], &[PAGE]] {
        let response = serving(endpoint("ticket")).browse(get(headers)).await.response;
        assert_eq!(refused(&response), (401, "AuthFailure".into()));
    }
}

#[tokio::test]
async fn a_preflight_is_answered_before_anything_else() {
    let service = serving(endpoint("cookie ticket"));
    let preflight = |origin| {
        let headers = [
            ("origin", origin),
            ("access-control-request-method", "GET"),
            ("access-control-request-headers", "content-type,authorization"),
            ("access-control-request-private-network", "true"),
        ];
        request("OPTIONS", "/getAuthorization", &headers, b"")
    };
    let response = service.browse(preflight(PAGE.1)).await.response;
    assert_eq!(response.status(), 204);
    assert!(response.body().is_empty());
    for (name, value) in [
        ("access-control-allow-origin", Some(PAGE.1)),
        ("vary", Some("Origin, Access-Control-Request-Method, Access-Control-Request-Headers")),
        ("access-control-allow-methods", Some("GET")),
        ("access-control-allow-headers", Some("content-type, authorization")),
        ("access-control-max-age", Some("600")),
        ("access-control-allow-credentials", Some("true")),
        ("access-control-allow-private-network", None),
    ] {
        assert_eq!(header(&response, name), value, "{name}");
    }
    let response = service.browse(preflight("https://evil.example")).await.response;
    assert_eq!(refused(&response).0, 403);
    assert_eq!(header(&response, "access-control-allow-origin"), None);
    assert_eq!(header(&response, "access-control-allow-methods"), None);
    let own = service.browse(preflight("http://127.0.0.1:5050")).await.response;
    assert_eq!((own.status().as_u16(), header(&own, "access-control-allow-origin")), (204, None));
    assert!(service.store.all().is_empty());
    let plain = service.browse(request("OPTIONS", "/getAuthorization", &[], b"")).await.response;
    assert_eq!((plain.status().as_u16(), header(&plain, "allow")), (204, Some("GET, OPTIONS")));
}

#[tokio::test]
async fn other_methods_are_told_which_ones_there_are() {
    let service = Service::new();
    for method in ["HEAD", "POST", "PUT", "DELETE", "TRACE"] {
        let headers = [PAGE, ("x-http-method-override", "GET")];
        let response = service.browse(request(method, "/getAuthorization", &headers, b"x")).await.response;
        assert_eq!(refused(&response), (405, "UnsupportedProtocol".into()), "{method}");
        assert_eq!(header(&response, "allow"), Some("GET, OPTIONS"));
        assert_eq!(header(&response, "access-control-allow-origin"), Some(PAGE.1), "the page may read why");
    }
}

#[tokio::test]
async fn a_query_changes_nothing() {
    let query = "Policy=%7B%22version%22%3A%222.0%22%7D&DurationSeconds=129600&Name=root&role=other&tenant=other&callback=f";
    let service = Service::new();
    let target = format!("/getAuthorization?{query}");
    let body = json(&service.browse(request("GET", &target, &[PAGE], b"")).await.response);
    assert_eq!(body["ExpiredTime"], 1_700_001_800);
    json(&service.browse(get(&[PAGE])).await.response);
    let [with, without] = &service.store.all()[..] else { panic!("two records") };
    let policy = |event: &Event| match event {
        Event::Grant { policy, .. } => policy.clone().unwrap(),
        other => panic!("{other:?}"),
    };
    assert_eq!(policy(&with.event), policy(&without.event));
    assert_eq!((&with.tenant, &with.role, &with.session), (&without.tenant, &without.role, &without.session));
}

#[tokio::test]
async fn a_ration_is_kept_and_the_wait_is_told() {
    let quota = Quota { address: Some(1), ..Quota::default() };
    let service = serving(Endpoint { quota, ..endpoint("anonymous") });
    assert_eq!(service.browse(get(&[PAGE])).await.response.status(), 200);
    let response = service.browse(get(&[PAGE])).await.response;
    assert_eq!(refused(&response), (429, "RequestLimitExceeded".into()));
    assert_eq!(header(&response, "retry-after"), Some("60"));
    assert_eq!(header(&response, "access-control-allow-origin"), Some(PAGE.1));
    service.clock.advance(60_000);
    assert_eq!(service.browse(get(&[PAGE])).await.response.status(), 200);
}

#[tokio::test]
async fn without_a_record_there_is_no_key() {
    let service = Service::new();
    service.store.go_down();
    let response = service.browse(get(&[PAGE])).await.response;
    assert_eq!(refused(&response), (503, "ServiceUnavailable".into()));
    assert_eq!(header(&response, "retry-after"), Some("1"));
    assert_eq!(header(&response, "access-control-allow-origin"), Some(PAGE.1));
}

#[tokio::test]
async fn what_never_became_a_request_has_the_document_too() {
    let service = Service::new();
    let dialect = super::GetAuthorization::new(service.world.plan.endpoints[0].clone());
    for (reason, status) in [(Reason::TooLarge, 413), (Reason::TooSlow, 408), (Reason::Internal, 500)] {
        let answer = service.pipeline.refuse(&dialect, &get(&[PAGE]).head, Refusal::new(reason, "a test"));
        assert_eq!(refused(&answer.response).0, status);
    }
}
