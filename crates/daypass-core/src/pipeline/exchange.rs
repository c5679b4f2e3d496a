//! A credential in exchange for one of our own access tokens (RFC 8693).

use super::tokens::is_audience;
use super::{Pipeline, Success, Trail, Verified};
use crate::caller::{Caller, Confirmation};
use crate::dialect::{Context, Delivery, Dialect, Exchange, Outcome};
use crate::directory::Directory;
use crate::id::Draw;
use crate::inspect::{Inspection, OwnToken};
use crate::policy::{authorize_exchange, unacceptable};
use crate::record::{self, Entry, Record};
use crate::refusal::{Reason, Refusal};
use std::sync::Arc;

impl Pipeline {
    /// Makes a credential for whoever the token speaks of.
    pub(super) async fn exchange<D: Dialect>(
        &self,
        dialect: &D,
        context: Context<'_>,
        verified: &Verified<D::Call>,
        exchange: &Exchange,
        trail: &mut Trail,
    ) -> Result<(Success, Outcome), Refusal> {
        let (directory, caller) = (context.directory, verified.caller());
        let shown = self.own_token(dialect, context, caller.tenant(), &exchange.subject);
        let Inspection { token, .. } = shown.map_err(unacceptable)?;
        check_shown(directory, caller, &token)?;
        let authorized =
            authorize_exchange(directory, caller, &trail.head.path, &exchange.issue, &token, trail.now)?;
        trail.role = Some(authorized.role().to_owned());
        let draw = Draw::fresh(&*self.entropy, trail.now);
        let granted = self.issue(directory, &authorized, &draw).await?;
        let record = Record {
            subject: authorized.subject().map(str::to_owned),
            ..self.grant_record(trail, &authorized, &granted, false)
        };
        match record::commit(&*self.store, Entry { record, mark: None }, granted).await? {
            record::Outcome::Recorded(recorded) => {
                Ok((Success::Granted, Outcome::Granted(Delivery::new(Arc::new(recorded), None))))
            }
            record::Outcome::Seen(_) => Err(Refusal::internal("a record without a mark was seen before")),
        }
    }
}

/// Who may show a token here: whoever asked for it, and the API that received it.
///
/// Attack: a token that leaked, shown by a client that has nothing to do with it. That the token is good for the API that
/// it is for is the bearer's risk; here it would be good for everything that its client may ask for.
fn check_shown(directory: &Directory, caller: &Caller, token: &OwnToken) -> Result<(), Refusal> {
    let client = caller.client().ok_or_else(|| Refusal::internal("a token is exchanged by no client"))?;
    if is_audience(directory, client, token) {
        // Its sender has shown the binding to this API, which cannot show it again.
        return Ok(());
    }
    if client.guid != token.client {
        return Err(unacceptable(
            "it was neither issued to this client nor is this client registered as the API that it is for",
        ));
    }
    match &token.confirmation {
        Some(bound) if caller.confirmation() != Some(bound) => Err(not_shown(bound)),
        _ => Ok(()),
    }
}

/// Attack: a token that is bound to a key was stolen without the key, together with the client's secret.
fn not_shown(bound: &Confirmation) -> Refusal {
    match bound {
        Confirmation::Certificate(_) => unacceptable(
            "it is bound to a certificate; exchange it over a connection with that certificate, and without a DPoP proof",
        ),
        Confirmation::Key(_) => Refusal::new(
            Reason::DpopInvalid,
            "the subject_token is bound to the key of a DPoP proof; send a proof of the same key with the exchange",
        ),
    }
}
