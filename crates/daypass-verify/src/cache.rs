//! The issuer's keys, and what it has taken back: documents that are kept for a while.

use crate::clock::{Clock, since_epoch};
use crate::rejected::Rejected;
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::watch;

/// How long a document is kept where it says nothing.
const FRESH_USUAL: Duration = Duration::from_mins(5);
/// How long one question may take, with the search for the address.
const QUESTION: Duration = Duration::from_secs(10);
/// How long after a failure the issuer is asked again. Attack: all who wait for keys together keep an issuer down that
/// would otherwise come up.
const AFTER_FAILURE: Duration = Duration::from_secs(2);
/// The most callers that wait for one answer. Attack: made-up key ids that all wait for one slow answer would hold
/// every connection of the API.
const WAITING: usize = 1_000;

/// For how long keys are kept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    /// A document is kept for this at least, whatever its `max-age` says: an issuer that says nothing or zero would be
    /// asked for every token.
    pub(crate) fresh_least: Duration,
    /// Keys are fetched again after this at the latest. A key that the issuer has withdrawn dies then.
    pub(crate) fresh_most: Duration,
    /// Keys that cannot be fetched again are believed until this after they came, and nothing is after that.
    pub(crate) believed: Duration,
    /// An unknown key makes the issuer be asked at most once in this time. Attack: a stranger's made-up key ids become
    /// as many requests to the issuer.
    pub(crate) unknown: Duration,
    /// Whether keys are fetched ahead of need, at three quarters of their time, so that nobody waits for them.
    pub(crate) ahead: bool,
}

/// What an origin tells: a document, and for how long it may be kept.
pub(crate) type Told<T> = (T, Option<Duration>);

/// Where a document comes from.
pub(crate) trait Origin: Send + Sync + 'static {
    /// The document, as it is used.
    type Item: Send + Sync + 'static;
    /// What it is called in a log, behind "the issuer's".
    const WHAT: &'static str;

    /// Asks for it, now.
    fn get(&self, now: Duration) -> impl Future<Output = Result<Told<Self::Item>, String>> + Send;
}

/// A document with single flight: however many want it at once, one question is asked.
pub(crate) struct Cache<S: Origin>(Arc<Shared<S>>);

impl<S: Origin> Clone for Cache<S> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

struct Shared<S: Origin> {
    source: S,
    clock: Arc<dyn Clock>,
    times: Times,
    state: Mutex<State<S::Item>>,
}

struct State<T> {
    held: Option<Held<T>>,
    /// When the issuer was asked last.
    asked: Option<Duration>,
    /// Why the last question failed; none if it did not.
    fault: Option<String>,
    /// Closed when the question that is under way ends.
    flight: Option<watch::Receiver<()>>,
    waiting: usize,
}

impl<T> Default for State<T> {
    fn default() -> Self {
        Self { held: None, asked: None, fault: None, flight: None, waiting: 0 }
    }
}

struct Held<T> {
    keys: Arc<T>,
    since: Duration,
    fresh: Duration,
}

impl<T> Held<T> {
    /// How old it is. What is from the future, because the clock was set back, is as old as can be: it is fetched again
    /// rather than believed too long.
    fn age(&self, now: Duration) -> Duration {
        now.checked_sub(self.since).unwrap_or(Duration::MAX)
    }
}

/// What is to be done for one token.
enum Step<T> {
    /// With these keys it is judged.
    Use(Arc<T>),
    /// The end of a question is waited for.
    Wait(watch::Receiver<()>),
    /// Nothing can be said.
    Fail(Rejected),
}

impl<S: Origin> Cache<S> {
    pub(crate) fn new(source: S, clock: Arc<dyn Clock>, times: Times) -> Self {
        Self(Arc::new(Shared { source, clock, times, state: Mutex::default() }))
    }

    /// The keys for a token: such that have the one that it names, if they can be had.
    pub(crate) async fn keys(&self, wanted: impl Fn(&S::Item) -> bool) -> Result<Arc<S::Item>, Rejected> {
        let mut end = match self.0.first_step(wanted) {
            Step::Use(keys) => return Ok(keys),
            Step::Fail(rejected) => return Err(rejected),
            Step::Wait(end) => end,
        };
        let _waiting = Waiting(&self.0);
        // Nothing is ever sent: an error says that the question is over, in whatever way.
        while end.changed().await.is_ok() {}
        self.0.last_step()
    }
}

/// Counts one caller less when it is dropped.
struct Waiting<'a, S: Origin>(&'a Shared<S>);

impl<S: Origin> Drop for Waiting<'_, S> {
    fn drop(&mut self) {
        self.0.state.lock().waiting -= 1;
    }
}

impl<S: Origin> Shared<S> {
    fn now(&self) -> Duration {
        since_epoch(self.clock.now())
    }

    fn first_step(self: &Arc<Self>, wanted: impl Fn(&S::Item) -> bool) -> Step<S::Item> {
        let now = self.now();
        let state = &mut *self.state.lock();
        let Some(held) = state.held.as_ref().filter(|held| held.age(now) < self.times.believed) else {
            self.ask_again(state, now, AFTER_FAILURE);
            return Self::wait(state);
        };
        let (keys, age, fresh) = (held.keys.clone(), held.age(now), held.fresh);
        if age >= fresh {
            self.ask_again(state, now, AFTER_FAILURE);
            // A key that was withdrawn must die now; but when the issuer has failed once, each further attempt is made
            // beside the tokens and not in their way.
            let waits = state.fault.is_none() && state.flight.is_some();
            return if waits { Self::wait(state) } else { Step::Use(keys) };
        }
        if !wanted(&keys) {
            self.ask_again(state, now, self.times.unknown);
            return if state.flight.is_some() { Self::wait(state) } else { Step::Use(keys) };
        }
        if self.times.ahead && age >= fresh.mul_f64(0.75) {
            self.ask_again(state, now, self.times.unknown);
        }
        Step::Use(keys)
    }

    /// After a question.
    fn last_step(&self) -> Result<Arc<S::Item>, Rejected> {
        let now = self.now();
        let state = self.state.lock();
        match &state.held {
            Some(held) if held.age(now) < self.times.believed => Ok(held.keys.clone()),
            _ => Err(Self::unavailable(&state)),
        }
    }

    /// Waits for the question under way; without one there is nothing to wait for.
    fn wait(state: &mut State<S::Item>) -> Step<S::Item> {
        match &state.flight {
            Some(_) if state.waiting >= WAITING => Step::Fail(Rejected::Unavailable(format!(
                "too many tokens wait for the issuer's {} already",
                S::WHAT
            ))),
            Some(end) => {
                state.waiting += 1;
                Step::Wait(end.clone())
            }
            None => Step::Fail(Self::unavailable(state)),
        }
    }

    /// Asks the issuer in a task of its own, unless that is being done or was done a short time ago.
    ///
    /// In a task, because the caller that came first may go away. Attack: a stranger who sends an unknown key id and
    /// hangs up would cancel the question that everyone else is waiting for.
    fn ask_again(self: &Arc<Self>, state: &mut State<S::Item>, now: Duration, pause: Duration) {
        let lately = state.asked.and_then(|asked| now.checked_sub(asked)).is_some_and(|since| since < pause);
        if state.flight.is_some() || lately {
            return;
        }
        let Ok(runtime) = Handle::try_current() else {
            state.fault = Some("it can only be fetched within a Tokio runtime".to_owned());
            return;
        };
        state.asked = Some(now);
        let (sender, end) = watch::channel(());
        state.flight = Some(end);
        let landing = Landing { shared: self.clone(), sender: Some(sender) };
        runtime.spawn(async move {
            let shared = &landing.shared;
            let answer = tokio::time::timeout(QUESTION, shared.source.get(now)).await;
            let answer = answer.unwrap_or_else(|_| Err(format!("no answer within {} s", QUESTION.as_secs())));
            shared.learn(now, answer);
        });
    }

    /// Keys count from the question on: what was true when it was asked may have changed before the answer came.
    fn learn(&self, asked: Duration, answer: Result<Told<S::Item>, String>) {
        let mut state = self.state.lock();
        match answer {
            Ok((keys, max_age)) => {
                let fresh =
                    max_age.unwrap_or(FRESH_USUAL).max(self.times.fresh_least).min(self.times.fresh_most);
                state.held = Some(Held { keys: Arc::new(keys), since: asked, fresh });
                state.fault = None;
            }
            Err(fault) => state.fault = Some(fault),
        }
    }

    fn unavailable(state: &State<S::Item>) -> Rejected {
        let why = state.fault.as_deref().unwrap_or("the issuer was asked, and the question was given up");
        Rejected::Unavailable(format!("the issuer's {} cannot be had: {why}", S::WHAT))
    }
}

/// Ends a question when it is dropped, in whatever way: one that dies must not be waited for for ever.
struct Landing<S: Origin> {
    shared: Arc<Shared<S>>,
    sender: Option<watch::Sender<()>>,
}

impl<S: Origin> Drop for Landing<S> {
    fn drop(&mut self) {
        self.shared.state.lock().flight = None;
        // Only now, so that whoever is woken finds no question under way.
        drop(self.sender.take());
    }
}

#[cfg(test)]
mod tests;
