//! What signed requests were given in the last seconds, so that a client's retry gets the same.

use super::memory::Kept;
use daypass_core::clock::Timestamp;
use daypass_core::replay::RETRY;
use parking_lot::Mutex;
use std::collections::{HashMap, VecDeque};

/// How long it is known, in milliseconds: a second longer than a repeat counts as a retry, for a clock that is read twice.
const KNOWN: i64 = RETRY + 1_000;

/// The most that are known. Attack: whoever has a key can sign as many requests as it likes. A retry of one that was
/// forgotten still gets what is kept, which is the same unless it was renewed in these seconds.
const MOST: usize = 10_000;

/// What a request is known by: bytes of its draw.
pub(super) type Request = [u8; 16];

/// The answers of the last seconds, sealed.
#[derive(Default)]
pub(super) struct Retries(Mutex<Known>);

#[derive(Default)]
struct Known {
    answers: HashMap<Request, (Kept, bool)>,
    /// In the order in which they came.
    order: VecDeque<(Timestamp, Request)>,
}

impl Retries {
    /// What this request was given, and whether the cloud was asked on its behalf.
    pub(super) fn find(&self, request: &Request, now: Timestamp) -> Option<(Kept, bool)> {
        let mut known = self.0.lock();
        known.forget(now);
        known.answers.get(request).cloned()
    }

    /// Remembers what this request is given.
    pub(super) fn keep(&self, request: Request, kept: Kept, fresh: bool, now: Timestamp) {
        let mut known = self.0.lock();
        known.forget(now);
        if known.answers.insert(request, (kept, fresh)).is_none() {
            known.order.push_back((now, request));
        }
        if known.order.len() > MOST {
            known.forget_first();
        }
    }
}

impl Known {
    /// Those of a time from which we are far away, in either direction: the clock may have been set back.
    fn forget(&mut self, now: Timestamp) {
        let far = |at: &Timestamp| (now.as_millisecond() - at.as_millisecond()).abs() > KNOWN;
        while self.order.front().is_some_and(|(at, _)| far(at)) {
            self.forget_first();
        }
    }

    fn forget_first(&mut self) {
        if let Some((_, request)) = self.order.pop_front() {
            self.answers.remove(&request);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use daypass_core::testing::{START, later};
    use std::sync::Arc;

    fn kept(turn: u64) -> Kept {
        Kept { turn, expires: later(60), seen: START, sealed: Arc::from([1_u8]) }
    }

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millisecond(START.as_millisecond() + millis).unwrap()
    }

    fn found(retries: &Retries, request: Request, millis: i64) -> Option<(u64, bool)> {
        retries.find(&request, at(millis)).map(|(kept, fresh)| (kept.turn, fresh))
    }

    #[test]
    fn an_answer_is_known_for_six_seconds() {
        let retries = Retries::default();
        retries.keep([1; 16], kept(1), true, at(0));
        retries.keep([2; 16], kept(2), false, at(3_000));
        assert_eq!(found(&retries, [1; 16], 6_000), Some((1, true)));
        assert_eq!(found(&retries, [2; 16], 6_000), Some((2, false)));
        assert_eq!(found(&retries, [3; 16], 6_000), None);
        assert_eq!(found(&retries, [1; 16], 6_001), None);
        assert_eq!(found(&retries, [2; 16], 6_001), Some((2, false)), "each by its own time");
        assert_eq!(found(&retries, [2; 16], -3_001), None, "a clock that was set back keeps nothing longer");
    }

    #[test]
    fn a_second_answer_replaces_the_first_and_takes_no_second_place() {
        let retries = Retries::default();
        retries.keep([1; 16], kept(1), true, at(0));
        retries.keep([1; 16], kept(2), false, at(1));
        assert_eq!(found(&retries, [1; 16], 2), Some((2, false)));
        assert_eq!(retries.0.lock().order.len(), 1);
    }

    #[test]
    fn they_are_bounded_and_the_oldest_goes_first() {
        let retries = Retries::default();
        let request = |number: usize| {
            let mut request = [0; 16];
            request[..8].copy_from_slice(&number.to_be_bytes());
            request
        };
        for number in 0..=MOST {
            retries.keep(request(number), kept(1), true, at(0));
        }
        assert_eq!(retries.0.lock().answers.len(), MOST);
        assert_eq!(found(&retries, request(0), 0), None);
        assert!(found(&retries, request(1), 0).is_some());
    }
}
