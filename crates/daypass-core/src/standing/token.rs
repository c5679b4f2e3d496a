//! Whether an access token that was handed out still counts.
//!
//! It says less about what it was made on than a temporary credential does: a print of the key, the resource and its app
//! roles. So the roles that it was made in are those of the resource that give one of its app roles, all of them: a
//! token that two roles could have given falls when either is cut off, and never counts because of the other.

use super::{Fallen, enabled, of_origin_keys};
use crate::client::Client;
use crate::clock::Timestamp;
use crate::cutoff::Scope;
use crate::directory::Directory;
use crate::inspect::OwnToken;
use crate::role::Role;
use std::sync::Arc;
use uuid::Uuid;

/// Whether an access token still counts: it never outlives its time, nor the authority of its tenant, of the client that
/// asked for it, of the one that it speaks for, of the key and of the roles, nor a cut-off of any of them or of a token
/// that it came from.
pub fn standing_of_token(directory: &Directory, token: &OwnToken, now: Timestamp) -> Result<(), Fallen> {
    if token.expires <= now {
        return Err(Fallen::Expired);
    }
    let tenant = directory.tenant(&token.tenant).ok_or(Fallen::Tenant)?;
    let client = enabled(directory, tenant, token.client)?;
    let key = token.key.as_deref().and_then(|print| directory.key_of_print(client.guid, print));
    let key = key.filter(|key| key.live(now)).ok_or(Fallen::Key)?;
    let roles: Vec<_> = directory.roles_of(&token.tenant, &token.audience).collect();
    if roles.is_empty() {
        return Err(Fallen::Role);
    }
    gives(&client, &roles, &token.app_roles)?;
    let subject = match token.subject {
        Some(guid) => enabled(directory, tenant, guid)?,
        None => client.clone(),
    };
    gives(&subject, &roles, &token.app_roles)?;
    let actors = actors(token);
    for actor in &actors {
        enabled(directory, tenant, *actor)?;
    }
    of_origin_keys(directory, &token.origin_keys, token.issued, now)?;
    if directory.cutoffs().is_empty() {
        return Ok(());
    }
    let cut = |scope: &Scope| directory.cutoffs().cut(token.issued, scope);
    let actors = actors.into_iter().map(Scope::Client);
    let mut scopes = scopes(token, &key.id, &subject, &roles).into_iter().chain(actors);
    scopes.find(cut).map_or(Ok(()), |scope| Err(Fallen::Cut(scope)))
}

/// The clients that it went through, by earlier exchanges: those in the claim `act`, which is nested once for each.
fn actors(token: &OwnToken) -> Vec<Uuid> {
    let nested = std::iter::successors(token.actor.as_ref(), |actor| actor.get("act"));
    nested.filter_map(|actor| Uuid::try_parse(actor.get("client_id")?.as_str()?).ok()).collect()
}

/// Whether the client's grants give every one of these app roles today; where there are none, whether it has a grant on
/// the resource at all.
fn gives(client: &Client, roles: &[&Arc<Role>], app_roles: &[String]) -> Result<(), Fallen> {
    let granted: Vec<_> =
        roles.iter().filter(|role| client.grants.iter().any(|grant| grant.role == role.name)).collect();
    let given = |app_role: &String| granted.iter().any(|role| role.app_roles.contains(app_role));
    if !granted.is_empty() && app_roles.iter().all(given) { Ok(()) } else { Err(Fallen::Grant) }
}

/// Every scope in which a token may have been taken back.
fn scopes(token: &OwnToken, key: &str, subject: &Client, roles: &[&Arc<Role>]) -> Vec<Scope> {
    let tenant = || token.tenant.clone();
    let mut scopes = vec![
        Scope::All,
        Scope::Tenant(tenant()),
        Scope::Client(token.client),
        Scope::Client(subject.guid),
        Scope::Key(key.to_owned()),
        Scope::Subject { tenant: tenant(), subject: subject.object.to_string() },
    ];
    let made_in = |role: &&&Arc<Role>| {
        token.app_roles.is_empty() || role.app_roles.iter().any(|r| token.app_roles.contains(r))
    };
    scopes.extend(
        roles.iter().filter(made_in).map(|role| Scope::Role { tenant: tenant(), role: role.name.clone() }),
    );
    let origins = token.origin.iter().chain(&token.earlier);
    scopes.extend([&token.id].into_iter().chain(origins).map(|id| Scope::Credential(id.to_string())));
    scopes
}

#[cfg(test)]
mod tests;
