//! What a caller sees when it is refused.

use super::super::sign::SignMethod;
use super::super::wire::PATH;
use super::super::{Sts, Top};
use super::{Draft, PARAM, post, read};
use daypass_core::dialect::{Dialect, Facts, Outcome};
use daypass_core::refusal::{Reason, Refusal};
use daypass_core::request::Request;
use daypass_core::testing::{START, World, request};
use std::fmt::Write;
use uuid::Uuid;

/// The answer to a call that `read` refuses.
fn refused(request: Request) -> String {
    let (manner, call) = read(&World::new().directory(), START, request);
    let response = Top.render(&manner, Outcome::Refused(call.unwrap_err()));
    assert_eq!(response.status(), 200, "never anything else: SDKs lose the body");
    assert_eq!(response.headers()["cache-control"], "no-store");
    let kind = response.headers()["content-type"].to_str().unwrap();
    let body = String::from_utf8(response.body().to_vec()).unwrap();
    assert_eq!(
        kind,
        if body.starts_with('{') { "text/javascript;charset=UTF-8" } else { "text/xml;charset=UTF-8" }
    );
    body
}

fn draft() -> Draft {
    Draft::new(SignMethod::Md5)
}

/// Code and message, with the sub code in brackets.
fn short(request: Request) -> String {
    let body: serde_json::Value = serde_json::from_str(&refused(request)).unwrap();
    let error = &body["error_response"];
    let sub_code = error["sub_code"].as_str().map(|sub| format!(" [{sub}]")).unwrap_or_default();
    format!("{} {}{sub_code}", error["code"], error["msg"].as_str().unwrap())
}

#[test]
fn the_envelope_in_both_languages() {
    insta::assert_snapshot!(refused(draft().unset("method").post()), @r#"{"error_response":{"code":21,"msg":"Missing method","sub_msg":"http传入的参数加入method字段","request_id":"2jzpw4cc55se5"}}"#);
    insta::assert_snapshot!(refused(draft().unset("method").unset("format").post()), @r#"<?xml version="1.0" encoding="utf-8" ?><error_response><code>21</code><msg>Missing method</msg><sub_msg>http传入的参数加入method字段</sub_msg><request_id>2jzpw4cc55se5</request_id></error_response>"#);
}

#[test]
fn checks_of_presence_and_form() {
    let cases = [
        (draft().unset("method"), "21 Missing method"),
        (draft().set("method", ""), "21 Missing method"),
        (draft().set("method", "taobao.time.get").set("fields", "x"), "22 Invalid method"),
        (draft().unset("app_key"), "28 Missing app key"),
        (draft().unset("timestamp"), "30 Missing timestamp"),
        (draft().set("timestamp", "yesterday"), "31 Invalid timestamp"),
        (draft().set("timestamp", "2023-11-14 22:13:20"), "31 Invalid timestamp"),
        (draft().unset("v"), "32 Missing version"),
        (draft().set("v", "two"), "33 Invalid version"),
        (draft().set("v", "1.0"), "34 Unsupported version"),
        (draft().set("sign", ""), "24 Missing signature"),
        (draft().set("sign", "ABC"), "25 Invalid signature"),
        (draft().set("sign", &"a".repeat(32)), "25 Invalid signature"),
        (draft().set("sign_method", "sha1"), "25 Invalid signature"),
        (draft().set("simplify", "yes"), "41 Invalid arguments:simplify"),
        (draft().set("secret_extra", "1"), "41 Invalid arguments:secret_extra"),
        (draft().set("Extra", "1"), "43 Parameter error"),
    ];
    for (draft, expected) in cases {
        assert_eq!(short(draft.post()), expected, "{:?}", draft.params);
    }
}

/// The first of several faults is told, in the gateway's order.
#[test]
fn faults_have_an_order() {
    let broken = [
        ("method", "21 Missing method"),
        ("app_key", "28 Missing app key"),
        ("timestamp", "30 Missing timestamp"),
        ("v", "32 Missing version"),
        ("sign", "24 Missing signature"),
    ];
    let mut draft = draft().set("sign", "");
    for (name, _) in &broken {
        draft = draft.unset(name);
    }
    draft = draft.set("sign", "").set("unknown", "1");
    for (name, expected) in broken {
        assert_eq!(short(draft.post()), expected);
        let good = Draft::new(SignMethod::Md5).params.get(name).cloned();
        draft = draft.set(name, &good.unwrap_or_else(|| "A".repeat(32)));
    }
    assert_eq!(short(draft.post()), "41 Invalid arguments:unknown");
}

#[test]
fn what_cannot_be_read_keeps_its_format() {
    let form = draft().form();
    assert_eq!(short(post(&format!("{form}&session=%zz"))), "47 Invalid encoding");
    assert_eq!(short(post(&format!("{form}&session=%ff"))), "47 Invalid encoding");
    assert_eq!(short(post(&format!("{form}&v=2.0"))), "41 Invalid arguments:v");
    let both = request(
        "POST",
        &format!("{PATH}?app_key=2"),
        &[("content-type", "application/x-www-form-urlencoded")],
        form.as_bytes(),
    );
    assert_eq!(short(both), "41 Invalid arguments:app_key");
    let json = request(
        "POST",
        &format!("{PATH}?format=json"),
        &[("content-type", "application/json")],
        PARAM.as_bytes(),
    );
    assert_eq!(short(json), "43 Parameter error");
    let many = "x=1&".repeat(70) + &form;
    assert_eq!(short(post(&many)), "43 Parameter error");
}

#[test]
fn other_methods_and_other_paths_are_not_served() {
    for method in ["PUT", "DELETE", "HEAD", "OPTIONS", "PATCH"] {
        let request = request(method, &format!("{PATH}?format=json"), &[], b"");
        assert_eq!(short(request), "9 Http action not allowed", "{method}");
    }
    let target = format!("/router/batch?{}", draft().form());
    assert_eq!(short(request("GET", &target, &[], b"")), "22 Invalid method");
}

#[test]
fn a_bad_format_is_answered_in_xml() {
    for bad in ["yaml", "JSON", "json "] {
        let body = refused(draft().set("format", bad).post());
        assert!(body.contains("<code>23</code><msg>Invalid format</msg>"), "{body}");
    }
}

#[test]
fn a_clock_that_is_off_is_told_the_time() {
    let body = refused(draft().set("timestamp", "2023-11-14 22:13:20").post());
    insta::assert_snapshot!(body, @r#"{"error_response":{"code":31,"msg":"Invalid timestamp","sub_msg":"server time is 2023-11-15 06:13:20 GMT+8, and timestamp is read as GMT+8: it is 28800 seconds behind, and 600 are allowed; it looks like the local time of another zone","request_id":"2jzpw4cc55se5"}}"#);
}

#[test]
fn a_wrong_signature_is_told_what_is_signed_and_nothing_more() {
    let (manner, call) = read(&World::new().directory(), START, draft().set("session", "").post());
    assert!(call.is_ok());
    let refusal = Refusal::new(Reason::WrongSignature, "the signature is wrong");
    let response = Top.render(&manner, Outcome::Refused(refusal));
    let body = String::from_utf8(response.body().to_vec()).unwrap();
    insta::assert_snapshot!(body, @r#"{"error_response":{"code":25,"msg":"Invalid signature","sub_msg":"the signature is wrong; signed by md5 are the names and values, in UTF-8 and as they are before URL encoding, of: app_key, format, method, param, session, sign_method, timestamp, v","request_id":"2jzpw4cc55se5"}}"#);
    assert!(!body.contains(&draft().set("session", "").signature()));
}

/// Every reason has an answer in either dialect: the same row for ever, unless someone decides otherwise.
#[test]
fn every_reason_has_its_answer() {
    let head = request("GET", &format!("{PATH}?format=json"), &[], b"").head;
    let sts = request("GET", "/?Format=JSON&Version=2015-04-01", &[], b"").head;
    let mut table = String::new();
    for reason in Reason::ALL {
        let outcome = || Outcome::Refused(Refusal::new(*reason, "x").parameter("poi_id").retry_after(2));
        let top = Top.render(&Top.manner(&head), outcome());
        assert_eq!(top.status(), 200);
        let top: serde_json::Value = serde_json::from_slice(top.body()).unwrap();
        let error = &top["error_response"];
        let (msg, sub) = (error["msg"].as_str().unwrap(), error["sub_code"].as_str().unwrap_or("-"));
        let answer = Sts.render(&Sts.manner(&sts), outcome());
        let status = answer.status().as_u16();
        let body: serde_json::Value = serde_json::from_slice(answer.body()).unwrap();
        let code = body["Code"].as_str().unwrap();
        writeln!(table, "{} | {} {msg} | {sub} | {status} {code}", reason.label(), error["code"]).unwrap();
    }
    insta::assert_snapshot!(table, @r"
    malformed | 47 Invalid encoding | - | 400 InvalidParameter.poi_id
    too_large | 43 Parameter error | - | 413 RequestTooLarge
    too_slow | 3 Upload fail | - | 408 RequestTimeout
    method_not_allowed | 9 Http action not allowed | - | 405 UnsupportedHTTPMethod
    unsupported_media_type | 43 Parameter error | - | 415 UnsupportedContentType
    missing_parameter | 40 Missing required arguments:param.op_poi_id | isv.missing-parameter:op_poi_id | 400 Missingpoi_id
    duplicate_parameter | 41 Invalid arguments:param.op_poi_id | - | 400 InvalidParameter.poi_id
    invalid_parameter | 41 Invalid arguments:param.op_poi_id | - | 400 InvalidParameter.poi_id
    unknown_parameter | 41 Invalid arguments:param.op_poi_id | - | 400 InvalidParameter.poi_id
    unknown_format | 23 Invalid format | - | 400 InvalidParameter.Format
    unknown_action | 22 Invalid method | - | 404 InvalidApi.NotFound
    unknown_version | 34 Unsupported version | - | 400 InvalidVersion
    unsupported_grant | 43 Parameter error | - | 400 InvalidParameter.poi_id
    missing_proof | 24 Missing signature | - | 400 MissingSignature
    malformed_proof | 25 Invalid signature | - | 400 IncompleteSignature
    several_proofs | 25 Invalid signature | - | 400 IncompleteSignature
    unknown_tenant | 29 Invalid app Key | isv.appkey-not-exists | 404 InvalidAccessKeyId.NotFound
    unknown_client | 29 Invalid app Key | isv.appkey-not-exists | 404 InvalidAccessKeyId.NotFound
    unknown_key | 29 Invalid app Key | isv.appkey-not-exists | 404 InvalidAccessKeyId.NotFound
    wrong_signature | 25 Invalid signature | - | 400 SignatureDoesNotMatch
    wrong_secret | 25 Invalid signature | - | 400 SignatureDoesNotMatch
    expired_secret | 29 Invalid app Key | isv.appkey-not-exists | 400 InvalidAccessKeyId.Inactive
    client_disabled | 11 Insufficient isv permissions | isv.permission-api-package-limit | 400 InvalidAccessKeyId.Inactive
    weak_proof_refused | 53 Insufficient security level | - | 403 NoPermission
    clock_skew | 31 Invalid timestamp | - | 400 InvalidTimeStamp.Expired
    replayed | 25 Invalid signature | - | 400 SignatureNonceUsed
    wrong_audience | 27 Invalid session | - | 400 AuthenticationFail.OIDCToken.Invalid
    dpop_invalid | 27 Invalid session | - | 400 AuthenticationFail.OIDCToken.Invalid
    subject_token_invalid | 27 Invalid session | - | 400 AuthenticationFail.OIDCToken.Invalid
    invalid_target | 11 Insufficient isv permissions | isv.permission-api-package-limit | 403 NoPermission
    not_yours | 11 Insufficient isv permissions | isv.permission-api-package-limit | 403 NoPermission
    token_invalid | 27 Invalid session | - | 400 InvalidSecurityToken.Malformed
    token_expired | 27 Invalid session:session-expired | session-expired | 400 InvalidSecurityToken.Expired
    token_revoked | 27 Invalid session | - | 400 InvalidSecurityToken.Expired
    unknown_session | 27 Invalid session | - | 400 AuthenticationFail.OIDCToken.Invalid
    identity_invalid | 27 Invalid session | - | 400 AuthenticationFail.OIDCToken.Invalid
    ticket_invalid | 27 Invalid session | - | 400 AuthenticationFail.OIDCToken.Invalid
    ticket_spent | 27 Invalid session | - | 400 AuthenticationFail.OIDCToken.Invalid
    temporary_not_allowed | 42 Insufficient session permissions | - | 403 NoPermission
    origin_not_allowed | 11 Insufficient isv permissions | isv.permission-api-package-limit | 403 NoPermission
    not_fetched | 11 Insufficient isv permissions | isv.permission-api-package-limit | 403 NoPermission
    no_trust | 11 Insufficient isv permissions | isv.permission-api-package-limit | 403 NoPermission
    external_id_mismatch | 11 Insufficient isv permissions | isv.permission-api-package-limit | 403 NoPermission
    mfa_unsupported | 43 Parameter error | - | 400 InvalidParameter.poi_id
    role_not_granted | 11 Insufficient isv permissions | isv.permission-api-package-limit | 404 EntityNotExist.Role
    no_role | 11 Insufficient isv permissions | isv.permission-api-package-limit | 403 NoPermission
    invalid_scope | 43 Parameter error | - | 400 InvalidParameter.poi_id
    unknown_resource | 11 Insufficient isv permissions | isv.permission-api-package-limit | 403 NoPermission
    variable_refused | 50 Remote service error | isv.invalid-parameter | 400 InvalidParameter.RoleArn
    lifetime_too_long | 50 Remote service error | isv.invalid-parameter | 400 InvalidParameter.DurationSeconds
    policy_malformed | 50 Remote service error | isv.invalid-parameter | 400 InvalidParameter.PolicyGrammar
    policy_invalid | 50 Remote service error | isv.invalid-parameter | 400 InvalidParameter.PolicyGrammar
    policy_resource | 50 Remote service error | isv.invalid-parameter | 400 InvalidParameter.PolicyGrammar
    policy_too_long | 50 Remote service error | isv.invalid-parameter | 400 InvalidParameter.PolicySize
    policy_too_wide | 50 Remote service error | isv.invalid-parameter | 403 NoPermission
    credential_too_large | 50 Remote service error | isv.invalid-parameter | 400 InvalidParameter.PolicySize
    rate_limited | 7 App Call Limited | accesscontrol.limited-by-app-api-access-count | 429 Throttling.User
    frozen | 10 Service currently unavailable | isp.service-unavailable | 503 ServiceUnavailable
    identity_unavailable | 10 Service currently unavailable | isp.service-unavailable | 503 ServiceUnavailable
    upstream_unavailable | 10 Service currently unavailable | isp.service-unavailable | 503 ServiceUnavailable
    upstream_refused | 10 Service currently unavailable | isp.service-unavailable | 500 InternalError
    overloaded | 7 App Call Limited | accesscontrol.limited-by-api-access-count | 503 ServiceUnavailable
    unavailable | 10 Service currently unavailable | isp.service-unavailable | 503 ServiceUnavailable
    internal | 10 Service currently unavailable | isp.service-unavailable | 500 InternalError
    ");
}

#[test]
fn an_outcome_that_cannot_be_is_our_fault() {
    let head = request("GET", &format!("{PATH}?format=json"), &[], b"").head;
    let facts = Facts {
        account: "1".into(),
        client: None,
        key: None,
        role: None,
        session: None,
        kind: None,
        tenant: Uuid::nil(),
    };
    let response = Top.render(&Top.manner(&head), Outcome::Facts(facts));
    let body = String::from_utf8(response.body().to_vec()).unwrap();
    assert!(
        body.contains(
            r#""code":10,"msg":"Service currently unavailable","sub_code":"isp.service-unavailable""#
        )
    );
}
