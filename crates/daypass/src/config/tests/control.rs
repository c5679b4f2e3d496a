//! `[server]` `control` and `log`: for whoever runs the service.

use super::*;
use insta::assert_snapshot;

/// A file with these lines in `[server]`; they begin on line 3.
fn file(lines: &str) -> String {
    with("").replace("[store]", &format!("{lines}\n[store]"))
}

#[test]
fn the_control_socket_lies_where_the_file_says() {
    let control = |lines: &str| production(&file(lines)).unwrap().control;
    assert_eq!(control(""), None);
    assert_eq!(control("control = \"/run/daypass/c.sock\"").unwrap().to_str(), Some("/run/daypass/c.sock"));
    assert_eq!(control("control = \"c.sock\"").unwrap().to_str(), Some("c.sock"));
    assert_snapshot!(refused(&file("control = \"\"")), @r#"
    daypass.toml:3:11: `control` is empty
    3 | control = ""
      |           ^^
      hint: control = "/run/daypass/control.sock"
    "#);
    let long = refused(&file(&format!("control = \"/{}\"", "x".repeat(107))));
    assert!(long.contains("a socket's path has at most 107 bytes, and this one has 108"), "{long}");
    assert_eq!(control(&format!("control = \"/{}\"", "x".repeat(106))).unwrap().as_os_str().len(), 107);
}

#[test]
fn a_log_filter_is_one_that_can_be_understood() {
    let log = |lines: &str| production(&file(lines)).unwrap().log;
    assert_eq!(log(""), None);
    assert_eq!(log("log = \"warn,daypass=debug\"").as_deref(), Some("warn,daypass=debug"));
    let bad = refused(&file("log = \"daypass=loud\""));
    assert!(bad.starts_with("daypass.toml:3:7: `daypass=loud` is no log filter"), "{bad}");
}

#[test]
fn a_file_has_its_digest() {
    let digest = |text: &str| production(text).unwrap().digest;
    let text = with("");
    let hashed = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
    let bytes: Vec<_> =
        (0..64).step_by(2).map(|n| u8::from_str_radix(&digest(&text)[n..n + 2], 16).unwrap()).collect();
    assert_eq!((bytes.as_slice(), digest(&text).len()), (hashed.as_ref(), 64));
    assert_eq!(digest(&text), digest(&text).to_lowercase());
    assert_ne!(digest(&text), digest(&format!("{text}\n")));
}
