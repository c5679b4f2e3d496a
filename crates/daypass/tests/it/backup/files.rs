//! Files that are not restored from, and what is left where restoring was broken off.

use super::{Served, Site, Temporary, kill_after};
use daypass_core::age::{Lock, Recipient, Writer};
use daypass_core::backup;
use daypass_core::testing::SeededEntropy;
use daypass_core::transfer::{SOUND, VERSION};
use daypass_faults::postgres::Server;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

/// A store with a backup, and its files: the backup, its key, its recipient.
fn backed_up(many: u64) -> (Served, [String; 3]) {
    let served = Served::start(Site::on(None));
    served.grants(many);
    let (key, recipient) = served.site.key("backup.key");
    let file = served.site.path("store.backup").display().to_string();
    served.site.done(&["backup", "--to", &recipient, "--out", &file]);
    (served, [file, key, recipient])
}

/// Encrypts lines for somebody, which takes nothing but his recipient.
fn forged(lines: &[u8], recipient: &str, out: &Path) {
    let lock = Lock::To(vec![recipient.parse::<Recipient>().unwrap()]);
    let writer = Writer::new(std::fs::File::create(out).unwrap(), &lock, &SeededEntropy::new(1)).unwrap();
    let mut packed = flate2::write::GzEncoder::new(writer, flate2::Compression::fast());
    packed.write_all(lines).unwrap();
    packed.finish().unwrap().finish().unwrap();
}

fn lines(file: &str, key: &str) -> String {
    use daypass_core::age::{Identity, Opener, Reader};
    let opener = Opener::Identities(Identity::all(&std::fs::read_to_string(key).unwrap()).unwrap());
    let file = std::fs::File::open(file).unwrap();
    let reader = Reader::new(std::io::BufReader::new(file), &opener).unwrap();
    let mut text = String::new();
    flate2::read::MultiGzDecoder::new(reader).read_to_string(&mut text).unwrap();
    text
}

#[test]
fn what_is_wrong_with_a_backup_is_told_before_the_first_write() {
    let (served, [file, key, recipient]) = backed_up(20);
    let site = &served.site;
    let good = std::fs::read(&file).unwrap();
    let text = lines(&file, &key);
    assert!(!text.contains(&served.clients.tencent.1), "no secret in clear, whoever has the key");
    assert!(!good.windows(5).any(|five| five == b"asker"), "and no name, whoever has not");

    let bad = site.path("bad.backup");
    let other = site.empty(None);
    let (wrong_key, _) = site.key("wrong.key");
    let name = bad.display().to_string();
    let refused = |key: &str, told: &str| {
        for args in
            [vec!["restore", &name, "--identity", key], vec!["backup", "verify", &name, "--identity", key]]
        {
            let said = other.refused(1, &args);
            assert!(said.contains(told), "{told}: {said}");
        }
        assert!(!other.installation.database().exists(), "{told}: something was written");
    };
    for length in [good.len() - 1, good.len() / 2, 100, 0] {
        std::fs::write(&bad, &good[..length]).unwrap();
        refused(&key, "is not restored from");
    }
    for at in [good.len() - 10, good.len() / 2, 60, 400] {
        let mut flipped = good.clone();
        flipped[at] ^= 1;
        std::fs::write(&bad, flipped).unwrap();
        refused(&key, "is not restored from");
    }
    std::fs::write(&bad, &good).unwrap();
    refused(&wrong_key, "was not encrypted for this key");

    let (head, rest) = text.split_once('\n').unwrap();
    let mut header: backup::Header = serde_json::from_str(head).unwrap();
    assert_eq!(header.version, SOUND, "nothing in it may be damaged, so older versions read it too");
    header.version = VERSION + 1;
    let newer = format!("{}\n{rest}", serde_json::to_string(&header).unwrap());
    forged(newer.as_bytes(), &recipient, &bad);
    refused(&key, "use the newer one");
    // The same rows, by somebody who can encrypt: a client of his own would be in it.
    header.version = SOUND;
    header.program = "somebody".into();
    forged(format!("{}\n{rest}", serde_json::to_string(&header).unwrap()).as_bytes(), &recipient, &bad);
    refused(&key, "did not have the ring");
    forged(text.replace("\"asker\\", "\"thief\\").as_bytes(), &recipient, &bad);
    refused(&key, "does not hold what its manifest says");

    // With another seal key, and where there is a store.
    let stranger = Site::on(None);
    let said = stranger.refused(1, &["restore", &file, "--identity", &key]);
    assert!(said.contains("needs the seal key") && !stranger.installation.database().exists(), "{said}");
    let said = site.refused(1, &["restore", &file, "--identity", &key]);
    assert!(said.contains("stop it first"), "{said}");
    let Served { site, node, .. } = served;
    node.stop().unwrap();
    let before = std::fs::read(site.installation.database()).unwrap();
    let said = site.refused(1, &["restore", &file, "--identity", &key]);
    assert!(said.contains("not empty"), "{said}");
    assert_eq!(std::fs::read(site.installation.database()).unwrap().len(), before.len());
    site.done(&["audit", "verify"]);
}

#[test]
fn a_backup_overwrites_nothing_and_says_who_may_open_it() {
    let (served, [file, key, recipient]) = backed_up(5);
    let site = &served.site;
    let before = std::fs::read(&file).unwrap();
    let said = site.refused(2, &["backup", "--to", &recipient, "--out", &file]);
    assert!(said.contains("exists") && std::fs::read(&file).unwrap() == before, "{said}");
    let new = site.path("new.backup").display().to_string();
    assert!(site.refused(2, &["backup", "--out", &new]).contains("--to RECIPIENT"));
    assert!(site.refused(2, &["backup", "--out", &new, "--to", "age1nobody"]).contains("begins with `age1`"));
    // By a passphrase, restored without taking credentials back.
    let passphrase = site.path("passphrase").display().to_string();
    std::fs::write(&passphrase, "correct horse battery staple\n").unwrap();
    let said = site.refused(2, &["backup", "--out", &new, "--passphrase-file", &passphrase]);
    assert!(said.contains("chmod") || said.contains("mode"), "{said}");
    std::fs::set_permissions(&passphrase, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let kept = Temporary::ask(&site.installation, &served.asker);
    site.done(&["backup", "--out", &new, "--passphrase-file", &passphrase]);
    let other = site.empty(None);
    let said = other.refused(1, &["restore", &new, "--identity", &key]);
    assert!(said.contains("was not encrypted for this key"), "{said}");
    let said = other.done(&["restore", &new, "--passphrase-file", &passphrase, "--keep-credentials"]);
    assert!(said.contains("still count"), "{said}");
    let _node = other.installation.start().unwrap();
    assert!(kept.counts(&other.installation, &served.clients));
    let entries = std::fs::read_dir(site.folder.path()).unwrap();
    let left: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name())
        .filter(|name| name.to_string_lossy().starts_with('.'))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

/// Where the standard tool is: `DAYPASS_AGE` names it, or else it is looked for as any program is.
fn age() -> Option<std::ffi::OsString> {
    let named = std::env::var_os("DAYPASS_AGE").filter(|named| !named.is_empty());
    let age = named.unwrap_or_else(|| "age".into());
    let runs = Command::new(&age).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    if runs.is_ok_and(|status| status.success()) {
        return Some(age);
    }
    // Past the test harness, which keeps what a test that passes prints.
    let _ = writeln!(
        std::io::stderr().lock(),
        "SKIPPED backup::files::the_standard_tool_opens_a_backup: there is no age; install Debian's `age`, or name it by DAYPASS_AGE"
    );
    None
}

#[test]
fn the_standard_tool_opens_a_backup() {
    let Some(age) = age() else { return };
    let (served, [file, key, recipient]) = backed_up(5);
    let opened = Command::new(&age).args(["-d", "-i", &key, &file]).output().unwrap();
    assert!(opened.status.success(), "{}", String::from_utf8_lossy(&opened.stderr));
    let mut text = String::new();
    flate2::read::MultiGzDecoder::new(&opened.stdout[..]).read_to_string(&mut text).unwrap();
    assert_eq!(text, lines(&file, &key));
    assert!(text.starts_with(r#"{"format":"daypass-backup""#) && text.contains(r#"{"record":"#));
    // And what it encrypted is restored from.
    let again = served.site.path("again.backup");
    let mut child =
        Command::new(&age).args(["-r", &recipient, "-o"]).arg(&again).stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(&opened.stdout).unwrap();
    assert!(child.wait().unwrap().success());
    served.site.done(&["backup", "verify", &again.display().to_string(), "--identity", &key]);
}

/// A restore that is killed at any moment leaves an empty store, into which the same restore goes.
fn killed(to: impl Fn() -> Option<String>) {
    let (served, [file, key, _]) = backed_up(1500);
    let restore = ["restore", &*file, "--identity", &*key];
    let whole = served.site.empty(to());
    let began = Instant::now();
    whole.done(&restore);
    let mut took = began.elapsed();
    let mut emptied = 0;
    for step in 1..=10 {
        let other = served.site.empty(to());
        let mut command = other.installation.command();
        command.args(restore).arg("--config").arg(other.installation.config());
        let child = command.stdout(Stdio::null()).spawn().unwrap();
        took = kill_after(child, took * step / 10).unwrap_or(took);
        let again = other.installation.cli(&restore).unwrap();
        let said = String::from_utf8_lossy(&again.stderr).into_owned();
        // Killed behind its end it was whole, and anything else would be in between.
        assert!(again.status.success() || said.contains("not empty"), "at {step} of 10: {said}");
        emptied += u32::from(again.status.success());
        other.done(&["audit", "verify"]);
        served
            .ledger
            .settle(&other.installation)
            .unwrap_or_else(|error| panic!("at {step} of 10: {error:#}"));
    }
    assert!(emptied >= 1, "it was killed in the middle {emptied} times of 10");
}

#[test]
fn a_restore_that_is_killed_leaves_nothing() {
    killed(|| None);
}

#[test]
fn a_restore_into_postgresql_that_is_killed_leaves_nothing() {
    let Some(server) = Server::start() else { return };
    killed(|| Some(server.url(&server.database())));
}
