//! What access tokens are and say.

use super::*;
use daypass_core::role::{Profile, Role, TokenVersion};
use daypass_core::testing::SeededEntropy;
use insta::assert_snapshot;
use std::sync::Arc;

/// What is said of a file with one OAuth role, whose keys begin on line 14.
fn role(text: &str) -> String {
    refused(&file(text))
}

fn file(text: &str) -> String {
    let tenant = TENANT.lines().take(4).collect::<Vec<_>>().join("\n");
    with(&format!(
        "{tenant}\n[[tenant.role]]\nname = \"a\"\naudience = \"api://x\"\n{text}\n{}",
        if text.contains("roles = [") { "" } else { "roles = [\"r\"]\n" }
    ))
}

fn good(text: &str) -> Arc<Role> {
    let loaded = production(&file(text)).unwrap_or_else(|errors| panic!("refused:\n{errors}"));
    loaded.plan("https://pass.example").roles[0].clone()
}

/// A second role of the same tenant.
fn and(text: &str) -> String {
    let more = "[[tenant.role]]\nname = \"b\"\nroles = [\"w\"]\n";
    refused(&format!("{}{more}{text}\n", file("identifiers = [\"api://orders\"]")))
}

#[test]
fn a_resource_says_what_its_tokens_are() {
    let plain = good("");
    assert_eq!((plain.version, plain.profile), (TokenVersion::V2, Profile::Entra));
    assert!(plain.identifiers.is_empty() && plain.claims.is_empty());
    let older = good("version = \"1.0\"\nidentifiers = [\"https://Orders.example\", \"api://orders\"]");
    assert_eq!(older.version, TokenVersion::V1);
    assert_eq!(older.called("API://ORDERS"), Some("api://orders"));
    assert_eq!(good("profile = \"rfc9068\"").profile, Profile::Rfc9068);
    let slash = good("identifiers = [\"https://orders.example/\"]");
    assert_eq!(slash.called("https://orders.example/"), Some("https://orders.example/"), "as Entra has them");
    assert_eq!(slash.called("https://orders.example"), None);
    for none in ["https://", "https:///x", "https://x//", "http://x", "api://x y", "urn:x"] {
        assert!(role(&format!("identifiers = [\"{none}\"]")).contains("is neither a GUID"), "{none}");
    }
    let claims =
        good("claims = { store = \"{poi_id}\", region = \"cn\" }\nvariables = { poi_id = \"slug\" }")
            .claims
            .clone();
    let said: Vec<_> = claims.iter().map(|(name, claim)| (name.as_str(), claim.variable())).collect();
    assert_eq!(said, [("region", None), ("store", Some("poi_id"))]);
}

#[test]
fn shapes_that_there_are_not() {
    assert_snapshot!(role("version = \"3.0\"\nprofile = \"rfc\""), @r#"
    daypass.toml:14:11: there is no version `3.0`; did you mean `1.0`?
    14 | version = "3.0"
       |           ^^^^^

    daypass.toml:15:11: there is no profile `rfc`
    15 | profile = "rfc"
       |           ^^^^^
      hint: there is `entra`, `rfc9068`
    "#);
    assert_snapshot!(role("version = 2.0"), @"
    daypass.toml:14:11: `version` must be a string, and is a fraction
    14 | version = 2.0
       |           ^^^
    ");
    assert_snapshot!(role("profile = \"rfc9068\"\nversion = \"1.0\""), @r#"
    daypass.toml:15:1: `version` chooses among Entra's sets of claims, and belongs to the profile `entra`
    15 | version = "1.0"
       | ^^^^^^^
    "#);
}

#[test]
fn names_of_a_resource() {
    assert_snapshot!(role("identifiers = [\"orders\", \"api://X\", \"api://y\", \"api://y\"]"), @r#"
    daypass.toml:14:16: `orders` is neither a GUID nor a URI that begins with `api://` or `https://`
    14 | identifiers = ["orders", "api://X", "api://y", "api://y"]
       |                ^^^^^^^^

    daypass.toml:14:26: the name of the resource `api://X` is already on line 13
    14 | identifiers = ["orders", "api://X", "api://y", "api://y"]
       |                          ^^^^^^^^^

    daypass.toml:14:48: the name of the resource `api://y` is already on line 14
    14 | identifiers = ["orders", "api://X", "api://y", "api://y"]
       |                                                ^^^^^^^^^
    "#);
    assert_snapshot!(and("audience = \"api://Orders\""), @r#"
    daypass.toml:17:8: `api://Orders` is a name of the resource `api://x` already, and cannot be one of `api://Orders` as well
    17 | name = "b"
       |        ^^^
    "#);
    assert_snapshot!(and("audience = \"api://z\"\nidentifiers = [\"api://X\"]"), @r#"
    daypass.toml:17:8: `api://X` is a name of the resource `api://x` already, and cannot be one of `api://z` as well
    17 | name = "b"
       |        ^^^
    "#);
}

#[test]
fn claims_that_cannot_be() {
    assert_snapshot!(role("claims = { roles = \"x\", \"a b\" = \"x\", n = 1, e = \"\" }"), @r#"
    daypass.toml:14:12: `roles` means something else in tokens; choose a name of your own, such as `x_roles` or `https://acme.example/roles`
    14 | claims = { roles = "x", "a b" = "x", n = 1, e = "" }
       |            ^^^^^

    daypass.toml:14:25: `a b` is not 1 to 128 letters, digits and `_-.:/` that begin with a letter, as in `store` or `https://acme.example/store`
    14 | claims = { roles = "x", "a b" = "x", n = 1, e = "" }
       |                         ^^^^^

    daypass.toml:14:42: `n` must be a string, and is an integer
    14 | claims = { roles = "x", "a b" = "x", n = 1, e = "" }
       |                                          ^

    daypass.toml:14:49: a claim is a text of one or more printable characters
    14 | claims = { roles = "x", "a b" = "x", n = 1, e = "" }
       |                                                 ^^
    "#);
    assert_snapshot!(role("claims = { store = \"{poi_id}\", both = \"{a}{b}\", open = \"{a\" }\nvariables = { a = \"slug\", b = \"slug\" }"), @r#"
    daypass.toml:14:20: in `{poi_id}`: the variable `poi_id` is not declared; declare it with its type, such as poi_id = "slug"
    14 | claims = { store = "{poi_id}", both = "{a}{b}", open = "{a" }
       |                    ^^^^^^^^^^

    daypass.toml:14:39: in `{a}{b}`: a claim holds one variable at most; write a claim for each
    14 | claims = { store = "{poi_id}", both = "{a}{b}", open = "{a" }
       |                                       ^^^^^^^^

    daypass.toml:14:56: in `{a`: braces mean nothing but a variable, {name}
    14 | claims = { store = "{poi_id}", both = "{a}{b}", open = "{a" }
       |                                                        ^^^^
    "#);
    assert_snapshot!(role("claims = { region = \"cn\" }\nvariables = { poi_id = \"slug\" }"), @r#"
    daypass.toml:15:1: the variable `poi_id` is declared, but no claim uses it; write {poi_id} where its value belongs, such as claims = { poi_id = "{poi_id}" }
    15 | variables = { poi_id = "slug" }
       | ^^^^^^^^^
    "#);
    assert_snapshot!(role("variables = { poi_id = \"slog\" }"), @r#"
    daypass.toml:14:24: there is no type of variables `slog`; did you mean `slug`?
    14 | variables = { poi_id = "slog" }
       |                        ^^^^^^
    "#);
}

#[test]
fn roles_of_one_audience_must_agree_on_what_a_token_says() {
    let said = and(
        "audience = \"api://x\"\nversion = \"1.0\"\nclaims = { store = \"{poi_id}\" }\nvariables = { poi_id = \"slug\" }",
    );
    assert_snapshot!(said, @r#"
    daypass.toml:17:8: `b` and `a` have one audience, and must have one `version`
    17 | name = "b"
       |        ^^^
      hint: the other is on line 12

    daypass.toml:17:8: `b` and `a` have one audience, and must have one `identifiers`
    17 | name = "b"
       |        ^^^
      hint: the other is on line 12

    daypass.toml:17:8: `b` and `a` have one audience, and must have one `variables`
    17 | name = "b"
       |        ^^^
      hint: the other is on line 12

    daypass.toml:17:8: `b` and `a` have one audience, and must have one `claims`
    17 | name = "b"
       |        ^^^
      hint: the other is on line 12
    "#);
    let spelled = and("identifiers = [\"api://orders\"]\naudience = \"api://X\"");
    assert!(
        spelled.contains("`api://X` and `api://x` are one audience, and must be spelled alike"),
        "{spelled}"
    );
    let same = "identifiers = [\"api://orders\"]\naudience = \"api://x\"";
    let more = format!("[[tenant.role]]\nname = \"b\"\nroles = [\"w\"]\n{same}\n");
    let both = format!("{}{more}", file("identifiers = [\"api://orders\"]"));
    assert_eq!(production(&both).unwrap_or_else(|e| panic!("{e}")).plan("").roles.len(), 2);
}

/// `roles = [..]` with so many app roles of a hundred characters.
fn app_roles(count: usize) -> String {
    let roles: Vec<_> = (0..count).map(|n| format!("\"{n:0100}\"")).collect();
    format!("roles = [{}]", roles.join(", "))
}

#[test]
fn a_token_that_could_grow_too_long_is_refused_before_anyone_has_it() {
    assert_snapshot!(role(&app_roles(40)).lines().next().unwrap(), @"daypass.toml:12:8: a token of `api://x` can come to 7663 bytes, and more than 6144 do not pass every server's limit for a header");
    let most = |more: &str| {
        (0..100)
            .take_while(|count| production(&file(&format!("{}\n{more}", app_roles(*count + 1)))).is_ok())
            .count()
    };
    let alone = most("");
    // 2048 bytes are set aside for what a grant may bind, which is some twenty of these roles.
    let with_variable = most("claims = { store = \"{poi_id}\" }\nvariables = { poi_id = \"slug\" }");
    assert!((15..=25).contains(&(alone - with_variable)), "{alone} {with_variable}");
    let two = format!(
        "{}[[tenant.role]]\nname = \"b\"\naudience = \"api://x\"\nroles = [\"w-{:0100}\"]\n",
        file(&app_roles(alone)),
        0
    );
    assert!(refused(&two).contains("can come to"), "all roles of a resource count together");
    let long: Vec<_> = (0..8).map(|n| format!("c{n} = \"{{p}}\"")).collect();
    assert_snapshot!(role(&format!("claims = {{ {} }}\nvariables = {{ p = \"path\" }}", long.join(", "))), @r#"
    daypass.toml:14:1: the claims with variables can take 2064 bytes of a token with one value for each, and 2048 are set aside for them
    14 | claims = { c0 = "{p}", c1 = "{p}", c2 = "{p}", c3 = "{p}", c4 = "{p}", c5 = "{p}", c6 = "{p}", c7 = …
       | ^^^^^^
      hint: take some out, or give their variables a shorter type
    "#);
}

#[test]
fn keys_of_tokens_belong_to_roles_with_an_audience() {
    let tail = "version = \"2.0\"\nprofile = \"entra\"\nidentifiers = []\nclaims = {}\n";
    assert_snapshot!(refused(&with_tenant(tail)), @r#"
    daypass.toml:30:1: `version` belongs to a role with an `audience`
    30 | version = "2.0"
       | ^^^^^^^

    daypass.toml:31:1: `profile` belongs to a role with an `audience`
    31 | profile = "entra"
       | ^^^^^^^

    daypass.toml:32:1: `identifiers` belongs to a role with an `audience`
    32 | identifiers = []
       | ^^^^^^^^^^^

    daypass.toml:33:1: `claims` belongs to a role with an `audience`
    33 | claims = {}
       | ^^^^^^
    "#);
}

#[test]
fn the_template_shows_them() {
    let text = crate::config::template(Some("/seal.key".as_ref()), "/d.db".as_ref(), &SeededEntropy::new(1));
    for key in ["#identifiers =", "#version =", "#profile =", "#claims =", "#variables ="] {
        assert!(text.lines().any(|line| line.starts_with(key)), "{key}");
    }
}
