use super::*;
use crate::jose::Signer;
use crate::role::Algorithm;
use crate::secret::Secret;
use crate::testing::{START, before, later};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use proptest::prelude::*;
use serde_json::json;
use std::sync::LazyLock;

const URL: &str = "https://pass.example.com/t/oauth2/v2.0/token";

static SIGNERS: LazyLock<Vec<Signer>> = LazyLock::new(|| {
    let make =
        |algorithm: &Algorithm| Signer::parse(*algorithm, &Signer::generate(*algorithm).unwrap()).unwrap();
    Algorithm::ALL.iter().map(make).collect()
});

fn es256() -> &'static Signer {
    SIGNERS.iter().find(|signer| signer.jwk()["alg"] == "ES256").unwrap()
}

/// The public key as a client writes it: the required members alone.
fn public(signer: &Signer) -> Value {
    let mut jwk = signer.jwk().clone();
    for extra in ["kid", "use", "alg"] {
        jwk.as_object_mut().unwrap().remove(extra);
    }
    jwk
}

fn header(signer: &Signer) -> Value {
    json!({"typ": "dpop+jwt", "alg": signer.jwk()["alg"], "jwk": public(signer)})
}

fn claims() -> Value {
    json!({"htm": "POST", "htu": URL, "iat": START.as_second(), "jti": "once"})
}

fn with(mut value: Value, name: &str, member: Option<Value>) -> Value {
    let members = value.as_object_mut().unwrap();
    match member {
        Some(member) => members.insert(name.to_owned(), member),
        None => members.remove(name),
    };
    value
}

fn judge(text: impl Into<Vec<u8>>) -> Result<Proof, Refusal> {
    let (proof, urls) = (Secret::new(text.into()), [URL.to_owned()]);
    verify(&Dpop { proof: &proof, method: "POST", urls: &urls }, START)
}

fn send(header: &Value, claims: &Value) -> Result<Proof, Refusal> {
    judge(es256().sign_under(header, claims).unwrap())
}

/// What the sentence of the refusal expected.
fn wanted(got: Result<Proof, Refusal>) -> String {
    let refusal = got.expect_err("it should have been refused");
    assert_eq!(refusal.reason, Reason::DpopInvalid);
    let prefix = "the DPoP proof is not accepted; expected was ";
    refusal.detail.strip_prefix(prefix).unwrap_or_else(|| panic!("{}", refusal.detail)).to_owned()
}

#[test]
fn a_proof_of_every_kind_of_key_gives_its_thumbprint() {
    for signer in SIGNERS.iter() {
        let proof = judge(signer.sign_under(&header(signer), &claims()).unwrap()).unwrap();
        assert_eq!(
            proof,
            Proof { thumbprint: signer.kid().to_owned(), id: "once".into(), until: later(120) },
            "{}",
            signer.jwk()["alg"]
        );
    }
}

#[test]
fn the_standards_own_proof_is_right_in_all_but_its_time() {
    // RFC 9449, section 4.1 (figure 2), with the thumbprint of section 6.1.
    let text = "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6Ik\
                VDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCR\
                nMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JE\
                QSIsImNydiI6IlAtMjU2In19.eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIj\
                oiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUuY29tL3Rva2VuIiwia\
                WF0IjoxNTYyMjYyNjE2fQ.2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLvqRMUvwnQg\
                4PtFLbdLXiOSsX0x7NVY-FNyJK70nfbV37xRZT3Lg";
    let (proof, urls) = (Secret::new(text), ["https://server.example.com/token".to_owned()]);
    let dpop = Dpop { proof: &proof, method: "POST", urls: &urls };
    let verified = verify(&dpop, Timestamp::from_second(1_562_262_616).unwrap()).unwrap();
    assert_eq!(verified.thumbprint, "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I");
    assert_eq!(verified.id, "-BwC3ESc6acc2lTc");
    assert!(wanted(verify(&dpop, START)).starts_with("an iat within 60 seconds of now; it is 2019-07-04"));
}

/// What is said of every other algorithm.
const ALG: &str = "an alg of RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, EdDSA or Ed25519";

#[test]
fn a_wrong_member_of_the_header_is_named() {
    let good = header(es256());
    let key = |name: &str, member: Option<Value>| Some(with(public(es256()), name, member));
    for (name, member, expected) in [
        ("typ", None, "a typ of dpop+jwt"),
        ("typ", Some(json!("JWT")), "a typ of dpop+jwt"),
        ("typ", Some(json!("DPoP+JWT")), "a typ of dpop+jwt"),
        ("alg", None, ALG),
        ("alg", Some(json!("none")), ALG),
        ("alg", Some(json!("HS256")), ALG),
        ("alg", Some(json!("EdDSA")), "an alg that is one of the key in jwk"),
        ("jwk", None, "a jwk in the header, the public key as a JSON object"),
        ("jwk", Some(json!("text")), "a jwk in the header, the public key as a JSON object"),
        ("jwk", key("d", Some(json!("AA"))), "a public key, without any private member"),
        ("jwk", Some(json!({"kty": "oct", "k": "AA"})), "a public key, without any private member"),
        (
            "jwk",
            key("crv", Some(json!("P-384"))),
            "an RSA (2048 to 8192 bits), P-256, P-384 or Ed25519 key for signatures",
        ),
        ("jwk", key("x", None), "an RSA (2048 to 8192 bits), P-256, P-384 or Ed25519 key for signatures"),
        (
            "jwk",
            key("alg", Some(json!("RS256"))),
            "an RSA (2048 to 8192 bits), P-256, P-384 or Ed25519 key for signatures",
        ),
        ("jwk", Some(public(&SIGNERS[0])), "an alg that is one of the key in jwk"),
        ("crit", Some(json!(["exp"])), "a header without crit, b64, zip and enc"),
        ("b64", Some(json!(false)), "a header without crit, b64, zip and enc"),
    ] {
        let got = send(&with(good.clone(), name, member.clone()), &claims());
        assert_eq!(wanted(got), expected, "{name} {member:?}");
    }
    let other = Signer::parse(Algorithm::Es256, &Signer::generate(Algorithm::Es256).unwrap()).unwrap();
    assert_eq!(wanted(send(&header(&other), &claims())), "a signature by the key in jwk", "another's key");
    assert!(send(&with(good, "x", Some(json!(1))), &claims()).is_ok(), "what means nothing is ignored");
}

#[test]
fn a_wrong_claim_is_named() {
    let long = "x".repeat(257);
    let target = &format!("an htu of {URL}");
    for (name, member, expected) in [
        ("htm", None, "an htm of POST"),
        ("htm", Some(json!("GET")), "an htm of POST"),
        ("htm", Some(json!("post")), "an htm of POST"),
        ("htu", None, target),
        ("htu", Some(json!(7)), target),
        ("htu", Some(json!("https://pass.example.com/t/oauth2/v2.0/introspect")), target),
        ("jti", None, "a jti of 1 to 256 characters"),
        ("jti", Some(json!("")), "a jti of 1 to 256 characters"),
        ("jti", Some(json!(1)), "a jti of 1 to 256 characters"),
        ("jti", Some(json!(long)), "a jti of 1 to 256 characters"),
        ("iat", None, "an iat in seconds since 1970"),
        ("iat", Some(json!("1700000000")), "an iat in seconds since 1970"),
        ("iat", Some(json!(-1)), "an iat in seconds since 1970"),
    ] {
        let got = send(&header(es256()), &with(claims(), name, member.clone()));
        assert_eq!(wanted(got), expected, "{name} {member:?}");
    }
    for good in [json!(long[..256]), json!("日".repeat(256))] {
        assert!(send(&header(es256()), &with(claims(), "jti", Some(good))).is_ok());
    }
}

#[test]
fn the_target_is_compared_without_query_and_in_normal_form() {
    for (htu, right) in [
        (URL.to_owned(), true),
        (format!("{URL}?client-request-id=1"), true),
        (format!("{URL}#part"), true),
        (URL.replace("https://pass", "HTTPS://Pass"), true),
        (URL.replace(".com/", ".com:443/"), true),
        (URL.replace(".com/", ".com:8443/"), false),
        (URL.replace(".com/", ".com:80/"), false),
        (URL.replace("https:", "http:"), false),
        (URL.replace("https://", ""), false),
        (URL.replace("https://", "https://user@"), false),
        (URL.replace("/t/", "/T/"), false),
        (format!("{URL}/"), false),
        (URL.replace("pass.example.com", "evil.example"), false),
        (URL.replace("https://", "https://evil.example/?"), false),
    ] {
        let got = send(&header(es256()), &with(claims(), "htu", Some(json!(htu))));
        assert_eq!(got.is_ok(), right, "{htu}");
    }
    assert_eq!(normal("http://127.0.0.1:80/x"), normal("HTTP://127.0.0.1/x"));
    assert_ne!(normal("https://a:443b/x"), normal("https://ab/x"));
}

#[test]
fn every_address_of_the_endpoint_is_right() {
    let urls = [URL.to_owned(), "https://mtls.example.com:8443/t".to_owned()];
    let at = |htu: &str| {
        let claims = with(claims(), "htu", Some(json!(htu)));
        let proof = Secret::new(es256().sign_under(&header(es256()), &claims).unwrap());
        verify(&Dpop { proof: &proof, method: "POST", urls: &urls }, START)
    };
    assert!(urls.iter().all(|url| at(url).is_ok()));
    assert_eq!(wanted(at("https://elsewhere")), format!("an htu of {} or {}", urls[0], urls[1]));
}

#[test]
fn a_proof_is_good_for_a_minute_on_either_side() {
    let made = |iat: Value| send(&header(es256()), &with(claims(), "iat", Some(iat)));
    let start = START.as_second();
    for (iat, right) in [
        (json!(start - 60), true),
        (json!(start - 61), false),
        (json!(start + 60), true),
        (json!(start + 61), false),
    ] {
        assert_eq!(made(iat.clone()).is_ok(), right, "{iat}");
    }
    let early = made(json!(start - 60)).unwrap();
    assert!(early.until > START, "it is remembered for longer than it is good");
    assert_eq!(early.until, after(before(START, 60), REMEMBERED));
}

#[test]
fn a_proof_has_a_length_and_one_spelling() {
    let good = es256().sign_under(&header(es256()), &claims()).unwrap();
    assert!(judge(good.clone()).is_ok());
    for bad in [String::new(), "a.b.c".into(), format!("{good}="), format!("{good} "), format!("DPoP {good}")]
    {
        assert!(wanted(judge(bad)).contains("three parts"));
    }
    let padded = with(header(es256()), "pad", Some(json!("x".repeat(LONGEST))));
    assert_eq!(wanted(send(&padded, &claims())), "a shorter token");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_other_character_makes_it_wrong(at: prop::sample::Index, which in 0..SIGNERS.len(), add in 1..64_u8) {
        const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let signer = &SIGNERS[which];
        let mut text = signer.sign_under(&header(signer), &claims()).unwrap().into_bytes();
        let at = at.index(text.len());
        text[at] = match ALPHABET.iter().position(|c| *c == text[at]) {
            Some(old) => ALPHABET[(old + usize::from(add)) % 64],
            None => b'A',
        };
        prop_assert!(judge(text).is_err());
    }

    #[test]
    fn any_id_is_kept_as_it_is(id in "\\PC{1,256}") {
        let proof = send(&header(es256()), &with(claims(), "jti", Some(json!(id)))).unwrap();
        prop_assert_eq!(proof.id, id);
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes: Vec<u8>, header: String, claims: String) {
        prop_assert!(judge(bytes).is_err());
        let encode = |text: &str| URL_SAFE_NO_PAD.encode(text);
        let shaped = format!("{}.{}.AAAA", encode(&header), encode(&claims));
        prop_assert!(judge(shaped).is_err());
    }
}

#[test]
fn a_proof_that_goes_along_with_a_token_is_about_that_one() {
    let token = Secret::new("a.b.c");
    let hash = URL_SAFE_NO_PAD.encode(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, b"a.b.c"));
    let judge = |ath: Option<Value>| {
        let claims = with(claims(), "ath", ath);
        let (proof, urls) =
            (Secret::new(es256().sign_under(&header(es256()), &claims).unwrap()), [URL.to_owned()]);
        verify_with(&Dpop { proof: &proof, method: "POST", urls: &urls }, &token, START)
    };
    assert_eq!(judge(Some(json!(hash))).unwrap().thumbprint, es256().kid());
    for wrong in
        [None, Some(json!("")), Some(json!(7)), Some(json!(hash.to_lowercase())), Some(json!([hash]))]
    {
        assert_eq!(wanted(judge(wrong)), "an ath of the access token that was sent");
    }
}
