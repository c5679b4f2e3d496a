//! Public keys that clients register, as JWKs (RFC 7517).

use crate::client::PublicKey;
use crate::jose::{KeySet, is_secret, thumbprint};
use serde_json::{Map, Value, json};

/// The longest id that a key may have, in bytes: it stands in every assertion, and in what the command line prints.
const KID: usize = 256;

/// The members that are kept: those that make a key of each kind (RFC 7518 §6, RFC 8037 §2), and what it is only for.
const KEPT: [&str; 7] = ["alg", "crv", "e", "kty", "n", "x", "y"];

/// Why a key cannot be registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPublicKey {
    /// Attack: a private key in a second place has a second owner. What was sent here is not believed to be a secret
    /// any more, and is not stored.
    #[error("is a private key or a shared secret, and only the public half may leave its owner")]
    Private,
    /// It has no key, or several.
    #[error("is not one JWK, nor a key set with exactly one")]
    NotOne,
    /// Nothing could be verified with it, or too easily.
    #[error("is not an RSA key of 2048 to 8192 bits, nor one of P-256, P-384 or Ed25519, for signatures")]
    Unusable,
    /// Its id is no text of a usual length.
    #[error("has a `kid` that is no printable text of 1 to {KID} bytes")]
    Kid,
}

impl PublicKey {
    /// Takes a JWK, or a key set with exactly one. Of its members those that a verifier needs are kept, and `kid` and
    /// `alg`; a key without an id gets its thumbprint (RFC 7638).
    pub fn of_jwk(document: &Value) -> Result<Self, BadPublicKey> {
        let jwk = match document.get("keys").and_then(Value::as_array).map(Vec::as_slice) {
            None => document,
            Some([only]) => only,
            Some(_) => return Err(BadPublicKey::NotOne),
        };
        let members = jwk.as_object().filter(|jwk| jwk.contains_key("kty")).ok_or(BadPublicKey::NotOne)?;
        if is_secret(members) {
            return Err(BadPublicKey::Private);
        }
        let kid = match members.get("kid") {
            None => None,
            Some(Value::String(kid)) if is_fit(kid) => Some(kid.clone()),
            Some(_) => return Err(BadPublicKey::Kid),
        };
        KeySet::parse(json!({ "keys": [jwk] }).to_string().as_bytes()).map_err(|_| BadPublicKey::Unusable)?;
        let kid = kid.or_else(|| thumbprint(members)).ok_or(BadPublicKey::Unusable)?;
        let kept = KEPT.iter().filter_map(|name| Some(((*name).to_owned(), members.get(*name)?.clone())));
        let mut kept: Map<_, _> = kept.collect();
        kept.insert("kid".to_owned(), kid.into());
        Ok(Self { jwk: Value::Object(kept), x5t: None, x5t_s256: None })
    }

    /// The thumbprint of the key (RFC 7638): the same for the same key, whatever else is said of it.
    pub fn thumbprint(&self) -> String {
        self.jwk.as_object().and_then(thumbprint).unwrap_or_default()
    }
}

fn is_fit(kid: &str) -> bool {
    (1..=KID).contains(&kid.len()) && !kid.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jose::Signer;
    use crate::role::Algorithm;
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    fn made(algorithm: Algorithm) -> Value {
        Signer::parse(algorithm, &Signer::generate(algorithm).unwrap()).unwrap().jwk().clone()
    }

    fn without(mut jwk: Value, name: &str) -> Value {
        jwk.as_object_mut().unwrap().remove(name);
        jwk
    }

    fn with(mut jwk: Value, name: &str, value: Value) -> Value {
        jwk[name] = value;
        jwk
    }

    #[test]
    fn a_key_of_each_kind_is_taken_alone_or_in_a_set() {
        for algorithm in Algorithm::ALL {
            let jwk = made(*algorithm);
            let own = PublicKey::of_jwk(&jwk).unwrap();
            assert_eq!(own.jwk, without(jwk.clone(), "use"), "{algorithm:?}");
            let nameless = without(with(jwk.clone(), "ext", true.into()), "kid");
            let named = PublicKey::of_jwk(&json!({ "keys": [nameless] })).unwrap();
            assert_eq!(named.kid(), jwk["kid"], "its thumbprint, as our own signer computes it");
            let renamed = PublicKey::of_jwk(&with(jwk, "kid", "mine".into())).unwrap();
            assert_eq!((renamed.kid(), renamed.thumbprint()), ("mine", own.thumbprint()));
        }
    }

    /// The example of RFC 7638 (3.1).
    #[test]
    fn the_thumbprint_is_that_of_the_rfc() {
        let n = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMs\
                 tn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1\
                 n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";
        let jwk = json!({"kty": "RSA", "n": n, "e": "AQAB", "alg": "RS256", "kid": "2011-04-29"});
        let key = PublicKey::of_jwk(&jwk).unwrap();
        assert_eq!(key.thumbprint(), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
        assert_eq!(key.jwk, jwk);
    }

    #[test]
    fn what_is_no_public_key_for_signatures_is_refused() {
        let ec = made(Algorithm::Es256);
        let weak = json!({"kty": "RSA", "e": "AQAB", "n": URL_SAFE_NO_PAD.encode([0xff; 128])});
        for (document, expected) in [
            (with(ec.clone(), "d", "AA".into()), BadPublicKey::Private),
            (json!({"kty": "oct", "k": "AA"}), BadPublicKey::Private),
            (json!({"keys": [ec, ec]}), BadPublicKey::NotOne),
            (json!({"keys": []}), BadPublicKey::NotOne),
            (json!([ec]), BadPublicKey::NotOne),
            (json!({}), BadPublicKey::NotOne),
            (with(ec.clone(), "crv", "P-521".into()), BadPublicKey::Unusable),
            (with(ec.clone(), "use", "enc".into()), BadPublicKey::Unusable),
            (with(ec.clone(), "use", "another".into()), BadPublicKey::Unusable),
            (with(ec.clone(), "alg", "HS256".into()), BadPublicKey::Unusable),
            (with(ec.clone(), "x", "AA".into()), BadPublicKey::Unusable),
            (weak, BadPublicKey::Unusable),
            (with(ec.clone(), "kid", 1.into()), BadPublicKey::Kid),
            (with(ec.clone(), "kid", "".into()), BadPublicKey::Kid),
            (with(ec.clone(), "kid", "a\u{1b}[2J".into()), BadPublicKey::Kid),
            (with(ec.clone(), "kid", "k".repeat(KID + 1).into()), BadPublicKey::Kid),
        ] {
            assert_eq!(PublicKey::of_jwk(&document), Err(expected), "{document}");
        }
    }
}
