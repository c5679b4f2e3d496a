//! Files that are whole, and files that are not.

use super::*;
use crate::age::Identity;
use crate::ring::{Ring, RingRow, SealRow};
use crate::testing::{Rows, SeededEntropy, World, kek, ring, ring_part, ring_rows};
use crate::transfer::{Opens, prove};
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
    assert_eq!(reader.manifest().unwrap().parts, proved.census);
}

#[test]
fn the_standard_tools_would_read_it() {
    let file = made(&rows(), &header(VERSION), &ring());
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
    assert_eq!(lengths[1..], [1, 4, 1000, 1000, 500]);
}
