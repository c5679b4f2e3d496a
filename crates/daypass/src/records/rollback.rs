//! A store that was put back to an earlier state, noticed by what a second place holds.
//!
//! Restoring a backup is lawful, so the service starts; but whoever puts the store back to hide what it said must not go
//! unseen. So it is said loudly, until an operator says that it was meant.

use super::file::{Copy, copies};
use super::{Keeper, Place, Settings};
use crate::app::App;
use anyhow::Context as _;
use daypass_core::record::checkpoint::Fork;
use daypass_core::record::{Entry, Record};
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
pub(crate) async fn behind(store: &dyn Store, path: &Path) -> anyhow::Result<Option<Behind>> {
    let mut held: BTreeMap<u64, Vec<Fork>> = BTreeMap::new();
    let owned = path.to_owned();
    let read = tokio::task::spawn_blocking(move || {
        copies(&owned, |copy| {
            if let Copy::Kept(kept) = copy {
                let fork = Fork { number: kept.number, digest: kept.digest() };
                held.entry(kept.number).or_default().push(fork);
            }
        })
        .map(|()| held)
    });
    let mut held = match read.await? {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        other => other.with_context(|| format!("cannot read `{}`", path.display()))?,
    };
    let (mut last, mut accepted) = (0, 0);
    loop {
        let all = store.checkpoints(last, PAGE).await?;
        let Some(newest) = all.last() else { break };
        last = newest.number;
        for kept in &all {
            if let Some(forks) = held.get_mut(&kept.number) {
                forks.retain(|fork| fork.digest != kept.digest());
            }
            accepted = accepted.max(accepts(&kept.jws));
        }
    }
    let newest =
        held.into_iter().filter(|(number, _)| *number > accepted).flat_map(|(_, forks)| forks).last();
    Ok(newest.map(|fork| Behind { fork, last, path: path.to_owned(), looked: last }))
}

/// The number of the checkpoint whose loss a checkpoint of our own store accepts; 0 where it accepts none. It is only read
/// here; that it is signed is `audit verify`'s business.
fn accepts(jws: &str) -> u64 {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let payload = jws.split('.').nth(1).and_then(|part| URL_SAFE_NO_PAD.decode(part).ok());
    let payload = payload.and_then(|bytes| serde_json::from_slice::<serde_json::Value>(&bytes).ok());
    payload.and_then(|payload| payload.get("accepts")?.get("number")?.as_u64()).unwrap_or_default()
}

impl Keeper {
    /// Compares the files among the places with the store: an alarm in the records, a line in the log and a warning where one
    /// of them holds what the store does not.
    pub(super) async fn compare(&self, app: &App, settings: &Settings) -> anyhow::Result<()> {
        for place in &settings.places {
            let Place::File(path) = &**place else { continue };
            let found = match behind(&**app.store(), path).await {
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
        let accepted = all.iter().any(|kept| accepts(&kept.jws) >= behind.fork.number);
        let mut standing = self.standing.lock();
        if accepted {
            tracing::info!(checkpoint = behind.fork.number, "the earlier state of the store was accepted");
            standing.behind = None;
        } else if let Some(behind) = &mut standing.behind {
            behind.looked = newest.number;
        }
        Ok(())
    }
}
