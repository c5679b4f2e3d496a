//! The absolute numbers: information, because a machine's speed drifts by more than the differences that matter.

use super::table::Table;
use super::{number, spread};
use crate::api::Weight;
use crate::loader::Closed;
use crate::run::{CONNECTIONS, FEW, Fetched, Results};
use crate::start::Starts;
use crate::statistics::{self, Quartiles, micros};
use crate::work::Work;
use daypass_core::role::Algorithm;
use hdrhistogram::Histogram;
use serde::Serialize;
use std::time::Duration;

/// One endpoint under one kind of load.
#[derive(Serialize)]
pub(super) struct Endpoint {
    name: String,
    load: String,
    /// The server's CPU time a request, one value a round.
    cpu_micros: Vec<f64>,
    /// How often a thread of the server was put on a CPU for a request, one value a round.
    turns: Vec<f64>,
    /// Answers a second, one value a round.
    per_second: Vec<f64>,
    /// How much of its core the server used, one value a round.
    server_use: Vec<f64>,
    /// Credentials that the cloud behind it gave, for each request; none where no cloud is behind it.
    upstream: Option<f64>,
    /// Latency over all rounds, in microseconds.
    p50_micros: f64,
    p99_micros: f64,
    p999_micros: f64,
}

impl Closed {
    /// The server's CPU time a request, in microseconds. None if there was no answer.
    pub(super) fn cpu_micros(&self) -> Option<f64> {
        (self.answers > 0).then(|| micros(self.used.time) / statistics::number(self.answers))
    }

    /// How often one of the server's threads was put on a CPU, for each answer.
    fn turns(&self) -> Option<f64> {
        (self.answers > 0).then(|| statistics::number(self.used.turns) / statistics::number(self.answers))
    }

    /// Answers a second.
    pub(super) fn per_second(&self) -> f64 {
        statistics::number(self.answers) / self.elapsed.as_secs_f64()
    }

    /// How much of its core the server used.
    pub(super) fn server_use(&self) -> f64 {
        self.used.time.as_secs_f64() / self.elapsed.as_secs_f64()
    }
}

impl Fetched {
    /// Credentials that the cloud gave, for each request. None if there was none.
    fn each(&self) -> Option<f64> {
        (self.requests > 0).then(|| statistics::number(self.given) / statistics::number(self.requests))
    }
}

/// Closed-loop slices, for ratios inside a round.
#[derive(Clone, Copy)]
pub(super) struct Slices<'a>(pub(super) &'a Results);

impl<'a> Slices<'a> {
    /// Those of one endpoint over so many connections.
    pub(super) fn of(self, work: Work, connections: usize) -> &'a [Closed] {
        self.0.closed.get(&(work, connections)).map(Vec::as_slice).unwrap_or_default()
    }

    /// The server's CPU time a request, one value a round.
    pub(super) fn cpu_micros(self, work: Work, connections: usize) -> Vec<Option<f64>> {
        self.of(work, connections).iter().map(Closed::cpu_micros).collect()
    }

    /// Answers a second, one value a round.
    pub(super) fn per_second(self, work: Work, connections: usize) -> Vec<Option<f64>> {
        self.of(work, connections).iter().map(|slice| Some(slice.per_second())).collect()
    }

    /// The median share of its core that a server used.
    pub(super) fn server_use(self, work: Work, connections: usize) -> f64 {
        let values: Vec<f64> = self.of(work, connections).iter().map(Closed::server_use).collect();
        statistics::median(&values).unwrap_or_default()
    }
}

/// A percentile in microseconds.
pub(super) fn percentile(latency: &Histogram<u64>, percentile: f64) -> f64 {
    micros(Duration::from_nanos(latency.value_at_percentile(percentile)))
}

/// One histogram of all of them. None for none.
pub(super) fn pooled<'a>(mut histograms: impl Iterator<Item = &'a Histogram<u64>>) -> Option<Histogram<u64>> {
    let mut sum = histograms.next()?.clone();
    for histogram in histograms {
        // All of ours have the same bounds, so one takes whatever another holds.
        sum.add(histogram).ok()?;
    }
    Some(sum)
}

impl Endpoint {
    fn new(name: String, load: String, slices: &[Closed], latency: &Histogram<u64>) -> Self {
        Self {
            name,
            load,
            cpu_micros: slices.iter().filter_map(Closed::cpu_micros).collect(),
            turns: slices.iter().filter_map(Closed::turns).collect(),
            per_second: slices.iter().map(Closed::per_second).collect(),
            server_use: slices.iter().map(Closed::server_use).collect(),
            upstream: None,
            p50_micros: percentile(latency, 50.0),
            p99_micros: percentile(latency, 99.0),
            p999_micros: percentile(latency, 99.9),
        }
    }
}

/// Every endpoint under every load.
pub(super) fn endpoints(works: &[Work], results: &Results) -> Vec<Endpoint> {
    let mut all = Vec::new();
    for work in works {
        for connections in CONNECTIONS {
            let Some(slices) = results.closed.get(&(*work, connections)) else { continue };
            let Some(latency) = pooled(slices.iter().map(|slice| &slice.latency)) else { continue };
            let upstream = results.fetched.get(&(*work, connections)).and_then(Fetched::each);
            let endpoint =
                Endpoint::new(work.to_string(), format!("closed, {connections}"), slices, &latency);
            all.push(Endpoint { upstream, ..endpoint });
        }
        let open = results.open.get(work).into_iter().flatten().flatten();
        if let Some(latency) = pooled(open.map(|slice| &slice.latency)) {
            all.push(Endpoint::new(work.to_string(), "open, half".to_owned(), &[], &latency));
        }
    }
    all
}

/// The table of them.
pub(super) fn table(endpoints: &[Endpoint]) -> Table {
    let mut table = Table::new([
        "endpoint",
        "load",
        "CPU us/request",
        "turns/request",
        "requests/s",
        "server use",
        "asked of a cloud",
        "p50 us",
        "p99 us",
        "p99.9 us",
    ]);
    let shown = |values: &[f64]| Quartiles::of(values).map_or_else(|| "-".to_owned(), spread);
    for endpoint in endpoints {
        let percent = statistics::median(&endpoint.server_use)
            .map_or_else(|| "-".to_owned(), |u| format!("{:.0} %", u * 100.0));
        table.row(&[
            endpoint.name.clone(),
            endpoint.load.clone(),
            shown(&endpoint.cpu_micros),
            statistics::median(&endpoint.turns).map_or_else(|| "-".to_owned(), number),
            shown(&endpoint.per_second),
            percent,
            endpoint.upstream.map_or_else(|| "-".to_owned(), |each| format!("{each:.4}")),
            number(endpoint.p50_micros),
            number(endpoint.p99_micros),
            number(endpoint.p999_micros),
        ]);
    }
    table
}

/// A limit that no server passes, or a number that has no goal.
#[derive(Serialize)]
pub(super) struct Yardstick {
    pub(super) what: String,
    values: Quartiles,
    unit: &'static str,
}

impl Yardstick {
    /// Its value for people.
    pub(super) fn shown(&self) -> String {
        format!("{} {}", spread(self.values), self.unit)
    }
}

/// Memory, start and delay of a server with so many cut-offs.
pub(super) fn weight(weight: &Weight) -> [Yardstick; 3] {
    let of = |what: &str, value: f64, unit| {
        let what = format!("{} credentials taken back: {what}", weight.held.count());
        Yardstick { what, values: Quartiles::exact(value), unit }
    };
    [
        of("resident memory, idle", statistics::number(weight.resident) * 1024.0 / 1e6, "MB"),
        of("start, until a key and a token were given", weight.start.as_secs_f64() * 1e3, "ms"),
        of("until one more is in force", weight.in_force.as_secs_f64() * 1e3, "ms"),
    ]
}

/// The primitives' own loops, the disk, and the first start.
pub(super) fn yardsticks(results: &Results, starts: &Starts) -> Vec<Yardstick> {
    let mut all = Vec::new();
    for algorithm in Algorithm::ALL {
        let times: Vec<f64> =
            results.sign.get(algorithm).into_iter().flatten().map(|time| micros(*time)).collect();
        if let Some(values) = Quartiles::of(&times) {
            let what = format!("one {} signature, CPU time in a loop of its own", algorithm.name());
            all.push(Yardstick { what, values, unit: "us" });
        }
    }
    let disk = &results.disk;
    let values =
        Quartiles { q1: percentile(disk, 25.0), median: percentile(disk, 50.0), q3: percentile(disk, 75.0) };
    all.push(Yardstick { what: "write 256 bytes and fdatasync, same disk".to_owned(), values, unit: "us" });
    let p99 = Quartiles::exact(percentile(disk, 99.0));
    all.push(Yardstick { what: "the same, 99th percentile".to_owned(), values: p99, unit: "us" });
    let mut behind: Vec<_> = results.behind.iter().map(|(work, parts)| (work.to_string(), parts)).collect();
    behind.sort_by(|one, other| one.0.cmp(&other.0));
    for (work, parts) in behind {
        let percents: Vec<f64> = parts.iter().map(|part| part * 100.0).collect();
        if let Some(values) = Quartiles::of(&percents) {
            let what = format!("the cloud behind {work}: its part of the loader's core meanwhile, c{FEW}");
            all.push(Yardstick { what, values, unit: "%" });
        }
    }
    let empty = Quartiles::exact(starts.empty.as_secs_f64() * 1e3);
    let what = "start to first token with an empty folder (keys are made)".to_owned();
    all.push(Yardstick { what, values: empty, unit: "ms" });
    all
}
