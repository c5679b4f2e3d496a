//! What each refusal of a question becomes. That a request which was shown is not valid is an answer, and no refusal.

use daypass_core::refusal::Reason;
use http::StatusCode;

/// The status and the code of OAuth, where it has one for the case.
pub(crate) fn of(reason: Reason) -> (StatusCode, &'static str) {
    match reason {
        Reason::Malformed
        | Reason::MissingParameter
        | Reason::DuplicateParameter
        | Reason::InvalidParameter
        | Reason::UnknownParameter
        | Reason::UnknownFormat
        | Reason::UnknownAction
        | Reason::UnknownVersion
        | Reason::UnsupportedGrant
        | Reason::SeveralProofs
        | Reason::UnknownTenant
        | Reason::DpopInvalid
        | Reason::SubjectTokenInvalid
        | Reason::InvalidTarget
        | Reason::MfaUnsupported
        | Reason::InvalidScope
        | Reason::UnknownResource
        | Reason::VariableRefused
        | Reason::LifetimeTooLong
        | Reason::PolicyMalformed
        | Reason::PolicyInvalid
        | Reason::PolicyResource
        | Reason::PolicyTooLong
        | Reason::PolicyTooWide
        | Reason::CredentialTooLarge => (StatusCode::BAD_REQUEST, "invalid_request"),
        Reason::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "invalid_request"),
        Reason::TooSlow => (StatusCode::REQUEST_TIMEOUT, "invalid_request"),
        Reason::MethodNotAllowed => (StatusCode::METHOD_NOT_ALLOWED, "invalid_request"),
        Reason::UnsupportedMediaType => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "invalid_request"),
        Reason::MissingProof
        | Reason::MalformedProof
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
        | Reason::TokenInvalid
        | Reason::TokenExpired
        | Reason::TokenRevoked
        | Reason::UnknownSession
        | Reason::IdentityInvalid
        | Reason::TicketInvalid
        | Reason::TicketSpent => (StatusCode::UNAUTHORIZED, "invalid_client"),
        Reason::NotYours
        | Reason::TemporaryNotAllowed
        | Reason::OriginNotAllowed
        | Reason::NotFetched
        | Reason::NoTrust
        | Reason::ExternalIdMismatch
        | Reason::RoleNotGranted
        | Reason::NoRole => (StatusCode::FORBIDDEN, "access_denied"),
        Reason::RateLimited => (StatusCode::TOO_MANY_REQUESTS, "temporarily_unavailable"),
        Reason::IdentityUnavailable
        | Reason::Overloaded
        | Reason::UpstreamUnavailable
        | Reason::Unavailable
        | Reason::Frozen => (StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable"),
        Reason::UpstreamRefused | Reason::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "server_error"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn no_refusal_looks_like_an_answer() {
        let mut counts: BTreeMap<u16, usize> = BTreeMap::new();
        for reason in Reason::ALL {
            let (status, _) = of(*reason);
            assert!(status.is_client_error() || status.is_server_error(), "{reason:?}");
            *counts.entry(status.as_u16()).or_default() += 1;
        }
        assert_eq!(counts.get(&401), Some(&19));
        assert_eq!(counts.get(&403), Some(&8));
    }
}
