//! The port to whatever makes a credential.

use crate::credential::Credential;
use crate::directory::Directory;
use crate::id::Draw;
use crate::policy::Authorized;
use crate::refusal::Refusal;
use async_trait::async_trait;

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
    ) -> Result<Credential, Refusal>;
}
