//! The database with everybody else kept out, in one transaction from beginning to end.
//!
//! Nodes keep their connections for as long as they live, and these have a name: so a node is noticed however idle it is, and one
//! that was killed is not in the way once the server has noticed. From then on the row `tail` is locked, behind which everybody
//! writes, and a lock of its own keeps a second one of these out.

use super::address::Address;
use super::change::Meta;
use super::fault::{Fault, column, damaged};
use super::session::Tail;
use super::{pool, schema, transfer};
use crate::pipe::pipe;
use crate::steps;
use async_trait::async_trait;
use daypass_core::store::StoreError;
use daypass_core::transfer::{Pages, Row, Standing, Whole};
use deadpool_postgres::{GenericClient, Object};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;

/// Of all advisory locks in the database, the one that stands for having it alone.
const LOCK: i64 = 0x0044_6179_7061_7374;

/// How often it is looked whether connections of before are gone, and how long to wait between.
const LOOKS: u32 = 30;
const LOOK: Duration = Duration::from_millis(100);

/// What a transaction of its own needs that takes as long as it takes.
const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ;
    SET LOCAL statement_timeout TO 0;
    SET LOCAL idle_in_transaction_session_timeout TO 0";

/// The database, in a transaction.
struct Alone {
    client: Object,
    meta: Meta,
}

/// A handle on it.
pub(crate) struct PostgresWhole {
    alone: Arc<Mutex<Alone>>,
    standing: Standing,
}

/// What the database says of itself.
pub(super) async fn standing(client: &impl GenericClient) -> Result<Standing, Fault> {
    let Some(row) = client.query_opt("SELECT document FROM standing", &[]).await? else {
        return Ok(Standing::Open);
    };
    serde_json::from_str(column(&row, 0)?).map_err(damaged)
}

impl PostgresWhole {
    /// Takes the database at this address, and makes the tables if there are none.
    pub(crate) async fn open(url: &str) -> Result<Self, StoreError> {
        let address = Address::parse(url)?;
        Self::take(&address).await.map_err(|fault| fault.error)
    }

    async fn take(address: &Address) -> Result<Self, Fault> {
        let client = pool(address, 1)?.get().await?;
        schema::prepare(&client).await?;
        alone(&client).await?;
        client.batch_execute(BEGIN).await?;
        let locked = client.query_one("SELECT pg_try_advisory_xact_lock($1)", &[&LOCK]).await?;
        if !column::<bool>(&locked, 0)? {
            return Err(in_use("another move or restore"));
        }
        Tail::hold(&client).await?;
        let (standing, meta) = (standing(&client).await?, Meta::load(&client).await?);
        Ok(Self { alone: Arc::new(Mutex::new(Alone { client, meta })), standing })
    }
}

fn in_use(by: &str) -> Fault {
    StoreError::Conflict(format!("the database is in use by {by}; stop it first")).into()
}

/// Waits a little until nobody but us is connected.
async fn alone(client: &Object) -> Result<(), Fault> {
    let others = "SELECT count(*) FROM pg_stat_activity
         WHERE datname = current_database() AND application_name = 'daypass' AND pid <> pg_backend_pid()";
    for _ in 0..LOOKS {
        // Connections that this process has just given up end a little later.
        if column::<i64>(&client.query_one(others, &[]).await?, 0)? == 0 {
            return Ok(());
        }
        tokio::time::sleep(LOOK).await;
    }
    Err(in_use("another process, such as a `daypass serve`"))
}

#[async_trait]
impl Whole for PostgresWhole {
    fn standing(&self) -> &Standing {
        &self.standing
    }

    async fn rows(&mut self) -> Result<Box<dyn Pages>, StoreError> {
        let (mut pager, piped) = pipe();
        let alone = self.alone.clone();
        tokio::spawn(async move {
            let read = transfer::rows(&alone.lock().await.client, &mut pager).await;
            pager.finish(read.map_err(|fault| fault.error)).await;
        });
        Ok(Box::new(piped))
    }

    async fn clear(&mut self) -> Result<(), StoreError> {
        let left = matches!(self.standing, Standing::Arriving { .. });
        let Alone { client, meta } = &mut *self.alone.lock().await;
        let cleared = if left { transfer::empty(client, meta).await } else { refuse_full(client).await };
        cleared.map_err(|fault| fault.error)
    }

    async fn put(&mut self, rows: Vec<Row>) -> Result<(), StoreError> {
        let Alone { client, meta } = &mut *self.alone.lock().await;
        transfer::put(client, meta, &rows).await.map_err(|fault| fault.error)
    }

    async fn commit(self: Box<Self>, standing: Standing) -> Result<(), StoreError> {
        let alone = self.alone.lock().await;
        commit(&alone, &standing).await.map_err(|fault| fault.error)
    }
}

async fn refuse_full(client: &Object) -> Result<(), Fault> {
    if transfer::is_empty(client).await? {
        return Ok(());
    }
    Err(StoreError::Conflict("the store is not empty; name one that does not exist yet".into()).into())
}

async fn commit(Alone { client, meta }: &Alone, standing: &Standing) -> Result<(), Fault> {
    meta.clone().save(client).await?;
    let oldest = match standing {
        Standing::Open | Standing::Arriving { .. } => schema::known(),
        Standing::Moved { .. } => steps::NOBODY,
    };
    client
        .execute(
            "UPDATE tail SET oldest = $1, position = coalesce((SELECT max(position) FROM records), 0),
                 latest = coalesce((SELECT latest FROM records ORDER BY position DESC LIMIT 1), -9223372036854775808)",
            &[&oldest],
        )
        .await?;
    client.execute("DELETE FROM standing", &[]).await?;
    if *standing != Standing::Open {
        let document = serde_json::to_string(standing).map_err(damaged)?;
        client.execute("INSERT INTO standing (one, document) VALUES (1, $1)", &[&document]).await?;
    }
    client.batch_execute("COMMIT").await?;
    Ok(())
}
