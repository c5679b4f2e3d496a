//! More requests than a server can answer, from one thread.
//!
//! Closed loops stop asking when a server is slow, and so cannot overload it. Here requests are due by the clock, however
//! many answers are still to come; only who waits for an answer on every one of its connections cannot send what is due.

use crate::time;
use anyhow::Context as _;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::SocketAddr;
use std::time::Duration;

/// What is offered.
#[derive(Clone, Copy, Debug)]
pub struct Offer<'a> {
    /// To whom.
    pub address: SocketAddr,
    /// What is asked each time.
    pub request: &'a [u8],
    /// What stands in the answer if it is a credential.
    pub sign: &'a [u8],
    /// How many requests are due each second; none for as many as are answered (a closed loop).
    pub rate: Option<f64>,
    /// From how many connections.
    pub connections: usize,
    /// For how long.
    pub span: Duration,
}

/// What came of it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Taken {
    /// Requests that were sent.
    pub sent: u64,
    /// Requests that were due while every connection waited for an answer.
    pub held_back: u64,
    /// Credentials.
    pub granted: u64,
    /// Answers that were none.
    pub refused: u64,
    /// Connections that ended without an answer to what was sent.
    pub cut_off: u64,
    /// The time it took, in seconds.
    pub seconds: f64,
}

impl Taken {
    /// Credentials a second.
    #[expect(clippy::cast_precision_loss, reason = "counts of one run are far below 2^52")]
    pub fn goodput(&self) -> f64 {
        self.granted as f64 / self.seconds
    }

    /// Requests a second that were due.
    #[expect(clippy::cast_precision_loss, reason = "counts of one run are far below 2^52")]
    pub fn offered(&self) -> f64 {
        (self.sent + self.held_back) as f64 / self.seconds
    }
}

struct Line {
    stream: TcpStream,
    waits: bool,
    answer: Vec<u8>,
}

impl Line {
    fn open(address: SocketAddr, poll: &Poll, token: usize) -> anyhow::Result<Self> {
        // Connected before it is made non-blocking: on loopback that takes no time, and what is sent at once arrives.
        let stream = std::net::TcpStream::connect(address)?;
        stream.set_nonblocking(true)?;
        stream.set_nodelay(true)?;
        let mut stream = TcpStream::from_std(stream);
        poll.registry().register(&mut stream, Token(token), Interest::READABLE)?;
        Ok(Self { stream, waits: false, answer: Vec::new() })
    }

    /// Reads what is there. Some(answer) where it is whole, None where it is not yet, an error where the connection ended.
    fn read(&mut self) -> std::io::Result<Option<Vec<u8>>> {
        let mut chunk = [0; 4096];
        loop {
            match self.stream.read(&mut chunk) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(read) => self.answer.extend_from_slice(chunk.get(..read).unwrap_or_default()),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(whole(&self.answer).then(|| std::mem::take(&mut self.answer)))
    }
}

/// Whether these bytes are a whole answer.
fn whole(bytes: &[u8]) -> bool {
    let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else { return false };
    let head = String::from_utf8_lossy(bytes.get(..end).unwrap_or_default()).to_ascii_lowercase();
    let length =
        head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
    bytes.len() >= end + 4 + length.unwrap_or(0)
}

/// Sends what is offered and counts what comes.
pub fn flood(offer: Offer<'_>) -> anyhow::Result<Taken> {
    let mut poll = Poll::new()?;
    let mut events = Events::with_capacity(1024);
    let open = |token| Line::open(offer.address, &poll, token);
    let mut lines =
        (0..offer.connections).map(open).collect::<anyhow::Result<Vec<_>>>().context("cannot connect")?;
    let mut free: Vec<usize> = (0..lines.len()).collect();
    let mut taken = Taken::default();
    let begin = time::now();
    while begin.elapsed() < offer.span {
        let due = match offer.rate {
            Some(rate) => due_by(rate, begin.elapsed()).saturating_sub(taken.sent + taken.held_back),
            None => u64::MAX,
        };
        for _ in 0..due {
            let Some(next) = free.pop() else {
                // A closed loop waits; an open one has lost its chance.
                taken.held_back += u64::from(offer.rate.is_some());
                if offer.rate.is_none() {
                    break;
                }
                continue;
            };
            let Some(line) = lines.get_mut(next) else { continue };
            taken.sent += 1;
            if line.stream.write(offer.request).is_ok_and(|written| written == offer.request.len()) {
                line.waits = true;
            } else {
                taken.cut_off += 1;
                *line = Line::open(offer.address, &poll, next)?;
                free.push(next);
            }
        }
        poll.poll(&mut events, Some(Duration::from_millis(1)))?;
        for event in &events {
            let Token(at) = event.token();
            let Some(line) = lines.get_mut(at) else { continue };
            let waited = line.waits;
            match line.read() {
                Ok(None) => continue,
                Ok(Some(answer)) => {
                    let good = answer.windows(offer.sign.len()).any(|window| window == offer.sign);
                    taken.granted += u64::from(good);
                    taken.refused += u64::from(!good);
                    line.waits = false;
                    let head = String::from_utf8_lossy(&answer).to_ascii_lowercase();
                    if head.contains("connection: close") {
                        *line = Line::open(offer.address, &poll, at)?;
                    }
                }
                Err(_) => {
                    taken.cut_off += u64::from(waited);
                    *line = Line::open(offer.address, &poll, at)?;
                }
            }
            if waited {
                free.push(at);
            }
        }
    }
    taken.seconds = begin.elapsed().as_secs_f64();
    Ok(taken)
}

/// How many requests are due by then.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a rate and a time are positive, their product small"
)]
fn due_by(rate: f64, elapsed: Duration) -> u64 {
    (rate * elapsed.as_secs_f64()) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_whole_when_its_body_is() {
        let head = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n";
        assert!(!whole(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n"));
        assert!(!whole(&[&head[..], b"ab"].concat()));
        assert!(whole(&[&head[..], b"abc"].concat()));
    }
}
