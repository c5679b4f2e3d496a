//! Temporary credentials that need no row: an id, a secret and a token that prove each other.
//!
//! - The **id** names the kind, the ring version and 16 random bytes.
//! - The **token** is the sealed claims, with the id as associated data.
//! - The **secret** is `HMAC(ring key, id ‖ SHA-256(token))`.
//!
//! The vendors' SDKs do not sign the token header, so the secret itself depends on the token's exact bytes: a
//! swapped, cut or re-encoded token gives another secret, and with it a wrong signature.

use crate::client::KeyKind;
use crate::clock::{Timestamp, after};
use crate::id::Draw;
use crate::inspect::Behalf;
use crate::limits;
use crate::policy::{Authorized, Language, Policy, actors};
use crate::refusal::{Reason, Refusal};
use crate::ring::{Purpose, Ring};
use crate::seal;
use crate::secret::Secret;
use aws_lc_rs::{digest, hmac};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::sync::Arc;
use uuid::Uuid;

/// Which vendor's clients the triple is for; decides how its id begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TripleKind {
    /// `AKID…`, as Tencent's SDKs expect.
    Tencent,
    /// `STS.…`, as Alibaba's SDKs expect.
    Alibaba,
}

impl TripleKind {
    const ALL: [Self; 2] = [Self::Tencent, Self::Alibaba];

    fn prefix(self) -> &'static str {
        match self {
            Self::Tencent => "AKID",
            Self::Alibaba => "STS.",
        }
    }

    /// The language that its vendor's services understand. A policy in another one would bound nothing there.
    pub fn language(self) -> Language {
        match self {
            Self::Tencent => Language::Cam,
            Self::Alibaba => Language::Ram,
        }
    }

    /// The kind of key whose protocols such a credential signs in. Attack: one that was narrowed in one vendor's
    /// policy language means nothing, or something else, at the other vendor's endpoints.
    pub fn signs_as(self) -> KeyKind {
        match self {
            Self::Tencent => KeyKind::Tencent,
            Self::Alibaba => KeyKind::AccessKey,
        }
    }
}

/// How the session of a temporary credential came about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SessionKind {
    /// A client, or an endpoint, gave a user a part of its own rights: `GetFederationToken`, `getAuthorization`, TOP.
    #[default]
    Federated,
    /// A client, or an outside provider's subject, took a role: `AssumeRole`.
    Assumed,
}

/// What the token of a triple says. It is sealed: nobody but Daypass reads it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Claims {
    /// The tenant's name.
    pub tenant: String,
    /// The client it was issued to; none for an anonymous endpoint.
    pub client: Option<Uuid>,
    /// The key the client asked with, by id.
    pub key: Option<String>,
    /// The path of the endpoint it was issued at.
    pub endpoint: String,
    /// The role.
    pub role: String,
    /// How its session came about.
    pub kind: SessionKind,
    /// By what its subject was known, where it was by no client's key: `session`, `ticket`, `jwt`, `anonymous`, or
    /// `web-identity:` and the provider's name.
    pub via: Option<String>,
    /// Whom someone trusted said it is for.
    pub subject: Option<String>,
    /// The session name, as the client gave it.
    pub session: Option<String>,
    /// The session's tags.
    pub tags: BTreeMap<String, String>,
    /// Who stands behind the session, as the client said.
    pub source_identity: Option<String>,
    /// The client that it speaks for, where that is another than the one it was issued to.
    pub behalf: Option<Uuid>,
    /// Other clients that have acted in the tokens that it came from.
    pub actors: Vec<Uuid>,
    /// The access tokens that it came from by exchanges, the latest first: it falls with each of them.
    pub origins: Vec<Uuid>,
    /// What the keys are recognised by that those were asked for with: it falls with each of them too.
    pub origin_keys: Vec<String>,
    /// What it may be used for.
    pub policy: Arc<Policy>,
    /// Milliseconds since the Unix epoch.
    pub issued: i64,
    /// Milliseconds since the Unix epoch; from here on it is refused.
    pub expires: i64,
}

/// A temporary credential as it leaves.
pub struct Triple {
    /// Which vendor's shape.
    pub kind: TripleKind,
    /// `TmpSecretId` or `AccessKeyId`.
    pub id: String,
    /// `TmpSecretKey` or `AccessKeySecret`: 43 characters of base64url.
    pub secret: Secret,
    /// `Token` or `SecurityToken`.
    pub token: String,
}

/// A temporary credential that was presented, opened and found authentic; it may have run out.
pub struct Opened {
    /// What its token says.
    pub claims: Claims,
    /// The secret its holder signs with.
    pub secret: Secret,
}

/// How long the id of a client's key usually is, in bytes.
const ID_BYTES: usize = 36;
/// Format of the id.
const ID_FORMAT: u8 = 1;
/// Format of the claims inside the token. Those of another one do not open: their holder asks again.
const FORMAT: u8 = 4;
/// Claims longer than this are deflated. Setting up the compressor costs more than a short policy's whole issue,
/// and only long ones are near the vendor's limit.
const DEFLATE_ABOVE: usize = 1024;
/// The most bytes that claims may inflate to: a sealed token is ours, so this only bounds a mistake of ours.
const INFLATE_LIMIT: u64 = 64 * 1024;

/// Makes a triple. Refused when the token would be longer than the vendor's clients accept; nothing is cut off
/// and nothing is stored instead.
pub fn make(ring: &Ring, kind: TripleKind, claims: &Claims, draw: &Draw) -> Result<Triple, Refusal> {
    // Which keys is decided by the time of the draw, which a client's retry shares with its first request: the retry
    // gets the identical credential even if another key has taken over in between.
    let version = ring.active_at(Purpose::TokenSeal, draw.at());
    let seal =
        ring.seal(Purpose::TokenSeal, version).ok_or_else(|| Refusal::internal("no token-seal key"))?;
    let id = make_id(kind, ring.active_at(Purpose::Triple, draw.at()), draw);
    let plain = pack(claims).map_err(Refusal::internal)?;
    let sealed = seal.seal(id.as_bytes(), draw.bytes("token nonce"), &plain).map_err(Refusal::internal)?;
    let token = URL_SAFE_NO_PAD.encode(sealed);
    if token.len() > limits::TOKEN {
        return Err(Refusal::new(
            Reason::CredentialTooLarge,
            format!(
                "the policy makes a token of {} bytes, and clients accept {}",
                token.len(),
                limits::TOKEN
            ),
        ));
    }
    let secret = derive(ring, &id, &token).ok_or_else(|| Refusal::internal("no triple key"))?;
    Ok(Triple { kind, id, secret, token })
}

/// Opens a presented id and token. Everything about them that is not authentic gets the same refusal.
pub fn open(ring: &Ring, id: &str, token: &str) -> Result<Opened, Refusal> {
    let invalid = not_authentic;
    if token.len() > limits::TOKEN {
        return Err(invalid());
    }
    let sealed = URL_SAFE_NO_PAD.decode(token).map_err(|_| invalid())?;
    let version = seal::version_of(&sealed).ok_or_else(invalid)?;
    let key = ring.seal(Purpose::TokenSeal, version).ok_or_else(invalid)?;
    let plain = key.open(id.as_bytes(), &sealed).map_err(|_| invalid())?;
    let secret = derive(ring, id, token).ok_or_else(invalid)?;
    let claims = unpack(&plain).map_err(|fault| invalid().because(fault))?;
    Ok(Opened { claims, secret })
}

/// What is said of a token that is none of ours.
pub(crate) fn not_authentic() -> Refusal {
    Refusal::new(Reason::TokenInvalid, "the token is not authentic, or not the one of this id")
}

/// How long the token of a credential with this policy is, in bytes, where a client asked for it with a key of its own and
/// said nothing further. Session names and tags come on top. More than [`limits::TOKEN`] is refused when it is asked for.
pub fn token_bytes(tenant: &str, role: &str, policy: &Policy) -> usize {
    let claims = Claims {
        tenant: tenant.to_owned(),
        client: Some(Uuid::nil()),
        key: Some("k".repeat(ID_BYTES)),
        endpoint: "/".to_owned(),
        role: role.to_owned(),
        kind: SessionKind::default(),
        via: None,
        subject: None,
        session: None,
        tags: BTreeMap::new(),
        source_identity: None,
        behalf: None,
        actors: Vec::new(),
        origins: Vec::new(),
        origin_keys: Vec::new(),
        policy: Arc::new(policy.clone()),
        issued: i64::MAX,
        expires: i64::MAX,
    };
    let plain = pack(&claims).map_or(0, |plain| plain.len());
    (plain + seal::OVERHEAD).saturating_mul(4).div_ceil(3)
}

/// Of which kind this is the id, if it looks like one of a triple.
pub fn kind_of(id: &str) -> Option<TripleKind> {
    id_parts(id).map(|(kind, _)| kind)
}

/// The version of the ring's keys that a triple of this id was made with.
pub fn ring_version(id: &str) -> Option<u32> {
    id_parts(id).map(|(_, version)| version)
}

fn make_id(kind: TripleKind, version: u32, draw: &Draw) -> String {
    let mut bytes = vec![ID_FORMAT];
    bytes.extend_from_slice(&version.to_be_bytes());
    bytes.extend_from_slice(&draw.bytes::<16>("triple id"));
    let mut id = kind.prefix().to_owned();
    URL_SAFE_NO_PAD.encode_string(bytes, &mut id);
    id
}

/// The kind, and the version of the ring key that the secret is derived from.
fn id_parts(id: &str) -> Option<(TripleKind, u32)> {
    let (kind, rest) =
        TripleKind::ALL.into_iter().find_map(|kind| Some((kind, id.strip_prefix(kind.prefix())?)))?;
    // 21 bytes are 28 characters; anything else is not ours and is not decoded.
    let bytes: [u8; 21] =
        (rest.len() == 28).then(|| URL_SAFE_NO_PAD.decode(rest).ok()).flatten()?.try_into().ok()?;
    match bytes {
        [ID_FORMAT, a, b, c, d, ..] => Some((kind, u32::from_be_bytes([a, b, c, d]))),
        _ => None,
    }
}

fn derive(ring: &Ring, id: &str, token: &str) -> Option<Secret> {
    let (_, version) = id_parts(id)?;
    let key = ring.mac(Purpose::Triple, version)?;
    let mut context = hmac::Context::with_key(key);
    context.update(b"daypass triple v1");
    context.update(&(id.len() as u64).to_be_bytes());
    context.update(id.as_bytes());
    context.update(digest::digest(&digest::SHA256, token.as_bytes()).as_ref());
    Some(Secret::new(URL_SAFE_NO_PAD.encode(context.sign().as_ref())))
}

fn pack(claims: &Claims) -> Result<Vec<u8>, postcard::Error> {
    let plain = postcard::to_extend(claims, vec![FORMAT])?;
    if plain.len() <= DEFLATE_ABOVE {
        return Ok(plain);
    }
    let mut encoder =
        flate2::write::DeflateEncoder::new(vec![FORMAT | DEFLATED], flate2::Compression::best());
    let written = encoder.write_all(plain.get(1..).unwrap_or_default()).and_then(|()| encoder.finish());
    Ok(written.unwrap_or(plain))
}

/// Bit of the first byte that says the rest is deflated.
const DEFLATED: u8 = 0x80;

fn unpack(plain: &[u8]) -> Result<Claims, postcard::Error> {
    match plain.split_first() {
        Some((&FORMAT, rest)) => postcard::from_bytes(rest),
        Some((&first, rest)) if first == FORMAT | DEFLATED => {
            let mut out = Vec::new();
            flate2::read::DeflateDecoder::new(rest)
                .take(INFLATE_LIMIT)
                .read_to_end(&mut out)
                .map_err(|_| postcard::Error::DeserializeUnexpectedEnd)?;
            postcard::from_bytes(&out)
        }
        _ => Err(postcard::Error::DeserializeBadEncoding),
    }
}

/// The clients in the claim `act` that are neither the one that asks nor the one that it speaks for.
fn others(authorized: &Authorized, behalf: &Behalf) -> Vec<Uuid> {
    let mut actors = actors(behalf.actor.as_ref()).unwrap_or_default();
    actors.retain(|actor| Some(*actor) != authorized.client() && *actor != behalf.client);
    actors
}

/// Every token that this one came from.
fn origins(behalf: &Behalf) -> Vec<Uuid> {
    std::iter::once(behalf.origin).chain(behalf.earlier.iter().copied()).collect()
}

impl Claims {
    /// What a credential says that is made of this authorization and draw. Refused for a role without a policy.
    pub fn of(authorized: &Authorized, draw: &Draw) -> Result<Self, Refusal> {
        let policy = authorized.shared_policy().ok_or_else(|| {
            Refusal::internal(format!("the role `{}` has no policy to put into a triple", authorized.role()))
        })?;
        Ok(Self {
            tenant: authorized.tenant().name.clone(),
            client: authorized.client(),
            key: authorized.key().map(str::to_owned),
            endpoint: authorized.endpoint().to_owned(),
            role: authorized.role().to_owned(),
            kind: authorized.kind(),
            via: authorized.via().map(str::to_owned),
            subject: authorized.subject().map(str::to_owned),
            session: authorized.session().map(str::to_owned),
            tags: authorized.tags().clone(),
            source_identity: authorized.source_identity().map(str::to_owned),
            behalf: authorized
                .behalf()
                .map(|behalf| behalf.client)
                .filter(|of| Some(*of) != authorized.client()),
            actors: authorized.behalf().map(|behalf| others(authorized, behalf)).unwrap_or_default(),
            origins: authorized.behalf().map(origins).unwrap_or_default(),
            origin_keys: authorized.behalf().map(|behalf| behalf.origin_keys.clone()).unwrap_or_default(),
            policy,
            issued: draw.at().as_millisecond(),
            expires: after(draw.at(), authorized.lifetime()).as_millisecond(),
        })
    }

    /// When it was issued.
    pub fn issued(&self) -> Timestamp {
        Timestamp::from_millisecond(self.issued).unwrap_or(Timestamp::MIN)
    }

    /// When it runs out.
    pub fn expires(&self) -> Timestamp {
        Timestamp::from_millisecond(self.expires).unwrap_or(Timestamp::MIN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{Effect, Pattern, Statement};
    use crate::testing::{self, START, SeededEntropy};
    use proptest::prelude::*;

    fn claims(statements: usize) -> Claims {
        let statement = Statement {
            effect: Effect::Allow,
            actions: vec![Pattern::parse("soe:TransmitOralProcessWithInit")],
            resources: vec![Pattern::parse("*")],
            conditions: vec![],
        };
        Claims {
            tenant: "demo".into(),
            client: None,
            key: None,
            endpoint: "/getAuthorization".into(),
            role: "soe".into(),
            kind: SessionKind::Federated,
            via: None,
            subject: None,
            session: None,
            tags: BTreeMap::new(),
            source_identity: None,
            behalf: None,
            actors: vec![],
            origins: vec![],
            origin_keys: vec![],
            policy: Arc::new(Policy { language: Language::Cam, statements: vec![statement; statements] }),
            issued: START.as_millisecond(),
            expires: START.as_millisecond() + 1000,
        }
    }

    #[test]
    fn the_length_of_a_token_is_told_beforehand() {
        for statements in [1, 5, 40] {
            let policy = claims(statements).policy;
            let claims = Claims {
                client: Some(Uuid::nil()),
                key: Some("k".repeat(ID_BYTES)),
                endpoint: "/".into(),
                issued: i64::MAX,
                expires: i64::MAX,
                ..claims(statements)
            };
            let made = triple(TripleKind::Tencent, &claims, 1).token.len();
            assert_eq!(token_bytes("demo", "soe", &policy), made, "{statements} statements");
        }
    }

    fn triple(kind: TripleKind, claims: &Claims, seed: u64) -> Triple {
        let draw = Draw::fresh(&SeededEntropy::new(seed), START);
        make(&testing::ring(), kind, claims, &draw).unwrap_or_else(|r| panic!("{r:?}"))
    }

    #[test]
    fn a_triple_opens_to_what_was_put_in() {
        for kind in TripleKind::ALL {
            for statements in [1, 100] {
                let claims = claims(statements);
                let made = triple(kind, &claims, 1);
                assert_eq!(kind_of(&made.id), Some(kind), "{}", made.id);
                assert!(!made.id.contains(['/', ',']), "the id is cut out of `Credential=`");
                let opened =
                    open(&testing::ring(), &made.id, &made.token).unwrap_or_else(|r| panic!("{r:?}"));
                assert_eq!(opened.claims, claims);
                assert_eq!(opened.secret.expose(), made.secret.expose());
            }
        }
    }

    #[test]
    fn id_token_and_secret_belong_together() {
        let (a, b) = (triple(TripleKind::Tencent, &claims(1), 1), triple(TripleKind::Tencent, &claims(1), 2));
        assert_ne!(a.secret.expose(), b.secret.expose());
        let ring = testing::ring();
        for (id, token) in [(&a.id, &b.token), (&b.id, &a.token)] {
            assert_eq!(open(&ring, id, token).err().map(|r| r.reason), Some(Reason::TokenInvalid));
        }
        let as_alibaba = a.id.replacen("AKID", "STS.", 1);
        assert!(open(&ring, &as_alibaba, &a.token).is_err(), "the kind is part of the id");
    }

    #[test]
    fn the_secret_depends_on_the_id_and_on_every_byte_of_the_token() {
        let Triple { id, token, .. } = triple(TripleKind::Tencent, &claims(1), 1);
        let other = triple(TripleKind::Tencent, &claims(1), 2);
        let secret = |id: &str, token: &str| derive(&testing::ring(), id, token).unwrap().expose().to_vec();
        assert_ne!(secret(&id, &token), secret(&other.id, &token));
        assert_ne!(secret(&id, &token), secret(&id, &other.token));
        assert_ne!(secret(&id, &token), secret(&id, &token[..token.len() - 1]));
    }

    #[test]
    fn a_policy_that_makes_too_long_a_token_is_refused() {
        let mut big = claims(1);
        let mut bytes = [0; 24];
        let entropy = SeededEntropy::new(5);
        Arc::make_mut(&mut big.policy).statements[0].resources = (0..200)
            .map(|_| {
                crate::id::Entropy::fill(&entropy, &mut bytes);
                Pattern::parse(&URL_SAFE_NO_PAD.encode(bytes))
            })
            .collect();
        let draw = Draw::fresh(&entropy, START);
        let refused = make(&testing::ring(), TripleKind::Tencent, &big, &draw).err().unwrap();
        assert_eq!(refused.reason, Reason::CredentialTooLarge);
    }

    proptest! {
        #[test]
        fn any_changed_character_is_refused(at: prop::sample::Index, to in "[A-Za-z0-9_.-]", in_id: bool) {
            let made = triple(TripleKind::Tencent, &claims(1), 9);
            let (mut id, mut token) = (made.id.clone(), made.token.clone());
            let part = if in_id { &mut id } else { &mut token };
            let at = at.index(part.len());
            prop_assume!(&part[at..=at] != to.as_str());
            part.replace_range(at..=at, &to);
            prop_assert_eq!(open(&testing::ring(), &id, &token).err().map(|r| r.reason), Some(Reason::TokenInvalid));
        }

        #[test]
        fn arbitrary_text_never_panics(id: String, token: String) {
            prop_assert!(open(&testing::ring(), &id, &token).is_err());
        }
    }
}
