//! What others have told us, kept for a while, and one question at a time for each thing we do not know.

use daypass_core::clock::{Clock, SignedDuration, Timestamp};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::Hash;
use std::sync::Arc;
use tokio::sync::watch;

/// The most answers that are kept, and the most questions under way. Attack: made-up sessions, each a key of its own,
/// would fill the memory.
const ENTRIES: usize = 10_000;
/// The most callers that wait for one answer. Attack: requests that all wait for one slow answer would hold every
/// connection.
const WAITING: usize = 1_000;

/// A bounded memory with single flight: however many want the same key at once, one question is asked.
///
/// How long an answer holds is judged by our own clock alone, from the moment of the question: what was true when we
/// asked may have changed before the answer came.
pub(super) struct Memory<K, V> {
    shared: Arc<Shared<K, V>>,
}

/// An answer, and for how long it holds; none for one that only those who wait for it now are to have.
pub(super) struct Found<V> {
    /// The answer.
    pub(super) value: V,
    /// How long it is kept.
    pub(super) holds: Option<SignedDuration>,
}

/// Why there is no answer, not even a bad one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Lost {
    /// Too many wait already.
    #[error("too many callers are waiting for an answer already")]
    Crowded,
    /// Whoever was to ask has died.
    #[error("the question was given up before it was answered")]
    Abandoned,
}

struct Shared<K, V> {
    clock: Arc<dyn Clock>,
    state: Mutex<State<K, V>>,
}

struct State<K, V> {
    kept: HashMap<K, Kept<V>>,
    flights: HashMap<K, watch::Sender<Option<V>>>,
}

struct Kept<V> {
    value: V,
    since: Timestamp,
    until: Timestamp,
}

impl<V> Kept<V> {
    /// A clock that was set back makes an answer older than it seems, so that one from the future holds no more.
    fn holds(&self, now: Timestamp) -> bool {
        self.since <= now && now < self.until
    }
}

impl<K, V> Memory<K, V>
where
    K: Clone + Eq + Hash + Send + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// An empty one.
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        let state = State { kept: HashMap::new(), flights: HashMap::new() };
        Self { shared: Arc::new(Shared { clock, state: Mutex::new(state) }) }
    }

    /// The kept answer if it holds and is `good`, else that of the question under way, else that of a new one.
    /// `ask` is handed the answer that holds but was not good, if there is one.
    ///
    /// The question runs in a task of its own: the caller that happened to be first may go away, and those who wait
    /// with it must not be stranded.
    pub(super) async fn get<F>(
        &self,
        key: K,
        good: impl FnOnce(&V, Timestamp) -> bool,
        ask: impl FnOnce(Option<V>) -> F,
    ) -> Result<V, Lost>
    where
        F: Future<Output = Found<V>> + Send + 'static,
    {
        let mut answer = {
            let mut state = self.shared.state.lock();
            let now = self.shared.clock.now();
            let kept = state.kept.get(&key).filter(|kept| kept.holds(now)).map(|kept| kept.value.clone());
            if let Some(value) = kept.as_ref().filter(|value| good(value, now)) {
                return Ok(value.clone());
            }
            let under_way = state.flights.len();
            match state.flights.entry(key) {
                Entry::Occupied(flight) if flight.get().receiver_count() >= WAITING => {
                    return Err(Lost::Crowded);
                }
                Entry::Occupied(flight) => flight.get().subscribe(),
                Entry::Vacant(_) if under_way >= ENTRIES => return Err(Lost::Crowded),
                Entry::Vacant(place) => {
                    let (sender, receiver) = watch::channel(None);
                    let landing = Landing { shared: self.shared.clone(), key: place.key().clone() };
                    place.insert(sender.clone());
                    tokio::spawn(fly(landing, sender, now, ask(kept)));
                    receiver
                }
            }
        };
        let value = answer.wait_for(Option::is_some).await.map_err(|_| Lost::Abandoned)?;
        value.clone().ok_or(Lost::Abandoned)
    }
}

async fn fly<K, V, F>(landing: Landing<K, V>, sender: watch::Sender<Option<V>>, asked: Timestamp, answer: F)
where
    K: Clone + Eq + Hash,
    V: Clone,
    F: Future<Output = Found<V>>,
{
    let Found { value, holds } = answer.await;
    if let Some(holds) = holds {
        landing.keep(value.clone(), asked, holds);
    }
    // Whoever comes between this line and the end of the flight still finds the answer in it.
    sender.send_replace(Some(value));
}

/// Ends a flight when it is dropped, in whatever way: a question that panics must not be waited for for ever.
struct Landing<K: Eq + Hash, V> {
    shared: Arc<Shared<K, V>>,
    key: K,
}

impl<K: Clone + Eq + Hash, V> Landing<K, V> {
    fn keep(&self, value: V, since: Timestamp, holds: SignedDuration) {
        let until = since.checked_add(holds).unwrap_or(Timestamp::MAX);
        let mut state = self.shared.state.lock();
        if state.kept.len() >= ENTRIES {
            make_room(&mut state.kept, self.shared.clock.now());
        }
        state.kept.insert(self.key.clone(), Kept { value, since, until });
    }
}

impl<K: Eq + Hash, V> Drop for Landing<K, V> {
    fn drop(&mut self) {
        self.shared.state.lock().flights.remove(&self.key);
    }
}

/// Forgets what holds no more, and if that is not enough, the quarter that holds least long: a pass over all is
/// paid for by many that need none.
fn make_room<K: Clone + Eq + Hash, V>(kept: &mut HashMap<K, Kept<V>>, now: Timestamp) {
    kept.retain(|_, kept| kept.holds(now));
    let room = ENTRIES / 4;
    if kept.len() <= ENTRIES - room {
        return;
    }
    let mut ends: Vec<_> = kept.iter().map(|(key, kept)| (kept.until, key.clone())).collect();
    ends.select_nth_unstable_by_key(room, |(until, _)| *until);
    for (_, key) in ends.iter().take(room) {
        kept.remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use daypass_core::testing::{FixedClock, START};
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::sync::Notify;

    type Counted = Memory<u32, usize>;

    struct Fixture {
        clock: Arc<FixedClock>,
        memory: Arc<Counted>,
        asked: Arc<AtomicUsize>,
        /// A question under way is answered at each signal.
        answer: Arc<Notify>,
    }

    impl Fixture {
        fn new() -> Self {
            let clock = Arc::new(FixedClock::new(START));
            let memory = Arc::new(Memory::new(clock.clone() as Arc<dyn Clock>));
            Self { clock, memory, asked: Arc::default(), answer: Arc::default() }
        }

        /// Asks at once; the answer is how many have been asked.
        async fn now(&self, key: u32, holds: Option<SignedDuration>) -> Result<usize, Lost> {
            let asked = self.asked.clone();
            let ask = |_| async move { Found { value: asked.fetch_add(1, Ordering::SeqCst) + 1, holds } };
            self.memory.get(key, |_, _| true, ask).await
        }

        /// Asks, and answers when told to.
        fn later(&self, key: u32) -> tokio::task::JoinHandle<Result<usize, Lost>> {
            let (memory, asked, answer) = (self.memory.clone(), self.asked.clone(), self.answer.clone());
            tokio::spawn(async move {
                let ask = |_| async move {
                    let value = asked.fetch_add(1, Ordering::SeqCst) + 1;
                    answer.notified().await;
                    Found { value, holds: None }
                };
                memory.get(key, |_, _| true, ask).await
            })
        }

        fn asked(&self) -> usize {
            self.asked.load(Ordering::SeqCst)
        }

        fn waiting(&self, key: u32) -> usize {
            self.memory.shared.state.lock().flights.get(&key).map_or(0, watch::Sender::receiver_count)
        }

        fn kept(&self) -> usize {
            self.memory.shared.state.lock().kept.len()
        }
    }

    /// Lets the other tasks run until this holds; the tests have one thread.
    async fn until(holds: impl Fn() -> bool) {
        for _ in 0..100_000 {
            if holds() {
                return;
            }
            tokio::task::yield_now().await;
        }
        panic!("it never came to hold");
    }

    #[tokio::test]
    async fn an_answer_holds_until_its_end_and_not_before_its_beginning() {
        let f = Fixture::new();
        let holds = Some(SignedDuration::from_secs(5));
        assert_eq!(f.now(1, holds).await, Ok(1));
        f.clock.advance(4_999);
        assert_eq!(f.now(1, holds).await, Ok(1));
        f.clock.advance(1);
        assert_eq!(f.now(1, holds).await, Ok(2));
        f.clock.advance(-1);
        assert_eq!(f.now(1, holds).await, Ok(3), "a clock set back makes nothing hold longer");
        assert_eq!(f.now(2, holds).await, Ok(4), "another key is another question");
    }

    #[tokio::test]
    async fn an_answer_holds_from_the_question_on() {
        let f = Fixture::new();
        let (clock, memory) = (f.clock.clone(), &f.memory);
        let slow = |_| async move {
            clock.advance(3_000);
            Found { value: 7, holds: Some(SignedDuration::from_secs(5)) }
        };
        assert_eq!(memory.get(1, |_, _| true, slow).await, Ok(7));
        f.clock.advance(1_999);
        assert_eq!(f.now(1, None).await, Ok(7));
        f.clock.advance(1);
        assert_eq!(f.now(1, None).await, Ok(1));
    }

    #[tokio::test]
    async fn what_is_not_kept_is_asked_again_and_what_is_not_good_is_handed_on() {
        let f = Fixture::new();
        assert_eq!(f.now(1, None).await, Ok(1));
        assert_eq!(f.now(1, Some(SignedDuration::from_secs(5))).await, Ok(2));
        let better = |old: Option<usize>| async move { Found { value: old.unwrap_or(0) + 40, holds: None } };
        assert_eq!(f.memory.get(1, |value, _| *value > 2, better).await, Ok(42));
        assert_eq!(f.now(1, None).await, Ok(2), "the kept one is kept");
    }

    #[tokio::test]
    async fn a_thousand_wait_for_one_answer_and_no_more() {
        let f = Fixture::new();
        let waiting: Vec<_> = (0..WAITING).map(|_| f.later(1)).collect();
        until(|| f.waiting(1) == WAITING && f.asked() == 1).await;
        assert_eq!(f.now(1, None).await, Err(Lost::Crowded));
        assert_eq!(f.now(2, None).await, Ok(2), "others are not held up");
        f.answer.notify_one();
        for one in waiting {
            assert_eq!(one.await.unwrap(), Ok(1));
        }
        assert_eq!(f.now(1, None).await, Ok(3), "the flight is over");
    }

    #[tokio::test]
    async fn the_first_caller_may_go_away() {
        let f = Fixture::new();
        let first = f.later(1);
        until(|| f.waiting(1) == 1 && f.asked() == 1).await;
        let second = f.later(1);
        until(|| f.waiting(1) == 2).await;
        first.abort();
        until(|| f.waiting(1) == 1).await;
        f.answer.notify_one();
        assert_eq!(second.await.unwrap(), Ok(1));
        assert_eq!(f.asked(), 1);
    }

    #[tokio::test]
    async fn a_question_that_dies_strands_nobody() {
        let f = Fixture::new();
        let dies = |_| async { panic!("as a bug would") };
        assert_eq!(f.memory.get(1, |_, _| true, dies).await, Err(Lost::Abandoned));
        assert_eq!(f.now(1, None).await, Ok(1));
    }

    #[tokio::test]
    async fn what_is_under_way_is_bounded() {
        let f = Fixture::new();
        let most = u32::try_from(ENTRIES).unwrap();
        let _waiting: Vec<_> = (0..most).map(|key| f.later(key)).collect();
        until(|| f.asked() == ENTRIES).await;
        assert_eq!(f.now(most, None).await, Err(Lost::Crowded));
    }

    #[tokio::test]
    async fn a_full_memory_forgets_what_is_over_then_what_ends_first() {
        let f = Fixture::new();
        let most = u32::try_from(ENTRIES).unwrap();
        for key in 0..most {
            f.now(key, Some(SignedDuration::from_secs(i64::from(key) + 1))).await.unwrap();
        }
        assert_eq!(f.kept(), ENTRIES);
        f.now(most, Some(SignedDuration::from_secs(1))).await.unwrap();
        assert_eq!(f.kept(), ENTRIES - ENTRIES / 4 + 1);
        let before = f.asked();
        f.now(most - 1, None).await.unwrap();
        assert_eq!(f.asked(), before, "the one that holds longest is still there");
        f.now(0, None).await.unwrap();
        assert_eq!(f.asked(), before + 1, "the one that ended first is not");
        f.clock.advance(9_000_000);
        let state = &mut *f.memory.shared.state.lock();
        make_room(&mut state.kept, f.clock.now());
        assert_eq!(state.kept.len(), 1_000, "only those that still hold");
    }
}
