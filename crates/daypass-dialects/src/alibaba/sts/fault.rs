//! What each refusal becomes: the status, the code and the sentence.
//!
//! Sources: Alibaba Cloud, "Common error codes", and the error tables of the actions of STS 2015-04-01.

use super::Action;
use daypass_core::refusal::{Reason, Refusal};
use std::borrow::Cow;

/// The status and the code of a refusal, for the action asked for, where that much is known.
pub(super) fn code(action: Option<Action>, refusal: &Refusal) -> (u16, Cow<'static, str>) {
    let (status, code) = match refusal.reason {
        Reason::Malformed
        | Reason::InvalidParameter
        | Reason::UnknownParameter
        | Reason::DuplicateParameter
        | Reason::InvalidScope
        | Reason::UnsupportedGrant
        | Reason::MfaUnsupported => return (400, invalid_parameter(refusal)),
        Reason::MissingParameter | Reason::VariableRefused if of_token(action, refusal) => {
            (400, INVALID_TOKEN)
        }
        Reason::VariableRefused => (400, "InvalidParameter.RoleArn"),
        Reason::MissingParameter => return (400, missing(refusal)),
        Reason::TooLarge => (413, "RequestTooLarge"),
        Reason::TooSlow => (408, "RequestTimeout"),
        Reason::MethodNotAllowed => (405, "UnsupportedHTTPMethod"),
        Reason::UnsupportedMediaType => (415, "UnsupportedContentType"),
        Reason::UnknownFormat => (400, "InvalidParameter.Format"),
        Reason::UnknownAction => (404, "InvalidApi.NotFound"),
        Reason::UnknownVersion => (400, "InvalidVersion"),
        Reason::MissingProof => (400, "MissingSignature"),
        Reason::MalformedProof | Reason::SeveralProofs => (400, "IncompleteSignature"),
        Reason::UnknownKey | Reason::UnknownClient | Reason::UnknownTenant => {
            (404, "InvalidAccessKeyId.NotFound")
        }
        Reason::ExpiredSecret | Reason::ClientDisabled => (400, "InvalidAccessKeyId.Inactive"),
        Reason::WrongSignature | Reason::WrongSecret => (400, "SignatureDoesNotMatch"),
        Reason::ClockSkew => (400, "InvalidTimeStamp.Expired"),
        Reason::Replayed => (400, "SignatureNonceUsed"),
        Reason::TokenInvalid => (400, "InvalidSecurityToken.Malformed"),
        Reason::TokenExpired | Reason::TokenRevoked => (400, "InvalidSecurityToken.Expired"),
        Reason::UnknownSession
        | Reason::WrongAudience
        | Reason::DpopInvalid
        | Reason::SubjectTokenInvalid
        | Reason::IdentityInvalid
        | Reason::TicketInvalid
        | Reason::TicketSpent => (400, INVALID_TOKEN),
        Reason::RoleNotGranted => (404, "EntityNotExist.Role"),
        Reason::LifetimeTooLong => (400, "InvalidParameter.DurationSeconds"),
        Reason::PolicyMalformed | Reason::PolicyInvalid | Reason::PolicyResource => {
            (400, "InvalidParameter.PolicyGrammar")
        }
        Reason::PolicyTooLong | Reason::CredentialTooLarge => (400, "InvalidParameter.PolicySize"),
        Reason::WeakProofRefused
        | Reason::TemporaryNotAllowed
        | Reason::OriginNotAllowed
        | Reason::NotFetched
        | Reason::NoRole
        | Reason::NoTrust
        | Reason::NotYours
        | Reason::InvalidTarget
        | Reason::ExternalIdMismatch
        | Reason::UnknownResource
        | Reason::PolicyTooWide => (403, "NoPermission"),
        Reason::RateLimited => (429, "Throttling.User"),
        Reason::Frozen
        | Reason::Overloaded
        | Reason::Unavailable
        | Reason::IdentityUnavailable
        | Reason::UpstreamUnavailable => (503, "ServiceUnavailable"),
        Reason::UpstreamRefused | Reason::Internal => (500, "InternalError"),
    };
    (status, code.into())
}

/// The code of an OpenID token that does not say what it should.
const INVALID_TOKEN: &str = "AuthenticationFail.OIDCToken.Invalid";

/// Whether a refusal is about a variable of a role, which in this action is filled by the token. Names on the wire
/// begin with a capital, or are those of headers; names of variables do neither.
fn of_token(action: Option<Action>, refusal: &Refusal) -> bool {
    let variable =
        |name: &str| name.starts_with(|c: char| !c.is_ascii_uppercase()) && !name.starts_with("x-acs-");
    action == Some(Action::AssumeRoleWithOidc) && refusal.parameter.as_deref().is_some_and(variable)
}

fn invalid_parameter(refusal: &Refusal) -> Cow<'static, str> {
    match refusal.parameter.as_deref() {
        // A time of another form has a code of its own.
        Some("Timestamp") if refusal.reason == Reason::InvalidParameter => "InvalidTimeStamp.Format".into(),
        Some(name) => format!("InvalidParameter.{name}").into(),
        None => "InvalidParameter".into(),
    }
}

/// The vendor's gateway names the parameter in the code: `MissingRoleArn`.
fn missing(refusal: &Refusal) -> Cow<'static, str> {
    match refusal.parameter.as_deref() {
        Some(name) => format!("Missing{name}").into(),
        None => "MissingParameter".into(),
    }
}

/// The sentence for people: what the vendor says, in its words, which its users search for, then what was found here
/// and what to do.
pub(super) fn message(refusal: &Refusal) -> String {
    let detail = &refusal.detail;
    let gist = match refusal.reason {
        Reason::InvalidParameter | Reason::Malformed => match refusal.parameter.as_deref() {
            Some("Timestamp") => "Specified time stamp or date value is not well formatted",
            Some(name) => return format!("The parameter {name} is wrongly formed: {detail}"),
            None => return detail.to_string(),
        },
        Reason::MissingParameter => match refusal.parameter.as_deref() {
            Some(name) if *refusal == Refusal::missing(name.to_owned()) => {
                return format!("{name} is mandatory for this action");
            }
            Some(name) => return format!("{name} is mandatory for this action: {detail}"),
            None => return detail.to_string(),
        },
        Reason::UnknownAction => "Specified api is not found, please check your url and method",
        Reason::UnknownVersion => "Specified parameter Version is not valid",
        Reason::MalformedProof | Reason::SeveralProofs => {
            "The request signature does not conform to Aliyun standards"
        }
        Reason::UnknownKey | Reason::UnknownClient | Reason::UnknownTenant => {
            "Specified access key is not found"
        }
        Reason::ExpiredSecret | Reason::ClientDisabled => "Specified access key is disabled",
        // The older Python SDK takes what stands behind the first colon for the text that was signed here, and where
        // that is its own text, tells its user that the secret is wrong. So there is no other colon before it.
        Reason::WrongSignature | Reason::WrongSecret => {
            return format!("Specified signature is not matched with our calculation. {detail}");
        }
        Reason::ClockSkew => "Specified time stamp or date value is expired",
        Reason::Replayed => "Specified signature nonce was used already",
        Reason::TokenInvalid => "Specified SecurityToken is malformed",
        Reason::TokenExpired | Reason::TokenRevoked => "Specified SecurityToken is expired",
        Reason::RoleNotGranted => "The specified Role not exists",
        Reason::PolicyMalformed | Reason::PolicyInvalid | Reason::PolicyResource => {
            "The parameter Policy has not passed grammar check"
        }
        Reason::WeakProofRefused
        | Reason::TemporaryNotAllowed
        | Reason::OriginNotAllowed
        | Reason::NotFetched
        | Reason::NoRole
        | Reason::NoTrust
        | Reason::NotYours
        | Reason::InvalidTarget
        | Reason::ExternalIdMismatch
        | Reason::UnknownResource
        | Reason::PolicyTooWide => {
            "You are not authorized to do this action. You should be authorized by RAM"
        }
        Reason::RateLimited => "Request was denied due to user flow control",
        Reason::Frozen
        | Reason::Overloaded
        | Reason::Unavailable
        | Reason::IdentityUnavailable
        | Reason::UpstreamUnavailable => "The request has failed due to a temporary failure of the server",
        _ => return detail.to_string(),
    };
    format!("{gist}: {detail}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Write as _;

    #[test]
    fn every_reason_has_its_status_its_code_and_its_sentence() {
        let mut table = String::new();
        for reason in Reason::ALL {
            let refusal = Refusal::new(*reason, "DETAIL").parameter("Name");
            let (status, code) = code(Some(Action::AssumeRole), &refusal);
            writeln!(table, "{:22} {status} {code} | {}", reason.label(), message(&refusal)).unwrap();
        }
        insta::assert_snapshot!(table, @r"
        malformed              400 InvalidParameter.Name | The parameter Name is wrongly formed: DETAIL
        too_large              413 RequestTooLarge | DETAIL
        too_slow               408 RequestTimeout | DETAIL
        method_not_allowed     405 UnsupportedHTTPMethod | DETAIL
        unsupported_media_type 415 UnsupportedContentType | DETAIL
        missing_parameter      400 MissingName | Name is mandatory for this action: DETAIL
        duplicate_parameter    400 InvalidParameter.Name | DETAIL
        invalid_parameter      400 InvalidParameter.Name | The parameter Name is wrongly formed: DETAIL
        unknown_parameter      400 InvalidParameter.Name | DETAIL
        unknown_format         400 InvalidParameter.Format | DETAIL
        unknown_action         404 InvalidApi.NotFound | Specified api is not found, please check your url and method: DETAIL
        unknown_version        400 InvalidVersion | Specified parameter Version is not valid: DETAIL
        unsupported_grant      400 InvalidParameter.Name | DETAIL
        missing_proof          400 MissingSignature | DETAIL
        malformed_proof        400 IncompleteSignature | The request signature does not conform to Aliyun standards: DETAIL
        several_proofs         400 IncompleteSignature | The request signature does not conform to Aliyun standards: DETAIL
        unknown_tenant         404 InvalidAccessKeyId.NotFound | Specified access key is not found: DETAIL
        unknown_client         404 InvalidAccessKeyId.NotFound | Specified access key is not found: DETAIL
        unknown_key            404 InvalidAccessKeyId.NotFound | Specified access key is not found: DETAIL
        wrong_signature        400 SignatureDoesNotMatch | Specified signature is not matched with our calculation. DETAIL
        wrong_secret           400 SignatureDoesNotMatch | Specified signature is not matched with our calculation. DETAIL
        expired_secret         400 InvalidAccessKeyId.Inactive | Specified access key is disabled: DETAIL
        client_disabled        400 InvalidAccessKeyId.Inactive | Specified access key is disabled: DETAIL
        weak_proof_refused     403 NoPermission | You are not authorized to do this action. You should be authorized by RAM: DETAIL
        clock_skew             400 InvalidTimeStamp.Expired | Specified time stamp or date value is expired: DETAIL
        replayed               400 SignatureNonceUsed | Specified signature nonce was used already: DETAIL
        wrong_audience         400 AuthenticationFail.OIDCToken.Invalid | DETAIL
        dpop_invalid           400 AuthenticationFail.OIDCToken.Invalid | DETAIL
        subject_token_invalid  400 AuthenticationFail.OIDCToken.Invalid | DETAIL
        invalid_target         403 NoPermission | You are not authorized to do this action. You should be authorized by RAM: DETAIL
        not_yours              403 NoPermission | You are not authorized to do this action. You should be authorized by RAM: DETAIL
        token_invalid          400 InvalidSecurityToken.Malformed | Specified SecurityToken is malformed: DETAIL
        token_expired          400 InvalidSecurityToken.Expired | Specified SecurityToken is expired: DETAIL
        token_revoked          400 InvalidSecurityToken.Expired | Specified SecurityToken is expired: DETAIL
        unknown_session        400 AuthenticationFail.OIDCToken.Invalid | DETAIL
        identity_invalid       400 AuthenticationFail.OIDCToken.Invalid | DETAIL
        ticket_invalid         400 AuthenticationFail.OIDCToken.Invalid | DETAIL
        ticket_spent           400 AuthenticationFail.OIDCToken.Invalid | DETAIL
        temporary_not_allowed  403 NoPermission | You are not authorized to do this action. You should be authorized by RAM: DETAIL
        origin_not_allowed     403 NoPermission | You are not authorized to do this action. You should be authorized by RAM: DETAIL
        not_fetched            403 NoPermission | You are not authorized to do this action. You should be authorized by RAM: DETAIL
        no_trust               403 NoPermission | You are not authorized to do this action. You should be authorized by RAM: DETAIL
        external_id_mismatch   403 NoPermission | You are not authorized to do this action. You should be authorized by RAM: DETAIL
        mfa_unsupported        400 InvalidParameter.Name | DETAIL
        role_not_granted       404 EntityNotExist.Role | The specified Role not exists: DETAIL
        no_role                403 NoPermission | You are not authorized to do this action. You should be authorized by RAM: DETAIL
        invalid_scope          400 InvalidParameter.Name | DETAIL
        unknown_resource       403 NoPermission | You are not authorized to do this action. You should be authorized by RAM: DETAIL
        variable_refused       400 InvalidParameter.RoleArn | DETAIL
        lifetime_too_long      400 InvalidParameter.DurationSeconds | DETAIL
        policy_malformed       400 InvalidParameter.PolicyGrammar | The parameter Policy has not passed grammar check: DETAIL
        policy_invalid         400 InvalidParameter.PolicyGrammar | The parameter Policy has not passed grammar check: DETAIL
        policy_resource        400 InvalidParameter.PolicyGrammar | The parameter Policy has not passed grammar check: DETAIL
        policy_too_long        400 InvalidParameter.PolicySize | DETAIL
        policy_too_wide        403 NoPermission | You are not authorized to do this action. You should be authorized by RAM: DETAIL
        credential_too_large   400 InvalidParameter.PolicySize | DETAIL
        rate_limited           429 Throttling.User | Request was denied due to user flow control: DETAIL
        frozen                 503 ServiceUnavailable | The request has failed due to a temporary failure of the server: DETAIL
        identity_unavailable   503 ServiceUnavailable | The request has failed due to a temporary failure of the server: DETAIL
        upstream_unavailable   503 ServiceUnavailable | The request has failed due to a temporary failure of the server: DETAIL
        upstream_refused       500 InternalError | DETAIL
        overloaded             503 ServiceUnavailable | The request has failed due to a temporary failure of the server: DETAIL
        unavailable            503 ServiceUnavailable | The request has failed due to a temporary failure of the server: DETAIL
        internal               500 InternalError | DETAIL
        ");
    }

    #[test]
    fn a_code_does_not_depend_on_the_action_but_for_what_a_token_fills() {
        for reason in Reason::ALL {
            for parameter in ["Name", "class", "x-acs-date"] {
                let refusal = Refusal::new(*reason, "DETAIL").parameter(parameter);
                let with = code(Some(Action::AssumeRoleWithOidc), &refusal);
                let filled = matches!(reason, Reason::MissingParameter | Reason::VariableRefused);
                if parameter == "class" && filled {
                    assert_eq!(with.1, INVALID_TOKEN);
                    continue;
                }
                for other in [None, Some(Action::AssumeRole), Some(Action::GetCallerIdentity)] {
                    assert_eq!(code(other, &refusal), with, "{reason:?} {parameter}");
                }
            }
        }
    }

    #[test]
    fn a_time_of_another_form_has_a_code_of_its_own() {
        let refusal = Refusal::new(Reason::InvalidParameter, "").parameter("Timestamp");
        assert_eq!(code(None, &refusal), (400, "InvalidTimeStamp.Format".into()));
        let refusal = Refusal::new(Reason::DuplicateParameter, "").parameter("Timestamp");
        assert_eq!(code(None, &refusal).1, "InvalidParameter.Timestamp");
        assert_eq!(code(None, &Refusal::new(Reason::MissingParameter, "")).1, "MissingParameter");
        assert_eq!(code(None, &Refusal::new(Reason::Malformed, "")).1, "InvalidParameter");
    }
}
