//! Statements of ours that are no access tokens: signed with Ed25519 by a key that is for them alone.

use super::PublishedKey;
use super::compact::{Compact, Expected};
use super::verify::REFUSED;
use serde_json::{Map, Value};

/// The members of a compact JWS of this `typ`, if the key among these that it names has signed it; or what it should have
/// been.
pub(crate) fn signed_claims<'k>(
    jws: &[u8],
    longest: usize,
    typ: &str,
    mut keys: impl Iterator<Item = &'k PublishedKey>,
) -> Result<Map<String, Value>, Expected> {
    let parsed = Compact::parse(jws, longest)?;
    if REFUSED.iter().any(|name| parsed.header.contains_key(*name)) {
        return Err("a header without `crit`, `b64`, `zip` and `enc`");
    }
    if parsed.text("typ") != Some(typ) {
        return Err("the `typ` of such a statement");
    }
    let kid = parsed.text("kid").ok_or("a `kid`")?;
    let key = keys.find(|key| key.kid() == kid).ok_or("a `kid` of one of the keys for it")?;
    if parsed.text("alg") != Some(key.verifier.algorithm_name()) {
        return Err("the `alg` of the key that it names");
    }
    if !key.verifier.verifies(&parsed) {
        return Err("a signature by the key that it names");
    }
    parsed.claims()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jose::Signer;
    use crate::role::Algorithm;
    use serde_json::json;

    fn signer() -> Signer {
        Signer::parse(Algorithm::EdDsa, &Signer::generate(Algorithm::EdDsa).unwrap()).unwrap()
    }

    #[test]
    fn a_statement_is_read_with_its_key_alone() {
        let (ours, other) = (signer(), signer());
        let jws = ours.sign("a+jws", &json!({"number": 1})).unwrap();
        let read = |jws: &str, typ, keys: &[&Signer]| {
            signed_claims(jws.as_bytes(), 1000, typ, keys.iter().map(|key| key.public()))
                .map(|members| members["number"].clone())
        };
        assert_eq!(read(&jws, "a+jws", &[&other, &ours]), Ok(json!(1)));
        assert!(read(&jws, "a+jws", &[&other]).is_err());
        assert!(read(&jws, "b+jws", &[&ours]).is_err());
        let claims = json!({"number": 1});
        for header in [
            json!({"typ": "a+jws", "alg": "none", "kid": ours.kid()}),
            json!({"typ": "a+jws", "alg": "EdDSA"}),
            json!({"typ": "a+jws", "alg": "EdDSA", "kid": other.kid()}),
            json!({"typ": "a+jws", "alg": "EdDSA", "kid": ours.kid(), "crit": ["x"], "x": 1}),
            json!({"alg": "EdDSA", "kid": ours.kid()}),
        ] {
            let jws = ours.sign_under(&header, &claims).unwrap();
            assert!(read(&jws, "a+jws", &[&ours, &other]).is_err(), "{header}");
        }
    }

    #[test]
    fn a_public_key_alone_is_enough() {
        let ours = signer();
        let jws = ours.sign("a+jws", &json!({})).unwrap();
        let x = ours.jwk()["x"].as_str().unwrap();
        let key = PublishedKey::ed25519(x).unwrap();
        assert_eq!((key.kid(), key.ed25519_text()), (ours.kid(), Some(x)));
        assert!(signed_claims(jws.as_bytes(), 1000, "a+jws", [&key].into_iter()).is_ok());
        for bad in ["", "AAAA", "no base64url!", &format!("{x}=")] {
            assert!(PublishedKey::ed25519(bad).is_err(), "{bad}");
        }
    }
}
