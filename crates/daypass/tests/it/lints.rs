//! `daypass check` as whoever deploys meets it: exit codes, JSON, and the store beside the file.

use crate::process::{daypass, json_of};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Output;

/// A folder with what `init` writes.
fn site() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let init = daypass().arg("init").arg(folder.path()).output().unwrap();
    assert!(init.status.success(), "{init:?}");
    let file = folder.path().join("daypass.toml");
    (folder, file)
}

fn check(file: &Path, args: &[&str]) -> Output {
    daypass().arg("check").arg("--config").arg(file).args(args).output().unwrap()
}

fn add_client(file: &Path, args: &[&str]) {
    let added = daypass().args(["client", "add"]).args(args).arg("--config").arg(file).output().unwrap();
    assert!(added.status.success(), "{added:?}");
}

/// The lints of a JSON answer with the roles or clients that their messages name.
fn lints(answer: &Value) -> Vec<(String, String)> {
    let warnings = answer["warnings"].as_array().unwrap().iter();
    let named = warnings.filter_map(|one| {
        let name = one["message"].as_str()?.split('`').nth(1).unwrap_or_default();
        Some((one["lint"].as_str()?.to_owned(), name.to_owned()))
    });
    named.collect()
}

#[test]
fn the_file_alone_says_what_only_the_store_can_tell_and_leaves_no_store_behind() {
    let (folder, file) = site();
    let answer = json_of(&check(&file, &["--json"]));
    assert_eq!(answer["errors"], json!([]));
    assert_eq!(lints(&answer), []);
    let unknown = answer["of_clients"].as_array().unwrap();
    assert!(unknown.contains(&json!({ "tenant": "main", "role": "orders-reader" })), "{answer}");
    let text = check(&file, &[]);
    let text = String::from_utf8(text.stdout).unwrap();
    assert!(
        text.contains("only clients can get the roles ") && text.contains("--with-store looks"),
        "{text}"
    );

    let before = std::fs::read_dir(folder.path()).unwrap().count();
    let none = check(&file, &["--with-store"]);
    assert_eq!(none.status.code(), Some(3), "{none:?}");
    assert!(String::from_utf8(none.stderr).unwrap().contains("there is no store at"));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), before, "nothing was made");
}

#[test]
fn the_store_tells_who_gets_what_and_strict_insists() {
    let (_folder, file) = site();
    add_client(&file, &["edge", "--kind", "tencent", "--role", "soe"]);
    let answer = json_of(&check(&file, &["--with-store", "--json"]));
    let role = |name: &str| ("unreachable-role".to_owned(), name.to_owned());
    assert_eq!(lints(&answer), [role("store-upload"), role("orders-reader")]);
    assert_eq!(answer["of_clients"], json!([]));
    let first = answer["warnings"].as_array().unwrap().iter().find(|one| one["lint"] == "unreachable-role");
    let first = first.unwrap();
    let text = std::fs::read_to_string(&file).unwrap();
    let line = usize::try_from(first["line"].as_u64().unwrap()).unwrap();
    assert!(text.lines().nth(line - 1).unwrap().contains("\"store-upload\""), "{first}");
    assert!(first["hint"].as_str().unwrap().contains("daypass client grant"), "{first}");

    for (args, code) in [
        (&["--strict"][..], 0),
        (&["--with-store"], 0),
        (&["--with-store", "--strict"], 1),
        (&["--with-store", "--strict", "--allow", "idle-grant"], 1),
        (&["--with-store", "--strict", "--allow", "unreachable-role"], 0),
        (&["--allow", "unreachable-role"], 2),
        (&["--strict", "--allow", "wildcard"], 2),
    ] {
        assert_eq!(check(&file, args).status.code(), Some(code), "{args:?}");
    }
}

#[test]
fn grants_and_keys_of_the_store_are_judged_by_the_file_as_it_is() {
    let (_folder, file) = site();
    add_client(&file, &["edge", "--kind", "tencent", "--role", "soe"]);
    add_client(&file, &["shop", "--kind", "client-secret", "--role", "orders-reader", "--expires", "20d"]);
    let renamed = std::fs::read_to_string(&file).unwrap().replace("\"orders-reader\"", "\"orders-writer\"");
    std::fs::write(&file, renamed).unwrap();
    let output = check(&file, &["--with-store"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    for expected in [
        "warning[idle-grant]: the client `shop` gets nothing on its grant on `orders-reader`: the role is not in the configuration",
        "hint: daypass client ungrant shop --role orders-reader",
        "client main/shop: warning[ending-key]: the client-secret key `",
        "hint: daypass client rotate shop --kind client-secret",
        "warning[unreachable-role]: nobody can get the role `orders-writer`",
    ] {
        assert!(text.contains(expected), "{expected} is not in\n{text}");
    }
}

#[test]
fn an_error_comes_before_every_lint() {
    let (_folder, file) = site();
    let broken = std::fs::read_to_string(&file).unwrap().replace("lifetime = {", "lifetme = {");
    std::fs::write(&file, broken).unwrap();
    let output = check(&file, &["--with-store", "--strict", "--json"]);
    assert_eq!(output.status.code(), Some(2));
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(answer["errors"].as_array().unwrap().iter().all(|error| error["line"].is_u64()), "{answer}");
    assert_eq!(answer["warnings"], json!([]));
}
