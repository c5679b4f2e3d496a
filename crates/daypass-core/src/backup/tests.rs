//! Files that are whole, and files that are not.

use super::*;
use crate::age::Identity;
use crate::record::{Chain, Record};
use crate::ring::{Ring, RingRow, SealRow};
use crate::root::{RootRow, Slot};
use crate::secret::Secret;
use crate::testing::{Rows, START, SeededEntropy, World, chain_part, kek, ring, ring_part, ring_rows};
use crate::transfer::{HeldPlace, Opens, SOUND, inspect, prove};
use crate::upstream::{RootKey, RootProof};
use flate2::read::MultiGzDecoder;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

fn header(version: u32) -> Header {
    Header {
        format: FORMAT.into(),
        version,
        program: "daypass 0".into(),
        id: Uuid::from_u128(1),
        made: "2026-11-22T13:00:00Z".into(),
    }
}

fn identity() -> Identity {
    Identity::generate(&SeededEntropy::new(9)).unwrap()
}

fn opener() -> Opener {
    Opener::Identities(vec![identity()])
}

fn rows() -> Vec<Row> {
    let mut rows = ring_part(&ring_rows());
    let world = World::new();
    rows.push(Row::Client(serde_json::to_string(&world.client).unwrap()));
    rows.extend(world.keys.iter().map(|key| Row::Key(serde_json::to_string(key).unwrap())));
    rows.extend((0..2500).map(|n| Row::Use { key: n.to_string(), at: n }));
    rows.extend([1, 2].map(|number| Row::Checkpoint { number, document: format!("checkpoint {number}") }));
    rows
}

fn made(rows: &[Row], header: &Header, ring: &Ring) -> Vec<u8> {
    let lock = Lock::To(vec![identity().recipient()]);
    let mut writer = Writer::new(Vec::new(), &lock, &SeededEntropy::new(2), header).unwrap();
    writer.put(rows).unwrap();
    writer.finish(ring).unwrap().0
}

/// Nothing here waits for anything.
fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(done) => done,
        Poll::Pending => panic!("it waits"),
    }
}

fn read(file: &[u8]) -> Result<(Vec<Row>, bool), BackupFault> {
    let mut reader = Reader::new(file, &opener())?;
    let mut all = Vec::new();
    while let Some(page) = reader.page()? {
        assert!(page.len() <= PAGE && page.iter().all(|row| row.part() == page[0].part()));
        all.extend(page);
    }
    Ok((all, reader.is_proved(&ring())))
}

fn fault(file: &[u8]) -> String {
    read(file).err().unwrap().to_string()
}

#[test]
fn a_backup_gives_back_what_was_put_into_it() {
    let rows = rows();
    let file = made(&rows, &header(VERSION), &ring());
    assert_eq!(read(&file).unwrap(), (rows, true));
    assert_eq!(Reader::new(&file[..], &opener()).unwrap().header(), &header(VERSION));
    // And it is proved by one pass, like a store.
    let mut reader = Reader::new(&file[..], &opener()).unwrap();
    let open =
        |rows: &[RingRow], _: Option<&SealRow>| Ring::open(rows, &kek()).map_err(|fault| fault.to_string());
    let proved = now(prove(&mut reader, Some(&open as Opens<'_>))).unwrap_or_else(|fault| panic!("{fault}"));
    let manifest = reader.manifest().unwrap();
    assert_eq!(manifest.parts, proved.census);
    // printf 'checkpoint 2' | sha256sum
    let checkpoint = serde_json::to_value(manifest.checkpoint.as_ref().unwrap()).unwrap();
    assert_eq!(checkpoint["number"], 2);
    assert_eq!(checkpoint["sha256"], "-93ZyzI-SEm60awLUS41-rUIs8RYHnvuaWe4zv-cgS4");
}

/// A row of every part.
fn every_part() -> Vec<Row> {
    let mut chain = Chain::begin(&ring(), Uuid::from_u128(7)).unwrap();
    let records: Vec<_> = (1..4)
        .map(|n| {
            let record = Record::change(Uuid::from_u128(n), START, Some("acme".into()), "client.add", "edge");
            let link = chain.link(&record).unwrap();
            (record, link)
        })
        .collect();
    let root = RootKey { id: "AKIDroot".into(), proof: RootProof::Secret(Secret::new("root secret").into()) };
    let root =
        RootRow::stage(&ring(), &SeededEntropy::new(3), "tencent", Slot::A, &root, None, START).unwrap();
    let held = HeldPlace {
        place: Blob(vec![9; 16]),
        turn: 1,
        holder: Some(Uuid::from_u128(5)),
        until: 7,
        sealed: Some(Blob(vec![1, 2, 3])),
        keep: 9,
    };
    let mut all = rows();
    all.truncate(ring_rows().len() + 6);
    all.push(Row::Seal { id: 7, checked: Blob(vec![7; 32]), since: 1 });
    all.push(Row::Root(serde_json::to_string(&root).unwrap()));
    all.push(Row::Cutoff { scope: r#""all""#.into(), before: START.as_millisecond() });
    all.push(Row::Freeze { place: r#"{"tenant":"acme"}"#.into(), since: 3 });
    all.push(Row::Spent { mark: Blob(vec![4; 16]), until: 5 });
    all.push(Row::Held(held));
    all.push(Row::Clock { mark: START.as_millisecond() });
    all.push(Row::Checkpoint { number: 1, document: "checkpoint 1".into() });
    all.push(Row::Delivered { place: "file:a".into(), number: 1 });
    all.extend(chain_part(&chain.head(), &records));
    all.sort_by_key(Row::part);
    all
}

#[test]
fn a_row_of_every_part_comes_back() {
    let rows = every_part();
    assert!(Part::ALL.iter().all(|part| rows.iter().any(|row| row.part() == *part)));
    let file = made(&rows, &header(VERSION), &ring());
    assert_eq!(read(&file).unwrap(), (rows, true));
}

/// A file of form 1, as the first version with backups made it. Every later version must restore from it.
#[test]
fn a_backup_of_the_first_form_is_read() {
    let file = include_bytes!("tests/form-1.backup");
    let mut reader = Reader::new(&file[..], &opener()).unwrap();
    assert_eq!(reader.header().version, 1);
    let open = |rows: &[RingRow], _: Option<&SealRow>| {
        // Purposes that came later are not in it.
        let mut rows = rows.to_vec();
        for purpose in Ring::missing(&rows).collect::<Vec<_>>() {
            rows.extend(ring_rows().into_iter().filter(|row| row.purpose == purpose));
        }
        Ring::open(&rows, &kek()).map_err(|fault| fault.to_string())
    };
    let proved = now(prove(&mut reader, Some(&open as Opens<'_>))).unwrap_or_else(|fault| panic!("{fault}"));
    assert!(reader.is_proved(proved.ring.as_ref().unwrap()));
    let counts: Vec<_> = proved.census.values().map(|count| count.rows).collect();
    assert_eq!(counts, [11, 1, 1, 4, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 3], "each of its parts");
}

#[test]
fn damaged_records_come_back_and_what_is_wrong_with_them_is_proved() {
    let mut rows = every_part();
    for row in &mut rows {
        if let Row::Record(record) = row
            && record.seq == 2
        {
            record.document = b"\xff\x00 no text".to_vec().into();
        }
    }
    let mut damage = Damage::default();
    damage.note(|| "record 2 of somebody".to_owned());
    let lock = Lock::To(vec![identity().recipient()]);
    let mut writer = Writer::new(Vec::new(), &lock, &SeededEntropy::new(2), &header(VERSION)).unwrap();
    writer.put(&rows).unwrap();
    writer.damaged(damage.clone());
    let (file, manifest) = writer.finish(&ring()).unwrap();
    assert_eq!(manifest.damage.as_ref(), Some(&damage));
    assert_eq!(read(&file).unwrap(), (rows, true));

    let open =
        |rows: &[RingRow], _: Option<&SealRow>| Ring::open(rows, &kek()).map_err(|fault| fault.to_string());
    let mut reader = Reader::new(&file[..], &opener()).unwrap();
    let refused = now(prove(&mut reader, Some(&open as Opens<'_>))).err().unwrap().to_string();
    assert!(refused.contains("record 2 of writer"), "{refused}");
    let mut reader = Reader::new(&file[..], &opener()).unwrap();
    let found = now(inspect(&mut reader, Some(&open as Opens<'_>))).unwrap_or_else(|fault| panic!("{fault}"));
    assert_eq!((found.damage.faults, &found.census), (1, &manifest.parts));

    // What it says of the damage is under the MAC like the rest.
    let said = Manifest::proof(b"", &manifest.parts, manifest.checkpoint.as_ref(), Some(&damage)).unwrap();
    for other in [None, Some(&Damage { faults: 2, ..damage.clone() }), Some(&Damage::default())] {
        let other = Manifest::proof(b"", &manifest.parts, manifest.checkpoint.as_ref(), other).unwrap();
        assert_ne!(other, said);
    }
}

#[test]
fn the_standard_tools_would_read_it() {
    let file = made(&rows(), &header(SOUND), &ring());
    let plain = crate::age::Reader::new(&file[..], &opener()).unwrap();
    let mut text = String::new();
    std::io::Read::read_to_string(&mut MultiGzDecoder::new(plain), &mut text).unwrap();
    assert!(text.starts_with(r#"{"format":"daypass-backup","version":1,"#), "{}", &text[..80]);
    assert!(text.lines().last().unwrap().starts_with(r#"{"manifest":{"parts":{"ring":{"rows":"#));
    assert_eq!(text.lines().count(), rows().len() + 2);
}

#[test]
fn a_newer_form_is_refused_before_any_row_is_read() {
    let newer = made(&rows(), &header(VERSION + 1), &ring());
    assert!(
        matches!(Reader::new(&newer[..], &opener()).err(), Some(BackupFault::Newer { found }) if found == VERSION + 1)
    );
}

#[test]
fn what_was_cut_off_or_changed_is_told() {
    let file = made(&rows(), &header(VERSION), &ring());
    for length in (0..file.len()).step_by(997).chain(file.len() - 40..file.len()) {
        assert!(read(&file[..length]).is_err(), "{length} of {} bytes", file.len());
    }
    for at in (0..file.len()).step_by(331) {
        let mut flipped = file.clone();
        flipped[at] ^= 0x10;
        assert!(read(&flipped).is_err(), "byte {at}");
    }
    let mut longer = file.clone();
    longer.extend_from_slice(&file);
    assert!(read(&longer).is_err());
}

/// Encrypted for the right recipient, which anybody can do, with these lines.
fn forged(lines: &[u8]) -> Vec<u8> {
    let lock = Lock::To(vec![identity().recipient()]);
    let writer = crate::age::Writer::new(Vec::new(), &lock, &SeededEntropy::new(3)).unwrap();
    let mut packed = GzEncoder::new(writer, Compression::fast());
    packed.write_all(lines).unwrap();
    packed.finish().unwrap().finish().unwrap()
}

fn lines(file: &[u8]) -> Vec<u8> {
    let plain = crate::age::Reader::new(file, &opener()).unwrap();
    let mut lines = Vec::new();
    std::io::Read::read_to_end(&mut MultiGzDecoder::new(plain), &mut lines).unwrap();
    lines
}

#[test]
fn what_somebody_without_the_ring_put_together_is_told() {
    let good = lines(&made(&rows(), &header(VERSION), &ring()));
    assert!(read(&forged(&good)).unwrap().1, "the same lines are the same backup");
    let text = String::from_utf8(good).unwrap();
    let without = |part: &str| {
        let kept: Vec<_> = text.lines().filter(|line| !line.starts_with(part)).collect();
        format!("{}\n", kept.join("\n"))
    };
    assert!(fault(&forged(without(r#"{"key""#).as_bytes())).contains("does not hold what its manifest says"));
    assert!(fault(&forged(without(r#"{"manifest""#).as_bytes())).contains("it has no end"));
    assert!(fault(&forged(format!("{text}{{}}\n").as_bytes())).contains("behind its end"));
    assert!(matches!(read(&forged(b"hello\n")).err(), Some(BackupFault::NotOurs)));
    // With a manifest to match, which takes no key at all: everything but the proof is right.
    let rows: Vec<Row> = rows().into_iter().filter(|row| row.part() != Part::Key).collect();
    let entropy = SeededEntropy::new(77);
    let other =
        Ring::open(&Ring::generate(&kek(), &entropy, crate::testing::START).unwrap(), &kek()).unwrap();
    assert_eq!(read(&made(&rows, &header(VERSION), &other)).unwrap(), (rows, false));
}

#[test]
fn rows_in_memory_are_pages_too() {
    let mut pages = Rows::new(&rows());
    let mut lengths = Vec::new();
    while let Some(page) = now(pages.next()).unwrap() {
        lengths.push(page.len());
    }
    assert_eq!(lengths[1..], [1, 4, 1000, 1000, 500, 2]);
}
