//! Alibaba Cloud's STS, API 2015-04-01: `AssumeRole`.
//!
//! A question is a POST whose parameters stand in the query, signed with ACS3-HMAC-SHA256. A refusal has a real status
//! and the vendor's `Code`. Source: the vendor's API reference and its SDKs.

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
use daypass_dialects::alibaba::sign::ClientKey;
use daypass_dialects::alibaba::sign::acs3::{Outgoing, sign_request};
use daypass_dialects::alibaba::sign::rpc::canonical_query;
use daypass_dialects::alibaba::wire;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

/// `RoleSessionName`: 2 to 64 letters, digits and these.
const NAMES: Names = Names { length: 2..=64, marks: ".@-_" };

/// The version of the API.
const VERSION: &str = "2015-04-01";

/// How an `AccessKeyId` of this service begins; no other kind of key comes with a token.
const PREFIX: &str = "STS.";

/// Alibaba Cloud.
pub struct Alibaba {
    upstream: Arc<Upstream>,
    address: Address,
    http: Http,
}

impl Alibaba {
    /// Prepares questions to what the configuration names.
    pub fn new(upstream: Arc<Upstream>, http: Http) -> Result<Self, BadUpstream> {
        if upstream.cloud != upstream::Cloud::Alibaba {
            return Err(BadUpstream::new(&upstream, "it is not of kind alibaba"));
        }
        Ok(Self { address: check::address(&upstream, Some("/"))?, http, upstream })
    }

    async fn call(
        &self,
        action: &str,
        parameters: &[(&str, &str)],
        key: &RootKey,
        at: Timestamp,
        once: [u8; 16],
    ) -> Result<Reply, Fault> {
        let (host, nonce) = (self.address.host(), Uuid::from_bytes(once).to_string());
        let request = Outgoing {
            method: "POST",
            host: &host,
            query: parameters,
            body: b"",
            action,
            version: VERSION,
            nonce: &nonce,
            at,
        };
        let signer = ClientKey { id: &key.id, secret: check::secret(key)?, token: None };
        let ask = Ask {
            address: &self.address.asking(&canonical_query(parameters.iter().copied())),
            body: Some((FORM, b"")),
            headers: reading::headers(sign_request(&signer, &request))?,
            accept: JSON,
            limit: Duration::from_millis(self.upstream.timeout_ms.into()),
            most: MOST,
        };
        let answer = self.http.ask(ask).await?;
        let mut document = Object::of(&answer);
        let request = document.as_mut().and_then(|document| document.text("RequestId"));
        let request = reading::request_id(request);
        let coded = document.as_mut().and_then(|document| document.text("Code")).map(coded);
        if let Some(fault) = reading::fault(&answer, coded, request.clone(), at) {
            return Err(fault);
        }
        let document = document.ok_or_else(|| reading::garbage("is no document of this API", None))?;
        Ok(Reply { document, request, date: answer.date })
    }
}

/// The type of a body, which is empty: the parameters stand in the query. It is not signed.
const FORM: &str = "application/x-www-form-urlencoded";

/// An answer that is no refusal.
struct Reply {
    document: Object,
    request: Option<String>,
    date: Option<Timestamp>,
}

#[async_trait]
impl Cloud for Alibaba {
    fn upstream(&self) -> &Upstream {
        &self.upstream
    }

    fn wanted(&self, authorized: &Authorized) -> Result<Wanted, Refusal> {
        let wanted = check::wanted(&self.upstream, authorized, NAMES.session(authorized))?;
        if wanted.assume.is_none() {
            let cause = format!("the role {} names no role of Alibaba Cloud to assume", authorized.role());
            return Err(Refusal::internal(cause));
        }
        check::no_place_for("Tags", !wanted.tags.is_empty())?;
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
        let lifetime = wanted.lifetime.to_string();
        let role = wanted.assume.as_deref().unwrap_or_default();
        let mut parameters = vec![
            ("DurationSeconds", lifetime.as_str()),
            ("Policy", wanted.document.as_deref().unwrap_or_default()),
            ("RoleArn", role),
            ("RoleSessionName", &wanted.session),
        ];
        parameters.extend(wanted.source_identity.as_deref().map(|identity| ("SourceIdentity", identity)));
        let Reply { mut document, request, date } =
            self.call("AssumeRole", &parameters, key, at, once).await?;
        let with_id = |fault: Fault| Fault { request: request.clone(), ..fault };
        let user = document.object("AssumedRoleUser").and_then(|mut user| user.text("Arn"));
        let user = user.ok_or_else(|| reading::garbage("names no assumed role", request.clone()))?;
        self.check_user(&user, role, &wanted.session).map_err(with_id)?;
        let credential = document.object("Credentials").and_then(read);
        let (parts, says) =
            credential.ok_or_else(|| reading::garbage("has no credential", request.clone()))?;
        let expires = check::expires(wanted, says, at, date).map_err(with_id)?;
        Ok(Fetched { parts, expires, request: request.clone(), policy: None, answer: BTreeMap::new() })
    }

    async fn canary(&self, key: &RootKey, at: Timestamp, once: [u8; 16]) -> Result<Option<String>, Fault> {
        let Reply { mut document, request, .. } = self.call("GetCallerIdentity", &[], key, at, once).await?;
        let account =
            document.text("AccountId").ok_or_else(|| reading::garbage("names no account", request))?;
        check::account(&self.upstream, &account)?;
        Ok(Some(account))
    }
}

impl Alibaba {
    /// Checks whose credential it is: `acs:ram::<account>:role/<name>/<session>` of the role that was asked for. Attack: an
    /// answer with a credential of somebody else, to whom everything would then be sent that is stored with it.
    fn check_user(&self, user: &str, role: &str, session: &str) -> Result<(), Fault> {
        let account = user.strip_prefix("acs:ram::").and_then(|rest| rest.split(':').next());
        check::account(&self.upstream, account.unwrap_or_default())?;

        // The cloud writes a role's name in lower case, whatever the question had.
        if user.eq_ignore_ascii_case(&format!("{role}/{session}")) {
            return Ok(());
        }
        Err(Fault::new(
            FaultKind::Wrong,
            "it gave a credential of another role or session than was asked for",
        ))
    }
}

fn render(policy: &Policy) -> Result<String, String> {
    wire::render_policy(policy).map_err(|refusal| refusal.detail.into_owned())
}

fn read(mut credentials: Object) -> Option<(Parts, Timestamp)> {
    let id = credentials.part("AccessKeyId").filter(|id| id.starts_with(PREFIX))?;
    let secret = credentials.secret("AccessKeySecret")?;
    let token = credentials.secret("SecurityToken")?;
    Some((Parts::Triple { id, secret, token }, credentials.time("Expiration")?))
}

/// What a refusal means. Source: the vendor's pages of error codes of the STS API and of its gateway.
fn coded(code: String) -> Coded {
    let family = code.split('.').next().unwrap_or_default();
    let kind = match (family, code.as_str()) {
        ("InvalidTimeStamp" | "IllegalTimestamp", _) => FaultKind::Clock,
        (
            "InvalidAccessKeyId"
            | "InvalidAccessKeySecret"
            | "SignatureDoesNotMatch"
            | "IncompleteSignature"
            | "MissingSecurityToken"
            | "InvalidSecurityToken"
            | "Forbidden"
            | "MissingAccessKeyId",
            _,
        ) => FaultKind::KeyRefused,
        // A nonce that was used: the next question has another.
        ("Throttling" | "SignatureNonceUsed" | "QPSLimitExceeded", _) => FaultKind::Busy,
        ("InternalError" | "ServiceUnavailable" | "ServiceUnAvailable", _) => FaultKind::Down,
        _ => FaultKind::Refused,
    };
    Coded { kind, code }
}
