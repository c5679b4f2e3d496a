//! Clients and keys as they are printed.

use daypass_core::client::{Client, Key, KeyKind, Refuses};
use daypass_core::clock::rfc3339;
use daypass_core::keys::NewKey;
use serde_json::{Value, json};

/// The names under which the vendor's clients know the two halves of a key.
fn names(kind: KeyKind) -> (&'static str, &'static str) {
    match kind {
        KeyKind::Tencent => ("secret_id", "secret_key"),
        KeyKind::Top => ("app_key", "app_secret"),
        KeyKind::AccessKey => ("access_key_id", "access_key_secret"),
        KeyKind::ClientSecret | KeyKind::PublicKey | KeyKind::Certificate | KeyKind::Federated => {
            ("client_id", "client_secret")
        }
        KeyKind::Ticket => ("key_id", "key_secret"),
    }
}

/// What the client sends to name the key: for a client secret that is the client's own id.
fn public_id(key: &Key) -> String {
    if key.kind == KeyKind::ClientSecret { key.client.to_string() } else { key.id.clone() }
}

/// The two halves of a new key as people copy them.
pub(super) fn secret_lines(new: &NewKey) -> String {
    let (id, secret) = names(new.key.kind);
    format!("{id} = {}\n{secret} = {}", public_id(&new.key), new.secret.expose_str())
}

/// New keys with their secrets.
pub(super) fn secrets_document(made: &[NewKey]) -> Value {
    let one = |new: &NewKey| {
        let (id, secret) = names(new.key.kind);
        json!({
            "id": new.key.id,
            "kind": new.key.kind.name(),
            id: public_id(&new.key),
            secret: new.secret.expose_str(),
        })
    };
    Value::Array(made.iter().map(one).collect())
}

/// A client, without its keys.
pub(super) fn client_document(client: &Client) -> Value {
    json!({
        "id": client.guid,
        "tenant": client.tenant,
        "name": client.name,
        "enabled": client.enabled,
        "default_role": client.default_role,
        "grants": client.grants,
        "refuses": client.refuses,
        "created": rfc3339(client.created),
    })
}

/// A key, without its secret.
pub(super) fn key_document(key: &Key) -> Value {
    json!({
        "id": key.id,
        "kind": key.kind.name(),
        "enabled": key.enabled,
        "created": rfc3339(key.created),
        "expires": key.expires.map(rfc3339),
        "hint": key.hint,
    })
}

/// A switch as people read it.
pub(super) fn state(enabled: bool) -> &'static str {
    if enabled { "enabled" } else { "disabled" }
}

/// The names of the weak proofs that are refused.
pub(super) fn refused(refuses: Refuses) -> Vec<&'static str> {
    let all = [(refuses.unsigned_payload, "unsigned-payload"), (refuses.v1, "v1"), (refuses.md5, "md5")];
    all.into_iter().filter_map(|(refused, name)| refused.then_some(name)).collect()
}
