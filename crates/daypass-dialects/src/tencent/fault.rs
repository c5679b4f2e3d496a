//! What each refusal becomes: one exhaustive `match` for the STS API, one for `getAuthorization`.
//!
//! The codes are the vendor's, odd spellings included (`Avaliable`, `Resouce`): clients compare with them. Where
//! the vendor has no code for a reason, the nearest one of the same action stands, and the message tells more.

use super::wire::{Action, parameter};
use daypass_core::refusal::{Reason, Refusal};
use http::StatusCode;

/// The code of a refusal by the STS API, for the action asked for, where that much is known. The status is always
/// 200: given another one, every official SDK loses the code and the message.
///
/// A parameter that every action has is the gateway's affair, and its code has another shape.
pub fn code(action: Option<Action>, refusal: &Refusal) -> &'static str {
    let common = refusal.parameter.as_deref().is_some_and(|name| parameter::ALL.contains(&name));
    match refusal.reason {
        Reason::InvalidParameter if common => "InvalidParameterValue",
        reason => sts(action, reason),
    }
}

/// The code of a reason, for an action. Codes with a dot belong to actions: each is given for those alone that the
/// vendor lists it for (its Go SDK says which), and another action has the nearest of its own.
pub fn sts(action: Option<Action>, reason: Reason) -> &'static str {
    use Action::{
        AssumeRole, AssumeRoleWithSaml, AssumeRoleWithWebIdentity, GetCallerIdentity, GetFederationToken,
        GetSessionToken, QueryApiKey,
    };
    match reason {
        Reason::Malformed
        | Reason::DuplicateParameter
        | Reason::InvalidParameter
        | Reason::UnknownFormat
        | Reason::UnsupportedGrant
        | Reason::InvalidScope
        | Reason::UnknownResource
        | Reason::VariableRefused => parameter_error(action),
        Reason::TooLarge => "RequestSizeLimitExceeded",
        Reason::TooSlow | Reason::UnsupportedMediaType => "InvalidRequest",
        Reason::MethodNotAllowed => "UnsupportedProtocol",
        Reason::MissingParameter => "MissingParameter",
        Reason::UnknownParameter => "UnknownParameter",
        // An action that exists is refused for this reason where it is not offered.
        Reason::UnknownAction if action.is_some() => "UnsupportedOperation",
        Reason::UnknownAction => "InvalidAction",
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
        Reason::IdentityInvalid if action == Some(AssumeRoleWithWebIdentity) => {
            "InvalidParameter.WebIdentityTokenError"
        }
        Reason::TokenInvalid
        | Reason::TokenExpired
        | Reason::TokenRevoked
        | Reason::UnknownSession
        | Reason::WrongAudience
        | Reason::DpopInvalid
        | Reason::SubjectTokenInvalid
        | Reason::IdentityInvalid
        | Reason::TicketInvalid
        | Reason::TicketSpent => "AuthFailure.TokenFailure",
        Reason::ClientDisabled | Reason::WeakProofRefused => "AuthFailure.UnauthorizedOperation",
        Reason::MfaUnsupported => match action {
            Some(AssumeRole | GetSessionToken) => "FailedOperation.MFATypeNotSupported",
            _ => "AuthFailure.MFAFailure",
        },
        // The vendor has a code that says just this, and lists it for an action that is not offered here.
        Reason::TemporaryNotAllowed => match action {
            Some(GetSessionToken) => "FailedOperation.TempKeyNotAllowed",
            Some(GetFederationToken | AssumeRole) => "UnsupportedOperation",
            _ => "UnauthorizedOperation",
        },
        Reason::RoleNotGranted | Reason::NoRole => match action {
            Some(GetFederationToken | AssumeRole | AssumeRoleWithSaml) => "ResourceNotFound.RoleNotFound",
            _ => "UnauthorizedOperation",
        },
        Reason::OriginNotAllowed
        | Reason::NotFetched
        | Reason::NoTrust
        | Reason::NotYours
        | Reason::InvalidTarget
        | Reason::ExternalIdMismatch => "UnauthorizedOperation",
        Reason::LifetimeTooLong => match action {
            Some(GetFederationToken | AssumeRole | AssumeRoleWithSaml | GetSessionToken) => {
                "InvalidParameter.OverTimeError"
            }
            _ => parameter_error(action),
        },
        Reason::PolicyMalformed => policy_error(action, "InvalidParameter.StrategyFormatError"),
        Reason::PolicyInvalid => policy_error(action, "InvalidParameter.StrategyInvalid"),
        Reason::PolicyResource => policy_error(action, "InvalidParameter.ResouceError"),
        Reason::PolicyTooLong => policy_error(action, "InvalidParameter.PolicyTooLong"),
        Reason::PolicyTooWide => policy_error(action, "InvalidParameter.GrantOtherResource"),
        Reason::CredentialTooLarge => match action {
            // Nothing in such a request makes it too large: it is the role's own policy.
            Some(AssumeRoleWithWebIdentity) => "InternalError.GetRoleError",
            _ => policy_error(action, "InvalidParameter.ExtendStrategyOverSize"),
        },
        // The one code that makes the vendor's SDKs wait and ask again.
        Reason::RateLimited | Reason::Overloaded => "RequestLimitExceeded",
        Reason::Frozen | Reason::UpstreamUnavailable | Reason::Unavailable => "ServiceUnavailable",
        // The vendor's words for the code are: an error of the system, such as one of the network.
        Reason::IdentityUnavailable | Reason::UpstreamRefused | Reason::Internal => match action {
            None | Some(GetCallerIdentity) => "InternalError",
            Some(
                GetFederationToken
                | AssumeRole
                | AssumeRoleWithWebIdentity
                | AssumeRoleWithSaml
                | GetSessionToken
                | QueryApiKey,
            ) => "InternalError.SystemError",
        },
    }
}

/// A wrong parameter of an action.
fn parameter_error(action: Option<Action>) -> &'static str {
    match action {
        None | Some(Action::GetCallerIdentity) => "InvalidParameter",
        Some(_) => "InvalidParameter.ParamError",
    }
}

/// A code about a policy, for the actions that take one.
fn policy_error(action: Option<Action>, code: &'static str) -> &'static str {
    match action {
        Some(Action::GetFederationToken | Action::AssumeRole | Action::AssumeRoleWithSaml) => code,
        _ => parameter_error(action),
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
        | Reason::CredentialTooLarge
        | Reason::MfaUnsupported => (StatusCode::BAD_REQUEST, "InvalidParameter"),
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
        | Reason::ExpiredSecret
        | Reason::UnknownSession
        | Reason::WrongAudience
        | Reason::DpopInvalid
        | Reason::SubjectTokenInvalid => (StatusCode::UNAUTHORIZED, "AuthFailure"),
        Reason::ClockSkew | Reason::Replayed => (StatusCode::UNAUTHORIZED, "AuthFailure.SignatureExpire"),
        Reason::TokenInvalid
        | Reason::TokenExpired
        | Reason::TokenRevoked
        | Reason::IdentityInvalid
        | Reason::TicketInvalid
        | Reason::TicketSpent => (StatusCode::UNAUTHORIZED, "AuthFailure.TokenFailure"),
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
        | Reason::PolicyTooWide => (StatusCode::FORBIDDEN, "UnauthorizedOperation"),
        Reason::RateLimited => (StatusCode::TOO_MANY_REQUESTS, "RequestLimitExceeded"),
        Reason::Frozen
        | Reason::Overloaded
        | Reason::IdentityUnavailable
        | Reason::UpstreamUnavailable
        | Reason::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable"),
        Reason::UpstreamRefused | Reason::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "InternalError"),
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
    fn every_reason_has_its_status() {
        let rows = Reason::ALL.iter().map(|reason| {
            let (status, code) = get_authorization(*reason);
            format!("{:22} {} {code}", reason.label(), status.as_u16())
        });
        insta::assert_snapshot!(rows.collect::<Vec<_>>().join("\n"), @r"
        malformed              400 InvalidParameter
        too_large              413 RequestSizeLimitExceeded
        too_slow               408 InvalidRequest
        method_not_allowed     405 UnsupportedProtocol
        unsupported_media_type 415 InvalidRequest
        missing_parameter      400 InvalidParameter
        duplicate_parameter    400 InvalidParameter
        invalid_parameter      400 InvalidParameter
        unknown_parameter      400 InvalidParameter
        unknown_format         400 InvalidParameter
        unknown_action         400 InvalidParameter
        unknown_version        400 InvalidParameter
        unsupported_grant      400 InvalidParameter
        missing_proof          401 AuthFailure
        malformed_proof        401 AuthFailure
        several_proofs         401 AuthFailure
        unknown_tenant         401 AuthFailure
        unknown_client         401 AuthFailure
        unknown_key            401 AuthFailure
        wrong_signature        401 AuthFailure
        wrong_secret           401 AuthFailure
        expired_secret         401 AuthFailure
        client_disabled        403 UnauthorizedOperation
        weak_proof_refused     403 UnauthorizedOperation
        clock_skew             401 AuthFailure.SignatureExpire
        replayed               401 AuthFailure.SignatureExpire
        wrong_audience         401 AuthFailure
        dpop_invalid           401 AuthFailure
        subject_token_invalid  401 AuthFailure
        invalid_target         403 UnauthorizedOperation
        not_yours              403 UnauthorizedOperation
        token_invalid          401 AuthFailure.TokenFailure
        token_expired          401 AuthFailure.TokenFailure
        token_revoked          401 AuthFailure.TokenFailure
        unknown_session        401 AuthFailure
        identity_invalid       401 AuthFailure.TokenFailure
        ticket_invalid         401 AuthFailure.TokenFailure
        ticket_spent           401 AuthFailure.TokenFailure
        temporary_not_allowed  403 UnauthorizedOperation
        origin_not_allowed     403 UnauthorizedOperation
        not_fetched            403 UnauthorizedOperation
        no_trust               403 UnauthorizedOperation
        external_id_mismatch   403 UnauthorizedOperation
        mfa_unsupported        400 InvalidParameter
        role_not_granted       403 UnauthorizedOperation
        no_role                403 UnauthorizedOperation
        invalid_scope          400 InvalidParameter
        unknown_resource       403 UnauthorizedOperation
        variable_refused       403 UnauthorizedOperation
        lifetime_too_long      400 InvalidParameter
        policy_malformed       400 InvalidParameter
        policy_invalid         400 InvalidParameter
        policy_resource        400 InvalidParameter
        policy_too_long        400 InvalidParameter
        policy_too_wide        403 UnauthorizedOperation
        credential_too_large   400 InvalidParameter
        rate_limited           429 RequestLimitExceeded
        frozen                 503 ServiceUnavailable
        identity_unavailable   503 ServiceUnavailable
        upstream_unavailable   503 ServiceUnavailable
        upstream_refused       500 InternalError
        overloaded             503 ServiceUnavailable
        unavailable            503 ServiceUnavailable
        internal               500 InternalError
        ");
    }

    #[test]
    fn a_message_is_the_vendors_gist_and_our_detail() {
        let expired = Refusal::new(Reason::TokenExpired, "it expired at noon");
        assert_eq!(message(&expired), "token verification failed: it expired at noon");
        assert_eq!(message(&Refusal::missing("Name")), "the parameter Name is required");
    }
}
