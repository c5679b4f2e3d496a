//! Every action in every way of signing, right and wrong in each of the ways that concern them all.

use super::super::sign::ClientKey;
use super::super::sign::v1::{self, Algorithm};
use super::super::wire::Action;
use super::legacy::Older;
use super::{Asking, POLICY, Service};
use daypass_core::clock::Timestamp;
use daypass_core::request::Request;
use daypass_core::testing::{START, World};

/// How a request is signed and carried.
#[derive(Clone, Copy, Debug)]
enum Way {
    Tc3Post,
    Tc3Get,
    Tc3Unsigned,
    V1Post,
    V1Get,
    V1Sha256,
}

const WAYS: [Way; 6] = [Way::Tc3Post, Way::Tc3Get, Way::Tc3Unsigned, Way::V1Post, Way::V1Get, Way::V1Sha256];

/// Actions that are signed.
fn signed() -> impl Iterator<Item = Action> {
    Action::ALL.into_iter().filter(|action| *action != Action::AssumeRoleWithWebIdentity)
}

fn offered(action: Action) -> bool {
    matches!(action, Action::GetFederationToken | Action::AssumeRole | Action::GetCallerIdentity)
}

/// Parameters that the action is satisfied with.
fn parameters(action: Action) -> Vec<(&'static str, &'static str)> {
    match action {
        Action::GetFederationToken => vec![("Name", "soe"), ("Policy", POLICY)],
        Action::AssumeRole => {
            vec![("RoleArn", "qcs::cam::uin/100000000001:roleName/soe"), ("RoleSessionName", "soe")]
        }
        _ => vec![],
    }
}

/// What is right or wrong about a request.
#[derive(Clone, Copy)]
struct Sent<'a> {
    id: &'a str,
    secret: &'a str,
    token: Option<&'a str>,
    at: Timestamp,
    more: Option<(&'static str, &'static str)>,
}

const GOOD: Sent<'_> =
    Sent { id: "AKIDworld", secret: "secret of AKIDworld", token: None, at: START, more: None };

impl Sent<'_> {
    fn request(&self, action: Action, way: Way) -> Request {
        let mut parameters = parameters(action);
        parameters.extend(self.more);
        let key = ClientKey { id: self.id, secret: self.secret.as_bytes(), token: self.token };
        let older = |method, algorithm| {
            let mut older = Older::new(action.name(), &parameters);
            older.key = ClientKey { id: key.id, secret: key.secret, token: key.token };
            older.out = v1::Outgoing { method, algorithm, at: self.at, ..older.out };
            older.sent()
        };
        let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(&parameters).finish();
        let body: serde_json::Map<_, _> =
            parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())).collect();
        let body = serde_json::Value::Object(body).to_string();
        let tc3 = |asking: Asking<'_>| {
            let key = ClientKey { id: key.id, secret: key.secret, token: key.token };
            Asking { key, ..asking }.at(self.at).sent()
        };
        match way {
            Way::Tc3Post => tc3(Asking::new(action.name(), &body)),
            Way::Tc3Get => tc3(Asking::new(action.name(), "").get(&query)),
            Way::Tc3Unsigned => tc3(Asking::new(action.name(), &body).unsigned()),
            Way::V1Post => older("POST", Algorithm::HmacSha1),
            Way::V1Get => older("GET", Algorithm::HmacSha1),
            Way::V1Sha256 => older("POST", Algorithm::HmacSha256),
        }
    }
}

/// Asks for every action in every way, each of a service of its own.
async fn ask_all(sent: Sent<'_>, service: impl Fn() -> Service, expected: impl Fn(Action) -> &'static str) {
    for action in signed() {
        for way in WAYS {
            let answer = service().sts(sent.request(action, way)).await;
            let code = answer["Error"]["Code"].as_str().unwrap_or("accepted");
            assert_eq!(code, expected(action), "{action:?} {way:?}: {answer}");
        }
    }
}

#[tokio::test]
async fn what_is_right_is_answered() {
    ask_all(GOOD, Service::new, |action| if offered(action) { "accepted" } else { "UnsupportedOperation" })
        .await;
}

#[tokio::test]
async fn a_wrong_key_is_a_wrong_signature() {
    let sent = Sent { secret: "a guess", ..GOOD };
    ask_all(sent, Service::new, |_| "AuthFailure.SignatureFailure").await;
}

#[tokio::test]
async fn an_unknown_id_is_not_found() {
    for id in ["AKIDnobody", "12345678", "akidworld"] {
        ask_all(Sent { id, ..GOOD }, Service::new, |_| "AuthFailure.SecretIdNotFound").await;
    }
}

#[tokio::test]
async fn no_id_is_another_mistake_than_an_unknown_one() {
    for id in ["", "undefined", "null", "None"] {
        ask_all(Sent { id, ..GOOD }, Service::new, |_| "AuthFailure.InvalidAuthorization").await;
    }
}

#[tokio::test]
async fn a_token_beside_a_permanent_key_is_refused() {
    ask_all(Sent { token: Some("t"), ..GOOD }, Service::new, |_| "AuthFailure.TokenFailure").await;
}

#[tokio::test]
async fn five_minutes_are_the_end_either_way() {
    let at = |seconds| Timestamp::from_second(START.as_second() + seconds).unwrap();
    for seconds in [-301, 301] {
        ask_all(Sent { at: at(seconds), ..GOOD }, Service::new, |_| "AuthFailure.SignatureExpire").await;
    }
    for seconds in [-300, 300] {
        let fine = |action| if offered(action) { "accepted" } else { "UnsupportedOperation" };
        ask_all(Sent { at: at(seconds), ..GOOD }, Service::new, fine).await;
    }
}

#[tokio::test]
async fn a_disabled_client_is_told_so() {
    let disabled = || {
        let mut world = World::new();
        world.client.enabled = false;
        Service::of(world)
    };
    ask_all(GOOD, disabled, |_| "AuthFailure.UnauthorizedOperation").await;
}

#[tokio::test]
async fn a_parameter_too_many_is_unknown() {
    let sent = Sent { more: Some(("Made", "up")), ..GOOD };
    ask_all(
        sent,
        Service::new,
        |action| if offered(action) { "UnknownParameter" } else { "UnsupportedOperation" },
    )
    .await;
}

#[tokio::test]
async fn without_a_record_nothing_is_handed_out_and_nothing_is_refused() {
    let down = || {
        let service = Service::new();
        service.store.go_down();
        service
    };
    // A question is counted and needs none.
    ask_all(GOOD, down, |action| match action {
        Action::GetCallerIdentity => "accepted",
        _ => "ServiceUnavailable",
    })
    .await;
}
