//! The demo clients of `daypass dev`, and the file that holds their secrets.

use super::client::create;
use super::files::write_private;
use super::output::Failure;
use super::place::Place;
use crate::app;
use crate::system::KeyEntropy;
use anyhow::Context as _;
use daypass_core::client::{Client, Grant, Key, Refuses};
use daypass_core::clock::Timestamp;
use daypass_core::directory::Plan;
use daypass_core::id::random_uuid;
use daypass_core::keys::{self, NewKey, SecretKind, Span};
use daypass_core::quota::Limit;
use daypass_core::store::Change;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The tenant of the embedded configuration.
const TENANT: &str = "demo";
/// The role of its `role_arn`: one that AssumeRole can give, because nothing in it is left open.
const ASSUMED: &str = "uploads";
/// TOP's tenant code and stores that the demo client may use.
const TENANT_CODE: &str = "hema";
const POI_IDS: [&str; 2] = ["8005", "8006"];

/// Everything a script needs to ask this server as each vendor's client would. The names are a contract.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Credentials {
    /// Where the server listens.
    pub(super) url: String,
    pub(super) get_authorization: GetAuthorization,
    pub(super) tencent: Tencent,
    pub(super) alibaba: Alibaba,
    pub(super) entra: Entra,
}

/// The browser endpoint.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct GetAuthorization {
    pub(super) path: String,
    /// An origin that it serves.
    pub(super) origin: String,
}

/// A client of Tencent's STS.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Tencent {
    pub(super) secret_id: String,
    pub(super) secret_key: String,
}

/// A client of the TOP gateway, and of Alibaba's STS.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Alibaba {
    pub(super) app_key: String,
    pub(super) app_secret: String,
    pub(super) access_key_id: String,
    pub(super) access_key_secret: String,
    pub(super) role_arn: String,
    pub(super) product_code: String,
    pub(super) scene_code: String,
    pub(super) usage_scene: String,
    pub(super) tenant_code: String,
    pub(super) poi_ids: Vec<String>,
}

/// A client of the OAuth endpoint.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Entra {
    pub(super) tenant: String,
    pub(super) client_id: String,
    pub(super) client_secret: String,
    pub(super) scope: String,
}

impl Credentials {
    /// Reads a file that [`Credentials::write`] wrote.
    pub(super) fn read(path: &Path) -> anyhow::Result<Self> {
        read_json(path)
    }

    /// Writes the file, whole and with mode 0600.
    pub(super) fn write(&self, path: &Path) -> anyhow::Result<()> {
        let mut text = serde_json::to_string_pretty(self)?;
        text.push('\n');
        write_private(path, text.as_bytes())
    }
}

/// Reads a credentials file, or a part of one.
pub(super) fn read_json<T: DeserializeOwned>(path: &Path) -> anyhow::Result<T> {
    let text = std::fs::read(path).with_context(|| format!("cannot read `{}`", path.display()))?;
    serde_json::from_slice(&text).with_context(|| format!("`{}` is no credentials file", path.display()))
}

/// The credentials of the demo clients: those in the file, or those of new clients where there is none. A client
/// whose secrets were lost with the file gets new keys, and its old ones are disabled.
pub(super) async fn credentials(place: &Place, file: &Path, url: &str) -> Result<Credentials, Failure> {
    let plan = place.config.plan(url);
    // A file without its clients is left over from another store.
    if file.exists() && !place.opened.store.clients().await?.is_empty() {
        return Ok(Credentials { url: url.to_owned(), ..Credentials::read(file)? });
    }
    let tencent = client(place, &plan, "soe-server", &["soe"], &[SecretKind::Tencent]).await?;
    let kinds = [SecretKind::Top, SecretKind::AccessKey];
    let alibaba = client(place, &plan, "store-box", &["store-upload", ASSUMED], &kinds).await?;
    let resources: Vec<_> = plan.roles.iter().filter(|role| role.audience.is_some()).collect();
    // With the roles of the two clouds as well, so that its tokens can be exchanged for their keys.
    let names: Vec<_> =
        resources.iter().map(|role| role.name.as_str()).chain(["soe", "store-upload"]).collect();
    let entra = client(place, &plan, "devcenter-app", &names, &[SecretKind::ClientSecret]).await?;

    let incomplete = || anyhow::anyhow!("the embedded configuration is incomplete");
    let tenant = plan.tenants.first().with_context(incomplete)?;
    let page =
        plan.endpoints.iter().find(|endpoint| !endpoint.origins.is_empty()).with_context(incomplete)?;
    let route =
        plan.endpoints.iter().flat_map(|endpoint| &endpoint.routes).next().with_context(incomplete)?;
    let audience = resources.first().and_then(|role| role.audience.as_deref()).with_context(incomplete)?;
    let [secret_id] = &tencent.1[..] else { return Err(incomplete().into()) };
    let [app, access] = &alibaba.1[..] else { return Err(incomplete().into()) };
    let [secret] = &entra.1[..] else { return Err(incomplete().into()) };
    let secret_of = |new: &NewKey| new.secret.expose_str().to_owned();
    Ok(Credentials {
        url: url.to_owned(),
        get_authorization: GetAuthorization {
            path: page.path.clone(),
            origin: page.origins.first().cloned().unwrap_or_default(),
        },
        tencent: Tencent { secret_id: secret_id.key.id.clone(), secret_key: secret_of(secret_id) },
        alibaba: Alibaba {
            app_key: app.key.id.clone(),
            app_secret: secret_of(app),
            access_key_id: access.key.id.clone(),
            access_key_secret: secret_of(access),
            role_arn: format!("acs:ram::{}:role/{}", tenant.account, ASSUMED),
            product_code: route.product.product_code.clone(),
            scene_code: route.product.scene_code.clone(),
            usage_scene: route.product.usage_scene.clone(),
            tenant_code: TENANT_CODE.to_owned(),
            poi_ids: POI_IDS.map(str::to_owned).to_vec(),
        },
        entra: Entra {
            tenant: tenant.guid.to_string(),
            client_id: entra.0.guid.to_string(),
            client_secret: secret_of(secret),
            scope: format!("{audience}/.default"),
        },
    })
}

async fn client(
    place: &Place,
    plan: &Plan,
    name: &str,
    roles: &[&str],
    kinds: &[SecretKind],
) -> Result<(Client, Vec<NewKey>), Failure> {
    let store = &place.opened.store;
    if let Some(known) = store.clients().await?.into_iter().find(|c| c.tenant == TENANT && c.name == name) {
        let now = app::now();
        let mut keys = store.keys().await?;
        keys.retain(|key| key.client == known.guid && key.enabled);
        let new = keys.iter().map(|key| Key { enabled: false, ..key.clone() }).collect();
        let mut changes = vec![Change::SwapKeys { old: keys, new }];
        let made = make(place, &known, kinds, now)?;
        changes.extend(made.iter().map(put));
        store.change(changes, app::change(Some(TENANT), "client.rotate", name)).await?;
        return Ok((known, made));
    }
    let client = Client {
        guid: random_uuid(&KeyEntropy),
        object: random_uuid(&KeyEntropy),
        tenant: TENANT.to_owned(),
        name: name.to_owned(),
        enabled: true,
        default_role: roles.first().map(|role| (*role).to_owned()),
        grants: roles.iter().map(|role| grant(plan, role)).collect(),
        audiences: Vec::new(),
        boundary: None,
        boundary_warn: None,
        limit: Limit::default(),
        refuses: Refuses::default(),
        created: app::now(),
    };
    let made = make(place, &client, kinds, client.created)?;
    create(place, &client, made.iter().map(put)).await?;
    Ok((client, made))
}

fn make(place: &Place, client: &Client, kinds: &[SecretKind], now: Timestamp) -> anyhow::Result<Vec<NewKey>> {
    let one =
        |kind: &SecretKind| keys::make(&place.opened.ring, *kind, client.guid, &KeyEntropy, Span::from(now));
    Ok(kinds.iter().map(one).collect::<Result<_, _>>()?)
}

fn put(new: &NewKey) -> Change {
    Change::PutKey(new.key.clone())
}

fn grant(plan: &Plan, name: &str) -> Grant {
    let role = plan.roles.iter().find(|role| role.tenant == TENANT && role.name == name);
    let values = |variable: &String| {
        let values: &[&str] = match variable.as_str() {
            "tenant_code" => &[TENANT_CODE],
            "poi_id" => &POI_IDS,
            _ => &[],
        };
        (variable.clone(), values.iter().map(|value| (*value).to_owned()).collect())
    };
    let bind = role.into_iter().flat_map(|role| role.variables.keys()).map(values).collect();
    Grant { bind, ..Grant::of(name) }
}
