//! What is handed out.

use crate::caller::Confirmation;
use crate::clock::Timestamp;
use crate::endpoint::Product;
use crate::policy::Policy;
use crate::secret::Secret;
use crate::triple::Triple;
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
    /// The compact JWS.
    pub token: Secret,
    /// Its unique id: `uti` in Entra's shape.
    pub id: Uuid,
    /// The key that signed it.
    pub kid: String,
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
            Self::Bearer(bearer) => Some(&bearer.kid),
        }
    }
}

/// A credential with everything that an answer may say about it.
pub struct Granted {
    /// The credential.
    pub credential: Credential,
    /// When it was issued.
    pub issued: Timestamp,
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
}

/// What an exchange has given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchanged {
    /// The OAuth resource, by the name that it was asked for; none for a temporary key.
    pub resource: Option<String>,
    /// The app roles on it.
    pub app_roles: Vec<String>,
}
