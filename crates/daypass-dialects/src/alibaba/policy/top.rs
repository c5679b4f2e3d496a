//! The shape in which the gateway's answer shows a policy: the members of RAM's in lower case, lists wrapped unless the
//! answer is simplified, and conditions as a list.
//!
//! A consumer who hands it on to `AssumeRole` needs RAM's own shape; [`parse_top`] and
//! [`render`](super::render) make the one of the other, and nothing is lost on the way.

use super::{document, effect, invalid, json_of, object};
use crate::alibaba::document::Writer;
use daypass_core::policy::Policy;
use daypass_core::refusal::Refusal;
use serde_json::{Map, Value, json};

/// The members of `policy` in the gateway's answer: the vendor's page names them in lower case. Conditions, which
/// it does not know, come as a further list, so that an answer never looks wider than its credential is.
pub(in super::super) fn top_shape<W: Writer>(policy: &Policy, writer: &mut W) {
    writer.text("version", "1");
    writer.objects("statement", "datas", &policy.statements, |writer, statement| {
        writer.texts("resource", &statement.resources);
        writer.text("effect", effect(statement.effect));
        writer.texts("action", &statement.actions);
        if !statement.conditions.is_empty() {
            writer.objects("condition", "condition", &statement.conditions, |writer, condition| {
                writer.text("operator", &condition.operator);
                writer.text("key", &condition.key);
                writer.texts("value", &condition.values);
            });
        }
    });
}

/// Reads the JSON of `policy` in the gateway's answer, simplified or not.
///
/// ```
/// use daypass_dialects::alibaba::policy::{parse_top, render};
/// let shown = r#"{"version":"1","statement":{"datas":[{"resource":{"string":["acs:oss:*:*:b/hema/8005/*"]},
///     "effect":"Allow","action":{"string":["oss:PutObject"]}}]}}"#;
/// let policy = parse_top(shown).unwrap_or_else(|refusal| panic!("{refusal}"));
/// assert_eq!(
///     render(&policy).unwrap_or_default(),
///     r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":["oss:PutObject"],"Resource":["acs:oss:*:*:b/hema/8005/*"]}]}"#
/// );
/// ```
pub fn parse_top(text: &str) -> Result<Policy, Refusal> {
    let shown = json_of(text)?;
    let shown = object(&shown, "the policy", &["version", "statement"])?;
    let statements = items(shown.get("statement"), "datas")
        .ok_or_else(|| invalid("statement must be a list of statements"))?
        .iter()
        .map(statement)
        .collect::<Result<Vec<_>, _>>()?;
    document(&json!({ "Version": shown.get("version"), "Statement": statements }))
}

fn statement(shown: &Value) -> Result<Value, Refusal> {
    let shown = object(shown, "a statement", &["resource", "effect", "action", "condition"])?;
    let texts = |name: &str| items(shown.get(name), "string");
    let mut ram = Map::new();
    ram.insert("Effect".to_owned(), shown.get("effect").cloned().unwrap_or_default());
    ram.insert("Action".to_owned(), texts("action").into());
    ram.insert("Resource".to_owned(), texts("resource").into());
    if let Some(condition) = shown.get("condition") {
        ram.insert("Condition".to_owned(), conditions(condition)?);
    }
    Ok(ram.into())
}

/// RAM has one place for each operator and key. Two conditions in it would become one that either fulfils.
fn conditions(shown: &Value) -> Result<Value, Refusal> {
    let bad = || invalid("a condition must have operator, key and value, each operator and key once");
    let mut operators = Map::new();
    for condition in items(Some(shown), "condition").ok_or_else(bad)? {
        let condition = object(condition, "a condition", &["operator", "key", "value"])?;
        let text = |name: &str| condition.get(name).and_then(Value::as_str).ok_or_else(bad);
        let values = items(condition.get("value"), "string").ok_or_else(bad)?;
        let keys = operators.entry(text("operator")?).or_insert_with(|| Map::new().into());
        let twice = keys.as_object_mut().ok_or_else(bad)?.insert(text("key")?.to_owned(), values.into());
        if twice.is_some() {
            return Err(bad());
        }
    }
    Ok(operators.into())
}

/// The items of a list: a plain one, or one below the name of its items. An empty one has no name.
fn items<'a>(list: Option<&'a Value>, item: &str) -> Option<&'a [Value]> {
    match list? {
        Value::Array(items) => Some(items),
        Value::Object(members) if members.is_empty() => Some(&[]),
        Value::Object(members) if members.len() == 1 => members.get(item)?.as_array().map(Vec::as_slice),
        _ => None,
    }
}
