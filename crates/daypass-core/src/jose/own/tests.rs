use super::*;
use crate::jose::Signer;
use crate::ring::{Purpose, RingState};
use crate::testing::{self, START, SeededEntropy};
use aws_lc_rs::hmac;
use proptest::prelude::*;
use serde_json::json;

fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn signer(ring: &Ring, algorithm: Algorithm) -> &Signer {
    ring.signer(algorithm).unwrap()
}

fn said() -> Value {
    json!({"sub": "a", "exp": 4_000_000_000_u64})
}

fn token(ring: &Ring, algorithm: Algorithm) -> String {
    signer(ring, algorithm).sign("JWT", &said()).unwrap()
}

/// A token that our key signed under any header at all.
fn under(ring: &Ring, header: &Value) -> String {
    signer(ring, Algorithm::Es256).sign_under(header, &said()).unwrap()
}

fn good_header(ring: &Ring) -> Value {
    json!({"typ": "JWT", "alg": "ES256", "kid": signer(ring, Algorithm::Es256).kid()})
}

/// By a fresh memory, and by one that knows every good token.
fn read(ring: &Ring, token: &str) -> Result<Map<String, Value>, Expected> {
    let memory = OwnSignatures::default();
    for algorithm in Algorithm::ALL {
        memory.claims(ring, &Secret::new(self::token(ring, *algorithm))).unwrap();
    }
    let fresh = own_claims(ring, &Secret::new(token));
    assert_eq!(memory.claims(ring, &Secret::new(token)), fresh, "memory changes nothing");
    fresh
}

fn parts(token: &str) -> [&str; 3] {
    token.split('.').collect::<Vec<_>>().try_into().unwrap()
}

#[test]
fn every_token_of_ours_is_known_again() {
    let ring = testing::ring();
    for algorithm in Algorithm::ALL {
        for typ in TYPES {
            let token = signer(&ring, *algorithm).sign(typ, &said()).unwrap();
            assert_eq!(Value::from(read(&ring, &token).unwrap()), said(), "{} {typ}", algorithm.name());
        }
    }
}

/// Attack: a token that says itself that it needs no signature, in every spelling that a lenient reader takes.
#[test]
fn an_unsigned_token_is_none() {
    let ring = testing::ring();
    let kid = signer(&ring, Algorithm::Es256).kid();
    let claims = encode(said().to_string());
    for alg in ["none", "None", "NONE", "nOnE", "", "ES256"] {
        let header = encode(json!({"typ": "JWT", "alg": alg, "kid": kid}).to_string());
        for token in [
            format!("{header}.{claims}"),
            format!("{header}.{claims}."),
            format!("{header}.{claims}.{}", encode([0; 64])),
            format!("{header}.{claims}.AA"),
        ] {
            assert!(read(&ring, &token).is_err(), "{alg} {token}");
        }
    }
    // The same header, really signed by us.
    for alg in [json!("none"), json!("HS256"), json!("RS256"), json!("EdDSA"), json!("es256"), json!(null)] {
        let mut header = good_header(&ring);
        header["alg"] = alg.clone();
        assert!(read(&ring, &under(&ring, &header)).is_err(), "{alg}");
    }
}

/// Attack: the public key, which everybody has, taken for the secret of an HMAC.
#[test]
fn a_public_key_is_no_secret() {
    let ring = testing::ring();
    for algorithm in Algorithm::ALL {
        let signer = signer(&ring, *algorithm);
        let mut secrets = vec![signer.jwk().to_string().into_bytes(), b"secret".to_vec(), vec![0], vec![]];
        for member in ["x", "y", "n", "e"] {
            if let Some(text) = signer.jwk()[member].as_str() {
                secrets.extend([text.as_bytes().to_vec(), URL_SAFE_NO_PAD.decode(text).unwrap()]);
            }
        }
        for secret in secrets {
            let key = hmac::Key::new(hmac::HMAC_SHA256, &secret);
            for alg in ["HS256", algorithm.name()] {
                let header = json!({"typ": "JWT", "alg": alg, "kid": signer.kid()}).to_string();
                let signed = format!("{}.{}", encode(header), encode(said().to_string()));
                let tag = hmac::sign(&key, signed.as_bytes());
                assert!(read(&ring, &format!("{signed}.{}", encode(tag))).is_err(), "{alg}");
            }
        }
    }
}

/// Attack: a `kid` that leads a reader to a file, a query or an address.
#[test]
fn a_kid_names_a_published_key_or_nothing() {
    let ring = testing::ring();
    let good = good_header(&ring);
    let kid = good["kid"].as_str().unwrap();
    for other in [
        json!("../../../../dev/null"),
        json!("/etc/passwd"),
        json!("' OR 1=1 --"),
        json!("http://127.0.0.1/keys"),
        json!(kid.to_lowercase()),
        json!(format!("{kid} ")),
        json!(format!("{kid}=")),
        json!(signer(&ring, Algorithm::EdDsa).kid()),
        json!("a".repeat(12_000)),
        json!(""),
        json!(1),
        json!([kid]),
        json!({"kid": kid}),
        json!(null),
    ] {
        let mut header = good.clone();
        header["kid"] = other.clone();
        assert!(read(&ring, &under(&ring, &header)).is_err(), "{other}");
    }
    let mut without = good.clone();
    without.as_object_mut().unwrap().remove("kid");
    assert!(read(&ring, &under(&ring, &without)).is_err());
    assert!(read(&ring, &under(&ring, &good)).is_ok());
}

#[test]
fn what_changes_the_meaning_of_a_header_is_refused_and_what_brings_a_key_is_ignored() {
    let ring = testing::ring();
    let with = |name: &str, value: Value| {
        let mut header = good_header(&ring);
        header[name] = value;
        read(&ring, &under(&ring, &header)).is_ok()
    };
    for (name, value) in [
        ("crit", json!(["exp"])),
        ("crit", json!([])),
        ("b64", json!(false)),
        ("b64", json!(true)),
        ("zip", json!("DEF")),
        ("enc", json!("A256GCM")),
    ] {
        assert!(!with(name, value.clone()), "{name} {value}");
    }
    for typ in
        [json!("jwt"), json!("AT+JWT"), json!("application/at+jwt"), json!("dpop+jwt"), json!("logout+jwt")]
    {
        assert!(!with("typ", typ.clone()), "{typ}");
    }
    let theirs = Signer::parse(Algorithm::Es256, &Signer::generate(Algorithm::Es256).unwrap()).unwrap();
    for (name, value) in [
        ("jwk", theirs.jwk().clone()),
        ("jku", json!("https://attacker.example/keys")),
        ("x5u", json!("https://attacker.example/certificate")),
        ("x5c", json!(["MIIB"])),
    ] {
        assert!(with(name, value.clone()), "our own signature counts, whatever else stands there");
        let mut header = good_header(&ring);
        header[name] = value;
        assert!(read(&ring, &theirs.sign_under(&header, &said()).unwrap()).is_err(), "{name}");
    }
}

#[test]
fn one_token_has_one_spelling() {
    let ring = testing::ring();
    for algorithm in Algorithm::ALL {
        let good = token(&ring, *algorithm);
        let [header, claims, signature] = parts(&good);
        let lax = |part: &str| part.replace('-', "+").replace('_', "/");
        let mut spellings = vec![
            format!("{good}="),
            format!("{good} "),
            format!(" {good}"),
            format!("{good}\n"),
            format!("{header}.{claims}.{signature}."),
            format!("{header}=.{claims}.{signature}"),
            format!("{header}.\t{claims}.{signature}"),
        ];
        // The same bytes with other bits left over at the end, where there are such bits.
        if signature.len() % 4 != 0 {
            let last = signature.chars().last().unwrap();
            let same = |c: &char| {
                let spelled = format!("{}{c}", &signature[..signature.len() - 1]);
                *c != last && lenient(&spelled) == lenient(signature)
            };
            let others: Vec<_> = ('A'..='Z').chain('a'..='z').chain('0'..='9').filter(same).collect();
            assert!(!others.is_empty());
            spellings.extend(
                others.iter().map(|c| format!("{header}.{claims}.{}{c}", &signature[..signature.len() - 1])),
            );
        }
        spellings.extend(
            [lax(signature)].into_iter().filter(|s| s != signature).map(|s| format!("{header}.{claims}.{s}")),
        );
        for spelling in spellings {
            assert!(read(&ring, &spelling).is_err(), "{} {spelling:?}", algorithm.name());
        }
        assert!(read(&ring, &good).is_ok());
    }
}

/// As a decoder reads that forgives the bits left over.
fn lenient(text: &str) -> Vec<u8> {
    use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
    let config = GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent);
    GeneralPurpose::new(&base64::alphabet::URL_SAFE, config).decode(text).unwrap()
}

/// Attack: two readers that each believe another one of two members, under a signature that is right for both.
#[test]
fn members_that_stand_twice_are_not_read() {
    let ring = testing::ring();
    let signer = signer(&ring, Algorithm::Es256);
    let header = good_header(&ring).to_string();
    let read = |header: &str, claims: &str| {
        super::own_claims(&ring, &Secret::new(signer.sign_text(header, claims.as_bytes()).unwrap())).is_ok()
    };
    assert!(read(&header, r#"{"sub":"a"}"#));
    for claims in [r#"{"sub":"a","sub":"b"}"#, r#"{"sub":"a","\u0073ub":"a"}"#, r#"{"a":{"b":1,"b":1}}"#] {
        assert!(!read(&header, claims), "{claims}");
    }
    for claims in ["[]", "null", "{", "", "{} {}"] {
        assert!(!read(&header, claims), "{claims}");
    }
    let twice = header.replacen('{', r#"{"alg":"none","#, 1);
    assert!(!read(&twice, "{}"));
}

#[test]
fn a_key_that_is_gone_knows_nothing_again_and_one_that_retires_does() {
    let rows = testing::ring_rows();
    let kek = testing::kek();
    let first = Ring::open(&rows, &kek).unwrap();
    let good = Secret::new(token(&first, Algorithm::EdDsa));
    let memory = OwnSignatures::default();
    assert!(memory.claims(&first, &good).is_ok());

    let entropy = SeededEntropy::new(3);
    let second = Ring::generate_one(&kek, &entropy, START, Purpose::JwtEddsa, 2, RingState::Active).unwrap();
    let mut rotated: Vec<_> = rows.into_iter().filter(|row| row.purpose != Purpose::JwtEddsa).collect();
    let prepared =
        Ring::generate_one(&kek, &entropy, START, Purpose::JwtEddsa, 3, RingState::Prepared).unwrap();
    rotated.extend([second, prepared]);
    let without = Ring::open(&rotated, &kek).unwrap();
    assert!(memory.claims(&without, &good).is_err(), "though its signature was found right before");
    assert!(memory.claims(&first, &good).is_ok());
    assert!(memory.claims(&without, &Secret::new(token(&without, Algorithm::EdDsa))).is_ok());
}

#[test]
fn a_public_half_alone_knows_its_tokens() {
    let ring = testing::ring();
    for algorithm in Algorithm::ALL {
        let public = signer(&ring, *algorithm).public();
        let kept = PublishedKey::parse(&public.to_bytes()).unwrap();
        let good = token(&ring, *algorithm);
        let parsed = Compact::parse(good.as_bytes(), LONGEST).unwrap_or_else(|e| panic!("{e}"));
        assert!(kept.verifier.verifies(&parsed), "{}", algorithm.name());
        let mut cut = public.jwk().clone();
        cut.as_object_mut().unwrap().retain(|name, _| name != "x" && name != "n");
        assert!(PublishedKey::parse(cut.to_string().as_bytes()).is_err());
    }
}

#[test]
fn what_was_refused_is_not_remembered() {
    let ring = testing::ring();
    let memory = OwnSignatures::default();
    let good = token(&ring, Algorithm::Es256);
    let [header, claims, _] = parts(&good);
    let forged = Secret::new(format!("{header}.{claims}.{}", encode([1; 64])));
    for _ in 0..2 {
        assert!(memory.claims(&ring, &forged).is_err());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Whatever byte is changed, it is another token, or none.
    #[test]
    fn a_changed_byte_is_seen(at: prop::sample::Index, to in "[A-Za-z0-9_.-]") {
        let ring = testing::ring();
        let good = token(&ring, Algorithm::EdDsa);
        let at = at.index(good.len());
        let changed = format!("{}{to}{}", &good[..at], &good[at + 1..]);
        prop_assume!(changed != good);
        prop_assert!(read(&ring, &changed).is_err());
    }
}
