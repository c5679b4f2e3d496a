//! The compact form of a JWT, taken apart without any leniency.
//!
//! A token has one spelling here: parts that other parsers might read differently (padding, blanks, doubled members)
//! are refused, so that what was verified and what is believed cannot be two things.

use crate::clock::{SignedDuration, Timestamp};
use crate::json;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

/// A JWT whose header was read and of which nothing is believed yet.
pub(crate) struct Compact<'a> {
    /// The header's members.
    pub(crate) header: Map<String, Value>,
    /// The first two parts with their dot: what the signature is over, as received.
    pub(crate) signed: &'a [u8],
    /// The signature's bytes.
    pub(crate) signature: Vec<u8>,
    /// The third part as it came.
    pub(crate) signature_text: &'a str,
    claims: Vec<u8>,
}

/// What a token should have been.
pub(crate) type Expected = &'static str;

impl<'a> Compact<'a> {
    /// Takes a token of at most `longest` bytes apart.
    pub(crate) fn parse(token: &'a [u8], longest: usize) -> Result<Self, Expected> {
        const PARTS: Expected = "three parts of base64url without padding, joined by dots";
        if token.len() > longest {
            return Err("a shorter token");
        }
        let text = std::str::from_utf8(token).map_err(|_| PARTS)?;
        let (signed, signature_text) = text.rsplit_once('.').ok_or(PARTS)?;
        let (header, claims) = signed.split_once('.').ok_or(PARTS)?;
        // The decoder refuses padding, foreign characters (a fourth part's dot among them) and bits left over.
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).ok().filter(|bytes| !bytes.is_empty());
        let header = decode(header).ok_or(PARTS)?;
        Ok(Self {
            header: object(&header).ok_or("a header that is a JSON object without doubled members")?,
            signed: signed.as_bytes(),
            signature: decode(signature_text).ok_or(PARTS)?,
            signature_text,
            claims: decode(claims).ok_or(PARTS)?,
        })
    }

    /// The claims. Only to be asked for when the signature was found right.
    pub(crate) fn claims(&self) -> Result<Map<String, Value>, Expected> {
        object(&self.claims).ok_or("claims that are a JSON object without doubled members")
    }

    /// A member of the header that is text.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.header.get(name).and_then(Value::as_str)
    }
}

fn object(bytes: &[u8]) -> Option<Map<String, Value>> {
    match json::parse(bytes) {
        Ok(Value::Object(members)) => Some(members),
        _ => None,
    }
}

/// A `NumericDate` of RFC 7519: seconds since the Unix epoch, whole or with a fraction, between the years 1970 and
/// 9999. None for anything else, a number in a string included.
pub(crate) fn date(value: &Value) -> Option<Timestamp> {
    let Value::Number(number) = value else { return None };
    let since = match number.as_i64() {
        Some(seconds) => SignedDuration::from_secs(seconds),
        None => SignedDuration::try_from_secs_f64(number.as_f64()?).ok()?,
    };
    if since.is_negative() {
        return None;
    }
    Timestamp::from_duration(since).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn encode(bytes: impl AsRef<[u8]>) -> String {
        URL_SAFE_NO_PAD.encode(bytes)
    }

    fn token(header: &str, claims: &str) -> String {
        format!("{}.{}.{}", encode(header), encode(claims), encode("signature"))
    }

    fn parses(token: &str) -> bool {
        Compact::parse(token.as_bytes(), 1000).is_ok()
    }

    #[test]
    fn a_token_comes_apart_into_what_was_put_together() {
        let token = token(r#"{"alg":"ES256","kid":"a"}"#, r#"{"sub":"alice"}"#);
        let parsed = Compact::parse(token.as_bytes(), token.len()).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(parsed.text("kid"), Some("a"));
        assert_eq!(parsed.text("typ"), None);
        assert_eq!(parsed.claims().unwrap()["sub"], "alice");
        assert_eq!(parsed.signature, b"signature");
        assert_eq!([parsed.signed, b".", parsed.signature_text.as_bytes()].concat(), token.as_bytes());
        assert!(Compact::parse(token.as_bytes(), token.len() - 1).is_err(), "one byte too long");
    }

    #[test]
    fn a_token_has_one_spelling() {
        let good = token("{}", "{}");
        assert!(parses(&good));
        let [header, claims, signature]: [&str; 3] = good.split('.').collect::<Vec<_>>().try_into().unwrap();
        for bad in [
            format!("{header}.{claims}"),
            format!("{header}.{claims}."),
            format!(".{claims}.{signature}"),
            format!("{header}..{signature}"),
            format!("{good}.{signature}"),
            format!("{good}="),
            format!("{header}=.{claims}.{signature}"),
            format!("{good} "),
            format!(" {good}"),
            format!("{good}\n"),
            // `e30` is `{}`; `e31` decodes to the same in a decoder that forgives the bits left over.
            format!("e31.{claims}.{signature}"),
            format!("{header}.{claims}.-_+/"),
            String::new(),
            "..".to_owned(),
        ] {
            assert!(!parses(&bad), "{bad:?}");
        }
    }

    #[test]
    fn members_that_stand_twice_are_refused_in_header_and_claims() {
        assert!(!parses(&token(r#"{"alg":"ES256","alg":"none"}"#, "{}")));
        let doubled = token("{}", r#"{"sub":"alice","\u0073ub":"bob"}"#);
        assert!(Compact::parse(doubled.as_bytes(), 1000).unwrap_or_else(|e| panic!("{e}")).claims().is_err());
        for header in ["[]", "null", "1", "{", "{} {}"] {
            assert!(!parses(&token(header, "{}")), "{header}");
        }
    }

    #[test]
    fn a_date_is_a_number_in_the_range_of_the_calendar() {
        let at = |value: Value| date(&value).map(Timestamp::as_millisecond);
        assert_eq!(at(json!(1_700_000_000)), Some(1_700_000_000_000));
        assert_eq!(at(json!(1_700_000_000.5)), Some(1_700_000_000_500));
        assert_eq!(at(json!(0)), Some(0));
        for bad in [json!("1700000000"), json!(-1), json!(1e300), json!(u64::MAX), json!(null), json!([1])] {
            assert_eq!(at(bad.clone()), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes: Vec<u8>, number: f64) {
            let _ = Compact::parse(&bytes, 1000).map(|parsed| parsed.claims().is_ok());
            let _ = date(&json!(number));
        }
    }
}
