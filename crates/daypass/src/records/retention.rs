//! Removing records that were kept long enough, so that what is left is still proved.
//!
//! The oldest records of the store go, in pieces, each with a record of its own. A piece goes only where every record in it says
//! itself that it is old enough, where every chain in it verifies, where a checkpoint covers it, and where every second place has that checkpoint. Each chain keeps the place
//! where it begins from then on, with the tree of what is gone, under the chain's key.

use super::Settings;
use super::sign::look;
use crate::app::App;
use daypass_core::clock::{Timestamp, rfc3339};
use daypass_core::record::{Checker, Placed, Record};
use daypass_core::store::{Change, Cut, Store, StoreError};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;
use uuid::Uuid;

/// How many records go in one commit: some ten milliseconds of the writer's time.
const PIECE: usize = 500;
/// How long requests have the writer to themselves between two pieces.
const PAUSE: Duration = Duration::from_millis(20);

/// What was removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Removed {
    /// How many records.
    pub(super) records: u64,
    /// Nothing more goes, because what comes next does not verify.
    pub(super) stuck: bool,
    /// Nothing goes yet, because a second place has not got the newest checkpoint.
    pub(super) waits: bool,
}

/// A piece that is to go.
enum Piece {
    /// Nothing is old enough, or nothing is covered.
    Nothing,
    /// What comes next does not verify: it is evidence, and stays.
    Faulty(Uuid),
    Goes {
        through: i64,
        cuts: Vec<Cut>,
        told: String,
        records: u64,
    },
}

/// Removes everything that was written before this time, as far as it may go.
pub(super) async fn remove(app: &App, settings: &Settings, before: Timestamp) -> anyhow::Result<Removed> {
    let store = &**app.store();
    let mut removed = Removed::default();
    if !everywhere(store, settings).await? {
        return Ok(Removed { waits: true, ..removed });
    }
    loop {
        match piece(app, before).await? {
            Piece::Nothing => return Ok(removed),
            Piece::Faulty(writer) => {
                tracing::error!(%writer, "old records do not verify and stay; see `daypass audit verify`");
                removed.stuck = true;
                return Ok(removed);
            }
            Piece::Goes { through, cuts, told, records } => {
                let record = Record::change(app.record_id(), app.now(), None, "records.remove", &told);
                match store.change(vec![Change::CutRecords { through, cuts }], record).await {
                    Ok(()) => removed.records += records,
                    // Another node is at it.
                    Err(StoreError::Conflict(_)) => return Ok(removed),
                    Err(fault) => return Err(fault.into()),
                }
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Whether every second place has the newest checkpoint, and there is one.
async fn everywhere(store: &dyn Store, settings: &Settings) -> Result<bool, StoreError> {
    let Some(last) = store.last_checkpoint().await? else { return Ok(false) };
    let delivered: BTreeMap<String, u64> = store.delivered().await?.into_iter().collect();
    let has = |place: &std::sync::Arc<super::Place>| {
        delivered.get(&place.name()).is_some_and(|n| *n >= last.number)
    };
    Ok(settings.places.iter().all(has))
}

/// When a record was written, as it says itself.
#[derive(Deserialize)]
struct Dated {
    at: Timestamp,
}

async fn piece(app: &App, before: Timestamp) -> anyhow::Result<Piece> {
    let (store, directory) = (app.store(), app.directory());
    let ring = directory.ring();
    let standing = look(&**store, ring).await?;
    if let Some(writer) = standing.astray.first() {
        return Ok(Piece::Faulty(*writer));
    }
    let heads = standing.heads;
    let oldest = store.placed(i64::MIN, PIECE).await?;
    let head = |writer: Uuid| heads.iter().find(|head| head.writer == writer);
    let goes = |placed: &&Placed| {
        placed.latest < before.as_millisecond()
            && head(placed.link.writer).is_some_and(|head| placed.link.seq <= head.signed)
    };
    let mut checkers: BTreeMap<Uuid, Checker<'_>> = BTreeMap::new();
    let (mut through, mut records) = (i64::MIN, 0);
    for Placed { position, link, .. } in oldest.iter().take_while(goes) {
        let Some(head) = head(link.writer) else { return Ok(Piece::Faulty(link.writer)) };
        // Attack: the time beside a record is proved by nothing. Whoever can write to the store would make every record look
        // old, and Daypass itself would remove it, lawfully.
        let dated: Option<Dated> = serde_json::from_slice(&link.blob).ok();
        if dated.is_none_or(|dated| dated.at >= before) {
            return Ok(Piece::Faulty(link.writer));
        }
        checkers.entry(link.writer).or_insert_with(|| Checker::new(ring, head)).take(link);
        (through, records) = (*position, records + 1);
    }
    if records == 0 {
        return Ok(Piece::Nothing);
    }
    let (mut cuts, mut told) = (Vec::new(), format!("{records} records up to {}:", rfc3339(before)));
    for (writer, checker) in checkers {
        let gone = head(writer).map_or(0, |head| head.first() - 1);
        let Some(base) = checker.base() else { return Ok(Piece::Faulty(writer)) };
        // Writing to a string cannot fail.
        let _ = write!(told, " {}-{} of {writer}", gone + 1, base.seq());
        cuts.push(Cut { writer, before: gone, base });
    }
    Ok(Piece::Goes { through, cuts, told, records })
}
