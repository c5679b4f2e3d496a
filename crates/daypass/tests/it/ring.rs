//! `daypass ring` beside a running server, and a server that is killed between two steps.

use crate::patience::soon;
use crate::process::{Dev, daypass, json_of};
use serde_json::Value;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

fn ring(data: &Path, args: &[&str]) -> Command {
    let mut command = daypass();
    command.arg("ring").args(args).arg("--json").arg("--data").arg(data);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn run(dev: &Dev, args: &[&str]) -> Output {
    ring(&dev.data(), args).output().unwrap()
}

fn refused(output: &Output, why: &str) {
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let message: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(message["message"].as_str().unwrap().contains(why), "{message}");
}

/// The ids of the public keys.
fn published(dev: &Dev) -> Vec<String> {
    let path = format!("/{}/discovery/v2.0/keys", dev.credentials["entra"]["tenant"].as_str().unwrap());
    let answer = dev.send("GET", &path, &[], b"").json();
    answer["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

/// The id of the key that signs now.
fn signs(dev: &Dev) -> String {
    use base64::Engine as _;
    let entra = &dev.credentials["entra"];
    let text = |name: &str| entra[name].as_str().unwrap();
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", text("client_id")),
        ("client_secret", text("client_secret")),
        ("scope", text("scope")),
    ];
    let answer = dev.post_form(&format!("/{}/oauth2/v2.0/token", text("tenant")), &form).json();
    let token = answer["access_token"].as_str().unwrap();
    let header = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap());
    let header: Value = serde_json::from_slice(&header.unwrap()).unwrap();
    header["kid"].as_str().unwrap().to_owned()
}

#[test]
fn an_operator_replaces_a_signing_key_across_kills() {
    let dev = Dev::start();
    let (first, before) = (signs(&dev), published(&dev));
    let purpose = "jwt-rs256";
    refused(&run(&dev, &["activate", purpose]), "no `jwt-rs256` key is prepared");
    assert_eq!(run(&dev, &["prepare", "nonsense"]).status.code(), Some(2));

    let made = json_of(&run(&dev, &["prepare", purpose]));
    assert_eq!((made["version"].as_u64(), made["state"].as_str()), (Some(2), Some("prepared")));
    assert!(made["activate_at"].is_string(), "{made}");
    soon("published", || published(&dev).len() == before.len() + 1);
    assert_eq!(signs(&dev), first, "it does not sign yet");
    let too_early = run(&dev, &["activate", purpose]);
    refused(&too_early, "there may be verifiers that do not know it; --force does it all the same");

    let dev = Dev::start_in(dev.kill(), &[]);
    assert_eq!(signs(&dev), first);
    json_of(&run(&dev, &["activate", purpose, "--version", "2", "--force"]));
    soon("the next one signs", || signs(&dev) != first);
    assert!(published(&dev).contains(&first), "tokens of the first one still verify");
    refused(&run(&dev, &["retire", purpose]), "until then what it has made may be in use");

    let dev = Dev::start_in(dev.kill(), &[]);
    assert!(published(&dev).contains(&first) && signs(&dev) != first);
    json_of(&run(&dev, &["retire", purpose, "--force"]));
    soon("gone", || !published(&dev).contains(&first));
    let rows = json_of(&run(&dev, &["list"]));
    let states: Vec<_> = rows.as_array().unwrap().iter().filter(|row| row["purpose"] == purpose).collect();
    assert_eq!((&states[0]["state"], &states[1]["state"]), (&"gone".into(), &"active".into()), "{rows}");
    let records = String::from_utf8(dev.cli(&["audit", "tail", "--json"]).stdout).unwrap();
    for step in ["jwt-rs256/2", "jwt-rs256/2 forced", "jwt-rs256/1 forced"] {
        assert!(records.contains(&format!("\"{step}\"")), "{records}");
    }
}

#[test]
fn of_two_processes_that_take_one_step_one_is_refused() {
    let dev = Dev::start();
    for args in [
        ["prepare", "ticket"].as_slice(),
        &["activate", "ticket", "--force"],
        &["retire", "ticket", "--force"],
    ] {
        let both: Vec<Child> = (0..2).map(|_| ring(&dev.data(), args).spawn().unwrap()).collect();
        let ends: Vec<_> = both.into_iter().map(|child| child.wait_with_output().unwrap()).collect();
        let mut codes: Vec<_> = ends.iter().map(|end| end.status.code()).collect();
        codes.sort_unstable();
        assert_eq!(codes, [Some(0), Some(1)], "{args:?}: {ends:?}");
    }
}
