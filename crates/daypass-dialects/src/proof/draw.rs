//! Choices made by bytes, so that a fuzzer can steer them.

/// What is left of the bytes. When they are used up, every choice is the first one.
pub(super) struct Draw<'a>(&'a [u8]);

impl<'a> Draw<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// A number below `n`.
    pub(super) fn below(&mut self, n: usize) -> usize {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        usize::from(*first).checked_rem(n).unwrap_or(0)
    }

    /// One of a list; none where it is empty.
    pub(super) fn one<T: Clone>(&mut self, list: &[T]) -> Option<T> {
        list.get(self.below(list.len())).cloned()
    }

    /// One of some words.
    pub(super) fn word<'w>(&mut self, words: &[&'w str]) -> &'w str {
        self.one(words).unwrap_or_default()
    }
}
