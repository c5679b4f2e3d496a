//! The sealed form of a pass: tickets made online, and every pass after the first use.
//!
//! On the wire: `dpt_`, then base64url of what the ring's ticket key sealed. Whoever holds one reads nothing in it.

use super::{Authentic, FIRST_USE, LONGEST, Pass, forged};
use crate::clock::{SignedDuration, Timestamp};
use crate::directory::Directory;
use crate::endpoint::Endpoint;
use crate::id::Entropy;
use crate::identity::Subject;
use crate::refusal::Refusal;
use crate::ring::{Purpose, Ring};
use crate::seal;
use crate::secret::Secret;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use uuid::Uuid;

/// How every sealed pass begins, so that scanners of logs and repositories can recognise one.
const PREFIX: &str = "dpt_";

/// What is sealed with the pass. Attack: without it, anything else that the same key should ever seal would open as a
/// pass.
const LABEL: &[u8] = b"daypass ticket v1";

/// First byte of what is sealed. A pass of another format does not open: its page asks for a new ticket.
const FORMAT: u8 = 1;

/// A pass as it is sealed. Times are milliseconds since the Unix epoch.
#[derive(Serialize, Deserialize)]
struct Wire {
    id: String,
    client: Uuid,
    key: String,
    endpoint: String,
    origin: String,
    subject: String,
    variables: BTreeMap<String, String>,
    number: u32,
    expires: i64,
    begun: Option<i64>,
}

/// What stands behind the prefix; none where the ticket is of the other form.
pub(super) fn text_of(shown: &Secret) -> Option<&str> {
    shown.expose_str().strip_prefix(PREFIX)
}

/// Seals a pass.
pub(super) fn seal(ring: &Ring, pass: &Pass, entropy: &dyn Entropy) -> Result<Secret, Refusal> {
    let key = ring
        .seal(Purpose::Ticket, ring.active(Purpose::Ticket))
        .ok_or_else(|| Refusal::internal("no ticket key"))?;
    let plain = postcard::to_extend(&Wire::of(pass), vec![FORMAT]).map_err(Refusal::internal)?;
    let mut nonce = [0; 12];
    entropy.fill(&mut nonce);
    let sealed = key.seal(LABEL, nonce, &plain).map_err(Refusal::internal)?;
    let mut text = PREFIX.to_owned();
    URL_SAFE_NO_PAD.encode_string(sealed, &mut text);
    Ok(Secret::new(text))
}

/// Opens a pass and finds the client that made it, in the endpoint's tenant.
pub(super) fn read(
    directory: &Directory,
    endpoint: &Endpoint,
    text: &str,
    now: Timestamp,
) -> Result<Authentic, Refusal> {
    let pass = open(directory.ring(), text).ok_or_else(forged)?;
    let client = directory
        .tenant(&endpoint.tenant)
        .and_then(|tenant| directory.client(tenant, pass.client))
        .ok_or_else(forged)?;
    let first_use = SignedDuration::from_secs(i64::from(FIRST_USE));
    let made = pass.begun.or_else(|| pass.expires.checked_sub(first_use).ok()).unwrap_or(Timestamp::MIN);
    let live = directory.has_live_key(&pass.key, pass.client, now);
    Ok(Authentic { pass, client, made, live, objection: None })
}

fn open(ring: &Ring, text: &str) -> Option<Pass> {
    // A pass that follows a ticket of the other form carries a little more than that ticket did.
    if text.len() > 2 * LONGEST {
        return None;
    }
    let sealed = URL_SAFE_NO_PAD.decode(text).ok()?;
    let key = ring.seal(Purpose::Ticket, seal::version_of(&sealed)?)?;
    let plain = key.open(LABEL, &sealed).ok()?;
    match plain.split_first()? {
        (&FORMAT, rest) => postcard::from_bytes::<Wire>(rest).ok()?.pass(),
        _ => None,
    }
}

impl Wire {
    fn of(pass: &Pass) -> Self {
        Self {
            id: pass.id.clone(),
            client: pass.client,
            key: pass.key.clone(),
            endpoint: pass.endpoint.clone(),
            origin: pass.origin.clone(),
            subject: pass.subject.name.clone(),
            variables: pass.subject.variables.clone(),
            number: pass.number,
            expires: pass.expires.as_millisecond(),
            begun: pass.begun.map(Timestamp::as_millisecond),
        }
    }

    fn pass(self) -> Option<Pass> {
        let begun = match self.begun {
            Some(millis) => Some(Timestamp::from_millisecond(millis).ok()?),
            None => None,
        };
        Some(Pass {
            id: self.id,
            client: self.client,
            key: self.key,
            endpoint: self.endpoint,
            origin: self.origin,
            subject: Subject { name: self.subject, variables: self.variables },
            number: self.number,
            expires: Timestamp::from_millisecond(self.expires).ok()?,
            begun,
        })
    }
}
