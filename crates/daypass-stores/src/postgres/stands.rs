//! Whether clients and keys are still what was decided on.

use super::fault::{Fault, column};
use crate::stands::{same_client, same_keys};
use daypass_core::client::{Client, Key};
use deadpool_postgres::GenericClient;
use uuid::Uuid;

/// Refuses a client that is not there as it was read.
pub(super) async fn expect_client(
    client: &impl GenericClient,
    old: &Client,
    new: &Client,
) -> Result<(), Fault> {
    let find = client.prepare_cached("SELECT document FROM clients WHERE guid = $1").await?;
    let there = client.query_opt(&find, &[&old.guid]).await?;
    let there: Option<Vec<u8>> = there.map(|row| column(&row, 0)).transpose()?;
    Ok(same_client(there.as_deref(), old, new)?)
}

/// Refuses where a client has other keys than these.
pub(super) async fn expect_keys(client: &impl GenericClient, owner: Uuid, keys: &[Key]) -> Result<(), Fault> {
    let find = client.prepare_cached("SELECT document FROM keys WHERE client = $1").await?;
    let there = client.query(&find, &[&owner]).await?;
    let there = there.iter().map(|row| column(row, 0)).collect::<Result<Vec<Vec<u8>>, _>>()?;
    Ok(same_keys(&there, keys)?)
}
