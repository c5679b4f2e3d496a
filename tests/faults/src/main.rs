//! Breaks a running Daypass on purpose, says for each fault what must hold, and whether it held.

mod case;
mod cases;
mod report;

use anyhow::ensure;
use case::{Case, Means};
use clap::Parser;
use daypass_faults::time;
use report::{Line, Report};
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

/// The suite of faults.
#[derive(Parser)]
#[command(name = "daypass-faults", version)]
struct Args {
    /// The program under test.
    #[arg(long, value_name = "FILE")]
    daypass: PathBuf,
    /// An older version of it, for the rolling upgrade.
    #[arg(long, value_name = "FILE")]
    older: Option<PathBuf>,
    /// A tenth of the repetitions: for a look, and for every run of all tests.
    #[arg(long)]
    quick: bool,
    /// What chance is drawn from; another run with it draws the same.
    #[arg(long)]
    seed: Option<u64>,
    /// Where the report goes: Markdown here, and the same as JSON beside it.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Not the cases whose names contain this; may be given several times.
    #[arg(long, value_name = "NAME")]
    but: Vec<String>,
    /// Name the cases and do nothing.
    #[arg(long)]
    list: bool,
    /// Cases whose names contain one of these; all, if none is given.
    names: Vec<String>,
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            say(&format!("{error:#}"));
            ExitCode::from(2)
        }
    }
}

/// Runs the cases. Says whether every invariant held.
fn run(args: &Args) -> anyhow::Result<bool> {
    let named = |case: &Case, names: &[String]| names.iter().any(|name| case.name.contains(name.as_str()));
    let wanted = |case: &Case| (args.names.is_empty() || named(case, &args.names)) && !named(case, &args.but);
    let cases: Vec<_> = cases::all().into_iter().filter(wanted).collect();
    ensure!(!cases.is_empty(), "no case has such a name; --list names them");
    if args.list {
        for case in &cases {
            say(&format!("{:<28} {}", case.name, case.fault));
        }
        return Ok(true);
    }
    let seed = args.seed.unwrap_or_else(|| u64::try_from(time::wall().as_millisecond()).unwrap_or_default());
    let means = Means {
        daypass: std::path::absolute(&args.daypass)?,
        older: args.older.as_deref().map(std::path::absolute).transpose()?,
        quick: args.quick,
        seed,
    };
    ensure!(means.daypass.is_file(), "there is no program at `{}`", means.daypass.display());
    let mut report = Report::new(seed, args.quick);
    for case in cases {
        let begin = time::now();
        let outcome = case.run(&means);
        let line = Line { case, outcome, took: begin.elapsed() };
        say(&line.text());
        report.add(line);
    }
    say(&report.summary());
    if let Some(file) = &args.report {
        std::fs::write(file, report.markdown())?;
        std::fs::write(file.with_extension("json"), report.json())?;
    }
    Ok(report.held())
}

fn say(text: &str) {
    // Whoever reads has gone away where this fails; the exit code still says how it ended.
    let _ = writeln!(std::io::stdout(), "{text}");
}
