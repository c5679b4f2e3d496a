//! The process's environment: variables that take the place of values in the file, and variables that hold secrets.

use super::diagnostic::Fault;
use super::notes::{Notes, Place};
use super::section::{closest, list};
use super::tree::{Entry, Node, Table, Value};
use std::ffi::OsString;

/// How the name of every override begins.
const PREFIX: &str = "DAYPASS__";
/// What may be overridden: single values that differ from one machine to the next. Tenants, roles and endpoints
/// decide who gets what; they stand in one reviewed file and nowhere else.
const OVERRIDABLE: &[(&str, &str)] = &[("server", "listen"), ("server", "public_url"), ("store", "url")];

/// An environment variable, such as `DAYPASS__SERVER__LISTEN`, with its value.
pub(super) type Variable = (String, OsString);

/// The value of a variable of the process.
#[expect(clippy::disallowed_methods, reason = "the one place where configuration comes from the environment")]
pub(crate) fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name)
}

/// Every variable of the process that is meant as an override. All are listed, so that a misspelt one is an error.
pub(super) fn overrides() -> Vec<Variable> {
    let mut found: Vec<_> = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok().filter(|n| n.starts_with(PREFIX))?, value)))
        .collect();
    found.sort();
    found
}

/// Puts the values of the overrides into the tree, before anything in it is judged.
pub(super) fn apply(variables: &[Variable], table: &mut Table, notes: &Notes<'_>) {
    for (n, (name, value)) in variables.iter().enumerate() {
        let place = Place::Variable(n);
        match (OVERRIDABLE.iter().find(|path| variable_of(path) == *name), value.to_str()) {
            (None, _) => notes.error(place, unknown(name)),
            (_, None) => notes.error(place, Fault::new("the value is not UTF-8")),
            (Some((section, key)), Some(value)) => {
                let node = Node { place, value: Value::Text(value.to_owned()) };
                put(table, section, Node { place, value: Value::Table(Vec::new()) }, |section| {
                    // A section of another type stays as it is: its reader refuses it.
                    if let Value::Table(section) = &mut section.value {
                        put(section, key, node, |_| ());
                    }
                });
            }
        }
    }
}

fn variable_of((section, key): &(&str, &str)) -> String {
    format!("{PREFIX}{}__{}", section.to_ascii_uppercase(), key.to_ascii_uppercase())
}

fn unknown(name: &str) -> Fault {
    let names: Vec<_> = OVERRIDABLE.iter().map(variable_of).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    match closest(name, names.iter().copied()) {
        Some(other) => Fault::new(format!("no such override; did you mean `{other}`?")),
        None => Fault::new("no such override").hint(format!("the overrides are {}", list(&names))),
    }
}

/// Sets a scalar, or finds a section and creates it if need be; then hands it on.
fn put(table: &mut Table, key: &str, fresh: Node, then: impl FnOnce(&mut Node)) {
    let at = table.iter().position(|entry| entry.key == key).unwrap_or(table.len());
    let Some(entry) = table.get_mut(at) else {
        let mut entry = Entry { key: key.to_owned(), key_place: fresh.place, node: fresh };
        then(&mut entry.node);
        table.push(entry);
        return;
    };
    if !matches!(fresh.value, Value::Table(_)) {
        entry.node = fresh;
    }
    then(&mut entry.node);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_that_are_no_overrides_are_left_alone() {
        assert!(overrides().iter().all(|(name, _)| name.starts_with(PREFIX)));
        assert!(variable("PATH").is_some());
        assert!(variable("DAYPASS_NO_SUCH_VARIABLE").is_none());
    }
}
