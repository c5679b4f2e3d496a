//! Backups and moves by the real program, on both kinds of store, while they are served from, harmed, and killed in the middle.

mod damage;
mod files;
mod moves;

use daypass_faults::ask::{Asker, Dialect, once, text_at};
use daypass_faults::installation::{Clients, Installation};
use daypass_faults::ledger::Ledger;
use daypass_faults::load::Load;
use daypass_faults::node::Node;
use daypass_faults::postgres::Server;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;

const DEADLINE: Duration = Duration::from_mins(1);

/// An installation in a folder of its own.
struct Site {
    folder: TempDir,
    installation: Installation,
}

impl Site {
    /// One with a new seal key, on a store that does not exist yet.
    fn on(store: Option<String>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self::in_folder(folder, store)
    }

    fn in_folder(folder: TempDir, store: Option<String>) -> Self {
        let program = Path::new(env!("CARGO_BIN_EXE_daypass"));
        let path = folder.path();
        let installation = match store {
            Some(store) => Installation::on_store(program, path, path, store),
            None => Installation::new(program, path, path),
        };
        Self { installation: installation.unwrap(), folder }
    }

    /// An empty machine, to which somebody has brought the seal key.
    fn empty(&self, store: Option<String>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::copy(self.path("seal.key"), folder.path().join("seal.key")).unwrap();
        Self::in_folder(folder, store)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn url(&self) -> String {
        format!("sqlite:{}", self.installation.database().display())
    }

    /// Runs a command that must succeed.
    fn done(&self, args: &[&str]) -> String {
        self.installation.done(args).unwrap_or_else(|error| panic!("{error:#}"))
    }

    /// Runs a command that must fail with this code, and gives what it said.
    fn refused(&self, code: i32, args: &[&str]) -> String {
        let output = self.installation.cli(args).unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{args:?}: {said}");
        said
    }

    /// Makes a key and gives its file and its recipient.
    fn key(&self, name: &str) -> (String, String) {
        let file = self.path(name).display().to_string();
        let made =
            self.installation.command().args(["backup", "key", "--json", "--out", &file]).output().unwrap();
        let made: Value = serde_json::from_slice(&made.stdout).unwrap();
        (file, made["recipient"].as_str().unwrap().to_owned())
    }
}

/// A temporary key that the server made for Tencent's SDK.
struct Temporary([String; 3]);

impl Temporary {
    fn ask(node: &Installation, asker: &Asker) -> Self {
        let answer = once(node.address, &asker.request(Dialect::Tencent), DEADLINE).unwrap();
        let body: Value = serde_json::from_str(&answer.body).unwrap();
        Self(["TmpSecretId", "TmpSecretKey", "Token"].map(|name| {
            text_at(&body, &format!("/Response/Credentials/{name}")).unwrap_or_else(|| panic!("{answer:?}"))
        }))
    }

    /// Whether a server takes it.
    fn counts(&self, node: &Installation, clients: &Clients) -> bool {
        let [id, secret, token] = &self.0;
        let asker = Asker::new(node.address, clients.clone());
        let request = asker.tencent("GetCallerIdentity", b"{}", Some((id, secret, token)));
        let answer = once(node.address, &request, DEADLINE).unwrap();
        let body: Value = serde_json::from_str(&answer.body).unwrap();
        match body.pointer("/Response/Error/Code") {
            None => true,
            Some(code) => {
                assert!(code.as_str().unwrap().starts_with("AuthFailure"), "{answer:?}");
                false
            }
        }
    }
}

/// A store with clients, on which a server runs, and what its clients were told.
struct Served {
    site: Site,
    node: Node,
    clients: Clients,
    asker: Asker,
    ledger: Arc<Ledger>,
}

impl Served {
    fn start(site: Site) -> Self {
        let node = site.installation.start().unwrap();
        let clients = site.installation.clients().unwrap();
        let asker =
            Asker::new(site.installation.address, clients.clone()).of(daypass_faults::installation::CHEAP);
        daypass_faults::time::pause(Duration::from_millis(400));
        Self { site, node, clients, asker, ledger: Arc::default() }
    }

    fn load(&self, ledger: &Arc<Ledger>) -> Load {
        let dialects = [Dialect::Tencent, Dialect::Entra, Dialect::Top];
        Load::start(self.site.installation.address, &self.asker, &dialects, 6, ledger)
    }

    /// Hands out so many credentials.
    fn grants(&self, many: u64) {
        let load = self.load(&self.ledger);
        assert!(load.goes_on(many, Duration::from_mins(1)), "{}", self.node.last_words());
        load.stop();
    }
}

/// Kills a command after this time. Where it has ended before, says how long it took: the machine had less to do.
fn kill_after(mut child: Child, time: Duration) -> Option<Duration> {
    let began = Instant::now();
    while began.elapsed() < time {
        if child.try_wait().unwrap().is_some() {
            return Some(began.elapsed());
        }
        daypass_faults::time::pause(Duration::from_millis(2));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    None
}

/// A backup that is made while the service is under load holds every record from before, restores into either kind of store on an
/// empty machine, and brings no credential back.
fn recovers(from: Option<String>, to: Option<String>) {
    let served = Served::start(Site::on(from));
    let site = &served.site;
    served.grants(200);
    let old = Temporary::ask(&site.installation, &served.asker);
    assert!(old.counts(&site.installation, &served.clients));
    let (key, recipient) = site.key("backup.key");
    let file = site.path("store.backup").display().to_string();

    // What happens meanwhile is in the backup or not, and none of it fails.
    let later = Arc::new(Ledger::default());
    let load = served.load(&later);
    assert!(load.goes_on(50, DEADLINE));
    site.done(&["backup", "--to", &recipient, "--out", &file]);
    assert!(load.goes_on(50, DEADLINE));
    load.stop();
    let sum = later.sum();
    // A record that the disk does not take within two seconds is refused, and this disk has the backup and other tests to write.
    let refused = sum.refused.values().sum::<u64>();
    assert!(sum.cut_off == 0 && 20 * refused < sum.credentials as u64, "{sum:?}");
    later.settle(&site.installation).unwrap();
    let said = site.done(&["audit", "tail", "-n", "1000"]);
    assert!(said.contains("changed store.backup"), "whoever takes all of it away is written down");
    // A revocation that the backup knows nothing of.
    site.done(&["revoke", "--tenant", "demo"]);
    let after = Temporary::ask(&site.installation, &served.asker);
    let Served { site, node, clients, asker, ledger } = served;
    node.kill().unwrap();

    let verify = ["backup", "verify", &file, "--identity", &key];
    let proved = site.done(&verify);
    assert!(proved.contains("chains of records verify"), "{proved}");
    let alone = site.installation.command().args(verify).output().unwrap();
    let alone = String::from_utf8(alone.stdout).unwrap();
    assert!(
        alone.contains("is whole") && alone.contains("neither its ring nor its records were checked"),
        "{alone}"
    );

    let other = site.empty(to);
    let restored = other.done(&["restore", &file, "--identity", &key, "--reason", "the disk is gone"]);
    assert!(restored.contains("nothing that was issued until"), "{restored}");
    other.done(&["audit", "verify"]);
    let node = other.installation.start().unwrap();
    for gone in [&old, &after] {
        assert!(!gone.counts(&other.installation, &clients), "what was issued before counts no more");
    }
    daypass_faults::time::pause(Duration::from_millis(1100));
    let asker = Asker::new(other.installation.address, clients.clone()).of(asker.audience);
    let new = Temporary::ask(&other.installation, &asker);
    assert!(new.counts(&other.installation, &clients), "and what is issued now does");
    ledger.settle(&other.installation).unwrap();
    let said = other.done(&["audit", "tail", "-n", "1000"]);
    assert!(said.contains("changed store.restore") && said.contains("why=the disk is gone"), "{said}");
    node.stop().unwrap();
}

#[test]
fn a_backup_under_load_is_restored_on_an_empty_machine() {
    recovers(None, None);
}

#[test]
fn a_backup_is_restored_into_another_kind_of_store() {
    let Some(server) = Server::start() else { return };
    let url = || server.url(&server.database());
    recovers(Some(url()), None);
    recovers(None, Some(url()));
}
