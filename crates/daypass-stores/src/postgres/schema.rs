//! The tables: making them, bringing them up to date, and refusing those of a newer version.

use super::fault::{Fault, column, damaged};
use super::transactions::{Name, transact};
use crate::Schema;
use crate::steps::{self, Step};
#[cfg(test)]
use daypass_core::store::StoreError;
use deadpool_postgres::{GenericClient, Object};

/// Every step forward, in order; `version` counts those that were taken. There is none back. Programs of before the second
/// refuse whatever they do not know.
const MIGRATIONS: &[Step] = &[
    Step::breaking(include_str!("migrations/0001_first.sql")),
    Step::additive(include_str!("migrations/0002_oldest.sql")),
    Step::additive(include_str!("migrations/0003_clock.sql")),
    Step::additive(include_str!("migrations/0004_seal.sql")),
    Step::additive(include_str!("migrations/0005_records.sql")),
    Step::additive(include_str!("migrations/0006_standing.sql")),
    Step::additive(include_str!("migrations/0007_counted.sql")),
    Step::additive(include_str!("migrations/0008_owners.sql")),
    Step::additive(include_str!("migrations/0009_edits.sql")),
];

/// What a connection is set to.
///
/// Our tables have a schema of their own, whatever else is in the database. A commit that was answered is on the disk, even
/// where the database was set up to be lax, and where there are copies that commits wait for, there as well. And a node that
/// stands still in the middle of a transaction does not stop the others for longer than a request waits.
pub(super) const SESSION: &str = "
    SET search_path TO daypass;
    SET client_min_messages TO warning;
    SET default_transaction_isolation TO 'read committed';
    SET statement_timeout TO 2000;
    SET lock_timeout TO 1500;
    SET idle_in_transaction_session_timeout TO 2000;
    SELECT set_config('synchronous_commit', 'on', false)
    WHERE current_setting('synchronous_commit') IN ('off', 'local');
";

/// A step may take its time, and so may waiting for the node that takes it.
const PATIENCE: &str = "SET LOCAL statement_timeout TO 0; SET LOCAL lock_timeout TO '5min';
    SET LOCAL idle_in_transaction_session_timeout TO '1min'";

/// Of all advisory locks in the database, the one that stands for a change of our tables: `Daypass` in ASCII.
const LOCK: i64 = 0x0044_6179_7061_7373;

/// How far the tables are: none where there are none.
async fn version(client: &Object) -> Result<Option<i64>, Fault> {
    // By the tables themselves: functions such as `to_regclass` may answer from before another node's transaction.
    let there = "SELECT 1 FROM pg_catalog.pg_class AS tables JOIN pg_catalog.pg_namespace AS schemas
         ON schemas.oid = tables.relnamespace WHERE schemas.nspname = 'daypass' AND tables.relname = 'version'";
    if client.query_opt(there, &[]).await?.is_none() {
        return Ok(None);
    }
    let row = client.query_opt("SELECT version FROM daypass.version", &[]).await?;
    let row = row.ok_or_else(|| damaged("the version of its tables is missing"))?;
    column(&row, 0).map(Some)
}

/// Whether somebody has made a store here.
pub(super) async fn exists(client: &Object) -> Result<bool, Fault> {
    Ok(version(client).await?.is_some())
}

/// How far the tables are, without bringing them any further.
pub(super) async fn look(client: &Object) -> Result<Schema, Fault> {
    Ok(Schema { found: version(client).await?.unwrap_or(0), known: steps::known(MIGRATIONS) })
}

/// Whether this program may write a store of which the row `tail` says this.
pub(super) fn may_write(oldest: i64) -> Result<(), Fault> {
    Ok(steps::may_write(MIGRATIONS, oldest)?)
}

/// The number of steps that this program knows.
pub(super) fn known() -> i64 {
    steps::known(MIGRATIONS)
}

/// Makes the tables if there are none, and brings them up to date. Of several nodes that start at once, one does it.
pub(super) async fn prepare(client: &Object) -> Result<(), Fault> {
    prepare_by(client, MIGRATIONS).await
}

async fn prepare_by(client: &Object, steps: &[Step]) -> Result<(), Fault> {
    // Looked at without a lock first: an account that may not change the tables can start when there is nothing to change.
    let found = version(client).await?;
    if pending(client, steps, found).await?.is_empty() {
        return Ok(());
    }
    transact(Name::Migrate, client, async |client| {
        client.batch_execute(PATIENCE).await?;
        client.execute("SELECT pg_advisory_xact_lock($1)", &[&LOCK]).await?;
        let found = version(client).await?;
        match found {
            None => client.batch_execute(FIRST).await?,
            // Before any other table is touched: who writes holds this one and wants the others.
            Some(_) => client.batch_execute("LOCK TABLE daypass.tail IN ACCESS EXCLUSIVE MODE").await?,
        }
        let pending = pending(client, steps, found).await?;
        for step in pending {
            client.batch_execute(step.sql()).await?;
        }
        if !pending.is_empty() {
            client.execute("UPDATE daypass.version SET version = $1", &[&steps::known(steps)]).await?;
            let oldest = "UPDATE daypass.tail SET oldest = greatest(oldest, $1)";
            client.execute(oldest, &[&steps::oldest(steps)]).await?;
        }
        Ok(())
    })
    .await
}

/// Where there is nothing yet.
const FIRST: &str = "
    CREATE SCHEMA IF NOT EXISTS daypass;
    CREATE TABLE daypass.version (one integer PRIMARY KEY CHECK (one = 1), version bigint NOT NULL);
    INSERT INTO daypass.version VALUES (1, 0)";

/// The steps that are still to be taken, or that this program must not write.
async fn pending<'a>(client: &Object, steps: &'a [Step], found: Option<i64>) -> Result<&'a [Step], Fault> {
    let found = found.unwrap_or(0);
    let oldest = if found > steps::known(steps) {
        let row = client.query_opt("SELECT oldest FROM daypass.tail", &[]).await?;
        Some(column(&row.ok_or_else(|| damaged("the table `tail` is empty"))?, 0)?)
    } else {
        None
    };
    Ok(steps::pending(steps, found, oldest)?)
}

#[cfg(test)]
pub(super) async fn prepare_for_test(client: &Object, steps: &[Step]) -> Result<(), StoreError> {
    prepare_by(client, steps).await.map_err(|fault| fault.error)
}

#[cfg(test)]
pub(super) const STEPS: &[Step] = MIGRATIONS;
