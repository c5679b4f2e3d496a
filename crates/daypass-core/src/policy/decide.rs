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

/// What is known of a condition.
///
/// Attack: a request whose facts cannot be read (an address that is none, an operator that a newer version wrote)
/// must neither open an allow nor get past a deny. With two values one of them would be guessed; the third lets the
/// statement decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Truth {
    /// It holds, in every reading that the language's documents leave open.
    True,
    /// It does not hold, in any reading.
    False,
    /// It cannot be told: an allow does not match, and a deny does.
    Unknown,
}

impl Truth {
    /// Whether both hold.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::False, _) | (_, Self::False) => Self::False,
            (Self::True, Self::True) => Self::True,
            _ => Self::Unknown,
        }
    }

    /// Whether either holds.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        self.not().and(other.not()).not()
    }

    /// Whether it does not hold.
    #[must_use]
    #[expect(clippy::should_implement_trait, reason = "`!` would read as two-valued")]
    pub fn not(self) -> Self {
        match self {
            Self::True => Self::False,
            Self::False => Self::True,
            Self::Unknown => Self::Unknown,
        }
    }
}

impl From<bool> for Truth {
    fn from(known: bool) -> Self {
        if known { Self::True } else { Self::False }
    }
}

/// Decides one request: denied by default, and a deny that matches wins over whatever allows. `holds` answers
/// whether a condition is true for the request, as its language defines it.
///
/// Where something may be read in two ways (whether a wildcard runs over colons, what a condition makes of a fact
/// that nobody can read), what allows is read the narrow way and what denies the wide one. The first statement of
/// the document that matches is the one that is named.
pub fn decide(policy: &Policy, access: Access<'_>, holds: &dyn Fn(&Condition) -> Truth) -> Decision {
    let resource = Shape::resource(policy.language);
    let first = |effect: Effect| {
        policy.statements.iter().position(|statement| {
            statement.effect == effect
                && applies(statement, access, resource)
                && meets(effect, statement.conditions.iter().map(holds))
        })
    };
    match (first(Effect::Deny), first(Effect::Allow)) {
        (Some(deny), _) => Decision::Denied(deny),
        (None, Some(allow)) => Decision::Allowed(allow),
        (None, None) => Decision::NoMatch,
    }
}

/// The statements, with their numbers, that are about an action on a resource, whatever their conditions are.
pub(crate) fn statements_on<'a>(
    policy: &'a Policy,
    access: Access<'a>,
) -> impl Iterator<Item = (usize, &'a Statement)> {
    let resource = Shape::resource(policy.language);
    policy.statements.iter().enumerate().filter(move |(_, statement)| applies(statement, access, resource))
}

/// Whether a statement of this effect applies as far as its conditions go: all of them hold.
fn meets(effect: Effect, mut conditions: impl Iterator<Item = Truth>) -> bool {
    match effect {
        Effect::Allow => conditions.all(|truth| truth == Truth::True),
        Effect::Deny => conditions.all(|truth| truth != Truth::False),
    }
}

pub(super) fn applies(statement: &Statement, access: Access<'_>, resource: Shape) -> bool {
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
        decide(policy, Access { action, resource }, &|condition| match condition.key.as_str() {
            "true" => Truth::True,
            "false" => Truth::False,
            _ => Truth::Unknown,
        })
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
    fn what_cannot_be_told_keeps_an_allow_from_matching_and_not_a_deny() {
        let condition =
            |key: &str| Condition { operator: "Bool".into(), key: key.into(), values: vec!["true".into()] };
        let on = |effect, keys: &[&str]| {
            let conditions = keys.iter().map(|key| condition(key)).collect();
            Statement { conditions, ..statement(effect, "*", "*") }
        };
        let all = || statement(Effect::Allow, "*", "*");
        for (statements, expected) in [
            (vec![on(Effect::Allow, &["unknown"])], Decision::NoMatch),
            (vec![on(Effect::Allow, &["true", "unknown"])], Decision::NoMatch),
            (vec![on(Effect::Allow, &["unknown"]), all()], Decision::Allowed(1)),
            (vec![all(), on(Effect::Deny, &["unknown"])], Decision::Denied(1)),
            (vec![all(), on(Effect::Deny, &["unknown", "true"])], Decision::Denied(1)),
            (vec![all(), on(Effect::Deny, &["unknown", "false"])], Decision::Allowed(0)),
        ] {
            assert_eq!(ask(&policy(statements), "a", "b"), expected);
        }
    }

    #[test]
    fn three_values_are_those_of_kleene() {
        use Truth::{False, True, Unknown};
        for (a, b, and, or) in [
            (True, True, True, True),
            (True, False, False, True),
            (True, Unknown, Unknown, True),
            (False, False, False, False),
            (False, Unknown, False, Unknown),
            (Unknown, Unknown, Unknown, Unknown),
        ] {
            assert_eq!((a.and(b), b.and(a)), (and, and));
            assert_eq!((a.or(b), b.or(a)), (or, or));
        }
        assert_eq!([True, False, Unknown].map(Truth::not), [False, True, Unknown]);
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
