//! Access tokens, from themselves or from the records of their grants.

use super::super::output::Failure;
use super::{Chain, Known, behalf};
use crate::app;
use daypass_core::client::Key;
use daypass_core::clock::Timestamp;
use daypass_core::dialect::{Context, Dialect as _};
use daypass_core::directory::Directory;
use daypass_core::inspect::OwnToken;
use daypass_core::jose::own_claims;
use daypass_core::record::{Event, Record};
use daypass_core::ring::Ring;
use daypass_core::secret::Secret;
use daypass_core::standing::{Grounds, key_print};
use daypass_core::triple;
use daypass_dialects::entra::Entra;
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;
use uuid::Uuid;

/// A JWT has two dots; the token of a temporary credential has none.
pub(super) fn is_one(token: &str) -> bool {
    token.contains('.')
}

/// The address of the service that a token of ours was issued at: everything before the tenant in its issuer.
pub(super) fn public_url(ring: &Ring, token: &str) -> Option<String> {
    let claims = own_claims(ring, &Secret::new(token)).ok()?;
    let (address, _) =
        claims.get("iss")?.as_str()?.trim_end_matches("/v2.0").trim_end_matches('/').rsplit_once('/')?;
    Some(address.to_owned())
}

/// What a token says, if it is one of ours and has this id. Whether its time is over is said with its standing.
pub(super) fn read(directory: &Directory, id: &str, token: &str) -> Result<OwnToken, Failure> {
    let refused =
        |why: &str| Failure::Refused(format!("the token is not authentic, or not the one of this id: {why}"));
    let claims = own_claims(directory.ring(), &Secret::new(token))
        .map_err(|expected| refused(&format!("expected was {expected}")))?;
    let context = Context { directory, now: app::now() };
    let token = Entra.own_token(context, &claims).ok_or_else(|| {
        refused("expected were the issuer and the claims of a tenant of this configuration")
    })?;
    if Uuid::try_parse(id).ok() == Some(token.id) {
        Ok(token)
    } else {
        Err(refused("expected was its `uti` or `jti`"))
    }
}

static NO_TAGS: BTreeMap<String, String> = BTreeMap::new();

/// The key that a token was asked for with.
pub(super) fn key(directory: &Directory, token: &OwnToken) -> Option<Arc<Key>> {
    token.key.as_deref().and_then(|print| directory.key_of_print(token.client, print))
}

/// What is known of a token that is at hand, which was asked for with this key.
pub(super) fn known<'a>(id: &'a str, token: &'a OwnToken, key: Option<&'a Key>) -> Known<'a> {
    let grounds = Grounds {
        id,
        tenant: &token.tenant,
        client: Some(token.client),
        key: key.map(|key| key.id.as_str()),
        endpoint: None,
        // A token says what it is good for, and not by which role of ours.
        role: "",
        via: None,
        subject: None,
        session: None,
        behalf: token.subject,
        actors: &[],
        origins: &[],
        origin_keys: &[],
        issued: token.issued,
        expires: token.expires,
    };
    Known {
        grounds,
        from: "token",
        kind: None,
        source_identity: None,
        tags: &NO_TAGS,
        variables: None,
        policy: None,
        token: Some(token),
        bound: token.confirmation.as_ref().map(|bound| format!("{} {}", bound.member(), bound.value())),
        upstream: None,
    }
}

/// What the token of this record says; none where it was a credential of another form.
pub(super) fn of_record(directory: &Directory, id: &str, record: &Record, chain: &Chain) -> Option<OwnToken> {
    let Event::Grant { expires, app_roles, audience, .. } = &record.event else { return None };
    if triple::kind_of(id).is_some() {
        return None;
    }
    let tenant = record.tenant.clone()?;
    // Records of older versions do not name the resource; their role does.
    let of_role = || record.role.as_deref().and_then(|role| directory.role(&tenant, role)?.audience.clone());
    Some(OwnToken {
        id: Uuid::try_parse(id).ok()?,
        client: record.client?,
        subject: behalf(record),
        key: record.key.as_deref().map(key_print),
        origin: chain.origins.first().copied(),
        earlier: chain.origins.get(1..).unwrap_or_default().to_vec(),
        origin_keys: chain.keys.clone(),
        audience: audience.clone().or_else(of_role)?,
        app_roles: app_roles.clone(),
        // As the token has it, so that it is judged as the token would be.
        issued: Timestamp::from_second(record.at.as_second()).ok()?,
        expires: *expires,
        confirmation: None,
        actor: chain
            .clients
            .iter()
            .rev()
            .fold(None, |act, client| Some(json!({"client_id": client, "act": act}))),
        tenant,
    })
}
