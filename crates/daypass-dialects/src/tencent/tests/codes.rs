//! Which code each refusal has for which action.

use super::super::fault::{code, sts};
use super::super::wire::Action;
use daypass_core::refusal::{Reason, Refusal};
use std::collections::BTreeMap;

/// Codes of the gateway, which any action may be answered with.
const GATEWAY: &str = "AuthFailure.InvalidAuthorization AuthFailure.SecretIdNotFound AuthFailure.SignatureExpire \
    AuthFailure.SignatureFailure AuthFailure.TokenFailure AuthFailure.MFAFailure AuthFailure.UnauthorizedOperation \
    UnauthorizedOperation MissingParameter InvalidParameter InvalidParameterValue UnknownParameter InvalidAction \
    NoSuchVersion InvalidRequest UnsupportedProtocol RequestSizeLimitExceeded RequestLimitExceeded InternalError \
    ServiceUnavailable UnsupportedOperation";

/// What the vendor lists for an action beside those.
fn listed(action: Option<Action>) -> &'static str {
    match action {
        Some(Action::GetFederationToken | Action::AssumeRoleWithSaml) => {
            "InternalError.SystemError InvalidParameter.ExtendStrategyOverSize InvalidParameter.GrantOtherResource \
             InvalidParameter.OverTimeError InvalidParameter.ParamError InvalidParameter.PolicyTooLong \
             InvalidParameter.ResouceError InvalidParameter.StrategyFormatError InvalidParameter.StrategyInvalid \
             ResourceNotFound.RoleNotFound"
        }
        Some(Action::AssumeRole) => {
            "FailedOperation.MFATypeNotSupported InternalError.SystemError InvalidParameter.ExtendStrategyOverSize \
             InvalidParameter.GrantOtherResource InvalidParameter.OverTimeError InvalidParameter.ParamError \
             InvalidParameter.PolicyTooLong InvalidParameter.ResouceError InvalidParameter.StrategyFormatError \
             InvalidParameter.StrategyInvalid ResourceNotFound.RoleNotFound"
        }
        Some(Action::AssumeRoleWithWebIdentity) => {
            "InternalError.GetRoleError InternalError.SystemError InvalidParameter.ParamError \
             InvalidParameter.WebIdentityTokenError"
        }
        Some(Action::GetSessionToken) => {
            "FailedOperation.MFATypeNotSupported FailedOperation.TempKeyNotAllowed InternalError.SystemError \
             InvalidParameter.OverTimeError InvalidParameter.ParamError"
        }
        None | Some(Action::GetCallerIdentity) => "",
        Some(Action::QueryApiKey) => "InternalError.SystemError InvalidParameter.ParamError",
    }
}

fn actions() -> impl Iterator<Item = Option<Action>> {
    Action::ALL.into_iter().map(Some).chain([None])
}

#[test]
fn no_action_is_answered_with_a_code_that_the_vendor_does_not_list_for_it() {
    for action in actions() {
        for reason in Reason::ALL {
            let code = sts(action, *reason);
            let mut allowed = GATEWAY.split(' ').chain(listed(action).split(' '));
            assert!(allowed.any(|one| one == code), "{action:?} {}: {code}", reason.label());
        }
    }
}

#[test]
fn every_code_that_is_listed_here_is_really_given() {
    for action in actions() {
        for code in listed(action).split(' ').filter(|code| !code.is_empty()) {
            assert!(Reason::ALL.iter().any(|reason| sts(action, *reason) == code), "{action:?}: {code}");
        }
    }
}

/// Short names of the actions, in the order of [`Action::ALL`], and `-` where none is known.
const SHORT: [&str; 8] = ["federation", "assume", "web", "saml", "session", "caller", "keys", "-"];

#[test]
fn every_reason_has_its_codes() {
    let row = |reason: &Reason| {
        let mut codes: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (action, short) in actions().zip(SHORT) {
            codes.entry(sts(action, *reason)).or_default().push(short);
        }
        let cell = |(code, actions): (&&str, &Vec<&str>)| match actions.len() {
            8 => (*code).to_owned(),
            _ => format!("{code} ({})", actions.join(" ")),
        };
        format!("{:22} {}", reason.label(), codes.iter().map(cell).collect::<Vec<_>>().join(", "))
    };
    let rows: Vec<_> = Reason::ALL.iter().map(row).collect();
    insta::assert_snapshot!(rows.join("\n"), @r"
    malformed              InvalidParameter (caller -), InvalidParameter.ParamError (federation assume web saml session keys)
    too_large              RequestSizeLimitExceeded
    too_slow               InvalidRequest
    method_not_allowed     UnsupportedProtocol
    unsupported_media_type InvalidRequest
    missing_parameter      MissingParameter
    duplicate_parameter    InvalidParameter (caller -), InvalidParameter.ParamError (federation assume web saml session keys)
    invalid_parameter      InvalidParameter (caller -), InvalidParameter.ParamError (federation assume web saml session keys)
    unknown_parameter      UnknownParameter
    unknown_format         InvalidParameter (caller -), InvalidParameter.ParamError (federation assume web saml session keys)
    unknown_action         InvalidAction (-), UnsupportedOperation (federation assume web saml session caller keys)
    unknown_version        NoSuchVersion
    unsupported_grant      InvalidParameter (caller -), InvalidParameter.ParamError (federation assume web saml session keys)
    missing_proof          AuthFailure.InvalidAuthorization
    malformed_proof        AuthFailure.InvalidAuthorization
    several_proofs         AuthFailure.InvalidAuthorization
    unknown_tenant         AuthFailure.SecretIdNotFound
    unknown_client         AuthFailure.SecretIdNotFound
    unknown_key            AuthFailure.SecretIdNotFound
    wrong_signature        AuthFailure.SignatureFailure
    wrong_secret           AuthFailure.SignatureFailure
    expired_secret         AuthFailure.SignatureFailure
    client_disabled        AuthFailure.UnauthorizedOperation
    weak_proof_refused     AuthFailure.UnauthorizedOperation
    clock_skew             AuthFailure.SignatureExpire
    replayed               AuthFailure.SignatureExpire
    wrong_audience         AuthFailure.TokenFailure
    dpop_invalid           AuthFailure.TokenFailure
    subject_token_invalid  AuthFailure.TokenFailure
    invalid_target         UnauthorizedOperation
    not_yours              UnauthorizedOperation
    token_invalid          AuthFailure.TokenFailure
    token_expired          AuthFailure.TokenFailure
    token_revoked          AuthFailure.TokenFailure
    unknown_session        AuthFailure.TokenFailure
    identity_invalid       AuthFailure.TokenFailure (federation assume saml session caller keys -), InvalidParameter.WebIdentityTokenError (web)
    ticket_invalid         AuthFailure.TokenFailure
    ticket_spent           AuthFailure.TokenFailure
    temporary_not_allowed  FailedOperation.TempKeyNotAllowed (session), UnauthorizedOperation (web saml caller keys -), UnsupportedOperation (federation assume)
    origin_not_allowed     UnauthorizedOperation
    not_fetched            UnauthorizedOperation
    no_trust               UnauthorizedOperation
    external_id_mismatch   UnauthorizedOperation
    mfa_unsupported        AuthFailure.MFAFailure (federation web saml caller keys -), FailedOperation.MFATypeNotSupported (assume session)
    role_not_granted       ResourceNotFound.RoleNotFound (federation assume saml), UnauthorizedOperation (web session caller keys -)
    no_role                ResourceNotFound.RoleNotFound (federation assume saml), UnauthorizedOperation (web session caller keys -)
    invalid_scope          InvalidParameter (caller -), InvalidParameter.ParamError (federation assume web saml session keys)
    unknown_resource       InvalidParameter (caller -), InvalidParameter.ParamError (federation assume web saml session keys)
    variable_refused       InvalidParameter (caller -), InvalidParameter.ParamError (federation assume web saml session keys)
    lifetime_too_long      InvalidParameter (caller -), InvalidParameter.OverTimeError (federation assume saml session), InvalidParameter.ParamError (web keys)
    policy_malformed       InvalidParameter (caller -), InvalidParameter.ParamError (web session keys), InvalidParameter.StrategyFormatError (federation assume saml)
    policy_invalid         InvalidParameter (caller -), InvalidParameter.ParamError (web session keys), InvalidParameter.StrategyInvalid (federation assume saml)
    policy_resource        InvalidParameter (caller -), InvalidParameter.ParamError (web session keys), InvalidParameter.ResouceError (federation assume saml)
    policy_too_long        InvalidParameter (caller -), InvalidParameter.ParamError (web session keys), InvalidParameter.PolicyTooLong (federation assume saml)
    policy_too_wide        InvalidParameter (caller -), InvalidParameter.GrantOtherResource (federation assume saml), InvalidParameter.ParamError (web session keys)
    credential_too_large   InternalError.GetRoleError (web), InvalidParameter (caller -), InvalidParameter.ExtendStrategyOverSize (federation assume saml), InvalidParameter.ParamError (session keys)
    rate_limited           RequestLimitExceeded
    frozen                 ServiceUnavailable
    identity_unavailable   InternalError (caller -), InternalError.SystemError (federation assume web saml session keys)
    upstream_unavailable   ServiceUnavailable
    upstream_refused       InternalError (caller -), InternalError.SystemError (federation assume web saml session keys)
    overloaded             RequestLimitExceeded
    unavailable            ServiceUnavailable
    internal               InternalError (caller -), InternalError.SystemError (federation assume web saml session keys)
    ");
}

#[test]
fn a_common_parameter_is_the_gateways_affair() {
    let refusal = |name: &'static str| Refusal::new(Reason::InvalidParameter, "wrong").parameter(name);
    for action in actions() {
        for name in ["Timestamp", "Nonce", "SignatureMethod"] {
            assert_eq!(code(action, &refusal(name)), "InvalidParameterValue");
        }
    }
    assert_eq!(code(Some(Action::AssumeRole), &refusal("RoleArn")), "InvalidParameter.ParamError");
    assert_eq!(code(None, &refusal("RoleArn")), "InvalidParameter");
}

#[test]
fn an_action_that_is_not_offered_is_told_from_one_that_does_not_exist() {
    for action in Action::ALL {
        assert_eq!(sts(Some(action), Reason::UnknownAction), "UnsupportedOperation");
        assert_eq!(Action::named(action.name()), Some(action));
    }
    assert_eq!(sts(None, Reason::UnknownAction), "InvalidAction");
    assert_eq!(Action::named("assumerole"), None);
}
