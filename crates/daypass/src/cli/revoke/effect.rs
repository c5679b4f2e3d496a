//! What a cut-off does, and what it cannot do.

use super::WITHIN;
use super::upstream::{self, Living};
use crate::app;
use crate::cli::credential;
use crate::cli::output::Failure;
use crate::cli::place::Place;
use daypass_core::client::{Client, Key};
use daypass_core::clock::{Timestamp, after, rfc3339};
use daypass_core::cutoff::Scope;
use daypass_core::record::{Event, Record};
use daypass_core::role::Role;
use serde_json::{Value, json};
use std::sync::Arc;

/// The issuer that is ourselves. What any other has made is checked by that one, which asks nobody here.
const LOCAL: &str = "local";

/// What is known of it when it has been made.
pub(super) struct Effect {
    /// Clients that are enabled and concerned; none where that is not known.
    clients: Option<usize>,
    /// Live keys that are concerned; none where that is not known.
    keys: Option<usize>,
    /// Until when an API that verifies access tokens by itself may take one.
    offline_until: Option<Timestamp>,
    /// What clouds have made and nobody here can take back.
    upstream: Vec<Living>,
    /// Whether the records know the credential; none where it is about more than one.
    recorded: Option<bool>,
}

impl Effect {
    /// Looks at everything that such a cut-off concerns.
    pub(super) async fn of(place: &Place, scope: &Scope, before: Timestamp) -> Result<Self, Failure> {
        let store = &place.opened.store;
        let grant = match scope {
            Scope::Credential(id) => credential::find(&**store, id).await?,
            _ => None,
        };
        let concerned = Concerned {
            scope,
            clients: &store.clients().await?,
            keys: &store.keys().await?,
            roles: &place.config.plan("").roles,
            grant: grant.as_ref(),
        };
        let now = app::now();
        let upstream = upstream::living(&**store, scope, before, now).await?;
        Ok(Self { upstream, ..concerned.effect(before, now) })
    }

    /// As people read it.
    pub(super) fn text(&self, scope: &Scope, before: Timestamp, changed: bool) -> String {
        let done = if changed { "taken back" } else { "already taken back" };
        let what = match scope {
            Scope::Credential(_) => format!("{scope}"),
            Scope::All => format!("everything issued until {before}"),
            _ => format!("everything of {scope}, issued until {before}"),
        };
        let mut lines = vec![
            format!("{done}: {what}"),
            "in force on this store's nodes within two seconds: for requests, introspection and exchanges"
                .to_owned(),
        ];
        if let Some(clients) = self.clients {
            let keys = self.keys.map(|keys| format!(", live keys: {keys}")).unwrap_or_default();
            lines.push(format!(
                "enabled clients concerned: {clients}{keys}; they may ask for new credentials at once"
            ));
        }
        if self.recorded == Some(false) {
            lines.push("there is no record of such a credential here; is the id right?".to_owned());
        }
        lines.push(match self.offline_until {
            Some(until) => format!(
                "an API that verifies access tokens by itself, without asking, may take one until {}; one that follows the \
                 revocation feed knows within seconds",
                rfc3339(until)
            ),
            None => "no access token is concerned that is still alive".to_owned(),
        });
        lines.extend(self.upstream.iter().map(Living::text));
        lines.join("\n")
    }

    /// As scripts read it.
    pub(super) fn document(&self, scope: &Scope, before: Timestamp, changed: bool) -> Value {
        json!({
            "scope": scope,
            "before": before.to_string(),
            "changed": changed,
            "effective_within_seconds": WITHIN,
            "clients": self.clients,
            "keys": self.keys,
            "recorded": self.recorded,
            "offline_until": self.offline_until.map(rfc3339),
            "upstream": self.upstream.iter().map(Living::document).collect::<Vec<_>>(),
            "upstream_count": self.upstream.iter().map(|living| living.count).sum::<usize>(),
            "upstream_until": self.upstream.iter().map(|living| living.until).max().map(rfc3339),
        })
    }
}

/// What a cut-off may be about.
struct Concerned<'a> {
    scope: &'a Scope,
    clients: &'a [Client],
    keys: &'a [Key],
    roles: &'a [Arc<Role>],
    /// The record of the one credential that it is about.
    grant: Option<&'a Record>,
}

impl Concerned<'_> {
    fn effect(&self, before: Timestamp, now: Timestamp) -> Effect {
        let clients: Option<Vec<_>> = self
            .knows_clients()
            .then(|| self.clients.iter().filter(|client| client.enabled && self.is_client(client)).collect());
        let is_key = |key: &&Key| {
            let owner = clients.iter().flatten().any(|client| client.guid == key.client);
            key.live(now) && owner && !matches!(self.scope, Scope::Key(id) if *id != key.id)
        };
        let roles: Vec<_> = self.roles.iter().filter(|role| self.is_role(role)).collect();
        let end = |role: &Role| self.ends().unwrap_or_else(|| after(before, role.lifetime.max));
        let tokens = roles
            .iter()
            .filter(|role| role.audience.is_some() && role.issuer == LOCAL && self.may_be_token());
        Effect {
            keys: clients.as_ref().map(|_| self.keys.iter().filter(is_key).count()),
            offline_until: tokens.map(|role| end(role)).max().filter(|end| *end > now),
            upstream: Vec::new(),
            recorded: matches!(self.scope, Scope::Credential(_)).then_some(self.grant.is_some()),
            clients: clients.map(|clients| clients.len()),
        }
    }

    /// A subject may be anyone, and one credential's client loses nothing else.
    fn knows_clients(&self) -> bool {
        !matches!(self.scope, Scope::Subject { .. } | Scope::Credential(_))
    }

    fn is_client(&self, client: &Client) -> bool {
        match self.scope {
            Scope::All => true,
            Scope::Tenant(tenant) => client.tenant == *tenant,
            Scope::Client(guid) => client.guid == *guid,
            Scope::Key(id) => self.keys.iter().any(|key| key.id == *id && key.client == client.guid),
            Scope::Role { tenant, role } => client.tenant == *tenant && has(client, role),
            Scope::Subject { .. } | Scope::Credential(_) => false,
        }
    }

    /// Whether something may have been issued in this role that is concerned.
    fn is_role(&self, role: &Role) -> bool {
        match self.scope {
            Scope::All => true,
            Scope::Tenant(tenant) | Scope::Subject { tenant, .. } => role.tenant == *tenant,
            Scope::Role { tenant, role: name } => role.tenant == *tenant && role.name == *name,
            // A credential that the records do not know may be any.
            Scope::Credential(_) => self.grant.is_none_or(|record| {
                record.tenant.as_ref() == Some(&role.tenant) && record.role.as_ref() == Some(&role.name)
            }),
            Scope::Client(_) | Scope::Key(_) => {
                // Grants may have been wider, and tokens go on from client to client by exchanges.
                self.clients.iter().any(|client| self.is_client(client) && client.tenant == role.tenant)
            }
        }
    }

    /// Whether an access token may be concerned: only OAuth's keys give any, and a key of a cloud has none.
    fn may_be_token(&self) -> bool {
        match self.scope {
            Scope::Key(id) => self.keys.iter().any(|key| key.id == *id && key.kind.is_oauth()),
            _ => true,
        }
    }

    /// When the one credential ends that it is about.
    fn ends(&self) -> Option<Timestamp> {
        match self.grant.map(|record| &record.event) {
            Some(Event::Grant { expires, .. }) => Some(*expires),
            _ => None,
        }
    }
}

fn has(client: &Client, role: &str) -> bool {
    client.grants.iter().any(|grant| grant.role == role)
}

#[cfg(test)]
mod tests {
    use super::*;
    use daypass_core::clock::SignedDuration;
    use daypass_core::testing::{RESOURCE, START, World, later};

    /// A world of two tenants' clients, with an access token's role of an hour and a role that an upstream serves.
    fn world() -> World {
        let mut world = World::new();
        for role in &mut world.plan.roles {
            let role = Arc::make_mut(role);
            role.lifetime.max = if role.audience.is_some() { 3600 } else { 7200 };
            role.issuer = if role.name == "soe" { "tencent-main".into() } else { LOCAL.into() };
        }
        world.others.push(Client { guid: uuid::Uuid::from_u128(9), enabled: false, ..world.client.clone() });
        world
    }

    fn effect(world: &World, scope: &Scope, grant: Option<&Record>, before: Timestamp) -> Effect {
        let clients: Vec<_> = [&world.client].into_iter().chain(&world.others).cloned().collect();
        let concerned =
            Concerned { scope, clients: &clients, keys: &world.keys, roles: &world.plan.roles, grant };
        concerned.effect(before, START)
    }

    fn role(name: &str) -> Scope {
        Scope::Role { tenant: "acme".into(), role: name.into() }
    }

    #[test]
    fn whom_it_concerns_is_counted() {
        let world = world();
        let live = world.keys.len();
        let count = |scope: Scope| {
            let effect = effect(&world, &scope, None, START);
            (effect.clients, effect.keys)
        };
        for scope in [Scope::All, Scope::Tenant("acme".into()), Scope::Client(world.client.guid), role("soe")]
        {
            assert_eq!(count(scope.clone()), (Some(1), Some(live)), "{scope}");
        }
        assert_eq!(count(Scope::Key("AKIDworld".into())), (Some(1), Some(1)));
        for scope in [Scope::Tenant("other".into()), Scope::Client(uuid::Uuid::from_u128(9)), role("nothing")]
        {
            assert_eq!(count(scope.clone()), (Some(0), Some(0)), "{scope}");
        }
        for scope in [
            Scope::Subject { tenant: "acme".into(), subject: "ann".into() },
            Scope::Credential("AKIDtemp".into()),
        ] {
            assert_eq!(count(scope.clone()), (None, None), "{scope}");
        }
    }

    #[test]
    fn what_is_checked_without_asking_is_said_with_its_end() {
        let mut world = world();
        let said = |world: &World, scope: &Scope, before| effect(world, scope, None, before).offline_until;
        assert_eq!(said(&world, &Scope::All, START), Some(later(3600)));
        assert_eq!(said(&world, &role("soe"), START), None);
        assert_eq!(said(&world, &role("devcenter"), START), Some(later(3600)));
        let earlier = START.checked_sub(SignedDuration::from_secs(5000)).unwrap();
        assert_eq!(said(&world, &Scope::All, earlier), None, "the tokens have all run out");
        assert_eq!(
            said(&world, &Scope::Key("AKIDworld".into()), START),
            None,
            "a cloud's key gives no token"
        );
        let secret = world.keys.iter().find(|key| key.kind.is_oauth()).unwrap().id.clone();
        assert_eq!(said(&world, &Scope::Key(secret), START), Some(later(3600)));
        assert_eq!(said(&world, &Scope::Tenant("other".into()), START), None);
        for role in world.plan.roles.iter_mut().filter(|role| role.audience.is_some()) {
            Arc::make_mut(role).issuer = "entra-main".into();
        }
        assert_eq!(
            said(&world, &Scope::All, START),
            None,
            "a cloud's tokens are counted, and not guessed at"
        );
    }

    #[test]
    fn a_recorded_credential_has_its_own_end() {
        let world = world();
        let scope = Scope::Credential("0191e1d0-5bd2-7c3a-8c57-2f0a5a3b8c11".into());
        let event = serde_json::json!({
            "id": uuid::Uuid::from_u128(1), "at": START.to_string(), "tenant": "acme", "role": "devcenter",
            "event": {"event": "grant", "credential": "x", "expires": later(60).to_string(), "audience": RESOURCE},
        });
        let record: Record = serde_json::from_value(event).unwrap();
        let known = effect(&world, &scope, Some(&record), START);
        assert_eq!((known.recorded, known.offline_until), (Some(true), Some(later(60))));
        let unknown = effect(&world, &scope, None, START);
        assert_eq!((unknown.recorded, unknown.offline_until), (Some(false), Some(later(3600))));
        assert!(unknown.text(&scope, START, true).contains("is the id right?"));
        let text = known.text(&scope, START, false);
        assert!(text.starts_with("already taken back: credential 0191e1d0"), "{text}");
        assert!(text.contains("within two seconds") && text.contains("may take one until"), "{text}");
    }
}
