//! The clock of the fake cloud: it can be wrong, be moved and stand still.

use crate::cli::client::{When, parse_when};
use daypass_core::clock::{Clock, SignedDuration, Timestamp, rfc3339};
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::sync::Arc;

/// How a clock is moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// By this many seconds from where it stands.
    By(i64),
    /// To this time.
    To(Timestamp),
}

impl Turn {
    /// Reads `+10m`, `-1h` or a time such as `2030-01-01T00:00:00Z`.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let bad = || format!("`{text}` is neither +10m, -1h nor a time such as 2030-01-01T00:00:00Z");
        let (sign, rest) = match text.split_at_checked(1) {
            Some(("+", rest)) => (1, rest),
            Some(("-", rest)) => (-1, rest),
            _ => (0, text),
        };
        match (sign, parse_when(rest).map_err(|_| bad())?) {
            (0, When::At(at)) => Ok(Self::To(at)),
            (1 | -1, When::In(seconds)) => Ok(Self::By(sign * i64::from(seconds))),
            _ => Err(bad()),
        }
    }
}

/// A clock over another one.
pub(super) struct Dial {
    real: Arc<dyn Clock>,
    state: Mutex<State>,
}

#[derive(Clone, Copy)]
enum State {
    /// It goes on, so far ahead of the real one.
    Runs(SignedDuration),
    /// It stands.
    Stands(Timestamp),
}

impl Dial {
    /// A clock that shows what the real one does.
    pub(super) fn new(real: Arc<dyn Clock>) -> Self {
        Self { real, state: Mutex::new(State::Runs(SignedDuration::ZERO)) }
    }

    /// Moves it. Whether it goes or stands stays as it is. Refused where there is no such time.
    pub(super) fn turn(&self, turn: Turn) -> Result<(), String> {
        let real = self.real.now();
        let mut state = self.state.lock();
        let now = state.at(real);
        let target = match turn {
            Turn::By(seconds) => now.checked_add(SignedDuration::from_secs(seconds)),
            Turn::To(at) => Ok(at),
        };
        let target = target.map_err(|_| "there is no such time".to_owned())?;
        *state = match *state {
            State::Runs(_) => State::Runs(target.duration_since(real)),
            State::Stands(_) => State::Stands(target),
        };
        Ok(())
    }

    /// Stops it, or lets it go on from where it stands.
    pub(super) fn freeze(&self, stands: bool) {
        let real = self.real.now();
        let mut state = self.state.lock();
        let now = state.at(real);
        *state = if stands { State::Stands(now) } else { State::Runs(now.duration_since(real)) };
    }

    /// What it shows, and how far that is from the truth.
    pub(super) fn shown(&self) -> Value {
        let real = self.real.now();
        let state = *self.state.lock();
        let now = state.at(real);
        json!({
            "now": rfc3339(now),
            "ahead_seconds": now.duration_since(real).as_secs(),
            "frozen": matches!(state, State::Stands(_)),
        })
    }
}

impl State {
    fn at(self, real: Timestamp) -> Timestamp {
        match self {
            Self::Runs(ahead) => real.checked_add(ahead).unwrap_or(real),
            Self::Stands(at) => at,
        }
    }
}

impl Clock for Dial {
    fn now(&self) -> Timestamp {
        let real = self.real.now();
        self.state.lock().at(real)
    }

    fn is_played_with(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use daypass_core::testing::{FixedClock, START, later};

    #[test]
    fn it_is_moved_and_goes_on_from_there() {
        let real = Arc::new(FixedClock::new(START));
        let dial = Dial::new(real.clone());
        assert_eq!(dial.now(), START);
        dial.turn(Turn::By(600)).unwrap();
        real.advance(5_000);
        assert_eq!(dial.now(), later(605));
        dial.turn(Turn::By(-1_200)).unwrap();
        assert_eq!(dial.shown()["ahead_seconds"], -600);
        dial.turn(Turn::To(later(60))).unwrap();
        real.advance(1_000);
        assert_eq!(dial.now(), later(61));
    }

    #[test]
    fn it_stands_and_goes_on() {
        let real = Arc::new(FixedClock::new(START));
        let dial = Dial::new(real.clone());
        dial.freeze(true);
        real.advance(90_000);
        assert_eq!((dial.now(), dial.shown()["frozen"].clone()), (START, json!(true)));
        dial.turn(Turn::By(10)).unwrap();
        real.advance(1_000);
        assert_eq!(dial.now(), later(10), "moved, and standing all the same");
        dial.freeze(false);
        real.advance(1_000);
        assert_eq!((dial.now(), dial.shown()["frozen"].clone()), (later(11), json!(false)));
    }

    #[test]
    fn a_turn_is_a_distance_or_a_time() {
        for (text, expected) in [
            ("+10m", Some(Turn::By(600))),
            ("-1h", Some(Turn::By(-3_600))),
            ("2023-11-14T22:13:20Z", Some(Turn::To(START))),
            ("10m", None),
            ("+2023-11-14", None),
            ("", None),
            ("é", None),
        ] {
            assert_eq!(Turn::parse(text).ok(), expected, "{text}");
        }
        let dial = Dial::new(Arc::new(FixedClock::new(START)));
        assert!(dial.turn(Turn::By(i64::MAX)).is_err());
        assert_eq!(dial.now(), START);
    }
}
