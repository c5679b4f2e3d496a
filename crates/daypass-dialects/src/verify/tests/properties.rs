//! `verify(sign(x))`, and that nothing of what is covered can be changed.

use super::*;
use proptest::prelude::*;

/// One byte of a text becomes another of the same kind: still a digit, a letter of the same case, or a mark.
fn flip(text: &str, at: prop::sample::Index, by: u8) -> Option<String> {
    let mut bytes = text.as_bytes().to_vec();
    let places: Vec<_> = (0..bytes.len()).filter(|place| bytes[*place].is_ascii_alphanumeric()).collect();
    let place = *places.get(at.index(places.len().max(1)))?;
    let (first, many) = match bytes[place] {
        b'0'..=b'9' => (b'0', 10),
        b'a'..=b'z' => (b'a', 26),
        _ => (b'A', 26),
    };
    bytes[place] = first + (bytes[place] - first + 1 + by % (many - 1)) % many;
    String::from_utf8(bytes).ok()
}

/// Where a signature stands in headers, these are covered beside what [`Scheme::covers`] names.
fn covered_headers(scheme: Scheme) -> &'static [&'static str] {
    match scheme {
        Scheme::Tc3 => &["authorization", "content-type", "x-tc-timestamp", "x-tc-token"],
        Scheme::Acs3 => &[
            "authorization",
            "x-acs-action",
            "x-acs-content-sha256",
            "x-acs-date",
            "x-acs-security-token",
            "x-acs-signature-nonce",
            "x-acs-version",
        ],
        Scheme::Bearer => &["authorization"],
        Scheme::V1 | Scheme::Soe | Scheme::Rpc | Scheme::Top => &[],
    }
}

/// The question with one byte changed in a part that is covered; none where that part is empty.
fn changed(asked: &Value, scheme: Scheme, part: usize, at: prop::sample::Index, by: u8) -> Option<Value> {
    let mut asked = asked.clone();
    let covers = scheme.covers(None, None);
    let headers = covered_headers(scheme);
    if let Some(name) = headers.get(part % (covers.len() + headers.len())) {
        let slot = &mut asked["headers"][*name][0];
        *slot = json!(flip(slot.as_str()?, at, by)?);
        return Some(asked);
    }
    match covers[part % (covers.len() + headers.len()) - headers.len()] {
        "method" => asked["method"] = json!(if asked["method"] == "GET" { "HEAD" } else { "PUT" }),
        "host" => {
            let slot = &mut asked["headers"]["host"][0];
            *slot = json!(flip(slot.as_str()?, at, by)?);
        }
        "body" => {
            let body = STANDARD.decode(asked["body"].as_str()?).unwrap();
            asked["body"] = json!(STANDARD.encode(flip(std::str::from_utf8(&body).unwrap(), at, by)?));
        }
        part => asked[part] = json!(flip(asked[part].as_str()?, at, by)?),
    }
    Some(asked)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn what_was_signed_is_valid_and_with_any_change_it_is_not(
        scheme in prop::sample::select(Scheme::ALL.to_vec()),
        part: usize,
        at: prop::sample::Index,
        by: u8,
    ) {
        let service = Service::new();
        let asked = question(&signed(scheme, &usual(&service.world, scheme), START));
        let (status, told) = service.ask(&asked);
        prop_assert_eq!((status, &told["valid"]), (200, &json!(true)), "{}", told);
        if let Some(changed) = changed(&asked, scheme, part, at, by) {
            prop_assume!(changed != asked);
            let (status, told) = service.ask(&changed);
            prop_assert!(told["valid"] != json!(true), "{status} {told}\n{changed}");
        }
    }

    #[test]
    fn no_question_makes_anything_panic(text in ".{0,200}", headers in "[ -~]{0,80}", query in "[!-~]{0,80}") {
        let service = Service::new();
        let asked = json!({"method": "POST", "path": "/", "query": query, "host": text,
            "headers": {"authorization": headers, "content-type": "application/x-www-form-urlencoded"},
            "body": STANDARD.encode(&text)});
        let (status, told) = service.ask(&asked);
        prop_assert!(status == 400 || told["valid"] == json!(false), "{status} {told}");
    }
}
