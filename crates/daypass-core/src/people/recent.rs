//! What was asked for lately, as values.

use parking_lot::Mutex;
use std::sync::Arc;

/// How many values are kept at most. With the largest of them a few megabytes.
const MOST: usize = 4096;

/// From where in a table a value comes: a shard's number is never given again, so that one that has changed is another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Origin {
    pub(super) shard: u64,
    pub(super) row: usize,
}

/// A fixed number of places, in each of which the last value is whose hash leads there.
pub(super) struct Recent<T> {
    places: Box<[Spot<T>]>,
}

/// Where one value is, with where it comes from.
type Spot<T> = Mutex<Option<(Origin, Arc<T>)>>;

impl<T> std::fmt::Debug for Recent<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Recent({})", self.places.len())
    }
}

impl<T> Recent<T> {
    /// For a table of so many rows.
    pub(super) fn with_room(rows: usize) -> Self {
        Self { places: (0..room(rows)).map(|_| Mutex::new(None)).collect() }
    }

    /// Whether a table of so many rows should have more places.
    pub(super) fn is_small_for(&self, rows: usize) -> bool {
        self.places.len() < room(rows)
    }

    /// The value of this origin; if it is not here, it is made.
    pub(super) fn get(&self, hash: u64, origin: Origin, make: impl FnOnce() -> Option<T>) -> Option<Arc<T>> {
        // The lowest bits: the highest choose the shard.
        let place = usize::try_from(hash & u64::from(u32::MAX)).unwrap_or_default() & (self.places.len() - 1);
        let place = self.places.get(place)?;
        if let Some((of, value)) = &*place.lock()
            && *of == origin
        {
            return Some(value.clone());
        }
        // Not under the lock: to parse a public key takes its time.
        let value = Arc::new(make()?);
        *place.lock() = Some((origin, value.clone()));
        Some(value)
    }
}

/// How many places a table of so many rows has: twice as many, so that of a few hardly two share a place.
fn room(rows: usize) -> usize {
    rows.saturating_mul(2).checked_next_power_of_two().unwrap_or(MOST).clamp(16, MOST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_room_for_as_many_as_there_are_up_to_a_bound() {
        for (rows, places) in [(0, 16), (8, 16), (9, 32), (2048, MOST), (1_000_000, MOST), (usize::MAX, MOST)]
        {
            assert_eq!(Recent::<()>::with_room(rows).places.len(), places, "{rows}");
        }
        let recent = Recent::<()>::with_room(8);
        assert!(!recent.is_small_for(8) && recent.is_small_for(9));
        assert!(!Recent::<()>::with_room(1_000_000).is_small_for(usize::MAX));
    }
}
