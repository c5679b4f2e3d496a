//! Making the tables, and what stands in them.

use super::super::address::Address;
use super::super::{pool, schema};
use super::server::Server;
use crate::conformance::{chain, client, entry, everything, put, read, verify};
use daypass_core::store::{Change, StoreError};

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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_tables_of_a_newer_version_are_refused() {
    let Some(server) = Server::start() else { return };
    let database = server.database();
    let url = server.url(&database);
    let running = crate::open(&url).unwrap();
    running.begin(chain(1)).await.unwrap();
    let client =
        pool(&Address::parse(&url).unwrap(), 1).map_err(|fault| fault.error).unwrap().get().await.unwrap();
    let mut steps = schema::STEPS.to_vec();
    steps.push("ALTER TABLE clients ADD COLUMN note text; CREATE TABLE more (one integer)");
    schema::prepare_for_test(&client, &steps).await.unwrap();
    schema::prepare_for_test(&client, &steps).await.unwrap();
    let known = i64::try_from(schema::STEPS.len()).unwrap();
    let refused = crate::open(&url).err().unwrap();
    assert_eq!(refused, StoreError::Newer { found: known + 1, known });
    assert!(refused.to_string().contains("use the newer one"));
    running.append(entry(1)).await.unwrap();

    // A step that fails leaves nothing of itself.
    steps.push("CREATE TABLE half (one integer); SELECT 1 / 0");
    assert!(schema::prepare_for_test(&client, &steps).await.is_err());
    assert_eq!(server.psql(&database, "SELECT version FROM daypass.version"), Ok((known + 1).to_string()));
    assert_eq!(server.psql(&database, "SELECT to_regclass('daypass.half') IS NULL"), Ok("t".into()));
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
        assert!(waited < 200, "two seconds");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    assert_eq!(verify(&two).await, 1);
}
