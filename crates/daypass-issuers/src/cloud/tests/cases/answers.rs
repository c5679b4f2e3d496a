//! Right answers of each cloud, and those that are wrong in its own ways.

use super::{CLIENT, Own, ROLE};
use crate::fault::FaultKind;
use crate::testing::hostile::{Act, Reply};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use daypass_core::clock::{rfc3339, unix};
use daypass_core::testing::{ACME, RESOURCE, START, later};
use serde_json::{Value, json};

fn answer(document: &Value) -> Act {
    Act::Answer(Reply::json(document.to_string()))
}

/// The same document with this member, by its path, instead of what there was.
fn with(document: &Value, path: &str, value: impl Into<Value>) -> Act {
    let mut document = document.clone();
    *document.pointer_mut(path).unwrap_or_else(|| panic!("{path}")) = value.into();
    answer(&document)
}

/// Without it.
fn without(document: &Value, parent: &str, name: &str) -> Act {
    let mut document = document.clone();
    document.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(name).unwrap();
    answer(&document)
}

/// From a server whose clock is ten minutes ahead.
fn ahead(act: Act) -> Act {
    let Act::Answer(reply) = act else { panic!("an answer") };
    Act::Answer(reply.header("date", "Tue, 14 Nov 2023 22:23:20 GMT"))
}

pub(super) fn tencent() -> Value {
    json!({ "Response": {
        "Credentials": { "Token": "cloud-token", "TmpSecretId": "AKIDcloud", "TmpSecretKey": "cloud-secret/+=" },
        "ExpiredTime": unix(later(1_800)), "Expiration": rfc3339(later(1_800)), "RequestId": "r-1",
    }})
}

pub(super) fn tencent_faults() -> Vec<Own> {
    let good = tencent();
    let (end, credentials) = ("/Response/ExpiredTime", "/Response/Credentials");
    let part = |name: &str, value: &str| with(&good, &format!("{credentials}/{name}"), value);
    let mut faults = vec![
        ("a credential that ran out", with(&good, end, unix(START) - 60), FaultKind::Wrong),
        ("a short life", with(&good, end, unix(later(900))), FaultKind::Wrong),
        ("a long life", with(&good, end, unix(later(7_200))), FaultKind::Wrong),
        ("their clock is off", ahead(with(&good, end, unix(later(2_400)))), FaultKind::Clock),
        ("no end", without(&good, "/Response", "ExpiredTime"), FaultKind::Garbage),
        ("no credential", without(&good, "/Response", "Credentials"), FaultKind::Garbage),
        ("no token", without(&good, credentials, "Token"), FaultKind::Garbage),
        ("an id with a slash", part("TmpSecretId", "AKID/x"), FaultKind::Garbage),
        ("a token of two lines", part("Token", "a\r\nb: c"), FaultKind::Garbage),
        ("a long token", part("Token", &"t".repeat(4_097)), FaultKind::Garbage),
        ("an error without a code", answer(&json!({ "Response": { "Error": {} } })), FaultKind::Garbage),
    ];
    for (code, kind) in [
        ("AuthFailure.SecretIdNotFound", FaultKind::KeyRefused),
        ("AuthFailure.SignatureFailure", FaultKind::KeyRefused),
        ("AuthFailure.TokenFailure", FaultKind::KeyRefused),
        ("AuthFailure.SignatureExpire", FaultKind::Clock),
        ("AuthFailure.UnauthorizedOperation", FaultKind::Refused),
        ("UnauthorizedOperation", FaultKind::Refused),
        ("InvalidParameter.GrantOtherResource", FaultKind::Refused),
        ("InvalidParameter.OverLimit", FaultKind::Busy),
        ("RequestLimitExceeded", FaultKind::Busy),
        ("RequestLimitExceeded.UinLimitExceeded", FaultKind::Busy),
        ("InternalError.SystemError", FaultKind::Down),
        ("ServiceUnavailable", FaultKind::Down),
        ("IpNotInWhitelist", FaultKind::Refused),
        ("NobodyKnowsThis", FaultKind::Refused),
    ] {
        let refused = json!({ "Error": { "Code": code, "Message": "cloud-secret" }, "RequestId": "r-1" });
        faults.push((code, answer(&json!({ "Response": refused })), kind));
    }
    faults
}

pub(super) fn alibaba() -> Value {
    json!({
        "RequestId": "R-1",
        "AssumedRoleUser": { "Arn": format!("{ROLE}/app"), "AssumedRoleId": "3:app" },
        "Credentials": {
            "AccessKeyId": "STS.cloud", "AccessKeySecret": "cloud-secret", "SecurityToken": "cloud-token",
            "Expiration": rfc3339(later(3_600)),
        },
    })
}

pub(super) fn alibaba_faults() -> Vec<Own> {
    let good = alibaba();
    let user = |arn: &str| with(&good, "/AssumedRoleUser/Arn", arn);
    let end = |end: String| with(&good, "/Credentials/Expiration", end);
    let mut faults = vec![
        ("a credential that ran out", end(rfc3339(START)), FaultKind::Wrong),
        ("a short life", end(rfc3339(later(900))), FaultKind::Wrong),
        ("a long life", end(rfc3339(later(7_200))), FaultKind::Wrong),
        ("their clock is off", ahead(end(rfc3339(later(4_200)))), FaultKind::Clock),
        ("an end that is none", end("tomorrow".into()), FaultKind::Garbage),
        ("another account", user("acs:ram::100000000008:role/upload/app"), FaultKind::Wrong),
        ("another role", user("acs:ram::100000000009:role/admin/app"), FaultKind::Wrong),
        ("another session", user(&format!("{ROLE}/bob")), FaultKind::Wrong),
        ("no role", without(&good, "", "AssumedRoleUser"), FaultKind::Garbage),
        ("a key that is not temporary", with(&good, "/Credentials/AccessKeyId", "LTAIx"), FaultKind::Garbage),
        ("no token", without(&good, "/Credentials", "SecurityToken"), FaultKind::Garbage),
    ];
    for (status, code, kind) in [
        (404, "InvalidAccessKeyId.NotFound", FaultKind::KeyRefused),
        (400, "InvalidAccessKeyId.Inactive", FaultKind::KeyRefused),
        (400, "SignatureDoesNotMatch", FaultKind::KeyRefused),
        (400, "InvalidTimeStamp.Expired", FaultKind::Clock),
        (400, "SignatureNonceUsed", FaultKind::Busy),
        (400, "Throttling.User", FaultKind::Busy),
        (403, "NoPermission", FaultKind::Refused),
        (404, "EntityNotExist.Role", FaultKind::Refused),
        (400, "InvalidParameter.PolicyGrammar", FaultKind::Refused),
        (200, "InvalidParameter.RoleArn", FaultKind::Refused),
        (200, "InternalError", FaultKind::Down),
    ] {
        let refused = json!({ "RequestId": "R-1", "HostId": "sts", "Code": code, "Message": "cloud-secret" });
        faults.push((code, Act::Answer(Reply::json(refused.to_string()).status(status)), kind));
    }
    faults
}

/// The root of the method's answers.
const ROOT: &str = "alibaba_security_deepvision_proxy_security_common_token_get_response";

pub(super) fn top() -> Value {
    let result = json!({
        "access_key_id": "STS.cloud", "access_key_secret": "cloud-secret", "token": "cloud-token",
        "product_code": "oss", "scene_code": "app-upload", "tenant_code": "hema", "field_id": "8005",
        "end_point_public": "https://oss-cn-beijing.aliyuncs.com", "expiration": rfc3339(later(3_600)),
        "policy": { "version": "1", "statement": { "datas": [{
            "effect": "Allow", "action": { "string": ["oss:PutObject"] },
            "resource": { "string": ["acs:oss:*:*:bucket/hema/8005/*"] },
        }]}},
    });
    json!({ ROOT: {
        "result": result, "resp_code": 200, "resp_success": true, "resp_request_id": "r", "message": "m",
        "request_id": "top1",
    }})
}

pub(super) fn top_faults() -> Vec<Own> {
    let good = top();
    let put = |path: &str, value: &str| with(&good, &format!("/{ROOT}/result/{path}"), value);
    let datas = |path: &str, value: &str| put(&format!("policy/statement/datas/0/{path}"), value);
    let result = format!("/{ROOT}/result");
    let mut faults = vec![
        ("a credential that ran out", put("expiration", &rfc3339(START)), FaultKind::Wrong),
        ("more than a day of life", put("expiration", &rfc3339(later(90_000))), FaultKind::Wrong),
        ("their clock is off", ahead(put("expiration", &rfc3339(START))), FaultKind::Clock),
        ("an end that is none", put("expiration", "1"), FaultKind::Garbage),
        ("another store", put("field_id", "8006"), FaultKind::Wrong),
        ("another store as a number", with(&good, &format!("{result}/field_id"), 8006), FaultKind::Wrong),
        ("another tenant", put("tenant_code", "other"), FaultKind::Wrong),
        ("another product", put("product_code", "ecs"), FaultKind::Wrong),
        ("more actions", datas("action/string/0", "oss:*"), FaultKind::Wrong),
        ("more resources", datas("resource/string/0", "acs:oss:*:*:bucket/hema/*"), FaultKind::Wrong),
        ("a policy that cannot be read", datas("effect", "Perhaps"), FaultKind::Wrong),
        ("no policy", without(&good, &result, "policy"), FaultKind::Wrong),
        ("no token", without(&good, &result, "token"), FaultKind::Garbage),
        ("no result", without(&good, &format!("/{ROOT}"), "result"), FaultKind::Garbage),
        ("no success", with(&good, &format!("/{ROOT}/resp_success"), false), FaultKind::Refused),
        ("another root", answer(&json!({ "other_response": { "result": {} } })), FaultKind::Garbage),
    ];
    for (name, code, sub_code, kind) in [
        ("25", 25, "", FaultKind::KeyRefused),
        ("29", 29, "isv.appkey-not-exists", FaultKind::KeyRefused),
        ("31", 31, "", FaultKind::Clock),
        ("7", 7, "accesscontrol.limited-by-app-api-access-count", FaultKind::Busy),
        ("10", 10, "", FaultKind::Down),
        ("11", 11, "isv.permission-ip-whitelist-limit", FaultKind::Refused),
        ("50 isv", 50, "isv.invalid-parameter", FaultKind::Refused),
        ("15 isp", 15, "isp.top-remote-connection-timeout", FaultKind::Down),
        ("15 isp limited", 15, "isp.call-limited", FaultKind::Busy),
    ] {
        let error =
            json!({ "code": code, "msg": "cloud-secret", "sub_code": sub_code, "request_id": "top1" });
        faults.push((name, answer(&json!({ "error_response": error })), kind));
    }
    faults
}

/// A JWT that nobody has signed.
pub(crate) fn jwt(claims: &Value) -> String {
    let encode = |text: String| URL_SAFE_NO_PAD.encode(text);
    let header = json!({ "alg": "RS256", "typ": "JWT", "kid": "k" });
    format!("{}.{}.{}", encode(header.to_string()), encode(claims.to_string()), "cloud-token")
}

/// The claims of a token of Entra's.
pub(crate) fn claims() -> Value {
    json!({
        "aud": RESOURCE, "tid": ACME.to_string(), "azp": CLIENT, "exp": unix(later(3_599)), "iat": unix(START), "ver": "2.0",
    })
}

/// An answer with a token of these claims.
pub(super) fn entra(change: impl FnOnce(&mut Value)) -> Value {
    let mut claims = claims();
    change(&mut claims);
    json!({ "token_type": "Bearer", "expires_in": 3_599, "ext_expires_in": 3_599, "access_token": jwt(&claims) })
}

pub(super) fn entra_faults() -> Vec<Own> {
    const OTHER: &str = "00000000-0000-4000-8000-000000000001";
    let good = entra(|_| ());
    let claim = |name: &str, value: Value| answer(&entra(|claims| claims[name] = value));
    let mut faults = vec![
        ("a token that ran out", with(&good, "/expires_in", 0), FaultKind::Wrong),
        ("a token whose own end has come", claim("exp", unix(START).into()), FaultKind::Wrong),
        ("more than a day of life", with(&good, "/expires_in", 100_000), FaultKind::Wrong),
        ("a negative life", with(&good, "/expires_in", -5), FaultKind::Wrong),
        ("a life that is no number", with(&good, "/expires_in", "soon"), FaultKind::Garbage),
        ("another type of token", with(&good, "/token_type", "pop"), FaultKind::Wrong),
        ("no type", without(&good, "", "token_type"), FaultKind::Garbage),
        ("no token", without(&good, "", "access_token"), FaultKind::Garbage),
        ("a token with a blank", with(&good, "/access_token", "a b"), FaultKind::Garbage),
        ("another tenant", claim("tid", OTHER.into()), FaultKind::Wrong),
        ("another client", claim("azp", OTHER.into()), FaultKind::Wrong),
        ("another resource", claim("aud", OTHER.into()), FaultKind::Wrong),
        ("their clock is off", ahead(claim("exp", (unix(START) - 1).into())), FaultKind::Clock),
    ];
    for (name, status, error, code, kind) in [
        ("a wrong secret", 401, "invalid_client", 7_000_215, FaultKind::KeyRefused),
        ("a secret that ran out", 401, "invalid_client", 7_000_222, FaultKind::KeyRefused),
        ("no such application", 400, "unauthorized_client", 700_016, FaultKind::KeyRefused),
        ("an assertion of another time", 401, "invalid_client", 700_024, FaultKind::Clock),
        ("no such resource", 400, "invalid_resource", 500_011, FaultKind::Refused),
        ("a scope that is none", 400, "invalid_scope", 70_011, FaultKind::Refused),
        ("a loop", 400, "invalid_grant", 50_196, FaultKind::Busy),
        ("unavailable", 400, "temporarily_unavailable", 90_033, FaultKind::Busy),
        ("an error with 200", 200, "invalid_client", 7_000_215, FaultKind::KeyRefused),
    ] {
        let refused = json!({
            "error": error, "error_description": "cloud-secret", "error_codes": [code], "trace_id": "t-1",
        });
        faults.push((name, Act::Answer(Reply::json(refused.to_string()).status(status)), kind));
    }
    faults
}

pub(super) fn oauth() -> Value {
    json!({ "access_token": "57_cloud-token", "expires_in": 7_200 })
}

pub(super) fn oauth_faults() -> Vec<Own> {
    let good = oauth();
    let mac = json!({ "access_token": "a", "expires_in": 60, "token_type": "mac" });
    let mut faults = vec![
        ("a token that ran out", with(&good, "/expires_in", 0), FaultKind::Wrong),
        ("more than a day of life", with(&good, "/expires_in", 100_000), FaultKind::Wrong),
        ("a life that is no number", with(&good, "/expires_in", Value::Null), FaultKind::Garbage),
        ("an empty token", with(&good, "/access_token", ""), FaultKind::Garbage),
        ("a token of two lines", with(&good, "/access_token", "a\nb"), FaultKind::Garbage),
        ("another type of token", answer(&mac), FaultKind::Wrong),
        ("their clock is off", ahead(with(&good, "/expires_in", 0)), FaultKind::Clock),
    ];
    for (name, code, kind) in [
        ("40001", 40_001, FaultKind::KeyRefused),
        ("40013", 40_013, FaultKind::KeyRefused),
        ("40125", 40_125, FaultKind::KeyRefused),
        ("40164", 40_164, FaultKind::Refused),
        ("45009", 45_009, FaultKind::Busy),
        ("-1", -1, FaultKind::Busy),
        ("40002", 40_002, FaultKind::Refused),
    ] {
        faults.push((name, answer(&json!({ "errcode": code, "errmsg": "cloud-secret, rid: 6" })), kind));
    }
    for (error, kind) in [
        ("invalid_client", FaultKind::KeyRefused),
        ("invalid_scope", FaultKind::Refused),
        ("temporarily_unavailable", FaultKind::Busy),
        ("server_error", FaultKind::Down),
    ] {
        let reply = Reply::json(json!({ "error": error }).to_string()).status(400);
        faults.push((error, Act::Answer(reply), kind));
    }
    faults
}
