//! `daypass doctor` on installations that are broken on purpose: each fault is named, and what to do about it.

use crate::patience::soon;
use crate::process::{daypass, json_of};
use crate::tls::{pair, put, start};
use serde_json::Value;
use std::fs::Permissions;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

/// A good installation: a configuration, a seal key and a store with a client.
struct Site(TempDir);

const GUID: &str = "0b8a6a54-1f0f-4d8e-9d3c-6a0f3f2f7a11";

impl Site {
    fn empty() -> Self {
        let site = Self(tempfile::tempdir().unwrap());
        site.write("seal.key", &"5e".repeat(32));
        let data = site.0.path().join("data");
        std::fs::create_dir(&data).unwrap();
        std::fs::set_permissions(&data, Permissions::from_mode(0o700)).unwrap();
        let text = format!(
            r#"
[server]
listen = "127.0.0.1:0"
[store]
url = "sqlite:data/daypass.db"
reserve = "1MiB"
[seal]
key = {{ file = "seal.key" }}
[[tenant]]
name = "acme"
guid = "{GUID}"
account = "200000000002"
[[tenant.role]]
name = "soe"
lifetime = {{ default = "30m", max = "2h" }}
policy = {{ cam = '{{"version":"2.0","statement":{{"effect":"allow","action":["soe:TransmitOralProcessWithInit"],"resource":"*"}}}}' }}
wildcard_reason = "SOE has no resource-level rights"
"#
        );
        site.write("daypass.toml", &text);
        site
    }

    fn new() -> Self {
        let site = Self::empty();
        site.done(&["client", "add", "app", "--kind", "tencent", "--role", "soe"]);
        site
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
        self.mode(name, 0o600);
    }

    fn mode(&self, name: &str, mode: u32) {
        std::fs::set_permissions(self.path(name), Permissions::from_mode(mode)).unwrap();
    }

    /// Puts one line of the configuration in the place of another.
    fn edit(&self, from: &str, to: &str) {
        let text = std::fs::read_to_string(self.path("daypass.toml")).unwrap();
        assert!(text.contains(from), "{from}");
        self.write("daypass.toml", &text.replacen(from, to, 1));
    }

    fn database(&self, at: usize, bytes: &[u8]) {
        let path = self.path("data/daypass.db");
        let mut all = std::fs::read(&path).unwrap();
        all[at..at + bytes.len()].copy_from_slice(bytes);
        std::fs::write(&path, all).unwrap();
    }

    fn run(&self, args: &[&str]) -> Output {
        daypass().args(args).arg("--config").arg(self.path("daypass.toml")).output().unwrap()
    }

    fn done(&self, args: &[&str]) {
        let done = self.run(args);
        assert!(done.status.success(), "{done:?}");
    }

    fn doctor(&self) -> (i32, Value) {
        let output = self.run(&["doctor", "--json"]);
        let said = serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {output:?}"));
        (output.status.code().unwrap(), said)
    }

    /// Says that this is found, in these words, and what to do in those.
    fn finds(&self, state: &str, check: &str, text: &str, todo: &str) {
        let (code, said) = self.doctor();
        let word = |found: &Value, name: &str| found[name].as_str().unwrap_or_default().to_owned();
        let all = said["findings"].as_array().unwrap();
        let one = all.iter().find(|one| {
            word(one, "check") == check && word(one, "state") == state && word(one, "text").contains(text)
        });
        let one = one.unwrap_or_else(|| panic!("no {state} of {check} with `{text}`: {said:#}"));
        assert!(word(one, "do").contains(todo), "{one:#}");
        assert_eq!(code, i32::from(said["faults"] != 0), "{said:#}");
        assert!(state != "fault" || code == 1);
    }
}

/// A server that answers every connection with this.
fn stranger(answer: &'static str) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 1024]);
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    port
}

#[test]
fn nothing_is_found_where_nothing_is_wrong() {
    let site = Site::new();
    let before = listing(site.0.path());
    let (code, said) = site.doctor();
    assert_eq!((code, &said["faults"]), (0, &Value::from(0)), "{said:#}");
    let checks: Vec<_> =
        said["findings"].as_array().unwrap().iter().map(|one| one["check"].as_str().unwrap()).collect();
    let all = [
        "descriptors",
        "time",
        "user",
        "configuration",
        "seal",
        "files",
        "schema",
        "store",
        "clock",
        "backup",
        "disk",
        "records",
        "second_places",
        "ring",
        "client_keys",
        "listen",
    ];
    assert_eq!(checks, all);
    assert_eq!(listing(site.0.path()), before, "and nothing was left behind");
    let text = String::from_utf8(site.run(&["doctor"]).stdout).unwrap();
    assert!(text.contains("ok       store: the store opens\n"), "{text}");
}

fn listing(folder: &Path) -> Vec<PathBuf> {
    let mut all: Vec<_> =
        std::fs::read_dir(folder.join("data")).unwrap().map(|file| file.unwrap().path()).collect();
    all.sort();
    all
}

#[test]
fn faults_of_the_configuration_and_its_files() {
    let site = Site::new();
    std::fs::rename(site.path("daypass.toml"), site.path("away")).unwrap();
    site.finds("fault", "configuration", "cannot read the configuration", "mend the file");
    std::fs::write(site.path("daypass.toml"), b"[server]\n\xff").unwrap();
    site.finds("fault", "configuration", "is not UTF-8", "mend the file");
    std::fs::rename(site.path("away"), site.path("daypass.toml")).unwrap();

    site.edit("listen =", "lisen =");
    site.finds(
        "fault",
        "configuration",
        "daypass.toml:3:1: unknown key `lisen` in `server`; did you mean `listen`?",
        "daypass check",
    );
    site.edit("lisen =", "listen =");

    site.mode("daypass.toml", 0o666);
    site.finds("fault", "files", "the configuration file", "chmod go-w");
    site.mode("daypass.toml", 0o644);
    site.mode("data", 0o777);
    site.finds("fault", "files", "the folder of the database", "chmod go-w");
    site.mode("data", 0o700);
    site.mode("data/daypass.db", 0o644);
    site.finds("fault", "files", "is open to others than its owner (mode 0644)", "chmod 600");
}

#[test]
fn faults_of_the_seal_key() {
    let site = Site::new();
    site.mode("seal.key", 0o644);
    site.finds("fault", "seal", "is open to others than its owner", "put the seal key");
    site.write("seal.key", "5e5e");
    site.finds("fault", "seal", "is not 64 hexadecimal digits", "put the seal key");
    site.write("seal.key", &"77".repeat(32));
    site.finds("fault", "ring", "seal key", "put the seal key that this store was made with");
    std::fs::remove_file(site.path("seal.key")).unwrap();
    site.finds("fault", "seal", "cannot read", "a new one does not open what is there");
    // What does not need the key is looked at all the same.
    site.finds("ok", "store", "the store opens", "");
}

#[test]
fn faults_of_the_store() {
    let site = Site::empty();
    site.finds("warning", "store", "there is no store yet", "the first `daypass serve` makes it");
    assert_eq!(listing(site.0.path()), Vec::<PathBuf>::new(), "and it made none");
    std::fs::remove_dir(site.path("data")).unwrap();
    site.finds("fault", "files", "the folder of the database", "make it");
    site.finds("fault", "store", "does not exist", "mend `[store] url`");

    let site = Site::new();
    let good = std::fs::read(site.path("data/daypass.db")).unwrap();
    // SQLite's `user_version`: the file was left by an older program.
    site.database(60, &5_u32.to_be_bytes());
    site.finds("warning", "store", "was made by an older version (schema 5", "make a backup");
    assert_eq!(
        std::fs::read(site.path("data/daypass.db")).unwrap()[60..64],
        5_u32.to_be_bytes(),
        "and it stays as it is"
    );
    std::fs::write(site.path("data/daypass.db"), &good).unwrap();
    let middle = good.len() / 2;
    site.database(middle, &[0xa5; 6000]);
    site.finds("fault", "store", "damaged", "restore a backup");
    std::fs::write(site.path("data/daypass.db"), "a letter to the editor, and no database ".repeat(100))
        .unwrap();
    site.finds("fault", "store", "not a database", "restore a backup");
    site.edit(
        "url = \"sqlite:data/daypass.db\"\nreserve = \"1MiB\"",
        "url = \"postgres://daypass@127.0.0.1:1/daypass\"",
    );
    site.finds("fault", "store", "the store does not answer", "the database server or the way to it down");
}

#[test]
fn faults_of_the_clock_and_the_disk() {
    let site = Site::new();
    site.edit("reserve = \"1MiB\"", "reserve = \"1000000000GiB\"");
    site.finds("fault", "disk", "nothing is issued, and changes still work", "make room");
    site.edit("reserve = \"1000000000GiB\"", "");
    // What a node whose clock ran ahead has left.
    let store = daypass_stores::open(&format!("sqlite:{}", site.path("data/daypass.db").display())).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let ahead = "2099-01-01T00:00:00Z".parse().unwrap();
    runtime.block_on(async {
        store.note_clock(ahead).await.unwrap();
        store.close().await.unwrap();
    });
    site.finds(
        "fault",
        "clock",
        "behind the latest time of the store (2099-01-01T00:00:00Z)",
        "daypass audit accept-clock",
    );
    site.done(&["audit", "accept-clock", "--reason", "a wrong clock"]);
    site.finds("ok", "clock", "not behind", "");
}

#[test]
fn faults_of_certificates() {
    let site = Site::new();
    let tls = "listen = \"127.0.0.1:0\"\npublic_url = \"https://localhost:1\"\ntls = { certificate = \"chain.pem\", key = \"key.pem\" }";
    site.edit("listen = \"127.0.0.1:0\"", tls);
    site.finds("fault", "certificate", "cannot read", "a new pair in the same files");
    let good = pair(&["localhost"], 2000, 2100);
    put(site.0.path(), &good);
    site.finds("ok", "certificate", "the certificate is good for", "");
    put(site.0.path(), &pair(&["localhost"], 2000, 2020));
    site.finds("fault", "certificate", "expired", "a new pair in the same files");
    put(site.0.path(), &(good.0.clone(), pair(&["localhost"], 2000, 2100).1));
    site.finds("fault", "certificate", "is not the key of the certificate", "a new pair");
    put(site.0.path(), &pair(&["elsewhere.example"], 2000, 2100));
    site.finds("warning", "certificate", "localhost", "a new pair");
    put(site.0.path(), &good);
    site.finds("fault", "public_url", "does not answer", "is the service running");
}

#[test]
fn faults_of_addresses() {
    let site = Site::new();
    site.edit(
        "listen = \"127.0.0.1:0\"",
        "listen = \"192.0.2.7:5050\"\nbehind_proxy = [\"192.0.2.8\"]\npublic_url = \"http://127.0.0.1:1\"",
    );
    site.finds("fault", "listen", "192.0.2.7 is no address of this machine", "0.0.0.0 means all");
    site.finds("fault", "public_url", "does not answer", "DNS");
    let other = stranger("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    site.edit("public_url = \"http://127.0.0.1:1\"", &format!("public_url = \"http://127.0.0.1:{other}\""));
    site.finds("fault", "public_url", "is answered by something else (status 404)", "point the name");
    site.edit("192.0.2.7:5050", &format!("127.0.0.1:{other}"));
    site.finds("fault", "listen", "another program listens", "ss -ltnp");
    site.edit("public_url", "metrics = \"127.0.0.2:0\"\npublic_url");
    site.finds("ok", "metrics", "is free", "");
}

#[test]
fn what_will_need_somebody_soon() {
    let site = Site::new();
    site.done(&["client", "add", "short", "--kind", "tencent", "--role", "soe", "--expires", "3d"]);
    site.finds("warning", "client_keys", "of short", "daypass client rotate");
    site.done(&["freeze", "--tenant", "acme", "--reason", "a test"]);
    site.finds("warning", "freezes", "at 1 places", "daypass thaw");
    site.finds("warning", "second_places", "no second place", "checkpoints_to");
    site.edit("[seal]", "[records]\ncheckpoints_to = [{ file = \"copies.jsonl\" }]\n[seal]");
    site.done(&["audit", "checkpoint"]);
    site.finds("warning", "second_places", "has 0 of 1 checkpoints", "a running service sends them");
}

#[test]
fn faults_of_root_keys() {
    let site = Site::new();
    let issuer = "[[issuer]]\nname = \"main\"\nkind = \"tencent\"\nregion = \"ap-guangzhou\"\n";
    site.edit("[[tenant]]", &format!("{issuer}[[tenant]]"));
    site.finds("fault", "root_keys", "the issuer `main` has no root key", "daypass root-key stage main");
    site.edit("region =", "root_key = { file = \"root\" }\nregion =");
    site.finds("fault", "root_keys", "cannot read", "put the root key");
    site.write("root", "AKIDroot:secret");
    site.finds("ok", "root_keys", "1 clouds have a root key", "");
}

#[test]
fn too_few_descriptors() {
    let site = Site::new();
    let program = env!("CARGO_BIN_EXE_daypass");
    let line = format!(
        "ulimit -n 256; exec {program} doctor --json --config {}",
        site.path("daypass.toml").display()
    );
    let said = json_of(&Command::new("sh").args(["-c", &line]).output().unwrap());
    let found =
        said["findings"].as_array().unwrap().iter().find(|one| one["check"] == "descriptors").unwrap();
    assert_eq!(found["state"], "warning");
    assert!(found["do"].as_str().unwrap().contains("LimitNOFILE"), "{found:#}");
}

#[test]
fn a_running_server_is_asked_what_it_finds_itself_and_at_its_public_address() {
    let site = Site::new();
    let port = daypass_faults::port::free_address().unwrap().port();
    site.edit(
        "listen = \"127.0.0.1:0\"",
        &format!("listen = \"127.0.0.1:{port}\"\npublic_url = \"http://127.0.0.1:{port}\""),
    );
    let _server = start(site.0.path());
    site.finds("ok", "listen", "a server answers", "");
    site.finds("ok", "server", "finds nothing wrong with itself", "");
    site.finds("ok", "public_url", "leads to this installation", "");
    site.done(&["freeze", "--tenant", "acme", "--reason", "a test"]);
    soon("the server has heard of the freeze", || site.doctor().1.to_string().contains("freezes: places"));
    site.finds("warning", "server", "freezes: places where an operator has stopped", "docs/metrics.md");
}
