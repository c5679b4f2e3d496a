//! What tells these calls apart, and what can be told of an answer by the head alone.

use super::super::{Sts, is_sts, is_sts_form};
use super::{Draft, FORM, STYLES};
use daypass_core::dialect::{Dialect, Outcome};
use daypass_core::refusal::{Reason, Refusal};
use daypass_core::testing::request;

#[test]
fn a_call_is_told_by_its_marks() {
    let head = |target: &str, headers: &[(&str, &str)]| request("GET", target, headers, b"").head;
    assert!(is_sts(&head("/", &[("x-acs-action", "AssumeRole")])));
    assert!(is_sts(&head("/?Action=AssumeRole&Version=2015-04-01", &[])));
    assert!(is_sts(&head("/?Version=2015%2D04%2D01", &[])));
    for tencent in ["/", "/?Action=GetFederationToken&Version=2018-08-13", "/?version=2015-04-01"] {
        assert!(!is_sts(&head(tencent, &[("x-tc-action", "GetFederationToken")])), "{tencent}");
    }
    let form = head("/", &[FORM]);
    assert!(is_sts_form(&form, b"Action=AssumeRole&Version=2015-04-01"));
    assert!(!is_sts_form(&form, b"Action=AssumeRole&Version=2018-08-13"));
    assert!(!is_sts_form(&head("/", &[]), b"Version=2015-04-01"));
    assert!(!is_sts_form(&head("/", &[("content-type", "application/json")]), b"Version=2015-04-01"));
    for style in STYLES {
        let sent = Draft::assume(style).sent();
        assert!(is_sts(&sent.head) || is_sts_form(&sent.head, &sent.body), "{style:?}");
    }
}

/// The body of a refusal, as far as the head says how to write it.
fn refused(target: &str, headers: &[(&str, &str)]) -> String {
    let head = request("POST", target, headers, b"").head;
    let refusal = Refusal::new(Reason::UnknownAction, "a test");
    let response = Sts.render(&Sts.manner(&head), Outcome::Refused(refusal));
    assert_eq!(response.status(), 404);
    String::from_utf8(response.body().to_vec()).unwrap()
}

#[test]
fn the_format_is_found_where_clients_put_it() {
    let json = |target: &str, headers: &[(&str, &str)]| refused(target, headers).starts_with('{');
    assert!(json("/?Format=json", &[]));
    assert!(json("/?Format=JSON", &[]));
    assert!(json("/", &[("accept", "application/json"), ("x-acs-action", "AssumeRole")]));
    assert!(json("/", &[("authorization", "ACS3-HMAC-SHA256 Credential=x")]));
    assert!(!json("/?Format=XML", &[("accept", "application/json")]));
    assert!(!json("/", &[("accept", "*/*")]));
    assert!(!json("/?Format=yaml", &[]));
}

#[test]
fn an_error_has_the_vendors_members_in_both_languages() {
    insta::assert_snapshot!(refused("/?Format=JSON", &[]), @r#"{"RequestId":"59A5E07E-4147-4D2E-A808-DCA76AC5B3FD","HostId":"sts.daypass","Code":"InvalidApi.NotFound","Message":"Specified api is not found, please check your url and method: a test","Recommend":"Change the request as the message says."}"#);
    insta::assert_snapshot!(refused("/", &[]), @r#"<?xml version="1.0" encoding="utf-8" ?><Error><RequestId>59A5E07E-4147-4D2E-A808-DCA76AC5B3FD</RequestId><HostId>sts.daypass</HostId><Code>InvalidApi.NotFound</Code><Message>Specified api is not found, please check your url and method: a test</Message><Recommend>Change the request as the message says.</Recommend></Error>"#);
}

#[test]
fn the_host_header_is_never_echoed_there() {
    assert!(!refused("/?Version=2015-04-01", &[("host", "evil.example")]).contains("evil"));
}
