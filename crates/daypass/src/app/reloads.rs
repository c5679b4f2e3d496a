//! What became of reloads of the configuration, for those who watch this node.

use daypass_core::clock::Timestamp;
use parking_lot::Mutex;

/// How often, and how the last one ended.
pub(crate) struct Reloads(Mutex<Tally>);

/// The same at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tally {
    /// How many have put another configuration in force.
    pub(crate) done: u64,
    /// How many have changed nothing.
    pub(crate) refused: u64,
    /// How many of those since the last one that did.
    pub(crate) lately: u64,
    /// When the configuration in force was read.
    pub(crate) since: Timestamp,
}

impl Reloads {
    /// Of a process that has read its configuration at this time.
    pub(crate) fn begun(since: Timestamp) -> Self {
        Self(Mutex::new(Tally { done: 0, refused: 0, lately: 0, since }))
    }

    /// Counts one.
    pub(crate) fn note(&self, done: bool, now: Timestamp) {
        let mut tally = self.0.lock();
        if done {
            *tally = Tally { done: tally.done + 1, lately: 0, since: now, ..*tally };
        } else {
            (tally.refused, tally.lately) = (tally.refused + 1, tally.lately + 1);
        }
    }

    /// What is counted.
    pub(crate) fn tally(&self) -> Tally {
        *self.0.lock()
    }

    /// What deserves a look: a node that runs on something else than its operator believes.
    pub(super) fn concern(&self) -> (usize, String) {
        let lately = usize::try_from(self.tally().lately).unwrap_or(usize::MAX);
        (lately, "reloads that were refused since the configuration in force was read".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use daypass_core::testing::{START, later};

    #[test]
    fn a_refused_one_is_a_concern_until_a_good_one_comes() {
        let reloads = Reloads::begun(START);
        assert_eq!((reloads.concern().0, reloads.tally().since), (0, START));
        reloads.note(false, later(1));
        reloads.note(false, later(2));
        assert_eq!(reloads.concern().0, 2);
        assert_eq!(reloads.tally(), Tally { done: 0, refused: 2, lately: 2, since: START });
        reloads.note(true, later(3));
        assert_eq!(reloads.concern().0, 0);
        assert_eq!(reloads.tally(), Tally { done: 1, refused: 2, lately: 0, since: later(3) });
    }
}
