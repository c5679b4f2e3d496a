//! Outside OpenID providers whose JWTs say who someone is.
//!
//! An *issuer* makes credentials; a *provider* says who asks for them. Tencent Cloud calls one an identity provider
//! and names it by `ProviderId`.

use crate::jose::KeySet;
use crate::quota::{Bounds, Limit};
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
    /// How many roles its subjects may take in a minute.
    pub quota: Quota,
}

/// The most credentials that are made in a minute for those whom a provider vouches for, each none for no bound.
///
/// Attack: whoever has one of its JWTs can show it until it ends, and each time it is a new credential and a record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quota {
    /// For one subject.
    pub subject: Option<u32>,
    /// For one source network (/24 of IPv4, /48 of IPv6), attempts that failed included.
    pub address: Option<u32>,
    /// For all its subjects together.
    pub provider: Option<u32>,
}

impl Provider {
    /// How much may be asked for and made for those whom it vouches for: what is called an endpoint there is the provider.
    pub(crate) fn bounds(&self) -> Bounds {
        let Quota { subject, address, provider } = self.quota;
        Bounds {
            subject: Limit::per_minute(subject),
            network: Limit::per_minute(address),
            endpoint: Limit::per_minute(provider),
            ..Bounds::default()
        }
    }
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
