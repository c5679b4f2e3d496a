//! What a configuration may say, and yet cannot be what its author meant: the lints of `daypass check`.
//!
//! They are warnings, as a rule of a policy that does nothing keeps no service from starting. Each has a name, so that
//! `daypass check --strict` can insist on all of them but those that were allowed by name. A warning without a name
//! repeats a choice that was made on purpose, such as a written reason, and nobody is to mend it.

mod clients;
mod reach;
mod size;
mod span;
mod spots;
mod statement;

pub(crate) use clients::Stored;
pub(super) use spots::Spots;
pub(super) use statement::statements;

use super::issuer::Issuers;
use super::notes::Notes;
use super::tenant::TenantEntry;
use std::fmt;

/// A lint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Lint {
    /// `*` without a written reason. It is an error, and so cannot be allowed.
    #[value(skip)]
    Wildcard,
    /// A statement of a policy that changes no answer.
    UnreachableStatement,
    /// A policy that is, or can become, longer than its vendor's clients or services take.
    LongPolicy,
    /// A life that is longer than the vendor's own.
    Lifetime,
    /// A role that nobody can get.
    UnreachableRole,
    /// What a client was granted, and gets nothing for.
    IdleGrant,
    /// A key that ends soon, or a client or an issuer without one.
    EndingKey,
}

impl Lint {
    /// The name in `warning[NAME]`, in JSON and in `--allow`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Wildcard => "wildcard",
            Self::UnreachableStatement => "unreachable-statement",
            Self::LongPolicy => "long-policy",
            Self::Lifetime => "lifetime",
            Self::UnreachableRole => "unreachable-role",
            Self::IdleGrant => "idle-grant",
            Self::EndingKey => "ending-key",
        }
    }
}

impl fmt::Display for Lint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Looks through roles that were understood, together with the boundary of their tenant and with their issuer.
pub(super) fn roles(notes: &Notes<'_>, tenants: &[TenantEntry<'_>], issuers: &Issuers<'_>) {
    for tenant in tenants {
        let boundary = tenant.tenant.as_ref().and_then(|tenant| tenant.boundary.as_ref());
        for entry in &tenant.roles {
            let (Some(role), Some(place)) = (&entry.role, entry.policy) else { continue };
            if let Some(boundary) = boundary {
                statement::shut_out(notes, role, place, boundary);
            }
            size::check(notes, role, issuers.named(&role.issuer), place);
        }
    }
}

/// Several numbers of statements, as people read them.
fn listed(indexes: &[usize]) -> String {
    let numbers: Vec<_> = indexes.iter().map(|index| (index + 1).to_string()).collect();
    match numbers.as_slice() {
        [one] => format!("statement {one}"),
        [most @ .., last] => format!("statements {} and {last}", most.join(", ")),
        [] => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::ValueEnum as _;

    #[test]
    fn the_command_line_calls_a_lint_by_its_name() {
        for lint in Lint::value_variants() {
            let value = lint.to_possible_value().unwrap();
            assert_eq!(value.get_name(), lint.name());
        }
        assert_eq!(Lint::value_variants().len(), 6, "and not that which is an error");
    }

    #[test]
    fn numbers_of_statements_are_listed() {
        let texts = [&[0][..], &[0, 2], &[0, 1, 4]].map(listed);
        assert_eq!(texts, ["statement 1", "statements 1 and 3", "statements 1, 2 and 5"]);
    }
}
