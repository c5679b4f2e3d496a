//! Who may ask: tenants, clients and the keys they prove themselves with.

use crate::clock::Timestamp;
use crate::dialect::Weak;
use crate::policy::Policy;
use crate::quota::{Bounds, Limit};
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
    /// A boundary that is tried before it counts: what it would cut is said and not cut.
    pub boundary_warn: Option<Policy>,
    /// How much may be asked for and made in it.
    pub limits: Bounds,
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
    /// The OAuth resources that it is the API of: it may ask about tokens that were made for them, and exchange them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub audiences: Vec<String>,
    /// A policy that nothing issued to this client may exceed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boundary: Option<Policy>,
    /// A boundary that is tried before it counts: what it would cut is said and not cut.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boundary_warn: Option<Policy>,
    /// How much it may ask for and get, in place of what the configuration says of clients.
    #[serde(default, skip_serializing_if = "Limit::is_none")]
    pub limit: Limit,
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
    /// The longest that a credential of this grant lives, in seconds; none for what the role says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifetime: Option<u32>,
}

impl Grant {
    /// A grant of a role without variables.
    pub fn of(role: impl Into<String>) -> Self {
        Self { role: role.into(), bind: BTreeMap::new(), lifetime: None }
    }
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
    /// Tencent's legacy signature in the parameters (`HmacSHA1`, `HmacSHA256`), whose text to sign is ambiguous, and the
    /// one like it in the address of a web socket.
    pub v1: bool,
}

impl Refuses {
    /// Whether a proof in this mode is refused.
    pub fn refuses(self, weak: Weak) -> bool {
        match weak {
            Weak::UnsignedPayload => self.unsigned_payload,
            Weak::Md5 | Weak::HmacMd5 => self.md5,
            Weak::LegacyHmacSha1 | Weak::LegacyHmacSha256 | Weak::SoeHmacSha1 => self.v1,
        }
    }

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
    /// The public half of what an OAuth client signs its assertions with (`private_key_jwt`); its id is a UUID.
    PublicKey,
    /// The certificate that an OAuth client shows in the TLS handshake (RFC 8705); its id is a UUID.
    Certificate,
    /// A subject of an outside provider whose JWT is the client's proof, so that nothing secret is stored; its id is a
    /// UUID.
    Federated,
}

impl KeyKind {
    /// Every kind, in the order the command line lists them.
    pub const ALL: &'static [Self] = &[
        Self::Tencent,
        Self::Top,
        Self::AccessKey,
        Self::ClientSecret,
        Self::Ticket,
        Self::PublicKey,
        Self::Certificate,
        Self::Federated,
    ];

    /// The name in the command line, in records and in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::ClientSecret => "client-secret",
            Self::Tencent => "tencent",
            Self::Top => "top",
            Self::AccessKey => "access-key",
            Self::Ticket => "ticket",
            Self::PublicKey => "public-key",
            Self::Certificate => "certificate",
            Self::Federated => "federated",
        }
    }

    /// Whether an OAuth client proves itself with it.
    pub fn is_oauth(self) -> bool {
        matches!(self, Self::ClientSecret | Self::PublicKey | Self::Certificate | Self::Federated)
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
    /// When it begins to work; none for at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub starts: Option<Timestamp>,
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
        self.enabled && self.has_started(at) && !self.has_ended(at)
    }

    /// Whether it may be used at this time or at a later one.
    pub fn lasts(&self, at: Timestamp) -> bool {
        self.enabled && !self.has_ended(at)
    }

    /// Whether its time has begun.
    pub fn has_started(&self, at: Timestamp) -> bool {
        self.starts.is_none_or(|start| start <= at)
    }

    /// Whether its time is over.
    pub fn has_ended(&self, at: Timestamp) -> bool {
        self.expires.is_some_and(|end| end <= at)
    }

    /// Whether the other is this key in the same state. How the secret part is kept does not count: it is sealed and hashed anew
    /// behind everyone's back, and no operator has decided on that.
    pub fn is_as(&self, other: &Self) -> bool {
        let Self { id, client, kind, enabled, created, starts, expires, hint, material: _ } = self;
        (id, client, kind, enabled) == (&other.id, &other.client, &other.kind, &other.enabled)
            && (created, starts, expires, hint)
                == (&other.created, &other.starts, &other.expires, &other.hint)
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
    /// A public key, which is no secret.
    Public(PublicKey),
    /// What a certificate must be.
    Certificate(CertificateRule),
    /// Who an outside provider must say it is.
    Federated {
        /// The provider, by its name in the configuration of the tenant.
        provider: String,
        /// The subject; `*` stands for any text.
        subject: String,
    },
}

/// The public key of a client's assertions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublicKey {
    /// The key as a JWK. Its `kid` is what an assertion may name it by, beside the thumbprint of RFC 7638.
    pub jwk: serde_json::Value,
    /// SHA-1 of the certificate that it came in, as base64url without padding: the name that Microsoft's older clients
    /// give it. A name and no proof.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub x5t: Option<String>,
    /// SHA-256 of that certificate, as base64url without padding.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub x5t_s256: Option<String>,
}

/// How a client's TLS certificate is known (RFC 8705).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CertificateRule {
    /// It is this very one, whoever signed it: `self_signed_tls_client_auth`.
    Pinned {
        /// SHA-256 of its DER form, as base64url without padding.
        x5t_s256: String,
    },
    /// A configured authority vouches for it, and it bears this name: `tls_client_auth`.
    Named(NameRule),
}

/// The one name that a certificate must bear (RFC 8705 §2.1.2). Names are compared as they are written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NameRule {
    /// The distinguished name of the subject, in the form of RFC 4514.
    SubjectDn(String),
    /// A DNS name among the alternative names.
    SanDns(String),
    /// A URI among them.
    SanUri(String),
    /// An IP address among them.
    SanIp(String),
    /// An e-mail address among them.
    SanEmail(String),
}
