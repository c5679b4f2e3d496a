//! Every fault of a cloud: what the asker sees in its own dialect, what the record, the log and the metric say, and that it is over
//! when the cloud is well again, without a restart.

use super::{AUDIENCE, Emulated, Node, Shop, soon};
use crate::process::Answer;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Each fault with the result that is counted for it.
const TENCENT: &[(&str, &str)] = &[
    ("429", "busy"),
    ("500", "down"),
    ("hang", "late"),
    ("reset", "broken"),
    ("slow", "late"),
    ("garbage", "garbage"),
    ("html", "wrong_type"),
    ("redirect", "redirect"),
    ("gzip", "too_large"),
    ("huge", "too_large"),
    ("expired", "wrong"),
    ("short", "wrong"),
];

fn calls(node: &Node, issuer: &str, result: &str) -> u64 {
    node.metric(&format!("daypass_upstream_calls_total{{issuer=\"{issuer}\",result=\"{result}\"}}"))
}

/// Why the newest refusal was made, as its record says. Those of strangers are written once a second.
fn refusal(shop: &Shop) -> Value {
    soon("a record", || {
        let record = shop.records().into_iter().rfind(|record| record["event"]["reason"].is_string())?;
        Some(record["event"]["reason"].clone())
    })
}

/// A world in which the cloud has two seconds.
fn world() -> (Emulated, Shop, Node) {
    let cloud = Emulated::start(&[]);
    let shop = Shop::before(&cloud, "timeout = \"2s\"");
    let node = shop.serve();
    (cloud, shop, node)
}

/// Asks under a fault and after it, each time for something that was not asked for before.
fn under(
    (cloud, shop, node): (&Emulated, &Shop, &Node),
    issuer: &str,
    (fault, expected): (&str, &str),
    ask: impl Fn() -> Answer,
    good: impl Fn(&Answer) -> bool,
) -> Answer {
    let before = calls(node, issuer, expected);
    cloud.faults(&[&format!("{issuer}:{fault}")]);
    let refused = ask();
    assert!(!good(&refused), "{issuer}:{fault}: {refused:?}");
    assert!(
        calls(node, issuer, expected) > before,
        "{issuer}:{fault} is counted as {expected}: {}",
        node.log()
    );
    assert_eq!(refusal(shop), "upstream_unavailable", "{issuer}:{fault}");
    node.serve.logs(&format!("issuer {issuer}: {expected}: "));
    cloud.faults(&[]);
    soon(&format!("{issuer} after {fault}"), || good(&ask()).then_some(()));
    refused
}

#[test]
fn tencent_cloud_fails_in_every_way() {
    let (cloud, shop, node) = world();
    for fault in TENCENT {
        let name = format!("session-{}", fault.0);
        let good = |answer: &Answer| answer.json()["Response"]["Credentials"].is_object();
        let refused =
            under((&cloud, &shop, &node), "tencent", *fault, || node.federation("tencent", &name), good);
        assert_eq!(
            (refused.status, &refused.json()["Response"]["Error"]["Code"]),
            (200, &json!("ServiceUnavailable"))
        );
        assert!(refused.head.contains("content-type: application/json\r\n"), "no charset: {refused:?}");
    }
}

#[test]
fn a_page_is_told_by_a_status_that_its_client_rejects_on() {
    let (cloud, shop, node) = world();
    let good = |answer: &Answer| answer.status == 200;
    let refused =
        under((&cloud, &shop, &node), "tencent", ("500", "down"), || node.get_authorization(), good);
    assert_eq!(
        (refused.status, &refused.json()["Error"]["Code"]),
        (503, &json!("ServiceUnavailable")),
        "{refused:?}"
    );
    assert!(refused.head.contains("access-control-allow-origin: https://lesson.example.com"), "{refused:?}");
    assert!(refused.head.contains("retry-after: "), "{refused:?}");
}

#[test]
fn alibaba_cloud_and_a_gateway_in_the_middle_fail() {
    let (cloud, shop, node) = world();
    let good = |answer: &Answer| answer.json()["error_response"].is_null();
    let poi = ["8005", "8006"];
    for (path, issuer, faults) in [
        ("/router/rest", "alibaba", [("wrong-account", "wrong"), ("short", "wrong")]),
        ("/router/mirror", "top", [("429", "busy"), ("garbage", "garbage")]),
    ] {
        for (fault, poi) in faults.into_iter().zip(poi) {
            let refused = under((&cloud, &shop, &node), issuer, fault, || node.top(path, poi), good);
            let error = &refused.json()["error_response"];
            assert_eq!(
                (refused.status, &error["code"], &error["sub_code"]),
                (200, &json!(10), &json!("isp.service-unavailable")),
                "{refused:?}"
            );
            assert!(refused.head.contains("content-type: text/javascript;charset=utf-8"), "{refused:?}");
        }
    }
}

#[test]
fn entra_and_a_token_endpoint_fail() {
    for (resource, issuer, fault) in [
        (AUDIENCE, "entra", ("wrong-account", "wrong")),
        (AUDIENCE, "entra", ("500", "down")),
        ("api://weixin", "oauth", ("429", "busy")),
    ] {
        let (cloud, shop, node) = world();
        let good = |answer: &Answer| answer.status == 200;
        // The emulated service is called by its protocol, and the issuer by its name.
        let name = if issuer == "oauth" { "weixin" } else { issuer };
        cloud.faults(&[&format!("{issuer}:{}", fault.0)]);
        let before = calls(&node, name, fault.1);
        let refused = node.token(resource, &[]);
        assert_eq!(
            (refused.status, &refused.json()["error"]),
            (503, &json!("temporarily_unavailable")),
            "{refused:?}"
        );
        assert!(refused.head.contains("application/json; charset=utf-8"), "{refused:?}");
        assert!(refused.head.contains("retry-after: "), "{refused:?}");
        assert!(calls(&node, name, fault.1) > before, "{}", node.log());
        assert_eq!(refusal(&shop), "upstream_unavailable");
        cloud.faults(&[]);
        soon("a token", || good(&node.token(resource, &[])).then_some(()));
    }
}

#[test]
fn a_clock_that_is_off_is_called_that() {
    let (cloud, shop, node) = world();
    for (advance, back) in [("+10m", "-10m"), ("-10m", "+10m")] {
        cloud.control("POST", "/clock", &json!({ "advance": advance }));
        let name = format!("session{advance}");
        let refused = node.federation("tencent", &name);
        assert_eq!(refused.json()["Response"]["Error"]["Code"], "ServiceUnavailable", "{refused:?}");
        assert!(calls(&node, "tencent", "clock") > 0, "{}", node.log());
        for text in ["its clock is", "AuthFailure.SignatureExpire"] {
            node.serve.logs(text);
        }
        assert_eq!(refusal(&shop), "upstream_unavailable");
        cloud.control("POST", "/clock", &json!({ "advance": back }));
        soon("the clock", || {
            node.federation("tencent", &name).json()["Response"]["Credentials"].is_object().then_some(())
        });
    }
}

#[test]
fn what_is_kept_is_served_while_the_cloud_fails() {
    let (cloud, _shop, node) = world();
    let ask = || node.federation("short", "lesson").json()["Response"]["Credentials"]["Token"].clone();
    let begun = Instant::now();
    let first = ask();
    assert!(first.is_string(), "{}", node.log());
    cloud.faults(&["tencent:500"]);
    cloud.forget();
    // Of its minute fifty seconds must be left; when half of the rest is over, each hand-out asks ahead, and none of that comes to
    // anything.
    std::thread::sleep(std::time::Duration::from_millis(5_500));
    for _ in 0..3 {
        let again = ask();
        if begun.elapsed() > Duration::from_secs(9) {
            // A machine that is so slow proves nothing: ten seconds after it was made, nothing is good enough any more.
            return;
        }
        assert_eq!(again, first);
        // In another second it is another request, and not a repeat of the one before.
        std::thread::sleep(std::time::Duration::from_millis(1_050));
    }
    assert!(cloud.calls("tencent AssumeRole 500") >= 1);
    let stale = "daypass_upstream_handed_out_total{issuer=\"tencent\",way=\"stale\"}";
    assert!(node.metric(stale) >= 1, "{}", node.log());
    cloud.faults(&[]);
    soon("a newer one", || (ask() != first).then_some(()));
}

#[test]
fn a_cloud_that_is_not_there_is_found_when_it_comes() {
    let (cloud, shop, _) = world();
    let address = daypass_faults::port::free_address().unwrap();
    let text = std::fs::read_to_string(shop.config()).unwrap();
    std::fs::write(shop.config(), text.replace(cloud.host(), &address.to_string())).unwrap();
    let node = shop.serve();
    let refused = node.federation("tencent", "lesson");
    assert_eq!(refused.json()["Response"]["Error"]["Code"], "ServiceUnavailable", "{refused:?}");
    assert_eq!(calls(&node, "tencent", "unreached").min(1), 1, "{}", node.log());
    let late = Emulated::start(&["--listen", &address.to_string()]);
    assert_eq!(late.host(), address.to_string());
    // Another account's keys: found at once, and not ours.
    soon("the cloud", || {
        let code = node.federation("tencent", "lesson").json()["Response"]["Error"]["Code"].clone();
        (code == "InternalError.SystemError").then_some(())
    });
    assert!(calls(&node, "tencent", "key_refused") >= 1, "{}", node.log());
}
