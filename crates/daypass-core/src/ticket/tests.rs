//! A backend, its pages, and those who copy what stands in them.

mod properties;

use super::*;
use crate::client::{Key, KeyKind};
use crate::cutoff::{Cutoff, Scope};
use crate::endpoint::CallerRule;
use crate::ring::Purpose;
use crate::secret::same;
use crate::testing::{START, SeededEntropy, World, before, later, ring, signing_key};
use aws_lc_rs::hmac;
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashSet};

const NOW: i64 = 1_700_000_000;
const PAGE: &str = "http://127.0.0.1:88";
const KEY: &str = "TKworld";
const RULE: TicketRule = TicketRule { refreshes: 3, refresh_for: 600 };

/// The world with a ticket key, and an endpoint that takes tickets.
fn world() -> World {
    let mut world = World::new();
    world.keys.push(signing_key(KEY, KeyKind::Ticket, world.client.guid));
    Arc::make_mut(&mut world.plan.endpoints[0]).callers = vec![CallerRule::Ticket(RULE)];
    world
}

fn endpoint(world: &World) -> Endpoint {
    (*world.plan.endpoints[0]).clone()
}

fn claims() -> Value {
    json!({
        "sub": "alice",
        "origin": PAGE,
        "aud": "http://127.0.0.1:5050/getAuthorization",
        "iat": NOW,
        "exp": NOW + 60,
        "jti": "0123456789abcdef",
        "vars": {"class": "7b"},
    })
}

/// The claims with one of them changed; null takes it away.
fn but(name: &str, value: Value) -> Value {
    let mut claims = claims();
    match value {
        Value::Null => _ = claims.as_object_mut().unwrap().remove(name),
        value => claims[name] = value,
    }
    claims
}

/// Signs any two texts as the owner of this secret would.
fn sign(secret: &str, header: &str, claims: &str) -> Secret {
    let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let mac = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()), signed.as_bytes());
    Secret::new(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(mac)))
}

fn header() -> String {
    json!({"alg": "HS256", "kid": KEY, "typ": "JWT"}).to_string()
}

/// A ticket that the backend signed.
fn offline(claims: &Value) -> Secret {
    sign(&format!("secret of {KEY}"), &header(), &claims.to_string())
}

fn ask() -> TicketAsk {
    TicketAsk {
        endpoint: "/getAuthorization".into(),
        subject: Subject { name: "alice".into(), variables: [("class".into(), "7b".into())].into() },
        origin: PAGE.into(),
    }
}

/// A ticket that Daypass made for the backend.
fn online(world: &World) -> Secret {
    let entropy = SeededEntropy::new(1);
    issue(&ring(), &ask(), world.client.guid, KEY, START, &entropy).unwrap().1.ticket
}

fn show(world: &World, shown: &Secret, now: Timestamp) -> Result<Shown, Refusal> {
    read(&world.directory(), &endpoint(world), Some(PAGE), shown, now)
}

#[track_caller]
fn fine(world: &World, shown: &Secret, now: Timestamp) -> Pass {
    let shown = show(world, shown, now).unwrap_or_else(|refusal| panic!("{refusal:?}"));
    assert_eq!(shown.objection, None);
    assert_eq!(shown.client.guid, world.client.guid);
    shown.pass
}

#[track_caller]
fn objection(world: &World, shown: &Secret, now: Timestamp) -> Refusal {
    let shown = show(world, shown, now).unwrap_or_else(|refusal| panic!("{refusal:?}"));
    shown.objection.expect("something stands against it")
}

#[track_caller]
fn refused(world: &World, shown: &Secret) -> String {
    let refusal = show(world, shown, START).err().expect("it must be refused");
    assert_eq!(refusal.reason, Reason::TicketInvalid);
    refusal.detail.into_owned()
}

#[test]
fn a_signed_ticket_says_who_comes_from_where() {
    let pass = fine(&world(), &offline(&claims()), START);
    let expected = Pass {
        id: "0123456789abcdef".into(),
        client: World::new().client.guid,
        key: KEY.into(),
        endpoint: "/getAuthorization".into(),
        origin: PAGE.into(),
        subject: ask().subject,
        number: 0,
        expires: later(60),
        begun: None,
    };
    assert_eq!(pass, expected);
}

#[test]
fn a_ticket_made_online_says_the_same() {
    let world = world();
    let (entropy, guid) = (SeededEntropy::new(1), world.client.guid);
    let (id, made) = issue(&ring(), &ask(), guid, KEY, START, &entropy).unwrap();
    assert_eq!(made.expires, later(FIRST_USE));
    assert!(made.ticket.expose_str().starts_with("dpt_"));
    let pass = fine(&world, &made.ticket, START);
    assert_eq!((pass.id.as_str(), pass.expires), (id.as_str(), made.expires));
    assert_eq!((pass.subject, pass.origin.as_str(), pass.number, pass.begun), (ask().subject, PAGE, 0, None));
    let (other, _) = issue(&ring(), &ask(), guid, KEY, START, &entropy).unwrap();
    assert_ne!(id, other);
    assert_eq!(URL_SAFE_NO_PAD.decode(id).unwrap().len(), 16);
}

#[test]
fn a_backend_need_not_name_variables_type_or_host() {
    let world = world();
    assert!(fine(&world, &offline(&but("vars", Value::Null)), START).subject.variables.is_empty());
    assert!(fine(&world, &offline(&but("vars", json!({}))), START).subject.variables.is_empty());
    let pass = fine(&world, &offline(&but("aud", json!("/getAuthorization"))), START);
    assert_eq!(pass.endpoint, "/getAuthorization");
    let plain = json!({"alg": "HS256", "kid": KEY}).to_string();
    fine(&world, &sign(&format!("secret of {KEY}"), &plain, &claims().to_string()), START);
}

#[test]
fn all_forgeries_get_one_answer() {
    let mut world = world();
    let other_tenant = world.client.clone();
    world.keys.push(signing_key("TKretired", KeyKind::Ticket, world.client.guid));
    world.keys.last_mut().unwrap().enabled = false;
    let text = claims().to_string();
    let by = |kid: &str, secret: &str| sign(secret, &json!({"alg": "HS256", "kid": kid}).to_string(), &text);
    let right = offline(&claims());
    let (signed, signature) = right.expose_str().rsplit_once('.').unwrap();
    let headed = |header: Value| sign(&format!("secret of {KEY}"), &header.to_string(), &text);
    let online = online(&world);
    for forged in [
        by(KEY, "another secret"),
        by("TKunknown", "another secret"),
        by("TKunknown", ""),
        // The stand-in's own key, which is in the source.
        by("TKunknown", "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"),
        by("TKretired", "secret of TKretired"),
        // A right key of the right client, for another use.
        by("AKIDworld", "secret of AKIDworld"),
        headed(json!({"alg": "none", "kid": KEY})),
        headed(json!({"alg": "HS512", "kid": KEY})),
        headed(json!({"alg": "hs256", "kid": KEY})),
        headed(json!({"alg": "HS256"})),
        headed(json!({"alg": "HS256", "kid": 1})),
        headed(json!({"alg": "HS256", "kid": KEY, "typ": "jwt"})),
        headed(json!({"alg": "HS256", "kid": KEY, "crit": []})),
        headed(json!({"alg": "HS256", "kid": KEY, "jwk": {}})),
        sign(&format!("secret of {KEY}"), &header().replacen('{', r#"{"alg":"HS256","#, 1), &text),
        Secret::new(format!("{signed}.")),
        Secret::new(signed),
        Secret::new(format!("{signed}.{signature}=")),
        Secret::new(format!("{signed}.{}", &signature[..signature.len() - 4])),
        Secret::new(format!("{} ", online.expose_str())),
        Secret::new(online.expose_str().replacen("dpt_", "dpt_A", 1)),
        Secret::new("dpt_"),
        Secret::new(format!("dpt_{}", "A".repeat(10_000))),
        Secret::new(""),
        Secret::new([0xff, 0xfe]),
    ] {
        assert_eq!(refused(&world, &forged), super::forged().detail, "{}", forged.expose_str());
    }
    // Right in everything, but the client belongs to another tenant than the endpoint.
    world.client = Client { tenant: "other".into(), ..other_tenant };
    for ticket in [&right, &online] {
        assert_eq!(refused(&world, ticket), super::forged().detail);
    }
}

#[test]
fn a_backend_that_signs_something_else_is_told_what_is_missing() {
    let world = world();
    for (name, values) in [
        ("sub", vec![Value::Null, json!(""), json!(1), json!("a\nb"), json!("x".repeat(129))]),
        ("origin", vec![Value::Null, json!([PAGE])]),
        ("aud", vec![Value::Null, json!(["/getAuthorization"])]),
        ("iat", vec![Value::Null, json!(NOW.to_string())]),
        ("exp", vec![Value::Null, json!(NOW.to_string()), json!(-1)]),
        (
            "jti",
            vec![Value::Null, json!("short"), json!("x".repeat(65)), json!("with blanks in it"), json!(1)],
        ),
        ("vars", vec![json!([]), json!({"class": 7}), json!({"class": null}), json!("x")]),
    ] {
        for value in values {
            let said = refused(&world, &offline(&but(name, value.clone())));
            assert!(said.contains(&format!("expected were {name}")), "{name} {value}: {said}");
        }
    }
    assert!(refused(&world, &offline(&but("scope", json!("all")))).contains("the claims sub, origin"));
    let doubled = claims().to_string().replacen('{', r#"{"sub":"bob","#, 1);
    let doubled = sign(&format!("secret of {KEY}"), &header(), &doubled);
    assert!(refused(&world, &doubled).contains("without doubled members"));
    let long = offline(&but("vars", json!({"class": "x".repeat(LONGEST)})));
    assert_eq!(refused(&world, &long), super::forged().detail);
}

#[test]
fn a_ticket_is_for_one_endpoint() {
    let world = world();
    for aud in [
        "http://127.0.0.1:5050/other",
        "/other",
        "getAuthorization",
        "http://127.0.0.1:5050/getAuthorization/",
        "http://127.0.0.1:5050",
        "https://127.0.0.1:5050/getAuthorization",
        "http://127.0.0.1:50505/getAuthorization",
        "http://evil.example/getAuthorization",
        "",
    ] {
        let refusal = objection(&world, &offline(&but("aud", json!(aud))), START);
        assert_eq!(refusal.reason, Reason::TicketInvalid, "{aud}");
        assert!(refusal.detail.contains("another endpoint"), "{aud}: {refusal}");
    }
    let elsewhere = Endpoint { path: "/other".into(), ..endpoint(&world) };
    for ticket in [offline(&claims()), online(&world)] {
        let shown = read(&world.directory(), &elsewhere, Some(PAGE), &ticket, START).ok().unwrap();
        assert!(shown.objection.unwrap().detail.contains("another endpoint"));
    }
}

#[test]
fn a_ticket_is_for_one_page() {
    let world = world();
    for ticket in [offline(&claims()), online(&world)] {
        for origin in [None, Some("https://evil.example"), Some("http://127.0.0.1:8"), Some(""), Some("null")]
        {
            let shown = read(&world.directory(), &endpoint(&world), origin, &ticket, START).ok().unwrap();
            let refusal = shown.objection.unwrap();
            assert_eq!(refusal.reason, Reason::TicketInvalid);
            assert!(refusal.detail.contains("another page") && !refusal.detail.contains("127.0.0.1"));
        }
    }
}

#[test]
fn a_ticket_has_its_time() {
    let world = world();
    let ticket = offline(&claims());
    fine(&world, &ticket, before(later(60), 1));
    let over = objection(&world, &ticket, later(60));
    assert_eq!(over.detail, "this ticket ended at 2023-11-14T22:14:20Z; ask the application for a new one");
    fine(&world, &offline(&but("exp", json!(NOW + 120))), START);
    assert!(
        objection(&world, &offline(&but("exp", json!(NOW + 121))), START).detail.contains("for too long")
    );
    let ahead = |seconds: i64| {
        let mut claims = but("iat", json!(NOW + seconds));
        claims["exp"] = json!(NOW + seconds + 60);
        offline(&claims)
    };
    fine(&world, &ahead(60), START);
    assert!(objection(&world, &ahead(61), START).detail.contains("set the clock right"));
    let online = online(&world);
    fine(&world, &online, later(FIRST_USE - 1));
    assert!(objection(&world, &online, later(FIRST_USE)).detail.contains("this ticket ended at"));
}

#[test]
fn what_was_taken_back_is_authentic_and_not_served() {
    let next = next_of(&world(), &online(&world()), START).unwrap();
    let scopes = [
        Scope::Tenant("acme".into()),
        Scope::Client(world().client.guid),
        Scope::Key(KEY.into()),
        Scope::Role { tenant: "acme".into(), role: "soe".into() },
        Scope::Subject { tenant: "acme".into(), subject: "alice".into() },
    ];
    for ticket in [offline(&claims()), online(&world()), next] {
        for scope in &scopes {
            let mut world = world();
            world.cutoffs = vec![Cutoff { scope: scope.clone(), before: START }];
            let refusal = objection(&world, &ticket, START);
            assert_eq!(refusal.reason, Reason::TicketInvalid);
            assert!(refusal.detail.contains("taken back"), "{scope}: {refusal}");
            world.cutoffs = vec![Cutoff { scope: scope.clone(), before: before(START, 1) }];
            fine(&world, &ticket, START);
        }
        let mut disabled = world();
        disabled.client.enabled = false;
        assert_eq!(objection(&disabled, &ticket, START).reason, Reason::ClientDisabled);
    }
}

#[test]
fn a_sealed_pass_falls_with_the_key_that_it_was_made_with() {
    type Undo = fn(&mut Key);
    let undo: [Undo; 3] =
        [|key| key.enabled = false, |key| key.expires = Some(START), |key| key.client = Uuid::from_u128(7)];
    for undo in undo {
        let mut world = world();
        undo(world.keys.last_mut().unwrap());
        assert!(objection(&world, &online(&world), START).detail.contains("taken back"));
    }
    let mut gone = world();
    gone.client.guid = Uuid::from_u128(9);
    assert_eq!(refused(&gone, &online(&world())), forged().detail);
}

fn next_of(world: &World, shown: &Secret, now: Timestamp) -> Option<Secret> {
    next(&ring(), &RULE, &fine(world, shown, now), now, &SeededEntropy::new(2)).unwrap()
}

#[test]
fn each_use_gives_the_next_until_there_are_no_more() {
    let world = world();
    for first in [offline(&claims()), online(&world)] {
        let (mut ticket, mut passes) = (first, vec![]);
        for use_number in 0..=RULE.refreshes {
            let now = later(use_number * 30);
            let pass = fine(&world, &ticket, now);
            assert_eq!(pass.number, use_number);
            let following = next_of(&world, &ticket, now);
            assert_eq!(following.is_some(), use_number < RULE.refreshes);
            passes.push(pass);
            let Some(following) = following else { break };
            ticket = following;
        }
        let begun: Vec<_> = passes.iter().map(|pass| pass.begun).collect();
        assert_eq!(begun, [None, Some(START), Some(START), Some(START)], "the first use counts");
        assert!(passes[1..].iter().all(|pass| pass.expires == later(RULE.refresh_for)));
        assert!(
            passes.iter().all(|p| p.id == passes[0].id && p.subject == ask().subject && p.origin == PAGE)
        );
        let marks: HashSet<_> = passes.iter().map(|pass| mark(pass).unwrap()).collect();
        assert_eq!(marks.len(), passes.len(), "each is spent on its own");
    }
}

#[test]
fn what_follows_ends_with_the_time_of_the_rule() {
    let world = world();
    let second = next_of(&world, &online(&world), later(100)).unwrap();
    let end = later(100 + RULE.refresh_for);
    fine(&world, &second, before(end, 1));
    assert!(objection(&world, &second, end).detail.contains("this ticket ended at"));
    let pass = fine(&world, &second, later(200));
    assert!(next(&ring(), &RULE, &pass, end, &SeededEntropy::new(1)).unwrap().is_none());
    let none = |rule| next(&ring(), &rule, &pass, later(200), &SeededEntropy::new(1)).unwrap().is_none();
    assert!(none(TicketRule { refreshes: 0, ..RULE }));
    assert!(none(TicketRule { refresh_for: 0, ..RULE }));
}

#[test]
fn a_stricter_rule_holds_for_passes_that_are_out() {
    let second = next_of(&world(), &online(&world()), START).unwrap();
    let under = |rule| {
        let mut world = world();
        Arc::make_mut(&mut world.plan.endpoints[0]).callers = vec![CallerRule::Ticket(rule)];
        show(&world, &second, later(60)).ok().unwrap().objection.map(|refusal| refusal.detail)
    };
    assert_eq!(under(RULE), None);
    assert!(under(TicketRule { refresh_for: 60, ..RULE }).unwrap().contains("this ticket ended at"));
    assert!(under(TicketRule { refreshes: 0, ..RULE }).unwrap().contains("carries no further"));
}

#[test]
fn marks_of_different_tickets_differ() {
    let pass = fine(&world(), &offline(&claims()), START);
    let of = |pass: &Pass| mark(pass).unwrap();
    let same_ticket =
        Pass { expires: later(1), subject: Subject { name: "bob".into(), ..ask().subject }, ..pass.clone() };
    assert_eq!(of(&pass), of(&same_ticket), "the id alone counts");
    for other in [
        Pass { id: "0123456789abcdeg".into(), ..pass.clone() },
        Pass { key: "TKother".into(), ..pass.clone() },
        Pass { number: 1, ..pass.clone() },
        Pass { id: "0123456789abcde".into(), key: "TKworldf".into(), ..pass.clone() },
    ] {
        assert_ne!(of(&pass), of(&other));
    }
}

#[test]
fn a_mark_is_the_same_at_every_node_and_under_every_ring() {
    let pass = Pass {
        id: "0123456789abcdef".into(),
        key: "TKworld".into(),
        ..fine(&world(), &offline(&claims()), START)
    };
    assert_eq!(mark(&pass).unwrap(), [2, 170, 177, 96, 67, 44, 64, 71, 173, 158, 51, 71, 225, 70, 78, 43]);
}

#[test]
fn what_another_key_or_label_sealed_is_no_pass() {
    let (world, ring) = (world(), ring());
    let right = URL_SAFE_NO_PAD.decode(&online(&world).expose_str()[4..]).unwrap();
    let key = ring.seal(Purpose::Ticket, 1).unwrap();
    let plain = key.open(b"daypass ticket v1", &right).unwrap();
    let sealed = |purpose, label: &[u8], plain: &[u8]| {
        let sealed = ring.seal(purpose, 1).unwrap().seal(label, [3; 12], plain).unwrap();
        Secret::new(format!("dpt_{}", URL_SAFE_NO_PAD.encode(sealed)))
    };
    fine(&world, &sealed(Purpose::Ticket, b"daypass ticket v1", &plain), START);
    for forged in [
        sealed(Purpose::TokenSeal, b"daypass ticket v1", &plain),
        sealed(Purpose::Rest, b"daypass ticket v1", &plain),
        sealed(Purpose::Ticket, b"", &plain),
        sealed(Purpose::Ticket, b"daypass ticket v1", &[&[2], &plain[1..]].concat()),
        sealed(Purpose::Ticket, b"daypass ticket v1", &plain[..plain.len() / 2]),
        sealed(Purpose::Ticket, b"daypass ticket v1", &[]),
    ] {
        assert_eq!(refused(&world, &forged), super::forged().detail);
    }
    let id = "AKID-an-id";
    let text = URL_SAFE_NO_PAD.encode(&right);
    assert!(crate::triple::open(&ring, id, &text).is_err(), "and a pass is no token");
}

#[test]
fn a_sealed_pass_shows_nothing() {
    let ticket = online(&world());
    let bytes = URL_SAFE_NO_PAD.decode(&ticket.expose_str()[4..]).unwrap();
    for word in ["alice", "127.0.0.1", "getAuthorization", KEY, "7b"] {
        assert!(!bytes.windows(word.len()).any(|part| same(part, word.as_bytes())), "{word}");
    }
}

#[test]
fn too_much_for_one_ticket_is_refused_when_it_is_made() {
    let big = |length: usize| {
        let variables = BTreeMap::from([("class".to_owned(), "x".repeat(length))]);
        let subject = Subject { name: "alice".into(), variables };
        let entropy = SeededEntropy::new(1);
        issue(&ring(), &TicketAsk { subject, ..ask() }, Uuid::nil(), KEY, START, &entropy)
    };
    assert!(big(2500).is_ok());
    assert_eq!(big(LONGEST).err().map(|refusal| refusal.reason), Some(Reason::TooLarge));
    // The largest offline ticket can be followed.
    let world = world();
    let mut claims = claims();
    claims["vars"] = json!({"class": "x".repeat(2700)});
    let second = next_of(&world, &offline(&claims), START).unwrap();
    fine(&world, &next_of(&world, &second, START).unwrap(), START);
}

#[test]
fn tickets_do_not_open_under_another_ring() {
    let entropy = SeededEntropy::new(99);
    let rows = Ring::generate(&crate::testing::kek(), &entropy, START).unwrap();
    let other = Ring::open(&rows, &crate::testing::kek()).unwrap();
    let world = world();
    let ticket = issue(&other, &ask(), world.client.guid, KEY, START, &entropy).unwrap().1.ticket;
    assert_eq!(refused(&world, &ticket), forged().detail);
}
