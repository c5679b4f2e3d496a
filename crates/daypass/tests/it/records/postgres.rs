//! The same on PostgreSQL, with two nodes that sign one sequence.

use super::{Place, soon};
use daypass_faults::postgres::Server;

fn place(server: &Server, database: &str) -> Place {
    Place::new(&server.tcp(database), "checkpoint_every = \"1s\"\ncheckpoints_to = [{ file = \"copies\" }]")
}

#[test]
fn two_nodes_sign_one_sequence_and_what_is_done_to_it_is_found() {
    let Some(server) = Server::start() else { return };
    let database = server.database();
    let one = place(&server, &database);
    let two = place(&server, &database);
    std::fs::copy(one.file("seal.key"), two.file("seal.key")).unwrap();
    let (first, second) = (one.serve(), two.serve());
    for _ in 0..5 {
        let copies = one.copies();
        first.grant();
        second.grant();
        soon("copied", || one.copies() > copies);
    }
    soon("signed", || one.verify(&[]).1["unsigned"] == 0);
    soon("both have all", || {
        one.copies() == two.copies()
            && one.copies() as u64 == one.verify(&[]).1["checkpoints"].as_u64().unwrap()
    });
    first.kill();
    second.stop();
    let copies = |place: &Place| place.file("copies").to_str().unwrap().to_owned();
    assert_eq!(std::fs::read(copies(&one)).unwrap(), std::fs::read(copies(&two)).unwrap());
    let said = two.verified(&["--checkpoints", &copies(&one)]);
    assert_eq!(said["copies"], said["checkpoints"]);

    let longest = "(SELECT number FROM daypass.writers ORDER BY seq DESC, number LIMIT 1)";
    for (done, undone, expected) in [
        (
            format!("UPDATE daypass.records SET document = document || ' '::bytea WHERE writer = {longest} AND seq = 2"),
            format!("UPDATE daypass.records SET document = substr(document, 1, length(document) - 1) WHERE writer = {longest} AND seq = 2"),
            "changed",
        ),
        (
            "CREATE TABLE daypass.kept AS SELECT * FROM daypass.checkpoints WHERE number = 2; DELETE FROM daypass.checkpoints WHERE number = 2".to_owned(),
            "INSERT INTO daypass.checkpoints SELECT * FROM daypass.kept; DROP TABLE daypass.kept".to_owned(),
            "gap",
        ),
        (
            format!("CREATE TABLE daypass.kept AS SELECT * FROM daypass.records WHERE writer = {longest} AND seq > 3; DELETE FROM daypass.records WHERE writer = {longest} AND seq > 3"),
            "INSERT INTO daypass.records SELECT * FROM daypass.kept; DROP TABLE daypass.kept".to_owned(),
            "missing",
        ),
        (
            added("writer = 1, seq = 0"),
            REMOVED.to_owned(),
            "order",
        ),
        (
            added("writer = 1, seq = -1"),
            REMOVED.to_owned(),
            "store",
        ),
        (
            "UPDATE daypass.records SET latest = latest - 1000 WHERE position = 3".to_owned(),
            "UPDATE daypass.records SET latest = latest + 1000 WHERE position = 3".to_owned(),
            "order",
        ),
        (
            format!("UPDATE daypass.writers SET signed = signed + 100 WHERE number = {longest}"),
            format!("UPDATE daypass.writers SET signed = signed - 100 WHERE number = {longest}"),
            "miscounted",
        ),
    ] {
        server.psql(&database, &done).unwrap();
        let (code, said) = one.verify(&[]);
        assert_eq!(code, 1, "{done}: {said}");
        assert!(said["faults"].as_array().unwrap().iter().any(|fault| fault["fault"] == expected), "{done}: {said}");
        server.psql(&database, &undone).unwrap();
        one.verified(&[]);
    }
    // A chain that is said never to have had a record.
    let emptied = format!(
        "WITH gone AS (DELETE FROM daypass.records WHERE writer = {longest} RETURNING writer) \
         UPDATE daypass.writers SET seq = 0 WHERE number IN (SELECT writer FROM gone)"
    );
    let truncated = |said: &serde_json::Value| {
        said["faults"].as_array().unwrap().iter().any(|fault| fault["fault"] == "truncated")
    };
    server.psql(&database, &emptied).unwrap();
    let (code, said) = one.verify(&[]);
    assert!(code == 1 && truncated(&said), "{said}");
    // The last chain, gone without a trace.
    let last = "(SELECT max(writer) FROM daypass.records)";
    server.psql(&database, &format!("DELETE FROM daypass.records WHERE writer = {last}")).unwrap();
    server
        .psql(
            &database,
            "DELETE FROM daypass.writers WHERE number > (SELECT max(writer) FROM daypass.records)",
        )
        .unwrap();
    let (code, said) = one.verify(&[]);
    assert_eq!(code, 1);
    assert!(said["faults"].as_array().unwrap().iter().any(|fault| fault["fault"] == "chain_gone"), "{said}");
}

/// A copy of a record, added behind the last one.
fn added(under: &str) -> String {
    format!(
        "CREATE TABLE daypass.kept AS SELECT * FROM daypass.records WHERE position = 1; \
         UPDATE daypass.kept SET {under}, latest = (SELECT max(latest) FROM daypass.records), \
         position = (SELECT max(position) + 1 FROM daypass.records); INSERT INTO daypass.records SELECT * FROM daypass.kept"
    )
}

const REMOVED: &str = "DELETE FROM daypass.records WHERE position = (SELECT position FROM daypass.kept); \
                       DROP TABLE daypass.kept";
