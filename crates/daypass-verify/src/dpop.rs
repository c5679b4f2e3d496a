//! DPoP proofs (RFC 9449, section 4.3).

use crate::clock::numeric_date;
use crate::compact::Compact;
use crate::keys::{Algorithm, PublicKey, is_secret, sha256, thumbprint};
use crate::rejected::Rejected;
use crate::uri;
use serde_json::{Map, Value};
use std::time::Duration;

/// How far a proof's `iat` may lie from our clock on either side. Attack: a proof that was caught can be shown for so
/// long wherever its `jti` is not known, behind another instance of the API for one.
pub(crate) const AROUND: Duration = Duration::from_mins(1);

/// The longest `jti`, in bytes.
const ID: usize = 256;

/// What the request was that a proof must be for.
#[derive(Clone, Copy)]
pub(crate) struct Request<'a> {
    /// The access token that came with it.
    pub(crate) token: &'a str,
    /// Its method.
    pub(crate) method: &'a str,
    /// Its URL as the client sees it.
    pub(crate) url: &'a str,
}

/// A proof that is right, but for whether it was used before.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Proven {
    /// The thumbprint of the key that signed it.
    pub(crate) key: String,
    /// Its `jti`.
    pub(crate) id: String,
}

/// Checks a proof in the order of RFC 9449, section 4.3.
pub(crate) fn check(proof: &str, request: Request<'_>, now: Duration) -> Result<Proven, Rejected> {
    let compact =
        Compact::parse(proof).map_err(|_| Rejected::Proof("a JWT in its one spelling was expected"))?;
    if compact.typ().ok().flatten().as_deref() != Some("dpop+jwt") {
        return Err(Rejected::Proof("the typ dpop+jwt was expected"));
    }
    let algorithm = compact.header.get("alg").and_then(Value::as_str).and_then(Algorithm::named);
    let algorithm =
        algorithm.ok_or(Rejected::Proof("an alg of ES256, RS256, PS256 or EdDSA was expected"))?;
    let jwk =
        compact.header.get("jwk").and_then(Value::as_object).ok_or(Rejected::Proof("a jwk was expected"))?;
    if is_secret(jwk) {
        return Err(Rejected::Proof("a jwk that is a public key was expected"));
    }
    let (Some(public), Some(key)) = (PublicKey::parse(jwk), thumbprint(jwk)) else {
        return Err(Rejected::Proof("a jwk of RSA, P-256 or Ed25519 was expected"));
    };
    if !public.verifies(algorithm, compact.signed, &compact.signature) {
        return Err(Rejected::Proof("its signature is wrong"));
    }
    let claims =
        compact.claims().map_err(|_| Rejected::Proof("claims without doubled members were expected"))?;
    let id = check_claims(&claims, request, now)?;
    Ok(Proven { key, id })
}

/// That the proof is for this request and of now; its `jti`.
fn check_claims(
    claims: &Map<String, Value>,
    request: Request<'_>,
    now: Duration,
) -> Result<String, Rejected> {
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    // Methods are compared with their case (RFC 9110, section 9.1).
    if text("htm") != Some(request.method) {
        return Err(Rejected::Proof("the htm of this request was expected"));
    }
    let its = text("htu").and_then(uri::normal);
    if its.is_none() || its != uri::normal(request.url) {
        return Err(Rejected::Proof("the htu of this request was expected"));
    }
    let made = claims.get("iat").and_then(numeric_date).ok_or(Rejected::Proof("an iat was expected"))?;
    if made.abs_diff(now) > AROUND {
        return Err(Rejected::Proof("it was not made now: is the clock right?"));
    }
    // Attack: a proof that was made for one token would let another one of the same key pass.
    if text("ath") != Some(sha256(request.token.as_bytes()).as_str()) {
        return Err(Rejected::Proof("the ath of this token was expected"));
    }
    match text("jti") {
        Some(id) if (1..=ID).contains(&id.len()) => Ok(id.to_owned()),
        _ => Err(Rejected::Proof("a jti of at most 256 bytes was expected")),
    }
}
