//! What each refusal becomes.
//!
//! The metadata service whose shape this is documents one code, `Success`, and its readers compare with nothing else.
//! The others are Alibaba Cloud's common error codes, for people and their searches.

use daypass_core::refusal::Reason;
use http::StatusCode;

/// The status and the code of a reason.
pub(super) fn credentials(reason: Reason) -> (StatusCode, &'static str) {
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
        | Reason::InvalidScope
        | Reason::LifetimeTooLong
        | Reason::PolicyMalformed
        | Reason::PolicyInvalid
        | Reason::PolicyResource
        | Reason::PolicyTooLong
        | Reason::CredentialTooLarge
        | Reason::MfaUnsupported => (StatusCode::BAD_REQUEST, "InvalidParameter"),
        Reason::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "RequestTooLarge"),
        Reason::TooSlow => (StatusCode::REQUEST_TIMEOUT, "RequestTimeout"),
        Reason::MethodNotAllowed => (StatusCode::METHOD_NOT_ALLOWED, "UnsupportedHTTPMethod"),
        Reason::UnsupportedMediaType => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "UnsupportedContentType"),
        Reason::MissingProof
        | Reason::MalformedProof
        | Reason::SeveralProofs
        | Reason::UnknownTenant
        | Reason::UnknownClient
        | Reason::UnknownKey
        | Reason::WrongSignature
        | Reason::WrongSecret
        | Reason::ExpiredSecret
        | Reason::ClockSkew
        | Reason::Replayed
        | Reason::TokenInvalid
        | Reason::TokenExpired
        | Reason::TokenRevoked
        | Reason::UnknownSession
        | Reason::WrongAudience
        | Reason::DpopInvalid
        | Reason::SubjectTokenInvalid
        | Reason::IdentityInvalid
        | Reason::TicketInvalid
        | Reason::TicketSpent => (StatusCode::UNAUTHORIZED, "AuthenticationFail"),
        Reason::ClientDisabled
        | Reason::WeakProofRefused
        | Reason::TemporaryNotAllowed
        | Reason::OriginNotAllowed
        | Reason::NotFetched
        | Reason::NoTrust
        | Reason::NotYours
        | Reason::InvalidTarget
        | Reason::ExternalIdMismatch
        | Reason::RoleNotGranted
        | Reason::NoRole
        | Reason::UnknownResource
        | Reason::VariableRefused
        | Reason::PolicyTooWide => (StatusCode::FORBIDDEN, "NoPermission"),
        Reason::RateLimited => (StatusCode::TOO_MANY_REQUESTS, "Throttling"),
        Reason::Frozen
        | Reason::Overloaded
        | Reason::IdentityUnavailable
        | Reason::UpstreamUnavailable
        | Reason::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable"),
        Reason::UpstreamRefused | Reason::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "InternalError"),
    }
}
