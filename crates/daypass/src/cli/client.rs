//! `daypass client`.

mod add;
mod boundary;
mod document;
mod given;
mod grant;
mod limit;
mod read;
mod refuse;
mod rotate;
mod show;
mod stands;
mod ungrant;
mod wanted;
mod when;

pub(super) use add::create;
pub(super) use when::{When, parse_when};

use super::output::{Failure, Output};
use super::place::{Place, PlaceArgs};
use crate::app;
use add::Add;
use boundary::Boundary;
use daypass_core::client::{Client, Key, Tenant};
use daypass_core::cutoff::{Cutoff, Scope};
use daypass_core::directory::Plan;
use daypass_core::store::Change;
use document::{client_document, key_document, state};
use given::{Given, Kind, refuse_more};
use grant::Grant;
use limit::LimitArgs;
use refuse::Proofs;
use serde_json::json;
use stands::{Said, change, swap};
use ungrant::Ungrant;
use uuid::Uuid;

/// Clients and their keys.
#[derive(clap::Subcommand)]
pub(super) enum Verb {
    /// Add a client with a key; the secret is shown once.
    Add(Box<Add>),
    /// List clients. IDLE are the roles that one is refused whatever it asks, because the configuration has changed since
    /// it was granted them; `client show` says why.
    List {
        #[command(flatten)]
        place: PlaceArgs,
        /// Only those of this tenant.
        #[arg(long)]
        tenant: Option<String>,
    },
    /// Show a client with its keys; never a secret. How a key was shown (PROOF) is looked for in the newest 1000 records of
    /// the tenant, and is blank where they say nothing of it.
    Show {
        #[command(flatten)]
        place: PlaceArgs,
        #[command(flatten)]
        which: Which,
    },
    /// Let a client ask for more, or for something else: a role, or to be the API of a resource.
    Grant(Box<Grant>),
    /// Take a role from a client, or a resource that it is the API of.
    Ungrant(Ungrant),
    /// Say what nothing that a client gets may go beyond, or try such a boundary before it counts.
    Boundary(Boundary),
    /// Say how much a client may ask for and get.
    Limit(LimitArgs),
    /// Add a second key beside the first.
    Rotate {
        #[command(flatten)]
        place: PlaceArgs,
        #[command(flatten)]
        which: Which,
        /// Make a new key of this kind [default: the kind the client has, if it has one only].
        #[arg(long, value_enum)]
        kind: Option<Kind>,
        #[command(flatten)]
        given: Box<Given>,
    },
    /// End a key whose users have moved to another one. One that was used within the last 24 hours is not ended.
    Retire {
        #[command(flatten)]
        place: PlaceArgs,
        #[command(flatten)]
        which: Which,
        /// The key, by its id as `client show` has it.
        #[arg(value_name = "KEY_ID")]
        key: String,
        /// End it whoever uses it.
        #[arg(long)]
        force: bool,
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
    /// Disable a client, or one key of it, and take back everything issued to it, for good.
    Disable {
        #[command(flatten)]
        place: PlaceArgs,
        #[command(flatten)]
        which: Which,
        /// Only this key.
        #[arg(long, value_name = "KEY_ID")]
        key: Option<String>,
    },
    /// Enable a disabled client, or one key of it. What it got before stays taken back.
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

impl Which {
    pub(super) fn new(client: &str, tenant: Option<&str>) -> Self {
        Self { client: client.to_owned(), tenant: tenant.map(str::to_owned) }
    }
}

pub(super) async fn run(verb: Verb, output: &Output) -> Result<(), Failure> {
    let place = match &verb {
        Verb::Add(args) => args.place.open().await?,
        Verb::Grant(args) => args.place.open().await?,
        Verb::Ungrant(args) => args.place.open().await?,
        Verb::Boundary(args) => args.place.open().await?,
        Verb::Limit(args) => args.place.open().await?,
        Verb::List { place, .. }
        | Verb::Show { place, .. }
        | Verb::Rotate { place, .. }
        | Verb::Retire { place, .. }
        | Verb::Refuse { place, .. }
        | Verb::Disable { place, .. }
        | Verb::Enable { place, .. } => place.open().await?,
    };
    if !matches!(verb, Verb::List { .. } | Verb::Show { .. }) {
        place.opened.begin().await?;
    }
    let result = match verb {
        Verb::Add(args) => add::add(&place, *args, output).await,
        Verb::List { tenant, .. } => show::list(&place, tenant.as_deref(), output).await,
        Verb::Show { which, .. } => show::show(&place, &which, output).await,
        Verb::Grant(args) => grant::grant(&place, &args, output).await,
        Verb::Ungrant(args) => ungrant::ungrant(&place, &args, output).await,
        Verb::Boundary(args) => boundary::set(&place, &args, output).await,
        Verb::Limit(args) => limit::set(&place, &args, output).await,
        Verb::Rotate { which, kind, given, .. } => rotate::rotate(&place, &which, kind, &given, output).await,
        Verb::Retire { which, key, force, .. } => rotate::retire(&place, &which, &key, force, output).await,
        Verb::Refuse { which, proofs, .. } => refuse::refuse(&place, &which, &proofs, output).await,
        Verb::Disable { which, key, .. } => switch(&place, &which, key, false, output).await,
        Verb::Enable { which, key, .. } => switch(&place, &which, key, true, output).await,
    };
    place.opened.store.close().await?;
    result
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
    let was = find(place, which).await?;
    let mut changes = terminal(Scope::Client(was.guid), was.enabled, enabled);
    let client = Client { enabled, ..was.clone() };
    let action = if enabled { "client.enable" } else { "client.disable" };
    let record = app::change(Some(&client.tenant), action, &client.name);
    changes.push(Change::SwapClient { old: Box::new(was), new: Box::new(client.clone()) });
    change(place, &client, changes, record).await?;
    output.show(
        format!("{} is {}", client.name, state(enabled)),
        || json!({ "client": client_document(&client) }),
    );
    Ok(())
}

/// Takes back everything that was issued to a client, or for a key, until it was disabled; and when it is enabled
/// again, what another node may have issued before it had heard of that. A client that was enabled all the time loses
/// nothing.
///
/// Attack: a client is disabled because its credentials were stolen. Enabled again with a new key, it would make the
/// stolen ones good again.
fn terminal(scope: Scope, was: bool, is: bool) -> Vec<Change> {
    if was && is { Vec::new() } else { vec![Change::Cut(Cutoff { scope, before: app::now() })] }
}

async fn set_key(
    place: &Place,
    which: &Which,
    id: &str,
    enabled: bool,
    output: &Output,
) -> Result<(), Failure> {
    let client = find(place, which).await?;
    let was = key_of(place, &client, id).await?;
    let mut changes = terminal(Scope::Key(was.id.clone()), was.enabled, enabled);
    if enabled {
        let (now, keys) = (app::now(), keys_of(place, client.guid).await?);
        let others = |other: &&Key| other.id != id && other.kind == was.kind && other.lasts(now);
        refuse_more(was.kind, &keys.iter().filter(others).collect::<Vec<_>>())?;
        // Two operators who enable one each would leave three that work.
        changes.push(Change::ExpectKeys { client: client.guid, keys });
    }
    let said = Said { action: if enabled { "key.enable" } else { "key.disable" }, enabled };
    let key = swap(place, &client, was, &said, &changes).await?;
    output.show(format!("the key {id} of {} is {}", client.name, state(enabled)), || key_document(&key));
    Ok(())
}

pub(super) async fn find(place: &Place, which: &Which) -> Result<Client, Failure> {
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

/// Writes what a client has become since it was read, with the record of it.
async fn put(
    place: &Place,
    before: &Client,
    after: &Client,
    action: &str,
    object: &str,
) -> Result<(), Failure> {
    let record = app::change(Some(&after.tenant), action, object);
    let swapped = Change::SwapClient { old: Box::new(before.clone()), new: Box::new(after.clone()) };
    change(place, after, vec![swapped], record).await
}

/// The tenant of a client, which the configuration must have.
fn tenant_of<'p>(plan: &'p Plan, client: &Client) -> Result<&'p Tenant, Failure> {
    let found = plan.tenants.iter().find(|tenant| tenant.name == client.tenant);
    found.map(|tenant| &**tenant).ok_or_else(|| {
        let Client { tenant, name, .. } = client;
        Failure::Refused(format!("the tenant `{tenant}` of {name} is not in the configuration any more"))
    })
}

async fn key_of(place: &Place, client: &Client, id: &str) -> Result<Key, Failure> {
    let key = keys_of(place, client.guid).await?.into_iter().find(|key| key.id == id);
    key.ok_or_else(|| Failure::Refused(format!("{} has no key `{id}`", client.name)))
}

async fn keys_of(place: &Place, client: Uuid) -> Result<Vec<Key>, Failure> {
    let mut keys = place.opened.store.keys().await?;
    keys.retain(|key| key.client == client);
    keys.sort_by(|a, b| (a.kind.name(), a.created, &a.id).cmp(&(b.kind.name(), b.created, &b.id)));
    Ok(keys)
}
