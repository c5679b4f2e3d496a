//! What is sealed or hashed anew behind everyone's back: clients' keys, and which seal key wraps the ring.

use super::change::Meta;
use super::edits::Edit;
use super::fault::{Fault, bytes, column, damaged};
use crate::sums::digest;
use daypass_core::client::Key;
use daypass_core::clock::Timestamp;
use daypass_core::ring::{SealId, SealRow};
use daypass_core::store::StoreError;
use deadpool_postgres::GenericClient;
use std::collections::HashMap;

fn conflict(text: String) -> Fault {
    StoreError::Conflict(text).into()
}

/// Replaces keys that must be what is given, each by the one of its id: two statements for however many there are.
pub(super) async fn swap_keys(
    client: &impl GenericClient,
    meta: &mut Meta,
    old: &[Key],
    new: &[Key],
) -> Result<(), Fault> {
    if old.len() != new.len() {
        return Err(conflict("as many keys as are replaced must come in their places".to_owned()));
    }
    let ids: Vec<&str> = old.iter().map(|key| key.id.as_str()).collect();
    let find = client.prepare_cached("SELECT id, document FROM keys WHERE id = ANY($1)").await?;
    let mut there = HashMap::new();
    for row in client.query(&find, &[&ids]).await? {
        there.insert(column::<String>(&row, 0)?, column::<Vec<u8>>(&row, 1)?);
    }
    let mut documents = Vec::with_capacity(new.len());
    for (old, new) in old.iter().zip(new) {
        let meanwhile = || conflict(format!("the key `{}` has changed meanwhile; look again", old.id));
        let there = there.get(&old.id).ok_or_else(meanwhile)?;
        let same = serde_json::from_slice::<Key>(there).map_err(damaged)? == *old;
        if !same || (&old.id, old.client) != (&new.id, new.client) {
            return Err(meanwhile());
        }
        let document = serde_json::to_vec(new).map_err(damaged)?;
        let (was, becomes) = (Some(digest(&[there])), digest(&[&document]));
        meta.edit(Edit { table: "keys", id: new.id.clone(), was, becomes });
        documents.push(document);
    }
    let update = client
        .prepare_cached(
            "UPDATE keys SET document = new.document FROM unnest($1::text[], $2::bytea[]) AS new (id, document)
             WHERE keys.id = new.id",
        )
        .await?;
    client.execute(&update, &[&ids, &documents]).await?;
    Ok(())
}

/// What is said of the seal key.
pub(super) async fn seal(client: &impl GenericClient) -> Result<Option<SealRow>, Fault> {
    let select = client.prepare_cached("SELECT id, checked, since FROM seal").await?;
    let Some(row) = client.query_opt(&select, &[]).await? else { return Ok(None) };
    let id = u32::try_from(column::<i64>(&row, 0)?).map_err(damaged)?;
    let since = Timestamp::from_millisecond(column(&row, 2)?).map_err(damaged)?;
    Ok(Some(SealRow { id: SealId::new(id), check: bytes(&row, 1)?, since }))
}

/// Says something else of it, where the old is what was said.
pub(super) async fn swap_seal(
    client: &impl GenericClient,
    old: Option<&SealRow>,
    new: &SealRow,
) -> Result<(), Fault> {
    if seal(client).await?.as_ref() != old {
        return Err(conflict("another process has replaced the seal key meanwhile; look again".to_owned()));
    }
    let put = client
        .prepare_cached(
            "INSERT INTO seal (one, id, checked, since) VALUES (1, $1, $2, $3)
             ON CONFLICT (one) DO UPDATE SET id = excluded.id, checked = excluded.checked, since = excluded.since",
        )
        .await?;
    let (id, check) = (i64::from(new.id.number()), new.check.as_slice());
    client.execute(&put, &[&id, &check, &new.since.as_millisecond()]).await?;
    Ok(())
}
