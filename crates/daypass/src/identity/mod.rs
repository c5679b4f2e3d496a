//! Asking others who someone is: the operator's application about a session, and outside providers for their keys.

mod breaker;
mod flight;
mod http;
mod keys;
mod session;
#[cfg(test)]
mod testing;
mod whoami;

use self::http::Http;
use async_trait::async_trait;
use daypass_core::clock::Clock;
use daypass_core::directory::Plan;
use daypass_core::endpoint::SessionRule;
use daypass_core::id::Entropy;
use daypass_core::identity::{Identity, Subject};
use daypass_core::jose::KeySet;
use daypass_core::provider::{KeySource, Provider};
use daypass_core::refusal::Refusal;
use daypass_core::secret::Secret;
use keys::Keys;
use session::Sessions;
use std::sync::Arc;

/// The port to whoever knows people, over HTTP.
pub(crate) struct Outbound {
    sessions: Sessions,
    keys: Keys,
}

impl Outbound {
    /// Prepares to ask whomever the plan names. `entropy` is for one key that lives as long as the process.
    pub(crate) fn new(plan: &Plan, clock: &Arc<dyn Clock>, entropy: &dyn Entropy) -> anyhow::Result<Self> {
        let http = Arc::new(Http::new(reaches_out(plan))?);
        Ok(Self {
            sessions: Sessions::new(http.clone(), clock.clone(), entropy),
            keys: Keys::new(http, clock.clone()),
        })
    }
}

/// Whether the plan names anything that is or may be beyond this machine: a discovery document on this machine may
/// name keys elsewhere.
fn reaches_out(plan: &Plan) -> bool {
    let distant = |url: &str| !url.starts_with("http://");
    plan.endpoints.iter().filter_map(|endpoint| endpoint.session()).any(|rule| distant(&rule.whoami))
        || plan.providers.iter().any(|provider| match &provider.keys {
            KeySource::Inline(_) => false,
            KeySource::Url(url) => distant(url),
            KeySource::Discovery => true,
        })
}

#[async_trait]
impl Identity for Outbound {
    async fn session(&self, rule: &SessionRule, session: &Secret) -> Result<Subject, Refusal> {
        self.sessions.whose(rule, session).await
    }

    async fn keys(&self, provider: &Provider, kid: Option<&str>) -> Result<Arc<KeySet>, Refusal> {
        self.keys.of(provider, kid).await
    }
}
