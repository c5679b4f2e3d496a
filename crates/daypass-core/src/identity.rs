//! The port to whoever knows people: the operator's own application, and outside providers.

use crate::endpoint::SessionRule;
use crate::jose::KeySet;
use crate::provider::Provider;
use crate::refusal::{Reason, Refusal};
use crate::secret::Secret;
use async_trait::async_trait;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Whom a caller speaks for, as someone trusted has said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// The name, unique for whoever said it.
    pub name: String,
    /// Further facts, by the names that roles have for them.
    pub variables: BTreeMap<String, String>,
}

impl Subject {
    /// The value for a role's variable: `subject` is the name itself.
    pub fn variable(&self, name: &str) -> Option<&str> {
        if name == SUBJECT {
            return Some(&self.name);
        }
        self.variables.get(name).map(String::as_str)
    }
}

/// The variable that every subject fills with its own name.
pub const SUBJECT: &str = "subject";

/// Asks others who someone is. Its answers may come from a short memory; it never believes one past its time.
#[async_trait]
pub trait Identity: Send + Sync {
    /// Asks the application whose session this is. Refused with [`Reason::UnknownSession`] where the application
    /// knows none, and with [`Reason::IdentityUnavailable`] where it gives no answer that can be understood in time.
    async fn session(&self, rule: &SessionRule, session: &Secret) -> Result<Subject, Refusal>;

    /// The public keys of a provider. `kid` names the one that is wanted: where the keys at hand do not have it, the
    /// provider may be asked again. Refused with [`Reason::IdentityUnavailable`] alone.
    async fn keys(&self, provider: &Provider, kid: Option<&str>) -> Result<Arc<KeySet>, Refusal>;
}

/// Nobody can say now who this is; `cause` goes to the log alone.
pub fn unavailable(cause: impl std::fmt::Display) -> Refusal {
    Refusal::new(
        Reason::IdentityUnavailable,
        "who asks cannot be found out now, because the service that knows it does not answer; ask again soon",
    )
    .retry_after(1)
    .because(cause)
}
