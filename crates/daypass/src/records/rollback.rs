//! A store that was put back to an earlier state, noticed by what a second place holds.
//!
//! Restoring a backup is lawful, so the service starts; but whoever puts the store back to hide what it said must not go
//! unseen. So it is said loudly, until an operator says that it was meant.

use super::file::{Copy, copies};
use super::{Keeper, Place, Settings};
use crate::app::App;
use anyhow::Context as _;
use daypass_core::record::checkpoint::{Fork, Kept, claimed};
use daypass_core::record::covered::given_up;
use daypass_core::record::tree::Hash;
use daypass_core::record::{Entry, Record};
use daypass_core::ring::Ring;
use daypass_core::store::Store;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The reason of the alarm in the records.
pub(crate) const ROLLED_BACK: &str = "store_rolled_back";
/// How many checkpoints are read at a time.
const PAGE: usize = 500;

/// What a file holds and the store does not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Behind {
    /// The newest such checkpoint.
    pub(crate) fork: Fork,
    /// The number of the store's last one.
    pub(crate) last: u64,
    /// The file.
    pub(crate) path: PathBuf,
    /// Up to which checkpoint of the store it was looked for who accepts it.
    looked: u64,
}

impl Behind {
    /// A sentence about it.
    pub(crate) fn told(&self) -> String {
        format!(
            "`{}` holds checkpoint {}, which this store does not have; its last one is {}: the store was put back to an \
             earlier state",
            self.path.display(),
            self.fork.number,
            self.last
        )
    }
}

/// What a file holds that the store does not and that nobody has accepted; none where there is no such thing, or no file.
///
/// Attack: who put the store back can also write a checkpoint into it that accepts this; so only what our keys have signed
/// accepts anything.
pub(crate) async fn behind(store: &dyn Store, ring: &Ring, path: &Path) -> anyhow::Result<Option<Behind>> {
    let owned = path.to_owned();
    let read = tokio::task::spawn_blocking(move || {
        let mut held = Vec::new();
        copies(&owned, |copy| {
            if let Copy::Kept(kept) = copy {
                held.push(kept);
            }
        })
        .map(|()| held)
    });
    let held = match read.await? {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        other => other.with_context(|| format!("cannot read `{}`", path.display()))?,
    };
    let mut missing: BTreeMap<Hash, u64> = held.iter().map(|kept| (kept.digest(), kept.number)).collect();
    let (mut last, mut accepted) = (0, Vec::new());
    loop {
        let all = store.checkpoints(last, PAGE).await?;
        let Some(newest) = all.last() else { break };
        last = newest.number;
        for kept in &all {
            missing.remove(&kept.digest());
            accepted.extend(accepts(kept, ring));
        }
    }
    for digest in given_up(&accepted, held.iter()) {
        missing.remove(&digest);
    }
    let newest = missing.into_iter().max_by_key(|(_, number)| *number);
    let behind = |(digest, number)| Behind {
        fork: Fork { number, digest },
        last,
        path: path.to_owned(),
        looked: last,
    };
    Ok(newest.map(behind))
}

/// The checkpoint whose loss a checkpoint of our own accepts. The signature is only looked at where there is something.
fn accepts(kept: &Kept, ring: &Ring) -> Option<Fork> {
    claimed(&kept.jws)?.accepts?;
    kept.open(ring.checkpoint_keys()).ok()?.accepts
}

impl Keeper {
    /// Compares the files among the places with the store: an alarm in the records, a line in the log and a warning where one
    /// of them holds what the store does not.
    pub(super) async fn compare(&self, app: &App, settings: &Settings) -> anyhow::Result<()> {
        for place in &settings.places {
            let Place::File(path) = &**place else { continue };
            let found = match behind(&**app.store(), app.directory().ring(), path).await {
                Ok(found) => found,
                // A file that cannot be read is told as a place that gets nothing.
                Err(error) if error.is::<std::io::Error>() => continue,
                Err(error) => return Err(error),
            };
            let Some(found) = found else { continue };
            let told = found.told();
            tracing::error!(
                "{told}; if that was meant, say so by `daypass audit accept-rollback --reason \"…\"`"
            );
            let record = Record::alarm(app.record_id(), app.now(), ROLLED_BACK, &told);
            app.store().append(Entry { record, mark: None }).await?;
            self.standing.lock().behind = Some(found);
        }
        Ok(())
    }

    /// Ends the warning once an operator has accepted it, on whichever node.
    pub(super) async fn accepted(&self, app: &App) -> anyhow::Result<()> {
        let Some(behind) = self.standing.lock().behind.clone() else { return Ok(()) };
        let all = app.store().checkpoints(behind.looked, PAGE).await?;
        let Some(newest) = all.last() else { return Ok(()) };
        let directory = app.directory();
        let found = if all.iter().any(|kept| accepts(kept, directory.ring()).is_some()) {
            self::behind(&**app.store(), directory.ring(), &behind.path).await?
        } else {
            Some(Behind { looked: newest.number, ..behind.clone() })
        };
        if found.is_none() {
            tracing::info!(checkpoint = behind.fork.number, "the earlier state of the store was accepted");
        }
        self.standing.lock().behind = found;
        Ok(())
    }
}
