//! What each refusal becomes: one exhaustive `match` for the STS API, one for `getAuthorization`.
//!
//! The codes are the vendor's, odd spellings included (`Avaliable`, `Resouce`): clients compare with them. Where
//! the vendor has no code for a reason, the nearest one of the same action stands, and the message tells more.

use super::wire::Action;
use daypass_core::refusal::{Reason, Refusal};
use http::StatusCode;

/// The code of a refusal by the STS API, for the action asked for, where that much is known. The status is always
/// 200: given another one, every official SDK loses the code and the message.
pub fn sts(action: Option<Action>, reason: Reason) -> &'static str {
    let federation = action == Some(Action::GetFederationToken);
    match reason {
        Reason::Malformed
        | Reason::DuplicateParameter
        | Reason::InvalidParameter
        | Reason::UnknownFormat
        | Reason::UnsupportedGrant
        | Reason::InvalidScope
        | Reason::UnknownResource
        | Reason::VariableRefused => {
            if federation {
                "InvalidParameter.ParamError"
            } else {
                "InvalidParameter"
            }
        }
        Reason::TooLarge => "RequestSizeLimitExceeded",
        Reason::TooSlow | Reason::UnsupportedMediaType => "InvalidRequest",
        Reason::MethodNotAllowed => "UnsupportedProtocol",
        Reason::MissingParameter => "MissingParameter",
        Reason::UnknownParameter => "UnknownParameter",
        Reason::UnknownAction => {
            if action == Some(Action::NotOffered) {
                "UnsupportedOperation"
            } else {
                "InvalidAction"
            }
        }
        Reason::UnknownVersion => "NoSuchVersion",
        Reason::MissingProof | Reason::MalformedProof | Reason::SeveralProofs => {
            "AuthFailure.InvalidAuthorization"
        }
        Reason::UnknownTenant | Reason::UnknownClient | Reason::UnknownKey => "AuthFailure.SecretIdNotFound",
        Reason::WrongSignature | Reason::WrongSecret | Reason::ExpiredSecret => {
            "AuthFailure.SignatureFailure"
        }
        // A used signature and a late one are mended alike: sign again with the present time.
        Reason::ClockSkew | Reason::Replayed => "AuthFailure.SignatureExpire",
        Reason::TokenInvalid | Reason::TokenExpired | Reason::TokenRevoked => "AuthFailure.TokenFailure",
        Reason::ClientDisabled | Reason::WeakProofRefused => "AuthFailure.UnauthorizedOperation",
        // The vendor lists this code for another action of STS; no other says what is wrong.
        Reason::TemporaryNotAllowed => "FailedOperation.TempKeyNotAllowed",
        Reason::OriginNotAllowed => "UnauthorizedOperation",
        Reason::RoleNotGranted | Reason::NoRole => {
            if federation {
                "ResourceNotFound.RoleNotFound"
            } else {
                "UnauthorizedOperation"
            }
        }
        Reason::LifetimeTooLong => "InvalidParameter.OverTimeError",
        Reason::PolicyMalformed => "InvalidParameter.StrategyFormatError",
        Reason::PolicyInvalid => "InvalidParameter.StrategyInvalid",
        Reason::PolicyResource => "InvalidParameter.ResouceError",
        Reason::PolicyTooLong => "InvalidParameter.PolicyTooLong",
        Reason::PolicyTooWide => "InvalidParameter.GrantOtherResource",
        Reason::CredentialTooLarge => "InvalidParameter.ExtendStrategyOverSize",
        Reason::RateLimited => "RequestLimitExceeded",
        Reason::Unavailable => "ServiceUnavailable",
        Reason::Internal => {
            if federation {
                "InternalError.SystemError"
            } else {
                "InternalError"
            }
        }
    }
}

/// The status and code of a refusal by `getAuthorization`. Its callers are pages, whose HTTP libraries tell
/// success from failure by the status alone.
pub fn get_authorization(reason: Reason) -> (StatusCode, &'static str) {
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
        | Reason::CredentialTooLarge => (StatusCode::BAD_REQUEST, "InvalidParameter"),
        Reason::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "RequestSizeLimitExceeded"),
        Reason::TooSlow => (StatusCode::REQUEST_TIMEOUT, "InvalidRequest"),
        Reason::MethodNotAllowed => (StatusCode::METHOD_NOT_ALLOWED, "UnsupportedProtocol"),
        Reason::UnsupportedMediaType => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "InvalidRequest"),
        Reason::MissingProof
        | Reason::MalformedProof
        | Reason::SeveralProofs
        | Reason::UnknownTenant
        | Reason::UnknownClient
        | Reason::UnknownKey
        | Reason::WrongSignature
        | Reason::WrongSecret
        | Reason::ExpiredSecret => (StatusCode::UNAUTHORIZED, "AuthFailure"),
        Reason::ClockSkew | Reason::Replayed => (StatusCode::UNAUTHORIZED, "AuthFailure.SignatureExpire"),
        Reason::TokenInvalid | Reason::TokenExpired | Reason::TokenRevoked => {
            (StatusCode::UNAUTHORIZED, "AuthFailure.TokenFailure")
        }
        Reason::ClientDisabled
        | Reason::WeakProofRefused
        | Reason::TemporaryNotAllowed
        | Reason::OriginNotAllowed
        | Reason::RoleNotGranted
        | Reason::NoRole
        | Reason::UnknownResource
        | Reason::VariableRefused
        | Reason::PolicyTooWide => (StatusCode::FORBIDDEN, "UnauthorizedOperation"),
        Reason::RateLimited => (StatusCode::TOO_MANY_REQUESTS, "RequestLimitExceeded"),
        Reason::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable"),
        Reason::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "InternalError"),
    }
}

/// The sentence for people: what the vendor would say, in our words, where its users search for it, then what was
/// found here and what to do.
pub(super) fn message(refusal: &Refusal) -> String {
    let gist = match refusal.reason {
        Reason::UnknownKey => "the SecretId is not found",
        Reason::WrongSignature => "the provided credentials could not be validated",
        Reason::ClockSkew => "the signature has expired",
        Reason::TokenInvalid | Reason::TokenExpired | Reason::TokenRevoked => "token verification failed",
        Reason::PolicyTooWide => "cannot grant other resource",
        Reason::PolicyResource => "resource error",
        _ => return refusal.detail.to_string(),
    };
    format!("{gist}: {}", refusal.detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_its_place() {
        let rows = Reason::ALL.iter().map(|reason| {
            let (status, code) = get_authorization(*reason);
            let federation = sts(Some(Action::GetFederationToken), *reason);
            let other = sts(Some(Action::GetCallerIdentity), *reason);
            let other = if other == federation { "" } else { other };
            format!("{:22} {} {:27} {federation} {other}", reason.label(), status.as_u16(), code)
                .trim_end()
                .to_owned()
        });
        insta::assert_snapshot!(rows.collect::<Vec<_>>().join("\n"), @r"
        malformed              400 InvalidParameter            InvalidParameter.ParamError InvalidParameter
        too_large              413 RequestSizeLimitExceeded    RequestSizeLimitExceeded
        too_slow               408 InvalidRequest              InvalidRequest
        method_not_allowed     405 UnsupportedProtocol         UnsupportedProtocol
        unsupported_media_type 415 InvalidRequest              InvalidRequest
        missing_parameter      400 InvalidParameter            MissingParameter
        duplicate_parameter    400 InvalidParameter            InvalidParameter.ParamError InvalidParameter
        invalid_parameter      400 InvalidParameter            InvalidParameter.ParamError InvalidParameter
        unknown_parameter      400 InvalidParameter            UnknownParameter
        unknown_format         400 InvalidParameter            InvalidParameter.ParamError InvalidParameter
        unknown_action         400 InvalidParameter            InvalidAction
        unknown_version        400 InvalidParameter            NoSuchVersion
        unsupported_grant      400 InvalidParameter            InvalidParameter.ParamError InvalidParameter
        missing_proof          401 AuthFailure                 AuthFailure.InvalidAuthorization
        malformed_proof        401 AuthFailure                 AuthFailure.InvalidAuthorization
        several_proofs         401 AuthFailure                 AuthFailure.InvalidAuthorization
        unknown_tenant         401 AuthFailure                 AuthFailure.SecretIdNotFound
        unknown_client         401 AuthFailure                 AuthFailure.SecretIdNotFound
        unknown_key            401 AuthFailure                 AuthFailure.SecretIdNotFound
        wrong_signature        401 AuthFailure                 AuthFailure.SignatureFailure
        wrong_secret           401 AuthFailure                 AuthFailure.SignatureFailure
        expired_secret         401 AuthFailure                 AuthFailure.SignatureFailure
        client_disabled        403 UnauthorizedOperation       AuthFailure.UnauthorizedOperation
        weak_proof_refused     403 UnauthorizedOperation       AuthFailure.UnauthorizedOperation
        clock_skew             401 AuthFailure.SignatureExpire AuthFailure.SignatureExpire
        replayed               401 AuthFailure.SignatureExpire AuthFailure.SignatureExpire
        token_invalid          401 AuthFailure.TokenFailure    AuthFailure.TokenFailure
        token_expired          401 AuthFailure.TokenFailure    AuthFailure.TokenFailure
        token_revoked          401 AuthFailure.TokenFailure    AuthFailure.TokenFailure
        temporary_not_allowed  403 UnauthorizedOperation       FailedOperation.TempKeyNotAllowed
        origin_not_allowed     403 UnauthorizedOperation       UnauthorizedOperation
        role_not_granted       403 UnauthorizedOperation       ResourceNotFound.RoleNotFound UnauthorizedOperation
        no_role                403 UnauthorizedOperation       ResourceNotFound.RoleNotFound UnauthorizedOperation
        invalid_scope          400 InvalidParameter            InvalidParameter.ParamError InvalidParameter
        unknown_resource       403 UnauthorizedOperation       InvalidParameter.ParamError InvalidParameter
        variable_refused       403 UnauthorizedOperation       InvalidParameter.ParamError InvalidParameter
        lifetime_too_long      400 InvalidParameter            InvalidParameter.OverTimeError
        policy_malformed       400 InvalidParameter            InvalidParameter.StrategyFormatError
        policy_invalid         400 InvalidParameter            InvalidParameter.StrategyInvalid
        policy_resource        400 InvalidParameter            InvalidParameter.ResouceError
        policy_too_long        400 InvalidParameter            InvalidParameter.PolicyTooLong
        policy_too_wide        403 UnauthorizedOperation       InvalidParameter.GrantOtherResource
        credential_too_large   400 InvalidParameter            InvalidParameter.ExtendStrategyOverSize
        rate_limited           429 RequestLimitExceeded        RequestLimitExceeded
        unavailable            503 ServiceUnavailable          ServiceUnavailable
        internal               500 InternalError               InternalError.SystemError InternalError
        ");
    }

    #[test]
    fn an_action_that_is_not_offered_is_told_from_one_that_does_not_exist() {
        assert_eq!(sts(Some(Action::NotOffered), Reason::UnknownAction), "UnsupportedOperation");
        assert_eq!(sts(None, Reason::UnknownAction), "InvalidAction");
    }

    #[test]
    fn a_message_is_the_vendors_gist_and_our_detail() {
        let expired = Refusal::new(Reason::TokenExpired, "it expired at noon");
        assert_eq!(message(&expired), "token verification failed: it expired at noon");
        assert_eq!(message(&Refusal::missing("Name")), "the parameter Name is required");
    }
}
