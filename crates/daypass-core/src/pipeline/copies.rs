//! Copies of one signed request: which is the first, which a retry, and what a retry must repeat.

use super::Pipeline;
use crate::clock::Timestamp;
use crate::dialect::{Call, Claim, Context, Issue, Signed};
use crate::directory::Directory;
use crate::id::Draw;
use crate::refusal::{Reason, Refusal};
use crate::replay::{self, Mark, Sight};
use crate::ring::Ring;

impl Pipeline {
    /// The replay rule, after the signature was found right: a stranger must not be able to use up a mark.
    pub(super) fn sight(&self, context: Context<'_>, call: &impl Call) -> Result<Option<Sighted>, Refusal> {
        let Claim::Signed(signed) = call.claim() else { return Ok(None) };
        let ring = context.directory.ring();
        let no_key = || Refusal::internal("no replay key");
        let mark = mark(ring, &signed).ok_or_else(no_key)?;
        let (first, repeat, settled) = match self.window.see(mark, context.now) {
            Sight::First => (context.now, false, false),
            Sight::Again(first) => (first, true, false),
            Sight::Settled(first) => (first, true, true),
        };
        if repeat && !replay::is_retry(first, context.now) {
            return Err(replayed());
        }
        if signed.once.is_some() {
            // A retry has the nonce and the signature of its first. Only this process can tell: another one knows the
            // nonce alone, and takes whatever its owner signs within that time for the retry.
            let signature =
                replay::mark(ring, signed.key_id, signed.signature, signed.made).ok_or_else(no_key)?;
            if self.window.see(signature, context.now) == Sight::First && repeat {
                return Err(replayed());
            }
        }
        Ok(Some(Sighted { mark, first, repeat, settled }))
    }

    pub(super) fn draw(
        &self,
        directory: &Directory,
        call: &impl Call,
        issue: &Issue,
        first: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<Draw, Refusal> {
        match (call.claim(), first) {
            (Claim::Signed(signed), Some(first)) => {
                let ring = directory.ring();
                let key =
                    replay::key_of(ring, signed.made).ok_or_else(|| Refusal::internal("no replay key"))?;
                // A signature that does not cover the body, or covers an ambiguous text, may stand over two different
                // asks. They must not share an id, so what was asked goes into the draw as well.
                let beside = match signed.weak {
                    Some(_) => ask_in_full(issue)?,
                    None => Vec::new(),
                };
                Ok(Draw::derived(key, signed.key_id, signed.signature, &beside, first))
            }
            _ => Ok(Draw::fresh(&*self.entropy, now)),
        }
    }
}

/// What is known of a signed request's earlier copies.
#[derive(Clone, Copy)]
pub(super) struct Sighted {
    /// What stands for the request.
    pub(super) mark: Mark,
    /// When the first copy came; now, if this is it.
    pub(super) first: Timestamp,
    /// An earlier copy came within the time of a retry.
    pub(super) repeat: bool,
    /// The store has confirmed `first`. Until then every copy asks it, because the first may still be waiting for
    /// the answer that another node was earlier.
    pub(super) settled: bool,
}

fn ask_in_full(issue: &Issue) -> Result<Vec<u8>, Refusal> {
    let role = format!("{:?}", issue.role);
    let session = (&issue.session, &issue.tags, &issue.source_identity, &issue.kind);
    serde_json::to_vec(&(role, &issue.policy, issue.lifetime, &issue.variables, session))
        .map_err(Refusal::internal)
}

/// What the replay rule goes by: the nonce, where the protocol has one, or else the signature.
fn mark(ring: &Ring, signed: &Signed<'_>) -> Option<Mark> {
    match signed.once {
        // No key's id has a colon, so that no signature's mark can be one of these.
        Some(nonce) => replay::mark(ring, &format!("once:{}", signed.key_id), nonce, signed.made),
        None => replay::mark(ring, signed.key_id, signed.signature, signed.made),
    }
}

/// That these bytes were used before.
pub(super) fn replayed() -> Refusal {
    Refusal::new(
        Reason::Replayed,
        "this signed request was used before; sign a new one with the present time",
    )
}
