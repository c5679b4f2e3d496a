use super::*;
use proptest::prelude::*;

// The RSA key of RFC 7515, appendix A.2.1, the P-256 key of A.3.1, and the Ed25519 key of RFC 8037, appendix A.
const N: &str = "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ";
const X: &str = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU";
const Y: &str = "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0";
const ED: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";

fn rsa_key() -> Value {
    json!({"kty": "RSA", "kid": "r", "n": N, "e": "AQAB"})
}

fn ec_key() -> Value {
    json!({"kty": "EC", "kid": "e", "crv": "P-256", "x": X, "y": Y})
}

fn ed_key() -> Value {
    json!({"kty": "OKP", "kid": "o", "crv": "Ed25519", "x": ED})
}

fn with(mut key: Value, name: &str, value: Value) -> Value {
    key[name] = value;
    key
}

fn parse(keys: &Value) -> Result<KeySet, String> {
    KeySet::parse(json!({"keys": keys}).to_string().as_bytes())
}

#[test]
fn thumbprints_are_those_of_the_standards() {
    // RFC 8037, appendix A.3.
    let of = |key: &Value| thumbprint(key.as_object().unwrap());
    assert_eq!(of(&ed_key()).as_deref(), Some("kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"));
    // The example of RFC 7638, section 3.1, with its other members left out of the hash.
    let example = json!({
        "kty": "RSA", "e": "AQAB", "alg": "RS256", "kid": "2011-04-29",
        "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw",
    });
    assert_eq!(of(&example).as_deref(), Some("NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"));
    for wrong in
        [json!({"kty": "oct", "k": "AA"}), json!({"kty": "EC", "x": X}), json!({"kty": 1}), json!({})]
    {
        assert_eq!(of(&wrong), None, "{wrong}");
    }
}

#[test]
fn every_kind_of_key_is_taken_and_serves_its_own_algorithms() {
    let set = parse(&json!([rsa_key(), ec_key(), ed_key()])).unwrap();
    let serves = |kid| Algorithm::ALL.map(|algorithm| set.choose(Some(kid), algorithm).is_ok());
    assert_eq!(serves("r"), [true, true, false, false]);
    assert_eq!(serves("e"), [false, false, true, false]);
    assert_eq!(serves("o"), [false, false, false, true]);
    assert_eq!(set.choose(Some("e"), Algorithm::Rs256).err(), Some(NoKey::OtherAlgorithm));
    assert_eq!(set.choose(Some("x"), Algorithm::Rs256).err(), Some(NoKey::Unknown));
    assert!(set.has("r") && !set.has("R") && !set.has(""));
    let only = parse(&json!([with(rsa_key(), "alg", json!("PS256"))])).unwrap();
    assert!(
        only.choose(Some("r"), Algorithm::Ps256).is_ok() && only.choose(Some("r"), Algorithm::Rs256).is_err()
    );
    assert!(parse(&json!([with(ed_key(), "alg", json!("Ed25519"))])).is_ok(), "its newer name");
}

#[test]
fn without_an_id_there_must_be_one_key_that_fits() {
    let set = parse(&json!([rsa_key(), ec_key(), with(ec_key(), "kid", json!("f"))])).unwrap();
    assert!(set.choose(None, Algorithm::Rs256).is_ok());
    for algorithm in [Algorithm::Es256, Algorithm::EdDsa] {
        assert_eq!(set.choose(None, algorithm).err(), Some(NoKey::Unknown));
    }
}

#[test]
fn keys_that_cannot_be_used_are_left_out() {
    let (short, long) = (URL_SAFE_NO_PAD.encode([0xff; 128]), URL_SAFE_NO_PAD.encode([0xff; 1025]));
    for unusable in [
        with(ec_key(), "use", json!("enc")),
        with(ec_key(), "key_ops", json!(["sign"])),
        with(ec_key(), "key_ops", json!("verify")),
        with(ec_key(), "crv", json!("P-384")),
        with(ec_key(), "kty", json!("ML-DSA")),
        with(ec_key(), "alg", json!("RS256")),
        with(ec_key(), "alg", json!("HS256")),
        with(ec_key(), "alg", json!(null)),
        with(ec_key(), "kid", json!(1)),
        with(ec_key(), "x", json!("AA")),
        with(ec_key(), "x", json!(format!("{X}="))),
        with(ec_key(), "y", json!(X)),
        with(rsa_key(), "n", json!(short)),
        with(rsa_key(), "n", json!(long)),
        with(rsa_key(), "n", json!("")),
        with(rsa_key(), "e", json!("AQ")),
        with(rsa_key(), "e", json!("AAEAAQ")),
        with(rsa_key(), "e", json!("AQAA")),
        with(rsa_key(), "e", json!("")),
        with(ed_key(), "crv", json!("X25519")),
        with(ed_key(), "x", json!("AAAA")),
    ] {
        let fault = parse(&json!([unusable])).unwrap_err();
        assert!(fault.contains("has no RSA"), "{unusable}: {fault}");
        assert_eq!(parse(&json!([unusable, ed_key()])).unwrap().0.len(), 1, "{unusable}");
    }
    let padded = [&[0], decode(N).unwrap().as_slice()].concat();
    let padded = with(rsa_key(), "n", json!(URL_SAFE_NO_PAD.encode(padded)));
    assert!(parse(&json!([padded])).is_ok(), "the zero of a signed number");
}

#[test]
fn documents_that_cannot_be_believed_are_refused_whole() {
    let oct = json!({"kty": "oct", "kid": "h", "alg": "HS256", "k": "c2VjcmV0"});
    for secret in [oct, with(ec_key(), "d", json!("AA")), with(rsa_key(), "qi", json!("AA"))] {
        assert!(parse(&json!([ed_key(), secret])).unwrap_err().contains("symmetric or private"), "{secret}");
    }
    assert!(parse(&json!([ec_key(), with(ed_key(), "kid", json!("e"))])).unwrap_err().contains("same `kid`"));
    assert!(parse(&Value::Array(vec![ec_key(); MOST + 1])).unwrap_err().contains("more than 100"));
    let named = |n: usize| with(ec_key(), "kid", json!(n.to_string()));
    assert!(parse(&Value::Array((0..MOST).map(named).collect())).is_ok(), "and not one sooner");
    for keys in [json!([]), json!([1]), json!({}), json!(null)] {
        assert!(parse(&keys).is_err(), "{keys}");
    }
    for text in ["", "[]", "{}", r#"{"keys":[],"keys":[]}"#] {
        assert!(KeySet::parse(text.as_bytes()).is_err(), "{text}");
    }
    let mut document = json!({"keys": [ec_key()]}).to_string();
    document.push_str(&" ".repeat(LONGEST - document.len()));
    assert!(KeySet::parse(document.as_bytes()).is_ok());
    document.push(' ');
    assert!(KeySet::parse(document.as_bytes()).unwrap_err().contains("longer than"));
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes: Vec<u8>, n: String, e: String) {
        prop_assert!(KeySet::parse(&bytes).is_err());
        let key = json!({"kty": "RSA", "n": n, "e": e});
        prop_assert!(parse(&json!([key])).is_err());
    }
}
