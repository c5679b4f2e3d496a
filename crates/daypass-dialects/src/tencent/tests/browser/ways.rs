//! Each way of being known, through the pipeline.

use super::{Application, PAGE, endpoint, get, header, json, provider, refused, serving};
use crate::tencent::tests::{Asking, Service, Triple};
use daypass_core::endpoint::{Endpoint, Shape};
use daypass_core::testing::World;
use std::sync::Arc;

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
async fn who_is_not_known_is_told_how_to_be() {
    let service = serving(endpoint("cookie ticket jwt"));
    for (headers, status, code, retry) in [
        (&[PAGE][..], 401, "AuthFailure", None),
        (&[PAGE, ("cookie", "sid=guess")], 401, "AuthFailure", None),
        (&[PAGE, ("cookie", "sid=a; sid=b")], 401, "AuthFailure", None),
        (&[PAGE, ("authorization", "Ticket guess")], 401, "AuthFailure.TokenFailure", None),
        (&[PAGE, ("authorization", "Ticket guess"), SESSION], 401, "AuthFailure.TokenFailure", None),
        (&[PAGE, ("cookie", "sid=down")], 503, "ServiceUnavailable", Some("1")),
        (&[PAGE, ("authorization", "Bearer a.b.c")], 503, "ServiceUnavailable", Some("1")),
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

/// What a role gives is what its variables say, and a user cannot choose them.
#[tokio::test]
async fn the_cos_shape_keeps_the_time_of_the_credential_that_a_subject_already_has() {
    let mut world = World::new();
    world.plan.endpoints[0] = Arc::new(Endpoint { shape: Shape::Cos, ..endpoint("cookie") });
    world.plan.providers = vec![provider()];
    let service = Service::knowing(world, Arc::new(Application));
    let first = json(&service.browse(get(&[PAGE, SESSION])).await.response);
    assert_eq!(first["startTime"], 1_700_000_000);
    assert_eq!(first["expiredTime"], 1_700_001_800);
    service.clock.advance(60_000);
    let again = json(&service.browse(get(&[PAGE, SESSION])).await.response);
    assert_eq!(again, first, "the same credential, with its own time of issue");
    assert_eq!(service.store.all().len(), 1);
}
