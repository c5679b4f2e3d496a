//! Records and their chains.

use super::{Open, at, client, entry, everything, put, read, record, verify, writer};
use daypass_core::asked::{Asked, AskedPolicy, AskedRole};
use daypass_core::credential::Brokered;
use daypass_core::policy::{Cut, Language, Warned, Whose, Would};
use daypass_core::record::{Entry, Event, Record};
use daypass_core::store::{Appended, Change, RecordQuery, Store};
use daypass_core::testing::{START, allow};
use daypass_core::triple::TripleKind;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use uuid::Uuid;

fn query() -> RecordQuery {
    RecordQuery { limit: 3, ..RecordQuery::default() }
}

pub(crate) async fn append(store: &Arc<dyn Store>, number: u128, millis: i64, tenant: Option<&str>) {
    let entry = Entry { record: record(number, at(millis), tenant), mark: None };
    assert_eq!(store.append(entry).await, Ok(Appended::Appended));
}

/// Every field of every kind of event, oldest first.
pub async fn records_read_back_in_order(open: &Open) {
    let store = writer(open, 1).await;
    let events = [
        Event::Grant {
            credential: "AKID1".into(),
            expires: at(1_800_000),
            policy: Some(Arc::new(allow(Language::Ram, "oss:PutObject", "acs:oss:*:*:b/\u{8056}/*"))),
            app_roles: vec!["orders.read".into()],
            audience: Some("api://orders".into()),
            kid: Some("kid".into()),
            upstream: Some(Box::new(Brokered {
                issuer: "cloud".into(),
                key: "AKIDroot".into(),
                obtained: at(1_000),
                request: Some("req".into()),
                kept: true,
                shared: true,
            })),
            bound: Some("jkt thumbprint".into()),
            origin: Some(Uuid::from_u128(9)),
            correlation: Some("c".into()),
            variables: [("poi_id".to_owned(), "8005".to_owned())].into(),
            tags: [("team".to_owned(), "\u{8056}".to_owned())].into(),
            source_identity: Some("alice@example.com".into()),
            asked: Some(Box::new(Asked {
                role: AskedRole::Named("uploads".into()),
                form: Some(TripleKind::Alibaba),
                lifetime: Some(60),
                variables: [("poi_id".to_owned(), "8005".to_owned())].into(),
                policy: AskedPolicy::Document(allow(Language::Ram, "oss:*", "*")),
                cut_off: true,
                app_roles: Some(vec!["orders.read".into()]),
                exchange: true,
                cut: vec![Cut::Ask, Cut::Client, Cut::Endpoint, Cut::Tenant, Cut::Exchange],
                warned: vec![Warned { whose: Whose::Tenant, would: Would::Cut, statements: vec![1] }],
                shortened: true,
            })),
            repeat: true,
        },
        Event::Refusal {
            reason: "bad-signature".into(),
            detail: "the \"signature\" is wrong\n\u{0}".into(),
            parameter: Some("Signature".into()),
            asked: None,
        },
        Event::Ticket { ticket: "t1".into(), origin: "https://a.example".into(), expires: at(120_000) },
        Event::Alarm { reason: "ticket_spent".into(), detail: "used before".into() },
        Event::Strangers { reason: "other".into(), network: None, count: u64::MAX },
        Event::Change { action: "client.add".into(), object: "app".into() },
        Event::Warning { warning: "key.expires".into(), object: "k1".into(), days: 7, detail: None },
    ];
    let mut expected = Vec::new();
    for (number, event) in (1_u128..).zip(events) {
        let record = Record {
            event,
            dialect: Some("tencent.sts".into()),
            request: Some(Uuid::from_u128(number)),
            client: Some(Uuid::from_u128(7)),
            key: Some("AKIDworld".into()),
            role: Some("soe".into()),
            session: Some("\u{674e}\u{96f7}".into()),
            subject: Some("\u{97e9}".into()),
            via: Some("web-identity:corp".into()),
            source: Some("2001:db8::1".parse().unwrap()),
            weak: Some("md5".into()),
            proof: Some("private_key_jwt".into()),
            ..record(number, "2026-11-22T06:04:25.123456789Z".parse().unwrap(), Some("acme"))
        };
        store.append(Entry { record: record.clone(), mark: None }).await.unwrap();
        expected.push(record);
    }
    for store in [&store, &open()] {
        let stored = store.records(everything()).await.unwrap();
        assert!(stored.is_sorted_by(|a, b| a.position < b.position));
        assert_eq!(stored.into_iter().map(|stored| stored.record).collect::<Vec<_>>(), expected);
    }
}

/// Without a cursor the newest, with one the next, and a reader that follows misses none and sees none twice.
pub async fn records_are_read_by_pages(open: &Open) {
    let stores = [writer(open, 1).await, writer(open, 2).await];
    for number in 1..=10 {
        append(&stores[usize::from(number % 2 == 0)], number, 0, Some("acme")).await;
    }
    let store = &stores[0];
    assert_eq!(read(store, query()).await, [8, 9, 10]);
    assert_eq!(read(store, RecordQuery { limit: 0, ..query() }).await, [0; 0]);

    let mut all = Vec::new();
    let mut after = Some(0);
    loop {
        let page = store.records(RecordQuery { after, ..query() }).await.unwrap();
        let Some(last) = page.last() else { break };
        assert!(page.len() <= 3);
        after = Some(last.position);
        all.extend(page.iter().map(|stored| stored.record.id.as_u128()));
    }
    assert_eq!(all, (1..=10).collect::<Vec<_>>());

    append(store, 11, 0, Some("acme")).await;
    assert_eq!(read(&stores[1], RecordQuery { after, ..query() }).await, [11]);
}

/// A tenant's alone, whoever else wrote between them; records of no tenant belong to none.
pub async fn records_are_found_by_tenant(open: &Open) {
    let store = writer(open, 1).await;
    for number in 1..=30 {
        let tenant = [None, Some("acme"), Some("other")][usize::try_from(number % 3).unwrap()];
        append(&store, number, i64::try_from(number).unwrap(), tenant).await;
    }
    let acme = || RecordQuery { tenant: Some("acme".into()), ..query() };
    assert_eq!(read(&store, acme()).await, [22, 25, 28]);
    assert_eq!(read(&store, RecordQuery { limit: 99, ..acme() }).await.len(), 10);
    assert_eq!(read(&store, RecordQuery { tenant: Some("acm".into()), ..query() }).await, [0; 0]);
    assert_eq!(read(&store, RecordQuery { since: Some(at(26)), ..acme() }).await, [28]);

    let position = store.records(acme()).await.unwrap()[0].position;
    assert_eq!(read(&store, RecordQuery { after: Some(position), ..acme() }).await, [25, 28]);
    assert_eq!(read(&store, RecordQuery { after: Some(position - 1), limit: 1, ..acme() }).await, [22]);
}

/// Clocks differ, so records do not stand in the order of their times. None that is late enough is left out.
pub async fn records_are_found_by_time(open: &Open) {
    let store = writer(open, 1).await;
    let times = [10, 30, 20, 40, 40, 35, 60, 5, 50, 70];
    for (number, millis) in (1..).zip(times) {
        append(&store, number, millis, Some("acme")).await;
    }
    for since in 0..=75 {
        let expected: Vec<u128> =
            (1..).zip(times).filter(|(_, millis)| *millis >= since).map(|(number, _)| number).collect();
        let query = RecordQuery { since: Some(at(since)), ..everything() };
        assert_eq!(read(&store, query.clone()).await, expected, "since {since}");
        let newest = expected.split_at(expected.len().saturating_sub(2)).1;
        assert_eq!(read(&store, RecordQuery { limit: 2, ..query.clone() }).await, newest, "since {since}");
        let next: Vec<_> = expected.iter().copied().filter(|number| *number > 4).take(2).collect();
        let fourth = store.records(everything()).await.unwrap()[3].position;
        let query = RecordQuery { limit: 2, after: Some(fourth), ..query };
        assert_eq!(read(&store, query).await, next, "since {since} behind the fourth");
    }
    let finer = "2023-11-14T22:13:20.070000001Z".parse().unwrap();
    let query = RecordQuery { since: Some(finer), ..everything() };
    assert_eq!(read(&store, query).await, [0; 0], "a nanosecond behind the last");
}

/// Each writer has a chain of its own, whatever others write between its records.
pub async fn chains_of_interleaved_writers_verify(open: &Open) {
    let stores = [writer(open, 1).await, writer(open, 2).await, writer(open, 3).await];
    for number in 0..40 {
        stores[usize::try_from(number * number % 3).unwrap()].append(entry(number)).await.unwrap();
    }
    put(&stores[2], 40, vec![Change::PutClient(client(1, "acme", "app"))]).await.unwrap();
    stores[1].close().await.unwrap();
    stores[0].append(entry(41)).await.unwrap();
    let store = open();
    assert_eq!(verify(&store).await, 42);
    let writers: Vec<_> = store.heads().await.unwrap().iter().map(|head| head.writer.as_u128()).collect();
    assert_eq!(BTreeSet::from_iter(writers), BTreeSet::from([1, 2, 3]));
}

/// In order, from the cursor on, and one writer's alone.
pub async fn links_are_read_by_pages(open: &Open) {
    let (one, two) = (writer(open, 1).await, writer(open, 2).await);
    for number in 1..=5 {
        one.append(entry(number)).await.unwrap();
        two.append(entry(100 + number)).await.unwrap();
    }
    let numbers = async |writer, after, limit| {
        let links = two.links(Uuid::from_u128(writer), after, limit).await.unwrap();
        links.iter().map(|link| link.seq).collect::<Vec<_>>()
    };
    assert_eq!(numbers(1, 0, 3).await, [1, 2, 3]);
    assert_eq!(numbers(1, 3, 3).await, [4, 5]);
    assert_eq!(numbers(1, 5, 3).await, [0; 0]);
    assert_eq!(numbers(2, 0, usize::MAX).await, [1, 2, 3, 4, 5]);
    assert_eq!(numbers(3, 0, 3).await, [0; 0], "a writer that does not exist");
}

/// What was acknowledged is there, once, and the chains have no gap.
pub async fn hundreds_at_once_are_all_durable(open: &Open) {
    let stores = [writer(open, 1).await, writer(open, 2).await];
    let mut tasks = JoinSet::new();
    for number in 0..600_u128 {
        let store = stores[usize::from(number % 3 == 0)].clone();
        tasks.spawn(async move { store.append(entry(number)).await.map(|_| number) });
    }
    let mut acknowledged = BTreeSet::new();
    while let Some(done) = tasks.join_next().await {
        acknowledged.insert(done.unwrap().unwrap());
    }
    assert_eq!(acknowledged.len(), 600);
    let mut stored = read(&open(), everything()).await;
    stored.sort_unstable();
    assert_eq!(stored, acknowledged.into_iter().collect::<Vec<_>>());
    assert_eq!(verify(&stores[0]).await, 600);
}

/// Changes that are refused share commits with records that are not.
pub async fn changes_and_appends_at_once_keep_the_chain(open: &Open) {
    let store = writer(open, 1).await;
    let mut tasks = JoinSet::new();
    for number in 0..120_u128 {
        let store = store.clone();
        tasks.spawn(async move {
            match number % 3 {
                // All of one name, so that one succeeds.
                0 => {
                    put(&store, number, vec![Change::PutClient(client(number, "acme", "app"))]).await.is_ok()
                }
                1 => store.spend([7; 16], at(1)).await.is_err(),
                _ => store.append(entry(number)).await.is_ok(),
            }
        });
    }
    let mut written = 0;
    while let Some(done) = tasks.join_next().await {
        written += u64::from(done.unwrap());
    }
    assert_eq!(written, 41);
    assert_eq!(store.clients().await.unwrap().len(), 1);
    assert_eq!(verify(&store).await, 41);
}

/// A client that hangs up takes nobody else's record with it.
pub async fn a_wait_that_is_dropped_does_no_harm(open: &Open) {
    let store = writer(open, 1).await;
    let mut tasks = JoinSet::new();
    for number in 0..200_u128 {
        let store = store.clone();
        tasks.spawn(async move {
            let append = store.append(entry(number));
            if number % 2 == 0 {
                // Polled once, so that it is on its way, and given up.
                let _ = tokio::time::timeout(Duration::ZERO, append).await;
                None
            } else {
                Some(append.await.map(|_| number).unwrap())
            }
        });
    }
    let mut acknowledged = BTreeSet::new();
    while let Some(done) = tasks.join_next().await {
        acknowledged.extend(done.unwrap());
    }
    drop(store.version());
    drop(store.change(vec![], record(999, START, None)));
    let stored = BTreeSet::from_iter(read(&store, everything()).await);
    assert!(acknowledged.len() == 100 && acknowledged.is_subset(&stored));
    assert_eq!(verify(&store).await, u64::try_from(stored.len()).unwrap());
}
