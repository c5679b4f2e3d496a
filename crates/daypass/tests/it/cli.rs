//! The commands, on a real data folder and against a running server.

use crate::patience::{PATIENCE, soon};
use crate::process::{Dev, daypass, json_of, token};
use crate::serve::Serve;
use serde_json::Value;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Output;
use std::time::{Duration, Instant};

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn dev_answers_each_seed_and_keeps_its_clients_over_a_restart() {
    let dev = Dev::start();
    let before = dev.credentials.clone();
    assert_eq!(std::fs::metadata(dev.file()).unwrap().permissions().mode() & 0o777, 0o600);
    for kind in ["tencent", "alibaba", "entra"] {
        json_of(&token(&[kind], &dev.file()));
    }
    let (folder, _) = dev.stop();
    let again = Dev::start_in(folder, &[]);
    let mut after = again.credentials.clone();
    after["url"] = before["url"].clone();
    assert_eq!(after, before);
    json_of(&token(&["tencent"], &again.file()));
    let folder = again.kill();
    let reset = Dev::start_in(folder, &["--reset"]);
    assert_ne!(reset.credentials["tencent"], before["tencent"]);
    json_of(&token(&["alibaba"], &reset.file()));
}

#[test]
fn a_lost_credentials_file_is_replaced_and_the_old_keys_are_dead() {
    let dev = Dev::start();
    let before = dev.file().with_file_name("before.json");
    std::fs::copy(dev.file(), &before).unwrap();
    let (folder, _) = dev.stop();
    std::fs::remove_file(folder.path().join("data/credentials.json")).unwrap();
    let again = Dev::start_in(folder, &[]);
    json_of(&token(&["tencent"], &again.file()));
    let mut old: Value =
        serde_json::from_slice(&std::fs::read(again.folder.path().join("before.json")).unwrap()).unwrap();
    old["url"] = again.credentials["url"].clone();
    std::fs::write(&before, old.to_string()).unwrap();
    assert_eq!(token(&["tencent"], &before).status.code(), Some(1));
}

#[test]
fn a_credentials_file_without_its_store_is_not_believed() {
    let dev = Dev::start();
    let (folder, _) = dev.stop();
    for name in ["daypass.db", "daypass.db-wal", "daypass.db-shm"] {
        let _ = std::fs::remove_file(folder.path().join("data").join(name));
    }
    let again = Dev::start_in(folder, &[]);
    json_of(&token(&["tencent"], &again.file()));
}

#[test]
fn dev_listens_on_loopback_alone() {
    let output = daypass().args(["dev", "--listen", "0.0.0.0:0"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8(output.stderr).unwrap().contains("loopback"));
}

#[test]
fn a_client_added_while_the_server_runs_is_served_and_a_disabled_one_is_not() {
    let dev = Dev::start();
    let added = json_of(&dev.cli(&["client", "add", "edge", "--kind", "tencent", "--role", "soe", "--json"]));
    let mut file = dev.credentials.clone();
    file["tencent"]["secret_id"] = added["keys"][0]["secret_id"].clone();
    file["tencent"]["secret_key"] = added["keys"][0]["secret_key"].clone();
    let path = dev.folder.path().join("edge.json");
    std::fs::write(&path, file.to_string()).unwrap();
    soon("the new client", || token(&["tencent"], &path).status.success());

    let listed = json_of(&dev.cli(&["client", "list", "--json"]));
    assert_eq!(listed.as_array().unwrap().len(), 4);
    assert!(
        !stdout(&dev.cli(&["client", "show", "edge"]))
            .contains(file["tencent"]["secret_key"].as_str().unwrap())
    );

    let rotated = json_of(&dev.cli(&["client", "rotate", "edge", "--json"]));
    let new = rotated["keys"][0]["id"].as_str().unwrap().to_owned();
    assert!(token(&["tencent"], &path).status.success(), "the old key works on");
    assert_eq!(dev.cli(&["client", "rotate", "edge"]).status.code(), Some(1), "a third key is refused");
    let old = added["keys"][0]["id"].as_str().unwrap();
    assert!(dev.cli(&["client", "retire", "edge", old, "--force"]).status.success());
    soon("the retirement", || token(&["tencent"], &path).status.code() == Some(1));
    file["tencent"]["secret_id"] = new.into();
    file["tencent"]["secret_key"] = rotated["keys"][0]["secret_key"].clone();
    std::fs::write(&path, file.to_string()).unwrap();
    assert!(token(&["tencent"], &path).status.success());

    assert!(dev.cli(&["client", "disable", "edge"]).status.success());
    soon("the disabling", || token(&["tencent"], &path).status.code() == Some(1));
    assert!(dev.cli(&["client", "enable", "edge"]).status.success());
    soon("the enabling", || token(&["tencent"], &path).status.success());
}

#[test]
fn client_add_refuses_what_the_configuration_does_not_have() {
    let dev = Dev::start();
    for (args, code, said) in [
        (&["--kind", "tencent", "--role", "nothing"][..], 2, "no role `nothing`"),
        (&["--kind", "top", "--role", "store-upload"], 2, "--bind"),
        (&["--kind", "top", "--role", "soe", "--bind", "poi_id=1"], 2, "none of the roles has a variable"),
        (&["--kind", "tencent", "--role", "soe", "--tenant", "nobody"], 2, "no tenant `nobody`"),
        (&["--role", "soe"], 2, "--kind"),
    ] {
        let output = dev.cli(&[&["client", "add", "new"], args].concat());
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{error}");
        assert!(error.contains(said), "{error}");
    }
    let twice = dev.cli(&["client", "add", "soe-server", "--kind", "tencent", "--role", "soe"]);
    assert_eq!(twice.status.code(), Some(1), "{twice:?}");
    assert_eq!(dev.cli(&["client", "show", "nobody"]).status.code(), Some(1));
}

#[test]
fn a_weak_proof_is_refused_in_the_name_of_one_client() {
    let dev = Dev::start();
    let older = || token(&["tencent", "--v1"], &dev.file()).status.code();
    assert_eq!(
        (older(), token(&["tencent", "--v1", "sha256"], &dev.file()).status.code()),
        (Some(0), Some(0))
    );
    let set = json_of(&dev.cli(&["client", "refuse", "soe-server", "--v1", "--unsigned-payload", "--json"]));
    assert_eq!(
        set["client"]["refuses"],
        serde_json::json!({ "unsigned_payload": true, "md5": false, "v1": true })
    );
    soon("the refusal", || older() == Some(1));
    assert_eq!(token(&["tencent", "--unsigned-payload"], &dev.file()).status.code(), Some(1));
    json_of(&token(&["tencent"], &dev.file()));
    json_of(&token(&["alibaba", "--sign-method", "md5"], &dev.file()));
    let shown = stdout(&dev.cli(&["client", "show", "soe-server"]));
    assert!(shown.contains("refuses unsigned-payload, v1"), "{shown}");

    assert!(dev.cli(&["client", "refuse", "soe-server", "--nothing"]).status.success());
    soon("the change of mind", || older() == Some(0));
    assert!(!stdout(&dev.cli(&["client", "show", "soe-server"])).contains("refuses"));
    let records = stdout(&dev.cli(&["audit", "tail", "-n", "50"]));
    assert!(records.contains("client.refuse soe-server unsigned-payload,v1"), "{records}");
    assert!(records.contains("client.refuse soe-server nothing"), "{records}");
    for bad in
        [&["client", "refuse", "soe-server"][..], &["client", "refuse", "soe-server", "--nothing", "--md5"]]
    {
        assert_eq!(dev.cli(bad).status.code(), Some(2), "{bad:?}");
    }
    let at_once =
        ["client", "add", "careful", "--kind", "tencent", "--role", "soe", "--refuse", "v1,md5", "--json"];
    let added = json_of(&dev.cli(&at_once));
    assert_eq!(
        added["client"]["refuses"],
        serde_json::json!({ "unsigned_payload": false, "md5": true, "v1": true })
    );
}

#[test]
fn a_ticket_key_is_made_and_its_client_may_use_any_value() {
    let dev = Dev::start();
    let add = ["client", "add", "web", "--kind", "ticket", "--role", "store-upload", "--json"];
    let without = dev.cli(&add);
    assert_eq!(without.status.code(), Some(2));
    assert!(stdout(&without).contains("--any poi_id"), "{without:?}");
    let both = dev.cli(&[&add[..], &["--any", "poi_id", "--bind", "poi_id=1"]].concat());
    assert!(stdout(&both).contains("both --any and --bind"), "{both:?}");
    let added = json_of(&dev.cli(
        &[&add[..], &["--any", "poi_id", "--bind", "tenant_code=a", "--bind", "tenant_code=b"]].concat(),
    ));
    let bind = serde_json::json!({ "poi_id": ["*"], "tenant_code": ["a", "b"] });
    assert_eq!(added["client"]["grants"], serde_json::json!([{ "role": "store-upload", "bind": bind }]));
    let key = &added["keys"][0];
    assert!(key["key_id"].as_str().unwrap().starts_with("TK") && key["key_id"] == key["id"], "{key}");
    assert_eq!(key["key_secret"].as_str().unwrap().len(), 43);
    let rotated = json_of(&dev.cli(&["client", "rotate", "web", "--json"]));
    assert_eq!(rotated["keys"][0]["kind"], "ticket");
}

#[test]
fn a_role_is_assumed_with_tags_in_both_ways_of_signing() {
    let dev = Dev::start();
    let arn = "qcs::cam::uin/100000000001:roleName/soe";
    let assume = ["tencent", "--assume", arn, "--session", "ci-7", "--tag", "team=web", "--duration", "900"];
    for more in [&[][..], &["--v1"], &["--v1", "sha256"]] {
        let answer = json_of(&token(&[&assume, more].concat(), &dev.file()));
        assert!(answer["Response"]["Credentials"]["Token"].is_string(), "{more:?} {answer}");
    }
    let other = token(&["tencent", "--assume", "qcs::cam::uin/100000000001:roleName/nobody"], &dev.file());
    assert_eq!(other.status.code(), Some(1));
}

#[test]
fn a_role_of_alibaba_cloud_is_assumed_in_both_ways_of_signing() {
    let dev = Dev::start();
    let credentials: serde_json::Value = serde_json::from_slice(&std::fs::read(dev.file()).unwrap()).unwrap();
    let arn = credentials["alibaba"]["role_arn"].as_str().unwrap();
    for more in [&[][..], &["--rpc"]] {
        let asked =
            |args: &[&str]| json_of(&token(&[&["alibaba", "--sts"], args, more].concat(), &dev.file()));
        let answer = asked(&["--session", "ci-7", "--duration", "900"]);
        assert_eq!(answer["AssumedRoleUser"]["Arn"], format!("{arn}/ci-7"), "{more:?} {answer}");
        assert!(answer["Credentials"]["AccessKeyId"].as_str().unwrap().starts_with("STS."), "{answer}");
        assert_eq!(asked(&["--whoami"])["IdentityType"], "RAMUser");
        let xml = token(&[&["alibaba", "--sts", "--format", "xml"], more].concat(), &dev.file());
        assert!(xml.status.success() && stdout(&xml).contains("<AssumeRoleResponse>"), "{xml:?}");
    }
    // What a store got at the gateway says itself what it may do, in a shape that is taken here as well.
    let shown = json_of(&token(&["alibaba"], &dev.file()));
    let root = shown.as_object().unwrap().values().next().unwrap();
    let policy = root["result"]["policy"].to_string();
    let elsewhere = token(&["alibaba", "--sts", "--policy", &policy], &dev.file());
    assert_eq!(elsewhere.status.code(), Some(1));
    assert!(stdout(&elsewhere).contains("NoPermission"), "of another folder: {elsewhere:?}");
    let other = token(&["alibaba", "--sts", "--assume", "acs:ram::100000000001:role/nobody"], &dev.file());
    assert!(other.status.code() == Some(1) && stdout(&other).contains("EntityNotExist.Role"), "{other:?}");
}

#[test]
fn a_page_of_a_listed_origin_is_served_and_another_is_not() {
    let dev = Dev::start();
    let answer = json_of(&token(&["browser"], &dev.file()));
    assert!(answer["Credentials"]["TmpSecretId"].is_string(), "{answer}");
    let other = token(&["browser", "--origin", "https://evil.example"], &dev.file());
    assert_eq!(other.status.code(), Some(1), "{other:?}");
    assert!(stdout(&other).contains("Error"), "{other:?}");
}

#[test]
fn ring_list_names_every_key_and_shows_none() {
    let dev = Dev::start();
    let rows = json_of(&dev.cli(&["ring", "list", "--json"]));
    assert_eq!(rows.as_array().unwrap().len(), 11);
    assert!(rows.as_array().unwrap().iter().all(|row| row["state"] == "active" && row["version"] == 1));
    assert!(stdout(&dev.cli(&["ring", "list"])).starts_with("PURPOSE"));
}

#[test]
fn audit_tail_and_verify_see_what_happened() {
    let dev = Dev::start();
    json_of(&token(&["tencent"], &dev.file()));
    assert_eq!(token(&["tencent", "--duration", "999999"], &dev.file()).status.code(), Some(1));
    assert_eq!(stdout(&dev.cli(&["audit", "tail", "-n", "2"])).lines().count(), 2);
    // What the server does by itself, such as preparing its next keys, is recorded as well.
    let text = stdout(&dev.cli(&["audit", "tail", "-n", "50"]));
    let asked = |line: &&str| line.contains(" granted ") || line.contains(" refused ");
    let lines: Vec<_> = text.lines().filter(asked).collect();
    assert_eq!(lines.len(), 2, "{text}");
    assert!(lines[0].contains(" granted AKID") && lines[0].contains("role=soe"), "{text}");
    assert!(lines[1].contains(" refused lifetime_too_long"), "{text}");
    let verified = json_of(&dev.cli(&["audit", "verify", "--json"]));
    assert_eq!(verified["faults"], serde_json::json!([]));
    assert!(verified["records"].as_u64().unwrap() >= 6, "{verified}");
}

#[test]
fn audit_verify_finds_no_fault_while_the_server_writes() {
    let dev = Dev::start();
    std::thread::scope(|scope| {
        let asking = scope.spawn(|| {
            for _ in 0..300 {
                assert_eq!(dev.send("GET", "/getAuthorization", &[], b"").status, 200);
            }
        });
        while !asking.is_finished() {
            json_of(&dev.cli(&["audit", "verify", "--json"]));
        }
    });
    assert!(json_of(&dev.cli(&["audit", "verify", "--json"]))["records"].as_u64().unwrap() > 300);
}

#[test]
fn token_says_refused_usage_and_unreachable_by_its_exit_code() {
    let dev = Dev::start();
    assert_eq!(token(&["alibaba", "--poi", "1"], &dev.file()).status.code(), Some(1));
    assert_eq!(token(&["entra", "--scope", "x"], &dev.file()).status.code(), Some(1));
    assert_eq!(token(&["tencent"], &dev.folder.path().join("missing.json")).status.code(), Some(2));
    for method in ["md5", "hmac", "hmac-sha256"] {
        json_of(&token(&["alibaba", "--sign-method", method], &dev.file()));
    }
    let xml = token(&["alibaba", "--format", "xml"], &dev.file());
    assert!(xml.status.success() && stdout(&xml).contains("<access_key_id>STS."), "{xml:?}");
    let identity = json_of(&token(&["tencent", "--whoami"], &dev.file()));
    assert!(identity["Response"]["Arn"].is_string(), "{identity}");
    json_of(&token(&["tencent", "--unsigned-payload"], &dev.file()));
    let file = dev.file();
    let credentials = std::fs::read(&file).unwrap();
    let (folder, _) = dev.stop();
    std::fs::write(folder.path().join("credentials.json"), credentials).unwrap();
    assert_eq!(token(&["tencent"], &folder.path().join("credentials.json")).status.code(), Some(3));
}

#[test]
fn init_check_and_serve_go_together() {
    let folder = tempfile::tempdir().unwrap();
    let init = daypass().arg("init").arg(folder.path()).output().unwrap();
    assert!(init.status.success(), "{init:?}");
    let key = folder.path().join("seal.key");
    assert_eq!(std::fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    let again = daypass().arg("init").arg(folder.path()).output().unwrap();
    assert_eq!(again.status.code(), Some(2), "what exists is not overwritten");

    let file = folder.path().join("daypass.toml");
    let check = daypass().arg("check").arg("--config").arg(&file).output().unwrap();
    assert!(check.status.success(), "{check:?}");

    let serve = Serve::start(
        daypass().args(["serve", "--config"]).arg(&file).env("DAYPASS__SERVER__LISTEN", "127.0.0.1:0"),
    );
    let address = &serve.host;
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(format!("GET /readyz HTTP/1.1\r\nhost: {address}\r\n\r\n").as_bytes()).unwrap();
    let mut answer = [0; 15];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200 OK");

    let began = Instant::now();
    serve.stop();
    assert!(began.elapsed() < PATIENCE);
}

#[test]
fn check_names_file_line_and_column() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("daypass.toml");
    std::fs::write(&file, "[server]\nlissten = \"127.0.0.1:5050\"\n").unwrap();
    let output = daypass().arg("check").arg("--config").arg(&file).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let text = stdout(&output);
    assert!(text.contains("daypass.toml:2:1:") && text.contains("`listen`"), "{text}");
    let json = daypass().args(["check", "--json", "--config"]).arg(&file).output().unwrap();
    let json: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert!(json["errors"].as_array().unwrap().iter().any(|error| error["line"] == 2), "{json}");
}

#[test]
fn a_signal_drops_no_request_that_was_sent() {
    let dev = Dev::start();
    let host = dev.host();
    let request = format!("GET /getAuthorization HTTP/1.1\r\nhost: {host}\r\n\r\n");
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let begun = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let workers: Vec<_> = (0..8)
        .map(|_| {
            let (host, request, stop, begun) = (host.clone(), request.clone(), stop.clone(), begun.clone());
            std::thread::spawn(move || {
                let mut answered = 0;
                let mut stream = TcpStream::connect(&host).unwrap();
                stream.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
                while !stop.load(std::sync::atomic::Ordering::SeqCst) {
                    stream.write_all(request.as_bytes()).unwrap();
                    let answer = read_answer(&mut stream);
                    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
                    answered += 1;
                    begun.fetch_add(usize::from(answered == 1), std::sync::atomic::Ordering::SeqCst);
                    if answer.to_ascii_lowercase().contains("connection: close") {
                        return answered;
                    }
                }
                answered
            })
        })
        .collect();
    soon("all are under way", || begun.load(std::sync::atomic::Ordering::SeqCst) == 8);
    dev.stop();
    stop.store(true, std::sync::atomic::Ordering::SeqCst);
    for worker in workers {
        assert!(worker.join().unwrap() > 0);
    }
}

fn read_answer(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&answer);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.to_ascii_lowercase();
            let length =
                length.split("content-length: ").nth(1).unwrap().split('\r').next().unwrap().parse().unwrap();
            if body.len() >= length {
                return text.into_owned();
            }
        }
        let n = stream.read(&mut buffer).unwrap();
        assert!(n > 0, "cut off in the middle of an answer");
        answer.extend_from_slice(&buffer[..n]);
    }
}
