//! Every member of every right answer, taken out and replaced by each of a set of strange values, and what then is believed.

use super::*;
use daypass_core::policy::within;
use daypass_core::testing::later;
use serde_json::{Value, json};

/// The path of every member and item of a document, as RFC 6901 writes it.
fn paths(document: &Value, at: &str, found: &mut Vec<String>) {
    let mut below = |name: String, value: &Value| {
        let path = format!("{at}/{name}");
        found.push(path.clone());
        paths(value, &path, found);
    };
    match document {
        Value::Object(members) => members.iter().for_each(|(name, value)| below(name.clone(), value)),
        Value::Array(items) => items.iter().enumerate().for_each(|(n, value)| below(n.to_string(), value)),
        _ => {}
    }
}

fn strange() -> Vec<Value> {
    vec![
        Value::Null,
        json!(true),
        json!(-1),
        json!(0),
        json!(1.5),
        json!(1e300),
        json!(u64::MAX),
        json!(i64::MIN),
        json!(""),
        json!("x"),
        json!("*"),
        json!("9999-12-31T23:59:59Z"),
        json!("-009999-01-01T00:00:00Z"),
        json!("a\u{0}b\r\nc: d"),
        json!("ü".repeat(5_000)),
        json!([]),
        json!({}),
        json!([[], {}, null]),
    ]
}

/// Takes out what the path leads to.
fn without(document: &Value, path: &str) -> Value {
    let mut document = document.clone();
    let (parent, name) = path.rsplit_once('/').unwrap();
    match document.pointer_mut(parent).unwrap() {
        Value::Object(members) => drop(members.remove(name)),
        Value::Array(items) => drop(items.remove(name.parse().unwrap())),
        _ => panic!("{path} leads to nothing"),
    }
    document
}

fn mutations(document: &Value) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    paths(document, "", &mut found);
    let mut mutations = Vec::new();
    for path in found {
        mutations.push((format!("without {path}"), without(document, &path)));
        for value in strange() {
            let mut changed = document.clone();
            *changed.pointer_mut(&path).unwrap() = value.clone();
            let value: String = value.to_string().chars().take(40).collect();
            mutations.push((format!("{path} = {value}"), changed));
        }
    }
    mutations
}

fn assert_fit(what: &str, wanted: &Wanted, fetched: &Fetched) {
    assert!(
        START < fetched.expires && fetched.expires <= later(wanted.lifetime),
        "{what}: {}",
        fetched.expires
    );
    let fit = |part: &[u8]| !part.is_empty() && part.iter().all(u8::is_ascii_graphic);
    match &fetched.parts {
        Parts::Triple { id, secret, token } => {
            assert!(fit(id.as_bytes()) && fit(secret.expose()) && fit(token.expose()), "{what}");
        }
        Parts::Bearer(token) => assert!(fit(token.expose()), "{what}"),
    }
    if let Some(policy) = &fetched.policy {
        assert!(within(policy, wanted.policy.as_ref().unwrap()), "{what}");
    }
    let shown = fetched.request.iter().chain(fetched.answer.values());
    for text in shown {
        assert!(fit(text.as_bytes()), "{what}: {text}");
    }
}

/// Whatever of an answer is strange: what is believed of it has an end in time, goes into headers, and is no wider than was
/// authorized.
#[tokio::test]
async fn nothing_strange_is_believed() {
    for case in [tencent(), alibaba(), top(), entra(), oauth()] {
        let hostile = Hostile::plain(Act::HangUp).await;
        let cloud = case.build(&hostile, 10_000);
        let wanted = (case.wanted)(&*cloud);
        let document = serde_json::from_slice(case.good.body()).unwrap();
        let (mut refused, mut believed) = (0, 0);
        for (what, changed) in mutations(&document) {
            hostile.does(Act::Answer(case.good.clone().document(changed.to_string())));
            match ask(&*cloud, &wanted, &case.key).await {
                Ok(fetched) => {
                    believed += 1;
                    assert_fit(&format!("{}: {what}", case.name), &wanted, &fetched);
                }
                Err(fault) => {
                    refused += 1;
                    assert_silent(&case, &fault);
                }
            }
        }
        assert!(refused > believed && believed > 0, "{}: {refused} refused, {believed} believed", case.name);
    }
}
