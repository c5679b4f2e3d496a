//! A decision that its own caller asks about.
//!
//! The pipeline finds the record and makes sure that it is the caller's; the dialect shows of it what the caller may know.

use crate::clock::{SignedDuration, Timestamp};
use crate::record::Record;
use uuid::Uuid;

/// Which answer somebody asks about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lookup {
    /// The id that the answer had.
    pub id: AnswerId,
    /// When it was.
    pub when: When,
}

/// The id of an answer, as the protocols write it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerId {
    /// The whole of it.
    Whole(Uuid),
    /// Its lower half, which is all that TOP's gateway writes.
    Lower(u64),
}

/// When an answer was given, as far as whoever asks can tell. There is no index of ids: one would cost every grant a
/// write, for a question that is asked once in a thousand grants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// The request arrived then: its id begins with the time.
    Arrived(Timestamp),
    /// It was about then, by the `Date` of the answer.
    About(Timestamp),
}

/// How much later than its arrival a request is decided: its body may take ten seconds, the rest takes less.
const LATEST: SignedDuration = SignedDuration::from_secs(15);
/// How far clocks of nodes, and of a record and the answer, may be apart.
const APART: SignedDuration = SignedDuration::from_secs(2);

impl AnswerId {
    /// Whether it is the id of this request.
    pub fn is(self, request: Uuid) -> bool {
        match self {
            Self::Whole(id) => id == request,
            Self::Lower(lower) => request.as_u64_pair().1 == lower,
        }
    }
}

impl When {
    /// The time in front of an id; none for one that has no time.
    pub fn of_id(id: Uuid) -> Option<Self> {
        // Version 7 begins with 48 bits of milliseconds.
        let millis = (id.get_version_num() == 7).then(|| id.as_u64_pair().0 >> 16)?;
        Timestamp::from_millisecond(i64::try_from(millis).ok()?).ok().map(Self::Arrived)
    }

    /// The first and the last moment at which the record can have been made.
    pub fn span(self) -> (Timestamp, Timestamp) {
        let (from, until) = match self {
            Self::Arrived(at) => (at.checked_sub(APART), at.checked_add(LATEST)),
            Self::About(at) => (at.checked_sub(LATEST), at.checked_add(APART)),
        };
        (from.unwrap_or(Timestamp::MIN), until.unwrap_or(Timestamp::MAX))
    }
}

/// A record of a decision about whoever asks. Only the pipeline makes one.
#[derive(Clone, Debug, PartialEq)]
pub struct OwnDecision(Record);

impl OwnDecision {
    /// The decision, if this record is of the answer with that id and the client's own.
    pub(crate) fn of(record: Record, id: AnswerId, tenant: &str, client: Uuid) -> Option<Self> {
        // Attack: one client asks with the ids of another's answers, from a log that both write, what that one got.
        let own = record.tenant.as_deref() == Some(tenant) && record.client == Some(client);
        (own && record.request.is_some_and(|request| id.is(request))).then_some(Self(record))
    }

    /// The whole record. Not all of it is for its caller.
    pub fn record(&self) -> &Record {
        &self.0
    }

    /// One of any record, for tests of rendering alone.
    #[cfg(any(test, feature = "testing"))]
    pub fn for_test(record: Record) -> Self {
        Self(record)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::uuid_v7;
    use crate::testing::START;

    #[test]
    fn an_id_with_its_time_says_when_it_was() {
        let id = uuid_v7(START, [7; 10]);
        assert_eq!(When::of_id(id), Some(When::Arrived(START)));
        let (from, until) = When::Arrived(START).span();
        assert_eq!((START.as_second() - from.as_second(), until.as_second() - START.as_second()), (2, 15));
        let (from, until) = When::About(START).span();
        assert_eq!((START.as_second() - from.as_second(), until.as_second() - START.as_second()), (15, 2));
        for without in [Uuid::nil(), Uuid::max(), crate::id::uuid_v4([9; 16])] {
            assert_eq!(When::of_id(without), None, "{without}");
        }
        assert_eq!(When::About(Timestamp::MAX).span().1, Timestamp::MAX);
        assert_eq!(When::Arrived(Timestamp::MIN).span().0, Timestamp::MIN);
    }

    #[test]
    fn a_record_of_somebody_else_is_no_decision() {
        let (id, client) = (uuid_v7(START, [1; 10]), Uuid::from_u128(5));
        let record = Record {
            request: Some(id),
            client: Some(client),
            ..Record::change(Uuid::nil(), START, Some("acme".into()), "a", "b")
        };
        let found = |record: &Record, id, tenant, client| OwnDecision::of(record.clone(), id, tenant, client);
        let whole = AnswerId::Whole(id);
        assert_eq!(found(&record, whole, "acme", client).unwrap().record(), &record);
        let lower = AnswerId::Lower(id.as_u64_pair().1);
        assert!(found(&record, lower, "acme", client).is_some());
        for (id, tenant, client) in [
            (whole, "acme", Uuid::from_u128(6)),
            (whole, "other", client),
            (AnswerId::Whole(Uuid::nil()), "acme", client),
            (AnswerId::Lower(0), "acme", client),
        ] {
            assert_eq!(found(&record, id, tenant, client), None);
        }
        for missing in [
            Record { request: None, ..record.clone() },
            Record { client: None, ..record.clone() },
            Record { tenant: None, ..record },
        ] {
            assert_eq!(found(&missing, whole, "acme", client), None);
        }
    }
}
