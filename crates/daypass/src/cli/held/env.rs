//! `daypass env`: prints a credential as variables, for a shell to take.

use super::obtain::{Found, Keep, credential};
use super::question::Wanted;
use super::shell::Shell;
use super::variables;
use crate::cli::output::{Failure, Output};
use crate::system::SystemClock;
use daypass_core::clock::{Clock as _, Timestamp, after};

/// How to print.
#[derive(clap::Args)]
pub(in crate::cli) struct Options {
    #[command(flatten)]
    keep: Keep,
    /// Whose syntax; with --json one JSON object.
    #[arg(long, value_enum, default_value_t = Shell::Bash)]
    shell: Shell,
}

/// Prints the variables.
pub(in crate::cli) async fn run(wanted: Wanted<Options>, output: &Output) -> Result<(), Failure> {
    let (question, options) = wanted.parts();
    let (credential, found) = credential(&question, &options.keep, output).await?;
    let variables = variables::of(&credential, ends(&found));
    let shell = if output.is_json() { Shell::Json } else { options.shell };
    output.line(shell.lines(&variables));
    Ok(())
}

/// When what was found ends, by the clock here.
pub(super) fn ends(found: &Found) -> Option<Timestamp> {
    let left = u32::try_from(found.left?).ok()?;
    Some(after(SystemClock.now(), left))
}
