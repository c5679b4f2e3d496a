//! What must hold for every input.

use super::super::Top;
use super::super::sign::SignMethod;
use super::super::wire::{METHOD, PATH, ROOT};
use super::{Draft, Leaves, json_leaves, post, read, xml_leaves};
use daypass_core::credential::{Credential, Granted};
use daypass_core::dialect::{Call, Delivery, Dialect, Outcome};
use daypass_core::endpoint::Product;
use daypass_core::policy::{Condition, Effect, Language, Pattern, Policy, Statement};
use daypass_core::refusal::{Reason, Refusal};
use daypass_core::secret::{Secret, SigningKey};
use daypass_core::testing::{START, World, request};
use daypass_core::triple::{Triple, TripleKind};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

fn methods() -> impl Strategy<Value = SignMethod> {
    select(SignMethod::ALL.to_vec())
}

/// Whether a call is read and its signature holds.
fn holds(form: &str, secret: &[u8]) -> bool {
    let (_, call) = read(&World::new().directory(), START, post(form));
    call.is_ok_and(|call| call.verify(&SigningKey::for_test(&Secret::new(secret))).is_some())
}

/// What a grant says, in any words.
#[derive(Clone, Debug)]
struct Words {
    policy: Option<Policy>,
    correlation: Option<String>,
    texts: [String; 8],
}

fn words() -> impl Strategy<Value = Words> {
    let text = || any::<String>();
    let pattern = || text().prop_map(|text| Pattern::parse(&text));
    let condition = (text(), text(), vec(text(), 0..3)).prop_map(|(operator, key, values)| Condition {
        operator,
        key,
        values,
    });
    let statement = (any::<bool>(), vec(pattern(), 0..3), vec(pattern(), 0..3), vec(condition, 0..2))
        .prop_map(|(allow, actions, resources, conditions)| Statement {
            effect: if allow { Effect::Allow } else { Effect::Deny },
            actions,
            resources,
            conditions,
        });
    let policy = vec(statement, 0..3).prop_map(|statements| Policy { language: Language::Ram, statements });
    let texts = [text(), text(), text(), text(), text(), text(), text(), text()];
    (option::of(policy), option::of(text()), texts).prop_map(|(policy, correlation, texts)| Words {
        policy,
        correlation,
        texts,
    })
}

impl Words {
    fn granted(&self) -> Granted {
        let [id, secret, token, product_code, scene_code, usage_scene, tenant, store] = self.texts.clone();
        Granted {
            credential: Credential::Triple(Triple {
                kind: TripleKind::Alibaba,
                id,
                secret: Secret::new(secret),
                token,
            }),
            issued: START,
            handed_out: START,
            expires: START,
            account: String::new(),
            role: String::new(),
            policy: self.policy.clone().map(std::sync::Arc::new),
            answer: [("end_point_public".to_owned(), usage_scene.clone())].into(),
            variables: [("tenant_code".to_owned(), tenant), ("poi_id".to_owned(), store)].into(),
            product: Some(Product { product_code, scene_code, usage_scene }),
            correlation: self.correlation.clone(),
            tenant: uuid::Uuid::nil(),
            session: None,
            subject: None,
            source_identity: None,
            confirmation: None,
            exchanged: None,
            brokered: None,
        }
    }

    fn render(&self, query: &str) -> String {
        let target = format!("{PATH}?method={METHOD}{query}");
        let (manner, _) = read(&World::new().directory(), START, request("GET", &target, &[], b""));
        let response = Top.render(&manner, Outcome::Granted(Delivery::for_test(self.granted(), None)));
        String::from_utf8(response.body().to_vec()).unwrap()
    }
}

fn sorted(mut leaves: Leaves) -> Leaves {
    leaves.sort_unstable();
    leaves
}

/// Paths without the root and without the names of list items, which `simplify` leaves out.
fn simplified(leaves: Leaves) -> Leaves {
    let shorten = |path: String| {
        let mut parts: Vec<_> =
            path.split('/').filter(|part| ![ROOT, "string", "datas"].contains(part)).collect();
        parts.dedup();
        parts.join("/")
    };
    sorted(leaves.into_iter().map(|(path, text)| (shorten(path), text)).collect())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn what_was_signed_verifies(
        method in methods(), param in "\\PC{1,60}", session in option::of("\\PC{0,20}"), partner in option::of("[ -~]{0,20}"),
    ) {
        let mut draft = Draft::new(method).set("param", &param);
        for (name, value) in [("session", session), ("partner_id", partner)] {
            if let Some(value) = value {
                draft = draft.set(name, &value);
            }
        }
        prop_assert!(holds(&draft.form(), &draft.secret));
        prop_assert!(!holds(&draft.form(), b"another secret"));
    }

    #[test]
    fn any_flipped_byte_of_any_parameter_fails(method in methods(), which in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), bit in 0_u32..7) {
        let draft = Draft::new(method).set("session", "s").set("partner_id", "p").set("target_app_key", "t").set("simplify", "true");
        let sign = draft.signature();
        let draft = draft.set("sign", &sign);
        prop_assert!(holds(&draft.form(), &draft.secret));
        let names: Vec<_> = draft.params.keys().cloned().collect();
        let name: &String = which.get(&names);
        let mut value = draft.params[name].clone().into_bytes();
        let at = at.index(value.len());
        value[at] ^= 1 << bit;
        // The values are ASCII, so that a flip of the lower seven bits leaves them text.
        let flipped = draft.clone().set(name, std::str::from_utf8(&value).unwrap());
        prop_assert!(!holds(&flipped.form(), &draft.secret), "{} was not covered", name);
    }

    #[test]
    fn a_parameter_added_or_left_out_fails(method in methods(), which in any::<prop::sample::Index>()) {
        let draft = Draft::new(method);
        let sign = draft.signature();
        let added = draft.clone().set("session", "").set("sign", &sign);
        prop_assert!(!holds(&added.form(), &draft.secret), "an empty value adds its name");
        let names: Vec<_> = draft.params.keys().cloned().collect();
        let left_out = draft.clone().unset(which.get::<String>(&names)).set("sign", &sign);
        prop_assert!(!holds(&left_out.form(), &draft.secret));
    }

    #[test]
    fn reading_survives_anything(
        method in select(vec!["GET", "POST", "PUT"]),
        query in "[ -~]{0,80}",
        kind in prop_oneof![
            Just("application/x-www-form-urlencoded".to_owned()),
            Just("multipart/form-data; boundary=b".to_owned()),
            "[ -~]{0,60}",
        ],
        body in prop_oneof![
            vec(any::<u8>(), 0..300),
            "(--b|\r\n|Content-Disposition: form-data; |name=|filename=|\"|param|sign|=|&|%|[0-9a-f]{2}|;){0,40}".prop_map(String::into_bytes),
            "((app_key|format|method|param|sign|sign_method|simplify|timestamp|v)=(json|xml|md5|2.0|%|[ -~]{0,9})&){0,14}".prop_map(String::into_bytes),
        ],
    ) {
        let request = request(method, &format!("{PATH}?{query}"), &[("content-type", &kind)], &body);
        let (manner, call) = read(&World::new().directory(), START, request);
        if let Err(refusal) = call {
            let response = Top.render(&manner, Outcome::Refused(refusal));
            let text = String::from_utf8(response.body().to_vec()).unwrap();
            let leaves = if text.starts_with('{') { json_leaves(&text) } else { xml_leaves(&text) };
            let asks = |name: &str| leaves.iter().any(|(path, _)| path == &format!("error_response/{name}"));
            prop_assert!(asks("code") && asks("msg") && asks("request_id"), "{}", text);
        }
    }

    #[test]
    fn json_and_xml_carry_the_same_facts_and_simplify_loses_none(words in words()) {
        let xml = xml_leaves(&words.render(""));
        let json = json_leaves(&words.render("&format=json"));
        let simple = json_leaves(&words.render("&format=json&simplify=true"));
        prop_assert_eq!(simplified(simple), simplified(json.clone()));
        prop_assert_eq!(sorted(json), sorted(xml));
    }

    #[test]
    fn errors_carry_the_same_facts(reason in select(Reason::ALL.to_vec()), detail in any::<String>(), parameter in option::of(any::<String>())) {
        let mut refusal = Refusal::new(reason, detail);
        if let Some(parameter) = parameter {
            refusal = refusal.parameter(parameter);
        }
        let answer = |format: &str| {
            let head = request("GET", &format!("{PATH}?format={format}"), &[], b"").head;
            let response = Top.render(&Top.manner(&head), Outcome::Refused(refusal.clone()));
            String::from_utf8(response.body().to_vec()).unwrap()
        };
        prop_assert_eq!(sorted(json_leaves(&answer("json"))), sorted(xml_leaves(&answer("xml"))));
    }
}
