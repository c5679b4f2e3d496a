//! Tokens that are handed out to a key that its receiver has proved to hold (RFC 9449).

use super::Pipeline;
use crate::caller::{Caller, Confirmation};
use crate::dialect::{Context, Dpop};
use crate::jose::dpop::{Proof, expected, verify};
use crate::refusal::Refusal;
use crate::replay;
use crate::store::Spent;

impl Pipeline {
    /// Checks the proof, which may be used once, and binds the caller to its key.
    ///
    /// A client that has shown a certificate as well is bound to the key of the proof: it has asked for that with this
    /// very request, and a token has one `token_type`.
    pub(super) async fn bound(
        &self,
        context: Context<'_>,
        dpop: &Dpop<'_>,
        caller: Caller,
    ) -> Result<Caller, Refusal> {
        let Proof { thumbprint, id, until } = verify(dpop, context.now)?;
        // No key's id has a colon, so that no signature's mark can be one of these.
        let mark =
            replay::mark(context.directory.ring(), &format!("dpop:{thumbprint}"), id.as_bytes(), until)
                .ok_or_else(|| Refusal::internal("no replay key"))?;
        match self.store.spend(mark, until).await.map_err(Refusal::unavailable)? {
            Spent::Now => Ok(caller.bound(Some(Confirmation::Key(thumbprint)))),
            Spent::Before => {
                Err(expected("a jti that was not used before; make a new proof for each request"))
            }
        }
    }
}
