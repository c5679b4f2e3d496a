//! Tokens in every shape that a resource can ask for, read by an independent library.

use super::*;
use daypass_core::client::Grant;
use daypass_core::policy::{ClaimTemplate, VALUES_BYTES, VariableType, claims};
use daypass_core::role::{Profile, Role, TOKEN_BYTES, TokenVersion};
use daypass_dialects::entra::wire;
use proptest::prelude::*;

/// What an operator might write of a resource and of a client's grant on it.
#[derive(Clone, Debug)]
struct Written {
    version: TokenVersion,
    profile: Profile,
    identifier: Option<String>,
    app_roles: Vec<Vec<String>>,
    claims: Vec<(String, String)>,
    values: Vec<Vec<String>>,
    client: String,
}

/// The types of the variables `v0` to `v3`.
const TYPES: [VariableType; 4] =
    [VariableType::Slug, VariableType::Int, VariableType::Path, VariableType::Slug];

fn written() -> impl Strategy<Value = Written> {
    let app_roles = prop::collection::vec(prop::collection::vec("[!-~]{1,120}", 0..20), 1..3);
    let text = prop_oneof!["[a-z \"\\\\é]{1,200}", "[a-z]{0,30}\\{v[0-3]\\}[a-z]{0,30}", "\\{v[0-3]\\}"];
    let value = prop_oneof!["[a-z0-9]{1,64}", "[1-9][0-9]{0,15}", "[a-z]{2,9}(/[a-z]{2,9}){0,20}"];
    (
        prop::sample::select(TokenVersion::ALL),
        prop::sample::select(Profile::ALL),
        prop::option::of("api://[a-z]{1,200}"),
        app_roles,
        prop::collection::vec(("x_[a-z]{1,20}", text), 0..5),
        prop::collection::vec(prop::collection::vec(value, 0..12), 4),
        ".{0,80}",
    )
        .prop_map(|(version, profile, identifier, app_roles, claims, values, client)| Written {
            version,
            profile,
            identifier,
            app_roles,
            claims,
            values,
            client,
        })
}

/// The world of what is written, as far as it is accepted at all.
fn world_of(written: &Written) -> Option<World> {
    let mut world = world(Algorithm::Rs256);
    world.client.name.clone_from(&written.client);
    let variable = |n: usize| format!("v{n}");
    let role = Arc::make_mut(&mut world.plan.roles[2]);
    (role.version, role.profile) = (written.version, written.profile);
    role.identifiers.extend(written.identifier.clone());
    role.variables = TYPES.into_iter().enumerate().map(|(n, kind)| (variable(n), kind)).collect();
    for (name, text) in &written.claims {
        role.claims.insert(name.clone(), ClaimTemplate::parse(text, &role.variables).unwrap());
    }
    let used: Vec<_> = role.claims.values().filter_map(ClaimTemplate::variable).map(str::to_owned).collect();
    role.variables.retain(|name, _| used.contains(name));
    let (role, roles) = (role.clone(), &mut world.plan.roles);
    roles.truncate(2);
    world.client.grants.truncate(2);
    for (n, app_roles) in written.app_roles.iter().enumerate() {
        let name = format!("role-{n}");
        world.client.grants.push(Grant {
            role: name.clone(),
            bind: written.values.iter().enumerate().map(|(n, list)| (variable(n), list.clone())).collect(),
            lifetime: None,
        });
        roles.push(Arc::new(Role { name, app_roles: app_roles.clone(), ..role.clone() }));
    }
    let of_resource: Vec<&Role> = world.plan.roles[2..].iter().map(|role| &**role).collect();
    let variable_bytes = |role: &Role| -> usize {
        let varying = role.claims.values().filter(|claim| claim.variable().is_some());
        varying.map(|claim| claim.longest().bytes()).sum()
    };
    let fits = variable_bytes(&role) <= VALUES_BYTES
        && wire::longest(&world.plan.public_url, &of_resource) <= TOKEN_BYTES
        && claims::check_grant(&role, &world.client.grants[2]).is_ok();
    fits.then_some(world)
}

/// The token of a world's client for the resource by this name.
fn token(world: &World, name: &str, algorithm_seed: u64) -> String {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let ask = authorized(world, Form::Bearer, RoleChoice::Resource(name.to_owned()), None);
    let made = runtime.block_on(Local::new().issue(&world.directory(), &ask, &draw(algorithm_seed)));
    match made.unwrap_or_else(|refusal| panic!("{refusal:?}")).credential {
        Credential::Bearer(bearer) => bearer.token.expose_str().to_owned(),
        Credential::Triple(_) => panic!("a triple"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn whatever_is_accepted_gives_a_token_within_the_bound(written in written()) {
        let Some(world) = world_of(&written) else { return Ok(()) };
        let roles: Vec<&Role> = world.plan.roles[2..].iter().map(|role| &**role).collect();
        let foreseen = wire::longest(&world.plan.public_url, &roles);
        for name in std::iter::once(RESOURCE).chain(written.identifier.as_deref()) {
            let token = token(&world, name, 1);
            prop_assert!(token.len() <= foreseen && foreseen <= TOKEN_BYTES, "{} {foreseen}", token.len());
            let v1 = (written.profile, written.version) == (Profile::Entra, TokenVersion::V1);
            let issuer = format!("http://127.0.0.1:5050/{ACME}/{}", if v1 { "" } else { "v2.0" });
            let claims = verified_as(&world, &token, &issuer, if v1 { name } else { RESOURCE });
            for own in roles[0].claims.keys() {
                prop_assert!(!claims[own].is_null(), "{own} in {claims}");
            }
        }
    }
}

#[test]
fn what_is_written_is_accepted_often_enough_to_prove_something() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let mut one = || written().new_tree(&mut runner).unwrap().current();
    let all: Vec<Written> = (0..300).map(|_| one()).collect();
    let accepted: Vec<&Written> = all.iter().filter(|written| world_of(written).is_some()).collect();
    assert!(accepted.len() > 50 && accepted.len() < 300, "{}", accepted.len());
    assert!(accepted.iter().filter(|written| !written.claims.is_empty()).count() > 20);
}

#[test]
fn each_shape_is_what_its_library_expects() {
    for (version, profile, typ, client, id, after) in [
        (TokenVersion::V1, Profile::Entra, "JWT", "appid", "uti", ""),
        (TokenVersion::V2, Profile::Entra, "JWT", "azp", "uti", "v2.0"),
        (TokenVersion::V2, Profile::Rfc9068, "at+jwt", "client_id", "jti", "v2.0"),
    ] {
        let mut world = world(Algorithm::Es256);
        let role = Arc::make_mut(&mut world.plan.roles[2]);
        (role.version, role.profile) = (version, profile);
        let token = token(&world, RESOURCE, 1);
        assert_eq!(decode_header(&token).unwrap().typ.as_deref(), Some(typ));
        let claims = verified_as(&world, &token, &format!("http://127.0.0.1:5050/{ACME}/{after}"), RESOURCE);
        assert_eq!(claims[client], world.client.guid.to_string());
        let other = self::token(&world, RESOURCE, 2);
        let other = verified_as(&world, &other, &format!("http://127.0.0.1:5050/{ACME}/{after}"), RESOURCE);
        assert_ne!(claims[id], other[id], "no token is served twice");
        assert_eq!(claims["nbf"].as_i64().unwrap(), claims["iat"].as_i64().unwrap() - 300);
    }
}
