//! From measurements to verdicts.

use super::Target;
use super::endpoints::{percentile, pooled};
use crate::asker::Work;
use crate::goals::{self, Limit};
use crate::loader::{Closed, Open};
use crate::run::{FEW, MANY, OPEN_SLICES, Results};
use crate::start::Starts;
use crate::statistics::{FULL_USE, Goal, Quartiles, Verdict, median, micros, number, ratios};
use std::time::Duration;

/// Every target that applies to what was measured, in the order of their numbers.
pub(super) fn all(works: &[Work], results: &Results, starts: &Starts, rounds: usize) -> Vec<Target> {
    let view = View { results, rounds };
    let ours: Vec<Work> = works.iter().copied().filter(|work| !work.is_yardstick()).collect();
    let mut targets: Vec<Target> = ours.iter().filter_map(|work| view.cpu(*work)).collect();
    if ours.contains(&Work::GetAuthorization) {
        targets.extend([view.durable(FEW, goals::DURABLE_FEW), view.durable(MANY, goals::DURABLE_MANY)]);
    }
    targets.extend(weights(results, starts));
    for work in &ours {
        targets.extend(view.open(*work));
        targets.push(view.fairness(*work));
    }
    let faults = Quartiles::exact(number(results.faults.count));
    targets.push(exact("20", "requests that went wrong", goals::FAULTS, Some(faults)));
    targets.sort_by_key(|target| target.number.parse::<u8>().unwrap_or(u8::MAX));
    targets
}

/// A target whose values need no number of rounds.
fn exact(number: &'static str, what: &str, goal: Goal, measured: Option<Quartiles>) -> Target {
    let verdict = measured.map_or_else(not_measured, |values| goal.judge_exact(values));
    Target { number, what: what.to_owned(), goal: Some(goal), measured, verdict }
}

fn not_measured() -> Verdict {
    Verdict::None("not measured".to_owned())
}

fn information(why: &str) -> Verdict {
    Verdict::None(format!("information: {why}"))
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

struct View<'a> {
    results: &'a Results,
    rounds: usize,
}

impl View<'_> {
    fn slices(&self, work: Work, connections: usize) -> &[Closed] {
        self.results.closed.get(&(work, connections)).map(Vec::as_slice).unwrap_or_default()
    }

    fn cpu_micros(&self, work: Work, connections: usize) -> Vec<Option<f64>> {
        self.slices(work, connections).iter().map(Closed::cpu_micros).collect()
    }

    fn per_second(&self, work: Work, connections: usize) -> Vec<Option<f64>> {
        self.slices(work, connections).iter().map(|slice| Some(slice.per_second())).collect()
    }

    /// The median share of its core that a server used.
    fn server_use(&self, work: Work, connections: usize) -> f64 {
        let values: Vec<f64> = self.slices(work, connections).iter().map(Closed::server_use).collect();
        median(&values).unwrap_or_default()
    }

    fn judged(&self, goal: Goal, measured: Option<Quartiles>) -> Verdict {
        measured.map_or_else(not_measured, |values| goal.judge(values, self.rounds))
    }

    /// CPU per request against the limit of the endpoint, over 32 connections.
    fn cpu(&self, work: Work) -> Option<Target> {
        let target = goals::cpu_target(work)?;
        let (over, limit) = match target.limit {
            Limit::Hello => (self.cpu_micros(Work::Hello, FEW), "axum GET".to_owned()),
            Limit::Signature(algorithm) => {
                let times = self.results.sign.get(&algorithm).into_iter().flatten();
                (times.map(|time| Some(micros(*time))).collect(), "its signature alone".to_owned())
            }
        };
        let measured = Quartiles::of(&ratios(&over, &self.cpu_micros(work, FEW)));
        let verdict = match target.goal {
            Some(goal) => self.judged(goal, measured),
            None => information("the goal 0.70 is for records written at intervals; ours are durable"),
        };
        let what = format!("{work}: CPU, {limit} over it, c{FEW}");
        Some(Target { number: target.number, what, goal: target.goal, measured, verdict })
    }

    /// Durable getAuthorization against bare axum: requests a second, or CPU where one of the two did not have
    /// the core for itself (or waited for the disk).
    fn durable(&self, connections: usize, goal: Goal) -> Target {
        let (ours, axum) = (Work::GetAuthorization, Work::Hello);
        let uses = [(ours, self.server_use(ours, connections)), (axum, self.server_use(axum, connections))];
        let part = uses.iter().find(|(_, part)| *part < FULL_USE);
        let per_second = ratios(&self.per_second(ours, connections), &self.per_second(axum, connections));
        let what = format!("{ours}, durable: requests/s over axum GET, c{connections}");
        let Some((who, part)) = part else {
            let measured = Quartiles::of(&per_second);
            return Target {
                number: "2",
                what,
                goal: Some(goal),
                measured,
                verdict: self.judged(goal, measured),
            };
        };
        let cpu = ratios(&self.cpu_micros(axum, connections), &self.cpu_micros(ours, connections));
        let measured = Quartiles::of(&cpu);
        let verdict = self.judged(goal, measured);
        let by_requests = median(&per_second).map_or_else(|| "-".to_owned(), super::number);
        let what = format!(
            "{what}; by CPU/request instead, since {who} used {:.0} % of the core (by requests/s {by_requests})",
            part * 100.0
        );
        Target { number: "2", what, goal: Some(goal), measured, verdict }
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
        let enough = [work, Work::Hello].iter().all(|work| slices(*work).count() >= OPEN_SLICES);
        let (goal50, goal99) = (goals::OPEN_MEDIAN, goals::OPEN_TAIL);
        let judged = goals::latency_is_judged(work);
        let (verdict50, verdict99) = if judged {
            let tail = match p99 {
                Some(values) if enough => goal99.judge_exact(values),
                Some(_) => Verdict::None(format!("fewer than {OPEN_SLICES} slices")),
                None => not_measured(),
            };
            (self.judged(goal50, p50), tail)
        } else {
            let why = "a signature takes longer than a bare request";
            (information(why), information(why))
        };
        let target = |goal, what: &str, measured, verdict| Target {
            number: "18",
            what: format!("{work}: open-loop {what} over axum GET's"),
            goal: judged.then_some(goal),
            measured,
            verdict,
        };
        [target(goal50, "p50", p50, verdict50), target(goal99, "p99 (pooled)", p99, verdict99)]
    }

    /// How much longer the slowest hundredth waits than equal turns would make it.
    fn fairness(&self, work: Work) -> Target {
        let values: Vec<f64> = self
            .slices(work, MANY)
            .iter()
            .filter(|slice| slice.answers > 0)
            .map(|slice| {
                let turns = u32::try_from(MANY).map_or(f64::NAN, f64::from);
                let share = Duration::from_secs_f64(turns / slice.per_second());
                percentile(&slice.latency, 99.0) / micros(share)
            })
            .collect();
        let (goal, measured) = (goals::FAIRNESS, Quartiles::of(&values));
        let what = format!("{work}: closed-loop p99 over {MANY}/throughput");
        Target { number: "19", what, goal: Some(goal), measured, verdict: self.judged(goal, measured) }
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
