//! Equal parts of something that there is only so much of at one time.
//!
//! As long as there is some left, whoever comes gets one, however much it has already: nothing lies idle. When all is taken,
//! each of those who have some keeps an equal part: one who has less gets more, at once and without waiting for the others
//! to give back; one who has its part or more gets nothing. So a flood of one takes what the others leave and nothing else.
//! If all flood, one after the other, more than the whole is under way until what the first ones have is given back: with ten
//! of them three times as much, and with a hundred five times.

use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use uuid::Uuid;

/// Who shares a part: a tenant, by its guid, or all those of whom it is not known.
pub type Group = Option<Uuid>;

/// The count of what is taken.
#[derive(Default)]
pub struct Parts {
    taken: Mutex<Taken>,
    /// The same as in there, for whoever only looks whether there is room: the common case needs no lock for it.
    total: AtomicUsize,
}

#[derive(Default)]
struct Taken {
    total: usize,
    /// Only of those who have some.
    by: HashMap<Group, usize>,
}

/// One of it; it counts until this is dropped.
pub struct Part {
    parts: Arc<Parts>,
    group: Group,
}

impl Taken {
    fn admits(&self, group: Group, most: usize) -> bool {
        if self.total < most {
            return true;
        }
        let own = self.by.get(&group).copied();
        let groups = self.by.len() + usize::from(own.is_none());
        own.unwrap_or_default() < (most / groups.max(1)).max(1)
    }
}

impl Parts {
    /// Whether one of this group would get one now, where there are so many.
    pub fn admits(&self, group: Group, most: usize) -> bool {
        self.total.load(Ordering::Relaxed) < most || self.taken.lock().admits(group, most)
    }

    /// Takes one, if there is one for this group.
    pub fn enter(self: &Arc<Self>, group: Group, most: usize) -> Option<Part> {
        let mut taken = self.taken.lock();
        if !taken.admits(group, most) {
            return None;
        }
        taken.total += 1;
        self.total.store(taken.total, Ordering::Relaxed);
        *taken.by.entry(group).or_default() += 1;
        Some(Part { parts: self.clone(), group })
    }

    /// How many are taken.
    pub fn taken(&self) -> usize {
        self.total.load(Ordering::Relaxed)
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        let mut taken = self.parts.taken.lock();
        taken.total = taken.total.saturating_sub(1);
        self.parts.total.store(taken.total, Ordering::Relaxed);
        if let Some(own) = taken.by.get_mut(&self.group) {
            *own = own.saturating_sub(1);
            if *own == 0 {
                taken.by.remove(&self.group);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const A: Group = Some(Uuid::from_u128(1));
    const B: Group = Some(Uuid::from_u128(2));

    fn fill(parts: &Arc<Parts>, group: Group, most: usize) -> Vec<Part> {
        std::iter::from_fn(|| parts.enter(group, most)).collect()
    }

    #[test]
    fn one_alone_has_everything_and_leaves_the_others_their_part() {
        let parts = Arc::new(Parts::default());
        let a = fill(&parts, A, 10);
        assert_eq!(a.len(), 10);
        let b = fill(&parts, B, 10);
        assert_eq!(b.len(), 5, "half, although all is taken");
        let nobody = fill(&parts, None, 10);
        assert_eq!(nobody.len(), 3);
        assert!(!parts.admits(A, 10) && !parts.admits(B, 10) && !parts.admits(None, 10));
        assert_eq!(parts.taken(), 18);
        drop(a);
        assert_eq!(fill(&parts, B, 10).len(), 2, "up to the whole again");
        drop((b, nobody));
        assert_eq!(parts.taken(), 0);
        assert!(parts.taken.lock().by.is_empty(), "nothing is kept of who was here");
        assert!(parts.admits(B, 0), "each has one at least");
    }

    proptest! {
        /// Whoever comes and goes: a group below its part is never refused, and the whole stays bounded.
        #[test]
        fn a_part_is_never_refused(
            most in 1..40_usize,
            steps in prop::collection::vec(
                (0..5_u128, prop::bool::weighted(0.7), any::<prop::sample::Index>()),
                1..400,
            ),
        ) {
            let parts = Arc::new(Parts::default());
            let mut taken: Vec<(u128, Part)> = Vec::new();
            for (group, comes, which) in steps {
                if comes {
                    let own = taken.iter().filter(|(of, _)| *of == group).count();
                    let mut groups: Vec<_> = taken.iter().map(|(of, _)| *of).chain([group]).collect();
                    groups.sort_unstable();
                    groups.dedup();
                    let entered = parts.enter(Some(Uuid::from_u128(group)), most);
                    if own < most / groups.len() || taken.len() < most {
                        prop_assert!(entered.is_some());
                    }
                    taken.extend(entered.map(|one| (group, one)));
                } else if !taken.is_empty() {
                    taken.swap_remove(which.index(taken.len()));
                }
                prop_assert_eq!(parts.taken(), taken.len());
                // The whole, its half, its third: of five, less than two and a half times as much.
                prop_assert!(taken.len() <= most * 5 / 2 + 5);
            }
        }
    }
}
