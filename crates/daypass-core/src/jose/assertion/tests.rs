//! Assertions that are right in everything but one thing, signed by a maker that shares no code with the parser. What
//! real clients send is tested with the dialect, on captured requests.

use super::*;
use crate::clock::SignedDuration;
use crate::testing::{START, client_assertion, client_signer, public_key};
use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use proptest::prelude::*;
use std::cell::Cell;

thread_local! {
    /// Signatures that this thread has computed.
    pub(crate) static VERIFIED: Cell<usize> = const { Cell::new(0) };
}

const NOW: i64 = 1_700_000_000;
const CLIENT: Uuid = Uuid::from_u128(0x0d1f_6f0e_6f0b_4f43_9d1c_3a3f_1a6b_7c11);
const OURS: &str = "https://pass.example.com/token";

fn claims() -> Value {
    json!({"iss": CLIENT, "sub": CLIENT, "aud": OURS, "jti": "1", "iat": NOW, "exp": NOW + 600})
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

/// A client's keys, one of each kind.
fn keys() -> Vec<Key> {
    let key = |(n, algorithm): (u128, &Ours)| public_key(Uuid::from_u128(n), CLIENT, *algorithm);
    (1..).zip(Ours::ALL).map(key).collect()
}

fn parsed(keys: Vec<Key>) -> Vec<ClientKey> {
    keys.into_iter().map(|key| ClientKey::parse(&Arc::new(key)).unwrap()).collect()
}

fn stand_ins() -> Vec<ClientKey> {
    ClientKey::stand_ins(&crate::testing::ring())
}

/// The id of the key that has signed it.
fn signer_at(token: &Secret, keys: &[ClientKey], now: Timestamp) -> Result<String, Refusal> {
    let assertion = Assertion::read(token)?;
    let signed = assertion.signed()?;
    let stand_ins = stand_ins();
    let key = signed.by(keys, &stand_ins, now).ok_or_else(|| signed.refusal())?;
    Ok(key.id.clone())
}

fn signer(token: &Secret) -> Result<String, Refusal> {
    signer_at(token, &parsed(keys()), START)
}

fn check_at(claims: &Value, now: Timestamp) -> Result<Once, Refusal> {
    let token = client_assertion(&json!({"alg": "ES256"}), claims);
    Assertion::read(&token)?.check(CLIENT, &[OURS.to_owned(), "second".to_owned()], now)
}

fn check(claims: &Value) -> Result<Once, Refusal> {
    check_at(claims, START)
}

#[track_caller]
fn refused(got: Result<String, Refusal>) -> Reason {
    got.expect_err("it must be refused").reason
}

fn id(n: u128) -> String {
    Uuid::from_u128(n).to_string()
}

#[test]
fn what_a_clients_key_signed_is_the_clients() {
    for (alg, n) in [("RS256", 1), ("PS256", 1), ("ES256", 2), ("EdDSA", 3)] {
        assert_eq!(signer(&client_assertion(&json!({"alg": alg}), &claims())), Ok(id(n)), "{alg}");
    }
}

#[test]
fn a_key_is_found_by_every_name_that_clients_have_for_it() {
    let kid = client_signer(Ours::Es256).kid();
    let mut keys = keys();
    if let Material::Public(public) = &mut keys[1].material {
        public.jwk["kid"] = "own".into();
        public.x5t = Some("-I5uXgtTmFv1o25iwSwISq2gblY".into());
        public.x5t_s256 = Some("HZwdnWBltntXFwF-4rxjKaBKKlUx248b75jC4YNUaq4".into());
    }
    let keys = parsed(keys);
    for names in [
        json!({}),
        json!({"kid": "own"}),
        json!({"kid": kid}),
        json!({"kid": "-I5uXgtTmFv1o25iwSwISq2gblY"}),
        json!({"kid": "F88E6E5E0B53985BF5A36E62C12C084AADA06E56", "x5t": "-I5uXgtTmFv1o25iwSwISq2gblY"}),
        json!({"kid": "f88e6e5e0b53985bf5a36e62c12c084aada06e56"}),
        json!({"kid": "F88E6E5E0B53985BF5A36E62C12C084AADA06E56"}),
        json!({"x5t": "-I5uXgtTmFv1o25iwSwISq2gblY"}),
        json!({"x5t": "-I5uXgtTmFv1o25iwSwISq2gblY="}),
        json!({"x5t": "+I5uXgtTmFv1o25iwSwISq2gblY="}),
        json!({"x5t#S256": "HZwdnWBltntXFwF-4rxjKaBKKlUx248b75jC4YNUaq4"}),
        json!({"x5t#S256": "HZwdnWBltntXFwF+4rxjKaBKKlUx248b75jC4YNUaq4="}),
    ] {
        let mut header = names;
        header["alg"] = "ES256".into();
        let got = signer_at(&client_assertion(&header, &claims()), &keys, START);
        assert_eq!(got, Ok(id(2)), "{header}");
    }
    for names in [
        json!({"kid": "OWN"}),
        json!({"kid": "another"}),
        json!({"x5t": "own"}),
        json!({"x5t#S256": "-I5uXgtTmFv1o25iwSwISq2gblY"}),
    ] {
        let mut header = names;
        header["alg"] = "ES256".into();
        let got = signer_at(&client_assertion(&header, &claims()), &keys, START);
        assert_eq!(refused(got), Reason::WrongSignature, "{header}");
    }
}

#[test]
fn a_key_that_the_assertion_brings_is_not_used() {
    // The P-256 key is not registered; the assertion offers it in every known way.
    let registered = parsed(vec![keys().remove(0)]);
    let own = client_signer(Ours::Es256);
    for (name, value) in [
        ("jwk", own.jwk().clone()),
        ("jku", json!("https://evil.example/jwks")),
        ("x5u", json!("https://evil.example/cert")),
        ("x5c", json!(["MIIB\nAAAA"])),
    ] {
        let header = json!({"alg": "ES256", name: value});
        let token = client_assertion(&header, &claims());
        assert_eq!(refused(signer_at(&token, &registered, START)), Reason::WrongSignature, "{name}");
        assert!(signer(&token).is_ok(), "{name} is ignored");
    }
}

#[test]
fn the_header_does_not_choose_what_a_key_is_for() {
    let kid = |algorithm| client_signer(algorithm).kid();
    // The fixture signs with the key of the named algorithm, so that only the look-up is between these and success.
    for (alg, named) in [("ES256", Ours::Rs256), ("RS256", Ours::Es256), ("EdDSA", Ours::Es256)] {
        let header = json!({"alg": alg, "kid": kid(named)});
        assert_eq!(refused(signer(&client_assertion(&header, &claims()))), Reason::WrongSignature, "{alg}");
    }
    for alg in
        [json!("none"), json!("None"), json!(""), json!("ES256K"), json!("es256"), json!(1), Value::Null]
    {
        let header = json!({"alg": alg, "kid": kid(Ours::Es256)});
        let refusal = signer(&client_assertion(&header, &claims())).expect_err("it must be refused");
        assert_eq!(refusal.reason, Reason::WrongSignature);
        assert!(refusal.detail.contains("RS256, RS384, "), "{refusal}");
    }
    let mut only = keys().remove(0);
    if let Material::Public(public) = &mut only.material {
        public.jwk["alg"] = "PS256".into();
    }
    let only = parsed(vec![only]);
    let with = |alg: &str| signer_at(&client_assertion(&json!({"alg": alg}), &claims()), &only, START);
    assert!(with("PS256").is_ok() && with("RS256").is_err(), "a key may be for one algorithm alone");
}

#[test]
fn the_public_key_is_no_symmetric_key() {
    let jwk = client_signer(Ours::Rs256).jwk();
    let modulus = URL_SAFE_NO_PAD.decode(jwk["n"].as_str().unwrap()).unwrap();
    for secret in [modulus, jwk.to_string().into_bytes(), vec![]] {
        for alg in ["HS256", "HS384", "HS512"] {
            let header = URL_SAFE_NO_PAD.encode(json!({"alg": alg}).to_string());
            let signed = format!("{header}.{}", URL_SAFE_NO_PAD.encode(claims().to_string()));
            let mac = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &secret), signed.as_bytes());
            let token = Secret::new(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(mac)));
            assert_eq!(refused(signer(&token)), Reason::WrongSignature);
        }
    }
}

#[test]
fn what_changes_the_meaning_of_an_assertion_is_refused() {
    for (name, value) in [
        ("crit", json!(["exp"])),
        ("crit", json!([])),
        ("b64", json!(false)),
        ("zip", json!("DEF")),
        ("enc", json!("A256GCM")),
        ("typ", json!("at+jwt")),
        ("typ", json!("dpop+jwt")),
        ("typ", json!(1)),
        ("kid", json!(1)),
        ("kid", json!("")),
        ("x5t", json!(["a"])),
        ("x5t#S256", json!("x".repeat(NAME + 1))),
    ] {
        let header = json!({"alg": "ES256", name: value});
        let got = signer(&client_assertion(&header, &claims()));
        assert_eq!(refused(got), Reason::MalformedProof, "{header}");
    }
    for typ in ["JWT", "jwt", "client-authentication+jwt", "application/client-authentication+jwt"] {
        assert!(signer(&client_assertion(&json!({"alg": "ES256", "typ": typ}), &claims())).is_ok(), "{typ}");
    }
}

#[test]
fn doubled_members_and_other_spellings_are_refused() {
    let text = client_assertion(&json!({"alg": "ES256"}), &claims()).expose_str().to_owned();
    let [header, body, signature]: [&str; 3] = text.split('.').collect::<Vec<_>>().try_into().unwrap();
    let doubled = URL_SAFE_NO_PAD.encode(claims().to_string().replacen('{', r#"{"sub":"x","#, 1));
    let heads = URL_SAFE_NO_PAD.encode(r#"{"alg":"ES256","alg":"none"}"#);
    for bad in [
        format!("{header}.{doubled}.{signature}"),
        format!("{heads}.{body}.{signature}"),
        format!("{text}="),
        format!("{text} "),
        format!("{header}.{body}"),
        format!("{header}.{body}."),
        format!("{header}.{}.{signature}", URL_SAFE_NO_PAD.encode("[]")),
        String::new(),
        "x".repeat(LONGEST + 1),
    ] {
        assert_eq!(refused(signer(&Secret::new(bad.clone()))), Reason::MalformedProof, "{bad}");
    }
}

#[test]
fn a_retired_key_is_gone_and_one_that_ran_out_is_still_known() {
    let token = client_assertion(&json!({"alg": "ES256"}), &claims());
    let mut keys = keys();
    keys[1].enabled = false;
    assert_eq!(refused(signer_at(&token, &parsed(keys.clone()), START)), Reason::WrongSignature);
    (keys[1].enabled, keys[1].expires) = (true, Some(START));
    assert_eq!(signer_at(&token, &parsed(keys.clone()), START), Ok(id(2)), "so that it can be told");
    // The same key, registered again: the live one counts, wherever it stands.
    let again = public_key(Uuid::from_u128(9), CLIENT, Ours::Es256);
    keys.insert(0, again.clone());
    assert_eq!(signer_at(&token, &parsed(keys.clone()), START), Ok(id(9)));
    keys.rotate_left(1);
    assert_eq!(signer_at(&token, &parsed(keys), START), Ok(id(9)));
}

#[test]
fn as_many_signatures_are_computed_whatever_keys_there_are() {
    let computed = |header: Value, keys: Vec<Key>| {
        let before = VERIFIED.get();
        let mut token = client_assertion(&header, &claims()).expose_str().to_owned();
        let end = token.len() - 4;
        token.replace_range(end.., if token.ends_with("AAAA") { "AAAB" } else { "AAAA" });
        assert!(signer_at(&Secret::new(token), &parsed(keys), START).is_err());
        VERIFIED.get() - before
    };
    let one = |n: u128| public_key(Uuid::from_u128(n), CLIENT, Ours::Es256);
    let retired = Key { enabled: false, ..one(1) };
    for keys in [vec![], vec![retired], vec![one(1)], keys(), (1..=5).map(one).collect()] {
        for header in [json!({"alg": "ES256"}), json!({"alg": "ES256", "kid": "unknown"})] {
            assert_eq!(computed(header, keys.clone()), TRIED);
        }
        for alg in ["RS256", "PS256", "EdDSA"] {
            assert_eq!(computed(json!({"alg": alg}), keys.clone()), TRIED, "{alg}");
        }
    }
}

#[test]
fn every_algorithm_has_a_stand_in() {
    let stand_ins = stand_ins();
    for name in algorithm_names() {
        assert!(stand_ins.iter().any(|key| key.public.fits(named(name).unwrap())), "{name}");
    }
}

#[test]
fn the_newer_name_of_an_algorithm_is_its_name_too() {
    for kid in [json!({}), json!({"kid": client_signer(Ours::EdDsa).kid()})] {
        let mut header = kid;
        header["alg"] = "Ed25519".into();
        assert_eq!(signer(&client_assertion(&header, &claims())), Ok(id(3)));
        header["alg"] = "Ed448".into();
        assert_eq!(refused(signer(&client_assertion(&header, &claims()))), Reason::WrongSignature);
    }
}

#[test]
fn a_stand_in_proves_nobody() {
    let ring = crate::testing::ring();
    for algorithm in Ours::ALL {
        let token = Secret::new(ring.signer(*algorithm).unwrap().sign("JWT", &claims()).unwrap());
        assert_eq!(refused(signer_at(&token, &[], START)), Reason::WrongSignature);
        let header = json!({"alg": algorithm.name()});
        let nameless = ring.signer(*algorithm).unwrap().sign_under(&header, &claims()).unwrap();
        let before = VERIFIED.get();
        assert_eq!(refused(signer_at(&Secret::new(nameless), &[], START)), Reason::WrongSignature);
        assert_eq!(VERIFIED.get() - before, TRIED, "nor does it end the search");
    }
}

#[test]
fn issuer_and_subject_are_the_client_in_either_case() {
    let upper = CLIENT.to_string().to_uppercase();
    assert!(check(&but("sub", json!(upper))).is_ok());
    for name in ["iss", "sub"] {
        for other in
            [Value::Null, json!(""), json!(Uuid::nil()), json!([CLIENT]), json!(CLIENT.simple().to_string())]
        {
            let refusal = check(&but(name, other.clone())).unwrap_err();
            assert_eq!(refusal.reason, Reason::MalformedProof, "{name} {other}");
        }
    }
}

#[test]
fn the_audience_is_one_of_our_names_and_nobody_elses() {
    for aud in [json!(OURS), json!([OURS]), json!("second"), json!(["second"])] {
        assert!(check(&but("aud", aud)).is_ok());
    }
    for aud in [
        Value::Null,
        json!(""),
        json!([]),
        json!([OURS, "second"]),
        json!([OURS, OURS]),
        json!([[OURS]]),
        json!({OURS: 1}),
        json!(OURS.to_uppercase()),
        json!(format!("{OURS}/")),
        json!("https://login.microsoftonline.com"),
    ] {
        let refusal = check(&but("aud", aud.clone())).unwrap_err();
        assert_eq!(refusal.reason, Reason::WrongAudience, "{aud}");
        assert!(refusal.detail.contains(OURS) && refusal.detail.contains("second"));
        assert!(!refusal.detail.contains("microsoft"), "{refusal}");
    }
}

#[test]
fn times_may_be_a_minute_off_and_no_more() {
    let at = |millis: i64| START + SignedDuration::from_millis(millis);
    let reason = |claims: &Value, millis| check_at(claims, at(millis)).err().map(|refusal| refusal.reason);
    for (millis, expected) in [
        (-60_000, None),
        (-60_001, Some(Reason::ClockSkew)),
        (659_999, None),
        (660_000, Some(Reason::ClockSkew)),
    ] {
        assert_eq!(reason(&claims(), millis), expected, "{millis}");
    }
    let mut begins = but("iat", Value::Null);
    begins["nbf"] = json!(NOW);
    assert_eq!(reason(&begins, -60_000), None);
    assert_eq!(reason(&begins, -60_001), Some(Reason::ClockSkew));
    // As MSAL for Python writes them.
    let mut fractions = but("exp", json!(1_700_000_600.086_627));
    fractions["iat"] = json!(1_700_000_000.086_627);
    assert_eq!(check(&fractions).unwrap().until.as_second(), NOW + 720);
    assert_eq!(reason(&fractions, 660_086), None);
    assert_eq!(reason(&fractions, 660_087), Some(Reason::ClockSkew));
    let refusal = check_at(&claims(), at(660_000)).unwrap_err();
    for time in ["2023-11-14T22:13:20Z", "2023-11-14T22:23:20Z", "2023-11-14T22:24:20Z"] {
        assert!(refusal.detail.contains(time), "from, until and now: {refusal}");
    }
}

#[test]
fn an_assertion_lives_an_hour_at_the_most() {
    let reason = |claims: &Value| check(claims).err().map(|refusal| refusal.reason);
    assert_eq!(reason(&but("exp", json!(NOW + 3600))), None);
    assert_eq!(reason(&but("exp", json!(NOW + 3660))), None);
    assert_eq!(reason(&but("exp", json!(NOW + 3661))), Some(Reason::ClockSkew));
    let mut without = but("iat", Value::Null);
    without["exp"] = json!(NOW + 3660);
    assert_eq!(reason(&without), None, "then now counts");
    without["exp"] = json!(NOW + 3661);
    assert_eq!(reason(&without), Some(Reason::ClockSkew));
    without["nbf"] = json!(NOW + 30);
    assert_eq!(reason(&without), None, "or when it begins");
    let mut old = but("iat", json!(NOW - 3600));
    old["exp"] = json!(NOW + 61);
    assert_eq!(reason(&old), Some(Reason::ClockSkew), "what was made long ago does not live longer for it");
}

#[test]
fn an_end_and_an_id_must_be_there() {
    for exp in [Value::Null, json!("1900000000"), json!(-1), json!(1e30), json!([NOW + 300])] {
        assert_eq!(check(&but("exp", exp.clone())).unwrap_err().reason, Reason::MalformedProof, "{exp}");
    }
    for name in ["iat", "nbf"] {
        assert_eq!(check(&but(name, json!("0"))).unwrap_err().reason, Reason::MalformedProof, "{name}");
    }
    for jti in [Value::Null, json!(""), json!(1), json!("x".repeat(JTI + 1))] {
        assert_eq!(check(&but("jti", jti.clone())).unwrap_err().reason, Reason::MalformedProof, "{jti}");
    }
    let once = check(&but("jti", json!("é".repeat(JTI)))).unwrap();
    assert_eq!((once.id, once.until.as_second()), ("é".repeat(JTI), NOW + 720));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_changed_character_is_refused(at: prop::sample::Index, to in "[A-Za-z0-9_.=-]", which in 0_usize..4) {
        let alg = ["RS256", "PS256", "ES256", "EdDSA"][which];
        let mut token = client_assertion(&json!({"alg": alg}), &claims()).expose_str().to_owned();
        prop_assert!(signer(&Secret::new(token.clone())).is_ok());
        let at = at.index(token.len());
        prop_assume!(&token[at..=at] != to.as_str());
        token.replace_range(at..=at, &to);
        prop_assert!(signer(&Secret::new(token)).is_err());
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes: Vec<u8>, header: String, body: String) {
        prop_assert!(signer(&Secret::new(bytes)).is_err());
        let unsigned = format!("{}.{}.AA", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(body));
        prop_assert!(signer(&Secret::new(unsigned)).is_err());
    }

    #[test]
    fn arbitrary_claims_never_panic(exp: f64, iat: i64, nbf: f64, jti: String, aud: String) {
        let claims = json!({
            "iss": CLIENT, "sub": CLIENT, "aud": aud, "jti": jti, "iat": iat, "nbf": nbf, "exp": exp,
        });
        prop_assert!(check(&claims).is_err());
    }
}
