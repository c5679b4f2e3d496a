//! Endpoints for tests, and those who know their callers.

use async_trait::async_trait;
use daypass_core::endpoint::{CallerRule, Carrier, Endpoint, JwtRule, SessionRule, TicketRule, Whence};
use daypass_core::identity::{Identity, Subject, unavailable};
use daypass_core::jose::{KeySet, Signer};
use daypass_core::provider::{KeySource, Provider};
use daypass_core::refusal::{Reason, Refusal};
use daypass_core::role::Algorithm;
use daypass_core::secret::Secret;
use daypass_core::testing::{START, World};
use serde_json::json;
use std::sync::{Arc, LazyLock};

/// The world's endpoint, whose callers are known in these ways: `cookie` (named `sid`), `header` (named
/// `x-session`), `ticket`, `jwt` (of the provider `corp`), `anonymous` from pages, `originless` from
/// anywhere, and `near` from 192.0.2.0/24.
pub(crate) fn endpoint(ways: &str) -> Endpoint {
    let session = |carrier| {
        CallerRule::Session(SessionRule {
            carrier,
            whoami: "http://127.0.0.1:8000/whoami".into(),
            timeout_ms: 2000,
            cache: 5,
        })
    };
    let anonymous = |whence| CallerRule::Anonymous { reason: "a test".into(), whence };
    let rule = |way| match way {
        "cookie" => session(Carrier::Cookie("sid".into())),
        "header" => session(Carrier::Header("x-session".into())),
        "ticket" => CallerRule::Ticket(TicketRule { refreshes: 2, refresh_for: 3600 }),
        "jwt" => CallerRule::Jwt(JwtRule { provider: "corp".into() }),
        "anonymous" => anonymous(Whence::Pages),
        "originless" => anonymous(Whence::Anywhere),
        "near" => anonymous(Whence::Networks(vec!["192.0.2.0/24".parse().unwrap()])),
        other => panic!("no way {other}"),
    };
    let callers = ways.split_whitespace().map(rule).collect();
    Endpoint { callers, ..(*World::new().plan.endpoints[0]).clone() }
}

/// An application with one user, whose session is `the-session`, and an outside provider that knows the same one.
pub(crate) struct Outside;

#[async_trait]
impl Identity for Outside {
    async fn session(&self, _: &SessionRule, session: &Secret) -> Result<Subject, Refusal> {
        match session.expose_str() {
            "the-session" => Ok(Subject { name: "ada".into(), variables: [].into() }),
            "down" => Err(unavailable("it does not answer")),
            _ => Err(Refusal::new(Reason::UnknownSession, "the application does not know this session")),
        }
    }

    async fn keys(&self, _: &Provider, kid: Option<&str>) -> Result<Arc<KeySet>, Refusal> {
        if kid == Some("down") { Err(unavailable("it does not answer")) } else { Ok(KEYS.clone()) }
    }
}

static SIGNER: LazyLock<Signer> = LazyLock::new(|| {
    let key = Signer::generate(Algorithm::EdDsa).unwrap();
    Signer::parse(Algorithm::EdDsa, &key).unwrap()
});
static KEYS: LazyLock<Arc<KeySet>> = LazyLock::new(|| {
    let document = json!({"keys": [SIGNER.jwk()]}).to_string();
    Arc::new(KeySet::parse(document.as_bytes()).unwrap())
});

/// A token of the outside provider for its one user, good for five minutes.
pub(crate) fn jwt() -> String {
    let now = START.as_second();
    let claims = json!({
        "iss": "https://login.example.com", "aud": "daypass", "sub": "ada", "iat": now, "exp": now + 300,
    });
    SIGNER.sign("JWT", &claims).unwrap()
}

/// The outside provider of the fixture's `jwt` rule.
pub(crate) fn provider() -> Arc<Provider> {
    Arc::new(Provider {
        tenant: "acme".into(),
        name: "corp".into(),
        issuer: "https://login.example.com".into(),
        audiences: vec!["daypass".into()],
        keys: KeySource::Inline(KEYS.clone()),
        subject: "sub".into(),
        variables: [].into(),
        quota: daypass_core::provider::Quota::default(),
    })
}
