//! What `Authorization: SKIP` opens, and what it does not.

use super::super::wire::Action;
use super::{Asking, Service};
use daypass_core::request::Request;
use serde_json::Value;

/// A request of this action without a signature.
pub(super) fn skipped(action: &str, body: &str) -> Request {
    let mut request = Asking::new(action, body).sent();
    request.head_mut().headers.insert("authorization", "SKIP".parse().unwrap());
    request
}

#[track_caller]
fn error(body: &Value) -> (&str, &str) {
    let text = |name: &str| body["Error"][name].as_str().unwrap_or_else(|| panic!("not refused: {body}"));
    (text("Code"), text("Message"))
}

#[tokio::test]
async fn it_opens_two_actions_alone() {
    let service = Service::new();
    for action in Action::ALL {
        let answer = service.sts(skipped(action.name(), "{}")).await;
        let expected = match action {
            Action::AssumeRoleWithWebIdentity => "MissingParameter",
            Action::AssumeRoleWithSaml => "UnsupportedOperation",
            _ => "AuthFailure.InvalidAuthorization",
        };
        assert_eq!(error(&answer).0, expected, "{answer}");
    }
    assert_eq!(service.code(skipped("DescribeInstances", "{}")).await, "InvalidAction");
    assert!(service.store.all().is_empty(), "nobody was known");
}

#[tokio::test]
async fn it_is_one_word() {
    let service = Service::new();
    for other in ["skip", "SKIP ", "Skip", "SKIP x", "SKIP,SKIP"] {
        let mut request = skipped("AssumeRoleWithWebIdentity", "{}");
        request.head_mut().headers.insert("authorization", other.parse().unwrap());
        assert_eq!(service.code(request).await, "AuthFailure.InvalidAuthorization", "{other}");
    }
    let mut twice = skipped("AssumeRoleWithWebIdentity", "{}");
    twice.head_mut().headers.append("authorization", "SKIP".parse().unwrap());
    assert_eq!(service.code(twice).await, "AuthFailure.InvalidAuthorization");
}

#[tokio::test]
async fn it_goes_with_no_other_proof() {
    let service = Service::new();
    let mut token = skipped("AssumeRoleWithWebIdentity", "{}");
    token.head_mut().headers.insert("x-tc-token", "t".parse().unwrap());
    let answer = service.sts(token).await;
    assert_eq!(error(&answer).0, "AuthFailure.InvalidAuthorization");
    assert!(error(&answer).1.contains("X-TC-Token"), "{answer}");
    let signed = service.sts(Asking::new("AssumeRoleWithWebIdentity", "{}").sent()).await;
    assert_eq!(error(&signed).0, "AuthFailure.InvalidAuthorization");
    assert!(error(&signed).1.contains("Authorization: SKIP"), "{signed}");
}

#[tokio::test]
async fn an_action_that_is_not_offered_says_why_to_whoever_is_known() {
    let service = Service::new();
    for (action, why) in [
        ("GetSessionToken", "MFA device"),
        ("QueryApiKey", "never listed"),
        ("AssumeRoleWithSAML", "no SAML providers"),
    ] {
        let known = service.sts(Asking::new(action, "{}").sent()).await;
        assert_eq!(error(&known).0, "UnsupportedOperation");
        assert!(error(&known).1.contains(why), "{known}");
        let stranger = service.code(Asking::new(action, "{}").by("AKIDworld", "a guess").sent()).await;
        assert_eq!(stranger, "AuthFailure.SignatureFailure", "the signature is looked at first");
    }
    assert_eq!(service.store.all().len(), 3, "refusals of a known caller");
}
