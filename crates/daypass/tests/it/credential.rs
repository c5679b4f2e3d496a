//! `daypass credential show`: what was really handed out, read back from the token and from the record.

use crate::process::{Dev, daypass, json_of, token};
use serde_json::{Value, json};
use std::process::{Output, Stdio};
use std::time::Duration;

/// A credential of the dev server's Tencent client: id, secret, token.
fn federation(dev: &Dev, args: &[&str]) -> [String; 3] {
    let answer = json_of(&token(&[&["tencent"], args].concat(), &dev.file()));
    let credentials = &answer["Response"]["Credentials"];
    ["TmpSecretId", "TmpSecretKey", "Token"].map(|name| credentials[name].as_str().unwrap().to_owned())
}

fn shown(dev: &Dev, args: &[&str]) -> Output {
    dev.cli(&[&["credential", "show"], args].concat())
}

fn document(dev: &Dev, args: &[&str]) -> Value {
    json_of(&shown(dev, &[args, &["--json"]].concat()))
}

fn text_of(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// The newest grant in the audit. What a server does by itself, such as preparing its next keys, is recorded as well.
fn newest_grant(dev: &Dev) -> String {
    let lines = text_of(&dev.cli(&["audit", "tail", "-n", "50", "--json"]));
    let mut records = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let record = records.rfind(|record| record["event"]["event"] == "grant").unwrap();
    record["event"]["credential"].as_str().unwrap_or_else(|| panic!("{record}")).to_owned()
}

#[test]
fn a_credential_is_read_back_from_its_token_and_from_its_record() {
    let dev = Dev::start();
    let [id, secret, sealed] = federation(&dev, &["--name", "lesson", "--duration", "900"]);
    let file = dev.folder.path().join("token");
    std::fs::write(&file, format!("{sealed}\n")).unwrap();

    let by_token = document(&dev, &[&id, "--token", &sealed]);
    assert_eq!(document(&dev, &[&id, "--token-file", file.to_str().unwrap()]), by_token);
    let expected = json!({
        "id": id, "from": "token", "standing": "live", "tenant": "demo", "role": "soe",
        "kind": "federated", "session": "lesson", "endpoint": "/",
        "client_name": by_token["client_name"], "client": by_token["client"], "key": dev.credentials["tencent"]["secret_id"],
        "issued": by_token["issued"], "expires": by_token["expires"],
        "policy": {"version": "2.0", "statement": [
            {"effect": "allow", "action": ["soe:TransmitOralProcessWithInit"], "resource": ["*"]}
        ]},
    });
    assert_eq!(by_token, expected);
    assert!(by_token["client_name"].is_string() && by_token["client"].is_string(), "{by_token}");
    assert_eq!(
        by_token["expires"].as_str().unwrap().parse::<daypass_core::clock::Timestamp>().unwrap().as_second()
            - by_token["issued"]
                .as_str()
                .unwrap()
                .parse::<daypass_core::clock::Timestamp>()
                .unwrap()
                .as_second(),
        900
    );

    let by_record = document(&dev, &[&id]);
    let mut same = by_token.clone();
    for (name, value) in [("from", json!("record")), ("endpoint", Value::Null), ("kind", Value::Null)] {
        same[name] = value;
    }
    same.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    assert_eq!(by_record, same);

    for args in [&[id.as_str()][..], &[&id, "--token", &sealed], &[&id, "--json"]] {
        let output = text_of(&shown(&dev, args));
        assert!(!output.contains(&secret) && !output.contains(&sealed), "{output}");
    }
    let text = text_of(&shown(&dev, &[&id]));
    assert!(text.contains("\nstanding") && text.contains("live\n"), "{text}");
    assert!(
        text.ends_with("\n\n{\"version\":\"2.0\",\"statement\":[{\"effect\":\"allow\",\"action\":[\"soe:TransmitOralProcessWithInit\"],\"resource\":[\"*\"]}]}\n"),
        "{text}"
    );
}

#[test]
fn a_token_may_come_on_standard_input() {
    let dev = Dev::start();
    let [id, _, sealed] = federation(&dev, &[]);
    let mut child = daypass()
        .args(["credential", "show", &id, "--token-file", "-", "--json", "--data"])
        .arg(dev.data())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), sealed.as_bytes()).unwrap();
    assert_eq!(json_of(&child.wait_with_output().unwrap()), document(&dev, &[&id, "--token", &sealed]));
}

#[test]
fn a_visitors_credential_has_no_client_and_a_ram_policy_its_vendors_form() {
    let dev = Dev::start();
    let answer = dev.send("GET", "/getAuthorization", &[], b"").json();
    let id = answer["Credentials"]["TmpSecretId"].as_str().unwrap();
    let sealed = answer["Credentials"]["Token"].as_str().unwrap();
    for args in [&[id][..], &[id, "--token", sealed]] {
        let known = document(&dev, args);
        assert_eq!((&known["via"], &known["client"]), (&json!("anonymous"), &Value::Null), "{known}");
        assert_eq!((&known["standing"], &known["role"]), (&json!("live"), &json!("soe")), "{known}");
    }
    assert_eq!(document(&dev, &[id, "--token", sealed])["endpoint"], "/getAuthorization");

    json_of(&token(&["alibaba"], &dev.file()));
    let known = document(&dev, &[&newest_grant(&dev)]);
    assert_eq!(known["variables"], json!({"tenant_code": "hema", "poi_id": "8005"}));
    assert_eq!(
        known["policy"],
        json!({"Version": "1", "Statement": [{
            "Effect": "Allow", "Action": ["oss:PutObject"], "Resource": ["acs:oss:*:*:bucket/hema/8005/*"]
        }]})
    );
}

#[test]
fn an_access_token_is_found_by_its_record() {
    let dev = Dev::start();
    json_of(&token(&["entra"], &dev.file()));
    let known = document(&dev, &[&newest_grant(&dev)]);
    assert_eq!(
        (&known["standing"], &known["app_roles"]),
        (&json!("live"), &json!(["orders.read"])),
        "{known}"
    );
    assert_eq!((&known["policy"], &known["why"]), (&Value::Null, &Value::Null));
    assert!(
        dev.credentials["entra"]["scope"].as_str().unwrap().starts_with(known["audience"].as_str().unwrap())
    );
}

#[test]
fn one_that_does_not_count_any_more_says_why() {
    let dev = Dev::start();
    let [short, ..] = federation(&dev, &["--duration", "1"]);
    let [id, _, sealed] = federation(&dev, &[]);
    let client = document(&dev, &[&id])["client"].as_str().unwrap().to_owned();
    assert!(dev.cli(&["client", "disable", &client]).status.success());
    for args in [&[id.as_str()][..], &[&id, "--token", &sealed]] {
        let known = document(&dev, args);
        assert_eq!(known["standing"], "fallen", "{known}");
        assert_eq!(known["why"], "its client is disabled or gone");
        assert!(known["policy"].is_object(), "what it was good for is still shown: {known}");
    }
    assert!(dev.cli(&["client", "enable", &client]).status.success());
    let known = document(&dev, &[&id]);
    assert_eq!(known["standing"], "fallen", "{known}");
    assert_eq!(known["why"], format!("it was taken back by a cut-off of client {client}"));
    std::thread::sleep(Duration::from_millis(1100));
    assert_eq!(document(&dev, &[&short])["standing"], "expired");
    assert!(text_of(&shown(&dev, &[&short])).contains("it has run out"));
}

#[test]
fn what_is_not_found_or_not_authentic_is_refused() {
    let dev = Dev::start();
    let [id, _, sealed] = federation(&dev, &[]);
    let [other, ..] = federation(&dev, &["--name", "other"]);
    let missing = dev.folder.path().join("missing");
    let file = dev.folder.path().join("token");
    std::fs::write(&file, &sealed).unwrap();
    let (missing, file) = (missing.to_str().unwrap(), file.to_str().unwrap());
    for (args, code, said) in [
        (&["AKIDnobody"][..], 1, "no record of a credential `AKIDnobody`"),
        (&["a\nb"], 1, "`a\\nb`"),
        (&[&other, "--token", &sealed], 1, "not authentic, or not the one of this id"),
        (&[&id, "--token", ""], 1, "not authentic"),
        (&[&id, "--token-file", missing], 2, "cannot read"),
        (&[&id, "--token", &sealed, "--token-file", file], 2, "cannot be used with"),
    ] {
        let output = shown(&dev, args);
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{error}");
        assert!(error.contains(said) && output.stdout.is_empty(), "{error}");
    }
    let refused = shown(&dev, &["AKIDnobody", "--json"]);
    let refused: Value = serde_json::from_slice(&refused.stdout).unwrap();
    assert_eq!(refused["error"], "refused");
}
