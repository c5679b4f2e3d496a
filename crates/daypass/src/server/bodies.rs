//! The bodies of requests as they arrive, and how much memory they take together.

use bytes::Bytes;
use daypass_core::strangers::network;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How much of a body is read without asking, in bytes: real requests have less.
const FREE: usize = 16 * 1024;

/// How many bytes of larger bodies are held at one time, of all requests together.
///
/// Attack: some hundred clients send the largest bodies that there may be, and slowly, until the memory is used up.
const BODIES: usize = 8 * 1024 * 1024;

/// How many of these bytes come from one network: a quarter, as of the connections. Loopback has no such bound.
///
/// Attack: one stranger holds all of it, with as many connections as one host has, and nobody else's larger request is read.
const FROM_ONE_NETWORK: usize = BODIES / 4;

/// What larger bodies take.
#[derive(Default)]
pub(super) struct Bodies {
    all: AtomicUsize,
    by: Mutex<HashMap<IpAddr, usize>>,
}

impl Bodies {
    /// Begins to read a body from there.
    pub(super) fn begin(self: &Arc<Self>, source: IpAddr) -> Body {
        let source = source.to_canonical();
        let network = (!source.is_loopback()).then(|| network(source));
        Body { first: Bytes::new(), all: Vec::new(), counted: 0, network, bodies: self.clone() }
    }

    /// Counts what has come, and says whether there is room for it.
    fn take(&self, network: Option<IpAddr>, more: usize) -> bool {
        let fits = network.is_none_or(|network| {
            let mut by = self.by.lock();
            let taken = by.entry(network).or_default();
            *taken += more;
            *taken <= FROM_ONE_NETWORK
        });
        self.all.fetch_add(more, Ordering::Relaxed).saturating_add(more) <= BODIES && fits
    }

    fn give_back(&self, network: Option<IpAddr>, counted: usize) {
        self.all.fetch_sub(counted, Ordering::Relaxed);
        let Some(network) = network else { return };
        let mut by = self.by.lock();
        if let Some(taken) = by.get_mut(&network) {
            *taken = taken.saturating_sub(counted);
            if *taken == 0 {
                by.remove(&network);
            }
        }
    }
}

/// A body as it arrives. What of it is more than real requests have counts against what all such bodies may take together,
/// until this is dropped.
pub(super) struct Body {
    /// The first piece, as long as it is the only one: most bodies come in one, which is not copied.
    first: Bytes,
    /// All that has come, once there are two.
    ///
    /// Attack: a piece has some thirty bytes beside what it holds, and a body that comes byte by byte would take as many
    /// times what it is counted for.
    all: Vec<u8>,
    counted: usize,
    network: Option<IpAddr>,
    bodies: Arc<Bodies>,
}

impl Body {
    /// How many bytes have come.
    pub(super) fn length(&self) -> usize {
        self.first.len() + self.all.len()
    }

    /// Keeps what has come, and says whether there is room for it.
    pub(super) fn push(&mut self, piece: Bytes) -> bool {
        if self.length() == 0 {
            self.first = piece;
        } else {
            let first = std::mem::take(&mut self.first);
            let more = first.len() + piece.len();
            if self.all.capacity() - self.all.len() < more {
                // No more than is needed, and some: what doubled would take twice what it is counted for.
                self.all.reserve_exact(more.max(FREE / 4));
            }
            self.all.extend_from_slice(&first);
            self.all.extend_from_slice(&piece);
        }
        let more = self.length().saturating_sub(FREE).saturating_sub(self.counted);
        if more == 0 {
            return true;
        }
        self.counted += more;
        self.bodies.take(self.network, more)
    }

    /// All of it in one piece; what it takes goes on to count.
    pub(super) fn whole(&mut self) -> Bytes {
        let (first, all) = (std::mem::take(&mut self.first), std::mem::take(&mut self.all));
        if all.is_empty() { first } else { all.into() }
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        if self.counted > 0 {
            self.bodies.give_back(self.network, self.counted);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk() -> Bytes {
        Bytes::from(vec![7; FREE])
    }

    fn from(host: &str) -> IpAddr {
        host.parse().unwrap()
    }

    /// Bodies of sixteen pieces from this host, as many as there is room for.
    fn fill(bodies: &Arc<Bodies>, host: impl Fn(usize) -> IpAddr) -> Vec<Body> {
        let large = (0..BODIES / FREE).map_while(|n| {
            let mut body = bodies.begin(host(n));
            (0..16).all(|_| body.push(chunk())).then_some(body)
        });
        large.collect()
    }

    #[test]
    fn large_bodies_share_what_there_is_and_small_ones_need_nothing() {
        let bodies = Arc::new(Bodies::default());
        let large = fill(&bodies, |_| from("127.0.0.1"));
        assert_eq!(large.len(), BODIES / (15 * FREE));
        let mut one_more = bodies.begin(from("192.0.2.1"));
        assert!(one_more.push(chunk()), "what a real request has");
        assert!(!(0..15).all(|_| one_more.push(chunk())), "the next one does not fit");
        drop(one_more);
        let mut small = bodies.begin(from("192.0.2.1"));
        assert!(small.push(Bytes::from_static(b"a=1")) && small.push(Bytes::from_static(b"&b=2")));
        assert_eq!((small.length(), small.whole()), (7, Bytes::from_static(b"a=1&b=2")));
        drop(large);
        assert_eq!(bodies.all.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn one_network_has_a_quarter_of_it() {
        let bodies = Arc::new(Bodies::default());
        let large = fill(&bodies, |n| from(&format!("192.0.2.{}", n % 250)));
        assert_eq!(large.len(), FROM_ONE_NETWORK / (15 * FREE));
        let mut mapped = bodies.begin(from("::ffff:192.0.2.9"));
        assert!(!(0..16).all(|_| mapped.push(chunk())), "the same network");
        let mut other = bodies.begin(from("192.0.3.1"));
        assert!((0..16).all(|_| other.push(chunk())), "another");
        drop((large, mapped, other));
        assert_eq!(bodies.all.load(Ordering::Relaxed), 0);
        assert!(bodies.by.lock().is_empty(), "nothing is kept of who was here");
    }

    #[test]
    fn a_body_takes_as_much_as_it_is_long_however_it_comes() {
        let bodies = Arc::new(Bodies::default());
        let mut one = bodies.begin(from("192.0.2.1"));
        let whole = Bytes::from(vec![7; 100]);
        let begin = whole.as_ptr();
        assert!(one.push(whole));
        assert_eq!(one.whole().as_ptr(), begin, "one piece is not copied");
        let mut trickle = bodies.begin(from("192.0.2.1"));
        for n in 0..FREE {
            assert!(trickle.push(Bytes::copy_from_slice(&[u8::try_from(n % 251).unwrap()])));
        }
        assert!(trickle.all.capacity() <= FREE + FREE / 4 && trickle.first.is_empty());
        assert_eq!(trickle.length(), FREE);
        assert!(trickle.whole().iter().enumerate().all(|(n, byte)| usize::from(*byte) == n % 251));
    }
}
