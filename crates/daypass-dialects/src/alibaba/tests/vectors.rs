//! The signature vectors, each intermediate string asserted.

use super::super::sign::{SignMethod, base_string, digest, sign, string_digested};
use super::super::wire::{METHOD, Name};
use super::{Draft, post, read, vectors};
use daypass_core::dialect::{Call, Claim};
use daypass_core::refusal::Reason;
use daypass_core::secret::{Secret, SigningKey};
use daypass_core::testing::World;
use serde_json::Value;

struct Vector {
    name: String,
    method: SignMethod,
    secret: String,
    params: Vec<(String, String)>,
    base: String,
    digested: String,
    sign: String,
    value: Value,
}

fn all() -> Vec<Vector> {
    let vectors = vectors();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let each = vectors["vectors"].as_array().unwrap().iter().map(|v| Vector {
        name: text(&v["name"]),
        method: SignMethod::named(v["sign_method"].as_str().unwrap()).unwrap(),
        secret: text(&v["app_secret"]),
        params: v["params"].as_object().unwrap().iter().map(|(n, v)| (n.clone(), text(v))).collect(),
        base: text(&v["base_string"]),
        digested: text(&v["string_digested"]),
        sign: text(&v["sign"]),
        value: v.clone(),
    });
    each.collect()
}

impl Vector {
    /// Sorted, as they are signed.
    fn pairs(&self) -> Vec<(&str, &str)> {
        let mut pairs: Vec<_> = self.params.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        pairs.sort_unstable();
        pairs
    }
}

#[test]
fn every_intermediate_string_is_right() {
    let vectors = all();
    assert_eq!(vectors.len(), 36);
    for v in &vectors {
        let base = base_string(v.pairs());
        assert_eq!(base, v.base, "{}", v.name);
        let digested = string_digested(v.method, v.secret.as_bytes(), &base);
        assert_eq!(digested.expose_str(), v.digested, "{}", v.name);
        assert_eq!(digest(v.method, v.secret.as_bytes(), &base), v.sign, "{}", v.name);
        assert_eq!(sign(v.method, v.secret.as_bytes(), v.pairs().into_iter().rev()), v.sign, "{}", v.name);
    }
}

#[test]
fn a_client_that_drops_empty_values_signs_what_it_sends() {
    let mut seen = 0;
    for v in all().iter().filter(|v| v.value.get("sign_skip_empty").is_some()) {
        let sent: Vec<_> = v.pairs().into_iter().filter(|(_, value)| !value.is_empty()).collect();
        assert_eq!(base_string(sent.clone()), v.value["base_string_skip_empty"].as_str().unwrap());
        assert_eq!(sign(v.method, v.secret.as_bytes(), sent), v.value["sign_skip_empty"].as_str().unwrap());
        seen += 1;
    }
    assert_eq!(seen, 3);
}

/// Those vectors that are calls of our method go the whole way: form, `read`, `verify`.
#[test]
fn vectors_of_our_method_verify_over_the_wire() {
    let directory = World::new().directory();
    let mut seen = 0;
    for v in all() {
        let ours = v.params.iter().all(|(name, _)| Name::of(name.as_bytes()).is_some())
            && v.params.iter().any(|(name, value)| name == "method" && value == METHOD);
        if !ours {
            continue;
        }
        let stamp = &v.params.iter().find(|(name, _)| name == "timestamp").unwrap().1;
        let now = super::super::time::read(stamp).unwrap();
        let secret = Secret::new(v.secret.as_bytes());
        let draft = Draft {
            method: v.method,
            secret: v.secret.clone().into_bytes(),
            params: v.params.iter().cloned().collect(),
        };
        let (_, call) = read(&directory, now, draft.set("sign", &v.sign).post());
        let call = call.unwrap();
        assert!(call.verify(&SigningKey::for_test(&secret)).is_some(), "{}", v.name);
        assert!(call.verify(&SigningKey::for_test(&Secret::new("helloworlD"))).is_none(), "{}", v.name);
        let Claim::Signed(signed) = call.claim() else { panic!("it is signed") };
        assert_eq!((signed.signature, signed.weak), (v.sign.as_bytes(), v.method.weak()));
        seen += 1;
    }
    assert!(seen >= 27, "only {seen} vectors were of our method");
}

/// Two sets of parameters with one base string: the reason why only known names are accepted.
#[test]
fn the_collision_pair_cannot_be_sent() {
    let pair: Vec<_> = all().into_iter().filter(|v| v.name.starts_with("collision-")).collect();
    assert_eq!(pair.len(), 2);
    assert_ne!(pair[0].params, pair[1].params);
    assert_eq!((&pair[0].base, &pair[0].sign), (&pair[1].base, &pair[1].sign));
    let directory = World::new().directory();
    for v in pair {
        // With all that is required, but the parameter that makes the collision.
        let mut draft = Draft::new(v.method);
        draft.params.extend(v.params);
        let (_, call) = read(&directory, daypass_core::testing::START, draft.post());
        assert_eq!(call.unwrap_err().reason, Reason::UnknownParameter, "{}", v.name);
    }
}

/// A border between two known parameters can be moved only where nothing is decided: what is asked, by whom,
/// when and how it is signed stay as they were.
#[test]
fn no_known_parameter_can_swallow_the_next_one() {
    let directory = World::new().directory();
    let mut draft = Draft::new(SignMethod::HmacSha256);
    for name in ["partner_id", "session", "simplify", "target_app_key"] {
        draft = draft.set(name, if name == "simplify" { "true" } else { "x" });
    }
    let sign = draft.signature();
    let names: Vec<_> = draft.params.keys().cloned().collect();
    for pair in names.windows(2) {
        let moved = draft.params[&pair[0]].clone() + &pair[1] + &draft.params[&pair[1]];
        let swallowed = draft.clone().unset(&pair[1]).set(&pair[0], &moved);
        assert_eq!(swallowed.signature(), sign, "the base string is the same");
        let (_, call) =
            read(&directory, daypass_core::testing::START, post(&swallowed.set("sign", &sign).form()));
        let Ok(call) = call else { continue };
        let kept = |name| call.parameters().get(name).map(str::to_owned);
        for name in [Name::AppKey, Name::Method, Name::Timestamp] {
            assert_eq!(kept(name).as_ref(), draft.params.get(name.text()), "{pair:?}");
        }
        // `param` must still be a JSON object, which ends where it ends.
        let param = super::super::param::Param::parse(kept(Name::Param).as_deref());
        let same = param.is_ok() && kept(Name::Param).as_ref() == draft.params.get("param");
        assert!(same || param.is_err(), "{pair:?}");
    }
}
