//! What the STS API refuses, with which code, and before or after what.

use super::super::sign::{hash, hex};
use super::legacy::Older;
use super::{Asking, POLICY, Service, code, federation};
use daypass_core::refusal::{Reason, Refusal};
use daypass_core::request::Request;
use daypass_core::testing::request;
use serde_json::{Value, json};

/// A good request for who the caller is, changed.
fn changed(change: impl FnOnce(&mut Request)) -> Request {
    let mut request = Asking::who().sent();
    change(&mut request);
    request
}

fn with(name: &'static str, value: &'static str) -> Request {
    changed(|request| _ = request.head_mut().headers.insert(name, value.parse().unwrap()))
}

fn without(name: &str) -> Request {
    changed(|request| _ = request.head_mut().headers.remove(name).unwrap())
}

#[tokio::test]
async fn what_is_wrong_with_the_head_has_the_gateways_codes() {
    let service = Service::new();
    for (request, expected) in [
        (changed(|r| r.head_mut().method = "PUT".parse().unwrap()), "UnsupportedProtocol"),
        (changed(|r| r.head_mut().method = "OPTIONS".parse().unwrap()), "UnsupportedProtocol"),
        (changed(|r| r.head_mut().method = "HEAD".parse().unwrap()), "UnsupportedProtocol"),
        (without("authorization"), "AuthFailure.InvalidAuthorization"),
        (with("authorization", "SKIP"), "AuthFailure.InvalidAuthorization"),
        (with("authorization", ""), "AuthFailure.InvalidAuthorization"),
        (without("x-tc-version"), "MissingParameter"),
        (with("x-tc-version", "2017-03-12"), "NoSuchVersion"),
        (without("x-tc-action"), "MissingParameter"),
        (with("x-tc-action", "DescribeInstances"), "InvalidAction"),
        (with("x-tc-action", "getcalleridentity"), "InvalidAction"),
        (with("x-tc-action", "AssumeRole"), "MissingParameter"),
        (with("x-tc-action", "AssumeRoleWithSAML"), "UnsupportedOperation"),
        (with("x-tc-action", "AssumeRoleWithWebIdentity"), "AuthFailure.InvalidAuthorization"),
        (with("x-tc-action", "GetSessionToken"), "UnsupportedOperation"),
        (with("x-tc-action", "QueryApiKey"), "UnsupportedOperation"),
        (without("x-tc-timestamp"), "MissingParameter"),
        (with("x-tc-timestamp", "now"), "InvalidParameterValue"),
        (with("x-tc-timestamp", "1700000301"), "AuthFailure.SignatureExpire"),
        (without("host"), "AuthFailure.InvalidAuthorization"),
        (without("content-type"), "AuthFailure.InvalidAuthorization"),
        (with("host", "127.0.0.2:5050"), "AuthFailure.SignatureFailure"),
        (with("content-type", "application/xml"), "AuthFailure.SignatureFailure"),
    ] {
        let what = format!("{:?} {:?}", request.head.method, request.head.headers);
        assert_eq!(service.code(request).await, expected, "{what}");
    }
}

#[tokio::test]
async fn two_proofs_are_none() {
    let service = Service::new();
    let twice = changed(|request| {
        let first = request.head.headers["authorization"].clone();
        request.head_mut().headers.append("authorization", first);
    });
    assert_eq!(service.code(twice).await, "AuthFailure.InvalidAuthorization");
    let two_tokens = changed(|request| {
        request.head_mut().headers.append("x-tc-token", "a".parse().unwrap());
        request.head_mut().headers.append("x-tc-token", "b".parse().unwrap());
    });
    assert_eq!(service.code(two_tokens).await, "InvalidParameter");
}

#[tokio::test]
async fn a_request_without_any_proof_hears_what_one_is() {
    let service = Service::new();
    let json = [("content-type", "application/json"), ("host", "127.0.0.1:5050")];
    // What looks like a parameter inside a JSON body is none.
    for body in ["{}", r#"{"Name":"a&SecretId=b&Signature=c"}"#] {
        let bare = service.sts(request("POST", "/", &json, body.as_bytes())).await;
        assert_eq!(code(&bare), "AuthFailure.InvalidAuthorization");
        assert!(bare["Error"]["Message"].as_str().unwrap().contains("no Authorization header"), "{bare}");
    }
}

#[tokio::test]
async fn parameters_of_a_federation_token_are_checked() {
    let good = || json!({"Name": "soe", "Policy": POLICY});
    let set = |name: &str, value: Value| {
        let mut body = good();
        body[name] = value;
        body.to_string()
    };
    let policy = |text: &str| set("Policy", text.into());
    let name128 = "n".repeat(128);
    for (body, expected) in [
        (set("Name", "lesson_A+=,.@-9".into()), "accepted"),
        (set("Name", name128.clone().into()), "accepted"),
        (set("DurationSeconds", Value::Null), "accepted"),
        (set("Name", format!("{name128}n").into()), "InvalidParameter.ParamError"),
        (set("Name", "a b".into()), "InvalidParameter.ParamError"),
        (set("Name", "课".into()), "InvalidParameter.ParamError"),
        (set("Name", "a/b".into()), "InvalidParameter.ParamError"),
        (set("Name", 1.into()), "InvalidParameter.ParamError"),
        (set("Name", "".into()), "MissingParameter"),
        (set("Name", Value::Null), "MissingParameter"),
        (set("Policy", Value::Null), "MissingParameter"),
        (set("Policy", json!({})), "InvalidParameter.ParamError"),
        (set("DurationSeconds", 0.into()), "InvalidParameter.ParamError"),
        (set("DurationSeconds", (-1).into()), "InvalidParameter.ParamError"),
        (set("DurationSeconds", "1800".into()), "InvalidParameter.ParamError"),
        (set("DurationSeconds", 1.5.into()), "InvalidParameter.ParamError"),
        (set("DurationSeconds", 7201.into()), "InvalidParameter.OverTimeError"),
        (set("DurationSeconds", 129_601.into()), "InvalidParameter.OverTimeError"),
        (set("DurationSeconds", 4_294_967_297_u64.into()), "InvalidParameter.OverTimeError"),
        (set("Region", "ap-guangzhou".into()), "UnknownParameter"),
        (set("RoleArn", "x".into()), "UnknownParameter"),
        ("{".to_owned(), "InvalidParameter.ParamError"),
        ("[]".to_owned(), "InvalidParameter.ParamError"),
        (r#"{"Name":"a","Name":"b"}"#.to_owned(), "InvalidParameter.ParamError"),
        (policy("soe:*"), "InvalidParameter.StrategyFormatError"),
        (policy("%zz"), "InvalidParameter.StrategyFormatError"),
        (policy("{}"), "InvalidParameter.StrategyInvalid"),
        (policy(&POLICY.replace("2.0", "1.0")), "InvalidParameter.StrategyInvalid"),
        (policy(&POLICY.replace("\"*\"", "\"bucket/*\"")), "InvalidParameter.ResouceError"),
        (policy(&format!("{POLICY}{}", "x".repeat(6144))), "InvalidParameter.PolicyTooLong"),
        (
            policy(&POLICY.replace("\"*\"", "\"qcs::soe::uin/100000000002:*\"")),
            "InvalidParameter.GrantOtherResource",
        ),
    ] {
        let service = Service::new();
        let answer = service.sts(Asking::new("GetFederationToken", &body).sent()).await;
        assert_eq!(answer["Error"]["Code"].as_str().unwrap_or("accepted"), expected, "{body}");
    }
}

#[tokio::test]
async fn more_than_the_role_gives_is_refused() {
    let service = Service::new();
    for wide in ["soe:*", "*", "cos:GetObject"] {
        let policy = POLICY.replace("soe:TransmitOralProcessWithInit", wide);
        let body = federation(&policy, None);
        let request = Asking::new("GetFederationToken", &body).sent();
        assert_eq!(service.code(request).await, "InvalidParameter.GrantOtherResource", "{wide}");
    }
}

#[tokio::test]
async fn a_client_without_a_role_gets_none() {
    let mut service = Service::new();
    service.world.client.default_role = None;
    let body = federation(POLICY, None);
    let ask = || Asking::new("GetFederationToken", &body).sent();
    assert_eq!(service.code(ask()).await, "ResourceNotFound.RoleNotFound");
    service.world.client.default_role = Some("soe".into());
    service.world.client.grants.clear();
    assert_eq!(service.code(ask()).await, "ResourceNotFound.RoleNotFound");
}

#[tokio::test]
async fn who_am_i_has_no_parameters() {
    let service = Service::new();
    let body = Asking::new("GetCallerIdentity", r#"{"Name":"x"}"#).sent();
    assert_eq!(service.code(body).await, "UnknownParameter");
    let query = Asking::who().get("Action=GetCallerIdentity").sent();
    assert_eq!(service.code(query).await, "UnknownParameter");
}

#[tokio::test]
async fn the_signature_is_checked_before_anything_is_parsed() {
    let service = Service::new();
    let request = Asking::new("GetFederationToken", "{").by("AKIDworld", "a guess").sent();
    assert_eq!(service.code(request).await, "AuthFailure.SignatureFailure");
    assert!(service.store.all().is_empty(), "a stranger's refusal is counted and not recorded one by one");
    let request = Asking::new("GetFederationToken", "{").sent();
    assert_eq!(service.code(request).await, "InvalidParameter.ParamError");
    assert_eq!(service.store.all().len(), 1, "a known caller's refusal is recorded");
}

#[tokio::test]
async fn a_body_in_a_get_and_a_query_in_a_post_are_refused() {
    let service = Service::new();
    let mut get = Asking::who().get("").sent();
    get.body = b"{}".as_slice().into();
    assert_eq!(service.code(get).await, "InvalidParameter");
    let mut post = Asking::who().sent();
    post.head_mut().query = "Name=evil".to_owned();
    assert_eq!(service.code(post).await, "InvalidParameter");
}

#[tokio::test]
async fn what_never_became_a_request_has_the_envelope_too() {
    let service = Service::new();
    let head = request("POST", "/", &[("x-tc-action", "GetFederationToken")], b"").head;
    for (reason, expected) in [
        (Reason::TooLarge, "RequestSizeLimitExceeded"),
        (Reason::RateLimited, "RequestLimitExceeded"),
        (Reason::Overloaded, "RequestLimitExceeded"),
        (Reason::Internal, "InternalError.SystemError"),
    ] {
        let answer = service.pipeline.refuse(&super::Sts, &head, Refusal::new(reason, "a test"));
        assert_eq!(code(&super::enveloped(&answer.response)), expected);
    }
}

#[tokio::test]
async fn a_wrong_signature_is_shown_what_the_server_hashed() {
    let service = Service::new();
    let request = Asking::who().by("AKIDworld", "a guess").sent();
    let message = service.sts(request).await["Error"]["Message"].as_str().unwrap().to_owned();
    let canonical = "POST\n/\n\ncontent-type:application/json\nhost:127.0.0.1:5050\n\ncontent-type;host\n";
    let payload = String::from_utf8(hex(&hash(b"{}")).to_vec()).unwrap();
    let whole = String::from_utf8(hex(&hash(format!("{canonical}{payload}").as_bytes())).to_vec()).unwrap();
    let seen = format!(
        "here the payload has the SHA-256 {payload}, and the canonical request, with the host 127.0.0.1:5050, has {whole}"
    );
    assert!(message.ends_with(&seen), "{message}");

    let parameters = [("Name", "soe"), ("Policy", POLICY)];
    let mut older = Older::new("GetFederationToken", &parameters);
    older.key.secret = b"a guess";
    older.key.token = Some("a-token-nobody-sees");
    let refused = service.sts(older.sent()).await["Error"]["Message"].as_str().unwrap().to_owned();
    assert!(
        refused.contains("here the string to sign begins with POST127.0.0.1:5050/? and has, with its "),
        "{refused}"
    );
    assert!(!refused.contains("a-token-nobody-sees"), "{refused}");
}

#[tokio::test]
async fn no_message_tells_what_was_expected() {
    let service = Service::new();
    let request = Asking::who().by("AKIDworld", "a guess").sent();
    let right = Asking::who().sent().head.headers["authorization"].to_str().unwrap().to_owned();
    let sent = request.head.headers["authorization"].to_str().unwrap().to_owned();
    let message = service.sts(request).await.to_string();
    for secret in [right, sent].map(|header| header.rsplit_once('=').unwrap().1.to_owned()) {
        assert_eq!(secret.len(), 64);
        assert!(!message.contains(&secret), "{message}");
    }
    assert!(!message.contains("secret of"), "{message}");
}
