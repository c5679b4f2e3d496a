//! The status of what is refused. 401 and 403 are about whoever sent the request; all else is about the proxy, or about us.
//!
//! Proxies know three kinds of answers: 2xx lets through, 401 and 403 do not, and anything else is an error of ours, which
//! must let nothing through either.

use daypass_core::refusal::Reason;
use http::StatusCode;

/// What is wrong with a request that a proxy has asked about.
pub(super) fn of_request(reason: Reason) -> StatusCode {
    match reason {
        // No rule is about it, or it has more than one reading.
        Reason::Malformed
        | Reason::TooLarge
        | Reason::TooSlow
        | Reason::MethodNotAllowed
        | Reason::UnsupportedMediaType
        | Reason::DuplicateParameter
        | Reason::InvalidParameter
        | Reason::UnknownParameter
        | Reason::UnknownFormat
        | Reason::UnknownAction
        | Reason::UnknownVersion
        | Reason::UnsupportedGrant
        | Reason::InvalidTarget
        | Reason::NotYours
        | Reason::TemporaryNotAllowed
        | Reason::OriginNotAllowed
        | Reason::NotFetched
        | Reason::NoTrust
        | Reason::ExternalIdMismatch
        | Reason::RoleNotGranted
        | Reason::NoRole
        | Reason::InvalidScope
        | Reason::UnknownResource
        | Reason::VariableRefused
        | Reason::LifetimeTooLong
        | Reason::PolicyMalformed
        | Reason::PolicyInvalid
        | Reason::PolicyResource
        | Reason::PolicyTooLong
        | Reason::PolicyTooWide
        | Reason::CredentialTooLarge => StatusCode::FORBIDDEN,
        // It proves nobody.
        Reason::MissingProof
        | Reason::MalformedProof
        | Reason::SeveralProofs
        | Reason::UnknownTenant
        | Reason::UnknownClient
        | Reason::UnknownKey
        | Reason::WrongSignature
        | Reason::WrongSecret
        | Reason::ExpiredSecret
        | Reason::ClientDisabled
        | Reason::WeakProofRefused
        | Reason::ClockSkew
        | Reason::Replayed
        | Reason::WrongAudience
        | Reason::DpopInvalid
        | Reason::SubjectTokenInvalid
        | Reason::TokenInvalid
        | Reason::TokenExpired
        | Reason::TokenRevoked
        | Reason::UnknownSession
        | Reason::IdentityInvalid
        | Reason::TicketInvalid
        | Reason::TicketSpent
        | Reason::MfaUnsupported => StatusCode::UNAUTHORIZED,
        Reason::RateLimited
        | Reason::Frozen
        | Reason::IdentityUnavailable
        | Reason::UpstreamUnavailable
        | Reason::UpstreamRefused
        | Reason::Overloaded
        | Reason::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        // A header that the proxy's configuration lacks, or a bug of ours.
        Reason::MissingParameter | Reason::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// What is wrong with a question. Only what the sender of the request alone can have caused is his: what is too large.
///
/// Attack: with 401 for the proxy's own wrong secret, its clients would throw their good tokens away.
pub(super) fn of_question(reason: Reason) -> StatusCode {
    match of_request(reason) {
        StatusCode::SERVICE_UNAVAILABLE => StatusCode::SERVICE_UNAVAILABLE,
        StatusCode::FORBIDDEN if matches!(reason, Reason::Malformed | Reason::TooLarge | Reason::TooSlow) => {
            StatusCode::FORBIDDEN
        }
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use daypass_core::refusal::Kind;

    #[test]
    fn no_refusal_lets_anything_through() {
        for reason in Reason::ALL {
            for status in [of_request(*reason), of_question(*reason)] {
                assert!([401, 403, 500, 503].contains(&status.as_u16()), "{reason:?}");
                assert!(reason.kind() != Kind::Us || status.is_server_error(), "{reason:?}");
            }
        }
    }

    #[test]
    fn what_is_wrong_with_the_proxy_is_not_said_of_the_request() {
        for reason in Reason::ALL {
            assert_ne!(of_question(*reason), StatusCode::UNAUTHORIZED, "{reason:?}");
        }
        assert_eq!(of_question(Reason::WrongSecret), StatusCode::INTERNAL_SERVER_ERROR);
    }
}
