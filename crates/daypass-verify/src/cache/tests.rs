use super::*;
use crate::source::{Place, PlainHttp, Source};
use crate::testing::{Hand, Script, key_set};

const KEYS: &str = "https://keys.example.com/k";
const TIMES: Times = Times {
    fresh_least: Duration::from_secs(30),
    fresh_most: Duration::from_hours(1),
    believed: Duration::from_hours(2),
    unknown: Duration::from_secs(10),
    ahead: false,
};

struct Fixture {
    script: Script,
    clock: Hand,
    cache: Cache<Source>,
}

impl Fixture {
    /// An issuer with the key `a`, whose set may be kept for 1000 seconds.
    fn new() -> Self {
        Self::with(TIMES)
    }

    fn with(times: Times) -> Self {
        let (script, clock) = (Script::default(), Hand::new());
        let place = Place::Keys(KEYS.to_owned());
        let source = Source::new(place, Arc::new(script.clone()), PlainHttp::Refused).unwrap();
        let cache = Cache::new(source, Arc::new(clock.clone()), times);
        let fixture = Self { script, clock, cache };
        fixture.publish(&["a"]);
        fixture
    }

    fn publish(&self, kids: &[&str]) {
        self.script.set_for(KEYS, key_set(kids), Some(Duration::from_secs(1000)));
    }

    /// Whether the key is found for a token that names it.
    async fn finds(&self, kid: &str) -> bool {
        self.cache.keys(|keys| keys.has(kid)).await.unwrap().has(kid)
    }

    async fn fails(&self) -> bool {
        matches!(self.cache.keys(|_| true).await, Err(Rejected::Unavailable(_)))
    }

    fn asked(&self) -> usize {
        self.script.asked(KEYS)
    }

    /// Lets what runs beside the tokens go on until this holds; the tests have one thread.
    async fn until(&self, holds: impl Fn(&Self) -> bool) {
        for _ in 0..100_000 {
            if holds(self) {
                return;
            }
            tokio::task::yield_now().await;
        }
        panic!("it never came to hold");
    }

    /// Lets the question that is under way come to its end.
    async fn settle(&self) {
        self.until(|f| f.cache.0.state.lock().flight.is_none()).await;
    }

    fn waiting(&self) -> usize {
        self.cache.0.state.lock().waiting
    }
}

#[tokio::test]
async fn keys_are_fetched_once_and_kept_as_long_as_they_say() {
    let f = Fixture::new();
    assert!(f.finds("a").await && f.finds("a").await);
    f.clock.forward(999);
    assert!(f.finds("a").await);
    assert_eq!(f.asked(), 1);
    f.clock.forward(1);
    assert!(f.finds("a").await);
    assert_eq!(f.asked(), 2);
}

#[tokio::test]
async fn what_an_issuer_says_of_keeping_is_taken_within_bounds() {
    for (said, kept) in [(None, 300), (Some(0), 30), (Some(29), 30), (Some(31), 31), (Some(86_400), 3600)] {
        let f = Fixture::new();
        f.script.set_for(KEYS, key_set(&["a"]), said.map(Duration::from_secs));
        assert!(f.finds("a").await);
        f.clock.forward(kept - 1);
        assert!(f.finds("a").await);
        assert_eq!(f.asked(), 1, "{said:?}");
        f.clock.forward(1);
        assert!(f.finds("a").await);
        assert_eq!(f.asked(), 2, "{said:?}");
    }
}

#[tokio::test]
async fn a_key_that_was_withdrawn_dies_at_the_next_fetch() {
    let f = Fixture::new();
    assert!(f.finds("a").await);
    f.publish(&["b"]);
    f.clock.forward(1000);
    assert!(!f.finds("a").await && f.finds("b").await);
}

#[tokio::test]
async fn a_new_key_is_found_at_once() {
    let f = Fixture::new();
    assert!(f.finds("a").await);
    f.publish(&["a", "b"]);
    f.clock.forward(10);
    assert!(f.finds("b").await);
    assert_eq!(f.asked(), 2);
}

#[tokio::test]
async fn made_up_key_ids_do_not_become_requests() {
    let f = Fixture::new();
    assert!(f.finds("a").await);
    for second in 1..=100 {
        f.clock.forward(1);
        for n in 0..20 {
            assert!(!f.finds(&format!("made-up-{second}-{n}")).await);
        }
        assert!(f.finds("a").await, "those of the issuer are served meanwhile");
    }
    assert_eq!(f.asked(), 1 + 10, "one in ten seconds");
}

#[tokio::test]
async fn an_issuer_that_is_down_is_believed_for_a_bounded_time() {
    let f = Fixture::new();
    assert!(f.finds("a").await);
    f.script.down(KEYS);
    f.clock.forward(1000);
    assert!(f.finds("a").await, "the keys that were there");
    f.clock.forward(6199);
    assert!(f.finds("a").await);
    f.settle().await;
    f.clock.forward(1);
    assert!(f.fails().await, "nothing is believed after two hours");
    f.publish(&["b"]);
    f.clock.forward(2);
    assert!(f.finds("b").await && !f.finds("a").await, "it is back");
}

#[tokio::test]
async fn an_issuer_that_is_down_is_asked_with_pauses_and_in_nobodys_way() {
    let f = Fixture::new();
    assert!(f.finds("a").await);
    f.script.down(KEYS);
    f.clock.forward(1000);
    assert!(f.finds("a").await);
    let gate = f.script.hold();
    for _ in 0..10 {
        f.clock.forward(1);
        // The answer is held back: whoever waited for it would not come back.
        assert!(f.finds("a").await);
    }
    // The first, the one that failed, the one that is under way.
    f.until(|f| f.asked() == 3).await;
    gate.add_permits(1);
    f.settle().await;
    f.clock.forward(1);
    assert!(f.finds("a").await);
    f.until(|f| f.asked() == 4).await;
}

#[tokio::test]
async fn without_any_keys_a_failure_is_not_repeated_at_once() {
    let f = Fixture::new();
    f.script.down(KEYS);
    for _ in 0..10 {
        assert!(f.fails().await);
    }
    assert_eq!(f.asked(), 1);
    f.publish(&["a"]);
    assert!(f.fails().await);
    f.clock.forward(2);
    assert!(f.finds("a").await);
}

#[tokio::test]
async fn a_hundred_wait_for_one_answer() {
    let f = Fixture::new();
    let gate = f.script.hold();
    let tasks: Vec<_> = (0..100)
        .map(|_| {
            let cache = f.cache.clone();
            tokio::spawn(async move { cache.keys(|_| true).await.is_ok() })
        })
        .collect();
    f.until(|f| f.waiting() == 100).await;
    gate.add_permits(100);
    for task in tasks {
        assert!(task.await.unwrap());
    }
    assert_eq!((f.asked(), f.waiting()), (1, 0));
}

#[tokio::test]
async fn a_caller_that_goes_away_cancels_nothing() {
    let f = Fixture::new();
    let gate = f.script.hold();
    let cache = f.cache.clone();
    let first = tokio::spawn(async move { cache.keys(|_| true).await });
    f.until(|f| f.waiting() == 1 && f.asked() == 1).await;
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    assert_eq!(f.waiting(), 0);
    gate.add_permits(1);
    assert!(f.finds("a").await);
    assert_eq!(f.asked(), 1);
}

#[tokio::test]
async fn those_who_wait_are_bounded() {
    let f = Fixture::new();
    let _gate = f.script.hold();
    let tasks: Vec<_> = (0..WAITING)
        .map(|_| {
            let cache = f.cache.clone();
            tokio::spawn(async move { cache.keys(|_| true).await.is_ok() })
        })
        .collect();
    f.until(|f| f.waiting() == WAITING).await;
    assert!(f.fails().await);
    drop(tasks);
}

#[tokio::test(start_paused = true)]
async fn an_issuer_that_never_answers_is_given_up() {
    let f = Fixture::new();
    let _gate = f.script.hold();
    let before = tokio::time::Instant::now();
    assert!(f.fails().await);
    assert_eq!(before.elapsed().as_secs(), QUESTION.as_secs());
}

#[tokio::test]
async fn ahead_of_need_nobody_waits() {
    let f = Fixture::with(Times { ahead: true, ..TIMES });
    assert!(f.finds("a").await);
    f.publish(&["a", "b"]);
    f.clock.forward(749);
    assert!(f.finds("a").await);
    f.settle().await;
    assert_eq!(f.asked(), 1);
    f.clock.forward(1);
    let gate = f.script.hold();
    assert!(f.finds("a").await, "it does not wait for the answer, which is held back");
    gate.add_permits(1);
    f.settle().await;
    assert_eq!(f.asked(), 2);
    f.clock.forward(749);
    assert!(f.finds("b").await);
    assert_eq!(f.asked(), 2, "the new ones are kept from then on");
}

#[tokio::test]
async fn a_clock_that_was_set_back_makes_nothing_hold_longer() {
    let f = Fixture::new();
    assert!(f.finds("a").await);
    f.publish(&["b"]);
    f.clock.back(1);
    assert!(!f.finds("a").await);
    assert_eq!(f.asked(), 2);
}

#[test]
fn without_a_runtime_nothing_panics() {
    let f = Fixture::new();
    let mut future = std::pin::pin!(f.cache.keys(|_| true));
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let std::task::Poll::Ready(Err(Rejected::Unavailable(why))) = future.as_mut().poll(&mut context) else {
        panic!("it must be refused at once")
    };
    assert!(why.contains("Tokio"), "{why}");
}
