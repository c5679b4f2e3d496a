//! CAM's operators in tables: operator, values of the policy, values of the request, answer.

use super::*;
use crate::tencent::policy::parse;
use Truth::{False, True, Unknown};
use daypass_core::policy::Effect;
use proptest::prelude::*;
use proptest::sample::select;

fn texts(values: &[&str]) -> Vec<String> {
    values.iter().map(ToString::to_string).collect()
}

fn truth(operator: &str, wanted: &[&str], found: &[&str]) -> Truth {
    let condition = Condition { operator: operator.into(), key: "k".into(), values: texts(wanted) };
    let context = if found.is_empty() { Context::new() } else { Context::from([("k".into(), texts(found))]) };
    holds(&condition, &context)
}

/// Each operator with one value of the policy and one of the request.
const PAIRS: &[(&str, &str, &str, Truth)] = &[
    ("string_equal", "a", "a", True),
    ("string_equal", "a", "A", False),
    ("string_equal", "a*", "ab", False),
    ("string_equal", "", "", True),
    ("string_not_equal", "a", "a", False),
    ("string_not_equal", "a", "A", True),
    ("string_equal_ignore_case", "a", "A", True),
    ("string_equal_ignore_case", "a", "b", False),
    ("string_equal_ignore_case", "é", "É", Unknown),
    ("string_not_equal_ignore_case", "a", "A", False),
    ("string_not_equal_ignore_case", "a", "b", True),
    ("string_like", "image/*", "image/png", True),
    ("string_like", "image/*", "image/", True),
    ("string_like", "image/*", "text/image/png", False),
    ("string_like", "*.jpg", "a.jpg", True),
    ("string_like", "a?", "ab", Unknown),
    ("string_like", "a?", "a?", True),
    ("string_like", "a?", "b", False),
    ("string_not_like", "image/*", "image/png", False),
    ("string_not_like", "image/*", "text/plain", True),
    ("string_not_like", "a?", "ab", Unknown),
    ("numeric_equal", "1024", "1024.0", True),
    ("numeric_equal", "1024", "1025", False),
    ("numeric_not_equal", "1024", "1025", True),
    ("numeric_not_equal", "1024", "01024", False),
    ("numeric_less_than", "10", "9", True),
    ("numeric_less_than", "10", "10", False),
    ("numeric_less_than_equal", "10", "10", True),
    ("numeric_less_than_equal", "10", "11", False),
    ("numeric_greater_than", "10", "11", True),
    ("numeric_greater_than", "10", "10", False),
    ("numeric_greater_than_equal", "-1.5", "-1.50", True),
    ("numeric_greater_than_equal", "-1.5", "-2", False),
    ("numeric_less_than", "10", "many", Unknown),
    ("numeric_less_than", "10", "1e0", Unknown),
    ("date_equal", "2026-06-01T00:00:00Z", "2026-06-01T08:00:00+08:00", True),
    ("date_not_equal", "2026-06-01T00:00:00Z", "2026-06-01T00:00:01Z", True),
    ("date_less_than", "2026-06-01T00:00:00Z", "2026-05-31T23:59:59Z", True),
    ("date_less_than", "2026-06-01T00:00:00Z", "2026-06-01T00:00:00Z", False),
    ("date_less_than_equal", "2026-06-01T00:00:00Z", "2026-06-01T00:00:00Z", True),
    ("date_greater_than", "2026-06-01T00:00:00Z", "2026-06-01T00:00:00.001Z", True),
    ("date_greater_than_equal", "2026-06-01T00:00:00Z", "2026-05-31T23:59:59Z", False),
    ("date_less_than", "2026-06-01T00:00:00Z", "tomorrow", Unknown),
    ("date_less_than", "2026-06-01T00:00:00Z", "2026-05-01 00:00:00", Unknown),
    ("bool_equal", "true", "true", True),
    ("bool_equal", "true", "false", False),
    ("bool_equal", "true", "TRUE", Unknown),
    ("bool_equal", "false", "0", Unknown),
    ("binary_equal", "QQ==", "QQ==", True),
    ("binary_equal", "QQ==", "Qg==", False),
    ("binary_equal", "QQ==", "A", Unknown),
    ("ip_equal", "10.217.182.3/24", "10.217.182.200", True),
    ("ip_equal", "10.217.182.3/24", "10.217.183.1", False),
    ("ip_equal", "10.217.182.3/24", "::ffff:10.217.182.9", True),
    ("ip_equal", "10.217.182.3/24", "10.217.182.9:443", Unknown),
    ("ip_equal", "10.217.182.3/24", "10.217.182.9, 1.1.1.1", Unknown),
    ("ip_not_equal", "10.0.0.0/8", "11.0.0.1", True),
    ("ip_not_equal", "10.0.0.0/8", "10.0.0.1", False),
    ("ip_not_equal", "10.0.0.0/8", "localhost", Unknown),
    ("null_equal", "true", "a", False),
    ("null_equal", "false", "a", True),
];

#[test]
fn operators_compare_what_their_names_say() {
    for (operator, wanted, found, expected) in PAIRS {
        assert_eq!(truth(operator, &[wanted], &[found]), *expected, "{operator} {wanted} {found}");
        if *operator == "null_equal" {
            continue;
        }
        // With one value, neither prefix nor suffix changes anything.
        for prefix in ["", "for_any_value:", "for_all_value:"] {
            for suffix in ["", "_if_exist"] {
                let name = format!("{prefix}{operator}{suffix}");
                assert_eq!(truth(&name, &[wanted], &[found]), *expected, "{name} {wanted} {found}");
            }
        }
    }
}

#[test]
fn every_operator_that_is_taken_is_in_the_table() {
    for name in PAIRS.iter().map(|pair| pair.0) {
        assert!(rule_of(name).is_some());
    }
    let mut named: Vec<_> = PAIRS.iter().map(|pair| pair.0).collect();
    named.dedup();
    assert_eq!(named.iter().collect::<std::collections::BTreeSet<_>>().len(), 23);
}

#[test]
fn an_absent_key_satisfies_nothing_but_what_asks_for_it() {
    let negated =
        ["string_not_equal", "string_not_like", "numeric_not_equal", "date_not_equal", "ip_not_equal"];
    for name in
        negated.into_iter().chain(PAIRS.iter().map(|pair| pair.0)).filter(|name| *name != "null_equal")
    {
        let wanted = &[PAIRS.iter().find(|pair| pair.0 == name).unwrap().1];
        for (operator, expected) in [
            (name.to_owned(), False),
            (format!("for_any_value:{name}"), False),
            (format!("for_all_value:{name}"), Unknown),
            (format!("{name}_if_exist"), True),
            (format!("for_any_value:{name}_if_exist"), True),
            (format!("for_all_value:{name}_if_exist"), True),
        ] {
            assert_eq!(truth(&operator, wanted, &[]), expected, "{operator}");
        }
    }
    assert_eq!(truth("null_equal", &["true"], &[]), True);
    assert_eq!(truth("null_equal", &["false"], &[]), False);
    for undocumented in ["null_equal_if_exist", "for_any_value:null_equal", "for_all_value:null_equal"] {
        assert_eq!(truth(undocumented, &["true"], &[]), Unknown, "{undocumented}");
        assert_eq!(truth(undocumented, &["true"], &["true"]), Unknown, "{undocumented}");
    }
}

#[test]
fn a_key_without_a_value_is_absent_and_one_in_another_case_is_another_key() {
    let condition =
        Condition { operator: "string_equal".into(), key: "qcs:uin".into(), values: texts(&["1"]) };
    for (key, values, expected) in [
        ("qcs:uin", &["1"][..], True),
        ("qcs:uin", &[], False),
        ("qcs:Uin", &["1"], False),
        ("uin", &["1"], False),
    ] {
        assert_eq!(
            holds(&condition, &Context::from([(key.into(), texts(values))])),
            expected,
            "{key} {values:?}"
        );
    }
}

/// Several values on either side.
#[test]
fn several_values() {
    for (operator, wanted, found, expected) in [
        ("string_equal", &["a", "b"][..], &["b"][..], True),
        ("string_equal", &["a", "b"], &["c"], False),
        ("string_equal", &["a", "b"], &["a", "b"], True),
        ("string_equal", &["a", "b"], &["a", "c"], Unknown),
        ("string_equal", &["a", "b"], &["c", "d"], False),
        ("for_any_value:string_equal", &["a", "b"], &["a", "c"], True),
        ("for_any_value:string_equal", &["a", "b"], &["c", "d"], False),
        ("for_all_value:string_equal", &["a", "b"], &["a", "c"], False),
        ("for_all_value:string_equal", &["a", "b"], &["a", "b"], True),
        ("for_all_value:string_equal", &["a", "b"], &["b", "b"], True),
        // Of several values under a negation the vendor's page says one thing and its reader expects another.
        ("string_not_equal", &["a", "b"], &["c"], True),
        ("string_not_equal", &["a", "b"], &["a"], Unknown),
        ("string_not_equal", &["a"], &["a", "b"], Unknown),
        ("for_any_value:string_not_equal", &["a"], &["a", "b"], True),
        ("for_all_value:string_not_equal", &["a"], &["a", "b"], False),
        ("for_all_value:string_not_equal", &["a", "b"], &["a", "c"], Unknown),
        ("ip_not_equal", &["10.0.0.0/8", "192.168.0.0/16"], &["10.0.0.1"], Unknown),
        ("ip_not_equal", &["10.0.0.0/8", "10.0.0.0/16"], &["10.0.0.1"], False),
        ("numeric_less_than", &["10", "20"], &["15"], True),
        ("numeric_less_than", &["10", "20"], &["25"], False),
        ("for_any_value:numeric_less_than", &["10"], &["5", "many"], True),
        ("for_any_value:numeric_less_than", &["10"], &["15", "many"], Unknown),
        ("for_all_value:numeric_less_than", &["10"], &["15", "many"], False),
        ("for_all_value:numeric_less_than", &["10"], &["5", "many"], Unknown),
        ("null_equal", &["false", "true"], &["a"], True),
    ] {
        assert_eq!(truth(operator, wanted, found), expected, "{operator} {wanted:?} {found:?}");
    }
}

const READ: (&str, &str) = ("cos:GetObject", "qcs::cos:ap-beijing:uid/1250000000:pics-1250000000/a.jpg");

fn ask(effect: &str, condition: &str, context: &Context) -> Decision {
    let text = format!(
        r#"{{"version":"2.0","statement":[{{"effect":"allow","action":"*","resource":"*"}},
            {{"effect":"{effect}","action":"cos:GetObject","resource":"*","condition":{condition}}}]}}"#
    );
    let mut policy = parse(&text).unwrap();
    if effect == "allow" {
        policy.statements.remove(0);
    }
    allows(&policy, READ.0, READ.1, context)
}

#[test]
fn a_document_decides_a_request() {
    let from = |ip: &str, time: &str| {
        Context::from([("qcs:ip".into(), texts(&[ip])), ("qcs:current_time".into(), texts(&[time]))])
    };
    let both = r#"{"ip_equal":{"qcs:ip":"10.0.0.0/8"},"date_less_than":{"qcs:current_time":"2026-06-01T00:00:00Z"}}"#;
    for (context, allow, deny) in [
        (from("10.1.1.1", "2026-05-01T00:00:00Z"), Decision::Allowed(0), Decision::Denied(1)),
        (from("11.1.1.1", "2026-05-01T00:00:00Z"), Decision::NoMatch, Decision::Allowed(0)),
        (from("10.1.1.1", "2026-07-01T00:00:00Z"), Decision::NoMatch, Decision::Allowed(0)),
        (Context::new(), Decision::NoMatch, Decision::Allowed(0)),
        // What cannot be read opens nothing and gets past nothing, but a condition that is false is false.
        (from("unknown", "2026-05-01T00:00:00Z"), Decision::NoMatch, Decision::Denied(1)),
        (from("unknown", "2026-07-01T00:00:00Z"), Decision::NoMatch, Decision::Allowed(0)),
    ] {
        assert_eq!(ask("allow", both, &context), allow, "{context:?}");
        assert_eq!(ask("deny", both, &context), deny, "{context:?}");
    }
}

#[test]
fn a_policy_of_an_operator_that_nobody_knows_allows_nothing_and_denies() {
    for effect in [Effect::Allow, Effect::Deny] {
        let mut policy =
            parse(r#"{"version":"2.0","statement":[{"effect":"allow","action":"*","resource":"*"}]}"#)
                .unwrap();
        let mut odd = policy.statements[0].clone();
        let condition =
            Condition { operator: "string_sounds_like".into(), key: "k".into(), values: texts(&["a"]) };
        (odd.effect, odd.conditions) = (effect, vec![condition]);
        policy.statements.push(odd.clone());
        let context = Context::from([("k".into(), texts(&["a"]))]);
        let expected = if effect == Effect::Deny { Decision::Denied(1) } else { Decision::Allowed(0) };
        assert_eq!(allows(&policy, READ.0, READ.1, &context), expected);
        let alone = Policy { statements: vec![odd], ..policy };
        let expected = if effect == Effect::Deny { Decision::Denied(0) } else { Decision::NoMatch };
        assert_eq!(allows(&alone, READ.0, READ.1, &context), expected);
    }
}

#[test]
fn a_policy_of_another_language_allows_nothing() {
    let mut policy =
        parse(r#"{"version":"2.0","statement":[{"effect":"allow","action":"*","resource":"*"}]}"#).unwrap();
    assert_eq!(allows(&policy, "cos:GetObject", "*", &Context::new()), Decision::Allowed(0));
    policy.language = Language::Ram;
    assert_eq!(allows(&policy, "cos:GetObject", "*", &Context::new()), Decision::NoMatch);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    // What is certain with all that the request says stays certain when a value is added to the key's that says the
    // same: no answer hangs on how often a fact is told.
    #[test]
    fn a_value_that_is_told_twice_changes_nothing(
        operator in select(PAIRS.iter().map(|pair| pair.0).collect::<Vec<_>>()),
        prefix in select(vec!["", "for_any_value:", "for_all_value:"]),
        wanted in prop::collection::vec(select(vec!["a", "b", "1", "true", "10.0.0.0/8", "QQ=="]), 1..3),
        found in prop::collection::vec(select(vec!["a", "b", "1", "2", "true", "10.0.0.1", "QQ=="]), 1..3),
    ) {
        let operator = format!("{prefix}{operator}");
        let twice: Vec<_> = found.iter().chain(&found).copied().collect();
        prop_assert_eq!(truth(&operator, &wanted, &found), truth(&operator, &wanted, &twice));
    }
}
