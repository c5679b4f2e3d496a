//! What may be handed out.

use crate::policy::{ClaimTemplate, Pattern, Template, VariableType};
use crate::upstream::Brokering;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What may be handed out, and how: a policy template, bounds of life, an issuer, fixed fields of the answer.
#[derive(Clone, Debug)]
pub struct Role {
    /// The tenant it belongs to, by name.
    pub tenant: String,
    /// Its name, unique in the tenant.
    pub name: String,
    /// The issuer that makes the credential; `local` always exists.
    pub issuer: String,
    /// How long a credential lives.
    pub lifetime: Lifetime,
    /// The typed variables of the policy, or of the claims, by name.
    pub variables: BTreeMap<String, VariableType>,
    /// The policy that a signing credential carries. An OAuth role has none.
    pub policy: Option<Template>,
    /// The narrower policy that it is to have, in the same language and with the same variables. It is tried before it
    /// counts: what it would cut is said and not cut.
    pub policy_warn: Option<Template>,
    /// Fixed fields of the answer, such as TOP's `end_point_public`.
    pub answer: BTreeMap<String, String>,
    /// The OAuth resource it is a role of: `aud` of the token, and what stands before `/.default` in the scope.
    pub audience: Option<String>,
    /// Other names of that resource, any of which may stand before `/.default` as well.
    pub identifiers: Vec<String>,
    /// The OAuth app roles: `roles` of the token.
    pub app_roles: Vec<String>,
    /// Which of Entra's sets of claims its tokens have.
    pub version: TokenVersion,
    /// Whose shape its tokens have.
    pub profile: Profile,
    /// Claims of the operator's own, by name.
    pub claims: BTreeMap<String, ClaimTemplate>,
    /// What a token of this role is signed with.
    pub algorithm: Algorithm,
    /// What `AssumeRole` must send as `ExternalId`.
    ///
    /// Attack: a partner who assumes roles for many customers with one key can be talked into assuming another
    /// customer's; the value that only the right customer knows keeps the two apart.
    pub external_id: Option<String>,
    /// Whose JWTs may assume the role in place of a client's key.
    pub trusts: Vec<Trust>,
    /// What its upstream issuer needs to know; nothing for `local`.
    pub brokering: Brokering,
}

impl Role {
    /// The name that this text is of the OAuth resource, as the configuration spells it. GUIDs and URIs compare without
    /// case: two resources that differ in nothing else would be taken for each other.
    pub fn called(&self, resource: &str) -> Option<&str> {
        let names = self.audience.iter().chain(&self.identifiers);
        names.map(String::as_str).find(|name| name.eq_ignore_ascii_case(resource))
    }
}

/// The longest access token, in bytes of its compact form. It travels in a header of every request to the resource
/// server, and the smallest limits in common use for that one header are 8 KiB: above it, servers answer 400 or 431 and
/// nobody sees why.
pub const TOKEN_BYTES: usize = 6 * 1024;

/// Whose shape the access tokens for a resource have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// Entra's, in one of its versions.
    #[default]
    Entra,
    /// The standard one (RFC 9068): `typ` is `at+jwt`, and the client is `client_id`.
    Rfc9068,
}

impl Profile {
    /// Every profile.
    pub const ALL: &'static [Self] = &[Self::Entra, Self::Rfc9068];

    /// The name in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Entra => "entra",
            Self::Rfc9068 => "rfc9068",
        }
    }
}

/// Which set of claims the access tokens for a resource have. The resource decides, not the endpoint that is asked: its
/// own library expects one of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum TokenVersion {
    /// Entra's version 1.0: `appid`, `appidacr`, and an issuer of its own.
    #[serde(rename = "1.0")]
    V1,
    /// Entra's version 2.0: `azp`, `azpacr`.
    #[default]
    #[serde(rename = "2.0")]
    V2,
}

impl TokenVersion {
    /// Every version.
    pub const ALL: &'static [Self] = &[Self::V1, Self::V2];

    /// The name in the configuration, and the claim `ver`.
    pub fn name(self) -> &'static str {
        match self {
            Self::V1 => "1.0",
            Self::V2 => "2.0",
        }
    }
}

/// Subjects of an outside provider who may assume a role.
#[derive(Clone, Debug)]
pub struct Trust {
    /// The provider, by name.
    pub provider: String,
    /// Their names; `*` stands for any text. Never empty.
    pub subjects: Vec<Pattern>,
}

/// Bounds of life, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetime {
    /// For a request that names none.
    pub default: u32,
    /// The longest a request may name.
    pub max: u32,
}

/// A signature algorithm of an access token. One key has one algorithm; a verifier never takes it from a header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256 and 2048 bits: what Entra signs with, and the default.
    #[default]
    #[serde(rename = "RS256")]
    Rs256,
    /// ECDSA on P-256 with SHA-256: a fourteenth of the cost.
    #[serde(rename = "ES256")]
    Es256,
    /// Ed25519.
    #[serde(rename = "EdDSA")]
    EdDsa,
}

impl Algorithm {
    /// Every algorithm, in the order of the JWKS.
    pub const ALL: &'static [Self] = &[Self::Rs256, Self::Es256, Self::EdDsa];

    /// The JOSE name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
        }
    }
}
