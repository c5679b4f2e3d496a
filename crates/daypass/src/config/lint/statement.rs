//! Statements that change no answer.

use super::{Lint, listed, span};
use crate::config::diagnostic::Fault;
use crate::config::notes::{Given, Notes, Place};
use daypass_core::policy::{Dead, Effect, Policy, beyond, dead};
use daypass_core::role::Role;

/// Points out the statements of a policy of the file, a role's or a boundary, that do nothing beside the others.
pub(in crate::config) fn statements(notes: &Notes<'_>, policy: &Given<Policy>) {
    for (index, why) in dead(&policy.value) {
        let effect = policy.value.statements.get(index).map(|statement| statement.effect);
        let fault = fault(&listed(&[index]), effect, &why).lint(Lint::UnreachableStatement);
        notes.warning(of(notes, policy.place, index), fault);
    }
}

fn fault(this: &str, effect: Option<Effect>, why: &Dead) -> Fault {
    match (why, effect) {
        (Dead::Covered(by), Some(Effect::Deny)) => {
            Fault::new(format!("{this} denies nothing that {} would not deny without it", listed(by)))
                .hint("take it out")
        }
        (Dead::Covered(by), _) => {
            Fault::new(format!("{this} allows nothing that {} would not allow without it", listed(by))).hint(
                "take it out; if it was meant as a bound, make the wider one narrower: statements add up",
            )
        }
        (Dead::Denied(by), _) => {
            let denies = if by.len() == 1 { "denies" } else { "deny" };
            Fault::new(format!("{this} allows nothing: {} {denies} all of it", listed(by)))
                .hint("take it out, or deny less: a deny wins over every allow, wherever it stands")
        }
        (Dead::Idle, _) => Fault::new(format!("{this} denies nothing that the policy allows"))
            .hint("take it out, or look for a mistake in its actions and resources"),
    }
}

/// Points out the statements of a role of which the tenant's boundary lets nothing through.
pub(super) fn shut_out(notes: &Notes<'_>, role: &Role, place: Place, boundary: &Policy) {
    let Some(template) = &role.policy else { return };
    for index in beyond(&template.written(), boundary) {
        let message = format!(
            "{} of the role `{}` gives nothing: the boundary of the tenant `{}` lets nothing of it through",
            listed(&[index]),
            role.name,
            role.tenant
        );
        let fault = Fault::new(message).hint("take it out, or allow it in the boundary as well");
        notes.warning(of(notes, place, index), fault.lint(Lint::UnreachableStatement));
    }
}

/// The place of a statement, or that of its whole policy where the text cannot be looked into.
fn of(notes: &Notes<'_>, policy: Place, index: usize) -> Place {
    notes.inside(policy, |literal| span::statement(literal, index))
}
