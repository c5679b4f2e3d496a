//! Which records somebody looks for.
//!
//! A store has no index of clients, credentials or subjects: each would cost every grant a write, for questions that are asked
//! once in a thousand grants. So whoever looks reads the documents of a span of time, and reads them whole only where their
//! bytes hold what must stand in them.

use super::{Event, Record};
use crate::clock::Timestamp;
use crate::explained::AnswerId;
use memchr::memmem::Finder;
use serde::Serialize;
use uuid::Uuid;

/// What a record must be. What is not said does not matter.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(default)]
pub struct Filter {
    /// Of this tenant, or a change of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// Of this client, or a change of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client: Option<Sought>,
    /// For this subject.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// Of this role.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// Of this credential or ticket.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credential: Option<String>,
    /// By this key, or a change of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Of this request, or with this id.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "request_text")]
    pub request: Option<AnswerId>,
    /// Of one of these kinds (`grant`, `refusal`, …), for one of these reasons, or one of these changes or warnings.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<String>,
    /// At this time or later.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// Before this time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// A client as it is looked for. One that is gone from the store is known by its guid alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Sought {
    /// What its own records carry.
    pub guid: Uuid,
    /// What changes of it carry, beside its tenant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its tenant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
}

#[expect(clippy::ref_option, reason = "the signature that serde asks for")]
fn request_text<S: serde::Serializer>(id: &Option<AnswerId>, serializer: S) -> Result<S::Ok, S::Error> {
    match id {
        Some(AnswerId::Whole(id)) => serializer.collect_str(id),
        Some(AnswerId::Lower(lower)) => serializer.collect_str(&format_args!("…{lower:016x}")),
        None => serializer.serialize_none(),
    }
}

impl Filter {
    /// Whether it leaves nothing out.
    pub fn is_everything(&self) -> bool {
        let Self { tenant, client, subject, role, credential, key, request, events, since, until } = self;
        let texts = [tenant, subject, role, credential, key].into_iter().all(Option::is_none);
        texts
            && client.is_none()
            && request.is_none()
            && events.is_empty()
            && since.is_none()
            && until.is_none()
    }

    /// Whether this record is looked for.
    pub fn matches(&self, record: &Record) -> bool {
        let is = |wanted: &Option<String>, found: Option<&String>| {
            wanted.as_ref().is_none_or(|wanted| found == Some(wanted) || names(record, wanted))
        };
        is(&self.tenant, record.tenant.as_ref())
            && is(&self.subject, record.subject.as_ref())
            && is(&self.role, record.role.as_ref())
            && is(&self.key, record.key.as_ref())
            && is(&self.credential, credential(record))
            && self.client.as_ref().is_none_or(|client| client.is_of(record))
            && self
                .request
                .is_none_or(|id| id.is(record.id) || record.request.is_some_and(|request| id.is(request)))
            && (self.events.is_empty() || self.events.iter().any(|event| is_event(record, event)))
            && self.since.is_none_or(|since| record.at >= since)
            && self.until.is_none_or(|until| record.at < until)
    }

    /// What looks at documents before they are read.
    pub fn sieve(&self) -> Sieve {
        let mut needles: Vec<Vec<Finder<'static>>> = Vec::new();
        let Self { tenant, subject, role, credential, key, .. } = self;
        for text in [tenant, subject, role, credential, key].into_iter().flatten() {
            needles.push(vec![needle(text)]);
        }
        if let Some(client) = &self.client {
            let name = client.name.iter().map(|name| needle(name));
            needles.push(std::iter::once(needle(&client.guid.to_string())).chain(name).collect());
        }
        if let Some(request) = self.request {
            let text = match request {
                AnswerId::Whole(id) => id.to_string(),
                // The last two groups of digits.
                AnswerId::Lower(lower) => Uuid::from_u64_pair(0, lower).to_string().split_off(19),
            };
            needles.push(vec![needle(&text)]);
        }
        if !self.events.is_empty() {
            needles.push(self.events.iter().map(|event| needle(event)).collect());
        }
        Sieve { needles }
    }
}

/// Lets through every document that may be of a record that is looked for, and few others.
pub struct Sieve {
    /// Of each group, one must be there.
    needles: Vec<Vec<Finder<'static>>>,
}

impl Sieve {
    /// Whether it is worth reading the document.
    pub fn lets_through(&self, document: &[u8]) -> bool {
        self.needles.iter().all(|group| group.iter().any(|needle| needle.find(document).is_some()))
    }
}

/// A text as it stands in a document, without its quotes.
fn needle(text: &str) -> Finder<'static> {
    let quoted = serde_json::Value::from(text).to_string();
    let bare = quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    Finder::new(bare.unwrap_or_default().as_bytes()).into_owned()
}

impl Sought {
    fn is_of(&self, record: &Record) -> bool {
        if record.client == Some(self.guid) || names(record, &self.guid.to_string()) {
            return true;
        }
        // Clients of two tenants may have one name.
        let here = self.tenant.is_none() || self.tenant == record.tenant;
        here && self.name.as_ref().is_some_and(|name| is_change_of_client(record, name))
    }
}

fn is_change_of_client(record: &Record, name: &str) -> bool {
    match &record.event {
        Event::Change { action, object } => {
            (action.starts_with("client.") || action.starts_with("key.")) && is_word(object, name)
        }
        _ => false,
    }
}

fn credential(record: &Record) -> Option<&String> {
    match &record.event {
        Event::Grant { credential, .. } => Some(credential),
        Event::Ticket { ticket, .. } => Some(ticket),
        _ => None,
    }
}

/// Whether the record is about this, and not by it: a change of it, or a warning.
fn names(record: &Record, what: &str) -> bool {
    match &record.event {
        Event::Change { object, .. } | Event::Warning { object, .. } => is_word(object, what),
        _ => false,
    }
}

/// Whether a text stands in another between blanks or its ends. It may hold blanks itself.
fn is_word(object: &str, what: &str) -> bool {
    let ends = |at: usize| object.get(..at).is_some_and(|before| before.is_empty() || before.ends_with(' '));
    let begins = |at: usize| object.get(at..).is_some_and(|after| after.is_empty() || after.starts_with(' '));
    !what.is_empty() && object.match_indices(what).any(|(at, _)| ends(at) && begins(at + what.len()))
}

fn is_event(record: &Record, wanted: &str) -> bool {
    let (kind, label) = match &record.event {
        Event::Grant { .. } => ("grant", None),
        Event::Ticket { .. } => ("ticket", None),
        Event::Alarm { reason, .. } => ("alarm", Some(reason)),
        Event::Refusal { reason, .. } => ("refusal", Some(reason)),
        Event::Warning { warning, .. } => ("warning", Some(warning)),
        Event::Strangers { reason, .. } => ("strangers", Some(reason)),
        Event::Change { action, .. } => ("change", Some(action)),
    };
    kind == wanted || label.is_some_and(|label| label == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::START;
    use proptest::prelude::*;

    fn grant() -> Record {
        let event = Event::Grant {
            credential: "AKIDx".into(),
            expires: START,
            policy: None,
            app_roles: Vec::new(),
            audience: None,
            upstream: None,
            kid: None,
            bound: None,
            origin: None,
            correlation: None,
            variables: std::collections::BTreeMap::new(),
            tags: std::collections::BTreeMap::new(),
            source_identity: None,
            asked: None,
            repeat: false,
        };
        Record {
            tenant: Some("acme".into()),
            client: Some(Uuid::from_u128(5)),
            key: Some("AKIDedge".into()),
            role: Some("soe".into()),
            subject: Some("Ann \"the\" Bee".into()),
            request: Some(Uuid::from_u128(0x0123_4567_89ab_cdef_0123_4567_89ab_cdef)),
            ..Record::bare(Uuid::from_u128(9), START, event)
        }
    }

    fn change(action: &str, object: &str) -> Record {
        Record::change(Uuid::from_u128(10), START, Some("acme".into()), action, object)
    }

    /// Says whether the filter takes the record, and makes sure that the sieve would not have lost it.
    fn takes(filter: &Filter, record: &Record) -> bool {
        let through = filter.sieve().lets_through(&serde_json::to_vec(record).unwrap());
        let takes = filter.matches(record);
        assert!(through || !takes, "{filter:?} lost {record:?}");
        takes
    }

    fn client(name: &str, tenant: &str) -> Filter {
        let client =
            Sought { guid: Uuid::from_u128(5), name: Some(name.into()), tenant: Some(tenant.into()) };
        Filter { client: Some(client), ..Filter::default() }
    }

    fn text(set: impl Fn(&mut Filter, String), value: &str) -> Filter {
        let mut filter = Filter::default();
        set(&mut filter, value.to_owned());
        filter
    }

    #[test]
    fn each_part_takes_its_own_and_nothing_else() {
        let grant = grant();
        assert!(takes(&Filter::default(), &grant) && Filter::default().is_everything());
        for (set, is, is_not) in [
            ((|f, v| f.tenant = Some(v)) as fn(&mut Filter, String), "acme", "acm"),
            (|f, v| f.subject = Some(v), "Ann \"the\" Bee", "Ann"),
            (|f, v| f.role = Some(v), "soe", "so"),
            (|f, v| f.credential = Some(v), "AKIDx", "AKID"),
            (|f, v| f.key = Some(v), "AKIDedge", "AKIDedg"),
            (|f, v| f.events = vec!["change".into(), v], "grant", "refusal"),
            (
                |f, v| f.request = v.parse().ok().map(AnswerId::Whole),
                "01234567-89ab-cdef-0123-456789abcdef",
                "01234567-89ab-cdef-0123-456789abcdee",
            ),
        ] {
            assert!(takes(&text(set, is), &grant), "{is}");
            assert!(!takes(&text(set, is_not), &grant), "{is_not}");
            assert!(!text(set, is).is_everything());
        }
        let lower = |lower| Filter { request: Some(AnswerId::Lower(lower)), ..Filter::default() };
        assert!(takes(&lower(0x0123_4567_89ab_cdef), &grant) && !takes(&lower(1), &grant));
        assert!(takes(&client("edge", "acme"), &grant));
        let by_id = Filter { request: Some(AnswerId::Whole(grant.id)), ..Filter::default() };
        assert!(takes(&by_id, &grant), "a record is found by its own id as well");
    }

    #[test]
    fn a_change_is_found_by_what_was_changed() {
        for (action, object) in [("client.add", "edge"), ("key.retire", "edge AKIDedge")] {
            assert!(takes(&client("edge", "acme"), &change(action, object)), "{object}");
            assert!(
                !takes(&client("edge", "other"), &change(action, object)),
                "another tenant's of one name"
            );
            assert!(!takes(&client("edg", "acme"), &change(action, object)));
        }
        let revoked = change("revoke", &format!("client {}", Uuid::from_u128(5)));
        assert!(takes(&client("edge", "other"), &revoked), "a guid is one client's");
        assert!(!takes(&client("edge", "acme"), &change("revoke", "role edge of tenant acme")));
        let key = text(|f, v| f.key = Some(v), "AKIDedge");
        assert!(takes(&key, &change("key.retire", "edge AKIDedge")));
        let subject = text(|f, v| f.subject = Some(v), "Ann \"the\" Bee");
        assert!(takes(&subject, &change("revoke", "subject Ann \"the\" Bee of tenant acme")));
        let action = text(|f, v| f.events = vec![v], "key.retire");
        assert!(takes(&action, &change("key.retire", "x")) && !takes(&action, &change("key", "x")));
    }

    #[test]
    fn a_span_begins_with_its_first_moment_and_ends_before_its_last() {
        let second = crate::clock::SignedDuration::from_secs(1);
        let at = |since, until| takes(&Filter { since, until, ..Filter::default() }, &grant());
        assert!(at(Some(START), Some(START + second)));
        assert!(!at(Some(START + second), None) && !at(None, Some(START)));
    }

    #[test]
    fn what_was_looked_for_can_be_written_down() {
        let filter = Filter { request: Some(AnswerId::Lower(255)), ..client("edge", "acme") };
        let json = serde_json::to_string(&filter).unwrap();
        let expected = r#"{"client":{"guid":"00000000-0000-0000-0000-000000000005","name":"edge","tenant":"acme"},"request":"…00000000000000ff"}"#;
        assert_eq!(json, expected);
        assert_eq!(serde_json::to_string(&Filter::default()).unwrap(), "{}");
    }

    proptest! {
        #[test]
        fn the_sieve_loses_nothing(text in "\\PC{1,6}|[\"\\\\\n\u{1}é ]{1,4}", pad in "[a ]{0,3}") {
            for filter in [
                self::text(|f, v| f.subject = Some(v), &text),
                self::text(|f, v| f.credential = Some(v), &text),
                client(&text, "acme"),
            ] {
                let mut record = grant();
                record.subject = Some(text.clone());
                takes(&filter, &record);
                takes(&filter, &change("client.add", &text));
                takes(&filter, &change("client.add", &format!("{pad} {text} {pad}")));
            }
        }
    }
}
