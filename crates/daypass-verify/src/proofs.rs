//! The DPoP proofs that were seen.

use crate::rejected::Rejected;
use aws_lc_rs::digest::{SHA256, digest};
use std::collections::HashSet;
use std::time::Duration;

/// Remembers proofs for at least as long as one could be shown again. Two sets take turns, so that forgetting costs
/// nothing for each.
///
/// Only what was right in every other way comes here, so a stranger can fill nothing. When it is full it refuses rather
/// than forgets: whoever wants a proof accepted twice could otherwise push it out.
pub(crate) struct Proofs {
    most: usize,
    keep: Duration,
    turned: Duration,
    young: HashSet<[u8; 16]>,
    old: HashSet<[u8; 16]>,
}

impl Proofs {
    /// Remembers at most so many, each for at least so long.
    pub(crate) fn new(most: usize, keep: Duration) -> Self {
        Self { most, keep, turned: Duration::ZERO, young: HashSet::new(), old: HashSet::new() }
    }

    /// Takes note of a proof: its key's thumbprint and its `jti`.
    pub(crate) fn spend(&mut self, key: &str, id: &str, now: Duration) -> Result<(), Rejected> {
        match now.checked_sub(self.turned) {
            Some(since) if since < self.keep => {}
            Some(since) => {
                let young = std::mem::take(&mut self.young);
                // After two turns in which nobody came, the young ones are too old as well.
                self.old = if since < self.keep * 2 { young } else { HashSet::new() };
                self.turned = now;
            }
            // The clock was set back: everything is kept for longer.
            None => self.turned = now,
        }
        // The thumbprint has no line break, so the two cannot run into each other.
        let mark = digest(&SHA256, format!("{key}\n{id}").as_bytes());
        let Some(mark) = mark.as_ref().first_chunk::<16>() else {
            return Err(Rejected::Unavailable("no hash of the proof could be made".to_owned()));
        };
        if self.young.contains(mark) || self.old.contains(mark) {
            return Err(Rejected::Proof("it was used before"));
        }
        if self.young.len() + self.old.len() >= self.most {
            return Err(Rejected::Unavailable("more DPoP proofs came than can be remembered".to_owned()));
        }
        self.young.insert(*mark);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEEP: Duration = Duration::from_mins(2);
    const NOW: Duration = Duration::from_hours(500_000);

    fn at(seconds: u64) -> Duration {
        NOW + Duration::from_secs(seconds)
    }

    #[test]
    fn a_proof_is_used_once_for_as_long_as_it_could_be_shown() {
        for first in [0, 1, 60, 119, 120, 150] {
            let mut proofs = Proofs::new(10, KEEP);
            assert_eq!(proofs.spend("k", "other", NOW), Ok(()));
            assert_eq!(proofs.spend("k", "a", at(first)), Ok(()));
            for later in [0, 1, 60, 119] {
                let again = proofs.spend("k", "a", at(first + later));
                assert_eq!(again, Err(Rejected::Proof("it was used before")), "{first} + {later}");
            }
        }
    }

    #[test]
    fn another_key_may_use_the_same_id() {
        let mut proofs = Proofs::new(10, KEEP);
        assert_eq!(proofs.spend("k", "a", NOW), Ok(()));
        assert_eq!(proofs.spend("l", "a", NOW), Ok(()));
    }

    #[test]
    fn memory_is_bounded_and_comes_back() {
        let mut proofs = Proofs::new(3, KEEP);
        for id in ["a", "b", "c"] {
            assert_eq!(proofs.spend("k", id, NOW), Ok(()));
        }
        assert!(matches!(proofs.spend("k", "d", NOW), Err(Rejected::Unavailable(_))));
        assert_eq!(
            proofs.spend("k", "a", NOW),
            Err(Rejected::Proof("it was used before")),
            "nothing was pushed out"
        );
        assert!(
            matches!(proofs.spend("k", "d", at(120)), Err(Rejected::Unavailable(_))),
            "they are kept one more turn"
        );
        assert_eq!(proofs.spend("k", "d", at(240)), Ok(()));
    }

    #[test]
    fn after_a_long_pause_all_is_forgotten() {
        let mut proofs = Proofs::new(1, KEEP);
        assert_eq!(proofs.spend("k", "a", NOW), Ok(()));
        assert_eq!(proofs.spend("k", "a", at(100_000)), Ok(()));
    }

    #[test]
    fn a_clock_that_was_set_back_forgets_nothing() {
        let mut proofs = Proofs::new(10, KEEP);
        assert_eq!(proofs.spend("k", "a", at(1000)), Ok(()));
        assert!(proofs.spend("k", "a", NOW).is_err());
        assert!(proofs.spend("k", "a", at(119)).is_err());
    }
}
