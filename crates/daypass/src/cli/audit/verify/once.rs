//! All records in the order of their positions, read once: nearly always nothing is wrong, and then nothing more need be read.
//!
//! What is wrong is not named here. A record that cannot be read ends a page for all chains, and one in the wrong place looks as
//! if another was missing; so whoever is told that something is wrong looks at each chain by itself.

use super::{Dated, PAGE};
use daypass_core::record::covered::{Covered, Witness};
use daypass_core::record::{ChainHead, Placed};
use daypass_core::ring::Ring;
use daypass_core::store::{Store, StoreError};
use std::collections::BTreeMap;
use uuid::Uuid;

/// The order of the records, by which they are searched: positions have no gaps, and the latest time up to each is what the
/// records themselves say.
#[derive(Default)]
pub(super) struct Order {
    before: Option<(i64, i64)>,
}

impl Order {
    /// Behind which position the next is looked for.
    pub(super) fn after(&self) -> i64 {
        self.before.map_or(i64::MIN, |(position, _)| position)
    }

    /// Takes the next record, and says whether it stands where it is looked for.
    pub(super) fn take(&mut self, placed: &Placed) -> bool {
        let Placed { position, latest, link } = placed;
        let dated: Option<Dated> = serde_json::from_slice(&link.blob).ok();
        // One that cannot be read is told by its chain.
        let own = dated.map_or(*latest, |dated| dated.at.as_millisecond());
        let good = match self.before.replace((*position, *latest)) {
            None => own <= *latest,
            Some((last, known)) => Some(*position) == last.checked_add(1) && *latest == own.max(known),
        };
        // Chains count from 1, so no chain asks for it.
        good && link.seq > 0
    }
}

/// How many records there are up to these heads, where nothing is wrong with any of them, with their chains, between those and
/// their checkpoints, and with their order; none where something is.
pub(super) async fn look(
    store: &dyn Store,
    ring: &Ring,
    covered: &Covered,
    heads: &[ChainHead],
) -> Result<Option<u64>, StoreError> {
    let mut witnesses: BTreeMap<Uuid, (u64, Witness<'_>)> =
        heads.iter().map(|head| (head.writer, (head.seq, covered.witness(ring, head)))).collect();
    let (mut order, mut records) = (Order::default(), 0);
    loop {
        let page = match store.placed(order.after(), PAGE).await {
            Err(StoreError::Damaged(_)) => return Ok(None),
            page => page?,
        };
        if page.is_empty() {
            break;
        }
        for placed in &page {
            if !order.take(placed) {
                return Ok(None);
            }
            // What a server writes meanwhile is proved by a later head.
            if let Some((end, witness)) = witnesses.get_mut(&placed.link.writer)
                && placed.link.seq <= *end
            {
                witness.take(&placed.link);
                records += 1;
            }
        }
    }
    let sound = witnesses.into_values().all(|(_, witness)| {
        let (chain, checkpoints) = witness.finish();
        chain.is_empty() && checkpoints.is_empty()
    });
    Ok(sound.then_some(records))
}

#[cfg(test)]
mod tests {
    use super::*;
    use daypass_core::record::{Link, Record};
    use daypass_core::testing::{START, later};

    fn placed(position: i64, seconds: u32, latest: u32) -> Placed {
        let record = Record::change(Uuid::nil(), later(seconds), None, "test", "it");
        let blob = serde_json::to_vec(&record).unwrap();
        let link = Link { writer: Uuid::nil(), seq: 1, blob, mac: [0; 32] };
        Placed { position, latest: later(latest).as_millisecond(), link }
    }

    fn good(all: &[(i64, u32, u32)]) -> Vec<bool> {
        let mut order = Order::default();
        all.iter().map(|(position, at, latest)| order.take(&placed(*position, *at, *latest))).collect()
    }

    #[test]
    fn records_stand_where_their_times_say() {
        // Of the first, records of a later time may be gone.
        assert_eq!(good(&[(7, 1, 3), (8, 4, 4), (9, 2, 4), (10, 4, 4)]), [true; 4]);
        assert_eq!(good(&[(1, 2, 1)]), [false], "earlier than it is");
        assert_eq!(good(&[(1, 1, 1), (3, 2, 2)]), [true, false], "a gap");
        assert_eq!(good(&[(1, 1, 1), (2, 2, 3)]), [true, false], "later than any");
        assert_eq!(good(&[(i64::MAX, 1, 1), (i64::MAX, 1, 1)]), [true, false]);
        assert_eq!(START.as_millisecond(), later(0).as_millisecond());
    }
}
