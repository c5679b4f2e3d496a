//! What a running node makes of a ring that was changed by others, of which it may not be able to open everything.
//!
//! A node whose seal key is behind the others' meets keys that it cannot open. It must go on hearing of revocations, and it
//! still holds every key that it has opened before: so it keeps those, purpose by purpose, and says that it is behind. A
//! key that is destroyed is destroyed for it as well.

use super::{Entry, Kek, Purpose, Ring, RingRow, RingState, Stage};
use std::collections::BTreeMap;

impl Ring {
    /// The ring that comes after this one, where these are the stored keys now. Unlike [`Ring::open`] it never fails: of a
    /// purpose of which not everything opens, the keys stay as they were.
    #[must_use]
    pub fn follow(&self, rows: &[RingRow], kek: &Kek) -> Self {
        let (keys, active) = (BTreeMap::new(), BTreeMap::new());
        let mut next = Self { keys, active, stages: Vec::new(), unopened: Vec::new() };
        for &purpose in Purpose::ALL {
            let mut mine: Vec<_> = rows.iter().filter(|row| row.purpose == purpose).collect();
            mine.sort_by_key(|row| row.version);
            match opened(&mine, kek) {
                Ok(opened) => next.take(&mine, opened),
                Err(unopened) => {
                    next.unopened.extend(unopened);
                    next.keep(self, purpose, &mine);
                }
            }
        }
        next
    }

    /// Takes the keys of a purpose that were all opened.
    fn take(&mut self, rows: &[&RingRow], opened: Vec<Entry>) {
        self.stages.extend(rows.iter().map(|row| row.stage()));
        for (row, entry) in rows.iter().filter(|row| row.is_kept()).zip(opened) {
            if row.state == RingState::Active {
                self.active.insert(row.purpose, row.version);
            }
            self.keys.insert((row.purpose, row.version), entry);
        }
    }

    /// Keeps the keys of a purpose as they were, but for those that are destroyed.
    fn keep(&mut self, before: &Self, purpose: Purpose, rows: &[&RingRow]) {
        let kept = |version: u32| rows.iter().any(|row| row.version == version && row.is_kept());
        let mine = before.stages.iter().filter(|stage| stage.purpose == purpose);
        self.stages.extend(mine.filter(|stage| kept(stage.version)));
        for ((_, version), entry) in before.keys.range((purpose, 0)..=(purpose, u32::MAX)) {
            if kept(*version) {
                self.keys.insert((purpose, *version), entry.clone());
            }
        }
        let active = before.active.get(&purpose).filter(|version| kept(**version));
        self.active.extend(active.map(|version| (purpose, *version)));
    }

    /// The stored keys that this process cannot open: its seal key is behind, or they were changed. As long as there are
    /// any, it cannot be started again.
    pub fn unopened(&self) -> &[Stage] {
        &self.unopened
    }

    /// Whether the keys of this purpose are as they were before, because of those now stored some do not open.
    pub fn is_behind(&self, purpose: Purpose) -> bool {
        self.unopened.iter().any(|stage| stage.purpose == purpose)
    }
}

/// The keys of one purpose, or those of them that do not open. If none is active, or two, none of them is to be believed.
fn opened(rows: &[&RingRow], kek: &Kek) -> Result<Vec<Entry>, Vec<Stage>> {
    let (mut all, mut unopened) = (Vec::new(), Vec::new());
    for row in rows.iter().filter(|row| row.is_kept()) {
        match Entry::of(row, kek) {
            Ok(entry) => all.push(entry),
            Err(_) => unopened.push(row.stage()),
        }
    }
    let single = rows.iter().filter(|row| row.state == RingState::Active).count() == 1;
    match (unopened.is_empty(), single) {
        (true, true) => Ok(all),
        (true, false) => Err(rows.iter().map(|row| row.stage()).collect()),
        (false, _) => Err(unopened),
    }
}

#[cfg(test)]
mod tests;
