//! Requests as bytes, made before a slice and sent during it.

use std::fmt::Write as _;

/// What is sent to one endpoint in one slice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Requests {
    /// The same bytes each time, for endpoints that nothing is signed for.
    Same(Vec<u8>),
    /// Each request once, in order. A signed request may not be sent twice: the second would be a replay.
    Once {
        /// All requests, one behind the other.
        bytes: Vec<u8>,
        /// Where each ends.
        ends: Vec<usize>,
        /// How many were given out.
        next: usize,
    },
}

impl Requests {
    /// These requests, each to be sent once.
    pub(crate) fn once(requests: impl Iterator<Item = Vec<u8>>) -> Self {
        let (mut bytes, mut ends) = (Vec::new(), Vec::new());
        for request in requests {
            bytes.extend_from_slice(&request);
            ends.push(bytes.len());
        }
        Self::Once { bytes, ends, next: 0 }
    }

    /// The next request, or none when all are used up.
    pub(crate) fn next(&mut self) -> Option<&[u8]> {
        match self {
            Self::Same(request) => Some(request),
            Self::Once { bytes, ends, next } => {
                let start = next.checked_sub(1).map_or(Some(0), |last| ends.get(last).copied())?;
                let request = bytes.get(start..*ends.get(*next)?)?;
                *next += 1;
                Some(request)
            }
        }
    }
}

/// What a browser sends with every request, so that the head is as long as in life.
pub(crate) const BROWSER: &[(&str, &str)] = &[
    ("user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"),
    ("accept", "*/*"),
    ("accept-language", "zh-CN,zh;q=0.8,en-US;q=0.5,en;q=0.3"),
    ("accept-encoding", "gzip, deflate, br, zstd"),
];

/// The bytes of a request. The body's length is added; nothing else is.
pub(crate) fn request<'a>(
    method: &str,
    target: &str,
    headers: impl IntoIterator<Item = (&'a str, &'a str)>,
    body: &[u8],
) -> Vec<u8> {
    let mut head = format!("{method} {target} HTTP/1.1\r\n");
    for (name, value) in headers {
        // Writing to a string does not fail.
        let _ = write!(head, "{name}: {value}\r\n");
    }
    if method == "POST" {
        let _ = write!(head, "content-length: {}\r\n", body.len());
    }
    head.push_str("\r\n");
    let mut bytes = head.into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_signed_request_is_given_once() {
        let mut requests = Requests::once([b"one".to_vec(), b"three".to_vec(), Vec::new()].into_iter());
        assert_eq!(requests.next(), Some(&b"one"[..]));
        assert_eq!(requests.next(), Some(&b"three"[..]));
        assert_eq!(requests.next(), Some(&b""[..]));
        assert_eq!(requests.next(), None);
        assert_eq!(requests.next(), None, "and never again");
        assert_eq!(Requests::once(std::iter::empty()).next(), None);
    }

    #[test]
    fn the_same_request_never_runs_out() {
        let mut requests = Requests::Same(b"x".to_vec());
        assert!((0..1000).all(|_| requests.next() == Some(&b"x"[..])));
    }

    #[test]
    fn a_request_is_well_formed() {
        let get = request("GET", "/a?b=c", [("host", "h:1")], b"");
        assert_eq!(get, b"GET /a?b=c HTTP/1.1\r\nhost: h:1\r\n\r\n");
        let post = request("POST", "/", [("host", "h")], b"body");
        assert_eq!(post, b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 4\r\n\r\nbody");
    }
}
