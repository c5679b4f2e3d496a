//! A plain TCP balancer between clients and nodes, or between a node and its database, that can be told to misbehave.

use crate::time;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How often a connection looks whether it may go on.
const TICK: Duration = Duration::from_millis(5);

/// What the proxy does with bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    /// It passes them on.
    Well = 0,
    /// It takes none and closes nothing: a cable that was pulled.
    Silent = 1,
    /// It passes on what is asked and swallows what is answered: an answer that was lost.
    HalfOpen = 2,
    /// It refuses new connections and cuts those that are there.
    Cut = 3,
}

struct State {
    targets: Mutex<Vec<SocketAddr>>,
    next: AtomicUsize,
    mood: AtomicU8,
    /// Grows each time that all connections are to be cut.
    cuts: AtomicU64,
    /// Connections are cut where what is sent contains this.
    tripwire: Mutex<Option<Vec<u8>>>,
    /// What clients say otherwise, and what it becomes.
    replacement: Mutex<Option<(Vec<u8>, Vec<u8>)>>,
    replaced: AtomicBool,
    stop: AtomicBool,
}

/// A balancer that runs until it is dropped.
pub struct Proxy {
    state: Arc<State>,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Proxy {
    /// Starts one that takes turns with these servers.
    pub fn start(targets: &[SocketAddr]) -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let state = Arc::new(State {
            targets: Mutex::new(targets.to_vec()),
            next: AtomicUsize::new(0),
            mood: AtomicU8::new(Mood::Well as u8),
            cuts: AtomicU64::new(0),
            tripwire: Mutex::new(None),
            replacement: Mutex::new(None),
            replaced: AtomicBool::new(false),
            stop: AtomicBool::new(false),
        });
        let accepting = state.clone();
        std::thread::spawn(move || accept(&listener, &accepting));
        Ok(Self { state, address })
    }

    /// From now on it takes turns with these.
    pub fn aim(&self, targets: &[SocketAddr]) {
        *self.state.targets.lock().unwrap_or_else(PoisonError::into_inner) = targets.to_vec();
    }

    /// From now on it behaves like this.
    pub fn be(&self, mood: Mood) {
        self.state.mood.store(mood as u8, Ordering::SeqCst);
        if mood == Mood::Cut {
            self.cut();
        }
    }

    /// Cuts every connection that is there.
    pub fn cut(&self) {
        self.state.cuts.fetch_add(1, Ordering::SeqCst);
    }

    /// Cuts, once, the connection whose client sends these bytes, after they were passed on: nobody knows what became of it.
    pub fn cut_after(&self, bytes: &[u8]) {
        *self.state.tripwire.lock().unwrap_or_else(PoisonError::into_inner) = Some(bytes.to_vec());
    }

    /// From now on these bytes of clients become others of the same number: a server that does not know a word.
    pub fn replace(&self, bytes: &[u8], others: &[u8]) {
        *self.state.replacement.lock().unwrap_or_else(PoisonError::into_inner) =
            Some((bytes.to_vec(), others.to_vec()));
    }

    /// Whether that has happened.
    pub fn has_replaced(&self) -> bool {
        self.state.replaced.load(Ordering::SeqCst)
    }

    /// Whether that has happened.
    pub fn has_cut(&self) -> bool {
        self.state.tripwire.lock().unwrap_or_else(PoisonError::into_inner).is_none()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.state.stop.store(true, Ordering::SeqCst);
        self.cut();
        // Wakes whoever accepts; a failure means that nobody does.
        let _ = TcpStream::connect(self.address);
    }
}

impl State {
    fn mood(&self) -> Mood {
        match self.mood.load(Ordering::SeqCst) {
            1 => Mood::Silent,
            2 => Mood::HalfOpen,
            3 => Mood::Cut,
            _ => Mood::Well,
        }
    }

    /// The servers, beginning with the one whose turn it is.
    fn turn(&self) -> Vec<SocketAddr> {
        let mut targets = self.targets.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let turn = self.next.fetch_add(1, Ordering::SeqCst);
        if !targets.is_empty() {
            let turn = turn % targets.len();
            targets.rotate_left(turn);
        }
        targets
    }

    /// Says otherwise what is to be said otherwise.
    fn replace(&self, bytes: &mut [u8]) {
        let replacement = self.replacement.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((from, to)) = &*replacement else { return };
        let Some(at) = bytes.windows(from.len()).position(|window| window == from) else { return };
        bytes.iter_mut().skip(at).zip(to).for_each(|(byte, other)| *byte = *other);
        self.replaced.store(true, Ordering::SeqCst);
    }

    /// Whether these bytes are what it waits for. It does not wait any more then.
    fn trips(&self, bytes: &[u8]) -> bool {
        let mut wire = self.tripwire.lock().unwrap_or_else(PoisonError::into_inner);
        let trips = wire.as_ref().is_some_and(|wire| bytes.windows(wire.len()).any(|window| window == wire));
        if trips {
            *wire = None;
        }
        trips
    }
}

fn accept(listener: &TcpListener, state: &Arc<State>) {
    while let Ok((client, _)) = listener.accept() {
        if state.stop.load(Ordering::SeqCst) {
            return;
        }
        if state.mood() == Mood::Cut {
            continue;
        }
        let state = state.clone();
        std::thread::spawn(move || carry(&client, &state));
    }
}

/// Carries one connection to the first server that takes it.
fn carry(client: &TcpStream, state: &Arc<State>) {
    let cuts = state.cuts.load(Ordering::SeqCst);
    // To the client a silent network looks the same before the connection is made as after it.
    while state.mood() == Mood::Silent && state.cuts.load(Ordering::SeqCst) == cuts {
        time::pause(TICK);
    }
    let open = |target: &SocketAddr| TcpStream::connect_timeout(target, Duration::from_secs(1)).ok();
    let Some(server) = state.turn().iter().find_map(open) else { return };
    let ended = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| pump(client, &server, state, cuts, true, &ended));
        pump(&server, client, state, cuts, false, &ended);
    });
}

/// Carries bytes one way until either side ends.
fn pump(from: &TcpStream, to: &TcpStream, state: &State, cuts: u64, asks: bool, ended: &AtomicBool) {
    let mut bytes = [0; 16 * 1024];
    let (mut from, mut to) = (from, to);
    let _ = from.set_read_timeout(Some(TICK));
    let _ = from.set_nodelay(true);
    while !ended.load(Ordering::SeqCst) && state.cuts.load(Ordering::SeqCst) == cuts {
        if state.mood() == Mood::Silent {
            time::pause(TICK);
            continue;
        }
        let read = match from.read(&mut bytes) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => continue,
            Err(_) => break,
        };
        if !asks && state.mood() == Mood::HalfOpen {
            continue;
        }
        let read = bytes.get_mut(..read).unwrap_or_default();
        if asks {
            state.replace(read);
        }
        if to.write_all(read).is_err() {
            break;
        }
        if asks && state.trips(read) {
            break;
        }
    }
    ended.store(true, Ordering::SeqCst);
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}
