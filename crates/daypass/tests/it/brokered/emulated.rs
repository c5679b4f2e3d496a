//! The fake cloud by itself: its control listener, its faults as a client meets them, and what it refuses that Daypass would not.

use super::{AUDIENCE, Emulated, FORM, TENANT, tencent};
use crate::patience::PATIENCE;
use crate::process::{Answer, daypass, json_of, parse, send};
use serde_json::{Value, json};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

fn owner(cloud: &Emulated) -> (String, String) {
    (cloud.text("tencent", "secret_id").to_owned(), cloud.text("tencent", "secret_key").to_owned())
}

fn federation(cloud: &Emulated, seconds: u32) -> Answer {
    let policy =
        r#"{"version":"2.0","statement":{"effect":"allow","action":["cos:GetObject"],"resource":"*"}}"#;
    let (id, secret) = owner(cloud);
    let parameters = json!({ "Name": "test", "Policy": policy, "DurationSeconds": seconds });
    tencent(cloud.host(), (&id, &secret), None, "GetFederationToken", &parameters)
}

fn entra(cloud: &Emulated, grant: &str, scope: &str) -> Answer {
    let fields = [
        ("grant_type", grant),
        ("client_id", cloud.text("entra", "client_id")),
        ("client_secret", cloud.text("entra", "client_secret")),
        ("scope", scope),
    ];
    let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    send(cloud.host(), "POST", &format!("/{TENANT}/oauth2/v2.0/token"), &[FORM], body.as_bytes())
}

fn code(answer: &Answer) -> Value {
    answer.json()["Response"]["Error"]["Code"].clone()
}

#[test]
fn every_command_that_it_prints_gets_a_credential() {
    let cloud = Emulated::start(&[]);
    let file = cloud.data().join("credentials.json");
    for args in [&["tencent"][..], &["tencent", "--v1"], &["alibaba", "--sts"], &["alibaba"], &["entra"]] {
        let output = daypass().arg("token").args(args).arg("--from").arg(&file).output().unwrap();
        let text = json_of(&output).to_string();
        assert!(
            ["Token", "token", "SecurityToken"].iter().any(|name| text.contains(name)),
            "{args:?}: {text}"
        );
    }
    let shown = cloud.control("GET", "/requests", &json!(null));
    assert_eq!(shown["counts"]["tencent GetFederationToken ok"], 2, "{shown}");
    assert_eq!(shown["counts"]["alibaba AssumeRole ok"], 1, "{shown}");
    for secret in ["secret_key", "access_key_secret", "app_secret", "client_secret", "secret"] {
        for section in ["tencent", "alibaba", "entra", "one_live"] {
            let Some(secret) = cloud.credentials[section][secret].as_str() else { continue };
            assert!(!shown.to_string().contains(secret), "{section}");
        }
    }
}

#[test]
fn it_is_for_this_machine_and_for_whoever_has_the_token() {
    let output = daypass().args(["emulate", "--listen", "0.0.0.0:0"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("loopback alone"), "{output:?}");
    let cloud = Emulated::start(&[]);
    let host = cloud.text("control", "url").trim_start_matches("http://").to_owned();
    for headers in [&[][..], &[("authorization", "Bearer wrong")], &[("authorization", "Bearer ")]] {
        assert_eq!(send(&host, "POST", "/clock", headers, br#"{"advance":"+1h"}"#).status, 401);
    }
    assert_eq!(cloud.control("GET", "/clock", &json!(null))["ahead_seconds"], 0);
    let help = String::from_utf8(daypass().args(["emulate", "--help"]).output().unwrap().stdout).unwrap();
    assert!(help.contains("Not for production"), "{help}");
}

#[test]
fn its_clock_is_that_of_every_answer() {
    let cloud = Emulated::start(&["--clock", "+2h", "--freeze"]);
    let answer = federation(&cloud, 600);
    assert_eq!(code(&answer), "AuthFailure.SignatureExpire", "{answer:?}");
    let clock = cloud.control("GET", "/clock", &json!(null));
    assert_eq!(clock["frozen"], true);
    cloud.control("POST", "/clock", &json!({ "advance": "-2h" }));
    let answer = federation(&cloud, 600);
    assert!(answer.json()["Response"]["Credentials"].is_object(), "{answer:?}");
    let stands = cloud.control("POST", "/clock", &json!({ "set": "2031-05-06T07:08:09Z", "freeze": true }));
    assert_eq!(stands["now"], "2031-05-06T07:08:09Z");
    let answer = send(cloud.host(), "GET", "/livez", &[], b"");
    assert!(answer.head.contains("date: tue, 06 may 2031 07:08:09 gmt"), "{answer:?}");
}

#[test]
fn what_it_gave_runs_out_by_its_clock() {
    let cloud = Emulated::start(&[]);
    let credentials = federation(&cloud, 60).json()["Response"]["Credentials"].clone();
    assert_eq!(super::caller(cloud.host(), &credentials).json()["Response"]["AccountId"], super::ACCOUNT);
    cloud.control("POST", "/clock", &json!({ "advance": "+2m" }));
    let late = super::caller(cloud.host(), &credentials);
    assert_eq!(code(&late), "AuthFailure.TokenFailure", "{late:?}");
}

#[test]
fn it_refuses_what_the_cloud_would() {
    let cloud = Emulated::start(&["--root-account"]);
    assert!(code(&federation(&cloud, 7_200)).is_null());
    assert_eq!(code(&federation(&cloud, 7_201)), "InvalidParameter.OverTimeError");
    let sub = Emulated::start(&["--rate", "tencent:3", "--max-session", "2h"]);
    assert!(code(&federation(&sub, 129_600)).is_null());
    assert_eq!(code(&federation(&sub, 129_601)), "InvalidParameter.OverTimeError");
    let codes: Vec<_> = (0..12).map(|_| code(&federation(&sub, 60))).collect();
    assert!(codes.contains(&json!("RequestLimitExceeded")), "{codes:?}");
    let wrong =
        tencent(sub.host(), (&owner(&sub).0, "wrong"), None, "GetFederationToken", &json!({ "Name": "a" }));
    assert_eq!(code(&wrong), "AuthFailure.SignatureFailure", "who it is comes first");

    let whole = format!("{AUDIENCE}/.default");
    assert_eq!(entra(&cloud, "client_credentials", &whole).status, 200);
    let part = entra(&cloud, "client_credentials", &format!("{AUDIENCE}/orders.read"));
    assert_eq!((part.status, &part.json()["error_codes"]), (400, &json!([1_002_012])), "{part:?}");
    let exchange = entra(&cloud, "urn:ietf:params:oauth:grant-type:token-exchange", &whole);
    assert_eq!((exchange.status, &exchange.json()["error_codes"]), (400, &json!([70_003])));
    for path in ["introspect", "revoke"] {
        assert_eq!(
            send(cloud.host(), "POST", &format!("/{TENANT}/oauth2/v2.0/{path}"), &[FORM], b"").status,
            404
        );
    }
}

#[test]
fn a_session_of_a_role_is_as_long_as_the_role_says() {
    let asked = |cloud: &Emulated, seconds: &str| {
        let file = cloud.data().join("credentials.json");
        let args = ["token", "alibaba", "--sts", "--duration", seconds, "--from"];
        let output = daypass().args(args).arg(&file).output().unwrap();
        serde_json::from_slice::<Value>(&output.stdout).unwrap_or_else(|e| panic!("{e}: {output:?}"))
    };
    let (short, long) = (Emulated::start(&[]), Emulated::start(&["--max-session", "12h"]));
    for (cloud, seconds, good) in
        [(&short, "3600", true), (&short, "3601", false), (&short, "899", false), (&long, "43200", true)]
    {
        let answer = asked(cloud, seconds);
        assert_eq!(answer["Credentials"].is_object(), good, "{seconds}: {answer}");
        assert!(good || answer["Code"] == "InvalidParameter.DurationSeconds", "{answer}");
    }
}

#[test]
fn faults_come_as_often_as_they_are_asked_for_and_a_seed_repeats_them() {
    let run = |seed: &str| {
        let cloud = Emulated::start(&["--fault", "tencent:429:0.3", "--seed", seed]);
        (0..40).map(|_| code(&federation(&cloud, 60)) == "RequestLimitExceeded").collect::<Vec<_>>()
    };
    let first = run("7");
    let hit = first.iter().filter(|hit| **hit).count();
    assert!((4..=22).contains(&hit), "{hit} of 40");
    assert_eq!(first, run("7"));
    assert_ne!(first, run("8"));
}

#[test]
fn a_connection_is_cut_reset_and_left_hanging() {
    let cloud = Emulated::start(&[]);
    // The cloud lets a second pass between two bytes; the first may be waited for for longer.
    let ask_for = |first: Duration, target: &str| {
        let mut stream = TcpStream::connect(cloud.host()).unwrap();
        stream.set_read_timeout(Some(first)).unwrap();
        write!(stream, "GET {target} HTTP/1.1\r\nhost: {}\r\n\r\n", cloud.host()).unwrap();
        let mut answer = vec![0; 4096];
        let ended = stream.read(&mut answer).and_then(|length| {
            answer.truncate(length);
            stream.set_read_timeout(Some(Duration::from_millis(700)))?;
            stream.read_to_end(&mut answer)
        });
        let ended = ended.map_err(|error| error.kind());
        (ended, String::from_utf8_lossy(&answer).trim_end_matches('\0').to_owned())
    };
    let ask = |target: &str| ask_for(PATIENCE, target);
    cloud.faults(&["top:reset"]);
    assert_eq!(ask("/router/rest").0, Err(std::io::ErrorKind::ConnectionReset));
    cloud.faults(&["top:hang"]);
    let hung = ask_for(Duration::from_millis(700), "/router/rest");
    assert_eq!(hung, (Err(std::io::ErrorKind::WouldBlock), String::new()));
    cloud.faults(&["top:slow"]);
    let (ended, answer) = ask("/router/rest");
    assert!(ended == Err(std::io::ErrorKind::WouldBlock) && answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(parse(&answer).body.len() <= 5, "{answer}");
    cloud.faults(&["top:redirect"]);
    let (_, answer) = ask("/router/rest");
    assert!(answer.starts_with("HTTP/1.1 302") && answer.contains("elsewhere.invalid"), "{answer}");
    let shown = cloud.control("GET", "/requests", &json!(null));
    let faults: Vec<_> =
        shown["requests"].as_array().unwrap().iter().map(|asked| asked["fault"].clone()).collect();
    assert_eq!(faults, ["reset", "hang", "slow", "redirect"]);
}

#[test]
fn nothing_is_left_of_a_cloud_without_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("credentials.json");
    let mut child = daypass()
        .args(["emulate", "--json", "--log", "off", "--listen", "127.0.0.1:0", "--credentials"])
        .arg(&file)
        .env("TMPDIR", folder.path())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(child.stdout.take().unwrap()), &mut line)
        .unwrap();
    assert!(serde_json::from_str::<Value>(&line).unwrap()["credentials"] == file.to_str().unwrap(), "{line}");
    assert_eq!(
        std::fs::read_dir(folder.path()).unwrap().count(),
        2,
        "the folder, and the file that was asked for"
    );
    crate::process::signal(child.id(), "TERM");
    assert!(child.wait().unwrap().success());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

/// The commands of the page, in its order, against a cloud that was started as its first one says.
#[test]
fn the_commands_of_the_page_run() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/emulate.md");
    let page = std::fs::read_to_string(page).unwrap();
    let blocks = page.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let lines: Vec<_> = blocks.flat_map(str::lines).collect();
    assert!(lines[0].starts_with("daypass emulate --data emulated") && lines.len() >= 12, "{lines:?}");

    let cloud = Emulated::start(&[]);
    let (file, program) = (cloud.data().join("credentials.json"), env!("CARGO_BIN_EXE_daypass"));
    // What `jq` would print, for machines without it.
    let control = format!(
        "control() {{ curl -sS -H 'Authorization: Bearer {}' \"{}$@\"; }}",
        cloud.text("control", "token"),
        cloud.text("control", "url")
    );
    let mut ran = 0;
    for line in &lines[1..] {
        if line.starts_with("control() {") {
            assert!(line.contains("jq -r .control.token emulated/credentials.json"), "{line}");
            continue;
        }
        let line = line.replace("emulated/credentials.json", file.to_str().unwrap());
        let line = line.strip_prefix("daypass ").map_or(line.clone(), |rest| format!("{program} {rest}"));
        let script = format!("{control}\n{line}");
        let output = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success() && !text.contains("error"), "{line}\n{text}\n{output:?}");
        assert!(serde_json::from_str::<Value>(&text).is_ok(), "{line}\n{text}");
        ran += 1;
    }
    assert!(ran >= 10, "{ran}");
}
