//! The older signature ("signature v1"), made over the decoded parameters as one text: pure functions for the
//! server and for a client.
//!
//! ```text
//! string to sign   METHOD host "/?" name=value & name=value & …      names in byte order, values as they are
//! signature        base64(HMAC-SHA1 or HMAC-SHA256 (SecretKey, string to sign))
//! ```
//!
//! Source: the vendor's page "Signature v1" and its SDKs. Values are joined without being encoded, so that the text
//! alone does not say where one ends; the server's rules against that stand in `legacy`.

use super::ClientKey;
use crate::tencent::wire::{VERSION, parameter};
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use daypass_core::clock::Timestamp;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// What the text is signed with: the values of `SignatureMethod`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// HMAC-SHA1: what a request means that names no method.
    HmacSha1,
    /// HMAC-SHA256.
    HmacSha256,
}

impl Algorithm {
    /// Both.
    pub const ALL: [Self; 2] = [Self::HmacSha1, Self::HmacSha256];

    /// The name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::HmacSha1 => "HmacSHA1",
            Self::HmacSha256 => "HmacSHA256",
        }
    }

    /// The algorithm of this name, spelt exactly so.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.name() == name)
    }

    /// How many bytes a signature has.
    pub fn bytes(self) -> usize {
        self.hmac().digest_algorithm().output_len()
    }

    fn hmac(self) -> hmac::Algorithm {
        match self {
            Self::HmacSha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
            Self::HmacSha256 => hmac::HMAC_SHA256,
        }
    }
}

/// The parts of a text to sign, each exactly as it is signed.
pub struct StringToSign<'a> {
    /// `POST` or `GET`.
    pub method: &'a str,
    /// The host, with the port where the client has one.
    pub host: &'a str,
    /// Every parameter but `Signature`, decoded, in the byte order of the names.
    pub parameters: &'a [(Cow<'a, str>, &'a str)],
}

impl StringToSign<'_> {
    fn feed(&self, mut sink: impl FnMut(&[u8])) {
        for piece in [self.method, self.host, "/?"] {
            sink(piece.as_bytes());
        }
        let mut separator = "";
        for (name, value) in self.parameters {
            for piece in [separator, name, "=", value] {
                sink(piece.as_bytes());
            }
            separator = "&";
        }
    }

    /// The whole text, for tests and for people.
    pub fn text(&self) -> String {
        let mut out = Vec::new();
        self.feed(|piece| out.extend_from_slice(piece));
        String::from_utf8_lossy(&out).into_owned()
    }

    /// The signature that this key makes, not yet in Base64.
    pub fn sign(&self, algorithm: Algorithm, secret_key: &[u8]) -> Vec<u8> {
        let mut context = hmac::Context::with_key(&hmac::Key::new(algorithm.hmac(), secret_key));
        self.feed(|piece| context.update(piece));
        context.sign().as_ref().to_vec()
    }
}

/// A request that a client is about to send to `/`.
pub struct Outgoing<'a> {
    /// `POST` with a form, or `GET` with a query.
    pub method: &'a str,
    /// The `Host` header, port included.
    pub host: &'a str,
    /// The action, such as `GetFederationToken`.
    pub action: &'a str,
    /// The region; none for a client that sends none.
    pub region: Option<&'a str>,
    /// The action's own parameters, with names as they travel (`Tags.0.Key`).
    pub parameters: &'a [(&'a str, &'a str)],
    /// What to sign with.
    pub algorithm: Algorithm,
    /// A number that no other request of this second has.
    pub nonce: u64,
    /// The present.
    pub at: Timestamp,
}

/// All parameters of this request, signature included, as a form: the body of a POST of type
/// `application/x-www-form-urlencoded`, or the query of a GET.
pub fn sign_request(key: &ClientKey<'_>, request: &Outgoing<'_>) -> String {
    let (timestamp, nonce) = (request.at.as_second().to_string(), request.nonce.to_string());
    let mut all: BTreeMap<&str, &str> = request.parameters.iter().copied().collect();
    all.extend([
        (parameter::ACTION, request.action),
        (parameter::VERSION, VERSION),
        (parameter::TIMESTAMP, &timestamp),
        (parameter::NONCE, &nonce),
        (parameter::SECRET_ID, key.id),
        (parameter::SIGNATURE_METHOD, request.algorithm.name()),
    ]);
    all.extend(request.region.map(|region| (parameter::REGION, region)));
    all.extend(key.token.map(|token| (parameter::TOKEN, token)));
    let sorted: Vec<_> = all.iter().map(|(name, value)| (Cow::Borrowed(*name), *value)).collect();
    let text = StringToSign { method: request.method, host: request.host, parameters: &sorted };
    let signature = STANDARD.encode(text.sign(request.algorithm, key.secret));
    form_urlencoded::Serializer::new(String::new())
        .extend_pairs(all)
        .append_pair(parameter::SIGNATURE, &signature)
        .finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use daypass_core::testing::START;

    #[test]
    fn names_are_exact() {
        assert_eq!(Algorithm::named("HmacSHA256"), Some(Algorithm::HmacSha256));
        assert_eq!(Algorithm::named("HmacSHA1"), Some(Algorithm::HmacSha1));
        for other in ["", "hmacsha1", "HmacSHA512", "TC3-HMAC-SHA256"] {
            assert_eq!(Algorithm::named(other), None, "{other}");
        }
        assert_eq!(Algorithm::ALL.map(Algorithm::bytes), [20, 32]);
    }

    #[test]
    fn a_client_sends_what_it_signs() {
        let key = ClientKey { id: "AKID1", secret: b"k", token: Some("t=") };
        let request = Outgoing {
            method: "POST",
            host: "127.0.0.1:5050",
            action: "GetFederationToken",
            region: Some("ap-guangzhou"),
            parameters: &[("Name", "a b"), ("DurationSeconds", "60")],
            algorithm: Algorithm::HmacSha256,
            nonce: 7,
            at: START,
        };
        let form = sign_request(&key, &request);
        let (signed, signature) = form.split_once("&Signature=").unwrap();
        assert_eq!(
            signed,
            "Action=GetFederationToken&DurationSeconds=60&Name=a+b&Nonce=7&Region=ap-guangzhou&SecretId=AKID1\
             &SignatureMethod=HmacSHA256&Timestamp=1700000000&Token=t%3D&Version=2018-08-13"
        );
        let parameters: Vec<(String, String)> =
            form_urlencoded::parse(signed.as_bytes()).into_owned().collect();
        let parameters: Vec<_> =
            parameters.iter().map(|(n, v)| (Cow::Borrowed(n.as_str()), v.as_str())).collect();
        let text = StringToSign { method: "POST", host: "127.0.0.1:5050", parameters: &parameters };
        assert!(
            text.text()
                .starts_with("POST127.0.0.1:5050/?Action=GetFederationToken&DurationSeconds=60&Name=a b&")
        );
        let right = STANDARD.encode(text.sign(Algorithm::HmacSha256, b"k"));
        assert_eq!(
            form_urlencoded::parse(form.as_bytes()).last().unwrap(),
            ("Signature".into(), right.into())
        );
        assert_ne!(signature, "");
    }
}
