//! Our own access tokens, read back: every set of claims that [`super::wire`] writes.
//!
//! The signature was found right before anything is read here, so whatever does not fit was never written by this
//! version of the program, or for this configuration: the token counts no more, and no reason is owed.

use super::wire::issuer;
use daypass_core::caller::Confirmation;
use daypass_core::client::Tenant;
use daypass_core::clock::Timestamp;
use daypass_core::dialect::Context;
use daypass_core::inspect::OwnToken;
use daypass_core::role::TokenVersion;
use serde_json::{Map, Value};
use std::sync::Arc;
use uuid::Uuid;

/// What stands before the print of the key in `rh`: the version of the claim's form.
const RH: &str = "1";

/// What a token says, or nothing where these are no claims of ours.
pub(super) fn token(context: Context<'_>, claims: &Map<String, Value>) -> Option<OwnToken> {
    let directory = context.directory;
    let tenant = tenant(context, claims)?;
    let client = one_id(claims, &["azp", "appid", "client_id"])?;
    let audience = text(claims, "aud")?;
    let Traces { key, origins } = Traces::read(claims)?;
    let (origin, earlier) = origins.split_first().map_or((None, &[][..]), |(first, rest)| (Some(*first), rest));
    Some(OwnToken {
        id: one_id(claims, &["uti", "jti"])?,
        tenant: tenant.name.clone(),
        client,
        subject: match origin {
            // Only an exchanged token speaks for anyone but its client.
            Some(_) => {
                let subject = directory.client_of_object(tenant, id(claims, "sub")?)?.guid;
                Some(subject).filter(|subject| *subject != client)
            }
            None => None,
        },
        key,
        origin,
        earlier: earlier.to_vec(),
        // Version 1.0 writes the name that was asked for; the roles know the resource by one name.
        audience: directory
            .roles_of(&tenant.name, audience)
            .find_map(|role| role.audience.clone())
            .unwrap_or_else(|| audience.to_owned()),
        app_roles: roles(claims)?,
        issued: seconds(claims, "iat")?,
        expires: seconds(claims, "exp")?,
        confirmation: confirmation(claims)?,
        actor: claims.get("act").cloned(),
    })
}

/// The tenant whose issuer this is, to the byte, in the version of these claims.
fn tenant<'a>(context: Context<'a>, claims: &Map<String, Value>) -> Option<&'a Arc<Tenant>> {
    let plan = context.directory.plan();
    let found = text(claims, "iss")?;
    let versions: &[TokenVersion] = match claims.get("ver").map(Value::as_str) {
        Some(Some("1.0")) => &[TokenVersion::V1],
        Some(Some("2.0")) => &[TokenVersion::V2],
        // The profile of RFC 9068 has no version of claims.
        None => &[TokenVersion::V1, TokenVersion::V2],
        Some(_) => return None,
    };
    let issues = |tenant: &&Arc<Tenant>| {
        versions.iter().any(|version| issuer(&plan.public_url, tenant.guid, *version) == found)
    };
    let tenant = plan.tenants.iter().find(issues)?;
    let named = claims.contains_key("tid").then(|| id(claims, "tid"));
    named.is_none_or(|guid| guid == Some(tenant.guid)).then_some(tenant)
}

fn text<'a>(claims: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    claims.get(name)?.as_str()
}

fn id(claims: &Map<String, Value>, name: &str) -> Option<Uuid> {
    Uuid::try_parse(text(claims, name)?).ok()
}

/// The id that goes by one of these names, and by no second one that says otherwise.
fn one_id(claims: &Map<String, Value>, names: &[&str]) -> Option<Uuid> {
    let mut there = names.iter().filter(|name| claims.contains_key(**name));
    let first = id(claims, there.next()?)?;
    there.all(|name| id(claims, name) == Some(first)).then_some(first)
}

/// A time as we write it: whole seconds.
fn seconds(claims: &Map<String, Value>, name: &str) -> Option<Timestamp> {
    Timestamp::from_second(claims.get(name)?.as_i64()?).ok()
}

fn roles(claims: &Map<String, Value>) -> Option<Vec<String>> {
    let Some(roles) = claims.get("roles") else { return Some(Vec::new()) };
    roles.as_array()?.iter().map(|role| role.as_str().map(str::to_owned)).collect()
}

/// What `rh` tells: the key, and the tokens that this one was exchanged for.
struct Traces {
    key: Option<String>,
    origins: Vec<Uuid>,
}

impl Traces {
    fn read(claims: &Map<String, Value>) -> Option<Self> {
        let Some(rh) = claims.get("rh") else { return Some(Self { key: None, origins: Vec::new() }) };
        let mut parts = rh.as_str()?.split('.');
        if parts.next() != Some(RH) {
            return None;
        }
        let key = parts.next()?.to_owned();
        let origins = parts.map(|id| Uuid::try_parse(id).ok()).collect::<Option<_>>()?;
        Some(Self { key: Some(key), origins })
    }
}

/// What `cnf` says; the outer none is for a `cnf` that is not ours.
fn confirmation(claims: &Map<String, Value>) -> Option<Option<Confirmation>> {
    let Some(cnf) = claims.get("cnf") else { return Some(None) };
    let cnf = cnf.as_object().filter(|cnf| cnf.len() == 1)?;
    let (name, value) = cnf.iter().next()?;
    let value = value.as_str()?.to_owned();
    match name.as_str() {
        "x5t#S256" => Some(Some(Confirmation::Certificate(value))),
        "jkt" => Some(Some(Confirmation::Key(value))),
        _ => None,
    }
}
