//! The credential in the agent's memory, and its renewal.

use super::super::answer::{Credential, Vendor};
use super::super::cache::{Kept, Note, Stage};
use super::super::moment::Moment;
use super::super::obtain::Trouble;
use crate::cli::output::Failure;
use crate::system::RequestEntropy;
use bytes::Bytes;
use daypass_core::id::Entropy as _;
use parking_lot::RwLock;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

/// The answer to a question, and the seconds that the credential in it lives.
type Answer = Result<(Bytes, Option<u32>), Trouble>;
/// Asks the server.
pub(super) type Ask = Box<dyn Fn() -> Pin<Box<dyn Future<Output = Answer> + Send>> + Send + Sync>;

/// After a failure, those who ask within so many seconds share it: the server is not asked once for each.
const SHARED: i64 = 2;
/// The longest time between two looks at the clock: a machine that slept wakes with a credential that is over.
const LOOK: Duration = Duration::from_secs(15);
/// The longest time between two questions to a server that fails, in seconds.
const SLOWEST: u64 = 60;

/// A credential and its age.
pub(super) struct Held {
    kept: Kept,
    pub(super) credential: Credential,
}

impl Held {
    /// Seconds that are left.
    pub(super) fn left(&self, now: Moment) -> i64 {
        self.kept.left(now)
    }
}

/// Holds one credential.
pub(super) struct Holder {
    vendor: Vendor,
    least: Option<u32>,
    ask: Ask,
    now: fn() -> Moment,
    held: RwLock<Option<Arc<Held>>>,
    /// Whoever has it asks, and the others wait for what he gets. It holds how the last question failed.
    flight: tokio::sync::Mutex<Option<Note>>,
}

impl Holder {
    pub(super) fn new(vendor: Vendor, least: Option<u32>, ask: Ask) -> Self {
        let (held, flight) = (RwLock::default(), tokio::sync::Mutex::default());
        Self { vendor, least, ask, now: Moment::now, held, flight }
    }

    /// Whose credential it is.
    pub(super) fn vendor(&self) -> Vendor {
        self.vendor
    }

    fn stage(&self, held: &Held) -> Stage {
        held.kept.stage((self.now)(), self.least)
    }

    /// What is held and not over.
    fn good(&self) -> Option<Arc<Held>> {
        self.held.read().clone().filter(|held| self.stage(held) != Stage::Over)
    }

    /// The credential; where none is good, one that is asked for now.
    pub(super) async fn current(&self) -> Result<Arc<Held>, Trouble> {
        if let Some(held) = self.good() {
            return Ok(held);
        }
        let mut flight = self.flight.lock().await;
        if let Some(held) = self.good() {
            return Ok(held);
        }
        match &*flight {
            Some(note) if (0..SHARED).contains(&((self.now)().wall - note.at)) => {
                Err(note.clone().into_trouble())
            }
            _ => self.asked(&mut flight).await,
        }
    }

    /// Asks, and holds the answer.
    async fn asked(&self, flight: &mut Option<Note>) -> Result<Arc<Held>, Trouble> {
        let made = (self.now)();
        let result = (self.ask)().await.and_then(|(answer, life)| {
            let nothing = || Failure::Refused("the answer has no credential in it that ends".to_owned());
            let credential = self.vendor.credential(&answer).zip(life);
            let (credential, life) = credential.ok_or_else(|| Trouble::Failed(nothing()))?;
            Ok(Arc::new(Held { kept: Kept::new(made, life, &answer), credential }))
        });
        match &result {
            Ok(held) => {
                *self.held.write() = Some(held.clone());
                *flight = None;
            }
            Err(trouble) => {
                *flight = Note::of(trouble, (self.now)());
                // A server that says no is believed: what was taken back is not handed out any more.
                if matches!(trouble, Trouble::Refused(_)) {
                    *self.held.write() = None;
                }
            }
        }
        result
    }

    /// Renews the credential ahead of its end, for ever. Failures are told once, and so is their end.
    pub(super) async fn renew(&self, warn: &(dyn Fn(String) + Send + Sync)) {
        let mut failures = 0;
        loop {
            let due = self.held.read().as_ref().map_or(0, |held| held.kept.due_in((self.now)(), self.least));
            if due > 0 {
                let due = Duration::from_secs(u64::try_from(due).unwrap_or_default());
                tokio::time::sleep(due.min(LOOK)).await;
                continue;
            }
            let outcome = self.asked(&mut *self.flight.lock().await).await;
            match outcome {
                Ok(held) => {
                    if failures > 0 {
                        warn("daypass: the credential was renewed".to_owned());
                    }
                    failures = 0;
                    // One that is due as soon as it comes is not asked for without end.
                    if self.stage(&held) != Stage::Fresh {
                        tokio::time::sleep(LOOK).await;
                    }
                }
                Err(trouble) => {
                    if failures == 0 {
                        let failure = trouble.into_failure();
                        warn(format!("daypass: the credential cannot be renewed: {}", failure.text()));
                    }
                    failures += 1;
                    tokio::time::sleep(pause(failures)).await;
                }
            }
        }
    }
}

/// How long a server is left in peace after so many failures: twice as long each time, by chance up to half as long
/// again, so that many agents do not come at once.
fn pause(failures: u32) -> Duration {
    let seconds = 2_u64.saturating_pow(failures.saturating_sub(1)).min(SLOWEST);
    let mut random = [0; 2];
    RequestEntropy.fill(&mut random);
    let more = seconds * 500 * u64::from(u16::from_be_bytes(random)) / u64::from(u16::MAX);
    Duration::from_millis(seconds * 1000 + more)
}

#[cfg(test)]
mod tests {
    use super::super::super::answer::tests::TOKEN;
    use super::*;
    use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
    use std::sync::{Mutex, PoisonError};

    /// The clock of these tests, which run one at a time because of it.
    static NOW: AtomicI64 = AtomicI64::new(0);
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

    fn now() -> Moment {
        let seconds = NOW.load(Ordering::SeqCst);
        Moment { wall: 1_000_000 + seconds, up: 1000 + seconds }
    }

    type Said = Arc<Mutex<Result<u32, Trouble>>>;

    /// A holder, how often it asked, and what it is answered: the life of a credential, or why there is none.
    fn holder() -> (Arc<Holder>, Arc<AtomicUsize>, Said) {
        NOW.store(0, Ordering::SeqCst);
        let (count, said) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(Ok(3600))));
        let (counted, told) = (count.clone(), Arc::clone(&said));
        let ask: Ask = Box::new(move || {
            let number = counted.fetch_add(1, Ordering::SeqCst) + 1;
            let answer = match &*told.lock().unwrap() {
                Ok(life) => {
                    let body = TOKEN.replace("a.b.c", &format!("token{number}"));
                    Ok((Bytes::from(body), Some(*life)))
                }
                Err(Trouble::Refused(text)) => Err(Trouble::Refused(text.clone())),
                Err(Trouble::Busy(text)) => Err(Trouble::Busy(text.clone())),
                Err(Trouble::Failed(failure)) => {
                    Err(Trouble::Failed(Failure::Unreachable(failure.text().into())))
                }
            };
            Box::pin(async move {
                tokio::time::sleep(Duration::from_millis(20)).await;
                answer
            })
        });
        let holder = Holder { now, ..Holder::new(Vendor::Entra, None, ask) };
        (Arc::new(holder), count, said)
    }

    async fn token(holder: &Holder) -> String {
        match holder.current().await {
            Ok(held) => match &held.credential {
                Credential::Entra(token) => token.expose_str().to_owned(),
                _ => panic!("another vendor's"),
            },
            Err(trouble) => format!("{trouble:?}"),
        }
    }

    /// Runs a test with the clock to itself; timers run as fast as nothing else has to be done.
    fn alone(test: impl AsyncFnOnce()) {
        let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        runtime.block_on(test());
    }

    #[test]
    fn many_who_ask_are_one_question_and_share_its_failure() {
        alone(async || {
            let (holder, count, said) = holder();
            let both = tokio::join!(token(&holder), token(&holder), token(&holder));
            assert_eq!([both.0, both.1, both.2], ["token1"; 3]);
            NOW.store(9000, Ordering::SeqCst);
            *said.lock().unwrap() = Err(Trouble::Failed(Failure::Unreachable("cannot connect".into())));
            let both = tokio::join!(token(&holder), token(&holder), token(&holder));
            for one in [both.0, both.1, both.2] {
                assert!(one.contains("cannot connect"), "{one}");
            }
            assert_eq!(count.load(Ordering::SeqCst), 2);
            NOW.fetch_add(SHARED, Ordering::SeqCst);
            *said.lock().unwrap() = Ok(3600);
            assert_eq!(token(&holder).await, "token3");
        });
    }

    #[test]
    fn it_is_renewed_ahead_served_while_the_server_fails_and_renewed_when_it_is_back() {
        alone(async || {
            let (holder, count, said) = holder();
            assert_eq!(token(&holder).await, "token1");
            let warnings = Arc::new(Mutex::new(Vec::new()));
            let (own, told) = (holder.clone(), warnings.clone());
            let task =
                tokio::spawn(async move { own.renew(&move |text| told.lock().unwrap().push(text)).await });
            let pass = async |seconds: i64, real: u64| {
                NOW.fetch_add(seconds, Ordering::SeqCst);
                tokio::time::sleep(Duration::from_secs(real)).await;
            };
            pass(2000, 100).await;
            assert_eq!(
                (token(&holder).await.as_str(), count.load(Ordering::SeqCst)),
                ("token1", 1),
                "not yet"
            );
            *said.lock().unwrap() = Err(Trouble::Busy("later".into()));
            pass(1000, 100).await;
            let asked = count.load(Ordering::SeqCst);
            assert!((3..=9).contains(&asked), "it asks again, ever more slowly: {asked}");
            assert_eq!(token(&holder).await, "token1", "which is still good");
            *said.lock().unwrap() = Ok(3600);
            pass(0, 200).await;
            let renewed = token(&holder).await;
            assert_eq!(renewed, format!("token{}", count.load(Ordering::SeqCst)));
            assert_ne!(renewed, "token1");
            let warnings = warnings.lock().unwrap().clone();
            assert_eq!(warnings.len(), 2, "{warnings:?}");
            task.abort();
        });
    }

    #[test]
    fn a_server_that_says_no_is_believed() {
        alone(async || {
            let (holder, _, said) = holder();
            token(&holder).await;
            *said.lock().unwrap() = Err(Trouble::Refused(r#"{"error":"invalid_client"}"#.into()));
            NOW.store(3000, Ordering::SeqCst);
            let own = holder.clone();
            let task = tokio::spawn(async move { own.renew(&|_| ()).await });
            tokio::time::sleep(Duration::from_secs(20)).await;
            task.abort();
            assert!(token(&holder).await.contains("invalid_client"));
        });
    }

    #[test]
    fn pauses_grow_to_a_minute_and_differ() {
        for (failures, least) in [(1, 1), (2, 2), (3, 4), (7, 60), (u32::MAX, 60)] {
            let pause = pause(failures).as_millis();
            assert!((least * 1000..=least * 1500).contains(&pause), "{failures}: {pause}");
        }
        let many: std::collections::BTreeSet<_> = (0..20).map(|_| pause(9)).collect();
        assert!(many.len() > 1);
    }
}
