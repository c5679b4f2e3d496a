//! Those who know people, as far as tests need them.

use crate::endpoint::SessionRule;
use crate::identity::{Identity, Subject, unavailable};
use crate::jose::{KeySet, Signer};
use crate::provider::Provider;
use crate::refusal::Refusal;
use crate::role::Algorithm;
use crate::secret::Secret;
use async_trait::async_trait;
use std::sync::{Arc, LazyLock};

/// Knows nobody.
pub struct NoIdentity;

#[async_trait]
impl Identity for NoIdentity {
    async fn session(&self, _: &SessionRule, _: &Secret) -> Result<Subject, Refusal> {
        Err(unavailable("no port to an application"))
    }

    async fn keys(&self, _: &Provider, _: Option<&str>) -> Result<Arc<KeySet>, Refusal> {
        Err(unavailable("no port to a provider"))
    }
}

/// An outside provider that answers, or does not; it signs with [`provider_signer`]. It knows no sessions.
pub struct OneProvider {
    /// Whether it answers.
    pub up: bool,
}

#[async_trait]
impl Identity for OneProvider {
    async fn session(&self, _: &SessionRule, _: &Secret) -> Result<Subject, Refusal> {
        Err(unavailable("no application"))
    }

    async fn keys(&self, _: &Provider, _: Option<&str>) -> Result<Arc<KeySet>, Refusal> {
        if self.up { Ok(provider_keys()) } else { Err(unavailable("a test took it down")) }
    }
}

/// What the provider of tests signs with.
pub fn provider_signer() -> &'static Signer {
    static SIGNER: LazyLock<Signer> = LazyLock::new(|| {
        let key = Signer::generate(Algorithm::EdDsa).expect("a key");
        Signer::parse(Algorithm::EdDsa, &key).expect("it parses")
    });
    &SIGNER
}

/// The public half of [`provider_signer`].
pub fn provider_keys() -> Arc<KeySet> {
    let document = serde_json::json!({ "keys": [provider_signer().jwk()] }).to_string();
    Arc::new(KeySet::parse(document.as_bytes()).expect("a key set"))
}
