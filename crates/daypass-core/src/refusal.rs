//! Why a request is not answered with what it asked for.
//!
//! One closed list of reasons serves every dialect. Each dialect maps it in one exhaustive `match` in its
//! `fault.rs`, so that a new reason does not compile until every vendor's answer to it has been decided.

use std::borrow::Cow;

/// Who can mend it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The caller: ask differently.
    Caller,
    /// The operator's policy: ask someone else, or for less.
    Policy,
    /// Daypass: ask again later.
    Us,
}

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident $kind:ident $label:literal,)*) => {
        /// The closed list. The label is stable: metrics, records and `--json` output use it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Reason { $($(#[$doc])* $name,)* }

        impl Reason {
            /// Every reason, for tables and tests.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// Who can mend it.
            pub fn kind(self) -> Kind {
                match self { $(Self::$name => Kind::$kind,)* }
            }

            /// A stable machine-readable name in `snake_case`.
            pub fn label(self) -> &'static str {
                match self { $(Self::$name => $label,)* }
            }
        }
    };
}

reasons! {
    /// The request cannot be parsed: bad escapes, bad UTF-8, broken JSON where the vendor expects JSON.
    Malformed Caller "malformed",
    /// A size of [`crate::limits`] was passed.
    TooLarge Caller "too_large",
    /// The body did not arrive in time.
    TooSlow Caller "too_slow",
    /// The vendor's protocol does not know this method here.
    MethodNotAllowed Caller "method_not_allowed",
    /// The body is not of a type the vendor's protocol knows.
    UnsupportedMediaType Caller "unsupported_media_type",
    /// A parameter that must be there is missing or empty; `parameter` names it.
    MissingParameter Caller "missing_parameter",
    /// A parameter came twice, or once in the query and differently in the body.
    DuplicateParameter Caller "duplicate_parameter",
    /// A parameter has a value that the vendor's protocol does not allow.
    InvalidParameter Caller "invalid_parameter",
    /// A parameter that the action does not have.
    UnknownParameter Caller "unknown_parameter",
    /// The answer format asked for does not exist.
    UnknownFormat Caller "unknown_format",
    /// No such action or method name.
    UnknownAction Caller "unknown_action",
    /// No such API version.
    UnknownVersion Caller "unknown_version",
    /// An OAuth grant type other than `client_credentials`.
    UnsupportedGrant Caller "unsupported_grant",
    /// Nothing that proves who asks.
    MissingProof Caller "missing_proof",
    /// The proof is there but has not the vendor's form.
    MalformedProof Caller "malformed_proof",
    /// More than one way of proving oneself in one request.
    SeveralProofs Caller "several_proofs",
    /// The tenant in the path does not exist.
    UnknownTenant Caller "unknown_tenant",
    /// The client does not exist (OAuth).
    UnknownClient Caller "unknown_client",
    /// The key id does not exist, is of another kind, or is disabled.
    UnknownKey Caller "unknown_key",
    /// The signature is not the one this key makes over this request.
    WrongSignature Caller "wrong_signature",
    /// The client secret is wrong.
    WrongSecret Caller "wrong_secret",
    /// The client secret was right once and has run out.
    ExpiredSecret Caller "expired_secret",
    /// The client has been disabled.
    ClientDisabled Policy "client_disabled",
    /// The caller uses a signature or payload mode that is switched off for it.
    WeakProofRefused Policy "weak_proof_refused",
    /// The request's time is too far from ours.
    ClockSkew Caller "clock_skew",
    /// These signed bytes were already used.
    Replayed Caller "replayed",
    /// An assertion of a client is meant for another service.
    WrongAudience Caller "wrong_audience",
    /// A DPoP proof is missing something, was used before, or is of another key than the token.
    DpopInvalid Caller "dpop_invalid",
    /// The token that was shown to be exchanged is not ours, does not count any more, or was not made for this client.
    SubjectTokenInvalid Caller "subject_token_invalid",
    /// What an exchange should give does not exist, or goes beyond what the token that was shown gives.
    InvalidTarget Policy "invalid_target",
    /// A token of another client was to be taken back.
    NotYours Policy "not_yours",
    /// The temporary credential's token is not authentic or not of this id.
    TokenInvalid Caller "token_invalid",
    /// The temporary credential has run out.
    TokenExpired Caller "token_expired",
    /// The temporary credential, or what it was issued from, has been taken back.
    TokenRevoked Caller "token_revoked",
    /// The application does not know the session.
    UnknownSession Caller "unknown_session",
    /// A JWT of an outside provider is not authentic, not for us, or has run out.
    IdentityInvalid Caller "identity_invalid",
    /// A ticket is not authentic, not for this endpoint or origin, or has run out.
    TicketInvalid Caller "ticket_invalid",
    /// A ticket that was used before is shown again.
    TicketSpent Caller "ticket_spent",
    /// A temporary credential was used to ask for another one.
    TemporaryNotAllowed Policy "temporary_not_allowed",
    /// A browser came from an origin that is not listed.
    OriginNotAllowed Policy "origin_not_allowed",
    /// The browser says that the request is no fetch of a script: a navigation, an image, a frame.
    NotFetched Policy "not_fetched",
    /// The role does not trust this subject of an outside provider, or does not exist.
    NoTrust Policy "no_trust",
    /// The role wants an `ExternalId`, and this is not it.
    ExternalIdMismatch Policy "external_id_mismatch",
    /// A code of an MFA device was sent, and there are none here.
    MfaUnsupported Caller "mfa_unsupported",
    /// The role asked for does not exist, or the client may not have it. The two are told apart to nobody.
    RoleNotGranted Policy "role_not_granted",
    /// The client has no default role and named none.
    NoRole Policy "no_role",
    /// The scope has not the form `{resource}/.default`.
    InvalidScope Caller "invalid_scope",
    /// The resource of the scope does not exist in this tenant, or the client has no grant on it.
    UnknownResource Policy "unknown_resource",
    /// A variable's value is not of its type, or not among the client's own.
    VariableRefused Policy "variable_refused",
    /// The lifetime asked for is longer than the role allows.
    LifetimeTooLong Policy "lifetime_too_long",
    /// The policy document cannot be parsed.
    PolicyMalformed Caller "policy_malformed",
    /// The policy document says something its language or our model does not know.
    PolicyInvalid Caller "policy_invalid",
    /// A resource of the policy has not the six segments of its language.
    PolicyResource Caller "policy_resource",
    /// The policy document is longer than the vendor allows.
    PolicyTooLong Caller "policy_too_long",
    /// The policy asks for more than the role gives.
    PolicyTooWide Policy "policy_too_wide",
    /// The credential would be longer than the vendor's clients accept.
    CredentialTooLarge Caller "credential_too_large",
    /// A ration or quota is used up.
    RateLimited Policy "rate_limited",
    /// An operator has stopped that anything is issued here, for now.
    Frozen Policy "frozen",
    /// Whoever knows the caller does not answer: the application, or an outside provider.
    IdentityUnavailable Us "identity_unavailable",
    /// The cloud that makes the credential does not answer, not in time, or not in a way that can be believed.
    UpstreamUnavailable Us "upstream_unavailable",
    /// The cloud that makes the credential refuses our root key, or what we ask it for. An operator must look at it.
    UpstreamRefused Us "upstream_refused",
    /// More is asked than can be answered in time, so this is not even looked at.
    Overloaded Us "overloaded",
    /// The store cannot take a record now, so nothing may be handed out.
    Unavailable Us "unavailable",
    /// A bug or a broken configuration; details are in the log under the request id.
    Internal Us "internal",
}

/// A refusal: the reason, and what the caller may be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Which of the closed list.
    pub reason: Reason,
    /// What was wrong and what to do, safe to show: never a secret, a computed signature or a stranger's id.
    /// Only characters an OAuth `error_description` may hold (no quote, backslash or line break).
    pub detail: Cow<'static, str>,
    /// The parameter it is about, by its name on the wire, where there is one.
    pub parameter: Option<Cow<'static, str>>,
    /// Seconds after which asking again makes sense.
    pub retry_after: Option<u32>,
    /// For operators only: logged with the request id, shown to nobody.
    pub cause: Option<String>,
}

impl Refusal {
    /// A refusal with its public sentence.
    pub fn new(reason: Reason, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { reason, detail: clean(detail.into()), parameter: None, retry_after: None, cause: None }
    }

    /// Names the parameter it is about.
    #[must_use]
    pub fn parameter(mut self, name: impl Into<Cow<'static, str>>) -> Self {
        self.parameter = Some(clean(name.into()));
        self
    }

    /// Says when to ask again.
    #[must_use]
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// Adds what only the log may know.
    #[must_use]
    pub fn because(mut self, cause: impl std::fmt::Display) -> Self {
        self.cause = Some(cause.to_string());
        self
    }

    /// A parameter that is missing or empty.
    pub fn missing(name: impl Into<Cow<'static, str>>) -> Self {
        let name = name.into();
        Self::new(Reason::MissingParameter, format!("the parameter {name} is required")).parameter(name)
    }

    /// A bug of ours; `cause` goes to the log alone.
    pub fn internal(cause: impl std::fmt::Display) -> Self {
        Self::new(
            Reason::Internal,
            "something went wrong here; the request id finds it in the log of the service",
        )
        .because(cause)
    }

    /// There is too much to do to look at this one.
    pub fn overloaded(retry_after: u32) -> Self {
        Self::new(
            Reason::Overloaded,
            "more is asked here than can be answered now, so this request was not looked at; ask again soon",
        )
        .retry_after(retry_after)
    }

    /// The store did not take the record.
    pub fn unavailable(cause: impl std::fmt::Display) -> Self {
        Self::new(
            Reason::Unavailable,
            "no record can be written now, so nothing is handed out; ask again soon",
        )
        .retry_after(1)
        .because(cause)
    }
}

impl std::fmt::Display for Refusal {
    /// The public sentence alone.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.detail)
    }
}

/// Keeps what every dialect can carry unescaped. Caller text reaches a detail only after its own check, but a
/// quote or a line break that slipped through would break the JSON of clients that borrow the text, or forge a
/// second log line.
fn clean(text: Cow<'static, str>) -> Cow<'static, str> {
    let fine = |c: char| c != '"' && c != '\\' && !c.is_control();
    if text.chars().all(fine) { text } else { text.chars().filter(|c| fine(*c)).collect::<String>().into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn labels_are_distinct_snake_case() {
        let labels: HashSet<_> = Reason::ALL.iter().map(|r| r.label()).collect();
        assert_eq!(labels.len(), Reason::ALL.len());
        assert!(labels.iter().all(|l| l.chars().all(|c| c.is_ascii_lowercase() || c == '_')));
    }

    #[test]
    fn a_detail_never_carries_a_quote_or_a_second_line() {
        let refusal = Refusal::new(Reason::Malformed, "a\"b\\c\r\nd").parameter("x\n");
        assert_eq!(refusal.detail, "abcd");
        assert_eq!(refusal.parameter.as_deref(), Some("x"));
    }
}
