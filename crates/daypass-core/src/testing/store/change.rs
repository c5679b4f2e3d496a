//! What each change does to a store in memory.

use super::Inner;
use crate::client::Key;
use crate::cutoff::Cutoff;
use crate::record::Point;
use crate::ring::RingRow;
use crate::root::RootRow;
use crate::store::{Change, StoreError};
use std::collections::HashSet;
use uuid::Uuid;

impl Inner {
    /// Makes one change. Where it cannot be made, nothing after it is either.
    pub(super) fn make(&mut self, change: Change) -> Result<(), StoreError> {
        self.changed.by(&change);
        match change {
            Change::PutClient(client) => {
                self.clients.retain(|c| c.guid != client.guid);
                self.clients.push(client);
            }
            Change::SwapClient { old, new } => {
                if old.guid != new.guid || !self.clients.contains(&old) {
                    return Err(StoreError::Conflict("the client has changed meanwhile".into()));
                }
                self.clients.retain(|client| client.guid != new.guid);
                self.clients.push(*new);
            }
            Change::ExpectKeys { client, keys } => self.expect_keys(client, &keys)?,
            Change::PutKey(key) => {
                self.keys.retain(|k| k.id != key.id);
                self.keys.push(key);
            }
            Change::SwapKeys { old, new } => self.swap_keys(&old, new)?,
            Change::SwapSeal { old, new } => {
                if self.seal != old {
                    return Err(StoreError::Conflict("the seal key has changed meanwhile".into()));
                }
                self.seal = Some(new);
            }
            Change::AddRing(rows) => {
                let same = |a: &RingRow, b: &RingRow| (a.purpose, a.version) == (b.purpose, b.version);
                if self.ring.iter().any(|old| rows.iter().any(|new| same(old, new))) {
                    return Err(StoreError::Conflict("the ring has this key already".into()));
                }
                self.ring.extend(rows);
            }
            Change::PutRing(rows) => {
                let same = |a: &RingRow, b: &RingRow| (a.purpose, a.version) == (b.purpose, b.version);
                self.ring.retain(|old| !rows.iter().any(|new| same(old, new)));
                self.ring.extend(rows);
            }
            Change::SwapRing { old, new } => {
                if !old.iter().all(|row| self.ring.contains(row)) {
                    return Err(StoreError::Conflict("the ring's keys have changed meanwhile".into()));
                }
                let same = |a: &RingRow, b: &RingRow| (a.purpose, a.version) == (b.purpose, b.version);
                self.ring.retain(|row| !old.contains(row) && !new.iter().any(|new| same(row, new)));
                self.ring.extend(new);
            }
            Change::SetClock(time) => self.clock = Some(time),
            Change::Cut(cutoff) => {
                self.cutoffs.retain(|old| old.scope != cutoff.scope || old.before > cutoff.before);
                if self.cutoffs.iter().all(|old| old.scope != cutoff.scope) {
                    self.recuts.push((cutoff.scope.clone(), Some(cutoff.before)));
                    self.cutoffs.push(cutoff);
                }
            }
            Change::Freeze(freeze) => {
                if self.freezes.iter().all(|old| old.place != freeze.place) {
                    self.freezes.push(freeze);
                }
            }
            Change::Thaw(place) => {
                let before = self.freezes.len();
                self.freezes.retain(|freeze| freeze.place != place);
                if self.freezes.len() == before {
                    return Err(StoreError::Conflict(format!("{place} is not frozen")));
                }
            }
            Change::SwapRoots { old, new } => {
                if !old.iter().all(|row| self.roots.contains(row)) {
                    return Err(StoreError::Conflict("the root keys have changed meanwhile".into()));
                }
                self.roots.retain(|row| !old.contains(row));
                let place = |row: &RootRow| (row.issuer.clone(), row.slot);
                if new.iter().any(|new| self.roots.iter().any(|row| place(row) == place(new))) {
                    return Err(StoreError::Conflict("the slot is taken".into()));
                }
                self.roots.extend(new);
            }
            Change::CutRecords { through, cuts } => {
                let gone = usize::try_from(through - self.removed()).unwrap_or_default();
                let before = self.proofs.base.as_ref().map_or(0, Point::seq);
                for cut in cuts {
                    if cut.before != before {
                        return Err(StoreError::Conflict("records were removed meanwhile".into()));
                    }
                    self.proofs.base = Some(cut.base);
                }
                let gone = gone.min(self.records.len());
                self.records.drain(..gone);
            }
            Change::Uncut(gone) => {
                let millis = |cutoff: &Cutoff| (cutoff.scope.clone(), cutoff.before.as_millisecond());
                let there: HashSet<_> = self.cutoffs.iter().map(millis).collect();
                if !gone.iter().all(|cutoff| there.contains(&millis(cutoff))) {
                    return Err(StoreError::Conflict("the cut-offs have changed meanwhile".into()));
                }
                self.cutoffs.retain(|old| gone.iter().all(|cutoff| cutoff.scope != old.scope));
                self.recuts.extend(gone.into_iter().map(|cutoff| (cutoff.scope, None)));
            }
        }
        Ok(())
    }

    fn expect_keys(&self, client: Uuid, keys: &[Key]) -> Result<(), StoreError> {
        let there: Vec<_> = self.keys.iter().filter(|key| key.client == client).collect();
        let found = |key: &Key| there.iter().any(|other| other.is_as(key));
        if there.len() == keys.len() && keys.iter().all(found) {
            return Ok(());
        }
        Err(StoreError::Conflict("the client's keys have changed meanwhile".into()))
    }

    fn swap_keys(&mut self, old: &[Key], new: Vec<Key>) -> Result<(), StoreError> {
        if !old.iter().all(|key| self.keys.contains(key)) {
            return Err(StoreError::Conflict("the keys have changed meanwhile".into()));
        }
        self.keys.retain(|key| new.iter().all(|new| new.id != key.id));
        self.keys.extend(new);
        Ok(())
    }
}
