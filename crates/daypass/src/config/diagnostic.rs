//! What is wrong with a configuration, or deserves a look.

use super::lint::Lint;
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

/// One finding, with its place. Displayed as `file:line:column: message`, the source line, a caret line and a hint; a
/// warning with the name of its lint, where it has one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Diagnostic {
    severity: Severity,
    spot: Spot,
    message: String,
    hint: Option<String>,
    lint: Option<Lint>,
}

/// Why a configuration cannot be used: every error in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Errors(pub(super) Vec<Diagnostic>);

/// A message with what to do about it, before it has a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) message: String,
    pub(super) hint: Option<String>,
    pub(super) lint: Option<Lint>,
}

impl Fault {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None, lint: None }
    }

    /// Says what to do about it.
    pub(super) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// Says what to do about it, where nothing better was said before.
    pub(super) fn or_hint(self, hint: &str) -> Self {
        if self.hint.is_some() { self } else { self.hint(hint) }
    }

    /// Says which lint has found it.
    pub(super) fn lint(self, lint: Lint) -> Self {
        Self { lint: Some(lint), ..self }
    }

    /// An error at this place.
    pub(super) fn at(self, spot: Spot) -> Diagnostic {
        Diagnostic::new(Severity::Error, spot, self)
    }
}

impl Diagnostic {
    pub(super) fn new(severity: Severity, spot: Spot, fault: Fault) -> Self {
        Self { severity, spot, message: fault.message, hint: fault.hint, lint: fault.lint }
    }

    /// Whether it keeps the service from starting.
    pub(super) fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }

    /// The lint that has found it, if one has.
    pub(crate) fn lint(&self) -> Option<Lint> {
        self.lint
    }

    fn to_json(&self) -> Value {
        let severity = if self.is_error() { "error" } else { "warning" };
        let (line, column) = self.spot.at.unzip();
        json!({ "severity": severity, "file": self.spot.file, "line": line, "column": column,
                "message": self.message, "hint": self.hint, "lint": self.lint.map(Lint::name) })
    }
}

/// A list of objects with `severity`, `file`, `line`, `column`, `message`, `hint` and `lint`.
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
        f.write_str(": ")?;
        match self.lint {
            _ if self.is_error() => {}
            None => f.write_str("warning: ")?,
            Some(lint) => write!(f, "warning[{lint}]: ")?,
        }
        f.write_str(&self.message)?;
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
        let long = Fault::new("long").lint(Lint::LongPolicy);
        let named = Diagnostic::new(Severity::Warning, Spot::named("DAYPASS__Y"), long);
        let errors = Errors(vec![fault.at(spot), warning, named]);
        assert_snapshot!(errors, @r#"
        daypass.toml:2:10: `listen` must be a string
        2 | listen = 5
          |          ^
          hint: such as "127.0.0.1:5050"

        DAYPASS__X: warning: look

        DAYPASS__Y: warning[long-policy]: long
        "#);
        assert_snapshot!(errors.to_json(), @r#"[{"column":10,"file":"daypass.toml","hint":"such as \"127.0.0.1:5050\"","line":2,"lint":null,"message":"`listen` must be a string","severity":"error"},{"column":null,"file":"DAYPASS__X","hint":null,"line":null,"lint":null,"message":"look","severity":"warning"},{"column":null,"file":"DAYPASS__Y","hint":null,"line":null,"lint":"long-policy","message":"long","severity":"warning"}]"#);
    }
}
