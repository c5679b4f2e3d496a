//! Second places of every kind, while they are there and while they are not.

use super::{Place, soon};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, UdpSocket};
use std::sync::{Arc, Mutex};

/// A server that takes POSTs with this status.
fn web(listener: TcpListener, status: &'static str) -> Arc<Mutex<Vec<String>>> {
    let taken = Arc::new(Mutex::new(Vec::new()));
    let all = taken.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = BufReader::new(stream.unwrap());
            let (mut length, mut head) = (0, String::new());
            loop {
                let mut line = String::new();
                if stream.read_line(&mut line).unwrap_or(0) == 0 || line == "\r\n" {
                    break;
                }
                if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
                head.push_str(&line);
            }
            let mut body = vec![0; length];
            if stream.read_exact(&mut body).is_ok() && head.contains("application/jose") {
                all.lock().unwrap().push(String::from_utf8(body).unwrap());
            }
            let _ = write!(
                stream.get_mut(),
                "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
            );
        }
    });
    taken
}

#[test]
fn each_kind_gets_every_checkpoint_and_goes_on_after_an_outage() {
    let syslog = UdpSocket::bind("127.0.0.1:0").unwrap();
    // Nobody listens there yet.
    let address = daypass_faults::port::free_address().unwrap();
    let place = Place::new(
        "sqlite:daypass.db",
        &format!(
            "checkpoint_every = \"1s\"\ncheckpoints_to = [{{ file = \"copies\" }}, {{ syslog = \"udp://{}\" }}, {{ http = \"http://{address}/daypass\" }}]",
            syslog.local_addr().unwrap()
        ),
    );
    let running = place.serve();
    for _ in 0..3 {
        let copies = place.copies();
        running.grant();
        soon("copied", || place.copies() > copies);
    }
    let web_place =
        format!("daypass_second_place_missing{{place=\"http://{address}/daypass\",kind=\"http\"}}");
    soon("missed", || running.metric(&web_place).is_some_and(|missing| missing >= 3.0));
    let file_place = format!(
        "daypass_second_place_missing{{place=\"file:{}\",kind=\"file\"}}",
        place.file("copies").display()
    );
    soon("nothing is missed in the file", || running.metric(&file_place) == Some(0.0));

    let taken = web(TcpListener::bind(address).unwrap(), "204 No Content");
    soon("delivered after the outage", || taken.lock().unwrap().len() >= place.copies());
    soon("nothing is missed", || running.metric(&web_place) == Some(0.0));
    running.stop();
    let copies = std::fs::read_to_string(place.file("copies")).unwrap();
    let copies: Vec<_> = copies.lines().collect();
    let mut posted = taken.lock().unwrap().clone();
    posted.dedup();
    assert_eq!(posted, copies, "all of them, in order");
    syslog.set_nonblocking(true).unwrap();
    let (mut buffer, mut logged) = ([0; 16_000], Vec::new());
    while let Ok(size) = syslog.recv(&mut buffer) {
        logged.push(String::from_utf8_lossy(&buffer[..size]).rsplit(' ').next().unwrap().to_owned());
    }
    assert_eq!(logged, copies);
}

/// Neither a hanging nor a refusing place holds a grant up.
#[test]
fn a_place_that_does_not_work_keeps_nobody_waiting() {
    let hangs = TcpListener::bind("127.0.0.1:0").unwrap();
    let refuses = TcpListener::bind("127.0.0.1:0").unwrap();
    let (hanging, refusing) = (hangs.local_addr().unwrap(), refuses.local_addr().unwrap());
    let asked = web(refuses, "503 Service Unavailable");
    let place = Place::new(
        "sqlite:daypass.db",
        &format!(
            "checkpoint_every = \"1s\"\ncheckpoints_to = [{{ http = \"http://{refusing}/\" }}, {{ http = \"http://{hanging}/\" }}]"
        ),
    );
    let running = place.serve();
    let begun = std::time::Instant::now();
    let mut worst = std::time::Duration::ZERO;
    while begun.elapsed() < std::time::Duration::from_secs(4) {
        let one = std::time::Instant::now();
        running.grant();
        worst = worst.max(one.elapsed());
    }
    // A place is waited for for ten seconds.
    assert!(worst < std::time::Duration::from_secs(8), "{worst:?}");
    soon("the one that refuses is asked", || !asked.lock().unwrap().is_empty());
    assert_eq!(
        running.ready(),
        "ok\n".trim_end().to_owned() + if running.ready().ends_with('\n') { "\n" } else { "" }
    );
    assert!(place.verify(&[]).1["checkpoints"].as_u64().unwrap() >= 2, "and it is signed all the same");
    drop(running);
}
