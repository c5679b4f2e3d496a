//! How documents of the issuer are fetched.

use async_trait::async_trait;
use std::time::Duration;

/// Fetches documents. The crate's own is `Http` behind the feature `http`; whoever has an HTTP client already, or
/// must go through a proxy, brings their own.
///
/// An implementation asks exactly this address: it follows no redirect, because an answer that leads elsewhere would
/// let others say which keys are the issuer's. It need not watch the time: after ten seconds it is dropped.
#[async_trait]
pub trait Fetch: Send + Sync {
    /// Fetches a document of at most `most` bytes by GET. Anything but status 200 is an error.
    async fn fetch(&self, url: &str, most: usize) -> Result<Fetched, FetchError>;

    /// The same for whoever has the document with this tag already: it is sent as `If-None-Match`, and status 304 is
    /// [`None`]. Without an implementation of its own the document is always fetched.
    async fn fetch_unless(&self, url: &str, most: usize, tag: &str) -> Result<Option<Fetched>, FetchError> {
        let _ = tag;
        self.fetch(url, most).await.map(Some)
    }
}

/// A document as it came.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Fetched {
    /// Its bytes.
    pub body: Vec<u8>,
    /// How long it says that it may be kept (`max-age` of `Cache-Control`).
    pub max_age: Option<Duration>,
    /// What tells it from others (`ETag`), as it came.
    pub tag: Option<String>,
}

impl Fetched {
    /// A document that says nothing about how long it may be kept.
    pub fn new(body: impl Into<Vec<u8>>) -> Self {
        Self { body: body.into(), max_age: None, tag: None }
    }

    /// The same with what it says about that.
    #[must_use]
    pub fn with_max_age(self, max_age: Option<Duration>) -> Self {
        Self { max_age, ..self }
    }

    /// The same with what tells it from others.
    #[must_use]
    pub fn with_tag(self, tag: Option<String>) -> Self {
        Self { tag, ..self }
    }
}

/// Why there is no document, for the log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct FetchError(String);

impl FetchError {
    /// An error with a text for the log: lower case, no full stop, no secret.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}
