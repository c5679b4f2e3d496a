//! An API that asks the running program about requests that it got.

use crate::patience::find;
use crate::process::{Answer, Dev};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use daypass_core::clock::Timestamp;
use daypass_dialects::tencent::sign::{CanonicalRequest, Scope, StringToSign, date, derive, hash, hex};
use serde_json::{Value, json};
use std::time::{SystemTime, UNIX_EPOCH};

/// The API that the credential is shown to.
const HOST: &str = "soe.example.com";

fn added(dev: &Dev, name: &str, audience: &str) -> Value {
    let args = ["client", "add", name, "--kind", "client-secret", "--audience", audience, "--json"];
    let output = dev.cli(&args);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"))
}

/// What the API is told, once the server has noticed that there is such a client.
fn ask_as_new(dev: &Dev, api: &Value, question: &Value) -> Answer {
    find("the client that was added is known", || {
        Some(ask(dev, api, question)).filter(|answer| answer.status != 401)
    })
}

fn basic(added: &Value) -> String {
    let text = |name: &str| added["keys"][0][name].as_str().unwrap();
    format!("Basic {}", STANDARD.encode(format!("{}:{}", text("client_id"), text("client_secret"))))
}

fn ask(dev: &Dev, api: &Value, question: &Value) -> Answer {
    let headers = [("content-type", "application/json"), ("authorization", &*basic(api))];
    dev.send("POST", "/v1/verify", &headers, question.to_string().as_bytes())
}

/// A key as the seed's page gets it.
fn browsers_key(dev: &Dev) -> Value {
    let origin = dev.credentials["get_authorization"]["origin"].as_str().unwrap();
    let answer = dev.send("GET", "/getAuthorization", &[("origin", origin)], b"");
    answer.json()["Credentials"].take()
}

/// A call to the API, signed with that key.
pub(crate) fn question(key: &Value) -> Value {
    let text = |name: &str| key[name].as_str().unwrap();
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let at = Timestamp::from_second(i64::try_from(since.as_secs()).unwrap()).unwrap();
    let body = b"{}";
    let (second, day) = (at.as_second().to_string(), date(at));
    let headers = [("content-type", b"application/json"[..].into()), ("host", HOST.as_bytes().into())];
    let (signed_headers, payload) = ("content-type;host", hash(body));
    let request = CanonicalRequest {
        method: "POST",
        uri: "/v1",
        query: "",
        headers: &headers,
        signed_headers,
        payload,
    };
    let scope = Scope { date: &day, service: "soe" };
    let signature = StringToSign { timestamp: &second, scope, request: request.digest() }
        .sign(&derive(text("TmpSecretKey").as_bytes(), scope));
    let authorization = format!(
        "TC3-HMAC-SHA256 Credential={}/{day}/soe/tc3_request, SignedHeaders={signed_headers}, Signature={}",
        text("TmpSecretId"),
        String::from_utf8_lossy(&hex(&signature))
    );
    json!({
        "method": "POST", "path": "/v1", "host": HOST, "body": STANDARD.encode(body),
        "headers": {
            "content-type": "application/json", "authorization": authorization,
            "x-tc-timestamp": second, "x-tc-token": text("Token"),
        },
        "action": "soe:TransmitOralProcessWithInit", "resource": "*",
    })
}

#[test]
fn an_api_is_told_who_holds_a_key_that_a_page_got() {
    let dev = Dev::start();
    let api = added(&dev, "soe-api", "cam:soe");
    let key = browsers_key(&dev);
    let asked = question(&key);
    let told = ask_as_new(&dev, &api, &asked);
    assert_eq!(told.status, 200, "{told:?}");
    let told = told.json();
    assert_eq!((&told["valid"], &told["key"]), (&json!(true), &key["TmpSecretId"]), "{told}");
    assert_eq!((&told["scheme"], &told["decision"]["allowed"]), (&json!("tencent.tc3"), &json!(true)));

    let mut changed = asked.clone();
    changed["path"] = json!("/v2");
    assert_eq!(ask(&dev, &api, &changed).json()["reason"], "wrong_signature");
    let other = added(&dev, "cos-api", "cam:cos");
    assert_eq!(ask_as_new(&dev, &other, &asked).status, 403);
    assert_eq!(dev.send("POST", "/v1/verify", &[("content-type", "application/json")], b"{}").status, 400);
}

#[test]
fn a_page_of_another_origin_cannot_ask() {
    let dev = Dev::start();
    let answer = dev.send("OPTIONS", "/v1/verify", &[("origin", "https://evil.example.com")], b"");
    assert_eq!(answer.status, 405);
    assert!(!answer.head.to_ascii_lowercase().contains("access-control-allow"), "{answer:?}");
}

/// The time alone is ours to say; the address is the API's, and both it may say and may not are told.
#[test]
fn an_api_states_how_a_request_reached_it() {
    let dev = Dev::start();
    let api = added(&dev, "soe-api", "cam:soe");
    let mut asked = question(&browsers_key(&dev));
    asked["context"] = json!({"qcs:ip": "192.0.2.7", "soe:engine": "en"});
    let told = ask_as_new(&dev, &api, &asked).json();
    assert_eq!(told["decision"]["allowed"], true, "{told}");
    for context in [json!({"qcs:current_time": "2026-01-01T00:00:00Z"}), json!({"acs:MFAPresent": "true"})] {
        asked["context"] = context;
        let refused = ask(&dev, &api, &asked);
        assert_eq!(
            (refused.status, &refused.json()["error"]),
            (400, &json!("invalid_request")),
            "{refused:?}"
        );
    }
}
