//! Changed requests, each with the verdict that is due.

use super::super::legacy;
use super::super::sign::{self, CanonicalRequest, Scope, StringToSign, v1};
use super::vectors::{self, group, text};
use super::{Service, load, open_world};
use daypass_core::clock::Timestamp;
use daypass_core::request::Request;
use serde_json::Value;

fn vector(name: &str) -> Value {
    let mut all = vectors::all().into_iter().chain(group("v1", 13));
    all.find(|vector| vector["name"] == name).unwrap()
}

/// Replaces a part of a form that is there.
fn replace(request: &mut Request, from: &str, to: &str) {
    let form = std::str::from_utf8(&request.body).unwrap();
    assert_eq!(form.matches(from).count(), 1, "{from}");
    request.body = form.replace(from, to).into();
}

fn put(request: &mut Request, name: &'static str, value: &str) {
    request.head_mut().headers.insert(name, value.parse().unwrap());
}

/// Signs again, over the host alone.
fn resign_host_only(request: &mut Request, vector: &Value) {
    let date = sign::date(Timestamp::from_second(1_700_000_000).unwrap());
    let scope = Scope { date: &date, service: "sts" };
    let canonical = CanonicalRequest {
        method: "POST",
        uri: "/",
        query: "",
        headers: &[("host", request.head.headers["host"].as_bytes().into())],
        signed_headers: "host",
        payload: sign::hash(&request.body),
    };
    let signature = StringToSign { timestamp: "1700000000", scope, request: canonical.digest() }
        .sign(&sign::derive(text(vector, "secret_key").as_bytes(), scope));
    let authorization = format!(
        "TC3-HMAC-SHA256 Credential={}/{date}/sts/tc3_request, SignedHeaders=host, Signature={}",
        text(vector, "secret_id"),
        String::from_utf8(sign::hex(&signature).to_vec()).unwrap()
    );
    put(request, "authorization", &authorization);
}

/// Makes the change that a mutation describes; gives the server's clock.
fn change(request: &mut Request, vector: &Value, mutation: &str) -> i64 {
    let mut clock = 1_700_000_000;
    match mutation {
        "none" => {}
        "append one space to the body" => request.body = [&request.body[..], b" "].concat().into(),
        "remove header X-TC-Content-SHA256" => {
            _ = request.head_mut().headers.remove("x-tc-content-sha256").unwrap();
        }
        "add header X-TC-Content-SHA256: UNSIGNED-PAYLOAD" => {
            put(request, "x-tc-content-sha256", "UNSIGNED-PAYLOAD");
        }
        "X-TC-Timestamp + 1" => put(request, "x-tc-timestamp", "1700000001"),
        "server clock = 1700000301" => clock = 1_700_000_301,
        "server clock = 1699999699" => clock = 1_699_999_699,
        "server clock = 1700000300" => clock = 1_700_000_300,
        "X-TC-Action: GetCallerIdentity" => put(request, "x-tc-action", "GetCallerIdentity"),
        "SignedHeaders=host only (re-signed)" => resign_host_only(request, vector),
        "Content-Type: application/json; charset=utf-8" => {
            put(request, "content-type", "application/json; charset=utf-8");
        }
        "re-order the two query parameters" => {
            let (a, b) = request.head.query.split_once('&').unwrap();
            request.head_mut().query = format!("{b}&{a}");
        }
        "replace + by %20 in the query" => request.head_mut().query = request.head.query.replace('+', "%20"),
        "duplicate parameter Name=soe&Name=evil" => replace(request, "Name=soe", "Name=soe&Name=evil"),
        "SignatureMethod=HmacSHA1 without re-signing" => {
            replace(request, "SignatureMethod=HmacSHA256", "SignatureMethod=HmacSHA1");
        }
        "drop X-TC-Token" => _ = request.head_mut().headers.remove("x-tc-token").unwrap(),
        "X-TC-Token + 'error'" => {
            let token = request.head.headers["x-tc-token"].to_str().unwrap().to_owned() + "error";
            put(request, "x-tc-token", &token);
        }
        other => {
            assert!(other.starts_with("X-TC-Timestamp = 1700006400"), "an unknown mutation: {other}");
            put(request, "x-tc-timestamp", "1700006400");
            clock = 1_700_006_400;
        }
    }
    clock
}

/// What the signature of a request covers, as text; nothing where its parameters cannot be read.
fn signed_text(vector: &Value, request: &Request) -> Option<String> {
    if vector["params"].is_null() {
        return Some(vectors::strings(vector, request).to_sign);
    }
    let form = legacy::form(request).ok()?;
    let parameters: Vec<_> =
        form.iter().filter(|(name, _)| *name != "Signature").map(|(n, v)| (n.into(), v)).collect();
    let host = request.head.headers["host"].to_str().unwrap();
    Some(v1::StringToSign { method: "POST", host, parameters: &parameters }.text())
}

/// Changes that no signature covers: they leave the signed text as it is, and something else must see them.
fn is_unseen(base: &str, mutation: &str) -> bool {
    mutation.starts_with("server clock")
        || mutation.starts_with("X-TC-Action")
        || mutation.contains("X-TC-Token")
        // It signs another text, but the vector's own can still be put together.
        || mutation.starts_with("SignedHeaders=host only")
        || mutation == "none"
        || (base == "py-tc3-post-unsigned" && mutation == "append one space to the body")
}

#[tokio::test]
async fn every_change_gets_its_verdict() {
    let file = load(include_str!("../../../vectors/tencent-tc3.json"));
    let mut seen = 0;
    for mutation in file["mutations"].as_array().unwrap() {
        let (base, what, expect) =
            (text(mutation, "base"), text(mutation, "mutate"), text(mutation, "expect"));
        seen += 1;
        let vector = vector(base);
        let mut request = vectors::sent(&vector);
        let clock = change(&mut request, &vector, what);
        assert_eq!(
            signed_text(&vector, &request).as_deref() == Some(text(&vector, "string_to_sign")),
            is_unseen(base, what),
            "{base}, {what}"
        );
        // A temporary id that comes without its token is one that nobody knows.
        let known = if what == "drop X-TC-Token" { "AKIDanother" } else { text(&vector, "secret_id") };
        let service = Service::of(open_world(known, text(&vector, "secret_key")));
        service.clock.set(Timestamp::from_second(clock).unwrap());
        let body = service.sts(request).await;
        let code = body["Error"]["Code"].as_str().unwrap_or("accepted");
        let right = match expect.split([' ', '*', ':']).next().unwrap() {
            "accepted" => code == "accepted",
            // The action is not signed; what the action then does with the other one's parameters is its affair.
            "signature" => !code.starts_with("AuthFailure"),
            "AuthFailure." => code.starts_with("AuthFailure."),
            "reject" => code == "InvalidParameter",
            first => code == first,
        };
        assert!(right, "{base}, {what}: {code}, and due was {expect}");
    }
    assert_eq!(seen, 19);
}
