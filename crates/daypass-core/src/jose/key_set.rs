//! A provider's public keys: a JWKS document (RFC 7517, section 5).

use crate::json;
use aws_lc_rs::digest;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, EcdsaVerificationAlgorithm, ParsedPublicKey,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey};
use serde_json::{Map, Value};
use std::collections::HashSet;

/// The longest document, in bytes. Those of large providers have some ten keys and 20 KiB.
const LONGEST: usize = 256 * 1024;

/// The most keys of one document. Attack: a set of a million keys is a slow look-up for every token.
const MOST: usize = 100;

/// The lengths of RSA moduli that are believed, in bits: less can be factored, more makes every signature work.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// A provider's public keys.
#[derive(Debug)]
pub struct KeySet(Vec<PublicKey>);

/// One of them.
#[derive(Debug)]
pub(super) struct PublicKey {
    kid: Option<String>,
    kind: Kind,
    /// The only algorithm that it is for, where the document says so.
    only: Option<Algorithm>,
    pub(super) key: DecodingKey,
}

/// What a key is, and so what can be done with it. The header of a token never decides that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Rsa,
    P256,
    P384,
    Ed25519,
}

impl Kind {
    fn algorithms(self) -> &'static [Algorithm] {
        match self {
            Self::Rsa => &[
                Algorithm::RS256,
                Algorithm::RS384,
                Algorithm::RS512,
                Algorithm::PS256,
                Algorithm::PS384,
                Algorithm::PS512,
            ],
            Self::P256 => &[Algorithm::ES256],
            Self::P384 => &[Algorithm::ES384],
            Self::Ed25519 => &[Algorithm::EdDSA],
        }
    }
}

/// A document that holds no public keys that could be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the key set cannot be used: {0}")]
pub struct BadKeySet(pub String);

impl KeySet {
    /// Reads a JWKS document of at most 256 KiB and 100 keys. Keys that are not for signatures or of a
    /// kind that we do not verify are left out. Refused where a key is a secret one, two usable keys have one id, or
    /// none is usable.
    pub fn parse(document: &[u8]) -> Result<Self, BadKeySet> {
        let bad = |why: &str| BadKeySet(why.to_owned());
        if document.len() > LONGEST {
            return Err(BadKeySet(format!("it is longer than {LONGEST} bytes")));
        }
        let document = json::parse(document).map_err(|fault| BadKeySet(format!("it is {fault}")))?;
        let keys = document
            .get("keys")
            .and_then(Value::as_array)
            .ok_or_else(|| bad("it is no JSON object with a list `keys`"))?;
        if keys.len() > MOST {
            return Err(BadKeySet(format!("it has more than {MOST} keys")));
        }
        let mut usable = Vec::new();
        for key in keys {
            let members = key.as_object().ok_or_else(|| bad("one of its keys is no JSON object"))?;
            if is_secret(members) {
                return Err(bad("one of its keys is symmetric or private, and so known to its readers"));
            }
            usable.extend(PublicKey::parse(members));
        }
        let mut seen = HashSet::new();
        if !usable.iter().filter_map(|key| key.kid.as_deref()).all(|kid| seen.insert(kid)) {
            return Err(bad("two of its keys have the same `kid`"));
        }
        if usable.is_empty() {
            return Err(bad("it has no RSA (2048 to 8192 bits), P-256, P-384 or Ed25519 key for signatures"));
        }
        Ok(Self(usable))
    }

    /// Whether it has a key of this id.
    pub fn has(&self, kid: &str) -> bool {
        self.0.iter().any(|key| key.kid.as_deref() == Some(kid))
    }

    /// The key that a token of this header is to be verified with: the one that it names, if that is for this
    /// algorithm; for a token that names none, the only one that is.
    pub(super) fn choose(&self, kid: Option<&str>, algorithm: Algorithm) -> Result<&PublicKey, &'static str> {
        let mut fitting = self.0.iter().filter(|key| key.fits(algorithm));
        match kid {
            Some(kid) => fitting
                .find(|key| key.kid.as_deref() == Some(kid))
                .ok_or("a `kid` of one of the provider's keys, with the algorithm of that key"),
            None => match (fitting.next(), fitting.next()) {
                (Some(only), None) => Ok(only),
                _ => Err("a `kid`, because the provider has not exactly one key that fits"),
            },
        }
    }
}

impl PublicKey {
    /// A key that stands alone: in the header of a proof, or in a client's registration.
    pub(super) fn alone(members: &Map<String, Value>) -> Result<Self, &'static str> {
        if is_secret(members) {
            return Err("a public key, without any private member");
        }
        Self::parse(members).ok_or("an RSA (2048 to 8192 bits), P-256, P-384 or Ed25519 key for signatures")
    }

    /// None for a key that we cannot use.
    fn parse(members: &Map<String, Value>) -> Option<Self> {
        let text = |name: &str| members.get(name).and_then(Value::as_str);
        let for_signatures = match (members.get("use"), members.get("key_ops")) {
            (Some(purpose), _) if purpose != "sig" => false,
            (_, Some(operations)) => operations.as_array()?.iter().any(|operation| operation == "verify"),
            _ => true,
        };
        if !for_signatures {
            return None;
        }
        let (kind, key) = match (text("kty")?, text("crv")) {
            ("RSA", _) => (Kind::Rsa, rsa(&decode(text("n")?)?, &decode(text("e")?)?)?),
            ("EC", Some("P-256")) => {
                (Kind::P256, point(&ECDSA_P256_SHA256_FIXED, 32, &decode(text("x")?)?, &decode(text("y")?)?)?)
            }
            ("EC", Some("P-384")) => {
                (Kind::P384, point(&ECDSA_P384_SHA384_FIXED, 48, &decode(text("x")?)?, &decode(text("y")?)?)?)
            }
            ("OKP", Some("Ed25519")) => (Kind::Ed25519, ed25519(&decode(text("x")?)?)?),
            _ => return None,
        };
        let only = match members.get("alg") {
            None => None,
            Some(name) => {
                Some(named(name.as_str()?).filter(|algorithm| kind.algorithms().contains(algorithm))?)
            }
        };
        let kid = match members.get("kid") {
            None => None,
            Some(kid) => Some(kid.as_str()?.to_owned()),
        };
        Some(Self { kid, kind, only, key })
    }

    /// Whether the key is for this algorithm.
    pub(super) fn fits(&self, algorithm: Algorithm) -> bool {
        self.kind.algorithms().contains(&algorithm) && self.only.is_none_or(|only| only == algorithm)
    }
}

/// The algorithms that we verify, by their names in headers, keys and metadata. None of them is symmetric: a public key
/// is no secret, and must never be one. Ed25519 has two: newer libraries use that of RFC 9864.
const NAMES: &[&str] =
    &["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA", "Ed25519"];

/// The names of the algorithms of clients' assertions, of DPoP proofs and of outside providers' tokens.
pub fn algorithm_names() -> &'static [&'static str] {
    NAMES
}

/// The algorithm of this name; none for any that we do not verify.
pub(super) fn named(name: &str) -> Option<Algorithm> {
    Some(match name {
        "RS256" => Algorithm::RS256,
        "RS384" => Algorithm::RS384,
        "RS512" => Algorithm::RS512,
        "PS256" => Algorithm::PS256,
        "PS384" => Algorithm::PS384,
        "PS512" => Algorithm::PS512,
        "ES256" => Algorithm::ES256,
        "ES384" => Algorithm::ES384,
        "EdDSA" | "Ed25519" => Algorithm::EdDSA,
        _ => return None,
    })
}

/// The older name of an algorithm that has one.
pub(super) fn name_of(algorithm: Algorithm) -> &'static str {
    NAMES.iter().find(|name| named(name) == Some(algorithm)).copied().unwrap_or_default()
}

/// Whether a key's members tell a secret: a symmetric key, or the private part of a pair (RFC 7518, section 6).
pub(crate) fn is_secret(members: &Map<String, Value>) -> bool {
    const SECRET: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];
    members.get("kty").is_some_and(|kty| kty == "oct")
        || SECRET.iter().any(|name| members.contains_key(*name))
}

/// The thumbprint of a key (RFC 7638), as base64url without padding. None where a member that it is made of is missing.
pub(crate) fn thumbprint(members: &Map<String, Value>) -> Option<String> {
    let names: &[&str] = match members.get("kty")?.as_str()? {
        "RSA" => &["e", "kty", "n"],
        "EC" => &["crv", "kty", "x", "y"],
        "OKP" => &["crv", "kty", "x"],
        _ => return None,
    };
    // The required members in lexicographic order, without blanks: `Map` is sorted.
    let mut required = Map::new();
    for name in names {
        required.insert((*name).to_owned(), members.get(*name)?.as_str()?.into());
    }
    let hash = digest::digest(&digest::SHA256, Value::Object(required).to_string().as_bytes());
    Some(URL_SAFE_NO_PAD.encode(hash.as_ref()))
}

fn decode(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

fn rsa(modulus: &[u8], exponent: &[u8]) -> Option<DecodingKey> {
    // Some providers write the leading zero of a signed number, which is not part of it.
    let start = modulus.iter().position(|byte| *byte != 0)?;
    let modulus = modulus.get(start..)?;
    let bits = modulus.len() * 8 - usize::try_from(modulus.first()?.leading_zeros()).ok()?;
    // Odd and not 1: with the exponent 1, every text is its own signature.
    let sound = exponent.last().is_some_and(|last| last % 2 == 1) && exponent != [1] && exponent.len() <= 5;
    let sound = sound && exponent.first().is_some_and(|first| *first != 0);
    (sound && RSA_BITS.contains(&bits)).then(|| DecodingKey::from_rsa_raw_components(modulus, exponent))
}

/// A point that is on the curve, whose coordinates have so many bytes.
fn point(
    curve: &'static EcdsaVerificationAlgorithm,
    length: usize,
    x: &[u8],
    y: &[u8],
) -> Option<DecodingKey> {
    if (x.len(), y.len()) != (length, length) {
        return None;
    }
    let point = [&[4], x, y].concat();
    ParsedPublicKey::new(curve, &point).ok()?;
    Some(DecodingKey::from_ec_der(&point))
}

fn ed25519(x: &[u8]) -> Option<DecodingKey> {
    (x.len() == 32).then(|| DecodingKey::from_ed_der(x))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jose::Signer;
    use crate::role::Algorithm as Ours;
    use proptest::prelude::*;
    use serde_json::json;

    fn jwk(algorithm: Ours) -> Value {
        Signer::parse(algorithm, &Signer::generate(algorithm).unwrap()).unwrap().jwk().clone()
    }

    fn with(mut key: Value, name: &str, value: Value) -> Value {
        key[name] = value;
        key
    }

    fn parse(keys: &Value) -> Result<KeySet, BadKeySet> {
        KeySet::parse(json!({"keys": keys}).to_string().as_bytes())
    }

    #[test]
    fn every_kind_of_key_is_taken_and_found_by_its_id() {
        let keys = Ours::ALL.iter().map(|algorithm| jwk(*algorithm)).collect::<Vec<_>>();
        let set = parse(&Value::Array(keys.clone())).unwrap();
        for key in &keys {
            let kid = key["kid"].as_str().unwrap();
            assert!(set.has(kid));
            let fits = |name: &&&str| set.choose(Some(kid), named(name).unwrap()).is_ok();
            let only: Vec<_> = NAMES.iter().filter(fits).copied().collect();
            let alg = key["alg"].as_str().unwrap();
            assert_eq!(only, if alg == "EdDSA" { vec![alg, "Ed25519"] } else { vec![alg] });
        }
        assert!(!set.has("another") && !set.has(""));
    }

    #[test]
    fn a_thumbprint_is_made_of_the_required_members_alone() {
        for algorithm in Ours::ALL {
            let key = jwk(*algorithm);
            let print = |key: &Value| thumbprint(key.as_object().unwrap());
            assert_eq!(print(&key).as_deref(), key["kid"].as_str());
            assert_eq!(print(&with(key.clone(), "kid", json!("other"))), print(&key));
            assert_ne!(print(&with(key.clone(), "kty", json!("oct"))), print(&key));
            let mut lacks = key.clone();
            lacks.as_object_mut().unwrap().remove(if *algorithm == Ours::Rs256 { "n" } else { "x" });
            assert_eq!(print(&lacks), None);
        }
        // RFC 7638, section 3.1.
        let published = json!({
            "kty": "RSA",
            "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw",
            "e": "AQAB", "alg": "RS256", "kid": "2011-04-29",
        });
        let print = thumbprint(published.as_object().unwrap());
        assert_eq!(print.as_deref(), Some("NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"));
    }

    #[test]
    fn a_key_that_says_no_algorithm_serves_those_of_its_kind() {
        let mut key = jwk(Ours::Rs256);
        key.as_object_mut().unwrap().remove("alg");
        let set = parse(&json!([key])).unwrap();
        for name in NAMES {
            let fits = name.starts_with("RS") || name.starts_with("PS");
            assert_eq!(set.choose(None, named(name).unwrap()).is_ok(), fits, "{name}");
        }
    }

    #[test]
    fn every_name_is_that_of_an_algorithm_and_none_is_symmetric() {
        assert!(NAMES.iter().all(|name| named(name).is_some()));
        for other in ["HS256", "HS384", "HS512", "none", "", "rs256", "ES256K", "ES512", "Ed448"] {
            assert_eq!(named(other), None, "{other}");
        }
        assert_eq!((name_of(Algorithm::EdDSA), name_of(Algorithm::HS256)), ("EdDSA", ""));
        let newer = with(jwk(Ours::EdDsa), "alg", json!("Ed25519"));
        assert!(parse(&json!([newer])).unwrap().choose(None, Algorithm::EdDSA).is_ok());
    }

    #[test]
    fn a_key_of_p_384_verifies() {
        use aws_lc_rs::signature::{ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
        let random = aws_lc_rs::rand::SystemRandom::new();
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P384_SHA384_FIXED_SIGNING, &random).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P384_SHA384_FIXED_SIGNING, pkcs8.as_ref()).unwrap();
        let point = pair.public_key().as_ref();
        let [x, y] = [&point[1..49], &point[49..]].map(|half| URL_SAFE_NO_PAD.encode(half));
        let key = json!({"kty": "EC", "crv": "P-384", "x": x, "y": y});
        let set = parse(&json!([key])).unwrap();
        assert!(set.choose(None, Algorithm::ES256).is_err());
        let key = &set.choose(None, Algorithm::ES384).unwrap().key;
        let right = URL_SAFE_NO_PAD.encode(pair.sign(&random, b"text").unwrap());
        let verify = |text: &[u8]| jsonwebtoken::crypto::verify(&right, text, key, Algorithm::ES384).unwrap();
        assert!(verify(b"text") && !verify(b"other"));
    }

    #[test]
    fn without_an_id_there_must_be_one_key_that_fits() {
        let (one, two, other) = (jwk(Ours::Es256), jwk(Ours::Es256), jwk(Ours::EdDsa));
        assert!(parse(&json!([one, other])).unwrap().choose(None, Algorithm::ES256).is_ok());
        let both = parse(&json!([one, two])).unwrap();
        assert!(both.choose(None, Algorithm::ES256).is_err());
        assert!(both.choose(two["kid"].as_str(), Algorithm::ES256).is_ok());
        let nameless = with(one, "kid", Value::Null);
        assert!(parse(&json!([nameless])).is_err(), "an id that is no text is no id");
    }

    #[test]
    fn keys_that_we_cannot_use_are_left_out() {
        let (ec, rsa, ed) = (jwk(Ours::Es256), jwk(Ours::Rs256), jwk(Ours::EdDsa));
        let off_the_curve = with(ec.clone(), "y", ec["x"].clone());
        let short = URL_SAFE_NO_PAD.encode([0xff; 128]);
        let long = URL_SAFE_NO_PAD.encode([0xff; 1025]);
        let encryption = json!({"kty": "RSA", "use": "enc", "n": rsa["n"], "e": "AQAB"});
        for unusable in [
            encryption,
            with(ec.clone(), "use", json!("enc")),
            with(ec.clone(), "key_ops", json!(["sign"])),
            with(ec.clone(), "key_ops", json!("verify")),
            with(ec.clone(), "crv", json!("P-384")),
            with(ec.clone(), "kty", json!("ML-DSA")),
            with(ec.clone(), "alg", json!("RS256")),
            with(ec.clone(), "alg", json!("HS256")),
            with(ec.clone(), "alg", json!(null)),
            with(ec.clone(), "x", json!("AA")),
            with(ec.clone(), "x", json!("no base64url!")),
            off_the_curve,
            with(rsa.clone(), "n", json!(short)),
            with(rsa.clone(), "n", json!(long)),
            with(rsa.clone(), "n", json!("")),
            with(rsa.clone(), "e", json!("AQ")),
            with(rsa.clone(), "e", json!("AAEAAQ")),
            with(rsa.clone(), "e", json!("AQAA")),
            with(rsa.clone(), "e", json!("")),
            with(rsa, "alg", json!("HS512")),
            with(ed.clone(), "crv", json!("X25519")),
            with(ed.clone(), "alg", json!("Ed448")),
            with(ed, "x", json!("AAAA")),
        ] {
            let fault = parse(&json!([unusable])).unwrap_err();
            assert!(fault.0.starts_with("it has no RSA"), "{unusable}: {fault}");
            assert_eq!(parse(&json!([unusable, ec])).unwrap().0.len(), 1, "{unusable}");
        }
    }

    #[test]
    fn a_modulus_may_carry_the_zero_of_a_signed_number() {
        let rsa = jwk(Ours::Rs256);
        let padded = [&[0], decode(rsa["n"].as_str().unwrap()).unwrap().as_slice()].concat();
        assert!(parse(&json!([with(rsa, "n", json!(URL_SAFE_NO_PAD.encode(padded)))])).is_ok());
    }

    #[test]
    fn a_document_with_a_secret_in_it_is_refused_whole() {
        let ec = jwk(Ours::Es256);
        let oct = json!({"kty": "oct", "kid": "h", "alg": "HS256", "k": "c2VjcmV0"});
        for secret in [oct, with(ec.clone(), "d", json!("AA")), with(jwk(Ours::Rs256), "qi", json!("AA"))] {
            let fault = parse(&json!([ec, secret])).unwrap_err();
            assert!(fault.0.contains("symmetric or private"), "{fault}");
        }
    }

    #[test]
    fn documents_that_are_none_are_refused() {
        let ec = jwk(Ours::Es256);
        let twice = parse(&json!([ec, with(jwk(Ours::Es256), "kid", ec["kid"].clone())])).unwrap_err();
        assert!(twice.0.contains("same `kid`"), "{twice}");
        assert!(parse(&json!([ec, with(ec.clone(), "use", json!("enc"))])).is_ok(), "one id, but one use");
        assert!(parse(&Value::Array(vec![ec.clone(); MOST + 1])).unwrap_err().0.contains("more than 100"));
        for keys in [json!([]), json!([1]), json!({}), json!(null)] {
            assert!(parse(&keys).is_err());
        }
        for text in ["", "[]", "{}", r#"{"keys":[],"keys":[]}"#] {
            assert!(KeySet::parse(text.as_bytes()).is_err(), "{text}");
        }
        let mut document = json!({"keys": [ec]}).to_string();
        document.push_str(&" ".repeat(LONGEST - document.len()));
        assert!(KeySet::parse(document.as_bytes()).is_ok());
        document.push(' ');
        assert!(KeySet::parse(document.as_bytes()).unwrap_err().0.contains("longer than"));
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes: Vec<u8>, n: String, e: String) {
            prop_assert!(KeySet::parse(&bytes).is_err());
            let rsa = json!([{"kty": "RSA", "n": n, "e": e}]);
            prop_assert!(parse(&rsa).is_err());
        }
    }
}
