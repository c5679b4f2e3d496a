//! The unit of systemd, and the command of an administrator that does as the unit does.

use super::{between, read};
use crate::process::daypass;

const UNIT: &str = "deploy/systemd/daypass.service";

/// The values of a setting, in their order.
fn values<'a>(unit: &'a str, name: &str) -> Vec<&'a str> {
    unit.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix('=')).collect()
}

#[test]
fn it_runs_an_option_that_exists_on_the_paths_of_the_package() {
    let unit = read(UNIT);
    let command: Vec<_> = values(&unit, "ExecStart")[0].split(' ').collect();
    assert_eq!(command, ["/usr/bin/daypass", "serve", "--config", "/etc/daypass/daypass.toml"]);
    let help = daypass().args(["serve", "--help"]).output().unwrap();
    assert!(String::from_utf8(help.stdout).unwrap().contains("--config <FILE>"));
    assert_eq!(values(&unit, "LoadCredential"), ["seal.key:/etc/daypass/seal.key"]);
    let postinst = read("deploy/debian/postinst");
    assert_eq!(between(&postinst, "\nconfig=", "\n"), "/etc/daypass");
    assert_eq!(
        between(&postinst, "\ndata=", "\n"),
        format!("/var/lib/{}", values(&unit, "StateDirectory")[0])
    );
    for (setting, flag) in [("User", "-o daypass"), ("Group", "-g daypass")] {
        assert_eq!(values(&unit, setting), ["daypass"]);
        assert!(postinst.contains(flag));
    }
    let document = values(&unit, "Documentation")[0].strip_prefix("file:/usr/share/doc/daypass/").unwrap();
    assert!(read("crates/daypass/Cargo.toml").contains(&format!("\"../../docs/{document}\"")));
}

/// systemd is told when the service answers, and that it lives; a reload fails where the service refuses one.
#[test]
fn it_is_started_watched_and_reloaded_by_what_the_program_says() {
    let unit = read(UNIT);
    for (setting, value) in [("Type", "notify"), ("NotifyAccess", "main"), ("WatchdogSec", "30s")] {
        assert_eq!(values(&unit, setting), [value], "{setting}");
    }
    let start: Vec<_> = values(&unit, "ExecStart")[0].split(' ').collect();
    let reload: Vec<_> = values(&unit, "ExecReload")[0].split(' ').collect();
    assert_eq!((reload[0], reload[1], &reload[2..]), (start[0], "reload", &start[2..]));
    let help = daypass().args(["reload", "--help"]).output().unwrap();
    assert!(String::from_utf8(help.stdout).unwrap().contains("--config <FILE>"));
    // Where a command looks for the socket of a service that has no folder of its own in its file.
    assert_eq!(values(&unit, "RuntimeDirectory"), ["daypass"]);
    let file = tempfile::tempdir().unwrap();
    let lost = daypass().arg("reload").arg("--config").arg(file.path().join("none.toml")).output().unwrap();
    let said = String::from_utf8(lost.stderr).unwrap();
    assert!(said.contains("`/run/daypass/control.sock`"), "{said}");
}

/// What a wrong configuration ends with is what the unit does not try again.
#[test]
fn a_wrong_configuration_is_not_tried_again() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("daypass.toml");
    std::fs::write(&file, "[server]\nlisten = 1\n").unwrap();
    let ended = daypass().args(["serve", "--config"]).arg(&file).output().unwrap();
    let code = ended.status.code().unwrap().to_string();
    assert_eq!(values(&read(UNIT), "RestartPreventExitStatus"), [code]);
}

/// A line that is lost here is found by nobody: the service runs as well without it.
#[test]
fn it_is_shut_in() {
    let unit = read(UNIT);
    for setting in [
        "NoNewPrivileges",
        "PrivateUsers",
        "PrivateDevices",
        "PrivateTmp",
        "PrivateIPC",
        "PrivateMounts",
        "ProtectHome",
        "ProtectClock",
        "ProtectHostname",
        "ProtectKernelLogs",
        "ProtectKernelModules",
        "ProtectKernelTunables",
        "ProtectControlGroups",
        "RestrictNamespaces",
        "RestrictRealtime",
        "RestrictSUIDSGID",
        "LockPersonality",
        "MemoryDenyWriteExecute",
    ] {
        assert_eq!(values(&unit, setting), ["yes"], "{setting}");
    }
    for (setting, value) in [
        ("CapabilityBoundingSet", ""),
        ("AmbientCapabilities", ""),
        ("ProtectSystem", "strict"),
        ("ProtectProc", "invisible"),
        ("ProcSubset", "pid"),
        ("RestrictAddressFamilies", "AF_INET AF_INET6 AF_UNIX"),
        ("SystemCallArchitectures", "native"),
        ("StateDirectoryMode", "0700"),
        ("RuntimeDirectoryMode", "0700"),
        ("UMask", "0077"),
        ("LimitCORE", "0"),
    ] {
        assert_eq!(values(&unit, setting), [value], "{setting}");
    }
    assert_eq!(values(&unit, "SystemCallFilter")[0], "@system-service");
    assert!(values(&unit, "SystemCallFilter")[1].starts_with("~@privileged "));
}

#[test]
fn the_administrators_command_has_the_units_user_key_and_folders() {
    let (unit, script) = (read(UNIT), read("deploy/debian/daypass-admin"));
    assert!(script.contains(&format!("\nkey=LoadCredential={}\n", values(&unit, "LoadCredential")[0])));
    let state = values(&unit, "StateDirectory")[0];
    for option in [
        format!("--uid={}", values(&unit, "User")[0]),
        format!("--gid={}", values(&unit, "Group")[0]),
        format!("--property=ReadWritePaths=/var/lib/{state}"),
        format!("--property=UMask={}", values(&unit, "UMask")[0]),
        // Else `doctor` warns of a bound that the service does not have.
        format!("--property=LimitNOFILE={}", values(&unit, "LimitNOFILE")[0]),
        "--property=\"$key\"".to_owned(),
        "--working-directory=/etc/daypass".to_owned(),
        "/usr/bin/daypass \"$@\"".to_owned(),
    ] {
        assert!(script.contains(&option), "{option}");
    }
}
