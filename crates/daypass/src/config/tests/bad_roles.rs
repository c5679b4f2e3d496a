//! Faults in roles.

use super::*;
use insta::assert_snapshot;

/// What is said when the role `soe` is replaced by this one.
fn role(text: &str) -> String {
    let tenant = TENANT.lines().take(4).collect::<Vec<_>>().join("\n");
    refused(&with(&format!("{tenant}\n[[tenant.role]]\n{text}\n")))
}

const ONE: &str = r#"{"version":"2.0","statement":{"effect":"allow","action":["cos:PutObject"],"resource":["qcs::cos:::b/{dir}/*"]}}"#;

#[test]
fn a_role_is_one_thing() {
    assert_snapshot!(role("name = \"a\""), @"
    daypass.toml:11:1: the role needs a `policy` (a signing credential) or an `audience` (an access token)
    11 | [[tenant.role]]
       | ^^^^^^^^^^^^^^^
    ");
    assert_snapshot!(role("name = \"a\"\npolicy = { cam = '{}' }\naudience = \"api://x\""), @r#"
    daypass.toml:14:1: a role has either a `policy` (a signing credential) or an `audience` (an access token)
    14 | audience = "api://x"
       | ^^^^^^^^
    "#);
    assert_snapshot!(role("name = \"a\"\npolicy = {}"), @"
    daypass.toml:13:10: `policy` needs exactly one of `cam` (Tencent Cloud) and `ram` (Alibaba Cloud)
    13 | policy = {}
       |          ^^
    ");
}

#[test]
fn keys_of_the_other_kind() {
    let errors = role(
        "name = \"a\"\naudience = \"api://x\"\nroles = [\"r\"]\nvariables = {}\nanswer = {}\nwildcard_reason = \"x\"",
    );
    assert_snapshot!(errors, @r#"
    daypass.toml:16:1: `answer` belongs to a role with a `policy`
    16 | answer = {}
       | ^^^^^^

    daypass.toml:17:1: `wildcard_reason` belongs to a role with a `policy`
    17 | wildcard_reason = "x"
       | ^^^^^^^^^^^^^^^
    "#);
    let tail = "roles = [\"r\"]\nalgorithm = \"RS256\"\n";
    assert_snapshot!(refused(&with_tenant(tail)), @r#"
    daypass.toml:30:1: `roles` belongs to a role with an `audience`
    30 | roles = ["r"]
       | ^^^^^

    daypass.toml:31:1: `algorithm` belongs to a role with an `audience`
    31 | algorithm = "RS256"
       | ^^^^^^^^^
    "#);
}

#[test]
fn names_and_keys() {
    assert_snapshot!(role("naem = \"a\"\naudience = \"api://x\"\nroles = [\"r\"]\npolicies = {}"), @r#"
    daypass.toml:11:1: `tenant.role` needs the key `name`
    11 | [[tenant.role]]
       | ^^^^^^^^^^^^^^^

    daypass.toml:12:1: unknown key `naem` in `tenant.role`; did you mean `name`?
    12 | naem = "a"
       | ^^^^

    daypass.toml:15:1: unknown key `policies` in `tenant.role`
    15 | policies = {}
       | ^^^^^^^^
      hint: the keys here are `name`, `issuer`, `lifetime`, `policy`, `policy_warn`, `wildcard_reason`, `variables`, `answer`, `external_id`, `trust`, `audience`, `roles`, `algorithm`, `version`, `profile`, `identifiers`, `claims`, `upstream`
    "#);
    assert_snapshot!(role("name = \"a/b\"\naudience = \"api://x\"\nroles = [\"r\"]"), @r#"
    daypass.toml:12:8: `a/b` is not 1 to 64 letters, digits, dots, hyphens and underscores
    12 | name = "a/b"
       |        ^^^^^
    "#);
    let twice = "[[tenant.role]]\nname = \"soe\"\naudience = \"api://x\"\nroles = [\"r\"]\n";
    assert_snapshot!(refused(&with_tenant(twice)), @r#"
    daypass.toml:31:8: the role `soe` is already on line 12
    31 | name = "soe"
       |        ^^^^^
    "#);
}

#[test]
fn lifetimes() {
    let role = |lifetime: &str| {
        role(&format!("name = \"a\"\naudience = \"api://x\"\nroles = [\"r\"]\nlifetime = {lifetime}"))
    };
    assert_snapshot!(role("{ default = 30, max = \"2h\" }"), @r#"
    daypass.toml:15:24: `default` needs a unit
    15 | lifetime = { default = 30, max = "2h" }
       |                        ^^
      hint: for seconds write "30s"
    "#);
    assert_snapshot!(role("{ default = \"30 minutes\", max = true }"), @r#"
    daypass.toml:15:24: `30 minutes` is not a duration
    15 | lifetime = { default = "30 minutes", max = true }
       |                        ^^^^^^^^^^^^
      hint: hours, minutes and seconds in this order, such as "30m", "2h" or "1h30m"

    daypass.toml:15:44: `max` must be a string, and is a boolean
    15 | lifetime = { default = "30 minutes", max = true }
       |                                            ^^^^
    "#);
    assert_snapshot!(role("{ default = \"2h\", max = \"30m\" }"), @r#"
    daypass.toml:15:24: the default of 2h is longer than the longest, 30m
    15 | lifetime = { default = "2h", max = "30m" }
       |                        ^^^^
    "#);
    assert_snapshot!(role("{ default = \"0s\" }"), @r#"
    daypass.toml:15:12: `lifetime` needs the key `max`
    15 | lifetime = { default = "0s" }
       |            ^^^^^^^^^^^^^^^^^^

    daypass.toml:15:24: a lifetime is at least one second
    15 | lifetime = { default = "0s" }
       |                        ^^^^
    "#);
    assert_snapshot!(role("\"30m\""), @r#"
    daypass.toml:15:12: `lifetime` must be a table, and is a string
    15 | lifetime = "30m"
       |            ^^^^^
    "#);
}

#[test]
fn lifetimes_beyond_the_vendor_s() {
    for (old, new, message) in [
        ("max = \"2h\"", "max = \"37h\"", "Tencent Cloud's temporary credentials live at most 36h"),
        ("max = \"12h\"", "max = \"12h1s\"", "Alibaba Cloud's temporary credentials live at most 12h"),
        (
            "roles = [\"orders.read\"]",
            "roles = [\"r\"]\nlifetime = { default = \"1h\", max = \"25h\" }",
            "Entra's access tokens live at most 24h",
        ),
    ] {
        let errors = refused(&with_tenant("").replace(old, new));
        assert!(errors.contains(message), "{errors}");
    }
}

#[test]
fn policies() {
    assert_snapshot!(role("name = \"a\"\npolicy = { cam = '{\"version\":' }"), @r#"
    daypass.toml:13:18: the policy is not taken: not a JSON document (line 1, column 11)
    13 | policy = { cam = '{"version":' }
       |                  ^^^^^^^^^^^^^
    "#);
    assert_snapshot!(role("name = \"a\"\npolicy = { ram = '' }"), @"
    daypass.toml:13:18: the policy is not a JSON document (line 1, column 0)
    13 | policy = { ram = '' }
       |                  ^^
    ");
    assert_snapshot!(role("name = \"a\"\npolicy = { cam = 5 }"), @"
    daypass.toml:13:18: `cam` must be a string, and is an integer
    13 | policy = { cam = 5 }
       |                  ^
    ");
}

#[test]
fn a_wildcard_needs_a_reason() {
    let everything =
        r#"{"version":"2.0","statement":{"effect":"allow","action":["soe:Transmit"],"resource":"*"}}"#;
    assert_snapshot!(role(&format!("name = \"a\"\npolicy = {{ cam = '{everything}' }}")), @r#"
    daypass.toml:13:18: the policy allows every resource, and no `wildcard_reason` says why
    13 | policy = { cam = '{"version":"2.0","statement":{"effect":"allow","action":["soe:Transmit"],"resource…
       |                  ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      hint: name each resource, or write the reason: wildcard_reason = "…"
    "#);
    assert_snapshot!(role(&format!("name = \"a\"\npolicy = {{ cam = '{everything}' }}\nwildcard_reason = \" \"")), @r#"
    daypass.toml:14:19: the reason is empty
    14 | wildcard_reason = " "
       |                   ^^^
    "#);
    let action = everything.replace("soe:Transmit", "*");
    assert!(role(&format!("name = \"a\"\npolicy = {{ cam = '{action}' }}")).contains("allows every action"));
    let unneeded = with_tenant("wildcard_reason = \"habit\"\n");
    assert!(warned(&unneeded).contains("the reason is not needed"));
}

#[test]
fn variables() {
    assert_snapshot!(role(&format!("name = \"a\"\npolicy = {{ cam = '{ONE}' }}\nvariables = {{ dir = \"slog\", \"a b\" = \"slug\", n = 1 }}")), @r#"
    daypass.toml:14:21: there is no type of variables `slog`; did you mean `slug`?
    14 | variables = { dir = "slog", "a b" = "slug", n = 1 }
       |                     ^^^^^^

    daypass.toml:14:29: `a b` is not lower-case letters, digits and underscores
    14 | variables = { dir = "slog", "a b" = "slug", n = 1 }
       |                             ^^^^^

    daypass.toml:14:49: `n` must be the name of a type, a list of values, or { pattern = "…" }, and is an integer
    14 | variables = { dir = "slog", "a b" = "slug", n = 1 }
       |                                                 ^
    "#);
    let typed = |kind: &str| {
        let refused =
            role(&format!("name = \"a\"\npolicy = {{ cam = '{ONE}' }}\nvariables = {{ dir = {kind} }}"));
        refused.lines().next().unwrap_or_default().to_owned()
    };
    assert_snapshot!(typed("[]"), @"daypass.toml:14:21: `dir`: the list of values is empty");
    assert_snapshot!(typed(r#"["test", 1]"#), @"daypass.toml:14:30: `dir` must be a string, and is an integer");
    assert_snapshot!(typed(r#"["test", "prod", "test"]"#), @"daypass.toml:14:21: `dir`: the value `test` is there twice");
    assert_snapshot!(typed(r#"["test", "*"]"#), @"daypass.toml:14:21: `dir`: `*` cannot be a value; a value is letters, digits, `_`, `-` and single dots, beginning with a letter or digit");
    assert_snapshot!(typed("{ patern = 'a' }"), @"daypass.toml:14:21: `dir` needs the key `pattern`");
    assert_snapshot!(typed("{ pattern = '[a-z]+' }"), @"daypass.toml:14:33: the pattern `[a-z]+` has no bound, or one beyond 256 characters; write how many, as in `[a-z]{1,64}`");
    assert_snapshot!(typed("{ pattern = '[a-z*]{1,9}' }"), @"daypass.toml:14:33: the pattern `[a-z*]{1,9}` could admit `*`; values have letters, digits, `_`, `-` and `.` (written `\\.`) alone");
    assert_snapshot!(typed("{ pattern = 'a/b' }"), @"daypass.toml:14:33: the pattern `a/b` could admit `/`; values have letters, digits, `_`, `-` and `.` (written `\\.`) alone");
    assert_snapshot!(role(&format!("name = \"a\"\npolicy = {{ cam = '{ONE}' }}")), @r#"
    daypass.toml:13:18: in `qcs::cos:*:uin/100000000001:b/{dir}/*`: the variable `dir` is not declared; declare it with its type, such as dir = "slug"
    13 | policy = { cam = '{"version":"2.0","statement":{"effect":"allow","action":["cos:PutObject"],"resourc…
       |                  ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
    "#);
    assert_snapshot!(role(&format!("name = \"a\"\npolicy = {{ cam = '{ONE}' }}\nvariables = {{ dir = \"slug\", unused = \"slug\" }}")), @r#"
    daypass.toml:13:18: the variable `unused` is declared, but the policy does not use it; write {unused} where its value belongs, or take the declaration out
    13 | policy = { cam = '{"version":"2.0","statement":{"effect":"allow","action":["cos:PutObject"],"resourc…
       |                  ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
    "#);
    assert_snapshot!(role(&format!("name = \"a\"\npolicy = {{ cam = '{ONE}' }}\nvariables = {{ dir = \"slug\" }}\nanswer = {{ endpoint_public = \"x\" }}")), @r#"
    daypass.toml:15:12: unknown key `endpoint_public` in `answer`; did you mean `end_point_public`?
    15 | answer = { endpoint_public = "x" }
       |            ^^^^^^^^^^^^^^^
    "#);
}

#[test]
fn audiences() {
    assert_snapshot!(role("name = \"a\"\naudience = \"orders\"\nroles = []\nalgorithm = \"rs256\""), @r#"
    daypass.toml:13:12: `orders` is neither a GUID nor a URI that begins with `api://` or `https://`
    13 | audience = "orders"
       |            ^^^^^^^^

    daypass.toml:14:1: `roles` names no role
    14 | roles = []
       | ^^^^^

    daypass.toml:15:13: there is no algorithm `rs256`; did you mean `RS256`?
    15 | algorithm = "rs256"
       |             ^^^^^^^
    "#);
    assert_snapshot!(role("name = \"a\"\naudience = \"api:///x\"\nroles = [\"a b\", \"r\", \"r\"]\nalgorithm = \"HS256\""), @r#"
    daypass.toml:13:12: `api:///x` is neither a GUID nor a URI that begins with `api://` or `https://`
    13 | audience = "api:///x"
       |            ^^^^^^^^^^

    daypass.toml:14:10: `a b` is not 1 to 120 printable characters without blanks
    14 | roles = ["a b", "r", "r"]
       |          ^^^^^

    daypass.toml:14:22: the app role `r` is already on line 14
    14 | roles = ["a b", "r", "r"]
       |                      ^^^

    daypass.toml:15:13: there is no algorithm `HS256`; did you mean `RS256`?
    15 | algorithm = "HS256"
       |             ^^^^^^^
    "#);
    assert_snapshot!(role("name = \"a\"\naudience = \"api://x\""), @"
    daypass.toml:11:1: `tenant.role` needs the key `roles`
    11 | [[tenant.role]]
       | ^^^^^^^^^^^^^^^
    ");
}

#[test]
fn roles_of_one_audience_must_agree() {
    let more = r#"[[tenant.role]]
name = "orders-2"
audience = "D6B7C858-55FA-4D04-85A6-131AF690ABD4"
roles = ["orders.write"]
algorithm = "ES256"
lifetime = { default = "10m", max = "1h" }
"#;
    assert_snapshot!(refused(&with_tenant(more)), @r#"
    daypass.toml:31:8: `D6B7C858-55FA-4D04-85A6-131AF690ABD4` and `d6b7c858-55fa-4d04-85a6-131af690abd4` are one audience, and must be spelled alike
    31 | name = "orders-2"
       |        ^^^^^^^^^^
      hint: the other is on line 23

    daypass.toml:31:8: `orders-2` and `orders` have one audience, and must have one `algorithm`
    31 | name = "orders-2"
       |        ^^^^^^^^^^
      hint: the other is on line 23

    daypass.toml:31:8: `orders-2` and `orders` have one audience, and must have one `lifetime`
    31 | name = "orders-2"
       |        ^^^^^^^^^^
      hint: the other is on line 23
    "#);
}
