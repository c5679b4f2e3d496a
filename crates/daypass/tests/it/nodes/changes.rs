//! What an operator changes beside three nodes is in force at all of them within two seconds.

use super::{cluster, everywhere, json, known_everywhere, send, text, told};
use crate::patience::{not_at_midnight, soon};
use daypass_faults::ask::{Asker, Dialect};
use daypass_faults::cluster::Cluster;
use daypass_faults::installation::{CHEAP, Clients};
use serde_json::{Value, json};
use std::net::SocketAddr;

/// Asks a node for a token with this client's key; says how it ended.
fn token(cluster: &Cluster, node: SocketAddr, key: &Value) -> String {
    let entra = (text(key, "/client_id").to_owned(), text(key, "/client_secret").to_owned());
    let clients = Clients { entra, ..cluster.clients.clone() };
    let answer = json(&send(node, &Asker::new(node, clients).of(CHEAP).request(Dialect::Entra)));
    answer["error"].as_str().unwrap_or("granted").to_owned()
}

/// A temporary Tencent key, made by one node.
fn temporary(cluster: &Cluster, node: SocketAddr) -> Value {
    let answer = json(&send(node, &cluster.asker().request(Dialect::Tencent)));
    assert!(answer["Response"]["Credentials"].is_object(), "{answer}");
    answer["Response"]["Credentials"].clone()
}

/// Whether a node takes a temporary key for good.
fn counts(cluster: &Cluster, node: SocketAddr, key: &Value) -> bool {
    let parts = (text(key, "/TmpSecretId"), text(key, "/TmpSecretKey"), text(key, "/Token"));
    let request = cluster.asker().tencent("GetCallerIdentity", b"{}", Some(parts));
    json(&send(node, &request))["Response"]["Error"].is_null()
}

#[test]
fn clients_keys_and_revocations_count_at_every_node_within_two_seconds() {
    let Some(cluster) = cluster(3) else { return };
    let nodes = cluster.addresses();
    let added = told(&cluster, &["client", "add", "late", "--kind", "client-secret", "--role", "cheap"]);
    let first = added["keys"][0].clone();
    everywhere(&cluster, "a client", |node| token(&cluster, node, &first) == "granted");

    let rotated = told(&cluster, &["client", "rotate", "late"]);
    let second = [&rotated["key"], &rotated["keys"][0], &rotated]
        .into_iter()
        .find(|key| key["client_secret"].is_string())
        .unwrap_or_else(|| panic!("{rotated}"))
        .clone();
    everywhere(&cluster, "its second key", |node| token(&cluster, node, &second) == "granted");
    assert!(nodes.iter().all(|node| token(&cluster, *node, &first) == "granted"), "both count");
    told(&cluster, &["client", "disable", "late", "--key", text(&first, "/id")]);
    everywhere(&cluster, "the end of its first key", |node| {
        token(&cluster, node, &first) == "invalid_client"
    });
    assert!(nodes.iter().all(|node| token(&cluster, *node, &second) == "granted"));

    told(&cluster, &["client", "ungrant", "late", "--role", "cheap", "--no-default"]);
    everywhere(&cluster, "the end of a grant", |node| token(&cluster, node, &second) != "granted");
    told(&cluster, &["client", "grant", "late", "--role", "cheap"]);
    everywhere(&cluster, "a grant", |node| token(&cluster, node, &second) == "granted");

    // Made by one node, known to all without a word; taken back at all.
    let keys = nodes.iter().map(|node| temporary(&cluster, *node)).collect::<Vec<_>>();
    for key in &keys {
        assert!(nodes.iter().all(|node| counts(&cluster, *node, key)));
    }
    told(&cluster, &["revoke", "--credential", text(&keys[0], "/TmpSecretId"), "--reason", "a test"]);
    everywhere(&cluster, "one credential's end", |node| !counts(&cluster, node, &keys[0]));
    assert!(nodes.iter().all(|node| counts(&cluster, *node, &keys[1])), "and no other's");
    told(&cluster, &["revoke", "--role", "soe", "--tenant", "demo", "--reason", "a test"]);
    everywhere(&cluster, "the end of all of a role", |node| {
        !keys.iter().any(|key| counts(&cluster, node, key))
    });
}

#[test]
fn a_freeze_holds_at_every_node_within_two_seconds() {
    let Some(cluster) = cluster(3) else { return };
    let gives = |node: SocketAddr| {
        let answer = json(&send(node, &cluster.asker().request(Dialect::Tencent)));
        answer["Response"]["Credentials"].is_object()
    };
    assert!(cluster.addresses().into_iter().all(gives));
    told(&cluster, &["freeze", "--tenant", "demo", "--reason", "a test"]);
    everywhere(&cluster, "a freeze", |node| !gives(node));
    told(&cluster, &["thaw", "--tenant", "demo", "--reason", "a test"]);
    everywhere(&cluster, "its end", gives);
}

/// Each node has a configuration of its own, and is told that it has changed. None that it has not been told of counts.
#[test]
fn a_role_that_was_changed_in_the_configuration_counts_within_two_seconds_of_the_reload() {
    let Some(cluster) = cluster(2) else { return };
    let nodes = cluster.addresses();
    let lives = |node: SocketAddr| {
        let answer = json(&send(node, &cluster.asker().of(CHEAP).request(Dialect::Entra)));
        answer["expires_in"].as_i64().unwrap_or_else(|| panic!("{answer}"))
    };
    let before = lives(nodes[0]);
    let changed = |text: &str| {
        let role = "name = \"cheap\"\n";
        assert!(text.contains(role));
        text.replace(role, &format!("{role}lifetime = {{ default = \"7m\", max = \"7m\" }}\n"))
    };
    cluster.configure(changed).unwrap();
    assert_eq!(nodes.iter().map(|node| lives(*node)).collect::<Vec<_>>(), [before; 2]);
    for number in 0..2 {
        cluster.node(number).unwrap().signal(rustix::process::Signal::HUP).unwrap();
    }
    everywhere(&cluster, "a role's lifetime", |node| (410..=420).contains(&lives(node)));
    assert_ne!(json!(before), json!(419));
}

/// Each node counts what it gives and hears once a second what the others gave: so much and no more may be too many. What was used
/// up stays used up at a node that starts anew.
#[test]
fn a_daily_quota_is_one_quota_at_three_nodes() {
    const DAILY: usize = 30;
    not_at_midnight();
    let Some(mut cluster) = cluster(3) else { return };
    let added = told(&cluster, &["client", "add", "frugal", "--kind", "client-secret", "--role", "cheap"]);
    told(&cluster, &["client", "limit", "frugal", "--daily", &DAILY.to_string()]);
    let key =
        (text(&added, "/keys/0/client_id").to_owned(), text(&added, "/keys/0/client_secret").to_owned());
    let clients = Clients { entra: key, ..cluster.clients.clone() };
    let asks = |node: SocketAddr| {
        let answer = send(node, &Asker::new(node, clients.clone()).of(CHEAP).request(Dialect::Entra));
        assert!(
            answer.status == 200 || answer.status == 429 || answer.body.contains("invalid_client"),
            "{answer:?}"
        );
        answer.status == 200
    };
    known_everywhere(&cluster);
    // By itself each of the three would give thirty. Before each round they have had the time to hear of what the others gave.
    let mut given = 0;
    let mut round = |each: usize| {
        let nodes = cluster.addresses();
        let now = nodes.iter().map(|node| (0..each).filter(|_| asks(*node)).count()).sum::<usize>();
        given += now;
        soon("it is written", || told(&cluster, &["client", "show", "frugal"])["today"] == given);
        std::thread::sleep(std::time::Duration::from_millis(1_500));
        now
    };
    for _ in 0..4 {
        round(3);
    }
    soon("and no more", || round(1) == 0);
    assert!((DAILY..2 * DAILY).contains(&given), "{given} were given of {DAILY}");
    cluster.kill(0).unwrap();
    cluster.begin(0).unwrap();
    assert!(!asks(cluster.addresses()[0]), "a node that starts has heard of it");
}
