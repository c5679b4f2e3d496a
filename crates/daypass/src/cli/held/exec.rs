//! `daypass exec`: runs a program that finds the credential in its environment.
//!
//! Nobody can change the environment of a program that runs: one that outlives the credential needs `daypass agent`.

use super::env::ends;
use super::obtain::{Keep, credential};
use super::question::Wanted;
use super::variables;
use crate::cli::output::{Failure, Output};
use std::ffi::OsString;
use std::io::{Error, ErrorKind};
use std::os::unix::process::CommandExt as _;
use std::process::Command;

/// What to run.
#[derive(clap::Args)]
pub(in crate::cli) struct Options {
    #[command(flatten)]
    keep: Keep,
    /// The program and its arguments, after `--`.
    #[arg(last = true, required = true, value_name = "CMD")]
    command: Vec<OsString>,
}

/// Becomes the program: it has this process's number, receives its signals, and its exit code is this one's.
pub(in crate::cli) async fn run(wanted: Wanted<Options>, output: &Output) -> Result<(), Failure> {
    let (question, options) = wanted.parts();
    let (credential, found) = credential(&question, &options.keep, output).await?;
    let mut command = named(&options.command)?;
    for name in variables::hidden(question.vendor()) {
        command.env_remove(name);
    }
    command.envs(variables::of(&credential, ends(&found)));
    // Comes back only where nothing was started.
    let error = command.exec();
    Err(not_started(&options.command, &error, output))
}

/// The program with its arguments.
pub(super) fn named(command: &[OsString]) -> Result<Command, Failure> {
    let (program, arguments) =
        command.split_first().ok_or_else(|| Failure::Usage("name a program after `--`".to_owned()))?;
    let mut command = Command::new(program);
    command.args(arguments);
    Ok(command)
}

/// The end of a command whose program could not be started, with the code that a shell has for that: 127 where there
/// is none, 126 where it cannot be run.
pub(super) fn not_started(command: &[OsString], error: &Error, output: &Output) -> Failure {
    let program = command.first().map(|program| program.display().to_string()).unwrap_or_default();
    output.note(format!("daypass: cannot run `{program}`: {error}"));
    Failure::Said(if error.kind() == ErrorKind::NotFound { 127 } else { 126 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_cannot_be_started_ends_as_in_a_shell() {
        let output = Output::new(false);
        let command = ["x".into()];
        for (kind, code) in
            [(ErrorKind::NotFound, 127), (ErrorKind::PermissionDenied, 126), (ErrorKind::Other, 126)]
        {
            let failure = not_started(&command, &Error::from(kind), &output);
            assert!(matches!(failure, Failure::Said(said) if said == code), "{kind:?}");
        }
        assert!(matches!(named(&[]), Err(Failure::Usage(_))));
    }
}
