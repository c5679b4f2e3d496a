//! Cut-offs, which may come by the thousand: so many in one statement, inside a transaction that has the lock on `tail`.

use super::change::{Meta, conflict, replace};
use super::fault::{Fault, column, damaged};
use crate::sums::{cutoff_digest, toggle};
use daypass_core::cutoff::Cutoff;
use daypass_core::store::Change;
use deadpool_postgres::GenericClient;
use std::collections::BTreeMap;

/// How many cut-offs one statement takes: some 100 ms of the two seconds that a transaction has.
const AT_ONCE: usize = 10_000;

/// The cut-offs of these changes, if they are nothing else.
pub(super) fn all(changes: &[Change]) -> Option<Vec<&Cutoff>> {
    fn cutoff(change: &Change) -> Option<&Cutoff> {
        match change {
            Change::Cut(cutoff) => Some(cutoff),
            _ => None,
        }
    }
    changes.iter().map(cutoff).collect()
}

/// Sets cut-offs; of two for one scope the later counts.
pub(super) async fn cut(
    client: &impl GenericClient,
    meta: &mut Meta,
    cutoffs: impl IntoIterator<Item = &Cutoff>,
) -> Result<(), Fault> {
    // Of two for one scope the later counts, and a statement touches a row once.
    let mut latest: BTreeMap<String, i64> = BTreeMap::new();
    for cutoff in cutoffs {
        let scope = serde_json::to_string(&cutoff.scope).map_err(damaged)?;
        let new = cutoff.before.as_millisecond();
        latest.entry(scope).and_modify(|there| *there = new.max(*there)).or_insert(new);
    }
    // The inner one reads what was there before the statement.
    let insert = client
        .prepare_cached(
            "INSERT INTO cutoffs AS there (scope, before)
             SELECT scope, before FROM unnest($1::text[], $2::bigint[]) AS new (scope, before)
             ON CONFLICT (scope) DO UPDATE SET before = excluded.before WHERE there.before < excluded.before
             RETURNING scope, before, (SELECT old.before FROM cutoffs AS old WHERE old.scope = there.scope)",
        )
        .await?;
    let all: Vec<_> = latest.iter().map(|(scope, before)| (scope.as_str(), *before)).collect();
    for some in all.chunks(AT_ONCE) {
        let (scopes, befores): (Vec<&str>, Vec<i64>) = some.iter().copied().unzip();
        for changed in client.query(&insert, &[&scopes, &befores]).await? {
            let (scope, new, old): (String, i64, Option<i64>) =
                (column(&changed, 0)?, column(&changed, 1)?, column(&changed, 2)?);
            replace(
                &mut meta.cutoffs,
                old.map(|old| cutoff_digest(&scope, old)),
                &cutoff_digest(&scope, new),
            );
            meta.recuts.push((scope, Some(new)));
        }
    }
    Ok(())
}

/// Removes cut-offs that must be what is given.
pub(super) async fn uncut(
    client: &impl GenericClient,
    meta: &mut Meta,
    gone: &[Cutoff],
) -> Result<(), Fault> {
    let delete = client
        .prepare_cached(
            "DELETE FROM cutoffs AS there USING unnest($1::text[], $2::bigint[]) AS gone (scope, before)
             WHERE there.scope = gone.scope AND there.before = gone.before RETURNING there.scope",
        )
        .await?;
    for some in gone.chunks(AT_ONCE) {
        let mut missing = BTreeMap::new();
        for cutoff in some {
            let scope = serde_json::to_string(&cutoff.scope).map_err(damaged)?;
            if missing.insert(scope, cutoff).is_some() {
                return Err(moved(cutoff));
            }
        }
        let scopes: Vec<&str> = missing.keys().map(String::as_str).collect();
        let befores: Vec<i64> = missing.values().map(|cutoff| cutoff.before.as_millisecond()).collect();
        for row in client.query(&delete, &[&scopes, &befores]).await? {
            let scope: String = column(&row, 0)?;
            if let Some(cutoff) = missing.remove(&scope) {
                toggle(&mut meta.cutoffs, &cutoff_digest(&scope, cutoff.before.as_millisecond()));
                meta.recuts.push((scope, None));
            }
        }
        if let Some((_, cutoff)) = missing.pop_first() {
            return Err(moved(cutoff));
        }
    }
    Ok(())
}

fn moved(cutoff: &Cutoff) -> Fault {
    conflict(format!("the cut-off of {} has changed meanwhile; look again", cutoff.scope))
}
