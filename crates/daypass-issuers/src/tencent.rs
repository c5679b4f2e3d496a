//! Tencent Cloud's STS, API 2018-08-13: `AssumeRole` where the role names one, else `GetFederationToken`.
//!
//! A question is a POST of a JSON document, signed with TC3-HMAC-SHA256. Every answer has status 200: a refusal is an
//! `Error` in the envelope. Source: the vendor's API reference and its SDKs.

#[cfg(test)]
mod tests;

use crate::check::{self, Names};
use crate::cloud::{BadUpstream, Cloud, Fetched, Parts, Wanted};
use crate::fault::{Fault, FaultKind};
use crate::http::{Address, Ask, Http, JSON};
use crate::reading::{self, Coded, MOST, Object};
use async_trait::async_trait;
use daypass_core::clock::Timestamp;
use daypass_core::policy::{Authorized, Policy};
use daypass_core::refusal::Refusal;
use daypass_core::upstream::{self, RootKey, Upstream};
use daypass_dialects::tencent::sign::{ClientKey, Outgoing, sign_unique};
use daypass_dialects::tencent::wire::{self, Action};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

/// `RoleSessionName` and `SourceIdentity`. `Name` is documented as letters; the vendor's own COS helpers send hyphens, so
/// the same characters are taken for it.
const NAMES: Names = Names { length: 2..=128, marks: "_+=,.@-" };

/// The longest `TmpSecretId` and `TmpSecretKey`, and the longest `Token`, in bytes: the vendor's published limits.
const LONGEST_KEY: usize = 1024;
const LONGEST_TOKEN: usize = 4096;

/// Tencent Cloud.
pub struct Tencent {
    upstream: Arc<Upstream>,
    address: Address,
    region: String,
    unsigned_payload: bool,
    http: Http,
}

impl Tencent {
    /// Prepares questions to what the configuration names.
    pub fn new(upstream: Arc<Upstream>, http: Http) -> Result<Self, BadUpstream> {
        let upstream::Cloud::Tencent { region, unsigned_payload } = upstream.cloud.clone() else {
            return Err(BadUpstream::new(&upstream, "it is not of kind tencent"));
        };
        Ok(Self { address: check::address(&upstream, Some("/"))?, region, unsigned_payload, http, upstream })
    }

    /// Asks for one action, and gives what stands in the envelope.
    async fn call(
        &self,
        action: Action,
        parameters: &Value,
        key: &RootKey,
        at: Timestamp,
        once: [u8; 16],
    ) -> Result<Reply, Fault> {
        let body = parameters.to_string();
        let host = self.address.host();
        let request = Outgoing {
            method: "POST",
            host: &host,
            query: "",
            body: body.as_bytes(),
            unsigned_payload: self.unsigned_payload,
            action: action.name(),
            region: &self.region,
            at,
        };
        let signer = ClientKey { id: &key.id, secret: check::secret(key)?, token: None };
        let ask = Ask {
            address: &self.address,
            body: Some((wire::JSON, body.as_bytes())),
            headers: reading::headers(sign_unique(&signer, &request, Uuid::from_bytes(once).to_string()))?,
            accept: JSON,
            limit: Duration::from_millis(self.upstream.timeout_ms.into()),
            most: MOST,
        };
        let answer = self.http.ask(ask).await?;
        let mut inner = Object::of(&answer).and_then(|mut document| document.object("Response"));
        let request = inner.as_mut().and_then(|inner| inner.text("RequestId"));
        let request = reading::request_id(request);
        let coded = inner.as_mut().filter(|inner| inner.has("Error")).map(coded);
        if let Some(fault) = reading::fault(&answer, coded, request.clone(), at) {
            return Err(fault);
        }
        let inner = inner.ok_or_else(|| reading::garbage("is no document of this API", None))?;
        Ok(Reply { inner, request, date: answer.date })
    }
}

/// An answer that is no refusal.
struct Reply {
    inner: Object,
    request: Option<String>,
    date: Option<Timestamp>,
}

#[async_trait]
impl Cloud for Tencent {
    fn upstream(&self) -> &Upstream {
        &self.upstream
    }

    fn wanted(&self, authorized: &Authorized) -> Result<Wanted, Refusal> {
        let wanted = check::wanted(&self.upstream, authorized, NAMES.session(authorized))?;
        if wanted.assume.is_none() {
            // `GetFederationToken` has no parameters for these.
            check::no_place_for("Tags", !wanted.tags.is_empty())?;
            check::no_place_for("SourceIdentity", wanted.source_identity.is_some())?;
        }
        let unfit = wanted.source_identity.as_deref().is_some_and(|identity| !NAMES.take(identity));
        check::no_place_for("SourceIdentity of this form", unfit)?;
        let document = check::document(authorized, wanted.capabilities.policy_bytes, render)?;
        Ok(Wanted { document: Some(document), ..wanted })
    }

    async fn fetch(
        &self,
        wanted: &Wanted,
        key: &RootKey,
        at: Timestamp,
        once: [u8; 16],
    ) -> Result<Fetched, Fault> {
        let (action, parameters) = question(wanted);
        let Reply { mut inner, request, date } = self.call(action, &parameters, key, at, once).await?;
        let parts =
            parts(&mut inner).ok_or_else(|| reading::garbage("has no credential", request.clone()))?;
        let says = inner.integer("ExpiredTime").and_then(|seconds| Timestamp::from_second(seconds).ok());
        let says = says.ok_or_else(|| reading::garbage("has no time at which it ends", request.clone()))?;
        let expires = check::expires(wanted, says, at, date)
            .map_err(|fault| Fault { request: request.clone(), ..fault })?;
        Ok(Fetched { parts, expires, request, policy: None, answer: BTreeMap::new() })
    }

    async fn canary(&self, key: &RootKey, at: Timestamp, once: [u8; 16]) -> Result<Option<String>, Fault> {
        let Reply { mut inner, request, .. } =
            self.call(Action::GetCallerIdentity, &json!({}), key, at, once).await?;
        let account =
            inner.text("AccountId").ok_or_else(|| reading::garbage("names no account", request.clone()))?;
        check::account(&self.upstream, &account)?;
        Ok(Some(account))
    }
}

/// The policy as it is sent. The vendor's reference wants it percent-encoded and its samples send it as it is, so that
/// it may be decoded once more. Attack: `%2A` within a resource would then be `*`. What decoding would change is encoded.
fn render(policy: &Policy) -> Result<String, String> {
    let text = wire::render_policy(policy).map_err(|unwritable| unwritable.to_string())?;
    if text.contains(['%', '+']) {
        let encoded: String = form_urlencoded::byte_serialize(text.as_bytes()).collect();
        // A space as `+` would stay one for whoever decodes as RFC 3986 says: another resource than was authorized.
        return Ok(encoded.replace('+', "%20"));
    }
    Ok(text)
}

/// The action and its parameters.
fn question(wanted: &Wanted) -> (Action, Value) {
    let mut parameters = Map::new();
    let mut put = |name: &str, value: Value| parameters.insert(name.to_owned(), value);
    let action = if let Some(role) = &wanted.assume {
        put("RoleArn", role.as_str().into());
        put("RoleSessionName", wanted.session.as_str().into());
        if !wanted.tags.is_empty() {
            let tags = wanted.tags.iter().map(|(key, value)| json!({ "Key": key, "Value": value }));
            put("Tags", tags.collect());
        }
        if let Some(identity) = &wanted.source_identity {
            put("SourceIdentity", identity.as_str().into());
        }
        Action::AssumeRole
    } else {
        put("Name", wanted.session.as_str().into());
        Action::GetFederationToken
    };
    put("Policy", wanted.document.as_deref().unwrap_or_default().into());
    put("DurationSeconds", wanted.lifetime.into());
    (action, parameters.into())
}

fn parts(inner: &mut Object) -> Option<Parts> {
    let mut credentials = inner.object("Credentials")?;
    let id =
        credentials.part("TmpSecretId").filter(|id| id.len() <= LONGEST_KEY && !id.contains(['/', ',']))?;
    let secret = credentials.secret("TmpSecretKey").filter(|secret| secret.expose().len() <= LONGEST_KEY)?;
    let token = credentials.secret("Token").filter(|token| token.expose().len() <= LONGEST_TOKEN)?;
    Some(Parts::Triple { id, secret, token })
}

/// What a refusal means. A code is a family and a name; a family that is not known refuses what was asked.
fn coded(inner: &mut Object) -> Coded {
    let code = inner.object("Error").and_then(|mut error| error.text("Code")).unwrap_or_default();
    let family = code.split('.').next().unwrap_or_default();
    let kind = match (family, code.as_str()) {
        (_, "AuthFailure.SignatureExpire") => FaultKind::Clock,
        (_, "AuthFailure.UnauthorizedOperation") => FaultKind::Refused,
        ("AuthFailure", _) => FaultKind::KeyRefused,
        ("RequestLimitExceeded" | "LimitExceeded", _) | (_, "InvalidParameter.OverLimit") => FaultKind::Busy,
        ("InternalError" | "ServiceUnavailable", _) => FaultKind::Down,
        ("", _) => FaultKind::Garbage,
        _ => FaultKind::Refused,
    };
    Coded { kind, code }
}
