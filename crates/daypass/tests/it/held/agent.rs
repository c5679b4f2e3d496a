//! `daypass agent` as a process.

use super::World;
use crate::patience::PATIENCE;
use crate::process::{Answer, parse, send, signal};
use serde_json::Value;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::Duration;

/// A running agent without a program.
struct Agent {
    child: Child,
    socket: PathBuf,
    variables: PathBuf,
}

impl Agent {
    fn start(world: &World, args: &[&str]) -> Self {
        let mut command = world.command(&[&["agent"], args].concat());
        let mut child = command.arg("--json").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let ready: Value = serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line}"));
        let path = |name: &str| PathBuf::from(ready[name].as_str().unwrap());
        Self { child, socket: path("socket"), variables: path("variables") }
    }

    /// What a shell has that read the file.
    fn variable(&self, name: &str) -> String {
        let text = std::fs::read_to_string(&self.variables).unwrap();
        let start = format!("export {name}='");
        let line = text.lines().find_map(|line| line.strip_prefix(&start)).unwrap();
        line.trim_end_matches('\'').to_owned()
    }

    /// The document at the socket.
    fn at_socket(&self) -> Answer {
        let mut stream = UnixStream::connect(&self.socket).unwrap();
        stream.write_all(b"GET /credentials HTTP/1.1\r\nhost: agent\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        parse(&answer)
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The host and the path of an address.
fn split(uri: &str) -> (String, String) {
    let (host, path) = uri.strip_prefix("http://").unwrap().split_once('/').unwrap();
    (host.to_owned(), format!("/{path}"))
}

#[test]
fn it_answers_its_own_user_and_who_knows_the_token_and_nobody_else() {
    let world = World::start();
    let mut agent = Agent::start(&world, &["alibaba", "--sts"]);
    assert_eq!(super::mode(&agent.variables), 0o600);
    assert_eq!(super::mode(agent.socket.parent().unwrap()), 0o700);
    let at_socket = agent.at_socket();
    assert_eq!((at_socket.status, &at_socket.json()["Code"]), (200, &"Success".into()));

    let (host, path) = split(&agent.variable("ALIBABA_CLOUD_CREDENTIALS_URI"));
    let get = |path: &str, headers: &[(&str, &str)]| send(&host, "GET", path, headers, b"");
    let answer = get(&path, &[]);
    assert_eq!((answer.status, answer.json()), (200, at_socket.json()), "{answer:?}");
    assert!(answer.head.contains("cache-control: no-store") && !answer.head.contains("access-control"));
    for (path, headers) in [
        ("/credentials", vec![]),
        ("/x/credentials", vec![]),
        (&path, vec![("host", "evil.example")]),
        (&path, vec![("host", "localhost")]),
        (&path, vec![("origin", "http://evil.example")]),
        (&path, vec![("sec-fetch-site", "cross-site")]),
        (&path, vec![("x-forwarded-for", "10.0.0.1")]),
        ("/credentials", vec![("authorization", "Bearer x")]),
    ] {
        let answer = get(path, &headers);
        assert_eq!(answer.status, 403, "{path} {headers:?}");
        assert!(!answer.body.contains("STS."), "{answer:?}");
    }
    assert_eq!(send(&host, "OPTIONS", &path, &[("origin", "http://evil.example")], b"").status, 403);
    assert_eq!(world.given(), 1, "all of that was one question");
    // It holds it in memory alone, and of that there is no core file, nor a tracer.
    assert!(super::files(&world.kept(), "json").is_empty());

    signal(agent.child.id(), "TERM");
    assert!(agent.child.wait().unwrap().success());
    assert!(!agent.socket.exists() && !agent.variables.exists());
}

#[test]
fn it_renews_ahead_serves_while_the_server_is_gone_and_renews_when_it_is_back() {
    let world = World::start();
    // Of twenty seconds the last eighteen are for renewing.
    let agent = Agent::start(&world, &["tencent", "--duration", "20", "--min-remaining", "18"]);
    let id = || agent.at_socket().json()["TmpSecretId"].as_str().unwrap().to_owned();
    let first = id();
    let wait = |what: &str, until: &dyn Fn() -> bool| {
        let begun = std::time::Instant::now();
        while !until() {
            assert!(begun.elapsed() < PATIENCE, "{what}");
            std::thread::sleep(Duration::from_millis(50));
        }
    };
    wait("it is renewed", &|| id() != first);
    world.front.cut_off();
    let (held, asked) = (id(), world.front.count());
    wait("it asks again and again", &|| world.front.count() > asked + 1);
    assert_eq!(id(), held, "and goes on with what it has");
    world.front.lead_to(&world.dev);
    wait("it is renewed when the server is back", &|| id() != held);
}

#[test]
fn a_program_is_led_to_it_and_it_ends_as_the_program_ends() {
    let world = World::start();
    let script = "echo [$AZURE_CLIENT_SECRET] $IDENTITY_ENDPOINT $IDENTITY_HEADER $NO_PROXY; exit 7";
    let mut command = world.command(&["agent", "entra", "--", "sh", "-c", script]);
    let output =
        command.env("AZURE_CLIENT_SECRET", "long").env("NO_PROXY", "internal.example").output().unwrap();
    assert_eq!(output.status.code(), Some(7), "{output:?}");
    let said = String::from_utf8(output.stdout).unwrap();
    let words: Vec<_> = said.split_whitespace().collect();
    assert!(words[0] == "[]" && words[1].ends_with("/identity") && words[2].len() == 43, "{said}");
    assert_eq!(words[3], "internal.example,127.0.0.1", "no proxy sees the token");
    assert!(super::files(&world.kept(), "sock").is_empty(), "the socket is gone");
    // Nothing is started without a credential, and nothing is left of it.
    world.front.cut_off();
    let output = world.run(&["agent", "alibaba", "--", "echo", "started"]);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(3), 0), "{output:?}");
    world.front.lead_to(&world.dev);
    assert_eq!(world.run(&["agent", "entra", "--", "/no/such/program"]).status.code(), Some(127));
}

#[test]
fn signals_reach_the_program() {
    let world = World::start();
    let script = "trap 'exit 9' TERM; trap 'exit 8' INT; echo up; while :; do sleep 0.05; done";
    for (name, code) in [("TERM", 9), ("INT", 8)] {
        let mut command = world.command(&["agent", "entra", "--", "sh", "-c", script]);
        let mut child =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "up\n");
        signal(child.id(), name);
        assert_eq!(child.wait().unwrap().code(), Some(code), "{name}");
    }
}

/// The vendor of the key is not the only one whose programs a person runs.
#[test]
fn one_agent_may_be_started_by_another() {
    let world = World::start();
    let file = world.file();
    let inner = [
        env!("CARGO_BIN_EXE_daypass"),
        "agent",
        "alibaba",
        "--from",
        file.to_str().unwrap(),
        "--",
        "sh",
        "-c",
    ];
    let script = "echo $IDENTITY_ENDPOINT $ALIBABA_CLOUD_CREDENTIALS_URI";
    let said = world.said(&[&["agent", "entra", "--"], &inner[..], &[script]].concat());
    let words: Vec<_> = said.split_whitespace().collect();
    assert!(
        words.len() == 2 && words[0].ends_with("/identity") && words[1].ends_with("/credentials"),
        "{said}"
    );
}
