//! What comes back: just enough of HTTP/1.1 to know where a response ends, and whether it is the one expected.

use std::ops::RangeInclusive;

/// No server here sends more header fields than this.
const HEADERS: usize = 32;

/// A response that is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Response<'a> {
    /// The status code.
    pub(crate) status: u16,
    /// The body.
    pub(crate) body: &'a [u8],
    /// Head and body together, in bytes.
    pub(crate) length: usize,
    /// The server will close the connection behind it.
    pub(crate) closes: bool,
}

/// Why bytes are not a response that this loader understands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Malformed {
    /// Not HTTP/1.1, or more header fields than [`HEADERS`].
    Head,
    /// No `Content-Length`: these servers always send one.
    Length,
}

impl<'a> Response<'a> {
    /// Reads one response from the beginning of these bytes; none while it is not complete.
    pub(crate) fn read(bytes: &'a [u8]) -> Result<Option<Self>, Malformed> {
        let mut headers = [httparse::EMPTY_HEADER; HEADERS];
        let mut parsed = httparse::Response::new(&mut headers);
        let httparse::Status::Complete(head) = parsed.parse(bytes).map_err(|_| Malformed::Head)? else {
            return Ok(None);
        };
        let status = parsed.code.ok_or(Malformed::Head)?;
        let field = |name: &str| parsed.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
        let announced = field("content-length").ok_or(Malformed::Length)?;
        let length: usize = std::str::from_utf8(announced.value)
            .ok()
            .and_then(|v| v.parse().ok())
            .ok_or(Malformed::Length)?;
        let end = head.checked_add(length).ok_or(Malformed::Length)?;
        let closes = field("connection").is_some_and(|header| header.value.eq_ignore_ascii_case(b"close"));
        Ok(bytes.get(head..end).map(|body| Self { status, body, length: end, closes }))
    }
}

/// What every right answer of one endpoint has in common, learned from answers that were checked in full.
///
/// Two of the dialects refuse with status 200, so the status alone says little; but a refusal begins differently
/// and is shorter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    prefix: Vec<u8>,
    lengths: RangeInclusive<usize>,
}

/// The most bytes of a body that are compared.
const PREFIX: usize = 48;

impl Shape {
    /// The shape of these bodies, of which there must be one at least. Lengths may differ by a sixteenth more than
    /// they do here: identifiers and compressed tokens vary a little.
    pub(crate) fn of(bodies: &[Vec<u8>]) -> Option<Self> {
        let (first, rest) = bodies.split_first()?;
        let common = rest.iter().fold(first.len().min(PREFIX), |common, body| {
            first.iter().zip(body).take(common).take_while(|(a, b)| a == b).count()
        });
        let shortest = bodies.iter().map(Vec::len).min()?;
        let longest = bodies.iter().map(Vec::len).max()?;
        Some(Self {
            prefix: first.get(..common)?.to_vec(),
            lengths: shortest - shortest / 16..=longest + longest / 16,
        })
    }

    /// The same, but only what comes before the first digit must be as it was, for answers in which something moves on from there.
    pub(crate) fn before_digits(mut self) -> Self {
        let end = self.prefix.iter().position(u8::is_ascii_digit).unwrap_or(self.prefix.len());
        self.prefix.truncate(end);
        self
    }

    /// Whether this is such an answer.
    pub(crate) fn fits(&self, response: &Response<'_>) -> bool {
        response.status == 200
            && self.lengths.contains(&response.body.len())
            && response.body.starts_with(&self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HELLO: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\ncontent-length: 5\r\n\r\nhello";

    #[test]
    fn a_response_is_read_when_it_is_whole() {
        let whole = Response::read(HELLO).unwrap().unwrap();
        assert_eq!(whole, Response { status: 200, body: b"hello", length: HELLO.len(), closes: false });
        for end in 0..HELLO.len() {
            assert_eq!(Response::read(&HELLO[..end]), Ok(None), "{end}");
        }
        let twice = [HELLO, b"HTTP/1.1 500"].concat();
        assert_eq!(
            Response::read(&twice).unwrap().unwrap().length,
            HELLO.len(),
            "what follows is not its body"
        );
    }

    #[test]
    fn a_closing_server_is_noticed() {
        let bytes = b"HTTP/1.1 503 Service Unavailable\r\nConnection: Close\r\nContent-Length: 0\r\n\r\n";
        let response = Response::read(bytes).unwrap().unwrap();
        assert_eq!((response.status, response.body.len(), response.closes), (503, 0, true));
    }

    #[test]
    fn what_is_not_understood_is_an_error() {
        let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
        assert_eq!(Response::read(chunked), Err(Malformed::Length));
        assert_eq!(Response::read(b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"), Err(Malformed::Length));
        assert_eq!(Response::read(b"SSH-2.0-OpenSSH\r\n\r\n"), Err(Malformed::Head));
        let many = ["HTTP/1.1 200 OK\r\n", &"a: b\r\n".repeat(HEADERS + 1), "\r\n"].concat();
        assert_eq!(Response::read(many.as_bytes()), Err(Malformed::Head));
        let endless = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", usize::MAX);
        assert_eq!(Response::read(endless.as_bytes()), Err(Malformed::Length));
    }

    fn fits(shape: &Shape, status: u16, body: &[u8]) -> bool {
        shape.fits(&Response { status, body, length: 0, closes: false })
    }

    #[test]
    fn a_shape_is_what_checked_answers_have_in_common() {
        let answer = |token: &str| format!(r#"{{"Response":{{"Token":"{token}","Ok":1}}}}"#).into_bytes();
        let shape = Shape::of(&[answer("aaaaaaaa"), answer("bbbbbbbbb")]).unwrap();
        assert!(fits(&shape, 200, &answer("cccccccc")));
        assert!(!fits(&shape, 500, &answer("cccccccc")), "a status");
        assert!(!fits(&shape, 200, &answer("c")), "a length");
        assert!(
            !fits(&shape, 200, br#"{"Response":{"Error":"aaaaaaaa!!!!!!!!"}}"#),
            "a refusal with status 200"
        );
        assert_eq!(Shape::of(&[]), None);
    }

    #[test]
    fn what_counts_down_may_differ() {
        let answer = |left: u32| format!(r#"{{"expires_in":{left},"token":"x"}}"#).into_bytes();
        let shape = Shape::of(&[answer(3_599)]).unwrap();
        assert!(!fits(&shape, 200, &answer(3_574)));
        let shape = shape.before_digits();
        assert!(
            fits(&shape, 200, &answer(3_574)) && !fits(&shape, 200, br#"{"error":1234567890123456789,""}"#)
        );
        let without = Shape::of(&[b"hello".to_vec()]).unwrap();
        assert_eq!(without.clone().before_digits(), without);
    }

    #[test]
    fn one_fixed_answer_has_the_shape_of_itself() {
        let shape = Shape::of(&[b"hello".to_vec()]).unwrap();
        assert!(fits(&shape, 200, b"hello"));
        assert!(!fits(&shape, 200, b"jello"));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = Response::read(&bytes);
        }

        #[test]
        fn a_body_comes_back_as_it_was(body in prop::collection::vec(any::<u8>(), 0..300)) {
            let mut bytes = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()).into_bytes();
            bytes.extend_from_slice(&body);
            prop_assert_eq!(Response::read(&bytes).unwrap().unwrap().body, &body[..]);
        }
    }
}
