//! The issuer's revocation feed: how it is fetched, and what proves that it is the issuer's own, of now, and complete.
//!
//! The feed is one signed JWT. Whoever has the list in some state asks for the changes since then; they are a JWT of
//! another type, and are believed only where they lead from the list that is held here to the one that the issuer has.
//! Whatever is wrong with them, the whole is fetched instead.

use crate::cache::{Origin, Told};
use crate::clock::numeric_date;
use crate::compact::Compact;
use crate::fetch::{Fetch, Fetched};
use crate::keys::Algorithm;
use crate::revoked::Revoked;
use crate::source::{PlainHttp, checked};
use crate::verifier::Keys;
use parking_lot::Mutex;
use serde_json::{Map, Value};
use std::sync::Arc;
use std::time::Duration;

/// The type of a feed. Attack: some other JWT of the same issuer, an access token above all, shown in its place.
const WHOLE: &str = "daypass-revocations+jwt";

/// The type of the changes. Attack: they are shown in place of the whole, and everything else counts again.
const CHANGES: &str = "daypass-revocations-delta+jwt";

/// The longest feed, in bytes: some fifty thousand single tokens. Attack: an endless one fills the memory of every API.
const LONGEST: usize = 8 * 1024 * 1024;

/// How far the issuer's clock and ours may be apart for a feed, which lives for minutes.
const LEEWAY: Duration = Duration::from_mins(1);

/// Where the feed of an issuer is: beside its version 2.0 issuer, whichever of the two names it goes by.
pub(crate) fn address(issuer: &str) -> String {
    format!("{}/revocations", version_2(issuer))
}

/// The issuer that signs the feed.
fn version_2(issuer: &str) -> String {
    let bare = issuer.strip_suffix('/').unwrap_or(issuer);
    if bare.ends_with("/v2.0") { bare.to_owned() } else { format!("{bare}/v2.0") }
}

/// Fetches the feed and proves it.
pub(crate) struct Feed {
    url: String,
    issuer: String,
    fetch: Arc<dyn Fetch>,
    keys: Keys,
    /// What was proved last. It is more than what is served by: with it the next answer can be short.
    held: Mutex<Option<Held>>,
}

/// A list with what proves it.
#[derive(Clone)]
struct Held {
    /// What tokens are judged by: the issuer's list, with all that was in one of its lists of the same minute.
    list: Arc<Revoked>,
    /// The issuer's list, which changes are changes of.
    named: Arc<Revoked>,
    /// The name of its state; none where the issuer names none, or another one than we do.
    state: Option<String>,
    /// When it was made, and until when it is good.
    made: Duration,
    ends: Duration,
    /// The tag that it came with.
    tag: Option<String>,
}

/// A feed whose signature, type and times were found right.
struct Proved {
    changes: bool,
    claims: Map<String, Value>,
    made: Duration,
    ends: Duration,
}

impl Feed {
    /// Refused where the address is plain http off this machine.
    pub(crate) fn new(
        issuer: &str,
        fetch: Arc<dyn Fetch>,
        plain_http: PlainHttp,
        keys: Keys,
    ) -> Result<Self, String> {
        let url = address(issuer);
        checked(&url, plain_http)?;
        Ok(Self { url, issuer: version_2(issuer), fetch, keys, held: Mutex::default() })
    }

    async fn fetched(&self, now: Duration) -> Result<Told<Arc<Revoked>>, String> {
        // What is no longer good proves nothing, so that neither changes of it nor "not modified" are asked for.
        let held = self.held.lock().clone().filter(|held| now < held.ends);
        if let Some(held) = &held
            && let Some(told) = self.continued(held, now).await?
        {
            return Ok(told);
        }
        let fetched = self.fetch.fetch(&self.url, LONGEST).await.map_err(|fault| fault.to_string())?;
        let proved = self.proved(&fetched, now).await?;
        if proved.changes {
            return Err(format!("its type is not {WHOLE}"));
        }
        self.keep(held.as_ref(), proved, None, fetched)
    }

    /// What the issuer has to say to whoever has this list. None where that leads nowhere, and the whole is needed.
    async fn continued(&self, held: &Held, now: Duration) -> Result<Option<Told<Arc<Revoked>>>, String> {
        let url = match &held.state {
            Some(state) => format!("{}?since={state}", self.url),
            None => self.url.clone(),
        };
        let fetched = match &held.tag {
            Some(tag) => self.fetch.fetch_unless(&url, LONGEST, tag).await,
            None => self.fetch.fetch(&url, LONGEST).await.map(Some),
        };
        let Some(fetched) = fetched.map_err(|fault| fault.to_string())? else {
            // Attack: whoever is on the way says so for ever. It is believed no longer than the signature is good.
            return Ok(Some((held.list.clone(), None)));
        };
        let proved = match self.proved(&fetched, now).await {
            Ok(proved) => proved,
            Err(_) if held.state.is_some() => return Ok(None),
            Err(fault) => return Err(fault),
        };
        let list = if proved.changes { changed(held, &proved.claims) } else { None };
        if proved.changes && list.is_none() {
            return Ok(None);
        }
        self.keep(Some(held), proved, list, fetched).map(Some)
    }

    /// Takes what was proved in place of what is held. `list` is what changes have led to; without them it is read.
    fn keep(
        &self,
        held: Option<&Held>,
        proved: Proved,
        list: Option<Arc<Revoked>>,
        fetched: Fetched,
    ) -> Result<Told<Arc<Revoked>>, String> {
        let Proved { claims, made, ends, .. } = proved;
        // Attack: a feed from before a token was taken back is shown while it is still good.
        if held.is_some_and(|held| made < held.made) {
            return Err("it is older than one that was seen before".to_owned());
        }
        let (named, in_order) = match list {
            Some(list) => (list, held.is_some_and(|held| held.list == held.named)),
            None => (Arc::new(Revoked::read(&claims)?), false),
        };
        // Attack: of two feeds of one minute, which say the same time, the earlier one is shown after the later one. Changes
        // say what they come after; of whole lists, what was taken back once in a minute is so for all of it.
        let list = match held.filter(|held| made == held.made && !in_order) {
            Some(held) => Arc::new(held.list.with(&named)),
            None => named.clone(),
        };
        let said = claims.get("state").and_then(Value::as_str);
        let state = named.state().filter(|state| said == Some(state));
        *self.held.lock() = Some(Held { list: list.clone(), named, state, made, ends, tag: fetched.tag });
        Ok((list, fetched.max_age))
    }

    /// Everything that makes it the issuer's own, of now, and no other JWT.
    async fn proved(&self, fetched: &Fetched, now: Duration) -> Result<Proved, String> {
        let text = std::str::from_utf8(&fetched.body).map_err(|_| "it is no text".to_owned())?;
        let compact = Compact::parse_within(text, LONGEST).map_err(|rejected| rejected.to_string())?;
        let changes = match compact.typ().ok().flatten().as_deref() {
            Some(WHOLE) => false,
            Some(CHANGES) => true,
            _ => return Err(format!("its type is not {WHOLE}")),
        };
        let algorithm = compact.header.get("alg").and_then(Value::as_str).and_then(Algorithm::named);
        let algorithm = algorithm.ok_or("its algorithm is not known")?;
        let kid = compact.kid().ok().flatten().ok_or("it names no key")?;
        let keys = self.keys.of(Some(kid)).await.map_err(|rejected| rejected.log())?;
        let key = keys.choose(Some(kid), algorithm).map_err(|_| "its key is not one of the issuer's")?;
        if !key.verifies(algorithm, compact.signed, &compact.signature) {
            return Err("its signature is wrong".to_owned());
        }
        let claims = compact.claims().map_err(|rejected| rejected.to_string())?;
        if claims.get("iss").and_then(Value::as_str) != Some(&self.issuer) {
            return Err("it is of another issuer".to_owned());
        }
        let date = |name: &str| claims.get(name).and_then(numeric_date).ok_or("it has no times");
        let (made, ends) = (date("iat")?, date("exp")?.saturating_add(LEEWAY));
        // Attack: an older feed, from before a token was taken back, is shown again for ever.
        if ends <= now {
            return Err("it has expired".to_owned());
        }
        if made > now.saturating_add(LEEWAY) {
            return Err("it is from the future".to_owned());
        }
        Ok(Proved { changes, claims, made, ends })
    }
}

/// The list that changes lead to; none where they are those of another list, or lead to another than the issuer's.
///
/// Attack: the issuer's own changes of another time or tenant, or some of them left out between two that fit.
fn changed(held: &Held, claims: &Map<String, Value>) -> Option<Arc<Revoked>> {
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    if text("since") != held.state.as_deref() {
        return None;
    }
    let list = held.named.changed(claims).ok()?;
    (list.state().as_deref() == text("state")).then(|| Arc::new(list))
}

impl Origin for Feed {
    type Item = Arc<Revoked>;
    const WHAT: &'static str = "revocation feed";

    async fn get(&self, now: Duration) -> Result<Told<Arc<Revoked>>, String> {
        self.fetched(now).await.map_err(|fault| format!("{}: {fault}", self.url))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_issuers_of_a_tenant_have_one_feed() {
        for issuer in ["https://x/t/", "https://x/t/v2.0"] {
            assert_eq!(address(issuer), "https://x/t/v2.0/revocations");
        }
    }
}
