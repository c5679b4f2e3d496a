//! `daypass audit checkpoint` and `accept-rollback`: what an operator has signed on purpose.

use crate::app::{change, now};
use crate::cli::output::{Failure, Output};
use crate::cli::place::PlaceArgs;
use crate::records::{self, Behind, behind, sign};
use daypass_core::clock::rfc3339;
use serde_json::json;
use std::path::PathBuf;

/// Of which store.
#[derive(clap::Args)]
pub(in crate::cli) struct Now {
    #[command(flatten)]
    place: PlaceArgs,
}

/// Of which store, and why.
#[derive(clap::Args)]
pub(in crate::cli) struct Accept {
    #[command(flatten)]
    place: PlaceArgs,
    /// Why the store was put back, in your own words: it stands in the records for ever.
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// The file with the copies that tell of the later state [default: those of `[records] checkpoints_to`].
    #[arg(long, value_name = "FILE")]
    checkpoints: Option<PathBuf>,
}

/// Signs everything that was written since the last checkpoint. A running server hands it out.
pub(super) async fn make(args: Now, output: &Output) -> Result<(), Failure> {
    let place = args.place.open().await?;
    let signed = sign(&*place.opened.store, &place.opened.ring, now(), None).await;
    place.opened.store.close().await?;
    let signed = signed?;
    let last = signed.last.as_ref();
    let mut lines: Vec<String> = signed
        .unproved
        .iter()
        .map(|writer| {
            format!(
                "the chain of writer {writer} does not verify and is not signed; see `daypass audit verify`"
            )
        })
        .collect();
    lines.push(match (last, signed.made) {
        (None, _) => "nothing was written yet, so there is nothing to sign".to_owned(),
        (Some(last), 0) => format!("checkpoint {} covers everything", last.number),
        (Some(last), _) => format!("made checkpoint {}", last.number),
    });
    output.show(lines.join("\n"), || {
        json!({
            "made": signed.made,
            "number": last.map(|last| last.number),
            "checkpoint": last.map(|last| &last.jws),
            "unproved": signed.unproved,
        })
    });
    if signed.unproved.is_empty() { Ok(()) } else { Err(Failure::Said(1)) }
}

/// Says that the store was put back to an earlier state on purpose: in the records, and signed for whoever holds copies of what
/// was given up.
pub(super) async fn accept(args: Accept, output: &Output) -> Result<(), Failure> {
    if args.reason.trim().is_empty() {
        return Err(Failure::Usage("--reason says why, and is empty".into()));
    }
    let place = args.place.open().await?;
    let store = &*place.opened.store;
    let mut files: Vec<PathBuf> = args.checkpoints.into_iter().collect();
    if files.is_empty() {
        let own = place.config.records.places.iter().filter_map(|place| match &**place {
            records::Place::File(path) => Some(path.clone()),
            records::Place::Syslog(_) | records::Place::Http(_) => None,
        });
        files.extend(own);
    }
    if files.is_empty() {
        return Err(Failure::Usage(
            "`[records] checkpoints_to` names no file; name the copies of checkpoints with --checkpoints FILE".into(),
        ));
    }
    let mut newest: Option<Behind> = None;
    for file in files {
        let found = behind(store, &place.opened.ring, &file).await?;
        newest = newest.into_iter().chain(found).max_by_key(|behind| behind.fork.number);
    }
    let Some(found) = newest else {
        place.opened.store.close().await?;
        output.show(
            "the store has every checkpoint that was handed out; there is nothing to accept",
            || json!({ "accepted": null }),
        );
        return Ok(());
    };
    place.opened.begin().await?;
    let object = format!("checkpoint {}", found.fork.number);
    let record = change(None, "records.accept-rollback", &object);
    let record = daypass_core::record::Record { why: Some(args.reason), ..record };
    store.change(Vec::new(), record).await?;
    let signed = sign(store, &place.opened.ring, now(), Some(found.fork)).await?;
    place.opened.store.close().await?;
    let number = signed.last.map_or(0, |last| last.number);
    output.show(
        format!(
            "accepted at {}: checkpoints up to {} that are not in the store were given up; checkpoint {number} says so",
            rfc3339(now()),
            found.fork.number
        ),
        || json!({ "accepted": found.fork.number, "number": number }),
    );
    Ok(())
}
