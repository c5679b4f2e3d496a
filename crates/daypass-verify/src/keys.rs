//! Public keys: a JWKS document (RFC 7517, section 5), and the one key of a DPoP proof.

use crate::json;
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RSA_PSS_2048_8192_SHA256,
    RsaPublicKeyComponents,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};
use std::collections::HashSet;

/// The longest document, in bytes. Those of large providers have some ten keys and 20 KiB.
pub(crate) const LONGEST: usize = 256 * 1024;

/// The most keys of one document. Attack: a set of a million keys is a slow look-up for every token.
const MOST: usize = 100;

/// The lengths of RSA moduli that are believed, in bits: less can be factored, more makes every signature work.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// The signatures that are verified. None of them is symmetric: a public key is no secret, and must never be one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// RSA with PKCS#1 padding over SHA-256, 2048 to 8192 bits.
    Rs256,
    /// RSA with PSS padding over SHA-256, 2048 to 8192 bits.
    Ps256,
    /// ECDSA on P-256 over SHA-256.
    Es256,
    /// Ed25519, under its name of RFC 8037 (`EdDSA`) or of RFC 9864 (`Ed25519`).
    EdDsa,
}

impl Algorithm {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Rs256, Self::Ps256, Self::Es256, Self::EdDsa];

    /// That of a name in a header or a key.
    pub(crate) fn named(name: &str) -> Option<Self> {
        match name {
            "RS256" => Some(Self::Rs256),
            "PS256" => Some(Self::Ps256),
            "ES256" => Some(Self::Es256),
            "EdDSA" | "Ed25519" => Some(Self::EdDsa),
            _ => None,
        }
    }
}

/// An issuer's public keys.
#[derive(Debug)]
pub(crate) struct KeySet(Vec<Listed>);

/// One of them.
#[derive(Debug)]
struct Listed {
    kid: Option<String>,
    key: PublicKey,
}

/// A key with all that it can verify. The header of a token never decides that.
#[derive(Debug)]
pub(crate) struct PublicKey(Vec<(Algorithm, ParsedPublicKey)>);

/// Why no key of a set can be used for a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoKey {
    /// None of this id; or the token names none, and not exactly one fits.
    Unknown,
    /// The key that it names is for another algorithm.
    OtherAlgorithm,
}

impl KeySet {
    /// Reads a document. Keys that are not for signatures or of a kind that is not verified are left out. Refused
    /// whole, with the reason, where a key is a secret one, two usable keys have one id, or none is usable.
    pub(crate) fn parse(document: &[u8]) -> Result<Self, String> {
        if document.len() > LONGEST {
            return Err(format!("the key set is longer than {LONGEST} bytes"));
        }
        let document =
            json::object(document).ok_or("the key set is no JSON object without doubled members")?;
        let keys = document.get("keys").and_then(Value::as_array).ok_or("the key set has no list `keys`")?;
        if keys.len() > MOST {
            return Err(format!("the key set has more than {MOST} keys"));
        }
        let mut usable = Vec::new();
        for key in keys {
            let members = key.as_object().ok_or("a key of the key set is no JSON object")?;
            if is_secret(members) {
                return Err(
                    "a key of the key set is symmetric or private, so that its readers can sign".to_owned()
                );
            }
            usable.extend(Listed::parse(members));
        }
        let mut seen = HashSet::new();
        if !usable.iter().filter_map(|key| key.kid.as_deref()).all(|kid| seen.insert(kid)) {
            return Err("two keys of the key set have the same `kid`".to_owned());
        }
        if usable.is_empty() {
            return Err(
                "the key set has no RSA (2048 to 8192 bits), P-256 or Ed25519 key for signatures".to_owned()
            );
        }
        Ok(Self(usable))
    }

    /// Whether it has a key of this id.
    pub(crate) fn has(&self, kid: &str) -> bool {
        self.0.iter().any(|listed| listed.kid.as_deref() == Some(kid))
    }

    /// The key for a token of this header: the one that it names; where it names none, the only one that fits.
    pub(crate) fn choose(&self, kid: Option<&str>, algorithm: Algorithm) -> Result<&PublicKey, NoKey> {
        let Some(kid) = kid else {
            let mut fitting = self.0.iter().filter(|listed| listed.key.fits(algorithm));
            return match (fitting.next(), fitting.next()) {
                (Some(only), None) => Ok(&only.key),
                _ => Err(NoKey::Unknown),
            };
        };
        let listed = self.0.iter().find(|listed| listed.kid.as_deref() == Some(kid)).ok_or(NoKey::Unknown)?;
        if listed.key.fits(algorithm) { Ok(&listed.key) } else { Err(NoKey::OtherAlgorithm) }
    }
}

impl Listed {
    /// None for a key that cannot be used.
    fn parse(members: &Map<String, Value>) -> Option<Self> {
        let for_signatures = match (members.get("use"), members.get("key_ops")) {
            (Some(purpose), _) if purpose != "sig" => false,
            (_, Some(operations)) => operations.as_array()?.iter().any(|operation| operation == "verify"),
            _ => true,
        };
        if !for_signatures {
            return None;
        }
        let mut key = PublicKey::parse(members)?;
        if let Some(name) = members.get("alg") {
            let only = Algorithm::named(name.as_str()?)?;
            key.0.retain(|(algorithm, _)| *algorithm == only);
        }
        let kid = match members.get("kid") {
            None => None,
            Some(kid) => Some(kid.as_str()?.to_owned()),
        };
        (!key.0.is_empty()).then_some(Self { kid, key })
    }
}

impl PublicKey {
    /// A public key of a kind that is verified; its members `use`, `alg` and the like are not looked at.
    pub(crate) fn parse(members: &Map<String, Value>) -> Option<Self> {
        let text = |name: &str| members.get(name).and_then(Value::as_str);
        match (text("kty")?, text("crv")) {
            ("RSA", _) => rsa(&decode(text("n")?)?, &decode(text("e")?)?),
            ("EC", Some("P-256")) => p256(&decode(text("x")?)?, &decode(text("y")?)?),
            ("OKP", Some("Ed25519")) => {
                let key = ParsedPublicKey::new(&ED25519, decode(text("x")?)?).ok()?;
                Some(Self(vec![(Algorithm::EdDsa, key)]))
            }
            _ => None,
        }
    }

    fn fits(&self, algorithm: Algorithm) -> bool {
        self.0.iter().any(|(its, _)| *its == algorithm)
    }

    /// Whether this is its signature over these bytes.
    pub(crate) fn verifies(&self, algorithm: Algorithm, signed: &[u8], signature: &[u8]) -> bool {
        self.0.iter().any(|(its, key)| *its == algorithm && key.verify_sig(signed, signature).is_ok())
    }
}

/// Whether a key's members tell a secret: a symmetric key, or the private part of a pair (RFC 7518, section 6).
pub(crate) fn is_secret(members: &Map<String, Value>) -> bool {
    const SECRET: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];
    members.get("kty").is_some_and(|kty| kty == "oct")
        || SECRET.iter().any(|name| members.contains_key(*name))
}

/// The RFC 7638 thumbprint of a key, as base64url. None for a key that is not verified here.
pub(crate) fn thumbprint(members: &Map<String, Value>) -> Option<String> {
    let member = |name: &str| members.get(name).filter(|value| value.is_string());
    // The required members in lexicographic order, without blanks: each is put in by hand, because whether an object
    // keeps an order is a feature of `serde_json` that the application may have switched on.
    let required: &[&str] = match member("kty")?.as_str()? {
        "RSA" => &["e", "kty", "n"],
        "EC" => &["crv", "kty", "x", "y"],
        "OKP" => &["crv", "kty", "x"],
        _ => return None,
    };
    let pairs: Option<Vec<_>> =
        required.iter().map(|name| Some(format!("{}:{}", json!(name), member(name)?))).collect();
    Some(sha256(format!("{{{}}}", pairs?.join(",")).as_bytes()))
}

/// SHA-256 as base64url without padding, which is how tokens carry it.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(digest(&SHA256, bytes))
}

fn decode(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

fn rsa(modulus: &[u8], exponent: &[u8]) -> Option<PublicKey> {
    // Some providers write the leading zero of a signed number, which is not part of it.
    let start = modulus.iter().position(|byte| *byte != 0)?;
    let modulus = modulus.get(start..)?;
    let bits = modulus.len() * 8 - usize::try_from(modulus.first()?.leading_zeros()).ok()?;
    // Odd and not 1: with the exponent 1, every text is its own signature.
    let sound = exponent.last().is_some_and(|last| last % 2 == 1) && exponent != [1] && exponent.len() <= 5;
    let sound = sound && exponent.first().is_some_and(|first| *first != 0);
    if !sound || !RSA_BITS.contains(&bits) {
        return None;
    }
    let components = RsaPublicKeyComponents { n: modulus, e: exponent };
    Some(PublicKey(vec![
        (Algorithm::Rs256, components.to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256).ok()?),
        (Algorithm::Ps256, components.to_parsed_public_key(&RSA_PSS_2048_8192_SHA256).ok()?),
    ]))
}

/// A point that is on the curve: others are refused when they are parsed.
fn p256(x: &[u8], y: &[u8]) -> Option<PublicKey> {
    if (x.len(), y.len()) != (32, 32) {
        return None;
    }
    let key = ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, [&[4], x, y].concat()).ok()?;
    Some(PublicKey(vec![(Algorithm::Es256, key)]))
}

#[cfg(test)]
mod tests;
