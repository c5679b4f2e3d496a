//! `daypass freeze` beside a running server: nothing new is issued, in words that every client takes for a pause, and what
//! was issued before goes on.

use crate::patience::PATIENCE;
use crate::process::{Answer, Dev, json_of, token};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

fn entra<'a>(dev: &'a Dev, name: &str) -> &'a str {
    dev.credentials["entra"][name].as_str().unwrap()
}

fn oauth(dev: &Dev, path: &str, more: &[(&str, &str)]) -> Answer {
    let proof = [("client_id", entra(dev, "client_id")), ("client_secret", entra(dev, "client_secret"))];
    dev.post_form(&format!("/{}/oauth2/v2.0/{path}", entra(dev, "tenant")), &[&proof, more].concat())
}

fn ask_for_token(dev: &Dev) -> Answer {
    oauth(dev, "token", &[("grant_type", "client_credentials"), ("scope", entra(dev, "scope"))])
}

/// What each protocol answers to a request that would get something: a status, or the code in a body of 200.
fn answers(dev: &Dev) -> [String; 4] {
    let page = dev.send("GET", "/getAuthorization", &[], b"");
    let said = |output: std::process::Output| {
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    };
    let known = |text: String, codes: &[&str]| {
        codes.iter().find(|code| text.contains(**code)).map_or("issued".to_owned(), |code| (*code).to_owned())
    };
    let sts = known(said(token(&["tencent"], &dev.file())), &["ServiceUnavailable"]);
    let top = known(said(token(&["alibaba"], &dev.file())), &["isp.service-unavailable"]);
    [page.status.to_string(), sts, top, ask_for_token(dev).status.to_string()]
}

fn set(dev: &Dev, args: &[&str]) -> Value {
    json_of(&dev.cli(&[args, &["--json"]].concat()))
}

/// Waits until every protocol answers like this.
fn soon(dev: &Dev, expected: [&str; 4]) {
    let mut last = answers(dev);
    let begun = Instant::now();
    while last != expected {
        assert!(begun.elapsed() < PATIENCE, "{last:?} in place of {expected:?}");
        std::thread::sleep(Duration::from_millis(50));
        last = answers(dev);
    }
}

const ISSUED: [&str; 4] = ["200", "issued", "issued", "200"];
const FROZEN: [&str; 4] = ["503", "ServiceUnavailable", "isp.service-unavailable", "503"];

#[test]
fn nothing_is_issued_until_it_is_thawed_and_what_was_issued_goes_on() {
    let dev = Dev::start();
    let jwt = ask_for_token(&dev).json()["access_token"].as_str().unwrap().to_owned();
    let active = |dev: &Dev| oauth(dev, "introspect", &[("token", &jwt)]).json()["active"].clone();
    soon(&dev, ISSUED);
    let said = set(&dev, &["freeze", "--all", "--reason", "incident 4711"]);
    assert_eq!(
        (&said["place"], &said["changed"], &said["frozen"]),
        (&json!("all"), &json!(true), &json!(true))
    );
    soon(&dev, FROZEN);
    assert_eq!(set(&dev, &["freeze", "--all"])["changed"], false);

    assert_eq!(active(&dev), true, "verification goes on");
    let page = dev.send("GET", "/getAuthorization", &[], b"");
    assert!(page.head.contains("retry-after: 30"), "{page:?}");
    assert!(ask_for_token(&dev).head.contains("retry-after: 30"));
    assert_eq!(dev.send("GET", "/livez", &[], b"").status, 200);
    let ready = dev.send("GET", "/readyz", &[], b"");
    assert_eq!(ready.status, 200);
    assert!(ready.body.contains("an operator has stopped that anything is issued: 1"), "{ready:?}");

    let records = dev.cli(&["audit", "tail", "-n", "50", "--json"]).stdout;
    let records: Vec<Value> =
        String::from_utf8(records).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let change = records.iter().find(|record| record["event"]["action"] == "freeze").unwrap();
    assert_eq!((&change["event"]["object"], &change["why"]), (&json!("everything"), &json!("incident 4711")));
    assert_eq!(records.iter().filter(|record| record["event"]["action"] == "freeze").count(), 1);
    let refused = records.iter().find(|record| record["event"]["reason"] == "frozen").unwrap();
    assert_eq!(refused["event"]["event"], "refusal", "{refused}");

    // It outlives the process, and can be undone while nothing is issued.
    let dev = Dev::start_in(dev.kill(), &[]);
    soon(&dev, FROZEN);
    assert_eq!(oauth(&dev, "revoke", &[("token", &jwt)]).status, 200, "and so does taking back");
    assert_eq!(active(&dev), false);
    set(&dev, &["thaw", "--all"]);
    soon(&dev, ISSUED);
    assert_eq!(set(&dev, &["thaw", "--all"])["changed"], false);
}

#[test]
fn a_place_is_frozen_without_its_neighbours() {
    let dev = Dev::start();
    let oauth = format!("/{}/oauth2/v2.0/token", entra(&dev, "tenant"));
    let [_, sts, top, _] = FROZEN;
    for (place, expected) in [
        (["--endpoint", "/getAuthorization"], ["503", "issued", "issued", "200"]),
        (["--endpoint", "/"], ["200", sts, "issued", "200"]),
        (["--endpoint", "/router/rest"], ["200", "issued", top, "200"]),
        (["--endpoint", oauth.as_str()], ["200", "issued", "issued", "503"]),
        (["--tenant", "demo"], FROZEN),
    ] {
        set(&dev, &[&["freeze"][..], &place].concat());
        soon(&dev, expected);
        let list = json_of(&dev.cli(&["freeze", "list", "--json"]));
        assert_eq!(list.as_array().unwrap().len(), 1, "{list}");
        set(&dev, &[&["thaw"][..], &place].concat());
    }
    soon(&dev, ISSUED);
    for (args, code) in [
        (&["--endpoint", "/nowhere"][..], 1),
        (&["--tenant", "elsewhere"], 1),
        (&[], 2),
        (&["--all", "--tenant", "demo"], 2),
    ] {
        for verb in ["freeze", "thaw"] {
            assert_eq!(dev.cli(&[&[verb], args].concat()).status.code(), Some(code), "{verb} {args:?}");
        }
    }
    assert_eq!(json_of(&dev.cli(&["freeze", "list", "--json"])), json!([]));
}
