//! Daypass as the APIs of its users meet it: a configuration of its own, run by `daypass serve`, with an API that asks about
//! the requests that it got, clients whose roles have one, ten and a hundred statements, and stores with as many cut-offs
//! as are to be measured.

mod questions;
mod revoked;

pub(crate) use questions::Questions;
pub(crate) use revoked::Weight;

use crate::process::{Core, Cores, Server};
use crate::work::{Held, Statements};
use anyhow::{Context as _, ensure};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The tenant, as in the paths of its OAuth endpoints.
const TENANT: &str = "387c56a8-cf86-45de-b9f5-b4de88cac054";
/// The resource that its access tokens are for.
const RESOURCE: &str = "api://bench";
/// The app role of those tokens, which the proxy's one rule wants.
const APP_ROLE: &str = "scores.read";
/// Where a proxy asks.
const FORWARD: &str = "/bench/forward";
/// The API's own name.
const HOST: &str = "soe.bench.example";
/// Carries the seal key of the throw-away stores.
const SEAL_KEY: &str = "BENCH_API_SEAL_KEY";
/// Takes the place of `server.listen`.
const LISTEN: &str = "DAYPASS__SERVER__LISTEN";

/// An id with its secret.
#[derive(Clone, Debug)]
pub(crate) struct Pair {
    pub(crate) id: String,
    pub(crate) secret: String,
}

/// The installation. Each number of cut-offs has a folder of its own below its folder.
pub(crate) struct Apis {
    daypass: PathBuf,
    folder: PathBuf,
    seal_key: [u8; 32],
    /// The API.
    api: Pair,
    /// The OAuth client that shows it tokens.
    shop: Pair,
    /// The clients whose default roles have so many statements.
    callers: Vec<(Statements, Pair)>,
}

impl Apis {
    /// Writes the configuration into this folder and adds the clients.
    pub(crate) fn prepare(daypass: &Path, folder: &Path) -> anyhow::Result<Self> {
        let plain = folder.join("plain");
        fs::create_dir_all(&plain)?;
        fs::write(plain.join("daypass.toml"), toml::to_string(&configuration())?)?;
        let nobody = Pair { id: String::new(), secret: String::new() };
        let mut apis = Self {
            daypass: daypass.to_owned(),
            folder: folder.to_owned(),
            seal_key: rand::random(),
            api: nobody.clone(),
            shop: nobody,
            callers: Vec::new(),
        };
        let check = apis.command(&plain, &["check"]).output().context("cannot run daypass check")?;
        ensure!(check.status.success(), "{}", String::from_utf8_lossy(&check.stdout).trim());
        let oauth = ["--kind", "client-secret"];
        let audiences = ["--audience", "cam:soe", "--audience", RESOURCE];
        apis.api = apis.add("score-api", &[&oauth[..], &audiences].concat())?;
        apis.shop = apis.add("shop", &[&oauth[..], &["--role", "scores"]].concat())?;
        for statements in Statements::ALL {
            let role = statements.role();
            let caller = apis.add(&role, &["--kind", "tencent", "--role", &role])?;
            apis.callers.push((statements, caller));
        }
        Ok(apis)
    }

    /// Adds a client; gives its id and its secret.
    fn add(&self, name: &str, args: &[&str]) -> anyhow::Result<Pair> {
        let mut command = self.command(&self.folder.join("plain"), &["client", "add", name, "--json"]);
        let added = command.args(args).output().context("cannot run daypass client add")?;
        pair(&added.stdout).with_context(|| String::from_utf8_lossy(&added.stdout).trim().to_owned())
    }

    fn command(&self, folder: &Path, verb: &[&str]) -> Command {
        let mut command = Command::new(&self.daypass);
        let mut key = String::new();
        for byte in self.seal_key {
            // Writing to a string does not fail.
            let _ = write!(key, "{byte:02x}");
        }
        command.args(verb).arg("--config").arg(folder.join("daypass.toml")).env(SEAL_KEY, key);
        command
    }

    /// Starts the server whose store holds no cut-off.
    pub(crate) fn start(&self, cores: Cores) -> anyhow::Result<Server> {
        self.serve(cores, &self.folder.join("plain"))
    }

    fn serve(&self, cores: Cores, folder: &Path) -> anyhow::Result<Server> {
        Server::start(cores, Core::Servers, |address| {
            let mut command = self.command(folder, &["serve"]);
            command.env(LISTEN, address.to_string());
            command
        })
    }

    /// Starts another server whose store holds so many cut-offs beside the same clients, and says what they cost. The
    /// server without them must not have been started yet: its store is copied as it lies there.
    pub(crate) fn start_with(&self, cores: Cores, held: Held) -> anyhow::Result<(Server, Weight)> {
        let folder = self.folder.join(format!("held-{}", held.count()));
        fs::create_dir_all(&folder)?;
        for entry in fs::read_dir(self.folder.join("plain"))? {
            let from = entry?.path();
            fs::copy(&from, folder.join(from.file_name().unwrap_or_default()))?;
        }
        revoked::start(self, cores, &folder, held)
    }

    /// What is asked of the server.
    pub(crate) fn questions(&self, server: &Server) -> anyhow::Result<Questions> {
        Questions::prepare(self, server.address)
    }
}

/// Id and secret of the one key that `client add` printed.
pub(crate) fn pair(printed: &[u8]) -> anyhow::Result<Pair> {
    let added: Value = serde_json::from_slice(printed)?;
    let half = |names: [&str; 2]| {
        let value = names.iter().find_map(|name| added.pointer(&format!("/keys/0/{name}"))?.as_str());
        value.map(str::to_owned).context("no key was made")
    };
    Ok(Pair { id: half(["client_id", "secret_id"])?, secret: half(["client_secret", "secret_key"])? })
}

/// A policy of so many statements, none of which does what another one does.
fn policy(statements: Statements) -> Value {
    let one = |n| json!({"effect": "allow", "action": action(n), "resource": "*"});
    json!({"version": "2.0", "statement": (0..statements.count()).map(one).collect::<Vec<_>>()})
}

/// What the statement of this number allows.
fn action(number: usize) -> String {
    format!("soe:Act{number:03}")
}

fn configuration() -> Value {
    let role = |statements: Statements| {
        json!({
            "name": statements.role(),
            "lifetime": {"default": "1h", "max": "2h"},
            "policy": {"cam": policy(statements).to_string()},
            "wildcard_reason": "SOE has no resource-level rights",
        })
    };
    let mut roles: Vec<_> = Statements::ALL.into_iter().map(role).collect();
    roles.push(json!({
        "name": "scores", "audience": RESOURCE, "roles": [APP_ROLE], "algorithm": "ES256",
    }));
    json!({
        "server": {"listen": "127.0.0.1:0"},
        "store": {"url": "sqlite:daypass.db"},
        "seal": {"key": {"env": SEAL_KEY}},
        "tenant": [{"name": "bench", "guid": TENANT, "account": "100000000001", "role": roles}],
        "forward_auth": [{
            "path": FORWARD,
            "tenant": "bench",
            "proxy": "nginx",
            "hosts": [HOST],
            "rule": [{"methods": ["GET"], "path": "/scores/*", "action": APP_ROLE}],
        }],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_has_as_many_statements_as_it_is_called_by_and_fits_the_vendors_limit() {
        for statements in Statements::ALL {
            let policy = policy(statements);
            let list = policy["statement"].as_array().unwrap();
            assert_eq!(list.len(), statements.count());
            assert_eq!(list.last().unwrap()["action"], action(statements.count() - 1));
            assert!(policy.to_string().len() <= 6144, "{}", policy.to_string().len());
        }
    }

    #[test]
    fn the_key_that_was_made_is_found_by_either_vendors_names() {
        let tencent = pair(br#"{"keys": [{"secret_id": "AKID1", "secret_key": "s"}]}"#).unwrap();
        assert_eq!((tencent.id.as_str(), tencent.secret.as_str()), ("AKID1", "s"));
        let oauth = pair(br#"{"keys": [{"client_id": "c", "client_secret": "t"}]}"#).unwrap();
        assert_eq!((oauth.id.as_str(), oauth.secret.as_str()), ("c", "t"));
        assert!(pair(br#"{"error": "usage"}"#).is_err());
    }

    #[test]
    fn the_configuration_names_its_roles_and_hides_its_key() {
        let config: toml::Value = toml::from_str(&toml::to_string(&configuration()).unwrap()).unwrap();
        let roles = config["tenant"][0]["role"].as_array().unwrap();
        let names: Vec<_> = roles.iter().map(|role| role["name"].as_str().unwrap()).collect();
        assert_eq!(names, ["statements-1", "statements-10", "statements-100", "scores"]);
        assert_eq!(config["seal"]["key"]["env"].as_str(), Some(SEAL_KEY));
    }
}
