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
    ] {
        let names = found(&place, &sql);
        assert!(names.iter().any(|name| name == expected), "{sql}: {names:?}");
    }
    place.verified(&[]);
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
    assert_eq!(faults.len(), 1, "{said}");
    assert_eq!(faults[0]["fault"], "truncated");
}
