//! Each way of being known, through the pipeline.

use super::{PAGE, endpoint, get, header, json, jwt, refused, serving};
use crate::tencent::tests::{Asking, Service, Triple};
use daypass_core::endpoint::{Endpoint, Shape};
use daypass_core::policy::{Language, Template, VariableType};
use daypass_core::record::Event;
use daypass_core::role::Role;
use daypass_core::testing::{allow, request};
use std::collections::BTreeMap;
use std::sync::Arc;

/// `{"alg":"EdDSA","kid":"down"}` and no claims.
const DOWN: &str = "eyJhbGciOiJFZERTQSIsImtpZCI6ImRvd24ifQ.e30.AA";
const SESSION: (&str, &str) = ("cookie", "theme=dark; sid=the-session");

#[tokio::test]
async fn a_user_of_the_application_gets_a_key_of_their_own() {
    let service = serving(endpoint("cookie"));
    let response = service.browse(get(&[PAGE, SESSION])).await.response;
    assert_eq!(response.status(), 200);
    assert_eq!(header(&response, "access-control-allow-credentials"), Some("true"));
    assert_eq!(header(&response, "daypass-refresh"), None);
    let triple = Triple::of(&json(&response));
    let who = service.sts(Asking::who().with(&triple).sent()).await;
    assert!(who["UserId"].as_str().unwrap().ends_with(":ada"), "{who}");
    let record = &service.store.all()[0];
    assert_eq!((record.subject.as_deref(), record.via.as_deref()), (Some("ada"), Some("session")));
}

#[tokio::test]
async fn an_app_shows_its_session_in_a_header_and_has_no_origin() {
    let service = serving(endpoint("header"));
    let response = service.browse(get(&[("x-session", "the-session")])).await.response;
    assert_eq!(response.status(), 200);
    assert_eq!(header(&response, "access-control-allow-credentials"), None);
}

#[tokio::test]
async fn an_outside_providers_user_gets_a_key_with_or_without_a_page() {
    let service = serving(endpoint("cookie jwt"));
    let bearer = format!("bearer {}", jwt());
    for headers in [&[PAGE, ("authorization", &*bearer), SESSION][..], &[("authorization", &bearer)]] {
        let response = service.browse(get(headers)).await.response;
        assert_eq!(response.status(), 200, "{:?}", response.body());
    }
    let record = &service.store.all()[0];
    assert_eq!((record.subject.as_deref(), record.via.as_deref()), (Some("ada"), Some("jwt")));
    service.clock.advance(301_000);
    let late = service.browse(get(&[("authorization", &bearer)])).await.response;
    assert_eq!(refused(&late), (401, "AuthFailure.TokenFailure".into()));
    let challenges: Vec<_> = late.headers().get_all("www-authenticate").iter().collect();
    assert_eq!(challenges[0], "Bearer realm=\"/getAuthorization\", error=\"invalid_token\"");
}

/// A role's variables are filled by whoever knows the subject, and by nothing that the request says.
#[tokio::test]
async fn each_user_gets_a_place_of_their_own() {
    let service = serving_folders(endpoint("cookie"));
    let target = "/getAuthorization?subject=root&variables=root&Policy=%7B%7D";
    let response = service.browse(request("GET", target, &[PAGE, SESSION], b"")).await.response;
    assert_eq!(response.status(), 200, "{:?}", response.body());
    let Event::Grant { policy, variables, .. } = &service.store.all()[0].event else { panic!("a grant") };
    assert_eq!(variables["subject"], "ada");
    let policy = format!("{policy:?}");
    assert!(policy.contains("users/ada/") && !policy.contains("root"), "{policy}");
}

/// A service whose role gives each subject a folder.
fn serving_folders(endpoint: Endpoint) -> Service {
    let mut service = serving(endpoint);
    let variables: BTreeMap<_, _> = [("subject".to_owned(), VariableType::Slug)].into();
    let policy =
        allow(Language::Cam, "cos:PutObject", "qcs::cos::uid/1250000000:pics-1250000000/users/{subject}/*");
    let role = Role {
        policy: Some(Template::new(policy, &variables).unwrap()),
        variables,
        ..(*service.world.plan.roles[0]).clone()
    };
    service.world.plan.roles[0] = Arc::new(role);
    service
}

#[tokio::test]
async fn who_is_not_known_is_told_how_to_be() {
    let service = serving(endpoint("cookie ticket jwt"));
    for (headers, status, code, retry) in [
        (&[PAGE][..], 401, "AuthFailure", None),
        (&[PAGE, ("cookie", "sid=guess")], 401, "AuthFailure", None),
        (&[PAGE, ("cookie", "sid=a; sid=b")], 401, "AuthFailure", None),
        (&[PAGE, ("authorization", "Ticket guess")], 401, "AuthFailure.TokenFailure", None),
        (&[PAGE, ("authorization", "Ticket guess"), SESSION], 401, "AuthFailure.TokenFailure", None),
        (&[PAGE, ("cookie", "sid=down")], 503, "ServiceUnavailable", Some("1")),
        (&[PAGE, ("authorization", "Bearer a.b.c")], 401, "AuthFailure.TokenFailure", None),
        (&[PAGE, ("authorization", &format!("Bearer {DOWN}"))], 503, "ServiceUnavailable", Some("1")),
    ] {
        let response = service.browse(get(headers)).await.response;
        assert_eq!(refused(&response), (status, code.to_owned()), "{headers:?}");
        assert_eq!(header(&response, "retry-after"), retry, "{headers:?}");
        assert_eq!(header(&response, "access-control-allow-origin"), Some(PAGE.1), "the page may read why");
        let challenges: Vec<_> = response.headers().get_all("www-authenticate").iter().collect();
        assert_eq!(challenges.len(), if status == 401 { 3 } else { 0 });
    }
    assert!(service.store.all().is_empty());
}

#[tokio::test]
async fn the_cos_shape_keeps_the_time_of_the_credential_that_a_subject_already_has() {
    let service = serving(Endpoint { shape: Shape::Cos, ..endpoint("cookie") });
    let first = json(&service.browse(get(&[PAGE, SESSION])).await.response);
    assert_eq!(first["startTime"], 1_700_000_000);
    assert_eq!(first["expiredTime"], 1_700_001_800);
    service.clock.advance(60_000);
    let again = json(&service.browse(get(&[PAGE, SESSION])).await.response);
    assert_eq!(again, first, "the same credential, with its own time of issue");
    assert_eq!(service.store.all().len(), 1);
}
