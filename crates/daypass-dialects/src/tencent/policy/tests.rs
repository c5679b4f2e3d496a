//! Documents as the vendor's samples and helpers write them, and what is not taken.

use super::*;
use daypass_core::policy::{Access, Condition, Decision, Truth, covers, decide, narrow};

const SOE: &str = r#"{"version":"2.0","statement":{"effect":"allow","action":["soe:TransmitOralProcessWithInit"],"resource":"*"}}"#;

pub(super) fn one(members: &str) -> Result<Policy, BadPolicy> {
    parse_sent(&format!(r#"{{"version":"2.0","statement":[{{"effect":"allow",{members}}}]}}"#))
}

fn action_of(text: &str) -> Result<String, BadPolicy> {
    one(&format!(r#""action":"{text}","resource":"*""#)).map(|p| p.statements[0].actions[0].to_string())
}

#[track_caller]
pub(super) fn refused<T: std::fmt::Debug>(result: Result<T, BadPolicy>, reason: Reason, detail: &str) {
    let bad = result.expect_err("a fault");
    assert_eq!(bad.reason, reason, "{bad}");
    assert!(bad.detail.contains(detail), "{bad}");
}

#[test]
fn the_seeds_document_is_understood_in_every_encoding() {
    let policy = parse(SOE).unwrap();
    assert_eq!(policy, daypass_core::testing::allow(Language::Cam, "soe:TransmitOralProcessWithInit", "*"));
    let percent = SOE.bytes().map(|b| format!("%{b:02X}")).collect::<Vec<_>>().concat();
    let lower = SOE.replace('{', "%7b").replace('"', "%22").replace('}', "%7d");
    let form: String = form_urlencoded::byte_serialize(SOE.as_bytes()).collect();
    let blank = SOE.replace(':', ": ").replace("soe: ", "soe:");
    let plus: String = form_urlencoded::byte_serialize(blank.as_bytes()).collect();
    assert!(plus.contains("%3A+"), "{plus}");
    for sent in [SOE, &format!("  {SOE}\n"), &percent, &lower, &form, &blank, &plus] {
        assert_eq!(parse_sent(sent).as_ref(), Ok(&policy), "{sent}");
    }
    let twice: String = form_urlencoded::byte_serialize(form.as_bytes()).collect();
    refused(parse_sent(&twice), Reason::PolicyMalformed, "encoded twice");
    refused(parse_sent("%zz"), Reason::PolicyMalformed, "no encoded one; it is `%zz`");
    refused(parse_sent("version=2.0"), Reason::PolicyMalformed, "not a JSON document");
    refused(parse_sent(""), Reason::PolicyMalformed, "not a JSON document");
}

#[test]
fn a_document_that_is_json_is_not_decoded() {
    let policy = one(r#""action":"cos:GetObject","resource":"qcs::cos:gz:uid/1:bucket/a%2A+b""#).unwrap();
    assert_eq!(policy.statements[0].resources[0].as_str(), "qcs::cos:gz:uid/1:bucket/a%2A+b");
}

#[test]
fn the_document_of_the_cos_helper_is_understood() {
    let policy = parse_sent(
        r#"{"version":"2.0","statement":[{"action":["name/cos:PutObject","name/cos:PostObject"],
            "effect":"allow","principal":{"qcs":["*"]},"condition":{},
            "resource":["qcs::cos:ap-guangzhou:uid/1250000000:prefix//1250000000/pics/users/1/*"]}]}"#,
    );
    assert_eq!(
        render(&policy.unwrap()).as_deref(),
        Ok(
            r#"{"version":"2.0","statement":[{"effect":"allow","action":["cos:PutObject","cos:PostObject"],"resource":["qcs::cos:ap-guangzhou:uid/1250000000:pics-1250000000/users/1/*"]}]}"#
        )
    );
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
    let (object, list) = (parse(SOE), parse(&SOE.replace("{\"effect", "[{\"effect").replace("}}", "}]}")));
    assert_eq!(object, list);
    for bad in ["[]", "\"x\"", "null", "1"] {
        let text = format!(r#"{{"version":"2.0","statement":{bad}}}"#);
        refused(parse(&text), Reason::PolicyInvalid, "statement must be");
    }
}

#[test]
fn text_and_list_of_actions_and_resources_are_the_same() {
    let list = one(r#""action":["cos:GetObject"],"resource":["*"]"#);
    assert_eq!(one(r#""action":"cos:GetObject","resource":"*""#), list);
    for member in ["action", "resource"] {
        for bad in ["[]", "null", "1", "{}", "[1]", r#"["*",["*"]]"#, "true"] {
            let other = if member == "action" { "resource" } else { "action" };
            let policy = one(&format!(r#""{other}":"*","{member}":{bad}"#));
            refused(policy, Reason::PolicyInvalid, &format!("statement 1: {member} must be"));
        }
    }
}

#[test]
fn nothing_is_dropped() {
    for name in ["not_action", "notAction", "not_resource", "sid", "id", "notPrincipal", ""] {
        refused(one(&format!(r#""action":"*","resource":"*","{name}":"x""#)), Reason::PolicyInvalid, name);
    }
    refused(parse(&SOE.replacen('{', r#"{"Id":"1","#, 1)), Reason::PolicyInvalid, "no member `Id`");
    for member in ["Effect", "ACTION", "Resource", "Condition", "Principal", " effect"] {
        let lower = member.trim().to_lowercase();
        let policy = one(&format!(r#""action":"*","resource":"*","{member}":"x""#));
        refused(policy, Reason::PolicyInvalid, &format!("write `{lower}`, in lower case"));
    }
    refused(parse(&SOE.replace("version", "Version")), Reason::PolicyInvalid, "write `version`");
}

#[test]
fn no_member_stands_twice_anywhere() {
    for text in [
        SOE.replace("\"version\":\"2.0\"", r#""version":"2.0","version":"2.0""#),
        SOE.replace("\"effect\":", "\"effect\":\"deny\",\"effect\":"),
        SOE.replace(
            "\"effect\":",
            r#""condition":{"ip_equal":{"k":"::1"},"ip_equal":{"k":"::2"}},"effect":"#,
        ),
        SOE.replace("\"effect\":", r#""condition":{"ip_equal":{"k":"::1","k":"::2"}},"effect":"#),
        SOE.replace("\"effect\":", r#""principal":{"qcs":"*","qcs":"*"},"effect":"#),
    ] {
        refused(parse(&text), Reason::PolicyMalformed, "stands twice");
    }
}

#[test]
fn anyone_is_no_principal_and_someone_is_refused() {
    let plain = one(r#""action":"*","resource":"*""#);
    for anyone in [r#"{"qcs":"*"}"#, r#"{"qcs":["*"]}"#] {
        assert_eq!(one(&format!(r#""action":"*","resource":"*","principal":{anyone}"#)), plain, "{anyone}");
    }
    for named in [
        r#"{"qcs":["qcs::cam::uin/1:uin/1"]}"#,
        r#"{"qcs":["qcs::cam::anyone:anyone"]}"#,
        r#"{"qcs":["*","*"]}"#,
        r#"{"qcs":[]}"#,
        r#"{"qcs":[["*"]]}"#,
        r#"{"qcs":"*","service":"x"}"#,
        r#"{"service":"*"}"#,
        r"{}",
        r#""*""#,
        "null",
    ] {
        let policy = one(&format!(r#""action":"*","resource":"*","principal":{named}"#));
        refused(policy, Reason::PolicyInvalid, "statement 1: principal cannot name anyone");
    }
}

#[test]
fn actions_have_the_vendors_forms() {
    for (text, same) in [
        ("*", "*"),
        ("**", "*"),
        ("*:*", "*"),
        ("**:*", "*"),
        ("name/*", "*"),
        ("name/*:*", "*"),
        ("name/cos:PutObject", "cos:PutObject"),
        ("name/cos:*", "cos:*"),
        ("soe:*", "soe:*"),
        ("cvm:Describe*", "cvm:Describe*"),
        ("cos:*Bucket*", "cos:*Bucket*"),
        ("cos:**", "cos:*"),
        ("*:Describe*", "*:Describe*"),
    ] {
        assert_eq!(action_of(text).as_deref(), Ok(same));
    }
    for bad in [
        "",
        "cos",
        "cos:",
        ":PutObject",
        ":",
        "co*",
        "cos:Put Object",
        " cos:PutObject",
        "cos:PutObject ",
        "cos:Put?bject",
        "cos:a:b",
        "{x}:y",
        "cos:{x}",
        "name/",
        "name/name/cos:A",
        "Name/cos:A",
        "cos:课",
    ] {
        refused(action_of(bad), Reason::PolicyInvalid, "not `*` and not service:Operation");
    }
    for set in ["permid/280649", "permid/*"] {
        refused(action_of(set), Reason::PolicyInvalid, &format!("function set `{set}`"));
    }
}

#[test]
fn the_length_counts_characters_and_no_blanks() {
    let document = |filler: &str, blanks: usize| {
        format!(
            r#"{{"version":"2.0",{}"statement":{{"effect":"allow","action":"*","resource":"qcs::soe::uin/1:{filler}"}}}}"#,
            " \n\t".repeat(blanks)
        )
    };
    let frame = document("", 0).len();
    for letter in ["x", "课"] {
        assert!(parse(&document(&letter.repeat(limits::POLICY - frame), 5_000)).is_ok());
        let longer = document(&letter.repeat(limits::POLICY - frame + 1), 0);
        refused(
            parse(&longer),
            Reason::PolicyTooLong,
            "has 6145 characters without blanks, and at most 6144",
        );
        let encoded: String = form_urlencoded::byte_serialize(longer.as_bytes()).collect();
        refused(parse_sent(&encoded), Reason::PolicyTooLong, "6145");
    }
}

#[test]
fn a_deny_wins_over_an_allow_and_nothing_is_allowed_by_default() {
    let policy = parse(
        r#"{"version":"2.0","statement":[
            {"effect":"allow","action":"cos:*","resource":"qcs::cos::uid/1250000000:pics-1250000000/*"},
            {"effect":"deny","action":"name/cos:Delete*","resource":"qcs::cos::uid/1250000000:pics-1250000000/keep/*"}]}"#,
    )
    .unwrap();
    let ask = |action: &str, name: &str| {
        let resource = format!("qcs::cos:ap-guangzhou:uid/1250000000:pics-1250000000/{name}");
        decide(&policy, Access { action, resource: &resource }, &|_| Truth::True)
    };
    assert_eq!(ask("cos:DeleteObject", "a"), Decision::Allowed(0));
    assert_eq!(ask("cos:DeleteObject", "keep/a"), Decision::Denied(1));
    assert_eq!(ask("cos:GetObject", "keep/a"), Decision::Allowed(0));
    assert_eq!(ask("cvm:RunInstances", "a"), Decision::NoMatch);
}

#[test]
fn every_way_to_write_an_action_is_the_same_to_a_role() {
    let role = one(r#""action":["name/cos:*"],"resource":"*""#).unwrap();
    for asked in ["cos:PutObject", "name/cos:PutObject", "cos:*", "name/cos:Put*"] {
        let asked = one(&format!(r#""action":"{asked}","resource":"*""#)).unwrap();
        assert_eq!(covers(&role, &asked), Ok(()));
        assert_eq!(narrow(&role, &asked), Ok(asked));
    }
    let everything = one(r#""action":"*:*","resource":"*""#).unwrap();
    assert!(covers(&role, &everything).is_err());
    assert_eq!(covers(&everything, &role), Ok(()));
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

#[test]
fn a_long_text_is_not_repeated_at_length() {
    let long = "x".repeat(2_000);
    for members in [
        format!(r#""action":"{long}","resource":"*""#),
        format!(r#""action":"permid/{long}","resource":"*""#),
        format!(r#""action":"*","resource":"{long}""#),
        format!(r#""action":"*","resource":"qcs::cos:{long}{{:uid/1:b/*""#),
        format!(r#""action":"*","resource":"qcs::cos::{long}:b/*""#),
        format!(r#""action":"*","resource":["*",{{"{long}":1}}]"#),
        format!(r#""action":"*","resource":"*","{long}":1"#),
        format!(r#""action":"*","resource":"*","principal":{{"qcs":"{long}"}}"#),
        format!(r#""action":"*","resource":"*","condition":"{long}""#),
        format!(r#""action":"*","resource":"*","condition":{{"{long}":{{}}}}"#),
        format!(r#""action":"*","resource":"*","condition":{{"ip_equal":"{long}"}}"#),
        format!(r#""action":"*","resource":"*","condition":{{"ip_equal":{{"{long} {long}":1}}}}"#),
        format!(r#""action":"*","resource":"*","condition":{{"ip_equal":{{"qcs:ip":"{long}"}}}}"#),
    ] {
        let bad = one(&members).expect_err("a fault");
        assert!(bad.detail.starts_with("statement 1: ") && bad.detail.len() < 400, "{bad}");
    }
}

#[test]
fn a_refusal_names_the_statement_what_is_wrong_and_what_was_expected() {
    let second = |members: &str| {
        parse_sent(&format!(
            r#"{{"version":"2.0","statement":[{{"effect":"allow","action":"*","resource":"*"}},{{{members}}}]}}"#
        ))
    };
    let said: Vec<_> = [
        parse_sent("%7B%22version%22"),
        parse_sent("[1]"),
        parse_sent(r#"{"version":2.0,"statement":[]}"#),
        parse_sent(r#"{"statement":[]}"#),
        parse_sent(r#"{"version":"2.0"}"#),
        second(r#""effect":"Allow","action":"*","resource":"*""#),
        second(r#""Effect":"allow","action":"*","resource":"*""#),
        second(r#""effect":"allow","resource":"*""#),
        second(r#""effect":"allow","action":["*",7],"resource":"*""#),
        second(r#""effect":"allow","action":"PutObject","resource":"*""#),
        second(r#""effect":"allow","action":"permid/1","resource":"*""#),
        second(r#""effect":"allow","action":"*","resource":"pics-1250000000/*""#),
        second(r#""effect":"allow","action":"*","resource":"qcs::cos:uid/1250000000:pics-1250000000/a:b:c""#),
        second(r#""effect":"allow","action":"*","resource":"qcs::cos::1250000000:pics-1250000000/*""#),
        second(r#""effect":"allow","action":"*","resource":"*","condition":{"ip_is":{"qcs:ip":"::1"}}"#),
        second(r#""effect":"allow","action":"*","resource":"*","condition":{"ip_equal":{"qcs:ip":"10.0.0.256"}}"#),
        second(r#""effect":"allow","action":"*","resource":"*","principal":{"qcs":"qcs::cam::uin/1:uin/2"}"#),
    ]
    .into_iter()
    .map(|result| result.map_err(|bad| format!("{}: {bad}", bad.reason.label())).expect_err("a fault"))
    .collect();
    insta::assert_snapshot!(said.join("\n"), @r#"
    policy_malformed: the policy is not taken: not a JSON document (line 1, column 10)
    policy_invalid: the policy must be one JSON object; it is `[1]`
    policy_invalid: version must be the text `2.0`; it is the number `2.0`
    policy_invalid: version must be the text `2.0`; it is missing
    policy_invalid: statement must be an object, or a list of at least one; it is missing
    policy_invalid: statement 2: effect must be `allow` or `deny`, in lower case; it is `Allow`
    policy_invalid: statement 2: there is no member `Effect` here; write `effect`, in lower case
    policy_invalid: statement 2: action must be a text, or a list of at least one; it is missing
    policy_invalid: statement 2: action must be a text, or a list of at least one; it is the number `7`
    policy_invalid: statement 2: the action `PutObject` is not `*` and not service:Operation, such as `cos:PutObject` or `cos:*`
    policy_invalid: statement 2: the function set `permid/1` is not known here; list its actions, such as `cos:PutObject`
    policy_resource: statement 2: the resource `pics-1250000000/*` has not the six segments qcs:project:service:region:account:resource, such as `qcs::cos:ap-guangzhou:uid/1250000000:pics-1250000000/*`
    policy_resource: statement 2: the resource `qcs::cos:uid/1250000000:pics-1250000000/a:b:c` has the region `uid/1250000000`, which is no name; is a segment missing, or one too many?
    policy_resource: statement 2: the resource `qcs::cos::1250000000:pics-1250000000/*` has the account `1250000000`; an account is uin/ and the number of the root account, uid/ and an APPID, or empty
    policy_invalid: statement 2: there is no condition operator `ip_is`; there are string_…, numeric_…, date_…, bool_equal, binary_equal, ip_equal, ip_not_equal and null_equal, in lower case
    policy_invalid: statement 2: in the condition ip_equal, each value of `qcs:ip` must be an address or a network such as 10.217.182.0/24; one is `10.0.0.256`
    policy_invalid: statement 2: principal cannot name anyone here, because the policy is for the credential that carries it; leave it out (it is `{"qcs":"qcs::cam::uin/1:uin/2"}`)
    "#);
}
