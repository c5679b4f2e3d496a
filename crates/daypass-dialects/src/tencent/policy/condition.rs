//! Conditions: operator → key → value or values.
//!
//! Any of the values may match; several keys, and several operators, must all hold.

use super::{Author, BadPolicy, evaluate};
use crate::condition::{Compare, Rule, is_number, network};
use crate::tencent::wire::shown;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use daypass_core::clock::Timestamp;
use daypass_core::policy::Condition;
use serde_json::{Map, Value};

/// What the values of an operator must look like.
///
/// Attack: a value that can never match makes a denial without effect, so it is refused when it is written and
/// not discovered when it should have helped.
#[derive(Clone, Copy)]
enum Values {
    Text,
    Number,
    Date,
    Bool,
    Binary,
    Network,
}

/// The operator's values; nothing where there is no such operator.
fn values_of(operator: &str) -> Option<Values> {
    Some(match evaluate::rule_of(operator)? {
        Rule::Absent | Rule::Undocumented => Values::Bool,
        Rule::Compare { compare, .. } => match compare {
            Compare::Text | Compare::IgnoreCase | Compare::Like(_) => Values::Text,
            Compare::Number(_) => Values::Number,
            Compare::Date(_) => Values::Date,
            Compare::Bool => Values::Bool,
            Compare::Binary => Values::Binary,
            Compare::Address => Values::Network,
        },
    })
}

impl Values {
    /// Whether a text can be one.
    fn admit(self, text: &str) -> bool {
        match self {
            Self::Text => true,
            Self::Number => is_number(text),
            // Jiff also reads offsets and blanks; the vendor documents UTC, and what it makes of the rest is not known.
            Self::Date => text.ends_with('Z') && text.contains('T') && text.parse::<Timestamp>().is_ok(),
            Self::Bool => matches!(text, "true" | "false"),
            Self::Binary => STANDARD.decode(text).is_ok(),
            Self::Network => network(text).is_some(),
        }
    }

    fn expected(self) -> &'static str {
        match self {
            Self::Text => "a text",
            Self::Number => "a whole number, or a decimal number as text",
            Self::Date => "a date in UTC such as 2026-11-22T06:04:25Z",
            Self::Bool => "true or false",
            Self::Binary => "bytes in Base64",
            Self::Network => "an address or a network such as 10.217.182.0/24",
        }
    }

    /// A value as text, where it can be one.
    ///
    /// Of numbers only whole ones are taken as they are: the parser keeps others as floating point, where a limit
    /// of many digits would come out as another limit.
    fn text(self, value: &Value) -> Option<String> {
        match value {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) if number.is_i64() || number.is_u64() => Some(number.to_string()),
            Value::Bool(flag) if matches!(self, Self::Bool) => Some(flag.to_string()),
            _ => None,
        }
    }
}

/// Reads the `condition` of a statement. All of what it gives must hold.
pub(super) fn read(value: Option<&Value>, author: Author) -> Result<Vec<Condition>, BadPolicy> {
    let operators = match value {
        None => return Ok(Vec::new()),
        Some(Value::Object(operators)) => operators,
        Some(other) => {
            let found = shown_value(other);
            return Err(BadPolicy::invalid(format!("condition must be an object; it is `{found}`")));
        }
    };
    let mut conditions: Vec<Condition> = Vec::new();
    for (operator, keys) in operators {
        let kind = values_of(operator).ok_or_else(|| unknown(operator))?;
        for (key, values) in keys_of(operator, keys)? {
            // Published samples have stray blanks in key names.
            let key = key.trim();
            if key.is_empty() || key.contains(|c: char| c.is_whitespace() || c.is_control()) {
                let key = shown(key);
                return Err(BadPolicy::invalid(format!(
                    "the condition {operator} has a key that is no name, such as `qcs:ip`; it is `{key}`"
                )));
            }
            if conditions.iter().any(|c| c.operator == *operator && c.key == key) {
                let key = shown(key);
                return Err(BadPolicy::invalid(format!(
                    "the condition {operator} has the key `{key}` twice; write its values as one list"
                )));
            }
            let values = values_in(values, kind, author).map_err(|wrong| {
                let (key, wrong, expected) = (shown(key), shown_value(wrong), kind.expected());
                BadPolicy::invalid(format!(
                    "in the condition {operator}, each value of `{key}` must be {expected}; one is `{wrong}`"
                ))
            })?;
            conditions.push(Condition { operator: operator.clone(), key: key.to_owned(), values });
        }
    }
    Ok(conditions)
}

/// Never skipped: a statement without one of its conditions would allow more than its author wrote.
fn unknown(operator: &str) -> BadPolicy {
    BadPolicy::invalid(format!(
        "there is no condition operator `{}`; there are string_…, numeric_…, date_…, bool_equal, binary_equal, ip_equal, ip_not_equal and null_equal, in lower case",
        shown(operator)
    ))
}

fn keys_of<'a>(operator: &str, keys: &'a Value) -> Result<&'a Map<String, Value>, BadPolicy> {
    match keys {
        Value::Object(keys) if !keys.is_empty() => Ok(keys),
        other => Err(BadPolicy::invalid(format!(
            "the condition {operator} must be an object with at least one key; it is `{}`",
            shown_value(other)
        ))),
    }
}

/// One value or a list of them, as text, sorted and without repeats; or the one that is wrong.
fn values_in(value: &Value, kind: Values, author: Author) -> Result<Vec<String>, &Value> {
    let list = match value {
        Value::Array(list) if !list.is_empty() => list.as_slice(),
        Value::Array(_) => return Err(value),
        one => std::slice::from_ref(one),
    };
    let fine = |text: &String| kind.admit(text) || author.leaves_open(text);
    let read = |value| kind.text(value).filter(fine).ok_or(value);
    let mut texts = list.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    texts.sort_unstable();
    texts.dedup();
    Ok(texts)
}

fn shown_value(value: &Value) -> String {
    match value {
        Value::String(text) => shown(text).to_owned(),
        other => shown(&other.to_string()).to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tencent::policy::tests::{one, refused};
    use crate::tencent::policy::{parse, render};
    use daypass_core::policy::covers;
    use daypass_core::refusal::Reason;

    fn condition_of(text: &str) -> Result<Vec<Condition>, BadPolicy> {
        one(&format!(r#""action":"cos:GetObject","resource":"*","condition":{text}"#))
            .map(|mut p| p.statements.remove(0).conditions)
    }

    /// Every operator of the language without prefix and suffix, with a value that it takes and one that it does not.
    const OPERATORS: &[(&str, &str, &str)] = &[
        ("string_equal", "\"\"", "true"),
        ("string_not_equal", "\"a\"", "null"),
        ("string_equal_ignore_case", "\"A\"", "{}"),
        ("string_not_equal_ignore_case", "7", "[[\"a\"]]"),
        ("string_like", "\"*.jpg\"", "1.5"),
        ("string_not_like", "\"a/*\"", "[]"),
        ("numeric_equal", "1024", "\"many\""),
        ("numeric_not_equal", "\"-1.50\"", "1e3"),
        ("numeric_less_than", "-7", "\"1e3\""),
        ("numeric_less_than_equal", "18446744073709551615", "18446744073709551616"),
        ("numeric_greater_than", "\"0\"", "\"inf\""),
        ("numeric_greater_than_equal", "[1,\"2\"]", "[1,\"\"]"),
        ("date_equal", "\"2026-06-01T00:01:00Z\"", "\"tomorrow\""),
        ("date_not_equal", "\"2026-06-01T00:01:00Z\"", "\"2026-06-01T00:01:00\""),
        ("date_less_than", "\"2026-06-01T00:01:00Z\"", "\"2026-06-01T00:01:00+08:00\""),
        ("date_less_than_equal", "\"2026-06-01T00:01:00Z\"", "\"2026-06-01 00:01:00Z\""),
        ("date_greater_than", "\"2026-06-01T00:01:00Z\"", "\"2026-06-31T00:01:00Z\""),
        ("date_greater_than_equal", "\"2026-06-01T00:01:00.500Z\"", "1780272060"),
        ("bool_equal", "true", "\"yes\""),
        ("binary_equal", "\"QmFzZTY0\"", "\"Base64?\""),
        ("ip_equal", "\"10.217.182.3/24\"", "\"10.0.0.256\""),
        ("ip_not_equal", "[\"::1\",\"2001:db8::/32\"]", "[\"::1\",\"10.0.0.0/33\"]"),
        ("null_equal", "\"false\"", "\"null\""),
    ];

    #[test]
    fn every_operator_takes_its_prefixes_its_suffix_and_its_own_values() {
        for (operator, fine, wrong) in OPERATORS {
            for prefix in ["", "for_any_value:", "for_all_value:"] {
                for suffix in ["", "_if_exist"] {
                    let name = format!("{prefix}{operator}{suffix}");
                    let read = condition_of(&format!(r#"{{"{name}":{{"k":{fine}}}}}"#)).unwrap();
                    assert!(read.len() == 1 && read[0].operator == name && read[0].key == "k", "{read:?}");
                    refused(
                        condition_of(&format!(r#"{{"{name}":{{"k":{wrong}}}}}"#)),
                        Reason::PolicyInvalid,
                        &format!("in the condition {name}, each value of `k` must be"),
                    );
                }
            }
        }
    }

    #[test]
    fn an_operator_that_nobody_knows_makes_the_policy_invalid() {
        for operator in [
            "ip_equals",
            "IP_equal",
            "ip_equal ",
            "string_equal_ifexist",
            "string_equal_if_exist_if_exist",
            "if_exist_string_equal",
            "for_some_value:string_equal",
            "for_any_value:for_all_value:string_equal",
            "for_any_value:",
            "for_any_value",
            "string_equal:for_any_value",
            "numeric_like",
            "string_less_than",
            "date_",
            "numeric",
            "bool_not_equal",
            "binary_not_equal",
            "null_not_equal",
            "StringEquals",
            "_if_exist",
            "",
        ] {
            refused(
                condition_of(&format!(r#"{{"{operator}":{{"k":"1"}}}}"#)),
                Reason::PolicyInvalid,
                &format!("statement 1: there is no condition operator `{operator}`"),
            );
        }
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
        assert_eq!(find("ip_equal").values, ["10.217.182.3/24", "111.21.33.72/24"]);
        assert_eq!(find("numeric_less_than_equal").values, ["1024"]);
        assert_eq!(find("for_any_value:string_equal").values, ["a&1", "b&1"]);
        assert_eq!(find("string_like_if_exist").values, ["image/*"]);
        assert_eq!(find("bool_equal").values, ["true"]);
        assert_eq!(conditions.len(), 6);
        assert_eq!(condition_of("{}"), Ok(vec![]));
    }

    #[test]
    fn a_number_is_the_same_with_and_without_quotes() {
        let with = |value: &str| condition_of(&format!(r#"{{"numeric_equal":{{"k":{value}}}}}"#));
        assert_eq!(with("1024"), with("\"1024\""));
        assert_eq!(with("[2,1]"), with(r#"["1","2","1"]"#));
    }

    #[test]
    fn what_a_condition_asks_is_asked_of_the_role_too() {
        let on = |condition: &str| {
            one(&format!(r#""action":"cos:GetObject","resource":"*","condition":{condition}"#)).unwrap()
        };
        let role = on(r#"{"ip_equal":{"qcs:ip":["10.0.0.0/8"]}}"#);
        assert_eq!(covers(&role, &on(r#"{"ip_equal":{"qcs:ip ":"10.0.0.0/8"}}"#)), Ok(()));
        for wider in [
            "{}",
            r#"{"ip_equal_if_exist":{"qcs:ip":"10.0.0.0/8"}}"#,
            r#"{"for_all_value:ip_equal":{"qcs:ip":"10.0.0.0/8"}}"#,
            r#"{"ip_equal":{"qcs:vpc":"10.0.0.0/8"}}"#,
            r#"{"ip_equal":{"qcs:ip":["10.0.0.0/8","0.0.0.0/0"]}}"#,
        ] {
            assert!(covers(&role, &on(wider)).is_err(), "{wider}");
        }
    }

    #[test]
    fn a_condition_has_operators_keys_and_values() {
        for (text, detail) in [
            ("[]", "condition must be an object; it is `[]`"),
            ("null", "condition must be an object; it is `null`"),
            (r#"{"ip_equal":{}}"#, "ip_equal must be an object with at least one key; it is `{}`"),
            (r#"{"ip_equal":"qcs:ip"}"#, "with at least one key; it is `qcs:ip`"),
            (r#"{"string_equal":{"k":[]}}"#, "must be a text; one is `[]`"),
            (r#"{"string_equal":{"k":["a",null]}}"#, "must be a text; one is `null`"),
            (r#"{"string_equal":{" ":"v"}}"#, "a key that is no name"),
            (r#"{"string_equal":{"a b":"v"}}"#, "it is `a b`"),
            (r#"{"string_equal":{"k":"1","k ":"2"}}"#, "has the key `k` twice"),
            (r#"{"ip_equal":{"qcs:ip":"10.0.0.0/+8"}}"#, "10.217.182.0/24; one is `10.0.0.0/+8`"),
            (r#"{"ip_equal":{"qcs:ip":" 10.0.0.1"}}"#, "one is ` 10.0.0.1`"),
            (r#"{"ip_equal":{"qcs:ip":"::ffff:10.0.0.0/104"}}"#, "one is `::ffff:10.0.0.0/104`"),
        ] {
            refused(condition_of(text), Reason::PolicyInvalid, detail);
        }
    }

    #[test]
    fn only_an_operator_writes_variables() {
        let text = r#"{"version":"2.0","statement":{"effect":"allow","action":"*","resource":"*","condition":{"numeric_equal":{"k":"{limit}"}}}}"#;
        assert_eq!(render(&parse(text).unwrap()).unwrap().matches("{limit}").count(), 1);
        refused(
            condition_of(r#"{"numeric_equal":{"k":"{limit}"}}"#),
            Reason::PolicyInvalid,
            "one is `{limit}`",
        );
        refused(condition_of(r#"{"ip_equal":{"k":"{"}}"#), Reason::PolicyInvalid, "one is `{`");
        assert!(condition_of(r#"{"string_equal":{"k":"{"}}"#).is_ok(), "a text like any other");
    }
}
