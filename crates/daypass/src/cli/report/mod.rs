//! `daypass report`: what the records say of the configuration and of the clients.

mod statements;
mod unused;
mod usage;

use super::explain::{Snapshot, plan};
use super::output::{Failure, Output};
use super::place::{Place, PlaceArgs};
use super::since::{begin, each, parse_since};
use crate::system::SystemClock;
use daypass_core::clock::Clock as _;
use daypass_core::store::RecordQuery;
use std::collections::HashMap;
use unused::{Looked, Report, last_uses};
use usage::Usage;

/// Which report.
#[derive(clap::Subcommand)]
pub(super) enum Verb {
    /// Print what nobody has needed: clients, grants, roles, statements and app roles.
    ///
    /// A statement is printed if nothing that was issued has anything in common with it, so that all that are printed
    /// could be taken out together. What holders did with what they got is not recorded: where an ask named no narrower
    /// policy, everything in its role counts as needed, and the role is named as one that cannot be judged.
    Unused(Unused),
}

/// How far back, and where.
#[derive(clap::Args)]
pub(super) struct Unused {
    #[command(flatten)]
    place: PlaceArgs,
    /// How far back: 30d, 12h, 2026-11-01 or 2026-11-01T12:00:00Z.
    #[arg(long, value_name = "WHEN", default_value = "30d", value_parser = parse_since)]
    since: super::client::When,
    /// Only this tenant.
    #[arg(long)]
    tenant: Option<String>,
}

pub(super) async fn run(verb: Verb, output: &Output) -> Result<(), Failure> {
    let Verb::Unused(args) = verb;
    let place = args.place.open().await?;
    let result = unused(&place, &args, output).await;
    place.opened.store.close().await?;
    result
}

async fn unused(place: &Place, args: &Unused, output: &Output) -> Result<(), Failure> {
    let store = &*place.opened.store;
    let snapshot = Snapshot::read(place).await?;
    let directory = snapshot.directory(plan(&place.config))?;
    if let Some(tenant) = args.tenant.as_deref().filter(|name| directory.tenant(name).is_none()) {
        return Err(Failure::Usage(format!("the configuration has no tenant `{}`", tenant.escape_debug())));
    }
    let since = begin(args.since, SystemClock.now());
    let oldest = RecordQuery { after: Some(0), limit: 1, ..RecordQuery::default() };
    let oldest = store.records(oldest).await?.into_iter().next().map(|stored| stored.record.at);
    let mut usage = Usage::default();
    let records = each(store, args.tenant.as_deref(), since, |record| usage.take(&directory, record)).await?;
    let uses: HashMap<_, _> = store.uses().await?.into_iter().collect();
    let looked = Looked { since, oldest, records };
    let last = last_uses(&snapshot.keys, &uses);
    let report = Report::of(&snapshot.clients, &directory, args.tenant.as_deref(), &usage, &last, looked);
    output.show(report.text(), || report.document());
    Ok(())
}
