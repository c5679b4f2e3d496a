//! From one hash to others: pairs in small sorted pieces.

use std::sync::Arc;

/// How many pairs a piece has where they are put together; one that has grown to four times as many is divided with all others.
const PIECE: usize = 256;

/// Pairs of hashes. Who finds one by its first looks whether it is the one he means: two things may have one hash.
#[derive(Clone, Debug, Default)]
pub(super) struct Links {
    /// A power of two, or none.
    pieces: Vec<Arc<[(u64, u64)]>>,
    len: usize,
}

impl Links {
    pub(super) fn new(mut all: Vec<(u64, u64)>) -> Self {
        all.sort_unstable();
        let len = all.len();
        if len == 0 {
            return Self::default();
        }
        let count = (len / PIECE).max(1).next_power_of_two();
        let mut rest = all.as_slice();
        let piece = |number: usize| {
            let (piece, after) =
                rest.split_at(rest.partition_point(|(from, _)| place(*from, count) <= number));
            rest = after;
            Arc::from(piece)
        };
        Self { pieces: (0..count).map(piece).collect(), len }
    }

    /// What this leads to.
    pub(super) fn of(&self, from: u64) -> impl Iterator<Item = u64> {
        let piece = self.pieces.get(place(from, self.pieces.len())).map(|piece| &**piece).unwrap_or_default();
        let first = piece.partition_point(|(other, _)| *other < from);
        piece.iter().skip(first).take_while(move |(other, _)| *other == from).map(|(_, to)| *to)
    }

    /// Without some pairs, and with others.
    pub(super) fn with(&self, gone: Vec<(u64, u64)>, new: Vec<(u64, u64)>) -> Self {
        let grown = (self.len + new.len()) > self.pieces.len() * PIECE * 4;
        if grown || gone.len() + new.len() > self.pieces.len() {
            return Self::new(without(self.pieces.iter().flat_map(|piece| piece.iter().copied()), gone, new));
        }
        let mut after = self.clone();
        let count = after.pieces.len();
        let mut numbers: Vec<usize> = gone.iter().chain(&new).map(|(from, _)| place(*from, count)).collect();
        numbers.sort_unstable();
        numbers.dedup();
        for number in numbers {
            let here = |all: &[(u64, u64)]| -> Vec<_> {
                all.iter().copied().filter(|(from, _)| place(*from, count) == number).collect()
            };
            if let Some(piece) = after.pieces.get_mut(number) {
                let mut pairs = without(piece.iter().copied(), here(&gone), here(&new));
                pairs.sort_unstable();
                after.len = after.len + pairs.len() - piece.len();
                *piece = Arc::from(pairs);
            }
        }
        after
    }
}

/// These pairs without those that are gone, each of which takes one away, and with the new ones.
fn without(
    pairs: impl Iterator<Item = (u64, u64)>,
    mut gone: Vec<(u64, u64)>,
    new: Vec<(u64, u64)>,
) -> Vec<(u64, u64)> {
    gone.sort_unstable();
    let mut left = pairs.chain(new).collect::<Vec<_>>();
    left.sort_unstable();
    let mut gone = gone.into_iter().peekable();
    left.retain(|pair| {
        while gone.next_if(|next| next < pair).is_some() {}
        gone.next_if_eq(pair).is_none()
    });
    left
}

/// In which of so many pieces, a power of two, this hash lies: by its highest bits.
pub(super) fn place(hash: u64, count: usize) -> usize {
    let bits = count.max(1).trailing_zeros();
    usize::try_from(hash.checked_shr(u64::BITS - bits).unwrap_or_default()).unwrap_or_default()
}
