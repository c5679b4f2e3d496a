//! ACS3-HMAC-SHA256, the present signature of Alibaba Cloud's APIs.
//!
//! ```text
//! canonical request   METHOD \n path \n canonical query \n name:value\n … \n SignedHeaders \n x-acs-content-sha256
//! string to sign      ACS3-HMAC-SHA256 \n hex(SHA-256(canonical request))
//! signature           hex(HMAC-SHA256(AccessKeySecret, string to sign))
//! ```
//!
//! Source: Alibaba Cloud's document on signature version 3. The query travels in form encoding (`+`, a bare `*`) and is
//! signed in percent encoding, so a verifier decodes it and encodes it again as [`super::rpc::encode`] does.

use super::ClientKey;
use super::rpc::canonical_query;
use aws_lc_rs::{digest, hmac};
use daypass_core::clock::{Timestamp, rfc3339};
use std::fmt::Write as _;

/// The name of the algorithm, first word of `Authorization` and first line of the string to sign.
pub const ALGORITHM: &str = "ACS3-HMAC-SHA256";

/// A SHA-256 or HMAC-SHA-256 output.
pub type Digest = [u8; 32];

/// The parts of a canonical request.
pub struct CanonicalRequest<'a> {
    /// The method.
    pub method: &'a str,
    /// The path, as it was sent.
    pub path: &'a str,
    /// The decoded parameters of the query, sorted by name.
    pub query: &'a [(&'a str, &'a str)],
    /// The signed headers, names in lower case, values without blanks around them, sorted by name.
    pub headers: &'a [(&'a str, &'a str)],
    /// The value of `x-acs-content-sha256`.
    pub content_sha256: &'a str,
}

impl CanonicalRequest<'_> {
    /// The text.
    pub fn text(&self) -> String {
        let mut text = format!("{}\n{}\n", self.method, self.path);
        text.push_str(&canonical_query(self.query.iter().copied()));
        text.push('\n');
        for (name, value) in self.headers {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{name}:{value}");
        }
        let names: Vec<_> = self.headers.iter().map(|(name, _)| *name).collect();
        let _ = write!(text, "\n{}\n{}", names.join(";"), self.content_sha256);
        text
    }

    /// What is signed.
    pub fn string_to_sign(&self) -> String {
        format!("{ALGORITHM}\n{}", hex(&hash(self.text().as_bytes())))
    }
}

/// SHA-256.
pub fn hash(bytes: &[u8]) -> Digest {
    array(digest::digest(&digest::SHA256, bytes).as_ref())
}

/// The signature over a string to sign.
pub fn sign(secret: &[u8], string_to_sign: &str) -> Digest {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    array(hmac::sign(&key, string_to_sign.as_bytes()).as_ref())
}

/// Lower-case hexadecimal, as this algorithm writes hashes and signatures.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(64), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

/// Reads what [`hex`] writes and nothing else: one digest has one spelling.
pub fn unhex(text: &str) -> Option<Digest> {
    let digit = |b: u8| match b {
        b'0'..=b'9' => Some(b - b'0'),
        b'a'..=b'f' => Some(b - b'a' + 10),
        _ => None,
    };
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let bytes: Option<Vec<u8>> = pairs.iter().map(|[a, b]| Some(digit(*a)? << 4 | digit(*b)?)).collect();
    bytes.filter(|_| rest.is_empty())?.try_into().ok()
}

/// A request that a client is about to sign.
pub struct Outgoing<'a> {
    /// `GET` or `POST`.
    pub method: &'a str,
    /// Where it goes: what stands in the Host header, with the port where there is one.
    pub host: &'a str,
    /// The parameters, decoded; they travel in the query.
    pub query: &'a [(&'a str, &'a str)],
    /// The body; empty where the parameters are in the query.
    pub body: &'a [u8],
    /// What is asked for.
    pub action: &'a str,
    /// The version of the API.
    pub version: &'a str,
    /// A text that no two requests have in common.
    pub nonce: &'a str,
    /// When it is made.
    pub at: Timestamp,
}

/// The headers that sign a request to the path `/`, names in lower case. The query is
/// [`canonical_query`](super::rpc::canonical_query) of the parameters in the order given.
pub fn sign_request(key: &ClientKey<'_>, out: &Outgoing<'_>) -> Vec<(&'static str, String)> {
    let content_sha256 = hex(&hash(out.body));
    let mut headers = vec![
        ("host", out.host.to_owned()),
        ("x-acs-action", out.action.to_owned()),
        ("x-acs-content-sha256", content_sha256.clone()),
        ("x-acs-date", rfc3339(out.at)),
    ];
    headers.extend(key.token.map(|token| ("x-acs-security-token", token.to_owned())));
    headers
        .extend([("x-acs-signature-nonce", out.nonce.to_owned()), ("x-acs-version", out.version.to_owned())]);
    let mut query = out.query.to_vec();
    query.sort_unstable();
    let signed: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let names: Vec<_> = signed.iter().map(|(name, _)| *name).collect();
    let request = CanonicalRequest {
        method: out.method,
        path: "/",
        query: &query,
        headers: &signed,
        content_sha256: &content_sha256,
    };
    let authorization = format!(
        "{ALGORITHM} Credential={},SignedHeaders={},Signature={}",
        key.id,
        names.join(";"),
        hex(&sign(key.secret, &request.string_to_sign()))
    );
    headers.push(("authorization", authorization));
    headers
}

fn array(bytes: &[u8]) -> Digest {
    bytes.first_chunk().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    #[test]
    fn one_digest_has_one_spelling() {
        let digest = hash(b"abc");
        let text = hex(&digest);
        assert_eq!(unhex(&text), Some(digest));
        for bad in ["", &text[1..], &format!("{text}0"), &format!("{text}00"), &text.to_uppercase()] {
            assert_eq!(unhex(bad), None, "{bad}");
        }
        assert_eq!(unhex(&format!("g{}", &text[1..])), None);
    }

    #[test]
    fn every_intermediate_string_of_the_vectors_is_right() {
        let vectors: Value = serde_json::from_str(include_str!("../../../vectors/alibaba-acs.json")).unwrap();
        let vectors = vectors["acs3"].as_array().unwrap();
        assert_eq!(vectors.len(), 6);
        for vector in vectors {
            let text = |name: &str| vector[name].as_str().unwrap();
            let pairs = |name: &str| {
                let members = vector[name].as_object().unwrap();
                let mut pairs: Vec<_> =
                    members.iter().map(|(n, v)| (n.as_str(), v.as_str().unwrap())).collect();
                pairs.sort_unstable();
                pairs
            };
            let mut headers = pairs("headers");
            let signed = text("canonical_request").rsplit('\n').nth(1).unwrap();
            headers.retain(|(name, _)| signed.split(';').any(|one| one == *name));
            let request = CanonicalRequest {
                method: text("method"),
                path: text("path"),
                query: &pairs("query"),
                headers: &headers,
                content_sha256: vector["headers"]["x-acs-content-sha256"].as_str().unwrap(),
            };
            let name = text("name");
            assert_eq!(request.text(), text("canonical_request"), "{name}");
            assert_eq!(request.string_to_sign(), text("string_to_sign"), "{name}");
            let signature = sign(text("access_key_secret").as_bytes(), &request.string_to_sign());
            assert_eq!(hex(&signature), text("signature"), "{name}");
            assert_eq!(request.content_sha256, hex(&hash(text("body").as_bytes())), "{name}");
        }
    }
}
