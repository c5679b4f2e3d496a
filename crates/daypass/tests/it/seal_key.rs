//! Keys of Daypass's own are replaced while real clients ask in every dialect: the seal key with kills at any moment, and
//! everything else by an operator beside the running service.

use crate::patience::soon;
use daypass_core::client::KeyKind;
use daypass_core::clock::after;
use daypass_core::keys::{SecretKind, Span, make};
use daypass_core::record::{Chain, Record};
use daypass_core::ring::{Kek, Ring};
use daypass_core::store::Change;
use daypass_core::testing::SeededEntropy;
use daypass_faults::ask::{Asker, Dialect};
use daypass_faults::installation::{CHEAP, Clients, Installation};
use daypass_faults::ledger::Ledger;
use daypass_faults::load::{DEADLINE, Load};
use daypass_faults::node::Node;
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use serde_json::Value;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use uuid::Uuid;

/// A service on an embedded store, whose configuration is written anew for each seal key.
struct Site {
    folder: TempDir,
    installation: Installation,
    clients: Clients,
}

/// The seal keys of one configuration, by their files.
#[derive(Clone, Copy)]
struct Seal<'a> {
    key: &'a Path,
    other: Option<(&'a str, &'a Path)>,
}

impl Site {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        std::fs::create_dir(&data).unwrap();
        let program = Path::new(env!("CARGO_BIN_EXE_daypass"));
        let installation = Installation::new(program, folder.path(), &data).unwrap();
        let clients = installation.clients().unwrap();
        Self { folder, installation, clients }
    }

    /// The seal key that the store was made with.
    fn first(&self) -> PathBuf {
        self.folder.path().join("seal.key")
    }

    /// Makes one more seal key as an operator does. Gives its file and its id.
    fn seal_key(&self, number: usize) -> (PathBuf, String) {
        let file = self.folder.path().join(format!("seal-{number}.key"));
        let made =
            self.installation.command().args(["ring", "seal-key", "--json"]).arg(&file).output().unwrap();
        let made: Value = serde_json::from_slice(&made.stdout).unwrap();
        (file, made["seal_key"].as_str().unwrap().to_owned())
    }

    /// Writes the configuration of a node with these seal keys.
    fn configure(&self, name: &str, seal: Seal<'_>) -> (PathBuf, SocketAddr) {
        let (file, address) = self.installation.another(name).unwrap();
        let text = std::fs::read_to_string(&file).unwrap();
        let first = format!("key = {{ file = \"{}\" }}", self.first().display());
        assert!(text.contains(&first), "{text}");
        let line = |name: &str, path: &Path| format!("{name} = {{ file = \"{}\" }}\n", path.display());
        let mut lines = line("key", seal.key);
        lines.extend(seal.other.map(|(name, path)| line(name, path)));
        std::fs::write(&file, text.replace(&first, &lines)).unwrap();
        (file, address)
    }

    fn log(&self, name: &str) -> PathBuf {
        self.folder.path().join(format!("{name}.log"))
    }

    fn start(&self, name: &str, seal: Seal<'_>) -> (Node, SocketAddr) {
        let (file, address) = self.configure(name, seal);
        let serve = self.installation.serve_with(&file);
        (Node::start(serve, address, &self.log(name)).unwrap(), address)
    }

    fn cli(&self, config: &Path, args: &[&str]) -> std::process::Output {
        self.installation.command().args(args).arg("--json").arg("--config").arg(config).output().unwrap()
    }

    fn done(&self, config: &Path, args: &[&str]) -> Value {
        let output = self.cli(config, args);
        assert!(output.status.success(), "{args:?}: {output:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// How many keys of the ring are under which seal key.
    fn under(&self, config: &Path) -> (usize, usize) {
        let rows = self.done(config, &["ring", "list"]);
        let rows = rows.as_array().unwrap();
        let by = |role: &str| rows.iter().filter(|row| row["sealed_by"] == role).count();
        (by("key"), by("previous"))
    }

    /// How much is left under a key that works no more.
    fn left(&self, config: &Path, purpose: &str, version: u64) -> u64 {
        let rows = self.done(config, &["ring", "list"]);
        let mut rows = rows.as_array().unwrap().iter();
        let row = rows.find(|row| row["purpose"] == purpose && row["version"] == version).unwrap();
        row["left"].as_u64().unwrap_or_else(|| panic!("{row}"))
    }

    /// Lets the next key of a purpose work. Where keys replace themselves, the next one is prepared already, or will be.
    fn turn(&self, config: &Path, purpose: &str) {
        let prepared = self.cli(config, &["ring", "prepare", purpose]);
        let said = String::from_utf8_lossy(&prepared.stdout);
        // The second where the server prepares it in the same moment.
        let there = ["is prepared already", "already\"}"].iter().any(|words| said.contains(words));
        assert!(prepared.status.success() || there, "{prepared:?}");
        self.done(config, &["ring", "activate", purpose, "--force"]);
    }

    fn asker(&self, address: SocketAddr) -> Asker {
        Asker::new(address, self.clients.clone()).of(CHEAP)
    }

    fn load(&self, address: SocketAddr, ledger: &Arc<Ledger>) -> Load {
        Load::start(address, &self.asker(address), &Dialect::ALL, 4, ledger)
    }

    fn readiness(address: SocketAddr) -> String {
        crate::process::send(&address.to_string(), "GET", "/readyz", &[], b"").body
    }
}

/// Nobody was refused, and no connection ended without an answer.
fn none_failed(ledger: &Ledger) {
    let sum = ledger.sum();
    assert!(sum.refused.is_empty() && sum.cut_off == 0, "{sum:?}");
}

fn alone(key: &Path) -> Seal<'_> {
    Seal { key, other: None }
}

fn beside<'a>(key: &'a Path, name: &'a str, other: &'a Path) -> Seal<'a> {
    Seal { key, other: Some((name, other)) }
}

/// Nodes with the key to come, with the key before, and one that nobody has told: while the ring is wrapped again, twice, not
/// one request fails at any of them.
#[test]
fn three_seal_keys_follow_each_other_under_load_without_a_failed_request() {
    let site = Site::new();
    let mut key = site.first();
    for generation in 1..=2 {
        let (new, id) = site.seal_key(generation);
        let (early, early_at) = site.start("early", beside(&key, "next", &new));
        let (untold, untold_at) = site.start("untold", alone(&key));
        let ledger = Arc::new(Ledger::default());
        let loads = [early_at, untold_at].map(|address| site.load(address, &ledger));
        assert!(loads.iter().all(|load| load.goes_on(20, DEADLINE)));

        let (late, late_at) = site.start("late", beside(&new, "previous", &key));
        let (config, _) = site.configure("reader", beside(&new, "previous", &key));
        soon("everything is wrapped again", || site.under(&config).1 == 0);
        assert!(site.under(&config).0 > 10);
        let rows = site.done(&config, &["ring", "list"]);
        let mut kept = rows.as_array().unwrap().iter().filter(|row| row["state"] != "gone");
        assert!(kept.all(|row| row["seal_key"] == id.as_str()), "{rows}");
        // A signing key that is made meanwhile is under the new one as well, at whichever node.
        site.done(&config, &["ring", "prepare", "rest"]);
        assert_eq!(site.under(&config).1, 0);

        let loads = loads.into_iter().chain([site.load(late_at, &ledger)]).collect::<Vec<_>>();
        assert!(loads.iter().all(|load| load.goes_on(40, DEADLINE)));
        soon("the untold node says so", || Site::readiness(untold_at).contains("has not the seal key for"));
        for address in [early_at, late_at] {
            let said = Site::readiness(address);
            assert!(!said.contains("seal key"), "{said}");
        }
        loads.into_iter().for_each(Load::stop);
        none_failed(&ledger);
        for node in [early, untold, late] {
            assert!(node.stop().unwrap().success());
        }
        // What nobody was told of could not be started again; the new key alone can.
        let (old, _) = site.configure("old", alone(&key));
        let before = std::fs::read(site.installation.database()).unwrap();
        let refused = site.installation.serve_with(&old).output().unwrap();
        assert_eq!(refused.status.code(), Some(2), "{refused:?}");
        let said = String::from_utf8_lossy(&refused.stderr);
        assert!(said.contains(&format!("the store needs the seal key {id}")), "{said}");
        assert!(before == std::fs::read(site.installation.database()).unwrap(), "the store is untouched");
        std::fs::copy(&new, site.first()).unwrap();
        ledger.settle(&site.installation).unwrap();
        key = new;
        // The file that the first configuration names holds the present key from now on.
        let version = (generation + 1).to_string();
        let retire = ["ring", "retire", "rest", "--version", &version];
        assert_eq!(site.done(&site.installation.config(), &retire)["state"], "gone");
    }
}

/// Killed at any moment of the wrapping, with both seal keys, with the new one alone and with the old one alone.
#[test]
fn a_seal_key_is_replaced_across_kills_at_any_moment() {
    let site = Site::new();
    let mut chance = StdRng::seed_from_u64(16);
    let mut key = site.first();
    let (mut moved, mut unmoved) = (0, 0);
    for generation in 1..=5 {
        let (new, _) = site.seal_key(generation);
        let both = beside(&new, "previous", &key);
        for kill in 0..4 {
            let (file, address) = site.configure("both", both);
            let node = Node::begin(site.installation.serve_with(&file), address, &site.log("both")).unwrap();
            soon("it listens", || node.is_ready());
            // The first turn comes with the start.
            std::thread::sleep(Duration::from_millis(chance.random_range(0..40) * kill));
            node.kill().unwrap();
            let (config, _) = site.configure("look", both);
            match site.under(&config) {
                (_, 0) => moved += 1,
                // All of it or nothing: it is one change.
                (0, _) => unmoved += 1,
                halves => panic!("{halves:?}"),
            }
            // Whichever it is, one of the two alone can open the store, and the other is refused with a sentence.
            let ends = [&new, &key].map(|one| {
                let (config, _) = site.configure("one", alone(one));
                site.cli(&config, &["ring", "list"]).status.code()
            });
            assert!(matches!(ends, [Some(0), Some(2)] | [Some(2), Some(0)]), "{ends:?}");
        }
        let (node, address) = site.start("both", both);
        let ledger = Arc::new(Ledger::default());
        let load = site.load(address, &ledger);
        let (config, _) = site.configure("look", both);
        soon("it goes on where it was", || site.under(&config).1 == 0);
        assert!(load.goes_on(20, DEADLINE));
        load.stop();
        none_failed(&ledger);
        node.stop().unwrap();
        std::fs::copy(&new, site.first()).unwrap();
        ledger.settle(&site.installation).unwrap();
        key = new;
    }
    assert_eq!(moved + unmoved, 20);
    assert!(moved > 0, "no kill came after the change");
}

/// Puts so many more signing keys into the store than anybody would add by hand.
fn fill(site: &Site, count: usize) {
    let text = std::fs::read_to_string(site.first()).unwrap();
    let digits: Vec<_> = text
        .trim()
        .bytes()
        .map(|byte| u8::try_from(char::from(byte).to_digit(16).unwrap()).unwrap())
        .collect();
    let bytes: Vec<_> = digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect();
    let url = format!("sqlite:{}", site.installation.database().display());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let store = daypass_stores::open(&url).unwrap();
        let (rows, said) = (store.ring().await.unwrap(), store.seal().await.unwrap());
        let kek = Kek::new(bytes.as_slice().try_into().unwrap()).unwrap().fit(said.as_ref(), &rows).unwrap();
        let ring = Ring::open(&rows, &kek).unwrap_or_else(|fault| panic!("{fault}"));
        store.begin(Chain::begin(&ring, Uuid::from_u128(77)).unwrap()).await.unwrap();
        let clients = store.clients().await.unwrap();
        let (owner, entropy) = (&clients[0], SeededEntropy::new(5));
        let span = Span::from(after(owner.created, 1));
        let keys: Vec<_> = (0..count)
            .map(|_| make(&ring, SecretKind::Tencent, owner.guid, &entropy, span).unwrap().key)
            .collect();
        assert!(keys.iter().all(|key| key.kind == KeyKind::Tencent));
        for (number, piece) in keys.chunks(500).enumerate() {
            let record =
                Record::change(Uuid::from_u128(number as u128), owner.created, None, "test.fill", "keys");
            store.change(piece.iter().cloned().map(Change::PutKey).collect(), record).await.unwrap();
        }
        store.close().await.unwrap();
    });
}

/// `rest` is replaced, and the service is killed again and again while it seals thousands of keys anew: it goes on where it
/// was, and the old key goes only when nothing is left.
#[test]
fn what_is_sealed_at_rest_is_sealed_anew_across_kills() {
    const KEYS: usize = 4000;
    let site = Site::new();
    fill(&site, KEYS);
    let config = site.installation.config();
    for step in [["ring", "prepare", "rest"].as_slice(), &["ring", "activate", "rest", "--force"]] {
        site.done(&config, step);
    }
    let all = site.left(&config, "rest", 1);
    assert_eq!(all, KEYS as u64 + 2, "with the two signing keys of the client");
    let mut chance = StdRng::seed_from_u64(3);
    let (mut left, mut halves, mut kills) = (all, 0, 0);
    let ledger = Arc::new(Ledger::default());
    let load = site.load(site.installation.address, &ledger);
    while left > 0 {
        let node = site.installation.start().unwrap();
        std::thread::sleep(Duration::from_millis(chance.random_range(0..300)));
        node.kill().unwrap();
        let now = site.left(&config, "rest", 1);
        assert!(now <= left, "nothing is done twice: {left} then {now}");
        halves += usize::from(now > 0 && now < all);
        (left, kills) = (now, kills + 1);
        assert!(kills < 100, "it does not come forward: {left}");
    }
    assert!(halves > 0, "no kill came in the middle");
    let node = site.installation.start().unwrap();
    assert!(load.goes_on(40, DEADLINE));
    // It may go as soon as nobody waits for it any more, and everybody is served on.
    let early = site.cli(&config, &["ring", "retire", "rest"]);
    assert_eq!(early.status.code(), Some(1), "{early:?}");
    assert_eq!(site.done(&config, &["ring", "retire", "rest", "--force"])["state"], "gone");
    let before = ledger.sum().refused;
    assert!(load.goes_on(40, DEADLINE));
    load.stop();
    let sum = ledger.settle(&site.installation).unwrap();
    assert_eq!((sum.refused, before), Default::default(), "killed is no refusal, and served is served");
    assert!(node.stop().unwrap().success());
}

/// Three generations of every purpose's key, by hand and in whatever order, and a client's key as well, while clients ask in
/// four dialects.
#[test]
fn every_purpose_takes_three_keys_under_load_without_a_failed_request() {
    const PURPOSES: [&str; 11] = [
        "rest",
        "pepper",
        "record",
        "replay",
        "ticket",
        "triple",
        "token-seal",
        "checkpoint",
        "jwt-eddsa",
        "jwt-es256",
        "jwt-rs256",
    ];
    let site = Site::new();
    let (node, config) = (site.installation.start().unwrap(), site.installation.config());
    let ledger = Arc::new(Ledger::default());
    let load = site.load(site.installation.address, &ledger);
    for generation in 1..=2_u64 {
        for purpose in PURPOSES {
            site.turn(&config, purpose);
            assert!(load.goes_on(4, DEADLINE), "{purpose}");
        }
        let kind = ["tencent", "top"][usize::try_from(generation).unwrap() - 1];
        site.done(&config, &["client", "rotate", "asker", "--kind", kind]);
        soon("client keys are sealed anew", || site.left(&config, "rest", generation) == 0);
        soon("the secret that is used is hashed anew", || site.left(&config, "pepper", generation) == 0);
        assert!(site.left(&config, "record", generation) > 0, "records are kept, and so is their key");
        let refused = site.cli(&config, &["ring", "retire", "record"]);
        assert_eq!(refused.status.code(), Some(1), "{refused:?}");
        for purpose in ["rest", "pepper"] {
            let gone = site.done(&config, &["ring", "retire", purpose, "--force"]);
            assert_eq!((&gone["state"], gone["version"].as_u64()), (&"gone".into(), Some(generation)));
        }
        assert!(load.goes_on(20, DEADLINE));
    }
    load.stop();
    none_failed(&ledger);
    let sum = ledger.settle(&site.installation).unwrap();
    assert!(sum.credentials > 100, "{sum:?}");
    let records = site.installation.done(&["audit", "tail", "--json", "-n", "100000"]).unwrap();
    for written in ["ring.reseal", "ring.rehash"] {
        assert!(records.contains(written), "{written}");
    }
    assert!(node.stop().unwrap().success());
}
