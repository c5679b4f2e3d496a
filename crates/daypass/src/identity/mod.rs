//! Asking others who someone is: the operator's application about a session, and outside providers for their keys.

mod breaker;
mod flight;
mod http;
mod keys;
mod session;
#[cfg(test)]
mod testing;
mod whoami;

use self::http::{Http, Trust};
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
    distant: bool,
}

impl Outbound {
    /// Prepares to ask whomever the plan names. `entropy` is for one key that lives as long as the process.
    pub(crate) fn new(plan: &Plan, clock: &Arc<dyn Clock>, entropy: &dyn Entropy) -> anyhow::Result<Self> {
        let distant = reaches_out(plan);
        let http = Arc::new(Http::new(if distant { Trust::System } else { Trust::Nobody })?);
        Ok(Self {
            distant,
            sessions: Sessions::new(http.clone(), clock.clone(), entropy),
            keys: Keys::new(http, clock.clone()),
        })
    }

    /// Whether it can also ask whomever this plan names, with all that it remembers.
    pub(crate) fn suits(&self, plan: &Plan) -> bool {
        self.distant || !reaches_out(plan)
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

#[cfg(test)]
mod tests {
    use super::testing::{Fake, Say};
    use super::*;
    use daypass_core::endpoint::{CallerRule, Carrier};
    use daypass_core::testing::{FixedClock, START, SeededEntropy, World};
    use std::collections::BTreeMap;

    fn rule(whoami: &str) -> SessionRule {
        let carrier = Carrier::Cookie("sid".to_owned());
        SessionRule { carrier, whoami: whoami.to_owned(), timeout_ms: 2_000, cache: 5 }
    }

    fn provider(keys: KeySource) -> Provider {
        Provider {
            tenant: "acme".to_owned(),
            name: "corp".to_owned(),
            issuer: "https://login.example.com".to_owned(),
            audiences: vec!["daypass".to_owned()],
            keys,
            subject: "sub".to_owned(),
            variables: BTreeMap::new(),
            quota: daypass_core::provider::Quota::default(),
        }
    }

    /// A plan with one endpoint whose callers are known by this session, and with this provider.
    fn plan(session: Option<SessionRule>, keys: Option<KeySource>) -> Plan {
        let mut plan = World::new().plan;
        let mut endpoint = (*plan.endpoints[0]).clone();
        endpoint.callers = session.map(CallerRule::Session).into_iter().collect();
        plan.endpoints.push(Arc::new(endpoint));
        plan.providers = keys.map(|keys| Arc::new(provider(keys))).into_iter().collect();
        plan
    }

    #[test]
    fn roots_of_trust_are_wanted_only_where_something_is_beyond_this_machine() {
        let inline = || KeySource::Inline(Arc::new(KeySet::parse(JWKS.as_bytes()).unwrap()));
        let url = |url: &str| Some(KeySource::Url(url.to_owned()));
        for (expected, plan) in [
            (false, plan(None, None)),
            (false, plan(Some(rule("http://127.0.0.1:8000/whoami")), Some(inline()))),
            (false, plan(None, url("http://[::1]/keys"))),
            (true, plan(Some(rule("https://app.example.com/whoami")), None)),
            (true, plan(None, url("https://login.example.com/keys"))),
            (true, plan(None, Some(KeySource::Discovery))),
        ] {
            assert_eq!(reaches_out(&plan), expected);
        }
    }

    #[tokio::test]
    async fn the_port_asks_the_application_and_the_provider() {
        let fake = Fake::saying(Say::json(r#"{"subject":"alice"}"#)).await;
        fake.at("/keys", Say::json(JWKS));
        let keys = KeySource::Url(fake.url("/keys"));
        let plan = plan(Some(rule(&fake.url("/whoami"))), Some(keys));
        let clock: Arc<dyn Clock> = Arc::new(FixedClock::new(START));
        let port: Arc<dyn Identity> = Arc::new(Outbound::new(&plan, &clock, &SeededEntropy::new(7)).unwrap());
        let session = plan.endpoints.iter().find_map(|endpoint| endpoint.session()).unwrap();
        assert_eq!(port.session(session, &Secret::new("1")).await.unwrap().name, "alice");
        assert!(port.keys(&plan.providers[0], None).await.unwrap().has("two"));
        assert_eq!(fake.count(), 2);
    }

    /// The `Ed25519` key of RFC 8037, appendix A.2.
    const JWKS: &str = r#"{"keys":[{"kid":"two","kty":"OKP","crv":"Ed25519",
        "x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;
}
