//! The contract of freshness, each clause counted at a cloud that counts. Time is tokio's paused time, so that a wait of an
//! hour takes no time and a wait that should not be is seen to the millisecond.

mod ahead;
mod failures;
mod places;
mod shared;
mod sheets;
mod together;

use super::*;
use crate::cloud::{Fetched, Parts, Wanted};
use daypass_core::caller::{Caller, Proof, Visitor, Way};
use daypass_core::clock::{SignedDuration, after};
use daypass_core::credential::Credential;
use daypass_core::dialect::{Form, Issue, RoleChoice};
use daypass_core::identity::Subject;
use daypass_core::policy::authorize;
use daypass_core::secret::Secret;
use daypass_core::testing::{MemoryStore, RESOURCE, START, SeededEntropy, World};
use daypass_core::triple::TripleKind;
use daypass_core::upstream::{
    Brokering, Budget, Cloud as Kind, RootProof, RootSource, TokenCall, TokenCarrier, Upstream,
};
use parking_lot::Mutex;
use std::collections::{BTreeMap, VecDeque};
use std::pin::Pin;
use std::sync::atomic::{AtomicI64, AtomicU32, AtomicUsize, Ordering};
use tokio::time::{Instant, sleep};

/// What the role's credentials live, in seconds; 300 of them must be left, and at 600 the next one is asked for.
const LIFE: u32 = 1_800;
const LATENCY: Duration = Duration::from_millis(100);

/// A clock that goes with tokio's, and can be set.
struct Ticking {
    began: Instant,
    ahead: AtomicI64,
}

impl Ticking {
    fn new() -> Arc<Self> {
        Arc::new(Self { began: Instant::now(), ahead: AtomicI64::new(0) })
    }

    /// Sets it this much ahead, or back.
    fn jump(&self, millis: i64) {
        self.ahead.fetch_add(millis, Ordering::SeqCst);
    }
}

impl Clock for Ticking {
    fn now(&self) -> Timestamp {
        let passed = i64::try_from(self.began.elapsed().as_millis()).unwrap();
        START + SignedDuration::from_millis(passed + self.ahead.load(Ordering::SeqCst))
    }
}

type Hook = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A cloud that counts its calls, and does as it is told. Its n-th credential is `AKIDcloud-n`, `secret-n` and `token-n`.
struct Counted {
    upstream: Upstream,
    /// When each call came, and with which root key.
    calls: Mutex<Vec<(Timestamp, String)>>,
    flying: AtomicUsize,
    /// The most calls that were under way at once.
    most: AtomicUsize,
    latency: Mutex<Duration>,
    life: AtomicU32,
    /// What the next calls fail with.
    faults: Mutex<VecDeque<Fault>>,
    /// Whether every call fails.
    down: Mutex<Option<Fault>>,
    /// What happens during the next call.
    hook: Mutex<Option<Hook>>,
}

impl Counted {
    fn calls(&self) -> usize {
        self.calls.lock().len()
    }
}

#[async_trait]
impl Cloud for Counted {
    fn upstream(&self) -> &Upstream {
        &self.upstream
    }

    fn wanted(&self, authorized: &Authorized) -> Result<Wanted, Refusal> {
        if authorized.session() == Some("too long") {
            return Err(Refusal::new(Reason::PolicyTooLong, "longer than the cloud takes"));
        }
        Ok(Wanted {
            form: authorized.form(),
            assume: None,
            session: authorized.session().unwrap_or_default().to_owned(),
            policy: authorized.shared_policy(),
            document: None,
            lifetime: authorized.lifetime(),
            variables: BTreeMap::new(),
            tags: BTreeMap::new(),
            source_identity: None,
            product: None,
            scope: None,
            capabilities: self.upstream.cloud.capabilities(authorized.brokering()),
        })
    }

    async fn fetch(
        &self,
        wanted: &Wanted,
        key: &RootKey,
        at: Timestamp,
        _once: [u8; 16],
    ) -> Result<Fetched, Fault> {
        let number = {
            let mut calls = self.calls.lock();
            calls.push((at, key.id.clone()));
            calls.len()
        };
        self.most.fetch_max(self.flying.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        let (latency, hook) = (*self.latency.lock(), self.hook.lock().take());
        sleep(latency).await;
        if let Some(hook) = hook {
            hook.await;
        }
        self.flying.fetch_sub(1, Ordering::SeqCst);
        let scripted = self.faults.lock().pop_front();
        if let Some(fault) = scripted.or_else(|| self.down.lock().clone()) {
            return Err(fault);
        }
        let token = Secret::new(format!("token-{number}"));
        let parts = match wanted.form {
            Form::Triple(_) => {
                let secret = Secret::new(format!("secret-{number}"));
                Parts::Triple { id: format!("AKIDcloud-{number}"), secret, token }
            }
            Form::Bearer => Parts::Bearer(token),
        };
        let expires = after(at, self.life.load(Ordering::SeqCst));
        let request = Some(format!("request-{number}"));
        Ok(Fetched { parts, expires, request, policy: None, answer: BTreeMap::new() })
    }

    async fn canary(&self, _: &RootKey, _: Timestamp, _: [u8; 16]) -> Result<Option<String>, Fault> {
        Ok(None)
    }
}

fn bearer() -> Issue {
    Issue::new(RoleChoice::Resource(RESOURCE.into()), Form::Bearer)
}

fn root_key(id: &str) -> Arc<RootKey> {
    let proof = RootProof::Secret(Arc::new(Secret::new("the root key's secret")));
    Arc::new(RootKey { id: id.into(), proof })
}

/// A cloud like Tencent's, whose root key stands in the configuration and may be used at will.
fn upstream() -> Upstream {
    Upstream {
        name: "cloud".into(),
        cloud: Kind::Tencent { region: "ap-guangzhou".into(), unsigned_payload: false },
        url: "https://sts.example.com".into(),
        ca: None,
        timeout_ms: 5_000,
        budget: Budget { per_second: 10_000, burst: 10_000 },
        account: None,
        root: RootSource::Configured(root_key("AKIDroot")),
    }
}

/// A service whose new token kills the old one.
fn one_live() -> Upstream {
    let call = TokenCall {
        carrier: TokenCarrier::Query,
        id: "appid".into(),
        secret: "secret".into(),
        parameters: BTreeMap::new(),
        one_live: true,
    };
    Upstream { cloud: Kind::OAuth(call), ..upstream() }
}

/// A world whose roles are brokered, a store, and a cloud that counts.
struct Bed {
    world: World,
    clock: Arc<Ticking>,
    cloud: Arc<Counted>,
    store: Arc<MemoryStore>,
}

impl Bed {
    fn new() -> Self {
        Self::of(upstream())
    }

    fn of(upstream: Upstream) -> Self {
        let mut world = World::new();
        for role in &mut world.plan.roles {
            Arc::make_mut(role).issuer = upstream.name.clone();
        }
        world.plan.upstreams = vec![Arc::new(upstream.clone())];
        let clock = Ticking::new();
        let cloud = Arc::new(Counted {
            upstream,
            calls: Mutex::default(),
            flying: AtomicUsize::new(0),
            most: AtomicUsize::new(0),
            latency: Mutex::new(LATENCY),
            life: AtomicU32::new(LIFE),
            faults: Mutex::default(),
            down: Mutex::default(),
            hook: Mutex::default(),
        });
        Self { world, clock, cloud, store: Arc::new(MemoryStore::new()) }
    }

    /// What the role says of its cloud.
    fn brokering(&mut self) -> &mut Brokering {
        &mut Arc::make_mut(&mut self.world.plan.roles[0]).brokering
    }

    /// A process that uses the store.
    fn node(&self, number: u128) -> Arc<Cached> {
        Arc::new(Cached::new(
            self.cloud.clone(),
            self.store.clone(),
            self.clock.clone(),
            Arc::new(SeededEntropy::new(u64::try_from(number).unwrap())),
            Uuid::from_u128(number),
            Arc::new(Tally::new("cloud")),
        ))
    }

    /// A request of the world's client.
    fn plain(&self) -> Request {
        self.request(&Issue::new(RoleChoice::Default, Form::Triple(TripleKind::Tencent)))
    }

    /// The same in a session of its own: another thing.
    fn session(&self, name: &str) -> Request {
        let issue = Issue::new(RoleChoice::Default, Form::Triple(TripleKind::Tencent));
        self.request(&Issue { session: Some(name.into()), ..issue })
    }

    /// The same by someone who found a token refused.
    fn refused(&self, token: &str) -> Request {
        let issue = Issue::new(RoleChoice::Default, Form::Triple(TripleKind::Tencent));
        self.request(&Issue { refused: Some(print_of(token)), ..issue })
    }

    /// A request of a user of the page.
    fn visitor(&self, name: &str) -> Request {
        self.visits(Way::Session, Some(Subject { name: name.into(), variables: BTreeMap::new() }))
    }

    fn visits(&self, way: Way, subject: Option<Subject>) -> Request {
        let endpoint = self.world.plan.endpoints[0].clone();
        let visitor = Visitor { endpoint, way, subject, ticket: None };
        let caller = Caller::for_test(self.world.plan.tenants[0].clone(), Proof::Visitor(Box::new(visitor)));
        let issue = Issue::new(RoleChoice::Endpoint, Form::Triple(TripleKind::Tencent));
        self.decide(&caller, "/getAuthorization", &issue)
    }

    fn request(&self, issue: &Issue) -> Request {
        self.decide(&self.world.caller("AKIDworld"), "/", issue)
    }

    fn decide(&self, caller: &Caller, path: &str, issue: &Issue) -> Request {
        let directory = self.world.directory();
        let authorized =
            authorize(&directory, caller, path, issue).unwrap_or_else(|refusal| panic!("{refusal:?}"));
        Request { directory: Arc::new(directory), authorized: Arc::new(authorized) }
    }

    fn place(&self, request: &Request) -> [u8; 16] {
        place::of(&request.directory, &self.cloud.upstream, &request.authorized).unwrap_or_default()
    }
}

/// A request that was authorized.
#[derive(Clone)]
struct Request {
    directory: Arc<Directory>,
    authorized: Arc<Authorized>,
}

impl Request {
    /// Asks with a draw of its own.
    async fn ask(&self, node: &Cached) -> Result<Issued, Refusal> {
        let draw = Draw::fresh(&SeededEntropy::new(1), node.0.clock.now());
        node.issue(&self.directory, &self.authorized, &draw).await
    }

    /// Asks, and gives the number of the credential.
    async fn number(&self, node: &Cached) -> usize {
        number(&self.ask(node).await.unwrap_or_else(|refusal| panic!("{refusal:?}")))
    }

    /// Asks, and is refused.
    async fn refusal(&self, node: &Cached) -> Refusal {
        self.ask(node).await.err().unwrap()
    }
}

/// The cloud's number of a credential, which all its parts must have.
fn number(issued: &Issued) -> usize {
    let token = match &issued.credential {
        Credential::Triple(triple) => {
            let number = triple.token.strip_prefix("token-").unwrap();
            assert_eq!(triple.id, format!("AKIDcloud-{number}"));
            assert_eq!(triple.secret.expose_str(), format!("secret-{number}"));
            triple.token.as_str()
        }
        Credential::Bearer(bearer) => bearer.token.expose_str(),
    };
    let number = token.strip_prefix("token-").unwrap();
    assert_eq!(issued.brokered.as_ref().unwrap().request.as_deref(), Some(&*format!("request-{number}")));
    number.parse().unwrap()
}

fn print_of(token: &str) -> String {
    use base64::Engine;
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, token.as_bytes());
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(hash)
}

fn down() -> Fault {
    Fault::new(FaultKind::Down, "a test took it down")
}

/// How often something was handed out in this way.
fn handed(node: &Cached, label: &str) -> u64 {
    node.tally().handed_out().find(|(name, _)| *name == label).unwrap().1
}

fn called(node: &Cached, label: &str) -> u64 {
    node.tally().calls().find(|(name, _)| *name == label).unwrap().1
}

async fn seconds(seconds: u64) {
    sleep(Duration::from_secs(seconds)).await;
}
