//! DPoP proofs (RFC 9449): a JWT that says who holds a private key, made for one request.
//!
//! Nonces of the server (`DPoP-Nonce`, section 8) are not asked for: the short life of a proof and its single use, which
//! all nodes share, already bound what a proof that was made ahead of time is good for.

use super::compact::{Compact, date};
use super::key_set::{PublicKey, named, thumbprint};
use super::verify::REFUSED;
use crate::clock::{Timestamp, after, rfc3339};
use crate::dialect::Dpop;
use crate::refusal::{Reason, Refusal};
use crate::secret::Secret;
use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::crypto;
use serde_json::{Map, Value};
use std::borrow::Cow;

/// The longest proof, in bytes: one with an RSA key of 8192 bits has about 3,200.
///
/// Attack: everything up to the signature is work for whoever sends it.
const LONGEST: usize = 4096;

/// The longest `jti`, in characters.
const JTI: usize = 256;

/// How far `iat` may be from our clock, in seconds, before and after.
///
/// Attack: a proof that was captured, or made in stock while someone had the key for a moment, and is shown later.
const WINDOW: u32 = 60;

/// For how long a proof's `jti` is remembered from its `iat` on, in seconds: the proof's own window, and as much again
/// for a node whose clock is behind.
const REMEMBERED: u32 = 2 * WINDOW;

/// A proof that is right, if it was not used before.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Proof {
    /// The RFC 7638 thumbprint of the key: `jkt`.
    pub(crate) thumbprint: String,
    /// Its `jti`, which is unique to the key.
    pub(crate) id: String,
    /// Until when its use is to be remembered.
    pub(crate) until: Timestamp,
}

/// Verifies a proof. Every failure is [`Reason::DpopInvalid`], with a sentence that says what was expected.
pub(crate) fn verify(dpop: &Dpop<'_>, now: Timestamp) -> Result<Proof, Refusal> {
    checked(dpop, now).map(|(proof, _)| proof)
}

/// Verifies a proof that was sent along with an access token: it must be about that one (RFC 9449, section 4.3).
///
/// Attack: a proof that was made for one token would let another one of the same key pass.
pub(crate) fn verify_with(dpop: &Dpop<'_>, token: &Secret, now: Timestamp) -> Result<Proof, Refusal> {
    let (proof, claims) = checked(dpop, now)?;
    let hash = URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, token.expose()));
    if claims.get("ath").and_then(Value::as_str) != Some(&hash) {
        return Err(expected("an ath of the access token that was sent"));
    }
    Ok(proof)
}

/// A proof that is right, with all that it claims.
fn checked(dpop: &Dpop<'_>, now: Timestamp) -> Result<(Proof, Map<String, Value>), Refusal> {
    let token = Compact::parse(dpop.proof.expose(), LONGEST).map_err(expected)?;
    let thumbprint = check_signature(&token).map_err(expected)?;
    let claims = token.claims().map_err(expected)?;
    if claims.get("htm").and_then(Value::as_str) != Some(dpop.method) {
        return Err(expected(&format!("an htm of {}", dpop.method)));
    }
    check_target(&claims, dpop.urls)?;
    let id = id(&claims).ok_or_else(|| expected(&format!("a jti of 1 to {JTI} characters")))?;
    let until = after(made(&claims, now)?, REMEMBERED);
    Ok((Proof { thumbprint, id, until }, claims))
}

/// Says what a proof should have had.
pub(crate) fn expected(what: &str) -> Refusal {
    Refusal::new(Reason::DpopInvalid, format!("the DPoP proof is not accepted; expected was {what}"))
}

/// Checks the header and the signature, by the key that the header brings. That is the point of it: who it is was proved
/// otherwise, and the proof says which key the token is to be bound to. Gives the key's thumbprint.
fn check_signature(token: &Compact<'_>) -> Result<String, &'static str> {
    if REFUSED.iter().any(|name| token.header.contains_key(*name)) {
        return Err("a header without crit, b64, zip and enc");
    }
    if token.text("typ") != Some("dpop+jwt") {
        return Err("a typ of dpop+jwt");
    }
    let algorithm = token
        .text("alg")
        .and_then(named)
        .ok_or("an alg of RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, EdDSA or Ed25519")?;
    let members = token
        .header
        .get("jwk")
        .and_then(Value::as_object)
        .ok_or("a jwk in the header, the public key as a JSON object")?;
    let key = PublicKey::alone(members)?;
    if !key.fits(algorithm) {
        return Err("an alg that is one of the key in jwk");
    }
    let thumbprint = thumbprint(members).ok_or("a jwk with the members of its kty")?;
    match crypto::verify(token.signature_text, token.signed, &key.key, algorithm) {
        Ok(true) => Ok(thumbprint),
        _ => Err("a signature by the key in jwk"),
    }
}

fn check_target(claims: &Map<String, Value>, urls: &[String]) -> Result<(), Refusal> {
    let target = claims.get("htu").and_then(Value::as_str).unwrap_or_default();
    let target = normal(target);
    if urls.iter().any(|url| normal(url) == target) {
        return Ok(());
    }
    Err(expected(&format!("an htu of {}", urls.join(" or "))))
}

/// A URL as it is compared: without query and fragment (RFC 9449 §4.3), with scheme and host in lower case and without
/// the port that the scheme has anyway (RFC 3986 §6.2.2.1, §6.2.3). Its path is left as it is: our own has nothing in it
/// that two programs write differently.
fn normal(url: &str) -> Cow<'_, str> {
    let url = url.split(['?', '#']).next().unwrap_or_default();
    let Some((scheme, rest)) = url.split_once("://") else { return url.into() };
    let (host, path) = rest.find('/').map_or((rest, ""), |slash| rest.split_at(slash));
    let (scheme, host) = (scheme.to_ascii_lowercase(), host.to_ascii_lowercase());
    let usual = match scheme.as_str() {
        "https" => ":443",
        "http" => ":80",
        _ => ":",
    };
    format!("{scheme}://{}{path}", host.strip_suffix(usual).unwrap_or(&host)).into()
}

fn id(claims: &Map<String, Value>) -> Option<String> {
    let id = claims.get("jti")?.as_str()?;
    (1..=JTI).contains(&id.chars().count()).then(|| id.to_owned())
}

/// When it was made, which must be about now.
fn made(claims: &Map<String, Value>, now: Timestamp) -> Result<Timestamp, Refusal> {
    let made = claims.get("iat").and_then(date).ok_or_else(|| expected("an iat in seconds since 1970"))?;
    let apart = (made.as_millisecond() - now.as_millisecond()).abs();
    if apart > i64::from(WINDOW) * 1000 {
        let (made, now) = (rfc3339(made), rfc3339(now));
        let what = format!("an iat within {WINDOW} seconds of now; it is {made}, and now is {now}");
        return Err(expected(&what));
    }
    Ok(made)
}

#[cfg(test)]
mod tests;
