//! Which statements of a role's policy were part of what was issued.
//!
//! A statement was needed if what was issued has something in common with it. The narrowing of two documents says so, and
//! where it cannot, the statement counts as needed. So all statements that were not needed can go together: nothing that
//! was issued lies in any of them.

use crate::cli::explain::line;
use daypass_core::asked::{Asked, AskedPolicy};
use daypass_core::policy::{Effect, Policy, Statement, Template, narrow};
use std::collections::BTreeMap;

/// What the grants of one role say of its statements.
#[derive(Default)]
pub(super) struct Statements {
    /// How many grants there were.
    pub(super) grants: u64,
    /// How many of those took all that there was, so that nothing is known of what they needed.
    pub(super) whole: u64,
    /// How many have values for other variables than the role has now.
    pub(super) strange: u64,
    /// Each allowing statement by its number from 0: whether it was needed, and how it reads with the values of a grant.
    allowing: BTreeMap<usize, (bool, String)>,
}

impl Statements {
    /// Looks at one grant.
    pub(super) fn take(
        &mut self,
        template: &Template,
        variables: &BTreeMap<String, String>,
        issued: &Policy,
        asked: Option<&Asked>,
    ) {
        self.grants += 1;
        // A record of an older version does not say what was asked for, and may have asked for everything.
        self.whole += u64::from(asked.is_none_or(|asked| asked.policy == AskedPolicy::None));
        let Ok(bound) = template.bind(variables) else {
            self.strange += 1;
            return;
        };
        for (n, statement) in bound.statements.iter().enumerate() {
            if statement.effect == Effect::Deny {
                // It protects by being there.
                continue;
            }
            let (needed, _) = self.allowing.entry(n).or_insert_with(|| (false, line(statement)));
            *needed = *needed || touches(issued, statement);
        }
    }

    /// The numbers, from 1, of the statements that were never needed, with how they read. Nothing can be said of a role
    /// that has changed its variables since.
    pub(super) fn never_needed(&self) -> Vec<(usize, &str)> {
        if self.strange > 0 {
            return Vec::new();
        }
        let never = self.allowing.iter().filter(|(_, (needed, _))| !needed);
        never.map(|(n, (_, text))| (n + 1, text.as_str())).collect()
    }
}

/// Whether something of what was issued lies in the statement, or it cannot be told.
fn touches(issued: &Policy, statement: &Statement) -> bool {
    let alone = Policy { language: issued.language, statements: vec![statement.clone()] };
    !narrow(issued, &alone).is_ok_and(|both| both.allows_nothing())
}

#[cfg(test)]
mod tests;
