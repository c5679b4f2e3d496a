//! Why this node issues nothing for now, though no operator has said so.
//!
//! Unlike a [`crate::freeze`], which holds for every node and is somebody's decision, this is a node that has found out that it
//! cannot issue rightly. What needs no new record is answered as ever: whoever shows a credential learns whether it counts, and
//! what is taken back is taken back.

use crate::refusal::{Reason, Refusal};
use std::sync::atomic::{AtomicU8, Ordering};

/// What keeps a node from issuing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shut {
    /// The clock is behind the latest time that was believed ([`crate::clock::BEHIND`]).
    Clock,
    /// The disk has less left than what is kept for operators ([`crate::room`]).
    Disk,
}

impl Shut {
    /// Every reason.
    pub const ALL: [Self; 2] = [Self::Clock, Self::Disk];

    fn bit(self) -> u8 {
        match self {
            Self::Clock => 1,
            Self::Disk => 2,
        }
    }

    /// What it is, for the log and for whoever asks whether the node is ready.
    pub fn text(self) -> &'static str {
        match self {
            Self::Clock => "the clock is behind the latest time that was recorded",
            Self::Disk => "the disk is almost full",
        }
    }
}

/// Open, or shut for some of the reasons. Each is shut and opened by whoever watches it.
#[derive(Debug, Default)]
pub struct Gate(AtomicU8);

impl Gate {
    /// Shuts or opens for this reason, and says whether that is news.
    pub fn set(&self, why: Shut, shut: bool) -> bool {
        let bit = why.bit();
        let before = if shut {
            self.0.fetch_or(bit, Ordering::Relaxed)
        } else {
            self.0.fetch_and(!bit, Ordering::Relaxed)
        };
        (before & bit != 0) != shut
    }

    /// Why nothing is issued, if so.
    pub fn shut(&self) -> Option<Shut> {
        let bits = self.0.load(Ordering::Relaxed);
        Shut::ALL.into_iter().find(|why| bits & why.bit() != 0)
    }

    /// Refuses to issue while it is shut. Like every refusal that is our own fault it is counted and not recorded.
    pub fn check(&self) -> Result<(), Refusal> {
        match self.shut() {
            None => Ok(()),
            Some(why) => {
                let text = "nothing can be handed out here for now; ask again soon";
                Err(Refusal::new(Reason::Unavailable, text).retry_after(5).because(why.text()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_shuts_and_opens_for_itself() {
        let gate = Gate::default();
        assert!(gate.check().is_ok() && gate.shut().is_none());
        assert!(gate.set(Shut::Disk, true) && !gate.set(Shut::Disk, true), "news once");
        assert!(gate.set(Shut::Clock, true));
        assert!(gate.set(Shut::Disk, false));
        assert_eq!(gate.shut(), Some(Shut::Clock));
        let refusal = gate.check().unwrap_err();
        assert_eq!(
            (refusal.reason, refusal.cause.as_deref()),
            (Reason::Unavailable, Some(Shut::Clock.text()))
        );
        assert!(gate.set(Shut::Clock, false) && !gate.set(Shut::Clock, false));
        assert!(gate.check().is_ok());
    }
}
