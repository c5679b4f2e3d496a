//! Root keys from end to end: one process plays the cloud, another stands in front of it, and `daypass root-key` brings the
//! front's key at the cloud from one to the next.

use crate::patience::soon;
use crate::process::{Dev, daypass, json_of, send, token};
use crate::serve::Served;
use crate::tls::start_and_listen;
use serde_json::{Value, json};
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tempfile::TempDir;

/// The client of the cloud that the front is.
const GATEWAY: &str = "gateway";
/// The account of the cloud's tenant.
const ACCOUNT: &str = "100000000001";

/// A key of the front's at the cloud.
#[derive(Clone)]
struct Key {
    id: String,
    secret: String,
}

struct Site {
    cloud: Arc<Dev>,
    folder: TempDir,
}

impl Site {
    /// The front asks the cloud at this address, or else at its own.
    fn at(url: Option<&str>) -> Self {
        let cloud = Arc::new(Dev::start());
        let folder = tempfile::tempdir().unwrap();
        let url = url.map_or_else(|| format!("http://{}", cloud.host()), str::to_owned);
        let site = Self { cloud, folder };
        site.write("seal.key", &"5e".repeat(32));
        site.configure(&url, ACCOUNT);
        site
    }

    fn start() -> Self {
        Self::at(None)
    }

    fn configure(&self, url: &str, account: &str) {
        let text = format!(
            r#"
[server]
listen = "127.0.0.1:0"
metrics = "127.0.0.1:0"
[store]
url = "sqlite:{folder}/daypass.db"
[seal]
key = {{ file = "seal.key" }}
[[issuer]]
name = "main"
kind = "tencent"
region = "ap-guangzhou"
url = "{url}"
account = "{account}"
timeout = "2s"
[[tenant]]
name = "acme"
guid = "0b8a6a54-1f0f-4d8e-9d3c-6a0f3f2f7a11"
account = "200000000002"
[[tenant.role]]
name = "soe"
issuer = "main"
lifetime = {{ default = "30m", max = "2h" }}
policy = {{ cam = '{{"version":"2.0","statement":{{"effect":"allow","action":["soe:TransmitOralProcessWithInit"],"resource":"*"}}}}' }}
wildcard_reason = "SOE has no resource-level rights"
"#,
            folder = self.folder.path().display(),
        );
        self.write("daypass.toml", &text);
    }

    fn write(&self, name: &str, text: &str) -> std::path::PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        path
    }

    fn run(&self, args: &[&str]) -> Output {
        daypass().args(args).arg("--config").arg(self.folder.path().join("daypass.toml")).output().unwrap()
    }

    fn done(&self, args: &[&str]) -> Value {
        json_of(&self.run(&[args, &["--json"]].concat()))
    }

    /// The exit code of a command that fails, and what it says.
    fn failed(&self, args: &[&str]) -> (i32, String) {
        let output = self.run(&[args, &["--json"]].concat());
        let said: Value =
            serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {output:?}"));
        (output.status.code().unwrap(), said["message"].as_str().unwrap().to_owned())
    }

    /// A first or a further key at the cloud.
    fn key(&self, verb: &[&str]) -> Key {
        let made = json_of(&self.cloud.cli(&[verb, &["--json"]].concat()));
        let part = |name: &str| made["keys"][0][name].as_str().unwrap().to_owned();
        let key = Key { id: part("id"), secret: part("secret_key") };
        let file = json!({
            "url": format!("http://{}", self.cloud.host()),
            "tencent": {"secret_id": key.id, "secret_key": key.secret},
        });
        let path = self.write("probe.json", &file.to_string());
        soon("the cloud knows its key", || token(&["tencent", "--whoami"], &path).status.success());
        key
    }

    fn first(&self) -> Key {
        self.key(&["client", "add", GATEWAY, "--kind", "tencent", "--role", "soe"])
    }

    fn second(&self) -> Key {
        self.key(&["client", "rotate", GATEWAY, "--kind", "tencent"])
    }

    fn retire(&self, key: &Key) {
        retire(&self.cloud, key);
    }

    fn file(&self, key: &Key) -> String {
        self.write("root.key", &format!("{}:{}\n", key.id, key.secret)).display().to_string()
    }

    fn stage(&self, key: &Key) -> Value {
        self.done(&["root-key", "stage", "main", "--from", &self.file(key)])
    }

    /// `a active ID`, … of the store.
    fn slots(&self) -> Vec<String> {
        let listed = self.done(&["root-key", "list"]);
        let text = |key: &Value, name: &str| key[name].as_str().unwrap().to_owned();
        let one = |key: &Value| format!("{} {} {}", text(key, "slot"), text(key, "state"), text(key, "key"));
        listed["keys"].as_array().unwrap().iter().map(one).collect()
    }

    fn serve(&self) -> Front {
        let (server, before, log) = start_and_listen(self.folder.path());
        let ready = before.last().unwrap().clone();
        let text = |name: &str| ready[name].as_str().unwrap().to_owned();
        let log = std::thread::spawn(move || {
            let (mut log, mut said) = (log, Value::from(before).to_string());
            let _ = log.read_to_string(&mut said);
            said
        });
        Front { server, host: text("address"), metrics: text("metrics"), log }
    }

    /// A client of the front, and the file that it asks with.
    fn app(&self, front: &Front, name: &str) -> std::path::PathBuf {
        let made = self.done(&["client", "add", name, "--kind", "tencent", "--role", "soe"]);
        let key = &made["keys"][0];
        let file = json!({
            "url": format!("http://{}", front.host),
            "tencent": {"secret_id": key["secret_id"], "secret_key": key["secret_key"]},
        });
        let path = self.write(&format!("{name}.json"), &file.to_string());
        soon("the client is known", || {
            let output = token(&["tencent"], &path);
            output.status.success() || !said(&output).contains("SecretIdNotFound")
        });
        path
    }

    /// Records of one installation that hold this text.
    fn records(&self, of: &str) -> Vec<Value> {
        lines(&self.run(&["audit", "tail", "-n", "1000", "--json"]), of)
    }
}

fn retire(cloud: &Dev, key: &Key) {
    let output = cloud.cli(&["client", "retire", GATEWAY, &key.id, "--force"]);
    assert!(output.status.success(), "{output:?}");
}

fn lines(output: &Output, of: &str) -> Vec<Value> {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    text.lines().filter(|line| line.contains(of)).map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned()
}

/// What stands in front of the cloud, running.
struct Front {
    server: Served,
    host: String,
    metrics: String,
    log: std::thread::JoinHandle<String>,
}

impl Front {
    fn ready(&self) -> String {
        send(&self.host, "GET", "/readyz", &[], b"").body
    }

    fn root_key_ok(&self) -> Option<String> {
        let text = send(&self.metrics, "GET", "/metrics", &[], b"").body;
        let sample = "daypass_root_key_ok{issuer=\"main\"} ";
        text.lines().find_map(|line| line.strip_prefix(sample).map(str::to_owned))
    }

    /// Ends it and gives everything that it logged.
    fn stop(self) -> String {
        let Self { server, log, .. } = self;
        drop(server);
        log.join().unwrap()
    }
}

/// Asks the front, with a name that no other has, so that nothing is handed out that was kept.
fn ask(file: &Path, name: &str) -> Output {
    token(&["tencent", "--name", name], file)
}

#[test]
fn a_root_key_is_rotated_without_a_gap_and_its_secret_is_nowhere() {
    let site = Site::start();
    assert_eq!(site.done(&["root-key", "list"])["issuers"][0]["kept_in"], "store");
    let bare = site.done(&["check", "--with-store"]);
    assert!(bare["warnings"].to_string().contains("no root key that works"), "{bare}");
    let one = site.first();
    let staged = site.stage(&one);
    assert_eq!((&staged["state"], &staged["account"]), (&json!("active"), &json!(ACCOUNT)), "{staged}");
    let good = site.done(&["check", "--with-store"]);
    assert!(!good["warnings"].to_string().contains("root key"), "{good}");

    let front = site.serve();
    soon("the canary", || front.root_key_ok().as_deref() == Some("1"));
    let app = site.app(&front, "app");
    let first = json_of(&ask(&app, "one"));
    assert!(!said(&ask(&app, "again")).contains("Error"), "{first}");

    let two = site.second();
    assert_eq!(site.stage(&two)["state"], "staged");
    let (code, why) = site.failed(&["root-key", "stage", "main", "--from", &site.file(&two)]);
    assert!(code == 1 && why.contains("both slots"), "{why}");
    assert!(site.done(&["root-key", "prove", "main"])["proved"].is_string());
    let promoted = site.done(&["root-key", "promote", "main"]);
    assert_eq!((&promoted["key"], &promoted["before"]["key"]), (&json!(two.id), &json!(one.id)));
    assert_eq!(site.slots(), [format!("a standby {}", one.id), format!("b active {}", two.id)]);

    // The server asks with the new key from then on, and the one before may go at the cloud.
    let mut number = 0;
    soon("the front asks with the new key", || {
        number += 1;
        json_of(&ask(&app, &format!("later-{number}")));
        let newest = site.records("\"upstream\"").pop().unwrap();
        newest["event"]["upstream"]["key"] == json!(two.id)
    });
    site.retire(&one);
    soon("the cloud knows", || {
        site.run(&["root-key", "prove", "main", "--slot", "a"]).status.code() == Some(1)
    });
    json_of(&ask(&app, "after"));
    let (code, why) = site.failed(&["root-key", "rollback", "main"]);
    assert!(code == 1 && why.contains("key_refused"), "the key before is gone at the cloud: {why}");
    assert_eq!(site.slots()[1], format!("b active {}", two.id));
    let dropped = site.done(&["root-key", "drop", "main"]);
    assert_eq!(dropped["key"], json!(one.id));
    let (code, why) = site.failed(&["root-key", "drop", "main"]);
    assert!(code == 1 && why.contains("--force"), "{why}");

    let log = front.stop();
    let actions: Vec<_> = site.records("root.").iter().map(|r| r["event"]["action"].clone()).collect();
    assert!(actions.contains(&json!("root.prove")));
    let steps: Vec<_> = actions.into_iter().filter(|action| action != "root.prove").collect();
    assert_eq!(steps, ["root.stage", "root.promote", "root.stage", "root.promote", "root.drop"]);
    for Key { secret, .. } in [&one, &two] {
        assert!(!log.contains(secret) && !said(&site.run(&["audit", "tail", "-n", "1000"])).contains(secret));
        for name in ["daypass.db", "daypass.db-wal"] {
            let bytes = std::fs::read(site.folder.path().join(name)).unwrap_or_default();
            let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found, "{name} holds a secret in clear");
        }
    }
}

#[test]
fn a_key_that_the_cloud_does_not_take_changes_nothing() {
    let site = Site::start();
    let one = site.first();
    site.stage(&one);
    let wrong = Key { id: one.id.clone(), secret: "not-the-secret-of-this-key".into() };
    site.stage(&wrong);
    for verb in ["prove", "promote"] {
        let (code, why) = site.failed(&["root-key", verb, "main"]);
        assert!(code == 1 && why.contains("key_refused"), "{verb}: {why}");
    }
    assert_eq!(site.slots(), [format!("a active {}", one.id), format!("b staged {}", one.id)]);

    // Of another account than the configuration says.
    site.configure(&format!("http://{}", site.cloud.host()), "999999999999");
    let (code, why) = site.failed(&["root-key", "prove", "main", "--slot", "a"]);
    assert!(code == 1 && why.contains("account"), "{why}");

    // And where no cloud is, that is another thing than a refusal.
    let gone = daypass_faults::port::free_address().unwrap();
    site.configure(&format!("http://{gone}"), ACCOUNT);
    let (code, why) = site.failed(&["root-key", "promote", "main"]);
    assert!(code == 3 && why.contains("unreached"), "{why}");
    assert_eq!(site.slots()[0], format!("a active {}", one.id));
}

#[test]
fn what_is_asked_wrongly_is_said_before_anything_happens() {
    let site = Site::start();
    let one = site.first();
    let file = site.file(&one);
    for (args, code, said) in [
        (&["root-key", "stage", "other", "--from", &file][..], 2, "no issuer `other`; it has `main`"),
        (&["root-key", "stage", "main", "--from", "/nowhere/root.key"], 2, "cannot read"),
        (&["root-key", "stage", "main", "--from", &file, "--expires", "2001-01-01"], 1, "in the past"),
        (&["root-key", "promote", "main"], 1, "is staged"),
        (&["root-key", "rollback", "main"], 1, "stands by"),
        (&["root-key", "drop", "main"], 1, "no root key"),
    ] {
        let (found, why) = site.failed(args);
        assert!(found == code && why.contains(said), "{args:?}: {found} {why}");
    }
    // Standard input is as good as a file, and the configuration's own key is not the store's.
    let mut child = daypass()
        .args(["root-key", "stage", "main", "--from", "-", "--expires", "20d", "--config"])
        .arg(site.folder.path().join("daypass.toml"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    write!(child.stdin.take().unwrap(), "{}:{}", one.id, one.secret).unwrap();
    assert!(child.wait_with_output().unwrap().status.success());
    assert_eq!(site.slots(), [format!("a active {}", one.id)]);
    let checked = site.done(&["check", "--with-store"])["warnings"].to_string();
    assert!(checked.contains("ends on") && checked.contains(&one.id), "{checked}");
    let text = std::fs::read_to_string(site.folder.path().join("daypass.toml")).unwrap();
    site.write("daypass.toml", &text.replace("timeout =", "root_key = { file = \"root.key\" }\ntimeout ="));
    let (code, why) = site.failed(&["root-key", "stage", "main", "--from", &file]);
    assert!(code == 2 && why.contains("take `root_key` out"), "{why}");
    assert_eq!(site.done(&["root-key", "prove", "main"])["state"], "configured");
}

/// Passes one request on, lets something happen at the cloud, and passes on what comes then.
fn between(cloud: &Arc<Dev>, then: impl Fn() + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (host, then, seen) = (cloud.host(), Arc::new(then), Arc::new(AtomicUsize::new(0)));
    std::thread::spawn(move || {
        for front in listener.incoming() {
            let (mut front, mut back) = (front.unwrap(), TcpStream::connect(&host).unwrap());
            let (mut from, mut to) = (front.try_clone().unwrap(), back.try_clone().unwrap());
            let (then, seen) = (then.clone(), seen.clone());
            std::thread::spawn(move || {
                let mut bytes = vec![0; 65_536];
                while let Ok(n @ 1..) = from.read(&mut bytes) {
                    // The connection is kept between the two.
                    if bytes.starts_with(b"POST ") && seen.fetch_add(1, Ordering::SeqCst) == 1 {
                        then();
                    }
                    to.write_all(&bytes[..n]).unwrap();
                }
                let _ = to.shutdown(std::net::Shutdown::Both);
            });
            std::thread::spawn(move || {
                let _ = std::io::copy(&mut back, &mut front);
                let _ = front.shutdown(std::net::Shutdown::Both);
            });
        }
    });
    format!("http://{address}")
}

/// The cloud takes the new key, and a moment later it does not: whatever had been done is undone.
#[test]
fn a_promoted_key_that_the_cloud_then_refuses_is_rolled_back() {
    let site = Site::start();
    let one = site.first();
    site.stage(&one);
    let two = site.second();
    site.stage(&two);
    let (cloud, gone) = (site.cloud.clone(), two.clone());
    let url = between(&site.cloud, move || {
        retire(&cloud, &gone);
        // Every node of the cloud knows of it within this.
        std::thread::sleep(Duration::from_millis(1500));
    });
    let text = std::fs::read_to_string(site.folder.path().join("daypass.toml")).unwrap();
    let patient = text.replace(&format!("http://{}", site.cloud.host()), &url);
    site.write("daypass.toml", &patient.replace("\"2s\"", "\"10s\""));
    let (code, why) = site.failed(&["root-key", "promote", "main"]);
    assert!(code == 1 && why.contains("rolled back") && why.contains("key_refused"), "{why}");
    assert_eq!(site.slots(), [format!("a active {}", one.id), format!("b staged {}", two.id)]);
    let undone = site.records("root.rollback").pop().unwrap();
    assert!(undone["why"].as_str().unwrap().starts_with("key_refused"), "{undone}");
    assert_eq!(undone["event"]["object"], json!(format!("main b {}", two.id)));
    let proved = site.done(&["root-key", "prove", "main", "--slot", "a"]);
    assert!(proved["proved"].is_string(), "the one before works on: {proved}");
}

#[test]
fn a_cloud_that_takes_our_key_no_longer_is_noticed_before_anybody_asks() {
    let site = Site::start();
    let one = site.first();
    site.stage(&one);
    site.retire(&one);
    soon("the cloud knows", || site.run(&["root-key", "prove", "main"]).status.code() == Some(1));
    let front = site.serve();
    soon("the canary", || front.root_key_ok().as_deref() == Some("0"));
    assert!(front.ready().contains("do not answer it: 1"), "{}", front.ready());
    let warned = site.records("root.refused").pop().unwrap();
    assert_eq!(warned["event"]["object"], json!(format!("main {}", one.id)));
    assert!(warned["event"]["detail"].as_str().unwrap().starts_with("key_refused"), "{warned}");
    // Whoever asks is told in its own words, and not what the cloud said of us.
    let app = site.app(&front, "app");
    let refused = said(&ask(&app, "one"));
    assert!(refused.contains("its operator finds the reason"), "{refused}");
    assert!(!refused.contains(&one.id), "{refused}");

    // A new key brings it back without a restart.
    let two = site.second();
    site.stage(&two);
    site.done(&["root-key", "promote", "main"]);
    soon("the canary", || front.root_key_ok().as_deref() == Some("1"));
    assert!(!front.ready().contains("warning"), "{}", front.ready());
    json_of(&ask(&app, "two"));
    let log = front.stop();
    assert!(log.contains("a cloud does not answer our root key"), "{log}");
}

#[test]
fn an_issuer_without_a_key_is_said_to_have_none() {
    let site = Site::start();
    let front = site.serve();
    soon("the look", || front.ready().contains("no root key of ours"));
    assert_eq!(front.root_key_ok().as_deref(), Some("0"));
    let app = site.app(&front, "app");
    assert!(said(&ask(&app, "one")).contains("its operator finds the reason"));
    assert!(front.stop().contains("daypass root-key stage main --from FILE"));
}

#[test]
fn revoking_says_what_the_cloud_has_made_and_nobody_can_recall() {
    let site = Site::start();
    site.stage(&site.first());
    let front = site.serve();
    let app = site.app(&front, "app");
    let made: Vec<_> = ["one", "two", "one"].iter().map(|name| json_of(&ask(&app, name))).collect();
    let id = |answer: &Value| {
        let text = answer.to_string();
        let at = text.find("\"TmpSecretId\":\"").unwrap() + 15;
        text[at..].split('"').next().unwrap().to_owned()
    };
    let ids: std::collections::BTreeSet<_> = made.iter().map(id).collect();

    let shown = site.done(&["credential", "show", &id(&made[0])]);
    let by = &shown["made_by"];
    assert_eq!((&by["issuer"], &by["recallable"]), (&json!("main"), &json!(false)), "{shown}");
    assert!(by["root_key"].is_string() && by["cloud_request"].is_string() && by["obtained"].is_string());
    let explained = site.done(&["explain", &id(&made[0])]);
    let record = &explained["records"][0];
    assert_eq!(record["made_by"], *by, "{record}");
    assert!(record.get("made_with").is_none(), "no key of ours made it: {record}");
    // The same request finds its way into the cloud's own records.
    let there = lines(&site.cloud.cli(&["audit", "tail", "-n", "1000", "--json"]), &id(&made[0]));
    assert_eq!(there[0]["request"], by["cloud_request"], "{there:?}");

    let said = site.done(&["revoke", "--role", "soe"]);
    let alive = said["upstream_count"].as_u64().unwrap();
    // `app` asked once before, to see whether its key is known.
    assert_eq!(alive, ids.len() as u64 + 1, "{said}");
    assert_eq!(said["upstream"][0]["issuer"], "main");
    assert_eq!(said["upstream"][0]["revocable"], false);
    assert_eq!(said["upstream"][0]["lives_until"], said["upstream_until"]);
    let text = String::from_utf8(site.run(&["revoke", "--role", "soe"]).stdout).unwrap();
    assert!(text.contains(&format!("{alive} credentials that `main` has made")), "{text}");
    assert!(text.contains("cannot be recalled"), "{text}");
    let nobody = site.done(&["revoke", "--subject", "nobody"]);
    assert_eq!((&nobody["upstream_count"], &nobody["upstream_until"]), (&json!(0), &Value::Null));
}
