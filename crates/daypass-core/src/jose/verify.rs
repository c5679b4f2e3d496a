//! Verification of JWTs that others have made (RFC 7519, and RFC 8725 for what goes wrong).

use super::compact::{Compact, date};
use super::key_set::{KeySet, named};
use crate::clock::{Timestamp, after, rfc3339};
use crate::identity::Subject;
use crate::provider::Provider;
use crate::refusal::{Reason, Refusal};
use crate::secret::Secret;
use jsonwebtoken::Algorithm;
use jsonwebtoken::crypto;
use serde_json::{Map, Value};

/// The longest JWT, in bytes: it comes in one header or parameter.
///
/// Attack: everything up to the signature is work for a stranger.
const LONGEST: usize = 16 * 1024;

/// How far `iat` and `nbf` may lie ahead of our clock, in seconds. What lies behind is judged by `exp`, exactly.
const AHEAD: u32 = 60;

/// The longest `kid`, in characters.
const KID: usize = 256;

/// The longest subject, in characters.
const SUBJECT: usize = 128;

/// How much of an issuer's name is repeated in a refusal, in characters.
const SHOWN: usize = 64;

/// Members of a header that change what is signed or how (RFC 7515, section 4.1.11; RFC 7797; RFC 7516). Whoever does
/// not act on them reads another token than its maker wrote. Others are ignored, as RFC 7515 demands; `jku`, `jwk`,
/// `x5u` and `x5c` are among those. Attack: a token that brings its own key.
pub(super) const REFUSED: [&str; 4] = ["crit", "b64", "zip", "enc"];

/// What a `typ` may say. Attack: a token that the same provider made for another use, such as a logout token, shows
/// the same issuer, audience and subject.
const TYPES: [&str; 2] = ["jwt", "at+jwt"];

/// The id of the key that a JWT says it was signed with. Nothing about it is believed yet; none where the token would
/// be refused whatever the keys are.
pub fn kid_of(token: &Secret) -> Option<String> {
    let token = Compact::parse(token.expose(), LONGEST).ok()?;
    head(&token).ok()?.1.map(str::to_owned)
}

/// Verifies a JWT of a provider and says whom it names. Every failure is [`Reason::IdentityInvalid`], with a sentence
/// that says what was expected.
pub fn verify_outside(
    provider: &Provider,
    keys: &KeySet,
    token: &Secret,
    now: Timestamp,
) -> Result<Subject, Refusal> {
    verify(provider, keys, token, now, false)
}

/// The same, without the signature where that was found right before, over these bytes and by these keys.
pub(super) fn verify(
    provider: &Provider,
    keys: &KeySet,
    token: &Secret,
    now: Timestamp,
    signature_known: bool,
) -> Result<Subject, Refusal> {
    let token = Compact::parse(token.expose(), LONGEST).map_err(expected)?;
    let (algorithm, kid) = head(&token).map_err(expected)?;
    let key = keys.choose(kid, algorithm).map_err(expected)?;
    let right = || crypto::verify(token.signature_text, token.signed, &key.key, algorithm);
    if !signature_known && !right().is_ok_and(|right| right) {
        return Err(expected("a signature by the key that it names"));
    }
    let claims = token.claims().map_err(expected)?;
    check_issuer(provider, &claims)?;
    check_audience(provider, &claims)?;
    check_times(&claims, now)?;
    subject(provider, &claims)
}

/// Says what a token should have had.
fn expected(what: &str) -> Refusal {
    Refusal::new(Reason::IdentityInvalid, format!("the token is not accepted; expected was {what}"))
}

/// The algorithm and the key's id.
fn head<'a>(token: &'a Compact<'_>) -> Result<(Algorithm, Option<&'a str>), &'static str> {
    if REFUSED.iter().any(|name| token.header.contains_key(*name)) {
        return Err("a header without `crit`, `b64`, `zip` and `enc`");
    }
    if let Some(typ) = token.header.get("typ") {
        let typ = typ.as_str().unwrap_or_default().to_ascii_lowercase();
        if !TYPES.contains(&typ.strip_prefix("application/").unwrap_or(&typ)) {
            return Err("a `typ` of JWT or at+jwt, or none");
        }
    }
    let algorithm = token
        .text("alg")
        .and_then(named)
        .ok_or("an `alg` of RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, EdDSA or Ed25519")?;
    let kid = match token.header.get("kid") {
        None => None,
        Some(Value::String(kid)) if (1..=KID).contains(&kid.chars().count()) => Some(kid.as_str()),
        Some(_) => return Err("a `kid` that is a short text"),
    };
    Ok((algorithm, kid))
}

fn check_issuer(provider: &Provider, claims: &Map<String, Value>) -> Result<(), Refusal> {
    match claims.get("iss").and_then(Value::as_str) {
        Some(issuer) if issuer == provider.issuer => Ok(()),
        Some(other) => {
            let other: String = other.chars().take(SHOWN).collect();
            Err(expected(&format!("the issuer {}, and it has {other}", provider.issuer)))
        }
        None => Err(expected(&format!("the issuer {}, and it has none", provider.issuer))),
    }
}

fn check_audience(provider: &Provider, claims: &Map<String, Value>) -> Result<(), Refusal> {
    let ours = |audience: &str| provider.audiences.iter().any(|our| our == audience);
    let right = match claims.get("aud") {
        Some(Value::String(audience)) => ours(audience),
        Some(Value::Array(list)) => {
            list.iter().all(Value::is_string) && list.iter().filter_map(Value::as_str).any(ours)
        }
        _ => false,
    };
    if right {
        return Ok(());
    }
    Err(expected(&format!("the audience {}", provider.audiences.join(" or "))).parameter("aud"))
}

fn check_times(claims: &Map<String, Value>, now: Timestamp) -> Result<(), Refusal> {
    let end = claims.get("exp").and_then(date).ok_or_else(|| expected("an `exp` in seconds since 1970"))?;
    if end <= now {
        let detail = format!("the token has expired at {}; get a new one from its issuer", rfc3339(end));
        return Err(Refusal::new(Reason::IdentityInvalid, detail).parameter("exp"));
    }
    for name in ["nbf", "iat"] {
        let Some(value) = claims.get(name) else { continue };
        let from = date(value).ok_or_else(|| expected(&format!("`{name}` in seconds since 1970")))?;
        if from > after(now, AHEAD) {
            let (from, now) = (rfc3339(from), rfc3339(now));
            let detail = format!("the token is not valid before {from} ({name}), and it is {now}");
            return Err(Refusal::new(Reason::IdentityInvalid, detail).parameter(name));
        }
    }
    Ok(())
}

fn subject(provider: &Provider, claims: &Map<String, Value>) -> Result<Subject, Refusal> {
    let name = match claims.get(&provider.subject) {
        Some(Value::String(name)) => Some(name.clone()),
        Some(Value::Number(number)) if !number.is_f64() => Some(number.to_string()),
        _ => None,
    };
    let fits =
        |name: &String| (1..=SUBJECT).contains(&name.chars().count()) && !name.chars().any(char::is_control);
    let name = name.filter(fits).ok_or_else(|| {
        expected(&format!(
            "a claim `{}` of 1 to {SUBJECT} characters without control characters",
            provider.subject
        ))
    })?;
    let variables = provider.variables.iter().filter_map(|(variable, claim)| {
        let value = claims.get(claim).and_then(as_text)?;
        Some((variable.clone(), value))
    });
    Ok(Subject { name, variables: variables.collect() })
}

/// What can stand for one value; lists, objects and fractions cannot, and count as missing.
fn as_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) if !number.is_f64() => Some(number.to_string()),
        Value::Bool(yes) => Some(yes.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
