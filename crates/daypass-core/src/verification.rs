//! A request that somebody else has received, shown to us: who signed it, and may they?
//!
//! An API that is not ours asks ([`Question`]). The request is judged by the rules of one that comes to us: the same
//! look-up of its key, the same work for a key that does not exist, the same weak modes, the same standing. Only the
//! replay rule is left out, because a question is not a use (decision 0024).

mod facts;
mod judgement;

use crate::caller::Confirmation;
use crate::client::{KeyKind, Tenant};
use crate::clock::Timestamp;
use crate::dialect::{Call, Claim, Shown};
use crate::policy::Language;
use crate::refusal::Refusal;
use crate::secret::{SigningKey, Witness};
use crate::triple::{Claims, SessionKind};
use std::fmt;
use std::sync::Arc;
use uuid::Uuid;

pub use facts::{Facts, Known};
pub use judgement::{Judgement, Why};

/// What is asked about a request.
#[derive(Clone, Debug, PartialEq)]
pub struct Question {
    /// What the request shows; or why it shows nothing that could be right.
    pub shown: Result<Foreign, Refusal>,
    /// What its sender wants to do.
    pub access: Option<Wanted>,
    /// What is known of it for the conditions of policies.
    pub facts: Facts,
}

impl Question {
    /// One by which no condition can be judged.
    pub fn new(shown: Result<Foreign, Refusal>, access: Option<Wanted>) -> Self {
        Self { shown, access, facts: Facts::default() }
    }
}

/// The proof of a request that was not sent to us.
#[derive(Clone, Debug, PartialEq)]
pub enum Foreign {
    /// It is signed.
    Signed(ForeignCall),
    /// It carries one of our access tokens.
    Token(Bearing),
}

/// An access token with what came along to show that its sender holds the key that it may be bound to.
#[derive(Clone, Debug, PartialEq)]
pub struct Bearing {
    /// The token.
    pub token: Shown,
    /// The proof of a key, where the token was sent as one that is bound to a key (RFC 9449, section 7.1).
    pub proof: Option<KeyProof>,
    /// The thumbprint of the certificate that the API's connection has shown, as `x5t#S256` writes it.
    pub certificate: Option<String>,
}

impl From<Shown> for Bearing {
    fn from(token: Shown) -> Self {
        Self { token, proof: None, certificate: None }
    }
}

/// A DPoP proof (RFC 9449) with the request that it must be about.
#[derive(Clone, Debug, PartialEq)]
pub struct KeyProof {
    /// The JWT.
    pub jwt: Shown,
    /// The method of the request.
    pub method: String,
    /// The URL of the request as its sender sees it, by the API's word.
    pub url: String,
}

/// A signed request that was not sent to us. Nothing about it is believed yet.
#[derive(Clone)]
pub struct ForeignCall(Arc<dyn Call>);

impl ForeignCall {
    /// One that was read.
    pub fn new(call: impl Call + 'static) -> Self {
        Self(Arc::new(call))
    }

    pub(crate) fn call(&self) -> &dyn Call {
        &*self.0
    }
}

/// A request may also have been sent to us, and be read like one that was not.
impl Call for ForeignCall {
    fn claim(&self) -> Claim<'_> {
        self.0.claim()
    }

    fn verify(&self, key: &SigningKey<'_>) -> Option<Witness> {
        self.0.verify(key)
    }
}

impl fmt::Debug for ForeignCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ForeignCall")
    }
}

impl PartialEq for ForeignCall {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

/// An action on a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// `service:Name` in the words of the policies; for an access token, the app role that it takes.
    pub action: String,
    /// The resource in the language of the policies; `*` for an action that has none.
    pub resource: String,
}

impl Wanted {
    /// The service, where the action has the form `service:Name` and names one action. A pattern is refused: it would be
    /// compared as a text, and allow what nobody meant.
    pub fn service(&self) -> Option<&str> {
        let action = self.action.strip_prefix("name/").unwrap_or(&self.action);
        let (service, name) = action.split_once(':')?;
        let plain = |text: &str| {
            !text.is_empty() && text.bytes().all(|c| c.is_ascii_alphanumeric() || b"-_.".contains(&c))
        };
        (plain(service) && plain(name)).then_some(service)
    }
}

/// What was found: who sent the request, or why that cannot be said.
pub type Verdict = Result<Box<Recognized>, Refusal>;

/// Who sent a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recognized {
    /// The tenant, by name.
    pub tenant: String,
    /// Its account.
    pub account: String,
    /// The client that the credential belongs to, or was issued to; none where an endpoint issued it to a visitor.
    pub client: Option<Uuid>,
    /// The id of the key, of the temporary credential, or of the access token.
    pub key: String,
    /// The role that a temporary credential was made in.
    pub role: Option<String>,
    /// The name of its session.
    pub session: Option<String>,
    /// Whom someone trusted said that it is for; for an access token, the client that it speaks for.
    pub subject: Option<String>,
    /// What was shown.
    pub kind: Kind,
    /// When it runs out; none for a key without an end.
    pub expires: Option<Timestamp>,
    /// The app roles of an access token.
    pub app_roles: Vec<String>,
    /// The weak mode that it was signed in, if it was.
    pub weak: Option<&'static str>,
    /// What an access token is bound to, which its sender has been shown to hold.
    pub bound: Option<Confirmation>,
    /// Whether what it wants is allowed, where that was asked.
    pub decision: Option<Judgement>,
}

/// What kind of credential was shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A client's own key.
    Permanent,
    /// A temporary credential.
    Temporary(SessionKind),
    /// An access token.
    AccessToken,
}

impl Kind {
    /// The name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Permanent => "permanent",
            Self::Temporary(SessionKind::Federated) => "federated",
            Self::Temporary(SessionKind::Assumed) => "assumed",
            Self::AccessToken => "access_token",
        }
    }
}

/// The language of the policies behind the keys of this kind, with what stands before a service's name in the audiences
/// of its API. None for keys that sign no request.
pub(crate) fn language_of(kind: KeyKind) -> Option<(Language, &'static str)> {
    match kind {
        KeyKind::Tencent => Some((Language::Cam, "cam:")),
        KeyKind::AccessKey | KeyKind::Top => Some((Language::Ram, "ram:")),
        KeyKind::ClientSecret
        | KeyKind::Ticket
        | KeyKind::PublicKey
        | KeyKind::Certificate
        | KeyKind::Federated => None,
    }
}

/// The service that an audience of an API names, such as `soe` in `cam:soe`; none for an OAuth resource.
pub fn service_of(audience: &str) -> Option<(Language, &str)> {
    let (prefix, service) = audience.split_once(':')?;
    let plain = !service.is_empty()
        && service.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-');
    match prefix {
        "cam" if plain => Some((Language::Cam, service)),
        "ram" if plain => Some((Language::Ram, service)),
        _ => None,
    }
}

impl Recognized {
    /// The holder of a temporary credential.
    pub(crate) fn temporary(tenant: &Tenant, claims: &Claims, id: &str) -> Self {
        Self {
            tenant: tenant.name.clone(),
            account: tenant.account.clone(),
            client: claims.client,
            key: id.to_owned(),
            role: Some(claims.role.clone()),
            session: claims.session.clone(),
            subject: claims.subject.clone(),
            kind: Kind::Temporary(claims.kind),
            expires: Some(claims.expires()),
            app_roles: Vec::new(),
            weak: None,
            bound: None,
            decision: None,
        }
    }

    /// A client, by a key of its own.
    pub(crate) fn permanent(tenant: &Tenant, client: Uuid, key: &str, expires: Option<Timestamp>) -> Self {
        Self {
            tenant: tenant.name.clone(),
            account: tenant.account.clone(),
            client: Some(client),
            key: key.to_owned(),
            role: None,
            session: None,
            subject: None,
            kind: Kind::Permanent,
            expires,
            app_roles: Vec::new(),
            weak: None,
            bound: None,
            decision: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_action_names_one_action_of_one_service() {
        for (action, service) in [
            ("soe:Init", Some("soe")),
            ("name/cos:PutObject", Some("cos")),
            ("oss:PutObject", Some("oss")),
            ("*", None),
            ("soe:*", None),
            ("soe:In?t", None),
            (":x", None),
            ("soe:", None),
            ("soe", None),
            ("a:b:c", None),
            ("so e:x", None),
        ] {
            let wanted = Wanted { action: action.into(), resource: "*".into() };
            assert_eq!(wanted.service(), service, "{action}");
        }
    }

    #[test]
    fn audiences_name_services_in_one_spelling() {
        assert_eq!(service_of("cam:soe"), Some((Language::Cam, "soe")));
        assert_eq!(service_of("ram:oss"), Some((Language::Ram, "oss")));
        for other in [
            "api://orders",
            "cam:",
            "cam:*",
            "cam:SOE",
            "ram:o/s",
            "soe",
            "d6b7c858-55fa-4d04-85a6-131af690abd4",
        ] {
            assert_eq!(service_of(other), None, "{other}");
        }
    }
}
