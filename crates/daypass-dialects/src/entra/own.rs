//! Our own access tokens, read back: every set of claims that [`super::wire`] writes.
//!
//! The signature was found right before anything is read here, so whatever does not fit was never written by this
//! version of the program, or for this configuration: the token counts no more, and no reason is owed.

use super::wire::issuer;
use daypass_core::caller::Confirmation;
use daypass_core::client::Tenant;
use daypass_core::clock::Timestamp;
use daypass_core::dialect::Context;
use daypass_core::directory::Directory;
use daypass_core::inspect::OwnToken;
use daypass_core::role::TokenVersion;
use serde_json::{Map, Value};
use std::sync::Arc;
use uuid::Uuid;

/// What stands before the print of the key in `rh`: the version of the claim's form.
const RH: &str = "1";

/// The length of a guid in its hyphened form, which is the one in issuers.
const GUID: usize = 36;

/// Where a set of claims says what; the names are those of [`super::wire::AccessToken`].
struct Shape {
    issuer: TokenVersion,
    client: &'static str,
    id: &'static str,
    /// `sub` is the guid of a client; otherwise it is its object id.
    sub_is_client: bool,
}

impl Shape {
    /// That of these claims, by the version that they say; those of RFC 9068 have none.
    fn of(claims: &Map<String, Value>) -> Option<Self> {
        let entra = |issuer, client| Self { issuer, client, id: "uti", sub_is_client: false };
        match claims.get("ver").map(Value::as_str) {
            Some(Some("1.0")) => Some(entra(TokenVersion::V1, "appid")),
            Some(Some("2.0")) => Some(entra(TokenVersion::V2, "azp")),
            None => {
                Some(Self { issuer: TokenVersion::V2, client: "client_id", id: "jti", sub_is_client: true })
            }
            Some(_) => None,
        }
    }
}

/// What a token says, or nothing where these are no claims of ours.
pub(super) fn token(context: Context<'_>, claims: &Map<String, Value>) -> Option<OwnToken> {
    let directory = context.directory;
    let shape = Shape::of(claims)?;
    let tenant = tenant(directory, &shape, claims)?;
    let client = id(claims, shape.client)?;
    let audience = text(claims, "aud")?;
    let Traces { key, origins, origin_keys } = Traces::read(claims)?;
    let subject = if origins.is_empty() { client } else { subject(directory, &shape, tenant, claims)? };
    Some(OwnToken {
        id: id(claims, shape.id)?,
        tenant: tenant.name.clone(),
        client,
        subject: Some(subject).filter(|subject| *subject != client),
        key,
        origin: origins.first().copied(),
        earlier: origins.get(1..).unwrap_or_default().to_vec(),
        origin_keys,
        // Version 1.0 writes the name that was asked for; the roles know the resource by one name.
        audience: directory
            .roles_of(&tenant.name, audience)
            .find_map(|role| role.audience.clone())
            .unwrap_or_else(|| audience.to_owned()),
        app_roles: roles(claims)?,
        issued: seconds(claims, "iat")?,
        expires: seconds(claims, "exp")?,
        confirmation: match claims.get("cnf") {
            None => None,
            Some(cnf) => Some(confirmation(cnf)?),
        },
        actor: claims.get("act").cloned(),
    })
}

/// The tenant whose issuer this is, to the byte. Found by the guid in it, so that it costs the same among many tenants.
fn tenant<'a>(
    directory: &'a Directory,
    shape: &Shape,
    claims: &Map<String, Value>,
) -> Option<&'a Arc<Tenant>> {
    let public_url = &directory.plan().public_url;
    let found = text(claims, "iss")?;
    let guid = found.strip_prefix(public_url.as_str())?.strip_prefix('/')?.get(..GUID)?;
    let tenant = directory.tenant_by_guid(Uuid::try_parse(guid).ok()?)?;
    let says_so = shape.sub_is_client || id(claims, "tid") == Some(tenant.guid);
    (says_so && issuer(public_url, tenant.guid, shape.issuer) == found).then_some(tenant)
}

/// The client that an exchanged token speaks for.
fn subject(
    directory: &Directory,
    shape: &Shape,
    tenant: &Tenant,
    claims: &Map<String, Value>,
) -> Option<Uuid> {
    let sub = id(claims, "sub")?;
    if shape.sub_is_client { Some(sub) } else { Some(directory.client_of_object(tenant, sub)?.guid) }
}

fn text<'a>(claims: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    claims.get(name)?.as_str()
}

fn id(claims: &Map<String, Value>, name: &str) -> Option<Uuid> {
    Uuid::try_parse(text(claims, name)?).ok()
}

/// A time as we write it: whole seconds.
fn seconds(claims: &Map<String, Value>, name: &str) -> Option<Timestamp> {
    Timestamp::from_second(claims.get(name)?.as_i64()?).ok()
}

fn roles(claims: &Map<String, Value>) -> Option<Vec<String>> {
    let Some(roles) = claims.get("roles") else { return Some(Vec::new()) };
    roles.as_array()?.iter().map(|role| role.as_str().map(str::to_owned)).collect()
}

/// What `rh` tells: the key, the tokens that this one was exchanged for, and the keys of those.
struct Traces {
    key: Option<String>,
    origins: Vec<Uuid>,
    origin_keys: Vec<String>,
}

impl Traces {
    fn read(claims: &Map<String, Value>) -> Option<Self> {
        let Some(rh) = claims.get("rh") else {
            return Some(Self { key: None, origins: Vec::new(), origin_keys: Vec::new() });
        };
        let mut parts = rh.as_str()?.split('.');
        if parts.next() != Some(RH) {
            return None;
        }
        let key = parts.next()?.to_owned();
        // A token is named by a guid, which no print is as long as.
        let (origins, prints): (Vec<_>, Vec<_>) = parts.partition(|part| part.len() == GUID);
        let origins = origins.into_iter().map(|id| Uuid::try_parse(id).ok()).collect::<Option<_>>()?;
        Some(Self { key: Some(key), origins, origin_keys: prints.into_iter().map(str::to_owned).collect() })
    }
}

/// What `cnf` says.
fn confirmation(cnf: &Value) -> Option<Confirmation> {
    let cnf = cnf.as_object().filter(|cnf| cnf.len() == 1)?;
    let (name, value) = cnf.iter().next()?;
    let value = value.as_str()?.to_owned();
    match name.as_str() {
        "x5t#S256" => Some(Confirmation::Certificate(value)),
        "jkt" => Some(Confirmation::Key(value)),
        _ => None,
    }
}
