//! Taking the steps of our own keys: by itself when they are due, or when the operator says so.

use crate::app::{Opened, change_at};
use crate::system::KeyEntropy;
use daypass_core::clock::Timestamp;
use daypass_core::directory::Directory;
use daypass_core::reseal::Left;
use daypass_core::ring::{Due, Order, Purpose, Refused, Ring, RingState, Rules, Situation, Stage, Step};
use daypass_core::store::{Change, StoreError};

#[cfg(test)]
mod tests;

/// Why a step was not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotTaken {
    /// It is not to be taken now, or not at all.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The store did not make the change; a conflict where another process was first.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The thread that made the key did not come back.
    #[error("the key could not be made: {0}")]
    Broken(#[from] tokio::task::JoinError),
}

/// Takes a step: one change of the store with its record, or nothing. The store must have been begun.
pub(crate) async fn take(
    opened: &Opened,
    order: Order,
    rules: &Rules,
    now: Timestamp,
) -> Result<Stage, NotTaken> {
    let (change, stage) = decide(opened, order, rules, now).await?;
    let forced = if order.force { " forced" } else { "" };
    let record = change_at(now, None, order.step.action(), &format!("{}{forced}", stage.name()));
    opened.store.change(vec![change], record).await?;
    Ok(stage)
}

/// Decides on what the store holds now, beside the workers: making an RSA key takes long. What is left under a key is looked at
/// only where one is to be destroyed.
async fn decide(
    opened: &Opened,
    order: Order,
    rules: &Rules,
    now: Timestamp,
) -> Result<(Change, Stage), NotTaken> {
    let store = &opened.store;
    let rows = store.ring().await?;
    let (retires, purpose) = (order.step == Step::Retire, order.purpose);
    let keys = match purpose {
        Purpose::Rest | Purpose::Pepper if retires => store.keys().await?,
        _ => Vec::new(),
    };
    let roots = if retires && purpose == Purpose::Rest { store.roots().await? } else { Vec::new() };
    let heads = if retires && purpose == Purpose::Record { store.heads().await? } else { Vec::new() };
    let (kek, rules) = (opened.kek.clone(), rules.clone());
    let work = move || -> Result<_, Refused> {
        let left = if retires {
            Left::of(&Ring::open(&rows, &kek)?, &keys, &roots, now).with_chains(&heads)
        } else {
            Left::default()
        };
        let situation = Situation { rows: &rows, left: &left, rules: &rules, now };
        order.take(&situation, &kek, &KeyEntropy)
    };
    let taken = tokio::task::spawn_blocking(work).await??;
    Ok((taken.change, taken.stage))
}

/// Whether a step can be taken as far as this node knows. One that would destroy what something is left under waits, and so
/// do all of a purpose of which this node cannot open every key.
fn is_ready(due: &Due, ring: &Ring, left: &Left) -> bool {
    let mut old = ring.stages().iter().filter(|s| s.purpose == due.purpose && s.state == RingState::Retiring);
    let needed = |stage: &Stage| left.under(stage.purpose, stage.version) > 0;
    let waits = due.step == Step::Retire && old.next().is_some_and(needed);
    !waits && !ring.is_behind(due.purpose)
}

/// Takes the step that is due the longest, if there is one. Of several nodes that do so at once, one takes it.
pub(crate) async fn next(
    opened: &Opened,
    directory: &Directory,
    left: &Left,
    now: Timestamp,
) -> Result<Option<Stage>, NotTaken> {
    let (rules, ring) = (directory.rules(), directory.ring());
    let due = rules.next(ring.stages()).into_iter();
    let due = due.filter(|due| due.at <= now && is_ready(due, ring, left));
    let Some(due) = due.min_by_key(|due| due.at) else { return Ok(None) };
    let order = Order { purpose: due.purpose, version: None, step: due.step, force: false };
    match take(opened, order, rules, now).await {
        Ok(stage) => {
            tracing::info!(
                key = stage.name(),
                state = stage.state.name(),
                "a key of ours took its next step"
            );
            Ok(Some(stage))
        }
        Err(fault @ (NotTaken::Refused(Refused::Ring(_)) | NotTaken::Broken(_))) => Err(fault),
        Err(NotTaken::Store(fault)) if !matches!(fault, StoreError::Conflict(_)) => Err(fault.into()),
        // What this node knew is not what is there any more: another one was first.
        Err(other) => {
            tracing::debug!(purpose = due.purpose.name(), %other, "another node took the step");
            Ok(None)
        }
    }
}
