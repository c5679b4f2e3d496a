//! The listeners: accept connections, answer requests, and leave without dropping one.
//!
//! hyper is served by our own loop, because a bare framework sets no limit on how slowly a head may arrive, how
//! many connections may stand, or how long a shutdown may take.

mod address;
mod balancers;
mod bodies;
mod connection;
mod crowd;
mod dn;
mod gate;
mod group;
mod head;
mod http;
mod opening;
mod passed_on;
mod peer;
mod probes;
mod proxy_protocol;
mod reload;
mod route;
mod squeeze;
#[cfg(test)]
mod tests;
mod tls;
mod turn_away;

pub(crate) use address::Proxies;
pub(crate) use balancers::Balancers;
pub(crate) use gate::Gate;
pub(crate) use proxy_protocol::OWN;
pub(crate) use reload::{Looks, Watch};
pub(crate) use tls::Tls;

use crate::app::App;
use crowd::Crowd;
use squeeze::Squeeze;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// The most connections at once; further ones wait in the kernel's queue.
const CONNECTIONS: usize = 10_000;
/// After a signal to stop: how long requests on standing connections are still answered (with `connection: close`),
/// so that a client which has just sent one is not cut off.
const GRACE: Duration = Duration::from_millis(500);
/// After a signal to stop: when the process leaves, whatever still runs.
const DRAIN: Duration = Duration::from_secs(9);

/// A listener with what it shows. Without `tls` it speaks plain HTTP/1.1.
pub(crate) struct Door {
    listener: TcpListener,
    tls: Option<Arc<Tls>>,
}

impl Door {
    /// Takes connections from this listener.
    pub(crate) fn new(listener: TcpListener, tls: Option<Arc<Tls>>) -> Self {
        Self { listener, tls }
    }
}

/// What all connections share, by whichever door they came: one count of them, one share for each network.
pub(crate) struct Server {
    app: Arc<App>,
    slots: Arc<Semaphore>,
    crowd: Arc<Crowd>,
    squeeze: Squeeze,
    draining: AtomicBool,
}

impl Server {
    /// A server for this application.
    pub(crate) fn new(app: Arc<App>) -> Arc<Self> {
        let (slots, crowd) = (Arc::new(Semaphore::new(CONNECTIONS)), Arc::default());
        let squeeze = Squeeze::default();
        Arc::new(Self { app, slots, crowd, squeeze, draining: AtomicBool::new(false) })
    }

    fn draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// Serves until `stop` resolves, then drains: at most ten seconds, and no request dropped that was sent.
    pub(crate) async fn run(self: Arc<Self>, doors: Vec<Door>, stop: impl Future<Output = ()>) {
        let (close, closed) = watch::channel(false);
        let mut open = JoinSet::new();
        for door in doors {
            open.spawn(self.clone().tend(door, closed.clone()));
        }
        tokio::select! {
            () = stop => {}
            () = self.make_room() => {}
            // Only a panic ends a door before its time, and a server that nobody can reach must not seem well.
            Some(_) = open.join_next() => tracing::error!("a listener has broken down"),
        }
        // Each door holds a slot for the next one who comes.
        tracing::info!(
            connections = self.taken().saturating_sub(open.len()),
            "stopping: answering what was sent"
        );
        self.draining.store(true, Ordering::Relaxed);
        // What clients have already sent is still answered, on new connections in the kernel's queue as well.
        sleep(GRACE).await;
        let _ = close.send(true);
        let drained = timeout(DRAIN, async { while open.join_next().await.is_some() {} }).await;
        if drained.is_err() {
            tracing::warn!(left = self.taken(), "connections did not end in time and are cut");
        }
        open.shutdown().await;
    }

    /// Looks for as long as the server runs whether there is room for whoever comes.
    async fn make_room(&self) {
        loop {
            sleep(squeeze::LOOK).await;
            self.squeeze.look(self.slots.available_permits());
        }
    }

    fn taken(&self) -> usize {
        CONNECTIONS.saturating_sub(self.slots.available_permits())
    }

    /// Takes connections from one door until it is closed, then waits for them to end. To stop this cuts them.
    async fn tend(self: Arc<Self>, door: Door, mut closed: watch::Receiver<bool>) {
        let (mut connections, ours) = (JoinSet::new(), closed.clone());
        let end = closed.wait_for(|closed| *closed);
        tokio::pin!(end);
        loop {
            tokio::select! {
                _ = &mut end => break,
                Some(_) = connections.join_next(), if !connections.is_empty() => {}
                accepted = accept(&door.listener, &self.slots) => if let Some(accepted) = accepted {
                    connections.spawn(self.clone().connection(accepted, door.tls.clone(), ours.clone()));
                },
            }
        }
        drop(door);
        while connections.join_next().await.is_some() {}
    }
}

/// A connection with the slot that it takes.
struct Accepted {
    stream: TcpStream,
    peer: SocketAddr,
    slot: OwnedSemaphorePermit,
}

/// Waits for a free slot, then for a connection. Running out of file descriptors must not become a busy loop.
async fn accept(listener: &TcpListener, slots: &Arc<Semaphore>) -> Option<Accepted> {
    let slot = slots.clone().acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, peer)) => {
            // An answer is one small write; waiting to fill a packet would only delay it.
            let _ = stream.set_nodelay(true);
            Some(Accepted { stream, peer, slot })
        }
        Err(error) => {
            let transient =
                matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::Interrupted);
            if !transient {
                tracing::warn!(%error, "cannot accept connections; trying again");
                sleep(Duration::from_millis(50)).await;
            }
            None
        }
    }
}

/// Catches SIGTERM and SIGINT from this call on, not from the first poll: whoever announces a server calls this
/// first, because a signal that nobody catches yet kills the process. Resolves at the first of them.
pub(crate) fn stop_signal() -> impl Future<Output = ()> {
    use tokio::signal::unix::{SignalKind, signal};
    let caught = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()));
    async move {
        let (Ok(mut term), Ok(mut int)) = caught else {
            tracing::warn!("signals cannot be caught; the process will stop without draining");
            return std::future::pending().await;
        };
        tokio::select! {
            _ = term.recv() => {}
            _ = int.recv() => {}
        }
    }
}
