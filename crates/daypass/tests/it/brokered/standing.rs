//! What was kept is handed to nobody who may not have it any more, and to nobody at a place that is frozen.

use super::{Emulated, Node, Shop, soon};
use crate::process::Answer;
use serde_json::json;

fn token(answer: &Answer) -> Option<String> {
    answer.json()["Response"]["Credentials"]["Token"].as_str().map(str::to_owned)
}

fn world() -> (Emulated, Shop, Node) {
    let cloud = Emulated::start(&[]);
    let shop = Shop::before(&cloud, "");
    let node = shop.serve();
    (cloud, shop, node)
}

#[test]
fn a_disabled_client_gets_nothing_that_was_kept_for_it() {
    let (cloud, shop, node) = world();
    assert!(token(&node.federation("tencent", "lesson")).is_some());
    let asked = cloud.calls("tencent GetFederationToken");
    shop.cli(&["client", "disable", "video"]);
    soon("the cut-off", || token(&node.federation("tencent", "lesson")).is_none().then_some(()));
    assert_eq!(cloud.calls("tencent GetFederationToken"), asked);
}

#[test]
fn what_was_taken_back_is_not_handed_out_again() {
    let (cloud, shop, node) = world();
    let first = token(&node.federation("tencent", "lesson")).unwrap();
    assert_eq!(token(&node.federation("tencent", "lesson")).as_ref(), Some(&first));
    shop.cli(&["revoke", "--role", "soe", "--tenant", "shop", "--reason", "a test"]);
    let second =
        soon("a new one", || token(&node.federation("tencent", "lesson")).filter(|token| *token != first));
    assert_ne!(first, second);
    assert_eq!(cloud.calls("tencent GetFederationToken ok"), 2);
}

#[test]
fn nothing_kept_leaves_a_place_that_is_frozen() {
    let (cloud, shop, node) = world();
    let first = token(&node.federation("tencent", "lesson")).unwrap();
    shop.cli(&["freeze", "--endpoint", "/", "--reason", "a test"]);
    soon("the frost", || token(&node.federation("tencent", "lesson")).is_none().then_some(()));
    assert_eq!(
        node.federation("tencent", "lesson").json()["Response"]["Error"]["Code"],
        json!("ServiceUnavailable")
    );
    shop.cli(&["thaw", "--endpoint", "/"]);
    let again = soon("the thaw", || token(&node.federation("tencent", "lesson")));
    assert_eq!(
        (again, cloud.calls("tencent GetFederationToken")),
        (first, 1),
        "what was issued before stays good"
    );
}
