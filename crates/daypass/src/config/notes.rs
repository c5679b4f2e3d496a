//! What was found while a configuration was read: every fault, not only the first.

use super::diagnostic::{Diagnostic, Fault, Severity};
use super::source::{Source, Spot};
use std::cell::RefCell;
use std::ops::Range;

/// Where a value stands. Places sort in the order in which people read them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    /// The file as a whole, for what is missing from it.
    File,
    /// These bytes of the file.
    Span {
        /// The first byte.
        start: usize,
        /// One past the last byte.
        end: usize,
    },
    /// The environment variable with this index among the overrides.
    Variable(usize),
}

impl From<Range<usize>> for Place {
    fn from(span: Range<usize>) -> Self {
        Self::Span { start: span.start, end: span.end }
    }
}

/// A value with its place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Given<T> {
    pub(super) value: T,
    pub(super) place: Place,
}

/// Collects faults while the tree is read.
pub(super) struct Notes<'a> {
    source: Source<'a>,
    variables: Vec<String>,
    list: RefCell<Vec<Note>>,
    hidden: RefCell<Vec<Range<usize>>>,
}

struct Note {
    severity: Severity,
    place: Place,
    fault: Fault,
}

/// Words in a key that make its value unfit to be shown, whatever else is wrong with the line. A secret that was
/// written into the file by mistake must not go on from there into a log.
const SECRET_WORDS: &[&str] = &["key", "secret", "password", "passwd", "token", "credential"];

/// Whether a key sounds as if a secret followed.
pub(super) fn sounds_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    SECRET_WORDS.iter().any(|word| key.contains(word))
}

impl<'a> Notes<'a> {
    /// For a file, and the environment variables whose values take the place of some in it.
    pub(super) fn new(source: Source<'a>, variables: Vec<String>) -> Self {
        Self { source, variables, list: RefCell::default(), hidden: RefCell::default() }
    }

    /// Notes something that keeps the service from starting.
    pub(super) fn error(&self, place: Place, fault: Fault) {
        self.list.borrow_mut().push(Note { severity: Severity::Error, place, fault });
    }

    /// Notes something that deserves a look.
    pub(super) fn warning(&self, place: Place, fault: Fault) {
        self.list.borrow_mut().push(Note { severity: Severity::Warning, place, fault });
    }

    /// Notes an error of syntax. Where the broken line may hold a secret, the line is not shown.
    pub(super) fn syntax_error(&self, span: Range<usize>, fault: Fault) {
        let before = self.source.line_before(span.start);
        if sounds_secret(before) {
            let line_start = span.start - before.len();
            let rest = self.source.slice(span.start..usize::MAX);
            let line_end = span.start + rest.find('\n').unwrap_or(rest.len());
            self.hide((line_start..line_end).into());
        }
        let value = before.split_once('=').map(|(_, value)| value.trim_start());
        let unquoted = value.is_some_and(|value| !value.starts_with(['"', '\'', '[', '{']));
        self.error(
            span.into(),
            if unquoted { fault.hint("text stands in quotes: key = \"text\"") } else { fault },
        );
    }

    /// Keeps a value out of every message.
    pub(super) fn hide(&self, place: Place) {
        if let Place::Span { start, end } = place {
            self.hidden.borrow_mut().push(start..end);
        }
    }

    /// A place inside another one, found in the text there; the other one itself where nothing is found, and where it is
    /// no place in the file.
    pub(super) fn inside(&self, place: Place, find: impl FnOnce(&str) -> Option<Range<usize>>) -> Place {
        let Place::Span { start, end } = place else { return place };
        let found = find(self.source.slice(start..end));
        found.map_or(place, |found| Place::Span { start: start + found.start, end: start + found.end })
    }

    /// A place as people are told it.
    pub(super) fn spot(&self, place: Place) -> Spot {
        match place {
            Place::File => self.source.beginning(),
            Place::Span { start, end } => self.source.spot(start..end, &self.hidden.borrow()),
            Place::Variable(n) => Spot::named(self.variables.get(n).cloned().unwrap_or_default()),
        }
    }

    /// The line of a place, for a message that refers to another one.
    pub(super) fn line(&self, place: Place) -> String {
        let spot = self.spot(place);
        spot.at.map_or(spot.file, |(line, _)| format!("line {line}"))
    }

    /// Whether anything keeps the service from starting.
    pub(super) fn failed(&self) -> bool {
        self.list.borrow().iter().any(|note| note.severity == Severity::Error)
    }

    /// Everything that was noted, in the order of the file.
    pub(super) fn diagnostics(&self) -> Vec<Diagnostic> {
        let mut list = self.list.borrow_mut();
        list.sort_by_key(|note| note.place);
        list.iter().map(|n| Diagnostic::new(n.severity, self.spot(n.place), n.fault.clone())).collect()
    }
}
