//! What is written down before anything is handed out.
//!
//! A record is one JSON document. The process that opens a store is a *writer* with a random id, and its records
//! form a chain: each carries a MAC over the one before, so that a changed, removed or reordered one shows. The
//! head of each chain is stored beside it, sealed by the same key, so that a truncated one shows too.

use crate::asked::Asked;
use crate::clock::Timestamp;
use crate::policy::Policy;
use crate::refusal::{Reason, Refusal};
use crate::replay::Mark;
use crate::ring::{Purpose, Ring};
use crate::secret::same;
use crate::store::{Appended, Store};
use aws_lc_rs::hmac;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

/// How long a request waits for its record. A store that takes longer is as good as down: the request is refused
/// and nothing is handed out, rather than hanging while clients pile up.
pub const DEADLINE: Duration = Duration::from_secs(2);

/// One decision or change. Never a secret, a token or a signature.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Sorts by time.
    pub id: Uuid,
    /// When it was decided.
    pub at: Timestamp,
    /// What happened.
    pub event: Event,
    /// The tenant, by name; none for a change of the whole service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// The dialect's name, for requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dialect: Option<String>,
    /// The id of the request, as the answer carries it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<Uuid>,
    /// The client, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<Uuid>,
    /// The key it proved itself with, by id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The role asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// The session name, as the client gave it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// Whom someone trusted said it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// By what the caller was known, where it was by no key of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub via: Option<String>,
    /// Where the request came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<IpAddr>,
    /// Weak but accepted: `md5`, `unsigned-payload`, …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weak: Option<String>,
    /// In what way an OAuth client proved itself: `client_secret_post`, `private_key_jwt`, …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<String>,
    /// Why an operator changed something, in their own words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// A credential was made. It may not have been delivered; the other way round cannot happen.
    Grant {
        /// Its id.
        credential: String,
        /// When it runs out.
        expires: Timestamp,
        /// What it may be used for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        policy: Option<Arc<Policy>>,
        /// The OAuth app roles it carries.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        app_roles: Vec<String>,
        /// The OAuth resource that an access token is for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        audience: Option<String>,
        /// The key of ours that signed it, by its `kid`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        kid: Option<String>,
        /// What it is bound to: `jkt` or `x5t#S256`, a blank, and the thumbprint.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        bound: Option<String>,
        /// The access token that it was exchanged for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        origin: Option<Uuid>,
        /// The caller's own id of the request.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        correlation: Option<String>,
        /// The variables it was bound to.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        variables: BTreeMap<String, String>,
        /// The session's tags.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        tags: BTreeMap<String, String>,
        /// Who stands behind the session, as the client said.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        source_identity: Option<String>,
        /// What was asked for; none in records of older versions.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        asked: Option<Box<Asked>>,
        /// It is the identical credential again, for a client's retry.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        repeat: bool,
    },
    /// A one-time ticket was made.
    Ticket {
        /// Its id.
        ticket: String,
        /// The origin of the page that may show it.
        origin: String,
        /// When it can no longer be used for the first time.
        expires: Timestamp,
    },
    /// Something that should not happen unless someone has what is not theirs.
    Alarm {
        /// The reason's label.
        reason: String,
        /// What was found.
        detail: String,
    },
    /// A caller who had proved itself was refused.
    Refusal {
        /// The reason's label.
        reason: String,
        /// What the caller was told.
        detail: String,
        /// The parameter it is about.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        parameter: Option<String>,
        /// What was asked for, where that is what was refused.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        asked: Option<Box<Asked>>,
    },
    /// Something will need an operator soon.
    Warning {
        /// What it is, such as `key.expires`.
        warning: String,
        /// Of what: a key's id.
        object: String,
        /// In how many days.
        days: u32,
    },
    /// Strangers were refused.
    Strangers {
        /// The reason's label, or `other` for what did not fit.
        reason: String,
        /// The network they came from (/24 or /48), none for `other`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        network: Option<String>,
        /// How many in that second.
        count: u64,
    },
    /// An operator changed something.
    Change {
        /// What was done, such as `client.add`.
        action: String,
        /// To what: a name or id.
        object: String,
    },
}

/// A record with the mark of the request it belongs to, ready to be appended.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The record.
    pub record: Record,
    /// The mark of a signed request's first sight; none for anything that may repeat.
    pub mark: Option<Mark>,
}

/// Something whose record is durable. An answer is rendered from nothing else.
///
/// ```compile_fail
/// // There is no way to make one but through the store.
/// let faked = daypass_core::record::Recorded("credential");
/// ```
pub struct Recorded<T>(T);

impl<T> Recorded<T> {
    /// What was recorded.
    pub fn get(&self) -> &T {
        &self.0
    }

    /// Pretends that something was recorded, for tests of rendering alone.
    #[cfg(any(test, feature = "testing"))]
    pub fn for_test(value: T) -> Self {
        Self(value)
    }
}

/// What became of an attempt to record.
pub enum Outcome<T> {
    /// It is durable.
    Recorded(Recorded<T>),
    /// These signed bytes were recorded before, first at this time, perhaps by another node. The value is given
    /// up: it was made from another draw.
    Seen(Timestamp),
}

/// Writes the record, then releases the value.
pub async fn commit<T>(store: &dyn Store, entry: Entry, value: T) -> Result<Outcome<T>, Refusal> {
    match store.append(entry).await {
        Ok(Appended::Appended) => Ok(Outcome::Recorded(Recorded(value))),
        Ok(Appended::Seen(first)) => Ok(Outcome::Seen(first)),
        Err(fault) => Err(Refusal::unavailable(fault)),
    }
}

/// The MAC of a record in its chain.
pub type Mac = [u8; 32];

/// A writer's chain, as it grows.
#[derive(Clone)]
pub struct Chain {
    writer: Uuid,
    key: hmac::Key,
    key_version: u32,
    seq: u64,
    mac: Mac,
}

/// A record as it is stored: the document and its place in the chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The writer it belongs to.
    pub writer: Uuid,
    /// Counts from 1 for each writer.
    pub seq: u64,
    /// The record's JSON: the bytes that the MAC covers.
    pub blob: Vec<u8>,
    /// Over the MAC before, the writer, the number and the document.
    pub mac: Mac,
}

/// The end of a chain, proved: without it, records cut off the end would not be missed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainHead {
    /// The writer.
    pub writer: Uuid,
    /// The version of the ring key that the chain is made with.
    pub key_version: u32,
    /// The number of its last record.
    pub seq: u64,
    /// Over writer, number and the last record's MAC.
    pub mac: Mac,
}

impl Chain {
    /// A new chain under the ring's active record key. The writer id must be random: two processes that share
    /// one would write two histories under one name.
    pub fn begin(ring: &Ring, writer: Uuid) -> Option<Self> {
        let key_version = ring.active(Purpose::Record);
        let key = ring.mac(Purpose::Record, key_version)?.clone();
        Some(Self { writer, key, key_version, seq: 0, mac: [0; 32] })
    }

    /// The writer's id.
    pub fn writer(&self) -> Uuid {
        self.writer
    }

    /// Adds a record at the end. A batch that fails to commit must go back to a copy taken before it.
    pub fn link(&mut self, record: &Record) -> Result<Link, serde_json::Error> {
        let blob = serde_json::to_vec(record)?;
        let seq = self.seq + 1;
        let mac = link_mac(&self.key, &self.mac, self.writer, seq, &blob);
        (self.seq, self.mac) = (seq, mac);
        Ok(Link { writer: self.writer, seq, blob, mac })
    }

    /// The proof of where the chain ends now; stored in the same commit as the records.
    pub fn head(&self) -> ChainHead {
        let mac = head_mac(&self.key, self.writer, self.seq, &self.mac);
        ChainHead { writer: self.writer, key_version: self.key_version, seq: self.seq, mac }
    }
}

/// What is wrong with a chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(rename_all = "snake_case", tag = "fault")]
pub enum ChainFault {
    /// A record is not the one that was written, or not in its place.
    #[error("record {seq} of writer {writer} was changed, moved, or follows a removed one")]
    Changed {
        /// The writer.
        writer: Uuid,
        /// The record's number.
        seq: u64,
    },
    /// Records are missing.
    #[error("records {from} to {to} of writer {writer} are missing")]
    Missing {
        /// The writer.
        writer: Uuid,
        /// The first missing number.
        from: u64,
        /// The last missing number.
        to: u64,
    },
    /// A chain has no head, or one that is not authentic.
    #[error("the end of the chain of writer {writer} is not proved")]
    Head {
        /// The writer.
        writer: Uuid,
    },
}

/// Checks one writer's chain as it is read, in order.
pub struct Checker<'a> {
    head: &'a ChainHead,
    key: Option<&'a hmac::Key>,
    seq: u64,
    mac: Mac,
    faults: Vec<ChainFault>,
}

impl<'a> Checker<'a> {
    /// Begins with the chain's head.
    pub fn new(ring: &'a Ring, head: &'a ChainHead) -> Self {
        let key = ring.mac(Purpose::Record, head.key_version);
        Self { head, key, seq: 0, mac: [0; 32], faults: Vec::new() }
    }

    /// Takes the next stored record of this writer.
    pub fn take(&mut self, link: &Link) {
        let (writer, expected) = (self.head.writer, self.seq + 1);
        if link.seq > expected {
            self.faults.push(ChainFault::Missing { writer, from: expected, to: link.seq - 1 });
        }
        let good = self
            .key
            .is_some_and(|key| same(&link_mac(key, &self.mac, writer, link.seq, &link.blob), &link.mac));
        // After a gap the MAC before is unknown, so the first record behind it can only be believed: its own fault
        // would be the gap's again.
        if !good && link.seq <= expected {
            self.faults.push(ChainFault::Changed { writer, seq: link.seq });
        }
        (self.seq, self.mac) = (link.seq, link.mac);
    }

    /// Ends: compares with the head.
    pub fn finish(mut self) -> Vec<ChainFault> {
        let writer = self.head.writer;
        if self.seq < self.head.seq {
            self.faults.push(ChainFault::Missing { writer, from: self.seq + 1, to: self.head.seq });
        }
        let proved =
            self.key.is_some_and(|key| same(&head_mac(key, writer, self.seq, &self.mac), &self.head.mac));
        if !proved && self.faults.is_empty() {
            self.faults.push(ChainFault::Head { writer });
        }
        self.faults
    }
}

fn link_mac(key: &hmac::Key, before: &Mac, writer: Uuid, seq: u64, blob: &[u8]) -> Mac {
    tag(key, &[b"daypass record v1", before, writer.as_bytes(), &seq.to_be_bytes(), blob])
}

fn head_mac(key: &hmac::Key, writer: Uuid, seq: u64, last: &Mac) -> Mac {
    tag(key, &[b"daypass head v1", writer.as_bytes(), &seq.to_be_bytes(), last])
}

// Every part but the last has a fixed length, so their boundaries cannot be moved.
fn tag(key: &hmac::Key, parts: &[&[u8]]) -> Mac {
    let mut context = hmac::Context::with_key(key);
    for part in parts {
        context.update(part);
    }
    context.sign().as_ref().first_chunk().copied().unwrap_or_default()
}

impl Record {
    /// A record of a change that an operator made.
    pub fn change(id: Uuid, at: Timestamp, tenant: Option<String>, action: &str, object: &str) -> Self {
        Self {
            tenant,
            ..Self::bare(id, at, Event::Change { action: action.to_owned(), object: object.to_owned() })
        }
    }

    /// A record of refused strangers.
    pub fn strangers(
        id: Uuid,
        at: Timestamp,
        reason: Option<Reason>,
        network: Option<String>,
        count: u64,
    ) -> Self {
        let reason = reason.map_or("other", Reason::label).to_owned();
        Self::bare(id, at, Event::Strangers { reason, network, count })
    }

    /// A record of something that will need an operator soon.
    pub fn warning(
        id: Uuid,
        at: Timestamp,
        tenant: Option<String>,
        warning: &str,
        object: &str,
        days: u32,
    ) -> Self {
        let (warning, object) = (warning.to_owned(), object.to_owned());
        Self { tenant, ..Self::bare(id, at, Event::Warning { warning, object, days }) }
    }

    pub(crate) fn bare(id: Uuid, at: Timestamp, event: Event) -> Self {
        Self {
            id,
            at,
            event,
            tenant: None,
            dialect: None,
            request: None,
            client: None,
            key: None,
            role: None,
            session: None,
            subject: None,
            via: None,
            source: None,
            weak: None,
            proof: None,
            why: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{self, START};

    fn chain_of(n: u64) -> (Vec<Link>, ChainHead) {
        let mut chain = Chain::begin(&testing::ring(), Uuid::from_u128(7)).unwrap();
        let links = (0..n)
            .map(|i| Record::change(Uuid::from_u128(i.into()), START, None, "client.add", &i.to_string()))
            .map(|record| chain.link(&record).unwrap())
            .collect();
        (links, chain.head())
    }

    fn check(links: &[Link], head: &ChainHead) -> Vec<ChainFault> {
        let ring = testing::ring();
        let mut checker = Checker::new(&ring, head);
        for link in links {
            checker.take(link);
        }
        checker.finish()
    }

    #[test]
    fn an_untouched_chain_is_clean() {
        for n in [0, 1, 5] {
            let (links, head) = chain_of(n);
            assert_eq!(check(&links, &head), []);
        }
    }

    #[test]
    fn every_kind_of_tampering_shows() {
        let writer = Uuid::from_u128(7);
        let (links, head) = chain_of(5);

        let mut changed = links.clone();
        changed[2].blob[10] ^= 1;
        assert_eq!(check(&changed, &head), [ChainFault::Changed { writer, seq: 3 }]);

        let mut removed = links.clone();
        removed.remove(2);
        assert_eq!(check(&removed, &head), [ChainFault::Missing { writer, from: 3, to: 3 }]);

        assert_eq!(check(&links[..3], &head), [ChainFault::Missing { writer, from: 4, to: 5 }]);

        let mut swapped = links.clone();
        swapped.swap(1, 2);
        assert!(!check(&swapped, &head).is_empty());

        let cut_head = ChainHead { seq: 3, ..head.clone() };
        assert_eq!(check(&links[..3], &cut_head), [ChainFault::Head { writer }], "a head cannot be made up");

        let mut forged = links.clone();
        forged.push(Link { seq: 6, ..links[4].clone() });
        assert!(!check(&forged, &head).is_empty(), "nor a record");
    }

    #[test]
    fn a_record_reads_back() {
        let record = Record::change(Uuid::from_u128(1), START, Some("acme".into()), "client.add", "edge");
        let json = serde_json::to_string(&record).unwrap();
        assert!(
            json.contains(r#""event":{"event":"change","action":"client.add","object":"edge"}"#),
            "{json}"
        );
        assert_eq!(serde_json::from_str::<Record>(&json).unwrap(), record);
    }
}
