//! What the claims of a resource's tokens say of a client: the values that its grants bind.

use crate::client::Grant;
use crate::policy::{ClaimTemplate, ClaimValue, VALUES_BYTES};
use crate::refusal::{Reason, Refusal};
use crate::role::Role;
use std::collections::BTreeMap;

/// The values of a resource's variables for one client, by name: each has one or more, in order and none twice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Values(BTreeMap<String, Vec<String>>);

/// Why the values that a grant binds cannot be said in a token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadBind {
    /// A variable has none.
    #[error(
        "the tokens of this resource say the variable {0}, and the grant binds no value to it; bind at least one"
    )]
    Missing(String),
    /// Any value would do.
    #[error(
        "the tokens of this resource say the variable {0}, and the grant binds it to * (any value); bind the values that are meant"
    )]
    Any(String),
    /// A value is not of the variable's type.
    #[error("a value of the variable {name} in the tokens of this resource must be {expected}")]
    Type {
        /// The variable.
        name: String,
        /// What its values look like.
        expected: std::borrow::Cow<'static, str>,
    },
    /// There are too many, or they are too long.
    #[error(
        "the values that the grant binds take {0} bytes in a token of this resource, and at most {VALUES_BYTES} fit; bind fewer"
    )]
    TooLong(usize),
    /// Two grants say something else.
    ///
    /// Attack: `reader` of store 1 and `writer` of store 2 would become reader and writer of both, because a token does
    /// not say which of its roles goes with which of its values.
    #[error(
        "the grants on this resource bind the variable {0} to different values, and a token cannot say which role goes with which; bind the same values in each, or divide them between two clients"
    )]
    Differ(String),
}

/// Whether the tokens of a role can say what this grant binds. Roles without claims of that kind take any grant.
pub fn check_grant(role: &Role, grant: &Grant) -> Result<(), BadBind> {
    of_grant(role, grant).map(drop)
}

/// What these grants on the roles of one resource bind, all of which have the same variables and claims. They must
/// agree.
pub fn check_grants<'a>(role: &Role, grants: impl IntoIterator<Item = &'a Grant>) -> Result<Values, BadBind> {
    let mut common: Option<Values> = None;
    for grant in grants {
        let values = of_grant(role, grant)?;
        match &common {
            Some(first) if *first != values => return Err(BadBind::Differ(first.difference(&values))),
            _ => common = Some(values),
        }
    }
    Ok(common.unwrap_or_default())
}

fn of_grant(role: &Role, grant: &Grant) -> Result<Values, BadBind> {
    if role.audience.is_none() {
        return Ok(Values::default());
    }
    let mut all = BTreeMap::new();
    for (name, kind) in &role.variables {
        let mut values = grant.bind.get(name).cloned().unwrap_or_default();
        if values.is_empty() {
            return Err(BadBind::Missing(name.clone()));
        }
        if values.iter().any(|value| value == ANY) {
            return Err(BadBind::Any(name.clone()));
        }
        if !values.iter().all(|value| kind.fits_claim(value)) {
            return Err(BadBind::Type { name: name.clone(), expected: kind.expected_in_claim() });
        }
        values.sort_unstable();
        values.dedup();
        all.insert(name.clone(), values);
    }
    let values = Values(all);
    let bytes = values.bytes(role);
    if bytes > VALUES_BYTES { Err(BadBind::TooLong(bytes)) } else { Ok(values) }
}

/// In a grant, any value of the variable's type.
const ANY: &str = "*";

impl Values {
    /// The claims of this role's tokens.
    pub(super) fn claims(&self, role: &Role) -> Result<Vec<(String, ClaimValue)>, Refusal> {
        let claim = |(name, template): (&String, &ClaimTemplate)| {
            let values = match template.variable() {
                None => &[],
                // Never a token that is silent about what it should have been narrowed to.
                Some(variable) => self.0.get(variable).map(Vec::as_slice).ok_or_else(|| {
                    Refusal::internal(format!("nothing fills the variable `{variable}` of a claim"))
                })?,
            };
            Ok((name.clone(), template.fill(values)))
        };
        role.claims.iter().map(claim).collect()
    }

    /// For records: values never hold a comma.
    pub(super) fn joined(&self) -> BTreeMap<String, String> {
        self.0.iter().map(|(name, values)| (name.clone(), values.join(","))).collect()
    }

    fn difference(&self, other: &Self) -> String {
        let differs = |(name, values): &(&String, &Vec<String>)| other.0.get(*name) != Some(*values);
        self.0.iter().find(differs).map_or_else(String::new, |(name, _)| name.clone())
    }

    /// The bytes that the claims with a variable take, as far as it is the variables that make them long.
    fn bytes(&self, role: &Role) -> usize {
        let filled =
            |template: &ClaimTemplate| Some(template.fill(self.0.get(template.variable()?)?).bytes());
        role.claims.values().filter_map(filled).sum()
    }
}

impl From<BadBind> for Refusal {
    /// The caller can do nothing about it, and the sentence is for whoever runs the service; it names no value.
    fn from(bad: BadBind) -> Self {
        let name = match &bad {
            BadBind::Missing(name)
            | BadBind::Any(name)
            | BadBind::Differ(name)
            | BadBind::Type { name, .. } => Some(name.clone()),
            BadBind::TooLong(_) => None,
        };
        let refusal = Self::new(Reason::VariableRefused, bad.to_string());
        match name {
            Some(name) => refusal.parameter(name),
            None => refusal,
        }
    }
}

#[cfg(test)]
mod tests;
