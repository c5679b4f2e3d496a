//! What is handed out.

use crate::caller::Confirmation;
use crate::clock::Timestamp;
use crate::endpoint::Product;
use crate::policy::Policy;
use crate::secret::Secret;
use crate::triple::Triple;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use uuid::Uuid;

/// A credential, fresh from its issuer.
pub enum Credential {
    /// A temporary id, secret and token.
    Triple(Triple),
    /// An access token.
    Bearer(Bearer),
}

/// An access token with what its record needs.
pub struct Bearer {
    /// As it is shown: a compact JWS, or whatever a cloud gave.
    pub token: Secret,
    /// Its unique id: `uti` in Entra's shape.
    pub id: Uuid,
    /// The key of ours that signed it; none for another's.
    pub kid: Option<String>,
}

/// Where a credential comes from that Daypass did not make itself. It is part of the record of its grant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Brokered {
    /// The issuer, by name.
    pub issuer: String,
    /// The root key that it was asked for with, by the cloud's id of it.
    pub key: String,
    /// When it came.
    pub obtained: Timestamp,
    /// The cloud's own id of the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
    /// It was not asked for on behalf of this request: it was kept from an earlier one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub kept: bool,
    /// Other subjects of the role have the same one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub shared: bool,
}

impl Credential {
    /// The id that records, cut-offs and the client's own logs use. It is no secret.
    pub fn id(&self) -> String {
        match self {
            Self::Triple(triple) => triple.id.clone(),
            Self::Bearer(bearer) => bearer.id.to_string(),
        }
    }

    /// The `kid` of the key that signed it, for an access token.
    pub fn kid(&self) -> Option<&str> {
        match self {
            Self::Triple(_) => None,
            Self::Bearer(bearer) => bearer.kid.as_deref(),
        }
    }
}

/// A credential with everything that an answer may say about it.
pub struct Granted {
    /// The credential.
    pub credential: Credential,
    /// When it was issued.
    pub issued: Timestamp,
    /// When it is handed out: later than it was issued, where a cloud made it for an earlier request.
    pub handed_out: Timestamp,
    /// When it runs out, to the second.
    pub expires: Timestamp,
    /// The account of the tenant: twelve digits.
    pub account: String,
    /// The role it was issued in.
    pub role: String,
    /// What it may be used for; an access token has none.
    pub policy: Option<Arc<Policy>>,
    /// The role's fixed answer fields.
    pub answer: BTreeMap<String, String>,
    /// The variables it was bound to.
    pub variables: BTreeMap<String, String>,
    /// TOP's words for what was asked.
    pub product: Option<Product>,
    /// The caller's own id of the request, to be echoed.
    pub correlation: Option<String>,
    /// The tenant, from which some vendors' ids are computed.
    pub tenant: Uuid,
    /// The session name, as the client gave it.
    pub session: Option<String>,
    /// Whom someone trusted said it is for.
    pub subject: Option<String>,
    /// Who stands behind the session, as the client said.
    pub source_identity: Option<String>,
    /// What it is bound to.
    pub confirmation: Option<Confirmation>,
    /// What it gives, where it was made in exchange for an access token: an answer to that must say so.
    pub exchanged: Option<Exchanged>,
    /// Where it comes from; none for what Daypass made itself.
    pub brokered: Option<Brokered>,
}

/// What an exchange has given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchanged {
    /// The OAuth resource, by the name that it was asked for; none for a temporary key.
    pub resource: Option<String>,
    /// The app roles on it.
    pub app_roles: Vec<String>,
}
