//! The command line.

mod audit;
mod authority;
mod backup;
mod check;
mod client;
mod credential;
mod demo;
mod dev;
mod doctor;
mod emulate;
mod exchange;
mod explain;
mod files;
mod freeze;
mod held;
mod init;
mod migrate;
mod moving;
mod output;
mod place;
mod policy_test;
mod probe;
mod reload;
mod replay;
mod report;
mod restore;
mod revoke;
mod ring;
mod role;
mod root_key;
mod serve;
mod since;
mod ticket;
mod token;
mod trust;

use crate::telemetry::USUAL;
use clap::{Parser, Subcommand};
use output::{Failure, Output};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

/// A security token service: short-lived, least-privilege credentials in the wire format the SDK already speaks.
#[derive(Parser)]
#[command(name = "daypass", version, propagate_version = true)]
struct Cli {
    /// Print one JSON document instead of text.
    #[arg(long, global = true)]
    json: bool,
    /// What to log, in the syntax of `RUST_LOG` (serve, dev and emulate) [default: what the configuration says, or else info].
    #[arg(long, global = true, value_name = "FILTER")]
    log: Option<String>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the whole product with a demo configuration: no set-up, for trying and for tests.
    Dev(dev::Args),
    /// Emulate the clouds for tests, with a clock that can be set and faults on demand. Not for production.
    Emulate(Box<emulate::Args>),
    /// Write a commented daypass.toml and a seal key.
    Init(init::Args),
    /// Check a configuration file, and with --with-store the clients too: errors and warnings with file, line and column.
    Check(check::Args),
    /// Find out what is wrong with an installation, and what to do.
    Doctor(doctor::Args),
    /// Run the service.
    Serve(serve::Args),
    /// Have a running service read its configuration again: all of it is taken, or nothing.
    Reload(reload::Args),
    /// Ask a service on this machine whether it lives, or is ready: for health checks.
    Probe(probe::Args),
    /// Add, list, show, rotate, retire and disable clients, and say what they may ask for and what they may not use.
    #[command(subcommand)]
    Client(client::Verb),
    /// Daypass's own keys.
    #[command(subcommand)]
    Ring(ring::Verb),
    /// Keys of ours at the clouds behind Daypass: stage, prove, promote, roll back.
    #[command(subcommand)]
    RootKey(root_key::Verb),
    /// The records of what was handed out, refused and changed.
    #[command(subcommand)]
    Audit(audit::Verb),
    /// Write all of the store into one encrypted file, while it is served from; prove such a file.
    Backup(Box<backup::Args>),
    /// Fill an empty store from a backup.
    Restore(restore::Args),
    /// Move a store, such as from one file into a database for many nodes, and prove it.
    Migrate(migrate::Args),
    /// Say why something was given or refused, or what would be.
    Explain(Box<explain::Args>),
    /// The roles of the configuration, and what somebody would get of them.
    #[command(subcommand)]
    Role(role::Verb),
    /// Run allow and deny cases against the configuration.
    Test(policy_test::Args),
    /// Ask what was asked before of a configuration that is to come: what would open, what would close.
    Replay(replay::Args),
    /// What the records say of the configuration: clients, grants, roles and statements that nobody needs.
    #[command(subcommand)]
    Report(report::Verb),
    /// Credentials that were handed out.
    #[command(subcommand)]
    Credential(credential::Verb),
    /// Take back what was handed out: all of a client, a key, a subject, a role, a tenant, or one credential.
    Revoke(Box<revoke::Args>),
    /// Stop issuing at a place, for now. What was issued before stays good; see `revoke`.
    Freeze(freeze::Args),
    /// Go on issuing at a place.
    Thaw(freeze::Args),
    /// Ask a running server as a client would, and print its answer.
    #[command(subcommand)]
    Token(token::Verb),
    /// Print a credential as variables, for a shell to take.
    #[command(subcommand)]
    Env(held::Wanted<held::EnvOptions>),
    /// Run a program that finds a credential in its environment.
    #[command(subcommand)]
    Exec(held::Wanted<held::ExecOptions>),
    /// Print a credential as a vendor's SDK or command line reads it of a program that it starts.
    #[command(subcommand)]
    CredentialProcess(held::Wanted<held::ProcessOptions>),
    /// Hold a credential for programs of this user, and renew it ahead of its end.
    #[command(subcommand)]
    Agent(held::Wanted<held::AgentOptions>),
    /// Show the certificate authority of a `daypass dev --tls`, for clients that must trust it.
    Trust(trust::Args),
    /// Sign a one-time ticket offline, as an application's backend does.
    Ticket(ticket::Args),
}

/// How long work that nobody waits for any more may go on when a command has ended.
const LEFT_BEHIND: Duration = Duration::from_secs(1);

/// Parses the arguments, runs the command and turns its end into an exit code:
/// 0 done, 1 refused, 2 wrong usage or configuration, 3 unreachable.
pub(crate) fn run() -> ExitCode {
    let cli = Cli::parse();
    let output = Output::new(cli.json);
    let result = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => {
            let result = runtime.block_on(dispatch(cli.command, cli.log.as_deref(), &output));
            // What is to be finished is finished. A file that is still being read may never come to its end.
            runtime.shutdown_timeout(LEFT_BEHIND);
            result
        }
        Err(error) => Err(Failure::from(anyhow::Error::from(error))),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => output.fail(&failure),
    }
}

async fn dispatch(command: Command, log: Option<&str>, output: &Output) -> Result<(), Failure> {
    match command {
        Command::Dev(args) => dev::run(args, log.unwrap_or(USUAL), output).await,
        Command::Emulate(args) => Box::pin(emulate::run(*args, log.unwrap_or(USUAL), output)).await,
        Command::Init(args) => init::run(&args, output),
        Command::Check(args) => check::run(&args, output).await,
        Command::Doctor(args) => doctor::run(&args, output).await,
        Command::Serve(args) => serve::run(&args, log).await,
        Command::Reload(args) => reload::run(&args, output).await,
        Command::Probe(args) => probe::run(&args, output).await,
        Command::Client(verb) => client::run(verb, output).await,
        Command::Ring(verb) => ring::run(verb, output).await,
        Command::RootKey(verb) => root_key::run(verb, output).await,
        Command::Audit(verb) => audit::run(verb, output).await,
        Command::Backup(args) => backup::run(*args, output).await,
        Command::Restore(args) => restore::run(args, output).await,
        Command::Migrate(args) => migrate::run(args, output).await,
        Command::Explain(args) => explain::run(*args, output).await,
        Command::Role(verb) => role::run(verb, output).await,
        Command::Test(args) => policy_test::run(args, output).await,
        Command::Replay(args) => replay::run(args, output).await,
        Command::Report(verb) => report::run(verb, output).await,
        Command::Credential(verb) => credential::run(verb, output).await,
        Command::Revoke(args) => revoke::run(*args, output).await,
        Command::Freeze(args) => freeze::freeze(args, output).await,
        Command::Thaw(args) => freeze::thaw(args, output).await,
        Command::Token(verb) => token::run(verb, output).await,
        Command::Env(wanted) => held::env(wanted, output).await,
        Command::Exec(wanted) => held::exec(wanted, output).await,
        Command::CredentialProcess(wanted) => held::credential_process(wanted, output).await,
        Command::Agent(wanted) => held::agent(wanted, output).await,
        Command::Trust(args) => trust::run(&args, output),
        Command::Ticket(args) => ticket::run(&args, output),
    }
}

/// A path as a shell takes it.
fn quote(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+@:,".contains(c);
    if text.chars().all(plain) { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn paths_survive_a_shell() {
        assert_eq!(quote(Path::new("/a/b-c.json")), "/a/b-c.json");
        assert_eq!(quote(Path::new("/a b/it's")), r"'/a b/it'\''s'");
    }

    #[test]
    fn the_command_line_holds_together() {
        Cli::command().debug_assert();
    }
}
