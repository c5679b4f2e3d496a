//! What is told of rows with which something is wrong.

use super::*;
use crate::record::{Chain, Link, Record};
use crate::ring::Kek;
use crate::testing::{self, Rows, START, World, chain_part, later, ring, ring_part, ring_rows};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

/// A store with a ring, a client, and a chain of so many records.
fn store(records: u128) -> Vec<Row> {
    let mut chain = Chain::begin(&ring(), Uuid::from_u128(7)).unwrap();
    let all: Vec<(Record, Link)> = (0..records)
        .map(|n| {
            let at = later(u32::try_from(n).unwrap());
            let record = Record::change(Uuid::from_u128(n), at, Some("acme".into()), "test", "it");
            let link = chain.link(&record).unwrap();
            (record, link)
        })
        .collect();
    let mut rows = ring_part(&ring_rows());
    rows.push(Row::Client(serde_json::to_string(&World::new().client).unwrap()));
    rows.push(Row::Cutoff { scope: r#""all""#.into(), before: START.as_millisecond() });
    rows.extend(chain_part(&chain.head(), &all));
    rows
}

fn proved(rows: &[Row], kek: Option<&Kek>) -> Result<Proved, Unproved> {
    let open = |rows: &[RingRow], _: Option<&SealRow>| {
        Ring::open(rows, kek.unwrap()).map_err(|fault| fault.to_string())
    };
    now(prove(&mut Rows::new(rows), kek.map(|_| &open as Opens<'_>)))
}

/// What is found where records may be damaged.
fn inspected(rows: &[Row]) -> Proved {
    let open = |rows: &[RingRow], _: Option<&SealRow>| {
        Ring::open(rows, &testing::kek()).map_err(|fault| fault.to_string())
    };
    let found = now(inspect(&mut Rows::new(rows), Some(&open as Opens<'_>)));
    found.unwrap_or_else(|fault| panic!("{fault}"))
}

/// Nothing here waits for anything.
fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(done) => done,
        Poll::Pending => panic!("it waits"),
    }
}

fn fault(rows: &[Row]) -> String {
    proved(rows, Some(&testing::kek())).err().unwrap().to_string()
}

/// Adds a writer with its records.
fn insert(rows: &mut Vec<Row>, added: Vec<Row>) {
    rows.extend(added);
    rows.sort_by_key(Row::part);
}

fn change(rows: &mut [Row], at: usize, from: &str, to: &str) {
    let document = &mut record(rows, at).document;
    let text = String::from_utf8(document.bytes().to_vec()).unwrap();
    assert!(text.contains(from), "{text}");
    *document = text.replace(from, to).into_bytes().into();
}

fn record(rows: &mut [Row], at: usize) -> &mut RecordRow {
    let records = rows.iter_mut().filter_map(|row| if let Row::Record(row) = row { Some(row) } else { None });
    records.into_iter().nth(at).unwrap()
}

#[test]
fn what_is_whole_is_proved() {
    let rows = store(5);
    let found = proved(&rows, Some(&testing::kek())).unwrap_or_else(|fault| panic!("{fault}"));
    assert_eq!(found.census[&Part::Record].rows, 5);
    assert_eq!(found.census[&Part::Ring].rows, ring_rows().len() as u64);
    assert_eq!((found.writers.len(), found.end), (1, Some((5, later(4).as_millisecond()))));
    assert!(found.ring.is_some());
    // Without the seal key, rows are counted and neither ring nor chains are judged.
    let counted = proved(&rows, None).unwrap_or_else(|fault| panic!("{fault}"));
    assert!(counted.ring.is_none() && counted.census == found.census);
}

/// What a restore takes back begins with it: the nodes may have believed a later time than that of any record.
#[test]
fn the_latest_time_is_that_of_the_records_or_of_the_clock() {
    let end = later(4).as_millisecond();
    for (mark, latest) in [(end - 1, end), (end + 1, end + 1)] {
        let mut rows = store(5);
        rows.push(Row::Clock { mark });
        rows.sort_by_key(Row::part);
        let found = proved(&rows, None).unwrap_or_else(|fault| panic!("{fault}"));
        assert_eq!(found.latest, latest, "{mark}");
    }
}

#[test]
fn a_record_is_added_behind_all_there_is() {
    let mut rows = store(5);
    let before = proved(&rows, Some(&testing::kek())).unwrap_or_else(|fault| panic!("{fault}"));
    let record = Record::change(Uuid::from_u128(9), START, None, "store.restore", "it");
    let chain = Chain::begin(&ring(), Uuid::from_u128(8)).unwrap();
    let added = before.add(chain, &[record.clone(), record]).unwrap();
    insert(&mut rows, added);
    let after = proved(&rows, Some(&testing::kek())).unwrap_or_else(|fault| panic!("{fault}"));
    assert_eq!((after.writers.len(), after.end), (2, Some((7, later(4).as_millisecond()))));
}

#[test]
fn a_wrong_seal_key_is_told() {
    let rows = store(1);
    let wrong = proved(&rows, Some(&Kek::new(&[1; 32]).unwrap())).err().unwrap();
    assert!(matches!(wrong, Unproved::Ring(_)), "{wrong}");
}

#[test]
fn records_that_were_changed_or_cut_off_are_told() {
    let mut rows = store(5);
    change(&mut rows, 2, "acme", "evil");
    assert!(fault(&rows).contains("record 3 of writer"), "{}", fault(&rows));

    let mut rows = store(5);
    rows.pop();
    assert!(fault(&rows).contains("records 5 to 5 of writer"), "{}", fault(&rows));

    let mut rows = store(5);
    rows.retain(|row| !matches!(row, Row::Record(row) if row.seq == 2));
    assert!(fault(&rows).contains("the record at position 3 does not follow"), "{}", fault(&rows));
}

#[test]
fn rows_that_no_store_has_are_told() {
    let mut rows = store(2);
    record(&mut rows, 1).writer = 9;
    assert!(fault(&rows).contains("position 2 has no writer"));

    let mut rows = store(2);
    record(&mut rows, 1).latest = 0;
    assert!(fault(&rows).contains("position 2 is not where its time says"));

    // A time by which a restore would take back whatever is issued for years.
    for at in [0, 1] {
        let mut rows = store(2);
        record(&mut rows, at).at = i64::MAX;
        record(&mut rows, at).latest = i64::MAX;
        assert!(fault(&rows).contains(&format!("position {} is not where its time says", at + 1)));
    }

    let mut rows = store(2);
    record(&mut rows, 1).mac.0.pop();
    assert!(fault(&rows).contains("is no link"));

    for at in [store(1).len(), ring_rows().len() + 2] {
        let mut rows = store(1);
        rows.insert(at, Row::Client(serde_json::to_string(&World::new().client).unwrap()));
        assert!(fault(&rows).contains("clients stand behind"), "{}", fault(&rows));
    }

    let mut rows = store(1);
    for row in &mut rows {
        if let Row::Client(document) = row {
            document.truncate(20);
        }
    }
    assert!(fault(&rows).starts_with("one of the clients: "), "{}", fault(&rows));
}

#[test]
fn damaged_records_are_carried_and_each_fault_is_told() {
    let mut rows = store(9);
    change(&mut rows, 2, "acme", "evil");
    record(&mut rows, 4).damaged = true;
    record(&mut rows, 5).document = b"\xff no text".to_vec().into();
    record(&mut rows, 6).latest = i64::MAX;
    rows.retain(|row| !matches!(row, Row::Record(row) if row.seq == 9));
    let found = inspected(&rows);
    let told = found.damage.to_string();
    for one in [
        "record 3 of writer",
        "the record at position 5 is not what its sum says",
        "record 6 of writer",
        "the record at position 7 is not where its time says",
        "records 9 to 9 of writer",
    ] {
        assert!(told.contains(one), "{one}: {told}");
    }
    // What stands behind a record that is not what was written does not follow it, and nothing else is wrong.
    assert!(!told.contains("position 1 ") && !told.contains("record 1 of"), "{told}");
    assert!(
        matches!(proved(&rows, Some(&testing::kek())), Err(Unproved::Chains(damage)) if damage == found.damage)
    );
    assert_eq!(
        found.latest,
        later(7).as_millisecond(),
        "what records say themselves, and not what stands beside them"
    );

    // All of it is carried through JSON as it was, and what is added behind it does not become worse.
    let back: Vec<Row> =
        rows.iter().map(|row| serde_json::from_str(&serde_json::to_string(row).unwrap()).unwrap()).collect();
    let census = |rows: &[Row]| {
        let mut census = Census::default();
        census.take_all(rows).unwrap();
        census.finish()
    };
    assert_eq!(census(&back), census(&rows));
    let chain = Chain::begin(&ring(), Uuid::from_u128(8)).unwrap();
    let note = Record::trouble(Uuid::from_u128(9), later(9), "records.damaged", "it", &told);
    insert(&mut rows, found.add(chain, &[note]).unwrap());
    assert_eq!(inspected(&rows).damage, found.damage);
}

#[test]
fn a_writer_whose_end_cannot_be_one_is_damage_with_all_that_it_wrote() {
    let mut rows = store(3);
    for row in &mut rows {
        if let Row::Writer(writer) = row {
            writer.mac.0.pop();
        }
    }
    let found = inspected(&rows);
    assert_eq!(found.damage.to_string(), "the writer number 1 cannot be one");
    assert_eq!((found.writers.len(), found.end), (0, Some((3, later(2).as_millisecond()))));
    let chain = Chain::begin(&ring(), Uuid::from_u128(8)).unwrap();
    let note = Record::change(Uuid::from_u128(9), later(9), None, "store.migrate", "it");
    let added = found.add(chain, &[note]).unwrap();
    assert!(matches!(&added[0], Row::Writer(writer) if writer.number == 2), "its number is taken: {added:?}");
}

#[test]
fn what_is_no_record_is_never_carried_damaged() {
    let mut rows = store(1);
    for row in &mut rows {
        if let Row::Client(document) = row {
            document.truncate(20);
        }
    }
    let refused = now(inspect(&mut Rows::new(&rows), None)).err().unwrap();
    assert!(matches!(refused, Unproved::Row(_)), "{refused}");
}
