//! An issuer over HTTP: its documents, a turn of its keys, and its absence.

use crate::maker::{AUDIENCE, Hand, Key, NOW, claims, key};
use axum::extract::State;
use axum::http::header::CACHE_CONTROL;
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};
use daypass_verify::{Fetch, FetchError, Fetched, Rejected, Verifier, async_trait};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// The keys that are published, and how often they were asked for.
type Shared = (Arc<Mutex<Vec<Value>>>, Arc<AtomicUsize>);

/// An issuer on a port of this machine.
struct Issuer {
    name: String,
    published: Arc<Mutex<Vec<Value>>>,
    asked: Arc<AtomicUsize>,
    server: tokio::task::JoinHandle<()>,
}

impl Issuer {
    async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let name = format!("http://{}/tenant/v2.0", listener.local_addr().unwrap());
        let (published, asked) =
            (Arc::new(Mutex::new(vec![key("es").jwk.clone()])), Arc::<AtomicUsize>::default());
        let metadata = json!({"issuer": name, "jwks_uri": format!("{name}/keys")});
        let keys = |State((published, asked)): State<Shared>| async move {
            asked.fetch_add(1, Ordering::SeqCst);
            let keys = published.lock().unwrap().clone();
            ([(CACHE_CONTROL, "max-age=600")], Json(json!({"keys": keys}))).into_response()
        };
        let app = Router::new()
            .route("/tenant/v2.0/.well-known/openid-configuration", get(async move || Json(metadata)))
            .route("/tenant/v2.0/keys", get(keys))
            .with_state((published.clone(), asked.clone()));
        let server = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { name, published, asked, server }
    }

    fn token(&self, by: &Key) -> String {
        by.sign(&claims(&json!({"iss": self.name, "exp": NOW + 100_000})))
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

#[tokio::test]
async fn keys_are_found_turned_and_withdrawn() {
    let (issuer, clock) = (Issuer::start().await, Hand::new());
    let verifier = Verifier::builder(&issuer.name).audience(AUDIENCE).clock(clock.clone()).no_refresh_ahead();
    let verifier = verifier.build().unwrap();
    verifier.prepare().await.unwrap();
    assert_eq!(issuer.asked(), 1);
    let (old, new) = (issuer.token(key("es")), issuer.token(key("ed")));
    assert!(verifier.verify(&old).await.is_ok());
    assert_eq!(verifier.verify(&new).await, Err(Rejected::UnknownKey));
    assert_eq!(issuer.asked(), 1, "it was asked just now");

    *issuer.published.lock().unwrap() = vec![key("ed").jwk.clone()];
    clock.set(NOW + 10);
    assert!(verifier.verify(&new).await.is_ok(), "an unknown key is looked for");
    assert_eq!(verifier.verify(&old).await, Err(Rejected::UnknownKey), "and what was withdrawn is dead");
    assert_eq!(issuer.asked(), 2);

    clock.set(NOW + 609);
    assert!(verifier.verify(&new).await.is_ok());
    assert_eq!(issuer.asked(), 2, "for as long as its max-age says");
    clock.set(NOW + 610);
    assert!(verifier.verify(&new).await.is_ok());
    assert_eq!(issuer.asked(), 3);

    issuer.server.abort();
    let _ = issuer.server.await;
    clock.set(NOW + 2000);
    assert!(verifier.verify(&new).await.is_ok(), "its keys outlive its absence");
    clock.set(NOW + 610 + 4 * 3600);
    let gone = verifier.verify(&new).await.unwrap_err();
    assert_eq!((gone.status(), gone.challenge()), (503, None), "but not for ever");
}

#[tokio::test]
async fn many_at_once_ask_one_question() {
    let issuer = Issuer::start().await;
    let verifier = Verifier::builder(&issuer.name).audience(AUDIENCE).clock(Hand::new()).build().unwrap();
    let token = issuer.token(key("es"));
    let tasks: Vec<_> = (0..50)
        .map(|_| {
            let (verifier, token) = (verifier.clone(), token.clone());
            tokio::spawn(async move { verifier.verify(&token).await.is_ok() })
        })
        .collect();
    for task in tasks {
        assert!(task.await.unwrap());
    }
    assert_eq!(issuer.asked(), 1);
}

#[tokio::test]
async fn an_issuer_that_is_another_or_not_there_says_nothing() {
    let issuer = Issuer::start().await;
    let token = issuer.token(key("es"));
    let other = issuer.name.replace("127.0.0.1", "localhost");
    let verifier = Verifier::builder(&other).audience(AUDIENCE).clock(Hand::new()).build().unwrap();
    let Rejected::Unavailable(why) = verifier.prepare().await.unwrap_err() else {
        panic!("it must be unavailable")
    };
    assert!(why.contains("issuer"), "{why}");
    assert_eq!(verifier.verify(&token).await.unwrap_err().status(), 503);
    assert_eq!(issuer.asked(), 0);
    let direct = Verifier::builder(&issuer.name).audience(AUDIENCE).clock(Hand::new());
    let direct = direct.keys_from(format!("{}/keys", issuer.name)).build().unwrap();
    assert!(direct.verify(&token).await.is_ok());
}

/// What a caller's own client does.
struct Own(Value);

#[async_trait]
impl Fetch for Own {
    async fn fetch(&self, url: &str, most: usize) -> Result<Fetched, FetchError> {
        assert!(most > 1000);
        if url == "https://keys.example.com/" {
            return Ok(Fetched::new(json!({"keys": [self.0]}).to_string()));
        }
        Err(FetchError::new("not found"))
    }
}

#[tokio::test]
async fn a_fetcher_of_the_callers_is_used() {
    let name = "https://pass.example.com";
    let with = |url: &str| {
        let builder = Verifier::builder(name).audience(AUDIENCE).clock(Hand::new());
        builder.keys_from(url).fetch(Own(key("es").jwk.clone())).build().unwrap()
    };
    let token = key("es").sign(&claims(&json!({"iss": name})));
    assert!(with("https://keys.example.com/").verify(&token).await.is_ok());
    assert!(with("https://elsewhere.example.com/").verify(&token).await.is_err());
}
