//! Token exchange (RFC 8693), and the proof that its sender holds a key (RFC 9449).

use super::form::Form;
use super::missing;
use daypass_core::dialect::{Issue, Shown};
use daypass_core::refusal::{Reason, Refusal};
use daypass_core::request::Head;
use daypass_core::secret::Secret;

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

/// The DPoP proof of a request, which may have one.
pub(super) fn dpop(head: &Head) -> Result<Option<Secret>, Refusal> {
    let mut values = head.headers.get_all("dpop").iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => Ok(Some(Secret::new(value.as_bytes()))),
        _ => Err(Refusal::new(Reason::DpopInvalid, "there is more than one DPoP header")),
    }
}
