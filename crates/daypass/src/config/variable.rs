//! `variables = { … }` of a role: their names and types.

use super::diagnostic::Fault;
use super::notes::{Given, Notes};
use super::section::{Section, no_such, text};
use super::tree::{Node, Value};
use daypass_core::policy::VariableType;
use std::collections::BTreeMap;

/// The types that have names.
const TYPES: &[&str] = &["slug", "path", "uuid", "int"];

/// Reads each as `"slug"`, `["test", "prod"]` or `{ pattern = "[a-z]{2}-[0-9]{4}" }`.
pub(super) fn variables(section: Section<'_>) -> Option<BTreeMap<String, VariableType>> {
    let Some(node) = section.node("variables") else { return Some(BTreeMap::new()) };
    let table = Section::free(section.notes(), node, "variables")?;
    let mut variables = BTreeMap::new();
    let mut whole = true;
    for (name, node) in table.entries() {
        whole &= section.parsed(name, variable_name).is_some();
        let kind = one(section, name.value, node);
        whole &= kind.is_some();
        variables.extend(kind.map(|kind| (name.value.to_owned(), kind)));
    }
    whole.then_some(variables)
}

fn one(section: Section<'_>, name: &str, node: &Node) -> Option<VariableType> {
    let notes = section.notes();
    match &node.value {
        Value::List(nodes) => {
            let values: Vec<_> = nodes.iter().map(|node| listed(notes, name, node)).collect();
            let values = values.into_iter().collect::<Option<Vec<_>>>()?;
            noted(
                notes,
                node,
                VariableType::one_of(values).map_err(|bad| Fault::new(format!("`{name}`: {bad}"))),
            )
        }
        Value::Table(_) => {
            let table = Section::of(notes, node, name, &["pattern"])?;
            let pattern = table.need_text("pattern")?;
            let read =
                |source: &str| VariableType::pattern(source).map_err(|bad| Fault::new(bad.to_string()));
            section.parsed(pattern, read).map(|given| given.value)
        }
        Value::Text(_) => {
            text(notes, name, node).and_then(|given| section.parsed(given, named)).map(|given| given.value)
        }
        other => {
            let message = format!(
                "`{name}` must be the name of a type, a list of values, or {{ pattern = \"…\" }}, and is {}",
                other.kind()
            );
            noted(notes, node, Err(Fault::new(message)))
        }
    }
}

fn listed(notes: &Notes<'_>, name: &str, node: &Node) -> Option<String> {
    text(notes, name, node).map(|Given { value, .. }| value.to_owned())
}

fn noted<T>(notes: &Notes<'_>, node: &Node, read: Result<T, Fault>) -> Option<T> {
    read.map_err(|fault| notes.error(node.place, fault)).ok()
}

/// What stands between braces in a policy or a claim.
pub(super) fn variable_name(text: &str) -> Result<(), Fault> {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    if !text.is_empty() && text.bytes().all(plain) {
        return Ok(());
    }
    Err(Fault::new(format!("`{text}` is not lower-case letters, digits and underscores")))
}

fn named(name: &str) -> Result<VariableType, Fault> {
    VariableType::named(name).ok_or_else(|| no_such("type of variables", name, TYPES))
}
