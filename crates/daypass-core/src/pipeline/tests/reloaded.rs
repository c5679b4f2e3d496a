//! What is remembered when another configuration comes, and what is not.

use super::*;
use crate::endpoint::Carrier;

const SESSION: &str = "/getAuthorization?cookie=sid-ann";

fn bench(quota: Quota) -> Bench {
    let mut bench = Bench::new();
    let carrier = Carrier::Cookie("sid".into());
    let rule = SessionRule { carrier, whoami: String::new(), timeout_ms: 1000, cache: 5 };
    let endpoint = Arc::make_mut(&mut bench.world.plan.endpoints[0]);
    (endpoint.callers, endpoint.quota) = (vec![CallerRule::Session(rule)], quota);
    bench
}

impl Bench {
    /// Another configuration, which has this issuer.
    fn reload(&mut self, issuer: Arc<dyn Issuer>) {
        let issuers = [("local".to_owned(), issuer)].into();
        self.pipeline = self.pipeline.with(issuers, self.application.clone());
    }
}

#[tokio::test]
async fn what_was_seen_counted_and_kept_is_remembered() {
    let quota = Quota { subject: Some(1), address: Some(3), endpoint: None };
    let mut bench = bench(quota);
    let (signed, page) = (bench.get(GOOD).await, bench.get(SESSION).await);
    assert!(signed.starts_with("AKID") && page.starts_with("AKID"), "{signed} {page}");
    bench.reload(bench.issuer.clone());
    assert_eq!(bench.get(SESSION).await, page, "it is what the subject has");
    assert_eq!(bench.get(GOOD).await, signed, "it is a retry");
    bench.clock.advance(6_000);
    assert_eq!(bench.get(GOOD).await, "refused replayed");
    for name in ["bob", "dan"] {
        bench.get(&format!("/getAuthorization?cookie=sid-{name}")).await;
    }
    let fourth = bench.get("/getAuthorization?cookie=sid-eve").await;
    assert_eq!(fourth, "refused rate_limited", "those of before count");
}

#[tokio::test]
async fn what_another_issuer_made_is_not_given_again() {
    let mut bench = bench(Quota::default());
    let page = bench.get(SESSION).await;
    let (before, other) = (bench.issuer.clone(), Arc::new(TripleIssuer::default()));
    bench.reload(other.clone());
    assert!(bench.get(SESSION).await.starts_with("AKID"));
    assert_eq!((before.made(), other.made()), (1, 1));
    bench.clock.advance(1_000);
    let kept = bench.get(SESSION).await;
    assert_eq!((kept != page, other.made()), (true, 1));
}
