//! What must hold for any documents whatever, compared with an evaluator that was written apart.

use super::{
    Access, Change, Condition, Decision, Effect, Language, Pattern, Policy, Statement, Truth, brute, compare,
    covers, decide, narrow, within,
};
use crate::dialect::{Form, Issue, RoleChoice};
use crate::policy::{Template, authorize};
use crate::role::Role;
use crate::testing::World;
use crate::triple::TripleKind;
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

/// What conditions may ask about: the value of the key `k`, and of the key `n`.
pub(super) type Facts = (Option<&'static str>, Option<&'static str>);

/// A value that nobody can read.
const UNREADABLE: &str = "?";

const FACTS: [Facts; 6] = [
    (None, None),
    (Some("a"), None),
    (Some("b"), Some("a")),
    (Some("ab"), Some("b")),
    (Some(UNREADABLE), Some("a")),
    (Some("a"), Some(UNREADABLE)),
];

const ACTIONS: [&str; 8] = ["s:a", "s:b", "s:ab", "s:ba", "t:a", "t:ab", "a", "s:a:b"];

/// Resources over small alphabets: enough that each pattern below matches some and misses some.
static RESOURCES: LazyLock<Vec<String>> = LazyLock::new(|| {
    let mut all: Vec<String> = ["", "a", "b", "ab", "a:b"].map(str::to_owned).into();
    for region in ["", "r"] {
        for account in ["1", "10"] {
            for name in ["", "a", "b", "aa", "ab", "ba", "a/b", "a:b", "aba", "abb"] {
                all.push(format!("acs:oss:{region}:{account}:{name}"));
            }
        }
    }
    all
});

/// Every request, in the order in which [`allowed`] answers them.
pub(super) fn requests() -> impl Iterator<Item = (&'static str, &'static str, Facts)> {
    let with_facts =
        |action, resource: &'static String| FACTS.map(|facts| (action, resource.as_str(), facts));
    ACTIONS.into_iter().flat_map(move |a| RESOURCES.iter().flat_map(move |r| with_facts(a, r)))
}

fn holds(condition: &Condition, (k, n): Facts) -> Truth {
    let value = if condition.key == "k" { k } else { n };
    let matches = |value: &str| {
        condition.values.iter().any(|wanted| match condition.operator.as_str() {
            "StringLike" => brute::glob(wanted, value),
            _ => wanted == value,
        })
    };
    match (value, condition.operator.as_str()) {
        (Some(UNREADABLE), _) => Truth::Unknown,
        (None, "StringNotEquals" | "IfExists") => Truth::True,
        (None, _) => Truth::False,
        (Some(value), "StringNotEquals") => Truth::from(!matches(value)),
        (Some(value), _) => Truth::from(matches(value)),
    }
}

/// For each request whether the document allows it, as its definition says and by no faster way.
pub(super) fn allowed(policy: &Policy) -> Vec<bool> {
    let tables: Vec<_> =
        policy.statements.iter().map(|statement| table(policy.language, statement)).collect();
    (0..ACTIONS.len() * RESOURCES.len() * FACTS.len())
        .map(|at| {
            let (action, rest) = (at / (RESOURCES.len() * FACTS.len()), at % (RESOURCES.len() * FACTS.len()));
            let (resource, facts) = (rest / FACTS.len(), rest % FACTS.len());
            let any = |effect| {
                tables.iter().any(|(of, a, r, f)| *of == effect && a[action] && r[resource] && f[facts])
            };
            any(Effect::Allow) && !any(Effect::Deny)
        })
        .collect()
}

/// To which actions, resources and facts a statement applies.
fn table(language: Language, statement: &Statement) -> (Effect, Vec<bool>, Vec<bool>, Vec<bool>) {
    let any = |patterns: &[Pattern], text: &str, segments: usize| {
        patterns.iter().any(|pattern| match statement.effect {
            Effect::Allow => in_segments(&pattern.to_string(), text, segments),
            Effect::Deny => brute::glob(&pattern.to_string(), text),
        })
    };
    let segments = if language == Language::Ram { 5 } else { 6 };
    (
        statement.effect,
        ACTIONS.iter().map(|action| any(&statement.actions, action, 2)).collect(),
        RESOURCES.iter().map(|resource| any(&statement.resources, resource, segments)).collect(),
        FACTS.iter().map(|facts| applies(statement, *facts)).collect(),
    )
}

/// Whether the conditions let a statement apply: an allow needs to know it, a deny only not to know the contrary.
fn applies(statement: &Statement, facts: Facts) -> bool {
    statement.conditions.iter().all(|condition| match statement.effect {
        Effect::Allow => holds(condition, facts) == Truth::True,
        Effect::Deny => holds(condition, facts) != Truth::False,
    })
}

/// The first request that one allows and the other does not, by what [`allowed`] says of each.
fn beyond(inner: &[bool], outer: &[bool]) -> Option<(&'static str, &'static str, Facts)> {
    requests().zip(inner.iter().zip(outer)).find(|(_, (i, o))| **i && !**o).map(|(request, _)| request)
}

fn in_segments(pattern: &str, text: &str, segments: usize) -> bool {
    let patterns: Vec<_> = pattern.splitn(segments, ':').collect();
    if patterns.len() < segments {
        return brute::glob(pattern, text);
    }
    let texts: Vec<_> = text.splitn(segments, ':').collect();
    texts.len() == segments && patterns.iter().zip(texts).all(|(pattern, text)| brute::glob(pattern, text))
}

fn actions() -> impl Strategy<Value = String> {
    prop_oneof![Just("*".to_owned()), "[st*]:[ab*]{1,3}", "[st]:[*]", "[ab*]{1,3}",]
}

fn resources() -> impl Strategy<Value = String> {
    prop_oneof![
        1 => Just("*".to_owned()),
        6 => "acs:oss:(r|[*]|):(1|10|1[*]|[*]):[ab*]{0,4}",
        1 => "acs:oss:(r|[*]|):(1|[*]):a/[b*]",
        1 => "acs:[*]",
        1 => "[ab:*]{0,4}",
    ]
}

fn conditions() -> impl Strategy<Value = Vec<Condition>> {
    let operator = prop_oneof![
        4 => Just("StringEquals"),
        1 => Just("StringLike"),
        1 => Just("StringNotEquals"),
        1 => Just("IfExists"),
    ];
    let value = prop_oneof![Just("a"), Just("b"), Just("ab"), Just("a*")];
    let one = (operator, prop_oneof![Just("k"), Just("n")], vec(value, 1..3)).prop_map(
        |(operator, key, values)| {
            let mut values: Vec<String> = values.into_iter().map(str::to_owned).collect();
            values.sort_unstable();
            values.dedup();
            Condition { operator: operator.into(), key: key.into(), values }
        },
    );
    prop_oneof![3 => Just(vec![]), 2 => vec(one, 1..3)].prop_map(|mut conditions| {
        // A document has one place for each operator and key.
        conditions.sort_by(|a, b| (&a.operator, &a.key).cmp(&(&b.operator, &b.key)));
        conditions.dedup_by(|a, b| a.operator == b.operator && a.key == b.key);
        conditions
    })
}

fn statements() -> impl Strategy<Value = Statement> {
    let effect = prop_oneof![4 => Just(Effect::Allow), 1 => Just(Effect::Deny)];
    let parse = |texts: Vec<String>| texts.iter().map(|text| Pattern::parse(text)).collect();
    (effect, vec(actions(), 1..3), vec(resources(), 1..3), conditions()).prop_map(
        move |(effect, actions, resources, conditions)| Statement {
            effect,
            actions: parse(actions),
            resources: parse(resources),
            conditions,
        },
    )
}

pub(super) fn policies() -> impl Strategy<Value = Policy> {
    vec(statements(), 1..4).prop_map(|statements| Policy { language: Language::Ram, statements })
}

/// What a credential issued for these four would carry, or nothing where it is refused.
fn issued(role: &Policy, client: &Policy, tenant: &Policy, asked: Option<Policy>) -> Option<Policy> {
    let mut world = World::new();
    let template = Template::new(role.clone(), &BTreeMap::new()).expect("no variables");
    let first = world.plan.roles.first_mut().expect("a role");
    *first = Arc::new(Role { policy: Some(template), ..Role::clone(first) });
    world.client.boundary = Some(client.clone());
    Arc::make_mut(world.plan.tenants.first_mut().expect("a tenant")).boundary = Some(tenant.clone());
    let issue = Issue { policy: asked, ..Issue::new(RoleChoice::Default, Form::Triple(TripleKind::Alibaba)) };
    let authorized = authorize(&world.directory(), &world.caller("AKIDworld"), "/", &issue).ok()?;
    Some(authorized.policy().expect("a signing credential has a policy").clone())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn deciding_is_what_the_definition_says(policy in policies()) {
        for ((action, resource, facts), expected) in requests().zip(allowed(&policy)) {
            let decision = decide(&policy, Access { action, resource }, &|condition| holds(condition, facts));
            prop_assert_eq!(matches!(decision, Decision::Allowed(_)), expected, "{} {}", action, resource);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn narrowing_allows_exactly_what_both_allow(a in policies(), b in policies()) {
        let Ok(both) = narrow(&a, &b) else { return Ok(()) };
        let expected: Vec<bool> = allowed(&a).into_iter().zip(allowed(&b)).map(|(a, b)| a && b).collect();
        prop_assert_eq!(allowed(&both), expected, "{:?}", both);
    }

    #[test]
    fn narrowing_knows_no_order_and_has_nothing_more_to_take(a in policies(), b in policies()) {
        let (Ok(both), Ok(other)) = (narrow(&a, &b), narrow(&b, &a)) else { return Ok(()) };
        prop_assert_eq!(allowed(&both), allowed(&other));
        prop_assert_eq!(narrow(&both, &both), Ok(both));
    }

    // Stated precisely: where `covers(outer, inner)` says yes, whatever inner's allowing statements allow, outer's
    // allowing statements allow. Denies of outer are not counted: narrowing puts them into the result.
    #[test]
    fn what_is_covered_is_allowed(outer in policies(), inner in policies(), take in any::<bool>()) {
        // Random documents seldom cover each other; what both have in common often does.
        let inner = if take { narrow(&outer, &inner).unwrap_or(inner) } else { inner };
        let only_allows = |policy: &Policy| {
            let allows = policy.statements.iter().filter(|s| s.effect == Effect::Allow);
            Policy { language: policy.language, statements: allows.cloned().collect() }
        };
        if covers(&outer, &inner).is_ok() {
            prop_assert_eq!(beyond(&allowed(&only_allows(&inner)), &allowed(&only_allows(&outer))), None);
        }
    }

    // The converse is not stated: what cannot be told is taken for a change.
    #[test]
    fn what_lies_within_is_allowed(outer in policies(), inner in policies(), take in any::<bool>()) {
        // Random documents seldom lie within each other; what both have in common does.
        let inner = if take { narrow(&outer, &inner).unwrap_or(inner) } else { inner };
        if within(&inner, &outer) {
            prop_assert_eq!(beyond(&allowed(&inner), &allowed(&outer)), None);
        }
        if compare(&inner, &outer) == Change::Same {
            prop_assert_eq!(allowed(&inner), allowed(&outer));
        }
    }

    #[test]
    fn every_document_covers_itself_but_for_its_denies(policy in policies()) {
        let mut policy = policy;
        policy.statements.retain(|statement| statement.effect == Effect::Allow);
        prop_assert_eq!(covers(&policy, &policy), Ok(()));
    }

    #[test]
    fn issued_policy_never_exceeds_any_parent(
        role in policies(),
        client in policies(),
        tenant in policies(),
        ask in policies(),
        form in 0..3,
    ) {
        // Without an ask; with any ask, which is mostly refused as too wide; with one cut to what is left.
        let asked = match form {
            0 => None,
            1 => Some(ask),
            _ => chain(&[&role, &client, &tenant, &ask]).filter(|cut| !cut.allows_nothing()),
        };
        let mut parents = vec![&role, &client, &tenant];
        parents.extend(&asked);
        let results = [chain(&parents), issued(&role, &client, &tenant, asked.clone())];
        let parents: Vec<_> = parents.into_iter().map(|parent| (parent, allowed(parent))).collect();
        for result in results.iter().flatten() {
            let allowed = allowed(result);
            for (parent, allows) in &parents {
                prop_assert_eq!(beyond(&allowed, allows), None, "{:?} is not in {:?}", result, parent);
            }
        }
    }
}

/// All of them narrowed into one, where that can be told.
fn chain(parents: &[&Policy]) -> Option<Policy> {
    let (first, others) = parents.split_first()?;
    others.iter().try_fold(Policy::clone(first), |policy, other| narrow(&policy, other)).ok()
}

/// The properties above say nothing where a thing cannot be told or is refused. So most must be told, and asks that
/// fit be granted.
#[test]
fn the_properties_are_not_empty() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let mut draw = || policies().new_tree(&mut runner).expect("a document").current();
    let (mut told, mut something, mut granted, mut cut) = (0, 0, 0, 0);
    for _ in 0..300 {
        let (role, client, tenant, ask) = (draw(), draw(), draw(), draw());
        let pair = narrow(&role, &client);
        told += u32::from(pair.is_ok());
        something += u32::from(pair.is_ok_and(|policy| !policy.allows_nothing()));
        granted += u32::from(issued(&role, &client, &tenant, None).is_some());
        let asked = chain(&[&role, &client, &tenant, &ask]);
        cut += u32::from(asked.is_some_and(|asked| issued(&role, &client, &tenant, Some(asked)).is_some()));
    }
    assert!(told > 200 && something > 150 && granted > 50 && cut > 20, "{told} {something} {granted} {cut}");
}
