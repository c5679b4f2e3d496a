//! Our own access tokens, shown to us again: what they say, and whether they still count.

use crate::caller::Confirmation;
use crate::clock::Timestamp;
use crate::standing::Fallen;
use serde_json::{Map, Value};
use uuid::Uuid;

/// What one of our access tokens says, in the words of this crate. Its signature was found right and its time has not
/// ended; whether it still counts is another question.
#[derive(Clone, Debug, PartialEq)]
pub struct OwnToken {
    /// Its id: `uti` or `jti`.
    pub id: Uuid,
    /// The tenant, by name.
    pub tenant: String,
    /// The client that asked for it.
    pub client: Uuid,
    /// The client that it speaks for, where that is another: it was exchanged for a token of that one.
    pub subject: Option<Uuid>,
    /// What the key is recognised by that it was asked for with: [`crate::standing::key_print`].
    pub key: Option<String>,
    /// The token that it was exchanged for.
    pub origin: Option<Uuid>,
    /// The tokens that that one had come from by earlier exchanges, the latest first.
    pub earlier: Vec<Uuid>,
    /// What the keys are recognised by that all of those were asked for with: it falls with them as well.
    pub origin_keys: Vec<String>,
    /// The OAuth resource, by the name that its roles have for it.
    pub audience: String,
    /// Its app roles.
    pub app_roles: Vec<String>,
    /// When it was made, to the second.
    pub issued: Timestamp,
    /// When it runs out.
    pub expires: Timestamp,
    /// What it is bound to.
    pub confirmation: Option<Confirmation>,
    /// Who acts in it, where that is not whom it speaks for: the claim `act` (RFC 8693 §4.1).
    pub actor: Option<Value>,
}

/// A live access token, for whoever may know about it.
#[derive(Clone, Debug, PartialEq)]
pub struct Inspection {
    /// What it says, in the words of this crate.
    pub token: OwnToken,
    /// Its claims, as they were signed.
    pub claims: Map<String, Value>,
}

/// Why a token that was shown to us does not count.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotLive {
    /// It is none that we have made, or none that this tenant has.
    #[error("it is no token of this tenant; expected was {0}")]
    NotOurs(&'static str),
    /// It counts only from a later time on.
    #[error("its time has not begun")]
    NotYet,
    /// It counted once.
    #[error("{0}")]
    Fallen(#[from] Fallen),
}

/// For whom a client asks in exchange for that one's access token.
#[derive(Clone, Debug, PartialEq)]
pub struct Behalf {
    /// The client that the token speaks for.
    pub client: Uuid,
    /// Its object id: `sub` and `oid` of what is made.
    pub object: Uuid,
    /// The token that was shown, with which whatever is made falls.
    pub origin: Uuid,
    /// The tokens that that one had come from by earlier exchanges, the latest first: it falls with those as well.
    pub earlier: Vec<Uuid>,
    /// What the keys are recognised by that all of those were asked for with: it falls with them as well.
    pub origin_keys: Vec<String>,
    /// The claim `act` of what is made; none where the client asks for itself.
    pub actor: Option<Value>,
}
