//! The faults, by what is hurt.

mod clock;
mod crash;
mod crowd;
mod disk;
mod file;
mod nodes;
mod overload;
mod resources;
mod upgrade;

use crate::case::Case;

/// All of them.
pub(crate) fn all() -> Vec<Case> {
    [
        crash::CASES,
        disk::CASES,
        file::CASES,
        nodes::CASES,
        clock::CASES,
        resources::CASES,
        crowd::CASES,
        overload::CASES,
        upgrade::CASES,
    ]
    .concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_case_has_a_name_of_its_own_and_says_what_must_hold() {
        let cases = all();
        let names: HashSet<_> = cases.iter().map(|case| case.name).collect();
        assert_eq!(names.len(), cases.len());
        assert!(cases.iter().all(|case| !case.fault.is_empty() && !case.must.is_empty()));
    }
}
