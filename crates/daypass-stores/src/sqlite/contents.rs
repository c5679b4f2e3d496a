//! Reading the contents as one state, and of them what the reader does not have yet.
//!
//! A table's digest tells whether it has changed. Of cut-offs, clients and keys, which may be a million, the changes are read that
//! were made since: each takes the old row out of the digest that the reader has, and the new one in. What comes out must be
//! the digest of the table, so that what the reader has in the end is proved whole as if he had read all of it.

use super::edits;
use super::fault::{Fault, damaged};
use super::read;
use super::sums::{Digest, cutoff_digest, toggle};
use daypass_core::clock::Timestamp;
use daypass_core::contents::{Contents, Part, Stamp};
use daypass_core::cutoff::{Cutoffs, Gathered, Scope};
use daypass_core::people::{GatheredClients, GatheredKeys};
use rusqlite::Connection;
use std::collections::HashMap;

/// What is in the store now, where the reader has this already.
pub(super) fn contents(connection: &mut Connection, known: &Contents) -> Result<Contents, Fault> {
    let snapshot = connection.transaction()?;
    let stamps = Stamps::load(&snapshot)?;
    Ok(Contents {
        version: stamps.changes.cast_unsigned(),
        clients: edits::part::<GatheredClients>(&snapshot, &known.clients, stamps.clients)?,
        keys: edits::part::<GatheredKeys>(&snapshot, &known.keys, stamps.keys)?,
        ring: known.ring.at(stamps.ring, || read::ring(&snapshot))?,
        cutoffs: known.cutoffs.at(stamps.cutoffs, || cutoffs(&snapshot, &known.cutoffs, stamps.cutoffs))?,
        freezes: known.freezes.at(stamps.freezes, || read::freezes(&snapshot))?,
        roots: known.roots.at(stamps.roots, || read::documents(&snapshot, "roots"))?,
    })
}

/// By what the state of each table is known again: its digest.
struct Stamps {
    changes: i64,
    /// With the number of the last change of a client or a key, like the next.
    clients: Stamp,
    keys: Stamp,
    ring: Stamp,
    /// With the number of the last change.
    cutoffs: Stamp,
    freezes: Stamp,
    roots: Stamp,
}

impl Stamps {
    fn load(snapshot: &Connection) -> Result<Self, Fault> {
        let sql = "SELECT changes, clients, keys, ring, cutoffs, freezes, roots, recut, edited FROM meta";
        Ok(snapshot.prepare_cached(sql)?.query_row([], |row| {
            let of = |at| Ok::<_, rusqlite::Error>(Stamp { number: 0, digest: row.get(at)? });
            let (recut, edited): (i64, i64) = (row.get(7)?, row.get(8)?);
            let edited = |at| Ok::<_, rusqlite::Error>(Stamp { number: edited.cast_unsigned(), ..of(at)? });
            Ok(Self {
                changes: row.get(0)?,
                clients: edited(1)?,
                keys: edited(2)?,
                ring: of(3)?,
                cutoffs: Stamp { number: recut.cast_unsigned(), ..of(4)? },
                freezes: of(5)?,
                roots: of(6)?,
            })
        })?)
    }
}

/// What the reader has with what has changed since; or the whole, where that does not lead to what is in the table.
fn cutoffs(snapshot: &Connection, known: &Part<Cutoffs>, now: Stamp) -> Result<Cutoffs, Fault> {
    if let Some(before) = known.stamp()
        && let Some(followed) = followed(snapshot, known.held(), before, now)?
    {
        return Ok(followed);
    }
    // Counted first, because the count costs little and the memory is then taken once.
    let count: i64 = snapshot.query_row("SELECT count(*) FROM cutoffs", [], |row| row.get(0))?;
    let mut all = Gathered::with_room(usize::try_from(count).unwrap_or_default());
    read::each_cutoff(snapshot, |scope, before| {
        all.add(&scope, before);
        Ok(())
    })?;
    Ok(all.finish())
}

/// None where the changes since are not all there any more, or do not lead to the table's digest: the file was put back to
/// an earlier state, or an older version of Daypass, which notes no changes, has written to it.
fn followed(
    snapshot: &Connection,
    known: &Cutoffs,
    before: Stamp,
    now: Stamp,
) -> Result<Option<Cutoffs>, Fault> {
    let mut statement =
        snapshot.prepare_cached("SELECT scope, before FROM recuts WHERE number > ? ORDER BY number")?;
    let mut rows = statement.query([before.number.cast_signed()])?;
    let mut latest: HashMap<String, Option<i64>> = HashMap::new();
    let mut steps = 0;
    while let Some(row) = rows.next()? {
        latest.insert(row.get(0)?, row.get(1)?);
        steps += 1;
    }
    if now.number.checked_sub(before.number) != Some(steps) {
        return Ok(None);
    }
    let mut total: Digest = before.digest;
    let mut changes: Vec<(Scope, Option<Timestamp>)> = Vec::with_capacity(latest.len());
    for (name, new) in latest {
        let scope: Scope = serde_json::from_str(&name).map_err(damaged)?;
        if let Some(old) = known.before(&scope) {
            toggle(&mut total, &cutoff_digest(&name, old.as_millisecond()));
        }
        if let Some(new) = new {
            toggle(&mut total, &cutoff_digest(&name, new));
        }
        changes.push((scope, new.map(Timestamp::from_millisecond).transpose().map_err(damaged)?));
    }
    Ok((total == now.digest).then(|| known.with(changes)))
}
