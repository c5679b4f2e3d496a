//! Nodes, their network and their database fail under load, and clients write down what they were told.
//!
//! What holds throughout: every credential that a client has is in the records, once; no answer comes later than its deadline;
//! what may be done once is done once; and the service returns by itself.

use super::{DEADLINE, cluster, send};
use crate::verify::Holder;
use daypass_faults::ask;
use daypass_faults::cluster::{Cluster, NAME};
use daypass_faults::installation::{CHEAP, TENANT};
use daypass_faults::ledger::Ledger;
use daypass_faults::load::Load;
use daypass_faults::proxy::Mood;
use rustix::process::Signal;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

/// Within this the service has to be back by itself, on a machine that is busy with other tests.
const BACK: Duration = Duration::from_secs(30);

/// How long each state lasts: longer than a request may wait.
const LASTS: Duration = Duration::from_millis(2_600);

fn serves(load: &Load, after: &str) {
    assert!(load.goes_on(40, BACK), "not served within {BACK:?} after {after}");
}

/// What the clients saw agrees with the records.
fn settle(cluster: &Cluster, load: Load, ledger: &Arc<Ledger>) {
    load.stop();
    let sum = ledger.settle(&cluster.installation).unwrap();
    assert!(sum.credentials > 100, "{sum:?}");
    assert!(sum.slowest < DEADLINE, "{sum:?}");
}

#[test]
fn a_node_that_dies_or_stands_still_is_missed_by_nobody_for_long() {
    let Some(mut cluster) = cluster(3) else { return };
    let (load, ledger) = cluster.load(6);
    serves(&load, "the start");
    for number in 0..3 {
        cluster.kill(number).unwrap();
        serves(&load, "a node's end");
        cluster.begin(number).unwrap();
    }
    serves(&load, "all came back");
    // In the middle of whatever it does, a transaction among it, which the server then ends.
    for number in 0..3 {
        let node = cluster.node(number).unwrap();
        node.signal(Signal::STOP).unwrap();
        let others: Vec<_> =
            cluster.addresses().into_iter().filter(|address| *address != node.address).collect();
        cluster.balancer.aim(&others);
        thread::sleep(LASTS);
        node.signal(Signal::CONT).unwrap();
        cluster.balancer.aim(&cluster.addresses());
        serves(&load, "a node stood still");
    }
    settle(&cluster, load, &ledger);
}

#[test]
fn a_network_that_swallows_loses_or_cuts_costs_a_node_no_more_than_its_answers() {
    let Some(cluster) = cluster(3) else { return };
    let (load, ledger) = cluster.load(6);
    serves(&load, "the start");
    for (number, mood) in [Mood::Silent, Mood::HalfOpen, Mood::Cut].into_iter().enumerate() {
        let wall = cluster.wall(number).unwrap();
        wall.be(mood);
        serves(&load, "a node lost the database");
        thread::sleep(LASTS);
        // It says so itself, and refuses in words that clients understand.
        let refused = send(cluster.addresses()[number], &cluster.asker().request(ask::Dialect::Entra));
        assert_eq!(refused.status, 503, "{mood:?}: {refused:?}");
        wall.be(Mood::Well);
        let node = cluster.node(number).unwrap();
        let granted = || ask::once(node.address, &cluster.asker().request(ask::Dialect::Entra), DEADLINE);
        let back = daypass_faults::time::until(BACK, || granted().is_ok_and(|answer| answer.status == 200));
        assert!(back.is_some(), "{mood:?}: the node does not serve again");
    }
    // The commit reaches the database and its answer nobody: there or not, whoever asked was told no.
    for round in 0..9 {
        let wall = cluster.wall(round % 3).unwrap();
        wall.cut_after(b"COMMIT");
        let cut = daypass_faults::time::until(BACK, || wall.has_cut());
        assert!(cut.is_some(), "nothing was committed");
        serves(&load, "a commit without an answer");
    }
    settle(&cluster, load, &ledger);
}

#[test]
fn a_database_that_is_ended_and_started_or_stands_still_comes_back_by_itself() {
    let Some(mut cluster) = cluster(2) else { return };
    let (load, ledger) = cluster.load(6);
    serves(&load, "the start");
    for _ in 0..5 {
        cluster.server.down();
        cluster.server.up().unwrap();
        serves(&load, "the database's restart");
    }
    cluster.server.signal_sessions("STOP").unwrap();
    thread::sleep(LASTS);
    cluster.server.signal("CONT").unwrap();
    serves(&load, "its sessions stood still");
    cluster.server.signal("STOP").unwrap();
    thread::sleep(LASTS);
    cluster.server.signal("CONT").unwrap();
    serves(&load, "it stood still");
    settle(&cluster, load, &ledger);
}

/// Whoever has a proof that is good once sends it to every node, again and again, while commits lose their answers: twice is what
/// he never gets.
#[test]
fn nothing_is_spent_twice_while_commits_lose_their_answers() {
    let Some(cluster) = cluster(3) else { return };
    let (holder, path) = (Holder::new(), format!("/{TENANT}/oauth2/v2.0/token"));
    let (client, secret) = &cluster.clients.entra;
    let body = form_urlencoded::Serializer::new(String::new())
        .extend_pairs([
            ("grant_type", "client_credentials"),
            ("client_id", client),
            ("client_secret", secret),
        ])
        .append_pair("scope", &format!("{CHEAP}/.default"))
        .finish();
    let mut granted = 0;
    for round in 0..12 {
        let proof = holder.proves(&format!("fault {round}"), "POST", &format!("{NAME}{path}"), None);
        let request = format!(
            "POST {path} HTTP/1.1\r\nhost: pass.test\r\ncontent-type: application/x-www-form-urlencoded\r\n\
             dpop: {proof}\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        cluster.wall(round % 3).unwrap().cut_after(b"COMMIT");
        let ask =
            |node: SocketAddr| ask::once(node, request.as_bytes(), DEADLINE).map(|answer| answer.status);
        let got: usize = thread::scope(|scope| {
            let all = cluster
                .addresses()
                .into_iter()
                .map(|node| scope.spawn(move || (0..3).filter(|_| ask(node).ok() == Some(200)).count()));
            all.collect::<Vec<_>>().into_iter().map(|one| one.join().unwrap()).sum()
        });
        assert!(got <= 1, "round {round}: granted {got} times");
        granted += got;
    }
    assert!(granted > 0, "nothing was ever granted");
    cluster.installation.done(&["audit", "verify"]).unwrap();
}
