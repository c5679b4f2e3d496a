//! What came over the wire, before anyone believes it.

use crate::clock::Timestamp;
use crate::peer::Peer;
use bytes::Bytes;
use http::{HeaderMap, Method};
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use uuid::Uuid;

/// The head of a request: all that is known before the body is read.
#[derive(Clone)]
pub struct Head {
    /// The method as sent.
    pub method: Method,
    /// The path as sent, still percent-encoded. The server refuses bytes outside `[A-Za-z0-9._~/-]` before a dialect
    /// reads the request; only the answer to that refusal is made with such a path.
    pub path: String,
    /// The query as sent, without the question mark; empty when there was none. Signatures cover these bytes.
    pub query: String,
    /// The headers, names lower-case, values as sent.
    pub headers: HeaderMap,
    /// The address of the peer, or of the client behind a declared proxy.
    pub source: IpAddr,
    /// The certificate that the client proved at the handshake, or that a declared proxy passed on. No dialect reads it
    /// from a header by itself.
    pub peer: Option<Arc<Peer>>,
    /// Our id of this request, in every answer and record of it.
    pub request_id: Uuid,
    /// When the head had arrived.
    pub received: Timestamp,
}

impl Head {
    /// The value of a header, if it is there exactly once and is visible ASCII.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.get_all(name).iter();
        match (values.next(), values.next()) {
            (Some(value), None) => value.to_str().ok(),
            _ => None,
        }
    }
}

/// A whole request. The bytes that are verified are the bytes that are used: a dialect takes this by value and
/// keeps them.
#[derive(Clone)]
pub struct Request {
    /// Everything but the body; shared, because the answer's log line outlives the request.
    pub head: Arc<Head>,
    /// The body as received, within [`crate::limits::BODY`].
    pub body: Bytes,
}

impl Request {
    /// The head, to be changed: for tests that tamper with a request.
    #[cfg(any(test, feature = "testing"))]
    pub fn head_mut(&mut self) -> &mut Head {
        Arc::make_mut(&mut self.head)
    }
}

/// Headers, queries and bodies carry client secrets, tokens and signatures, so that none of them is ever printed.
impl fmt::Debug for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Head")
            .field("method", &self.method)
            .field("path", &self.path)
            .field("request_id", &self.request_id)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request").field("head", &self.head).finish_non_exhaustive()
    }
}

/// A whole answer.
pub type Response = http::Response<Bytes>;

#[cfg(test)]
mod tests {
    use crate::testing::request;

    #[test]
    fn a_printed_request_shows_nothing_that_it_carries() {
        let request =
            request("POST", "/x?token=hidden", &[("authorization", "Basic hidden")], b"client_secret=hidden");
        let printed = format!("{request:?} {:?}", request.head);
        assert!(printed.contains("/x") && !printed.contains("hidden"), "{printed}");
    }
}
