//! When a key takes its next step: pure functions of what is known of the keys, the plan and the time.
//!
//! **Published before it signs.** Verifiers keep the public keys for [`Rotation::max_age`]; one that has fetched them
//! just before a key was added must have had time to fetch them again before it meets a signature of that key.
//! **Kept until its last work is dead.** What a key has signed, sealed or hashed must be recognised for as long as it
//! lives; the key is destroyed after that, and no sooner.

use super::{Purpose, RingState, Stage, Step};
use crate::clock::{SignedDuration, Timestamp, after};
use crate::directory::Plan;
use crate::replay;
use crate::role::{Algorithm, Role};
use crate::ticket;

/// A minute, an hour and a day in seconds.
const MINUTE: u32 = 60;
const HOUR: u32 = 60 * MINUTE;
const DAY: u32 = 24 * HOUR;

/// How long a key of ours is known to every node before it is used, where no verifier but our own nodes has to know
/// it: twice the silence after which a node is not ready any more.
const HEARD: u32 = MINUTE;
/// For verifiers whose clocks are behind, and that grant a leeway.
const LEEWAY: u32 = 5 * MINUTE;
/// How soon after its step is written a key that makes temporary credentials takes over. Until then every node has
/// heard of it, so that all of them answer a client's retry with the identical credential.
pub(super) const SWITCH: u32 = 5;
/// The same for the key that marks requests. Which key marks one is told by the time that it was signed at, and that may lie
/// half of this ahead of ours: no request of the new key's time can have been seen before every node has heard of it.
pub(super) const SWITCH_REPLAY: u32 = replay::WINDOW + SWITCH;
/// What verifiers are told when a step is due that nobody has taken yet: soon enough to see it, late enough that they
/// do not ask for the keys with every token.
const OVERDUE: u32 = 10;
/// How late an automatic rotation may be before that is a fault worth a warning.
const LATE: u32 = DAY;
/// The longest a signing or sealing key works that is rotated by hand (NIST SP 800-57 part 1 §5.3.6).
const BY_HAND: u32 = 365 * DAY;
/// The longest a key works that seals data at rest.
const AT_REST: u32 = 730 * DAY;

/// How Daypass's own keys take turns; the `[ring]` of the configuration. All in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rotation {
    /// How long a key works before the next one takes over. None: only the operator rotates.
    pub period: Option<u32>,
    /// The longest that verifiers may keep the public keys.
    pub max_age: u32,
    /// How long a public key is published before it signs; at least twice `max_age`.
    pub lead: u32,
    /// The least that a key is kept after it has worked, whatever the roles say: their lifetimes may have been longer
    /// when it worked.
    pub keep: u32,
}

impl Rotation {
    /// How long keys work where the configuration does not say it.
    pub const PERIOD: u32 = 30 * DAY;

    /// How long a public key must stay published after its last signature, for tokens of this lifetime.
    pub fn needed(&self, lifetime: u32) -> u32 {
        lifetime.saturating_add(self.max_age).saturating_add(LEEWAY)
    }
}

impl Default for Rotation {
    /// By hand, with the times of production.
    fn default() -> Self {
        Self { period: None, max_age: HOUR, lead: 2 * DAY, keep: 25 * HOUR }
    }
}

/// The rules for the roles and endpoints of one plan.
#[derive(Clone, Debug)]
pub struct Rules {
    rotation: Rotation,
    /// The longest that a token of each algorithm lives.
    tokens: [(Algorithm, u32); Algorithm::ALL.len()],
    /// The longest that a temporary credential lives.
    credentials: u32,
    /// The longest that a ticket and the passes after it live.
    tickets: u32,
}

/// A step that takes itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    /// Of which key, or for which purpose a new one is made.
    pub purpose: Purpose,
    /// Which step.
    pub step: Step,
    /// When.
    pub at: Timestamp,
}

/// How old a key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Age {
    /// The key.
    pub stage: Stage,
    /// Seconds since it was made.
    pub seconds: u64,
    /// It has worked longer than a key of its purpose should.
    pub overdue: bool,
}

impl Rules {
    /// The rules of this plan.
    pub fn of(plan: &Plan) -> Self {
        let longest = |wanted: &dyn Fn(&Role) -> bool| {
            let roles = plan.roles.iter().filter(|role| wanted(role));
            roles.map(|role| role.lifetime.max).max().unwrap_or_default()
        };
        let mut tokens = [(Algorithm::Rs256, 0); Algorithm::ALL.len()];
        for (entry, &algorithm) in tokens.iter_mut().zip(Algorithm::ALL) {
            *entry = (algorithm, longest(&|role| role.audience.is_some() && role.algorithm == algorithm));
        }
        let passes = plan.endpoints.iter().filter_map(|endpoint| endpoint.ticket());
        Self {
            rotation: plan.rotation,
            tokens,
            credentials: longest(&|role| role.policy.is_some()),
            tickets: passes.map(|rule| rule.refresh_for).max().unwrap_or_default(),
        }
    }

    /// Whether a purpose's keys are replaced by themselves. What seals and hashes at rest is not, since that costs work on
    /// every client's key; nor what chains records: each of its keys is needed for as long as records of its time are kept.
    fn automatic(purpose: Purpose) -> bool {
        match purpose {
            Purpose::JwtRs256
            | Purpose::JwtEs256
            | Purpose::JwtEddsa
            | Purpose::TokenSeal
            | Purpose::Triple
            | Purpose::Ticket
            | Purpose::Replay
            | Purpose::Checkpoint => true,
            Purpose::Pepper | Purpose::Rest | Purpose::Record => false,
        }
    }

    /// From when on a prepared key may become active.
    pub fn activate_at(&self, stage: &Stage) -> Timestamp {
        let lead = match stage.purpose.algorithm() {
            Some(_) => self.rotation.lead.max(self.rotation.max_age.saturating_mul(2)),
            None => HEARD,
        };
        after(stage.since, lead)
    }

    /// From when on nothing lives any more that a key has made which stopped working at `since`. What hashes, seals and
    /// chains at rest has no such time: it is needed for as long as anything is kept under it ([`crate::reseal::Left`]).
    pub fn dead_at(&self, stage: &Stage) -> Timestamp {
        let lives = match stage.purpose {
            Purpose::Pepper | Purpose::Rest | Purpose::Record => LEEWAY,
            Purpose::Replay => replay::WINDOW.saturating_add(LEEWAY),
            Purpose::Ticket => self.tickets.saturating_add(ticket::FIRST_USE).saturating_add(LEEWAY),
            purpose => match purpose.algorithm() {
                Some(algorithm) => {
                    let entry = self.tokens.iter().find(|(one, _)| *one == algorithm);
                    self.rotation.needed(entry.map(|(_, lifetime)| *lifetime).unwrap_or_default())
                }
                None => self.credentials.saturating_add(LEEWAY),
            },
        };
        after(stage.since, lives.max(self.rotation.keep))
    }

    /// The next step of each purpose that takes itself, whenever it is due. Empty where only the operator rotates. Whether
    /// anything stored still needs a key that is to be retired is not looked at here.
    pub fn next(&self, stages: &[Stage]) -> Vec<Due> {
        let Some(period) = self.rotation.period else { return Vec::new() };
        Purpose::ALL.iter().filter_map(|purpose| self.next_of(stages, *purpose, period)).collect()
    }

    fn next_of(&self, stages: &[Stage], purpose: Purpose, period: u32) -> Option<Due> {
        let in_state =
            |state| stages.iter().filter(move |stage| stage.purpose == purpose && stage.state == state);
        let due = |step, at| Due { purpose, step, at };
        let gone = in_state(RingState::Retiring).map(|old| due(Step::Retire, self.dead_at(old)));
        if !Self::automatic(purpose) {
            return gone.min_by_key(|due| due.at);
        }
        let active = in_state(RingState::Active).next()?;
        // A prepared key is always there, so that an operator whose active key has leaked can switch at once.
        let forward = in_state(RingState::Prepared).next().map_or_else(
            || due(Step::Prepare, active.since),
            |ready| due(Step::Activate, after(active.since, period).max(self.activate_at(ready))),
        );
        gone.chain([forward]).min_by_key(|due| due.at)
    }

    /// For how many seconds verifiers may keep the public keys: until these may change, and at most
    /// [`Rotation::max_age`]. `random` takes up to a quarter of it away, so that verifiers that have fetched the keys
    /// at one time do not come back at one time.
    pub fn max_age(&self, stages: &[Stage], now: Timestamp, random: u32) -> u32 {
        let steps = self.next(stages);
        let change = steps.iter().filter(|due| due.purpose.signs_tokens()).map(|due| due.at).min();
        let left = match change.map(|at| at.as_millisecond().saturating_sub(now.as_millisecond())) {
            Some(millis) if millis <= 0 => OVERDUE,
            Some(millis) => u32::try_from(millis / 1000).unwrap_or(u32::MAX),
            None => u32::MAX,
        };
        let most = left.min(self.rotation.max_age);
        most - random % (most / 4 + 1)
    }

    /// Every key that is not gone with its age: what an inventory, a metric and a warning show.
    pub fn ages(&self, stages: &[Stage], now: Timestamp) -> Vec<Age> {
        let age = |stage: &Stage| {
            let worked = now.duration_since(stage.since);
            let limit = self.limit(stage.purpose).filter(|_| stage.state == RingState::Active);
            Age {
                stage: *stage,
                seconds: u64::try_from(now.duration_since(stage.created).as_secs()).unwrap_or_default(),
                overdue: limit.is_some_and(|limit| worked > SignedDuration::from_secs(i64::from(limit))),
            }
        };
        stages.iter().filter(|stage| stage.state != RingState::Gone).map(age).collect()
    }

    /// How long a key of this purpose should work at most.
    fn limit(&self, purpose: Purpose) -> Option<u32> {
        match purpose {
            Purpose::Pepper | Purpose::Record => None,
            Purpose::Rest => Some(AT_REST),
            _ => Some(self.rotation.period.map_or(BY_HAND, |period| period.saturating_add(LATE))),
        }
    }
}

#[cfg(test)]
mod tests;
