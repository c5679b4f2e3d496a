//! The page behind `error_uri`: what a number means, for whoever follows the link of an error.

use super::fault::{BY_PARAMETER, Fault};
use bytes::Bytes;
use daypass_core::refusal::{Reason, Refusal};
use daypass_core::request::{Head, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// The number of `?code=`, or every number where none is named. Nothing of the request is repeated in the answer.
pub(super) fn page(head: &Head) -> Response {
    let asked = head.query.split('&').find_map(|pair| pair.strip_prefix("code=")?.parse::<u32>().ok());
    let mut text = String::new();
    for (code, refusals) in numbers() {
        if asked.is_none_or(|asked| asked == code) {
            for (refusal, advice) in refusals {
                let Fault { status, error, .. } = Fault::of(&refusal);
                let reason = refusal.reason;
                let about = refusal.parameter.map_or_else(String::new, |name| format!(" of {name}"));
                // Writing to a string cannot fail.
                let _ = writeln!(
                    text,
                    "AADSTS{code}: {}{about} ({error}, HTTP {})\n  {advice}",
                    reason.label(),
                    status.as_u16()
                );
            }
        }
    }
    if text.is_empty() {
        text.push_str("no error of this service has this number\n");
    }
    let mut response = Response::new(Bytes::from(text));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("max-age=86400"));
    response
}

/// What an OAuth client can be refused with, by number.
fn numbers() -> BTreeMap<u32, Vec<(Refusal, &'static str)>> {
    let plain = Reason::ALL.iter().map(|reason| Refusal::new(*reason, ""));
    let particular = BY_PARAMETER.iter().map(|(reason, name)| Refusal::new(*reason, "").parameter(*name));
    let mut numbers: BTreeMap<u32, Vec<_>> = BTreeMap::new();
    for refusal in plain.chain(particular) {
        if let Some(advice) = advice(refusal.reason, refusal.parameter.as_deref()) {
            numbers.entry(Fault::of(&refusal).code).or_default().push((refusal, advice));
        }
    }
    numbers
}

/// What to do about a refusal; none for those that no OAuth client meets.
fn advice(reason: Reason, parameter: Option<&str>) -> Option<&'static str> {
    Some(match (reason, parameter) {
        (Reason::Malformed | Reason::UnsupportedMediaType, _) => {
            "send a form: Content-Type application/x-www-form-urlencoded, percent-encoded UTF-8"
        }
        (Reason::TooLarge, _) => "send less; the text says what is too long",
        (Reason::TooSlow, _) => "send the whole body at once",
        (Reason::MethodNotAllowed, _) => "tokens are asked for by POST, documents are read by GET",
        (Reason::MissingParameter, _) => "send the parameter that the text names, with a value",
        (Reason::DuplicateParameter, _) => "send each parameter once",
        (Reason::InvalidParameter, Some("tenant")) | (Reason::UnknownTenant, _) => {
            "name the tenant in the URL by its GUID, and check that this is the right server"
        }
        (Reason::InvalidParameter, Some("scope")) => "ask for one {resource}/.default at a time",
        (Reason::InvalidParameter | Reason::VariableRefused, _) => {
            "give the parameter that the text names a value that can be; a credential in a URL counts as leaked"
        }
        (Reason::UnknownAction, _) => "the token endpoint is /{tenant}/oauth2/v2.0/token",
        (Reason::UnsupportedGrant, _) => "the grants here are client_credentials and token-exchange",
        (Reason::MissingProof, _) => {
            "send client_secret or client_assertion in the body, use HTTP Basic, or show a certificate where it is asked for"
        }
        (Reason::SeveralProofs, _) => "use one of HTTP Basic, client_secret and client_assertion",
        (Reason::MalformedProof, Some("client_id")) => {
            "client_id and the assertion must name the same client"
        }
        (Reason::MalformedProof, Some(_)) => {
            "the assertion must be a JWT with the members that the text names"
        }
        (Reason::MalformedProof, None) => "HTTP Basic is base64 of client_id, a colon and client_secret",
        (Reason::UnknownClient, _) => {
            "check client_id, the tenant in the URL, and that this is the right server"
        }
        (Reason::WrongSecret, _) => "send the secret itself, not its id; it may have been retired",
        (Reason::ExpiredSecret, _) => "the operator makes a new one: daypass client rotate",
        (Reason::ClientDisabled, _) => "the operator enables it: daypass client enable",
        (Reason::UnknownKey, _) => "register the certificate or key: daypass client rotate",
        (Reason::WrongSignature, _) => {
            "compare the thumbprints of the key with those that daypass client show --json prints"
        }
        (Reason::Replayed, _) => "make a new assertion, with a new jti, for each request",
        (Reason::ClockSkew, _) | (Reason::IdentityInvalid, Some("exp")) => {
            "set the clock right; the text says what time it is here, and from when until when the token is good"
        }
        (Reason::WrongAudience, _) => "aud is the token endpoint or the issuer, in one piece",
        (Reason::IdentityInvalid, Some("iss")) => {
            "iss must be that of a provider which the client trusts, letter by letter"
        }
        (Reason::IdentityInvalid, Some("aud")) => {
            "ask the outside provider for a token with the audience of the text"
        }
        (Reason::IdentityInvalid, Some("sub")) => {
            "trust the subject of the text: daypass client rotate --subject"
        }
        (Reason::IdentityInvalid, _) => "get a new token from the outside provider",
        (Reason::DpopInvalid, _) => {
            "make a new proof, for this method and URL; the text says what was expected"
        }
        (Reason::SubjectTokenInvalid, _) => {
            "exchange a token that is live and was made for this client, or by it"
        }
        (Reason::InvalidTarget, _) => {
            "ask for less: what all clients of the token may have, for no longer than it lives"
        }
        (Reason::NotYours, _) => "only the client that has asked for a token takes it back",
        (Reason::InvalidScope, _) => {
            "ask for {resource}/.default; the text has the scope that would have worked"
        }
        (Reason::UnknownResource, _) => "the operator grants a role of the resource: daypass client grant",
        (Reason::CredentialTooLarge, _) => {
            "the operator shortens the claims or splits the roles of the resource"
        }
        (Reason::RateLimited, _) => "wait for Retry-After seconds; the right proof is always served",
        (
            Reason::Overloaded
            | Reason::Unavailable
            | Reason::IdentityUnavailable
            | Reason::UpstreamUnavailable,
            _,
        ) => "ask again after Retry-After; nothing was issued",
        (Reason::UpstreamRefused, _) => {
            "the cloud behind this role refused it; give the operator the trace id"
        }
        (Reason::Internal, _) => "it is our mistake; give the operator the trace id",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use daypass_core::testing::request;

    fn text(target: &str) -> String {
        let response = page(&request("GET", target, &[], b"").head);
        String::from_utf8(response.body().to_vec()).unwrap()
    }

    #[test]
    fn a_number_is_explained_and_others_are_not() {
        insta::assert_snapshot!(text("/error?code=7000222"), @r"
        AADSTS7000222: expired_secret (invalid_client, HTTP 401)
          the operator makes a new one: daypass client rotate
        ");
        insta::assert_snapshot!(text("/error?code=700213"), @r"
        AADSTS700213: identity_invalid of sub (invalid_client, HTTP 401)
          trust the subject of the text: daypass client rotate --subject
        ");
        assert!(text("/error").lines().count() > 40);
        for unknown in ["1", "99999"] {
            assert_eq!(text(&format!("/error?code={unknown}")), "no error of this service has this number\n");
        }
    }

    #[test]
    fn nothing_of_the_request_is_repeated() {
        assert!(!text("/error?code=<script>&x=evil").contains(['<', '>']));
    }
}
