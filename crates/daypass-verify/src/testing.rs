//! What the tests of several modules share: a scripted issuer and a clock that is set by hand.

use crate::clock::Clock;
use crate::fetch::{Fetch, FetchError, Fetched};
use async_trait::async_trait;
use parking_lot::Mutex;
use serde_json::json;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// An issuer whose documents are set by hand, and that counts who asks.
#[derive(Clone, Default)]
pub(crate) struct Script(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    documents: HashMap<String, Fetched>,
    asked: HashMap<String, usize>,
    /// Each question waits for this, where there is one.
    gate: Option<Arc<tokio::sync::Semaphore>>,
}

impl Script {
    pub(crate) fn set(&self, url: &str, body: impl AsRef<str>) {
        self.set_for(url, body, None);
    }

    pub(crate) fn set_for(&self, url: &str, body: impl AsRef<str>, max_age: Option<Duration>) {
        let fetched = Fetched::new(body.as_ref()).with_max_age(max_age);
        self.0.lock().documents.insert(url.to_owned(), fetched);
    }

    /// From now on it does not answer here.
    pub(crate) fn down(&self, url: &str) {
        self.0.lock().documents.remove(url);
    }

    pub(crate) fn asked(&self, url: &str) -> usize {
        self.0.lock().asked.get(url).copied().unwrap_or_default()
    }

    /// From now on each answer waits for a permit.
    pub(crate) fn hold(&self) -> Arc<tokio::sync::Semaphore> {
        let gate = Arc::new(tokio::sync::Semaphore::new(0));
        self.0.lock().gate = Some(gate.clone());
        gate
    }
}

#[async_trait]
impl Fetch for Script {
    async fn fetch(&self, url: &str, _: usize) -> Result<Fetched, FetchError> {
        let gate = {
            let mut inner = self.0.lock();
            *inner.asked.entry(url.to_owned()).or_default() += 1;
            inner.gate.clone()
        };
        if let Some(gate) = gate {
            gate.acquire().await.map_err(|_| FetchError::new("closed"))?.forget();
        }
        self.0.lock().documents.get(url).cloned().ok_or_else(|| FetchError::new("no connection"))
    }
}

/// A clock that is set by hand.
#[derive(Clone)]
pub(crate) struct Hand(Arc<Mutex<Duration>>);

impl Hand {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Mutex::new(Duration::from_hours(500_000))))
    }

    pub(crate) fn forward(&self, seconds: u64) {
        *self.0.lock() += Duration::from_secs(seconds);
    }

    pub(crate) fn back(&self, seconds: u64) {
        *self.0.lock() -= Duration::from_secs(seconds);
    }
}

impl Clock for Hand {
    fn now(&self) -> SystemTime {
        UNIX_EPOCH + *self.0.lock()
    }
}

/// A key set of one key under these ids.
pub(crate) fn key_set(kids: &[&str]) -> String {
    let key = |kid: &&str| json!({"kty": "OKP", "crv": "Ed25519", "kid": kid, "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"});
    json!({"keys": kids.iter().map(key).collect::<Vec<_>>()}).to_string()
}
