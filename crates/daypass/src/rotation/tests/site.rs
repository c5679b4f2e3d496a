//! A server on a loopback port with a clock that stands still, and what its clients ask.

use super::{ROTATION, node};
use crate::app::{App, Opened};
use crate::server::{Door, Server};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use daypass_core::client::{Grant, KeyKind};
use daypass_core::clock::Clock as _;
use daypass_core::endpoint::{CallerRule, TicketRule};
use daypass_core::role::{Algorithm, Lifetime, Role};
use daypass_core::store::{Change, Store as _};
use daypass_core::testing::{self, ACME, FixedClock, MemoryStore, RESOURCE, START, World};
use daypass_dialects::alibaba::sign::{self as alibaba, SignMethod};
use daypass_dialects::alibaba::time::stamp;
use daypass_dialects::tencent::sign::{ClientKey, Outgoing, sign_request};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{RwLock, oneshot};
use tokio::time::{Duration, sleep};

pub(super) const ORIGIN: &str = "http://127.0.0.1:88";
/// The OAuth resource of each algorithm's role.
pub(super) const RESOURCES: [(Algorithm, &str); 3] = [
    (Algorithm::Rs256, "11111111-55fa-4d04-85a6-131af690abd4"),
    (Algorithm::Es256, RESOURCE),
    (Algorithm::EdDsa, "33333333-55fa-4d04-85a6-131af690abd4"),
];
/// How long the browser's credentials live, in seconds.
pub(super) const LIFETIME: u32 = 3600;
/// How long the passes after a ticket are good, in seconds.
pub(super) const REFRESH_FOR: u32 = 8 * 3600;

pub(super) struct Site {
    address: SocketAddr,
    pub(super) app: Arc<App>,
    pub(super) opened: Opened,
    pub(super) world: World,
    pub(super) clock: Arc<FixedClock>,
    pub(super) store: Arc<MemoryStore>,
    /// Held to read while a client is at work, to write while the clock is moved: a request that is stamped before and
    /// arrives after would rightly be refused.
    pub(super) time: RwLock<()>,
    pub(super) rounds: Vec<AtomicUsize>,
    pub(super) stopped: AtomicBool,
    stop: parking_lot::Mutex<Option<oneshot::Sender<()>>>,
}

fn world() -> World {
    let mut world = World::new();
    world.plan.rotation = ROTATION;
    let soe = world.plan.roles.iter_mut().find(|role| role.name == "soe").unwrap();
    Arc::make_mut(soe).lifetime = Lifetime { default: LIFETIME, max: LIFETIME };
    let devcenter = (**world.plan.roles.iter().find(|role| role.name == "devcenter").unwrap()).clone();
    for (algorithm, resource) in RESOURCES.into_iter().filter(|(_, resource)| *resource != RESOURCE) {
        let name = format!("api-{}", algorithm.name());
        let role =
            Role { name: name.clone(), audience: Some(resource.into()), algorithm, ..devcenter.clone() };
        world.plan.roles.push(role.into());
        world.client.grants.push(Grant::of(name));
    }
    let mut page = (*world.plan.endpoints[0]).clone();
    page.path = "/page".into();
    page.callers = vec![CallerRule::Ticket(TicketRule { refreshes: 10_000, refresh_for: REFRESH_FOR })];
    world.plan.endpoints.push(page.into());
    world
}

impl Site {
    pub(super) async fn start(workers: usize) -> Arc<Self> {
        let (world, store) = (world(), Arc::new(MemoryStore::new()));
        let mut changes =
            vec![Change::PutClient(world.client.clone()), Change::PutRing(testing::ring_rows())];
        changes.extend(world.keys.iter().cloned().map(Change::PutKey));
        let record = crate::app::change_at(START, None, "test.begin", "world");
        store.change(changes, record).await.unwrap();
        let clock = Arc::new(FixedClock::new(START));
        let opened = || Opened::for_test(store.clone(), testing::ring(), testing::kek());
        let app = node(opened(), &world, &clock, 1).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        tokio::spawn(
            Server::new(app.clone()).run(vec![Door::new(listener, None)], async { _ = stopped.await }),
        );
        Arc::new(Self {
            address,
            app,
            opened: opened(),
            world,
            clock,
            store,
            time: RwLock::new(()),
            rounds: (0..workers).map(|_| AtomicUsize::new(0)).collect(),
            stopped: AtomicBool::new(false),
            stop: parking_lot::Mutex::new(Some(stop)),
        })
    }

    pub(super) fn now(&self) -> i64 {
        self.clock.now().as_second()
    }

    /// Lets so many seconds pass. The node looks at the store in between, as it does all the time.
    pub(super) async fn pass(&self, seconds: i64) {
        self.clock.advance(seconds * 1000);
        self.app.hear().await.unwrap();
    }

    /// Sends a request on a connection of its own; gives the head and the body of an answer that must be good.
    async fn send(&self, request: &str) -> (String, Value) {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200 "), "{request}\n{answer}");
        let body: Value = serde_json::from_str(body).unwrap_or_else(|fault| panic!("{fault}: {answer}"));
        assert!(body.pointer("/Response/Error").is_none() && body.get("Error").is_none(), "{answer}");
        (head.to_owned(), body)
    }

    pub(super) async fn get(&self, target: &str, headers: &str) -> (String, Value) {
        self.send(&format!("GET {target} HTTP/1.1\r\nhost: t\r\nconnection: close\r\n{headers}\r\n")).await
    }

    async fn post(&self, target: &str, headers: &str, body: &str) -> Value {
        let length = body.len();
        let head = format!("POST {target} HTTP/1.1\r\nconnection: close\r\ncontent-length: {length}\r\n");
        self.send(&format!("{head}{headers}\r\n{body}")).await.1
    }

    /// A call of the STS API, signed by a permanent key or by a temporary one.
    pub(super) async fn sts(&self, key: &ClientKey<'_>, action: &str, body: &str) -> Value {
        let request = Outgoing {
            method: "POST",
            host: "t",
            query: "",
            body: body.as_bytes(),
            unsigned_payload: false,
            action,
            region: "",
            at: self.clock.now(),
        };
        let lines: Vec<_> = sign_request(key, &request)
            .into_iter()
            .map(|(name, value)| format!("{name}: {value}\r\n"))
            .collect();
        self.post("/", &lines.concat(), body).await
    }

    pub(super) async fn token(&self, resource: &str, secret: &str) -> String {
        let body = format!(
            "grant_type=client_credentials&client_id={}&client_secret={}&scope={resource}%2F.default",
            self.world.client.guid,
            secret.replace(' ', "+"),
        );
        let headers = "host: t\r\ncontent-type: application/x-www-form-urlencoded\r\n";
        let answer = self.post(&format!("/{ACME}/oauth2/v2.0/token"), headers, &body).await;
        answer["access_token"].as_str().unwrap().to_owned()
    }

    /// A call of the gateway, signed with HMAC-SHA-256, for the credential of one store.
    pub(super) async fn gateway(&self, number: usize) -> Value {
        let param = json!({
            "product_code": "oss", "scene_code": "app-upload", "usage_scene": "upload",
            "op_tenant_code": "hema", "op_poi_id": "8005", "request_id": format!("load-{number:08}"),
        })
        .to_string();
        let (stamp, method) = (stamp(self.clock.now()), SignMethod::HmacSha256);
        let parameters = [
            ("method", "alibaba.security.deepvision.proxy.security.common.token.get"),
            ("app_key", "12345678"),
            ("timestamp", stamp.as_str()),
            ("v", "2.0"),
            ("format", "json"),
            ("sign_method", method.name()),
            ("param", param.as_str()),
        ];
        let signature = alibaba::sign(method, b"secret of 12345678", parameters);
        let pairs = parameters.into_iter().chain([("sign", signature.as_str())]);
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
        let headers = "host: t\r\ncontent-type: application/x-www-form-urlencoded\r\n";
        let answer = self.post("/router/rest", headers, &body).await;
        assert!(answer.get("error_response").is_none(), "{answer}");
        answer
    }

    /// The secret of the world's client.
    pub(super) fn secret(&self) -> String {
        let key = self.world.keys.iter().find(|key| key.kind == KeyKind::ClientSecret).unwrap();
        format!("secret of {}", key.id)
    }

    pub(super) async fn ticket(&self) -> String {
        let basic = STANDARD.encode(format!("{}:{}", self.world.client.guid, self.secret()));
        let headers =
            format!("host: t\r\nauthorization: Basic {basic}\r\ncontent-type: application/json\r\n");
        let body = format!("{{\"subject\":\"ann\",\"origin\":\"{ORIGIN}\"}}");
        self.post("/page/ticket", &headers, &body).await["ticket"].as_str().unwrap().to_owned()
    }

    /// Waits until every worker has done a whole round from now on.
    pub(super) async fn settle(&self) {
        let before: Vec<_> = self.rounds.iter().map(|count| count.load(Ordering::SeqCst)).collect();
        for (count, before) in self.rounds.iter().zip(before) {
            while count.load(Ordering::SeqCst) < before + 2 {
                sleep(Duration::from_millis(1)).await;
            }
        }
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        let stop = self.stop.lock().take();
        _ = stop.map(|stop| stop.send(()));
    }
}
