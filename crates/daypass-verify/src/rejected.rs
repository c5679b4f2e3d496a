//! Why a request is turned away, and how that is said (RFC 6750, section 3).

/// Why a token was not accepted. The text is for the caller as well: it tells nothing that the token's sender does not
/// know, and its characters need no escape in a header.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Rejected {
    /// There was no token. 401, and no error code (RFC 6750, section 3.1).
    #[error("no token was sent")]
    Missing,
    /// The header that carries the token cannot be read, or there are two of them. 400 `invalid_request`.
    #[error("the request is malformed: {0}")]
    Request(&'static str),
    /// It is no JWT in its one spelling, or a claim has not the form that it must have. 401 `invalid_token`, as all that
    /// follow but where another status is named.
    #[error("the token is malformed: {0}")]
    Malformed(&'static str),
    /// Its `alg` is `none`, symmetric, not among those allowed, or not that of the key that it names.
    #[error("the token is signed by an algorithm that is not accepted")]
    Algorithm,
    /// Its `typ` is neither `JWT` nor `at+jwt`: it was made for another use.
    #[error("the token is of another type than JWT or at+jwt")]
    Type,
    /// Its issuer publishes no such key.
    #[error("the token names a key that its issuer does not publish")]
    UnknownKey,
    /// The signature is not right.
    #[error("the signature of the token is wrong")]
    Signature,
    /// It is of another issuer.
    #[error("the token is of another issuer")]
    Issuer,
    /// It is for another audience.
    #[error("the token is for another audience")]
    Audience,
    /// It is of another tenant.
    #[error("the token is of another tenant")]
    Tenant,
    /// It has expired.
    #[error("the token has expired")]
    Expired,
    /// The issuer has taken it back since it was made.
    #[error("the token has been taken back")]
    Revoked,
    /// It is not valid yet: is the clock right?
    #[error("the token is not valid yet")]
    NotYet,
    /// It speaks for a user, and only applications may ask here.
    #[error("the token is not one of an application")]
    NotAnApplication,
    /// It is bound to a certificate or a key ([`Verifier::verify_bound`](crate::Verifier::verify_bound)), and came
    /// without. Attack: a bound token that is taken alone is as good as any to who stole it.
    #[error("the token is bound to its sender, and came without the proof")]
    Bound(
        /// What it is bound to.
        BoundTo,
    ),
    /// It is not bound to what it was to be verified with.
    #[error("the token is not bound to what the request shows")]
    NotBound(
        /// What it would have to be bound to.
        BoundTo,
    ),
    /// The DPoP proof is not right. 401 `invalid_dpop_proof` (RFC 9449, section 7.1).
    #[error("the DPoP proof is not accepted: {0}")]
    Proof(&'static str),
    /// The client is not one of those that may ask here. 403 `insufficient_scope`.
    #[error("the client may not ask here")]
    Client,
    /// A role is missing. 403 `insufficient_scope`.
    #[error("a role is missing")]
    Role(
        /// The role.
        String,
    ),
    /// A scope is missing. 403 `insufficient_scope`.
    #[error("a scope is missing")]
    Scope(
        /// The scope.
        String,
    ),
    /// The issuer's keys cannot be had, or too much is to be remembered: nothing can be said of the token. 503.
    #[error("tokens cannot be verified at the moment")]
    Unavailable(
        /// What went wrong, for the log of the API; it is no concern of the caller's.
        String,
    ),
}

/// What a token can be bound to (RFC 7800).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BoundTo {
    /// A certificate that the client shows in the TLS handshake (RFC 8705).
    Certificate,
    /// A key by which the client signs each request (RFC 9449).
    Key,
    /// Something that is not known here.
    Other,
}

impl Rejected {
    /// The HTTP status.
    pub fn status(&self) -> u16 {
        match self {
            Self::Request(_) => 400,
            Self::Client | Self::Role(_) | Self::Scope(_) => 403,
            Self::Unavailable(_) => 503,
            _ => 401,
        }
    }

    /// The value of `WWW-Authenticate`; none for a failure of our own. There is always one with a 401, as RFC 9110
    /// demands.
    pub fn challenge(&self) -> Option<String> {
        let code = match self {
            Self::Missing => return Some("Bearer".to_owned()),
            Self::Unavailable(_) => return None,
            Self::Request(_) => "invalid_request",
            Self::Client | Self::Role(_) | Self::Scope(_) => "insufficient_scope",
            Self::Proof(_) => "invalid_dpop_proof",
            _ => "invalid_token",
        };
        let scheme = match self {
            Self::Proof(_) | Self::Bound(BoundTo::Key) | Self::NotBound(BoundTo::Key) => {
                "DPoP algs=\"ES256 RS256 PS256 EdDSA\", "
            }
            _ => "Bearer ",
        };
        let scope = match self {
            Self::Role(name) | Self::Scope(name) if is_scope_token(name) => format!(", scope=\"{name}\""),
            _ => String::new(),
        };
        Some(format!("{scheme}error=\"{code}\", error_description=\"{self}\"{scope}"))
    }

    /// The reason for a log: what went wrong with us, or else what the caller is told.
    pub(crate) fn log(&self) -> String {
        match self {
            Self::Unavailable(why) => why.clone(),
            other => other.to_string(),
        }
    }

    /// A name for counters; it has no values in it.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Request(_) => "request",
            Self::Malformed(_) => "malformed",
            Self::Algorithm => "algorithm",
            Self::Type => "type",
            Self::UnknownKey => "unknown_key",
            Self::Signature => "signature",
            Self::Issuer => "issuer",
            Self::Audience => "audience",
            Self::Tenant => "tenant",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
            Self::NotYet => "not_yet",
            Self::NotAnApplication => "not_an_application",
            Self::Bound(_) => "bound",
            Self::NotBound(_) => "not_bound",
            Self::Proof(_) => "proof",
            Self::Client => "client",
            Self::Role(_) => "role",
            Self::Scope(_) => "scope",
            Self::Unavailable(_) => "unavailable",
        }
    }
}

/// Whether a name can stand in the attribute `scope` as it is (RFC 6749, section 3.3).
fn is_scope_token(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn all() -> Vec<(Rejected, u16, &'static str)> {
        use Rejected as R;
        vec![
            (R::Missing, 401, "Bearer"),
            (R::Request("x"), 400, "Bearer error=\"invalid_request\""),
            (R::Malformed("x"), 401, "Bearer error=\"invalid_token\""),
            (R::Algorithm, 401, "Bearer error=\"invalid_token\""),
            (R::Type, 401, "Bearer error=\"invalid_token\""),
            (R::UnknownKey, 401, "Bearer error=\"invalid_token\""),
            (R::Signature, 401, "Bearer error=\"invalid_token\""),
            (R::Issuer, 401, "Bearer error=\"invalid_token\""),
            (R::Audience, 401, "Bearer error=\"invalid_token\""),
            (R::Tenant, 401, "Bearer error=\"invalid_token\""),
            (R::Expired, 401, "Bearer error=\"invalid_token\""),
            (R::Revoked, 401, "Bearer error=\"invalid_token\""),
            (R::NotYet, 401, "Bearer error=\"invalid_token\""),
            (R::NotAnApplication, 401, "Bearer error=\"invalid_token\""),
            (R::Bound(BoundTo::Certificate), 401, "Bearer error=\"invalid_token\""),
            (
                R::NotBound(BoundTo::Key),
                401,
                "DPoP algs=\"ES256 RS256 PS256 EdDSA\", error=\"invalid_token\"",
            ),
            (R::Proof("x"), 401, "DPoP algs=\"ES256 RS256 PS256 EdDSA\", error=\"invalid_dpop_proof\""),
            (R::Client, 403, "Bearer error=\"insufficient_scope\""),
            (R::Role("a".to_owned()), 403, "Bearer error=\"insufficient_scope\""),
            (R::Scope("a".to_owned()), 403, "Bearer error=\"insufficient_scope\""),
            (R::Unavailable("x".to_owned()), 503, ""),
        ]
    }

    #[test]
    fn each_is_said_as_the_standard_says_it() {
        for (rejected, status, begins) in all() {
            assert_eq!(rejected.status(), status, "{rejected:?}");
            let challenge = rejected.challenge().unwrap_or_default();
            assert!(challenge.starts_with(begins), "{challenge}");
            assert_eq!(challenge.is_empty(), status == 503, "{rejected:?}");
            assert_eq!(challenge.matches('"').count() % 2, 0, "{challenge}");
            assert!(!challenge.contains('\\') && challenge.bytes().all(|byte| (0x20..0x7f).contains(&byte)));
        }
        assert_eq!(Rejected::Missing.challenge().as_deref(), Some("Bearer"), "no code where no token was");
        let labels: HashSet<_> = all().iter().map(|(rejected, ..)| rejected.label()).collect();
        assert_eq!(labels.len(), all().len());
    }

    #[test]
    fn a_missing_role_is_named_where_it_fits_into_the_header() {
        let challenge = |role: &str| Rejected::Role(role.to_owned()).challenge().unwrap();
        assert!(challenge("orders.read").ends_with(", scope=\"orders.read\""));
        for role in ["", "a b", "a\"", "a\\", "ü", "a\r\nSet-Cookie: x"] {
            assert!(!challenge(role).contains("scope=\""), "{role:?}");
        }
    }

    #[test]
    fn what_went_wrong_with_us_is_not_told_to_the_caller() {
        let rejected = Rejected::Unavailable("https://internal.example does not answer".to_owned());
        assert!(!rejected.to_string().contains("internal"));
    }
}
