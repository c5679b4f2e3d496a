//! The compact form of a signed JWT (RFC 7515, section 7.1), taken apart without any leniency.

use crate::json;
use crate::rejected::Rejected;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

/// The longest token, in bytes: servers bound their headers at about this. Attack: all that happens before the
/// signature is work done for a stranger.
pub(crate) const LONGEST: usize = 16 * 1024;

/// The longest `kid`, in bytes.
const KID: usize = 256;

/// Members of a header that change what is signed, or how (RFC 7515, section 4.1.11; RFC 7797; RFC 7516). Whoever does
/// not act on them reads another token than its maker wrote. Others are ignored, as RFC 7515 demands, and so are
/// `jku`, `jwk`, `x5u` and `x5c`. Attack: a token that brings its own key.
const REFUSED: [&str; 4] = ["crit", "b64", "zip", "enc"];

/// A JWT whose header was read, and of which nothing is believed yet.
pub(crate) struct Compact<'a> {
    /// The header's members.
    pub(crate) header: Map<String, Value>,
    /// The first two parts with their dot: what the signature is over, as received.
    pub(crate) signed: &'a [u8],
    /// The signature's bytes.
    pub(crate) signature: Vec<u8>,
    claims: Vec<u8>,
}

impl<'a> Compact<'a> {
    /// Takes a token apart. It has one spelling: padding, blanks and bits left over are refused, because a list of
    /// tokens that are denied, or seen, works by the token's text.
    pub(crate) fn parse(token: &'a str) -> Result<Self, Rejected> {
        Self::parse_within(token, LONGEST)
    }

    /// The same for a JWT of at most this many bytes, which is no token of a stranger.
    pub(crate) fn parse_within(token: &'a str, longest: usize) -> Result<Self, Rejected> {
        const PARTS: Rejected = Rejected::Malformed("three parts of base64url without padding were expected");
        if token.len() > longest {
            return Err(Rejected::Malformed("a shorter token was expected"));
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(PARTS)?;
        let (header, claims) = signed.split_once('.').ok_or(PARTS)?;
        // A fourth part's dot is foreign to the decoder's alphabet.
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).ok().filter(|bytes| !bytes.is_empty());
        let header = decode(header).ok_or(PARTS)?;
        let header = json::object(&header).ok_or(Rejected::Malformed(
            "a header that is a JSON object without doubled members was expected",
        ))?;
        if REFUSED.iter().any(|name| header.contains_key(*name)) {
            return Err(Rejected::Malformed("a header without crit, b64, zip and enc was expected"));
        }
        Ok(Self {
            header,
            signed: signed.as_bytes(),
            signature: decode(signature).ok_or(PARTS)?,
            claims: decode(claims).ok_or(PARTS)?,
        })
    }

    /// The id of the key that it says it was signed with.
    pub(crate) fn kid(&self) -> Result<Option<&str>, Rejected> {
        match self.header.get("kid") {
            None => Ok(None),
            Some(Value::String(kid)) if (1..=KID).contains(&kid.len()) => Ok(Some(kid)),
            Some(_) => Err(Rejected::Malformed("a kid that is a short text was expected")),
        }
    }

    /// The media type in lower case, without the `application/` that RFC 7515, section 4.1.9 lets one leave out.
    pub(crate) fn typ(&self) -> Result<Option<String>, Rejected> {
        match self.header.get("typ") {
            None => Ok(None),
            Some(Value::String(typ)) => {
                let typ = typ.to_ascii_lowercase();
                Ok(Some(typ.strip_prefix("application/").unwrap_or(&typ).to_owned()))
            }
            Some(_) => Err(Rejected::Type),
        }
    }

    /// The claims. Only to be asked for when the signature was found right.
    pub(crate) fn claims(&self) -> Result<Map<String, Value>, Rejected> {
        json::object(&self.claims)
            .ok_or(Rejected::Malformed("claims that are a JSON object without doubled members were expected"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn token(header: &str, claims: &str) -> String {
        let encode = |text: &str| URL_SAFE_NO_PAD.encode(text);
        format!("{}.{}.{}", encode(header), encode(claims), encode("signature"))
    }

    fn parses(token: &str) -> bool {
        Compact::parse(token).is_ok()
    }

    #[test]
    fn a_token_comes_apart_into_what_was_put_together() {
        let token = token(r#"{"alg":"ES256","kid":"a","typ":"application/AT+JWT"}"#, r#"{"sub":"alice"}"#);
        let parsed = Compact::parse(&token).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!((parsed.kid(), parsed.typ()), (Ok(Some("a")), Ok(Some("at+jwt".to_owned()))));
        assert_eq!(parsed.claims().unwrap()["sub"], "alice");
        assert_eq!(parsed.signature, b"signature");
        assert!(token.starts_with(std::str::from_utf8(parsed.signed).unwrap()));
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
            // `e30` is `{}`; `e31` is the same to a decoder that forgives the bits left over.
            format!("e31.{claims}.{signature}"),
            format!("{header}.{claims}.-_+/"),
            String::new(),
            "..".to_owned(),
        ] {
            assert!(!parses(&bad), "{bad:?}");
        }
    }

    #[test]
    fn what_changes_the_meaning_of_a_token_is_refused_and_the_rest_is_ignored() {
        for name in REFUSED {
            assert!(!parses(&token(&format!(r#"{{"{name}":null}}"#), "{}")), "{name}");
        }
        assert!(parses(&token(r#"{"jku":"https://evil.example","jwk":{},"x5c":[],"extra":1}"#, "{}")));
        assert!(!parses(&token(r#"{"alg":"ES256","alg":"none"}"#, "{}")));
        let doubled = token("{}", r#"{"sub":"alice","\u0073ub":"bob"}"#);
        assert!(Compact::parse(&doubled).unwrap_or_else(|e| panic!("{e}")).claims().is_err());
    }

    #[test]
    fn key_ids_are_short_texts() {
        let kid = |kid: &str| {
            let token = token(&format!(r#"{{"kid":{kid}}}"#), "{}");
            Compact::parse(&token).unwrap_or_else(|e| panic!("{e}")).kid().is_ok()
        };
        assert!(kid("\"../../etc/passwd\"") && kid(&format!("\"{}\"", "a".repeat(KID))));
        for wrong in ["\"\"", "1", "null", "[\"a\"]", &format!("\"{}\"", "a".repeat(KID + 1))] {
            assert!(!kid(wrong), "{wrong}");
        }
    }

    #[test]
    fn length_is_bounded() {
        let longest = format!("e30.e30.{}", "A".repeat(LONGEST - 8));
        assert!(parses(&longest));
        assert!(!parses(&format!("{longest}AAAA")));
    }

    proptest! {
        #[test]
        fn arbitrary_text_never_panics(text: String, parts in "[A-Za-z0-9_.-]*") {
            let _ = Compact::parse(&text);
            let _ = Compact::parse(&parts);
        }
    }
}
