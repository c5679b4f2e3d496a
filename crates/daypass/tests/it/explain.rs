//! `daypass explain`, `role` and `test`: from the id of an answer to why, and from a question to what would be.

use crate::process::{Dev, daypass, json_of, token};
use serde_json::{Value, json};
use std::process::Output;

fn text_of(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// The one record that this id is of.
fn explained(dev: &Dev, id: &str) -> Value {
    let all = json_of(&dev.cli(&["explain", id, "--json"]));
    let [one] = &all["records"].as_array().unwrap()[..] else { panic!("{all}") };
    one.clone()
}

fn answer_of(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_else(|| panic!("no {pointer} in {value}"))
}

#[test]
fn every_answer_to_a_known_caller_leads_to_its_record() {
    let dev = Dev::start();
    let granted = answer_of(&token(&["tencent", "--duration", "900"], &dev.file()));
    let found = explained(&dev, text(&granted, "/Response/RequestId"));
    for (name, said) in [
        ("what", json!("granted")),
        ("tenant", json!("demo")),
        ("client_name", json!("soe-server")),
        ("key", dev.credentials["tencent"]["secret_id"].clone()),
        ("proof", json!("signature")),
        ("role", json!("soe")),
        ("asked_lifetime", json!(900)),
        ("lifetime", json!("900 seconds, as was asked for")),
        ("standing", json!("live")),
        ("chain", json!("proves it")),
        ("now", json!("the same ask would be granted, for 900 seconds")),
    ] {
        assert_eq!(found[name], said, "{name}: {found}");
    }
    assert!(text(&found, "/made_with").starts_with("triple/1, "), "{found}");
    assert_eq!(found["documents"][1]["whose"], "role soe");
    let id = text(&granted, "/Response/Credentials/TmpSecretId");
    assert_eq!(explained(&dev, id)["record"], found["record"]);
    assert_eq!(explained(&dev, text(&found, "/record"))["credential"], json!(id));

    let refused = answer_of(&token(&["tencent", "--duration", "7201"], &dev.file()));
    let found = explained(&dev, text(&refused, "/Response/RequestId"));
    assert_eq!((&found["what"], &found["reason"]), (&json!("refused"), &json!("lifetime_too_long")));
    assert!(text(&found, "/needed").contains("lifetime.max"), "{found}");
    assert!(
        text(&found, "/now").contains("decided before that"),
        "the protocol has its own longest: {found}"
    );

    let top = answer_of(&token(&["alibaba"], &dev.file())).to_string();
    let refused_top = answer_of(&token(&["alibaba", "--poi", "9999"], &dev.file())).to_string();
    for (answer, what) in [(&top, "granted"), (&refused_top, "refused")] {
        let id = answer.split("\"request_id\":\"").nth(1).unwrap().split('"').next().unwrap();
        let found = explained(&dev, id);
        assert_eq!((&found["what"], &found["dialect"]), (&json!(what), &json!("alibaba.top")), "{answer}");
        assert_eq!(found["asked_for"], "oss/app-upload/upload at /router/rest");
        if what == "refused" {
            assert_eq!(found["asked_variables"]["poi_id"], "9999");
            assert_eq!(found["now"], "the same ask would be refused variable_refused");
        }
    }
    let visit = dev.send("GET", "/getAuthorization", &[("origin", "http://127.0.0.1:88")], b"").json();
    let found = explained(&dev, text(&visit, "/RequestId"));
    assert_eq!(
        (&found["via"], &found["asked_for"]),
        (&json!("anonymous"), &json!("the role of the endpoint /getAuthorization"))
    );

    let unknown = dev.cli(&["explain", "00000000-0000-0000-0000-000000000009"]);
    assert_eq!(unknown.status.code(), Some(1));
    assert!(String::from_utf8(unknown.stderr).unwrap().contains("no record has the id"));
    let both = dev.cli(&["explain", id, "--as", "soe-server"]);
    assert_eq!(both.status.code(), Some(2));
}

#[test]
fn oauth_answers_and_revocations_are_explained() {
    let dev = Dev::start();
    let client = &dev.credentials["entra"];
    let (id, secret) = (text(client, "/client_id"), text(client, "/client_secret"));
    let post = |endpoint: &str, more: &[(&str, &str)]| {
        let form = [&[("client_id", id), ("client_secret", secret)], more].concat();
        dev.post_form(&format!("/{}/oauth2/v2.0/{endpoint}", text(client, "/tenant")), &form)
    };
    let request_id = |head: &str| {
        let line = head.lines().find_map(|line| line.strip_prefix("x-ms-request-id: "));
        line.unwrap_or_else(|| panic!("{head}")).trim().to_owned()
    };
    let ask = |scope: &str| post("token", &[("grant_type", "client_credentials"), ("scope", scope)]);
    let granted = ask(text(client, "/scope"));
    let found = explained(&dev, &request_id(&granted.head));
    assert_eq!((&found["what"], &found["proof"]), (&json!("granted"), &json!("client_secret_post")));
    assert_eq!(found["lifetime"], "3600 seconds, the role's default");
    assert!(text(&found, "/made_with").starts_with("jwt-rs256/1, "), "{found}");

    let refused = ask("api://nowhere/.default");
    let found = explained(&dev, &request_id(&refused.head));
    assert_eq!(
        (&found["reason"], &found["asked_for"]),
        (&json!("unknown_resource"), &json!("the resource api://nowhere"))
    );

    let jwt = granted.json()["access_token"].as_str().unwrap().to_owned();
    let revoked = post("revoke", &[("token", &jwt)]);
    assert_eq!(revoked.status, 200, "{revoked:?}");
    let all = json_of(&dev.cli(&[
        "explain",
        text(&explained(&dev, &request_id(&granted.head)), "/credential"),
        "--json",
    ]));
    let what: Vec<_> = all["records"].as_array().unwrap().iter().map(|one| text(one, "/what")).collect();
    assert_eq!(what, ["granted", "changed"], "the grant, and what took it back: {all}");
    assert_eq!(
        (&all["records"][0]["standing"], &all["records"][1]["action"]),
        (&json!("fallen"), &json!("token.revoke"))
    );
}

#[test]
fn a_question_issues_and_records_nothing() {
    let dev = Dev::start();
    let records = || text_of(&dev.cli(&["audit", "tail", "-n", "1000"]));
    let before = records();
    let upload = [
        "--role",
        "store-upload",
        "--as",
        "store-box",
        "--variable",
        "tenant_code=hema",
        "--variable",
        "poi_id=8005",
    ];
    let asked = |more: &[&str]| dev.cli(&[&["explain"], &upload[..], more].concat());
    let granted = asked(&[]);
    let clients = text_of(&dev.cli(&["client", "list"]));
    assert!(granted.status.success(), "{granted:?} {clients}");
    assert!(text_of(&granted).starts_with("granted: role store-upload for 3600 seconds"), "{granted:?}");
    for (resource, code, said) in
        [("acs:oss:cn:1:bucket/hema/8005/a", 0, "allowed"), ("acs:oss:cn:1:bucket/hema/80050/a", 1, "denied")]
    {
        let output = asked(&["--action", "oss:PutObject", "--resource", resource, "--json"]);
        assert_eq!(output.status.code(), Some(code), "{output:?}");
        let document = answer_of(&output);
        assert_eq!(
            (&document["verdict"], &document["documents"][0]["whose"]),
            (&json!(said), &json!("issued"))
        );
    }
    let policy = dev.folder.path().join("policy.json");
    std::fs::write(&policy, r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":["oss:PutObject"],"Resource":["acs:oss:*:*:bucket/hema/8005/a/*"]}]}"#).unwrap();
    let narrowed = text_of(&asked(&["--policy", policy.to_str().unwrap(), "--lifetime", "10m"]));
    assert!(narrowed.contains("for 600 seconds") && narrowed.contains("cut by the ask"), "{narrowed}");

    let foreign = dev.cli(&[
        "role",
        "explain",
        "store-upload",
        "--as",
        "store-box",
        "--variable",
        "tenant_code=hema",
        "--variable",
        "poi_id=1",
        "--json",
    ]);
    assert_eq!(
        (foreign.status.code(), &answer_of(&foreign)["reason"]),
        (Some(1), &json!("variable_refused"))
    );
    let visit = dev.cli(&["explain", "--endpoint", "/getAuthorization"]);
    assert!(text_of(&visit).starts_with("granted: role soe for"), "{visit:?}");
    let scope = text(&dev.credentials, "/entra/scope");
    assert_eq!(dev.cli(&["explain", "--scope", scope, "--as", "soe-server"]).status.code(), Some(1));
    assert_eq!(dev.cli(&["explain", "--role", "soe", "--as", "nobody"]).status.code(), Some(1));
    assert_eq!(dev.cli(&["explain", "--role", "soe"]).status.code(), Some(2), "who asks is not said");
    assert_eq!(dev.cli(&["explain"]).status.code(), Some(2));
    let listed = json_of(&dev.cli(&["role", "list", "--json"]));
    let soe = listed.as_array().unwrap().iter().find(|role| role["name"] == "soe").unwrap();
    assert_eq!(soe["endpoints"], json!(["/getAuthorization"]));
    assert!(soe["clients"].as_array().unwrap().contains(&json!("soe-server")), "{soe}");
    assert_eq!(records(), before);
}

#[test]
fn the_cases_of_init_pass_and_one_that_does_not_is_told_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    assert!(daypass().arg("init").arg(folder.path()).output().unwrap().status.success());
    let (config, cases) = (folder.path().join("daypass.toml"), folder.path().join("cases.toml"));
    let test = |more: &[&str]| {
        daypass().arg("test").arg("--config").arg(&config).arg(&cases).args(more).output().unwrap()
    };
    let passed = test(&[]);
    assert!(passed.status.success() && text_of(&passed).contains("4 cases, 0 failures"), "{passed:?}");
    let text = std::fs::read_to_string(&cases).unwrap();
    let line = text.lines().position(|line| line.contains("hema/10/photo")).unwrap();
    let begin =
        text.lines().take(line).enumerate().filter(|(_, line)| *line == "[[case]]").last().unwrap().0 + 1;
    std::fs::write(&cases, text.replace("expect = \"deny\"", "expect = \"allow\"")).unwrap();
    let failed = test(&[]);
    let said = format!(
        "{}:{begin}: and not to that of a store whose number begins like its own: expected allow, and no statement allows it",
        cases.display()
    );
    assert_eq!((failed.status.code(), text_of(&failed).lines().next()), (Some(1), Some(said.as_str())));
    let document = answer_of(&test(&["--json"]));
    assert_eq!((&document["cases"], &document["failures"][0]["line"]), (&json!(4), &json!(begin)));
    std::fs::write(&cases, "# nothing\n").unwrap();
    assert_eq!(test(&[]).status.code(), Some(2), "no case is no success");
}
