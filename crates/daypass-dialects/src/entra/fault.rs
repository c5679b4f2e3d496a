//! What each refusal becomes in Entra's words.
//!
//! The numbers are Microsoft's published AADSTS codes; the texts are ours. Entra's own client libraries branch on
//! `error` and on the status, and people search for the number.

use daypass_core::refusal::{Reason, Refusal};
use http::StatusCode;

/// How a refusal looks on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// The HTTP status. MSAL for Python remembers a 400 for a minute and never a 401; 429 and 5xx make clients
    /// wait for `Retry-After`.
    pub(super) status: StatusCode,
    /// The OAuth error code.
    pub(super) error: &'static str,
    /// The number behind `AADSTS`; it fits an `i32`.
    pub(super) code: u32,
}

/// The reasons whose number depends on the parameter that they are about, with each parameter that makes a difference.
pub(super) const BY_PARAMETER: [(Reason, &str); 8] = [
    (Reason::InvalidParameter, "tenant"),
    (Reason::InvalidParameter, "scope"),
    (Reason::MalformedProof, "client_assertion"),
    (Reason::MalformedProof, "client_id"),
    (Reason::IdentityInvalid, "iss"),
    (Reason::IdentityInvalid, "aud"),
    (Reason::IdentityInvalid, "sub"),
    (Reason::IdentityInvalid, "exp"),
];

impl Fault {
    /// The answer to a refusal at the token endpoint.
    pub(super) fn of(refusal: &Refusal) -> Self {
        let (status, error, code) = match refusal.reason {
            Reason::Malformed | Reason::UnsupportedMediaType | Reason::SeveralProofs => {
                (StatusCode::BAD_REQUEST, "invalid_request", 9_002_313)
            }
            Reason::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "invalid_request", 9_002_313),
            Reason::TooSlow => (StatusCode::REQUEST_TIMEOUT, "invalid_request", 9_002_313),
            // 400, not 405: that is what Entra's clients know.
            Reason::MethodNotAllowed => (StatusCode::BAD_REQUEST, "invalid_request", 900_561),
            Reason::MissingParameter => (StatusCode::BAD_REQUEST, "invalid_request", 900_144),
            Reason::DuplicateParameter => (StatusCode::BAD_REQUEST, "invalid_request", 9_000_411),
            Reason::InvalidParameter => match refusal.parameter.as_deref() {
                Some("tenant") => (StatusCode::BAD_REQUEST, "invalid_request", 900_023),
                Some("scope") => (StatusCode::BAD_REQUEST, "invalid_scope", 70_011),
                _ => (StatusCode::BAD_REQUEST, "invalid_request", 90_100),
            },
            Reason::UnknownParameter
            | Reason::UnknownFormat
            | Reason::UnknownVersion
            | Reason::MfaUnsupported
            | Reason::VariableRefused
            | Reason::LifetimeTooLong
            | Reason::PolicyMalformed
            | Reason::PolicyInvalid
            | Reason::PolicyResource
            | Reason::PolicyTooLong
            | Reason::PolicyTooWide
            | Reason::CredentialTooLarge => (StatusCode::BAD_REQUEST, "invalid_request", 90_100),
            Reason::UnknownAction => (StatusCode::NOT_FOUND, "invalid_request", 90_023),
            Reason::UnsupportedGrant => (StatusCode::BAD_REQUEST, "unsupported_grant_type", 70_003),
            Reason::MissingProof => (StatusCode::UNAUTHORIZED, "invalid_client", 7_000_216),
            Reason::MalformedProof => match refusal.parameter.as_deref() {
                Some("client_assertion") => (StatusCode::UNAUTHORIZED, "invalid_client", 50_027),
                Some("client_id") => (StatusCode::UNAUTHORIZED, "invalid_client", 700_021),
                _ => (StatusCode::UNAUTHORIZED, "invalid_client", 7_000_215),
            },
            Reason::WrongSecret | Reason::WeakProofRefused => {
                (StatusCode::UNAUTHORIZED, "invalid_client", 7_000_215)
            }
            Reason::ExpiredSecret => (StatusCode::UNAUTHORIZED, "invalid_client", 7_000_222),
            // A federated credential that does not match is told by the first claim that differs.
            Reason::IdentityInvalid => match refusal.parameter.as_deref() {
                Some("iss") => (StatusCode::UNAUTHORIZED, "invalid_client", 700_211),
                Some("aud") => (StatusCode::UNAUTHORIZED, "invalid_client", 700_212),
                Some("sub") => (StatusCode::UNAUTHORIZED, "invalid_client", 700_213),
                Some("exp" | "nbf" | "iat") => (StatusCode::UNAUTHORIZED, "invalid_client", 700_024),
                _ => (StatusCode::UNAUTHORIZED, "invalid_client", 700_027),
            },
            // A certificate that is not registered is Entra's case of an assertion by such a one.
            Reason::WrongSignature
            | Reason::UnknownKey
            | Reason::Replayed
            | Reason::UnknownSession
            | Reason::TicketInvalid
            | Reason::TicketSpent => (StatusCode::UNAUTHORIZED, "invalid_client", 700_027),
            Reason::ClockSkew => (StatusCode::UNAUTHORIZED, "invalid_client", 700_024),
            Reason::WrongAudience => (StatusCode::UNAUTHORIZED, "invalid_client", 700_023),
            // RFC 9449 §5: the one error of this name, and 400.
            Reason::DpopInvalid => (StatusCode::BAD_REQUEST, "invalid_dpop_proof", 9_002_341),
            // RFC 8693 §2.2.2 has `invalid_request` for every token that is not acceptable, and `invalid_target` for
            // what may not be had for it.
            Reason::SubjectTokenInvalid => (StatusCode::BAD_REQUEST, "invalid_request", 50_027),
            Reason::InvalidTarget => (StatusCode::BAD_REQUEST, "invalid_target", 500_011),
            Reason::NotYours => (StatusCode::BAD_REQUEST, "unauthorized_client", 700_005),
            Reason::UnknownTenant => (StatusCode::BAD_REQUEST, "invalid_request", 90_002),
            // 400 and told apart from a wrong secret: Entra does both, and its clients' messages build on it.
            Reason::UnknownClient => (StatusCode::BAD_REQUEST, "unauthorized_client", 700_016),
            Reason::ClientDisabled => (StatusCode::BAD_REQUEST, "unauthorized_client", 7_000_112),
            Reason::TokenInvalid | Reason::TokenExpired => (StatusCode::BAD_REQUEST, "invalid_grant", 50_013),
            Reason::TokenRevoked => (StatusCode::BAD_REQUEST, "invalid_grant", 50_173),
            Reason::TemporaryNotAllowed
            | Reason::RoleNotGranted
            | Reason::NoTrust
            | Reason::ExternalIdMismatch
            | Reason::NoRole => (StatusCode::BAD_REQUEST, "invalid_grant", 501_051),
            Reason::OriginNotAllowed | Reason::NotFetched => {
                (StatusCode::BAD_REQUEST, "invalid_request", 9_002_326)
            }
            Reason::InvalidScope => (StatusCode::BAD_REQUEST, "invalid_scope", 1_002_012),
            Reason::UnknownResource => (StatusCode::BAD_REQUEST, "invalid_resource", 500_011),
            Reason::RateLimited => (StatusCode::TOO_MANY_REQUESTS, "temporarily_unavailable", 90_055),
            Reason::Frozen
            | Reason::Overloaded
            | Reason::Unavailable
            | Reason::IdentityUnavailable
            | Reason::UpstreamUnavailable => {
                (StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable", 90_033)
            }
            Reason::UpstreamRefused | Reason::Internal => {
                (StatusCode::INTERNAL_SERVER_ERROR, "server_error", 50_000)
            }
        };
        Self { status, error, code }
    }

    /// The answer to the same refusal at a discovery document, where Entra calls an unknown tenant by its name.
    pub(super) fn at_document(self) -> Self {
        match self.code {
            90_002 => Self { error: "invalid_tenant", ..self },
            _ => self,
        }
    }

    /// The answer to the same refusal where HTTP Basic was tried: whoever could not be authenticated is told so by
    /// 401 (RFC 6749 §5.2), the unknown client included.
    pub(super) fn after_basic(self) -> Self {
        match self.code {
            700_016 => Self { status: StatusCode::UNAUTHORIZED, ..self },
            _ => self,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use daypass_core::refusal::Kind;
    use std::fmt::Write as _;

    #[test]
    fn every_reason_has_its_status_error_and_code() {
        let table = Reason::ALL.iter().fold(String::new(), |mut table, reason| {
            let Fault { status, error, code } = Fault::of(&Refusal::new(*reason, "x"));
            writeln!(table, "{} {} {error} {code}", reason.label(), status.as_u16()).unwrap();
            table
        });
        insta::assert_snapshot!(table, @r"
        malformed 400 invalid_request 9002313
        too_large 413 invalid_request 9002313
        too_slow 408 invalid_request 9002313
        method_not_allowed 400 invalid_request 900561
        unsupported_media_type 400 invalid_request 9002313
        missing_parameter 400 invalid_request 900144
        duplicate_parameter 400 invalid_request 9000411
        invalid_parameter 400 invalid_request 90100
        unknown_parameter 400 invalid_request 90100
        unknown_format 400 invalid_request 90100
        unknown_action 404 invalid_request 90023
        unknown_version 400 invalid_request 90100
        unsupported_grant 400 unsupported_grant_type 70003
        missing_proof 401 invalid_client 7000216
        malformed_proof 401 invalid_client 7000215
        several_proofs 400 invalid_request 9002313
        unknown_tenant 400 invalid_request 90002
        unknown_client 400 unauthorized_client 700016
        unknown_key 401 invalid_client 700027
        wrong_signature 401 invalid_client 700027
        wrong_secret 401 invalid_client 7000215
        expired_secret 401 invalid_client 7000222
        client_disabled 400 unauthorized_client 7000112
        weak_proof_refused 401 invalid_client 7000215
        clock_skew 401 invalid_client 700024
        replayed 401 invalid_client 700027
        wrong_audience 401 invalid_client 700023
        dpop_invalid 400 invalid_dpop_proof 9002341
        subject_token_invalid 400 invalid_request 50027
        invalid_target 400 invalid_target 500011
        not_yours 400 unauthorized_client 700005
        token_invalid 400 invalid_grant 50013
        token_expired 400 invalid_grant 50013
        token_revoked 400 invalid_grant 50173
        unknown_session 401 invalid_client 700027
        identity_invalid 401 invalid_client 700027
        ticket_invalid 401 invalid_client 700027
        ticket_spent 401 invalid_client 700027
        temporary_not_allowed 400 invalid_grant 501051
        origin_not_allowed 400 invalid_request 9002326
        not_fetched 400 invalid_request 9002326
        no_trust 400 invalid_grant 501051
        external_id_mismatch 400 invalid_grant 501051
        mfa_unsupported 400 invalid_request 90100
        role_not_granted 400 invalid_grant 501051
        no_role 400 invalid_grant 501051
        invalid_scope 400 invalid_scope 1002012
        unknown_resource 400 invalid_resource 500011
        variable_refused 400 invalid_request 90100
        lifetime_too_long 400 invalid_request 90100
        policy_malformed 400 invalid_request 90100
        policy_invalid 400 invalid_request 90100
        policy_resource 400 invalid_request 90100
        policy_too_long 400 invalid_request 90100
        policy_too_wide 400 invalid_request 90100
        credential_too_large 400 invalid_request 90100
        rate_limited 429 temporarily_unavailable 90055
        frozen 503 temporarily_unavailable 90033
        identity_unavailable 503 temporarily_unavailable 90033
        upstream_unavailable 503 temporarily_unavailable 90033
        upstream_refused 500 server_error 50000
        overloaded 503 temporarily_unavailable 90033
        unavailable 503 temporarily_unavailable 90033
        internal 500 server_error 50000
        ");
    }

    #[test]
    fn a_number_may_depend_on_the_parameter() {
        let table = BY_PARAMETER.iter().fold(String::new(), |mut table, (reason, name)| {
            let Fault { status, error, code } = Fault::of(&Refusal::new(*reason, "x").parameter(*name));
            writeln!(table, "{} {name} {} {error} {code}", reason.label(), status.as_u16()).unwrap();
            table
        });
        insta::assert_snapshot!(table, @r"
        invalid_parameter tenant 400 invalid_request 900023
        invalid_parameter scope 400 invalid_scope 70011
        malformed_proof client_assertion 401 invalid_client 50027
        malformed_proof client_id 401 invalid_client 700021
        identity_invalid iss 401 invalid_client 700211
        identity_invalid aud 401 invalid_client 700212
        identity_invalid sub 401 invalid_client 700213
        identity_invalid exp 401 invalid_client 700024
        ");
        let other = Fault::of(&Refusal::new(Reason::InvalidParameter, "x").parameter("client_secret"));
        assert_eq!((other.error, other.code), ("invalid_request", 90_100));
    }

    #[test]
    fn our_own_failures_are_5xx_and_nobody_elses_are() {
        for reason in Reason::ALL {
            let status = Fault::of(&Refusal::new(*reason, "x")).status;
            // What an operator has stopped for now must not be taken for final.
            let ours = reason.kind() == Kind::Us || *reason == Reason::Frozen;
            assert_eq!(ours, status.is_server_error(), "{reason:?}");
        }
    }

    #[test]
    fn codes_fit_the_integers_of_every_client() {
        for reason in Reason::ALL {
            assert!(i32::try_from(Fault::of(&Refusal::new(*reason, "x")).code).is_ok());
        }
    }
}
