use super::*;
use crate::loader::{Closed, Faults, Open, histogram};
use crate::process::Used;
use crate::run::{ALONE, Crowd, FEW, Fetched, MANY, OPEN_SLICES};
use crate::statistics::Goal;
use crate::work::{Delay, Held, Peer, Statements, Whose};
use daypass_core::role::Algorithm;
use std::collections::HashMap;

const SAMPLE: Work = Work::Sample(Peer::Flask, Delay::None);
const WORKS: [Work; 5] =
    [Work::Hello, Work::GetAuthorization, Work::Tc3, Work::Token(Algorithm::Es256), SAMPLE];
const ROUNDS: usize = 9;

/// A slice of one second in which every request cost that much CPU, and took so long.
fn slice(answers: u64, cpu_micros: u64, latency_micros: u64) -> Closed {
    let mut latency = histogram().unwrap();
    latency.record_n(latency_micros * 1_000, answers).unwrap();
    let used = Used { time: Duration::from_micros(answers * cpu_micros), turns: answers / 4 };
    Closed {
        answers,
        sent: answers,
        elapsed: Duration::from_secs(1),
        used,
        latency,
        faults: Faults::default(),
    }
}

fn results() -> Results {
    let mut closed = HashMap::new();
    let mut open = HashMap::new();
    // Answers a second and CPU of each: all use the whole core.
    let form = |connections| ((Work::Form, connections), vec![slice(50_000, 20, 500); ROUNDS]);
    closed.extend([FEW, MANY].map(form));
    for (work, answers, cpu) in
        [(WORKS[0], 100_000, 10), (WORKS[1], 50_000, 20), (WORKS[2], 40_000, 25), (WORKS[3], 20_000, 50)]
    {
        for connections in [FEW, MANY] {
            let fair = u64::try_from(connections).unwrap() * 1_000_000 / answers;
            closed.insert((work, connections), vec![slice(answers, cpu, fair); ROUNDS]);
        }
        let mut latency = histogram().unwrap();
        latency.record_n(cpu * 1_000, 100).unwrap();
        let slices = vec![Open { latency, faults: Faults::default() }; OPEN_SLICES.div_ceil(ROUNDS)];
        open.insert(work, vec![slices; ROUNDS]);
    }
    // The sample: fifty times the CPU of the credential's 20 us, and eight times its latency where nobody waits.
    closed.insert((SAMPLE, FEW), vec![slice(1_000, 1_000, 32_000); ROUNDS]);
    for (work, latency) in [(Work::GetAuthorization, 250), (SAMPLE, 2_000)] {
        closed.insert((work, ALONE), vec![slice(400, 20, latency); ROUNDS]);
    }
    let sign = HashMap::from([(Algorithm::Es256, vec![Duration::from_micros(30); ROUNDS])]);
    let mut disk = histogram().unwrap();
    disk.record(100_000).unwrap();
    Results {
        closed,
        open,
        sign,
        disk,
        resident: vec![20_000],
        behind: HashMap::from([(SAMPLE, vec![0.03])]),
        fetched: HashMap::from([((SAMPLE, FEW), Fetched { requests: 4_000, given: 4_000 })]),
        crowds: HashMap::new(),
        faults: Faults::default(),
    }
}

fn starts() -> Starts {
    let again = vec![Duration::from_millis(80), Duration::from_millis(90), Duration::from_millis(85)];
    Starts { empty: Duration::from_millis(300), again, idle: vec![8_000], binary: 7_000_000 }
}

fn report(results: &Results, rounds: usize) -> Report {
    let machine = Machine::look(Cores::choose().unwrap(), Path::new("daypass"), true);
    Report::new(machine, rounds, Duration::from_millis(400), 7, &WORKS, results, &starts())
}

fn find<'a>(report: &'a Report, what: &str) -> &'a Target {
    let found: Vec<_> = report.targets.iter().filter(|target| target.what.contains(what)).collect();
    assert_eq!(found.len(), 1, "{what}");
    found[0]
}

fn measured(report: &Report, what: &str) -> f64 {
    (find(report, what).measured.unwrap().median * 1e4).round() / 1e4
}

#[test]
fn ratios_are_of_what_they_say() {
    let report = report(&results(), ROUNDS);
    let close = |what: &str, value: f64| {
        let seen = measured(&report, what);
        assert!((seen - value).abs() < 0.01, "{what}: {seen}");
    };
    close("getAuthorization: CPU, axum GET over it", 0.5);
    close("GetFederationToken TC3: CPU, axum GET over it", 0.4);
    close("token ES256: CPU, its signature alone over it", 0.6);
    close("getAuthorization, durable: requests/s over axum GET, c32", 0.5);
    close("getAuthorization: open-loop p50 over", 2.0);
    close("getAuthorization: open-loop p99 (pooled)", 2.0);
    close("getAuthorization: closed-loop p99", 1.0);
    close("resident, idle", 8.192);
    close("size of the binary", 7.0);
    close("start to first token", 85.0);
    close("Flask sample: CPU over that of getAuthorization", 50.0);
    close("requests that went wrong", 0.0);
}

#[test]
fn samples_are_compared_with_what_hands_out_the_same() {
    let report = report(&results(), ROUNDS);
    let text = report.text();
    let row = |ours: &str| text.lines().find(|line| line.starts_with(ours)).unwrap_or_default().to_owned();
    let cells = |row: String| row.split('|').map(|cell| cell.trim().to_owned()).collect::<Vec<_>>();
    let fresh = cells(row("| getAuthorization       | Flask sample"));
    // 1000 over 20 us, 50000 over 1000 a second, 2000 over 250 us.
    let near = |cell: &str, value: f64| (cell.parse::<f64>().unwrap() / value - 1.0).abs() < 0.01;
    for (cell, value) in fresh[3..7].iter().zip([50.0, 50.0, 8.0, 8.0]) {
        assert!(near(cell, value), "{fresh:?}");
    }
    let tc3 = cells(row("| GetFederationToken TC3 | Flask sample"));
    assert_eq!(tc3[3..7], ["40.0", "40.0", "-", "-"], "nobody asked it alone");
    assert!(!text.contains("token ES256 | Flask"), "another protocol");
    assert!(
        text.contains("the cloud behind Flask sample: its part of the loader's core meanwhile, c32: 3.00 %"),
        "{text}"
    );
    assert!(!text.contains("SKIPPED"));
}

#[test]
fn what_was_left_out_is_said() {
    let mut results = results();
    results.closed.retain(|(work, _), _| *work != SAMPLE);
    let machine = Machine::look(Cores::choose().unwrap(), Path::new("daypass"), true);
    let slice = Duration::from_millis(400);
    let report = Report::new(machine, ROUNDS, slice, 7, &WORKS[..4], &results, &starts())
        .skipping(vec!["flask_sample.py: no answer from there".to_owned()]);
    let text = report.text();
    assert!(text.contains("\nSKIPPED flask_sample.py: no answer from there\n"), "{text}");
    assert!(!text.contains("The vendor's samples"), "no table of nothing");
    assert_eq!(serde_json::to_value(&report).unwrap()["skipped"].as_array().unwrap().len(), 1);
}

#[test]
fn notes_say_what_this_machine_allows() {
    let report = report(&results(), ROUNDS);
    // 30 us of signature in 30 + 20 us; 100 us of flush on top of 10 us.
    let note = |what: &str| find(&report, what).note.clone().unwrap_or_default();
    assert!(note("token ES256: CPU").contains("it would be 0.60 here"), "{}", note("token ES256: CPU"));
    let floor = note("getAuthorization: open-loop p50");
    assert!(floor.contains("it would be 11.0 here"), "{floor}");
    assert_eq!(note("token ES256: open-loop p50"), "", "what is not judged needs no floor");
    assert_eq!(note("GetFederationToken TC3: CPU"), "");
}

#[test]
fn verdicts_follow_from_goals() {
    let report = report(&results(), ROUNDS);
    let verdict = |what: &str| find(&report, what).verdict.clone();
    assert_eq!(verdict("token ES256: CPU"), Verdict::Met);
    assert_eq!(verdict("GetFederationToken TC3: CPU"), Verdict::Missed);
    assert_eq!(verdict("requests/s over axum GET, c32"), Verdict::Met);
    assert_eq!(verdict("requests/s over axum GET, c256"), Verdict::Missed);
    assert_eq!(verdict("getAuthorization: open-loop p50"), Verdict::Missed);
    assert_eq!(verdict("getAuthorization: open-loop p99"), Verdict::Met);
    assert_eq!(verdict("Flask sample: CPU"), Verdict::Met);
    assert_eq!(verdict("requests that went wrong"), Verdict::Met);
    assert!(matches!(verdict("getAuthorization: CPU"), Verdict::None(why) if why == "information"));
    assert!(matches!(verdict("token ES256: open-loop p50"), Verdict::None(why) if why == "information"));
}

#[test]
fn a_server_without_the_whole_core_is_judged_by_cpu() {
    let mut results = results();
    // Half the answers in the same time at the same cost: the core was idle, or someone else's, half of the time.
    results.closed.insert((Work::GetAuthorization, FEW), vec![slice(25_000, 20, 1_000); ROUNDS]);
    let report = report(&results, ROUNDS);
    let target = find(&report, "durable: CPU, axum GET over it, c32");
    let note = target.note.as_deref().unwrap();
    assert!(note.contains("getAuthorization used only 50 % of its core; by requests/s it is 0.25"), "{note}");
    assert!(report.text().contains(note));
    assert!((target.measured.unwrap().median - 0.5).abs() < 1e-9);
    assert_eq!(target.verdict, Verdict::Met);
}

#[test]
fn too_few_rounds_give_no_verdict_on_ratios() {
    let report = report(&results(), 3);
    assert!(matches!(find(&report, "token ES256: CPU").verdict, Verdict::None(_)));
    assert_eq!(find(&report, "size of the binary").verdict, Verdict::Met);
}

#[test]
fn faults_miss_their_target() {
    let mut results = results();
    results.faults = Faults { count: 2, first: Some("status 500".to_owned()) };
    let report = report(&results, ROUNDS);
    assert_eq!(report.faults(), 2);
    assert_eq!(find(&report, "requests that went wrong").verdict, Verdict::Missed);
    assert!(report.text().contains("2 requests went wrong. The first: status 500"));
}

#[test]
fn what_was_not_measured_is_said() {
    let mut results = results();
    results.closed.remove(&(Work::Tc3, MANY));
    results.sign.clear();
    let report = report(&results, ROUNDS);
    for what in ["token ES256: CPU", "GetFederationToken TC3: closed-loop p99"] {
        assert_eq!(find(&report, what).verdict, Verdict::None("not measured".to_owned()), "{what}");
    }
}

#[test]
fn the_report_holds_everything() {
    let report = report(&results(), ROUNDS);
    let text = report.text();
    for part in
        ["| #", "getAuthorization", "closed, 256", "open, half", "fdatasync", "MISSED", "9 rounds of 400 ms"]
    {
        assert!(text.contains(part), "{part} in\n{text}");
    }
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["endpoints"][0]["cpu_micros"].as_array().unwrap().len(), ROUNDS);
    assert_eq!(json["targets"][0]["number"], "1");
}

#[test]
fn numbers_have_as_many_digits_as_mean_something() {
    assert_eq!(
        [0.0, 0.123, 9.876, 12.34, 123.4, 45_678.9].map(number),
        ["0", "0.12", "9.88", "12.3", "123", "45679"]
    );
    assert_eq!(spread(Quartiles::exact(2.0)), "2.00");
    assert_eq!(spread(Quartiles { q1: 1.0, median: 2.0, q3: 30.0 }), "2.00 [1.00-30.0]");
    assert!(matches!(Goal::AtMost(0.0).judge_exact(Quartiles::exact(0.0)), Verdict::Met));
}

#[test]
fn cut_offs_are_compared_with_none_and_statements_with_one() {
    let mut results = results();
    let [none, thousand, million] = Held::ALL.map(Work::Revoked);
    let [one, ten, hundred] = Statements::ALL.map(Work::Narrow);
    for (work, cpu) in [(none, 40), (thousand, 42), (million, 60), (one, 30), (ten, 33), (hundred, 90)] {
        results.closed.insert((work, FEW), vec![slice(1_000, cpu, 32_000); ROUNDS]);
    }
    let works = [none, thousand, million, one, ten, hundred];
    let machine = Machine::look(Cores::choose().unwrap(), Path::new("daypass"), true);
    let weight = Weight {
        held: Held::Million,
        start: Duration::from_millis(1_500),
        resident: 200_000,
        in_force: Duration::from_millis(900),
    };
    let report = Report::new(machine, ROUNDS, Duration::from_millis(400), 7, &works, &results, &starts())
        .weighing(&[weight]);
    let near = |what: &str, value: f64| {
        let seen = measured(&report, what);
        assert!((seen - value).abs() < 0.01, "{what}: {seen}");
    };
    near("verify TC3, 1000 revoked: CPU over", 1.05);
    near("verify TC3, 1000000 revoked: CPU over", 1.5);
    assert!(matches!(find(&report, "1000 revoked: CPU over").verdict, Verdict::Met));
    assert!(matches!(find(&report, "1000000 revoked: CPU over").verdict, Verdict::Missed));
    near("role of 10 statements: CPU over", 1.1);
    near("role of 100 statements: CPU over", 3.0);
    assert!(!report.targets.iter().any(|target| target.what.starts_with(&none.to_string())));
    let text = report.text();
    for line in [
        "- 1000000 credentials taken back: resident memory, idle: 205 MB",
        "- 1000000 credentials taken back: start, until a key and a token were given: 1500 ms",
        "- 1000000 credentials taken back: until one more is in force: 900 ms",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
}

#[test]
fn what_a_cloud_has_made_is_compared_with_the_samples_that_ask_it_from_as_far() {
    let mut results = results();
    let far = Work::Sample(Peer::Flask, Delay::Far);
    let [kept, cold] = [Whose::Anyones, Whose::New].map(|whose| Work::Brokered(whose, Delay::Far));
    for (work, cpu) in [(far, 3_000), (kept, 30), (cold, 600)] {
        results.closed.insert((work, FEW), vec![slice(100, cpu, 32_000); ROUNDS]);
        results.closed.insert((work, ALONE), vec![slice(100, cpu, 31_000); ROUNDS]);
    }
    results.fetched.insert((cold, FEW), Fetched { requests: 1_000, given: 1_000 });
    results.fetched.insert((kept, FEW), Fetched { requests: 10_000, given: 5 });
    let crowd =
        |took: u64| Crowd { took: Duration::from_millis(took), cloud: Duration::from_millis(31), given: 1 };
    results.crowds.insert(Delay::Far, vec![crowd(61); ROUNDS]);
    results.crowds.insert(Delay::None, vec![crowd(91); ROUNDS]);
    let works = [SAMPLE, far, kept, cold, Work::Crowd(Delay::Far), Work::Crowd(Delay::None)];
    let machine = Machine::look(Cores::choose().unwrap(), Path::new("daypass"), true);
    let report = Report::new(machine, ROUNDS, Duration::from_millis(400), 7, &works, &results, &starts());
    let of = |what: &str| (find(&report, what).measured.unwrap().median, find(&report, what).verdict.clone());
    assert_eq!(of("Flask sample, 30 ms: CPU over that of brokered kept"), (100.0, Verdict::Met));
    assert_eq!(of("Flask sample, 30 ms: CPU over that of brokered cold"), (5.0, Verdict::Missed));
    assert!(
        !report.targets.iter().any(|target| target.what.starts_with("Flask sample: CPU")),
        "another cloud"
    );
    assert_eq!(of("brokered crowd, 30 ms: 1000 cold askers of one thing, ms"), (30.0, Verdict::Met));
    assert_eq!(of("brokered crowd, 0 ms: 1000 cold askers of one thing, ms"), (60.0, Verdict::Missed));
    assert_eq!(of("brokered crowd, 30 ms: 1000 cold askers of one thing, questions"), (1.0, Verdict::Met));
    let text = report.text();
    assert!(text.contains("the last was answered after 61.0 ms; the cloud alone takes 31.0 ms"), "{text}");
    let row = |name: &str, load: &str| {
        let found = text.lines().find(|line| line.contains(name) && line.contains(load)).unwrap();
        found.split('|').map(|cell| cell.trim().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(row("| brokered cold, 30 ms", "closed, 32")[7], "1.0000");
    assert_eq!(row("| brokered kept, 30 ms", "closed, 32")[7], "0.0005");
    let compared = row("| brokered kept, 30 ms | Flask sample, 30 ms", "|");
    assert_eq!(compared[3], "100");
}
