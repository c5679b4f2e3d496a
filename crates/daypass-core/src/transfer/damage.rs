//! What is wrong with records that are carried all the same.

use serde::{Deserialize, Serialize};

/// How many faults are told.
const TOLD: usize = 10;

/// What is wrong with the records among rows. They are rows like others: whoever carries them says so, and tells what is wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Damage {
    /// How many faults there are.
    pub faults: u64,
    /// The first of them, for people.
    pub first: Vec<String>,
}

impl Damage {
    /// Whether nothing is wrong.
    pub fn is_none(&self) -> bool {
        self.faults == 0
    }

    /// Takes in a fault.
    pub fn note(&mut self, fault: impl FnOnce() -> String) {
        self.faults = self.faults.saturating_add(1);
        if self.first.len() < TOLD {
            self.first.push(fault());
        }
    }
}

impl std::fmt::Display for Damage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.first.join("; "))?;
        match self.faults.saturating_sub(self.first.len() as u64) {
            0 => Ok(()),
            more => write!(f, "; and {more} more"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_faults_are_told_and_all_are_counted() {
        let mut damage = Damage::default();
        assert!(damage.is_none());
        (1..=3).for_each(|number| damage.note(|| format!("fault {number}")));
        assert_eq!(damage.to_string(), "fault 1; fault 2; fault 3");
        (4..=1000).for_each(|number| damage.note(|| format!("fault {number}")));
        assert_eq!((damage.faults, damage.first.len()), (1000, TOLD));
        assert!(damage.to_string().ends_with("fault 10; and 990 more"), "{damage}");
        assert!(!damage.is_none());
    }
}
