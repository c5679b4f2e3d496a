//! An issuer that takes tokens back, and an API that follows its feed.

mod changes;

use crate::maker::{AUDIENCE, Hand, ISSUER, Key, NOW, V1, changed, claims, key, key_set};
use daypass_verify::{Builder, Claims, Fetch, FetchError, Fetched, Rejected, Verifier, async_trait};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const URL: &str = "https://pass.example.com/387c56a8-cf86-45de-b9f5-b4de88cac054/v2.0/revocations";
const BELIEVED: Duration = Duration::from_mins(1);

/// What is published, and how often it was asked for.
#[derive(Clone, Default)]
struct Feed(Arc<Mutex<(Option<String>, usize)>>);

#[async_trait]
impl Fetch for Feed {
    async fn fetch(&self, url: &str, _: usize) -> Result<Fetched, FetchError> {
        assert_eq!(url.split('?').next(), Some(URL));
        let mut inner = self.0.lock().unwrap();
        inner.1 += 1;
        inner.0.clone().map(Fetched::new).ok_or_else(|| FetchError::new("no connection"))
    }
}

/// A feed of this second, with this list, by this key, changed.
fn feed(by: &Key, at: u64, revoked: &Value, header: &Value, changes: &Value) -> String {
    let usual = json!({"iss": ISSUER, "iat": at, "exp": at + 300, "revoked": revoked});
    let mut of_feed = json!({"typ": "daypass-revocations+jwt"});
    of_feed.as_object_mut().unwrap().extend(header.as_object().unwrap().clone());
    by.sign_with(&of_feed, &changed(usual, changes))
}

impl Feed {
    fn publish(&self, at: u64, revoked: &Value) {
        self.set(Some(feed(key("es"), at, revoked, &json!({}), &json!({}))));
    }

    fn set(&self, text: Option<String>) {
        self.0.lock().unwrap().0 = text;
    }

    fn asked(&self) -> usize {
        self.0.lock().unwrap().1
    }
}

fn builder(feed: &Feed, clock: &Hand, issuer: &str) -> Builder {
    Verifier::builder(issuer).audience(AUDIENCE).keys(key_set()).fetch(feed.clone()).clock(clock.clone())
}

fn token(changes: &Value) -> String {
    key("ed").sign(&claims(&changed(json!({"exp": NOW + 100_000}), changes)))
}

async fn judge(verifier: &Verifier, changes: &Value) -> Result<Claims, Rejected> {
    verifier.verify(&token(changes)).await
}

#[tokio::test]
async fn what_is_listed_is_refused_within_seconds_and_nothing_else() {
    let (published, clock) = (Feed::default(), Hand::new());
    published.publish(NOW, &json!({}));
    let verifier = builder(&published, &clock, ISSUER).revocations(BELIEVED).build().unwrap();
    verifier.prepare().await.unwrap();
    for _ in 0..20 {
        assert!(judge(&verifier, &json!({})).await.is_ok());
    }
    assert_eq!(published.asked(), 1);

    published.publish(NOW, &json!({"tokens": {"u-1": NOW}}));
    clock.set(NOW + 4);
    assert!(judge(&verifier, &json!({})).await.is_ok(), "not asked yet");
    clock.set(NOW + 5);
    assert_eq!(judge(&verifier, &json!({})).await, Err(Rejected::Revoked));
    assert!(judge(&verifier, &json!({"uti": "u-2"})).await.is_ok(), "another one of the same client");
    assert_eq!(published.asked(), 2);
    let rejected = Rejected::Revoked;
    assert_eq!((rejected.status(), rejected.label()), (401, "revoked"));
    let challenge = rejected.challenge().unwrap();
    assert!(challenge.starts_with("Bearer error=\"invalid_token\""), "{challenge}");

    published.publish(NOW + 10, &json!({"subjects": {"the-app": NOW}}));
    clock.set(NOW + 10);
    assert_eq!(judge(&verifier, &json!({"uti": "u-2"})).await, Err(Rejected::Revoked));
    assert!(judge(&verifier, &json!({"iat": NOW + 1})).await.is_ok(), "it was issued afterwards");
}

#[tokio::test]
async fn a_feed_that_is_kept_from_us_is_missed_after_a_while() {
    for strict in [true, false] {
        let (published, clock) = (Feed::default(), Hand::new());
        published.publish(NOW, &json!({"tokens": {"gone": NOW}}));
        let usual = builder(&published, &clock, ISSUER);
        let verifier =
            if strict { usual.revocations(BELIEVED) } else { usual.revocations_if_known(BELIEVED) };
        let verifier = verifier.build().unwrap();
        assert!(judge(&verifier, &json!({})).await.is_ok());
        published.set(None);
        clock.set(NOW + 59);
        assert!(judge(&verifier, &json!({})).await.is_ok(), "the last one is believed");
        assert_eq!(judge(&verifier, &json!({"uti": "gone"})).await, Err(Rejected::Revoked));
        clock.set(NOW + 62);
        let judged = judge(&verifier, &json!({})).await;
        if strict {
            assert_eq!(judged.unwrap_err().status(), 503, "fail closed");
            assert_eq!(verifier.prepare().await.unwrap_err().status(), 503);
        } else {
            assert!(judged.is_ok() && verifier.prepare().await.is_ok(), "as the operator has said");
        }
        published.publish(NOW + 65, &json!({"all": NOW}));
        clock.set(NOW + 68);
        // One question may have been asked a moment ago, and is not repeated at once.
        let _ = judge(&verifier, &json!({})).await;
        clock.set(NOW + 74);
        assert_eq!(judge(&verifier, &json!({})).await, Err(Rejected::Revoked), "it is back");
    }
}

#[tokio::test]
async fn only_the_issuers_own_feed_of_now_is_believed() {
    let nothing = json!({});
    let stranger = Key::p256("es");
    let same = |changes: &Value| feed(key("es"), NOW, &nothing, &nothing, changes);
    let headed = |header: &Value| feed(key("es"), NOW, &nothing, header, &nothing);
    for (what, text) in [
        ("another's key", feed(&stranger, NOW, &nothing, &nothing, &nothing)),
        ("an access token", token(&json!({"revoked": {}}))),
        ("no type", headed(&json!({"typ": null}))),
        ("another type", headed(&json!({"typ": "at+jwt"}))),
        ("the type as a media type", headed(&json!({"typ": "application/jwt"}))),
        ("no key id", headed(&json!({"kid": null}))),
        ("an unknown key", headed(&json!({"kid": "x"}))),
        ("no algorithm", headed(&json!({"alg": "none"}))),
        ("another issuer", same(&json!({"iss": "https://pass.example.com/other/v2.0"}))),
        ("the other issuer of the tenant", same(&json!({"iss": V1}))),
        ("no issuer", same(&json!({"iss": null}))),
        ("an old one", same(&json!({"iat": NOW - 400, "exp": NOW - 60}))),
        ("one without an end", same(&json!({"exp": null}))),
        ("one of tomorrow", same(&json!({"iat": NOW + 86_400, "exp": NOW + 90_000}))),
        ("no list", same(&json!({"revoked": null}))),
        ("a list of tomorrow's version", same(&json!({"revoked": {"planets": {}}}))),
        ("no JWT", "{}".to_owned()),
    ] {
        let (published, clock) = (Feed::default(), Hand::new());
        published.set(Some(text));
        let verifier = builder(&published, &clock, ISSUER).revocations(BELIEVED).build().unwrap();
        let judged = judge(&verifier, &json!({})).await;
        assert!(matches!(judged, Err(Rejected::Unavailable(_))), "{what}: {judged:?}");
    }
}

#[tokio::test]
async fn the_older_issuer_of_a_tenant_follows_the_same_feed() {
    let (published, clock) = (Feed::default(), Hand::new());
    published.publish(NOW, &json!({"clients": {"0b7e3f52-9c1d-4f7e-8a35-6f6c2f1d9e01": NOW}}));
    let verifier = builder(&published, &clock, V1).revocations(BELIEVED).build().unwrap();
    assert_eq!(judge(&verifier, &json!({"iss": V1})).await, Err(Rejected::Revoked));
}

#[test]
fn how_long_it_is_believed_is_bounded() {
    let (published, clock) = (Feed::default(), Hand::new());
    for (seconds, good) in [(4, false), (5, true), (240, true), (241, false)] {
        let verifier = builder(&published, &clock, ISSUER).revocations(Duration::from_secs(seconds)).build();
        assert_eq!(verifier.is_ok(), good, "{seconds}");
    }
    let plain = Verifier::builder("http://pass.example.com/t/v2.0").audience("a").keys(key_set());
    assert!(plain.fetch(published).revocations(BELIEVED).build().is_err(), "plain http off this machine");
}
