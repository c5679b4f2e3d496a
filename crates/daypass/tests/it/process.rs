//! The binary as a process: start, credentials, plain HTTP, stop.

use serde_json::Value;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// The program under test. It finds no folder of a user's, so that it keeps nothing from one command to the next and each
/// asks its server.
pub(crate) fn daypass() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_daypass"));
    for name in ["RUST_LOG", "XDG_RUNTIME_DIR", "XDG_CACHE_HOME", "HOME"] {
        command.env_remove(name);
    }
    command
}

/// A running `daypass dev` on a free port.
pub(crate) struct Dev {
    child: Child,
    /// The folder above its data.
    pub(crate) folder: TempDir,
    /// What it wrote for its clients.
    pub(crate) credentials: Value,
    /// What it said when it was ready.
    pub(crate) ready: Value,
    log: Option<std::thread::JoinHandle<String>>,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }
}

impl Dev {
    /// Starts on a new data folder.
    pub(crate) fn start() -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), &[])
    }

    /// Starts on this folder, with further arguments.
    pub(crate) fn start_in(folder: TempDir, args: &[&str]) -> Self {
        let file = folder.path().join("credentials.json");
        let _ = std::fs::remove_file(&file);
        let mut child = daypass()
            .args(["dev", "--json", "--listen", "127.0.0.1:0", "--data"])
            .arg(folder.path().join("data"))
            .arg("--credentials")
            .arg(&file)
            .args(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stderr = child.stderr.take().unwrap();
        let log = std::thread::spawn(move || {
            let mut text = String::new();
            let _ = stderr.read_to_string(&mut text);
            text
        });
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let Ok(ready) = serde_json::from_str::<Value>(&line) else {
            let _ = child.kill();
            panic!("it did not start: {line}{}", log.join().unwrap())
        };
        // Complete before the server is announced.
        let credentials: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
        assert_eq!(credentials["url"], ready["ready"]);
        Self { child, folder, credentials, ready, log: Some(log) }
    }

    /// `host:port`.
    pub(crate) fn host(&self) -> String {
        self.credentials["url"].as_str().unwrap().trim_start_matches("http://").to_owned()
    }

    /// Its data folder.
    pub(crate) fn data(&self) -> std::path::PathBuf {
        self.folder.path().join("data")
    }

    /// The number of its process.
    pub(crate) fn process(&self) -> u32 {
        self.child.id()
    }

    /// Sends these bytes on a new connection and reads until the server closes or is silent.
    pub(crate) fn raw(&self, bytes: &[u8]) -> String {
        raw(&self.host(), bytes)
    }

    /// One request.
    pub(crate) fn send(&self, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        send(&self.host(), method, target, headers, body)
    }

    /// A form by POST.
    pub(crate) fn post_form(&self, target: &str, form: &[(&str, &str)]) -> Answer {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        self.send("POST", target, &[("content-type", "application/x-www-form-urlencoded")], body.as_bytes())
    }

    /// Runs a command of the program against this server's data folder.
    pub(crate) fn cli(&self, args: &[&str]) -> Output {
        daypass().args(args).arg("--data").arg(self.data()).output().unwrap()
    }

    /// The path of the credentials file.
    pub(crate) fn file(&self) -> std::path::PathBuf {
        self.folder.path().join("credentials.json")
    }

    /// Sends SIGTERM and gives back the folder and everything that was logged.
    pub(crate) fn stop(mut self) -> (TempDir, String) {
        signal(self.child.id(), "TERM");
        assert!(self.child.wait().unwrap().success());
        let log = self.log.take().unwrap().join().unwrap();
        (std::mem::replace(&mut self.folder, tempfile::tempdir().unwrap()), log)
    }

    /// Kills it as a power cut would.
    pub(crate) fn kill(mut self) -> TempDir {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        std::mem::replace(&mut self.folder, tempfile::tempdir().unwrap())
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A second server on the data folder of a [`Dev`].
pub(crate) struct Node {
    child: Child,
    url: String,
}

impl Node {
    /// Starts it beside that one, with further arguments.
    pub(crate) fn beside(dev: &Dev, args: &[&str]) -> Self {
        let mut child = daypass()
            .args(["dev", "--json", "--log", "off", "--listen", "127.0.0.1:0", "--data"])
            .arg(dev.data())
            .args(args)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let ready: Value = serde_json::from_str(&line).unwrap();
        Self { child, url: ready["ready"].as_str().unwrap().to_owned() }
    }

    /// `host:port`.
    pub(crate) fn host(&self) -> String {
        self.url.trim_start_matches("http://").to_owned()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends these bytes on a new connection and reads until the server closes or is silent.
fn raw(host: &str, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(host).unwrap();
    stream.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
    // A refusal may come before everything was sent; what cannot be written then does not matter.
    let _ = stream.write_all(bytes);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

/// One request to a server.
pub(crate) fn send(host: &str, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    let mut head =
        format!("{method} {target} HTTP/1.1\r\nconnection: close\r\ncontent-length: {}\r\n", body.len());
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
        head.push_str(&format!("host: {host}\r\n"));
    }
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    parse(&raw(host, &[head.as_bytes(), b"\r\n", body].concat()))
}

/// Sends a signal by the system's own `kill`.
pub(crate) fn signal(process: u32, name: &str) {
    assert!(
        Command::new("kill").args([&format!("-{name}"), &process.to_string()]).status().unwrap().success()
    );
}

/// Reads an answer with a content length, or one that ends with the connection.
pub(crate) fn parse(text: &str) -> Answer {
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text:?}"));
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer { status, head: head.to_ascii_lowercase(), body: body.to_owned() }
}

/// Runs `daypass token …` with a credentials file.
pub(crate) fn token(args: &[&str], file: &Path) -> Output {
    daypass().arg("token").args(args).arg("--from").arg(file).output().unwrap()
}

/// The JSON that a successful command printed.
pub(crate) fn json_of(output: &Output) -> Value {
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {output:?}"))
}
