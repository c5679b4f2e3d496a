//! The machine: limits, time, and who this is.

use super::finding::Finding;
use rustix::process::{Resource, geteuid, getrlimit};
use std::path::Path;

/// How many descriptors a busy server may have open: its connections, and what it has besides.
const DESCRIPTORS: u64 = 10_000 + 200;

/// Where systemd says that the clock was set right from the network.
const SYNCHRONIZED: &str = "/run/systemd/timesync/synchronized";

/// What other services that keep the clock right leave while they run.
const KEEPERS: [&str; 4] = ["/run/chrony", "/run/ntpd.pid", "/var/run/ntpd.pid", "/run/ptp4l"];

pub(super) fn look() -> Vec<Finding> {
    vec![descriptors(getrlimit(Resource::Nofile).current), time(), user(geteuid().is_root())]
}

fn descriptors(most: Option<u64>) -> Finding {
    let check = "descriptors";
    match most {
        Some(most) if most < DESCRIPTORS => Finding::warning(
            check,
            format!(
                "a process started from here may have {most} file descriptors open, and a busy server needs {DESCRIPTORS}"
            ),
            "LimitNOFILE=65536 in the unit (the shipped one has it), `ulimit -n 65536` in a shell, or nofile in the container",
        ),
        Some(most) => Finding::ok(check, format!("{most} file descriptors may be open")),
        None => Finding::ok(check, "any number of file descriptors may be open"),
    }
}

/// Whether anything keeps the clock right. It is no fault where nothing is known: a container does not see who does.
fn time() -> Finding {
    let check = "time";
    if Path::new(SYNCHRONIZED).exists() {
        return Finding::ok(check, "the clock was set right from the network");
    }
    match KEEPERS.into_iter().find(|keeper| Path::new(keeper).exists()) {
        Some(keeper) => Finding::ok(check, format!("something keeps the clock right ({keeper})")),
        None => Finding::warning(
            check,
            "nothing here says that the clock is kept right",
            "see `timedatectl`; signed requests are refused when clocks differ by minutes (in a container, look at its host)",
        ),
    }
}

fn user(root: bool) -> Finding {
    if root {
        let text = "this is root; the service needs no right of root's";
        return Finding::warning(
            "user",
            text,
            "run the service as a user of its own, as the shipped unit and image do",
        );
    }
    Finding::ok("user", "this is not root")
}

#[cfg(test)]
mod tests {
    use super::super::finding::State;
    use super::*;

    #[test]
    fn too_few_descriptors_and_root_are_pointed_out() {
        assert_eq!(descriptors(Some(1024)).state, State::Warning);
        assert_eq!([descriptors(Some(65_536)).state, descriptors(None).state], [State::Ok; 2]);
        assert_eq!((user(true).state, user(false).state), (State::Warning, State::Ok));
        assert_ne!(time().state, State::Fault);
    }
}
