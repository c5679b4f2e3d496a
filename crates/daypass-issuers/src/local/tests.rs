mod shapes;

use super::*;
use daypass_core::dialect::{Issue, RoleChoice};
use daypass_core::policy::{Language, Template, authorize};
use daypass_core::testing::{ACME, RESOURCE, START, SeededEntropy, World, allow, later};
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{DecodingKey, Validation, decode, decode_header};
use serde_json::Value;
use std::collections::BTreeMap;

const KEY: &str = "AKIDworld";

/// The test world, in which the OAuth role signs with this algorithm.
fn world(algorithm: Algorithm) -> World {
    let mut world = World::new();
    for role in &mut world.plan.roles {
        if role.audience.is_some() {
            Arc::make_mut(role).algorithm = algorithm;
        }
    }
    world
}

fn authorized(world: &World, form: Form, role: RoleChoice, lifetime: Option<u32>) -> Authorized {
    let issue = Issue { lifetime, session: Some("session-1".into()), ..Issue::new(role, form) };
    authorize(&world.directory(), &world.caller(KEY), "/here", &issue).unwrap_or_else(|r| panic!("{r:?}"))
}

fn draw(seed: u64) -> Draw {
    Draw::fresh(&SeededEntropy::new(seed), START)
}

async fn bearer(local: &Local, world: &World, seed: u64) -> Result<Bearer, Refusal> {
    let ask = authorized(world, Form::Bearer, RoleChoice::Resource(RESOURCE.into()), None);
    match local.issue(&world.directory(), &ask, &draw(seed)).await?.credential {
        Credential::Bearer(bearer) => Ok(bearer),
        Credential::Triple(_) => panic!("a triple"),
    }
}

/// The test world, in which the default role has a policy in the language of this kind of credential.
fn speaking(kind: TripleKind) -> World {
    let mut world = World::new();
    let language = match kind {
        TripleKind::Tencent => Language::Cam,
        TripleKind::Alibaba => Language::Ram,
    };
    let soe = world.plan.roles.iter_mut().find(|role| role.name == "soe").unwrap();
    let policy = Template::new(allow(language, "soe:Transmit", "*"), &BTreeMap::new()).unwrap();
    Arc::make_mut(soe).policy = Some(policy);
    world
}

async fn a_triple(kind: TripleKind, seed: u64, lifetime: Option<u32>) -> Triple {
    let world = speaking(kind);
    let ask = authorized(&world, Form::Triple(kind), RoleChoice::Default, lifetime);
    match Local::new().issue(&world.directory(), &ask, &draw(seed)).await.map(|issued| issued.credential) {
        Ok(Credential::Triple(triple)) => triple,
        _ => panic!("no triple"),
    }
}

/// The claims of a token for the test world's resource, verified by a library that knows nothing of ours but the
/// published key.
fn verified(world: &World, token: &str) -> Value {
    verified_as(world, token, &format!("http://127.0.0.1:5050/{ACME}/v2.0"), RESOURCE)
}

/// The same for another issuer and audience.
fn verified_as(world: &World, token: &str, issuer: &str, audience: &str) -> Value {
    let header = decode_header(token).unwrap();
    let directory = world.directory();
    let published = directory.ring().published().map(|(key, _)| key.jwk());
    let jwk = published.into_iter().find(|jwk| jwk["kid"] == header.kid.as_deref().unwrap()).unwrap();
    let jwk: Jwk = serde_json::from_value(jwk.clone()).unwrap();
    let mut validation = Validation::new(header.alg);
    validation.set_audience(&[audience]);
    validation.set_issuer(&[issuer]);
    // The test clock stands in 2023; the times are compared below.
    validation.validate_exp = false;
    decode::<Value>(token, &DecodingKey::from_jwk(&jwk).unwrap(), &validation).unwrap().claims
}

#[tokio::test]
async fn a_triple_says_what_was_authorized_and_proves_itself() {
    for kind in [TripleKind::Tencent, TripleKind::Alibaba] {
        let world = speaking(kind);
        let made = a_triple(kind, 1, Some(1)).await;
        let opened =
            triple::open(world.directory().ring(), &made.id, &made.token).unwrap_or_else(|r| panic!("{r:?}"));
        assert_eq!(opened.secret.expose(), made.secret.expose());
        let claims = opened.claims;
        assert_eq!((claims.issued(), claims.expires()), (START, later(1)), "a life of one second is legal");
        assert_eq!(claims.client, Some(world.client.guid));
        assert_eq!(claims.key.as_deref(), Some(KEY));
        assert_eq!(claims.session.as_deref(), Some("session-1"));
        assert_eq!(
            (claims.tenant, claims.role, claims.endpoint),
            ("acme".into(), "soe".into(), "/here".into())
        );
        let ask = authorized(&world, Form::Triple(kind), RoleChoice::Default, None);
        assert_eq!(Some(&*claims.policy), ask.policy());
    }
}

#[tokio::test]
async fn the_same_draw_gives_the_identical_triple() {
    let (a, b) = (a_triple(TripleKind::Tencent, 1, None).await, a_triple(TripleKind::Tencent, 1, None).await);
    assert_eq!((&a.id, &a.token, a.secret.expose()), (&b.id, &b.token, b.secret.expose()));
    let other = a_triple(TripleKind::Tencent, 2, None).await;
    assert!(a.id != other.id && a.token != other.token && a.secret.expose() != other.secret.expose());
}

#[tokio::test]
async fn a_triple_expires_to_the_millisecond() {
    let world = World::new();
    let ask = authorized(&world, Form::Triple(TripleKind::Tencent), RoleChoice::Default, Some(2));
    let at = START + daypass_core::clock::SignedDuration::from_millis(789);
    let draw = Draw::fresh(&SeededEntropy::new(1), at);
    let issued = Local::new().issue(&world.directory(), &ask, &draw).await;
    let Ok(Issued { credential: Credential::Triple(made), .. }) = issued else { panic!("no triple") };
    let opened = triple::open(world.directory().ring(), &made.id, &made.token);
    let claims = opened.unwrap_or_else(|refusal| panic!("{refusal:?}")).claims;
    assert_eq!(claims.expires - claims.issued, 2_000);
    assert_eq!(claims.issued % 1_000, 789);
}

#[tokio::test]
async fn tokens_verify_through_the_published_key() {
    for algorithm in Algorithm::ALL {
        let world = world(*algorithm);
        let bearer = bearer(&Local::new(), &world, 1).await.unwrap();
        let token = bearer.token.expose_str();
        assert_eq!(
            format!("{:?}", decode_header(token).unwrap().alg).to_uppercase(),
            algorithm.name().to_uppercase()
        );
        let claims = verified(&world, token);
        assert_eq!(claims["uti"], bearer.id.to_string());
        assert_eq!(claims["sub"], world.client.object.to_string());
        assert_eq!(claims["roles"], serde_json::json!(["orders.read"]));
        let [iat, nbf, exp] = ["iat", "nbf", "exp"].map(|name| claims[name].as_i64().unwrap());
        assert_eq!((iat, nbf, exp), (START.as_second(), iat - 300, iat + 3600));
    }
}

#[tokio::test]
async fn two_draws_give_two_tokens_and_one_gives_one() {
    let local = Local::new();
    for algorithm in Algorithm::ALL {
        let world = world(*algorithm);
        let (a, b) = (bearer(&local, &world, 1).await.unwrap(), bearer(&local, &world, 2).await.unwrap());
        assert_ne!(a.id, b.id);
        assert_ne!(
            verified(&world, a.token.expose_str())["uti"],
            verified(&world, b.token.expose_str())["uti"]
        );
        let again = bearer(&local, &world, 1).await.unwrap();
        assert_eq!(a.id, again.id);
        // An ECDSA signature has randomness of its own; the claims are still the same.
        if *algorithm == Algorithm::Es256 {
            let signed = |token: &str| token.rsplit_once('.').unwrap().0.to_owned();
            assert_eq!(signed(a.token.expose_str()), signed(again.token.expose_str()));
        } else {
            assert_eq!(a.token.expose(), again.token.expose());
        }
    }
}

#[tokio::test]
async fn a_full_line_for_rs256_is_refused_and_holds_up_nobody_else() {
    let local = Local::bounded(1, 2);
    // One is being signed and one waits: both places are taken.
    let turn = local.rsa.at_once.clone().acquire_owned().await.unwrap();
    let first_place = local.rsa.admitted.enter(Some(ACME), 2).unwrap();
    assert!(local.rsa.admitted.admits(Some(ACME), 2));
    let slow = world(Algorithm::Rs256);
    let mut waiting = Box::pin(bearer(&local, &slow, 1));
    assert!(futures_now(waiting.as_mut()).is_none(), "it waits for its turn");
    let refused = bearer(&local, &slow, 2).await.err().unwrap();
    assert_eq!((refused.reason, refused.retry_after), (Reason::Overloaded, Some(1)));
    assert!(local.rsa.admitted.admits(None, 2), "another tenant has its part");
    assert!(bearer(&local, &world(Algorithm::Es256), 3).await.is_ok());
    assert!(bearer(&local, &world(Algorithm::EdDsa), 4).await.is_ok());
    drop((turn, first_place));
    assert!(waiting.await.is_ok());
    assert!(bearer(&local, &slow, 5).await.is_ok(), "the places were given back");
    assert_eq!((local.rsa.at_once.available_permits(), local.rsa.admitted.taken()), (1, 0));
}

#[tokio::test]
async fn a_caller_that_hangs_up_in_line_gives_its_place_back() {
    let local = Local::bounded(1, 1);
    let turn = local.rsa.at_once.clone().acquire_owned().await.unwrap();
    let slow = world(Algorithm::Rs256);
    let mut gone = Box::pin(bearer(&local, &slow, 1));
    assert!(futures_now(gone.as_mut()).is_none());
    assert_eq!(local.rsa.admitted.taken(), 1);
    drop(gone);
    assert_eq!(local.rsa.admitted.taken(), 0);
    drop(turn);
    assert!(bearer(&local, &slow, 2).await.is_ok());
}

/// Polls once.
fn futures_now<F: Future>(future: std::pin::Pin<&mut F>) -> Option<F::Output> {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match future.poll(&mut context) {
        std::task::Poll::Ready(output) => Some(output),
        std::task::Poll::Pending => None,
    }
}

#[tokio::test]
async fn a_role_without_an_audience_is_our_mistake_and_no_token() {
    let world = World::new();
    let ask = authorized(&world, Form::Bearer, RoleChoice::Default, None);
    let refused = Local::new().issue(&world.directory(), &ask, &draw(1)).await.err().unwrap();
    assert_eq!(refused.reason, Reason::Internal);
    assert_eq!(refused.cause.as_deref(), Some("an access token needs a role with an audience"));
}
