//! Client assertions (RFC 7523 §3): a JWT by which a client says who it is, signed with a private key that it never
//! shows.
//!
//! Real clients are looser than the RFC, and what they send is accepted: MSAL for Python has fractions in its times,
//! `=` at the end of its thumbprints and line breaks in its `x5c`; openid-client names us by our issuer, all others by
//! the token endpoint; authlib names no key and sends assertions of an hour. What `x5c`, `jwk`, `jku` and `x5u` bring
//! is never looked at: a client's keys are those that its operator has registered.

use super::compact::{Compact, date};
use super::key_set::{PublicKey, algorithm_names, name_of, named, thumbprint};
use super::verify::REFUSED;
use crate::client::{Key, Material};
use crate::clock::{Timestamp, after, rfc3339};
use crate::refusal::{Reason, Refusal};
use crate::ring::Ring;
use crate::role::Algorithm as Ours;
use crate::secret::Secret;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, crypto};
use serde_json::{Map, Value, json};
use std::cmp::Reverse;
use std::sync::Arc;
use uuid::Uuid;

/// The longest assertion, in bytes: one with a chain of three certificates has about 8 KiB.
///
/// Attack: everything up to the signature is work for a stranger.
const LONGEST: usize = 16 * 1024;

/// The longest name of a key, in characters.
const NAME: usize = 256;

/// The longest `jti`, in characters.
const JTI: usize = 256;

/// How far a client's clock may be from ours, in seconds, before and after.
pub(crate) const SKEW: u32 = 60;

/// The longest life of an assertion, in seconds. Microsoft advises ten minutes; authlib takes an hour by itself.
///
/// Attack: an assertion made in stock, for years, is a secret that can be copied. And its `jti` would have to be
/// remembered for as long.
pub(crate) const LIFETIME: u32 = 3600;

/// For how long a `jti` is remembered behind the end of its assertion, in seconds: as long as the assertion may still be
/// used, and as much again for a node whose clock is behind.
const REMEMBERED: u32 = 2 * SKEW;

/// How many keys an assertion is tried with before it is refused: the two live ones of a rotation, and one that has run
/// out, which is worth another answer.
///
/// Attack: a refusal that comes sooner for a client that does not exist, or that has no keys, tells which do. So it is
/// always as many, and stand-ins take the places of those that are not there.
pub(crate) const TRIED: usize = 3;

/// What a `typ` may say; none at all will do. Attack: a JWT that the client has signed for another use, such as a DPoP
/// proof or a token of its own making.
const TYPES: [&str; 2] = ["jwt", "client-authentication+jwt"];

/// A client's public key, parsed once for all assertions, with the names that one may call it by.
pub(crate) struct ClientKey {
    /// None for a stand-in, by which nobody is known.
    key: Option<Arc<Key>>,
    public: PublicKey,
    kids: Vec<String>,
    x5t: Option<String>,
    x5t_s256: Option<String>,
}

impl ClientKey {
    /// None for a key of another kind, and for one that cannot be used; the latter cannot be registered.
    pub(crate) fn parse(key: &Arc<Key>) -> Option<Self> {
        let Material::Public(registered) = &key.material else { return None };
        let members = registered.jwk.as_object()?;
        let own = members.get("kid").and_then(Value::as_str).map(str::to_owned);
        let x5t = registered.x5t.clone();
        // MSAL for .NET names a certificate by the same hash in hexadecimal.
        let hex = x5t.as_deref().and_then(hexadecimal);
        Some(Self {
            key: Some(key.clone()),
            public: PublicKey::alone(members).ok()?,
            kids: [own, thumbprint(members), x5t.clone(), hex].into_iter().flatten().collect(),
            x5t,
            x5t_s256: registered.x5t_s256.clone(),
        })
    }

    /// A key of each kind, to take the places of those that are not there: our own keys, because they are at hand, and
    /// the base point of P-384, for which we have none.
    pub(crate) fn stand_ins(ring: &Ring) -> Vec<Self> {
        let own = Ours::ALL.iter().filter_map(|algorithm| Some(ring.signer(*algorithm)?.jwk().clone()));
        own.chain([json!({
            "kty": "EC",
            "crv": "P-384",
            "x": "qofKIr6LBTeOscce8yCtdG4dO2KLp5uYWfdB4IJUKjhVAvJdv1UpbDpUXjhydgq3",
            "y": "NhfeSpYmLG9dnpi_kpLcKfj0Hb0omhR86doxE7XwuMAKYLHOHX6BnXpDHXyQ6g5f",
        })])
        .filter_map(|jwk| Self::stand_in(&jwk))
        .collect()
    }

    fn stand_in(jwk: &Value) -> Option<Self> {
        let mut members = jwk.as_object()?.clone();
        members.remove("alg");
        let public = PublicKey::alone(&members).ok()?;
        Some(Self { key: None, public, kids: vec![], x5t: None, x5t_s256: None })
    }

    /// The key as it is registered.
    pub(crate) fn key(&self) -> Option<&Arc<Key>> {
        self.key.as_ref()
    }

    fn live(&self, at: Timestamp) -> bool {
        self.key.as_ref().is_some_and(|key| key.live(at))
    }

    fn enabled(&self) -> bool {
        self.key.as_ref().is_some_and(|key| key.enabled)
    }
}

/// An assertion of which only the form was looked at.
pub(crate) struct Assertion<'a> {
    token: Compact<'a>,
    claims: Map<String, Value>,
}

/// How an assertion says that it was signed.
pub(crate) struct Signed<'a> {
    assertion: &'a Assertion<'a>,
    algorithm: Algorithm,
    kid: Option<String>,
    x5t: Option<String>,
    x5t_s256: Option<String>,
}

/// What lets an assertion be used once.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Once {
    /// Its `jti`, which is unique to the client.
    pub(crate) id: String,
    /// When it cannot be used any more in any case, on any node.
    pub(crate) until: Timestamp,
}

impl<'a> Assertion<'a> {
    /// Takes an assertion apart.
    pub(crate) fn read(token: &'a Secret) -> Result<Self, Refusal> {
        let token = Compact::parse(token.expose(), LONGEST).map_err(expected)?;
        let claims = token.claims().map_err(expected)?;
        Ok(Self { token, claims })
    }

    /// Who it says has made it: to find the keys that prove it, and for nothing else before they have.
    pub(crate) fn issuer(&self) -> Result<&str, Refusal> {
        self.text("iss").ok_or_else(|| expected("an iss, the client id"))
    }

    /// How it says that it was signed.
    pub(crate) fn signed(&'a self) -> Result<Signed<'a>, Refusal> {
        let header = &self.token.header;
        if REFUSED.iter().any(|name| header.contains_key(*name)) {
            return Err(expected("a header without crit, b64, zip and enc"));
        }
        if let Some(typ) = header.get("typ") {
            let typ = typ.as_str().unwrap_or_default().to_ascii_lowercase();
            if !TYPES.contains(&typ.strip_prefix("application/").unwrap_or(&typ)) {
                return Err(expected("a typ of JWT, or none"));
            }
        }
        let algorithm = self.token.text("alg").and_then(named).ok_or_else(|| {
            let names = algorithm_names().join(", ");
            unproved(format!("the client assertion must be signed with one of {names}"))
        })?;
        Ok(Signed {
            assertion: self,
            algorithm,
            kid: self.name("kid")?,
            x5t: self.name("x5t")?.map(|name| unpadded(&name)),
            x5t_s256: self.name("x5t#S256")?.map(|name| unpadded(&name)),
        })
    }

    /// Checks what it says, after its signature was found right.
    pub(crate) fn check(&self, client: Uuid, audiences: &[String], now: Timestamp) -> Result<Once, Refusal> {
        for name in ["iss", "sub"] {
            if self.text(name).and_then(guid) != Some(client) {
                return Err(expected("an iss and a sub that are both the client id"));
            }
        }
        self.check_audience(audiences)?;
        let end = self.check_times(now)?;
        let id = self.text("jti").filter(|id| (1..=JTI).contains(&id.chars().count()));
        let id = id.ok_or_else(|| expected(&format!("a jti of 1 to {JTI} characters, new for each one")))?;
        Ok(Once { id: id.to_owned(), until: after(end, REMEMBERED) })
    }

    /// RFC 7523 §3 wants us to be named; that no one else is, is what RFC 7523bis adds.
    ///
    /// Attack: an assertion that is meant for two services can be shown by either of them to the other.
    fn check_audience(&self, audiences: &[String]) -> Result<(), Refusal> {
        let named = match self.claims.get("aud") {
            Some(Value::String(name)) => Some(name),
            Some(Value::Array(list)) => match list.as_slice() {
                [Value::String(name)] => Some(name),
                _ => None,
            },
            _ => None,
        };
        if named.is_some_and(|name| audiences.contains(name)) {
            return Ok(());
        }
        let detail = format!(
            "the client assertion is not made for this service; its aud must be one of {}, and nothing else",
            audiences.join(", ")
        );
        Err(Refusal::new(Reason::WrongAudience, detail))
    }

    /// Gives the end.
    fn check_times(&self, now: Timestamp) -> Result<Timestamp, Refusal> {
        let end = self.date("exp")?.ok_or_else(|| expected("an exp in seconds since 1970"))?;
        let (issued, begins) = (self.date("iat")?, self.date("nbf")?);
        let first = issued.max(begins);
        if after(end, SKEW) <= now || first.is_some_and(|first| first > after(now, SKEW)) {
            let from = first.map_or_else(|| "any time".to_owned(), rfc3339);
            let detail = format!(
                "the client assertion is not within its time; it is {} here, and it is valid from {from} until {}; \
                 check the clock of the client, which may be {SKEW} seconds off",
                rfc3339(now),
                rfc3339(end),
            );
            return Err(Refusal::new(Reason::ClockSkew, detail));
        }
        let start = issued.or(begins).unwrap_or(now);
        if end > after(start, LIFETIME + SKEW) {
            let detail = format!(
                "the client assertion is valid from {} until {}, and {LIFETIME} seconds are the most; make a new one \
                 for each request",
                rfc3339(start),
                rfc3339(end),
            );
            return Err(Refusal::new(Reason::ClockSkew, detail));
        }
        Ok(end)
    }

    fn date(&self, name: &str) -> Result<Option<Timestamp>, Refusal> {
        let Some(value) = self.claims.get(name) else { return Ok(None) };
        date(value).map(Some).ok_or_else(|| expected(&format!("an {name} in seconds since 1970")))
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.claims.get(name).and_then(Value::as_str)
    }

    fn name(&self, member: &str) -> Result<Option<String>, Refusal> {
        match self.token.header.get(member) {
            None => Ok(None),
            Some(Value::String(name)) if (1..=NAME).contains(&name.chars().count()) => Ok(Some(name.clone())),
            Some(_) => Err(expected(&format!("a {member} that is a short text"))),
        }
    }
}

impl Signed<'_> {
    /// The key that has signed it, among a client's or none at all. Live keys are tried first; what is tried in all, if
    /// none fits, depends on neither the client nor its keys.
    pub(crate) fn by<'k>(
        &self,
        keys: impl IntoIterator<Item = &'k ClientKey>,
        stand_ins: &'k [ClientKey],
        now: Timestamp,
    ) -> Option<&'k Arc<Key>> {
        let fits = |key: &&ClientKey| key.public.fits(self.algorithm);
        let stand_in = stand_ins.iter().find(fits)?;
        let mut named: Vec<_> =
            keys.into_iter().filter(fits).filter(|key| key.enabled() && self.names(key)).collect();
        // Of those that have run out, the latest: its client may not have heard.
        named.sort_by_key(|key| (!key.live(now), Reverse(key.key.as_ref().and_then(|key| key.expires))));
        let tried: [&ClientKey; TRIED] =
            std::array::from_fn(|place| named.get(place).copied().unwrap_or(stand_in));
        // Every stand-in is tried, right or wrong: the private half of one is no secret.
        tried.into_iter().find(|key| self.is_by(key) && key.key.is_some())?.key()
    }

    /// The same work as for a client whose keys do not fit.
    pub(crate) fn in_vain(&self, stand_ins: &[ClientKey], now: Timestamp) {
        self.by(&[], stand_ins, now);
    }

    fn is_by(&self, key: &ClientKey) -> bool {
        #[cfg(test)]
        tests::VERIFIED.with(|count| count.set(count.get() + 1));
        let Compact { signature_text, signed, .. } = self.assertion.token;
        crypto::verify(signature_text, signed, &key.public.key, self.algorithm).is_ok_and(|right| right)
    }

    /// Whether it may mean this key. Names serve to choose; the signature proves.
    fn names(&self, key: &ClientKey) -> bool {
        let is = |name: &Option<String>, of: &Option<String>| name.is_some() && name == of;
        self.is_nameless()
            || self.kid.as_ref().is_some_and(|kid| key.kids.iter().any(|own| same_name(own, kid)))
            || is(&self.x5t_s256, &key.x5t_s256)
            || is(&self.x5t, &key.x5t)
    }

    fn is_nameless(&self) -> bool {
        self.kid.is_none() && self.x5t.is_none() && self.x5t_s256.is_none()
    }

    /// The refusal of one that no key of the client has signed. It says how the key was looked for, and never repeats
    /// what the assertion holds.
    pub(crate) fn refusal(&self) -> Refusal {
        let by: Vec<_> = [("kid", &self.kid), ("x5t#S256", &self.x5t_s256), ("x5t", &self.x5t)]
            .into_iter()
            .filter_map(|(member, name)| name.as_ref().map(|_| member))
            .collect();
        let which = match by.as_slice() {
            [] => "its signature is by none of this client's public keys".to_owned(),
            by => format!(
                "its signature is not by the key that it names ({}), or this client has no such key",
                by.join(", ")
            ),
        };
        unproved(format!(
            "the client assertion is not accepted: {which}; sign with a key that is registered and fits {}",
            name_of(self.algorithm)
        ))
    }
}

/// The same name: hexadecimal in either case, everything else as it is written.
fn same_name(own: &str, named: &str) -> bool {
    own == named
        || (own.len() == 40 && own.bytes().all(|b| b.is_ascii_hexdigit()) && own.eq_ignore_ascii_case(named))
}

/// A thumbprint as we write it: MSAL for Python pads it, and others take the alphabet with `+` and `/`.
fn unpadded(name: &str) -> String {
    name.trim_end_matches('=').replace('+', "-").replace('/', "_")
}

fn hexadecimal(base64url: &str) -> Option<String> {
    let bytes = URL_SAFE_NO_PAD.decode(base64url).ok()?;
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.map(|digit| char::from_digit(digit.into(), 16)).collect()
}

/// A GUID in its hyphenated form, in either case: one thing has one spelling.
pub(crate) fn guid(text: &str) -> Option<Uuid> {
    (text.len() == 36).then(|| Uuid::try_parse(text).ok()).flatten()
}

/// Says what an assertion should have had.
pub(crate) fn expected(what: &str) -> Refusal {
    let detail = format!("the client assertion cannot be used; expected was {what}");
    Refusal::new(Reason::MalformedProof, detail).parameter("client_assertion")
}

fn unproved(detail: String) -> Refusal {
    Refusal::new(Reason::WrongSignature, detail)
}

#[cfg(test)]
pub(crate) mod tests;
