//! The claims of an access token, in the three shapes that resource servers expect.
//!
//! Which one a token has is decided by its resource, never by its client or by the endpoint: a resource server's library
//! knows one. All three tell an application's own token, since nobody signs in here.
//!
//! Sources: Microsoft's "Access token claims reference", and RFC 9068.

use super::issuer;
use daypass_core::caller::{Confirmation, How};
use daypass_core::clock::{Timestamp, unix};
use daypass_core::inspect::Behalf;
use daypass_core::policy::{Authorized, ClaimValue, EXCHANGES, VALUES_BYTES};
use daypass_core::refusal::Refusal;
use daypass_core::role::{Profile, Role, TokenVersion};
use daypass_core::standing::key_print;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::Value;
use std::collections::BTreeSet;
use uuid::Uuid;

/// Seconds by which `nbf` lies before `iat`. Verifiers whose clock is behind ours would refuse a fresh token
/// otherwise; Entra back-dates by the same five minutes. `iat` stays honest.
pub const BACKDATE: i64 = 300;

/// The most characters of a client's name that a token shows.
const NAME: usize = 64;

/// The most bytes that the claim `act` takes as JSON: a client in it takes about a hundred.
const ACT_BYTES: usize = 128 * EXCHANGES;

/// A shape of claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    /// Entra's version 1.0.
    V1,
    /// Entra's version 2.0.
    V2,
    /// RFC 9068.
    Rfc9068,
}

impl Shape {
    /// That of the tokens for a resource.
    fn of(profile: Profile, version: TokenVersion) -> Self {
        match (profile, version) {
            (Profile::Rfc9068, _) => Self::Rfc9068,
            (Profile::Entra, TokenVersion::V1) => Self::V1,
            (Profile::Entra, TokenVersion::V2) => Self::V2,
        }
    }

    /// Which of a tenant's issuers such tokens name.
    fn issuer(self) -> TokenVersion {
        match self {
            Self::V1 => TokenVersion::V1,
            Self::V2 | Self::Rfc9068 => TokenVersion::V2,
        }
    }

    /// The claim that is the client which asked.
    fn client(self) -> &'static str {
        match self {
            Self::V1 => "appid",
            Self::V2 => "azp",
            Self::Rfc9068 => "client_id",
        }
    }

    /// The claim that is unique to a token.
    fn id(self) -> &'static str {
        match self {
            Self::V1 | Self::V2 => "uti",
            Self::Rfc9068 => "jti",
        }
    }

    /// Whether `sub` is the client's guid; otherwise it is its object id.
    fn sub_is_client(self) -> bool {
        self == Self::Rfc9068
    }

    /// `typ` of the header. There are verifiers that know nothing but Entra's `JWT`; RFC 9068 wants a type of its own, so
    /// that no other JWT of an issuer is taken for an access token.
    fn typ(self) -> &'static str {
        match self {
            Self::V1 | Self::V2 => "JWT",
            Self::Rfc9068 => "at+jwt",
        }
    }
}

/// The names that the claims of tokens under one issuer can have, apart from an operator's own.
pub(crate) fn names(version: TokenVersion) -> &'static [&'static str] {
    match version {
        TokenVersion::V1 => &[
            "aud",
            "iss",
            "iat",
            "nbf",
            "exp",
            "appid",
            "appidacr",
            "app_displayname",
            "idp",
            "idtyp",
            "oid",
            "rh",
            "roles",
            "sub",
            "tid",
            "uti",
            "ver",
            "cnf",
            "act",
        ],
        // With those of RFC 9068.
        TokenVersion::V2 => &[
            "aud",
            "iss",
            "iat",
            "nbf",
            "exp",
            "azp",
            "azpacr",
            "client_id",
            "idtyp",
            "jti",
            "oid",
            "rh",
            "roles",
            "sub",
            "tid",
            "uti",
            "ver",
            "cnf",
            "act",
        ],
    }
}

/// What `rh` says, which only we read (as Entra's is for Entra alone): `1.`, the print of the key that a token was asked
/// for with, the tokens that it descends from, the nearest first, and the prints of the keys that those were asked for
/// with. It is how a token falls with any of them.
fn rh<'a>(
    print: &str,
    ancestors: impl Iterator<Item = Uuid>,
    prints: impl Iterator<Item = &'a String>,
) -> String {
    use std::fmt::Write as _;
    let mut text = format!("1.{print}");
    for ancestor in ancestors {
        // Writing to a string cannot fail.
        let _ = write!(text, ".{ancestor}");
    }
    for print in prints {
        text.push('.');
        text.push_str(print);
    }
    text
}

/// The claims of an access token.
#[derive(Clone, Debug, PartialEq)]
pub struct AccessToken {
    shape: Shape,
    /// The resource: as it was asked for in version 1.0, otherwise as its role names it.
    aud: String,
    iss: String,
    /// Seconds since the Unix epoch.
    iat: i64,
    exp: i64,
    tid: Uuid,
    /// The client that asked.
    client: Uuid,
    /// For people; only version 1.0 has it.
    client_name: String,
    /// How that client proved itself.
    acr: &'static str,
    /// Whom the token speaks for, by object id or, in RFC 9068, by guid.
    sub: Uuid,
    /// 128 random bits. Entra writes 22 characters of base64url; this is the text that the record of the grant carries, so
    /// that one can be found by the other.
    id: Uuid,
    roles: Vec<String>,
    rh: String,
    cnf: Option<Confirmation>,
    act: Option<Value>,
    own: Vec<(String, ClaimValue)>,
}

impl AccessToken {
    /// The claims for what was authorized, issued at this time under this id.
    pub fn new(
        public_url: &str,
        authorized: &Authorized,
        issued: Timestamp,
        id: Uuid,
    ) -> Result<Self, Refusal> {
        let lacks = |what| move || Refusal::internal(format!("an access token needs {what}"));
        let shape = Shape::of(authorized.profile(), authorized.version());
        let audience = authorized.audience().ok_or_else(lacks("a role with an audience"))?;
        let asked = authorized.resource().filter(|_| shape == Shape::V1);
        let client = authorized.client().ok_or_else(lacks("a client"))?;
        let object = authorized.object().ok_or_else(lacks("a client"))?;
        let (of_client, of_object) =
            authorized.behalf().map_or((client, object), |behalf| (behalf.client, behalf.object));
        let tid = authorized.tenant().guid;
        let iat = unix(issued);
        Ok(Self {
            shape,
            aud: asked.unwrap_or(audience).to_owned(),
            iss: issuer(public_url, tid, shape.issuer()),
            iat,
            exp: iat.saturating_add(i64::from(authorized.lifetime())),
            tid,
            client,
            client_name: match shape {
                Shape::V1 => authorized.client_name().unwrap_or_default().chars().take(NAME).collect(),
                Shape::V2 | Shape::Rfc9068 => String::new(),
            },
            acr: acr(authorized.how().ok_or_else(lacks("a proof"))?),
            sub: if shape.sub_is_client() { of_client } else { of_object },
            id,
            roles: authorized.app_roles().to_vec(),
            rh: rh(
                &key_print(authorized.key().ok_or_else(lacks("a key"))?),
                authorized.behalf().into_iter().flat_map(ancestors),
                authorized.behalf().into_iter().flat_map(|behalf| &behalf.origin_keys),
            ),
            cnf: authorized.confirmation().cloned(),
            act: authorized.behalf().and_then(|behalf| behalf.actor.clone()),
            own: authorized.claims()?,
        })
    }

    /// `typ` of the header.
    pub(crate) fn typ(&self) -> &'static str {
        self.shape.typ()
    }
}

/// How the application proved itself (Entra's `azpacr`): `1` is a secret, `2` a certificate or an assertion, with nothing
/// shown that could be shown again.
fn acr(how: How) -> &'static str {
    if how.is_secret() { "1" } else { "2" }
}

fn ancestors(behalf: &Behalf) -> impl Iterator<Item = Uuid> {
    std::iter::once(behalf.origin).chain(behalf.earlier.iter().copied())
}

impl Serialize for AccessToken {
    /// Straight into the text: most tokens are made of nothing that would need a tree.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("aud", &self.aud)?;
        map.serialize_entry("iss", &self.iss)?;
        map.serialize_entry("iat", &self.iat)?;
        map.serialize_entry("nbf", &self.iat.saturating_sub(BACKDATE))?;
        map.serialize_entry("exp", &self.exp)?;
        map.serialize_entry(self.shape.client(), &self.client)?;
        match self.shape {
            Shape::V1 => {
                map.serialize_entry("appidacr", self.acr)?;
                map.serialize_entry("app_displayname", &self.client_name)?;
                map.serialize_entry("idp", &self.iss)?;
            }
            Shape::V2 => map.serialize_entry("azpacr", self.acr)?,
            Shape::Rfc9068 => {}
        }
        if self.shape != Shape::Rfc9068 {
            // Nobody is signed in; and `sub` equal to `oid` marks a token of an application as well.
            map.serialize_entry("idtyp", "app")?;
            map.serialize_entry("oid", &self.sub)?;
        }
        map.serialize_entry("rh", &self.rh)?;
        // The whole authorization; absent if there are none.
        if !self.roles.is_empty() {
            map.serialize_entry("roles", &self.roles)?;
        }
        map.serialize_entry("sub", &self.sub)?;
        if self.shape != Shape::Rfc9068 {
            map.serialize_entry("tid", &self.tid)?;
        }
        map.serialize_entry(self.shape.id(), &self.id)?;
        if self.shape != Shape::Rfc9068 {
            map.serialize_entry("ver", self.shape.issuer().name())?;
        }
        if let Some(bound) = &self.cnf {
            map.serialize_entry("cnf", &Single(bound.member(), bound.value()))?;
        }
        if let Some(act) = &self.act {
            map.serialize_entry("act", act)?;
        }
        // At the top level: readers have no patience for a level of their own.
        for (name, value) in &self.own {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

/// An object with one member.
struct Single<'a>(&'a str, &'a str);

impl Serialize for Single<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry(self.0, self.1)?;
        map.end()
    }
}

/// The bytes of the longest token that these roles of one resource can come to: a client that has all of them, the longest
/// values that its grants may bind, an exchange through as many clients as there may be, bound to a key, and signed with
/// RSA.
pub fn longest(public_url: &str, roles: &[&Role]) -> usize {
    let Some(first) = roles.first() else { return 0 };
    let shape = Shape::of(first.profile, first.version);
    let names = first.audience.iter().chain(first.identifiers.iter().filter(|_| shape == Shape::V1));
    let app_roles: BTreeSet<&String> = roles.iter().flat_map(|role| &role.app_roles).collect();
    let varies = first.claims.values().any(|claim| claim.variable().is_some());
    let token = AccessToken {
        shape,
        aud: names.max_by_key(|name| name.len()).cloned().unwrap_or_default(),
        iss: issuer(public_url, Uuid::nil(), shape.issuer()),
        iat: LATE,
        exp: LATE,
        tid: Uuid::nil(),
        client: Uuid::nil(),
        // No character is longer in JSON than one that is escaped by its number.
        client_name: "\0".repeat(NAME),
        acr: "1",
        sub: Uuid::nil(),
        id: Uuid::nil(),
        roles: app_roles.into_iter().cloned().collect(),
        rh: rh(
            &key_print(""),
            std::iter::repeat_n(Uuid::nil(), EXCHANGES),
            std::iter::repeat_n(&key_print(""), EXCHANGES),
        ),
        cnf: Some(Confirmation::Certificate("x".repeat(43))),
        act: Some(Value::String("x".repeat(ACT_BYTES))),
        own: first
            .claims
            .iter()
            .map(|(name, claim)| {
                let empty = || ClaimValue::Text(String::new());
                (name.clone(), if claim.variable().is_some() { empty() } else { claim.longest() })
            })
            .collect(),
    };
    let values = if varies { VALUES_BYTES } else { 0 };
    // Texts and numbers always serialize.
    let claims = serde_json::to_vec(&token).map_or(usize::MAX, |json| json.len()).saturating_add(values);
    HEADER_BYTES.saturating_add(base64(claims)).saturating_add(2).saturating_add(base64(256))
}

/// 9999-12-31, after which a time has another digit.
const LATE: i64 = 253_402_300_799;

/// The longest header as base64url: `{"typ":"at+jwt","alg":"RS256","kid":"…"}` with a thumbprint of 43 characters.
const HEADER_BYTES: usize = 120;

fn base64(bytes: usize) -> usize {
    bytes.saturating_mul(4).div_ceil(3)
}

#[cfg(test)]
mod tests;
