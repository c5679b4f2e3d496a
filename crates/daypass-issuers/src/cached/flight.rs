//! One question at a time for each place, however many wait for its answer.

use super::memory::{Kept, Trouble};
use daypass_core::refusal::{Reason, Refusal};
use daypass_core::replay::Mark;
use daypass_core::store::StoreError;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use tokio::sync::watch;

/// The most callers that wait for one answer. Attack: requests that all wait for one slow cloud would hold every
/// connection.
pub(super) const WAITING: usize = 4_096;
/// The most questions under way. Attack: made-up subjects, each a place of its own, would fill the memory.
pub(super) const FLYING: usize = 10_000;

/// What a question came to. All who waited get the same.
#[derive(Clone)]
pub(super) enum Ended {
    /// A credential.
    Got {
        /// As it is kept.
        kept: Kept,
        /// This question got it from the cloud; otherwise another node had.
        asked: bool,
    },
    /// None.
    Failed(Trouble),
    /// The store does not answer, and without it nobody knows whose turn it is.
    NoStore(StoreError),
}

/// The wait for one answer.
pub(super) struct Waiter(watch::Receiver<Option<Ended>>);

impl Waiter {
    /// Waits. Whoever asks may die of a fault of ours, and then nobody is left waiting.
    pub(super) async fn answer(mut self) -> Result<Ended, Refusal> {
        let died = || Refusal::internal("the question to the cloud was given up");
        let ended = self.0.wait_for(Option::is_some).await.map_err(|_| died())?;
        ended.clone().ok_or_else(died)
    }
}

/// The questions under way.
#[derive(Clone, Default)]
pub(super) struct Flights(Arc<Mutex<HashMap<Mark, watch::Sender<Option<Ended>>>>>);

impl Flights {
    /// Whether a question for this place is under way.
    pub(super) fn flies(&self, place: &Mark) -> bool {
        self.0.lock().contains_key(place)
    }

    /// Waits with others, if a question is under way.
    pub(super) fn join(&self, place: &Mark) -> Option<Result<Waiter, Refusal>> {
        self.0.lock().get(place).map(wait)
    }

    /// Asks, unless someone began to meanwhile; then `work` is dropped. Says whether it was begun.
    ///
    /// It runs in a task of its own: the caller that happened to be first may go away, and those who wait with it must not
    /// be stranded.
    pub(super) fn start(
        &self,
        place: Mark,
        work: impl Future<Output = Ended> + Send + 'static,
    ) -> Result<(Waiter, bool), Refusal> {
        let waiter = {
            let mut flights = self.0.lock();
            let flying = flights.len();
            match flights.entry(place) {
                Entry::Occupied(flight) => return Ok((wait(flight.get())?, false)),
                Entry::Vacant(_) if flying >= FLYING => return Err(crowded()),
                Entry::Vacant(space) => {
                    let (sender, receiver) = watch::channel(None);
                    space.insert(sender);
                    Waiter(receiver)
                }
            }
        };
        let landing = Landing(Some((self.clone(), place)));
        tokio::spawn(async move { landing.announce(work.await) });
        Ok((waiter, true))
    }
}

fn wait(flight: &watch::Sender<Option<Ended>>) -> Result<Waiter, Refusal> {
    if flight.receiver_count() >= WAITING { Err(crowded()) } else { Ok(Waiter(flight.subscribe())) }
}

fn crowded() -> Refusal {
    Refusal::new(
        Reason::Unavailable,
        "too many callers wait for this credential already; ask again in a second",
    )
    .retry_after(1)
    .because("as many wait for a cloud as may")
}

/// The end of a question, whichever way it ends.
struct Landing(Option<(Flights, Mark)>);

impl Landing {
    fn announce(mut self, ended: Ended) {
        if let Some(sender) = self.land() {
            sender.send_replace(Some(ended));
        }
    }

    /// Ends this question, once. Whoever is told may ask the next one before this one is gone, and that one must stay: its
    /// callers would be stranded, and a second one could be asked beside it.
    fn land(&mut self) -> Option<watch::Sender<Option<Ended>>> {
        let (flights, place) = self.0.take()?;
        flights.0.lock().remove(&place)
    }
}

impl Drop for Landing {
    /// A question that died: the waiters' channel is closed, and the next one can be asked.
    fn drop(&mut self) {
        self.land();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::sync::Notify;

    fn ended() -> Ended {
        Ended::NoStore(StoreError::Unavailable("a test".into()))
    }

    #[tokio::test]
    async fn as_many_wait_as_may_and_the_next_is_told_to_come_again() {
        let (flights, answer, asked) =
            (Flights::default(), Arc::new(Notify::new()), Arc::new(AtomicUsize::new(0)));
        let start = || {
            let (answer, asked) = (answer.clone(), asked.clone());
            flights.start([1; 16], async move {
                asked.fetch_add(1, Ordering::SeqCst);
                answer.notified().await;
                ended()
            })
        };
        let waiters: Vec<_> = (0..WAITING).map(|_| start().unwrap()).collect();
        assert_eq!(waiters.iter().filter(|(_, begun)| *begun).count(), 1);
        let refusal = start().err().unwrap();
        assert_eq!((refusal.reason, refusal.retry_after), (Reason::Unavailable, Some(1)));
        assert!(flights.join(&[1; 16]).unwrap().is_err());
        assert!(flights.join(&[2; 16]).is_none() && !flights.flies(&[2; 16]), "others are not held up");
        answer.notify_one();
        for (waiter, _) in waiters {
            assert!(matches!(waiter.answer().await, Ok(Ended::NoStore(_))));
        }
        assert_eq!(asked.load(Ordering::SeqCst), 1);
        assert!(!flights.flies(&[1; 16]), "it is over");
    }

    #[tokio::test]
    async fn what_is_under_way_is_bounded() {
        let flights = Flights::default();
        for number in 0..FLYING {
            let mut place = [0; 16];
            place[..8].copy_from_slice(&number.to_be_bytes());
            flights.start(place, std::future::pending()).unwrap();
        }
        assert!(flights.start([0xff; 16], std::future::pending()).is_err());
        assert!(flights.start([0; 16], std::future::pending()).is_ok_and(|(_, begun)| !begun));
    }

    #[tokio::test]
    async fn a_question_that_dies_strands_nobody() {
        let flights = Flights::default();
        let (waiter, _) = flights.start([1; 16], async { panic!("as a bug would") }).unwrap();
        assert_eq!(waiter.answer().await.err().unwrap().reason, Reason::Internal);
        let (waiter, begun) = flights.start([1; 16], async { ended() }).unwrap();
        assert!(begun && waiter.answer().await.is_ok());
    }

    /// Asks the next question in the very moment in which it is told of the last one.
    struct AsksAgain {
        flights: Flights,
        next: Mutex<Option<Waiter>>,
    }

    impl std::task::Wake for AsksAgain {
        fn wake(self: Arc<Self>) {
            let (waiter, begun) = self.flights.start([1; 16], std::future::pending()).unwrap();
            assert!(begun, "the last one is over");
            *self.next.lock() = Some(waiter);
        }
    }

    #[tokio::test]
    async fn a_question_that_begins_while_the_last_one_ends_goes_on() {
        let flights = Flights::default();
        let (waiter, _) = flights.start([1; 16], std::future::pending()).unwrap();
        let again = Arc::new(AsksAgain { flights: flights.clone(), next: Mutex::default() });
        let mut waits = Box::pin(waiter.answer());
        let waker = std::task::Waker::from(again.clone());
        assert!(waits.as_mut().poll(&mut std::task::Context::from_waker(&waker)).is_pending());
        Landing(Some((flights.clone(), [1; 16]))).announce(ended());
        assert!(again.next.lock().is_some(), "it was told, and asked again");
        assert!(flights.flies(&[1; 16]), "and that question is under way");
    }
}
