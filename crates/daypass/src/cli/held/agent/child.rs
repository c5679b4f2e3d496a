//! The program that an agent is started for.

use super::super::answer::Vendor;
use super::super::exec::{named, not_started};
use super::super::shell::Variable;
use super::super::variables::hidden;
use crate::cli::output::{Failure, Output};
use rustix::process::{Pid, Signal, kill_process};
use std::ffi::OsString;
use std::io::IsTerminal as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use tokio::process::Child;
use tokio::signal::unix::{Signal as Caught, SignalKind, signal};

/// Runs the program with these variables, passes signals on to it, and ends as it ends.
pub(super) async fn run(
    command: &[OsString],
    vendor: Vendor,
    variables: &[Variable],
    output: &Output,
) -> Result<(), Failure> {
    let mut program = named(command)?;
    for name in hidden(vendor) {
        program.env_remove(name);
    }
    program.envs(variables.iter().map(|(name, value)| (name, value)));
    // Caught before the program runs: a signal in between would end the agent and leave the program alone.
    let caught = Signals::catch().map_err(anyhow::Error::from)?;
    let child = tokio::process::Command::from(program).spawn();
    let child = child.map_err(|error| not_started(command, &error, output))?;
    let status = caught.pass_on(child).await.map_err(anyhow::Error::from)?;
    match code(status) {
        0 => Ok(()),
        code => Err(Failure::Said(code)),
    }
}

/// The exit code of a program as a shell has it: that of one that was ended by a signal is 128 more than its number.
fn code(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
}

/// The signals that are meant for the program.
struct Signals {
    term: Caught,
    hangup: Caught,
    interrupt: Caught,
    quit: Caught,
    one: Caught,
    two: Caught,
    /// A terminal sends Ctrl-C and Ctrl-\ to the program itself as well.
    terminal: bool,
}

impl Signals {
    fn catch() -> std::io::Result<Self> {
        Ok(Self {
            term: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
            interrupt: signal(SignalKind::interrupt())?,
            quit: signal(SignalKind::quit())?,
            one: signal(SignalKind::user_defined1())?,
            two: signal(SignalKind::user_defined2())?,
            terminal: std::io::stdin().is_terminal() || std::io::stderr().is_terminal(),
        })
    }

    async fn pass_on(mut self, mut child: Child) -> std::io::Result<ExitStatus> {
        let process = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        loop {
            let signal = tokio::select! {
                status = child.wait() => return status,
                _ = self.term.recv() => Signal::TERM,
                _ = self.hangup.recv() => Signal::HUP,
                _ = self.one.recv() => Signal::USR1,
                _ = self.two.recv() => Signal::USR2,
                _ = self.interrupt.recv() => Signal::INT,
                _ = self.quit.recv() => Signal::QUIT,
            };
            let from_terminal = self.terminal && [Signal::INT, Signal::QUIT].contains(&signal);
            if let (Some(process), false) = (process, from_terminal) {
                // It may just have ended; then there is nothing to pass on.
                let _ = kill_process(process, signal);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exit_code_is_what_a_shell_would_say() {
        for (raw, expected) in [(0, 0), (7 << 8, 7), (255 << 8, 255), (15, 143), (9, 137)] {
            assert_eq!(code(ExitStatus::from_raw(raw)), expected, "{raw}");
        }
    }

    #[tokio::test]
    async fn the_program_has_the_variables_and_its_end_is_passed_on() {
        let output = Output::new(false);
        let variables = [("LEADS".to_owned(), "here".to_owned())];
        let sh = |script: &str| ["sh", "-c", script].map(OsString::from);
        run(&sh("test \"$LEADS\" = here"), Vendor::Entra, &variables, &output).await.unwrap();
        for (script, expected) in [("exit 7", 7), ("kill -TERM $$", 143)] {
            let end = run(&sh(script), Vendor::Entra, &variables, &output).await;
            assert!(matches!(end, Err(Failure::Said(code)) if code == expected), "{script}");
        }
        let end = run(&["/no/such/program".into()], Vendor::Entra, &variables, &output).await;
        assert!(matches!(end, Err(Failure::Said(127))));
    }
}
