//! What a running service cannot take up: listeners are bound, and the store is open.

use super::diagnostic::{Errors, Fault};
use super::notes::{Notes, Place};
use super::source::Spot;
use super::tree::{Node, Table, Value};

/// Settings of which every word counts.
const WORDS: &[&[&str]] = &[
    &["server", "listen"],
    &["server", "metrics"],
    &["server", "control"],
    &["server", "mutual_tls", "listen"],
    &["store"],
    &["seal"],
];
/// Settings of which it counts whether they are there: files that they name are read anew.
const PRESENCE: &[&[&str]] =
    &[&["server", "tls"], &["server", "mutual_tls"], &["server", "mutual_tls", "ca"]];

/// The settings that stay as they are until a restart, as one reading has found them.
#[derive(Clone, Debug)]
pub(crate) struct Fixed(Vec<Setting>);

#[derive(Clone, Debug)]
struct Setting {
    name: String,
    /// What it says, in one form for each meaning; none where it is not there.
    says: Option<String>,
    spot: Spot,
}

/// Reads them from a tree in which the overrides are.
pub(super) fn read(notes: &Notes<'_>, table: &Table) -> Fixed {
    let one = |path: &[&str], say: fn(&Value) -> String| {
        let (node, place) = find(table, path);
        Setting { name: path.join("."), says: node.map(|node| say(&node.value)), spot: notes.spot(place) }
    };
    let words = WORDS.iter().map(|path| one(path, words));
    let there = PRESENCE.iter().map(|path| one(path, |_| "there".to_owned()));
    Fixed(words.chain(there).collect())
}

/// A node, and its place; where it is not there, that of the section that would hold it.
fn find<'a>(table: &'a Table, path: &[&str]) -> (Option<&'a Node>, Place) {
    let (mut table, mut place) = (table, Place::File);
    for (n, key) in path.iter().enumerate() {
        let Some(entry) = table.iter().find(|entry| entry.key == *key) else { return (None, place) };
        place = entry.node.place;
        if n + 1 == path.len() {
            return (Some(&entry.node), place);
        }
        let Value::Table(inner) = &entry.node.value else { return (None, place) };
        table = inner;
    }
    (None, place)
}

/// The same text for the same meaning, in whatever order a table says it.
fn words(value: &Value) -> String {
    match value {
        Value::Text(text) => format!("{text:?}"),
        Value::Whole(number) => number.to_string(),
        Value::Flag(flag) => flag.to_string(),
        Value::Other(kind) => (*kind).to_owned(),
        Value::List(list) => {
            let list: Vec<_> = list.iter().map(|node| words(&node.value)).collect();
            format!("[{}]", list.join(","))
        }
        Value::Table(table) => {
            let mut entries: Vec<_> =
                table.iter().map(|entry| format!("{:?}={}", entry.key, words(&entry.node.value))).collect();
            entries.sort();
            format!("{{{}}}", entries.join(","))
        }
    }
}

impl Fixed {
    /// Every setting that another reading has otherwise than the one that the service runs on.
    pub(crate) fn refuse_changed(&self, running: &Self) -> Result<(), Errors> {
        let changed = self.0.iter().filter(|now| {
            let before = running.0.iter().find(|before| before.name == now.name);
            // What a table says of itself is said where it is: a table that came or went is one finding.
            before.is_some_and(|before| before.says != now.says) && !self.stands_above(now, running)
        });
        let faults = changed.map(|setting| {
            let message = format!("`{}` cannot change while the service runs", setting.name);
            let hint =
                "restart the service for it, or put back what stood there; nothing of this file is in force";
            Fault::new(message).hint(hint).at(setting.spot.clone())
        });
        let faults: Vec<_> = faults.collect();
        if faults.is_empty() { Ok(()) } else { Err(Errors(faults)) }
    }

    /// Whether a table around this setting has come or gone, which is told of the table.
    fn stands_above(&self, setting: &Setting, running: &Self) -> bool {
        self.0.iter().any(|outer| {
            let before = running.0.iter().find(|before| before.name == outer.name);
            setting.name.strip_prefix(&outer.name).is_some_and(|rest| rest.starts_with('.'))
                && before.is_some_and(|before| before.says.is_some() != outer.says.is_some())
        })
    }
}
