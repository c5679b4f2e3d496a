//! The assertion by which a client proves that it holds a private key (RFC 7523, in Entra's shape).

use crate::fault::{Fault, FaultKind};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeyPair;
use aws_lc_rs::signature::RSA_PSS_SHA256;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use daypass_core::clock::{Timestamp, unix};
use daypass_core::secret::Secret;
use serde_json::json;
use uuid::Uuid;
use zeroize::Zeroizing;

/// Seconds for which an assertion counts: Microsoft advises five to ten minutes.
const LIFE: i64 = 300;

/// What an assertion says.
pub(super) struct Claims<'a> {
    /// The client id: `iss` and `sub`.
    pub(super) client: &'a str,
    /// The token endpoint: `aud`.
    pub(super) audience: &'a str,
    /// The present.
    pub(super) at: Timestamp,
    /// What no other assertion has: `jti`.
    pub(super) once: [u8; 16],
}

/// Signs with PS256, as Microsoft wants it now, and names the certificate by its SHA-256 thumbprint.
pub(super) fn sign(pem: &Secret, thumbprint: Option<&str>, claims: &Claims<'_>) -> Result<String, Fault> {
    let unfit = |why: &str| Fault::new(FaultKind::NoKey, format!("the root key {why}"));
    let der = der(pem.expose_str()).ok_or_else(|| unfit("is no private key in PEM (PKCS#8)"))?;
    let pair = KeyPair::from_pkcs8(&der).map_err(|_| unfit("is no RSA key, which this cloud wants"))?;
    let mut header = json!({ "alg": "PS256", "typ": "JWT" });
    if let (Some(header), Some(thumbprint)) = (header.as_object_mut(), thumbprint) {
        header.insert("x5t#S256".to_owned(), thumbprint.into());
    }
    let now = unix(claims.at);
    let body = json!({
        "aud": claims.audience,
        "iss": claims.client,
        "sub": claims.client,
        "jti": Uuid::from_bytes(claims.once).to_string(),
        "iat": now,
        "nbf": now,
        "exp": now.saturating_add(LIFE),
    });
    let encode = |text: String| URL_SAFE_NO_PAD.encode(text);
    let signed = format!("{}.{}", encode(header.to_string()), encode(body.to_string()));
    let mut signature = vec![0; pair.public_modulus_len()];
    pair.sign(&RSA_PSS_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature)
        .map_err(|_| unfit("cannot sign"))?;
    Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
}

/// What stands between the lines of a PEM file with one private key in it.
fn der(pem: &str) -> Option<Zeroizing<Vec<u8>>> {
    const BEGIN: &str = "-----BEGIN PRIVATE KEY-----";
    const END: &str = "-----END PRIVATE KEY-----";
    let (_, rest) = pem.split_once(BEGIN)?;
    let (body, _) = rest.split_once(END)?;
    let body: Zeroizing<String> = Zeroizing::new(body.split_ascii_whitespace().collect());
    STANDARD.decode(body.as_bytes()).ok().map(Zeroizing::new)
}
