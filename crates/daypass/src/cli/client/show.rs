//! `daypass client list` and `show`.

use super::boundary;
use super::document::{client_document, key_document, refused, state, terms};
use super::limit;
use super::{Which, find, keys_of};
use crate::app;
use crate::cli::output::{Failure, Output, table};
use crate::cli::place::Place;
use crate::mend;
use daypass_core::caller::How;
use daypass_core::client::{CertificateRule, Client, Key, Material};
use daypass_core::clock::{Timestamp, rfc3339};
use daypass_core::directory::Plan;
use daypass_core::expiry;
use daypass_core::policy::{Idle, idle};
use daypass_core::store::RecordQuery;
use serde_json::{Value, json};
use std::collections::HashMap;

/// From how many days before its end on a key is pointed out in the list of clients.
const SOON: u32 = expiry::AHEAD[0];

/// How many of the newest records of a tenant are looked through for how a key was used.
const RECORDS: usize = 1000;

/// The columns of the list. Idle are the roles that a client is refused whatever it asks: `client show` says why.
const LIST: [&str; 7] = ["TENANT", "NAME", "ID", "STATE", "ROLES", "IDLE", "KEY ENDS"];

/// What is known of how keys are used, by id.
struct Uses {
    last: HashMap<String, Timestamp>,
    proofs: HashMap<String, String>,
}

impl Uses {
    async fn of(place: &Place, client: &Client) -> Result<Self, Failure> {
        let store = &place.opened.store;
        let query =
            RecordQuery { tenant: Some(client.tenant.clone()), limit: RECORDS, ..RecordQuery::default() };
        let records = store.records(query).await?.into_iter().map(|stored| stored.record);
        // The newest come last, and the last one stays.
        let proofs = records.filter_map(|record| Some((record.key?, record.proof?))).collect();
        Ok(Self { last: store.uses().await?.into_iter().collect(), proofs })
    }

    /// When the key was last used.
    fn last(&self, key: &Key) -> Option<String> {
        self.last.get(&key.id).map(|at| rfc3339(*at))
    }

    /// In what way: as the records have it, or the only one that there is for such a key.
    fn proof(&self, key: &Key) -> Option<&str> {
        self.proofs.get(&key.id).map(String::as_str).or_else(|| only_proof(&key.material).map(How::name))
    }
}

fn only_proof(material: &Material) -> Option<How> {
    match material {
        // In the body or by HTTP Basic.
        Material::Hashed { .. } => None,
        Material::Sealed(_) => Some(How::Signature),
        Material::Public(_) => Some(How::PrivateKeyJwt),
        Material::Certificate(CertificateRule::Pinned { .. }) => Some(How::SelfSignedTlsClientAuth),
        Material::Certificate(CertificateRule::Named(_)) => Some(How::TlsClientAuth),
        Material::Federated { .. } => Some(How::Federated),
    }
}

pub(super) async fn list(place: &Place, tenant: Option<&str>, output: &Output) -> Result<(), Failure> {
    let mut clients = place.opened.store.clients().await?;
    clients.retain(|client| tenant.is_none_or(|tenant| client.tenant == tenant));
    clients.sort_by(|a, b| (&a.tenant, &a.name).cmp(&(&b.tenant, &b.name)));
    let (keys, now) = (place.opened.store.keys().await?, app::now());
    let plan = place.config.plan("");
    let ends = |client: &Client| {
        let keys = keys.iter().filter(|key| key.client == client.guid);
        let soon = keys.filter(|key| expiry::ends_within(client, key, SOON, now));
        soon.filter_map(|key| key.expires).min().map(rfc3339)
    };
    let mut rows = vec![LIST.map(str::to_owned).to_vec()];
    rows.extend(clients.iter().map(|client| {
        let roles: Vec<_> = client.grants.iter().map(|grant| grant.role.as_str()).collect();
        vec![
            client.tenant.clone(),
            client.name.clone(),
            client.guid.to_string(),
            state(client.enabled).to_owned(),
            roles.join(","),
            idle(&plan, client).iter().map(|idle| idle.role).collect::<Vec<_>>().join(","),
            ends(client).unwrap_or_default(),
        ]
    }));
    let document = |client: &Client| {
        let mut document = client_document(client);
        if let Some(document) = document.as_object_mut() {
            document.insert("idle".to_owned(), idle_document(&plan, client));
            document.insert("key_ends".to_owned(), json!(ends(client)));
        }
        document
    };
    output.show(table(&rows), || Value::Array(clients.iter().map(document).collect()));
    Ok(())
}

/// The roles that a client gets nothing for, and what would change that.
fn idle_document(plan: &Plan, client: &Client) -> Value {
    let one = |idle: &Idle<'_>| {
        let why = idle.why.to_string();
        json!({ "role": idle.role, "why": why, "mend": mend::command(plan, client, idle) })
    };
    Value::Array(idle(plan, client).iter().map(one).collect())
}

pub(super) async fn show(place: &Place, which: &Which, output: &Output) -> Result<(), Failure> {
    let client = find(place, which).await?;
    let keys = keys_of(place, client.guid).await?;
    let uses = Uses::of(place, &client).await?;
    let now = app::now();
    let titles = ["KEY", "KIND", "STATE", "CREATED", "STARTS", "EXPIRES", "LAST USED", "PROOF", "ENDS IN"];
    let mut rows = vec![titles.map(str::to_owned).to_vec()];
    rows.extend(keys.iter().map(|key| row(key, &uses, now)));
    let plan = place.config.plan("");
    let today = limit::today(place, &plan, &client).await?;
    let counted = today.map(|today| format!("got {today} credentials today (UTC)"));
    let text =
        head(&plan, &client).into_iter().chain(counted).chain([table(&rows)]).collect::<Vec<_>>().join("\n");
    output.show(text, || {
        let keys: Vec<_> = keys.iter().map(|key| shown_document(key, &uses, now)).collect();
        let mut document =
            json!({ "client": client_document(&client), "idle": idle_document(&plan, &client), "keys": keys });
        if let (Some(today), Some(document)) = (today, document.as_object_mut()) {
            document.insert("today".to_owned(), today.into());
        }
        document
    });
    Ok(())
}

fn head(plan: &Plan, client: &Client) -> Vec<String> {
    let mut lines =
        vec![format!("{} {} ({}), {}", client.tenant, client.name, client.guid, state(client.enabled))];
    lines.extend(client.grants.iter().map(|grant| format!("may ask for {}", terms(grant))));
    lines.extend(idle(plan, client).iter().map(|idle| {
        format!(
            "gets nothing in {}: {}; to mend it: {}",
            idle.role,
            idle.why,
            mend::command(plan, client, idle)
        )
    }));
    lines.extend(client.audiences.iter().map(|audience| format!("is the API of {audience}")));
    if client.boundary.is_some() || client.boundary_warn.is_some() {
        lines.extend(boundary::said(client));
    }
    lines.extend(limit::said(plan, client));
    let refused = refused(client.refuses);
    lines.extend((!refused.is_empty()).then(|| format!("refuses {}", refused.join(", "))));
    lines
}

fn row(key: &Key, uses: &Uses, now: Timestamp) -> Vec<String> {
    vec![
        key.id.clone(),
        key.kind.name().to_owned(),
        state_of(key, now).to_owned(),
        rfc3339(key.created),
        key.starts.map_or("at once".to_owned(), rfc3339),
        key.expires.map_or("never".to_owned(), rfc3339),
        uses.last(key).unwrap_or_else(|| "never".to_owned()),
        uses.proof(key).unwrap_or_default().to_owned(),
        format!("…{}", key.hint),
    ]
}

/// Why a key does not work, or that it does.
fn state_of(key: &Key, now: Timestamp) -> &'static str {
    if !key.enabled {
        "disabled"
    } else if key.has_ended(now) {
        "expired"
    } else if !key.has_started(now) {
        "not yet"
    } else {
        "live"
    }
}

fn shown_document(key: &Key, uses: &Uses, now: Timestamp) -> Value {
    let mut document = key_document(key);
    if let Some(document) = document.as_object_mut() {
        document.insert("state".to_owned(), state_of(key, now).into());
        document.insert("last_used".to_owned(), json!(uses.last(key)));
        document.insert("proof".to_owned(), json!(uses.proof(key)));
    }
    document
}
