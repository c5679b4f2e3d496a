//! Which records somebody wants, as arguments; and where in a store they can stand.

use crate::cli::client::{When as Moment, parse_when};
use crate::cli::output::Failure;
use crate::cli::since;
use daypass_core::clock::{SignedDuration, Timestamp};
use daypass_core::explained::{AnswerId, When};
use daypass_core::record::Placed;
use daypass_core::record::filter::{Filter, Sought};
use daypass_core::store::{RecordQuery, Store, StoreError};
use daypass_dialects::alibaba;
use std::ops::Range;
use uuid::Uuid;

/// What the records must have; all of it.
#[derive(clap::Args)]
pub(super) struct FilterArgs {
    /// Only those of this tenant.
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,
    /// Only those of this client, and changes of it.
    #[arg(long, value_name = "NAME|GUID")]
    client: Option<String>,
    /// Only those for this subject.
    #[arg(long, value_name = "SUBJECT")]
    subject: Option<String>,
    /// Only those of this role.
    #[arg(long, value_name = "NAME")]
    role: Option<String>,
    /// Only those of this credential or ticket: `TmpSecretId`, `AccessKeyId`, the `uti` or `jti` of an access token.
    #[arg(long, value_name = "ID")]
    credential: Option<String>,
    /// Only those by this key, and changes of it.
    #[arg(long, value_name = "ID")]
    key: Option<String>,
    /// Only those of this request: the id that the answer had.
    #[arg(long, value_name = "ID", value_parser = request)]
    request: Option<AnswerId>,
    /// Only those of this kind (grant, ticket, alarm, refusal, warning, strangers, change), for this reason (`rate_limited`, …),
    /// or of this change or warning (client.add, key.expires, …). May be said several times.
    #[arg(long, value_name = "EVENT")]
    event: Vec<String>,
    /// Only those at or after this time: 7d, 12h, 2027-01-31 or 2027-01-31T12:00:00Z.
    #[arg(long, value_name = "TIME", value_parser = parse_when)]
    since: Option<Moment>,
    /// Only those before this time. What a node wrote whose clock was more than an hour behind is found without it.
    #[arg(long, value_name = "TIME", value_parser = parse_when)]
    until: Option<Moment>,
}

/// How far a record may stand behind one of a later time: nodes whose clocks differ write into one store.
const BEHIND: SignedDuration = SignedDuration::from_hours(1);
/// How many records are read at a time.
const PAGE: i64 = 1000;

fn request(text: &str) -> Result<AnswerId, String> {
    let lower = || alibaba::wire::lower_half(text).map(AnswerId::Lower);
    let id = Uuid::try_parse(text).map(AnswerId::Whole).ok().or_else(lower);
    id.ok_or_else(|| "an id of an answer is a UUID, or what TOP's gateway writes".to_owned())
}

impl FilterArgs {
    /// The filter; a client is looked up.
    pub(super) async fn filter(&self, store: &dyn Store, now: Timestamp) -> Result<Filter, Failure> {
        let time = |moment: Option<Moment>| moment.map(|moment| since::begin(moment, now));
        let Self { tenant, subject, role, credential, key, .. } = self;
        let [tenant, subject, role, credential, key] =
            [tenant, subject, role, credential, key].map(Clone::clone);
        Ok(Filter {
            client: self.client(store).await?,
            tenant,
            subject,
            role,
            credential,
            key,
            request: self.request,
            events: self.event.clone(),
            since: time(self.since),
            until: time(self.until),
        })
    }

    async fn client(&self, store: &dyn Store) -> Result<Option<Sought>, Failure> {
        let Some(wanted) = &self.client else { return Ok(None) };
        let guid = Uuid::try_parse(wanted).ok();
        let mut found = store.clients().await?;
        found.retain(|client| client.name == *wanted || Some(client.guid) == guid);
        found.retain(|client| self.tenant.as_ref().is_none_or(|tenant| client.tenant == *tenant));
        match (found.as_slice(), guid) {
            ([client], _) => Ok(Some(Sought {
                guid: client.guid,
                name: Some(client.name.clone()),
                tenant: Some(client.tenant.clone()),
            })),
            ([], Some(guid)) => Ok(Some(Sought { guid, name: None, tenant: None })),
            ([], None) => Err(Failure::Refused(format!("there is no client `{}`", wanted.escape_debug()))),
            _ => Err(Failure::Usage(format!(
                "several tenants have a client `{}`; name one with --tenant",
                wanted.escape_debug()
            ))),
        }
    }
}

/// The positions at which such records can stand.
pub(super) async fn span(store: &dyn Store, filter: &Filter) -> Result<Range<i64>, StoreError> {
    let (mut since, mut until) = (filter.since, filter.until);
    // The id of a request of ours begins with its time, and so does that of its record.
    if let Some(AnswerId::Whole(id)) = filter.request
        && let Some(when) = When::of_id(id)
    {
        let (from, to) = when.span();
        since = Some(since.map_or(from, |since| since.max(from)));
        until = Some(until.map_or(to, |until| until.min(to)));
    }
    let first = first(store, since).await?;
    let newest = RecordQuery { limit: 1, ..RecordQuery::default() };
    let newest = store.records(newest).await?.last().map_or(0, |stored| stored.position);
    let late = until.and_then(|until| until.checked_add(BEHIND).ok());
    let end = match late {
        Some(late) => self::first(store, Some(late)).await?,
        None => None,
    };
    Ok(first.map_or(0..0, |first| first..end.unwrap_or(newest + 1)))
}

/// The first position of a record at or after a time; all before it are older.
async fn first(store: &dyn Store, since: Option<Timestamp>) -> Result<Option<i64>, StoreError> {
    let query = RecordQuery { since, after: Some(0), limit: 1, ..RecordQuery::default() };
    Ok(store.records(query).await?.first().map(|stored| stored.position))
}

/// The last records in a span of positions, in order; and how many positions are left before them.
pub(super) async fn last_of(store: &dyn Store, span: &Range<i64>) -> Result<Vec<Placed>, StoreError> {
    let begin = span.start.max(span.end.saturating_sub(PAGE));
    page(store, begin..span.end).await
}

/// The first records in a span of positions, in order.
pub(super) async fn first_of(store: &dyn Store, span: &Range<i64>) -> Result<Vec<Placed>, StoreError> {
    let end = span.end.min(span.start.saturating_add(PAGE));
    page(store, span.start..end).await
}

async fn page(store: &dyn Store, span: Range<i64>) -> Result<Vec<Placed>, StoreError> {
    let limit = usize::try_from(span.end - span.start).unwrap_or_default();
    let page = store.placed(span.start - 1, limit).await?;
    // Positions have no gaps: where one is missing, a record is.
    let whole = page.iter().map(|placed| placed.position).eq(span);
    if whole { Ok(page) } else { Err(StoreError::Damaged("records are missing; see `audit verify`".into())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_named_as_its_answer_named_it() {
        let id = Uuid::from_u128(0x0197_0000_0000_7000_8000_0000_0000_0001);
        assert_eq!(request(&id.to_string()), Ok(AnswerId::Whole(id)));
        assert_eq!(request(&id.to_string().to_uppercase()), Ok(AnswerId::Whole(id)));
        let short = alibaba::wire::request_id(id);
        assert_eq!(request(&short), Ok(AnswerId::Lower(id.as_u64_pair().1)));
        assert!(request("soon").is_err());
    }
}
