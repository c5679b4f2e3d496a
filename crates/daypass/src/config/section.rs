//! Reading one table: known keys, required keys, types.
//!
//! Every method that returns `None` for something that is there, or that must be there, has noted why.

use super::diagnostic::Fault;
use super::notes::{Given, Notes, Place, sounds_secret};
use super::tree::{Node, Table, Value};

/// A table whose keys are known.
#[derive(Clone, Copy)]
pub(super) struct Section<'a> {
    notes: &'a Notes<'a>,
    table: &'a Table,
    place: Place,
    name: &'a str,
}

impl<'a> Section<'a> {
    /// The whole file.
    pub(super) fn root(notes: &'a Notes<'a>, table: &'a Table, keys: &[&str]) -> Self {
        let section = Self { notes, table, place: Place::File, name: "the file" };
        section.refuse_unknown(keys);
        section
    }

    /// Reads a node as a table that may have these keys and no other.
    pub(super) fn of(notes: &'a Notes<'a>, node: &'a Node, name: &'a str, keys: &[&str]) -> Option<Self> {
        let section = Self::free(notes, node, name)?;
        section.refuse_unknown(keys);
        Some(section)
    }

    /// Reads a node as a table with any keys.
    pub(super) fn free(notes: &'a Notes<'a>, node: &'a Node, name: &'a str) -> Option<Self> {
        match &node.value {
            Value::Table(table) => Some(Self { notes, table, place: node.place, name }),
            other => {
                notes.error(
                    node.place,
                    Fault::new(format!("`{name}` must be a table, and is {}", other.kind())),
                );
                None
            }
        }
    }

    fn refuse_unknown(&self, keys: &[&str]) {
        for entry in self.table.iter().filter(|entry| !keys.contains(&entry.key.as_str())) {
            if sounds_secret(&entry.key) || sounds_secret(self.name) {
                self.notes.hide(entry.node.place);
            }
            let message = format!("unknown key `{}` in {}", entry.key, self.title());
            let fault = match closest(&entry.key, keys.iter().copied()) {
                Some(key) => Fault::new(format!("{message}; did you mean `{key}`?")),
                None => Fault::new(message).hint(format!("the keys here are {}", list(keys))),
            };
            self.notes.error(entry.key_place, fault);
        }
    }

    fn title(&self) -> String {
        if self.place == Place::File { self.name.to_owned() } else { format!("`{}`", self.name) }
    }

    pub(super) fn notes(&self) -> &'a Notes<'a> {
        self.notes
    }

    /// Where the table stands: its header, or the whole of an inline table.
    pub(super) fn place(&self) -> Place {
        self.place
    }

    /// Every key with its value.
    pub(super) fn entries(&self) -> impl Iterator<Item = (Given<&'a str>, &'a Node)> {
        self.table
            .iter()
            .map(|entry| (Given { value: entry.key.as_str(), place: entry.key_place }, &entry.node))
    }

    /// The value of a key, if it is there.
    pub(super) fn node(&self, key: &str) -> Option<&'a Node> {
        self.table.iter().find(|entry| entry.key == key).map(|entry| &entry.node)
    }

    /// Where a key stands, if it is there.
    pub(super) fn key(&self, key: &str) -> Option<Place> {
        self.table.iter().find(|entry| entry.key == key).map(|entry| entry.key_place)
    }

    /// The value of a key that must be there.
    pub(super) fn need(&self, key: &str) -> Option<&'a Node> {
        let node = self.node(key);
        if node.is_none() {
            let fault = match self.place {
                Place::File => Fault::new(format!("the section `[{key}]` is missing"))
                    .hint("`daypass init` writes a file that has them all"),
                _ => Fault::new(format!("{} needs the key `{key}`", self.title())),
            };
            self.notes.error(self.place, fault);
        }
        node
    }

    /// A string, if the key is there.
    pub(super) fn text(&self, key: &str) -> Option<Given<&'a str>> {
        self.node(key).and_then(|node| text(self.notes, key, node))
    }

    /// A string as written. What is wrong with it is said by whoever reads it in earnest.
    pub(super) fn glance(&self, key: &str) -> Option<Given<&'a str>> {
        match self.node(key)? {
            Node { place, value: Value::Text(value) } => Some(Given { value, place: *place }),
            _ => None,
        }
    }

    /// A string that must be there.
    pub(super) fn need_text(&self, key: &str) -> Option<Given<&'a str>> {
        self.need(key).and_then(|node| text(self.notes, key, node))
    }

    /// A string that must be there and be understood.
    pub(super) fn need_parsed<T>(
        &self,
        key: &str,
        parse: impl FnOnce(&str) -> Result<T, Fault>,
    ) -> Option<Given<T>> {
        self.need_text(key).and_then(|given| self.parsed(given, parse))
    }

    /// Understands a string, or notes why not.
    pub(super) fn parsed<T>(
        &self,
        given: Given<&str>,
        parse: impl FnOnce(&str) -> Result<T, Fault>,
    ) -> Option<Given<T>> {
        match parse(given.value) {
            Ok(value) => Some(Given { value, place: given.place }),
            Err(fault) => {
                self.notes.error(given.place, fault);
                None
            }
        }
    }

    /// A list of strings; empty if the key is not there.
    pub(super) fn texts(&self, key: &str) -> Vec<Given<&'a str>> {
        let given = |node: &'a Node| match &node.value {
            Value::Text(value) => Some(Given { value: value.as_str(), place: node.place }),
            other => {
                let message = format!("`{key}` must be a list of strings, and holds {}", other.kind());
                self.notes.error(node.place, Fault::new(message));
                None
            }
        };
        self.list(key, "a list of strings").iter().filter_map(given).collect()
    }

    /// One string or a list of them; empty if the key is not there.
    pub(super) fn one_or_more(&self, key: &str) -> Vec<Given<&'a str>> {
        self.glance(key).map_or_else(|| self.texts(key), |one| vec![one])
    }

    /// An integer, if the key is there.
    pub(super) fn whole(&self, key: &str) -> Option<Given<i64>> {
        let node = self.node(key)?;
        match node.value {
            Value::Whole(value) => Some(Given { value, place: node.place }),
            ref other => {
                self.wrong(node, key, "an integer", other);
                None
            }
        }
    }

    /// A table, if the key is there.
    pub(super) fn section(&self, key: &'a str, keys: &[&str]) -> Option<Self> {
        Self::of(self.notes, self.node(key)?, key, keys)
    }

    /// A table as written, if there is one. What is wrong with it is said by whoever reads it in earnest.
    pub(super) fn table(&self, key: &'a str) -> Option<Self> {
        match self.node(key)? {
            Node { place, value: Value::Table(table) } => {
                Some(Self { notes: self.notes, table, place: *place, name: key })
            }
            _ => None,
        }
    }

    /// A table that must be there.
    pub(super) fn need_section(&self, key: &'a str, keys: &[&str]) -> Option<Self> {
        Self::of(self.notes, self.need(key)?, key, keys)
    }

    /// A list of tables with this header, such as `tenant.role`; empty if there is none.
    pub(super) fn sections(&self, header: &'a str, keys: &[&str]) -> Vec<Self> {
        let key = header.rsplit('.').next().unwrap_or_default();
        if let Some(node @ Node { value: Value::Table(_), .. }) = self.node(key) {
            let fault =
                Fault::new(format!("there can be several `{header}`")).hint(format!("write [[{header}]]"));
            self.notes.error(node.place, fault);
            return Vec::new();
        }
        let nodes = self.list(key, "a list of tables");
        nodes.iter().filter_map(|node| Self::of(self.notes, node, header, keys)).collect()
    }

    /// Whether a list is there and has nothing in it.
    pub(super) fn is_empty_list(&self, key: &str) -> bool {
        matches!(self.node(key), Some(Node { value: Value::List(list), .. }) if list.is_empty())
    }

    fn list(&self, key: &str, what: &str) -> &'a [Node] {
        match self.node(key) {
            None => &[],
            Some(Node { value: Value::List(list), .. }) => list,
            Some(node) => {
                self.wrong(node, key, what, &node.value);
                &[]
            }
        }
    }

    fn wrong(&self, node: &Node, key: &str, what: &str, found: &Value) {
        self.notes.error(node.place, Fault::new(format!("`{key}` must be {what}, and is {}", found.kind())));
    }
}

/// Reads a node as a string.
pub(super) fn text<'a>(notes: &Notes<'_>, key: &str, node: &'a Node) -> Option<Given<&'a str>> {
    match &node.value {
        Value::Text(value) => Some(Given { value, place: node.place }),
        other => {
            notes.error(node.place, Fault::new(format!("`{key}` must be a string, and is {}", other.kind())));
            None
        }
    }
}

/// Looks a name up among those that exist, or notes that it does not.
pub(super) fn find<'t, T>(
    notes: &Notes<'_>,
    what: &str,
    name: Given<&str>,
    among: &'t [T],
    name_of: impl Fn(&T) -> &str,
) -> Option<&'t T> {
    let found = among.iter().find(|one| name_of(one) == name.value);
    if found.is_none() {
        let names: Vec<&str> = among.iter().map(&name_of).collect();
        notes.error(name.place, no_such(what, name.value, &names));
    }
    found
}

/// That a name does not exist, with the one that was probably meant.
pub(super) fn no_such(what: &str, name: &str, among: &[&str]) -> Fault {
    let message = format!("there is no {what} `{name}`");
    match closest(name, among.iter().copied()) {
        Some(other) => Fault::new(format!("{message}; did you mean `{other}`?")),
        None if among.is_empty() => Fault::new(message),
        None => Fault::new(message).hint(format!("there is {}", list(among))),
    }
}

/// Notes a name that was given before. Names that differ in case alone are taken for each other by people, and
/// GUIDs by everyone.
pub(super) fn refuse_twice<'t>(
    notes: &Notes<'_>,
    what: &str,
    names: impl IntoIterator<Item = Given<&'t str>>,
) {
    let mut seen: Vec<Given<&str>> = Vec::new();
    for name in names {
        match seen.iter().find(|other| other.value.eq_ignore_ascii_case(name.value)) {
            Some(first) => {
                let first = notes.line(first.place);
                notes.error(
                    name.place,
                    Fault::new(format!("the {what} `{}` is already on {first}", name.value)),
                );
            }
            None => seen.push(name),
        }
    }
}

/// The word that was probably meant.
pub(crate) fn closest<'w>(word: &str, among: impl Iterator<Item = &'w str>) -> Option<&'w str> {
    let plain = |word: &str| word.to_ascii_lowercase().replace('-', "_");
    let word = plain(word);
    let near = (word.chars().count() / 3).clamp(1, 3);
    among
        .map(|other| (strsim::damerau_levenshtein(&word, &plain(other)), other))
        .min_by_key(|(distance, _)| *distance)
        .filter(|(distance, _)| *distance <= near)
        .map(|(_, other)| other)
}

/// Names as people list them.
pub(super) fn list(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_closest_word_is_found_and_a_far_one_is_not() {
        let words = ["listen", "public_url", "behind_proxy"];
        let closest = |word| closest(word, words.into_iter());
        assert_eq!(closest("listn"), Some("listen"));
        assert_eq!(closest("Public-URL"), Some("public_url"));
        assert_eq!(closest("behind_proxies"), Some("behind_proxy"));
        assert_eq!(closest("workers"), None);
        assert_eq!(closest(""), None);
    }
}
