//! The port to whatever makes a credential.

use crate::clock::{Timestamp, after};
use crate::credential::{Brokered, Credential};
use crate::directory::Directory;
use crate::id::Draw;
use crate::policy::{Authorized, Policy};
use crate::refusal::Refusal;
use async_trait::async_trait;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Makes credentials: Daypass itself, or a real cloud behind it.
#[async_trait]
pub trait Issuer: Send + Sync {
    /// Makes exactly what was authorized. All randomness and the time of issue come from the draw, so that a
    /// retry of the same signed request is answered with the identical credential.
    async fn issue(
        &self,
        directory: &Directory,
        authorized: &Authorized,
        draw: &Draw,
    ) -> Result<Issued, Refusal>;
}

/// A credential as its issuer made it.
pub struct Issued {
    /// The credential.
    pub credential: Credential,
    /// When it was made.
    pub issued: Timestamp,
    /// When it runs out: never later than the cloud says.
    pub expires: Timestamp,
    /// Where it comes from; none for what Daypass made itself.
    pub brokered: Option<Brokered>,
    /// What it may be used for, where the cloud has the last word on that; none for what was authorized. Never more than
    /// that.
    pub policy: Option<Arc<Policy>>,
    /// Fields of the answer that the cloud has given. They take the places of the role's fixed ones.
    pub answer: BTreeMap<String, String>,
}

impl Issued {
    /// One that Daypass made itself: it begins with the draw and lives as long as was authorized.
    pub fn ours(credential: Credential, authorized: &Authorized, draw: &Draw) -> Self {
        Self {
            credential,
            issued: draw.at(),
            expires: after(draw.at(), authorized.lifetime()),
            brokered: None,
            policy: None,
            answer: BTreeMap::new(),
        }
    }
}
