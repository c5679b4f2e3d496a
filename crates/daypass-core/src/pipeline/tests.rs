//! The order of the phases, seen from outside through a dialect as small as can be.

mod brokered;
mod explained;
mod limits;
mod proofs;
mod reloaded;
mod replay;
mod temporary;
mod visitors;
mod warned;

use super::*;
use crate::caller::How;
use crate::client::KeyKind;
use crate::cutoff::{Cutoff, Scope};
use crate::dialect::{
    Asserted, Claim, Evidence, Form, Presented, RoleChoice, Signed, TicketAsk, Visit, Weak,
};
use crate::endpoint::{CallerRule, Quota, SessionRule, Whence};
use crate::explained::{AnswerId, Lookup, When};
use crate::identity::{Identity, Subject, unavailable};
use crate::issuer::Issuer;
use crate::jose::KeySet;
use crate::provider::Provider;
use crate::record::Event;
use crate::refusal::Reason;
use crate::secret::{Secret, SigningKey, Witness};
use crate::testing::{FixedClock, MemoryStore, START, SeededEntropy, TripleIssuer, World, later, request};
use crate::triple::{self, TripleKind};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

/// `GET /?key=…&sign=…[&token=…][&who]`; the right sign is the key's secret itself.
#[derive(Default)]
struct Toy {
    verified: AtomicUsize,
    /// Signatures computed.
    computed: Arc<AtomicUsize>,
    weak: Option<Weak>,
}

struct ToyCall {
    claim: BTreeMap<String, String>,
    endpoint: Option<Arc<crate::endpoint::Endpoint>>,
    evidence: Option<Evidence>,
    secret: Vec<Secret>,
    assertion: Option<Secret>,
    audiences: Vec<String>,
    tenant: Option<Arc<crate::client::Tenant>>,
    computed: Arc<AtomicUsize>,
    weak: Option<Weak>,
}

impl Call for ToyCall {
    fn claim(&self) -> Claim<'_> {
        let get = |name: &str| self.claim.get(name).map(String::as_str);
        if let Some(endpoint) = &self.endpoint {
            return Claim::Visitor(Visit {
                endpoint,
                evidence: self.evidence.as_ref(),
                origin: get("origin"),
            });
        }
        if let (Some(token), Some(tenant)) = (&self.assertion, &self.tenant) {
            let (client, audiences) = (get("client"), &self.audiences);
            return Claim::Assertion(Asserted { tenant, client, token, audiences });
        }
        if let (Some(client), Some(tenant)) = (get("client"), &self.tenant) {
            return Claim::Secret(Presented {
                tenant,
                client,
                secrets: &self.secret,
                how: How::ClientSecretPost,
            });
        }
        Claim::Signed(Signed {
            key_id: get("key").unwrap_or_default(),
            kind: KeyKind::Tencent,
            token: get("token"),
            signature: get("sign").unwrap_or_default().as_bytes(),
            once: get("once").map(str::as_bytes),
            made: START,
            weak: self.weak,
        })
    }

    fn verify(&self, key: &SigningKey<'_>) -> Option<Witness> {
        // `|` ends the secret; what follows makes two requests differ.
        let sign = self.claim.get("sign")?.split('|').next()?;
        key.matches(sign.as_bytes(), |secret, test| {
            self.computed.fetch_add(1, Ordering::SeqCst);
            test(secret);
        })
    }
}

impl Dialect for Toy {
    type Manner = ();
    type Call = ToyCall;

    fn name(&self) -> DialectName {
        DialectName::TencentSts
    }
    fn manner(&self, _: &Head) {}
    fn read(&self, context: Context<'_>, request: Request, (): &mut ()) -> Result<ToyCall, Refusal> {
        let pairs = request.head.query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        let claim: BTreeMap<_, _> = pairs.map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
        Ok(ToyCall {
            endpoint: context.directory.visited(&request.head.path).cloned(),
            evidence: [
                claim.get("cookie").map(|value| Evidence::Session(Secret::new(value.as_str()))),
                claim.get("ticket").map(|value| Evidence::Ticket(Secret::new(value.as_str()))),
            ]
            .into_iter()
            .flatten()
            .next(),
            assertion: claim.get("assertion").map(|jwt| Secret::new(jwt.as_str())),
            audiences: vec![AUDIENCE.into()],
            secret: claim.get("secret").map(|s| Secret::new(s.replace('+', " "))).into_iter().collect(),
            tenant: claim.get("tenant").and_then(|name| context.directory.tenant(name)).cloned(),
            claim,
            computed: self.computed.clone(),
            weak: self.weak,
        })
    }
    fn ask(&self, _: Context<'_>, verified: &Verified<ToyCall>) -> Result<Ask, Refusal> {
        self.verified.fetch_add(1, Ordering::SeqCst);
        let claim = &verified.call().claim;
        if claim.contains_key("who") {
            return Ok(Ask::WhoAmI);
        }
        if let Some(name) = claim.get("ticket-for") {
            return Ok(Ask::Ticket(Box::new(TicketAsk {
                endpoint: "/getAuthorization".into(),
                subject: Subject { name: name.clone(), variables: BTreeMap::new() },
                origin: ORIGIN.into(),
            })));
        }
        if let Some(id) = claim.get("explain").and_then(|id| Uuid::try_parse(id).ok()) {
            let when = When::of_id(id).unwrap_or(When::About(START));
            return Ok(Ask::Explain(Lookup { id: AnswerId::Whole(id), when }));
        }
        let role =
            if verified.call().endpoint.is_some() { RoleChoice::Endpoint } else { RoleChoice::Default };
        Ok(Ask::Issue(Box::new(Issue {
            lifetime: claim.get("life").and_then(|life| life.parse().ok()),
            session: claim.get("session").cloned(),
            ..Issue::new(role, Form::Triple(TripleKind::Tencent))
        })))
    }
    fn render(&self, (): &(), outcome: Outcome) -> Response {
        let text = match outcome {
            Outcome::Granted(granted) => match &granted.get().credential {
                crate::credential::Credential::Triple(t) => {
                    let next = granted.refresh().map(Secret::expose_str).unwrap_or_default();
                    format!("{} {} {} {next}", t.id, t.secret.expose_str(), t.token).trim_end().to_owned()
                }
                crate::credential::Credential::Bearer(_) => String::new(),
            },
            Outcome::Ticket(ticket) => format!("ticket {}", ticket.get().ticket.expose_str()),
            Outcome::Facts(facts) => format!("{:?} {:?}", facts.role, facts.session),
            Outcome::Inspected(found) => format!("inspected {}", found.is_some()),
            Outcome::Revoked => "revoked".to_owned(),
            Outcome::Verified(verdict) => format!("{verdict:?}"),
            Outcome::Explained(found) => format!("{:?}", found.map(|found| found.record().request)),
            Outcome::Refused(refusal) => format!("refused {}", refusal.reason.label()),
        };
        Response::new(Bytes::from(text))
    }
}

/// The origin of the page of all tests.
const ORIGIN: &str = "http://127.0.0.1:88";

/// What an assertion must call us.
const AUDIENCE: &str = "https://pass.example.com/token";

/// Knows `sid-` and a name as that user's session, does not answer about `down`, and counts its questions.
#[derive(Default)]
struct Application(AtomicUsize);

#[async_trait::async_trait]
impl Identity for Application {
    async fn session(&self, _: &SessionRule, session: &Secret) -> Result<Subject, Refusal> {
        self.0.fetch_add(1, Ordering::SeqCst);
        if session.expose_str() == "down" {
            return Err(unavailable("a test took it down"));
        }
        let name = session.expose_str().strip_prefix("sid-");
        let unknown = || Refusal::new(Reason::UnknownSession, "nobody is logged in");
        Ok(Subject { name: name.ok_or_else(unknown)?.to_owned(), variables: BTreeMap::new() })
    }
    async fn keys(&self, _: &Provider, _: Option<&str>) -> Result<Arc<KeySet>, Refusal> {
        Err(unavailable("no provider here"))
    }
}

struct Bench {
    world: World,
    clock: Arc<FixedClock>,
    store: Arc<MemoryStore>,
    issuer: Arc<TripleIssuer>,
    application: Arc<Application>,
    toy: Toy,
    pipeline: Pipeline,
}

impl Bench {
    fn new() -> Self {
        let (clock, store) = (Arc::new(FixedClock::new(START)), Arc::new(MemoryStore::new()));
        let issuer = Arc::new(TripleIssuer::default());
        let issuers = [("local".to_owned(), issuer.clone() as Arc<dyn Issuer>)].into();
        let entropy = Arc::new(SeededEntropy::new(1));
        let application = Arc::new(Application::default());
        let pipeline = Pipeline::new(clock.clone(), entropy, store.clone(), issuers, application.clone());
        Self { world: World::new(), clock, store, issuer, application, toy: Toy::default(), pipeline }
    }

    async fn get(&self, target: &str) -> String {
        let directory = self.world.directory();
        let answer = self.pipeline.answer(&self.toy, &directory, request("GET", target, &[], b"")).await;
        String::from_utf8(answer.response.into_body().to_vec()).unwrap()
    }

    /// Asks with a new signature each time.
    async fn fresh(&self, n: u32) -> String {
        self.get(&format!("/?key=AKIDworld&sign=secret of AKIDworld|{n}")).await
    }

    /// The caller's question, signed with a temporary credential.
    fn who(granted: &str) -> String {
        let [id, secret, token] = granted.split(' ').collect::<Vec<_>>()[..] else { panic!("{granted}") };
        format!("/?who&key={id}&sign={secret}&token={token}")
    }

    fn events(&self) -> Vec<Event> {
        self.store.all().into_iter().map(|record| record.event).collect()
    }
}

const GOOD: &str = "/?key=AKIDworld&sign=secret of AKIDworld";

#[tokio::test]
async fn a_grant_is_recorded_and_its_credential_works() {
    let bench = Bench::new();
    let granted = bench.get(GOOD).await;
    let [Event::Grant { credential, repeat: false, .. }] = &bench.events()[..] else { panic!() };
    assert!(granted.starts_with(credential.as_str()));
    let record = &bench.store.all()[0];
    assert_eq!((record.client, record.key.as_deref()), (Some(bench.world.client.guid), Some("AKIDworld")));
    assert_eq!(bench.get(&Bench::who(&granted)).await, r#"Some("soe") None"#);
    assert_eq!(bench.store.all().len(), 1, "a question is not recorded");
}

#[tokio::test]
async fn nothing_is_asked_of_a_call_that_was_not_proved() {
    let bench = Bench::new();
    assert_eq!(bench.get("/?key=AKIDworld&sign=wrong").await, "refused wrong_signature");
    assert_eq!(bench.get("/?key=AKIDnobody&sign=secret of AKIDworld").await, "refused unknown_key");
    assert_eq!(bench.get("/?key=12345678&sign=secret of 12345678").await, "refused unknown_key");
    assert_eq!(bench.toy.verified.load(Ordering::SeqCst), 0);
    assert_eq!(bench.issuer.made(), 0);
    assert!(bench.events().is_empty(), "strangers are not recorded one by one");
    bench.pipeline.record_strangers().await;
    let mut counted: Vec<_> = bench
        .events()
        .into_iter()
        .map(|event| match event {
            Event::Strangers { reason, count, .. } => (reason, count),
            other => panic!("{other:?}"),
        })
        .collect();
    counted.sort();
    assert_eq!(counted, [("unknown_key".to_owned(), 2), ("wrong_signature".to_owned(), 1)]);
}

#[tokio::test]
async fn the_stand_in_of_an_unknown_key_opens_nothing() {
    let bench = Bench::new();
    let stand_in = "\0".repeat(32);
    assert_eq!(bench.get(&format!("/?key=AKIDnobody&sign={stand_in}")).await, "refused unknown_key");
}

#[tokio::test]
async fn a_signature_is_computed_for_keys_and_tokens_that_do_not_exist_too() {
    let bench = Bench::new();
    let granted = bench.get(GOOD).await;
    let [id, secret, token] = granted.split(' ').collect::<Vec<_>>()[..] else { panic!("{granted}") };
    for (target, answer) in [
        ("/?key=AKIDworld&sign=wrong".to_owned(), "refused wrong_signature"),
        ("/?key=AKIDnobody&sign=wrong".to_owned(), "refused unknown_key"),
        (format!("/?key={id}&sign={secret}&token=x{token}"), "refused token_invalid"),
    ] {
        let before = bench.toy.computed.load(Ordering::SeqCst);
        assert_eq!(bench.get(&target).await, answer);
        assert_eq!(bench.toy.computed.load(Ordering::SeqCst), before + 1, "{target}");
    }
}

#[tokio::test]
async fn what_cannot_be_recorded_is_not_handed_out() {
    let bench = Bench::new();
    bench.store.go_down();
    assert_eq!(bench.get(GOOD).await, "refused unavailable");
    assert_eq!(
        bench.get("/?key=AKIDworld&sign=secret of AKIDworld&life=9999999").await,
        "refused unavailable"
    );
    bench.store.come_back();
    // The client's retry, later than a retry may come: our failure did not use the request up.
    bench.clock.advance(60_000);
    assert!(bench.get(GOOD).await.starts_with("AKID"));
}

#[tokio::test]
async fn a_key_that_was_disabled_or_has_run_out_is_no_key() {
    let mut bench = Bench::new();
    bench.world.keys[0].expires = Some(later(60));
    assert!(bench.fresh(1).await.starts_with("AKID"));
    bench.clock.set(later(60));
    assert_eq!(bench.fresh(2).await, "refused unknown_key");
    bench.world.keys[0].expires = None;
    assert!(bench.fresh(3).await.starts_with("AKID"));
    bench.world.keys[0].enabled = false;
    assert_eq!(bench.fresh(4).await, "refused unknown_key");
}

#[tokio::test]
async fn a_disabled_client_is_told_only_with_its_right_key() {
    let mut bench = Bench::new();
    bench.world.client.enabled = false;
    assert_eq!(bench.get(GOOD).await, "refused client_disabled");
    assert_eq!(bench.get("/?key=AKIDworld&sign=wrong").await, "refused wrong_signature");
    let [Event::Refusal { reason, .. }] = &bench.events()[..] else { panic!("{:?}", bench.events()) };
    assert_eq!(reason, "client_disabled", "a proved caller is recorded, a stranger counted");
}

#[tokio::test]
async fn client_secrets_live_expired_disabled_and_wrong() {
    let mut bench = Bench::new();
    let secret = format!("secret+of+{}", bench.world.keys[2].id);
    let client = bench.world.client.guid;
    let target =
        |tenant: &str, secret: &str| format!("/?tenant={tenant}&client={client}&secret={secret}&who");
    assert_eq!(bench.get(&target("acme", &secret)).await, "None None");
    assert_eq!(bench.get(&target("acme", "wrong")).await, "refused wrong_secret");
    assert_eq!(bench.get(&target("other", &secret)).await, "refused unknown_client");
    let nobody = format!("/?tenant=acme&client={}&secret={secret}&who", uuid::Uuid::nil());
    assert_eq!(bench.get(&nobody).await, "refused unknown_client");
    bench.world.keys[2].expires = Some(START);
    assert_eq!(bench.get(&target("acme", &secret)).await, "refused expired_secret");
    bench.world.keys[2].expires = None;
    bench.world.keys[2].starts = Some(later(1));
    assert_eq!(bench.get(&target("acme", &secret)).await, "refused wrong_secret", "not yet");
    bench.world.keys[2].starts = Some(START);
    assert_eq!(bench.get(&target("acme", &secret)).await, "None None");
    bench.world.keys[2].starts = None;
    bench.world.keys[2].expires = Some(START);
    assert_eq!(bench.get(&target("acme", "wrong")).await, "refused wrong_secret");
    bench.world.keys[2].enabled = false;
    assert_eq!(bench.get(&target("acme", &secret)).await, "refused wrong_secret");
    let second = crate::testing::secret_key(uuid::Uuid::from_u128(9), client);
    let secret = format!("secret+of+{}", second.id);
    bench.world.keys.push(second);
    assert_eq!(bench.get(&target("acme", &secret)).await, "None None", "either of two live secrets works");
}

#[tokio::test]
async fn an_anonymous_endpoint_has_its_ration() {
    let mut bench = Bench::new();
    assert!(bench.get("/getAuthorization").await.starts_with("AKID"));
    let endpoint = Arc::make_mut(&mut bench.world.plan.endpoints[0]);
    endpoint.quota = Quota { address: Some(2), ..Quota::default() };
    for expected in [true, true, false] {
        let answer = bench.get("/getAuthorization").await;
        assert_eq!(answer != "refused rate_limited", expected, "{answer}");
    }
    bench.clock.advance(60_000);
    let rule = CallerRule::Anonymous { reason: "a test".into(), whence: Whence::Pages };
    Arc::make_mut(&mut bench.world.plan.endpoints[0]).callers = vec![rule];
    assert_eq!(bench.get("/getAuthorization").await, "refused origin_not_allowed");
    assert!(bench.get("/getAuthorization?origin=http://127.0.0.1:88").await.starts_with("AKID"));
    bench.clock.advance(60_000);
    Arc::make_mut(&mut bench.world.plan.endpoints[0]).callers.clear();
    assert_eq!(bench.get("/getAuthorization").await, "refused missing_proof");
}

#[tokio::test]
async fn who_is_near_needs_no_page() {
    let mut bench = Bench::new();
    let whence = |network: &str| Whence::Networks(vec![network.parse().unwrap()]);
    let two = Quota { address: Some(2), ..Quota::default() };
    for (network, expected) in [("192.0.3.0/24", false), ("192.0.2.0/24", true)] {
        let rule = CallerRule::Anonymous { reason: "a test".into(), whence: whence(network) };
        let endpoint = Arc::make_mut(&mut bench.world.plan.endpoints[0]);
        (endpoint.callers, endpoint.quota) = (vec![rule], two);
        for target in ["/getAuthorization", "/getAuthorization?origin=http://127.0.0.1:88"] {
            let answer = bench.get(target).await;
            assert_eq!(answer.starts_with("AKID"), expected, "{network} {target} {answer}");
            assert_eq!(answer == "refused origin_not_allowed", !expected);
        }
    }
    assert_eq!(bench.get("/getAuthorization").await, "refused rate_limited", "the refused were not counted");
    assert_eq!(bench.store.all()[0].via.as_deref(), Some("anonymous"));
}

#[tokio::test]
async fn a_refusal_of_a_known_caller_is_recorded_with_who_and_why() {
    let bench = Bench::new();
    assert_eq!(bench.get(&format!("{GOOD}&life=9999999")).await, "refused lifetime_too_long");
    let [Event::Refusal { reason, detail, asked, .. }] = &bench.events()[..] else { panic!() };
    assert_eq!(reason, "lifetime_too_long");
    assert!(detail.contains("7200"), "{detail}");
    assert_eq!(asked.as_ref().and_then(|asked| asked.lifetime), Some(9_999_999), "and what it asked for");
    assert_eq!(bench.store.all()[0].client, Some(bench.world.client.guid));
}

#[tokio::test]
async fn no_record_holds_a_secret_or_a_token() {
    let bench = Bench::new();
    let granted = bench.get(&format!("{GOOD}&session=s")).await;
    let [_, secret, token] = granted.split(' ').collect::<Vec<_>>()[..] else { panic!() };
    let records = serde_json::to_string(&bench.store.all()).unwrap();
    for hidden in [secret, token, "secret of"] {
        assert!(!records.contains(hidden));
    }
}
