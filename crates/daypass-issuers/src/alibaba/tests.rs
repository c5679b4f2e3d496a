use super::*;
use crate::cloud::build;
use crate::cloud::tests::round::{ONCE, Round, opened};
use crate::cloud::tests::{authorized, key, upload, upstream, wanted};
use crate::testing::hostile::{Act, Asked, Hostile, Reply};
use daypass_core::client::Grant;
use daypass_core::dialect::Issue;
use daypass_core::policy::{Effect, Language, Pattern, Statement, Template, within};
use daypass_core::refusal::Reason;
use daypass_core::role::Role;
use daypass_core::testing::{START, World, allow, later};
use daypass_dialects::alibaba::Sts;
use daypass_dialects::alibaba::sign::acs3;
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};

const OURS: &str = "acs:ram::100000000001:role/store-upload";

async fn caught(ask: impl AsyncFn(&dyn Cloud)) -> Asked {
    let hostile = Hostile::plain(Act::HangUp).await;
    let cloud = build(&upstream(upstream::Cloud::Alibaba, &hostile.url("/"), None, 10_000)).unwrap();
    ask(&*cloud).await;
    let [asked] = &hostile.asked()[..] else { panic!("one request") };
    asked.clone()
}

/// Every step of the signature, from the bytes that arrived and by the vendor's page, without the code that signs.
fn assert_signed(asked: &Asked, action: &str) {
    let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let query = asked.target.strip_prefix("/?").unwrap_or_default();
    let signed = "host;x-acs-action;x-acs-content-sha256;x-acs-date;x-acs-signature-nonce;x-acs-version";
    let canonical = format!(
        "POST\n/\n{query}\nhost:{}\nx-acs-action:{action}\nx-acs-content-sha256:{empty}\nx-acs-date:2023-11-14T22:13:20Z\n\
         x-acs-signature-nonce:{}\nx-acs-version:2015-04-01\n\n{signed}\n{empty}",
        asked.header("host"),
        Uuid::from_bytes(ONCE),
    );
    let to_sign = format!("ACS3-HMAC-SHA256\n{}", acs3::hex(&acs3::hash(canonical.as_bytes())));
    let signature = acs3::hex(&acs3::sign(b"root-secret", &to_sign));
    assert_eq!(
        asked.header("authorization"),
        format!("ACS3-HMAC-SHA256 Credential=LTAIroot,SignedHeaders={signed},Signature={signature}")
    );
    assert_eq!(asked.body, b"");
}

#[tokio::test]
async fn a_role_is_assumed_as_the_reference_says() {
    let asked = caught(async |cloud| {
        let wanted = wanted(cloud, &upload());
        assert!(cloud.fetch(&wanted, &key("LTAIroot"), START, ONCE).await.is_err());
    })
    .await;
    assert_eq!(
        asked.target,
        "/?DurationSeconds=3600&Policy=%7B%22Version%22%3A%221%22%2C%22Statement%22%3A%5B%7B%22Effect%22%3A%22Allow%22%2C\
         %22Action%22%3A%5B%22oss%3APutObject%22%5D%2C%22Resource%22%3A%5B%22acs%3Aoss%3A%2A%3A%2A%3Abucket%2Fhema%2F8005%2F%2A\
         %22%5D%7D%5D%7D&RoleArn=acs%3Aram%3A%3A100000000009%3Arole%2Fupload&RoleSessionName=app"
    );
    assert_signed(&asked, "AssumeRole");
}

#[tokio::test]
async fn the_canary_asks_who_it_is() {
    let asked = caught(async |cloud| {
        assert!(cloud.canary(&key("LTAIroot"), START, ONCE).await.is_err());
    })
    .await;
    assert_signed(&asked, "GetCallerIdentity");
}

/// The vectors of what the vendor's own SDKs sign, through the code that signs what leaves: nothing of the address, the
/// parameters or the time is signed otherwise.
#[test]
fn the_sdks_sign_the_same() {
    let vectors: Value =
        serde_json::from_str(include_str!("../../../daypass-dialects/vectors/alibaba-acs.json")).unwrap();
    let mut count = 0;
    for vector in vectors["acs3"].as_array().unwrap() {
        let header = |name: &str| vector["headers"][name].as_str().unwrap_or_default();
        let six = vector["headers"].as_object().unwrap().len() == 6
            && vector["path"] == "/"
            && vector["body"] == "";
        if !six {
            continue;
        }
        count += 1;
        let mut query: Vec<_> = vector["query"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(n, v)| (n.as_str(), v.as_str().unwrap()))
            .collect();
        query.sort_unstable();
        let signer = ClientKey {
            id: "AK",
            secret: vector["access_key_secret"].as_str().unwrap().as_bytes(),
            token: None,
        };
        let request = Outgoing {
            method: vector["method"].as_str().unwrap(),
            host: header("host"),
            query: &query,
            body: b"",
            action: header("x-acs-action"),
            version: header("x-acs-version"),
            nonce: header("x-acs-signature-nonce"),
            at: header("x-acs-date").parse().unwrap(),
        };
        let headers = sign_request(&signer, &request);
        let (_, authorization) = headers.iter().find(|(name, _)| *name == "authorization").unwrap();
        let signature = authorization.rsplit('=').next().unwrap();
        assert_eq!(signature, vector["signature"], "{}", vector["name"]);
        for (name, value) in headers.iter().filter(|(name, _)| *name != "authorization") {
            assert_eq!(value, header(name), "{}", vector["name"]);
        }
    }
    assert!(count >= 2, "{count} vectors have our shape");
}

/// A world whose role has no variables, since `AssumeRole` has none: it is narrowed by the policy that is sent.
fn wide(world: &mut World) {
    let role = std::sync::Arc::make_mut(&mut world.plan.roles[1]);
    role.variables.clear();
    let policy = allow(Language::Ram, "oss:*", "acs:oss:*:*:bucket/*");
    role.policy = Some(Template::new(policy, &role.variables).unwrap());
    world.client.grants[1] = Grant::of("store-upload");
}

#[tokio::test]
async fn our_own_sts_gives_what_was_authorized_and_no_more() {
    let mut round = Round::new(Sts, upstream::Cloud::Alibaba, "/").await;
    wide(&mut round.world);
    let issue =
        Issue { session: Some("store 8005".into()), source_identity: Some("alice".into()), ..upload() };
    let authorized = authorized(|role| role.brokering.assume = Some(OURS.into()), &issue);
    let wanted = round.cloud.wanted(&authorized).unwrap();
    let key = Round::<Sts>::key("LTAIworld");
    let fetched = round.fetch(&wanted, &key).await.unwrap();
    assert_eq!(fetched.expires, later(3_600));
    assert_eq!(fetched.request.as_deref(), Some("59A5E07E-4147-4D2E-A808-DCA76AC5B3FD"));
    let claims = opened(&fetched);
    assert_eq!(claims.session.as_deref(), Some(wanted.session.as_str()));
    assert_eq!(claims.source_identity.as_deref(), Some("alice"));
    assert_eq!(
        Some(claims.policy),
        wanted.policy,
        "the role gives the whole bucket, and was narrowed to the store"
    );
    assert_eq!(round.canary(&key).await.unwrap().as_deref(), Some("100000000001"));
}

#[tokio::test]
async fn our_own_sts_refuses_another_key_and_another_secret() {
    let mut round = Round::new(Sts, upstream::Cloud::Alibaba, "/").await;
    wide(&mut round.world);
    let authorized = authorized(|role| role.brokering.assume = Some(OURS.into()), &upload());
    let wanted = round.cloud.wanted(&authorized).unwrap();
    for (key, code) in [
        (key("LTAIworld"), "SignatureDoesNotMatch"),
        (Round::<Sts>::key("LTAInobody"), "InvalidAccessKeyId.NotFound"),
    ] {
        let fault = round.fetch(&wanted, &key).await.err().unwrap();
        assert_eq!((fault.kind, fault.code.as_deref()), (FaultKind::KeyRefused, Some(code)));
        assert_eq!(round.canary(&key).await.unwrap_err().kind, FaultKind::KeyRefused);
    }
}

#[tokio::test]
async fn a_canary_of_another_account_is_told_from_ours() {
    let reply = Reply::json(json!({ "AccountId": "100000000008", "RequestId": "R" }).to_string());
    let hostile = Hostile::plain(Act::Answer(reply)).await;
    let cloud = build(&upstream(upstream::Cloud::Alibaba, &hostile.url("/"), None, 10_000)).unwrap();
    let fault = cloud.canary(&key("LTAIroot"), START, ONCE).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Wrong);
}

/// What is wrong with an ask is found before a call is made.
#[test]
fn what_the_cloud_would_refuse_is_refused_before_it_is_asked() {
    let cloud = build(&upstream(upstream::Cloud::Alibaba, "http://127.0.0.1:9/", None, 1_000)).unwrap();
    let refused = |change: &dyn Fn(&mut Role), ask: Issue| {
        cloud.wanted(&authorized(change, &ask)).err().map(|refusal| refusal.reason)
    };
    let assuming = |role: &mut Role| {
        role.lifetime.max = 86_400;
        role.brokering.assume = Some(OURS.into());
    };
    let lasting = |seconds| Issue { lifetime: Some(seconds), ..upload() };
    for (seconds, reason) in [
        (899, Some(Reason::InvalidParameter)),
        (900, None),
        (43_200, None),
        (43_201, Some(Reason::LifetimeTooLong)),
    ] {
        assert_eq!(refused(&assuming, lasting(seconds)), reason, "{seconds}");
    }
    assert_eq!(refused(&|_: &mut Role| (), upload()), Some(Reason::Internal), "no role to assume");
    let tagged = Issue { tags: [("a".to_owned(), "b".to_owned())].into(), ..upload() };
    assert_eq!(refused(&assuming, tagged), Some(Reason::InvalidParameter), "the API has no tags");
    let known = |name: &str| Issue { source_identity: Some(name.into()), ..upload() };
    assert_eq!(refused(&assuming, known("alice")), None);
    assert_eq!(refused(&assuming, known("a+b")), Some(Reason::InvalidParameter));
    let long = |role: &mut Role| {
        assuming(role);
        let mut policy = allow(Language::Ram, "oss:PutObject", "acs:oss:*:*:bucket/{tenant_code}/{poi_id}/*");
        for n in 0..140 {
            policy.statements[0].actions.push(Pattern::parse(&format!("oss:Action{n:04}")));
        }
        role.policy = role.policy.as_ref().map(|_| Template::new(policy, &role.variables).unwrap());
    };
    let only_upload = |role: &mut Role| {
        if role.name == "store-upload" {
            long(role);
        }
    };
    assert_eq!(refused(&only_upload, upload()), Some(Reason::PolicyTooLong));
}

/// A name is sent in the cloud's alphabet and length, whatever the session was called here.
#[test]
fn a_session_name_fits() {
    let cloud = build(&upstream(upstream::Cloud::Alibaba, "http://127.0.0.1:9/", None, 1_000)).unwrap();
    let named = |name: &str| {
        let issue = Issue { session: Some(name.into()), ..upload() };
        let authorized = authorized(|role| role.brokering.assume = Some(OURS.into()), &issue);
        cloud.wanted(&authorized).unwrap().session
    };
    assert_eq!(named("a.b@c-d_e"), "a.b@c-d_e");
    for strange in ["盒马", "a b", "a+b", "a=b", "x", &"n".repeat(65)] {
        let sent = named(strange);
        assert!(NAMES.take(&sent) && sent != strange, "{sent}");
    }
}

proptest! {
    /// A policy as it is sent, read as the cloud reads it.
    #[test]
    fn what_is_sent_gives_what_was_authorized_and_no_more(
        actions in vec("oss:[A-Za-z*]{1,6}", 1..3),
        resources in vec("acs:oss:\\*:\\*:b-1/[A-Za-z0-9/%+ *._课-]{1,12}", 1..3),
    ) {
        let patterns = |texts: &[String]| texts.iter().map(|text| Pattern::parse(text)).collect();
        let (actions, resources) = (patterns(&actions), patterns(&resources));
        let statement = Statement { effect: Effect::Allow, actions, resources, conditions: vec![] };
        let policy = Policy { language: Language::Ram, statements: vec![statement] };
        let read = daypass_dialects::alibaba::policy::parse(&render(&policy).unwrap()).unwrap();
        prop_assert!(within(&read, &policy) && within(&policy, &read), "{:?}", read);
    }
}
