//! A store in memory.

use super::ring;
use crate::client::{Client, Key};
use crate::clock::Timestamp;
use crate::contents::{Contents, Part, Stamp};
use crate::cutoff::{Cutoff, Cutoffs, Scope};
use crate::freeze::Freeze;
use crate::held::{Held, Turn, TurnEnd, Wish};
use crate::record::{Chain, ChainHead, Entry, Link, Record};
use crate::replay::Mark;
use crate::ring::RingRow;
use crate::root::RootRow;
use crate::store::{Appended, Change, RecordQuery, Spent, Store, StoreError, Stored};
use async_trait::async_trait;
use parking_lot::Mutex;
use std::collections::{BTreeMap, HashSet};
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use uuid::Uuid;

/// A store in memory, for tests alone.
#[derive(Default)]
pub struct MemoryStore {
    inner: Mutex<Inner>,
    down: AtomicBool,
    deaf: AtomicBool,
    seen: Mutex<Option<Timestamp>>,
}

#[derive(Default)]
struct Inner {
    chain: Option<Chain>,
    clients: Vec<Client>,
    keys: Vec<Key>,
    ring: Vec<RingRow>,
    cutoffs: Vec<Cutoff>,
    freezes: Vec<Freeze>,
    roots: Vec<RootRow>,
    held: BTreeMap<Mark, Held>,
    records: Vec<(Record, Link)>,
    spent: HashSet<Mark>,
    uses: BTreeMap<String, Timestamp>,
    version: u64,
    /// How often each part was changed.
    changed: Changed,
    /// Every change of a cut-off, in order: to this instant, or away.
    recuts: Vec<(Scope, Option<Timestamp>)>,
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
            Change::PutClient(_) => self.clients += 1,
            Change::PutKey(_) => self.keys += 1,
            Change::AddRing(_) | Change::PutRing(_) | Change::SwapRing { .. } => self.ring += 1,
            Change::Freeze(_) | Change::Thaw(_) => self.freezes += 1,
            Change::SwapRoots { .. } => self.roots += 1,
            // They have a count of their own.
            Change::Cut(_) | Change::Uncut(_) => (),
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

fn shared<T: Clone>(known: &Part<Vec<Arc<T>>>, number: u64, all: &[T]) -> Part<Vec<Arc<T>>> {
    let read = || Ok::<_, Infallible>(all.iter().cloned().map(Arc::new).collect());
    known.at(stamp(number), read).unwrap_or_else(|never| match never {})
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
            clients: shared(&known.clients, changed.clients, &inner.clients),
            keys: shared(&known.keys, changed.keys, &inner.keys),
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
        for change in changes {
            inner.changed.by(&change);
            match change {
                Change::PutClient(client) => {
                    inner.clients.retain(|c| c.guid != client.guid);
                    inner.clients.push(client);
                }
                Change::PutKey(key) => {
                    inner.keys.retain(|k| k.id != key.id);
                    inner.keys.push(key);
                }
                Change::AddRing(rows) => {
                    let same = |a: &RingRow, b: &RingRow| (a.purpose, a.version) == (b.purpose, b.version);
                    if inner.ring.iter().any(|old| rows.iter().any(|new| same(old, new))) {
                        return Err(StoreError::Conflict("the ring has this key already".into()));
                    }
                    inner.ring.extend(rows);
                }
                Change::PutRing(rows) => {
                    let same = |a: &RingRow, b: &RingRow| (a.purpose, a.version) == (b.purpose, b.version);
                    inner.ring.retain(|old| !rows.iter().any(|new| same(old, new)));
                    inner.ring.extend(rows);
                }
                Change::SwapRing { old, new } => {
                    if !old.iter().all(|row| inner.ring.contains(row)) {
                        return Err(StoreError::Conflict("the ring's keys have changed meanwhile".into()));
                    }
                    let same = |a: &RingRow, b: &RingRow| (a.purpose, a.version) == (b.purpose, b.version);
                    inner.ring.retain(|row| !old.contains(row) && !new.iter().any(|new| same(row, new)));
                    inner.ring.extend(new);
                }
                Change::Cut(cutoff) => {
                    inner.cutoffs.retain(|old| old.scope != cutoff.scope || old.before > cutoff.before);
                    if inner.cutoffs.iter().all(|old| old.scope != cutoff.scope) {
                        inner.recuts.push((cutoff.scope.clone(), Some(cutoff.before)));
                        inner.cutoffs.push(cutoff);
                    }
                }
                Change::Freeze(freeze) => {
                    if inner.freezes.iter().all(|old| old.place != freeze.place) {
                        inner.freezes.push(freeze);
                    }
                }
                Change::Thaw(place) => {
                    let before = inner.freezes.len();
                    inner.freezes.retain(|freeze| freeze.place != place);
                    if inner.freezes.len() == before {
                        return Err(StoreError::Conflict(format!("{place} is not frozen")));
                    }
                }
                Change::SwapRoots { old, new } => {
                    if !old.iter().all(|row| inner.roots.contains(row)) {
                        return Err(StoreError::Conflict("the root keys have changed meanwhile".into()));
                    }
                    inner.roots.retain(|row| !old.contains(row));
                    let place = |row: &RootRow| (row.issuer.clone(), row.slot);
                    if new.iter().any(|new| inner.roots.iter().any(|row| place(row) == place(new))) {
                        return Err(StoreError::Conflict("the slot is taken".into()));
                    }
                    inner.roots.extend(new);
                }
                Change::Uncut(gone) => {
                    let millis = |cutoff: &Cutoff| (cutoff.scope.clone(), cutoff.before.as_millisecond());
                    let there: HashSet<_> = inner.cutoffs.iter().map(millis).collect();
                    if !gone.iter().all(|cutoff| there.contains(&millis(cutoff))) {
                        return Err(StoreError::Conflict("the cut-offs have changed meanwhile".into()));
                    }
                    inner.cutoffs.retain(|old| gone.iter().all(|cutoff| cutoff.scope != old.scope));
                    inner.recuts.extend(gone.into_iter().map(|cutoff| (cutoff.scope, None)));
                }
            }
        }
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
        let all = (1..).zip(inner.records.iter().map(|(record, _)| record.clone()));
        let wanted = all.filter(|(position, _)| query.after.is_none_or(|after| *position > after));
        Ok(wanted.take(query.limit).map(|(position, record)| Stored { position, record }).collect())
    }
    async fn heads(&self) -> Result<Vec<ChainHead>, StoreError> {
        Ok(self.inner.lock().chain.iter().map(Chain::head).collect())
    }
    async fn links(&self, writer: Uuid, after: u64, limit: usize) -> Result<Vec<Link>, StoreError> {
        let inner = self.inner.lock();
        let links = inner.records.iter().map(|(_, link)| link);
        Ok(links.filter(|link| link.writer == writer && link.seq > after).take(limit).cloned().collect())
    }
    async fn close(&self) -> Result<(), StoreError> {
        Ok(())
    }
}
