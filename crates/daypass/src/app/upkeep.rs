//! What is done anew behind everyone's back when one of our keys was replaced: the ring is wrapped again under a new seal
//! key, clients' and root keys are sealed again under a new `rest`, secrets are hashed again when they are shown, and a new
//! chain of records is begun.
//!
//! Each turn makes one change of the store, or none. All of it is found out from what the store holds, so that a process that
//! is killed at any point goes on where it was; and each change names what it was decided on, so that of several nodes that
//! do the same, or a node and an operator, the second changes nothing.

use super::opened::new_chain;
use super::{App, ROTATE, ROTATE_AGAIN, change_at};
use crate::system::KeyEntropy;
use daypass_core::client::Key;
use daypass_core::contents::Contents;
use daypass_core::directory::Directory;
use daypass_core::people::Keys;
use daypass_core::reseal::{self, Left, Piece};
use daypass_core::ring::{self, Purpose, Ring, RingState, SealId, SealRole};
use daypass_core::store::{Change, StoreError};
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::time::Instant;

/// The fewest and the most keys of clients in one change. A change keeps the records of requests waiting, which it must not
/// do for longer than they notice; and every node reads all keys again after it, so that with more keys a piece is larger.
const PIECE: (usize, usize) = (500, 5000);
/// How much longer than the work of a piece the pause after it is. All nodes together spend at most a fifth of their time on
/// reading again what was sealed anew.
const PAUSE: u32 = 4;
/// How long a count of chains is believed.
const CHAINS: Duration = Duration::from_mins(1);

/// What a node knows of its own upkeep.
pub(super) struct Upkeep {
    /// The store says which its seal key is, and it is not the one before.
    said: AtomicBool,
    /// The version of the key that this process's chain of records is made with.
    chained: AtomicU32,
    counted: Mutex<Option<Counted>>,
    done: Done,
    /// How many keys in the store do not open, as was last said.
    closed: AtomicUsize,
}

/// What is left, with what it was counted in.
struct Counted {
    contents: Contents,
    at: Instant,
    left: Arc<Left>,
}

/// What this process has done anew, in numbers.
#[derive(Default)]
struct Done(Mutex<[u64; 4]>);

/// What can be done anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Anew {
    /// Keys of the ring, wrapped again by the seal key.
    Wrapped,
    /// Keys of clients, sealed again.
    Keys,
    /// Root keys, sealed again.
    Roots,
    /// Secrets of clients, hashed again.
    Secrets,
}

impl Anew {
    const ALL: [Self; 4] = [Self::Wrapped, Self::Keys, Self::Roots, Self::Secrets];

    /// The name in metrics.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Wrapped => "wrapped",
            Self::Keys => "client-keys",
            Self::Roots => "root-keys",
            Self::Secrets => "secrets",
        }
    }
}

impl Upkeep {
    /// Of a process whose records are chained by the key of this ring.
    pub(super) fn new(ring: &Ring) -> Self {
        Self {
            said: AtomicBool::new(false),
            chained: AtomicU32::new(ring.active(Purpose::Record)),
            counted: Mutex::default(),
            done: Done::default(),
            closed: AtomicUsize::new(0),
        }
    }

    fn note(&self, what: Anew, count: usize) {
        let mut done = self.done.0.lock();
        for (one, sum) in Anew::ALL.into_iter().zip(done.iter_mut()) {
            if one == what {
                *sum = sum.saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
            }
        }
    }
}

/// What became of one turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turned {
    /// There was nothing to do.
    Nothing,
    /// So many were done.
    Some(usize),
    /// Another process had changed what was to be done anew. The next turn looks again.
    Overtaken,
}

impl App {
    /// Does what is to be done anew, for as long as the process lives.
    pub(super) async fn upkeep(&self) {
        let mut turn = tokio::time::interval(ROTATE);
        turn.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            turn.tick().await;
            if let Err(error) = self.keep_up().await {
                let error = format!("{error:#}");
                tracing::error!(error, "what an old key of ours protects cannot be done anew; trying again");
                tokio::time::sleep(ROTATE_AGAIN).await;
            }
        }
    }

    /// One turn of everything, with as many pieces of clients' keys as there are.
    pub(crate) async fn keep_up(&self) -> anyhow::Result<()> {
        self.chain_anew().await?;
        self.wrap_again().await?;
        self.hash_again().await?;
        self.seal_roots_again().await?;
        loop {
            let begun = Instant::now();
            if self.seal_keys_again().await? == Turned::Nothing {
                return Ok(());
            }
            tokio::time::sleep(begun.elapsed().saturating_mul(PAUSE)).await;
            self.hash_again().await?;
        }
    }

    /// Begins a new chain of records once the key of records was replaced. What is still on its way into the old one is
    /// written there.
    async fn chain_anew(&self) -> anyhow::Result<()> {
        let ring = self.directory().ring().clone();
        let (now, before) = (ring.active(Purpose::Record), self.upkeep.chained.load(Ordering::Relaxed));
        if now == before || now == 0 {
            return Ok(());
        }
        self.opened.store.begin(new_chain(&ring)?).await?;
        self.upkeep.chained.store(now, Ordering::Relaxed);
        tracing::info!(key = format!("record/{now}"), "a new chain of records was begun");
        Ok(())
    }

    /// Wraps the ring again where the seal key before wraps any of it, and notes which seal key the store has where it does
    /// not say.
    async fn wrap_again(&self) -> anyhow::Result<Turned> {
        let (kek, known) = (&self.opened.kek, self.directory());
        let outlived = known.contents().ring.held().iter().any(|row| kek.outlived(row));
        if self.upkeep.said.load(Ordering::Relaxed) && !outlived {
            return Ok(Turned::Nothing);
        }
        let store = &self.opened.store;
        let (rows, said) = (store.ring().await?, store.seal().await?);
        let now = self.now();
        let Some(wrapped) = ring::wrap_again(kek, said.as_ref(), &rows, &KeyEntropy, now)? else {
            self.upkeep.said.store(true, Ordering::Relaxed);
            return Ok(Turned::Nothing);
        };
        let (count, id) = (wrapped.new.len(), wrapped.seal.id);
        let mut changes = Vec::new();
        if count > 0 {
            changes.push(Change::SwapRing { old: wrapped.old, new: wrapped.new });
        }
        if said.as_ref().is_none_or(|said| said.id != id) {
            changes.push(Change::SwapSeal { old: said, new: wrapped.seal });
        }
        let done = self.anew(Anew::Wrapped, changes, "ring.wrap", &format!("{id} {count}"), count).await?;
        if done != Turned::Overtaken {
            tracing::info!(seal_key = %id, keys = count, "the ring is wrapped by this seal key");
        }
        Ok(done)
    }

    /// Writes the secrets that were shown since the last turn under the pepper that works now.
    async fn hash_again(&self) -> anyhow::Result<Turned> {
        let piece = self.setup().pipeline.rehash().take();
        self.swap_keys(piece, Anew::Secrets, Purpose::Pepper, "ring.rehash").await
    }

    async fn seal_roots_again(&self) -> anyhow::Result<Turned> {
        let directory = self.directory();
        let Piece { old, new, closed } = reseal::roots(directory.ring(), directory.roots(), &KeyEntropy)?;
        if closed > 0 && !new.is_empty() {
            tracing::warn!(
                closed,
                "root keys in the store do not open: they were changed by another than Daypass"
            );
        }
        if new.is_empty() {
            return Ok(Turned::Nothing);
        }
        let (count, object) = (new.len(), object(&directory, Purpose::Rest, new.len()));
        let change = vec![Change::SwapRoots { old, new }];
        self.anew(Anew::Roots, change, "ring.reseal-roots", &object, count).await
    }

    async fn seal_keys_again(&self) -> anyhow::Result<Turned> {
        let left = self.left().await?;
        if !left.all().any(|(purpose, _, count)| purpose == Purpose::Rest && count > 0) {
            return Ok(Turned::Nothing);
        }
        let directory = self.directory();
        let work = move || {
            let keys = directory.contents().keys.held();
            let most = (keys.len() / 100).clamp(PIECE.0, PIECE.1);
            reseal::keys(directory.ring(), old_ones(keys, directory.ring()), most, &KeyEntropy)
        };
        let piece = tokio::task::spawn_blocking(work).await??;
        self.point_out_closed(piece.closed);
        self.swap_keys(piece, Anew::Keys, Purpose::Rest, "ring.reseal").await
    }

    async fn swap_keys(
        &self,
        Piece { old, new, .. }: Piece<Key>,
        what: Anew,
        purpose: Purpose,
        action: &str,
    ) -> anyhow::Result<Turned> {
        if new.is_empty() {
            return Ok(Turned::Nothing);
        }
        let (count, object) = (new.len(), object(&self.directory(), purpose, new.len()));
        self.anew(what, vec![Change::SwapKeys { old, new }], action, &object, count).await
    }

    /// Makes the change with its record, and takes it up here at once.
    async fn anew(
        &self,
        what: Anew,
        changes: Vec<Change>,
        action: &str,
        object: &str,
        count: usize,
    ) -> anyhow::Result<Turned> {
        let made = self.opened.store.change(changes, change_at(self.now(), None, action, object)).await;
        let turned = match made {
            Ok(()) => {
                self.upkeep.note(what, count);
                tracing::debug!(action, object, "done anew");
                Turned::Some(count)
            }
            Err(StoreError::Conflict(why)) => {
                tracing::debug!(action, object, why, "another process was first; looking again");
                Turned::Overtaken
            }
            Err(fault) => return Err(fault.into()),
        };
        self.refresh().await?;
        Ok(turned)
    }

    /// What is left under keys that work no more. Counted again when anything that counts has changed.
    pub(crate) async fn left(&self) -> Result<Arc<Left>, StoreError> {
        let directory = self.directory();
        let contents = directory.contents();
        if let Some(counted) = &*self.upkeep.counted.lock()
            && counted.is_of(contents)
        {
            return Ok(counted.left.clone());
        }
        let (contents, ring, now) = (contents.clone(), directory.ring().clone(), self.now());
        let retiring = |purpose| {
            ring.stages().iter().any(|stage| stage.purpose == purpose && stage.state == RingState::Retiring)
        };
        let heads = if retiring(Purpose::Record) { self.opened.store.heads().await? } else { Vec::new() };
        let keys = contents.keys.held().clone();
        let roots = contents.roots.held().clone();
        let count = move || Left::of(&ring, old_ones(&keys, &ring), &roots, now).with_chains(&heads);
        let lost = |_| StoreError::Unavailable("the count of what is left did not come back".to_owned());
        let left = Arc::new(tokio::task::spawn_blocking(count).await.map_err(lost)?);
        let counted = Counted { contents, at: Instant::now(), left: left.clone() };
        *self.upkeep.counted.lock() = Some(counted);
        Ok(left)
    }

    /// What was left when it was last counted, by purpose and version.
    pub(crate) fn left_lately(&self) -> Vec<(Purpose, u32, usize)> {
        self.upkeep.counted.lock().iter().flat_map(|counted| counted.left.all()).collect()
    }

    /// How many of our keys each seal key wraps, of those that this node has or that wrap any.
    pub(crate) fn wrapped_by(&self) -> Vec<(SealId, Option<SealRole>, usize)> {
        let (kek, directory) = (&self.opened.kek, self.directory());
        let all = ring::wrapped_by(kek, directory.contents().ring.held());
        all.into_iter().map(|(id, count)| (id, kek.role(id), count)).collect()
    }

    /// What this process has done anew since it began.
    pub(crate) fn done_anew(&self) -> impl Iterator<Item = (Anew, u64)> {
        Anew::ALL.into_iter().zip(*self.upkeep.done.0.lock())
    }

    /// How many keys of ours are stored that this node cannot open.
    pub(crate) fn unopened(&self) -> usize {
        self.directory().ring().unopened().len()
    }

    /// Says how many keys of clients are not as Daypass has stored them, when that changes.
    fn point_out_closed(&self, count: usize) {
        if self.upkeep.closed.swap(count, Ordering::Relaxed) != count && count > 0 {
            tracing::warn!(
                count,
                "keys in the store do not open, and are not sealed anew: they were changed by another than Daypass"
            );
        }
    }

    /// Says which stored keys of ours this node cannot open, when that changes.
    pub(super) fn point_out_unopened(before: &Directory, now: &Directory) {
        let names = |directory: &Directory| {
            directory.ring().unopened().iter().map(daypass_core::ring::Stage::name).collect::<Vec<_>>()
        };
        let (before, now) = (names(before), names(now));
        if before == now {
            return;
        }
        if now.is_empty() {
            tracing::info!("this node opens all keys of ours again");
            return;
        }
        tracing::error!(
            keys = now.join(" "),
            "this node cannot open keys of ours that another has wrapped or changed; it goes on with what it has, and could \
             not be started again: give it the seal key that the others have"
        );
    }
}

impl Counted {
    fn is_of(&self, contents: &Contents) -> bool {
        let same = self.contents.keys.is(&contents.keys)
            && self.contents.roots.is(&contents.roots)
            && self.contents.ring.is(&contents.ring);
        same && self.at.elapsed() < CHAINS
    }
}

/// The keys of clients that are kept under another key of ours than the one that works now.
fn old_ones(keys: &Keys, ring: &Ring) -> impl Iterator<Item = Key> {
    keys.not_under(ring.active(Purpose::Rest), ring.active(Purpose::Pepper))
}

/// What a record says of a piece: under which key it is from then on, and how many.
fn object(directory: &Directory, purpose: Purpose, count: usize) -> String {
    format!("{}/{} {count}", purpose.name(), directory.ring().active(purpose))
}

#[cfg(test)]
mod tests;
