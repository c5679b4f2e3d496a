//! What a command prints, for people or as JSON, and how it ends.

use serde_json::{Value, json};
use std::fmt::Display;
use std::io::Write as _;
use std::process::ExitCode;

/// Prints to standard output.
pub(super) struct Output {
    json: bool,
}

/// How a command can end without success; the number is its exit code.
#[derive(Debug)]
pub(super) enum Failure {
    /// 1: the server or the store said no.
    Refused(String),
    /// 2: the arguments or the configuration are wrong.
    Usage(String),
    /// 3: the server or the store cannot be reached.
    Unreachable(String),
    /// The failure is already printed; this is its exit code.
    Said(u8),
}

impl Failure {
    /// What is said of it; nothing where it is printed already.
    pub(super) fn text(&self) -> &str {
        match self {
            Self::Refused(text) | Self::Usage(text) | Self::Unreachable(text) => text,
            Self::Said(_) => "",
        }
    }
}

impl From<anyhow::Error> for Failure {
    /// Most things that stop a command are wrong paths, keys and settings; a store that does not answer is told
    /// apart by its type.
    fn from(error: anyhow::Error) -> Self {
        use daypass_core::store::StoreError;
        let text = format!("{error:#}");
        match error.downcast_ref::<StoreError>() {
            Some(StoreError::Unavailable(_)) => Self::Unreachable(text),
            Some(StoreError::Conflict(_)) => Self::Refused(text),
            _ => Self::Usage(text),
        }
    }
}

impl From<daypass_core::store::StoreError> for Failure {
    fn from(error: daypass_core::store::StoreError) -> Self {
        anyhow::Error::from(error).into()
    }
}

impl Output {
    pub(super) fn new(json: bool) -> Self {
        Self { json }
    }

    /// Whether JSON was asked for.
    pub(super) fn is_json(&self) -> bool {
        self.json
    }

    /// Prints the text, or the document where JSON was asked for.
    pub(super) fn show(&self, text: impl Display, document: impl FnOnce() -> Value) {
        if self.json {
            self.line(document());
        } else {
            self.line(text);
        }
    }

    /// Prints one line, whatever was asked for.
    #[expect(clippy::unused_self, reason = "what is printed goes through the output that was asked for")]
    pub(super) fn line(&self, line: impl Display) {
        // A closed pipe (`daypass audit tail | head`) is no error of this command.
        let _ = writeln!(std::io::stdout(), "{line}");
    }

    /// Says something beside the answer, where a script that reads the answer does not see it.
    #[expect(clippy::unused_self, reason = "what is printed goes through the output that was asked for")]
    pub(super) fn note(&self, text: impl Display) {
        let _ = writeln!(std::io::stderr(), "{text}");
    }

    /// Prints why the command failed, and gives its exit code.
    pub(super) fn fail(&self, failure: &Failure) -> ExitCode {
        let (code, kind, text) = match failure {
            Failure::Refused(text) => (1, "refused", text),
            Failure::Usage(text) => (2, "usage", text),
            Failure::Unreachable(text) => (3, "unreachable", text),
            Failure::Said(code) => return ExitCode::from(*code),
        };
        if self.json {
            self.line(json!({ "error": kind, "message": text }));
        } else {
            let _ = writeln!(std::io::stderr(), "daypass: {text}");
        }
        ExitCode::from(code)
    }
}

/// Columns of text, each as wide as its widest cell.
pub(super) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width =
        |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<_> = (0..columns).map(|column| width(column).unwrap_or_default()).collect();
    let lines = rows.iter().map(|row| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_lines_up() {
        let rows = [vec!["name".into(), "x".into()], vec!["a".into(), "yy".into()]];
        assert_eq!(table(&rows), "name  x\na     yy");
        assert_eq!(table(&[]), "");
    }
}
