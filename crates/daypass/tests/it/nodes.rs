//! Nodes on one PostgreSQL behind a plain TCP balancer: what is changed beside them, what may be done once, and what happens when
//! one of them, the network or the database fails. The longer faults are in `tests/faults`.

mod changes;
mod faults;
mod once;

use crate::patience::{promised, soon};
use daypass_core::clock::Timestamp;
use daypass_faults::ask::{self, Answer, Asker, Dialect};
use daypass_faults::cluster::Cluster;
use daypass_faults::installation::{CHEAP, Clients};
use daypass_faults::postgres::Server;
use serde_json::Value;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, UNIX_EPOCH};

/// How long an answer may take: the two seconds that a record may, and what a busy machine adds.
const DEADLINE: Duration = Duration::from_secs(15);

/// What stands in the nodes' configuration besides the demo's.
const MORE: &str = r#"
[[tenant.role]]
name = "reader"
policy = { ram = '{"Version":"1","Statement":[{"Effect":"Allow","Action":["oss:GetObject"],"Resource":["acs:oss:*:*:bucket/a/*"]}]}' }

[[tenant.role]]
name = "uploads"
variables = { subject = "slug" }
policy = { cam = '{"version":"2.0","statement":{"effect":"allow","action":["cos:PutObject"],"resource":["qcs::cos:ap-guangzhou:uid/1250000000:pics-1250000000/{subject}/*"]}}' }

[[endpoint]]
dialect = "tencent.getAuthorization"
path = "/lesson"
tenant = "demo"
role = "uploads"
origins = ["https://lesson.example.com"]
shape = "cos"
caller = { ticket = { refreshes = 1, refresh_for = "8h" } }
"#;

/// So many nodes, or none where there is no PostgreSQL.
fn cluster(nodes: usize) -> Option<Cluster> {
    let server = Server::start()?;
    // A role has to stand behind its tenant and before the endpoints.
    let (roles, endpoint) = MORE.split_once("[[endpoint]]").unwrap();
    let cluster = Cluster::start(Path::new(env!("CARGO_BIN_EXE_daypass")), server, nodes, |rules| {
        let (tenant, endpoints) = rules.split_once("[[endpoint]]").unwrap();
        format!("{tenant}{roles}[[endpoint]]{endpoints}\n[[endpoint]]{endpoint}")
    });
    Some(cluster.unwrap())
}

/// What a command of the operator printed.
fn told(cluster: &Cluster, args: &[&str]) -> Value {
    let text = cluster.installation.done(&[args, &["--json"]].concat()).unwrap();
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// Waits until every node knows whatever was changed up to now. A node learns of all changes in their order: where it knows the last, it
/// knows those before.
fn known_everywhere(cluster: &Cluster) {
    static MARKS: AtomicUsize = AtomicUsize::new(0);
    let name = format!("mark-{}", MARKS.fetch_add(1, Ordering::Relaxed));
    let added = told(cluster, &["client", "add", &name, "--kind", "client-secret", "--role", "cheap"]);
    let key =
        (text(&added, "/keys/0/client_id").to_owned(), text(&added, "/keys/0/client_secret").to_owned());
    let clients = Clients { entra: key, ..cluster.clients.clone() };
    let ask = |node| send(node, &Asker::new(node, clients.clone()).of(CHEAP).request(Dialect::Entra));
    soon("every node knows of it", || cluster.addresses().into_iter().all(|node| ask(node).status == 200));
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_else(|| panic!("no {pointer} in {value}"))
}

fn send(address: SocketAddr, request: &[u8]) -> Answer {
    ask::once(address, request, DEADLINE).unwrap()
}

fn json(answer: &Answer) -> Value {
    serde_json::from_str(&answer.body).unwrap_or_else(|error| panic!("{error}: {answer:?}"))
}

fn now() -> Timestamp {
    let since = UNIX_EPOCH.elapsed().unwrap();
    Timestamp::from_second(i64::try_from(since.as_secs()).unwrap()).unwrap()
}

/// Asks every node until it is so at all of them, for as long as a change may take.
fn everywhere(cluster: &Cluster, what: &str, so: impl Fn(SocketAddr) -> bool) {
    promised(what, || cluster.addresses().iter().all(|node| so(*node)));
}
