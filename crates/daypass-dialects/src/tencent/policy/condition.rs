//! Conditions: operator → key → value or values.

use super::BadPolicy;
use crate::tencent::wire::shown;
use daypass_core::clock::Timestamp;
use daypass_core::policy::Condition;
use serde_json::{Map, Value};
use std::net::IpAddr;

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
    Network,
}

/// The operator's values, without its prefix and suffix; nothing where there is no such operator.
fn values_of(operator: &str) -> Option<Values> {
    let operator = operator
        .strip_prefix("for_any_value:")
        .or_else(|| operator.strip_prefix("for_all_value:"))
        .unwrap_or(operator);
    let operator = operator.strip_suffix("_if_exist").unwrap_or(operator);
    match operator {
        "string_equal"
        | "string_not_equal"
        | "string_equal_ignore_case"
        | "string_not_equal_ignore_case"
        | "string_like"
        | "string_not_like"
        | "binary_equal" => Some(Values::Text),
        "bool_equal" | "null_equal" => Some(Values::Bool),
        "ip_equal" | "ip_not_equal" => Some(Values::Network),
        _ => {
            let (kind, comparison) = operator.split_once('_')?;
            let known = matches!(
                comparison,
                "equal"
                    | "not_equal"
                    | "less_than"
                    | "less_than_equal"
                    | "greater_than"
                    | "greater_than_equal"
            );
            match kind {
                "numeric" if known => Some(Values::Number),
                "date" if known => Some(Values::Date),
                _ => None,
            }
        }
    }
}

impl Values {
    /// Whether a text can be one. A `{variable}` of a role's template is seen when it has its value.
    fn admit(self, text: &str) -> bool {
        text.contains('{')
            || match self {
                Self::Text => true,
                Self::Number => text.parse::<f64>().is_ok_and(f64::is_finite),
                Self::Date => text.parse::<Timestamp>().is_ok(),
                Self::Bool => matches!(text, "true" | "false"),
                Self::Network => is_network(text),
            }
    }

    fn expected(self) -> &'static str {
        match self {
            Self::Text => "a text",
            Self::Number => "a number",
            Self::Date => "a date such as 2026-11-22T06:04:25Z",
            Self::Bool => "true or false",
            Self::Network => "an address or a network such as 10.217.182.0/24",
        }
    }
}

/// An address, perhaps with a prefix length. Host bits may be set: the vendor's own samples do.
fn is_network(text: &str) -> bool {
    let (address, prefix) = text.split_once('/').map_or((text, None), |(a, p)| (a, Some(p)));
    let Ok(address) = address.parse::<IpAddr>() else { return false };
    let longest = if address.is_ipv4() { 32 } else { 128 };
    prefix.is_none_or(|prefix| {
        prefix.bytes().all(|c| c.is_ascii_digit()) && prefix.parse::<u8>().is_ok_and(|n| n <= longest)
    })
}

/// Reads the `condition` of a statement. All of what it gives must hold.
pub(super) fn parse(value: Option<&Value>) -> Result<Vec<Condition>, BadPolicy> {
    let operators = match value {
        None => return Ok(Vec::new()),
        Some(Value::Object(operators)) => operators,
        Some(_) => return Err(BadPolicy::invalid("condition must be an object")),
    };
    let mut conditions: Vec<Condition> = Vec::new();
    for (operator, keys) in operators {
        let kind = values_of(operator).ok_or_else(|| {
            BadPolicy::invalid(format!("there is no condition operator {}", shown(operator)))
        })?;
        for (key, values) in keys_of(operator, keys)? {
            // Published samples have stray blanks in key names.
            let key = key.trim();
            if key.is_empty() || key.contains(|c: char| c.is_whitespace() || c.is_control()) {
                return Err(BadPolicy::invalid(format!(
                    "the condition {operator} has a key that is no name"
                )));
            }
            if conditions.iter().any(|c| c.operator == *operator && c.key == key) {
                let key = shown(key);
                return Err(BadPolicy::invalid(format!("the condition {operator} has the key {key} twice")));
            }
            let values = values_in(operator, key, values, kind)?;
            conditions.push(Condition { operator: operator.clone(), key: key.to_owned(), values });
        }
    }
    Ok(conditions)
}

fn keys_of<'a>(operator: &str, keys: &'a Value) -> Result<&'a Map<String, Value>, BadPolicy> {
    match keys {
        Value::Object(keys) if !keys.is_empty() => Ok(keys),
        _ => Err(BadPolicy::invalid(format!(
            "the condition {operator} must be an object with at least one key"
        ))),
    }
}

/// One value or a list of them, as text, sorted and without repeats.
fn values_in(operator: &str, key: &str, value: &Value, kind: Values) -> Result<Vec<String>, BadPolicy> {
    let wrong = || {
        let (key, expected) = (shown(key), kind.expected());
        BadPolicy::invalid(format!("in the condition {operator}, each value of {key} must be {expected}"))
    };
    let list = match value {
        Value::Array(list) if !list.is_empty() => list.as_slice(),
        Value::Array(_) => return Err(wrong()),
        one => std::slice::from_ref(one),
    };
    let text = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => matches!(kind, Values::Bool).then(|| flag.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    };
    let mut texts = list
        .iter()
        .map(|value| text(value).filter(|text| kind.admit(text)).ok_or_else(wrong))
        .collect::<Result<Vec<_>, _>>()?;
    texts.sort_unstable();
    texts.dedup();
    Ok(texts)
}
