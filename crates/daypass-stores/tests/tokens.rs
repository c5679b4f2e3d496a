//! Nothing is stored for a token: a hundred thousand, through the real pipeline onto a real file, and only the records
//! have grown.
#![cfg(test)]
use daypass_core::directory::Directory;
use daypass_core::issuer::Issuer;
use daypass_core::pipeline::{Answer, Pipeline, Success};
use daypass_core::record::{Chain, Record};
use daypass_core::refusal::Reason;
use daypass_core::role::Algorithm;
use daypass_core::store::{Change, Store};
use daypass_core::testing::{self, ACME, FixedClock, NoIdentity, RESOURCE, START, SeededEntropy, World};
use daypass_dialects::entra::Entra;
use daypass_issuers::local::Local;
use rusqlite::Connection;
use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, HashSet};
use std::hash::{Hash as _, Hasher as _};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use uuid::Uuid;

/// How many tokens are asked for.
const TOKENS: usize = 100_000;
/// How many ask at once, so that one commit holds many records.
const AT_ONCE: usize = 256;

/// The rows of every table of a store that is closed.
fn rows(path: &Path) -> BTreeMap<String, i64> {
    let connection = Connection::open(path).unwrap();
    let mut tables = connection.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").unwrap();
    let names: Vec<String> = tables.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    let count =
        |name: &String| connection.query_row(&format!("SELECT count(*) FROM {name}"), [], |row| row.get(0));
    names.iter().map(|name| (name.clone(), count(name).unwrap())).collect()
}

async fn open(path: &Path, writer: u128) -> Arc<dyn Store> {
    let store = daypass_stores::open(&format!("sqlite:{}", path.display())).unwrap();
    store.begin(Chain::begin(&testing::ring(), Uuid::from_u128(writer)).unwrap()).await.unwrap();
    store
}

/// The test world, whose OAuth role signs with the cheapest algorithm.
fn world() -> World {
    let mut world = World::new();
    for role in world.plan.roles.iter_mut().filter(|role| role.audience.is_some()) {
        Arc::make_mut(role).algorithm = Algorithm::EdDsa;
    }
    world
}

struct Desk {
    pipeline: Pipeline,
    directory: Directory,
    form: String,
}

impl Desk {
    fn new(world: &World, store: Arc<dyn Store>) -> Self {
        let issuers = [("local".to_owned(), Arc::new(Local::new()) as Arc<dyn Issuer>)].into();
        let clock = Arc::new(FixedClock::new(START));
        let key = Uuid::from_u128(0x5ec);
        Self {
            pipeline: Pipeline::new(
                clock,
                Arc::new(SeededEntropy::new(1)),
                store,
                issuers,
                Arc::new(NoIdentity),
            ),
            directory: world.directory(),
            form: format!(
                "grant_type=client_credentials&client_id={}&client_secret=secret+of+{key}&scope={RESOURCE}%2F.default",
                world.client.guid
            ),
        }
    }

    /// The hash of a new token; none where the machine was too busy to record it in time.
    async fn token(&self) -> Option<u64> {
        let target = format!("/{ACME}/oauth2/v2.0/token");
        let headers = [("content-type", "application/x-www-form-urlencoded")];
        let request = testing::request("POST", &target, &headers, self.form.as_bytes());
        let Answer { response, summary } = self.pipeline.answer(&Entra, &self.directory, request).await;
        match summary.result {
            Ok(success) => assert_eq!(success, Success::Granted),
            Err(refusal) => {
                assert_eq!(refusal.reason, Reason::Unavailable, "{refusal:?}");
                return None;
            }
        }
        let mut hasher = DefaultHasher::new();
        response.body().hash(&mut hasher);
        Some(hasher.finish())
    }
}

#[test]
fn a_hundred_thousand_tokens_leave_nothing_but_records() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("daypass.db");
    let world = world();
    runtime.block_on(async {
        let store = open(&path, 1).await;
        let mut changes =
            vec![Change::PutClient(world.client.clone()), Change::AddRing(testing::ring_rows())];
        changes.extend(world.keys.iter().cloned().map(Change::PutKey));
        let record = Record::change(Uuid::from_u128(1), START, None, "test.begin", "world");
        store.change(changes, record).await.unwrap();
        // The writer's own row is there before anything is counted.
        store.close().await.unwrap();
        open(&path, 2).await.close().await.unwrap();
    });
    let before = rows(&path);

    let (granted, late) = runtime.block_on(async {
        let store = daypass_stores::open(&format!("sqlite:{}", path.display())).unwrap();
        store.begin(Chain::begin(&testing::ring(), Uuid::from_u128(3)).unwrap()).await.unwrap();
        let desk = Arc::new(Desk::new(&world, store.clone()));
        let (left, late) = (Arc::new(AtomicUsize::new(TOKENS)), Arc::new(AtomicUsize::new(0)));
        let asking = |_| {
            let (desk, left, late) = (desk.clone(), left.clone(), late.clone());
            tokio::spawn(async move {
                let mut tokens = Vec::new();
                while left
                    .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1))
                    .is_ok()
                {
                    tokens.push(loop {
                        match desk.token().await {
                            Some(token) => break token,
                            None => _ = late.fetch_add(1, Ordering::SeqCst),
                        }
                    });
                }
                tokens
            })
        };
        let askers: Vec<_> = (0..AT_ONCE).map(asking).collect();
        let mut granted = HashSet::new();
        for asker in askers {
            granted.extend(asker.await.unwrap());
        }
        store.close().await.unwrap();
        (granted.len(), late.load(Ordering::SeqCst))
    });
    assert_eq!(granted, TOKENS, "no token is served twice");

    let after = rows(&path);
    let grown: BTreeMap<_, _> = after
        .iter()
        .map(|(table, count)| (table.as_str(), count - before.get(table).copied().unwrap_or_default()))
        .filter(|(_, grown)| *grown != 0)
        .collect();
    let records = usize::try_from(grown["records"]).unwrap();
    // One that was not recorded in time may have been recorded all the same.
    assert!((TOKENS..=TOKENS + late).contains(&records), "{grown:?}, {late} were late");
    // The process that wrote them has a row of its own, as it would have for one record.
    assert_eq!(grown, [("records", grown["records"]), ("writers", 1)].into());
}
