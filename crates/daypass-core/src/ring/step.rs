//! The steps of a key's life, as changes that a store makes whole or not at all.
//!
//! Each step names the rows that it was decided on, so that of two nodes, or of a node and an operator, that take the
//! same step at once, the second is refused by the store instead of undoing the first.

use super::rotation::{SWITCH, SWITCH_REPLAY};
use super::{Kek, Purpose, Ring, RingFault, RingRow, RingState, Rules, Stage};
use crate::clock::{Timestamp, after, rfc3339};
use crate::id::Entropy;
use crate::jose::Signer;
use crate::reseal::Left;
use crate::store::Change;

/// A step in a key's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Make a new key and show it to verifiers.
    Prepare,
    /// Let the prepared key work, and the one before it no more.
    Activate,
    /// Destroy a key that works no more.
    Retire,
}

impl Step {
    /// The action in the step's record.
    pub fn action(self) -> &'static str {
        match self {
            Self::Prepare => "ring.prepare",
            Self::Activate => "ring.activate",
            Self::Retire => "ring.retire",
        }
    }
}

/// A step that is wanted.
#[derive(Clone, Copy, Debug)]
pub struct Order {
    /// Of which purpose's key.
    pub purpose: Purpose,
    /// Which key; if it is not said, the only prepared one or the oldest retiring one.
    pub version: Option<u32>,
    /// Which step.
    pub step: Step,
    /// Even if it is too early: some will be refused who should not be.
    pub force: bool,
}

/// What a step is decided on.
pub struct Situation<'a> {
    /// The stored ring.
    pub rows: &'a [RingRow],
    /// What is left under keys that work no more.
    pub left: &'a Left,
    /// When keys take their turns.
    pub rules: &'a Rules,
    /// The present.
    pub now: Timestamp,
}

/// A step that was decided; it is taken when the store has made the change.
#[derive(Debug)]
pub struct Taken {
    /// The one change.
    pub change: Change,
    /// The key it is about, as it is after the change.
    pub stage: Stage,
}

/// Why a step is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// There is a prepared key already.
    #[error("`{0}` is prepared already; activate it, or retire it if it must not be used")]
    AlreadyPrepared(String),
    /// No key is where the step begins.
    #[error("no `{0}` key is {1}")]
    None(&'static str, &'static str),
    /// This key is not where the step begins.
    #[error("`{name}` is {state}; {step} is for a key that is {wanted}")]
    WrongState {
        /// The key.
        name: String,
        /// Where it is.
        state: &'static str,
        /// What was wanted of it.
        step: &'static str,
        /// Where it would have to be.
        wanted: &'static str,
    },
    /// There is no such key.
    #[error("there is no key `{0}/{1}`")]
    Unknown(&'static str, u32),
    /// Verifiers or nodes may not know the key yet.
    #[error("`{0}` can be activated from {1} on: until then there may be verifiers that do not know it")]
    TooNew(String, String),
    /// What the key has made may still be alive.
    #[error("`{0}` can be retired from {1} on: until then what it has made may be in use")]
    InUse(String, String),
    /// Something stored needs it.
    #[error("`{name}` is still needed: {count} {} under it", under(*.purpose))]
    Protects {
        /// The key.
        name: String,
        /// What it is for.
        purpose: Purpose,
        /// How many.
        count: usize,
    },
    /// The key cannot be made, opened or sealed.
    #[error("{0}")]
    Ring(#[from] RingFault),
}

impl Refused {
    /// Whether [`Order::force`] would have it done all the same.
    pub fn yields_to_force(&self) -> bool {
        matches!(self, Self::TooNew(..) | Self::InUse(..) | Self::Protects { .. })
    }
}

impl Order {
    /// Decides, and makes the change. Making an RSA key takes up to a quarter of a second of CPU.
    pub fn take(
        &self,
        situation: &Situation<'_>,
        kek: &Kek,
        entropy: &dyn Entropy,
    ) -> Result<Taken, Refused> {
        let kek = kek.beside(situation.rows);
        match self.step {
            Step::Prepare => self.prepare(situation, &kek, entropy),
            Step::Activate => self.activate(situation, &kek, entropy),
            Step::Retire => self.retire(situation),
        }
    }

    fn prepare(&self, situation: &Situation<'_>, kek: &Kek, entropy: &dyn Entropy) -> Result<Taken, Refused> {
        let mine = || situation.rows.iter().filter(|row| row.purpose == self.purpose);
        if let Some(ready) = mine().find(|row| row.state == RingState::Prepared) {
            return Err(Refused::AlreadyPrepared(ready.stage().name()));
        }
        let version = mine().map(|row| row.version).max().unwrap_or_default().saturating_add(1);
        let state = RingState::Prepared;
        let row = Ring::generate_one(kek, entropy, situation.now, self.purpose, version, state)?;
        Ok(Taken { stage: row.stage(), change: Change::AddRing(vec![row]) })
    }

    fn activate(
        &self,
        situation: &Situation<'_>,
        kek: &Kek,
        entropy: &dyn Entropy,
    ) -> Result<Taken, Refused> {
        let ready = self.subject(situation.rows, &[RingState::Prepared])?;
        let before = self.find(situation.rows, None, &[RingState::Active])?;
        let from = situation.rules.activate_at(&ready.stage());
        if situation.now < from && !self.force {
            return Err(Refused::TooNew(ready.stage().name(), rfc3339(from)));
        }
        let since = match self.purpose {
            // Drawn from the time of the request, so that every node makes the same of a client's retry.
            Purpose::TokenSeal | Purpose::Triple => after(situation.now, SWITCH),
            Purpose::Replay => after(situation.now, SWITCH_REPLAY),
            _ => situation.now,
        };
        let active = RingRow { state: RingState::Active, since, ..ready.clone() };
        let mut retiring = RingRow { state: RingState::Retiring, since, ..before.clone() };
        if let Some(algorithm) = self.purpose.algorithm() {
            // Whoever steals the store later cannot sign with what is not there. Its public half is all that the
            // tokens which are still about need.
            let plain = before.open(kek).map_err(|_| RingFault::WrongSealKey(before.stage().name()))?;
            let signer = Signer::parse(algorithm, &plain).map_err(RingFault::from)?;
            retiring.seal(kek, entropy, &signer.public().to_bytes()).map_err(RingFault::from)?;
        }
        let old = vec![ready.clone(), before.clone()];
        Ok(Taken { stage: active.stage(), change: Change::SwapRing { old, new: vec![active, retiring] } })
    }

    fn retire(&self, situation: &Situation<'_>) -> Result<Taken, Refused> {
        let states: &[RingState] = match self.version {
            // A prepared key has made nothing: it goes without waiting, but only if it is meant.
            Some(_) => &[RingState::Retiring, RingState::Prepared],
            None => &[RingState::Retiring],
        };
        let old = self.subject(situation.rows, states)?;
        let stage = old.stage();
        if stage.state == RingState::Retiring && !self.force {
            let from = situation.rules.dead_at(&stage);
            if situation.now < from {
                return Err(Refused::InUse(stage.name(), rfc3339(from)));
            }
            let count = situation.left.under(stage.purpose, stage.version);
            if count > 0 {
                return Err(Refused::Protects { name: stage.name(), purpose: stage.purpose, count });
            }
        }
        let mut gone =
            RingRow { state: RingState::Gone, since: situation.now, sealed: Vec::new(), ..old.clone() };
        // What is left of a retiring key is its public half, and checkpoints are verified for as long as there are
        // records. A prepared one has signed nothing.
        if stage.purpose == Purpose::Checkpoint && stage.state == RingState::Retiring {
            gone.sealed.clone_from(&old.sealed);
        }
        Ok(Taken {
            stage: gone.stage(),
            change: Change::SwapRing { old: vec![old.clone()], new: vec![gone] },
        })
    }

    /// The key that the order is about.
    fn subject<'a>(&self, rows: &'a [RingRow], states: &[RingState]) -> Result<&'a RingRow, Refused> {
        self.find(rows, self.version, states)
    }

    /// The oldest key in one of these states, or this one, which must be in one of them.
    fn find<'a>(
        &self,
        rows: &'a [RingRow],
        version: Option<u32>,
        states: &[RingState],
    ) -> Result<&'a RingRow, Refused> {
        let wanted = states.first().map_or("there", |state| state.name());
        let mine = rows.iter().filter(|row| row.purpose == self.purpose);
        let Some(version) = version else {
            let fitting = mine.filter(|row| states.contains(&row.state));
            return fitting.min_by_key(|row| row.version).ok_or(Refused::None(self.purpose.name(), wanted));
        };
        let row = mine.into_iter().find(|row| row.version == version);
        let row = row.ok_or(Refused::Unknown(self.purpose.name(), version))?;
        if states.contains(&row.state) {
            return Ok(row);
        }
        let (name, state, step) = (row.stage().name(), row.state.name(), self.step.action());
        Err(Refused::WrongState { name, state, step, wanted })
    }
}

/// What is left under a key of this purpose, and what becomes of it.
fn under(purpose: Purpose) -> &'static str {
    match purpose {
        Purpose::Rest => "keys of clients and clouds are sealed (they are sealed anew in the background)",
        Purpose::Pepper => "live secrets of clients are hashed (each is hashed anew when it is next used)",
        Purpose::Record => {
            "chains of records are made (they go with the records that are not kept any longer)"
        }
        _ => "things are",
    }
}

#[cfg(test)]
mod tests;
