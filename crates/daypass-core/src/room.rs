//! What is left of the disk that a store writes to.
//!
//! Whoever only adds records fills any disk in the end, and then the one who could do something about it would be refused as
//! well. So some of it is kept for operators: while less is left, nothing is issued, and a change can still be made.

/// What is left, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Free on the file system, for this process.
    pub free: u64,
    /// Kept in reserve now; less than `kept` after it had to be given up.
    pub reserve: u64,
    /// How much shall be kept in reserve; nothing where nobody has asked for it.
    pub wanted: u64,
}

impl Room {
    /// Below what, of free space and reserve together, nothing is issued: the reserve, and half as much again so that what is
    /// under way ends well.
    pub fn least(&self) -> u64 {
        self.wanted.saturating_add(self.wanted / 2)
    }

    /// Whether so little is left that the rest is for operators. The reserve counts as long as it is there, so that giving it up
    /// makes no room for anybody else.
    pub fn low(&self) -> bool {
        self.free.saturating_add(self.reserve) < self.least()
    }

    /// Whether it is not long until then: twice as much is left, or less.
    pub fn scarce(&self) -> bool {
        self.free.saturating_add(self.reserve) < self.least().saturating_mul(2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn giving_the_reserve_up_makes_no_room_for_grants() {
        let before = Room { free: 7 * MIB, reserve: 16 * MIB, wanted: 16 * MIB };
        assert!(before.low(), "less than half of the reserve is left beside it");
        let after = Room { free: 23 * MIB, reserve: 0, ..before };
        assert_eq!(after.low(), before.low());
        assert!(!Room { free: 8 * MIB, ..before }.low());
        assert!(!Room { free: 24 * MIB, ..after }.low());
    }

    #[test]
    fn it_is_scarce_before_it_is_low_and_where_nothing_is_kept_nothing_is_low() {
        let room = Room { free: 20 * MIB, reserve: 16 * MIB, wanted: 16 * MIB };
        assert!(room.scarce() && !room.low());
        assert!(!Room { free: 32 * MIB, ..room }.scarce());
        assert!(!Room { free: 0, reserve: 0, wanted: 0 }.low());
    }
}
