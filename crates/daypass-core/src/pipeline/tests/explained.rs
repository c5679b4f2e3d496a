//! A caller asks about decisions of its own.

use super::*;
use crate::id::uuid_v7;
use crate::record::Record;

/// Records that this client was refused, on a request that had arrived then and was decided `late` seconds after it.
async fn decided(bench: &Bench, n: u128, late: u32, tenant: &str, client: Uuid) -> Uuid {
    let id = uuid_v7(START, u8::try_from(n).unwrap_or(255).to_be_bytes().repeat(10).try_into().unwrap());
    let event =
        Event::Refusal { reason: "no_role".into(), detail: "no".into(), parameter: None, asked: None };
    let record = Record {
        tenant: Some(tenant.into()),
        client: Some(client),
        request: Some(id),
        ..Record::bare(Uuid::from_u128(n), later(late), event)
    };
    bench.store.append(Entry { record, mark: None }).await.unwrap();
    id
}

impl Bench {
    /// Asks about an answer, with a new signature each time.
    async fn explain(&self, n: u32, id: Uuid) -> String {
        self.get(&format!("/?key=AKIDworld&sign=secret of AKIDworld|{n}&explain={id}")).await
    }
}

#[tokio::test]
async fn a_caller_finds_its_own_decision_and_nobody_elses() {
    let bench = Bench::new();
    let client = bench.world.client.guid;
    let own = decided(&bench, 1, 0, "acme", client).await;
    let of_another = decided(&bench, 2, 0, "acme", Uuid::from_u128(9)).await;
    let elsewhere = decided(&bench, 3, 0, "other", client).await;
    let unknown = uuid_v7(START, [4; 10]);
    assert_eq!(bench.explain(1, own).await, format!("{:?}", Some(Some(own))));
    for (n, id) in (2..).zip([of_another, elsewhere, unknown]) {
        assert_eq!(bench.explain(n, id).await, "None");
    }
    assert_eq!(bench.store.all().len(), 3, "a question is not recorded");
}

#[tokio::test]
async fn a_decision_is_found_behind_many_others_and_only_at_its_time() {
    let bench = Bench::new();
    let client = bench.world.client.guid;
    for n in 0..2500 {
        decided(&bench, n, 0, "acme", Uuid::from_u128(9)).await;
    }
    // A body that took its time.
    let own = decided(&bench, 251, 14, "acme", client).await;
    assert_eq!(bench.explain(1, own).await, format!("{:?}", Some(Some(own))));
    let too_late = decided(&bench, 252, 30, "acme", client).await;
    for n in 0..2500 {
        decided(&bench, n, 31, "acme", Uuid::from_u128(9)).await;
    }
    let behind = decided(&bench, 253, 31, "acme", client).await;
    assert_eq!(
        bench.explain(2, too_late).await,
        format!("{:?}", Some(Some(too_late))),
        "in a page that was read"
    );
    assert_eq!(bench.explain(3, behind).await, "None", "the pages of another time are not read");
}

/// Nodes write side by side, and one of them may be ahead.
#[tokio::test]
async fn one_record_of_later_does_not_end_the_search() {
    let bench = Bench::new();
    for n in 0..999 {
        decided(&bench, n, 0, "acme", Uuid::from_u128(9)).await;
    }
    decided(&bench, 254, 31, "acme", Uuid::from_u128(9)).await;
    let own = decided(&bench, 251, 0, "acme", bench.world.client.guid).await;
    assert_eq!(bench.explain(1, own).await, format!("{:?}", Some(Some(own))));
}

#[tokio::test]
async fn a_temporary_credential_does_not_tell_about_its_client() {
    let bench = Bench::new();
    let granted = bench.get(GOOD).await;
    let id = bench.store.all()[0].request.unwrap();
    let question = Bench::who(&granted).replace("?who", &format!("?explain={id}"));
    assert_eq!(bench.get(&question).await, "refused temporary_not_allowed");
    assert_eq!(bench.explain(1, id).await, format!("{:?}", Some(Some(id))));
}

#[tokio::test]
async fn questions_are_rationed_by_client() {
    let bench = Bench::new();
    let id = uuid_v7(START, [1; 10]);
    for n in 0..30 {
        assert_eq!(bench.explain(n, id).await, "None");
    }
    assert_eq!(bench.explain(30, id).await, "refused rate_limited");
    assert_eq!(bench.store.all().len(), 1, "the refusal is");
    bench.clock.advance(60_000);
    assert_eq!(bench.explain(31, id).await, "None", "a minute later");
}

#[tokio::test]
async fn what_was_not_looked_through_is_not_denied() {
    let bench = Bench::new();
    let id = uuid_v7(START, [1; 10]);
    assert_eq!(bench.explain(1, id).await, "None");
    for n in 0..50_001 {
        decided(&bench, n % 200, 0, "acme", Uuid::from_u128(9)).await;
    }
    assert_eq!(bench.explain(2, id).await, "refused unavailable");
}
