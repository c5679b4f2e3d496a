//! OAuth clients that prove themselves by an assertion, and those who guess.

use super::*;
use crate::client::{Client, Grant};
use crate::guesses::{ALARM, OF_CLIENT, OF_NETWORK};
use crate::jose::assertion::tests::VERIFIED;
use crate::role::Algorithm;
use crate::testing::{client_assertion, public_key};
use serde_json::{Value, json};
use std::net::IpAddr;

const NOBODY: &str = "11111111-2222-3333-4444-555555555555";

impl Bench {
    /// The world's client has a public key.
    fn with_key() -> Self {
        let mut bench = Self::new();
        let key = public_key(Uuid::from_u128(0xa551), bench.world.client.guid, Algorithm::Es256);
        bench.world.keys.push(key);
        bench
    }

    /// Another node: nothing in common but the store and the clock.
    fn twin(&self) -> Self {
        let Bench { world, issuer, application, toy, .. } = Self::with_key();
        let issuers = [("local".to_owned(), issuer.clone() as Arc<dyn Issuer>)].into();
        let entropy = Arc::new(SeededEntropy::new(2));
        let (clock, store) = (self.clock.clone(), self.store.clone());
        let pipeline = Pipeline::new(clock.clone(), entropy, store.clone(), issuers, application.clone());
        Self { world, clock, store, issuer, application, toy, pipeline }
    }

    fn claims(&self, jti: &str) -> Value {
        let now = self.clock.now().as_second();
        let client = self.world.client.guid;
        json!({"iss": client, "sub": client, "aud": AUDIENCE, "jti": jti, "iat": now, "exp": now + 600})
    }

    async fn assert(&self, claims: &Value) -> String {
        let assertion = client_assertion(&json!({"alg": "ES256"}), claims);
        self.get(&format!("/?tenant=acme&assertion={}", assertion.expose_str())).await
    }

    /// Shows a secret, from this address.
    async fn from(&self, source: &str, client: &str, secret: &str) -> Result<Success, Refusal> {
        let directory = self.world.directory();
        let target = format!("/?tenant=acme&client={client}&secret={secret}");
        let mut request = request("GET", &target, &[], b"");
        request.head_mut().source = source.parse::<IpAddr>().unwrap();
        self.pipeline.answer(&self.toy, &directory, request).await.summary.result
    }

    fn id(&self) -> String {
        self.world.client.guid.to_string()
    }

    fn alarms(&self) -> usize {
        self.events().iter().filter(|event| matches!(event, Event::Alarm { .. })).count()
    }
}

fn right_secret() -> String {
    format!("secret+of+{}", Uuid::from_u128(0x5ec))
}

fn reason(result: Result<Success, Refusal>) -> Reason {
    result.expect_err("it must be refused").reason
}

#[tokio::test]
async fn an_assertion_is_good_once_on_all_nodes_together() {
    let bench = Bench::with_key();
    let other = bench.twin();
    let claims = bench.claims("a");
    assert!(bench.assert(&claims).await.starts_with("AKID"));
    assert_eq!(bench.assert(&claims).await, "refused replayed");
    assert_eq!(other.assert(&claims).await, "refused replayed");
    let mut longer = claims.clone();
    longer["exp"] = json!(bench.clock.now().as_second() + 900);
    assert_eq!(other.assert(&longer).await, "refused replayed", "one jti, whatever else it says");
    assert!(other.assert(&bench.claims("b")).await.starts_with("AKID"));
    let refusals: Vec<_> = bench
        .store
        .all()
        .into_iter()
        .filter(|record| matches!(&record.event, Event::Refusal { reason, .. } if reason == "replayed"))
        .collect();
    assert_eq!(refusals.len(), 3, "whoever shows it again is known");
    assert!(refusals.iter().all(|record| record.client == Some(bench.world.client.guid)));
    assert!(refusals.iter().all(|record| record.proof.as_deref() == Some("private_key_jwt")));
}

#[tokio::test]
async fn an_assertion_is_used_up_by_a_right_signature_and_nothing_less() {
    let bench = Bench::with_key();
    let claims = bench.claims("a");
    let assertion = client_assertion(&json!({"alg": "ES256"}), &claims).expose_str().to_owned();
    let forged = client_assertion(&json!({"alg": "EdDSA"}), &claims);
    let forged = format!("/?tenant=acme&assertion={}", forged.expose_str());
    assert_eq!(bench.get(&forged).await, "refused wrong_signature", "a key that is not registered");
    let mut elsewhere = claims.clone();
    elsewhere["aud"] = json!("https://elsewhere.example.com");
    assert_eq!(bench.assert(&elsewhere).await, "refused wrong_audience");
    bench.store.go_down();
    assert_eq!(bench.assert(&claims).await, "refused unavailable");
    bench.store.come_back();
    assert!(bench.get(&format!("/?tenant=acme&assertion={assertion}")).await.starts_with("AKID"));
}

#[tokio::test]
async fn one_clients_jti_is_not_anothers() {
    let mut bench = Bench::with_key();
    let second = Client {
        guid: Uuid::from_u128(2),
        name: "second".into(),
        grants: vec![Grant::of("soe")],
        ..bench.world.client.clone()
    };
    bench.world.keys.push(public_key(Uuid::from_u128(0xb), second.guid, Algorithm::Es256));
    bench.world.others.push(second.clone());
    let mut claims = bench.claims("same");
    assert!(bench.assert(&claims).await.starts_with("AKID"));
    (claims["iss"], claims["sub"]) = (json!(second.guid), json!(second.guid));
    assert!(bench.assert(&claims).await.starts_with("AKID"));
}

#[tokio::test]
async fn another_clients_key_proves_nothing() {
    let mut bench = Bench::with_key();
    bench.world.keys.last_mut().unwrap().client = Uuid::from_u128(2);
    assert_eq!(bench.assert(&bench.claims("a")).await, "refused wrong_signature");
    let mut bench = Bench::with_key();
    bench.world.client.tenant = "other".into();
    assert_eq!(bench.assert(&bench.claims("a")).await, "refused unknown_client");
}

#[tokio::test]
async fn an_unknown_client_costs_as_many_signatures_as_a_wrong_one() {
    let mut bench = Bench::with_key();
    let mut unknown = bench.claims("a");
    (unknown["iss"], unknown["sub"]) = (json!(NOBODY), json!(NOBODY));
    let mut provider = unknown.clone();
    provider["iss"] = json!("https://ci.example.com");
    let mut costs = Vec::new();
    for keys in [2, 1, 0] {
        for (claims, expected) in
            [(bench.claims("a"), "refused wrong_signature"), (unknown.clone(), "refused unknown_client")]
        {
            let before = VERIFIED.get();
            let forged = client_assertion(&json!({"alg": "EdDSA"}), &claims);
            let target = format!("/?tenant=acme&assertion={}", forged.expose_str());
            assert_eq!(bench.get(&target).await, expected, "{keys}");
            costs.push(VERIFIED.get() - before);
        }
        bench.world.keys.pop();
    }
    for (client, expected) in [(bench.id(), "identity_invalid"), (NOBODY.to_owned(), "unknown_client")] {
        let before = VERIFIED.get();
        let forged = client_assertion(&json!({"alg": "EdDSA"}), &provider);
        let target = format!("/?tenant=acme&client={client}&assertion={}", forged.expose_str());
        assert_eq!(bench.get(&target).await, format!("refused {expected}"));
        costs.push(VERIFIED.get() - before);
    }
    assert_eq!(costs, [crate::jose::assertion::TRIED; 8]);
}

#[tokio::test]
async fn past_the_bound_a_wrong_secret_waits_and_the_right_one_is_served() {
    let bench = Bench::new();
    let (known, ours) = (bench.id(), "192.0.2.1");
    for client in [known.as_str(), NOBODY] {
        let expected = if client == NOBODY { Reason::UnknownClient } else { Reason::WrongSecret };
        for _ in 0..OF_CLIENT {
            assert_eq!(reason(bench.from(ours, client, "wrong").await), expected);
        }
        let refusal = bench.from(ours, client, "wrong").await.expect_err("too many");
        assert_eq!((refusal.reason, refusal.retry_after), (Reason::RateLimited, Some(40)));
    }
    let [known_says, nobody_says] =
        [bench.from(ours, &known, "wrong").await, bench.from(ours, NOBODY, "wrong").await].map(|r| {
            let refusal = r.expect_err("too many");
            (refusal.detail, refusal.retry_after)
        });
    assert_eq!(known_says, nobody_says, "nobody learns here who exists");
    assert_eq!(bench.from(ours, &known, &right_secret()).await, Ok(Success::Granted));
    assert_eq!(reason(bench.from("198.51.100.1", &known, "wrong").await), Reason::WrongSecret, "elsewhere");
    bench.clock.advance(40_000);
    assert_eq!(reason(bench.from(ours, &known, "wrong").await), Reason::WrongSecret, "a minute later");
}

/// As with secrets: whoever signs wrongly is told to wait, alike for keys that exist and that do not, and the right signature
/// is served meanwhile.
#[tokio::test]
async fn past_the_bound_a_wrong_signature_waits_and_the_right_one_is_served() {
    let bench = Bench::new();
    let wrong = async |key: &str| bench.get(&format!("/?key={key}&sign=wrong")).await;
    for (key, expected) in [("AKIDworld", "wrong_signature"), ("AKIDnobody", "unknown_key")] {
        for _ in 0..OF_CLIENT {
            assert_eq!(wrong(key).await, format!("refused {expected}"));
        }
        assert_eq!(wrong(key).await, "refused rate_limited", "{key}");
    }
    for n in 0..20 {
        let right = bench.get(&format!("{GOOD}|{n}")).await;
        assert!(right.starts_with("AKID"), "{right}");
        assert_eq!(wrong("AKIDworld").await, "refused rate_limited");
    }
    assert_eq!(bench.alarms(), 0);
    bench.clock.advance(40_000);
    assert_eq!(wrong("AKIDworld").await, "refused wrong_signature", "a minute later");
}

#[tokio::test]
async fn wrong_signatures_of_one_client_from_many_networks_raise_an_alarm() {
    let bench = Bench::new();
    let directory = bench.world.directory();
    for (key, expected) in [("AKIDnobody", 0), ("AKIDworld", 1)] {
        for n in 0..=ALARM {
            let mut request = request("GET", &format!("/?key={key}&sign=wrong"), &[], b"");
            request.head_mut().source = IpAddr::from([10, 0, u8::try_from(n).unwrap(), 1]);
            bench.pipeline.answer(&bench.toy, &directory, request).await;
        }
        assert_eq!(bench.alarms(), expected, "{key}");
    }
    let record = bench.store.all().pop().unwrap();
    assert_eq!((record.client, record.tenant.as_deref()), (Some(bench.world.client.guid), Some("acme")));
}

#[tokio::test]
async fn a_network_that_tries_many_clients_waits_too() {
    let bench = Bench::new();
    for n in 0..OF_NETWORK {
        let client = Uuid::from_u128(n.into()).to_string();
        assert_eq!(reason(bench.from("192.0.2.1", &client, "wrong").await), Reason::UnknownClient);
    }
    let client = Uuid::from_u128(0xffff).to_string();
    assert_eq!(reason(bench.from("192.0.2.254", &client, "wrong").await), Reason::RateLimited);
    assert_eq!(bench.from("192.0.2.1", &bench.id(), &right_secret()).await, Ok(Success::Granted));
}

#[tokio::test]
async fn what_is_no_guess_is_not_counted() {
    let mut bench = Bench::new();
    let secret = bench.world.keys.iter().position(|key| key.kind == KeyKind::ClientSecret).unwrap();
    bench.world.keys[secret].expires = Some(START);
    for _ in 0..=OF_CLIENT {
        assert_eq!(
            reason(bench.from("192.0.2.1", &bench.id(), &right_secret()).await),
            Reason::ExpiredSecret
        );
    }
    for _ in 0..=OF_NETWORK {
        assert_eq!(
            bench.get("/getAuthorization?cookie=guess").await,
            "refused missing_proof",
            "bounded elsewhere"
        );
    }
    assert_eq!(reason(bench.from("192.0.2.1", &bench.id(), "wrong").await), Reason::WrongSecret);
}

#[tokio::test]
async fn where_it_is_configured_so_there_is_no_bound() {
    let mut bench = Bench::new();
    bench.world.plan.guesses_unbounded = true;
    for _ in 0..=OF_NETWORK {
        assert_eq!(reason(bench.from("192.0.2.1", &bench.id(), "wrong").await), Reason::WrongSecret);
    }
    assert_eq!(bench.alarms(), 0);
}

#[tokio::test]
async fn guesses_at_one_client_from_many_networks_raise_one_alarm_an_hour() {
    let bench = Bench::new();
    let flood = async |client: &str| {
        for n in 0..=ALARM + 5 {
            let _ = bench.from(&format!("10.0.{n}.1"), client, "wrong").await;
        }
    };
    flood(NOBODY).await;
    assert_eq!(bench.alarms(), 0, "strangers do not fill the records with clients that do not exist");
    bench.store.go_down();
    flood(&bench.id()).await;
    bench.store.come_back();
    assert_eq!(bench.alarms(), 0);
    let _ = bench.from("10.0.0.1", &bench.id(), "wrong").await;
    assert_eq!(bench.alarms(), 1, "one that could not be written is raised again");
    let record = bench.store.all().pop().unwrap();
    assert_eq!((record.client, record.tenant.as_deref()), (Some(bench.world.client.guid), Some("acme")));
    assert!(matches!(&record.event, Event::Alarm { reason, .. } if reason == "wrong_secret"));
    bench.clock.advance(1_800_000);
    flood(&bench.id()).await;
    assert_eq!(bench.alarms(), 1);
    bench.clock.advance(1_800_000);
    flood(&bench.id()).await;
    assert_eq!(bench.alarms(), 2);
}
