//! What the pipeline came to, for a dialect to render.

use crate::caller::{Caller, Proof};
use crate::credential::Granted;
use crate::explained::OwnDecision;
use crate::inspect::Inspection;
use crate::record::Recorded;
use crate::refusal::Refusal;
use crate::secret::Secret;
use crate::ticket::IssuedTicket;
use crate::triple::SessionKind;
use crate::verification::Verdict;
use std::sync::Arc;
use uuid::Uuid;

/// What the pipeline came to.
pub enum Outcome {
    /// A credential, durably recorded.
    Granted(Delivery),
    /// A one-time ticket, durably recorded.
    Ticket(Box<Recorded<IssuedTicket>>),
    /// An answer to a question. Reads are counted, not recorded.
    Facts(Facts),
    /// What an access token is; none where it does not count, or is none of the asker's business.
    Inspected(Option<Box<Inspection>>),
    /// An access token counts no more, and that is recorded; or there was none to take back.
    Revoked,
    /// Who sent a request to an API, or why that cannot be said.
    Verified(Verdict),
    /// A decision of the asker's own; none where there is none with that id.
    Explained(Option<Box<OwnDecision>>),
    /// No.
    Refused(Refusal),
}

/// A credential on its way to its subject.
pub struct Delivery {
    granted: Arc<Recorded<Granted>>,
    refresh: Option<Secret>,
}

impl Delivery {
    pub(crate) fn new(granted: Arc<Recorded<Granted>>, refresh: Option<Secret>) -> Self {
        Self { granted, refresh }
    }

    /// The credential and everything that an answer may say about it.
    pub fn get(&self) -> &Granted {
        self.granted.get()
    }

    /// What the holder of a ticket shows the next time.
    pub fn refresh(&self) -> Option<&Secret> {
        self.refresh.as_ref()
    }

    /// A delivery for tests of rendering alone.
    #[cfg(any(test, feature = "testing"))]
    pub fn for_test(granted: Granted, refresh: Option<Secret>) -> Self {
        Self::new(Arc::new(Recorded::for_test(granted)), refresh)
    }
}

/// Who the caller is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The account of its tenant.
    pub account: String,
    /// The client, where one is known.
    pub client: Option<Uuid>,
    /// The key it proved itself with, by id.
    pub key: Option<String>,
    /// For a temporary credential: its role.
    pub role: Option<String>,
    /// For a temporary credential: its session name, or the subject it was made for.
    pub session: Option<String>,
    /// For a temporary credential: how its session came about.
    pub kind: Option<SessionKind>,
    /// The tenant, from which some vendors' ids are computed.
    pub tenant: Uuid,
}

impl Facts {
    pub(crate) fn of(caller: &Caller) -> Self {
        let claims = match caller.proof() {
            Proof::Temporary { claims, .. } => Some(claims),
            _ => None,
        };
        Self {
            account: caller.tenant().account.clone(),
            client: caller.client().map(|client| client.guid),
            key: caller.key().map(str::to_owned),
            role: claims.map(|claims| claims.role.clone()),
            session: claims.and_then(|claims| claims.session.clone().or_else(|| claims.subject.clone())),
            kind: claims.map(|claims| claims.kind),
            tenant: caller.tenant().guid,
        }
    }
}
