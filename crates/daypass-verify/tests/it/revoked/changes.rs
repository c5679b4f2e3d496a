//! A feed that is asked for its changes alone, and what a hostile one can do with that.

use super::{BELIEVED, URL, builder, feed, judge};
use crate::maker::{AUDIENCE, Hand, ISSUER, Key, NOW, key};
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use daypass_verify::{Fetch, FetchError, Fetched, Rejected, Verifier, async_trait};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};

/// An issuer that knows tags and changes, and writes down what it was asked.
#[derive(Clone, Default)]
struct Issuer(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    whole: Option<String>,
    /// The answer to `?since=`; the whole where there is none.
    changes: Option<String>,
    tag: Option<String>,
    asked: Vec<(String, Option<String>)>,
}

#[async_trait]
impl Fetch for Issuer {
    async fn fetch(&self, url: &str, _: usize) -> Result<Fetched, FetchError> {
        let mut inner = self.0.lock().unwrap();
        inner.asked.push((url.to_owned(), None));
        inner.answer(url)
    }

    async fn fetch_unless(&self, url: &str, _: usize, tag: &str) -> Result<Option<Fetched>, FetchError> {
        let mut inner = self.0.lock().unwrap();
        inner.asked.push((url.to_owned(), Some(tag.to_owned())));
        if inner.tag.as_deref() == Some(tag) { Ok(None) } else { inner.answer(url).map(Some) }
    }
}

impl Inner {
    fn answer(&self, url: &str) -> Result<Fetched, FetchError> {
        let changes = self.changes.as_ref().filter(|_| url.starts_with(&format!("{URL}?since=")));
        let body = changes.or(self.whole.as_ref()).ok_or_else(|| FetchError::new("no connection"))?;
        Ok(Fetched::new(body.clone()).with_tag(self.tag.clone()))
    }
}

/// The name of a list's state, as the issuer computes it. The members of these lists stand in the order of their names.
fn state(list: &Value) -> String {
    URL_SAFE_NO_PAD.encode(digest(&SHA256, list.to_string().as_bytes()))
}

/// A whole feed that names its state.
fn whole(at: u64, list: &Value) -> String {
    feed(key("es"), at, list, &json!({}), &json!({"state": state(list)}))
}

/// A feed of the changes from one list to another.
fn changes(by: &Key, at: u64, lists: [&Value; 2], set: &Value, gone: &Value, more: &Value) -> String {
    let mut claims = json!({"since": state(lists[0]), "state": state(lists[1]), "gone": gone});
    claims.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    feed(by, at, set, &json!({"typ": "daypass-revocations-delta+jwt"}), &claims)
}

impl Issuer {
    fn publish(&self, whole: &str, changes: Option<String>, tag: &str) {
        let inner = &mut *self.0.lock().unwrap();
        (inner.whole, inner.changes, inner.tag) = (Some(whole.to_owned()), changes, Some(tag.to_owned()));
    }

    /// What was asked since the last time.
    fn asked(&self) -> Vec<(String, Option<String>)> {
        std::mem::take(&mut self.0.lock().unwrap().asked)
    }
}

fn follow(issuer: &Issuer, clock: &Hand) -> Verifier {
    let usual = Verifier::builder(ISSUER).audience(AUDIENCE).keys(crate::maker::key_set());
    usual.fetch(issuer.clone()).clock(clock.clone()).revocations(BELIEVED).build().unwrap()
}

/// The two lists of these tests, and what leads from the one to the other.
fn lists() -> (Value, Value, Value, Value) {
    let first = json!({"tokens": {"t-1": NOW, "t-2": NOW}});
    let second = json!({"tokens": {"t-2": NOW, "u-1": NOW}});
    (first, second, json!({"tokens": {"u-1": NOW}}), json!({"tokens": {"t-1": true}}))
}

/// Which tokens are refused.
async fn refused(verifier: &Verifier) -> Vec<&'static str> {
    let mut all = Vec::new();
    for id in ["t-1", "t-2", "u-1"] {
        match judge(verifier, &json!({"uti": id})).await {
            Err(Rejected::Revoked) => all.push(id),
            Err(other) => panic!("{id}: {other}"),
            Ok(_) => {}
        }
    }
    all
}

#[tokio::test]
async fn what_is_held_is_not_fetched_again_and_changes_come_alone() {
    let (issuer, clock) = (Issuer::default(), Hand::new());
    let (first, second, set, gone) = lists();
    issuer.publish(&whole(NOW, &first), None, "W/\"1\"");
    let verifier = follow(&issuer, &clock);
    assert_eq!(refused(&verifier).await, ["t-1", "t-2"]);
    assert_eq!(issuer.asked(), [(URL.to_owned(), None)]);

    clock.set(NOW + 5);
    assert_eq!(refused(&verifier).await, ["t-1", "t-2"], "not modified");
    let since = |list: &Value| format!("{URL}?since={}", state(list));
    assert_eq!(issuer.asked(), [(since(&first), Some("W/\"1\"".to_owned()))]);

    let delta = changes(key("es"), NOW, [&first, &second], &set, &gone, &json!({}));
    issuer.publish("no whole is needed", Some(delta), "W/\"2\"");
    clock.set(NOW + 10);
    assert_eq!(refused(&verifier).await, ["t-2", "u-1"]);
    assert_eq!(issuer.asked(), [(since(&first), Some("W/\"1\"".to_owned()))]);
    clock.set(NOW + 15);
    assert_eq!(refused(&verifier).await, ["t-2", "u-1"]);
    assert_eq!(issuer.asked(), [(since(&second), Some("W/\"2\"".to_owned()))], "from the new state on");
}

#[tokio::test]
async fn an_issuer_that_remembers_nothing_answers_with_the_whole() {
    let (issuer, clock) = (Issuer::default(), Hand::new());
    let (first, second, ..) = lists();
    issuer.publish(&whole(NOW, &first), None, "1");
    let verifier = follow(&issuer, &clock);
    refused(&verifier).await;
    issuer.publish(&whole(NOW + 1, &second), None, "2");
    clock.set(NOW + 5);
    assert_eq!(refused(&verifier).await, ["t-2", "u-1"]);
    assert_eq!(issuer.asked().len(), 2, "in one answer");
}

/// Whatever is wrong with changes, the whole is fetched, once.
#[tokio::test]
async fn changes_that_do_not_fit_are_not_believed() {
    let (first, second, set, gone) = lists();
    let stranger = Key::p256("es");
    let (es, nothing) = (key("es"), json!({}));
    let usual = |more: &Value| changes(es, NOW, [&first, &second], &set, &gone, more);
    let right = usual(&nothing);
    let third = json!({"tokens": {"t-9": NOW}});
    for (what, delta) in [
        ("of another list", changes(es, NOW, [&third, &second], &set, &gone, &nothing)),
        ("that leave something out", changes(es, NOW, [&first, &second], &nothing, &gone, &nothing)),
        ("that keep what is gone", changes(es, NOW, [&first, &second], &set, &nothing, &nothing)),
        (
            "that add something",
            changes(es, NOW, [&first, &second], &json!({"all": 1, "tokens": {"u-1": NOW}}), &gone, &nothing),
        ),
        (
            "that take out what is not there",
            changes(es, NOW, [&first, &second], &set, &json!({"keys": {"x": true}}), &nothing),
        ),
        ("by another's key", changes(&stranger, NOW, [&first, &second], &set, &gone, &nothing)),
        ("of another issuer", usual(&json!({"iss": "https://pass.example.com/other/v2.0"}))),
        ("that have expired", usual(&json!({"iat": NOW - 400, "exp": NOW - 60}))),
        ("that do not say since when", usual(&json!({"since": null}))),
        ("that do not say what they lead to", usual(&json!({"state": null}))),
        ("that say nothing of what is gone", usual(&json!({"gone": null}))),
        ("with a list of tomorrow's version", usual(&json!({"revoked": {"planets": {}}}))),
        ("that were cut short", right[..right.len() - 9].to_owned()),
        ("that are no text", "\u{0}".to_owned()),
        ("that are empty", String::new()),
    ] {
        let (issuer, clock) = (Issuer::default(), Hand::new());
        issuer.publish(&whole(NOW, &first), None, "1");
        let verifier = follow(&issuer, &clock);
        refused(&verifier).await;
        issuer.publish(&whole(NOW + 1, &second), Some(delta), "2");
        clock.set(NOW + 5);
        assert_eq!(refused(&verifier).await, ["t-2", "u-1"], "{what}");
        let asked = issuer.asked();
        assert_eq!((asked.len(), asked[2].0.as_str()), (3, URL), "{what}: {asked:?}");
    }
}

#[tokio::test]
async fn changes_are_never_taken_for_the_whole() {
    let (issuer, clock) = (Issuer::default(), Hand::new());
    let (first, second, set, gone) = lists();
    let delta = changes(key("es"), NOW, [&first, &second], &set, &gone, &json!({}));
    issuer.publish(&delta, None, "1");
    let verifier = follow(&issuer, &clock);
    assert!(matches!(judge(&verifier, &json!({})).await, Err(Rejected::Unavailable(_))));
}

#[tokio::test]
async fn a_feed_from_before_is_not_taken_back() {
    let (issuer, clock) = (Issuer::default(), Hand::new());
    let (first, second, ..) = lists();
    issuer.publish(&whole(NOW + 60, &second), None, "2");
    clock.set(NOW + 60);
    let verifier = follow(&issuer, &clock);
    assert_eq!(refused(&verifier).await, ["t-2", "u-1"]);
    // Still good by itself, and signed: but something newer was seen.
    issuer.publish(&whole(NOW, &first), None, "1");
    for later in [65, 70, 100] {
        clock.set(NOW + later);
        assert_eq!(refused(&verifier).await, ["t-2", "u-1"], "{later}");
    }
    clock.set(NOW + 130);
    assert_eq!(
        judge(&verifier, &json!({})).await.unwrap_err().status(),
        503,
        "nothing newer came for a minute"
    );
    let anew = follow(&issuer, &clock);
    assert_eq!(refused(&anew).await, ["t-1", "t-2"], "who has seen nothing newer cannot tell");
}

/// The feeds of one minute say the same time, so that their order cannot be told.
#[tokio::test]
async fn a_feed_of_the_same_minute_takes_nothing_out() {
    let (issuer, clock) = (Issuer::default(), Hand::new());
    let (first, second, set, gone) = lists();
    issuer.publish(&whole(NOW, &second), None, "2");
    let verifier = follow(&issuer, &clock);
    assert_eq!(refused(&verifier).await, ["t-2", "u-1"]);
    // The one from before `u-1` was taken back, shown again.
    issuer.publish(&whole(NOW, &first), None, "1");
    clock.set(NOW + 10);
    assert_eq!(refused(&verifier).await, ["t-1", "t-2", "u-1"]);
    // Changes are still those of the issuer's list, and not of what is held besides.
    let forth = changes(key("es"), NOW, [&first, &second], &set, &gone, &json!({}));
    issuer.publish("", Some(forth), "2");
    clock.set(NOW + 20);
    assert_eq!(refused(&verifier).await, ["t-1", "t-2", "u-1"]);
    // The next minute's list is whole by itself.
    issuer.publish(&whole(NOW + 60, &second), None, "3");
    clock.set(NOW + 60);
    assert_eq!(refused(&verifier).await, ["t-2", "u-1"]);
}

/// Every kind of name, each up to the later second, whichever of the two feeds of a minute comes first.
#[tokio::test]
async fn of_two_feeds_of_a_minute_the_later_second_of_each_name_counts() {
    let role = |before: u64| json!([{"aud": [AUDIENCE], "before": before, "roles": ["orders.read"]}]);
    let (early, late) = (NOW - 500, NOW + 5);
    for (name, list) in [
        ("all", (json!(early), json!(late))),
        ("clients", (json!({"c": early}), json!({"c": late}))),
        ("keys", (json!({"k": early}), json!({"k": late}))),
        ("subjects", (json!({"s": early}), json!({"s": late}))),
        ("tokens", (json!({"t": early}), json!({"t": late}))),
        ("roles", (role(early), role(late))),
    ] {
        let (early, late) = (json!({name: list.0}), json!({name: list.1}));
        for (one, other, before) in [(&early, &late, Ok(())), (&late, &early, Err(()))] {
            let (issuer, clock) = (Issuer::default(), Hand::new());
            issuer.publish(&whole(NOW, one), None, "1");
            let verifier = follow(&issuer, &clock);
            let shown = json!({"azp": "c", "sub": "s", "oid": "s", "uti": "t", "rh": "1.k", "roles": ["orders.read"]});
            let judged = judge(&verifier, &shown).await.map(drop).map_err(drop);
            assert_eq!(judged, before, "{name}");
            issuer.publish(&whole(NOW, other), None, "2");
            clock.set(NOW + 10);
            assert!(matches!(judge(&verifier, &shown).await, Err(Rejected::Revoked)), "{name}");
        }
    }
}

#[tokio::test]
async fn not_modified_is_believed_no_longer_than_what_it_is_about() {
    let (issuer, clock) = (Issuer::default(), Hand::new());
    let (first, ..) = lists();
    issuer.publish(&whole(NOW, &first), None, "1");
    let verifier = follow(&issuer, &clock);
    refused(&verifier).await;
    issuer.asked();
    for later in (5..360).step_by(5) {
        clock.set(NOW + later);
        assert_eq!(refused(&verifier).await, ["t-1", "t-2"], "{later}");
    }
    assert!(issuer.asked().iter().all(|(_, tag)| tag.is_some()), "never the whole");
    clock.set(NOW + 365);
    let _ = judge(&verifier, &json!({})).await;
    assert_eq!(issuer.asked(), [(URL.to_owned(), None)], "it has ended, and a new one is needed");
    clock.set(NOW + 500);
    assert_eq!(
        judge(&verifier, &json!({})).await.unwrap_err().status(),
        503,
        "the one there is has ended too"
    );
}

#[tokio::test]
async fn a_feed_that_names_no_state_or_another_is_fetched_whole() {
    let (first, second, ..) = lists();
    for named in [json!(null), json!("made up"), json!(state(&second))] {
        let (issuer, clock) = (Issuer::default(), Hand::new());
        let text = feed(key("es"), NOW, &first, &json!({}), &json!({"state": named}));
        issuer.publish(&text, None, "1");
        let verifier = follow(&issuer, &clock);
        assert_eq!(refused(&verifier).await, ["t-1", "t-2"]);
        issuer.publish(&whole(NOW + 1, &second), None, "2");
        clock.set(NOW + 5);
        assert_eq!(refused(&verifier).await, ["t-2", "u-1"]);
        assert_eq!(issuer.asked()[1], (URL.to_owned(), Some("1".to_owned())), "{named}");
    }
}

/// Whoever brings a `Fetch` that knows no tags gets the same, in whole answers.
#[tokio::test]
async fn a_fetch_without_tags_will_do() {
    let (published, clock) = (super::Feed::default(), Hand::new());
    let (first, second, ..) = lists();
    published.set(Some(whole(NOW, &first)));
    let verifier = builder(&published, &clock, ISSUER).revocations(BELIEVED).build().unwrap();
    assert_eq!(refused(&verifier).await, ["t-1", "t-2"]);
    published.set(Some(whole(NOW + 1, &second)));
    clock.set(NOW + 5);
    assert_eq!(refused(&verifier).await, ["t-2", "u-1"]);
}
