//! What nodes hold together of brokered credentials, inside a transaction that has the lock on `tail`.

use super::fault::{Fault, column, damaged};
use daypass_core::clock::Timestamp;
use daypass_core::held::{Held, Turn, TurnEnd, Wish};
use daypass_core::replay::Mark;
use deadpool_postgres::GenericClient;
use std::sync::Arc;

/// How many rows that mean nothing any more each turn takes away: more than one, so that the table shrinks.
const OVER: i64 = 4;

/// The row of a place.
pub(super) async fn read(client: &impl GenericClient, place: &Mark) -> Result<Option<Held>, Fault> {
    let sql = "SELECT turn, holder, until, sealed, keep FROM held WHERE place = $1";
    let select = client.prepare_cached(sql).await?;
    let Some(row) = client.query_opt(&select, &[&place.as_slice()]).await? else { return Ok(None) };
    let time = |at| Timestamp::from_millisecond(column(&row, at)?).map_err(damaged);
    let sealed: Option<&[u8]> = column(&row, 3)?;
    Ok(Some(Held {
        turn: u64::try_from(column::<i64>(&row, 0)?).map_err(damaged)?,
        holder: column(&row, 1)?,
        until: time(2)?,
        sealed: sealed.map(Arc::from),
        keep: time(4)?,
    }))
}

/// Takes the next turn, if there is one to take.
pub(super) async fn take(client: &impl GenericClient, wish: &Wish) -> Result<Turn, Fault> {
    let Wish { place, seen, holder, now, until } = wish;
    let sweep = client
        .prepare_cached(
            "DELETE FROM held WHERE place IN (SELECT place FROM held WHERE keep < $1 ORDER BY keep LIMIT $2)",
        )
        .await?;
    client.execute(&sweep, &[&now.as_millisecond(), &OVER]).await?;
    let there = read(client, place).await?;
    let turn = there.as_ref().map_or(0, |held| held.turn);
    let keep = match there {
        Some(held) if held.blocks(*now) && held.holder != Some(*holder) => return Ok(Turn::Busy(held)),
        Some(held) if held.turn != *seen => return Ok(Turn::Moved(held)),
        Some(held) => held.keep.max(*until),
        None => *until,
    };
    let next = turn.saturating_add(1);
    let put = client
        .prepare_cached(
            "INSERT INTO held (place, turn, holder, until, keep) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (place)
             DO UPDATE SET turn = excluded.turn, holder = excluded.holder, until = excluded.until, keep = excluded.keep",
        )
        .await?;
    let number = i64::try_from(next).map_err(damaged)?;
    client
        .execute(&put, &[&place.as_slice(), &number, holder, &until.as_millisecond(), &keep.as_millisecond()])
        .await?;
    Ok(Turn::Mine(next))
}

/// Ends a turn, if it is still that one.
pub(super) async fn end(client: &impl GenericClient, end: &TurnEnd) -> Result<bool, Fault> {
    let update = client
        .prepare_cached(
            "UPDATE held SET holder = NULL, until = $1, keep = $2, sealed = coalesce($3, sealed)
             WHERE place = $4 AND turn = $5 AND holder = $6",
        )
        .await?;
    let turn = i64::try_from(end.turn).map_err(damaged)?;
    let (until, keep) = (end.until.as_millisecond(), end.keep.as_millisecond());
    let sealed = end.sealed.as_deref();
    let changed =
        client.execute(&update, &[&until, &keep, &sealed, &end.place.as_slice(), &turn, &end.holder]).await?;
    Ok(changed == 1)
}
