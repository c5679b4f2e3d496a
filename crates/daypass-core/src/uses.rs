//! When each key was last used, so that an operator knows which of two is still needed.
//!
//! It is noted with every request that a key proves, so it costs one look-up under a lock that readers share, and
//! writes nothing more than once a second for a key. What is kept in the store is coarser: a time that is minutes old
//! answers the operator's question as well, and each of them is a commit.

use crate::caller::{Caller, Proof};
use crate::clock::Timestamp;
use parking_lot::RwLock;
use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};

/// How many maps there are. Ids are random, so that requests with different keys seldom meet at one lock.
const SHARDS: usize = 64;

/// How much later than the store knows a use must be before it is written again, in seconds. `client retire` asks for
/// a day without use, to which ten minutes are nothing.
pub const COARSE: i64 = 600;

/// The last use of every key that was used since this process began. There are never more of them than clients have
/// keys: only a proof that was right is noted.
pub struct Uses {
    shards: [RwLock<HashMap<String, Use>>; SHARDS],
}

/// In seconds since the epoch.
struct Use {
    last: AtomicI64,
    /// What the store knows of this process; none before the first time.
    stored: AtomicI64,
}

/// Before every time.
const NEVER: i64 = i64::MIN;

impl Default for Uses {
    fn default() -> Self {
        Self { shards: std::array::from_fn(|_| RwLock::default()) }
    }
}

impl Uses {
    /// Notes that this caller has proved itself. Whoever holds a temporary credential, or is known by someone else's
    /// word, used no key of a client.
    pub(crate) fn note(&self, caller: &Caller, at: Timestamp) {
        match caller.proof() {
            Proof::Key { key, .. } => self.note_key(key, at),
            Proof::Visitor(visitor) => {
                if let Some((pass, _)) = &visitor.ticket {
                    self.note_key(&pass.key, at);
                }
            }
            Proof::Temporary { .. } | Proof::Outside(_) => {}
        }
    }

    fn note_key(&self, key: &str, at: Timestamp) {
        let (shard, second) = (self.shard(key), at.as_second());
        if let Some(used) = shard.read().get(key) {
            // Read first: a write takes the line of memory away from every other core.
            if used.last.load(Ordering::Relaxed) < second {
                used.last.fetch_max(second, Ordering::Relaxed);
            }
            return;
        }
        let new = || Use { last: AtomicI64::new(second), stored: AtomicI64::new(NEVER) };
        shard.write().entry(key.to_owned()).or_insert_with(new).last.fetch_max(second, Ordering::Relaxed);
    }

    fn shard(&self, key: &str) -> &RwLock<HashMap<String, Use>> {
        let sum = key.bytes().fold(0_usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
        // An index modulo the length is always there.
        self.shards.get(sum % SHARDS).unwrap_or_else(|| &self.shards[0])
    }

    /// What the store should know now: the uses of keys that it has not heard of from this process, and those that are
    /// [`COARSE`] later than what it has.
    pub fn due(&self) -> Vec<(String, Timestamp)> {
        self.later_by(COARSE)
    }

    /// Everything that the store does not know, for the end of the process.
    pub fn rest(&self) -> Vec<(String, Timestamp)> {
        self.later_by(1)
    }

    fn later_by(&self, seconds: i64) -> Vec<(String, Timestamp)> {
        let mut due = Vec::new();
        for shard in &self.shards {
            for (key, used) in &*shard.read() {
                let (last, stored) = (used.last.load(Ordering::Relaxed), used.stored.load(Ordering::Relaxed));
                if (stored == NEVER || last.saturating_sub(stored) >= seconds)
                    && let Ok(at) = Timestamp::from_second(last)
                {
                    due.push((key.clone(), at));
                }
            }
        }
        due
    }

    /// Says that the store knows these.
    pub fn stored(&self, uses: &[(String, Timestamp)]) {
        for (key, at) in uses {
            if let Some(used) = self.shard(key).read().get(key) {
                used.stored.fetch_max(at.as_second(), Ordering::Relaxed);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::caller::{Visitor, Way};
    use crate::clock::after;
    use crate::testing::{START, World};
    use std::sync::Arc;

    fn seconds(due: Vec<(String, Timestamp)>) -> Vec<(String, i64)> {
        let mut due: Vec<_> =
            due.into_iter().map(|(key, at)| (key, at.as_second() - START.as_second())).collect();
        due.sort();
        due
    }

    #[test]
    fn a_use_is_due_at_once_and_then_every_ten_minutes() {
        let uses = Uses::default();
        assert_eq!(seconds(uses.rest()), []);
        uses.note_key("a", START);
        assert_eq!(seconds(uses.due()), [("a".into(), 0)]);
        assert_eq!(seconds(uses.due()), [("a".into(), 0)], "until the store has it");
        uses.stored(&uses.due());
        uses.note_key("a", after(START, 599));
        uses.note_key("a", after(START, 17));
        assert_eq!(seconds(uses.due()), []);
        assert_eq!(seconds(uses.rest()), [("a".into(), 599)], "but at the end");
        uses.note_key("a", after(START, 600));
        uses.note_key("b", after(START, 1));
        assert_eq!(seconds(uses.due()), [("a".into(), 600), ("b".into(), 1)]);
        uses.stored(&uses.due());
        assert_eq!(seconds(uses.rest()), []);
    }

    /// The clock is set back: what was noted stays, and a store that is asked about it is not filled with the past.
    #[test]
    fn an_earlier_use_changes_nothing() {
        let uses = Uses::default();
        uses.note_key("a", after(START, 1000));
        uses.stored(&uses.due());
        uses.note_key("a", START);
        assert_eq!((seconds(uses.due()), seconds(uses.rest())), (vec![], vec![]));
    }

    #[test]
    fn a_visitor_without_a_ticket_uses_no_key() {
        let (uses, world) = (Uses::default(), World::new());
        uses.note(&world.caller("AKIDworld"), START);
        let endpoint = world.plan.endpoints[0].clone();
        let visitor = Visitor { endpoint, way: Way::Anonymous, subject: None, ticket: None };
        let visitor = Proof::Visitor(Box::new(visitor));
        uses.note(&Caller::for_test(world.plan.tenants[0].clone(), visitor), START);
        assert_eq!(seconds(uses.due()), [("AKIDworld".into(), 0)]);
    }

    #[test]
    fn many_at_once_lose_none() {
        let uses = Arc::new(Uses::default());
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let uses = uses.clone();
                scope.spawn(move || {
                    for n in 0..1000_u32 {
                        uses.note_key(&format!("key-{}", n % 100), after(START, n + thread));
                    }
                });
            }
        });
        let due = seconds(uses.due());
        assert_eq!(due.len(), 100);
        assert_eq!(due.iter().map(|(_, at)| *at).max(), Some(1002));
        assert!(due.iter().all(|(_, at)| *at >= 903), "{due:?}");
    }
}
