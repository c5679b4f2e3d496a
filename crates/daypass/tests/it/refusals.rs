//! Every refusal in every dialect: what the client sees, in one table.
//!
//! A new reason, or a changed answer to one, shows up here for review.

use bytes::Bytes;
use daypass_core::dialect::{Dialect, Outcome};
use daypass_core::endpoint::{Endpoint, Shape};
use daypass_core::forward::{ForwardAuth, Proxy, Shows};
use daypass_core::refusal::{Reason, Refusal};
use daypass_core::testing::{World, request};
use daypass_dialects::{alibaba, entra, explain, tencent, verify};
use http::Response;
use std::fmt::Write as _;
use std::sync::Arc;

fn refuse<D: Dialect>(dialect: &D, target: &str, reason: Reason) -> Response<Bytes> {
    let head = request("POST", target, &[("origin", "http://127.0.0.1:88")], b"").head;
    let refusal = Refusal::new(reason, "what was wrong").parameter("Name").retry_after(7);
    dialect.render(&dialect.manner(&head), Outcome::Refused(refusal))
}

/// What is told where the reason is about the request that was shown, and not about the question.
fn judged<D: Dialect>(dialect: &D, target: &str, reason: Reason) -> Response<Bytes> {
    let head = request("GET", target, &[], b"").head;
    let refusal = Refusal::new(reason, "what was wrong").parameter("Name").retry_after(7);
    dialect.render(&dialect.manner(&head), Outcome::Verified(Err(refusal)))
}

fn all(reason: Reason) -> Vec<(&'static str, Response<Bytes>)> {
    let browser = tencent::GetAuthorization::new(World::new().plan.endpoints[0].clone());
    let url = |shape| {
        let browser = World::new().plan.endpoints[0].clone();
        alibaba::Credentials::new(Arc::new(Endpoint { shape, ..(*browser).clone() }))
    };
    let names = ("/v1/forward-auth".to_owned(), "acme".to_owned());
    let gate =
        ForwardAuth::new(names, Proxy::Nginx, Shows::AccessToken, vec!["api.example.com".into()], vec![]);
    let gate = verify::forward::Forward::new(Arc::new(gate.unwrap()));
    let tenant = "/387c56a8-cf86-45de-b9f5-b4de88cac054/oauth2/v2.0/token";
    vec![
        ("getAuthorization", refuse(&browser, "/getAuthorization", reason)),
        ("getAuthorization/ticket", refuse(&browser, "/getAuthorization/ticket", reason)),
        ("tencent.sts", refuse(&tencent::Sts, "/", reason)),
        ("alibaba.top json", refuse(&alibaba::Top, "/router/rest?format=json", reason)),
        ("alibaba.top xml", refuse(&alibaba::Top, "/router/rest", reason)),
        ("alibaba.sts", refuse(&alibaba::Sts, "/?Version=2015-04-01&Format=JSON", reason)),
        ("alibaba.credentials uri", refuse(&url(Shape::CredentialsUri), "/getAuthorization", reason)),
        ("alibaba.credentials mobile", refuse(&url(Shape::OssMobile), "/getAuthorization", reason)),
        ("verify", refuse(&verify::Verify, "/v1/verify", reason)),
        ("forward-auth question", refuse(&gate, "/v1/forward-auth", reason)),
        ("forward-auth request", judged(&gate, "/v1/forward-auth", reason)),
        ("explain", refuse(&explain::Explain, "/v1/explain/id", reason)),
        ("entra", refuse(&entra::Entra, tenant, reason)),
    ]
}

#[test]
fn every_refusal_in_every_dialect() {
    let mut table = String::new();
    for reason in Reason::ALL {
        writeln!(table, "\n# {}", reason.label()).unwrap();
        for (name, response) in all(*reason) {
            let header = |name: &str| response.headers().get(name).map_or("-", |v| v.to_str().unwrap());
            let body = String::from_utf8(response.body().to_vec()).unwrap();
            let retry = header("retry-after");
            let retry = if retry == "-" { String::new() } else { format!(" retry-after={retry}") };
            writeln!(
                table,
                "{name}: {} {}{retry}\n    {body}",
                response.status().as_u16(),
                header("content-type")
            )
            .unwrap();
        }
    }
    insta::assert_snapshot!("refusals", table);
}

/// The rules that hold for every row of the table, whatever the snapshot says.
#[test]
fn every_refusal_can_be_parsed_by_its_clients() {
    for reason in Reason::ALL {
        for (name, response) in all(*reason) {
            let status = response.status().as_u16();
            let body = std::str::from_utf8(response.body()).unwrap();
            let json = || serde_json::from_str::<serde_json::Value>(body).unwrap();
            let content_type = response.headers()["content-type"].to_str().unwrap();
            match name {
                "getAuthorization" => {
                    assert!(status >= 400, "{name} {reason:?}");
                    assert!(json()["Error"]["Code"].is_string() && json()["RequestId"].is_string());
                    if *reason != Reason::OriginNotAllowed {
                        assert_eq!(response.headers()["access-control-allow-origin"], "http://127.0.0.1:88");
                    }
                }
                "getAuthorization/ticket" => {
                    assert!(status >= 400, "{name} {reason:?}");
                    assert!(json()["Error"]["Code"].is_string() && json()["RequestId"].is_string());
                    assert!(!response.headers().contains_key("access-control-allow-origin"));
                    assert_eq!(response.headers().contains_key("www-authenticate"), status == 401);
                }
                "tencent.sts" => {
                    assert_eq!((status, content_type), (200, "application/json"));
                    let response = &json()["Response"];
                    assert!(response["Error"]["Code"].is_string() && response["RequestId"].is_string());
                }
                "alibaba.top json" => {
                    assert_eq!(status, 200);
                    assert!(json()["error_response"]["code"].is_number());
                }
                "alibaba.top xml" => {
                    assert_eq!(status, 200);
                    assert!(content_type.starts_with("text/xml") && body.contains("<error_response>"));
                }
                "alibaba.sts" => {
                    assert!(status >= 400);
                    assert!(json()["Code"].is_string() && json()["RequestId"].is_string());
                }
                "alibaba.credentials uri" => {
                    assert!(status >= 400 && json()["Code"] != "Success" && json()["Message"].is_string());
                }
                "alibaba.credentials mobile" => {
                    assert!(status == 200 && json()["StatusCode"].as_u64().unwrap() >= 400);
                    assert!(json()["ErrorCode"].is_string() && json()["ErrorMessage"].is_string());
                }
                "verify" | "explain" => {
                    // Whoever reads the status alone must not take a refusal for an answer, nor the reverse.
                    assert!(status >= 400 && json().get("valid").is_none(), "{name} {reason:?}");
                    assert!(json()["error"].is_string() && json()["error_description"].is_string());
                    assert!(
                        json()["request_id"].is_string() && response.headers()["cache-control"] == "no-store"
                    );
                    assert_eq!(response.headers().contains_key("www-authenticate"), status == 401);
                }
                "forward-auth question" | "forward-auth request" => {
                    // A proxy lets through what is below 400, and hands on to the sender what is 401 or 403.
                    assert!([401, 403, 500, 503].contains(&status), "{name} {reason:?}");
                    assert!(name != "forward-auth question" || status != 401, "{reason:?}");
                    assert!(json()["error"].is_string() && json()["request_id"].is_string());
                    assert_eq!(response.headers().contains_key("www-authenticate"), status == 401);
                    assert_eq!(response.headers()["cache-control"], "no-store");
                    let told = json()["error_description"] == "what was wrong";
                    assert_eq!(
                        told,
                        status < 500,
                        "{name} {reason:?}: what is wrong with us is not the sender's business"
                    );
                    let identity = |header: &&http::HeaderName| header.as_str().starts_with("x-daypass-");
                    assert_eq!(response.headers().keys().find(identity), None);
                }
                _ => {
                    assert!(status >= 400 && content_type.starts_with("application/json"));
                    for member in ["error", "error_description", "timestamp", "trace_id", "correlation_id"] {
                        assert!(json()[member].is_string(), "{reason:?} {member}");
                    }
                    assert!(json()["error_codes"][0].is_i64());
                    assert_eq!(response.headers()["cache-control"], "no-store, no-cache");
                }
            }
        }
    }
}
