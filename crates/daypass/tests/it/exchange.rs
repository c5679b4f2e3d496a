//! A token of one dialect in, a key of another one out (RFC 8693), over HTTP; and what becomes of that key.

use crate::patience::promised;
use crate::process::{Dev, json_of, token};
use daypass_core::clock::Timestamp;
use daypass_dialects::tencent::sign::{ClientKey, Outgoing, sign_request};
use serde_json::Value;
use std::time::UNIX_EPOCH;

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_else(|| panic!("no {pointer} in {value}"))
}

/// Posts to an OAuth endpoint as the demo client.
fn post(dev: &Dev, endpoint: &str, more: &[(&str, &str)]) -> crate::process::Answer {
    let client = &dev.credentials["entra"];
    let mut form =
        vec![("client_id", text(client, "/client_id")), ("client_secret", text(client, "/client_secret"))];
    form.extend(more);
    dev.post_form(&format!("/{}/oauth2/v2.0/{endpoint}", text(client, "/tenant")), &form)
}

/// Asks Tencent's STS, signed with a temporary key, to whom that belongs.
fn whoami(dev: &Dev, credentials: &Value) -> Value {
    let key = ClientKey {
        id: text(credentials, "/TmpSecretId"),
        secret: text(credentials, "/TmpSecretKey").as_bytes(),
        token: Some(text(credentials, "/Token")),
    };
    let host = dev.host();
    let at = Timestamp::from_second(UNIX_EPOCH.elapsed().unwrap().as_secs().try_into().unwrap()).unwrap();
    let request = Outgoing {
        method: "POST",
        host: &host,
        query: "",
        body: b"{}",
        unsigned_payload: false,
        action: "GetCallerIdentity",
        region: "ap-guangzhou",
        at,
    };
    let headers = sign_request(&key, &request);
    let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    dev.send("POST", "/", &headers, b"{}").json()
}

#[test]
fn a_token_becomes_a_key_of_tencent_and_takes_it_along_when_it_is_taken_back() {
    let dev = Dev::start();
    let scope = text(&dev.credentials, "/entra/scope").to_owned();
    let given = post(&dev, "token", &[("grant_type", "client_credentials"), ("scope", &scope)]);
    let jwt = text(&given.json(), "/access_token").to_owned();
    let exchanged = post(
        &dev,
        "token",
        &[
            ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
            ("subject_token", &jwt),
            ("subject_token_type", "urn:ietf:params:oauth:token-type:jwt"),
            ("requested_token_type", "urn:daypass:params:oauth:token-type:tencent"),
            ("audience", "role:soe"),
        ],
    );
    assert_eq!(exchanged.status, 200, "{exchanged:?}");
    let credentials = exchanged.json()["credentials"].clone();
    let client = text(&dev.credentials, "/entra/client_id");
    let who = whoami(&dev, &credentials);
    assert!(text(&who, "/Response/UserId").ends_with(&format!(":{client}")), "{who}");

    let id = text(&credentials, "/TmpSecretId");
    let shown = json_of(&dev.cli(&["credential", "show", id, "--json"]));
    assert_eq!((&shown["standing"], &shown["role"]), (&"live".into(), &"soe".into()), "{shown}");

    assert_eq!(post(&dev, "revoke", &[("token", &jwt)]).status, 200);
    let refused = whoami(&dev, &credentials);
    assert_eq!(text(&refused, "/Response/Error/Code"), "AuthFailure.TokenFailure", "{refused}");
    let shown = json_of(&dev.cli(&["credential", "show", id, "--json"]));
    assert_eq!(shown["standing"], "fallen", "{shown}");
}

#[test]
fn the_command_line_exchanges_too() {
    let dev = Dev::start();
    let tencent = json_of(&token(&["exchange", "--to", "tencent"], &dev.file()));
    assert!(whoami(&dev, &tencent["credentials"])["Response"]["Error"].is_null(), "{tencent}");
    let alibaba = json_of(&token(&["exchange", "--to", "alibaba"], &dev.file()));
    assert!(text(&alibaba, "/credentials/AccessKeyId").starts_with("STS."), "{alibaba}");
    let variables = ["--role", "store-upload", "--variable", "poi_id=8006", "--variable", "tenant_code=hema"];
    let named = json_of(&token(&[&["exchange", "--to", "alibaba"][..], &variables].concat(), &dev.file()));
    assert!(text(&named, "/expiration") >= text(&alibaba, "/expiration"), "{named}");

    // The first token in a file, and its own resource: less is always to be had.
    let jwt = json_of(&token(&["entra"], &dev.file()));
    let file = dev.folder.path().join("jwt");
    std::fs::write(&file, format!("{}\n", text(&jwt, "/access_token"))).unwrap();
    let resource = text(&dev.credentials, "/entra/scope").strip_suffix("/.default").unwrap().to_owned();
    let shown = ["exchange", "--subject-token-file", file.to_str().unwrap(), "--to", &resource];
    let again = json_of(&token(&shown, &dev.file()));
    assert_eq!(again["issued_token_type"], "urn:ietf:params:oauth:token-type:access_token");
    assert_eq!(again["scope"], format!("{resource}/orders.read"));

    let unknown = token(&["exchange", "--to", "api://nowhere"], &dev.file());
    assert_eq!(unknown.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&unknown.stdout).contains("invalid_target"));
}

#[test]
fn a_key_falls_with_its_client_within_two_seconds() {
    let dev = Dev::start();
    let given = json_of(&token(&["exchange", "--to", "tencent"], &dev.file()));
    assert!(whoami(&dev, &given["credentials"])["Response"]["Error"].is_null());
    assert!(dev.cli(&["client", "disable", "devcenter-app"]).status.success());
    promised("the end of the key", || {
        let who = whoami(&dev, &given["credentials"]);
        let refused = !who["Response"]["Error"].is_null();
        assert!(!refused || who["Response"]["Error"]["Code"] == "AuthFailure.TokenFailure", "{who}");
        refused
    });
}
