//! Which role a caller gets.

use super::claims::{Values, check_grants};
use crate::caller::{Caller, Outside, Proof};
use crate::client::Grant;
use crate::dialect::{Issue, RoleChoice};
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
    /// The name of an OAuth resource that was asked for, and what its tokens say of the client.
    pub(super) resource: Option<(String, Values)>,
}

impl Chosen {
    fn one(role: Arc<Role>) -> Self {
        Self { app_roles: role.app_roles.clone(), bounds: role.lifetime, role, product: None, resource: None }
    }
}

/// Finds the role and makes sure that the caller may have it. A role that does not exist and one that was not
/// granted get the same answer.
pub(super) fn choose(directory: &Directory, caller: &Caller, issue: &Issue) -> Result<Chosen, Refusal> {
    match &issue.role {
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
        RoleChoice::Resource(name) => of_resource(directory, caller, name, issue.app_roles.as_deref()),
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

/// The app roles that the client has on an OAuth resource, in one token: all, or only those that are wanted. It lives no
/// longer than any role that it has them by, and says what the grants on those bind.
fn of_resource(
    directory: &Directory,
    caller: &Caller,
    name: &str,
    wanted: Option<&[String]>,
) -> Result<Chosen, Refusal> {
    let is_wanted = |app_role: &String| wanted.is_none_or(|wanted| wanted.contains(app_role));
    let granted: Vec<_> = directory
        .roles_of(&caller.tenant().name, name)
        .filter(|role| grants(caller, &role.name).next().is_some())
        .collect();
    let roles: Vec<_> =
        granted.iter().filter(|role| wanted.is_none() || role.app_roles.iter().any(is_wanted)).collect();
    let Some(first) = roles.first() else {
        return Err(if granted.is_empty() { unknown_resource() } else { no_such_app_role() });
    };
    let mut chosen = Chosen { app_roles: Vec::new(), ..Chosen::one(Arc::clone(first)) };
    for role in &roles {
        chosen.app_roles.extend(role.app_roles.iter().filter(|app_role| is_wanted(app_role)).cloned());
        let bounds = capped(role.lifetime, longest(grants(caller, &role.name)));
        chosen.bounds.default = chosen.bounds.default.min(bounds.default);
        chosen.bounds.max = chosen.bounds.max.min(bounds.max);
    }
    chosen.bounds.default = chosen.bounds.default.min(chosen.bounds.max);
    chosen.app_roles.sort_unstable();
    chosen.app_roles.dedup();
    if wanted.is_some_and(|wanted| !wanted.iter().all(|one| chosen.app_roles.contains(one))) {
        return Err(no_such_app_role());
    }
    // As it is configured and not as it was spelled: a resource server compares `aud` with what it was told.
    let name = first.called(name).unwrap_or_default().to_owned();
    let values = check_grants(first, roles.iter().flat_map(|role| grants(caller, &role.name)))?;
    Ok(Chosen { resource: Some((name, values)), ..chosen })
}

fn unknown_resource() -> Refusal {
    Refusal::new(
        Reason::UnknownResource,
        "the resource of the scope does not exist here, or this client has no role on it",
    )
}

fn no_such_app_role() -> Refusal {
    let detail = "the resource has no such role, or this client has no grant on it; ask for {resource}/.default, which gives all that it has";
    Refusal::new(Reason::InvalidScope, detail).parameter("scope")
}

/// The longest that any one of these grants lets a credential live; none where one of them leaves that to the role.
pub(super) fn longest<'a>(grants: impl Iterator<Item = &'a Grant>) -> Option<u32> {
    let mut longest = 0;
    for grant in grants {
        longest = longest.max(grant.lifetime?);
    }
    Some(longest)
}

/// A role's bounds under the cap of a grant.
pub(super) fn capped(bounds: Lifetime, cap: Option<u32>) -> Lifetime {
    let cap = cap.unwrap_or(u32::MAX);
    Lifetime { default: bounds.default.min(cap), max: bounds.max.min(cap) }
}

pub(super) fn grants<'a>(caller: &'a Caller, role: &'a str) -> impl Iterator<Item = &'a Grant> {
    caller.client().into_iter().flat_map(|client| &client.grants).filter(move |grant| grant.role == role)
}
