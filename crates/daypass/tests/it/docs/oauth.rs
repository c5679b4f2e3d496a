//! The guide for OAuth clients: its commands run in their order, against a server with its configuration, and each answer
//! that it shows is the one that comes.

use super::{blocks, lines, read};
use crate::process::daypass;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use daypass_faults::port::free_address;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const GUIDE: &str = "docs/use-as-an-oauth-server.md";
/// What no request of an OAuth client is answered with, although the table of `/error` has it for the reason's sake.
const OF_OTHERS: [u64; 4] = [50_013, 50_173, 501_051, 9_002_326];
/// How long a change by the command line may take until the server knows of it.
const PATIENCE: Duration = Duration::from_mins(1);

/// A server with the guide's configuration, and a shell for which it is at the guide's address.
struct Guide {
    folder: TempDir,
    server: Child,
    /// What the guide's `$NAMES` stand for.
    names: BTreeMap<String, String>,
    /// What was answered last, and the access token in it if there was one.
    answer: Value,
    token: String,
}

impl Drop for Guide {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

fn private(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

/// Two ports that are free now.
fn ports() -> [u16; 2] {
    [(); 2].map(|()| free_address().unwrap().port())
}

impl Guide {
    fn start(config: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let [main, asking] = ports();
        let config = config
            .replace("0.0.0.0:443", &format!("127.0.0.1:{main}"))
            .replace("0.0.0.0:8443", &format!("127.0.0.1:{asking}"));
        std::fs::write(at("daypass.toml"), config).unwrap();
        private(&at("seal.key"), &"5a".repeat(32));
        let pair = rcgen::generate_simple_self_signed(["pass.example.com".to_owned()]).unwrap();
        std::fs::write(at("fullchain.pem"), pair.cert.pem()).unwrap();
        private(&at("privkey.pem"), &pair.signing_key.serialize_pem());
        let keys = r#"{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"one","use":"sig","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;
        std::fs::write(at("cluster.jwks"), keys).unwrap();
        // For curl the guide's host is this server, and its certificate is one to trust.
        let curl = format!(
            "cacert = \"{}\"\nconnect-to = \"pass.example.com:443:127.0.0.1:{main}\"\nconnect-to = \"pass.example.com:8443:127.0.0.1:{asking}\"\n",
            at("fullchain.pem").display()
        );
        std::fs::write(at(".curlrc"), curl).unwrap();
        let log = std::fs::File::create(at("log")).unwrap();
        let server = daypass()
            .args(["serve", "--config"])
            .arg(at("daypass.toml"))
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut guide =
            Self { folder, server, names: BTreeMap::new(), answer: Value::Null, token: String::new() };
        let ready = "curl -sS --fail https://pass.example.com/livez";
        guide.until(ready, |output| output.status.success());
        guide
    }

    fn sh(&self, line: &str) -> Output {
        let place = self.folder.path();
        Command::new("sh")
            .args(["-euc", line])
            .current_dir(place)
            .env("CURL_HOME", place)
            .envs(&self.names)
            .output()
            .unwrap()
    }

    /// Runs the line until the server has noticed what was changed before.
    fn until(&mut self, line: &str, good: impl Fn(&Output) -> bool) -> Output {
        let late = Instant::now() + PATIENCE;
        loop {
            let output = self.sh(line);
            if good(&output) {
                return output;
            }
            let log = std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            assert!(Instant::now() < late, "{line}\n{output:?}\n{log}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// One line of a block. `refused` is the number of the refusal that it gets, `status` that of the command line.
    fn run(&mut self, line: &str, refused: Option<u64>, status: i32, shown: Option<&Value>) {
        if let Some((name, value)) =
            line.split_once('=').filter(|(name, _)| name.bytes().all(|b| b.is_ascii_uppercase()))
        {
            self.names.insert(name.to_owned(), value.to_owned());
        } else if let Some(rest) = line.strip_prefix("daypass ") {
            let program = env!("CARGO_BIN_EXE_daypass");
            let line = format!("{program} {rest} --config daypass.toml --json");
            // A last use is written once a second, and who looks for it waits for that.
            let written = |output: &Output| {
                !rest.starts_with("client show")
                    || String::from_utf8_lossy(&output.stdout).contains("\"last_used\":\"")
            };
            let good = |output: &Output| output.status.code() == Some(status) && written(output);
            let output = self.until(&line, good);
            if let Ok(said) = serde_json::from_slice(&output.stdout) {
                self.learn(rest, &said);
            }
        } else if line.starts_with("curl ") {
            let good = |output: &Output| {
                let Ok(answer) = serde_json::from_slice::<Value>(&output.stdout) else {
                    // A revocation is answered with nothing.
                    return output.status.success() && output.stdout.is_empty();
                };
                let code = answer["error_codes"][0].as_u64();
                code == refused && shown.is_none_or(|shown| holds(&answer, shown))
            };
            let output = self.until(line, good);
            self.answer = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
            if let Some(token) = self.answer["access_token"].as_str() {
                self.token = token.to_owned();
                if line.contains("client_credentials") {
                    self.names.insert("TOKEN".to_owned(), token.to_owned());
                }
            }
        } else {
            let output = self.sh(line);
            assert!(output.status.success(), "{line}\n{output:?}");
        }
    }

    /// The names under which the guide uses what the command line has printed.
    fn learn(&mut self, line: &str, said: &Value) {
        let words: Vec<_> = line.split(' ').collect();
        let [_, verb @ ("add" | "rotate"), client, ..] = words.as_slice() else { return };
        let client = client.to_uppercase().replace('-', "_");
        let key = &said["keys"][0];
        let (secret, id) = (key["client_secret"].as_str(), key["id"].as_str().unwrap().to_owned());
        if *verb == "add" {
            self.names.insert(format!("{client}_ID"), said["client"]["id"].as_str().unwrap().to_owned());
            self.names.insert(format!("{client}_KEY"), id);
        }
        let name = if *verb == "add" { format!("{client}_SECRET") } else { format!("{client}_NEW_SECRET") };
        self.names.extend(secret.map(|secret| (name, secret.to_owned())));
    }
}

/// Whether the answer has what the guide shows of it. `…` stands for any text.
fn holds(answer: &Value, shown: &Value) -> bool {
    match (answer, shown) {
        (Value::Object(answer), Value::Object(shown)) => {
            shown.iter().all(|(name, shown)| answer.get(name).is_some_and(|answer| holds(answer, shown)))
        }
        (Value::String(answer), Value::String(shown)) => {
            (shown == "…" && !answer.is_empty()) || shown == answer
        }
        (answer, shown) => answer == shown,
    }
}

#[test]
fn the_commands_of_the_oauth_guide_run_as_they_stand() {
    let page = read(GUIDE);
    let all = blocks(&page);
    let (_, _, config) = all.iter().find(|(before, ..)| *before == "<!-- config -->").unwrap();
    let mut guide = Guide::start(config);
    let mark = |before: &str, name: &str| -> Option<u64> {
        before.strip_prefix(&format!("<!-- {name}: "))?.strip_suffix(" -->")?.parse().ok()
    };
    let (mut ran, mut compared) = (0, 0);
    for (n, (before, language, body)) in all.iter().enumerate() {
        match (*language, *before) {
            ("sh", _) => {
                let status = mark(before, "exit").map_or(0, |status| i32::try_from(status).unwrap());
                let shown = all.get(n + 1).filter(|(before, ..)| *before == "<!-- answer -->");
                let shown = shown.map(|(_, _, json)| serde_json::from_str::<Value>(json).unwrap());
                let lines = lines(body);
                for (n, line) in lines.iter().enumerate() {
                    let shown = shown.as_ref().filter(|_| n + 1 == lines.len());
                    guide.run(line, mark(before, "refused"), status, shown);
                    ran += 1;
                }
            }
            ("json", "<!-- answer -->") => compared += 1,
            ("json", "<!-- claims -->") => {
                let claims = URL_SAFE_NO_PAD.decode(guide.token.split('.').nth(1).unwrap()).unwrap();
                let claims: Value = serde_json::from_slice(&claims).unwrap();
                let shown = serde_json::from_str(body).unwrap();
                assert!(holds(&claims, &shown), "{claims} does not have {shown}");
                compared += 1;
            }
            ("json", _) => panic!("nothing is said of\n{body}"),
            _ => {}
        }
    }
    assert!(ran >= 25 && compared >= 8, "{ran} lines were run, {compared} answers compared");
    explained(&guide, &page);
}

/// Every number that OAuth clients can meet is in the guide's table, and no other.
fn explained(guide: &Guide, page: &str) {
    let told = guide.sh("curl -sS https://pass.example.com/error");
    let told = String::from_utf8(told.stdout).unwrap();
    let numbers = |text: &str| -> BTreeSet<u64> {
        text.split(|c: char| !c.is_ascii_digit()).filter_map(|number| number.parse().ok()).collect()
    };
    let served = told.lines().filter_map(|line| line.strip_prefix("AADSTS")?.split_once(':'));
    let served: BTreeSet<u64> = served.filter_map(|(number, _)| number.parse().ok()).collect();
    let (_, table) = page.split_once("\n## Errors\n").unwrap();
    let rows = table.lines().filter_map(|line| line.strip_prefix("| ")?.split_once(" |"));
    let shown: BTreeSet<u64> = rows.flat_map(|(codes, _)| numbers(codes)).collect();
    let expected = served.into_iter().filter(|number| !OF_OTHERS.contains(number));
    assert_eq!(shown, expected.collect());
}

#[test]
fn an_answer_that_differs_is_noticed() {
    let answer = serde_json::json!({ "a": "x", "b": { "c": 1 }, "d": "" });
    for (shown, good) in [
        (r#"{"a":"…","b":{"c":1}}"#, true),
        (r#"{"a":"x"}"#, true),
        (r#"{"a":"y"}"#, false),
        (r#"{"d":"…"}"#, false),
        (r#"{"b":{"c":2}}"#, false),
        (r#"{"e":"…"}"#, false),
    ] {
        assert_eq!(holds(&answer, &serde_json::from_str(shown).unwrap()), good, "{shown}");
    }
}
