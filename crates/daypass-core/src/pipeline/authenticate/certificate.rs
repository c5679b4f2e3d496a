//! Clients that show a certificate in the TLS handshake (RFC 8705).

use super::Proved;
use crate::dialect::{Certified, Context};
use crate::refusal::{Reason, Refusal};

/// Finds the client's key that the certificate answers to.
pub(super) fn certified(context: Context<'_>, certified: &Certified<'_>) -> Result<Proved, Refusal> {
    let _ = (context, certified);
    Err(Refusal::new(Reason::MissingProof, "client certificates are not accepted here"))
}
