//! Another configuration in the place of the one before: what changes with it, and what does not.

use crate::app::{Ambient, App, Opened, Settings, View, change_at};
use crate::roots::tests::upstream;
use daypass_core::cutoff::{Cutoff, Scope};
use daypass_core::directory::Plan;
use daypass_core::endpoint::{CallerRule, Carrier, SessionRule};
use daypass_core::store::{Change, Store as _};
use daypass_core::testing::{FixedClock, MemoryStore, START, SeededEntropy, World, kek, ring, ring_rows};
use daypass_core::upstream::{Budget, RootKey, RootSource, Upstream};
use std::sync::Arc;

async fn node(plan: Plan) -> (Arc<App>, Arc<MemoryStore>) {
    let store = Arc::new(MemoryStore::new());
    let record = change_at(START, None, "test.begin", "ring");
    store.change(vec![Change::PutRing(ring_rows())], record).await.unwrap();
    let opened = Opened::for_test(store.clone(), ring(), kek());
    let clock = Arc::new(FixedClock::new(START));
    let ambient = Ambient { clock, entropy: Arc::new(SeededEntropy::new(1)) };
    (App::build(opened, plan, ambient).await.unwrap(), store)
}

async fn put(app: &App, plan: Plan) {
    let settings = Settings { digest: "another".to_owned(), ..plan.into() };
    app.put(app.prepare(settings).unwrap()).await;
}

fn plan(upstreams: Vec<Upstream>) -> Plan {
    Plan { upstreams: upstreams.into_iter().map(Arc::new).collect(), ..World::new().plan }
}

fn renamed(name: &str) -> Upstream {
    Upstream { name: name.to_owned(), ..upstream() }
}

fn without_roles(plan: Plan) -> Plan {
    Plan { roles: vec![], endpoints: vec![], public_url: "https://later.example.com".to_owned(), ..plan }
}

#[tokio::test]
async fn a_request_sees_the_configuration_it_began_with_and_the_store_as_it_is() {
    let (app, store) = node(World::new().plan).await;
    let began = app.view();
    let same = app.view_since(began.clone());
    assert!(Arc::ptr_eq(&same, &began), "nothing has come meanwhile");
    put(&app, without_roles(World::new().plan)).await;
    let cut = Change::Cut(Cutoff { scope: Scope::All, before: START });
    store.change(vec![cut], change_at(START, None, "revoke", "all")).await.unwrap();
    app.hear().await.unwrap();

    let seen = |view: &View| {
        let directory = &view.directory;
        let plan = directory.plan();
        (plan.public_url.clone(), plan.roles.len(), directory.cutoffs().cut(START, &Scope::All))
    };
    let world = World::new().plan;
    let whole = app.view_since(began.clone());
    assert_eq!(seen(&whole), (world.public_url.clone(), world.roles.len(), true));
    assert!(whole.directory.role("acme", "soe").is_some() && Arc::ptr_eq(&whole.setup, &began.setup));
    assert_eq!(seen(&app.view()), ("https://later.example.com".to_owned(), 0, true));
    assert!(app.directory().role("acme", "soe").is_none());
    assert_eq!((began.setup.digest.as_str(), app.setup().digest.as_str()), ("", "another"));
}

#[tokio::test]
async fn an_issuer_of_which_nothing_changed_goes_on() {
    let (app, _) = node(plan(vec![renamed("main"), renamed("other")])).await;
    let before = app.setup();
    let other = Upstream { budget: Budget { per_second: 1, burst: 1 }, ..renamed("other") };
    put(&app, plan(vec![other, renamed("main"), renamed("third")])).await;
    let after = app.setup();
    let same = |name: &str| {
        let of = |setup: &crate::app::Setup| setup.issuers.all.get(name).cloned();
        of(&before).zip(of(&after)).is_some_and(|(one, other)| Arc::ptr_eq(&one, &other))
    };
    assert!(same("local") && same("main") && !same("other"));
    let names: Vec<_> = after.tallies().iter().map(|tally| tally.issuer().to_owned()).collect();
    assert_eq!(names, ["other", "main", "third"]);
    // It counts on, whatever was changed in it.
    assert!(Arc::ptr_eq(&before.tallies()[1], &after.tallies()[0]));
    assert!(Arc::ptr_eq(&before.clouds()[0], &after.clouds()[1]));
}

#[tokio::test]
async fn what_is_known_of_an_issuer_goes_with_it() {
    let (app, _) = node(plan(vec![renamed("main"), renamed("other")])).await;
    app.try_roots().await.unwrap();
    assert_eq!(app.roots_taken().len(), 2, "neither has a key");
    put(&app, plan(vec![renamed("main")])).await;
    assert_eq!(app.roots_taken(), [("main".to_owned(), false)]);
}

#[tokio::test]
async fn what_cannot_be_made_changes_nothing() {
    let (app, _) = node(plan(vec![renamed("main")])).await;
    let mut broken = plan(vec![]);
    let role = Arc::make_mut(&mut broken.roles[0]);
    role.issuer = "main".to_owned();
    let fault = app.prepare(broken.into()).err().unwrap().to_string();
    assert!(fault.contains("names the issuer `main`, which does not exist"), "{fault}");
    let ca = Some("not a certificate".to_owned());
    let url = "https://sts.example.com".to_owned();
    assert!(app.prepare(plan(vec![Upstream { ca, url, ..renamed("main") }]).into()).is_err());
    assert_eq!((app.setup().clouds().len(), app.setup().digest.as_str()), (1, ""));
}

/// Who asks this machine alone trusts no authority: the first application beyond it must be asked by another.
#[tokio::test]
async fn who_asks_applications_stays_until_one_is_beyond_this_machine() {
    let with = |whoami: &str| {
        let rule = SessionRule {
            carrier: Carrier::Cookie("sid".to_owned()),
            whoami: whoami.to_owned(),
            timeout_ms: 1000,
            cache: 5,
        };
        let mut plan = plan(vec![]);
        Arc::make_mut(&mut plan.endpoints[0]).callers = vec![CallerRule::Session(rule)];
        plan
    };
    let (app, _) = node(with("http://127.0.0.1:8000/whoami")).await;
    let near = app.setup().identity.clone();
    put(&app, with("http://127.0.0.1:9000/whoami")).await;
    assert!(Arc::ptr_eq(&near, &app.setup().identity), "with all that it remembers");
    put(&app, with("https://app.example.com/whoami")).await;
    let distant = app.setup().identity.clone();
    assert!(!Arc::ptr_eq(&near, &distant));
    put(&app, with("https://other.example.com/whoami")).await;
    assert!(Arc::ptr_eq(&distant, &app.setup().identity));
}

#[tokio::test]
async fn another_root_key_is_another_issuer() {
    let with = |text: &str| {
        let key = RootKey::parse(&daypass_core::secret::Secret::new(text)).unwrap();
        plan(vec![Upstream { root: RootSource::Configured(Arc::new(key)), ..renamed("main") }])
    };
    let (app, _) = node(with("AKIDroot:one")).await;
    let before = app.setup().clouds()[0].clone();
    put(&app, with("AKIDroot:one")).await;
    assert!(Arc::ptr_eq(&before, &app.setup().clouds()[0]));
    put(&app, with("AKIDroot:two")).await;
    assert!(!Arc::ptr_eq(&before, &app.setup().clouds()[0]));
}
