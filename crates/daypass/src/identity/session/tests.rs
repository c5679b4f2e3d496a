//! Against an application on this machine that counts what it is asked.

use super::super::http::Trust;
use super::super::testing::{Fake, Say};
use super::*;
use daypass_core::testing::{FixedClock, START, SeededEntropy};
use std::io::Write;
use tracing_subscriber::fmt::MakeWriter;

const VALUE_SHOWN: &str = "s3ss10n-of-someone";
const ALICE: &str = r#"{"subject":"alice","variables":{"class":"3b"}}"#;

struct Fixture {
    clock: Arc<FixedClock>,
    sessions: Arc<Sessions>,
    fake: Fake,
    rule: SessionRule,
}

impl Fixture {
    async fn saying(say: Say) -> Self {
        Self::with(Fake::saying(say).await)
    }

    fn with(fake: Fake) -> Self {
        let clock = Arc::new(FixedClock::new(START));
        let http = Arc::new(Http::new(Trust::Nobody).unwrap());
        let sessions = Arc::new(Sessions::new(http, clock.clone(), &SeededEntropy::new(7)));
        let carrier = Carrier::Cookie("sid".to_owned());
        let rule =
            SessionRule { carrier, whoami: fake.url("/whoami?key=op3r4t0r"), timeout_ms: 400, cache: 5 };
        Self { clock, sessions, fake, rule }
    }

    async fn whose(&self, session: &str) -> Result<String, Refusal> {
        Ok(self.sessions.whose(&self.rule, &Secret::new(session)).await?.name)
    }

    async fn refused(&self, session: &str) -> Refusal {
        self.whose(session).await.unwrap_err()
    }

    fn ask_beside(&self, session: String) -> tokio::task::JoinHandle<Result<Subject, Refusal>> {
        let (sessions, rule) = (self.sessions.clone(), self.rule.clone());
        tokio::spawn(async move { sessions.whose(&rule, &Secret::new(session)).await })
    }
}

#[tokio::test]
async fn the_application_is_shown_the_session_and_nothing_else() {
    let mut f = Fixture::saying(Say::json(ALICE)).await;
    let subject = f.sessions.whose(&f.rule, &Secret::new("a=b \"c\"")).await.unwrap();
    assert_eq!((subject.name.as_str(), subject.variable("class")), ("alice", Some("3b")));
    f.rule.carrier = Carrier::Header("x-session".to_owned());
    assert_eq!(f.whose("a;b").await.unwrap(), "alice");
    let asked = f.fake.asked();
    let shown = |n: usize, name: &str| asked[n].headers.get(name).map(|v| v.to_str().unwrap().to_owned());
    assert_eq!(shown(0, "cookie").as_deref(), Some("sid=a=b \"c\""));
    assert_eq!((shown(1, "cookie"), shown(1, "x-session").as_deref()), (None, Some("a;b")));
    assert!(asked.iter().all(|asked| asked.line == "GET /whoami?key=op3r4t0r" && asked.headers.len() == 5));
}

#[tokio::test]
async fn a_thousand_who_ask_at_once_are_one_question() {
    let f = Fixture::saying(Say::json(ALICE)).await;
    f.fake.hold();
    let askers: Vec<_> = (0..1_000).map(|_| f.ask_beside(VALUE_SHOWN.to_owned())).collect();
    f.fake.has_heard(1).await;
    f.fake.release();
    for asker in askers {
        assert_eq!(asker.await.unwrap().unwrap().name, "alice");
    }
    assert_eq!(f.fake.count(), 1);
}

#[tokio::test]
async fn an_answer_is_believed_for_as_long_as_the_rule_says() {
    let f = Fixture::saying(Say::json(ALICE)).await;
    f.whose("one").await.unwrap();
    f.fake.say(Say::json(r#"{"subject":"bob"}"#));
    f.clock.advance(4_999);
    assert_eq!(f.whose("one").await.unwrap(), "alice");
    assert_eq!(f.whose("two").await.unwrap(), "bob", "another session is another question");
    f.clock.advance(1);
    assert_eq!(f.whose("one").await.unwrap(), "bob");
    assert_eq!(f.fake.count(), 3);
}

#[tokio::test]
async fn no_two_rules_share_an_answer() {
    let f = Fixture::saying(Say::json(ALICE)).await;
    let rules = [
        f.rule.clone(),
        SessionRule { cache: 6, ..f.rule.clone() },
        SessionRule { whoami: f.fake.url("/other"), ..f.rule.clone() },
        SessionRule { carrier: Carrier::Cookie("sid2".to_owned()), ..f.rule.clone() },
        SessionRule { carrier: Carrier::Header("sid".to_owned()), ..f.rule.clone() },
    ];
    for rule in &rules {
        f.sessions.whose(rule, &Secret::new("one")).await.unwrap();
    }
    assert_eq!(f.fake.count(), rules.len());
    let keys: std::collections::HashSet<_> =
        rules.iter().map(|rule| f.sessions.key(rule, &Secret::new("one"))).collect();
    assert_eq!(keys.len(), rules.len());
    let moved = SessionRule { carrier: Carrier::Cookie("sidon".to_owned()), ..f.rule.clone() };
    assert_ne!(
        f.sessions.key(&moved, &Secret::new("e")),
        f.sessions.key(&f.rule, &Secret::new("one")),
        "the border between name and value counts"
    );
}

#[tokio::test]
async fn who_is_not_known_is_told_so_and_it_is_believed_for_a_second() {
    for status in [204, 401, 403, 404] {
        let f = Fixture::saying(Say::json("{}").status(status)).await;
        assert_eq!(f.refused("one").await.reason, Reason::UnknownSession, "{status}");
        f.fake.say(Say::json(ALICE));
        f.clock.advance(999);
        assert_eq!(f.refused("one").await.reason, Reason::UnknownSession);
        assert_eq!(f.fake.count(), 1);
        f.clock.advance(1);
        assert_eq!(f.whose("one").await.unwrap(), "alice");
    }
}

#[tokio::test]
async fn what_is_no_session_is_not_asked_about() {
    let f = Fixture::saying(Say::json(ALICE)).await;
    let long = "x".repeat(VALUE + 1);
    for value in ["", " ", " a", "a ", "a; admin=1", "a\r\nx: y", "a\nb", "a\0b", "a\tb", "a\u{e9}b", &long] {
        assert_eq!(f.refused(value).await.reason, Reason::UnknownSession, "{value:?}");
    }
    assert_eq!(f.fake.count(), 0);
    assert!(f.whose(&"x".repeat(VALUE)).await.is_ok());
    let bytes = Secret::new(vec![b'a', 0xff]);
    assert_eq!(f.sessions.whose(&f.rule, &bytes).await.unwrap_err().reason, Reason::UnknownSession);
    assert_eq!(f.fake.count(), 1);
}

#[tokio::test]
async fn every_other_answer_says_nothing_about_the_session_and_is_not_kept() {
    let bad = [
        (Say::json("{}").status(500), "it answers 500"),
        (Say::json("{}").status(503), "it answers 503"),
        (Say::json("{}").status(429), "it answers 429"),
        (Say::json(ALICE).status(201), "it answers 201, which means nothing here"),
        (Say::json(ALICE).status(400), "it answers 400, which means nothing here"),
        (
            Say::json(ALICE).status(302).header("location", "/login"),
            "it answers 302, a redirect; none is followed, and 401 says `not known`",
        ),
        (Say::json(ALICE).header("content-type", "text/html"), "the content type of the answer is not JSON"),
        (Say::json(&format!("{ALICE}{}", " ".repeat(ANSWER))), "the answer is larger than 16384 bytes"),
        (Say::json("not json"), "its answer is not understood: not a JSON document (line 1, column 2)"),
        (
            Say::json(r#"{"subject":"a","subject":"b"}"#),
            "its answer is not understood: a member stands twice in one object (line 1, column 29)",
        ),
        (Say::nothing(), "no answer within 400 ms"),
    ];
    for (say, why) in bad {
        let f = Fixture::saying(say).await;
        let refusal = f.refused(VALUE_SHOWN).await;
        assert_eq!(refusal.reason, Reason::IdentityUnavailable, "{why}");
        assert_eq!(refusal.cause.unwrap(), format!("{}: {why}", f.fake.url("")));
        assert_eq!(refusal.retry_after, Some(1));
        f.fake.say(Say::json(ALICE));
        assert_eq!(f.whose(VALUE_SHOWN).await.unwrap(), "alice", "{why}");
    }
}

#[tokio::test]
async fn an_application_that_is_not_there_is_not_a_session_that_is_not_known() {
    for fake in [Fake::gone().await, Fake::raw(b"\xff\xfe\r\n\r\n").await] {
        let f = Fixture::with(fake);
        assert_eq!(f.refused("one").await.reason, Reason::IdentityUnavailable);
    }
}

#[tokio::test]
async fn a_failing_application_is_asked_one_question_at_a_time() {
    let f = Fixture::saying(Say::json("{}").status(500)).await;
    for n in 1..=5 {
        f.refused(&format!("session-{n}")).await;
    }
    assert_eq!(f.fake.count(), 5);
    for n in 0..100 {
        let refusal = f.refused(&format!("session-{n}")).await;
        assert_eq!(refusal.reason, Reason::IdentityUnavailable);
        assert!(refusal.cause.unwrap().ends_with("it has just failed; it will be asked again soon"));
    }
    assert_eq!(f.fake.count(), 5);
    f.clock.advance(200);
    f.fake.say(Say::json(ALICE));
    f.fake.hold();
    let probe = f.ask_beside("probe".to_owned());
    f.fake.has_heard(6).await;
    for n in 0..100 {
        f.refused(&format!("session-{n}")).await;
    }
    assert_eq!(f.fake.count(), 6, "one probe");
    f.fake.release();
    assert_eq!(probe.await.unwrap().unwrap().name, "alice");
    for n in 0..10 {
        assert!(f.whose(&format!("session-{n}")).await.is_ok());
    }
}

#[tokio::test]
async fn one_application_that_fails_is_no_other() {
    let f = Fixture::saying(Say::json("{}").status(500)).await;
    for n in 0..10 {
        f.refused(&format!("session-{n}")).await;
    }
    f.fake.at("/well", Say::json(ALICE));
    let well = SessionRule { whoami: f.fake.url("/well"), ..f.rule.clone() };
    assert!(f.sessions.whose(&well, &Secret::new("session-1")).await.is_ok());
}

#[tokio::test]
async fn answers_that_are_wrong_about_some_do_not_shut_out_others() {
    let f = Fixture::saying(Say::json(ALICE).status(302)).await;
    for n in 0..10 {
        f.refused(&format!("session-{n}")).await;
    }
    f.fake.say(Say::json(ALICE));
    assert_eq!(f.whose("session-11").await.unwrap(), "alice");
}

#[tokio::test]
async fn no_more_than_so_many_questions_are_under_way() {
    let mut f = Fixture::saying(Say::json(ALICE)).await;
    f.rule.timeout_ms = 10_000;
    f.fake.hold();
    let askers: Vec<_> = (0..UNDER_WAY + 10).map(|n| f.ask_beside(format!("session-{n}"))).collect();
    f.fake.has_heard(UNDER_WAY).await;
    f.rule.timeout_ms = 20;
    let refusal = f.refused("one-more").await;
    assert!(refusal.cause.unwrap().ends_with("256 questions are under way already"));
    assert_eq!(f.fake.count(), UNDER_WAY);
    f.fake.release();
    for asker in askers {
        assert!(asker.await.unwrap().is_ok(), "those who waited get their turn");
    }
}

#[tokio::test]
async fn an_address_that_may_not_be_asked_is_not_asked() {
    let f = Fixture::saying(Say::json(ALICE)).await;
    let rule = SessionRule { whoami: "http://example.com/whoami".to_owned(), ..f.rule.clone() };
    let refusal = f.sessions.whose(&rule, &Secret::new("one")).await.unwrap_err();
    assert_eq!(refusal.reason, Reason::IdentityUnavailable);
}

/// What is logged on this thread, everything included.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;
    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn the_session_and_the_key_in_an_address_are_told_to_nobody() {
    let log = Log::default();
    let subscriber =
        tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(log.clone()).finish();
    let _logging = tracing::subscriber::set_default(subscriber);
    let echo = format!(r#"{{"subject":"{VALUE_SHOWN}\n"}}"#);
    let says = [
        Say::json(&echo),
        Say::json(&format!("{VALUE_SHOWN} is no JSON")),
        Say::json(VALUE_SHOWN).status(401),
        Say::json(VALUE_SHOWN).status(302).header("location", VALUE_SHOWN),
        Say::json("{}").header("content-type", VALUE_SHOWN),
        Say::json(VALUE_SHOWN).status(500),
    ];
    let mut told = Vec::new();
    for say in says {
        let f = Fixture::saying(say).await;
        told.push(f.refused(VALUE_SHOWN).await);
    }
    let gone = Fixture::with(Fake::gone().await);
    for _ in 0..6 {
        told.push(gone.refused(VALUE_SHOWN).await);
    }
    let told = format!("{told:?}");
    let logged = String::from_utf8(log.0.lock().clone()).unwrap();
    assert!(logged.contains("whose sessions these are cannot be found out"), "{logged}");
    assert!(told.contains("it has just failed"), "{told}");
    for secret in [VALUE_SHOWN, "op3r4t0r"] {
        assert!(!told.contains(secret), "{told}");
        assert!(!logged.contains(secret), "{logged}");
    }
    let (_, value) = carried(&gone.rule.carrier, &Secret::new(VALUE_SHOWN)).unwrap();
    assert_eq!(format!("{value:?}"), "Sensitive");
}
