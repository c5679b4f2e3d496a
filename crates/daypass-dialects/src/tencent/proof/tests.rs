//! Forms of an `Authorization` header, right and wrong.

use super::*;
use daypass_core::testing::{START, later, request};

const SIGNATURE: &str = "72e494ea809ad7a8c8f7a4507b9bddcbaa8e581f516e8da2f66e2c5a96525168";

/// Reads a proof with one header replaced, added or (with no value) removed.
fn read(name: &str, value: Option<&str>) -> Result<Proof, Refusal> {
    let authorization = format!(
        "TC3-HMAC-SHA256 Credential=AKID1/2023-11-14/sts/tc3_request, SignedHeaders=content-type;host, Signature={SIGNATURE}"
    );
    let mut headers = vec![
        ("host", "127.0.0.1:5050"),
        ("content-type", "application/json"),
        ("x-tc-timestamp", "1700000000"),
        ("authorization", &authorization),
    ];
    headers.retain(|(n, _)| *n != name);
    headers.extend(value.map(|value| (name, value)));
    Proof::read(&request("POST", "/", &headers, b"{}").head, START)
}

fn authorization(value: &str) -> Result<Proof, Refusal> {
    read("authorization", Some(value))
}

#[track_caller]
fn refused(proof: Result<Proof, Refusal>, reason: Reason, detail: &str) {
    let refusal = proof.err().expect("a refusal");
    assert_eq!(refusal.reason, reason, "{}", refusal.detail);
    assert!(refusal.detail.contains(detail), "{}", refusal.detail);
}

#[test]
fn a_proof_of_the_right_form_is_read() {
    let proof = read("x-tc-token", Some("tok")).unwrap_or_else(|r| panic!("{r:?}"));
    assert_eq!((proof.key_id.as_str(), proof.token.as_deref()), ("AKID1", Some("tok")));
    assert_eq!(sign::unhex(SIGNATURE), Some(proof.signature));
    assert!(!proof.unsigned_payload);
    assert!(read("x-tc-content-sha256", Some("UNSIGNED-PAYLOAD")).is_ok_and(|p| p.unsigned_payload));
    assert!(read("x-tc-content-sha256", Some("unsigned-payload")).is_ok_and(|p| !p.unsigned_payload));
    assert!(read("x-tc-token", Some("")).is_ok_and(|p| p.token.is_none()));
}

#[test]
fn the_time_is_checked_first_and_the_skew_is_told() {
    refused(read("x-tc-timestamp", None), Reason::MissingParameter, "Timestamp");
    for bad in ["soon", "-1700000000", "+1700000000", "01700000000", "1700000000.5", "99999999999999999999"] {
        refused(read("x-tc-timestamp", Some(bad)), Reason::InvalidParameter, "Unix seconds");
    }
    refused(
        read("x-tc-timestamp", Some("1699999699")),
        Reason::ClockSkew,
        "2023-11-14T22:08:19Z, which is 301 seconds behind the server's time 2023-11-14T22:13:20Z",
    );
    refused(read("x-tc-timestamp", Some("1700000301")), Reason::ClockSkew, "301 seconds ahead of");
    assert!(read("x-tc-timestamp", Some("1700000300")).is_ok());
    assert_eq!(later(300).as_second(), 1_700_000_300);
}

#[test]
fn the_form_of_the_header_is_the_vendors() {
    refused(read("authorization", None), Reason::MissingProof, "no Authorization");
    let good = |signature: &str| {
        format!(
            "TC3-HMAC-SHA256 Credential=AKID1/2023-11-14/sts/tc3_request,SignedHeaders=content-type;host,Signature={signature}"
        )
    };
    assert!(authorization(&good(SIGNATURE)).is_ok(), "blanks behind commas are not needed");
    for (value, detail) in [
        ("SKIP".to_owned(), "must begin with"),
        ("TC3-HMAC-SHA256".to_owned(), "must begin with"),
        ("TC3-HMAC-SHA1 Credential=a/b/c/tc3_request".to_owned(), "must begin with"),
        ("TC3-HMAC-SHA256 x".to_owned(), "not name=value"),
        (good(SIGNATURE) + ",Other=1", "nothing else"),
        (good(SIGNATURE) + ",Signature=1", "twice"),
        (good("AB"), "64 lower-case"),
        (good(&SIGNATURE.to_uppercase()), "64 lower-case"),
        (good(SIGNATURE).replace("/tc3_request", ""), "SecretId/date/service"),
        (good(SIGNATURE).replace("/tc3_request", "/tc3_request/x"), "SecretId/date/service"),
        (good(SIGNATURE).replace("AKID1", ""), "no SecretId"),
        (good(SIGNATURE).replace("AKID1", "undefined"), "no SecretId"),
        (good(SIGNATURE).replace("SignedHeaders=content-type;host,", ""), "no SignedHeaders"),
    ] {
        refused(authorization(&value), Reason::MalformedProof, detail);
    }
}

#[test]
fn the_scope_must_fit_the_request() {
    let with = |date: &str, service: &str| {
        authorization(&format!(
            "TC3-HMAC-SHA256 Credential=AKID1/{date}/{service}/tc3_request, SignedHeaders=content-type;host, Signature={SIGNATURE}"
        ))
    };
    assert!(with("2023-11-14", "127").is_ok(), "the first label of the host");
    refused(
        with("2023-11-15", "sts"),
        Reason::WrongSignature,
        "2023-11-15, and the UTC date of X-TC-Timestamp is 2023-11-14",
    );
    refused(with("2023-11-14", "cvm"), Reason::WrongSignature, "service is cvm");
    refused(with("2023-11-14", ""), Reason::WrongSignature, "service");
}

#[test]
fn signed_headers_are_complete_sorted_and_there() {
    let with = |list: &str| {
        authorization(&format!(
            "TC3-HMAC-SHA256 Credential=AKID1/2023-11-14/sts/tc3_request, SignedHeaders={list}, Signature={SIGNATURE}"
        ))
    };
    assert!(with("content-type;host;x-tc-timestamp").is_ok());
    for (list, detail) in [
        ("", "content-type"),
        ("host", "content-type"),
        ("content-type", "host"),
        ("host;content-type", "order"),
        ("content-type;host;host", "none twice"),
        ("content-type;host;x-tc-action", "x-tc-action must be there exactly once"),
        ("Content-Type;content-type;host", "lower-case"),
        ("content-type;host;", "order"),
        ("content-type;host;x y", "exactly once"),
    ] {
        refused(with(list), Reason::MalformedProof, detail);
    }
    // In upper case it does not replace the one that is there, and is the same header on the wire.
    let twice = read("Content-Type", Some("text/plain"));
    refused(twice, Reason::MalformedProof, "content-type must be there exactly once");
}

#[test]
fn a_header_that_stands_twice_is_believed_by_nobody() {
    let ok = read("x-tc-token", Some("t"));
    assert!(ok.is_ok());
    for name in ["x-tc-token", "x-tc-timestamp", "x-tc-content-sha256", "authorization"] {
        let head =
            request("POST", "/", &[("x-tc-timestamp", "1700000000"), (name, "1"), (name, "2")], b"").head;
        assert!(Proof::read(&head, START).is_err(), "{name}");
    }
}

#[test]
fn a_header_that_is_not_text_is_not_guessed_at() {
    refused(authorization("TC3-HMAC-SHA256 课"), Reason::MalformedProof, "visible ASCII");
    refused(read("x-tc-token", Some("课")), Reason::InvalidParameter, "visible ASCII");
}

#[test]
fn a_port_is_digits_behind_the_last_colon() {
    assert_eq!(without_port(b"127.0.0.1:5050"), Some(&b"127.0.0.1"[..]));
    assert_eq!(without_port(b"[::1]:80"), Some(&b"[::1]"[..]));
    for host in ["sts.tencentcloudapi.com", "[::1]", "host:", "host:8a"] {
        assert_eq!(without_port(host.as_bytes()), None, "{host}");
    }
}
