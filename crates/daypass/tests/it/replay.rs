//! The same signed bytes, sent to the program again: before it stops, after it was stopped, and after it was killed.

use crate::process::Dev;
use daypass_core::clock::Timestamp;
use daypass_dialects::alibaba::sign::{SignMethod, sign};
use daypass_dialects::alibaba::time::stamp;
use daypass_dialects::alibaba::wire::{METHOD, PATH};
use serde_json::{Value, json};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A signed call of the gateway, as a form.
fn call(dev: &Dev) -> Vec<(String, String)> {
    let ours = &dev.credentials["alibaba"];
    let text = |name: &str| ours[name].as_str().unwrap().to_owned();
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let now = Timestamp::from_second(i64::try_from(since.as_secs()).unwrap()).unwrap();
    let param = json!({
        "product_code": text("product_code"), "scene_code": text("scene_code"), "usage_scene": text("usage_scene"),
        "op_tenant_code": text("tenant_code"), "op_poi_id": ours["poi_ids"][0],
    });
    let mut form: Vec<_> = [
        ("method", METHOD.to_owned()),
        ("app_key", text("app_key")),
        ("timestamp", stamp(now)),
        ("v", "2.0".to_owned()),
        ("format", "json".to_owned()),
        ("simplify", "true".to_owned()),
        ("param", param.to_string()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into();
    let pairs = form.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let signature = sign(SignMethod::Md5, text("app_secret").as_bytes(), pairs);
    form.push(("sign".to_owned(), signature));
    form
}

fn send(dev: &Dev, form: &[(String, String)]) -> Value {
    let form: Vec<_> = form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let answer = dev.post_form(PATH, &form);
    assert_eq!(answer.status, 200);
    answer.json()
}

#[test]
fn a_retry_survives_the_process_and_a_replay_does_not() {
    let dev = Dev::start();
    let form = call(&dev);
    let began = Instant::now();
    let first = send(&dev, &form);
    let answered = Instant::now();
    let credential = &first["result"];
    assert!(credential["token"].is_string(), "{first}");
    assert_eq!(&send(&dev, &form)["result"], credential);

    // However it ends, and as long as the next one is there in time: a slow machine proves nothing.
    let (folder, _) = dev.stop();
    let dev = Dev::start_in(folder, &[]);
    let after_stop = send(&dev, &form);
    let dev = Dev::start_in(dev.kill(), &[]);
    let after_kill = send(&dev, &form);
    if began.elapsed() < Duration::from_secs(4) {
        assert_eq!(&after_stop["result"], credential);
        assert_eq!(&after_kill["result"], credential);
    }
    std::thread::sleep(Duration::from_millis(5_500).saturating_sub(answered.elapsed()));
    let late = send(&dev, &form);
    assert_eq!(late["error_response"]["code"], 25, "{late}");
    assert!(late["error_response"]["sub_msg"].as_str().unwrap().contains("used before"), "{late}");
}
