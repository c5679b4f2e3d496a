//! Reading the contents as one state, and of them what the reader does not have yet.
//!
//! A table's digest tells whether it has changed. Of cut-offs, clients and keys, which may be a million, the changes are read that
//! were made since: each takes the old row out of the digest that the reader has, and the new one in. What comes out must be
//! the digest of the table, so that what the reader has in the end is proved whole as if he had read all of it.

use super::edits;
use super::fault::{Fault, bytes, column, damaged};
use super::read;
use crate::sums::{Digest, cutoff_digest, toggle};
use daypass_core::clock::Timestamp;
use daypass_core::contents::{Contents, Part, Stamp};
use daypass_core::cutoff::{Cutoffs, Gathered, Scope};
use daypass_core::people::{GatheredClients, GatheredKeys};
use deadpool_postgres::{GenericClient, Transaction};
use std::collections::HashMap;

/// What is in the store now, where the reader has this already.
pub(super) async fn contents(snapshot: &Transaction<'_>, known: &Contents) -> Result<Contents, Fault> {
    let stamps = Stamps::load(snapshot).await?;
    Ok(Contents {
        version: stamps.changes.cast_unsigned(),
        clients: edits::part::<GatheredClients>(snapshot, &known.clients, stamps.clients).await?,
        keys: edits::part::<GatheredKeys>(snapshot, &known.keys, stamps.keys).await?,
        ring: at(&known.ring, stamps.ring, read::ring(snapshot)).await?,
        cutoffs: at(&known.cutoffs, stamps.cutoffs, cutoffs(snapshot, &known.cutoffs, stamps.cutoffs))
            .await?,
        freezes: at(&known.freezes, stamps.freezes, read::freezes(snapshot)).await?,
        roots: at(&known.roots, stamps.roots, read::documents(snapshot, "roots", "issuer, slot")).await?,
    })
}

/// The part at this stamp: the known one if it is that, or else what is read.
async fn at<T>(
    known: &Part<T>,
    stamp: Stamp,
    read: impl Future<Output = Result<T, Fault>>,
) -> Result<Part<T>, Fault> {
    if known.stamp() == Some(stamp) { Ok(known.clone()) } else { Ok(Part::new(stamp, read.await?)) }
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
    async fn load(snapshot: &Transaction<'_>) -> Result<Self, Fault> {
        let sql = "SELECT changes, recut, clients, keys, ring, cutoffs, freezes, roots, edited FROM meta";
        let row = snapshot.query_one(&snapshot.prepare_cached(sql).await?, &[]).await?;
        let of = |at| Ok::<_, Fault>(Stamp { number: 0, digest: bytes(&row, at)? });
        let number = column::<i64>(&row, 8)?.cast_unsigned();
        let edited = |at| Ok::<_, Fault>(Stamp { number, ..of(at)? });
        Ok(Self {
            changes: column(&row, 0)?,
            clients: edited(2)?,
            keys: edited(3)?,
            ring: of(4)?,
            cutoffs: Stamp { number: column::<i64>(&row, 1)?.cast_unsigned(), ..of(5)? },
            freezes: of(6)?,
            roots: of(7)?,
        })
    }
}

/// What the reader has with what has changed since; or the whole, where that does not lead to what is in the table.
async fn cutoffs(snapshot: &Transaction<'_>, known: &Part<Cutoffs>, now: Stamp) -> Result<Cutoffs, Fault> {
    if let Some(before) = known.stamp()
        && let Some(followed) = followed(snapshot, known.held(), before, now).await?
    {
        return Ok(followed);
    }
    // Counted first, because the count costs little and the memory is then taken once.
    let count: i64 = column(&snapshot.query_one("SELECT count(*) FROM cutoffs", &[]).await?, 0)?;
    let mut all = Gathered::with_room(usize::try_from(count).unwrap_or_default());
    read::each_cutoff(snapshot, |scope, before| {
        all.add(&scope, before);
        Ok(())
    })
    .await?;
    Ok(all.finish())
}

/// None where the changes since are not all there any more, or do not lead to the table's digest: the database was put back to
/// an earlier state.
async fn followed(
    snapshot: &Transaction<'_>,
    known: &Cutoffs,
    before: Stamp,
    now: Stamp,
) -> Result<Option<Cutoffs>, Fault> {
    let select = "SELECT scope, before FROM recuts WHERE number > $1 ORDER BY number";
    let select = snapshot.prepare_cached(select).await?;
    let mut latest: HashMap<String, Option<i64>> = HashMap::new();
    let mut steps = 0;
    for row in snapshot.query(&select, &[&before.number.cast_signed()]).await? {
        latest.insert(column(&row, 0)?, column(&row, 1)?);
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
