//! The life of a root key: staged, proved, promoted, rolled back and dropped, each step one change with one record.
//!
//! A key is believed when the cloud has answered a call that was made with it, and not before.

mod slots;
#[cfg(test)]
pub(crate) mod tests;

pub(crate) use slots::Slots;

use crate::app::{Ambient, Opened, change_at};
use daypass_core::clock::{Timestamp, rfc3339};
use daypass_core::record::Record;
use daypass_core::root::{RootRow, RootState, Slot};
use daypass_core::seal::SealFault;
use daypass_core::store::{Change, Store, StoreError};
use daypass_core::upstream::{Cloud as Kind, RootKey, Upstream};
use daypass_issuers::cloud::Cloud;
use daypass_issuers::fault::{Fault, FaultKind};
use std::sync::Arc;

/// Why a step was not taken, or was taken back.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotTaken {
    /// The slots are not in a state for it.
    #[error("{0}")]
    Refused(String),
    /// The cloud did not answer the key, and nothing was changed.
    #[error("{}: {}", .0, in_words(.1))]
    Cloud(&'static str, Fault),
    /// The cloud did not answer the key once it was the one that counts; what was there before counts again.
    #[error("the key was promoted, was then refused, and is rolled back: {}", in_words(.0))]
    RolledBack(Fault),
    /// The store did not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A key does not open, or could not be sealed.
    #[error("the root key: {0}")]
    Sealed(#[from] SealFault),
}

/// What a cloud had against a key, for operators and records. It names no secret: a fault holds none.
pub(crate) fn in_words(fault: &Fault) -> String {
    let code = fault.code.as_deref().map(|code| format!(" ({code})")).unwrap_or_default();
    format!("{}: {}{code}", fault.kind.label(), fault.why)
}

/// Whether it is the cloud that says no. Otherwise it could not be asked, or has trouble of its own.
pub(crate) fn says_no(fault: &Fault) -> bool {
    !fault.kind.passes() || matches!(fault.kind, FaultKind::Wrong | FaultKind::Clock)
}

/// Whether a key can be proved without harm. Where each new token kills the one before, a canary would kill the one in use.
pub(crate) fn provable(upstream: &Upstream) -> bool {
    !matches!(&upstream.cloud, Kind::OAuth(call) if call.one_live)
}

/// What a step came to.
#[derive(Debug)]
pub(crate) struct Taken {
    /// The key, as it is now.
    pub(crate) row: RootRow,
    /// The one that it took the place of, as it is now.
    pub(crate) before: Option<RootRow>,
    /// Whose key it is, where the cloud tells.
    pub(crate) account: Option<String>,
}

/// Where the root keys of one issuer are changed. The store must have been begun.
pub(crate) struct Desk<'a> {
    /// Where they are kept.
    pub(crate) opened: &'a Opened,
    /// The cloud that they are for.
    pub(crate) cloud: Arc<dyn Cloud>,
    /// Time and randomness.
    pub(crate) ambient: &'a Ambient,
}

impl Desk<'_> {
    fn issuer(&self) -> &str {
        &self.cloud.upstream().name
    }

    fn now(&self) -> Timestamp {
        let now = self.ambient.clock.now();
        Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now)
    }

    async fn slots(&self) -> Result<Slots, StoreError> {
        Slots::of(&*self.opened.store, self.issuer()).await
    }

    /// Asks the cloud something that only the right key is answered. Gives the account, where the cloud tells it; one other
    /// than the configured is a fault.
    pub(crate) async fn canary(&self, key: &RootKey) -> Result<Option<String>, Fault> {
        let mut once = [0; 16];
        self.ambient.entropy.fill(&mut once);
        self.cloud.canary(key, self.ambient.clock.now(), once).await
    }

    /// Whether the issuer has no key that makes calls, and none that waits to.
    pub(crate) async fn is_first(&self) -> Result<bool, StoreError> {
        let slots = self.slots().await?;
        Ok(slots.state(RootState::Active).is_none() && slots.state(RootState::Staged).is_none())
    }

    /// Seals a new key into the slot that is free.
    pub(crate) async fn stage(&self, key: &RootKey, expires: Option<Timestamp>) -> Result<RootRow, NotTaken> {
        let now = self.now();
        if expires.is_some_and(|end| end <= now) {
            return Err(NotTaken::Refused("the end of the key is in the past".to_owned()));
        }
        let slot = self.slots().await?.free().map_err(NotTaken::Refused)?;
        let entropy = &*self.ambient.entropy;
        let row = RootRow::stage(&self.opened.ring, entropy, self.issuer(), slot, key, expires, now)?;
        self.swap(vec![], vec![row.clone()], "root.stage", &row, None).await?;
        Ok(row)
    }

    /// Asks the cloud with a key that is in the store, and notes when it answered.
    pub(crate) async fn prove(&self, slot: Option<Slot>) -> Result<Taken, NotTaken> {
        let slots = self.slots().await?;
        let row = match slot {
            Some(slot) => slots.in_slot(slot),
            None => slots.state(RootState::Staged).or_else(|| slots.state(RootState::Active)),
        };
        let row = row.ok_or_else(|| NotTaken::Refused(slots.nothing(slot)))?;
        let account = self.ask(row).await?;
        let proved = RootRow { proved: Some(self.now()), ..row.clone() };
        self.swap(vec![row.clone()], vec![proved.clone()], "root.prove", &proved, None).await?;
        Ok(Taken { row: proved, before: None, account })
    }

    /// Proves the staged key and makes it the one that counts; then asks once more, with what the store now gives for calls,
    /// and takes everything back if that is not answered.
    pub(crate) async fn promote(&self) -> Result<Taken, NotTaken> {
        let slots = self.slots().await?;
        let staged = slots.state(RootState::Staged).ok_or_else(|| {
            let issuer = self.issuer();
            NotTaken::Refused(format!(
                "no root key of `{issuer}` is staged: daypass root-key stage {issuer} --from FILE"
            ))
        })?;
        let now = self.now();
        if let Some(end) = staged.expires.filter(|_| !staged.lasts(now)) {
            return Err(NotTaken::Refused(format!("the staged key has ended on {}", rfc3339(end))));
        }
        self.ask(staged).await?;
        let proved = if provable(self.cloud.upstream()) { Some(self.now()) } else { staged.proved };
        let old: Vec<_> = slots.state(RootState::Active).into_iter().chain([staged]).cloned().collect();
        let now = self.now();
        let row = RootRow { state: RootState::Active, since: now, proved, ..staged.clone() };
        let before = slots.state(RootState::Active);
        let before = before.map(|row| RootRow { state: RootState::Standby, since: now, ..row.clone() });
        let new: Vec<_> = before.iter().chain([&row]).cloned().collect();
        self.swap(old.clone(), new.clone(), "root.promote", &row, None).await?;
        match self.ask_as_a_node_does().await {
            Ok(account) => Ok(Taken { row, before, account }),
            Err(NotTaken::Cloud(_, fault)) => {
                let back = |old: RootRow| RootRow { since: now, proved: None, ..old };
                let back = old.into_iter().map(|row| match row.state {
                    RootState::Staged => back(row),
                    _ => RootRow { since: now, ..row },
                });
                self.swap(new, back.collect(), "root.rollback", &row, Some(in_words(&fault))).await?;
                Err(NotTaken::RolledBack(fault))
            }
            Err(other) => Err(other),
        }
    }

    /// Lets the key that stands by work again, and the one that works stand by.
    pub(crate) async fn rollback(&self, unasked: bool) -> Result<Taken, NotTaken> {
        let slots = self.slots().await?;
        let standby = slots.state(RootState::Standby).ok_or_else(|| {
            NotTaken::Refused(format!("no root key of `{}` stands by to go back to", self.issuer()))
        })?;
        let account = if unasked { None } else { self.ask(standby).await? };
        let now = self.now();
        let proved = if unasked || !provable(self.cloud.upstream()) { standby.proved } else { Some(now) };
        let active = slots.state(RootState::Active);
        let old: Vec<_> = active.into_iter().chain([standby]).cloned().collect();
        let row = RootRow { state: RootState::Active, since: now, proved, ..standby.clone() };
        let before = active.map(|row| RootRow { state: RootState::Standby, since: now, ..row.clone() });
        let new = before.iter().chain([&row]).cloned().collect();
        self.swap(old, new, "root.rollback", &row, None).await?;
        Ok(Taken { row, before, account })
    }

    async fn ask(&self, row: &RootRow) -> Result<Option<String>, NotTaken> {
        let key = row.open(&self.opened.ring)?;
        if !provable(self.cloud.upstream()) {
            return Ok(None);
        }
        let answer = self.canary(&key).await;
        answer.map_err(|fault| NotTaken::Cloud("the cloud does not answer this key", fault))
    }

    async fn ask_as_a_node_does(&self) -> Result<Option<String>, NotTaken> {
        let slots = self.slots().await?;
        match slots.state(RootState::Active) {
            Some(row) => self.ask(row).await,
            None => Err(StoreError::Conflict("the root keys have changed meanwhile".to_owned()).into()),
        }
    }

    async fn swap(
        &self,
        old: Vec<RootRow>,
        new: Vec<RootRow>,
        action: &str,
        row: &RootRow,
        why: Option<String>,
    ) -> Result<(), StoreError> {
        swap(&*self.opened.store, (old, new), action, row, why, self.now()).await
    }
}

/// Empties a slot. The issuer need not be configured any more, and no cloud is asked.
pub(crate) async fn drop_key(
    store: &dyn Store,
    issuer: &str,
    slot: Option<Slot>,
    force: bool,
    now: Timestamp,
) -> Result<RootRow, NotTaken> {
    let slots = Slots::of(store, issuer).await?;
    let row = slots.to_drop(slot).map_err(NotTaken::Refused)?;
    if row.state == RootState::Active && !force {
        return Err(NotTaken::Refused(format!(
            "the key `{}` in slot {} makes the calls: without it the roles of `{issuer}` are refused; promote another one \
             first, or --force",
            row.id,
            row.slot.name()
        )));
    }
    let row = row.clone();
    swap(store, (vec![row.clone()], vec![]), "root.drop", &row, None, now).await?;
    Ok(row)
}

async fn swap(
    store: &dyn Store,
    (old, new): (Vec<RootRow>, Vec<RootRow>),
    action: &str,
    row: &RootRow,
    why: Option<String>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let record = change_at(now, None, action, &name(row));
    store.change(vec![Change::SwapRoots { old, new }], Record { why, ..record }).await
}

/// What a record calls a root key: issuer, slot and the cloud's own id of it.
pub(crate) fn name(row: &RootRow) -> String {
    format!("{} {} {}", row.issuer, row.slot.name(), row.id)
}
