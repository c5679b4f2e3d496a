//! What the command line takes from the process around it: its environment and its user.

use std::ffi::OsString;

/// A variable of the process, where it is set to something.
#[expect(
    clippy::disallowed_methods,
    reason = "where a user's folders lie is known from the environment alone"
)]
pub(super) fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// The user whose rights this process has.
pub(super) fn user() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// Lets nobody read this process's memory: other processes of the same user cannot trace it, and it leaves no core
/// file behind. A program that is started later begins with the usual rights.
pub(super) fn hide_memory() {
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{DumpableBehavior, set_dumpable_behavior};
        // Refused only by kernels that have no such switch; what is held is then guarded by the user's rights alone.
        let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_variable_is_none() {
        assert!(variable("PATH").is_some());
        assert_eq!(variable("DAYPASS_NO_SUCH_VARIABLE"), None);
    }
}
