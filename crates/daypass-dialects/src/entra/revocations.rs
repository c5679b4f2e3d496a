//! The revocation feed of a tenant: what has been taken back, signed, for those who verify access tokens without asking.
//!
//! It says in the words of tokens what the cut-offs say in ours: the ids of tokens, clients, subjects and keys (by the
//! print that `rh` has), and what a role puts into a token. Anybody may read it; what it lists are random ids that say
//! nothing to whoever has no token with them. Names are left out that no token has: those of visitors and of sessions, the
//! clients and keys of other tenants, and the ids of temporary keys.
//!
//! A feed lives for [`LIFE`] seconds, so that an old one cannot be shown for long, and is signed once a minute for all who
//! ask. Its `before` is the last second that is taken back: tokens say theirs to the second, and one that was issued in
//! the second of a cut-off counts as issued before it ([`daypass_core::cutoff`]).

use super::place;
use super::wire;
use aws_lc_rs::digest;
use daypass_core::client::Tenant;
use daypass_core::clock::Timestamp;
use daypass_core::cutoff::{Scope, over};
use daypass_core::directory::{Directory, Published};
use daypass_core::refusal::{Reason, Refusal};
use daypass_core::role::{Algorithm, TokenVersion};
use daypass_core::standing::key_print;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use uuid::Uuid;

/// The type of the JWT. An access token's reader must not take it for one, nor the other way round.
pub(super) const TYPE: &str = "daypass-revocations+jwt";

/// Seconds for which a feed is good. Attack: whoever is between us and an API shows it the feed of before.
const LIFE: i64 = 300;

/// Seconds for which one signature serves everybody, so that a flood of questions is no flood of signatures.
const TURN: i64 = 60;

/// For how many seconds it may be kept: what is taken back must be known soon.
pub(super) const MAX_AGE: u32 = 2;

/// The most entries. A feed that left some out would be a lie, so a longer one is none.
const MOST: usize = 50_000;

/// The claims of a feed.
#[derive(Serialize)]
struct Feed<'a> {
    iss: String,
    iat: i64,
    exp: i64,
    revoked: &'a Revoked,
}

/// What is listed: names with the last second that is taken back.
#[derive(Default, Serialize)]
struct Revoked {
    #[serde(skip_serializing_if = "Option::is_none")]
    all: Option<i64>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    tokens: BTreeMap<Uuid, i64>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    clients: BTreeMap<Uuid, i64>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    subjects: BTreeMap<Uuid, i64>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    keys: BTreeMap<String, i64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    roles: Vec<RoleCut>,
}

/// What a role puts into a token.
#[derive(PartialEq, Eq, PartialOrd, Ord, Serialize)]
struct RoleCut {
    aud: Vec<String>,
    roles: Vec<String>,
    before: i64,
}

/// The feed of the tenant of this name, as it is now.
pub(super) fn feed(directory: &Directory, tenant: &str, now: Timestamp) -> Result<Arc<Published>, Refusal> {
    let tenant = place::tenant(directory, tenant)?;
    let turn = now.as_second().div_euclid(TURN);
    directory.published(tenant.guid, turn, || sign(directory, tenant, turn * TURN, now))
}

fn sign(directory: &Directory, tenant: &Tenant, at: i64, now: Timestamp) -> Result<Published, Refusal> {
    let revoked = Revoked::of(directory, tenant, now);
    if revoked.len() > MOST {
        return Err(Refusal::new(Reason::Unavailable, "more has been taken back than a feed can list")
            .retry_after(LIFE.unsigned_abs().try_into().unwrap_or(u32::MAX))
            .because(format!("the feed of {} would have more than {MOST} entries", tenant.name)));
    }
    let iss = wire::issuer(&directory.plan().public_url, tenant.guid, TokenVersion::V2);
    let claims = Feed { iss, iat: at, exp: at + LIFE, revoked: &revoked };
    // Without the signature, which is another one at each node: whoever has asked one node may ask another next.
    let said = serde_json::to_vec(&claims).map_err(Refusal::internal)?;
    let print = digest::digest(&digest::SHA256, &said);
    let tag = print.as_ref().first_chunk().copied().map_or(0, u128::from_be_bytes);
    let signer = directory.ring().signer(Algorithm::Es256);
    let signer = signer.ok_or_else(|| Refusal::internal("the ring has no ES256 key"))?;
    let body = signer.sign(TYPE, &claims).map_err(Refusal::internal)?;
    Ok(Published { body, tag: format!("W/\"{tag:032x}\"") })
}

impl Revoked {
    fn of(directory: &Directory, tenant: &Tenant, now: Timestamp) -> Self {
        let mut revoked = Self::default();
        for (scope, before) in directory.cutoffs().iter().filter(|(_, before)| over(*before) >= now) {
            revoked.add(directory, tenant, scope, before.as_second());
        }
        revoked.roles.sort();
        revoked
    }

    fn add(&mut self, directory: &Directory, tenant: &Tenant, scope: &Scope, before: i64) {
        match scope {
            Scope::All => self.all = self.all.max(Some(before)),
            Scope::Tenant(name) if *name == tenant.name => self.all = self.all.max(Some(before)),
            Scope::Client(guid) => {
                let Some(client) = directory.client(tenant, *guid) else { return };
                later(&mut self.clients, client.guid, before);
                // Exchanged tokens that speak for it have been issued to others.
                later(&mut self.subjects, client.guid, before);
                later(&mut self.subjects, client.object, before);
            }
            Scope::Subject { tenant: name, subject } if *name == tenant.name => {
                let object = Uuid::try_parse(subject).ok();
                let Some(client) = object.and_then(|object| directory.client_of_object(tenant, object))
                else {
                    return;
                };
                later(&mut self.subjects, client.object, before);
                // The subject of RFC 9068's tokens is the client's own id.
                later(&mut self.subjects, client.guid, before);
            }
            Scope::Key(id) if directory.is_key_of(id, tenant) => {
                self.keys.insert(key_print(id), before);
            }
            Scope::Role { tenant: name, role } if *name == tenant.name => {
                let Some(role) = directory.role(name, role) else { return };
                let Some(audience) = &role.audience else { return };
                let aud = [audience].into_iter().chain(&role.identifiers).cloned().collect();
                self.roles.push(RoleCut { aud, roles: role.app_roles.clone(), before });
            }
            Scope::Credential(id) => {
                if let Ok(id) = Uuid::try_parse(id) {
                    self.tokens.insert(id, before);
                }
            }
            Scope::Tenant(_) | Scope::Subject { .. } | Scope::Key(_) | Scope::Role { .. } => {}
        }
    }

    fn len(&self) -> usize {
        self.tokens.len() + self.clients.len() + self.subjects.len() + self.keys.len() + self.roles.len()
    }
}

fn later(cuts: &mut BTreeMap<Uuid, i64>, id: Uuid, before: i64) {
    let cut = cuts.entry(id).or_insert(before);
    *cut = before.max(*cut);
}
