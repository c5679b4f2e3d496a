//! What fills the variables of a role, and who may fill them with what.

use super::choose::{grants, longest};
use crate::caller::Caller;
use crate::client::Grant;
use crate::dialect::Issue;
use crate::identity::Subject;
use crate::refusal::{Reason, Refusal};
use crate::role::Role;
use std::collections::BTreeMap;

/// What fills the variables of the role: the subject, where someone trusted has named one, or else the protocol.
pub(super) fn variables(caller: &Caller, role: &Role, issue: &Issue) -> BTreeMap<String, String> {
    match caller.subject() {
        Some(subject) => of_subject(role, subject),
        None => issue.variables.clone(),
    }
}

pub(super) fn of_subject(role: &Role, subject: &Subject) -> BTreeMap<String, String> {
    let value = |name: &String| Some((name.clone(), subject.variable(name)?.to_owned()));
    role.variables.keys().filter_map(value).collect()
}

/// Each value must be of its type and, all together, be allowed by one grant of the client. A value of another
/// client is refused exactly like one that does not exist. Gives the longest that a credential may live by such a grant,
/// where every such grant says so.
pub(super) fn check_variables(
    caller: &Caller,
    role: &Role,
    values: &BTreeMap<String, String>,
) -> Result<Option<u32>, Refusal> {
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
            None => return Err(unfilled(name)),
        }
    }
    // Where no client asks, someone whom the operator trusts has said who does, and nobody else has to agree.
    if caller.client().is_none() {
        return Ok(None);
    }
    let allowed = |grant: &Grant, name: &str, value: &str| {
        grant.bind.get(name).is_some_and(|list| list.iter().any(|one| one == value || one == "*"))
    };
    let allowing = || {
        let all = |grant: &&Grant| values.iter().all(|(name, value)| allowed(grant, name, value));
        grants(caller, &role.name).filter(all)
    };
    if allowing().next().is_some() {
        return Ok(longest(allowing()));
    }
    // Name the variable that no grant allows; where each alone is allowed somewhere, it is their combination.
    let wrong =
        values.iter().find(|(name, value)| !grants(caller, &role.name).any(|g| allowed(g, name, value)));
    let name = wrong.or_else(|| values.iter().next()).map_or_else(String::new, |(name, _)| name.clone());
    let detail = format!("the variable {name} has no such value, or this client may not use it");
    Err(Refusal::new(Reason::VariableRefused, detail).parameter(name))
}

/// Not [`Refusal::missing`]: what is missing is a parameter in some protocols only. It is a tag in `AssumeRole`, and at an
/// endpoint for visitors what the application, the ticket or the provider says.
fn unfilled(name: &str) -> Refusal {
    let detail = format!(
        "the role has the variable {name}, and neither the request nor what is known of its sender fills it"
    );
    Refusal::new(Reason::MissingParameter, detail).parameter(name.to_owned())
}
