//! Whatever is generated, cut or changed: reading never panics, and what is written reads back.

use super::*;
use daypass_core::policy::{Template, VariableType, covers, narrow};
use proptest::prelude::*;
use std::collections::BTreeMap;

/// Conditions of every kind of operator, with values that it can match.
fn conditions() -> impl Strategy<Value = Value> {
    let text = prop::sample::select(vec![
        "string_equal",
        "string_not_equal",
        "string_equal_ignore_case",
        "string_not_equal_ignore_case",
        "string_like",
        "string_not_like",
    ]);
    let comparison = prop::sample::select(vec![
        "equal",
        "not_equal",
        "less_than",
        "less_than_equal",
        "greater_than",
        "greater_than_equal",
    ]);
    let values = prop_oneof![
        (text, "[ -~课]{0,6}").prop_map(|(operator, value)| (operator.to_owned(), Value::from(value))),
        (comparison.clone(), any::<i64>()).prop_map(|(c, n)| (format!("numeric_{c}"), Value::from(n))),
        (comparison, 2000_u16..2100)
            .prop_map(|(c, year)| (format!("date_{c}"), Value::from(format!("{year}-02-03T04:05:06Z")))),
        any::<bool>().prop_map(|flag| ("bool_equal".to_owned(), Value::from(flag))),
        any::<bool>().prop_map(|flag| ("null_equal".to_owned(), Value::from(flag.to_string()))),
        Just(("binary_equal".to_owned(), Value::from("AA=="))),
        (any::<[u8; 4]>(), 0..=32_u8).prop_map(|([a, b, c, d], prefix)| {
            ("ip_not_equal".to_owned(), Value::from(format!("{a}.{b}.{c}.{d}/{prefix}")))
        }),
    ];
    let prefix = prop::sample::select(vec!["", "for_any_value:", "for_all_value:"]);
    let suffix = prop::sample::select(vec!["", "_if_exist"]);
    let operator = (prefix, values, suffix).prop_map(|(prefix, (operator, value), suffix)| {
        (format!("{prefix}{operator}{suffix}"), serde_json::json!({"qcs:k": [value]}))
    });
    prop::collection::vec(operator, 0..3).prop_map(|all| Value::Object(all.into_iter().collect()))
}

prop_compose! {
    fn statements()(
        deny: bool,
        actions in prop::collection::vec("(\\*|(name/)?[a-z*]{1,4}:[A-Za-z*]{1,8})", 1..4),
        resources in prop::collection::vec(
            "(\\*|qcs::[a-z*]{1,3}:(ap-[a-z]{1,3}|\\*)?:(\\*|(uin|uid)/([0-9]{1,3}|\\*))?:[ -~课]{1,12}\
             |qcs::cos::uid/12:prefix//1[0-2]/[a-z*]{0,2}(/[a-z*/]{0,4})?)",
            1..4,
        ),
        conditions in prop::option::of(conditions()),
        single: bool,
    ) -> Value {
        let mut statement = serde_json::json!({
            "effect": if deny { "deny" } else { "allow" }, "action": actions, "resource": resources,
        });
        if single {
            statement["action"] = actions[0].clone().into();
            statement["resource"] = resources[0].clone().into();
        }
        if let Some(conditions) = conditions {
            statement["condition"] = conditions;
        }
        statement
    }
}

fn document(statements: &[Value]) -> String {
    serde_json::json!({"version": "2.0", "statement": statements}).to_string()
}

fn percent(text: &str) -> String {
    text.bytes().map(|b| format!("%{b:02X}")).collect::<Vec<_>>().concat()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn what_is_written_reads_back(statements in prop::collection::vec(statements(), 1..4)) {
        let policy = parse_sent(&document(&statements)).unwrap();
        for policy in [policy.clone(), with_account(policy, "12")] {
            let written = render(&policy).unwrap();
            prop_assert_eq!(&parse_sent(&written).unwrap(), &policy);
            prop_assert_eq!(render(&parse_sent(&written).unwrap()).unwrap(), written);
        }
    }

    #[test]
    fn every_encoding_says_the_same(statements in prop::collection::vec(statements(), 1..4)) {
        let text = document(&statements);
        let policy = parse_sent(&text).unwrap();
        let form: String = form_urlencoded::byte_serialize(text.as_bytes()).collect();
        prop_assert_eq!(&parse_sent(&form).unwrap(), &policy);
        prop_assert_eq!(&parse_sent(&percent(&text)).unwrap(), &policy);
        let blanks = serde_json::to_string_pretty(&serde_json::from_str::<Value>(&text).unwrap()).unwrap();
        prop_assert_eq!(&parse_sent(&blanks).unwrap(), &policy);
        if let [one] = statements.as_slice() {
            let object = serde_json::json!({"version": "2.0", "statement": one}).to_string();
            prop_assert_eq!(&parse_sent(&object).unwrap(), &policy);
        }
    }

    #[test]
    fn a_role_gives_what_it_says_however_it_is_written(
        region in "(ap-[a-z]{1,3}|\\*)?", account in "(uid/[0-9]{2}|uin/100)?", name in "[a-z/*]{1,6}",
    ) {
        let text = |region: &str, account: &str| {
            let resource = format!("qcs::cos:{region}:{account}:{name}");
            let statement = serde_json::json!({"effect": "allow", "action": "cos:*", "resource": resource});
            with_account(parse_sent(&document(&[statement])).unwrap(), "100")
        };
        let role = text(&region, &account);
        let mut same = vec![text(&region, &account)];
        if region.is_empty() || region == "*" {
            same.extend([text("", &account), text("*", &account)]);
        }
        if account.is_empty() || account == "uin/100" {
            same.extend([text(&region, ""), text(&region, "uin/100")]);
        }
        for asked in same {
            prop_assert_eq!(covers(&role, &asked), Ok(()));
            prop_assert_eq!(&narrow(&role, &asked).unwrap(), &role);
            prop_assert_eq!(asked, role.clone());
        }
    }

    #[test]
    fn what_a_role_and_an_ask_have_in_common_can_be_written(
        role in prop::collection::vec(statements(), 1..3), ask in prop::collection::vec(statements(), 1..3),
    ) {
        let (role, ask) = (document(&role).replace("prefix/", "p"), document(&ask).replace("prefix/", "p"));
        let policies = asked(&role, "12").and_then(|role| Ok((role, asked(&ask, "12")?)));
        // An account that is not the own one, or an intersection that cannot be told.
        let Ok(Ok(common)) = policies.map(|(role, ask)| narrow(&role, &ask)) else { return Ok(()) };
        prop_assume!(!common.statements.is_empty());
        let written = render(&common).unwrap();
        prop_assert_eq!(asked(&written, "12").unwrap(), common, "{}", written);
    }

    #[test]
    fn a_template_bound_to_a_value_is_the_document_with_that_value(value in "[a-z0-9]{1,8}") {
        let text = |value: &str| format!(
            r#"{{"version":"2.0","statement":{{"effect":"allow","action":"cos:PutObject","resource":"qcs::cos::uid/1250000000:pics-1250000000/{value}/*"}}}}"#
        );
        let variables = BTreeMap::from([("user".to_owned(), VariableType::Slug)]);
        let template = Template::new(parse(&text("{user}")).unwrap(), &variables).unwrap();
        let bound = template.bind(&BTreeMap::from([("user".to_owned(), value.clone())])).unwrap();
        prop_assert_eq!(bound, parse_sent(&text(&value)).unwrap());
    }

    #[test]
    fn arbitrary_text_never_panics(text: String, inner: String) {
        let _ = (parse(&text), parse_sent(&text), asked(&text, "100"));
        for name in ["action", "resource", "condition", "principal", "effect"] {
            let _ = parse(&document(&[serde_json::json!({"effect": "allow", "action": inner, "resource": text, name: inner})]));
        }
        let _ = resource::read(&format!("qcs::{inner}"), Author::Operator);
        let _ = resource::read(&format!("qcs::cos::uid/1:{inner}"), Author::Caller);
    }

    #[test]
    fn a_changed_document_never_panics_and_is_never_read_as_something_it_does_not_say(
        statements in prop::collection::vec(statements(), 1..3), at: prop::sample::Index, to in "[ -~]{0,2}",
    ) {
        let mut text = document(&statements);
        let mut at = at.index(text.len());
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        text.truncate(at + text[at..].chars().next().map_or(0, char::len_utf8));
        let _ = (parse(&text), parse_sent(&percent(&text)));
        let mut text = document(&statements);
        text.insert_str(at, &to);
        if let Ok(policy) = asked(&text, "12") {
            let written = render(&policy).unwrap();
            prop_assert_eq!(&asked(&written, "12").unwrap(), &policy, "{}", written);
        }
    }
}
