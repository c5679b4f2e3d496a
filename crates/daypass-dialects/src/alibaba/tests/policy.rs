//! RAM's language: what is taken, what is refused, and that nothing is lost on the way back.

use super::super::document::{Document, Style, Writer, write};
use super::super::policy::{parse, parse_top, render, top_shape};
use super::super::wire::Format;
use daypass_core::policy::{Condition, Effect, Language, Pattern, Policy, Statement};
use daypass_core::refusal::Reason;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

/// A document with one statement of these members.
fn one(members: &str) -> String {
    format!(r#"{{"Version":"1","Statement":[{{{members}}}]}}"#)
}

const REST: &str = r#""Effect":"Allow","Action":"oss:GetObject","Resource":"*""#;

#[test]
fn a_document_is_read_and_written() {
    let text = r#"{
      "Version": "1",
      "Statement": [
        {"Effect": "Allow", "Action": ["oss:PutObject", "oss:Get*"], "Resource": "acs:oss:*:*:bucket/{tenant_code}/{poi_id}/*"},
        {"Effect": "Deny", "Action": "*", "Resource": ["acs:ram::1234:role/x", "*"],
         "Condition": {"StringLike": {"oss:Prefix": ["b/*", "a/*", "a/*"]}, "Bool": {"acs:SecureTransport": true},
                       "IpAddress": {"acs:SourceIp": "10.0.0.0/8"}, "NumericLessThan": {"oss:Size": 5},
                       "DateLessThan": {"acs:CurrentTime": "2026-01-31T00:00:00+08:00"}}}
      ]
    }"#;
    let policy = parse(text).unwrap();
    assert_eq!(policy.language, Language::Ram);
    let shown = |patterns: &[Pattern]| patterns.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(shown(&policy.statements[0].actions), ["oss:PutObject", "oss:Get*"]);
    assert_eq!(shown(&policy.statements[0].resources), ["acs:oss:*:*:bucket/{tenant_code}/{poi_id}/*"]);
    assert_eq!(policy.statements[1].effect, Effect::Deny);
    insta::assert_snapshot!(render(&policy).unwrap(), @r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":["oss:PutObject","oss:Get*"],"Resource":["acs:oss:*:*:bucket/{tenant_code}/{poi_id}/*"]},{"Effect":"Deny","Action":["*"],"Resource":["acs:ram::1234:role/x","*"],"Condition":{"Bool":{"acs:SecureTransport":["true"]},"DateLessThan":{"acs:CurrentTime":["2026-01-31T00:00:00+08:00"]},"IpAddress":{"acs:SourceIp":["10.0.0.0/8"]},"NumericLessThan":{"oss:Size":["5"]},"StringLike":{"oss:Prefix":["a/*","b/*"]}}}]}"#);
    assert_eq!(parse(&render(&policy).unwrap()).unwrap(), policy);
}

#[test]
fn what_the_model_cannot_hold_is_refused_with_a_reason() {
    let statement = |members: &str| one(members);
    let with = |name: &str, value: &str| {
        let rest =
            REST.split(',').filter(|member| !member.contains(&format!("\"{name}\""))).collect::<Vec<_>>();
        one(&format!("{},\"{name}\":{value}", rest.join(",")))
    };
    let condition = |text: &str| one(&format!("{REST},\"Condition\":{text}"));
    let cases = [
        (String::new(), Reason::PolicyMalformed, "not a JSON document"),
        ("[".repeat(99), Reason::PolicyMalformed, "levels deep"),
        (" [] ".into(), Reason::PolicyInvalid, "the policy must be an object"),
        (r#"{"Version":"1","Version":"1","Statement":[]}"#.into(), Reason::PolicyInvalid, "twice"),
        (r#"{"Version":"1","Statement":[]}"#.into(), Reason::PolicyInvalid, "at least one statement"),
        (r#"{"Version":"1","Statement":{}}"#.into(), Reason::PolicyInvalid, "at least one statement"),
        (r#"{"Version":"1"}"#.into(), Reason::PolicyInvalid, "at least one statement"),
        (r#"{"Version":1,"Statement":[{}]}"#.into(), Reason::PolicyInvalid, "Version"),
        (r#"{"Version":"2.0","Statement":[{}]}"#.into(), Reason::PolicyInvalid, "Version"),
        (r#"{"version":"1","statement":[{}]}"#.into(), Reason::PolicyInvalid, "begin with capitals"),
        (r#"{"Version":"1","Statement":[1]}"#.into(), Reason::PolicyInvalid, "statement 1 must be an object"),
        (
            statement(&format!("{REST},\"NotAction\":\"x\"")),
            Reason::PolicyInvalid,
            "NotAction is not supported",
        ),
        (
            statement(&format!("{REST},\"NotResource\":\"x\"")),
            Reason::PolicyInvalid,
            "NotResource is not supported",
        ),
        (statement(&format!("{REST},\"Principal\":\"x\"")), Reason::PolicyInvalid, "Principal has no place"),
        (statement(&format!("{REST},\"Sid\":\"x\"")), Reason::PolicyInvalid, "member other than"),
        (with("Effect", "\"allow\""), Reason::PolicyInvalid, "Effect must be Allow or Deny"),
        (with("Action", "[]"), Reason::PolicyInvalid, "Action must be"),
        (with("Action", "[1]"), Reason::PolicyInvalid, "Action must be"),
        (with("Action", "\"oss\""), Reason::PolicyInvalid, "service:Name"),
        (with("Action", "\"oss:\""), Reason::PolicyInvalid, "service:Name"),
        (with("Action", "\"oss:Get?bject\""), Reason::PolicyInvalid, "service:Name"),
        (with("Resource", "\"bucket/*\""), Reason::PolicyResource, "acs:service:region:account:name"),
        (with("Resource", "\"acs:oss:*:*\""), Reason::PolicyResource, "acs:service:region:account:name"),
        (with("Resource", "\"acs:oss:*:*:\""), Reason::PolicyResource, "acs:service:region:account:name"),
        (with("Resource", "\"qcs::cos:a:b:c\""), Reason::PolicyResource, "acs:service:region:account:name"),
        (with("Resource", "\"acs:oss:*:*:a?\""), Reason::PolicyResource, "question mark"),
        (with("Resource", "\"acs:oss:*:*:a\\u0001\""), Reason::PolicyInvalid, "Resource must be"),
        (condition("[]"), Reason::PolicyInvalid, "object of operators"),
        (
            condition(r#"{"StringLikeIfExists":{"oss:Prefix":"a"}}"#),
            Reason::PolicyInvalid,
            "StringLikeIfExists",
        ),
        (condition(r#"{"StringLike":"a"}"#), Reason::PolicyInvalid, "object of keys"),
        (condition(r#"{"StringLike":{"Prefix":"a"}}"#), Reason::PolicyInvalid, "service:Name"),
        (condition(r#"{"StringLike":{"oss:Prefix":[]}}"#), Reason::PolicyInvalid, "not a text"),
        (condition(r#"{"StringLike":{"oss:Prefix":[1]}}"#), Reason::PolicyInvalid, "not a text"),
        (condition(r#"{"Bool":{"acs:SecureTransport":"yes"}}"#), Reason::PolicyInvalid, "not true or false"),
        (condition(r#"{"NumericEquals":{"oss:Size":"big"}}"#), Reason::PolicyInvalid, "not a number"),
        (condition(r#"{"NumericEquals":{"oss:Size":"1e3"}}"#), Reason::PolicyInvalid, "not a number"),
        (condition(r#"{"NumericEquals":{"oss:Size":1.5}}"#), Reason::PolicyInvalid, "not a number"),
        (
            condition(r#"{"IpAddress":{"acs:SourceIp":"10.0.0.0/+8"}}"#),
            Reason::PolicyInvalid,
            "not an address",
        ),
        (condition(r#"{"DateEquals":{"acs:CurrentTime":"2026"}}"#), Reason::PolicyInvalid, "not a date"),
        (
            condition(r#"{"IpAddress":{"acs:SourceIp":"10.0.0.0/33"}}"#),
            Reason::PolicyInvalid,
            "not an address",
        ),
        (
            condition(r#"{"IpAddress":{"acs:SourceIp":"example.com"}}"#),
            Reason::PolicyInvalid,
            "not an address",
        ),
        (
            one(&format!("{REST},\"Condition\":{{}},\"x\":\"{}\"", "y".repeat(6200))),
            Reason::PolicyTooLong,
            "6144",
        ),
    ];
    for (text, reason, fault) in cases {
        let refusal = parse(&text).expect_err(&text);
        assert_eq!(refusal.reason, reason, "{text}: {}", refusal.detail);
        assert!(refusal.detail.contains(fault), "{text}: {}", refusal.detail);
        assert_eq!(refusal.parameter.as_deref(), Some("Policy"), "{text}");
    }
    assert!(parse(&one(REST)).is_ok(), "the rest of the cases is good");
}

#[test]
fn a_template_may_stand_in_a_condition() {
    let text = one(&format!(r#"{REST},"Condition":{{"StringLike":{{"oss:Prefix":"{{tenant_code}}/*"}}}}"#));
    assert_eq!(parse(&text).unwrap().statements[0].conditions[0].values, ["{tenant_code}/*"]);
}

#[test]
fn two_conditions_of_one_place_are_not_made_into_either() {
    let mut policy = parse(&one(REST)).unwrap();
    for value in ["a/*", "b/*"] {
        let condition =
            Condition { operator: "StringLike".into(), key: "oss:Prefix".into(), values: vec![value.into()] };
        policy.statements[0].conditions.push(condition);
    }
    assert_eq!(render(&policy).unwrap_err().reason, Reason::PolicyInvalid);
}

fn statements() -> impl Strategy<Value = Statement> {
    let action = "([a-z]{1,4}:[A-Z][a-z*]{0,5}|\\*)".prop_map(|text| Pattern::parse(&text));
    let resource =
        "(acs:[a-z]{1,3}:\\*:[0-9]{0,3}:[a-z/*{}:\"\\\\门 ]{1,9}|\\*)".prop_map(|text| Pattern::parse(&text));
    let operators = select(vec!["StringLike", "StringNotEquals", "StringEqualsIgnoreCase"]);
    let condition = (operators, "[a-z]{2}:[A-Za-z]{3}", prop::collection::btree_set("[ -~]{0,8}", 1..3));
    let conditions = vec(condition, 0..3).prop_map(|all| {
        let by_place: std::collections::BTreeMap<_, _> =
            all.into_iter().map(|(operator, key, values)| ((operator, key), values)).collect();
        let condition = |((operator, key), values): ((&str, String), std::collections::BTreeSet<String>)| {
            Condition { operator: operator.to_owned(), key, values: values.into_iter().collect() }
        };
        by_place.into_iter().map(condition).collect::<Vec<_>>()
    });
    (any::<bool>(), vec(action, 1..3), vec(resource, 1..3), conditions).prop_map(
        |(allow, actions, resources, conditions)| Statement {
            effect: if allow { Effect::Allow } else { Effect::Deny },
            actions,
            resources,
            conditions,
        },
    )
}

/// A policy as the gateway's answer shows it.
struct Shown<'a>(&'a Policy);

impl Document for Shown<'_> {
    const ROOT: &'static str = "policy";

    fn members<W: Writer>(&self, writer: &mut W) {
        top_shape(self.0, writer);
    }
}

/// Its JSON, simplified or not.
fn shown(policy: &Policy, style: Style) -> String {
    let text = write(&Shown(policy), Format::Json, style);
    match style {
        Style::Simple => text,
        Style::Wrapped => text.strip_prefix(r#"{"policy":"#).unwrap().strip_suffix('}').unwrap().to_owned(),
    }
}

#[test]
fn the_two_shapes_are_not_taken_for_each_other() {
    let policy = parse(&one(REST)).unwrap();
    for style in [Style::Wrapped, Style::Simple] {
        let refusal = parse(&shown(&policy, style)).unwrap_err();
        assert!(refusal.detail.contains("begin with capitals"), "{}", refusal.detail);
    }
    assert_eq!(parse_top(&one(REST)).unwrap_err().reason, Reason::PolicyInvalid);
}

#[test]
fn what_the_gateway_never_writes_is_refused() {
    let rest = r#""effect":"Allow","resource":["*"],"action":["oss:*"]"#;
    let top = |statement: &str| parse_top(&format!(r#"{{"version":"1","statement":[{{{statement}}}]}}"#));
    assert!(top(rest).is_ok());
    for bad in [
        rest.replace("effect", "Effect"),
        rest.replace("\"Allow\"", "\"allow\""),
        rest.replace("[\"*\"]", "\"*\""),
        rest.replace("[\"*\"]", "{}"),
        rest.replace("[\"*\"]", "{\"text\":[\"*\"]}"),
        rest.replace("[\"*\"]", "{\"string\":[\"*\"],\"text\":[]}"),
        rest.replace("[\"*\"]", "[1]"),
        format!("{rest},\"principal\":[]"),
        format!(r#"{rest},"condition":[{{"operator":"StringLike","key":"oss:Prefix"}}]"#),
        format!(r#"{rest},"condition":[{{"operator":"Like","key":"oss:Prefix","value":["a"]}}]"#),
        format!(r#"{rest},"condition":{{"StringLike":{{"oss:Prefix":"a"}}}}"#),
        {
            let condition = r#"{"operator":"StringLike","key":"oss:Prefix","value":["a"]}"#;
            format!(r#"{rest},"condition":[{condition},{condition}]"#)
        },
    ] {
        assert!(top(&bad).is_err(), "{bad}");
    }
    for bad in ["", "[]", "{}", r#"{"version":"2","statement":[]}"#, r#"{"version":"1","statement":{}}"#] {
        assert!(parse_top(bad).is_err(), "{bad}");
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(statements in vec(statements(), 1..4)) {
        let policy = Policy { language: Language::Ram, statements };
        let text = render(&policy).unwrap();
        prop_assert_eq!(parse(&text).unwrap(), policy, "{}", text);
    }

    #[test]
    fn the_gateways_shape_and_rams_become_each_other(statements in vec(statements(), 1..4)) {
        let policy = Policy { language: Language::Ram, statements };
        let ram = render(&policy).unwrap();
        for style in [Style::Wrapped, Style::Simple] {
            let top = shown(&policy, style);
            let back = parse_top(&top).unwrap();
            prop_assert_eq!(render(&back).unwrap(), ram.clone(), "{}", top);
            prop_assert_eq!(shown(&parse(&ram).unwrap(), style), top);
            prop_assert_eq!(back, policy.clone());
        }
    }

    #[test]
    fn any_text_is_survived(text in "\\PC{0,80}", near in "[\\[\\]{}:,\"VersionStatementEffectActionResourceCondition1*]{0,120}") {
        let _ = (parse(&text), parse(&near), parse(&one(&near)), parse_top(&text), parse_top(&near));
    }
}
