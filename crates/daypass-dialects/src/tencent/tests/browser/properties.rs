//! What holds for every request.

use super::{endpoint, serving};
use daypass_core::request::{Request, Response};
use daypass_core::testing::request;
use http::header::HeaderName;
use http::{HeaderValue, Method};
use proptest::prelude::*;

const LISTED: &str = "http://127.0.0.1:88";
const WAYS: [&str; 6] = ["cookie ticket jwt", "header jwt", "ticket", "anonymous", "originless", "near"];
const NAMES: [&str; 10] = [
    "origin",
    "authorization",
    "cookie",
    "x-session",
    "sec-fetch-site",
    "sec-fetch-mode",
    "sec-fetch-dest",
    "content-type",
    "access-control-request-method",
    "access-control-request-headers",
];

fn answer(ways: &str, request: Request) -> Response {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async { serving(endpoint(ways)).browse(request).await.response })
}

fn sent(method: &str, desk: bool, query: &str, headers: &[(&'static str, Vec<u8>)], body: &[u8]) -> Request {
    let path = if desk { "/getAuthorization/ticket" } else { "/getAuthorization" };
    let mut sent = request("GET", path, &[], body);
    let head = sent.head_mut();
    head.method = Method::from_bytes(method.as_bytes()).unwrap();
    query.clone_into(&mut head.query);
    for (name, value) in headers {
        if let Ok(value) = HeaderValue::from_bytes(value) {
            head.headers.append(HeaderName::from_static(name), value);
        }
    }
    sent
}

fn known_values() -> impl Strategy<Value = Vec<u8>> {
    let texts = [
        LISTED,
        "http://127.0.0.1:5050",
        "null",
        "cors",
        "same-origin",
        "none",
        "empty",
        "application/json",
        "Bearer a.b.c",
        "Ticket dpt_x",
        "Basic YTpi",
        "sid=the-session",
        "the-session",
    ];
    prop_oneof![
        prop::sample::select(texts.map(|text| text.as_bytes().to_vec()).to_vec()),
        prop::collection::vec(any::<u8>(), 0..40)
    ]
}

proptest! {
    #[test]
    fn anything_may_be_sent(
        method in "(GET|POST|OPTIONS|HEAD|[A-Z]{1,8})",
        desk: bool,
        query: String,
        headers in prop::collection::vec((0..NAMES.len(), known_values()), 0..8),
        body in prop_oneof![Just("{\"subject\":\"ada\",\"origin\":\"http://127.0.0.1:88\"}".to_owned()), any::<String>()],
        ways in 0..WAYS.len(),
    ) {
        let mut headers: Vec<_> = headers.into_iter().map(|(name, value)| (NAMES[name], value)).collect();
        // No other value reaches a dialect: the HTTP library refuses the request.
        headers.retain(|(_, value)| HeaderValue::from_bytes(value).is_ok());
        let response = answer(WAYS[ways], sent(&method, desk, &query, &headers, body.as_bytes()));
        // Only one listed origin may read, and nobody at the desk.
        let origins: Vec<_> = headers.iter().filter(|(name, _)| *name == "origin").collect();
        let listed = !desk && matches!(origins[..], [(_, value)] if value == LISTED.as_bytes());
        let allowed = response.headers().get("access-control-allow-origin");
        prop_assert_eq!(allowed.map(HeaderValue::as_bytes), listed.then_some(LISTED.as_bytes()));
        prop_assert!(response.headers()["vary"].to_str().unwrap().starts_with("Origin"));
        if method != "OPTIONS" {
            prop_assert_eq!(&response.headers()["cache-control"], "no-store");
        }
    }

    #[test]
    fn an_origin_that_is_almost_listed_is_not(at: prop::sample::Index, to in "[ -~]", cut: bool, insert: bool) {
        let mut origin = LISTED.to_owned();
        let at = at.index(origin.len());
        match (cut, insert) {
            (true, _) => _ = origin.remove(at),
            (false, true) => origin.insert_str(at, &to),
            (false, false) => origin.replace_range(at..=at, &to),
        }
        prop_assume!(origin != LISTED && origin.trim() == origin);
        for method in ["GET", "OPTIONS", "POST"] {
            let headers = [("origin", origin.clone().into_bytes()), ("cookie", b"sid=the-session".to_vec())];
            for ways in ["cookie", "anonymous", "originless"] {
                let response = answer(ways, sent(method, false, "", &headers, b""));
                let refused = if method == "POST" { 405 } else { 403 };
                prop_assert_eq!(response.status().as_u16(), refused, "{}", origin);
                let cors = response.headers().keys().filter(|name| name.as_str().starts_with("access-control"));
                prop_assert_eq!(cors.count(), 0, "{}", origin);
            }
        }
    }

    /// What a caller shows never comes back: an answer may be logged where the request was not.
    #[test]
    fn evidence_never_comes_back(
        secret in "[A-Za-z0-9._~+-]{12,60}",
        shown in 0..8_usize,
        origin: bool,
        ways in 0..WAYS.len(),
    ) {
        let text = |text: String| text.into_bytes();
        let mut query = String::new();
        let header = match shown {
            0 => ("authorization", text(format!("Ticket {secret}"))),
            1 => ("authorization", text(format!("Bearer {secret}"))),
            2 => ("authorization", text(format!("Unknown {secret}"))),
            3 => ("cookie", text(format!("sid={secret}"))),
            4 => ("cookie", text(format!("sid={secret}; sid={secret}"))),
            5 => ("x-session", text(secret.clone())),
            6 => ("authorization", text(secret.clone())),
            _ => {
                query = format!("ticket={secret}");
                ("accept", text("*/*".into()))
            }
        };
        let origin = if origin { LISTED } else { "https://evil.example" };
        let headers = [header, ("origin", text(origin.into()))];
        for desk in [false, true] {
            let method = if desk { "POST" } else { "GET" };
            let response = answer(WAYS[ways], sent(method, desk, &query, &headers, secret.as_bytes()));
            let all = format!("{:?} {:?}", response.headers(), response.body());
            prop_assert!(!all.contains(&secret), "{all}");
        }
    }
}
