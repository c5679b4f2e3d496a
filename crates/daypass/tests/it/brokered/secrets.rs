//! Root keys, and what clouds gave, are nowhere but where they must be.

use super::{AUDIENCE, Emulated, Shop};
use std::path::Path;

/// Every byte that the installation keeps, but the files in which the operator keeps the root keys.
fn kept(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            all.extend(kept(&path));
        } else if path.extension().is_none_or(|extension| extension != "key") {
            all.push((path.display().to_string(), std::fs::read(&path).unwrap()));
        }
    }
    all
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

#[test]
fn no_secret_of_a_cloud_stands_in_a_file_a_log_a_record_or_a_metric() {
    let cloud = Emulated::start(&[]);
    let shop = Shop::before(&cloud, "");
    let node = shop.serve();
    let page = node.get_authorization().json();
    let (store, mirror) = (
        super::result(&node.top("/router/rest", "8005")),
        super::result(&node.top("/router/mirror", "8005")),
    );
    let tokens =
        [AUDIENCE, "api://weixin"].map(|resource| node.token(resource, &[]).json()["access_token"].clone());
    // And of what fails, of which more is said.
    cloud.faults(&["tencent:500", "alibaba:garbage", "top:redirect", "entra:expired", "oauth:html"]);
    node.federation("tencent", "other");
    node.top("/router/rest", "8006");
    node.top("/router/mirror", "8006");

    let root = [
        ("tencent", "secret_key"),
        ("alibaba", "access_key_secret"),
        ("alibaba", "app_secret"),
        ("entra", "client_secret"),
        ("one_live", "secret"),
    ];
    let mut secrets: Vec<String> = root.map(|(section, name)| cloud.text(section, name).to_owned()).into();
    for (document, names) in [
        (&page["Credentials"], ["TmpSecretKey", "Token"]),
        (&store, ["access_key_secret", "token"]),
        (&mirror, ["access_key_secret", "token"]),
    ] {
        secrets.extend(names.map(|name| document[name].as_str().unwrap().to_owned()));
    }
    secrets.extend(tokens.map(|token| token.as_str().unwrap().to_owned()));
    assert!(secrets.len() == 13 && secrets.iter().all(|secret| secret.len() >= 24), "{}", secrets.len());

    let records = shop.records().iter().map(ToString::to_string).collect::<String>();
    let metrics = crate::process::send(&node.serve.metrics, "GET", "/metrics", &[], b"").body;
    assert!(
        records.contains(cloud.text("tencent", "secret_id")),
        "the id of the root key is no secret: {records}"
    );
    // Stopped, so that all of the log is there and all of the store is in its file.
    let log = node.stop();
    assert!(log.contains("issuer tencent: down") && log.contains("issuer alibaba: garbage"), "{log}");
    let files = kept(shop.folder.path());
    assert!(
        files.iter().any(|(name, bytes)| name.ends_with("daypass.db") && bytes.len() > 4_096),
        "the store is among them"
    );
    for secret in &secrets {
        for (what, text) in [("log", &log), ("records", &records), ("metrics", &metrics)] {
            assert!(!text.contains(secret), "a secret stands in the {what}");
        }
        for (name, bytes) in &files {
            assert!(!holds(bytes, secret), "a secret stands in {name}");
        }
    }
}
