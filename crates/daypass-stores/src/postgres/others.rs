//! Reading the replay marks that other writers recorded.
//!
//! That none is missed follows from the lock that every writer takes: what it finds behind its last position is all there is.

use super::fault::{Fault, bytes, column};
use super::read::first_since;
use crate::others::Others;
use deadpool_postgres::GenericClient;

/// Makes sure that every mark within the window before `at` is known. Costs nothing unless the time goes back.
pub(super) async fn cover(client: &impl GenericClient, others: &mut Others, at: i64) -> Result<(), Fault> {
    if let Some(from) = others.uncovered(at) {
        let first = first_since(client, from).await?;
        load(client, others, first).await?;
        others.covered(from);
    }
    Ok(())
}

/// Takes up what others recorded from this position on.
pub(super) async fn load(
    client: &impl GenericClient,
    others: &mut Others,
    position: i64,
) -> Result<(), Fault> {
    let select = client
        .prepare_cached(
            "SELECT mark, at FROM records WHERE position >= $1 AND writer <> $2 AND mark IS NOT NULL",
        )
        .await?;
    for row in client.query(&select, &[&position, &others.number()]).await? {
        others.add(bytes(&row, 0)?, column(&row, 1)?);
    }
    Ok(())
}
