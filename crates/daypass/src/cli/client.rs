//! `daypass client`.

use super::output::{Failure, Output, table};
use super::place::{Place, PlaceArgs};
use crate::app;
use crate::system::KeyEntropy;
use daypass_core::client::{Client, Grant, Key, KeyKind, Refuses};
use daypass_core::clock::rfc3339;
use daypass_core::id::random_uuid;
use daypass_core::keys::{self, NewKey};
use daypass_core::store::Change;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use uuid::Uuid;

/// Clients and their keys.
#[derive(clap::Subcommand)]
pub(super) enum Verb {
    /// Add a client with a key; the secret is shown once.
    Add(Add),
    /// List clients.
    List {
        #[command(flatten)]
        place: PlaceArgs,
        /// Only those of this tenant.
        #[arg(long)]
        tenant: Option<String>,
    },
    /// Show a client with its keys; never a secret.
    Show {
        #[command(flatten)]
        place: PlaceArgs,
        #[command(flatten)]
        which: Which,
    },
    /// Add a second key beside the first, or retire the first one.
    Rotate {
        #[command(flatten)]
        place: PlaceArgs,
        #[command(flatten)]
        which: Which,
        /// Make a new key of this kind [default: the kind the client has, if it has one only].
        #[arg(long, value_enum)]
        kind: Option<Kind>,
        /// Disable this key instead, once its users have moved to the new one.
        #[arg(long, value_name = "KEY_ID", conflicts_with = "kind")]
        retire: Option<String>,
    },
    /// Disable a client and with it everything issued to it, at once; or one key of it.
    Disable {
        #[command(flatten)]
        place: PlaceArgs,
        #[command(flatten)]
        which: Which,
        /// Only this key.
        #[arg(long, value_name = "KEY_ID")]
        key: Option<String>,
    },
    /// Enable a disabled client, or one key of it.
    Enable {
        #[command(flatten)]
        place: PlaceArgs,
        #[command(flatten)]
        which: Which,
        /// Only this key.
        #[arg(long, value_name = "KEY_ID")]
        key: Option<String>,
    },
}

/// Add a client.
#[derive(clap::Args)]
pub(super) struct Add {
    #[command(flatten)]
    place: PlaceArgs,
    /// Its name, unique in its tenant.
    name: String,
    /// Its tenant [default: the only one].
    #[arg(long)]
    tenant: Option<String>,
    /// The kind of key it proves itself with; may be given several times.
    #[arg(long, value_enum, required = true)]
    kind: Vec<Kind>,
    /// A role it may ask for; may be given several times. The first is the one of requests that cannot name one.
    #[arg(long, required = true)]
    role: Vec<String>,
    /// Values that a variable of its roles may take, `NAME=VALUE[,VALUE…]`; may be given several times.
    #[arg(long, value_name = "NAME=VALUES", value_parser = parse_bind)]
    bind: Vec<(String, Vec<String>)>,
    /// Weak proofs that this client does not accept in its own name.
    #[arg(long, value_enum)]
    refuse: Vec<Weak>,
}

/// A client by name or id.
#[derive(clap::Args)]
pub(super) struct Which {
    /// Its name or its id.
    client: String,
    /// Its tenant, where several have a client of this name.
    #[arg(long)]
    tenant: Option<String>,
}

/// What a key is for.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Kind {
    /// Tencent: `SecretId` and `SecretKey`.
    Tencent,
    /// TOP: `app_key` and `app_secret`.
    Top,
    /// Alibaba Cloud: `AccessKeyId` and `AccessKeySecret`.
    AccessKey,
    /// OAuth: `client_id` and `client_secret`.
    ClientSecret,
}

/// A weak but documented proof.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Weak {
    /// TC3 with UNSIGNED-PAYLOAD.
    UnsignedPayload,
    /// TOP's md5 and hmac.
    Md5,
}

impl From<Kind> for KeyKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Tencent => Self::Tencent,
            Kind::Top => Self::Top,
            Kind::AccessKey => Self::AccessKey,
            Kind::ClientSecret => Self::ClientSecret,
        }
    }
}

fn parse_bind(text: &str) -> Result<(String, Vec<String>), String> {
    let (name, values) = text.split_once('=').ok_or("write NAME=VALUE or NAME=VALUE,VALUE")?;
    let values: Vec<_> = values.split(',').map(str::to_owned).collect();
    if name.is_empty() || values.iter().any(String::is_empty) {
        return Err("neither the name nor a value may be empty".to_owned());
    }
    Ok((name.to_owned(), values))
}

pub(super) async fn run(verb: Verb, output: &Output) -> Result<(), Failure> {
    let place = match &verb {
        Verb::Add(Add { place, .. })
        | Verb::List { place, .. }
        | Verb::Show { place, .. }
        | Verb::Rotate { place, .. }
        | Verb::Disable { place, .. }
        | Verb::Enable { place, .. } => place.open().await?,
    };
    if !matches!(verb, Verb::List { .. } | Verb::Show { .. }) {
        place.opened.begin().await?;
    }
    let result = match verb {
        Verb::Add(args) => add(&place, args, output).await,
        Verb::List { tenant, .. } => list(&place, tenant.as_deref(), output).await,
        Verb::Show { which, .. } => show(&place, &which, output).await,
        Verb::Rotate { which, kind, retire, .. } => match retire {
            Some(key) => set_key(&place, &which, &key, false, output).await,
            None => rotate(&place, &which, kind, output).await,
        },
        Verb::Disable { which, key, .. } => switch(&place, &which, key, false, output).await,
        Verb::Enable { which, key, .. } => switch(&place, &which, key, true, output).await,
    };
    place.opened.store.close().await?;
    result
}

async fn add(place: &Place, args: Add, output: &Output) -> Result<(), Failure> {
    let plan = place.config.plan("");
    let tenant = match (&args.tenant, &plan.tenants[..]) {
        (Some(name), tenants) => tenants
            .iter()
            .find(|tenant| &tenant.name == name)
            .ok_or_else(|| Failure::Usage(format!("there is no tenant `{name}` in the configuration")))?,
        (None, [only]) => only,
        (None, _) => {
            return Err(Failure::Usage("there are several tenants; name one with --tenant".to_owned()));
        }
    };
    let mut bound: Vec<&str> = Vec::new();
    let mut grants = Vec::new();
    for name in &args.role {
        let role =
            plan.roles.iter().find(|role| role.tenant == tenant.name && &role.name == name).ok_or_else(
                || {
                    Failure::Usage(format!(
                        "the tenant `{}` has no role `{name}` in the configuration",
                        tenant.name
                    ))
                },
            )?;
        let mut bind = BTreeMap::new();
        for variable in role.variables.keys() {
            let Some((_, values)) = args.bind.iter().find(|(name, _)| name == variable) else {
                return Err(Failure::Usage(format!(
                    "the role `{name}` has the variable `{variable}`; say which values this client may use: --bind \
                     {variable}=VALUE[,VALUE…], or {variable}=* for any"
                )));
            };
            bound.push(variable);
            bind.insert(variable.clone(), values.clone());
        }
        grants.push(Grant { role: name.clone(), bind });
    }
    if let Some((name, _)) = args.bind.iter().find(|(name, _)| !bound.contains(&name.as_str())) {
        return Err(Failure::Usage(format!("none of the roles has a variable `{name}`")));
    }
    let client = Client {
        guid: random_uuid(&KeyEntropy),
        object: random_uuid(&KeyEntropy),
        tenant: tenant.name.clone(),
        name: args.name,
        enabled: true,
        default_role: args.role.first().cloned(),
        grants,
        boundary: None,
        refuses: Refuses {
            unsigned_payload: args.refuse.contains(&Weak::UnsignedPayload),
            md5: args.refuse.contains(&Weak::Md5),
        },
        created: app::now(),
    };
    let made = create(place, &client, args.kind.iter().map(|kind| KeyKind::from(*kind))).await?;
    let mut text = format!("added client {} ({}) to tenant {}", client.name, client.guid, client.tenant);
    for new in &made {
        text.push('\n');
        text.push_str(&secret_lines(new));
    }
    text.push_str("\nthe secrets are shown this once");
    output.show(text, || json!({ "client": client_document(&client), "keys": secrets_document(&made) }));
    Ok(())
}

/// Adds a client with new keys in one change.
pub(super) async fn create(
    place: &Place,
    client: &Client,
    kinds: impl Iterator<Item = KeyKind>,
) -> Result<Vec<NewKey>, Failure> {
    let made = kinds
        .map(|kind| keys::make(&place.opened.ring, kind, client.guid, &KeyEntropy, client.created))
        .collect::<Result<Vec<_>, _>>()
        .map_err(anyhow::Error::from)?;
    let mut changes = vec![Change::PutClient(client.clone())];
    changes.extend(made.iter().map(|new| Change::PutKey(new.key.clone())));
    let record = app::change(Some(&client.tenant), "client.add", &client.name);
    place.opened.store.change(changes, record).await?;
    Ok(made)
}

async fn list(place: &Place, tenant: Option<&str>, output: &Output) -> Result<(), Failure> {
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

async fn show(place: &Place, which: &Which, output: &Output) -> Result<(), Failure> {
    let client = find(place, which).await?;
    let keys = keys_of(place, client.guid).await?;
    let mut rows = vec![["KEY", "KIND", "STATE", "CREATED", "ENDS IN"].map(str::to_owned).to_vec()];
    rows.extend(keys.iter().map(|key| {
        vec![
            key.id.clone(),
            key.kind.name().to_owned(),
            state(key.enabled).to_owned(),
            rfc3339(key.created),
            format!("…{}", key.hint),
        ]
    }));
    let grants = client.grants.iter().map(|grant| {
        let bind = grant.bind.iter().map(|(name, values)| format!(" {name}={}", values.join(",")));
        format!("may ask for {}{}", grant.role, bind.collect::<String>())
    });
    let head = format!("{} {} ({}), {}", client.tenant, client.name, client.guid, state(client.enabled));
    let text = std::iter::once(head).chain(grants).chain([table(&rows)]).collect::<Vec<_>>().join("\n");
    output.show(text, || {
        let keys: Vec<_> = keys.iter().map(key_document).collect();
        json!({ "client": client_document(&client), "keys": keys })
    });
    Ok(())
}

async fn rotate(place: &Place, which: &Which, kind: Option<Kind>, output: &Output) -> Result<(), Failure> {
    let client = find(place, which).await?;
    let keys = keys_of(place, client.guid).await?;
    let now = app::now();
    let live = || keys.iter().filter(|key| key.live(now));
    let kind = if let Some(kind) = kind {
        kind.into()
    } else {
        let mut kinds = live().map(|key| key.kind);
        let first =
            kinds.next().ok_or_else(|| Failure::Usage("it has no live key; say --kind".to_owned()))?;
        if kinds.any(|kind| kind != first) {
            return Err(Failure::Usage("it has keys of several kinds; say which with --kind".to_owned()));
        }
        first
    };
    let same_kind: Vec<_> = live().filter(|key| key.kind == kind).collect();
    if same_kind.len() >= keys::LIVE {
        let ids: Vec<_> = same_kind.iter().map(|key| key.id.as_str()).collect();
        return Err(Failure::Refused(format!(
            "it has {} live {} keys already ({}); retire one first with --retire",
            ids.len(),
            kind.name(),
            ids.join(", ")
        )));
    }
    let new =
        keys::make(&place.opened.ring, kind, client.guid, &KeyEntropy, now).map_err(anyhow::Error::from)?;
    let record =
        app::change(Some(&client.tenant), "client.rotate", &format!("{} {}", client.name, new.key.id));
    place.opened.store.change(vec![Change::PutKey(new.key.clone())], record).await?;
    let old = same_kind.first().map(|key| {
        format!(
            "\nthe old key works on; when nobody uses it any more: daypass client rotate {} --retire {}",
            client.name, key.id
        )
    });
    let text = format!("{}\nthe secret is shown this once{}", secret_lines(&new), old.unwrap_or_default());
    output.show(text, || json!({ "client": client_document(&client), "keys": secrets_document(&[new]) }));
    Ok(())
}

async fn switch(
    place: &Place,
    which: &Which,
    key: Option<String>,
    enabled: bool,
    output: &Output,
) -> Result<(), Failure> {
    if let Some(key) = key {
        return set_key(place, which, &key, enabled, output).await;
    }
    let client = Client { enabled, ..find(place, which).await? };
    let action = if enabled { "client.enable" } else { "client.disable" };
    let record = app::change(Some(&client.tenant), action, &client.name);
    place.opened.store.change(vec![Change::PutClient(client.clone())], record).await?;
    output.show(
        format!("{} is {}", client.name, state(enabled)),
        || json!({ "client": client_document(&client) }),
    );
    Ok(())
}

async fn set_key(
    place: &Place,
    which: &Which,
    id: &str,
    enabled: bool,
    output: &Output,
) -> Result<(), Failure> {
    let client = find(place, which).await?;
    let key = keys_of(place, client.guid).await?.into_iter().find(|key| key.id == id);
    let key = key.ok_or_else(|| Failure::Refused(format!("{} has no key `{id}`", client.name)))?;
    let key = Key { enabled, ..key };
    let action = if enabled { "key.enable" } else { "key.disable" };
    let record = app::change(Some(&client.tenant), action, &format!("{} {id}", client.name));
    place.opened.store.change(vec![Change::PutKey(key.clone())], record).await?;
    output.show(format!("the key {id} of {} is {}", client.name, state(enabled)), || key_document(&key));
    Ok(())
}

async fn find(place: &Place, which: &Which) -> Result<Client, Failure> {
    let guid = Uuid::try_parse(&which.client).ok();
    let mut found = place.opened.store.clients().await?;
    found.retain(|client| client.name == which.client || Some(client.guid) == guid);
    found.retain(|client| which.tenant.as_ref().is_none_or(|tenant| &client.tenant == tenant));
    let mut found = found.into_iter();
    match (found.next(), found.next()) {
        (Some(client), None) => Ok(client),
        (None, _) => Err(Failure::Refused(format!("there is no client `{}`", which.client))),
        (Some(_), Some(_)) => Err(Failure::Usage(format!(
            "several tenants have a client `{}`; name one with --tenant",
            which.client
        ))),
    }
}

async fn keys_of(place: &Place, client: Uuid) -> Result<Vec<Key>, Failure> {
    let mut keys = place.opened.store.keys().await?;
    keys.retain(|key| key.client == client);
    keys.sort_by(|a, b| (a.kind.name(), a.created, &a.id).cmp(&(b.kind.name(), b.created, &b.id)));
    Ok(keys)
}

/// The names under which the vendor's clients know the two halves of a key.
fn names(kind: KeyKind) -> (&'static str, &'static str) {
    match kind {
        KeyKind::Tencent => ("secret_id", "secret_key"),
        KeyKind::Top => ("app_key", "app_secret"),
        KeyKind::AccessKey => ("access_key_id", "access_key_secret"),
        KeyKind::ClientSecret => ("client_id", "client_secret"),
    }
}

/// What the client sends to name the key: for a client secret that is the client's own id.
fn public_id(key: &Key) -> String {
    if key.kind == KeyKind::ClientSecret { key.client.to_string() } else { key.id.clone() }
}

fn secret_lines(new: &NewKey) -> String {
    let (id, secret) = names(new.key.kind);
    format!("{id} = {}\n{secret} = {}", public_id(&new.key), new.secret.expose_str())
}

fn secrets_document(made: &[NewKey]) -> Value {
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

fn client_document(client: &Client) -> Value {
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

fn key_document(key: &Key) -> Value {
    json!({
        "id": key.id,
        "kind": key.kind.name(),
        "enabled": key.enabled,
        "created": rfc3339(key.created),
        "expires": key.expires.map(rfc3339),
        "hint": key.hint,
    })
}

fn state(enabled: bool) -> &'static str {
    if enabled { "enabled" } else { "disabled" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bind_names_a_variable_and_its_values() {
        assert_eq!(parse_bind("poi_id=8005,8006"), Ok(("poi_id".into(), vec!["8005".into(), "8006".into()])));
        assert_eq!(parse_bind("poi_id=*"), Ok(("poi_id".into(), vec!["*".into()])));
        for bad in ["poi_id", "=8005", "poi_id=", "poi_id=8005,"] {
            assert!(parse_bind(bad).is_err(), "{bad}");
        }
    }
}
