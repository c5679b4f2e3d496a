//! `daypass agent`: a process that holds a credential for as long as other programs need one.
//!
//! The credential is in its memory and nowhere else, and is renewed ahead of its end. It is handed to programs of the same
//! user over a Unix socket, and over loopback to whoever knows a token that is drawn at every start: SDKs that fetch a
//! credential from an address know nothing else.

mod child;
mod door;
mod gate;
mod holder;
mod leading;
mod page;

use super::folder;
use super::obtain::{Trouble, judged};
use super::question::{Question, Wanted};
use super::shell::Shell;
use super::surroundings;
use crate::cli::files::write_private;
use crate::cli::output::{Failure, Output};
use crate::cli::quote;
use crate::server::stop_signal;
use crate::system::KeyEntropy;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use daypass_core::id::Entropy as _;
use daypass_core::secret::Secret;
use gate::{Loopback, Way};
use holder::Holder;
use page::Pages;
use serde_json::json;
use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::net::{TcpListener, UnixListener};

/// How the agent is reached.
#[derive(clap::Args)]
pub(in crate::cli) struct Options {
    /// Ask for another credential when fewer seconds than these are left [default: a fifth of its life, or 300].
    #[arg(long, value_name = "SECONDS")]
    min_remaining: Option<u32>,
    /// The Unix socket; its folder must be this user's alone [default: one in the folder `daypass` of
    /// the user's runtime directory, else of the user's cache].
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
    /// A program and its arguments, after `--`: it is started with the variables that lead to the agent, and the agent
    /// ends with it.
    #[arg(last = true, value_name = "CMD")]
    command: Vec<OsString>,
}

/// Bytes of the token: 256 bits, so that nobody guesses it.
const TOKEN: usize = 32;

/// Serves until the program ends, or until it is stopped.
pub(in crate::cli) async fn run(wanted: Wanted<Options>, output: &Output) -> Result<(), Failure> {
    surroundings::hide_memory();
    let (question, options) = wanted.parts();
    let (vendor, question) = (question.vendor(), Arc::new(question));
    let resource = question.resource()?.map(|(_, resource)| resource);
    let holder = Arc::new(Holder::new(vendor, options.min_remaining, asker(question)));
    // A wrong key is known before anything is started that depends on it.
    holder.current().await.map_err(Trouble::into_failure)?;

    let place = Place::find(options.socket.as_deref())?;
    let unix = place.listen()?;
    let tcp = TcpListener::bind(("127.0.0.1", 0)).await.map_err(anyhow::Error::from)?;
    let port = tcp.local_addr().map_err(anyhow::Error::from)?.port();
    let token = token();
    let variables = leading::variables(vendor, port, token.expose_str(), &place.socket);

    let pages = Arc::new(Pages::new(holder.clone(), resource));
    let notes = Output::new(output.is_json());
    let tasks = [
        tokio::spawn(async move { holder.renew(&|text| notes.note(text)).await }),
        tokio::spawn(door::unix(unix, pages.clone())),
        tokio::spawn(door::loopback(tcp, pages, Arc::new(Way::Loopback(Loopback { port, token })))),
    ];
    let end = if options.command.is_empty() {
        let stop = stop_signal();
        place.announce(vendor.name(), &variables, output)?;
        stop.await;
        Ok(())
    } else {
        child::run(&options.command, vendor, &variables, output).await
    };
    for task in tasks {
        task.abort();
    }
    end
}

/// Asks the question anew each time; the file of the key is read each time too, so that a rotated one is used.
fn asker(question: Arc<Question>) -> holder::Ask {
    Box::new(move || {
        let question = question.clone();
        Box::pin(async move { judged(question.vendor(), question.send().await) })
    })
}

fn token() -> Secret {
    let mut bytes = zeroize::Zeroizing::new([0; TOKEN]);
    KeyEntropy.fill(bytes.as_mut());
    Secret::new(URL_SAFE_NO_PAD.encode(*bytes))
}

/// The files of a running agent. They go with it.
struct Place {
    socket: PathBuf,
    variables: PathBuf,
}

impl Place {
    fn find(socket: Option<&Path>) -> Result<Self, Failure> {
        let folder = match socket {
            Some(socket) => {
                socket.parent().filter(|folder| !folder.as_os_str().is_empty()).map(Path::to_owned)
            }
            None => folder::place(),
        };
        let folder = folder.ok_or_else(|| {
            Failure::Usage("there is no folder of this user for the socket; name one by --socket".to_owned())
        })?;
        let folder = folder::private(&folder)?;
        if socket.is_none() {
            sweep(&folder);
        }
        let own = format!("agent-{}.sock", std::process::id());
        let socket = folder.join(socket.and_then(Path::file_name).map_or(own.as_ref(), |name| name));
        Ok(Self { variables: socket.with_extension("env"), socket })
    }

    fn listen(&self) -> Result<UnixListener, Failure> {
        if is_dead(&self.socket) {
            let _ = std::fs::remove_file(&self.socket);
        }
        UnixListener::bind(&self.socket).map_err(|error| {
            Failure::Usage(format!(
                "cannot listen on `{}`: {error}; name another place by --socket",
                self.socket.display()
            ))
        })
    }

    /// Says how the agent is reached. What leads to it holds the token, so it stands in a file of this user's alone and
    /// not on the screen.
    fn announce(&self, vendor: &str, variables: &[(String, String)], output: &Output) -> Result<(), Failure> {
        let lines = format!("{}\n", Shell::Bash.lines(variables));
        write_private(&self.variables, lines.as_bytes())?;
        let (socket, variables) = (&self.socket, &self.variables);
        output.show(
            format!(
                "the agent holds a credential of {vendor}\n  socket     {}\n  variables  . {}",
                socket.display(),
                quote(variables)
            ),
            || json!({ "ready": vendor, "socket": socket, "variables": variables }),
        );
        Ok(())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.socket);
        let _ = std::fs::remove_file(&self.variables);
    }
}

/// Whether this is a socket at which nobody listens any more.
fn is_dead(socket: &Path) -> bool {
    let connected = std::os::unix::net::UnixStream::connect(socket);
    connected.is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
}

/// Removes what agents that were killed left behind.
fn sweep(folder: &Path) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        let named = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("agent-"));
        if named && path.extension().is_some_and(|kind| kind == "sock") && is_dead(&path) {
            let _ = std::fs::remove_file(path.with_extension("env"));
            let _ = std::fs::remove_file(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[tokio::test]
    async fn the_socket_lies_in_a_folder_of_ones_own_and_goes_with_the_agent() {
        let above = tempfile::tempdir().unwrap();
        let socket = above.path().join("own").join("a.sock");
        let place = Place::find(Some(&socket)).unwrap();
        let listener = place.listen().unwrap();
        assert!(place.listen().is_err(), "it is in use");
        drop(listener);
        let listener = place.listen().unwrap();
        place.announce("alibaba", &[("A".into(), "b".into())], &Output::new(true)).unwrap();
        let file = socket.with_extension("env");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "export A='b'\n");
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o7777, 0o600);
        drop((place, listener));
        assert!(!socket.exists() && !file.exists());
        // In a folder that others can look into there is no socket.
        std::fs::set_permissions(socket.parent().unwrap(), std::fs::Permissions::from_mode(0o755)).unwrap();
        assert!(matches!(Place::find(Some(&socket)), Err(Failure::Usage(_))));
        assert!(matches!(Place::find(Some(Path::new("bare.sock"))), Err(Failure::Usage(_))));
    }

    #[test]
    fn what_a_killed_agent_left_is_removed_and_no_other_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        drop(std::os::unix::net::UnixListener::bind(path("agent-1.sock")).unwrap());
        let _lives = std::os::unix::net::UnixListener::bind(path("agent-2.sock")).unwrap();
        for name in ["agent-1.env", "agent-2.env", "x.json", "agent-3.txt"] {
            std::fs::write(path(name), "").unwrap();
        }
        sweep(folder.path());
        let mut left: Vec<_> = std::fs::read_dir(folder.path())
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        left.sort();
        assert_eq!(left, ["agent-2.env", "agent-2.sock", "agent-3.txt", "x.json"]);
    }

    #[test]
    fn tokens_are_long_and_differ() {
        let (one, other) = (token(), token());
        assert!(one.expose().len() == 43 && one.expose() != other.expose());
    }
}
