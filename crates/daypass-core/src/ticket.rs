//! One-time tickets: a backend vouches for a page that has no session with us.
//!
//! A ticket enters in one of two forms. *Offline*, a JWT that the backend signed with its ticket key (HS256); *online*,
//! a sealed pass that Daypass made when the backend asked for one. Both become a [`Pass`]. Each pass is good once; with
//! the answer to it comes the next, as long as the endpoint's rule lets one ticket carry.

use crate::client::Client;
use crate::clock::Timestamp;
use crate::dialect::TicketAsk;
use crate::directory::Directory;
use crate::endpoint::{Endpoint, TicketRule};
use crate::id::Entropy;
use crate::identity::Subject;
use crate::refusal::Refusal;
use crate::replay::Mark;
use crate::ring::Ring;
use crate::secret::Secret;
use std::sync::Arc;
use uuid::Uuid;

/// How long after it was made a ticket can be used for the first time, in seconds.
///
/// Attack: a ticket stands in a page and in a URL, where it may be logged. It must be worth nothing by the time that
/// anyone reads the log.
pub const FIRST_USE: u32 = 120;

/// What a ticket, in either form, or the pass that follows one, says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pass {
    /// The ticket's own id (`jti`), unique for its key; the passes that follow it keep it.
    pub id: String,
    /// The client that made it.
    pub client: Uuid,
    /// The key it was made with, by id.
    pub key: String,
    /// The path of the endpoint that it is for.
    pub endpoint: String,
    /// The origin of the page that may show it.
    pub origin: String,
    /// Whom it is for.
    pub subject: Subject,
    /// 0 for the ticket itself, then counted up with each use.
    pub number: u32,
    /// When it runs out.
    pub expires: Timestamp,
    /// When the ticket was first used; none before.
    pub begun: Option<Timestamp>,
}

/// A ticket that the online way has made.
pub struct IssuedTicket {
    /// What the page shows.
    pub ticket: Secret,
    /// When it can no longer be used for the first time.
    pub expires: Timestamp,
}

/// A ticket that was shown and found authentic.
pub struct Shown {
    /// What it says.
    pub pass: Pass,
    /// The client that made it.
    pub client: Arc<Client>,
    /// What stands against it all the same: it has run out, is for another origin, or its client is disabled.
    pub objection: Option<Refusal>,
}

/// Reads a ticket of either form that was shown at an endpoint by a page of this origin. What is not authentic is
/// refused; what is authentic and cannot be served has an objection.
pub fn read(
    directory: &Directory,
    endpoint: &Endpoint,
    origin: Option<&str>,
    shown: &Secret,
    now: Timestamp,
) -> Result<Shown, Refusal> {
    let _ = (directory, endpoint, origin, shown, now);
    Err(Refusal::internal("not written yet"))
}

/// The single-use mark of a pass.
pub fn mark(ring: &Ring, pass: &Pass) -> Option<Mark> {
    let _ = (ring, pass);
    None
}

/// The pass that follows this one; none where the ticket carries no further.
pub fn next(
    ring: &Ring,
    rule: &TicketRule,
    pass: &Pass,
    now: Timestamp,
    entropy: &dyn Entropy,
) -> Result<Option<Secret>, Refusal> {
    let _ = (ring, rule, pass, now, entropy);
    Ok(None)
}

/// Makes a ticket online, with its id for the record.
pub fn issue(
    ring: &Ring,
    ask: &TicketAsk,
    client: Uuid,
    key: &str,
    now: Timestamp,
    entropy: &dyn Entropy,
) -> Result<(String, IssuedTicket), Refusal> {
    let _ = (ring, ask, client, key, now, entropy);
    Err(Refusal::internal("not written yet"))
}
