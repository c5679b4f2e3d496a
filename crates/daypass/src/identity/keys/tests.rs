//! Against a provider on this machine that counts what it is asked.

use super::super::http::Trust;
use super::super::testing::{Fake, Say};
use super::*;
use daypass_core::jose::Signer;
use daypass_core::refusal::Reason;
use daypass_core::role::Algorithm;
use daypass_core::testing::{FixedClock, START};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::LazyLock;

const WELL_KNOWN: &str = "/.well-known/openid-configuration";

/// Two public keys, `one` and `two`.
static KEYS: LazyLock<[Value; 2]> = LazyLock::new(|| {
    ["one", "two"].map(|kid| {
        let algorithm = Algorithm::Es256;
        let signer = Signer::parse(algorithm, &Signer::generate(algorithm).unwrap()).unwrap();
        let mut jwk = signer.jwk().clone();
        jwk["kid"] = kid.into();
        jwk
    })
});

fn jwks(keys: &[Value]) -> Say {
    Say::json(&json!({"keys": keys}).to_string())
}

struct Fixture {
    clock: Arc<FixedClock>,
    keys: Arc<Keys>,
    fake: Fake,
    provider: Provider,
}

impl Fixture {
    /// A provider whose keys, `one` alone, are at a given address.
    async fn new() -> Self {
        Self::with(Fake::saying(jwks(&KEYS[..1])).await)
    }

    fn with(fake: Fake) -> Self {
        let clock = Arc::new(FixedClock::new(START));
        let keys = Arc::new(Keys::new(Arc::new(Http::new(Trust::Nobody).unwrap()), clock.clone()));
        let provider = Provider {
            tenant: "acme".to_owned(),
            name: "corp".to_owned(),
            issuer: fake.url(""),
            audiences: vec!["daypass".to_owned()],
            keys: KeySource::Url(fake.url("/keys")),
            subject: "sub".to_owned(),
            variables: BTreeMap::new(),
            quota: daypass_core::provider::Quota::default(),
        };
        Self { clock, keys, fake, provider }
    }

    /// A provider that is found by discovery, with this document.
    async fn discovered(document: impl FnOnce(&Fake) -> Value) -> Self {
        let mut f = Self::new().await;
        f.fake.at(WELL_KNOWN, Say::json(&document(&f.fake).to_string()));
        f.provider.keys = KeySource::Discovery;
        f
    }

    async fn of(&self, kid: &str) -> Result<Arc<KeySet>, Refusal> {
        self.keys.of(&self.provider, Some(kid)).await
    }

    async fn why(&self) -> String {
        let refusal = self.of("one").await.unwrap_err();
        assert_eq!(refusal.reason, Reason::IdentityUnavailable);
        refusal.cause.unwrap()
    }
}

#[tokio::test]
async fn keys_from_a_file_are_there_at_once() {
    let mut f = Fixture::new().await;
    let inline = Arc::new(KeySet::parse(json!({"keys": &KEYS[..]}).to_string().as_bytes()).unwrap());
    f.provider.keys = KeySource::Inline(inline);
    assert!(f.of("one").await.unwrap().has("two"));
    assert_eq!(f.fake.count(), 0);
}

#[tokio::test]
async fn a_thousand_who_ask_at_once_are_one_question() {
    let f = Fixture::new().await;
    f.fake.hold();
    let ask = |n: usize| {
        let (keys, provider) = (f.keys.clone(), f.provider.clone());
        tokio::spawn(async move { keys.of(&provider, Some(["one", "unheard-of"][n % 2])).await })
    };
    let askers: Vec<_> = (0..1_000).map(ask).collect();
    f.fake.has_heard(1).await;
    f.fake.release();
    for asker in askers {
        assert!(asker.await.unwrap().unwrap().has("one"));
    }
    assert_eq!(f.fake.count(), 1);
}

#[tokio::test]
async fn keys_are_fresh_for_as_long_as_is_said_within_bounds() {
    for (said, seconds) in [
        (None, 600),
        (Some("max-age=120"), 120),
        (Some("max-age=0"), 60),
        (Some("no-store, max-age=1"), 60),
        (Some("max-age=86400"), 3600),
    ] {
        let f = Fixture::new().await;
        if let Some(said) = said {
            f.fake.say(jwks(&KEYS[..1]).header("cache-control", said));
        }
        f.of("one").await.unwrap();
        f.clock.advance(seconds * 1_000 - 1);
        f.of("one").await.unwrap();
        f.keys.of(&f.provider, None).await.unwrap();
        assert_eq!(f.fake.count(), 1, "{said:?}");
        f.clock.advance(1);
        f.of("one").await.unwrap();
        assert_eq!(f.fake.count(), 2, "{said:?}");
    }
}

#[tokio::test]
async fn a_key_that_was_taken_back_is_gone_once_the_keys_are_not_fresh() {
    let f = Fixture::new().await;
    f.of("one").await.unwrap();
    f.fake.say(jwks(&KEYS[1..]));
    f.clock.advance(600_000);
    let keys = f.of("one").await.unwrap();
    assert!(!keys.has("one") && keys.has("two"));
}

#[tokio::test]
async fn an_unheard_of_key_is_looked_for_at_most_once_in_ten_seconds() {
    let f = Fixture::new().await;
    f.of("one").await.unwrap();
    f.fake.say(jwks(&KEYS[..]));
    f.clock.advance(9_999);
    for n in 0..100 {
        assert!(!f.of(&format!("made-up-{n}")).await.unwrap().has("two"));
    }
    assert_eq!(f.fake.count(), 1);
    f.clock.advance(1);
    assert!(f.of("two").await.unwrap().has("two"));
    for n in 0..100 {
        f.of(&format!("made-up-{n}")).await.unwrap();
    }
    assert_eq!(f.fake.count(), 2);
}

#[tokio::test]
async fn a_silent_providers_keys_are_believed_for_a_day() {
    let f = Fixture::new().await;
    f.of("one").await.unwrap();
    f.fake.say(Say::json("{}").status(500));
    f.clock.advance(600_000);
    for _ in 0..10 {
        assert!(f.of("one").await.unwrap().has("one"));
    }
    assert_eq!(f.fake.count(), 2, "and it is left in peace for ten seconds");
    f.clock.advance(10_000);
    assert!(f.of("one").await.unwrap().has("one"));
    assert_eq!(f.fake.count(), 3);
    f.clock.set(START);
    f.clock.advance(24 * 3_600_000 - 1);
    assert!(f.of("one").await.unwrap().has("one"), "to the last moment of the day");
    f.clock.advance(1);
    assert_eq!(f.why().await, format!("provider corp: {} answers 500", f.fake.url("")));
    f.fake.say(jwks(&KEYS[..1]));
    f.clock.advance(1_000);
    assert!(f.of("one").await.unwrap().has("one"));
}

#[tokio::test]
async fn a_look_that_failed_does_not_lengthen_the_day_nor_the_freshness() {
    let f = Fixture::new().await;
    f.of("one").await.unwrap();
    f.fake.say(Say::json("{}").status(500));
    f.clock.advance(20_000);
    assert!(!f.of("made-up").await.unwrap().has("made-up"));
    f.fake.say(jwks(&KEYS[1..]));
    f.clock.advance(579_999);
    assert!(f.of("one").await.unwrap().has("one"));
    f.clock.advance(1);
    assert!(!f.of("one").await.unwrap().has("one"));
}

#[tokio::test]
async fn without_any_keys_the_provider_is_asked_once_a_second() {
    let f = Fixture::new().await;
    f.fake.say(Say::json("{}").status(503));
    for _ in 0..100 {
        assert_eq!(f.why().await, format!("provider corp: {} answers 503", f.fake.url("")));
    }
    assert_eq!(f.fake.count(), 1);
    f.clock.advance(999);
    f.why().await;
    assert_eq!(f.fake.count(), 1);
    f.clock.advance(1);
    f.fake.say(jwks(&KEYS[..1]));
    assert!(f.of("one").await.is_ok());
}

#[tokio::test]
async fn what_is_no_key_set_gives_no_keys() {
    let large = json!({"keys": &KEYS[..], "pad": "x".repeat(DOCUMENT)}).to_string();
    for say in [
        Say::json("{}"),
        Say::json("not json"),
        Say::json(&large),
        Say::json(&large).unannounced(),
        Say::json(r#"{"keys":[],"keys":[]}"#),
        jwks(&KEYS[..]).header("content-type", "text/html"),
        jwks(&KEYS[..]).status(201),
        jwks(&KEYS[..]).status(302).header("location", "/keys2"),
        jwks(&KEYS[..]).status(404),
    ] {
        let f = Fixture::new().await;
        f.fake.say(say);
        f.fake.at("/keys2", jwks(&KEYS[..]));
        f.why().await;
        assert_eq!(f.fake.count(), 1);
    }
    Fixture::with(Fake::gone().await).why().await;
}

#[tokio::test]
async fn keys_are_discovered_from_the_issuer() {
    for end in ["", "/", "/realms/acme"] {
        let mut f =
            Fixture::discovered(|fake| json!({"issuer": fake.url(end), "jwks_uri": fake.url("/k")})).await;
        f.provider.issuer = f.fake.url(end);
        if end == "/realms/acme" {
            let document = json!({"issuer": f.fake.url(end), "jwks_uri": f.fake.url("/k")}).to_string();
            f.fake.at(WELL_KNOWN, Say::json("{}"));
            f.fake.at(&format!("{end}{WELL_KNOWN}"), Say::json(&document));
        }
        assert!(f.of("one").await.unwrap().has("one"), "{end}");
        let lines: Vec<_> = f.fake.asked().into_iter().map(|asked| asked.line).collect();
        let base = end.trim_end_matches('/');
        assert_eq!(lines, [format!("GET {base}{WELL_KNOWN}"), "GET /k".to_owned()]);
    }
}

#[tokio::test]
async fn a_discovery_document_must_be_the_issuers_own() {
    let documents: [fn(&Fake) -> Value; 4] = [
        |fake| json!({"jwks_uri": fake.url("/keys")}),
        |fake| json!({"issuer": fake.url("/"), "jwks_uri": fake.url("/keys")}),
        |fake| json!({"issuer": [fake.url("")], "jwks_uri": fake.url("/keys")}),
        |fake| json!({"issuer": "https://login.example.com", "jwks_uri": fake.url("/keys")}),
    ];
    for document in documents {
        let f = Fixture::discovered(document).await;
        let expected = "names another issuer";
        assert_eq!(
            f.why().await,
            format!("provider corp: the discovery document at {} {expected}", f.fake.url(""))
        );
        assert_eq!(f.fake.count(), 1, "the keys were not asked for");
    }
    let f = Fixture::discovered(|_| json!({})).await;
    let twice = format!(r#"{{"issuer":"{0}","issuer":"{0}","jwks_uri":"{0}/keys"}}"#, f.fake.url(""));
    f.fake.at(WELL_KNOWN, Say::json(&twice));
    assert!(f.why().await.contains("cannot be read: a member stands twice"));
}

#[test]
fn a_discovery_document_leads_over_tls_or_within_this_machine() {
    const HERE: &str = "http://127.0.0.1:8080";
    const AWAY: &str = "https://login.example.com";
    let plain = "has a jwks_uri at an address that is neither https nor plain http on this machine";
    let here = "has a jwks_uri on this machine, where the issuer is not";
    for (issuer, uri, expected) in [
        (AWAY, json!("https://keys.example.com/k"), Ok(())),
        (AWAY, json!("https://10.0.0.1/k"), Ok(())),
        (HERE, json!("https://keys.example.com/k"), Ok(())),
        (HERE, json!("http://127.0.0.1:9090/k"), Ok(())),
        (AWAY, json!("http://127.0.0.1:9090/k"), Err(here)),
        (AWAY, json!("http://localhost/k"), Err(here)),
        (AWAY, json!("http://login.example.com/k"), Err(plain)),
        (HERE, json!("http://169.254.169.254/k"), Err(plain)),
        (HERE, json!("file:///etc/passwd"), Err(plain)),
        (
            AWAY,
            json!("https://a:b@login.example.com/k"),
            Err("has a jwks_uri at an address with a user name in it"),
        ),
        (AWAY, json!("/k"), Err("has a jwks_uri at an address that is no URL")),
        (AWAY, json!(5), Err("has no jwks_uri")),
    ] {
        let document = json!({"issuer": issuer, "jwks_uri": uri}).to_string();
        let found = keys_of(issuer, &Address::parse(issuer).unwrap(), document.as_bytes());
        assert_eq!(found.as_ref().map(|_| ()).map_err(String::as_str), expected, "{issuer} {uri}");
    }
}

#[tokio::test]
async fn providers_are_kept_apart() {
    let f = Fixture::new().await;
    f.of("one").await.unwrap();
    let other = Provider { tenant: "other".to_owned(), ..f.provider.clone() };
    f.fake.say(jwks(&KEYS[1..]));
    assert!(f.keys.of(&other, Some("two")).await.unwrap().has("two"));
    assert!(!f.of("one").await.unwrap().has("two"));
}

/// A reload may send a provider of an old name elsewhere.
#[tokio::test]
async fn keys_of_the_place_before_are_not_those_of_the_next() {
    let f = Fixture::new().await;
    f.of("one").await.unwrap();
    f.fake.at("/moved", jwks(&KEYS[1..]));
    let moved = Provider { keys: KeySource::Url(f.fake.url("/moved")), ..f.provider.clone() };
    let keys = f.keys.of(&moved, Some("one")).await.unwrap();
    assert!(keys.has("two") && !keys.has("one"));
    let renamed = Provider { issuer: "https://other.example.com".to_owned(), ..moved };
    f.fake.at("/moved", jwks(&KEYS[..1]));
    assert!(f.keys.of(&renamed, Some("one")).await.unwrap().has("one"));
    assert!(f.of("one").await.unwrap().has("one"), "and back again");
}
