//! The replay rule: the same signed bytes are good once, and again for a client's immediate retry.
//!
//! The vendors' signatures carry a time but no nonce, so a captured request would work again for its whole
//! window. First sight of a signature is remembered for that window; within [`RETRY`] of it the request is the
//! client's own retry (HTTP libraries re-send identical bytes) and gets the identical credential, later it is
//! refused.

use crate::clock::Timestamp;
use crate::ring::{Purpose, Ring};
use aws_lc_rs::hmac;
use parking_lot::Mutex;
use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasherDefault, Hasher};

/// How long after first sight the same bytes are a retry, in milliseconds.
///
/// Attack: whoever reads a signed request off the wire or out of a log can send it again. Five seconds are more
/// than an HTTP library's retry needs and less than a log reader does; and what he gets is the credential that
/// the first answer already carried, not a second one.
pub const RETRY: i64 = 5_000;

/// How long a mark must be remembered, in seconds: twice the widest vendor window (the fifteen minutes either side of
/// Alibaba Cloud's APIs), since a request may be stamped one window ahead and be valid until one window behind.
pub const WINDOW: u32 = 1_800;

/// What stands for a request's signature: a keyed hash, so that a stolen database confirms no guess.
pub type Mark = [u8; 16];

/// The mark of a signature made with this key, which says of itself that it was `made` at this time.
///
/// Attack: under another key of the ring the same bytes have another mark, and could be used once more after each rotation.
/// So the key is chosen by what the bytes themselves say, and that is the same at every node and at every time. A new key's
/// time begins so far ahead ([`WINDOW`]) that no request of it can have been accepted before every node has heard of it.
pub fn mark(ring: &Ring, key_id: &str, signature: &[u8], made: Timestamp) -> Option<Mark> {
    let key = key_of(ring, made)?;
    let mut context = hmac::Context::with_key(key);
    context.update(b"daypass mark v1");
    context.update(&(key_id.len() as u64).to_be_bytes());
    context.update(key_id.as_bytes());
    context.update(signature);
    context.sign().as_ref().first_chunk().copied()
}

/// The key of the ring for requests that say they were made at this time.
pub(crate) fn key_of(ring: &Ring, made: Timestamp) -> Option<&hmac::Key> {
    ring.mac(Purpose::Replay, ring.active_at(Purpose::Replay, made))
}

/// What the window knows of a mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sight {
    /// Never seen: it is remembered from now on.
    First,
    /// Seen before, first at this time; whether the store knows of it as well is not certain.
    Again(Timestamp),
    /// Seen before, first at this time, as the store has confirmed.
    Settled(Timestamp),
}

/// How many seconds one generation of marks spans.
const SPAN: i64 = 300;

/// The marks of one process, forgotten a generation at a time.
///
/// An entry costs about 30 bytes. A look-up asks at most seven small tables, and nothing is ever scanned: a whole
/// generation falls out when every mark in it is older than [`WINDOW`].
#[derive(Default)]
pub struct Window(Mutex<BTreeMap<i64, Generation>>);

/// A mark is a keyed hash, hence its own first bytes are as good a hash as any, and no stranger can choose them.
type Generation = HashMap<Mark, Seen, BuildHasherDefault<FirstBytes>>;

/// What is remembered of a mark.
#[derive(Clone, Copy)]
struct Seen {
    /// First sight in milliseconds since the generation began.
    offset: u32,
    /// The store has confirmed that time.
    settled: bool,
}

impl Window {
    /// Looks a mark up and remembers it if it is new.
    pub fn see(&self, mark: Mark, now: Timestamp) -> Sight {
        let mut generations = self.0.lock();
        let kept = generations.split_off(&(place(now).0 - i64::from(WINDOW) / SPAN));
        *generations = kept;
        let known = generations.iter().rev().find_map(|(g, marks)| {
            let seen = marks.get(&mark)?;
            let first = Timestamp::from_millisecond(g * SPAN * 1000 + i64::from(seen.offset)).ok()?;
            Some(if seen.settled { Sight::Settled(first) } else { Sight::Again(first) })
        });
        known.unwrap_or_else(|| {
            insert(&mut generations, mark, now, false);
            Sight::First
        })
    }

    /// Takes up what the store has said: the request of this mark was first seen at this time, here or elsewhere.
    ///
    /// Attack: a process that has just started, or another node, sees an old request for the first time. The store
    /// knows better; if what it says were not remembered, the second copy would count as a retry of the first.
    pub fn settle(&self, mark: Mark, first: Timestamp) {
        let mut generations = self.0.lock();
        generations.values_mut().for_each(|marks| _ = marks.remove(&mark));
        insert(&mut generations, mark, first, true);
    }

    /// Forgets a mark whose request was not answered after all, so that its retry is a first sight. One that the
    /// store has confirmed in the meantime, for another copy of the request, stays.
    pub fn forget(&self, mark: &Mark) {
        for marks in self.0.lock().values_mut() {
            if marks.get(mark).is_some_and(|seen| !seen.settled) {
                marks.remove(mark);
            }
        }
    }
}

/// The generation of an instant, and the milliseconds since that began.
fn place(at: Timestamp) -> (i64, u32) {
    let (millis, span) = (at.as_millisecond(), SPAN * 1000);
    (millis.div_euclid(span), u32::try_from(millis.rem_euclid(span)).unwrap_or_default())
}

fn insert(generations: &mut BTreeMap<i64, Generation>, mark: Mark, first: Timestamp, settled: bool) {
    let (generation, offset) = place(first);
    generations.entry(generation).or_default().insert(mark, Seen { offset, settled });
}

/// Takes the first eight bytes of a mark as its hash.
#[derive(Default)]
struct FirstBytes(u64);

impl Hasher for FirstBytes {
    fn write(&mut self, bytes: &[u8]) {
        if let Some(first) = bytes.first_chunk() {
            self.0 = u64::from_ne_bytes(*first);
        }
    }
    // The length prefix that arrays are hashed with says nothing.
    fn write_usize(&mut self, _: usize) {}
    fn finish(&self) -> u64 {
        self.0
    }
}

/// Whether a repeat at `now` of something first seen at `first` is a retry.
pub fn is_retry(first: Timestamp, now: Timestamp) -> bool {
    (now.as_millisecond() - first.as_millisecond()).abs() <= RETRY
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{self, START};

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millisecond(START.as_millisecond() + millis).unwrap()
    }

    #[test]
    fn a_mark_is_known_for_the_window_and_not_after() {
        let window = Window::default();
        let mark = [1; 16];
        assert_eq!(window.see(mark, at(1)), Sight::First);
        assert_eq!(window.see(mark, at(4_999)), Sight::Again(at(1)));
        let end = i64::from(WINDOW) * 1000;
        assert_eq!(window.see(mark, at(end)), Sight::Again(at(1)), "looking does not renew it");
        assert_eq!(window.see([2; 16], at(end)), Sight::First);
        assert_eq!(window.see(mark, at(end + SPAN * 1000)), Sight::First);
    }

    #[test]
    fn a_forgotten_mark_is_new_again() {
        let window = Window::default();
        window.see([1; 16], at(0));
        window.forget(&[1; 16]);
        assert_eq!(window.see([1; 16], at(1)), Sight::First);
    }

    #[test]
    fn what_the_store_said_counts_and_is_not_forgotten() {
        let window = Window::default();
        let (mark, earlier) = ([1; 16], at(-SPAN * 1000));
        assert_eq!(window.see(mark, at(0)), Sight::First);
        window.settle(mark, earlier);
        window.forget(&mark);
        assert_eq!(window.see(mark, at(1)), Sight::Settled(earlier));
    }

    #[test]
    fn five_seconds_are_a_retry() {
        assert!(is_retry(at(0), at(5_000)));
        assert!(!is_retry(at(0), at(5_001)));
    }

    #[test]
    fn marks_depend_on_key_and_signature() {
        let ring = testing::ring();
        let mark = |key, sig: &[u8]| super::mark(&ring, key, sig, START).unwrap();
        assert_eq!(mark("a", b"bc"), mark("a", b"bc"));
        assert_ne!(mark("a", b"bc"), mark("ab", b"c"));
    }
}
