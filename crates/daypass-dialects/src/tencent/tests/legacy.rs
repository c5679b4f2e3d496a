//! Requests with the older signature, among the parameters.

use super::super::sign::ClientKey;
use super::super::sign::v1::{Algorithm, Outgoing, StringToSign, sign_request};
use super::{Asking, POLICY, Service, Triple, code, federation};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use daypass_core::request::Request;
use daypass_core::testing::{START, World, later, request};
use serde_json::Value;
use std::borrow::Cow;

const FORM: &str = "application/x-www-form-urlencoded";
const HOST: &str = "127.0.0.1:5050";

/// A request as a client would sign it the older way.
pub(super) struct Older<'a> {
    pub(super) key: ClientKey<'a>,
    pub(super) out: Outgoing<'a>,
}

impl<'a> Older<'a> {
    pub(super) fn new(action: &'a str, parameters: &'a [(&'a str, &'a str)]) -> Self {
        Self {
            key: ClientKey { id: "AKIDworld", secret: b"secret of AKIDworld", token: None },
            out: Outgoing {
                method: "POST",
                host: HOST,
                action,
                region: Some("ap-guangzhou"),
                parameters,
                algorithm: Algorithm::HmacSha1,
                nonce: 11_886,
                at: START,
            },
        }
    }

    fn who() -> Self {
        Self::new("GetCallerIdentity", &[])
    }

    fn get(mut self) -> Self {
        self.out.method = "GET";
        self
    }

    fn sha256(mut self) -> Self {
        self.out.algorithm = Algorithm::HmacSha256;
        self
    }

    fn host(mut self, signed: &'a str) -> Self {
        self.out.host = signed;
        self
    }

    fn with(mut self, triple: &'a Triple) -> Self {
        self.key = ClientKey { id: &triple.id, secret: triple.secret.as_bytes(), token: Some(&triple.token) };
        self
    }

    fn form(&self) -> String {
        sign_request(&self.key, &self.out)
    }

    pub(super) fn sent(&self) -> Request {
        self.sent_to(HOST)
    }

    fn sent_to(&self, host: &str) -> Request {
        carried(self.out.method, host, &self.form())
    }
}

/// A form in the place of the method.
fn carried(method: &str, host: &str, form: &str) -> Request {
    match method {
        "GET" => request("GET", &format!("/?{form}"), &[("host", host)], b""),
        _ => request("POST", "/", &[("host", host), ("content-type", FORM)], form.as_bytes()),
    }
}

/// Signs these very parameters, whatever they are.
fn signed(parameters: &[(&str, &str)]) -> Request {
    let mut sorted: Vec<_> = parameters.iter().map(|(name, value)| (Cow::Borrowed(*name), *value)).collect();
    sorted.sort_unstable();
    let text = StringToSign { method: "POST", host: HOST, parameters: &sorted };
    let signature = STANDARD.encode(text.sign(Algorithm::HmacSha1, b"secret of AKIDworld"));
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.extend_pairs(parameters).append_pair("Signature", &signature);
    carried("POST", HOST, &form.finish())
}

const GOOD: [(&str, &str); 5] = [
    ("Action", "GetCallerIdentity"),
    ("Version", "2018-08-13"),
    ("SecretId", "AKIDworld"),
    ("Timestamp", "1700000000"),
    ("Nonce", "11886"),
];

/// The good parameters with one replaced, added or (with no value) removed, signed again.
fn changed(name: &'static str, value: Option<&'static str>) -> Request {
    let mut parameters: Vec<_> = GOOD.into_iter().filter(|(other, _)| *other != name).collect();
    parameters.extend(value.map(|value| (name, value)));
    signed(&parameters)
}

#[tokio::test]
async fn both_methods_and_both_hashes_ask_for_a_federation_token() {
    let parameters = [("Name", "soe"), ("Policy", POLICY), ("DurationSeconds", "60")];
    let ask = || Older::new("GetFederationToken", &parameters);
    for (asking, weak) in [
        (ask(), "v1-hmacsha1"),
        (ask().get(), "v1-hmacsha1"),
        (ask().sha256(), "v1-hmacsha256"),
        (ask().sha256().get(), "v1-hmacsha256"),
    ] {
        let service = Service::new();
        let body = service.sts(asking.sent()).await;
        assert_eq!(body["ExpiredTime"], 1_700_000_060, "{body}");
        let triple = Triple::of(&body);
        assert_eq!(service.store.all()[0].weak.as_deref(), Some(weak));
        let who = service.sts(Asking::who().with(&triple).sent()).await;
        assert!(who["UserId"].as_str().unwrap().ends_with(":soe"), "it works: {who}");
    }
}

#[tokio::test]
async fn a_temporary_key_signs_the_older_way_too() {
    let service = Service::new();
    let body = federation(POLICY, None);
    let triple = Triple::of(&service.sts(Asking::new("GetFederationToken", &body).sent()).await);
    for asking in [Older::who(), Older::who().get(), Older::who().sha256()] {
        let body = service.sts(asking.with(&triple).sent()).await;
        assert!(body["Arn"].as_str().unwrap().contains("federated-user"), "{body}");
    }
    let mut asking = Older::who().with(&triple);
    asking.key.token = None;
    assert_eq!(service.code(asking.sent()).await, "AuthFailure.SecretIdNotFound", "an id without its token");
    let longer = format!("{}error", triple.token);
    asking.key.token = Some(&longer);
    assert_eq!(service.code(asking.sent()).await, "AuthFailure.TokenFailure");
}

#[tokio::test]
async fn without_a_method_it_is_sha1() {
    let service = Service::new();
    assert!(service.sts(signed(&GOOD)).await["Arn"].is_string());
}

#[tokio::test]
async fn the_host_is_the_one_sent_the_one_without_port_or_the_vendors() {
    for host in [
        HOST,
        "127.0.0.1",
        "sts.tencentcloudapi.com",
        "sts.intl.tencentcloudapi.com",
        "sts.internal.tencentcloudapi.com",
        "sts.ap-guangzhou.tencentcloudapi.com",
    ] {
        let service = Service::new();
        let body = service.sts(Older::who().host(host).sent()).await;
        assert!(body["Arn"].is_string(), "{host}: {body}");
    }
    for host in ["127.0.0.2:5050", "cvm.tencentcloudapi.com", "sts.ap-beijing.tencentcloudapi.com", ""] {
        let service = Service::new();
        assert_eq!(
            service.code(Older::who().host(host).sent()).await,
            "AuthFailure.SignatureFailure",
            "{host}"
        );
    }
    let service = Service::new();
    let mut asking = Older::who().host("sts.evil.example/?x.tencentcloudapi.com");
    asking.out.region = Some("evil.example/?x");
    assert_eq!(service.code(asking.sent()).await, "AuthFailure.SignatureFailure", "a region is a name");
}

#[tokio::test]
async fn the_python_sdk_signs_dots_where_it_sends_underscores() {
    let mut parameters = GOOD.to_vec();
    parameters.push(("Made_Up", "x"));
    let sorted = {
        let mut sorted: Vec<_> =
            parameters.iter().map(|(name, value)| (Cow::Owned(name.replace('_', ".")), *value)).collect();
        sorted.sort_unstable();
        sorted
    };
    let text = StringToSign { method: "POST", host: HOST, parameters: &sorted };
    let signature = STANDARD.encode(text.sign(Algorithm::HmacSha1, b"secret of AKIDworld"));
    parameters.push(("Signature", &signature));
    let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(&parameters).finish();
    let service = Service::new();
    // The signature is right; STS just has no such parameter.
    assert_eq!(service.code(carried("POST", HOST, &form)).await, "UnknownParameter");
    assert_eq!(
        service.code(changed("Made_Up", Some("x"))).await,
        "UnknownParameter",
        "Node sends what it signs"
    );
}

#[tokio::test]
async fn common_parameters_are_checked() {
    let service = Service::new();
    for (name, value, expected) in [
        ("Action", None, "MissingParameter"),
        ("Action", Some("DescribeInstances"), "InvalidAction"),
        ("Version", None, "MissingParameter"),
        ("Version", Some("2017-03-12"), "NoSuchVersion"),
        ("Timestamp", None, "MissingParameter"),
        ("Timestamp", Some("soon"), "InvalidParameterValue"),
        ("Timestamp", Some("1700000301"), "AuthFailure.SignatureExpire"),
        ("Timestamp", Some("1699999699"), "AuthFailure.SignatureExpire"),
        ("Nonce", None, "MissingParameter"),
        ("Nonce", Some("-1"), "InvalidParameterValue"),
        ("Nonce", Some("123456789012345678901"), "InvalidParameterValue"),
        ("SecretId", Some(""), "AuthFailure.InvalidAuthorization"),
        ("SecretId", Some("undefined"), "AuthFailure.InvalidAuthorization"),
        ("SecretId", Some("AKIDnobody"), "AuthFailure.SecretIdNotFound"),
        ("SignatureMethod", Some("HmacMD5"), "InvalidParameterValue"),
        ("SignatureMethod", Some("TC3-HMAC-SHA256"), "InvalidParameterValue"),
        ("SignatureMethod", Some("HmacSHA256"), "AuthFailure.SignatureFailure"),
        ("Action", Some("AssumeRoleWithWebIdentity"), "AuthFailure.InvalidAuthorization"),
        ("Action", Some("QueryApiKey"), "UnsupportedOperation"),
    ] {
        assert_eq!(service.code(changed(name, value)).await, expected, "{name}={value:?}");
    }
    for (name, value) in [("Timestamp", "1700000300"), ("Nonce", "0"), ("Nonce", "9223372036854775807")] {
        let body = service.sts(changed(name, Some(value))).await;
        assert!(body["Arn"].is_string(), "{name}={value}: {body}");
    }
    let languages = [("Language", "zh-CN"), ("RequestClient", "SDK"), ("Region", "")];
    let parameters: Vec<_> = GOOD.into_iter().chain(languages).collect();
    assert!(
        service.sts(signed(&parameters)).await["Arn"].is_string(),
        "what every SDK adds is no parameter of the action"
    );
}

#[tokio::test]
async fn a_signature_has_one_spelling() {
    let service = Service::new();
    let form = Older::who().form();
    let (rest, signature) = form.rsplit_once("&Signature=").unwrap();
    assert!(signature.ends_with("%3D"));
    for wrong in
        ["", "AAAA", &signature.replace("%3D", ""), &format!("{signature}%3D"), &signature.to_lowercase()]
    {
        let request = carried("POST", HOST, &format!("{rest}&Signature={wrong}"));
        let code = service.code(request).await;
        assert!(["AuthFailure.SignatureFailure", "MissingParameter"].contains(&&*code), "{wrong}: {code}");
    }
    let longer = service.sts(carried("POST", HOST, &format!("{rest}&Signature={}%3D", "A".repeat(43)))).await;
    assert!(message(&longer).contains("the Base64 of 20 bytes for HmacSHA1"), "{longer}");
}

#[tokio::test]
async fn parameters_have_one_place_and_one_type() {
    let service = Service::new();
    let form = Older::who().form();
    for (request, expected) in [
        (request("POST", &format!("/?{form}"), &[("host", HOST)], b""), "InvalidParameter"),
        (
            request("POST", &format!("/?{form}"), &[("host", HOST), ("content-type", FORM)], form.as_bytes()),
            "InvalidParameter",
        ),
        (request("GET", &format!("/?{form}"), &[("host", HOST)], b"x"), "InvalidParameter"),
        (request("POST", "/", &[("host", HOST)], form.as_bytes()), "InvalidRequest"),
        (
            request("POST", "/", &[("host", HOST), ("content-type", "text/plain")], form.as_bytes()),
            "InvalidRequest",
        ),
        (
            request(
                "POST",
                "/",
                &[("host", HOST), ("content-type", FORM)],
                &[form.as_bytes(), b"&x=\xff"].concat(),
            ),
            "InvalidParameter",
        ),
        (carried("POST", HOST, &format!("{form}&x=%zz")), "InvalidParameter"),
    ] {
        assert_eq!(service.code(request).await, expected);
    }
    let typed = [("host", HOST), ("content-type", "application/x-www-form-urlencoded; charset=utf-8")];
    assert!(service.sts(request("POST", "/", &typed, form.as_bytes())).await["Arn"].is_string());
}

#[tokio::test]
async fn two_proofs_are_none() {
    let service = Service::new();
    let with = |mut request: Request, name: &'static str, value: &'static str| {
        request.head_mut().headers.insert(name, value.parse().unwrap());
        request
    };
    for request in [
        with(Older::who().sent(), "authorization", "SKIP"),
        with(Older::who().get().sent(), "authorization", "TC3-HMAC-SHA256 Credential=a"),
        with(Older::who().sent(), "x-tc-token", "t"),
    ] {
        assert_eq!(service.code(request).await, "AuthFailure.InvalidAuthorization");
    }
    let mut tc3 = Asking::who().get("").sent();
    tc3.head_mut().query = "Signature=x".to_owned();
    assert_eq!(service.code(tc3).await, "AuthFailure.InvalidAuthorization");
}

#[tokio::test]
async fn a_client_and_the_operator_can_refuse_it() {
    let mut world = World::new();
    world.client.refuses.v1 = true;
    let of_client = Service::of(world);
    let mut world = World::new();
    world.plan.refuses.v1 = true;
    for service in [of_client, Service::of(world)] {
        for asking in [Older::who(), Older::who().sha256()] {
            assert_eq!(service.code(asking.sent()).await, "AuthFailure.UnauthorizedOperation");
        }
        assert!(service.sts(Asking::who().sent()).await["Arn"].is_string());
    }
}

#[tokio::test]
async fn a_retry_gets_the_identical_key_and_a_replay_none() {
    let service = Service::new();
    let parameters = [("Name", "soe"), ("Policy", POLICY)];
    let ask = || Older::new("GetFederationToken", &parameters).sent();
    let first = service.sts(ask()).await;
    service.clock.advance(4_000);
    assert_eq!(service.sts(ask()).await, first);
    service.clock.advance(2_000);
    assert_eq!(service.code(ask()).await, "AuthFailure.SignatureExpire");
    let mut other = Older::new("GetFederationToken", &parameters);
    (other.out.at, other.out.nonce) = (later(6), 1);
    assert_ne!(Triple::of(&service.sts(other.sent()).await).id, Triple::of(&first).id);
}

/// Each is the same signed text, put together otherwise.
#[tokio::test]
async fn a_value_cannot_swallow_another_parameter() {
    let service = Service::new();
    let swallowed = |parts: &[(&str, &str)]| {
        let mut parameters: Vec<_> = GOOD.into_iter().filter(|(name, _)| *name != "Action").collect();
        parameters.extend([("Action", "AssumeRole"), ("RoleArn", "qcs::cam::uin/100000000001:roleName/soe")]);
        parameters.extend(parts);
        signed(&parameters)
    };
    let policy = format!("lesson&Policy={POLICY}");
    for parts in [
        // The policy would be gone, and with it what the client wanted to give away no more than.
        [("RoleSessionName", "lesson"), ("Language", policy.as_str())],
        [("RoleSessionName", "lesson"), ("ExternalId", "x&Tags.0.Key=a")],
        [("RoleSessionName", "lesson"), ("ExternalId", "x&Tags_0_Key=a")],
        [("RoleSessionName", "lesson"), ("RequestClient", "SDK&SourceIdentity=me")],
        [("RoleSessionName", "lesson"), ("Region", "x&&Version=2018-08-13")],
    ] {
        let refusal = service.sts(swallowed(&parts)).await;
        assert_eq!(code(&refusal), "InvalidParameter.ParamError", "{parts:?}");
        assert!(message(&refusal).contains("has another parameter of this API in it"), "{refusal}");
    }
    // A name that the API does not have is no parameter, in whatever value it stands.
    let harmless = swallowed(&[("RoleSessionName", "lesson"), ("Language", "a&b=c&=&policy=x&Policy")]);
    assert!(service.sts(harmless).await["Credentials"].is_object());
    // And a parameter that swallows from the left is none of the API.
    let left = swallowed(&[("RoleSessionName", "lesson"), ("Name=x&Policy", POLICY)]);
    assert_eq!(service.code(left).await, "UnknownParameter");
}

#[tokio::test]
async fn a_host_cannot_swallow_the_first_parameter() {
    let service = Service::new();
    let asking = Older::who();
    let mut request = asking.sent();
    let form = asking.form().replacen("Action=GetCallerIdentity&", "", 1);
    request.body = form.clone().into();
    let swallowing = format!("{HOST}/?Action=GetCallerIdentity");
    request.head_mut().headers.insert("host", swallowing.parse().unwrap());
    assert_eq!(service.code(request).await, "MissingParameter");
    let mut request = asking.sent();
    request.head_mut().headers.insert("host", format!("{HOST}/?x").parse().unwrap());
    assert_eq!(service.code(request).await, "AuthFailure.InvalidAuthorization");
}

#[tokio::test]
async fn there_is_one_host() {
    let service = Service::new();
    let mut none = Older::who().host("").sent();
    none.head_mut().headers.remove("host");
    let mut two = Older::who().sent();
    two.head_mut().headers.append("host", HOST.parse().unwrap());
    for request in [none, two] {
        assert_eq!(service.code(request).await, "AuthFailure.InvalidAuthorization");
    }
}

#[tokio::test]
async fn two_names_that_sign_alike_are_one_too_many() {
    let service = Service::new();
    let parameters: Vec<_> = GOOD.into_iter().chain([("Tags.0.Key", "a"), ("Tags_0_Key", "b")]).collect();
    let refusal = service.sts(signed(&parameters)).await;
    assert_eq!(code(&refusal), "InvalidParameter");
    assert!(message(&refusal).contains("stands twice"), "{refusal}");
}

#[tokio::test]
async fn an_ask_of_another_nonce_never_shares_a_key() {
    // The same second, the same parameters: the nonce makes two requests and two credentials.
    let service = Service::new();
    let parameters = [("Name", "soe"), ("Policy", POLICY)];
    let mut ids = std::collections::HashSet::new();
    for nonce in 0..3 {
        let mut asking = Older::new("GetFederationToken", &parameters);
        asking.out.nonce = nonce;
        ids.insert(Triple::of(&service.sts(asking.sent()).await).id);
    }
    assert_eq!(ids.len(), 3);
}

#[tokio::test]
async fn a_stranger_hears_what_is_missing() {
    let service = Service::new();
    let bare = service.sts(carried("POST", HOST, "Action=GetCallerIdentity")).await;
    assert_eq!(code(&bare), "AuthFailure.InvalidAuthorization");
    assert!(message(&bare).contains("there is no Authorization header"), "{bare}");
    let empty = service.sts(changed("SecretId", Some(""))).await;
    assert!(message(&empty).contains("the client's own setting is empty"), "{empty}");
    let unknown = service.sts(changed("SecretId", Some("AKIDnobody"))).await;
    assert!(message(&unknown).contains("the SecretId is not found"), "{unknown}");
    let late = service.sts(changed("Timestamp", Some("1700003600"))).await;
    assert!(
        message(&late).contains("3600 seconds ahead of the server's time 2023-11-14T22:13:20Z"),
        "{late}"
    );
}

fn message(body: &Value) -> &str {
    body["Error"]["Message"].as_str().unwrap()
}
