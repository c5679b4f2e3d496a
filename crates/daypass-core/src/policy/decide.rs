//! The answer of a policy to one request.

use super::segments::Shape;
use super::{Condition, Effect, Policy, Statement};

/// One request, as a policy sees it.
#[derive(Clone, Copy, Debug)]
pub struct Access<'a> {
    /// The action, such as `oss:PutObject`.
    pub action: &'a str,
    /// The resource, in the language's own form.
    pub resource: &'a str,
}

/// A policy's answer, with the statement that decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Allowed by this statement (its index), and no deny matches.
    Allowed(usize),
    /// Forbidden by this statement (its index).
    Denied(usize),
    /// Nothing matches: denied by default.
    NoMatch,
}

/// Decides one request: denied by default, and a deny that matches wins over whatever allows. `holds` answers
/// whether a condition is true for the request; for a key that it does not know the safe answer depends on the
/// statement, so a dialect must refuse unknown operators and keys before it comes here.
///
/// Where a wildcard may be read in two ways (whether it runs over colons), what allows is read the narrow way and
/// what denies the wide one. The first statement of the document that matches is the one that is named.
pub fn decide(policy: &Policy, access: Access<'_>, holds: &dyn Fn(&Condition) -> bool) -> Decision {
    let resource = Shape::resource(policy.language);
    let first = |effect: Effect| {
        policy.statements.iter().position(|statement| {
            statement.effect == effect
                && applies(statement, access, resource)
                && statement.conditions.iter().all(holds)
        })
    };
    match (first(Effect::Deny), first(Effect::Allow)) {
        (Some(deny), _) => Decision::Denied(deny),
        (None, Some(allow)) => Decision::Allowed(allow),
        (None, None) => Decision::NoMatch,
    }
}

fn applies(statement: &Statement, access: Access<'_>, resource: Shape) -> bool {
    let Statement { actions, resources, .. } = statement;
    match statement.effect {
        Effect::Allow => {
            actions.iter().any(|pattern| Shape::ACTION.matches(pattern, access.action))
                && resources.iter().any(|pattern| resource.matches(pattern, access.resource))
        }
        Effect::Deny => {
            actions.iter().any(|pattern| pattern.matches(access.action))
                && resources.iter().any(|pattern| pattern.matches(access.resource))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{Language, Pattern};
    use crate::testing::allow;

    fn statement(effect: Effect, action: &str, resource: &str) -> Statement {
        let mut policy = allow(Language::Ram, action, resource);
        Statement { effect, ..policy.statements.remove(0) }
    }

    fn policy(statements: Vec<Statement>) -> Policy {
        Policy { language: Language::Ram, statements }
    }

    fn ask(policy: &Policy, action: &str, resource: &str) -> Decision {
        decide(policy, Access { action, resource }, &|condition| condition.key == "true")
    }

    #[test]
    fn nothing_is_allowed_by_default() {
        assert_eq!(ask(&policy(vec![]), "oss:PutObject", "x"), Decision::NoMatch);
        let one = policy(vec![statement(Effect::Allow, "oss:PutObject", "acs:oss:*:*:b/1/*")]);
        assert_eq!(ask(&one, "oss:PutObject", "acs:oss:cn:1:b/1/x"), Decision::Allowed(0));
        assert_eq!(ask(&one, "oss:PutObject", "acs:oss:cn:1:b/10/x"), Decision::NoMatch);
        assert_eq!(ask(&one, "oss:PutObjectAcl", "acs:oss:cn:1:b/1/x"), Decision::NoMatch);
    }

    #[test]
    fn a_deny_wins_wherever_it_stands() {
        let allow = statement(Effect::Allow, "oss:*", "*");
        let deny = statement(Effect::Deny, "oss:Delete*", "*");
        let before = policy(vec![deny.clone(), allow.clone()]);
        let after = policy(vec![allow, deny]);
        assert_eq!(ask(&before, "oss:DeleteObject", "x"), Decision::Denied(0));
        assert_eq!(ask(&after, "oss:DeleteObject", "x"), Decision::Denied(1));
        assert_eq!(ask(&after, "oss:GetObject", "x"), Decision::Allowed(0));
    }

    #[test]
    fn every_condition_must_hold() {
        let condition =
            |key: &str| Condition { operator: "Bool".into(), key: key.into(), values: vec!["true".into()] };
        let mut one = statement(Effect::Allow, "*", "*");
        one.conditions = vec![condition("true")];
        assert_eq!(ask(&policy(vec![one.clone()]), "a", "b"), Decision::Allowed(0));
        one.conditions.push(condition("false"));
        assert_eq!(ask(&policy(vec![one]), "a", "b"), Decision::NoMatch);
        let mut deny = statement(Effect::Deny, "*", "*");
        deny.conditions = vec![condition("false")];
        let both = policy(vec![deny, statement(Effect::Allow, "*", "*")]);
        assert_eq!(ask(&both, "a", "b"), Decision::Allowed(1));
    }

    #[test]
    fn what_allows_is_read_narrowly_and_what_denies_widely() {
        let resource = "acs:oss:*:*:b/hema/*";
        let doubtful = "acs:oss:cn:1:other/x:b/hema/a";
        let narrow = policy(vec![statement(Effect::Allow, "*", resource)]);
        assert_eq!(ask(&narrow, "oss:GetObject", doubtful), Decision::NoMatch);
        let wide = policy(vec![statement(Effect::Allow, "*", "*"), statement(Effect::Deny, "*", resource)]);
        assert_eq!(ask(&wide, "oss:GetObject", doubtful), Decision::Denied(1));
    }

    #[test]
    fn any_of_several_actions_and_resources_will_do() {
        let mut one = statement(Effect::Allow, "cos:GetObject", "a");
        one.actions.push(Pattern::parse("cos:PutObject"));
        one.resources.push(Pattern::parse("b"));
        let one = policy(vec![one]);
        for (action, resource) in [("cos:GetObject", "b"), ("cos:PutObject", "a")] {
            assert_eq!(ask(&one, action, resource), Decision::Allowed(0));
        }
        assert_eq!(ask(&one, "cos:PutObject", "c"), Decision::NoMatch);
    }
}
