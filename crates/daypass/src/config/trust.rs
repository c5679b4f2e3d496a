//! `external_id` and `trust` of a role: further conditions on who may assume it.

use super::diagnostic::Fault;
use super::notes::Given;
use super::provider::ProviderEntry;
use super::section::{Section, find, list, refuse_twice};
use daypass_core::identity::SUBJECT;
use daypass_core::policy::{Pattern, VariableType};
use daypass_core::provider::Provider;
use daypass_core::role::Trust;
use std::collections::BTreeMap;

/// The keys of an entry of `trust`.
pub(super) const KEYS: &[&str] = &["provider", "subject"];
/// What an external id may have beside letters and digits: the vendor's set.
const EXTERNAL_ID: &[u8] = b"_+=,.@:/-";

/// Reads an external id.
pub(super) fn external_id(text: &str) -> Result<String, Fault> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || EXTERNAL_ID.contains(&b);
    if (2..=128).contains(&text.len()) && text.bytes().all(plain) {
        return Ok(text.to_owned());
    }
    Err(Fault::new(format!("`{text}` is not 2 to 128 letters, digits and `_ + = , . @ : / -`")))
}

/// Reads whose JWTs may assume a role with these variables.
pub(super) fn read(
    role: Section<'_>,
    providers: &[ProviderEntry<'_>],
    variables: &BTreeMap<String, VariableType>,
) -> Option<Vec<Trust>> {
    let Some(node) = role.node("trust") else { return Some(Vec::new()) };
    let notes = role.notes();
    let sections = role.sections("trust", KEYS);
    if role.is_empty_list("trust") {
        notes.error(node.place, Fault::new("`trust` names no provider"));
    }
    refuse_twice(notes, "provider", sections.iter().filter_map(|section| section.glance("provider")));
    let read: Vec<_> = sections.iter().filter_map(|&section| one(section, providers, variables)).collect();
    (!read.is_empty() && read.len() == sections.len()).then_some(read)
}

fn one(
    section: Section<'_>,
    providers: &[ProviderEntry<'_>],
    variables: &BTreeMap<String, VariableType>,
) -> Option<Trust> {
    let notes = section.notes();
    let name = section.need_text("provider");
    let entry = name.and_then(|name| find(notes, "provider", name, providers, |entry| entry.name.value));
    if let Some((name, provider)) = name.zip(entry.and_then(|entry| entry.provider.as_ref())) {
        check_mapping(section, name, provider, variables.keys());
    }
    let node = section.need("subject");
    if section.is_empty_list("subject") {
        notes.error(section.place(), Fault::new("`subject` names nobody"));
    }
    let listed = section.one_or_more("subject");
    let subjects: Vec<_> = listed.iter().filter_map(|&given| section.parsed(given, subject)).collect();
    node?;
    let whole = !subjects.is_empty() && subjects.len() == listed.len();
    whole.then_some(Trust {
        provider: name?.value.to_owned(),
        subjects: subjects.into_iter().map(|given| given.value).collect(),
    })
}

/// Whose subjects may be anyone at all (any repository of a public code host, say) protects nothing.
fn subject(text: &str) -> Result<Pattern, Fault> {
    let pattern = Pattern::parse(text);
    if text.is_empty() {
        return Err(Fault::new("the subject is empty"));
    }
    if pattern.is_any() {
        let fault =
            Fault::new(format!("`{text}` would let everyone whom the provider knows assume the role"));
        return Err(fault.hint("write what the right ones have in common, such as \"repo:acme/*\""));
    }
    Ok(pattern)
}

/// Every variable must be filled by something: the subject's name, or a claim that the provider maps to it.
pub(super) fn check_mapping<'v>(
    section: Section<'_>,
    name: Given<&str>,
    provider: &Provider,
    variables: impl Iterator<Item = &'v String>,
) {
    let filled = |variable: &String| variable == SUBJECT || provider.variables.contains_key(variable);
    let missing: Vec<_> = variables.filter(|variable| !filled(variable)).map(String::as_str).collect();
    let Some(first) = missing.first() else { return };
    let message =
        format!("the role has the variables {}, which `{}` has no claims for", list(&missing), name.value);
    let message = match missing.len() {
        1 => format!("the role has the variable `{first}`, which `{}` has no claim for", name.value),
        _ => message,
    };
    let hint = format!("in the provider: variables = {{ {first} = \"claim\" }}");
    section.notes().error(name.place, Fault::new(message).hint(hint));
}
