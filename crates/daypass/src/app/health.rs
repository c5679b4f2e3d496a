//! Looking after the node itself: whether its clock is right, its disk has room, and a record could be written now.
//!
//! It looks every few seconds, and not when somebody asks: whoever asks whether a node is ready may be anybody, as often as they
//! like, and what they learn must cost nothing.

use super::App;
use crate::{system, traces};
use daypass_core::clock::{BEHIND, Clock, SignedDuration, Steady, Timestamp};
use daypass_core::gate::Shut;
use daypass_core::pipeline::{Pipeline, Summary};
use daypass_core::refusal::Reason;
use daypass_core::room::Room;
use daypass_core::store::{Store, StoreError};
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::Notify;

/// How often it is looked. One durable write, which shares its commit with whatever else waits.
const LOOK: Duration = Duration::from_secs(5);

/// How often it is looked at the clock, which costs nothing.
const CLOCK: Duration = Duration::from_millis(100);

/// How soon it is looked again while something fails, and at the earliest after a request that could not be recorded.
const SOON: Duration = Duration::from_secs(1);

/// How many writes in a row must fail before this node says that it cannot write: one alone may have met a busy moment.
const FAILED: u32 = 2;

/// How much earlier than ours a mark in the store must be for an operator to have put it there: ours runs ahead of what it writes
/// by some seconds.
const PUT_BACK: SignedDuration = SignedDuration::from_mins(1);

/// What was found at the last look.
pub(crate) struct Health {
    clock: Arc<Steady>,
    found: Mutex<Found>,
    /// What runs beside requests has ended, which it never does by itself.
    ended: AtomicBool,
    /// Somebody could not be granted something: it is looked at once.
    suspected: Notify,
}

/// What was found.
#[derive(Clone, Debug, Default)]
pub(crate) struct Found {
    /// How many writes in a row have failed, and how the last one did.
    failed: (u32, String),
    /// What is left of the disk, where it is ours.
    pub(crate) room: Option<Room>,
    /// How many file descriptors are open, and how many may be.
    pub(crate) descriptors: Option<(u64, u64)>,
    /// How far another node's clock is ahead of ours, if that is too far.
    pub(crate) others_ahead: Option<SignedDuration>,
}

impl Found {
    /// Why records cannot be written, if so.
    pub(crate) fn unwritable(&self) -> Option<&str> {
        (self.failed.0 >= FAILED).then_some(&*self.failed.1)
    }
}

/// Notices that a task ends, in whatever way.
pub(super) struct Alive<'a>(&'a Health);

impl Drop for Alive<'_> {
    fn drop(&mut self) {
        self.0.ended.store(true, Ordering::Relaxed);
    }
}

impl Health {
    /// Of a node with this clock, and with the latest time that its store knows. Nothing is issued from the first moment on if
    /// the clock is behind that.
    pub(super) async fn begin(wall: Arc<dyn Clock>, store: &dyn Store) -> Result<Self, StoreError> {
        let clock = Arc::new(Steady::new(wall));
        if let Some(kept) = store.clock().await? {
            clock.learn(kept);
        }
        Ok(Self { clock, found: Mutex::default(), ended: AtomicBool::new(false), suspected: Notify::new() })
    }

    /// The clock that everything here goes by.
    pub(crate) fn clock(&self) -> &Arc<Steady> {
        &self.clock
    }

    /// What was found at the last look.
    pub(crate) fn found(&self) -> Found {
        self.found.lock().clone()
    }

    /// Whether what runs beside requests still does.
    pub(crate) fn live(&self) -> bool {
        !self.ended.load(Ordering::Relaxed)
    }

    /// Kept by what runs beside requests for as long as it runs.
    pub(super) fn alive(&self) -> Alive<'_> {
        Alive(self)
    }

    /// Shuts the gate while the clock is too far behind, and says so once.
    pub(super) fn judge_clock(&self, pipeline: &Pipeline) {
        let stands = self.clock.stands();
        if !pipeline.gate().set(Shut::Clock, stands) {
            return;
        }
        if stands {
            tracing::error!(
                behind_seconds = self.clock.behind().as_secs(),
                "the clock is behind the latest time that was recorded, and nothing is issued; set it right, or, if the recorded \
                 time is the wrong one, say so by `daypass audit accept-clock`"
            );
        } else {
            tracing::info!("the clock is right again; issuing goes on");
        }
    }

    fn judge_room(&self, room: Option<Room>, pipeline: &Pipeline) {
        let low = room.is_some_and(|room| room.low());
        self.found.lock().room = room;
        if !pipeline.gate().set(Shut::Disk, low) {
            return;
        }
        if let Some(room) = room.filter(Room::low) {
            let (free, least) = (room.free, room.least());
            tracing::error!(
                free,
                least,
                "the disk is almost full, and nothing is issued; changes still work"
            );
        } else {
            tracing::info!("there is room on the disk again; issuing goes on");
        }
    }

    fn judge_write(&self, written: Result<Timestamp, StoreError>) {
        let mut found = self.found.lock();
        match written {
            Ok(latest) => {
                if found.failed.0 >= FAILED {
                    tracing::info!("records can be written again");
                }
                found.failed = (0, String::new());
                let ahead = latest.duration_since(self.clock.now());
                found.others_ahead = Some(ahead).filter(|ahead| *ahead > BEHIND);
            }
            Err(error) => {
                found.failed = (found.failed.0.saturating_add(1), error.to_string());
                if found.failed.0 == FAILED {
                    tracing::error!(%error, "no record can be written");
                }
            }
        }
    }
}

impl App {
    /// Looks for as long as the process lives: at the clock ten times a second, since what it judges dead must stay so, and at
    /// everything else now and then.
    pub(super) async fn look_after(&self) {
        let clock = async {
            let mut turn = tokio::time::interval(CLOCK);
            turn.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            loop {
                turn.tick().await;
                self.look_at_clock(system::passed());
            }
        };
        tokio::join!(clock, self.look_again());
    }

    /// Moves the mark with the clock. A jump is written down soon.
    fn look_at_clock(&self, passed: SignedDuration) {
        if let Some(jump) = self.health.clock.look(passed) {
            tracing::warn!(seconds = jump.as_secs(), "the clock was set forward");
            self.health.suspected.notify_one();
        }
        self.health.judge_clock(&self.setup().pipeline);
    }

    async fn look_again(&self) {
        loop {
            self.look(system::passed()).await;
            tokio::time::sleep(SOON).await;
            if self.health.found.lock().failed.0 == 0 {
                let _ =
                    tokio::time::timeout(LOOK.saturating_sub(SOON), self.health.suspected.notified()).await;
            }
        }
    }

    /// Counts how a request ended; one that could not be recorded makes this node look at itself.
    pub(crate) fn ended(&self, summary: &Summary) {
        self.counts.count(summary);
        traces::ended(summary);
        if summary.result.as_ref().is_err_and(|refusal| refusal.reason == Reason::Unavailable) {
            self.health.suspected.notify_one();
        }
    }

    /// Looks once. `passed` is what has passed since some moment by a clock that nobody sets.
    pub(crate) async fn look(&self, passed: SignedDuration) {
        let (health, store) = (&self.health, &*self.opened.store);
        let clock = &health.clock;
        self.look_at_clock(passed);
        if clock.stands() {
            self.take_up_accepted().await;
        }
        health.judge_clock(&self.setup().pipeline);
        // While it stands, our mark is not written again: an operator may just have taken it back.
        let now = if clock.stands() { None } else { clock.mark() };
        let written = store.note_clock(now.unwrap_or(Timestamp::UNIX_EPOCH)).await;
        health.judge_write(written);
        match store.room().await {
            Ok(room) => health.judge_room(room, &self.setup().pipeline),
            Err(error) => tracing::warn!(%error, "the disk does not say what is left of it"),
        }
        health.found.lock().descriptors = system::descriptors();
    }

    /// A mark in the store that is earlier than ours was put there by an operator.
    async fn take_up_accepted(&self) {
        let clock = &self.health.clock;
        if let (Ok(Some(kept)), Some(mark)) = (self.opened.store.clock().await, clock.mark())
            && kept.checked_add(PUT_BACK).is_ok_and(|kept| kept < mark)
        {
            tracing::warn!(%mark, accepted = %kept, "an operator has accepted an earlier time");
            clock.accept(kept);
        }
    }

    /// Notes the latest time before the store is closed: the next process begins there.
    pub(super) async fn leave_mark(&self) {
        let clock = &self.health.clock;
        if let Some(mark) = clock.mark().filter(|_| !clock.stands())
            && let Err(error) = self.opened.store.note_clock(mark).await
        {
            tracing::warn!(%error, "the latest time is not noted");
        }
    }
}

#[cfg(test)]
mod tests;
