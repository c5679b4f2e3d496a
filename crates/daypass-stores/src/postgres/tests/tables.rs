//! Making the tables, and what stands in them.

use super::super::address::Address;
use super::super::{pool, schema};
use crate::conformance::{at, chain, client, entry, everything, put, read, verify};
use crate::steps::{self, Step};
use daypass_core::contents::Contents;
use daypass_core::cutoff::{Cutoff, Scope};
use daypass_core::store::{Change, StoreError};
use daypass_faults::postgres::Server;

/// Of many nodes that start at once on an empty database, each finds the tables.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_nodes_start_at_once() {
    let Some(server) = Server::start() else { return };
    let url = server.url(&server.database());
    assert_eq!(crate::exists(&url), Ok(false), "looking makes nothing");
    let starts: Vec<_> = (1..=8)
        .map(|number| {
            let url = url.clone();
            tokio::task::spawn_blocking(move || (number, crate::open(&url).unwrap()))
        })
        .collect();
    for start in starts {
        let (number, store) = start.await.unwrap();
        store.begin(chain(number)).await.unwrap();
        store.append(entry(number)).await.unwrap();
        store.close().await.unwrap();
    }
    assert_eq!(crate::exists(&url), Ok(true));
    assert_eq!(verify(&crate::open(&url).unwrap()).await, 8);
}

/// Tables as they are made by a program that knows these steps beyond ours.
async fn bring_forward(url: &str, further: &[Step]) -> Result<(), StoreError> {
    let client = pool(&Address::parse(url)?, 1).map_err(|fault| fault.error)?.get().await.unwrap();
    schema::prepare_for_test(&client, &[schema::STEPS, further].concat()).await
}

const ADDITIVE: Step =
    Step::additive("ALTER TABLE clients ADD COLUMN note text; CREATE TABLE more (one integer)");
const BREAKING: Step = Step::breaking("ALTER TABLE clients ADD COLUMN needed text");
const LAST: Step = Step::additive("CREATE TABLE last (one integer)");

/// A rolling upgrade and the way back: this program, which is the older one then, runs on, starts again, and writes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behind_what_a_newer_version_added_an_older_one_goes_on() {
    let Some(server) = Server::start() else { return };
    let database = server.database();
    let url = server.url(&database);
    let running = crate::open(&url).unwrap();
    running.begin(chain(1)).await.unwrap();
    running.append(entry(1)).await.unwrap();
    bring_forward(&url, &[ADDITIVE]).await.unwrap();
    bring_forward(&url, &[ADDITIVE]).await.unwrap();
    running.append(entry(2)).await.unwrap();
    put(&running, 3, vec![Change::PutClient(client(1, "acme", "app"))]).await.unwrap();
    let back = crate::open(&url).unwrap();
    back.begin(chain(2)).await.unwrap();
    back.append(entry(4)).await.unwrap();
    assert_eq!(back.clients().await.unwrap().len(), 1);
    assert_eq!(verify(&back).await, 4);
    let known = steps::known(schema::STEPS);
    let version = server.psql(&database, "SELECT version FROM daypass.version");
    assert_eq!(version.unwrap(), (known + 1).to_string(), "what was taken stays counted");
}

/// One that runs is told by its next transaction, and is not ready any more; one that starts is refused. Nothing is written.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behind_what_a_newer_version_changed_an_older_one_writes_nothing() {
    let Some(server) = Server::start() else { return };
    let database = server.database();
    let url = server.url(&database);
    let running = crate::open(&url).unwrap();
    running.begin(chain(1)).await.unwrap();
    running.append(entry(1)).await.unwrap();
    let known = steps::known(schema::STEPS);
    bring_forward(&url, &[ADDITIVE, BREAKING, LAST]).await.unwrap();
    let newer = StoreError::Newer { found: known + 2, known };
    assert_eq!(running.append(entry(2)).await, Err(newer.clone()));
    assert_eq!(put(&running, 3, vec![]).await, Err(newer.clone()));
    assert_eq!(running.spend([1; 16], daypass_core::testing::later(60)).await, Err(newer.clone()));
    let refused = crate::open(&url).err().unwrap();
    assert_eq!(refused, StoreError::Newer { found: known + 3, known });
    assert!(refused.to_string().contains("use the newer one"));
    for _ in 0..1_000 {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        if running.version().await == Err(newer.clone()) {
            break;
        }
    }
    assert_eq!(running.version().await, Err(newer), "it is not ready");
    assert_eq!(server.psql(&database, "SELECT count(*) FROM daypass.records").unwrap(), "1");

    // A step that fails leaves nothing of itself.
    let half = Step::additive("CREATE TABLE half (one integer); SELECT 1 / 0");
    assert!(bring_forward(&url, &[ADDITIVE, BREAKING, LAST, half]).await.is_err());
    assert_eq!(
        server.psql(&database, "SELECT version FROM daypass.version").unwrap(),
        (known + 3).to_string()
    );
    assert_eq!(server.psql(&database, "SELECT to_regclass('daypass.half') IS NULL").unwrap(), "t");
}

/// The tables change while nodes write as fast as they can: nobody deadlocks, and what was acknowledged is there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables_are_brought_forward_under_load() {
    let Some(server) = Server::start() else { return };
    let url = server.url(&server.database());
    let stores = [crate::open(&url).unwrap(), crate::open(&url).unwrap()];
    let mut tasks = Vec::new();
    for (node, store) in (0_u128..).zip(&stores) {
        store.begin(chain(node + 1)).await.unwrap();
        for task in 0..4 {
            let store = store.clone();
            tasks.push(tokio::spawn(async move {
                for n in 0..150 {
                    store.append(entry((node * 4 + task) * 1000 + n)).await.unwrap();
                }
            }));
        }
    }
    let further: Vec<_> = (0..12)
        .map(|n| {
            let sql = format!(
                "ALTER TABLE tail ADD COLUMN more{n} text; ALTER TABLE records ADD COLUMN more{n} text"
            );
            Step::additive(sql.leak())
        })
        .collect();
    for taken in 1..=further.len() {
        bring_forward(&url, &further[..taken]).await.unwrap();
    }
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(verify(&stores[0]).await, 1200);
}

/// Keys for what only a newer version knows are its own business.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ring_key_of_an_unknown_purpose_is_left_alone() {
    let Some(server) = Server::start() else { return };
    let database = server.database();
    let store = crate::open(&server.url(&database)).unwrap();
    store.begin(chain(1)).await.unwrap();
    let rows = daypass_core::testing::ring_rows();
    put(&store, 1, vec![Change::AddRing(rows.clone())]).await.unwrap();
    let time = rows[0].created.to_string();
    let fields =
        [b"future".as_slice(), &1_i64.to_be_bytes(), b"active", time.as_bytes(), time.as_bytes(), b"sealed"];
    let digest = crate::sums::digest(&fields).map(|byte| format!("{byte:02x}")).concat();
    // The digests' XOR, as PostgreSQL does it: on strings of bits.
    let sql = format!(
        "INSERT INTO daypass.ring (purpose, version, state, created, since, sealed)
         VALUES ('future', 1, 'active', '{time}', '{time}', 'sealed');
         UPDATE daypass.meta SET ring = (
             SELECT decode(string_agg(lpad(to_hex(get_byte(ring, n) # get_byte('\\x{digest}', n)), 2, '0'), '' ORDER BY n), 'hex')
             FROM generate_series(0, 31) AS n)"
    );
    server.psql(&database, &sql).unwrap();
    assert_eq!(store.ring().await.unwrap().len(), rows.len());
    let swap = Change::SwapRing { old: vec![rows[0].clone()], new: vec![rows[0].clone()] };
    put(&store, 2, vec![swap]).await.unwrap();
    assert_eq!(store.ring().await.unwrap().len(), rows.len());
}

/// A digest tells what the program did not write.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_was_changed_or_removed_is_damage() {
    let Some(server) = Server::start() else { return };
    let database = server.database();
    let store = crate::open(&server.url(&database)).unwrap();
    store.begin(chain(1)).await.unwrap();
    put(&store, 1, vec![Change::PutClient(client(1, "acme", "app"))]).await.unwrap();
    store.append(entry(2)).await.unwrap();
    store.append(entry(3)).await.unwrap();
    server.psql(&database, "UPDATE daypass.clients SET document = document || ' '").unwrap();
    assert!(matches!(store.clients().await, Err(StoreError::Damaged(_))));
    server.psql(&database, "DELETE FROM daypass.records WHERE position = 2").unwrap();
    assert!(matches!(store.records(everything()).await, Err(StoreError::Damaged(_))));
    server.psql(&database, "DELETE FROM daypass.writers").unwrap();
    assert!(matches!(store.heads().await, Err(StoreError::Damaged(_))));
    assert!(matches!(store.append(entry(4)).await, Err(StoreError::Damaged(_))), "its own chain is gone");
}

/// With a commit that others may not lose, whatever the database was set to.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lax_database_is_not_lax_with_us() {
    let Some(server) = Server::start() else { return };
    let database = server.database();
    let settings =
        "synchronous_commit = off; ALTER DATABASE DB SET default_transaction_isolation = 'serializable'";
    server.psql(&database, &format!("ALTER DATABASE DB SET {settings}").replace("DB", &database)).unwrap();
    let client =
        pool(&Address::parse(&server.url(&database)).unwrap(), 1).map_err(|fault| fault.error).unwrap();
    let client = client.get().await.unwrap();
    for (setting, expected) in [
        ("synchronous_commit", "on"),
        ("default_transaction_isolation", "read committed"),
        ("statement_timeout", "2s"),
    ] {
        let row = client.query_one(&format!("SHOW {setting}"), &[]).await.unwrap();
        assert_eq!(row.get::<_, String>(0), expected);
    }
}

/// What the server takes back because of another transaction is done again, and counted by its name.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_that_was_taken_back_is_done_again() {
    let Some(server) = Server::start() else { return };
    let database = server.database();
    let store = crate::open(&server.url(&database)).unwrap();
    store.begin(chain(1)).await.unwrap();
    // Sequences are not taken back, so this fails the first two times, and later every time.
    server
        .psql(
            &database,
            "CREATE SEQUENCE daypass.tries;
             CREATE FUNCTION daypass.refuse() RETURNS trigger LANGUAGE plpgsql AS $$
             DECLARE try bigint := nextval('daypass.tries');
             BEGIN
                 IF try < 3 OR try > 4 THEN
                     RAISE EXCEPTION 'not now' USING ERRCODE = CASE WHEN random() < 0.5 THEN '40001' ELSE '40P01' END;
                 END IF;
                 RETURN NEW;
             END $$;
             CREATE TRIGGER refuse BEFORE INSERT ON daypass.records FOR EACH ROW EXECUTE FUNCTION daypass.refuse()",
        )
        .unwrap();
    let count = || crate::done_again().find(|(name, _)| *name == "batch").unwrap().1;
    let before = count();
    store.append(entry(1)).await.unwrap();
    assert!(count() >= before + 2);
    put(&store, 2, vec![Change::PutClient(client(1, "acme", "app"))]).await.unwrap();
    let refused = store.append(entry(3)).await;
    assert!(
        matches!(&refused, Err(StoreError::Unavailable(text)) if text.contains("not now")),
        "{refused:?}"
    );
    server.psql(&database, "DROP TRIGGER refuse ON daypass.records").unwrap();
    store.append(entry(4)).await.unwrap();
    assert_eq!(read(&store, everything()).await, [1, 2, 4]);
    assert_eq!(verify(&store).await, 3);
}

/// Where the server tells of no changes, they are seen all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_notifications_changes_are_seen_by_looking() {
    let Some(server) = Server::start() else { return };
    let database = server.database();
    let url = server.url(&database);
    let (one, two) = (crate::open(&url).unwrap(), crate::open(&url).unwrap());
    one.begin(chain(1)).await.unwrap();
    // A server of another make: the function is not there.
    server
        .psql(
            &database,
            "CREATE FUNCTION daypass.pg_notify(text, text) RETURNS void LANGUAGE plpgsql AS $$
             BEGIN RAISE EXCEPTION 'no such thing' USING ERRCODE = '0A000'; END $$;
             ALTER ROLE daypass SET search_path TO daypass, pg_catalog",
        )
        .unwrap();
    let seen = two.version().await.unwrap();
    put(&one, 1, vec![Change::PutClient(client(1, "acme", "app"))]).await.unwrap();
    let mut waited = 0;
    while two.version().await.unwrap() == seen {
        waited += 1;
        assert!(waited < 2_000, "twenty seconds");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    assert_eq!(verify(&two).await, 1);
}

/// Thousands at once are a few statements: one by one they would not be done within the deadline.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_of_cut_offs_are_one_change() {
    let Some(server) = Server::start() else { return };
    let url = server.url(&server.database());
    let (one, two) = (crate::open(&url).unwrap(), crate::open(&url).unwrap());
    one.begin(chain(1)).await.unwrap();
    let cutoff = |number: u32, millis: i64| Cutoff {
        scope: Scope::Credential(format!("AKID{number:032}")),
        before: at(millis),
    };
    let before = two.contents(&Contents::default()).await.unwrap();
    // With one for a scope that another is for too, and the later one first.
    let all: Vec<_> =
        (0..25_000).map(|n| cutoff(n, 1000)).chain([cutoff(7, 5000), cutoff(7, 3000)]).collect();
    put(&one, 1, all.into_iter().map(Change::Cut).collect()).await.unwrap();
    let after = two.contents(&before).await.unwrap();
    let held = |n| after.cutoffs.held().before(&cutoff(n, 0).scope);
    assert_eq!(
        (held(0), held(7), held(24_999), held(25_000)),
        (Some(at(1000)), Some(at(5000)), Some(at(1000)), None)
    );

    let older = (0..25_000).map(|n| Change::Cut(cutoff(n, 500))).collect();
    put(&one, 2, older).await.unwrap();
    assert_eq!(two.cutoffs().await.unwrap().len(), 25_000, "what is older changes nothing");
    let gone: Vec<_> = (8..25_000).map(|n| cutoff(n, 1000)).collect();
    let wrong = [gone.clone(), vec![cutoff(7, 1000)]].concat();
    assert!(matches!(put(&one, 3, vec![Change::Uncut(wrong)]).await, Err(StoreError::Conflict(_))));
    let twice = [gone.clone(), vec![cutoff(8, 1000)]].concat();
    assert!(matches!(put(&one, 4, vec![Change::Uncut(twice)]).await, Err(StoreError::Conflict(_))));
    put(&one, 5, vec![Change::Uncut(gone)]).await.unwrap();
    assert_eq!(two.cutoffs().await.unwrap().len(), 8);
    let last = two.contents(&after).await.unwrap();
    assert_eq!(last.cutoffs.held().before(&cutoff(7, 0).scope), Some(at(5000)));
}
