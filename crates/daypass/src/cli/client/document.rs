//! Clients and keys as they are printed.

use super::boundary;
use super::given::Made;
use super::limit;
use daypass_core::client::{CertificateRule, Client, Grant, Key, KeyKind, Material, Refuses};
use daypass_core::clock::rfc3339;
use serde_json::{Value, json};

/// The names under which the vendor's clients know the two halves of a key, and the first half's value: for a client
/// secret that is the client's own id.
fn halves(key: &Key) -> (&'static str, &str, String) {
    let (id, secret) = match key.kind {
        KeyKind::Tencent => ("secret_id", "secret_key"),
        KeyKind::Top => ("app_key", "app_secret"),
        KeyKind::AccessKey => ("access_key_id", "access_key_secret"),
        KeyKind::Ticket => ("key_id", "key_secret"),
        KeyKind::ClientSecret | KeyKind::PublicKey | KeyKind::Certificate | KeyKind::Federated => {
            return ("client_id", "client_secret", key.client.to_string());
        }
    };
    (id, secret, key.id.clone())
}

/// What a registered key is, by the names that its own standard has for it. Empty for a secret.
fn registered(material: &Material) -> Vec<(&'static str, &str)> {
    match material {
        Material::Hashed { .. } | Material::Sealed(_) => Vec::new(),
        Material::Public(public) => {
            let x5t = public.x5t.as_deref().map(|x5t| ("x5t", x5t));
            let x5t_s256 = public.x5t_s256.as_deref().map(|x5t| ("x5t#S256", x5t));
            [Some(("kid", public.kid())), x5t, x5t_s256].into_iter().flatten().collect()
        }
        Material::Certificate(CertificateRule::Pinned { x5t_s256 }) => vec![("x5t#S256", x5t_s256)],
        Material::Certificate(CertificateRule::Named(rule)) => vec![(rule.name(), rule.value())],
        Material::Federated { provider, subject } => vec![("provider", provider), ("subject", subject)],
    }
}

/// New keys as people copy them: the two halves of a secret; of what was registered, whose it is and its names.
pub(super) fn made_lines(made: &[Made]) -> String {
    let one = |made: &Made| {
        let (id, secret, value) = halves(made.key());
        let mut lines = vec![format!("{id} = {value}")];
        match made {
            Made::Secret(new) => lines.push(format!("{secret} = {}", new.secret.expose_str())),
            Made::Registered(key) => {
                lines.push(format!("key_id = {}", key.id));
                let names = registered(&key.material);
                lines.extend(names.into_iter().map(|(name, value)| format!("{name} = {value}")));
            }
        }
        lines.extend(made.key().starts.map(|start| format!("works from {}", rfc3339(start))));
        lines.extend(made.key().expires.map(|end| format!("works until {}", rfc3339(end))));
        lines.join("\n")
    };
    let mut lines: Vec<_> = made.iter().map(one).collect();
    if made.iter().any(|made| matches!(made, Made::Secret(_))) {
        lines.push("the secrets are shown this once".to_owned());
    }
    lines.join("\n")
}

/// New keys, with their secrets.
pub(super) fn made_document(made: &[Made]) -> Value {
    let one = |made: &Made| {
        let key = made.key();
        let (id, secret, value) = halves(key);
        let mut document = key_document(key);
        if let Some(document) = document.as_object_mut() {
            document.insert(id.to_owned(), value.into());
            if let Made::Secret(new) = made {
                document.insert(secret.to_owned(), new.secret.expose_str().into());
            }
        }
        document
    };
    Value::Array(made.iter().map(one).collect())
}

/// A client, without its keys.
pub(super) fn client_document(client: &Client) -> Value {
    let mut document = json!({
        "id": client.guid,
        "tenant": client.tenant,
        "name": client.name,
        "enabled": client.enabled,
        "default_role": client.default_role,
        "grants": client.grants,
        "audiences": client.audiences,
        "refuses": client.refuses,
        "created": rfc3339(client.created),
    });
    if let Some(document) = document.as_object_mut() {
        document.extend(boundary::members(client));
        document.extend(limit::member(client));
    }
    document
}

/// A key, without its secret.
pub(super) fn key_document(key: &Key) -> Value {
    let mut document = json!({
        "id": key.id,
        "kind": key.kind.name(),
        "enabled": key.enabled,
        "created": rfc3339(key.created),
        "starts": key.starts.map(rfc3339),
        "expires": key.expires.map(rfc3339),
        "hint": key.hint,
    });
    if let Some(document) = document.as_object_mut() {
        let names = registered(&key.material).into_iter();
        document.extend(names.map(|(name, value)| (name.to_owned(), value.into())));
    }
    document
}

/// What a grant allows, as people read it.
pub(super) fn terms(grant: &Grant) -> String {
    let mut words = vec![grant.role.clone()];
    words.extend(grant.bind.iter().map(|(name, values)| format!("{name}={}", values.join(","))));
    words.extend(grant.lifetime.map(|seconds| format!("for {seconds} seconds at most")));
    words.join(" ")
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
