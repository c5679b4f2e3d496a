//! RAM's policy language, and in `top` the shape in which the gateway's answer shows a policy.
//!
//! Source: Alibaba Cloud, "Policy structure and syntax" (RAM). What the model of the core cannot hold, or what we
//! could understand differently from the cloud, is refused and never dropped.

mod evaluate;
mod top;

pub use evaluate::allows;
pub(crate) use evaluate::holds;
pub use top::parse_top;
pub(super) use top::top_shape;

use super::json::quote;
use crate::condition::{Compare, Rule, is_number, network};
use daypass_core::json::{self, JsonFault};
use daypass_core::limits;
use daypass_core::policy::{Condition, Effect, Language, Pattern, Policy, Statement};
use daypass_core::refusal::{Reason, Refusal};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Reads a RAM document. `{name}` in a resource or a condition's value is text here; a role's template gives it a
/// meaning later.
pub fn parse(text: &str) -> Result<Policy, Refusal> {
    document(&json_of(text)?)
}

fn json_of(text: &str) -> Result<Value, Refusal> {
    if text.chars().filter(|c| !c.is_whitespace()).count() > limits::POLICY {
        let detail = format!("a policy has at most {} characters, blanks not counted", limits::POLICY);
        return Err(Refusal::new(Reason::PolicyTooLong, detail).parameter("Policy"));
    }
    json::parse(text.as_bytes()).map_err(|fault| {
        let reason = match fault {
            JsonFault::Duplicate { .. } => Reason::PolicyInvalid,
            JsonFault::Syntax { .. } | JsonFault::TooDeep => Reason::PolicyMalformed,
        };
        Refusal::new(reason, format!("the policy is {fault}")).parameter("Policy")
    })
}

fn document(document: &Value) -> Result<Policy, Refusal> {
    if document.get("statement").is_some() {
        return Err(invalid(
            "this is the shape of the gateway's answer; the members of RAM's begin with capitals",
        ));
    }
    let document = object(document, "the policy", &["Version", "Statement"])?;
    if document.get("Version").and_then(Value::as_str) != Some("1") {
        return Err(invalid("Version must be there and be the text 1"));
    }
    let statements = match document.get("Statement") {
        Some(Value::Array(statements)) if !statements.is_empty() => statements,
        _ => return Err(invalid("Statement must be a list with at least one statement")),
    };
    let statements = (1..).zip(statements).map(|(n, value)| statement(&format!("statement {n}"), value));
    Ok(Policy { language: Language::Ram, statements: statements.collect::<Result<_, _>>()? })
}

fn statement(at: &str, value: &Value) -> Result<Statement, Refusal> {
    if let Value::Object(members) = value {
        let inverse = ["NotAction", "NotResource"].into_iter().find(|name| members.contains_key(*name));
        if let Some(name) = inverse {
            return Err(invalid(format!("{at}: {name} is not supported; name what it is about")));
        }
        if members.contains_key("Principal") {
            return Err(invalid(format!("{at}: Principal has no place in the policy of a credential")));
        }
    }
    let members = object(value, at, &["Effect", "Action", "Resource", "Condition"])?;
    let effect = match members.get("Effect").and_then(Value::as_str) {
        Some("Allow") => Effect::Allow,
        Some("Deny") => Effect::Deny,
        _ => return Err(invalid(format!("{at}: Effect must be Allow or Deny"))),
    };
    Ok(Statement {
        effect,
        actions: patterns(members, "Action", at, check_action)?,
        resources: patterns(members, "Resource", at, check_resource)?,
        conditions: match members.get("Condition") {
            None => Vec::new(),
            Some(value) => conditions(at, value)?,
        },
    })
}

fn patterns(
    members: &Map<String, Value>,
    name: &str,
    at: &str,
    check: fn(&str) -> Result<(), Refusal>,
) -> Result<Vec<Pattern>, Refusal> {
    let texts =
        members.get(name).and_then(texts).filter(|texts| !texts.is_empty()).ok_or_else(|| {
            invalid(format!("{at}: {name} must be a text or a list with at least one text"))
        })?;
    let pattern = |text: &str| match check(text) {
        Ok(()) => Ok(Pattern::parse(text)),
        Err(refusal) => Err(Refusal { detail: format!("{at}: {}", refusal.detail).into(), ..refusal }),
    };
    texts.into_iter().map(pattern).collect()
}

fn check_action(action: &str) -> Result<(), Refusal> {
    let fine = |text: &str| {
        !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_*.".contains(&b))
    };
    let known = action == "*" || action.split_once(':').is_some_and(|(s, name)| fine(s) && fine(name));
    known.then_some(()).ok_or_else(|| invalid("an action must be * or have the form service:Name"))
}

/// Five segments; only the last may hold a colon of its own.
fn check_resource(resource: &str) -> Result<(), Refusal> {
    let bad = |detail| Err(Refusal::new(Reason::PolicyResource, detail).parameter("Policy"));
    if resource.contains('?') {
        // In some of the cloud's matchers this stands for any one character, in ours for itself.
        return bad("a resource with a question mark is not supported");
    }
    let mut segments = resource.splitn(5, ':');
    match [(); 5].map(|()| segments.next()) {
        _ if resource == "*" => Ok(()),
        [Some("acs"), Some(service), Some(_), Some(_), Some(rest)]
            if !service.is_empty() && !rest.is_empty() =>
        {
            Ok(())
        }
        _ => bad("a resource must be * or have the form acs:service:region:account:name"),
    }
}

fn conditions(at: &str, value: &Value) -> Result<Vec<Condition>, Refusal> {
    let Value::Object(operators) = value else {
        return Err(invalid(format!("{at}: Condition must be an object of operators")));
    };
    let mut found = Vec::new();
    for (operator, keys) in operators {
        let kind = Kind::of(operator).ok_or_else(|| {
            invalid(format!("{at}: there is no condition operator of this name: {operator}"))
        })?;
        let Value::Object(keys) = keys else {
            return Err(invalid(format!("{at}: {operator} must be an object of keys")));
        };
        for (key, values) in keys {
            let values = kind.values(values).filter(|values| !values.is_empty()).ok_or_else(|| {
                invalid(format!("{at}: a value under {operator} is not {}", kind.expected()))
            })?;
            if !is_key(key) {
                return Err(invalid(format!("{at}: a condition key must have the form service:Name")));
            }
            found.push(Condition { operator: operator.clone(), key: key.clone(), values });
        }
    }
    Ok(found)
}

fn is_key(key: &str) -> bool {
    let fine = |c: char| !c.is_control() && !c.is_whitespace();
    key.split_once(':').is_some_and(|(service, name)| !service.is_empty() && !name.is_empty())
        && key.chars().all(fine)
}

/// What the values of an operator are.
#[derive(Clone, Copy)]
enum Kind {
    Text,
    Number,
    Date,
    Bool,
    Address,
}

impl Kind {
    fn of(operator: &str) -> Option<Self> {
        match evaluate::rule_of(operator)? {
            Rule::Compare { compare, .. } => Some(match compare {
                Compare::Text | Compare::IgnoreCase | Compare::Like(_) => Self::Text,
                Compare::Number(_) => Self::Number,
                Compare::Date(_) => Self::Date,
                Compare::Bool => Self::Bool,
                Compare::Address => Self::Address,
                Compare::Binary => return None,
            }),
            Rule::Absent | Rule::Undocumented => None,
        }
    }

    fn expected(self) -> &'static str {
        match self {
            Self::Text => "a text",
            Self::Number => "a number: a whole one, or a decimal number as text",
            Self::Date => "a date such as 2026-01-31T00:00:00Z",
            Self::Bool => "true or false",
            Self::Address => "an address or a network such as 10.0.0.0/8",
        }
    }

    /// The values, sorted and without repeats.
    fn values(self, value: &Value) -> Option<Vec<String>> {
        let many = match value {
            Value::Array(many) => many.as_slice(),
            one => std::slice::from_ref(one),
        };
        let mut values = many
            .iter()
            .map(|value| match (self, value) {
                (Self::Bool, Value::Bool(value)) => Some(value.to_string()),
                // Of numbers only whole ones are taken as they are: the parser keeps others as floating point, where
                // a limit of many digits would come out as another limit.
                (Self::Number, Value::Number(number)) if number.is_i64() || number.is_u64() => {
                    Some(number.to_string())
                }
                (_, Value::String(text)) if self.admits(text) => Some(text.clone()),
                _ => None,
            })
            .collect::<Option<Vec<_>>>()?;
        values.sort_unstable();
        values.dedup();
        Some(values)
    }

    fn admits(self, text: &str) -> bool {
        if text.contains('{') {
            // A template's value is not known yet, but it must be one line of text all the same.
            return is_line(text);
        }
        match self {
            Self::Text => is_line(text),
            Self::Number => is_number(text),
            Self::Date => text.parse::<daypass_core::clock::Timestamp>().is_ok(),
            Self::Bool => matches!(text, "true" | "false"),
            Self::Address => network(text).is_some(),
        }
    }
}

fn is_line(text: &str) -> bool {
    text.chars().all(|c| super::document::legal(c) && !c.is_control())
}

/// The members of an object that has no others than these.
fn object<'a>(value: &'a Value, at: &str, known: &[&str]) -> Result<&'a Map<String, Value>, Refusal> {
    let Value::Object(members) = value else {
        return Err(invalid(format!("{at} must be an object")));
    };
    match members.keys().find(|name| !known.contains(&name.as_str())) {
        None => Ok(members),
        Some(_) => Err(invalid(format!("{at} has a member other than {}", known.join(", ")))),
    }
}

/// A text, or a list of texts, each on one line.
fn texts(value: &Value) -> Option<Vec<&str>> {
    let one = |value: &'_ Value| -> bool { value.as_str().is_some_and(is_line) };
    match value {
        Value::String(_) if one(value) => Some(value.as_str().into_iter().collect()),
        Value::Array(many) if many.iter().all(one) => Some(many.iter().filter_map(Value::as_str).collect()),
        _ => None,
    }
}

fn invalid(detail: impl Into<std::borrow::Cow<'static, str>>) -> Refusal {
    Refusal::new(Reason::PolicyInvalid, detail).parameter("Policy")
}

fn effect(effect: Effect) -> &'static str {
    match effect {
        Effect::Allow => "Allow",
        Effect::Deny => "Deny",
    }
}

/// Writes a RAM document. Refused where a statement has two conditions of one operator and key, which both must
/// hold: RAM has one place for them, and there it would be enough that either holds.
pub fn render(policy: &Policy) -> Result<String, Refusal> {
    let mut out = String::with_capacity(256);
    out.push_str(r#"{"Version":"1","Statement":["#);
    for (n, statement) in policy.statements.iter().enumerate() {
        out.push_str(if n > 0 { r#",{"Effect":"# } else { r#"{"Effect":"# });
        quote(&mut out, effect(statement.effect));
        out.push_str(r#","Action":"#);
        list(&mut out, &statement.actions);
        out.push_str(r#","Resource":"#);
        list(&mut out, &statement.resources);
        if !statement.conditions.is_empty() {
            out.push_str(r#","Condition":"#);
            render_conditions(&mut out, &statement.conditions)?;
        }
        out.push('}');
    }
    out.push_str("]}");
    Ok(out)
}

fn render_conditions(out: &mut String, conditions: &[Condition]) -> Result<(), Refusal> {
    let mut operators: BTreeMap<&str, BTreeMap<&str, &[String]>> = BTreeMap::new();
    for Condition { operator, key, values } in conditions {
        if operators.entry(operator).or_default().insert(key, values).is_some() {
            return Err(invalid(format!("two conditions {operator} on {key} have no form in one statement")));
        }
    }
    for (n, (operator, keys)) in operators.into_iter().enumerate() {
        out.push(if n > 0 { ',' } else { '{' });
        quote(out, operator);
        out.push(':');
        for (n, (key, values)) in keys.into_iter().enumerate() {
            out.push(if n > 0 { ',' } else { '{' });
            quote(out, key);
            out.push(':');
            list(out, values);
        }
        out.push('}');
    }
    out.push('}');
    Ok(())
}

fn list<T: std::fmt::Display>(out: &mut String, values: &[T]) {
    out.push('[');
    for (n, value) in values.iter().enumerate() {
        if n > 0 {
            out.push(',');
        }
        quote(out, value);
    }
    out.push(']');
}
