//! `daypass client`.

mod add;
mod document;
mod refuse;

pub(super) use add::create;

use super::output::{Failure, Output, table};
use super::place::{Place, PlaceArgs};
use crate::app;
use crate::system::KeyEntropy;
use add::Add;
use daypass_core::client::{Client, Key, KeyKind};
use daypass_core::clock::rfc3339;
use daypass_core::keys;
use daypass_core::store::Change;
use document::{client_document, key_document, refused, secret_lines, secrets_document, state};
use refuse::Proofs;
use serde_json::{Value, json};
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
    /// Say which weak proofs are not accepted in a client's name, in place of what was said before.
    Refuse {
        #[command(flatten)]
        place: PlaceArgs,
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        proofs: Proofs,
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
    /// One-time tickets: what a backend signs them with.
    Ticket,
}

impl From<Kind> for KeyKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Tencent => Self::Tencent,
            Kind::Top => Self::Top,
            Kind::AccessKey => Self::AccessKey,
            Kind::ClientSecret => Self::ClientSecret,
            Kind::Ticket => Self::Ticket,
        }
    }
}

pub(super) async fn run(verb: Verb, output: &Output) -> Result<(), Failure> {
    let place = match &verb {
        Verb::Add(Add { place, .. })
        | Verb::List { place, .. }
        | Verb::Show { place, .. }
        | Verb::Rotate { place, .. }
        | Verb::Refuse { place, .. }
        | Verb::Disable { place, .. }
        | Verb::Enable { place, .. } => place.open().await?,
    };
    if !matches!(verb, Verb::List { .. } | Verb::Show { .. }) {
        place.opened.begin().await?;
    }
    let result = match verb {
        Verb::Add(args) => add::add(&place, args, output).await,
        Verb::List { tenant, .. } => list(&place, tenant.as_deref(), output).await,
        Verb::Show { which, .. } => show(&place, &which, output).await,
        Verb::Rotate { which, kind, retire, .. } => match retire {
            Some(key) => set_key(&place, &which, &key, false, output).await,
            None => rotate(&place, &which, kind, output).await,
        },
        Verb::Refuse { which, proofs, .. } => refuse::refuse(&place, &which, &proofs, output).await,
        Verb::Disable { which, key, .. } => switch(&place, &which, key, false, output).await,
        Verb::Enable { which, key, .. } => switch(&place, &which, key, true, output).await,
    };
    place.opened.store.close().await?;
    result
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
    let refused = refused(client.refuses);
    let refused = (!refused.is_empty()).then(|| format!("refuses {}", refused.join(", ")));
    let text = std::iter::once(head)
        .chain(grants)
        .chain(refused)
        .chain([table(&rows)])
        .collect::<Vec<_>>()
        .join("\n");
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
