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
        // Twice as many, so that of a few hardly two share a place.
        let places = (rows * 2).next_power_of_two().clamp(16, MOST);
        Self { places: (0..places).map(|_| Mutex::new(None)).collect() }
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
