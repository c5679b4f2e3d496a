//! A table of packed rows in small shards, each sorted by the hashes of its ids.

use super::links::place;
use super::packed::Unpackable;
use super::recent::{Origin, Recent};
use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// How many rows a shard has where they are put together; when there are four times as many, they are put together anew.
const SHARD: usize = 256;

/// Into how many heaps rows are gathered, each of which is given up as its shards are made. So that there is never twice as much
/// as there is.
const HEAPS: usize = 64;

/// How something is packed.
pub(super) trait Packed {
    /// What is packed.
    type Value;
    /// What somebody gets who asks for one.
    type Held;

    /// Appends what is its own, and what others may have as well.
    fn pack(value: &Self::Value, own: &mut Vec<u8>, common: &mut Vec<u8>) -> Result<(), Unpackable>;
    /// None for what [`Self::pack`] never makes.
    fn open(own: &[u8], common: &[u8]) -> Option<Self::Value>;
    fn hold(value: Self::Value) -> Self::Held;
    fn id(value: &Self::Value) -> &[u8];
    /// The id in what [`Self::pack`] has made.
    fn id_of(own: &[u8]) -> Option<&[u8]>;
}

/// Where a row ends, and which of the shard's common parts it has.
#[derive(Clone, Copy, Debug)]
struct Row {
    end: u32,
    common: u32,
}

/// Some rows.
#[derive(Debug)]
struct Shard {
    /// Never that of another one.
    number: u64,
    /// In order.
    hashes: Box<[u64]>,
    rows: Box<[Row]>,
    owns: Box<[u8]>,
    commons: Box<[Box<[u8]>]>,
}

impl Shard {
    /// What is the row's own, and what it has in common with others.
    fn row(&self, at: usize) -> Option<(&[u8], &[u8])> {
        let row = self.rows.get(at)?;
        let start = match at.checked_sub(1) {
            Some(before) => self.rows.get(before)?.end,
            None => 0,
        };
        let own = self.owns.get(size(start)..size(row.end))?;
        Some((own, self.commons.get(size(row.common))?))
    }

    /// The rows of this hash.
    fn of_hash(&self, hash: u64) -> impl Iterator<Item = usize> {
        let first = self.hashes.partition_point(|other| *other < hash);
        (first..self.hashes.len()).take_while(move |at| self.hashes.get(*at) == Some(&hash))
    }

    fn each(&self) -> impl Iterator<Item = (u64, &[u8], &[u8])> {
        self.hashes.iter().enumerate().filter_map(|(at, hash)| {
            let (own, common) = self.row(at)?;
            Some((*hash, own, common))
        })
    }
}

/// A shard that is being made. Used for one after another, because what a shard keeps is cut to its size.
#[derive(Default)]
struct Draft {
    hashes: Vec<u64>,
    rows: Vec<Row>,
    owns: Vec<u8>,
    commons: Vec<Box<[u8]>>,
    known: HashMap<Box<[u8]>, u32>,
}

impl Draft {
    /// Takes one more row, whose hash is not below the last one's.
    fn push(&mut self, hash: u64, own: &[u8], common: &[u8]) -> Result<(), Unpackable> {
        let short = |length: usize| u32::try_from(length).map_err(|_| Unpackable::too_much());
        let common = if let Some(number) = self.known.get(common) {
            *number
        } else {
            let number = short(self.commons.len())?;
            self.commons.push(common.into());
            self.known.insert(common.into(), number);
            number
        };
        self.owns.extend_from_slice(own);
        self.hashes.push(hash);
        self.rows.push(Row { end: short(self.owns.len())?, common });
        Ok(())
    }

    fn finish(&mut self) -> Arc<Shard> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let shard = Shard {
            number: NUMBER.fetch_add(1, Ordering::Relaxed),
            hashes: self.hashes.as_slice().into(),
            rows: self.rows.as_slice().into(),
            owns: self.owns.as_slice().into(),
            commons: std::mem::take(&mut self.commons).into(),
        };
        self.hashes.clear();
        self.rows.clear();
        self.owns.clear();
        self.known.clear();
        Arc::new(shard)
    }
}

/// Rows as they come, one after another, with where each begins.
#[derive(Debug, Default)]
struct Heap {
    bytes: Vec<u8>,
    /// The hash of each row, and where it begins.
    rows: Vec<(u64, usize)>,
}

impl Heap {
    fn add(&mut self, hash: u64, own: &[u8], common: &[u8]) -> Result<(), Unpackable> {
        self.rows.push((hash, self.bytes.len()));
        for part in [own, common] {
            let length = u32::try_from(part.len()).map_err(|_| Unpackable::too_much())?;
            self.bytes.extend_from_slice(&length.to_le_bytes());
            self.bytes.extend_from_slice(part);
        }
        Ok(())
    }

    fn row(&self, start: usize) -> Option<(&[u8], &[u8])> {
        let (own, rest) = part(self.bytes.get(start..)?)?;
        Some((own, part(rest)?.0))
    }
}

/// What follows its length, and what follows that.
fn part(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk()?;
    rest.split_at_checked(size(u32::from_le_bytes(*length)))
}

/// Rows that a table is made of, gathered in any order.
pub(super) struct Shards<P> {
    heaps: Vec<Heap>,
    hasher: RandomState,
    own: Vec<u8>,
    common: Vec<u8>,
    packed: PhantomData<fn(P)>,
}

impl<P> std::fmt::Debug for Shards<P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Shards({})", self.len())
    }
}

impl<P> Default for Shards<P> {
    fn default() -> Self {
        Self::new(RandomState::new())
    }
}

impl<P> Shards<P> {
    fn new(hasher: RandomState) -> Self {
        let heaps = (0..HEAPS).map(|_| Heap::default()).collect();
        Self { heaps, hasher, own: Vec::new(), common: Vec::new(), packed: PhantomData }
    }

    pub(super) fn beside(&self) -> Self {
        Self::new(self.hasher.clone())
    }

    pub(super) fn hasher(&self) -> &RandomState {
        &self.hasher
    }

    fn len(&self) -> usize {
        self.heaps.iter().map(|heap| heap.rows.len()).sum()
    }

    fn put(&mut self, hash: u64, own: &[u8], common: &[u8]) -> Result<(), Unpackable> {
        self.heaps.get_mut(place(hash, HEAPS)).map_or(Ok(()), |heap| heap.add(hash, own, common))
    }
}

impl<P: Packed> Shards<P> {
    pub(super) fn add(&mut self, value: &P::Value) -> Result<(), Unpackable> {
        let (mut own, mut common) = (std::mem::take(&mut self.own), std::mem::take(&mut self.common));
        own.clear();
        common.clear();
        P::pack(value, &mut own, &mut common)?;
        self.put(self.hasher.hash_one(P::id(value)), &own, &common)?;
        (self.own, self.common) = (own, common);
        Ok(())
    }

    /// The table of these rows and of those that were gathered beside them. Of two of one id that were gathered in one place the
    /// later counts.
    pub(super) fn finish(self, beside: Vec<Self>) -> Result<Table<P>, Unpackable> {
        let hasher = self.hasher.clone();
        let mut places: Vec<_> = std::iter::once(self).chain(beside).collect();
        let total = places.iter().map(Shards::len).sum::<usize>();
        let count = (total / SHARD).max(1).next_power_of_two();
        let (mut draft, mut shards, mut len) = (Draft::default(), Vec::with_capacity(count), 0);
        for number in 0..HEAPS {
            // Taken out, so that it is given up as soon as its shards are made.
            let heaps: Vec<Heap> = places
                .iter_mut()
                .filter_map(|place| place.heaps.get_mut(number).map(std::mem::take))
                .collect();
            for (hash, own, common) in in_order::<P>(&heaps) {
                while shards.len() < place(hash, count) {
                    shards.push(draft.finish());
                }
                draft.push(hash, own, common)?;
                len += 1;
            }
        }
        while shards.len() < count {
            shards.push(draft.finish());
        }
        Ok(Table { shards, len, hasher, recent: Arc::new(Recent::with_room(len)) })
    }
}

/// The rows of some heaps by their hashes; of two of one id the one that came later.
fn in_order<P: Packed>(heaps: &[Heap]) -> impl Iterator<Item = (u64, &[u8], &[u8])> {
    let mut all: Vec<(u64, Reverse<usize>, &Heap)> =
        Vec::with_capacity(heaps.iter().map(|h| h.rows.len()).sum());
    for heap in heaps {
        all.extend(heap.rows.iter().map(|(hash, start)| (*hash, Reverse(*start), heap)));
    }
    all.sort_unstable_by_key(|(hash, start, _)| (*hash, *start));
    let mut same: Vec<(u64, &[u8])> = Vec::new();
    all.into_iter().filter_map(move |(hash, Reverse(start), heap)| {
        let (own, common) = heap.row(start)?;
        let id = P::id_of(own)?;
        same.retain(|(other, _)| *other == hash);
        if same.iter().any(|(_, other)| *other == id) {
            return None;
        }
        same.push((hash, id));
        Some((hash, own, common))
    })
}

/// Packed rows by their ids. A table that was made from another shares with it what has not changed.
pub(super) struct Table<P: Packed> {
    /// A power of two.
    shards: Vec<Arc<Shard>>,
    len: usize,
    hasher: RandomState,
    recent: Arc<Recent<P::Held>>,
}

// By hand, because what is packed need not be copied.
impl<P: Packed> Clone for Table<P> {
    fn clone(&self) -> Self {
        let Self { shards, len, hasher, recent } = self;
        Self { shards: shards.clone(), len: *len, hasher: hasher.clone(), recent: recent.clone() }
    }
}

impl<P: Packed> std::fmt::Debug for Table<P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Table({})", self.len)
    }
}

impl<P: Packed> Default for Table<P> {
    fn default() -> Self {
        let recent = Arc::new(Recent::with_room(0));
        Self { shards: vec![Draft::default().finish()], len: 0, hasher: RandomState::new(), recent }
    }
}

impl<P: Packed> Table<P> {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn hasher(&self) -> &RandomState {
        &self.hasher
    }

    /// The row of this id.
    pub(super) fn get(&self, id: &[u8]) -> Option<Arc<P::Held>> {
        let hash = self.hasher.hash_one(id);
        let shard = self.shard(hash)?;
        let named = |at: &usize| shard.row(*at).is_some_and(|(own, _)| P::id_of(own) == Some(id));
        let at = shard.of_hash(hash).find(named)?;
        self.held(shard, hash, at)
    }

    /// The rows whose ids have this hash: one or none, but for a coincidence.
    pub(super) fn of_hash(&self, hash: u64) -> impl Iterator<Item = Arc<P::Held>> {
        let rows = self
            .shard(hash)
            .into_iter()
            .flat_map(move |shard| shard.of_hash(hash).map(move |at| (shard, at)));
        rows.filter_map(move |(shard, at)| self.held(shard, hash, at))
    }

    /// Every row of which this is true of what it has in common with others.
    pub(super) fn iter(&self, some: impl Fn(&[u8]) -> bool) -> impl Iterator<Item = P::Value> {
        let any =
            move |shard: &Shard| -> Vec<bool> { shard.commons.iter().map(|common| some(common)).collect() };
        self.shards
            .iter()
            .map(move |shard| (shard, any(shard)))
            .filter(|(_, some)| some.contains(&true))
            .flat_map(|(shard, some)| {
                let rows = shard.rows.iter().enumerate();
                let wanted = rows.filter(move |(_, row)| some.get(size(row.common)) == Some(&true));
                wanted.filter_map(|(at, _)| shard.row(at)).filter_map(|(own, common)| P::open(own, common))
            })
    }

    /// With these as they are now, by their ids: none for one that is gone. What it costs depends on how many they are, and hardly
    /// on how many there are beside them.
    pub(super) fn with(&self, changes: Vec<(Vec<u8>, Option<P::Value>)>) -> Result<Self, Unpackable> {
        let mut by_shard: BTreeMap<usize, HashMap<Vec<u8>, Option<P::Value>>> = BTreeMap::new();
        for (id, value) in changes {
            let number = place(self.hasher.hash_one(id.as_slice()), self.shards.len());
            by_shard.entry(number).or_default().insert(id, value);
        }
        let mut after = self.clone();
        for (number, changes) in by_shard {
            if let Some(shard) = after.shards.get_mut(number) {
                let before = shard.hashes.len();
                *shard = changed::<P>(shard, &self.hasher, changes)?;
                after.len = after.len + shard.hashes.len() - before;
            }
        }
        // A table that began empty would keep the few places that it began with.
        if after.recent.is_small_for(after.len) {
            after.recent = Arc::new(Recent::with_room(after.len));
        }
        if after.len > after.shards.len() * SHARD * 4 { after.anew() } else { Ok(after) }
    }

    /// In as many shards as are right for so many rows.
    fn anew(self) -> Result<Self, Unpackable> {
        let mut all = Shards::new(self.hasher.clone());
        for (hash, own, common) in self.shards.iter().flat_map(|shard| shard.each()) {
            all.put(hash, own, common)?;
        }
        all.finish(Vec::new())
    }

    fn shard(&self, hash: u64) -> Option<&Shard> {
        self.shards.get(place(hash, self.shards.len())).map(|shard| &**shard)
    }

    fn held(&self, shard: &Shard, hash: u64, at: usize) -> Option<Arc<P::Held>> {
        let make = || shard.row(at).and_then(|(own, common)| P::open(own, common)).map(P::hold);
        self.recent.get(hash, Origin { shard: shard.number, row: at }, make)
    }
}

/// The shard with these as they are now.
fn changed<P: Packed>(
    shard: &Shard,
    hasher: &RandomState,
    changes: HashMap<Vec<u8>, Option<P::Value>>,
) -> Result<Arc<Shard>, Unpackable> {
    let mut heap = Heap::default();
    for (hash, own, common) in shard.each() {
        if P::id_of(own).is_none_or(|id| !changes.contains_key(id)) {
            heap.add(hash, own, common)?;
        }
    }
    for (id, value) in changes {
        if let Some(value) = value {
            let (mut own, mut common) = (Vec::new(), Vec::new());
            P::pack(&value, &mut own, &mut common)?;
            heap.add(hasher.hash_one(id.as_slice()), &own, &common)?;
        }
    }
    let mut draft = Draft::default();
    for (hash, own, common) in in_order::<P>(std::slice::from_ref(&heap)) {
        draft.push(hash, own, common)?;
    }
    Ok(draft.finish())
}

/// What is counted in thirty-two bits here fits in memory.
fn size(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
