//! `[server] metrics`: for this machine alone, or with a written reason.

use super::*;
use insta::assert_snapshot;

/// A file with these lines in `[server]`; they begin on line 3.
fn file(lines: &str) -> String {
    with("").replace("[store]", &format!("{lines}\n[store]"))
}

#[test]
fn metrics_have_an_address_of_their_own() {
    let metrics = |lines: &str| production(&file(lines)).unwrap().metrics.map(|address| address.to_string());
    assert_eq!(metrics(""), None);
    assert_eq!(metrics("metrics = \"127.0.0.1:9464\"").as_deref(), Some("127.0.0.1:9464"));
    assert_eq!(metrics("metrics = \"[::1]:0\"").as_deref(), Some("[::1]:0"));
    let open = "metrics = \"0.0.0.0:9464\"\nmetrics_reason = \"only the monitoring system gets there\"";
    assert_eq!(metrics(open).as_deref(), Some("0.0.0.0:9464"));
}

#[test]
fn others_may_not_read_them_by_accident() {
    let refused = |lines: &str| refused(&file(lines));
    assert_snapshot!(refused("metrics = \"0.0.0.0:9464\""), @r#"
    daypass.toml:3:11: `0.0.0.0:9464` is reached from other machines, and no `metrics_reason` says why
    3 | metrics = "0.0.0.0:9464"
      |           ^^^^^^^^^^^^^^
      hint: metrics tell the names of clients to whoever asks: listen on 127.0.0.1, or see that only the monitoring system gets there, and write so: metrics_reason = "…"
    "#);
    let blank = refused("metrics = \"10.0.0.7:9464\"\nmetrics_reason = \" \"");
    assert!(blank.contains("no `metrics_reason` says why"), "{blank}");
    assert_snapshot!(refused("metrics = \"127.0.0.1:5050\""), @r#"
    daypass.toml:3:11: the service itself listens there, and metrics are not for its clients
    3 | metrics = "127.0.0.1:5050"
      |           ^^^^^^^^^^^^^^^^
      hint: metrics = "127.0.0.1:9464"
    "#);
    assert_snapshot!(refused("metrics = 9464"), @"
    daypass.toml:3:11: `metrics` must be a string, and is an integer
    3 | metrics = 9464
      |           ^^^^
    ");
    assert_snapshot!(refused("metrics_reason = \"why not\""), @r#"
    daypass.toml:3:1: `metrics_reason` is for `metrics`, which is not there
    3 | metrics_reason = "why not"
      | ^^^^^^^^^^^^^^
    "#);
}
