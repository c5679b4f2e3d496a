//! `daypass audit check`: for whoever was handed an export and a public key, and nothing else.

use super::key;
use crate::cli::output::{Failure, Output};
use anyhow::Context as _;
use daypass_core::record::export::{Reader, Report};
use serde_json::json;
use std::fs::File;
use std::io::{BufRead, BufReader, Read as _};
use std::path::{Path, PathBuf};

/// What to check, and by which keys.
#[derive(clap::Args)]
pub(in crate::cli) struct Args {
    /// The export; `-` for standard input.
    file: PathBuf,
    /// The public key that signed, as `audit key` prints it, or a file with some. May be said several times. It must not come from
    /// whoever handed over the export.
    #[arg(long = "key", value_name = "PUBLIC|FILE", required = true, allow_hyphen_values = true)]
    keys: Vec<String>,
}

/// The longest line that is read, in bytes. A record with a policy of the longest kind is a hundredth of it.
const LONGEST: u64 = 4 << 20;

/// No configuration, no store, no ring.
pub(super) fn run(args: &Args, output: &Output) -> Result<(), Failure> {
    let keys: Vec<_> = args.keys.iter().map(|given| key::read(given)).collect::<Result<_, _>>()?;
    let reader = Reader::new(keys.into_iter().flatten().collect());
    let report = if args.file == Path::new("-") {
        check(std::io::stdin().lock(), reader)
    } else {
        File::open(&args.file).and_then(|file| check(BufReader::new(file), reader))
    };
    let report = report.with_context(|| format!("cannot read `{}`", args.file.display()))?;
    output.show(text(&report), || json!(report));
    if report.faults_in_all == 0 { Ok(()) } else { Err(Failure::Said(1)) }
}

fn check(mut from: impl BufRead, mut reader: Reader) -> std::io::Result<Report> {
    let mut line = Vec::new();
    loop {
        line.clear();
        // A longer line is taken in pieces, none of which is a line of an export.
        if from.by_ref().take(LONGEST).read_until(b'\n', &mut line)? == 0 {
            return Ok(reader.finish());
        }
        reader.take(&line);
    }
}

fn text(report: &Report) -> String {
    let mut lines: Vec<_> = report.faults.iter().map(ToString::to_string).collect();
    let told = report.faults.len() as u64;
    if told < report.faults_in_all {
        lines.push(format!("and {} more", report.faults_in_all - told));
    }
    let whole = match (report.whole, report.faults_in_all) {
        (true, _) => "; nothing that was kept is left out",
        (false, 0) => "; it is what was looked for, and not all",
        (false, _) => "",
    };
    let time = report.time.map(|time| format!(" of {time}")).unwrap_or_default();
    lines.push(format!(
        "{} of {} records are proved by checkpoint {}{time} and older ones, {} faults{whole}",
        report.proved, report.records, report.checkpoint, report.faults_in_all
    ));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_export_is_told_whatever_its_lines() {
        let long = vec![b'a'; usize::try_from(LONGEST).unwrap() + 10];
        for (bytes, faults) in [(&b""[..], 1), (b"\n", 2), (b"{}", 2), (&long, 3)] {
            let report = check(bytes, Reader::new(Vec::new())).unwrap();
            let said = format!("0 of 0 records are proved by checkpoint 0 and older ones, {faults} faults");
            assert!(text(&report).ends_with(&said), "{}", text(&report));
        }
    }
}
