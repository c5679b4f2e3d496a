//! The signature in the address of a speech-evaluation web socket, which the vendor's browser SDK makes with a
//! temporary key.
//!
//! ```text
//! string to sign   host path "?" name=value & name=value & …      names in byte order, values as they are
//! signature        base64(HMAC-SHA1(SecretKey, string to sign))
//! ```
//!
//! Source: the vendor's `tencentcloud-speech-sdk-js`. Its `expired` is a day from now whatever the key's own life
//! is, and its `nonce` stays the same for a hundred seconds: a verifier takes the end of life from the token, and
//! neither of the two for a proof of anything.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// What is signed of an address.
pub struct Address<'a> {
    /// `soe.cloud.tencent.com`.
    pub host: &'a str,
    /// `/soe/api/` and the application's number.
    pub path: &'a str,
    /// Every parameter but `signature`, decoded, in any order.
    pub parameters: &'a [(&'a str, &'a str)],
}

impl Address<'_> {
    /// The text to sign.
    pub fn text(&self) -> String {
        let mut sorted = self.parameters.to_vec();
        sorted.sort_unstable();
        let pairs: Vec<_> = sorted.iter().map(|(name, value)| format!("{name}={value}")).collect();
        format!("{}{}?{}", self.host, self.path, pairs.join("&"))
    }

    /// The `signature` parameter, before it is encoded for the address.
    pub fn sign(&self, secret_key: &[u8]) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret_key);
        STANDARD.encode(hmac::sign(&key, self.text().as_bytes()))
    }
}
