use super::*;
use crate::entra::own;
use daypass_core::caller::{Caller, Proof};
use daypass_core::client::Client;
use daypass_core::dialect::{Context, Form, Issue, RoleChoice};
use daypass_core::inspect::OwnToken;
use daypass_core::policy::{ClaimTemplate, VariableType, authorize, authorize_exchange};
use daypass_core::testing::{RESOURCE, START, World, later};
use serde_json::{Map, json};
use std::sync::Arc;

const BASE: &str = "https://pass.example";
const IDENTIFIER: &str = "api://Orders";

/// The test world at this address, whose OAuth role gives tokens of this shape.
fn world(shape: Shape) -> World {
    let mut world = World::new();
    world.plan.public_url = BASE.into();
    let role = Arc::make_mut(&mut world.plan.roles[2]);
    role.identifiers = vec![IDENTIFIER.into()];
    (role.profile, role.version) = match shape {
        Shape::V1 => (Profile::Entra, TokenVersion::V1),
        Shape::V2 => (Profile::Entra, TokenVersion::V2),
        Shape::Rfc9068 => (Profile::Rfc9068, TokenVersion::V2),
    };
    world
}

/// The same with claims of the operator's own.
fn world_with_claims(shape: Shape) -> World {
    let mut world = world(shape);
    let role = Arc::make_mut(&mut world.plan.roles[2]);
    role.variables = [("store".to_owned(), VariableType::Slug), ("n".to_owned(), VariableType::Int)].into();
    for (name, text) in [("stores", "{store}"), ("number", "{n}"), ("region", "cn")] {
        let claim = ClaimTemplate::parse(text, &role.variables).unwrap();
        role.claims.insert(name.into(), claim);
    }
    let values = |list: &[&str]| list.iter().map(|one| (*one).to_owned()).collect();
    world.client.grants[2].bind =
        [("store".to_owned(), values(&["8005", "8006"])), ("n".to_owned(), values(&["7"]))].into();
    world
}

fn authorized(world: &World, role: RoleChoice, how: How) -> Authorized {
    let proof = Proof::Key {
        client: Arc::new(world.client.clone()),
        key: "00000000-0000-0000-0000-0000000005ec".into(),
        weak: None,
        how,
    };
    let caller = Caller::for_test(world.plan.tenants[0].clone(), proof);
    let issue = Issue::new(role, Form::Bearer);
    authorize(&world.directory(), &caller, "/", &issue).unwrap_or_else(|r| panic!("{r:?}"))
}

fn claims_of(world: &World, resource: &str) -> AccessToken {
    let authorized = authorized(world, RoleChoice::Resource(resource.to_uppercase()), How::ClientSecretPost);
    AccessToken::new(BASE, &authorized, START, Uuid::from_u128(0x71)).unwrap_or_else(|r| panic!("{r:?}"))
}

fn claims(shape: Shape) -> AccessToken {
    claims_of(&world(shape), IDENTIFIER)
}

const SHAPES: [Shape; 3] = [Shape::V1, Shape::V2, Shape::Rfc9068];

/// Whom a token speaks for where that is not the client that asked: another client of the tenant.
const OTHER: Uuid = Uuid::from_u128(0x0c0c);
const OTHER_OBJECT: Uuid = Uuid::from_u128(0x0d0d);

/// The same token as an exchange through two clients would make it.
fn exchanged(mut token: AccessToken) -> AccessToken {
    token.sub = if token.shape.sub_is_client() { OTHER } else { OTHER_OBJECT };
    let keys = [key_print("one"), key_print("two")];
    token.rh = rh(&key_print("key"), [1, 2].map(Uuid::from_u128).into_iter(), keys.iter());
    token.act = Some(json!({"sub": token.client, "act": {"sub": OTHER}}));
    token
}

fn bound(mut token: AccessToken, confirmation: Confirmation) -> AccessToken {
    token.cnf = Some(confirmation);
    token
}

fn map(token: &AccessToken) -> Map<String, Value> {
    serde_json::from_slice(&serde_json::to_vec(token).unwrap()).unwrap()
}

#[test]
fn the_claims_are_those_of_a_v2_application_token() {
    insta::assert_snapshot!(serde_json::to_string_pretty(&claims(Shape::V2)).unwrap(), @r#"
    {
      "aud": "d6b7c858-55fa-4d04-85a6-131af690abd4",
      "iss": "https://pass.example/387c56a8-cf86-45de-b9f5-b4de88cac054/v2.0",
      "iat": 1700000000,
      "nbf": 1699999700,
      "exp": 1700003600,
      "azp": "0d1f6f0e-6f0b-4f43-9d1c-3a3f1a6b7c11",
      "azpacr": "1",
      "idtyp": "app",
      "oid": "00000000-0000-0000-0000-000000000b0b",
      "rh": "1.vDg04iQ3N1uHdtqg8FhxjQ",
      "roles": [
        "orders.read"
      ],
      "sub": "00000000-0000-0000-0000-000000000b0b",
      "tid": "387c56a8-cf86-45de-b9f5-b4de88cac054",
      "uti": "00000000-0000-0000-0000-000000000071",
      "ver": "2.0"
    }
    "#);
}

#[test]
fn the_claims_are_those_of_a_v1_application_token() {
    insta::assert_snapshot!(serde_json::to_string_pretty(&claims(Shape::V1)).unwrap(), @r#"
    {
      "aud": "api://Orders",
      "iss": "https://pass.example/387c56a8-cf86-45de-b9f5-b4de88cac054/",
      "iat": 1700000000,
      "nbf": 1699999700,
      "exp": 1700003600,
      "appid": "0d1f6f0e-6f0b-4f43-9d1c-3a3f1a6b7c11",
      "appidacr": "1",
      "app_displayname": "app",
      "idp": "https://pass.example/387c56a8-cf86-45de-b9f5-b4de88cac054/",
      "idtyp": "app",
      "oid": "00000000-0000-0000-0000-000000000b0b",
      "rh": "1.vDg04iQ3N1uHdtqg8FhxjQ",
      "roles": [
        "orders.read"
      ],
      "sub": "00000000-0000-0000-0000-000000000b0b",
      "tid": "387c56a8-cf86-45de-b9f5-b4de88cac054",
      "uti": "00000000-0000-0000-0000-000000000071",
      "ver": "1.0"
    }
    "#);
}

#[test]
fn the_claims_are_those_of_rfc_9068() {
    let token = claims_of(&world_with_claims(Shape::Rfc9068), RESOURCE);
    insta::assert_snapshot!(serde_json::to_string_pretty(&token).unwrap(), @r#"
    {
      "aud": "d6b7c858-55fa-4d04-85a6-131af690abd4",
      "iss": "https://pass.example/387c56a8-cf86-45de-b9f5-b4de88cac054/v2.0",
      "iat": 1700000000,
      "nbf": 1699999700,
      "exp": 1700003600,
      "client_id": "0d1f6f0e-6f0b-4f43-9d1c-3a3f1a6b7c11",
      "rh": "1.vDg04iQ3N1uHdtqg8FhxjQ",
      "roles": [
        "orders.read"
      ],
      "sub": "0d1f6f0e-6f0b-4f43-9d1c-3a3f1a6b7c11",
      "jti": "00000000-0000-0000-0000-000000000071",
      "number": 7,
      "region": "cn",
      "stores": [
        "8005",
        "8006"
      ]
    }
    "#);
}

#[test]
fn an_exchanged_and_bound_token_says_for_whom_by_whom_and_whose() {
    let token = bound(exchanged(claims(Shape::V2)), Confirmation::Key("thumbprint".into()));
    insta::assert_snapshot!(serde_json::to_string_pretty(&token).unwrap(), @r#"
    {
      "aud": "d6b7c858-55fa-4d04-85a6-131af690abd4",
      "iss": "https://pass.example/387c56a8-cf86-45de-b9f5-b4de88cac054/v2.0",
      "iat": 1700000000,
      "nbf": 1699999700,
      "exp": 1700003600,
      "azp": "0d1f6f0e-6f0b-4f43-9d1c-3a3f1a6b7c11",
      "azpacr": "1",
      "idtyp": "app",
      "oid": "00000000-0000-0000-0000-000000000d0d",
      "rh": "1.8sbrLQnzhYGD83lPyw4KMg.00000000-0000-0000-0000-000000000001.00000000-0000-0000-0000-000000000002.JuQXm7iKB3bbeiUoscfRAw.KVD9V8SGGajd2ZUZ6I-uDg",
      "roles": [
        "orders.read"
      ],
      "sub": "00000000-0000-0000-0000-000000000d0d",
      "tid": "387c56a8-cf86-45de-b9f5-b4de88cac054",
      "uti": "00000000-0000-0000-0000-000000000071",
      "ver": "2.0",
      "cnf": {
        "jkt": "thumbprint"
      },
      "act": {
        "act": {
          "sub": "00000000-0000-0000-0000-000000000c0c"
        },
        "sub": "0d1f6f0e-6f0b-4f43-9d1c-3a3f1a6b7c11"
      }
    }
    "#);
}

#[test]
fn the_claims_of_an_operator_stand_beside_the_others() {
    for shape in SHAPES {
        let said = map(&claims_of(&world_with_claims(shape), RESOURCE));
        assert_eq!(said["stores"], json!(["8005", "8006"]), "several values are a list");
        assert_eq!((&said["number"], &said["region"]), (&json!(7), &json!("cn")));
    }
}

#[test]
fn all_claims_and_no_others_are_announced() {
    for (version, shapes) in
        [(TokenVersion::V1, &[Shape::V1][..]), (TokenVersion::V2, &[Shape::V2, Shape::Rfc9068][..])]
    {
        let full = |shape: &Shape| bound(exchanged(claims(*shape)), Confirmation::Key("x".into()));
        let written: BTreeSet<String> =
            shapes.iter().flat_map(|shape| map(&full(shape))).map(|(n, _)| n).collect();
        let announced: BTreeSet<String> = names(version).iter().map(ToString::to_string).collect();
        assert_eq!(written, announced);
        for name in announced {
            assert!(daypass_core::policy::check_name(&name).is_err(), "an operator could write {name}");
        }
    }
}

#[test]
fn the_first_version_is_for_the_resource_as_it_was_asked_for() {
    for (shape, by_identifier, by_audience) in [
        (Shape::V1, IDENTIFIER, RESOURCE),
        (Shape::V2, RESOURCE, RESOURCE),
        (Shape::Rfc9068, RESOURCE, RESOURCE),
    ] {
        assert_eq!(claims(shape).aud, by_identifier, "{shape:?}");
        assert_eq!(claims_of(&world(shape), RESOURCE).aud, by_audience, "{shape:?}");
    }
}

#[test]
fn how_the_client_proved_itself_is_true() {
    let world = world(Shape::V2);
    for (how, expected) in [
        (How::ClientSecretPost, "1"),
        (How::ClientSecretBasic, "1"),
        (How::PrivateKeyJwt, "2"),
        (How::Federated, "2"),
        (How::TlsClientAuth, "2"),
        (How::SelfSignedTlsClientAuth, "2"),
    ] {
        let authorized = authorized(&world, RoleChoice::Resource(RESOURCE.into()), how);
        let token =
            AccessToken::new(BASE, &authorized, START, Uuid::nil()).unwrap_or_else(|r| panic!("{r:?}"));
        assert_eq!(map(&token)["azpacr"], expected, "{how:?}");
    }
}

#[test]
fn a_client_without_app_roles_has_no_roles_claim() {
    for shape in SHAPES {
        let mut token = claims(shape);
        token.roles.clear();
        assert!(!map(&token).contains_key("roles"));
    }
}

#[test]
fn a_long_name_is_cut() {
    let mut world = world(Shape::V1);
    world.client.name = "名".repeat(200);
    assert_eq!(map(&claims_of(&world, RESOURCE))["app_displayname"], "名".repeat(NAME));
}

#[test]
fn a_role_without_an_audience_gives_no_token() {
    let soe = authorized(&World::new(), RoleChoice::Default, How::ClientSecretPost);
    let refusal = AccessToken::new(BASE, &soe, START, Uuid::nil()).unwrap_err();
    assert_eq!(refusal.cause.as_deref(), Some("an access token needs a role with an audience"));
}

fn read_back(world: &World, token: &AccessToken) -> Option<OwnToken> {
    let directory = world.directory();
    own::token(Context { directory: &directory, now: START }, &map(token))
}

/// What is written is read back as what it meant, in each shape.
#[test]
fn every_shape_is_read_back() {
    for shape in SHAPES {
        let world = world(shape);
        let token = claims(shape);
        let plain = OwnToken {
            id: Uuid::from_u128(0x71),
            tenant: "acme".into(),
            client: world.client.guid,
            subject: None,
            key: Some(key_print("00000000-0000-0000-0000-0000000005ec")),
            origin: None,
            earlier: vec![],
            origin_keys: vec![],
            audience: RESOURCE.into(),
            app_roles: vec!["orders.read".into()],
            issued: START,
            expires: later(3600),
            confirmation: None,
            actor: None,
        };
        assert_eq!(read_back(&world, &token), Some(plain.clone()), "{shape:?}");
        for confirmation in [Confirmation::Key("k".into()), Confirmation::Certificate("c".into())] {
            let read = read_back(&world, &bound(token.clone(), confirmation.clone()));
            assert_eq!(
                read,
                Some(OwnToken { confirmation: Some(confirmation), ..plain.clone() }),
                "{shape:?}"
            );
        }
    }
}

#[test]
fn an_exchanged_token_is_read_back() {
    for shape in SHAPES {
        let mut world = world(shape);
        let token = exchanged(claims(shape));
        // The world's client is the one that the token speaks for; the one that asked has gone meanwhile.
        world.client.guid = OTHER;
        world.client.object = OTHER_OBJECT;
        let read = read_back(&world, &token).unwrap_or_else(|| panic!("{shape:?}"));
        assert_eq!((read.client, read.subject), (World::new().client.guid, Some(OTHER)), "{shape:?}");
        assert_eq!((read.origin, read.earlier), (Some(Uuid::from_u128(1)), vec![Uuid::from_u128(2)]));
        assert_eq!((read.key, read.actor), (Some(key_print("key")), token.act));
        assert_eq!(read.origin_keys, [key_print("one"), key_print("two")]);
    }
}

/// As many real exchanges as there may be, to and fro between two clients.
#[test]
fn the_longest_chain_was_foreseen() {
    let mut world = world_with_claims(Shape::V1);
    world.client.audiences = vec![RESOURCE.into()];
    world.others.push(Client { guid: OTHER, object: OTHER_OBJECT, ..world.client.clone() });
    let directory = world.directory();
    let caller = |client: &Client| {
        let proof = Proof::Key {
            client: Arc::new(client.clone()),
            key: "key".into(),
            weak: None,
            how: How::ClientSecretPost,
        };
        Caller::for_test(world.plan.tenants[0].clone(), proof)
    };
    let write = |authorized: &Authorized, id: usize| {
        AccessToken::new(BASE, authorized, START, Uuid::from_u128(id as u128))
            .unwrap_or_else(|r| panic!("{r:?}"))
    };
    let issue = Issue::new(RoleChoice::Resource(RESOURCE.into()), Form::Bearer);
    let mut token = claims_of(&world, RESOURCE);
    for turn in 1..=EXCHANGES {
        let actor = if turn % 2 == 1 { &world.others[0] } else { &world.client };
        let shown = read_back(&world, &token).unwrap();
        let given = authorize_exchange(&directory, &caller(actor), "/", &issue, &shown, START);
        token = write(&given.unwrap_or_else(|r| panic!("{turn}: {r:?}")), turn);
    }
    let act = serde_json::to_vec(&token.act).unwrap().len();
    assert!(act > ACT_BYTES / 2 && act <= ACT_BYTES, "{act}");
    // Its own key, the tokens before it, and the two keys of all those.
    assert_eq!(token.rh.split('.').count(), 2 + EXCHANGES + 2);
    assert_eq!(map(&token)["sub"], world.client.object.to_string(), "it still speaks for the first");
    let roles: Vec<&Role> = world.plan.roles[2..].iter().map(|role| &**role).collect();
    assert!(base64(serde_json::to_vec(&token).unwrap().len()) + HEADER_BYTES + 344 <= longest(BASE, &roles));
    let shown = read_back(&world, &token).unwrap();
    assert!(authorize_exchange(&directory, &caller(&world.others[0]), "/", &issue, &shown, START).is_err());
}
