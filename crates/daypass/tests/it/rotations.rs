//! Keys are replaced at two nodes on one store, of either kind, while clients ask: nodes and the operator's own commands are killed
//! in the middle, operators do the same at once, and nobody is refused for any of it.

mod operators;
mod root_keys;
mod seal_keys;
mod signing_keys;

use crate::patience::{find, soon};
use crate::process::{Dev, json_of};
use daypass_faults::ask::{Asker, Dialect, Got, Line, read};
use daypass_faults::installation::{CHEAP, Clients, Installation};
use daypass_faults::node::Node;
use daypass_faults::port::free_address;
use daypass_faults::postgres::Server;
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Nothing here takes that long: it is there so that a test that hangs ends.
const HANGS: Duration = Duration::from_mins(2);

/// What the brokered role allows.
const SOE: &str = r#"{"version":"2.0","statement":{"effect":"allow","action":["soe:TransmitOralProcessWithInit"],"resource":"*"}}"#;

/// Two nodes on one store, and whose commands change it.
struct Site {
    installation: Installation,
    clients: Clients,
    files: [PathBuf; 2],
    addresses: [SocketAddr; 2],
    nodes: [Option<Node>; 2],
    chance: StdRng,
    folder: TempDir,
    /// The database, where the store is in one. It ends last.
    _server: Option<Server>,
}

/// Which store.
#[derive(Clone, Copy)]
enum On {
    Sqlite,
    Postgres,
}

impl Site {
    /// Sets one up with further sections of the configuration, and with the usual ones changed; none where there is no PostgreSQL.
    fn new(on: On, change: impl Fn(&str) -> String) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let program = Path::new(env!("CARGO_BIN_EXE_daypass"));
        let (server, installation) = match on {
            On::Sqlite => (None, Installation::new(program, folder.path(), folder.path()).unwrap()),
            On::Postgres => {
                let server = Server::start()?;
                let store = server.url(&server.database());
                let made = Installation::on_store(program, folder.path(), folder.path(), store).unwrap();
                (Some(server), made)
            }
        };
        let text = std::fs::read_to_string(installation.config()).unwrap();
        std::fs::write(installation.config(), change(&text)).unwrap();
        let clients = installation.clients().unwrap();
        let site = Self {
            installation,
            clients,
            files: [folder.path().join("node0.toml"), folder.path().join("node1.toml")],
            addresses: [free_address().unwrap(), free_address().unwrap()],
            nodes: [None, None],
            chance: StdRng::seed_from_u64(23),
            folder,
            _server: server,
        };
        (0..2).for_each(|number| site.configure(number, str::to_owned));
        Some(site)
    }

    /// Writes the configuration of a node anew.
    fn configure(&self, number: usize, change: impl Fn(&str) -> String) {
        let text = std::fs::read_to_string(self.installation.config()).unwrap();
        let (listen, own) = (self.installation.address, self.addresses[number]);
        let text = text.replace(&format!("listen = \"{listen}\""), &format!("listen = \"{own}\""));
        std::fs::write(&self.files[number], change(&text)).unwrap();
    }

    fn log(&self, number: usize) -> PathBuf {
        self.folder.path().join(format!("node{number}.log"))
    }

    /// Starts a node and does not wait.
    fn begin(&mut self, number: usize) {
        let serve = self.installation.serve_with(&self.files[number]);
        self.nodes[number] = Some(Node::begin(serve, self.addresses[number], &self.log(number)).unwrap());
    }

    fn ready(&mut self, number: usize) {
        soon("the node is ready", || {
            let node = self.nodes[number].as_mut().unwrap();
            if !node.is_running() {
                // Somebody else on this machine has its address for the moment, for a connection of theirs.
                let taken = format!("cannot listen on {}", self.addresses[number]);
                assert!(node.last_words().contains(&taken), "node {number} has ended: {}", node.last_words());
                self.begin(number);
            }
            self.nodes[number].as_ref().unwrap().is_ready()
        });
    }

    fn start(&mut self) {
        (0..2).for_each(|number| self.begin(number));
        (0..2).for_each(|number| self.ready(number));
    }

    fn kill(&mut self, number: usize) {
        self.nodes[number].take().unwrap().kill().unwrap();
    }

    /// The operator runs a command.
    fn cli(&self, args: &[&str]) -> Output {
        self.installation.cli(&[args, &["--json"]].concat()).unwrap()
    }

    fn done(&self, args: &[&str]) -> Value {
        json_of(&self.cli(args))
    }

    /// What a command shows that changes nothing, and so can be said again.
    fn shown(&self, args: &[&str]) -> Value {
        json_of(&find("it is shown", || Some(self.cli(args)).filter(|output| !is_away(output))))
    }

    /// Starts a command and does not wait.
    fn spawn(&self, args: &[&str]) -> std::process::Child {
        let mut command = self.installation.command();
        command.args(args).arg("--json").arg("--config").arg(self.installation.config());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    fn wait_a_part_of(&mut self, time: Duration) {
        let most = u64::try_from(time.as_micros()).unwrap();
        std::thread::sleep(Duration::from_micros(self.chance.random_range(0..most)));
    }

    /// Takes one step with everybody killed in the middle: the operator's command until it was killed too late or twice, and one
    /// node. `look` says how the keys stand, which is as before or as wanted, and never between.
    fn interrupted<T: PartialEq + std::fmt::Debug>(
        &mut self,
        step: &[&str],
        look: impl Fn(&Self) -> T,
        wanted: &T,
        kills: &mut Kills,
    ) {
        let before = look(self);
        assert!(before != *wanted, "{step:?} would change nothing");
        let begun = Instant::now();
        look(self);
        // What a command takes that does next to nothing; one that changes something takes some of it more.
        let usual = begun.elapsed() * 3 / 2;
        let mut taken = false;
        for _ in 0..2 {
            let mut command = self.spawn(step);
            self.wait_a_part_of(usual);
            command.kill().unwrap();
            command.wait().unwrap();
            let found = look(self);
            taken = found == *wanted;
            assert!(taken || found == before, "{step:?} was killed and left {found:?}");
            *(if taken { &mut kills.late } else { &mut kills.early }) += 1;
            if taken {
                break;
            }
        }
        let command = (!taken).then(|| self.spawn(step));
        let number = self.chance.random_range(0..2);
        self.wait_a_part_of(usual);
        self.kill(number);
        if let Some(command) = command {
            let output = command.wait_with_output().unwrap();
            assert!(output.status.success() || is_away(&output), "{step:?}: {output:?}");
            if is_away(&output) {
                // It may have been made or not: whoever is told so looks, and says it again.
                soon("the step is taken", || {
                    look(self) == *wanted || {
                        self.cli(step);
                        false
                    }
                });
            }
        }
        self.begin(number);
        self.ready(number);
        assert_eq!(look(self), *wanted, "{step:?}");
    }

    /// Everything in the records, oldest first.
    fn records(&self) -> Vec<Value> {
        let text = self.installation.done(&["audit", "tail", "--json", "-n", "1000000"]).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// How often each of these changes is recorded, and that every chain is whole.
    fn changes(&self, begin: &str) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for record in self.records() {
            if let Some(action) =
                record["event"]["action"].as_str().filter(|action| action.starts_with(begin))
            {
                *counts.entry(action.to_owned()).or_default() += 1;
            }
        }
        self.installation.done(&["audit", "verify"]).unwrap();
        counts
    }
}

/// Whether a command was told that the store is away: on a machine that is busy enough, an answer takes longer than two seconds.
fn is_away(output: &Output) -> bool {
    output.status.code() == Some(3)
}

/// How often a command was killed before its change was made, and after it.
#[derive(Default)]
struct Kills {
    early: usize,
    late: usize,
}

/// Clients that ask at both nodes in turn. What a node that was killed does not answer is asked again at the other.
struct Load {
    stop: Arc<AtomicBool>,
    page: Arc<Page>,
    workers: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct Page {
    /// The credentials that were received.
    ids: Mutex<Vec<String>>,
    /// What was refused or could not be read.
    failed: Mutex<Vec<String>>,
}

impl Load {
    /// One client for each of these dialects.
    fn start(site: &Site, dialects: &[Dialect]) -> Self {
        let (stop, page) = (Arc::new(AtomicBool::new(false)), Arc::new(Page::default()));
        let begin = |(number, dialect): (usize, &Dialect)| {
            let worker = Worker {
                addresses: site.addresses,
                askers: site.addresses.map(|address| Asker::new(address, site.clients.clone()).of(CHEAP)),
                number,
                dialect: *dialect,
            };
            let (stop, page) = (stop.clone(), page.clone());
            std::thread::spawn(move || {
                for round in 0_usize.. {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    match worker.asks(round) {
                        Ok(id) => page.ids.lock().unwrap().push(id),
                        Err(why) => page.failed.lock().unwrap().push(why),
                    }
                    std::thread::sleep(Duration::from_millis(5));
                }
            })
        };
        let workers = dialects.iter().enumerate().map(begin).collect();
        Self { stop, page, workers }
    }

    /// Waits for so many more credentials.
    fn goes_on(&self, more: usize) {
        let count = || self.page.ids.lock().unwrap().len();
        let goal = count() + more;
        soon("the load goes on", || count() >= goal || !self.page.failed.lock().unwrap().is_empty());
        assert_eq!(*self.page.failed.lock().unwrap(), [""; 0]);
    }

    /// Ends it: nothing has failed, and every credential that somebody has is recorded.
    fn settle(self, site: &Site) {
        self.stop.store(true, Ordering::Relaxed);
        self.workers.into_iter().for_each(|worker| worker.join().unwrap());
        assert_eq!(*self.page.failed.lock().unwrap(), [""; 0]);
        let recorded: HashSet<String> = site
            .records()
            .iter()
            .filter_map(|record| record["event"]["credential"].as_str().map(str::to_owned))
            .collect();
        let ids = self.page.ids.lock().unwrap();
        let missing: Vec<_> = ids.iter().filter(|id| !recorded.contains(*id)).collect();
        assert!(missing.is_empty(), "{} of {} have no record: {:?}", missing.len(), ids.len(), missing[0]);
        let distinct: HashSet<_> = ids.iter().collect();
        assert_eq!(distinct.len(), ids.len(), "one credential for two requests");
    }
}

struct Worker {
    addresses: [SocketAddr; 2],
    askers: [Asker; 2],
    number: usize,
    dialect: Dialect,
}

impl Worker {
    /// Asks until somebody answers, first at the one node and then at the other. Gives the credential's id.
    fn asks(&self, round: usize) -> Result<String, String> {
        let begun = Instant::now();
        for attempt in 0_usize.. {
            if begun.elapsed() > HANGS {
                break;
            }
            let node = (self.number + round + attempt) % 2;
            let request = match self.dialect {
                // The same again, signed anew as an SDK does it.
                Dialect::Tencent => {
                    let name = format!("worker-{}-{round}", self.number);
                    let body = json!({ "Name": name, "Policy": SOE, "DurationSeconds": 900 });
                    self.askers[node].tencent("GetFederationToken", body.to_string().as_bytes(), None)
                }
                dialect => self.askers[node].request(dialect),
            };
            let answer = Line::open(self.addresses[node], HANGS).and_then(|mut line| line.ask(&request));
            let Ok(answer) = answer else {
                std::thread::sleep(Duration::from_millis(3));
                continue;
            };
            match read(self.dialect, &answer) {
                Ok(Got::Credential(id)) => return Ok(id),
                // A store or a cloud that was slower than a machine under load allows: whose fault it is, say the nodes' logs.
                Ok(Got::Refused(code)) if AWAY.contains(&code.as_str()) => {
                    std::thread::sleep(Duration::from_millis(200));
                }
                refused => return Err(format!("{refused:?}: {answer:?}")),
            }
        }
        Err(format!("{:?}: nobody has answered", self.dialect))
    }
}

/// What every vendor's client asks again for, by its dialect's own code.
const AWAY: [&str; 3] = ["ServiceUnavailable", "temporarily_unavailable", "10"];
