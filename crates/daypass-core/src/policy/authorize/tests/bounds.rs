//! Boundaries of endpoints, and rules that are only tried: the first always count, the second never do.

use super::*;
use crate::policy::{Access, Verdict, verdict};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

fn allows(authorized: &Authorized, action: &str, resource: &str) -> bool {
    let access = Access { action, resource };
    authorized.policy().is_some_and(|policy| matches!(verdict(policy, access), Verdict::Allowed(_)))
}

fn bound_endpoint(world: &mut World, path: &str, boundary: Policy) {
    let mut endpoints = world.plan.endpoints.iter_mut();
    Arc::make_mut(endpoints.find(|endpoint| endpoint.path == path).unwrap()).boundary = Some(boundary);
}

fn visitor(world: &World) -> Caller {
    let endpoint = world.plan.endpoints[0].clone();
    let visitor = Visitor { endpoint, way: Way::Anonymous, subject: None, ticket: None };
    Caller::for_test(world.plan.tenants[0].clone(), Proof::Visitor(Box::new(visitor)))
}

fn visit(world: &World) -> Result<Authorized, Refusal> {
    authorize(&world.directory(), &visitor(world), "/getAuthorization", &issue(RoleChoice::Endpoint))
}

#[test]
fn the_boundary_of_an_endpoint_bounds_its_visitors_and_nobody_else() {
    let mut world = World::new();
    let app = allow(Language::Cam, "*", "qcs::soe:*:*:app/1");
    bound_endpoint(&mut world, "/getAuthorization", app);
    let authorized = visit(&world).unwrap_or_else(|refusal| panic!("{refusal:?}"));
    assert_eq!(
        (authorized.cut(), resources(&authorized)),
        (&[Cut::Endpoint][..], vec!["qcs::soe:*:*:app/1".into()])
    );
    let by_key = ask(&world, &issue(RoleChoice::Named("soe".into()))).unwrap_or_else(|r| panic!("{r:?}"));
    assert_eq!((by_key.cut(), resources(&by_key)), (&[][..], vec!["*".into()]));
    bound_endpoint(&mut world, "/getAuthorization", allow(Language::Cam, "cos:*", "*"));
    assert_eq!(visit(&world).err().map(|refusal| refusal.reason), Some(Reason::RoleNotGranted));
}

#[test]
fn the_boundary_of_an_endpoint_bounds_the_clients_of_its_table() {
    let mut world = World::new();
    bound_endpoint(
        &mut world,
        "/router/rest",
        allow(Language::Ram, "oss:*", "acs:oss:*:*:bucket/hema/8005/a/*"),
    );
    let authorized = ask(&world, &hema()).unwrap_or_else(|r| panic!("{r:?}"));
    assert_eq!(resources(&authorized), ["acs:oss:*:*:bucket/hema/8005/a/*"]);
    assert_eq!(authorized.cut(), [Cut::Endpoint]);
    // An endpoint of another tenant at the same path bounds its own.
    let mut other = Endpoint::clone(&world.plan.endpoints[1]);
    (other.tenant, other.boundary) = ("other".into(), Some(allow(Language::Ram, "ecs:*", "*")));
    world.plan.endpoints.insert(0, Arc::new(other));
    assert!(ask(&world, &hema()).is_ok());
    let another = upload(&[("tenant_code", "hema"), ("poi_id", "8006")]);
    assert_eq!(refused(&world, &another).reason, Reason::RoleNotGranted);
    // Nor does one of other products, whichever of the two comes first.
    let mut other = Endpoint::clone(&world.plan.endpoints[2]);
    assert_eq!((other.tenant.as_str(), other.path.as_str()), ("acme", "/router/rest"));
    other.boundary = Some(allow(Language::Ram, "ecs:*", "*"));
    other.routes.iter_mut().for_each(|route| route.product.usage_scene = "other".into());
    world.plan.endpoints.insert(0, Arc::new(other));
    let authorized = ask(&world, &hema()).unwrap_or_else(|r| panic!("{r:?}"));
    assert_eq!(resources(&authorized), ["acs:oss:*:*:bucket/hema/8005/a/*"]);
}

#[test]
fn an_ask_is_judged_by_what_the_endpoint_leaves() {
    let mut world = World::new();
    bound_endpoint(
        &mut world,
        "/router/rest",
        allow(Language::Ram, "oss:*", "acs:oss:*:*:bucket/hema/8005/a/*"),
    );
    let asked =
        |resource: &str| Issue { policy: Some(allow(Language::Ram, "oss:PutObject", resource)), ..hema() };
    assert!(ask(&world, &asked("acs:oss:*:*:bucket/hema/8005/a/1")).is_ok());
    assert_eq!(refused(&world, &asked("acs:oss:*:*:bucket/hema/8005/b/1")).reason, Reason::PolicyTooWide);
    // Where nothing is left it is not the ask that is at fault, however narrow or wide it is.
    bound_endpoint(&mut world, "/router/rest", allow(Language::Ram, "ecs:*", "*"));
    for resource in ["acs:oss:*:*:bucket/hema/8005/a/1", "*"] {
        assert_eq!(refused(&world, &asked(resource)).reason, Reason::RoleNotGranted, "{resource}");
    }
}

/// Puts a rule on trial, or lets it count.
fn put(world: &mut World, whose: Whose, rule: &Policy, tried: bool) {
    let set = |counts: &mut Option<Policy>, warn: &mut Option<Policy>| {
        *if tried { warn } else { counts } = Some(rule.clone());
    };
    match whose {
        Whose::Client => set(&mut world.client.boundary, &mut world.client.boundary_warn),
        Whose::Tenant => {
            let tenant = Arc::make_mut(&mut world.plan.tenants[0]);
            set(&mut tenant.boundary, &mut tenant.boundary_warn);
        }
        Whose::Endpoint => {
            let endpoint = Arc::make_mut(&mut world.plan.endpoints[1]);
            set(&mut endpoint.boundary, &mut endpoint.boundary_warn);
        }
        Whose::Role | Whose::Exchange => unreachable!("it is put on in another way"),
    }
}

const BOUNDARIES: [Whose; 3] = [Whose::Client, Whose::Endpoint, Whose::Tenant];

#[test]
fn a_rule_that_is_tried_says_what_it_would_do_and_does_nothing() {
    let plain = ask(&World::new(), &hema()).unwrap_or_else(|r| panic!("{r:?}"));
    for whose in BOUNDARIES {
        for (rule, expected) in [
            (allow(Language::Ram, "oss:*", "*"), None),
            (allow(Language::Ram, "oss:*", "acs:oss:*:*:bucket/hema/8005/a"), Some((Would::Cut, vec![1]))),
            (allow(Language::Ram, "ecs:*", "*"), Some((Would::Refuse, vec![]))),
            (allow(Language::Cam, "*", "*"), Some((Would::Fail, vec![]))),
        ] {
            let mut world = World::new();
            put(&mut world, whose, &rule, true);
            let authorized = ask(&world, &hema()).unwrap_or_else(|r| panic!("{r:?}"));
            assert_eq!((authorized.policy(), authorized.cut()), (plain.policy(), plain.cut()));
            let expected = expected.map(|(would, statements)| Warned { whose, would, statements });
            assert_eq!(authorized.warned(), expected.as_slice());
        }
    }
}

#[test]
fn the_policy_that_a_role_is_to_have_is_bound_to_the_same_values() {
    let mut world = World::new();
    change_role(&mut world, "store-upload", |role| {
        let coming = allow(Language::Ram, "oss:PutObject", "acs:oss:*:*:bucket/{tenant_code}/{poi_id}/new/*");
        role.policy_warn = Some(Template::new(coming, &role.variables).unwrap());
    });
    let authorized = ask(&world, &hema()).unwrap_or_else(|r| panic!("{r:?}"));
    assert_eq!(resources(&authorized), [UPLOAD]);
    assert_eq!(authorized.warned(), [Warned::cut(Whose::Role, vec![1])]);
    let inside = "acs:oss:*:*:bucket/hema/8005/new/1";
    let asked = Issue { policy: Some(allow(Language::Ram, "oss:PutObject", inside)), ..hema() };
    assert_eq!(ask(&world, &asked).unwrap_or_else(|r| panic!("{r:?}")).warned(), []);
}

/// What goes beyond a boundary is refused where the protocol refuses, although a part of it would be left.
#[test]
fn an_ask_that_a_tried_boundary_would_refuse_is_said_to_be_refused() {
    let mut world = World::new();
    put(&mut world, Whose::Tenant, &allow(Language::Ram, "oss:*", "acs:oss:*:*:bucket/hema/8005/a/*"), true);
    let asked = Issue { policy: Some(allow(Language::Ram, "oss:PutObject", UPLOAD)), ..hema() };
    let authorized = ask(&world, &asked).unwrap_or_else(|r| panic!("{r:?}"));
    assert_eq!(authorized.warned(), [Warned::refused(Whose::Tenant)]);
    let cut_off = Issue { excess: Excess::CutOff, ..asked };
    let authorized = ask(&world, &cut_off).unwrap_or_else(|r| panic!("{r:?}"));
    assert_eq!(authorized.warned(), [Warned::cut(Whose::Tenant, vec![1])]);
}

#[test]
fn an_access_token_has_nothing_that_could_be_tried() {
    let mut world = World::new();
    put(&mut world, Whose::Tenant, &allow(Language::Ram, "ecs:*", "*"), true);
    let bearer = Issue::new(RoleChoice::Resource(RESOURCE.into()), Form::Bearer);
    assert_eq!(ask(&world, &bearer).unwrap_or_else(|r| panic!("{r:?}")).warned(), []);
}

const RULES: [&str; 6] = [
    "*",
    "acs:oss:*:*:bucket/*",
    "acs:oss:*:*:bucket/hema/8005/*",
    "acs:oss:*:*:bucket/hema/*/photos/*",
    "acs:oss:*:*:bucket/*/8006/*",
    "acs:oss:*:*:other/*",
];

fn rule() -> impl Strategy<Value = Policy> {
    let statement =
        (select(vec!["*", "oss:*", "oss:Put*", "oss:GetObject"]), select(RULES.to_vec()), any::<bool>());
    proptest::collection::vec(statement, 1..4).prop_map(|all| {
        let statements = all.into_iter().enumerate().map(|(n, (action, resource, deny))| {
            let mut statement = allow(Language::Ram, action, resource).statements.remove(0);
            // The first one allows, so that something is left.
            statement.effect = if deny && n > 0 { Effect::Deny } else { Effect::Allow };
            statement
        });
        Policy { language: Language::Ram, statements: statements.collect() }
    })
}

/// Roles of more than one statement, so that a warning has something to tell apart.
fn rich() -> World {
    let mut world = World::new();
    change_role(&mut world, "store-upload", |role| {
        let mut policy = allow(Language::Ram, "oss:PutObject", "acs:oss:*:*:bucket/{tenant_code}/{poi_id}/*");
        let photos = "acs:oss:*:*:bucket/{tenant_code}/{poi_id}/photos/*";
        policy.statements.push(allow(Language::Ram, "oss:GetObject", photos).statements.remove(0));
        role.policy = Some(Template::new(policy, &role.variables).unwrap());
    });
    world
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Whatever is tried, the answer is the one without it; and what is said of it is what it does once it counts.
    #[test]
    fn trying_a_rule_never_changes_the_answer(
        counts in proptest::option::of((select(BOUNDARIES.to_vec()), rule())),
        tried in subsequence(BOUNDARIES.to_vec(), 1..=3),
        rules in proptest::collection::vec(rule(), 3),
        asked in proptest::option::of(rule()),
        cut_off: bool,
    ) {
        let excess = if cut_off { Excess::CutOff } else { Excess::Refused };
        let issue = Issue { policy: asked, excess, ..hema() };
        let mut plain = rich();
        if let Some((whose, rule)) = counts.clone() {
            put(&mut plain, whose, &rule, false);
        }
        let mut trial = World { plan: plain.plan.clone(), client: plain.client.clone(), ..rich() };
        for (whose, rule) in tried.iter().zip(&rules) {
            put(&mut trial, *whose, rule, true);
        }
        let (without, with) = (ask(&plain, &issue), ask(&trial, &issue));
        let (without, with) = match (without, with) {
            (Ok(without), Ok(with)) => (without, with),
            (without, with) => {
                prop_assert_eq!(without.err(), with.err(), "a rule that is tried made a refusal, or hid one");
                return Ok(());
            }
        };
        prop_assert_eq!((without.policy(), without.cut()), (with.policy(), with.cut()));
        prop_assert_eq!((without.lifetime(), without.warned()), (with.lifetime(), &[][..]));
        for (whose, rule) in tried.iter().zip(&rules) {
            // Where another rule of the same owner counts already, both would.
            if counts.as_ref().is_some_and(|(of, _)| of == whose) {
                continue;
            }
            let mut real = World { plan: plain.plan.clone(), client: plain.client.clone(), ..rich() };
            put(&mut real, *whose, rule, false);
            let said = with.warned().iter().find(|warned| warned.whose == *whose);
            check_said(said, &with, ask(&real, &issue))?;
        }
    }

    /// Nothing is issued at an endpoint that its boundary does not allow.
    #[test]
    fn nothing_goes_beyond_the_boundary_of_its_endpoint(boundary in rule(), poi in select(vec!["8005", "8006"])) {
        let mut world = rich();
        put(&mut world, Whose::Endpoint, &boundary, false);
        let Ok(issued) = ask(&world, &upload(&[("tenant_code", "hema"), ("poi_id", poi)])) else { return Ok(()) };
        for (action, resource) in requests() {
            let given = matches!(verdict(&boundary, Access { action, resource: &resource }), Verdict::Allowed(_));
            prop_assert!(given || !allows(&issued, action, &resource), "{} on {}", action, resource);
        }
    }
}

fn requests() -> impl Iterator<Item = (&'static str, String)> {
    let resources = ["8005/x", "8005/photos/1", "8006/x", "8006/photos/1", "8007/x"];
    ["oss:PutObject", "oss:GetObject"]
        .into_iter()
        .flat_map(move |action| resources.map(|name| (action, format!("acs:oss:cn:1:bucket/hema/{name}"))))
}

/// What is said of a rule that is tried, beside what comes of the rule once it counts.
fn check_said(
    said: Option<&Warned>,
    issued: &Authorized,
    real: Result<Authorized, Refusal>,
) -> Result<(), TestCaseError> {
    match real {
        Err(refusal) => {
            let expected = if refusal.reason == Reason::Internal { Would::Fail } else { Would::Refuse };
            prop_assert_eq!(said.map(|said| said.would), Some(expected), "{:?}", refusal);
        }
        Ok(real) => {
            let lost: Vec<_> = requests()
                .filter(|(action, resource)| {
                    allows(issued, action, resource) && !allows(&real, action, resource)
                })
                .collect();
            if !lost.is_empty() {
                prop_assert_eq!(said.map(|said| said.would), Some(Would::Cut), "{:?}", lost);
            }
            // A statement that is not named gives what it gave.
            let named = said.map(|said| said.statements.clone()).unwrap_or_default();
            let statements = issued.policy().map(|policy| policy.statements.as_slice()).unwrap_or_default();
            for (number, statement) in statements.iter().enumerate().map(|(n, one)| (n + 1, one)) {
                if statement.effect == Effect::Deny || named.contains(&number) {
                    continue;
                }
                let alone = Policy { language: Language::Ram, statements: vec![statement.clone()] };
                for (action, resource) in &lost {
                    let access = Access { action, resource };
                    prop_assert!(
                        !matches!(verdict(&alone, access), Verdict::Allowed(_)),
                        "{} loses {}",
                        number,
                        resource
                    );
                }
            }
        }
    }
    Ok(())
}
