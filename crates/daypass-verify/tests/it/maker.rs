//! Makes tokens, by jsonwebtoken and aws-lc-rs: nothing of what is tested takes part in it.

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RsaKeyPair,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use daypass_verify::{Builder, Claims, Clock, Rejected, Verifier};
use jsonwebtoken::{Algorithm, EncodingKey, crypto};
use serde_json::{Value, json};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub(crate) const ISSUER: &str = "https://pass.example.com/387c56a8-cf86-45de-b9f5-b4de88cac054/v2.0";
pub(crate) const V1: &str = "https://pass.example.com/387c56a8-cf86-45de-b9f5-b4de88cac054/";
pub(crate) const TENANT: &str = "387c56a8-cf86-45de-b9f5-b4de88cac054";
pub(crate) const AUDIENCE: &str = "d6b7c858-55fa-4d04-85a6-131af690abd4";
pub(crate) const CLIENT: &str = "0b7e3f52-9c1d-4f7e-8a35-6f6c2f1d9e01";
pub(crate) const NOW: u64 = 1_800_000_000;

/// A private key with its JWK.
pub(crate) struct Key {
    pub(crate) algorithm: Algorithm,
    pub(crate) jwk: Value,
    secret: EncodingKey,
}

pub(crate) fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

impl Key {
    pub(crate) fn rsa(kid: &str, algorithm: Algorithm) -> Self {
        let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
        let public = pair.public_key();
        let n = encode(public.modulus().big_endian_without_leading_zero());
        let e = encode(public.exponent().big_endian_without_leading_zero());
        let der: Pkcs8V1Der<'_> = pair.as_der().unwrap();
        let jwk = json!({"kty": "RSA", "kid": kid, "n": n, "e": e, "use": "sig"});
        // jsonwebtoken wants the key of PKCS#1, which is what stands behind the fixed head of a PKCS#8 document.
        Self { algorithm, jwk, secret: EncodingKey::from_rsa_der(&der.as_ref()[26..]) }
    }

    pub(crate) fn p256(kid: &str) -> Self {
        let der =
            EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new()).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der.as_ref()).unwrap();
        let point = pair.public_key().as_ref();
        let jwk = json!({
            "kty": "EC", "crv": "P-256", "kid": kid, "x": encode(&point[1..33]), "y": encode(&point[33..65]), "alg": "ES256",
        });
        Self { algorithm: Algorithm::ES256, jwk, secret: EncodingKey::from_ec_der(der.as_ref()) }
    }

    pub(crate) fn ed25519(kid: &str) -> Self {
        let der = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        let pair = Ed25519KeyPair::from_pkcs8(der.as_ref()).unwrap();
        let jwk = json!({"kty": "OKP", "crv": "Ed25519", "kid": kid, "x": encode(pair.public_key())});
        Self { algorithm: Algorithm::EdDSA, jwk, secret: EncodingKey::from_ed_der(der.as_ref()) }
    }

    pub(crate) fn kid(&self) -> &str {
        self.jwk["kid"].as_str().unwrap()
    }

    fn name(&self) -> String {
        format!("{:?}", self.algorithm)
    }

    /// A token of these parts, as they stand.
    pub(crate) fn sign_text(&self, header: &str, claims: &str) -> String {
        let signed = format!("{}.{}", encode(header), encode(claims));
        let signature = crypto::sign(signed.as_bytes(), &self.secret, self.algorithm).unwrap();
        format!("{signed}.{signature}")
    }

    /// A token with the usual header, changed by `header`; a value of null leaves a member out.
    pub(crate) fn sign_with(&self, header: &Value, claims: &Value) -> String {
        let usual = json!({"typ": "JWT", "alg": self.name(), "kid": self.kid()});
        self.sign_text(&changed(usual, header).to_string(), &claims.to_string())
    }

    pub(crate) fn sign(&self, claims: &Value) -> String {
        self.sign_with(&json!({}), claims)
    }

    /// A DPoP proof by this key.
    pub(crate) fn prove(&self, header: &Value, claims: &Value) -> String {
        let mut public = self.jwk.clone();
        let members = public.as_object_mut().unwrap();
        members.retain(|name, _| !["kid", "use", "alg"].contains(&name.as_str()));
        let usual = json!({"typ": "dpop+jwt", "alg": self.name(), "jwk": public});
        self.sign_text(&changed(usual, header).to_string(), &claims.to_string())
    }
}

/// One of each kind. RSA keys take long to make.
pub(crate) static KEYS: LazyLock<[Key; 4]> = LazyLock::new(|| {
    [Key::rsa("rs", Algorithm::RS256), Key::rsa("ps", Algorithm::PS256), Key::p256("es"), Key::ed25519("ed")]
});

pub(crate) fn key(kid: &str) -> &'static Key {
    KEYS.iter().find(|key| key.kid() == kid).unwrap()
}

/// Members put in, and left out where the value is null.
pub(crate) fn changed(mut value: Value, changes: &Value) -> Value {
    let members = value.as_object_mut().unwrap();
    for (name, change) in changes.as_object().unwrap() {
        if change.is_null() {
            members.remove(name);
        } else {
            members.insert(name.clone(), change.clone());
        }
    }
    value
}

/// The claims of a v2.0 token, changed.
pub(crate) fn claims(changes: &Value) -> Value {
    let usual = json!({
        "iss": ISSUER, "aud": AUDIENCE, "tid": TENANT, "azp": CLIENT, "azpacr": "1", "sub": "the-app", "oid": "the-app",
        "iat": NOW, "nbf": NOW - 300, "exp": NOW + 3599, "roles": ["orders.read"], "uti": "u-1", "ver": "2.0",
    });
    changed(usual, changes)
}

pub(crate) fn key_set() -> String {
    json!({"keys": KEYS.iter().map(|key| key.jwk.clone()).collect::<Vec<_>>()}).to_string()
}

/// A clock that is set by hand.
#[derive(Clone)]
pub(crate) struct Hand(Arc<Mutex<u64>>);

impl Hand {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Mutex::new(NOW)))
    }

    pub(crate) fn set(&self, seconds: u64) {
        *self.0.lock().unwrap() = seconds;
    }
}

impl Clock for Hand {
    fn now(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(*self.0.lock().unwrap())
    }
}

pub(crate) fn builder() -> Builder {
    Verifier::builder(ISSUER).audience(AUDIENCE).keys(key_set()).clock(Hand::new())
}

/// What the usual verifier says of a token.
pub(crate) async fn judge(token: &str) -> Result<Claims, Rejected> {
    static USUAL: LazyLock<Verifier> = LazyLock::new(|| builder().build().unwrap());
    USUAL.verify(token).await
}
