//! What may be done once may be done once at all nodes together: tickets, assertions, proofs, nonces, and signed requests after
//! the seconds in which a repeat is the client's retry.

use super::{cluster, json, known_everywhere, now, send, text, told};
use crate::verify::Holder;
use aws_lc_rs::signature::Ed25519KeyPair;
use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use daypass_dialects::alibaba::sign::ClientKey;
use daypass_dialects::alibaba::sign::acs3::{Outgoing, sign_request};
use daypass_faults::ask::{Answer, Dialect};
use daypass_faults::cluster::{Cluster, NAME};
use daypass_faults::installation::{CHEAP, TENANT};
use rcgen::{KeyPair, PKCS_ED25519};
use serde_json::json;
use std::net::SocketAddr;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

/// How often each is tried: chance decides which node is first.
const ROUNDS: usize = 4;

/// Asks all nodes at the same moment, and gives their answers.
fn at_once(cluster: &Cluster, request: impl Fn(SocketAddr) -> Vec<u8> + Sync) -> Vec<Answer> {
    let nodes = cluster.addresses();
    let start = Barrier::new(nodes.len());
    thread::scope(|scope| {
        let asked: Vec<_> = nodes
            .iter()
            .map(|node| {
                let (start, request) = (&start, &request);
                scope.spawn(move || {
                    let request = request(*node);
                    start.wait();
                    send(*node, &request)
                })
            })
            .collect();
        asked.into_iter().map(|asked| asked.join().unwrap()).collect()
    })
}

/// Exactly one of them was granted, and nobody was told that the service is unavailable.
fn one_of(answers: &[Answer], round: usize) {
    let granted = answers.iter().filter(|answer| answer.status == 200).count();
    assert_eq!(granted, 1, "round {round}: {answers:?}");
    assert!(answers.iter().all(|answer| answer.status < 500), "{answers:?}");
}

fn http(method: &str, target: &str, headers: &[(&str, &str)], body: &str) -> Vec<u8> {
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    format!("{method} {target} HTTP/1.1\r\n{headers}content-length: {}\r\n\r\n{body}", body.len())
        .into_bytes()
}

fn form(target: &str, more: &[(&str, &str)], fields: &[(&str, &str)]) -> Vec<u8> {
    let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    let kind = [("host", "pass.test"), ("content-type", "application/x-www-form-urlencoded")];
    http("POST", target, &[&kind, more].concat(), &body)
}

#[test]
fn tickets_assertions_proofs_and_nonces_are_spent_once_at_three_nodes() {
    let Some(cluster) = cluster(3) else { return };
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };

    let web = told(
        &cluster,
        &["client", "add", "web", "--kind", "ticket", "--role", "uploads", "--any", "subject"],
    );
    let web = file("web.json", &web.to_string());
    let pair = KeyPair::generate_for(&PKCS_ED25519).unwrap();
    let public = file("public.pem", &pair.public_key_pem());
    let add = ["client", "add", "prover", "--kind", "public-key", "--public-key", &public, "--role", "cheap"];
    let prover = told(&cluster, &add);
    let prover = text(&prover, "/keys/0/client_id").to_owned();
    let signer = Ed25519KeyPair::from_pkcs8(&pair.serialize_der()).unwrap();
    let added = told(&cluster, &["client", "add", "reader", "--kind", "access-key", "--role", "reader"]);
    let (id, secret) = (text(&added, "/keys/0/access_key_id"), text(&added, "/keys/0/access_key_secret"));
    let (client, client_secret) = &cluster.clients.entra;
    let holder = Holder::new();
    let path = format!("/{TENANT}/oauth2/v2.0/token");
    let scope = format!("{CHEAP}/.default");
    known_everywhere(&cluster);

    for round in 0..ROUNDS {
        let endpoint = format!("{NAME}/lesson");
        let ticket = cluster
            .installation
            .command()
            .args(["ticket", "--endpoint", &endpoint, "--origin", "https://lesson.example.com"])
            .args(["--subject", "ann", "--client-key", &web])
            .output()
            .unwrap();
        assert!(ticket.status.success(), "{ticket:?}");
        let ticket = format!("Ticket {}", String::from_utf8(ticket.stdout).unwrap().trim());
        let page =
            [("host", "pass.test"), ("origin", "https://lesson.example.com"), ("authorization", &ticket)];
        one_of(&at_once(&cluster, |_| http("GET", "/lesson", &page, "")), round);

        let encode = |value: serde_json::Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
        let claims = json!({ "iss": prover, "sub": prover, "aud": format!("{NAME}{path}"), "jti": format!("jti-{round}"),
            "iat": now().as_second(), "exp": now().as_second() + 120 });
        let signed = format!("{}.{}", encode(json!({ "alg": "EdDSA", "typ": "JWT" })), encode(claims));
        let assertion =
            format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signer.sign(signed.as_bytes()).as_ref()));
        let fields = [
            ("grant_type", "client_credentials"),
            ("scope", &*scope),
            ("client_id", &prover),
            ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
            ("client_assertion", &assertion),
        ];
        one_of(&at_once(&cluster, |_| form(&path, &[], &fields)), round);

        let proof = holder.proves(&format!("proof {round}"), "POST", &format!("{NAME}{path}"), None);
        let fields = [
            ("grant_type", "client_credentials"),
            ("scope", &*scope),
            ("client_id", client),
            ("client_secret", client_secret),
        ];
        one_of(&at_once(&cluster, |_| form(&path, &[("dpop", &proof)], &fields)), round);

        // Different requests with one nonce: none is the other's retry.
        let nonce = format!("nonce-{round}");
        let answers = at_once(&cluster, |node| {
            let session = format!("s{}", node.port());
            let query = [("RoleArn", "acs:ram::100000000001:role/reader"), ("RoleSessionName", &*session)];
            let out = Outgoing {
                method: "POST",
                host: "pass.test",
                query: &query,
                body: b"",
                action: "AssumeRole",
                version: "2015-04-01",
                nonce: &nonce,
                at: now(),
            };
            let headers = sign_request(&ClientKey { id, secret: secret.as_bytes(), token: None }, &out);
            let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
            let target = form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish();
            http("POST", &format!("/?{target}"), &headers, "")
        });
        one_of(&answers, round);
        let refused = answers.iter().find(|answer| answer.status != 200).unwrap();
        assert!(refused.body.contains("SignatureNonceUsed"), "{refused:?}");
    }
    cluster.installation.done(&["audit", "verify"]).unwrap();
}

/// Within five seconds the same bytes are the client's retry, whichever node it gets to: the identical credential, once in the
/// records. After that they are somebody else's.
#[test]
fn a_signed_request_is_one_request_at_three_nodes() {
    let Some(cluster) = cluster(3) else { return };
    let begun = Instant::now();
    let request = cluster.asker().request(Dialect::Tencent);
    let same = at_once(&cluster, |_| request.clone());
    let answered = Instant::now();
    let credential = |answer: &Answer| json(answer)["Response"]["Credentials"].clone();
    assert!(credential(&same[0]).is_object(), "{same:?}");
    assert!(
        begun.elapsed() > Duration::from_secs(4)
            || same.iter().all(|one| credential(one) == credential(&same[0]))
    );
    thread::sleep(Duration::from_millis(5_600).saturating_sub(answered.elapsed()));
    for node in cluster.addresses() {
        let late = json(&send(node, &request));
        assert!(late["Response"]["Error"].is_object(), "{late}");
    }
    let records = cluster.installation.done(&["audit", "tail", "-n", "100", "--json"]).unwrap();
    let id = text(&credential(&same[0]), "/TmpSecretId").to_owned();
    let made = records.lines().filter(|line| line.contains(&id) && !line.contains("\"repeat\":true")).count();
    assert_eq!(made, 1, "{records}");
}
