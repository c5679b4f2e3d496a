//! `daypass doctor`: everything that can be wrong with an installation, each with what to do about it.
//!
//! It looks, and changes nothing: it may run beside a server, as another user, and on a machine on which nothing works any more.
//! What cannot be looked at because of something else is left out; what that is stands in the list.

mod configuration;
mod finding;
mod keys;
mod machine;
mod network;
mod store;

use super::output::{Failure, Output};
use super::place::CONFIG;
use finding::{Finding, State};
use serde_json::json;
use std::path::PathBuf;

/// Find out what is wrong with an installation, and what to do.
///
/// Exit codes: 0 where there is no fault, 1 where there is one. Warnings are no faults.
#[derive(clap::Args)]
pub(super) struct Args {
    /// The configuration file.
    #[arg(long, value_name = "FILE", default_value = CONFIG)]
    config: PathBuf,
    /// The authority whose certificates are believed when the service is asked at its public address, in PEM [default: the
    /// system's].
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
}

/// Looks at everything and prints it; fails if there is a fault.
pub(super) async fn run(args: &Args, output: &Output) -> Result<(), Failure> {
    let findings = all(args).await;
    let count = |state| findings.iter().filter(|found| found.state == state).count();
    let (faults, warnings) = (count(State::Fault), count(State::Warning));
    if !output.is_json() {
        for found in &findings {
            output.line(found);
        }
    }
    let summary = match (faults, warnings) {
        (0, 0) => "nothing is wrong".to_owned(),
        (0, _) => format!("no faults, {warnings} to look at"),
        _ => format!("{faults} faults, {warnings} to look at"),
    };
    output.show(summary, || {
        let findings: Vec<_> = findings.iter().map(Finding::document).collect();
        json!({ "findings": findings, "faults": faults, "warnings": warnings })
    });
    if faults == 0 { Ok(()) } else { Err(Failure::Said(1)) }
}

async fn all(args: &Args) -> Vec<Finding> {
    let mut found = machine::look();
    let Some(config) = configuration::look(&args.config, &mut found) else { return found };
    let seal = configuration::seal(&config, &mut found);
    configuration::certificates(&config, &mut found);
    configuration::places(&config, &args.config, &mut found);
    let ring = store::look(&config, seal.as_ref(), &mut found).await;
    network::look(&config, ring.as_deref(), args.ca.as_deref(), &mut found).await;
    found
}
