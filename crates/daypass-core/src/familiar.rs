//! Sessions that their application knew lately.
//!
//! Strangers can make up sessions, and each costs the application a question; so the wrong ones of a network have a bound.
//! Whoever is at work behind the same network must not pay for that: a session that was right once today is asked about
//! whatever strangers do. It proves nothing by that; the application is still asked.

use crate::clock::Timestamp;
use crate::endpoint::{Carrier, SessionRule};
use crate::replay::Mark;
use crate::ring::{Purpose, Ring};
use crate::secret::Secret;
use aws_lc_rs::hmac;
use parking_lot::Mutex;
use std::collections::HashMap;

/// For how long a session stays familiar after it was last right, in seconds: a working day.
const DAY: u32 = 12 * 3600;

/// The most that are remembered. When there are more, the next ones are strangers as they were before.
const SESSIONS: usize = 200_000;

/// How often it is looked for those that are over, in seconds, once there are too many.
const SWEEP: i64 = 60;

/// Sessions by a hash that only whoever has the ring can make.
///
/// Attack: a copy of our memory, such as a core dump, must not hold the sessions of everyone who was here lately.
#[derive(Default)]
pub(crate) struct Familiar(Mutex<Known>);

#[derive(Default)]
struct Known {
    last: HashMap<Mark, i64>,
    swept: i64,
}

impl Familiar {
    /// Whether this session was right lately.
    pub(crate) fn knows(&self, ring: &Ring, rule: &SessionRule, session: &Secret, now: Timestamp) -> bool {
        let Some(mark) = mark(ring, rule, session) else { return false };
        self.0.lock().last.get(&mark).is_some_and(|last| is_lately(*last, now.as_second()))
    }

    /// Notes that it is right now.
    pub(crate) fn note(&self, ring: &Ring, rule: &SessionRule, session: &Secret, now: Timestamp) {
        let Some(mark) = mark(ring, rule, session) else { return };
        let (now, mut known) = (now.as_second(), self.0.lock());
        if known.last.len() >= SESSIONS && (now - known.swept).abs() >= SWEEP {
            known.swept = now;
            known.last.retain(|_, last| is_lately(*last, now));
        }
        if known.last.len() < SESSIONS || known.last.contains_key(&mark) {
            known.last.insert(mark, now);
        }
    }
}

fn is_lately(last: i64, now: i64) -> bool {
    now.saturating_sub(last) < i64::from(DAY)
}

fn mark(ring: &Ring, rule: &SessionRule, session: &Secret) -> Option<Mark> {
    let mut context = hmac::Context::with_key(ring.mac(Purpose::Replay, ring.active(Purpose::Replay))?);
    let (kind, name) = match &rule.carrier {
        Carrier::Cookie(name) => ("cookie", name),
        Carrier::Header(name) => ("header", name),
    };
    let parts = ["daypass session v1", &rule.whoami, kind, name].map(str::as_bytes);
    for part in parts.into_iter().chain([session.expose()]) {
        context.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        context.update(part);
    }
    context.sign().as_ref().first_chunk().copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{START, later, ring};

    fn rule(whoami: &str, carrier: Carrier) -> SessionRule {
        SessionRule { carrier, whoami: whoami.into(), timeout_ms: 1000, cache: 5 }
    }

    #[test]
    fn a_session_is_familiar_for_a_working_day() {
        let (familiar, ring) = (Familiar::default(), ring());
        let one = rule("http://127.0.0.1/whoami", Carrier::Cookie("sid".into()));
        let session = Secret::new(b"ann".to_vec());
        assert!(!familiar.knows(&ring, &one, &session, START));
        familiar.note(&ring, &one, &session, START);
        assert!(familiar.knows(&ring, &one, &session, later(DAY - 1)));
        assert!(!familiar.knows(&ring, &one, &session, later(DAY)));
        for other in [
            rule("http://127.0.0.1/other", Carrier::Cookie("sid".into())),
            rule("http://127.0.0.1/whoami", Carrier::Cookie("sie".into())),
            rule("http://127.0.0.1/whoami", Carrier::Header("sid".into())),
        ] {
            assert!(!familiar.knows(&ring, &other, &session, START), "{other:?}");
        }
        assert!(!familiar.knows(&ring, &one, &Secret::new(b"anna".to_vec()), START));
    }

    #[test]
    fn memory_is_bounded_and_freed() {
        let (familiar, ring) = (Familiar::default(), ring());
        let one = rule("", Carrier::Cookie("sid".into()));
        familiar.0.lock().last =
            (0..SESSIONS as u128).map(|n| (n.to_be_bytes(), START.as_second())).collect();
        let late = Secret::new(b"late".to_vec());
        familiar.note(&ring, &one, &late, START);
        assert!(!familiar.knows(&ring, &one, &late, START));
        familiar.note(&ring, &one, &late, later(DAY));
        assert!(familiar.knows(&ring, &one, &late, later(DAY)));
        assert_eq!(familiar.0.lock().last.len(), 1);
    }
}
