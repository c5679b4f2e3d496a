//! The dialect behind the real pipeline, with a fixed clock, a store in memory and a small issuer.

mod assertions;
mod clients;
mod documents;
mod dpop;
mod exchange;
mod feed;
mod introspection;
mod refusals;
mod revocation;
mod tokens;

use super::Entra;
use async_trait::async_trait;
use daypass_core::credential::{Bearer, Credential};
use daypass_core::directory::{Directory, hash_secret};
use daypass_core::id::Draw;
use daypass_core::identity::Identity;
use daypass_core::issuer::{Issued, Issuer};
use daypass_core::pipeline::{Answer, Pipeline};
use daypass_core::policy::Authorized;
use daypass_core::refusal::Refusal;
use daypass_core::request::Request;
use daypass_core::ring::Purpose;
use daypass_core::secret::Secret;
use daypass_core::testing::NoIdentity;
use daypass_core::testing::{self, ACME, FixedClock, MemoryStore, RESOURCE, START, SeededEntropy, World};
use serde_json::Value;
use std::sync::Arc;
use uuid::Uuid;

/// The secret of the captured requests: it holds the characters that encoders disagree on.
pub(super) const SECRET: &str = "s3cr3t~Value.With+odd/chars=&%";
/// The client of the captured requests, which is also the test world's.
pub(super) const CLIENT: &str = "0d1f6f0e-6f0b-4f43-9d1c-3a3f1a6b7c11";

/// Makes real claims with a signature that is a word: the pipeline and the dialect are tested, not the ring.
struct TestIssuer;

#[async_trait]
impl Issuer for TestIssuer {
    async fn issue(
        &self,
        directory: &Directory,
        authorized: &Authorized,
        draw: &Draw,
    ) -> Result<Issued, Refusal> {
        let id = Uuid::from_bytes(draw.bytes("uti"));
        super::wire::AccessToken::new(&directory.plan().public_url, authorized, draw.at(), id)?;
        let token = Secret::new("header.payload.signature");
        let bearer = Bearer { token, id, kid: Some("kid".into()) };
        Ok(Issued::ours(Credential::Bearer(bearer), authorized, draw))
    }
}

/// Signs as well, for what becomes of tokens that are shown to us again.
struct SigningIssuer;

#[async_trait]
impl Issuer for SigningIssuer {
    async fn issue(
        &self,
        directory: &Directory,
        authorized: &Authorized,
        draw: &Draw,
    ) -> Result<Issued, Refusal> {
        let id = Uuid::from_bytes(draw.bytes("uti"));
        let (ring, algorithm) = (directory.ring(), authorized.algorithm());
        let claims = super::wire::AccessToken::new(&directory.plan().public_url, authorized, draw.at(), id)?;
        let token = super::sign::access_token(ring, algorithm, &claims)?;
        let kid = ring.signer(algorithm).map(|signer| signer.kid().to_owned());
        Ok(Issued::ours(Credential::Bearer(Bearer { token, id, kid }), authorized, draw))
    }
}

/// A pipeline in front of a world.
pub(super) struct Bench {
    pub(super) world: World,
    pub(super) store: Arc<MemoryStore>,
    pub(super) clock: Arc<FixedClock>,
    pipeline: Pipeline,
}

impl Bench {
    /// The test world, whose client's secret is [`SECRET`].
    pub(super) fn new() -> Self {
        Self::with_identity(Arc::new(NoIdentity))
    }

    /// The same with someone who knows people.
    pub(super) fn with_identity(identity: Arc<dyn Identity>) -> Self {
        Self::with(identity, Arc::new(TestIssuer))
    }

    /// The same with tokens whose signatures are right.
    pub(super) fn signing() -> Self {
        Self::with(Arc::new(NoIdentity), Arc::new(SigningIssuer))
    }

    fn with(identity: Arc<dyn Identity>, issuer: Arc<dyn Issuer>) -> Self {
        let mut world = World::new();
        let guid = world.client.guid;
        let pepper = testing::ring().active(Purpose::Pepper);
        let hash = hash_secret(&testing::ring(), pepper, guid, SECRET.as_bytes()).unwrap();
        world.keys.push(testing::secret_key(Uuid::from_u128(0x5ec2), guid));
        world.keys.last_mut().unwrap().material = daypass_core::client::Material::Hashed { pepper, hash };
        let (store, clock) = (Arc::new(MemoryStore::new()), Arc::new(FixedClock::new(START)));
        let issuers = [("local".to_owned(), issuer)].into();
        let entropy = Arc::new(SeededEntropy::new(1));
        let pipeline = Pipeline::new(clock.clone(), entropy, store.clone(), issuers, identity);
        Self { world, store, clock, pipeline }
    }

    /// Sends one request.
    pub(super) fn send(&self, request: Request) -> Reply {
        let directory = self.world.directory();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let Answer { response, summary } =
            runtime.block_on(self.pipeline.answer(&Entra, &directory, request));
        let (parts, body) = response.into_parts();
        let text = String::from_utf8(body.to_vec()).unwrap();
        // A revocation is answered with nothing at all.
        let json = if text.is_empty() { Value::Null } else { serde_json::from_str(&text).unwrap() };
        Reply { parts, json, text, result: summary.result }
    }

    /// Sends a form to the token endpoint of the test tenant.
    pub(super) fn post(&self, form: &str, headers: &[(&str, &str)]) -> Reply {
        self.send(token_request(&format!("/{ACME}/oauth2/v2.0/token"), form, headers))
    }

    /// Reads a document.
    pub(super) fn get(&self, target: &str) -> Reply {
        self.send(testing::request("GET", target, &[], b""))
    }
}

/// An answer, taken apart. That its body is JSON, or nothing at all, was checked on the way.
pub(super) struct Reply {
    pub(super) parts: http::response::Parts,
    pub(super) text: String,
    pub(super) json: Value,
    pub(super) result: Result<daypass_core::pipeline::Success, Refusal>,
}

impl Reply {
    /// Status, `error` and AADSTS number: what clients branch on.
    pub(super) fn gist(&self) -> (u16, &str, u64) {
        (
            self.parts.status.as_u16(),
            self.json["error"].as_str().unwrap_or_default(),
            self.json["error_codes"][0].as_u64().unwrap_or_default(),
        )
    }

    /// A header's value, or nothing.
    pub(super) fn header(&self, name: &str) -> &str {
        self.parts.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Status line, headers and body, as a client sees them.
    pub(super) fn whole(&self) -> String {
        let mut lines = vec![self.parts.status.to_string()];
        lines.extend(
            self.parts.headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())),
        );
        format!("{}\n\n{}", lines.join("\n"), self.text)
    }
}

/// A form for the token endpoint at this path.
pub(super) fn token_request(target: &str, form: &str, headers: &[(&str, &str)]) -> Request {
    let mut all = vec![("content-type", "application/x-www-form-urlencoded")];
    all.extend(headers);
    testing::request("POST", target, &all, form.as_bytes())
}

/// A good form, with the extra parameter of its documentation's own sample.
pub(super) fn good_form() -> String {
    form(&[
        ("grant_type", "client_credentials"),
        ("client_id", CLIENT),
        ("client_secret", SECRET),
        ("Type", "oauth2"),
        ("scope", &format!("{RESOURCE}/.default")),
    ])
}

/// The good form with one parameter changed, or left out.
pub(super) fn form_with(name: &str, value: Option<&str>) -> String {
    let good = good_form();
    let pairs: Vec<(String, String)> = form_urlencoded::parse(good.as_bytes())
        .into_owned()
        .filter_map(|(key, old)| if key == name { Some((key, value?.to_owned())) } else { Some((key, old)) })
        .collect();
    form(&pairs.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect::<Vec<_>>())
}

/// An encoded form.
pub(super) fn form(pairs: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

/// Every byte as an escape: more than any standard asks for, and right all the same.
pub(super) fn escape_all(text: &str) -> String {
    let digit = |value: u8| char::from_digit(value.into(), 16).unwrap().to_ascii_uppercase();
    text.bytes().flat_map(|byte| ['%', digit(byte >> 4), digit(byte & 15)]).collect()
}
