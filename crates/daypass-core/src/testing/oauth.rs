//! Keys of OAuth clients, and assertions that are made with them.

use super::key;
use crate::client::{Key, KeyKind, Material, PublicKey};
use crate::jose::Signer;
use crate::role::Algorithm;
use crate::secret::Secret;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeyPair;
use aws_lc_rs::signature::RSA_PSS_SHA256;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use std::sync::LazyLock;
use uuid::Uuid;

/// A key of an OAuth client that is no secret.
pub fn oauth_key(id: Uuid, kind: KeyKind, client: Uuid, material: Material) -> Key {
    key(&id.to_string(), kind, client, material)
}

/// A private key of each kind, made once: an RSA key takes long.
static PAIRS: LazyLock<Vec<(Algorithm, Secret, Signer)>> = LazyLock::new(|| {
    let pair = |algorithm: &Algorithm| {
        let pkcs8 = Signer::generate(*algorithm).expect("a key");
        let signer = Signer::parse(*algorithm, &pkcs8).expect("it parses");
        (*algorithm, pkcs8, signer)
    };
    Algorithm::ALL.iter().map(pair).collect()
});

/// What a client of tests signs its assertions with.
pub fn client_signer(algorithm: Algorithm) -> &'static Signer {
    &PAIRS.iter().find(|(of, ..)| *of == algorithm).expect("a key of each kind").2
}

/// The public half of [`client_signer`], registered for a client. It serves every algorithm of its kind.
pub fn public_key(id: Uuid, client: Uuid, algorithm: Algorithm) -> Key {
    let mut jwk = client_signer(algorithm).jwk().clone();
    jwk.as_object_mut().expect("an object").remove("alg");
    let public = PublicKey { jwk, x5t: None, x5t_s256: None };
    oauth_key(id, KeyKind::PublicKey, client, Material::Public(public))
}

/// A JWT of any header and claims, signed with the client's key for its `alg`: RS256, PS256, ES256 or `EdDSA`,
/// also by its newer name.
pub fn client_assertion(header: &Value, claims: &Value) -> Secret {
    let algorithm = match header["alg"].as_str() {
        Some("ES256") => Algorithm::Es256,
        Some("EdDSA" | "Ed25519") => Algorithm::EdDsa,
        _ => Algorithm::Rs256,
    };
    let right = client_signer(algorithm).sign_under(header, claims).expect("it signs");
    if header["alg"] != "PS256" {
        return Secret::new(right);
    }
    let (signed, _) = right.rsplit_once('.').expect("three parts");
    let pkcs8 = &PAIRS.iter().find(|(of, ..)| *of == algorithm).expect("a key of each kind").1;
    let pair = KeyPair::from_pkcs8(pkcs8.expose()).expect("it parses");
    let mut signature = vec![0; pair.public_modulus_len()];
    pair.sign(&RSA_PSS_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature).expect("it signs");
    Secret::new(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
}
