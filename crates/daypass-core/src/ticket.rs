//! One-time tickets: a backend vouches for a page that has no session with us.
//!
//! A ticket enters in one of two forms. *Offline*, a JWT that the backend signed with its ticket key (HS256); *online*,
//! a sealed pass that Daypass made when the backend asked for one. Both become a [`Pass`]. Each pass is good once; with
//! the answer to it comes the next, as long as the endpoint's rule lets one ticket carry.

mod offline;
mod sealed;
#[cfg(test)]
mod tests;

use crate::client::Client;
use crate::clock::{Timestamp, after, rfc3339};
use crate::dialect::TicketAsk;
use crate::directory::Directory;
use crate::endpoint::{Endpoint, TicketRule};
use crate::id::Entropy;
use crate::identity::Subject;
use crate::refusal::{Reason, Refusal};
use crate::replay::Mark;
use crate::ring::Ring;
use crate::secret::Secret;
use crate::standing::{Grounds, taken_back};
use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::sync::Arc;
use uuid::Uuid;

/// How long after it was made a ticket can be used for the first time, in seconds.
///
/// Attack: a ticket stands in a page and in a URL, where it may be logged. It must be worth nothing by the time that
/// anyone reads the log.
pub const FIRST_USE: u32 = 120;

/// The longest ticket, in bytes. It must fit into a header or a query beside everything else, and so must the passes
/// that follow it, which may be a little longer.
const LONGEST: usize = 4 * 1024;

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
    let Authentic { pass, client, made, live, objection } = match sealed::text_of(shown) {
        Some(text) => sealed::read(directory, endpoint, text, now)?,
        None => offline::read(directory, endpoint, shown, now)?,
    };
    let objection = if !client.enabled {
        Some(Refusal::new(Reason::ClientDisabled, "this client has been disabled by its operator"))
    } else if !live || is_taken_back(directory, endpoint, &pass, made) {
        Some(invalid("this ticket, or the key that it was made with, was taken back"))
    } else {
        objection.or_else(|| misplaced(endpoint, origin, &pass)).or_else(|| over(endpoint, &pass, now))
    };
    Ok(Shown { pass, client, objection })
}

/// A pass that is authentic, before it is held against the request.
struct Authentic {
    pass: Pass,
    client: Arc<Client>,
    /// When the ticket was made, or first used.
    made: Timestamp,
    /// Whether the key that it was made with still is.
    live: bool,
    /// What its form alone has against it.
    objection: Option<Refusal>,
}

fn invalid(detail: impl Into<std::borrow::Cow<'static, str>>) -> Refusal {
    Refusal::new(Reason::TicketInvalid, detail)
}

/// The one answer to everything that is not authentic: a guesser learns nothing from it.
fn forged() -> Refusal {
    invalid("the ticket is not authentic; ask the application for a new one")
}

fn is_taken_back(directory: &Directory, endpoint: &Endpoint, pass: &Pass, made: Timestamp) -> bool {
    let grounds = Grounds {
        id: &pass.id,
        tenant: &endpoint.tenant,
        client: Some(pass.client),
        key: Some(&pass.key),
        endpoint: Some(&endpoint.path),
        role: endpoint.role.as_deref().unwrap_or_default(),
        via: None,
        subject: Some(&pass.subject.name),
        session: None,
        behalf: None,
        actors: &[],
        origins: &[],
        origin_keys: &[],
        issued: made,
        expires: pass.expires,
    };
    taken_back(directory.cutoffs(), &grounds).is_some()
}

/// Attack: a ticket that was read off one page is shown by another, whose script then has the credential.
fn misplaced(endpoint: &Endpoint, origin: Option<&str>, pass: &Pass) -> Option<Refusal> {
    if pass.endpoint != endpoint.path {
        return Some(invalid("this ticket is for another endpoint; its aud must be the URL of this one"));
    }
    if origin != Some(pass.origin.as_str()) {
        return Some(invalid(
            "this ticket is for another page; its origin must be that of the page that shows it",
        ));
    }
    None
}

/// Whether its time is over, by what it says and by what the endpoint's rule says today.
fn over(endpoint: &Endpoint, pass: &Pass, now: Timestamp) -> Option<Refusal> {
    let ended = |end: Timestamp| {
        let end = rfc3339(end);
        invalid(format!("this ticket ended at {end}; ask the application for a new one"))
    };
    if pass.expires <= now {
        return Some(ended(pass.expires));
    }
    let begun = pass.begun?;
    let rule = endpoint.ticket()?;
    let end = after(begun, rule.refresh_for);
    if end <= now {
        return Some(ended(end));
    }
    let detail = "this ticket carries no further; ask the application for a new one";
    (pass.number > rule.refreshes).then(|| invalid(detail))
}

/// The single-use mark of a pass.
///
/// It depends on the pass alone, unlike a request's ([`crate::replay::mark`]). Attack: a used pass is kept for the hours
/// that its ticket carries. With a key of the ring, one use before a rotation and one after it, or at two nodes of
/// which one has not heard of it yet, would have two marks.
pub fn mark(pass: &Pass) -> Option<Mark> {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(b"daypass ticket mark v1");
    for part in [&pass.key, &pass.id] {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part.as_bytes());
    }
    context.update(&pass.number.to_be_bytes());
    context.finish().as_ref().first_chunk().copied()
}

/// The pass that follows this one; none where the ticket carries no further.
pub fn next(
    ring: &Ring,
    rule: &TicketRule,
    pass: &Pass,
    now: Timestamp,
    entropy: &dyn Entropy,
) -> Result<Option<Secret>, Refusal> {
    let begun = pass.begun.unwrap_or(now);
    let expires = after(begun, rule.refresh_for);
    if pass.number >= rule.refreshes || expires <= now {
        return Ok(None);
    }
    let next = Pass { number: pass.number + 1, expires, begun: Some(begun), ..pass.clone() };
    sealed::seal(ring, &next, entropy).map(Some)
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
    let mut random = [0; 16];
    entropy.fill(&mut random);
    let id = URL_SAFE_NO_PAD.encode(random);
    let expires = after(now, FIRST_USE);
    let pass = Pass {
        id: id.clone(),
        client,
        key: key.to_owned(),
        endpoint: ask.endpoint.clone(),
        origin: ask.origin.clone(),
        subject: ask.subject.clone(),
        number: 0,
        expires,
        begun: None,
    };
    let ticket = sealed::seal(ring, &pass, entropy)?;
    if ticket.expose().len() > LONGEST {
        let detail =
            format!("the ticket would be longer than {LONGEST} bytes; send fewer or shorter variables");
        return Err(Refusal::new(Reason::TooLarge, detail).parameter("variables"));
    }
    Ok((id, IssuedTicket { ticket, expires }))
}
