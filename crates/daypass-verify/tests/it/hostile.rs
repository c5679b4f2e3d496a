//! Tokens that somebody has made in order to be let in, and each of them refused for its own reason.

use crate::maker::{AUDIENCE, ISSUER, KEYS, Key, NOW, changed, claims, encode, judge, key, key_set};
use aws_lc_rs::hmac;
use base64::Engine;
use jsonwebtoken::Algorithm;
use proptest::prelude::*;
use serde_json::{Value, json};

fn usual() -> Value {
    claims(&json!({}))
}

/// A token of these parts with any signature.
fn made(header: &Value, signature: impl AsRef<[u8]>) -> String {
    format!("{}.{}.{}", encode(header.to_string()), encode(usual().to_string()), encode(signature))
}

async fn refused(token: &str) -> &'static str {
    judge(token).await.err().unwrap_or_else(|| panic!("it was accepted: {token}")).label()
}

#[tokio::test]
async fn unsigned_tokens() {
    for name in ["none", "None", "NONE", "nOnE", ""] {
        let header = json!({"typ": "JWT", "alg": name, "kid": "es"});
        assert_eq!(refused(&made(&header, "x")).await, "algorithm", "{name}");
        let (signed, _) =
            made(&header, "x").rsplit_once('.').map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
        assert_eq!(refused(&format!("{signed}.")).await, "malformed");
        assert_eq!(refused(&signed).await, "malformed");
    }
    for header in [json!({"typ": "JWT", "kid": "es"}), json!({"typ": "JWT", "alg": ["none"], "kid": "es"})] {
        assert_eq!(refused(&made(&header, "x")).await, "algorithm", "{header}");
    }
}

#[tokio::test]
async fn the_public_key_as_a_secret() {
    let rsa = key("rs");
    let modulus =
        base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(rsa.jwk["n"].as_str().unwrap()).unwrap();
    let secrets =
        [modulus, rsa.jwk.to_string().into_bytes(), key_set().into_bytes(), Vec::new(), b"secret".to_vec()];
    for (name, algorithm) in
        [("HS256", hmac::HMAC_SHA256), ("HS384", hmac::HMAC_SHA384), ("HS512", hmac::HMAC_SHA512)]
    {
        for secret in &secrets {
            let header = json!({"typ": "JWT", "alg": name, "kid": "rs"});
            let token = made(&header, "");
            let signed = token.trim_end_matches('.');
            let tag = hmac::sign(&hmac::Key::new(algorithm, secret), signed.as_bytes());
            assert_eq!(refused(&format!("{signed}.{}", encode(tag))).await, "algorithm", "{name}");
        }
    }
}

#[tokio::test]
async fn another_algorithm_than_that_of_the_key() {
    for (kid, alg) in [("es", "RS256"), ("rs", "ES256"), ("ed", "ES256"), ("es", "EdDSA"), ("rs", "EdDSA")] {
        let token = key(kid).sign_with(&json!({"alg": alg}), &usual());
        assert_eq!(refused(&token).await, "algorithm", "{kid} {alg}");
    }
    // One RSA key serves both paddings, and a signature by the one is none by the other.
    assert_eq!(refused(&key("rs").sign_with(&json!({"alg": "PS256"}), &usual())).await, "signature");
    for alg in ["ES384", "RS512", "ES256K", "es256", "RSA1_5", "dir"] {
        assert_eq!(refused(&key("es").sign_with(&json!({"alg": alg}), &usual())).await, "algorithm", "{alg}");
    }
}

#[tokio::test]
async fn keys_that_the_issuer_does_not_have() {
    let stranger = Key::p256("es");
    assert_eq!(refused(&stranger.sign(&usual())).await, "signature", "under a known id");
    let brought =
        json!({"jwk": stranger.jwk, "jku": "https://evil.example/keys", "x5u": "https://evil.example/c"});
    assert_eq!(refused(&stranger.sign_with(&brought, &usual())).await, "signature", "with its own key");
    let long = "k".repeat(300);
    let huge = "k".repeat(20_000);
    for (kid, label) in [
        (json!("unknown"), "unknown_key"),
        (json!("ES"), "unknown_key"),
        (json!("../../../../dev/null"), "unknown_key"),
        (json!("' OR 1=1 --"), "unknown_key"),
        (json!(""), "malformed"),
        (json!(1), "malformed"),
        (json!({"a": 1}), "malformed"),
        (json!(["es"]), "malformed"),
        (json!(long), "malformed"),
        (json!(huge), "malformed"),
    ] {
        let token = key("es").sign_with(&json!({"kid": kid}), &usual());
        assert_eq!(refused(&token).await, label, "{}", &kid.to_string()[..kid.to_string().len().min(40)]);
    }
    assert!(judge(&key("es").sign_with(&json!({"kid": null}), &usual())).await.is_ok(), "only one key fits");
    assert_eq!(
        refused(&key("rs").sign_with(&json!({"kid": null}), &usual())).await,
        "unknown_key",
        "two fit"
    );
}

#[tokio::test]
async fn headers_that_change_the_meaning() {
    for header in [
        json!({"crit": ["exp"], "exp": 1}),
        json!({"crit": []}),
        json!({"b64": false, "crit": ["b64"]}),
        json!({"b64": true}),
        json!({"zip": "DEF"}),
        json!({"enc": "A256GCM"}),
    ] {
        assert_eq!(refused(&key("es").sign_with(&header, &usual())).await, "malformed", "{header}");
    }
    for typ in [
        "dpop+jwt",
        "logout+jwt",
        "secevent+jwt",
        "id_token",
        "JWE",
        "",
        "at+jwt; charset=utf-8",
        "application/",
    ] {
        assert_eq!(refused(&key("es").sign_with(&json!({"typ": typ}), &usual())).await, "type", "{typ}");
    }
    assert_eq!(refused(&key("es").sign_with(&json!({"typ": 1}), &usual())).await, "type");
}

#[tokio::test]
async fn another_spelling_of_a_good_token() {
    let good = key("es").sign(&usual());
    assert!(judge(&good).await.is_ok());
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let (header, body) = signed.split_once('.').unwrap();
    for bad in [
        format!("{good}="),
        format!("{good}=="),
        format!("{header}=.{body}.{signature}"),
        format!(" {good}"),
        format!("{good}\n"),
        format!("{good}\0"),
        format!("{good}."),
        format!("{good}.{signature}"),
        format!("{header}.\r\n{body}.{signature}"),
        format!("{signed}.{}", base64::engine::general_purpose::STANDARD.encode([0xfb; 64])),
        format!("Bearer {good}"),
        format!("{header}.{body}"),
        String::new(),
        ".".to_owned(),
        "..".to_owned(),
        format!("{}.{body}.{signature}", "A".repeat(20_000)),
        json!({"payload": body, "protected": header, "signature": signature}).to_string(),
    ] {
        assert_eq!(refused(&bad).await, "malformed", "{}", &bad[..bad.len().min(60)]);
    }
    // 64 bytes are 86 characters, and the last of them has four bits left over.
    let last = signature.chars().last().unwrap();
    let others =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".chars().filter(|c| *c != last);
    for other in others {
        let changed = format!("{signed}.{}{other}", &signature[..85]);
        assert!(judge(&changed).await.is_err(), "{other}");
    }
}

#[tokio::test]
async fn members_that_stand_twice() {
    let (header, body) =
        (json!({"typ": "JWT", "alg": "ES256", "kid": "es"}).to_string(), usual().to_string());
    assert!(judge(&key("es").sign_text(&header, &body)).await.is_ok());
    let twice = |text: &str, more: &str| format!("{},{more}}}", &text[..text.len() - 1]);
    for more in [r#""aud":"other""#, r#""exp":1"#, r#""\u0061ud":"other""#, r#""x":{"a":1,"a":1}"#] {
        assert_eq!(refused(&key("es").sign_text(&header, &twice(&body, more))).await, "malformed", "{more}");
    }
    for more in [r#""alg":"none""#, r#""kid":"rs""#] {
        assert_eq!(refused(&key("es").sign_text(&twice(&header, more), &body)).await, "malformed", "{more}");
    }
    for body in ["[]", "null", "\"text\"", "{", "{}{}", "\u{feff}{}"] {
        assert_eq!(refused(&key("es").sign_text(&header, body)).await, "malformed", "{body}");
    }
}

#[tokio::test]
async fn claims_that_are_not_for_here_or_now() {
    for (change, label) in [
        (json!({"exp": NOW - 60}), "expired"),
        (json!({"exp": null}), "malformed"),
        (json!({"exp": "4000000000"}), "malformed"),
        (json!({"exp": 1e19}), "malformed"),
        (json!({"nbf": NOW + 61}), "not_yet"),
        (json!({"iat": NOW + 61}), "not_yet"),
        (json!({"iss": "https://evil.example"}), "issuer"),
        (json!({"iss": format!("{ISSUER}/")}), "issuer"),
        (json!({"iss": [ISSUER]}), "issuer"),
        (json!({"iss": null}), "issuer"),
        (json!({"aud": "another"}), "audience"),
        (json!({"aud": format!("{AUDIENCE}, another")}), "audience"),
        (json!({"aud": null}), "audience"),
        (json!({"roles": "orders.read"}), "malformed"),
        (json!({"azp": "a", "appid": "b"}), "malformed"),
        (json!({"cnf": {"jkt": "a"}}), "bound"),
        (json!({"cnf": {"x5t#S256": "a"}}), "bound"),
        (json!({"cnf": {}}), "bound"),
        (json!({"cnf": "text"}), "bound"),
    ] {
        assert_eq!(refused(&key("es").sign(&claims(&change))).await, label, "{change}");
    }
    // Nothing that is said beside a wrong signature is told apart.
    let stranger = Key::rsa("rs", Algorithm::RS256);
    assert_eq!(refused(&stranger.sign(&claims(&json!({"exp": 1, "aud": "x"})))).await, "signature");
}

#[tokio::test]
async fn a_flipped_bit_anywhere_is_noticed() {
    for key in KEYS.iter() {
        let token = key.sign(&usual());
        assert!(judge(&token).await.is_ok());
        // Each bit of each character; with RSA, which is slow without optimization, another one at each place.
        let rsa = matches!(key.algorithm, Algorithm::RS256 | Algorithm::PS256);
        for (place, bit) in (0..token.len()).flat_map(|place| (0..7).map(move |bit| (place, bit))) {
            if rsa && place % 7 != bit {
                continue;
            }
            let mut bytes = token.clone().into_bytes();
            bytes[place] ^= 1 << bit;
            let changed = String::from_utf8(bytes).unwrap();
            assert!(judge(&changed).await.is_err(), "{:?} at {place}: {changed}", key.algorithm);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn reading_never_panics(text: String, parts in "[A-Za-z0-9_-]{0,40}\\.[A-Za-z0-9_-]{0,40}\\.[A-Za-z0-9_-]{0,40}") {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        prop_assert!(runtime.block_on(judge(&text)).is_err());
        prop_assert!(runtime.block_on(judge(&parts)).is_err());
    }

    /// Signed by the issuer and still anything at all: a verifier must get along with its issuer's mistakes.
    #[test]
    fn signed_nonsense_never_panics(name in "iss|aud|exp|nbf|iat|roles|azp|cnf|scp|sub|tid", value in any_json()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let mut all = usual();
        all[&name] = value.clone();
        let _ = runtime.block_on(judge(&key("ed").sign(&all)));
        let header = changed(json!({"typ": "JWT", "alg": "EdDSA", "kid": "ed"}), &json!({name: value}));
        let _ = runtime.block_on(judge(&key("ed").sign_text(&header.to_string(), &all.to_string())));
    }

    /// Whatever is done to a token, it is refused or the very same.
    #[test]
    fn a_changed_token_is_refused(place in 0_usize..2000, change in "[ -~]") {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let token = key("ed").sign(&usual());
        let place = place % token.len();
        let changed = format!("{}{change}{}", &token[..place], &token[place + 1..]);
        prop_assert_eq!(runtime.block_on(judge(&changed)).is_ok(), changed == token);
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::vec((any::<String>(), inner), 0..4)
                .prop_map(|pairs| pairs.into_iter().collect()),
        ]
    })
}
