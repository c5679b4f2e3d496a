//! RAM's operators in tables: operator, values of the policy, values of the request, answer.

use super::*;
use crate::alibaba::policy::parse;
use Truth::{False, True, Unknown};

fn texts(values: &[&str]) -> Vec<String> {
    values.iter().map(ToString::to_string).collect()
}

fn truth(operator: &str, wanted: &[&str], found: &[&str]) -> Truth {
    let condition = Condition { operator: operator.into(), key: "acs:k".into(), values: texts(wanted) };
    let context =
        if found.is_empty() { Context::new() } else { Context::from([("acs:k".into(), texts(found))]) };
    holds(&condition, &context)
}

const PAIRS: &[(&str, &str, &str, Truth)] = &[
    ("StringEquals", "a", "a", True),
    ("StringEquals", "a", "A", False),
    ("StringEquals", "a*", "ab", False),
    ("StringNotEquals", "a", "a", False),
    ("StringNotEquals", "a", "A", True),
    ("StringEqualsIgnoreCase", "a", "A", True),
    ("StringEqualsIgnoreCase", "é", "É", Unknown),
    ("StringNotEqualsIgnoreCase", "a", "A", False),
    ("StringNotEqualsIgnoreCase", "a", "b", True),
    ("StringLike", "hangzhou/2015/*", "hangzhou/2015/", True),
    ("StringLike", "hangzhou/2015/*", "hangzhou/2015", False),
    ("StringLike", "a?c", "abc", True),
    ("StringLike", "a?c", "ac", False),
    ("StringLike", "a?c", "a课c", True),
    ("StringNotLike", "a?c", "abc", False),
    ("StringNotLike", "a*", "b", True),
    ("NumericEquals", "5", "5.0", True),
    ("NumericEquals", "5", "6", False),
    ("NumericNotEquals", "5", "6", True),
    ("NumericLessThan", "5", "4.999", True),
    ("NumericLessThan", "5", "5", False),
    ("NumericLessThanEquals", "5", "5", True),
    ("NumericGreaterThan", "5", "10", True),
    ("NumericGreaterThanEquals", "5", "4", False),
    ("NumericGreaterThan", "5", "big", Unknown),
    ("DateEquals", "2026-01-31T00:00:00+08:00", "2026-01-30T16:00:00Z", True),
    ("DateNotEquals", "2026-01-31T00:00:00+08:00", "2026-01-30T16:00:00Z", False),
    ("DateLessThan", "2026-01-31T00:00:00Z", "2026-01-30T23:59:59Z", True),
    ("DateLessThanEquals", "2026-01-31T00:00:00Z", "2026-01-31T00:00:01Z", False),
    ("DateGreaterThan", "2026-01-31T00:00:00Z", "2026-01-31T00:00:00Z", False),
    ("DateGreaterThanEquals", "2026-01-31T00:00:00Z", "2026-01-31T00:00:00Z", True),
    ("DateGreaterThanEquals", "2026-01-31T00:00:00Z", "1769817600", Unknown),
    ("Bool", "true", "true", True),
    ("Bool", "true", "false", False),
    ("Bool", "true", "yes", Unknown),
    ("IpAddress", "10.0.0.0/8", "10.1.1.1", True),
    ("IpAddress", "10.0.0.0/8", "11.1.1.1", False),
    ("IpAddress", "10.0.0.0/8", "unknown", Unknown),
    ("NotIpAddress", "10.0.0.0/8", "11.1.1.1", True),
    ("NotIpAddress", "10.0.0.0/8", "::ffff:10.1.1.1", False),
];

#[test]
fn operators_compare_what_their_names_say() {
    for (operator, wanted, found, expected) in PAIRS {
        assert_eq!(truth(operator, &[wanted], &[found]), *expected, "{operator} {wanted} {found}");
    }
    let all: std::collections::BTreeSet<_> = PAIRS.iter().map(|pair| pair.0).collect();
    assert_eq!(all.len(), 21, "every operator that is taken");
}

#[test]
fn an_absent_key_is_false_and_under_a_negation_nobody_says() {
    for (operator, wanted, ..) in PAIRS {
        let expected = if operator.contains("Not") { Unknown } else { False };
        assert_eq!(truth(operator, &[wanted], &[]), expected, "{operator}");
    }
}

#[test]
fn several_values() {
    for (operator, wanted, found, expected) in [
        ("StringEquals", &["a", "b"][..], &["b"][..], True),
        ("StringEquals", &["a", "b"], &["a", "b"], True),
        ("StringEquals", &["a", "b"], &["a", "c"], Unknown),
        ("StringEquals", &["a", "b"], &["c", "d"], False),
        ("StringNotEquals", &["a", "b"], &["c"], True),
        ("StringNotEquals", &["a", "b"], &["a"], Unknown),
        ("NotIpAddress", &["10.0.0.0/8", "10.0.0.0/16"], &["10.0.0.1"], False),
        ("IpAddress", &["10.0.0.0/8", "192.168.0.0/16"], &["192.168.1.1"], True),
    ] {
        assert_eq!(truth(operator, wanted, found), expected, "{operator} {wanted:?} {found:?}");
    }
}

#[test]
fn what_nobody_knows_is_not_guessed() {
    for operator in
        ["StringLikeIfExists", "ForAnyValue:StringEquals", "stringequals", "BoolEquals", "Null", ""]
    {
        assert_eq!(truth(operator, &["a"], &["a"]), Unknown, "{operator}");
    }
    let condition =
        Condition { operator: "Bool".into(), key: "acs:SecureTransport".into(), values: texts(&["true"]) };
    for (keys, expected) in [
        (&["acs:SecureTransport"][..], True),
        (&["acs:securetransport"], Unknown),
        (&["acs:securetransport", "acs:SecureTransport"], True),
        (&["acs:Secure"], False),
    ] {
        let context = keys.iter().map(|key| ((*key).to_owned(), texts(&["true"]))).collect();
        assert_eq!(holds(&condition, &context), expected, "{keys:?}");
    }
}

#[test]
fn a_document_decides_a_request() {
    let text = r#"{"Version":"1","Statement":[
        {"Effect":"Allow","Action":"oss:Get*","Resource":"acs:oss:*:*:b/hema/1/*","Condition":{"Bool":{"acs:SecureTransport":"true"}}},
        {"Effect":"Allow","Action":"oss:ListObjects","Resource":"acs:oss:*:*:b","Condition":{"StringLike":{"oss:Prefix":"hema/1/*"}}},
        {"Effect":"Deny","Action":"*","Resource":"*","Condition":{"NotIpAddress":{"acs:SourceIp":"10.0.0.0/8"}}}]}"#;
    let policy = parse(text).unwrap();
    let context = |secure: &str, ip: &str, prefix: &str| {
        let given = [("acs:SecureTransport", secure), ("acs:SourceIp", ip), ("oss:Prefix", prefix)];
        given
            .into_iter()
            .filter(|(_, v)| !v.is_empty())
            .map(|(k, v)| (k.to_owned(), texts(&[v])))
            .collect::<Context>()
    };
    let (get, list) = (("oss:GetObject", "acs:oss:cn:1:b/hema/1/x"), ("oss:ListObjects", "acs:oss:cn:1:b"));
    for ((action, resource), context, expected) in [
        (get, context("true", "10.0.0.1", ""), Decision::Allowed(0)),
        (get, context("false", "10.0.0.1", ""), Decision::NoMatch),
        (get, context("", "10.0.0.1", ""), Decision::NoMatch),
        (get, context("true", "11.0.0.1", ""), Decision::Denied(2)),
        // An address that is missing or unreadable does not get past a deny.
        (get, context("true", "", ""), Decision::Denied(2)),
        (get, context("true", "unknown", ""), Decision::Denied(2)),
        (("oss:GetObject", "acs:oss:cn:1:b/hema/10/x"), context("true", "10.0.0.1", ""), Decision::NoMatch),
        (list, context("true", "10.0.0.1", "hema/1/"), Decision::Allowed(1)),
        (list, context("true", "10.0.0.1", "hema/10/"), Decision::NoMatch),
        (list, context("true", "10.0.0.1", ""), Decision::NoMatch),
    ] {
        assert_eq!(allows(&policy, action, resource, &context), expected, "{action} {resource} {context:?}");
    }
    let foreign = Policy { language: Language::Cam, ..policy };
    assert_eq!(allows(&foreign, get.0, get.1, &context("true", "10.0.0.1", "")), Decision::NoMatch);
}
