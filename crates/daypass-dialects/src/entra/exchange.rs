//! Token exchange (RFC 8693).

use super::form::Form;
use super::missing;
use daypass_core::dialect::{Issue, Shown};
use daypass_core::refusal::Refusal;

/// The grant type of an exchange (RFC 8693 §2.1).
pub(super) const GRANT: &str = "urn:ietf:params:oauth:grant-type:token-exchange";

/// What an exchange is about.
pub(super) struct Parameters {
    /// The token that is shown.
    pub(super) subject: Shown,
}

impl Parameters {
    /// Takes them out of a form.
    pub(super) fn read(form: &mut Form) -> Result<Self, Refusal> {
        let subject = form.subject_token.take().map(Shown::new).ok_or_else(|| missing("subject_token"))?;
        Ok(Self { subject })
    }

    /// What is asked for.
    pub(super) fn issue(&self) -> Result<Issue, Refusal> {
        Err(Refusal::internal("nothing is exchanged yet"))
    }
}
