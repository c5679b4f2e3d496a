//! A folder that was put back to an earlier state: found with the copies, told at the start, and ended by an operator's word.

use super::{Place, copy, soon};
use crate::process::json_of;

/// A store as it was some checkpoints ago, with the copies of today.
fn put_back() -> Place {
    let place = Place::sqlite();
    let running = place.serve();
    running.grant();
    soon("copied", || place.copies() >= 1);
    running.stop();
    copy(&place.file("daypass.db"), &place.file("before.db"));
    let running = place.serve();
    for _ in 0..3 {
        let copies = place.copies();
        running.grant();
        soon("copied", || place.copies() > copies);
    }
    running.stop();
    copy(&place.file("before.db"), &place.file("daypass.db"));
    place
}

#[test]
fn it_is_found_with_the_copies_alone() {
    let place = put_back();
    place.verified(&[]);
    let file = place.file("copies");
    let (code, said) = place.verify(&["--checkpoints", file.to_str().unwrap()]);
    assert_eq!(code, 1, "{said}");
    assert_eq!(said["faults"][0]["fault"], "rolled_back");
    assert!(said["faults"][0]["number"].as_u64() > said["faults"][0]["last"].as_u64());
    // A line that was changed is no copy.
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replacen("eyJ", "eyK", 1)).unwrap();
    let (_, said) = place.verify(&["--checkpoints", file.to_str().unwrap()]);
    assert!(
        said["faults"].as_array().unwrap().iter().any(|fault| fault["fault"] == "copy" && fault["line"] == 1),
        "{said}"
    );
}

#[test]
fn it_is_told_at_the_start_until_an_operator_accepts_it() {
    let place = put_back();
    let copies = place.copies();
    let running = place.serve();
    soon("warned", || running.ready().contains("put back to an earlier state"));
    assert_eq!(running.metric("daypass_store_rolled_back"), Some(1.0));
    // It goes on: a restored backup is lawful.
    running.grant();
    let alarms = || {
        place.records().into_iter().filter(|record| record["event"]["reason"] == "store_rolled_back").count()
    };
    assert_eq!(alarms(), 1);
    assert_eq!(place.copies(), copies, "the copies are the evidence");

    assert_eq!(place.cli(&["audit", "accept-rollback"]).status.code(), Some(2), "a reason is needed");
    let said =
        json_of(&place.cli(&["audit", "accept-rollback", "--reason", "restored after the fire", "--json"]));
    assert!(said["accepted"].as_u64().unwrap() >= 2, "{said}");
    soon("the warning ends", || !running.ready().contains("put back"));
    assert_eq!(running.metric("daypass_store_rolled_back"), Some(0.0));
    running.grant();
    soon("copies go on", || place.copies() > copies);
    let log = running.stop();
    assert!(log.iter().any(|line| line.contains("ERROR") && line.contains("accept-rollback")), "{log:#?}");

    let accepted =
        place.records().into_iter().find(|record| record["event"]["action"] == "records.accept-rollback");
    assert_eq!(accepted.unwrap()["why"], "restored after the fire");
    place.verified(&["--checkpoints", place.file("copies").to_str().unwrap()]);
    let again = json_of(&place.cli(&["audit", "accept-rollback", "--reason", "once more", "--json"]));
    assert!(again["accepted"].is_null(), "{again}");
    // And the next start has nothing to say.
    let running = place.serve();
    running.grant();
    std::thread::sleep(std::time::Duration::from_millis(1500));
    assert!(!running.ready().contains("put back"));
    running.stop();
    assert_eq!(alarms(), 1);
}
