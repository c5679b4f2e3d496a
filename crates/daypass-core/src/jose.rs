//! Signing of access tokens.
//!
//! The key pairs are parsed once and held in the ring: parsing an RSA key again for each signature, as JWT
//! libraries do, costs more than an ECDSA signature. So are the public halves, by which we know our own tokens again;
//! verification of tokens that others have made is a library's job.

pub(crate) mod assertion;
pub(crate) mod compact;
pub(crate) mod dpop;
mod key_set;
pub(crate) mod own;
mod signatures;
mod signed;
mod verify;

pub use key_set::{BadKeySet, KeySet, algorithm_names};
pub(crate) use key_set::{is_secret, thumbprint};
pub use own::own_claims;
pub use signatures::Signatures;
pub(crate) use signed::signed_claims;
pub use verify::{kid_of, verify_outside};

use crate::role::Algorithm;
use crate::secret::Secret;
use aws_lc_rs::digest;
use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use own::Verifier;
use serde::Serialize;
use serde_json::{Value, json};

/// A parsed private key with what its tokens need.
pub struct Signer {
    pair: Pair,
    public: PublishedKey,
}

/// What a verifier needs of a key, and all that is kept of one which does not sign any more.
#[derive(Clone, Debug)]
pub struct PublishedKey {
    kid: String,
    jwk: Value,
    verifier: Verifier,
}

impl PublishedKey {
    /// The key of these required members (RFC 7638 §3.2).
    fn new(algorithm: Algorithm, members: Value) -> Result<Self, BadKey> {
        // RFC 7638: the required members in lexicographic order, without blanks. `json!` objects are sorted maps.
        let kid = encode(digest::digest(&digest::SHA256, members.to_string().as_bytes()).as_ref());
        let mut jwk = members;
        if let Some(object) = jwk.as_object_mut() {
            object.insert("kid".to_owned(), kid.clone().into());
            object.insert("use".to_owned(), "sig".into());
            object.insert("alg".to_owned(), algorithm.name().into());
        }
        let verifier = Verifier::parse(&jwk).ok_or(BadKey("parsed"))?;
        Ok(Self { kid, jwk, verifier })
    }

    /// Reads what [`PublishedKey::to_bytes`] wrote.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, BadKey> {
        const FAULT: BadKey = BadKey("parsed");
        let jwk: Value = serde_json::from_slice(bytes).map_err(|_| FAULT)?;
        let kid = jwk.get("kid").and_then(Value::as_str).ok_or(FAULT)?.to_owned();
        let verifier = Verifier::parse(&jwk).ok_or(FAULT)?;
        Ok(Self { kid, jwk, verifier })
    }

    /// The Ed25519 key of this point, in base64url without padding: what a stranger who checks a statement of ours has.
    pub fn ed25519(x: &str) -> Result<Self, BadKey> {
        // Other texts of the same point would be other key ids.
        let canonical = URL_SAFE_NO_PAD.decode(x).is_ok_and(|point| point.len() == 32);
        if !canonical {
            return Err(BadKey("parsed"));
        }
        Self::new(Algorithm::EdDsa, json!({"crv": "Ed25519", "kty": "OKP", "x": x}))
    }

    /// The point of an Ed25519 key, as [`PublishedKey::ed25519`] takes it; none of a key of another kind.
    pub fn ed25519_text(&self) -> Option<&str> {
        self.jwk.get("crv").filter(|curve| *curve == "Ed25519")?;
        self.jwk.get("x").and_then(Value::as_str)
    }

    /// The JWK as JSON.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        self.jwk.to_string().into_bytes()
    }

    /// The key id: the RFC 7638 thumbprint.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The JWK with `kid`, `use` and `alg`.
    pub fn jwk(&self) -> &Value {
        &self.jwk
    }
}

impl PartialEq for PublishedKey {
    fn eq(&self, other: &Self) -> bool {
        self.jwk == other.jwk
    }
}

enum Pair {
    Rsa(Box<RsaKeyPair>),
    Ecdsa(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

/// A key that cannot be made, parsed or used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the signing key cannot be {0}")]
pub struct BadKey(&'static str);

impl BadKey {
    /// There is none.
    pub(crate) const MISSING: Self = Self("found");
}

impl Signer {
    /// Makes a new private key, as PKCS#8. An RSA key takes 40 to 250 ms: only ever at first start or rotation.
    pub fn generate(algorithm: Algorithm) -> Result<Secret, BadKey> {
        const FAULT: BadKey = BadKey("made");
        let der = match algorithm {
            Algorithm::Rs256 => {
                let pair = RsaKeyPair::generate(KeySize::Rsa2048).map_err(|_| FAULT)?;
                AsDer::<aws_lc_rs::encoding::Pkcs8V1Der<'_>>::as_der(&pair)
                    .map_err(|_| FAULT)?
                    .as_ref()
                    .to_vec()
            }
            Algorithm::Es256 => {
                let random = SystemRandom::new();
                EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random)
                    .map_err(|_| FAULT)?
                    .as_ref()
                    .to_vec()
            }
            Algorithm::EdDsa => {
                let random = SystemRandom::new();
                Ed25519KeyPair::generate_pkcs8(&random).map_err(|_| FAULT)?.as_ref().to_vec()
            }
        };
        Ok(Secret::new(der))
    }

    /// Parses a private key that [`Signer::generate`] made.
    pub fn parse(algorithm: Algorithm, pkcs8: &Secret) -> Result<Self, BadKey> {
        const FAULT: BadKey = BadKey("parsed");
        let der = pkcs8.expose();
        let (pair, members) = match algorithm {
            Algorithm::Rs256 => {
                let pair = RsaKeyPair::from_pkcs8(der).map_err(|_| FAULT)?;
                let public = pair.public_key();
                let n = encode(public.modulus().big_endian_without_leading_zero());
                let e = encode(public.exponent().big_endian_without_leading_zero());
                (Pair::Rsa(Box::new(pair)), json!({"e": e, "kty": "RSA", "n": n}))
            }
            Algorithm::Es256 => {
                let pair =
                    EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der).map_err(|_| FAULT)?;
                // An uncompressed point: 0x04, then 32 bytes of x and 32 of y.
                let point = pair.public_key().as_ref().to_vec();
                let x = point.get(1..33).map(encode).ok_or(FAULT)?;
                let y = point.get(33..65).map(encode).ok_or(FAULT)?;
                (Pair::Ecdsa(pair), json!({"crv": "P-256", "kty": "EC", "x": x, "y": y}))
            }
            Algorithm::EdDsa => {
                let pair = Ed25519KeyPair::from_pkcs8(der).map_err(|_| FAULT)?;
                let x = encode(pair.public_key().as_ref());
                (Pair::Ed25519(pair), json!({"crv": "Ed25519", "kty": "OKP", "x": x}))
            }
        };
        Ok(Self { pair, public: PublishedKey::new(algorithm, members)? })
    }

    /// The key id: the RFC 7638 thumbprint of the public key.
    pub fn kid(&self) -> &str {
        &self.public.kid
    }

    /// The public key as a JWK with `kid`, `use` and `alg`.
    pub fn jwk(&self) -> &Value {
        &self.public.jwk
    }

    /// What a verifier needs of it.
    pub fn public(&self) -> &PublishedKey {
        &self.public
    }

    fn algorithm(&self) -> Algorithm {
        match self.pair {
            Pair::Rsa(_) => Algorithm::Rs256,
            Pair::Ecdsa(_) => Algorithm::Es256,
            Pair::Ed25519(_) => Algorithm::EdDsa,
        }
    }

    /// A compact JWS of these claims. RSA takes half a millisecond of CPU, the other two some 20 microseconds.
    pub fn sign(&self, typ: &str, claims: &impl Serialize) -> Result<String, BadKey> {
        const FAULT: BadKey = BadKey("used");
        let claims = serde_json::to_vec(claims).map_err(|_| FAULT)?;
        let header =
            format!(r#"{{"typ":"{typ}","alg":"{}","kid":"{}"}}"#, self.algorithm().name(), self.kid());
        self.sign_text(&header, &claims)
    }

    /// A compact JWS with a header of any content, for tests of what others may send.
    #[cfg(any(test, feature = "testing"))]
    pub fn sign_under(&self, header: &Value, claims: &Value) -> Result<String, BadKey> {
        self.sign_text(&header.to_string(), claims.to_string().as_bytes())
    }

    fn sign_text(&self, header: &str, claims: &[u8]) -> Result<String, BadKey> {
        const FAULT: BadKey = BadKey("used");
        let mut out = String::with_capacity(128 + claims.len() * 4 / 3 + 344);
        URL_SAFE_NO_PAD.encode_string(header, &mut out);
        out.push('.');
        URL_SAFE_NO_PAD.encode_string(claims, &mut out);
        let signature = match &self.pair {
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), out.as_bytes(), &mut signature)
                    .map_err(|_| FAULT)?;
                signature
            }
            Pair::Ecdsa(pair) => {
                pair.sign(&SystemRandom::new(), out.as_bytes()).map_err(|_| FAULT)?.as_ref().to_vec()
            }
            Pair::Ed25519(pair) => pair.sign(out.as_bytes()).as_ref().to_vec(),
        };
        out.push('.');
        URL_SAFE_NO_PAD.encode_string(&signature, &mut out);
        Ok(out)
    }
}

fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use jsonwebtoken::jwk::Jwk;
    use jsonwebtoken::{DecodingKey, Validation, decode, decode_header};

    #[test]
    fn tokens_verify_with_an_independent_library_through_the_jwk() {
        for algorithm in Algorithm::ALL {
            let signer = Signer::parse(*algorithm, &Signer::generate(*algorithm).unwrap()).unwrap();
            let token = signer.sign("JWT", &json!({"aud": "a", "exp": 4_000_000_000_u64})).unwrap();
            let header = decode_header(&token).unwrap();
            assert_eq!(header.kid.as_deref(), Some(signer.kid()));
            assert_eq!(header.typ.as_deref(), Some("JWT"));
            let jwk: Jwk = serde_json::from_value(signer.jwk().clone()).unwrap();
            assert_eq!(jwk.thumbprint(jsonwebtoken::jwk::ThumbprintHash::SHA256).unwrap(), signer.kid());
            let mut validation = Validation::new(header.alg);
            validation.set_audience(&["a"]);
            let key = DecodingKey::from_jwk(&jwk).unwrap();
            assert!(decode::<Value>(&token, &key, &validation).is_ok(), "{}", algorithm.name());
            let mut broken = token.into_bytes();
            let last = broken.len() - 5;
            broken[last] = if broken[last] == b'A' { b'B' } else { b'A' };
            let broken = String::from_utf8(broken).unwrap();
            assert!(decode::<Value>(&broken, &key, &validation).is_err(), "{}", algorithm.name());
        }
    }
}
