//! No exchange gives what one of the clients could not get itself: compared with what each would get by asking alone, and
//! with the grants and policies read by no code under test.

use super::*;
use crate::policy::{Effect, authorize, brute};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

const POIS: [&str; 3] = ["8005", "8006", "8007"];
const APP_ROLES: [&str; 3] = ["a", "b", "c"];
const BOUNDARIES: [&str; 4] = [
    "acs:oss:*:*:bucket/*",
    "acs:oss:*:*:bucket/hema/8005/*",
    "acs:oss:*:*:bucket/hema/*/photos/*",
    "acs:oss:*:*:bucket/*/8006/*",
];

/// What objects there are.
fn resources() -> impl Iterator<Item = String> {
    POIS.into_iter().flat_map(|poi| {
        ["photos/1", "films/1", "x"].map(|name| format!("acs:oss:cn:1:bucket/hema/{poi}/{name}"))
    })
}

fn grants() -> impl Strategy<Value = Vec<Grant>> {
    let pois = prop_oneof![
        4 => subsequence(POIS.to_vec(), 0..=3),
        1 => Just(vec!["*"]),
    ];
    let lifetime = proptest::option::of(1..5_000_u32);
    let grant = (select(vec!["store-upload", "first", "second", "third"]), pois, lifetime);
    vec(grant, 0..6).prop_map(|all| {
        let one = |(role, pois, lifetime): (&str, Vec<&str>, Option<u32>)| Grant {
            role: role.into(),
            bind: [
                ("poi_id".to_owned(), pois.into_iter().map(str::to_owned).collect()),
                ("tenant_code".to_owned(), vec!["hema".to_owned()]),
            ]
            .into(),
            lifetime,
        };
        all.into_iter().map(one).collect()
    })
}

fn boundary() -> impl Strategy<Value = Option<Policy>> {
    let some = select(BOUNDARIES.to_vec()).prop_map(|resource| allow(Language::Ram, "oss:*", resource));
    proptest::option::weighted(0.4, some)
}

fn issue() -> impl Strategy<Value = Issue> {
    let key = proptest::option::of(select(POIS.to_vec())).prop_map(|poi| match poi {
        Some(poi) => upload(&[("poi_id", poi), ("tenant_code", "hema")]),
        None => upload(&[]),
    });
    let token = proptest::option::of(subsequence(APP_ROLES.to_vec(), 1..=3)).prop_map(|roles| Issue {
        app_roles: roles.map(|roles| roles.into_iter().map(str::to_owned).collect()),
        ..bearer()
    });
    prop_oneof![key, token]
}

/// Three clients, the last of which asks with a token that the second got for the first.
fn world_of(clients: Vec<(Vec<Grant>, Option<Policy>)>) -> World {
    let mut world = world();
    let third = Client { guid: Uuid::from_u128(3), ..world.client.clone() };
    world.others.push(third);
    // Three roles of one resource, two of which have an app role in common.
    let devcenter = Role::clone(world.plan.roles.iter().find(|role| role.name == "devcenter").unwrap());
    for (name, app_roles) in [("first", vec!["a", "b"]), ("second", vec!["b"]), ("third", vec!["c"])] {
        let app_roles = app_roles.into_iter().map(str::to_owned).collect();
        let role = Role { name: name.into(), app_roles, ..devcenter.clone() };
        world.plan.roles.push(Arc::new(role));
    }
    let all = std::iter::once(&mut world.client).chain(&mut world.others);
    for (client, (grants, boundary)) in all.zip(clients) {
        (client.grants, client.boundary) = (grants, boundary);
    }
    world
}

fn shown(world: &World, passed: bool, app_roles: Vec<String>, audience: &str, left: u32) -> OwnToken {
    let first = OwnToken { app_roles, audience: audience.into(), expires: later(left), ..token(world) };
    if !passed {
        return first;
    }
    let between = &world.others[1];
    OwnToken {
        client: between.guid,
        subject: Some(world.client.guid),
        origin: Some(Uuid::from_u128(9)),
        actor: Some(json!({"sub": between.object, "client_id": between.guid})),
        ..first
    }
}

/// Whether a policy allows this, by its definition.
fn allows(policy: &Policy, action: &str, resource: &str) -> bool {
    let any = |effect| {
        policy.statements.iter().filter(|statement| statement.effect == effect).any(|statement| {
            statement.actions.iter().any(|a| brute::glob(&a.to_string(), action))
                && statement.resources.iter().any(|r| brute::glob(&r.to_string(), resource))
        })
    };
    any(Effect::Allow) && !any(Effect::Deny)
}

/// Whether one grant of the client has this role with all these values.
fn has(client: &Client, role: &str, variables: &BTreeMap<String, String>) -> bool {
    client.grants.iter().filter(|grant| grant.role == role).any(|grant| {
        variables.iter().all(|(name, value)| grant.bind[name].iter().any(|one| one == value || one == "*"))
    })
}

/// The longest that any of the client's grants gives this app role for, in seconds.
fn longest(world: &World, client: &Client, app_role: &str) -> u32 {
    let of_grant = |grant: &Grant| {
        let role = world.plan.roles.iter().find(|role| role.name == grant.role).unwrap();
        let gives = role.app_roles.iter().any(|one| one == app_role);
        gives.then(|| role.lifetime.default.min(grant.lifetime.unwrap_or(u32::MAX)))
    };
    client.grants.iter().filter_map(of_grant).max().unwrap_or_default()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2048))]

    #[test]
    fn no_exchange_gives_what_one_of_them_could_not_get(
        clients in vec((grants(), boundary()), 3),
        issue in issue(),
        passed: bool,
        carries in subsequence(APP_ROLES.to_vec(), 0..=3),
        own_resource: bool,
        left in 1..5_000_u32,
    ) {
        let world = world_of(clients);
        let carries: Vec<_> = carries.into_iter().map(str::to_owned).collect();
        let audience = if own_resource { RESOURCE } else { "api://other" };
        let token = shown(&world, passed, carries.clone(), audience, left);
        let got = ask(&world, &issue, &token);
        let mut parties = vec![&world.client, &world.others[0]];
        parties.extend(passed.then_some(&world.others[1]));
        let variables = got.as_ref().map(|got| got.variables().clone()).unwrap_or_default();
        let alone = Issue { variables, ..issue.clone() };
        let each: Vec<_> = parties
            .iter()
            .map(|client| authorize(&world.directory(), &caller(&world, client), "/", &alone))
            .collect();
        let Ok(got) = got else {
            // What is refused is refused for a reason: no named key that all could get alone, under no boundary and for a
            // token that was not narrowed, ...
            let free = !own_resource && parties.iter().all(|client| client.boundary.is_none());
            if matches!(issue.form, Form::Triple(_)) && !issue.variables.is_empty() {
                prop_assert!(!free || !parties.iter().all(|client| has(client, "store-upload", &issue.variables)));
            }
            // ... and no token of a role that all have and whose app roles the shown one carries.
            let shared = ["first", "second", "third"]
                .iter()
                .any(|role| parties.iter().all(|client| has(client, role, &BTreeMap::new())));
            if issue.form == Form::Bearer && issue.app_roles.is_none() && !own_resource {
                prop_assert!(!shared);
            }
            return Ok(());
        };
        prop_assert!(got.lifetime() <= left && got.lifetime() >= 1);
        for (client, alone) in parties.iter().zip(&each) {
            let alone = alone.as_ref().map_err(|refusal| TestCaseError::fail(format!("{refusal:?}")))?;
            prop_assert!(got.app_roles().iter().all(|role| alone.app_roles().contains(role)));
            if issue.form == Form::Bearer {
                prop_assert!(got.app_roles().iter().all(|role| longest(&world, client, role) >= got.lifetime()));
            } else {
                prop_assert!(has(client, got.role(), got.variables()));
                prop_assert!(got.lifetime() <= alone.lifetime());
            }
            for (action, resource) in ["oss:PutObject", "oss:GetObject"]
                .into_iter()
                .flat_map(|action| resources().map(move |resource| (action, resource)))
            {
                if got.policy().is_some_and(|policy| allows(policy, action, &resource)) {
                    prop_assert!(alone.policy().is_some_and(|policy| allows(policy, action, &resource)));
                    let boundary = client.boundary.as_ref();
                    prop_assert!(boundary.is_none_or(|boundary| allows(boundary, action, &resource)));
                }
            }
        }
        if issue.form == Form::Bearer && own_resource {
            prop_assert!(got.app_roles().iter().all(|role| carries.contains(role)));
        }
        if let Some(wanted) = &issue.app_roles {
            prop_assert!(got.app_roles().iter().all(|role| wanted.contains(role)));
        }
    }
}
