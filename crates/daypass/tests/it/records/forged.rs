//! A last checkpoint that none of our keys has signed: told by a running server, and taken away by an operator.

use super::{Place, soon};
use crate::process::json_of;
use daypass_faults::postgres::Server;

const WHY: &str = "somebody had the database's password";

/// A store with some checkpoints of ours, which nobody has open.
fn signed(place: &Place) {
    let running = place.serve();
    for _ in 0..3 {
        let copies = place.copies();
        running.grant();
        soon("copied", || place.copies() > copies);
    }
    running.stop();
    place.verified(&[]);
}

fn names(place: &Place, more: &[&str]) -> Vec<String> {
    let said = place.verify(more).1;
    let faults = said["faults"].as_array().unwrap().iter();
    faults.map(|fault| fault["fault"].as_str().unwrap().to_owned()).collect()
}

/// Takes what was forged away from a store whose last checkpoint of ours has this number.
fn discard(place: &Place, ours: u64) {
    let refused = place.cli(&["audit", "discard-forged", "--reason", " "]);
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    let done = json_of(&place.cli(&["audit", "discard-forged", "--reason", WHY, "--json"]));
    assert_eq!(done["number"].as_u64(), Some(ours + 1), "and the next one is of ours: {done}");
    assert_eq!(done["discarded"][0]["checkpoint"], "forged by somebody", "{done}");
    let again = json_of(&place.cli(&["audit", "discard-forged", "--reason", WHY, "--json"]));
    assert_eq!(again["discarded"], serde_json::json!([]), "{again}");
    // What it was stands in the records, and who took it away why.
    let records = place.records();
    let text = |event: &str| {
        let found = records.iter().find(|record| record.to_string().contains(event));
        found.unwrap_or_else(|| panic!("{event}: {records:?}")).to_string()
    };
    assert!(text("records.checkpoints_forged").contains("forged by somebody"));
    assert!(text("records.discard-forged").contains(WHY));
}

#[test]
fn checkpoints_that_somebody_else_has_added_are_taken_away_and_signing_goes_on() {
    let place = Place::sqlite();
    signed(&place);
    let ours = place.verified(&[])["checkpoints"].as_u64().unwrap();
    place.sql(
        "INSERT INTO checkpoints SELECT max(number) + 1, 'forged by somebody' FROM checkpoints; \
         INSERT INTO checkpoints VALUES (9223372036854775807, 'that no number may follow')",
    );
    let running = place.serve();
    running.grant();
    soon("told", || running.ready().contains("forged"));
    assert!(place.verify(&[]).1["unsigned"].as_u64().unwrap() > 0, "nothing is signed");
    // Beside the running server, which then goes on by itself.
    discard(&place, ours);
    running.grant();
    soon("signed again", || place.verify(&[]).1["unsigned"] == 0);
    soon("not told any more", || !running.ready().contains("forged"));
    running.stop();
    place.verified(&["--checkpoints", place.file("copies").to_str().unwrap()]);
}

/// One of ours was there before: the copies tell of it, and that is another matter, which an operator accepts by another word.
#[test]
fn what_was_in_the_place_of_a_forged_one_is_not_forgotten() {
    let place = Place::sqlite();
    signed(&place);
    let ours = place.verified(&[])["checkpoints"].as_u64().unwrap();
    place.sql("UPDATE checkpoints SET document = 'forged by somebody' WHERE number = (SELECT max(number) FROM checkpoints)");
    assert!(names(&place, &[]).contains(&"forged".to_owned()));
    discard(&place, ours - 1);
    let copies = place.file("copies");
    let told = names(&place, &["--checkpoints", copies.to_str().unwrap()]);
    assert!(told.contains(&"other_history".to_owned()), "{told:?}");
    let running = place.serve();
    soon("warned", || running.ready().contains("put back to an earlier state"));
    running.stop();
    json_of(&place.cli(&["audit", "accept-rollback", "--reason", WHY, "--json"]));
    place.verified(&["--checkpoints", copies.to_str().unwrap()]);
}

/// Attack: bytes that are no text, which no signature has to be looked at for, would hide everything else from `verify`.
#[test]
fn what_is_no_text_is_forged_like_anything_else() {
    let place = Place::sqlite();
    signed(&place);
    let ours = place.verified(&[])["checkpoints"].as_u64().unwrap();
    place.sql("INSERT INTO checkpoints SELECT max(number) + 1, CAST(x'ff61' AS TEXT) FROM checkpoints");
    let (_, said) = place.verify(&[]);
    assert_eq!(names(&place, &[]), ["forged"]);
    assert!(said["records"].as_u64().unwrap() > 3, "the rest is looked at: {said}");
    let done = json_of(&place.cli(&["audit", "discard-forged", "--reason", WHY, "--json"]));
    assert_eq!(done["number"].as_u64(), Some(ours + 1), "{done}");
    place.verified(&["--checkpoints", place.file("copies").to_str().unwrap()]);
}

/// What is signed under the numbers of those that somebody has written over goes to every place, also to one that has got those.
#[test]
fn places_that_have_got_what_was_written_over_get_what_comes_instead() {
    let place = Place::sqlite();
    signed(&place);
    let ours = place.verified(&[])["checkpoints"].as_u64().unwrap();
    place.sql(&format!("INSERT INTO delivered VALUES ('http:elsewhere', {ours})"));
    place.sql("UPDATE checkpoints SET document = 'forged by somebody' WHERE number = (SELECT max(number) FROM checkpoints)");
    let done = json_of(&place.cli(&["audit", "discard-forged", "--reason", WHY, "--json"]));
    let got = done["handed_out"].as_array().unwrap();
    assert!(got.contains(&serde_json::json!({ "place": "http:elsewhere", "number": ours })), "{done}");
    let reached = place.one("SELECT number FROM delivered WHERE place = 'http:elsewhere'");
    assert_eq!(reached, i64::try_from(ours).unwrap() - 1);
    let records = place.records();
    let told =
        records.iter().map(ToString::to_string).find(|text| text.contains("records.checkpoints_forged"));
    let told = told.unwrap_or_else(|| panic!("{records:?}"));
    assert!(told.contains(&format!("http:elsewhere up to {ours}")), "{told}");
}

#[test]
fn on_postgresql_as_well() {
    let Some(server) = Server::start() else { return };
    let database = server.database();
    let records = "checkpoint_every = \"1s\"\ncheckpoints_to = [{ file = \"copies\" }]";
    let place = Place::new(&server.tcp(&database), records);
    signed(&place);
    let ours = place.verified(&[])["checkpoints"].as_u64().unwrap();
    let forge = "INSERT INTO daypass.checkpoints SELECT max(number) + 1, 'forged by somebody' FROM daypass.checkpoints";
    server.psql(&database, forge).unwrap();
    assert_eq!(names(&place, &[]), ["forged"]);
    discard(&place, ours);
    place.verified(&["--checkpoints", place.file("copies").to_str().unwrap()]);
}
