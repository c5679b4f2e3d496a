//! What it costs that everything is written down before it is handed out: records a second that are durable, on either store,
//! beside what the store itself can do; one and two nodes; many clients; bytes for each record; finding one among a million.
//!
//! Servers and loaders share the cores here and nothing is pinned: two nodes and a PostgreSQL need more than one.

mod clients;
mod million;
mod nodes;
mod place;
mod raw;
mod records;
mod site;
mod size;
mod stores;

use crate::report::{Machine, Table, number};
use crate::statistics::{Quartiles, ratios};
use anyhow::Context as _;
use clap::ValueEnum;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use serde::Serialize;
use serde_json::Value;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

/// What to measure, and how long.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// The binary to measure [default: daypass built in the same profile as this program].
    #[arg(long, value_name = "PATH")]
    pub(crate) daypass: Option<PathBuf>,
    /// How many rounds.
    #[arg(long, default_value_t = 11, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    rounds: u16,
    /// How long each thing is measured in a round.
    #[arg(long, default_value_t = 400, value_name = "MS", value_parser = clap::value_parser!(u64).range(20..=5000))]
    slice_ms: u64,
    /// Three rounds of short slices, and a hundredth of the clients and records: to see that everything works.
    #[arg(long, conflicts_with_all = ["rounds", "slice_ms"])]
    quick: bool,
    /// Only these parts.
    #[arg(long, value_delimiter = ',', value_name = "PARTS")]
    only: Vec<Part>,
    /// Also write everything to this file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Durable records a second, beside the store's own limit.
    Stores,
    /// One node and two.
    Nodes,
    /// From ten clients to a million.
    Clients,
    /// Bytes for each record.
    Size,
    /// Searching, exporting and checking a million records.
    Million,
}

impl Part {
    fn measure(self, plan: &Plan, postgres: Option<&place::Postgres>) -> anyhow::Result<Vec<Section>> {
        match self {
            Self::Stores => stores::measure(plan, postgres),
            Self::Nodes => nodes::measure(plan, postgres),
            Self::Clients => clients::measure(plan),
            Self::Size => size::measure(plan, postgres),
            Self::Million => million::measure(plan),
        }
    }
}

/// What every part needs to know.
struct Plan {
    daypass: PathBuf,
    /// A folder of its own, on a real disk.
    folder: PathBuf,
    rounds: usize,
    slice: Duration,
    quick: bool,
    seed: u64,
}

impl Plan {
    /// So many, or a hundredth of it where only the working matters.
    fn scaled(&self, count: usize) -> usize {
        if self.quick { (count / 100).max(10) } else { count }
    }

    /// Runs each of these once in a round, in random order.
    fn rounds<T: Copy>(
        &self,
        tasks: &[T],
        mut run: impl FnMut(usize, T) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let mut order: Vec<(usize, T)> = tasks.iter().copied().enumerate().collect();
        let mut random = StdRng::seed_from_u64(self.seed);
        for _ in 0..self.rounds {
            order.shuffle(&mut random);
            order.iter().try_for_each(|(index, task)| run(*index, *task))?;
        }
        Ok(())
    }
}

/// What one part found.
#[derive(Serialize)]
struct Section {
    title: &'static str,
    rows: Vec<Vec<String>>,
    notes: Vec<String>,
    /// The numbers of every round.
    rounds: Value,
}

impl Section {
    fn new<const N: usize>(title: &'static str, columns: [&str; N]) -> Self {
        let rows = vec![columns.map(str::to_owned).to_vec()];
        Self { title, rows, notes: Vec::new(), rounds: Value::Null }
    }

    fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.into());
    }

    fn text(&self) -> String {
        let mut text = format!("\n{}\n\n{}", self.title, Table::of(self.rows.clone()));
        for note in &self.notes {
            // Writing to a string does not fail.
            let _ = writeln!(text, "\n{note}");
        }
        text
    }
}

/// Measures, and prints. It says by itself what could not be measured.
pub(crate) fn run(options: &Options, daypass: PathBuf, folder: PathBuf) -> anyhow::Result<()> {
    let (rounds, slice_ms) = if options.quick { (3, 150) } else { (options.rounds, options.slice_ms) };
    let seed = crate::clock::wall().as_microsecond().unsigned_abs();
    let mut machine = Machine::look_unpinned(&daypass);
    let (rounds, slice) = (usize::from(rounds), Duration::from_millis(slice_ms));
    let plan = Plan { daypass, folder, rounds, slice, quick: options.quick, seed };
    eprintln!("{}", machine.headline());
    let postgres = place::Postgres::start()?;
    let mut sections = Vec::new();
    for part in Part::value_variants() {
        if options.only.is_empty() || options.only.contains(part) {
            eprintln!("{part:?}");
            sections.extend(part.measure(&plan, postgres.as_ref()).with_context(|| format!("{part:?}"))?);
        }
    }
    machine.look_again();
    println!("{}", machine.text(plan.rounds, plan.slice, plan.seed));
    for section in &sections {
        println!("{}", section.text());
    }
    if postgres.is_none() {
        println!("\nSKIPPED PostgreSQL: there is none; name its programs' folder by DAYPASS_POSTGRES");
    }
    if let Some(path) = &options.json {
        let report = serde_json::json!({ "machine": machine, "sections": sections });
        std::fs::write(path, serde_json::to_string_pretty(&report)?)
            .with_context(|| format!("cannot write `{}`", path.display()))?;
    }
    Ok(())
}

/// A number of each round, as it is shown.
fn spread(values: &[f64]) -> String {
    Quartiles::of(values).map_or_else(|| "-".to_owned(), crate::report::spread)
}

/// The median alone.
fn middle(values: &[f64]) -> String {
    Quartiles::of(values).map_or_else(|| "-".to_owned(), |values| number(values.median))
}

/// Ratios of what was measured in the same rounds.
fn over(values: &[f64], under: &[f64]) -> String {
    let some = |values: &[f64]| values.iter().copied().map(Some).collect::<Vec<_>>();
    spread(&ratios(&some(values), &some(under)))
}
