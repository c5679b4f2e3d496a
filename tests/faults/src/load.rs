//! Clients that ask without pause and write down what they are told.

use crate::ask::{Asker, Dialect, Got, Line, read};
use crate::ledger::Ledger;
use crate::time;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// How long a client waits for an answer before it gives up: longer than the slowest machine takes, because who asks and is not
/// answered at all is what it is to find. How soon answers came is in the [`Ledger`].
pub const DEADLINE: Duration = Duration::from_secs(20);

/// Threads that ask until they are told to stop.
pub struct Load {
    stop: Arc<AtomicBool>,
    granted: Arc<AtomicU64>,
    threads: Vec<JoinHandle<()>>,
}

impl Load {
    /// Starts so many clients; they take turns with these dialects.
    pub fn start(
        address: SocketAddr,
        asker: &Asker,
        dialects: &[Dialect],
        clients: usize,
        ledger: &Arc<Ledger>,
    ) -> Self {
        let (stop, granted) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let threads = (0..clients)
            .zip(dialects.iter().copied().cycle())
            .map(|(_, dialect)| {
                let (stop, granted) = (stop.clone(), granted.clone());
                let (asker, ledger) = (asker.clone(), ledger.clone());
                std::thread::spawn(move || client(address, &asker, dialect, &ledger, &stop, &granted))
            })
            .collect();
        Self { stop, granted, threads }
    }

    /// How many credentials were received so far.
    pub fn granted(&self) -> u64 {
        self.granted.load(Ordering::Relaxed)
    }

    /// Waits until this many more credentials were received, for so long at most. Says whether they were.
    pub fn goes_on(&self, more: u64, patience: Duration) -> bool {
        let goal = self.granted() + more;
        time::until(patience, || self.granted() >= goal).is_some()
    }

    /// Stops the clients, each after the answer it waits for.
    pub fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads {
            // A client that panicked has written down nothing wrong; what it saw is in the ledger.
            let _ = thread.join();
        }
    }
}

fn client(
    address: SocketAddr,
    asker: &Asker,
    dialect: Dialect,
    ledger: &Ledger,
    stop: &AtomicBool,
    granted: &AtomicU64,
) {
    let mut line = None;
    while !stop.load(Ordering::Relaxed) {
        let Some(open) = &mut line else {
            match Line::open(address, DEADLINE) {
                Ok(opened) => line = Some(opened),
                // Nobody listens: a node that starts again.
                Err(_) => time::pause(Duration::from_millis(3)),
            }
            continue;
        };
        let begin = time::now();
        let Ok(answer) = open.ask(&asker.request(dialect)) else {
            if begin.elapsed() >= DEADLINE {
                ledger.broken(format!("{dialect:?}: no answer within {DEADLINE:?}"));
            }
            ledger.cut_off();
            line = None;
            continue;
        };
        ledger.took(begin.elapsed());
        match read(dialect, &answer) {
            Ok(Got::Credential(id)) => {
                ledger.credential(id);
                granted.fetch_add(1, Ordering::Relaxed);
            }
            Ok(Got::Refused(code)) => {
                ledger.refused(&code);
                time::pause(Duration::from_millis(3));
            }
            Err(error) => ledger.broken(format!("{error:#}")),
        }
        if answer.head.contains("connection: close") {
            line = None;
        }
    }
}
