//! From measurements to verdicts.

use super::Target;
use super::endpoints::{Slices, percentile, pooled};
use crate::goals::{self, Limit};
use crate::loader::Open;
use crate::run::{CROWD, Crowd, FEW, MANY, OPEN_SLICES, Results};
use crate::start::Starts;
use crate::statistics::{FULL_USE, Goal, Quartiles, Verdict, median, micros, number, ratios};
use crate::work::{Delay, Held, Statements, Work};
use std::time::Duration;

/// Every target that applies to what was measured, in the order of their numbers.
pub(super) fn all(works: &[Work], results: &Results, starts: &Starts, rounds: usize) -> Vec<Target> {
    let view = View { slices: Slices(results), results, rounds };
    let ours: Vec<Work> = works.iter().copied().filter(|work| work.is_ours()).collect();
    let mut targets: Vec<Target> = ours.iter().filter_map(|work| view.cpu(*work)).collect();
    if ours.contains(&Work::GetAuthorization) {
        targets.extend([view.durable(FEW, goals::DURABLE_FEW), view.durable(MANY, goals::DURABLE_MANY)]);
    }
    targets.extend(weights(results, starts));
    targets.extend(works.iter().filter_map(|work| view.revoked(*work)));
    targets.extend(works.iter().filter_map(|work| view.statements(*work)));
    for work in ours.iter().filter(|work| work.has_open_loop()) {
        targets.extend(view.open(*work));
        targets.push(view.fairness(*work));
    }
    for work in works {
        targets.extend(view.samples(*work, works));
        targets.extend(view.crowd(*work));
    }
    targets.extend(ours.iter().filter_map(|work| view.provider(*work, works)));
    let faults = Quartiles::exact(number(results.faults.count));
    targets.push(exact("20", "requests that went wrong", goals::FAULTS, Some(faults)));
    targets.sort_by_key(|target| target.number.parse::<u8>().unwrap_or(u8::MAX));
    targets
}

/// A target whose values need no number of rounds.
fn exact(number: &'static str, what: &str, goal: Goal, measured: Option<Quartiles>) -> Target {
    let verdict = measured.map_or_else(not_measured, |values| goal.judge_exact(values));
    Target { number, what: what.to_owned(), goal: Some(goal), measured, verdict, note: None }
}

fn not_measured() -> Verdict {
    Verdict::None("not measured".to_owned())
}

/// Memory, size and start-up time.
fn weights(results: &Results, starts: &Starts) -> [Target; 4] {
    let megabytes = |kilobytes: &[u64]| {
        Quartiles::of(&kilobytes.iter().map(|kb| number(*kb) * 1024.0 / 1e6).collect::<Vec<_>>())
    };
    let millis: Vec<f64> = starts.again.iter().map(|time| time.as_secs_f64() * 1e3).collect();
    let binary = Quartiles::exact(number(starts.binary) / 1e6);
    [
        exact("14", "resident, idle, MB", goals::IDLE_MEGABYTES, megabytes(&starts.idle)),
        exact(
            "14",
            "resident, 256 connections under load, MB",
            goals::LOADED_MEGABYTES,
            megabytes(&results.resident),
        ),
        exact("15", "size of the binary, MB", goals::BINARY_MEGABYTES, Some(binary)),
        exact("16", "start to first token, keys on disk, ms", goals::START_MILLIS, Quartiles::of(&millis)),
    ]
}

/// Said beside target 1.
const INTERVALS: &str =
    "its goal of 0.70 is for records that are written at intervals; these are durable before the answer";

/// Said beside the CPU of the cached `getAuthorization`.
const CACHED: &str =
    "nothing is made or recorded; the token's claims are judged each time, its signature only the first";

struct View<'a> {
    slices: Slices<'a>,
    results: &'a Results,
    rounds: usize,
}

impl View<'_> {
    /// A target that is judged by rounds, or only shown where it has no goal.
    fn target(
        &self,
        number: &'static str,
        what: String,
        goal: Option<Goal>,
        measured: Option<Quartiles>,
    ) -> Target {
        let verdict = match (goal, measured) {
            (None, _) => Verdict::None("information".to_owned()),
            (_, None) => not_measured(),
            (Some(goal), Some(values)) => goal.judge(values, self.rounds),
        };
        Target { number, what, goal, measured, verdict, note: None }
    }

    /// CPU per request against the limit of the endpoint, over 32 connections.
    fn cpu(&self, work: Work) -> Option<Target> {
        let target = goals::cpu_target(work)?;
        let (over, limit) = match target.limit {
            Limit::Hello => (self.slices.cpu_micros(Work::Hello, FEW), "axum GET"),
            Limit::Form => (self.slices.cpu_micros(Work::Form, FEW), "axum POST form"),
            Limit::Signature(algorithm) => {
                let times = self.results.sign.get(&algorithm).into_iter().flatten();
                (times.map(|time| Some(micros(*time))).collect(), "its signature alone")
            }
        };
        let measured = Quartiles::of(&ratios(&over, &self.slices.cpu_micros(work, FEW)));
        let what = format!("{work}: CPU, {limit} over it, c{FEW}");
        let note = match target.limit {
            Limit::Hello if work == Work::GetAuthorization => Some(INTERVALS.to_owned()),
            Limit::Hello if work == Work::Cached => Some(CACHED.to_owned()),
            Limit::Hello | Limit::Form => None,
            Limit::Signature(_) => self.ceiling(&over),
        };
        Some(Target { note, ..self.target(target.number, what, target.goal, measured) })
    }

    /// What the ratio to a signature would be if a request cost nothing but bare HTTP and that signature: how far
    /// a goal can be reached depends on how fast this processor signs and how fast this kernel sends.
    fn ceiling(&self, signature: &[Option<f64>]) -> Option<String> {
        let form = self.slices.cpu_micros(Work::Form, FEW);
        let whole: Vec<_> =
            signature.iter().zip(&form).map(|(sign, form)| Some((*sign)? + (*form)?)).collect();
        let ceiling = median(&ratios(signature, &whole))?;
        Some(format!(
            "with nothing but axum's POST form around the signature, and no record, it would be {} here",
            super::number(ceiling)
        ))
    }

    /// What the open-loop median would be, over axum's, if a request cost nothing but axum's and one flush.
    fn floor(&self, axum: &[Option<f64>]) -> Option<String> {
        let flush = percentile(&self.results.disk, 50.0);
        let axum = median(&axum.iter().flatten().copied().collect::<Vec<_>>())?;
        Some(format!(
            "with nothing but one fdatasync of this disk added to axum GET's median, it would be {} here",
            super::number((axum + flush) / axum)
        ))
    }

    /// Durable getAuthorization against bare axum: requests a second, or CPU where one of the two did not have
    /// the core for itself (or waited for the disk).
    fn durable(&self, connections: usize, goal: Goal) -> Target {
        let (ours, axum) = (Work::GetAuthorization, Work::Hello);
        let ratio =
            ratios(&self.slices.per_second(ours, connections), &self.slices.per_second(axum, connections));
        let what = format!("{ours}, durable: requests/s over axum GET, c{connections}");
        let by_requests = self.target("2", what, Some(goal), Quartiles::of(&ratio));
        let uses = [ours, axum].map(|work| (work, self.slices.server_use(work, connections)));
        let Some((who, part)) = uses.into_iter().find(|(_, part)| *part < FULL_USE) else {
            return by_requests;
        };
        let cpu =
            ratios(&self.slices.cpu_micros(axum, connections), &self.slices.cpu_micros(ours, connections));
        let what = format!("{ours}, durable: CPU, axum GET over it, c{connections}");
        let note = format!(
            "judged by CPU/request, because {who} used only {:.0} % of its core; by requests/s it is {}",
            part * 100.0,
            by_requests.measured.map_or_else(|| "-".to_owned(), super::spread)
        );
        Target { note: Some(note), ..self.target("2", what, Some(goal), Quartiles::of(&cpu)) }
    }

    /// The open loop against bare axum's in the same run: the median by rounds, the tail pooled.
    fn open(&self, work: Work) -> [Target; 2] {
        let rounds = |work| {
            let rounds = self.results.open.get(&work).map(Vec::as_slice).unwrap_or_default();
            rounds.iter().map(|slices| open_percentile(slices, 50.0)).collect::<Vec<_>>()
        };
        let slices = |work| self.results.open.get(&work).into_iter().flatten().flatten();
        let tail = |work| pooled(slices(work).map(|s: &Open| &s.latency)).map(|all| percentile(&all, 99.0));
        let p50 = Quartiles::of(&ratios(&rounds(work), &rounds(Work::Hello)));
        let p99 = tail(work).zip(tail(Work::Hello)).map(|(ours, axum)| Quartiles::exact(ours / axum));
        let judged = goals::latency_is_judged(work);
        let named = |what: &str, goal: Goal, values| {
            self.target(
                "18",
                format!("{work}: open-loop {what} over axum GET's"),
                judged.then_some(goal),
                values,
            )
        };
        let mut tail = named("p99 (pooled)", goals::OPEN_TAIL, p99);
        if judged && [work, Work::Hello].iter().any(|work| slices(*work).count() < OPEN_SLICES) {
            tail.verdict = Verdict::None(format!("fewer than {OPEN_SLICES} slices"));
        }
        let note = self.floor(&rounds(Work::Hello)).filter(|_| judged);
        [Target { note, ..named("p50", goals::OPEN_MEDIAN, p50) }, tail]
    }

    /// What the vendor's samples cost, over what we cost for a new credential, or for one that the same cloud has made.
    fn samples(&self, ours: Work, works: &[Work]) -> Vec<Target> {
        let (number, goal, delay) = match ours {
            Work::GetAuthorization => ("21", goals::SAMPLES, Delay::None),
            Work::Brokered(_, delay) => ("23", goals::BROKERED, delay),
            _ => return Vec::new(),
        };
        let samples = works.iter().filter(|work| work.is_a_samples() && work.cloud() == Some(delay));
        let target = |sample: &Work| {
            let [over, under] = [*sample, ours].map(|work| self.slices.cpu_micros(work, FEW));
            let what = format!("{sample}: CPU over that of {ours}, c{FEW}");
            self.target(number, what, Some(goal), Quartiles::of(&ratios(&over, &under)))
        };
        samples.map(target).collect()
    }

    /// How long a crowd waits beyond what the cloud takes, and how often the cloud is asked for all of it.
    fn crowd(&self, work: Work) -> Vec<Target> {
        let Work::Crowd(delay) = work else { return Vec::new() };
        let crowds = self.results.crowds.get(&delay).map(Vec::as_slice).unwrap_or_default();
        let of = |value: fn(&Crowd) -> f64| Quartiles::of(&crowds.iter().map(value).collect::<Vec<_>>());
        let beyond = of(|crowd| crowd.took.saturating_sub(crowd.cloud).as_secs_f64() * 1e3);
        let given = of(|crowd| number(crowd.given));
        let [took, cloud] =
            [of(|crowd| crowd.took.as_secs_f64() * 1e3), of(|crowd| crowd.cloud.as_secs_f64() * 1e3)]
                .map(|values| values.map_or_else(|| "-".to_owned(), super::spread));
        let what = |what: &str| format!("{work}: {CROWD} cold askers of one thing, {what}");
        let wait = what("ms until the last is answered beyond the cloud's own");
        let wait = self.target("24", wait, Some(goals::CROWD_MILLIS), beyond);
        let note = format!("the last was answered after {took} ms; the cloud alone takes {cloud} ms");
        let calls = what("questions to the cloud");
        let calls = self.target("24", calls, Some(goals::CROWD_CALLS), given);
        vec![Target { note: Some(note), ..wait }, calls]
    }

    /// What oidc-provider costs for the same, over what we cost.
    fn provider(&self, ours: Work, works: &[Work]) -> Option<Target> {
        let theirs = ours.of_provider().filter(|theirs| works.contains(theirs))?;
        let [over, under] = [theirs, ours].map(|work| self.slices.cpu_micros(work, FEW));
        let what = format!("{theirs}: CPU over that of {ours}, c{FEW}");
        Some(self.target("22", what, goals::over_provider(ours), Quartiles::of(&ratios(&over, &under))))
    }

    /// What a verification costs where many credentials were taken back, over one where none was.
    fn revoked(&self, work: Work) -> Option<Target> {
        let Work::Revoked(held) = work else { return None };
        let none = Work::Revoked(Held::None);
        let ratio = ratios(&self.slices.cpu_micros(work, FEW), &self.slices.cpu_micros(none, FEW));
        let what = format!("{work}: CPU over that of {none}, c{FEW}");
        (held != Held::None).then(|| self.target("13", what, Some(goals::REVOKED), Quartiles::of(&ratio)))
    }

    /// What a part of a longer role costs over a part of one with a single statement.
    fn statements(&self, work: Work) -> Option<Target> {
        let Work::Narrow(statements) = work else { return None };
        let one = Work::Narrow(Statements::One);
        let ratio = ratios(&self.slices.cpu_micros(work, FEW), &self.slices.cpu_micros(one, FEW));
        let what = format!("{work}: CPU over that of {one}, c{FEW}");
        (statements != Statements::One).then(|| self.target("7", what, None, Quartiles::of(&ratio)))
    }

    /// How much longer the slowest hundredth waits than equal turns would make it.
    fn fairness(&self, work: Work) -> Target {
        let values: Vec<f64> = self
            .slices
            .of(work, MANY)
            .iter()
            .filter(|slice| slice.answers > 0)
            .map(|slice| {
                let turns = u32::try_from(MANY).map_or(f64::NAN, f64::from);
                let share = Duration::from_secs_f64(turns / slice.per_second());
                percentile(&slice.latency, 99.0) / micros(share)
            })
            .collect();
        let what = format!("{work}: closed-loop p99 over {MANY}/throughput");
        self.target("19", what, Some(goals::FAIRNESS), Quartiles::of(&values))
    }
}

fn open_percentile(slices: &[Open], at: f64) -> Option<f64> {
    let values: Vec<f64> = slices
        .iter()
        .filter(|slice| !slice.latency.is_empty())
        .map(|slice| percentile(&slice.latency, at))
        .collect();
    median(&values)
}
