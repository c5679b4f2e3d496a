//! What was taken back is so before the answer leaves. Nothing follows the store in these tests: what a request does not
//! bring into force itself is not in force.

use super::Running;
use daypass_core::testing::{ACME, RESOURCE};
use serde_json::{Value, json};
use uuid::Uuid;

/// Sends a form with the test client's proof; gives the status, the head and the body.
async fn ask(server: &Running, path: &str, fields: &str) -> (u16, String, String) {
    let client = daypass_core::testing::World::new().client.guid;
    let key = Uuid::from_u128(0x5ec);
    let body = format!("client_id={client}&client_secret=secret+of+{key}&{fields}");
    let request = format!(
        "POST /{ACME}/oauth2/v2.0/{path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\
         content-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let answer = server.exchange(&request).await;
    let (head, body) = answer.split_once("\n\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), head.to_ascii_lowercase(), body.to_owned())
}

async fn new_token(server: &Running) -> String {
    let fields = format!("grant_type=client_credentials&scope={RESOURCE}%2F.default");
    let (_, _, body) = ask(server, "token", &fields).await;
    serde_json::from_str::<Value>(&body).unwrap()["access_token"].as_str().unwrap().to_owned()
}

async fn is_active(server: &Running, token: &str) -> bool {
    let (status, _, body) = ask(server, "introspect", &format!("token={token}")).await;
    assert_eq!(status, 200, "{body}");
    let told: Value = serde_json::from_str(&body).unwrap();
    told["active"] == json!(true)
}

#[tokio::test]
async fn a_revocation_is_in_force_here_before_its_answer_leaves() {
    let server = Running::start().await;
    let (gone, stays) = (new_token(&server).await, new_token(&server).await);
    assert!(is_active(&server, &gone).await);
    let (status, head, body) = ask(&server, "revoke", &format!("token={gone}")).await;
    assert_eq!((status, body.as_str()), (200, ""), "{head}");
    assert!(!is_active(&server, &gone).await);
    assert!(is_active(&server, &stays).await);
}

#[tokio::test]
async fn a_revocation_that_this_node_cannot_read_back_is_not_confirmed() {
    let server = Running::start().await;
    let token = new_token(&server).await;
    server.store.go_deaf();
    let (status, head, body) = ask(&server, "revoke", &format!("token={token}")).await;
    assert_eq!(status, 503, "{head}\n{body}");
    assert!(head.contains("retry-after: 1"), "{head}");
    server.store.come_back();
    let (status, ..) = ask(&server, "revoke", &format!("token={token}")).await;
    assert_eq!(status, 200);
    assert!(!is_active(&server, &token).await);
}
