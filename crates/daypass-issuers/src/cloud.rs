//! The port to a real cloud: one question, one answer, nothing kept.
//!
//! What is kept, shared between nodes, refreshed and bounded is the business of the cache above it, which is the same for all.

use crate::alibaba::Alibaba;
use crate::entra::Entra;
use crate::fault::Fault;
use crate::http::{Http, Trust};
use crate::oauth::OAuth;
use crate::tencent::Tencent;
use crate::top::Top;
use async_trait::async_trait;
use daypass_core::clock::Timestamp;
use daypass_core::dialect::Form;
use daypass_core::endpoint::Product;
use daypass_core::policy::{Authorized, Policy};
use daypass_core::refusal::Refusal;
use daypass_core::secret::Secret;
use daypass_core::upstream::{self, Capabilities, RootKey, Upstream};
use std::collections::BTreeMap;
use std::sync::Arc;

#[cfg(test)]
pub(crate) mod tests;

/// Why a cloud of the configuration cannot be asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("issuer {issuer}: {why}")]
pub struct BadUpstream {
    /// The issuer, by name.
    pub issuer: String,
    /// What is wrong with what the configuration says of it.
    pub why: String,
}

impl BadUpstream {
    pub(crate) fn new(upstream: &Upstream, why: impl Into<String>) -> Self {
        Self { issuer: upstream.name.clone(), why: why.into() }
    }
}

/// The cloud of a configured issuer. Nothing is asked yet.
pub fn build(upstream: &Arc<Upstream>) -> Result<Arc<dyn Cloud>, BadUpstream> {
    let trust = match &upstream.ca {
        _ if upstream.url.starts_with("http:") => Trust::Nobody,
        Some(pem) => Trust::Only(pem),
        None => Trust::System,
    };
    let http = Http::new(trust).map_err(|why| BadUpstream::new(upstream, why.to_string()))?;
    let upstream = upstream.clone();
    Ok(match upstream.cloud {
        upstream::Cloud::Tencent { .. } => Arc::new(Tencent::new(upstream, http)?),
        upstream::Cloud::Alibaba => Arc::new(Alibaba::new(upstream, http)?),
        upstream::Cloud::Top => Arc::new(Top::new(upstream, http)?),
        upstream::Cloud::Entra { .. } => Arc::new(Entra::new(upstream, http)?),
        upstream::Cloud::OAuth(_) => Arc::new(OAuth::new(upstream, http)?),
    })
}

/// A cloud that makes credentials.
#[async_trait]
pub trait Cloud: Send + Sync {
    /// What the configuration says of it.
    fn upstream(&self) -> &Upstream;

    /// What to ask for, so that exactly what was authorized comes. Whatever the cloud would refuse for its size, alphabet or
    /// length is refused here, before a call is made: as [`daypass_core::refusal::Reason::PolicyTooLong`] or
    /// `LifetimeTooLong` where the asker can mend it.
    fn wanted(&self, authorized: &Authorized) -> Result<Wanted, Refusal>;

    /// Asks. Everything of the answer is checked: host, status, type, account, lifetime.
    ///
    /// `at` is the present and goes into signatures; `once` is random and goes into nonces.
    async fn fetch(
        &self,
        wanted: &Wanted,
        key: &RootKey,
        at: Timestamp,
        once: [u8; 16],
    ) -> Result<Fetched, Fault>;

    /// Asks something that changes nothing and that only the right key is answered: `GetCallerIdentity`, or a token that is
    /// thrown away. Gives the account, where the cloud tells it.
    async fn canary(&self, key: &RootKey, at: Timestamp, once: [u8; 16]) -> Result<Option<String>, Fault>;
}

/// What a cloud is asked for. Owned, because a question outlives the request that was first to need it.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// What form the credential must have.
    pub form: Form,
    /// The cloud's own role to take, by its ARN.
    pub assume: Option<String>,
    /// The session's name, in the cloud's alphabet and length.
    pub session: String,
    /// What it may be used for; none for access tokens.
    pub policy: Option<Arc<Policy>>,
    /// The same in the cloud's language, as it is sent; none where the cloud takes none.
    pub document: Option<String>,
    /// Seconds of life to ask for, or to expect.
    pub lifetime: u32,
    /// The role's variables.
    pub variables: BTreeMap<String, String>,
    /// The session's tags.
    pub tags: BTreeMap<String, String>,
    /// Who stands behind the session.
    pub source_identity: Option<String>,
    /// TOP's words for what was asked.
    pub product: Option<Product>,
    /// The OAuth scope.
    pub scope: Option<String>,
    /// What the cloud can do for this role.
    pub capabilities: Capabilities,
}

/// What came, checked.
pub struct Fetched {
    /// The credential.
    pub parts: Parts,
    /// When it runs out: the earlier of what the cloud says and of what was asked for, by our own clock.
    pub expires: Timestamp,
    /// The cloud's own id of the request.
    pub request: Option<String>,
    /// What it may be used for, where the cloud has the last word on that. Never more than was wanted.
    pub policy: Option<Policy>,
    /// Fields of the answer that the cloud has given, by the names that a role's `answer` has.
    pub answer: BTreeMap<String, String>,
}

/// A credential as a cloud gives it.
pub enum Parts {
    /// Id, secret and token.
    Triple {
        /// `TmpSecretId` or `AccessKeyId`.
        id: String,
        /// `TmpSecretKey` or `AccessKeySecret`.
        secret: Secret,
        /// `Token` or `SecurityToken`.
        token: Secret,
    },
    /// An access token.
    Bearer(Secret),
}
