//! One thread that asks one server over connections that stay open.
//!
//! **Closed loop**: each connection sends its next request when the last one is answered; it finds out how much a
//! server can do. **Open loop**: requests are due on a fixed schedule and latency counts from the moment a request
//! was due; it finds out how long a user waits. See [`crate::schedule`].

use crate::clock;
use crate::process::{Cpu, Used};
use crate::requests::Requests;
use crate::response::{Response, Shape};
use crate::schedule::Schedule;
use anyhow::Context as _;
use hdrhistogram::Histogram;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use rustix::net::sockopt::set_tcp_quickack;
use std::collections::VecDeque;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// How long answers that are still due at the end of a slice are waited for.
const DRAIN: Duration = Duration::from_secs(10);
/// How long one wait for events lasts in a closed loop, at most.
const WAIT: Duration = Duration::from_millis(20);
/// More than any answer here needs.
const BUFFER: usize = 32 * 1024;

/// What went wrong in a slice. In a valid run nothing does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Faults {
    /// How many requests did not get a right answer.
    pub(crate) count: u64,
    /// The first of them, in words.
    pub(crate) first: Option<String>,
}

impl Faults {
    fn add(&mut self, what: impl FnOnce() -> String) {
        self.count += 1;
        self.first.get_or_insert_with(what);
    }

    /// Adds those of another slice.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.count += other.count;
        if self.first.is_none() {
            self.first.clone_from(&other.first);
        }
    }
}

/// What a closed-loop slice measured.
#[derive(Clone, Debug)]
pub(crate) struct Closed {
    /// Right answers.
    pub(crate) answers: u64,
    /// Requests that were sent, before, while and after they were counted. All were answered, or are faults.
    pub(crate) sent: u64,
    /// How long they were counted.
    pub(crate) elapsed: Duration,
    /// What the server used in that while.
    pub(crate) used: Used,
    /// From sending to the complete answer, in nanoseconds.
    pub(crate) latency: Histogram<u64>,
    /// What went wrong.
    pub(crate) faults: Faults,
}

/// What an open-loop slice measured.
#[derive(Clone, Debug)]
pub(crate) struct Open {
    /// From when a request was due to its complete answer, in nanoseconds.
    pub(crate) latency: Histogram<u64>,
    /// What went wrong.
    pub(crate) faults: Faults,
}

/// Reads the server's CPU time.
pub(crate) type Meter<'a> = dyn Fn() -> anyhow::Result<Cpu> + 'a;

/// An empty histogram of nanoseconds, up to a minute, with three significant digits.
pub(crate) fn histogram() -> anyhow::Result<Histogram<u64>> {
    Ok(Histogram::new_with_bounds(1, 60_000_000_000, 3)?)
}

fn record(histogram: &mut Histogram<u64>, latency: Duration) {
    histogram.saturating_record(u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX));
}

struct Connection {
    stream: TcpStream,
    /// The part of an answer that has arrived.
    partial: Vec<u8>,
    /// When the request that is under way was sent, or was due.
    since: Option<Instant>,
}

/// What reading from a connection gave.
enum Arrival {
    /// Not a whole answer yet.
    Nothing,
    /// A right answer to the request of that time.
    Answer(Instant),
    /// The connection is of no use any more.
    Broken(String),
}

/// Connections to one server.
pub(crate) struct Loader {
    address: SocketAddr,
    poll: Poll,
    connections: Vec<Connection>,
    buffer: Vec<u8>,
    prompt: bool,
    sent: u64,
}

impl Loader {
    /// Opens that many connections.
    pub(crate) fn connect(address: SocketAddr, connections: usize) -> anyhow::Result<Self> {
        let mut loader = Self {
            address,
            poll: Poll::new()?,
            connections: Vec::new(),
            buffer: vec![0; BUFFER],
            prompt: false,
            sent: 0,
        };
        for index in 0..connections {
            let connection = loader.open(index)?;
            loader.connections.push(connection);
        }
        Ok(loader)
    }

    /// The same, acknowledging at once what arrives.
    ///
    /// A server that sends an answer in two pieces and leaves the kernel its habits waits with the second until the
    /// first is acknowledged, for which the other kernel takes its time: 40 ms here. That would be measured, not the
    /// server.
    pub(crate) fn prompt(self) -> Self {
        Self { prompt: true, ..self }
    }

    fn open(&self, index: usize) -> anyhow::Result<Connection> {
        let stream = std::net::TcpStream::connect(self.address)
            .with_context(|| format!("cannot connect to {}", self.address))?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        let mut stream = TcpStream::from_std(stream);
        self.poll.registry().register(&mut stream, Token(index), Interest::READABLE)?;
        Ok(Connection { stream, partial: Vec::new(), since: None })
    }

    /// Replaces the connections that the server has closed since the last slice, as it may with idle ones.
    fn refresh(&mut self) -> anyhow::Result<()> {
        for index in 0..self.connections.len() {
            let Some(connection) = self.connections.get_mut(index) else { break };
            let idle = connection.since.is_none()
                && matches!(connection.stream.peek(&mut [0]), Err(error) if error.kind() == ErrorKind::WouldBlock);
            if !idle {
                let fresh = self.open(index)?;
                if let Some(place) = self.connections.get_mut(index) {
                    *place = fresh;
                }
            }
        }
        Ok(())
    }

    /// Sends the next request on a connection. False when there is none left.
    fn send(&mut self, index: usize, since: Instant, requests: &mut Requests, faults: &mut Faults) -> bool {
        let (Some(request), Some(connection)) = (requests.next(), self.connections.get_mut(index)) else {
            return false;
        };
        // A request is far smaller than a socket's buffer, and the connection has nothing else under way.
        match connection.stream.write(request) {
            Ok(written) if written == request.len() => {
                connection.since = Some(since);
                self.sent += 1;
                // The kernel forgets it with every exchange. Where it cannot, an answer comes later, but it comes.
                if self.prompt {
                    let _ = set_tcp_quickack(&connection.stream, true);
                }
            }
            Ok(written) => faults.add(|| format!("only {written} bytes of a request could be sent")),
            Err(error) => faults.add(|| format!("a request could not be sent: {error}")),
        }
        true
    }

    fn receive(&mut self, index: usize, shape: &Shape) -> Arrival {
        let Some(connection) = self.connections.get_mut(index) else { return Arrival::Nothing };
        let read = match connection.stream.read(&mut self.buffer) {
            Ok(0) => return Arrival::Broken("the server closed a connection".to_owned()),
            Ok(read) => self.buffer.get(..read).unwrap_or_default(),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Arrival::Nothing,
            Err(error) => return Arrival::Broken(format!("a connection failed: {error}")),
        };
        let bytes = if connection.partial.is_empty() {
            read
        } else {
            connection.partial.extend_from_slice(read);
            &connection.partial
        };
        let arrival = match Response::read(bytes) {
            Ok(None) if bytes.len() < BUFFER => {
                if connection.partial.is_empty() {
                    connection.partial.extend_from_slice(read);
                }
                return Arrival::Nothing;
            }
            Ok(None) => Arrival::Broken("an answer does not end".to_owned()),
            Ok(Some(answer)) if answer.length != bytes.len() => {
                Arrival::Broken("more was answered than was asked".to_owned())
            }
            Ok(Some(answer)) if answer.closes => Arrival::Broken("the server wants to close".to_owned()),
            Ok(Some(answer)) if !shape.fits(&answer) => Arrival::Broken(format!(
                "not the answer that was checked: status {}, {}",
                answer.status,
                String::from_utf8_lossy(answer.body.get(..200).unwrap_or(answer.body)).escape_debug()
            )),
            Ok(Some(_)) => match connection.since.take() {
                Some(since) => Arrival::Answer(since),
                None => Arrival::Broken("an answer came to no request".to_owned()),
            },
            Err(malformed) => Arrival::Broken(format!("not an HTTP/1.1 response ({malformed:?})")),
        };
        connection.partial.clear();
        arrival
    }

    /// Whether an answer is still due on one of the connections.
    fn is_waiting(&self) -> bool {
        self.connections.iter().any(|connection| connection.since.is_some())
    }

    /// Asks over `connections` connections at once for as long as `slice` says, after every connection has had
    /// an answer. It ends early when the requests run out.
    pub(crate) fn closed(
        &mut self,
        meter: &Meter<'_>,
        requests: &mut Requests,
        shape: &Shape,
        connections: usize,
        slice: Duration,
    ) -> anyhow::Result<Closed> {
        self.refresh()?;
        let sent = self.sent;
        let mut faults = Faults::default();
        let mut latency = histogram()?;
        let mut window = Window::new(u64::try_from(connections)?);
        let mut events = Events::with_capacity(connections.max(1));
        for index in 0..connections.min(self.connections.len()) {
            self.send(index, clock::now(), requests, &mut faults);
        }
        let mut sending = true;
        let begin = clock::now();
        loop {
            self.wait(&mut events, WAIT)?;
            for event in &events {
                let index = event.token().0;
                match self.receive(index, shape) {
                    Arrival::Nothing => {}
                    Arrival::Answer(since) => {
                        let now = clock::now();
                        if window.answered(meter)? {
                            record(&mut latency, now - since);
                        }
                        if sending && !self.send(index, now, requests, &mut faults) {
                            sending = false;
                        }
                    }
                    Arrival::Broken(why) => {
                        faults.add(|| why);
                        self.replace(index)?;
                        sending = sending && self.send(index, clock::now(), requests, &mut faults);
                    }
                }
            }
            if sending && (window.lasts(slice) || begin.elapsed() > DRAIN) {
                sending = false;
            }
            if !sending {
                window.close(meter)?;
                break;
            }
        }
        self.drain(&mut events, shape, &mut faults)?;
        Ok(Closed { sent: self.sent - sent, ..window.result(latency, faults)? })
    }

    /// Asks over every connection at once, once; gives how long it takes until the last is answered.
    pub(crate) fn at_once(
        &mut self,
        requests: &mut Requests,
        shape: &Shape,
    ) -> anyhow::Result<(Duration, Faults)> {
        let mut faults = Faults::default();
        let mut events = Events::with_capacity(self.connections.len().max(1));
        let begin = clock::now();
        for index in 0..self.connections.len() {
            self.send(index, begin, requests, &mut faults);
        }
        self.drain(&mut events, shape, &mut faults)?;
        Ok((begin.elapsed(), faults))
    }

    /// Sends requests on a schedule over all connections, and waits for every answer.
    pub(crate) fn open_loop(
        &mut self,
        requests: &mut Requests,
        shape: &Shape,
        mut schedule: Schedule,
    ) -> anyhow::Result<Open> {
        self.refresh()?;
        let mut faults = Faults::default();
        let mut latency = histogram()?;
        let mut events = Events::with_capacity(self.connections.len().max(1));
        let mut idle: VecDeque<usize> = (0..self.connections.len()).collect();
        let begin = clock::now();
        while !schedule.is_over() || self.is_waiting() {
            if begin.elapsed() > DRAIN {
                break;
            }
            while let Some(&index) = idle.front() {
                let Some(due) = schedule.take(begin.elapsed()) else { break };
                idle.pop_front();
                if !self.send(index, begin + due, requests, &mut faults) {
                    faults.add(|| "there were fewer requests than the schedule needs".to_owned());
                }
            }
            // No wait: the kernel's timers are coarser than the schedule, and the loader has a core of its own.
            self.wait(&mut events, Duration::ZERO)?;
            for event in &events {
                let index = event.token().0;
                match self.receive(index, shape) {
                    Arrival::Nothing => continue,
                    Arrival::Answer(since) => record(&mut latency, clock::now() - since),
                    Arrival::Broken(why) => {
                        faults.add(|| why);
                        self.replace(index)?;
                    }
                }
                idle.push_back(index);
            }
        }
        while schedule.take(Duration::MAX).is_some() {
            faults.add(|| "a request could not be sent at all: the server was overloaded".to_owned());
        }
        self.drain(&mut events, shape, &mut faults)?;
        Ok(Open { latency, faults })
    }

    /// Waits for the answers that are still due. They are checked, but belong to no measurement.
    fn drain(&mut self, events: &mut Events, shape: &Shape, faults: &mut Faults) -> anyhow::Result<()> {
        let begin = clock::now();
        while self.is_waiting() && begin.elapsed() < DRAIN {
            self.wait(events, WAIT)?;
            for event in &*events {
                if let Arrival::Broken(why) = self.receive(event.token().0, shape) {
                    faults.add(|| why);
                    self.replace(event.token().0)?;
                }
            }
        }
        for index in 0..self.connections.len() {
            if self.connections.get(index).is_some_and(|connection| connection.since.is_some()) {
                faults.add(|| format!("no answer within {} seconds", DRAIN.as_secs()));
                self.replace(index)?;
            }
        }
        Ok(())
    }

    fn replace(&mut self, index: usize) -> anyhow::Result<()> {
        let fresh = self.open(index)?;
        if let Some(place) = self.connections.get_mut(index) {
            *place = fresh;
        }
        Ok(())
    }

    fn wait(&mut self, events: &mut Events, most: Duration) -> anyhow::Result<()> {
        match self.poll.poll(events, Some(most)) {
            Err(error) if error.kind() != ErrorKind::Interrupted => Err(error.into()),
            _ => Ok(()),
        }
    }
}

/// The part of a closed-loop slice that counts: from when every connection was answered once.
struct Window {
    ramp: u64,
    answers: u64,
    begin: Option<(Instant, Cpu)>,
    end: Option<(Instant, Cpu)>,
}

impl Window {
    fn new(ramp: u64) -> Self {
        Self { ramp, answers: 0, begin: None, end: None }
    }

    /// Counts an answer, and says whether it is part of the measurement.
    fn answered(&mut self, meter: &Meter<'_>) -> anyhow::Result<bool> {
        if self.begin.is_some() {
            self.answers += 1;
            return Ok(true);
        }
        self.ramp = self.ramp.saturating_sub(1);
        if self.ramp == 0 {
            let cpu = meter()?;
            self.begin = Some((clock::now(), cpu));
        }
        Ok(false)
    }

    fn lasts(&self, slice: Duration) -> bool {
        self.begin.as_ref().is_some_and(|(begin, _)| begin.elapsed() >= slice)
    }

    fn close(&mut self, meter: &Meter<'_>) -> anyhow::Result<()> {
        let now = clock::now();
        self.end = Some((now, meter()?));
        Ok(())
    }

    fn result(self, latency: Histogram<u64>, faults: Faults) -> anyhow::Result<Closed> {
        let (begin, cpu) = self.begin.with_context(|| {
            format!(
                "not even one answer for each connection ({})",
                faults.first.as_deref().unwrap_or("all slow")
            )
        })?;
        let (end, cpu_then) = self.end.context("the slice was not closed")?;
        let used = cpu_then.since(&cpu);
        Ok(Closed { answers: self.answers, sent: 0, elapsed: end - begin, used, latency, faults })
    }
}

#[cfg(test)]
mod tests;
