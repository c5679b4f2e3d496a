//! What a caller gets of what it asked for.

use super::{Policy, Undecided, covers, narrow};
use crate::caller::{Caller, Proof};
use crate::client::{Grant, Tenant};
use crate::dialect::{Form, Issue, RoleChoice};
use crate::directory::Directory;
use crate::endpoint::{DialectName, Product};
use crate::refusal::{Reason, Refusal};
use crate::role::{Algorithm, Role};
use std::collections::BTreeMap;
use std::sync::Arc;
use uuid::Uuid;

/// What was authorized. Only [`authorize`] makes one, and an issuer makes a credential of nothing else.
///
/// ```compile_fail
/// use daypass_core::policy::Authorized;
/// fn forge(from: Authorized) -> Authorized {
///     Authorized { lifetime: u32::MAX, ..from }
/// }
/// ```
pub struct Authorized {
    tenant: Arc<Tenant>,
    client: Option<(Uuid, Uuid)>,
    key: Option<String>,
    endpoint: String,
    role: Arc<Role>,
    app_roles: Vec<String>,
    form: Form,
    policy: Option<Policy>,
    lifetime: u32,
    variables: BTreeMap<String, String>,
    session: Option<String>,
    product: Option<Product>,
    correlation: Option<String>,
}

impl Authorized {
    /// The tenant.
    pub fn tenant(&self) -> &Tenant {
        &self.tenant
    }
    /// The client's guid, where one is known.
    pub fn client(&self) -> Option<Uuid> {
        self.client.map(|(guid, _)| guid)
    }
    /// The client's object id (Entra's service principal), where one is known.
    pub fn object(&self) -> Option<Uuid> {
        self.client.map(|(_, object)| object)
    }
    /// The key the caller proved itself with, by id.
    pub fn key(&self) -> Option<&str> {
        self.key.as_deref()
    }
    /// The path the request came to.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }
    /// The role's name.
    pub fn role(&self) -> &str {
        &self.role.name
    }
    /// The role's issuer, by name.
    pub fn issuer(&self) -> &str {
        &self.role.issuer
    }
    /// The OAuth resource.
    pub fn audience(&self) -> Option<&str> {
        self.role.audience.as_deref()
    }
    /// The OAuth app roles.
    pub fn app_roles(&self) -> &[String] {
        &self.app_roles
    }
    /// What an access token is signed with.
    pub fn algorithm(&self) -> Algorithm {
        self.role.algorithm
    }
    /// What form the credential must have.
    pub fn form(&self) -> Form {
        self.form
    }
    /// What the credential may be used for: ask ∩ role ∩ client's boundary ∩ tenant's boundary.
    pub fn policy(&self) -> Option<&Policy> {
        self.policy.as_ref()
    }
    /// Seconds of life, within the role's bounds.
    pub fn lifetime(&self) -> u32 {
        self.lifetime
    }
    /// The variables the policy was bound to.
    pub fn variables(&self) -> &BTreeMap<String, String> {
        &self.variables
    }
    /// The session name.
    pub fn session(&self) -> Option<&str> {
        self.session.as_deref()
    }
    /// The role's fixed answer fields.
    pub fn answer(&self) -> &BTreeMap<String, String> {
        &self.role.answer
    }
    /// TOP's words for what was asked.
    pub fn product(&self) -> Option<&Product> {
        self.product.as_ref()
    }
    /// The caller's own id of the request.
    pub fn correlation(&self) -> Option<&str> {
        self.correlation.as_deref()
    }
}

/// Decides. Every path to an [`Authorized`] goes through here.
pub fn authorize(
    directory: &Directory,
    caller: &Caller,
    path: &str,
    issue: &Issue,
) -> Result<Authorized, Refusal> {
    if issue.permanent_only && matches!(caller.proof(), Proof::Temporary { .. }) {
        return Err(Refusal::new(
            Reason::TemporaryNotAllowed,
            "a temporary credential cannot be used to get another one; ask with the client's own key",
        ));
    }
    let Chosen { role, app_roles, product } = choose(directory, caller, &issue.role)?;
    check_variables(caller, &role, &issue.variables)?;
    Ok(Authorized {
        policy: effective_policy(caller, &role, issue)?,
        lifetime: lifetime(&role, issue.lifetime)?,
        tenant: caller.shared_tenant(),
        client: caller.client().map(|client| (client.guid, client.object)),
        key: caller.key().map(str::to_owned),
        endpoint: path.to_owned(),
        app_roles,
        form: issue.form,
        variables: issue.variables.clone(),
        session: issue.session.clone(),
        product,
        correlation: issue.correlation.clone(),
        role,
    })
}

struct Chosen {
    role: Arc<Role>,
    app_roles: Vec<String>,
    product: Option<Product>,
}

/// Finds the role and makes sure that the caller may have it. A role that does not exist and one that was not
/// granted get the same answer.
fn choose(directory: &Directory, caller: &Caller, choice: &RoleChoice) -> Result<Chosen, Refusal> {
    let tenant = &caller.tenant().name;
    let granted = |name: &str| {
        let role = directory.role(tenant, name).filter(|role| grants(caller, &role.name).next().is_some());
        role.cloned().ok_or_else(|| {
            Refusal::new(Reason::RoleNotGranted, "there is no such role, or this client has no grant on it")
        })
    };
    let plain = |role: Arc<Role>| Chosen { app_roles: role.app_roles.clone(), role, product: None };
    match choice {
        RoleChoice::Endpoint => match caller.proof() {
            Proof::Anonymous { endpoint } => endpoint
                .role
                .as_deref()
                .and_then(|name| directory.role(tenant, name))
                .cloned()
                .map(plain)
                .ok_or_else(|| Refusal::internal("the endpoint names no role")),
            _ => Err(Refusal::internal("only an endpoint without known callers chooses their role")),
        },
        RoleChoice::Default => {
            let name =
                caller.client().and_then(|client| client.default_role.as_deref()).ok_or_else(|| {
                    Refusal::new(
                        Reason::NoRole,
                        "this client has no default role; its operator can give it one",
                    )
                })?;
            granted(name).map(plain)
        }
        RoleChoice::Product { path, product } => {
            let route = directory
                .endpoints(DialectName::AlibabaTop, path)
                .filter(|endpoint| &endpoint.tenant == tenant)
                .flat_map(|endpoint| &endpoint.routes)
                .find(|route| &route.product == product)
                .ok_or_else(|| {
                    Refusal::new(
                        Reason::RoleNotGranted,
                        "nothing is handed out for this product_code, scene_code and usage_scene",
                    )
                })?;
            Ok(Chosen { product: Some(product.clone()), ..plain(granted(&route.role)?) })
        }
        RoleChoice::Resource(audience) => {
            let mut roles = directory
                .roles_of(tenant, audience)
                .filter(|role| grants(caller, &role.name).next().is_some());
            let role = roles.next().cloned().ok_or_else(|| {
                Refusal::new(
                    Reason::UnknownResource,
                    "the resource of the scope does not exist here, or this client has no role on it",
                )
            })?;
            let mut app_roles = role.app_roles.clone();
            app_roles.extend(roles.flat_map(|role| role.app_roles.iter().cloned()));
            app_roles.sort_unstable();
            app_roles.dedup();
            Ok(Chosen { role, app_roles, product: None })
        }
    }
}

fn grants<'a>(caller: &'a Caller, role: &'a str) -> impl Iterator<Item = &'a Grant> {
    caller.client().into_iter().flat_map(|client| &client.grants).filter(move |grant| grant.role == role)
}

/// Each value must be of its type and, all together, be allowed by one grant of the client. A value of another
/// client is refused exactly like one that does not exist.
fn check_variables(caller: &Caller, role: &Role, values: &BTreeMap<String, String>) -> Result<(), Refusal> {
    if let Some(name) = values.keys().find(|name| !role.variables.contains_key(*name)) {
        return Err(
            Refusal::new(Reason::VariableRefused, "the role has no such variable").parameter(name.clone())
        );
    }
    for (name, kind) in &role.variables {
        match values.get(name) {
            Some(value) if kind.admits(value) => {}
            Some(_) => {
                let detail = format!("{name} must be {}", kind.expected());
                return Err(Refusal::new(Reason::VariableRefused, detail).parameter(name.clone()));
            }
            None => return Err(Refusal::missing(name.clone())),
        }
    }
    if role.variables.is_empty() {
        return Ok(());
    }
    let allowed = |grant: &Grant, name: &str, value: &str| {
        grant.bind.get(name).is_some_and(|list| list.iter().any(|one| one == value || one == "*"))
    };
    if grants(caller, &role.name).any(|grant| values.iter().all(|(name, value)| allowed(grant, name, value)))
    {
        return Ok(());
    }
    // Name the variable that no grant allows; where each alone is allowed somewhere, it is their combination.
    let wrong =
        values.iter().find(|(name, value)| !grants(caller, &role.name).any(|g| allowed(g, name, value)));
    let refusal =
        Refusal::new(Reason::VariableRefused, "there is no such value, or this client may not use it");
    Err(match wrong.or_else(|| values.iter().next()) {
        Some((name, _)) => refusal.parameter(name.clone()),
        None => refusal,
    })
}

/// Ask ∩ role ∩ client's boundary ∩ tenant's boundary. Boundaries cut silently: they are the operator's. An ask
/// that goes beyond what is left is refused, so that its sender learns at once and not from a 403 later.
fn effective_policy(caller: &Caller, role: &Role, issue: &Issue) -> Result<Option<Policy>, Refusal> {
    let Some(template) = &role.policy else {
        return match issue.policy {
            None => Ok(None),
            Some(_) => Err(Refusal::new(Reason::PolicyInvalid, "credentials of this role carry no policy")),
        };
    };
    let undecided = |fault: Undecided| {
        Refusal::new(Reason::PolicyInvalid, format!("the policies cannot be put together: {fault}"))
    };
    let mut policy = template.bind(&role.variables, &issue.variables).map_err(|bad| {
        Refusal::new(Reason::VariableRefused, format!("{} must be {}", bad.name, bad.expected))
            .parameter(bad.name)
    })?;
    let boundaries =
        [caller.client().and_then(|client| client.boundary.as_ref()), caller.tenant().boundary.as_ref()];
    for boundary in boundaries.into_iter().flatten() {
        policy = narrow(&policy, boundary).map_err(undecided)?;
    }
    if let Some(asked) = &issue.policy {
        covers(&policy, asked).map_err(|beyond| {
            Refusal::new(
                Reason::PolicyTooWide,
                format!(
                    "statement {} asks for {} on {}, which the role {} does not give",
                    beyond.statement + 1,
                    beyond.action,
                    beyond.resource,
                    role.name
                ),
            )
            .parameter("Policy")
        })?;
        policy = narrow(&policy, asked).map_err(undecided)?;
    }
    Ok(Some(policy))
}

fn lifetime(role: &Role, asked: Option<u32>) -> Result<u32, Refusal> {
    match asked {
        None => Ok(role.lifetime.default),
        Some(0) => Err(Refusal::new(Reason::InvalidParameter, "a lifetime is at least one second")),
        Some(seconds) if seconds > role.lifetime.max => Err(Refusal::new(
            Reason::LifetimeTooLong,
            format!(
                "the role {} gives at most {} seconds, and {seconds} were asked for",
                role.name, role.lifetime.max
            ),
        )),
        Some(seconds) => Ok(seconds),
    }
}
