//! Tickets that a backend signs itself: a JWT with HS256 and the backend's ticket key.
//!
//! ```text
//! {"alg":"HS256","kid":"TK…","typ":"JWT"}
//! {"sub":"alice","origin":"https://lesson.example.com","aud":"https://sts.example.com/getAuthorization",
//!  "iat":1700000000,"exp":1700000060,"jti":"…16 to 64 characters…","vars":{"class":"7b"}}
//! ```
//!
//! The form is ours alone, hence it is read without leniency: a member that has no meaning here is refused, because its
//! sender believes that it has one.

use super::{Authentic, FIRST_USE, LONGEST, Pass, forged, invalid};
use crate::client::KeyKind;
use crate::clock::{Timestamp, after, rfc3339};
use crate::directory::Directory;
use crate::endpoint::Endpoint;
use crate::identity::Subject;
use crate::jose::compact::{Compact, date};
use crate::refusal::Refusal;
use crate::secret::{Secret, same};
use aws_lc_rs::hmac;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// How far `iat` may lie ahead of our clock, in seconds.
const AHEAD: u32 = 60;

/// The longest `sub`, in characters.
const SUBJECT: usize = 128;

/// How long a `jti` is: short ones are counters, and two backends' counters meet.
const ID: std::ops::RangeInclusive<usize> = 16..=64;

const HEADER: [&str; 3] = ["alg", "kid", "typ"];
const CLAIMS: [&str; 7] = ["sub", "origin", "aud", "iat", "exp", "jti", "vars"];

/// Verifies a ticket and finds the client whose key signed it, in the endpoint's tenant.
pub(super) fn read(
    directory: &Directory,
    endpoint: &Endpoint,
    shown: &Secret,
    now: Timestamp,
) -> Result<Authentic, Refusal> {
    let token = Compact::parse(shown.expose(), LONGEST).map_err(|_| forged())?;
    let kid = kid(&token).ok_or_else(forged)?;
    let found = directory.key(kid, KeyKind::Ticket, now).filter(|found| found.tenant.name == endpoint.tenant);
    // For an unknown key a stand-in: the answer takes as long as that to a wrong signature.
    let secret = directory.signing_secret(found.as_ref().map(|f| &*f.key)).map_err(Refusal::internal)?;
    let right = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret.expose()), token.signed);
    let matches = same(right.as_ref(), &token.signature);
    let found = found.filter(|_| matches).ok_or_else(forged)?;
    let claims = token.claims().map_err(wrong)?;
    let said = Said::parse(&claims).map_err(wrong)?;
    Ok(Authentic {
        client: found.client.clone(),
        made: said.iat,
        live: true,
        objection: misdated(&said, now),
        pass: Pass {
            id: said.jti,
            client: found.client.guid,
            key: found.key.id.clone(),
            endpoint: path_of(directory, said.aud),
            origin: said.origin,
            subject: Subject { name: said.sub, variables: said.vars },
            number: 0,
            expires: said.exp,
            begun: None,
        },
    })
}

/// The key's id, if the header is one of a ticket.
fn kid<'a>(token: &'a Compact<'_>) -> Option<&'a str> {
    let known = token.header.keys().all(|name| HEADER.contains(&name.as_str()));
    let typ = token.header.get("typ").is_none_or(|typ| typ == "JWT");
    let kid = token.text("kid")?;
    (known && typ && token.text("alg") == Some("HS256")).then_some(kid)
}

/// The path of the endpoint that `aud` names: by its whole URL, or by its path alone. Another service's URL stays as
/// it is, and is the path of no endpoint.
fn path_of(directory: &Directory, aud: String) -> String {
    let public = directory.plan().public_url.as_str();
    match aud.strip_prefix(public) {
        Some(path) if !public.is_empty() && path.starts_with('/') => path.to_owned(),
        _ => aud,
    }
}

fn misdated(said: &Said, now: Timestamp) -> Option<Refusal> {
    if said.iat > after(now, AHEAD) {
        let (iat, now) = (rfc3339(said.iat), rfc3339(now));
        return Some(invalid(format!(
            "this ticket was signed at {iat}, and it is {now}; set the clock right"
        )));
    }
    if said.exp > after(said.iat, FIRST_USE) {
        return Some(invalid(format!(
            "this ticket is good for too long; exp is at most {FIRST_USE} after iat"
        )));
    }
    None
}

/// The backend that signed it should know what it got wrong.
fn wrong(expected: &'static str) -> Refusal {
    invalid(format!("the ticket is signed with the right key, but not as a ticket; expected were {expected}"))
}

/// The claims.
struct Said {
    sub: String,
    origin: String,
    aud: String,
    iat: Timestamp,
    exp: Timestamp,
    jti: String,
    vars: BTreeMap<String, String>,
}

impl Said {
    fn parse(claims: &Map<String, Value>) -> Result<Self, &'static str> {
        if !claims.keys().all(|name| CLAIMS.contains(&name.as_str())) {
            return Err("the claims sub, origin, aud, iat, exp, jti and vars alone");
        }
        let text = |name: &str| claims.get(name).and_then(Value::as_str);
        let named = |text: &&str| {
            (1..=SUBJECT).contains(&text.chars().count()) && !text.chars().any(char::is_control)
        };
        let unique = |text: &&str| {
            ID.contains(&text.len())
                && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.~".contains(&b))
        };
        let sub = text("sub").filter(named).ok_or("sub of 1 to 128 characters without control characters")?;
        let jti = text("jti").filter(unique).ok_or("jti of 16 to 64 letters, digits, -, _, . or ~")?;
        Ok(Self {
            sub: sub.to_owned(),
            origin: text("origin").ok_or("origin as text")?.to_owned(),
            aud: text("aud").ok_or("aud as text")?.to_owned(),
            iat: claims.get("iat").and_then(date).ok_or("iat in seconds since 1970")?,
            exp: claims.get("exp").and_then(date).ok_or("exp in seconds since 1970")?,
            jti: jti.to_owned(),
            vars: variables(claims.get("vars")).ok_or("vars as an object of texts")?,
        })
    }
}

fn variables(value: Option<&Value>) -> Option<BTreeMap<String, String>> {
    match value {
        None => Some(BTreeMap::new()),
        Some(Value::Object(members)) => {
            members.iter().map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned()))).collect()
        }
        Some(_) => None,
    }
}
