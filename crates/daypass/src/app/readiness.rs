//! What this node says of itself to whoever asks whether it is ready: everything, and no names.
//!
//! Ready means that a grant would be given here now, as far as it depends on this node. Everything else that needs somebody is a
//! warning. Anybody may ask, so that it says how many keys end soon, and not whose.

use super::{App, STALE, prune};
use daypass_core::clock::SignedDuration;
use daypass_core::expiry;
use daypass_core::gate::Shut;
use daypass_core::room::Room;
use serde_json::{Value, json};
use std::sync::atomic::Ordering;

/// Of so many descriptors in a hundred it is pointed out that they run out.
const DESCRIPTORS: u64 = 80;

/// How it stands with one thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// As it should be.
    Ok,
    /// Somebody should look at it.
    Warning,
    /// Nothing can be granted here for it.
    Fault,
}

impl State {
    /// The word in an answer.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Fault => "fault",
        }
    }
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Check {
    /// What it is called in documents and metrics.
    pub(crate) name: &'static str,
    /// How it stands.
    pub(crate) state: State,
    /// What is to be said of it.
    pub(crate) text: String,
}

/// Something that will need an operator soon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Concern {
    /// What it is called in documents and metrics.
    pub(crate) name: &'static str,
    /// What it is, without a name in it.
    pub(crate) text: String,
}

impl Concern {
    /// So many of something; none where there are none.
    pub(super) fn of(name: &'static str, count: usize, what: &str) -> Option<Self> {
        (count > 0).then(|| Self { name, text: format!("{what}: {count}") })
    }
}

/// Everything that was looked at.
#[derive(Clone, Debug)]
pub(crate) struct Report(Vec<Check>);

impl Report {
    /// Why nothing can be granted here, if so: the first reason.
    pub(crate) fn fault(&self) -> Option<&Check> {
        self.0.iter().find(|check| check.state == State::Fault)
    }

    /// What somebody should look at.
    pub(crate) fn warnings(&self) -> impl Iterator<Item = &Check> {
        self.0.iter().filter(|check| check.state == State::Warning)
    }

    /// Each thing with how it stands: the worst, where several are to be said of it.
    pub(crate) fn states(&self) -> Vec<(&'static str, State)> {
        let mut states: Vec<(&'static str, State)> = Vec::new();
        for check in &self.0 {
            match states.iter_mut().find(|(name, _)| *name == check.name) {
                Some((_, state)) if *state == State::Fault || check.state == State::Ok => (),
                Some((_, state)) => *state = check.state,
                None => states.push((check.name, check.state)),
            }
        }
        states
    }

    /// As a machine reads it.
    pub(crate) fn document(&self) -> Value {
        let status = if self.fault().is_some() { "unavailable" } else { "ready" };
        let checks: Vec<_> = self
            .0
            .iter()
            .map(|check| json!({ "name": check.name, "state": check.state.name(), "text": check.text }))
            .collect();
        json!({ "status": status, "version": env!("CARGO_PKG_VERSION"), "checks": checks })
    }

    /// With one thing more, ahead of the others.
    #[must_use]
    pub(crate) fn led_by(mut self, check: Check) -> Self {
        self.0.insert(0, check);
        self
    }
}

impl App {
    /// Everything that is known of this node. It costs a look at what is in memory.
    pub(crate) fn report(&self) -> Report {
        let found = self.health.found();
        let mut checks = vec![self.hears()];
        checks.push(match found.unwritable() {
            Some(_) => check("records", State::Fault, "no record can be written"),
            None => check("records", State::Ok, "records are written"),
        });
        checks.push(self.clock(found.others_ahead));
        checks.extend(found.room.map(disk));
        checks.extend(found.descriptors.map(descriptors));
        checks.push(if self.health.live() {
            check("background", State::Ok, "what runs beside requests runs")
        } else {
            check("background", State::Fault, "what runs beside requests has ended")
        });
        checks.extend(
            self.concerns().into_iter().map(|Concern { name, text }| check(name, State::Warning, text)),
        );
        Report(checks)
    }

    /// What will need an operator soon.
    pub(crate) fn concerns(&self) -> Vec<Concern> {
        let ours = self.key_ages().iter().filter(|age| age.overdue).count();
        let theirs = self.ending.load(Ordering::Relaxed);
        let (frozen, tokens) = {
            let directory = self.directory();
            (directory.freezes().len(), directory.cutoffs().tokens())
        };
        let days = expiry::URGENT;
        let (unlisted, many) = prune::unlisted(tokens);
        let (refused, reloads) = self.reloads.concern();
        let all = [
            Concern::of("keys", ours, "keys of Daypass's own that have worked for too long"),
            Concern::of(
                "seal_key",
                self.unopened(),
                "keys of Daypass's own that this node has not the seal key for",
            ),
            Concern::of("client_keys", theirs, &format!("keys of clients that end within {days} days")),
            Concern::of("freezes", frozen, "places where an operator has stopped that anything is issued"),
            Concern::of("revocations", unlisted, &many),
            Concern::of("configuration", refused, &reloads),
        ];
        let roots = self.root_concerns();
        let roots = roots.iter().filter_map(|(count, what)| Concern::of("root_keys", *count, what));
        let balancers = self.balancers.concerns(&self.setup().proxies);
        let balancers = balancers.iter().filter_map(|(count, what)| Concern::of("balancers", *count, what));
        let proofs = self.proofs().concerns(self.now());
        let proofs = proofs.iter().filter_map(|(name, count, what)| Concern::of(name, *count, what));
        all.into_iter().flatten().chain(roots).chain(balancers).chain(proofs).collect()
    }

    fn hears(&self) -> Check {
        match self.silence() {
            silence if silence > STALE => check("store", State::Fault, "the store is silent"),
            silence if silence > STALE / 2 => {
                check("store", State::Warning, format!("the store was not heard for {silence} seconds"))
            }
            _ => check("store", State::Ok, "the store is heard"),
        }
    }

    fn clock(&self, others_ahead: Option<SignedDuration>) -> Check {
        let clock = self.health.clock();
        let (name, behind) = ("clock", clock.behind());
        if clock.stands() {
            return check(name, State::Fault, Shut::Clock.text());
        }
        if let Some(jump) = clock.jumped() {
            let text = format!("the clock has jumped ahead by {} seconds", jump.as_secs());
            return check(name, State::Warning, text);
        }
        if let Some(ahead) = others_ahead {
            let text = format!("another node's clock is ahead by {} seconds", ahead.as_secs());
            return check(name, State::Warning, text);
        }
        match behind.as_secs() {
            0 => check(name, State::Ok, "the clock goes forward"),
            seconds => check(name, State::Warning, format!("the clock was set back by {seconds} seconds")),
        }
    }
}

fn check(name: &'static str, state: State, text: impl Into<String>) -> Check {
    Check { name, state, text: text.into() }
}

fn disk(room: Room) -> Check {
    let left = room.free >> 20;
    if room.low() {
        check("disk", State::Fault, Shut::Disk.text())
    } else if room.wanted > room.reserve {
        check("disk", State::Warning, "the reserve of the disk was given up and is not made again yet")
    } else if room.scarce() {
        check("disk", State::Warning, format!("the disk has {left} MiB left"))
    } else {
        check("disk", State::Ok, format!("the disk has {left} MiB left"))
    }
}

fn descriptors((open, most): (u64, u64)) -> Check {
    let many = open.saturating_mul(100) > most.saturating_mul(DESCRIPTORS);
    let state = if many { State::Warning } else { State::Ok };
    check("descriptors", state, format!("{open} of {most} file descriptors are open"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn the_disk_is_judged_by_what_is_kept() {
        let room = |free, reserve| disk(Room { free: free * MIB, reserve: reserve * MIB, wanted: 16 * MIB });
        assert_eq!(room(100, 16).state, State::Ok);
        assert_eq!(room(30, 16).state, State::Warning);
        assert_eq!(room(7, 16).state, State::Fault);
        assert_eq!(room(23, 0).state, State::Fault);
        assert!(room(40, 0).text.contains("given up"));
        assert_eq!(disk(Room { free: 0, reserve: 0, wanted: 0 }).state, State::Ok, "nobody asked for any");
    }

    #[test]
    fn descriptors_are_pointed_out_before_they_run_out() {
        assert_eq!(descriptors((80, 100)).state, State::Ok);
        assert_eq!(descriptors((81, 100)).state, State::Warning);
    }

    #[test]
    fn of_several_things_of_one_name_the_worst_counts() {
        let of =
            |states: &[State]| Report(states.iter().map(|state| check("x", *state, "")).collect()).states();
        assert_eq!(of(&[State::Ok, State::Warning]), [("x", State::Warning)]);
        assert_eq!(of(&[State::Warning, State::Ok]), [("x", State::Warning)]);
        assert_eq!(of(&[State::Fault, State::Warning]), [("x", State::Fault)]);
        assert_eq!(of(&[State::Warning, State::Fault]), [("x", State::Fault)]);
    }
}
