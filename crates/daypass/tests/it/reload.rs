//! A running service takes up another configuration whole, or nothing of it, and no request notices.

mod load;
mod manager;
mod probe;

use crate::patience::{PATIENCE, find};
use crate::process::{Answer, daypass, json_of, send, signal};
use crate::serve::{Serve, Served};
use crate::tls::serve;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::Value;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const GUID: &str = "387c56a8-cf86-45de-b9f5-b4de88cac054";
const AUDIENCE: &str = "d6b7c858-55fa-4d04-85a6-131af690abd4";

/// A configuration that says one word in two places: an answer with two words was made of two configurations.
fn text(word: &str) -> String {
    format!(
        r#"[server]
listen = "127.0.0.1:0"
public_url = "http://127.0.0.1:5050/{word}"
metrics = "127.0.0.1:0"
[store]
url = "sqlite:daypass.db"
[seal]
key = {{ file = "seal.key" }}
[[tenant]]
name = "acme"
guid = "{GUID}"
account = "100000000001"
[[tenant.role]]
name = "orders"
audience = "{AUDIENCE}"
roles = ["orders.{word}"]
algorithm = "ES256"
"#
    )
}

/// A service with one client.
struct Site {
    folder: TempDir,
    serve: Serve,
    client: (String, String),
}

impl Site {
    fn start() -> Self {
        Self::start_with("", &[])
    }

    /// With these further lines in `[server]`, and in this environment.
    fn start_with(lines: &str, environment: &[(&str, &Path)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("seal.key"), "0123456789abcdef".repeat(4)).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(folder.path().join("seal.key"), mode).unwrap();
        let file = folder.path().join("daypass.toml");
        std::fs::write(&file, text("one").replace("[store]", &format!("{lines}[store]"))).unwrap();
        let args = ["client", "add", "app", "--kind", "client-secret", "--role", "orders", "--json"];
        let added = json_of(&daypass().args(args).arg("--config").arg(&file).output().unwrap());
        let told = |key: &str| added["keys"][0][key].as_str().unwrap_or_else(|| panic!("{added}")).to_owned();
        let client = (told("client_id"), told("client_secret"));
        let mut command = serve(folder.path(), "serve");
        for (name, value) in environment {
            command.env(name, value);
        }
        Self { folder, serve: Serve::start(&mut command), client }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("daypass.toml")
    }

    /// Puts a whole file in the place of the one before.
    fn write(&self, text: &str) {
        let new = self.folder.path().join("new.toml");
        std::fs::write(&new, text).unwrap();
        std::fs::rename(new, self.file()).unwrap();
    }

    fn reload(&self) -> Output {
        daypass().args(["reload", "--json", "--config"]).arg(self.file()).output().unwrap()
    }

    /// What a reload is refused with. The socket is named: a file that is wrong may lead elsewhere.
    fn refused(&self) -> Value {
        let socket = self.folder.path().join("daypass.sock");
        let mut command = daypass();
        command.args(["reload", "--json", "--config"]).arg(self.file()).arg("--control").arg(socket);
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    fn hangup(&self) {
        self.serve.signal("HUP");
    }

    fn token(&self) -> Answer {
        token(&self.serve.host, &self.client)
    }

    fn word(&self) -> String {
        word(&self.token()).unwrap()
    }

    fn metric(&self, name: &str) -> Option<f64> {
        self.serve.metric(name)
    }

    fn stop(self) -> String {
        self.serve.stop()
    }
}

fn token(host: &str, (id, secret): &(String, String)) -> Answer {
    let form = form_urlencoded::Serializer::new(String::new())
        .append_pair("grant_type", "client_credentials")
        .append_pair("client_id", id)
        .append_pair("client_secret", secret)
        .append_pair("scope", &format!("{AUDIENCE}/.default"))
        .finish();
    let kind = ("content-type", "application/x-www-form-urlencoded");
    send(host, "POST", &format!("/{GUID}/oauth2/v2.0/token"), &[kind], form.as_bytes())
}

/// The word of the configuration that a token was made by. One that was made by two is none.
fn word(answer: &Answer) -> Result<String, String> {
    let told = || format!("{answer:?}");
    if answer.status != 200 {
        return Err(told());
    }
    let token = answer.json()["access_token"].as_str().ok_or_else(told)?.to_owned();
    let claims = BASE64_URL_SAFE_NO_PAD.decode(token.split('.').nth(1).ok_or_else(told)?).unwrap();
    let claims: Value = serde_json::from_slice(&claims).unwrap();
    let role = claims["roles"][0].as_str().and_then(|role| role.strip_prefix("orders.")).ok_or_else(told)?;
    let issuer = claims["iss"].as_str().ok_or_else(told)?;
    if issuer.starts_with(&format!("http://127.0.0.1:5050/{role}/")) {
        Ok(role.to_owned())
    } else {
        Err(format!("made of two configurations: {claims}"))
    }
}

fn records(site: &Site) -> Vec<String> {
    let args = ["audit", "tail", "--json", "--config"];
    let output = daypass().args(args).arg(site.file()).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().filter(|line| line.contains("config.reload")).map(str::to_owned).collect()
}

#[test]
fn a_good_file_is_in_force_when_the_command_returns() {
    let site = Site::start();
    assert_eq!(site.word(), "one");
    site.write(&text("two"));
    let told = json_of(&site.reload());
    assert_eq!(site.word(), "two");
    assert_eq!((&told["reloaded"], &told["file"]), (&true.into(), &site.file().to_str().unwrap().into()));
    let sha256 = told["sha256"].as_str().unwrap();
    assert_ne!(told["before"], sha256);
    let [record] = &records(&site)[..] else { panic!("{:?}", records(&site)) };
    assert!(record.contains(&format!("sha256:{sha256}")), "{record}");
    assert_eq!(site.metric(&format!("daypass_config{{sha256=\"{sha256}\"}}")), Some(1.0));
    assert_eq!(site.metric("daypass_config_reloads_total{result=\"done\"}"), Some(1.0));

    let again = json_of(&site.reload());
    assert_eq!((&again["before"], &again["sha256"]), (&told["sha256"], &told["sha256"]));
    site.write(&text("three"));
    site.hangup();
    find("it", || (site.word() == "three").then_some(()));
    let said = site.stop();
    assert_eq!(said.matches("the configuration is reloaded").count(), 3, "{said}");
}

#[test]
fn nothing_of_a_bad_file_is_in_force() {
    let site = Site::start();
    let good = text("two");
    let tail = "[[tenant.role]]\nname = \"more\"\naudience = 7\n";
    let file = site.file().display().to_string();
    let wrong = format!("{good}{tail}");
    let line = wrong.lines().count();
    for (bad, place) in [
        (wrong, format!("{file}:{line}:12: `audience` must be a string")),
        (good[..good.len() - 30].to_owned(), format!("{file}:16:14: unclosed array")),
        (String::new(), format!("{file}:1:1: ")),
        (
            good.replace("127.0.0.1:0\"\npublic", "127.0.0.1:1\"\npublic"),
            format!("{file}:2:10: `server.listen` cannot change"),
        ),
        (good.replace("daypass.db", "other.db"), format!("{file}:5:1: `store` cannot change")),
        (good.replace("seal.key", "gone.key"), format!("{file}:7:1: `seal` cannot change")),
    ] {
        site.write(&bad);
        let told = site.refused();
        let message = told["message"].as_str().unwrap();
        assert!(message.contains(&place), "{place}\n{message}");
        assert_eq!(told["reloaded"], false);
        assert_eq!(told["errors"][0]["file"], *file, "{told}");
        assert_eq!(site.word(), "one", "{bad}");
    }
    let lost = site.reload();
    let said = String::from_utf8_lossy(&lost.stdout).into_owned();
    assert!(lost.status.code() == Some(1), "the file still leads to the socket: {said}");
    site.write("");
    let lost = site.reload();
    let said = String::from_utf8_lossy(&lost.stdout).into_owned();
    assert_eq!(lost.status.code(), Some(3), "{said}");
    assert!(said.contains("no service listens at") && said.contains("the file is wrong"), "{said}");
    std::fs::remove_file(site.file()).unwrap();
    // Without a file nothing leads to the socket but its name.
    let socket = site.folder.path().join("daypass.sock");
    let gone =
        daypass().arg("reload").arg("--config").arg(site.file()).arg("--control").arg(&socket).output();
    let gone = gone.unwrap();
    assert_eq!(gone.status.code(), Some(1), "{gone:?}");
    let said = String::from_utf8_lossy(&gone.stdout).into_owned();
    assert!(
        said.starts_with("not reloaded, and nothing has changed: ") && said.contains("cannot read"),
        "{said}"
    );

    let ready = send(&site.serve.host, "GET", "/readyz", &[], b"");
    let warning = "reloads that were refused since the configuration in force was read: 8";
    assert!(ready.status == 200 && ready.body.contains(warning), "{ready:?}");
    assert_eq!(site.metric("daypass_config_reloads_total{result=\"refused\"}"), Some(8.0));
    assert_eq!(site.metric("daypass_config_last_reload_done"), Some(0.0));
    site.write(&good);
    json_of(&site.reload());
    assert_eq!(site.word(), "two");
    assert!(!send(&site.serve.host, "GET", "/readyz", &[], b"").body.contains("reloads"));
    assert_eq!(site.metric("daypass_config_last_reload_done"), Some(1.0));
    assert_eq!(records(&site).len(), 1, "only what came into force is recorded");
    let said = site.stop();
    assert_eq!(said.matches("the configuration is not reloaded").count(), 8, "each is told once: {said}");
}

/// A pipe that nobody writes to, as a disk of the network that stands still: reading it has no end.
#[test]
fn a_file_that_has_no_end_holds_up_no_later_reload_and_no_stop() {
    let site = Site::start();
    let good = std::fs::read_to_string(site.file()).unwrap();
    std::fs::remove_file(site.file()).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(site.file()).status().unwrap().success());
    site.hangup();
    find("it", || (site.metric(r#"daypass_config_reloads_total{result="refused"}"#)? > 0.0).then_some(()));
    assert_eq!(site.word(), "one", "and nothing has changed");
    site.write(&good.replace("one", "two"));
    json_of(&site.reload());
    assert_eq!(site.word(), "two");
    let begun = Instant::now();
    let said = site.stop();
    assert!(said.contains("was not read within 10 seconds"), "{said}");
    assert!(begun.elapsed() < PATIENCE, "{:?}", begun.elapsed());
}

#[test]
fn the_socket_is_the_services_own() {
    let site = Site::start();
    let socket = site.folder.path().join("daypass.sock");
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&socket).unwrap().permissions());
    assert_eq!(mode & 0o7777, 0o600);
    // Another service's file is refused by name, and what is no question too.
    let other = site.folder.path().join("other.toml");
    std::fs::copy(site.file(), &other).unwrap();
    let output = daypass().arg("reload").arg("--config").arg(&other).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        said.contains("this service runs on `") && said.contains("other.toml`: nothing is reloaded"),
        "{said}"
    );
    let mut stream = std::os::unix::net::UnixStream::connect(&socket).unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\n").unwrap();
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer).unwrap();
    assert!(answer.contains("the question is not understood"), "{answer}");

    let file = site.file();
    let folder = {
        let Site { folder, serve, .. } = site;
        serve.stop();
        folder
    };
    assert!(!socket.exists(), "it goes with the service");
    let output = daypass().arg("reload").arg("--config").arg(&file).output().unwrap();
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("no service listens at `") && said.contains("daypass.sock`"), "{said}");
    drop(folder);
}

#[test]
fn what_is_logged_changes_with_the_file() {
    let site = Site::start();
    site.write(&text("two").replace("[store]", "log = \"warn\"\n[store]"));
    json_of(&site.reload());
    site.write(&text("three"));
    json_of(&site.reload());
    let said = site.stop();
    // The first one silenced its own line; the second is told again.
    assert_eq!(said.matches("the configuration is reloaded").count(), 1, "{said}");
}

#[test]
fn a_certificate_in_other_files_is_shown_by_a_reload() {
    use crate::tls::{get, installed, pair, put, start};
    let (old, new) = (pair(&["localhost"], 2000, 2100), pair(&["localhost"], 2000, 2100));
    let folder = installed(&old);
    let (mut server, ready, _log) = start(folder.path());
    let (host, file) = (ready["address"].as_str().unwrap(), folder.path().join("daypass.toml"));
    let elsewhere = folder.path().join("elsewhere");
    std::fs::create_dir(&elsewhere).unwrap();
    put(&elsewhere, &(new.0.clone(), old.1.clone()));
    let text = std::fs::read_to_string(&file).unwrap();
    let moved = text
        .replace("\"chain.pem\"", "\"elsewhere/chain.pem\"")
        .replace("\"key.pem\"", "\"elsewhere/key.pem\"");
    std::fs::write(&file, moved).unwrap();
    let reload = || daypass().arg("reload").arg("--config").arg(&file).output().unwrap();
    // A key of another certificate: nothing of the file is in force.
    let refused = reload();
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    let said = String::from_utf8(refused.stdout).unwrap();
    assert!(said.contains("key.pem` is not the key of the certificate"), "{said}");
    assert!(get(host, "/livez", &old.0).is_ok());
    put(&elsewhere, &new);
    let done = reload();
    assert!(done.status.success(), "{done:?}");
    assert!(get(host, "/livez", &new.0).is_ok() && get(host, "/livez", &old.0).is_err());
    signal(server.0.id(), "TERM");
    assert!(server.0.wait().unwrap().success());
}

#[test]
fn servers_without_a_file_outlive_a_hangup() {
    let mut emulate = daypass();
    emulate.args([
        "emulate",
        "--json",
        "--log",
        "off",
        "--listen",
        "127.0.0.1:0",
        "--control",
        "127.0.0.1:0",
    ]);
    let mut emulate = Served(emulate.stdout(Stdio::piped()).spawn().unwrap());
    let mut line = String::new();
    BufReader::new(emulate.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
    signal(emulate.0.id(), "HUP");

    let dev = crate::process::Dev::start();
    signal(dev.process(), "HUP");
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(dev.send("GET", "/livez", &[], b"").status, 200);
    let (_, log) = dev.stop();
    assert!(log.contains("this server has no configuration file to reload"), "{log}");
    assert!(emulate.0.try_wait().unwrap().is_none(), "the fake cloud goes on");
    signal(emulate.0.id(), "TERM");
    assert!(emulate.0.wait().unwrap().success());
}
