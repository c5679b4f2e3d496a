//! What is kept of a credential: sealed, in memory as in the store, and opened at each handing out.
//!
//! Attack: the store is shared, backed up and copied, and a core dump has the memory. In neither does a cloud's credential
//! stand in clear but for the moment in which it is handed out.

use crate::cloud::Parts;
use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use daypass_core::clock::{Timestamp, after, before};
use daypass_core::credential::{Bearer, Credential};
use daypass_core::dialect::Form;
use daypass_core::id::Entropy;
use daypass_core::policy::Policy;
use daypass_core::replay::Mark;
use daypass_core::ring::{Purpose, Ring};
use daypass_core::seal::{self, Place, SealFault};
use daypass_core::secret::Secret;
use daypass_core::triple::Triple;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use uuid::Uuid;
use zeroize::Zeroizing;

/// How far ahead of ours the clock of the node that asked may have been, in seconds, before what it got counts as one from
/// the future. A clock was set back then, and the credential seems to have more life left than it has.
const AHEAD: u32 = 5;

/// Room for a sheet before it is sealed, so that no copy is left behind by a buffer that grows.
const ROOM: usize = 32 * 1024;

/// A credential with what is known about it.
pub(super) struct Sheet {
    /// The turn in which it was asked for.
    pub(super) turn: u64,
    /// The credential.
    pub(super) parts: Parts,
    /// When it was asked for: whatever is taken back after that takes it back.
    pub(super) issued: Timestamp,
    /// When it came.
    pub(super) obtained: Timestamp,
    /// When it runs out.
    pub(super) expires: Timestamp,
    /// The cloud's own id of the request.
    pub(super) request: Option<String>,
    /// The cloud's id of the root key that it was asked for with.
    pub(super) root: String,
    /// What it may be used for, where the cloud has the last word on that.
    pub(super) policy: Option<Arc<Policy>>,
    /// Fields of the answer that the cloud has given.
    pub(super) answer: BTreeMap<String, String>,
    /// How many in a row, up to the one before it, were given up because a caller found them refused.
    pub(super) doubted: u8,
    /// The key of the client that first asked for it.
    pub(super) key: Option<String>,
    /// The path that it was first asked for at.
    pub(super) endpoint: String,
}

/// The sheet as it is sealed. Of another version, it does not open, and the cloud is asked anew.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Plain<'a> {
    v: u8,
    turn: u64,
    parts: PlainParts<'a>,
    issued: Timestamp,
    obtained: Timestamp,
    expires: Timestamp,
    request: Option<Cow<'a, str>>,
    root: Cow<'a, str>,
    policy: Option<Arc<Policy>>,
    answer: Cow<'a, BTreeMap<String, String>>,
    doubted: u8,
    key: Option<Cow<'a, str>>,
    endpoint: Cow<'a, str>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum PlainParts<'a> {
    Triple { id: Cow<'a, str>, secret: Cow<'a, str>, token: Cow<'a, str> },
    Bearer(Cow<'a, str>),
}

const VERSION: u8 = 1;

impl Sheet {
    /// Seals it for its place.
    pub(super) fn seal(
        &self,
        ring: &Ring,
        entropy: &dyn Entropy,
        place: &Mark,
    ) -> Result<Arc<[u8]>, SealFault> {
        let plain = Plain {
            v: VERSION,
            turn: self.turn,
            parts: match &self.parts {
                Parts::Triple { id, secret, token } => PlainParts::Triple {
                    id: id.into(),
                    secret: secret.expose_str().into(),
                    token: token.expose_str().into(),
                },
                Parts::Bearer(token) => PlainParts::Bearer(token.expose_str().into()),
            },
            issued: self.issued,
            obtained: self.obtained,
            expires: self.expires,
            request: self.request.as_deref().map(Cow::from),
            root: (&self.root).into(),
            policy: self.policy.clone(),
            answer: Cow::Borrowed(&self.answer),
            doubted: self.doubted,
            key: self.key.as_deref().map(Cow::from),
            endpoint: (&self.endpoint).into(),
        };
        let mut text = Zeroizing::new(Vec::with_capacity(ROOM));
        serde_json::to_writer(&mut *text, &plain).map_err(|_| SealFault::Broken)?;
        let mut nonce = [0; 12];
        entropy.fill(&mut nonce);
        let seal = ring.seal(Purpose::Rest, ring.active(Purpose::Rest)).ok_or(SealFault::Broken)?;
        seal.seal_at(place_of(&row_of(place)), nonce, &text).map(Arc::from)
    }

    /// Opens what was sealed for this place.
    pub(super) fn open(ring: &Ring, place: &Mark, sealed: &[u8]) -> Result<Self, SealFault> {
        let version = seal::version_of(sealed).ok_or(SealFault::DoesNotOpen)?;
        let seal = ring.seal(Purpose::Rest, version).ok_or(SealFault::DoesNotOpen)?;
        let text = seal.open_at(place_of(&row_of(place)), sealed)?;
        let plain: Plain<'_> = serde_json::from_slice(text.expose()).map_err(|_| SealFault::DoesNotOpen)?;
        if plain.v != VERSION {
            return Err(SealFault::DoesNotOpen);
        }
        Ok(Self {
            turn: plain.turn,
            parts: match plain.parts {
                PlainParts::Triple { id, secret, token } => Parts::Triple {
                    id: id.into_owned(),
                    secret: Secret::new(secret.into_owned()),
                    token: Secret::new(token.into_owned()),
                },
                PlainParts::Bearer(token) => Parts::Bearer(Secret::new(token.into_owned())),
            },
            issued: plain.issued,
            obtained: plain.obtained,
            expires: plain.expires,
            request: plain.request.map(Cow::into_owned),
            root: plain.root.into_owned(),
            policy: plain.policy,
            answer: plain.answer.into_owned(),
            doubted: plain.doubted,
            key: plain.key.map(Cow::into_owned),
            endpoint: plain.endpoint.into_owned(),
        })
    }

    /// Whether it has this many seconds of life left, by whichever clock is later: ours, or that of the node that asked.
    pub(super) fn lasts(&self, seconds: u32, now: Timestamp) -> bool {
        self.issued <= after(now, AHEAD) && now.max(self.issued) <= before(self.expires, seconds)
    }

    /// Whether it is time to ask for the next one, although this one lasts: less than a fifth of its life or twice the
    /// least is left. Not before half of its usable life is over, or a long reserve would have every request ask.
    pub(super) fn ages(&self, least: u32, now: Timestamp) -> bool {
        let life = self.expires.duration_since(self.issued).as_secs();
        let life = u32::try_from(life).unwrap_or_default();
        let margin = least.saturating_mul(2).max(life / 5).min(least.saturating_add(life) / 2);
        !self.lasts(margin, now)
    }

    /// The id that records and cut-offs use.
    pub(super) fn id(&self) -> String {
        match &self.parts {
            Parts::Triple { id, .. } => id.clone(),
            Parts::Bearer(token) => id_of(token).to_string(),
        }
    }

    /// What a caller names the token by that it found refused: the base64url SHA-256 of it.
    pub(super) fn fingerprint(&self) -> String {
        let (Parts::Triple { token, .. } | Parts::Bearer(token)) = &self.parts;
        URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, token.expose()))
    }

    /// The credential in the form that was asked for; none where it is of another one.
    pub(super) fn credential(self, form: Form) -> Option<Credential> {
        match (self.parts, form) {
            (Parts::Triple { id, secret, token }, Form::Triple(kind)) => {
                Some(Credential::Triple(Triple { kind, id, secret, token: token.expose_str().to_owned() }))
            }
            (Parts::Bearer(token), Form::Bearer) => {
                let id = id_of(&token);
                Some(Credential::Bearer(Bearer { token, id, kid: None }))
            }
            _ => None,
        }
    }
}

/// An id for a token whose own id we cannot read, or do not believe.
fn id_of(token: &Secret) -> Uuid {
    let hash = digest::digest(&digest::SHA256, token.expose());
    hash.as_ref().first_chunk().map_or(Uuid::nil(), |bytes| Uuid::from_bytes(*bytes))
}

/// A place as the key of a row: 32 hexadecimal digits.
fn row_of(place: &Mark) -> String {
    Uuid::from_bytes(*place).simple().to_string()
}

fn place_of(row: &str) -> Place<'_> {
    Place { table: "held", row, column: "sealed" }
}
