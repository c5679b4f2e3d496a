//! Many clients that do little, slowly.

use crate::case::{Case, Means, Outcome};
use anyhow::{Context as _, ensure};
use daypass_faults::ask::{Asker, Dialect, Line};
use daypass_faults::installation::{CHEAP, Installation};
use daypass_faults::ledger::Ledger;
use daypass_faults::load::{DEADLINE, Load};
use daypass_faults::time;
use rustix::net::sockopt::set_socket_recv_buffer_size;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

pub(crate) const CASES: &[Case] = &[
    Case {
        name: "idle",
        fault: "ten thousand connections are opened and kept idle",
        must: "new clients and probes are served without delay, a connection costs less than 20 kB, and what it cost is free \
               when they have gone",
        work: idle,
    },
    Case {
        name: "headers",
        fault: "ten thousand connections come from a declared balancer, and say nothing or begin to say for whom",
        must: "new clients and probes are served without delay, a connection costs less than 20 kB, and what it cost is free \
               when they have gone",
        work: headers,
    },
    Case {
        name: "slow",
        fault: "a thousand clients send a byte a second, and a hundred ask without end and read nothing",
        must: "no rightful client is refused, cut off or late",
        work: slow,
    },
];

/// Where the balancer is that says nothing.
const BALANCER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
/// How many idle connections.
const IDLE: usize = 10_000;
/// How long it may take until rightful clients have a hundred credentials, on a machine that does all this besides.
const SERVED: Duration = Duration::from_secs(20);
/// An answer that takes so long is late.
const LATE: Duration = Duration::from_secs(2);
/// How many kilobytes one may cost.
const COST: u64 = 20;

/// Lets this process, and those it starts, open so many files. Says whether it may.
fn open_files(most: u64) -> bool {
    let limit = getrlimit(Resource::Nofile);
    let enough = limit.maximum.is_none_or(|maximum| maximum >= most);
    let maximum = if enough { limit.maximum } else { Some(most) };
    setrlimit(Resource::Nofile, Rlimit { current: Some(most), maximum }).is_ok()
}

fn idle(means: &Means) -> anyhow::Result<Outcome> {
    beside(means, |_| String::new(), |address| Line::open(address, DEADLINE))
}

fn headers(means: &Means) -> anyhow::Result<Outcome> {
    let declared = |address| format!("public_url = \"http://{address}\"\nproxy_protocol = [\"{BALANCER}\"]");
    beside(means, declared, |address| {
        let mut line = Line::open_from(BALANCER, address, DEADLINE)?;
        // Every other one says nothing at all.
        if line.local_port()?.is_multiple_of(2) {
            line.say(b"PROXY TCP4 192.0.2.7 ")?;
        }
        Ok(line)
    })
}

/// What becomes of clients beside a crowd that does nothing with its connections, where the service has these further lines.
fn beside(
    means: &Means,
    server: impl Fn(SocketAddr) -> String,
    open: impl Fn(SocketAddr) -> anyhow::Result<Line>,
) -> anyhow::Result<Outcome> {
    if !open_files(15_000) {
        return Ok(Outcome::Skipped("15,000 files may not be opened here".into()));
    }
    let (_folder, installation) = means.install()?;
    installation.serve_by(&server(installation.address))?;
    let asker = Asker::new(installation.address, installation.clients()?).of(CHEAP);
    let node = installation.start()?;
    let ledger = Arc::new(Ledger::default());
    let load = Load::start(installation.address, &asker, &Dialect::ALL, 4, &ledger);
    ensure!(load.goes_on(500, DEADLINE), "nothing is granted to begin with");
    load.stop();
    let before = node.resident()?;
    let crowd: Vec<_> =
        (0..IDLE).filter_map(|number| one_more(number, || open(installation.address))).collect();
    ensure!(crowd.len() == IDLE, "only {} connections could be opened", crowd.len());
    time::pause(Duration::from_secs(1));
    let with = node.resident()?;
    let begin = time::now();
    let ready = node.is_ready();
    let probed = begin.elapsed();
    let load = Load::start(installation.address, &asker, &Dialect::ALL, 4, &ledger);
    let served = load.goes_on(200, DEADLINE);
    load.stop();
    drop(crowd);
    let gone = time::until(Duration::from_mins(1), || node.descriptors().is_ok_and(|open| open < 200));
    let sum = ledger.settle(&installation)?;
    node.stop()?;
    let each = with.saturating_sub(before) / IDLE as u64;
    ensure!(ready, "probes are not answered");
    ensure!(served, "new clients are not served beside {IDLE} idle connections");
    ensure!(each < COST, "an idle connection costs {each} kB");
    gone.context("the connections are still there a minute after they were closed")?;
    Ok(Outcome::Held(format!(
        "{each} kB a connection; a probe took {} ms; slowest answer {} ms",
        probed.as_millis(),
        sum.slowest.as_millis()
    )))
}

/// One more connection. The kernel keeps only so many for a server that was not woken yet, and whoever is not among them tries
/// again a second later: so they come in small groups.
fn one_more(number: usize, open: impl Fn() -> anyhow::Result<Line>) -> Option<Line> {
    if number.is_multiple_of(50) {
        time::pause(Duration::from_millis(5));
    }
    open().ok()
}

fn slow(means: &Means) -> anyhow::Result<Outcome> {
    if !open_files(15_000) {
        return Ok(Outcome::Skipped("15,000 files may not be opened here".into()));
    }
    let (_folder, installation) = means.install()?;
    let asker = Asker::new(installation.address, installation.clients()?).of(CHEAP);
    let node = installation.start()?;
    let stop = AtomicBool::new(false);
    let ledger = Arc::new(Ledger::default());
    let span = Duration::from_secs(15);
    let (goes_on, granted) = std::thread::scope(|scope| {
        scope.spawn(|| dribble(&installation, &stop));
        for _ in 0..100 {
            scope.spawn(|| greedy(&installation, &asker, &stop));
        }
        // Until what those who read nothing can have under way is under way.
        time::pause(Duration::from_secs(6));
        let load = Load::start(installation.address, &asker, &Dialect::ALL, 4, &ledger);
        let goes_on = load.goes_on(100, means.room(SERVED));
        let before = load.granted();
        time::pause(span);
        let granted = load.granted() - before;
        stop.store(true, Ordering::Relaxed);
        load.stop();
        (goes_on, granted)
    });
    let sum = ledger.settle(&installation)?;
    node.stop()?;
    ensure!(goes_on, "rightful clients had no hundred credentials within {SERVED:?}");
    ensure!(granted > 100, "only {granted} credentials were granted in {span:?}");
    ensure!(sum.refused.is_empty(), "rightful clients were refused: {:?}", sum.refused);
    ensure!(sum.cut_off == 0, "{} rightful requests were cut off", sum.cut_off);
    ensure!(sum.slowest < means.room(LATE), "an answer took {:?}", sum.slowest);
    Ok(Outcome::Held(format!(
        "{granted} credentials meanwhile; slowest answer {} ms",
        sum.slowest.as_millis()
    )))
}

/// A thousand connections, each of which sends one byte of a head every second.
fn dribble(installation: &Installation, stop: &AtomicBool) {
    let head = format!(
        "GET /getAuthorization HTTP/1.1\r\nhost: {}\r\nx-slow: {}",
        installation.address,
        "a".repeat(900)
    );
    let mut lines: Vec<_> = (0..1000).filter_map(|_| TcpStream::connect(installation.address).ok()).collect();
    for byte in head.bytes() {
        for line in &mut lines {
            // One that was cut for its slowness is where it should be.
            let _ = line.write_all(&[byte]);
        }
        if time::until(Duration::from_secs(1), || stop.load(Ordering::Relaxed)).is_some() {
            return;
        }
    }
}

/// Asks without end and reads no answer.
fn greedy(installation: &Installation, asker: &Asker, stop: &AtomicBool) {
    let Ok(mut line) = TcpStream::connect(installation.address) else { return };
    let _ = line.set_write_timeout(Some(Duration::from_millis(500)));
    // A small window, so that the server soon has nowhere to put its answers.
    let _ = set_socket_recv_buffer_size(&line, 4096);
    while !stop.load(Ordering::Relaxed) {
        if line.write_all(&asker.request(Dialect::Browser)).is_err() {
            time::pause(Duration::from_millis(50));
        }
    }
    let _ = line.read(&mut [0; 16]);
}
