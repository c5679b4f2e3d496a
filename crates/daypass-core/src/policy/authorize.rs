//! What a caller gets of what it asked for.

use super::{Policy, covers, narrow};
use crate::caller::{Caller, Outside, Proof};
use crate::client::{Grant, Tenant};
use crate::dialect::{Form, Issue, RoleChoice, TicketAsk};
use crate::directory::Directory;
use crate::endpoint::{DialectName, Endpoint, Product};
use crate::identity::Subject;
use crate::refusal::{Reason, Refusal};
use crate::role::{Algorithm, Lifetime, Role, Trust};
use crate::secret::same;
use crate::triple::SessionKind;
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
    policy: Option<Arc<Policy>>,
    lifetime: u32,
    variables: BTreeMap<String, String>,
    kind: SessionKind,
    via: Option<String>,
    subject: Option<String>,
    session: Option<String>,
    tags: BTreeMap<String, String>,
    source_identity: Option<String>,
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
        self.policy.as_deref()
    }
    /// The same, shared: it goes into the credential, its record and the answer without being copied.
    pub fn shared_policy(&self) -> Option<Arc<Policy>> {
        self.policy.clone()
    }
    /// Seconds of life, within the role's bounds.
    pub fn lifetime(&self) -> u32 {
        self.lifetime
    }
    /// The variables the policy was bound to.
    pub fn variables(&self) -> &BTreeMap<String, String> {
        &self.variables
    }
    /// How its session comes about.
    pub fn kind(&self) -> SessionKind {
        self.kind
    }
    /// By what the caller is known, where it is by no client's key.
    pub fn via(&self) -> Option<&str> {
        self.via.as_deref()
    }
    /// Whom someone trusted says it is for.
    pub fn subject(&self) -> Option<&str> {
        self.subject.as_deref()
    }
    /// The session's tags.
    pub fn tags(&self) -> &BTreeMap<String, String> {
        &self.tags
    }
    /// Who stands behind the session, as the client says.
    pub fn source_identity(&self) -> Option<&str> {
        self.source_identity.as_deref()
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
    let Chosen { role, app_roles, product, bounds } = choose(directory, caller, &issue.role)?;
    check_external_id(caller, &role, issue)?;
    let variables = variables(caller, &role, issue);
    check_variables(caller, &role, &variables)?;
    Ok(Authorized {
        policy: effective_policy(caller, &role, issue, &variables)?.map(Arc::new),
        lifetime: lifetime(&role.name, bounds, issue.lifetime)?,
        tenant: caller.shared_tenant(),
        client: caller.client().map(|client| (client.guid, client.object)),
        key: caller.key().map(str::to_owned),
        endpoint: path.to_owned(),
        app_roles,
        form: issue.form,
        variables,
        kind: issue.kind,
        via: caller.via(),
        subject: caller.subject().map(|subject| subject.name.clone()),
        session: issue.session.clone(),
        tags: issue.tags.clone(),
        source_identity: issue.source_identity.clone(),
        product,
        correlation: issue.correlation.clone(),
        role,
    })
}

struct Chosen {
    role: Arc<Role>,
    app_roles: Vec<String>,
    product: Option<Product>,
    bounds: Lifetime,
}

impl Chosen {
    fn one(role: Arc<Role>) -> Self {
        Self { app_roles: role.app_roles.clone(), bounds: role.lifetime, role, product: None }
    }
}

/// Finds the role and makes sure that the caller may have it. A role that does not exist and one that was not
/// granted get the same answer.
fn choose(directory: &Directory, caller: &Caller, choice: &RoleChoice) -> Result<Chosen, Refusal> {
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

fn granted(directory: &Directory, caller: &Caller, name: &str) -> Option<Arc<Role>> {
    let role = directory.role(&caller.tenant().name, name)?;
    grants(caller, &role.name).next().map(|_| role.clone())
}

fn not_granted() -> Refusal {
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

/// Decides whether a client may make a ticket: it must be allowed what the ticket will fetch. Gives the endpoint.
pub(crate) fn authorize_ticket(
    directory: &Directory,
    caller: &Caller,
    ask: &TicketAsk,
) -> Result<Arc<Endpoint>, Refusal> {
    let endpoint = directory
        .endpoints(DialectName::TencentGetAuthorization, &ask.endpoint)
        .find(|endpoint| endpoint.tenant == caller.tenant().name && endpoint.ticket().is_some())
        .ok_or_else(not_granted)?;
    let role =
        endpoint.role.as_deref().and_then(|name| granted(directory, caller, name)).ok_or_else(not_granted)?;
    let values = of_subject(&role, &ask.subject);
    check_variables(caller, &role, &values)?;
    Ok(endpoint.clone())
}

/// What fills the variables of the role: the subject, where someone trusted has named one, or else the protocol.
fn variables(caller: &Caller, role: &Role, issue: &Issue) -> BTreeMap<String, String> {
    match caller.subject() {
        Some(subject) => of_subject(role, subject),
        None => issue.variables.clone(),
    }
}

fn of_subject(role: &Role, subject: &Subject) -> BTreeMap<String, String> {
    let value = |name: &String| Some((name.clone(), subject.variable(name)?.to_owned()));
    role.variables.keys().filter_map(value).collect()
}

/// The role's `external_id` holds for every client that asks for it, in whatever way.
fn check_external_id(caller: &Caller, role: &Role, issue: &Issue) -> Result<(), Refusal> {
    let sent = issue.external_id.as_deref().unwrap_or_default();
    match &role.external_id {
        Some(wanted) if caller.client().is_some() && !same(wanted.as_bytes(), sent.as_bytes()) => {
            let detail =
                "this role is assumed with an ExternalId that its operator has given out, and this is not it";
            Err(Refusal::new(Reason::ExternalIdMismatch, detail).parameter("ExternalId"))
        }
        _ => Ok(()),
    }
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
    // Where no client asks, someone whom the operator trusts has said who does, and nobody else has to agree.
    if role.variables.is_empty() || caller.client().is_none() {
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
fn effective_policy(
    caller: &Caller,
    role: &Role,
    issue: &Issue,
    variables: &BTreeMap<String, String>,
) -> Result<Option<Policy>, Refusal> {
    let Some(template) = &role.policy else {
        return without_policy(issue);
    };
    let mut policy = template.bind(variables).map_err(|bad| {
        Refusal::new(Reason::VariableRefused, format!("{} must be {}", bad.name, bad.expected))
            .parameter(bad.name)
    })?;
    let boundaries =
        [caller.client().and_then(|client| client.boundary.as_ref()), caller.tenant().boundary.as_ref()];
    for boundary in boundaries.into_iter().flatten() {
        // Both sides are the operator's; the caller can do nothing about it and need not see them.
        policy = narrow(&policy, boundary).map_err(|fault| {
            Refusal::internal(format!("a boundary cannot be put on the role `{}`: {fault}", role.name))
        })?;
    }
    if policy.allows_nothing() {
        return Err(Refusal::new(
            Reason::RoleNotGranted,
            "the boundaries of this client and its tenant leave nothing of the role",
        ));
    }
    match &issue.policy {
        None => Ok(Some(policy)),
        Some(asked) => narrow_to_ask(&policy, asked, &role.name).map(Some),
    }
}

/// A role without a policy gives access tokens. A signing credential without a policy would be one without bounds.
fn without_policy(issue: &Issue) -> Result<Option<Policy>, Refusal> {
    if matches!(issue.form, Form::Triple(_)) {
        return Err(Refusal::new(
            Reason::RoleNotGranted,
            "this role gives access tokens and no signing credentials",
        ));
    }
    match issue.policy {
        None => Ok(None),
        Some(_) => Err(Refusal::new(Reason::PolicyInvalid, "credentials of this role carry no policy")
            .parameter("Policy")),
    }
}

fn narrow_to_ask(policy: &Policy, asked: &Policy, role: &str) -> Result<Policy, Refusal> {
    let invalid = |detail: String| Refusal::new(Reason::PolicyInvalid, detail).parameter("Policy");
    covers(policy, asked).map_err(|beyond| {
        Refusal::new(
            Reason::PolicyTooWide,
            format!(
                "statement {} asks for {} on {}, which the role {role} does not give",
                beyond.statement + 1,
                shown(&beyond.action),
                shown(&beyond.resource),
            ),
        )
        .parameter("Policy")
    })?;
    let narrowed = narrow(policy, asked)
        .map_err(|fault| invalid(format!("the policy cannot be put together with the role's: {fault}")))?;
    if narrowed.allows_nothing() {
        return Err(invalid(
            "the policy allows nothing; leave it out or add an allowing statement".to_owned(),
        ));
    }
    Ok(narrowed)
}

/// The beginning of a caller's text: refusals are recorded, and a record must not grow with what was sent.
fn shown(text: &str) -> String {
    const SHOWN: usize = 128;
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}...", text.split_at(end).0),
        None => text.to_owned(),
    }
}

fn lifetime(role: &str, bounds: Lifetime, asked: Option<u32>) -> Result<u32, Refusal> {
    match asked {
        None => Ok(bounds.default),
        Some(0) => Err(Refusal::new(Reason::InvalidParameter, "a lifetime is at least one second")),
        Some(seconds) if seconds > bounds.max => Err(Refusal::new(
            Reason::LifetimeTooLong,
            format!("the role {role} gives at most {} seconds, and {seconds} were asked for", bounds.max),
        )),
        Some(seconds) => Ok(seconds),
    }
}

#[cfg(test)]
mod tests;
