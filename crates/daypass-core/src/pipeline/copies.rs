//! Copies of one signed request: which is the first, which a retry, and what a retry must repeat.

use super::Pipeline;
use crate::clock::Timestamp;
use crate::credential::Granted;
use crate::dialect::{Call, Claim, Context, Issue, Signed};
use crate::directory::Directory;
use crate::id::Draw;
use crate::record::Event;
use crate::refusal::{Reason, Refusal};
use crate::replay::{self, Mark, Sight};
use crate::ring::Ring;
use crate::store::{RecordQuery, Stored};

/// How many of a tenant's records are looked through for the first of a repeat: those of five seconds, unless they are more.
const LOOKED_THROUGH: usize = 20_000;

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
            // A retry has the nonce and the signature of its first. Of those that another node was first to see this process
            // knows the nonce alone; `is_its_repeat` looks at what that node gave.
            let signature =
                replay::mark(ring, signed.key_id, signed.signature, signed.made).ok_or_else(no_key)?;
            if self.window.see(signature, context.now) == Sight::First && repeat {
                return Err(replayed());
            }
        }
        Ok(Some(Sighted { mark, first, repeat, settled }))
    }

    /// Refuses a request whose nonce another node has seen, unless it repeats what that node gave for the same signature.
    ///
    /// What a node gives follows from the signature and the time it was first seen, so a repeat has a grant of the same credential
    /// in the records. Attack: otherwise whoever may sign gets as many credentials for one nonce as there are nodes.
    pub(super) async fn is_its_repeat(
        &self,
        tenant: &str,
        call: &impl Call,
        granted: &Granted,
        first: Timestamp,
    ) -> Result<(), Refusal> {
        if !matches!(call.claim(), Claim::Signed(Signed { once: Some(_), .. })) {
            return Ok(());
        }
        let query = RecordQuery {
            tenant: Some(tenant.to_owned()),
            since: Some(first),
            after: None,
            limit: LOOKED_THROUGH,
        };
        let given = |stored: &Stored| match &stored.record.event {
            Event::Grant { credential, .. } => *credential == granted.credential.id(),
            _ => false,
        };
        let records = self.store.records(query).await.map_err(Refusal::unavailable)?;
        if records.iter().any(given) { Ok(()) } else { Err(replayed()) }
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
