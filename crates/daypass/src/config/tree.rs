//! The file as a tree of values that know where they stand.
//!
//! A tree of our own rather than types filled by serde: serde stops at its first error, and a person who mends a
//! file wants to see all of them at once.

use super::diagnostic::Fault;
use super::notes::{Notes, Place};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A value and where it stands.
pub(super) struct Node {
    pub(super) place: Place,
    pub(super) value: Value,
}

/// What a configuration is made of.
pub(super) enum Value {
    Text(String),
    Whole(i64),
    Flag(bool),
    /// A float or a date: nothing here is one, so only its name is kept.
    Other(&'static str),
    List(Vec<Node>),
    Table(Table),
}

/// Keys with their values, in the order of the file.
pub(super) type Table = Vec<Entry>;

/// A key with its value.
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) key_place: Place,
    pub(super) node: Node,
}

impl Value {
    /// What it is, for an error message.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "a string",
            Self::Whole(_) => "an integer",
            Self::Flag(_) => "a boolean",
            Self::Other(kind) => kind,
            Self::List(_) => "a list",
            Self::Table(_) => "a table",
        }
    }
}

/// Reads TOML. Errors of syntax go to the notes, one for each line: what follows on the same line is mostly the
/// parser's confusion.
pub(super) fn read(text: &str, notes: &Notes<'_>) -> Table {
    let (table, mut errors) = DeTable::parse_recoverable(text);
    errors.sort_by_key(|error| error.span().map_or(0, |span| span.start));
    let mut last = None;
    for error in errors {
        let span = error.span().unwrap_or_default();
        let line = text.get(..span.start).map(|before| before.matches('\n').count());
        if last.replace(line) != Some(line) {
            notes.syntax_error(span, Fault::new(error.message()));
        }
    }
    convert_table(table.get_ref())
}

// The parser bounds the depth of nesting, so this recursion is bounded too.
fn convert_table(table: &DeTable<'_>) -> Table {
    let mut entries: Table = table
        .iter()
        .map(|(key, value)| Entry {
            key: key.get_ref().to_string(),
            key_place: key.span().into(),
            node: convert(value),
        })
        .collect();
    entries.sort_by_key(|entry| entry.key_place);
    entries
}

fn convert(value: &Spanned<DeValue<'_>>) -> Node {
    let converted = match value.get_ref() {
        DeValue::String(text) => Value::Text(text.to_string()),
        DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) => Value::Whole(number),
            Err(_) => Value::Other("an integer beyond 64 bits"),
        },
        DeValue::Float(_) => Value::Other("a fraction"),
        DeValue::Boolean(value) => Value::Flag(*value),
        DeValue::Datetime(_) => Value::Other("a date"),
        DeValue::Array(list) => Value::List(list.iter().map(convert).collect()),
        DeValue::Table(table) => Value::Table(convert_table(table)),
    };
    Node { place: value.span().into(), value: converted }
}
