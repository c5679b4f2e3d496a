//! Rules that are tried before they count, and what they would have done.

use crate::policy::intersect::Work;
use crate::policy::segments::Shape;
use crate::policy::{Effect, Language, Pattern, Policy, Statement, covers};
use serde::{Deserialize, Serialize};
use std::fmt;

/// How many statements a warning lists. It goes into the record of every grant while the rule is tried.
const LISTED: usize = 16;

/// Whose rule is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Whose {
    /// The policy that the role is to have.
    Role,
    /// The boundary that the client is to have.
    Client,
    /// The boundary that the endpoint is to have.
    Endpoint,
    /// The boundary that the tenant is to have.
    Tenant,
    /// The boundary that another client of an exchange is to have.
    Exchange,
}

impl Whose {
    /// Everyone who can have such a rule.
    pub const ALL: [Self; 5] = [Self::Role, Self::Client, Self::Endpoint, Self::Tenant, Self::Exchange];

    /// The label of metrics, and the word in records.
    pub fn label(self) -> &'static str {
        match self {
            Self::Role => "role",
            Self::Client => "client",
            Self::Endpoint => "endpoint",
            Self::Tenant => "tenant",
            Self::Exchange => "exchange",
        }
    }

    /// In words.
    pub fn name(self) -> &'static str {
        match self {
            Self::Role => "the role's coming policy",
            Self::Client => "the client's coming boundary",
            Self::Endpoint => "the endpoint's coming boundary",
            Self::Tenant => "the tenant's coming boundary",
            Self::Exchange => "the coming boundary of another client of the exchange",
        }
    }
}

/// What a rule that is only tried would do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Would {
    /// Something would be missing from what is issued.
    Cut,
    /// Nothing would be issued.
    Refuse,
    /// It cannot be told: the rule cannot be put on this policy, and everyone would be refused.
    Fail,
}

/// What a rule that is only tried would have done to one grant. It did nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Warned {
    /// Whose rule it is.
    pub whose: Whose,
    /// What it would have done.
    pub would: Would,
    /// The statements of the issued policy, counted from 1, that would give less; at most sixteen are listed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub statements: Vec<usize>,
}

impl Warned {
    pub(super) fn cut(whose: Whose, mut statements: Vec<usize>) -> Self {
        statements.truncate(LISTED);
        Self { whose, would: Would::Cut, statements }
    }

    pub(super) fn refused(whose: Whose) -> Self {
        Self { whose, would: Would::Refuse, statements: Vec::new() }
    }

    pub(super) fn unclear(whose: Whose) -> Self {
        Self { whose, would: Would::Fail, statements: Vec::new() }
    }
}

impl fmt::Display for Warned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.whose.name();
        match self.would {
            Would::Refuse => write!(f, "{name} would refuse this"),
            Would::Fail => write!(f, "{name} cannot be put on this policy, and would refuse everyone"),
            Would::Cut => {
                let numbers: Vec<_> = self.statements.iter().map(ToString::to_string).collect();
                let more = if numbers.len() == LISTED { " and perhaps more" } else { "" };
                write!(f, "{name} would cut what statement {} gives{more}", numbers.join(", "))
            }
        }
    }
}

/// The allowing statements of `before`, counted from 1, of which `after` does not give all. Where that cannot be told,
/// a statement is listed.
pub(super) fn lessened(before: &Policy, after: &Policy) -> Vec<usize> {
    let new_denies: Vec<_> = after
        .statements
        .iter()
        .filter(|statement| statement.effect == Effect::Deny && !before.statements.contains(statement))
        .collect();
    let is_less = |statement: &Statement| {
        pairs(statement).any(|pair| {
            let pair = Policy { language: before.language, statements: vec![pair] };
            // What a deny took wholly before gave nothing that could be lost.
            covers(after, &pair).is_err() && covers(before, &pair).is_ok()
        }) || new_denies.iter().any(|deny| touches(before.language, deny, statement))
    };
    let numbered = before.statements.iter().zip(1..);
    let allows = numbered.filter(|(statement, _)| statement.effect == Effect::Allow);
    allows.filter(|(statement, _)| is_less(statement)).map(|(_, number)| number).collect()
}

/// One statement for each action and resource.
fn pairs(statement: &Statement) -> impl Iterator<Item = Statement> {
    statement.actions.iter().flat_map(move |action| {
        statement.resources.iter().map(move |resource| Statement {
            actions: vec![action.clone()],
            resources: vec![resource.clone()],
            ..statement.clone()
        })
    })
}

/// Whether a deny takes something of what a statement allows, as far as its patterns tell.
///
/// They are read segment by segment, as the vendors document them. Where a deny is *judged*, its wildcards may hold colons
/// too: by that reading one on `acs:oss:*:*:b/*` touches every statement on another bucket, for the sake of a key such as
/// `x:b/y`, and a warning of it would be one of each grant.
fn touches(language: Language, deny: &Statement, allow: &Statement) -> bool {
    let mut work = Work::new();
    let mut meet = |shape: Shape, a: &[Pattern], b: &[Pattern]| {
        let mut pairs = a.iter().flat_map(|one| b.iter().map(move |other| (one, other)));
        pairs.any(|(one, other)| shape.intersect(one, other, &mut work).is_none_or(|met| !met.is_empty()))
    };
    meet(Shape::ACTION, &deny.actions, &allow.actions)
        && meet(Shape::resource(language), &deny.resources, &allow.resources)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::narrow;
    use crate::testing::allow;

    const OSS: &str = "acs:oss:*:*:b/*";

    fn one(action: &str, resource: &str) -> Statement {
        allow(Language::Ram, action, resource).statements.remove(0)
    }

    fn policy(statements: &[Statement]) -> Policy {
        Policy { language: Language::Ram, statements: statements.to_vec() }
    }

    fn deny(action: &str, resource: &str) -> Statement {
        Statement { effect: Effect::Deny, ..one(action, resource) }
    }

    fn lost(before: &[Statement], rule: &[Statement]) -> Vec<usize> {
        let before = policy(before);
        lessened(&before, &narrow(&before, &policy(rule)).unwrap())
    }

    #[test]
    fn the_statements_that_lose_something_are_named() {
        let both = [one("oss:Get*", OSS), one("oss:PutObject", OSS)];
        for (rule, expected) in [
            (vec![one("oss:*", "*")], vec![]),
            (vec![one("oss:Get*", "*")], vec![2]),
            (vec![one("oss:GetObject", "*"), one("oss:Put*", OSS)], vec![1]),
            (vec![one("ecs:*", "*")], vec![1, 2]),
            (vec![one("*", "acs:oss:*:*:b/1/*")], vec![1, 2]),
        ] {
            assert_eq!(lost(&both, &rule), expected, "{rule:?}");
        }
    }

    #[test]
    fn a_deny_takes_from_what_it_can_touch() {
        let (get, put) = (one("oss:Get*", OSS), one("oss:PutObject", OSS));
        let wide = one("*", "*");
        for (denied, expected) in [
            (deny("oss:Put*", "*"), vec![2]),
            (deny("*", "acs:oss:*:*:b/secret/*"), vec![1, 2]),
            (deny("ecs:*", "*"), vec![]),
            (deny("*", "acs:oss:*:*:other/*"), vec![]),
        ] {
            let rule = [wide.clone(), denied.clone()];
            assert_eq!(lost(&[get.clone(), put.clone()], &rule), expected, "{denied:?}");
            let had = [get.clone(), put.clone(), denied];
            assert_eq!(lost(&had, &rule), Vec::<usize>::new(), "it was denied before");
        }
    }

    #[test]
    fn what_was_denied_before_cannot_be_lost() {
        let before = [one("oss:Get*", OSS), one("oss:PutObject", OSS), deny("oss:PutObject", "*")];
        assert_eq!(lost(&before, &[one("oss:Get*", "*")]), Vec::<usize>::new());
    }

    /// What a deny loses to another deny is nothing.
    #[test]
    fn only_what_allows_can_lose_something() {
        let had = [deny("oss:DeleteObject", OSS), one("oss:Get*", OSS)];
        let rule = [one("oss:Get*", "*"), deny("oss:*", "acs:oss:*:*:b/secret/*")];
        assert_eq!(lost(&had, &rule), [2], "counted with the denies, and none of them");
    }

    #[test]
    fn a_list_has_an_end() {
        let before: Vec<_> = (0..40).map(|n| one("oss:Get*", &format!("acs:oss:*:*:b/{n}"))).collect();
        let warned = Warned::cut(Whose::Tenant, lost(&before, &[one("ecs:*", "*")]));
        assert_eq!(warned.statements.len(), LISTED);
        assert!(warned.to_string().ends_with("15, 16 gives and perhaps more"), "{warned}");
    }

    #[test]
    fn a_warning_reads_back_and_has_words() {
        for whose in Whose::ALL {
            let all = [Warned::cut(whose, vec![1, 3]), Warned::refused(whose), Warned::unclear(whose)];
            for warned in all {
                let json = serde_json::to_string(&warned).unwrap();
                assert!(json.contains(&format!(r#""whose":"{}""#, whose.label())), "{json}");
                assert_eq!(serde_json::from_str::<Warned>(&json).unwrap(), warned);
                assert!(warned.to_string().starts_with(whose.name()), "{warned}");
            }
        }
        let cut = Warned::cut(Whose::Endpoint, vec![2]);
        assert_eq!(
            serde_json::to_string(&cut).unwrap(),
            r#"{"whose":"endpoint","would":"cut","statements":[2]}"#
        );
        assert_eq!(cut.to_string(), "the endpoint's coming boundary would cut what statement 2 gives");
    }
}
