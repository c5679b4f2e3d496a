//! Two nodes on one PostgreSQL, which is the test's own: what is made on one counts on the other, and what happens when the database
//! goes away.

use super::{ACCOUNT, AUDIENCE, Emulated, FORM, Node, OWN_TENANT, Shop, soon, tencent};
use crate::patience::promised;
use crate::process::send;
use crate::verify::Holder;
use daypass_faults::postgres::Server;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

const NAME: &str = "http://pass.test";

/// An installation whose credentials are its own, on this database. Its nodes know themselves by one name.
fn shop(server: &Server) -> Shop {
    let tenant = format!(
        r#"
[[tenant]]
name = "shop"
guid = "{OWN_TENANT}"
account = "{ACCOUNT}"

[[tenant.role]]
name = "soe"
policy = {{ cam = '{{"version":"2.0","statement":{{"effect":"allow","action":["soe:TransmitOralProcessWithInit"],"resource":"*"}}}}' }}
wildcard_reason = "SOE has no resource-level rights"

[[tenant.role]]
name = "orders"
audience = "{AUDIENCE}"
roles = ["orders.read"]
"#
    );
    let mut shop = Shop::on(Some(&server.tcp(&server.database())), |_| String::new(), &tenant);
    let text = std::fs::read_to_string(shop.config()).unwrap();
    let named = text.replace("[server]\n", &format!("[server]\npublic_url = \"{NAME}\"\n"));
    std::fs::write(shop.config(), named).unwrap();
    shop.clients["entra"] = shop.add(&["app", "--kind", "client-secret", "--role", "orders"]);
    shop
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_else(|| panic!("no {name} in {value}"))
}

/// Whether a node knows a key.
fn knows(node: &Node, key: (&str, &str), token: Option<&str>) -> bool {
    let answer = tencent(&node.serve.host, key, token, "GetCallerIdentity", &json!({}));
    answer.json()["Response"]["Error"].is_null()
}

#[test]
fn what_is_made_beside_two_nodes_is_in_force_at_both() {
    let Some(server) = Server::start() else { return };
    let shop = shop(&server);
    let nodes = [shop.serve(), shop.serve()];
    let added = shop.add(&["late", "--kind", "tencent", "--role", "soe"]);
    let late = (text(&added, "secret_id"), text(&added, "secret_key"));
    promised("a client", || nodes.iter().all(|node| knows(node, late, None)));

    let answer = nodes[0].federation("tencent", "alice").json();
    let made = &answer["Response"]["Credentials"];
    let key = (text(made, "TmpSecretId"), text(made, "TmpSecretKey"));
    let works = |node: &Node| knows(node, key, Some(text(made, "Token")));
    assert!(nodes.iter().all(works));
    shop.cli(&["revoke", "--role", "soe", "--tenant", "shop", "--reason", "a test"]);
    promised("a revocation", || !nodes.iter().any(works));
}

/// The proof's `jti` is a mark that all nodes share.
#[test]
fn a_proof_is_spent_once_at_two_nodes() {
    let Some(server) = Server::start() else { return };
    let shop = shop(&server);
    let nodes = [shop.serve(), shop.serve()];
    let path = format!("/{OWN_TENANT}/oauth2/v2.0/token");
    let holder = Holder::new();
    let ask = |node: &Node, proof: &str| {
        let client = &shop.clients["entra"];
        let body = form_urlencoded::Serializer::new(String::new())
            .append_pair("grant_type", "client_credentials")
            .append_pair("client_id", text(client, "client_id"))
            .append_pair("client_secret", text(client, "client_secret"))
            .append_pair("scope", &format!("{AUDIENCE}/.default"))
            .finish();
        send(&node.serve.host, "POST", &path, &[FORM, ("dpop", proof)], body.as_bytes()).status
    };
    for round in 0..4 {
        let proof = holder.proves(&format!("proof {round}"), "POST", &format!("{NAME}{path}"), None);
        let start = Barrier::new(2);
        let mut answers = thread::scope(|scope| {
            let both = nodes.each_ref().map(|node| {
                let (start, proof) = (&start, &proof);
                scope.spawn(move || {
                    start.wait();
                    ask(node, proof)
                })
            });
            both.map(|one| one.join().unwrap())
        });
        answers.sort_unstable();
        assert_eq!(answers, [200, 400], "round {round}");
    }
}

#[test]
fn a_hundred_cold_askers_at_two_nodes_are_one_question() {
    let Some(server) = Server::start() else { return };
    let cloud = Emulated::start(&[]);
    let shop = Shop::before_on(Some(&server.url(&server.database())), &cloud, "");
    let nodes = [shop.serve(), shop.serve()];
    let start = Barrier::new(100);
    let tokens: BTreeSet<String> = thread::scope(|scope| {
        let asked: Vec<_> = (0..100)
            .map(|n| {
                let (node, start) = (&nodes[n % 2], &start);
                scope.spawn(move || {
                    start.wait();
                    let answer = node.get_authorization();
                    assert_eq!(answer.status, 200, "{answer:?}");
                    answer.json()["Credentials"]["Token"].as_str().unwrap().to_owned()
                })
            })
            .collect();
        asked.into_iter().map(|asked| asked.join().unwrap()).collect()
    });
    assert_eq!((tokens.len(), cloud.calls("tencent GetFederationToken")), (1, 1));
}

/// Without its record nothing is handed out, and nobody is kept waiting; when the database is back, so is the service.
#[test]
fn while_the_database_is_away_everybody_is_refused_in_time() {
    let Some(mut server) = Server::start() else { return };
    let shop = shop(&server);
    let nodes = [shop.serve(), shop.serve()];
    let served = |node: &Node, name: &str| {
        let begun = Instant::now();
        let answer = node.federation("tencent", name).json();
        // Two seconds, and what a busy machine makes of them; nobody is kept waiting for the database.
        assert!(begun.elapsed() < Duration::from_secs(15), "{name}: after {:?}", begun.elapsed());
        answer["Response"]["Credentials"].is_object()
    };
    assert!(nodes.iter().all(|node| served(node, "before")));
    for (away, back) in [(None, None), (Some("STOP"), Some("CONT"))] {
        match away {
            None => server.down(),
            Some(signal) => server.signal(signal).unwrap(),
        }
        for node in &nodes {
            assert!(!served(node, "during"));
        }
        match back {
            None => server.up().unwrap(),
            Some(signal) => server.signal(signal).unwrap(),
        }
        for node in &nodes {
            soon("service again", || served(node, "after").then_some(()));
        }
    }
}
