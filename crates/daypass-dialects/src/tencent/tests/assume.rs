//! `AssumeRole`: the role of an ARN, whole or narrowed.

use super::super::arn::role_id;
use super::legacy::Older;
use super::{Asking, POLICY, Service, Triple, code};
use crate::tencent::policy::allows;
use daypass_core::client::Grant;
use daypass_core::policy::{Decision, Language, Template, VariableType};
use daypass_core::record::Event;
use daypass_core::role::{Lifetime, Role};
use daypass_core::testing::{ACME, START, World, allow, later};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

const SOE: &str = "qcs::cam::uin/100000000001:roleName/soe";
const UPLOADS: &str = "qcs::cam::uin/100000000001:roleName/uploads";

/// A world with a role whose policy has a variable, of which the client may use two values.
fn world() -> World {
    let mut world = World::new();
    let variables: BTreeMap<_, _> = [("user".to_owned(), VariableType::Slug)].into();
    let resource = "qcs::cos::uid/1250000000:pics-1250000000/users/{user}/*";
    let policy = allow(Language::Cam, "cos:PutObject", resource);
    let uploads = Role {
        name: "uploads".into(),
        lifetime: Lifetime { default: 900, max: 200_000 },
        policy: Some(Template::new(policy, &variables).unwrap()),
        variables,
        external_id: Some("partner-7".into()),
        ..(*world.plan.roles[0]).clone()
    };
    world.plan.roles.push(Arc::new(uploads));
    let bind = [("user".to_owned(), vec!["ann".to_owned(), "bob".to_owned()])].into();
    world.client.grants.push(Grant { bind, ..Grant::of("uploads") });
    world
}

/// The body of a plain ask for a role, with more members or others.
fn body(arn: &str, more: &Value) -> String {
    let mut body = json!({"RoleArn": arn, "RoleSessionName": "lesson"});
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    body.to_string()
}

async fn assume(service: &Service, arn: &str, more: &Value) -> Value {
    service.sts(Asking::new("AssumeRole", &body(arn, more)).sent()).await
}

#[track_caller]
fn message(body: &Value) -> &str {
    body["Error"]["Message"].as_str().unwrap_or_else(|| panic!("not refused: {body}"))
}

/// The session tags that fill the role's variable and its `ExternalId`.
fn for_user(user: &str) -> Value {
    json!({"ExternalId": "partner-7", "Tags": [{"Key": "user", "Value": user}]})
}

#[tokio::test]
async fn an_assumed_role_has_the_vendors_shape_and_the_roles_whole_policy() {
    let service = Service::new();
    let answer = assume(&service, SOE, &json!({})).await;
    let names: Vec<_> = answer.as_object().unwrap().keys().cloned().collect();
    assert_eq!(names, ["Credentials", "Expiration", "ExpiredTime", "RequestId"]);
    assert_eq!(answer["ExpiredTime"], 1_700_001_800, "the role's own default");
    assert_eq!(answer["Expiration"], "2023-11-14T22:43:20Z");
    let records = service.store.all();
    let [record] = &records[..] else { panic!("one record") };
    assert_eq!((record.role.as_deref(), record.session.as_deref()), (Some("soe"), Some("lesson")));
    let Event::Grant { policy, .. } = &record.event else { panic!("{record:?}") };
    assert_eq!(
        policy.as_ref().unwrap().statements[0].actions[0].to_string(),
        "soe:TransmitOralProcessWithInit"
    );
}

#[tokio::test]
async fn the_key_says_which_role_it_is() {
    let service = Service::new();
    let triple = Triple::of(&assume(&service, SOE, &json!({})).await);
    let id = role_id(ACME, "soe");
    let permanent = service.sts(Asking::who().sent()).await;
    for asking in [Asking::who(), Asking::who().unsigned(), Asking::who().get("")] {
        let who = service.sts(asking.with(&triple).sent()).await;
        assert_eq!(who["Type"], "CAMRole", "{who}");
        assert_eq!(who["Arn"], format!("qcs::sts:100000000001:assumed-role/{id}"));
        assert_eq!(who["UserId"], format!("{id}:lesson"));
        assert_eq!(who["PrincipalId"], permanent["UserId"], "the key that asked for it");
        assert_eq!(who["AccountId"], "100000000001");
    }
}

#[tokio::test]
async fn a_role_is_named_in_two_ways_and_the_vendors_own_are_not_found() {
    let account = "qcs::cam::uin/100000000001";
    for (resource, expected) in [
        ("roleName/soe".to_owned(), "accepted"),
        (format!("role/{}", role_id(ACME, "soe")), "accepted"),
        (format!("role/{}", role_id(ACME, "nobody")), "ResourceNotFound.RoleNotFound"),
        ("role/soe".to_owned(), "ResourceNotFound.RoleNotFound"),
        ("roleName/nobody".to_owned(), "ResourceNotFound.RoleNotFound"),
        ("role/tencentcloudServiceRole/4611686018427397920".to_owned(), "ResourceNotFound.RoleNotFound"),
        ("role/tencentcloudServiceRoleName/soe".to_owned(), "ResourceNotFound.RoleNotFound"),
        ("user/soe".to_owned(), "InvalidParameter.ParamError"),
    ] {
        let service = Service::new();
        let answer = assume(&service, &format!("{account}:{resource}"), &json!({})).await;
        assert_eq!(answer["Error"]["Code"].as_str().unwrap_or("accepted"), expected, "{resource}");
    }
}

#[tokio::test]
async fn a_role_without_a_grant_is_like_one_that_does_not_exist() {
    let mut world = world();
    world.client.grants.clear();
    let service = Service::of(world);
    let mut seen = Vec::new();
    for arn in [
        UPLOADS,
        SOE,
        "qcs::cam::uin/100000000001:roleName/nobody",
        "qcs::cam::uin/100000000001:role/4611686000000000000",
    ] {
        // Not even a wrong variable or too long a life tells the one from the other.
        for more in [json!({}), for_user("eve"), json!({"DurationSeconds": 7_201})] {
            let mut answer = assume(&service, arn, &more).await;
            seen.push(answer["Error"].take());
        }
    }
    assert!(seen.iter().all(|error| *error == seen[0]), "{seen:?}");
    assert_eq!(seen[0]["Code"], "ResourceNotFound.RoleNotFound");
}

#[tokio::test]
async fn another_account_is_refused_whether_it_exists_or_not() {
    let service = Service::new();
    let mut seen = Vec::new();
    for account in ["100000000002", "100000000003"] {
        let mut answer = assume(
            &service,
            &format!("qcs::cam::uin/{account}:roleName/soe"),
            &json!({"DurationSeconds": 7_201}),
        )
        .await;
        seen.push(answer["Error"].take());
    }
    assert_eq!(seen[0], seen[1]);
    assert_eq!(seen[0]["Code"], "ResourceNotFound.RoleNotFound");
    assert!(
        seen[0]["Message"].as_str().unwrap().contains("not the caller's own, which is 100000000001"),
        "{seen:?}"
    );
}

#[tokio::test]
async fn a_policy_narrows_and_never_widens() {
    let service = Service::new();
    let narrowed = assume(&service, SOE, &json!({"Policy": POLICY})).await;
    assert!(narrowed["Credentials"].is_object(), "{narrowed}");
    let wide = POLICY.replace("TransmitOralProcessWithInit", "*");
    let refused = assume(&service, SOE, &json!({"Policy": wide})).await;
    assert_eq!(code(&refused), "InvalidParameter.GrantOtherResource");
    assert!(message(&refused).contains("statement 1"), "{refused}");
}

#[tokio::test]
async fn a_life_has_three_bounds_and_the_message_names_them() {
    for (arn, seconds, expected) in [
        (SOE, 1, Ok(1)),
        (SOE, 7200, Ok(7200)),
        (SOE, 7201, Err("an assumed role allows 43200 and the role soe 7200, so at most 7200")),
        (UPLOADS, 43_200, Ok(43_200)),
        (
            UPLOADS,
            43_201,
            Err(
                "DurationSeconds is 43201; an assumed role allows 43200 and the role uploads 200000, so at most 43200",
            ),
        ),
    ] {
        let service = Service::of(world());
        let mut more = if arn == UPLOADS { for_user("ann") } else { json!({}) };
        more["DurationSeconds"] = seconds.into();
        let answer = assume(&service, arn, &more).await;
        match expected {
            Ok(life) => assert_eq!(answer["ExpiredTime"], START.as_second() + life, "{answer}"),
            Err(part) => {
                assert_eq!(code(&answer), "InvalidParameter.OverTimeError");
                assert!(message(&answer).contains(part), "{answer}");
            }
        }
    }
}

#[tokio::test]
async fn a_tag_fills_a_variable_and_the_others_are_written_down() {
    let service = Service::of(world());
    let more = json!({
        "ExternalId": "partner-7",
        "SourceIdentity": "200000000017",
        "Tags": [{"Key": "user", "Value": "ann"}, {"Key": "课程 a", "Value": ""}],
    });
    let answer = assume(&service, UPLOADS, &more).await;
    assert_eq!(answer["ExpiredTime"], 1_700_000_900, "{answer}");
    let records = service.store.all();
    let [record] = &records[..] else { panic!("one record") };
    let Event::Grant { policy, variables, tags, source_identity, .. } = &record.event else {
        panic!("{record:?}")
    };
    assert_eq!(
        policy.as_ref().unwrap().statements[0].resources[0].to_string(),
        "qcs::cos::uid/1250000000:pics-1250000000/users/ann/*"
    );
    assert_eq!(variables, &BTreeMap::from([("user".to_owned(), "ann".to_owned())]));
    assert_eq!(tags.len(), 2);
    assert_eq!(tags["课程 a"], "");
    assert_eq!(source_identity.as_deref(), Some("200000000017"));
}

#[tokio::test]
async fn a_variable_takes_only_what_the_grant_allows() {
    let service = Service::of(world());
    for user in ["eve", "ann/../bob", "*", ""] {
        let answer = assume(&service, UPLOADS, &for_user(user)).await;
        assert_eq!(code(&answer), "InvalidParameter.ParamError", "{user}");
    }
    let without = assume(&service, UPLOADS, &json!({"ExternalId": "partner-7"})).await;
    assert_eq!(code(&without), "MissingParameter");
    assert!(message(&without).contains("user"), "{without}");
}

#[tokio::test]
async fn a_role_with_an_external_id_wants_that_very_one() {
    let service = Service::of(world());
    for external in [Value::Null, "partner-8".into(), "PARTNER-7".into()] {
        let mut more = for_user("ann");
        more["ExternalId"] = external;
        let answer = assume(&service, UPLOADS, &more).await;
        assert_eq!(code(&answer), "UnauthorizedOperation", "{more}");
        assert!(!answer.to_string().contains("partner-7"), "{answer}");
    }
    // A role that wants none takes any.
    assert!(assume(&service, SOE, &json!({"ExternalId": "a:b/c"})).await["Credentials"].is_object());
}

#[tokio::test]
async fn every_parameter_has_its_limits() {
    let tags = |count: usize| -> Value {
        (0..count).map(|n| json!({"Key": format!("k{n}"), "Value": "v"})).collect()
    };
    let tag = |key: &str, value: &str| json!({"Tags": [{"Key": key, "Value": value}]});
    for (more, expected) in [
        (json!({"RoleSessionName": "ab"}), "accepted"),
        (json!({"RoleSessionName": "a"}), "InvalidParameter.ParamError"),
        (json!({"RoleSessionName": "n".repeat(128)}), "accepted"),
        (json!({"RoleSessionName": "n".repeat(129)}), "InvalidParameter.ParamError"),
        (json!({"RoleSessionName": "a b"}), "InvalidParameter.ParamError"),
        (json!({"RoleSessionName": null}), "MissingParameter"),
        (json!({"RoleSessionName": 12}), "InvalidParameter.ParamError"),
        (json!({"RoleArn": null}), "MissingParameter"),
        (json!({"RoleArn": "soe"}), "InvalidParameter.ParamError"),
        (json!({"ExternalId": "a"}), "InvalidParameter.ParamError"),
        (json!({"ExternalId": "a b"}), "InvalidParameter.ParamError"),
        (json!({"ExternalId": "e".repeat(129)}), "InvalidParameter.ParamError"),
        (json!({"SourceIdentity": "me@home"}), "accepted"),
        (json!({"SourceIdentity": "a/b"}), "InvalidParameter.ParamError"),
        (json!({"SourceIdentity": "s"}), "InvalidParameter.ParamError"),
        (json!({"DurationSeconds": 0}), "InvalidParameter.ParamError"),
        (json!({"DurationSeconds": "60"}), "InvalidParameter.ParamError"),
        (json!({"Tags": []}), "accepted"),
        (json!({"Tags": tags(50)}), "accepted"),
        (json!({"Tags": tags(51)}), "InvalidParameter.ParamError"),
        (json!({"Tags": "a=b"}), "InvalidParameter.ParamError"),
        (
            json!({"Tags": [{"Key": "a", "Value": "1"}, {"Key": "a", "Value": "2"}]}),
            "InvalidParameter.ParamError",
        ),
        (json!({"Tags": [{"Key": "a", "Value": "1"}, {"Key": "A", "Value": "2"}]}), "accepted"),
        (json!({"Tags": [{"Value": "1"}]}), "MissingParameter"),
        (json!({"Tags": [{"Key": "a", "Value": "1", "Extra": "2"}]}), "UnknownParameter"),
        (tag(&"课".repeat(128), &"值".repeat(256)), "accepted"),
        (tag(&"k".repeat(129), "v"), "InvalidParameter.ParamError"),
        (tag("k", &"v".repeat(257)), "InvalidParameter.ParamError"),
        (tag("a&b", "v"), "InvalidParameter.ParamError"),
        (tag("a", "v\n"), "InvalidParameter.ParamError"),
        (json!({"SerialNumber": "qcs::cam:uin/1::mfa/softToken"}), "FailedOperation.MFATypeNotSupported"),
        (json!({"TokenCode": "123456"}), "FailedOperation.MFATypeNotSupported"),
        (json!({"SerialNumber": "", "TokenCode": ""}), "accepted"),
        (json!({"Name": "soe"}), "UnknownParameter"),
        (json!({"Policy": "soe:*"}), "InvalidParameter.StrategyFormatError"),
        (
            json!({"Policy": POLICY.replace("\"*\"", "\"qcs::soe::uin/100000000002:*\"")}),
            "InvalidParameter.GrantOtherResource",
        ),
    ] {
        let service = Service::new();
        let answer = assume(&service, SOE, &more).await;
        assert_eq!(answer["Error"]["Code"].as_str().unwrap_or("accepted"), expected, "{more}");
    }
}

#[tokio::test]
async fn a_temporary_key_assumes_nothing() {
    let service = Service::new();
    let triple = Triple::of(&assume(&service, SOE, &json!({})).await);
    let again = body(SOE, &json!({}));
    let request = Asking::new("AssumeRole", &again).with(&triple).sent();
    assert_eq!(service.code(request).await, "UnsupportedOperation");
}

#[tokio::test]
async fn tags_travel_numbered_in_a_query_and_in_the_older_form() {
    let parameters = [
        ("RoleArn", UPLOADS),
        ("RoleSessionName", "lesson"),
        ("ExternalId", "partner-7"),
        ("Tags.0.Key", "user"),
        ("Tags.0.Value", "bob"),
        ("Tags.1.Key", "class"),
        ("Tags.1.Value", "4 a"),
    ];
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish();
    for request in
        [Asking::new("AssumeRole", "").get(&query).sent(), Older::new("AssumeRole", &parameters).sent()]
    {
        let service = Service::of(world());
        let answer = service.sts(request).await;
        assert!(answer["Credentials"].is_object(), "{answer}");
        let Event::Grant { variables, tags, .. } = &service.store.all()[0].event else { panic!("a grant") };
        assert_eq!((variables["user"].as_str(), tags["class"].as_str()), ("bob", "4 a"));
    }
}

#[tokio::test]
async fn every_tag_that_is_allowed_fits_into_the_older_form() {
    let pairs: Vec<(String, String)> = (0..50)
        .flat_map(|n| {
            [(format!("Tags.{n}.Key"), format!("k{n}")), (format!("Tags.{n}.Value"), "v".to_owned())]
        })
        .collect();
    let mut parameters = vec![("RoleArn", SOE), ("RoleSessionName", "lesson")];
    parameters.extend(pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    let service = Service::new();
    let answer = service.sts(Older::new("AssumeRole", &parameters).sent()).await;
    assert!(answer["Credentials"].is_object(), "{answer}");
}

#[tokio::test]
async fn asks_over_an_unsigned_body_share_no_key() {
    // The signature covers neither body, and both have the same.
    let service = Service::of(world());
    let ask = |user: &str| body(UPLOADS, &for_user(user));
    let (ann, bob) = (ask("ann"), ask("bob"));
    let mut ids = Vec::new();
    for body in [&ann, &bob, &ann] {
        let answer = service.sts(Asking::new("AssumeRole", body).unsigned().sent()).await;
        ids.push(Triple::of(&answer).id);
    }
    assert_eq!(ids[0], ids[2], "a retry is one");
    assert_ne!(ids[0], ids[1]);
    let late = service.sts(Asking::new("AssumeRole", &ann).unsigned().at(later(1)).sent()).await;
    assert_ne!(Triple::of(&late).id, ids[0]);
}

/// What could make a value reach more than it names, in any type: wildcards, separators, quotes, control characters,
/// escapes, look-alikes and overlong texts.
const HOSTILE: [&str; 22] = [
    "", "*", "1*", "?", "1?", "1/*", "../1", "1/../10", "/1", "1/", "1:2", "1\"", "1'", "{1}", "${1}",
    "1\u{0}", "1\n", "%31", "1%2F", "\u{661}", "\u{ff11}", "\u{2217}",
];

#[tokio::test]
async fn user_1_is_never_user_10_whatever_the_type() {
    let overlong = "1".repeat(300);
    let bucket = "qcs::cos::uid/1250000000:pics-1250000000/users";
    for kind in [
        VariableType::Slug,
        VariableType::Int,
        VariableType::Path,
        VariableType::one_of(vec!["1".into(), "10".into()]).unwrap(),
        VariableType::pattern("[0-9]{1,2}").unwrap(),
    ] {
        let mut world = world();
        let uploads = Arc::make_mut(world.plan.roles.last_mut().unwrap());
        uploads.variables = [("user".to_owned(), kind.clone())].into();
        let policy = allow(Language::Cam, "cos:PutObject", &format!("{bucket}/{{user}}/*"));
        uploads.policy = Some(Template::new(policy, &uploads.variables).unwrap());
        // Any value: what is left to refuse one is its type.
        world.client.grants.last_mut().unwrap().bind = [("user".to_owned(), vec!["*".to_owned()])].into();
        let service = Service::of(world);
        for value in HOSTILE.into_iter().chain([overlong.as_str()]) {
            let answer = assume(&service, UPLOADS, &for_user(value)).await;
            assert!(answer["Error"]["Code"].is_string(), "{kind:?} {value:?}: {answer}");
        }
        assert!(
            service.store.all().iter().all(|record| !matches!(record.event, Event::Grant { .. })),
            "{kind:?}"
        );
        let answer = assume(&service, UPLOADS, &for_user("1")).await;
        assert!(answer["Credentials"].is_object(), "{kind:?}: {answer}");
        let records = service.store.all();
        let Some(Event::Grant { policy: Some(policy), .. }) = records.last().map(|record| &record.event)
        else {
            panic!("{records:?}")
        };
        for (object, expected) in [
            ("1/a", true),
            ("1/10/a", true),
            ("10/a", false),
            ("1", false),
            ("11/1/a", false),
            ("1*/a", false),
        ] {
            let decision = allows(policy, "cos:PutObject", &format!("{bucket}/{object}"), &BTreeMap::new());
            assert_eq!(matches!(decision, Decision::Allowed(_)), expected, "{kind:?} {object}");
        }
    }
}
