use super::*;
use crate::record::tree::{Ranges, leaf};
use crate::record::{Chain, Record};
use crate::testing::{self, START};
use serde_json::json;
use std::ops::RangeInclusive;

/// Two chains, the second of which lost its first records to retention, and their checkpoints.
struct World {
    ring: std::sync::Arc<Ring>,
    chains: Vec<(Vec<Link>, Ranges)>,
    kept: Vec<Kept>,
    cover: Cover,
}

const REMOVED: u64 = 2;
const NONE: RangeInclusive<u64> = RangeInclusive::new(1, 0);

fn world() -> World {
    let ring = testing::ring();
    let mut world = World { ring, chains: Vec::new(), kept: Vec::new(), cover: Cover::default() };
    for (writer, count) in [(1, 5), (2, 7)] {
        let mut chain = Chain::begin(&world.ring, Uuid::from_u128(writer)).unwrap();
        let mut ranges = Ranges::new(crate::record::tree::Frontier::new());
        let links: Vec<_> = (1..=count)
            .map(|number| {
                let object = format!("\"{number}\",\"record\":}}");
                Record::change(Uuid::from_u128(number), START, Some("acme".into()), "a.b", &object)
            })
            .map(|record| chain.link(&record).unwrap())
            .collect();
        for link in &links {
            ranges.append(leaf(&link.blob));
        }
        world.chains.push((links, ranges));
    }
    let span = |chain: usize, size| {
        let links = &world.chains[chain].0[..size];
        let mut tree = crate::record::tree::Frontier::new();
        for link in links {
            tree.append(leaf(&link.blob));
        }
        Span { writer: links[0].writer, size: size as u64, root: tree.root() }
    };
    let spans = [
        (1, 3, vec![span(0, 3)], vec![]),
        (2, 9, vec![span(0, 5), span(1, 4)], vec![span(1, 2)]),
        (2, 12, vec![span(1, 7)], vec![]),
    ];
    for (number, (chains, records, grown, cut)) in (1..).zip(spans) {
        let previous = world.kept.last().map(Kept::digest);
        let checkpoint = Checkpoint {
            version: 1,
            number,
            time: START,
            previous,
            chains,
            records,
            grown,
            cut,
            accepts: None,
        };
        let kept = checkpoint.sign(&world.ring).unwrap();
        world.cover.look(&kept).unwrap();
        world.kept.push(kept);
    }
    world
}

impl World {
    fn line(&self, export: &mut Export, chain: usize, number: u64) -> Line {
        let (links, ranges) = &self.chains[chain];
        let link = &links[usize::try_from(number).unwrap() - 1];
        let leaves: Vec<_> = links.iter().map(|link| leaf(&link.blob)).collect();
        let path = ranges.block(number - 1, &leaves).unwrap().path(number - 1).unwrap();
        let known = self.cover.of(link.writer).unwrap();
        export.record(link, known.checkpoint, &path).unwrap()
    }

    /// An export of these records of either chain.
    fn export(&self, wanted: [RangeInclusive<u64>; 2], whole: bool) -> Vec<Line> {
        let filter = Filter { tenant: (!whole).then(|| "acme".to_owned()), ..Filter::default() };
        let (mut export, first) = Export::begin(START, &filter, self.ring.checkpoint_keys()).unwrap();
        let mut lines = vec![first];
        for number in self.cover.checkpoints() {
            let kept = self.kept.iter().find(|kept| kept.number == number).unwrap();
            lines.push(export.checkpoint(kept));
        }
        for (chain, numbers) in wanted.into_iter().enumerate() {
            lines.extend(numbers.map(|number| self.line(&mut export, chain, number)));
        }
        lines.push(export.end(&self.ring, 10, whole).unwrap());
        lines
    }

    fn whole(&self) -> Vec<Line> {
        self.export([1..=5, REMOVED + 1..=7], true)
    }

    fn report(&self, lines: &[Line]) -> Report {
        let keys = self
            .ring
            .checkpoint_keys()
            .map(|key| PublishedKey::ed25519(key.ed25519_text().unwrap()).unwrap());
        report(keys.collect(), lines)
    }

    fn problems(&self, lines: &[Line]) -> Vec<Problem> {
        let report = self.report(lines);
        assert_eq!(report.faults_in_all, report.faults.len() as u64);
        report.faults.into_iter().map(|fault| fault.problem).collect()
    }
}

fn report(keys: Vec<PublishedKey>, lines: &[Line]) -> Report {
    let mut reader = Reader::new(keys);
    for line in lines {
        reader.take(line);
    }
    reader.finish()
}

fn writer(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

#[test]
fn a_whole_export_proves_that_it_is() {
    let world = world();
    assert!(world.cover.is_whole());
    assert_eq!(world.cover.checkpoints(), [2, 3].into(), "the first says nothing that counts any more");
    let lines = world.whole();
    let report = world.report(&lines);
    assert_eq!((report.records, report.proved, report.checkpoint), (10, 10, 3), "{report:?}");
    assert!(report.whole && report.faults.is_empty());
    assert_eq!((report.made, report.filter), (Some(START), json!({})));
    assert!(lines.iter().all(|line| line.iter().position(|byte| *byte == b'\n') == Some(line.len() - 1)));
}

#[test]
fn a_filtered_export_proves_what_is_in_it() {
    let world = world();
    let lines = world.export([2..=2, 5..=6], false);
    let report = world.report(&lines);
    assert_eq!((report.proved, report.whole, report.faults), (3, false, vec![]));
    assert_eq!(report.filter, json!({"tenant": "acme"}));
}

#[test]
fn the_form_stays_as_it_is() {
    let world = world();
    let lines = world.export([3..=3, 7..=7], false);
    let text: Vec<_> = lines.iter().map(|line| String::from_utf8(line.clone()).unwrap()).collect();
    let opening = r#"{"format":"daypass-records","version":1,"made":"2023-11-14T22:13:20Z","filter":{"tenant":"acme"},"keys":[{""#;
    assert!(text[0].starts_with(opening), "{}", text[0]);
    assert_eq!(text[1], format!("{{\"checkpoint\":\"{}\"}}\n", world.kept[1].jws));
    let record = r#"{"writer":"00000000-0000-0000-0000-000000000001","number":3,"checkpoint":2,"path":""#;
    assert!(text[3].starts_with(record), "{}", text[3]);
    let blob = std::str::from_utf8(&world.chains[0].0[2].blob).unwrap();
    assert!(text[3].ends_with(&format!("\",\"record\":{blob}}}\n")), "{}", text[3]);
    assert!(
        text[5].starts_with(r#"{"end":{"records":2,"looked_at":10,"checkpoints":2,"whole":false,"sha256":""#)
    );
}

#[test]
fn what_is_left_out_of_a_whole_export_is_missed() {
    let world = world();
    for (wanted, from, to, of) in [
        ([1..=4, 3..=7], 5, 5, 1),
        ([2..=5, 3..=7], 1, 1, 1),
        ([1..=5, 5..=7], 3, 4, 2),
        ([1..=5, NONE], 3, 7, 2),
    ] {
        let missing = Problem::Missing { writer: writer(of), from, to };
        assert_eq!(world.problems(&world.export(wanted, true)), [missing]);
    }
}

#[test]
fn a_chain_that_is_left_out_of_a_whole_export_is_missed() {
    let mut world = world();
    world.cover.grown.remove(&writer(1));
    // Without the checkpoint that names it.
    world.cover.cut.clear();
    let lines = world.export([NONE, 1..=7], true);
    assert_eq!(world.problems(&lines), [Problem::ChainsMissing]);
}

#[test]
fn every_changed_line_shows() {
    let world = world();
    let lines = world.whole();
    for at in 0..lines.len() {
        // One byte in the middle of each part of a line.
        let length = lines[at].len();
        for place in [3, 20, length / 3, length / 2, length - 30, length - 2] {
            let mut changed = lines.clone();
            changed[at][place] = if changed[at][place] == b'a' { b'b' } else { b'a' };
            assert!(!world.problems(&changed).is_empty(), "line {at}, byte {place}");
        }
        let mut removed = lines.clone();
        removed.remove(at);
        assert!(!world.problems(&removed).is_empty(), "line {at}");
        let mut twice = lines.clone();
        twice.insert(at, lines[at].clone());
        assert!(!world.problems(&twice).is_empty(), "line {at}");
        let mut cut = lines[..at].to_vec();
        assert!(world.problems(&cut).contains(&Problem::Cut));
        cut.push(lines[at][..lines[at].len() / 2].to_vec());
        assert!(world.problems(&cut).contains(&Problem::Cut));
        if at > 0 {
            let mut swapped = lines.clone();
            swapped.swap(at - 1, at);
            assert!(!world.problems(&swapped).is_empty(), "line {at}");
        }
    }
}

#[test]
fn a_record_is_proved_by_its_bytes_its_place_and_its_chain() {
    let world = world();
    let lines = world.export([2..=2, 6..=6], false);
    let text = |line: &Line| String::from_utf8(line.clone()).unwrap();
    let with = |old: &str, new: &str| {
        let mut lines = lines.clone();
        let changed = text(&lines[3]).replacen(old, new, 1);
        assert_ne!(changed, text(&lines[3]));
        lines[3] = changed.into_bytes();
        world.problems(&lines)
    };
    let not_proved = |number| Problem::NotProved { writer: writer(1), number };
    assert_eq!(with("a.b", "a.c")[0], not_proved(2));
    assert_eq!(with("\"number\":2", "\"number\":3")[0], not_proved(3));
    assert_eq!(with("\"number\":2", "\"number\":0")[0], not_proved(0));
    let other = format!("\"{}\",\"number\":2,\"checkpoint\":2", writer(2));
    let chain = Problem::Uncovered { writer: writer(2), number: 2, checkpoint: 2 };
    assert_eq!(with(&format!("\"{}\",\"number\":2,\"checkpoint\":2", writer(1)), &other)[0], chain);
    let older = Problem::Uncovered { writer: writer(1), number: 2, checkpoint: 1 };
    assert_eq!(with("\"checkpoint\":2", "\"checkpoint\":1")[0], older);
    // A second member of the name, before or behind the real one, is not what a reader may take it for.
    let unreadable = Problem::Unreadable { expected: "a record with its place and its path" };
    assert_eq!(with("{\"writer\"", "{\"record\":{},\"writer\"")[0], unreadable);
    assert_eq!(with(",\"record\":", ",\"record\":{},\"record\":")[0], not_proved(2));
}

#[test]
fn a_removed_line_shows_in_a_filtered_export_too() {
    let world = world();
    let mut lines = world.export([2..=3, 5..=6], false);
    lines.remove(4);
    assert_eq!(world.problems(&lines), [Problem::OtherLines]);
    // Whoever counts anew cannot sign.
    let end = lines.len() - 1;
    let mut digest = Context::new(&SHA256);
    for line in &lines[..end] {
        digest.update(line);
    }
    let text = String::from_utf8(lines[end].clone()).unwrap();
    let (_, old) = text.split_once("\"sha256\":\"").unwrap();
    let new = text.replace("\"records\":4", "\"records\":3").replace(&old[..43], &sha256(&digest));
    lines[end] = new.into_bytes();
    assert_eq!(world.problems(&lines), [Problem::End { expected: "the signature of what it says" }]);
}

#[test]
fn only_the_keys_that_the_reader_brings_are_believed() {
    let world = world();
    let stranger = crate::jose::Signer::generate(crate::role::Algorithm::EdDsa).unwrap();
    let stranger = crate::jose::Signer::parse(crate::role::Algorithm::EdDsa, &stranger).unwrap();
    let key = PublishedKey::ed25519(stranger.public().ed25519_text().unwrap()).unwrap();
    let report = report(vec![key], &world.whole());
    assert_eq!((report.proved, report.checkpoint, report.whole), (0, 0, false));
    assert_eq!(report.faults_in_all, 2 + 10 + 1, "checkpoints, records and the end");
    // A checkpoint is no end, and an end no checkpoint.
    let mut lines = world.whole();
    let end = String::from_utf8(lines.pop().unwrap()).unwrap();
    let (said, _) = end.split_once(",\"signed\":").unwrap();
    lines.push(format!("{said},\"signed\":\"{}\"}}\n", world.kept[2].jws).into_bytes());
    assert_eq!(world.problems(&lines), [Problem::End { expected: "the `typ` of such a statement" }]);
}

#[test]
fn faults_without_number_are_counted_and_not_all_kept() {
    let world = world();
    let lines = vec![b"{}\n".to_vec(); 3000];
    let report = world.report(&lines);
    assert_eq!((report.faults_in_all, report.faults.len()), (3001, 1000));
    assert_eq!(
        report.faults[0].to_string(),
        "line 1: this is no line of an export: it should be the first line of an export of version 1"
    );
}

#[test]
fn a_record_that_would_break_a_line_is_not_exported() {
    let world = world();
    let (mut export, _) = Export::begin(START, &Filter::default(), world.ring.checkpoint_keys()).unwrap();
    let link = Link { blob: b"{\n}".to_vec(), ..world.chains[0].0[0].clone() };
    assert!(export.record(&link, 1, &[]).is_none());
}

/// Signed by whoever can sign: what is there twice, or behind what it is to be proved by, is told all the same.
#[test]
fn what_stands_twice_or_behind_its_records_is_told_whoever_signed_it() {
    let world = world();
    let (mut export, first) = Export::begin(START, &Filter::default(), world.ring.checkpoint_keys()).unwrap();
    let mut lines = vec![first];
    lines.extend(world.kept[..2].iter().map(|kept| export.checkpoint(kept)));
    for number in [1, 3, 3, 2] {
        lines.push(world.line(&mut export, 0, number));
    }
    lines.push(export.checkpoint(&world.kept[2]));
    lines.push(export.end(&world.ring, 10, false).unwrap());
    let misplaced = |number| Problem::Misplaced { writer: writer(1), number };
    let behind = Problem::Checkpoint { expected: "its place before the records and behind the older ones" };
    assert_eq!(world.problems(&lines), [misplaced(3), misplaced(2), behind]);
}
