//! Questions of an API behind the real pipeline, about requests that clients of every kind have signed.

mod bound;
mod cases;
mod conditions;
mod forward;
mod properties;
mod questions;
mod vectors;

use super::Verify;
use super::scheme::Scheme;
use crate::alibaba::sign::{self as alibaba, SignMethod, acs3, rpc};
use crate::alibaba::time::stamp;
use crate::tencent::sign::{
    self as tencent, CanonicalRequest, ClientKey, Scope, StringToSign, soe::Address, v1,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use daypass_core::client::{Client, Key, KeyKind, Material};
use daypass_core::clock::{Timestamp, after};
use daypass_core::id::Draw;
use daypass_core::pipeline::{Answer, Pipeline};
use daypass_core::policy::{Language, Policy, Statement};
use daypass_core::refusal::Refusal;
use daypass_core::request::Request;
use daypass_core::role::Algorithm;
use daypass_core::standing::key_print;
use daypass_core::testing::{
    ACME, FixedClock, MemoryStore, NoIdentity, RESOURCE, START, SeededEntropy, World, allow, request, ring,
    secret_key,
};
use daypass_core::triple::{self, Claims, SessionKind, TripleKind};
use http::header::HeaderName;
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use uuid::Uuid;

/// The API.
const API: Uuid = Uuid::from_u128(0xa91);
/// Its client secret's id.
const API_KEY: Uuid = Uuid::from_u128(0xa92);
/// The client secret of the world's client, which asks for access tokens.
const APP_KEY: Uuid = Uuid::from_u128(0x5ec);
/// Where the API is reached.
const HOST: &str = "soe.example.com:8443";

/// A running service without a socket.
struct Service {
    pipeline: Pipeline,
    clock: Arc<FixedClock>,
    store: Arc<MemoryStore>,
    world: World,
}

impl Service {
    /// The world with an API of `cam:soe`, `ram:oss` and the OAuth resource.
    fn new() -> Self {
        Self::of(&["cam:soe", "ram:oss", RESOURCE], "acme")
    }

    /// The same with an API of these audiences, in this tenant.
    fn of(audiences: &[&str], tenant: &str) -> Self {
        let mut world = World::new();
        world.others.push(Client {
            guid: API,
            object: Uuid::from_u128(0xa93),
            tenant: tenant.into(),
            name: "api".into(),
            grants: vec![],
            default_role: None,
            audiences: audiences.iter().map(|&audience| audience.to_owned()).collect(),
            ..world.client.clone()
        });
        world.keys.push(secret_key(API_KEY, API));
        let (clock, store) = (Arc::new(FixedClock::new(START)), Arc::new(MemoryStore::new()));
        let entropy = Arc::new(SeededEntropy::new(1));
        let pipeline =
            Pipeline::new(clock.clone(), entropy, store.clone(), HashMap::new(), Arc::new(NoIdentity));
        Self { pipeline, clock, store, world }
    }

    /// Asks with the API's own secret.
    fn ask(&self, question: &Value) -> (u16, Value) {
        let basic = format!("Basic {}", STANDARD.encode(format!("{API}:secret of {API_KEY}")));
        self.send(&[("authorization", &basic)], question)
    }

    /// Asks, with whatever proof these headers and the question hold.
    fn send(&self, headers: &[(&str, &str)], question: &Value) -> (u16, Value) {
        let mut all = vec![("content-type", "application/json")];
        all.extend(headers);
        self.post(request("POST", super::wire::PATH, &all, question.to_string().as_bytes())).0
    }

    fn post(&self, request: Request) -> ((u16, Value), Result<(), Refusal>) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let directory = self.world.directory();
        let Answer { response, summary } =
            runtime.block_on(self.pipeline.answer(&Verify, &directory, request));
        assert_eq!(response.headers()["cache-control"], "no-store");
        let body = serde_json::from_slice(response.body()).unwrap();
        ((response.status().as_u16(), body), summary.result.map(|_| ()))
    }

    /// Asks, and expects to be told that the request is valid.
    #[track_caller]
    fn valid(&self, question: &Value) -> Value {
        let (status, body) = self.ask(question);
        assert_eq!((status, &body["valid"]), (200, &json!(true)), "{body}\n{question}");
        body
    }

    /// Asks, and expects to be told that it is not, for this reason.
    #[track_caller]
    fn invalid(&self, question: &Value, reason: &str) {
        let (status, body) = self.ask(question);
        assert_eq!(
            (status, &body["valid"], body["reason"].as_str()),
            (200, &json!(false), Some(reason)),
            "{body}\n{question}"
        );
        let members: Vec<_> = body.as_object().unwrap().keys().collect();
        assert!(
            members.iter().all(|name| ["valid", "scheme", "reason", "detail"].contains(&name.as_str())),
            "{body}"
        );
    }
}

/// What a client signs with.
#[derive(Clone)]
struct Credential {
    id: String,
    secret: String,
    token: Option<String>,
}

impl Credential {
    fn permanent(id: &str) -> Self {
        Self { id: id.into(), secret: format!("secret of {id}"), token: None }
    }

    /// A temporary one with these claims.
    fn temporary(kind: TripleKind, claims: &Claims) -> Self {
        let draw = Draw::fresh(&SeededEntropy::new(7), claims.issued());
        let made = triple::make(&ring(), kind, claims, &draw).unwrap_or_else(|r| panic!("{r:?}"));
        Self { id: made.id, secret: made.secret.expose_str().to_owned(), token: Some(made.token) }
    }
}

/// The claims of a credential that the world's client has got, good for half an hour.
fn claims(world: &World, kind: TripleKind, policy: Policy) -> Claims {
    let (key, role) = match kind {
        TripleKind::Tencent => ("AKIDworld", "soe"),
        TripleKind::Alibaba => ("LTAIworld", "store-upload"),
    };
    Claims {
        tenant: "acme".into(),
        client: Some(world.client.guid),
        key: Some(key.into()),
        endpoint: "/".into(),
        role: role.into(),
        kind: SessionKind::Federated,
        via: None,
        subject: None,
        session: Some("ann".into()),
        tags: BTreeMap::new(),
        source_identity: None,
        behalf: None,
        actors: vec![],
        origins: vec![],
        origin_keys: vec![],
        policy: Arc::new(policy),
        issued: START.as_millisecond(),
        expires: after(START, 1800).as_millisecond(),
    }
}

/// The way's vendor; none for access tokens, and for TOP, whose keys are never temporary.
fn triple_kind(scheme: Scheme) -> Option<TripleKind> {
    match scheme {
        Scheme::Tc3 | Scheme::V1 | Scheme::Soe => Some(TripleKind::Tencent),
        Scheme::Acs3 | Scheme::Rpc => Some(TripleKind::Alibaba),
        Scheme::Top | Scheme::Bearer => None,
    }
}

/// What the API asks about with this way: an action and a resource that its credentials are for.
fn wanted(scheme: Scheme) -> (&'static str, &'static str) {
    match scheme {
        Scheme::Tc3 | Scheme::V1 | Scheme::Soe => ("soe:TransmitOralProcessWithInit", "*"),
        Scheme::Acs3 | Scheme::Rpc | Scheme::Top => ("oss:PutObject", "acs:oss:cn:1:bucket/hema/8005/x"),
        Scheme::Bearer => ("orders.read", "*"),
    }
}

fn usual_policy(scheme: Scheme) -> Policy {
    match triple_kind(scheme) {
        Some(TripleKind::Alibaba) => allow(Language::Ram, "oss:PutObject", "acs:oss:*:*:bucket/hema/8005/*"),
        _ => allow(Language::Cam, "soe:TransmitOralProcessWithInit", "*"),
    }
}

/// The credential that a client usually has for this way.
fn usual(world: &World, scheme: Scheme) -> Credential {
    match (scheme, triple_kind(scheme)) {
        (_, Some(kind)) => Credential::temporary(kind, &claims(world, kind, usual_policy(scheme))),
        (Scheme::Top, _) => Credential::permanent("12345678"),
        _ => Credential {
            id: String::new(),
            secret: String::new(),
            token: Some(access_token(world, RESOURCE)),
        },
    }
}

/// An access token of the world's client for this resource.
fn access_token(world: &World, audience: &str) -> String {
    let now = START.as_second();
    token(&json!({
        "aud": audience,
        "iss": format!("http://127.0.0.1:5050/{ACME}/v2.0"),
        "iat": now, "nbf": now - 300, "exp": now + 1800,
        "azp": world.client.guid, "sub": world.client.object, "oid": world.client.object,
        "rh": format!("1.{}", key_print(&APP_KEY.to_string())),
        "roles": ["orders.read"], "tid": ACME, "uti": Uuid::from_u128(0x07), "ver": "2.0",
    }))
}

fn token(claims: &Value) -> String {
    let ring = ring();
    let signer = ring.signer(Algorithm::Es256).unwrap();
    signer.sign("JWT", claims).unwrap()
}

/// A request to the API, signed in this way with this credential.
fn signed(scheme: Scheme, by: &Credential, at: Timestamp) -> Request {
    let body = br#"{"a":1}"#;
    let second = at.as_second().to_string();
    let key = ClientKey { id: &by.id, secret: by.secret.as_bytes(), token: by.token.as_deref() };
    let acs = alibaba::ClientKey { id: &by.id, secret: by.secret.as_bytes(), token: by.token.as_deref() };
    let form = ("content-type", "application/x-www-form-urlencoded");
    match scheme {
        Scheme::Tc3 => tc3(&key, "/lessons/7", &second, at, body),
        Scheme::V1 => {
            let out = v1::Outgoing {
                method: "GET",
                host: HOST,
                action: "TransmitOralProcessWithInit",
                region: None,
                parameters: &[("SeqId", "1"), ("Text", "你好 hello+")],
                algorithm: v1::Algorithm::HmacSha256,
                nonce: 7,
                at,
            };
            request("GET", &format!("/?{}", v1::sign_request(&key, &out)), &[("host", HOST)], b"")
        }
        Scheme::Soe => {
            let expired = (at.as_second() + 86_400).to_string();
            let mut parameters = vec![
                ("expired", expired.as_str()),
                ("nonce", "17000000"),
                ("ref_text", "你好 hello"),
                ("secretid", &by.id),
                ("timestamp", &second),
            ];
            parameters.extend(by.token.as_deref().map(|token| ("token", token)));
            let path = "/soe/api/1250000000";
            let signature = Address { host: HOST, path, parameters: &parameters }.sign(by.secret.as_bytes());
            parameters.push(("signature", &signature));
            let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish();
            request("GET", &format!("{path}?{query}"), &[("host", HOST)], b"")
        }
        Scheme::Acs3 => {
            let query = [("Name", "x y"), ("Page", "1")];
            let (action, version, nonce) = ("PutObject", "2026-01-01", "nonce-1");
            let out = acs3::Outgoing {
                method: "POST",
                host: HOST,
                query: &query,
                body,
                action,
                version,
                nonce,
                at,
            };
            let headers = acs3::sign_request(&acs, &out);
            let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
            request("POST", &format!("/?{}", rpc::canonical_query(query)), &headers, body)
        }
        Scheme::Rpc => {
            let asked = [("Action", "PutObject"), ("Name", "x y"), ("Version", "2026-01-01")];
            let pairs = rpc::sign_request(&acs, "POST", &asked, "nonce-1", at);
            let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
            request("POST", "/", &[("host", HOST), form], body.as_bytes())
        }
        Scheme::Top => {
            let (stamp, param) = (stamp(at), r#"{"x":1}"#);
            let mut pairs = vec![
                ("app_key", by.id.as_str()),
                ("format", "json"),
                ("method", "example.upload"),
                ("param", param),
                ("sign_method", "hmac-sha256"),
                ("timestamp", &stamp),
                ("v", "2.0"),
            ];
            let sign = alibaba::sign(SignMethod::HmacSha256, by.secret.as_bytes(), pairs.iter().copied());
            pairs.push(("sign", &sign));
            let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
            request("POST", "/router/rest", &[("host", HOST), form], body.as_bytes())
        }
        Scheme::Bearer => {
            let bearer = format!("Bearer {}", by.token.as_deref().unwrap_or_default());
            request("GET", "/orders/7?x=1", &[("host", HOST), ("authorization", &bearer)], b"")
        }
    }
}

/// A request signed with TC3 as one to the service `soe`.
fn tc3(key: &ClientKey<'_>, path: &str, second: &str, at: Timestamp, body: &[u8]) -> Request {
    let headers = [("content-type", b"application/json"[..].into()), ("host", HOST.as_bytes().into())];
    let signed_headers = "content-type;host";
    let payload = tencent::hash(body);
    let canonical =
        CanonicalRequest { method: "POST", uri: path, query: "", headers: &headers, signed_headers, payload };
    let date = tencent::date(at);
    let scope = Scope { date: &date, service: "soe" };
    let signature = StringToSign { timestamp: second, scope, request: canonical.digest() }
        .sign(&tencent::derive(key.secret, scope));
    let authorization = format!(
        "TC3-HMAC-SHA256 Credential={}/{date}/soe/tc3_request, SignedHeaders={signed_headers}, Signature={}",
        key.id,
        String::from_utf8_lossy(&tencent::hex(&signature))
    );
    let mut headers = vec![
        ("host", HOST),
        ("content-type", "application/json"),
        ("x-tc-timestamp", second),
        ("authorization", &authorization),
    ];
    headers.extend(key.token.map(|token| ("x-tc-token", token)));
    request("POST", path, &headers, body)
}

/// The question of the API that got this request.
fn question(request: &Request) -> Value {
    let head = &request.head;
    let names: std::collections::BTreeSet<&str> = head.headers.keys().map(HeaderName::as_str).collect();
    let headers: serde_json::Map<_, _> = names
        .into_iter()
        .map(|name| {
            let values = head.headers.get_all(name).iter().map(|value| value.to_str().unwrap());
            (name.to_owned(), json!(values.collect::<Vec<_>>()))
        })
        .collect();
    json!({
        "method": head.method.as_str(),
        "path": head.path,
        "query": head.query,
        "headers": headers,
        "body": STANDARD.encode(&request.body),
    })
}

/// The question about a usual request of this way, with what it is about.
fn usual_question(service: &Service, scheme: Scheme) -> Value {
    let mut question = question(&signed(scheme, &usual(&service.world, scheme), START));
    let (action, resource) = wanted(scheme);
    (question["action"], question["resource"]) = (json!(action), json!(resource));
    question
}
