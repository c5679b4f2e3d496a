//! The beginning of a connection: whose it is, and whether there is a place for it.
//!
//! A declared balancer says first for whom it connects, by the PROXY protocol, and from then on the connection is that one's: in
//! records, limits and logs. From anyone else such a header is refused.
//!
//! Attack: whoever reaches the listener writes a header himself, to come from any address that he likes. So it is read from
//! declared networks alone, there it must be, and nowhere is there a choice.

use super::Server;
use super::balancers::{Balancers, Trouble};
use super::connection::HEAD_TIMEOUT;
use super::crowd::Place;
use super::proxy_protocol::{self, Flaw, Whose};
use bytes::Bytes;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::timeout;

/// How much of a beginning is read at once. A header with addresses of IPv6 and what balancers add fits in.
const PIECE: usize = 512;

/// A connection of which it is known whose it is.
pub(super) struct Opened {
    /// What its client sends and gets.
    pub(super) stream: Stream,
    /// Where its client is.
    pub(super) peer: SocketAddr,
    /// Kept for as long as it stands.
    pub(super) place: Place,
}

impl Server {
    /// Finds out whose a connection is; none where there is no place for it, or where that cannot be found out.
    pub(super) async fn receive(
        &self,
        mut tcp: TcpStream,
        peer: SocketAddr,
        mut closed: watch::Receiver<bool>,
    ) -> Option<Opened> {
        let ip = peer.ip().to_canonical();
        // Until it says otherwise, a balancer's connections are its own.
        // Attack: whoever is in its network opens connections without a word until there are none left for anyone else.
        let place = self.place(ip)?;
        if !self.app.setup().proxies.says_for_whom(ip) {
            let start = Start::Unseen(self.app.balancers.clone(), ip);
            return Some(Opened { stream: Stream { tcp, start }, peer, place });
        }
        let idle = Arc::default();
        let heard = tokio::select! {
            // Whoever has not even said for whom he comes has sent no request that could be dropped.
            _ = closed.wait_for(|closed| *closed) => return None,
            () = self.squeeze.leaves(&idle) => return None,
            heard = timeout(HEAD_TIMEOUT, hear(&mut tcp)) => heard.unwrap_or(Err(Unheard::Late)),
        };
        let (whose, left) = match heard {
            Ok(heard) => heard,
            Err(unheard) => {
                unheard.tell(&self.app.balancers, ip);
                return None;
            }
        };
        let (peer, place) = match whose {
            Whose::Of(client) if believable(client.ip().to_canonical(), ip) => {
                (client, self.place(client.ip().to_canonical())?)
            }
            Whose::Of(_) | Whose::Its => (peer, place),
        };
        let start = if left.is_empty() { Start::Past } else { Start::Left(left) };
        Some(Opened { stream: Stream { tcp, start }, peer, place })
    }

    /// A place for a connection of this address, if its network has one left. This machine, and proxies that speak for many,
    /// need none. `ip` is canonical.
    fn place(&self, ip: IpAddr) -> Option<Place> {
        if ip.is_loopback() || self.app.setup().proxies.trusts(ip) {
            return Some(Place::uncounted());
        }
        self.crowd.enter(ip)
    }
}

/// Whether a balancer can mean this address. Its own loopback is its machine, and not ours.
///
/// Attack: whoever has an account on the balancer's machine comes from its loopback, and gets what is there for this machine alone.
fn believable(client: IpAddr, balancer: IpAddr) -> bool {
    !client.is_loopback() || balancer.is_loopback()
}

/// Why it was not heard for whom a balancer connects.
enum Unheard {
    /// It has gone without a word, to see whether somebody listens, or before all was said.
    Gone,
    /// It did not say so in time.
    Late,
    /// It said something else.
    Flaw(Flaw),
}

impl Unheard {
    fn tell(self, balancers: &Balancers, from: IpAddr) {
        match self {
            Self::Gone => tracing::debug!(peer = %from, "a balancer connected and said nothing"),
            Self::Late => balancers.note(Trouble::Late, from, &"it did not say in time for whom it connects"),
            Self::Flaw(flaw @ Flaw::Missing) => balancers.note(Trouble::Missing, from, &flaw),
            Self::Flaw(flaw @ (Flaw::Malformed | Flaw::TooLong)) => {
                balancers.note(Trouble::Malformed, from, &flaw);
            }
        }
    }
}

/// Hears for whom a balancer connects, and what came behind that already.
async fn hear(tcp: &mut TcpStream) -> Result<(Whose, Bytes), Unheard> {
    // So that a connection on which nothing comes takes no memory.
    let _ = tcp.readable().await;
    let mut bytes = Vec::new();
    loop {
        bytes.reserve(PIECE);
        match tcp.read_buf(&mut bytes).await {
            Ok(0) | Err(_) => return Err(Unheard::Gone),
            Ok(_) => {}
        }
        if let Some((whose, length)) = proxy_protocol::read(&bytes).map_err(Unheard::Flaw)? {
            return Ok((whose, Bytes::from(bytes).slice(length..)));
        }
    }
}

/// What a client sends and gets, without what a balancer said before.
pub(super) struct Stream {
    tcp: TcpStream,
    start: Start,
}

/// What there is to do at the first reading.
enum Start {
    /// Nothing has been read, and a header of a balancer must not come.
    Unseen(Arc<Balancers>, IpAddr),
    /// This was read together with the header.
    Left(Bytes),
    /// Nothing.
    Past,
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let Self { tcp, start } = self.get_mut();
        match start {
            Start::Past => Pin::new(tcp).poll_read(cx, buf),
            Start::Left(left) => {
                buf.put_slice(&left.split_to(left.len().min(buf.remaining())));
                if left.is_empty() {
                    *start = Start::Past;
                }
                Poll::Ready(Ok(()))
            }
            Start::Unseen(balancers, from) => {
                let before = buf.filled().len();
                ready!(Pin::new(tcp).poll_read(cx, buf))?;
                if proxy_protocol::is_one(buf.filled().get(before..).unwrap_or_default()) {
                    let why = "`proxy_protocol` does not name it, and it begins with a header of the PROXY protocol";
                    balancers.note(Trouble::Undeclared, *from, &why);
                    buf.set_filled(before);
                    return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, why)));
                }
                *start = Start::Past;
                Poll::Ready(Ok(()))
            }
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().tcp).poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().tcp).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().tcp).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().tcp).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loopback_of_another_machine_is_not_ours() {
        let can =
            |client: &str, balancer: &str| believable(client.parse().unwrap(), balancer.parse().unwrap());
        assert!(can("192.0.2.7", "10.0.0.1") && can("10.0.0.2", "10.0.0.1"));
        assert!(can("127.0.0.1", "127.0.0.1") && can("::1", "127.0.0.1"));
        assert!(!can("127.0.0.1", "10.0.0.1") && !can("::1", "10.0.0.1") && !can("127.9.9.9", "fd00::1"));
    }
}
