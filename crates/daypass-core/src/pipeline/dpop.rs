//! Binding what is handed out to a key that its receiver has proved to hold (RFC 9449).

use super::Pipeline;
use crate::caller::Caller;
use crate::dialect::{Context, Dpop};
use crate::refusal::{Reason, Refusal};

impl Pipeline {
    /// Checks the proof, which may be used once, and binds the caller to its key.
    pub(super) async fn bound(
        &self,
        context: Context<'_>,
        dpop: &Dpop<'_>,
        caller: Caller,
    ) -> Result<Caller, Refusal> {
        let _ = (context, dpop, caller);
        Err(Refusal::new(Reason::DpopInvalid, "DPoP proofs are not accepted here"))
    }
}
