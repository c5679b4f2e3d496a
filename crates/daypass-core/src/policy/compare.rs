//! Which of two documents gives more: for whoever is about to replace the one by the other.

use super::conditions::follow_from;
use super::{Effect, Pattern, Policy, Statement, covers};

/// How what a document gives changes when another takes its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Change {
    /// It gives the same.
    Same,
    /// It gives no more, and perhaps less.
    Narrower,
    /// It gives no less, and perhaps more.
    Wider,
    /// It gives something else, or it cannot be told.
    Other,
}

/// How what is allowed changes from one document to the other, as far as it can be proved. Where one direction is
/// proved and the other is not, the one that is not is taken for a change: nothing is called the same that may differ.
pub fn compare(before: &Policy, after: &Policy) -> Change {
    if before == after {
        return Change::Same;
    }
    match (within(after, before), within(before, after)) {
        (true, true) => Change::Same,
        (true, false) => Change::Narrower,
        (false, true) => Change::Wider,
        (false, false) => Change::Other,
    }
}

/// Whether whatever `inner` allows, `outer` allows too. When this cannot be told, the answer is that it is not.
pub fn within(inner: &Policy, outer: &Policy) -> bool {
    let denies = |policy: &Policy| -> Vec<Statement> {
        policy.statements.iter().filter(|statement| statement.effect == Effect::Deny).cloned().collect()
    };
    let inner_denies = denies(inner);
    // `covers` looks at what is allowed. What `outer` denies, `inner` must deny as well.
    covers(outer, inner).is_ok()
        && denies(outer).iter().all(|deny| inner_denies.iter().any(|other| denies_all_of(other, deny)))
}

/// Whether one deny applies wherever the other does. A deny is read the wide way, across segments.
fn denies_all_of(wide: &Statement, deny: &Statement) -> bool {
    let every =
        |outer: &[Pattern], inner: &[Pattern]| inner.iter().all(|i| outer.iter().any(|o| o.covers(i)));
    every(&wide.actions, &deny.actions)
        && every(&wide.resources, &deny.resources)
        && follow_from(&wide.conditions, &deny.conditions)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{Condition, Language};
    use crate::testing::allow;

    fn policy(statements: &[(Effect, &str, &str)]) -> Policy {
        let one = |(effect, action, resource): &(Effect, &str, &str)| Statement {
            effect: *effect,
            ..allow(Language::Ram, action, resource).statements.remove(0)
        };
        Policy { language: Language::Ram, statements: statements.iter().map(one).collect() }
    }

    use Effect::{Allow, Deny};

    #[test]
    fn more_and_less_are_told_apart() {
        let get = policy(&[(Allow, "oss:Get*", "acs:oss:*:*:b/*")]);
        let twice =
            policy(&[(Allow, "oss:Get*", "acs:oss:*:*:b/*"), (Allow, "oss:GetObject", "acs:oss:*:*:b/1")]);
        let all = policy(&[(Allow, "oss:*", "acs:oss:*:*:b/*")]);
        let put = policy(&[(Allow, "oss:Put*", "acs:oss:*:*:b/*")]);
        for (before, after, change) in [
            (&get, &get, Change::Same),
            (&get, &twice, Change::Same),
            (&twice, &get, Change::Same),
            (&get, &all, Change::Wider),
            (&all, &get, Change::Narrower),
            (&get, &put, Change::Other),
        ] {
            assert_eq!(compare(before, after), change, "{before:?} {after:?}");
        }
    }

    #[test]
    fn a_deny_takes_away_and_its_end_gives_back() {
        let open = policy(&[(Allow, "oss:*", "*")]);
        let closed = policy(&[(Allow, "oss:*", "*"), (Deny, "oss:Delete*", "*")]);
        let more = policy(&[(Allow, "oss:*", "*"), (Deny, "oss:*Object", "*"), (Deny, "oss:Delete*", "*")]);
        let wide = policy(&[(Allow, "oss:*", "*"), (Deny, "*:Delete*", "*")]);
        assert_eq!(compare(&open, &closed), Change::Narrower);
        assert_eq!(compare(&closed, &open), Change::Wider);
        assert_eq!(compare(&closed, &more), Change::Narrower);
        assert_eq!(compare(&closed, &wide), Change::Narrower);
        assert_eq!(compare(&wide, &closed), Change::Wider);
    }

    #[test]
    fn a_condition_on_a_deny_makes_it_smaller() {
        let always = policy(&[(Allow, "oss:*", "*"), (Deny, "oss:Put*", "*")]);
        let mut sometimes = always.clone();
        sometimes.statements[1].conditions = vec![Condition {
            operator: "StringEquals".into(),
            key: "acs:SourceVpc".into(),
            values: vec!["a".into()],
        }];
        assert_eq!(compare(&always, &sometimes), Change::Wider);
        assert_eq!(compare(&sometimes, &always), Change::Narrower);
    }

    #[test]
    fn two_languages_are_never_compared() {
        let (ram, cam) = (allow(Language::Ram, "*", "*"), allow(Language::Cam, "*", "*"));
        assert_eq!(compare(&ram, &cam), Change::Other);
    }
}
