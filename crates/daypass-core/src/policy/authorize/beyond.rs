//! The ask against what there is to give.

use crate::dialect::Excess;
use crate::policy::{Effect, Policy, Uncovered, covers, narrow};
use crate::refusal::{Reason, Refusal};

pub(super) fn narrow_to_ask(
    policy: &Policy,
    asked: &Policy,
    excess: Excess,
    role: &str,
) -> Result<Policy, Refusal> {
    let invalid = |detail: String| Refusal::new(Reason::PolicyInvalid, detail).parameter("Policy");
    let beyond = covers(policy, asked).err();
    if let (Some(beyond), Excess::Refused) = (&beyond, excess) {
        return Err(too_wide(policy, beyond, role));
    }
    let narrowed = narrow(policy, asked)
        .map_err(|fault| invalid(format!("the policy cannot be put together with the role's: {fault}")))?;
    if narrowed.allows_nothing() {
        return Err(match beyond {
            Some(beyond) => too_wide(policy, &beyond, role),
            None => {
                invalid("the policy allows nothing; leave it out or add an allowing statement".to_owned())
            }
        });
    }
    Ok(narrowed)
}

fn too_wide(policy: &Policy, beyond: &Uncovered, role: &str) -> Refusal {
    let detail = format!(
        "statement {} asks for {} on {}, which the role {role} does not give: {}",
        beyond.statement + 1,
        shown(&beyond.action),
        shown(&beyond.resource),
        given(policy, beyond)
    );
    Refusal::new(Reason::PolicyTooWide, detail).parameter("Policy")
}

/// How many of a role's patterns a message lists.
const LISTED: usize = 3;

/// What there is instead: the resources on which the action is given, or the actions.
fn given(policy: &Policy, beyond: &Uncovered) -> String {
    let allows = || policy.statements.iter().filter(|statement| statement.effect == Effect::Allow);
    let resources: Vec<_> = allows()
        .filter(|statement| statement.actions.iter().any(|action| action.matches(&beyond.action)))
        .flat_map(|statement| &statement.resources)
        .map(|resource| shown(resource.as_str()))
        .collect();
    if resources.is_empty() {
        let actions: Vec<_> =
            allows().flat_map(|statement| &statement.actions).map(|action| shown(action.as_str())).collect();
        return format!("it gives {}", listed(&actions));
    }
    if resources.contains(&shown(&beyond.resource)) {
        return "it gives that under conditions that the statement does not have".to_owned();
    }
    format!("it gives this action on {}", listed(&resources))
}

fn listed(texts: &[String]) -> String {
    let mut shown: Vec<_> = texts.iter().take(LISTED).map(String::as_str).collect();
    if texts.len() > LISTED {
        shown.push("...");
    }
    shown.join(", ")
}

/// The beginning of a caller's text: refusals are recorded, and a record must not grow with what was sent.
fn shown(text: &str) -> String {
    const SHOWN: usize = 128;
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}...", text.split_at(end).0),
        None => text.to_owned(),
    }
}
