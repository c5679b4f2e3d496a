//! `daypass audit`.

use super::output::{Failure, Output};
use super::place::{Place, PlaceArgs};
use daypass_core::clock::rfc3339;
use daypass_core::record::{ChainFault, ChainHead, Checker, Event, Record};
use daypass_core::store::{RecordQuery, Store, StoreError};
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
    /// Check every chain of records: nothing changed, moved, removed or cut off.
    Verify {
        #[command(flatten)]
        place: PlaceArgs,
    },
}

/// How many links are read at a time while verifying.
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
        Verb::Verify { place } => {
            let place = place.open().await?;
            let result = verify(&place, output).await;
            place.opened.store.close().await?;
            result
        }
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

async fn verify(place: &Place, output: &Output) -> Result<(), Failure> {
    let store = &*place.opened.store;
    let mut faults: Vec<ChainFault> = Vec::new();
    let (mut chains, mut records) = (0, 0);
    // Heads first: a server may go on writing, and what it adds is proved by a later head.
    let heads = store.heads().await?;
    for head in heads.iter().filter(|head| head.seq > 0) {
        let mut checker = Checker::new(&place.opened.ring, head);
        let mut after = 0;
        while after < head.seq {
            let mut links = store.links(head.writer, after, PAGE).await?;
            links.retain(|link| link.seq <= head.seq);
            let Some(last) = links.last() else { break };
            after = last.seq;
            records += links.len();
            for link in &links {
                checker.take(link);
            }
        }
        chains += 1;
        faults.extend(checker.finish());
    }
    faults.extend(behind_their_heads(store, &heads).await?);
    let mut text: Vec<_> = faults.iter().map(ToString::to_string).collect();
    text.push(format!("{records} records in {chains} chains, {} faults", faults.len()));
    output.show(text.join("\n"), || json!({ "records": records, "chains": chains, "faults": faults }));
    if faults.is_empty() { Ok(()) } else { Err(Failure::Said(1)) }
}

/// Records behind the end of their chain that no later end proves: added by someone without the key.
async fn behind_their_heads(store: &dyn Store, heads: &[ChainHead]) -> Result<Vec<ChainFault>, StoreError> {
    let mut beyond = Vec::new();
    for head in heads {
        if let Some(last) = store.links(head.writer, head.seq, PAGE).await?.last() {
            beyond.push((head.writer, last.seq));
        }
    }
    if beyond.is_empty() {
        return Ok(Vec::new());
    }
    // A head is written in the same commit as its records, so one read now is behind all that was read before.
    let now = store.heads().await?;
    let proved = |writer, seq| now.iter().any(|head| head.writer == writer && head.seq >= seq);
    let unproved = beyond.into_iter().filter(|(writer, seq)| !proved(*writer, *seq));
    Ok(unproved.map(|(writer, _)| ChainFault::Head { writer }).collect())
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
