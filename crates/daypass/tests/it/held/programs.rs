//! Programs that find a credential in their environment, or that start another one for it.

use super::World;
use serde_json::Value;
use std::os::unix::process::ExitStatusExt as _;
use std::process::Command;

#[test]
fn a_shell_takes_the_variables() {
    let world = World::start();
    let lines = world.said(&["env", "tencent"]);
    let script = format!("{lines}\nprintf '%s %s' \"$TENCENTCLOUD_SECRET_ID\" \"$TENCENTCLOUD_TOKEN\"");
    let output = Command::new("sh").args(["-c", &script]).env_clear().output().unwrap();
    let document: Value = serde_json::from_str(&world.said(&["env", "tencent", "--json"])).unwrap();
    let of = |name: &str| document[name].as_str().unwrap().to_owned();
    let expected = format!("{} {}", of("TENCENTCLOUD_SECRET_ID"), of("TENCENTCLOUD_SESSION_TOKEN"));
    assert_eq!(String::from_utf8(output.stdout).unwrap(), expected);
    let fish = world.said(&["env", "tencent", "--shell", "fish"]);
    assert!(fish.starts_with("set -gx TENCENTCLOUD_SECRET_ID 'AKID"), "{fish}");
    let powershell = world.said(&["env", "tencent", "--shell", "powershell"]);
    assert!(powershell.starts_with("$env:TENCENTCLOUD_SECRET_ID = 'AKID"), "{powershell}");
    assert_eq!(world.said(&["env", "tencent", "--shell", "json"]), world.said(&["env", "tencent", "--json"]));
}

#[test]
fn a_program_has_the_credential_and_not_the_long_lived_key_of_its_parent() {
    let world = World::start();
    let script = "echo $$ $ALIBABA_CLOUD_ACCESS_KEY_ID $OSS_ACCESS_KEY_ID [$ALIBABA_CLOUD_ROLE_ARN$ALICLOUD_ACCESS_KEY] $OTHER";
    let mut command = world.command(&["exec", "alibaba", "--sts", "--", "sh", "-c", script]);
    command.env("ALIBABA_CLOUD_ACCESS_KEY_ID", "LTAIlong").env("ALICLOUD_ACCESS_KEY", "LTAIlong");
    command.env("ALIBABA_CLOUD_ROLE_ARN", "acs:ram::1:role/admin").env("OTHER", "stays");
    let child = command.stdout(std::process::Stdio::piped()).spawn().unwrap();
    let process = child.id().to_string();
    let said = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
    let words: Vec<_> = said.split_whitespace().collect();
    assert_eq!(words[0], process, "it is the same process, so signals need not be passed on");
    assert!(words[1].starts_with("STS.") && words[1] == words[2], "{said}");
    assert_eq!(&words[3..], ["[]", "stays"]);
    // The secret is nowhere but in the environment.
    assert!(
        !world.said(&["exec", "alibaba", "--sts", "--", "sh", "-c", "cat /proc/$$/cmdline"]).contains("STS.")
    );
}

#[test]
fn the_exit_code_is_the_programs() {
    let world = World::start();
    let code = |args: &[&str]| world.run(&[&["exec", "entra", "--"], args].concat()).status;
    assert_eq!(code(&["sh", "-c", "exit 42"]).code(), Some(42));
    assert_eq!(code(&["true"]).code(), Some(0));
    assert_eq!(code(&["/no/such/program"]).code(), Some(127));
    assert_eq!(code(&["/etc/passwd"]).code(), Some(126));
    assert_eq!(code(&["sh", "-c", "kill -TERM $$"]).signal(), Some(15));
    // Nothing is started where there is no credential.
    world.front.cut_off();
    let output = world.run(&["exec", "tencent", "--", "sh", "-c", "echo started"]);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(3), 0), "{output:?}");
    assert_eq!(world.run(&["exec", "entra"]).status.code(), Some(2));
}

#[test]
fn each_vendors_reader_gets_its_document() {
    let world = World::start();
    let document = |args: &[&str]| -> Value {
        serde_json::from_str(&world.said(&[&["credential-process"], args].concat())).unwrap()
    };
    let alibaba = document(&["alibaba", "--sts"]);
    assert_eq!(alibaba["mode"], "StsToken");
    let end: &str = alibaba["expiration"].as_str().unwrap();
    assert!(end.len() == 20 && end.ends_with('Z'), "{end}");
    assert!(document(&["tencent"])["secretId"].as_str().unwrap().starts_with("AKID"));
    let entra = document(&["entra"]);
    assert_eq!(
        (&entra["tokenType"], &entra["tenant"]),
        (&"Bearer".into(), &world.dev.credentials["entra"]["tenant"])
    );
    assert!(entra["expires_on"].is_i64());
    // Who a key belongs to is no credential.
    let output = world.run(&["credential-process", "tencent", "--whoami"]);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0), "{output:?}");
}
