//! Whose session is this? The operator's application is asked, and its answer believed for a few seconds.

use super::breaker::Breaker;
use super::flight::{Found, Memory};
use super::http::{Address, Answer, Fault, Get, Http, get};
use super::whoami;
use aws_lc_rs::hmac;
use daypass_core::clock::{Clock, SignedDuration};
use daypass_core::endpoint::{Carrier, SessionRule};
use daypass_core::id::Entropy;
use daypass_core::identity::{Subject, unavailable};
use daypass_core::refusal::{Reason, Refusal};
use daypass_core::secret::Secret;
use http::{HeaderName, HeaderValue, header};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// The longest value of a session, in bytes: what browsers keep in a cookie at the most.
const VALUE: usize = 4096;
/// The largest answer of an application, in bytes.
const ANSWER: usize = 16 * 1024;
/// How long it is believed that an application does not know a session. Long enough that a page that tries again and
/// again costs the application nothing, short enough for whoever has just signed in.
const UNKNOWN: SignedDuration = SignedDuration::from_secs(1);
/// The most questions under way to one application. Attack: made-up sessions, each to be asked about, would turn us
/// into the one who overloads the application; those above wait, no longer than one answer may take.
const UNDER_WAY: usize = 256;

/// What is known about a session; a refusal may be shared by all who asked together.
type Known = Result<Arc<Subject>, Refusal>;

/// All sessions of all applications.
pub(super) struct Sessions {
    http: Arc<Http>,
    clock: Arc<dyn Clock>,
    /// Attack: a copy of our memory, such as a core dump, must not hold the sessions of everyone who was here lately.
    /// They are looked up by a hash that only this process can make.
    hash: hmac::Key,
    memory: Memory<[u8; 32], Known>,
    /// By address; as many as the configuration has.
    applications: Mutex<HashMap<String, Arc<Application>>>,
}

struct Application {
    address: Address,
    under_way: Semaphore,
    breaker: Breaker,
}

impl Sessions {
    /// Knows none yet.
    pub(super) fn new(http: Arc<Http>, clock: Arc<dyn Clock>, entropy: &dyn Entropy) -> Self {
        let mut key = [0; 32];
        entropy.fill(&mut key);
        Self {
            http,
            hash: hmac::Key::new(hmac::HMAC_SHA256, &key),
            memory: Memory::new(clock.clone()),
            clock,
            applications: Mutex::default(),
        }
    }

    /// Whom the application says this session belongs to.
    pub(super) async fn whose(&self, rule: &SessionRule, session: &Secret) -> Result<Subject, Refusal> {
        if !can_be_carried(&rule.carrier, session.expose()) {
            return Err(unknown());
        }
        let application = self.application(rule)?;
        let ask = |_| {
            let header = carried(&rule.carrier, session);
            let limit = Duration::from_millis(rule.timeout_ms.into());
            let holds = SignedDuration::from_secs(rule.cache.into());
            let http = self.http.clone();
            async move {
                match application.ask(&http, header, limit).await {
                    Ok(subject) => Found { value: Ok(Arc::new(subject)), holds: Some(holds) },
                    Err(no) if no.reason == Reason::UnknownSession => {
                        Found { value: Err(no), holds: Some(UNKNOWN) }
                    }
                    Err(no) => Found { value: Err(no), holds: None },
                }
            }
        };
        let known = self.memory.get(self.key(rule, session), |_, _| true, ask).await.map_err(unavailable)?;
        known.map(Arc::unwrap_or_clone)
    }

    /// One name in memory for each value, application, and way and time of believing it. Every part has its length
    /// before it, so that no two rules share a name.
    fn key(&self, rule: &SessionRule, session: &Secret) -> [u8; 32] {
        let (kind, name) = match &rule.carrier {
            Carrier::Cookie(name) => ("cookie", name),
            Carrier::Header(name) => ("header", name),
        };
        let mut hash = hmac::Context::with_key(&self.hash);
        let parts = [rule.whoami.as_bytes(), kind.as_bytes(), name.as_bytes(), session.expose()];
        for part in parts {
            hash.update(&part.len().to_be_bytes());
            hash.update(part);
        }
        hash.update(&rule.cache.to_be_bytes());
        let mut out = [0; 32];
        out.copy_from_slice(hash.sign().as_ref());
        out
    }

    fn application(&self, rule: &SessionRule) -> Result<Arc<Application>, Refusal> {
        let mut applications = self.applications.lock();
        if let Some(known) = applications.get(&rule.whoami) {
            return Ok(known.clone());
        }
        let address = Address::parse(&rule.whoami).map_err(unavailable)?;
        let breaker = Breaker::new(self.clock.clone());
        let new = Arc::new(Application { address, under_way: Semaphore::new(UNDER_WAY), breaker });
        applications.insert(rule.whoami.clone(), new.clone());
        Ok(new)
    }
}

impl Application {
    async fn ask(
        &self,
        http: &Http,
        header: Option<(HeaderName, HeaderValue)>,
        limit: Duration,
    ) -> Result<Subject, Refusal> {
        let origin = self.address.origin();
        let waited = tokio::time::timeout(limit, self.under_way.acquire()).await;
        let Ok(Ok(_place)) = waited else {
            return Err(unavailable(format!("{origin}: {UNDER_WAY} questions are under way already")));
        };
        let Some(turn) = self.breaker.turn() else {
            return Err(unavailable(format!("{origin}: it has just failed; it will be asked again soon")));
        };
        let answer = get(http, Get { address: &self.address, header, limit, most: ANSWER }).await;
        match answer.map_err(Some).and_then(|answer| understand(&answer)) {
            Ok(subject) => {
                turn.answered();
                Ok(subject)
            }
            Err(None) => {
                turn.answered();
                Err(unknown())
            }
            // It is at work: that it says the wrong thing about one session is no reason not to ask about others.
            Err(Some(Fault::Wrong(why))) => {
                turn.answered();
                Err(unavailable(format!("{origin}: {why}")))
            }
            Err(Some(Fault::Down(why))) => {
                if turn.failed() {
                    tracing::warn!(application = origin, why, "whose sessions these are cannot be found out");
                }
                Err(unavailable(format!("{origin}: {why}")))
            }
        }
    }
}

/// What an answer says; no fault means that the application does not know the session.
fn understand(answer: &Answer) -> Result<Subject, Option<Fault>> {
    let status = answer.status.as_u16();
    let wrong = |why| Err(Some(Fault::Wrong(why)));
    match status {
        200 => whoami::read(&answer.document)
            .map_err(|why| Some(Fault::Wrong(format!("its answer is not understood: {why}")))),
        204 | 401 | 403 | 404 => Err(None),
        300..=399 => {
            wrong(format!("it answers {status}, a redirect; none is followed, and 401 says `not known`"))
        }
        429 | 500..=599 => Err(Some(Fault::Down(format!("it answers {status}")))),
        _ => wrong(format!("it answers {status}, which means nothing here")),
    }
}

fn unknown() -> Refusal {
    Refusal::new(Reason::UnknownSession, "the application does not know this session; sign in to it again")
}

/// Whether a value can stand in a request as what it is. Attack: `1; admin=1` would show the application a second
/// cookie, and a line break a second header, that the caller has not from it.
fn can_be_carried(carrier: &Carrier, value: &[u8]) -> bool {
    let inner = |b: &u8| b.is_ascii_graphic() || *b == b' ';
    let ends = [value.first(), value.last()];
    value.len() <= VALUE
        && value.iter().all(inner)
        && ends.iter().all(|end| end.is_some_and(u8::is_ascii_graphic))
        && match carrier {
            Carrier::Cookie(_) => !value.contains(&b';'),
            Carrier::Header(_) => true,
        }
}

/// The one header that shows the session to the application.
fn carried(carrier: &Carrier, session: &Secret) -> Option<(HeaderName, HeaderValue)> {
    let (name, value) = match carrier {
        Carrier::Cookie(name) => {
            (header::COOKIE, HeaderValue::from_bytes(&[name.as_bytes(), b"=", session.expose()].concat()))
        }
        Carrier::Header(name) => {
            (HeaderName::from_bytes(name.as_bytes()).ok()?, HeaderValue::from_bytes(session.expose()))
        }
    };
    let mut value = value.ok()?;
    value.set_sensitive(true);
    Some((name, value))
}

#[cfg(test)]
mod tests;
