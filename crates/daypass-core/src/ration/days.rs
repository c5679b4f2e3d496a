//! Daily quotas: what this node has counted, and what it knows of the others.

use super::held::Held;
use super::{COUNTS, Full, Share, Told, day_of};
use crate::clock::Timestamp;
use crate::replay::Mark;
use std::collections::HashMap;
use std::collections::hash_map::Entry;

/// The most names of one day. They are not swept as rates are, because a day lasts for a day. A test need not wait for so many.
const NAMES: usize = if cfg!(test) { 1000 } else { 10 * COUNTS };

/// Counts of the running day.
#[derive(Default)]
pub(super) struct Days {
    day: i64,
    counts: HashMap<Mark, Count>,
    /// Of what this process was asked for; what it has heard of others stands for no tenant.
    held: Held,
}

#[derive(Default)]
struct Count {
    /// What this process has counted.
    own: u64,
    /// What the store has of that.
    stored: u64,
    /// What the store had of all other processes when it was last asked.
    others: u64,
    told: Told,
}

/// What the store is to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// The UTC day, counted from 1970.
    pub day: i64,
    /// All that this process has counted on it so far, of each name whose count has changed.
    pub counts: Vec<(Mark, u64)>,
}

impl Days {
    /// Takes up the day of this instant. Around midnight, a request that began before it may come after one that began
    /// later; a clock that goes back by more than that has been set.
    fn turn_to(&mut self, now: Timestamp) {
        let day = day_of(now);
        if day != self.day && day != self.day - 1 {
            *self = Self { day, ..Self::default() };
        }
    }

    fn of(&mut self, share: &Share) -> &mut Count {
        let mark = share.mark();
        let full =
            self.counts.len() >= NAMES && !self.counts.contains_key(&mark) && !self.held.admits(share, NAMES);
        let late = if full { share.late().map(|late| late.mark()) } else { None };
        match self.counts.entry(late.unwrap_or(mark)) {
            Entry::Occupied(there) => there.into_mut(),
            Entry::Vacant(free) => {
                if late.is_none() {
                    self.held.add(share);
                }
                free.insert(Count::default())
            }
        }
    }

    pub(super) fn count(&mut self, share: &Share, daily: u64, now: Timestamp) -> Result<(), Full> {
        self.turn_to(now);
        let midnight = (self.day + 1).saturating_mul(86_400);
        let count = self.of(share);
        if count.own.saturating_add(count.others) >= daily {
            let seconds = u32::try_from(midnight.saturating_sub(now.as_second())).unwrap_or(u32::MAX);
            return Err(Full { seconds: seconds.max(1), news: count.told.now(now) });
        }
        count.own += 1;
        Ok(())
    }

    pub(super) fn uncount(&mut self, share: &Share, at: Timestamp) {
        if day_of(at) == self.day || day_of(at) == self.day - 1 {
            let count = self.of(share);
            count.own = count.own.saturating_sub(1);
        }
    }

    pub(super) fn due(&mut self, now: Timestamp) -> Option<Due> {
        self.turn_to(now);
        let changed = self.counts.iter().filter(|(_, count)| count.own != count.stored);
        let mut counts: Vec<_> = changed.map(|(mark, count)| (*mark, count.own)).collect();
        counts.sort_unstable();
        (!counts.is_empty()).then_some(Due { day: self.day, counts })
    }

    pub(super) fn noted(&mut self, due: &Due, others: &[(Mark, u64)]) {
        if due.day != self.day {
            return;
        }
        for (mark, own) in &due.counts {
            self.counts.entry(*mark).or_default().stored = *own;
        }
        self.learn(others);
    }

    pub(super) fn begin(&mut self, day: i64, others: &[(Mark, u64)]) {
        if day != self.day {
            *self = Self { day, ..Self::default() };
        }
        self.learn(others);
    }

    fn learn(&mut self, others: &[(Mark, u64)]) {
        for (mark, sum) in others {
            let count = self.counts.entry(*mark).or_default();
            // A smaller one is older: nobody counts down what the store has.
            count.others = count.others.max(*sum);
        }
    }
}
