//! Documents as the vendor's samples and helpers write them, and what is not taken.

use super::*;
use daypass_core::policy::Condition;
use proptest::prelude::*;

const SOE: &str = r#"{"version":"2.0","statement":{"effect":"allow","action":["soe:TransmitOralProcessWithInit"],"resource":"*"}}"#;

fn one(members: &str) -> Result<Policy, BadPolicy> {
    parse(&format!(r#"{{"version":"2.0","statement":[{{"effect":"allow",{members}}}]}}"#))
}

fn action_of(text: &str) -> Result<String, BadPolicy> {
    one(&format!(r#""action":"{text}","resource":"*""#)).map(|p| p.statements[0].actions[0].to_string())
}

fn resource_of(text: &str) -> Result<Policy, BadPolicy> {
    one(&format!(r#""action":"cos:GetObject","resource":["{text}"]"#))
}

fn condition_of(text: &str) -> Result<Vec<Condition>, BadPolicy> {
    one(&format!(r#""action":"cos:GetObject","resource":"*","condition":{text}"#))
        .map(|mut p| p.statements.remove(0).conditions)
}

#[track_caller]
fn refused<T: std::fmt::Debug>(result: Result<T, BadPolicy>, reason: Reason, detail: &str) {
    let bad = result.expect_err("a fault");
    assert_eq!(bad.reason, reason, "{bad}");
    assert!(bad.detail.contains(detail), "{bad}");
}

#[test]
fn the_seeds_document_is_understood_in_every_encoding() {
    let policy = parse(SOE).unwrap();
    assert_eq!(policy, daypass_core::testing::allow(Language::Cam, "soe:TransmitOralProcessWithInit", "*"));
    let percent = SOE.bytes().map(|b| format!("%{b:02X}")).collect::<Vec<_>>().concat();
    let form: String = form_urlencoded::byte_serialize(SOE.as_bytes()).collect();
    for sent in [SOE, &format!("  {SOE}\n"), &percent, &form] {
        assert_eq!(parse_sent(sent).as_ref(), Ok(&policy), "{sent}");
    }
    let twice: String = form_urlencoded::byte_serialize(form.as_bytes()).collect();
    refused(parse_sent(&twice), Reason::PolicyMalformed, "not a JSON document");
    refused(parse_sent("%zz"), Reason::PolicyMalformed, "percent encoding");
}

#[test]
fn a_document_that_is_json_is_not_decoded() {
    let policy = parse_sent(
        r#"{"version":"2.0","statement":{"effect":"allow","action":"cos:GetObject","resource":"qcs::cos:::bucket/a%2A"}}"#,
    );
    assert_eq!(policy.unwrap().statements[0].resources[0].to_string(), "qcs::cos:::bucket/a%2A");
}

#[test]
fn statements_may_be_one_or_many() {
    let many = parse(
        r#"{"version":"2.0","statement":[
        {"effect":"allow","action":"*","resource":"*"},
        {"effect":"deny","action":["cos:Delete*"],"resource":["*"],"condition":{}}]}"#,
    );
    let effects: Vec<_> = many.unwrap().statements.iter().map(|s| s.effect).collect();
    assert_eq!(effects, [Effect::Allow, Effect::Deny]);
    for bad in ["[]", "\"x\"", "null", "1"] {
        refused(
            parse(&format!(r#"{{"version":"2.0","statement":{bad}}}"#)),
            Reason::PolicyInvalid,
            "statement must be",
        );
    }
    refused(
        parse(r#"{"version":"2.0","statement":[1]}"#),
        Reason::PolicyInvalid,
        "statement 1: it must be an object",
    );
    refused(parse(r#"{"version":"2.0"}"#), Reason::PolicyInvalid, "statement must be");
}

#[test]
fn the_version_is_there_and_is_text() {
    for bad in ["\"1.0\"", "2.0", "2", "null", "\"2\""] {
        refused(parse(&SOE.replace("\"2.0\"", bad)), Reason::PolicyInvalid, "version must be");
    }
    refused(parse(r#"{"statement":[]}"#), Reason::PolicyInvalid, "version must be");
}

#[test]
fn nothing_is_dropped() {
    for name in ["Effect", "not_action", "notAction", "not_resource", "sid", "id"] {
        refused(one(&format!(r#""action":"*","resource":"*","{name}":"x""#)), Reason::PolicyInvalid, name);
    }
    refused(parse(&SOE.replacen('{', r#"{"Id":"1","#, 1)), Reason::PolicyInvalid, "no member Id");
    refused(
        parse(&SOE.replace("\"effect\":", "\"effect\":\"deny\",\"effect\":")),
        Reason::PolicyMalformed,
        "twice",
    );
    refused(parse("{"), Reason::PolicyMalformed, "line 1");
    refused(parse("[]"), Reason::PolicyInvalid, "one JSON object");
    for effect in ["Allow", "ALLOW", "", "permit"] {
        let text = SOE.replace("\"allow\"", &format!("\"{effect}\""));
        refused(parse(&text), Reason::PolicyInvalid, "effect must be");
    }
    refused(one(r#""resource":"*""#), Reason::PolicyInvalid, "action must be");
    refused(one(r#""action":"*""#), Reason::PolicyInvalid, "resource must be");
    refused(one(r#""action":[],"resource":"*""#), Reason::PolicyInvalid, "action must be");
    refused(one(r#""action":["*",1],"resource":"*""#), Reason::PolicyInvalid, "action must be");
}

#[test]
fn anyone_is_no_principal_and_someone_is_refused() {
    for anyone in [r#"{"qcs":"*"}"#, r#"{"qcs":["*"]}"#] {
        assert!(one(&format!(r#""action":"*","resource":"*","principal":{anyone}"#)).is_ok(), "{anyone}");
    }
    for named in [
        r#"{"qcs":["qcs::cam::uin/1:uin/1"]}"#,
        r#"{"qcs":["*","*"]}"#,
        r#"{"qcs":"*","service":"x"}"#,
        r#"{"service":"*"}"#,
        r"{}",
        r#""*""#,
        "null",
    ] {
        let policy = one(&format!(r#""action":"*","resource":"*","principal":{named}"#));
        refused(policy, Reason::PolicyInvalid, "principal");
    }
}

#[test]
fn actions_have_the_vendors_forms() {
    for (text, same) in [
        ("*", "*"),
        ("*:*", "*"),
        ("**:*", "*"),
        ("name/*", "*"),
        ("name/cos:PutObject", "cos:PutObject"),
        ("soe:*", "soe:*"),
        ("cvm:Describe*", "cvm:Describe*"),
        ("cos:*Bucket*", "cos:*Bucket*"),
        ("cos:**", "cos:*"),
    ] {
        assert_eq!(action_of(text).as_deref(), Ok(same));
    }
    for bad in [
        "",
        "cos",
        "cos:",
        ":PutObject",
        "co*",
        "cos:Put Object",
        "cos:a:b",
        "{x}:y",
        "name/name/cos:A",
        "cos:课",
    ] {
        refused(action_of(bad), Reason::PolicyInvalid, "service:Operation");
    }
    refused(action_of("permid/280649"), Reason::PolicyInvalid, "permid");
}

#[test]
fn resources_have_six_segments() {
    for fine in [
        "*",
        "qcs::cos:ap-guangzhou:uid/1250000000:bucket-1250000000/dir/*",
        "qcs::cos:ap-guangzhou:uid/1250000000:prefix//1250000000/bucket/dir/*",
        "qcs::cvm::uin/100000000001:instance/ins-1",
        "qcs::cvm:::instance/*",
        "qcs::cvm:*:*:instance/*",
        "qcs::soe::uin/100000000001:课程/一",
        "qcs::cos::uid/{app}:bucket/{tenant_code}/a:b:c",
    ] {
        assert!(resource_of(fine).is_ok(), "{fine}");
    }
    for (bad, detail) in [
        ("", "six segments"),
        ("bucket/*", "six segments"),
        ("qcs::cos:ap-guangzhou:uid/1", "six segments"),
        ("qcs::*", "six segments"),
        ("acs:oss:*:*:bucket/*:x", "qcs::"),
        ("qcs:project:cos:::x", "project"),
        ("qcs:*:cos:::x", "project"),
        ("qcs:::::x", "empty"),
        ("qcs::cos:::", "empty"),
        ("qcs::cos::100000000001:x", "account"),
        ("qcs::cos::uin/:x", "account"),
        (r"qcs::cos:::a\u0000b", "control"),
    ] {
        refused(resource_of(bad), Reason::PolicyResource, detail);
    }
}

#[test]
fn a_resource_of_another_account_is_named() {
    let policy = resource_of("qcs::cvm::uin/200:instance/*").unwrap();
    assert_eq!(refuse_foreign(&policy, "200"), Ok(()));
    refused(
        refuse_foreign(&policy, "100"),
        Reason::PolicyTooWide,
        "statement 1: the resource qcs::cvm::uin/200:instance/* belongs to uin 200, and this key can grant resources of uin 100",
    );
    for own in ["*", "qcs::cvm:::instance/*", "qcs::cos::uid/7:bucket/*", "qcs::cvm::uin/*:instance/*"] {
        assert_eq!(refuse_foreign(&resource_of(own).unwrap(), "100"), Ok(()), "{own}");
    }
    let mut denied = policy;
    denied.statements[0].effect = Effect::Deny;
    assert_eq!(refuse_foreign(&denied, "100"), Ok(()), "who forbids too much takes nothing");
}

#[test]
fn conditions_of_the_samples_are_kept() {
    let conditions = condition_of(
        r#"{"ip_equal":{"qcs:ip ":["10.217.182.3/24","111.21.33.72/24"]},
            "numeric_less_than_equal":{"cos:content-length":1024},
            "for_any_value:string_equal":{"qcs:resource_tag":["b&1","a&1","a&1"]},
            "string_like_if_exist":{"cos:content-type":"image/*"},
            "bool_equal":{"cos:x":true},
            "date_less_than":{"qcs:current_time":"2026-06-01T00:01:00Z"}}"#,
    )
    .unwrap();
    let find = |operator: &str| conditions.iter().find(|c| c.operator == operator).unwrap();
    assert_eq!(find("ip_equal").key, "qcs:ip");
    assert_eq!(find("numeric_less_than_equal").values, ["1024"]);
    assert_eq!(find("for_any_value:string_equal").values, ["a&1", "b&1"]);
    assert_eq!(find("string_like_if_exist").values, ["image/*"]);
    assert_eq!(find("bool_equal").values, ["true"]);
    assert_eq!(conditions.len(), 6);
    assert_eq!(condition_of("{}"), Ok(vec![]));
}

#[test]
fn an_operator_that_nobody_knows_makes_the_policy_invalid() {
    for operator in [
        "ip_equals",
        "IP_equal",
        "string_equal_ifexist",
        "for_some_value:string_equal",
        "for_any_value:for_all_value:string_equal",
        "numeric_like",
        "date_",
        "numeric",
        "",
        "null_not_equal",
    ] {
        refused(
            condition_of(&format!(r#"{{"{operator}":{{"k":"1"}}}}"#)),
            Reason::PolicyInvalid,
            "no condition operator",
        );
    }
}

#[test]
fn a_condition_says_something() {
    for (text, detail) in [
        ("[]", "condition must be"),
        (r#"{"ip_equal":{}}"#, "at least one key"),
        (r#"{"ip_equal":"qcs:ip"}"#, "at least one key"),
        (r#"{"string_equal":{"k":[]}}"#, "each value"),
        (r#"{"string_equal":{"k":{}}}"#, "each value"),
        (r#"{"string_equal":{"k":null}}"#, "each value"),
        (r#"{"string_equal":{"k":true}}"#, "each value"),
        (r#"{"string_equal":{" ":"v"}}"#, "no name"),
        (r#"{"string_equal":{"k":"1","k ":"2"}}"#, "k twice"),
        (r#"{"ip_equal":{"qcs:ip":"10.0.0.256"}}"#, "an address"),
        (r#"{"ip_equal":{"qcs:ip":"10.0.0.0/33"}}"#, "an address"),
        (r#"{"ip_equal":{"qcs:ip":"10.0.0.0/+8"}}"#, "an address"),
        (r#"{"numeric_equal":{"k":"many"}}"#, "a number"),
        (r#"{"numeric_equal":{"k":"inf"}}"#, "a number"),
        (r#"{"date_equal":{"k":"tomorrow"}}"#, "a date"),
        (r#"{"bool_equal":{"k":"yes"}}"#, "true or false"),
    ] {
        refused(condition_of(text), Reason::PolicyInvalid, detail);
    }
    assert!(condition_of(r#"{"numeric_equal":{"k":"{limit}"}}"#).is_ok(), "a template's variable");
}

#[test]
fn the_length_counts_no_blanks() {
    let long = |names: usize, blanks: usize| {
        let resources = vec!["\"qcs::cos:::bucket/object\""; names].join(",");
        parse(&format!(
            r#"{{"version":"2.0",{}"statement":{{"effect":"allow","action":"*","resource":[{resources}]}}}}"#,
            " ".repeat(blanks)
        ))
    };
    assert!(long(200, 10_000).is_ok());
    refused(long(240, 0), Reason::PolicyTooLong, "at most 6144");
}

#[test]
fn a_policy_is_written_as_it_was_read() {
    let text = r#"{"version":"2.0","statement":[{"effect":"deny","action":["cos:*"],"resource":["*"],"condition":{"ip_equal":{"a":["10.0.0.0/8"],"qcs:ip":["::1"]},"string_equal":{"k":["v"]}}}]}"#;
    assert_eq!(render(&parse(text).unwrap()).as_deref(), Ok(text));
    assert_eq!(
        render(&parse(SOE).unwrap()).as_deref(),
        Ok(
            r#"{"version":"2.0","statement":[{"effect":"allow","action":["soe:TransmitOralProcessWithInit"],"resource":["*"]}]}"#
        )
    );
}

#[test]
fn what_cam_cannot_say_is_not_written() {
    let mut policy = parse(SOE).unwrap();
    let condition = Condition { operator: "string_equal".into(), key: "k".into(), values: vec!["v".into()] };
    policy.statements[0].conditions = vec![condition.clone(), condition];
    assert_eq!(render(&policy), Err(Unwritable::RepeatedCondition));
    policy.language = Language::Ram;
    assert_eq!(render(&policy), Err(Unwritable::OtherLanguage));
}

prop_compose! {
    fn statements()(
        deny: bool,
        actions in prop::collection::vec("(\\*|[a-z*]{1,4}:[A-Za-z*]{1,8})", 1..4),
        resources in prop::collection::vec("(\\*|qcs::[a-z]{1,3}::(uin/[0-9]{1,3})?:[ -~课]{1,12})", 1..4),
        values in prop::collection::vec("[ -~]{1,6}", 0..3),
    ) -> Value {
        let mut statement = serde_json::json!({
            "effect": if deny { "deny" } else { "allow" }, "action": actions, "resource": resources,
        });
        if !values.is_empty() {
            statement["condition"] = serde_json::json!({"string_like": {"cos:prefix": values}});
        }
        statement
    }
}

proptest! {
    #[test]
    fn what_is_written_reads_back(statements in prop::collection::vec(statements(), 1..4)) {
        let text = serde_json::json!({"version": "2.0", "statement": statements}).to_string();
        let policy = parse(&text).unwrap();
        let written = render(&policy).unwrap();
        prop_assert_eq!(&parse(&written).unwrap(), &policy);
        let sent: String = form_urlencoded::byte_serialize(written.as_bytes()).collect();
        prop_assert_eq!(parse_sent(&sent).unwrap(), policy);
    }

    #[test]
    fn arbitrary_text_never_panics(text: String, inner: String) {
        let _ = (parse(&text), parse_sent(&text));
        let _ = one(&format!(r#""action":{},"resource":{}"#, Value::from(inner.clone()), Value::from(text)));
        let _ = condition_of(&inner);
    }
}
