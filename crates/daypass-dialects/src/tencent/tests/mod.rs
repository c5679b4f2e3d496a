//! The dialect as a whole: the vendor's vectors and captured requests, and the path through the pipeline.

mod assume;
mod browser;
mod captures;
mod codes;
mod federation;
mod legacy;
mod matrix;
mod mutations;
mod older_vectors;
mod properties;
mod refusals;
mod unsigned;
mod vectors;
mod web_identity;

use super::sign::{ClientKey, Outgoing, sign_request};
use super::{GetAuthorization, Sts};
use daypass_core::client::{Key, KeyKind, Material};
use daypass_core::clock::Timestamp;
use daypass_core::directory::seal_material;
use daypass_core::identity::Identity;
use daypass_core::issuer::Issuer;
use daypass_core::pipeline::{Answer, Pipeline};
use daypass_core::policy::{Language, Template};
use daypass_core::request::{Request, Response};
use daypass_core::role::Role;
use daypass_core::testing::NoIdentity;
use daypass_core::testing::{
    FixedClock, MemoryStore, START, SeededEntropy, TripleIssuer, World, allow, request, ring, signing_key,
};
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// The policy of the vendor's sample.
const POLICY: &str = r#"{"version":"2.0","statement":{"effect":"allow","action":["soe:TransmitOralProcessWithInit"],"resource":"*"}}"#;

/// A running service without a socket.
struct Service {
    pipeline: Pipeline,
    clock: Arc<FixedClock>,
    store: Arc<MemoryStore>,
    world: World,
}

impl Service {
    fn new() -> Self {
        Self::of(World::new())
    }

    fn of(world: World) -> Self {
        Self::knowing(world, Arc::new(NoIdentity))
    }

    fn knowing(world: World, identity: Arc<dyn Identity>) -> Self {
        let (clock, store) = (Arc::new(FixedClock::new(START)), Arc::new(MemoryStore::new()));
        let local: Arc<dyn Issuer> = Arc::new(TripleIssuer::default());
        let issuers = HashMap::from([("local".to_owned(), local)]);
        let entropy = Arc::new(SeededEntropy::new(1));
        let pipeline = Pipeline::new(clock.clone(), entropy, store.clone(), issuers, identity);
        Self { pipeline, clock, store, world }
    }

    /// The whole STS answer, envelope checked and taken off.
    async fn sts(&self, request: Request) -> Value {
        let answer = self.pipeline.answer(&Sts, &self.world.directory(), request).await;
        let body = enveloped(&answer.response);
        assert_eq!(answer.summary.result.is_err(), body.get("Error").is_some(), "{body}");
        body
    }

    /// The code of an STS refusal.
    async fn code(&self, request: Request) -> String {
        code(&self.sts(request).await)
    }

    async fn browse(&self, request: Request) -> Answer {
        let dialect = GetAuthorization::new(self.world.plan.endpoints[0].clone());
        self.pipeline.answer(&dialect, &self.world.directory(), request).await
    }
}

/// What the SDKs rely on in every STS answer.
#[track_caller]
fn enveloped(response: &Response) -> Value {
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "application/json");
    let mut body: Value = serde_json::from_slice(response.body()).unwrap();
    let body = body["Response"].take();
    assert_eq!(body["RequestId"], "59a5e07e-4147-4d2e-a808-dca76ac5b3fd");
    body
}

#[track_caller]
fn code(body: &Value) -> String {
    body["Error"]["Code"].as_str().unwrap_or_else(|| panic!("not refused: {body}")).to_owned()
}

/// A request to STS as a client would sign it, with the world's own key unless another is given.
struct Asking<'a> {
    key: ClientKey<'a>,
    out: Outgoing<'a>,
}

impl<'a> Asking<'a> {
    fn new(action: &'a str, body: &'a str) -> Self {
        Self {
            key: ClientKey { id: "AKIDworld", secret: b"secret of AKIDworld", token: None },
            out: Outgoing {
                method: "POST",
                host: "127.0.0.1:5050",
                query: "",
                body: body.as_bytes(),
                unsigned_payload: false,
                action,
                region: "ap-guangzhou",
                at: START,
            },
        }
    }

    fn who() -> Self {
        Self::new("GetCallerIdentity", "{}")
    }

    fn get(mut self, query: &'a str) -> Self {
        (self.out.method, self.out.query, self.out.body) = ("GET", query, b"");
        self
    }

    fn unsigned(mut self) -> Self {
        self.out.unsigned_payload = true;
        self
    }

    fn at(mut self, at: Timestamp) -> Self {
        self.out.at = at;
        self
    }

    fn by(mut self, id: &'a str, secret: &'a str) -> Self {
        (self.key.id, self.key.secret) = (id, secret.as_bytes());
        self
    }

    fn with(mut self, triple: &'a Triple) -> Self {
        self.key = ClientKey { id: &triple.id, secret: triple.secret.as_bytes(), token: Some(&triple.token) };
        self
    }

    fn sent(&self) -> Request {
        let headers = sign_request(&self.key, &self.out);
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        request(self.out.method, &format!("/?{}", self.out.query), &headers, self.out.body)
    }
}

/// A temporary key as a client holds it.
struct Triple {
    id: String,
    secret: String,
    token: String,
}

impl Triple {
    #[track_caller]
    fn of(body: &Value) -> Self {
        let text =
            |name: &str| body["Credentials"][name].as_str().unwrap_or_else(|| panic!("{body}")).to_owned();
        Self { id: text("TmpSecretId"), secret: text("TmpSecretKey"), token: text("Token") }
    }
}

/// The body of a request for a federation token.
fn federation(policy: &str, seconds: Option<u32>) -> String {
    let mut body = serde_json::json!({"Name": "soe", "Policy": policy});
    if let Some(seconds) = seconds {
        body["DurationSeconds"] = seconds.into();
    }
    body.to_string()
}

/// A world whose client may have anything, and that knows this key.
fn open_world(id: &str, secret: &str) -> World {
    let mut world = World::new();
    let role = Role {
        policy: Some(Template::new(allow(Language::Cam, "*", "*"), &BTreeMap::new()).expect("a template")),
        ..(*world.plan.roles[0]).clone()
    };
    world.plan.roles[0] = Arc::new(role);
    let sealed = seal_material(&ring(), id, secret.as_bytes(), [2; 12]).expect("sealed");
    let key =
        Key { material: Material::Sealed(sealed), ..signing_key(id, KeyKind::Tencent, world.client.guid) };
    world.keys.push(key);
    world
}

/// A file of vectors.
fn load(text: &str) -> Value {
    serde_json::from_str(text).expect("JSON")
}

/// A recorded request, from its first line, its headers and its body.
fn recorded(method: &str, target: &str, headers: &[(String, String)], body: &Value) -> Request {
    let headers: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    request(method, target, &headers, body.as_str().unwrap_or_default().as_bytes())
}
