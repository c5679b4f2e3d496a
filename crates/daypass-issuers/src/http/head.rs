//! What the head of an answer says.

use super::JSON;
use daypass_core::clock::Timestamp;
use http::HeaderMap;
use http::header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, DATE, RETRY_AFTER};
use jiff::fmt::rfc2822::DateTimeParser;

/// Whether the document is JSON, or of one of these types.
pub(super) fn is_of(headers: &HeaderMap, accept: &[&str]) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    accept.iter().chain(JSON).any(|accepted| *accepted == kind)
        || (kind.starts_with("application/") && kind.ends_with("+json"))
}

/// How the document is packed, where it is.
pub(super) fn encoding(headers: &HeaderMap) -> Option<String> {
    let encoding = headers.get_all(CONTENT_ENCODING).iter().find(|value| !value.as_bytes().is_empty())?;
    let encoding = String::from_utf8_lossy(encoding.as_bytes()).trim().to_ascii_lowercase();
    (encoding != "identity").then(|| encoding.chars().filter(|c| !c.is_control()).take(16).collect())
}

/// `max-age` of `Cache-Control`, RFC 9111 section 5.2.2.1. Where it stands twice, the first one counts.
pub(super) fn max_age(headers: &HeaderMap) -> Option<u32> {
    let directives = headers.get_all(CACHE_CONTROL);
    let mut directives = directives.iter().filter_map(|value| value.to_str().ok()).flat_map(|v| v.split(','));
    directives.find_map(|directive| {
        let (name, seconds) = directive.split_once('=')?;
        let seconds = seconds.trim().trim_matches('"');
        name.trim().eq_ignore_ascii_case("max-age").then(|| seconds.parse().ok())?
    })
}

/// What the other side's clock showed (RFC 9110 section 6.6.1).
pub(super) fn date(headers: &HeaderMap) -> Option<Timestamp> {
    moment(headers.get(DATE)?.to_str().ok()?)
}

/// `Retry-After`, RFC 9110 section 10.2.3: seconds, or a date. A date is read by the other side's own clock: ours may
/// be the reason for the refusal.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<u32> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = value.parse() {
        return Some(seconds);
    }
    let seconds = moment(value)?.as_second() - date(headers)?.as_second();
    Some(u32::try_from(seconds.max(0)).unwrap_or(u32::MAX))
}

fn moment(text: &str) -> Option<Timestamp> {
    DateTimeParser::new().parse_timestamp(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderName, HeaderValue};

    fn head(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pairs = pairs.iter().map(|(n, v)| (HeaderName::from_static(n), HeaderValue::from_static(v)));
        pairs.collect()
    }

    #[test]
    fn only_json_and_what_was_named_is_read() {
        let of = |kind, accept: &[&str]| is_of(&head(&[("content-type", kind)]), accept);
        for kind in ["application/json", "application/json; charset=utf-8", "Application/JWK-Set+JSON"] {
            assert!(of(kind, JSON), "{kind}");
        }
        for kind in ["text/html", "text/json+x", "application/jsonp", "text/plain; application/json", ""] {
            assert!(!of(kind, JSON), "{kind}");
        }
        assert!(of("text/javascript;charset=UTF-8", &["text/javascript"]) && !of("text/javascript", JSON));
        assert!(!is_of(&HeaderMap::new(), JSON));
    }

    #[test]
    fn how_long_an_answer_may_be_kept_is_read_from_its_head() {
        for (given, expected) in [
            ("max-age=90", Some(90)),
            ("public, Max-Age=\"7\", max-age=8", Some(7)),
            ("s-maxage=5", None),
            ("max-age=-1", None),
            ("max-age=99999999999", None),
            ("no-store", None),
        ] {
            assert_eq!(max_age(&head(&[("cache-control", given)])), expected, "{given}");
        }
    }

    #[test]
    fn when_to_ask_again_is_seconds_or_a_date_by_their_clock() {
        const AT: (&str, &str) = ("date", "Tue, 14 Nov 2023 22:13:20 GMT");
        for (given, expected) in [
            ("17", Some(17)),
            (" 0 ", Some(0)),
            ("Tue, 14 Nov 2023 22:15:20 GMT", Some(120)),
            ("Tue, 14 Nov 2023 22:00:00 GMT", Some(0)),
            ("-3", None),
            ("soon", None),
        ] {
            assert_eq!(retry_after(&head(&[AT, ("retry-after", given)])), expected, "{given}");
        }
        assert_eq!(retry_after(&head(&[("retry-after", AT.1)])), None, "a date without theirs says nothing");
        assert_eq!(date(&head(&[AT])).map(Timestamp::as_second), Some(1_700_000_000));
    }

    #[test]
    fn what_is_packed_is_known() {
        for (given, expected) in [
            ("gzip", Some("gzip")),
            (" GZIP", Some("gzip")),
            ("identity", None),
            ("br, gzip", Some("br, gzip")),
        ] {
            assert_eq!(encoding(&head(&[("content-encoding", given)])).as_deref(), expected, "{given}");
        }
        assert_eq!(encoding(&HeaderMap::new()), None);
    }
}
