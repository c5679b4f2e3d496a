//! What the records answer: `daypass replay`, `daypass report unused`, and a caller's question about its own decision.

use crate::patience::find;
use crate::process::{Answer, Dev, daypass, json_of, token};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use daypass_core::clock::{Timestamp, rfc3339};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::Output;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

fn now() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap()
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_else(|| panic!("no {pointer} in {value}"))
}

fn answer_of(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

/// The configuration of `daypass dev` as a file of its own, with these texts replaced.
fn proposed(dev: &Dev, name: &str, changes: &[(&str, &str)]) -> PathBuf {
    let demo = daypass().args(["init", "--demo"]).output().unwrap();
    let mut config = String::from_utf8(demo.stdout).unwrap();
    // Outside `dev` an endpoint that knows nobody must be rationed, and its role short.
    let rationed = "quota   = { address = 60, endpoint = 6000 }\ncaller  = {";
    for (from, to) in [("caller  = {", rationed)].iter().chain(changes) {
        assert!(config.contains(from), "{from}");
        config = config.replace(from, to);
    }
    let path = dev.folder.path().join(name);
    std::fs::write(&path, config).unwrap();
    path
}

const SHORT: (&str, &str) =
    (r#"lifetime = { default = "30m", max = "2h" }"#, r#"lifetime = { default = "5m", max = "15m" }"#);

/// Asks as an OAuth client, and gives the id of the answer.
fn asked_by_oauth(dev: &Dev) -> String {
    let client = &dev.credentials["entra"];
    let form = [
        ("client_id", text(client, "/client_id")),
        ("client_secret", text(client, "/client_secret")),
        ("grant_type", "client_credentials"),
        ("scope", text(client, "/scope")),
    ];
    let answer = dev.post_form(&format!("/{}/oauth2/v2.0/token", text(client, "/tenant")), &form);
    assert_eq!(answer.status, 200, "{answer:?}");
    let line = answer.head.lines().find_map(|line| line.strip_prefix("x-ms-request-id: "));
    line.unwrap().trim().to_owned()
}

fn replay(dev: &Dev, file: &std::path::Path, more: &[&str]) -> Output {
    dev.cli(&[&["replay", file.to_str().unwrap()], more].concat())
}

#[test]
fn a_configuration_that_is_to_come_is_asked_what_was_asked_before() {
    let dev = Dev::start();
    let same = proposed(&dev, "same.toml", &[SHORT]);
    let nothing = replay(&dev, &same, &[]);
    assert_eq!(nothing.status.code(), Some(1), "nobody has asked yet: {nothing:?}");

    let granted = answer_of(&token(&["tencent", "--duration", "600"], &dev.file()));
    let id = text(&granted, "/Response/RequestId");
    token(&["alibaba"], &dev.file());
    token(&["alibaba", "--poi", "9999"], &dev.file());
    asked_by_oauth(&dev);

    let shorter = replay(&dev, &same, &["--json"]);
    assert_eq!(shorter.status.code(), Some(0), "{shorter:?}");
    let found = answer_of(&shorter);
    assert_eq!(
        (&found["asks"], &found["same"], &found["changes"]),
        (&json!(4), &json!(4), &json!([])),
        "ten minutes are to be had of both: {found}"
    );

    let devcenter = r#"audience  = "d6b7c858-55fa-4d04-85a6-131af690abd4""#;
    let wider = ("bucket/{tenant_code}/{poi_id}/*", "*/{tenant_code}/{poi_id}/*");
    let shortest = (SHORT.0, r#"lifetime = { default = "1m", max = "1m" }"#);
    let other = r#"audience  = "11111111-2222-4333-8444-555555555555""#;
    let file = proposed(&dev, "new.toml", &[shortest, wider, (devcenter, other)]);
    let output = replay(&dev, &file, &["--json", "--since", "1h", "--tenant", "demo"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let found = answer_of(&output);
    assert_eq!(
        found["counts"],
        json!({ "close": 2, "open": 0, "narrower": 0, "wider": 1, "different": 0 }),
        "{found}"
    );
    let what = |what: &str| {
        let changes = found["changes"].as_array().unwrap();
        changes.iter().find(|one| one["what"] == what).unwrap_or_else(|| panic!("{what}: {found}"))
    };
    assert_eq!(what("refused lifetime_too_long")["example"], json!(id), "the id leads to the ask");
    assert_eq!(what("refused unknown_resource")["who"], "devcenter-app");
    assert_eq!(what("its policy is wider")["asked_for"], "oss/app-upload/upload at /router/rest");
    let said = String::from_utf8(replay(&dev, &file, &[]).stdout).unwrap();
    assert!(said.starts_with("close:\n") && said.contains("4 asks: 2 close, "), "{said}");

    let broken = proposed(&dev, "broken.toml", &[("lifetime", "lifetme")]);
    assert_eq!(replay(&dev, &broken, &[]).status.code(), Some(2));
    let before = json_of(&dev.cli(&["report", "unused", "--json"]))["records"].clone();
    replay(&dev, &file, &[]);
    assert_eq!(json_of(&dev.cli(&["report", "unused", "--json"]))["records"], before, "nothing is recorded");
}

#[test]
fn what_nobody_needed_is_reported() {
    let dev = Dev::start();
    let young = json_of(&dev.cli(&["report", "unused", "--json"]));
    assert_eq!((&young["clients"], &young["complete"]), (&json!([]), &json!(false)), "{young}");
    std::thread::sleep(Duration::from_millis(1100));
    let since = rfc3339(Timestamp::from_second(now()).unwrap());
    token(&["tencent"], &dev.file());
    asked_by_oauth(&dev);
    // One that names no narrower policy.
    let origin = text(&dev.credentials, "/get_authorization/origin");
    assert_eq!(dev.send("GET", "/getAuthorization", &[("origin", origin)], b"").status, 200);
    let found = json_of(&dev.cli(&["report", "unused", "--since", &since, "--json"]));
    let names = |list: &str, name: &str| -> Vec<String> {
        found[list].as_array().unwrap().iter().map(|one| one[name].as_str().unwrap().to_owned()).collect()
    };
    let (clients, roles) = (names("clients", "name"), names("roles", "role"));
    assert!(
        clients.contains(&"store-box".to_owned()) && !clients.contains(&"soe-server".to_owned()),
        "{found}"
    );
    assert!(roles.contains(&"store-upload".to_owned()) && !roles.contains(&"soe".to_owned()), "{found}");
    assert!(!roles.contains(&"devcenter".to_owned()), "{found}");
    assert_eq!((&found["complete"], &found["parts"]), (&json!(true), &json!([])), "{found}");
    assert_eq!(
        found["cannot_be_told"],
        json!([{
            "tenant": "demo",
            "what": "the statements of soe",
            "why": "1 of 2 grants asked for no narrower policy",
        }])
    );
    let said = dev.cli(&["report", "unused", "--since", &since]);
    assert!(String::from_utf8(said.stdout).unwrap().contains("roles that nobody got:"));
    assert_eq!(dev.cli(&["report", "unused", "--tenant", "nobody"]).status.code(), Some(2));
    assert_eq!(dev.cli(&["report", "unused", "--since", "yesterday"]).status.code(), Some(2));
}

fn basic(id: &str, secret: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")))
}

fn question(dev: &Dev, id: &str, basic: &str) -> Answer {
    dev.send("GET", &format!("/v1/explain/{id}"), &[("authorization", basic)], b"")
}

#[test]
fn a_client_asks_about_its_own_decision_on_the_running_server() {
    let dev = Dev::start();
    let client = &dev.credentials["entra"];
    let own = basic(text(client, "/client_id"), text(client, "/client_secret"));
    let id = asked_by_oauth(&dev);
    let found = question(&dev, &id, &own);
    assert_eq!(found.status, 200, "{found:?}");
    let told = found.json();
    assert_eq!((&told["request_id"], &told["decision"]), (&json!(id), &json!("granted")));
    assert_eq!(told["granted"]["app_roles"], json!(["orders.read"]));
    assert_eq!(told["client"], client["client_id"]);
    let operators = json_of(&dev.cli(&["explain", &id, "--json"]));
    assert_eq!(told["record"], operators["records"][0]["record"], "the operator finds the same record");

    let granted = answer_of(&token(&["tencent"], &dev.file()));
    let foreign = question(&dev, text(&granted, "/Response/RequestId"), &own);
    assert_eq!((foreign.status, &foreign.json()["error"]), (404, &json!("not_found")), "{foreign:?}");

    let added = json_of(&dev.cli(&[
        "client",
        "add",
        "second",
        "--kind",
        "client-secret",
        "--role",
        "devcenter",
        "--json",
    ]));
    let second = basic(text(&added, "/keys/0/client_id"), text(&added, "/keys/0/client_secret"));
    let answer = find("the second client", || {
        Some(question(&dev, &id, &second)).filter(|answer| answer.status != 401)
    });
    assert_eq!(answer.status, 404, "{answer:?}");
    assert_eq!(question(&dev, &id, "Basic eDp5").status, 401);
}
