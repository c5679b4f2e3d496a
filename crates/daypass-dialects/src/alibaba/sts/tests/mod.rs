//! The API as a whole: the captured requests, and the path through the pipeline.

mod assume;
mod captures;
mod head;
mod mutations;
mod oidc;
mod properties;
mod refusals;

use super::Sts;
use crate::alibaba::sign::{ClientKey, acs3, rpc};
use daypass_core::client::{Grant, Key, KeyKind, Material};
use daypass_core::clock::Timestamp;
use daypass_core::directory::seal_material;
use daypass_core::identity::Identity;
use daypass_core::issuer::Issuer;
use daypass_core::pipeline::Pipeline;
use daypass_core::policy::{Language, Template};
use daypass_core::request::{Request, Response};
use daypass_core::role::{Lifetime, Role};
use daypass_core::testing::NoIdentity;
use daypass_core::testing::{
    FixedClock, MemoryStore, START, SeededEntropy, TripleIssuer, World, allow, request, ring, signing_key,
};
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// The role that the tests assume: it may put objects into one bucket.
const ROLE: &str = "acs:ram::100000000001:role/uploads";
const HOST: &str = "127.0.0.1:5050";

/// A running service without a socket.
struct Service {
    pipeline: Pipeline,
    clock: Arc<FixedClock>,
    store: Arc<MemoryStore>,
    world: World,
}

impl Service {
    fn new() -> Self {
        Self::of(world())
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

    async fn response(&self, request: Request) -> Response {
        let answer = self.pipeline.answer(&Sts, &self.world.directory(), request).await;
        assert_eq!(answer.summary.result.is_ok(), answer.response.status() == 200);
        answer.response
    }

    /// The status and the body of an answer in JSON.
    async fn ask(&self, request: Request) -> (u16, Value) {
        let response = self.response(request).await;
        let body = String::from_utf8(response.body().to_vec()).unwrap();
        assert_eq!(response.headers()["content-type"], "application/json;charset=utf-8", "{body}");
        assert_eq!(response.headers()["cache-control"], "no-store");
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(body["RequestId"], "59A5E07E-4147-4D2E-A808-DCA76AC5B3FD");
        (response.status().as_u16(), body)
    }

    /// What was granted.
    async fn granted(&self, request: Request) -> Value {
        let (status, body) = self.ask(request).await;
        assert_eq!(status, 200, "{body}");
        body
    }

    /// The status and the code of a refusal, or `200`.
    async fn code(&self, request: Request) -> String {
        match self.ask(request).await {
            (200, _) => "200".to_owned(),
            (status, body) => format!("{status} {}", body["Code"].as_str().unwrap()),
        }
    }
}

/// A world whose client may assume the role `uploads`.
fn world() -> World {
    let mut world = World::new();
    let policy = allow(Language::Ram, "oss:PutObject", "acs:oss:*:*:bucket/uploads/*");
    world.plan.roles.push(Arc::new(Role {
        name: "uploads".into(),
        lifetime: Lifetime { default: 1200, max: 3600 },
        policy: Some(Template::new(policy, &BTreeMap::new()).unwrap()),
        ..(*world.plan.roles[0]).clone()
    }));
    world.client.grants.push(Grant::of("uploads"));
    world
}

/// That world, which knows this key as well.
fn world_with(id: &str, secret: &str) -> World {
    let mut world = world();
    let sealed = seal_material(&ring(), id, secret.as_bytes(), [2; 12]).unwrap();
    let key =
        Key { material: Material::Sealed(sealed), ..signing_key(id, KeyKind::AccessKey, world.client.guid) };
    world.keys.push(key);
    world
}

/// A temporary key as a client holds it.
#[derive(Clone)]
struct Held {
    id: String,
    secret: String,
    token: String,
}

impl Held {
    #[track_caller]
    fn of(body: &Value) -> Self {
        let text =
            |name: &str| body["Credentials"][name].as_str().unwrap_or_else(|| panic!("{body}")).to_owned();
        Self { id: text("AccessKeyId"), secret: text("AccessKeySecret"), token: text("SecurityToken") }
    }
}

/// How a call is signed, and where its parameters travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Style {
    /// ACS3, parameters in the query.
    Acs3,
    /// ACS3, parameters in a form body.
    Acs3Form,
    /// RPC, all in the query.
    Rpc,
    /// RPC, all in a form body.
    RpcForm,
}

const STYLES: [Style; 4] = [Style::Acs3, Style::Acs3Form, Style::Rpc, Style::RpcForm];

/// A call before it is signed.
#[derive(Clone)]
struct Draft {
    style: Style,
    action: String,
    params: BTreeMap<String, String>,
    key: Held,
    nonce: String,
    at: Timestamp,
}

impl Draft {
    fn new(style: Style, action: &str) -> Self {
        let key = Held { id: "LTAIworld".into(), secret: "secret of LTAIworld".into(), token: String::new() };
        Self {
            style,
            action: action.into(),
            params: BTreeMap::new(),
            key,
            nonce: "nonce-1".into(),
            at: START,
        }
    }

    /// A good ask for the role.
    fn assume(style: Style) -> Self {
        Self::new(style, "AssumeRole").set("RoleArn", ROLE).set("RoleSessionName", "app-1")
    }

    fn who(style: Style) -> Self {
        Self::new(style, "GetCallerIdentity")
    }

    fn set(mut self, name: &str, value: &str) -> Self {
        self.params.insert(name.into(), value.into());
        self
    }

    fn unset(mut self, name: &str) -> Self {
        self.params.remove(name);
        self
    }

    fn nonce(mut self, nonce: &str) -> Self {
        self.nonce = nonce.into();
        self
    }

    fn at(mut self, at: Timestamp) -> Self {
        self.at = at;
        self
    }

    fn by(mut self, key: &Held) -> Self {
        self.key = key.clone();
        self
    }

    fn sent(&self) -> Request {
        let key = ClientKey {
            id: &self.key.id,
            secret: self.key.secret.as_bytes(),
            token: Some(self.key.token.as_str()).filter(|token| !token.is_empty()),
        };
        let params: Vec<_> = self.params.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        match self.style {
            Style::Acs3 | Style::Acs3Form => self.in_headers(&key, &params),
            Style::Rpc | Style::RpcForm => self.in_parameters(&key, &params),
        }
    }

    fn in_headers(&self, key: &ClientKey<'_>, params: &[(&str, &str)]) -> Request {
        let form = encoded(params.iter().copied());
        let (query, body) = if self.style == Style::Acs3 { (params, "") } else { (&[][..], form.as_str()) };
        let headers = acs3::sign_request(
            key,
            &acs3::Outgoing {
                method: "POST",
                host: HOST,
                query,
                body: body.as_bytes(),
                action: &self.action,
                version: "2015-04-01",
                nonce: &self.nonce,
                at: self.at,
            },
        );
        let mut headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        headers.extend([FORM, ("accept", "application/json")]);
        // On the wire it is in form encoding, whatever was signed.
        request("POST", &format!("/?{}", encoded(query.iter().copied())), &headers, body.as_bytes())
    }

    fn in_parameters(&self, key: &ClientKey<'_>, params: &[(&str, &str)]) -> Request {
        let mut all = vec![("Action", self.action.as_str()), ("Version", "2015-04-01")];
        if !self.params.contains_key("Format") {
            all.push(("Format", "JSON"));
        }
        all.extend(params);
        let get = self.style == Style::Rpc;
        let method = if get { "GET" } else { "POST" };
        let signed = rpc::sign_request(key, method, &all, &self.nonce, self.at);
        let form = encoded(signed.iter().map(|(n, v)| (n.as_str(), v.as_str())));
        if get {
            request(method, &format!("/?{form}"), &[("host", HOST)], b"")
        } else {
            request(method, "/", &[("host", HOST), FORM], form.as_bytes())
        }
    }
}

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

fn encoded<'a>(params: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(params).finish()
}
