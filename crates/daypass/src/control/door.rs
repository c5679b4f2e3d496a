//! The service's side of the socket.

use super::place::{self, Place};
use super::{Answer, LINE, Request};
use crate::reload::{NotReloaded, Reloader};
use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use std::fs::Permissions;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

/// How many may ask at once. Commands of operators, and a health check every few seconds.
const CONNECTIONS: usize = 16;
/// How long a question may take to arrive.
const QUESTION: Duration = Duration::from_secs(5);

/// An open socket. Its file goes with it.
pub(crate) struct Control {
    listener: UnixListener,
    path: PathBuf,
}

/// Where a service listens, for whoever would ask it how it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Listens {
    /// The address of the first listener.
    pub(crate) address: SocketAddr,
    /// Whether it speaks TLS.
    pub(crate) tls: bool,
}

impl Control {
    /// Opens the socket of a service; none where it has no place.
    pub(crate) fn open(configured: Option<&Path>, store_url: &str) -> anyhow::Result<Option<Self>> {
        match place::of_service(configured, store_url) {
            Place::None => Ok(None),
            Place::Said(path) => Self::at(path).map(Some),
            Place::Usual(path) => Ok(Self::at(path).map_or_else(
                |error| {
                    tracing::warn!("without a control socket, SIGHUP alone reloads: {error:#}");
                    None
                },
                Some,
            )),
        }
    }

    fn at(path: PathBuf) -> anyhow::Result<Self> {
        if is_dead(&path) {
            let _ = std::fs::remove_file(&path);
        }
        let open = || -> std::io::Result<UnixListener> {
            let listener = UnixListener::bind(&path)?;
            // Until then, and beyond it, everyone who asks is looked at.
            std::fs::set_permissions(&path, Permissions::from_mode(0o600))?;
            Ok(listener)
        };
        let listener = open().with_context(|| format!("cannot listen on `{}`", path.display()))?;
        Ok(Self { listener, path })
    }

    /// The file.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Answers for as long as the process lives.
    pub(crate) async fn serve(self, reloader: Arc<Reloader>, listens: Listens) {
        let (seats, own) = (Arc::new(Semaphore::new(CONNECTIONS)), rustix::process::geteuid().as_raw());
        loop {
            let Ok(seat) = seats.clone().acquire_owned().await else { return };
            match self.listener.accept().await {
                Ok((stream, _)) if stream.peer_cred().is_ok_and(|peer| may_ask(peer.uid(), own)) => {
                    let (reloader, listens) = (reloader.clone(), listens.clone());
                    tokio::spawn(async move {
                        // Whoever hangs up in the middle has hung up; what was asked for is done all the same.
                        let _ = one(stream, &reloader, listens).await;
                        drop(seat);
                    });
                }
                Ok(_) => tracing::warn!("another user has tried the control socket"),
                Err(error) => {
                    tracing::warn!(%error, "cannot accept at the control socket; trying again");
                    sleep(Duration::from_millis(50)).await;
                }
            }
        }
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// The user that the service runs as, and root, who administers the machine.
fn may_ask(peer: u32, own: u32) -> bool {
    peer == own || peer == 0
}

/// Whether this is a socket at which nobody listens any more. A file of another kind refuses connections too, and is
/// somebody's.
fn is_dead(path: &Path) -> bool {
    if !std::fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket()) {
        return false;
    }
    let connected = std::os::unix::net::UnixStream::connect(path);
    connected.is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
}

/// One question and its answer.
async fn one(stream: UnixStream, reloader: &Reloader, listens: Listens) -> std::io::Result<()> {
    let (from, mut to) = stream.into_split();
    let mut line = String::new();
    let read = async { BufReader::new(from.take(LINE)).read_line(&mut line).await };
    timeout(QUESTION, read).await??;
    let answer = match serde_json::from_str(&line) {
        Ok(request) => answer(request, reloader, listens).await,
        Err(fault) => refused(format!("the question is not understood: {fault}")),
    };
    let mut text = serde_json::to_vec(&answer)?;
    text.push(b'\n');
    to.write_all(&text).await
}

async fn answer(request: Request, reloader: &Reloader, listens: Listens) -> Answer {
    let file = reloader.file().to_owned();
    match request {
        Request::Reload { file: Some(meant) } if meant != file => refused(format!(
            "this service runs on `{}`, and not on `{}`: nothing is reloaded",
            file.display(),
            meant.display()
        )),
        Request::Reload { .. } => match reloader.reload().await {
            Ok(done) => {
                let warnings = done.warnings.iter().map(ToString::to_string).collect();
                Answer::Reloaded { file, sha256: done.sha256, before: done.before, warnings }
            }
            Err(NotReloaded::File(errors)) => {
                Answer::Refused { message: errors.to_string(), errors: errors.to_json() }
            }
            Err(other) => refused(other.to_string()),
        },
        Request::Status => Answer::Status { file, sha256: reloader.digest(), listens },
    }
}

fn refused(message: String) -> Answer {
    Answer::Refused { message, errors: serde_json::Value::Array(Vec::new()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_socket_is_its_owners_and_goes_with_the_service() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("c.sock");
        let control = Control::at(path.clone()).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
        let fault = format!("{:#}", Control::at(path.clone()).err().unwrap());
        assert!(fault.starts_with(&format!("cannot listen on `{}`", path.display())), "{fault}");
        drop(control);
        assert!(!path.exists());
        // What a killed service has left is in nobody's way; a file that is no socket stays.
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        drop(Control::at(path.clone()).unwrap());
        std::fs::write(&path, "a file").unwrap();
        assert!(Control::at(path.clone()).is_err());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "a file");
    }

    #[tokio::test]
    async fn only_a_place_that_was_asked_for_must_be_had() {
        let folder = tempfile::tempdir().unwrap();
        let gone = folder.path().join("gone/c.sock");
        assert!(Control::open(Some(&gone), "postgres://d@db/d").is_err());
        let beside = format!("sqlite:{}", folder.path().join("gone/d.db").display());
        assert!(Control::open(None, &beside).unwrap().is_none());
        assert!(Control::open(None, "postgres://d@db/d").unwrap().is_none());
    }

    #[test]
    fn others_may_not_ask() {
        assert!(may_ask(1000, 1000) && may_ask(0, 1000));
        assert!(!may_ask(1001, 1000) && !may_ask(65_534, 1000) && !may_ask(1000, 0));
    }
}
