//! A credential is asked for once, for all programs of one user.

use super::{World, files, mode, token};
use crate::patience::promised;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;

#[test]
fn one_question_is_enough_for_every_verb_and_for_programs_that_start_at_once() {
    let world = World::start();
    let children: Vec<_> = (0..8)
        .map(|_| {
            world.command(&["token", "entra"]).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap()
        })
        .collect();
    let tokens: Vec<_> = children
        .into_iter()
        .map(|child| token(&String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap()))
        .collect();
    assert!(tokens.iter().all(|one| *one == tokens[0]), "all have the same");
    assert!(world.said(&["env", "entra"]).contains(&tokens[0]));
    assert!(world.said(&["credential-process", "entra"]).contains(&tokens[0]));
    assert!(
        world.said(&["exec", "entra", "--", "sh", "-c", "echo $AZURE_ACCESS_TOKEN"]).contains(&tokens[0])
    );
    assert_eq!((world.given(), world.front.count()), (1, 1));
    // A person is told where the answer came from.
    let output = world.run(&["token", "entra"]);
    assert!(String::from_utf8(output.stderr).unwrap().contains("--no-cache asks anew"));
    // Each vendor's is another one, and each way of asking.
    for args in [["token", "tencent"], ["token", "alibaba"], ["env", "tencent"], ["env", "alibaba"]] {
        world.said(&args);
    }
    world.said(&["env", "alibaba", "--sts"]);
    world.said(&["env", "alibaba", "--poi", "8006"]);
    world.said(&["token", "alibaba", "--format", "xml"]);
    assert_eq!(world.given(), 6);
    world.said(&["token", "alibaba", "--format", "xml"]);
    assert_eq!(world.given(), 6, "the end of an answer in XML is found too");
}

#[test]
fn without_the_cache_every_command_asks_and_nothing_is_written() {
    let world = World::start();
    for _ in 0..2 {
        world.said(&["token", "entra", "--no-cache"]);
    }
    assert_eq!(world.given(), 2);
    assert!(!world.kept().exists());
    // The same where the environment names no folder.
    let output = world.command(&["token", "entra"]).env_remove("XDG_RUNTIME_DIR").output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    assert_eq!(world.given(), 3);
    // Who it is has no end, and is not kept either.
    for _ in 0..2 {
        world.said(&["token", "tencent", "--whoami"]);
    }
    assert_eq!(files(&world.kept(), "json").len(), 0);
}

#[test]
fn what_is_kept_is_its_owners_alone_or_not_used() {
    let world = World::start();
    let first = token(&world.said(&["token", "entra"]));
    let folder = world.kept();
    assert_eq!(mode(&folder), 0o700);
    let [file] = &files(&folder, "json")[..] else { panic!("one credential is kept") };
    assert_eq!(mode(file), 0o600);
    // A file that others could have changed is asked for anew, and put right.
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o644)).unwrap();
    let second = token(&world.said(&["token", "entra"]));
    assert_ne!(first, second);
    assert_eq!(mode(file), 0o600);
    // One that is broken too.
    std::fs::write(file, "{").unwrap();
    assert_ne!(token(&world.said(&["token", "entra"])), second);
    // A folder that is open is not used, and nothing is asked.
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o755)).unwrap();
    let before = world.front.count();
    let output = world.run(&["token", "entra"]);
    assert_eq!((output.status.code(), world.front.count()), (Some(2), before));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("is open to others (mode 755") && said.contains("--no-cache"), "{said}");
}

#[test]
fn another_key_is_another_credential() {
    let world = World::start();
    world.said(&["token", "entra"]);
    let text = std::fs::read_to_string(world.file()).unwrap();
    let secret = world.dev.credentials["entra"]["client_secret"].as_str().unwrap();
    std::fs::write(world.file(), text.replace(secret, "another")).unwrap();
    let output = world.run(&["token", "entra"]);
    assert_eq!(
        output.status.code(),
        Some(1),
        "what the right secret got is not shown to a wrong one: {output:?}"
    );
    std::fs::write(world.file(), text).unwrap();
    world.said(&["token", "entra"]);
    assert_eq!(world.given(), 1);
}

/// A credential is always due with this: whatever it has left is less.
const ALWAYS_DUE: [&str; 2] = ["--min-remaining", "1000000"];

#[test]
fn while_the_server_is_gone_the_good_one_is_served_and_never_one_that_is_over() {
    let world = World::start();
    let first = token(&world.said(&["token", "entra"]));
    let due = [&["token", "entra"][..], &ALWAYS_DUE].concat();
    world.said(&["env", "tencent", "--duration", "8"]);
    world.front.cut_off();
    let asked = world.front.count();
    for _ in 0..3 {
        let output = world.run(&due);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success() && said.contains("going on with the one that is good for"), "{said}");
        assert_eq!(token(&String::from_utf8(output.stdout).unwrap()), first);
    }
    assert_eq!(world.front.count(), asked + 1, "a server that fails is left in peace for a while");
    // One of eight seconds is over when five are left.
    std::thread::sleep(std::time::Duration::from_millis(3500));
    let output = world.run(&["env", "tencent", "--duration", "8"]);
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    assert!(output.stdout.is_empty(), "{output:?}");
    // The server is back: at once for what has to be asked for, and after the while for what is still good, which the
    // test does not wait out.
    world.front.lead_to(&world.dev);
    world.said(&["env", "tencent", "--duration", "8"]);
    assert_eq!(world.given(), 3);
    for lock in files(&world.kept(), "lock") {
        std::fs::write(lock, "").unwrap();
    }
    let second = token(&world.said(&due));
    assert_ne!(second, first, "it is renewed");
    assert_eq!(token(&world.said(&["token", "entra"])), second);
}

#[test]
fn a_server_that_says_no_is_believed() {
    let world = World::start();
    world.said(&["env", "entra"]);
    let output = world.dev.cli(&["client", "disable", "devcenter-app"]);
    assert!(output.status.success(), "{output:?}");
    // Nobody asked the server, so nobody knows.
    world.said(&["env", "entra"]);
    let due = [&["env", "entra"][..], &ALWAYS_DUE].concat();
    // The server hears of it within two seconds; until then it gives.
    promised("the end of the client", || world.run(&due).status.code() == Some(1));
    for args in [&due[..], &["env", "entra"]] {
        let output = world.run(args);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(String::from_utf8(output.stderr).unwrap().contains("AADSTS7000112"));
    }
    let json = world.command(&due).arg("--json").output().unwrap();
    let document: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(document["error"], "refused");
}
