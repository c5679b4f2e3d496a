//! Conditions of a credential's policy, judged by what the API states.

use super::*;
use daypass_core::policy::{Condition, Effect};

fn condition(operator: &str, key: &str, value: &str) -> Condition {
    Condition { operator: operator.into(), key: key.into(), values: vec![value.into()] }
}

/// The question about a request whose credential has the usual policy, with statements of this effect under these
/// conditions; an allowing one takes the usual one's place.
fn asked(service: &Service, scheme: Scheme, effect: Effect, conditions: Vec<Condition>) -> Value {
    let mut policy = usual_policy(scheme);
    let statement = Statement { effect, conditions, ..policy.statements[0].clone() };
    match effect {
        Effect::Allow => policy.statements = vec![statement],
        Effect::Deny => policy.statements.push(statement),
    }
    let kind = triple_kind(scheme).unwrap();
    let by = Credential::temporary(kind, &claims(&service.world, kind, policy));
    let mut question = question(&signed(scheme, &by, START));
    let (action, resource) = wanted(scheme);
    (question["action"], question["resource"]) = (json!(action), json!(resource));
    question
}

fn with(question: &Value, context: &Value) -> Value {
    let mut question = question.clone();
    question["context"] = context.clone();
    question
}

fn near() -> Vec<Condition> {
    vec![condition("ip_equal", "qcs:ip", "10.0.0.0/8")]
}

#[test]
fn an_address_that_is_stated_opens_and_closes() {
    let service = Service::new();
    let asked = |effect| asked(&service, Scheme::Tc3, effect, near());
    let (allow, deny) = (asked(Effect::Allow), asked(Effect::Deny));
    let decision =
        |question: &Value, context: &Value| service.valid(&with(question, context))["decision"].clone();
    let (inside, outside) = (json!({"qcs:ip": "10.1.2.3"}), json!({"qcs:ip": ["192.0.2.7"]}));
    let judged = json!(["qcs:ip"]);
    for (question, context, expected) in [
        (
            &allow,
            &inside,
            json!({"allowed": true, "statement": 0, "why": "statement_allows", "judged": judged}),
        ),
        (
            &allow,
            &outside,
            json!({"allowed": false, "statement": 0, "why": "condition_not_met", "judged": judged}),
        ),
        (
            &deny,
            &inside,
            json!({"allowed": false, "statement": 1, "why": "statement_denies", "judged": judged}),
        ),
        (
            &deny,
            &outside,
            json!({"allowed": true, "statement": 0, "why": "statement_allows", "judged": judged}),
        ),
        (
            &allow,
            &json!({}),
            json!({"allowed": false, "statement": 0, "why": "condition_not_judged", "not_judged": judged}),
        ),
        (
            &deny,
            &json!({}),
            json!({"allowed": false, "statement": 1, "why": "statement_denies", "not_judged": judged}),
        ),
    ] {
        assert_eq!(decision(question, context), expected, "{context}");
    }
    assert_eq!(decision(&allow, &Value::Null), decision(&allow, &json!({})));
}

#[test]
fn every_signed_way_is_judged_alike() {
    let service = Service::new();
    for scheme in Scheme::ALL {
        let Some(kind) = triple_kind(scheme) else { continue };
        let near = match kind {
            TripleKind::Tencent => near(),
            TripleKind::Alibaba => vec![condition("IpAddress", "acs:SourceIp", "10.0.0.0/8")],
        };
        let asked = asked(&service, scheme, Effect::Allow, near);
        let allowed = |address: &str| {
            let context = json!({"qcs:ip": address, "acs:SourceIp": address});
            service.valid(&with(&asked, &context))["decision"]["allowed"] == true
        };
        assert!(allowed("10.1.2.3") && !allowed("11.1.2.3"), "{scheme:?}");
    }
}

#[test]
fn the_time_is_ours_and_judged_unasked() {
    let service = Service::new();
    let until = |operator| vec![condition(operator, "qcs:current_time", "2023-11-14T22:30:00Z")];
    let asked = asked(&service, Scheme::Tc3, Effect::Allow, until("date_less_than"));
    let told = service.valid(&asked);
    assert_eq!(told["decision"]["judged"], json!(["qcs:current_time"]));
    assert_eq!(told["decision"]["allowed"], true);
    let (status, body) = service.ask(&with(&asked, &json!({"qcs:current_time": "2020-01-01T00:00:00Z"})));
    assert_eq!((status, &body["error"]), (400, &json!("invalid_request")), "{body}");
    service.clock.advance(1_100_000);
    let late = asked_at(&service, until("date_less_than"));
    assert_eq!(service.valid(&late)["decision"]["why"], "condition_not_met");
}

/// A question about a request that was signed eighteen minutes later.
fn asked_at(service: &Service, conditions: Vec<Condition>) -> Value {
    let mut policy = usual_policy(Scheme::Tc3);
    policy.statements[0].conditions = conditions;
    let by = Credential::temporary(TripleKind::Tencent, &claims(&service.world, TripleKind::Tencent, policy));
    let mut question = question(&signed(Scheme::Tc3, &by, after(START, 1100)));
    let (action, resource) = wanted(Scheme::Tc3);
    (question["action"], question["resource"]) = (json!(action), json!(resource));
    question
}

#[test]
fn an_api_states_the_keys_of_its_own_service_alone() {
    let service = Service::new();
    let mine = vec![condition("string_equal", "soe:engine", "en")];
    let asked = asked(&service, Scheme::Tc3, Effect::Allow, mine);
    let allowed = |context: &Value| service.valid(&with(&asked, context))["decision"]["allowed"] == true;
    assert!(allowed(&json!({"soe:engine": "en"})));
    assert!(!allowed(&json!({"soe:engine": "zh"})) && !allowed(&json!({"soe:engine": []})));
    let other = Service::of(&["cam:cos", "ram:oss"], "acme");
    for context in [json!({"soe:engine": "en"}), json!({"acs:MFAPresent": "true"}), json!({"qcs:uin": "1"})] {
        let (status, body) = other.ask(&with(&asked, &context));
        assert_eq!((status, &body["error"]), (400, &json!("invalid_request")), "{context} {body}");
    }
}

#[test]
fn a_context_that_is_none_is_refused() {
    let service = Service::new();
    let asked = usual_question(&service, Scheme::Tc3);
    for context in [
        json!([]),
        json!("10.1.2.3"),
        json!({"qcs:ip": 7}),
        json!({"qcs:ip": [["10.1.2.3"]]}),
        json!({"qcs:ip": []}),
        json!({"qcs:ip": "10.1.2.3:80"}),
        json!({"soe:x": true}),
    ] {
        let (status, body) = service.ask(&with(&asked, &context));
        assert_eq!((status, &body["error"]), (400, &json!("invalid_request")), "{context} {body}");
    }
}

#[test]
fn what_is_stated_says_nothing_of_a_token() {
    let service = Service::new();
    let asked = usual_question(&service, Scheme::Bearer);
    let told = service.valid(&with(&asked, &json!({"qcs:ip": "10.1.2.3"})));
    assert_eq!(told["decision"], json!({"allowed": true, "why": "app_role"}));
}
