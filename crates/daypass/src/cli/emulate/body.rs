//! Bodies that no honest server sends.

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http_body_util::Full;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use std::convert::Infallible;
use std::io::Write as _;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Sleep, sleep};

/// How much a huge answer sends, and how much a packed one unpacks to, in bytes.
pub(super) const HUGE: usize = 64 * 1024 * 1024;
/// One piece of it.
const PIECE: usize = 16 * 1024;
const BLANKS: &[u8] = &[b' '; PIECE];
/// Between two bytes of a slow answer.
const PACE: Duration = Duration::from_secs(1);

/// The body of an answer.
pub(super) enum Body {
    /// All of it at once.
    Whole(Full<Bytes>),
    /// A byte at a time.
    Drip {
        /// What is still to come.
        rest: Bytes,
        /// Until the next byte.
        wait: Pin<Box<Sleep>>,
    },
    /// More than anyone wants, without a length in front.
    Flood {
        /// Bytes still to come.
        left: usize,
    },
}

impl Body {
    /// A byte at a time.
    pub(super) fn drip(bytes: Bytes) -> Self {
        Self::Drip { rest: bytes, wait: Box::pin(sleep(PACE)) }
    }

    /// Blanks without an end in sight: a document that is read to its end is still none.
    pub(super) fn flood() -> Self {
        Self::Flood { left: HUGE }
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match &mut *self {
            Self::Whole(body) => Pin::new(body).poll_frame(context),
            Self::Drip { rest, wait } => {
                if rest.is_empty() {
                    return Poll::Ready(None);
                }
                std::task::ready!(wait.as_mut().poll(context));
                *wait = Box::pin(sleep(PACE));
                Poll::Ready(Some(Ok(Frame::data(rest.split_to(1)))))
            }
            Self::Flood { left: 0 } => Poll::Ready(None),
            Self::Flood { left } => {
                *left = left.saturating_sub(PIECE);
                Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(BLANKS)))))
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(body) => body.size_hint(),
            Self::Drip { rest, .. } => SizeHint::with_exact(u64::try_from(rest.len()).unwrap_or(u64::MAX)),
            Self::Flood { .. } => SizeHint::default(),
        }
    }
}

/// A document of blanks, packed to less than a hundredth of its size. It is one piece over and over (RFC 1952, 2.2: a file may have
/// many members), because to pack all of it would take longer than anyone waits.
pub(super) fn bomb() -> Bytes {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    // Writing to memory cannot fail.
    let _ = encoder.write_all(BLANKS);
    Bytes::from(encoder.finish().unwrap_or_default().repeat(HUGE / PIECE))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt as _;
    use std::io::Read as _;

    #[test]
    fn a_bomb_is_small_and_unpacks_to_much() {
        let packed = bomb();
        assert!(packed.len() < HUGE / 100, "{}", packed.len());
        let mut decoder = flate2::read::MultiGzDecoder::new(&*packed);
        let (mut piece, mut total) = (vec![0; PIECE], 0);
        loop {
            match decoder.read(&mut piece).unwrap() {
                0 => break,
                n => total += n,
            }
        }
        assert_eq!(total, HUGE);
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_answer_is_whole_in_the_end() {
        let begun = tokio::time::Instant::now();
        let whole = Body::drip(Bytes::from_static(b"{\"a\":1}")).collect().await.unwrap().to_bytes();
        assert_eq!((&*whole, begun.elapsed().as_secs()), (&b"{\"a\":1}"[..], 7));
    }

    #[tokio::test]
    async fn a_flood_ends_and_tells_no_length() {
        let mut body = Body::flood();
        assert_eq!(body.size_hint().exact(), None);
        let mut total = 0;
        while let Some(frame) = body.frame().await {
            total += frame.unwrap().into_data().unwrap().len();
        }
        assert_eq!(total, HUGE);
    }
}
