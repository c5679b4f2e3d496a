use super::*;
use crate::policy::Condition;
use crate::testing::allow;

const RAM: Language = Language::Ram;

fn statement(effect: Effect, actions: &[&str], resources: &[&str]) -> Statement {
    let patterns = |texts: &[&str]| texts.iter().map(|text| Pattern::parse(text)).collect();
    Statement { effect, actions: patterns(actions), resources: patterns(resources), conditions: vec![] }
}

fn policy(statements: Vec<Statement>) -> Policy {
    Policy { language: RAM, statements }
}

fn condition(operator: &str, key: &str, values: &[&str]) -> Condition {
    let values = values.iter().map(ToString::to_string).collect();
    Condition { operator: operator.into(), key: key.into(), values }
}

fn when(condition: Condition) -> Policy {
    let mut policy = allow(RAM, "*", "*");
    policy.statements[0].conditions = vec![condition];
    policy
}

/// A document in one line for each statement.
fn show(policy: &Policy) -> Vec<String> {
    let join = |patterns: &[Pattern]| patterns.iter().map(Pattern::to_string).collect::<Vec<_>>().join(" ");
    let one = |s: &Statement| format!("{:?} {} on {}", s.effect, join(&s.actions), join(&s.resources));
    policy.statements.iter().map(one).collect()
}

#[test]
fn two_documents_give_what_both_give() {
    let role = allow(RAM, "oss:PutObject", "acs:oss:*:*:bucket/hema/8005/*");
    let boundary = policy(vec![statement(Effect::Allow, &["oss:*", "log:*"], &["acs:oss:*:1000:bucket/*"])]);
    let expected = ["Allow oss:PutObject on acs:oss:*:1000:bucket/hema/8005/*"];
    assert_eq!(show(&narrow(&role, &boundary).unwrap()), expected);
    assert_eq!(show(&narrow(&boundary, &role).unwrap()), expected);
}

#[test]
fn a_document_narrowed_by_itself_stays_as_it_is() {
    let role = policy(vec![
        statement(Effect::Allow, &["oss:Put*", "oss:GetObject"], &["acs:oss:*:*:a/*", "acs:oss:*:*:b"]),
        statement(Effect::Allow, &["oss:ListObjects"], &["acs:oss:*:*:a"]),
        statement(Effect::Deny, &["oss:PutBucketAcl"], &["*"]),
    ]);
    assert_eq!(narrow(&role, &role).unwrap(), role);
    assert_eq!(narrow(&role, &allow(RAM, "*", "*")).unwrap(), role);
}

#[test]
fn what_has_nothing_in_common_allows_nothing() {
    let one = allow(RAM, "oss:PutObject", "acs:oss:*:*:user/1");
    let mut other = allow(RAM, "oss:PutObject", "acs:oss:*:*:user/10");
    other.statements.push(statement(Effect::Deny, &["*"], &["*"]));
    let nothing = narrow(&one, &other).unwrap();
    assert_eq!(nothing.statements, vec![], "not even the deny, which would be all that is left");
    assert!(nothing.allows_nothing());
    assert!(!one.allows_nothing());
}

#[test]
fn denies_of_both_stay_once() {
    let deny = |action| statement(Effect::Deny, &[action], &["*"]);
    let a = policy(vec![statement(Effect::Allow, &["*"], &["*"]), deny("oss:Delete*"), deny("ram:*")]);
    let b =
        policy(vec![deny("ram:*"), statement(Effect::Allow, &["oss:*"], &["*"]), deny("oss:PutBucketAcl")]);
    assert_eq!(
        show(&narrow(&a, &b).unwrap()),
        ["Allow oss:* on *", "Deny oss:Delete* on *", "Deny ram:* on *", "Deny oss:PutBucketAcl on *"]
    );
}

#[test]
fn two_languages_are_never_compared() {
    let (cam, ram) = (allow(Language::Cam, "*", "*"), allow(RAM, "*", "*"));
    assert!(narrow(&cam, &ram).is_err());
    assert_eq!(covers(&cam, &ram).unwrap_err().statement, 0);
}

#[test]
fn conditions_of_both_must_hold() {
    let ip = condition("IpAddress", "acs:SourceIp", &["10.0.0.0/8"]);
    let tls = condition("Bool", "acs:SecureTransport", &["true"]);
    let both = narrow(&when(ip.clone()), &when(tls.clone())).unwrap();
    assert_eq!(both.statements[0].conditions, [tls, ip]);
}

#[test]
fn conditions_that_cannot_be_written_together_are_not_guessed() {
    let a = when(condition("IpAddress", "acs:SourceIp", &["10.0.0.0/8"]));
    let b = when(condition("IpAddress", "acs:SourceIp", &["10.1.0.0/16"]));
    assert!(narrow(&a, &b).unwrap_err().0.contains("acs:SourceIp"));
    // Where the rest has nothing in common, there is nothing to be guessed.
    let mut elsewhere = b;
    elsewhere.statements[0].actions = vec![Pattern::parse("oss:*")];
    let mut a = a;
    a.statements[0].actions = vec![Pattern::parse("log:*")];
    assert!(narrow(&a, &elsewhere).unwrap().allows_nothing());
}

#[test]
fn equal_keys_share_their_values() {
    let a = when(condition("StringEquals", "acs:Vpc", &["a", "b"]));
    let b = when(condition("StringEquals", "acs:Vpc", &["b", "c"]));
    let both = narrow(&a, &b).unwrap();
    assert_eq!(both.statements[0].conditions, [condition("StringEquals", "acs:Vpc", &["b"])]);
    let never = narrow(&a, &when(condition("StringEquals", "acs:Vpc", &["c"]))).unwrap();
    assert!(never.allows_nothing());
}

#[test]
fn a_statement_inside_another_needs_no_intersection() {
    // `*a*b*c*` and `*d*e*f*` cannot be told, but the asked statement lies inside the first of the two.
    let role = policy(vec![
        statement(Effect::Allow, &["oss:*"], &["acs:oss:*:1:x/*"]),
        statement(Effect::Allow, &["oss:*"], &["acs:oss:*:1:*a*b*c*"]),
    ]);
    let asked = allow(RAM, "oss:GetObject", "acs:oss:*:1:x/*d*e*f*");
    assert_eq!(narrow(&role, &asked).unwrap(), asked);
    let beyond = allow(RAM, "oss:GetObject", "acs:oss:*:1:*d*e*f*");
    assert!(narrow(&role, &beyond).is_err());
}

#[test]
fn what_is_wider_is_named() {
    let role = policy(vec![statement(Effect::Allow, &["oss:Put*"], &["acs:oss:*:*:b/hema/8005/*"])]);
    for (action, resource, fits) in [
        ("oss:PutObject", "acs:oss:*:*:b/hema/8005/*", true),
        ("oss:PutObject", "acs:oss:*:*:b/hema/8005/x/*", true),
        ("oss:PutObject", "acs:oss:cn:1:b/hema/8005/x", true),
        ("oss:*", "acs:oss:*:*:b/hema/8005/*", false),
        ("oss:PutObject", "acs:oss:*:*:b/hema/8005*", false),
        ("oss:PutObject", "acs:oss:*:*:b/hema/80050/*", false),
        ("oss:PutObject", "acs:oss:*:*:b/hema/*", false),
        ("oss:PutObject", "*", false),
        ("*", "acs:oss:*:*:b/hema/8005/*", false),
    ] {
        let asked = allow(RAM, action, resource);
        let expected = Uncovered { statement: 0, action: action.into(), resource: resource.into() };
        assert_eq!(covers(&role, &asked), if fits { Ok(()) } else { Err(expected) }, "{action} {resource}");
    }
}

#[test]
fn the_first_pair_beyond_is_named_with_its_statement() {
    let role = allow(RAM, "oss:*", "acs:oss:*:*:b/*");
    let asked = policy(vec![
        statement(Effect::Deny, &["*"], &["*"]),
        statement(Effect::Allow, &["oss:PutObject"], &["acs:oss:*:*:b/x"]),
        statement(Effect::Allow, &["oss:GetObject", "ram:GetUser"], &["acs:oss:*:*:b/y"]),
    ]);
    let beyond = covers(&role, &asked).unwrap_err();
    assert_eq!((beyond.statement, beyond.action.as_str()), (2, "ram:GetUser"));
}

#[test]
fn pairs_of_one_statement_may_be_given_by_several() {
    let role = policy(vec![
        statement(Effect::Allow, &["oss:*"], &["acs:oss:*:*:a/*"]),
        statement(Effect::Allow, &["oss:GetObject"], &["acs:oss:*:*:b/*"]),
    ]);
    let asked = statement(Effect::Allow, &["oss:GetObject"], &["acs:oss:*:*:a/x", "acs:oss:*:*:b/x"]);
    assert_eq!(covers(&role, &policy(vec![asked.clone()])), Ok(()));
    let asked = statement(Effect::Allow, &["oss:PutObject"], &["acs:oss:*:*:a/x", "acs:oss:*:*:b/x"]);
    assert_eq!(covers(&role, &policy(vec![asked])).unwrap_err().resource, "acs:oss:*:*:b/x");
}

#[test]
fn a_condition_of_the_role_must_be_in_the_ask() {
    let role = when(condition("IpAddress", "acs:SourceIp", &["10.0.0.0/8"]));
    assert!(covers(&role, &allow(RAM, "oss:GetObject", "*")).is_err());
    let mut asked = role.clone();
    asked.statements[0].conditions.push(condition("Bool", "acs:SecureTransport", &["true"]));
    assert_eq!(covers(&role, &asked), Ok(()));
}

#[test]
fn what_lies_wholly_inside_a_deny_is_refused() {
    let mut role = allow(RAM, "oss:*", "*");
    role.statements.push(statement(Effect::Deny, &["oss:Delete*"], &["*"]));
    assert!(covers(&role, &allow(RAM, "oss:DeleteObject", "acs:oss:*:*:b/x")).is_err());
    // A part of it is: narrowing keeps the deny.
    let part = allow(RAM, "oss:*", "acs:oss:*:*:b/x");
    assert_eq!(covers(&role, &part), Ok(()));
    assert_eq!(narrow(&role, &part).unwrap().statements[1], role.statements[1]);
    // A deny that applies under a condition only leaves the rest.
    role.statements[1].conditions = vec![condition("Bool", "acs:MFAPresent", &["false"])];
    assert_eq!(covers(&role, &allow(RAM, "oss:DeleteObject", "acs:oss:*:*:b/x")), Ok(()));
}

#[test]
fn an_ask_made_to_be_slow_is_given_up() {
    let many = |middle: &str| -> Vec<String> {
        (0..40).map(|n| format!("acs:oss:*:1:*a{middle}a*b{n}*aa*a{middle}*")).collect()
    };
    let (a, b) = (many("aab"), many("aac"));
    let statement = |texts: &[String]| {
        statement(Effect::Allow, &["oss:*"], &texts.iter().map(String::as_str).collect::<Vec<_>>())
    };
    assert!(narrow(&policy(vec![statement(&a)]), &policy(vec![statement(&b)])).is_err());
}
