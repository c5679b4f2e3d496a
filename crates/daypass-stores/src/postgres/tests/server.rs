//! A PostgreSQL of a test's own: made in a temporary folder, listening on a socket there and on a port of its own, gone
//! with the test.
//!
//! The programs are those that `DAYPASS_POSTGRES` names (the folder that holds `postgres` and `initdb`), or else the newest of
//! Debian's. Without either, a test says `SKIPPED` and why, which `./test` counts. PostgreSQL refuses to run as root: where the
//! test does, the server runs as `nobody`.

use std::cell::Cell;
use std::fs;
use std::io::Write as _;
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// A running server.
pub(super) struct Server {
    programs: PathBuf,
    folder: TempDir,
    port: u16,
    running: Option<Child>,
    databases: Cell<usize>,
}

/// The folder of the programs, or none, which is said on the standard error.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place that reads where a test's server is to be found"
)]
pub(super) fn programs() -> Option<PathBuf> {
    if let Some(given) = std::env::var_os("DAYPASS_POSTGRES").filter(|given| !given.is_empty()) {
        return Some(given.into());
    }
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let number = |path: &Path| path.parent()?.file_name()?.to_str()?.parse::<u32>().ok();
    let found = versions.map(|version| version.path().join("bin"));
    let found = found.filter(|folder| folder.join("initdb").exists() && number(folder).is_some());
    found.max_by_key(|folder| number(folder))
}

impl Server {
    /// A new one, or none where there is nothing to run.
    pub(super) fn start() -> Option<Self> {
        let Some(programs) = programs() else {
            // Past the test harness, which keeps what a test that passes prints.
            let _ = writeln!(
                std::io::stderr().lock(),
                "SKIPPED {}: there is no PostgreSQL; install Debian's `postgresql`, or name its programs' folder by DAYPASS_POSTGRES",
                std::thread::current().name().unwrap_or_default(),
            );
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut server = Self { programs, folder, port, running: None, databases: Cell::new(0) };
        let made = server
            .program("initdb")
            .args(["-D", &server.data(), "-U", "daypass", "-A", "trust", "-N", "-E", "UTF8", "--locale=C"])
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        server.up();
        Some(server)
    }

    fn data(&self) -> String {
        self.folder.path().join("data").display().to_string()
    }

    /// A program of PostgreSQL's, as a user that it accepts.
    fn program(&self, name: &str) -> Command {
        let program = self.programs.join(name);
        let root = fs::metadata("/proc/self").unwrap().uid() == 0;
        let mut command = if root { Command::new("setpriv") } else { Command::new(&program) };
        if root {
            command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"]).arg(program);
        }
        command.current_dir(self.folder.path()).env_remove("PGDATA").stdin(Stdio::null());
        command
    }

    /// Starts it, and waits until it answers.
    pub(super) fn up(&mut self) {
        let socket = self.folder.path().display().to_string();
        let port = self.port.to_string();
        let log = fs::File::create(self.folder.path().join("log")).unwrap();
        let child = self
            .program("postgres")
            .args(["-D", &self.data(), "-k", &socket, "-p", &port, "-c", "listen_addresses=127.0.0.1"])
            .args(["-c", "max_connections=300", "-c", "fsync=on", "-c", "shared_buffers=32MB"])
            .stderr(log.try_clone().unwrap())
            .stdout(log)
            .spawn()
            .unwrap();
        self.running = Some(child);
        for _ in 0..400 {
            if self.psql("postgres", "SELECT 1").is_ok() {
                return;
            }
            std::thread::sleep(Duration::from_millis(25));
        }
        panic!("{}", fs::read_to_string(self.folder.path().join("log")).unwrap());
    }

    /// Ends it at once, as a machine that fails does.
    pub(super) fn down(&mut self) {
        if let Some(mut child) = self.running.take() {
            // SIGQUIT: the children end as well, and nothing is tidied up.
            let _ = Command::new("kill").args(["-QUIT", &child.id().to_string()]).status();
            child.wait().unwrap();
        }
    }

    /// Sends a signal to the server and all its children.
    pub(super) fn signal(&self, name: &str) {
        let leader = self.running.as_ref().unwrap().id().to_string();
        let children = Command::new("pgrep").args(["-P", &leader]).output().unwrap();
        let children = String::from_utf8(children.stdout).unwrap();
        let all = children.split_whitespace().chain([leader.as_str()]);
        assert!(Command::new("kill").arg(format!("-{name}")).args(all).status().unwrap().success());
    }

    /// Runs statements.
    pub(super) fn psql(&self, database: &str, sql: &str) -> Result<String, String> {
        let (socket, port) = (self.folder.path().display().to_string(), self.port.to_string());
        let done = self
            .program("psql")
            .args(["-h", &socket, "-p", &port, "-U", "daypass", "-d", database, "-qAtX"])
            .args(["-v", "ON_ERROR_STOP=1", "-c", sql])
            .output()
            .unwrap();
        if done.status.success() {
            Ok(String::from_utf8(done.stdout).unwrap().trim_end().to_owned())
        } else {
            Err(String::from_utf8(done.stderr).unwrap())
        }
    }

    /// Makes an empty database, and gives its name.
    pub(super) fn database(&self) -> String {
        self.databases.set(self.databases.get() + 1);
        let name = format!("test{}", self.databases.get());
        self.psql("postgres", &format!("CREATE DATABASE {name}")).unwrap();
        name
    }

    /// The address of a database, by the socket.
    pub(super) fn url(&self, database: &str) -> String {
        let host = self.folder.path().display();
        format!("postgres://daypass@/{database}?host={host}&port={}", self.port)
    }

    /// The address of a database, by the port.
    pub(super) fn tcp(&self, database: &str) -> String {
        format!("postgres://daypass@127.0.0.1:{}/{database}", self.port)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(child) = &self.running {
            // A server that a test has stopped would not end.
            let _ = Command::new("kill").args(["-CONT", &child.id().to_string()]).status();
        }
        self.down();
    }
}
