//! What is kept, and what must not be seen of it.

use super::*;
use daypass_core::policy::Policy;
use daypass_core::testing::{allow, later, ring};

fn sheet(parts: Parts) -> Sheet {
    Sheet {
        turn: 7,
        parts,
        issued: START,
        obtained: after(START, 1),
        expires: later(60),
        request: Some("request-1".into()),
        root: "AKIDroot".into(),
        policy: Some(Arc::new(narrow())),
        answer: [("end_point_public".to_owned(), "https://oss.example.com".to_owned())].into(),
        doubted: 3,
        key: Some("AKIDworld".into()),
        endpoint: "/".into(),
    }
}

fn narrow() -> Policy {
    allow(daypass_core::policy::Language::Ram, "oss:PutObject", "acs:oss:*:*:bucket/a")
}

fn triple() -> Parts {
    let (secret, token) = (Secret::new("s3cret"), Secret::new("t0ken"));
    Parts::Triple { id: "AKIDcloud".into(), secret, token }
}

fn sealed(parts: Parts, place: u8) -> Arc<[u8]> {
    sheet(parts).seal(&ring(), &SeededEntropy::new(1), &[place; 16]).unwrap()
}

#[test]
fn what_is_sealed_comes_back_whole_and_in_its_place_alone() {
    let blob = sealed(triple(), 1);
    let opened = Sheet::open(&ring(), &[1; 16], &blob).unwrap();
    assert_eq!((opened.turn, opened.issued, opened.obtained), (7, START, after(START, 1)));
    assert_eq!((opened.expires, opened.root.as_str()), (later(60), "AKIDroot"));
    assert_eq!((opened.key.as_deref(), opened.endpoint.as_str()), (Some("AKIDworld"), "/"));
    assert_eq!(opened.policy.as_deref(), Some(&narrow()));
    assert_eq!(opened.answer["end_point_public"], "https://oss.example.com");
    assert_eq!(opened.doubted, 3);
    assert_eq!((opened.id(), opened.request.as_deref()), ("AKIDcloud".to_owned(), Some("request-1")));
    let Some(Credential::Triple(back)) = opened.credential(Form::Triple(TripleKind::Alibaba)) else {
        panic!("a triple")
    };
    assert_eq!(
        (back.kind, back.secret.expose_str(), back.token.as_str()),
        (TripleKind::Alibaba, "s3cret", "t0ken")
    );

    assert!(Sheet::open(&ring(), &[2; 16], &blob).is_err(), "moved to another row");
    let mut changed = blob.to_vec();
    *changed.last_mut().unwrap() ^= 1;
    assert!(Sheet::open(&ring(), &[1; 16], &changed).is_err());
    assert!(Sheet::open(&ring(), &[1; 16], b"").is_err());
}

#[test]
fn an_access_token_has_an_id_and_a_fingerprint_of_its_own() {
    let opened = Sheet::open(&ring(), &[1; 16], &sealed(Parts::Bearer(Secret::new("t0ken")), 1)).unwrap();
    assert_eq!(opened.fingerprint(), print_of("t0ken"));
    let id = opened.id();
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, b"t0ken");
    assert_eq!(id, Uuid::from_slice(&hash.as_ref()[..16]).unwrap().to_string());
    let Some(Credential::Bearer(bearer)) = opened.credential(Form::Bearer) else { panic!("a token") };
    assert_eq!((bearer.id.to_string(), bearer.kid), (id, None));
}

#[test]
fn a_credential_of_another_form_is_none() {
    assert!(sheet(triple()).credential(Form::Bearer).is_none());
    let bearer = Parts::Bearer(Secret::new("t0ken"));
    assert!(sheet(bearer).credential(Form::Triple(TripleKind::Tencent)).is_none());
}

#[test]
fn life_is_judged_by_the_later_of_two_clocks() {
    let sheet = sheet(triple());
    assert!(sheet.lasts(60, START) && !sheet.lasts(61, START));
    assert!(sheet.lasts(10, later(50)) && !sheet.lasts(10, later(51)));
    let back = |seconds| daypass_core::clock::before(START, seconds);
    assert!(sheet.lasts(60, back(5)) && !sheet.lasts(61, back(5)), "a node's clock is behind: no more life");
    assert!(!sheet.lasts(0, back(6)), "from the future");
}

#[test]
fn the_next_one_is_due_by_the_greater_of_two_margins_within_the_usable_life() {
    // Its life is 60 seconds.
    let sheet = sheet(triple());
    for (least, margin) in [(0, 12), (3, 12), (7, 14), (20, 40), (30, 45), (60, 60)] {
        let due = later(60 - margin);
        assert!(!sheet.ages(least, due) && sheet.ages(least, after(due, 1)), "{least}: at {margin}");
    }
}

#[test]
fn nothing_secret_is_in_what_is_kept() {
    let contains = |blob: &[u8], text: &str| blob.windows(text.len()).any(|part| part == text.as_bytes());
    let blob = sealed(triple(), 1);
    for text in ["s3cret", "t0ken", "AKIDcloud", "AKIDworld", "oss.example.com"] {
        assert!(!contains(&blob, text), "{text}");
    }
    assert_ne!(blob[..], sealed(triple(), 2)[..]);
}

#[tokio::test(start_paused = true)]
async fn nothing_secret_is_in_the_store_or_in_what_is_said() {
    let bed = Bed::new();
    let node = bed.node(1);
    let request = bed.plain();
    assert_eq!(request.number(&node).await, 1);
    let row = bed.store.held(bed.place(&request)).await.unwrap().unwrap();
    let text = format!("{row:?} {}", String::from_utf8_lossy(row.sealed.as_deref().unwrap()));
    for secret in ["secret-1", "token-1", "the root key's secret"] {
        assert!(!text.contains(secret), "{secret}");
    }
    assert_eq!((row.turn, row.holder), (1, None));
    assert_eq!(row.keep, after(START, LIFE + 60), "as long as it may count on any node");
    bed.clock.jump(3_600_000);
    bed.cloud.faults.lock().push_back(Fault::new(FaultKind::Wrong, "another account"));
    let refusal = request.refusal(&node).await;
    let said = format!("{refusal:?} {refusal}");
    assert!(
        !said.contains("token-") && !said.contains("secret-") && !said.contains("the root key's"),
        "{said}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_failure_leaves_what_the_store_keeps() {
    let bed = Bed::new();
    let (node, request) = (bed.node(1), bed.plain());
    assert_eq!(request.number(&node).await, 1);
    bed.cloud.faults.lock().push_back(down());
    seconds(1_201).await;
    assert_eq!(request.number(&node).await, 1);
    sleep(LATENCY + Duration::from_millis(1)).await;
    let row = bed.store.held(bed.place(&request)).await.unwrap().unwrap();
    assert_eq!((row.turn, row.holder, row.sealed.is_some()), (2, None, true));
    assert_eq!(row.keep, after(START, LIFE + 60));
    assert!(row.until > bed.clock.now(), "the pause");
    assert_eq!(request.number(&bed.node(2)).await, 1, "and another node takes it up");
}
