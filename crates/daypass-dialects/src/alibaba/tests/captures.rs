//! Whole requests as real clients sent them, at the time they were sent.

use super::super::wire::Name;
use super::{read, vectors};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use daypass_core::clock::Timestamp;
use daypass_core::dialect::Call;
use daypass_core::request::Request;
use daypass_core::secret::{Secret, SigningKey};
use daypass_core::testing::{World, request};
use serde_json::Value;
use std::collections::BTreeMap;

fn captured(sample: &Value) -> Request {
    let headers: Vec<_> = sample["headers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|pair| (pair[0].as_str().unwrap().to_lowercase(), pair[1].as_str().unwrap()))
        .collect();
    let headers: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    let body = STANDARD.decode(sample["body_b64"].as_str().unwrap()).unwrap();
    request(sample["method"].as_str().unwrap(), sample["target"].as_str().unwrap(), &headers, &body)
}

#[test]
fn every_captured_request_is_read_and_judged() {
    let vectors = vectors();
    let samples = vectors["wire_samples"].as_array().unwrap();
    assert_eq!(samples.len(), 19);
    let directory = World::new().directory();
    let secret = Secret::new("helloworld");
    let mut wrong = 0;
    for sample in samples {
        let client = sample["client"].as_str().unwrap();
        let now = Timestamp::from_second(sample["server_time"].as_i64().unwrap()).unwrap();
        let (_, call) = read(&directory, now, captured(sample));
        let call = call.unwrap_or_else(|refusal| panic!("{client}: {refusal:?}"));
        let mut merged: BTreeMap<_, _> =
            call.parameters().signed().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        merged.insert("sign".into(), call.parameters().get(Name::Sign).unwrap().to_owned());
        let expected: BTreeMap<String, String> =
            serde_json::from_value(sample["merged_params"].clone()).unwrap();
        assert_eq!(merged, expected, "{client}");
        let valid = call.verify(&SigningKey::for_test(&secret)).is_some();
        assert_eq!(valid, sample["signature_valid"].as_bool().unwrap(), "{client}");
        wrong += usize::from(!valid);
    }
    assert_eq!(wrong, 2);
}

#[test]
fn a_captured_request_is_too_old_ten_minutes_later() {
    let directory = World::new().directory();
    for sample in vectors()["wire_samples"].as_array().unwrap() {
        let then = sample["server_time"].as_i64().unwrap();
        let now = Timestamp::from_second(then + 603).unwrap();
        let (_, call) = read(&directory, now, captured(sample));
        assert_eq!(call.unwrap_err().reason, daypass_core::refusal::Reason::ClockSkew);
    }
}
