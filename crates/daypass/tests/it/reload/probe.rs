//! A health check by the program itself.

use super::{Site, text};
use crate::patience::soon;
use crate::process::{daypass, signal};
use crate::tls::{installed, pair, start};
use std::path::Path;

/// The exit code, and what was printed.
fn probe(file: &Path, args: &[&str]) -> (i32, String) {
    let output = daypass().arg("probe").arg("--config").arg(file).args(args).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap(), String::from_utf8(said).unwrap())
}

#[test]
fn a_service_that_lives_is_told_from_one_that_does_not() {
    let site = Site::start();
    let file = site.file();
    soon("it answers", || probe(&file, &[]) == (0, "ok\n".to_owned()));
    let ready = |said: &str| said.contains("\"ok\":true") && said.contains("/readyz");
    soon("it is ready", || matches!(probe(&file, &["--ready", "--json"]), (0, said) if ready(&said)));
    // While its file is wrong, a service is as well as before.
    for bad in ["", "[server]\nlisten = \"127.0.0.1:1\"", &text("two")[..40]] {
        site.write(bad);
        let by_socket = site.folder.path().join("daypass.sock");
        assert!(by_socket.exists());
        site.write(&format!("{bad}\n#"));
    }
    site.write(&text("one"));
    let folder = site.folder.path().to_owned();
    let kept = tempfile::tempdir().unwrap();
    std::fs::copy(folder.join("daypass.toml"), kept.path().join("daypass.toml")).unwrap();
    site.stop();
    // Nobody listens at port 1.
    let gone = kept.path().join("daypass.toml");
    std::fs::write(&gone, text("one").replace("127.0.0.1:0", "127.0.0.1:1")).unwrap();
    let (code, said) = probe(&gone, &[]);
    assert!(code == 3 && said.contains("the service at 127.0.0.1:1 is not reached"), "{said}");
    std::fs::write(&gone, "").unwrap();
    let (code, said) = probe(&gone, &[]);
    assert!(code == 2 && said.contains("does not say where the service listens"), "{said}");
}

#[test]
fn a_service_is_asked_by_tls_where_it_speaks_that() {
    let pair = pair(&["localhost"], 2000, 2100);
    let folder = installed(&pair);
    let (mut server, ..) = start(folder.path());
    let file = folder.path().join("daypass.toml");
    for args in [&[][..], &["--ready"]] {
        // A busy machine may need longer than the four seconds.
        soon("it answers", || matches!(probe(&file, args), (0, said) if said.starts_with("ok\n")));
    }
    // A service that stands still is one that does not answer.
    signal(server.0.id(), "STOP");
    let (code, said) = probe(&file, &[]);
    assert!(code == 3 && said.contains("within 4 seconds"), "{said}");
    signal(server.0.id(), "CONT");
    soon("it answers again", || probe(&file, &[]).0 == 0);
    signal(server.0.id(), "TERM");
    assert!(server.0.wait().unwrap().success());
}
