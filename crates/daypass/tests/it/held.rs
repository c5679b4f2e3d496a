//! The client's side: what is kept between programs, and the ways in which a program gets a credential.

mod agent;
mod kept;
mod programs;

use crate::process::{Dev, daypass};
use serde_json::Value;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tempfile::TempDir;

/// A server, an address in front of it that can be cut off, and a user with a runtime folder and a credentials file.
struct World {
    dev: Dev,
    front: Front,
    user: TempDir,
}

impl World {
    fn start() -> Self {
        let dev = Dev::start();
        let front = Front::before(dev.host());
        let user = tempfile::tempdir().unwrap();
        std::fs::set_permissions(user.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
        let mut credentials = dev.credentials.clone();
        credentials["url"] = format!("http://{}", front.address).into();
        std::fs::write(user.path().join("key.json"), credentials.to_string()).unwrap();
        Self { dev, front, user }
    }

    fn file(&self) -> PathBuf {
        self.user.path().join("key.json")
    }

    /// The folder of what is kept.
    fn kept(&self) -> PathBuf {
        self.user.path().join("daypass")
    }

    /// A command of this user: `verb vendor`, the options, and the credentials file.
    fn command(&self, args: &[&str]) -> Command {
        let (before, after) = args.split_at(2);
        let mut command = daypass();
        command
            .env("XDG_RUNTIME_DIR", self.user.path())
            .args(before)
            .arg("--from")
            .arg(self.file())
            .args(after);
        command
    }

    fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// What a command printed that went well.
    fn said(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert!(output.status.success(), "{args:?} {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// How many credentials the server's records say that it gave.
    fn given(&self) -> usize {
        let output = self.dev.cli(&["audit", "tail", "-n", "1000", "--json"]);
        let lines = String::from_utf8(output.stdout).unwrap();
        let granted = |line: &&str| serde_json::from_str::<Value>(line).unwrap()["event"]["event"] == "grant";
        lines.lines().filter(granted).count()
    }
}

/// A listener that passes bytes on to a server, or hangs up on everyone.
struct Front {
    address: String,
    server: Arc<Mutex<Option<String>>>,
    connections: Arc<AtomicUsize>,
}

impl Front {
    fn before(server: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (server, connections) = (Arc::new(Mutex::new(Some(server))), Arc::new(AtomicUsize::new(0)));
        let (to, count) = (server.clone(), connections.clone());
        std::thread::spawn(move || {
            for client in listener.incoming().filter_map(Result::ok) {
                count.fetch_add(1, Ordering::SeqCst);
                let Some(to) = to.lock().unwrap().clone() else { continue };
                let server = TcpStream::connect(to).unwrap();
                pass_on(client.try_clone().unwrap(), server.try_clone().unwrap());
                pass_on(server, client);
            }
        });
        Self { address, server, connections }
    }

    fn cut_off(&self) {
        *self.server.lock().unwrap() = None;
    }

    fn lead_to(&self, dev: &Dev) {
        *self.server.lock().unwrap() = Some(dev.host());
    }

    fn count(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

fn pass_on(mut from: TcpStream, mut to: TcpStream) {
    std::thread::spawn(move || {
        let mut bytes = [0; 16 * 1024];
        while let Ok(count) = from.read(&mut bytes) {
            if count == 0 || to.write_all(&bytes[..count]).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Write);
    });
}

/// The access token that a `daypass token entra` printed.
fn token(text: &str) -> String {
    serde_json::from_str::<Value>(text).unwrap()["access_token"].as_str().unwrap().to_owned()
}

fn mode(path: &Path) -> u32 {
    std::fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
}

/// The files of what is kept, by their kind.
fn files(folder: &Path, kind: &str) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    entries.map(|e| e.unwrap().path()).filter(|path| path.extension().is_some_and(|k| k == kind)).collect()
}
