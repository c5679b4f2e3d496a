//! The two slots of one issuer.

use daypass_core::root::{RootRow, RootState, Slot};
use daypass_core::store::{Store, StoreError};

/// What is in them.
pub(crate) struct Slots {
    issuer: String,
    rows: Vec<RootRow>,
}

impl Slots {
    /// As the store has them now.
    pub(crate) async fn of(store: &dyn Store, issuer: &str) -> Result<Self, StoreError> {
        let mut rows = store.roots().await?;
        rows.retain(|row| row.issuer == issuer);
        rows.sort_by_key(|row| row.slot);
        Ok(Self { issuer: issuer.to_owned(), rows })
    }

    /// The key in this state. There is one at the most: two slots hold at the most one of each.
    pub(super) fn state(&self, state: RootState) -> Option<&RootRow> {
        self.rows.iter().find(|row| row.state == state)
    }

    /// The key in this slot.
    pub(super) fn in_slot(&self, slot: Slot) -> Option<&RootRow> {
        self.rows.iter().find(|row| row.slot == slot)
    }

    /// The slot that a new key can have, or why there is none.
    pub(super) fn free(&self) -> Result<Slot, String> {
        let free = Slot::ALL.into_iter().find(|slot| self.in_slot(*slot).is_none());
        // The first key of an issuer that was not taken, or whose command was killed before it was promoted: of two that wait
        // nobody could say which one is meant.
        if free.is_some()
            && let Some(RootRow { id, slot, .. }) = self.state(RootState::Staged)
        {
            let (issuer, slot) = (&self.issuer, slot.name());
            return Err(format!(
                "`{id}` is staged in slot {slot} of `{issuer}` already: daypass root-key promote {issuer}, or, if it is not the \
                 right one, daypass root-key drop {issuer}"
            ));
        }
        free.ok_or_else(|| {
            let taken: Vec<_> = self
                .rows
                .iter()
                .map(|row| format!("slot {} has `{}` ({})", row.slot.name(), row.id, row.state.name()))
                .collect();
            format!(
                "both slots of `{}` are taken: {}; first: daypass root-key drop {}",
                self.issuer,
                taken.join(", "),
                self.issuer
            )
        })
    }

    /// Which key goes where nothing is said: the one that does not work.
    pub(super) fn to_drop(&self, slot: Option<Slot>) -> Result<&RootRow, String> {
        let idle = || self.rows.iter().find(|row| row.state != RootState::Active);
        let row = match slot {
            Some(slot) => self.in_slot(slot),
            None => idle().or_else(|| self.rows.first()),
        };
        row.ok_or_else(|| self.nothing(slot))
    }

    /// That there is no key there.
    pub(super) fn nothing(&self, slot: Option<Slot>) -> String {
        match slot {
            Some(slot) => format!("slot {} of `{}` is empty", slot.name(), self.issuer),
            None => format!("the store has no root key of `{}`", self.issuer),
        }
    }
}
