//! What is printed and kept of a run.

use crate::case::{Case, Outcome};
use serde_json::json;
use std::fmt::Write as _;
use std::time::Duration;

/// A case that was run.
pub(crate) struct Line {
    pub(crate) case: Case,
    pub(crate) outcome: Outcome,
    pub(crate) took: Duration,
}

/// All of a run.
pub(crate) struct Report {
    seed: u64,
    quick: bool,
    lines: Vec<Line>,
}

impl Outcome {
    fn word(&self) -> &'static str {
        match self {
            Self::Held(_) => "held",
            Self::Skipped(_) => "SKIPPED",
            Self::Broken(_) => "BROKEN",
        }
    }

    fn detail(&self) -> &str {
        match self {
            Self::Held(text) | Self::Skipped(text) | Self::Broken(text) => text,
        }
    }
}

impl Line {
    /// One line for a terminal.
    pub(crate) fn text(&self) -> String {
        let (name, word, seconds) = (self.case.name, self.outcome.word(), self.took.as_secs_f64());
        format!("{word:<8} {name:<28} {seconds:>6.1} s  {}", self.outcome.detail())
    }
}

impl Report {
    /// An empty one.
    pub(crate) fn new(seed: u64, quick: bool) -> Self {
        Self { seed, quick, lines: Vec::new() }
    }

    /// Adds a case.
    pub(crate) fn add(&mut self, line: Line) {
        self.lines.push(line);
    }

    /// Whether nothing is broken.
    pub(crate) fn held(&self) -> bool {
        self.lines.iter().all(|line| !matches!(line.outcome, Outcome::Broken(_)))
    }

    /// The last line.
    pub(crate) fn summary(&self) -> String {
        let count = |word| self.lines.iter().filter(|line| line.outcome.word() == word).count();
        let (held, broken, skipped) = (count("held"), count("BROKEN"), count("SKIPPED"));
        let took: Duration = self.lines.iter().map(|line| line.took).sum();
        format!(
            "faults: {held} held, {broken} broken, {skipped} skipped in {} s (seed {})",
            took.as_secs(),
            self.seed
        )
    }

    /// The report for people.
    pub(crate) fn markdown(&self) -> String {
        let size = if self.quick {
            "a tenth of the repetitions, with bounds of time five times as wide"
        } else {
            "whole"
        };
        let mut text = format!("# Faults\n\n{}; {size}.\n\n", self.summary());
        text.push_str("| fault | what was done | what must hold | | figures |\n|---|---|---|---|---|\n");
        for Line { case, outcome, .. } in &self.lines {
            let detail = outcome.detail().replace('|', "\\|").replace('\n', " ");
            // Writing to a string does not fail.
            let _ = writeln!(
                text,
                "| `{}` | {} | {} | {} | {detail} |",
                case.name,
                case.fault,
                case.must,
                outcome.word()
            );
        }
        text
    }

    /// The report for programs.
    pub(crate) fn json(&self) -> String {
        let lines: Vec<_> = self
            .lines
            .iter()
            .map(|Line { case, outcome, took }| {
                json!({
                    "name": case.name, "fault": case.fault, "must": case.must,
                    "outcome": outcome.word().to_ascii_lowercase(), "detail": outcome.detail(),
                    "seconds": took.as_secs_f64(),
                })
            })
            .collect();
        json!({ "seed": self.seed, "quick": self.quick, "held": self.held(), "cases": lines }).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(outcome: Outcome) -> Line {
        let case = Case {
            name: "x",
            fault: "it is hurt",
            must: "it holds",
            work: |_| Ok(Outcome::Held(String::new())),
        };
        Line { case, outcome, took: Duration::from_secs(1) }
    }

    #[test]
    fn one_broken_invariant_is_a_broken_run() {
        let mut report = Report::new(7, false);
        report.add(line(Outcome::Held("1 | 2".into())));
        report.add(line(Outcome::Skipped("no root".into())));
        assert!(report.held());
        report.add(line(Outcome::Broken("lost".into())));
        assert!(!report.held());
        assert_eq!(report.summary(), "faults: 1 held, 1 broken, 1 skipped in 3 s (seed 7)");
        assert!(report.markdown().contains("| `x` | it is hurt | it holds | held | 1 \\| 2 |"));
        let json: serde_json::Value = serde_json::from_str(&report.json()).unwrap();
        assert_eq!((&json["held"], &json["cases"][2]["outcome"]), (&json!(false), &json!("broken")));
    }
}
