//! A request that somebody else has received, shown to us: who signed it, and may they?
//!
//! An API that is not ours asks ([`Question`]). The request is judged by the rules of one that comes to us: the same
//! look-up of its key, the same work for a key that does not exist, the same weak modes, the same standing. Only the
//! replay rule is left out, because a question is not a use (decision 0024).

use crate::client::{KeyKind, Tenant};
use crate::clock::Timestamp;
use crate::dialect::{Call, Shown};
use crate::policy::{Access, Condition, Decision, Language, Policy, Truth, decide};
use crate::refusal::Refusal;
use crate::triple::{Claims, SessionKind};
use std::fmt;
use std::sync::Arc;
use uuid::Uuid;

/// What is asked about a request.
#[derive(Clone, Debug, PartialEq)]
pub struct Question {
    /// What the request shows; or why it shows nothing that could be right.
    pub shown: Result<Foreign, Refusal>,
    /// What its sender wants to do.
    pub access: Option<Wanted>,
}

/// The proof of a request that was not sent to us.
#[derive(Clone, Debug, PartialEq)]
pub enum Foreign {
    /// It is signed.
    Signed(ForeignCall),
    /// It carries one of our access tokens.
    Token(Shown),
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

/// Whether something is allowed, and by what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// The number, from 0, of the statement of the credential's policy that decided.
    pub statement: Option<usize>,
    /// Why.
    pub why: Why,
}

/// Why something is allowed or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// A statement allows it, and none denies it.
    Allowed,
    /// The access token has the app role.
    AppRole,
    /// A statement denies it.
    Denied,
    /// No statement is about it.
    NoMatch,
    /// It would be allowed under a condition, and conditions are not judged from afar.
    Condition,
    /// The boundary of the client or of the tenant does not allow it now.
    Boundary,
    /// A client's own key has no policy: it is for asking Daypass, and for nothing else.
    PermanentKey,
    /// The access token does not have the app role.
    NoAppRole,
}

impl Why {
    /// Every one.
    pub const ALL: [Self; 8] = [
        Self::Allowed,
        Self::AppRole,
        Self::Denied,
        Self::NoMatch,
        Self::Condition,
        Self::Boundary,
        Self::PermanentKey,
        Self::NoAppRole,
    ];

    /// The name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Allowed => "statement_allows",
            Self::AppRole => "app_role",
            Self::Denied => "statement_denies",
            Self::NoMatch => "no_statement",
            Self::Condition => "condition_not_judged",
            Self::Boundary => "boundary",
            Self::PermanentKey => "permanent_key",
            Self::NoAppRole => "no_app_role",
        }
    }

    /// Whether it is a yes.
    pub fn allows(self) -> bool {
        matches!(self, Self::Allowed | Self::AppRole)
    }
}

impl Judgement {
    /// Whether it is allowed.
    pub fn allowed(self) -> bool {
        self.why.allows()
    }

    /// What a temporary credential may do: its own policy, under the boundaries as they are now.
    pub(crate) fn of_policy<'a>(
        policy: &Policy,
        boundaries: impl IntoIterator<Item = &'a Policy>,
        wanted: &Wanted,
    ) -> Self {
        let own = cautious(policy, wanted);
        let outside =
            |boundary: &Policy| boundary.language != policy.language || !cautious(boundary, wanted).allowed();
        if own.allowed() && boundaries.into_iter().any(outside) {
            return Self { statement: None, why: Why::Boundary };
        }
        own
    }

    /// What a client may do by its own key: nothing. It asks Daypass with it, and shows others what it gets.
    pub(crate) fn of_permanent_key() -> Self {
        Self { statement: None, why: Why::PermanentKey }
    }

    /// What an access token may do.
    pub(crate) fn of_app_roles(app_roles: &[String], wanted: &Wanted) -> Self {
        let has = app_roles.contains(&wanted.action);
        Self { statement: None, why: if has { Why::AppRole } else { Why::NoAppRole } }
    }
}

/// Decides without knowing whether any condition holds: what denies is taken to hold, what allows is not.
///
/// Attack: an API that does not say where a request came from must not thereby get around a condition on it.
fn cautious(policy: &Policy, wanted: &Wanted) -> Judgement {
    let action = match policy.language {
        // The prefix means nothing, and policies are read without it.
        Language::Cam => wanted.action.strip_prefix("name/").unwrap_or(&wanted.action),
        Language::Ram => &wanted.action,
    };
    let access = Access { action, resource: &wanted.resource };
    let certain: fn(&Condition) -> Truth = |_| Truth::Unknown;
    let hopeful: fn(&Condition) -> Truth = |_| Truth::True;
    match decide(policy, access, &certain) {
        Decision::Denied(deny) => Judgement { statement: Some(deny), why: Why::Denied },
        Decision::Allowed(allow) => Judgement { statement: Some(allow), why: Why::Allowed },
        Decision::NoMatch => match decide(policy, access, &hopeful) {
            Decision::Allowed(perhaps) => Judgement { statement: Some(perhaps), why: Why::Condition },
            _ => Judgement { statement: None, why: Why::NoMatch },
        },
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
            decision: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{Effect, Statement};
    use crate::testing::allow;

    fn wanted(action: &str) -> Wanted {
        Wanted { action: action.into(), resource: "*".into() }
    }

    fn conditional(mut statement: Statement, effect: Effect) -> Statement {
        statement.effect = effect;
        let values = vec!["10.0.0.0/8".into()];
        statement.conditions = vec![Condition { operator: "ip_equal".into(), key: "qcs:ip".into(), values }];
        statement
    }

    #[test]
    fn a_condition_never_opens_and_always_closes() {
        let plain = allow(Language::Cam, "soe:Init", "*");
        let none: [&Policy; 0] = [];
        let judged = |policy: &Policy| Judgement::of_policy(policy, none, &wanted("soe:Init"));
        assert_eq!(judged(&plain), Judgement { statement: Some(0), why: Why::Allowed });
        let one = plain.statements[0].clone();
        let perhaps = Policy { statements: vec![conditional(one.clone(), Effect::Allow)], ..plain.clone() };
        assert_eq!(judged(&perhaps), Judgement { statement: Some(0), why: Why::Condition });
        let denied =
            Policy { statements: vec![one.clone(), conditional(one, Effect::Deny)], ..plain.clone() };
        assert_eq!(judged(&denied), Judgement { statement: Some(1), why: Why::Denied });
        let other = Judgement::of_policy(&plain, none, &wanted("soe:Other"));
        assert_eq!(other, Judgement { statement: None, why: Why::NoMatch });
        assert!(Judgement::of_policy(&plain, none, &wanted("name/soe:Init")).allowed());
    }

    #[test]
    fn todays_boundary_bounds_what_was_issued_yesterday() {
        let policy = allow(Language::Cam, "soe:*", "*");
        let judged = |boundary: &Policy| Judgement::of_policy(&policy, [boundary], &wanted("soe:Init")).why;
        assert_eq!(judged(&allow(Language::Cam, "soe:Init", "*")), Why::Allowed);
        assert_eq!(judged(&allow(Language::Cam, "cos:*", "*")), Why::Boundary);
        assert_eq!(judged(&allow(Language::Ram, "soe:*", "*")), Why::Boundary, "never compared");
    }

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
            assert_eq!(wanted(action).service(), service, "{action}");
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

    #[test]
    fn names_on_the_wire_are_distinct() {
        let names: std::collections::BTreeSet<_> = Why::ALL.iter().map(|why| why.name()).collect();
        assert_eq!(names.len(), Why::ALL.len());
        assert_eq!(Why::ALL.iter().filter(|why| why.allows()).count(), 2);
    }
}
