//! What is kept, asked for once, shared and thrown away, by a clock and a server of the test's own.

use super::*;
use crate::cli::held::answer::tests::{TOKEN, answer};
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use tempfile::TempDir;

const NAME: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// The clock of these tests, which run one at a time because of it.
static NOW: AtomicI64 = AtomicI64::new(0);
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn now() -> Moment {
    let seconds = NOW.load(Ordering::SeqCst);
    Moment { wall: 1_000_000 + seconds, up: 1000 + seconds }
}

/// A server that counts, and answers as it is told to.
struct Server {
    asked: AtomicUsize,
    answer: Mutex<Result<(u16, String), String>>,
}

impl Server {
    fn new() -> Self {
        Self { asked: AtomicUsize::new(0), answer: Mutex::new(Ok((200, TOKEN.to_owned()))) }
    }

    fn says(&self, answer: Result<(u16, &str), &str>) {
        let answer = answer.map(|(status, body)| (status, body.to_owned())).map_err(str::to_owned);
        *self.answer.lock().unwrap() = answer;
    }

    async fn send(&self) -> Result<Response<Bytes>, Failure> {
        let count = self.asked.fetch_add(1, Ordering::SeqCst) + 1;
        tokio::time::sleep(Duration::from_millis(30)).await;
        match &*self.answer.lock().unwrap() {
            Ok((status, body)) => Ok(answer(*status, &body.replace("a.b.c", &format!("token{count}")))),
            Err(text) => Err(Failure::Unreachable(text.clone())),
        }
    }

    fn count(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

struct World {
    _above: TempDir,
    cache: Cache,
    server: Server,
    warnings: Mutex<Vec<String>>,
}

impl World {
    fn new() -> Self {
        NOW.store(0, Ordering::SeqCst);
        let above = tempfile::tempdir().unwrap();
        let cache = Cache::open(&above.path().join("daypass")).unwrap();
        Self { _above: above, cache, server: Server::new(), warnings: Mutex::new(Vec::new()) }
    }

    async fn get(&self) -> Result<String, String> {
        let flow = Flow { vendor: Vendor::Entra, cache: &self.cache, name: NAME, least: None, now };
        let warn = |text| self.warnings.lock().unwrap().push(text);
        match flow.run(async || self.server.send().await, &warn).await {
            Ok(found) => match found.credential(Vendor::Entra) {
                Ok(Credential::Entra(token)) => Ok(token.expose_str().to_owned()),
                _ => Err("no token".to_owned()),
            },
            Err(Trouble::Refused(text)) => Err(format!("refused {text}")),
            Err(Trouble::Busy(text)) => Err(format!("busy {text}")),
            Err(Trouble::Failed(failure)) => Err(format!("{failure:?}")),
        }
    }

    fn warned(&self) -> usize {
        self.warnings.lock().unwrap().len()
    }
}

/// Runs a test with the clock to itself.
fn alone(test: impl AsyncFnOnce(World)) {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(test(World::new()));
}

fn later(seconds: i64) {
    NOW.fetch_add(seconds, Ordering::SeqCst);
}

#[test]
fn one_question_serves_until_it_is_due() {
    alone(async |world| {
        for at in [0, 1000, 1800] {
            NOW.store(at, Ordering::SeqCst);
            assert_eq!(world.get().await.unwrap(), "token1");
        }
        later(1100);
        assert_eq!(world.get().await.unwrap(), "token2", "a fifth is left");
        assert_eq!((world.get().await.unwrap().as_str(), world.server.count()), ("token2", 2));
    });
}

#[test]
fn many_at_once_are_one_question() {
    alone(async |world| {
        let all = (world.get(), world.get(), world.get(), world.get(), world.get());
        let all = tokio::join!(all.0, all.1, all.2, all.3, all.4);
        assert_eq!([&all.0, &all.1, &all.2, &all.3, &all.4].map(|one| one.clone().unwrap()), ["token1"; 5]);
        assert_eq!(world.server.count(), 1);
    });
}

#[test]
fn those_who_wait_share_the_failure() {
    alone(async |world| {
        world.server.says(Err("cannot connect"));
        let all = tokio::join!(world.get(), world.get(), world.get());
        for one in [all.0, all.1, all.2] {
            assert!(one.unwrap_err().contains("cannot connect"));
        }
        assert_eq!(world.server.count(), 1);
        // Whoever comes later asks for himself.
        world.server.says(Ok((200, TOKEN)));
        assert_eq!(world.get().await.unwrap(), "token2");
    });
}

#[test]
fn while_the_server_fails_the_good_one_is_served_and_never_one_that_is_over() {
    alone(async |world| {
        world.get().await.unwrap();
        later(3000);
        world.server.says(Err("cannot connect"));
        for asked in [2, 2, 2] {
            assert_eq!(world.get().await.unwrap(), "token1");
            assert_eq!(world.server.count(), asked, "the server is left in peace");
        }
        assert_eq!(world.warned(), 3);
        later(PEACE);
        world.server.says(Ok((503, "")));
        assert_eq!((world.get().await.unwrap().as_str(), world.server.count()), ("token1", 3));
        later(599);
        assert!(world.get().await.unwrap_err().starts_with("busy"), "it is over");
        world.server.says(Ok((200, TOKEN)));
        assert_eq!(world.get().await.unwrap(), "token5", "the server is back");
        assert_eq!(world.warned(), 4);
    });
}

/// Who was taken back must not go on by what was kept.
#[test]
fn a_server_that_says_no_is_believed() {
    alone(async |world| {
        world.get().await.unwrap();
        later(3000);
        world.server.says(Ok((401, "{\"error\":\"invalid_client\"}")));
        assert!(world.get().await.unwrap_err().contains("invalid_client"));
        assert!(world.cache.read(NAME).is_none());
        assert!(world.get().await.unwrap_err().contains("invalid_client"));
        assert_eq!((world.server.count(), world.warned()), (3, 0));
    });
}

#[test]
fn one_that_another_program_renews_is_used_meanwhile() {
    alone(async |world| {
        world.get().await.unwrap();
        later(3000);
        let lock = world.cache.try_lock(NAME).unwrap().unwrap();
        assert_eq!((world.get().await.unwrap().as_str(), world.server.count()), ("token1", 1));
        drop(lock);
        assert_eq!(world.get().await.unwrap(), "token2");
    });
}

#[test]
fn an_answer_that_does_not_end_is_shown_and_not_kept() {
    alone(async |world| {
        world.server.says(Ok((200, "{\"access_token\":\"x\"}")));
        assert_eq!(world.get().await.unwrap(), "x");
        assert!(world.cache.read(NAME).is_none());
        assert_eq!((world.get().await.unwrap().as_str(), world.server.count()), ("x", 2));
    });
}
