//! What a service manager is told, by a stand-in for systemd.

use super::{Site, text};
use crate::patience::find;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

fn told(ear: &UnixDatagram) -> String {
    let mut bytes = [0; 1024];
    let read = ear.recv(&mut bytes).unwrap();
    String::from_utf8(bytes[..read].to_vec()).unwrap()
}

#[test]
fn the_manager_hears_of_start_reload_and_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let ear = UnixDatagram::bind(&path).unwrap();
    ear.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
    let runtime = folder.path().join("runtime");
    std::fs::create_dir(&runtime).unwrap();
    let environment = [("NOTIFY_SOCKET", &*path), ("RUNTIME_DIRECTORY", &*runtime)];
    let site = Site::start_with("", &environment);
    let first = told(&ear);
    assert!(first.starts_with("READY=1\nSTATUS=answers at http://127.0.0.1:5050/one"), "{first}");
    // The socket is where the manager made a folder for it.
    let socket = runtime.join("control.sock");
    assert!(socket.exists() && !site.folder.path().join("daypass.sock").exists());

    site.write(&text("two"));
    site.hangup();
    let reloading = told(&ear);
    assert!(reloading.starts_with("RELOADING=1\nMONOTONIC_USEC="), "{reloading}");
    assert!(told(&ear).starts_with("READY=1\nSTATUS=runs on the configuration "));
    assert_eq!(site.word(), "two");
    site.write("nonsense");
    site.hangup();
    assert!(told(&ear).starts_with("RELOADING=1\n"));
    assert_eq!(told(&ear), "READY=1\nSTATUS=the last reload was refused; the configuration of before stays");
    site.stop();
    assert!(told(&ear).starts_with("STOPPING=1\n"));
    find("it", || (!socket.exists()).then_some(()));
}

#[test]
fn the_manager_hears_that_the_service_lives() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let ear = UnixDatagram::bind(&path).unwrap();
    ear.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
    let site = Site::start_with("", &[("NOTIFY_SOCKET", &path), ("WATCHDOG_USEC", "400000".as_ref())]);
    let all: Vec<_> = (0..5).map(|_| told(&ear)).collect();
    assert!(all.iter().filter(|one| *one == "WATCHDOG=1").count() >= 4, "{all:?}");
    site.stop();
}
