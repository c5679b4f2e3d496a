//! How a verifier is put together.

use crate::cache::{Cache, Times};
use crate::clock::{Clock, SystemClock};
use crate::dpop;
use crate::feed::Feed;
use crate::fetch::Fetch;
use crate::keys::{Algorithm, KeySet};
use crate::proofs::Proofs;
use crate::rules::Rules;
use crate::source::{Place, PlainHttp, Source};
use crate::verifier::{Inner, Keys, StaleFeed, Verifier};
use parking_lot::Mutex;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

/// The most that clocks may be apart. Attack: a leeway is so much more life for every token that was stolen.
const LEEWAY_MOST: Duration = Duration::from_mins(5);

/// The longest that a revocation feed is believed. Attack: an old one hides what was taken back since, so the issuer
/// itself gives it a life of five minutes.
const FEED_BELIEVED_MOST: Duration = Duration::from_mins(4);

/// A setting that makes no verifier.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the verifier cannot be built: {0}")]
pub struct BuildError(pub(crate) String);

/// The settings of a [`Verifier`]. What is not set has a default that an API can be run with; only the audience must
/// be set.
#[must_use]
pub struct Builder {
    rules: Rules,
    algorithms: HashSet<Algorithm>,
    untyped: bool,
    place: From,
    fetch: Option<Arc<dyn Fetch>>,
    plain_http: PlainHttp,
    clock: Arc<dyn Clock>,
    times: Times,
    proofs: usize,
    revocations: Option<Revocations>,
}

/// How the feed is followed.
#[derive(Clone, Copy)]
struct Revocations {
    believed: Duration,
    stale: StaleFeed,
}

/// How old the feed is before it is fetched again.
const FEED_FRESH: Duration = Duration::from_secs(5);

/// Where the keys are to come from.
enum From {
    Issuer,
    Url(String),
    Document(Vec<u8>),
}

impl Builder {
    pub(crate) fn new(issuer: String) -> Self {
        let rules = Rules {
            issuers: vec![issuer],
            audiences: Vec::new(),
            leeway: Duration::from_mins(1),
            tenant: None,
            applications_only: false,
            clients: HashSet::new(),
            roles: Vec::new(),
            scopes: Vec::new(),
        };
        let times = Times {
            fresh_least: Duration::from_secs(30),
            fresh_most: Duration::from_hours(1),
            believed: Duration::from_hours(4),
            unknown: Duration::from_secs(10),
            ahead: true,
        };
        Self {
            rules,
            algorithms: Algorithm::ALL.into(),
            untyped: false,
            place: From::Issuer,
            fetch: None,
            plain_http: PlainHttp::Refused,
            clock: Arc::new(SystemClock),
            times,
            proofs: 200_000,
            revocations: None,
        }
    }

    /// Another name of the same issuer, with the same keys. Microsoft's shape has two, `…/{tenant}/v2.0` and
    /// `…/{tenant}/`; an API whose tokens are being changed from the one to the other takes both for a while.
    pub fn also_issuer(mut self, issuer: impl Into<String>) -> Self {
        self.rules.issuers.push(issuer.into());
        self
    }

    /// A name of this API; called once for each. A v2.0 token has the API's GUID, a v1.0 token what its client asked
    /// for, which may be the GUID or one of its identifier URIs.
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.rules.audiences.push(audience.into());
        self
    }

    /// A role that every token must have; called once for each. Roles of single routes are asked for by
    /// [`Claims::require_role`](crate::Claims::require_role).
    pub fn require_role(mut self, role: impl Into<String>) -> Self {
        self.rules.roles.push(role.into());
        self
    }

    /// A scope that every token must have; called once for each.
    pub fn require_scope(mut self, scope: impl Into<String>) -> Self {
        self.rules.scopes.push(scope.into());
        self
    }

    /// The tenant that tokens must be of (`tid`).
    pub fn tenant(mut self, tenant: impl Into<String>) -> Self {
        self.rules.tenant = Some(tenant.into());
        self
    }

    /// Takes only tokens by which an application speaks for itself
    /// ([`Claims::is_application`](crate::Claims::is_application)).
    pub fn applications_only(mut self) -> Self {
        self.rules.applications_only = true;
        self
    }

    /// A client that may ask; called once for each. Without any, every client may that the issuer gives a token for
    /// this audience.
    pub fn client(mut self, client: impl Into<String>) -> Self {
        self.rules.clients.insert(client.into().to_ascii_lowercase());
        self
    }

    /// How far the issuer's clock and ours may be apart: 60 seconds unless set, 5 minutes at most.
    pub fn leeway(mut self, leeway: Duration) -> Self {
        self.rules.leeway = leeway;
        self
    }

    /// The signatures that are taken; all of [`Algorithm::ALL`] unless set. A key only ever verifies its own.
    pub fn algorithms(mut self, algorithms: impl IntoIterator<Item = Algorithm>) -> Self {
        self.algorithms = algorithms.into_iter().collect();
        self
    }

    /// Takes tokens whose header has no `typ` as well: some issuers leave it out. Attack: nothing in such a token says
    /// that it is no identity token or one for some other use.
    pub fn accept_untyped(mut self) -> Self {
        self.untyped = true;
        self
    }

    /// Fetches the keys from here, and no discovery document.
    pub fn keys_from(mut self, url: impl Into<String>) -> Self {
        self.place = From::Url(url.into());
        self
    }

    /// Verifies by the keys of this JWKS document, and fetches nothing, ever. Whoever uses this must bring new keys to
    /// the API before the issuer signs by them.
    pub fn keys(mut self, document: impl Into<Vec<u8>>) -> Self {
        self.place = From::Document(document.into());
        self
    }

    /// Allows plain http off this machine. Attack: whoever is on the way can put a key of their own into the answer and
    /// then sign any token.
    pub fn allow_plain_http(mut self) -> Self {
        self.plain_http = PlainHttp::Allowed;
        self
    }

    /// Fetches by this in place of the crate's own client.
    pub fn fetch(mut self, fetch: impl Fetch + 'static) -> Self {
        self.fetch = Some(Arc::new(fetch));
        self
    }

    /// Takes the time from this in place of the system.
    pub fn clock(mut self, clock: impl Clock + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Fetches keys again after this at the latest, whatever their `max-age` says: one hour unless set. So long a key
    /// that the issuer has withdrawn lives on here.
    pub fn keys_fresh_for(mut self, most: Duration) -> Self {
        self.times.fresh_most = most;
        self
    }

    /// Believes keys that cannot be fetched again for so long after they came: four hours unless set. After that every
    /// token is answered [`Rejected::Unavailable`](crate::Rejected::Unavailable).
    pub fn keys_believed_for(mut self, most: Duration) -> Self {
        self.times.believed = most;
        self
    }

    /// Asks the issuer at most once in this time because of a key that is not known: 10 seconds unless set.
    pub fn unknown_key_pause(mut self, pause: Duration) -> Self {
        self.times.unknown = pause;
        self
    }

    /// Does not fetch keys ahead of need: then a token waits for them when they have grown old.
    pub fn no_refresh_ahead(mut self) -> Self {
        self.times.ahead = false;
        self
    }

    /// Remembers at most so many DPoP proofs, each for two to four minutes: 200,000 unless set. Beyond that requests
    /// are answered [`Rejected::Unavailable`](crate::Rejected::Unavailable). Each instance of an API has its own memory.
    pub fn proofs_remembered(mut self, most: usize) -> Self {
        self.proofs = most;
        self
    }

    /// Follows the issuer's revocation feed, which Daypass has at `{issuer}/revocations` for its version 2.0 issuer: it is
    /// fetched when it is five seconds old and a token comes. A token that it lists is [`Rejected::Revoked`](crate::Rejected::Revoked).
    ///
    /// Where it cannot be fetched, the last one is believed for `believed` after it came, at most for four minutes; after
    /// that every token is [`Rejected::Unavailable`](crate::Rejected::Unavailable). Attack: whoever keeps the feed from
    /// this API keeps a stolen token alive.
    pub fn revocations(mut self, believed: Duration) -> Self {
        self.revocations = Some(Revocations { believed, stale: StaleFeed::Refused });
        self
    }

    /// The same, but where the feed cannot be had for so long, tokens are taken as if nothing had been revoked: for an API
    /// whose absence is worse than a revoked token that lives on until it ends.
    pub fn revocations_if_known(mut self, believed: Duration) -> Self {
        self.revocations = Some(Revocations { believed, stale: StaleFeed::Accepted });
        self
    }

    /// The verifier. Nothing is fetched yet: see [`Verifier::prepare`].
    ///
    /// # Errors
    ///
    /// Where no audience is named, the leeway is too long, an address is neither https nor on this machine, a given key
    /// set cannot be used, or nothing can fetch.
    pub fn build(self) -> Result<Verifier, BuildError> {
        self.check()?;
        let fetch = self.fetch.clone().or_else(|| USUAL.map(|usual| usual()));
        let no_fetch =
            || BuildError("without the feature `http` a `Fetch` or the keys must be given".to_owned());
        let keys = match self.place {
            From::Document(document) => Keys::Fixed(Arc::new(KeySet::parse(&document).map_err(BuildError)?)),
            place => {
                let place = match place {
                    From::Url(url) => Place::Keys(url),
                    _ => Place::Issuer(self.rules.issuers.first().cloned().unwrap_or_default()),
                };
                let fetch = fetch.clone().ok_or_else(no_fetch)?;
                let source = Source::new(place, fetch, self.plain_http).map_err(BuildError)?;
                Keys::Cached(Cache::new(source, self.clock.clone(), self.times))
            }
        };
        let revoked = match self.revocations {
            None => None,
            Some(Revocations { believed, .. }) => {
                let issuer = self.rules.issuers.first().cloned().unwrap_or_default();
                let fetch = fetch.ok_or_else(no_fetch)?;
                let feed = Feed::new(&issuer, fetch, self.plain_http, keys.clone()).map_err(BuildError)?;
                let times = Times {
                    fresh_least: FEED_FRESH,
                    fresh_most: FEED_FRESH,
                    believed,
                    unknown: FEED_FRESH,
                    ahead: false,
                };
                Some(Cache::new(feed, self.clock.clone(), times))
            }
        };
        let stale_feed = self.revocations.map_or(StaleFeed::Refused, |revocations| revocations.stale);
        // Shown at one end of the window, a proof can be shown again until the other.
        let proofs = Mutex::new(Proofs::new(self.proofs, dpop::AROUND * 2));
        let Self { rules, algorithms, untyped, clock, .. } = self;
        let inner = Inner { rules, algorithms, untyped, keys, revoked, stale_feed, clock, proofs };
        Ok(Verifier(Arc::new(inner)))
    }

    fn check(&self) -> Result<(), BuildError> {
        let refused = |why: &str| Err(BuildError(why.to_owned()));
        let empty = |names: &[String]| names.iter().any(String::is_empty);
        if self.rules.audiences.is_empty() {
            return refused("no audience is named, and a token for another API proves nothing here");
        }
        if empty(&self.rules.audiences) || empty(&self.rules.issuers) || empty(&self.rules.roles) {
            return refused("an issuer, an audience or a role is empty");
        }
        if self.rules.leeway > LEEWAY_MOST {
            return refused("the leeway is more than 5 minutes");
        }
        let believed = self.revocations.map_or(FEED_FRESH, |revocations| revocations.believed);
        if !(FEED_FRESH..=FEED_BELIEVED_MOST).contains(&believed) {
            return refused(
                "the revocation feed is to be believed for less than 5 seconds or more than 4 minutes",
            );
        }
        if self.algorithms.is_empty() {
            return refused("no algorithm is allowed");
        }
        Ok(())
    }
}

/// How documents are fetched where the caller does not say.
#[cfg(feature = "http")]
const USUAL: Option<fn() -> Arc<dyn Fetch>> = Some(|| Arc::new(crate::http::Http::new()));
#[cfg(not(feature = "http"))]
const USUAL: Option<fn() -> Arc<dyn Fetch>> = None;
