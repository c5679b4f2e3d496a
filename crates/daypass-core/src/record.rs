//! What is written down before anything is handed out.
//!
//! A record is one JSON document. The process that opens a store is a *writer* with a random id, and its records
//! form a chain: each carries a MAC over the one before, so that a changed, removed or reordered one shows. The
//! head of each chain is stored beside it, sealed by the same key, so that a truncated one shows too.

mod chain;
pub mod checkpoint;
pub mod covered;
pub mod export;
pub mod filter;
pub mod tree;

pub use chain::{Chain, ChainFault, ChainHead, Checker, Link, Mac, Placed, Point};

use crate::asked::Asked;
use crate::clock::Timestamp;
use crate::credential::Brokered;
use crate::policy::Policy;
use crate::refusal::{Reason, Refusal};
use crate::replay::Mark;
use crate::store::{Appended, Store};
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
        /// Where it comes from, where a cloud made it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        upstream: Option<Box<Brokered>>,
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
        /// In how many days; 0 for what is so already.
        days: u32,
        /// What was found, where something has gone wrong.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        detail: Option<String>,
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
        Self { tenant, ..Self::bare(id, at, Event::Warning { warning, object, days, detail: None }) }
    }

    /// A record of something that needs an operator now, with what was found.
    pub fn trouble(id: Uuid, at: Timestamp, warning: &str, object: &str, detail: &str) -> Self {
        let (warning, object, detail) = (warning.to_owned(), object.to_owned(), Some(detail.to_owned()));
        Self::bare(id, at, Event::Warning { warning, object, days: 0, detail })
    }

    /// A record of something that should not happen unless someone has what is not theirs.
    pub fn alarm(id: Uuid, at: Timestamp, reason: &str, detail: &str) -> Self {
        Self::bare(id, at, Event::Alarm { reason: reason.to_owned(), detail: detail.to_owned() })
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
    use crate::testing::START;

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
