//! `daypass revoke` beside two running servers on one store: what was handed out falls at both of them, in time.

use crate::patience::{find, promised, soon};
use crate::process::{Answer, Dev, Node, json_of, token};
use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use daypass_core::clock::Timestamp;
use daypass_dialects::tencent::sign::{ClientKey, Outgoing, sign_request};
use daypass_verify::{Rejected, Verifier};
use serde_json::{Value, json};
use std::time::{Duration, UNIX_EPOCH};

/// What the command promises for every node.
const NAME: &str = "http://pass.test";

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_else(|| panic!("no {pointer} in {value}"))
}

/// Two servers on one store. Both know themselves by one name, as behind a balancer.
struct Site {
    a: Dev,
    b: Node,
}

impl Site {
    fn start() -> Self {
        let a = Dev::start_in(tempfile::tempdir().unwrap(), &["--public-url", NAME]);
        let b = Node::beside(&a, &["--public-url", NAME]);
        Self { a, b }
    }

    fn oauth(&self, host: &str, endpoint: &str, more: &[(&str, &str)]) -> Answer {
        let client = &self.a.credentials["entra"];
        let mut form = vec![
            ("client_id", text(client, "/client_id")),
            ("client_secret", text(client, "/client_secret")),
        ];
        form.extend(more);
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let path = format!("/{}/oauth2/v2.0/{endpoint}", text(client, "/tenant"));
        let kind = [("content-type", "application/x-www-form-urlencoded")];
        crate::process::send(host, "POST", &path, &kind, body.as_bytes())
    }

    fn access_token(&self) -> String {
        let scope = text(&self.a.credentials, "/entra/scope");
        let answer =
            self.oauth(&self.a.host(), "token", &[("grant_type", "client_credentials"), ("scope", scope)]);
        text(&answer.json(), "/access_token").to_owned()
    }

    /// A Tencent key for an access token.
    fn exchanged(&self, jwt: &str) -> Value {
        let ask = [
            ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
            ("subject_token", jwt),
            ("subject_token_type", "urn:ietf:params:oauth:token-type:jwt"),
            ("requested_token_type", "urn:daypass:params:oauth:token-type:tencent"),
            ("audience", "role:soe"),
        ];
        let answer = self.oauth(&self.a.host(), "token", &ask);
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()["credentials"].clone()
    }

    fn federated(&self) -> Value {
        json_of(&token(&["tencent"], &self.a.file()))["Response"]["Credentials"].clone()
    }

    fn top(&self) -> Value {
        json_of(&token(&["alibaba"], &self.a.file()))
    }

    fn active(&self, host: &str, jwt: &str) -> bool {
        self.oauth(host, "introspect", &[("token", jwt)]).json()["active"] == json!(true)
    }

    /// Revokes by the command line, and gives what it said.
    fn revoke(&self, args: &[&str]) -> Value {
        json_of(&self.a.cli(&[&["revoke", "--json"], args].concat()))
    }

    /// The newest record of this kind of event.
    fn newest(&self, event: &str) -> Value {
        let lines = self.a.cli(&["audit", "tail", "-n", "30", "--json"]).stdout;
        let lines = String::from_utf8(lines).unwrap();
        let mut records = lines.lines().rev().map(|line| serde_json::from_str::<Value>(line).unwrap());
        records.find(|record| record["event"]["event"] == event).unwrap_or_else(|| panic!("{lines}"))
    }
}

/// Asks Tencent's STS of one node to whom a temporary key belongs; none where it does not count.
fn whoami(host: &str, credentials: &Value) -> Result<String, String> {
    let key = ClientKey {
        id: text(credentials, "/TmpSecretId"),
        secret: text(credentials, "/TmpSecretKey").as_bytes(),
        token: Some(text(credentials, "/Token")),
    };
    let at = Timestamp::from_second(UNIX_EPOCH.elapsed().unwrap().as_secs().try_into().unwrap()).unwrap();
    let request = Outgoing {
        method: "POST",
        host,
        query: "",
        body: b"{}",
        unsigned_payload: false,
        action: "GetCallerIdentity",
        region: "ap-guangzhou",
        at,
    };
    let headers = sign_request(&key, &request);
    let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let answer = crate::process::send(host, "POST", "/", &headers, b"{}").json();
    match answer.pointer("/Response/Error/Code").and_then(Value::as_str) {
        Some(code) => Err(code.to_owned()),
        None => Ok(text(&answer, "/Response/UserId").to_owned()),
    }
}

const REVOKED: &str = "AuthFailure.TokenFailure";

#[test]
fn what_is_taken_back_falls_at_every_node_of_one_store() {
    let site = Site::start();
    let hosts = [site.b.host(), site.a.host()];
    let client = text(&site.a.credentials, "/entra/client_id").to_owned();
    let secret_id = text(&site.a.credentials, "/tencent/secret_id").to_owned();

    // By key: a triple that a signing key got.
    let triple = site.federated();
    for host in &hosts {
        assert!(whoami(host, &triple).is_ok(), "{host}");
    }
    let said = site.revoke(&["--key", &secret_id, "--reason", "laptop stolen"]);
    assert_eq!((&said["changed"], &said["effective_within_seconds"]), (&json!(true), &json!(2)));
    assert_eq!((&said["clients"], &said["keys"]), (&json!(1), &json!(1)), "{said}");
    assert_eq!((&said["offline_until"], &said["upstream"]), (&Value::Null, &json!([])), "{said}");
    for host in &hosts {
        promised("a triple", || whoami(host, &triple) == Err(REVOKED.to_owned()));
    }
    let record = site.newest("change");
    assert_eq!(
        record["event"],
        json!({"event": "change", "action": "revoke", "object": format!("key {secret_id}")})
    );
    assert_eq!((&record["why"], &record["tenant"]), (&json!("laptop stolen"), &json!("demo")), "{record}");
    // Whatever is issued in the second of a cut-off counts as issued before it.
    std::thread::sleep(Duration::from_millis(1100));
    assert!(whoami(&hosts[0], &site.federated()).is_ok(), "the key itself works on");

    // By client: an access token, and what it was exchanged for.
    let jwt = site.access_token();
    let exchanged = site.exchanged(&jwt);
    for host in &hosts {
        assert!(site.active(host, &jwt) && whoami(host, &exchanged).is_ok(), "{host}");
    }
    let said = site.revoke(&["--client", "devcenter-app"]);
    assert_eq!(said["scope"], json!({"client": client}));
    assert!(said["offline_until"].is_string(), "{said}");
    for host in &hosts {
        promised("introspection", || !site.active(host, &jwt));
        promised("what it was exchanged for", || whoami(host, &exchanged) == Err(REVOKED.to_owned()));
    }

    // One credential by its id, and no other of the client.
    std::thread::sleep(Duration::from_millis(1100));
    let (gone, stays) = (site.access_token(), site.access_token());
    let told = site.oauth(&hosts[0], "introspect", &[("token", &gone)]).json();
    let said = site.revoke(&["--credential", &text(&told, "/jti").to_uppercase()]);
    assert_eq!((&said["recorded"], &said["clients"]), (&json!(true), &Value::Null), "{said}");
    promised("one token", || hosts.iter().all(|host| !site.active(host, &gone)));
    assert!(hosts.iter().all(|host| site.active(host, &stays)));

    // A role; then everything, TOP's included.
    let (visitor, other) = (
        crate::process::send(&hosts[0], "GET", "/getAuthorization", &[], b"").json(),
        site.exchanged(&stays),
    );
    let visitor = visitor["Credentials"].clone();
    assert!(whoami(&hosts[1], &visitor).is_ok() && whoami(&hosts[1], &other).is_ok());
    site.revoke(&["--role", "soe", "--tenant", "demo"]);
    for host in &hosts {
        promised("a visitor's", || whoami(host, &visitor) == Err(REVOKED.to_owned()));
        promised("a role's", || whoami(host, &other) == Err(REVOKED.to_owned()));
        assert!(site.active(host, &stays), "of another role");
    }
    let triple = site.federated();
    assert!(site.top().is_object());
    let id = text(&site.newest("grant"), "/event/credential").to_owned();
    site.revoke(&["--all"]);
    for host in &hosts {
        promised("all", || whoami(host, &triple) == Err(REVOKED.to_owned()) && !site.active(host, &stays));
    }
    let top = json_of(&site.a.cli(&["credential", "show", &id, "--json"]));
    assert_eq!((&top["standing"], &top["role"]), (&json!("fallen"), &json!("store-upload")), "{top}");
    assert_eq!(top["why"], "it was taken back by a cut-off of everything");

    let list = json_of(&site.a.cli(&["revoke", "list", "--json"]));
    let list = list.as_array().unwrap();
    assert_eq!((list.len(), &list[0]["scope"]), (5, &json!("all")), "{list:?}");
    let forgotten = list.iter().filter(|one| one["forgotten_after"].is_string());
    assert!(forgotten.eq(list.iter().filter(|one| one["scope"].get("credential").is_some())), "{list:?}");
}

#[test]
fn an_earlier_instant_changes_nothing_and_a_wrong_name_is_refused() {
    let dev = Dev::start();
    let json = |args: &[&str]| json_of(&dev.cli(&[&["revoke", "--json"], args].concat()));
    let before = json(&["--tenant", "demo", "--before", "15m"]);
    assert_eq!(before["changed"], true);
    let again = json(&["--tenant", "demo", "--before", text(&before, "/before")]);
    assert_eq!((&again["changed"], &again["before"]), (&json!(false), &before["before"]), "{again}");
    assert_eq!(json_of(&dev.cli(&["revoke", "list", "--json"])).as_array().unwrap().len(), 1);
    let jwt_role = json(&["--role", "devcenter", "--before", "2020-01-01"]);
    assert_eq!(jwt_role["offline_until"], Value::Null, "they have all run out: {jwt_role}");

    for (args, code) in [
        (&["--client", "nobody"][..], 1),
        (&["--key", "AKIDnobody"], 1),
        (&["--role", "nothing"], 1),
        (&["--tenant", "elsewhere"], 1),
        (&["--tenant", "demo", "--before", "2999-01-01"], 2),
        (&["--all", "--tenant", "demo"], 2),
        (&["--all", "--role", "soe"], 2),
        (&["--all", "--reason", "a\nb"], 2),
        (&[], 2),
    ] {
        let output = dev.cli(&[&["revoke"], args].concat());
        assert_eq!(output.status.code(), Some(code), "{args:?}: {output:?}");
    }
    assert_eq!(
        json_of(&dev.cli(&["revoke", "list", "--json"])).as_array().unwrap().len(),
        2,
        "nothing else was"
    );
    let text = dev.cli(&["revoke", "--subject", "ann"]);
    let text = String::from_utf8(text.stdout).unwrap();
    assert!(
        text.starts_with("taken back: everything of subject ann of tenant demo, issued until "),
        "{text}"
    );
    assert!(
        text.contains("within two seconds") && text.contains("without asking, may take one until "),
        "{text}"
    );
}

/// An API that verifies by itself, and follows the feed, refuses what was taken back without asking about any token.
#[test]
fn an_api_that_follows_the_feed_refuses_what_was_taken_back() {
    let dev = Dev::start();
    let entra = |name: &str| text(&dev.credentials, &format!("/entra/{name}")).to_owned();
    let issuer = format!("{}/{}/v2.0", text(&dev.credentials, "/url"), entra("tenant"));
    let new_token = || {
        let (id, secret, scope) = (entra("client_id"), entra("client_secret"), entra("scope"));
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", id.as_str()),
            ("client_secret", secret.as_str()),
            ("scope", scope.as_str()),
        ];
        let answer = dev.post_form(&format!("/{}/oauth2/v2.0/token", entra("tenant")), &form);
        text(&answer.json(), "/access_token").to_owned()
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let scope = entra("scope");
    let build = || Verifier::builder(&issuer).audience(scope.trim_end_matches("/.default"));
    let follows = build().revocations(Duration::from_secs(30)).build().unwrap();
    let alone = build().build().unwrap();
    let (gone, stays) = (new_token(), new_token());
    let verify = |verifier: &Verifier, token: &str| runtime.block_on(verifier.verify(token)).map(|_| ());
    runtime.block_on(follows.prepare()).unwrap();
    for token in [&gone, &stays] {
        assert_eq!((verify(&follows, token), verify(&alone, token)), (Ok(()), Ok(())));
    }
    let id = runtime.block_on(alone.verify(&gone)).unwrap().id().unwrap().to_owned();
    json_of(&dev.cli(&["revoke", "--credential", &id, "--json"]));

    // The feed is fetched when it is five seconds old; the change is in it after two at most.
    soon("it is refused", || verify(&follows, &gone) != Ok(()));
    assert_eq!(verify(&follows, &gone), Err(Rejected::Revoked));
    assert_eq!(verify(&follows, &stays), Ok(()));
    assert_eq!(verify(&alone, &gone), Ok(()), "who does not follow it cannot know");

    let path = format!("/{}/v2.0/revocations", entra("tenant"));
    let feed = dev.send("GET", &path, &[], b"");
    let tag = feed.head.lines().find_map(|line| line.strip_prefix("etag: w/")).unwrap();
    let again = dev.send("GET", &path, &[("if-none-match", tag)], b"");
    assert!(again.status == 304 || again.body != feed.body, "not sent again within its minute: {again:?}");
    // Whoever has the list in this state is told what changed since, and no more.
    let claims = |body: &str| -> Value {
        let claims = body.split('.').nth(1).unwrap();
        serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap()
    };
    let ids = [1, 2, 3].map(|number| uuid::Uuid::from_u128(number).to_string());
    for id in &ids[..2] {
        json_of(&dev.cli(&["revoke", "--credential", id, "--json"]));
    }
    let held = find("it", || {
        let whole = claims(&dev.send("GET", &path, &[], b"").body);
        (whole["revoked"]["tokens"].as_object().unwrap().len() == 3).then_some(whole)
    });
    json_of(&dev.cli(&["revoke", "--credential", &ids[2], "--json"]));
    let since = format!("{path}?since={}", text(&held, "/state"));
    let changes = find("it", || {
        let answer = dev.send("GET", &since, &[], b"");
        assert!(
            answer.head.contains("content-type: application/daypass-revocations-delta+jwt"),
            "{answer:?}"
        );
        Some(claims(&answer.body)).filter(|changes| changes["state"] != changes["since"])
    });
    let set: Vec<_> = changes["revoked"]["tokens"].as_object().unwrap().keys().collect();
    assert_eq!((set, &changes["since"]), (vec![&ids[2]], &held["state"]), "{changes}");

    // One that says that the client is disabled takes back all of it, for good.
    assert!(dev.cli(&["client", "disable", &entra("client_id")]).status.success());
    soon("it is refused", || verify(&follows, &stays) == Err(Rejected::Revoked));
}
