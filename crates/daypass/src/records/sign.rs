//! Making the next checkpoint.

use anyhow::Context as _;
use daypass_core::clock::Timestamp;
use daypass_core::record::checkpoint::{Checkpoint, Fork, Kept, Span, unproved};
use daypass_core::record::{ChainHead, Checker};
use daypass_core::ring::Ring;
use daypass_core::store::{Proof, Store, StoreError};
use uuid::Uuid;

/// How many links are read at a time where a chain's tree has to be found from them.
const PAGE: usize = 1000;
/// How often the number may be taken by another node before this one leaves it to them.
const AGAIN: usize = 8;

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct Signed {
    /// The newest checkpoint, whoever made it.
    pub(crate) last: Option<Kept>,
    /// How many were made.
    pub(crate) made: usize,
    /// The chains that cannot be signed, because something is wrong with them.
    pub(crate) unproved: Vec<Uuid>,
}

/// Signs everything that has grown since the last checkpoint: none where nothing has, and several where much has.
/// With `accepts` one is made in any case, and says so.
pub(crate) async fn sign(
    store: &dyn Store,
    ring: &Ring,
    now: Timestamp,
    mut accepts: Option<Fork>,
) -> anyhow::Result<Signed> {
    let mut signed = Signed::default();
    let mut lost = 0;
    loop {
        // In this order: what another node signs behind the first question takes the number.
        signed.last = store.last_checkpoint().await?;
        let mut heads = store.heads().await?;
        signed.unproved = find_trees(store, ring, &mut heads).await?;
        let next = Checkpoint::next(signed.last.as_ref(), &heads, ring, now, accepts);
        let Some(next) = next else { return Ok(signed) };
        let kept = next.checkpoint.sign(ring).context("the ring has no key for checkpoints")?;
        let sizes = |spans: &[Span]| spans.iter().map(|span| (span.writer, span.size)).collect();
        let (grown, cut) = (sizes(&next.checkpoint.grown), sizes(&next.checkpoint.cut));
        if store.prove(Proof::Checkpoint { kept: kept.clone(), grown, cut }).await? {
            signed.made += 1;
            signed.last = Some(kept);
            accepts = None;
            if !next.more {
                return Ok(signed);
            }
        } else {
            lost += 1;
            anyhow::ensure!(lost < AGAIN, "other nodes take every number");
        }
    }
}

/// Finds the trees of chains that writers of earlier versions have left without one, from their links, and keeps them.
/// Gives the chains whose links do not lead to their ends.
async fn find_trees(
    store: &dyn Store,
    ring: &Ring,
    heads: &mut [ChainHead],
) -> Result<Vec<Uuid>, StoreError> {
    let writers: Vec<Uuid> = unproved(heads, ring).map(|head| head.writer).collect();
    let mut faulty = Vec::new();
    for writer in writers {
        let Some(head) = heads.iter_mut().find(|head| head.writer == writer) else { continue };
        match tree_of(store, ring, head).await? {
            Some(tip) => {
                // Where the chain has grown meanwhile, the next turn finds the rest.
                store.prove(Proof::Tip { writer, tip: tip.clone() }).await?;
                head.tip = Some(tip);
            }
            None => faulty.push(writer),
        }
    }
    Ok(faulty)
}

async fn tree_of(
    store: &dyn Store,
    ring: &Ring,
    head: &ChainHead,
) -> Result<Option<daypass_core::record::Point>, StoreError> {
    let mut checker = Checker::from_tip(ring, head);
    while checker.seq() < head.seq && checker.is_clean() {
        let links = store.links(head.writer, checker.seq(), PAGE).await?;
        if links.is_empty() {
            break;
        }
        links.iter().filter(|link| link.seq <= head.seq).for_each(|link| checker.take(link));
        if links.iter().any(|link| link.seq > head.seq) {
            break;
        }
    }
    Ok(checker.tip())
}
