//! Merging the log into the file. (figures follow)

use super::schema::{self, Use};
use rusqlite::Connection;
use std::path::PathBuf;
use std::sync::mpsc;

pub(super) struct Checkpoints {
    commits: u32,
    own: i64,
    signal: Option<(i64, mpsc::SyncSender<()>)>,
}

impl Checkpoints {
    pub(super) fn new(path: PathBuf) -> Self {
        let env = |n: &str| -> i64 { std::env::var(n).ok().and_then(|v| v.parse().ok()).unwrap_or(0) };
        let thread = env("CK_THREAD");
        let signal = (thread > 0).then(|| {
            let (tx, rx) = mpsc::sync_channel(1);
            std::thread::spawn(move || {
                let connection = schema::connect(&path, Use::Read).unwrap();
                connection.pragma_update(None, "query_only", false).unwrap();
                while rx.recv().is_ok() {
                    let r: (i64, i64, i64) = connection
                        .query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)))
                        .unwrap();
                    let _ = r;
                }
            });
            (thread, tx)
        });
        Self { commits: 0, own: if env("CK_OWN") > 0 { env("CK_OWN") } else { 1000 }, signal }
    }

    pub(super) fn after_commit(&mut self, connection: &Connection) {
        self.commits += 1;
        if self.commits % 16 != 0 {
            return;
        }
        let (log, done): (i64, i64) =
            connection.query_row("PRAGMA wal_checkpoint(NOOP)", [], |r| Ok((r.get(1)?, r.get(2)?))).unwrap();
        if log - done > 0 && log > self.own {
            connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(())).unwrap();
        } else if let Some((limit, signal)) = &self.signal
            && log - done > *limit
        {
            let _ = signal.try_send(());
        }
    }
}
