//! The RPC signature, version 1: HMAC-SHA1 over all parameters of a request.
//!
//! ```text
//! canonical query   name=value joined by &, sorted by name, each percent-encoded
//! string to sign    METHOD & %2F & encoded(canonical query)
//! signature         base64(HMAC-SHA1(AccessKeySecret + "&", string to sign))
//! ```
//!
//! Source: Alibaba Cloud's document on the RPC style of its APIs. Query and form body count alike, and so does a
//! parameter with an empty value (the older Python SDK signs an empty `SignatureType`).

use super::ClientKey;
use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use daypass_core::clock::{Timestamp, rfc3339};
use std::fmt::Write as _;

/// The value of `SignatureMethod`.
pub const METHOD: &str = "HMAC-SHA1";
/// The value of `SignatureVersion`.
pub const VERSION: &str = "1.0";
/// How many bytes a signature has, before base64.
pub const LENGTH: usize = 20;

/// Percent-encodes as the vendor does: only `A-Za-z0-9-_.~` stay as they are.
pub fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// Names and values, encoded and joined. The parameters must be sorted by name and hold no `Signature`.
pub fn canonical_query<'a>(sorted: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let mut query = String::with_capacity(512);
    for (name, value) in sorted {
        if !query.is_empty() {
            query.push('&');
        }
        query.push_str(&encode(name));
        query.push('=');
        query.push_str(&encode(value));
    }
    query
}

/// What is signed: the method, the root path, and the canonical query encoded once more.
pub fn string_to_sign(method: &str, canonical_query: &str) -> String {
    format!("{method}&%2F&{}", encode(canonical_query))
}

/// The signature over a string to sign.
pub fn digest(secret: &[u8], string_to_sign: &str) -> [u8; LENGTH] {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &[secret, b"&"].concat());
    let tag = hmac::sign(&key, string_to_sign.as_bytes());
    tag.as_ref().first_chunk().copied().unwrap_or_default()
}

/// The signature over these parameters, in any order; one named `Signature` is left out.
///
/// ```
/// use daypass_dialects::alibaba::sign::rpc::sign;
/// let params = [
///     ("AccessKeyId", "testid"), ("Action", "DescribeRegions"), ("Format", "XML"),
///     ("SignatureMethod", "HMAC-SHA1"), ("SignatureNonce", "3ee8c1b8-83d3-44af-a94f-4e0ad82fd6cf"),
///     ("SignatureVersion", "1.0"), ("Timestamp", "2016-02-23T12:46:24Z"), ("Version", "2014-05-26"),
/// ];
/// // The published example of the vendor's document.
/// assert_eq!(sign(b"testsecret", "GET", params), "OLeaidS1JvxuMvnyHOwuJ+uX5qY=");
/// ```
pub fn sign<'a>(secret: &[u8], method: &str, params: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let mut params: Vec<_> = params.into_iter().filter(|(name, _)| *name != "Signature").collect();
    params.sort_unstable();
    STANDARD.encode(digest(secret, &string_to_sign(method, &canonical_query(params))))
}

/// The parameters of a signed request, in the order of their names and with the signature behind them: what it asks for
/// in `params`, and what every request has.
pub fn sign_request(
    key: &ClientKey<'_>,
    method: &str,
    params: &[(&str, &str)],
    nonce: &str,
    at: Timestamp,
) -> Vec<(String, String)> {
    let stamp = rfc3339(at);
    let mut all = params.to_vec();
    all.extend([
        ("AccessKeyId", key.id),
        ("SignatureMethod", METHOD),
        ("SignatureNonce", nonce),
        ("SignatureVersion", VERSION),
        ("Timestamp", &stamp),
    ]);
    all.extend(key.token.map(|token| ("SecurityToken", token)));
    all.sort_unstable();
    let signature = sign(key.secret, method, all.iter().copied());
    all.push(("Signature", &signature));
    all.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    #[test]
    fn every_intermediate_string_of_the_vectors_is_right() {
        let vectors: Value = serde_json::from_str(include_str!("../../../vectors/alibaba-acs.json")).unwrap();
        let vectors = vectors["rpc_v1"].as_array().unwrap();
        assert_eq!(vectors.len(), 9);
        for vector in vectors {
            let text = |name: &str| vector[name].as_str().unwrap();
            let params = vector["params"].as_object().unwrap();
            let mut sorted: Vec<_> = params.iter().map(|(n, v)| (n.as_str(), v.as_str().unwrap())).collect();
            sorted.sort_unstable();
            let query = canonical_query(sorted.iter().copied());
            assert_eq!(query, text("canonical_query"), "{}", text("name"));
            let to_sign = string_to_sign(text("method"), &query);
            assert_eq!(to_sign, text("string_to_sign"), "{}", text("name"));
            let secret = text("access_key_secret").as_bytes();
            assert_eq!(STANDARD.encode(digest(secret, &to_sign)), text("signature"), "{}", text("name"));
            assert_eq!(sign(secret, text("method"), sorted.into_iter().rev()), text("signature"));
        }
    }

    proptest! {
        #[test]
        fn the_canonical_query_is_injective(a in "\\PC{0,8}", b in "\\PC{0,8}", c in "\\PC{0,8}", d in "\\PC{0,8}") {
            prop_assume!((&a, &b) != (&c, &d));
            prop_assert_ne!(canonical_query([(a.as_str(), b.as_str())]), canonical_query([(c.as_str(), d.as_str())]));
            prop_assert_ne!(
                canonical_query([("n", a.as_str()), ("o", b.as_str())]),
                canonical_query([("n", c.as_str()), ("o", d.as_str())])
            );
        }

        #[test]
        fn encoding_leaves_nothing_that_separates(text: String) {
            prop_assert!(encode(&text).bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.~%".contains(&b)));
        }
    }
}
