//! Two nodes on one store: one question to the cloud, whoever asks and wherever.

use super::{AUDIENCE, Emulated, Shop};
use serde_json::json;
use std::collections::BTreeSet;
use std::sync::Barrier;
use std::thread;

#[test]
fn two_hundred_cold_askers_at_two_nodes_are_one_question() {
    let cloud = Emulated::start(&[]);
    let shop = Shop::before(&cloud, "");
    let nodes = [shop.serve(), shop.serve()];
    let start = Barrier::new(200);
    let tokens: BTreeSet<String> = thread::scope(|scope| {
        let asked: Vec<_> = (0..200)
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
    let ways = |way: &str| {
        let sample = format!("daypass_upstream_handed_out_total{{issuer=\"tencent\",way=\"{way}\"}}");
        nodes.iter().map(|node| node.metric(&sample)).sum::<u64>()
    };
    let all = ["fresh", "kept", "waited", "stale"].map(ways);
    assert_eq!((all[0], all.iter().sum::<u64>()), (1, 200), "{all:?}");
}

#[test]
fn two_subjects_never_share_and_a_restart_asks_nothing() {
    let cloud = Emulated::start(&[]);
    let shop = Shop::before(&cloud, "");
    let node = shop.serve();
    let token = |node: &super::Node, name: &str| {
        node.federation("tencent", name).json()["Response"]["Credentials"]["Token"].clone()
    };
    let (alice, bob) = (token(&node, "alice"), token(&node, "bob"));
    assert!(alice.is_string() && bob.is_string() && alice != bob);
    assert_eq!(cloud.calls("tencent GetFederationToken"), 2);
    node.stop();
    let node = shop.serve();
    assert_eq!((token(&node, "alice"), token(&node, "bob")), (alice, bob), "kept in the store, sealed");
    assert_eq!(cloud.calls("tencent GetFederationToken"), 2);
}

/// The cloud is Daypass, which answers a repeat with the identical credential: were the two questions the same, both would get one.
#[test]
fn two_clients_that_ask_alike_in_one_second_do_not_share() {
    let cloud = Emulated::start(&[]);
    let mut shop = Shop::before(&cloud, "");
    let names: Vec<_> = (0..4).map(|n| format!("twin-{n}")).collect();
    for name in &names {
        shop.clients[name] = shop.add(&[name, "--kind", "tencent", "--role", "soe"]);
    }
    let node = shop.serve();
    let token = |name: &String| {
        node.federation(name, "lesson").json()["Response"]["Credentials"]["Token"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let tokens: BTreeSet<_> = names.iter().map(token).collect();
    assert_eq!((tokens.len(), cloud.calls("tencent GetFederationToken ok")), (4, 4));
}

#[test]
fn a_failure_is_shared_and_no_stampede_follows_it() {
    let cloud = Emulated::start(&["--fault", "entra:429"]);
    let shop = Shop::before(&cloud, "");
    let nodes = [shop.serve(), shop.serve()];
    // A node asks its clouds once after its start; that is refused as well, and not counted here.
    super::soon("the first look at the root keys", || (cloud.calls("entra token") > 0).then_some(()));
    let before = cloud.calls("entra token");
    let start = Barrier::new(60);
    thread::scope(|scope| {
        for n in 0..60 {
            let (node, start) = (&nodes[n % 2], &start);
            scope.spawn(move || {
                start.wait();
                let answer = node.token(AUDIENCE, &[]);
                assert_eq!(
                    (answer.status, &answer.json()["error"]),
                    (503, &json!("temporarily_unavailable")),
                    "{answer:?}"
                );
                assert!(answer.head.contains("retry-after: "), "{answer:?}");
            });
        }
    });
    let asked = cloud.calls("entra token") - before;
    assert!(asked <= 3, "sixty askers were told by {asked} questions");
    cloud.faults(&[]);
    super::soon("a token", || (nodes[0].token(AUDIENCE, &[]).status == 200).then_some(()));
}
