//! Temporary credentials, shown again: by whom, for how long, and until what falls.

use super::*;

#[tokio::test]
async fn a_temporary_credential_is_as_strict_as_its_client() {
    let mut bench = Bench::new();
    let who = Bench::who(&bench.get(GOOD).await);
    bench.toy.weak = Some(crate::dialect::Weak::UnsignedPayload);
    assert!(bench.get(&who).await.starts_with("Some"));
    bench.world.client.refuses.unsigned_payload = true;
    assert_eq!(bench.get(&who).await, "refused weak_proof_refused");
}

#[tokio::test]
async fn a_temporary_credential_is_refused_in_each_wrong_way() {
    let bench = Bench::new();
    let (a, b) = (bench.fresh(1).await, bench.fresh(2).await);
    let parts = |granted: &str| granted.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let (a, b) = (parts(&a), parts(&b));
    let who = |id: &str, secret: &str, token: &str| format!("/?who&key={id}&sign={secret}&token={token}");
    assert_eq!(bench.get(&who(&a[0], &b[1], &a[2])).await, "refused wrong_signature");
    assert_eq!(bench.get(&who(&a[0], &a[1], &b[2])).await, "refused token_invalid");
    assert_eq!(bench.get(&who(&b[0], &a[1], &a[2])).await, "refused token_invalid");
    assert_eq!(bench.get(&format!("/?who&key={}&sign={}", a[0], a[1])).await, "refused unknown_key");
    assert_eq!(
        bench.get(&format!("/?key={}&sign={}&token={}", a[0], a[1], a[2])).await,
        "refused temporary_not_allowed"
    );
    assert_eq!(
        bench.get(&format!("{GOOD}&token={}", a[2])).await,
        "refused token_invalid",
        "a permanent key has no token"
    );
}

#[tokio::test]
async fn a_temporary_credential_of_another_vendor_is_no_key_here() {
    let bench = Bench::new();
    let granted = bench.get(GOOD).await;
    let [id, _, token] = granted.split(' ').collect::<Vec<_>>()[..] else { panic!("{granted}") };
    let claims = triple::open(&crate::testing::ring(), id, token).unwrap_or_else(|r| panic!("{r:?}")).claims;
    for (kind, answer) in
        [(TripleKind::Tencent, r#"Some("soe") None"#), (TripleKind::Alibaba, "refused unknown_key")]
    {
        let draw = Draw::fresh(&SeededEntropy::new(7), START);
        let made =
            triple::make(&crate::testing::ring(), kind, &claims, &draw).unwrap_or_else(|r| panic!("{r:?}"));
        let who = Bench::who(&format!("{} {} {}", made.id, made.secret.expose_str(), made.token));
        assert_eq!(bench.get(&who).await, answer, "{kind:?}");
    }
}

#[tokio::test]
async fn a_credential_of_one_second_lives_one_second() {
    let bench = Bench::new();
    let granted = bench.get(&format!("{GOOD}&life=1")).await;
    bench.clock.advance(999);
    assert!(bench.get(&Bench::who(&granted)).await.starts_with("Some"));
    bench.clock.advance(1);
    assert_eq!(bench.get(&format!("{}&again", Bench::who(&granted))).await, "refused token_expired");
    let last = bench.store.all().pop().unwrap();
    assert!(matches!(last.event, Event::Refusal { reason, .. } if reason == "token_expired"));
    assert_eq!(last.client, Some(bench.world.client.guid), "its holder is known, and so is recorded");
}

#[tokio::test]
async fn a_temporary_credential_falls_with_its_client_key_role_or_a_cutoff() {
    type Change = fn(&mut World);
    let fall: [(&str, Change); 6] = [
        ("client disabled", |world| world.client.enabled = false),
        ("key disabled", |world| world.keys[0].enabled = false),
        ("key expired", |world| world.keys[0].expires = Some(START)),
        ("grant taken away", |world| world.client.grants.retain(|grant| grant.role != "soe")),
        ("role removed", |world| world.plan.roles.retain(|role| role.name != "soe")),
        ("cut off", |world| {
            world.cutoffs.push(Cutoff { scope: Scope::Tenant("acme".into()), before: later(1) });
        }),
    ];
    for (why, change) in fall {
        let mut bench = Bench::new();
        let granted = bench.get(GOOD).await;
        assert!(bench.get(&Bench::who(&granted)).await.starts_with("Some"), "{why}");
        change(&mut bench.world);
        assert_eq!(
            bench.get(&format!("{}&again", Bench::who(&granted))).await,
            "refused token_revoked",
            "{why}"
        );
    }
}

#[tokio::test]
async fn what_an_anonymous_endpoint_gave_falls_with_the_endpoint() {
    type Change = fn(&mut World);
    let fall: [(&str, Change); 3] = [
        ("removed", |world| world.plan.endpoints.clear()),
        ("another role", |world| Arc::make_mut(&mut world.plan.endpoints[0]).role = Some("other".into())),
        ("another tenant", |world| Arc::make_mut(&mut world.plan.endpoints[0]).tenant = "other".into()),
    ];
    for (why, change) in fall {
        let mut bench = Bench::new();
        let who = Bench::who(&bench.get("/getAuthorization").await);
        assert!(bench.get(&who).await.starts_with("Some"), "{why}");
        change(&mut bench.world);
        assert_eq!(bench.get(&who).await, "refused token_revoked", "{why}");
    }
}
