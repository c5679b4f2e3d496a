//! The Merkle tree over a chain's records (RFC 9162 §2.1), by which one record is proved without the others.
//!
//! A leaf is a record's exact bytes. A writer keeps only the tree's [`Frontier`]: the roots of the complete
//! subtrees along its right edge, at most one per bit of its size. From it follow the root that a checkpoint signs
//! and the frontier after the next record. Whoever exports records reads a chain twice: once into [`Ranges`], which
//! keeps one hash per [`BLOCK`] leaves, and once block by block for the proofs, so that memory does not grow with
//! the number of records in any way that matters: 64 bytes of hashes for 1024 records.
//!
//! Leaves and inner nodes are hashed with different first bytes; without that, an inner node could be presented
//! as a record (a second preimage, RFC 9162 §2.1.1).

use aws_lc_rs::digest::{Context, SHA256, digest};
use std::collections::BTreeMap;

/// A SHA-256 of a leaf, a subtree or a whole tree.
pub type Hash = [u8; 32];

/// How many leaves share one entry in [`Ranges`].
pub const BLOCK: u64 = 1 << BLOCK_LEVEL;
const BLOCK_LEVEL: u32 = 10;
/// No tree is larger. A stored frontier that says otherwise is not one of ours, and to add to it might overflow.
const MAX_SIZE: u64 = 1 << 62;

const LEAF: &[u8] = &[0];
const NODE: &[u8] = &[1];

/// The hash of a record's bytes as a leaf.
pub fn leaf(bytes: &[u8]) -> Hash {
    let mut context = Context::new(&SHA256);
    context.update(LEAF);
    context.update(bytes);
    hash(context.finish().as_ref())
}

/// The right edge of a tree: enough to go on adding leaves and to say the root, whatever the number of leaves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    /// The roots of the complete subtrees that the tree consists of, from the left: the largest first.
    peaks: Vec<Hash>,
}

impl Frontier {
    /// The tree without leaves.
    pub const fn new() -> Self {
        Self { size: 0, peaks: Vec::new() }
    }

    /// How many leaves the tree has.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Adds a leaf, made by [`leaf`], at the end.
    pub fn append(&mut self, leaf: Hash) {
        self.grow(leaf, |_, _| {});
    }

    /// The root of the tree, as a checkpoint states it. Of the empty tree it is the hash of nothing.
    pub fn root(&self) -> Hash {
        joined(&self.peaks).unwrap_or_else(|| hash(digest(&SHA256, b"").as_ref()))
    }

    /// As it is stored: the size in eight bytes, the most significant first, and the peaks from the left.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(8 + 32 * self.peaks.len());
        bytes.extend_from_slice(&self.size.to_be_bytes());
        bytes.extend(self.peaks.iter().flatten());
        bytes
    }

    /// Reads what [`Frontier::to_bytes`] wrote; none for anything else.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (size, peaks) = bytes.split_first_chunk()?;
        let size = u64::from_be_bytes(*size);
        let (peaks, rest) = peaks.as_chunks::<32>();
        let whole = rest.is_empty() && size <= MAX_SIZE && peaks.len() == size.count_ones() as usize;
        whole.then(|| Self { size, peaks: peaks.to_vec() })
    }

    /// Adds a leaf and tells every subtree that it completes, itself included.
    fn grow(&mut self, leaf: Hash, mut made: impl FnMut(Place, Hash)) {
        let mut place = Place { level: 0, index: self.size };
        let mut whole = leaf;
        made(place, whole);
        // As long as the place is a right one, its left neighbour is the last peak.
        while place.index & 1 == 1 {
            let Some(left) = self.peaks.pop() else { break };
            whole = node(&left, &whole);
            place = place.parent();
            made(place, whole);
        }
        self.peaks.push(whole);
        self.size += 1;
    }

    /// The peaks with their places, from the left.
    fn places(&self) -> impl Iterator<Item = (Place, Hash)> {
        let levels = (0..u64::BITS).rev().filter(|level| self.size >> level & 1 == 1);
        // What stands left of a peak is what the higher bits of the size say.
        let places = levels.map(|level| Place { level, index: (self.size >> level) - 1 });
        places.zip(self.peaks.iter().copied())
    }
}

/// A complete subtree: of 2^level leaves, the index-th of its level.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    level: u32,
    index: u64,
}

impl Place {
    fn parent(self) -> Self {
        Self { level: self.level + 1, index: self.index >> 1 }
    }

    fn first_leaf(self) -> u64 {
        self.index << self.level
    }

    fn block(self) -> u64 {
        self.first_leaf() >> BLOCK_LEVEL
    }
}

/// The inner nodes of a tree down to blocks of [`BLOCK`] leaves: what proofs need beyond the block they are in.
pub struct Ranges {
    base: Frontier,
    frontier: Frontier,
    nodes: BTreeMap<Place, Hash>,
}

impl Ranges {
    /// Begins with what was removed from the beginning of the chain; [`Frontier::new`] where nothing was. Records
    /// that are gone cannot be proved any more, but all that follow can.
    pub fn new(base: Frontier) -> Self {
        let nodes = base.places().filter(|(place, _)| place.level >= BLOCK_LEVEL).collect();
        Self { frontier: base.clone(), base, nodes }
    }

    /// Adds a leaf at the end.
    pub fn append(&mut self, leaf: Hash) {
        let Self { frontier, nodes, .. } = self;
        frontier.grow(leaf, |place, hash| {
            if place.level >= BLOCK_LEVEL {
                nodes.insert(place, hash);
            }
        });
    }

    /// The whole tree's right edge: its size and root.
    pub fn frontier(&self) -> &Frontier {
        &self.frontier
    }

    /// The leaves of the block that a leaf is in, as far as they exist and were not removed: what
    /// [`Ranges::block`] wants. `index` counts from 0.
    pub fn leaves_of(&self, index: u64) -> std::ops::Range<u64> {
        let first = index >> BLOCK_LEVEL << BLOCK_LEVEL;
        first.max(self.base.size)..(first + BLOCK).min(self.frontier.size)
    }

    /// Prepares the proofs of a block's leaves, which must be all those of [`Ranges::leaves_of`], in order; none
    /// if they are not those that were appended.
    pub fn block(&self, index: u64, leaves: &[Hash]) -> Option<Block<'_>> {
        let range = self.leaves_of(index);
        if !range.contains(&index) || range.end - range.start != leaves.len() as u64 {
            return None;
        }
        let block = index >> BLOCK_LEVEL;
        let inside = |place: &Place| place.level < BLOCK_LEVEL && place.block() == block;
        // Only the base's peaks inside the block can still be joined with its leaves; whatever is joined with the
        // others lies above it and is known.
        let (places, peaks): (Vec<_>, Vec<_>) = self.base.places().filter(|(place, _)| inside(place)).unzip();
        let mut nodes: BTreeMap<Place, Hash> = places.into_iter().zip(peaks.iter().copied()).collect();
        let mut edge = Frontier { size: range.start, peaks };
        for leaf in leaves {
            edge.grow(*leaf, |place, hash| {
                nodes.insert(place, hash);
            });
        }
        let known = |(place, hash): (Place, Hash)| place.block() == block && nodes.get(&place) != Some(&hash);
        let whole = Place { level: BLOCK_LEVEL, index: block };
        let same = match self.nodes.get(&whole) {
            Some(hash) => nodes.get(&whole) == Some(hash),
            None => !self.frontier.places().any(known),
        };
        same.then_some(Block { ranges: self, range, nodes })
    }
}

/// One block's leaves and all between them and the block's root.
pub struct Block<'a> {
    ranges: &'a Ranges,
    range: std::ops::Range<u64>,
    nodes: BTreeMap<Place, Hash>,
}

impl Block<'_> {
    /// The path from a leaf of this block to the root, from the bottom (RFC 9162 §2.1.3.1); none for a leaf of
    /// another block. `index` counts from 0.
    pub fn path(&self, index: u64) -> Option<Vec<Hash>> {
        if !self.range.contains(&index) {
            return None;
        }
        let frontier = &self.ranges.frontier;
        let mut path = Vec::new();
        let mut place = Place { level: 0, index };
        // The first place that reaches over the whole tree is the root.
        while place.index > 0 || 1 << place.level < frontier.size {
            let beside = Place { index: place.index ^ 1, ..place };
            if beside.first_leaf() < frontier.size {
                path.push(self.at(beside)?);
            }
            place = place.parent();
        }
        Some(path)
    }

    /// A subtree's hash; at the right edge, of as much of it as exists.
    fn at(&self, place: Place) -> Option<Hash> {
        let known = if place.level < BLOCK_LEVEL { &self.nodes } else { &self.ranges.nodes };
        known.get(&place).copied().or_else(|| {
            let first = place.first_leaf();
            let right = self.ranges.frontier.places().filter(|(peak, _)| peak.first_leaf() >= first);
            joined(&right.map(|(_, hash)| hash).collect::<Vec<_>>())
        })
    }
}

/// Whether the path leads from the leaf to the root (RFC 9162 §2.1.3.2). `index` counts from 0.
pub fn proves(leaf: Hash, index: u64, size: u64, path: &[Hash], root: &Hash) -> bool {
    if index >= size {
        return false;
    }
    let (mut place, mut last) = (index, size - 1);
    let mut whole = leaf;
    for beside in path {
        if last == 0 {
            return false;
        }
        if place & 1 == 1 || place == last {
            whole = node(beside, &whole);
            // At the right edge, levels without a right neighbour were left out of the path.
            let left_out = if place == 0 { u64::BITS - 1 } else { place.trailing_zeros() };
            (place, last) = (place >> left_out, last >> left_out);
        } else {
            whole = node(&whole, beside);
        }
        (place, last) = (place >> 1, last >> 1);
    }
    last == 0 && whole == *root
}

/// Subtrees side by side, from the left and each smaller than the one before, as one.
fn joined(peaks: &[Hash]) -> Option<Hash> {
    peaks.iter().rev().copied().reduce(|right, left| node(&left, &right))
}

fn node(left: &Hash, right: &Hash) -> Hash {
    let mut context = Context::new(&SHA256);
    for part in [NODE, left, right] {
        context.update(part);
    }
    hash(context.finish().as_ref())
}

fn hash(digest: &[u8]) -> Hash {
    // A SHA-256 has 32 bytes.
    digest.first_chunk().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The definition, word by word (RFC 9162 §2.1.1).
    fn naive_root(leaves: &[Hash]) -> Hash {
        match leaves {
            [] => hash(digest(&SHA256, b"").as_ref()),
            [only] => *only,
            more => {
                let (left, right) = more.split_at(more.len().next_power_of_two() / 2);
                node(&naive_root(left), &naive_root(right))
            }
        }
    }

    /// The definition, word by word (RFC 9162 §2.1.3.1).
    fn naive_path(index: usize, leaves: &[Hash]) -> Vec<Hash> {
        if leaves.len() <= 1 {
            return Vec::new();
        }
        let middle = leaves.len().next_power_of_two() / 2;
        let (left, right) = leaves.split_at(middle);
        let (mut path, beside) = if index < middle {
            (naive_path(index, left), naive_root(right))
        } else {
            (naive_path(index - middle, right), naive_root(left))
        };
        path.push(beside);
        path
    }

    fn leaves(count: u64) -> Vec<Hash> {
        (0..count).map(|number| leaf(&number.to_be_bytes())).collect()
    }

    fn grown(leaves: &[Hash]) -> Frontier {
        let mut frontier = Frontier::new();
        for leaf in leaves {
            frontier.append(*leaf);
        }
        frontier
    }

    fn ranges(base: usize, leaves: &[Hash]) -> Ranges {
        let mut ranges = Ranges::new(grown(&leaves[..base]));
        for leaf in &leaves[base..] {
            ranges.append(*leaf);
        }
        ranges
    }

    fn path_of(ranges: &Ranges, index: u64, leaves: &[Hash]) -> Option<Vec<Hash>> {
        let block = ranges.leaves_of(index);
        let leaves =
            leaves.get(usize::try_from(block.start).unwrap()..usize::try_from(block.end).unwrap())?;
        ranges.block(index, leaves)?.path(index)
    }

    #[test]
    fn known_roots() {
        // The eight inputs and their roots that implementations of Certificate Transparency share.
        let inputs: [&[u8]; 8] = [
            b"",
            b"\x00",
            b"\x10",
            b"\x20\x21",
            b"\x30\x31",
            b"\x40\x41\x42\x43",
            b"\x50\x51\x52\x53\x54\x55\x56\x57",
            b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
        ];
        let roots = [
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
            "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
            "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
            "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
            "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
        ];
        let mut frontier = Frontier::new();
        let hex = |hash: Hash| hash.map(|byte| format!("{byte:02x}")).concat();
        let nothing = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(hex(frontier.root()), nothing);
        for (input, root) in inputs.into_iter().zip(roots) {
            frontier.append(leaf(input));
            assert_eq!(hex(frontier.root()), root);
        }
    }

    #[test]
    fn the_paths_of_the_seven_leaves_that_the_rfc_draws() {
        // RFC 9162 §2.1.5.
        let leaves = leaves(7);
        let pair = |at: usize| node(&leaves[at], &leaves[at + 1]);
        let (left, right) = (node(&pair(0), &pair(2)), node(&pair(4), &leaves[6]));
        let ranges = ranges(0, &leaves);
        assert_eq!(ranges.frontier().root(), node(&left, &right));
        for (index, path) in [
            (0, vec![leaves[1], pair(2), right]),
            (3, vec![leaves[2], pair(0), right]),
            (4, vec![leaves[5], leaves[6], left]),
            (6, vec![pair(4), left]),
        ] {
            assert_eq!(path_of(&ranges, index, &leaves).unwrap(), path);
        }
    }

    #[test]
    fn a_frontier_is_read_only_as_it_was_written() {
        for count in [0, 1, 2, 3, 7, 8, 1000] {
            let frontier = grown(&leaves(count));
            let bytes = frontier.to_bytes();
            assert_eq!(Frontier::from_bytes(&bytes), Some(frontier));
            assert_eq!(Frontier::from_bytes(&[&bytes[..], &[0]].concat()), None);
            assert_eq!(Frontier::from_bytes(&[&bytes[..], &[0; 32]].concat()), None);
            assert_eq!(Frontier::from_bytes(&bytes[..bytes.len() - 1]), None);
        }
        let huge = [&u64::MAX.to_be_bytes()[..], &[0; 64 * 32]].concat();
        assert_eq!(Frontier::from_bytes(&huge), None, "one more leaf would overflow");
    }

    #[test]
    fn blocks_are_believed_only_as_they_were_appended() {
        let mut leaves = leaves(BLOCK * 2 + 5);
        let ranges = ranges(0, &leaves);
        let last = BLOCK * 2 + 4;
        assert!(path_of(&ranges, 3, &leaves).is_some() && path_of(&ranges, last, &leaves).is_some());
        leaves[4][0] ^= 1;
        leaves[usize::try_from(last).unwrap()][0] ^= 1;
        assert!(path_of(&ranges, 3, &leaves).is_none(), "a complete block");
        assert!(path_of(&ranges, last, &leaves).is_none(), "the last one");
        assert!(path_of(&ranges, BLOCK, &leaves).is_some(), "another one");
        assert!(ranges.block(0, &leaves[..5]).is_none(), "too few");
        assert!(ranges.block(last + 1, &[]).is_none(), "nothing is there");
    }

    /// Sizes where the tree's shape changes, and any between.
    fn size() -> impl Strategy<Value = u64> {
        prop_oneof![1..70_u64, BLOCK - 3..BLOCK + 4, 1..5 * BLOCK, 4 * BLOCK..4 * BLOCK + 2]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn roots_and_paths_are_those_of_the_definition(
            count in size(), index in any::<prop::sample::Index>(), base in any::<prop::sample::Index>(),
        ) {
            let leaves = leaves(count);
            let index = index.index(leaves.len());
            let base = base.index(index + 1);
            let ranges = ranges(base, &leaves);
            let root = naive_root(&leaves);
            prop_assert_eq!(ranges.frontier(), &grown(&leaves));
            prop_assert_eq!(ranges.frontier().root(), root);
            let path = path_of(&ranges, index as u64, &leaves).unwrap();
            prop_assert_eq!(&path, &naive_path(index, &leaves));
            prop_assert!(proves(leaves[index], index as u64, count, &path, &root));
        }

        #[test]
        fn a_path_proves_one_leaf_at_one_place_in_one_tree(
            count in 2..70_u64, index in any::<prop::sample::Index>(), other in 0..80_u64, flip in 0..256_usize,
        ) {
            let leaves = leaves(count);
            let index = index.index(leaves.len()) as u64;
            let leaf = leaves[usize::try_from(index).unwrap()];
            let path = path_of(&ranges(0, &leaves), index, &leaves).unwrap();
            let root = naive_root(&leaves);
            prop_assert!(other == index || !proves(leaf, other, count, &path, &root));
            let changed = |mut hash: Hash| { hash[flip / 8] ^= 1 << (flip % 8); hash };
            prop_assert!(!proves(changed(leaf), index, count, &path, &root));
            prop_assert!(!proves(leaf, index, count, &path, &changed(root)));
            for at in 0..path.len() {
                let mut bent = path.clone();
                bent[at] = changed(bent[at]);
                prop_assert!(!proves(leaf, index, count, &bent, &root));
                let mut short = path.clone();
                short.remove(at);
                prop_assert!(!proves(leaf, index, count, &short, &root));
            }
            let long = [&path[..], &[root]].concat();
            prop_assert!(!proves(leaf, index, count, &long, &root));
        }
    }
}
