//! What the records show to have been used.

use super::statements::Statements;
use daypass_core::asked::{Asked, AskedRole};
use daypass_core::client::{Client, Grant};
use daypass_core::directory::Directory;
use daypass_core::endpoint::{DialectName, Product};
use daypass_core::record::{Event, Record};
use daypass_core::role::Role;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use uuid::Uuid;

/// A role or a resource of a tenant.
type Of = (String, String);

/// Everything that was found.
#[derive(Default)]
pub(super) struct Usage {
    /// Clients of whom there is any record.
    clients: HashSet<Uuid>,
    /// Roles that were handed out to a client.
    granted: HashSet<(Uuid, String)>,
    /// Roles that were handed out to anybody.
    roles: HashSet<Of>,
    /// App roles that were handed out: by tenant and resource, to whom, and which.
    app_roles: BTreeMap<Of, BTreeSet<(Uuid, String)>>,
    /// How often a role was asked for and refused.
    refused: BTreeMap<Of, u64>,
    /// Roles and resources that somebody got in exchange for a token. Each client behind the token needed its grant, and
    /// the record names the last one alone.
    exchanged: HashSet<Of>,
    /// Words of changes of grants, by tenant: a client's name with the names of what it was granted.
    changed: HashSet<(Option<String>, String, String)>,
    /// By role.
    pub(super) statements: BTreeMap<Of, Statements>,
}

impl Usage {
    /// Looks at one record.
    pub(super) fn take(&mut self, directory: &Directory, record: &Record) {
        self.clients.extend(record.client);
        let tenant = record.tenant.clone().unwrap_or_default();
        match &record.event {
            Event::Grant { .. } => self.grant(directory, tenant, record),
            Event::Refusal { asked: Some(asked), .. } => {
                let client =
                    record.client.and_then(|guid| directory.client(directory.tenant(&tenant)?, guid));
                if let Some(role) = role_asked(directory, &tenant, client.as_deref(), asked) {
                    *self.refused.entry((tenant, role)).or_default() += 1;
                }
            }
            Event::Change { action, object } if action == "client.grant" => {
                let mut words = object.split(' ');
                let client = words.next().unwrap_or_default();
                for word in words {
                    self.changed.insert((record.tenant.clone(), client.to_owned(), word.to_owned()));
                }
            }
            _ => {}
        }
    }

    fn grant(&mut self, directory: &Directory, tenant: String, record: &Record) {
        let Event::Grant { policy, app_roles, audience, variables, asked, repeat: false, .. } = &record.event
        else {
            return;
        };
        let (Some(name), asked) = (&record.role, asked.as_deref()) else { return };
        let what = (tenant.clone(), audience.clone().unwrap_or_else(|| name.clone()));
        if asked.is_some_and(|asked| asked.exchange) {
            self.exchanged.insert(what.clone());
        }
        if audience.is_some() {
            // The role that a record of a token names is one of several that it is of.
            let client = record.client.unwrap_or_default();
            let all = app_roles.iter().map(|app_role| (client, app_role.clone()));
            self.app_roles.entry(what).or_default().extend(all);
        }
        self.granted.extend(record.client.map(|client| (client, name.clone())));
        self.roles.insert((tenant.clone(), name.clone()));
        let role = directory.role(&tenant, name);
        if let Some((template, issued)) = role.and_then(|role| role.policy.as_ref()).zip(policy.as_ref()) {
            self.statements
                .entry((tenant, name.clone()))
                .or_default()
                .take(template, variables, issued, asked);
        }
    }

    /// Whether there is a record of this client.
    pub(super) fn knows(&self, client: &Client) -> bool {
        self.clients.contains(&client.guid)
    }

    /// Whether a role was handed out.
    pub(super) fn role(&self, role: &Role) -> bool {
        self.roles.contains(&(role.tenant.clone(), role.name.clone()))
            || role.app_roles.iter().any(|app_role| self.app_role(role, app_role))
    }

    /// Whether an app role of a role was handed out.
    pub(super) fn app_role(&self, role: &Role, app_role: &str) -> bool {
        self.tokens(role).any(|(_, given)| given == app_role)
    }

    fn tokens(&self, role: &Role) -> impl Iterator<Item = &(Uuid, String)> {
        let what = role.audience.clone().map(|audience| (role.tenant.clone(), audience));
        what.and_then(|what| self.app_roles.get(&what)).into_iter().flatten()
    }

    /// Whether a client got the role by its grant.
    pub(super) fn grant_of(&self, client: &Client, role: &Role) -> bool {
        self.granted.contains(&(client.guid, role.name.clone()))
            || self.tokens(role).any(|(guid, given)| *guid == client.guid && role.app_roles.contains(given))
    }

    /// Whether somebody got the role in exchange for a token, of which this client may have been the first holder.
    pub(super) fn exchanged(&self, role: &Role) -> bool {
        let name = role.audience.as_ref().unwrap_or(&role.name);
        self.exchanged.contains(&(role.tenant.clone(), name.clone()))
    }

    /// Whether a grant was made or changed within the time.
    pub(super) fn is_new(&self, client: &Client, grant: &Grant) -> bool {
        self.changed.contains(&(Some(client.tenant.clone()), client.name.clone(), grant.role.clone()))
    }

    /// How often a role was asked for and refused.
    pub(super) fn refused(&self, role: &Role) -> u64 {
        self.refused.get(&(role.tenant.clone(), role.name.clone())).copied().unwrap_or_default()
    }
}

/// The role that an ask means, where it means one.
fn role_asked(directory: &Directory, tenant: &str, client: Option<&Client>, asked: &Asked) -> Option<String> {
    match &asked.role {
        AskedRole::Named(name) => Some(name.clone()),
        AskedRole::Default => client?.default_role.clone(),
        AskedRole::Endpoint(path) => directory.visited(path)?.role.clone(),
        AskedRole::Product { path, product_code, scene_code, usage_scene } => {
            let product = Product {
                product_code: product_code.clone(),
                scene_code: scene_code.clone(),
                usage_scene: usage_scene.clone(),
            };
            directory
                .endpoints(DialectName::AlibabaTop, path)
                .filter(|endpoint| endpoint.tenant == tenant)
                .flat_map(|endpoint| &endpoint.routes)
                .find(|route| route.product == product)
                .map(|route| route.role.clone())
        }
        AskedRole::Resource(_) => None,
    }
}

#[cfg(test)]
mod tests;
