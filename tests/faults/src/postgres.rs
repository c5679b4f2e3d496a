//! A PostgreSQL of a test's own: made in a temporary folder, listening on a socket there and on a port of its own, gone
//! with the test.
//!
//! The programs are those that `DAYPASS_POSTGRES` names (the folder that holds `postgres` and `initdb`), or else the newest of
//! Debian's. PostgreSQL refuses to run as root: where the test does, the server runs as `nobody`.

use crate::time;
use anyhow::{Context as _, ensure};
use std::fs;
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tempfile::TempDir;

/// The user and group that the server runs as where the test is root.
const NOBODY: u32 = 65534;

/// How long a server may take to answer after its start.
const START: Duration = Duration::from_mins(1);

/// A server, which runs unless it was ended.
pub struct Server {
    programs: PathBuf,
    folder: TempDir,
    port: u16,
    settings: Vec<String>,
    running: Option<Child>,
    databases: AtomicUsize,
}

/// The folder of the programs, if there are any.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place that reads where a test's server is to be found"
)]
pub fn programs() -> Option<PathBuf> {
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
    /// Starts a new one, for a test. None where there is nothing to run: then the test says `SKIPPED` and why, which `./test`
    /// counts.
    pub fn start() -> Option<Self> {
        Self::start_with(&[])
    }

    /// The same, with further settings such as `max_connections=8`.
    ///
    /// # Panics
    ///
    /// Where there are programs and they do not start: a test fails by panicking.
    #[expect(clippy::panic, reason = "a test fails by panicking")]
    pub fn start_with(settings: &[&str]) -> Option<Self> {
        let Some(programs) = programs() else {
            // Past the test harness, which keeps what a test that passes prints.
            let _ = writeln!(
                std::io::stderr().lock(),
                "SKIPPED {}: there is no PostgreSQL; install Debian's `postgresql`, or name its programs' folder by DAYPASS_POSTGRES",
                std::thread::current().name().unwrap_or_default(),
            );
            return None;
        };
        match Self::make(programs, settings) {
            Ok(server) => Some(server),
            Err(error) => panic!("PostgreSQL does not start: {error:#}"),
        }
    }

    /// Makes and starts one with these programs.
    pub fn make(programs: PathBuf, settings: &[&str]) -> anyhow::Result<Self> {
        let mut server = Self::prepare(programs, settings)?;
        let data = server.data();
        server.run(
            "initdb",
            &["-D", &data, "-U", "daypass", "-A", "trust", "-N", "-E", "UTF8", "--locale=C"],
        )?;
        server.up()?;
        Ok(server)
    }

    fn prepare(programs: PathBuf, settings: &[&str]) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777))?;
        let port = crate::port::free_address()?.port();
        let settings = settings.iter().map(|text| (*text).to_owned()).collect();
        Ok(Self { programs, folder, port, settings, running: None, databases: AtomicUsize::new(0) })
    }

    /// A copy of this server that follows it, and that its commits wait for.
    pub fn standby(&self) -> anyhow::Result<Self> {
        let settings: Vec<_> = self.settings.iter().map(String::as_str).collect();
        let mut copy = Self::prepare(self.programs.clone(), &settings)?;
        let (data, socket, port) = (copy.data(), self.socket(), self.port.to_string());
        copy.run(
            "pg_basebackup",
            &["-D", &data, "-R", "-X", "stream", "-c", "fast", "-h", &socket, "-p", &port, "-U", "daypass"],
        )?;
        copy.up()?;
        self.set("synchronous_standby_names", "*")?;
        let state = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'";
        let follows = time::until(START, || self.psql("postgres", state).is_ok_and(|count| count == "1"));
        follows.context("the copy does not follow")?;
        Ok(copy)
    }

    /// From now on it is the one that is written to, and waits for no other.
    pub fn promote(&self) -> anyhow::Result<()> {
        self.psql("postgres", "SELECT pg_promote()")?;
        self.set("synchronous_standby_names", "")
    }

    /// Changes a setting of a server that runs.
    pub fn set(&self, name: &str, value: &str) -> anyhow::Result<()> {
        self.psql("postgres", &format!("ALTER SYSTEM SET {name} = '{value}'"))?;
        self.reload()
    }

    /// Decides who is let in, by the lines of `pg_hba.conf`. Its own socket stays open to all.
    pub fn admit(&self, lines: &str) -> anyhow::Result<()> {
        fs::write(self.folder.path().join("data/pg_hba.conf"), format!("local all all trust\n{lines}\n"))?;
        self.reload()
    }

    /// Speaks TLS with this certificate and key, in PEM.
    pub fn certify(&self, certificate: &str, key: &str) -> anyhow::Result<()> {
        let place = |name: &str, text: &str| -> anyhow::Result<String> {
            let path = self.folder.path().join(name);
            fs::write(&path, text)?;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
            if root() {
                chown(&path, Some(NOBODY), Some(NOBODY))?;
            }
            Ok(path.display().to_string())
        };
        let set =
            |name: &str, value: &str| self.psql("postgres", &format!("ALTER SYSTEM SET {name} = '{value}'"));
        set("ssl_cert_file", &place("server.crt", certificate)?)?;
        set("ssl_key_file", &place("server.key", key)?)?;
        set("ssl", "on")?;
        self.reload()
    }

    /// Makes it read its settings anew, and waits until it has.
    fn reload(&self) -> anyhow::Result<()> {
        let before = self.psql("postgres", "SELECT pg_conf_load_time()")?;
        self.psql("postgres", "SELECT pg_reload_conf()")?;
        // Each session asks by its own; a new one was made by a server that has read them.
        let now = || self.psql("postgres", "SELECT pg_conf_load_time()").is_ok_and(|time| time != before);
        time::until(START, now).context("the server does not read its settings")?;
        Ok(())
    }

    fn data(&self) -> String {
        self.folder.path().join("data").display().to_string()
    }

    fn socket(&self) -> String {
        self.folder.path().display().to_string()
    }

    /// A program of PostgreSQL's, as a user that it accepts.
    fn program(&self, name: &str) -> Command {
        let program = self.programs.join(name);
        let mut command = if root() { Command::new("setpriv") } else { Command::new(&program) };
        if root() {
            command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"]).arg(program);
        }
        command.current_dir(self.folder.path()).env_remove("PGDATA").stdin(Stdio::null());
        command
    }

    fn run(&self, name: &str, args: &[&str]) -> anyhow::Result<String> {
        let done = self.program(name).args(args).output().with_context(|| format!("no program {name}"))?;
        ensure!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr).trim_end());
        Ok(String::from_utf8(done.stdout)?.trim_end().to_owned())
    }

    /// Starts it, and waits until it answers.
    pub fn up(&mut self) -> anyhow::Result<()> {
        let (socket, port) = (self.socket(), self.port.to_string());
        let log = fs::File::create(self.folder.path().join("log"))?;
        let mut command = self.program("postgres");
        command
            .args(["-D", &self.data(), "-k", &socket, "-p", &port, "-c", "listen_addresses=127.0.0.1"])
            .args(["-c", "max_connections=300", "-c", "fsync=on", "-c", "shared_buffers=32MB"])
            .stderr(log.try_clone()?)
            .stdout(log);
        for setting in &self.settings {
            command.args(["-c", setting]);
        }
        self.running = Some(command.spawn()?);
        let answers = time::until(START, || self.psql("postgres", "SELECT 1").is_ok());
        answers.with_context(|| fs::read_to_string(self.folder.path().join("log")).unwrap_or_default())?;
        Ok(())
    }

    /// Ends it at once, as a machine that fails does: its children end as well, and nothing is tidied up.
    pub fn down(&mut self) {
        self.end("QUIT");
    }

    /// Ends it as an operator does: whoever is connected is sent away, and everything is tidied up.
    pub fn stop(&mut self) {
        self.end("INT");
    }

    fn end(&mut self, signal: &str) {
        if let Some(mut child) = self.running.take() {
            let _ = Command::new("kill").args([&format!("-{signal}"), &child.id().to_string()]).status();
            let _ = child.wait();
        }
    }

    /// Sends a signal to the server and all its children.
    pub fn signal(&self, name: &str) -> anyhow::Result<()> {
        let leader = self.running.as_ref().context("it does not run")?.id();
        let children = Command::new("pgrep").args(["-P", &leader.to_string()]).output()?;
        let children = String::from_utf8(children.stdout)?;
        signal_to(name, &format!("{leader} {children}"))
    }

    /// Sends a signal to the process of each connection, and not to the server itself.
    pub fn signal_sessions(&self, name: &str) -> anyhow::Result<()> {
        let all = "SELECT string_agg(pid::text, ' ') FROM pg_stat_activity
             WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()";
        signal_to(name, &self.psql("postgres", all)?)
    }

    /// Ends the sessions whose last statement contains this. Says how many there were.
    pub fn terminate(&self, statement: &str) -> anyhow::Result<u32> {
        let sql = format!(
            "SELECT count(*) FROM (SELECT pg_terminate_backend(pid) FROM pg_stat_activity
             WHERE application_name = 'daypass' AND query LIKE '%{statement}%') AS ended"
        );
        Ok(self.psql("postgres", &sql)?.parse()?)
    }

    /// Runs statements.
    pub fn psql(&self, database: &str, sql: &str) -> anyhow::Result<String> {
        let (socket, port) = (self.socket(), self.port.to_string());
        let args = ["-h", &socket, "-p", &port, "-U", "daypass", "-d", database, "-qAtX"];
        self.run("psql", &[&args, &["-v", "ON_ERROR_STOP=1", "-c", sql][..]].concat())
    }

    /// Makes an empty database, and gives its name.
    ///
    /// # Panics
    ///
    /// Where the server does not make it: a test fails by panicking.
    #[expect(clippy::panic, reason = "a test fails by panicking")]
    pub fn database(&self) -> String {
        let name = format!("test{}", self.databases.fetch_add(1, Ordering::Relaxed) + 1);
        match self.psql("postgres", &format!("CREATE DATABASE {name}")) {
            Ok(_) => name,
            Err(error) => panic!("{error:#}"),
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// The address of a database, by the socket.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://daypass@/{database}?host={}&port={}", self.socket(), self.port)
    }

    /// The address of a database, by the port.
    pub fn tcp(&self, database: &str) -> String {
        Self::through(self.address(), database)
    }

    /// The address of a database behind somebody who passes on what is said.
    pub fn through(address: SocketAddr, database: &str) -> String {
        format!("postgres://daypass@{address}/{database}")
    }

    /// What it has logged since it was started.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A server that a test has stopped would not end.
        let _ = self.signal("CONT");
        self.down();
    }
}

fn signal_to(name: &str, processes: &str) -> anyhow::Result<()> {
    Command::new("kill").arg(format!("-{name}")).args(processes.split_whitespace()).output()?;
    Ok(())
}

fn root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}
