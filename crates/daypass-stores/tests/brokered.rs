//! Two processes on one file: a cloud is asked by one of them at a time, and what it gives belongs to both.
#![cfg(test)]
use async_trait::async_trait;
use daypass_core::clock::{Clock, Timestamp, after};
use daypass_core::dialect::{Form, Issue, RoleChoice};
use daypass_core::directory::Directory;
use daypass_core::id::Draw;
use daypass_core::issuer::{Issued, Issuer};
use daypass_core::policy::{Authorized, authorize};
use daypass_core::refusal::{Reason, Refusal};
use daypass_core::secret::Secret;
use daypass_core::testing::{FixedClock, START, SeededEntropy, World};
use daypass_core::triple::TripleKind;
use daypass_core::upstream::{Budget, Cloud as Kind, RootKey, RootProof, RootSource, Upstream};
use daypass_issuers::cached::Cached;
use daypass_issuers::cloud::{Cloud, Fetched, Parts, Wanted};
use daypass_issuers::fault::{Fault, FaultKind};
use daypass_issuers::tally::Tally;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use uuid::Uuid;

/// A cloud that counts, and takes a tenth of a second.
struct Counted {
    upstream: Upstream,
    calls: AtomicUsize,
    flying: AtomicUsize,
    most: AtomicUsize,
    down: AtomicBool,
}

#[async_trait]
impl Cloud for Counted {
    fn upstream(&self) -> &Upstream {
        &self.upstream
    }

    fn wanted(&self, authorized: &Authorized) -> Result<Wanted, Refusal> {
        Ok(Wanted {
            form: authorized.form(),
            assume: None,
            session: String::new(),
            policy: None,
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

    async fn fetch(&self, _: &Wanted, _: &RootKey, at: Timestamp, _: [u8; 16]) -> Result<Fetched, Fault> {
        let number = self.calls.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(self.flying.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(100)).await;
        self.flying.fetch_sub(1, Ordering::SeqCst);
        if self.down.load(Ordering::SeqCst) {
            return Err(Fault::new(FaultKind::Down, "a test took it down"));
        }
        let parts = Parts::Triple {
            id: format!("AKIDcloud-{number}"),
            secret: Secret::new("the secret of a cloud's key"),
            token: Secret::new("the token of a cloud's key"),
        };
        let (expires, answer) = (after(at, 1_800), BTreeMap::new());
        Ok(Fetched { parts, expires, request: None, policy: None, answer })
    }

    async fn canary(&self, _: &RootKey, _: Timestamp, _: [u8; 16]) -> Result<Option<String>, Fault> {
        Ok(None)
    }
}

struct Bed {
    world: World,
    cloud: Arc<Counted>,
    clock: Arc<FixedClock>,
    folder: tempfile::TempDir,
}

impl Bed {
    fn new() -> Self {
        let proof = RootProof::Secret(Arc::new(Secret::new("the root key's secret")));
        let upstream = Upstream {
            name: "cloud".into(),
            cloud: Kind::Tencent { region: "ap-guangzhou".into(), unsigned_payload: false },
            url: "https://sts.example.com".into(),
            ca: None,
            timeout_ms: 5_000,
            budget: Budget { per_second: 100, burst: 100 },
            account: None,
            root: RootSource::Configured(Arc::new(RootKey { id: "AKIDroot".into(), proof })),
        };
        let mut world = World::new();
        for role in &mut world.plan.roles {
            Arc::make_mut(role).issuer = "cloud".into();
        }
        let cloud = Arc::new(Counted {
            upstream,
            calls: AtomicUsize::new(0),
            flying: AtomicUsize::new(0),
            most: AtomicUsize::new(0),
            down: AtomicBool::new(false),
        });
        let clock = Arc::new(FixedClock::new(START));
        Self { world, cloud, clock, folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> std::path::PathBuf {
        self.folder.path().join("daypass.db")
    }

    /// A process of its own, as far as the file can tell.
    fn node(&self, number: u64) -> Arc<Cached> {
        Arc::new(Cached::new(
            self.cloud.clone(),
            open(&self.path()),
            self.clock.clone(),
            Arc::new(SeededEntropy::new(number)),
            Uuid::from_u128(number.into()),
            Arc::new(Tally::new("cloud")),
        ))
    }

    fn request(&self) -> (Arc<Directory>, Arc<Authorized>) {
        let directory = self.world.directory();
        let issue = Issue::new(RoleChoice::Default, Form::Triple(TripleKind::Tencent));
        let decided = authorize(&directory, &self.world.caller("AKIDworld"), "/", &issue);
        (Arc::new(directory), Arc::new(decided.unwrap_or_else(|refusal| panic!("{refusal:?}"))))
    }

    async fn ask(&self, node: &Cached) -> Result<String, Refusal> {
        let (directory, authorized) = self.request();
        let draw = Draw::fresh(&SeededEntropy::new(1), self.clock.now());
        node.issue(&directory, &authorized, &draw).await.map(|issued: Issued| issued.credential.id())
    }
}

fn open(path: &Path) -> Arc<dyn daypass_core::store::Store> {
    daypass_stores::open(&format!("sqlite:{}", path.display())).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_on_one_file_are_one_call_together() {
    let bed = Arc::new(Bed::new());
    let nodes = [bed.node(1), bed.node(2)];
    for round in 1..=5 {
        let tasks: Vec<_> = (0..200)
            .map(|n| {
                let (bed, node) = (bed.clone(), nodes[n % 2].clone());
                tokio::spawn(async move { bed.ask(&node).await.ok() })
            })
            .collect();
        for task in tasks {
            assert_eq!(task.await.unwrap(), Some(format!("AKIDcloud-{round}")));
        }
        assert_eq!(bed.cloud.calls.load(Ordering::SeqCst), round);
        bed.clock.advance(3_600_000);
    }
    assert_eq!(bed.cloud.most.load(Ordering::SeqCst), 1, "never two at a time");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failure_is_a_pause_for_both_and_over_for_both() {
    let bed = Bed::new();
    let nodes = [bed.node(1), bed.node(2)];
    bed.cloud.down.store(true, Ordering::SeqCst);
    for node in &nodes {
        assert_eq!(
            bed.ask(node).await.err().map(|refusal| refusal.reason),
            Some(Reason::UpstreamUnavailable)
        );
    }
    assert_eq!(bed.cloud.calls.load(Ordering::SeqCst), 1);
    bed.cloud.down.store(false, Ordering::SeqCst);
    bed.clock.advance(251);
    for node in &nodes {
        assert_eq!(bed.ask(node).await.ok().as_deref(), Some("AKIDcloud-2"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_kept_outlives_the_processes_and_stands_nowhere_in_clear() {
    let bed = Bed::new();
    assert_eq!(bed.ask(&bed.node(1)).await.ok().as_deref(), Some("AKIDcloud-1"));
    let second = bed.node(2);
    assert_eq!(bed.ask(&second).await.ok().as_deref(), Some("AKIDcloud-1"));
    assert_eq!(bed.cloud.calls.load(Ordering::SeqCst), 1, "a restart asks nothing");
    for file in std::fs::read_dir(bed.folder.path()).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        for secret in ["the secret of a cloud's key", "the token of a cloud's key", "AKIDcloud-1"] {
            assert!(!bytes.windows(secret.len()).any(|part| part == secret.as_bytes()), "{secret}");
        }
    }
    drop(second);
}
