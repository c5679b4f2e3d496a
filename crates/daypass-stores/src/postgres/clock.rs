//! The latest time that was believed, in its table of one row.

use super::fault::{Fault, column, damaged};
use daypass_core::clock::Timestamp;
use deadpool_postgres::GenericClient;
use tokio_postgres::Row;

/// What is noted, if anything is.
pub(super) async fn read(client: &impl GenericClient) -> Result<Option<Timestamp>, Fault> {
    client.query_opt("SELECT mark FROM clock", &[]).await?.as_ref().map(time).transpose()
}

/// Notes this time unless a later one is there, and gives the one that is there then.
pub(super) async fn note(client: &impl GenericClient, now: Timestamp) -> Result<Timestamp, Fault> {
    let note = client
        .prepare_cached(
            "INSERT INTO clock AS there (one, mark) VALUES (1, $1)
             ON CONFLICT (one) DO UPDATE SET mark = greatest(there.mark, excluded.mark) RETURNING mark",
        )
        .await?;
    time(&client.query_one(&note, &[&now.as_millisecond()]).await?)
}

/// Takes this time, whatever is there.
pub(super) async fn set(client: &impl GenericClient, to: Timestamp) -> Result<(), Fault> {
    let sql =
        "INSERT INTO clock (one, mark) VALUES (1, $1) ON CONFLICT (one) DO UPDATE SET mark = excluded.mark";
    client.execute(sql, &[&to.as_millisecond()]).await?;
    Ok(())
}

fn time(row: &Row) -> Result<Timestamp, Fault> {
    Timestamp::from_millisecond(column(row, 0)?).map_err(damaged)
}
