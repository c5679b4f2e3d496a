//! The run: all servers up, short slices in random order, round after round.
//!
//! A machine's speed drifts by more than the differences that matter here. So nothing is measured for long: each
//! round holds one slice of everything, and ratios are formed inside a round.

use crate::asker::Asker;
use crate::check;
use crate::clock;
use crate::cloud::Clouds;
use crate::loader::{Closed, Faults, Loader, Open, histogram};
use crate::primitives::{self, Signers};
use crate::process::{Cores, Cpu, Server};
use crate::requests::Requests;
use crate::response::Shape;
use crate::schedule::Schedule;
use crate::work::{Delay, Party, Wanted, Work};
use anyhow::Context as _;
use daypass_core::role::Algorithm;
use hdrhistogram::Histogram;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use std::collections::HashMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// The numbers of connections that anything is asked over.
pub(crate) const CONNECTIONS: [usize; 3] = [ALONE, FEW, MANY];
/// One caller, who waits for nobody else: what an answer takes when there is no queue.
pub(crate) const ALONE: usize = 1;
/// As a busy back end has.
pub(crate) const FEW: usize = 32;
/// As a public endpoint has.
pub(crate) const MANY: usize = 256;
/// As many as ask at once for one thing that nobody has yet.
pub(crate) const CROWD: usize = 1_000;
/// Tails are pooled over at least this many open-loop slices.
pub(crate) const OPEN_SLICES: usize = 20;
/// What an endpoint is taken to manage before it was measured: enough requests are signed for that.
const GUESS: u64 = 30_000;
/// How long another's server is asked before it counts: its language translates what runs often while it runs.
const WARM_UP: Duration = Duration::from_secs(2);

/// After how long connections are opened anew before they are used: ours are closed after thirty seconds of rest, and a
/// round may take longer than that.
const REST: Duration = Duration::from_secs(15);

/// A server with its connections and its askers.
pub(crate) struct Side {
    used: Instant,
    party: Party,
    server: Server,
    loader: Loader,
    asker: Asker,
}

impl Side {
    /// Opens connections to a server; to a sample for each slice anew.
    pub(crate) fn new(party: Party, server: Server, asker: Asker) -> anyhow::Result<Self> {
        let connections = if matches!(party, Party::Peer(..)) { 0 } else { MANY };
        let loader = Loader::connect(server.address, connections)?;
        Ok(Self { used: clock::now(), party, loader, server, asker })
    }

    /// A sample closes connections that rest for some seconds, which may be just when one is used again.
    fn reconnect(&mut self, connections: usize) -> anyhow::Result<()> {
        self.loader = Loader::connect(self.server.address, connections)?.prompt();
        Ok(())
    }

    /// Makes sure that no connection of one of our servers was closed while it rested.
    fn wake(&mut self) -> anyhow::Result<()> {
        if self.used.elapsed() > REST && !matches!(self.party, Party::Peer(..)) {
            self.loader = Loader::connect(self.server.address, MANY)?;
        }
        self.used = clock::now();
        Ok(())
    }

    /// What it can be asked.
    fn works(&self) -> Vec<Work> {
        match self.party {
            Party::Axum => vec![Work::Hello, Work::Form],
            Party::Daypass => self.asker.works(),
            Party::SignedIn => vec![Work::Cached],
            Party::Peer(peer, delay) => peer.works(delay),
            Party::Brokered => Work::of_brokered().collect(),
            Party::Api => Work::of_apis().collect(),
            Party::Held(held) => vec![Work::Revoked(held)],
        }
    }
}

/// One thing to measure in a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Task {
    Closed(Work, usize),
    Open(Work),
    Crowd(Delay),
    Sign(Algorithm),
    Disk,
}

/// What came of a crowd that asked at once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Crowd {
    /// From the first question until the last answer.
    pub(crate) took: Duration,
    /// How long the cloud took for one question just before.
    pub(crate) cloud: Duration,
    /// How many credentials the cloud gave for them.
    pub(crate) given: u64,
}

/// What a cloud gave while an endpoint was asked.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Fetched {
    /// Requests to the endpoint.
    pub(crate) requests: u64,
    /// Credentials that the cloud gave for them.
    pub(crate) given: u64,
}

/// What was measured, round by round.
pub(crate) struct Results {
    /// Closed-loop slices of an endpoint over so many connections, one a round.
    pub(crate) closed: HashMap<(Work, usize), Vec<Closed>>,
    /// Open-loop slices of an endpoint: a list for each round.
    pub(crate) open: HashMap<Work, Vec<Vec<Open>>>,
    /// CPU time of one signature, one a round.
    pub(crate) sign: HashMap<Algorithm, Vec<Duration>>,
    /// Write and flush, in nanoseconds.
    pub(crate) disk: Histogram<u64>,
    /// Resident memory of the server with all connections open, right after load over them, in kilobytes.
    pub(crate) resident: Vec<u64>,
    /// How much of the loader's core the cloud behind an endpoint used while a few connections asked it.
    pub(crate) behind: HashMap<Work, Vec<f64>>,
    /// What the cloud behind an endpoint gave while it was asked over so many connections, all rounds together.
    pub(crate) fetched: HashMap<(Work, usize), Fetched>,
    /// Crowds, one a round.
    pub(crate) crowds: HashMap<Delay, Vec<Crowd>>,
    /// Everything that went wrong.
    pub(crate) faults: Faults,
}

/// The servers and what is to be measured on them.
pub(crate) struct Run {
    cores: Cores,
    sides: Vec<Side>,
    clouds: Clouds,
    works: Vec<(Work, Shape)>,
    algorithms: Vec<Algorithm>,
    signers: Signers,
    folder: PathBuf,
    slice: Duration,
    rates: HashMap<(Work, usize), u64>,
    results: Results,
}

impl Run {
    /// Checks every wanted endpoint's answers in full and prepares the run.
    pub(crate) fn prepare(
        cores: Cores,
        mut sides: Vec<Side>,
        clouds: Clouds,
        folder: PathBuf,
        slice: Duration,
        wanted: &Wanted,
    ) -> anyhow::Result<Self> {
        let mut works = Vec::new();
        for side in &mut sides {
            for work in side.works().into_iter().filter(|work| wanted.has(*work)) {
                if work.shows_a_token() {
                    side.asker.show(check::a_token(side.server.address, &side.asker, work)?);
                }
                works.push((work, check::learn(side.server.address, &mut side.asker, work)?));
            }
        }
        let results = Results {
            closed: HashMap::new(),
            open: HashMap::new(),
            sign: HashMap::new(),
            disk: histogram()?,
            resident: Vec::new(),
            behind: HashMap::new(),
            fetched: HashMap::new(),
            crowds: HashMap::new(),
            faults: Faults::default(),
        };
        let algorithms = works
            .iter()
            .filter_map(|(work, _)| if let Work::Token(algorithm) = work { Some(*algorithm) } else { None })
            .collect();
        let signers = Signers::generate()?;
        Ok(Self {
            cores,
            sides,
            clouds,
            works,
            algorithms,
            signers,
            folder,
            slice,
            rates: HashMap::new(),
            results,
        })
    }

    /// What is measured, yardsticks first.
    pub(crate) fn works(&self) -> Vec<Work> {
        self.works.iter().map(|(work, _)| *work).collect()
    }

    /// Runs a warm-up and then the rounds, and calls `tell` before each.
    pub(crate) fn rounds(mut self, rounds: usize, seed: u64, tell: &dyn Fn(&str)) -> anyhow::Result<Results> {
        let mut random = StdRng::seed_from_u64(seed);
        let mut tasks = self.tasks(OPEN_SLICES.div_ceil(rounds.max(1)));
        tell("warm-up");
        for task in &tasks {
            if let Task::Closed(work, connections) = *task {
                let length = if work.is_a_peers() { WARM_UP } else { self.slice / 2 };
                let slice = self.closed(work, connections, length)?;
                self.results.faults.merge(&slice.faults);
            }
        }
        for round in 0..rounds {
            tell(&format!("round {} of {rounds}", round + 1));
            tasks.shuffle(&mut random);
            for task in &tasks {
                self.perform(*task, round)?;
            }
        }
        Ok(self.results)
    }

    fn tasks(&self, open: usize) -> Vec<Task> {
        let mut tasks = vec![Task::Disk];
        tasks.extend(self.algorithms.iter().map(|algorithm| Task::Sign(*algorithm)));
        for (work, _) in &self.works {
            tasks.extend(work.connections().iter().map(|connections| Task::Closed(*work, *connections)));
            if work.has_open_loop() {
                tasks.extend(std::iter::repeat_n(Task::Open(*work), open));
            }
            if let Work::Crowd(delay) = work {
                tasks.push(Task::Crowd(*delay));
            }
        }
        tasks
    }

    fn perform(&mut self, task: Task, round: usize) -> anyhow::Result<()> {
        match task {
            Task::Closed(work, connections) => {
                let slice = self.closed(work, connections, self.slice)?;
                self.results.faults.merge(&slice.faults);
                self.results.closed.entry((work, connections)).or_default().push(slice);
                if connections == MANY && work.party() == Party::Daypass {
                    let resident = self.side(work)?.0.server.resident()?;
                    self.results.resident.push(resident);
                }
            }
            Task::Open(work) => {
                let slice = self.open(work)?;
                self.results.faults.merge(&slice.faults);
                let rounds = self.results.open.entry(work).or_default();
                rounds.resize_with(round + 1, Vec::new);
                if let Some(slices) = rounds.last_mut() {
                    slices.push(slice);
                }
            }
            Task::Crowd(delay) => {
                let crowd = self.crowd(delay)?;
                self.results.crowds.entry(delay).or_default().push(crowd);
            }
            Task::Sign(algorithm) => {
                // On the servers' core, at the same time as the servers: cores need not be equally fast.
                let (signers, budget) = (&self.signers, self.slice / 4);
                let time = self.cores.as_a_server(|| signers.time(algorithm, budget))??;
                self.results.sign.entry(algorithm).or_default().push(time);
            }
            Task::Disk => self.results.disk.add(primitives::fdatasync(&self.folder)?)?,
        }
        Ok(())
    }

    fn side(&mut self, work: Work) -> anyhow::Result<(&mut Side, &Shape)> {
        let shape = self.works.iter().find(|(known, _)| *known == work).map(|(_, shape)| shape);
        let side = self.sides.iter_mut().find(|side| side.party == work.party());
        side.zip(shape).context("an endpoint that was not checked")
    }

    /// Requests for `length` at `rate` a second, signed just now.
    fn requests(
        &mut self,
        work: Work,
        rate: u64,
        length: Duration,
        spare: usize,
    ) -> anyhow::Result<Requests> {
        let count = usize::try_from(Schedule::new(rate, length).total())? + spare;
        Ok(self.side(work)?.0.asker.requests(work, count))
    }

    fn closed(&mut self, work: Work, connections: usize, length: Duration) -> anyhow::Result<Closed> {
        let rate = self.rates.get(&(work, connections)).copied().unwrap_or(GUESS);
        // A third more than the last slice used, and what ramp and end need.
        let mut requests = self.requests(work, rate + rate / 3, length, 4 * connections)?;
        let before = self.behind(work)?;
        let begin = clock::now();
        let (side, shape) = self.side(work)?;
        if work.is_a_peers() {
            side.reconnect(connections)?;
        }
        side.wake()?;
        let server = &side.server;
        let slice = side.loader.closed(&|| server.cpu(), &mut requests, shape, connections, length)?;
        let elapsed = begin.elapsed();
        if let Some(((cpu, given), (cpu_then, given_then))) = before.zip(self.behind(work)?) {
            let fetched = self.results.fetched.entry((work, connections)).or_default();
            fetched.requests += slice.sent;
            fetched.given += given_then.saturating_sub(given);
            if connections == FEW {
                let used = cpu_then.since(&cpu).time;
                let part = used.as_secs_f64() / elapsed.as_secs_f64();
                self.results.behind.entry(work).or_default().push(part);
            }
        }
        self.rates.insert((work, connections), per_second(slice.answers, slice.elapsed));
        Ok(slice)
    }

    /// What the cloud behind an endpoint has used and given so far. None where there is none.
    fn behind(&self, work: Work) -> anyhow::Result<Option<(Cpu, u64)>> {
        let seen = |delay| Ok((self.clouds.cpu(delay)?, self.clouds.given(delay)?));
        work.cloud().map(seen).transpose()
    }

    /// Has a crowd ask at once for what nobody has yet.
    fn crowd(&mut self, delay: Delay) -> anyhow::Result<Crowd> {
        let work = Work::Crowd(delay);
        let mut requests = self.requests(work, 0, Duration::ZERO, CROWD)?;
        let cloud = self.clouds.latency(delay)?;
        let before = self.clouds.given(delay)?;
        let (side, shape) = self.side(work)?;
        let mut loader = Loader::connect(side.server.address, CROWD)?;
        let (took, faults) = loader.at_once(&mut requests, shape)?;
        drop(loader);
        self.results.faults.merge(&faults);
        Ok(Crowd { took, cloud, given: self.clouds.given(delay)?.saturating_sub(before) })
    }

    /// At half of what the endpoint itself managed over as many connections a moment ago.
    fn open(&mut self, work: Work) -> anyhow::Result<Open> {
        let rate = self.rates.get(&(work, MANY)).copied().context("an open loop before a closed one")? / 2;
        let length = self.slice;
        let mut requests = self.requests(work, rate, length, 0)?;
        let (side, shape) = self.side(work)?;
        side.wake()?;
        side.loader.open_loop(&mut requests, shape, Schedule::new(rate, length))
    }
}

fn per_second(count: u64, elapsed: Duration) -> u64 {
    u64::try_from(u128::from(count) * 1_000_000_000 / elapsed.as_nanos().max(1)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_a_count_over_a_time() {
        assert_eq!(per_second(30, Duration::from_millis(300)), 100);
        assert_eq!(per_second(0, Duration::ZERO), 0);
    }
}
