mod properties;

use super::*;
use crate::caller::{Confirmation, How};
use crate::policy::{Language, Policy, Whose, Would};
use crate::testing::{RESOURCE, START, World, allow, before, later};
use crate::triple::TripleKind;

const ACTOR: Uuid = Uuid::from_u128(0xac);
const FIRST: Uuid = Uuid::from_u128(0xf1);

/// The world with a second client, the API `orders`, that has the same grants as the first.
fn world() -> World {
    let mut world = World::new();
    let api = Client {
        guid: ACTOR,
        object: Uuid::from_u128(0xac0b),
        name: "orders".into(),
        audiences: vec![RESOURCE.into()],
        ..world.client.clone()
    };
    world.others.push(api);
    world
}

fn actor(world: &World) -> Caller {
    caller(world, &world.others[0])
}

fn caller(world: &World, client: &Client) -> Caller {
    let client = Arc::new(client.clone());
    let proof = Proof::Key { client, key: "key".into(), weak: None, how: How::ClientSecretPost };
    Caller::for_test(world.plan.tenants[0].clone(), proof)
}

/// The first client's token for the API.
fn token(world: &World) -> OwnToken {
    OwnToken {
        id: FIRST,
        tenant: "acme".into(),
        client: world.client.guid,
        subject: None,
        key: None,
        origin: None,
        earlier: vec![],
        origin_keys: vec![],
        audience: RESOURCE.into(),
        app_roles: vec!["orders.read".into()],
        issued: START,
        expires: later(3600),
        confirmation: None,
        actor: None,
    }
}

fn key(role: &str) -> Issue {
    Issue::new(RoleChoice::Named(role.into()), Form::Triple(TripleKind::Tencent))
}

fn upload(variables: &[(&str, &str)]) -> Issue {
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let role = RoleChoice::Named("store-upload".into());
    Issue { variables, ..Issue::new(role, Form::Triple(TripleKind::Alibaba)) }
}

fn bearer() -> Issue {
    Issue::new(RoleChoice::Resource(RESOURCE.into()), Form::Bearer)
}

fn ask(world: &World, issue: &Issue, token: &OwnToken) -> Result<Authorized, Refusal> {
    authorize_exchange(&world.directory(), &actor(world), "/", issue, token, START)
}

fn granted(world: &World, issue: &Issue) -> Authorized {
    ask(world, issue, &token(world)).unwrap_or_else(|refusal| panic!("{refusal:?}"))
}

fn refused(world: &World, issue: &Issue, token: &OwnToken) -> (Reason, String) {
    let refusal = ask(world, issue, token).err().expect("it should have been refused");
    (refusal.reason, refusal.detail.into_owned())
}

fn change_role(world: &mut World, name: &str, change: impl Fn(&mut Role)) {
    for role in world.plan.roles.iter_mut().filter(|role| role.name == name) {
        change(Arc::make_mut(role));
    }
}

fn grant<'a>(client: &'a mut Client, role: &str) -> &'a mut Grant {
    client.grants.iter_mut().find(|grant| grant.role == role).unwrap()
}

#[test]
fn it_is_made_for_the_subject_by_the_client_that_asks() {
    let world = world();
    let authorized = granted(&world, &key("soe"));
    assert_eq!((authorized.client(), authorized.key()), (Some(ACTOR), Some("key")));
    assert_eq!(authorized.subject(), Some(&*world.client.guid.to_string()));
    let act = json!({"sub": world.others[0].object, "client_id": ACTOR});
    let behalf = Behalf {
        client: world.client.guid,
        object: world.client.object,
        origin: FIRST,
        earlier: vec![],
        origin_keys: vec![],
        actor: Some(act),
    };
    assert_eq!(authorized.behalf(), Some(&behalf));
    assert_eq!(authorized.role(), "soe");
    assert!(authorized.policy().is_some());
}

#[test]
fn a_client_that_shows_its_own_token_acts_for_itself() {
    let world = world();
    let own = caller(&world, &world.client);
    let asked = authorize_exchange(&world.directory(), &own, "/", &key("soe"), &token(&world), START);
    let authorized = asked.unwrap_or_else(|refusal| panic!("{refusal:?}"));
    let behalf = authorized.behalf().unwrap();
    assert_eq!((behalf.client, &behalf.actor), (world.client.guid, &None));
}

#[test]
fn both_must_have_the_role_and_neither_is_named() {
    let absent = refused(&world(), &key("nothing"), &token(&world()));
    assert_eq!(absent.0, Reason::InvalidTarget);
    for of_actor in [true, false] {
        let mut world = world();
        let client = if of_actor { &mut world.others[0] } else { &mut world.client };
        client.grants.retain(|grant| grant.role != "soe");
        assert_eq!(refused(&world, &key("soe"), &token(&world)), absent);
    }
    let nowhere = Issue::new(RoleChoice::Resource("api://nowhere".into()), Form::Bearer);
    let absent = refused(&world(), &nowhere, &token(&world()));
    for of_actor in [true, false] {
        let mut world = world();
        let client = if of_actor { &mut world.others[0] } else { &mut world.client };
        client.grants.retain(|grant| grant.role != "devcenter");
        assert_eq!(refused(&world, &bearer(), &token(&world)), absent);
    }
}

#[test]
fn a_client_of_another_tenant_or_a_disabled_one_is_spoken_for_by_nobody() {
    type Undo = fn(&mut World);
    let cases: [Undo; 3] = [
        |world| world.client.enabled = false,
        |world| world.client.tenant = "other".into(),
        |world| world.client.guid = Uuid::from_u128(7),
    ];
    for undo in cases {
        let (mut changed, token) = (world(), token(&world()));
        undo(&mut changed);
        assert_eq!(refused(&changed, &key("soe"), &token).0, Reason::SubjectTokenInvalid);
    }
}

#[test]
fn it_lives_no_longer_than_the_token_the_role_and_either_grant() {
    let mut world = world();
    assert_eq!(granted(&world, &key("soe")).lifetime(), 1800, "the role's own");
    let dying = OwnToken { expires: later(61), ..token(&world) };
    let lifetime = |world: &World, token: &OwnToken| ask(world, &key("soe"), token).map(|a| a.lifetime());
    assert_eq!(lifetime(&world, &dying), Ok(61));
    grant(&mut world.client, "soe").lifetime = Some(90);
    grant(&mut world.others[0], "soe").lifetime = Some(120);
    assert_eq!(lifetime(&world, &token(&world)), Ok(90));
    grant(&mut world.others[0], "soe").lifetime = Some(30);
    assert_eq!(lifetime(&world, &token(&world)), Ok(30));
    for end in [START, before(START, 5), later(0)] {
        let ended = OwnToken { expires: end, ..token(&world) };
        assert_eq!(refused(&world, &key("soe"), &ended).0, Reason::SubjectTokenInvalid);
    }
}

#[test]
fn variables_are_those_that_both_may_use() {
    let mut world = world();
    let bind = |client: &mut Client, values: &[&str]| {
        let values = values.iter().map(|value| (*value).to_owned()).collect();
        grant(client, "store-upload").bind.insert("poi_id".into(), values);
    };
    let poi = |world: &World, issue: &Issue| {
        ask(world, issue, &token(world)).map(|authorized| authorized.variables()["poi_id"].clone())
    };
    bind(&mut world.others[0], &["8006", "8007"]);
    assert_eq!(poi(&world, &upload(&[])), Ok("8006".into()), "the only one need not be named");
    assert_eq!(poi(&world, &upload(&[("poi_id", "8006"), ("tenant_code", "hema")])), Ok("8006".into()));
    for only_one_has in ["8005", "8007"] {
        let refusal = poi(&world, &upload(&[("poi_id", only_one_has)])).unwrap_err();
        assert_eq!(refusal.reason, Reason::InvalidTarget);
    }
    bind(&mut world.others[0], &["*"]);
    assert_eq!(poi(&world, &upload(&[("poi_id", "8005")])), Ok("8005".into()));
    assert_eq!(poi(&world, &upload(&[("poi_id", "8007")])).unwrap_err().reason, Reason::InvalidTarget);
    let (reason, detail) = refused(&world, &upload(&[]), &token(&world));
    assert_eq!(reason, Reason::InvalidTarget);
    assert!(detail.contains("the variable poi_id"), "{detail}");
    bind(&mut world.others[0], &["8007"]);
    let nothing = refused(&world, &upload(&[("poi_id", "8007")]), &token(&world));
    assert_eq!(nothing, refused(&world, &key("nothing"), &token(&world)), "like no grant at all");
}

#[test]
fn the_boundary_of_each_client_cuts_the_policy() {
    let narrow = allow(Language::Ram, "oss:PutObject", "acs:oss:*:*:bucket/hema/8005/photos/*");
    for of_actor in [true, false] {
        let mut world = world();
        let client = if of_actor { &mut world.others[0] } else { &mut world.client };
        client.boundary = Some(narrow.clone());
        let authorized = granted(&world, &upload(&[("poi_id", "8005")]));
        assert_eq!(authorized.policy(), Some(&narrow));
        let (reason, _) = refused(&world, &upload(&[("poi_id", "8006")]), &token(&world));
        assert!(matches!(reason, Reason::InvalidTarget), "{reason:?}");
    }
}

#[test]
fn a_boundary_that_is_tried_is_tried_with_each_client_of_an_exchange() {
    for (of_actor, whose) in [(true, Whose::Client), (false, Whose::Exchange)] {
        let mut world = world();
        let plain = granted(&world, &upload(&[("poi_id", "8005")])).policy().cloned();
        let client = if of_actor { &mut world.others[0] } else { &mut world.client };
        client.boundary_warn =
            Some(allow(Language::Ram, "oss:PutObject", "acs:oss:*:*:bucket/hema/8005/photos/*"));
        for (poi, would) in [("8005", Would::Cut), ("8006", Would::Refuse)] {
            let authorized = granted(&world, &upload(&[("poi_id", poi)]));
            let said: Vec<_> = authorized.warned().iter().map(|said| (said.whose, said.would)).collect();
            assert_eq!((said, authorized.cut()), (vec![(whose, would)], &[][..]));
            assert!(poi == "8006" || authorized.policy() == plain.as_ref());
        }
    }
}

#[test]
fn a_token_for_its_own_resource_only_loses_roles() {
    let mut world = world();
    change_role(&mut world, "devcenter", |role| {
        role.app_roles = ["orders.read", "orders.write"].map(str::to_owned).to_vec();
    });
    let of = |issue: &Issue, token: &OwnToken| ask(&world, issue, token).map(|a| a.app_roles().to_vec());
    let only = |role: &str| Issue { app_roles: Some(vec![role.to_owned()]), ..bearer() };
    assert_eq!(of(&bearer(), &token(&world)), Ok(vec!["orders.read".to_owned()]));
    assert_eq!(of(&only("orders.read"), &token(&world)), Ok(vec!["orders.read".to_owned()]));
    assert_eq!(of(&only("orders.write"), &token(&world)).unwrap_err().reason, Reason::InvalidTarget);
    assert_eq!(of(&only("orders.burn"), &token(&world)).unwrap_err().reason, Reason::InvalidScope);
    let empty = OwnToken { app_roles: vec![], ..token(&world) };
    assert_eq!(of(&bearer(), &empty).unwrap_err().reason, Reason::InvalidTarget);
    let elsewhere = OwnToken { audience: "api://other".into(), ..token(&world) };
    let both = vec!["orders.read".to_owned(), "orders.write".to_owned()];
    assert_eq!(of(&bearer(), &elsewhere), Ok(both), "for another resource the grants decide");
}

#[test]
fn a_narrowed_token_stays_with_its_resource() {
    let mut world = world();
    change_role(&mut world, "devcenter", |role| {
        role.app_roles = vec!["orders.read".into(), "orders.write".into()];
    });
    let stock = Role {
        name: "stock".into(),
        audience: Some("api://stock".into()),
        app_roles: vec!["stock.read".into()],
        ..(**world.plan.roles.iter().find(|role| role.name == "devcenter").unwrap()).clone()
    };
    world.plan.roles.push(Arc::new(stock));
    world.client.grants.push(Grant::of("stock"));
    world.others[0].grants.push(Grant::of("stock"));
    let to_stock = Issue::new(RoleChoice::Resource("api://stock".into()), Form::Bearer);
    let narrowed = token(&world);
    let whole = OwnToken { app_roles: vec!["orders.write".into(), "orders.read".into()], ..narrowed.clone() };
    for issue in [&to_stock, &key("soe")] {
        assert!(ask(&world, issue, &whole).is_ok());
        let (reason, detail) = refused(&world, issue, &narrowed);
        assert_eq!(reason, Reason::InvalidTarget);
        assert!(detail.contains("fewer roles"), "{detail}");
    }
    assert_eq!(
        ask(&world, &bearer(), &narrowed).map(|a| a.app_roles().to_vec()).ok(),
        Some(narrowed.app_roles.clone())
    );

    // What its clients do not have together, it does not lack.
    let between = OwnToken {
        subject: Some(world.client.guid),
        client: ACTOR,
        actor: Some(json!({"sub": world.others[0].object, "client_id": ACTOR})),
        ..narrowed
    };
    assert!(ask(&world, &to_stock, &between).is_err());
    let reader = Role {
        name: "reader".into(),
        app_roles: vec!["orders.read".into()],
        ..(**world.plan.roles.iter().find(|role| role.name == "devcenter").unwrap()).clone()
    };
    world.plan.roles.push(Arc::new(reader));
    world.client.grants.push(Grant::of("reader"));
    world.others[0].grants.retain(|grant| grant.role != "devcenter");
    world.others[0].grants.push(Grant::of("reader"));
    assert!(ask(&world, &to_stock, &between).is_ok(), "all that both have is to read");
}

#[test]
fn a_token_is_bound_as_the_client_that_asks_has_shown_and_a_temporary_key_is_not() {
    let world = world();
    let bound = actor(&world).bound(Some(Confirmation::Key("jkt".into())));
    let confirmed = |issue: &Issue| {
        let asked = authorize_exchange(&world.directory(), &bound, "/", issue, &token(&world), START);
        asked.map(|authorized| authorized.confirmation().cloned())
    };
    assert_eq!(confirmed(&bearer()), Ok(Some(Confirmation::Key("jkt".into()))));
    assert_eq!(confirmed(&key("soe")), Ok(None));
}

#[test]
fn whoever_a_token_has_passed_through_bounds_it_too() {
    let mut world = world();
    let second = Client {
        guid: Uuid::from_u128(0x2c),
        object: Uuid::from_u128(0x2cb),
        name: "between".into(),
        grants: vec![Grant::of("devcenter")],
        ..world.client.clone()
    };
    world.others.push(second.clone());
    let act = json!({"sub": second.object, "client_id": second.guid});
    // The first client's, exchanged by the second.
    let passed = OwnToken {
        client: second.guid,
        subject: Some(world.client.guid),
        origin: Some(Uuid::from_u128(0x0e)),
        actor: Some(act.clone()),
        ..token(&world)
    };
    assert_eq!(
        refused(&world, &key("soe"), &passed).0,
        Reason::InvalidTarget,
        "the second has no grant on it"
    );
    let authorized = ask(&world, &bearer(), &passed).unwrap_or_else(|refusal| panic!("{refusal:?}"));
    let behalf = authorized.behalf().unwrap();
    assert_eq!((behalf.origin, &*behalf.earlier), (FIRST, &[Uuid::from_u128(0x0e)][..]));
    let chain = json!({"sub": world.others[0].object, "client_id": ACTOR, "act": act});
    assert_eq!(behalf.actor, Some(chain.clone()));
    // Exchanged twice by the same client in a row, it has acted once.
    let again = OwnToken { client: ACTOR, actor: Some(chain.clone()), ..passed.clone() };
    let authorized = ask(&world, &bearer(), &again).unwrap_or_else(|refusal| panic!("{refusal:?}"));
    assert_eq!(authorized.behalf().unwrap().actor, Some(chain.clone()));
    // Only the claim names the second now.
    assert_eq!(refused(&world, &key("soe"), &again).0, Reason::InvalidTarget);
    world.others[1].enabled = false;
    assert_eq!(refused(&world, &bearer(), &again).0, Reason::SubjectTokenInvalid);
    let foreign = OwnToken { actor: Some(json!({"sub": "someone"})), ..again };
    assert_eq!(refused(&world, &bearer(), &foreign).0, Reason::SubjectTokenInvalid);
}

#[test]
fn a_token_is_exchanged_four_times_in_a_row_and_no_more() {
    let world = world();
    let after = |count: u128| OwnToken {
        origin: (count > 0).then_some(Uuid::from_u128(1)),
        earlier: (2..=count).map(Uuid::from_u128).collect(),
        ..token(&world)
    };
    assert!(ask(&world, &bearer(), &after(3)).is_ok());
    assert_eq!(refused(&world, &bearer(), &after(4)).0, Reason::SubjectTokenInvalid);
}

#[test]
fn a_role_of_another_form_or_with_an_external_id_is_not_given() {
    let mut world = world();
    let (reason, detail) = refused(&world, &upload_as(TripleKind::Tencent), &token(&world));
    assert_eq!(reason, Reason::InvalidTarget);
    assert!(detail.contains("another vendor's language"), "{detail}");
    let (reason, detail) = refused(&world, &key("devcenter"), &token(&world));
    assert_eq!(reason, Reason::InvalidTarget);
    assert!(detail.contains("gives access tokens"), "{detail}");
    change_role(&mut world, "soe", |role| role.external_id = Some("known to few".into()));
    assert_eq!(refused(&world, &key("soe"), &token(&world)).0, Reason::InvalidTarget);
}

fn upload_as(kind: TripleKind) -> Issue {
    Issue { form: Form::Triple(kind), ..upload(&[("poi_id", "8005")]) }
}

#[test]
fn it_remembers_the_keys_that_the_tokens_before_it_were_asked_for_with() {
    let world = world();
    let keys = |key: Option<&str>, earlier: &[&str]| {
        let origin_keys = earlier.iter().map(|key| (*key).to_owned()).collect();
        let shown = OwnToken { key: key.map(str::to_owned), origin_keys, ..token(&world) };
        let authorized = ask(&world, &bearer(), &shown).unwrap_or_else(|refusal| panic!("{refusal:?}"));
        authorized.behalf().unwrap().origin_keys.clone()
    };
    assert_eq!(keys(Some("a"), &[]), ["a"]);
    assert_eq!(keys(Some("a"), &["b", "c"]), ["a", "b", "c"]);
    assert_eq!(keys(Some("b"), &["b"]), ["b"], "each once");
}
