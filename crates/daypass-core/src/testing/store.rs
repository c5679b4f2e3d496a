//! A store in memory.

mod change;

use super::{ring, rows};
use crate::client::{Client, Key};
use crate::clock::Timestamp;
use crate::contents::{Contents, Part, Stamp};
use crate::cutoff::{Cutoff, Cutoffs, Scope};
use crate::freeze::Freeze;
use crate::held::{Held, Turn, TurnEnd, Wish};
use crate::people::{Clients, Keys, Unpackable};
use crate::ration::Due;
use crate::record::checkpoint::Kept;
use crate::record::{Chain, ChainHead, Entry, Link, Placed, Point, Record};
use crate::replay::Mark;
use crate::ring::{RingRow, SealRow};
use crate::room::Room;
use crate::root::RootRow;
use crate::store::{Appended, Change, Proof, RecordQuery, Spent, Store, StoreError, Stored};
use crate::transfer::Pages;
use async_trait::async_trait;
use parking_lot::Mutex;
use std::collections::{BTreeMap, HashSet};
use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, Ordering};
use uuid::Uuid;

/// A store in memory, for tests alone.
#[derive(Default)]
pub struct MemoryStore {
    inner: Mutex<Inner>,
    down: AtomicBool,
    deaf: AtomicBool,
    seen: Mutex<Option<Timestamp>>,
    room: Mutex<Option<Room>>,
}

#[derive(Default)]
struct Inner {
    chain: Option<Chain>,
    clients: Vec<Client>,
    keys: Vec<Key>,
    ring: Vec<RingRow>,
    seal: Option<SealRow>,
    cutoffs: Vec<Cutoff>,
    freezes: Vec<Freeze>,
    roots: Vec<RootRow>,
    held: BTreeMap<Mark, Held>,
    proofs: Proofs,
    records: Vec<(Record, Link)>,
    spent: HashSet<Mark>,
    uses: BTreeMap<String, Timestamp>,
    /// What each node has counted, by day and place.
    counted: BTreeMap<(i64, Mark, Uuid), u64>,
    clock: Option<Timestamp>,
    version: u64,
    /// How often each part was changed.
    changed: Changed,
    /// Every change of a cut-off, in order: to this instant, or away.
    recuts: Vec<(Scope, Option<Timestamp>)>,
}

/// What proves the chain, and what was removed from its beginning.
#[derive(Default)]
struct Proofs {
    checkpoints: Vec<Kept>,
    delivered: BTreeMap<String, u64>,
    base: Option<Point>,
    signed: u64,
    based: u64,
    /// Somebody has made every record look old.
    look_old: bool,
}

/// The numbers of the parts' stamps.
#[derive(Clone, Copy, Default)]
struct Changed {
    clients: u64,
    keys: u64,
    ring: u64,
    freezes: u64,
    roots: u64,
}

impl Changed {
    fn by(&mut self, change: &Change) {
        match change {
            Change::PutClient(_) | Change::SwapClient { .. } => self.clients += 1,
            Change::PutKey(_) | Change::SwapKeys { .. } => self.keys += 1,
            Change::AddRing(_) | Change::PutRing(_) | Change::SwapRing { .. } => self.ring += 1,
            Change::Freeze(_) | Change::Thaw(_) => self.freezes += 1,
            Change::SwapRoots { .. } => self.roots += 1,
            // They have a count of their own, or need none.
            Change::CutRecords { .. }
            | Change::ExpectKeys { .. }
            | Change::Cut(_)
            | Change::Uncut(_)
            | Change::SwapSeal { .. }
            | Change::SetClock(_) => (),
        }
    }
}

impl MemoryStore {
    /// A store that writes under a chain of the test ring.
    pub fn new() -> Self {
        let store = Self::default();
        store.inner.lock().chain = Chain::begin(&ring(), Uuid::from_u128(1));
        store
    }
    /// From now on nothing is taken.
    pub fn go_down(&self) {
        self.down.store(true, Ordering::SeqCst);
    }
    /// From now on nobody hears whether it has changed; it still takes what is written.
    pub fn go_deaf(&self) {
        self.deaf.store(true, Ordering::SeqCst);
    }
    /// Works again.
    pub fn come_back(&self) {
        self.deaf.store(false, Ordering::SeqCst);
        self.down.store(false, Ordering::SeqCst);
    }
    /// The next record with a mark is answered as seen by another node, first at this time.
    pub fn seen_elsewhere(&self, first: Timestamp) {
        *self.seen.lock() = Some(first);
    }
    /// From now on so much is left of the disk.
    pub fn set_room(&self, room: Option<Room>) {
        *self.room.lock() = room;
    }
    /// Somebody who can write to it says that so much of the chain was signed.
    pub fn say_signed(&self, size: u64) {
        self.inner.lock().proofs.signed = size;
    }
    /// Somebody who can write to it removes all checkpoints but so many of the first.
    pub fn forget_checkpoints(&self, but: usize) {
        self.inner.lock().proofs.checkpoints.truncate(but);
    }
    /// Somebody who can write to it makes every record look old.
    pub fn look_old(&self) {
        self.inner.lock().proofs.look_old = true;
    }
    /// Every record so far.
    pub fn all(&self) -> Vec<Record> {
        self.inner.lock().records.iter().map(|(record, _)| record.clone()).collect()
    }
    fn up(&self) -> Result<(), StoreError> {
        let down = self.down.load(Ordering::SeqCst);
        if down { Err(StoreError::Unavailable("a test took it down".into())) } else { Ok(()) }
    }
}

impl Inner {
    /// Every cut-off, where `known` is what the reader has of them.
    fn cutoffs(&self, known: &Part<Cutoffs>) -> Part<Cutoffs> {
        let stamp = stamp(self.recuts.len() as u64);
        let since = known.stamp().and_then(|stamp| self.recuts.get(usize::try_from(stamp.number).ok()?..));
        let read = || match since {
            Some(recuts) => Ok::<_, Infallible>(known.held().with(recuts.iter().cloned())),
            None => Ok(Cutoffs::new(self.cutoffs.iter().cloned())),
        };
        known.at(stamp, read).unwrap_or_else(|never| match never {})
    }
    /// The last position that was removed.
    fn removed(&self) -> i64 {
        self.proofs.base.as_ref().map_or(0, |base| base.seq().cast_signed())
    }
    fn write(&mut self, record: Record) -> Result<(), StoreError> {
        let chain =
            self.chain.as_mut().ok_or_else(|| StoreError::Conflict("nobody began to write".into()))?;
        let link = chain.link(&record).map_err(|e| StoreError::Damaged(e.to_string()))?;
        self.records.push((record, link));
        Ok(())
    }
}

fn stamp(number: u64) -> Stamp {
    Stamp { number, ..Stamp::default() }
}

fn at<T: Clone>(known: &Part<Vec<T>>, number: u64, all: &[T]) -> Part<Vec<T>> {
    known.at(stamp(number), || Ok::<_, Infallible>(all.to_vec())).unwrap_or_else(|never| match never {})
}

fn packed<T>(
    known: &Part<T>,
    number: u64,
    pack: impl FnOnce() -> Result<T, Unpackable>,
) -> Result<Part<T>, StoreError> {
    known.at(stamp(number), pack).map_err(|fault| StoreError::Damaged(fault.to_string()))
}

#[async_trait]
impl Store for MemoryStore {
    async fn begin(&self, chain: Chain) -> Result<(), StoreError> {
        self.inner.lock().chain = Some(chain);
        Ok(())
    }
    async fn clients(&self) -> Result<Vec<Client>, StoreError> {
        Ok(self.inner.lock().clients.clone())
    }
    async fn keys(&self) -> Result<Vec<Key>, StoreError> {
        Ok(self.inner.lock().keys.clone())
    }
    async fn ring(&self) -> Result<Vec<RingRow>, StoreError> {
        Ok(self.inner.lock().ring.clone())
    }
    async fn seal(&self) -> Result<Option<SealRow>, StoreError> {
        Ok(self.inner.lock().seal.clone())
    }
    async fn cutoffs(&self) -> Result<Vec<Cutoff>, StoreError> {
        Ok(self.inner.lock().cutoffs.clone())
    }
    async fn cutoff(&self, scope: Scope) -> Result<Option<Timestamp>, StoreError> {
        let inner = self.inner.lock();
        let cutoff = inner.cutoffs.iter().find(|cutoff| cutoff.scope == scope);
        Ok(cutoff.and_then(|cutoff| Timestamp::from_millisecond(cutoff.before.as_millisecond()).ok()))
    }
    async fn freezes(&self) -> Result<Vec<Freeze>, StoreError> {
        Ok(self.inner.lock().freezes.clone())
    }
    async fn roots(&self) -> Result<Vec<RootRow>, StoreError> {
        Ok(self.inner.lock().roots.clone())
    }
    async fn contents(&self, known: &Contents) -> Result<Contents, StoreError> {
        let inner = self.inner.lock();
        let changed = inner.changed;
        Ok(Contents {
            version: inner.version,
            clients: packed(&known.clients, changed.clients, || Clients::of(&inner.clients))?,
            keys: packed(&known.keys, changed.keys, || Keys::of(&inner.keys))?,
            ring: at(&known.ring, changed.ring, &inner.ring),
            cutoffs: inner.cutoffs(&known.cutoffs),
            freezes: at(&known.freezes, changed.freezes, &inner.freezes),
            roots: at(&known.roots, changed.roots, &inner.roots),
        })
    }
    async fn version(&self) -> Result<u64, StoreError> {
        if self.deaf.load(Ordering::SeqCst) {
            return Err(StoreError::Unavailable("a test made it deaf".into()));
        }
        Ok(self.inner.lock().version)
    }
    async fn change(&self, changes: Vec<Change>, record: Record) -> Result<(), StoreError> {
        self.up()?;
        let mut inner = self.inner.lock();
        changes.into_iter().try_for_each(|change| inner.make(change))?;
        inner.version += 1;
        inner.write(record)
    }
    async fn append(&self, entry: Entry) -> Result<Appended, StoreError> {
        self.up()?;
        if entry.mark.is_some()
            && let Some(first) = self.seen.lock().take()
        {
            return Ok(Appended::Seen(first));
        }
        self.inner.lock().write(entry.record).map(|()| Appended::Appended)
    }
    async fn uses(&self) -> Result<Vec<(String, Timestamp)>, StoreError> {
        Ok(self.inner.lock().uses.iter().map(|(key, at)| (key.clone(), *at)).collect())
    }
    async fn note_counts(&self, node: Uuid, due: Due) -> Result<Vec<(Mark, u64)>, StoreError> {
        self.up()?;
        let mut inner = self.inner.lock();
        inner.counted.retain(|(day, ..), _| *day >= due.day - 1);
        for (place, count) in &due.counts {
            let there = inner.counted.entry((due.day, *place, node)).or_default();
            *there = (*there).max(*count);
        }
        let sum = |place: Mark| {
            let others = inner
                .counted
                .iter()
                .filter(|((day, at, of), _)| *day == due.day && *at == place && *of != node);
            (place, others.map(|(_, count)| count).sum())
        };
        Ok(due.counts.iter().map(|(place, _)| sum(*place)).collect())
    }
    async fn counts(&self, day: i64, but: Uuid) -> Result<Vec<(Mark, u64)>, StoreError> {
        self.up()?;
        let mut sums = BTreeMap::<Mark, u64>::new();
        for ((at, place, node), count) in &self.inner.lock().counted {
            if *at == day && *node != but {
                *sums.entry(*place).or_default() += count;
            }
        }
        Ok(sums.into_iter().collect())
    }
    async fn note_uses(&self, uses: Vec<(String, Timestamp)>) -> Result<(), StoreError> {
        self.up()?;
        let mut inner = self.inner.lock();
        for (key, at) in uses {
            let last = inner.uses.entry(key).or_insert(at);
            *last = at.max(*last);
        }
        Ok(())
    }
    async fn spend(&self, mark: Mark, _until: Timestamp) -> Result<Spent, StoreError> {
        self.up()?;
        Ok(if self.inner.lock().spent.insert(mark) { Spent::Now } else { Spent::Before })
    }
    async fn clock(&self) -> Result<Option<Timestamp>, StoreError> {
        Ok(self.inner.lock().clock)
    }
    async fn note_clock(&self, now: Timestamp) -> Result<Timestamp, StoreError> {
        self.up()?;
        let mut inner = self.inner.lock();
        let latest = inner.clock.map_or(now, |clock| clock.max(now));
        inner.clock = Some(latest);
        Ok(latest)
    }
    async fn room(&self) -> Result<Option<Room>, StoreError> {
        Ok(*self.room.lock())
    }
    async fn held(&self, place: Mark) -> Result<Option<Held>, StoreError> {
        self.up()?;
        Ok(self.inner.lock().held.get(&place).cloned())
    }
    async fn take_turn(&self, wish: Wish) -> Result<Turn, StoreError> {
        self.up()?;
        let mut inner = self.inner.lock();
        let Wish { place, seen, holder, now, until } = wish;
        let there = inner.held.get(&place).cloned();
        let turn = there.as_ref().map_or(0, |held| held.turn);
        match there {
            Some(held) if held.blocks(now) && held.holder != Some(holder) => return Ok(Turn::Busy(held)),
            Some(held) if held.turn != seen => return Ok(Turn::Moved(held)),
            _ => (),
        }
        let sealed = there.as_ref().and_then(|held| held.sealed.clone());
        let keep = there.map_or(until, |held| held.keep.max(until));
        inner.held.insert(place, Held { turn: turn + 1, holder: Some(holder), until, sealed, keep });
        Ok(Turn::Mine(turn + 1))
    }
    async fn end_turn(&self, end: TurnEnd) -> Result<bool, StoreError> {
        self.up()?;
        let mut inner = self.inner.lock();
        match inner.held.get_mut(&end.place) {
            Some(held) if held.turn == end.turn && held.holder == Some(end.holder) => {
                held.holder = None;
                held.until = end.until;
                held.keep = end.keep;
                if let Some(sealed) = end.sealed {
                    held.sealed = Some(sealed);
                }
                Ok(true)
            }
            _ => Ok(false),
        }
    }
    async fn records(&self, query: RecordQuery) -> Result<Vec<Stored>, StoreError> {
        let inner = self.inner.lock();
        let RecordQuery { tenant, since, after, limit } = query;
        let all = (inner.removed() + 1..).zip(inner.records.iter().map(|(record, _)| record));
        let wanted = all.filter(|(position, record)| {
            after.is_none_or(|after| *position > after)
                && since.is_none_or(|since| record.at >= since)
                && (tenant.is_none() || tenant == record.tenant)
        });
        let mut found: Vec<_> =
            wanted.map(|(position, record)| Stored { position, record: record.clone() }).collect();
        if after.is_none() {
            // The newest ones are meant.
            found.drain(..found.len().saturating_sub(limit));
        }
        found.truncate(limit);
        Ok(found)
    }
    async fn heads(&self) -> Result<Vec<ChainHead>, StoreError> {
        let inner = self.inner.lock();
        let Proofs { base, signed, based, .. } = &inner.proofs;
        let (signed, based) = (*signed, *based);
        let head = |chain: &Chain| ChainHead { base: base.clone(), signed, based, ..chain.head() };
        Ok(inner.chain.iter().map(head).collect())
    }
    async fn links(&self, writer: Uuid, after: u64, limit: usize) -> Result<Vec<Link>, StoreError> {
        let inner = self.inner.lock();
        let links = inner.records.iter().map(|(_, link)| link);
        Ok(links.filter(|link| link.writer == writer && link.seq > after).take(limit).cloned().collect())
    }
    async fn placed(&self, after: i64, limit: usize) -> Result<Vec<Placed>, StoreError> {
        let inner = self.inner.lock();
        let (mut latest, mut all) = (i64::MIN, Vec::new());
        for (position, (record, link)) in (inner.removed() + 1..).zip(&inner.records) {
            latest = latest.max(if inner.proofs.look_old { 0 } else { record.at.as_millisecond() });
            if position > after && all.len() < limit {
                all.push(Placed { position, latest, link: link.clone() });
            }
        }
        Ok(all)
    }
    async fn checkpoints(&self, after: u64, limit: usize) -> Result<Vec<Kept>, StoreError> {
        let inner = self.inner.lock();
        let all = inner.proofs.checkpoints.iter().filter(|kept| kept.number > after);
        Ok(all.take(limit).cloned().collect())
    }
    async fn last_checkpoint(&self) -> Result<Option<Kept>, StoreError> {
        Ok(self.inner.lock().proofs.checkpoints.last().cloned())
    }
    async fn delivered(&self) -> Result<Vec<(String, u64)>, StoreError> {
        Ok(self
            .inner
            .lock()
            .proofs
            .delivered
            .iter()
            .map(|(place, number)| (place.clone(), *number))
            .collect())
    }
    async fn prove(&self, proof: Proof) -> Result<bool, StoreError> {
        self.up()?;
        let mut inner = self.inner.lock();
        let proofs = &mut inner.proofs;
        match proof {
            Proof::Checkpoint { kept, grown, cut } => {
                if kept.number != proofs.checkpoints.len() as u64 + 1 {
                    return Ok(false);
                }
                proofs.checkpoints.push(kept);
                proofs.signed = grown.last().map_or(proofs.signed, |(_, size)| *size);
                proofs.based = cut.last().map_or(proofs.based, |(_, size)| *size);
                Ok(true)
            }
            // A chain in memory has its tree.
            Proof::Tip { .. } => Ok(false),
            Proof::Delivered { place, number } => {
                let reached = proofs.delivered.entry(place).or_default();
                *reached = number.max(*reached);
                Ok(true)
            }
            Proof::Discard { forged } => {
                let there = !forged.is_empty() && proofs.checkpoints.ends_with(&forged);
                let rest = proofs.checkpoints.len().saturating_sub(forged.len());
                proofs.checkpoints.truncate(if there { rest } else { usize::MAX });
                if there {
                    proofs.delivered.values_mut().for_each(|number| *number = (*number).min(rest as u64));
                }
                Ok(there)
            }
        }
    }
    async fn snapshot(&self) -> Result<Box<dyn Pages>, StoreError> {
        let inner = self.inner.lock();
        let mut all = rows::ring_part(&inner.ring);
        all.extend(rows::people(&inner.clients, &inner.keys, &inner.cutoffs, &inner.freezes));
        all.extend(inner.chain.iter().flat_map(|chain| rows::chain_part(&chain.head(), &inner.records)));
        Ok(Box::new(rows::Rows::new(&all)))
    }
    async fn close(&self) -> Result<(), StoreError> {
        Ok(())
    }
}
