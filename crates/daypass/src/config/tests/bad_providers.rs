//! Faults in outside providers, and in the roles that trust them.

use super::*;
use insta::assert_snapshot;

const PROVIDER: &str = r#"[[tenant.provider]]
name = "corp"
issuer = "https://login.example.com"
audience = ["daypass"]
jwks = "https://login.example.com/keys"
subject = "sub"
variables = { class = "class_id" }
"#;

const ROLE: &str = r#"[[tenant.role]]
name = "deploy"
variables = { class = "slug", subject = "slug" }
policy = { cam = '{"version":"2.0","statement":{"effect":"allow","action":["cos:PutObject"],"resource":["qcs::cos:ap-guangzhou:uid/1:b-1/{class}/{subject}/*"]}}' }
trust = [{ provider = "corp", subject = ["repo:acme/*"] }]
"#;

/// What is said about the provider when a piece of it is another.
fn provider(old: &str, new: &str) -> String {
    assert!(PROVIDER.contains(old), "{old}");
    refused(&with_tenant(&PROVIDER.replace(old, new)))
}

/// What is said about the role when a piece of it is another.
fn role(old: &str, new: &str) -> String {
    assert!(ROLE.contains(old), "{old}");
    refused(&with_tenant(&format!("{PROVIDER}{}", ROLE.replace(old, new))))
}

#[test]
fn the_unchanged_provider_and_role_are_good() {
    let warnings = warned(&with_tenant(&format!("{PROVIDER}{ROLE}")));
    assert_eq!(warnings.matches("warning").count(), 2, "of the tenant's own: {warnings}");
}

#[test]
fn names_and_keys() {
    assert_snapshot!(refused(&with_tenant("[[tenant.provider]]\nissuers = \"x\"\n")), @r#"
    daypass.toml:30:1: `tenant.provider` needs the key `name`
    30 | [[tenant.provider]]
       | ^^^^^^^^^^^^^^^^^^^

    daypass.toml:30:1: `tenant.provider` needs the key `issuer`
    30 | [[tenant.provider]]
       | ^^^^^^^^^^^^^^^^^^^

    daypass.toml:30:1: `tenant.provider` needs the key `audience`
    30 | [[tenant.provider]]
       | ^^^^^^^^^^^^^^^^^^^

    daypass.toml:31:1: unknown key `issuers` in `tenant.provider`; did you mean `issuer`?
    31 | issuers = "x"
       | ^^^^^^^
    "#);
    assert_snapshot!(provider("name = \"corp\"", "name = \"co/rp\""), @r#"
    daypass.toml:31:8: `co/rp` is not 1 to 64 letters, digits, dots, hyphens and underscores
    31 | name = "co/rp"
       |        ^^^^^^^
    "#);
    assert_snapshot!(refused(&with_tenant(&format!("{PROVIDER}{PROVIDER}"))), @r#"
    daypass.toml:38:8: the provider `corp` is already on line 31
    38 | name = "corp"
       |        ^^^^^^
    "#);
}

#[test]
fn audiences() {
    assert_snapshot!(provider("[\"daypass\"]", "[]"), @"
    daypass.toml:33:12: `audience` names nothing, and only tokens that are meant for us prove anything
    33 | audience = []
       |            ^^
    ");
    assert_snapshot!(provider("[\"daypass\"]", "\"\""), @r#"
    daypass.toml:33:12: `` is not 1 to 512 printable characters without blanks
    33 | audience = ""
       |            ^^
    "#);
    assert_snapshot!(provider("[\"daypass\"]", "[\"a\", \"a\", 1, \"b c\"]"), @r#"
    daypass.toml:33:18: the audience `a` is already on line 33
    33 | audience = ["a", "a", 1, "b c"]
       |                  ^^^

    daypass.toml:33:23: `audience` must be a list of strings, and holds an integer
    33 | audience = ["a", "a", 1, "b c"]
       |                       ^

    daypass.toml:33:26: `b c` is not 1 to 512 printable characters without blanks
    33 | audience = ["a", "a", 1, "b c"]
       |                          ^^^^^
    "#);
    assert_snapshot!(provider("audience = [\"daypass\"]\n", ""), @"
    daypass.toml:30:1: `tenant.provider` needs the key `audience`
    30 | [[tenant.provider]]
       | ^^^^^^^^^^^^^^^^^^^
    ");
}

#[test]
fn keys_come_over_tls_or_from_this_machine() {
    assert_snapshot!(provider("\"https://login.example.com/keys\"", "\"http://login.example.com/keys\""), @r#"
    daypass.toml:34:8: over `http` anyone on the way could answer in its place
    34 | jwks = "http://login.example.com/keys"
       |        ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      hint: use https, or an address on this machine, such as http://127.0.0.1:8000
    "#);
    assert_snapshot!(provider("\"https://login.example.com/keys\"", "{ fil = \"keys.json\" }"), @r#"
    daypass.toml:34:8: `jwks` needs the key `file`
    34 | jwks = { fil = "keys.json" }
       |        ^^^^^^^^^^^^^^^^^^^^^

    daypass.toml:34:10: unknown key `fil` in `jwks`; did you mean `file`?
    34 | jwks = { fil = "keys.json" }
       |          ^^^
    "#);
    assert_snapshot!(provider("\"https://login.example.com/keys\"", "5"), @"
    daypass.toml:34:8: `jwks` must be a table, and is an integer
    34 | jwks = 5
       |        ^
    ");
    let discovered = "jwks = \"https://login.example.com/keys\"\n";
    let text =
        PROVIDER.replace(discovered, "").replace("\"https://login.example.com\"", "\"accounts.example.com\"");
    assert_snapshot!(refused(&with_tenant(&text)), @r#"
    daypass.toml:32:10: `accounts.example.com` does not begin with a scheme such as `https://`
    32 | issuer = "accounts.example.com"
       |          ^^^^^^^^^^^^^^^^^^^^^^
      hint: without `jwks` the keys are looked for at the issuer
    "#);
    let text = PROVIDER.replace("\"https://login.example.com\"", "\"accounts.example.com\"");
    assert!(production(&with_tenant(&text)).is_ok(), "with keys of their own, any name is one");
}

#[test]
fn a_file_of_keys_is_read_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("keys.json");
    let said = || {
        let file = format!("{{ file = \"{}\" }}", path.display());
        let errors = provider("\"https://login.example.com/keys\"", &file);
        errors.lines().next().unwrap_or_default().replace(&directory.path().display().to_string(), "DIR")
    };
    assert_snapshot!(said(), @"daypass.toml:34:17: cannot read `DIR/keys.json`: No such file or directory (os error 2)");
    std::fs::write(&path, "{").unwrap();
    assert!(
        said().starts_with("daypass.toml:34:17: `DIR/keys.json`: the key set cannot be used: "),
        "{}",
        said()
    );
    std::fs::write(&path, " ".repeat(256 * 1024 + 1)).unwrap();
    assert_snapshot!(said(), @"daypass.toml:34:17: `DIR/keys.json` is longer than 262144 bytes");
}

#[test]
fn claims() {
    assert_snapshot!(provider("subject = \"sub\"", "subject = \"\""), @r#"
    daypass.toml:35:11: `` is not 1 to 512 printable characters without blanks
    35 | subject = ""
       |           ^^
    "#);
    assert_snapshot!(provider("{ class = \"class_id\" }", "{ subject = \"email\", Class = \"class\", dir = 1, a = \" \" }"), @r#"
    daypass.toml:36:15: the variable `subject` is always the subject's own name
    36 | variables = { subject = "email", Class = "class", dir = 1, a = " " }
       |               ^^^^^^^
      hint: to take it from another claim: subject = "claim" of the provider

    daypass.toml:36:34: `Class` is not lower-case letters, digits and underscores
    36 | variables = { subject = "email", Class = "class", dir = 1, a = " " }
       |                                  ^^^^^

    daypass.toml:36:57: `dir` must be a string, and is an integer
    36 | variables = { subject = "email", Class = "class", dir = 1, a = " " }
       |                                                         ^

    daypass.toml:36:64: ` ` is not 1 to 512 printable characters without blanks
    36 | variables = { subject = "email", Class = "class", dir = 1, a = " " }
       |                                                                ^^^
    "#);
}

#[test]
fn a_trusted_provider_exists() {
    assert_snapshot!(role("\"corp\"", "\"crop\""), @r#"
    daypass.toml:41:23: there is no provider `crop`; did you mean `corp`?
    41 | trust = [{ provider = "crop", subject = ["repo:acme/*"] }]
       |                       ^^^^^^
    "#);
    assert_snapshot!(role("provider = \"corp\", ", ""), @r#"
    daypass.toml:41:10: `trust` needs the key `provider`
    41 | trust = [{ subject = ["repo:acme/*"] }]
       |          ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
    "#);
    assert_snapshot!(role("[{ provider = \"corp\", subject = [\"repo:acme/*\"] }]", "[]"), @"
    daypass.toml:41:9: `trust` names no provider
    41 | trust = []
       |         ^^
    ");
    assert_snapshot!(role("}]", "}, { provider = \"corp\", subject = \"ann\" }]"), @r#"
    daypass.toml:41:73: the provider `corp` is already on line 41
    41 | trust = [{ provider = "corp", subject = ["repo:acme/*"] }, { provider = "corp", subject = "ann" }]
       |                                                                         ^^^^^^
    "#);
}

#[test]
fn trusted_subjects_are_not_everyone() {
    for everyone in ["\"*\"", "[\"repo:acme/*\", \"**\"]"] {
        let errors = role("[\"repo:acme/*\"]", everyone);
        assert!(errors.contains("would let everyone whom the provider knows assume the role"), "{errors}");
    }
    assert_snapshot!(role("[\"repo:acme/*\"]", "\"*\""), @r#"
    daypass.toml:41:41: `*` would let everyone whom the provider knows assume the role
    41 | trust = [{ provider = "corp", subject = "*" }]
       |                                         ^^^
      hint: write what the right ones have in common, such as "repo:acme/*"
    "#);
    assert_snapshot!(role("[\"repo:acme/*\"]", "[]"), @r#"
    daypass.toml:41:10: `subject` names nobody
    41 | trust = [{ provider = "corp", subject = [] }]
       |          ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
    "#);
    assert_snapshot!(role("[\"repo:acme/*\"]", "\"\""), @r#"
    daypass.toml:41:41: the subject is empty
    41 | trust = [{ provider = "corp", subject = "" }]
       |                                         ^^
    "#);
    assert_snapshot!(role(", subject = [\"repo:acme/*\"]", ""), @r#"
    daypass.toml:41:10: `trust` needs the key `subject`
    41 | trust = [{ provider = "corp" }]
       |          ^^^^^^^^^^^^^^^^^^^^^
    "#);
}

#[test]
fn a_trusted_provider_fills_every_variable() {
    let errors = refused(&with_tenant(
        &format!("{PROVIDER}{ROLE}").replace("variables = { class = \"class_id\" }\n", ""),
    ));
    assert_snapshot!(errors, @r#"
    daypass.toml:40:23: the role has the variable `class`, which `corp` has no claim for
    40 | trust = [{ provider = "corp", subject = ["repo:acme/*"] }]
       |                       ^^^^^^
      hint: in the provider: variables = { class = "claim" }
    "#);
}

#[test]
fn trust_belongs_to_a_role_with_a_policy() {
    let trust = "trust = [{ provider = \"corp\", subject = \"ann\" }]\n";
    let orders =
        TENANT.replace("name = \"orders\"\n", &format!("name = \"orders\"\nexternal_id = \"x7\"\n{trust}"));
    assert_snapshot!(refused(&with(&format!("{orders}{PROVIDER}"))), @r#"
    daypass.toml:24:1: `external_id` belongs to a role with a `policy`
    24 | external_id = "x7"
       | ^^^^^^^^^^^

    daypass.toml:25:1: `trust` belongs to a role with a `policy`
    25 | trust = [{ provider = "corp", subject = "ann" }]
       | ^^^^^
    "#);
}

#[test]
fn external_ids() {
    for bad in ["", "x", "a b", "a*b", "中文", &"x".repeat(129)] {
        let errors = role("name = \"deploy\"", &format!("name = \"deploy\"\nexternal_id = \"{bad}\""));
        assert!(errors.contains(&format!("`{bad}` is not 2 to 128 letters, digits and")), "{errors}");
    }
    assert_snapshot!(role("name = \"deploy\"", "name = \"deploy\"\nexternal_id = 7"), @"
    daypass.toml:39:15: `external_id` must be a string, and is an integer
    39 | external_id = 7
       |               ^
    ");
}

#[test]
fn weak_proofs() {
    let refuse = |list: &str| refused(&with("").replace("[store]", &format!("refuse = {list}\n[store]")));
    assert_snapshot!(refuse("[\"unsigned_payload\", \"v2\", \"sha1\", \"md5\", \"md5\", 1]"), @r#"
    daypass.toml:3:11: there is no weak proof `unsigned_payload`; did you mean `unsigned-payload`?
    3 | refuse = ["unsigned_payload", "v2", "sha1", "md5", "md5", 1]
      |           ^^^^^^^^^^^^^^^^^^

    daypass.toml:3:31: there is no weak proof `v2`; did you mean `v1`?
    3 | refuse = ["unsigned_payload", "v2", "sha1", "md5", "md5", 1]
      |                               ^^^^

    daypass.toml:3:37: there is no weak proof `sha1`
    3 | refuse = ["unsigned_payload", "v2", "sha1", "md5", "md5", 1]
      |                                     ^^^^^^
      hint: there is `unsigned-payload`, `v1`, `md5`

    daypass.toml:3:52: the weak proof `md5` is already on line 3
    3 | refuse = ["unsigned_payload", "v2", "sha1", "md5", "md5", 1]
      |                                                    ^^^^^

    daypass.toml:3:59: `refuse` must be a list of strings, and holds an integer
    3 | refuse = ["unsigned_payload", "v2", "sha1", "md5", "md5", 1]
      |                                                           ^
    "#);
    assert_snapshot!(refuse("\"v1\""), @r#"
    daypass.toml:3:10: `refuse` must be a list of strings, and is a string
    3 | refuse = "v1"
      |          ^^^^
    "#);
}

#[test]
fn quotas() {
    for (quota, fault) in [
        ("{ subject = 0 }", "a quota is 1 to 1000000 credentials a minute"),
        ("{ address = 1000001 }", "a quota is 1 to 1000000 credentials a minute"),
        ("{ provider = -1 }", "a quota is 1 to 1000000 credentials a minute"),
        ("{ endpoint = 60 }", "unknown key `endpoint` in `quota`"),
        ("60", "`quota`"),
    ] {
        let said = provider("subject = \"sub\"", &format!("quota = {quota}"));
        assert!(said.contains(fault), "{quota}: {said}");
    }
}
