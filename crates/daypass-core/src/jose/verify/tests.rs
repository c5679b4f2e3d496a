//! Tokens that are right in everything but one thing, signed by two makers that share no code with the verifier's
//! own parsing: the crate's signer, and `jsonwebtoken`.

use super::*;
use crate::clock::SignedDuration;
use crate::jose::Signer;
use crate::provider::KeySource;
use crate::role::Algorithm as Ours;
use crate::testing::START;
use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaKeyPair,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{EncodingKey, Header};
use proptest::prelude::*;
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::LazyLock;

const NOW: i64 = 1_700_000_000;
const ISSUER: &str = "https://login.example.com";

/// A key of each kind, made once: an RSA key takes long.
struct Keys {
    pkcs8: Vec<(Ours, Secret)>,
    signers: Vec<Signer>,
    set: KeySet,
}

static KEYS: LazyLock<Keys> = LazyLock::new(|| {
    let pkcs8 = Ours::ALL.iter().map(|a| (*a, Signer::generate(*a).unwrap())).collect::<Vec<_>>();
    let signers: Vec<_> = pkcs8.iter().map(|(a, key)| Signer::parse(*a, key).unwrap()).collect();
    // Without `alg`, so that the RSA key may also verify PS256.
    let keys = signers.iter().map(|signer| {
        let mut jwk = signer.jwk().clone();
        jwk.as_object_mut().unwrap().remove("alg");
        jwk
    });
    let set = KeySet::parse(json!({"keys": keys.collect::<Vec<_>>()}).to_string().as_bytes()).unwrap();
    Keys { pkcs8, signers, set }
});

impl Keys {
    fn signer(&self, algorithm: Ours) -> &Signer {
        self.signers.iter().zip(&self.pkcs8).find(|(_, (a, _))| *a == algorithm).unwrap().0
    }
    fn pkcs8(&self, algorithm: Ours) -> &[u8] {
        self.pkcs8.iter().find(|(a, _)| *a == algorithm).unwrap().1.expose()
    }
}

fn provider() -> Provider {
    Provider {
        tenant: "acme".into(),
        name: "corp".into(),
        issuer: ISSUER.into(),
        audiences: vec!["daypass".into(), "daypass-2".into()],
        keys: KeySource::Discovery,
        subject: "sub".into(),
        variables: [("class", "class_id"), ("beta", "beta"), ("absent", "absent"), ("groups", "groups")]
            .map(|(variable, claim)| (variable.to_owned(), claim.to_owned()))
            .into(),
        quota: crate::provider::Quota::default(),
    }
}

fn claims() -> Value {
    json!({"iss": ISSUER, "aud": "daypass", "sub": "alice", "iat": NOW, "exp": NOW + 300})
}

/// The claims with one of them changed; null takes it away.
fn but(name: &str, value: Value) -> Value {
    let mut claims = claims();
    match value {
        Value::Null => _ = claims.as_object_mut().unwrap().remove(name),
        value => claims[name] = value,
    }
    claims
}

fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Signs any two texts with the P-256 key.
fn es256(header: &str, claims: &str) -> String {
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, KEYS.pkcs8(Ours::Es256)).unwrap();
    let signed = format!("{}.{}", encode(header), encode(claims));
    let signature = pair.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
    format!("{signed}.{}", encode(signature))
}

/// A right token with these claims.
fn token(claims: &Value) -> String {
    KEYS.signer(Ours::Es256).sign("JWT", claims).unwrap()
}

/// A right token with this header beside `alg` and `kid`.
fn headed(name: &str, value: &Value) -> String {
    let kid = KEYS.signer(Ours::Es256).kid();
    let mut header = json!({"alg": "ES256", "kid": kid});
    header[name] = value.clone();
    es256(&header.to_string(), &claims().to_string())
}

fn verify_at(token: &str, now: Timestamp) -> Result<Subject, Refusal> {
    verify_outside(&provider(), &KEYS.set, &Secret::new(token), now)
}

fn verify(token: &str) -> Result<Subject, Refusal> {
    verify_at(token, START)
}

#[track_caller]
fn refused(token: &str) -> String {
    let refusal = verify(token).expect_err("it must be refused");
    assert_eq!(refusal.reason, Reason::IdentityInvalid);
    assert!(refusal.cause.is_none());
    refusal.detail.into_owned()
}

#[test]
fn a_token_of_each_algorithm_names_its_subject() {
    for signer in &KEYS.signers {
        let token = signer.sign("at+jwt", &claims()).unwrap();
        let subject = verify(&token).unwrap();
        assert_eq!(subject, Subject { name: "alice".into(), variables: BTreeMap::new() });
        assert_eq!(kid_of(&Secret::new(token)).as_deref(), Some(signer.kid()));
    }
}

#[test]
fn tokens_of_another_library_verify_too() {
    for (algorithm, ours) in [
        (Algorithm::RS256, Ours::Rs256),
        (Algorithm::PS256, Ours::Rs256),
        (Algorithm::ES256, Ours::Es256),
        (Algorithm::EdDSA, Ours::EdDsa),
    ] {
        let mut header = Header::new(algorithm);
        header.kid = Some(KEYS.signer(ours).kid().to_owned());
        let pkcs8 = KEYS.pkcs8(ours);
        let signed =
            format!("{}.{}", encode(serde_json::to_vec(&header).unwrap()), encode(claims().to_string()));
        // The library wants PKCS#1 for RSA; the primitive is the same.
        let signature = match ours {
            Ours::Rs256 => {
                let pair = RsaKeyPair::from_pkcs8(pkcs8).unwrap();
                let padding: &dyn aws_lc_rs::signature::RsaEncoding =
                    if algorithm == Algorithm::PS256 { &RSA_PSS_SHA256 } else { &RSA_PKCS1_SHA256 };
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(padding, &SystemRandom::new(), signed.as_bytes(), &mut signature).unwrap();
                encode(signature)
            }
            Ours::Es256 => {
                crypto::sign(signed.as_bytes(), &EncodingKey::from_ec_der(pkcs8), algorithm).unwrap()
            }
            Ours::EdDsa => {
                crypto::sign(signed.as_bytes(), &EncodingKey::from_ed_der(pkcs8), algorithm).unwrap()
            }
        };
        assert!(verify(&format!("{signed}.{signature}")).is_ok(), "{algorithm:?}");
    }
}

#[test]
fn a_vector_of_another_maker_verifies() {
    // RFC 8037, appendices A.2 and A.4: the public key, and a signature made with it. The payload of the RFC is no
    // JSON, so it is good for the signature alone.
    let key = json!({"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"});
    let set = KeySet::parse(json!({"keys": [key]}).to_string().as_bytes()).unwrap();
    let signed = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
    let signature = "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
    let verify = |token: String| verify_outside(&provider(), &set, &Secret::new(token), START).unwrap_err();
    let right = verify(format!("{signed}.{signature}"));
    assert!(right.detail.contains("claims that are a JSON object"), "{right}");
    let wrong = verify(format!("{signed}.{}", signature.replacen('h', "i", 1)));
    assert!(wrong.detail.contains("a signature by the key"), "{wrong}");
}

#[test]
fn no_signature_is_never_enough() {
    // S-41: `alg` none in any casing, with and without a signature.
    let right = token(&claims());
    let signature = right.rsplit('.').next().unwrap();
    for alg in ["none", "None", "NONE", "nOnE", ""] {
        let header = encode(json!({ "alg": alg }).to_string());
        let body = format!("{header}.{}", encode(claims().to_string()));
        refused(&format!("{body}."));
        refused(&body);
        assert!(refused(&format!("{body}.{signature}")).contains("an `alg` of"));
    }
    refused(right.rsplit_once('.').unwrap().0);
    refused(&format!("{}.", right.rsplit_once('.').unwrap().0));
    refused(&es256("{}", &claims().to_string()));
}

#[test]
fn the_public_key_is_no_symmetric_key() {
    // S-42: HMAC with whatever text of the public key an attacker can have.
    let jwk = KEYS.signer(Ours::Rs256).jwk();
    let public = RsaKeyPair::from_pkcs8(KEYS.pkcs8(Ours::Rs256)).unwrap();
    let der = aws_lc_rs::signature::KeyPair::public_key(&public).as_ref().to_vec();
    let modulus = URL_SAFE_NO_PAD.decode(jwk["n"].as_str().unwrap()).unwrap();
    for secret in [der, modulus, jwk.to_string().into_bytes(), vec![], b"secret".to_vec()] {
        for alg in ["HS256", "HS384", "HS512", "hs256"] {
            let header = encode(json!({"alg": alg, "kid": jwk["kid"]}).to_string());
            let signed = format!("{header}.{}", encode(claims().to_string()));
            let mac = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &secret), signed.as_bytes());
            assert!(refused(&format!("{signed}.{}", encode(mac))).contains("an `alg` of"));
        }
    }
}

#[test]
fn the_header_does_not_choose_what_a_key_is_for() {
    for (claimed, key) in
        [("RS256", Ours::Es256), ("ES256", Ours::EdDsa), ("EdDSA", Ours::Rs256), ("PS256", Ours::EdDsa)]
    {
        let header = json!({"alg": claimed, "kid": KEYS.signer(key).kid()}).to_string();
        assert!(refused(&es256(&header, &claims().to_string())).contains("with the algorithm of that key"));
    }
    for other in ["ES384", "RS512", "PS384", "Ed25519"] {
        let header = json!({"alg": other, "kid": KEYS.signer(Ours::Es256).kid()}).to_string();
        assert!(refused(&es256(&header, &claims().to_string())).contains("with the algorithm of that key"));
    }
    for other in ["HS256", "ES512", "ES256K", "Ed448", "es256", "ES256 "] {
        let header = json!({"alg": other, "kid": KEYS.signer(Ours::Es256).kid()}).to_string();
        assert!(refused(&es256(&header, &claims().to_string())).contains("an `alg` of"));
    }
}

#[test]
fn a_key_id_is_looked_up_and_nothing_else() {
    // S-43
    for kid in ["unknown", "../../etc/passwd", "' OR 1=1 --", "https://evil.example/jwks"] {
        assert!(refused(&headed("kid", &json!(kid))).contains("one of the provider's keys"), "{kid}");
        assert_eq!(kid_of(&Secret::new(headed("kid", &json!(kid)))).as_deref(), Some(kid));
    }
    for kid in [json!(1), json!(null), json!(""), json!(["a"]), json!("k".repeat(KID + 1))] {
        assert!(refused(&headed("kid", &kid)).contains("a short text"), "{kid}");
        assert_eq!(kid_of(&Secret::new(headed("kid", &kid))), None);
    }
    refused(&headed("kid", &json!("k".repeat(20_000))));
    // Of the set's three keys only one is for ES256, so that a token need not name it.
    assert!(verify(&es256(r#"{"alg":"ES256"}"#, &claims().to_string())).is_ok());
}

#[test]
fn a_key_that_the_token_brings_is_not_used() {
    // S-34: signed with a key of the attacker's, which the header points to in every known way.
    let own = Signer::parse(Ours::Es256, &Signer::generate(Ours::Es256).unwrap()).unwrap();
    let theirs = own.sign("JWT", &claims()).unwrap();
    assert!(refused(&theirs).contains("one of the provider's keys"));
    for (name, value) in [
        ("jwk", own.jwk().clone()),
        ("jku", json!("https://evil.example/jwks")),
        ("x5u", json!("https://evil.example/cert")),
        ("x5c", json!(["MIIB"])),
        ("x5t", json!("abc")),
        ("cty", json!("JWT")),
    ] {
        let right = headed(name, &value);
        assert!(verify(&right).is_ok(), "{name} is ignored");
        let (signed, _) = right.rsplit_once('.').unwrap();
        let signature = theirs.rsplit_once('.').unwrap().1;
        assert!(refused(&format!("{signed}.{signature}")).contains("a signature by the key"), "{name}");
    }
}

#[test]
fn what_changes_the_meaning_of_a_token_is_refused() {
    // S-44
    for (name, value) in [
        ("crit", json!(["exp"])),
        ("crit", json!([])),
        ("b64", json!(false)),
        ("b64", json!(true)),
        ("zip", json!("DEF")),
        ("enc", json!("A256GCM")),
    ] {
        assert!(refused(&headed(name, &value)).contains("a header without"), "{name}");
    }
    for typ in ["JWT", "jwt", "at+jwt", "application/at+jwt", "application/JWT"] {
        assert!(verify(&headed("typ", &json!(typ))).is_ok(), "{typ}");
    }
    for typ in [json!("logout+jwt"), json!("dpop+jwt"), json!("JOSE"), json!(""), json!(1)] {
        assert!(refused(&headed("typ", &typ)).contains("a `typ` of JWT"), "{typ}");
    }
}

#[test]
fn a_token_has_one_spelling_and_a_bound() {
    // S-45
    let right = token(&claims());
    for bad in [format!("{right}="), format!("{right}\n"), format!(" {right}"), right.replace('.', " .")] {
        assert!(refused(&bad).contains("three parts"));
    }
    let long = but("pad", json!("x".repeat(LONGEST)));
    assert!(refused(&token(&long)).contains("a shorter token"));
    assert!(verify(&token(&but("pad", json!("x".repeat(LONGEST / 2))))).is_ok());
}

#[test]
fn doubled_members_are_refused() {
    // S-46
    let header = json!({"alg": "ES256", "kid": KEYS.signer(Ours::Es256).kid()}).to_string();
    let doubled = claims().to_string().replacen('{', r#"{"sub":"admin","#, 1);
    assert!(refused(&es256(&header, &doubled)).contains("without doubled members"));
    let doubled = header.replacen('{', r#"{"alg":"none","#, 1);
    assert!(refused(&es256(&doubled, &claims().to_string())).contains("without doubled members"));
}

#[test]
fn issuer_and_audience_are_compared_byte_for_byte() {
    // S-47
    for issuer in [
        json!("https://login.example.com/"),
        json!("https://LOGIN.example.com"),
        json!([ISSUER]),
        Value::Null,
    ] {
        assert!(
            refused(&token(&but("iss", issuer))).contains("the issuer https://login.example.com, and it has")
        );
    }
    let long = format!("https://evil.example/{}\n\"", "x".repeat(200));
    let said = refused(&token(&but("iss", json!(long))));
    assert!(said.contains("https://evil.example/xxx") && said.len() < 200 && !said.contains('\n'), "{said}");
    for audience in [json!("daypass-2"), json!(["other", "daypass"])] {
        assert!(verify(&token(&but("aud", audience))).is_ok());
    }
    for audience in [
        json!("other"),
        json!("Daypass"),
        json!("daypass "),
        json!(["other"]),
        json!([]),
        json!([["daypass"]]),
        json!(["daypass", 1]),
        json!({"daypass": 1}),
        json!(1),
        Value::Null,
    ] {
        assert!(
            refused(&token(&but("aud", audience.clone()))).contains("the audience daypass"),
            "{audience}"
        );
    }
}

#[test]
fn a_token_ends_exactly_and_may_begin_a_little_ahead() {
    // S-47 and S-48
    let millis = |offset| Timestamp::from_millisecond((NOW + 300) * 1000 + offset).unwrap();
    let right = token(&claims());
    assert!(verify_at(&right, millis(-1)).is_ok());
    let refusal = verify_at(&right, millis(0)).unwrap_err();
    assert_eq!(
        refusal.detail,
        "the token has expired at 2023-11-14T22:18:20Z; get a new one from its issuer"
    );
    let fraction = json!(NOW.to_string().parse::<f64>().unwrap() + 0.25);
    let quarter = token(&but("exp", fraction));
    assert!(verify_at(&quarter, START + SignedDuration::from_millis(249)).is_ok());
    assert!(verify_at(&quarter, START + SignedDuration::from_millis(250)).is_err());
    for exp in [Value::Null, json!("1900000000"), json!(true), json!(-1), json!(1e30), json!([NOW + 300])] {
        assert!(refused(&token(&but("exp", exp.clone()))).contains("an `exp` in seconds"), "{exp}");
    }
    for name in ["nbf", "iat"] {
        assert!(verify(&token(&but(name, json!(NOW + 60)))).is_ok());
        assert!(refused(&token(&but(name, json!(NOW + 61)))).contains("not valid before"));
        assert!(refused(&token(&but(name, json!("0")))).contains(name));
        assert!(verify(&token(&but(name, Value::Null))).is_ok(), "only exp must be there");
    }
}

#[test]
fn the_subject_is_a_name_that_can_be_written_down() {
    for (claim, name) in
        [(json!("repo:acme/app:ref"), "repo:acme/app:ref"), (json!(42), "42"), (json!(-1), "-1")]
    {
        assert_eq!(verify(&token(&but("sub", claim))).unwrap().name, name);
    }
    assert!(verify(&token(&but("sub", json!("é".repeat(SUBJECT))))).is_ok());
    for claim in [
        Value::Null,
        json!(""),
        json!("a\nb"),
        json!("a\u{7f}"),
        json!("x".repeat(SUBJECT + 1)),
        json!(1.5),
        json!(true),
        json!(["alice"]),
        json!({"name": "alice"}),
    ] {
        assert!(refused(&token(&but("sub", claim.clone()))).contains("a claim `sub` of 1 to 128"), "{claim}");
    }
    let by_mail = Provider { subject: "email".into(), ..provider() };
    let verify = |claims| verify_outside(&by_mail, &KEYS.set, &Secret::new(token(&claims)), START);
    assert_eq!(verify(but("email", json!("a@example.com"))).unwrap().name, "a@example.com");
    assert!(verify(claims()).unwrap_err().detail.contains("a claim `email`"), "sub is no stand-in");
}

#[test]
fn variables_come_from_plain_claims() {
    let mut said = but("class_id", json!(7));
    said["beta"] = json!(true);
    said["groups"] = json!(["a", "b"]);
    said["uninvited"] = json!("x");
    let variables = verify(&token(&said)).unwrap().variables;
    let expected = [("class", "7"), ("beta", "true")].map(|(k, v)| (k.to_owned(), v.to_owned()));
    assert_eq!(variables, expected.into(), "missing ones and lists are left out");
}

#[test]
fn a_refusal_never_repeats_the_token() {
    let secret = but("sub", json!("sub-of-someone\n"));
    let token = token(&secret);
    let said = refused(&token);
    assert!(!said.contains("sub-of-someone"));
    assert!(token.split('.').all(|part| !said.contains(part)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_changed_character_is_refused(at: prop::sample::Index, to in "[A-Za-z0-9_.=-]", which in 0_usize..3) {
        let mut token = KEYS.signers[which].sign("JWT", &claims()).unwrap();
        let at = at.index(token.len());
        prop_assume!(&token[at..=at] != to.as_str());
        token.replace_range(at..=at, &to);
        prop_assert_eq!(verify(&token).unwrap_err().reason, Reason::IdentityInvalid);
    }

    #[test]
    fn arbitrary_text_never_panics(text: String, header: String, claims: String) {
        prop_assert!(verify(&text).is_err());
        let unsigned = format!("{}.{}.AA", encode(&header), encode(&claims));
        prop_assert!(verify(&unsigned).is_err());
        prop_assert!(verify(&es256(&header, &claims)).is_err());
        let _ = kid_of(&Secret::new(text));
    }
}
