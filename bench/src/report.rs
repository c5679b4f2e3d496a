//! What the run found: a table of targets with verdicts, and the absolute numbers as information.

mod endpoints;
mod peers;
mod table;
mod targets;

use crate::api::Weight;
use crate::process::Cores;
use crate::run::Results;
use crate::start::Starts;
use crate::statistics::{Goal, Quartiles, Verdict};
use crate::work::Work;
use endpoints::{Endpoint, Slices, Yardstick};
use peers::Comparison;
use serde::Serialize;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::Duration;
pub(crate) use table::Table;

/// Where and on what it was measured.
#[derive(Serialize)]
pub(crate) struct Machine {
    daypass: String,
    kernel: String,
    processor: String,
    pinned: bool,
    same_profile: bool,
    load_before: String,
    load_after: String,
}

impl Machine {
    /// Looks at the machine before the run. `same_profile`: binary and yardsticks come out of the same folder.
    pub(crate) fn look(cores: Cores, daypass: &Path, same_profile: bool) -> Self {
        let read = |path| fs::read_to_string(path).unwrap_or_default();
        let model = read("/proc/cpuinfo").lines().find_map(|line| {
            Some(line.strip_prefix("model name")?.trim_start_matches([' ', '\t', ':']).to_owned())
        });
        Self {
            daypass: daypass.display().to_string(),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            processor: model.unwrap_or_else(|| "unknown".to_owned()),
            pinned: cores.are_pinned(),
            same_profile,
            load_before: load(),
            load_after: String::new(),
        }
    }

    /// The same where nothing is pinned and nothing but the program is compared.
    pub(crate) fn look_unpinned(daypass: &Path) -> Self {
        Self::look(Cores::loose(), daypass, true)
    }

    /// Looks at the load again, after the run.
    pub(crate) fn look_again(&mut self) {
        self.load_after = load();
    }

    /// What stands above every report.
    pub(crate) fn text(&self, rounds: usize, slice: Duration, seed: u64) -> String {
        format!(
            "\n{}\nload {} before, {} after; {rounds} rounds of {} ms slices, order from seed {seed}\n",
            self.headline(),
            self.load_before,
            self.load_after,
            slice.as_millis(),
        )
    }

    /// One line for the beginning.
    pub(crate) fn headline(&self) -> String {
        let pinned = if self.pinned {
            "server and loader on cores of their own"
        } else {
            "NOT PINNED: servers and loader share the cores there are"
        };
        let profile = if self.same_profile {
            ""
        } else {
            "; the yardsticks were built elsewhere, perhaps in ANOTHER PROFILE"
        };
        format!("{} on {}, Linux {}; {pinned}{profile}", self.daypass, self.processor, self.kernel)
    }
}

/// One, five and fifteen minutes.
fn load() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_ascii_whitespace().take(3).collect::<Vec<_>>().join(" ")
}

/// A target, what was measured for it, and what follows.
#[derive(Serialize)]
pub(crate) struct Target {
    number: &'static str,
    what: String,
    goal: Option<Goal>,
    /// None if nothing was measured.
    measured: Option<Quartiles>,
    verdict: Verdict,
    /// What else must be known to read it.
    note: Option<String>,
}

/// Everything.
#[derive(Serialize)]
pub(crate) struct Report {
    machine: Machine,
    rounds: usize,
    slice_ms: u64,
    seed: u64,
    faults: u64,
    first_fault: Option<String>,
    targets: Vec<Target>,
    comparisons: Vec<Comparison>,
    /// What could not be measured, and why.
    skipped: Vec<String>,
    endpoints: Vec<Endpoint>,
    yardsticks: Vec<Yardstick>,
}

impl Report {
    /// Draws the conclusions.
    pub(crate) fn new(
        machine: Machine,
        rounds: usize,
        slice: Duration,
        seed: u64,
        works: &[Work],
        results: &Results,
        starts: &Starts,
    ) -> Self {
        Self {
            machine,
            rounds,
            slice_ms: u64::try_from(slice.as_millis()).unwrap_or(u64::MAX),
            seed,
            faults: results.faults.count,
            first_fault: results.faults.first.clone(),
            targets: targets::all(works, results, starts, rounds),
            comparisons: peers::comparisons(works, Slices(results)),
            skipped: Vec::new(),
            endpoints: endpoints::endpoints(works, results),
            yardsticks: endpoints::yardsticks(results, starts),
        }
    }

    /// The same, which also says what was left out, and why.
    pub(crate) fn skipping(self, skipped: Vec<String>) -> Self {
        Self { skipped, ..self }
    }

    /// The same, which also says what cut-offs cost beside the time of a request.
    pub(crate) fn weighing(mut self, weights: &[Weight]) -> Self {
        self.yardsticks.extend(weights.iter().flat_map(endpoints::weight));
        self
    }

    /// How many requests went wrong.
    pub(crate) fn faults(&self) -> u64 {
        self.faults
    }

    /// The report for people, in Markdown.
    pub(crate) fn text(&self) -> String {
        let machine = &self.machine;
        let mut text = machine.text(self.rounds, Duration::from_millis(self.slice_ms), self.seed);
        text.push('\n');
        text.push_str("Targets (ratios are formed inside a round; median [quartiles])\n\n");
        text.push_str(&self.target_table().to_string());
        for target in &self.targets {
            if let Some(note) = &target.note {
                // Writing to a string does not fail.
                let _ = writeln!(text, "\n{}: {note}", target.what);
            }
        }
        if !self.comparisons.is_empty() {
            text.push_str(
                "\nThe vendor's samples: how many times less, more or shorter (median [quartiles])\n\n",
            );
            text.push_str(&peers::table(&self.comparisons).to_string());
        }
        for skipped in &self.skipped {
            let _ = writeln!(text, "\nSKIPPED {skipped}");
        }
        text.push_str(
            "\nEndpoints (absolute numbers of this machine and this hour: information, never a verdict)\n\n",
        );
        text.push_str(&endpoints::table(&self.endpoints).to_string());
        text.push_str("\nYardsticks\n\n");
        for yardstick in &self.yardsticks {
            let _ = writeln!(text, "- {}: {}", yardstick.what, yardstick.shown());
        }
        if let Some(first) = &self.first_fault {
            let _ = writeln!(text, "\n{} requests went wrong. The first: {first}", self.faults);
        }
        text
    }

    fn target_table(&self) -> Table {
        let mut table = Table::new(["#", "what", "goal", "measured", "verdict"]);
        for target in &self.targets {
            let goal = match target.goal {
                Some(Goal::AtLeast(least)) => format!(">= {}", number(least)),
                Some(Goal::AtMost(most)) => format!("<= {}", number(most)),
                None => "-".to_owned(),
            };
            let measured = target.measured.map_or_else(|| "-".to_owned(), spread);
            let verdict = match &target.verdict {
                Verdict::Met => "met".to_owned(),
                Verdict::Missed => "MISSED".to_owned(),
                Verdict::None(why) if target.goal.is_none() => why.clone(),
                Verdict::None(why) => format!("no verdict: {why}"),
            };
            table.row(&[target.number.to_owned(), target.what.clone(), goal, measured, verdict]);
        }
        table
    }
}

/// A number with as many digits as mean something.
pub(crate) fn number(value: f64) -> String {
    if value == 0.0 || value.abs() >= 100.0 {
        format!("{value:.0}")
    } else if value.abs() >= 10.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.2}")
    }
}

pub(crate) fn spread(values: Quartiles) -> String {
    if values.q1.to_bits() == values.q3.to_bits() {
        return number(values.median);
    }
    format!("{} [{}-{}]", number(values.median), number(values.q1), number(values.q3))
}

#[cfg(test)]
mod tests;
