//! The order in which a token is verified.

use crate::builder::Builder;
use crate::cache::Cache;
use crate::claims::Claims;
use crate::clock::{Clock, since_epoch};
use crate::compact::Compact;
use crate::dpop;
use crate::feed::Feed;
use crate::keys::{Algorithm, KeySet, NoKey, sha256};
use crate::proofs::Proofs;
use crate::rejected::{BoundTo, Rejected};
use crate::rules::Rules;
use crate::source::Source;
use parking_lot::Mutex;
use serde_json::Value;
use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

/// The types of token that grant access (RFC 9068, section 4; Microsoft's say `JWT`). Attack: what the same issuer made
/// for another use, such as a logout token or a DPoP proof, may show the same issuer and audience.
const TYPES: [&str; 2] = ["jwt", "at+jwt"];

/// Verifies access tokens for one API. Cheap to clone: all clones share one set of keys.
///
/// The issuer is asked for its keys now and then, and never about a token. What it has revoked since it made the token is
/// seen here where its feed is followed ([`Builder::revocations`]); without that, let tokens be short-lived, or ask its
/// introspection endpoint.
#[derive(Clone)]
pub struct Verifier(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) rules: Rules,
    pub(crate) algorithms: HashSet<Algorithm>,
    pub(crate) untyped: bool,
    pub(crate) keys: Keys,
    pub(crate) revoked: Option<Cache<Feed>>,
    pub(crate) stale_feed: StaleFeed,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) proofs: Mutex<Proofs>,
}

/// What to do where it cannot be known what has been taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StaleFeed {
    /// Attack: whoever keeps the feed from us keeps a stolen token alive.
    Refused,
    /// The operator has said that serving matters more.
    Accepted,
}

/// The issuer's keys.
#[derive(Clone)]
pub(crate) enum Keys {
    /// These, for ever.
    Fixed(Arc<KeySet>),
    /// Those that it publishes.
    Cached(Cache<Source>),
}

/// What a request shows beside a token that is bound to its sender.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Binding<'a> {
    /// The certificate that the client proved to hold in the TLS handshake (RFC 8705): its [`certificate_thumbprint`].
    Certificate(
        /// Base64url of the SHA-256 of the certificate in DER, without padding.
        &'a str,
    ),
    /// A DPoP proof (RFC 9449).
    Dpop {
        /// The value of the request's one header `DPoP`.
        proof: &'a str,
        /// The request's method.
        method: &'a str,
        /// The request's URL as the client sees it: behind a proxy that is the outside name. Take scheme and host from
        /// your configuration, and not from headers that a client can set.
        url: &'a str,
    },
}

/// The thumbprint of a certificate in DER, as tokens carry it (`x5t#S256`; RFC 8705, section 3.1).
pub fn certificate_thumbprint(der: &[u8]) -> String {
    sha256(der)
}

impl Verifier {
    /// Begins with the issuer: exactly what tokens have as `iss`.
    pub fn builder(issuer: impl Into<String>) -> Builder {
        Builder::new(issuer.into())
    }

    /// Fetches the keys now. An API that does this before it says that it is ready lets no first caller wait, and finds
    /// out at its start that the issuer's name or address is wrong.
    ///
    /// # Errors
    ///
    /// [`Rejected::Unavailable`], with the reason.
    pub async fn prepare(&self) -> Result<(), Rejected> {
        self.0.keys.of(None).await?;
        match &self.0.revoked {
            Some(feed) if self.0.stale_feed == StaleFeed::Refused => feed.keys(|_| true).await.map(|_| ()),
            _ => Ok(()),
        }
    }

    /// Verifies a token that was sent as it is, under the scheme `Bearer`.
    ///
    /// Within a Tokio runtime, because keys may have to be fetched.
    ///
    /// # Errors
    ///
    /// Why the token is not accepted. One that is bound to its sender is [`Rejected::Bound`].
    pub async fn verify(&self, token: &str) -> Result<Claims, Rejected> {
        let claims = self.authenticate(token).await?;
        if let Some((to, _)) = claims.bound_to() {
            return Err(Rejected::Bound(to));
        }
        self.0.rules.authorize(&claims)?;
        Ok(claims)
    }

    /// Verifies a token that is bound to its sender, with what the request shows of that.
    ///
    /// # Errors
    ///
    /// Why the token is not accepted. One that is not bound to what is shown is [`Rejected::NotBound`], and so is one
    /// that is not bound at all: an API that takes both decides by the scheme (`Bearer` or `DPoP`), or asks
    /// [`Verifier::verify`] first and this one when that says [`Rejected::Bound`].
    pub async fn verify_bound(&self, token: &str, binding: Binding<'_>) -> Result<Claims, Rejected> {
        let claims = self.authenticate(token).await?;
        match binding {
            Binding::Certificate(shown) => {
                if claims.bound_to() != Some((BoundTo::Certificate, shown)) {
                    return Err(Rejected::NotBound(BoundTo::Certificate));
                }
            }
            Binding::Dpop { proof, method, url } => {
                let Some((BoundTo::Key, key)) = claims.bound_to() else {
                    return Err(Rejected::NotBound(BoundTo::Key));
                };
                let now = since_epoch(self.0.clock.now());
                let proven = dpop::check(proof, dpop::Request { token, method, url }, now)?;
                if proven.key != key {
                    return Err(Rejected::NotBound(BoundTo::Key));
                }
                self.0.proofs.lock().spend(&proven.key, &proven.id, now)?;
            }
        }
        self.0.rules.authorize(&claims)?;
        Ok(claims)
    }

    /// All but whether its holder may ask, and whether it is bound.
    async fn authenticate(&self, token: &str) -> Result<Claims, Rejected> {
        let compact = Compact::parse(token)?;
        let algorithm = self.algorithm(&compact)?;
        match compact.typ()? {
            None if self.0.untyped => {}
            Some(typ) if TYPES.contains(&typ.as_str()) => {}
            _ => return Err(Rejected::Type),
        }
        let kid = compact.kid()?;
        let keys = self.0.keys.of(kid).await?;
        let key = keys.choose(kid, algorithm).map_err(|fault| match fault {
            NoKey::Unknown => Rejected::UnknownKey,
            NoKey::OtherAlgorithm => Rejected::Algorithm,
        })?;
        if !key.verifies(algorithm, compact.signed, &compact.signature) {
            return Err(Rejected::Signature);
        }
        let claims = self.0.rules.authenticate(compact.claims()?, since_epoch(self.0.clock.now()))?;
        self.refuse_revoked(&claims).await?;
        Ok(claims)
    }

    async fn refuse_revoked(&self, claims: &Claims) -> Result<(), Rejected> {
        let Some(feed) = &self.0.revoked else { return Ok(()) };
        match feed.keys(|_| true).await {
            Ok(revoked) if revoked.holds(claims) => Err(Rejected::Revoked),
            Err(unavailable) if self.0.stale_feed == StaleFeed::Refused => Err(unavailable),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    fn algorithm(&self, token: &Compact<'_>) -> Result<Algorithm, Rejected> {
        let named = token.header.get("alg").and_then(Value::as_str).and_then(Algorithm::named);
        named.filter(|algorithm| self.0.algorithms.contains(algorithm)).ok_or(Rejected::Algorithm)
    }
}

impl Keys {
    /// The keys, with the one of this id if they can be had.
    pub(crate) async fn of(&self, kid: Option<&str>) -> Result<Arc<KeySet>, Rejected> {
        match self {
            Self::Fixed(keys) => Ok(keys.clone()),
            Self::Cached(cache) => cache.keys(|keys| kid.is_none_or(|kid| keys.has(kid))).await,
        }
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier").field("rules", &self.0.rules).finish_non_exhaustive()
    }
}
