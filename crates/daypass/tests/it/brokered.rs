//! Credentials that a cloud makes, from end to end: the real program as the cloud (`daypass emulate`), the real program before it
//! (`daypass serve`), and what an asker, an operator and the cloud see.

mod chain;
mod emulated;
mod faults;
mod flows;
mod nodes;
mod postgres;
mod secrets;
mod standing;

use crate::patience::find as soon;
use crate::process::{Answer, daypass, json_of, send};
use crate::serve::{Serve, Served};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use daypass_core::clock::Timestamp;
use daypass_dialects::tencent::sign::{ClientKey, Outgoing, sign_request};
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{SystemTime, UNIX_EPOCH};
use tempfile::TempDir;

/// The account and the tenant of the emulated clouds.
const ACCOUNT: &str = "100000000001";
const TENANT: &str = "387c56a8-cf86-45de-b9f5-b4de88cac054";
const AUDIENCE: &str = "d6b7c858-55fa-4d04-85a6-131af690abd4";
/// The tenant before them has a name and a GUID of its own, and the same account: nothing would tell them apart by chance.
const OWN_TENANT: &str = "59a5e07e-4147-4d2e-a808-dca76ac5b3fd";

/// The present.
fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Timestamp::from_second(i64::try_from(since.as_secs()).unwrap()).unwrap()
}

/// A running `daypass emulate`.
struct Emulated {
    _child: Served,
    folder: TempDir,
    credentials: Value,
}

impl Emulated {
    fn start(args: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut child = daypass()
            .args(["emulate", "--json", "--log", "warn", "--retry-after", "1", "--data"])
            .arg(folder.path().join("data"))
            .args(if args.contains(&"--listen") { &[][..] } else { &["--listen", "127.0.0.1:0"] })
            .args(args)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let ready: Value = serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line}"));
        let credentials: Value =
            serde_json::from_slice(&std::fs::read(ready["credentials"].as_str().unwrap()).unwrap()).unwrap();
        assert_eq!(credentials["url"], ready["ready"]);
        Self { _child: Served(child), folder, credentials }
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn url(&self) -> &str {
        self.credentials["url"].as_str().unwrap()
    }

    fn host(&self) -> &str {
        self.url().trim_start_matches("http://")
    }

    fn text(&self, section: &str, name: &str) -> &str {
        self.credentials[section][name].as_str().unwrap()
    }

    /// Asks the control listener.
    fn control(&self, method: &str, path: &str, body: &Value) -> Value {
        let bearer = format!("Bearer {}", self.text("control", "token"));
        let host = self.text("control", "url").trim_start_matches("http://");
        let answer = send(host, method, path, &[("authorization", &bearer)], body.to_string().as_bytes());
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()
    }

    fn faults(&self, all: &[&str]) {
        self.control("POST", "/faults", &json!({ "faults": all }));
    }

    /// How many questions of these kinds have come since the last time.
    fn calls(&self, kinds: &str) -> u64 {
        let shown = self.control("GET", "/requests", &json!(null));
        let counts = shown["counts"].as_object().unwrap();
        counts.iter().filter(|(name, _)| name.starts_with(kinds)).map(|(_, n)| n.as_u64().unwrap()).sum()
    }

    fn forget(&self) {
        self.control("DELETE", "/requests", &json!(null));
    }

    /// The emulated account's owner runs a command.
    fn cli(&self, args: &[&str]) -> Value {
        json_of(&daypass().args(args).arg("--json").arg("--data").arg(self.data()).output().unwrap())
    }
}

/// An issuer of each kind before this cloud, each with its own root key. `more` stands in each.
fn issuers(folder: &Path, cloud: &Emulated, more: &str) -> String {
    let c = |section: &str, name: &str| cloud.text(section, name).to_owned();
    let root = |name: &str, id: String, secret: String| {
        let path = folder.join(format!("{name}.key"));
        private(&path, &format!("{id}:{secret}\n"));
        format!(
            "root_key = {{ file = \"{}\" }}\nbudget = {{ per_second = 1000, burst = 1000 }}\n{more}\n",
            path.display()
        )
    };
    let url = cloud.url();
    let tencent = root("tencent", c("tencent", "secret_id"), c("tencent", "secret_key"));
    let alibaba = root("alibaba", c("alibaba", "access_key_id"), c("alibaba", "access_key_secret"));
    let top = root("top", c("alibaba", "app_key"), c("alibaba", "app_secret"));
    let entra = root("entra", c("entra", "client_id"), c("entra", "client_secret"));
    let weixin = root("weixin", c("one_live", "appid"), c("one_live", "secret"));
    format!(
        r#"
[[issuer]]
name = "tencent"
kind = "tencent"
region = "ap-guangzhou"
account = "{ACCOUNT}"
url = "{url}"
{tencent}
[[issuer]]
name = "alibaba"
kind = "alibaba"
account = "{ACCOUNT}"
url = "{url}"
{alibaba}
[[issuer]]
name = "top"
kind = "top"
url = "{url}/router/rest"
{top}
[[issuer]]
name = "entra"
kind = "entra"
tenant = "{TENANT}"
url = "{url}"
{entra}
[[issuer]]
name = "weixin"
kind = "oauth"
url = "{url}/cgi-bin/token"
send = "query"
id = "appid"
secret = "secret"
parameters = {{ grant_type = "client_credential" }}
one_live = true
{weixin}
"#
    )
}

/// A tenant with a role of each issuer, and the endpoints.
fn tenant() -> String {
    format!(
        r#"
[[tenant]]
name = "shop"
guid = "{OWN_TENANT}"
account = "{ACCOUNT}"

[[tenant.role]]
name = "soe"
issuer = "tencent"
lifetime = {{ default = "15m", max = "15m" }}
policy = {{ cam = '{{"version":"2.0","statement":{{"effect":"allow","action":["soe:TransmitOralProcessWithInit"],"resource":"*"}}}}' }}
wildcard_reason = "SOE has no resource-level rights"

[[tenant.role]]
name = "short"
issuer = "tencent"
lifetime = {{ default = "1m", max = "1m" }}
policy = {{ cam = '{{"version":"2.0","statement":{{"effect":"allow","action":["soe:TransmitOralProcessWithInit"],"resource":"*"}}}}' }}
wildcard_reason = "SOE has no resource-level rights"
upstream = {{ assume = "qcs::cam::uin/{ACCOUNT}:roleName/soe", min_remaining = "50s" }}

[[tenant.role]]
name = "store-upload"
issuer = "alibaba"
lifetime = {{ default = "15m", max = "1h" }}
variables = {{ tenant_code = "slug", poi_id = "slug" }}
policy = {{ ram = '{{"Version":"1","Statement":[{{"Effect":"Allow","Action":["oss:PutObject"],"Resource":["acs:oss:*:*:bucket/{{tenant_code}}/{{poi_id}}/*"]}}]}}' }}
answer = {{ end_point_public = "https://oss-cn-hangzhou.aliyuncs.com", end_point_internal = "https://oss-cn-hangzhou-internal.aliyuncs.com" }}
upstream = {{ assume = "acs:ram::{ACCOUNT}:role/uploads" }}

[[tenant.role]]
name = "store-mirror"
issuer = "top"
lifetime = {{ default = "1h", max = "12h" }}
variables = {{ tenant_code = "slug", poi_id = "slug" }}
policy = {{ ram = '{{"Version":"1","Statement":[{{"Effect":"Allow","Action":["oss:PutObject"],"Resource":["acs:oss:*:*:bucket/{{tenant_code}}/{{poi_id}}/*"]}}]}}' }}

[[tenant.role]]
name = "devcenter"
issuer = "entra"
audience = "{AUDIENCE}"
roles = ["orders.read"]

[[tenant.role]]
name = "weixin"
issuer = "weixin"
audience = "api://weixin"
roles = ["any"]
lifetime = {{ default = "2h", max = "2h" }}

[[endpoint]]
dialect = "tencent.getAuthorization"
path = "/getAuthorization"
tenant = "shop"
role = "soe"
origins = ["https://lesson.example.com"]
quota = {{ address = 100000, endpoint = 100000 }}
caller = {{ anonymous = {{ reason = "a test" }} }}

[[endpoint]]
dialect = "alibaba.top"
path = "/router/rest"
tenant = "shop"
route = [{{ product_code = "oss", scene_code = "app-upload", usage_scene = "upload", role = "store-upload" }}]

[[endpoint]]
dialect = "alibaba.top"
path = "/router/mirror"
tenant = "shop"
route = [{{ product_code = "oss", scene_code = "app-upload", usage_scene = "upload", role = "store-mirror" }}]
"#
    )
}

fn private(path: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

/// An installation of `daypass serve`: its folder, its clients, and the nodes that run.
struct Shop {
    folder: TempDir,
    /// `secret_id`, `secret_key` and so on of its clients, as a credentials file has them.
    clients: Value,
}

impl Shop {
    /// A new installation with these issuers and this tenant.
    fn new(issuers: impl FnOnce(&Path) -> String, tenant: &str) -> Self {
        Self::on(None, issuers, tenant)
    }

    /// One whose store is at this address, or else in a file.
    fn on(store: Option<&str>, issuers: impl FnOnce(&Path) -> String, tenant: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        assert!(daypass().arg("init").arg(folder.path()).output().unwrap().status.success());
        let file = folder.path().join("daypass.toml");
        let text = std::fs::read_to_string(&file).unwrap();
        let line = |begin: &str| text.lines().find(|line| line.starts_with(begin)).unwrap();
        let head = format!(
            "[server]\nlisten = \"127.0.0.1:0\"\nmetrics = \"127.0.0.1:0\"\n[store]\n{}\n[seal]\n{}\n",
            store.map_or_else(|| line("url = ").to_owned(), |url| format!("url = \"{url}\"")),
            line("key = ")
        );
        std::fs::write(&file, format!("{head}{}{tenant}", issuers(folder.path()))).unwrap();
        let mut shop = Self { folder, clients: json!({}) };
        let added = shop.add(&["video", "--kind", "tencent", "--role", "soe"]);
        shop.clients["tencent"] = added.clone();
        shop
    }

    /// One before this cloud, with every kind of client.
    fn before(cloud: &Emulated, more: &str) -> Self {
        Self::before_on(None, cloud, more)
    }

    /// The same with its store at this address.
    fn before_on(store: Option<&str>, cloud: &Emulated, more: &str) -> Self {
        let mut shop = Self::on(store, |folder| issuers(folder, cloud, more), &tenant());
        let bind = ["--bind", "tenant_code=hema", "--bind", "poi_id=8005,8006"];
        let roles = ["--role", "store-upload", "--role", "store-mirror"];
        shop.clients["alibaba"] = shop.add(&[&["box", "--kind", "top"], &roles[..], &bind[..]].concat());
        let roles = ["--role", "devcenter", "--role", "weixin"];
        shop.clients["entra"] = shop.add(&[&["app", "--kind", "client-secret"], &roles[..]].concat());
        shop.clients["short"] = shop.add(&["short", "--kind", "tencent", "--role", "short"]);
        shop
    }

    /// Adds a client; gives its first key.
    fn add(&self, args: &[&str]) -> Value {
        self.cli(&[&["client", "add"], args].concat())["keys"][0].take()
    }

    fn config(&self) -> PathBuf {
        self.folder.path().join("daypass.toml")
    }

    /// The operator runs a command.
    fn cli(&self, args: &[&str]) -> Value {
        json_of(&daypass().args(args).arg("--json").arg("--config").arg(self.config()).output().unwrap())
    }

    /// The newest records, oldest first.
    fn records(&self) -> Vec<Value> {
        let output = daypass()
            .args(["audit", "tail", "-n", "200", "--json", "--config"])
            .arg(self.config())
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout)
            .unwrap()
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// Starts a node.
    fn serve(&self) -> Node {
        let serve = Serve::start(daypass().args(["serve", "--log", "debug", "--config"]).arg(self.config()));
        Node { serve, clients: self.clients.clone() }
    }
}

/// A running `daypass serve`, and the clients that ask it.
struct Node {
    serve: Serve,
    clients: Value,
}

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

impl Node {
    fn get_authorization(&self) -> Answer {
        send(&self.serve.host, "GET", "/getAuthorization", &[("origin", "https://lesson.example.com")], b"")
    }

    /// `GetFederationToken` of Tencent's STS by this client, for a session of this name.
    fn federation(&self, client: &str, name: &str) -> Answer {
        let policy = r#"{"version":"2.0","statement":{"effect":"allow","action":["soe:TransmitOralProcessWithInit"],"resource":"*"}}"#;
        let key = &self.clients[client];
        let key = (key["secret_id"].as_str().unwrap(), key["secret_key"].as_str().unwrap());
        tencent(&self.serve.host, key, None, "GetFederationToken", &json!({ "Name": name, "Policy": policy }))
    }

    /// The seed's TOP call for one store.
    fn top(&self, path: &str, poi: &str) -> Answer {
        let param = json!({
            "product_code": "oss", "scene_code": "app-upload", "usage_scene": "upload", "op_tenant_code": "hema",
            "op_poi_id": poi,
        });
        let key = &self.clients["alibaba"];
        top(
            &self.serve.host,
            path,
            (key["app_key"].as_str().unwrap(), key["app_secret"].as_str().unwrap()),
            &param,
        )
    }

    /// OAuth client credentials for this resource.
    fn token(&self, resource: &str, more: &[(&str, &str)]) -> Answer {
        let key = &self.clients["entra"];
        let scope = format!("{resource}/.default");
        let fields = [
            ("grant_type", "client_credentials"),
            ("client_id", key["client_id"].as_str().unwrap()),
            ("client_secret", key["client_secret"].as_str().unwrap()),
            ("scope", &scope),
        ];
        let body =
            form_urlencoded::Serializer::new(String::new()).extend_pairs(fields.iter().chain(more)).finish();
        send(&self.serve.host, "POST", &format!("/{OWN_TENANT}/oauth2/v2.0/token"), &[FORM], body.as_bytes())
    }

    /// The value of a metric with these labels; 0 where it is not there.
    fn metric(&self, sample: &str) -> u64 {
        self.serve.metric(sample).unwrap_or_default()
    }

    fn log(&self) -> String {
        self.serve.log()
    }

    /// Ends as an operator ends it.
    fn stop(self) -> String {
        self.serve.stop()
    }
}

/// A call to Tencent's STS, signed by TC3.
fn tencent(host: &str, key: (&str, &str), token: Option<&str>, action: &str, parameters: &Value) -> Answer {
    let body = parameters.to_string();
    let request = Outgoing {
        method: "POST",
        host,
        query: "",
        body: body.as_bytes(),
        unsigned_payload: false,
        action,
        region: "ap-guangzhou",
        at: now(),
    };
    let headers = sign_request(&ClientKey { id: key.0, secret: key.1.as_bytes(), token }, &request);
    let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    send(host, "POST", "/", &headers, body.as_bytes())
}

/// Who the holder of a temporary key is, as the cloud says.
fn caller(host: &str, credentials: &Value) -> Answer {
    let part = |name: &str| credentials[name].as_str().unwrap();
    let key = (part("TmpSecretId"), part("TmpSecretKey"));
    tencent(host, key, Some(part("Token")), "GetCallerIdentity", &json!({}))
}

/// TOP's method, signed by hmac-sha256, answered in JSON.
fn top(host: &str, path: &str, (key, secret): (&str, &str), param: &Value) -> Answer {
    use daypass_dialects::alibaba::sign::{SignMethod, sign};
    let at = now().checked_add(daypass_core::clock::SignedDuration::from_hours(8)).unwrap();
    let timestamp = at.strftime("%Y-%m-%d %H:%M:%S").to_string();
    let param = param.to_string();
    let mut fields = vec![
        ("app_key", key),
        ("format", "json"),
        ("method", "alibaba.security.deepvision.proxy.security.common.token.get"),
        ("param", &param),
        ("sign_method", "hmac-sha256"),
        ("timestamp", &timestamp),
        ("v", "2.0"),
    ];
    let sign = sign(SignMethod::HmacSha256, secret.as_bytes(), fields.iter().copied());
    fields.push(("sign", &sign));
    let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(&fields).finish();
    send(host, "POST", path, &[FORM], body.as_bytes())
}

/// What TOP's method gives, out of its envelope.
fn result(answer: &Answer) -> Value {
    let root = "alibaba_security_deepvision_proxy_security_common_token_get_response";
    let document = answer.json();
    assert!(document[root]["result"].is_object(), "{document}");
    document[root]["result"].clone()
}

/// `Authorization: Basic` of an API's key.
fn basic(key: &Value) -> String {
    let text = |name: &str| key[name].as_str().unwrap();
    format!("Basic {}", STANDARD.encode(format!("{}:{}", text("client_id"), text("client_secret"))))
}
