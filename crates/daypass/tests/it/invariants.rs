//! The ten invariants of ARCHITECTURE.md, each with a test of its name, on the running program where it can be.

use crate::patience::promised;
use crate::process::{Dev, json_of, token};
use daypass_core::limits;
use serde_json::Value;

fn text<'a>(value: &'a Value, path: &str) -> &'a str {
    value.pointer(path).and_then(Value::as_str).unwrap_or_else(|| panic!("{path} in {value}"))
}

fn audit(dev: &Dev) -> Vec<Value> {
    let output = dev.cli(&["audit", "tail", "-n", "1000", "--json"]);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn entra_form(dev: &Dev) -> Vec<(String, String)> {
    let entra = &dev.credentials["entra"];
    [
        ("grant_type", "client_credentials"),
        ("client_id", text(entra, "/client_id")),
        ("client_secret", text(entra, "/client_secret")),
        ("Type", "oauth2"),
        ("scope", text(entra, "/scope")),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec()
}

fn post_entra(dev: &Dev, form: &[(String, String)]) -> crate::process::Answer {
    let tenant = text(&dev.credentials, "/entra/tenant");
    let form: Vec<_> = form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    dev.post_form(&format!("/{tenant}/oauth2/v2.0/token"), &form)
}

fn with(form: &[(String, String)], name: &str, value: &str) -> Vec<(String, String)> {
    let replace =
        |(n, v): &(String, String)| (n.clone(), if n == name { value.to_owned() } else { v.clone() });
    form.iter().map(replace).collect()
}

#[test]
fn invariant_1_nothing_is_issued_unauthorized_or_rendered_unrecorded() {
    let dev = Dev::start();
    let given = dev.send("GET", "/getAuthorization", &[], b"").json();
    let tencent = json_of(&token(&["tencent"], &dev.file()));
    let alibaba = json_of(&token(&["alibaba"], &dev.file()));
    assert!(!token(&["alibaba", "--poi", "9999"], &dev.file()).status.success(), "another store");
    let ids: Vec<String> = audit(&dev)
        .iter()
        .filter(|record| record["event"]["event"] == "grant")
        .map(|record| text(record, "/event/credential").to_owned())
        .collect();
    let root = "/alibaba_security_deepvision_proxy_security_common_token_get_response/result/access_key_id";
    let expected = [
        text(&given, "/Credentials/TmpSecretId"),
        text(&tencent, "/Response/Credentials/TmpSecretId"),
        text(&alibaba, root),
    ];
    assert_eq!(ids, expected);
}

/// The property itself is `issued_policy_never_exceeds_any_parent` in the core; this is its face on the wire.
#[test]
fn invariant_2_the_issued_policy_is_no_wider_than_the_role() {
    let dev = Dev::start();
    let wide = r#"{"version":"2.0","statement":{"effect":"allow","action":["soe:*"],"resource":"*"}}"#;
    let refused = token(&["tencent", "--policy", wide], &dev.file());
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    for poi in ["*", "8005/../8006", "8005*", "", "8005\u{0}"] {
        if !poi.contains('\0') {
            let answer = token(&["alibaba", "--poi", poi], &dev.file());
            assert_eq!(answer.status.code(), Some(1), "{poi:?} {answer:?}");
        }
    }
    let granted = String::from_utf8(token(&["alibaba", "--poi", "8006"], &dev.file()).stdout).unwrap();
    assert!(granted.contains("/hema/8006/*") && !granted.contains("8005"), "{granted}");
}

#[test]
fn invariant_3_a_temporary_credential_falls_with_its_client() {
    let dev = Dev::start();
    let granted = json_of(&token(&["tencent"], &dev.file()));
    let mut file: Value = dev.credentials.clone();
    let pick = |name: &str| granted.pointer(&format!("/Response/Credentials/{name}")).unwrap().clone();
    file["tencent"]["secret_id"] = pick("TmpSecretId");
    file["tencent"]["secret_key"] = pick("TmpSecretKey");
    let who = |dev: &Dev| {
        // The command line sends permanent keys; a temporary one needs its token beside it.
        whoami(dev, &file, text(&granted, "/Response/Credentials/Token"))
    };
    assert!(who(&dev)["Response"]["Error"].is_null(), "{}", who(&dev));
    assert!(dev.cli(&["client", "disable", "soe-server"]).status.success());
    promised("the end of the credential", || !who(&dev)["Response"]["Error"].is_null());
    assert_eq!(text(&who(&dev), "/Response/Error/Code"), "AuthFailure.TokenFailure");
    let refused = token(&["tencent"], &dev.file());
    assert_eq!(refused.status.code(), Some(1));
}

fn whoami(dev: &Dev, file: &Value, security_token: &str) -> Value {
    use daypass_core::clock::Timestamp;
    use daypass_dialects::tencent::sign::{ClientKey, Outgoing, sign_request};
    let host = dev.host();
    let seconds = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
    let key = ClientKey {
        id: text(file, "/tencent/secret_id"),
        secret: text(file, "/tencent/secret_key").as_bytes(),
        token: Some(security_token),
    };
    let request = Outgoing {
        method: "POST",
        host: &host,
        query: "",
        body: b"{}",
        unsigned_payload: false,
        action: "GetCallerIdentity",
        region: "ap-guangzhou",
        at: Timestamp::from_second(seconds.try_into().unwrap()).unwrap(),
    };
    let headers = sign_request(&key, &request);
    let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    dev.send("POST", "/", &headers, b"{}").json()
}

#[test]
fn invariant_4_no_secret_appears_in_a_log_an_error_or_a_record() {
    let dev = Dev::start_in(tempfile::tempdir().unwrap(), &["--log", "trace"]);
    let credentials = dev.credentials.clone();
    let mut secrets: Vec<String> =
        ["/tencent/secret_key", "/alibaba/app_secret", "/alibaba/access_key_secret", "/entra/client_secret"]
            .map(|path| text(&credentials, path).to_owned())
            .to_vec();
    let given = dev.send("GET", "/getAuthorization", &[], b"").json();
    secrets.push(text(&given, "/Credentials/TmpSecretKey").to_owned());
    secrets.push(text(&given, "/Credentials/Token").to_owned());
    let form = entra_form(&dev);
    let granted = post_entra(&dev, &form);
    secrets.push(text(&granted.json(), "/access_token").to_owned());
    let guess = "a-wrong-guess-that-must-not-be-echoed";
    let mut errors = vec![
        post_entra(&dev, &with(&form, "client_secret", guess)).body,
        post_entra(&dev, &with(&form, "scope", guess)).body,
        dev.send("GET", &format!("/x/oauth2/v2.0/token?client_secret={guess}"), &[], b"").body,
    ];
    json_of(&token(&["tencent"], &dev.file()));
    json_of(&token(&["alibaba"], &dev.file()));
    errors.push(String::from_utf8(token(&["alibaba", "--poi", "1"], &dev.file()).stdout).unwrap());
    let records = serde_json::to_string(&audit(&dev)).unwrap();
    let (_folder, log) = dev.stop();
    assert!(
        log.contains("answered") && records.contains("grant"),
        "the places that are searched are not empty"
    );
    secrets.push(guess.to_owned());
    for (i, secret) in secrets.iter().enumerate() {
        assert!(!log.contains(secret.as_str()), "secret {i} is in the log");
        assert!(!records.contains(secret.as_str()), "secret {i} is in the records");
        // What a caller sent as its scope may be named to it; what it sent as a secret may not.
        assert!(!errors[0].contains(secret.as_str()), "secret {i} is in an error");
        assert!(
            !errors[2..].iter().any(|error| error.contains(secret.as_str())),
            "secret {i} is in an error"
        );
    }
}

/// The rest of it is `an_id_of_another_tenant_is_not_found` and `client_secrets_live_expired_disabled_and_wrong` in
/// the core, where there are two tenants.
#[test]
fn invariant_5_a_foreign_id_looks_like_one_that_does_not_exist() {
    let dev = Dev::start();
    let form = entra_form(&dev);
    let other = "41ebb163-adc1-4068-9087-eb79c718b633";
    let form: Vec<_> = form.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    let known = dev.post_form(&format!("/{other}/oauth2/v2.0/token"), &form).json();
    let unknown_form = [("grant_type", "client_credentials"), ("client_id", other), ("client_secret", "x")];
    let unknown = dev.post_form(&format!("/{other}/oauth2/v2.0/token"), &unknown_form).json();
    assert_eq!(known["error_codes"], unknown["error_codes"]);
}

/// Counted, not timed: `nothing_is_asked_of_a_call_that_was_not_proved` and
/// `the_stand_in_of_an_unknown_key_opens_nothing` in the core show that a stand-in is verified; here both refusals
/// are the vendor's own.
#[test]
fn invariant_6_an_unknown_client_and_a_wrong_secret_are_both_refused_as_the_vendor_does() {
    let dev = Dev::start();
    let form = entra_form(&dev);
    let wrong = post_entra(&dev, &with(&form, "client_secret", "wrong"));
    let unknown = post_entra(&dev, &with(&form, "client_id", "0d1f6f0e-6f0b-4f43-9d1c-3a3f1a6b7c11"));
    assert_eq!((wrong.status, wrong.json()["error_codes"][0].as_i64()), (401, Some(7_000_215)));
    assert_eq!((unknown.status, unknown.json()["error_codes"][0].as_i64()), (400, Some(700_016)));
}

#[test]
fn invariant_7_the_store_holds_no_secret_in_clear() {
    let dev = Dev::start();
    let credentials = dev.credentials.clone();
    let given = dev.send("GET", "/getAuthorization", &[], b"").json();
    let (folder, _) = dev.stop();
    let mut searched = 0;
    for entry in std::fs::read_dir(folder.path().join("data")).unwrap() {
        let path = entry.unwrap().path();
        if path.file_name().unwrap().to_string_lossy().starts_with("daypass.db") {
            let bytes = String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned();
            searched += bytes.matches("soe-server").count();
            for secret in [
                text(&credentials, "/tencent/secret_key"),
                text(&credentials, "/alibaba/app_secret"),
                text(&credentials, "/alibaba/access_key_secret"),
                text(&credentials, "/entra/client_secret"),
                text(&given, "/Credentials/TmpSecretKey"),
                text(&given, "/Credentials/Token"),
            ] {
                assert!(!bytes.contains(secret), "{}", path.display());
            }
        }
    }
    assert!(searched > 0, "the database was really searched");
}

/// The other half is `clippy.toml`: a call of an ambient clock or randomness does not pass the lint.
#[test]
fn invariant_8_time_and_randomness_are_arguments() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let clippy = std::fs::read_to_string(root.join("clippy.toml")).unwrap();
    for method in
        ["SystemTime::now", "Instant::now", "Timestamp::now", "rand::rng", "Uuid::new_v4", "env::var\""]
    {
        assert!(clippy.contains(method), "{method}");
    }
    let system = std::fs::read_to_string(root.join("crates/daypass/src/system.rs")).unwrap();
    assert_eq!(system.matches("#[expect(clippy::disallowed_methods").count(), 2, "one clock, one randomness");
}

#[test]
fn invariant_9_our_own_name_never_comes_from_the_host_header() {
    let dev = Dev::start();
    let tenant = text(&dev.credentials, "/entra/tenant");
    let path = format!("/{tenant}/v2.0/.well-known/openid-configuration");
    let honest = dev.send("GET", &path, &[], b"");
    let misled =
        dev.send("GET", &path, &[("host", "evil.example"), ("x-forwarded-host", "evil.example")], b"");
    assert_eq!(honest.json(), misled.json());
    assert_eq!(text(&honest.json(), "/issuer"), format!("http://{}/{tenant}/v2.0", dev.host()));
    let error = dev.send("POST", &format!("/{tenant}/oauth2/v2.0/token"), &[("host", "evil.example")], b"");
    assert!(!error.body.contains("evil.example"), "{error:?}");
}

/// The whole table is in `refusals`; this is what a client meets that sends far too much.
#[test]
fn invariant_10_every_error_can_be_parsed_by_its_sdk() {
    let dev = Dev::start();
    let tenant = text(&dev.credentials, "/entra/tenant").to_owned();
    let big = "a".repeat(limits::BODY + 1);
    let json = [("content-type", "application/json")];
    let sts = dev.send("POST", "/", &json, big.as_bytes());
    assert_eq!((sts.status, text(&sts.json(), "/Response/Error/Code")), (200, "RequestSizeLimitExceeded"));
    assert!(
        sts.head.contains("content-type: application/json\r\n") || sts.head.ends_with("application/json")
    );
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let top = dev.send("POST", "/router/rest", &form, big.as_bytes());
    assert!(top.status == 200 && top.body.contains("<error_response>"), "{top:?}");
    let entra = dev.send("POST", &format!("/{tenant}/oauth2/v2.0/token"), &form, big.as_bytes());
    assert!(entra.status >= 400 && entra.json()["error"].is_string(), "{entra:?}");
    let page = dev.send("POST", "/getAuthorization", &[], big.as_bytes());
    assert!(page.status >= 400 && page.json()["Error"]["Code"].is_string(), "{page:?}");
}
