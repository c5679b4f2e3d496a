//! Measures a release build of Daypass beside yardsticks, in one interleaved run, and prints ratios.
//!
//! See the README beside this crate for what is measured and why it is measured like this.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "printing is what a bench does")]

mod api;
mod asker;
mod brokered;
mod check;
mod clock;
mod cloud;
mod credentials;
mod durable;
mod goals;
mod loader;
mod peers;
mod primitives;
mod process;
mod report;
mod requests;
mod response;
mod run;
mod schedule;
mod signed_in;
mod start;
mod statistics;
mod work;
mod yardstick;

use anyhow::Context as _;
use api::{Apis, Questions, Weight};
use brokered::Brokered;
use clap::{Args, Parser, Subcommand};
use cloud::Clouds;
use peers::Peers;
use process::{Core, Cores, Server};
use report::{Machine, Report};
use run::{Run, Side};
use signed_in::SignedIn;
use start::Installation;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;
use work::{Delay, Held, Party, Peer, Wanted, Work};

/// Measures a release build of Daypass beside yardsticks and prints ratios to them.
#[derive(Parser)]
#[command(args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(flatten)]
    options: Options,
    #[command(subcommand)]
    role: Option<Role>,
}

#[derive(Args)]
struct Options {
    /// The binary to measure [default: daypass built in the same profile as this program].
    #[arg(long, value_name = "PATH")]
    daypass: Option<PathBuf>,
    /// How many rounds; fewer than nine give no verdict.
    #[arg(long, default_value_t = 11, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    rounds: u16,
    /// How long each endpoint is measured in a round.
    #[arg(long, default_value_t = 400, value_name = "MS", value_parser = clap::value_parser!(u64).range(20..=5000))]
    slice_ms: u64,
    /// Three rounds of short slices: to see that everything works. Gives no verdict.
    #[arg(long, conflicts_with_all = ["rounds", "slice_ms"])]
    quick: bool,
    /// Measure only the endpoints whose name holds one of these words (the yardsticks always stay).
    #[arg(long, value_delimiter = ',', value_name = "WORDS")]
    only: Vec<String>,
    /// Also write everything, with the numbers of every round, to this file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

#[derive(Subcommand)]
enum Role {
    /// Measure what it costs that everything is written down: durable records a second on either store, one and two nodes, many
    /// clients, bytes for each record, searching and proving a million.
    Durable(durable::Options),
    /// Be the bare axum server (the bench starts it itself).
    #[command(hide = true)]
    Yardstick {
        #[arg(long)]
        listen: SocketAddr,
    },
    /// Be the stand-in for the clouds that credentials are fetched from (the bench starts it itself).
    #[command(hide = true)]
    Cloud {
        #[arg(long)]
        listen: SocketAddr,
        /// How long it takes for each answer.
        #[arg(long)]
        delay_ms: u64,
    },
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let result = match cli.role {
        Some(Role::Yardstick { listen }) => yardstick::serve(listen).map(|()| ExitCode::SUCCESS),
        Some(Role::Cloud { listen, delay_ms }) => {
            cloud::serve(listen, Duration::from_millis(delay_ms)).map(|()| ExitCode::SUCCESS)
        }
        Some(Role::Durable(options)) => durable(&options).map(|()| ExitCode::SUCCESS),
        None => bench(&cli.options),
    };
    result.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

/// The whole bench. Only a request that went wrong makes it fail: a goal that was missed is a finding.
fn bench(options: &Options) -> anyhow::Result<ExitCode> {
    let (rounds, slice) = if options.quick { (3, 150) } else { (options.rounds, options.slice_ms) };
    let (rounds, slice) = (usize::from(rounds), Duration::from_millis(slice));
    let this = std::env::current_exe()?;
    // …/target/PROFILE/daypass-bench: what is built and what is measured live in the same target folder.
    let here = this.parent().context("this program is in no folder")?;
    let daypass = options.daypass.clone().map_or_else(|| start::default_binary(here), Ok)?;
    let home = here.with_file_name("bench");
    std::fs::create_dir_all(&home)?;
    let folder = tempfile::Builder::new().prefix("run-").tempdir_in(&home)?;

    let cores = Cores::choose()?;
    cores.be_the_loader()?;
    let mut machine = Machine::look(cores, &daypass, daypass.parent() == Some(here));
    eprintln!("{}", machine.headline());
    let resources = credentials::resources(&daypass)?;
    let installation = Installation { daypass, folder: folder.path().to_owned(), resources };
    eprintln!("starting and stopping");
    let starts = start::measure(&installation, cores, if options.quick { 3 } else { 9 })?;

    let wanted = Wanted::new(&options.only);
    let clouds = Clouds::start(cores, &this, &Delay::ALL)?;
    let pairs = Peer::ALL.into_iter().flat_map(|peer| Delay::ALL.map(|delay| (peer, delay)));
    let asked = |(peer, delay): &(Peer, Delay)| peer.works(*delay).iter().any(|work| wanted.has(*work));
    let asked: Vec<_> = pairs.filter(asked).collect();
    let peers = Peers::start(cores, &home.join("peers"), &clouds, &asked)?;
    let apis = ApiServers::start(&installation, &wanted, cores)?;
    let mut sides = sides(&this, &installation, peers.servers, &wanted, cores)?;
    for (party, server, questions) in apis.servers {
        let asker = installation.asker(&server)?.asking(questions);
        sides.push(Side::new(party, server, asker)?);
    }
    if Work::of_brokered().any(|work| wanted.has(work)) {
        sides.push(brokered(&installation, &clouds, cores)?);
    }
    let run = Run::prepare(cores, sides, clouds, folder.path().to_owned(), slice, &wanted)?;
    let works = run.works();
    let seed = clock::wall().as_microsecond().unsigned_abs();
    let results = run.rounds(rounds, seed, &|step| eprintln!("{step}"))?;
    machine.look_again();

    let report = Report::new(machine, rounds, slice, seed, &works, &results, &starts)
        .skipping([peers.skipped, apis.skipped].concat())
        .weighing(&apis.weights);
    println!("{}", report.text());
    if let Some(path) = &options.json {
        write_json(path, &report)?;
    }
    Ok(if report.faults() == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The bench of the records.
fn durable(options: &durable::Options) -> anyhow::Result<()> {
    let this = std::env::current_exe()?;
    let here = this.parent().context("this program is in no folder")?;
    let daypass = options.daypass.clone().map_or_else(|| start::default_binary(here), Ok)?;
    let home = here.with_file_name("bench");
    std::fs::create_dir_all(&home)?;
    let folder = tempfile::Builder::new().prefix("durable-").tempdir_in(&home)?;
    durable::run(options, daypass, folder.path().to_owned())
}

/// Starts our servers, and puts an asker before each server. All are asked with the same heads.
fn sides(
    this: &Path,
    installation: &Installation,
    peers: Vec<(Peer, Delay, Server)>,
    wanted: &Wanted,
    cores: Cores,
) -> anyhow::Result<Vec<Side>> {
    let axum = Server::start(cores, Core::Servers, |address| {
        let mut command = Command::new(this);
        command.args(["yardstick", "--listen", &address.to_string()]);
        command
    })?;
    let ours = installation.start(cores)?;
    let mut sides = Vec::new();
    for (party, server) in [(Party::Axum, axum), (Party::Daypass, ours)] {
        let asker = installation.asker(&server)?;
        sides.push(Side::new(party, server, asker)?);
    }
    if wanted.has(Work::Cached) {
        let page = installation.page()?;
        let signed_in =
            SignedIn::prepare(&installation.daypass, &installation.folder.join("signed-in"), &page)?;
        let server = signed_in.start(cores)?;
        let asker = installation.asker(&server)?.signed_in(signed_in.token);
        sides.push(Side::new(Party::SignedIn, server, asker)?);
    }
    for (peer, delay, server) in peers {
        let mut asker = installation.asker(&server)?;
        if peer == Peer::OidcProvider {
            asker = asker.known_as(peers::CLIENT);
        }
        sides.push(Side::new(Party::Peer(peer, delay), server, asker)?);
    }
    Ok(sides)
}

/// Starts Daypass with clouds behind it.
fn brokered(installation: &Installation, clouds: &Clouds, cores: Cores) -> anyhow::Result<Side> {
    let folder = installation.folder.join("brokered");
    let brokered = Brokered::prepare(&installation.daypass, &folder, clouds, installation.demo()?)?;
    let server = brokered.start(cores)?;
    let asker = installation.asker(&server)?.of_brokered(brokered.askers()?);
    Side::new(Party::Brokered, server, asker)
}

/// The servers that APIs ask.
#[derive(Default)]
struct ApiServers {
    servers: Vec<(Party, Server, Questions)>,
    weights: Vec<Weight>,
    /// What could not be measured, and why.
    skipped: Vec<String>,
}

impl ApiServers {
    /// Starts first one with each number of cut-offs, from copies of a store that no server has opened.
    fn start(installation: &Installation, wanted: &Wanted, cores: Cores) -> anyhow::Result<Self> {
        let held: Vec<_> = Held::ALL.into_iter().filter(|held| wanted.has(Work::Revoked(*held))).collect();
        let asked = Work::of_apis().any(|work| wanted.has(work));
        let mut started = Self::default();
        if held.is_empty() && !asked {
            return Ok(started);
        }
        let apis = Apis::prepare(&installation.daypass, &installation.folder.join("apis"))?;
        for held in held {
            eprintln!("taking {} credentials back", held.count());
            // That so many cannot be held is a finding, and the rest is measured.
            match apis.start_with(cores, held) {
                Ok((server, weight)) => {
                    let questions = apis.questions(&server)?;
                    started.weights.push(weight);
                    started.servers.push((Party::Held(held), server, questions));
                }
                Err(error) => started.skipped.push(format!("{}: {error:#}", Work::Revoked(held))),
            }
        }
        if asked {
            let server = apis.start(cores)?;
            let questions = apis.questions(&server)?;
            started.servers.push((Party::Api, server, questions));
        }
        Ok(started)
    }
}

fn write_json(path: &Path, report: &Report) -> anyhow::Result<()> {
    let text = serde_json::to_string_pretty(report)?;
    std::fs::write(path, text).with_context(|| format!("cannot write `{}`", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_holds_together() {
        Cli::command().debug_assert();
        assert!(Cli::try_parse_from(["bench", "--quick", "--rounds", "9"]).is_err());
        assert!(Cli::try_parse_from(["bench", "--rounds", "0"]).is_err());
        let cli = Cli::try_parse_from(["bench", "--only", "tc3,top"]).unwrap();
        assert_eq!(cli.options.only, ["tc3", "top"]);
    }
}
