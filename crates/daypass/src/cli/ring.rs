//! `daypass ring`.

use super::output::{Failure, Output, table};
use super::place::PlaceArgs;
use daypass_core::clock::rfc3339;
use daypass_core::ring::{RingRow, RingState};
use serde_json::{Value, json};

/// Daypass's own keys.
#[derive(clap::Subcommand)]
pub(super) enum Verb {
    /// List every key: purpose, version, state, age. Never the key itself.
    List {
        #[command(flatten)]
        place: PlaceArgs,
    },
}

pub(super) async fn run(verb: Verb, output: &Output) -> Result<(), Failure> {
    let Verb::List { place } = verb;
    let place = place.open().await?;
    let rows = place.opened.store.ring().await?;
    place.opened.store.close().await?;
    let mut lines = vec![["PURPOSE", "VERSION", "STATE", "CREATED"].map(str::to_owned).to_vec()];
    lines.extend(rows.iter().map(|row| {
        vec![
            row.purpose.name().to_owned(),
            row.version.to_string(),
            state(row.state).to_owned(),
            rfc3339(row.created),
        ]
    }));
    output.show(table(&lines), || Value::Array(rows.iter().map(document).collect()));
    Ok(())
}

fn state(state: RingState) -> &'static str {
    match state {
        RingState::Prepared => "prepared",
        RingState::Active => "active",
        RingState::Retiring => "retiring",
    }
}

fn document(row: &RingRow) -> Value {
    json!({
        "purpose": row.purpose.name(),
        "version": row.version,
        "state": state(row.state),
        "created": rfc3339(row.created),
    })
}
