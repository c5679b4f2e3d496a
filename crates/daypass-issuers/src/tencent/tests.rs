use super::*;
use crate::cloud::build;
use crate::cloud::tests::round::{ONCE, Round, opened};
use crate::cloud::tests::{authorized, key, soe, upload, upstream, wanted};
use crate::testing::hostile::{Act, Asked, Hostile};
use daypass_core::dialect::Issue;
use daypass_core::policy::{Effect, Language, Pattern, Statement, Template, within};
use daypass_core::refusal::Reason;
use daypass_core::role::Role;
use daypass_core::testing::{START, allow, later};
use daypass_core::triple::SessionKind;
use daypass_dialects::tencent::Sts;
use daypass_dialects::tencent::sign::{self, CanonicalRequest, Scope, StringToSign, sign_request};
use proptest::collection::vec;
use proptest::prelude::*;

const ROLE: &str = "qcs::cam::uin/100000000001:roleName/soe";

fn kind(unsigned_payload: bool) -> upstream::Cloud {
    upstream::Cloud::Tencent { region: "ap-beijing".into(), unsigned_payload }
}

/// The one request that leaves for this.
async fn caught(unsigned_payload: bool, ask: impl AsyncFn(&dyn Cloud)) -> Asked {
    let hostile = Hostile::plain(Act::HangUp).await;
    let cloud = build(&upstream(kind(unsigned_payload), &hostile.url("/"), None, 10_000)).unwrap();
    ask(&*cloud).await;
    let [asked] = &hostile.asked()[..] else { panic!("one request") };
    asked.clone()
}

async fn fetched(cloud: &dyn Cloud, wanted: &Wanted) {
    assert!(cloud.fetch(wanted, &key("AKIDroot"), START, ONCE).await.is_err());
}

/// Every step of the signature, from the bytes that arrived and by the vendor's page, without the code that signs.
fn assert_signed(asked: &Asked, payload: &[u8]) {
    let host = asked.header("host");
    assert!(host.starts_with("127.0.0.1:"), "{host}");
    let hex = |digest: &sign::Digest| String::from_utf8(sign::hex(digest).to_vec()).unwrap();
    // Two questions of one second that ask for the same must not be the same.
    let trace = asked.header("x-tc-traceid");
    assert_eq!(trace.len(), 36, "{trace}");
    let canonical = format!(
        "POST\n/\n\ncontent-type:application/json\nhost:{host}\nx-tc-traceid:{trace}\n\ncontent-type;host;x-tc-traceid\n{}",
        hex(&sign::hash(payload))
    );
    let to_sign = format!(
        "TC3-HMAC-SHA256\n1700000000\n2023-11-14/sts/tc3_request\n{}",
        hex(&sign::hash(canonical.as_bytes()))
    );
    let scope = Scope { date: "2023-11-14", service: "sts" };
    let parts = StringToSign { timestamp: "1700000000", scope, request: sign::hash(canonical.as_bytes()) };
    assert_eq!(String::from_utf8(parts.text()).unwrap(), to_sign);
    let signature = hex(&parts.sign(&sign::derive(b"root-secret", scope)));
    assert_eq!(
        asked.header("authorization"),
        format!(
            "TC3-HMAC-SHA256 Credential=AKIDroot/2023-11-14/sts/tc3_request, SignedHeaders=content-type;host;x-tc-traceid, \
             Signature={signature}"
        )
    );
}

#[tokio::test]
async fn a_federation_token_is_asked_for_as_the_reference_says() {
    let asked = caught(false, async |cloud| fetched(cloud, &wanted(cloud, &soe())).await).await;
    assert_eq!((asked.method.as_str(), asked.target.as_str()), ("POST", "/"));
    for (name, value) in [
        ("content-type", "application/json"),
        ("x-tc-action", "GetFederationToken"),
        ("x-tc-version", "2018-08-13"),
        ("x-tc-region", "ap-beijing"),
        ("x-tc-timestamp", "1700000000"),
        ("x-tc-content-sha256", ""),
        ("x-tc-token", ""),
    ] {
        assert_eq!(asked.header(name), value, "{name}");
    }
    assert_eq!(
        asked.text(),
        r#"{"DurationSeconds":1800,"Name":"app","Policy":"{\"version\":\"2.0\",\"statement\":[{\"effect\":\"allow\",\"action\":[\"soe:TransmitOralProcessWithInit\"],\"resource\":[\"*\"]}]}"}"#
    );
    assert_signed(&asked, &asked.body);
}

#[tokio::test]
async fn a_payload_is_left_out_of_the_signature_where_that_is_configured() {
    let asked = caught(true, async |cloud| fetched(cloud, &wanted(cloud, &soe())).await).await;
    assert_eq!(asked.header("x-tc-content-sha256"), "UNSIGNED-PAYLOAD");
    assert_signed(&asked, b"UNSIGNED-PAYLOAD");
}

#[tokio::test]
async fn a_role_is_assumed_with_everything_that_the_session_has() {
    let issue = Issue {
        session: Some("alice@example.com".into()),
        kind: SessionKind::Assumed,
        tags: [("team".to_owned(), "red".to_owned())].into(),
        source_identity: Some("alice".into()),
        ..soe()
    };
    let authorized = authorized(|role| role.brokering.assume = Some(ROLE.into()), &issue);
    let asked = caught(false, async |cloud| {
        fetched(cloud, &cloud.wanted(&authorized).unwrap()).await;
    })
    .await;
    assert_eq!(asked.header("x-tc-action"), "AssumeRole");
    let body: Value = serde_json::from_str(asked.text()).unwrap();
    assert_eq!(
        body,
        json!({
            "RoleArn": ROLE, "RoleSessionName": "alice@example.com", "DurationSeconds": 1_800,
            "Policy": body["Policy"], "Tags": [{ "Key": "team", "Value": "red" }], "SourceIdentity": "alice",
        })
    );
    assert_signed(&asked, &asked.body);
}

#[tokio::test]
async fn the_canary_asks_who_it_is() {
    let asked = caught(false, async |cloud| {
        assert!(cloud.canary(&key("AKIDroot"), START, ONCE).await.is_err());
    })
    .await;
    assert_eq!((asked.header("x-tc-action"), asked.text()), ("GetCallerIdentity", "{}"));
    assert_signed(&asked, b"{}");
}

/// The vectors whose requests have our shape: what the vendor's own SDKs send for them, this signs.
#[test]
fn the_sdks_sign_the_same() {
    let vectors: Value =
        serde_json::from_str(include_str!("../../../daypass-dialects/vectors/tencent-tc3.json")).unwrap();
    let mut count = 0;
    for vector in vectors["tc3"].as_array().unwrap() {
        let text = |name: &str| vector[name].as_str().unwrap_or_default();
        let request = &vector["request"];
        let header = |name: &str| {
            let headers = request["headers"].as_object().unwrap();
            headers
                .iter()
                .find(|(n, _)| n.eq_ignore_ascii_case(name))
                .and_then(|(_, v)| v.as_str())
                .unwrap_or_default()
        };
        let body = request["body"].as_str().unwrap_or_default();
        let ours = request["method"] == "POST"
            && header("content-type") == "application/json"
            && text("service") == "sts"
            && text("canonical_request").contains(&format!("\nhost:{}\n", header("host")))
            && text("signed_headers") == "content-type;host"
            && request["body"].is_string();
        if !ours {
            continue;
        }
        count += 1;
        let name = text("name");
        let at = Timestamp::from_second(vector["timestamp"].as_i64().unwrap()).unwrap();
        let unsigned_payload = vector["unsigned_payload"] == true;
        let signer = ClientKey {
            id: text("secret_id"),
            secret: text("secret_key").as_bytes(),
            token: vector["token"].as_str(),
        };
        let outgoing = Outgoing {
            method: "POST",
            host: header("host"),
            query: "",
            body: body.as_bytes(),
            unsigned_payload,
            action: header("x-tc-action"),
            region: header("x-tc-region"),
            at,
        };
        for (ours, value) in sign_request(&signer, &outgoing) {
            assert_eq!(value, header(ours), "{name}: {ours}");
        }
        let payload: &[u8] = if unsigned_payload { b"UNSIGNED-PAYLOAD" } else { body.as_bytes() };
        let canonical = CanonicalRequest {
            method: "POST",
            uri: "/",
            query: "",
            headers: &[
                ("content-type", b"application/json".as_slice().into()),
                ("host", header("host").as_bytes().into()),
            ],
            signed_headers: "content-type;host",
            payload: sign::hash(payload),
        };
        assert_eq!(String::from_utf8(canonical.text()).unwrap(), text("canonical_request"), "{name}");
        let scope = Scope { date: text("date"), service: "sts" };
        let timestamp = at.as_second().to_string();
        let to_sign = StringToSign { timestamp: &timestamp, scope, request: canonical.digest() };
        assert_eq!(String::from_utf8(to_sign.text()).unwrap(), text("string_to_sign"), "{name}");
    }
    assert!(count >= 8, "{count} vectors have our shape");
}

#[tokio::test]
async fn our_own_sts_gives_what_was_authorized() {
    let round = Round::new(Sts, kind(false), "/").await;
    let key = Round::<Sts>::key("AKIDworld");
    let wanted = wanted(&*round.cloud, &soe());
    let fetched = round.fetch(&wanted, &key).await.unwrap();
    assert_eq!(fetched.expires, later(1_800));
    assert_eq!(fetched.request.as_deref(), Some("59a5e07e-4147-4d2e-a808-dca76ac5b3fd"));
    let claims = opened(&fetched);
    assert_eq!((claims.session.as_deref(), claims.expires()), (Some("app"), later(1_800)));
    assert_eq!(Some(claims.policy), wanted.policy);
    assert_eq!(round.canary(&key).await.unwrap().as_deref(), Some("100000000001"));
}

#[tokio::test]
async fn our_own_sts_lets_its_role_be_assumed_over_an_unsigned_payload() {
    let round = Round::new(Sts, kind(true), "/").await;
    let authorized = authorized(|role| role.brokering.assume = Some(ROLE.into()), &soe());
    let wanted = round.cloud.wanted(&authorized).unwrap();
    let fetched = round.fetch(&wanted, &Round::<Sts>::key("AKIDworld")).await.unwrap();
    assert_eq!((opened(&fetched).kind, fetched.expires), (SessionKind::Assumed, later(1_800)));
}

#[tokio::test]
async fn our_own_sts_refuses_another_key_and_another_secret() {
    let round = Round::new(Sts, kind(false), "/").await;
    let wanted = wanted(&*round.cloud, &soe());
    for (key, code) in [
        (key("AKIDworld"), "AuthFailure.SignatureFailure"),
        (Round::<Sts>::key("AKIDnobody"), "AuthFailure.SecretIdNotFound"),
    ] {
        let fault = round.fetch(&wanted, &key).await.err().unwrap();
        assert_eq!((fault.kind, fault.code.as_deref()), (FaultKind::KeyRefused, Some(code)));
        assert_eq!(round.canary(&key).await.unwrap_err().kind, FaultKind::KeyRefused);
    }
}

#[tokio::test]
async fn a_canary_of_another_account_is_told_from_ours() {
    let identity = json!({ "Response": { "AccountId": "100000000008", "RequestId": "r" } });
    let reply = crate::testing::hostile::Reply::json(identity.to_string());
    let hostile = Hostile::plain(Act::Answer(reply)).await;
    let cloud = build(&upstream(kind(false), &hostile.url("/"), None, 10_000)).unwrap();
    let fault = cloud.canary(&key("AKIDroot"), START, ONCE).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Wrong);
    assert_eq!(fault.why, "it answers for the account 100000000008, and 100000000009 is configured");
}

/// What is wrong with an ask is found before a call is made.
#[test]
fn what_the_cloud_would_refuse_is_refused_before_it_is_asked() {
    let cloud = build(&upstream(kind(false), "http://127.0.0.1:9/", None, 1_000)).unwrap();
    let refused = |change: &dyn Fn(&mut Role), ask: Issue| {
        cloud.wanted(&authorized(change, &ask)).err().map(|refusal| refusal.reason)
    };
    let longer = |role: &mut Role| role.lifetime.max = 129_600;
    let assuming = |role: &mut Role| {
        longer(role);
        role.brokering.assume = Some(ROLE.into());
    };
    let lasting = |seconds| Issue { lifetime: Some(seconds), ..soe() };
    assert_eq!(refused(&longer, lasting(7_200)), None);
    assert_eq!(refused(&longer, lasting(7_201)), Some(Reason::LifetimeTooLong));
    assert_eq!(refused(&assuming, lasting(43_200)), None);
    assert_eq!(refused(&assuming, lasting(43_201)), Some(Reason::LifetimeTooLong));
    assert_eq!(refused(&longer, lasting(1)), None, "the API has no shortest lifetime");
    let tagged = || Issue { tags: [("a".to_owned(), "b".to_owned())].into(), ..soe() };
    assert_eq!(refused(&longer, tagged()), Some(Reason::InvalidParameter));
    assert_eq!(refused(&assuming, tagged()), None);
    let known = |name: &str| Issue { source_identity: Some(name.into()), ..soe() };
    assert_eq!(refused(&assuming, known("alice")), None);
    assert_eq!(refused(&longer, known("alice")), Some(Reason::InvalidParameter));
    assert_eq!(refused(&assuming, known("alice smith")), Some(Reason::InvalidParameter));
    let actions = |count: usize| {
        move |role: &mut Role| {
            let mut policy = allow(Language::Cam, "soe:TransmitOralProcessWithInit", "*");
            for n in 0..count {
                policy.statements[0].actions.push(Pattern::parse(&format!("soe:Action{n:04}")));
            }
            role.policy = Some(Template::new(policy, &std::collections::BTreeMap::new()).unwrap());
        }
    };
    assert_eq!(refused(&actions(100), soe()), None);
    assert_eq!(refused(&actions(130), soe()), Some(Reason::PolicyTooLong));
}

/// A name is sent in the cloud's alphabet and length, whatever the session was called here.
#[test]
fn a_session_name_fits() {
    let cloud = build(&upstream(kind(false), "http://127.0.0.1:9/", None, 1_000)).unwrap();
    let named = |name: &str| {
        let issue = Issue { session: Some(name.into()), ..soe() };
        cloud.wanted(&authorized(|_| (), &issue)).unwrap().session
    };
    for (given, sent) in [
        ("soe", "soe"),
        ("cos-sts-nodejs", "cos-sts-nodejs"),
        ("a+=,.@_-b", "a+=,.@_-b"),
        ("x", "x-2d711642"),
    ] {
        assert_eq!(named(given), sent);
    }
    for strange in ["张三", "a b", "a/b", "a\"b", &"n".repeat(129)] {
        let sent = named(strange);
        assert!(NAMES.take(&sent) && sent != strange, "{sent}");
    }
}

/// Attack: the vendor may decode a policy once more than it was encoded; `%2A` would then be `*`.
#[test]
fn a_policy_means_the_same_whether_or_not_it_is_decoded_once_more() {
    let plain = render(&allow(Language::Cam, "cos:PutObject", "qcs::cos::uid/1:b-1/a/*")).unwrap();
    assert!(plain.starts_with('{'), "{plain}");
    for resource in ["qcs::cos::uid/1:b-1/a%2A/x", "qcs::cos::uid/1:b-1/a+b/x", "qcs::cos::uid/1:b-1/a b%/x"]
    {
        let policy = allow(Language::Cam, "cos:PutObject", resource);
        let sent = render(&policy).unwrap();
        assert!(!sent.contains(['{', '+', ' ']), "{sent}");
        let decoded: Vec<_> = form_urlencoded::parse(sent.as_bytes()).collect();
        assert_eq!(decoded[0].0, wire::render_policy(&policy).unwrap());
    }
}

proptest! {
    /// A policy as it is sent, read as the cloud reads it.
    #[test]
    fn what_is_sent_gives_what_was_authorized_and_no_more(
        actions in vec("[a-z]{1,4}:[A-Za-z*]{1,6}", 1..3),
        resources in vec("qcs::cos:[*]:uid/1:b-1/[A-Za-z0-9/%+ *._课-]{1,12}", 1..3),
    ) {
        let patterns = |texts: &[String]| texts.iter().map(|text| Pattern::parse(text)).collect();
        let (actions, resources) = (patterns(&actions), patterns(&resources));
        let statement = Statement { effect: Effect::Allow, actions, resources, conditions: vec![] };
        let policy = Policy { language: Language::Cam, statements: vec![statement] };
        let read = daypass_dialects::tencent::policy::parse_sent(&render(&policy).unwrap()).unwrap();
        prop_assert!(within(&read, &policy) && within(&policy, &read), "{:?}", read);
    }
}

#[test]
fn a_key_of_another_vendors_form_is_not_asked_for() {
    let cloud = upstream::Cloud::Tencent { region: "ap-beijing".into(), unsigned_payload: false };
    let cloud = build(&upstream(cloud, "http://127.0.0.1:9/", None, 1_000)).unwrap();
    let refusal = cloud.wanted(&authorized(|_| (), &upload())).err().unwrap();
    assert_eq!(refusal.reason, Reason::Internal);
    assert!(refusal.cause.is_some_and(|cause| cause.contains("is asked for Triple(Alibaba)")));
}
