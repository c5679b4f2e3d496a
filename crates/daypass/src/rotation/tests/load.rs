//! Clients and verifiers at work while every key is replaced, over the network and without one failed request.

use super::site::{LIFETIME, ORIGIN, REFRESH_FOR, RESOURCES, Site};
use super::{AUTOMATIC, order, steps};
use crate::rotation::{NotTaken, take};
use daypass_core::clock::Clock as _;
use daypass_core::keys::{self, SecretKind, Span};
use daypass_core::ring::{Order, Purpose, Refused, RingState, Step};
use daypass_core::store::{Change, Store as _};
use daypass_core::testing::{self, ACME, RESOURCE, SeededEntropy};
use daypass_dialects::tencent::sign::ClientKey;
use jsonwebtoken::jwk::{Jwk, JwkSet};
use jsonwebtoken::{DecodingKey, Validation, decode, decode_header};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// A resource server: it keeps the public keys for as long as it is told to, and asks no sooner.
#[derive(Default)]
struct Verifier {
    keys: Option<JwkSet>,
    until: i64,
}

impl Verifier {
    async fn refresh(&mut self, site: &Site) {
        if self.keys.is_some() && site.now() < self.until {
            return;
        }
        let (head, body) = site.get(&format!("/{ACME}/discovery/v2.0/keys"), "").await;
        let max_age = head.lines().find_map(|line| line.strip_prefix("cache-control: public, max-age="));
        self.until = site.now() + max_age.unwrap().trim().parse::<i64>().unwrap();
        self.keys = Some(serde_json::from_value(body).unwrap());
    }

    fn key(&self, token: &str) -> Option<&Jwk> {
        self.keys.as_ref()?.find(&decode_header(token).unwrap().kid.unwrap())
    }

    /// Verifies, and gives `exp`. An unknown key is a failure: a verifier that looks again for each unknown one does
    /// so for whoever makes one up.
    fn verify(&self, token: &str, audience: &str) -> i64 {
        let header = decode_header(token).unwrap();
        let key = self.key(token).unwrap_or_else(|| panic!("a key that is not published: {header:?}"));
        let mut validation = Validation::new(header.alg);
        validation.set_audience(&[audience]);
        // By the clock of the test, in whoever calls this.
        validation.validate_exp = false;
        let decoding = DecodingKey::from_jwk(key).unwrap();
        decode::<Value>(token, &decoding, &validation).unwrap().claims["exp"].as_i64().unwrap()
    }
}

/// Where the gateway's answer has the token.
const TOKEN: &str = "/alibaba_security_deepvision_proxy_security_common_token_get_response/result/token";

/// A temporary key as a client keeps it.
struct Temporary {
    id: String,
    secret: String,
    token: String,
    until: i64,
}

impl Temporary {
    fn read(answer: &Value, until: i64) -> Self {
        let text = |name: &str| answer["Credentials"][name].as_str().unwrap().to_owned();
        Self { id: text("TmpSecretId"), secret: text("TmpSecretKey"), token: text("Token"), until }
    }
}

/// Someone who uses the service for as long as the load lasts.
enum Worker {
    /// Gets tokens and verifies them, new ones and those that still live, each with its `exp`.
    Tokens { resource: &'static str, verifier: Verifier, live: Vec<(String, i64)> },
    /// Gets temporary keys in the browser's way and signs with them for as long as they live.
    Keys { live: Vec<Temporary> },
    /// Signs with its permanent key, and sends every request twice, as an HTTP library does.
    Retries { round: usize },
    /// Asks the gateway for a store's credential.
    Gateway { round: usize },
    /// Is known by a ticket, and by the passes after it for as long as these are good.
    Tickets { pass: Option<String>, until: i64 },
}

/// Of what lives, a round uses so many: the oldest one and the newest ones.
fn some<T>(live: &[T]) -> impl Iterator<Item = &T> {
    live.first().into_iter().chain(live.iter().rev().take(2))
}

impl Worker {
    async fn round(&mut self, site: &Site) {
        let now = site.now();
        match self {
            Self::Tokens { resource, verifier, live } => {
                let token = site.token(resource, &site.secret()).await;
                verifier.refresh(site).await;
                let until = verifier.verify(&token, resource);
                live.push((token, until));
                live.retain(|(_, until)| now < *until);
                for (token, until) in some(live) {
                    assert_eq!(verifier.verify(token, resource), *until);
                }
            }
            Self::Keys { live } => {
                let (_, answer) = site.get("/getAuthorization", &format!("origin: {ORIGIN}\r\n")).await;
                live.push(Temporary::read(&answer, now + i64::from(LIFETIME)));
                live.retain(|key| now < key.until);
                for Temporary { id, secret, token, .. } in some(live) {
                    let key = ClientKey { id, secret: secret.as_bytes(), token: Some(token) };
                    let answer = site.sts(&key, "GetCallerIdentity", "{}").await;
                    assert!(answer["Response"]["Arn"].is_string(), "{answer}");
                }
            }
            Self::Retries { round } => {
                *round += 1;
                let key = ClientKey { id: "AKIDworld", secret: b"secret of AKIDworld", token: None };
                let policy = json!({"version": "2.0", "statement": {
                    "effect": "allow", "action": ["soe:TransmitOralProcessWithInit"], "resource": "*"
                }});
                let body = json!({"Name": format!("user{round}"), "Policy": policy.to_string()}).to_string();
                let first = site.sts(&key, "GetFederationToken", &body).await;
                tokio::task::yield_now().await;
                let second = site.sts(&key, "GetFederationToken", &body).await;
                assert_eq!(first["Response"]["Credentials"], second["Response"]["Credentials"], "a retry");
            }
            Self::Gateway { round } => {
                *round += 1;
                let (first, second) = (site.gateway(*round).await, site.gateway(*round).await);
                let token = |answer: &Value| answer.pointer(TOKEN).and_then(Value::as_str).map(str::to_owned);
                assert!(token(&first).is_some() && token(&first) == token(&second), "a retry: {first}");
            }
            Self::Tickets { pass, until } => {
                let ticket = if let Some(pass) = pass.take().filter(|_| now < *until) {
                    pass
                } else {
                    *until = now + i64::from(REFRESH_FOR);
                    site.ticket().await
                };
                let headers = format!("origin: {ORIGIN}\r\nauthorization: Ticket {ticket}\r\n");
                let (head, _) = site.get("/page", &headers).await;
                *pass =
                    head.lines().find_map(|line| line.strip_prefix("daypass-refresh: ")).map(str::to_owned);
            }
        }
    }
}

/// Works in rounds until the load ends, each within one moment.
async fn work(site: Arc<Site>, number: usize, mut worker: Worker) {
    while !site.stopped.load(Ordering::SeqCst) {
        let moment = site.time.read().await;
        worker.round(&site).await;
        drop(moment);
        site.rounds[number].fetch_add(1, Ordering::SeqCst);
        tokio::task::yield_now().await;
    }
}

fn workers() -> Vec<Worker> {
    let mut all = vec![
        Worker::Keys { live: vec![] },
        Worker::Retries { round: 0 },
        Worker::Gateway { round: 0 },
        Worker::Tickets { pass: None, until: 0 },
    ];
    let verifier = Verifier::default;
    all.extend(RESOURCES.map(|(_, resource)| Worker::Tokens {
        resource,
        verifier: verifier(),
        live: vec![],
    }));
    all
}

/// Every kind of key that can be replaced is, twice those that replace themselves, while seven clients are at work.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_key_is_replaced_under_load_without_one_failed_request() {
    let workers = workers();
    let site = Site::start(workers.len()).await;
    let mut load = tokio::task::JoinSet::new();
    for (number, worker) in workers.into_iter().enumerate() {
        load.spawn(work(site.clone(), number, worker));
    }
    tokio::select! {
        () = operate(&site) => {}
        Some(failed) = load.join_next() => failed.unwrap(),
    }
    site.stopped.store(true, Ordering::SeqCst);
    while let Some(ended) = load.join_next().await {
        ended.unwrap();
    }
    check_ring(&site).await;
    check_secrets(&site).await;
}

/// The purposes whose keys only an operator replaces.
const BY_HAND: [Purpose; 3] = [Purpose::Pepper, Purpose::Rest, Purpose::Record];

/// Ten hours in steps of five minutes.
async fn operate(site: &Site) {
    for turn in 0..120 {
        let moment = site.time.write().await;
        site.pass(300).await;
        drop(moment);
        while site.app.rotate_once().await.unwrap().is_some() {}
        // What seals, hashes and chains at rest is replaced by hand, twice.
        for purpose in BY_HAND {
            match turn {
                30 | 60 => by_hand(site, order(Step::Prepare, purpose)).await.unwrap(),
                31 | 61 => by_hand(site, order(Step::Activate, purpose)).await.unwrap(),
                _ => {}
            }
        }
        site.app.keep_up().await.unwrap();
        site.settle().await;
    }
}

async fn by_hand(site: &Site, order: Order) -> Result<(), NotTaken> {
    let directory = site.app.directory();
    take(&site.opened, order, directory.rules(), site.clock.now()).await?;
    site.app.hear().await.unwrap();
    Ok(())
}

async fn check_ring(site: &Site) {
    let rows = site.store.ring().await.unwrap();
    let steps = steps(&*site.store).await;
    for purpose in AUTOMATIC.into_iter().chain(BY_HAND) {
        let name = purpose.name();
        let state = |version| {
            let row = rows.iter().find(|row| row.purpose == purpose && row.version == version);
            row.map(|row| row.state)
        };
        assert_eq!(state(3), Some(RingState::Active), "{name}: {steps:?}");
        for (step, version) in [("prepare", 2), ("activate", 2), ("prepare", 3), ("activate", 3)] {
            let step = format!("ring.{step} {name}/{version}");
            assert_eq!(steps.iter().filter(|taken| **taken == step).count(), 1, "{step}");
        }
        if purpose.signs_tokens() || purpose == Purpose::Replay {
            assert_eq!(state(1), Some(RingState::Gone), "{name}");
        }
        // What they protected was done anew while everybody was at work, and then they went by themselves.
        if BY_HAND.contains(&purpose) {
            let gone = Some(RingState::Gone);
            assert_eq!((state(1), state(2)), (gone, gone), "{name}: {steps:?}");
        }
    }
    // What is gone is known to nobody any more.
    let mut verifier = Verifier::default();
    verifier.refresh(site).await;
    let published = verifier.keys.unwrap().keys.into_iter();
    let kids: Vec<_> = published.map(|key| key.common.key_id.unwrap()).collect();
    assert!(testing::ring().published().all(|(key, _)| kids.iter().all(|kid| kid != key.kid())), "{kids:?}");
    let signing = rows.iter().filter(|row| row.purpose.signs_tokens() && row.state != RingState::Gone);
    assert_eq!(kids.len(), signing.count());
    assert!(site.app.key_ages().iter().all(|age| !age.overdue), "nothing is too old");
}

/// A secret that nobody shows keeps the pepper that it is hashed by, and it is shown once.
async fn check_secrets(site: &Site) {
    let ring = site.app.directory().ring().clone();
    let (client, entropy) = (site.world.client.guid, SeededEntropy::new(77));
    let span = Span::from(site.clock.now());
    let made = keys::make(&ring, SecretKind::ClientSecret, client, &entropy, span).unwrap();
    assert!(format!("{:?}", made.key.material).contains("pepper: 3"), "{:?}", made.key.material);
    let record = crate::app::change_at(site.clock.now(), None, "test.key", "secret");
    site.store.change(vec![Change::PutKey(made.key)], record).await.unwrap();
    site.app.hear().await.unwrap();
    let pepper = Purpose::Pepper;
    by_hand(site, order(Step::Prepare, pepper)).await.unwrap();
    site.pass(60).await;
    by_hand(site, order(Step::Activate, pepper)).await.unwrap();
    site.token(RESOURCE, &site.secret()).await;
    site.app.keep_up().await.unwrap();
    site.pass(600).await;
    let retire = order(Step::Retire, pepper);
    let refused = by_hand(site, retire).await.unwrap_err();
    assert!(matches!(refused, NotTaken::Refused(Refused::Protects { count: 1, .. })), "{refused}");
    assert_eq!(site.app.left().await.unwrap().under(pepper, 3), 1);
    site.token(RESOURCE, made.secret.expose_str()).await;
    site.app.keep_up().await.unwrap();
    by_hand(site, retire).await.unwrap();
    for secret in [made.secret.expose_str(), &site.secret()] {
        site.token(RESOURCE, secret).await;
    }
}

/// Why the lead is there: a verifier that is right in every respect meets a key that it cannot know.
#[tokio::test]
async fn a_key_that_signs_too_soon_is_unknown_to_verifiers_that_cache() {
    let site = Site::start(0).await;
    let mut verifier = Verifier::default();
    verifier.refresh(&site).await;
    let known = site.token(RESOURCE, &site.secret()).await;
    assert!(verifier.key(&known).is_some());
    while site.app.rotate_once().await.unwrap().is_some() {}
    verifier.until = 0;
    verifier.refresh(&site).await;
    // The prepared key is known; it is taken away, and another one signs at once.
    let es = Purpose::JwtEs256;
    by_hand(&site, Order { version: Some(2), ..order(Step::Retire, es) }).await.unwrap();
    by_hand(&site, order(Step::Prepare, es)).await.unwrap();
    let activate = order(Step::Activate, es);
    let refused = by_hand(&site, activate).await.unwrap_err();
    assert!(matches!(refused, NotTaken::Refused(Refused::TooNew(..))), "{refused}");
    by_hand(&site, Order { force: true, ..activate }).await.unwrap();
    let fresh = site.token(RESOURCE, &site.secret()).await;
    verifier.refresh(&site).await;
    assert!(verifier.key(&fresh).is_none(), "it keeps what it has for as long as it was told to");
    site.pass(600).await;
    verifier.refresh(&site).await;
    assert!(verifier.key(&fresh).is_some() && verifier.key(&known).is_some());
    verifier.verify(&fresh, RESOURCE);

    // A key that must not be believed any more is taken away at once, and dies with the caches.
    while site.app.rotate_once().await.unwrap().is_some() {}
    verifier.until = 0;
    verifier.refresh(&site).await;
    by_hand(&site, Order { force: true, ..order(Step::Retire, es) }).await.unwrap();
    verifier.refresh(&site).await;
    assert!(verifier.key(&known).is_some(), "until its time is over");
    site.pass(600).await;
    verifier.refresh(&site).await;
    assert!(verifier.key(&known).is_none() && verifier.key(&fresh).is_some());
}
