//! Ports for servers that others have to know before they listen, and that keep their port when they are started again.

use anyhow::Context as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

/// None of these is one that Linux gives by itself to a connection or to a listener that asks for any port (32768 to 60999 unless it
/// is told otherwise). Of those, a port that was free a moment ago may be somebody else's connection before the server is there; and
/// who connects to such a port while nobody listens may be given the same one to come from, is then connected to himself, and the
/// server that comes back finds its port taken.
const PORTS: Range<u16> = 12_000..20_000;

/// How many were looked at so far.
static LOOKED: AtomicU32 = AtomicU32::new(0);

/// The UDP ports of the same numbers: while this process holds one, no other process that asks here is given that port.
static MARKS: Mutex<Vec<UdpSocket>> = Mutex::new(Vec::new());

/// An address on loopback that nobody listens on. It is nobody else's who asks here until this process ends.
///
/// # Errors
///
/// Where all are taken.
pub fn free_address() -> anyhow::Result<SocketAddr> {
    // Each process begins elsewhere, so that few look where another has been.
    let (count, begin) = (u32::from(PORTS.end - PORTS.start), std::process::id().wrapping_mul(97));
    for _ in 0..count {
        let step = begin.wrapping_add(LOOKED.fetch_add(1, Ordering::Relaxed)) % count;
        let port = PORTS.start + u16::try_from(step)?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let Ok(mark) = UdpSocket::bind(address) else { continue };
        if TcpListener::bind(address).is_ok() {
            MARKS.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(mark);
            return Ok(address);
        }
    }
    None.context("no port is free")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn nobody_is_given_a_port_twice_or_one_that_the_system_gives() {
        let all: Vec<_> = (0..50).map(|_| free_address().unwrap()).collect();
        assert_eq!(all.iter().collect::<HashSet<_>>().len(), all.len());
        assert!(all.iter().all(|address| PORTS.contains(&address.port())));
        let listeners: Vec<_> = all.iter().map(|address| TcpListener::bind(address).unwrap()).collect();
        drop(listeners);
        assert!(!all.contains(&free_address().unwrap()), "it stays theirs when they do not listen");
    }

    #[test]
    fn a_port_with_somebody_else_s_mark_or_listener_is_passed_over() {
        let next = |after: SocketAddr, steps: u16| {
            let step = (after.port() - PORTS.start + steps) % (PORTS.end - PORTS.start);
            SocketAddr::from((Ipv4Addr::LOCALHOST, PORTS.start + step))
        };
        let first = free_address().unwrap();
        // Whoever is faster than this test in another thread has taken one of them.
        let _mark = UdpSocket::bind(next(first, 3));
        let _listener = TcpListener::bind(next(first, 6));
        let given: Vec<_> = (0..10).map(|_| free_address().unwrap()).collect();
        assert!(!given.contains(&next(first, 3)) && !given.contains(&next(first, 6)), "{first} {given:?}");
    }
}
