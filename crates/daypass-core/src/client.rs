//! Who may ask: tenants, clients and the keys they prove themselves with.

use crate::clock::Timestamp;
use crate::policy::Policy;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use uuid::Uuid;

/// The isolation boundary: everything else belongs to exactly one tenant.
#[derive(Clone, Debug, PartialEq)]
pub struct Tenant {
    /// Its name in configuration and records, `[a-z0-9-]{1,64}`.
    pub name: String,
    /// Entra's `tid`, and the tenant segment of its paths.
    pub guid: Uuid,
    /// Twelve digits: Tencent's uin and Alibaba's account id, from which every ARN is made.
    pub account: String,
    /// A policy that nothing issued in this tenant may exceed.
    pub boundary: Option<Policy>,
}

/// A party that may ask.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Client {
    /// Entra's `client_id`, and the client's id everywhere else.
    pub guid: Uuid,
    /// Entra's service principal: `oid` and `sub` of its tokens.
    pub object: Uuid,
    /// The name of the tenant it belongs to.
    pub tenant: String,
    /// A name for people, unique in the tenant.
    pub name: String,
    /// A disabled client is refused at its next request, and so is everything issued to it.
    pub enabled: bool,
    /// The role of a request that cannot name one, such as `GetFederationToken`.
    pub default_role: Option<String>,
    /// What it may ask for. A role that is not listed is refused.
    pub grants: Vec<Grant>,
    /// A policy that nothing issued to this client may exceed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boundary: Option<Policy>,
    /// Legacy proofs this client does not accept in its own name.
    #[serde(default)]
    pub refuses: Refuses,
    /// When it was added.
    pub created: Timestamp,
}

/// One thing a client may ask for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Grant {
    /// The role's name.
    pub role: String,
    /// The values each variable of the role may take; a variable that is not listed may take none. The single
    /// value `*` allows any value of the variable's type, and is a deliberate choice of the operator.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub bind: BTreeMap<String, Vec<String>>,
}

/// Weak but documented modes that work by default because vendors' own clients have nothing else, each of which
/// can be switched off for a client. All of them are marked in the record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Refuses {
    /// TC3 with `UNSIGNED-PAYLOAD`: whoever sees such a request can reuse its signature with another body.
    pub unsigned_payload: bool,
    /// TOP's `md5` and `hmac` (HMAC-MD5).
    pub md5: bool,
    /// Tencent's legacy signature in the parameters (`HmacSHA1`, `HmacSHA256`), whose text to sign is ambiguous.
    pub v1: bool,
}

impl Refuses {
    /// What either of two refuses.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            unsigned_payload: self.unsigned_payload || other.unsigned_payload,
            md5: self.md5 || other.md5,
            v1: self.v1 || other.v1,
        }
    }
}

/// What a key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyKind {
    /// An OAuth client secret; its id is a UUID.
    ClientSecret,
    /// A Tencent `SecretId` and `SecretKey`.
    Tencent,
    /// A TOP `app_key` and `app_secret`.
    Top,
    /// An Alibaba Cloud `AccessKeyId` and `AccessKeySecret`.
    AccessKey,
    /// What a backend signs one-time tickets with.
    Ticket,
}

impl KeyKind {
    /// Every kind, in the order the command line lists them.
    pub const ALL: &'static [Self] =
        &[Self::Tencent, Self::Top, Self::AccessKey, Self::ClientSecret, Self::Ticket];

    /// The name in the command line, in records and in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::ClientSecret => "client-secret",
            Self::Tencent => "tencent",
            Self::Top => "top",
            Self::AccessKey => "access-key",
            Self::Ticket => "ticket",
        }
    }
}

/// One of a client's keys. Two live ones of each kind are allowed, so that a rotation has no gap.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Key {
    /// What the client sends to name it (`SecretId`, `app_key`, `AccessKeyId`), unique in the whole store.
    pub id: String,
    /// The client it belongs to.
    pub client: Uuid,
    /// What it is for.
    pub kind: KeyKind,
    /// A disabled key is refused like one that does not exist.
    pub enabled: bool,
    /// When it was made.
    pub created: Timestamp,
    /// When it stops working, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
    /// The last four characters, so that people can tell two apart.
    pub hint: String,
    /// How the secret part is kept.
    pub material: Material,
}

impl Key {
    /// Whether it may be used at this time.
    pub fn live(&self, at: Timestamp) -> bool {
        self.enabled && self.expires.is_none_or(|end| at < end)
    }
}

/// How the secret part of a key is kept. Neither form can be used by someone who has only the database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Material {
    /// A keyed hash: enough to recognise a secret that is shown to us. Our secrets have 256 random bits, so a
    /// slow password hash would only be a way to burn our CPU.
    Hashed {
        /// The ring's pepper that keyed the hash.
        pepper: u32,
        /// HMAC-SHA-256, 32 bytes.
        hash: Vec<u8>,
    },
    /// Sealed, because a signature can only be checked with the key itself. Bound to table, row and column.
    Sealed(Vec<u8>),
}
