//! Everything that can be done to the records by whoever can write to the store, each found by `audit verify`.

use super::Place;
use serde_json::Value;

/// A store with several chains, of which the one of the server is the longest, and which nobody has open.
fn stopped() -> Place {
    let place = Place::sqlite();
    for _ in 0..4 {
        let running = place.serve();
        for _ in 0..8 {
            running.grant();
        }
        super::soon("signed", || place.verify(&[]).1["unsigned"] == 0);
        running.stop();
    }
    place.verified(&["--checkpoints", place.file("copies").to_str().unwrap()]);
    place
}

/// The number of the chain with the most records.
const LONGEST: &str = "(SELECT number FROM writers ORDER BY seq DESC, number LIMIT 1)";

/// What is found after this was done to a store; each fault's name.
fn found(place: &Place, sql: &str) -> Vec<String> {
    let kept = place.file("kept.db");
    super::copy(&place.file("daypass.db"), &kept);
    place.sql(sql);
    let (code, said) = place.verify(&[]);
    super::copy(&kept, &place.file("daypass.db"));
    assert_eq!(code, 1, "{sql}: {said}");
    let faults = said["faults"].as_array().unwrap();
    assert!(!faults.is_empty(), "{sql}");
    let mut names: Vec<_> = faults.iter().map(|fault| fault["fault"].as_str().unwrap().to_owned()).collect();
    names.dedup();
    names
}

#[test]
fn records_that_were_changed_removed_moved_or_cut_off_are_found() {
    let place = stopped();
    let at = |seq: i64| format!("writer = {LONGEST} AND seq = {seq}");
    for (sql, expected) in [
        (
            format!(
                "UPDATE records SET document = CAST(replace(CAST(document AS TEXT), 'soe', 'cos') AS BLOB) WHERE {}",
                at(3)
            ),
            "changed",
        ),
        (format!("UPDATE records SET document = x'7b7d' WHERE {}", at(1)), "changed"),
        (format!("UPDATE records SET mac = randomblob(32) WHERE {}", at(4)), "changed"),
        (format!("DELETE FROM records WHERE {}", at(3)), "missing"),
        (format!("DELETE FROM records WHERE writer = {LONGEST} AND seq <= 2"), "missing"),
        (format!("DELETE FROM records WHERE writer = {LONGEST} AND seq >= 5"), "missing"),
        (format!("DELETE FROM records WHERE writer = {LONGEST}"), "missing"),
        (
            format!(
                "UPDATE records SET seq = -1 WHERE {}; UPDATE records SET seq = 3 WHERE {}; UPDATE records SET seq = 4 WHERE seq = -1",
                at(3),
                at(4)
            ),
            "changed",
        ),
        // The numbers closed up behind it.
        (
            format!(
                "DELETE FROM records WHERE {}; UPDATE records SET seq = -seq WHERE writer = {LONGEST} AND seq > 3; \
                 UPDATE records SET seq = -seq - 1 WHERE writer = {LONGEST} AND seq < 0",
                at(3)
            ),
            "changed",
        ),
        // What is not even of the right form.
        (format!("UPDATE records SET mac = x'00' WHERE {}", at(2)), "store"),
        (format!("UPDATE writers SET mac = x'00' WHERE number = {LONGEST}"), "store"),
        // A head that says what is left, with the MAC of another place or one made up.
        (
            format!(
                "DELETE FROM records WHERE writer = {LONGEST} AND seq >= 5; UPDATE writers SET seq = 4 WHERE number = {LONGEST}"
            ),
            "head",
        ),
        (
            format!(
                "DELETE FROM records WHERE writer = {LONGEST} AND seq >= 5; \
                 UPDATE writers SET seq = 4, mac = (SELECT mac FROM records WHERE {}), tip = NULL WHERE number = {LONGEST}",
                at(4)
            ),
            "head",
        ),
        // A record behind the end.
        (
            format!(
                "INSERT INTO records SELECT position + 1000, writer, seq + 1, at, latest, NULL, mac, sum, tenant, document \
                 FROM records WHERE writer = {LONGEST} ORDER BY seq DESC LIMIT 1"
            ),
            "head",
        ),
        // A base that was never written: an end in its place, as if all had been removed lawfully.
        (
            format!(
                "DELETE FROM records WHERE writer = {LONGEST}; UPDATE writers SET base = tip WHERE number = {LONGEST}"
            ),
            "base",
        ),
        (
            format!(
                "UPDATE writers SET tip = (SELECT tip FROM writers WHERE number <> {LONGEST} AND seq > 0 LIMIT 1) WHERE number = {LONGEST}"
            ),
            "head",
        ),
        // A whole chain, with a head that says that there never was a record, as it did once.
        (
            format!(
                "DELETE FROM records WHERE writer = {LONGEST}; UPDATE writers SET seq = 0 WHERE number = {LONGEST}"
            ),
            "truncated",
        ),
        // Records that belong to no chain, or stand before its first.
        (added("0", "1"), "store"),
        (added("1", "-5"), "store"),
        (added("1", "0"), "store"),
        // A chain that is not to be signed any more.
        (format!("UPDATE writers SET signed = 1000000 WHERE number = {LONGEST}"), "miscounted"),
        (format!("UPDATE writers SET signed = 1 WHERE number = {LONGEST}"), "miscounted"),
    ] {
        let names = found(&place, &sql);
        assert!(names.iter().any(|name| name == expected), "{sql}: {names:?}");
    }
    place.verified(&[]);
}

/// Adds a copy of a record under this writer and number.
fn added(writer: &str, seq: &str) -> String {
    format!(
        "INSERT INTO records SELECT (SELECT max(position) + 1 FROM records), {writer}, {seq}, at, latest, NULL, mac, sum, tenant, \
         document FROM records LIMIT 1"
    )
}

/// Another time beside every record, with the sum that the file then should have: no search for a time finds them, and
/// Daypass itself would remove them for being old.
#[test]
fn records_that_are_made_to_look_old_are_found_and_stay() {
    let place = stopped();
    let count = place.one("SELECT count(*) FROM records");
    let file = rusqlite::Connection::open(place.file("daypass.db")).unwrap();
    let sum = |fields: &[&[u8]]| {
        let mut all = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
        for field in fields {
            all.update(&(field.len() as u64).to_be_bytes());
            all.update(field);
        }
        i64::from_be_bytes(*all.finish().as_ref().first_chunk().unwrap())
    };
    let mut sums: Vec<(i64, i64)> = Vec::new();
    {
        let mut rows = file
            .prepare("SELECT position, writer, seq, at, mark, mac, tenant, document FROM records")
            .unwrap();
        let mut rows = rows.query([]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            let number = |at: usize| row.get::<_, i64>(at).unwrap().to_be_bytes();
            let bytes = |at: usize| row.get_ref(at).unwrap().as_bytes_or_null().unwrap().unwrap_or_default();
            let (mark, mac, tenant, document) = (bytes(4), bytes(5), bytes(6), bytes(7));
            let fields: [&[u8]; 9] =
                [&number(0), &number(1), &number(2), &number(3), &[0; 8], mark, mac, tenant, document];
            sums.push((row.get(0).unwrap(), sum(&fields)));
        }
    }
    for (position, sum) in sums {
        let sql = "UPDATE records SET latest = 0, sum = ? WHERE position = ?";
        file.execute(sql, (sum, position)).unwrap();
    }
    drop(file);
    let (code, said) = place.verify(&[]);
    assert_eq!((code, &said["faults"][0]["fault"]), (1, &"order".into()), "{said}");

    place.configure(
        "sqlite:daypass.db",
        "checkpoints_to = [{ file = \"copies\" }]\ncheckpoint_every = \"1s\"\nkeep = \"30d\"",
    );
    let running = place.serve();
    super::soon("told", || running.ready().contains("old records stay"));
    running.stop();
    assert!(place.one("SELECT count(*) FROM records") >= count);
}

/// Every key of the ring, which only the seal key protects from being read: without them nothing can be proved any more.
#[test]
fn a_store_whose_ring_was_removed_does_not_begin_anew() {
    let place = stopped();
    place.sql("DELETE FROM ring; UPDATE meta SET ring = zeroblob(32)");
    for args in [&["audit", "verify"][..], &["serve"]] {
        let output = place.cli(args);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("no ring"), "{output:?}");
    }
    assert_eq!(place.one("SELECT count(*) FROM ring"), 0);
}

#[test]
fn a_chain_that_is_gone_is_found() {
    let place = stopped();
    let last = "(SELECT max(writer) FROM records)";
    // The last one, so that no number is missing between, with all traces of it.
    let sql = format!(
        "DELETE FROM records WHERE writer = {last}; DELETE FROM writers WHERE number > (SELECT max(writer) FROM records)"
    );
    assert_eq!(found(&place, &sql), ["chain_gone"]);
    // One of those before: the numbers of the writers tell as well.
    place.sql(&format!(
        "DELETE FROM records WHERE writer = {LONGEST}; DELETE FROM writers WHERE number = {LONGEST}"
    ));
    let (code, said) = place.verify(&[]);
    assert_eq!((code, &said["faults"][0]["fault"]), (1, &"store".into()), "{said}");
    assert!(said["faults"][0]["error"].as_str().unwrap().contains("is missing"), "{said}");
}

#[test]
fn checkpoints_that_are_forged_missing_or_of_another_chain_are_found() {
    let place = stopped();
    assert!(place.one("SELECT count(*) FROM checkpoints") >= 3);
    for (sql, expected) in [
        ("UPDATE checkpoints SET document = replace(document, 'e', 'f') WHERE number = 2", "forged"),
        (
            "UPDATE checkpoints SET document = (SELECT document FROM checkpoints WHERE number = 1) WHERE number = 2",
            "forged",
        ),
        ("UPDATE checkpoints SET document = 'no checkpoint' WHERE number = 2", "forged"),
        ("DELETE FROM checkpoints WHERE number = 2", "gap"),
        ("DELETE FROM checkpoints WHERE number = 1", "gap"),
        // The last one: a second place has got it.
        ("DELETE FROM checkpoints WHERE number = (SELECT max(number) FROM checkpoints)", "lost"),
        ("DELETE FROM checkpoints", "lost"),
    ] {
        let names = found(&place, sql);
        assert!(names.iter().any(|name| name == expected), "{sql}: {names:?}");
    }
}

/// An older end of the chain, with the MACs it had then: all is well by its own keys, and a checkpoint says otherwise.
#[test]
fn a_chain_that_was_put_back_contradicts_its_checkpoint() {
    let place = Place::sqlite();
    let running = place.serve();
    for _ in 0..4 {
        running.grant();
    }
    super::soon("signed", || place.verify(&[]).1["unsigned"] == 0);
    // While it runs, as a snapshot of the file system would take it.
    let writer = place.one("SELECT max(writer) FROM records");
    let keep = format!(
        "CREATE TABLE IF NOT EXISTS kept AS SELECT number, seq, mac, tip, signed FROM writers WHERE number = {writer}"
    );
    place.sql(&keep);
    for _ in 0..4 {
        running.grant();
    }
    super::soon("signed", || place.verify(&[]).1["unsigned"] == 0);
    running.stop();
    place.sql(&format!(
        "UPDATE writers SET (seq, mac, tip, signed) = (SELECT seq, mac, tip, signed FROM kept) WHERE number = {writer}; \
         DELETE FROM records WHERE writer = {writer} AND seq > (SELECT seq FROM kept); DROP TABLE kept"
    ));
    let (code, said): (i32, Value) = place.verify(&[]);
    assert_eq!(code, 1);
    let faults = said["faults"].as_array().unwrap();
    let names: Vec<_> = faults.iter().map(|fault| fault["fault"].as_str().unwrap()).collect();
    assert_eq!(names, ["truncated", "miscounted"], "{said}");
}
