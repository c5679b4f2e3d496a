//! What is wrong with a configuration, or deserves a look.

use super::source::Spot;
use serde_json::{Value, json};
use std::fmt;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Severity {
    /// The service does not start with it.
    Error,
    /// A choice that its operator should have made on purpose.
    Warning,
}

/// One finding, with its place. Displayed as `file:line:column: message`, the source line, a caret line and a hint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Diagnostic {
    severity: Severity,
    spot: Spot,
    message: String,
    hint: Option<String>,
}

/// Why a configuration cannot be used: every error in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Errors(pub(super) Vec<Diagnostic>);

/// A message with what to do about it, before it has a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) message: String,
    pub(super) hint: Option<String>,
}

impl Fault {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None }
    }

    /// Says what to do about it.
    pub(super) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// An error at this place.
    pub(super) fn at(self, spot: Spot) -> Diagnostic {
        Diagnostic::new(Severity::Error, spot, self)
    }
}

impl Diagnostic {
    pub(super) fn new(severity: Severity, spot: Spot, fault: Fault) -> Self {
        Self { severity, spot, message: fault.message, hint: fault.hint }
    }

    /// Whether it keeps the service from starting.
    pub(super) fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }

    fn to_json(&self) -> Value {
        let severity = if self.is_error() { "error" } else { "warning" };
        let (line, column) = self.spot.at.unzip();
        json!({ "severity": severity, "file": self.spot.file, "line": line, "column": column,
                "message": self.message, "hint": self.hint })
    }
}

/// A list of objects with `severity`, `file`, `line`, `column`, `message` and `hint`.
pub(crate) fn to_json(list: &[Diagnostic]) -> Value {
    list.iter().map(Diagnostic::to_json).collect()
}

impl Errors {
    /// See [`to_json`].
    pub(crate) fn to_json(&self) -> Value {
        to_json(&self.0)
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.spot.file)?;
        if let Some((line, column)) = self.spot.at {
            write!(f, ":{line}:{column}")?;
        }
        let kind = if self.is_error() { "" } else { "warning: " };
        write!(f, ": {kind}{}", self.message)?;
        if let Some(excerpt) = &self.spot.excerpt {
            write!(f, "\n{excerpt}")?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "\n  hint: {hint}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Errors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, diagnostic) in self.0.iter().enumerate() {
            if n > 0 {
                f.write_str("\n\n")?;
            }
            diagnostic.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Errors {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::source::Source;
    use insta::assert_snapshot;

    #[test]
    fn a_finding_is_shown_as_text_and_as_json() {
        let spot = Source::new("daypass.toml", "[server]\nlisten = 5\n").spot(18..19, &[]);
        let fault = Fault::new("`listen` must be a string").hint("such as \"127.0.0.1:5050\"");
        let warning = Diagnostic::new(Severity::Warning, Spot::named("DAYPASS__X"), Fault::new("look"));
        let errors = Errors(vec![fault.at(spot), warning]);
        assert_snapshot!(errors, @r#"
        daypass.toml:2:10: `listen` must be a string
        2 | listen = 5
          |          ^
          hint: such as "127.0.0.1:5050"

        DAYPASS__X: warning: look
        "#);
        assert_snapshot!(errors.to_json(), @r#"[{"column":10,"file":"daypass.toml","hint":"such as \"127.0.0.1:5050\"","line":2,"message":"`listen` must be a string","severity":"error"},{"column":null,"file":"DAYPASS__X","hint":null,"line":null,"message":"look","severity":"warning"}]"#);
    }
}
