//! What the lints find in the clients of a store.

use super::*;
use crate::config::{Lint, Stored};
use daypass_core::client::{Grant, KeyKind};
use daypass_core::clock::after;
use daypass_core::testing::{START, World};
use insta::assert_snapshot;

const DAY: u32 = 24 * 60 * 60;

/// The client of the test world with grants on the roles of the file, and its keys.
fn stored() -> Stored {
    let World { mut client, keys, .. } = World::new();
    let bound = |role: &str, bind: &[&str]| {
        let bind = bind.iter().map(|name| ((*name).to_owned(), vec!["a".to_owned()])).collect();
        Grant { bind, ..Grant::of(role) }
    };
    client.grants = vec![
        Grant::of("soe"),
        bound("upload", &["tenant_code", "poi_id"]),
        Grant::of("orders"),
        bound("cos", &["dir"]),
    ];
    Stored { clients: vec![client], keys, roots: vec![] }
}

/// All that is found, with the file and the store.
fn found(stored: &Stored) -> String {
    let loaded = production(&with_tenant("")).unwrap_or_else(|errors| panic!("{errors}"));
    let found: Vec<_> = loaded.lint_stored(stored, START).iter().map(ToString::to_string).collect();
    found.join("\n\n")
}

#[test]
fn nothing_is_found_where_all_is_reached_and_given() {
    assert_snapshot!(found(&stored()), @"");
}

#[test]
fn the_file_alone_knows_which_roles_it_cannot_tell_of() {
    let loaded = production(&with_tenant("")).unwrap();
    let names: Vec<_> = loaded.of_clients().into_iter().map(|(_, role)| role).collect();
    assert_eq!(names, ["soe", "upload", "orders", "cos"]);
    let endpoint = r#"
[[endpoint]]
dialect = "tencent.getAuthorization"
path = "/getAuthorization"
tenant = "acme"
role = "soe"
origins = ["https://lesson.example.com"]
caller = { session = { cookie = "sid", whoami = "http://127.0.0.1:8000/whoami" } }
"#;
    let loaded = production(&with_tenant(endpoint)).unwrap_or_else(|errors| panic!("{errors}"));
    let names: Vec<_> = loaded.of_clients().into_iter().map(|(_, role)| role).collect();
    assert_eq!(names, ["upload", "orders", "cos"], "sessions reach one of them");
}

#[test]
fn a_role_that_nobody_can_get_is_shown_where_it_is_declared() {
    let mut stored = stored();
    stored.clients[0].grants.retain(|grant| grant.role != "cos");
    assert_snapshot!(found(&stored), @r#"
    daypass.toml:27:8: warning[unreachable-role]: nobody can get the role `cos`: no endpoint gives it to visitors, it trusts nobody, and no client that can prove itself has a grant on it
    27 | name = "cos"
       |        ^^^^^
      hint: take it out, or: daypass client grant CLIENT --tenant acme --role cos
    "#);
    stored.clients[0].enabled = false;
    let all = found(&stored);
    assert_eq!(all.matches("warning[unreachable-role]").count(), 4, "{all}");
    assert_eq!(
        all.matches("warning[").count(),
        4,
        "a client that is disabled has no faults of its own: {all}"
    );
}

#[test]
fn a_grant_that_names_no_role_or_gives_nothing() {
    let mut stored = stored();
    let client = &mut stored.clients[0];
    client.grants.push(Grant::of("downloads"));
    client.grants[1].bind.clear();
    client.grants[2].lifetime = Some(2 * 60 * 60);
    client.audiences = vec![
        "d6b7c858-55fa-4d04-85a6-131af690abd4".into(),
        "cam:soe".into(),
        "ram:oss".into(),
        "api://gone".into(),
    ];
    let all = found(&stored);
    let short: Vec<_> =
        all.lines().filter(|line| line.contains("warning[idle") || line.contains("hint")).collect();
    assert_snapshot!(short.join("\n"), @"
      hint: take it out, or: daypass client grant CLIENT --tenant acme --role upload
    daypass.toml:17:8: warning[idle-grant]: the client `app` gets nothing on its grant on `upload`: the role has the variable poi_id, and the grant binds no value to it that anyone could ask for
      hint: daypass client grant app --role upload --bind poi_id=VALUE[,VALUE…] --bind tenant_code=VALUE[,VALUE…]
    daypass.toml:8:8: warning[idle-grant]: the client `app` gets nothing on its grant on `downloads`: the role is not in the configuration any more
      hint: daypass client ungrant app --role downloads
    daypass.toml:23:8: warning[idle-grant]: the grant of the client `app` on `orders` lets a credential live 2h, and the role 1h at most: the longer one has no effect
      hint: give the role a longer `max`, or grant it without a lifetime of its own
    daypass.toml:8:8: warning[idle-grant]: the client `app` is the API of `api://gone`, and no role has that for its `audience`
      hint: daypass client ungrant app --audience api://gone
    ");
    stored.clients[0].tenant = "gone".into();
    let all = found(&stored);
    assert!(
        all.contains("daypass.toml:1:1: warning[idle-grant]: the tenant of the client `app` is not in"),
        "{all}"
    );
}

#[test]
fn a_key_that_ends_soon_is_named_with_what_to_do() {
    let mut stored = stored();
    stored.keys[0].created = START;
    stored.keys[0].expires = Some(after(START, 30 * DAY + 1));
    assert_eq!(found(&stored), "", "thirty days ahead is early enough");
    stored.keys[0].expires = Some(after(START, 9 * DAY));
    assert_snapshot!(found(&stored), @"
    client acme/app: warning[ending-key]: the tencent key `AKIDworld` of the client `app` ends on 2023-11-23T22:13:20Z
      hint: daypass client rotate app --kind tencent
    ");
    let mut next = stored.keys[0].clone();
    (next.id, next.expires) = ("AKIDnext".into(), None);
    stored.keys.push(next);
    assert_snapshot!(found(&stored).lines().last().unwrap(), @"  hint: move what uses it to `AKIDnext`, then: daypass client retire app AKIDworld");
}

#[test]
fn a_client_without_a_key_that_works_is_named() {
    let mut stored = stored();
    for key in &mut stored.keys {
        key.expires = Some(START);
    }
    let all = found(&stored);
    assert!(
        all.contains("client acme/app: warning[ending-key]: the client `app` cannot prove itself"),
        "{all}"
    );
    assert!(all.contains("warning[unreachable-role]"), "and so nobody gets its roles: {all}");
    assert!(!stored.keys.iter().any(|key| key.kind == KeyKind::Ticket));
}

#[test]
fn every_finding_has_the_name_of_its_lint() {
    let mut stored = stored();
    stored.clients[0].grants.truncate(1);
    stored.keys[0].expires = Some(after(START, DAY));
    let loaded = production(&with_tenant("")).unwrap();
    let lints: Vec<_> =
        loaded.lint_stored(&stored, START).iter().map(crate::config::Diagnostic::lint).collect();
    let role = Some(Lint::UnreachableRole);
    assert_eq!(lints, [role, role, role, Some(Lint::EndingKey)]);
}
