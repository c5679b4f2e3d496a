//! Access tokens that come back to the running program: asked about, and taken back.

use crate::patience::soon;
use crate::process::{Answer, Dev};
use serde_json::{Value, json};

fn entra<'a>(dev: &'a Dev, name: &str) -> &'a str {
    dev.credentials["entra"][name].as_str().unwrap()
}

/// A form with the demo client's proof to one of its tenant's paths.
fn ask(dev: &Dev, path: &str, fields: &[(&str, &str)]) -> Answer {
    let proof = [("client_id", entra(dev, "client_id")), ("client_secret", entra(dev, "client_secret"))];
    dev.post_form(&format!("/{}/oauth2/v2.0/{path}", entra(dev, "tenant")), &[&proof, fields].concat())
}

fn new_token(dev: &Dev) -> String {
    let fields = [("grant_type", "client_credentials"), ("scope", entra(dev, "scope"))];
    ask(dev, "token", &fields).json()["access_token"].as_str().unwrap().to_owned()
}

fn introspect(dev: &Dev, token: &str) -> Value {
    let answer = ask(dev, "introspect", &[("token", token)]);
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

fn revoke(dev: &Dev, token: &str) {
    let answer = ask(dev, "revoke", &[("token", token)]);
    assert_eq!((answer.status, answer.body.as_str()), (200, ""), "{answer:?}");
}

/// The newest record of a revocation. What a server does by itself, such as preparing its next keys, is recorded as well.
fn newest_record(dev: &Dev) -> Value {
    let output = dev.cli(&["audit", "tail", "-n", "50", "--json"]);
    let lines = String::from_utf8(output.stdout).unwrap();
    let mut records = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    records.rfind(|record| record["event"]["action"] == "token.revoke").unwrap()
}

fn shown(dev: &Dev, args: &[&str]) -> Value {
    let output = dev.cli(&[&["credential", "show"], args, &["--json"]].concat());
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"))
}

/// No sleep in between: the store is looked at ten times a second, and the answer does not wait for luck.
#[test]
fn a_token_is_inactive_as_soon_as_its_revocation_is_answered() {
    let dev = Dev::start();
    let stays = new_token(&dev);
    for _ in 0..8 {
        let token = new_token(&dev);
        let told = introspect(&dev, &token);
        assert_eq!((&told["active"], &told["client_id"]), (&json!(true), &json!(entra(&dev, "client_id"))));
        revoke(&dev, &token);
        assert_eq!(introspect(&dev, &token), json!({"active": false}));
        let record = newest_record(&dev);
        assert_eq!(
            (&record["event"]["action"], &record["event"]["object"]),
            (&json!("token.revoke"), &told["jti"])
        );
        assert_eq!(
            (&record["tenant"], &record["client"], &record["proof"]),
            (&json!("demo"), &told["client_id"], &json!("client_secret_post"))
        );
    }
    assert_eq!(introspect(&dev, &stays)["active"], true);
}

#[test]
fn a_revocation_outlives_the_process_and_is_shown() {
    let dev = Dev::start();
    let (gone, stays) = (new_token(&dev), new_token(&dev));
    let [id, id_of_stays] =
        [&gone, &stays].map(|token| introspect(&dev, token)["jti"].as_str().unwrap().to_owned());
    let before = shown(&dev, &[&id, "--token", &gone]);
    assert_eq!((&before["standing"], &before["from"]), (&json!("live"), &json!("token")), "{before}");
    assert_eq!(before["app_roles"], json!(["orders.read"]));
    revoke(&dev, &gone);
    let folder = dev.kill();

    let dev = Dev::start_in(folder, &[]);
    let live = shown(&dev, &[&id_of_stays]);
    assert_eq!(live["standing"], "live", "{live}");
    for args in [&[id.as_str()][..], &[&id, "--token", &gone]] {
        let known = shown(&dev, args);
        assert_eq!(known["standing"], "fallen", "{known}");
        assert_eq!(known["why"], format!("it was taken back by a cut-off of credential {id}"));
        assert_eq!(known["audience"], entra(&dev, "scope").trim_end_matches("/.default"));
    }
    let other = dev.cli(&["credential", "show", &id, "--token", &stays]);
    assert_eq!(other.status.code(), Some(1));
    let broken = dev.cli(&["credential", "show", &id, "--token", &format!("{gone}A")]);
    assert!(String::from_utf8_lossy(&broken.stderr).contains("not authentic"), "{broken:?}");
}

/// Enabled again, a client begins anew: what it got before is taken back for good.
#[test]
fn a_disabled_client_s_tokens_stay_taken_back_when_it_is_enabled_again() {
    let dev = Dev::start();
    let token = new_token(&dev);
    let client = entra(&dev, "client_id").to_owned();
    let id = introspect(&dev, &token)["jti"].as_str().unwrap().to_owned();
    let enabled = dev.cli(&["client", "enable", &client]);
    assert!(enabled.status.success(), "{enabled:?}");
    assert_eq!(shown(&dev, &[&id])["standing"], "live", "it was enabled all the time");
    assert!(dev.cli(&["client", "disable", &client]).status.success());
    assert_eq!(shown(&dev, &[&id])["why"], "its client is disabled or gone");
    assert_eq!(shown(&dev, &[&id, "--token", &token])["standing"], "fallen");
    assert!(dev.cli(&["client", "enable", &client]).status.success());
    assert_eq!(
        shown(&dev, &[&id])["why"],
        format!("it was taken back by a cut-off of client {client}"),
        "for good"
    );
    begins_anew(&dev, &token);
}

#[test]
fn a_disabled_key_s_tokens_stay_taken_back_when_it_is_enabled_again() {
    let dev = Dev::start();
    let token = new_token(&dev);
    let client = entra(&dev, "client_id").to_owned();
    let list = dev.cli(&["client", "show", &client, "--json"]);
    let list: Value = serde_json::from_slice(&list.stdout).unwrap();
    let key = list["keys"][0]["id"].as_str().unwrap_or_else(|| panic!("{list}")).to_owned();
    for verb in ["disable", "enable"] {
        let output = dev.cli(&["client", verb, &client, "--key", &key]);
        assert!(output.status.success(), "{output:?}");
    }
    begins_anew(&dev, &token);
    let id = introspect(&dev, &new_token(&dev))["jti"].as_str().unwrap().to_owned();
    assert!(dev.cli(&["client", "retire", &client, &key, "--force"]).status.success());
    assert!(dev.cli(&["client", "enable", &client, "--key", &key]).status.success());
    assert_eq!(shown(&dev, &[&id])["why"], format!("it was taken back by a cut-off of key {key}"));
}

/// A token of before is inactive, and one that is asked for a second later is not.
fn begins_anew(dev: &Dev, before: &str) {
    // Until the server has heard that it is enabled again, the client may not even ask.
    soon("the token of before counts no more", || {
        let answer = ask(dev, "introspect", &[("token", before)]);
        answer.status == 200 && answer.json() == json!({"active": false})
    });
    // What is issued in the second of the cut-off counts as issued before it.
    soon("one that is asked for later counts", || introspect(dev, &new_token(dev))["active"] == true);
}
