//! One connection from its first byte to its last: TLS or not, HTTP/1.1 or HTTP/2, and how long each may take.

use super::opening::{Opened, Stream};
use super::peer::Who;
use super::tls::Tls;
use super::{Accepted, Server};
use daypass_core::limits;
use hyper::rt::{Read, Write};
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use parking_lot::Mutex;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout};

/// How long a connection may take to send a whole request head, or the header of a balancer before it, and how long it may
/// idle between two requests.
/// Attack: a client that sends a byte a minute holds a connection, and a thousand of them hold the server.
pub(super) const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// How old a connection may become: from then on its next answer is its last.
pub(super) const AGE: Duration = Duration::from_mins(10);
/// How long past that a connection may stand before it is cut.
/// Attack: a client that sends requests and reads no answer blocks our writing, where no other timeout counts.
pub(super) const OVERTIME: Duration = Duration::from_mins(1);
/// How long a TLS handshake may take. Attack: as with slow heads, before there is a head.
pub(super) const HANDSHAKE: Duration = Duration::from_secs(10);

/// HTTP/2: the most requests of one connection that are answered at the same time; what RFC 9113 (6.5.2) recommends
/// not to go below. Attack: one connection is as much work as a thousand, and counts as one.
pub(super) const STREAMS: u32 = 100;
/// HTTP/2: the most bytes of one head, counted as RFC 9113 (6.5.2) counts them: 32 for each field besides its name and
/// value. What a dialect refuses in its own envelope fits in, each limit exceeded by itself; what does not is refused by
/// hyper with a bare 431. Attack: a head without an end, packed small.
pub(super) const HEADER_LIST: usize =
    limits::HEADER_BYTES + limits::QUERY + limits::PATH + 2 * 32 * limits::HEADERS;
/// HTTP/2: how often a silent peer is asked whether it is there, and how long it may take to say so.
const PING: Duration = Duration::from_secs(20);
const PONG: Duration = Duration::from_secs(10);
/// HTTP/2: how long a peer that has sent no request yet may still send one after it was told to go.
const SILENCE: Duration = Duration::from_secs(1);

impl Server {
    /// Serves one connection to its end; its slot is free again after that.
    pub(super) async fn connection(
        self: Arc<Self>,
        accepted: Accepted,
        tls: Option<Arc<Tls>>,
        closed: watch::Receiver<bool>,
    ) {
        let Accepted { stream, peer, slot: _slot } = accepted;
        let Some(Opened { stream, peer, place: _place }) = self.receive(stream, peer, closed.clone()).await
        else {
            return;
        };
        if let Some(tls) = tls {
            // On the heap, so that a plain connection is not as large as one of TLS.
            Box::pin(self.secure(stream, peer, tls, closed)).await;
        } else {
            self.http1(TokioIo::new(stream), Who { address: peer.ip(), shown: None }, closed).await;
        }
    }

    /// Shakes hands, then speaks what both sides agreed on (ALPN).
    async fn secure(
        self: Arc<Self>,
        stream: Stream,
        peer: SocketAddr,
        tls: Arc<Tls>,
        mut closed: watch::Receiver<bool>,
    ) {
        let shaken = tokio::select! {
            // Whoever has not even said hello when the server stops has sent no request that could be dropped.
            _ = closed.wait_for(|closed| *closed) => return,
            shaken = timeout(HANDSHAKE, tls.accept(stream)) => shaken,
        };
        match shaken {
            Ok(Ok(stream)) => {
                let who = Who { address: peer.ip(), shown: tls.shown(&stream) };
                if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
                    self.http2(TokioIo::new(stream), who, closed).await;
                } else {
                    self.http1(TokioIo::new(stream), who, closed).await;
                }
            }
            Ok(Err(error)) => tracing::debug!(%error, %peer, "no handshake"),
            Err(_) => tracing::debug!(%peer, "connection was cut: the handshake took too long"),
        }
    }

    /// Serves one connection that another part of this process has accepted, from this address.
    pub(crate) async fn within<I>(self: Arc<Self>, stream: I, address: IpAddr)
    where
        I: Read + Write + Unpin + Send + 'static,
    {
        // Nobody closes it but whoever holds the other end.
        let (open, closed) = watch::channel(false);
        self.http1(stream, Who { address, shown: None }, closed).await;
        drop(open);
    }

    async fn http1<I>(self: Arc<Self>, stream: I, who: Who, mut closed: watch::Receiver<bool>)
    where
        I: Read + Write + Unpin + Send + 'static,
    {
        let (opened, peer, work) = (Instant::now(), who.address, Arc::new(Work::default()));
        let (server, counted) = (self.clone(), work.clone());
        let service = service_fn(move |request| {
            server.clone().serve(request, who.clone(), opened.elapsed() >= AGE, counted.begin())
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT)
            .half_close(true)
            .serve_connection(stream, service);
        tokio::pin!(connection);
        let ended = timeout(AGE + OVERTIME, async {
            tokio::select! {
                result = &mut connection => return result,
                _ = closed.wait_for(|closed| *closed) => connection.as_mut().graceful_shutdown(),
                () = self.squeeze.leaves(&work) => {
                    // hyper waits for the first request of one that has sent none.
                    if !work.has_begun() {
                        return Ok(());
                    }
                    connection.as_mut().graceful_shutdown();
                }
            }
            connection.await
        });
        log(ended.await, peer);
    }

    async fn http2<I>(self: Arc<Self>, stream: I, who: Who, mut closed: watch::Receiver<bool>)
    where
        I: Read + Write + Unpin + Send + 'static,
    {
        let (opened, peer, work) = (Instant::now(), who.address, Arc::new(Work::default()));
        let (shared, counted) = (self.clone(), work.clone());
        let service =
            service_fn(move |request| shared.clone().serve(request, who.clone(), false, counted.begin()));
        let connection = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .max_concurrent_streams(STREAMS)
            .max_header_list_size(u32::try_from(HEADER_LIST).unwrap_or(u32::MAX))
            .keep_alive_interval(PING)
            .keep_alive_timeout(PONG)
            .serve_connection(stream, service);
        tokio::pin!(connection);
        tokio::select! {
            result = &mut connection => return log(Ok(result), peer),
            _ = closed.wait_for(|closed| *closed) => {}
            () = sleep_until(opened + AGE) => {}
            () = work.rests_for(HEAD_TIMEOUT) => {}
            () = self.squeeze.leaves(&work) => {}
        }
        // Says which requests are still answered (GOAWAY): all that have come. Later ones go to a new connection.
        connection.as_mut().graceful_shutdown();
        let patience = async {
            sleep(SILENCE).await;
            // hyper waits for the beginning of a peer that has not begun at all, and would do so for ever.
            if work.has_begun() {
                sleep(OVERTIME).await;
            }
        };
        tokio::select! {
            result = &mut connection => log(Ok(result), peer),
            () = patience => tracing::debug!(%peer, "connection was cut: it did not take its answers"),
        }
    }
}

/// Errors of a connection are its client's affair: resets, half heads, timeouts.
fn log(ended: Result<hyper::Result<()>, tokio::time::error::Elapsed>, peer: IpAddr) {
    match ended {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, %peer, "connection ended"),
        Err(_) => tracing::debug!(%peer, "connection was cut: it did not take its answers"),
    }
}

/// The requests of one connection that are being answered. hyper has no idle time for HTTP/2, and a peer that answers every
/// ping could stay for ever; and of HTTP/1.1 it does not say who is idle.
pub(super) struct Work(Mutex<Rest>);

struct Rest {
    begun: bool,
    running: usize,
    since: Instant,
}

/// One request that is being answered.
pub(super) struct Running(Arc<Work>);

impl Default for Work {
    fn default() -> Self {
        Self(Mutex::new(Rest { begun: false, running: 0, since: Instant::now() }))
    }
}

impl Work {
    pub(super) fn begin(self: &Arc<Self>) -> Running {
        let mut rest = self.0.lock();
        (rest.begun, rest.running) = (true, rest.running + 1);
        drop(rest);
        Running(self.clone())
    }

    /// Whether there ever was a request.
    fn has_begun(&self) -> bool {
        self.0.lock().begun
    }

    /// Whether nothing has been answered for so long.
    pub(super) fn has_rested(&self, long: Duration) -> bool {
        let rest = self.0.lock();
        rest.running == 0 && rest.since.elapsed() >= long
    }

    /// Resolves once nothing has been answered for so long.
    async fn rests_for(&self, long: Duration) {
        loop {
            let until = {
                let rest = self.0.lock();
                if rest.running == 0 && rest.since.elapsed() >= long {
                    return;
                }
                // While something runs, the rest has not begun: it can be over in `long` at the earliest.
                if rest.running == 0 { rest.since + long } else { Instant::now() + long }
            };
            sleep_until(until).await;
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let mut rest = self.0.0.lock();
        rest.running -= 1;
        rest.since = Instant::now();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_connection_rests_from_its_last_answer_on() {
        let work = Arc::new(Work::default());
        let begun = Instant::now();
        let (first, second) = (work.begin(), work.begin());
        let waiting = tokio::spawn({
            let work = work.clone();
            async move { work.rests_for(HEAD_TIMEOUT).await }
        });
        tokio::time::sleep(HEAD_TIMEOUT * 2).await;
        drop(first);
        tokio::time::sleep(HEAD_TIMEOUT).await;
        assert!(!waiting.is_finished(), "a request is running");
        drop(second);
        let rested = Instant::now();
        waiting.await.unwrap();
        assert!(rested.elapsed() >= HEAD_TIMEOUT && begun.elapsed() <= HEAD_TIMEOUT * 5);
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_asks_nothing_rests_from_the_start() {
        let begun = Instant::now();
        Work::default().rests_for(HEAD_TIMEOUT).await;
        assert!(begun.elapsed() < HEAD_TIMEOUT + Duration::from_secs(1));
    }
}
