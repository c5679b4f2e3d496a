use super::*;
use crate::client::Grant;
use crate::dialect::{Form, Issue, RoleChoice};
use crate::policy::{Authorized, ClaimTemplate, VariableType, authorize};
use crate::testing::{RESOURCE, World};
use proptest::prelude::*;
use std::sync::Arc;

/// The world, whose OAuth role has claims, and whose client is bound to these stores.
fn world(claims: &[(&str, &str)], bind: &[(&str, &[&str])]) -> World {
    let mut world = World::new();
    let role = Arc::make_mut(&mut world.plan.roles[2]);
    let variable = |name: &str, kind| (name.to_owned(), kind);
    role.variables = [variable("store", VariableType::Slug), variable("n", VariableType::Int)].into();
    role.claims = claims
        .iter()
        .map(|(name, text)| ((*name).to_owned(), ClaimTemplate::parse(text, &role.variables).unwrap()))
        .collect();
    let used: Vec<_> = role.claims.values().filter_map(|claim| claim.variable().map(str::to_owned)).collect();
    role.variables.retain(|name, _| used.contains(name));
    world.client.grants[2].bind = bound(bind);
    world
}

fn bound(bind: &[(&str, &[&str])]) -> BTreeMap<String, Vec<String>> {
    let list = |values: &[&str]| values.iter().map(|value| (*value).to_owned()).collect();
    bind.iter().map(|(name, values)| ((*name).to_owned(), list(values))).collect()
}

/// A second role of the resource, on which the client has a grant with these values.
fn and_writer(world: &mut World, bind: &[(&str, &[&str])], lifetime: Option<u32>) {
    let mut writer = Role::clone(&world.plan.roles[2]);
    writer.name = "writer".into();
    writer.app_roles = vec!["orders.write".into()];
    world.plan.roles.push(Arc::new(writer));
    world.client.grants.push(Grant { role: "writer".into(), bind: bound(bind), lifetime });
}

fn bearer() -> Issue {
    Issue::new(RoleChoice::Resource(RESOURCE.into()), Form::Bearer)
}

fn ask(world: &World, issue: &Issue) -> Result<Authorized, Refusal> {
    authorize(&world.directory(), &world.caller("key"), "/", issue)
}

fn said(world: &World) -> String {
    let authorized = ask(world, &bearer()).unwrap_or_else(|r| panic!("{r:?}"));
    let claims: BTreeMap<_, _> = authorized.claims().unwrap().into_iter().collect();
    serde_json::to_string(&claims).unwrap()
}

fn refused(world: &World) -> Refusal {
    ask(world, &bearer()).err().unwrap_or_else(|| panic!("it was authorized"))
}

#[test]
fn claims_say_what_the_grant_binds() {
    let claims = [("region", "cn"), ("store", "{store}"), ("number", "{n}")];
    let one = world(&claims, &[("store", &["8005"]), ("n", &["7"])]);
    assert_eq!(said(&one), r#"{"number":7,"region":"cn","store":"8005"}"#);
    let several = world(&claims, &[("store", &["b", "a", "b"]), ("n", &["7"]), ("other", &["*"])]);
    assert_eq!(said(&several), r#"{"number":7,"region":"cn","store":["a","b"]}"#);
    let recorded = ask(&several, &bearer()).unwrap_or_else(|r| panic!("{r:?}"));
    assert_eq!(recorded.variables()["store"], "a,b", "and the record says it too");
    assert_eq!(said(&World::new()), "{}");
}

#[test]
fn what_cannot_be_said_is_refused_in_a_sentence_for_the_operator() {
    let store = [("store", "{store}")];
    let number = [("n", "{n}")];
    let long: Vec<String> = (0..80).map(|n| format!("{n:030}")).collect();
    let long: Vec<&str> = long.iter().map(String::as_str).collect();
    for (claims, bind, name, sentence) in [
        (store, &[][..], Some("store"), "binds no value to it"),
        (store, &[("store", &[][..])], Some("store"), "binds no value to it"),
        (store, &[("store", &["*"])], Some("store"), "binds it to * (any value)"),
        (store, &[("store", &["a", "*"])], Some("store"), "binds it to * (any value)"),
        (store, &[("store", &["a b"])], Some("store"), "must be letters, digits"),
        (
            store,
            &[("store", &long)],
            None,
            "take 2641 bytes in a token of this resource, and at most 2048 fit",
        ),
        (number, &[("n", &["01"])], Some("n"), "must be a decimal number"),
        (number, &[("n", &["9007199254740992"])], Some("n"), "up to 9007199254740991"),
    ] {
        let world = world(&claims, bind);
        let refusal = refused(&world);
        assert_eq!((refusal.reason, refusal.parameter.as_deref()), (Reason::VariableRefused, name));
        assert!(refusal.detail.contains(sentence), "{}", refusal.detail);
        // The command line learns the same before there is a client.
        let early = check_grant(&world.plan.roles[2], &world.client.grants[2]).unwrap_err();
        assert_eq!(early.to_string(), refusal.detail);
    }
}

/// A token that said the roles and the values of two grants side by side would give each role all the values.
#[test]
fn grants_that_bind_different_values_give_no_token_together() {
    let mut world = world(&[("store", "{store}")], &[("store", &["1"])]);
    and_writer(&mut world, &[("store", &["2"])], None);
    let refusal = refused(&world);
    assert_eq!(refusal.reason, Reason::VariableRefused);
    assert!(refusal.detail.contains("bind the variable store to different values"), "{}", refusal.detail);
    let only = |app_role: &str| Issue { app_roles: Some(vec![app_role.into()]), ..bearer() };
    for (app_role, store) in [("orders.read", "1"), ("orders.write", "2")] {
        let one = ask(&world, &only(app_role)).unwrap_or_else(|r| panic!("{r:?}"));
        assert_eq!(one.app_roles(), [app_role]);
        assert_eq!(one.variables()["store"], store, "each alone is what the operator meant");
    }
    world.client.grants[3].bind = bound(&[("store", &["1"])]);
    assert_eq!(ask(&world, &bearer()).unwrap_or_else(|r| panic!("{r:?}")).app_roles().len(), 2);
}

#[test]
fn only_the_app_roles_that_are_wanted_are_given() {
    let mut world = World::new();
    and_writer(&mut world, &[], None);
    let wanted = |list: &[&str]| {
        let list = list.iter().map(|one| (*one).to_owned()).collect();
        ask(&world, &Issue { app_roles: Some(list), ..bearer() })
    };
    let reader = wanted(&["orders.read"]).unwrap_or_else(|r| panic!("{r:?}"));
    assert_eq!(reader.app_roles(), ["orders.read"]);
    let both = wanted(&["orders.write", "orders.read"]).unwrap_or_else(|r| panic!("{r:?}"));
    assert_eq!(both.app_roles(), ["orders.read", "orders.write"]);
    for unknown in [&["orders.admin"][..], &["orders.read", "orders.admin"], &["ORDERS.READ"], &[]] {
        let refusal = wanted(unknown).err().unwrap_or_else(|| panic!("{unknown:?}"));
        assert_eq!(refusal.reason, Reason::InvalidScope, "{unknown:?}");
        assert!(refusal.detail.ends_with("ask for {resource}/.default, which gives all that it has"));
    }
}

#[test]
fn a_resource_is_found_by_each_of_its_names() {
    let mut world = World::new();
    Arc::make_mut(&mut world.plan.roles[2]).identifiers = vec!["api://Orders".into()];
    for (asked, found) in [
        (RESOURCE.to_uppercase(), RESOURCE),
        ("api://orders".to_owned(), "api://Orders"),
        ("API://ORDERS".to_owned(), "api://Orders"),
    ] {
        let issue = Issue::new(RoleChoice::Resource(asked.clone()), Form::Bearer);
        let authorized = ask(&world, &issue).unwrap_or_else(|r| panic!("{asked}: {r:?}"));
        assert_eq!((authorized.resource(), authorized.audience()), (Some(found), Some(RESOURCE)));
    }
}

#[test]
fn a_grant_caps_the_life_of_what_it_gives() {
    let mut world = World::new();
    and_writer(&mut world, &[], Some(600));
    let whole = ask(&world, &bearer()).unwrap_or_else(|r| panic!("{r:?}"));
    assert_eq!(whole.lifetime(), 600);
    let long = ask(&world, &Issue { lifetime: Some(601), ..bearer() }).err().map(|refusal| refusal.reason);
    assert_eq!(long, Some(Reason::LifetimeTooLong));
    let reader = Issue { app_roles: Some(vec!["orders.read".into()]), ..bearer() };
    assert_eq!(ask(&world, &reader).unwrap_or_else(|r| panic!("{r:?}")).lifetime(), 3600, "another grant");
    // Of two grants on one role, each alone would do.
    world.client.grants.push(Grant::of("writer"));
    assert_eq!(ask(&world, &bearer()).unwrap_or_else(|r| panic!("{r:?}")).lifetime(), 3600);
}

#[test]
fn a_claim_is_never_left_out_because_nothing_fills_it() {
    let world = world(&[("store", "{store}")], &[("store", &["1"])]);
    let refusal = Values::default().claims(&world.plan.roles[2]).unwrap_err();
    assert_eq!(refusal.reason, Reason::Internal);
}

#[test]
fn a_signing_credential_s_grant_may_bind_anything() {
    let world = World::new();
    let mut grant = world.client.grants[1].clone();
    grant.bind.insert("poi_id".into(), vec!["*".into()]);
    assert_eq!(check_grant(&world.plan.roles[1], &grant), Ok(()));
}

proptest! {
    #[test]
    fn whatever_a_grant_may_bind_is_said_and_nothing_else(
        stores in prop::collection::vec("[a-c*]{0,2}|[a-z0-9]{60,66}", 0..40)
    ) {
        let list: Vec<&str> = stores.iter().map(String::as_str).collect();
        let world = world(&[("store", "no. {store}")], &[("store", &list)]);
        if check_grant(&world.plan.roles[2], &world.client.grants[2]).is_err() {
            prop_assert!(ask(&world, &bearer()).is_err());
            return Ok(());
        }
        let authorized = ask(&world, &bearer()).unwrap_or_else(|r| panic!("{r:?}"));
        let [(_, claim)] = authorized.claims().unwrap().try_into().unwrap();
        prop_assert!(claim.bytes() <= VALUES_BYTES);
        let mut expected: Vec<_> =
            stores.iter().map(|store| ClaimValue::Text(format!("no. {store}"))).collect();
        expected.sort_by_key(|value| serde_json::to_string(value).unwrap());
        expected.dedup();
        let said = match claim {
            ClaimValue::Several(list) => list,
            one => vec![one],
        };
        prop_assert_eq!(said, expected);
    }
}
