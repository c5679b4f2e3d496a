//! Which role a caller gets.

use crate::caller::{Caller, Outside, Proof};
use crate::client::Grant;
use crate::dialect::RoleChoice;
use crate::directory::Directory;
use crate::endpoint::{DialectName, Product};
use crate::refusal::{Reason, Refusal};
use crate::role::{Lifetime, Role, Trust};
use std::sync::Arc;

pub(super) struct Chosen {
    pub(super) role: Arc<Role>,
    pub(super) app_roles: Vec<String>,
    pub(super) product: Option<Product>,
    pub(super) bounds: Lifetime,
}

impl Chosen {
    fn one(role: Arc<Role>) -> Self {
        Self { app_roles: role.app_roles.clone(), bounds: role.lifetime, role, product: None }
    }
}

/// Finds the role and makes sure that the caller may have it. A role that does not exist and one that was not
/// granted get the same answer.
pub(super) fn choose(directory: &Directory, caller: &Caller, choice: &RoleChoice) -> Result<Chosen, Refusal> {
    match choice {
        RoleChoice::Endpoint => of_endpoint(directory, caller),
        RoleChoice::Default => {
            let name =
                caller.client().and_then(|client| client.default_role.as_deref()).ok_or_else(|| {
                    Refusal::new(
                        Reason::NoRole,
                        "this client has no default role; its operator can give it one",
                    )
                })?;
            let role = granted(directory, caller, name).ok_or_else(not_granted)?;
            Ok(Chosen::one(role))
        }
        RoleChoice::Named(name) => named(directory, caller, name).map(Chosen::one),
        RoleChoice::Product { path, product } => of_product(directory, caller, path, product),
        RoleChoice::Resource(audience) => of_resource(directory, caller, audience),
    }
}

pub(super) fn granted(directory: &Directory, caller: &Caller, name: &str) -> Option<Arc<Role>> {
    let role = directory.role(&caller.tenant().name, name)?;
    grants(caller, &role.name).next().map(|_| role.clone())
}

pub(super) fn not_granted() -> Refusal {
    Refusal::new(Reason::RoleNotGranted, "there is no such role, or this client has no grant on it")
}

/// A role that the caller names itself: a client needs a grant on it, an outside subject the role's trust.
fn named(directory: &Directory, caller: &Caller, name: &str) -> Result<Arc<Role>, Refusal> {
    let Proof::Outside(outside) = caller.proof() else {
        return granted(directory, caller, name).ok_or_else(not_granted);
    };
    let trusts = |role: &&Arc<Role>| role.trusts.iter().any(|trust| trust.admits(outside));
    directory.role(&caller.tenant().name, name).filter(trusts).cloned().ok_or_else(|| {
        Refusal::new(
            Reason::NoTrust,
            "there is no such role, or it does not trust this subject of the provider; its operator can add one to the role's `trust`",
        )
    })
}

impl Trust {
    /// Whether it speaks of this subject.
    pub(crate) fn admits(&self, outside: &Outside) -> bool {
        self.provider == outside.provider.name
            && self.subjects.iter().any(|pattern| pattern.matches(&outside.subject.name))
    }
}

/// The role of an endpoint. Whoever made a ticket gives away rights of its own, so it needs a grant as well.
fn of_endpoint(directory: &Directory, caller: &Caller) -> Result<Chosen, Refusal> {
    let Proof::Visitor(visitor) = caller.proof() else {
        return Err(Refusal::internal(
            "only an endpoint without signatures chooses the role of its visitors",
        ));
    };
    let name = visitor.endpoint.role.as_deref();
    let role = name
        .and_then(|name| directory.role(&caller.tenant().name, name))
        .ok_or_else(|| Refusal::internal("the endpoint names no role"))?;
    if visitor.ticket.is_some() && grants(caller, &role.name).next().is_none() {
        return Err(Refusal::new(
            Reason::RoleNotGranted,
            "the client that made this ticket has no grant on the role of the endpoint",
        ));
    }
    Ok(Chosen::one(role.clone()))
}

fn of_product(
    directory: &Directory,
    caller: &Caller,
    path: &str,
    product: &Product,
) -> Result<Chosen, Refusal> {
    let role = directory
        .endpoints(DialectName::AlibabaTop, path)
        .filter(|endpoint| endpoint.tenant == caller.tenant().name)
        .flat_map(|endpoint| &endpoint.routes)
        .find(|route| &route.product == product)
        .and_then(|route| granted(directory, caller, &route.role))
        .ok_or_else(|| {
            Refusal::new(
                Reason::RoleNotGranted,
                "nothing is handed out for this product_code, scene_code and usage_scene, or this client has no grant on it",
            )
        })?;
    Ok(Chosen { product: Some(product.clone()), ..Chosen::one(role) })
}

/// All app roles that the client has on an OAuth resource, in one token. It lives no longer than any of its roles
/// allows.
fn of_resource(directory: &Directory, caller: &Caller, audience: &str) -> Result<Chosen, Refusal> {
    let mut roles = directory
        .roles_of(&caller.tenant().name, audience)
        .filter(|role| grants(caller, &role.name).next().is_some());
    let first = roles.next().cloned().ok_or_else(|| {
        Refusal::new(
            Reason::UnknownResource,
            "the resource of the scope does not exist here, or this client has no role on it",
        )
    })?;
    let mut chosen = Chosen::one(first);
    for role in roles {
        chosen.app_roles.extend(role.app_roles.iter().cloned());
        chosen.bounds.default = chosen.bounds.default.min(role.lifetime.default);
        chosen.bounds.max = chosen.bounds.max.min(role.lifetime.max);
    }
    chosen.bounds.default = chosen.bounds.default.min(chosen.bounds.max);
    chosen.app_roles.sort_unstable();
    chosen.app_roles.dedup();
    Ok(chosen)
}

pub(super) fn grants<'a>(caller: &'a Caller, role: &'a str) -> impl Iterator<Item = &'a Grant> {
    caller.client().into_iter().flat_map(|client| &client.grants).filter(move |grant| grant.role == role)
}
