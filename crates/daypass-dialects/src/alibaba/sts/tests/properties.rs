//! What must hold for every input.

use super::super::{Sts, StsManner};
use super::{Draft, STYLES, Style, world};
use crate::alibaba::tests::{json_leaves, xml_leaves};
use crate::alibaba::wire::Format;
use daypass_core::credential::{Credential, Granted};
use daypass_core::dialect::{Call, Context, Delivery, Dialect, Facts, Outcome};
use daypass_core::refusal::{Reason, Refusal};
use daypass_core::request::Request;
use daypass_core::secret::{Secret, SigningKey};
use daypass_core::testing::{START, request};
use daypass_core::triple::{Triple, TripleKind};
use http::HeaderValue;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use std::collections::BTreeMap;
use uuid::Uuid;

/// Whether a call is read and its signature holds.
fn holds(request: Request) -> bool {
    let directory = world().directory();
    let mut manner = Sts.manner(&request.head);
    let call = Sts.read(Context { directory: &directory, now: START }, request, &mut manner);
    let secret = Secret::new("secret of LTAIworld");
    call.is_ok_and(|call| call.verify(&SigningKey::for_test(&secret)).is_some())
}

fn in_both(outcome: impl Fn() -> Outcome) -> (String, String) {
    let written = |format| {
        let manner = StsManner { format, request_id: Uuid::nil(), action: None, way: None };
        String::from_utf8(Sts.render(&manner, outcome()).body().to_vec()).unwrap()
    };
    (written(Format::Json), written(Format::Xml))
}

/// The same leaves, but for the root that only XML has.
fn same_facts((json, xml): &(String, String)) -> Result<(), TestCaseError> {
    let mut json = json_leaves(json);
    let mut xml: Vec<_> = xml_leaves(xml)
        .into_iter()
        .map(|(path, text)| (path.split_once('/').unwrap().1.to_owned(), text))
        .collect();
    json.sort_unstable();
    xml.sort_unstable();
    prop_assert_eq!(json, xml);
    Ok(())
}

fn grant(texts: &[String; 6], source_identity: Option<&String>) -> Granted {
    let [id, secret, token, role, session, account] = texts.clone();
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
        account,
        role,
        policy: None,
        answer: BTreeMap::new(),
        variables: BTreeMap::new(),
        product: None,
        correlation: None,
        tenant: Uuid::nil(),
        session: Some(session),
        subject: None,
        source_identity: source_identity.cloned(),
        confirmation: None,
        exchanged: None,
        brokered: None,
    }
}

fn texts() -> impl Strategy<Value = [String; 6]> {
    [any::<String>(), any::<String>(), any::<String>(), any::<String>(), any::<String>(), any::<String>()]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn what_was_signed_verifies(
        style in select(STYLES.to_vec()), name in "[A-Za-z.]{1,12}", value in "[^\\x00]{0,60}", nonce in "[!-~]{1,40}",
    ) {
        let common = super::super::name::COMMON.contains(&name.as_str());
        prop_assume!(!common);
        prop_assert!(holds(Draft::assume(style).set(&name, &value).nonce(&nonce).sent()), "{}={:?}", name, value);
    }

    #[test]
    fn any_flipped_bit_of_the_parameters_fails(style in select(STYLES.to_vec()), at in any::<prop::sample::Index>(), bit in 0_u32..8) {
        let sent = Draft::assume(style).set("DurationSeconds", "900").sent();
        let in_body = !sent.body.is_empty();
        let mut form = if in_body { sent.body.to_vec() } else { sent.head.query.clone().into_bytes() };
        let before: Vec<(String, String)> = form_urlencoded::parse(&form).into_owned().collect();
        let at = at.index(form.len());
        form[at] ^= 1 << bit;
        let Ok(flipped) = String::from_utf8(form) else { return Ok(()) };
        let after: Vec<(String, String)> = form_urlencoded::parse(flipped.as_bytes()).into_owned().collect();
        // An escape has two spellings of its letters, and in the query of ACS3 they are one.
        prop_assume!(before != after);
        let mut request = sent;
        if in_body { request.body = flipped.into() } else { request.head_mut().query = flipped }
        prop_assert!(!holds(request));
    }

    #[test]
    fn any_flipped_bit_of_a_signed_header_fails(
        form: bool,
        name in select(vec!["host", "x-acs-action", "x-acs-content-sha256", "x-acs-date", "x-acs-signature-nonce", "x-acs-version"]),
        at in any::<prop::sample::Index>(),
        bit in 0_u32..7,
    ) {
        let mut request = Draft::assume(if form { Style::Acs3Form } else { Style::Acs3 }).sent();
        let mut value = request.head.headers[name].as_bytes().to_vec();
        let at = at.index(value.len());
        value[at] ^= 1 << bit;
        // What is no header never arrives.
        let Ok(value) = HeaderValue::from_bytes(&value) else { return Ok(()) };
        request.head_mut().headers.insert(name, value);
        prop_assert!(!holds(request));
    }

    #[test]
    fn reading_survives_anything(
        method in select(vec!["GET", "POST", "PUT"]),
        query in "[ -~]{0,80}",
        kind in prop_oneof![Just("application/x-www-form-urlencoded".to_owned()), "[ -~]{0,40}"],
        authorization in prop_oneof![
            "[ -~]{0,60}",
            "ACS3-HMAC-SHA256 (Credential|SignedHeaders|Signature|=|,|;|host|x-acs-date|[0-9a-f]{2}| ){0,20}",
        ],
        header in "[ -~]{0,30}",
        body in prop_oneof![
            vec(any::<u8>(), 0..300),
            "((Action|AccessKeyId|Signature|SignatureNonce|Timestamp|Version|Format|RoleArn|OIDCToken)=(AssumeRole|AssumeRoleWithOIDC|2015-04-01|JSON|xml|%|[ -~]{0,9})&){0,14}".prop_map(String::into_bytes),
        ],
    ) {
        let headers = [
            ("content-type", kind.as_str()),
            ("authorization", &authorization),
            ("x-acs-action", "AssumeRole"),
            ("x-acs-version", "2015-04-01"),
            ("x-acs-date", &header),
            ("x-acs-signature-nonce", &header),
        ];
        let request = request(method, &format!("/?{query}"), &headers, &body);
        let directory = world().directory();
        let mut manner = Sts.manner(&request.head);
        if let Err(refusal) = Sts.read(Context { directory: &directory, now: START }, request, &mut manner) {
            let response = Sts.render(&manner, Outcome::Refused(refusal));
            let text = String::from_utf8(response.body().to_vec()).unwrap();
            prop_assert!(response.status().as_u16() >= 400);
            if text.starts_with('{') { json_leaves(&text) } else { xml_leaves(&text) };
        }
    }

    #[test]
    fn grants_carry_the_same_facts(texts in texts(), source in option::of(any::<String>())) {
        let both = in_both(|| Outcome::Granted(Delivery::for_test(grant(&texts, source.as_ref()), None)));
        same_facts(&both)?;
    }

    #[test]
    fn identities_carry_the_same_facts(account in any::<String>(), client in option::of(any::<u128>()), role in option::of(any::<String>()), session in option::of(any::<String>())) {
        let facts = Facts { account, client: client.map(Uuid::from_u128), key: None, role, session, kind: None, tenant: Uuid::nil() };
        same_facts(&in_both(|| Outcome::Facts(facts.clone())))?;
    }

    #[test]
    fn errors_carry_the_same_facts(reason in select(Reason::ALL.to_vec()), detail in any::<String>(), parameter in option::of(any::<String>())) {
        let mut refusal = Refusal::new(reason, detail);
        if let Some(parameter) = parameter {
            refusal = refusal.parameter(parameter);
        }
        same_facts(&in_both(|| Outcome::Refused(refusal.clone())))?;
    }
}
