//! What clouds have made that a cut-off is about: no cut-off reaches it. It is found in the records, so that whoever revokes
//! knows how much there is and for how long, and need not guess.

use crate::cli::credential;
use crate::cli::output::Failure;
use daypass_core::clock::{SignedDuration, Timestamp, rfc3339};
use daypass_core::cutoff::Scope;
use daypass_core::limits::LONGEST_LIFE;
use daypass_core::record::{Event, Record};
use daypass_core::store::{RecordQuery, Store};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashSet};

/// How many records are read at a time.
const PAGE: usize = 1000;

/// Credentials of one issuer in one role that still live.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Living {
    /// The tenant.
    tenant: String,
    /// The role.
    role: String,
    /// Who made them.
    issuer: String,
    /// How many: one that was handed out again, or to several, counts once.
    pub(super) count: usize,
    /// When the last of them ends.
    pub(super) until: Timestamp,
}

/// Everything of this scope that clouds have made, that was handed out until then, and that lives now.
pub(super) async fn living(
    store: &dyn Store,
    scope: &Scope,
    before: Timestamp,
    now: Timestamp,
) -> Result<Vec<Living>, Failure> {
    // What was handed out before that has run out, whatever it is.
    let since = now.checked_sub(SignedDuration::from_secs(LONGEST_LIFE.into())).unwrap_or(Timestamp::MIN);
    let mut query = RecordQuery { since: Some(since), after: Some(0), limit: PAGE, ..RecordQuery::default() };
    let mut found: BTreeMap<_, (HashSet<String>, Timestamp)> = BTreeMap::new();
    loop {
        let page = store.records(query.clone()).await?;
        let Some(last) = page.last() else { break };
        query.after = Some(last.position);
        for record in page.iter().map(|stored| &stored.record) {
            let Some((place, id, ends)) = made(record, before, now) else { continue };
            if credential::is_of(store, scope, record).await? {
                let entry = found.entry(place).or_insert_with(|| (HashSet::new(), ends));
                entry.0.insert(id.to_owned());
                entry.1 = entry.1.max(ends);
            }
        }
    }
    let one = |((tenant, role, issuer), (ids, until)): ((String, String, String), (HashSet<_>, _))| Living {
        tenant,
        role,
        issuer,
        count: ids.len(),
        until,
    };
    Ok(found.into_iter().map(one).collect())
}

/// Tenant, role and issuer, the credential and its end, where a cloud has made it and it may live.
fn made(
    record: &Record,
    before: Timestamp,
    now: Timestamp,
) -> Option<((String, String, String), &str, Timestamp)> {
    let Event::Grant { credential, expires, upstream: Some(upstream), .. } = &record.event else {
        return None;
    };
    // The second of a cut-off belongs to it.
    if *expires <= now || record.at.as_second() > before.as_second() {
        return None;
    }
    let place = (record.tenant.clone()?, record.role.clone()?, upstream.issuer.clone());
    Some((place, credential, *expires))
}

impl Living {
    /// As people read it.
    pub(super) fn text(&self) -> String {
        let Self { role, issuer, count, until, .. } = self;
        let (what, lives, last) = match count {
            1 => ("1 credential".to_owned(), "lives", "until"),
            n => (format!("{n} credentials"), "live", "the last until"),
        };
        let until = rfc3339(*until);
        format!(
            "{what} that `{issuer}` has made in the role `{role}` cannot be recalled and still {lives}, {last} {until}: only the \
             cloud itself can stop what it has made, such as by a denial on the role or sub-account that it was made on"
        )
    }

    /// As scripts read it.
    pub(super) fn document(&self) -> Value {
        json!({
            "tenant": self.tenant,
            "role": self.role,
            "issuer": self.issuer,
            "revocable": false,
            "count": self.count,
            "lives_until": rfc3339(self.until),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use daypass_core::record::Entry;
    use daypass_core::testing::{MemoryStore, START, World, later};
    use uuid::Uuid;

    struct Given {
        id: &'static str,
        role: &'static str,
        issuer: Option<&'static str>,
        at: u32,
        ends: u32,
    }

    async fn put(store: &MemoryStore, given: &[Given]) {
        for (number, Given { id, role, issuer, at, ends }) in given.iter().enumerate() {
            let mut event = json!({"event": "grant", "credential": id, "expires": later(*ends).to_string()});
            if let Some(issuer) = issuer {
                event["upstream"] =
                    json!({"issuer": issuer, "key": "AKIDroot", "obtained": later(*at).to_string()});
            }
            let record = json!({
                "id": Uuid::from_u128(number as u128 + 1), "at": later(*at).to_string(), "tenant": "acme",
                "role": role, "client": World::new().client.guid, "key": "AKIDworld", "subject": "ann",
                "event": event,
            });
            let record = serde_json::from_value(record).unwrap();
            store.append(Entry { record, mark: None }).await.unwrap();
        }
    }

    async fn counted(store: &MemoryStore, scope: &Scope, before: u32, now: u32) -> Vec<(String, usize, u32)> {
        let living = living(store, scope, later(before), later(now)).await.unwrap();
        let ends = |until: Timestamp| u32::try_from(until.as_second() - START.as_second()).unwrap();
        living.into_iter().map(|one| (one.issuer + "/" + &one.role, one.count, ends(one.until))).collect()
    }

    #[tokio::test]
    async fn what_lives_is_counted_once_with_its_latest_end() {
        let store = MemoryStore::new();
        let given = |id, role, issuer, at, ends| Given { id, role, issuer, at, ends };
        put(
            &store,
            &[
                given("one", "soe", Some("main"), 0, 3600),
                given("one", "soe", Some("main"), 50, 3600),
                given("two", "soe", Some("main"), 60, 7200),
                given("over", "soe", Some("main"), 0, 100),
                given("ours", "soe", None, 0, 7200),
                given("other", "uploads", Some("ali"), 70, 900),
                given("after", "soe", Some("main"), 200, 9000),
            ],
        )
        .await;
        let both = vec![("main/soe".to_owned(), 2, 7200), ("ali/uploads".to_owned(), 1, 900)];
        let all = |mut found: Vec<_>, mut expected: Vec<_>| {
            found.sort();
            expected.sort();
            assert_eq!(found, expected);
        };
        let acme = || Scope::Tenant("acme".into());
        for scope in [
            Scope::All,
            acme(),
            Scope::Client(World::new().client.guid),
            Scope::Key("AKIDworld".into()),
            Scope::Subject { tenant: "acme".into(), subject: "ann".into() },
        ] {
            all(counted(&store, &scope, 100, 150).await, both.clone());
        }
        let role = Scope::Role { tenant: "acme".into(), role: "uploads".into() };
        all(counted(&store, &role, 100, 150).await, vec![("ali/uploads".into(), 1, 900)]);
        let one = Scope::Credential("two".into());
        all(counted(&store, &one, 100, 150).await, vec![("main/soe".into(), 1, 7200)]);
        for scope in [Scope::Tenant("other".into()), Scope::Key("AKIDother".into())] {
            all(counted(&store, &scope, 100, 150).await, vec![]);
        }
        all(counted(&store, &acme(), 200, 1000).await, vec![("main/soe".into(), 3, 9000)]);
        all(counted(&store, &acme(), 59, 1000).await, vec![("main/soe".into(), 1, 3600)]);
        all(counted(&store, &acme(), 200, 9000).await, vec![]);
    }

    #[test]
    fn it_says_how_many_and_until_when() {
        let living = |count| Living {
            tenant: "acme".into(),
            role: "soe".into(),
            issuer: "main".into(),
            count,
            until: START,
        };
        assert!(
            living(1).text().starts_with("1 credential that `main` has made in the role `soe` cannot be")
        );
        assert!(living(1).text().contains(&format!("still lives, until {}:", rfc3339(START))));
        assert!(living(12).text().contains(&format!("still live, the last until {}:", rfc3339(START))));
        assert_eq!(living(3).document()["revocable"], false);
    }
}
