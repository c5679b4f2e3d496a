//! What the lints find in the file alone.

use super::*;
use insta::assert_snapshot;

/// A tenant with these lines, and one role with this policy and these lines.
fn file(tenant: &str, role: &str) -> String {
    with(&format!(
        r#"[[tenant]]
name = "acme"
guid = "387c56a8-cf86-45de-b9f5-b4de88cac054"
account = "100000000001"
{tenant}
[[tenant.role]]
name = "uploads"
{role}
"#
    ))
}

/// The statements of a RAM document, one a line.
fn ram(statements: &[&str]) -> String {
    format!("ram = '''{{\"Version\":\"1\",\"Statement\":[\n{}]}}'''", statements.join(",\n"))
}

/// What is said of a role with this policy by a lint.
fn found(policy: &str) -> String {
    let text = file("", &format!("policy = {{ {policy} }}\nwildcard_reason = \"a test\""));
    let all = warned(&text);
    let by_lints = all.split("\n\n").filter(|one| one.contains("warning["));
    by_lints.collect::<Vec<_>>().join("\n\n")
}

const WIDE: &str = r#"{"Effect":"Allow","Action":"oss:*","Resource":"acs:oss:*:*:b/*"}"#;
const PUT: &str = r#"{"Effect":"Allow","Action":["oss:PutObject"],"Resource":["acs:oss:*:*:b/a/*"]}"#;
const NO_PUT: &str = r#"{"Effect":"Deny","Action":"oss:Put*","Resource":"*"}"#;
const NO_ECS: &str = r#"{"Effect":"Deny","Action":"ecs:*","Resource":"*"}"#;

#[test]
fn a_statement_that_another_covers_is_shown_in_its_place() {
    assert_snapshot!(found(&ram(&[WIDE, PUT])), @r#"
    daypass.toml:16:1: warning[unreachable-statement]: statement 2 allows nothing that statement 1 would not allow without it
    16 | {"Effect":"Allow","Action":["oss:PutObject"],"Resource":["acs:oss:*:*:b/a/*"]}]}''' }
       | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      hint: take it out; if it was meant as a bound, make the wider one narrower: statements add up
    "#);
    assert_snapshot!(found(&ram(&[PUT, WIDE])).lines().next().unwrap(), @"daypass.toml:15:1: warning[unreachable-statement]: statement 1 allows nothing that statement 2 would not allow without it");
    assert_snapshot!(found(&ram(&[NO_PUT, WIDE, NO_PUT])), @r#"
    daypass.toml:17:1: warning[unreachable-statement]: statement 3 denies nothing that statement 1 would not deny without it
    17 | {"Effect":"Deny","Action":"oss:Put*","Resource":"*"}]}''' }
       | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      hint: take it out
    "#);
}

#[test]
fn an_allow_that_is_denied_and_a_deny_of_what_nobody_allows() {
    assert_snapshot!(found(&ram(&[NO_PUT, WIDE, PUT, NO_ECS])), @r#"
    daypass.toml:17:1: warning[unreachable-statement]: statement 3 allows nothing: statement 1 denies all of it
    17 | {"Effect":"Allow","Action":["oss:PutObject"],"Resource":["acs:oss:*:*:b/a/*"]},
       | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      hint: take it out, or deny less: a deny wins over every allow, wherever it stands

    daypass.toml:18:1: warning[unreachable-statement]: statement 4 denies nothing that the policy allows
    18 | {"Effect":"Deny","Action":"ecs:*","Resource":"*"}]}''' }
       | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      hint: take it out, or look for a mistake in its actions and resources
    "#);
    assert_eq!(found(&ram(&[WIDE, NO_PUT])), "", "what each of them does is needed");
}

#[test]
fn a_policy_in_double_quotes_is_pointed_at_whole() {
    let cam = r#"cam = "{\"version\":\"2.0\",\"statement\":[{\"effect\":\"allow\",\"action\":\"cos:Get*\",\"resource\":\"*\"},{\"effect\":\"allow\",\"action\":\"cos:GetObject\",\"resource\":\"*\"}]}""#;
    let text = found(cam);
    assert!(
        text.starts_with("daypass.toml:14:18: warning[unreachable-statement]: statement 2 allows"),
        "{text}"
    );
}

#[test]
fn a_boundary_is_looked_at_as_well_and_what_it_shuts_out() {
    let boundary = format!("boundary = {{ {} }}", ram(&[WIDE, PUT]));
    let role = format!(
        "policy = {{ {} }}",
        ram(&[PUT, r#"{"Effect":"Allow","Action":"oss:GetObject","Resource":"acs:oss:*:*:c/{dir}/*"}"#])
    );
    assert_snapshot!(warned(&file(&boundary, &format!("{role}\nvariables = {{ dir = \"slug\" }}"))).lines().filter(|line| line.contains("warning[")).collect::<Vec<_>>().join("\n"), @"
    daypass.toml:13:1: warning[unreachable-statement]: statement 2 allows nothing that statement 1 would not allow without it
    daypass.toml:18:1: warning[unreachable-statement]: statement 2 of the role `uploads` gives nothing: the boundary of the tenant `acme` lets nothing of it through
    ");
}

/// A role whose policy names so many folders of a path.
fn folders(count: usize, kind: &str) -> String {
    let resources: Vec<_> = (0..count).map(|n| format!("\"acs:oss:*:*:b{n}/{{dir}}/*\"")).collect();
    let statement =
        format!("{{\"Effect\":\"Allow\",\"Action\":\"oss:*\",\"Resource\":[{}]}}", resources.join(","));
    let all =
        warned(&file("", &format!("policy = {{ {} }}\nvariables = {{ dir = {kind} }}", ram(&[&statement]))));
    all.lines().filter(|line| line.contains("long-policy")).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_policy_that_can_outgrow_its_token_is_pointed_out() {
    assert_eq!(folders(40, "\"slug\""), "", "one value in forty places compresses");
    let variables: Vec<_> = (0..16).map(|n| format!("v{n}")).collect();
    let resources: Vec<_> = variables.iter().map(|name| format!("\"acs:oss:*:*:b/{{{name}}}/*\"")).collect();
    let statement =
        format!("{{\"Effect\":\"Allow\",\"Action\":\"oss:*\",\"Resource\":[{}]}}", resources.join(","));
    let of = |kind: &str| {
        let declared: Vec<_> = variables.iter().map(|name| format!("{name} = {kind}")).collect();
        warned(&file(
            "",
            &format!("policy = {{ {} }}\nvariables = {{ {} }}", ram(&[&statement]), declared.join(", ")),
        ))
    };
    let path = of("\"path\"");
    assert!(
        path.contains("daypass.toml:14:18: warning[long-policy]: the policy of `uploads` comes to "),
        "{path}"
    );
    assert!(path.contains("bytes in a token when its variables have their longest values, and the vendor's clients take 4096 at most"), "{path}");
    assert!(path.contains("hint: give the variables narrower types"), "{path}");
    assert!(!of("\"int\"").contains("long-policy"));
}

#[test]
fn a_policy_that_is_too_long_whatever_is_asked_says_so() {
    // Letters without order, from a generator: what is alike compresses and fits.
    let mut seed = 1_u64;
    let mut letter = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from(
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
                [usize::try_from(seed >> 58).unwrap()],
        )
    };
    let mut name = || {
        let letters: String = std::iter::repeat_with(&mut letter).take(100).collect();
        format!("\"acs:oss:*:*:b/{letters}/*\"")
    };
    let resources: Vec<_> = std::iter::repeat_with(&mut name).take(48).collect();
    let statement =
        format!("{{\"Effect\":\"Allow\",\"Action\":\"oss:*\",\"Resource\":[{}]}}", resources.join(","));
    let text = found(&ram(&[&statement]));
    assert!(
        text.contains("warning[long-policy]") && text.contains("bytes in a token, and the vendor"),
        "{text}"
    );
    assert!(text.contains("hint: put what is alike into one statement"), "{text}");
}

#[test]
fn a_reason_for_a_wildcard_is_an_error_of_a_lint() {
    let errors = production(&file(
        "",
        &format!(
            "policy = {{ {} }}",
            ram(&[r#"{"Effect":"Allow","Action":"*","Resource":"acs:oss:*:*:b/*"}"#])
        ),
    ))
    .unwrap_err();
    assert_eq!(errors.to_json()[0]["lint"], "wildcard");
    assert!(errors.to_string().contains("daypass.toml:14:18: the policy allows every action"), "{errors}");
}

#[test]
fn a_life_beyond_the_vendors_is_a_lint_or_an_error() {
    let of = |policy: &str, max: &str| {
        file("", &format!("policy = {{ {policy} }}\nlifetime = {{ default = \"1h\", max = \"{max}\" }}"))
    };
    let cam = r#"cam = '{"version":"2.0","statement":{"effect":"allow","action":"cos:*","resource":"qcs::cos:::b-1250000000/*"}}'"#;
    assert_eq!(warned(&of(cam, "12h")), warned(&of(cam, "2h")));
    assert!(
        warned(&of(cam, "13h")).contains("daypass.toml:15:36: warning[lifetime]: Tencent Cloud's"),
        "{}",
        warned(&of(cam, "13h"))
    );
    assert!(!warned(&of(&ram(&[PUT]), "12h")).contains("lifetime"));
    assert_eq!(production(&of(&ram(&[PUT]), "13h")).unwrap_err().to_json()[0]["lint"], "lifetime");
    let tokens =
        file("", "audience = \"api://x\"\nroles = [\"r\"]\nlifetime = { default = \"1h\", max = \"2h\" }");
    assert!(
        warned(&tokens).contains("warning[lifetime]: Entra's access tokens seldom live longer than 1h30m")
    );
}

#[test]
fn neither_the_demo_nor_a_new_file_has_findings() {
    let demo = crate::config::demo().unwrap();
    let template = crate::config::template(
        Some(std::path::Path::new("/s")),
        std::path::Path::new("/d"),
        &daypass_core::testing::SeededEntropy::new(1),
    );
    for loaded in [demo, production(&template).unwrap()] {
        let lints: Vec<_> = loaded.warnings.iter().filter_map(crate::config::Diagnostic::lint).collect();
        assert_eq!(lints, []);
    }
}

#[test]
fn a_policy_for_a_cloud_is_measured_by_what_that_cloud_takes() {
    let of = |folders: usize, kind: &str| {
        let resources: Vec<_> = (0..folders).map(|n| format!("\"acs:oss:*:*:b{n}/{{dir}}/*\"")).collect();
        let statement =
            format!("{{\"Effect\":\"Allow\",\"Action\":\"oss:*\",\"Resource\":[{}]}}", resources.join(","));
        let role = format!(
            "issuer = \"cloud\"\npolicy = {{ {} }}\nvariables = {{ dir = \"{kind}\" }}",
            ram(&[&statement])
        );
        let issuer = "[[issuer]]\nname = \"cloud\"\nkind = \"alibaba\"\nroot_key = { env = \"K\" }\n";
        let assume = "upstream = { assume = \"acs:ram::100000000001:role/uploads\" }";
        warned(&file("", &format!("{role}\n{assume}")).replacen(
            "[[tenant]]",
            &format!("{issuer}[[tenant]]"),
            1,
        ))
    };
    assert!(!of(4, "slug").contains("long-policy"), "{}", of(4, "slug"));
    let long = of(40, "slug");
    assert!(long.contains(" bytes as it is sent when its variables have their longest values, and the cloud behind `cloud` takes 2048 at most"), "{long}");
    assert!(of(90, "int").contains(" bytes as it is sent, and the cloud behind `cloud` takes 2048 at most"));
}
