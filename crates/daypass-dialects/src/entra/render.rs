//! How answers are written. Always JSON, whatever was asked for in `Accept`: Entra's clients parse nothing else.

use super::fault::Fault;
use super::inspection::{Inactive, Told};
use super::metadata::Document;
use super::wire::{ErrorAnswer, TokenAnswer};
use super::{Manner, exchange};
use bytes::Bytes;
use daypass_core::caller::Confirmation;
use daypass_core::clock::{rfc3339, unix};
use daypass_core::credential::{Credential, Granted};
use daypass_core::inspect::Inspection;
use daypass_core::refusal::Refusal;
use daypass_core::request::{Head, Response};
use http::header::{
    CACHE_CONTROL, CONTENT_TYPE, ETAG, EXPIRES, IF_NONE_MATCH, PRAGMA, RETRY_AFTER,
    STRICT_TRANSPORT_SECURITY, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde::Serialize;

/// What a client waits for when nobody said how long. It must be an integer: MSAL reads no date here.
const RETRY_AFTER_DEFAULT: u32 = 1;

/// The longest time that `Retry-After` says, in seconds. Above it there is no such header, and the sentence alone says when.
///
/// The Azure SDKs for Python and Node wait inside the call for as long as the header says, and do so three times: where a
/// daily quota is used up the call would come back after midnight. Without it they fail at once, or after some seconds;
/// the one for Go waits for nothing that is longer than this; MSAL asks again after five seconds or a minute, and no later
/// than an hour after a quota was raised.
const RETRY_AFTER_LONGEST: u32 = 60;

/// The answer with a credential.
pub(super) fn granted(manner: &Manner, granted: &Granted) -> Response {
    // Entra answers 3599 for an hour: the token may be used for less than its lifetime by the time it is read.
    let expires_in = unix(granted.expires).saturating_sub(unix(granted.handed_out)).saturating_sub(1).max(0);
    let token_type = match granted.confirmation {
        // A token that is bound to a certificate is sent as before (RFC 8705 §3).
        None | Some(Confirmation::Certificate(_)) => "Bearer",
        Some(Confirmation::Key(_)) => "DPoP",
    };
    match (manner.exchange, &granted.credential) {
        (Some(wanted), _) => {
            let answer = exchange::Answer::of(wanted, granted, token_type, expires_in);
            respond(manner, StatusCode::OK, &answer)
        }
        (None, Credential::Bearer(bearer)) => {
            let access_token = bearer.token.expose_str();
            let answer = TokenAnswer { token_type, expires_in, ext_expires_in: expires_in, access_token };
            respond(manner, StatusCode::OK, &answer)
        }
        (None, Credential::Triple(_)) => {
            refused(manner, &Refusal::internal("a token was asked for and a triple was made"))
        }
    }
}

/// What a token is, or no more than that it does not count (RFC 7662 §2.2).
pub(super) fn inspected(manner: &Manner, found: Option<&Inspection>) -> Response {
    match found {
        Some(inspection) => respond(manner, StatusCode::OK, &Told::of(inspection)),
        None => respond(manner, StatusCode::OK, &Inactive::ANSWER),
    }
}

/// A token counts no more, if there was one (RFC 7009 §2.2).
pub(super) fn revoked(manner: &Manner) -> Response {
    let mut response = respond(manner, StatusCode::OK, &());
    *response.body_mut() = Bytes::new();
    response.headers_mut().remove(CONTENT_TYPE);
    response
}

/// The answer without one.
pub(super) fn refused(manner: &Manner, refusal: &Refusal) -> Response {
    let Fault { status, error, code } = fault(manner, refusal);
    let timestamp = rfc3339(manner.at).replace('T', " ");
    let (trace_id, correlation_id) = (manner.request_id, manner.correlation());
    let answer = ErrorAnswer {
        error,
        error_description: &format!(
            "AADSTS{code}: {} Trace ID: {trace_id} Correlation ID: {correlation_id} Timestamp: {timestamp}",
            sentence(&refusal.detail)
        ),
        error_codes: [code],
        timestamp: &timestamp,
        trace_id,
        correlation_id,
        error_uri: &format!("{}/error?code={code}", manner.public_url),
    };
    let mut response = respond(manner, status, &answer);
    let headers = response.headers_mut();
    let again = refusal.retry_after.unwrap_or(RETRY_AFTER_DEFAULT);
    if matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE)
        && again <= RETRY_AFTER_LONGEST
    {
        headers.insert(RETRY_AFTER, again.into());
    }
    if status == StatusCode::UNAUTHORIZED && manner.basic {
        headers
            .insert(WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"token\", charset=\"UTF-8\""));
    }
    response
}

/// A public document, which may be kept for as long as it says.
pub(super) fn document(document: Document, head: &Head) -> Response {
    let mut response = Response::new(Bytes::from(document.body));
    let mut media = JSON;
    if let Some((tag, of_feed)) = &document.feed {
        media = HeaderValue::from_static(of_feed);
        if is_known(head, tag) {
            *response.body_mut() = Bytes::new();
            *response.status_mut() = StatusCode::NOT_MODIFIED;
        }
        insert(response.headers_mut(), ETAG, tag);
    }
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, media);
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    insert(headers, CACHE_CONTROL, &format!("public, max-age={}", document.max_age));
    response
}

/// Whether the asker has this version of a document (RFC 9110, section 13.1.2, by the weak comparison).
fn is_known(head: &Head, tag: &str) -> bool {
    let bare = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    let mut known = head.header(IF_NONE_MATCH.as_str()).unwrap_or_default().split(',');
    known.any(|known| known.trim() == "*" || bare(known) == bare(tag))
}

const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");

fn fault(manner: &Manner, refusal: &Refusal) -> Fault {
    let mut fault = Fault::of(refusal);
    if manner.document {
        fault = fault.at_document();
    }
    if manner.basic {
        fault = fault.after_basic();
    }
    fault
}

fn respond(manner: &Manner, status: StatusCode, body: &impl Serialize) -> Response {
    // These structs have string keys and no failing member; an empty object is still JSON.
    let body = serde_json::to_vec(body).unwrap_or_else(|_| b"{}".to_vec());
    let mut response = Response::new(Bytes::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    for (name, value) in [
        (CACHE_CONTROL, "no-store, no-cache"),
        (PRAGMA, "no-cache"),
        (EXPIRES, "-1"),
        (STRICT_TRANSPORT_SECURITY, "max-age=31536000; includeSubDomains"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.insert(CONTENT_TYPE, JSON);
    insert(headers, HeaderName::from_static("x-ms-request-id"), &manner.request_id.to_string());
    if manner.return_correlation {
        insert(headers, HeaderName::from_static("client-request-id"), &manner.correlation().to_string());
    }
    response
}

fn insert(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    // Digits, hyphens and words of ours: never an invalid value.
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

/// A detail as a sentence, in the characters of RFC 6749 §5.2. None of them needs an escape in JSON; the Azure SDK
/// for Rust cannot read a description that has one.
fn sentence(detail: &str) -> String {
    let fine = |c: char| matches!(c, ' ' | '!' | '#'..='[' | ']'..='~');
    let mut out: String = detail.chars().filter(|c| fine(*c)).collect();
    if let Some(first) = out.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    out.push('.');
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_detail_becomes_a_sentence() {
        assert_eq!(sentence("the scope is wrong; ask for x"), "The scope is wrong; ask for x.");
        assert_eq!(sentence("é 'a' \"b\" \\ c\r\n"), " 'a' b  c.");
        assert_eq!(sentence(""), ".");
    }

    proptest! {
        #[test]
        fn a_sentence_never_needs_an_escape(detail: String) {
            let sentence = sentence(&detail);
            prop_assert_eq!(serde_json::to_string(&sentence).unwrap(), format!("\"{sentence}\""));
            prop_assert!(sentence.is_ascii());
        }
    }
}
