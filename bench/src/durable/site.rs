//! One installation of `daypass serve` with a store of its own, and callers who sign.

use super::Plan;
use crate::api::{Pair, pair};
use crate::check::exchange;
use crate::clock;
use crate::process::{Core, Cores, Server};
use crate::requests::{Requests, request};
use crate::response::Shape;
use anyhow::{Context as _, ensure};
use daypass_core::clock::Timestamp;
use daypass_core::record::Chain;
use daypass_core::ring::{Kek, Ring};
use daypass_core::store::Store;
use daypass_dialects::tencent::sign::{ClientKey, Outgoing, sign_request};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

/// Carries the seal key of the throw-away store.
const SEAL_KEY: &str = "BENCH_SITE_SEAL_KEY";
/// Takes the place of `server.listen`.
const LISTEN: &str = "DAYPASS__SERVER__LISTEN";
/// What the one role allows.
const POLICY: &str = r#"{"version":"2.0","statement":{"effect":"allow","action":["soe:TransmitOralProcessWithInit"],"resource":"*"}}"#;
/// How many answers the shape of them is learned from.
const SAMPLES: usize = 8;
/// How long a first answer is waited for.
const PATIENCE: Duration = Duration::from_secs(90);

/// The installation.
pub(super) struct Site {
    daypass: PathBuf,
    pub(super) folder: PathBuf,
    seal_key: [u8; 32],
    pub(super) url: String,
    /// The one client that the command line has added.
    pub(super) client: Pair,
}

impl Site {
    /// Writes the configuration, and has the program make the store at this address.
    pub(super) fn prepare(plan: &Plan, name: &str, url: String) -> anyhow::Result<Self> {
        let folder = plan.folder.join(name);
        fs::create_dir_all(&folder)?;
        fs::write(folder.join("daypass.toml"), toml::to_string(&configuration(&url))?)?;
        let (daypass, nobody) = (plan.daypass.clone(), Pair { id: String::new(), secret: String::new() });
        let mut site = Self { daypass, folder, seal_key: rand::random(), url, client: nobody };
        let mut add =
            site.command(&["client", "add", "bench", "--kind", "tencent", "--role", "soe", "--json"]);
        let added = add.output().context("cannot run daypass client add")?;
        site.client =
            pair(&added.stdout).with_context(|| String::from_utf8_lossy(&added.stdout).trim().to_owned())?;
        Ok(site)
    }

    /// The program, told where this installation is.
    pub(super) fn command(&self, verb: &[&str]) -> Command {
        let mut key = String::new();
        for byte in self.seal_key {
            // Writing to a string does not fail.
            let _ = write!(key, "{byte:02x}");
        }
        let mut command = Command::new(&self.daypass);
        command.args(verb).arg("--config").arg(self.folder.join("daypass.toml")).env(SEAL_KEY, key);
        command
    }

    /// Starts a node.
    pub(super) fn serve(&self) -> anyhow::Result<Server> {
        Server::start(Cores::loose(), Core::Servers, |address| {
            let mut command = self.command(&["serve"]);
            command.env(LISTEN, address.to_string());
            command
        })
    }

    /// The store with its ring, to be written to by this process.
    pub(super) async fn open(&self) -> anyhow::Result<(Arc<dyn Store>, Ring)> {
        let url = self.url.clone();
        let store = tokio::task::spawn_blocking(move || daypass_stores::open(&url)).await??;
        let ring = Ring::open(&store.ring().await?, &Kek::new(&self.seal_key)?)?;
        let writer = Uuid::from_u128(rand::random());
        store.begin(Chain::begin(&ring, writer).context("no record key")?).await?;
        Ok((store, ring))
    }
}

fn configuration(url: &str) -> Value {
    json!({
        "server": {"listen": "127.0.0.1:0", "public_url": "http://127.0.0.1:5050"},
        "store": {"url": url},
        "seal": {"key": {"env": SEAL_KEY}},
        "tenant": [{
            "name": "demo", "guid": "387c56a8-cf86-45de-b9f5-b4de88cac054", "account": "100000000001",
            "role": [{
                "name": "soe", "lifetime": {"default": "30m", "max": "2h"}, "policy": {"cam": POLICY},
                "wildcard_reason": "SOE has no resource-level rights",
            }],
        }],
    })
}

/// Asks for temporary keys, signed TC3, each time as the next of some clients.
pub(super) struct Callers {
    host: String,
    clients: Vec<Pair>,
    made: usize,
}

impl Callers {
    pub(super) fn new(address: SocketAddr, clients: Vec<Pair>) -> Self {
        Self { host: address.to_string(), clients, made: 0 }
    }

    /// So many requests, signed now.
    pub(super) fn requests(&mut self, count: usize) -> Requests {
        let at = clock::wall();
        Requests::once((0..count).map(|_| self.federation(at)))
    }

    fn federation(&mut self, at: Timestamp) -> Vec<u8> {
        self.made += 1;
        let body =
            json!({"Name": format!("bench-{:08}", self.made), "Policy": POLICY, "DurationSeconds": 1800});
        let body = body.to_string();
        let outgoing = Outgoing {
            method: "POST",
            host: &self.host,
            query: "",
            body: body.as_bytes(),
            unsigned_payload: false,
            action: "GetFederationToken",
            region: "ap-guangzhou",
            at,
        };
        let caller = self.clients.get(self.made % self.clients.len().max(1));
        let (id, secret) = caller.map_or(("", ""), |pair| (&pair.id, &pair.secret));
        let headers = sign_request(&ClientKey { id, secret: secret.as_bytes(), token: None }, &outgoing);
        request("POST", "/", headers.iter().map(|(name, value)| (*name, value.as_str())), body.as_bytes())
    }

    /// Waits for a first answer, which a server with many clients needs a while for.
    pub(super) fn wake(&mut self, address: SocketAddr) -> anyhow::Result<()> {
        let begin = clock::now();
        loop {
            // A new one each time: what was not answered may have been heard.
            let mut requests = self.requests(1);
            let answered = exchange(address, requests.next().context("no request")?);
            match answered {
                Ok(_) => return Ok(()),
                Err(error) if begin.elapsed() > PATIENCE => return Err(error),
                Err(_) => {}
            }
        }
    }

    /// Asks a few times, makes sure that keys are given, and learns what answers look like.
    pub(super) fn learn(&mut self, address: SocketAddr) -> anyhow::Result<Shape> {
        let mut requests = self.requests(SAMPLES);
        let mut bodies = Vec::new();
        while let Some(request) = requests.next() {
            let (status, body) = exchange(address, request)?;
            let answer: Value = serde_json::from_slice(&body)?;
            let given = answer.pointer("/Response/Credentials/TmpSecretId").is_some();
            ensure!(status == 200 && given, "no temporary key, status {status}: {answer}");
            bodies.push(body);
        }
        Shape::of(&bodies).context("no sample")
    }
}
