//! Outside OpenID providers whose JWTs say who someone is.
//!
//! An *issuer* makes credentials; a *provider* says who asks for them. Tencent Cloud calls one an identity provider
//! and names it by `ProviderId`.

use crate::jose::KeySet;
use std::collections::BTreeMap;
use std::sync::Arc;

/// An outside provider, trusted by one tenant.
#[derive(Clone, Debug)]
pub struct Provider {
    /// The tenant that trusts it, by name.
    pub tenant: String,
    /// Its name in configuration, `ProviderId` on the wire.
    pub name: String,
    /// `iss` of its tokens, byte for byte.
    pub issuer: String,
    /// `aud` must be or hold one of these. Never empty: a token that was made for someone else proves nothing to us.
    pub audiences: Vec<String>,
    /// Where its public keys are.
    pub keys: KeySource,
    /// The claim that names the subject.
    pub subject: String,
    /// Which claim fills which variable of a role.
    pub variables: BTreeMap<String, String>,
}

/// Where a provider's public keys are.
#[derive(Clone, Debug)]
pub enum KeySource {
    /// At the `jwks_uri` of `<issuer>/.well-known/openid-configuration`.
    Discovery,
    /// At this URL.
    Url(String),
    /// Here: they were read from a file.
    Inline(Arc<KeySet>),
}
