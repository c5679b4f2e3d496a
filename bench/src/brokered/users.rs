//! Users of a page, as their own provider knows them. The provider is this program, and its public key is in a file. It signs
//! with Ed25519, so that thousands of users can be made between two slices.

use anyhow::Context as _;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use daypass_core::clock::{Timestamp, unix};
use serde_json::{Value, json};

/// Who vouches for them.
pub(super) const ISSUER: &str = "https://login.bench.example";
/// For whom.
pub(super) const AUDIENCE: &str = "daypass-bench";
const KEY_ID: &str = "bench";
/// Longer than any run, in seconds.
const LIFETIME: i64 = 6 * 3600;

/// Those whom the provider vouches for.
pub(crate) struct Users(Ed25519KeyPair);

impl Users {
    /// A provider with a new key.
    pub(super) fn generate() -> anyhow::Result<Self> {
        Ed25519KeyPair::generate().context("no Ed25519 key").map(Self)
    }

    /// Its public key, as providers publish theirs.
    pub(super) fn key_set(&self) -> Value {
        let public = URL_SAFE_NO_PAD.encode(self.0.public_key());
        json!({"keys": [{
            "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": KEY_ID, "x": public,
        }]})
    }

    /// The token of this user.
    pub(super) fn token(&self, subject: &str, now: Timestamp) -> anyhow::Result<String> {
        let header = json!({"alg": "EdDSA", "typ": "JWT", "kid": KEY_ID});
        let (iat, exp) = (unix(now), unix(now) + LIFETIME);
        let claims = json!({"iss": ISSUER, "aud": AUDIENCE, "sub": subject, "iat": iat, "exp": exp});
        let mut token = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string())).join(".");
        let signature = self.0.try_sign(token.as_bytes()).context("the key does not sign")?;
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut token);
        Ok(token)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jsonwebtoken::jwk::JwkSet;
    use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};

    #[test]
    fn a_token_verifies_with_the_key_set_and_names_its_user() {
        let users = Users::generate().unwrap();
        let keys: JwkSet = serde_json::from_value(users.key_set()).unwrap();
        let key = DecodingKey::from_jwk(keys.find(KEY_ID).unwrap()).unwrap();
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_audience(&[AUDIENCE]);
        validation.set_issuer(&[ISSUER]);
        let token = users.token("visitor-7", crate::clock::wall()).unwrap();
        assert_eq!(decode::<Value>(&token, &key, &validation).unwrap().claims["sub"], "visitor-7");
    }
}
