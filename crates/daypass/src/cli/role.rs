//! `daypass role`: what may be handed out, and what somebody would get of it.

use super::explain::{Ask, Snapshot, Target, plan, rehearse};
use super::output::{Failure, Output, table};
use super::place::{Place, PlaceArgs};
use daypass_core::directory::Directory;
use daypass_core::endpoint::Endpoint;
use daypass_core::policy::{Language, Template};
use daypass_core::role::Role;
use serde_json::{Value, json};
use std::sync::Arc;

/// The roles of the configuration.
#[derive(clap::Subcommand)]
pub(super) enum Verb {
    /// List every role: what it gives, for how long, where, and to which clients.
    List {
        #[command(flatten)]
        place: PlaceArgs,
    },
    /// Say what a client would get of a role and which statement decides, and issue nothing.
    Explain {
        #[command(flatten)]
        place: PlaceArgs,
        /// The role, by name.
        role: String,
        #[command(flatten)]
        ask: Box<Ask>,
    },
}

pub(super) async fn run(verb: Verb, output: &Output) -> Result<(), Failure> {
    let place = match &verb {
        Verb::List { place } | Verb::Explain { place, .. } => place.open().await?,
    };
    let result = answer(&place, &verb, output).await;
    place.opened.store.close().await?;
    result
}

async fn answer(place: &Place, verb: &Verb, output: &Output) -> Result<(), Failure> {
    let snapshot = Snapshot::read(place).await?;
    let directory = snapshot.directory(plan(&place.config))?;
    match verb {
        Verb::List { .. } => list(&snapshot, &directory, output),
        Verb::Explain { role, ask, .. } => {
            return rehearse(&snapshot, &directory, Target::Role(role), ask, output);
        }
    }
    Ok(())
}

fn list(snapshot: &Snapshot, directory: &Directory, output: &Output) {
    let rows: Vec<_> = directory.plan().roles.iter().map(|role| Row::of(snapshot, directory, role)).collect();
    let mut cells = vec![
        ["TENANT", "ROLE", "GIVES", "LIFETIME", "VARIABLES", "ENDPOINTS", "CLIENTS"]
            .map(str::to_owned)
            .to_vec(),
    ];
    cells.extend(rows.iter().map(Row::cells));
    output.show(table(&cells), || rows.iter().map(Row::document).collect());
}

/// A role with who can reach it.
struct Row<'a> {
    role: &'a Role,
    endpoints: Vec<&'a str>,
    clients: Vec<&'a str>,
}

impl<'a> Row<'a> {
    fn of(snapshot: &'a Snapshot, directory: &'a Directory, role: &'a Arc<Role>) -> Self {
        let gives = |endpoint: &&'a Arc<Endpoint>| hands_out(endpoint, role);
        let endpoints = directory.plan().endpoints.iter().filter(gives);
        let clients = snapshot.clients.iter().filter(|client| {
            client.tenant == role.tenant && client.grants.iter().any(|grant| grant.role == role.name)
        });
        Self {
            role,
            endpoints: endpoints.map(|endpoint| endpoint.path.as_str()).collect(),
            clients: clients.map(|client| client.name.as_str()).collect(),
        }
    }

    fn gives(&self) -> &'static str {
        match self.role.policy.as_ref().map(Template::language) {
            Some(Language::Cam) => "a key of Tencent Cloud",
            Some(Language::Ram) => "a key of Alibaba Cloud",
            None => "an access token",
        }
    }

    fn cells(&self) -> Vec<String> {
        let role = self.role;
        let variables = role.variables.iter().map(|(name, kind)| format!("{name}:{}", kind.name()));
        vec![
            role.tenant.clone(),
            role.name.clone(),
            self.gives().to_owned(),
            format!("{}s, at most {}s", role.lifetime.default, role.lifetime.max),
            variables.collect::<Vec<_>>().join(","),
            self.endpoints.join(","),
            self.clients.join(","),
        ]
    }

    fn document(&self) -> Value {
        let role = self.role;
        let variables: serde_json::Map<_, _> =
            role.variables.iter().map(|(name, kind)| (name.clone(), json!(kind.name()))).collect();
        json!({
            "tenant": role.tenant,
            "name": role.name,
            "gives": self.gives(),
            "lifetime": { "default": role.lifetime.default, "max": role.lifetime.max },
            "variables": variables,
            "audience": role.audience,
            "app_roles": role.app_roles,
            "endpoints": self.endpoints,
            "clients": self.clients,
        })
    }
}

/// Whether an endpoint names the role, for its visitors or in its table.
fn hands_out(endpoint: &Endpoint, role: &Role) -> bool {
    endpoint.tenant == role.tenant
        && (endpoint.role.as_ref() == Some(&role.name)
            || endpoint.routes.iter().any(|route| route.role == role.name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use daypass_core::testing::World;

    #[test]
    fn an_endpoint_hands_out_what_it_names_in_its_own_tenant() {
        let world = World::new();
        let named = |name: &str| {
            let role = world.plan.roles.iter().find(|role| role.name == name).unwrap();
            let at = |role: &Role| {
                let given = world.plan.endpoints.iter().filter(|endpoint| hands_out(endpoint, role));
                given.map(|endpoint| endpoint.path.clone()).collect::<Vec<_>>()
            };
            let elsewhere = Role { tenant: "other".into(), ..Role::clone(role) };
            assert!(at(&elsewhere).is_empty(), "{name}");
            at(role)
        };
        assert_eq!(named("soe"), ["/getAuthorization"]);
        assert_eq!(named("store-upload"), ["/router/rest"]);
        assert!(named("devcenter").is_empty(), "OAuth needs no endpoint");
    }
}
