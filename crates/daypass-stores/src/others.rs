//! The replay marks that other writers recorded, as a writer remembers them.
//!
//! A mark has no index. What a process recorded itself, its pipeline remembers; what others recorded within the window is loaded
//! once when the process begins to write, and from then on each transaction looks only at rows that others have added since. How
//! they are read is each backend's own.

use daypass_core::replay::{Mark, WINDOW};
use std::collections::HashMap;

const WINDOW_MILLIS: i64 = WINDOW as i64 * 1000;

/// How often marks that have left the window are thrown out, in milliseconds of the records' time.
const SWEEP: i64 = WINDOW_MILLIS / 4;

/// Marks of other writers, with the time each was first recorded.
pub(crate) struct Others {
    number: i64,
    first: HashMap<Mark, i64>,
    /// Every record at or after this time has been looked at.
    from: i64,
    swept: i64,
}

impl Others {
    /// The others than the writer of this number; nothing is loaded yet.
    pub(crate) fn than(number: i64) -> Self {
        Self { number, first: HashMap::new(), from: i64::MAX, swept: i64::MIN }
    }

    /// The number of the writer whose own marks are none of these.
    pub(crate) fn number(&self) -> i64 {
        self.number
    }

    /// From when on records must be looked at, so that every mark within the window before `at` is known. None unless the time
    /// goes back.
    pub(crate) fn uncovered(&self, at: i64) -> Option<i64> {
        let from = at.saturating_sub(WINDOW_MILLIS);
        (from < self.from).then_some(from)
    }

    /// Every record at or after this time has been looked at.
    pub(crate) fn covered(&mut self, from: i64) {
        self.from = from;
    }

    /// Takes up a mark that was recorded at this time.
    pub(crate) fn add(&mut self, mark: Mark, at: i64) {
        self.first.entry(mark).and_modify(|first| *first = at.min(*first)).or_insert(at);
    }

    /// When another writer first recorded this mark, if that was within the window before `at`.
    pub(crate) fn seen(&mut self, mark: &Mark, at: i64) -> Option<i64> {
        if self.first.is_empty() {
            return None;
        }
        let end = at.saturating_sub(WINDOW_MILLIS);
        if at.saturating_sub(SWEEP) > self.swept {
            self.first.retain(|_, first| *first >= end);
            self.from = self.from.max(end);
            self.swept = at;
        }
        self.first.get(mark).copied().filter(|first| *first >= end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Mark = [1; 16];

    #[test]
    fn a_mark_is_seen_from_its_first_time_until_the_window_is_over() {
        let mut others = Others::than(7);
        assert_eq!(others.seen(&ONE, 0), None);
        others.add(ONE, 2_000);
        others.add(ONE, 1_000);
        others.add(ONE, 3_000);
        assert_eq!(others.seen(&ONE, 1_000 + WINDOW_MILLIS), Some(1_000));
        assert_eq!(others.seen(&ONE, 1_001 + WINDOW_MILLIS), None);
        assert_eq!(others.seen(&[2; 16], 1_000), None);
    }

    #[test]
    fn what_was_looked_at_is_asked_for_once_and_again_when_the_time_goes_back() {
        let mut others = Others::than(7);
        let from = others.uncovered(10 * WINDOW_MILLIS).unwrap();
        assert_eq!(from, 9 * WINDOW_MILLIS);
        others.covered(from);
        assert_eq!(others.uncovered(10 * WINDOW_MILLIS), None);
        assert_eq!(others.uncovered(11 * WINDOW_MILLIS), None);
        assert_eq!(others.uncovered(10 * WINDOW_MILLIS - 1), Some(from - 1));
    }

    /// What was thrown out is not known any more: it must be looked at anew if the time goes back.
    #[test]
    fn what_was_thrown_out_is_not_taken_for_known() {
        let mut others = Others::than(7);
        others.covered(0);
        others.add(ONE, 0);
        let late = 5 * WINDOW_MILLIS;
        assert_eq!(others.seen(&ONE, late), None);
        assert_eq!(others.uncovered(WINDOW_MILLIS), Some(0));
        others.add(ONE, 0);
        assert_eq!(others.seen(&ONE, WINDOW_MILLIS), Some(0));
    }
}
