//! Daypass with clouds behind it: a configuration of its own, run by `daypass serve`, whose roles name issuers of
//! Tencent's kind, near and far, a TOP gateway and an authority of Entra's kind.

mod users;

pub(crate) use users::Users;

use crate::clock;
use crate::cloud::{Clouds, KEY};
use crate::credentials::Credentials;
use crate::process::{Core, Cores, Server};
use crate::work::{Delay, Whose};
use anyhow::{Context as _, ensure};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The tenant, as in the path of its OAuth endpoint.
const TENANT: &str = "387c56a8-cf86-45de-b9f5-b4de88cac054";
/// The resource that the other authority makes tokens for.
const RESOURCE: &str = "d6b7c858-55fa-4d04-85a6-131af690abd4";
/// Carries the seal key of the throw-away store.
const SEAL_KEY: &str = "BENCH_BROKERED_SEAL_KEY";
/// Carries the key that the clouds know.
const ROOT_KEY: &str = "BENCH_ROOT_KEY";
/// Takes the place of `server.listen`.
const LISTEN: &str = "DAYPASS__SERVER__LISTEN";
/// As many calls a second as the configuration takes: what a cloud would allow is not what is measured.
const MOST_CALLS: u32 = 10_000;
/// As many credentials a minute as the configuration takes.
const MOST_CREDENTIALS: u32 = 1_000_000;

/// The installation.
pub(crate) struct Brokered {
    daypass: PathBuf,
    config: PathBuf,
    seal_key: String,
    users: Users,
    /// The demo's, with the clients of this one in their places.
    credentials: Credentials,
}

/// Who asks it.
pub(crate) struct Askers {
    /// The clients, and the resource that one of them asks tokens for.
    pub(crate) credentials: Credentials,
    /// The users of its pages.
    pub(crate) pages: Pages,
}

impl Brokered {
    /// Writes the configuration into this folder and adds the clients. Origin, products and stores are the demo's.
    pub(crate) fn prepare(
        daypass: &Path,
        folder: &Path,
        clouds: &Clouds,
        demo: Credentials,
    ) -> anyhow::Result<Self> {
        fs::create_dir_all(folder)?;
        let users = Users::generate()?;
        fs::write(folder.join("keys.json"), users.key_set().to_string())?;
        let config = folder.join("daypass.toml");
        let addresses = [clouds.address(Delay::None)?, clouds.address(Delay::Far)?];
        fs::write(&config, toml::to_string(&configuration(&demo, addresses))?)?;
        let mut seal_key = String::new();
        for byte in rand::random::<[u8; 32]>() {
            // Writing to a string does not fail.
            let _ = write!(seal_key, "{byte:02x}");
        }
        let daypass = daypass.to_owned();
        let mut made = Self { daypass, config, seal_key, users, credentials: demo };
        let check = made.command(&["check"]).output().context("cannot run daypass check")?;
        ensure!(check.status.success(), "{}", String::from_utf8_lossy(&check.stdout).trim());
        made.add_clients()?;
        Ok(made)
    }

    fn add_clients(&mut self) -> anyhow::Result<()> {
        let (tenant_code, store) = {
            let alibaba = &self.credentials.alibaba;
            (alibaba.tenant_code.clone(), alibaba.poi_ids.first().cloned().context("no store")?)
        };
        let binds = [format!("tenant_code={tenant_code}"), format!("poi_id={store}")];
        let [tenant, poi] = &binds;
        let (key, secret) = self.add(&[
            "store-box",
            "--kind",
            "top",
            "--role",
            "store",
            "--bind",
            tenant.as_str(),
            "--bind",
            poi.as_str(),
        ])?;
        (self.credentials.alibaba.app_key, self.credentials.alibaba.app_secret) = (key, secret);
        let (id, secret) = self.add(&["shop", "--kind", "client-secret", "--role", "orders"])?;
        let entra = &mut self.credentials.entra;
        (entra.client_id, entra.client_secret) = (id, secret);
        TENANT.clone_into(&mut entra.tenant);
        Ok(())
    }

    /// Adds a client; gives the id and the secret of its key.
    fn add(&self, args: &[&str]) -> anyhow::Result<(String, String)> {
        let mut command = self.command(&["client", "add", "--json"]);
        let added = command.args(args).output().context("cannot run daypass client add")?;
        pair(&added.stdout).with_context(|| String::from_utf8_lossy(&added.stdout).trim().to_owned())
    }

    fn command(&self, verb: &[&str]) -> Command {
        let mut command = Command::new(&self.daypass);
        command.args(verb).arg("--config").arg(&self.config);
        command.env(SEAL_KEY, &self.seal_key).env(ROOT_KEY, format!("{}:{}", KEY.0, KEY.1));
        command
    }

    /// Starts it.
    pub(crate) fn start(&self, cores: Cores) -> anyhow::Result<Server> {
        Server::start(cores, Core::Servers, |address| {
            let mut command = self.command(&["serve"]);
            command.env(LISTEN, address.to_string());
            command
        })
    }

    /// Who asks it.
    pub(crate) fn askers(self) -> anyhow::Result<Askers> {
        let own = self.users.token("user-1", clock::wall())?;
        Ok(Askers { credentials: self.credentials, pages: Pages { users: self.users, own, made: 0 } })
    }
}

impl Askers {
    /// The resource that tokens are asked for.
    pub(crate) fn resource() -> &'static str {
        RESOURCE
    }
}

/// The users of its pages, who prove themselves with a token of their provider.
pub(crate) struct Pages {
    users: Users,
    /// Of the one who has signed in.
    own: String,
    /// How many others there have been.
    made: u64,
}

impl Pages {
    /// Where a page asks, and with what proof; none at the one that asks for none.
    pub(crate) fn ask(&mut self, whose: Whose, delay: Delay) -> (String, Option<String>) {
        let path = path(whose, delay);
        match whose {
            Whose::Anyones => (path, None),
            Whose::Own => (path, Some(self.own.clone())),
            Whose::New => (path, Some(self.another())),
        }
    }

    /// A token of someone who has asked for nothing yet.
    fn another(&mut self) -> String {
        self.made += 1;
        // Where none can be made, the server refuses, and that is counted as a fault.
        self.users.token(&format!("visitor-{:08}", self.made), clock::wall()).unwrap_or_default()
    }
}

/// All who have signed in ask at the same path.
fn path(whose: Whose, delay: Delay) -> String {
    let who = if whose == Whose::Anyones { "anyone" } else { "users" };
    format!("/{who}/{}", delay.millis())
}

/// Id and secret of the one key that `client add` printed.
fn pair(printed: &[u8]) -> anyhow::Result<(String, String)> {
    let added: Value = serde_json::from_slice(printed)?;
    let half = |names: [&str; 2]| {
        let value = names.iter().find_map(|name| added.pointer(&format!("/keys/0/{name}"))?.as_str());
        value.map(str::to_owned).context("no key was made")
    };
    Ok((half(["client_id", "app_key"])?, half(["client_secret", "app_secret"])?))
}

/// The name of the issuer that is so far away.
fn issuer(delay: Delay) -> String {
    format!("tencent-{}", delay.millis())
}

fn configuration(demo: &Credentials, [near, far]: [SocketAddr; 2]) -> Value {
    let cloud = |name: &str, kind: &str, url: String| {
        json!({
            "name": name, "kind": kind, "url": url, "root_key": {"env": ROOT_KEY},
            "budget": {"per_second": MOST_CALLS, "burst": MOST_CALLS},
        })
    };
    let with = |mut issuer: Value, key: &str, value: &str| {
        if let Some(members) = issuer.as_object_mut() {
            members.insert(key.to_owned(), value.into());
        }
        issuer
    };
    let tencent = |delay, address: SocketAddr| {
        with(cloud(&issuer(delay), "tencent", format!("http://{address}/")), "region", "ap-guangzhou")
    };
    let pages =
        Delay::ALL.into_iter().flat_map(|delay| [Whose::Anyones, Whose::Own].map(|whose| (whose, delay)));
    let mut endpoints: Vec<_> = pages.clone().map(|(whose, delay)| page(demo, whose, delay)).collect();
    endpoints.push(gateway(demo));
    let mut roles: Vec<_> = pages.map(|(whose, delay)| role(whose, delay)).collect();
    roles.extend([
        json!({
            "name": "store", "issuer": "gateway",
            "lifetime": {"default": "1h", "max": "12h"},
            "variables": {"tenant_code": "slug", "poi_id": "slug"},
            "policy": {"ram": json!({"Version": "1", "Statement": [{
                "Effect": "Allow", "Action": ["oss:PutObject"],
                "Resource": ["acs:oss:*:*:bucket/{tenant_code}/{poi_id}/*"],
            }]}).to_string()},
        }),
        json!({"name": "orders", "issuer": "login", "audience": RESOURCE, "roles": ["orders.read"]}),
    ]);
    json!({
        "server": {"listen": "127.0.0.1:0"},
        "store": {"url": "sqlite:daypass.db"},
        "seal": {"key": {"env": SEAL_KEY}},
        "issuer": [
            tencent(Delay::None, near),
            tencent(Delay::Far, far),
            cloud("gateway", "top", format!("http://{near}/router/rest")),
            with(cloud("login", "entra", format!("http://{near}/")), "tenant", "contoso.example"),
        ],
        "tenant": [{
            "name": "bench", "guid": TENANT, "account": "100000000001",
            "provider": [{
                "name": "login", "issuer": users::ISSUER, "audience": users::AUDIENCE,
                "jwks": {"file": "keys.json"},
                "quota": {"subject": MOST_CREDENTIALS, "address": MOST_CREDENTIALS},
            }],
            "role": roles,
        }],
        "endpoint": endpoints,
    })
}

/// The role of a page. What anyone may have lives no longer than fifteen minutes.
fn role(whose: Whose, delay: Delay) -> Value {
    let policy = json!({"version": "2.0", "statement": {
        "effect": "allow", "action": ["soe:TransmitOralProcessWithInit"], "resource": "*",
    }});
    let life = if whose == Whose::Anyones { "15m" } else { "2h" };
    json!({
        "name": role_name(whose, delay),
        "issuer": issuer(delay),
        "lifetime": {"default": life, "max": life},
        "policy": {"cam": policy.to_string()},
        "wildcard_reason": "SOE has no resource-level rights",
    })
}

fn role_name(whose: Whose, delay: Delay) -> String {
    path(whose, delay).trim_start_matches('/').replace('/', "-")
}

fn page(demo: &Credentials, whose: Whose, delay: Delay) -> Value {
    let caller = if whose == Whose::Anyones {
        json!({"anonymous": {"reason": "the samples know no one either"}})
    } else {
        json!({"jwt": {"provider": "login"}})
    };
    json!({
        "dialect": "tencent.getAuthorization",
        "path": path(whose, delay),
        "tenant": "bench",
        "role": role_name(whose, delay),
        "origins": [demo.get_authorization.origin],
        "quota": {
            "subject": MOST_CREDENTIALS, "address": MOST_CREDENTIALS, "endpoint": MOST_CREDENTIALS,
        },
        "caller": caller,
    })
}

fn gateway(demo: &Credentials) -> Value {
    let alibaba = &demo.alibaba;
    json!({
        "dialect": "alibaba.top", "path": "/router/rest", "tenant": "bench",
        "route": [{
            "product_code": alibaba.product_code, "scene_code": alibaba.scene_code,
            "usage_scene": alibaba.usage_scene, "role": "store",
        }],
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::credentials::tests::sample;
    use std::collections::HashSet;

    /// Users whom no server knows.
    pub(crate) fn pages() -> Pages {
        let users = Users::generate().unwrap();
        let own = users.token("user-1", clock::wall()).unwrap();
        Pages { users, own, made: 0 }
    }

    #[test]
    fn a_new_user_is_another_one_each_time_and_the_own_one_is_the_same() {
        let mut pages = pages();
        let mut tokens =
            |whose| (0..3).filter_map(|_| pages.ask(whose, Delay::Far).1).collect::<HashSet<_>>();
        assert_eq!([Whose::Anyones, Whose::Own, Whose::New].map(|whose| tokens(whose).len()), [0, 1, 3]);
        assert_eq!(pages.ask(Whose::Anyones, Delay::None).0, "/anyone/0");
        assert_eq!(pages.ask(Whose::New, Delay::Far).0, pages.ask(Whose::Own, Delay::Far).0);
    }

    #[test]
    fn every_role_names_an_issuer_and_every_page_a_role_and_the_root_key_is_not_in_it() {
        let addresses = ["127.0.0.1:1", "127.0.0.1:2"].map(|text| text.parse().unwrap());
        let text = toml::to_string(&configuration(&sample(), addresses)).unwrap();
        assert!(!text.contains(KEY.0), "{text}");
        let config: toml::Value = toml::from_str(&text).unwrap();
        let names = |list: &toml::Value| -> HashSet<String> {
            list.as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap().to_owned()).collect()
        };
        let (issuers, roles) = (names(&config["issuer"]), &config["tenant"][0]["role"]);
        for role in roles.as_array().unwrap() {
            assert!(issuers.contains(role["issuer"].as_str().unwrap()), "{role}");
        }
        let (roles, mut pages) = (names(roles), HashSet::new());
        for endpoint in config["endpoint"].as_array().unwrap() {
            let role = endpoint.get("role").unwrap_or_else(|| &endpoint["route"][0]["role"]);
            assert!(roles.contains(role.as_str().unwrap()), "{endpoint}");
            pages.insert(endpoint["path"].as_str().unwrap().to_owned());
        }
        for (whose, delay) in Whose::ALL.into_iter().flat_map(|whose| Delay::ALL.map(|delay| (whose, delay)))
        {
            assert!(pages.contains(&path(whose, delay)), "{whose:?} {delay:?}");
        }
    }

    #[test]
    fn the_key_that_was_made_is_found_by_either_vendors_names() {
        let top = pair(br#"{"keys": [{"app_key": "1", "app_secret": "s"}]}"#).unwrap();
        assert_eq!(top, ("1".into(), "s".into()));
        assert!(pair(br#"{"error": "usage"}"#).is_err());
    }
}
