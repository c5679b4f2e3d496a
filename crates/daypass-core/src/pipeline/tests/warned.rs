//! Rules that are only tried: what they would have done is in the record and in the summary, and not in the answer.

use super::*;
use crate::policy::{Language, Warned, Whose, Would};
use crate::testing::allow;

#[tokio::test]
async fn what_a_tried_rule_would_do_is_recorded_and_counted_and_not_done() {
    let plain = Bench::new();
    assert!(plain.get("/getAuthorization").await.starts_with("AKID"));
    let mut bench = Bench::new();
    let endpoint = Arc::make_mut(&mut bench.world.plan.endpoints[0]);
    endpoint.boundary_warn = Some(allow(Language::Cam, "soe:*", "qcs::soe:*:*:app/1"));
    Arc::make_mut(&mut bench.world.plan.tenants[0]).boundary_warn = Some(allow(Language::Ram, "*", "*"));
    let directory = bench.world.directory();
    let asked = request("GET", "/getAuthorization", &[], b"");
    let answer = bench.pipeline.answer(&bench.toy, &directory, asked).await;
    assert_eq!(answer.summary.result, Ok(Success::Granted));
    assert_eq!(answer.summary.warned, [Whose::Endpoint, Whose::Tenant]);
    let granted = |bench: &Bench| match &bench.events()[..] {
        [Event::Grant { policy, asked: Some(asked), .. }] => (policy.clone(), asked.clone()),
        other => panic!("{other:?}"),
    };
    let ((before, _), (policy, asked)) = (granted(&plain), granted(&bench));
    assert_eq!((policy, &asked.cut[..]), (before, &[][..]));
    let cut = Warned { whose: Whose::Endpoint, would: Would::Cut, statements: vec![1] };
    let fail = Warned { whose: Whose::Tenant, would: Would::Fail, statements: vec![] };
    assert_eq!(asked.warned, [cut, fail]);
}
