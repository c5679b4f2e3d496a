//! `daypass client list` and `show`.

use super::document::{client_document, key_document, refused, state};
use super::{Which, find, keys_of};
use crate::app;
use crate::cli::output::{Failure, Output, table};
use crate::cli::place::Place;
use daypass_core::client::{Client, Grant, Key};
use daypass_core::clock::{Timestamp, rfc3339};
use serde_json::{Value, json};
use std::collections::HashMap;

/// When each key was last used, by id.
type Uses = HashMap<String, Timestamp>;

pub(super) async fn list(place: &Place, tenant: Option<&str>, output: &Output) -> Result<(), Failure> {
    let mut clients = place.opened.store.clients().await?;
    clients.retain(|client| tenant.is_none_or(|tenant| client.tenant == tenant));
    clients.sort_by(|a, b| (&a.tenant, &a.name).cmp(&(&b.tenant, &b.name)));
    let mut rows = vec![["TENANT", "NAME", "ID", "STATE", "ROLES"].map(str::to_owned).to_vec()];
    rows.extend(clients.iter().map(|client| {
        let roles: Vec<_> = client.grants.iter().map(|grant| grant.role.as_str()).collect();
        vec![
            client.tenant.clone(),
            client.name.clone(),
            client.guid.to_string(),
            state(client.enabled).to_owned(),
            roles.join(","),
        ]
    }));
    output.show(table(&rows), || Value::Array(clients.iter().map(client_document).collect()));
    Ok(())
}

pub(super) async fn show(place: &Place, which: &Which, output: &Output) -> Result<(), Failure> {
    let client = find(place, which).await?;
    let keys = keys_of(place, client.guid).await?;
    let uses: Uses = place.opened.store.uses().await?.into_iter().collect();
    let now = app::now();
    let titles = ["KEY", "KIND", "STATE", "CREATED", "STARTS", "EXPIRES", "LAST USED", "ENDS IN"];
    let mut rows = vec![titles.map(str::to_owned).to_vec()];
    rows.extend(keys.iter().map(|key| row(key, &uses, now)));
    let text = head(&client).into_iter().chain([table(&rows)]).collect::<Vec<_>>().join("\n");
    output.show(text, || {
        let keys: Vec<_> = keys.iter().map(|key| shown_document(key, &uses, now)).collect();
        json!({ "client": client_document(&client), "keys": keys })
    });
    Ok(())
}

fn head(client: &Client) -> Vec<String> {
    let mut lines =
        vec![format!("{} {} ({}), {}", client.tenant, client.name, client.guid, state(client.enabled))];
    lines.extend(client.grants.iter().map(granted));
    lines.extend(client.audiences.iter().map(|audience| format!("is the API of {audience}")));
    let refused = refused(client.refuses);
    lines.extend((!refused.is_empty()).then(|| format!("refuses {}", refused.join(", "))));
    lines
}

fn granted(grant: &Grant) -> String {
    let mut words = vec![format!("may ask for {}", grant.role)];
    words.extend(grant.bind.iter().map(|(name, values)| format!("{name}={}", values.join(","))));
    words.extend(grant.lifetime.map(|seconds| format!("for {seconds} seconds at most")));
    words.join(" ")
}

fn row(key: &Key, uses: &Uses, now: Timestamp) -> Vec<String> {
    vec![
        key.id.clone(),
        key.kind.name().to_owned(),
        state_of(key, now).to_owned(),
        rfc3339(key.created),
        key.starts.map_or("at once".to_owned(), rfc3339),
        key.expires.map_or("never".to_owned(), rfc3339),
        uses.get(&key.id).map_or("never".to_owned(), |at| rfc3339(*at)),
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
        document.insert("last_used".to_owned(), json!(uses.get(&key.id).map(|at| rfc3339(*at))));
    }
    document
}
