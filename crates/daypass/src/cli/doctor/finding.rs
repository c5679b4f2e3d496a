//! One thing that was looked at.

use serde_json::{Value, json};
use std::fmt;

/// How it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Ok,
    Warning,
    Fault,
}

/// One thing that was looked at, with what to do where it is not well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    /// What was looked at: the same word for one thing, whatever is found.
    pub(super) check: &'static str,
    /// How it stands.
    pub(super) state: State,
    text: String,
    todo: Option<String>,
}

impl Finding {
    pub(super) fn ok(check: &'static str, text: impl Into<String>) -> Self {
        Self { check, state: State::Ok, text: text.into(), todo: None }
    }

    pub(super) fn warning(check: &'static str, text: impl Into<String>, todo: impl Into<String>) -> Self {
        Self { check, state: State::Warning, text: text.into(), todo: Some(todo.into()) }
    }

    pub(super) fn fault(check: &'static str, text: impl Into<String>, todo: impl Into<String>) -> Self {
        Self { check, state: State::Fault, text: text.into(), todo: Some(todo.into()) }
    }

    /// As scripts read it.
    pub(super) fn document(&self) -> Value {
        json!({ "check": self.check, "state": self.word(), "text": self.text, "do": self.todo })
    }

    fn word(&self) -> &'static str {
        match self.state {
            State::Ok => "ok",
            State::Warning => "warning",
            State::Fault => "fault",
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lines = self.text.lines();
        write!(out, "{:8} {}: {}", self.word(), self.check, lines.next().unwrap_or_default())?;
        for line in lines {
            write!(out, "\n         {line}")?;
        }
        match &self.todo {
            Some(todo) => write!(out, "\n         do: {todo}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_says_what_it_is_and_what_to_do() {
        let fault = Finding::fault("seal", "not there\nat all", "make one");
        assert_eq!(fault.to_string(), "fault    seal: not there\n         at all\n         do: make one");
        assert_eq!(Finding::ok("seal", "read").to_string(), "ok       seal: read");
        assert_eq!(
            Finding::warning("a", "b", "c").document(),
            json!({ "check": "a", "state": "warning", "text": "b", "do": "c" })
        );
    }
}
