//! The revocation feed of a tenant: what has been taken back, signed, for those who verify access tokens without asking.
//!
//! It says in the words of tokens what the cut-offs say in ours ([`daypass_core::revoked`]). Anybody may read it; what it
//! lists are random ids that say nothing to whoever has no token with them.
//!
//! A feed lives for [`LIFE`] seconds, so that an old one cannot be shown for long, and is signed once a minute for all who
//! ask. It names the state of its list ([`state`]), and whoever asks `?since=` that state is later told the changes alone: a
//! JWT of another type, so that nobody takes it for the whole. Where the state is not remembered here the answer is the
//! whole.

use super::place;
use super::wire;
use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use daypass_core::board::{Edition, Published, Told};
use daypass_core::client::Tenant;
use daypass_core::directory::Directory;
use daypass_core::refusal::{Reason, Refusal};
use daypass_core::request::Head;
use daypass_core::revoked::{Changes, MOST, Named, Revoked, revoked};
use daypass_core::role::{Algorithm, TokenVersion};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use uuid::Uuid;

/// The type of the JWT. An access token's reader must not take it for one, nor the other way round.
const WHOLE: &str = "daypass-revocations+jwt";

/// The type of the JWT that has the changes alone.
///
/// Attack: whoever is between us and an API shows it the changes in place of the whole, and everything else that was taken
/// back counts again.
const CHANGES: &str = "daypass-revocations-delta+jwt";

/// The media types of the two, which they have as types of a JWT without its first half (RFC 7515, section 4.1.9).
const MEDIA: [&str; 2] = ["application/daypass-revocations+jwt", "application/daypass-revocations-delta+jwt"];

/// Seconds for which a feed is good. Attack: whoever is between us and an API shows it the feed of before.
const LIFE: i64 = 300;

/// Seconds for which one signature serves everybody, so that a flood of questions is no flood of signatures.
const TURN: i64 = 60;

/// For how many seconds it may be kept: what is taken back must be known soon.
pub(super) const MAX_AGE: u32 = 2;

/// The parameter that names the state since which the changes are wanted.
const SINCE: &str = "since";

/// The claims of a feed.
#[derive(Serialize)]
struct Feed<'a> {
    iss: &'a str,
    iat: i64,
    exp: i64,
    /// The state whose changes these are.
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<&'a str>,
    /// The state of the list, after the changes if these are some.
    state: &'a str,
    revoked: &'a List<'a, i64>,
    /// What is in the list no more. Nothing that was taken back counts again: nothing lives any more that it was about.
    #[serde(skip_serializing_if = "Option::is_none")]
    gone: Option<&'a List<'a, bool>>,
}

/// A list as it is written: its members in the order of their names, and what is in them in the order of theirs.
#[derive(Serialize)]
struct List<'a, T> {
    #[serde(skip_serializing_if = "Option::is_none")]
    all: Option<T>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    clients: BTreeMap<Uuid, T>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    keys: BTreeMap<&'a str, T>,
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    roles: BTreeSet<Role<'a, T>>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    subjects: BTreeMap<Uuid, T>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    tokens: BTreeMap<Uuid, T>,
}

/// What a role puts into a token. In the order in which the fields stand.
#[derive(PartialEq, Eq, PartialOrd, Ord, Serialize)]
struct Role<'a, T> {
    aud: &'a [String],
    before: T,
    roles: &'a [String],
}

impl<'a, T: Ord> List<'a, T> {
    fn new(entries: impl Iterator<Item = (&'a Named, T)>) -> Self {
        let mut list = Self {
            all: None,
            clients: BTreeMap::new(),
            keys: BTreeMap::new(),
            roles: BTreeSet::new(),
            subjects: BTreeMap::new(),
            tokens: BTreeMap::new(),
        };
        for (named, before) in entries {
            match named {
                Named::All => list.all = Some(before),
                Named::Client(id) => _ = list.clients.insert(*id, before),
                Named::Key(print) => _ = list.keys.insert(print, before),
                Named::Role { audiences: aud, app_roles: roles } => {
                    list.roles.insert(Role { aud, before, roles });
                }
                Named::Subject(id) => _ = list.subjects.insert(*id, before),
                Named::Token(id) => _ = list.tokens.insert(*id, before),
            }
        }
        list
    }
}

/// The feed of the tenant of this name, as it is now: whole, or what changed since the state that the request names.
pub(super) fn feed(directory: &Directory, tenant: &str, head: &Head) -> Result<Arc<Published>, Refusal> {
    let tenant = place::tenant(directory, tenant)?;
    let mut parameters = form_urlencoded::parse(head.query.as_bytes());
    let since = parameters.find_map(|(name, value)| (name == SINCE).then_some(value));
    let turn = head.received.as_second().div_euclid(TURN);
    let (board, number) = directory.board();
    let edition = Edition { tenant: tenant.guid, number, turn };
    let list = || {
        let list = revoked(directory, tenant, head.received, MOST).ok_or_else(|| too_long(tenant))?;
        let state = state(&list)?;
        Ok((list, state))
    };
    board.document(edition, since.as_deref(), list, |told| sign(directory, tenant, turn * TURN, told))
}

/// The name of what is in a list: the SHA-256 of its JSON, without blanks and with its members in the order of their names,
/// as base64url without padding. Whoever has applied changes can tell by it whether that has led to the list of here.
fn state(list: &Revoked) -> Result<String, Refusal> {
    let said = serde_json::to_vec(&whole(list)).map_err(Refusal::internal)?;
    Ok(URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, &said)))
}

fn whole(list: &Revoked) -> List<'_, i64> {
    List::new(list.iter().map(|(named, before)| (named, *before)))
}

fn too_long(tenant: &Tenant) -> Refusal {
    Refusal::new(Reason::Unavailable, "more has been taken back than a feed can list")
        .retry_after(LIFE.unsigned_abs().try_into().unwrap_or(u32::MAX))
        .because(format!("the feed of {} would have more than {MOST} entries", tenant.name))
}

fn sign(directory: &Directory, tenant: &Tenant, iat: i64, told: Told<'_>) -> Result<Published, Refusal> {
    let iss = &*wire::issuer(&directory.plan().public_url, tenant.guid, TokenVersion::V2);
    let signer = directory.ring().signer(Algorithm::Es256);
    let signer = signer.ok_or_else(|| Refusal::internal("the ring has no ES256 key"))?;
    let (exp, state, [of_whole, of_changes]) = (iat + LIFE, told.state, MEDIA);
    let (body, media) = match told.since {
        None => {
            let revoked = &whole(told.list);
            let claims = Feed { iss, iat, exp, since: None, state, revoked, gone: None };
            (signer.sign(WHOLE, &claims), of_whole)
        }
        Some((since, changes)) => {
            let revoked = &List::new(set(changes));
            let gone = &List::new(gone(changes));
            let claims = Feed { iss, iat, exp, since: Some(since), state, revoked, gone: Some(gone) };
            (signer.sign(CHANGES, &claims), of_changes)
        }
    };
    Ok(Published { body: body.map_err(Refusal::internal)?, tag: tag(iss, iat, state), media })
}

/// What tells apart what two readers know: the same for whoever has the whole and whoever has come to it by changes, and
/// without the signature, which is another one at each node: whoever has asked one node may ask another next.
fn tag(iss: &str, iat: i64, state: &str) -> String {
    let print = digest::digest(&digest::SHA256, format!("{iss} {iat} {state}").as_bytes());
    let short = print.as_ref().first_chunk().copied().map_or(0, u128::from_be_bytes);
    format!("W/\"{short:032x}\"")
}

fn set(changes: &Changes) -> impl Iterator<Item = (&Named, i64)> {
    changes.iter().filter_map(|(named, before)| Some((named, (*before)?)))
}

fn gone(changes: &Changes) -> impl Iterator<Item = (&Named, bool)> {
    changes.iter().filter(|(_, before)| before.is_none()).map(|(named, _)| (named, true))
}
