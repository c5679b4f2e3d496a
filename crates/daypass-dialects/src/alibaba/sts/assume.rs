//! `AssumeRole`: a client takes a role that it names by its ARN, whole or narrowed by a policy.

use super::arn::Arn;
use super::parameters::Parameters;
use super::session;
use daypass_core::caller::Caller;
use daypass_core::dialect::{Ask, Context, Excess, Form, Issue, RoleChoice};
use daypass_core::refusal::{Reason, Refusal};
use daypass_core::role::Role;
use daypass_core::triple::{SessionKind, TripleKind};

/// The action's own parameters.
const NAMES: [&str; 6] =
    ["DurationSeconds", "ExternalId", "Policy", "RoleArn", "RoleSessionName", "SourceIdentity"];

/// What the parameters ask for.
pub(super) fn ask(context: Context<'_>, caller: &Caller, parameters: &Parameters) -> Result<Ask, Refusal> {
    parameters.only(&NAMES)?;
    let arn = Arn::role(parameters.required("RoleArn")?)?;
    let name = session::session_name(parameters)?;
    let role = granted(context, caller, &arn);
    let lifetime = session::duration(parameters, role)?;
    let external_id = session::external_id(parameters)?;
    let source_identity = session::source_identity(parameters)?;
    let policy = session::policy(parameters)?;
    let own = &caller.tenant().account;
    if arn.account != *own {
        // Told apart from a role that does not exist, because it tells nothing of the other account: not even whether
        // there is one.
        let detail = format!("RoleArn names an account that is not the caller's own, which is {own}");
        return Err(Refusal::new(Reason::RoleNotGranted, detail).parameter("RoleArn"));
    }
    if let Some(role) = role {
        check_variables(role)?;
    }
    Ok(Ask::Issue(Box::new(Issue {
        lifetime,
        policy,
        excess: Excess::CutOff,
        session: Some(name),
        kind: SessionKind::Assumed,
        source_identity,
        external_id,
        ..Issue::new(RoleChoice::Named(arn.name), Form::Triple(TripleKind::Alibaba))
    })))
}

/// The role of the ARN, if it is one that the caller may have.
fn granted<'a>(context: Context<'a>, caller: &Caller, arn: &Arn) -> Option<&'a Role> {
    let tenant = caller.tenant();
    let granted = caller.client()?.grants.iter().any(|grant| grant.role == arn.name);
    let role = context.directory.role(&tenant.name, &arn.name)?;
    (granted && arn.account == tenant.account).then_some(role)
}

/// This API has no session tags, so nothing in a call could fill a variable of a role.
fn check_variables(role: &Role) -> Result<(), Refusal> {
    let names: Vec<_> = role.variables.keys().map(String::as_str).collect();
    if names.is_empty() {
        return Ok(());
    }
    let detail = format!(
        "the policy of this role has the variables {}, and AssumeRole cannot fill them; ask for it through the TOP gateway or with AssumeRoleWithOIDC, or for a role without variables and narrow that with Policy",
        names.join(", ")
    );
    Err(Refusal::new(Reason::VariableRefused, detail).parameter("RoleArn"))
}
