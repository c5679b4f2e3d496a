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

/// Nothing here waits for anything.
fn proved(rows: &[Row], kek: Option<&Kek>) -> Result<Proved, Unproved> {
    let open = |rows: &[RingRow], _: Option<&SealRow>| {
        Ring::open(rows, kek.unwrap()).map_err(|fault| fault.to_string())
    };
    let mut pages = Rows::new(rows);
    let mut future = pin!(prove(&mut pages, kek.map(|_| &open as Opens<'_>)));
    match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(done) => done,
        Poll::Pending => panic!("it waits"),
    }
}

fn fault(rows: &[Row]) -> String {
    proved(rows, Some(&testing::kek())).err().unwrap().to_string()
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
    let [writer, record] = before.add(chain, &record).unwrap();
    let at = rows.iter().position(|row| row.part() == Part::Record).unwrap();
    rows.insert(at, writer);
    rows.push(record);
    let after = proved(&rows, Some(&testing::kek())).unwrap_or_else(|fault| panic!("{fault}"));
    assert_eq!((after.writers.len(), after.end), (2, Some((6, later(4).as_millisecond()))));
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
    let document = &mut record(&mut rows, 2).document;
    *document = document.replace("acme", "evil");
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
    assert!(fault(&rows).contains("earlier than it may be"));

    let mut rows = store(2);
    record(&mut rows, 0).at = i64::MAX;
    assert!(fault(&rows).contains("position 1 is earlier than it may be"));

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
