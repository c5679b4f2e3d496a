//! Going easy on an application that does not answer.

use daypass_core::clock::{Clock, SignedDuration, Timestamp};
use parking_lot::Mutex;
use std::sync::Arc;

/// So many failures in a row, with no answer between them, make an application one that fails. Attack: one session
/// that makes the application stumble must not shut out the sessions of all others.
const FAILURES: u32 = 5;
/// How long after a failure such an application is asked again. Attack: a thousand pages that try again all at once
/// keep an application down that would otherwise come up.
const PAUSE: SignedDuration = SignedDuration::from_millis(200);

/// Lets everyone ask an application that answers; one that fails is asked one question at a time, with pauses.
pub(super) struct Breaker {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    failures: u32,
    failed: Option<Timestamp>,
    probing: bool,
}

/// The right to ask once. Dropped without a word, the question has told us nothing.
pub(super) struct Turn<'a> {
    breaker: &'a Breaker,
    probe: bool,
}

impl Breaker {
    /// For an application of which nothing is known yet.
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, state: Mutex::default() }
    }

    /// A turn, or none while the application fails and is being asked or has just been.
    pub(super) fn turn(&self) -> Option<Turn<'_>> {
        let mut state = self.state.lock();
        if state.failures < FAILURES {
            return Some(Turn { breaker: self, probe: false });
        }
        if state.probing || state.failed.is_some_and(|failed| self.just_now(failed)) {
            return None;
        }
        state.probing = true;
        Some(Turn { breaker: self, probe: true })
    }

    /// A failure in the future, by a clock that was set back, is long over.
    fn just_now(&self, failed: Timestamp) -> bool {
        let since = self.clock.now().duration_since(failed);
        !since.is_negative() && since < PAUSE
    }
}

impl Turn<'_> {
    /// It answers, whatever it says.
    pub(super) fn answered(self) {
        let mut state = self.breaker.state.lock();
        state.failures = 0;
    }

    /// It does not. Says whether this failure is the one that makes it an application that fails.
    pub(super) fn failed(self) -> bool {
        let mut state = self.breaker.state.lock();
        state.failures = state.failures.saturating_add(1);
        state.failed = Some(self.breaker.clock.now());
        state.failures == FAILURES
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if self.probe {
            self.breaker.state.lock().probing = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use daypass_core::testing::{FixedClock, START};

    fn breaker() -> (Arc<FixedClock>, Breaker) {
        let clock = Arc::new(FixedClock::new(START));
        (clock.clone(), Breaker::new(clock))
    }

    fn fail(breaker: &Breaker) {
        for n in 1..=FAILURES {
            assert_eq!(breaker.turn().unwrap().failed(), n == FAILURES, "told once, at the last");
        }
    }

    #[test]
    fn a_failing_application_is_asked_one_question_at_a_time_with_pauses() {
        let (clock, breaker) = breaker();
        fail(&breaker);
        assert!(breaker.turn().is_none());
        clock.advance(199);
        assert!(breaker.turn().is_none());
        clock.advance(1);
        let probe = breaker.turn().unwrap();
        clock.advance(60_000);
        assert!(breaker.turn().is_none(), "one at a time, however long it takes");
        assert!(!probe.failed());
        assert!(breaker.turn().is_none(), "the pause begins again");
        clock.advance(200);
        breaker.turn().unwrap().answered();
        let _many: Vec<_> = (0..100).map(|_| breaker.turn().unwrap()).collect();
    }

    #[test]
    fn an_answer_between_failures_keeps_it_open() {
        let (_, breaker) = breaker();
        for _ in 0..10 {
            for _ in 1..FAILURES {
                breaker.turn().unwrap().failed();
            }
            breaker.turn().unwrap().answered();
        }
        assert!(breaker.turn().is_some());
    }

    #[test]
    fn a_probe_that_ends_without_a_word_lets_the_next_one_go() {
        let (clock, breaker) = breaker();
        fail(&breaker);
        clock.advance(200);
        drop(breaker.turn().unwrap());
        assert!(breaker.turn().is_some());
    }

    #[test]
    fn a_clock_that_was_set_back_shuts_nobody_out() {
        let (clock, breaker) = breaker();
        fail(&breaker);
        clock.advance(-1);
        assert!(breaker.turn().is_some());
    }
}
