//! `daypass replay`: what was asked before, asked of a configuration that is to come.
//!
//! Each recorded ask is put to the present configuration and to the proposed one, with the clients as they are now. What
//! differs is the doing of the file, whatever has changed since the ask.

mod difference;
mod tally;

use super::explain::{Snapshot, plan};
use super::output::{Failure, Output};
use super::place::{Place, PlaceArgs, load};
use super::since::{begin, each, parse_since};
use crate::system::SystemClock;
use daypass_core::clock::Clock as _;
use std::path::PathBuf;
use tally::Tally;

/// Ask what was asked before of a configuration that is to come, and issue nothing.
///
/// Prints what would be refused that is granted now (close), what would be granted that is refused now (open), and what
/// would be granted with less or more. Ends with 1 if something would close.
#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    place: PlaceArgs,
    /// The proposed configuration. Its store and its seal key are not opened.
    #[arg(value_name = "NEW.toml")]
    proposed: PathBuf,
    /// How far back: 7d, 12h, 2026-11-01 or 2026-11-01T12:00:00Z.
    #[arg(long, value_name = "WHEN", default_value = "7d", value_parser = parse_since)]
    since: super::client::When,
    /// Only what was asked in this tenant.
    #[arg(long)]
    tenant: Option<String>,
}

pub(super) async fn run(args: Args, output: &Output) -> Result<(), Failure> {
    let proposed = load(&args.proposed)?;
    let place = args.place.open().await?;
    let result = replay(&place, &args, &proposed, output).await;
    place.opened.store.close().await?;
    result
}

async fn replay(
    place: &Place,
    args: &Args,
    proposed: &crate::config::Loaded,
    output: &Output,
) -> Result<(), Failure> {
    let snapshot = Snapshot::read(place).await?;
    let (present, proposed) = (snapshot.directory(plan(&place.config))?, snapshot.directory(plan(proposed))?);
    let since = begin(args.since, SystemClock.now());
    let mut tally = Tally::new(since);
    each(&*place.opened.store, args.tenant.as_deref(), since, |record| {
        tally.take(&present, &proposed, record);
    })
    .await?;
    if tally.is_empty() {
        // Attack on oneself: a change is waved through because nobody asked in the time that was looked at.
        return Err(Failure::Refused("no ask since then is recorded that could be asked again".to_owned()));
    }
    output.show(tally.text(), || tally.document());
    if tally.closes() { Err(Failure::Said(1)) } else { Ok(()) }
}
