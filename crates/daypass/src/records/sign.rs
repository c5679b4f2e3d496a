//! Making the next checkpoint.

use anyhow::Context as _;
use daypass_core::clock::Timestamp;
use daypass_core::record::checkpoint::{Checkpoint, Fork, Kept, Span, is_counted, unproved};
use daypass_core::record::covered::Covered;
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
    /// The chains that cannot be signed, because something is wrong with them, or that end before what was signed.
    pub(crate) unproved: Vec<Uuid>,
}

/// The last checkpoint is not what one of our keys has signed, or this node does not have that key yet.
#[derive(Debug, thiserror::Error)]
#[error(
    "checkpoint {number} of the store is forged: it should have {expected}; see `daypass audit verify`, and then `daypass audit \
     discard-forged`"
)]
pub(super) struct Forged {
    number: u64,
    expected: &'static str,
}

/// The chains as they stand, and what of them was signed.
pub(super) struct Standing {
    /// The newest checkpoint.
    pub(super) last: Option<Kept>,
    pub(super) heads: Vec<ChainHead>,
    /// The chains of which checkpoints say something else than the store, or more than is there.
    pub(super) astray: Vec<Uuid>,
    /// What of them was signed, where the store says something else.
    signed: Vec<(Uuid, u64)>,
    /// What of them was signed to be removed.
    based: Vec<(Uuid, u64)>,
}

/// Looks how the chains stand. What the store says to be signed proves nothing; where it is not what the last checkpoint counts,
/// all of them are asked.
pub(super) async fn look(store: &dyn Store, ring: &Ring) -> anyhow::Result<Standing> {
    for _ in 0..AGAIN {
        // In this order: what another node signs behind the first question takes the number.
        let last = store.last_checkpoint().await?;
        let mut heads = store.heads().await?;
        let opened = last.as_ref().map(|last| last.open(ring.checkpoint_keys())).transpose();
        let number = last.as_ref().map_or(0, |last| last.number);
        let opened = opened.map_err(|expected| Forged { number, expected })?;
        let (mut signed, mut based, mut astray) = (Vec::new(), Vec::new(), Vec::new());
        if !is_counted(opened.as_ref(), &heads) {
            if store.last_checkpoint().await? != last {
                continue;
            }
            let covered = gather(store, ring).await?;
            for head in &mut heads {
                let says = (covered.signed(head.writer), covered.cut(head.writer));
                if head.signed != says.0 {
                    tracing::error!(writer = %head.writer, "what the store says to be signed of a chain is not what was signed");
                    signed.push((head.writer, says.0));
                    based.push((head.writer, says.1));
                }
                (head.signed, head.based) = says;
            }
            let gone = covered.writers().filter(|writer| heads.iter().all(|head| head.writer != *writer));
            astray.extend(gone);
        }
        astray.extend(heads.iter().filter(|head| head.seq < head.signed).map(|head| head.writer));
        return Ok(Standing { last, heads, astray, signed, based });
    }
    anyhow::bail!("other nodes take every number")
}

/// Every checkpoint of the store.
async fn gather(store: &dyn Store, ring: &Ring) -> Result<Covered, StoreError> {
    let mut covered = Covered::default();
    loop {
        let all = store.checkpoints(covered.number(), PAGE).await?;
        if all.is_empty() {
            return Ok(covered);
        }
        for kept in &all {
            covered.take(kept, ring.checkpoint_keys());
        }
    }
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
        let mut standing = look(store, ring).await?;
        let mut heads = standing.heads;
        signed.last = standing.last;
        signed.unproved = find_trees(store, ring, &mut heads).await?;
        signed.unproved.append(&mut standing.astray);
        let next = Checkpoint::next(signed.last.as_ref(), &heads, ring, now, accepts);
        let Some(next) = next else { return Ok(signed) };
        let kept = next.checkpoint.sign(ring).context("the ring has no key for checkpoints")?;
        let sizes = |spans: &[Span]| spans.iter().map(|span| (span.writer, span.size)).collect::<Vec<_>>();
        // What the store said wrongly is put right with it; what the checkpoint names itself counts last.
        let grown = [standing.signed, sizes(&next.checkpoint.grown)].concat();
        let cut = [standing.based, sizes(&next.checkpoint.cut)].concat();
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
