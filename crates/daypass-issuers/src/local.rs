//! Credentials that Daypass makes itself.
//!
//! Nothing is stored: a triple is sealed and an access token signed by the ring, so that any node can check
//! either. All randomness and the time come from the draw; the same draw gives the same triple.
//!
//! **RS256 is kept off the async workers.** One signature takes half a millisecond of CPU, twenty-five times that
//! of the others, and every other request of the worker would wait for it. It runs on tokio's blocking pool,
//! bounded twice: at most one at a time for each processor, so that the operating system still gives the workers
//! their share, and at most [`WAITING`] for each processor in line, of which each tenant that asks has its part. A request past that
//! is refused with `Overloaded` and asked to come again in a second: whoever floods us with requests for RS256 tokens uses up
//! neither our memory nor the patience of everyone behind him. `Overloaded` rather than `RateLimited`, because
//! it is our condition and no fault of this client's, and because a refusal under load should not cost a record.

use async_trait::async_trait;
use daypass_core::credential::{Bearer, Credential};
use daypass_core::dialect::Form;
use daypass_core::directory::Directory;
use daypass_core::id::Draw;
use daypass_core::issuer::{Issued, Issuer};
use daypass_core::parts::Parts;
use daypass_core::policy::Authorized;
use daypass_core::refusal::{Reason, Refusal};
use daypass_core::ring::Ring;
use daypass_core::role::Algorithm;
use daypass_core::secret::Secret;
use daypass_core::triple::{self, Claims, Triple, TripleKind};
use daypass_dialects::entra::sign;
use daypass_dialects::entra::wire::AccessToken;
use std::sync::Arc;
use std::thread::available_parallelism;
use tokio::sync::Semaphore;
use uuid::Uuid;

/// How many RS256 signatures may be under way or in line, for each processor: a wait of about a quarter of a
/// second, well within the patience of every client.
pub const WAITING: usize = 512;

/// The issuer that always exists.
pub struct Local {
    rsa: SlowLane,
}

impl Local {
    /// The name that roles call it by.
    pub const NAME: &'static str = "local";

    /// An issuer for this machine's processors.
    pub fn new() -> Self {
        let processors = available_parallelism().map_or(1, usize::from);
        Self::bounded(processors, processors.saturating_mul(WAITING))
    }

    /// An issuer that signs at most `at_once` RS256 tokens at a time and has at most `admitted` in hand.
    fn bounded(at_once: usize, admitted: usize) -> Self {
        Self { rsa: SlowLane::new(at_once, admitted) }
    }

    async fn bearer(
        &self,
        directory: &Directory,
        authorized: &Authorized,
        draw: &Draw,
    ) -> Result<Bearer, Refusal> {
        // All 128 bits are random, which is more than a version 4 UUID has.
        let id = Uuid::from_bytes(draw.bytes("access token id"));
        let claims = AccessToken::new(&directory.plan().public_url, authorized, draw.at(), id)?;
        let token = match authorized.algorithm() {
            Algorithm::Rs256 => {
                self.rsa.sign(authorized.tenant().guid, directory.ring().clone(), claims).await?
            }
            quick @ (Algorithm::Es256 | Algorithm::EdDsa) => {
                sign::access_token(directory.ring(), quick, &claims)?
            }
        };
        let kid = directory.ring().signer(authorized.algorithm()).map(|signer| signer.kid().to_owned());
        Ok(Bearer { token, id, kid })
    }
}

impl Default for Local {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Issuer for Local {
    async fn issue(
        &self,
        directory: &Directory,
        authorized: &Authorized,
        draw: &Draw,
    ) -> Result<Issued, Refusal> {
        let credential = match authorized.form() {
            Form::Triple(kind) => Credential::Triple(make_triple(directory, authorized, draw, kind)?),
            Form::Bearer => Credential::Bearer(self.bearer(directory, authorized, draw).await?),
        };
        Ok(Issued::ours(credential, authorized, draw))
    }
}

fn make_triple(
    directory: &Directory,
    authorized: &Authorized,
    draw: &Draw,
    kind: TripleKind,
) -> Result<Triple, Refusal> {
    triple::make(directory.ring(), kind, &Claims::of(authorized, draw)?, draw)
}

/// Where RS256 is signed: few at a time, and a line that is not endless.
struct SlowLane {
    at_once: Arc<Semaphore>,
    admitted: Arc<Parts>,
    most: usize,
}

impl SlowLane {
    fn new(at_once: usize, admitted: usize) -> Self {
        Self { at_once: Arc::new(Semaphore::new(at_once)), admitted: Arc::default(), most: admitted }
    }

    /// Signs on the blocking pool; needs a tokio runtime. The permits go with the work: a client that hangs up
    /// does not make room before its signature is done.
    async fn sign(&self, tenant: Uuid, ring: Arc<Ring>, claims: AccessToken) -> Result<Secret, Refusal> {
        let place = self.admitted.enter(Some(tenant), self.most).ok_or_else(crowded)?;
        let turn = self.at_once.clone().acquire_owned().await.map_err(Refusal::internal)?;
        let work = move || {
            let token = sign::access_token(&ring, Algorithm::Rs256, &claims);
            drop((turn, place));
            token
        };
        tokio::task::spawn_blocking(work).await.map_err(Refusal::internal)?
    }
}

fn crowded() -> Refusal {
    Refusal::new(Reason::Overloaded, "too many tokens are waiting to be signed; ask again in a second")
        .retry_after(1)
        .because("the line for RS256 signatures is full")
}

#[cfg(test)]
mod tests;
