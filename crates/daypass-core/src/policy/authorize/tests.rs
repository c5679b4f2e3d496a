mod bounds;
mod lifetimes;
mod visitors;

use super::*;
use crate::caller::{Visitor, Way};
use crate::client::Grant;
use crate::dialect::{Excess, RoleChoice};
use crate::policy::{Effect, Language, Pattern, Statement, Template, VariableType};
use crate::testing::{RESOURCE, START, World, allow};
use crate::triple::{Claims, TripleKind};

const UPLOAD: &str = "acs:oss:*:*:bucket/hema/8005/*";

fn issue(role: RoleChoice) -> Issue {
    Issue {
        session: Some("alice".into()),
        correlation: Some("corr".into()),
        ..Issue::new(role, Form::Triple(TripleKind::Tencent))
    }
}

/// TOP's ask for the role `store-upload` with these variables.
fn upload(variables: &[(&str, &str)]) -> Issue {
    let product =
        Product { product_code: "oss".into(), scene_code: "app-upload".into(), usage_scene: "upload".into() };
    Issue {
        form: Form::Triple(TripleKind::Alibaba),
        variables: variables.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
        ..issue(RoleChoice::Product { path: "/router/rest".into(), product })
    }
}

fn hema() -> Issue {
    upload(&[("tenant_code", "hema"), ("poi_id", "8005")])
}

fn ask(world: &World, issue: &Issue) -> Result<Authorized, Refusal> {
    authorize(&world.directory(), &world.caller("AKIDworld"), "/", issue)
}

fn refused(world: &World, issue: &Issue) -> Refusal {
    match ask(world, issue) {
        Ok(_) => panic!("it was authorized"),
        Err(refusal) => refusal,
    }
}

/// The policy's resources, all of them.
fn resources(authorized: &Authorized) -> Vec<String> {
    let statements = authorized.policy().map(|p| p.statements.as_slice()).unwrap_or_default();
    statements.iter().flat_map(|s| &s.resources).map(Pattern::to_string).collect()
}

/// Replaces a role of the world by a changed one.
fn change_role(world: &mut World, name: &str, change: impl Fn(&mut Role)) {
    for role in world.plan.roles.iter_mut().filter(|role| role.name == name) {
        let mut changed = Role::clone(role);
        change(&mut changed);
        *role = Arc::new(changed);
    }
}

fn bound_tenant(world: &mut World, boundary: Policy) {
    Arc::make_mut(&mut world.plan.tenants[0]).boundary = Some(boundary);
}

#[test]
fn what_was_asked_for_and_decided_is_all_there() {
    let world = World::new();
    let authorized = ask(&world, &hema()).unwrap_or_else(|r| panic!("{r:?}"));
    assert_eq!(authorized.policy(), Some(&allow(Language::Ram, "oss:PutObject", UPLOAD)));
    assert_eq!((authorized.role(), authorized.issuer()), ("store-upload", "local"));
    assert_eq!((authorized.lifetime(), authorized.key()), (3600, Some("AKIDworld")));
    assert_eq!(authorized.tenant().name, "acme");
    assert_eq!(authorized.client(), Some(world.client.guid));
    assert_eq!(authorized.object(), Some(world.client.object));
    assert_eq!((authorized.session(), authorized.correlation()), (Some("alice"), Some("corr")));
    assert_eq!((authorized.endpoint(), authorized.variables()), ("/", &hema().variables));
    assert_eq!(authorized.product().map(|p| p.product_code.as_str()), Some("oss"));
    assert_eq!(authorized.form(), Form::Triple(TripleKind::Alibaba));
    assert!(authorized.answer().contains_key("end_point_public"));
}

#[test]
fn a_role_without_a_grant_is_refused_like_one_that_does_not_exist() {
    let (mut unknown, mut ungranted) = (World::new(), World::new());
    unknown.client.default_role = Some("nobody".into());
    ungranted.client.grants.retain(|grant| grant.role != "soe");
    let refusal = refused(&unknown, &issue(RoleChoice::Default));
    assert_eq!(refusal.reason, Reason::RoleNotGranted);
    assert_eq!(refusal, refused(&ungranted, &issue(RoleChoice::Default)));

    let mut none = World::new();
    none.client.default_role = None;
    assert_eq!(refused(&none, &issue(RoleChoice::Default)).reason, Reason::NoRole);
}

#[test]
fn a_product_without_a_grant_is_refused_like_one_that_does_not_exist() {
    let mut ungranted = World::new();
    ungranted.client.grants.retain(|grant| grant.role != "store-upload");
    let mut unknown = hema();
    if let RoleChoice::Product { product, .. } = &mut unknown.role {
        product.usage_scene = "download".into();
    }
    let refusal = refused(&World::new(), &unknown);
    assert_eq!(refusal.reason, Reason::RoleNotGranted);
    assert_eq!(refusal, refused(&ungranted, &hema()));
}

#[test]
fn a_route_of_another_tenant_is_not_seen() {
    let mut world = World::new();
    for endpoint in &mut world.plan.endpoints {
        Arc::make_mut(endpoint).tenant = "other".into();
    }
    assert_eq!(refused(&world, &hema()).reason, Reason::RoleNotGranted);
}

#[test]
fn a_value_of_another_client_is_refused_like_one_that_does_not_exist() {
    let mut world = World::new();
    // 8007 is the store of another client of the tenant; 9999 is nobody's.
    let mut other = world.client.grants[1].clone();
    other.bind.insert("poi_id".into(), vec!["8007".into()]);
    let neighbour = crate::client::Client { grants: vec![other], ..world.client.clone() };
    let foreign = upload(&[("tenant_code", "hema"), ("poi_id", "8007")]);
    let unknown = upload(&[("tenant_code", "hema"), ("poi_id", "9999")]);
    let refusal = refused(&world, &foreign);
    assert_eq!(refusal.reason, Reason::VariableRefused);
    assert_eq!(refusal.parameter.as_deref(), Some("poi_id"));
    assert_eq!(refusal, refused(&world, &unknown));
    // The other client does get it, so that the refusal above hides something real.
    world.client = neighbour;
    assert_eq!(
        resources(&ask(&world, &foreign).unwrap_or_else(|r| panic!("{r:?}"))),
        ["acs:oss:*:*:bucket/hema/8007/*"]
    );
}

#[test]
fn variables_must_be_there_known_and_of_their_type() {
    let world = World::new();
    for (variables, reason, parameter) in [
        (vec![("tenant_code", "hema")], Reason::MissingParameter, "poi_id"),
        (vec![], Reason::MissingParameter, "poi_id"),
        (vec![("tenant_code", "hema"), ("poi_id", "8005"), ("x", "1")], Reason::VariableRefused, "x"),
        (vec![("tenant_code", "hema"), ("poi_id", "*")], Reason::VariableRefused, "poi_id"),
        (vec![("tenant_code", "hema"), ("poi_id", "8005/*")], Reason::VariableRefused, "poi_id"),
        (vec![("tenant_code", "../hema"), ("poi_id", "8005")], Reason::VariableRefused, "tenant_code"),
        (vec![("tenant_code", ""), ("poi_id", "8005")], Reason::VariableRefused, "tenant_code"),
        (vec![("tenant_code", "other"), ("poi_id", "8005")], Reason::VariableRefused, "tenant_code"),
    ] {
        let refusal = refused(&world, &upload(&variables));
        assert_eq!(refusal.reason, reason, "{variables:?}");
        assert_eq!(refusal.parameter.as_deref(), Some(parameter), "{variables:?}");
    }
    let wrong_type = refused(&world, &upload(&[("tenant_code", "hema"), ("poi_id", "*")]));
    assert_eq!(wrong_type.detail, format!("poi_id must be {}", VariableType::Slug.expected()));
    let none_here = Issue { variables: hema().variables, ..issue(RoleChoice::Default) };
    assert_eq!(refused(&world, &none_here).reason, Reason::VariableRefused);
}

#[test]
fn values_must_be_allowed_together_by_one_grant() {
    let mut world = World::new();
    let mut second = world.client.grants[1].clone();
    second.bind = [("tenant_code", "rt-mart"), ("poi_id", "9001")]
        .map(|(name, value)| (name.to_owned(), vec![value.to_owned()]))
        .into();
    world.client.grants.push(second);
    assert!(ask(&world, &upload(&[("tenant_code", "rt-mart"), ("poi_id", "9001")])).is_ok());
    let mixed = refused(&world, &upload(&[("tenant_code", "rt-mart"), ("poi_id", "8005")]));
    assert_eq!(mixed.reason, Reason::VariableRefused);
}

#[test]
fn a_grant_of_any_value_is_still_of_the_type() {
    let mut world = World::new();
    world.client.grants[1].bind.insert("poi_id".into(), vec!["*".into()]);
    assert!(ask(&world, &upload(&[("tenant_code", "hema"), ("poi_id", "4711")])).is_ok());
    for value in ["*", "a/b", "8005*"] {
        assert!(ask(&world, &upload(&[("tenant_code", "hema"), ("poi_id", value)])).is_err(), "{value}");
    }
    world.client.grants[1].bind.remove("tenant_code");
    let refusal = refused(&world, &hema());
    assert_eq!(refusal.parameter.as_deref(), Some("tenant_code"), "what is not listed may take no value");
}

#[test]
fn boundaries_cut() {
    let mut world = World::new();
    world.client.boundary = Some(allow(Language::Ram, "*", "acs:oss:*:1000:bucket/*"));
    assert_eq!(
        resources(&ask(&world, &hema()).unwrap_or_else(|r| panic!("{r:?}"))),
        ["acs:oss:*:1000:bucket/hema/8005/*"]
    );
    bound_tenant(&mut world, allow(Language::Ram, "oss:*", "acs:oss:cn-hangzhou:*"));
    assert_eq!(
        resources(&ask(&world, &hema()).unwrap_or_else(|r| panic!("{r:?}"))),
        ["acs:oss:cn-hangzhou:1000:bucket/hema/8005/*"]
    );
}

#[test]
fn boundaries_that_leave_nothing_refuse() {
    let mut world = World::new();
    bound_tenant(&mut world, allow(Language::Ram, "oss:GetObject", "*"));
    let refusal = refused(&world, &hema());
    assert_eq!(refusal.reason, Reason::RoleNotGranted);
    assert!(refusal.detail.contains("boundaries"));
}

#[test]
fn a_boundary_that_cannot_be_put_on_the_role_is_the_operators_fault() {
    let mut world = World::new();
    bound_tenant(&mut world, allow(Language::Cam, "*", "*"));
    let refusal = refused(&world, &hema());
    assert_eq!(refusal.reason, Reason::Internal);
    assert!(refusal.cause.is_some_and(|cause| cause.contains("store-upload")));
}

#[test]
fn an_ask_narrows() {
    let world = World::new();
    let asked = allow(Language::Ram, "oss:PutObject", "acs:oss:*:*:bucket/hema/8005/2026/*");
    let authorized = ask(&world, &Issue { policy: Some(asked.clone()), ..hema() });
    let authorized = authorized.unwrap_or_else(|r| panic!("{r:?}"));
    assert_eq!((authorized.policy(), authorized.cut()), (Some(&asked), &[Cut::Ask][..]));
}

#[test]
fn an_ask_wider_than_the_role_is_refused_with_what_is_too_wide() {
    let mut asked = allow(Language::Ram, "oss:PutObject", UPLOAD);
    asked.statements.extend(allow(Language::Ram, "oss:GetObject", "acs:oss:*:*:bucket/*").statements);
    let refusal = refused(&World::new(), &Issue { policy: Some(asked), ..hema() });
    assert_eq!(refusal.reason, Reason::PolicyTooWide);
    assert_eq!(refusal.parameter.as_deref(), Some("Policy"));
    assert_eq!(
        refusal.detail,
        "statement 2 asks for oss:GetObject on acs:oss:*:*:bucket/*, which the role store-upload does not give: it gives oss:PutObject"
    );
}

#[test]
fn an_ask_wider_than_the_role_is_cut_where_the_protocol_has_it_so() {
    let cut = |asked| ask(&World::new(), &Issue { policy: Some(asked), excess: Excess::CutOff, ..hema() });
    let wide = allow(Language::Ram, "oss:*", "acs:oss:*:*:bucket/hema/*");
    let authorized = cut(wide).unwrap_or_else(|r| panic!("{r:?}"));
    assert_eq!(authorized.policy(), Some(&allow(Language::Ram, "oss:PutObject", UPLOAD)));
    let elsewhere = allow(Language::Ram, "oss:*", "acs:oss:*:*:another/*");
    assert_eq!(cut(elsewhere).err().map(|r| r.reason), Some(Reason::PolicyTooWide), "nothing is left");
    let nothing = Policy { language: Language::Ram, statements: vec![] };
    assert_eq!(cut(nothing).err().map(|r| r.reason), Some(Reason::PolicyInvalid));
}

#[test]
fn a_role_is_given_in_the_shape_of_the_vendor_whose_language_it_speaks() {
    let form = Form::Triple(TripleKind::Tencent);
    assert_eq!(refused(&World::new(), &Issue { form, ..hema() }).reason, Reason::RoleNotGranted);
}

#[test]
fn an_ask_beyond_a_boundary_is_refused() {
    let mut world = World::new();
    world.client.boundary = Some(allow(Language::Ram, "*", "acs:oss:*:1000:bucket/*"));
    let asked = allow(Language::Ram, "oss:PutObject", "acs:oss:*:2000:bucket/hema/8005/x");
    assert_eq!(refused(&world, &Issue { policy: Some(asked), ..hema() }).reason, Reason::PolicyTooWide);
}

#[test]
fn a_refusal_does_not_grow_with_what_was_asked() {
    let asked = allow(Language::Ram, "oss:PutObject", &"界".repeat(5000));
    let refusal = refused(&World::new(), &Issue { policy: Some(asked), ..hema() });
    assert_eq!(refusal.reason, Reason::PolicyTooWide);
    assert!(refusal.detail.chars().count() < 400);
}

#[test]
fn an_ask_for_nothing_is_refused() {
    let asked = Policy { language: Language::Ram, statements: vec![] };
    let refusal = refused(&World::new(), &Issue { policy: Some(asked), ..hema() });
    assert_eq!(refusal.reason, Reason::PolicyInvalid);
}

#[test]
fn a_lifetime_is_within_the_roles_bounds() {
    let world = World::new();
    for (asked, expected) in [
        (None, Ok(1800)),
        (Some(1), Ok(1)),
        (Some(7200), Ok(7200)),
        (Some(0), Err(Reason::InvalidParameter)),
        (Some(7201), Err(Reason::LifetimeTooLong)),
        (Some(u32::MAX), Err(Reason::LifetimeTooLong)),
    ] {
        let got = ask(&world, &Issue { lifetime: asked, ..issue(RoleChoice::Default) });
        assert_eq!(got.map(|a| a.lifetime()).map_err(|r| r.reason), expected, "{asked:?}");
    }
}

#[test]
fn a_temporary_credential_gets_no_other_one() {
    let world = World::new();
    let claims = Claims {
        tenant: "acme".into(),
        client: Some(world.client.guid),
        key: Some("AKIDworld".into()),
        endpoint: "/".into(),
        role: "soe".into(),
        session: None,
        kind: SessionKind::Federated,
        tags: BTreeMap::new(),
        source_identity: None,
        via: None,
        subject: None,
        behalf: None,
        actors: vec![],
        origins: vec![],
        origin_keys: vec![],
        policy: Arc::new(allow(Language::Cam, "*", "*")),
        issued: START.as_millisecond(),
        expires: i64::MAX,
    };
    let proof = Proof::Temporary {
        claims: Box::new(claims),
        id: "AKIDtemporary".into(),
        client: Some(Arc::new(world.client.clone())),
        weak: None,
    };
    let caller = Caller::for_test(world.plan.tenants[0].clone(), proof);
    let refusal = authorize(&world.directory(), &caller, "/", &issue(RoleChoice::Default)).err();
    assert_eq!(refusal.map(|r| r.reason), Some(Reason::TemporaryNotAllowed));
}

fn bearer(resource: &str) -> Issue {
    Issue { form: Form::Bearer, ..issue(RoleChoice::Resource(resource.into())) }
}

#[test]
fn a_resource_gives_the_app_roles_of_all_granted_roles_together() {
    let mut world = World::new();
    let base = Role::clone(&world.plan.roles[2]);
    let role = |name: &str, app_roles: &[&str], lifetime| Role {
        name: name.into(),
        app_roles: app_roles.iter().map(ToString::to_string).collect(),
        lifetime,
        ..base.clone()
    };
    let short = Lifetime { default: 600, max: 900 };
    world.plan.roles.push(Arc::new(role("writer", &["orders.write", "orders.read"], short)));
    world.plan.roles.push(Arc::new(role("admin", &["orders.admin"], base.lifetime)));
    world.client.grants.push(Grant::of("writer"));
    let authorized = ask(&world, &bearer(&RESOURCE.to_uppercase())).unwrap_or_else(|r| panic!("{r:?}"));
    assert_eq!(authorized.app_roles(), ["orders.read", "orders.write"], "not the role without a grant");
    assert_eq!(authorized.audience(), Some(RESOURCE));
    assert_eq!(authorized.policy(), None);
    assert_eq!(authorized.lifetime(), 600, "no longer than the shortest of the roles");
    let long = refused(&world, &Issue { lifetime: Some(901), ..bearer(RESOURCE) });
    assert_eq!(long.reason, Reason::LifetimeTooLong);
}

#[test]
fn a_resource_without_a_grant_is_refused_like_one_that_does_not_exist() {
    let mut ungranted = World::new();
    ungranted.client.grants.retain(|grant| grant.role != "devcenter");
    let refusal = refused(&World::new(), &bearer("a7c3f0de-0000-4000-8000-000000000000"));
    assert_eq!(refusal.reason, Reason::UnknownResource);
    assert_eq!(refusal, refused(&ungranted, &bearer(RESOURCE)));
}

#[test]
fn a_role_of_access_tokens_gives_no_signing_credential() {
    let mut world = World::new();
    world.client.default_role = Some("devcenter".into());
    assert_eq!(refused(&world, &issue(RoleChoice::Default)).reason, Reason::RoleNotGranted);
    let with_policy = Issue { policy: Some(allow(Language::Cam, "*", "*")), ..bearer(RESOURCE) };
    assert_eq!(refused(&world, &with_policy).reason, Reason::PolicyInvalid);
}

#[test]
fn an_anonymous_caller_gets_the_endpoints_role_within_the_tenants_boundary() {
    let mut world = World::new();
    bound_tenant(&mut world, allow(Language::Cam, "soe:*", "qcs::soe:*"));
    let endpoint = world.plan.endpoints[0].clone();
    let visitor = Visitor { endpoint, way: Way::Anonymous, subject: None, ticket: None };
    let proof = Proof::Visitor(Box::new(visitor));
    let caller = Caller::for_test(world.plan.tenants[0].clone(), proof);
    let of = |choice| authorize(&world.directory(), &caller, "/getAuthorization", &issue(choice));
    let authorized = of(RoleChoice::Endpoint).unwrap_or_else(|r| panic!("{r:?}"));
    assert_eq!((authorized.role(), authorized.client(), authorized.key()), ("soe", None, None));
    assert_eq!(resources(&authorized), ["qcs::soe:*"]);
    assert_eq!(of(RoleChoice::Default).err().map(|r| r.reason), Some(Reason::NoRole));
    assert_eq!(refused(&world, &issue(RoleChoice::Endpoint)).reason, Reason::Internal);
}

#[test]
fn a_role_that_only_denies_gives_nothing() {
    let mut world = World::new();
    change_role(&mut world, "soe", |role| {
        let mut policy = allow(Language::Cam, "*", "*");
        policy.statements[0] = Statement { effect: Effect::Deny, ..policy.statements[0].clone() };
        role.policy = Template::new(policy, &BTreeMap::new()).ok();
    });
    assert_eq!(refused(&world, &issue(RoleChoice::Default)).reason, Reason::RoleNotGranted);
}
