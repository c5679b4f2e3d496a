//! The public keys of outside providers: fetched when wanted, kept for minutes, and for a day when a provider is
//! silent.

use super::flight::{Found, Memory};
use super::http::{Address, Answer, Fault, Get, Http, get};
use daypass_core::clock::{Clock, SignedDuration, Timestamp};
use daypass_core::identity::unavailable;
use daypass_core::jose::KeySet;
use daypass_core::json;
use daypass_core::provider::{KeySource, Provider};
use daypass_core::refusal::Refusal;
use http::StatusCode;
use std::sync::Arc;
use std::time::Duration;

/// How long one document may take.
const LIMIT: Duration = Duration::from_secs(5);
/// The largest document, in bytes.
const DOCUMENT: usize = 256 * 1024;
/// For how many seconds keys are fresh, where the provider does not say, and the bounds of what it may say. Attack: a
/// key that was taken back at the provider must not be believed here for longer than an hour.
const FRESH: u32 = 600;
const FRESH_LEAST: u32 = 60;
const FRESH_MOST: u32 = 3600;
/// How long keys are believed at all while the provider does not answer: its bad day is not ours.
const KEPT: SignedDuration = SignedDuration::from_hours(24);
/// How long after a look there is no other one, where there are keys. Attack: tokens with made-up key ids would have
/// us ask the provider for each of them.
const AGAIN: SignedDuration = SignedDuration::from_secs(10);
/// The same where there are none, so that nobody can be served meanwhile.
const AGAIN_WITHOUT: SignedDuration = SignedDuration::from_secs(1);

/// All keys of all providers; as many entries as the configuration has providers.
pub(super) struct Keys {
    http: Arc<Http>,
    clock: Arc<dyn Clock>,
    memory: Memory<Whose, Held>,
}

/// Whose keys they are, and where they are found. Attack: a provider that a reload has sent to look elsewhere must not be
/// believed by the keys of the old place.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Whose {
    tenant: String,
    provider: String,
    issuer: String,
    url: Option<String>,
}

impl Whose {
    fn of(provider: &Provider) -> Self {
        let url = match &provider.keys {
            KeySource::Url(url) => Some(url.clone()),
            KeySource::Discovery | KeySource::Inline(_) => None,
        };
        let (tenant, issuer) = (provider.tenant.clone(), provider.issuer.clone());
        Self { tenant, provider: provider.name.clone(), issuer, url }
    }
}

/// What the last look, and those before it, have given.
#[derive(Clone)]
struct Held {
    /// When somebody looked last.
    looked: Timestamp,
    /// The keys of the last look that gave some.
    keys: Option<Fetched>,
    /// Why there are none, for the log.
    why: String,
}

#[derive(Clone)]
struct Fetched {
    keys: Arc<KeySet>,
    at: Timestamp,
    fresh: SignedDuration,
}

impl Held {
    /// Whether this serves a token whose key is `kid`, without another look.
    fn serves(&self, kid: Option<&str>, now: Timestamp) -> bool {
        let again = if self.keys.is_some() { AGAIN } else { AGAIN_WITHOUT };
        now.duration_since(self.looked) < again
            || self.keys.as_ref().is_some_and(|fetched| {
                now.duration_since(fetched.at) < fetched.fresh && kid.is_none_or(|kid| fetched.keys.has(kid))
            })
    }

    /// After a look that gave no keys: the older ones, until their day is over.
    fn after_failure(older: Option<Self>, now: Timestamp, why: String) -> Found<Self> {
        let keys = older.and_then(|older| older.keys);
        let left = keys.as_ref().map(|fetched| KEPT - now.duration_since(fetched.at));
        Found { value: Self { looked: now, keys, why }, holds: Some(left.unwrap_or(AGAIN_WITHOUT)) }
    }
}

impl Keys {
    /// Holds none yet.
    pub(super) fn new(http: Arc<Http>, clock: Arc<dyn Clock>) -> Self {
        Self { http, memory: Memory::new(clock.clone()), clock }
    }

    /// The keys of a provider, among them, if it has it, the one named `kid`.
    pub(super) async fn of(&self, provider: &Provider, kid: Option<&str>) -> Result<Arc<KeySet>, Refusal> {
        if let KeySource::Inline(keys) = &provider.keys {
            return Ok(keys.clone());
        }
        let ask = |older| look(self.http.clone(), self.clock.now(), provider.clone(), older);
        let held = self
            .memory
            .get(Whose::of(provider), |held, now| held.serves(kid, now), ask)
            .await
            .map_err(unavailable)?;
        let Held { keys, why, .. } = held;
        keys.map(|fetched| fetched.keys)
            .ok_or_else(|| unavailable(format!("provider {}: {why}", provider.name)))
    }
}

async fn look(http: Arc<Http>, now: Timestamp, provider: Provider, older: Option<Held>) -> Found<Held> {
    match fetch(&http, &provider).await {
        Ok((keys, fresh)) => {
            let fetched = Fetched { keys: Arc::new(keys), at: now, fresh };
            Found { value: Held { looked: now, keys: Some(fetched), why: String::new() }, holds: Some(KEPT) }
        }
        Err(fault) => {
            let why = fault.to_string();
            tracing::warn!(
                tenant = provider.tenant,
                provider = provider.name,
                why,
                older_keys = older.as_ref().is_some_and(|older| older.keys.is_some()),
                "the keys of a provider cannot be fetched"
            );
            Held::after_failure(older, now, why)
        }
    }
}

async fn fetch(http: &Http, provider: &Provider) -> Result<(KeySet, SignedDuration), Fault> {
    let address = match &provider.keys {
        KeySource::Url(url) => Address::parse(url)?,
        KeySource::Discovery | KeySource::Inline(_) => discover(http, &provider.issuer).await?,
    };
    let answer = document(http, &address).await?;
    let keys = KeySet::parse(&answer.document).map_err(|fault| Fault::Wrong(fault.to_string()))?;
    let fresh = answer.max_age.unwrap_or(FRESH).clamp(FRESH_LEAST, FRESH_MOST);
    Ok((keys, SignedDuration::from_secs(fresh.into())))
}

async fn discover(http: &Http, issuer: &str) -> Result<Address, Fault> {
    let base = issuer.strip_suffix('/').unwrap_or(issuer);
    let at = Address::parse(&format!("{base}/.well-known/openid-configuration"))?;
    let answer = document(http, &at).await?;
    keys_of(issuer, &at, &answer.document)
        .map_err(|why| Fault::Wrong(format!("the discovery document at {} {why}", at.origin())))
}

/// Where an issuer's document says that its keys are, by `OpenID` Connect Discovery 1.0 section 4. It must name the
/// issuer itself, byte for byte (section 4.3). Attack: a document that was copied from another issuer, or that one
/// host serves for many, would have us believe the keys of someone else.
fn keys_of(issuer: &str, at: &Address, document: &[u8]) -> Result<Address, String> {
    let found = json::parse(document).map_err(|fault| format!("cannot be read: {fault}"))?;
    if found.get("issuer").and_then(|named| named.as_str()) != Some(issuer) {
        return Err("names another issuer".to_owned());
    }
    let keys = found.get("jwks_uri").and_then(|uri| uri.as_str()).ok_or("has no jwks_uri")?;
    let keys = Address::parse(keys).map_err(|fault| format!("has a jwks_uri at {fault}"))?;
    // Attack: a provider elsewhere would have us send requests to what listens on this machine alone.
    if keys.is_local() && !at.is_local() {
        return Err("has a jwks_uri on this machine, where the issuer is not".to_owned());
    }
    Ok(keys)
}

async fn document(http: &Http, address: &Address) -> Result<Answer, Fault> {
    let answer = get(http, Get { address, header: None, limit: LIMIT, most: DOCUMENT }).await?;
    match answer.status {
        StatusCode::OK => Ok(answer),
        status => Err(Fault::Down(format!("{} answers {}", address.origin(), status.as_u16()))),
    }
}

#[cfg(test)]
mod tests;
