//! What nodes have counted of a day.

use super::fault::{Fault, bytes, column, damaged};
use daypass_core::ration::Due;
use daypass_core::replay::Mark;
use deadpool_postgres::GenericClient;
use tokio_postgres::Row;
use uuid::Uuid;

/// How many days are kept behind the one that is written: another node's clock may be behind ours.
const KEPT: i64 = 1;

/// Writes a node's own counts, and gives what all others have counted of the same. Nobody else writes these rows, so that no
/// two nodes wait for each other.
pub(super) async fn note(
    client: &impl GenericClient,
    node: Uuid,
    due: &Due,
) -> Result<Vec<(Mark, u64)>, Fault> {
    let places: Vec<&[u8]> = due.counts.iter().map(|(place, _)| place.as_slice()).collect();
    let counts: Vec<i64> = due.counts.iter().map(|(_, n)| i64::try_from(*n).unwrap_or(i64::MAX)).collect();
    let put = client
        .prepare_cached(
            "INSERT INTO counted AS there (day, place, node, count)
             SELECT $1, place, $2, count FROM unnest($3::bytea[], $4::bigint[]) AS new (place, count)
             ON CONFLICT (day, place, node) DO UPDATE SET count = excluded.count WHERE there.count < excluded.count",
        )
        .await?;
    client.execute(&put, &[&due.day, &node, &places, &counts]).await?;
    let sweep = client.prepare_cached("DELETE FROM counted WHERE day < $1").await?;
    client.execute(&sweep, &[&due.day.saturating_sub(KEPT)]).await?;
    let sums = client
        .prepare_cached(
            "SELECT place, sum(count)::bigint FROM counted WHERE day = $1 AND node <> $2 AND place = ANY($3::bytea[])
             GROUP BY place",
        )
        .await?;
    client.query(&sums, &[&due.day, &node, &places]).await?.iter().map(counted).collect()
}

/// What all nodes but this one have counted of a day.
pub(super) async fn counts(
    client: &impl GenericClient,
    day: i64,
    but: Uuid,
) -> Result<Vec<(Mark, u64)>, Fault> {
    let sql = "SELECT place, sum(count)::bigint FROM counted WHERE day = $1 AND node <> $2 GROUP BY place";
    client.query(sql, &[&day, &but]).await?.iter().map(counted).collect()
}

fn counted(row: &Row) -> Result<(Mark, u64), Fault> {
    Ok((bytes(row, 0)?, u64::try_from(column::<i64>(row, 1)?).map_err(damaged)?))
}
