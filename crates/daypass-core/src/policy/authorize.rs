//! What a caller gets of what it asked for.

mod beyond;
mod chain;
mod choose;
pub mod claims;
mod cut;
mod exchange;
mod idle;
#[cfg(test)]
mod tests;
mod variables;
mod warn;

use super::{ClaimValue, Policy};
use crate::caller::{Caller, Confirmation, How, Proof};
use crate::client::{Client, Tenant};
use crate::dialect::{Form, Issue, TicketAsk};
use crate::directory::Directory;
use crate::endpoint::{Endpoint, Product};
use crate::inspect::Behalf;
use crate::refusal::{Reason, Refusal};
use crate::role::{Algorithm, Lifetime, Profile, Role, TokenVersion};
use crate::secret::same;
use crate::triple::SessionKind;
use crate::upstream::Brokering;
use std::collections::BTreeMap;
use std::sync::Arc;
use uuid::Uuid;

use chain::{Left, Under, effective_policy};
use choose::{Chosen, capped, choose, granted, not_granted};
use claims::Values;
use variables::{check_variables, of_subject, variables};

pub use cut::Cut;
pub use exchange::{EXCHANGES, authorize_exchange};
pub(crate) use exchange::{actors, unacceptable};
pub use idle::{Idle, Why, idle};
pub use warn::{Warned, Whose, Would};

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
    client: Option<Arc<Client>>,
    key: Option<String>,
    endpoint: String,
    role: Arc<Role>,
    resource: Option<String>,
    values: Values,
    app_roles: Vec<String>,
    form: Form,
    policy: Option<Arc<Policy>>,
    cut: Vec<Cut>,
    warned: Vec<Warned>,
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
    how: Option<How>,
    confirmation: Option<Confirmation>,
    behalf: Option<Behalf>,
    refused: Option<String>,
}

impl Authorized {
    /// The tenant.
    pub fn tenant(&self) -> &Tenant {
        &self.tenant
    }
    /// The client's guid, where one is known.
    pub fn client(&self) -> Option<Uuid> {
        self.client.as_ref().map(|client| client.guid)
    }
    /// The client's object id (Entra's service principal), where one is known.
    pub fn object(&self) -> Option<Uuid> {
        self.client.as_ref().map(|client| client.object)
    }
    /// The client's name for people, where one is known.
    pub fn client_name(&self) -> Option<&str> {
        self.client.as_ref().map(|client| client.name.as_str())
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
    /// The name of that resource by which it was asked for: the audience or another identifier.
    pub fn resource(&self) -> Option<&str> {
        self.resource.as_deref()
    }
    /// Which of Entra's sets of claims an access token has.
    pub fn version(&self) -> TokenVersion {
        self.role.version
    }
    /// Whose shape an access token has.
    pub fn profile(&self) -> Profile {
        self.role.profile
    }
    /// The operator's own claims of an access token.
    pub fn claims(&self) -> Result<Vec<(String, ClaimValue)>, Refusal> {
        self.values.claims(&self.role)
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
    /// What the credential may be used for: ask ∩ role ∩ client's boundary ∩ endpoint's boundary ∩ tenant's
    /// boundary.
    pub fn policy(&self) -> Option<&Policy> {
        self.policy.as_deref()
    }
    /// The same, shared: it goes into the credential, its record and the answer without being copied.
    pub fn shared_policy(&self) -> Option<Arc<Policy>> {
        self.policy.clone()
    }
    /// Who cut something off what the role gives.
    pub fn cut(&self) -> &[Cut] {
        &self.cut
    }
    /// What rules that are only tried would have done to it. They have done nothing.
    pub fn warned(&self) -> &[Warned] {
        &self.warned
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
    /// In what way the client proved itself, where one did.
    pub fn how(&self) -> Option<How> {
        self.how
    }
    /// What the credential is to be bound to.
    pub fn confirmation(&self) -> Option<&Confirmation> {
        self.confirmation.as_ref()
    }
    /// For whom it is, where it is made in exchange for an access token.
    pub fn behalf(&self) -> Option<&Behalf> {
        self.behalf.as_ref()
    }
    /// What its upstream issuer needs to know.
    pub fn brokering(&self) -> &Brokering {
        &self.role.brokering
    }
    /// The token that the caller had and that was refused, by the base64url SHA-256 of it.
    pub fn refused(&self) -> Option<&str> {
        self.refused.as_deref()
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
    authorize_under(directory, caller, path, issue, &[])
}

/// Decides, under the boundaries of these other clients as well.
fn authorize_under(
    directory: &Directory,
    caller: &Caller,
    path: &str,
    issue: &Issue,
    others: &[Arc<Client>],
) -> Result<Authorized, Refusal> {
    if issue.permanent_only && matches!(caller.proof(), Proof::Temporary { .. }) {
        return Err(Refusal::new(
            Reason::TemporaryNotAllowed,
            "a temporary credential cannot be used to get another one; ask with the client's own key",
        ));
    }
    let Chosen { role, app_roles, product, bounds, resource } = choose(directory, caller, issue)?;
    check_external_id(caller, &role, issue)?;
    let (resource, values) = resource.unzip();
    let (variables, bounds) = if let Some(values) = &values {
        // Its grants were looked at already: a token is of several roles.
        (values.joined(), bounds)
    } else {
        let variables = variables(caller, &role, issue);
        let cap = check_variables(caller, &role, &variables)?;
        (variables, capped(bounds, cap))
    };
    let under = Under { directory, caller, issue, others };
    let (policy, cut, warned) = match effective_policy(under, &role, &variables)? {
        Some(Left { policy, cut, warned }) => (Some(Arc::new(policy)), cut, warned),
        None => (None, Vec::new(), Vec::new()),
    };
    Ok(Authorized {
        policy,
        cut,
        warned,
        lifetime: lifetime(&role.name, bounds, issue.lifetime)?,
        tenant: caller.shared_tenant(),
        client: caller.shared_client(),
        key: caller.key().map(str::to_owned),
        endpoint: path.to_owned(),
        resource,
        values: values.unwrap_or_default(),
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
        how: caller.how(),
        confirmation: caller.confirmation().cloned(),
        behalf: None,
        refused: issue.refused.clone(),
        role,
    })
}
/// Decides whether a client may make a ticket: it must be allowed what the ticket will fetch. Gives the endpoint.
pub(crate) fn authorize_ticket(
    directory: &Directory,
    caller: &Caller,
    ask: &TicketAsk,
) -> Result<Arc<Endpoint>, Refusal> {
    let endpoint = directory
        .visited(&ask.endpoint)
        .filter(|endpoint| endpoint.tenant == caller.tenant().name && endpoint.ticket().is_some())
        .ok_or_else(not_granted)?;
    let role =
        endpoint.role.as_deref().and_then(|name| granted(directory, caller, name)).ok_or_else(not_granted)?;
    let values = of_subject(&role, &ask.subject);
    check_variables(caller, &role, &values)?;
    Ok(endpoint.clone())
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
