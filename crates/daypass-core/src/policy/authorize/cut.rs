//! Who takes something away on the way from the role to what is issued.

use crate::policy::{Effect, Policy, Statement, covers};
use serde::{Deserialize, Serialize};

/// Who cut something off what the role gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cut {
    /// The client's boundary.
    Client,
    /// The boundary of the endpoint that the request came through.
    Endpoint,
    /// The tenant's boundary.
    Tenant,
    /// The caller itself, who asked for less.
    Ask,
    /// The boundary of a client whose token was exchanged, or that it has passed through.
    Exchange,
}

impl Cut {
    /// In words.
    pub fn name(self) -> &'static str {
        match self {
            Self::Client => "the client's boundary",
            Self::Endpoint => "the endpoint's boundary",
            Self::Tenant => "the tenant's boundary",
            Self::Ask => "the ask",
            Self::Exchange => "the boundary of another client of the exchange",
        }
    }
}

/// Notes whose document it was, if it made the policy smaller. That it is written otherwise is not enough.
pub(super) fn note(cut: &mut Vec<Cut>, whose: Cut, before: &Policy, after: &Policy) {
    if before != after && is_less(before, after) && !cut.contains(&whose) {
        cut.push(whose);
    }
}

fn is_less(before: &Policy, after: &Policy) -> bool {
    let known = |deny: &&Statement| before.statements.contains(deny);
    let denies = after.statements.iter().filter(|statement| statement.effect == Effect::Deny);
    covers(after, before).is_err() || !denies.clone().all(|deny| known(&deny))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{Language, narrow};
    use crate::testing::allow;

    fn cut(role: &Policy, boundary: &Policy) -> Vec<Cut> {
        let mut cut = Vec::new();
        note(&mut cut, Cut::Client, role, &narrow(role, boundary).unwrap());
        cut
    }

    #[test]
    fn only_what_makes_it_smaller_is_a_cut() {
        let role = allow(Language::Ram, "oss:Get*", "acs:oss:*:*:b/*");
        assert_eq!(cut(&role, &allow(Language::Ram, "oss:*", "*")), []);
        assert_eq!(cut(&role, &role), []);
        assert_eq!(cut(&role, &allow(Language::Ram, "oss:*", "acs:oss:*:*:b/1/*")), [Cut::Client]);
        assert_eq!(cut(&role, &allow(Language::Ram, "ecs:*", "*")), [Cut::Client]);
        let mut twice = role.clone();
        twice
            .statements
            .push(allow(Language::Ram, "oss:GetObject", "acs:oss:*:*:b/1/*").statements.remove(0));
        assert_eq!(
            cut(&twice, &allow(Language::Ram, "oss:*", "*")),
            [],
            "a statement less, and nothing lost"
        );
    }

    #[test]
    fn a_deny_that_comes_in_is_a_cut() {
        let role = allow(Language::Ram, "oss:Get*", "*");
        let mut boundary = allow(Language::Ram, "*", "*");
        let mut deny = allow(Language::Ram, "*", "acs:oss:*:*:secret/*").statements.remove(0);
        deny.effect = Effect::Deny;
        boundary.statements.push(deny.clone());
        assert_eq!(cut(&role, &boundary), [Cut::Client]);
        let mut same = role;
        same.statements.push(deny);
        assert_eq!(cut(&same, &boundary), [], "the role had it already");
    }

    #[test]
    fn one_who_cuts_twice_is_named_once() {
        let (wide, small) = (allow(Language::Ram, "oss:*", "*"), allow(Language::Ram, "oss:GetObject", "*"));
        let mut cut = vec![Cut::Exchange];
        note(&mut cut, Cut::Exchange, &wide, &small);
        assert_eq!(cut, [Cut::Exchange]);
        let names = [Cut::Client, Cut::Endpoint, Cut::Tenant, Cut::Ask, Cut::Exchange].map(Cut::name);
        assert!(names.iter().all(|name| name.starts_with("the ")));
    }
}
