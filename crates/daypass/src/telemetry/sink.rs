//! Where log lines go: a queue that nobody waits for, a thread that writes, and a count of what was lost.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tracing_appender::non_blocking::{ErrorCounter, NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::fmt::MakeWriter;

/// How many lines may wait: some megabytes at most, and seconds of a busy server.
const LINES: usize = 8192;

/// Writes, and counts what could not be written: a full disk, or a reader that is gone.
pub(super) struct Sink<W> {
    to: W,
    failed: Arc<AtomicU64>,
}

impl<W: io::Write> Sink<W> {
    pub(super) fn new(to: W) -> Self {
        Self { to, failed: Arc::default() }
    }
}

impl<W: io::Write> io::Write for Sink<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.to.write_all(line).is_err() {
            self.failed.fetch_add(1, Ordering::Relaxed);
        }
        // The next line is tried again, and this one is not.
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// Takes lines. Copies are of the same queue.
#[derive(Clone)]
pub(super) struct Queue {
    lines: NonBlocking,
    dropped: ErrorCounter,
    failed: Arc<AtomicU64>,
}

/// The thread that writes. When it goes, what waits is written, if somebody takes it within a second.
pub(super) struct Writer {
    _guard: WorkerGuard,
}

/// Starts the thread.
pub(super) fn start<W: io::Write + Send + 'static>(sink: Sink<W>) -> (Queue, Writer) {
    let failed = sink.failed.clone();
    let (lines, guard) = NonBlockingBuilder::default()
        .lossy(true)
        .buffered_lines_limit(LINES)
        .thread_name("daypass-log")
        .finish(sink);
    let dropped = lines.error_counter();
    (Queue { lines, dropped, failed }, Writer { _guard: guard })
}

impl Queue {
    /// How many lines nobody will read.
    pub(super) fn lost(&self) -> u64 {
        let dropped = u64::try_from(self.dropped.dropped_lines()).unwrap_or(u64::MAX);
        dropped.saturating_add(self.failed.load(Ordering::Relaxed))
    }
}

impl<'a> MakeWriter<'a> for Queue {
    type Writer = NonBlocking;

    fn make_writer(&'a self) -> Self::Writer {
        self.lines.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use parking_lot::Mutex;
    use std::io::Write as _;
    use std::sync::mpsc;
    use std::time::Duration;

    /// Takes nothing until it is told to.
    struct Stopped {
        go: mpsc::Receiver<()>,
        taken: Arc<Mutex<Vec<u8>>>,
    }

    impl io::Write for Stopped {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.go.recv();
            self.taken.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn nobody_waits_for_a_reader_that_stands_still_and_what_is_lost_is_counted() {
        let (stop, go) = mpsc::channel();
        let taken = Arc::new(Mutex::new(Vec::new()));
        let (queue, writer) = start(Sink::new(Stopped { go, taken: taken.clone() }));
        let (done, waiting) = mpsc::channel();
        let from = queue.clone();
        std::thread::spawn(move || {
            for number in 0..3 * LINES {
                // A line is one write, as `tracing` makes it.
                from.make_writer().write_all(format!("line {number}\n").as_bytes()).unwrap();
            }
            done.send(()).unwrap();
        });
        waiting.recv_timeout(Duration::from_secs(20)).expect("nobody waits");
        let lost = queue.lost();
        assert!(lost >= (2 * LINES) as u64 - 1 && lost <= 2 * LINES as u64, "{lost}");
        drop(stop);
        drop(writer);
        let text = String::from_utf8(taken.lock().clone()).unwrap();
        assert!(text.starts_with("line 0\nline 1\n"), "in order");
        assert_eq!(text.lines().count() as u64 + lost, 3 * LINES as u64);
    }

    /// A disk that is full.
    struct Full;

    impl io::Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_cannot_be_written_is_counted_and_told_to_nobody() {
        let (queue, writer) = start(Sink::new(Full));
        for _ in 0..5 {
            queue.make_writer().write_all(b"a line\n").unwrap();
        }
        drop(writer);
        assert_eq!(queue.lost(), 5);
    }
}
