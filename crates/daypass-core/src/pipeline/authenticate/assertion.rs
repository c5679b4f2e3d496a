//! Clients that show a JWT in place of a secret: their own (RFC 7523), or that of an outside provider.

use super::Proved;
use crate::dialect::{Asserted, Context};
use crate::pipeline::Pipeline;
use crate::refusal::{Reason, Refusal};

impl Pipeline {
    /// Finds out which client has made the assertion, or whom its provider vouches for.
    pub(super) async fn asserted(
        &self,
        context: Context<'_>,
        asserted: &Asserted<'_>,
    ) -> Result<Proved, Refusal> {
        let _ = (context, asserted);
        Err(Refusal::new(Reason::MissingProof, "client assertions are not accepted here"))
    }
}
