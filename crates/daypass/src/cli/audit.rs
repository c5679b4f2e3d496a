//! `daypass audit`.

mod accept_clock;
mod check;
mod checkpoint;
mod discard;
mod draft;
mod export;
mod filter;
mod key;
mod search;
mod verify;

use super::output::{Failure, Output};
use super::place::PlaceArgs;
use daypass_core::clock::rfc3339;
use daypass_core::record::{Event, Record};
use daypass_core::store::{RecordQuery, Store};
use serde_json::json;
use std::fmt::Write as _;
use std::time::Duration;

/// The records.
#[derive(clap::Subcommand)]
pub(super) enum Verb {
    /// Print the newest records.
    Tail {
        #[command(flatten)]
        place: PlaceArgs,
        /// How many.
        #[arg(short = 'n', long, default_value_t = 20)]
        lines: usize,
        /// Only those of this tenant.
        #[arg(long)]
        tenant: Option<String>,
        /// Go on printing what is added.
        #[arg(short, long)]
        follow: bool,
    },
    /// Print the records that have something in common.
    Search(Box<search::Args>),
    /// Write records to a file, with the proof that they were there and unchanged.
    Export(Box<export::Args>),
    /// Check such a file: with a public key, and no configuration, store or key of ours.
    #[command(disable_version_flag = true)]
    Check(check::Args),
    /// Print the public keys by which exports and checkpoints are checked: for strangers.
    Key(key::Args),
    /// Check every chain of records and every checkpoint: nothing changed, moved, removed, cut off or put back.
    Verify(verify::Args),
    /// Sign now what was written since the last checkpoint.
    Checkpoint(checkpoint::Now),
    /// Say that the store was put back to an earlier state on purpose.
    AcceptRollback(checkpoint::Accept),
    /// Take away the last checkpoints of the store where none of our keys has signed them, so that new ones can be made.
    DiscardForged(discard::Args),
    /// Say that this machine's clock is right, and the later time that was recorded is not.
    AcceptClock(accept_clock::Args),
}

/// How many records are read at a time while following.
const PAGE: usize = 1000;
/// How often `--follow` looks for more.
const FOLLOW: Duration = Duration::from_millis(300);

pub(super) async fn run(verb: Verb, output: &Output) -> Result<(), Failure> {
    match verb {
        Verb::Tail { place, lines, tenant, follow } => {
            let place = place.open().await?;
            let query = RecordQuery { tenant, limit: lines, ..RecordQuery::default() };
            tail(&*place.opened.store, query, follow, output).await?;
            Ok(place.opened.store.close().await?)
        }
        Verb::Search(args) => search::run(&args, output).await,
        Verb::Export(args) => export::run(&args, output).await,
        Verb::Check(args) => check::run(&args, output),
        Verb::Key(args) => key::run(&args, output).await,
        Verb::Verify(args) => verify::run(args, output).await,
        Verb::Checkpoint(args) => checkpoint::make(args, output).await,
        Verb::AcceptRollback(args) => checkpoint::accept(args, output).await,
        Verb::DiscardForged(args) => discard::run(args, output).await,
        Verb::AcceptClock(args) => accept_clock::run(args, output).await,
    }
}

async fn tail(
    store: &dyn Store,
    mut query: RecordQuery,
    follow: bool,
    output: &Output,
) -> Result<(), Failure> {
    query.after = None;
    loop {
        for stored in store.records(query.clone()).await? {
            query.after = Some(stored.position);
            let record = stored.record;
            // JSON Lines: one document each, so that a stream can be read while it grows.
            output.show(line(&record), || json!(record));
        }
        if !follow {
            return Ok(());
        }
        // Nothing was there yet: from now on everything is new.
        query.after = query.after.or(Some(0));
        query.limit = PAGE;
        tokio::select! {
            () = tokio::time::sleep(FOLLOW) => {}
            () = crate::server::stop_signal() => return Ok(()),
        }
    }
}

fn line(record: &Record) -> String {
    let what = match &record.event {
        Event::Grant { credential, expires, repeat, .. } => {
            let again = if *repeat { " again" } else { "" };
            format!("granted{again} {credential} until {}", rfc3339(*expires))
        }
        Event::Ticket { ticket, origin, expires } => {
            format!("made ticket {ticket} for {} until {}", origin.escape_debug(), rfc3339(*expires))
        }
        Event::Alarm { reason, detail } => format!("ALARM {reason}: {detail}"),
        Event::Refusal { reason, detail, .. } => format!("refused {reason}: {detail}"),
        Event::Strangers { reason, network, count } => {
            format!("refused {count} strangers {reason} {}", network.as_deref().unwrap_or("elsewhere"))
        }
        Event::Change { action, object } => format!("changed {action} {object}"),
        Event::Warning { warning, object, detail: Some(detail), .. } => {
            format!("WARNING {warning} {object}: {}", detail.escape_debug())
        }
        Event::Warning { warning, object, days, detail: None } => {
            format!("WARNING {warning} {object} in {days} days")
        }
    };
    let mut line = format!("{} {what}", record.at);
    let source = record.source.map(|source| source.to_string());
    let client = record.client.map(|client| client.to_string());
    for (name, value) in [
        ("tenant", record.tenant.as_deref()),
        ("role", record.role.as_deref()),
        ("client", client.as_deref()),
        ("key", record.key.as_deref()),
        ("session", record.session.as_deref()),
        ("subject", record.subject.as_deref()),
        ("via", record.via.as_deref()),
        ("from", source.as_deref()),
        ("weak", record.weak.as_deref()),
        ("proof", record.proof.as_deref()),
        ("by", record.dialect.as_deref()),
        ("why", record.why.as_deref()),
    ] {
        if let Some(value) = value {
            // Writing to a string cannot fail.
            let _ = write!(line, " {name}={}", value.escape_debug());
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use daypass_core::testing::START;
    use uuid::Uuid;

    #[test]
    fn a_record_is_one_line_whatever_it_says() {
        let mut record = Record::change(Uuid::nil(), START, Some("acme".into()), "client.add", "edge");
        record.session = Some("a\nb".into());
        assert_eq!(line(&record), "2023-11-14T22:13:20Z changed client.add edge tenant=acme session=a\\nb");
    }
}
