//! Who can get a role.

use daypass_core::client::{Client, Key, KeyKind};
use daypass_core::clock::Timestamp;
use daypass_core::directory::Plan;
use daypass_core::endpoint::{CallerRule, Endpoint};
use daypass_core::policy::idle;
use daypass_core::role::Role;

/// Whether the configuration alone lets somebody have the role: visitors of an endpoint, or subjects of an outside
/// provider. Everything else takes a client with a grant, the way of a ticket and TOP's table of products included.
pub(super) fn without_clients(plan: &Plan, role: &Role) -> bool {
    let open = |rule: &CallerRule| !matches!(rule, CallerRule::Ticket(_));
    !role.trusts.is_empty() || visited(plan, role).any(|endpoint| endpoint.callers.iter().any(open))
}

/// Whether a client of the store can get it: one that is enabled, can prove itself now or later, and has a grant that gives
/// something.
pub(super) fn by_clients(plan: &Plan, role: &Role, clients: &[Client], keys: &[Key], now: Timestamp) -> bool {
    let proves = |client: &Client| {
        let mut own = keys.iter().filter(|key| key.client == client.guid && key.lasts(now));
        // A backend's ticket key opens nothing but the endpoints that take tickets.
        own.any(|key| key.kind != KeyKind::Ticket || takes_tickets(plan, role))
    };
    let granted = |client: &Client| {
        client.grants.iter().any(|grant| grant.role == role.name)
            && !idle(plan, client).iter().any(|idle| idle.role == role.name)
    };
    let mut own = clients.iter().filter(|client| client.enabled && client.tenant == role.tenant);
    own.any(|client| granted(client) && proves(client))
}

fn takes_tickets(plan: &Plan, role: &Role) -> bool {
    visited(plan, role).any(|endpoint| endpoint.ticket().is_some())
}

fn visited<'a>(plan: &'a Plan, role: &'a Role) -> impl Iterator<Item = &'a Endpoint> {
    let endpoints = plan.endpoints.iter().map(|endpoint| &**endpoint);
    endpoints.filter(|endpoint| endpoint.tenant == role.tenant && endpoint.role.as_ref() == Some(&role.name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use daypass_core::clock::after;
    use daypass_core::endpoint::TicketRule;
    use daypass_core::testing::{START, World};
    use std::sync::Arc;

    fn role(world: &World, name: &str) -> Arc<Role> {
        world.plan.roles.iter().find(|role| role.name == name).unwrap().clone()
    }

    fn by(world: &World, name: &str) -> bool {
        let clients = std::slice::from_ref(&world.client);
        by_clients(&world.plan, &role(world, name), clients, &world.keys, START)
    }

    /// Gives visitors' endpoints one way to be known.
    fn known_by(world: &mut World, rule: &CallerRule) {
        for endpoint in world.plan.endpoints.iter_mut().filter(|endpoint| endpoint.role.is_some()) {
            let changed = Endpoint { callers: vec![rule.clone()], ..Endpoint::clone(endpoint) };
            *endpoint = Arc::new(changed);
        }
    }

    const TICKETS: CallerRule = CallerRule::Ticket(TicketRule { refreshes: 0, refresh_for: 0 });

    #[test]
    fn visitors_reach_the_role_of_their_endpoint_and_tickets_take_a_client() {
        let mut world = World::new();
        assert!(without_clients(&world.plan, &role(&world, "soe")));
        for name in ["store-upload", "devcenter"] {
            assert!(!without_clients(&world.plan, &role(&world, name)), "{name}: TOP's table needs a client");
        }
        let elsewhere = Role { tenant: "other".into(), ..Role::clone(&role(&world, "soe")) };
        assert!(!without_clients(&world.plan, &elsewhere));
        known_by(&mut world, &TICKETS);
        assert!(!without_clients(&world.plan, &role(&world, "soe")));
    }

    #[test]
    fn a_client_needs_a_grant_a_key_and_to_be_enabled() {
        let mut world = World::new();
        assert!(["soe", "store-upload", "devcenter"].iter().all(|name| by(&world, name)));
        world.client.grants[1].bind.clear();
        assert!(!by(&world, "store-upload"), "no value can be asked for");
        world.client.grants.retain(|grant| grant.role != "soe");
        assert!(!by(&world, "soe"));
        for key in &mut world.keys {
            key.expires = Some(START);
        }
        assert!(!by(&world, "devcenter"));
        world.keys[2].expires = Some(after(START, 1));
        assert!(by(&world, "devcenter"));
        world.client.enabled = false;
        assert!(!by(&world, "devcenter"));
    }

    #[test]
    fn a_ticket_key_opens_the_endpoints_that_take_tickets() {
        let mut world = World::new();
        for key in &mut world.keys {
            key.kind = KeyKind::Ticket;
        }
        assert!(!by(&world, "soe") && !by(&world, "devcenter"));
        known_by(&mut world, &TICKETS);
        assert!(by(&world, "soe") && !by(&world, "devcenter"));
    }
}
