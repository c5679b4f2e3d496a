//! The page behind `error_uri`: what a number means, for whoever follows the link of an error.

use super::fault::{BY_PARAMETER, Fault};
use bytes::Bytes;
use daypass_core::refusal::{Kind, Reason, Refusal};
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
            for refusal in refusals {
                let Fault { status, error, .. } = Fault::of(&refusal);
                let reason = refusal.reason;
                let about = refusal.parameter.map_or_else(String::new, |name| format!(" of {name}"));
                let advice = advice(reason.kind());
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

fn numbers() -> BTreeMap<u32, Vec<Refusal>> {
    let plain = Reason::ALL.iter().map(|reason| Refusal::new(*reason, ""));
    let particular = BY_PARAMETER.iter().map(|(reason, name)| Refusal::new(*reason, "").parameter(*name));
    let mut numbers: BTreeMap<u32, Vec<Refusal>> = BTreeMap::new();
    for refusal in plain.chain(particular) {
        numbers.entry(Fault::of(&refusal).code).or_default().push(refusal);
    }
    numbers
}

fn advice(kind: Kind) -> &'static str {
    match kind {
        Kind::Caller => "change the request as its error_description says",
        Kind::Policy => "the operator of the service decides this; give them the trace id",
        Kind::Us => "the service cannot do its work now; ask again after Retry-After",
    }
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
          change the request as its error_description says
        ");
        insta::assert_snapshot!(text("/error?code=700213"), @r"
        AADSTS700213: identity_invalid of sub (invalid_client, HTTP 401)
          change the request as its error_description says
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
