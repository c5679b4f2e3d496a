//! A caller asks about a decision of its own.

use super::{Pipeline, Success, Verified};
use crate::caller::Proof;
use crate::dialect::{Call, Context, Outcome};
use crate::explained::{Lookup, OwnDecision};
use crate::quota::Rate;
use crate::ration::Share;
use crate::refusal::{Reason, Refusal};
use crate::store::RecordQuery;

/// How many questions a client may ask in a minute.
///
/// Attack: each costs the store a walk over some seconds of records, so that a loop of them would take the place of
/// what the store is for.
const PER_MINUTE: u32 = 30;
/// How many records are read at a time.
const PAGE: usize = 1000;
/// How many records are looked through at most: what some seconds have at a few thousand decisions each.
const MOST: usize = 50_000;

impl Pipeline {
    /// Finds the decision among what was recorded at that time. An id of somebody else's answer is looked for as long as
    /// one that does not exist, and found as little.
    pub(super) async fn explain<C: Call>(
        &self,
        context: Context<'_>,
        verified: &Verified<C>,
        wanted: &Lookup,
    ) -> Result<(Success, Outcome), Refusal> {
        let caller = verified.caller();
        let Proof::Key { client, .. } = caller.proof() else {
            // Attack: whoever was given a key for one thing learns what its giver was given beside it.
            return Err(Refusal::new(
                Reason::TemporaryNotAllowed,
                "a temporary credential does not tell about its client; ask with the client's own key",
            ));
        };
        let share = Share::Questions(client.guid);
        self.rations.take(&share, Rate::per_minute(PER_MINUTE), context.now).map_err(|full| {
            Refusal::new(
                Reason::RateLimited,
                format!("a client may ask about {PER_MINUTE} decisions in a minute"),
            )
            .retry_after(full.seconds)
        })?;
        let tenant = &caller.tenant().name;
        let (from, until) = wanted.when.span();
        let mut query =
            RecordQuery { tenant: Some(tenant.clone()), since: Some(from), after: Some(0), limit: PAGE };
        for _ in 0..MOST / PAGE {
            let page = self.store.records(query.clone()).await.map_err(Refusal::unavailable)?;
            // Nodes write side by side, so that one record may be later than the next; a whole page is not.
            let over = page.iter().all(|stored| stored.record.at > until) || page.len() < PAGE;
            query.after = page.last().map(|stored| stored.position).or(query.after);
            let found = page
                .into_iter()
                .find_map(|stored| OwnDecision::of(stored.record, wanted.id, tenant, client.guid));
            if found.is_some() || over {
                return Ok((Success::Facts, Outcome::Explained(found.map(Box::new))));
            }
        }
        Err(Refusal::new(
            Reason::Unavailable,
            "more was decided at that time than is looked through here; the operator can find it with the same id",
        ))
    }
}
