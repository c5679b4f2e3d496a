use super::*;
use crate::testing::allow;
use VariableType::{Int, Path, Slug, Uuid};
use proptest::prelude::*;

fn declared(variables: &[(&str, VariableType)]) -> BTreeMap<String, VariableType> {
    variables.iter().map(|(name, kind)| ((*name).to_owned(), kind.clone())).collect()
}

fn values(values: &[(&str, &str)]) -> BTreeMap<String, String> {
    values.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn on(resource: &str) -> Policy {
    allow(Language::Ram, "oss:PutObject", resource)
}

fn template(resource: &str, variables: &[(&str, VariableType)]) -> Result<Template, String> {
    Template::new(on(resource), &declared(variables)).map_err(|bad| bad.0)
}

fn with_value(text: &str) -> Policy {
    let mut policy = on("*");
    policy.statements[0].conditions = vec![Condition {
        operator: "StringLike".into(),
        key: "oss:Prefix".into(),
        values: vec!["a".into(), text.to_owned()],
    }];
    policy
}

#[test]
fn values_are_put_into_resources_and_conditions() {
    let resource = "acs:oss:*:*:bucket/{tenant_code}/{poi_id}/*";
    let bound = template(resource, &[("tenant_code", Slug), ("poi_id", Slug)])
        .unwrap()
        .bind(&values(&[("tenant_code", "hema"), ("poi_id", "8005")]))
        .unwrap();
    assert_eq!(bound, on("acs:oss:*:*:bucket/hema/8005/*"));

    let variables = declared(&[("poi_id", Int)]);
    let bound = Template::new(with_value("{poi_id}/*"), &variables).unwrap();
    let bound = bound.bind(&values(&[("poi_id", "8005")])).unwrap();
    assert_eq!(bound.statements[0].conditions[0].values, ["8005/*", "a"], "sorted again");
}

#[test]
fn equal_values_of_a_condition_become_one() {
    let template = Template::new(with_value("{x}"), &declared(&[("x", Slug)])).unwrap();
    let bound = template.bind(&values(&[("x", "a")])).unwrap();
    assert_eq!(bound.statements[0].conditions[0].values, ["a"]);
}

#[test]
fn a_value_of_another_type_is_refused_with_its_name() {
    let in_resource = template("a/{id}/*", &[("id", Slug)]).unwrap();
    let in_condition = Template::new(with_value("{id}"), &declared(&[("id", Slug)])).unwrap();
    for value in ["*", "", "a*", "a/b", "..", "{id}", "{other}", "a?", "a:b", "a\u{0}"] {
        for template in [&in_resource, &in_condition] {
            let bad = template.bind(&values(&[("id", value)])).unwrap_err();
            assert_eq!((bad.name.as_str(), bad.expected), ("id", Slug.expected()), "{value:?}");
        }
    }
    assert_eq!(in_resource.bind(&values(&[])).unwrap_err().name, "id");
}

#[test]
fn a_literal_star_stays_out_even_past_its_type() {
    let slots = [Slot::Text("a*".into()), Slot::Variable("id".into(), Slug)];
    assert_eq!(bind_pattern(&slots, &values(&[("id", "1")])).unwrap_err().name, "id");
}

#[test]
fn what_does_not_hold_together_is_said() {
    for (resource, variables, message) in [
        ("a/{x}", vec![], "the variable `x` is not declared"),
        ("a", vec![("x", Slug)], "the variable `x` is declared, but the policy does not use it"),
        ("a/{x", vec![("x", Slug)], "`{` without `}`"),
        ("a/x}", vec![("x", Slug)], "`}` without `{`"),
        ("{x}}", vec![("x", Slug)], "`}` without `{`"),
        ("{{x}}", vec![("x", Slug)], "`{{x}` is no variable"),
        ("a/{}", vec![], "`{}` is no variable"),
        ("a/{ x }", vec![("x", Slug)], "`{ x }` is no variable"),
        ("a/{x*}", vec![("x", Slug)], "`{x*}` is no variable"),
        ("a/${x}", vec![("x", Slug)], "without the `$`"),
        ("a/{p}/{q}", vec![("p", Path), ("q", Path)], "two paths"),
    ] {
        let said = template(resource, &variables).unwrap_err();
        assert!(said.contains(message), "{resource}: {said}");
        assert!(said.contains(resource) || variables.len() == 1, "{resource}: {said}");
    }
}

#[test]
fn a_value_says_on_what_and_never_what() {
    let variables = declared(&[("x", Slug)]);
    let action = Template::new(allow(Language::Ram, "oss:{x}", "b/{x}"), &variables);
    assert!(action.unwrap_err().0.contains("an action cannot hold a variable"));
    for change in
        [|c: &mut Condition| c.operator = "{x}".into(), |c: &mut Condition| c.key = "oss:{x}".into()]
    {
        let mut policy = with_value("{x}");
        change(&mut policy.statements[0].conditions[0]);
        assert!(Template::new(policy, &variables).unwrap_err().0.contains("cannot hold a variable"));
    }
}

// The attack: the value `1` reaches what belongs to `10`, or `a` with `b-c` what belongs to `a-b` with `c`.
#[test]
fn a_value_ends_where_the_operator_meant_it_to() {
    for (resource, variables, fine) in [
        ("user/{x}", vec![("x", Slug)], true),
        ("user/{x}/*", vec![("x", Slug)], true),
        ("*/{x}/*", vec![("x", Slug)], true),
        ("app-{x}", vec![("x", Slug)], true),
        ("{x}-data", vec![("x", Slug)], true),
        ("*:user-{x}.txt", vec![("x", Slug)], true),
        ("user/{x}*", vec![("x", Slug)], false),
        ("user/{x}-*", vec![("x", Slug)], false),
        ("user/*{x}", vec![("x", Slug)], false),
        ("user/*_{x}", vec![("x", Slug)], false),
        ("user/{x}?", vec![("x", Slug)], false),
        ("user/{x}-*", vec![("x", Int)], true),
        ("user/{x}0*", vec![("x", Int)], false),
        ("user/{x}g*", vec![("x", Uuid)], true),
        ("user/{x}{y}", vec![("x", Slug), ("y", Slug)], false),
        ("user/{x}-{y}", vec![("x", Slug), ("y", Slug)], false),
        ("user/{x}/{y}", vec![("x", Slug), ("y", Slug)], true),
        ("user/{x}-{y}", vec![("x", Int), ("y", Int)], true),
        ("b/{x}/*", vec![("x", Path)], true),
        ("b/{x}.*", vec![("x", Path)], false),
        ("b/{x}/{y}/*", vec![("x", Slug), ("y", Path)], true),
        ("b/{x}/{y}", vec![("x", Path), ("y", Slug)], true),
        ("b/{x}.{y}", vec![("x", Slug), ("y", Path)], false),
        ("b/*/{x}", vec![("x", Path)], false),
        ("acs:oss:*:*:b/{x}/*", vec![("x", Path)], true),
    ] {
        let made = template(resource, &variables);
        assert_eq!(made.is_ok(), fine, "{resource}: {made:?}");
        let condition = Template::new(with_value(resource), &declared(&variables));
        assert_eq!(condition.is_ok(), fine, "{resource} in a condition");
    }
}

#[test]
fn a_type_of_ones_own_ends_where_its_letters_do() {
    let stage = || VariableType::one_of(vec!["test".into(), "prod".into()]).unwrap();
    let store = || VariableType::pattern("[a-z]{2}-[0-9]{4}").unwrap();
    for (resource, kind, fine) in [
        ("b/{x}/*", stage(), true),
        ("b/{x}-*", stage(), true),
        ("b/{x}s*", stage(), false),
        ("b/{x}*", stage(), false),
        ("b/{x}/*", store(), true),
        ("b/{x}_*", store(), true),
        ("b/{x}-*", store(), false),
        ("b/{x}0*", store(), false),
    ] {
        let made = template(resource, &[("x", kind)]);
        assert_eq!(made.is_ok(), fine, "{resource}: {made:?}");
    }
    let made = template("b/{x}/*", &[("x", store())]).unwrap();
    assert_eq!(made.bind(&values(&[("x", "cn-0001")])).unwrap(), on("b/cn-0001/*"));
    for value in ["cn-00010", "cn-000", "*", "cn-*", "cn-0001/x", "cn-000\u{ff11}"] {
        let bad = made.bind(&values(&[("x", value)])).unwrap_err();
        assert_eq!(bad.expected, "of the form [a-z]{2}-[0-9]{4}", "{value}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    // Under any template that is accepted, different values give texts of their own: what one binding reaches
    // cannot be a literal text of another one.
    #[test]
    fn different_values_never_reach_each_other(
        resource in "([ab/*-]|[{]x[}]|[{]y[}]){1,6}",
        one in ("[ab-]{1,3}", "[ab-]{1,3}"),
        other in ("[ab-]{1,3}", "[ab-]{1,3}"),
    ) {
        prop_assume!(one.0 != other.0 || one.1 != other.1);
        let (x, y) = (resource.contains("{x}"), resource.contains("{y}"));
        let mut variables = vec![];
        if x { variables.push(("x", Slug)); }
        if y { variables.push(("y", Slug)); }
        let Ok(template) = template(&resource, &variables) else { return Ok(()) };
        let bind = |pair: &(String, String)| template.bind(&values(&[("x", &pair.0), ("y", &pair.1)]));
        let (Ok(first), Ok(second)) = (bind(&one), bind(&other)) else { return Ok(()) };
        // Only the variables that stand in the text make a difference.
        prop_assume!(x && one.0 != other.0 || y && one.1 != other.1);
        let pattern = |policy: &Policy| policy.statements[0].resources[0].clone();
        let (first, second) = (pattern(&first), pattern(&second));
        prop_assert_ne!(&first, &second);
        if first.is_literal() {
            prop_assert!(!second.matches(&first.to_string()));
        }
    }

    #[test]
    fn no_brace_survives_and_nothing_panics(resource in "[ax{}*$/]{0,8}", value in "[a-c{}*]{0,4}") {
        for variables in [vec![], vec![("x", Slug)], vec![("a", Path), ("x", Int)]] {
            let Ok(template) = template(&resource, &variables) else { continue };
            if let Ok(bound) = template.bind(&values(&[("x", &value), ("a", &value)])) {
                let text = bound.statements[0].resources[0].to_string();
                let braces = ['{', '}'];
                prop_assert!(!text.contains(braces));
                prop_assert_eq!(text.matches('*').count(), resource_stars(&resource));
            }
        }
    }
}

/// The wildcards that the operator wrote: a run of stars counts once.
fn resource_stars(resource: &str) -> usize {
    Pattern::parse(resource).pieces().iter().filter(|piece| **piece == Piece::Any).count()
}

#[test]
fn the_longest_policy_is_as_long_as_any_that_is_bound() {
    let long = |length: usize| "x".repeat(length);
    let (slug, path) = (long(64), [long(63), long(64), long(63), long(63)].join("/"));
    assert_eq!(path.len(), 256);
    let template = template("acs:oss:*:*:b/{dir}/{file}/{dir}", &[("dir", Slug), ("file", Path)]).unwrap();
    let [longest, bound] =
        [template.longest(), template.bind(&values(&[("dir", &slug), ("file", &path)])).unwrap()];
    let resource = |policy: &Policy| policy.statements[0].resources[0].as_str().to_owned();
    assert_eq!(resource(&longest).len(), resource(&bound).len());
    let text = resource(&longest);
    let parts: Vec<_> = text.strip_prefix("acs:oss:*:*:b/").unwrap().split('/').collect();
    assert_eq!((parts.len(), parts[0]), (3, parts[2]), "one value for each variable: {text}");
    assert!(text.chars().all(|c| c.is_ascii_alphanumeric() || ":*/_-".contains(c)), "{text}");
    assert_eq!(template.written(), on("acs:oss:*:*:b/{dir}/{file}/{dir}"));
}
