//! What is refused, with which code, in which action and in which way of signing.

use super::{Draft, FORM, Held, STYLES, Service, Style};
use daypass_core::clock::{after, rfc3339};
use daypass_core::request::Request;
use daypass_core::testing::{START, before, request};
use std::fmt::Write as _;

fn draft(style: Style, action: &str) -> Draft {
    match action {
        "AssumeRole" => Draft::assume(style),
        other => Draft::new(style, other),
    }
}

/// What is done to a good call before it is signed.
type Change = fn(Draft) -> Draft;

/// Changes, by a name for the table.
fn changes() -> Vec<(&'static str, Change)> {
    vec![
        ("nothing", |d| d),
        ("RoleArn left out", |d| d.unset("RoleArn")),
        ("RoleArn empty", |d| d.set("RoleArn", "")),
        ("RoleArn of another form", |d| d.set("RoleArn", "uploads")),
        ("RoleArn of no role", |d| d.set("RoleArn", "acs:ram::100000000001:role/none")),
        ("RoleArn of another account", |d| d.set("RoleArn", "acs:ram::100000000002:role/uploads")),
        ("RoleSessionName left out", |d| d.unset("RoleSessionName")),
        ("RoleSessionName of one letter", |d| d.set("RoleSessionName", "a")),
        ("RoleSessionName with a blank", |d| d.set("RoleSessionName", "a b")),
        ("DurationSeconds no number", |d| d.set("DurationSeconds", "1h")),
        ("DurationSeconds 899", |d| d.set("DurationSeconds", "899")),
        ("DurationSeconds 3601", |d| d.set("DurationSeconds", "3601")),
        ("Policy no JSON", |d| d.set("Policy", "oss:*")),
        ("Policy of the gateway's shape", |d| d.set("Policy", r#"{"version":"1","statement":[]}"#)),
        ("Policy with NotAction", |d| {
            d.set(
                "Policy",
                r#"{"Version":"1","Statement":[{"Effect":"Deny","NotAction":"oss:*","Resource":"*"}]}"#,
            )
        }),
        ("Policy of four segments", |d| {
            d.set("Policy", r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"oss:*","Resource":"acs:oss:*:b"}]}"#)
        }),
        ("Policy with a name twice", |d| d.set("Policy", r#"{"Version":"1","Version":"1","Statement":[]}"#)),
        ("Policy too long", |d| d.set("Policy", &"x".repeat(2049))),
        ("ExternalId with a star", |d| d.set("ExternalId", "a*")),
        ("SourceIdentity of one letter", |d| d.set("SourceIdentity", "a")),
        ("Tags", |d| d.set("Tag.1.Key", "a")),
        ("a region", |d| d.set("RegionId", "cn-hangzhou")),
        ("a nonce too long", |d| d.nonce(&"n".repeat(257))),
        ("16 minutes late", |d| d.at(before(START, 960))),
        ("16 minutes early", |d| d.at(after(START, 960))),
        ("another secret", |d| {
            let key = Held { secret: "a guess".into(), ..d.key.clone() };
            d.by(&key)
        }),
        ("a key of nobody", |d| {
            let key = Held { id: "LTAInobody".into(), ..d.key.clone() };
            d.by(&key)
        }),
        ("a token with a permanent key", |d| {
            let key = Held { token: "token".into(), ..d.key.clone() };
            d.by(&key)
        }),
    ]
}

#[tokio::test]
async fn every_mistake_has_its_code_in_every_action() {
    let mut table = String::new();
    for (name, change) in changes() {
        let mut codes = Vec::new();
        for action in ["AssumeRole", "GetCallerIdentity"] {
            let mut of_styles = Vec::new();
            for style in STYLES {
                of_styles.push(Service::new().code(change(draft(style, action)).sent()).await);
            }
            assert!(of_styles.iter().all(|code| *code == of_styles[0]), "{name} {action}: {of_styles:?}");
            codes.extend(of_styles.pop());
        }
        writeln!(table, "{name}: {}", codes.join(" | ")).unwrap();
    }
    insta::assert_snapshot!(table, @r"
    nothing: 200 | 200
    RoleArn left out: 400 MissingRoleArn | 200
    RoleArn empty: 400 MissingRoleArn | 400 InvalidParameter.RoleArn
    RoleArn of another form: 400 InvalidParameter.RoleArn | 400 InvalidParameter.RoleArn
    RoleArn of no role: 404 EntityNotExist.Role | 400 InvalidParameter.RoleArn
    RoleArn of another account: 404 EntityNotExist.Role | 400 InvalidParameter.RoleArn
    RoleSessionName left out: 400 MissingRoleSessionName | 200
    RoleSessionName of one letter: 400 InvalidParameter.RoleSessionName | 400 InvalidParameter.RoleSessionName
    RoleSessionName with a blank: 400 InvalidParameter.RoleSessionName | 400 InvalidParameter.RoleSessionName
    DurationSeconds no number: 400 InvalidParameter.DurationSeconds | 400 InvalidParameter.DurationSeconds
    DurationSeconds 899: 400 InvalidParameter.DurationSeconds | 400 InvalidParameter.DurationSeconds
    DurationSeconds 3601: 400 InvalidParameter.DurationSeconds | 400 InvalidParameter.DurationSeconds
    Policy no JSON: 400 InvalidParameter.PolicyGrammar | 400 InvalidParameter.Policy
    Policy of the gateway's shape: 400 InvalidParameter.PolicyGrammar | 400 InvalidParameter.Policy
    Policy with NotAction: 400 InvalidParameter.PolicyGrammar | 400 InvalidParameter.Policy
    Policy of four segments: 400 InvalidParameter.PolicyGrammar | 400 InvalidParameter.Policy
    Policy with a name twice: 400 InvalidParameter.PolicyGrammar | 400 InvalidParameter.Policy
    Policy too long: 400 InvalidParameter.PolicySize | 400 InvalidParameter.Policy
    ExternalId with a star: 400 InvalidParameter.ExternalId | 400 InvalidParameter.ExternalId
    SourceIdentity of one letter: 400 InvalidParameter.SourceIdentity | 400 InvalidParameter.SourceIdentity
    Tags: 400 InvalidParameter.Tag.1.Key | 400 InvalidParameter.Tag.1.Key
    a region: 200 | 200
    a nonce too long: 400 InvalidParameter.SignatureNonce | 400 InvalidParameter.SignatureNonce
    16 minutes late: 400 InvalidTimeStamp.Expired | 400 InvalidTimeStamp.Expired
    16 minutes early: 400 InvalidTimeStamp.Expired | 400 InvalidTimeStamp.Expired
    another secret: 400 SignatureDoesNotMatch | 400 SignatureDoesNotMatch
    a key of nobody: 404 InvalidAccessKeyId.NotFound | 404 InvalidAccessKeyId.NotFound
    a token with a permanent key: 400 InvalidSecurityToken.Malformed | 400 InvalidSecurityToken.Malformed
    ");
}

#[tokio::test]
async fn an_action_that_is_not_there_is_told_apart_by_its_reason() {
    let service = Service::new();
    for (action, why) in [
        ("AssumeRoleWithSAML", "no SAML providers"),
        ("assumerole", "no action assumerole"),
        ("ListUsers", "no action ListUsers"),
    ] {
        for style in STYLES {
            let (status, body) = service.ask(Draft::new(style, action).sent()).await;
            assert_eq!((status, body["Code"].as_str()), (404, Some("InvalidApi.NotFound")));
            assert!(body["Message"].as_str().unwrap().contains(why), "{body}");
        }
    }
}

/// A signed call, changed on its way.
fn changed(style: Style, change: impl FnOnce(&mut Request)) -> Request {
    let mut request = Draft::who(style).sent();
    change(&mut request);
    request
}

fn without(name: &str) -> Request {
    changed(Style::Acs3, |r| _ = r.head_mut().headers.remove(name).unwrap())
}

fn with(name: &'static str, value: &str) -> Request {
    changed(Style::Acs3, |r| _ = r.head_mut().headers.insert(name, value.parse().unwrap()))
}

/// A call in the RPC style with one parameter exchanged or taken away.
fn query(name: &str, value: Option<&str>) -> Request {
    changed(Style::Rpc, |r| {
        let query = r.head.query.clone();
        let mut out = form_urlencoded::Serializer::new(String::new());
        for (n, v) in form_urlencoded::parse(query.as_bytes()) {
            match value {
                _ if n != name => _ = out.append_pair(&n, &v),
                Some(value) => _ = out.append_pair(&n, value),
                None => {}
            }
        }
        r.head_mut().query = out.finish();
    })
}

#[tokio::test]
async fn what_is_wrong_with_a_header_has_the_gateways_codes() {
    let mut table = String::new();
    for (name, request) in [
        ("PUT", changed(Style::Acs3, |r| r.head_mut().method = "PUT".parse().unwrap())),
        ("no authorization", without("authorization")),
        ("another algorithm", with("authorization", "TC3-HMAC-SHA256 Credential=a/b/c/tc3_request")),
        (
            "authorization twice",
            changed(Style::Acs3, |r| {
                let first = r.head.headers["authorization"].clone();
                r.head_mut().headers.append("authorization", first);
            }),
        ),
        ("no x-acs-version", without("x-acs-version")),
        ("another version", with("x-acs-version", "2014-05-26")),
        ("no x-acs-date", without("x-acs-date")),
        ("another date", with("x-acs-date", "2023-11-14T22:13:21Z")),
        ("a date of another form", with("x-acs-date", "Tue, 14 Nov 2023 22:13:20 GMT")),
        ("no nonce", without("x-acs-signature-nonce")),
        ("another nonce", with("x-acs-signature-nonce", "nonce-2")),
        ("no body hash", without("x-acs-content-sha256")),
        ("another body hash", with("x-acs-content-sha256", &"0".repeat(64))),
        ("another action", with("x-acs-action", "AssumeRole")),
        ("another host", with("host", "127.0.0.2:5050")),
        ("no host", without("host")),
        ("a token that is not signed", with("x-acs-security-token", "t")),
        (
            "a signature among the parameters too",
            changed(Style::Acs3, |r| r.head_mut().query = "Signature=x".into()),
        ),
        (
            "an action among the parameters too",
            changed(Style::Acs3, |r| r.head_mut().query = "Action=AssumeRole".into()),
        ),
    ] {
        writeln!(table, "{name}: {}", Service::new().code(request).await).unwrap();
    }
    insta::assert_snapshot!(table, @r"
    PUT: 405 UnsupportedHTTPMethod
    no authorization: 400 MissingSignature
    another algorithm: 400 IncompleteSignature
    authorization twice: 400 IncompleteSignature
    no x-acs-version: 400 MissingVersion
    another version: 400 InvalidVersion
    no x-acs-date: 400 MissingTimestamp
    another date: 400 SignatureDoesNotMatch
    a date of another form: 400 InvalidTimeStamp.Format
    no nonce: 400 MissingSignatureNonce
    another nonce: 400 SignatureDoesNotMatch
    no body hash: 400 IncompleteSignature
    another body hash: 400 SignatureDoesNotMatch
    another action: 400 SignatureDoesNotMatch
    another host: 400 SignatureDoesNotMatch
    no host: 400 IncompleteSignature
    a token that is not signed: 400 IncompleteSignature
    a signature among the parameters too: 400 IncompleteSignature
    an action among the parameters too: 400 InvalidParameter.Action
    ");
}

#[tokio::test]
async fn what_is_wrong_with_a_parameter_has_the_gateways_codes() {
    let mut table = String::new();
    for (name, request) in [
        ("no AccessKeyId", query("AccessKeyId", None)),
        ("no Action", query("Action", None)),
        ("no Signature", query("Signature", None)),
        ("Signature in hex", query("Signature", Some(&"0".repeat(40)))),
        ("Signature cut", query("Signature", Some("AAAA"))),
        ("no SignatureMethod", query("SignatureMethod", None)),
        ("another SignatureMethod", query("SignatureMethod", Some("HMAC-SHA256"))),
        ("another SignatureVersion", query("SignatureVersion", Some("2.0"))),
        ("no SignatureNonce", query("SignatureNonce", None)),
        ("another SignatureNonce", query("SignatureNonce", Some("nonce-2"))),
        ("no Timestamp", query("Timestamp", None)),
        ("another Timestamp", query("Timestamp", Some("2023-11-14T22:13:21Z"))),
        ("Timestamp of another form", query("Timestamp", Some("1700000000"))),
        ("another Action", query("Action", Some("AssumeRole"))),
        ("another method", changed(Style::Rpc, |r| r.head_mut().method = "POST".parse().unwrap())),
        ("SignatureType", changed(Style::Rpc, |r| r.head_mut().query.push_str("&SignatureType=BEARERTOKEN"))),
        ("a parameter more", changed(Style::Rpc, |r| r.head_mut().query.push_str("&RegionId=x"))),
        ("an empty parameter more", changed(Style::Rpc, |r| r.head_mut().query.push_str("&SignatureType="))),
        (
            "a parameter twice",
            changed(Style::Rpc, |r| r.head_mut().query.push_str("&Action=GetCallerIdentity")),
        ),
        ("a bad escape", changed(Style::Rpc, |r| r.head_mut().query.push_str("&RegionId=%zz"))),
        (
            "a header of another action",
            changed(Style::Rpc, |r| {
                r.head_mut().headers.insert("x-acs-action", "AssumeRole".parse().unwrap());
            }),
        ),
        (
            "a body that says otherwise",
            changed(Style::Rpc, |r| {
                r.head_mut().headers.insert(FORM.0, FORM.1.parse().unwrap());
                r.body = b"Action=AssumeRole".as_slice().into();
            }),
        ),
        (
            "a JSON body",
            changed(Style::Rpc, |r| {
                r.head_mut().headers.insert(FORM.0, "application/json".parse().unwrap());
                r.body = b"{}".as_slice().into();
            }),
        ),
        ("another Format", changed(Style::Acs3, |r| r.head_mut().query = "Format=YAML".into())),
    ] {
        writeln!(table, "{name}: {}", Service::new().code(request).await).unwrap();
    }
    insta::assert_snapshot!(table, @r"
    no AccessKeyId: 400 MissingAccessKeyId
    no Action: 400 MissingAction
    no Signature: 400 MissingSignature
    Signature in hex: 400 IncompleteSignature
    Signature cut: 400 IncompleteSignature
    no SignatureMethod: 400 MissingSignatureMethod
    another SignatureMethod: 400 IncompleteSignature
    another SignatureVersion: 400 IncompleteSignature
    no SignatureNonce: 400 MissingSignatureNonce
    another SignatureNonce: 400 SignatureDoesNotMatch
    no Timestamp: 400 MissingTimestamp
    another Timestamp: 400 SignatureDoesNotMatch
    Timestamp of another form: 400 InvalidTimeStamp.Format
    another Action: 400 SignatureDoesNotMatch
    another method: 400 SignatureDoesNotMatch
    SignatureType: 400 IncompleteSignature
    a parameter more: 400 SignatureDoesNotMatch
    an empty parameter more: 400 SignatureDoesNotMatch
    a parameter twice: 400 InvalidParameter.Action
    a bad escape: 400 InvalidParameter.RegionId
    a header of another action: 400 InvalidParameter.Action
    a body that says otherwise: 400 InvalidParameter.Action
    a JSON body: 415 UnsupportedContentType
    another Format: 400 InvalidParameter.Format
    ");
}

#[tokio::test]
async fn a_call_may_say_in_the_query_and_in_the_body_the_same() {
    let request = changed(Style::Rpc, |r| {
        r.head_mut().headers.insert(FORM.0, FORM.1.parse().unwrap());
        r.body = b"Action=GetCallerIdentity".as_slice().into();
    });
    assert_eq!(Service::new().code(request).await, "200");
}

/// Behind a proxy that adds or removes the port, the client's signature is right all the same. The name must be the one
/// that was signed, and a port that was removed is that of `public_url`, which is `http://127.0.0.1:5050` here.
#[tokio::test]
async fn a_host_may_be_signed_with_another_port_than_arrives() {
    for (signed, arrived, expected) in [
        ("sts.example.com", "sts.example.com:443", "200"),
        ("sts.example.com", "sts.example.org:443", "400 SignatureDoesNotMatch"),
        ("sts.example.com", "sts.example.com:x", "400 SignatureDoesNotMatch"),
        ("127.0.0.1:5050", "127.0.0.1", "200"),
        ("127.0.0.1:5051", "127.0.0.1", "400 SignatureDoesNotMatch"),
        ("127.0.0.1:5050", "127.0.0.2", "400 SignatureDoesNotMatch"),
        ("sts.example.com:5050", "sts.example.com", "400 SignatureDoesNotMatch"),
        ("127.0.0.1:5050", "127.0.0.1:443", "400 SignatureDoesNotMatch"),
    ] {
        let mut request = Draft::who(Style::Acs3).sent();
        let key = super::ClientKey { id: "LTAIworld", secret: b"secret of LTAIworld", token: None };
        let out = super::acs3::Outgoing {
            method: "POST",
            host: signed,
            query: &[],
            body: b"",
            action: "GetCallerIdentity",
            version: "2015-04-01",
            nonce: "n",
            at: START,
        };
        for (name, value) in super::acs3::sign_request(&key, &out) {
            request.head_mut().headers.insert(name, value.parse().unwrap());
        }
        request.head_mut().headers.insert("host", arrived.parse().unwrap());
        assert_eq!(Service::new().code(request).await, expected, "{signed} {arrived}");
    }
}

#[tokio::test]
async fn a_wrong_signature_is_shown_no_secret() {
    let service = Service::new();
    let held = Held::of(&service.granted(Draft::assume(Style::Acs3).sent()).await);
    let guess = Held { secret: "a guess".into(), ..held.clone() };
    for style in STYLES {
        let (_, body) = service.ask(Draft::who(style).by(&guess).sent()).await;
        let message = body["Message"].as_str().unwrap();
        assert_eq!(body["Code"], "SignatureDoesNotMatch");
        assert!(message.contains("SHA-256"), "{message}");
        assert!(!message.contains(&held.token[..20]) && !message.contains("AccessKeyId"), "{message}");
        // What the older Python SDK looks for behind the first colon; without one it fails with an error of its own.
        assert!(style != Style::Rpc || message.split_once(':').unwrap().0.ends_with("sign is"), "{message}");
    }
    let key = Held { secret: "a guess".into(), ..Draft::who(Style::Rpc).key };
    let (_, body) =
        service.ask(Draft::assume(Style::Rpc).set("ExternalId", "hush-hush").by(&key).sent()).await;
    assert!(!body["Message"].as_str().unwrap().contains("hush"), "{body}");
    let (_, body) =
        service.ask(Draft::assume(Style::Rpc).set("Policy", &"x".repeat(9000)).by(&key).sent()).await;
    assert!(body["Message"].as_str().unwrap().len() < 400, "{body}");
}

#[tokio::test]
async fn the_signature_is_checked_before_anything_is_decided() {
    let service = Service::new();
    let key = Held { secret: "a guess".into(), ..Draft::who(Style::Rpc).key };
    let bad = Draft::assume(Style::Rpc).set("Policy", "{").by(&key);
    assert_eq!(service.code(bad.sent()).await, "400 SignatureDoesNotMatch");
    assert!(service.store.all().is_empty(), "a stranger's refusal is counted and not recorded one by one");
    let bad = Draft::assume(Style::Rpc).set("Policy", "{");
    assert_eq!(service.code(bad.sent()).await, "400 InvalidParameter.PolicyGrammar");
    assert_eq!(service.store.all().len(), 1, "a known caller's refusal is recorded");
}

#[tokio::test]
async fn a_fraction_of_a_second_and_a_nonce_of_any_text_are_taken() {
    let at = rfc3339(START).replace('Z', ".931Z");
    let params = [
        ("Action", "GetCallerIdentity"),
        ("Version", "2015-04-01"),
        ("Format", "JSON"),
        ("AccessKeyId", "LTAIworld"),
        ("SignatureMethod", "HMAC-SHA1"),
        ("SignatureVersion", "1.0"),
        ("SignatureType", ""),
        ("SignatureNonce", "0.6361207914910842"),
        ("Timestamp", &at),
    ];
    let signature = super::rpc::sign(b"secret of LTAIworld", "POST", params);
    let form = super::encoded(params.into_iter().chain([("Signature", signature.as_str())]));
    let request = request("POST", "/", &[FORM], form.as_bytes());
    assert_eq!(Service::new().code(request).await, "200");
}
