//! What a policy says about one action where nothing is known of the request but that.

use super::decide::applies;
use super::segments::Shape;
use super::{Access, Effect, Policy, Statement};

/// A policy's answer without a request: where conditions decide, it says so instead of guessing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Allowed by this statement (its index) whatever the request is, and nothing can forbid it.
    Allowed(usize),
    /// Forbidden by this statement (its index), or, without one, because nothing allows it.
    Denied(Option<usize>),
    /// It depends on the conditions of these statements (their indexes).
    Depends(Vec<usize>),
}

/// The answer about an action on a resource, by the rules of [`super::decide`].
pub fn verdict(policy: &Policy, access: Access<'_>) -> Verdict {
    let shape = Shape::resource(policy.language);
    let touched: Vec<(usize, &Statement)> =
        policy.statements.iter().enumerate().filter(|(_, one)| applies(one, access, shape)).collect();
    let of = |effect: Effect| touched.iter().filter(move |(_, one)| one.effect == effect);
    let sure = |effect: Effect| of(effect).find(|(_, one)| one.conditions.is_empty()).map(|(n, _)| *n);
    if let Some(deny) = sure(Effect::Deny) {
        return Verdict::Denied(Some(deny));
    }
    if of(Effect::Allow).next().is_none() {
        return Verdict::Denied(None);
    }
    match sure(Effect::Allow) {
        Some(allow) if of(Effect::Deny).next().is_none() => Verdict::Allowed(allow),
        _ => {
            let conditional = touched.iter().filter(|(_, one)| !one.conditions.is_empty());
            Verdict::Depends(conditional.map(|(n, _)| *n).collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{Condition, Language, Pattern};
    use proptest::prelude::*;

    fn statement(effect: Effect, action: &str, conditional: bool) -> Statement {
        let condition = Condition {
            operator: "Bool".into(),
            key: "acs:SecureTransport".into(),
            values: vec!["true".into()],
        };
        Statement {
            effect,
            actions: vec![Pattern::parse(action)],
            resources: vec![Pattern::parse("*")],
            conditions: conditional.then_some(condition).into_iter().collect(),
        }
    }

    fn ask(statements: Vec<Statement>) -> Verdict {
        let policy = Policy { language: Language::Ram, statements };
        verdict(&policy, Access { action: "oss:GetObject", resource: "acs:oss:cn:1:b/x" })
    }

    use Effect::{Allow, Deny};

    #[test]
    fn without_conditions_it_is_what_decide_says() {
        assert_eq!(ask(vec![]), Verdict::Denied(None));
        assert_eq!(ask(vec![statement(Allow, "oss:Put*", false)]), Verdict::Denied(None));
        assert_eq!(ask(vec![statement(Allow, "oss:Get*", false)]), Verdict::Allowed(0));
        let both = vec![statement(Allow, "oss:*", false), statement(Deny, "oss:Get*", false)];
        assert_eq!(ask(both), Verdict::Denied(Some(1)));
    }

    #[test]
    fn conditions_are_not_guessed_at() {
        assert_eq!(ask(vec![statement(Allow, "oss:*", true)]), Verdict::Depends(vec![0]));
        let open = statement(Allow, "oss:*", false);
        assert_eq!(ask(vec![statement(Allow, "oss:*", true), open.clone()]), Verdict::Allowed(1));
        assert_eq!(ask(vec![open.clone(), statement(Deny, "oss:*", true)]), Verdict::Depends(vec![1]));
        assert_eq!(ask(vec![open, statement(Deny, "oss:Put*", true)]), Verdict::Allowed(0));
        assert_eq!(ask(vec![statement(Deny, "oss:*", true)]), Verdict::Denied(None), "nothing allows it");
    }

    proptest! {
        #[test]
        fn no_values_of_conditions_prove_it_wrong(
            kinds in proptest::collection::vec((any::<bool>(), any::<bool>(), any::<bool>()), 0..6),
            holds in proptest::collection::vec(any::<bool>(), 6),
        ) {
            let statements: Vec<_> = kinds.iter().map(|(allow, matches, conditional)| {
                let effect = if *allow { Allow } else { Deny };
                statement(effect, if *matches { "oss:Get*" } else { "oss:Put*" }, *conditional)
            }).collect();
            // Each condition is true or false at will: what then applies, by hand.
            let live = |effect| kinds.iter().zip(&holds).any(|((allow, matches, conditional), holds)| {
                (*allow == (effect == Allow)) && *matches && (!conditional || *holds)
            });
            let allowed = live(Allow) && !live(Deny);
            match ask(statements) {
                Verdict::Allowed(_) => prop_assert!(allowed),
                Verdict::Denied(_) => prop_assert!(!allowed),
                Verdict::Depends(on) => prop_assert!(!on.is_empty()),
            }
        }
    }
}
