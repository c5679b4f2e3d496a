//! The essence of a request that an API has received: all that its signature can be about.

use aws_lc_rs::digest;
use bytes::Bytes;
use daypass_core::limits;
use daypass_core::refusal::{Reason, Refusal};
use daypass_core::request::{Head, Request};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use std::sync::Arc;

/// A SHA-256 output.
pub(crate) type Digest = [u8; 32];

/// A request as somebody else got it.
#[derive(Clone)]
pub(crate) struct Essence {
    /// Its head.
    pub(crate) head: Arc<Head>,
    body: Body,
}

/// Its body, as far as we are told.
#[derive(Clone)]
pub(super) enum Body {
    /// The whole of it.
    Whole(Bytes),
    /// Its SHA-256 alone.
    Hash(Digest),
}

/// The parts of a head as an API tells them.
pub(super) struct Told<'a> {
    pub(super) method: &'a str,
    pub(super) host: Option<&'a str>,
    pub(super) path: &'a str,
    pub(super) query: &'a str,
    pub(super) headers: Vec<(&'a str, &'a str)>,
}

impl Essence {
    /// Puts it together. `asked` is the head of the question, of which the id and the source are kept.
    ///
    /// What could not have stood in a request is refused: the API is telling something else than what it got.
    pub(super) fn new(asked: &Head, told: &Told<'_>, body: Body) -> Result<Self, Refusal> {
        let method =
            Method::from_bytes(told.method.as_bytes()).map_err(|_| invalid("method", "is no method"))?;
        let visible = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
        if !told.path.starts_with('/') || told.path.contains(['?', '#']) || !visible(told.path) {
            return Err(invalid(
                "path",
                "is the path as it was received, from its slash to before the question mark",
            ));
        }
        if told.query.contains('#') || !visible(told.query) {
            return Err(invalid("query", "is the query as it was received, without the question mark"));
        }
        if told.path.len() > limits::PATH || told.query.len() > limits::QUERY {
            let detail = format!("a path has at most {} bytes, and a query {}", limits::PATH, limits::QUERY);
            return Err(Refusal::new(Reason::TooLarge, detail));
        }
        Ok(Self {
            head: Arc::new(Head {
                method,
                path: told.path.to_owned(),
                query: told.query.to_owned(),
                headers: headers(told)?,
                peer: None,
                ..asked.clone()
            }),
            body,
        })
    }

    /// That of a request of ours, for those readers that know requests by their essence alone.
    pub(crate) fn own(request: &Request) -> Self {
        Self { head: Arc::clone(&request.head), body: Body::Whole(request.body.clone()) }
    }

    /// The SHA-256 of its body.
    pub(crate) fn body_hash(&self) -> Digest {
        match &self.body {
            Body::Whole(bytes) => hash(bytes),
            Body::Hash(hash) => *hash,
        }
    }

    /// How many bytes its body has, where that is known.
    pub(crate) fn body_size(&self) -> Option<usize> {
        match &self.body {
            Body::Whole(bytes) => Some(bytes.len()),
            Body::Hash(_) => None,
        }
    }

    /// Whether it has no body, or an empty one.
    pub(crate) fn has_no_body(&self) -> bool {
        self.body_hash() == hash(b"")
    }

    /// The same as a request, where the whole body is known.
    pub(super) fn request(&self) -> Option<Request> {
        let body = match &self.body {
            Body::Whole(bytes) => bytes.clone(),
            Body::Hash(_) if self.has_no_body() => Bytes::new(),
            Body::Hash(_) => return None,
        };
        Some(Request { head: Arc::clone(&self.head), body })
    }
}

/// SHA-256.
pub(super) fn hash(bytes: &[u8]) -> Digest {
    digest::digest(&digest::SHA256, bytes).as_ref().first_chunk().copied().unwrap_or_default()
}

/// The headers, those of one name in their order. A host that is told beside them is the Host header.
fn headers(told: &Told<'_>) -> Result<HeaderMap, Refusal> {
    let bytes: usize = told.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
    if told.headers.len() > limits::HEADERS || bytes > limits::HEADER_BYTES {
        let detail =
            format!("there are at most {} headers, of {} bytes", limits::HEADERS, limits::HEADER_BYTES);
        return Err(Refusal::new(Reason::TooLarge, detail));
    }
    let mut map = HeaderMap::with_capacity(told.headers.len() + 1);
    for (name, value) in &told.headers {
        let name = HeaderName::from_bytes(name.as_bytes());
        let pair = name.ok().zip(HeaderValue::from_str(value).ok());
        let (name, mut value) =
            pair.ok_or_else(|| invalid("headers", "holds a name or a value that no header has"))?;
        value.set_sensitive(true);
        map.append(name, value);
    }
    let Some(host) = told.host else { return Ok(map) };
    let host =
        HeaderValue::from_str(host).map_err(|_| invalid("host", "is the Host header as it was received"))?;
    match map.get("host") {
        Some(other) if *other != host => {
            Err(Refusal::new(Reason::DuplicateParameter, "host says one thing and the header Host another")
                .parameter("host"))
        }
        Some(_) => Ok(map),
        None => {
            map.insert("host", host);
            Ok(map)
        }
    }
}

pub(super) fn invalid(name: &'static str, what: &str) -> Refusal {
    Refusal::new(Reason::InvalidParameter, format!("{name} {what}")).parameter(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use daypass_core::testing::request;

    fn told<'a>(path: &'a str, query: &'a str) -> Told<'a> {
        Told { method: "GET", host: Some("api:1"), path, query, headers: vec![("X-A", "1"), ("x-a", "2")] }
    }

    fn essence(told: &Told<'_>) -> Result<Essence, Reason> {
        let asked = request("POST", "/v1/verify", &[("authorization", "Basic x")], b"").head;
        Essence::new(&asked, told, Body::Whole(Bytes::new())).map_err(|refusal| refusal.reason)
    }

    #[test]
    fn a_head_is_what_was_told_and_nothing_of_the_question() {
        let found = essence(&told("/a%2Fb", "x=1")).unwrap();
        assert_eq!((found.head.path.as_str(), found.head.query.as_str()), ("/a%2Fb", "x=1"));
        assert_eq!(
            found.head.headers.get_all("x-a").iter().count(),
            2,
            "none is lost, so that doubles are seen"
        );
        assert!(!found.head.headers.contains_key("authorization"));
        assert_eq!(found.head.headers["host"], "api:1");
    }

    #[test]
    fn what_no_request_has_is_refused() {
        for (path, query) in
            [("a", ""), ("", ""), ("/a?b", ""), ("/a#b", ""), ("/a b", ""), ("/", "a#b"), ("/", "a b")]
        {
            assert_eq!(essence(&told(path, query)).err(), Some(Reason::InvalidParameter), "{path} {query}");
        }
        assert_eq!(essence(&Told { method: "G T", ..told("/", "") }).err(), Some(Reason::InvalidParameter));
        for headers in [vec![("a b", "1")], vec![("a", "1\n2")], vec![("", "")]] {
            assert_eq!(essence(&Told { headers, ..told("/", "") }).err(), Some(Reason::InvalidParameter));
        }
        let two = Told { headers: vec![("Host", "other")], ..told("/", "") };
        assert_eq!(essence(&two).err(), Some(Reason::DuplicateParameter));
        let many = Told { headers: vec![("a", "1"); limits::HEADERS + 1], ..told("/", "") };
        assert_eq!(essence(&many).err(), Some(Reason::TooLarge));
    }
}
