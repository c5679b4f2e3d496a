use super::*;
use crate::credentials::tests::sample;
use crate::work::Peer;
use std::collections::HashSet;

fn asker() -> Asker {
    let resource = Resource { audience: "aud".into(), algorithm: Algorithm::Es256 };
    Asker::new("127.0.0.1:5050".parse().unwrap(), sample(), vec![resource])
}

fn all(mut requests: Requests, count: usize) -> Vec<String> {
    (0..count).map(|_| String::from_utf8(requests.next().unwrap().to_vec()).unwrap()).collect()
}

#[test]
fn no_two_signed_requests_are_the_same() {
    let mut asker = asker();
    for (work, mark, length) in [
        (Work::Tc3, "Signature=", 64),
        (Work::Top, "&sign=", 64),
        (Work::TopMd5, "&sign=", 32),
        (Work::Acs3, "Signature=", 64),
    ] {
        let requests: Vec<_> = (0..2).flat_map(|_| all(asker.requests(work, 50), 50)).collect();
        let signature = |text: &String| text.split_once(mark).unwrap().1[..length].to_owned();
        let signatures: HashSet<_> = requests.iter().map(signature).collect();
        assert_eq!(signatures.len(), 100, "{work}");
    }
}

#[test]
fn a_tc3_request_carries_what_the_contract_wants() {
    let text = all(asker().requests(Work::Tc3, 1), 1).remove(0);
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("POST / HTTP/1.1\r\n"));
    for field in ["host: 127.0.0.1:5050", "x-tc-action: GetFederationToken", "x-tc-version: 2018-08-13"] {
        assert!(head.contains(field), "{field} in {head}");
    }
    assert!(head.contains(&format!("content-length: {}", body.len())));
    let body: serde_json::Value = serde_json::from_str(body).unwrap();
    assert_eq!((&body["Name"], &body["DurationSeconds"]), (&json!("bench-00000001"), &json!(1800)));
    assert_eq!(body["Policy"], SOE_POLICY);
}

#[test]
fn a_top_request_is_signed_over_its_decoded_parameters() {
    for (work, method) in [(Work::Top, SignMethod::HmacSha256), (Work::TopMd5, SignMethod::Md5)] {
        let text = all(asker().requests(work, 1), 1).remove(0);
        let body = text.split_once("\r\n\r\n").unwrap().1;
        let params: Vec<(String, String)> = form_urlencoded::parse(body.as_bytes()).into_owned().collect();
        let pairs = params.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let expected = alibaba::sign(method, b"top-secret", pairs);
        assert_eq!(params.last().unwrap(), &("sign".to_owned(), expected));
        assert!(params.contains(&("sign_method".to_owned(), method.name().to_owned())));
    }
}

#[test]
fn an_assume_role_request_names_the_demo_role_and_uses_no_nonce_twice() {
    let texts = all(asker().requests(Work::Acs3, 2), 2);
    for text in &texts {
        assert!(
            text.starts_with("POST /?DurationSeconds=1800&Format=JSON&RoleArn=acs%3Aram%3A%3A1%3Arole%2Fz&")
        );
        for field in
            ["x-acs-action: AssumeRole", "x-acs-version: 2015-04-01", "Credential=x,SignedHeaders=host;"]
        {
            assert!(text.contains(field), "{field} in {text}");
        }
    }
    let nonce = |text: &String| {
        text.split_once("x-acs-signature-nonce: ").unwrap().1.split_once('\r').unwrap().0.to_owned()
    };
    assert_ne!(nonce(&texts[0]), nonce(&texts[1]));
}

#[test]
fn a_token_is_asked_for_the_resource_of_its_algorithm() {
    let mut asker = asker();
    let text = all(asker.requests(Work::Token(Algorithm::Es256), 1), 1).remove(0);
    assert!(text.starts_with("POST /387c56a8-cf86-45de-b9f5-b4de88cac054/oauth2/v2.0/token HTTP/1.1\r\n"));
    assert!(text.contains("scope=aud%2F.default"), "{text}");
    assert_eq!(asker.resource(Algorithm::Rs256), None);
    let signed = [Work::Tc3, Work::Top, Work::TopMd5, Work::Acs3];
    let works: Vec<_> = [Work::GetAuthorization]
        .into_iter()
        .chain(signed)
        .chain([Work::Token(Algorithm::Es256), Work::Introspect, Work::Keys])
        .collect();
    assert_eq!(asker.works(), works);
}

#[test]
fn both_are_asked_about_the_token_that_is_shown() {
    let mut asker = asker();
    let made = |asker: &Asker, work| String::from_utf8(asker.for_a_token(work)).unwrap();
    assert!(made(&asker, Work::Introspect).contains("scope=aud%2F.default"));
    assert!(made(&asker, Work::ProviderIntrospect).contains("resource=https%3A%2F%2Fapi.example%2Fopaque"));
    asker.show("e.y.J".into());
    let text = all(asker.requests(Work::Introspect, 1), 1).remove(0);
    assert!(text.starts_with("POST /387c56a8-cf86-45de-b9f5-b4de88cac054/oauth2/v2.0/introspect "), "{text}");
    assert!(text.ends_with("token=e.y.J&client_id=c&client_secret=s%7E1"), "{text}");
    let mut asker = asker.known_as(("them", "theirs"));
    let text = all(asker.requests(Work::ProviderIntrospect, 1), 1).remove(0);
    assert!(text.ends_with("token=e.y.J&client_id=them&client_secret=theirs"), "{text}");
    let text = all(asker.requests(Work::ProviderToken(Algorithm::EdDsa), 1), 1).remove(0);
    assert!(text.starts_with("POST /token ") && text.contains("api.example%2FEdDSA"), "{text}");
    assert!(all(asker.requests(Work::ProviderKeys, 1), 1)[0].starts_with("GET /jwks "));
}

#[test]
fn pages_and_forms_are_asked_as_a_browser_does() {
    let mut asker = asker();
    assert!(all(asker.requests(Work::Hello, 1), 1)[0].starts_with("GET /hello HTTP/1.1\r\n"));
    assert!(all(asker.requests(Work::Form, 1), 1)[0].starts_with("POST /form HTTP/1.1\r\n"));
    let page = all(asker.requests(Work::GetAuthorization, 1), 1).remove(0);
    assert!(page.contains("origin: http://127.0.0.1:88\r\n"), "{page}");
    assert!(!page.contains("authorization:"), "{page}");
    assert_eq!(
        page,
        all(asker.requests(Work::Sample(Peer::Flask, Delay::Far), 1), 1)[0],
        "the samples get the same"
    );
    let page = all(asker.signed_in("e.y.J".into()).requests(Work::Cached, 1), 1).remove(0);
    assert!(page.contains("\r\nauthorization: Bearer e.y.J\r\n"), "{page}");
}

#[test]
fn what_clouds_make_is_asked_for_by_their_own_clients_and_users() {
    let pages = crate::brokered::tests::pages();
    let mut credentials = sample();
    credentials.entra.client_id = "another".into();
    let mut asker = asker().of_brokered(Askers { credentials, pages });
    let kept = all(asker.requests(Work::Brokered(Whose::Anyones, Delay::Far), 2), 2);
    assert!(kept[0] == kept[1] && kept[0].starts_with("GET /anyone/30 "), "{}", kept[0]);
    assert!(!kept[0].contains("authorization:"));
    let own = all(asker.requests(Work::Brokered(Whose::Own, Delay::None), 2), 2);
    let new = all(asker.requests(Work::Brokered(Whose::New, Delay::None), 2), 2);
    assert!(own[0] == own[1] && new[0] != new[1] && own[0] != new[0]);
    for page in own.iter().chain(&new) {
        assert!(page.starts_with("GET /users/0 ") && page.contains("\r\nauthorization: Bearer "), "{page}");
    }
    let crowds = [Delay::Far; 2].map(|delay| all(asker.requests(Work::Crowd(delay), 3), 3));
    assert!(crowds[0][0] == crowds[0][2] && crowds[0][0] != crowds[1][0], "one each time");
    let token = all(asker.requests(Work::BrokeredToken, 1), 1).remove(0);
    assert!(token.contains("client_id=another") && token.contains(Askers::resource()), "{token}");
}
