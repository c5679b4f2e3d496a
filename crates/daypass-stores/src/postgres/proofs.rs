//! What proves the chains beside their links: checkpoints, the trees at their ends, and what was removed from their beginnings.

use super::fault::{Fault, bytes, column, damaged};
use daypass_core::record::checkpoint::Kept;
use daypass_core::record::{Link, Placed, Point};
use daypass_core::store::{Cut, Proof, StoreError};
use deadpool_postgres::GenericClient;
use tokio_postgres::Row;
use uuid::Uuid;

/// The number of the step that brought `base`. A program that does not know it would say of a cut chain that records are
/// missing, so from the first cut on it must not write any more.
const STEP: i64 = 5;

/// A place in a chain as its column holds it. Whatever else stands there is as good as nothing: it proves nothing, and the
/// check of the chain says so.
pub(super) fn point(row: &Row, at: usize) -> Result<Option<Point>, Fault> {
    Ok(column::<Option<&[u8]>>(row, at)?.and_then(Point::from_bytes))
}

/// Links of all chains, in the order of their positions.
pub(super) async fn placed(
    client: &impl GenericClient,
    after: i64,
    limit: usize,
) -> Result<Vec<Placed>, Fault> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let select = client
        .prepare_cached(
            "SELECT position, latest, guid, records.seq, document, records.mac
             FROM records LEFT JOIN writers ON writers.number = records.writer
             WHERE position > $1 ORDER BY position LIMIT $2",
        )
        .await?;
    let mut all: Vec<Placed> = Vec::new();
    for row in client.query(&select, &[&after, &limit]).await? {
        let position: i64 = column(&row, 0)?;
        let writer: Option<Uuid> = column(&row, 2)?;
        let writer =
            writer.ok_or_else(|| damaged(format_args!("the writer of position {position} is missing")))?;
        if all.last().is_some_and(|last| last.position.saturating_add(1) != position) {
            return Err(damaged(format_args!("records beside position {position} are missing")));
        }
        let seq = u64::try_from(column::<i64>(&row, 3)?).map_err(damaged)?;
        let link = Link { writer, seq, blob: column(&row, 4)?, mac: bytes(&row, 5)? };
        all.push(Placed { position, latest: column(&row, 1)?, link });
    }
    Ok(all)
}

/// Checkpoints, oldest first.
pub(super) async fn checkpoints(
    client: &impl GenericClient,
    after: u64,
    limit: usize,
) -> Result<Vec<Kept>, Fault> {
    let (after, limit) = (i64::try_from(after).unwrap_or(i64::MAX), i64::try_from(limit).unwrap_or(i64::MAX));
    let sql = "SELECT number, document FROM checkpoints WHERE number > $1 ORDER BY number LIMIT $2";
    let rows = client.query(&client.prepare_cached(sql).await?, &[&after, &limit]).await?;
    rows.iter().map(kept).collect()
}

/// The newest checkpoint.
pub(super) async fn last_checkpoint(client: &impl GenericClient) -> Result<Option<Kept>, Fault> {
    let sql = "SELECT number, document FROM checkpoints ORDER BY number DESC LIMIT 1";
    let row = client.query_opt(&client.prepare_cached(sql).await?, &[]).await?;
    row.as_ref().map(kept).transpose()
}

fn kept(row: &Row) -> Result<Kept, Fault> {
    Ok(Kept { number: u64::try_from(column::<i64>(row, 0)?).map_err(damaged)?, jws: column(row, 1)? })
}

/// Which second place has got all up to which.
pub(super) async fn delivered(client: &impl GenericClient) -> Result<Vec<(String, u64)>, Fault> {
    let rows = client.query("SELECT place, number FROM delivered ORDER BY place", &[]).await?;
    let one = |row: &Row| Ok((column(row, 0)?, u64::try_from(column::<i64>(row, 1)?).map_err(damaged)?));
    rows.iter().map(one).collect()
}

/// Keeps a proof, inside a transaction that has the lock on `tail`; says false where it comes too late.
pub(super) async fn keep(client: &impl GenericClient, proof: &Proof) -> Result<bool, Fault> {
    match proof {
        Proof::Checkpoint { kept, grown, cut } => {
            let last = client.query_one("SELECT coalesce(max(number), 0) FROM checkpoints", &[]).await?;
            let number = number(kept.number)?;
            if column::<i64>(&last, 0)?.checked_add(1) != Some(number) {
                return Ok(false);
            }
            let sql = "INSERT INTO checkpoints (number, document) VALUES ($1, $2)";
            client.execute(&client.prepare_cached(sql).await?, &[&number, &kept.jws]).await?;
            note(client, "signed", grown).await?;
            note(client, "based", cut).await?;
            Ok(true)
        }
        Proof::Tip { writer, tip } => {
            let sql = "UPDATE writers SET tip = $1 WHERE guid = $2 AND seq = $3";
            let changed = client.execute(sql, &[&tip.to_bytes(), writer, &number(tip.seq())?]).await?;
            Ok(changed == 1)
        }
        Proof::Delivered { place, number: reached } => {
            let sql = "INSERT INTO delivered AS there (place, number) VALUES ($1, $2)
                 ON CONFLICT (place) DO UPDATE SET number = excluded.number WHERE there.number < excluded.number";
            client.execute(&client.prepare_cached(sql).await?, &[place, &number(*reached)?]).await?;
            Ok(true)
        }
        Proof::Discard { forged } => {
            let Some(first) = forged.first() else { return Ok(false) };
            if checkpoints(client, first.number.saturating_sub(1), usize::MAX).await? != *forged {
                return Ok(false);
            }
            let sql = "DELETE FROM checkpoints WHERE number >= $1";
            client.execute(sql, &[&number(first.number)?]).await?;
            let sql = "UPDATE delivered SET number = $1 WHERE number > $1";
            client.execute(sql, &[&number(first.number.saturating_sub(1))?]).await?;
            Ok(true)
        }
    }
}

/// Notes how much of the chains the newest checkpoint names.
async fn note(client: &impl GenericClient, name: &'static str, sizes: &[(Uuid, u64)]) -> Result<(), Fault> {
    if sizes.is_empty() {
        return Ok(());
    }
    let writers: Vec<Uuid> = sizes.iter().map(|(writer, _)| *writer).collect();
    let sizes = sizes.iter().map(|(_, size)| number(*size)).collect::<Result<Vec<_>, _>>()?;
    let sql = format!(
        "UPDATE writers SET {name} = new.size FROM unnest($1::uuid[], $2::bigint[]) AS new (writer, size) WHERE guid = new.writer"
    );
    client.execute(&client.prepare_cached(&sql).await?, &[&writers, &sizes]).await?;
    Ok(())
}

/// Removes the oldest records, and moves the beginnings of their chains.
pub(super) async fn cut(client: &impl GenericClient, through: i64, cuts: &[Cut]) -> Result<(), Fault> {
    let changed =
        || Fault::from(StoreError::Conflict("the oldest records have changed meanwhile; look again".into()));
    let mut going: u64 = 0;
    let there = client.prepare_cached("SELECT base FROM writers WHERE guid = $1").await?;
    let moved = client.prepare_cached("UPDATE writers SET base = $1 WHERE guid = $2").await?;
    for Cut { writer, before, base } in cuts {
        let row = client.query_opt(&there, &[writer]).await?.ok_or_else(changed)?;
        if point(&row, 0)?.as_ref().map_or(0, Point::seq) != *before || base.seq() <= *before {
            return Err(changed());
        }
        going = going.saturating_add(base.seq() - *before);
        client.execute(&moved, &[&base.to_bytes(), writer]).await?;
    }
    let gone = client.prepare_cached("DELETE FROM records WHERE position <= $1").await?;
    if client.execute(&gone, &[&through]).await? != going {
        return Err(changed());
    }
    // Positions follow the numbers of each chain, so what is left of one begins right behind what went.
    let first = client
        .prepare_cached(
            "SELECT seq FROM records WHERE writer = (SELECT number FROM writers WHERE guid = $1) ORDER BY seq LIMIT 1",
        )
        .await?;
    for Cut { writer, base, .. } in cuts {
        if let Some(row) = client.query_opt(&first, &[writer]).await?
            && u64::try_from(column::<i64>(&row, 0)?) != Ok(base.seq() + 1)
        {
            return Err(changed());
        }
    }
    client.execute("UPDATE tail SET oldest = greatest(oldest, $1)", &[&STEP]).await?;
    Ok(())
}

fn number(number: u64) -> Result<i64, Fault> {
    i64::try_from(number).map_err(damaged)
}
