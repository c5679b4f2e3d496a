//! What nodes hold together of brokered credentials, inside a transaction that is already open.

use super::fault::{Fault, damaged};
use daypass_core::clock::Timestamp;
use daypass_core::held::{Held, Turn, TurnEnd, Wish};
use daypass_core::replay::Mark;
use rusqlite::{Connection, OptionalExtension, params};
use std::sync::Arc;
use uuid::Uuid;

/// How many rows that mean nothing any more each turn takes away: more than one, so that the table shrinks.
const OVER: i64 = 4;

/// The row of a place.
pub(super) fn read(connection: &Connection, place: &Mark) -> Result<Option<Held>, Fault> {
    let row = connection
        .prepare_cached("SELECT turn, holder, until, sealed, keep FROM held WHERE place = ?")?
        .query_row([place], |row| {
            let turn: i64 = row.get(0)?;
            let (holder, until): (Option<Uuid>, i64) = (row.get(1)?, row.get(2)?);
            let (sealed, keep): (Option<Vec<u8>>, i64) = (row.get(3)?, row.get(4)?);
            Ok((turn, holder, until, sealed, keep))
        })
        .optional()?;
    let Some((turn, holder, until, sealed, keep)) = row else { return Ok(None) };
    let time = |millis| Timestamp::from_millisecond(millis).map_err(damaged);
    Ok(Some(Held {
        turn: u64::try_from(turn).map_err(damaged)?,
        holder,
        until: time(until)?,
        sealed: sealed.map(Arc::from),
        keep: time(keep)?,
    }))
}

/// Takes the next turn, if there is one to take.
pub(super) fn take(connection: &Connection, wish: &Wish) -> Result<Turn, Fault> {
    let Wish { place, seen, holder, now, until } = wish;
    connection
        .prepare_cached(
            "DELETE FROM held WHERE place IN (SELECT place FROM held WHERE keep < ? ORDER BY keep LIMIT ?)",
        )?
        .execute([now.as_millisecond(), OVER])?;
    let there = read(connection, place)?;
    let turn = there.as_ref().map_or(0, |held| held.turn);
    let keep = match there {
        Some(held) if held.blocks(*now) && held.holder != Some(*holder) => return Ok(Turn::Busy(held)),
        Some(held) if held.turn != *seen => return Ok(Turn::Moved(held)),
        Some(held) => held.keep.max(*until),
        None => *until,
    };
    connection
        .prepare_cached(
            "INSERT INTO held (place, turn, holder, until, keep) VALUES (?, ?, ?, ?, ?) ON CONFLICT (place)
             DO UPDATE SET turn = excluded.turn, holder = excluded.holder, until = excluded.until, keep = excluded.keep",
        )?
        .execute(params![
            place,
            i64::try_from(turn.saturating_add(1)).map_err(damaged)?,
            holder,
            until.as_millisecond(),
            keep.as_millisecond()
        ])?;
    Ok(Turn::Mine(turn.saturating_add(1)))
}

/// Ends a turn, if it is still that one.
pub(super) fn end(connection: &Connection, end: &TurnEnd) -> Result<bool, Fault> {
    let changed = connection
        .prepare_cached(
            "UPDATE held SET holder = NULL, until = ?, keep = ?, sealed = coalesce(?, sealed)
             WHERE place = ? AND turn = ? AND holder = ?",
        )?
        .execute(params![
            end.until.as_millisecond(),
            end.keep.as_millisecond(),
            end.sealed.as_deref(),
            end.place,
            i64::try_from(end.turn).map_err(damaged)?,
            end.holder
        ])?;
    Ok(changed == 1)
}

#[cfg(test)]
mod tests {
    use super::super::schema;
    use super::*;
    use daypass_core::store::StoreError;
    use daypass_core::testing::{START, later};

    fn fresh(folder: &tempfile::TempDir) -> Connection {
        schema::prepare(&folder.path().join("held.db")).map_err(|fault| fault.error).unwrap()
    }

    fn wish(place: u8, now: Timestamp) -> Wish {
        let holder = Uuid::from_u128(1);
        Wish { place: [place; 16], seen: 0, holder, now, until: daypass_core::clock::after(now, 7) }
    }

    fn rows(connection: &Connection) -> i64 {
        connection.query_row("SELECT count(*) FROM held", [], |row| row.get(0)).unwrap()
    }

    #[test]
    fn a_row_that_cannot_be_is_told_and_not_believed() {
        let folder = tempfile::tempdir().unwrap();
        let connection = fresh(&folder);
        assert!(take(&connection, &wish(1, START)).is_ok());
        for damage in
            ["turn = -1", "until = 9223372036854775807", "keep = -9223372036854775808", "holder = x'01'"]
        {
            connection.execute_batch("BEGIN").unwrap();
            connection.execute(&format!("UPDATE held SET {damage}"), []).unwrap();
            let fault = read(&connection, &[1; 16]).err().map(|fault| fault.error);
            assert!(matches!(fault, Some(StoreError::Damaged(_))), "{damage}: {fault:?}");
            connection.execute_batch("ROLLBACK").unwrap();
        }
        assert!(read(&connection, &[1; 16]).is_ok_and(|row| row.is_some()));
    }

    #[test]
    fn each_turn_takes_away_a_few_rows_that_are_over() {
        let folder = tempfile::tempdir().unwrap();
        let connection = fresh(&folder);
        for place in 0..10 {
            let now = daypass_core::clock::before(START, 600 - u32::from(place));
            assert!(take(&connection, &wish(place, now)).is_ok());
        }
        assert_eq!(rows(&connection), 8, "the first two were over when the last was taken");
        connection.execute("UPDATE held SET keep = ?", [later(1).as_millisecond()]).unwrap();
        for (at, left) in [(later(1), 9), (later(2), 5), (later(2), 1)] {
            assert!(take(&connection, &wish(100, at)).is_ok());
            assert_eq!(rows(&connection), left, "at {at}");
        }
    }
}
