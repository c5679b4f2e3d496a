//! Keeping the records provable: checkpoints are signed, second places get them, and what was kept long enough goes.
//!
//! All of it runs beside the requests, and none of them waits for it.

mod file;
mod place;
mod retention;
mod rollback;
mod sending;
mod sign;
mod standing;
mod syslog;

pub(crate) use file::{Copy, copies};
pub(crate) use place::Place;
pub(crate) use rollback::{Behind, behind};
pub(crate) use sign::sign;
pub(crate) use standing::Standing;
pub(crate) use syslog::Way;

use crate::app::App;
use crate::system::KeyEntropy;
use daypass_core::clock::Timestamp;
use daypass_core::id::random_uuid;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::time::{Instant, MissedTickBehavior, interval};
use uuid::Uuid;

/// How often it is looked whether something is due.
const TURN: Duration = Duration::from_secs(1);
/// How often it is looked whether records have been kept long enough.
const RETENTION: Duration = Duration::from_mins(1);
/// How soon it is looked again where second places have not got the newest checkpoint yet.
const SOON: Duration = Duration::from_secs(2);
/// For how long a clean stop goes on to sign and to hand out what was written last.
const LAST: Duration = Duration::from_secs(2);

/// The `[records]` of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    /// How often a checkpoint is made, where something has grown.
    pub(crate) every: Duration,
    /// For how many seconds records are kept; for ever without it.
    pub(crate) keep: Option<u32>,
    /// Who gets every checkpoint.
    pub(crate) places: Vec<Arc<Place>>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { every: Duration::from_mins(1), keep: None, places: Vec::new() }
    }
}

/// What this node knows of the records' proofs.
pub(crate) struct Keeper {
    /// This node, where nodes take turns.
    node: Uuid,
    standing: Mutex<Standing>,
    sending: sending::Sending,
    /// The file places were compared with the store.
    compared: AtomicBool,
}

impl Keeper {
    /// Nothing is known yet.
    pub(crate) fn new() -> Self {
        Self {
            node: random_uuid(&KeyEntropy),
            standing: Mutex::default(),
            sending: sending::Sending::default(),
            compared: AtomicBool::new(false),
        }
    }

    /// What is known now.
    pub(crate) fn standing(&self) -> Standing {
        self.standing.lock().clone()
    }

    /// Signs, hands out and removes, for as long as the process lives.
    pub(crate) async fn run(&self, app: &App) {
        tokio::join!(self.signing(app), self.handing_out(app), self.removing(app));
    }

    async fn signing(&self, app: &App) {
        let mut turn = interval(TURN);
        turn.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut signed = Instant::now();
        loop {
            turn.tick().await;
            if signed.elapsed() < app.setup().records.every {
                continue;
            }
            signed = Instant::now();
            self.sign(app).await;
        }
    }

    /// Signs what has grown, and remembers what came of it.
    pub(crate) async fn sign(&self, app: &App) {
        let (store, ring) = (app.store(), app.directory().ring().clone());
        match sign(&**store, &ring, app.now(), None).await {
            Ok(signed) => self.standing.lock().signed(&signed, app.now()),
            Err(error) => {
                self.standing.lock().forged = error.is::<sign::Forged>();
                tracing::warn!(error = format!("{error:#}"), "no checkpoint can be made; trying again");
            }
        }
    }

    async fn handing_out(&self, app: &App) {
        let mut turn = interval(TURN);
        turn.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            turn.tick().await;
            self.hand_out(app).await;
        }
    }

    /// Gives every second place what it has missed, and remembers how far each is. Before the first time, the files among
    /// them are compared with the store.
    pub(crate) async fn hand_out(&self, app: &App) {
        let settings = app.setup().records.clone();
        if !self.compared.load(Ordering::Relaxed) {
            match self.compare(app, &settings).await {
                Ok(()) => self.compared.store(true, Ordering::Relaxed),
                Err(error) => {
                    tracing::warn!(
                        error = format!("{error:#}"),
                        "copies of checkpoints cannot be compared; trying again"
                    );
                    return;
                }
            }
        }
        if let Err(error) = self.accepted(app).await {
            tracing::debug!(
                error = format!("{error:#}"),
                "cannot look whether the earlier state was accepted"
            );
        }
        self.sending.turn(self, app, &settings).await;
    }

    async fn removing(&self, app: &App) {
        loop {
            let waits = self.remove(app).await;
            tokio::time::sleep(if waits { SOON } else { RETENTION }).await;
        }
    }

    /// Removes what was kept long enough, if anything is to be removed. Says whether it only waits for second places.
    pub(crate) async fn remove(&self, app: &App) -> bool {
        let settings = app.setup().records.clone();
        let Some(keep) = settings.keep else { return false };
        let before = daypass_core::clock::before(app.now(), keep);
        match retention::remove(app, &settings, before).await {
            Ok(removed) => {
                self.standing.lock().removed(&removed);
                removed.waits
            }
            Err(error) => {
                tracing::warn!(error = format!("{error:#}"), "old records cannot be removed; trying again");
                false
            }
        }
    }

    /// At a clean stop: what was written last is signed and handed out, as far as there is time for it.
    pub(crate) async fn finish(&self, app: &App) {
        let last = async {
            self.sign(app).await;
            self.hand_out(app).await;
        };
        if tokio::time::timeout(LAST, last).await.is_err() {
            tracing::warn!("the last records are signed at the next start");
        }
    }
}

/// How late something is, in whole seconds.
fn age(since: Timestamp, now: Timestamp) -> u64 {
    u64::try_from(now.duration_since(since).as_secs()).unwrap_or_default()
}

#[cfg(test)]
mod tests;
