//! What makes two requests ask for one thing.

use super::*;
use daypass_core::caller::How;
use daypass_core::client::Client;
use daypass_core::inspect::OwnToken;
use daypass_core::policy::{Language, authorize_exchange};
use daypass_core::ring::Ring;
use daypass_core::testing::{allow, kek};
use daypass_core::triple::SessionKind;
use std::collections::HashMap;

fn marks(bed: &Bed, requests: Vec<(&'static str, Request)>) -> HashMap<[u8; 16], Vec<&'static str>> {
    let mut of: HashMap<_, Vec<_>> = HashMap::new();
    for (name, request) in requests {
        of.entry(bed.place(&request)).or_default().push(name);
    }
    of
}

fn tencent() -> Issue {
    Issue::new(RoleChoice::Default, Form::Triple(TripleKind::Tencent))
}

fn map(name: &str, value: &str) -> BTreeMap<String, String> {
    [(name.to_owned(), value.to_owned())].into()
}

/// Requests of the world's client that differ in one thing each.
fn asks(bed: &Bed) -> Vec<(&'static str, Request)> {
    let upload = |poi: &str| {
        let variables =
            [("tenant_code".to_owned(), "hema".to_owned()), ("poi_id".to_owned(), poi.to_owned())];
        let role = RoleChoice::Named("store-upload".into());
        Issue { variables: variables.into(), ..Issue::new(role, Form::Triple(TripleKind::Alibaba)) }
    };
    let issues = [
        ("plain", tencent()),
        ("lifetime", Issue { lifetime: Some(900), ..tencent() }),
        ("session", Issue { session: Some("a".into()), ..tencent() }),
        ("empty session", Issue { session: Some(String::new()), ..tencent() }),
        ("kind", Issue { kind: SessionKind::Assumed, ..tencent() }),
        ("tag", Issue { tags: map("a", "bc"), ..tencent() }),
        ("tag cut elsewhere", Issue { tags: map("ab", "c"), ..tencent() }),
        ("identity", Issue { source_identity: Some("a".into()), ..tencent() }),
        ("variables", upload("8005")),
        ("other variables", upload("8006")),
        ("form and role", bearer()),
    ];
    issues.into_iter().map(|(name, issue)| (name, bed.request(&issue))).collect()
}

#[tokio::test(start_paused = true)]
async fn whatever_is_asked_otherwise_is_another_thing() {
    let bed = Bed::new();
    let mut requests = asks(&bed);
    requests.push(("alice", bed.visitor("alice")));
    requests.push(("bob", bed.visitor("bob")));
    let all = requests.len();
    assert_eq!(marks(&bed, requests).len(), all);
}

#[tokio::test(start_paused = true)]
async fn two_clients_and_two_ways_to_know_one_name_are_two() {
    let mut bed = Bed::new();
    let alice = || Some(Subject { name: "alice".into(), variables: BTreeMap::new() });
    let mut requests = vec![
        ("by a session", bed.visits(Way::Session, alice())),
        ("by a token", bed.visits(Way::Jwt, alice())),
        ("one client", bed.plain()),
    ];
    bed.world.client.guid = Uuid::from_u128(0xa11);
    for key in &mut bed.world.keys {
        key.client = bed.world.client.guid;
    }
    requests.push(("another client", bed.plain()));
    assert_eq!(marks(&bed, requests).len(), 4);
}

/// Attack: a service in the middle asks for two users' tokens, and is given one's for the other.
#[tokio::test(start_paused = true)]
async fn what_is_exchanged_is_each_tokens_own() {
    let mut bed = Bed::new();
    let named = |number: u128, name: &str, world: &World| Client {
        guid: Uuid::from_u128(number),
        object: Uuid::from_u128(number << 8),
        name: name.into(),
        audiences: vec![RESOURCE.into()],
        ..world.client.clone()
    };
    let (api, bob) = (named(0xac, "orders", &bed.world), named(0xb0b, "bob", &bed.world));
    bed.world.others = vec![api.clone(), bob.clone()];
    let directory = Arc::new(bed.world.directory());
    let proof =
        Proof::Key { client: Arc::new(api), key: "key".into(), weak: None, how: How::ClientSecretPost };
    let caller = Caller::for_test(bed.world.plan.tenants[0].clone(), proof);
    let exchange = |id: u128, client: Uuid| {
        let token = OwnToken {
            id: Uuid::from_u128(id),
            tenant: "acme".into(),
            client,
            subject: None,
            key: None,
            origin: None,
            earlier: vec![],
            origin_keys: vec![],
            audience: RESOURCE.into(),
            app_roles: vec!["orders.read".into()],
            issued: START,
            expires: after(START, 3_600),
            confirmation: None,
            actor: None,
        };
        let issue = Issue { role: RoleChoice::Named("soe".into()), ..tencent() };
        let authorized = authorize_exchange(&directory, &caller, "/", &issue, &token, START);
        let authorized = Arc::new(authorized.unwrap_or_else(|refusal| panic!("{refusal:?}")));
        Request { directory: directory.clone(), authorized }
    };
    let alice = bed.world.client.guid;
    let requests = vec![
        ("alice", exchange(1, alice)),
        ("alice again", exchange(1, alice)),
        ("another token of hers", exchange(2, alice)),
        ("bob", exchange(1, bob.guid)),
    ];
    assert_eq!(marks(&bed, requests).len(), 3);
}

#[tokio::test(start_paused = true)]
async fn key_endpoint_and_what_was_refused_make_no_difference() {
    let bed = Bed::new();
    let elsewhere = bed.decide(&bed.world.caller("another key"), "/elsewhere", &tencent());
    let same = vec![("plain", bed.plain()), ("elsewhere", elsewhere), ("refused", bed.refused("token-1"))];
    assert_eq!(marks(&bed, same).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_shared_role_leaves_out_who_asks_and_nothing_else() {
    let mut bed = Bed::new();
    for role in &mut bed.world.plan.roles {
        Arc::make_mut(role).brokering.shared = true;
    }
    let requests = asks(&bed);
    let all = requests.len();
    assert_eq!(marks(&bed, requests).len(), all);
    let subjects = vec![("alice", bed.visitor("alice")), ("bob", bed.visitor("bob")), ("app", bed.plain())];
    assert_eq!(marks(&bed, subjects).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_policy_and_what_the_role_says_of_its_cloud_count() {
    let mut bed = Bed::new();
    let mut seen = vec![bed.place(&bed.plain())];
    let changes: [fn(&mut Brokering); 2] = [
        |said| said.assume = Some("qcs::cam::uin/1:roleName/r".into()),
        |said| said.scope = Some("s".into()),
    ];
    for change in changes {
        change(bed.brokering());
        seen.push(bed.place(&bed.plain()));
    }
    let narrower = allow(Language::Cam, "soe:TransmitOralProcessWithInit", "qcs::soe:::a");
    seen.push(bed.place(&bed.request(&Issue { policy: Some(narrower), ..tencent() })));
    let mut distinct = seen.clone();
    distinct.sort_unstable();
    distinct.dedup();
    assert_eq!(distinct.len(), seen.len());
}

#[tokio::test(start_paused = true)]
async fn an_issuer_that_is_pointed_elsewhere_is_another_one() {
    let changes: [fn(&mut Upstream); 4] = [
        |u| u.name = "other".into(),
        |u| u.url = "https://elsewhere.example.com".into(),
        |u| u.account = Some("100".into()),
        |u| u.cloud = Kind::Alibaba,
    ];
    let bed = Bed::new();
    let request = bed.plain();
    let place =
        |upstream: &Upstream| place::of(&request.directory, upstream, &request.authorized).ok().unwrap();
    for change in changes {
        let mut other = upstream();
        change(&mut other);
        assert_ne!(place(&other), place(&upstream()), "{other:?}");
    }
    let entra = |tenant: &str| Upstream { cloud: Kind::Entra { tenant: tenant.into() }, ..upstream() };
    assert_ne!(place(&entra("contoso.example.com")), place(&entra("fabrikam.example.com")));
    let oauth = |parameters: BTreeMap<String, String>| match one_live() {
        Upstream { cloud: Kind::OAuth(call), .. } => {
            Upstream { cloud: Kind::OAuth(TokenCall { parameters, ..call }), ..upstream() }
        }
        other => other,
    };
    assert_ne!(place(&oauth(map("audience", "a"))), place(&oauth(map("audience", "b"))));
}

/// While the ring is changed some nodes have the old key and some the new one. What everybody has must be one all the same.
#[tokio::test(start_paused = true)]
async fn a_new_ring_gives_new_places_but_to_the_token_that_everybody_has() {
    let rows = Ring::generate(&kek(), &SeededEntropy::new(43), START).unwrap();
    let ring = Arc::new(Ring::open(&rows, &kek()).unwrap());
    for (upstream, same) in [(upstream(), false), (one_live(), true)] {
        let bed = Bed::of(upstream);
        let request = if same { bed.request(&bearer()) } else { bed.plain() };
        let world = &bed.world;
        let plan = Arc::new(world.plan.clone());
        let other =
            Directory::new(plan, ring.clone(), vec![world.client.clone()], world.keys.clone(), vec![]);
        let after = Request { directory: Arc::new(other.unwrap()), authorized: request.authorized.clone() };
        assert_eq!(bed.place(&request) == bed.place(&after), same);
    }
}

#[tokio::test(start_paused = true)]
async fn one_live_token_has_one_place_whatever_is_asked() {
    let bed = Bed::of(one_live());
    let mut requests = asks(&bed);
    requests.push(("alice", bed.visitor("alice")));
    assert_eq!(marks(&bed, requests).len(), 1);
}
