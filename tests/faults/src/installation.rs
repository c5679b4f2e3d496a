//! A folder with a configuration, a seal key, a store and clients, as an operator would set one up.

use crate::ask::text_at;
use crate::node::Node;
use crate::port::free_address;
use anyhow::{Context as _, ensure};
use serde_json::Value;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The tenant of every installation.
pub const TENANT: &str = "387c56a8-cf86-45de-b9f5-b4de88cac054";
/// The resource whose tokens are signed with Ed25519, which costs the least.
pub const CHEAP: &str = "5c9e13d7-42f8-4b6a-8e01-d3a97f5b2c64";
/// The resource whose tokens are signed with RSA, which costs the most.
pub const DEAR: &str = "d6b7c858-55fa-4d04-85a6-131af690abd4";
/// The origin of the pages that the browser's endpoint knows.
pub const ORIGIN: &str = "http://127.0.0.1:88";

/// Tenant, roles and endpoints: each dialect can be asked.
const RULES: &str = r#"
[[tenant]]
name = "demo"
guid = "387c56a8-cf86-45de-b9f5-b4de88cac054"
account = "100000000001"

[[tenant.role]]
name = "soe"
lifetime = { default = "15m", max = "15m" }
policy = { cam = '{"version":"2.0","statement":{"effect":"allow","action":["soe:TransmitOralProcessWithInit"],"resource":"*"}}' }
wildcard_reason = "SOE has no resource-level rights"

[[tenant.role]]
name = "store-upload"
lifetime = { default = "1h", max = "12h" }
variables = { tenant_code = "slug", poi_id = "slug" }
policy = { ram = '{"Version":"1","Statement":[{"Effect":"Allow","Action":["oss:PutObject"],"Resource":["acs:oss:*:*:bucket/{tenant_code}/{poi_id}/*"]}]}' }

[[tenant.role]]
name = "cheap"
audience = "5c9e13d7-42f8-4b6a-8e01-d3a97f5b2c64"
roles = ["orders.read"]
algorithm = "EdDSA"

[[tenant.role]]
name = "dear"
audience = "d6b7c858-55fa-4d04-85a6-131af690abd4"
roles = ["orders.read"]
algorithm = "RS256"

[[endpoint]]
dialect = "tencent.getAuthorization"
path = "/getAuthorization"
tenant = "demo"
role = "soe"
origins = ["http://127.0.0.1:88"]
quota = { subject = 1000000, address = 1000000, endpoint = 1000000 }
caller = { anonymous = { reason = "a test on this machine" } }

[[endpoint]]
dialect = "alibaba.top"
path = "/router/rest"
tenant = "demo"
route = [{ product_code = "oss", scene_code = "app-upload", usage_scene = "upload", role = "store-upload" }]
"#;

/// What the clients of an installation prove themselves with.
#[derive(Clone, Debug)]
pub struct Clients {
    /// Tencent's `SecretId` and `SecretKey`.
    pub tencent: (String, String),
    /// TOP's `app_key` and `app_secret`.
    pub top: (String, String),
    /// OAuth's `client_id` and `client_secret`.
    pub entra: (String, String),
}

/// A configuration, its seal key and its store.
pub struct Installation {
    daypass: PathBuf,
    folder: PathBuf,
    data: PathBuf,
    store: String,
    /// Where its first node listens.
    pub address: SocketAddr,
}

impl Installation {
    /// Sets one up in this folder, with its data in another (which may be a file system of its own).
    pub fn new(daypass: &Path, folder: &Path, data: &Path) -> anyhow::Result<Self> {
        let store = format!("sqlite:{}", data.join("daypass.db").display());
        Self::on_store(daypass, folder, data, store)
    }

    /// Sets one up whose store is elsewhere.
    pub fn on_store(daypass: &Path, folder: &Path, data: &Path, store: String) -> anyhow::Result<Self> {
        let address = free_address()?;
        let (daypass, folder, data) = (daypass.to_owned(), folder.to_owned(), data.to_owned());
        let made = Self { daypass, folder, data, store, address };
        let seal = made.folder.join("seal.key");
        if !seal.exists() {
            let scratch = tempfile::tempdir()?;
            made.command().arg("init").arg(scratch.path()).output()?;
            std::fs::copy(scratch.path().join("seal.key"), &seal)
                .context("`daypass init` made no seal key")?;
        }
        std::fs::write(made.config(), made.document(address, ""))?;
        Ok(made)
    }

    /// The configuration, for a node that listens here, with these further lines of `[server]`.
    fn document(&self, listen: SocketAddr, server: &str) -> String {
        let (store, seal) = (&self.store, self.folder.join("seal.key"));
        format!(
            "[server]\nlisten = \"{listen}\"\n{server}\n[store]\nurl = \"{store}\"\n[seal]\nkey = {{ file = \"{}\" }}\n{RULES}",
            seal.display()
        )
    }

    /// Adds sections to the configuration.
    pub fn configure(&self, more: &str) -> anyhow::Result<()> {
        Ok(std::fs::write(self.config(), format!("{}\n{more}", self.document(self.address, "")))?)
    }

    /// Adds lines to `[server]`.
    pub fn serve_by(&self, server: &str) -> anyhow::Result<()> {
        Ok(std::fs::write(self.config(), self.document(self.address, server))?)
    }

    /// Writes a configuration for one more node on the same store, and gives it with the address.
    pub fn another(&self, name: &str) -> anyhow::Result<(PathBuf, SocketAddr)> {
        let (file, address) = (self.folder.join(format!("{name}.toml")), free_address()?);
        std::fs::write(&file, self.document(address, ""))?;
        Ok((file, address))
    }

    /// From now on this version of the program runs its commands.
    pub fn take_over(&mut self, daypass: &Path) {
        daypass.clone_into(&mut self.daypass);
    }

    /// From now on its commands find the store there.
    pub fn repoint(&mut self, store: String) -> anyhow::Result<()> {
        let text = std::fs::read_to_string(self.config())?.replace(&self.store, &store);
        self.store = store;
        Ok(std::fs::write(self.config(), text)?)
    }

    /// The configuration file.
    pub fn config(&self) -> PathBuf {
        self.folder.join("daypass.toml")
    }

    /// The folder of the configuration.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The folder of the embedded store.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// The database file of the embedded store.
    pub fn database(&self) -> PathBuf {
        self.data.join("daypass.db")
    }

    /// The program, with nothing of the user's around it.
    pub fn command(&self) -> Command {
        self.command_of(&self.daypass)
    }

    /// Another version of the program, likewise.
    pub fn command_of(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        for name in ["RUST_LOG", "XDG_RUNTIME_DIR", "XDG_CACHE_HOME", "HOME", "NOTIFY_SOCKET"] {
            command.env_remove(name);
        }
        command
    }

    /// Runs a command of the program on this installation.
    pub fn cli(&self, args: &[&str]) -> anyhow::Result<Output> {
        self.command()
            .args(args)
            .arg("--config")
            .arg(self.config())
            .output()
            .context("the program does not start")
    }

    /// Runs a command that must succeed, and gives what it printed.
    pub fn done(&self, args: &[&str]) -> anyhow::Result<String> {
        let Output { status, stdout, stderr } = self.cli(args)?;
        let said = String::from_utf8_lossy(&stderr);
        ensure!(
            status.success(),
            "`daypass {}` ended with {status}: {said}{}",
            args.join(" "),
            String::from_utf8_lossy(&stdout)
        );
        Ok(String::from_utf8_lossy(&stdout).into_owned())
    }

    /// Adds the clients that ask in each dialect.
    pub fn clients(&self) -> anyhow::Result<Clients> {
        let roles = ["--role", "soe", "--role", "store-upload", "--role", "cheap", "--role", "dear"];
        let kinds = ["--kind", "tencent", "--kind", "top", "--kind", "client-secret"];
        let bound = ["--bind", "tenant_code=hema", "--bind", "poi_id=8005", "--json"];
        let args: Vec<_> =
            ["client", "add", "asker"].into_iter().chain(roles).chain(kinds).chain(bound).collect();
        let added: Value = serde_json::from_str(&self.done(&args)?)?;
        let text = |kind: &str, name: &str| {
            let mut keys = added.get("keys").and_then(Value::as_array).into_iter().flatten();
            let key = keys.find(|key| text_at(key, "/kind").as_deref() == Some(kind));
            key.and_then(|key| text_at(key, &format!("/{name}"))).with_context(|| format!("no {kind} key"))
        };
        Ok(Clients {
            tencent: (text("tencent", "secret_id")?, text("tencent", "secret_key")?),
            top: (text("top", "app_key")?, text("top", "app_secret")?),
            entra: (text("client-secret", "client_id")?, text("client-secret", "client_secret")?),
        })
    }

    /// `daypass serve`, not started yet.
    pub fn serve(&self) -> Command {
        self.serve_with(&self.config())
    }

    /// `daypass serve` with another configuration file.
    pub fn serve_with(&self, config: &Path) -> Command {
        let mut command = self.command();
        command.args(["serve", "--log", "warn", "--config"]).arg(config);
        command
    }

    /// Starts the first node and waits until it is ready.
    pub fn start(&self) -> anyhow::Result<Node> {
        Node::start(self.serve(), self.address, &self.folder.join("node.log"))
    }
}
