//! Statements of an operator's document that change no answer.
//!
//! Such a statement is no fault of its own, but what its author believed of it is not so: that it gives something, or
//! that it takes something away. A statement of which it cannot be told is not named. What is said of one holds for every
//! request but for a deny and resources whose names have colons in them: a deny such as `acs:oss:*:*:logs/*` also takes
//! `acs:oss:cn:1:photos/x:logs/y`, but nobody has written it for that.

use super::conditions::follow_from;
use super::intersect::Work;
use super::narrow::covers_pair;
use super::segments::Shape;
use super::{Effect, Language, Pattern, Policy, Statement};
use std::collections::BTreeSet;

/// Why a statement changes no answer. Statements are counted from 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Dead {
    /// These others of the same effect do all that it does.
    Covered(Vec<usize>),
    /// It allows, and these deny all of it.
    Denied(Vec<usize>),
    /// It denies what no statement allows.
    Idle,
}

/// The statements that change no answer, in the order of the document. All of them can be taken out at once.
///
/// A `{variable}` stands for any value, as in [`super::Template`].
pub fn dead(policy: &Policy) -> Vec<(usize, Dead)> {
    let mut kept: BTreeSet<usize> = (0..policy.statements.len()).collect();
    let mut found = Vec::new();
    // From the last to the first: of two that say the same the first one stays, and since every one is compared with
    // those that are left, no two are the reason for each other.
    for (index, statement) in policy.statements.iter().enumerate().rev() {
        kept.remove(&index);
        if let Some(dead) = why(policy, statement, &kept) {
            found.push((index, dead));
        } else {
            kept.insert(index);
        }
    }
    found.reverse();
    found
}

fn why(policy: &Policy, statement: &Statement, kept: &BTreeSet<usize>) -> Option<Dead> {
    let by = |effect| covering(policy, statement, effect, kept);
    match statement.effect {
        Effect::Allow => by(Effect::Deny).map(Dead::Denied).or_else(|| by(Effect::Allow).map(Dead::Covered)),
        Effect::Deny if is_idle(policy, statement) => Some(Dead::Idle),
        Effect::Deny => by(Effect::Deny).map(Dead::Covered),
    }
}

/// The allowing statements of a document of which a boundary lets nothing through, whatever values its variables have.
/// Documents of two languages are not compared.
pub fn beyond(policy: &Policy, boundary: &Policy) -> Vec<usize> {
    if policy.language != boundary.language {
        return Vec::new();
    }
    let all: BTreeSet<usize> = (0..boundary.statements.len()).collect();
    let shut = |statement: &Statement| {
        let mut allows = boundary.statements.iter().filter(|other| other.effect == Effect::Allow);
        allows.all(|other| apart(policy.language, statement, other))
            || covering(boundary, statement, Effect::Deny, &all).is_some()
    };
    let allows = policy.statements.iter().enumerate();
    allows.filter(|(_, one)| one.effect == Effect::Allow && shut(one)).map(|(index, _)| index).collect()
}

/// The statements of this effect, among these of a document, that together apply to all that a statement applies to.
fn covering(
    policy: &Policy,
    statement: &Statement,
    effect: Effect,
    among: &BTreeSet<usize>,
) -> Option<Vec<usize>> {
    let candidates: Vec<_> = policy
        .statements
        .iter()
        .enumerate()
        .filter(|(index, other)| {
            among.contains(index)
                && other.effect == effect
                && follow_from(&other.conditions, &statement.conditions)
        })
        .collect();
    let mut used = BTreeSet::new();
    for action in &statement.actions {
        for resource in &statement.resources {
            let has =
                |(_, other): &&(usize, &Statement)| covers_pair(policy.language, other, action, resource);
            used.insert(candidates.iter().find(has)?.0);
        }
    }
    Some(used.into_iter().collect())
}

/// Whether a deny touches nothing that any statement allows.
fn is_idle(policy: &Policy, deny: &Statement) -> bool {
    let mut allows = policy.statements.iter().filter(|one| one.effect == Effect::Allow);
    allows.all(|allow| apart(policy.language, deny, allow))
}

/// Whether no request is matched by both, as far as actions and resources tell.
fn apart(language: Language, a: &Statement, b: &Statement) -> bool {
    let mut work = Work::new();
    let mut meet = |shape: Shape, a: &[Pattern], b: &[Pattern]| {
        // What cannot be told may be something.
        let mut meets = |one: &Pattern, other: &Pattern| {
            let met = shape.intersect(&opened(one), &opened(other), &mut work);
            met.is_none_or(|met| !met.is_empty())
        };
        a.iter().any(|one| b.iter().any(|other| meets(one, other)))
    };
    !meet(Shape::ACTION, &a.actions, &b.actions)
        || !meet(Shape::resource(language), &a.resources, &b.resources)
}

/// A pattern with a wildcard in place of each variable: it matches at least what any value would make of it.
fn opened(pattern: &Pattern) -> Pattern {
    let mut text = String::new();
    let mut rest = pattern.as_str();
    while let Some((before, after)) =
        rest.split_once('{').and_then(|(before, from)| Some((before, from.split_once('}')?.1)))
    {
        text.push_str(before);
        text.push('*');
        rest = after;
    }
    text.push_str(rest);
    Pattern::parse(&text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::properties::{allowed, policies, requests};
    use crate::policy::{Condition, narrow};
    use proptest::prelude::*;

    fn statement(effect: Effect, actions: &[&str], resources: &[&str]) -> Statement {
        let parse = |texts: &[&str]| texts.iter().map(|text| Pattern::parse(text)).collect();
        Statement { effect, actions: parse(actions), resources: parse(resources), conditions: vec![] }
    }

    fn allow(actions: &[&str], resources: &[&str]) -> Statement {
        statement(Effect::Allow, actions, resources)
    }

    fn deny(actions: &[&str], resources: &[&str]) -> Statement {
        statement(Effect::Deny, actions, resources)
    }

    fn ram(statements: Vec<Statement>) -> Policy {
        Policy { language: Language::Ram, statements }
    }

    const ALL: &str = "acs:oss:*:*:b/*";
    const ONE: &str = "acs:oss:*:*:b/a/*";

    #[test]
    fn an_allow_that_others_cover_is_dead_wherever_they_stand() {
        let (wide, narrow) = (|| allow(&["oss:*"], &[ALL]), || allow(&["oss:PutObject"], &[ONE]));
        assert_eq!(dead(&ram(vec![wide(), narrow()])), [(1, Dead::Covered(vec![0]))]);
        assert_eq!(dead(&ram(vec![narrow(), wide()])), [(0, Dead::Covered(vec![1]))]);
        assert_eq!(
            dead(&ram(vec![narrow(), narrow()])),
            [(1, Dead::Covered(vec![0]))],
            "the first one stays"
        );
        assert_eq!(dead(&ram(vec![narrow(), allow(&["oss:GetObject"], &[ALL])])), []);
    }

    #[test]
    fn several_may_cover_one_together_but_not_each_other_in_a_ring() {
        let of = |actions: &[&str]| allow(actions, &[ALL]);
        let both = ram(vec![of(&["oss:A"]), of(&["oss:B"]), of(&["oss:A", "oss:B"])]);
        assert_eq!(dead(&both), [(2, Dead::Covered(vec![0, 1]))]);
        let ring = ram(vec![of(&["oss:A", "oss:B"]), of(&["oss:B", "oss:C"]), of(&["oss:A", "oss:C"])]);
        assert_eq!(dead(&ring), [(2, Dead::Covered(vec![0, 1]))], "only one of them can go");
    }

    #[test]
    fn conditions_count() {
        let on = |values: &[&str], statement: Statement| {
            let values = values.iter().map(ToString::to_string).collect();
            let condition = Condition { operator: "StringEquals".into(), key: "k".into(), values };
            Statement { conditions: vec![condition], ..statement }
        };
        let plain = || allow(&["oss:A"], &[ALL]);
        assert_eq!(dead(&ram(vec![plain(), on(&["a"], plain())])), [(1, Dead::Covered(vec![0]))]);
        assert_eq!(
            dead(&ram(vec![on(&["a", "b"], plain()), on(&["b"], plain())])),
            [(1, Dead::Covered(vec![0]))]
        );
        assert_eq!(dead(&ram(vec![on(&["a"], plain()), on(&["b"], plain())])), []);
        assert_eq!(dead(&ram(vec![plain(), on(&["a"], deny(&["oss:*"], &[ALL]))])), []);
    }

    #[test]
    fn an_allow_that_is_denied_whole_is_dead_and_one_that_is_denied_in_part_is_not() {
        let put = || allow(&["oss:PutObject"], &[ONE]);
        assert_eq!(
            dead(&ram(vec![deny(&["oss:Put*"], &["*"]), put()])),
            [(1, Dead::Denied(vec![0]))],
            "and the deny is not called idle for it"
        );
        assert_eq!(dead(&ram(vec![put(), deny(&["oss:PutObject"], &["acs:oss:*:*:b/a/x"])])), []);
        let two = allow(&["oss:A", "oss:B"], &[ONE]);
        let denies = [deny(&["oss:A"], &["*"]), deny(&["oss:B"], &["*"])];
        let all = [denies.to_vec(), vec![two]].concat();
        assert_eq!(dead(&ram(all)), [(2, Dead::Denied(vec![0, 1]))]);
    }

    #[test]
    fn a_deny_is_idle_where_nothing_is_allowed() {
        let put = || allow(&["oss:PutObject"], &[ONE]);
        assert_eq!(dead(&ram(vec![put(), deny(&["oss:Delete*"], &["*"])])), [(1, Dead::Idle)]);
        assert_eq!(dead(&ram(vec![put(), deny(&["oss:*"], &["acs:oss:*:*:c/*"])])), [(1, Dead::Idle)]);
        assert_eq!(dead(&ram(vec![put(), deny(&["oss:*"], &["acs:oss:*:*:b/a/secret/*"])])), []);
    }

    #[test]
    fn a_variable_may_have_any_value() {
        let of = |resource: &str| allow(&["oss:PutObject"], &[resource]);
        let (any, own) = ("acs:oss:*:*:b/*", "acs:oss:*:*:b/{id}/*");
        assert_eq!(dead(&ram(vec![of(any), of(own)])), [(1, Dead::Covered(vec![0]))]);
        assert_eq!(dead(&ram(vec![of(own), of("acs:oss:*:*:b/hema/*")])), []);
        let secret = deny(&["oss:*"], &["acs:oss:*:*:b/hema/*"]);
        assert_eq!(dead(&ram(vec![of(own), secret])), [], "{{id}} may be hema");
        assert_eq!(beyond(&ram(vec![of(own)]), &ram(vec![of("acs:oss:*:*:b/hema/*")])), Vec::<usize>::new());
    }

    #[test]
    fn a_boundary_shuts_out_what_it_does_not_allow_or_denies_whole() {
        let role = ram(vec![
            allow(&["oss:PutObject"], &["acs:oss:*:*:b/*"]),
            allow(&["oss:PutObject"], &["acs:oss:*:*:c/*"]),
            allow(&["oss:GetObject"], &["acs:oss:*:*:b/*"]),
            deny(&["ecs:*"], &["*"]),
        ]);
        let boundary = ram(vec![allow(&["oss:*"], &["acs:oss:*:*:b/*"]), deny(&["oss:Get*"], &["*"])]);
        assert_eq!(beyond(&role, &boundary), [1, 2]);
        let cam = Policy { language: Language::Cam, ..boundary };
        assert_eq!(beyond(&role, &cam), Vec::<usize>::new());
    }

    fn without(policy: &Policy, indexes: &[usize]) -> Policy {
        let kept = policy.statements.iter().enumerate().filter(|(index, _)| !indexes.contains(index));
        Policy { language: policy.language, statements: kept.map(|(_, one)| one.clone()).collect() }
    }

    /// The document with a value in place of the letter `b` wherever that ends a resource, and with a variable there.
    fn with(policy: &Policy, value: &str) -> Policy {
        let mut policy = policy.clone();
        for resource in policy.statements.iter_mut().flat_map(|one| &mut one.resources) {
            if let Some(head) = resource.as_str().strip_suffix('b') {
                *resource = Pattern::parse(&format!("{head}{value}"));
            }
        }
        policy
    }

    /// What is allowed of the requests with as many colons as the language has.
    fn plain(policy: &Policy) -> Vec<bool> {
        let colons = |text: &str| text.matches(':').count();
        let all = requests().zip(allowed(policy));
        let plain = all.filter(|((action, resource, _), _)| colons(action) == 1 && colons(resource) == 4);
        plain.map(|(_, allowed)| allowed).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]

        #[test]
        fn what_is_dead_can_be_taken_out(policy in policies()) {
            let covered = |(index, why): (usize, Dead)| (why != Dead::Idle).then_some(index);
            let indexes: Vec<_> = dead(&policy).into_iter().filter_map(covered).collect();
            prop_assert_eq!(allowed(&without(&policy, &indexes)), allowed(&policy), "{:?}", indexes);
        }

        #[test]
        fn what_is_dead_is_so_for_every_value(policy in policies(), value in "(a|b|ab|ba|aa)") {
            let indexes: Vec<_> = dead(&with(&policy, "{v}")).into_iter().map(|(index, _)| index).collect();
            let bound = with(&policy, &value);
            prop_assert_eq!(plain(&without(&bound, &indexes)), plain(&bound), "{:?}", indexes);
        }

        #[test]
        fn what_is_beyond_a_boundary_gives_nothing(policy in policies(), boundary in policies()) {
            let less = without(&policy, &beyond(&policy, &boundary));
            let (Ok(a), Ok(b)) = (narrow(&policy, &boundary), narrow(&less, &boundary)) else { return Ok(()) };
            prop_assert_eq!(allowed(&a), allowed(&b));
        }
    }

    /// The properties say nothing of documents in which nothing is dead.
    #[test]
    fn something_is_often_dead() {
        use proptest::strategy::ValueTree;
        use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
        let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
        let mut runner = TestRunner::new_with_rng(Config::default(), rng);
        let mut draw = || policies().new_tree(&mut runner).unwrap().current();
        let (mut kinds, mut shut) = ([0; 3], 0);
        for _ in 0..500 {
            let policy = draw();
            for (_, why) in dead(&policy) {
                kinds[match why {
                    Dead::Covered(_) => 0,
                    Dead::Denied(_) => 1,
                    Dead::Idle => 2,
                }] += 1;
            }
            shut += usize::from(!beyond(&policy, &draw()).is_empty());
        }
        assert!(kinds.iter().all(|count| *count > 10) && shut > 50, "{kinds:?} {shut}");
    }
}
