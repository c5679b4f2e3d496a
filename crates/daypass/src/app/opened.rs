//! Opening the store with its seal key, and giving a new one its ring.

use super::{change, now};
use crate::config::SealKeys;
use crate::system::KeyEntropy;
use anyhow::Context as _;
use daypass_core::id::random_uuid;
use daypass_core::record::Chain;
use daypass_core::ring::{Kek, Purpose, Ring, RingRow, RingState, SealRow};
use daypass_core::store::{Change, Store, StoreError};
use std::sync::Arc;

/// A store that was opened with its seal key, ready to be read and written.
pub(crate) struct Opened {
    /// Clients, keys, records.
    pub(crate) store: Arc<dyn Store>,
    /// Daypass's own keys.
    pub(crate) ring: Arc<Ring>,
    /// What wraps them.
    pub(crate) kek: Arc<Kek>,
}

impl Opened {
    /// Opens a store to read. An empty one gets its ring here; one with data and another seal key is refused, before
    /// anything is written to it.
    pub(crate) async fn open(url: &str, seal_keys: &SealKeys) -> anyhow::Result<Self> {
        let store = daypass_stores::open(url).with_context(|| format!("cannot open the store `{url}`"))?;
        match Self::fitted(store.clone(), seal_keys).await {
            Ok(opened) => Ok(opened),
            Err(error) => {
                // What was opened to look is left as it was found; that it does not close says less than why it must.
                let _ = store.close().await;
                Err(error)
            }
        }
    }

    async fn fitted(store: Arc<dyn Store>, seal_keys: &SealKeys) -> anyhow::Result<Self> {
        let given = seal_keys.kek()?;
        let (mut rows, mut said) = (store.ring().await?, store.seal().await?);
        let mut kek = given.fit(said.as_ref(), &rows)?;
        if rows.is_empty() && is_used(&*store).await? {
            // Another process may have filled it between the two questions.
            (rows, said) = (store.ring().await?, store.seal().await?);
            kek = given.fit(said.as_ref(), &rows)?;
            anyhow::ensure!(
                !rows.is_empty(),
                "the store has data and no ring: its keys were removed, and with new ones nothing in it could be read or \
                 proved; restore a backup"
            );
        }
        let missing: Vec<_> = Ring::missing(&rows).collect();
        if !missing.is_empty() {
            complete(&*store, rows, said, &missing, &kek).await?;
            // What is there counts, whoever has put it there.
            (rows, said) = (store.ring().await?, store.seal().await?);
            kek = given.fit(said.as_ref(), &rows)?;
        }
        let ring = Arc::new(Ring::open(&rows, &kek)?);
        Ok(Self { store, ring, kek: Arc::new(kek) })
    }

    /// Begins to write: this process's records have a chain of their own.
    pub(crate) async fn begin(&self) -> anyhow::Result<()> {
        Ok(self.store.begin(new_chain(&self.ring)?).await?)
    }

    /// A store that a test has filled.
    #[cfg(test)]
    pub(crate) fn for_test(store: Arc<dyn Store>, ring: Arc<Ring>, kek: Kek) -> Self {
        Self { store, ring, kek: Arc::new(kek) }
    }
}

/// Whether anything was ever written to it.
///
/// Attack: a store whose ring was removed would begin anew, and nobody would ask for what can no longer be proved.
async fn is_used(store: &dyn Store) -> Result<bool, StoreError> {
    // A process that makes the ring begins its chain before that, and may have died there.
    let written = store.heads().await?.iter().any(|head| head.seq > 0);
    Ok(written || store.seal().await?.is_some() || store.last_checkpoint().await?.is_some())
}

/// Makes the ring keys that are not there: all of them in an empty store, which then says what its seal key is, and in one
/// that an older version has made, those of newer purposes.
async fn complete(
    store: &dyn Store,
    mut rows: Vec<RingRow>,
    said: Option<SealRow>,
    missing: &[Purpose],
    kek: &Kek,
) -> anyhow::Result<()> {
    let now = now();
    let one = |purpose: &Purpose| Ring::generate_one(kek, &KeyEntropy, now, *purpose, 1, RingState::Active);
    let made = missing.iter().map(one).collect::<Result<Vec<_>, _>>()?;
    let is_new = rows.is_empty();
    rows.extend(made.iter().cloned());
    store.begin(new_chain(&Ring::open(&rows, kek)?)?).await?;
    let mut changes = vec![Change::AddRing(made)];
    if is_new && said.is_none() {
        changes.push(Change::SwapSeal { old: None, new: kek.row(now)? });
    }
    let names: Vec<_> = missing.iter().map(|purpose| purpose.name()).collect();
    match store.change(changes, change(None, "ring.generate", &names.join(" "))).await {
        // Another process has just done the same, and its keys are the ones that count.
        Ok(()) | Err(StoreError::Conflict(_)) => Ok(()),
        Err(fault) => Err(fault.into()),
    }
}

/// A new chain of records for this process, under the key of the ring that chains now.
pub(super) fn new_chain(ring: &Ring) -> anyhow::Result<Chain> {
    Chain::begin(ring, random_uuid(&KeyEntropy)).context("the ring has no record key")
}

#[cfg(test)]
mod tests;
