//! Our own access tokens, recognised when they are shown to us again (RFC 8725 for what goes wrong).
//!
//! Nothing is stored for a token, so this is how Daypass knows one: by the signature of a key that it still publishes.
//! A key is only ever looked for among those, by the `kid` as it stands; no header leads to a file, an address or a
//! key that the token brings along, and the algorithm is the key's.

use super::PublishedKey;
use super::compact::{Compact, Expected};
use super::signatures::Generations;
use super::verify::REFUSED;
use crate::ring::Ring;
use crate::role::Algorithm;
use crate::secret::Secret;
use aws_lc_rs::digest;
use aws_lc_rs::rsa::PublicKeyComponents;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use parking_lot::Mutex;
use serde_json::{Map, Value};

/// The longest token that is looked at, in bytes: none that we make is as long.
///
/// Attack: everything up to the signature is work for whoever shows it.
const LONGEST: usize = 16 * 1024;

/// What a `typ` may say, to the letter, because we write nothing else: Entra's, and the one of RFC 9068.
///
/// Attack: a JWT that was signed by the same key for another use is shown as an access token.
const TYPES: [&str; 2] = ["JWT", "at+jwt"];

/// The public half of one of our keys, parsed once.
#[derive(Clone, Debug)]
pub(super) struct Verifier {
    algorithm: Algorithm,
    key: ParsedPublicKey,
}

impl Verifier {
    /// Reads it from the key's own JWK.
    pub(super) fn parse(jwk: &Value) -> Option<Self> {
        let text = |name: &str| jwk.get(name).and_then(Value::as_str);
        let bytes = |name: &str| URL_SAFE_NO_PAD.decode(text(name)?).ok();
        let named = text("alg")?;
        let algorithm = *Algorithm::ALL.iter().find(|algorithm| algorithm.name() == named)?;
        let key = match algorithm {
            Algorithm::Rs256 => PublicKeyComponents { n: bytes("n")?, e: bytes("e")? }
                .to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256),
            Algorithm::Es256 => {
                // An uncompressed point.
                let point = [vec![4], bytes("x")?, bytes("y")?].concat();
                ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point)
            }
            Algorithm::EdDsa => ParsedPublicKey::new(&ED25519, bytes("x")?),
        };
        Some(Self { algorithm, key: key.ok()? })
    }

    /// The name of the algorithm, as a header says it.
    pub(super) fn algorithm_name(&self) -> &'static str {
        self.algorithm.name()
    }

    pub(super) fn verifies(&self, token: &Compact<'_>) -> bool {
        self.key.verify_sig(token.signed, &token.signature).is_ok()
    }
}

/// The tokens of ours whose signatures were found right: a resource server asks about the same one again and again.
///
/// Only the signature is remembered, which never changes; the key is looked for in the ring each time, so that one that
/// is gone recognises nothing any more.
#[derive(Default)]
pub(crate) struct OwnSignatures(Mutex<Generations<()>>);

impl OwnSignatures {
    /// The claims of a token of ours, or what it should have been. Times are not looked at.
    pub(crate) fn claims(&self, ring: &Ring, token: &Secret) -> Result<Map<String, Value>, Expected> {
        let parsed = Compact::parse(token.expose(), LONGEST)?;
        let key = key_of(ring, &parsed)?;
        let hash = digest::digest(&digest::SHA256, token.expose());
        let hash: [u8; 32] = hash.as_ref().first_chunk().copied().ok_or("a hash of 32 bytes")?;
        let known = self.0.lock().get(&hash).is_some();
        if !known {
            if !key.verifier.verifies(&parsed) {
                return Err("a signature by the key that it names");
            }
            self.0.lock().put(hash, ());
        }
        parsed.claims()
    }
}

/// The claims of a token of ours, for whoever asks once. Times are not looked at; the error says what it should have
/// been.
pub fn own_claims(ring: &Ring, token: &Secret) -> Result<Map<String, Value>, &'static str> {
    OwnSignatures::default().claims(ring, token)
}

/// The key that a token names, if its header is one that we write.
fn key_of<'a>(ring: &'a Ring, token: &Compact<'_>) -> Result<&'a PublishedKey, Expected> {
    if REFUSED.iter().any(|name| token.header.contains_key(*name)) {
        return Err("a header without `crit`, `b64`, `zip` and `enc`");
    }
    if !token.text("typ").is_some_and(|typ| TYPES.contains(&typ)) {
        return Err("a `typ` of JWT or at+jwt");
    }
    let kid = token.text("kid").ok_or("a `kid` of one of our published keys")?;
    let (key, _) =
        ring.published().find(|(key, _)| key.kid() == kid).ok_or("a `kid` of one of our published keys")?;
    if token.text("alg") != Some(key.verifier.algorithm.name()) {
        return Err("the `alg` of the key that it names");
    }
    Ok(key)
}

#[cfg(test)]
mod tests;
